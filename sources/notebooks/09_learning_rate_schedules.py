# %% [markdown]
# # 09 Learning-rate schedules
#
# The learning rate decides more than any other number whether a network learns. Why keep it the
# same from the first step to the last?
#
# ## What you will be able to do
#
# In about 35 minutes you will be able to
#
# - tell from a loss curve whether a learning rate is too low, too high, or slightly too high;
# - find a good rate in one epoch with a **range test**;
# - write the usual **learning-rate schedules** (학습률 스케줄링) as functions of the step, and use
#   them in Keras, per step and per epoch;
# - train with **1cycle** (1사이클), and see how much of its gain is due to the schedule;
# - avoid a silent trap: a momentum that you set and that never changes.

# %%
import coursekit as ck

lab = ck.setup(seed=42)

import keras
import matplotlib.pyplot as plt
import numpy as np

# %% [markdown]
# One small net serves all experiments: three hidden layers of 100 ReLU units on handwritten digits,
# trained by SGD with momentum ([lesson 08](08_optimizers.ipynb)). `n_seeds` nets are trained for
# every comparison, each from other starting weights, so that you can tell an effect from luck.

# %%
n, epochs, n_seeds = lab.pick(quick=(10_000, 6, 2), standard=(20_000, 8, 5), full=(55_000, 12, 5))
data = ck.load("mnist").subset(n)
x, y, valid = data.x_train, data.y_train, (data.x_valid, data.y_valid)
batch_size = 128
steps_per_epoch = int(np.ceil(len(x) / batch_size))
print(f"{data.name} ({data.source}): {len(x):,} training images, {len(valid[0]):,} for validation")


def build(learning_rate, seed):
    keras.utils.set_random_seed(seed)
    hidden = [keras.layers.Dense(100, "relu", kernel_initializer="he_normal") for _ in range(3)]
    model = keras.Sequential(
        [keras.Input((28, 28)), keras.layers.Flatten(), *hidden, keras.layers.Dense(10, "softmax")]
    )
    model.compile(
        keras.optimizers.SGD(learning_rate, momentum=0.9),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.optimizer.build(model.trainable_variables)
    return model


def restart(model, seed):
    """Put a model back to the start: the weights of `seed`, an optimizer without memory."""
    model.set_weights(build(0.01, seed).get_weights())
    for variable in [model.optimizer.iterations, *model.optimizer.momentums]:
        variable.assign(keras.ops.zeros_like(variable))


# %% [markdown]
# `ck.fit` trains like `model.fit` and gives the same kind of history, but runs many steps in one
# compiled program, which for a net this small is several times as fast. You may write
# `model.fit` instead and wait a little longer.


# %%
def train(learning_rate, *, epochs=epochs, callback=None):
    """Train `n_seeds` nets; return their validation losses, shape (n_seeds, epochs)."""
    model = build(learning_rate, seed=0)
    runs = []
    for seed in range(n_seeds):
        restart(model, seed)
        if isinstance(learning_rate, float):
            model.optimizer.learning_rate = learning_rate
        history = ck.fit(
            model, x, y, epochs=epochs, batch_size=batch_size, validation_data=valid,
            callbacks=[callback()] if callback else [], verbose=0, seed=seed,
        )  # fmt: skip
        runs.append(history.history["val_loss"])
    return np.array(runs)


# %% [markdown]
# ## 1 · One rate, four fates
#
# Four nets start from the same weights and see the same batches in the same order. Only the
# learning rate differs: 0.0003, 0.03, 0.3 and 3.
#
# **Predict first:** which one has the lowest training loss after the first epoch? Which one after
# the last? Does the largest rate learn faster or not at all?

# %%
fates = {}
model = build(0.01, seed=0)
for rate in (0.0003, 0.03, 0.3, 3.0):
    restart(model, seed=0)
    model.optimizer.learning_rate = rate
    history = ck.fit(model, x, y, epochs=epochs, batch_size=batch_size, verbose=0, seed=0)
    fates[rate] = history.history["loss"]

# %%
guessing = np.log(10)  # the loss of giving each of ten classes the probability 1/10
fig, ax = plt.subplots()
for i, (rate, losses) in enumerate(fates.items()):
    shown = np.clip(np.nan_to_num(losses, nan=20, posinf=20), 0, 20)
    marked = {**ck.plotting.line_kw(i), "marker": ck.plotting.MARKERS[i]}
    ax.semilogy(range(1, len(losses) + 1), shown, **marked, label=f"rate {rate:g}")
ax.axhline(guessing, color=ck.plotting.COLORS[6], linewidth=1, linestyle=":", label="guessing")
ax.set(
    xlabel="epoch",
    ylabel="training loss (log scale, cut at 20)",
    title="Too low crawls, too high does not learn at all",
)
ax.legend(ncols=2)
ck.show(
    fig,
    alt="Training loss against epoch for four learning rates. 0.0003 falls slowly, 0.03 falls "
    "fast and lowest, 0.3 stays above 0.03, 3 stays at or above the dotted line of guessing.",
)

# %%
for rate, losses in fates.items():
    print(f"rate {rate:<7g} first epoch {losses[0]:9.3g}   last epoch {losses[-1]:9.3g}")
print(f"guessing                 {guessing:9.3g}")

# %% [markdown]
# Each rate has its own failure. Too **low**: the loss falls, but the budget is spent before it gets
# anywhere. Too **high**: the steps overshoot, the loss **diverges** (it grows, or sticks at the loss
# of guessing once the ReLU units are dead; some notes write "diverse", which is another word). **Slightly too high** is the treacherous one: it
# learns at once and then does worse than a smaller rate, because the last steps are as long as the
# first. (A loss of `nan` is not a number: the weights grew beyond what the computer can hold, and
# `ck.fit` stopped at that step.)

# %% tags=["claim"]
last = {rate: losses[-1] for rate, losses in fates.items()}
assert not last[3.0] < 0.9 * guessing, f"rate 3 should not learn; its loss is {last[3.0]:.3f}"
assert last[0.03] < last[0.0003], f"0.03 should beat 0.0003: {last[0.03]:.3f}, {last[0.0003]:.3f}"
assert not last[0.3] < last[0.03], f"0.03 should beat 0.3: {last[0.03]:.3f}, {last[0.3]:.3f}"

# %% [markdown]
# ## 2 · Find a good rate in one epoch: the range test
#
# You could train one net per rate, as above. The **range test** (Smith, 2017) needs one net and
# less than one epoch: start with a rate far too low, multiply it by a constant factor after every
# batch, and write down each batch's loss.
#
# **Predict first:** what does the curve of loss against rate look like?

# %% [markdown]
# This is the whole idea, in plain Keras:

# %%
model = build(learning_rate=1e-5, seed=0)
rates = np.geomspace(1e-5, 10, 150)
losses = []
order = np.random.default_rng(0).permutation(len(x))
for i, rate in enumerate(rates):
    rows = np.take(order, range(i * batch_size, (i + 1) * batch_size), mode="wrap")
    model.optimizer.learning_rate = rate
    losses.append(model.train_on_batch(x[rows], y[rows])[0])
    model.reset_metrics()  # or `losses` would hold running means, not each batch's own loss

fig, ax = plt.subplots()
ax.semilogx(rates, np.clip(losses, 0, 4), ".-", linewidth=0.8, markersize=4)
ax.axhline(guessing, color=ck.plotting.COLORS[6], linestyle=":", label="loss of guessing")
ax.set(
    xlabel="learning rate (log scale)",
    ylabel="loss of the batch (cut at 4)",
    title="Nothing, then progress, then the blow-up",
)
ax.legend()
ck.show(
    fig,
    alt="Loss of each batch against a growing learning rate: flat while the rate is tiny, then "
    "falling, then shooting up beyond the loss of guessing.",
)

# %% [markdown]
# Two things spoil this simple loop. It ruined the net: its weights went through the blow-up. And
# you must read the curve by eye. `ck.lr_range_test` does the same with your own model, smooths the
# curve, stops at the blow-up, and puts back every weight, every slot of the optimizer and every
# random generator. It suggests **half of the trough's middle**: the trough is where the loss lies in
# the lower half of its fall, and both its ends are steep, so that noise moves them little.

# %%
model = build(learning_rate=0.01, seed=0)
weights_before = [w.copy() for w in model.get_weights()]
result = ck.lr_range_test(model, x, y, batch_size=batch_size)
ck.show(
    result.plot(),
    alt="Range test: the smoothed loss falls to its lowest point and rises again; a dashed line "
    "marks the suggestion, half of the rate in the middle of the trough.",
)
good_rate = result.suggestion
print(f"suggested rate: {good_rate:.3g}, found in {len(result.rates)} steps ({result.reason})")

# %% tags=["claim"]
for before, after in zip(weights_before, model.get_weights(), strict=True):
    assert np.array_equal(before, after), "the range test must leave the weights as found"
slots = [v for v in model.optimizer.variables if "momentum" in v.path]
assert slots, "SGD with momentum should have built its slots"
assert all(not np.any(v.numpy()) for v in slots), "the optimizer's slots must be as found: zero"
assert int(model.optimizer.iterations) == 0, "the optimizer's step counter must be as found: 0"
assert abs(float(model.optimizer.learning_rate) - 0.01) < 1e-8, "the rate must be as found: 0.01"
assert 1e-4 < good_rate < 1, f"expected a usable suggestion, got {good_rate}"

# %% [markdown]
# ## 3 · Schedules are functions of the step
#
# A good start wants long steps, a good end wants short ones. A **schedule** gives the learning rate
# $\eta$ at each step $t$, with $\eta_0$ the first rate and $s$ a number of steps:
#
# | schedule | formula | in Keras |
# |---|---|---|
# | power (거듭제곱 기반) | $\eta_0 / (1 + t/s)^c$ | `InverseTimeDecay` for $c = 1$ |
# | exponential (지수 기반) | $\eta_0 \cdot 0.1^{t/s}$ | `ExponentialDecay` |
# | piecewise constant (구간별 고정) | $\eta_0$, then lower in stages | `PiecewiseConstantDecay` |
# | cosine with warm-up | up linearly, then $\eta_0 \cdot \frac12 (1 + \cos \pi u)$, $u$ from 0 to 1 | `CosineDecay` |
# | 1cycle (1사이클) | up linearly, down linearly, then almost to 0 | `ck.callbacks.OneCycle` |
# | performance (성능 기반) | halved when the validation loss stops falling | `ReduceLROnPlateau` |
#
# The last one is different: it cannot be drawn before training, because it listens.
#
# **Predict first:** in which schedule does the rate change fastest in the very first steps? Which one
# spends most of its steps close to the highest rate?

# %%
high_rate = 2 * good_rate  # the middle of the range test's trough
total = epochs * steps_per_epoch
schedules = keras.optimizers.schedules
made = {
    "power": ck.schedules.Power(high_rate, decay_steps=total / 8),
    "exponential": schedules.ExponentialDecay(high_rate, total / 2, decay_rate=0.1),
    "piecewise constant": schedules.PiecewiseConstantDecay(
        [total // 2, 3 * total // 4], [high_rate, high_rate / 5, high_rate / 25]
    ),
    "cosine with warm-up": schedules.CosineDecay(
        high_rate / 10,
        total - steps_per_epoch,
        warmup_target=high_rate,
        warmup_steps=steps_per_epoch,
    ),
    "1cycle": ck.schedules.OneCycle(high_rate, total),
}

fig, axes = plt.subplots(1, 5, figsize=(10, 2.4), sharey=True)
for i, (ax, (name, schedule)) in enumerate(zip(axes, made.items(), strict=True)):
    ax.plot([float(schedule(t)) for t in range(total)], color=ck.plotting.COLORS[i])
    ax.set_title(name, fontsize=9)
    ax.set_xlabel("step")
axes[0].set_ylabel("learning rate")
ck.show(
    fig,
    alt="Five small panels of learning rate against step: power falls fast and then ever more "
    "slowly, exponential falls smoothly, piecewise constant drops in two stages, cosine warms up "
    "and falls along a half wave, 1cycle goes up in a straight line, down again, and almost to 0.",
)

# %% [markdown]
# Does Keras do what the formula says? Do not trust the plan, ask the optimizer. This callback reads
# the rate back before every step; the claim below compares every single one with the formula. Any
# net will do here, so take the smallest: one weight and a bias.


# %%
class RecordRate(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.rates = []

    def on_train_batch_begin(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


def smallest(learning_rate):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate), loss="mse")
    return model


ones = np.ones((400, 1))
t = np.arange(2 * 50)
s = 25
formulas = {
    "power": (ck.schedules.Power(0.1, s), 0.1 / (1 + t / s)),
    "exponential": (schedules.ExponentialDecay(0.1, s, 0.1), 0.1 * 0.1 ** (t / s)),
    "piecewise constant": (
        schedules.PiecewiseConstantDecay([39, 79], [0.1, 0.05, 0.01]),
        np.where(t <= 39, 0.1, np.where(t <= 79, 0.05, 0.01)),
    ),
    "cosine with warm-up": (
        schedules.CosineDecay(0.0, 75, warmup_target=0.1, warmup_steps=s),
        np.where(t < s, 0.1 * t / s, 0.05 * (1 + np.cos(np.pi * (t - s) / 75))),
    ),
    "1cycle": (ck.schedules.OneCycle(0.1, 100), ck.schedules.one_cycle_at(t, 100, 0.1)[0]),
}

# %% tags=["claim"]
for name, (schedule, expected) in formulas.items():
    recorder = RecordRate()
    smallest(schedule).fit(ones, ones, batch_size=8, epochs=2, verbose=0, callbacks=[recorder])
    difference = np.abs(np.array(recorder.rates) - expected).max()
    assert len(recorder.rates) == 100, f"expected 100 steps, saw {len(recorder.rates)}"
    assert difference < 1e-7, (
        f"{name}: the optimizer's rate differs from the formula by {difference}"
    )
print("At each of 100 steps the optimizer's rate equals the formula, for", *formulas, sep="\n  ")

# %% [markdown]
# Look closely at the piecewise constant line in the cell above: Keras changes the value *after* the
# boundary step (`t <= 39`), where you might have expected *at* it. Off by one step is harmless in a
# long training, and a good reason to compare whole traces in a test.
#
# ### Per epoch or per step?
#
# `keras.callbacks.LearningRateScheduler` calls your function of the **epoch** and sets the rate once
# per epoch; a schedule object is asked at every **step**. Same formula, different stairs:

# %%
per_step, per_epoch = RecordRate(), RecordRate()
halving = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 * 0.5**epoch)
short = {"x": ones, "y": ones, "batch_size": 20, "epochs": 4, "verbose": 0}
smallest(schedules.ExponentialDecay(0.1, 20, 0.5)).fit(**short, callbacks=[per_step])
smallest(0.1).fit(**short, callbacks=[halving, per_epoch])

fig, ax = plt.subplots(figsize=(7.5, 2.8))
ax.plot(per_step.rates, **ck.plotting.line_kw(0), label="per step: ExponentialDecay")
ax.step(range(80), per_epoch.rates, where="post", **ck.plotting.line_kw(1),
        label="per epoch: LearningRateScheduler")  # fmt: skip
ax.set(
    xlabel="step (20 per epoch)",
    ylabel="learning rate in the optimizer",
    title="They agree only at the first step of each epoch",
)
ax.legend()
ck.show(
    fig,
    alt="Learning rate read back from the optimizer: a smooth exponential curve for the per-step "
    "schedule, a staircase touching it at the start of each epoch for the per-epoch callback.",
)

# %% [markdown]
# With few epochs the stairs are coarse: prefer a schedule per step. 1cycle *must* be stepped per
# batch; per epoch its two straight lines would be a handful of jumps.
#
# ### Performance scheduling listens to the validation loss
#
# `ReduceLROnPlateau(factor=0.5, patience=5)` halves the rate once the validation loss has not
# improved for five epochs. Its logic fits in a few lines. Here it runs on invented losses:

# %%
invented = [1.0, 0.8, 0.7, 0.69, 0.7, 0.71, 0.7, 0.72, 0.7, 0.6, 0.55, 0.56, 0.56, 0.57, 0.56, 0.56]
rate, best, waited, used = 0.1, np.inf, 0, []
for loss in invented:
    used.append(rate)
    if loss < best - 1e-4:
        best, waited = loss, 0
    else:
        waited += 1
        if waited >= 5:
            rate, waited = rate / 2, 0
print("rate used in each epoch:", *used)

# %% [markdown]
# ## 4 · The same budget for every schedule
#
# Now the race. Every net gets the same number of epochs. The constant rate runs twice: at the range
# test's suggestion, and twice as high, at the rate where all schedules have their peak. That
# second run matters: without it you could not tell whether a schedule won because it *changes* the
# rate or because it *started higher*.
#
# **Predict first:** rank the schedules by their last validation loss. Is the spread between seeds
# smaller than the difference between schedules?

# %%
results = {"constant": train(good_rate), "constant, high": train(high_rate)}
for name, schedule in made.items():
    if name == "1cycle":
        results[name] = train(good_rate, callback=lambda: ck.callbacks.OneCycle(high_rate))
    else:
        results[name] = train(schedule)
results["performance"] = train(
    high_rate, callback=lambda: keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1)
)

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), width_ratios=[3, 2])
for i, name in enumerate(["constant", "constant, high", "exponential", "1cycle"]):
    ck.plotting.band(left, range(1, epochs + 1), results[name], name, i)
left.set(xlabel="epoch", ylabel="validation loss", title=f"Mean and range of {n_seeds} seeds")
left.legend()
final = {name: runs[:, -1] for name, runs in results.items()}
final = dict(sorted(final.items(), key=lambda item: item[1].mean()))
ck.plotting.strip(right, final, "validation loss after the last epoch")
lowest = next(iter(final))
right.set_title(f"{lowest} ends lowest".capitalize())
ck.show(
    fig,
    alt="Left: validation loss against epoch for a constant rate, a high constant rate, exponential "
    "decay and 1cycle, mean and range over seeds. Right: final validation loss of every run of "
    "all eight schedules, sorted by mean.",
)

# %%
print(f"validation loss, mean ± standard deviation over {n_seeds} seeds, {epochs} epochs")
for name in final:
    runs = results[name]
    spread = runs[:, -1].std(ddof=1)
    print(
        f"  {name:20s} last {runs[:, -1].mean():.3f} ± {spread:.3f}   best {runs.min(1).mean():.3f}"
    )

# %% [markdown]
# ## 5 · 1cycle: is it really faster?
#
# 1cycle (Smith, 2018) starts at a tenth of the highest rate, climbs in a straight line to the top
# in the first half, comes down the same way, and spends the last tenth of the steps falling to a
# thousandth of where it started. Momentum (모멘텀) goes the other way: 0.95 → 0.85 → 0.95. In the middle it
# visits rates at which a constant run would not settle; the last leg harvests. (The other schedules of
# the race keep their momentum at 0.9.)
#
# Two questions, each with its own experiment. In the race above, in which epoch does 1cycle reach
# the best validation loss that the constant rate reached in the whole race? And when 1cycle is
# **planned** for fewer epochs (that is the point of it: the cycle shrinks with the budget), how
# short can it be?

# %%
target = results["constant"].mean(axis=0).min()
budgets = sorted({max(2, round(epochs * share)) for share in (1 / 3, 1 / 2, 2 / 3, 5 / 6)})
shorter = {
    budget: train(good_rate, epochs=budget, callback=lambda: ck.callbacks.OneCycle(high_rate))
    for budget in budgets
}
shorter[epochs] = results["1cycle"]

# %%
enough = [b for b, runs in shorter.items() if runs.mean(axis=0).min() <= target]
fewest = min(enough, default=None)
fig, ax = plt.subplots()
ck.plotting.band(ax, range(1, epochs + 1), results["constant"], "constant rate", 0)
for i, (budget, runs) in enumerate(shorter.items(), start=1):
    color = ck.plotting.COLORS[i]
    ax.plot(range(1, budget + 1), runs.mean(axis=0), **ck.plotting.line_kw(i))
    ax.plot(budget, runs.mean(axis=0)[-1], ck.plotting.MARKERS[i], color=color, markersize=8,
            label=f"1cycle planned for {budget} epochs")  # fmt: skip
ax.axhline(target, color=ck.plotting.COLORS[6], linewidth=1, linestyle=":")
ax.set(xlabel="epoch", ylabel="validation loss",
       title=f"A cycle of {fewest} epochs gets below the best of {epochs} at a constant rate")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Validation loss against epoch for the constant rate and for 1cycle planned for several "
    "budgets; markers show where each cycle ends relative to the constant rate's best, a dotted line.",
)

# %%
print(f"constant rate: best validation loss {target:.3f} in {epochs} epochs")
for budget, runs in shorter.items():
    print(f"1cycle planned for {budget} epochs: {runs.mean(axis=0).min():.3f}")
print(f"fewest epochs in which 1cycle gets there: {fewest}")

# %% tags=["claim"]
assert fewest is not None, "no 1cycle run reached the constant rate's best validation loss"
assert fewest < epochs, (
    f"1cycle should reach the constant rate's best loss {target:.3f} in fewer than {epochs} epochs"
)

# %% [markdown]
# Reaching a result in far fewer steps than usual is called **super-convergence** (Smith and Topin,
# 2019). But what exactly made the difference: that 1cycle went to a higher rate, or that it came
# down again? The race holds the answer, because one constant run stayed at the peak rate all along:

# %%
last = {name: runs[:, -1].mean() for name, runs in results.items()}
higher = last["constant, high"] - last["constant"]
down = last["1cycle"] - last["constant, high"]
print(f"a higher rate, kept constant:           validation loss {higher:+.3f}")
print(f"the same rate as the peak of a cycle:   validation loss {down:+.3f}")

# %% tags=["claim"]
assert down < 0, f"a rate that comes down again should end lower than its peak kept: {down:+.3f}"

# %% [markdown]
# A higher rate alone may help a short training and spoil a longer one (change `n` and `epochs` and
# see the sign turn). Letting it come down again is what makes it safe. Look at the dots in the race before
# you choose among the schedules that do come down: the spread between seeds is often as wide as the
# distance between them.

# %% [markdown]
# ## 6 · The silent trap: momentum that never changes
#
# Say you want to lower the momentum after the first epoch. The following callback looks right,
# raises nothing, and the attribute reads back as set.
#
# **Predict first:** how far apart are the final weights of a net whose momentum is set to 0 after one
# epoch, and of one whose momentum stays at 0.9?


# %%
class SetMomentum(keras.callbacks.Callback):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.model.optimizer.momentum = self.value


def final_weights(optimizer, callback):
    model = build(0.01, seed=1)
    model.compile(optimizer, loss="sparse_categorical_crossentropy")
    model.fit(x[:2000], y[:2000], epochs=3, shuffle=False, verbose=0, callbacks=[callback])
    return np.concatenate([w.ravel() for w in model.get_weights()])


kept = final_weights(keras.optimizers.SGD(0.01, momentum=0.9), SetMomentum(0.9))
zeroed = final_weights(keras.optimizers.SGD(0.01, momentum=0.9), SetMomentum(0.0))
print("largest difference between the two nets' weights:", np.abs(kept - zeroed).max())

# %% [markdown]
# Bit for bit the same. Keras traced the update into a graph in the first step, and there `momentum`
# is a Python number, so it went in as a **constant**. The learning rate is a variable and can be
# changed; momentum, `beta_1`, `clipnorm` and `weight_decay` cannot.
#
# The cure is to let the update read a variable. Ten lines for SGD:


# %%
class SGDWithLiveMomentum(keras.optimizers.SGD):
    def __init__(self, learning_rate, momentum):
        super().__init__(learning_rate, momentum=momentum)
        self.live_momentum = keras.Variable(momentum, trainable=False, name="live_momentum")

    def update_step(self, gradient, variable, learning_rate):
        velocity = self.momentums[self._get_variable_index(variable)]
        momentum = keras.ops.cast(self.live_momentum, variable.dtype)
        self.assign(velocity, momentum * velocity - learning_rate * gradient)
        self.assign_add(variable, velocity)


class SetLiveMomentum(SetMomentum):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.model.optimizer.live_momentum.assign(self.value)


live_kept = final_weights(SGDWithLiveMomentum(0.01, momentum=0.9), SetLiveMomentum(0.9))
live_zeroed = final_weights(SGDWithLiveMomentum(0.01, momentum=0.9), SetLiveMomentum(0.0))
print("the live optimizer equals Keras' own while momentum is constant:",
      np.allclose(live_kept, kept, atol=1e-6))  # fmt: skip
print("largest difference once momentum is really set to 0:", np.abs(live_kept - live_zeroed).max())

# %% tags=["claim"]
assert np.array_equal(kept, zeroed), "setting optimizer.momentum should have had no effect at all"
assert np.allclose(live_kept, kept, atol=1e-6), "the live optimizer should equal SGD at first"
assert np.abs(live_kept - live_zeroed).max() > 1e-3, "a live momentum should change the weights"

# %% [markdown]
# `ck.callbacks.OneCycle` cycles momentum inside the compiled update, for SGD, RMSprop and the Adam
# family, and writes down what the optimizer used at every step:

# %%
cycle = ck.callbacks.OneCycle(high_rate)
still = ck.callbacks.OneCycle(high_rate, momentum=(0.95, 0.95))
cycled = final_weights(keras.optimizers.SGD(good_rate, momentum=0.9), cycle)
constant = final_weights(keras.optimizers.SGD(good_rate, momentum=0.9), still)

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
left.plot(cycle.history["step"], cycle.history["learning_rate"], color=ck.plotting.COLORS[0])
left.set(xlabel="step", ylabel="learning rate", title="The rate goes up and down …")
right.plot(cycle.history["step"], cycle.history["momentum"], color=ck.plotting.COLORS[1])
right.set(xlabel="step", ylabel="momentum", title="… momentum down and up")
ck.show(
    fig,
    alt="Recorded from the optimizer during 1cycle: the learning rate rises in a straight line, "
    "falls, and ends near 0; momentum falls from 0.95 to 0.85, rises back and stays.",
)

# %% tags=["claim"]
steps = np.array(cycle.history["step"])
planned_rate, planned_momentum = ck.schedules.one_cycle_at(steps, len(steps), high_rate)
assert np.allclose(cycle.history["learning_rate"], planned_rate, rtol=1e-5, atol=1e-9)
assert np.allclose(cycle.history["momentum"], planned_momentum, rtol=1e-5)
assert np.abs(cycled - constant).max() > 1e-3, "cycling momentum should change the weights"

# %% [markdown]
# ## 7 · What is saved with the model, and what is not
#
# You stop a training and go on tomorrow. **Predict first:** does the schedule go on where it was?
# Does `ReduceLROnPlateau` remember how long it has waited?

# %%
import tempfile
from pathlib import Path

model = smallest(schedules.ExponentialDecay(0.1, 25, 0.1))
model.fit(ones, ones, batch_size=20, epochs=2, verbose=0)
with tempfile.TemporaryDirectory() as folder:
    model.save(Path(folder) / "model.keras")
    loaded = keras.models.load_model(Path(folder) / "model.keras")
print(f"before saving: step {int(model.optimizer.iterations)}, "
      f"rate {float(model.optimizer.learning_rate):.6f}")  # fmt: skip
print(f"after loading: step {int(loaded.optimizer.iterations)}, "
      f"rate {float(loaded.optimizer.learning_rate):.6f}")  # fmt: skip

# %% tags=["claim"]
assert int(loaded.optimizer.iterations) == 40, "the step counter should come back"
assert np.isclose(float(loaded.optimizer.learning_rate), 0.1 * 0.1 ** (40 / 25)), (
    "the schedule should go on where it was"
)

# %% [markdown]
# A **schedule object** is part of the optimizer: its settings and the step counter are saved in the
# `.keras` file and it goes on. (It goes on across two `fit` calls as well, which is a surprise if
# you wanted it to start again.) A **callback** is not part of the model: the rate it last set is saved, its
# memory is not. `ReduceLROnPlateau` forgets its best loss and its waiting, and a
# `LearningRateScheduler` counts epochs from 0 unless you pass `initial_epoch`.

# %% [markdown]
# ## Explore: the schedule designer
#
# Move the sliders. What must you change to make 1cycle look like cosine with warm-up?


# %%
def draw_schedule(kind, max_rate, start_divided_by, final_share, steps):
    t = np.arange(steps)
    momentum = np.full(steps, 0.9)
    if kind == "1cycle":
        rate, momentum = ck.schedules.one_cycle_at(
            t, steps, max_rate, start_lr=max_rate / start_divided_by, final_fraction=final_share
        )
    elif kind == "exponential":
        rate = max_rate * 0.1 ** (2 * t / steps)
    elif kind == "power":
        rate = max_rate / (1 + 8 * t / steps)
    else:
        warm = max(1, steps // 10)
        falling = 0.5 * max_rate * (1 + np.cos(np.pi * (t - warm) / (steps - warm)))
        rate = np.where(t < warm, max_rate * (t + 1) / (warm + 1), falling)
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8))
    left.plot(t, rate, color=ck.plotting.COLORS[0])
    left.set(xlabel="step", ylabel="learning rate", ylim=(0, None), title=kind)
    right.plot(t, momentum, color=ck.plotting.COLORS[1])
    right.set(xlabel="step", ylabel="momentum", ylim=(0.8, 1), title="momentum")
    return fig


ck.widgets.explore(
    draw_schedule,
    alt="The chosen schedule: learning rate and momentum against the step.",
    kind=["1cycle", "cosine with warm-up", "exponential", "power"],
    max_rate=(0.01, 1.0, 0.1),
    start_divided_by=(2, 50, 10),
    final_share=(0.0, 0.5, 0.1),
    steps=(10, 2000, 500),
)

# %% [markdown]
# ## Pitfalls
#
# - **A schedule in the optimizer and a callback that sets the rate.** Keras raises `TypeError` in the
#   middle of training. Use one or the other.
# - **A schedule counted in epochs.** `decay_steps` counts steps: multiply by the steps per epoch, and
#   again when you change the batch size.
# - **`optimizer.lr = 0.01`** makes a new attribute that nobody reads. Write
#   `optimizer.learning_rate = 0.01`, or `optimizer.learning_rate.assign(0.01)` where old code has
#   `K.set_value(optimizer.lr, 0.01)`.
# - **`decay=`** belongs to old Keras; today it is ignored, with a warning. Use a schedule.
# - **The loss in a batch hook** is the running mean of the epoch, not the batch's loss.
# - **A range test on a net that has been trained** shows a curve that is flat, then rises: the
#   easy progress is gone. Test before training, and again after changing the architecture,
#   the batch size or the optimizer.

# %% [markdown]
# ## Recap
#
# - Too low crawls, too high diverges, slightly too high never settles.
# - A range test finds, in an epoch or so, the trough of rates at which the loss falls and has not yet
#   blown up; train at half of its middle.
# - Schedules start high and end low; write them per step, and check the rate in the optimizer.
# - 1cycle reaches the constant rate's result in fewer epochs: high in the middle, low at the end.
# - Momentum set on a compiled optimizer changes nothing: verify by the weights.

# %% [markdown]
# ## Now practise
#
# Open [exercise 09](../exercises/09_learning_rate_schedules.ipynb): write each schedule, the range
# test and 1cycle yourself; every task answers back. The
# [CIFAR-10 study](../exercises/15_cifar10_study.ipynb) puts 1cycle to work on twenty layers.
#
# Then go on with lesson
# [10 ℓ1, ℓ2, max-norm and early stopping](10_regularisation.ipynb).

# %% [markdown]
# ## Further reading
#
# - L. N. Smith, *Cyclical Learning Rates for Training Neural Networks*, WACV 2017, arXiv:1506.01186:
#   section 3.3, the range test.
# - L. N. Smith, *A Disciplined Approach to Neural Network Hyper-Parameters: Part 1*,
#   arXiv:1803.09820, 2018: section 4.1, the 1cycle policy.
# - L. N. Smith and N. Topin, *Super-Convergence: Very Fast Training of Neural Networks Using Large
#   Learning Rates*, 2019, arXiv:1708.07120.
# - I. Loshchilov and F. Hutter, *SGDR: Stochastic Gradient Descent with Warm Restarts*, ICLR 2017,
#   arXiv:1608.03983: section 3, cosine annealing.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "Learning Rate Scheduling".
