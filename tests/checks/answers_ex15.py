"""Right and wrong answers to exercise 15."""

from __future__ import annotations

import numpy as np

from coursekit.analysis.uncertainty import mc_predict
from coursekit.base.keras import keras
from coursekit.nets.builders import cifar10_net, mlp
from coursekit.training import fit
from coursekit.training.one_cycle import OneCycle

layers, ops = keras.layers, keras.ops
CE = "sparse_categorical_crossentropy"

# Standardised images


def standardize(x_train, x_valid, x_test):
    mean, std = x_train.mean(axis=0), x_train.std(axis=0)
    std = np.where(std > 1e-6, std, 1).astype("float32")
    return tuple((x - mean) / std for x in (x_train, x_valid, x_test))


def standardize_by_scikit_learn(*parts):
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(parts[0].reshape(len(parts[0]), -1))
    return [
        scaler.transform(x.reshape(len(x), -1)).reshape(x.shape).astype("float32") for x in parts
    ]


def standardize_with_guard(guard):
    return lambda *parts: [(x - parts[0].mean(axis=0)) / (parts[0].std(axis=0) + np.float32(guard))
                           for x in parts]  # fmt: skip


def standardize_in_place(*parts):
    for part, scaled in zip(parts, standardize(*parts), strict=True):
        part[...] = scaled
    return parts


STANDARDIZE = {
    "right": [standardize, standardize_by_scikit_learn],
    "wrong": [
        (standardize_with_guard(0), "NaN"),
        (standardize_with_guard(1e-7), "is no guard"),
        (standardize_with_guard(0.1), "`x_train`: at "),
        (standardize_in_place, "in place; work on a copy"),
        (lambda *parts: [x.astype("float64") for x in standardize(*parts)], "float64"),
        (lambda *parts: standardize(*parts)[0], "Expected `x_train`"),
    ],
}

# The nets


def net(activation="swish", initializer="he_normal", **settings):
    return lambda: mlp((32, 32, 3), 10, activation=activation, initializer=initializer, **settings)


def stack(activation="selu", initializer="lecun_normal", *, each=(), end=(), out="softmax"):
    """`each` makes layers after every hidden one, `end` after the last."""
    hidden = []
    for _ in range(20):
        hidden.append(layers.Dense(100, activation, kernel_initializer=initializer))
        hidden += [make() for make in each]
    ending = [*(make() for make in end), layers.Dense(10, out)]
    return keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), *hidden, *ending])


def functional(activation, initializer, *, dropout=0.0):
    inputs = keras.Input((32, 32, 3))
    h = layers.Reshape((-1,))(inputs)
    for _ in range(20):
        h = layers.Dense(100, kernel_initializer=initializer())(h)
        h = layers.Activation(activation)(h)
    if dropout:
        h = layers.AlphaDropout(dropout)(h)
    return keras.Model(inputs, layers.Softmax()(layers.Dense(10)(h)))


class Subclassed(keras.Model):
    """The output layer is made first, the others in the order of use."""

    def __init__(self, activation="silu", scale=2.0, *, norm=False, dropout=0.0):
        super().__init__()
        start = keras.initializers.VarianceScaling
        self.out = layers.Dense(10, "softmax")
        self.hidden = [
            layers.Dense(100, use_bias=not norm, kernel_initializer=start(scale, "fan_in"))
            for _ in range(20)
        ]
        self.norms = [layers.BatchNormalization() for _ in range(20)] if norm else [None] * 20
        self.dropout = layers.AlphaDropout(dropout)
        self.activation = keras.activations.get(activation)

    def call(self, x, training=False):
        h = keras.ops.reshape(x, (-1, 3072))
        for dense, norm in zip(self.hidden, self.norms, strict=True):
            h = dense(h)
            h = self.activation(h if norm is None else norm(h, training=training))
        return self.out(self.dropout(h, training=training))


def compiled():
    model = net()()
    model.compile("nadam", loss=CE)
    return model


ONE_NET = stack("swish", "he_normal")

BUILD_BASELINE = {
    "right": [
        lambda: cifar10_net("baseline"),
        lambda: functional("silu", keras.initializers.HeUniform),
        lambda: Subclassed(),
    ],
    "wrong": [
        (net(initializer="glorot_uniform"), "Glorot's initialiser"),
        (net(initializer="lecun_normal"), "by LeCun's initialiser"),
        (net(initializer=keras.initializers.RandomNormal(stddev=0.05)), "variance"),
        (lambda: stack("swish", keras.initializers.HeNormal(seed=3)), "the very same weights"),
        (net("softplus"), "Not right, the outputs at inference (20 times dense layer and Swish"),
        (net(hidden=19), "19 hidden dense layers"),
        (net(units=64), "64] units"),
        (lambda: stack("swish", "he_normal", out=None), "no class probabilities"),
        (net(alpha_dropout=0.2), "is there dropout?"),
        (net(batch_norm=True), "normalisation layers"),
        (lambda: mlp((3072,), 10), "does not take images"),
        (lambda: ONE_NET, "The second call gives the weights of the first"),
        (compiled, "Your function compiles the net"),
        (ONE_NET, "pass the function that builds it"),
    ],
}

BUILD_BATCH_NORM = {
    "right": [lambda: cifar10_net("batch_norm"), lambda: Subclassed(norm=True)],
    "wrong": [
        (
            lambda: stack("swish", "he_normal", each=[layers.BatchNormalization]),
            "still have biases",
        ),
        (lambda: stack("swish", "he_normal", each=[layers.LayerNormalization]), "no batch norm"),
        (net("selu", batch_norm=True), "layer, normalisation, Swish"),
        (net(batch_norm=True, alpha_dropout=0.5), "Not right, the outputs in training"),
        (net(), "no batch normalisation"),
        (lambda: stack("swish", "he_normal", end=[layers.BatchNormalization]), "1 of your 20"),
    ],
}

BUILD_SELU = {
    "right": [
        lambda: cifar10_net("selu"),
        lambda: functional("selu", keras.initializers.LecunUniform),
        lambda: Subclassed("selu", 1.0),
    ],
    "wrong": [
        (net("selu"), "by He's initialiser"),
        (net("selu", "glorot_normal"), "Glorot's initialiser"),
        (net("tanh", "lecun_normal"), "20 times dense layer and SELU"),
        (net("selu", "lecun_normal", batch_norm=True), "normalisation layers"),
        (net("selu", "lecun_normal", alpha_dropout=0.1), "dropout?"),
    ],
}


class DropsAlways(layers.AlphaDropout):
    def call(self, inputs, training=False):
        return super().call(inputs, training=True)


BUILD_ALPHA_DROPOUT = {
    "right": [
        lambda: cifar10_net("alpha_dropout"),
        lambda: functional("selu", keras.initializers.LecunNormal, dropout=0.1),
    ],
    "wrong": [
        (lambda: stack(end=[lambda: layers.Dropout(0.1)]), "ordinary dropout"),
        (lambda: stack(end=[lambda: layers.AlphaDropout(0.5)]), "not with the rate"),
        (lambda: stack(end=[lambda: DropsAlways(0.1)]), "dropout stays on"),
        (lambda: stack(), "nothing is random"),
        (lambda: stack(each=[lambda: layers.AlphaDropout(0.1)]), "Do other layers drop units too?"),
        (net(alpha_dropout=0.1), "by He's initialiser"),
        (lambda: Subclassed("selu", 1.0, dropout=0.1), "called one after the other"),
    ],
}

# Compiling


def prepare(model, learning_rate):
    model.compile(keras.optimizers.Nadam(learning_rate), loss=CE, metrics=["accuracy"])
    return model


def prepare_by_objects(model, learning_rate):
    loss = keras.losses.SparseCategoricalCrossentropy()
    accuracy = keras.metrics.SparseCategoricalAccuracy("accuracy")
    model.compile(keras.optimizers.Nadam(learning_rate=learning_rate), loss, metrics=[accuracy])
    return model


def prepared_with(optimizer=keras.optimizers.Nadam, loss=CE, metrics=("accuracy",)):
    def variant(model, learning_rate):
        model.compile(optimizer(learning_rate), loss=loss, metrics=list(metrics))
        return model

    return variant


def twice_the_cross_entropy(labels, p):
    return 2 * keras.losses.sparse_categorical_crossentropy(labels, p)


PREPARE = {
    "right": [prepare, prepare_by_objects],
    "wrong": [
        (lambda *a: prepare(*a) and None, "returns nothing. Did you forget `return`?"),
        (lambda model, rate: prepare(keras.models.clone_model(model), rate), "given itself"),
        (prepared_with(keras.optimizers.Adagrad), "the weights after two steps"),
        (prepared_with(lambda rate: keras.optimizers.Nadam(rate, beta_1=0.8)), "after two steps"),
        (prepared_with(loss=twice_the_cross_entropy), "Not right, the cross-entropy"),
        (prepared_with(loss="categorical_crossentropy"), "not one-hot"),
        (prepared_with(metrics=()), "The model reports `loss`"),
        (prepared_with(metrics=["sparse_categorical_accuracy"]), "looks for `accuracy`"),
        (lambda model, rate: model, "not compiled"),
    ],
}

# The learning rate


def find_rate_with(
    build=True,
    leave=None,
    pick=lambda rates, losses: rates[np.nanargmin(losses)],
    read=np.min,
):
    def variant(model, rates, x, y, valid, epochs):
        if build:
            model.optimizer.build(model.trainable_variables)
        variables = model.variables + model.optimizer.variables
        found = [v.numpy() for v in variables]
        losses = []
        for rate in rates:
            model.optimizer.learning_rate = rate
            history = fit(model, x, y, epochs=epochs, validation_data=valid, verbose=0, seed=0)
            losses.append(read(history.history["val_loss"]))
            for variable, value in zip(variables, found, strict=True):
                variable.assign(value)
        if leave is not None:
            leave(model, x, y)
        return pick(rates, losses)

    return variant


def find_rate_on_copies(model, rates, x, y, valid, epochs):
    losses = {}
    for rate in rates:
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
        copy.compile(optimizer, loss=CE)
        optimizer.build(copy.trainable_variables)
        for own, given in zip(optimizer.variables, model.optimizer.variables, strict=False):
            own.assign(given)  # a new optimizer has no slots yet
        optimizer.learning_rate = rate
        history = copy.fit(x, y, epochs=epochs, validation_data=valid, verbose=0)
        loss = np.min(history.history["val_loss"])
        losses[rate] = loss if np.isfinite(loss) else np.inf
    return np.float32(min(losses, key=losses.get))


def find_rate_going_on(model, rates, x, y, valid, epochs):
    best, lowest, found = None, np.inf, model.get_weights()
    for rate in rates:
        model.optimizer.learning_rate = rate
        history = fit(model, x, y, epochs=epochs, validation_data=valid, verbose=0)
        if min(history.history["val_loss"]) < lowest:
            best, lowest = rate, min(history.history["val_loss"])
    model.set_weights(found)
    return best


def another_optimizer(model, x, y):
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss=CE)


FIND_RATE = {
    "right": [find_rate_with(), find_rate_on_copies],
    "wrong": [
        (find_rate_with(build=False), "leaves the optimizer changed"),
        (find_rate_going_on, "leaves the optimizer changed"),
        (find_rate_with(leave=lambda model, x, y: model.train_on_batch(x, y)), "changes the model"),
        (find_rate_with(leave=lambda model, x, y: model(x, training=True)), "moving averages"),
        (find_rate_with(leave=lambda m, x, y: m.optimizer.iterations.assign(99)), "changed"),
        (find_rate_with(leave=another_optimizer), "another optimizer than before"),
        (find_rate_with(read=lambda losses: losses[-1]), "after the last epoch"),
        (find_rate_with(pick=lambda rates, losses: np.nanargmin(losses)), "none of the `rates`"),
        (find_rate_with(pick=lambda rates, losses: min(rates)), "the rate you choose: you give"),
        (
            find_rate_with(pick=lambda rates, losses: rates[losses.index(min(losses))]),
            "at which training diverged",
        ),
    ],
}

# Early stopping


def train_with(**settings):
    def variant(model, x, y, valid, epochs, patience):
        arguments = {"patience": patience, "restore_best_weights": True} | settings
        stop = keras.callbacks.EarlyStopping(**arguments)
        return fit(model, x, y, epochs=epochs, validation_data=valid, callbacks=[stop], verbose=0)

    return variant


def train_by_hand(model, x, y, valid, epochs, patience):
    best, history = np.inf, keras.callbacks.History()
    history.history = {"loss": [], "val_loss": [], "val_accuracy": []}
    for _ in range(epochs):
        history.history["loss"].append(model.train_on_batch(x, y, return_dict=True)["loss"])
        for name, value in model.test_on_batch(*valid, return_dict=True).items():
            history.history[f"val_{name}"].append(value)
        losses = history.history["val_loss"]
        if losses[-1] < best:
            best, weights = losses[-1], model.get_weights()
        if len(losses) - 1 - np.argmin(losses) == patience:
            break
    model.set_weights(weights)
    return history


def train_on_a_split(model, x, y, valid, epochs, patience):
    return model.fit(x, y, epochs=epochs, validation_split=0.2, verbose=0)


def train_anew(model, *case):
    model.compile(keras.optimizers.SGD(0.1), loss=CE, metrics=["accuracy"])
    return train_with()(model, *case)


TRAIN = {
    "right": [train_with(), train_by_hand],
    "wrong": [
        (train_with(monitor="loss"), "You watch the training loss"),
        (train_with(patience=5), "the number of epochs with patience=2, epochs=30: you"),
        (train_with(min_delta=0.02), "the number of epochs with patience=5"),
        (train_on_a_split, "Not right, the first validation losses"),
        (train_anew, "Not right, the first validation losses"),
        (lambda *a: train_with()(*a).history, "You return the dict in the history"),
        (lambda *a: train_with()(*a).history["loss"], "Expected the history"),
        (lambda *a: a[0].fit(a[1], a[2], verbose=0), "The history has no `val_loss`"),
    ],
}

# Monte Carlo dropout

DROPOUTS = (layers.Dropout, layers.AlphaDropout)


def passes_of(model, x, samples, *, kinds=DROPOUTS):
    passes = []
    for _ in range(samples):
        h = x
        for layer in model.layers:
            h = layer(h, training=isinstance(layer, kinds))
        passes.append(np.asarray(h))
    return np.stack(passes)


def summary(passes):
    return passes.mean(axis=0), passes.std(axis=0)


def mc_by_the_course(model, x, samples):
    prediction = mc_predict(model, x, samples=samples, seed=1)
    return prediction.mean, prediction.std


def mc_with(std=np.std, kinds=DROPOUTS, change=lambda passes: passes):
    def variant(model, x, samples):
        passes = change(passes_of(model, x, samples, kinds=kinds))
        return passes.mean(axis=0), std(passes, axis=0)

    return variant


def mc_in_training(model, x, samples, *, back=False):
    weights = model.get_weights()
    passes = np.stack([np.asarray(model(x, training=True)) for _ in range(samples)])
    if back:
        model.set_weights(weights)
    return summary(passes)


MC_PREDICT = {
    "right": [mc_with(), mc_by_the_course],
    "wrong": [
        (mc_in_training, "moved its averages"),
        (lambda *a: mc_in_training(*a, back=True), "is in training mode too"),
        (mc_with(kinds=()), "those at inference"),
        (mc_with(change=lambda p: np.repeat(p[:1], len(p), axis=0)), "one random pass is repeated"),
        (mc_with(kinds=layers.Dropout), "of alpha dropout is off"),
        (mc_with(kinds=layers.AlphaDropout), "layer `Dropout` is off"),
        (mc_with(np.var), "is the variance"),
        (mc_with(lambda p, axis: p.std(axis=axis, ddof=1)), "divide by n, not by n − 1"),
        (lambda model, x, n: mc_with()(model, x, 40), "yours shows one"),
        (mc_with(change=lambda p: np.eye(3)[p.argmax(axis=-1)]), "You average votes"),
        (mc_with(lambda p, axis: p.std(axis=axis) / len(p) ** 0.5), "error of the mean"),
        (lambda *a: passes_of(*a).mean(axis=0), "Expected two arrays"),
        (lambda *a: summary(passes_of(*a).sum(axis=0)), "has shape"),
    ],
}

# 1cycle


def one_cycle_with(*, momentum=(0.95, 0.85), nesterov=False, own_momentum=0.95):
    def variant(model, max_lr, x, y, valid, epochs, batch_size):
        optimizer = keras.optimizers.SGD(0.01, momentum=own_momentum, nesterov=nesterov)
        model.compile(optimizer, loss=CE, metrics=["accuracy"])
        cycle = OneCycle(max_lr, momentum=momentum)
        history = fit(model, x, y, epochs=epochs, batch_size=batch_size, validation_data=valid,
                      callbacks=[cycle], verbose=0)  # fmt: skip
        return history, cycle.history

    return variant


class Live(keras.optimizers.SGD):
    def __init__(self, learning_rate, momentum):
        super().__init__(learning_rate, momentum=momentum)
        self.live_momentum = keras.Variable(momentum, trainable=False)

    def update_step(self, gradient, variable, learning_rate):
        velocity = self.momentums[self._get_variable_index(variable)]
        self.assign(velocity, self.live_momentum * velocity - learning_rate * gradient)
        self.assign_add(variable, velocity)


class OwnCycle(keras.callbacks.Callback):
    """Exercise 09's callback, with a record; `per_epoch` and `attribute` are mistakes."""

    def __init__(self, max_lr, *, per_epoch=False, attribute=False):
        super().__init__()
        self.max_lr, self.per_epoch, self.attribute = max_lr, per_epoch, attribute
        self.record = {"learning_rate": [], "momentum": []}

    def on_train_batch_begin(self, batch, logs=None):
        last = self.params["steps"] * (1 if self.per_epoch else self.params["epochs"]) - 1
        step = batch if self.per_epoch else len(self.record["momentum"])
        corners, start = [0, 0.45 * last, 0.9 * last, last], self.max_lr / 10
        rate = np.interp(step, corners, [start, self.max_lr, start, start / 1000])
        momentum = np.interp(step, corners, [0.95, 0.85, 0.95, 0.95])
        optimizer = self.model.optimizer
        optimizer.learning_rate = float(rate)
        if self.attribute:
            optimizer.momentum = float(momentum)
        else:
            optimizer.live_momentum.assign(momentum)
        self.record["learning_rate"].append(rate)
        self.record["momentum"].append(momentum)


def own_cycle(metrics=("accuracy",), **mistakes):
    def variant(model, max_lr, x, y, valid, epochs, batch_size):
        optimizer = keras.optimizers.SGD if mistakes.get("attribute") else Live
        model.compile(optimizer(0.01, momentum=0.95), loss=CE, metrics=metrics)
        cycle = OwnCycle(max_lr, **mistakes)
        history = model.fit(x, y, epochs=epochs, batch_size=batch_size, validation_data=valid,
                            callbacks=[cycle], verbose=0)  # fmt: skip
        return history, cycle.record

    return variant


def record_of_epochs(*arguments):
    history, record = one_cycle_with()(*arguments)
    return history, {name: values[::7] for name, values in record.items()}


ONE_CYCLE = {
    "right": [one_cycle_with(), own_cycle()],
    "wrong": [
        (own_cycle(attribute=True), "constant momentum 0.95"),
        (own_cycle(per_epoch=True), "begins anew in every epoch"),
        (one_cycle_with(momentum=(0.85, 0.95)), "the same way as the rate"),
        (one_cycle_with(momentum=None), "has shape (0,)"),
        (one_cycle_with(nesterov=True), "Nesterov"),
        (record_of_epochs, "has shape (3,)"),
        (own_cycle(metrics=[]), "The history has no `val_accuracy`"),
        (lambda model, top, *more: one_cycle_with()(model, 0.05, *more), "are not those of one"),
        (lambda *a: one_cycle_with()(*a[:5], 3, a[6]), "another number of epochs"),
        (lambda *a: (one_cycle_with()(*a)[0].history, {}), "You return the dict"),
        (lambda *a: one_cycle_with()(*a)[0], "Expected two things"),
    ],
}

# The comparison

LABELS = np.arange(500) % 10
WAYS = ("baseline", "batch_norm", "selu", "alpha_dropout", "mc_dropout", "one_cycle")


def predictions(seed=0, **changes):
    draw = np.random.default_rng(seed)
    ways = {}
    for name in WAYS:
        values = draw.uniform(size=(500, 10)) + 0.4 * np.eye(10)[LABELS]
        ways[name] = values / values.sum(axis=1, keepdims=True)
    return ways | changes


GOOD = predictions()
COMPARISON = {
    "right": [
        [GOOD, LABELS],
        [
            {name: ops.cast(values, "float32") for name, values in GOOD.items()},
            LABELS.astype("int32"),
        ],
    ],
    "wrong": [
        ([{k: v for k, v in GOOD.items() if k != "mc_dropout"}, LABELS], "no entry `mc_dropout`"),
        ([predictions(mc_dropout=GOOD["alpha_dropout"]), LABELS], "the very same predictions"),
        ([predictions(selu=np.full((500, 10), 0.1)), LABELS], "hardly learned"),
        ([GOOD, np.roll(LABELS, 1)], "belong to other labels"),
        ([predictions(selu=10 * GOOD["selu"]), LABELS], "must sum to 1"),
        ([predictions(selu=LABELS), LABELS], "has shape (500,)"),
        ([list(GOOD.values()), LABELS], "Expected a dict"),
    ],
}

ANSWERS = {
    "standardize": STANDARDIZE,
    "build_baseline": BUILD_BASELINE,
    "prepare": PREPARE,
    "find_rate": FIND_RATE,
    "train": TRAIN,
    "build_batch_norm": BUILD_BATCH_NORM,
    "build_selu": BUILD_SELU,
    "build_alpha_dropout": BUILD_ALPHA_DROPOUT,
    "mc_predict": MC_PREDICT,
    "one_cycle": ONE_CYCLE,
    "comparison": COMPARISON,
}
