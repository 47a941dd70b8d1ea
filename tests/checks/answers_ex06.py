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


def copy_and_freeze(model, n_frozen, make=copied):
    copy = make(model)
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


def copy_and_freeze_the_original(model, n_frozen):
    copy = copy_and_freeze(model, n_frozen)
    set_flags(counting(model)[:n_frozen], [False] * n_frozen)
    return copy


def copy_hidden_behind_a_frozen_model(model, n_frozen):
    copy = copied(model)
    copy.trainable = False
    set_flags(counting(copy)[n_frozen:], [True] * (len(counting(copy)) - n_frozen))
    return copy


def of_some(kind):
    """Copy only the weights of this kind."""

    def make(model):
        copy = keras.models.clone_model(model)
        for new, old in zip(copy.weights, model.weights, strict=True):
            if kind(old.path):
                new.assign(old.numpy())
        return copy

    return make


def swapped(model, n_frozen):
    copy = keras.models.clone_model(model)
    model.set_weights(copy.get_weights())
    return copy


def sharing(model):
    return keras.Sequential([keras.Input(model.input_shape[1:]), *model.layers])


def linear_copy(model):
    copy = copied(model)
    copy.layers[-1].activation = keras.activations.linear
    return copy


COPY_AND_FREEZE = {
    "right": [copy_and_freeze, copy_with_the_package, copy_from_config],
    "wrong": [
        (lambda m, n: copy_and_freeze(m, n, keras.models.clone_model), "first/kernel` does not"),
        (lambda m, n: copy_and_freeze(m, n, of_some(lambda p: "bias" not in p)), "first/bias`"),
        (lambda m, n: copy_and_freeze(m, n, of_some(lambda p: "moving" not in p)), "moving_mean`"),
        (lambda m, n: copy_and_freeze(m, n, lambda m: m), "return the model you were given"),
        (lambda m, n: copy_and_freeze(m, n, sharing), "changes the `trainable` flag of layer"),
        (lambda m, n: sharing(m), "shares layers with the original"),
        (lambda m, n: copy_and_freeze(m, n, linear_copy), "Not right, the predictions"),
        (copy_and_freeze_the_original, "changes the `trainable` flag of layer"),
        (copy_hidden_behind_a_frozen_model, "You froze the whole model"),
        (swapped, "changes the model: `"),
        (lambda m, n: copy_and_freeze(m, min(n, 2)), "with n_frozen=3: `third`: you give True"),
        (lambda model, n: copy_and_freeze(model, n).layers, "Expected a Keras model"),
        (lambda model, n: keras.Sequential(copied(model).layers[:-1]), "`output` of the original"),
    ],
}

# A new output layer


def new_output(model, n_classes, layers=slice(None, -1), activation="softmax", **settings):
    output = keras.layers.Dense(n_classes, activation, **settings)
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


def new_output_frozen_below(model, n_classes):
    new = new_output(copied(model), n_classes)
    set_flags(counting(new)[:1], [False])
    return new


def new_output_keeping_the_old(model, n_classes):
    new = new_output(model, n_classes)
    if n_classes == model.output_shape[-1]:
        new.layers[-1].set_weights(model.layers[-1].get_weights())
    return new


def new_output_without_dropout(model, n_classes):
    hidden = [layer for layer in model.layers[:-1] if "drop" not in layer.name]
    return keras.Sequential([keras.Input((2, 3)), *hidden, keras.layers.Dense(n_classes)])


def new_output_around_a_model(model, n_classes):
    inner = keras.Sequential([keras.Input((2, 3)), *copied(model).layers[:-1]])
    return keras.Sequential([keras.Input((2, 3)), inner, keras.layers.Dense(n_classes, "softmax")])


def new_output_without_input(model, n_classes):
    return keras.Sequential([*model.layers[:-1], keras.layers.Dense(n_classes)])


NEW_OUTPUT = {
    "right": [
        new_output,
        new_output_functional,
        new_output_on_copy,
        lambda model, n: new_output(copied(model), n),
    ],
    "wrong": [
        (lambda m, n: new_output(m, n, slice(None)), "takes the old one's place"),
        (lambda m, n: new_output(m, n, slice(None, -2)), "`third_drop` of the original is missing"),
        (lambda m, n: new_output(m, n, activation="relu"), "Not right, the outputs"),
        (lambda m, n: new_output(m, n, use_bias=False), "has no bias"),
        (lambda m, n: new_output(m, 2), "gives outputs of shape (None, 2)"),
        (lambda m, n: new_output(keras.models.clone_model(m), n), "first/kernel` does not have"),
        (new_output_by_pop, "adds or takes off layers"),
        (new_output_frozen_below, "`first`: you give False"),
        (new_output_keeping_the_old, "The output layer is the old one"),
        (new_output_without_dropout, "`first_drop` of the original is missing"),
        (new_output_around_a_model, "`flat` of the original is missing"),
        (
            lambda m, n: keras.Sequential([*m.layers[:-1], keras.layers.Dense(n)]),
            "is not built yet",
        ),
        (lambda m, n: keras.layers.Dense(n, "softmax"), "Expected a Keras model"),
        (lambda m, n: m, "You return the model you were given"),
    ],
}

# Which layers have moved?


def moved_layers(model, action, same=np.array_equal):
    before = {layer.name: layer.get_weights() for layer in model.layers}
    action()
    return [
        layer.name
        for layer in model.layers
        if not all(map(same, layer.get_weights(), before[layer.name]))
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
        (lambda m, action: (action(), moved_layers(m, lambda: 0))[1], "take them before"),
        (lambda m, action: [], "calls `action()` 0 times"),
        (lambda m, action: moved_layers(m, lambda: (action(), action())), "2 times"),
        (lambda m, action: [n for n in moved_layers(m, action) for _ in "ab"], "more than once"),
        (lambda m, action: moved_layers(m, action)[:1], "`output`: you give 'not listed'"),
        (lambda m, action: bool(moved_layers(m, action)), "Expected a list of layer names"),
        (lambda m, action: [m.get_layer(n) for n in moved_layers(m, action)], "not the name"),
        (lambda m, action: [n + "/kernel" for n in moved_layers(m, action)], "not the name"),
    ],
}  # fmt: skip

# Two phases


def train(model, rate, epochs, x, y, *, batch_size=None, optimizer=None, **settings):
    optimizer = optimizer or keras.optimizers.SGD(rate, **{"momentum": 0.9, **settings})
    model.compile(optimizer, loss="sparse_categorical_crossentropy")
    model.fit(x, y, epochs=epochs, batch_size=batch_size or len(x), verbose=0)


def phases(first=None, second=None, change=lambda *args: args, late=False, **settings):
    """An answer whose layers learn by `first` and `second`, functions (i, n_frozen, n layers)."""
    rules = first or (lambda i, n, total: i >= n), second or (lambda i, n, total: True)

    def two_phases(model, n_frozen, x, y, epochs, rates):
        layers = counting(model)
        for rule, n_epochs, rate in zip(rules, *change(epochs, rates), strict=True):
            if rule != "left out":
                flags = [rule(i, n_frozen, len(layers)) for i in range(len(layers))]
                set_flags(layers, [True] * len(layers) if late else flags)
                train(model, rate, n_epochs, x, y, **settings)
                set_flags(layers, flags)

    return two_phases


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


def phases_compiled_once(model, n_frozen, x, y, epochs, rates):
    phases(second="left out")(model, n_frozen, x, y, epochs, rates)
    set_flags(model.layers, [True] * len(model.layers))
    model.fit(x, y, epochs=epochs[1], batch_size=len(x), verbose=0)


def phases_with_one_optimizer(model, n_frozen, x, y, epochs, rates):
    optimizer = keras.optimizers.SGD(momentum=0.9)
    set_flags(counting(model), [True] * len(counting(model)))
    optimizer.build(model.trainable_variables)
    for frozen, n_epochs, rate in zip((n_frozen, 0), epochs, rates, strict=True):
        set_flags(counting(model), [i >= frozen for i in range(len(counting(model)))])
        optimizer.learning_rate = rate
        train(model, rate, n_epochs, x, y, optimizer=optimizer)


def phases_on_a_copy(model, *rest):
    phases()(copied(model), *rest)


def phases_leaving_flags(model, n_frozen, x, y, epochs, rates):
    for n_epochs, rate, flag in zip(epochs, rates, (False, True), strict=True):
        set_flags(counting(model)[:n_frozen], [flag] * n_frozen)
        train(model, rate, n_epochs, x, y)


TWO_PHASES = {
    "right": [phases(), two_phases_with_the_package],
    "wrong": [
        (phases(second=lambda i, n, total: i >= n), "2 the wrong layers learn: `third`, `output`."),
        (phases_compiled_once, "2 the wrong layers learn: `third`, `output`."),
        (phases_leaving_flags, "With n_frozen=2: In phase 1 the wrong layers learn: `output`."),
        (phases(late=True), "1 the wrong layers learn: `first`, `second`, `third`, `output`."),
        (phases(first=lambda i, n, total: i < n), "1 the wrong layers learn: `first`, `second`."),
        (phases(first=lambda i, n, total: i == total - 1), "1 the wrong layers learn: `output`."),
        (phases(second=lambda i, n, total: i < n), "2 the wrong layers learn: `first`, `second`."),
        (phases(first=lambda i, n, total: 2 * i >= n), "1 the wrong layers learn: `second`"),
        (phases(first=lambda i, n, total: i < 0), "Phase 1 changes no weight"),
        (phases(change=lambda e, r: (e, (r[0], r[0]))), "has the learning rate of phase 1"),
        (phases(change=lambda e, r: (e, (r[1], r[1]))), "has the learning rate of phase 2"),
        (phases(change=lambda e, r: (e, r[::-1])), "rates have changed places"),
        (phases(change=lambda e, r: (e[::-1], r)), "epochs of the two phases"),
        (phases(lambda *_: True, lambda i, n, total: i >= n,
                lambda e, r: (e[::-1], r[::-1])), "Phase 2 comes first"),
        (phases(second="left out"), "Phase 2 changes no weight"),
        (phases(first="left out"), "Phase 1 changes no weight"),
        (phases(momentum=0.0), "no momentum"),
        (phases(nesterov=True), "Nesterov"),
        (phases_with_one_optimizer, "remembers the velocities of phase 1"),
        (phases(lambda *_: True, momentum=0.0), "then compile. The optimizer has no momentum."),
        (phases(batch_size=8), "4 epochs of phase 2 took 20 steps"),
        (phases_on_a_copy, "not a copy"),
    ],
}  # fmt: skip

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


def choose_strictly(accuracies):
    means = accuracies.mean(axis=0)
    best = accuracies[:, means.argmax()]
    limit = means.max() - best.std(ddof=1) / len(best) ** 0.5
    return max(np.flatnonzero(means > limit), default=means.argmax())


CHOOSE_K = {
    "right": [choose_k, choose_by_loop, lambda a: np.float64(choose_k(a))],
    "wrong": [
        (choose_strictly, "When the seeds do not differ"),
        (lambda a: a.mean(axis=0).max(), "expected a whole number"),
        (lambda a: a.shape[1] - 1, "you give 2."),
        (lambda a: np.flatnonzero(a.mean(axis=0) > 0), "expected one number"),
    ],
}

ANSWERS = {
    "copy_and_freeze": COPY_AND_FREEZE,
    "new_output": NEW_OUTPUT,
    "moved_layers": MOVED_LAYERS,
    "two_phases": TWO_PHASES,
    "choose_k": CHOOSE_K,
}
