"""Training: packed batches, objectives, the one loop, checkpoints, metrics.

How to add an objective stands in `objectives/__init__.py`.
"""
