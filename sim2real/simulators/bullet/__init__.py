"""Bullet, whose bodies are built from the compiled model and moved by MuJoCo's laws of joints."""

from sim2real.simulators.bullet.simulator import BulletSimulator

__all__ = ["BulletSimulator"]
