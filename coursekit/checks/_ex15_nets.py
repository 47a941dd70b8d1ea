"""Exercise 15: the four nets, read however they were written, and judged by what they compute.

The weights are told apart by shape and name, in the order in which the net holds them, and given
values; that this is the order in which the net uses them shows when its outputs are right.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.models import require_model

_SHAPE, _HIDDEN, _UNITS, _CLASSES = (32, 32, 3), 20, 100, 10
_LOW = -1.0507009873554805 * 1.6732632423543772  # SELU's lowest value
_KINDS = ("bias", "gamma", "beta", "moving_mean", "moving_variance")


def stack(
    activation: str | None = "swish", initializer: str = "he_normal", *,
    norm: Callable | None = None, after: bool = False, end: Callable | None = None,
) -> Any:  # fmt: skip
    """Return a net: `norm` comes before the activation, or `after` it, `end` before the output."""
    from coursekit.base.keras import keras

    make, layers = keras.layers, [keras.Input(_SHAPE), keras.layers.Flatten()]
    for _ in range(_HIDDEN):
        layers.append(make.Dense(_UNITS, use_bias=norm is None, kernel_initializer=initializer))
        steps = [make.Activation(activation or "linear"), *([norm()] if norm else [])]
        layers += steps if after else steps[::-1]
    return keras.Sequential([*layers, *([end()] if end else []), make.Dense(_CLASSES, "softmax")])


def layer(name: str, *args: Any, training: bool | None = None, **settings: Any) -> Any:
    """Return a Keras layer; with `training` it works so whatever it is told."""
    from coursekit.base.keras import keras

    made = getattr(keras.layers, name)(*args, **settings)
    if training is not None:
        own = made.call
        made.call = lambda x, **_: own(x, training=training)
    return made


class Net:
    """What a learner's function builds: the model, its kernels, and its other weights by kind."""

    def __init__(self, answer: Callable[[], Any]):
        from coursekit.base.keras import keras

        if isinstance(answer, keras.Model):
            raise Wrong("This is a model; pass the function that builds it, without parentheses.")
        keras.utils.set_random_seed(15)  # the runner puts all seeds back
        self.model = call(answer)
        if isinstance(self.model, keras.Model):
            self._require_probabilities()
        require_model(self.model, "Your net")
        matrices = [weight for weight in self.model.weights if len(weight.shape) == 2]
        self.kernels = sorted(matrices, key=lambda kernel: kernel.shape[1] == _CLASSES)
        self.others: dict[str, list[Any]] = {kind: [] for kind in _KINDS}
        for weight in self.model.weights:
            kind = next((k for k in _KINDS if weight.name.endswith(k)), None)
            if tuple(weight.shape) == (_UNITS,) and kind:
                self.others[kind].append(weight)
        self._require_shapes()

    def outputs(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return the class probabilities."""
        return np.asarray(self.model(x, training=training), float)

    def _require_probabilities(self) -> None:
        try:
            out = self.outputs(_images("shape", 3))
        except (ValueError, TypeError) as error:
            raise Wrong(
                f"The net does not take images of shape (n, 32, 32, 3) ({type(error).__name__}). "
                "A dense layer wants each image as one row of numbers."
            ) from None
        if out.shape != (3, _CLASSES):
            raise Wrong(f"For 3 images your net gives the shape {out.shape}; expected (3, 10).")
        if (out < 0).any() or not np.allclose(out.sum(axis=1), 1, atol=1e-4):
            raise Wrong(
                "The outputs are no class probabilities: a row is negative or misses sum 1."
            )

    def _require_shapes(self) -> None:
        hidden = [tuple(kernel.shape) for kernel in self.kernels[:-1]]
        widths = sorted({shape[1] for shape in hidden})
        if len(hidden) != _HIDDEN:
            raise Wrong(f"Your net has {len(hidden)} hidden dense layers; the task wants 20.")
        if widths != [_UNITS]:
            raise Wrong(f"Your hidden layers have {widths} units; the task wants {_UNITS} each.")
        if hidden[0][0] != np.prod(_SHAPE):
            seen = hidden[0][0]
            raise Wrong(f"The first hidden layer sees {seen} numbers of an image; it has 32·32·3.")
        known = sum(self.others.values(), self.kernels)
        for weight in self.model.weights:
            if not any(weight is one for one in known) and tuple(weight.shape) != (_CLASSES,):
                raise Wrong(
                    f"Besides dense layers of {_UNITS} units your net has a weight `{weight.name}` "
                    f"of shape {tuple(weight.shape)}; the task wants none."
                )
        if not all(kernel.trainable for kernel in self.kernels):
            raise Wrong("Some of your layers are frozen: nothing in this net is trained yet.")

    def require_start(self, initialiser: str) -> None:
        """Raise Wrong unless each hidden kernel was drawn by this initialiser."""
        kernels = [np.asarray(kernel, float) for kernel in self.kernels[:-1]]
        if any(np.array_equal(one, following) for one, following in pairwise(kernels)):
            raise Wrong(
                "Two hidden layers begin with the very same weights. One initialiser object used "
                "twice draws the same numbers twice: make a new one for each layer, or give its "
                "name."
            )
        shares = [np.mean(kernel**2) * len(kernel) for kernel in kernels]
        known = {"LeCun": 1, "He": 2, "Glorot": [2 * len(k) / sum(k.shape) for k in kernels]}
        found = [name for name, want in known.items() if np.allclose(shares, want, rtol=0.1)]
        if found and found[0] != initialiser:
            default = ", Keras' default" if found[0] == "Glorot" else ""
            raise Wrong(
                f"The hidden kernels are drawn by {found[0]}'s initialiser{default}; the task "
                f"wants {initialiser}'s."
            )
        if not found:
            worst = int(np.argmax(np.abs(np.log(np.maximum(shares, 1e-12) / known[initialiser]))))
            raise Wrong(
                f"At initialisation the kernel of hidden layer {worst + 1} has the variance "
                f"{kernels[worst].var():.3g} with fan_in {len(kernels[worst])}; {initialiser}'s "
                "initialiser gives another."
            )

    def require_plain(self, what: str) -> None:
        """Raise Wrong where there are normalisation layers, or biases in some layers alone."""
        biases = self.others["bias"]
        if any(self.others[kind] for kind in _KINDS[1:]):
            raise Wrong(f"There are normalisation layers in your net; {what} has none.")
        if len(biases) not in (0, _HIDDEN):
            raise Wrong(f"Only {len(biases)} of your hidden layers have a bias.")
        if "self" in what and any(np.any(bias) for bias in biases):
            raise Wrong("Your biases do not start at 0, so the means of the layers do not either.")

    def require_norms(self) -> None:
        """Raise Wrong unless each hidden layer has moving averages and none a bias."""
        n_norms = len(self.others["moving_mean"])
        if n_norms == 0:
            raise Wrong(
                "Your net keeps no moving averages: it has no batch normalisation. (Layer "
                "normalisation is another thing: it has none.)"
            )
        if n_norms != _HIDDEN:
            raise Wrong(f"{n_norms} of your {_HIDDEN} hidden layers are normalised.")
        if self.others["bias"]:
            raise Wrong(
                "Your hidden layers still have biases. A constant added to the sums goes away again"
                " when normalisation subtracts their mean: a weight that can never do anything."
            )

    def shown(self, activation: str, what: str, training: bool = True) -> dict[str, np.ndarray]:
        """Return the outputs at inference, and in `training`, with weights that show everything."""
        draw, gain = rng("weights"), 1.0 if activation == "SELU" else 1.5  # signals neither die
        for kernel in self.kernels:  # out nor grow
            kernel.assign(draw.normal(0, gain / np.sqrt(kernel.shape[0]), kernel.shape))
        for low, high, kind in ((-0.6, 0.6, "moving_mean"), (0.6, 1.6, "moving_variance")):
            for weight in self.others[kind]:
                weight.assign(draw.uniform(low, high, _UNITS))
        x, layers = _images("outputs", 40), f"20 times {what}, then a softmax output"
        seen = {f"the outputs at inference ({layers})": self.outputs(x)}
        if not training:
            return seen
        in_training = self.outputs(x, training=True)
        if not (self.others["moving_mean"] or np.allclose([in_training], list(seen.values()))):
            raise Wrong(
                "In training your net gives other outputs than at inference: is there dropout?"
            )
        return seen | {f"the outputs in training ({layers})": in_training}

    def require_alpha_dropout(self, rate: float) -> None:
        """Raise Wrong unless alpha dropout happens in training, once, right before the output."""
        x = _images("alpha dropout", 400)
        if not np.array_equal(self.outputs(x), self.outputs(x)):
            raise Wrong("At inference two predictions of the same images differ: dropout stays on.")
        if np.array_equal(self.outputs(x, training=True), self.outputs(x, training=True)):
            raise Wrong("In training nothing is random: two passes give the same outputs.")
        # The output layer passes nine units on as logits, beside one logit that is 0.
        self.kernels[-1].assign(np.eye(_UNITS, _CLASSES) * (np.arange(_CLASSES) < 9))
        log = [np.log(np.maximum(self.outputs(x, on), 1e-30)) for on in (False, True)]
        before, after = (values[:, :9] - values[:, 9:] for values in log)
        if _is_alpha_dropout(before, after, rate):
            return
        if np.mean(np.abs(after) < 1e-4) > 0.005:
            raise Wrong(
                "Dropped units are set to 0: that is ordinary dropout, which changes the spread of "
                "the layer's outputs and so ends the self-normalisation."
            )
        if any(_is_alpha_dropout(before, after, k / 100) for k in range(1, 100)):
            raise Wrong("This is alpha dropout, but not with the rate that the task wants.")
        raise Wrong(
            "In training, what reaches the output is not alpha dropout of the last hidden layer, "
            "once. Do other layers drop units too?"
        )

    def require_chain(self) -> None:
        """Raise Wrong unless the layers, called one after the other, give the outputs."""
        h = x = _images("chain", 4)
        try:
            for part in self.model.layers:
                h = h if type(part).__name__ == "InputLayer" else part(h)
            same = np.allclose(h, self.outputs(x), atol=1e-4)
        except Exception:  # whatever a layer says to a wrong input
            same = False
        if not same:
            raise Wrong(
                "The net is right, but its `model.layers`, called one after the other, do not give "
                "its outputs, as task 9 needs: write it as a Sequential or a functional model."
            )


def _images(name: str, n: int) -> np.ndarray:
    """Return n inputs as standardised images are: N(0, 1), float32."""
    return rng(name).normal(size=(n, *_SHAPE)).astype("float32")


def _is_alpha_dropout(h: np.ndarray, got: np.ndarray, rate: float) -> bool:
    """Dropped units have SELU's lowest value, then all are scaled and shifted."""
    scale = ((1 - rate) * (1 + rate * _LOW**2)) ** -0.5
    kept = np.isclose(got, scale * (h - _LOW * rate), atol=0.01, rtol=0.005)
    dropped = np.isclose(got, scale * (1 - rate) * _LOW, atol=0.01)
    lowest = np.isclose(h, _LOW, atol=0.02).mean()  # these look dropped and kept at once
    slack = 5 * np.sqrt(rate * (1 - rate) / got.size) + 2 * rate * lowest
    some = ((dropped & ~kept).any(axis=1) & kept.any(axis=1)).any()  # not whole images
    return bool((kept | dropped).all() and some and abs((dropped & ~kept).mean() - rate) < slack)
