"""Checks of exercise 11: dropout and Monte Carlo dropout; masks and nets are in a module."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks import _ex11_layers as masks
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call, require_subclass
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.function import function
from coursekit.checks.kit.values import array, number, parts

TASKS = TaskList(11, "Dropout and Monte Carlo dropout")

_OTHER_SOURCE = "Equal generators give different masks: draw all random numbers from `draw`."
_NO_SOURCE = "Your mask is the same whatever the generator: draw the random numbers from `draw`."
_COPIED = "Two steps with one generator get the same mask; each needs a new one."
_AT_ZERO = "With a rate of 0 the values must stay as they are."


def _kept(factor: Callable[[float], float]) -> Callable[..., Any]:
    return lambda x, rate, draw: x * (draw.random(x.shape) >= rate) * factor(rate)


_dropped = _kept(lambda rate: 1 / (1 - rate))


@TASKS.task(
    "Inverted dropout",
    hints=(
        "Draw one random number between 0 and 1 for each value of `x`: `draw.random(x.shape)`. How "
        "often is such a number below `rate`?",
        "Comparing gives True and False, which multiply like 1 and 0: that is the mask.",
        "Divide what stays by the probability of staying.",
    ),
    mistakes={
        masks.NOTHING.format(""): lambda x, rate, draw: x + 0,
        masks.ONE_MASK: lambda x, rate, draw: x * (draw.random(x.shape[-1]) >= rate),
        masks.WHOLE_ROWS: lambda x, rate, draw: x * (draw.random((len(x), 1)) >= rate),
        masks.KEPT: lambda x, rate, draw: x * (draw.random(x.shape) < rate),
        masks.FIXED: lambda x, rate, draw:
            x * (draw.random(x.shape).argsort(axis=-1) >= round(rate * x.shape[-1])),
        masks.COUNTED: lambda x, rate, draw: x * draw.choice(
            [0, 1, 1.5], x.shape, p=[rate, (1 - rate) / 2, (1 - rate) / 2]),
        **{reason: _kept(factor) for reason, factor in masks.FACTORS.items()},
        _OTHER_SOURCE: lambda x, rate, draw: _dropped(x, rate, np.random.default_rng()),
        _NO_SOURCE: lambda x, rate, draw: _dropped(x, rate, np.random.default_rng(0)),
        _COPIED: lambda x, rate, draw: _dropped(x, rate, copy.deepcopy(draw)),
    },
)  # fmt: skip
def dropout(answer: Any) -> None:
    """One training step's outputs as a function (x, rate, generator)."""

    def drawn(x: np.ndarray, rate: float, draw: Any) -> np.ndarray:
        draw = np.random.default_rng(draw) if isinstance(draw, int) else draw
        return array(call(answer, x, rate, draw), shape=x.shape)

    for rate in (0.3, 0.8):
        values = rng(f"dropout {rate}")
        x = values.choice([-1.0, 1.0], (300, 40)) * values.uniform(0.5, 2.0, (300, 40))
        first, again, other = (drawn(x, rate, seed) for seed in (1, 1, 2))
        for result in (first, other):
            masks.require_dropped(x, result, rate)
        if not np.array_equal(first, again):
            raise Wrong(_OTHER_SOURCE)
        if np.array_equal(first, other):
            raise Wrong(_NO_SOURCE)
        draw = np.random.default_rng(3)
        if np.array_equal(drawn(x, rate, draw), drawn(x, rate, draw)):
            raise Wrong(_COPIED)
    if not np.allclose(drawn(x, 0.0, 4), x, rtol=1e-5):
        raise Wrong(_AT_ZERO)
    drawn(np.linspace(1, 2, 7), 0.5, 5)
    drawn(np.ones((4, 3, 2)), 0.5, 5)


def _kernels() -> list[tuple[Any, ...]]:
    draw = rng("kernel_for_prediction")
    return [(draw.normal(size=(4, 3)), rate) for rate in (0.75, 0.2, 0.6, 0.1)]


def kernel_for_prediction(kernel, rate):
    """Weights × keep probability (Srivastava et al., 2014, section 4)."""
    return (1 - rate) * kernel


function(
    TASKS, kernel_for_prediction, title="Weights after a training without scaling",
    cases=_kernels, read=array,
    hints=(
        "Think of p = 75% and 100 units that all send 1 through weights of 1. What does the next "
        "unit receive in training, on average? And at prediction, when nothing is dropped?",
        "Which factor turns the second number into the first? Write it with `rate`.",
    ),
    mistakes={
        "Your weights grow. At prediction more units send than in training, so each of them must "
        "count for less.": lambda kernel, rate: kernel / (1 - rate),
        "Your factor is the share of units that were dropped. Which share of them was there in "
        "training?": lambda kernel, rate: kernel * rate,
        "The kernel is unchanged: then the next layer receives more than it ever did in training.":
            lambda kernel, rate: kernel,
    },
    edges={"With a rate of 0 nothing was dropped, and the weights must stay as they are.":
           lambda: [(_kernels()[0][0], 0.0), _kernels()[0]]},
)  # fmt: skip


@TASKS.task(
    "A dropout layer that is always on", mistakes=masks.LayerClasses(masks.MC_DROPOUT),
    seconds=120.0,
    hints=(
        "`keras.layers.Dropout` does all the work already, where `training` is true.",
        "In your `call`, call the `call` of the parent class, `super().call(...)`, and tell it "
        "which mode to work in.",
    ),
)  # fmt: skip
def mc_dropout(answer: Any) -> None:
    """A subclass of keras.layers.Dropout that drops at prediction too."""
    from coursekit.base.keras import keras

    def made(*args: Any, **settings: Any) -> Any:
        return keras.Sequential([keras.Input((40,)), answer(*args, **settings)])

    def output(model: Any, training: bool) -> np.ndarray:
        return array(model(x, training=training), "The layer's output", shape=x.shape)

    require_subclass(answer, keras.layers.Dropout, "keras.layers.Dropout")
    x = rng("mc_dropout").uniform(0.5, 2.0, (300, 40)).astype("float32")
    keras.utils.set_random_seed(11)  # the runner puts all seeds back
    for rate in (0.25, 0.6):
        model = made(rate)
        for when, training in ((" at prediction", False), (" in training", True)):
            first, second = (output(model, training) for _ in range(2))
            masks.require_dropped(x, first, rate, when)
            if np.array_equal(first, second):
                raise Wrong(masks.SAME_MASK.format(when))
    if not np.allclose(output(made(0.0), False), x):
        raise Wrong(_AT_ZERO)
    zero = output(made(0.5, noise_shape=(None, 1)), False) == 0
    if not (zero == zero[:, :1]).all():
        raise Wrong(masks.NO_SHAPE)
    if not np.array_equal(*(output(made(0.5, seed=7), False) for _ in range(2))):
        raise Wrong(masks.NO_SEED)
    masks.require_dropped(x, model.predict(x, batch_size=300, verbose=0), rate, " in `predict`")


@TASKS.task(
    "Many predictions of one net", mistakes=masks.MC_SAMPLES, seconds=180.0,
    hints=(
        "`model(x, training=True)` would do in a net where dropout is the only layer with two "
        "modes. Here, go through `model.layers` yourself.",
        "Each layer is a function: `h = layer(h, training=...)`. `isinstance(layer, (A, B))` tells "
        "whether it is of one of two kinds.",
        "Collect the results in a list, each as a NumPy array, and stack them along a new first "
        "axis with `np.stack`.",
    ),
)  # fmt: skip
def mc_samples(answer: Any) -> None:
    """All passes, (samples, n, classes), as a function (model, x, samples)."""
    from coursekit.base.keras import keras

    keras.utils.set_random_seed(11)  # the runner puts all seeds back
    model, draw = masks.net(), rng("mc_samples")
    before = [w.astype(float) for w in model.get_weights()]
    for samples, n in ((30, 5), (1, 4)):
        x = (1 + draw.normal(size=(n, 4))).astype("float32")
        passes = array(call(answer, model, x, samples), shape=(samples, n, 3))
        if not all(map(np.array_equal, before, model.get_weights())):
            raise Wrong(masks.CHANGED)
        if not all(layer.trainable for layer in model.layers):
            raise Wrong("Your function leaves layers of the model frozen; leave it as it was.")
        if not np.allclose(passes.sum(axis=-1), 1, atol=1e-3):
            raise Wrong("The rows of your passes do not sum to 1: return the model's outputs.")
        masks.require_passes(passes, before, x)


_BASE_2 = "You took the logarithm to base 2; nats need the natural one."
_per_row = lambda value: array(value, shape=(None,))  # noqa: E731


def predictive_entropy(probabilities):
    """−Σ p ln p over the last axis, 0 where p is 0."""
    p = np.asarray(probabilities, dtype=float)
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


_entropy = predictive_entropy
function(
    TASKS, predictive_entropy, title="Predictive entropy", read=_per_row,
    cases=lambda: [
        (rng("entropy").dirichlet(np.full(classes, 0.7), size=n),)
        for n, classes in ((6, 2), (6, 3), (5, 10), (4, 4))
    ],
    hints=(
        "Multiply each probability by its natural logarithm, add up along the classes, change the "
        "sign.",
        "`np.log(0)` is −∞, and 0 · −∞ is no number. Let the logarithm see 1 in place of 0, or add "
        "something tiny such as 1e-12.",
    ),
    mistakes={
        "The sign is wrong: an entropy is never negative.": lambda p: -_entropy(p),
        _BASE_2: lambda p: _entropy(p) / np.log(2),
        "You took the logarithm to base 10; nats need the natural one.":
            lambda p: _entropy(p) / np.log(10),
        "You average over the classes; add up.": lambda p: _entropy(p) / p.shape[-1],
        "You divide by the largest entropy, ln of the number of classes; nats are wanted.":
            lambda p: _entropy(p) / np.log(p.shape[-1]),
        "You add up ln p; each has to be weighted by its p.": lambda p: -np.log(p).sum(axis=-1),
        "You sum over the rows; each row has an entropy of its own.": lambda p: _entropy(p.T),
        "That is minus the logarithm of the largest probability.":
            lambda p: -np.log(p.max(axis=-1)),
        "That is 1 minus the largest probability; the entropy needs all of them.":
            lambda p: 1 - p.max(axis=-1),
    },
    edges={"For rows with a probability of 0 it goes wrong.":
           [(np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.2, 0.3, 0.5]]),)]},
)  # fmt: skip


def mutual_information(samples):
    """H[mean over passes] − mean over passes of H."""
    return _entropy(samples.mean(axis=0)) - _entropy(samples).mean(axis=0)


_information = mutual_information
function(
    TASKS, mutual_information, title="Disagreement of the passes", read=_per_row,
    cases=lambda: [
        (rng("information").dirichlet(np.full(classes, 0.7), size=(samples, n)),)
        for samples, n, classes in ((5, 4, 3), (8, 3, 10), (4, 4, 4))
    ],
    hints=(
        "Two entropies. The first: average the passes (which axis?), then take the entropy.",
        "The second: take the entropy of every pass, then average these over the passes.",
        "If your function of task 5 takes two axes only, use it on one pass after the other.",
    ),
    mistakes={
        "That is the entropy of the average prediction alone: it is above 0 even where all passes "
        "agree.": lambda s: _entropy(s.mean(axis=0)),
        "That is the average entropy of the single passes: it does not see whether they disagree.":
            lambda s: _entropy(s).mean(axis=0),
        "The two terms have changed places: yours is never positive.": lambda s: -_information(s),
        "You add the two terms; the second one is to be taken away.":
            lambda s: _entropy(s.mean(axis=0)) + _entropy(s).mean(axis=0),
        "You average over the inputs; the passes are on the first axis.":
            lambda s: _information(s.swapaxes(0, 1)),
        _BASE_2: lambda s: _information(s) / np.log(2),
    },
    edges={"For passes with probabilities of 0 it goes wrong.":
           [(np.array([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]]),)]},
)  # fmt: skip


def alpha_correction(rate, lowest):
    """Return s and d: a and b of Klambauer et al., 2017, in the notation of the notebook."""
    s = ((1 - rate) * (1 + rate * lowest**2)) ** -0.5
    return s, -s * rate * lowest


def _changed(change: Callable[..., tuple[float, float]]) -> Callable[..., Any]:
    """Return a mistake: `change(s, d, mean)` of the right correction."""
    return lambda rate, lowest: change(*alpha_correction(rate, lowest), rate * lowest)


function(
    TASKS, alpha_correction, title="Alpha dropout's correction",
    cases=[(rate, low) for rate in (0.1, 0.25, 0.6) for low in (-1.7580993, -0.9, -2.6, 0.7)],
    read=parts("s", "d", read=number), names=("s", "d"),
    hints=(
        "Write down the mean of the mixture and, with its mean square, the variance. A variable "
        "for each makes it readable.",
        "Which s gives s·x the variance 1? Scaling by s multiplies the variance by s².",
        "Scaling by s multiplies the mean by s as well. d must take that away.",
    ),
    mistakes={
        "The mean moves the wrong way: look at the sign of d.": _changed(lambda s, d, m: (s, -d)),
        "The values are scaled first, so the mean to be taken away is scaled too; your d forgets "
        "it.": _changed(lambda s, d, m: (s, -m)),
        "Your s is the standard deviation itself; divide by it.":
            _changed(lambda s, d, m: (1 / s, -m / s)),
        "Your s is 1 over the variance; a root is missing.":
            _changed(lambda s, d, m: (s**2, -m * s**2)),
        "Your s leaves out that the mean is not 0: the variance is the mean square minus the "
        "square of the mean.":
            _changed(lambda s, d, m: ((s**-2 + m**2) ** -0.5, -m * (s**-2 + m**2) ** -0.5)),
        "`rate` and the keep probability have changed places.":
            lambda rate, lowest: alpha_correction(1 - rate, lowest),
        "The mean is not put back: d is 0.": _changed(lambda s, d, m: (s, 0.0)),
        "The pair is the other way round: s first, then d.": _changed(lambda s, d, m: (d, s)),
        "That is ordinary dropout's scaling; here the dropped units are not 0 but `lowest`.":
            lambda rate, lowest: (1 / (1 - rate), 0.0),
    },
    edges={"With a rate of 0 nothing must be corrected.": [(0.0, -1.76), (0.3, -1.76)]},
)  # fmt: skip
