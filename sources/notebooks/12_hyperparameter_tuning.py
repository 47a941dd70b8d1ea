# %% [markdown]
# # 12 Hyperparameter tuning
#
# Every lesson so far had numbers that somebody chose: a learning rate, a width, a decay. How do you
# choose them yourself, how do you spend as little training on it as possible, and how do you keep
# from fooling yourself?
#
# ## What you will be able to do
#
# In about 40 minutes you will be able to
#
# - tell parameters from **hyperparameters** (하이퍼파라미터), and name the ones to tune first;
# - sample each on the right scale, and search at random, from coarse to fine;
# - say when a grid wastes its budget, and how much luck of the seed is in a "best" result;
# - keep the test set out of the search, and measure what happens if you do not;
# - stop hopeless trials early: successive halving, Hyperband, Optuna's pruners;
# - run a Bayesian search (TPE) with Optuna, rank the hyperparameters, and use several processes.

# %%
import coursekit as ck

lab = ck.setup(seed=42)

import time

import keras
import matplotlib.pyplot as plt
import numpy as np
import scipy.stats

optuna = ck.tuning.load_optuna()  # import optuna, without its log lines

# %% [markdown]
# A network's **parameters** are what training finds: weights and biases. **Hyperparameters** are what
# you must set before: no gradient tells you how. An old hand's order of importance:
#
# 1. the **learning rate**, before everything else;
# 2. batch size, number of units, momentum;
# 3. number of layers, learning-rate decay and weight decay (가중치 감소);
# 4. Adam's $\beta_1$, $\beta_2$, $\varepsilon$: leave them alone at first.
#
# Section 9 measures such a ranking instead of believing it.

# %%
n, epochs, n_trials, n_shared = lab.pick(
    quick=(1_500, 8, 32, 8), standard=(4_000, 8, 60, 30), full=(20_000, 12, 100, 60)
)
width, batch_size = 50, 50

# %% [markdown]
# ### One net for hundreds of trials
#
# You are about to train a few hundred small nets. Building and compiling each would take longer than
# training it. So compile **one** net, and make everything you tune a *variable* that the compiled
# program reads: the learning rate is one already; for weight decay and $\beta_1$ put a
# `keras.Variable` in the place of the number. The number of units gets a gate: it multiplies the
# outputs of the closed units by 0, so that they neither say nor learn anything.


# %%
class Gate(keras.layers.Layer):
    """Let through the first units only; how many is a variable."""

    def build(self, shape):
        self.open = self.add_weight(shape=(shape[-1],), initializer="ones", trainable=False)

    def call(self, x):
        return x * self.open


def build_net():
    stack = [keras.Input((28, 28)), keras.layers.Flatten()]
    for _ in range(2):
        stack += [keras.layers.Dense(width, "relu"), Gate()]
    model = keras.Sequential([*stack, keras.layers.Dense(10, "softmax")])
    optimizer = keras.optimizers.AdamW(learning_rate=0.001)
    optimizer.weight_decay = keras.Variable(0.0, trainable=False, name="weight_decay")
    optimizer.beta_1 = keras.Variable(0.9, trainable=False, name="beta_1")
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    optimizer.build(model.trainable_variables)
    return model


# %% [markdown]
# `Trainer` keeps that net and its data. Each call of `train` puts the net back to fresh weights of He
# initialisation (with the biases at 0, and an optimizer without memory), sets the hyperparameters, and
# trains. The same seed gives the same start and the same order of images.


# %%
class Trainer:
    def __init__(self, n, epochs):
        data = ck.load("mnist").subset(n)
        self.x, self.y, self.epochs = data.x_train, data.y_train, epochs
        self.valid = data.x_valid[:1000], data.y_valid[:1000]
        self.model = build_net()

    def train(self, learning_rate, weight_decay=0.0, units=width, momentum_gap=0.1, *,
              seed=0, callbacks=(), rows=slice(None), epochs=None):  # fmt: skip
        """Train from a fresh start; return Keras' history, a dict of lists."""
        draw, optimizer = np.random.default_rng(seed), self.model.optimizer
        dense = [layer for layer in self.model.layers if isinstance(layer, keras.layers.Dense)]
        for layer, fan_in in zip(dense, (784, units, units), strict=True):
            std = np.sqrt(2 / fan_in)
            layer.set_weights([std * draw.normal(size=layer.kernel.shape), np.zeros(layer.units)])
        for slot in [optimizer.iterations, *optimizer._momentums, *optimizer._velocities]:
            slot.assign(keras.ops.zeros_like(slot))
        optimizer.learning_rate = float(learning_rate)
        optimizer.weight_decay.assign(weight_decay)
        optimizer.beta_1.assign(1 - momentum_gap)
        for layer in self.model.layers:
            if isinstance(layer, Gate):
                layer.open.assign(np.arange(width) < units)
        return ck.fit(
            self.model, self.x[rows], self.y[rows], epochs=epochs or self.epochs, verbose=0,
            batch_size=batch_size, validation_data=self.valid, seed=seed, callbacks=callbacks,
        ).history  # fmt: skip

    def weights(self):
        return np.concatenate([weight.ravel() for weight in self.model.get_weights()])


trainer = Trainer(n, epochs)
print(f"{len(trainer.x):,} training images, {len(trainer.valid[0]):,} for validation")

# %% [markdown]
# `momentum_gap` is $1 - \beta_1$, the share of each new gradient in Adam's running mean; section 1 says
# why it is tuned in this form.
#
# [Lesson 09](09_learning_rate_schedules.ipynb) warned you: a number set on a compiled optimizer may
# be ignored in silence. So check that every one of these knobs really turns something.

# %%
usual = {"learning_rate": 0.003, "weight_decay": 0.0, "units": width, "momentum_gap": 0.1}
other = {"learning_rate": 0.006, "weight_decay": 1.0, "units": 40, "momentum_gap": 0.5}


def weights_after(**changes):
    trainer.train(**{**usual, **changes}, epochs=1)
    return trainer.weights()


as_usual, again = weights_after(), weights_after()
moved = {name: np.abs(weights_after(**{name: other[name]}) - as_usual).max() for name in usual}
print("nothing changed, trained again: largest difference", np.abs(again - as_usual).max())
for name, difference in moved.items():
    print(f"{name:14s} {usual[name]:g} → {other[name]:g}: largest difference {difference:.3f}")

# %% tags=["claim"]
assert np.array_equal(again, as_usual), "the same seed and settings should give the same weights"
for name, difference in moved.items():
    assert difference > 0.01, f"{name} should change the weights; they differ by {difference}"

# %% [markdown]
# ## 1 · On which scale?
#
# You look for a weight decay, or a learning rate, somewhere between 0.0001 and 1, and draw 10,000
# values uniformly.
#
# **Predict first:** what share of them lies above 0.1? What share should?

# %%
draw = np.random.default_rng(lab.seed)
samples = {
    "uniform": draw.uniform(1e-4, 1, 10_000),
    "log-uniform": 10 ** draw.uniform(-4, 0, 10_000),
}
below = {name: np.mean(values < 0.1) for name, values in samples.items()}

fig, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
for i, (ax, (name, values)) in enumerate(zip(axes, samples.items(), strict=True)):
    ax.hist(np.log10(values), bins=np.linspace(-4, 0, 33), color=ck.plotting.COLORS[i])
    ax.axvline(-1, color="black", linestyle="--", linewidth=1)
    ax.set_xticks(range(-4, 1), ["0.0001", "0.001", "0.01", "0.1", "1"])
    ax.set(xlabel="value (log scale)", title=f"{name}: {below[name]:.0%} are below 0.1")
axes[0].set_ylabel("samples")
ck.show(
    fig,
    alt="Two histograms over a log axis. Uniform samples pile up between 0.1 and 1; log-uniform samples "
    "are spread evenly over all four powers of ten.",
)

# %% tags=["claim"]
assert abs(below["log-uniform"] - 0.75) < 0.03, (
    f"log-uniform: expected 75% ± 3 below 0.1, got {below['log-uniform']:.1%}"
)
assert abs(below["uniform"] - 0.10) < 0.03, (
    f"uniform: expected about 10% below 0.1, got {below['uniform']:.1%}"
)

# %% [markdown]
# Uniform sampling spends nine tenths of your trials on the last power of ten. Where *factors* count, as
# with every rate, draw the **exponent** uniformly and raise 10 to it: four powers of ten, a quarter of
# the trials for each.
#
# - **Momentum** hides its factors: from 0.9 to 0.99 the memory $1/(1-\beta)$ grows tenfold. So draw
#   the gap $1 - \beta$ on a log scale.
# - **Integers** such as layers or units are drawn uniformly if their range is narrow. Mind the end:

# %%
numbers = draw.integers(2, 5, 1_000)
found = {number: numbers.tolist().count(number) for number in sorted(set(numbers.tolist()))}
print("1,000 draws of integers(2, 5):", found)

# %% tags=["claim"]
assert set(found) == {2, 3, 4}, f"integers(2, 5) should give 2, 3 and 4, got {sorted(found)}"

# %% [markdown]
# In NumPy, both `np.random.randint(2, 5)` and a generator's `integers(2, 5)` leave the upper end out: 2,
# 3, 4. In Python's own `random.randint(2, 5)` and in Optuna's `suggest_int` it is included.

# %% [markdown]
# ## 2 · Coarse: random search
#
# Now a search. The net gets a learning rate from $10^{-6}$ to $10^{-2}$ and a weight decay from
# $10^{-8}$ to $10^{-4}$, both log-uniform, and is judged on **validation** images. The seed of the
# weights is the same in all trials, so that only the configuration differs. In this *coarse* stage
# every training is short: it only has to tell good regions from bad ones.
#
# **Predict first:** which of the two matters more? How wide is the band of learning rates that work?

# %%
coarse_space = {
    "learning_rate": ck.tuning.LogUniform(1e-6, 1e-2),
    "weight_decay": ck.tuning.LogUniform(1e-8, 1e-4),
}
coarse = ck.tuning.sample(coarse_space, n_trials, seed=1)
began = time.perf_counter()
coarse_runs = [trainer.train(**configuration) for configuration in coarse]
seconds = (time.perf_counter() - began) / n_trials
coarse_losses = np.array([run["val_loss"][-1] for run in coarse_runs])
order = ck.tuning.best_first(coarse_losses)
print(f"{n_trials} trainings of {epochs} epochs, {seconds:.2f} s each")

# %%
fig, axes = plt.subplots(4, 5, figsize=(10, 6.5), sharex=True, sharey=True)
for rank, (ax, i) in enumerate(zip(axes.flat, order, strict=False), start=1):
    ax.plot(range(1, epochs + 1), coarse_runs[i]["accuracy"], **ck.plotting.line_kw(1))
    ax.plot(range(1, epochs + 1), coarse_runs[i]["val_accuracy"], **ck.plotting.line_kw(0))
    rate, decay = coarse[i].values()
    ax.set_title(f"#{rank}  η {rate:.1e}, λ {decay:.0e}", fontsize=8, fontweight="normal")
    ax.set_ylim(0, 1.02)
fig.suptitle(f"The best 20 of {n_trials}: validation (blue, solid) and training accuracy (dashed)",
             x=0.01, ha="left", fontweight="bold", fontsize=11)  # fmt: skip
fig.supxlabel("epoch", fontsize=10)
fig.supylabel("accuracy", fontsize=10)
ck.show(
    fig,
    alt="Twenty small panels, sorted by validation loss: training and validation accuracy against epoch. "
    "The first ones rise at once, the last ones much more slowly. Titles give rate η and decay λ.",
)

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
correlations = {}
for i, (ax, name) in enumerate(zip(axes, coarse_space, strict=True)):
    values = np.array([configuration[name] for configuration in coarse])
    correlations[name] = scipy.stats.spearmanr(values, coarse_losses).statistic
    ax.loglog(values, coarse_losses, ck.plotting.MARKERS[i], color=ck.plotting.COLORS[i], alpha=0.7)
    ax.set(xlabel=f"{name.replace('_', ' ')} (log scale)",
           title=f"Rank correlation {correlations[name]:+.2f}")  # fmt: skip
axes[0].set_ylabel("validation loss (log scale)")
ck.show(
    fig,
    alt="Final validation loss of every trial. Against the learning rate the dots follow a curve; "
    "against the weight decay they are scattered without a pattern.",
)

# %% [markdown]
# The learning rate decides; along the weight decay there is no pattern (a rank correlation of a few tenths
# is what chance makes of so few trials). Is decay useless, then? Look at the arithmetic before you say so.
# AdamW multiplies each weight by $1 - \eta\lambda$ in every step, with $\eta$ the rate and $\lambda$ the
# decay ([lesson 08](08_optimizers.ipynb)).

# %%
factors = 1 - np.float32(1e-2) * np.array([1e-8, 1e-6, 1e-4], np.float32)
steps = epochs * -(-n // batch_size)
for decay, factor in zip(("1e-8", "1e-6", "1e-4"), factors, strict=True):
    print(
        f"rate 0.01, decay {decay}: times {factor:.9f} per step, {factor**steps:.4f} in {steps} steps"
    )

# %% tags=["claim"]
assert factors[0] == 1, "a decay of 1e-8 should be lost in the rounding of 32 bits"
assert factors[2] ** steps > 0.99, f"1e-4 should hardly shrink a weight, got {factors[2] ** steps}"
rates = np.array([configuration["learning_rate"] for configuration in coarse])
assert abs(correlations["learning_rate"]) > 0.6 > abs(correlations["weight_decay"]), (
    f"the rate should rank the trials and the decay should not, got {correlations}"
)

# %% [markdown]
# In 32 bits a decay of 1e-8 is exactly nothing at any of these rates, and even the largest one shrinks a
# weight by a fraction of a percent in the whole training. The range came from recipes for another optimizer, for a
# penalty in the loss and for longer trainings. **A search tells you about the range you gave it**,
# nothing more; section 8 takes a range in which the decay can act.

# %% [markdown]
# ## 3 · Grid or random?
#
# You could have laid a grid: 5 learning rates times 5 decays, 25 trainings. Or 25 random points.
#
# **Predict first:** which finds the better learning rate?

# %%
left, right = np.log10(1e-6), np.log10(1e-2)
by_rate = np.argsort(rates)


def measured(u):
    """Loss at the share u of the way from the lowest rate to the highest, between the trials."""
    return np.interp(left + u * (right - left), np.log10(rates[by_rate]), coarse_losses[by_rate])


def best_found(points, both):
    """Lowest loss of a search; does the second coordinate count as much as the first, or not?"""
    return np.min(measured(points[..., 0]) + (measured(points[..., 1]) if both else 0), axis=-1)


draw, searches = np.random.default_rng(3), 2_000
ticks = (np.arange(5) + draw.uniform(size=(searches, 1))) / 5  # each grid somewhere else
grid = np.stack(
    [np.repeat(ticks, 5, axis=1), np.tile((np.arange(5) + 0.5) / 5, (searches, 5))], axis=-1
)
cloud = draw.uniform(size=(searches, 25, 2))

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True)
for i, (name, points) in enumerate((("grid", grid[0]), ("random", cloud[0]))):
    ax, color = axes[i], ck.plotting.COLORS[i]
    ax.plot(points[:, 0], points[:, 1], ck.plotting.MARKERS[i], color=color)
    ax.plot(points[:, 0], np.full(25, -0.06), "|", color=color, markersize=12)
    u = np.linspace(0, 1, 200)
    ax.plot(u, 1.05 + 0.12 * measured(u), color="black", linewidth=1)
    different = len(np.unique(points[:, 0]))
    ax.set(xlabel="learning rate, share of the range", title=f"{name}: {different} rates tried")
axes[0].set_ylabel("weight decay, share of the range")
ck.show(
    fig,
    alt="25 points of a grid and 25 random ones in a square, with their shadows on the lower edge: 5 "
    "for the grid, 25 for the random points. Above the square runs the measured loss.",
)

# %% [markdown]
# No new training is needed to compare them fairly: the coarse trials have measured the loss along the
# learning rate, so play 2,000 searches of each kind on that curve (interpolated between the trials),
# with the grid shifted by chance each time. Then the control: pretend that the second hyperparameter
# mattered exactly as much as the first.

# %%
excess = {}
for both, case in ((False, "only the rate matters"), (True, "both matter alike")):
    best_possible = (2 if both else 1) * coarse_losses.min()
    for name, points in (("grid", grid), ("random", cloud)):
        losses = np.array(best_found(points, both))
        if both and name == "grid":  # the second axis is shifted, too
            second = (np.arange(5) + draw.uniform(size=(searches, 1))) / 5
            losses = measured(ticks).min(axis=1) + measured(second).min(axis=1)
        excess[case, name] = (losses - best_possible).mean()
        print(f"{case:22s} {name:7s} best loss found lies {excess[case, name]:.4f} above the best")

# %% tags=["claim"]
one = {name: excess["only the rate matters", name] for name in ("grid", "random")}
assert one["random"] < 0.8 * one["grid"], (
    f"with one important dimension random should get closer than a grid, got {one}"
)

# %% [markdown]
# Where one dimension matters, the grid tries five values of it five times each; the random search
# tries 25. Where both matter alike, its advantage shrinks or turns: a grid covers the square more evenly. You
# rarely know beforehand which dimensions matter, and the grid also grows as $5^d$ with $d$ of them. So:
# random. (A grid is fine for one or two hyperparameters that you know to matter.)

# %% [markdown]
# ## 4 · Fine: the same, in a narrower range
#
# Keep the best quarter of the coarse trials, take the range they span, with a margin, and search there.
#
# **Predict first:** will the *median* trial be better than in the coarse stage? And the *best* one?

# %%
fine_space = ck.tuning.narrow(coarse_space, coarse, coarse_losses, keep=0.25)
for name in coarse_space:
    was, now = coarse_space[name], fine_space[name]
    print(f"{name:14s} {was.low:.0e} to {was.high:.0e}   →   {now.low:.1e} to {now.high:.1e}")

data = ck.load("mnist")
pool_x, pool_y = (
    data.x_test,
    data.y_test,
)  # for sections 6 and 11 only: nothing is chosen by it here
fine = ck.tuning.sample(fine_space, n_trials // 2, seed=2)
fine_losses, right_on_pool = [], []
for configuration in fine:
    fine_losses.append(trainer.train(**configuration)["val_loss"][-1])
    right_on_pool.append(np.argmax(trainer.model(pool_x), axis=1) == pool_y)
fine_losses, right_on_pool = np.array(fine_losses), np.array(right_on_pool)

# %%
stages = {"coarse": coarse_losses, "fine": fine_losses}
medians = {name: np.median(losses) for name, losses in stages.items()}
fig, ax = plt.subplots(figsize=(7.5, 2.6))
for i, (name, losses) in enumerate(stages.items()):
    offsets = np.random.default_rng(0).uniform(-0.2, 0.2, len(losses))
    ax.plot(losses, i + offsets, ck.plotting.MARKERS[i], color=ck.plotting.COLORS[i], alpha=0.7)
    ax.plot([medians[name]] * 2, [i - 0.35, i + 0.35], "-", color="black", linewidth=2.5)
ax.set_yticks([0, 1], list(stages))
ax.set(xscale="log", ylim=(1.6, -0.6), xlabel="validation loss (log scale); bar: median",
       title=f"Median {medians['coarse']:.2f}, then {medians['fine']:.2f}")  # fmt: skip
ck.show(
    fig,
    alt="Validation loss of every trial of both stages: the fine ones lie close together at the low end.",
)
for name, losses in stages.items():
    print(
        f"{name:7s} best {losses.min():.3f}   median {medians[name]:.3f}   worst {losses.max():.3f}"
    )

# %% tags=["claim"]
assert medians["fine"] < medians["coarse"], (
    f"the fine stage's median should beat the coarse one's, got {medians}"
)

# %% [markdown]
# The median falls a lot: no trial is wasted on rates that cannot learn. The best falls little, if at all;
# in a flat valley there is not much left to find. Two habits:
#
# - If the best trials crowd at an **end** of the range, the best value may lie beyond it: shift the range
#   before you narrow it.
# - Train longer in the fine stage. A short training prefers rates that are fast at first, and these need
#   not be the best in the end.

# %% [markdown]
# ## 5 · Why results vary: seeds
#
# The five best fine trials are ranked by a single training each. Train each of them again from other
# seeds: other starting weights, another order of the images.
#
# **Predict first:** will the winner win again? Will its loss be the same on average?

# %%
n_seeds = lab.pick(quick=4, standard=6, full=8)
top = ck.tuning.best_first(fine_losses)[:5]
retrained = {}
for rank, i in enumerate(top, start=1):
    runs = [trainer.train(**fine[i], seed=seed)["val_loss"][-1] for seed in range(1, n_seeds + 1)]
    retrained[f"#{rank}: η {fine[i]['learning_rate']:.1e}"] = np.array(runs)

# %%
means = np.array([runs.mean() for runs in retrained.values()])
spread = np.mean([runs.std(ddof=1) for runs in retrained.values()])
gaps = fine_losses[top[-1]] - fine_losses[top[0]]
fig, ax = plt.subplots(figsize=(7.5, 3))
ck.plotting.strip(
    ax, retrained, f"validation loss of {n_seeds} new seeds; x: the loss that ranked it"
)
ax.plot(fine_losses[top], range(5), "x", color="black", markersize=8, markeredgewidth=2)
ax.set_title(f"Spread of seeds {spread:.3f}; first and fifth were {gaps:.3f} apart")
ck.show(
    fig,
    alt="For the five best configurations: the losses of new seeds as dots, their mean as a bar, and a "
    "cross at the loss by which the configuration was ranked.",
)
print("ranks by the mean over new seeds:", *scipy.stats.rankdata(means).astype(int))
print(
    f"mean loss that ranked them {fine_losses[top].mean():.3f}, with new seeds {means.mean():.3f}"
)

# %% tags=["claim"]
assert spread > 0, "other seeds should give other losses"
repeat = trainer.train(**fine[top[0]])["val_loss"][-1]
assert repeat == fine_losses[top[0]], (
    f"the same seed should repeat the loss exactly: {fine_losses[top[0]]} and {repeat}"
)

# %% [markdown]
# A ranking whose gaps are smaller than the spread of seeds is a ranking of luck. What varies from run to
# run: the starting weights, the order of the batches, dropout's draws, which images were split off for
# validation, and on many machines even the order in which parallel threads add up numbers (`ck.setup`
# turns that off, which is why the same seed repeats to the last bit). So search with one seed if you
# must, but **decide between the finalists with several**.

# %% [markdown]
# ## 6 · Never choose by the test set
#
# A friend skips validation: she trains all fine configurations, looks at each one's accuracy on a test
# set of 250 images, and reports the best. You choose on 250 *validation* images and then look at the
# test images once.
#
# **Predict first:** by how many percentage points is each of these reports too good?
#
# All it takes is who is right on which image. The pool of images that no training and no search has used
# is dealt anew 1,000 times: 250 play validation, 250 play test, and all others are *fresh*: they tell the
# truth about the chosen net.

# %%
n_models, n_pool = right_on_pool.shape
counts = [*(k for k in (1, 2, 4, 8, 16, 32) if k < n_models), n_models]
draw = np.random.default_rng(6)
optimism = {"chosen on the test set": [], "chosen on validation": []}
for _ in range(1_000):
    cards = draw.permutation(n_pool)
    valid, test, fresh = (
        right_on_pool[:, part].mean(axis=1) for part in np.split(cards, [250, 500])
    )
    models = draw.permutation(n_models)
    for name, judge in (("chosen on the test set", test), ("chosen on validation", valid)):
        chosen = [models[:k][np.argmax(judge[models[:k]])] for k in counts]
        optimism[name].append(100 * (test[chosen] - fresh[chosen]))

# %%
fig, ax = plt.subplots(figsize=(7.5, 3.2))
for i, (name, values) in enumerate(optimism.items()):
    values = np.array(values)
    error = values.std(axis=0) / np.sqrt(len(values))
    ax.errorbar(counts, values.mean(axis=0), 2 * error, label=name, marker=ck.plotting.MARKERS[i],
                capsize=3, **ck.plotting.line_kw(1 - i))  # fmt: skip
dear = np.mean(optimism["chosen on the test set"], axis=0)
honest = np.mean(optimism["chosen on validation"], axis=0)
ax.axhline(0, color="black", linewidth=1)
ax.set(xlabel="number of configurations to choose from", ylabel="test − fresh accuracy, points",
       title=f"The best of {counts[-1]} on the test set looks {dear[-1]:.1f} points too good")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Optimism against the number of configurations: chosen on the test set it grows from 0, chosen "
    "on validation it stays at 0.",
)
for k, a, b in zip(counts, dear, honest, strict=True):
    print(f"best of {k:2d}: chosen on test {a:+.2f} points, chosen on validation {b:+.2f}")

# %% tags=["claim"]
assert dear[-1] > 0.3, f"choosing on the test set should flatter by 0.3 points; got {dear[-1]:.2f}"
assert abs(honest[-1]) < 0.3 * dear[-1], (
    f"chosen on validation the test should be honest: {honest[-1]:+.2f} against {dear[-1]:+.2f}"
)

# %% [markdown]
# Nobody cheated on purpose; taking a maximum is enough. With the test set as judge, its chance errors
# are part of the choice. The *validation* accuracy of your choice is flattered in just the same way: that
# is its job. Only data that took no part in any decision tell the truth, and they can do so **once**. A
# small test set and many configurations make it worse; so does every look "just to check".

# %% [markdown]
# ## 7 · Stop the hopeless early: successive halving
#
# The bad trials of section 2 were bad from the first epoch. **Successive halving** starts all of them
# with a small budget, keeps the better half, doubles the budget, and so on.
#
# **Predict first:** what share of the epochs does it need? Does it still find the best trial?
#
# The recorded curves of the coarse stage answer it without any new training: hide every epoch that
# halving would not have trained.

# %%
curves = np.array([run["val_loss"] for run in coarse_runs])


def successive_halving(curves, first=1, eta=2):
    """Return how many epochs each trial is trained; after each rung 1/eta of them go on."""
    trained = np.zeros(len(curves), int)
    alive, budget = np.arange(len(curves)), first
    while True:
        trained[alive] = budget = min(budget, curves.shape[1])
        alive = alive[np.argsort(curves[alive, budget - 1])]
        if budget == curves.shape[1]:
            return trained, alive[0]
        alive, budget = alive[: max(1, len(alive) // eta)], budget * eta


def draw_halving(first=1, eta=2):
    trained, winner = successive_halving(curves, first, eta)
    fig, ax = plt.subplots(figsize=(7.5, 3.4))
    for curve, stop in zip(curves, trained, strict=True):
        full = stop == curves.shape[1]
        look = {"color": ck.plotting.COLORS[0 if full else 7], "alpha": 0.9 if full else 0.6}
        ax.semilogy(range(1, stop + 1), curve[:stop], linestyle="-", linewidth=1.2, **look)
        if not full:
            ax.plot(stop, curve[stop - 1], "x", markersize=5, **look)
    rank = int(np.sum(curves[:, -1] < curves[winner, -1])) + 1
    ax.set(xlabel="epoch", ylabel="validation loss (log scale)",
           title=f"Halving trains {trained.sum() / curves.size:.0%} of the epochs; its choice ends as "
                 f"no. {rank} of {len(curves)}")  # fmt: skip
    return fig


ck.show(
    draw_halving(),
    alt="Validation loss of all trials against the epoch. Grey curves end with a cross where halving "
    "stops them; a few blue ones reach the last epoch.",
)

# %%
trained, winner = successive_halving(curves)
share, rank = trained.sum() / curves.size, int(np.sum(curves[:, -1] < curves[winner, -1])) + 1
good = order[: n_trials // 4]
early = {name: scipy.stats.spearmanr(curves[rows, 0], curves[rows, -1]).statistic
         for name, rows in (("all trials", order), ("the best quarter", good))}  # fmt: skip
print("trials in each rung:", *[int(np.sum(trained >= budget)) for budget in np.unique(trained)])
print(f"{share:.0%} of the epochs; its choice is number {rank} of {n_trials} in the end")
for name, value in early.items():
    print(f"rank correlation of the first and the last epoch, {name}: {value:+.2f}")

# %% tags=["claim"]
assert share < 0.6, f"halving should need less than 60% of the epochs, got {share:.0%}"
assert rank <= n_trials / 4, f"its choice should be in the best quarter, got number {rank}"

# %% [markdown]
# The idea rests on one assumption: **who leads early leads late**. The two correlations above tell how
# far it holds here, over all trials and among the good ones. It fails for slow starters: small rates,
# strong regularisation, schedules that come down at the end (lesson 09). Halving with `first=1` may drop
# just those.
#
# **Hyperband** hedges: it runs several halvings with the same budget each, from "many trials, tiny first
# budget" to "few trials, trained in full". For at most 27 epochs and $\eta = 3$:

# %%
most, eta = 27, 3
s_max = round(np.log(most) / np.log(eta))
for s in range(s_max, -1, -1):
    count, budget = int(np.ceil((s_max + 1) / (s + 1) * eta**s)), most // eta**s
    rungs = [(count // eta**i, budget * eta**i) for i in range(s + 1)]
    text = ", then ".join(f"{trials} × {length}" for trials, length in rungs)
    print(f"bracket {s}: trials × epochs {text}")

# %% [markdown]
# Libraries do not wait for a rung to fill: each trial that reaches one is compared with those that have
# been there before, and goes on or stops at once (*asynchronous* halving). In Optuna that is
# `SuccessiveHalvingPruner` and `HyperbandPruner`; `MedianPruner` stops a trial that is worse than the
# median of the earlier ones at the same epoch.

# %% [markdown]
# ## 8 · Bayesian search: TPE with Optuna
#
# Random search never learns from its own results. A Bayesian search does: it models what it has seen and
# proposes the next trial where it expects an improvement. Optuna's default, **TPE** (tree-structured
# Parzen estimator), does this in a simple way: split the trials into good and bad, estimate the density
# of each ($\ell$ for the good, $g$ for the bad), and try next where $\ell / g$ is largest.
#
# Four hyperparameters now, each in a range where it can act. First come *random* trials, trained in full: a
# yardstick, and the data for section 9. An Optuna objective takes a `trial`, asks it for values,
# and returns a number.

# %%
space = {
    "learning_rate": ck.tuning.LogUniform(1e-5, 1e-1),
    "units": ck.tuning.Integers(5, width + 1),
    "momentum_gap": ck.tuning.LogUniform(1e-3, 1.0),
    "weight_decay": ck.tuning.LogUniform(1e-4, 1.0),
}


def objective(trial):
    return trainer.train(**ck.tuning.suggest(trial, space))["val_loss"][-1]


random_study = ck.tuning.create_study(sampler="random", seed=0)
random_study.optimize(objective, n_trials=n_trials)
print(f"best of {n_trials} random trials: {random_study.best_value:.3f}")

# %% [markdown]
# What would TPE make of these trials? Here along the learning rate alone, with the best quarter as the good
# ones. (Optuna 5 models all hyperparameters together, older versions each for itself; both count only the
# best tenth as good.)

# %%
log_rates = np.log10([trial.params["learning_rate"] for trial in random_study.trials])
values = np.array([trial.value for trial in random_study.trials])
is_good = values <= np.quantile(values, 0.25)
u = np.linspace(-5, -1, 300)
good_density, bad_density = (
    scipy.stats.gaussian_kde(part, 0.4)(u) for part in (log_rates[is_good], log_rates[~is_good])
)
ratio = good_density / (bad_density + 0.05)  # Optuna mixes in a wide prior for the same reason
fig, ax = plt.subplots(figsize=(7.5, 3))
ax.plot(u, good_density, **ck.plotting.line_kw(0), label="density of the good trials, ℓ")
ax.plot(u, bad_density, **ck.plotting.line_kw(1), label="density of the bad trials, g")
ax.plot(u, ratio / ratio.max(), **ck.plotting.line_kw(2), label="ℓ / g (scaled)")
for i, part in enumerate((log_rates[is_good], log_rates[~is_good])):
    ax.plot(part, np.full(len(part), -0.05 - 0.06 * i), "|", color=ck.plotting.COLORS[i])
ax.set_xticks(range(-5, 0), ["1e-5", "1e-4", "1e-3", "0.01", "0.1"])
ax.set(xlabel="learning rate (log scale)", ylabel="density",
       title=f"TPE would try a rate near {10 ** u[ratio.argmax()]:.1e} next")  # fmt: skip
ax.legend(fontsize=8)
ck.show(
    fig,
    alt="Densities of good and bad trials along the learning rate, and their ratio, which has a peak.",
)

# %% [markdown]
# (The next trial is not exactly at the peak: a few dozen candidates are drawn from $\ell$, and the one
# with the best ratio is taken.)
#
# Now the real thing, with pruning: `PruningCallback` reports the validation loss after each epoch
# and ends the training where the pruner says so. The first 10 trials are random, for want of a model.
#
# **Predict first:** where will the learning rates of the later trials lie?


# %%
def pruned_objective(trial):
    history = trainer.train(
        **ck.tuning.suggest(trial, space), callbacks=[ck.tuning.PruningCallback(trial, "val_loss")]
    )
    return history["val_loss"][-1]


pruner = optuna.pruners.MedianPruner(n_startup_trials=8, n_warmup_steps=1)
study = ck.tuning.create_study(sampler="tpe", seed=0, pruner=pruner)
study.optimize(pruned_objective, n_trials=n_trials)
pruned = [trial for trial in study.trials if trial.state.name == "PRUNED"]
used = sum(len(trial.intermediate_values) for trial in study.trials) / (n_trials * epochs)
print(
    f"TPE: best {study.best_value:.3f}; {len(pruned)} trials pruned, {used:.0%} of the epochs trained"
)
print("best configuration:", {name: float(f"{v:.2g}") for name, v in study.best_params.items()})

# %%
fig, (left_ax, right_ax) = plt.subplots(1, 2, figsize=(10, 3.6))
for i, (name, found) in enumerate((("random", random_study), ("TPE, pruned", study))):
    done = [t.value if t.state.name == "COMPLETE" else np.inf for t in found.trials]
    best = np.minimum.accumulate(done)
    left_ax.step(range(1, n_trials + 1), best, where="post", **ck.plotting.line_kw(i), label=name)
    left_ax.plot(range(1, n_trials + 1), done, ck.plotting.MARKERS[i], markersize=3,
                 color=ck.plotting.COLORS[i], alpha=0.6)  # fmt: skip
left_ax.set(xlabel="trial", ylabel="validation loss (log scale)", yscale="log",
            title="Each finished trial, and the best so far")  # fmt: skip
left_ax.legend()
for trial in study.trials:
    steps, losses = zip(*sorted(trial.intermediate_values.items()), strict=True)
    cut = trial.state.name == "PRUNED"
    look = {"color": ck.plotting.COLORS[7 if cut else 0], "alpha": 0.6, "linestyle": "-"}
    right_ax.semilogy(np.array(steps) + 1, losses, linewidth=1, **look)
    if cut:
        right_ax.plot(steps[-1] + 1, losses[-1], "x", markersize=5, **look)
right_ax.set(xlabel="epoch", title=f"TPE's trials: {len(pruned)} of {n_trials} pruned (grey, x)")
ck.show(
    fig,
    alt="Left: validation loss of each finished trial and the best so far, for random search and for TPE. "
    "Right: learning curves of TPE's trials; pruned ones are grey and end with a cross.",
)

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.9), sharey=True)
last = np.array([list(trial.intermediate_values.values())[-1] for trial in study.trials])
for ax, name in zip(axes, space, strict=True):
    shown = ax.scatter([trial.params[name] for trial in study.trials], last, s=18,
                       c=range(1, n_trials + 1), cmap="viridis_r")  # fmt: skip
    ax.set(xlabel=name.replace("_", " "), yscale="log",
           xscale="linear" if name == "units" else "log")  # fmt: skip
axes[0].set_ylabel("last validation loss")
fig.colorbar(shown, ax=axes, label="trial")
fig.suptitle("Slices: later trials (dark) crowd where it pays", x=0.01, ha="left", fontsize=11,
             fontweight="bold")  # fmt: skip
ck.show(
    fig,
    alt="Four panels: last validation loss of each trial against learning rate, units, momentum gap and "
    "weight decay; dark dots are later trials.",
)

# %%
later = np.log10([trial.params["learning_rate"] for trial in study.trials])[n_trials // 2 :]
print(
    f"spread of the log10 learning rate: random {log_rates.std():.2f}, TPE's later half {later.std():.2f}"
)

# %% tags=["claim"]
assert later.std() < log_rates.std(), (
    f"TPE should concentrate: spread {later.std():.2f}, random search {log_rates.std():.2f}"
)
assert pruned, "the median pruner should have stopped some trials"
assert used < 0.95, f"pruning should save epochs, but {used:.0%} were trained"
assert study.best_trial.state.name == "COMPLETE", "the best trial should have run to its end"

# %% [markdown]
# Do not read more into the left picture than it holds: it is **one run of each**, and section 5 has shown
# what one run is worth. What is certain is the behaviour: TPE gathers where trials were good, and the
# pruner spends epochs on the promising. With few trials and a forgiving problem, random search is hard to
# beat; the more a training costs, the more a model of the past trials pays.

# %% [markdown]
# ## 9 · Which hyperparameter matters?
#
# **fANOVA** fits a random forest to the trials and asks how much of the variance of the loss each
# hyperparameter explains, over its whole range.
#
# **Predict first:** rank the four. Will TPE's study, most of whose trials lie in the good region, rank them
# alike?

# %%
importance = {}
for name, found in (("random, all trained in full", random_study), ("TPE, pruned", study)):
    rows = [
        optuna.importance.get_param_importances(
            found, evaluator=optuna.importance.FanovaImportanceEvaluator(n_trees=32, seed=seed)
        )
        for seed in range(3)
    ]
    importance[name] = {key: np.array([row[key] for row in rows]) for key in space}

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 2.8), sharex=True)
ranking = {}
for ax, (name, found) in zip(axes, importance.items(), strict=True):
    ranking[name] = sorted(found, key=lambda key: -found[key].mean())
    groups = {key.replace("_", " "): found[key] for key in ranking[name]}
    ck.plotting.strip(ax, groups, "share of the variance of the loss")
    ax.set_title(name)
axes[0].set_xlim(0, 1)
ck.show(
    fig,
    alt="Importance of the four hyperparameters, three forests each, sorted; on the left from random "
    "trials, on the right from the finished trials of TPE.",
)
for name, keys in ranking.items():
    print(f"{name}: " + " > ".join(f"{key} {importance[name][key].mean():.2f}" for key in keys))

# %% tags=["claim"]
first = ranking["random, all trained in full"][0]
assert first == "learning_rate", f"the learning rate should come first, got {first}"

# %% [markdown]
# Over the whole ranges the learning rate comes first, as the old order says. But mind what the numbers are:
# shares of the variance **over the ranges you gave, among the trials that finished**. A pruned study has
# thrown bad trials out and crowds where it is good, so it answers another question, less surely: what still
# matters near the good configurations? And the decay of section 2, in a range where it could not act, would
# score near zero in any study.

# %% [markdown]
# ## 10 · The same search in parallel
#
# Trials need nothing from each other, so several processes can share a study. The study then lives in a
# place all of them can read: here a journal file in a temporary folder (a database does as well).
#
# A worker is another Python, with a memory of its own. The function that you hand over travels to it, with
# the functions and numbers that it names; loaded data and a compiled net had better not. So hand over a
# function that **makes everything anew**, once in each worker: data, net, objective.


# %%
def make_objective():
    own = Trainer(n, epochs)

    def objective(trial):
        configuration = ck.tuning.suggest(trial, space)
        history = own.train(
            **configuration, callbacks=[ck.tuning.PruningCallback(trial, "val_loss")]
        )
        return history["val_loss"][-1]

    return objective


began = time.perf_counter()
shared = ck.tuning.search_in_parallel(make_objective, n_shared, workers=2, seed=0, pruner=pruner)
seconds = time.perf_counter() - began

# %%
fig, ax = plt.subplots(figsize=(7.5, 2.2))
start = min(trial.datetime_start for trial in shared.trials)
for trial in shared.trials:
    worker, cut = trial.user_attrs["worker"], trial.state.name == "PRUNED"
    ax.barh(worker, trial.duration.total_seconds(), left=(trial.datetime_start - start).total_seconds(),
            color=ck.plotting.COLORS[7 if cut else worker], edgecolor="white")  # fmt: skip
ax.set_yticks([0, 1], ["worker 0", "worker 1"])
ax.set(xlabel="seconds since the first trial began",
       title=f"{n_shared} trials by two processes (pruned: grey)")  # fmt: skip
ax.grid(axis="y", visible=False)
ck.show(fig, alt="Timeline: a bar for each trial, in one row for each of two worker processes.")
busy = sum(trial.duration.total_seconds() for trial in shared.trials)
print(
    f"best {shared.best_value:.3f}; {seconds:.0f} s in all, {busy:.0f} s of them in trials (both workers)"
)

# %% tags=["claim"]
shares = [sum(trial.user_attrs["worker"] == worker for trial in shared.trials) for worker in (0, 1)]
assert sum(shares) == n_shared, f"expected {n_shared} trials, got {sum(shares)}"
assert min(shares) > 0, f"both workers should have run trials, got {shares}"
assert all(trial.state.is_finished() for trial in shared.trials), "every trial should be finished"

# %% [markdown]
# Compare the two times: starting a process, loading TensorFlow and compiling cost seconds, so two
# workers pay when trials take minutes, not here. On one machine they also share its cores and
# its memory. And the search no longer repeats: what TPE proposes depends on who finished first.

# %% [markdown]
# ## 11 · Bias, variance, and robust models
#
# What are you tuning *for*? A net's error has two sources. **Bias**: even the average net of its kind is
# wrong (underfitting, 과소적합). **Variance**: nets trained on different samples disagree (overfitting,
# 과대적합). You can measure both: train five nets on five different samples of 300 images each. The error of their
# average prediction shows the bias, the share of images on which a single net departs from the average
# shows the variance.
#
# **Predict first:** with more units, what happens to the one, and to the other?


# %%
def bias_and_variance(units):
    deals = np.split(np.random.default_rng(0).permutation(n)[:1500], 5)
    votes = []
    for seed, rows in enumerate(deals):
        trainer.train(0.003, units=units, seed=seed, rows=rows, epochs=2 * epochs)
        votes.append(np.array(trainer.model(pool_x[:2000])))
    labels = np.argmax(votes, axis=2)
    average = np.argmax(np.mean(votes, axis=0), axis=1)
    return (
        np.mean(average != pool_y[:2000]),
        np.mean(labels != average),
        np.mean(labels != pool_y[:2000]),
    )


sizes = (2, 5, 15, width)
parts = np.array([bias_and_variance(units) for units in sizes]).T

# %%
fig, ax = plt.subplots(figsize=(7.5, 3.2))
names = ("bias: error of the average of five", "variance: departs from the average",
         "error of one net, on average")  # fmt: skip
for i, (name, values) in enumerate(zip(names, parts, strict=True)):
    ax.semilogx(sizes, values, marker=ck.plotting.MARKERS[i], label=name, **ck.plotting.line_kw(i))
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.set(xlabel="units in each hidden layer (log scale)", ylabel="share of images", ylim=(0, None),
       title=f"From {sizes[0]} to {width} units the bias falls from {parts[0, 0]:.0%} to {parts[0, -1]:.0%}")  # fmt: skip
ax.legend(fontsize=8)
ck.show(
    fig,
    alt="Bias, variance and mean error against the number of units. The bias falls with more units.",
)
for units, bias, variance, error in zip(sizes, *parts, strict=True):
    print(f"{units:3d} units: bias {bias:.1%}, variance {variance:.1%}, error {error:.1%}")

# %% tags=["claim"]
assert parts[0, -1] < 0.7 * parts[0, 0], f"more units should lower the bias, got {parts[0]}"

# %% [markdown]
# The textbook picture, in which variance *grows* with size, is not a law for neural networks: look at the
# middle curve. Tiny nets depend heavily on how they start, so they disagree as well. What the two numbers
# tell you is where to turn next:
#
# | symptom | means | try |
# |---|---|---|
# | training loss high | bias | more units or layers, a better rate, longer training, less regularisation ([lesson 10](10_regularisation.ipynb)) |
# | training low, validation high | variance | more data, decay, dropout ([lesson 11](11_dropout.ipynb)), early stopping, averaging nets |
# | both low, test high | leak or shift | section 6; is the new data like the old? |
#
# A **robust** model is one that stays good when something small changes: the seed, the sample, the value
# you tuned. So prefer the middle of a plateau to the deepest single point:

# %%
center = fine[top[0]]["learning_rate"]
plateau = {}
for factor in (0.1, 0.3, 1, 3, 10, 30):
    runs = [trainer.train(factor * center, seed=seed)["val_loss"][-1] for seed in range(3)]
    plateau[f"{factor:g} × {center:.1e}"] = np.array(runs)
fig, ax = plt.subplots(figsize=(7.5, 2.8))
ck.plotting.strip(ax, plateau, "validation loss of three seeds")
flat = [
    name.split()[0]
    for name, runs in plateau.items()
    if runs.mean() < 1.15 * plateau[f"1 × {center:.1e}"].mean()
]
ax.set_title(f"Within 15% of the winner's loss: {', '.join(flat)} times its rate")
ck.show(fig, alt="Validation loss for multiples of the best learning rate, three seeds each.")

# %% [markdown]
# ## Explore: a player for successive halving
#
# The curves are those of section 2. `first` is the budget of the first rung in epochs, `eta` the factor
# by which trials become fewer and budgets larger. How greedy can you be before the choice gets worse? What
# do `first=8` and `eta=4` mean?

# %%
ck.widgets.explore(
    draw_halving,
    alt="Learning curves of all trials, cut where successive halving with these settings stops them.",
    first=(1, 8, 2),
    eta=(2, 6, 3),
)

# %% [markdown]
# ## Pitfalls
#
# - **A linear scale for a rate.** Nine tenths of the trials land in the last power of ten.
# - **A range in which nothing can act**, or one that ends where the good values begin. Look at where the
#   best trials lie before you trust the search.
# - **Comparing with an untuned rival.** Give the baseline the same number of trials.
# - **Tuning one hyperparameter after the other.** They act together: a new batch size or width wants a new
#   learning rate.
# - **Reporting the search's own score.** The lowest of many validation losses is flattered. Train again,
#   with several seeds, then test once.
# - **Pruning slow starters** such as small rates, or schedules that only pay at their end.
# - **A knob that turns nothing**: a number set on a compiled optimizer may be a constant in its program.
#   Train twice with two values and compare the weights before you search.

# %% [markdown]
# ## Recap
#
# - Hyperparameters are set, not trained; the learning rate comes first. Rates, and $1 - \beta$, go on a log scale.
# - Random search tries a new value of every hyperparameter in every trial; narrow from coarse to fine.
# - A ranking inside the spread of seeds is luck; a score chosen on the test set is no test.
# - Halving, Hyperband and pruners stop bad trials early; TPE puts new trials where good ones were.
# - Importance holds for your ranges; high bias and high variance ask for different cures.

# %% [markdown]
# ## Now practise
#
# Open [exercise 12](../exercises/12_hyperparameter_tuning.ipynb): write the samplers, a search from coarse
# to fine, successive halving, and a search that never touches the test set.
#
# Then go on with lesson
# [13 Practical guidelines](13_practical_guidelines.ipynb).

# %% [markdown]
# ## Further reading
#
# - J. Bergstra and Y. Bengio, *Random Search for Hyper-Parameter Optimization*, JMLR 13, 2012: sections 1
#   and 2, grid and random search.
# - J. Bergstra, R. Bardenet, Y. Bengio and B. Kégl, *Algorithms for Hyper-Parameter Optimization*, NeurIPS
#   2011: section 4, TPE.
# - L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh and A. Talwalkar, *Hyperband: A Novel Bandit-Based Approach
#   to Hyperparameter Optimization*, JMLR 18, 2018: section 3.
# - T. Akiba, S. Sano, T. Yanase, T. Ohta and M. Koyama, *Optuna: A Next-generation Hyperparameter
#   Optimization Framework*, KDD 2019, arXiv:1907.10902.
# - F. Hutter, H. Hoos and K. Leyton-Brown, *An Efficient Approach for Assessing Hyperparameter Importance*,
#   ICML 2014: fANOVA.
# - B. Neal et al., *A Modern Take on the Bias-Variance Tradeoff in Neural Networks*, 2018, arXiv:1810.08591.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 10, "Fine-Tuning Neural Network Hyperparameters".
