"""No default of `recommend` loses to the choice that it replaces.

Both sides of a pair get the same seeds, epochs and search for a rate; a loss is one that the paired
seeds tell apart. That the comparison can see a loss is shown with the sides exchanged.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import pytest

import coursekit as ck
from coursekit.base.keras import keras
from coursekit.nets.recommend import DEEP, recommend

EarlyStopping = keras.callbacks.EarlyStopping
SHAPE, EPOCHS = (28, 28), 10
RATES = (0.01, 0.03, 0.1)  # made longer where the best one stands at an end


def default(**facts):
    """Return (net, callbacks) of a recommendation, each as a function that `ck.compare` takes."""

    def callbacks(rate):
        advice = recommend(SHAPE, 10, **facts, learning_rate=rate)
        # The last epoch is judged: no side is read where the validation data like it best.
        return [each for each in advice.callbacks(EPOCHS) if not isinstance(each, EarlyStopping)]

    return lambda: recommend(SHAPE, 10, **facts).model, callbacks


def plateau(**settings):
    return lambda rate: [keras.callbacks.ReduceLROnPlateau(**settings)]


def changed(net=None, callbacks=None, **facts):
    """Return the same with the net or the callbacks exchanged; the rest stays."""
    own_net, own_callbacks = default(**facts)
    return net or own_net, callbacks or own_callbacks


def mlp(hidden, **kind):
    def net():
        model = ck.models.mlp(SHAPE, 10, hidden=hidden, **kind)
        optimizer = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    return net


SELU = {"activation": "selu", "initializer": "lecun_normal"}
SHALLOW, SELF = {"hidden": 2}, {"hidden": 3, "self_normalizing": True}
PAIRS = {  # what is recommended, and what it replaces
    "BN in a shallow net": (default(**SHALLOW), changed(mlp(2, activation="relu"), **SHALLOW)),
    "ReLU, not Swish, in a shallow net": (
        default(**SHALLOW), changed(mlp(2, activation="swish", batch_norm=True), **SHALLOW),
    ),
    "BN and Swish in a deep net": (
        default(hidden=DEEP), changed(mlp(DEEP, activation="relu"), hidden=DEEP),
    ),
    "a patience that fits": (
        default(**SHALLOW),
        changed(None, plateau(patience=EPOCHS), **SHALLOW),
    ),
    "performance scheduling where the net normalises itself": (
        default(**SELF),
        changed(None, lambda rate: [ck.callbacks.OneCycle(rate)], **SELF),
    ),
    "two layers for few images": (default(n_train=300), default(hidden=4, n_train=300)),
    "no alpha dropout": (default(**SELF), changed(mlp(3, **SELU, alpha_dropout=0.1), **SELF)),
}  # fmt: skip
CLEAR = ["BN in a shallow net", "BN and Swish in a deep net"]  # large enough for five seeds


def images(n):
    """Return n digits, scaled by one mean and one deviation: rare pixels would drown the rest."""
    raw = ck.load("digits", n_valid=2_000).subset(n)
    mean, std = raw.x_train.mean(), raw.x_train.std()
    x_train, x_valid = ((each - mean) / std for each in (raw.x_train, raw.x_valid))
    labels = {"y_train": raw.y_train, "y_valid": raw.y_valid}
    return SimpleNamespace(x_train=x_train, x_valid=x_valid, **labels)


@cache  # with fewer images or steps the clear pairs are not clear: BN's averages need hundreds
def ends(what):
    """Return {"default": validation loss of each seed, "replaced": …} at the end of training."""
    found, data = {}, images(300 if "few images" in what else 2_000)
    for side, (net, callbacks) in zip(("default", "replaced"), PAIRS[what], strict=True):
        runs = ck.compare(
            {side: net}, data, epochs=EPOCHS, batch_size=32, rates=RATES, callbacks=callbacks
        )
        found[side] = runs.last()[side]
    return found


@pytest.mark.parametrize("what", PAIRS)
def test_a_default_does_not_lose_to_what_it_replaces(what):
    verdict = ck.verdict(ends(what))
    assert verdict.winner != "replaced", verdict.text


@pytest.mark.parametrize("what", CLEAR)
def test_the_choice_that_was_replaced_would_be_found_to_lose(what):
    found = ends(what)
    exchanged = {"default": found["replaced"], "replaced": found["default"]}
    assert ck.verdict(exchanged).winner == "replaced"
