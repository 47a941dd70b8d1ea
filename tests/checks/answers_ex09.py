"""Right and wrong answers to exercise 09."""

from __future__ import annotations

import bisect
import math

import numpy as np

from coursekit.base.keras import keras, tf

# Power scheduling


def power_with_float32(step, initial, decay_steps, exponent=1.0):
    return np.float32(initial) * np.float32(1 + step / decay_steps) ** np.float32(-exponent)


def power_as_tensor(t, eta, s, c=1):
    return tf.constant(eta * math.exp(-c * math.log1p(t / s)))


def power(t, eta, s, c=1.0):
    return eta / (1 + t / s) ** c


POWER = {
    "right": [power, power_with_float32, power_as_tensor],
    "wrong": [
        (lambda t, eta, s, c=2.0: power(t, eta, s, c), "With the default settings"),
        (lambda t, eta, s: power(t, eta, s), "cannot be called with 4 arguments"),
        (lambda t, eta, s, c=1.0: print(t), "returns nothing"),
        (lambda t, eta, s, c=1.0: float("nan"), "NaN"),
        (lambda t, eta, s, c=1.0: [eta], "expected one number"),
        (lambda t, eta, s, c=1.0: power(t, eta, s, c) + 0.01, "(t=1, eta=0.274, s=28, c=1)`: you"),
        (lambda t, eta, s, c=1.0: power(t, eta, s, c) if t else 0.0, "Step 0 must give"),
        (lambda t, eta, s, c=1.0: max(power(t, eta, s, c), 1e-8), "Long after the start"),
        (0.1, "without parentheses"),
    ],
}

# Exponential scheduling

EXPONENTIAL = {
    "right": [
        lambda t, eta, s: eta * 0.1 ** (t / s),
        lambda t, eta, s: eta * math.exp(-math.log(10) * t / s),
        lambda t, eta, s: eta / 10 ** (t / s),
    ],
    "wrong": [(lambda t, eta, s: eta * 0.5 ** (t / s), "(t=1, eta=0.566, s=35)`: you give 0.55")],
}

# Piecewise constant scheduling


def piecewise_loop(step, boundaries, values):
    for boundary, value in zip(boundaries, values[:-1], strict=True):
        if step < boundary:
            return value
    return values[-1]


def piecewise_appending(step, boundaries, values):
    boundaries.append(float("inf"))
    return values[[step < b for b in boundaries].index(True)]


PIECEWISE = {
    "right": [
        piecewise_loop,
        lambda t, b, v: v[bisect.bisect_right(b, t)],
        lambda t, b, v: np.array(v)[np.searchsorted(b, t, side="right")],
    ],
    "wrong": [
        (piecewise_appending, "changes its argument `boundaries` in place"),
        (lambda t, b, v: v[-1], "you give 0.0224"),
        (lambda t, b, v: v[bisect.bisect_right(b, t)] if b[1:] else v[0], "With a single boundary"),
    ],
}

# Cosine with warm-up


def cosine(t, top, w, n):
    if t < w:
        return top * t / w
    return 0.5 * top * (1 + math.cos(math.pi * min(1.0, (t - w) / (n - w))))


def cosine_squared(t, top, w, n):
    progress = np.clip((t - w) / (n - w), 0, 1)
    return np.where(t < w, top * t / max(w, 1), top * np.cos(np.pi * progress / 2) ** 2)


def cosine_without_end(t, top, w, n):
    return top * t / w if t < w else 0.5 * top * (1 + math.cos(math.pi * (t - w) / (n - w)))


def cosine_needs_warmup(t, top, w, n):
    return cosine(t, top, w, n) if w else top / 2


COSINE = {
    "right": [cosine, cosine_squared],
    "wrong": [
        (cosine_without_end, "From `total_steps` on the rate must stay at 0"),
        (cosine_needs_warmup, "With `warmup_steps=0`"),
        (lambda t, top, w, n: cosine(t, top, w, n) - top / 50, "(t=0, top=0.027, w=55, n=144)`"),
    ],
}

# 1cycle


def one_cycle(t, n, top):
    corners, start = [0, 0.45 * (n - 1), 0.9 * (n - 1), n - 1], top / 10
    rate = np.interp(t, corners, [start, top, start, start / 1000])
    return rate, np.interp(t, corners, [0.95, 0.85, 0.95, 0.95])


def one_cycle_by_phases(t, n, top):
    last = n - 1
    up, down = round(0.45 * last), round(0.9 * last)
    t = min(t, last)
    start = top / 10
    if t < up:
        share = t / up
        return [start + (top - start) * share, 0.95 - 0.1 * share]
    if t < down:
        share = (t - up) / (down - up)
        return [top + (start - top) * share, 0.85 + 0.1 * share]
    share = (t - down) / (last - down)
    return [start + (start / 1000 - start) * share, 0.95]


def one_cycle_for_ever(t, n, top):
    return one_cycle(t % n, n, top)


def one_cycle_halves(t, n, top):
    return np.interp(t, [0, n // 2, n - 1], [top / 10, top, top / 10]), 0.95


ONE_CYCLE = {
    "right": [one_cycle, one_cycle_by_phases, lambda *a: np.array(one_cycle(*a), "float32")],
    "wrong": [
        (one_cycle_halves, "`learning_rate`: you give 0.059"),
        (one_cycle_for_ever, "Past the last step"),
        (lambda *a: one_cycle(*a)[0], "Expected `learning_rate`, `momentum`"),
        (lambda *a: one_cycle(*a)[::-1], "in the wrong order"),
        (lambda *a: (one_cycle(*a)[0], 0.9), "`momentum`: you give 0.9"),
    ],
}

# Performance scheduling


def performance(losses, rate, patience=5, factor=0.5):
    rates, best, bad = [], float("inf"), 0
    for loss in losses:
        rates.append(rate)
        bad = 0 if loss < best else bad + 1
        best = min(best, loss)
        if bad >= patience:
            rate *= factor
            bad = 0
    return rates


def performance_with_history(losses, rate, patience=5, factor=0.5):
    rates = np.full(len(losses), float(rate))
    since = 0
    for epoch in range(1, len(losses)):
        if losses[epoch] < min(losses[:epoch]):
            since = epoch
        elif epoch - since == patience:
            rates[epoch + 1 :] *= factor
            since = epoch
    return rates


def performance_sorting(losses, rate, patience=5, factor=0.5):
    rates = performance(losses, rate, patience, factor)
    losses.sort()
    return rates


def performance_for_positive_losses(losses, rate, patience=5, factor=0.5):
    return performance([max(loss, 0) for loss in losses], rate, patience, factor)


PERFORMANCE = {
    "right": [performance, performance_with_history],
    "wrong": [
        (performance_sorting, "changes its argument `losses` in place"),
        (lambda *a: [*performance(*a), a[1]], "has shape"),
        (lambda *a: [a[1]] * len(a[0]), "at index 3 you give 0.1"),
        (lambda x, r, p=4, f=0.5: performance(x, r, p, f), "With the default settings"),
        (lambda x, r, p=5, f=0.1: performance(x, r, p, f), "With the default settings"),
        (performance_for_positive_losses, "Where a loss is negative"),
        (lambda *a: performance(*a)[-1], "has shape ()"),
    ],
}

# A schedule that can be saved

LearningRateSchedule = keras.optimizers.schedules.LearningRateSchedule


class Schedule(LearningRateSchedule):
    """Right; every class below changes one thing."""

    def __init__(self, initial_learning_rate, decay_steps, exponent=1.0):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.exponent = exponent

    def __call__(self, step):
        return self.initial_learning_rate / (1 + step / self.decay_steps) ** self.exponent

    def get_config(self):
        return dict(vars(self))


@keras.saving.register_keras_serializable(package="answers")
class RegisteredSchedule(LearningRateSchedule):
    def __init__(self, initial_learning_rate, decay_steps, exponent=1.0):
        super().__init__()
        self.arguments = (initial_learning_rate, decay_steps, exponent)

    def __call__(self, step):
        eta, s, c = self.arguments
        return eta * keras.ops.power(1.0 + keras.ops.cast(step, "float32") / s, -c)

    def get_config(self):
        names = ("initial_learning_rate", "decay_steps", "exponent")
        return dict(zip(names, self.arguments, strict=True))


def schedule_with(**methods):
    return type("Variant", (Schedule,), methods)


def remembering(self, step):
    """Right when asked for whole numbers; in a compiled step it knows none."""
    self.seen = step if isinstance(step, int) else 0
    return self.initial_learning_rate / (1 + self.seen / self.decay_steps) ** self.exponent


def without(name):
    return lambda self: {k: v for k, v in vars(self).items() if k != name}


class NotASchedule:
    def __call__(self, step):
        return 0.1


POWER_SCHEDULE = {
    "right": [Schedule, RegisteredSchedule],
    "wrong": [
        (
            type("WithoutConfig", (LearningRateSchedule,), {"__call__": remembering}),
            "no method `get_config` of its own",
        ),
        (schedule_with(get_config=without("exponent")), "other rates: in the config an argument"),
        (schedule_with(get_config=lambda self: {"eta": 0.2, "s": 30}), "cannot be loaded (Type"),
        (schedule_with(get_config=without("decay_steps")), "cannot be loaded (TypeError)"),
        (schedule_with(get_config=lambda self: {"exponent": tf.constant(1.0)}), "plain numbers"),
        (schedule_with(get_config=lambda self: print(self)), "returns nothing"),
        (schedule_with(__call__=lambda m, t: Schedule.__call__(m, float(t))), "not inside a comp"),
        (schedule_with(__call__=remembering), "stays the same for ever"),
        (schedule_with(__call__=lambda m, t: 1 / (1 + t / m.decay_steps)), "you give 0.967742"),
        (NotASchedule, "is not a subclass"),
        (Schedule(0.1, 10), "without parentheses"),
    ],
}

# The range test


def range_test_alone(model, x, y, min_lr, max_lr, batch_size):
    rates, losses = np.geomspace(min_lr, max_lr, len(x) // batch_size), []
    for i, rate in enumerate(rates):
        rows = slice(i * batch_size, (i + 1) * batch_size)
        model.optimizer.learning_rate.assign(rate)
        losses.append(model.train_on_batch(x[rows], y[rows], return_dict=True)["loss"])
    return rates, losses


def range_test(model, *args):
    model.optimizer.build(model.trainable_variables)
    found = [(v, v.numpy()) for v in (*model.variables, *model.optimizer.variables)]
    result = range_test_alone(model, *args)
    for v, value in found:
        v.assign(value)
    return result


def range_test_on_a_clone(model, x, y, min_lr, max_lr, batch_size):
    """A copy trains, with its own loop and a fresh optimizer of the same kind."""
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
    factor = (max_lr / min_lr) ** (1 / (len(x) // batch_size - 1))
    rates, losses = [], []
    for i in range(len(x) // batch_size):
        rows = slice(i * batch_size, (i + 1) * batch_size)
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x[rows], y[rows], clone(x[rows], training=True))
        rates.append(min_lr * factor**i)
        optimizer.learning_rate = rates[-1]
        weights = clone.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        losses.append(loss)
    return rates, losses


def range_test_keeping(*kept):
    """Right, but for a part of the state that stays as the test left it."""

    def variant(model, *args):
        optimizer = model.optimizer
        if "new slots" not in kept:
            optimizer.build(model.trainable_variables)
        weights = model.trainable_variables if "averages" in kept else model.weights
        found = [(v, v.numpy()) for v in (*weights, *optimizer.variables)]
        result = range_test_alone(model, *args)
        for v, value in found:
            if not any(part in v.path for part in kept):
                v.assign(value)
        if "optimizer" in kept:
            model.compile(keras.optimizers.SGD(0.03), loss="mse")
        return result

    return variant


RANGE_TEST = {
    "right": [range_test, range_test_on_a_clone],
    "wrong": [
        (range_test_keeping("kernel"), "net/layer_3/kernel` is not as it was"),
        (range_test_keeping("averages"), "(moving averages count too)"),
        (range_test_keeping("learning_rate"), "learning_rate` is not as it was"),
        (range_test_keeping("iteration"), "iteration` is not as it was"),
        (range_test_keeping("momentum"), "momentum` is not as it was"),
        (range_test_keeping("new slots"), "momentum` is not as it was"),
        (range_test_keeping("optimizer"), "another optimizer"),
        (lambda *a: range_test(*a)[1], "Expected `rates`, `losses`"),
        (lambda *a: (range_test(*a)[0], range_test(*a)[1][::-1]), "the losses: at index 0"),
    ],
}

# The 1cycle callback


class Live(keras.optimizers.SGD):
    def __init__(self, learning_rate=0.01, momentum=0.9, **kwargs):
        super().__init__(learning_rate, momentum=momentum, **kwargs)
        self.live_momentum = keras.Variable(momentum, trainable=False, name="live_momentum")

    def update_step(self, gradient, variable, learning_rate):
        velocity = self.momentums[self._get_variable_index(variable)]
        self.assign(velocity, self.live_momentum * velocity - learning_rate * gradient)
        self.assign_add(variable, velocity)


class LiveFromBuild(Live):
    """The lesson's way: the variable is made when the optimizer is built."""

    def __init__(self, learning_rate=0.01, momentum=0.9):
        keras.optimizers.SGD.__init__(self, learning_rate, momentum=momentum)

    def build(self, variables):
        super().build(variables)
        self.live_momentum = keras.Variable(self.momentum, trainable=False, name="live_momentum")


class Cycle(keras.callbacks.Callback):
    """Right; every class below changes one thing."""

    def __init__(self, max_lr):
        super().__init__()
        self.max_lr = max_lr

    def on_train_begin(self, logs=None):
        self.step = 0

    def place(self, batch):
        return self.step, self.params["epochs"] * self.params["steps"]

    def on_train_batch_begin(self, batch, logs=None):
        self.apply(*one_cycle(*self.place(batch), self.max_lr))
        self.step += 1

    def apply(self, rate, momentum):
        self.model.optimizer.learning_rate = rate
        self.model.optimizer.live_momentum.assign(momentum)


class CycleSetsTheNextStep(Cycle):
    """Sets step 0 when training begins, and after each step the next."""

    def on_train_begin(self, logs=None):
        self.step = 0
        super().on_train_batch_begin(0)

    def on_train_batch_begin(self, batch, logs=None):
        pass

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_begin(batch)


def set_late(self, batch, logs=None):
    Cycle.on_train_batch_begin(self, batch)


SET_LATE = {"on_train_batch_begin": Cycle.on_epoch_begin, "on_train_batch_end": set_late}


def ahead(self, batch):
    return self.step + 1, self.params["epochs"] * self.params["steps"]


def fixed_length(self, batch):
    self.total = getattr(self, "total", self.params["epochs"] * self.params["steps"])
    return self.step, self.total


def set_attribute(self, rate, momentum):
    self.model.optimizer.learning_rate = rate
    self.model.optimizer.momentum = float(momentum)


class CyclePerEpoch(Cycle):
    def on_train_batch_begin(self, batch, logs=None):
        pass

    def on_epoch_begin(self, epoch, logs=None):
        self.apply(*one_cycle(epoch, self.params["epochs"], self.max_lr))


class CycleCountsAcrossObjects(Cycle):
    step = 0

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch)
        type(self).step = self.step

    def on_train_begin(self, logs=None):
        self.step = type(self).step


def cycle_with(**methods):
    return type("Variant", (Cycle,), methods)


ONE_CYCLE_CALLBACK = {
    "right": [[Cycle, Live], [CycleSetsTheNextStep, Live], [Cycle, LiveFromBuild]],
    "wrong": [
        (
            [cycle_with(apply=set_attribute), keras.optimizers.SGD],
            "momentum of the update never changes",
        ),
        ([cycle_with(apply=set_attribute), Live], "momentum of the update never changes"),
        (
            [cycle_with(apply=lambda self, *_: self.params), Live],
            "rate of the updates never changes",
        ),
        ([CyclePerEpoch, Live], "once in an epoch"),
        (
            [
                cycle_with(on_train_batch_begin=Cycle.on_epoch_begin, on_train_batch_end=set_late),
                Live,
            ],
            "one step late",
        ),
        ([cycle_with(place=lambda self, b: (b, self.params["steps"])), Live], "a whole cycle in"),
        ([cycle_with(place=lambda self, b: (b, 21)), Live], "`batch` counts from 0"),
        ([cycle_with(place=ahead), Live], "one step early"),
        ([cycle_with(step=0, on_train_begin=lambda *_, **__: 0), Live], "In a second `fit`"),
        ([CycleCountsAcrossObjects, Live], "In a second `fit`"),
        ([cycle_with(place=fixed_length), Live], "In a second `fit`"),
        ([cycle_with(apply=lambda s, r, m: Cycle.apply(s, r, 1.8 - m)), Live], "same way as the"),
        ([cycle_with(apply=lambda s, r, m: Cycle.apply(s, max(r, 0.04), m)), Live], "is off the"),
        ([Cycle(0.1), Live], "without parentheses"),
    ],
}

ANSWERS = {
    "power": POWER,
    "exponential": EXPONENTIAL,
    "piecewise_constant": PIECEWISE,
    "cosine_with_warmup": COSINE,
    "one_cycle": ONE_CYCLE,
    "performance": PERFORMANCE,
    "power_schedule": POWER_SCHEDULE,
    "range_test": RANGE_TEST,
    "one_cycle_callback": ONE_CYCLE_CALLBACK,
}
