"""Checks of exercise 15: the CIFAR-10 study.

The nets are judged by what they compute and how they start, never by their layers: a Sequential, a
functional and a subclassed model that do the same are equally right. See the `_ex15_` modules.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from coursekit.checks import _ex15_training as training
from coursekit.checks._ex15_dropout import check_mc_predict
from coursekit.checks._ex15_nets import Net, layer, stack
from coursekit.checks._ex15_one_cycle import check_one_cycle
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.behaviour import behaviour
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import agree, rng
from coursekit.checks.kit.models import in_both
from coursekit.checks.kit.values import array, describe, parts

TASKS = TaskList(15, "CIFAR-10 study")
WAYS = ("baseline", "batch_norm", "selu", "alpha_dropout", "mc_dropout", "one_cycle")
_PARTS = ("x_train", "x_valid", "x_test")


def _standardized(
    *images: np.ndarray, by: Any = None, axis: Any = 0, ddof: int = 0, mean: int = 1, power: int = 1
) -> list[np.ndarray]:
    source = (images[0] if by is None else by).astype(float)
    center, std = mean * source.mean(axis=axis), source.std(axis=axis, ddof=ddof) ** power
    std = np.where(std < 1e-6, 1, std)
    return [((part - center) / std).astype("float32") for part in images]


_STANDARDIZED = {
    "One mean and one standard deviation for all pixels together: each pixel has its own.":
        partial(_standardized, axis=None),
    "One mean and one standard deviation for each colour: each pixel has its own.":
        partial(_standardized, axis=(0, 1, 2)),
    "Your statistics come from all parts together: the test images must not be looked at.":
        lambda *images: _standardized(*images, by=np.concatenate(images)),
    "Each part has statistics of its own, so the same image gives other numbers in training and in "
    "testing. The training part's serve for all.":
        lambda *images: [_standardized(part)[0] for part in images],
    "You divide by n − 1; over the images it is n.": partial(_standardized, ddof=1),
    "You divide by the variance, not the standard deviation.": partial(_standardized, power=2),
    "You subtract the mean and do not divide.": partial(_standardized, power=0),
    "You divide and do not subtract the mean.": partial(_standardized, mean=0),
}  # fmt: skip


def _images(constant: float | None = None, later: float = 0) -> tuple[np.ndarray, ...]:
    """Return three parts; one pixel may be constant in training, and `later` more in the test."""
    draw, shape = rng("standardize"), (4, 5, 3)
    spread, level = draw.uniform(0.05, 0.3, shape), draw.uniform(0.2, 0.8, shape)
    images = [
        (level + shift + spread * draw.normal(size=(n, *shape))).astype("float32")
        for n, shift in ((40, 0.0), (15, 0.2), (12, -0.3))
    ]
    if constant is not None:
        for part in images:
            part[:, 0, 0] = constant
        images[2][:, 0, 0] += later
    return tuple(images)


@TASKS.task(
    "Standardised images",
    mistakes=_STANDARDIZED,
    hints=(
        "One mean and one standard deviation for each of the 32·32·3 pixels: over which axis?",
        "Compute both from `x_train` alone and use them for all three parts. Where the standard "
        "deviation is 0, put 1 in its place before you divide.",
    ),
)
def standardize(answer: Any) -> None:
    """Three parts, each with the training part's statistics per pixel."""
    read = parts(*_PARTS, read=partial(array, dtype="float32"))
    compare = partial(agree, answer, lambda *images: tuple(_standardized(*images)), rtol=2e-3)
    compare([_images()], read=read, names=_PARTS, mistakes=_STANDARDIZED)
    constant = "A pixel that is the same in all images must become 0."
    compare([_images(0.0), _images(0.5)], read=read, names=_PARTS, otherwise=constant)
    largest = float(np.abs(read(call(answer, *_images(0.5, 0.25)))[2][:, 0, 0]).max())
    if largest > 10:
        raise Wrong(
            "A pixel that is constant in training and a little different in another part becomes "
            f"{largest:.2g}: a tiny number in place of a standard deviation of 0 is no guard."
        )


_LONG: dict[str, Any] = {"seconds": 120.0}


def _computing(right: str, *wrong: str | None, **settings: Any) -> dict[str, Any]:
    """Return the mistakes in the activation: reason → a function that builds such a net."""
    return {
        f"Your hidden layers compute {name or 'no activation at all'}, not {right}.":
            partial(stack, name and name.lower(), **settings)
        for name in wrong
    }  # fmt: skip


@behaviour(
    TASKS, title="8a: the baseline", right=stack, rtol=0.01, **_LONG,
    hints=(
        "`keras.Input((32, 32, 3))`, then flatten, then a loop of 20 dense layers, then the output "
        "with ten classes and a softmax.",
        'Keras knows both by name: `activation="swish"` and `kernel_initializer="he_normal"`.',
    ),
    mistakes=_computing("Swish", "ReLU", "GELU", None),
)  # fmt: skip
def build_baseline(answer: Any) -> dict[str, np.ndarray]:
    """The net of 20 hidden layers of 100 units, He and Swish, a new one at every call."""
    net = Net(answer)
    net.require_plain("the baseline")
    net.require_start("He")
    if net.model.compiled:
        raise Wrong("Your function compiles the net; leave that to task 3.")
    if in_both(net.model.weights, call(answer).weights):
        raise Wrong("The second call gives the weights of the first; every call must make a net.")
    return net.shown("Swish", "dense layer and Swish")


prepare = behaviour(
    TASKS, title="8b: Nadam", right=training.compiled(), mistakes=training.PREPARE, **_LONG,
    hints=(
        "`model.compile(optimizer=…, loss=…, metrics=[…])`.",
        "The labels are whole numbers, so the loss is `sparse_categorical_crossentropy`; the model "
        "ends in a softmax already.",
    ),
)(training.prepare)  # fmt: skip

find_rate = behaviour(
    TASKS, title="8b: a good learning rate", right=training.searched(),
    mistakes=training.FIND_RATE, **_LONG,
    hints=(
        "Before the first rate keep a copy of every variable; before each further rate, and at the "
        "end, assign it back.",
        "The variables are `model.variables` and `model.optimizer.variables`. The optimizer has "
        "its own once it is built: `model.optimizer.build(model.trainable_variables)`.",
        "`np.nanargmin` finds the place of the smallest number and steps over NaN.",
    ),
)(training.find_rate)  # fmt: skip

train = behaviour(
    TASKS, title="8b: early stopping", right=training.stopped(), mistakes=training.TRAIN, **_LONG,
    hints=(
        "`keras.callbacks.EarlyStopping` watches `val_loss` unless told otherwise.",
        "It has two arguments that you need: `patience`, and one that brings the best weights "
        "back.",
    ),
)(training.train)  # fmt: skip

_NORM = partial(layer, "BatchNormalization")


@behaviour(
    TASKS, title="8c: batch normalisation", right=partial(stack, norm=_NORM), rtol=0.01, **_LONG,
    hints=(
        "Three layers in place of one: the sums, their normalisation, the activation. In which "
        "order?",
        "`keras.layers.Dense(…, use_bias=False)`, `keras.layers.BatchNormalization()`, "
        '`keras.layers.Activation("swish")`.',
    ),
    mistakes={
        "You normalise after the activation; the task wants it before.":
            partial(stack, norm=_NORM, after=True),
        "At inference your net normalises with the statistics of the batch it is given, so a "
        "prediction depends on its neighbours. It must use the moving averages.":
            partial(stack, norm=partial(_NORM, training=True)),
        "In training your net normalises with the moving averages, not the batch's.":
            partial(stack, norm=partial(_NORM, trainable=False)),
        **_computing("Swish", "ReLU", None, norm=_NORM),
    },
)  # fmt: skip
def build_batch_norm(answer: Any) -> dict[str, np.ndarray]:
    """The baseline with batch normalisation before each activation, without useless biases."""
    net = Net(answer)
    net.require_norms()
    net.require_start("He")
    return net.shown("Swish", "dense layer, normalisation, Swish")


_LECUN = {"initializer": "lecun_normal"}


def _self_normalising(answer: Any) -> Net:
    net = Net(answer)
    net.require_plain("a self-normalising net")
    net.require_start("LeCun")
    return net


@behaviour(
    TASKS, title="8d: a net that normalises itself", right=partial(stack, "selu", **_LECUN),
    mistakes=_computing("SELU", "ELU", "Swish", None, **_LECUN), rtol=0.01, **_LONG,
    hints=(
        "The baseline's loop with another activation and the initialiser that belongs to it; no "
        "other layer.",
        "SELU goes with LeCun's normal initialiser, variance 1/fan_in: "
        '`kernel_initializer="lecun_normal"`.',
    ),
)  # fmt: skip
def build_selu(answer: Any) -> dict[str, np.ndarray]:
    """A plain stack with SELU and LeCun's initialiser."""
    return _self_normalising(answer).shown("SELU", "dense layer and SELU")


_DROP = {"end": partial(layer, "AlphaDropout", 0.1), **_LECUN}


@behaviour(
    TASKS, title="8e: alpha dropout", right=partial(stack, "selu", **_DROP),
    mistakes=_computing("SELU", "ELU", "Swish", **_DROP), rtol=0.01, **_LONG,
    hints=(
        "The net of 8d with one more layer, between the last hidden layer and the output.",
        "`keras.layers.AlphaDropout(rate)`. Ordinary dropout sets units to 0, which for SELU is "
        "not its lowest value.",
    ),
)  # fmt: skip
def build_alpha_dropout(answer: Any) -> dict[str, np.ndarray]:
    """The self-normalising net with alpha dropout of rate 0.1 before its output."""
    net = _self_normalising(answer)
    seen = net.shown("SELU", "dense layer and SELU", training=False)
    net.require_alpha_dropout(0.1)
    net.require_chain()
    return seen


@TASKS.task(
    "8e: Monte Carlo dropout",
    **_LONG,
    hints=(
        "A model's layers can be called one by one: `h = layer(h, training=…)` for each in "
        "`model.layers`. For which of them should `training` be True?",
        "`isinstance(layer, (keras.layers.Dropout, keras.layers.AlphaDropout))` tells. Stack the "
        "passes with `np.stack`, then take mean and standard deviation over the first axis.",
    ),
)
def mc_predict(answer: Any) -> None:
    """(model, x, samples): mean and standard deviation over random passes."""
    check_mc_predict(answer)


@TASKS.task(
    "8f: 1cycle",
    **_LONG,
    hints=(
        "Compile with `keras.optimizers.SGD` and a momentum, then train with the callback "
        "`ck.callbacks.OneCycle(max_lr)`.",
        "The callback's `history` holds what the updates used: a dict with `learning_rate` and "
        "`momentum`. Keep the callback in a variable, so that you can ask it afterwards.",
    ),
)
def one_cycle(answer: Any) -> None:
    """(model, max_lr, x, y, valid, epochs, batch_size): history and record of one cycle."""
    check_one_cycle(answer)


@TASKS.task(
    "The comparison",
    hints=(
        "`model(x_test)` or `model.predict(x_test, verbose=0)` gives the probabilities of one net; "
        "five of the six ways are that.",
        "The sixth is the mean of your `mc_predict` with the net of alpha dropout.",
    ),
)
def comparison(predictions: Any, labels: Any) -> None:
    """A dict from each of the six ways to its probabilities of the test images."""
    labels = array(labels, "Your array of labels", shape=(None,), dtype="int")
    if not isinstance(predictions, dict):
        raise Wrong(f"Expected a dict from names to predictions, got {describe(predictions)}.")
    missing = [way for way in WAYS if way not in predictions]
    if missing:
        raise Wrong(f"In your dict there is no entry {', '.join(f'`{way}`' for way in missing)}.")
    found: dict[str, np.ndarray] = {}
    for way in WAYS:
        values = array(predictions[way], f"The entry `{way}`", shape=(len(labels), 10))
        if (values < 0).any() or not np.allclose(values.sum(axis=1), 1, atol=1e-3):
            raise Wrong(f"In the entry `{way}` the rows are no probabilities: they must sum to 1.")
        twin = next((name for name, other in found.items() if np.array_equal(other, values)), None)
        if twin:
            raise Wrong(f"The entries `{twin}` and `{way}` hold the very same predictions.")
        accuracy = float(np.mean(values.argmax(axis=1) == labels))
        if accuracy <= 0.2:
            raise Wrong(
                f"`{way}` is right on {accuracy:.1%} of the images, and guessing on 10%: the net "
                "has hardly learned, or the images are not standardised, or belong to other labels."
            )
        found[way] = values
