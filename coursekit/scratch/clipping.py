"""Three ways to clip gradients (Pascanu et al. 2013; Keras: clipvalue, clipnorm, global_clipnorm).

>>> clip_by_value([0.9, 100.0], 1.0).tolist()
[0.9, 1.0]
>>> clip_by_norm([0.9, 100.0], 1.0).round(8).tolist()
[0.00899964, 0.9999595]

A NaN stays NaN: clipping tames a large gradient, it cannot repair a broken one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from coursekit.base.numbers import number
from coursekit.scratch._arguments import real_array


def clip_by_value(gradient: Any, limit: float) -> np.ndarray:
    """Cut every component to [−limit, limit]; this changes the direction (Keras `clipvalue`).

    `gradient` is an array of any shape; a new array of that shape is returned. `limit` > 0.
    """
    limit = number("limit", limit, 0, ends="()")
    return np.clip(real_array("gradient", gradient), -limit, limit)


def clip_by_norm(gradient: Any, limit: float) -> np.ndarray:
    """Shrink one variable's gradient to ℓ2 norm ≤ limit, direction kept (Keras `clipnorm`).

    g ← g · limit / max(‖g‖₂, limit): a gradient that is short enough stays as it is.
    """
    limit = number("limit", limit, 0, ends="()")
    gradient = real_array("gradient", gradient)
    with np.errstate(invalid="ignore"):
        return gradient * (limit / max(np.linalg.norm(gradient), limit))


def global_norm(gradients: Mapping[str, Any]) -> float:
    """ℓ2 norm of all gradients seen as one long vector; 0 for an empty dict.

    >>> global_norm({"W": [[3.0], [0.0]], "b": [4.0]})
    5.0
    """
    norms = [np.linalg.norm(real_array(name, g)) for name, g in gradients.items()]
    return float(np.linalg.norm(norms))


def clip_by_global_norm(gradients: Mapping[str, Any], limit: float) -> dict[str, np.ndarray]:
    """Shrink all gradients by one factor to a joint norm ≤ limit (Keras `global_clipnorm`).

    Pascanu et al. 2013, algorithm 1. `gradients` is a dict of arrays such as `layer.grads`; a new
    dict is returned. The step's direction over all variables is kept.

    >>> clip_by_global_norm({"W": [3.0], "b": [4.0]}, 1.0)
    {'W': array([0.6]), 'b': array([0.8])}
    """
    limit = number("limit", limit, 0, ends="()")
    factor = limit / max(global_norm(gradients), limit)
    with np.errstate(invalid="ignore"):
        return {name: real_array(name, g) * factor for name, g in gradients.items()}
