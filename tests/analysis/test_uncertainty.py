"""Monte Carlo prediction: against enumeration, the naive loop and predict; nothing left behind."""

from __future__ import annotations

import gc
import itertools
import random
import weakref

import numpy as np
import pytest
from scipy.stats import entropy

import coursekit as ck
from coursekit.base.keras import keras, tf
from coursekit.errors import ArgumentError
from coursekit.nets.builders import mlp

L = keras.layers


@pytest.fixture(autouse=True)
def same_weights_every_time():
    keras.utils.set_random_seed(1)


def sequential(*layers, shape=(6,), classes=3):
    return keras.Sequential([keras.Input(shape), *layers, L.Dense(classes, activation="softmax")])


def naive_samples(model, x, samples, training=True):
    """The usual way: a call in training mode; rows of one call have masks of their own."""
    y = model(np.repeat(x, samples, axis=0), training=training).numpy()
    return y.reshape(len(x), samples, -1).swapaxes(0, 1)


def assert_same_mean(one, two):
    """Means over the samples differ by less than 5 standard errors."""
    error = np.sqrt(one.var(axis=0) / len(one) + two.var(axis=0) / len(two))
    assert np.all(np.abs(one.mean(axis=0) - two.mean(axis=0)) < 5 * error)


def squared_distances(samples):
    """Their mean is the variance; how widely they scatter tells how well it is known."""
    return (samples - samples.mean(axis=0)) ** 2


def inputs(n, *shape, seed=0):
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype("float32")


class CountRuns(L.Layer):
    """The identity; counts how often it really runs, and how often it is traced."""

    def __init__(self):
        super().__init__()
        self.runs = self.traces = 0

    def call(self, x):
        self.traces += 1

        def count(values):
            self.runs += 1
            return values

        y = tf.numpy_function(count, [x], x.dtype)
        y.set_shape(x.shape)
        return y

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


# --- the distribution --------------------------------------------------------------------------


def test_every_sample_is_one_of_the_outcomes_that_masks_allow_each_equally_often():
    model = sequential(L.Dense(3, activation="tanh"), L.Dropout(0.5))
    x = inputs(1, 6)
    w1, b1, w2, b2 = model.get_weights()
    hidden = np.tanh(x @ w1 + b1)
    logits = [
        hidden * np.array(mask) / 0.5 @ w2 + b2 for mask in itertools.product([0, 1], repeat=3)
    ]
    outcomes = np.concatenate([np.exp(z) / np.exp(z).sum() for z in logits])

    drawn = ck.mc_predict(model, x, samples=4000, seed=0).samples[:, 0]
    distance = np.abs(drawn[:, None] - outcomes[None]).max(axis=-1)
    assert distance.min(axis=1).max() < 1e-6
    counts = np.bincount(distance.argmin(axis=1), minlength=8)
    assert np.abs(counts - 500).max() < 5 * np.sqrt(4000 * 1 / 8 * 7 / 8)


@pytest.mark.parametrize(
    "layers",
    [
        [L.Flatten(), L.Dropout(0.3)],
        [L.Flatten(), L.Dropout(0.3, seed=7)],
        [L.Flatten(), L.AlphaDropout(0.2)],
        [L.SpatialDropout1D(0.4), L.Flatten()],
        [L.GaussianDropout(0.3), L.Flatten()],
        [L.GaussianNoise(0.5), L.Flatten()],
        [L.TimeDistributed(L.Dropout(0.4)), L.Flatten()],
        [L.LSTM(5, dropout=0.4)],
        [L.Bidirectional(L.GRU(4, recurrent_dropout=0.5))],
        [L.RNN(L.SimpleRNNCell(5, dropout=0.4))],
    ],
    ids=lambda layers: "-".join(type(layer).__name__ for layer in layers),
)
def test_mean_and_spread_agree_with_the_naive_loop(layers):
    # Those above were made, and their noise seeded, when tests were collected: with any numbers.
    layers = [layer.from_config(layer.get_config()) for layer in layers]
    model = sequential(*layers, shape=(5, 4))
    x = inputs(6, 5, 4)
    naive = naive_samples(model, x, 1000)
    mc = ck.mc_predict(model, x, samples=1000, seed=0)
    assert naive.std(axis=0).min() > 1e-3
    assert_same_mean(mc.samples, naive)
    assert_same_mean(squared_distances(mc.samples), squared_distances(naive))
    np.testing.assert_allclose(mc.std, mc.samples.std(axis=0), rtol=1e-3)


def test_attention_with_dropout_is_stochastic():
    inp = keras.Input((5, 4))
    attended = L.MultiHeadAttention(2, 3, dropout=0.5)(inp, inp)
    out = L.Dense(3, activation="softmax")(L.Flatten()(attended))
    assert ck.mc_predict(keras.Model(inp, out), inputs(2, 5, 4), samples=20).std.min() > 0


def test_statistics_are_those_of_the_samples():
    model = mlp((6,), 4, hidden=2, dropout=0.5)
    mc = ck.mc_predict(model, inputs(7, 6), samples=30, seed=3)
    assert mc.samples.shape == (30, 7, 4)
    assert mc.samples.dtype == mc.mean.dtype == mc.std.dtype == np.float32
    np.testing.assert_allclose(mc.samples.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(mc.mean.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(mc.mean, mc.samples.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(mc.std, mc.samples.std(axis=0), atol=1e-6)
    np.testing.assert_allclose(mc.entropy, entropy(mc.mean, axis=1), atol=1e-6)


def test_noise_differs_between_samples_rows_batches_and_layers():
    # Equal rows: only noise tells them apart.
    model = sequential(L.Dropout(0.5), L.Dense(8, activation="tanh"), shape=(32,))
    drawn = ck.mc_predict(model, np.ones((8, 32)), samples=6, batch_size=4, seed=0).samples
    assert len(np.unique(drawn.reshape(48, 3).round(6), axis=0)) == 48

    inp = keras.Input((16,))
    for one, two in [(L.Dropout(0.5), L.Dropout(0.5)), [L.Dropout(0.5, seed=1)] * 2]:
        # The difference of two equal masks would be 0, and every sample alike.
        difference = one(inp) - two(inp)
        model = keras.Model(inp, L.Dense(3, activation="softmax")(difference))
        assert ck.mc_predict(model, np.ones((4, 16)), samples=5).std.min() > 0


def test_a_mask_shared_by_the_batch_is_drawn_anew_for_each_sample():
    model = sequential(L.Dropout(0.5, noise_shape=(1, 6)))
    drawn = ck.mc_predict(model, np.ones((4, 6)), samples=50, seed=0).samples
    assert drawn.std(axis=1).max() < 1e-6
    assert drawn.std(axis=0).min() > 0.01


# --- only dropout is stochastic ----------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.0, 1e-9])
def test_without_any_drop_every_sample_equals_predict(rate):
    model = sequential(L.Dense(9), L.BatchNormalization(), L.Dropout(rate), L.Dense(5))
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(inputs(64, 6), np.zeros(64), epochs=2, verbose=0)
    x = inputs(10, 6, seed=1)
    mc = ck.mc_predict(model, x, samples=5, seed=0)
    expected = model.predict(x, verbose=0)
    if rate == 0:
        np.testing.assert_array_equal(mc.mean, expected)
        np.testing.assert_array_equal(mc.std, np.zeros_like(expected))
    np.testing.assert_allclose(mc.samples, np.repeat(expected[None], 5, axis=0), atol=1e-6)


def test_batch_normalisation_stays_in_inference_mode():
    # In training mode BN would standardise the batch, and the shift of the inputs would be lost.
    class Always(L.Dropout):
        def call(self, x):
            return super().call(x, training=True)

    first, norm, last = L.Dense(8), L.BatchNormalization(), L.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((6,)), first, norm, L.Dropout(0.3), last])
    book = keras.Sequential([keras.Input((6,)), first, norm, Always(0.3), last])
    norm.set_weights([np.full(8, v) for v in (1.5, 0.2, 0.7, 4.0)])
    x = inputs(5, 6) + 3
    mc = ck.mc_predict(model, x, samples=1000, seed=0)
    assert_same_mean(mc.samples, naive_samples(book, x, 1000, training=False))
    everything_in_training_mode = naive_samples(model, x, 1000).mean(axis=0)
    assert np.abs(everything_in_training_mode - mc.mean).max() > 0.1


# --- every kind of model -----------------------------------------------------------------------


def chain(counter):
    return sequential(L.Dense(6), counter, L.Dropout(0.5))


def residual(counter):
    # The deterministic part is also used after the dropout, and added by an operator.
    inp = keras.Input((6,))
    h = counter(L.Dense(6)(inp) + inp)
    h = h + L.Dropout(0.5)(L.Dense(6, activation="relu")(h))
    return keras.Model(inp, L.Dense(3, activation="softmax")(h))


def nested(counter):
    inner = keras.Sequential([keras.Input((6,)), L.Dense(6), counter, L.Dropout(0.5)])
    return sequential(L.Dense(6), inner)


def shared(counter):
    inp = keras.Input((6,))
    dense, drop = L.Dense(6), L.Dropout(0.5)
    h = L.Concatenate()([drop(dense(inp)), drop(counter(dense(inp * 2)))])
    return keras.Model(inp, L.Dense(3, activation="softmax")(h))


class Subclassed(keras.Model):
    def __init__(self, counter):
        super().__init__()
        self.counter, self.hidden, self.drop = counter, L.Dense(6), L.Dropout(0.5)
        self.last = L.Dense(3, activation="softmax")

    def call(self, x, training=None):
        return self.last(self.drop(self.counter(self.hidden(x)), training=training))


def subclassed(counter):
    model = Subclassed(counter)
    model(np.zeros((1, 6)))
    return model


@pytest.mark.parametrize("build", [chain, residual, nested, shared, subclassed])
def test_what_comes_before_the_first_dropout_runs_once_a_batch(build):
    counter = CountRuns()
    model = build(counter)
    x = inputs(7, 6)
    counter.runs = 0
    mc = ck.mc_predict(model, x, samples=400, batch_size=3, seed=0)
    assert counter.runs == 3
    assert_same_mean(mc.samples, naive_samples(model, x, 400))


class Looping(keras.Model):
    """Its loop calls one layer many times, but TensorFlow traces the loop once."""

    def __init__(self):
        super().__init__()
        self.first, self.inside, self.drop = L.Dense(6), L.Dense(6, "tanh"), L.Dropout(0.5)
        self.last = L.Dense(3, activation="softmax")

    def call(self, x, training=None):
        start = tf.constant(0), self.first(x)
        _, h = tf.while_loop(lambda i, h: i < 3, lambda i, h: (i + 1, self.inside(h)), start)
        return self.last(self.drop(h, training=training))


def late_branch(counter):
    # Computed after the dropout of the other branch, and not hit by its noise.
    inp = keras.Input((6,))
    noisy = L.Dense(6)(L.Dense(6)(L.Dropout(0.5)(L.Dense(6)(inp))))
    return keras.Model(inp, L.Dense(3, activation="softmax")(noisy + counter(L.Dense(6)(inp))))


def looping(counter):
    model = Looping()
    model(np.zeros((1, 6)))
    return model


@pytest.mark.parametrize("build", [looping, late_branch])
def test_models_with_loops_and_branches_of_their_own_give_the_naive_loop_s_result(build):
    model, x = build(CountRuns()), inputs(7, 6)
    mc = ck.mc_predict(model, x, samples=400, batch_size=3, seed=0)
    assert_same_mean(mc.samples, naive_samples(model, x, 400))


@pytest.mark.parametrize("build", [chain, residual, nested, shared, subclassed])
def test_later_calls_trace_nothing_again(build):
    counter = CountRuns()
    model = build(counter)
    ck.mc_predict(model, inputs(7, 6), samples=3, batch_size=4)
    traces = counter.traces
    ck.mc_predict(model, inputs(50, 6), samples=20)
    assert counter.traces == traces


class Own(L.Layer):
    """Noise of a layer of one's own, in three ways."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        if how != "global":
            self.seed_generator = keras.random.SeedGenerator(5)
        self.mc_dropout = how == "marked"

    def call(self, x, training=None):
        if self.how == "marked" and not training:
            return x
        return keras.random.dropout(x, 0.5, seed=getattr(self, "seed_generator", None))


@pytest.mark.parametrize("how", ["marked", "always", "global"])
def test_layers_of_ones_own_are_stochastic_and_seeded(how):
    model = sequential(L.Dense(6), Own(how), L.Dropout(0.0))
    python_state = random.getstate()
    one, two, other = (ck.mc_predict(model, inputs(4, 6), samples=50, seed=s) for s in (0, 0, 1))
    assert one.std.min() > 0
    np.testing.assert_array_equal(one.samples, two.samples)
    assert np.abs(one.samples - other.samples).max() > 0
    assert random.getstate() == python_state


def test_the_books_dropout_class_without_a_training_argument_works():
    class MCDropout(L.AlphaDropout):
        def call(self, x):
            return super().call(x, training=True)

    model = sequential(L.Dense(6), MCDropout(0.3))
    assert ck.mc_predict(model, inputs(4, 6), samples=20).std.min() > 0


def test_a_model_at_half_precision_works():
    model = sequential(L.Dense(6, dtype="mixed_float16"), L.Dropout(0.5, dtype="mixed_float16"))
    mc = ck.mc_predict(model, inputs(4, 6), samples=20, seed=0)
    assert mc.std.min() > 0


def test_images_as_bytes_are_converted():
    model = sequential(L.Rescaling(1 / 255), L.Flatten(), L.Dropout(0.5), shape=(4, 4))
    x = np.random.default_rng(0).integers(0, 256, size=(3, 4, 4), dtype="uint8")
    as_bytes, as_floats = (ck.mc_predict(model, v, samples=4, seed=0).samples for v in (x, x * 1.0))
    np.testing.assert_array_equal(as_bytes, as_floats)


# --- seeds, batches, ends ----------------------------------------------------------------------


def test_the_same_seed_gives_the_same_result_and_another_one_another():
    model = mlp((6,), 3, hidden=2, dropout=0.5)
    one, two, other = (ck.mc_predict(model, inputs(5, 6), seed=s, samples=9) for s in (4, 4, 5))
    np.testing.assert_array_equal(one.samples, two.samples)
    assert np.abs(one.samples - other.samples).max() > 0.01


def test_a_built_copy_with_the_same_weights_repeats_the_samples():
    model = mlp((6,), 3, hidden=2, dropout=0.5)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    one, two = (ck.mc_predict(m, inputs(5, 6), seed=4, samples=9) for m in (model, copy))
    np.testing.assert_allclose(one.samples, two.samples, atol=1e-6)


def test_no_seed_draws_fresh_samples():
    model = mlp((6,), 3, hidden=2, dropout=0.5)
    keras.utils.set_random_seed(0)
    one = ck.mc_predict(model, inputs(5, 6), samples=9)
    keras.utils.set_random_seed(0)
    assert np.abs(one.samples - ck.mc_predict(model, inputs(5, 6), samples=9).samples).max() > 0.01


@pytest.mark.parametrize(
    ("n", "samples", "batch_size"), [(1, 1, 1), (1, 5, 1024), (5, 1, 2), (7, 3, 7)]
)
def test_small_numbers_and_odd_batches(n, samples, batch_size):
    model = mlp((6,), 3, hidden=1, dropout=0.5)
    mc = ck.mc_predict(model, inputs(n, 6), samples=samples, batch_size=batch_size)
    assert mc.samples.shape == (samples, n, 3)
    assert mc.mean.shape == mc.std.shape == (n, 3)
    assert mc.entropy.shape == (n,)
    if samples == 1:
        np.testing.assert_array_equal(mc.mean, mc.samples[0])
        np.testing.assert_array_equal(mc.std, np.zeros((n, 3)))


# --- as found ----------------------------------------------------------------------------------


def test_weights_averages_seeds_slots_and_random_states_stay_as_found():
    model = mlp((6,), 3, hidden=2, batch_norm=True, dropout=0.5, alpha_dropout=0.1)
    model.layers[1].activity_regularizer = keras.regularizers.L2(0.1)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(inputs(40, 6), np.zeros(40), verbose=0)
    x = inputs(5, 6)

    def everything():
        numpys = np.random.get_state()[1].tolist()  # noqa: NPY002
        random_states = [random.getstate(), numpys]
        variables = [v.numpy().tolist() for v in model.variables + model.optimizer.variables]
        calls = [vars(layer).get("call") for layer in model.layers]
        return [variables, random_states, calls, model.layers, len(model.variables)]

    before, predicted = everything(), model.predict(x, verbose=0)
    ck.mc_predict(model, x, samples=4)
    assert everything() == before
    np.testing.assert_array_equal(model.predict(x, verbose=0), predicted)


def test_later_random_numbers_are_those_without_mc_predict():
    known, fresh = (mlp((6,), 3, hidden=1, dropout=0.5) for _ in range(2))
    ck.mc_predict(known, inputs(5, 6), samples=4)

    def numbers_after(models):
        keras.utils.set_random_seed(7)
        for model in models:
            ck.mc_predict(model, inputs(5, 6), samples=4)
        drawn = [keras.random.uniform((3,)), tf.random.uniform((3,)), np.random.rand(3)]  # noqa: NPY002
        return [np.asarray(numbers).tolist() for numbers in drawn] + [random.random()]

    assert numbers_after([known, fresh]) == numbers_after([])


def test_a_model_that_fails_is_left_as_found():
    class Fails(L.Layer):
        def call(self, x):
            raise RuntimeError("no")

        def compute_output_shape(self, shape):
            return shape

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    model = sequential(L.Dense(4), L.Dropout(0.5), Fails())
    with pytest.raises(RuntimeError, match="no"):
        ck.mc_predict(model, inputs(2, 6))
    assert not any("call" in vars(layer) for layer in model.layers)


def test_training_on_is_seen_without_compiling_again():
    model = sequential(counter := CountRuns(), L.Dense(4), L.Dropout(0.5))
    x = inputs(3, 6)
    before = ck.mc_predict(model, x, samples=5, seed=0).samples
    traces = counter.traces
    model.set_weights([w + 1 for w in model.get_weights()])
    assert np.abs(ck.mc_predict(model, x, samples=5, seed=0).samples - before).max() > 0
    assert counter.traces == traces


def test_a_changed_rate_counts():
    model = sequential(L.Dense(40), L.Dropout(0.1))
    little = ck.mc_predict(model, inputs(3, 6), samples=50, seed=0)
    model.layers[1].rate = 0.8
    assert ck.mc_predict(model, inputs(3, 6), samples=50, seed=0).std.mean() > 2 * little.std.mean()


@pytest.mark.parametrize("build", [chain, residual, subclassed])
def test_a_model_no_longer_used_is_freed(build):
    model = build(CountRuns())
    ck.mc_predict(model, inputs(2, 6), samples=2)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"samples": 0}, ArgumentError, "samples: expected a whole number from 1 up, got 0"),
        ({"samples": True}, TypeError, "samples: expected a whole number from 1 up, got True"),
        ({"samples": 2.5}, TypeError, "samples: expected a whole number from 1 up, got 2.5"),
        ({"batch_size": 0}, ArgumentError, "batch_size: expected a whole number from 1 up, got 0"),
        ({"seed": -1}, ArgumentError, "seed: expected a whole number from 0 up, got -1"),
        ({"seed": "a"}, TypeError, "seed: expected a whole number from 0 up, got 'a'"),
        ({"x": np.empty((0, 6))}, ArgumentError, "at least one input"),
        ({"x": np.ones((2, 5))}, ArgumentError, r"x must have the shape \(n, 6\), .*\(2, 5\)"),
        ({"x": np.ones(6)}, ArgumentError, r"x must have the shape \(n, 6\), .*\(6,\)"),
        ({"x": 3.0}, ArgumentError, r"x must have the shape \(n, 6\), .*\(\)"),
        ({"x": np.full((2, 6), np.nan)}, ArgumentError, "sum to 1 .* nan"),
        ({"model": "m"}, TypeError, "model: expected a Keras model, got str"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, message):
    given = {"model": mlp((6,), 3, hidden=1, dropout=0.5), "x": np.ones((2, 6)), "samples": 2}
    with pytest.raises(error, match=message):
        ck.mc_predict(**given | arguments)


def two_inputs():
    one, two = keras.Input((6,)), keras.Input((6,))
    return keras.Model([one, two], L.Dense(3, activation="softmax")(L.Dropout(0.5)(one + two)))


def two_outputs():
    inp = keras.Input((6,))
    h = L.Dropout(0.5)(inp)
    return keras.Model(inp, [L.Dense(3, activation="softmax")(h), L.Dense(1)(h)])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: mlp((6,), 3, hidden=1), "must have a dropout layer"),
        (lambda: keras.Sequential([L.Dropout(0.5), L.Dense(3)]), "has none yet: give it"),
        (two_inputs, "must have one input, but has 2"),
        (two_outputs, "must have one output"),
        (lambda: keras.Sequential([keras.Input((6,)), L.Dropout(0.5)]), "must return class prob"),
        (
            lambda: sequential(L.Reshape((2, 3)), L.Dropout(0.5)),
            "must have one output of the shape",
        ),
    ],
)
def test_models_that_do_not_fit_are_refused(build, message):
    with pytest.raises(ArgumentError, match=message):
        ck.mc_predict(build(), np.ones((2, 6)), samples=2)
