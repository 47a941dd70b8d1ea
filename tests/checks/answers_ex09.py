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


POWER = {
    "right": [lambda t, eta, s, c=1.0: eta / (1 + t / s) ** c, power_with_float32, power_as_tensor],
    "wrong": [
        (lambda t, eta, s, c=1.0: eta / (1 + (t / s) ** c), "belongs to the whole bracket"),
        (lambda t, eta, s, c=1.0: eta / (np.float64(t) / s) ** c, "The 1 in the denominator"),
        (lambda t, eta, s, c=1.0: eta * (1 + t / s) ** c, "multiply where the formula divides"),
        (lambda t, eta, s, c=1.0: eta / (1 + t // s) ** c, "falls in stairs"),
        (lambda t, eta, s, c=1.0: eta / (1 + t / s), "exponent has no effect"),
        (lambda t, eta, s, c=1.0: (1 + t / s) ** -c, "does not depend on the initial"),
        (lambda t, eta, s, c=2.0: eta / (1 + t / s) ** c, "the default of the notebook"),
        (lambda t, eta, s: eta / (1 + t / s), "cannot be called with 4 arguments"),
        (lambda t, eta, s, c=1.0: print(t), "returns nothing"),
        (lambda t, eta, s, c=1.0: float("nan"), "NaN"),
        (lambda t, eta, s, c=1.0: [eta], "expected one number"),
        (lambda t, eta, s, c=1.0: eta / (1 + t / s) ** c + 0.01, "is not right"),
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
    "wrong": [
        (lambda t, eta, s: eta * math.exp(-t / s), "The base is e"),
        (lambda t, eta, s: eta * 0.1 ** (t // s), "falls in stairs"),
        (lambda t, eta, s: eta * 0.1 ** (-t / s), "The rate grows"),
        (lambda t, eta, s: eta * 0.1**t / s, "Only the step is in the exponent"),
        (lambda t, eta, s: (eta * 0.1) ** (t / s), "raised to the power too"),
        (lambda t, eta, s: 0.1 ** (t / s), "does not depend on the initial"),
        (lambda t, eta, s: eta * 0.5 ** (t / s), "is not right"),
    ],
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
        (lambda t, b, v: v[bisect.bisect_left(b, t)], "changes one step later"),
        (lambda t, b, v: v[bisect.bisect_right(b, t + 1)], "one step before the boundary"),
        (piecewise_appending, "changes its argument `boundaries` in place"),
        (lambda t, b, v: v[bisect.bisect_right(list(np.cumsum(b)), t)], "not lengths"),
        (lambda t, b, v: v[min(bisect.bisect_right(b, t), len(b) - 1)], "Past the last boundary"),
        (lambda t, b, v: v[0] if t < b[0] else v[1], "Only the first boundary"),
        (lambda t, b, v: v[-1], "is not right"),
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


def cosine_from_step_0(t, top, w, n):
    return top * t / w if t < w else top * (1 + math.cos(math.pi * t / n)) / 2


def cosine_ahead(t, top, w, n):
    return top * (t + 1) / w if t < w else cosine(t, top, w, n)


def cosine_without_warmup(t, top, w, n):
    return top * (1 + math.cos(math.pi * max(0, t - w) / (n - w))) / 2


def line_down(t, top, w, n):
    return top * t / w if t < w else top * (n - t) / (n - w)


COSINE = {
    "right": [cosine, cosine_squared],
    "wrong": [
        (cosine_without_end, "From `total_steps` on the rate must stay at 0"),
        (cosine_from_step_0, "jumps at the end of the warm-up"),
        (cosine_without_warmup, "There is no warm-up"),
        (lambda t, top, w, n: cosine(t, top, w, n) * (1 if t < w else 2), "twice too high"),
        (cosine_ahead, "one step ahead"),
        (line_down, "along a straight line"),
        (cosine_needs_warmup, "With `warmup_steps=0`"),
        (lambda t, top, w, n: cosine(t, top, w, n) - top / 50, "is not right"),
    ],
}

# 1cycle


def one_cycle(t, n, top, *, shift=0, final=1e-3, low=0.85, high=0.95, rest=0.95):
    last = n - 1 + shift
    corners, start = [0, 0.45 * last, 0.9 * last, last], top / 10
    rate = np.interp(t, corners, [start, top, start, start * final])
    return rate, np.interp(t, corners, [high, low, high, rest])


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
        (lambda *a: one_cycle(*a, final=1e-2), "a thousandth of the start"),
        (lambda *a: one_cycle(*a, shift=1), "the last one is `total_steps - 1`"),
        (lambda *a: one_cycle(*a, low=0.95, high=0.85, rest=0.85), "same way as the rate"),
        (lambda *a: (one_cycle(*a)[0], 0.95), "momentum does not move"),
        (lambda *a: one_cycle(*a, rest=0.85), "In the last stretch your momentum falls"),
        (one_cycle_halves, "The last stretch is missing"),
        (one_cycle_for_ever, "Past the last step"),
        (lambda *a: one_cycle(*a)[0], "Expected two numbers"),
        (lambda *a: one_cycle(*a)[::-1], "is not right"),
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


def performance_variant(mistake):
    def variant(losses, rate, patience=5, factor=0.5):
        rates, best, bad = [], float("inf"), 0
        for i, loss in enumerate(losses):
            if mistake != "after":
                rates.append(rate)
            bad = 0 if (loss <= best if mistake == "ties" else loss < best) else bad + 1
            best = losses[i] if mistake == "previous" else min(best, loss)
            if (bad > patience) if mistake == "late" else bad >= patience:
                rate *= factor
                bad = bad if mistake == "no reset" else 0
            if mistake == "after":
                rates.append(rate)
        return rates

    return variant


def performance_sorting(losses, rate, patience=5, factor=0.5):
    rates = performance(losses, rate, patience, factor)
    losses.sort()
    return rates


PERFORMANCE = {
    "right": [performance, performance_with_history],
    "wrong": [
        (performance_variant("after"), "one epoch ahead"),
        (performance_variant("late"), "one epoch too long"),
        (performance_variant("previous"), "compare with the epoch before"),
        (performance_variant("no reset"), "the waiting starts anew"),
        (performance_variant("ties"), "An equal loss is no progress"),
        (performance_sorting, "changes its argument `losses` in place"),
        (lambda *a: [*performance(*a), a[1]], "has shape"),
        (lambda *a: [a[1]] * len(a[0]), "is not right"),
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


class WithoutConfig(LearningRateSchedule):
    def __init__(self, initial_learning_rate, decay_steps, exponent=1.0):
        self.arguments = (initial_learning_rate, decay_steps, exponent)

    def __call__(self, step):
        eta, s, c = self.arguments
        return eta / (1 + step / s) ** c


class ConfigForgetsExponent(Schedule):
    def get_config(self):
        return {k: v for k, v in vars(self).items() if k != "exponent"}


class ConfigWithOtherNames(Schedule):
    def get_config(self):
        return {"eta": self.initial_learning_rate, "s": self.decay_steps}


class ConfigOfTensors(Schedule):
    def get_config(self):
        return {k: tf.constant(float(v)) for k, v in vars(self).items()}


class ConfigIsNone(Schedule):
    def get_config(self):
        dict(vars(self))


class NeedsAValue(Schedule):
    def __call__(self, step):
        return self.initial_learning_rate / math.pow(1 + step / self.decay_steps, self.exponent)


class CountsCalls(Schedule):
    """Right when asked for steps in eager mode, but it remembers the last whole number it saw."""

    def __call__(self, step):
        self.seen = step if isinstance(step, int) else 0
        return self.initial_learning_rate / (1 + self.seen / self.decay_steps) ** self.exponent


class IgnoresExponent(Schedule):
    def __call__(self, step):
        return self.initial_learning_rate / (1 + step / self.decay_steps)


class NotASchedule:
    def __call__(self, step):
        return 0.1


POWER_SCHEDULE = {
    "right": [Schedule, RegisteredSchedule],
    "wrong": [
        (WithoutConfig, "no method `get_config` of its own"),
        (ConfigForgetsExponent, "other rates: in the config an argument is missing"),
        (ConfigWithOtherNames, "cannot build the schedule again"),
        (ConfigOfTensors, "plain numbers"),
        (ConfigIsNone, "returns nothing"),
        (NeedsAValue, "not inside a compiled training step"),
        (CountsCalls, "stays the same for ever"),
        (IgnoresExponent, "exponent has no effect"),
        (NotASchedule, "is not a subclass"),
        (Schedule(0.1, 10), "without parentheses"),
    ],
}

# The range test


def range_test(model, x, y, min_lr, max_lr, batch_size):
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    found = [v.numpy() for v in variables]
    rates = np.geomspace(min_lr, max_lr, len(x) // batch_size)
    losses = []
    for i, rate in enumerate(rates):
        rows = slice(i * batch_size, (i + 1) * batch_size)
        model.optimizer.learning_rate.assign(rate)
        losses.append(model.train_on_batch(x[rows], y[rows], return_dict=True)["loss"])
    for v, value in zip(variables, found, strict=True):
        v.assign(value)
    return rates, losses


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
            loss = tf.reduce_mean((clone(x[rows], training=True) - y[rows]) ** 2)
        rates.append(min_lr * factor**i)
        optimizer.learning_rate = rates[-1]
        weights = clone.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        losses.append(loss)
    return rates, losses


def range_test_variant(mistake):
    def variant(model, x, y, min_lr, max_lr, batch_size):
        optimizer = model.optimizer
        optimizer.build(model.trainable_variables)
        weights, own_rate = model.get_weights(), float(optimizer.learning_rate)
        variables = [v.numpy() for v in optimizer.variables]
        n = len(x) // batch_size
        rates = (np.linspace if mistake == "linear" else np.geomspace)(min_lr, max_lr, n)
        losses = []
        for i, rate in enumerate(rates):
            rows = slice(i * batch_size, (i + 1) * batch_size)
            if mistake == "inert":
                optimizer.lr = rate
            elif mistake != "late":
                optimizer.learning_rate = rate
            losses.append(model.train_on_batch(x[rows], y[rows], return_dict=True)["loss"])
            if mistake == "late":
                optimizer.learning_rate = rate
            if mistake == "after":
                losses[-1] = model.test_on_batch(x[rows], y[rows], return_dict=True)["loss"]
        if mistake == "running mean":
            losses = np.cumsum(losses) / np.arange(1, n + 1)
        if mistake != "weights":
            model.set_weights(weights)
        if mistake not in ("rate", "weights"):
            optimizer.learning_rate = own_rate
        if mistake not in ("slots", "rate", "weights"):
            for variable, value in zip(optimizer.variables, variables, strict=True):
                variable.assign(value)
        if mistake == "new optimizer":
            model.compile(keras.optimizers.SGD(own_rate), loss="mse")
        return losses if mistake == "losses only" else (rates, losses)

    return variant


RANGE_TEST = {
    "right": [range_test, range_test_on_a_clone],
    "wrong": [
        (range_test_variant("linear"), "constant amount"),
        (range_test_variant("inert"), "do not reach the optimizer"),
        (range_test_variant("late"), "one step late"),
        (range_test_variant("after"), "after the update"),
        (range_test_variant("running mean"), "running mean"),
        (range_test_variant("weights"), "weights are not as found"),
        (range_test_variant("rate"), "learning rate is not as found"),
        (range_test_variant("slots"), "state is not as found"),
        (range_test_variant("new optimizer"), "another optimizer"),
        (range_test_variant("losses only"), "Expected two lists"),
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


class CycleOneStepLate(Cycle):
    def on_train_batch_begin(self, batch, logs=None):
        pass

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_begin(batch)


class CycleEachEpoch(Cycle):
    def place(self, batch):
        return batch, self.params["steps"]


class CycleOfBatchNumbers(Cycle):
    def place(self, batch):
        return batch, self.params["epochs"] * self.params["steps"]


class CyclePerEpoch(Cycle):
    def on_train_batch_begin(self, batch, logs=None):
        pass

    def on_epoch_begin(self, epoch, logs=None):
        self.apply(*one_cycle(epoch, self.params["epochs"], self.max_lr))


class CycleNeverBeginsAnew(Cycle):
    step = 0

    def on_train_begin(self, logs=None):
        type(self).step = type(self).step

    def on_train_batch_begin(self, batch, logs=None):
        self.apply(*one_cycle(*self.place(batch), self.max_lr))
        type(self).step += 1


class CycleOfTheAttribute(Cycle):
    def apply(self, rate, momentum):
        self.model.optimizer.learning_rate = rate
        self.model.optimizer.momentum = float(momentum)


class CycleOfTheRateAttribute(Cycle):
    def apply(self, rate, momentum):
        self.model.optimizer.lr = rate


class CycleUpsideDown(Cycle):
    def apply(self, rate, momentum):
        super().apply(rate, 1.8 - momentum)


class CycleWithoutTheLastStretch(Cycle):
    def apply(self, rate, momentum):
        super().apply(max(rate, self.max_lr / 10), momentum)


ONE_CYCLE_CALLBACK = {
    "right": [[Cycle, Live], [CycleSetsTheNextStep, Live], [Cycle, LiveFromBuild]],
    "wrong": [
        ([CycleOfTheAttribute, keras.optimizers.SGD], "momentum of the update never changes"),
        ([CycleOfTheAttribute, Live], "momentum of the update never changes"),
        ([CycleOfTheRateAttribute, Live], "learning rate of the updates never changes"),
        ([CyclePerEpoch, Live], "once in an epoch"),
        ([CycleOneStepLate, Live], "one step late"),
        ([CycleEachEpoch, Live], "a whole cycle in each epoch"),
        ([CycleOfBatchNumbers, Live], "`batch` counts from 0"),
        ([CycleNeverBeginsAnew, Live], "In a second `fit`"),
        ([CycleUpsideDown, Live], "same way as the rate"),
        ([CycleWithoutTheLastStretch, Live], "off the cycle"),
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
