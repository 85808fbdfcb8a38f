"""Calibration: what helps a model through plain rounding, at no cost in size.

An exporter rounds each weight to the nearest number of its grid, whatever the model computes.
Here the model is moved beforehand: to weights that lie on that very grid, so that the exporter
changes nothing more, and that together do what the unrounded model does on its own correct
responses. What comes out is a plain model folder, which any exporter of the same grid takes.

`grid` is the rule of plain rounding, `places` what is rounded, `gptq` and `layerwise` choose
numbers without training, `qat` and `distilled` with it, `rollouts` is what they look at, `run` the
whole. To add a method: what moves the weights in `places`, and a branch in `run`.
"""
