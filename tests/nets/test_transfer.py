"""Transfer: copies that share nothing, frozen weights that stay, a model proved untouched."""

from __future__ import annotations

import numpy as np
import pytest

from coursekit.base.keras import keras
from coursekit.errors import ArgumentError
from coursekit.nets import transfer

L = keras.layers
X = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")


def net(*, compiled=True, optimizer=None):
    keras.utils.set_random_seed(1)
    layers = [L.Dense(5, "relu", name="a"), L.ReLU(), L.Dense(4, "relu", name="b")]
    model = keras.Sequential([keras.Input((6,)), *layers, L.Dense(2, "softmax", name="output")])
    if compiled:
        optimizer = optimizer or keras.optimizers.Adam(0.01)
        model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train(model, epochs=2):
    model.fit(X, Y, epochs=epochs, batch_size=8, verbose=0)


def branched():
    keras.utils.set_random_seed(2)
    inputs = {"left": keras.Input((6,), name="left"), "right": keras.Input((6,), name="right")}
    shared = L.Dense(4, "tanh")
    inner = keras.Sequential([keras.Input((4,)), L.BatchNormalization(), L.Dense(3)], name="inner")
    joined = L.Add()([shared(inputs["left"]), shared(inputs["right"])])
    return keras.Model(inputs, L.Dense(2)(inner(joined)))


class Twice(L.Layer):
    """Not registered with Keras: its name alone would not bring it back."""

    def call(self, x):
        return 2 * x


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(2)

    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize("custom_loss", [False, True])
def test_clone_predicts_alike_and_shares_nothing(custom_loss):
    model = net()
    if custom_loss:
        model.compile("sgd", loss=lambda y, p: keras.ops.mean(p))
    train(model)
    copy = transfer.clone(model)
    assert type(copy) is type(model)
    assert [layer.name for layer in copy.layers] == [layer.name for layer in model.layers]
    np.testing.assert_array_equal(copy(X), model(X))
    assert not {id(w) for w in copy.weights} & {id(w) for w in model.weights}
    assert not {id(layer) for layer in copy.layers} & {id(layer) for layer in model.layers}
    assert not copy.compiled
    copy.compile("sgd", loss="sparse_categorical_crossentropy")
    with transfer.unchanged(model):
        train(copy)
    assert np.abs(np.asarray(copy(X)) - np.asarray(model(X))).max() > 1e-4


def test_clone_keeps_branches_shared_layers_nested_models_and_moving_averages():
    model = branched()
    for weight in model.weights:
        weight.assign(np.random.default_rng(3).uniform(0.5, 1, weight.shape))
    copy = transfer.clone(model)
    inputs = {"left": X, "right": X[::-1].copy()}
    np.testing.assert_array_equal(copy(inputs), model(inputs))
    assert copy.count_params() == model.count_params()
    assert not {id(w) for w in copy.weights} & {id(w) for w in model.weights}


def test_clone_needs_no_registered_classes_not_even_in_a_nested_model():
    inner = keras.Sequential([keras.Input((6,)), Twice(), L.Dense(3)])
    model = keras.Sequential([keras.Input((6,)), inner, Twice()])
    np.testing.assert_array_equal(transfer.clone(model)(X), model(X))


def test_clone_keeps_frozen_layers_frozen():
    model = net()
    transfer.freeze(model)
    assert [layer.trainable for layer in transfer.clone(model).layers] == [
        layer.trainable for layer in model.layers
    ]
    model.trainable = False
    assert not transfer.clone(model).trainable_weights
    functional = branched()
    functional.trainable = False
    assert not transfer.clone(functional).trainable_weights


def test_clone_refuses_what_it_cannot_copy():
    for model in (Subclassed(), keras.Sequential([L.Dense(2)])):
        with pytest.raises(ArgumentError, match="Sequential or functional"):
            transfer.clone(model)
    with pytest.raises(TypeError, match="Keras model"):
        transfer.clone([1, 2])


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_frozen_weights_do_not_move_and_the_others_do(optimizer):
    model = net(optimizer=optimizer)
    train(model)  # Keras has traced a step that trains everything
    transfer.freeze(model, keep=1)
    before = [weight.copy() for weight in model.get_weights()]
    train(model)
    moved = [not np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)]
    assert moved == [False] * 4 + [True] * 2
    transfer.unfreeze(model, top=2)
    before = [weight.copy() for weight in model.get_weights()]
    train(model)
    moved = [not np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)]
    assert moved == [False] * 2 + [True] * 4


@pytest.mark.parametrize(("keep", "flags"), [(0, "000"), (1, "001"), (2, "011"), (3, "111")])
def test_layers_are_counted_from_the_output_and_only_with_weights(keep, flags):
    model = net(compiled=False)
    transfer.freeze(model, keep=keep)
    assert "".join(str(int(model.get_layer(n).trainable)) for n in ("a", "b", "output")) == flags
    assert not model.compiled
    if keep:
        model = net(compiled=False)
        transfer.freeze(model, keep=0)
        transfer.unfreeze(model, top=keep)
        found = "".join(str(int(model.get_layer(n).trainable)) for n in ("a", "b", "output"))
        assert found == flags


def test_a_wholly_frozen_model_is_thawed_from_the_top():
    model = net()
    model.trainable = False
    transfer.unfreeze(model, top=1)
    assert len(model.trainable_weights) == 2
    model.trainable = False
    transfer.freeze(model, keep=2)
    assert len(model.trainable_weights) == 4
    transfer.unfreeze(model)
    assert len(model.trainable_weights) == 6


def test_compiling_keeps_the_settings_and_forgets_the_memory():
    loss = lambda y, p: keras.losses.sparse_categorical_crossentropy(y, p)  # noqa: E731
    model = net(compiled=False)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.8), loss=loss, metrics=["accuracy"])
    train(model)
    model.optimizer.learning_rate = 0.02
    old = model.optimizer
    transfer.freeze(model)
    assert model.optimizer is not old
    assert type(model.optimizer) is keras.optimizers.SGD
    assert model.optimizer.momentum == 0.8
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)
    assert int(model.optimizer.iterations) == 0
    assert model.loss is loss
    assert len(model.evaluate(X, Y, verbose=0)) == 2
    transfer.unfreeze(model, learning_rate=0.005)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.005)
    train(model)
    assert len(model.optimizer.momentums) == 6


def test_a_schedule_starts_anew_and_can_be_replaced_either_way():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    model = net(optimizer=keras.optimizers.SGD(schedule))
    train(model)
    transfer.freeze(model)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    transfer.unfreeze(model, learning_rate=0.01)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)
    transfer.unfreeze(model, learning_rate=schedule)
    train(model)
    assert float(model.optimizer.learning_rate) < 0.1


@pytest.mark.parametrize("initial_scale", [None, 64.0])
def test_mixed_precision_keeps_its_loss_scaling(initial_scale):
    optimizer = keras.optimizers.SGD(0.1, momentum=0.8)
    if initial_scale:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=initial_scale)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = net(optimizer=optimizer)
        train(model)
        transfer.freeze(model, keep=1)
        assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
        transfer.unfreeze(model, learning_rate=0.02)
    finally:
        keras.config.set_dtype_policy("float32")
    assert type(model.optimizer) is keras.optimizers.LossScaleOptimizer
    assert model.optimizer.initial_scale == (initial_scale or 2.0**15)
    assert model.optimizer.inner_optimizer.momentum == 0.8
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)
    with pytest.raises(transfer.ModelChangedError, match="6 of 6"), transfer.unchanged(model):
        train(model)


@pytest.mark.parametrize("change", [transfer.freeze, transfer.unfreeze])
@pytest.mark.parametrize("by", ["var_names", "var_list"])
def test_variables_excluded_from_weight_decay_stay_excluded(change, by):
    # With inputs and labels that give no gradient, only the decay moves the weights.
    model = net(compiled=False)
    model.compile(optimizer := keras.optimizers.AdamW(0.1, weight_decay=0.5), loss="mse")
    bias = model.get_layer("output").bias
    bias.assign([1.0, 2.0])
    optimizer.exclude_from_weight_decay(**{by: ["bias"] if by == "var_names" else [bias]})
    change(model)
    kernel = model.get_layer("output").kernel.numpy()
    weights = [weight for layer in model.layers for weight in layer.trainable_weights]
    model.optimizer.apply([np.zeros(weight.shape, "float32") for weight in weights], weights)
    np.testing.assert_array_equal(bias, [1.0, 2.0])
    np.testing.assert_allclose(model.get_layer("output").kernel, kernel * 0.95, rtol=1e-5)


def normalised():
    keras.utils.set_random_seed(3)
    inner = keras.Sequential([keras.Input((4,)), L.BatchNormalization(), L.Dense(4)])
    body = [L.Dense(4), L.BatchNormalization(), L.ReLU(), inner]
    head = [L.BatchNormalization(), L.Dense(2, "softmax")]
    model = keras.Sequential([keras.Input((6,)), *body, *head])
    model.compile("sgd", loss="sparse_categorical_crossentropy")
    return model, [body[1], inner.layers[0], head[0]]


@pytest.mark.parametrize("wholly", [False, True])
def test_batch_normalisation_can_stay_frozen_while_the_rest_thaws(wholly):
    model, norms = normalised()
    transfer.freeze(model, keep=0 if wholly else 2)
    if wholly:
        model.trainable = False
    transfer.unfreeze(model, batch_norm=False)
    assert [norm.trainable for norm in norms] == [False, False, not wholly]
    before = [[weight.numpy() for weight in norm.weights] for norm in norms]
    train(model)
    moved = [
        not all(np.array_equal(*pair) for pair in zip(was, norm.weights, strict=True))
        for was, norm in zip(before, norms, strict=True)
    ]
    assert moved == [False, False, not wholly]
    assert all(layer.trainable for layer in model.layers if isinstance(layer, L.Dense))


def test_batch_normalisation_thaws_with_the_rest_if_nothing_is_said():
    model, norms = normalised()
    transfer.freeze(model, keep=0)
    transfer.unfreeze(model)
    assert all(norm.trainable for norm in norms)


@pytest.mark.parametrize("change", [transfer.freeze, transfer.unfreeze])
def test_wrong_arguments_change_nothing(change):
    model = net()
    name = "keep" if change is transfer.freeze else "top"
    for wrong, error in ((4, ArgumentError), (-1, ArgumentError), (True, TypeError),
                         ("one", TypeError)):  # fmt: skip
        with pytest.raises(error, match=name):
            change(model, **{name: wrong})
    for rate in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ArgumentError, match="learning_rate"):
            change(model, learning_rate=rate)
    with pytest.raises(ArgumentError, match="not compiled"):
        change(net(compiled=False), learning_rate=0.1)
    with pytest.raises(ArgumentError, match="no layer with weights"):
        change(keras.Sequential([L.Dense(2)]))
    with pytest.raises(TypeError, match="Keras model"):
        change(None)
    assert all(layer.trainable for layer in model.layers)


def test_unchanged_sees_one_bit_in_one_weight_and_moving_averages():
    model = keras.Sequential([keras.Input((6,)), L.BatchNormalization(), L.Dense(2)])
    with transfer.unchanged(model):
        model(X, training=False)
    with pytest.raises(transfer.ModelChangedError, match="2 of 6"), transfer.unchanged(model):
        model(X, training=True)
    weight = model.layers[-1].kernel
    value = weight.numpy()
    value[0, 0] = np.nextafter(value[0, 0], np.float32(10))
    with pytest.raises(AssertionError, match="1 of 6"), transfer.unchanged(model):
        weight.assign(value)
    value[:] = np.nan
    weight.assign(value)
    with transfer.unchanged(model):
        pass


def test_unchanged_lets_an_error_of_the_block_pass():
    def spoil(model):
        with transfer.unchanged(model):
            model.set_weights([w + 1 for w in model.get_weights()])
            raise KeyError

    with pytest.raises(KeyError):
        spoil(net(compiled=False))
