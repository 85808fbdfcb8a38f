"""Training: packed batches, objectives, the one loop, checkpoints, metrics.

To add an objective: write `objectives/NAME.py`, a pure function of per-token log-probabilities,
the micro-batch and the whole step's totals that returns a loss and metrics, and add it to
`objectives.OBJECTIVES`. Mask and denominators come from outside, so accumulation cannot change it.
"""
