"""Exercise 15: the four nets, read however they were written, and judged by what they compute.

The weights are told apart by shape and name, in the order in which the net holds them, and given
values; that this is the order in which the net uses them shows when its outputs are right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.models import require_model

_SHAPE, _HIDDEN, _UNITS, _CLASSES = (32, 32, 3), 20, 100, 10
_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805
_LOW = -_SCALE * _ALPHA  # SELU's lowest value
_RATE, _OTHER_RATES = 0.1, (0.01, 0.05, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.9)
_BIAS, _MEAN, _VARIANCE = "bias", "moving_mean", "moving_variance"
_KINDS = (_BIAS, "gamma", "beta", _MEAN, _VARIANCE)


def stack(
    activation: str | None = "swish",
    initializer: str = "he_normal",
    *,
    norm: Callable[[], Any] | None = None,
    after: bool = False,
    end: Callable[[], Any] | None = None,
    n: int = _HIDDEN,
) -> Any:
    """Return a net of the study, or with one thing wrong: `norm` stands before the activation, or
    `after` it, `end` before the output; both make a layer.
    """
    from coursekit.base.keras import keras

    make, layers = keras.layers, [keras.Input(_SHAPE), keras.layers.Flatten()]
    for _ in range(n):
        layers.append(make.Dense(_UNITS, use_bias=norm is None, kernel_initializer=initializer))
        steps = [norm()] if norm else []
        steps.insert(0 if after else len(steps), make.Activation(activation or "linear"))
        layers += steps
    layers += [end()] if end else []
    return keras.Sequential([*layers, make.Dense(_CLASSES, "softmax")])


def batch_norm(*, always: bool = False, **settings: Any) -> Any:
    """Return batch normalisation; `always` it uses the statistics of the batch."""
    from coursekit.base.keras import keras

    class Always(keras.layers.BatchNormalization):
        def call(self, inputs, training=None, mask=None):
            return super().call(inputs, training=True)

    return Always() if always else keras.layers.BatchNormalization(**settings)


class Net:
    """What a learner's function builds: the model, its kernels, and its other weights by kind."""

    def __init__(self, answer: Callable[[], Any]):
        from coursekit.base.keras import keras

        if isinstance(answer, keras.Model):
            raise Wrong("This is a model; pass the function that builds it, without parentheses.")
        keras.utils.set_random_seed(15)  # the runner puts all seeds back
        self.model = call(answer)
        if isinstance(self.model, keras.Model):
            _require_probabilities(self.model)
        require_model(self.model, "Your net")
        matrices = [weight for weight in self.model.weights if len(weight.shape) == 2]
        self.kernels = sorted(matrices, key=lambda kernel: kernel.shape[1] == _CLASSES)
        self.others: dict[str, list[Any]] = {kind: [] for kind in _KINDS}
        for weight in self.model.weights:
            kind = next((k for k in _KINDS if weight.name.endswith(k)), None)
            if tuple(weight.shape) == (_UNITS,) and kind:
                self.others[kind].append(weight)
            elif len(weight.shape) != 2 and tuple(weight.shape) != (_CLASSES,):
                raise Wrong(
                    f"Besides dense layers of {_UNITS} units your net has a weight `{weight.name}` "
                    f"of shape {tuple(weight.shape)}; the task wants none."
                )
        self._require_shapes()

    def _require_shapes(self) -> None:
        hidden = [tuple(kernel.shape) for kernel in self.kernels[:-1]]
        if len(hidden) != _HIDDEN:
            raise Wrong(f"Your net has {len(hidden)} hidden dense layers; the task wants {_HIDDEN}.")
        if {shape[1] for shape in hidden} != {_UNITS}:
            widths = sorted({shape[1] for shape in hidden})
            raise Wrong(f"Your hidden layers have {widths} units; the task wants {_UNITS} each.")
        if hidden[0][0] != np.prod(_SHAPE):
            seen = hidden[0][0]
            raise Wrong(f"The first hidden layer sees {seen} numbers of an image; it has 32·32·3.")
        if not all(kernel.trainable for kernel in self.kernels):
            raise Wrong("Some of your layers are frozen: nothing in this net is trained yet.")

    def outputs(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return the class probabilities."""
        return np.asarray(self.model(x, training=training), float)

    def require_start(self, factor: int, initialiser: str) -> None:
        """Raise Wrong unless each hidden kernel was drawn with the variance factor / fan_in."""
        kernels = [np.asarray(kernel, float) for kernel in self.kernels[:-1]]
        if any(np.array_equal(one, following) for one, following in pairwise(kernels)):
            raise Wrong(
                "Two hidden layers begin with the very same weights. One initialiser object used "
                "twice draws the same numbers twice: make a new one for each layer, or give its "
                "name."
            )
        shares = np.array([np.mean(kernel**2) * len(kernel) for kernel in kernels])
        wrong = {"LeCun": 1, "He": 2, "Glorot": [2 * len(k) / sum(k.shape) for k in kernels]}
        found = next((n for n, want in wrong.items() if np.allclose(shares, want, rtol=0.1)), None)
        if found == initialiser:
            return
        if found:
            default = ", Keras' default" if found == "Glorot" else ""
            raise Wrong(
                f"The hidden kernels are drawn by {found}'s initialiser{default}; the task wants "
                f"{initialiser}'s."
            )
        worst = int(np.argmax(np.abs(np.log(np.maximum(shares, 1e-12) / factor))))
        raise Wrong(
            f"At initialisation the kernel of hidden layer {worst + 1} has the variance "
            f"{kernels[worst].var():.3g} with fan_in {len(kernels[worst])}; {initialiser}'s "
            "initialiser gives another."
        )

    def require_plain(self, what: str) -> None:
        """Raise Wrong where there are normalisation layers, or biases in some layers alone."""
        if any(self.others[kind] for kind in _KINDS[1:]):
            raise Wrong(f"There are normalisation layers in your net; {what} has none.")
        if len(self.others[_BIAS]) not in (0, _HIDDEN):
            raise Wrong(f"Only {len(self.others[_BIAS])} of your hidden layers have a bias.")
        if "self" in what and any(np.any(bias) for bias in self.others[_BIAS]):
            raise Wrong("Your biases do not start at 0, so the layers' means do not either.")

    def require_norms(self) -> None:
        """Raise Wrong unless each hidden layer has moving averages and none a bias."""
        n_norms = len(self.others[_MEAN])
        if n_norms == 0:
            raise Wrong(
                "Your net keeps no moving averages: it has no batch normalisation. (Layer "
                "normalisation is another thing: it has none.)"
            )
        if n_norms != _HIDDEN:
            raise Wrong(f"{n_norms} of your {_HIDDEN} hidden layers are normalised.")
        if self.others[_BIAS]:
            raise Wrong(
                "Your hidden layers still have biases. A constant added to the sums goes away again"
                " when normalisation subtracts their mean: a weight that can never do anything."
            )

    def require_same_in_training(self) -> None:
        """Raise Wrong where something is random in training."""
        x = _images("training", 8)
        if not np.allclose(self.outputs(x, training=True), self.outputs(x), atol=1e-4):
            raise Wrong(
                "In training your net gives other outputs than at inference: is there dropout?"
            )

    def give_weights(self, activation: str) -> None:
        """Give the weights for which its outputs show every detail of the computation."""
        for kernel, values in zip(self.kernels, _given(activation), strict=True):
            kernel.assign(values)
        draw = rng("averages")
        for low, high, kind in ((-0.6, 0.6, _MEAN), (0.6, 1.6, _VARIANCE)):
            for weight in self.others[kind]:
                weight.assign(draw.uniform(low, high, _UNITS))

    def shown(self, activation: str, what: str) -> dict[str, np.ndarray]:
        """Return the outputs with given weights, at inference and in training."""
        self.give_weights(activation)
        x = _images("outputs", 40)
        layers = f"20 times {what}, then a softmax output"
        return {
            f"the outputs at inference ({layers})": self.outputs(x),
            f"the outputs in training ({layers})": self.outputs(x, training=True),
        }

    def require_alpha_dropout(self) -> None:
        """Raise Wrong unless alpha dropout happens in training, once, right before the output."""
        x = _images("alpha dropout", 400)
        if not np.array_equal(self.outputs(x), self.outputs(x)):
            raise Wrong("At inference two predictions of the same images differ: dropout stays on.")
        if np.array_equal(self.outputs(x, training=True), self.outputs(x, training=True)):
            raise Wrong("In training nothing is random: two passes give the same outputs.")
        # The output layer passes nine units on as logits, beside one logit that is 0.
        kernel = np.array(self.kernels[-1])
        self.kernels[-1].assign(np.eye(_UNITS, _CLASSES) * (np.arange(_CLASSES) < 9))
        log = [np.log(np.maximum(self.outputs(x, t), 1e-30)) for t in (False, True)]
        before, after = (values[:, :9] - values[:, 9:] for values in log)
        self.kernels[-1].assign(kernel)
        if _is_alpha_dropout(before, after, _RATE):
            return
        if np.mean(np.abs(after) < 1e-4) > 0.005:
            raise Wrong(
                "Dropped units are set to 0: that is ordinary dropout, which changes the spread of "
                "the layer's outputs and so ends the self-normalisation."
            )
        if any(_is_alpha_dropout(before, after, rate) for rate in _OTHER_RATES):
            raise Wrong("This is alpha dropout, but not with the rate that the task wants.")
        raise Wrong(
            "In training, what reaches the output is not alpha dropout of the last hidden layer, "
            "once. Do other layers drop units too?"
        )

    def require_chain(self) -> None:
        """Raise Wrong unless the layers, called one after the other, give the outputs."""
        x, h = _images("chain", 4), _images("chain", 4)
        try:
            for layer in self.model.layers:
                h = h if type(layer).__name__ == "InputLayer" else layer(h)
            same = np.allclose(h, self.outputs(x), atol=1e-4)
        except Exception:  # whatever a layer says to a wrong input
            same = False
        if not same:
            raise Wrong(
                "The net is right, but its `model.layers`, called one after the other, do not give "
                "its outputs, as task 9 needs: write it as a Sequential or a functional model."
            )


def _require_probabilities(model: Any) -> None:
    try:
        out = np.asarray(model(_images("shape", 3), training=False))
    except (ValueError, TypeError) as error:
        raise Wrong(
            f"The net does not take images of shape (n, 32, 32, 3) ({type(error).__name__}). "
            "A dense layer wants each image as one row of numbers."
        ) from None
    if out.shape != (3, _CLASSES):
        raise Wrong(f"For 3 images your net gives the shape {out.shape}; expected (3, 10).")
    if (out < 0).any() or not np.allclose(out.sum(axis=1), 1, atol=1e-4):
        raise Wrong("The outputs are no class probabilities: no row may be negative or miss sum 1.")


def _images(name: str, n: int) -> np.ndarray:
    """Return n inputs as standardised images are: N(0, 1), float32."""
    return rng(name).normal(size=(n, *_SHAPE)).astype("float32")


@cache
def _given(activation: str) -> list[np.ndarray]:
    """Return kernels with which the sums of each layer have a standard deviation of 1.5."""
    draw, h = rng(activation), _images(activation, 100).reshape(100, -1)
    kernels = []
    for n in [_UNITS] * _HIDDEN + [_CLASSES]:
        kernel = draw.normal(size=(h.shape[1], n)).astype("float32")
        kernels.append(kernel * np.float32(1.5 / (h @ kernel).std()))
        z = h @ kernels[-1]
        elu = _SCALE * np.where(z > 0, z, _ALPHA * np.expm1(np.minimum(z, 0)))
        h = elu if activation == "SELU" else z * 0.5 * (1 + np.tanh(z / 2))
    return kernels


def _is_alpha_dropout(h: np.ndarray, got: np.ndarray, rate: float) -> bool:
    """Dropped units have SELU's lowest value, then all are scaled and shifted."""
    scale = ((1 - rate) * (1 + rate * _LOW**2)) ** -0.5
    shift = -scale * _LOW * rate
    kept = np.isclose(got, scale * h + shift, atol=0.01, rtol=0.005)
    dropped = np.isclose(got, scale * _LOW + shift, atol=0.01)
    spread = 5 * np.sqrt(rate * (1 - rate) / got.size)
    lowest = np.isclose(h, _LOW, atol=0.02).mean()  # these look dropped and kept at once
    alone = (dropped & ~kept).any(axis=1) & kept.any(axis=1)  # each unit is dropped by itself
    return bool(
        (kept | dropped).all()
        and alone.any()
        and abs(np.mean(dropped & ~kept) - rate) < spread + 2 * rate * lowest
    )
