"""Engines that step many simulations of one world; see `sim2real.interface.Simulator`."""
