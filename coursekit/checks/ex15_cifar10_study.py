"""Checks of exercise 15: the CIFAR-10 study.

The nets are judged by what they compute and how they start, never by their layers: a Sequential, a
functional and a subclassed model that do the same are equally right. See the `_ex15_` modules.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks import _ex15_builders as builders
from coursekit.checks import _ex15_training as training
from coursekit.checks._ex15_dropout import check_mc_predict
from coursekit.checks._ex15_one_cycle import check_one_cycle
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import array, describe

TASKS = TaskList(15, "CIFAR-10 study")
WAYS = ("baseline", "batch_norm", "selu", "alpha_dropout", "mc_dropout", "one_cycle")
_PARTS = ("x_train", "x_valid", "x_test")


@TASKS.task(
    "Standardised images",
    hints=(
        "One mean and one standard deviation for each of the 32·32·3 pixels: over which axis?",
        "Compute both from `x_train` alone and use them for all three parts. Where the standard "
        "deviation is 0, put 1 in its place before you divide.",
    ),
)
def standardize(answer: Any) -> None:
    """Three parts, each with the training part's statistics per pixel."""
    draw = rng("standardize")
    spread = draw.uniform(0.05, 0.3, size=(4, 4, 3))
    level = draw.uniform(0.2, 0.8, size=(4, 4, 3))
    parts = [
        (level + shift + spread * draw.normal(size=(n, 4, 4, 3))).astype("float32")
        for n, shift in ((40, 0.0), (15, 0.2), (12, -0.3))
    ]
    got = _three(call(answer, *parts), parts)
    mean, std = parts[0].mean(axis=0, dtype=float), parts[0].std(axis=0, dtype=float)
    _compare_standardised(got, parts, mean, std)
    for constant in (0.0, 0.5):
        for part in parts:
            part[:, 0, 0] = constant
        got = _three(call(answer, *parts), parts)
        if any(np.abs(part[:, 0, 0]).max() > 1e-4 for part in got):
            raise Wrong("A pixel that is the same in all images must become 0.")
    parts[2][:, 0, 0] = 0.75
    got = _three(call(answer, *parts), parts)
    if np.abs(got[2][:, 0, 0]).max() > 10:
        raise Wrong(
            "A pixel that is constant in training and a little different in another part becomes "
            f"{np.abs(got[2][:, 0, 0]).max():.2g}: a tiny number added to a standard deviation of "
            "0 is no guard."
        )


def _three(result: Any, parts: list[np.ndarray]) -> list[np.ndarray]:
    if not isinstance(result, (tuple, list)) or len(result) != 3:
        raise Wrong(f"Expected the three parts, got {describe(result)}.")
    return [
        array(value, f"Your `{name}`", shape=part.shape, dtype="float32")
        for value, name, part in zip(result, _PARTS, parts, strict=True)
    ]


def _compare_standardised(
    got: list[np.ndarray], parts: list[np.ndarray], mean: np.ndarray, std: np.ndarray
) -> None:
    def are(mean: Any, std: Any) -> bool:
        return all(
            np.allclose(g, (part - mean) / std, rtol=2e-3, atol=2e-3)
            for g, part in zip(got, parts, strict=True)
        )

    if are(mean, std):
        return
    train, everything = parts[0].astype(float), np.concatenate(parts).astype(float)
    for wrong, reason in (
        (
            (train.mean(), train.std()),
            "One mean and one standard deviation for all pixels together: each pixel has its own.",
        ),
        (
            (train.mean(axis=(0, 1, 2)), train.std(axis=(0, 1, 2))),
            "One mean and one standard deviation for each colour: each pixel has its own.",
        ),
        (
            (everything.mean(axis=0), everything.std(axis=0)),
            "Your statistics come from all parts together: the test images must not be looked at.",
        ),
        ((mean, train.std(axis=0, ddof=1)), "You divide by n − 1; over the images it is n."),
        ((mean, train.var(axis=0)), "You divide by the variance, not the standard deviation."),
        ((mean, 1.0), "You subtract the mean and do not divide."),
        ((0.0, std), "You divide and do not subtract the mean."),
    ):
        if are(*wrong):
            raise Wrong(reason)
    own = [
        (part - part.mean(axis=0, dtype=float)) / part.std(axis=0, dtype=float) for part in parts
    ]
    if all(np.allclose(g, o, rtol=2e-3, atol=2e-3) for g, o in zip(got, own, strict=True)):
        raise Wrong(
            "Each part has statistics of its own, so the same image gives other numbers in "
            "training and in testing. The training part's serve for all."
        )
    raise Wrong("The parts are not standardised with the training part's statistics per pixel.")


@TASKS.task(
    "8a: the baseline",
    seconds=120.0,
    hints=(
        "`keras.Input((32, 32, 3))`, then flatten, then a loop of 20 dense layers, then the output "
        "with ten classes and a softmax.",
        'Keras knows both by name: `activation="swish"` and `kernel_initializer="he_normal"`.',
    ),
)
def build_baseline(answer: Any) -> None:
    """A function that returns the net of 20 hidden layers of 100 units, He and Swish."""
    builders.check_baseline(answer)


@TASKS.task(
    "8b: Nadam",
    seconds=120.0,
    hints=(
        "`model.compile(optimizer=…, loss=…, metrics=[…])`.",
        "The labels are whole numbers, so the loss is `sparse_categorical_crossentropy`; the model "
        "ends in a softmax already.",
    ),
)
def prepare(answer: Any) -> None:
    """(model, rate): compiled with Nadam, cross-entropy and accuracy."""
    training.check_prepare(answer)


@TASKS.task(
    "8b: a good learning rate",
    seconds=120.0,
    hints=(
        "Before the first rate keep a copy of every variable; before each further rate, and at the "
        "end, assign it back.",
        "The variables are `model.variables` and `model.optimizer.variables`. The optimizer has "
        "its own once it is built: `model.optimizer.build(model.trainable_variables)`.",
        "`np.nanargmin` finds the place of the smallest number and steps over NaN.",
    ),
)
def find_rate(answer: Any) -> None:
    """(model, rates, x, y, valid, epochs): the best rate, the model as found."""
    training.check_find_rate(answer)


@TASKS.task(
    "8b: early stopping",
    seconds=120.0,
    hints=(
        "`keras.callbacks.EarlyStopping` watches `val_loss` unless told otherwise.",
        "It has two arguments that you need: `patience`, and one that brings the best weights "
        "back.",
    ),
)
def train(answer: Any) -> None:
    """(model, x, y, valid, epochs, patience): the history; the model has its best weights."""
    training.check_train(answer)


@TASKS.task(
    "8c: batch normalisation",
    seconds=120.0,
    hints=(
        "Three layers in place of one: the sums, their normalisation, the activation. In which "
        "order?",
        "`keras.layers.Dense(…, use_bias=False)`, `keras.layers.BatchNormalization()`, "
        '`keras.layers.Activation("swish")`.',
    ),
)
def build_batch_norm(answer: Any) -> None:
    """The baseline with batch normalisation before each activation, without useless biases."""
    builders.check_batch_norm(answer)


@TASKS.task(
    "8d: a net that normalises itself",
    seconds=120.0,
    hints=(
        "The baseline's loop with another activation and the initialiser that belongs to it; no "
        "other layer.",
        "SELU goes with LeCun's normal initialiser, variance 1/fan_in: "
        '`kernel_initializer="lecun_normal"`.',
    ),
)
def build_selu(answer: Any) -> None:
    """A plain stack with SELU and LeCun's initialiser."""
    builders.check_selu(answer)


@TASKS.task(
    "8e: alpha dropout",
    seconds=120.0,
    hints=(
        "The net of 8d with one more layer, between the last hidden layer and the output.",
        "`keras.layers.AlphaDropout(rate)`. Ordinary dropout sets units to 0, which for SELU is "
        "not its lowest value.",
    ),
)
def build_alpha_dropout(answer: Any) -> None:
    """The self-normalising net with alpha dropout of rate 0.1 before its output."""
    builders.check_alpha_dropout(answer)


@TASKS.task(
    "8e: Monte Carlo dropout",
    seconds=120.0,
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
    seconds=120.0,
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
                "has hardly learnt, or the images are not standardised, or not those of the labels."
            )
        found[way] = values
