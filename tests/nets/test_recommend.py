"""The guidelines as a function: configurations, special needs, reasons, refusals, and training."""

from __future__ import annotations

import numpy as np
import pytest

import coursekit as ck
from coursekit.base.keras import keras
from coursekit.errors import ArgumentError
from coursekit.nets.recommend import DEEP, FEW_IMAGES, recommend

L = keras.layers


def of_kind(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def hidden(model):
    return of_kind(model, L.Dense)[:-1]


def activations(model):
    return {layer.activation.__name__ for layer in of_kind(model, L.Activation)}


def row(advice, what):
    return next(choice for choice in advice.choices if choice.what == what)


def recommended(**facts):
    return recommend((6, 4), 3, **{"units": 20} | facts)


@pytest.mark.parametrize(
    ("depth", "activation"), [(1, "relu"), (DEEP - 1, "relu"), (DEEP, "silu"), (20, "silu")]
)
def test_default_has_bn_with_relu_where_shallow_and_swish_where_deep(depth, activation):
    model = recommend((30,), 3, hidden=depth).model
    assert activations(model) == {activation}
    assert len(of_kind(model, L.BatchNormalization)) == len(hidden(model)) == depth
    kinds = [type(layer) for layer in model.layers[1:4]]
    assert kinds == [L.Dense, L.BatchNormalization, L.Activation]
    first = hidden(model)[0].get_weights()[0]
    assert first.std() == pytest.approx(np.sqrt(2 / 30), rel=0.1)


def test_self_normalising_has_selu_and_lecun_and_neither_bn_nor_dropout():
    model = recommend((30,), 3, hidden=12, self_normalizing=True).model
    assert activations(model) == {"selu"}
    assert not of_kind(model, (L.BatchNormalization, L.AlphaDropout, L.Dropout))
    assert hidden(model)[0].get_weights()[0].std() == pytest.approx(np.sqrt(1 / 30), rel=0.1)


@pytest.mark.parametrize(
    ("facts", "depth"),
    [
        ({}, 4),
        ({"n_train": FEW_IMAGES}, 4),
        ({"n_train": FEW_IMAGES - 1}, 2),
        ({"needs": "latency"}, 2),
        ({"needs": "latency", "hidden": 7}, 7),
        ({"n_train": 10, "hidden": 1}, 1),
    ],
)
def test_depth_follows_the_images_and_the_needs_unless_it_is_given(facts, depth):
    assert len(hidden(recommended(**facts).model)) == depth


@pytest.mark.parametrize("facts", [{}, {"n_train": 10}, {"n_train": 10, "self_normalizing": True}])
def test_the_optimizer_is_nesterov(facts):
    optimizer = recommended(**facts).model.optimizer
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert optimizer.nesterov
    assert optimizer.momentum == 0.9


def test_the_net_without_bn_gets_a_lower_rate():
    assert recommended().learning_rate == 0.01
    assert recommended(self_normalizing=True).learning_rate == 0.003


@pytest.mark.parametrize("self_normalizing", [False, True])
def test_the_schedule_listens_unless_1cycle_is_asked_for(self_normalizing):
    assert recommended(self_normalizing=self_normalizing).schedule == "performance"
    asked = recommended(self_normalizing=self_normalizing, schedule="1cycle")
    assert asked.schedule == "1cycle"


def test_callbacks_are_new_ones_each_time_and_fit_the_schedule():
    performance, cycle = recommended(), recommended(schedule="1cycle", learning_rate=0.02)
    kinds = [type(callback).__name__ for callback in performance.callbacks(8)]
    assert kinds == ["ReduceLROnPlateau", "EarlyStopping"]
    (first,), (second,) = cycle.callbacks(8), cycle.callbacks(8)
    assert isinstance(first, ck.callbacks.OneCycle)
    assert first is not second
    assert first.max_lr == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("epochs", "patience"), [(1, 1), (8, 1), (12, 2), (16, 2), (40, 5), (100, 5)]
)
def test_patience_fits_the_run(epochs, patience):
    plateau, stop = recommended().callbacks(epochs)
    assert (plateau.patience, stop.patience) == (patience, 2 * patience)
    assert (plateau.monitor, plateau.factor) == ("val_loss", 0.5)
    assert (stop.monitor, stop.mode, stop.restore_best_weights) == ("val_accuracy", "max", True)


@pytest.mark.parametrize("schedule", ["performance", "1cycle"])
@pytest.mark.parametrize(("epochs", "kind"), [(0, ArgumentError), ("ten", TypeError)])
def test_callbacks_need_a_number_of_epochs(schedule, epochs, kind):
    with pytest.raises(kind, match="epochs: expected a whole number from 1 up"):
        recommended(schedule=schedule).callbacks(epochs)


def test_a_given_rate_is_in_the_optimizer():
    assert float(recommended(learning_rate=0.5).model.optimizer.learning_rate) == 0.5
    assert float(recommended(learning_rate=np.float32(0.25)).model.optimizer.learning_rate) == 0.25


def test_latency_takes_relu_even_where_deep_and_says_to_fold():
    advice = recommended(hidden=DEEP, needs="latency")
    assert activations(advice.model) == {"relu"}
    assert of_kind(advice.model, L.BatchNormalization)
    assert any("fold" in step for step in advice.afterwards)
    no_bn = recommended(needs="latency", self_normalizing=True)
    assert not any("fold" in step for step in no_bn.afterwards)


def test_sparse_puts_l1_on_hidden_kernels_only_and_it_is_in_the_loss():
    model = recommended(needs="sparse", hidden=2).model
    expected = 3e-4 * sum(np.abs(layer.get_weights()[0]).sum() for layer in hidden(model))
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    assert len(model.losses) == 2


def test_sparse_keeps_self_normalisation_and_prunes_afterwards():
    advice = recommended(needs="sparse", self_normalizing=True)
    assert not advice.model.losses
    assert row(advice, "sparsity").choice == "prune afterwards"


@pytest.mark.parametrize("self_normalizing", [False, True])
def test_uncertainty_gives_a_net_for_monte_carlo_dropout(self_normalizing):
    advice = recommended(needs="uncertainty", self_normalizing=self_normalizing)
    kind = L.AlphaDropout if self_normalizing else L.Dropout
    assert len(of_kind(advice.model, kind)) == 1
    prediction = ck.mc_predict(advice.model, np.ones((2, 6, 4)), samples=20, seed=0)
    assert prediction.std.max() > 0


def test_needs_add_up_in_any_collection():
    for needs in (["sparse", "uncertainty"], {"sparse", "uncertainty"}, ("sparse", "uncertainty")):
        model = recommended(needs=needs).model
        assert model.losses
        assert of_kind(model, L.Dropout)


def test_the_model_has_the_asked_shapes_and_gives_probabilities():
    model = recommend((5, 5, 3), 4, n_train=20_000).model
    assert (model.input_shape, model.output_shape) == ((None, 5, 5, 3), (None, 4))
    np.testing.assert_allclose(np.sum(model(np.zeros((2, 5, 5, 3))), axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"hidden": 10, "needs": ("latency", "sparse", "uncertainty"), "n_train": 50},
        {"self_normalizing": True, "needs": "sparse"},
    ],
)
def test_every_choice_has_a_reason_and_the_text_shows_all(facts):
    advice = recommended(**facts)
    names = [choice.what for choice in advice.choices]
    assert len(set(names)) == len(names)
    text = repr(advice)
    for choice in advice.choices:
        assert choice.why
        assert all(part in text for part in choice)
    assert all(step in text for step in advice.afterwards)


def test_the_text_tells_the_truth_about_the_model():
    for facts in ({}, {"hidden": 9}, {"hidden": 9, "self_normalizing": True}, {"n_train": 99}):
        advice = recommended(**facts)
        assert row(advice, "depth").choice.startswith(str(len(hidden(advice.model))))
        has_bn = bool(of_kind(advice.model, L.BatchNormalization))
        assert (row(advice, "normalisation").choice != "none") is has_bn
        told = row(advice, "learning rate").choice
        assert float(told) == pytest.approx(float(advice.model.optimizer.learning_rate))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"hidden": 0}, "hidden: expected a whole number from 1 up, got 0"),
        ({"n_train": 0}, "n_train: expected a whole number from 1 up"),
        ({"units": 0}, "units: expected a whole number from 1 up, got 0"),
        (
            {"needs": "speed"},
            r"needs must be among latency, sparse, uncertainty, but holds 'speed'",
        ),
        ({"needs": ["sparse", 3]}, "needs must be among .* but holds 3"),
        ({"schedule": "cosine"}, "schedule must be 1cycle or performance, but is 'cosine'"),
        ({"learning_rate": 0}, r"learning_rate: expected a number in \(0, inf\), got 0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected"),
    ],
)
def test_values_out_of_range_are_refused(facts, message):
    with pytest.raises(ArgumentError, match=message):
        recommended(**facts)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"hidden": 2.5}, "hidden: expected a whole number from 1 up, got 2.5"),
        ({"n_train": "many"}, "n_train: expected a whole number from 1 up, got 'many'"),
        ({"learning_rate": "0.1"}, "learning_rate: expected a number"),
        ({"needs": 3}, "needs must be"),
    ],
)
def test_wrong_types_are_refused(facts, message):
    with pytest.raises(TypeError, match=message):
        recommended(**facts)


@pytest.mark.parametrize("facts", [{}, {"hidden": 8}, {"hidden": 8, "self_normalizing": True}])
def test_a_recommended_net_learns(facts):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(640, 8)).astype("float32")
    y = (x[:, 0] > 0) + 2 * (x[:, 1] > 0)
    advice = recommend((8,), 4, units=30, **facts)
    history = ck.fit(
        advice.model, x[:512], y[:512], epochs=12, batch_size=16, verbose=0, seed=0,
        validation_data=(x[512:], y[512:]), callbacks=advice.callbacks(12),
    )  # fmt: skip
    assert history.diverged_at is None
    assert max(history.history["val_accuracy"]) > 0.8
