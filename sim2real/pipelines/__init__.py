"""What the commands do, each as one call: the work, the verdict, and the files and pages of it.

Their names are public, such as `sim2real.evaluate`, `sim2real.identify` and `sim2real.close`. What they are
made of takes and returns plain results and writes no page, as `sim2real.evaluate.rollouts` and
`sim2real.identify.identify`.
"""
