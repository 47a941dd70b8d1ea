"""A comparison is paired, tuned, and keeps what diverged."""

from __future__ import annotations

import math
import types

import matplotlib.pyplot as plt
import numpy as np
import pytest

from coursekit.base.keras import keras
from coursekit.display.pictures import alt_of
from coursekit.errors import ArgumentError
from coursekit.experiments.architecture import architecture
from coursekit.experiments.compare import SEARCH_SEED, compare
from coursekit.training import fit
from coursekit.training.per_step import Schedule

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int32")
DATA = types.SimpleNamespace(x_train=X[:64], y_train=Y[:64], x_valid=X[64:], y_valid=Y[64:])


def net(*, rate=0.1, units=8, optimizer=None, dropout=0.0, init="he_normal"):
    layers = [keras.Input((4,)), keras.layers.Dense(units, "relu", kernel_initializer=init)]
    if dropout:
        layers.append(keras.layers.Dropout(dropout))
    model = keras.Sequential([*layers, keras.layers.Dense(2, "softmax")])
    model.compile(
        optimizer or keras.optimizers.SGD(rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def by_hand(build, seed, *, epochs=3, rate=None, callbacks=()):
    """The loop that a comparison replaces: build, seed, fit."""
    keras.utils.set_random_seed(seed)
    model = build()
    if rate is not None:
        model.optimizer.learning_rate = rate
    return fit(
        model, DATA.x_train, DATA.y_train, epochs=epochs, batch_size=16, verbose=0, seed=seed,
        validation_data=(DATA.x_valid, DATA.y_valid), callbacks=callbacks,
    ).history  # fmt: skip


def run(variants, **options):
    return compare(variants, DATA, **{"epochs": 3, "batch_size": 16, "seeds": 2} | options)


@pytest.mark.parametrize(
    "build",
    [
        net,
        lambda: net(dropout=0.5),
        lambda: net(optimizer=keras.optimizers.Nadam(0.01)),
        lambda: net(optimizer=keras.optimizers.Adagrad(0.1)),
        lambda: net(optimizer=keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 9))),
    ],
    ids=["SGD", "dropout", "Nadam", "Adagrad", "schedule"],
)
def test_each_run_is_the_one_that_a_loop_by_hand_makes(build):
    runs = run({"a": build})
    for row, seed in enumerate(runs.seeds):
        for metric, values in by_hand(build, seed).items():
            np.testing.assert_allclose(runs.history["a"][metric][row], values, rtol=1e-5)


def test_variants_of_one_architecture_get_the_same_weights_and_batches():
    runs = run({"a": net, "same": net, "other": lambda: net(init="zeros")})
    np.testing.assert_array_equal(runs.history["a"]["val_loss"], runs.history["same"]["val_loss"])
    assert not np.allclose(runs.history["a"]["val_loss"], runs.history["other"]["val_loss"])


def test_history_has_a_row_for_each_seed_and_a_column_for_each_epoch():
    runs = run({"a": net}, seeds=3, epochs=4)
    shapes = {metric: values.shape for metric, values in runs.history["a"].items()}
    assert shapes == dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), (3, 4))
    assert SEARCH_SEED not in runs.seeds
    assert runs.rates["a"] is None


def test_the_rate_is_chosen_on_a_seed_of_its_own_and_used_in_every_run():
    rates = (0.01, 0.1, 1.0)
    runs = run({"a": net}, rates=rates, epochs=2)
    reached = {r: by_hand(net, SEARCH_SEED, epochs=2, rate=r)["val_loss"][-1] for r in rates}
    for rate in rates:
        assert runs.searched["a"][rate] == pytest.approx(reached[rate], rel=1e-5)
    chosen = runs.rates["a"]
    assert chosen == min(runs.searched["a"], key=runs.searched["a"].get)
    again = by_hand(net, runs.seeds[1], epochs=2, rate=chosen)
    np.testing.assert_allclose(runs.history["a"]["loss"][1], again["loss"], rtol=1e-5)


def test_several_seeds_choose_a_rate_by_their_mean_and_none_is_used_again():
    seen = []

    def drawn(seed):
        seen.append(seed)
        return DATA

    rates = (0.01, 0.1, 1.0)
    budget = {"epochs": 2, "batch_size": 16, "seeds": 3}
    runs = compare({"a": net}, drawn, rates=rates, search_seeds=3, **budget)
    searching = [seed for seed in dict.fromkeys(seen) if seed not in runs.seeds]
    assert (len(searching), searching[0]) == (3, SEARCH_SEED)
    for rate in rates:
        each = [by_hand(net, seed, epochs=2, rate=rate)["val_loss"][-1] for seed in searching]
        assert runs.searched["a"][rate] == pytest.approx(np.mean(each), rel=1e-5)


def test_a_rate_that_diverges_for_one_of_the_searching_seeds_is_out():
    def wild_at_times(seed):
        wild = types.SimpleNamespace(**vars(DATA))
        wild.x_train = X[:64] * (1e30 if seed not in (SEARCH_SEED, *range(1, 9)) else 1)
        return wild

    runs = compare(
        {"a": net}, wild_at_times, epochs=1, seeds=1, rates=(0.01, 0.1, 1.0), search_seeds=2
    )
    assert set(runs.searched["a"].values()) == {math.inf}
    assert not runs.diverged["a"]


@pytest.mark.parametrize("rates", [(1e-6, 1e-5), (1e3, 3e3), (1e-5,)])
def test_a_best_rate_at_an_end_makes_the_list_longer_until_it_is_inside(rates):
    found = run({"a": net}, rates=rates, seeds=1, epochs=1).searched["a"]
    best = min(found, key=found.get)
    assert min(found) < best < max(found) or len(found) == 15
    assert set(rates) <= set(found)


def test_each_rate_of_a_search_begins_where_a_loop_by_hand_does():
    made = []

    def build():
        made.append(1)
        return net(dropout=0.5, optimizer=keras.optimizers.Nadam())

    found = run({"a": build}, rates=(0.001, 0.01, 0.1), seeds=1).searched["a"]
    assert len(made) == 3  # for the search, for the seed, and for the model that is given away
    for rate, loss in found.items():
        assert loss == pytest.approx(by_hand(build, SEARCH_SEED, rate=rate)["val_loss"][-1])


def test_each_rate_of_a_search_finds_the_global_random_states_of_the_seed():
    seen = []

    class Draw(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append((np.random.random(), float(keras.random.uniform(()))))  # noqa: NPY002

    run({"a": net}, rates=(0.01, 0.1, 1.0), seeds=1, callbacks=lambda: [Draw()])
    assert len(set(seen)) == 2
    assert len(set(seen[:-1])) == 1


def test_data_may_follow_the_seed_the_same_for_every_variant():
    asked = []

    def drawn(seed):
        asked.append(seed)
        rows = np.random.default_rng(seed).permutation(64)[:32]
        return types.SimpleNamespace(
            x_train=X[rows], y_train=Y[rows], x_valid=X[64:], y_valid=Y[64:]
        )

    budget = {"epochs": 2, "batch_size": 16}
    runs = compare({"a": net, "b": net}, drawn, rates=(0.03, 0.1, 0.3), seeds=2, **budget)
    assert set(asked) == {SEARCH_SEED, *runs.seeds}
    np.testing.assert_array_equal(runs.history["a"]["loss"], runs.history["b"]["loss"])
    assert runs.searched["a"] == runs.searched["b"]
    for row, seed in enumerate(runs.seeds):
        part = drawn(seed)
        keras.utils.set_random_seed(seed)
        model = net(rate=runs.rates["a"])
        alone = fit(model, part.x_train, part.y_train, seed=seed, verbose=0, **budget).history
        np.testing.assert_allclose(runs.history["a"]["loss"][row], alone["loss"], rtol=1e-5)


def test_another_metric_may_choose_the_rate():
    runs = run({"a": net}, rates=(1e-4, 0.1, 0.3), choose_by="val_accuracy", seeds=1)
    assert runs.searched["a"][runs.rates["a"]] == max(runs.searched["a"].values())


def test_a_diverged_run_is_kept_and_named(capsys):
    runs = run({"wild": lambda: net(rate=1e30), "tame": net})
    assert runs.diverged == {"wild": runs.seeds, "tame": ()}
    assert np.isnan(runs.history["wild"]["val_loss"]).all()
    assert np.isnan(runs.last("val_loss")["wild"]).all()
    assert runs.verdict("val_loss").leaders == ("tame",)
    assert runs.table()[0].diverged == "2 of 2"
    assert capsys.readouterr().out == ""


def test_callbacks_are_new_for_each_run_and_an_early_stop_leaves_nan_behind():
    made = []

    def callbacks():
        made.append(keras.callbacks.EarlyStopping("val_loss", patience=0, min_delta=10.0))
        return made[-1:]

    runs = run({"a": net, "b": net}, callbacks={"a": callbacks}, epochs=4)
    assert len(made) == 2
    assert np.isnan(runs.history["a"]["val_loss"][:, 2:]).all()
    np.testing.assert_array_equal(runs.last("val_loss")["a"], runs.history["b"]["val_loss"][:, 1])
    assert runs.diverged["a"] == ()


def test_a_variant_that_asks_for_the_rate_makes_its_schedule_from_it():
    def cosine(rate):
        return net(optimizer=keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(rate, 12)))

    runs = run({"cosine": cosine}, rates=(0.03, 0.3), seeds=1)
    again = by_hand(lambda: cosine(runs.rates["cosine"]), runs.seeds[0])
    np.testing.assert_allclose(runs.history["cosine"]["loss"][0], again["loss"], rtol=1e-5)


def test_callbacks_may_ask_for_the_rate():
    given = []

    def callbacks(rate):
        given.append(rate)
        return []

    run({"a": net}, rates=(0.01, 0.1, 1.0), callbacks=callbacks, seeds=1, epochs=1)
    assert given[:3] == [0.01, 0.1, 1.0]


def test_global_random_states_are_left_as_found():
    keras.utils.set_random_seed(7)
    expected = np.random.random(), keras.random.normal((2,)).numpy().tolist()  # noqa: NPY002
    keras.utils.set_random_seed(7)
    run({"a": net}, seeds=1, epochs=1)
    assert (np.random.random(), keras.random.normal((2,)).numpy().tolist()) == expected  # noqa: NPY002


def test_the_last_model_is_kept():
    runs = run({"a": net})
    loss = runs.models["a"].evaluate(DATA.x_valid, DATA.y_valid, verbose=0)[0]
    assert loss == pytest.approx(runs.history["a"]["val_loss"][-1, -1], rel=1e-5)


@pytest.fixture
def traced(monkeypatch):
    """The programs that are made."""
    from coursekit.experiments import trainee
    from coursekit.training import programs

    monkeypatch.setattr(trainee, "_working", {})
    found = []
    make = programs.Loop.__init__

    def counted(self, *args, **kwargs):
        found.append(args)
        make(self, *args, **kwargs)

    monkeypatch.setattr(programs.Loop, "__init__", counted)
    return found


def test_one_program_serves_all_seeds_and_rates(traced):
    run({"a": net}, rates=(0.01, 0.1, 1.0), seeds=3)
    assert len(traced) == 2  # one for training, one for validation


def test_variants_with_one_function_share_a_program_and_nothing_else(traced):
    def steady(factor):
        return lambda rate: [Schedule(lambda step, total: factor * rate)]

    factors = {"full": 1.0, "half": 0.5, "none": 0.0}
    callbacks = {name: steady(factor) for name, factor in factors.items()}
    shared = run(dict.fromkeys(factors, net), rates=(0.05, 0.1, 0.2), callbacks=callbacks)
    assert len(traced) <= 3  # training with a schedule, validation; one that is short
    for name in factors:
        alone = run({name: net}, rates=(0.05, 0.1, 0.2), callbacks=callbacks[name])
        np.testing.assert_allclose(shared.last()[name], alone.last()[name], rtol=1e-5)
        loss = shared.models[name].evaluate(DATA.x_valid, DATA.y_valid, verbose=0)[0]
        assert loss == pytest.approx(shared.history[name]["val_loss"][-1, -1], rel=1e-5)
    assert len({id(model) for model in shared.models.values()}) == 3


def test_one_program_serves_nets_that_start_differently_and_the_next_comparison(traced):
    starts = {init: lambda init=init: net(init=init) for init in ("he_normal", "zeros")}
    first = run(starts)
    kept = {name: model.get_weights() for name, model in first.models.items()}
    again = run({"again": net}, rates=(0.01, 0.1, 1.0))
    assert len(traced) == 2
    for name, build in starts.items():
        for row, seed in enumerate(first.seeds):
            loss = by_hand(build, seed)["val_loss"]
            np.testing.assert_allclose(first.history[name]["val_loss"][row], loss, rtol=1e-5)
        for before, after in zip(kept[name], first.models[name].get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
    assert again.models["again"] is not first.models["he_normal"]


class Halved(keras.layers.Layer):
    """A layer that does not tell its configuration."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor


def scaled(factor):
    return keras.Sequential([keras.Input((4,)), Halved(factor), keras.layers.Dense(2, "softmax")])


def compiled(model, optimizer="sgd", loss="sparse_categorical_crossentropy", **options):
    model.compile(optimizer, loss, **options)
    return model


def dense(*layers):
    return keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(2, "softmax")])


def right(name):
    return keras.metrics.SparseCategoricalAccuracy(name=name)


def two_ways(swapped):
    inputs = keras.Input((4,))
    sides = [keras.layers.Dense(2, kind)(inputs) for kind in ("relu", "tanh")]
    first, second = sides[::-1] if swapped else sides
    return keras.Model(inputs, keras.layers.Subtract()([first, second]))


def frozen(model):
    model.layers[0].trainable = False
    return model


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: net(units=8), lambda: net(units=9)),
        (lambda: net(dropout=0.1), lambda: net(dropout=0.2)),
        (lambda: net(optimizer="sgd"), lambda: net(optimizer=keras.optimizers.SGD(momentum=0.9))),
        (
            lambda: compiled(dense(keras.layers.Dense(3, "relu"))),
            lambda: compiled(dense(keras.layers.Dense(3, "tanh"))),
        ),
        (
            lambda: compiled(dense(keras.layers.Dense(3, kernel_regularizer="l2"))),
            lambda: compiled(dense(keras.layers.Dense(3))),
        ),
        (lambda: compiled(net()), lambda: compiled(net(), metrics=["accuracy"])),
        (
            lambda: compiled(net(), metrics=[right("a")]),
            lambda: compiled(net(), metrics=[right("b")]),
        ),
        (
            lambda: compiled(dense(keras.layers.Dense(3))),
            lambda: compiled(dense(keras.layers.Dense(3, dtype="mixed_bfloat16"))),
        ),
        (
            lambda: compiled(net(), keras.optimizers.SGD(0.1)),
            lambda: compiled(
                net(), keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 9))
            ),
        ),
        (
            lambda: compiled(two_ways(swapped=False), loss="mse"),
            lambda: compiled(two_ways(swapped=True), loss="mse"),
        ),
        (
            lambda: compiled(dense(keras.layers.Dense(3))),
            lambda: compiled(frozen(dense(keras.layers.Dense(3)))),
        ),
    ],
)
def test_what_takes_other_steps_is_another_architecture(one, other):
    assert architecture(one()) == architecture(one())
    assert None not in (architecture(one()), architecture(other()))
    assert architecture(one()) != architecture(other())


def own_step(model):
    model.train_step = lambda data: {"loss": 0.0}
    return model


def without_decay():
    optimizer = keras.optimizers.AdamW(0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


@pytest.mark.parametrize(
    "hiding",
    [
        lambda: compiled(scaled(0.5)),
        lambda: compiled(dense(keras.layers.Dense(3, lambda z: z))),
        lambda: compiled(net(), loss=lambda y, p: p - y),
        lambda: compiled(net(), without_decay()),
        lambda: own_step(net()),
        lambda: compiled(type("Own", (keras.Sequential,), {})([keras.Input((4,))])),
    ],
    ids=["layer", "activation", "loss", "exceptions", "step", "class"],
)
def test_what_may_hide_something_is_no_known_architecture(hiding):
    assert architecture(hiding()) is None


def test_layers_that_hide_something_are_not_taken_for_each_other():
    runs = run({f"{factor}": lambda factor=factor: compiled(scaled(factor)) for factor in (1, 0)})
    alone = run({"0": lambda: compiled(scaled(0))})
    np.testing.assert_array_equal(runs.last("loss")["0"], alone.last("loss")["0"])
    assert (runs.last("loss")["0"] != runs.last("loss")["1"]).all()


def test_pictures_have_the_verdict_as_title_and_tell_their_data():
    runs = run({"a": net, "b": lambda: net(rate=0.001)}, rates=(0.01, 0.1, 1.0))
    for fig in (runs.curves("val_loss"), runs.final("val_accuracy"), runs.rate_curves()):
        ax = fig.axes[0]
        assert ax.get_xlabel()
        assert "a" in alt_of(fig)
        plt.close(fig)
    ax = runs.curves("val_loss").axes[0]
    title = ax.figure.get_suptitle()
    assert title.replace("\n", " ") == runs.verdict("val_loss").headline
    plt.close("all")


def test_rates_that_were_not_searched_cannot_be_drawn():
    with pytest.raises(ArgumentError, match="no rates were searched"):
        run({"a": net}).rate_curves()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"variants": {}}, ArgumentError, "variants: expected at least one"),
        ({"variants": {"a": 3}}, TypeError, "a: expected a function"),
        (
            {"variants": {"a": lambda: 3}},
            ArgumentError,
            "a: expected a compiled Keras model, got 3",
        ),
        ({"rates": "best"}, ArgumentError, "\"search\", got 'best'"),
        ({"rates": (0.1, 0.01)}, ArgumentError, "positive, ascending"),
        ({"rates": (0.0, 0.01)}, ArgumentError, "positive, ascending"),
        ({"rates": ()}, ArgumentError, "positive, ascending"),
        (
            {"rates": (0.1,), "choose_by": "vall"},
            ArgumentError,
            "choose_by: expected one of accuracy, loss",
        ),
        ({"seeds": 0}, ArgumentError, "seeds: expected a whole number from 1 up"),
        ({"search_seeds": 0}, ArgumentError, "search_seeds: expected a whole number from 1 up"),
        ({"seeds": 900, "search_seeds": 101}, ArgumentError, "at most 1000 together, got 900 and"),
        ({"epochs": 1.5}, TypeError, "epochs: expected a whole number"),
        ({"callbacks": {"b": list}}, ArgumentError, r"expected names among a, got \['b'\]"),
        ({"callbacks": {"a": []}}, TypeError, "a function that returns a new list"),
        ({"variants": {"a": lambda rate: net(rate=rate)}}, ArgumentError, "give rates to choose"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(options, error, message):
    variants = options.pop("variants", {"a": net})
    with pytest.raises(error, match=message):
        run(variants, **options)


def test_rates_for_a_schedule_are_refused_with_the_way_out():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 9)
    with pytest.raises(ArgumentError, match=r"a is compiled with a schedule \(CosineDecay\)"):
        run({"a": lambda: net(optimizer=keras.optimizers.SGD(schedule))}, rates=(0.1, 0.2))
