"""The companion package of the course: the names a notebook uses, each loaded at first use.

>>> import coursekit as ck
>>> ck.__version__
'0.1.0'
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "setup": "coursekit.lesson",
    "prove": "coursekit.lesson",
    "load": "coursekit.datasets",
    "compare": "coursekit.experiments.compare",
    "sweep": "coursekit.experiments.sweep",
    "verdict": "coursekit.experiments.verdict",
    "exercise": "coursekit.checks",
    "fit": "coursekit.training",
    "lr_range_test": "coursekit.training.range_test",
    "mc_predict": "coursekit.analysis.uncertainty",
    "recommend": "coursekit.nets.recommend",
    "show": "coursekit.display.plotting",
}
_MODULES = {
    "activations": "coursekit.nets.activations",
    "callbacks": "coursekit.training.one_cycle",
    "checks": "coursekit.checks",
    "datasets": "coursekit.datasets",
    "diagnostics": "coursekit.analysis.layers",
    "folding": "coursekit.nets.folding",
    "models": "coursekit.nets.builders",
    "plotting": "coursekit.display.plotting",
    "schedules": "coursekit.training.schedules",
    "scratch": "coursekit.scratch",
    "study": "coursekit.experiments.study",
    "training": "coursekit.training",
    "transfer": "coursekit.nets.transfer",
    "tuning": "coursekit.experiments.tuning",
    "uncertainty": "coursekit.analysis.uncertainty",
    "widgets": "coursekit.display.widgets",
}

__all__ = ["__version__", *sorted(_NAMES), *_MODULES]


def __getattr__(name: str) -> Any:
    # Lazy (PEP 562): `import coursekit` stays fast and loads no TensorFlow.
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    raise AttributeError(
        f"module 'coursekit' has no attribute {name!r}; it has {', '.join(__all__)}"
    )


def __dir__() -> "list[str]":
    return list(__all__)
