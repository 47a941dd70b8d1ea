"""Right and wrong answers to exercise 06."""

from __future__ import annotations

import numpy as np

from coursekit.base.keras import keras
from coursekit.nets import transfer


def counting(model):
    return [layer for layer in model.layers if layer.weights]


def copied(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def set_flags(layers, flags):
    for layer, flag in zip(layers, flags, strict=True):
        layer.trainable = flag


# A copy with frozen layers


def copy_and_freeze(model, n_frozen):
    copy = copied(model)
    set_flags(counting(copy), [i >= n_frozen for i in range(len(counting(copy)))])
    return copy


def copy_with_the_package(model, n_frozen):
    copy = transfer.clone(model)
    transfer.freeze(copy, keep=len(counting(copy)) - n_frozen)
    return copy


def copy_from_config(model, n_frozen):
    copy = keras.Sequential.from_config(model.get_config())
    n = 0
    for layer, old in zip(copy.layers, model.layers, strict=True):
        layer.set_weights(old.get_weights())
        if layer.weights:
            layer.trainable = n >= n_frozen
            n += 1
    return copy


def copy_variant(flags, make=copied):
    def variant(model, n_frozen):
        copy = make(model)
        layers = counting(copy)
        set_flags(layers, [flags(i, n_frozen, len(layers)) for i in range(len(layers))])
        return copy

    return variant


def copy_counting_all(model, n_frozen):
    copy = copied(model)
    set_flags(copy.layers, [i >= n_frozen for i in range(len(copy.layers))])
    return copy


def copy_sharing(model, n_frozen):
    copy = keras.Sequential([keras.Input(model.input_shape[1:]), *model.layers])
    set_flags(counting(copy), [i >= n_frozen for i in range(len(counting(copy)))])
    return copy


def copy_and_freeze_the_original(model, n_frozen):
    copy = copy_and_freeze(model, n_frozen)
    for layer in counting(model)[:n_frozen]:
        layer.trainable = False
    return copy


def copy_frozen_altogether(model, n_frozen):
    copy = copied(model)
    copy.trainable = False
    return copy


def copy_of_trained_weights(model):
    copy = keras.models.clone_model(model)
    for new, old in zip(copy.trainable_weights, model.trainable_weights, strict=True):
        new.assign(old.numpy())
    return copy


def copy_of_kernels(model):
    copy = keras.models.clone_model(model)
    for new, old in zip(copy.weights, model.weights, strict=True):
        if "bias" not in old.path:
            new.assign(old.numpy())
    return copy


def swapped(model, n_frozen):
    copy = keras.models.clone_model(model)
    model.set_weights(copy.get_weights())
    return copy


def first(i, n, total):
    return i >= n


COPY_AND_FREEZE = {
    "right": [copy_and_freeze, copy_with_the_package, copy_from_config],
    "wrong": [
        (copy_variant(first, keras.models.clone_model), "does not predict like the original"),
        (copy_variant(first, copy_of_kernels), "does not predict like the original"),
        (copy_variant(first, copy_of_trained_weights), "moving averages"),
        (copy_variant(first, lambda m: m), "not a copy of it"),
        (copy_sharing, "shares layers with the original"),
        (copy_and_freeze_the_original, "Layers of the original model are frozen"),
        (swapped, "changes the weights of the model it is given"),
        (copy_variant(lambda i, n, total: i < n), "the wrong way round"),
        (copy_variant(lambda i, n, total: i < total - n), "the last layers are frozen"),
        (copy_variant(lambda i, n, total: True), "no layer that has weights is frozen"),
        (copy_variant(lambda i, n, total: i > n), "all layers are frozen, the last ones too"),
        (copy_variant(lambda i, n, total: i != 1), "or not the first ones"),
        (copy_counting_all, "you count layers that have no weights"),
        (copy_frozen_altogether, "nothing of it can learn"),
        (lambda model, n: copy_and_freeze(model, n).layers, "Expected a Keras model"),
        (lambda model, n: keras.Sequential(copied(model).layers[:-1]), "other layers"),
    ],
}

# A new output layer


def new_output(model, n_classes, layers=slice(None, -1), activation="softmax"):
    output = keras.layers.Dense(n_classes, activation)
    return keras.Sequential([keras.Input(model.input_shape[1:]), *model.layers[layers], output])


def new_output_functional(model, n_classes):
    hidden = model.layers[-2].output
    return keras.Model(model.inputs[0], keras.layers.Dense(n_classes, "softmax")(hidden))


def new_output_on_copy(model, n_classes):
    copy = copied(model)
    copy.pop()
    copy.add(keras.layers.Dense(n_classes))
    copy.add(keras.layers.Softmax())
    return copy


def new_output_by_pop(model, n_classes):
    model.pop()
    return new_output(model, n_classes, slice(None))


def new_output_unfrozen(model, n_classes):
    copy = copied(model)
    set_flags(copy.layers, [True] * len(copy.layers))
    return new_output(copy, n_classes)


def new_output_frozen(model, n_classes):
    new = new_output(copied(model), n_classes)
    set_flags(new.layers[:-1], [False] * (len(new.layers) - 1))
    return new


def new_output_keeping_the_old(model, n_classes):
    new = new_output(model, n_classes)
    if n_classes == model.output_shape[-1]:
        new.layers[-1].set_weights(model.layers[-1].get_weights())
    return new


NEW_OUTPUT = {
    "right": [
        new_output,
        new_output_functional,
        new_output_on_copy,
        lambda model, n: new_output(copied(model), n),
    ],
    "wrong": [
        (lambda m, n: new_output(m, n, slice(None)), "sit on top of the old one"),
        (lambda m, n: new_output(m, n, slice(None, -2)), "A hidden layer is missing"),
        (lambda m, n: new_output(m, n, activation=None), "its activation is missing"),
        (lambda m, n: new_output(m, n, activation="sigmoid"), "do not add up to 1"),
        (lambda m, n: new_output(m, n, activation="relu"), "is not the softmax"),
        (lambda m, n: new_output(m, 2), "gives an array of shape (9, 2)"),
        (lambda m, n: new_output(keras.models.clone_model(m), n), "do not have the weights"),
        (new_output_by_pop, "takes a layer off the model"),
        (new_output_unfrozen, "flags are not kept"),
        (new_output_frozen, "flags are not kept"),
        (new_output_keeping_the_old, "The output layer is the old one"),
        (lambda m, n: keras.layers.Dense(n, "softmax"), "Expected a Keras model"),
        (lambda m, n: m, "You return the model you were given"),
    ],
}

# Which layers have moved?


def moved_layers(model, action):
    before = {layer.name: layer.get_weights() for layer in model.layers}
    action()
    return [
        layer.name
        for layer in model.layers
        if any(
            not np.array_equal(a, b)
            for a, b in zip(layer.get_weights(), before[layer.name], strict=True)
        )
    ]


def moved_by_bytes(model, action):
    def prints():
        return {
            layer.name: b"".join(w.tobytes() for w in layer.get_weights()) for layer in model.layers
        }

    before = prints()
    action()
    after = prints()
    return {name for name in before if before[name] != after[name]}


def moved_variant(weights, same=np.array_equal):
    def variant(model, action):
        before = [weights(layer) for layer in model.layers]
        action()
        return [
            layer.name
            for layer, old in zip(model.layers, before, strict=True)
            if not all(same(a, b) for a, b in zip(weights(layer), old, strict=True))
        ]

    return variant


def every_weight(layer):
    return layer.get_weights()


def moved_once_per_weight(model, action):
    before = [(layer, layer.get_weights()) for layer in model.layers]
    action()
    return [
        layer.name
        for layer, old in before
        for a, b in zip(layer.get_weights(), old, strict=True)
        if not np.array_equal(a, b)
    ]


def moved_after(model, action):
    action()
    return moved_layers(model, lambda: None)


def moved_live(model, action):
    before = [list(layer.weights) for layer in model.layers]
    action()
    return [
        layer.name
        for layer, old in zip(model.layers, before, strict=True)
        if any(np.any(a.numpy() != b.numpy()) for a, b in zip(layer.weights, old, strict=True))
    ]


MOVED_LAYERS = {
    "right": [moved_layers, moved_by_bytes, lambda m, action: tuple(moved_layers(m, action))],
    "wrong": [
        (moved_live, "Do you keep the numbers themselves"),
        (lambda m, action: [], "calls `action()` 0 times"),
        (lambda m, action: moved_layers(m, lambda: (action(), action())), "2 times"),
        (moved_after, "take them before the action"),
        (moved_variant(every_weight, np.allclose), "A tiny change is missed"),
        (moved_variant(lambda layer: layer.get_weights()[:1]), "only a bias has moved"),
        (
            moved_variant(lambda layer: [w.numpy() for w in layer.trainable_weights]),
            "does not name just these",
        ),
        (
            moved_variant(lambda layer: layer.get_weights()[:2]),
            "Moving averages count too",
        ),
        (moved_variant(lambda layer: [sum(w.sum() for w in layer.get_weights())],
                       lambda a, b: np.isclose(a, b, rtol=0, atol=1e-9)), "Two swapped numbers"),
        (moved_once_per_weight, "named more than once"),
        (lambda m, action: (action(), [layer.name for layer in m.layers])[1], "not name just"),
        (lambda m, action: bool(moved_layers(m, action)), "Expected a list of layer names"),
        (
            lambda m, action: [m.get_layer(n) for n in moved_layers(m, action)],
            "Expected the names of layers",
        ),
        (lambda m, action: [n + "/kernel" for n in moved_layers(m, action)], "not the name"),
    ],
}  # fmt: skip

# Two phases


def train(model, rate, epochs, x, y, *, momentum=0.9, batch_size=None, optimizer=None):
    optimizer = optimizer or keras.optimizers.SGD(rate, momentum=momentum)
    model.compile(optimizer, loss="sparse_categorical_crossentropy")
    model.fit(x, y, epochs=epochs, batch_size=batch_size or len(x), verbose=0)


def two_phases(model, n_frozen, x, y, epochs, rates):
    for frozen, n_epochs, rate in zip((n_frozen, 0), epochs, rates, strict=True):
        set_flags(counting(model), [i >= frozen for i in range(len(counting(model)))])
        train(model, rate, n_epochs, x, y)


def two_phases_with_the_package(model, n_frozen, x, y, epochs, rates):
    from coursekit.training import fit

    model.compile(
        keras.optimizers.SGD(rates[0], momentum=0.9), loss="sparse_categorical_crossentropy"
    )
    transfer.freeze(model, keep=len(counting(model)) - n_frozen)
    fit(model, x, y, epochs=epochs[0], batch_size=len(x), verbose=0)
    transfer.unfreeze(model, learning_rate=rates[1])
    fit(model, x, y, epochs=epochs[1], batch_size=len(x), verbose=0)
    return model


def phases_variant(mistake):
    def variant(model, n_frozen, x, y, epochs, rates):
        layers = counting(model)
        n = len(layers)
        (e1, e2), (r1, r2) = epochs, rates
        if mistake == "rates swapped":
            r1, r2 = r2, r1
        elif mistake == "epochs swapped":
            e1, e2 = e2, e1
        elif mistake == "one rate":
            r2 = r1
        elif mistake == "low rate":
            r1 = r2
        first = [i >= n_frozen for i in range(n)]
        if mistake == "not frozen":
            first = [True] * n
        elif mistake == "wrong way":
            first = [not flag for flag in first]
        elif mistake == "head":
            first = [False] * (n - 1) + [True]
        given = {"momentum": 0.0} if mistake == "no momentum" else {}
        given |= {"batch_size": 8} if mistake == "batches" else {}
        if mistake != "only 2":
            set_flags(layers, first)
            train(model, r1, e1, x, y, **given)
        if mistake == "only 1":
            return
        if mistake in ("not thawed", "not compiled"):
            second = first
        elif mistake == "lower only":
            second = [not flag for flag in first]
        else:
            second = [True] * n
        set_flags(layers, second)
        if mistake == "not compiled":
            model.optimizer.learning_rate = r2
            set_flags(layers, [True] * n)
            model.fit(x, y, epochs=e2, batch_size=len(x), verbose=0)
        else:
            train(model, r2, e2, x, y, **given)

    return variant


def phases_freezing_without_compile(model, n_frozen, x, y, epochs, rates):
    layers = counting(model)
    set_flags(layers, [True] * len(layers))
    model.compile(
        keras.optimizers.SGD(rates[0], momentum=0.9), loss="sparse_categorical_crossentropy"
    )
    model.fit(x, y, epochs=epochs[0], batch_size=len(x), verbose=0)
    set_flags(layers, [i >= n_frozen for i in range(len(layers))])
    set_flags(layers, [True] * len(layers))
    train(model, rates[1], epochs[1], x, y)


def phases_on_a_copy(model, *rest):
    copy = copied(model)
    two_phases(copy, *rest)
    return copy


def phases_in_reverse(model, n_frozen, x, y, epochs, rates):
    for frozen, n_epochs, rate in zip((0, n_frozen), epochs[::-1], rates[::-1], strict=True):
        set_flags(counting(model), [i >= frozen for i in range(len(counting(model)))])
        train(model, rate, n_epochs, x, y)


def phases_not_thawed_one_rate(model, n_frozen, x, y, epochs, rates):
    layers = counting(model)
    set_flags(layers, [i >= n_frozen for i in range(len(layers))])
    train(model, rates[0], epochs[0], x, y)
    set_flags(layers, [True] * len(layers))
    model.fit(x, y, epochs=epochs[1], batch_size=len(x), verbose=0)


TWO_PHASES = {
    "right": [two_phases, two_phases_with_the_package],
    "wrong": [
        (phases_variant("not thawed"), "the lower layers stay as they were"),
        (phases_variant("not compiled"), "the lower layers stay as they were"),
        (phases_not_thawed_one_rate, "still that of phase 1, too"),
        (phases_variant("not frozen"), "learn in phase 1 already"),
        (phases_freezing_without_compile, "learn in phase 1 already"),
        (phases_variant("wrong way"), "trains the wrong layers"),
        (phases_variant("head"), "All layers but the output"),
        (phases_variant("lower only"), "only the lower layers learn"),
        (phases_variant("one rate"), "has the learning rate of phase 1"),
        (phases_variant("low rate"), "has the learning rate of phase 2"),
        (phases_variant("rates swapped"), "rates have changed places"),
        (phases_variant("epochs swapped"), "epochs of the two phases"),
        (phases_variant("only 1"), "Only phase 1"),
        (phases_variant("only 2"), "Only phase 2"),
        (phases_in_reverse, "Phase 2 comes first"),
        (phases_variant("no momentum"), "no momentum"),
        (phases_variant("batches"), "batch_size=len(x)"),
        (phases_on_a_copy, "not a copy"),
    ],
}

# How many layers to reuse


def choose_k(accuracies):
    means = accuracies.mean(axis=0)
    best = accuracies[:, means.argmax()]
    return int(np.flatnonzero(means >= means.max() - best.std(ddof=1) / len(best) ** 0.5)[-1])


def choose_by_loop(accuracies):
    n, n_k = accuracies.shape
    means = [sum(accuracies[:, k]) / n for k in range(n_k)]
    best = max(range(n_k), key=lambda k: means[k])
    variance = sum((a - means[best]) ** 2 for a in accuracies[:, best]) / (n - 1)
    chosen = 0
    for k in range(n_k):
        if means[k] >= means[best] - (variance / n) ** 0.5:
            chosen = k
    return chosen


def choose_variant(error, middle=np.mean, place=-1):
    def variant(accuracies):
        centre = middle(accuracies, axis=0)
        limit = centre.max() - error(accuracies[:, centre.argmax()])
        return int(np.flatnonzero(centre >= limit)[place])

    return variant


def choose_strictly(accuracies):
    means = accuracies.mean(axis=0)
    limit = means.max() - standard_error(accuracies[:, means.argmax()])
    return max(np.flatnonzero(means > limit), default=means.argmax())


def standard_error(best):
    return best.std(ddof=1) / len(best) ** 0.5


CHOOSE_K = {
    "right": [choose_k, choose_by_loop, lambda a: np.float64(choose_k(a))],
    "wrong": [
        (lambda a: int(a.mean(axis=0).argmax()), "You take the best mean itself"),
        (choose_variant(standard_error, place=0), "You take the smallest k"),
        (choose_variant(lambda best: best.std(ddof=1)), "one standard deviation"),
        (choose_variant(lambda best: best.std() / len(best) ** 0.5), "`ddof=1`"),
        (choose_variant(lambda best: best.std(ddof=1) / len(best)), "not by its root"),
        (lambda a: choose_k(a.T), "over the wrong axis"),
        (choose_variant(standard_error, middle=np.max), "the best seed of each k"),
        (lambda a: choose_k(a) + 1, "You count from 1"),
        (choose_strictly, "When the seeds do not differ"),
        (lambda a: a.mean(axis=0).max(), "is whole"),
        (lambda a: a.shape[1] - 1, "your choice is not right"),
        (lambda a: np.flatnonzero(a.mean(axis=0) > 0), "expected one number"),
    ],
}  # fmt: skip

ANSWERS = {
    "copy_and_freeze": COPY_AND_FREEZE,
    "new_output": NEW_OUTPUT,
    "moved_layers": MOVED_LAYERS,
    "two_phases": TWO_PHASES,
    "choose_k": CHOOSE_K,
}
