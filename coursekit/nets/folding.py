"""Fold batch normalisation into its neighbours once a model is trained."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from coursekit.base.keras import keras
from coursekit.nets.cloning import check_has_inputs, rebuilt, twin

__all__ = ["fold_batch_norm"]

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


@dataclass
class _Fold:
    """The batch normalisations that one layer takes in."""

    before: keras.layers.BatchNormalization | None = None
    after: keras.layers.BatchNormalization | None = None


@dataclass
class _Graph:
    """Which layer feeds which, by name, and how often a layer's output is used."""

    edges: list[tuple[str, str]] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    uses: Counter[str] = field(default_factory=Counter)


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """Return a model with the same predictions in which layers have taken in their BatchNorms.

    At prediction a batch normalisation is an affine map, y = s·x + t for each feature with
    s = γ / √(σ² + ε) and t = β − s·μ (Jacob et al., arXiv:1712.05877, 2018, section 3.2), so the
    layer next to it can do its work:

    - Dense or Conv without activation → BatchNorm: W ← W·s (each output), b ← s·b + t.
    - BatchNorm → Dense: b ← b + t·W, W ← s·W (each input). The same for a convolution without
      padding and without groups: padding puts in zeros that the normalisation never saw.

    A BatchNorm stays where it has no such neighbour, where a layer or its output is used twice,
    or inside a nested model. Only the new model lacks the noise of training: fold last.

    Args:
        model: a built Sequential or functional model. It is not changed.

    Returns:
        A new, uncompiled model of the same kind with layers of the same names; a folded BatchNorm
        is gone, and with it 4 parameters per feature (the neighbour gets a bias if it had none).
        Without any BatchNorm to fold it is a copy.

    Raises:
        ArgumentError, TypeError: not a built Sequential or functional model, no Keras model.

    >>> import keras
    >>> layers = [keras.layers.Dense(5, use_bias=False), keras.layers.BatchNormalization()]
    >>> model = keras.Sequential([keras.Input((3,)), *layers])
    >>> model.count_params(), fold_batch_norm(model).count_params()
    (35, 20)
    """
    check_has_inputs(model)
    sequential = isinstance(model, keras.Sequential)
    folds = _plan(model, _chain(model) if sequential else _trace(model))
    gone = {bn.name for fold in folds.values() for bn in (fold.before, fold.after) if bn}
    folded = rebuilt(
        model,
        lambda layer: twin(layer, use_bias=True) if layer.name in folds else twin(layer),
        without=gone,
    )
    for layer in folded.layers:
        if layer.name in folds:
            original = model.get_layer(layer.name)
            layer.set_weights(_folded_weights(original, folds[layer.name]))
        elif layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return folded


def _plan(model: keras.Model, graph: _Graph) -> dict[str, _Fold]:
    """Decide which layer takes in which BatchNorm, by the layer's name."""
    layers = {layer.name: layer for layer in model.layers}
    folds: dict[str, _Fold] = {}
    taken: set[str] = set()
    for source, target in graph.edges:
        alone = graph.calls[source] == graph.calls[target] == graph.uses[source] == 1
        if not alone or source not in layers or target not in layers:
            continue
        if _is_foldable(layers[target]) and target not in taken and _ends_linear(layers[source]):
            folds.setdefault(source, _Fold()).after = layers[target]
            taken.add(target)
        elif _is_foldable(layers[source]) and source not in taken and _takes_all(layers[target]):
            folds.setdefault(target, _Fold()).before = layers[source]
            taken.add(source)
    return folds


def _is_foldable(layer: keras.layers.Layer) -> bool:
    # Not a subclass, which may do anything; and only with the features on the last axis.
    if type(layer) is not keras.layers.BatchNormalization:
        return False
    return layer.axis in (-1, layer.input_spec.ndim - 1)


def _ends_linear(layer: keras.layers.Layer) -> bool:
    return _has_kernel(layer) and layer.activation is keras.activations.linear


def _takes_all(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, _CONVOLUTIONS):
        return _has_kernel(layer) and layer.padding == "valid" and layer.groups == 1
    return _has_kernel(layer)


def _has_kernel(layer: keras.layers.Layer) -> bool:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return False
    return type(layer) in (keras.layers.Dense, *_CONVOLUTIONS)


def _chain(model: keras.Sequential) -> _Graph:
    names = [layer.name for layer in model.layers]
    return _Graph(list(pairwise(names)), Counter(names), Counter(names))


def _trace(model: keras.Model) -> _Graph:
    """Read the edges off a throwaway clone as it is put together."""
    graph, made_by = _Graph(), {}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        # A call that fixes training=True is as little to be folded as a second call.
        graph.calls[layer.name] += 2 if kwargs.get("training") else 1
        for tensor in keras.tree.flatten((args, kwargs)):
            if id(tensor) in made_by:
                graph.uses[made_by[id(tensor)]] += 1
                graph.edges.append((made_by[id(tensor)], layer.name))
        for tensor in keras.tree.flatten(outputs):
            made_by[id(tensor)] = layer.name
            alive.append(tensor)
        return outputs

    alive: list[Any] = []  # an id is only unique among living objects
    clone = rebuilt(model, call=call)
    graph.uses.update(made_by[id(tensor)] for tensor in clone.outputs if id(tensor) in made_by)
    return graph


def _folded_weights(layer: keras.layers.Layer, fold: _Fold) -> list[np.ndarray]:
    """Return [W, b] in float64: the affine map before, the layer, the affine map after."""
    kernel = np.array(layer.kernel, dtype=np.float64)
    bias = np.array(layer.bias, np.float64) if layer.use_bias else np.zeros(kernel.shape[-1])
    if fold.before is not None:
        scale, shift = _affine(fold.before)
        bias = bias + (kernel * shift[:, None]).sum(axis=tuple(range(kernel.ndim - 1)))
        kernel = kernel * scale[:, None]
    if fold.after is not None:
        scale, shift = _affine(fold.after)
        kernel, bias = kernel * scale, bias * scale + shift
    return [kernel, bias]


def _affine(bn: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """Return (s, t) of what a BatchNorm does at prediction, y = s·x + t."""
    mean, variance = (np.array(v, np.float64) for v in (bn.moving_mean, bn.moving_variance))
    scale = (np.array(bn.gamma, np.float64) if bn.scale else 1.0) / np.sqrt(variance + bn.epsilon)
    shift = np.array(bn.beta, np.float64) if bn.center else np.zeros_like(mean)
    return scale, shift - scale * mean
