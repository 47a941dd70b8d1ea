"""What makes two models the same program: everything but the numbers that they start with."""

from __future__ import annotations

import json
import warnings
from functools import partial
from types import FunctionType
from typing import Any

from coursekit.base.keras import keras

_METHODS = {"call", "compute_loss", "train_step", "test_step"}


def architecture(model: keras.Model) -> str | None:
    """Return a text that two compiled models share only if they take the very same steps.

    It tells layers, connections, optimizer, loss and metrics; not the initialisers, the names of
    layers and the learning rate, unless that is a schedule. None for a model that may hide
    something: one with a class, a function or a method that is not Keras' own.

    >>> def net(units, initializer):
    ...     layer = keras.layers.Dense(units, kernel_initializer=initializer)
    ...     model = keras.Sequential([keras.Input((3,)), layer])
    ...     model.compile("sgd", "mse")
    ...     return model
    >>> he, xavier = (architecture(net(2, name)) for name in ("he_normal", "glorot_uniform"))
    >>> he == xavier, he == architecture(net(4, "he_normal"))
    (True, False)
    """
    layers = list(model._flatten_layers())
    changed = not _is_own(type(model).__module__) or _METHODS & set(vars(model))
    if changed or any(map(_has_function, layers)) or _has_exceptions(model.optimizer):
        return None
    names = {layer.name: f"#{i}" for i, layer in enumerate(layers)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Keras, where a lambda would be saved
            told = {"layers": model.get_config(), "compiled": model.get_compile_config()}
        told["compiled"]["optimizer"]["config"].pop("name")  # numbered by Keras
        return json.dumps(_plain(told, names))
    except Exception:  # anybody's get_config
        return None  # what cannot be told might be anything


class _HiddenError(Exception):
    """Something whose configuration need not tell all."""


def _has_function(layer: Any) -> bool:
    """Return whether a layer holds somebody's function: a configuration tells only its name."""
    functions = (f for f in vars(layer).values() if isinstance(f, (FunctionType, partial)))
    return not all(_is_own(getattr(function, "__module__", None)) for function in functions)


def _has_exceptions(optimizer: Any) -> bool:
    """Return whether some weights are excluded from the decay, which no configuration tells."""
    names = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern")
    return any(getattr(optimizer, name, None) for name in names)


def _plain(config: Any, numbers: dict[str, str]) -> Any:
    """Return the configuration without what is not compiled, the layers' names as numbers."""
    if isinstance(config, dict):
        _check_own(config)
        return {
            key: _plain(value, numbers)
            for key, value in config.items()
            if not (
                key == "build_config"
                or key.endswith("_initializer")
                or (key == "learning_rate" and isinstance(value, float))
            )
        }
    if isinstance(config, (list, tuple)):
        return [_plain(each, numbers) for each in config]
    return numbers.get(config, config) if isinstance(config, str) else config


def _is_own(module: str | None) -> bool:
    return str(module).split(".")[0] == "keras"


def _check_own(config: dict) -> None:
    if "class_name" not in config or config["class_name"] == "__keras_tensor__":
        return
    ours = _is_own(config.get("module")) and not config.get("registered_name")
    if not ours or config["class_name"] in ("Lambda", "function", "__lambda__"):
        raise _HiddenError
