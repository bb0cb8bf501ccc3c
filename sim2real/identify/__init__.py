"""From recordings or rollouts to the physics that they show.

    from sim2real.identify.identify import Options, identify        # recordings, in one call
    from sim2real.identify.check import check                       # what they can tell, before a fit
    from sim2real.identify.rollout_fit import fit_rollouts          # episodes of a task
    from sim2real.identify.dropo import dropo                       # a distribution that makes them likely
    from sim2real.identify.npe import npe                           # a posterior learnt from simulations

One engine serves all: a problem (what is free, what is predicted, what is left over), one search, one least
squares, one way to intervals (`uncertainty`, with `nuisance` effects beside the fit) and to `verdicts`.
"""
