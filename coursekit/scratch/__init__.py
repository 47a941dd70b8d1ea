"""Deep learning in NumPy from first principles: what the lessons read aloud.

Everything computes in float64, is vectorised over the batch and names its equation and paper.
The formulas are those of Keras, so that the same numbers come out of both; where Keras departs
from the paper, the docstring says how.

>>> from coursekit import scratch
>>> layer = scratch.layers.Dense(3, 2, seed=0)
>>> scratch.gradient_check(layer, [[1.0, -2.0, 0.5]]) < 1e-6
True
"""

from __future__ import annotations

from coursekit.scratch import activations, clipping, initialisers, layers, networks, optimizers
from coursekit.scratch.clipping import clip_by_global_norm, clip_by_norm, clip_by_value
from coursekit.scratch.finite_differences import gradient_check
from coursekit.scratch.networks import Sequential, deep_stack, train_step

__all__ = [
    "Sequential",
    "activations",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "clipping",
    "deep_stack",
    "gradient_check",
    "initialisers",
    "layers",
    "networks",
    "optimizers",
    "train_step",
]
