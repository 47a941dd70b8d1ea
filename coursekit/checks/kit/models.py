"""Keras models in checks: small ones with given weights, and whether one is still as it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import describe


def give_weights(model: Any, name: str, scale: float = 0.8, *, fixed: bool = False) -> Any:
    """Draw all weights of a model from the generator `rng(name, fixed=fixed)`; return the model.

    Normal with the given scale, moving variances positive; seeds of dropout stay.
    """
    draw = rng(name, fixed=fixed)
    for weight in model.weights:
        values = draw.normal(0, scale, weight.shape)
        weight.assign(np.abs(values) + 0.1 if "variance" in weight.path else values)
    return model


def require_model(value: Any, what: str = "Your model") -> None:
    """Raise Wrong unless the answer returned a Keras model that has its weights."""
    from coursekit.base.keras import keras

    if not isinstance(value, keras.Model):
        raise Wrong(f"Expected a Keras model, got {describe(value)}.")
    if not value.weights:
        raise Wrong(f"{what} has no weights yet: it must start with a `keras.Input`.")


def in_both(these: Iterable[Any], those: Iterable[Any]) -> bool:
    """Return whether one object (not an equal one) is in both: a layer, a weight.

    An id is unique among living objects only. So both are lists here, and so is, at the caller's,
    what an answer made earlier.

    >>> a, b = [1], [1]
    >>> in_both([a], [b]), in_both([a], [b, a])
    (False, True)
    """
    these, those = list(these), list(those)
    return not {id(one) for one in these}.isdisjoint(id(one) for one in those)


def with_weights(model: Any) -> list[Any]:
    """Return the layers that have weights, in order."""
    return [layer for layer in model.layers if layer.weights]


class AsFound:
    """What a model was like, to demand later that it still is.

    >>> from coursekit.base.keras import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> found = AsFound(model)
    >>> found.require_same()
    >>> model.layers[0].trainable = False
    >>> found.require_same("Your function")
    Traceback (most recent call last):
    coursekit.checks.engine.verdict.Wrong: Your function changes the `trainable` flag of layer ...
    """

    def __init__(self, model: Any):
        self.model = model
        self._layers = list(model.layers)
        self._flags = [layer.trainable for layer in model.layers]
        self._weights = [np.array(v) for v in model.variables]
        self._optimizer = [(variable, np.array(variable)) for variable in _slots(model)]

    def require_same(
        self, who: str = "Your function", *, optimizer: bool = True, rate_may_differ: bool = False
    ) -> None:
        """Raise Wrong, naming the first thing, if layers, flags, weights or the optimizer differ.

        Slots that the answer made must be zeros, as those of a new optimizer are.
        """
        if len(self.model.layers) != len(self._layers):
            raise Wrong(f"{who} adds or takes off layers of the model it is given; leave it whole.")
        for layer, flag in zip(self._layers, self._flags, strict=True):
            if layer.trainable != flag:
                raise Wrong(
                    f"{who} changes the `trainable` flag of layer `{layer.name}` of the model it "
                    "is given."
                )
        for variable, value in zip(self.model.variables, self._weights, strict=True):
            if not np.array_equal(variable, value, equal_nan=True):
                raise Wrong(
                    f"{who} changes the model: `{variable.path}` is not as it was"
                    + (" (moving averages count too)." if "moving" in variable.path else ".")
                )
        if optimizer:
            self._require_optimizer(who, rate_may_differ)

    def _require_optimizer(self, who: str, rate_may_differ: bool) -> None:
        for variable in _slots(self.model):
            if rate_may_differ and variable is getattr(
                self.model.optimizer, "_learning_rate", None
            ):
                continue
            found = (value for old, value in self._optimizer if old is variable)
            value = next(found, np.zeros(variable.shape))
            if not np.array_equal(variable, value, equal_nan=True):
                raise Wrong(
                    f"{who} leaves the optimizer changed: its `{variable.path}` is not as it was. "
                    "Keep the numbers (`variable.numpy()`) of all its variables; before the first "
                    "step it has them only after `optimizer.build(model.trainable_variables)`."
                )


def _slots(model: Any) -> Sequence[Any]:
    from coursekit.base.state import optimizer_variables

    return optimizer_variables(getattr(model, "optimizer", None))
