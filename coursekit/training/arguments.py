"""What `fit` accepts: every argument is looked at before any training starts."""

from __future__ import annotations

import re
from numbers import Real
from typing import Any

import numpy as np

from coursekit.base.keras import keras
from coursekit.errors import ArgumentError

_SPARSE = "sparse_categorical_crossentropy"
_LABELS_LIKE_OUTPUTS = (
    "categorical_crossentropy",
    "binary_crossentropy",
    "mean_squared_error",
    "mean_absolute_error",
    "huber",
    "mse",
    "mae",
)


_INSTEAD = {
    "validation_split": "keep rows back yourself and pass validation_data=(x, y)",
    "validation_steps": "pass only as many rows in validation_data as you want evaluated",
    "validation_batch_size": "validation takes batch_size",
    "validation_freq": "validation_data are evaluated after every epoch",
    "initial_epoch": "pass the epochs that are left, or resume with a BackupAndRestore callback",
    "shuffle": "rows are shuffled anew every epoch, by seed; model.fit can keep their order",
    "steps_per_epoch": "an epoch takes every row once; pass fewer rows, or a larger batch_size",
}


def check_names(others: dict[str, Any]) -> None:
    """Raise TypeError for arguments that `fit` does not have, and say what to do instead."""
    for name in others:
        instead = _INSTEAD.get(name, "help(ck.fit) lists those it has")
        raise TypeError(f"{name}: ck.fit has no such argument; {instead}.")


def check_model(model: Any) -> None:
    """Raise unless `model` is a Keras model that has been compiled."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"model: expected a Keras model, got {type(model).__name__}.")
    if not model.compiled:
        raise ArgumentError(
            "model: expected a compiled model, got one that is not; call "
            'model.compile(optimizer=..., loss=..., metrics=["accuracy"]) first.'
        )


def without_loss_scale(optimizer: Any) -> Any:
    """Return the optimizer inside a LossScaleOptimizer, such as mixed_float16 puts around it."""
    while isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    return optimizer


def pack(
    x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None, *, of: str = ""
) -> tuple:
    """Return the arrays of one data set as `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

    Floats come back in Keras' float type, integers as they are. `x` and `y` may be lists, tuples
    or dicts of arrays for models with several inputs or outputs; `of` goes in front of the names
    in the messages. Raises TypeError for what is no array of numbers, ArgumentError for arrays
    that are empty, differ in length or hold NaN or infinity.
    """
    if class_weight is not None:
        if sample_weight is not None:
            raise ArgumentError("class_weight and sample_weight: expected one of them, got both.")
        return (*pack(x, y, of=of), _weights_of_classes(y, class_weight))
    parts = {"x": x, "y": y, "sample_weight": sample_weight}
    packed, lengths = [], {}
    for name, value in parts.items():
        if value is None:
            continue
        named = f"{of}{name}"
        arrays = keras.tree.map_structure(lambda leaf, named=named: _numbers(named, leaf), value)
        packed.append(arrays)
        for array in keras.tree.flatten(arrays):
            lengths.setdefault(len(array), named)
    if "x" in parts and not lengths:
        raise ArgumentError(f"{of}x: expected at least one array, got {x!r}.")
    if y is None and sample_weight is not None:
        raise ArgumentError(f"{of}sample_weight: expected labels to go with it, got y=None.")
    if len(lengths) > 1:
        told = " and ".join(f"{name} has {count}" for count, name in lengths.items())
        raise ArgumentError(f"{of}x and {of}y: expected arrays of one length, but {told}.")
    if 0 in lengths:
        raise ArgumentError(f"{of}x: expected at least one sample, got an empty array.")
    return tuple(packed)


def unpack_validation(validation_data: Any) -> tuple:
    """Return `(x, y)` or `(x, y, sample_weight)`; raise TypeError for anything else."""
    if isinstance(validation_data, (tuple, list)) and len(validation_data) in (2, 3):
        return tuple(validation_data)
    came = type(validation_data).__name__
    if isinstance(validation_data, (tuple, list)):
        came += f" of {len(validation_data)}"
    raise TypeError(
        f"validation_data: expected (x, y) or (x, y, sample_weight) of arrays, got a {came}."
    )


def _numbers(name: str, value: Any) -> np.ndarray:
    if not hasattr(value, "shape") or not hasattr(value, "__array__"):
        raise TypeError(
            f"{name}: expected an array of numbers, got {type(value).__name__}; ck.fit takes NumPy "
            "arrays, model.fit takes data sets and generators."
        )
    array = np.asarray(value)
    if array.ndim == 0 or array.dtype.kind not in "fiub":
        raise TypeError(
            f"{name}: expected an array of numbers, one row per sample, got {array.dtype} of shape "
            f"{array.shape}."
        )
    if array.dtype.kind == "f":
        array = array.astype(keras.config.floatx(), copy=False)
        # One pass without a temporary array: a sum is finite only if every number is.
        if not np.isfinite(array.sum(dtype=np.float64)) and not np.isfinite(array).all():
            wrong = int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(axis=1)))
            raise ArgumentError(
                f"{name}: expected finite numbers, got NaN or infinity, first in row {wrong}; "
                "remove or replace such values before training."
            )
    return array


def _weights_of_classes(y: Any, class_weight: Any) -> np.ndarray:
    if not isinstance(class_weight, dict):
        raise TypeError(
            "class_weight: expected a dict such as {0: 1.0, 1: 5.0}, got "
            f"{type(class_weight).__name__}."
        )
    for label, weight in class_weight.items():
        if not isinstance(weight, Real) or not np.isfinite(weight):
            raise ArgumentError(
                f"class_weight: expected a finite number for each class, got {weight!r} for "
                f"{label!r}."
            )
    if not hasattr(y, "shape"):
        came = "none" if y is None else "several outputs"
        raise ArgumentError(f"class_weight: expected one array of labels, got {came}.")
    labels = np.asarray(y)
    one_hot = labels.ndim == 2 and np.allclose(labels.sum(axis=1), 1, atol=1e-3)
    if not one_hot and labels.size != len(labels):
        raise ArgumentError(
            "class_weight: expected one label or one-hot row for each sample, got labels of shape "
            f"{labels.shape}; weigh them by sample_weight, an array with a number for each label."
        )
    if labels.size != len(labels):
        labels = labels.argmax(axis=1)
    labels = np.round(labels.reshape(len(labels))).astype(np.int64)
    weights = np.ones(len(labels), keras.config.floatx())
    for label, weight in class_weight.items():
        weights[labels == label] = weight
    return weights


def check_fit(model: Any, data: tuple, *, of: str = "") -> None:
    """Raise ArgumentError where `data`, as `pack` returned it, cannot belong to the model.

    Labels are compared with the model's output for Keras' own losses and models of one output.
    """
    symbols = keras.tree.map_structure(
        lambda array: keras.KerasTensor((None, *array.shape[1:]), array.dtype), data[0]
    )
    try:
        output = model.compute_output_spec(symbols)
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"{of}x: the model cannot take it: {reason(error)}") from error
    if len(data) < 2 or not isinstance(data[1], np.ndarray) or not hasattr(output, "shape"):
        return
    y, outputs, loss = data[1], tuple(output.shape)[1:], _name_of_loss(model.loss)
    if loss in ("crossentropy", "ce"):
        loss = _SPARSE if y.ndim <= len(outputs) and outputs[-1] > 1 else "binary_crossentropy"
    if loss == _SPARSE:
        _check_sparse(y, outputs, getattr(model.loss, "ignore_class", None), of)
    elif loss in _LABELS_LIKE_OUTPUTS and _without_ones(y.shape[1:]) != _without_ones(outputs):
        raise ArgumentError(
            f"{of}y: expected labels of shape {(len(y), *outputs)} for the loss {loss}, got "
            f"{y.shape}." + (f" For class numbers use {_SPARSE}." if "categorical" in loss else "")
        )


def reason(error: BaseException) -> str:
    r"""Return the sentence of a Keras error that says what is wrong.

    >>> reason(ValueError("Exception in Dense.call().\n\n\x1b[1mToo few.\x1b[0m\n\nArgs"))
    'Too few.'
    """
    if isinstance(error, RuntimeError) and error.__context__ is not None:
        error = error.__context__
    said = str(error).strip()
    bold = re.search("\x1b\\[1m(.+?)\x1b\\[0m", said, re.DOTALL)
    return (bold[1] if bold else said).strip().split("\n")[0]


def _check_sparse(y: np.ndarray, outputs: tuple, ignored: int | None, of: str) -> None:
    classes, places = outputs[-1], outputs[:-1]
    if y.shape[1:] not in (places, (*places, 1)):
        hint = " For one-hot rows use categorical_crossentropy." if y.shape[1:] == outputs else ""
        raise ArgumentError(
            f"{of}y: expected class numbers of shape {(len(y), *places)}, got {y.shape}.{hint}"
        )
    if classes is None:
        return
    labels = y if ignored is None else y[y != ignored]
    if labels.dtype.kind == "f" and (labels != np.floor(labels)).any():
        raise ArgumentError(f"{of}y: expected whole class numbers, got fractions.")
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ArgumentError(
            f"{of}y: expected class numbers from 0 to {classes - 1} for a model with {classes} "
            f"outputs, got {labels.min():g} to {labels.max():g}."
        )


def _name_of_loss(loss: Any) -> str:
    known = (_SPARSE, *_LABELS_LIKE_OUTPUTS, "crossentropy", "ce")
    if isinstance(loss, str):
        return loss
    for name in known[:-2]:
        function = keras.losses.get(name)
        if loss is function or getattr(loss, "fn", None) is function:
            return name
    return ""


def _without_ones(shape: tuple) -> tuple:
    return tuple(size for size in shape if size != 1)
