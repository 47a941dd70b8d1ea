"""`fit` means what `model.fit` means: the oracle is Keras itself, fed in the order of `fit`."""

import numpy as np
import pytest

from coursekit.base import console
from coursekit.base.keras import keras, tf
from coursekit.training import fit, programs
from coursekit.training.trainer import shuffled

L = keras.layers
N, FEATURES, CLASSES = 75, 6, 4
_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(N, FEATURES)).astype("float32")
Y = _RNG.integers(0, CLASSES, N).astype("int32")
X_VALID = _RNG.normal(size=(21, FEATURES)).astype("float32")
Y_VALID = _RNG.integers(0, CLASSES, 21).astype("int32")
SPARSE = "sparse_categorical_crossentropy"


def network(*extra, hidden=8, **dense):
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((FEATURES,)),
            L.Dense(hidden, "tanh", **dense),
            *extra,
            L.Dense(CLASSES, "softmax"),
        ]
    )


def twins(make):
    """Make a model twice from the same random states: a layer draws its seed when it is made."""
    for _ in range(2):
        keras.utils.set_random_seed(3)
        yield make()


def batches_in_order(arrays, epochs, batch_size, seed):
    for epoch in range(epochs):
        order = shuffled(len(arrays[0]), seed, epoch)
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            yield tuple(array[rows] for array in arrays)


def trained_pair(
    make, *, epochs=2, batch_size=16, seed=5, x=X, y=Y, valid=True, sample_weight=None, **weights
):
    """Train two equal models, one by `fit`, one by `model.fit` on batches in the same order."""
    ours, theirs = twins(make)
    options = {
        "epochs": epochs,
        "validation_data": (X_VALID, Y_VALID) if valid else None,
        **weights,
    }
    history = fit(
        ours, x, y, batch_size=batch_size, seed=seed, sample_weight=sample_weight, **options
    ).history
    arrays = [array for array in (x, y, sample_weight) if array is not None]
    expected = theirs.fit(
        batches_in_order(arrays, epochs, batch_size, seed),
        steps_per_epoch=-(-len(y) // batch_size),
        shuffle=False,
        verbose=0,
        **options,
    ).history
    return ours, history, theirs, expected


def assert_equal(ours, history, theirs, expected, tolerance=2e-5):
    assert history.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-4, atol=tolerance)
    for a, b in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=tolerance, err_msg=a.path)
    assert int(ours.optimizer.iterations.numpy()) == int(theirs.optimizer.iterations.numpy())
    slots = zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True)
    for a, b in slots:
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=tolerance, err_msg=a.path)


OPTIMIZERS = {
    "nesterov": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.002, momentum=0.5, centered=True),
    "adagrad": lambda: keras.optimizers.Adagrad(0.05),
    "adadelta": lambda: keras.optimizers.Adadelta(1.0),
    "adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "adamax": lambda: keras.optimizers.Adamax(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "nadam": lambda: keras.optimizers.Nadam(0.01),
    "ftrl": lambda: keras.optimizers.Ftrl(0.05),
    "lamb": lambda: keras.optimizers.Lamb(0.01),
    "adafactor": lambda: keras.optimizers.Adafactor(0.01),
    "clipnorm": lambda: keras.optimizers.SGD(0.5, clipnorm=0.05),
    "clipvalue": lambda: keras.optimizers.SGD(0.5, clipvalue=0.01),
    "global_clipnorm": lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.05),
    "weight_decay": lambda: keras.optimizers.SGD(0.05, momentum=0.9, weight_decay=0.1),
    "ema": lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=4),
    "accumulation": lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=3),
    "schedule": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=2, decay_rate=0.5)
    ),
    "loss_scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_takes_the_steps_of_model_fit(name, xla):
    def make():
        model = network()
        model.compile(OPTIMIZERS[name](), SPARSE)
        return model

    assert_equal(*trained_pair(make, batch_size=25, valid=False))


LAYERS = {
    "batch_norm": lambda: [L.BatchNormalization(momentum=0.8)],
    "layer_norm": lambda: [L.LayerNormalization()],
    "dropout_off": lambda: [L.Dropout(0.0)],
    "activity_regularizer": lambda: [L.ActivityRegularization(l2=0.1)],
    "frozen": lambda: [L.Dense(8, trainable=False)],
    "nested_model": lambda: [keras.Sequential([L.Dense(5, "relu"), L.BatchNormalization()])],
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_with_a_state_or_a_loss_of_their_own_do_as_in_model_fit(name, way):
    def make():
        model = network(
            *LAYERS[name](),
            kernel_regularizer="l2",
            kernel_constraint=keras.constraints.MaxNorm(0.7),
        )
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), SPARSE, metrics=["accuracy"])
        return model

    assert_equal(*trained_pair(make))


@pytest.mark.parametrize("batch_size", [1, 25, 74, 1000])
def test_the_last_batch_counts_for_its_rows_whatever_the_batch_size(batch_size, way):
    def make():
        model = network(L.BatchNormalization())
        model.compile(keras.optimizers.SGD(0.05), SPARSE, metrics=["accuracy"])
        return model

    assert_equal(*trained_pair(make, batch_size=batch_size))


def test_one_sample_is_enough(xla):
    def make():
        model = network()
        model.compile("sgd", SPARSE)
        return model

    assert_equal(*trained_pair(make, x=X[:1], y=Y[:1], valid=False))


def test_dropout_seeds_advance_as_in_model_fit(way):
    def make():
        model = network(L.Dropout(0.5), L.GaussianNoise(0.1), L.AlphaDropout(0.2))
        model.compile("sgd", SPARSE)
        return model

    ours, history, theirs, _ = trained_pair(make)
    seeds = [[v.numpy() for v in m.variables if "seed" in v.path] for m in (ours, theirs)]
    assert len(seeds[0]) == 3
    np.testing.assert_array_equal(*seeds)
    assert history["loss"][0] != history["loss"][1]


def test_dropout_draws_another_mask_at_every_step(xla):
    class Keep(keras.Model):
        """Sums up the masks that its dropout layer makes of ones."""

        def __init__(self):
            super().__init__()
            self.dropout, self.dense = L.Dropout(0.5, seed=1), L.Dense(1)
            self.masks = self.add_weight(shape=(20,), trainable=False, initializer="zeros")

        def call(self, x, training=False):
            kept = self.dropout(tf.ones((1, 20)), training=training)
            if training:
                self.masks.assign_add(kept[0])
            return self.dense(x)

    model = Keep()
    model.compile("sgd", "mse")
    fit(model, X[:64], Y[:64], epochs=4, batch_size=1, seed=0)
    mean = model.masks.numpy() / (64 * 4)
    assert (np.abs(mean - 1) < 0.3).all(), "dropout keeps the mean, and no place is always dropped"
    assert mean.std() > 0.01


def test_several_metrics_and_losses_are_those_of_model_fit(xla):
    def make():
        model = network(hidden=5)
        model.compile(
            "adam",
            keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
            metrics=[
                "accuracy",
                keras.metrics.AUC(num_thresholds=20, name="auc"),
                keras.metrics.F1Score(average="macro"),
                keras.metrics.Precision(name="hits"),
            ],
            weighted_metrics=["mse"],
        )
        return model

    weights = np.linspace(0.1, 2, N).astype("float32")
    one_hot = np.eye(CLASSES, dtype="float32")[Y]
    pair = trained_pair(make, y=one_hot, valid=False, sample_weight=weights)
    assert_equal(*pair)
    assert {"accuracy", "auc", "f1_score", "hits", "loss", "mse"} == set(pair[1])


def test_class_weights_weigh_as_in_model_fit(xla):
    found = []
    for train in (fit, keras.Model.fit):
        model = network()
        model.compile("sgd", SPARSE, metrics=["accuracy"], weighted_metrics=["accuracy"])
        options = {"class_weight": {0: 0.2, 3: 5.0}, "epochs": 2, "batch_size": N, "verbose": 0}
        found += [model, train(model, X, Y, **options).history]
    assert_equal(*found)


def test_validation_is_what_evaluate_says_with_weights_too(way):
    model = network(L.BatchNormalization(), L.Dropout(0.3), kernel_regularizer="l1")
    model.compile("adam", SPARSE, metrics=["accuracy"], weighted_metrics=["accuracy"])
    weights = np.linspace(0, 1, len(Y_VALID)).astype("float32")
    history = fit(
        model, X, Y, epochs=2, batch_size=8, validation_data=(X_VALID, Y_VALID, weights)
    ).history
    expected = model.evaluate(
        X_VALID, Y_VALID, sample_weight=weights, batch_size=8, verbose=0, return_dict=True
    )
    assert {f"val_{name}" for name in expected} < set(history)
    for name, value in expected.items():
        assert history[f"val_{name}"][-1] == pytest.approx(value, rel=1e-5)


def test_functional_models_with_several_inputs_and_outputs(xla):
    def make():
        keras.utils.set_random_seed(1)
        one, two = keras.Input((FEATURES,), name="one"), keras.Input((2,), name="two")
        both = L.Concatenate()([L.Dense(4, "relu")(one), two])
        classes = L.Dense(CLASSES, "softmax", name="classes")(both)
        model = keras.Model([one, two], [classes, L.Dense(1, name="size")(both)])
        model.compile(
            "sgd", [SPARSE, "mse"], loss_weights=[1.0, 0.5], metrics=[["accuracy"], ["mae"]]
        )
        return model

    ours, theirs = twins(make)
    x, y = [X, X[:, :2]], [Y, X[:, :1]]
    options = {"epochs": 2, "batch_size": N}
    history = fit(ours, x, y, validation_data=(x, y), **options).history
    expected = theirs.fit(x, y, validation_data=(x, y), verbose=0, **options).history
    assert_equal(ours, history, theirs, expected)


def test_subclassed_models_with_a_training_step_of_their_own(xla):
    class Doubled(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(CLASSES, "softmax")
            self.normal = L.BatchNormalization()

        def call(self, x, training=False):
            return self.dense(self.normal(x, training=training))

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = 2 * self.compute_loss(x, y, self(x, training=True))
            self.optimizer.apply(
                tape.gradient(loss, self.trainable_weights), self.trainable_weights
            )
            return {"loss": loss, "twice": loss * 2}

    def make():
        keras.utils.set_random_seed(2)
        model = Doubled()
        model.compile(keras.optimizers.Adam(0.01), SPARSE)
        return model

    assert_equal(*trained_pair(make))


def test_models_that_are_not_built_yet_and_recurrent_ones(xla):
    def make():
        keras.utils.set_random_seed(4)
        model = keras.Sequential([L.LSTM(5), L.Dense(CLASSES, "softmax")])
        model.compile("adam", SPARSE, metrics=["accuracy"])
        return model

    x = X.reshape(N, 3, 2)
    assert_equal(*trained_pair(make, x=x, valid=False))


def test_convolutions_stay_out_of_xla_and_are_right(xla):
    def make():
        keras.utils.set_random_seed(4)
        model = keras.Sequential(
            [keras.Input((6, 6, 1)), L.Conv2D(3, 3), L.MaxPooling2D(), L.Flatten(), L.Dense(4)]
        )
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    x = np.random.default_rng(0).normal(size=(N, 6, 6, 1)).astype("float32")
    ours, *rest = trained_pair(make, x=x, valid=False)
    assert_equal(ours, *rest)
    if not tf.config.list_physical_devices("GPU"):
        loop = ours.__dict__["_coursekit_loops"][0][-1]
        assert (loop.compiled, loop.looped) == (False, True)


@pytest.mark.parametrize("dtype", ["uint8", "float64", "bool"])
def test_other_number_types_are_taken_as_model_fit_takes_them(dtype, xla):
    def make():
        model = network()
        model.compile("sgd", SPARSE)
        return model

    x = (np.abs(X) * 3).astype(dtype)
    assert_equal(*trained_pair(make, x=x, y=Y.astype("int64"), valid=False))


def test_a_model_that_asks_for_eager_steps_gets_them(capsys):
    console._said.clear()

    def make():
        model = network()
        model.compile("sgd", SPARSE, run_eagerly=True)
        return model

    assert_equal(*trained_pair(make, epochs=1))
    assert "run_eagerly" in capsys.readouterr().out


def test_what_xla_cannot_compile_is_said_once_and_trained_all_the_same(capsys, xla):
    console._said.clear()

    class Unsupported(keras.Layer):
        def call(self, x):
            return x + 0 * tf.cast(tf.size(tf.strings.as_string(x[:1])), x.dtype)

    def make():
        model = network(Unsupported())
        model.compile("sgd", SPARSE, metrics=["accuracy"])
        return model

    assert_equal(*trained_pair(make))
    assert capsys.readouterr().out.count("XLA cannot compile") == 1


@pytest.mark.parametrize(
    "error", [tf.errors.ResourceExhaustedError, tf.errors.InternalError, tf.errors.AbortedError]
)
def test_an_error_of_running_is_not_taken_for_one_of_compiling(error, capsys, monkeypatch, xla):
    make_loop, without_xla = programs.Loop.__init__, []

    def run(*_):
        raise error(None, None, "Out of memory while trying to allocate 596.05GiB.")

    def make_failing_loop(loop, *arguments):
        make_loop(loop, *arguments)
        loop._program = run

    monkeypatch.setattr(programs.Loop, "__init__", make_failing_loop)
    for other in ("_one_by_one", "_in_graph"):
        monkeypatch.setattr(programs.Loop, other, lambda *_: without_xla.append(1))
    model = network()
    model.compile("sgd", SPARSE)
    with pytest.raises(error, match="Out of memory"):
        fit(model, X, Y, epochs=1, verbose=0)
    assert not without_xla
    assert "cannot compile" not in capsys.readouterr().out


def test_results_over_seeds_agree_in_distribution_with_model_fit():
    data = np.random.default_rng(1)
    x = data.normal(size=(200, FEATURES)).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0).astype("int32")
    model = network(L.Dropout(0.2), hidden=16)
    model.compile(keras.optimizers.Adam(0.01), SPARSE)
    model.optimizer.build(model.trainable_variables)
    starts = [v.numpy() for v in model.optimizer.variables]
    shapes = [w.shape for w in model.get_weights()]
    losses = []
    for seed in range(8):
        keras.utils.set_random_seed(seed)
        weights = [np.random.default_rng(seed).normal(size=s) * 0.4 for s in shapes]
        for train in (fit, keras.Model.fit):
            model.set_weights(weights)
            for variable, start in zip(model.optimizer.variables, starts, strict=True):
                variable.assign(start)
            train(model, x, y, epochs=4, batch_size=16, verbose=0)
            losses.append(model.evaluate(x, y, verbose=0))
    ours, theirs = np.array(losses).reshape(8, 2).T
    difference = ours - theirs
    assert abs(difference.mean()) < 4 * difference.std(ddof=1) / np.sqrt(8)
    assert 0.3 < ours.std() / theirs.std() < 3
    assert difference.std() > 0, "other orders give other results"
