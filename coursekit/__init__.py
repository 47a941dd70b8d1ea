"""The companion package of the course: the names a notebook uses, each loaded at first use.

>>> import coursekit as ck
>>> ck.__version__
'0.1.0'
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "setup": "coursekit.lab",
    "load": "coursekit.datasets",
    "exercise": "coursekit.checks",
    "fit": "coursekit.training",
    "lr_range_test": "coursekit.range_test",
    "mc_predict": "coursekit.uncertainty",
    "recommend": "coursekit.recommendation",
    "show": "coursekit.plotting",
}
_MODULES = (
    "activations",
    "callbacks",
    "checks",
    "datasets",
    "diagnostics",
    "folding",
    "models",
    "plotting",
    "schedules",
    "scratch",
    "study",
    "training",
    "transfer",
    "tuning",
    "uncertainty",
    "widgets",
)

__all__ = ["__version__", *sorted(_NAMES), *_MODULES]


def __getattr__(name: str) -> Any:
    # Lazy (PEP 562): `import coursekit` stays fast and loads no TensorFlow.
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"coursekit.{name}")
    raise AttributeError(
        f"module 'coursekit' has no attribute {name!r}; it has {', '.join(__all__)}"
    )


def __dir__() -> "list[str]":
    return list(__all__)
