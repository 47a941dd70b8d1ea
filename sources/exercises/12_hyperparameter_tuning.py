# %% [markdown]
# # Exercise 12: Hyperparameter tuning
#
# You write the tools of [lesson 12](../notebooks/12_hyperparameter_tuning.ipynb) yourself: two samplers, a
# search from coarse to fine, successive halving, and a search that never lets the test set choose a
# hyperparameter (하이퍼파라미터). Then you tune a small net with them. Allow 60 minutes.
#
# How it works
#
# - Replace `...  # your code here` by your code, run the cell, then run the check below it.
# - A check says *correct*, *wrong* with the reason, *crashed* with the place, or *not
#   attempted*.
# - Stuck? `ex.hint("log_uniform")` in a new cell gives a first hint for the task `log_uniform`;
#   the same call again gives the next.
# - `ex.progress()` shows what is done. It is kept when you close the notebook.
# - The twin of this notebook with all solutions is
#   [solutions/12](../solutions/12_hyperparameter_tuning.ipynb). Look there last.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import matplotlib.pyplot as plt
import numpy as np

ex = ck.exercise(12)

# %% [markdown]
# ## Part 1: Samplers
#
# Every function that draws at random gets a generator `rng`, made by `np.random.default_rng(seed)`. Draw
# from it and from nothing else; then a search can be repeated.
#
# ### Task 1: log-uniform
#
# Return `n` random values between `low` and `high`, shape `(n,)`, so that **every factor is equally
# likely**: from 0.0001 to 1, a quarter of them in each power of ten. `low` is greater than 0.


# %% tags=["task:log_uniform"]
def log_uniform(low, high, n, rng):
    """Return n values between low and high whose logarithm is uniform."""
    ### BEGIN SOLUTION
    return np.exp(rng.uniform(np.log(low), np.log(high), n))
    ### END SOLUTION


# %% tags=["check:log_uniform"]
ex.log_uniform(log_uniform)

# %% [markdown]
# ### Task 2: whole numbers, both ends included
#
# Return `n` random whole numbers from `low` to `high`, shape `(n,)`, of an integer type, all equally
# likely. **Both ends are included**: for layers "from 2 to 5" you want 2, 3, 4 and 5.


# %% tags=["task:whole_numbers"]
def whole_numbers(low, high, n, rng):
    """Return n whole numbers from low to high, both included, all equally likely."""
    ### BEGIN SOLUTION
    return rng.integers(low, high, n, endpoint=True)
    ### END SOLUTION


# %% tags=["check:whole_numbers"]
ex.whole_numbers(whole_numbers)

# %% [markdown]
# ### Look at what you made
#
# **Predict first:** how high is each bar?

# %%
draw = np.random.default_rng(42)
if ex.is_correct("log_uniform") and ex.is_correct("whole_numbers"):
    fig, axes = plt.subplots(1, 2, figsize=(9, 2.8))
    axes[0].hist(np.log10(log_uniform(1e-4, 1, 4_000, draw)), bins=np.arange(-4, 0.1, 0.5))
    axes[0].set(
        xlabel="log10 of the value", ylabel="samples", title="log_uniform(1e-4, 1, 4000, rng)"
    )
    axes[1].bar(*np.unique(whole_numbers(2, 5, 4_000, draw), return_counts=True))
    axes[1].set(xlabel="value", title="whole_numbers(2, 5, 4000, rng)")
    ck.show(fig, alt="Histograms of the two samplers: all bars are about equally high.")
else:
    print("For this picture solve tasks 1 and 2.")

# %% [markdown]
# ## Part 2: Searches
#
# ### Task 3: coarse to fine
#
# Search one hyperparameter, in `stages` stages of `n` trials each:
#
# 1. draw `n` values log-uniformly between `low` and `high` (use your sampler), and call `loss(value)`
#    **once** for each: every call is a training;
# 2. take the `n // 4` values with the lowest losses of this stage; the next stage searches from **half
#    the smallest** of them to **twice the largest**, a margin, but never outside the range of this stage.
#
# A training that diverges returns NaN as its loss: it counts as the worst. (In each stage at least
# `n // 4` trainings do not.)
#
# Return the pair `(best, ranges)`: the value with the lowest loss **of all stages**, and the list of
# the pairs `(low, high)` that were searched, one for each stage, the first being the one given. `n` is at
# least 8. For example, with 3 stages of 8 trials, `loss` is called 24 times and `ranges` has 3 pairs.


# %% tags=["task:coarse_to_fine"]
def coarse_to_fine(loss, low, high, stages, n, rng):
    """Return the best value found and the list of the ranges searched."""
    ### BEGIN SOLUTION
    tried, ranges = [], []
    for _ in range(stages):
        ranges.append((low, high))
        values = log_uniform(low, high, n, rng)
        losses = np.nan_to_num([loss(value) for value in values], nan=np.inf)
        stage = sorted(zip(losses, values, strict=True))
        tried += stage
        good = [value for _, value in stage[: n // 4]]
        low, high = max(low, min(good) / 2), min(high, 2 * max(good))
    return min(tried)[1], ranges
    ### END SOLUTION


# %% tags=["check:coarse_to_fine"] points=3
ex.coarse_to_fine(coarse_to_fine)

# %% [markdown]
# ### Task 4: successive halving
#
# `train(configuration, epochs)` trains a configuration from the start for so many epochs and returns its
# validation loss, NaN if it diverged: that counts as the worst. Begin with all configurations, two or more, and a budget of `first` epochs.
#
# 1. Train each one that is left with the budget.
# 2. Keep the best `1 / eta` of them: `len(...) // eta`, but one at least.
# 3. If more than one is left, multiply the budget by `eta` and begin again at 1. If one is left, stop.
#
# Return the pair `(winner, epochs)`: the configuration that is left, and the number of epochs trained
# in all. For example, 8 configurations with `first=1, eta=2` cost 8·1 + 4·2 + 2·4 = 24 epochs.


# %% tags=["task:successive_halving"]
def successive_halving(train, configurations, first, eta):
    """Return the configuration that survives and the epochs spent on all of them."""
    ### BEGIN SOLUTION
    left, budget, spent = list(configurations), first, 0
    while len(left) > 1:
        losses = [train(configuration, budget) for configuration in left]
        spent += budget * len(left)
        left = [left[i] for i in np.argsort(losses)[: max(1, len(left) // eta)]]
        budget *= eta
    return left[0], spent
    ### END SOLUTION


# %% tags=["check:successive_halving"] points=3
ex.successive_halving(successive_halving)

# %% [markdown]
# ### Task 5: an honest search
#
# Try every configuration of a list, choose one, and report how good it is.
#
# | argument | meaning |
# |---|---|
# | `fit` | `fit(configuration, x, y)` trains a model and returns it |
# | `configurations` | a list |
# | `data` | has `x_train`, `y_train`, `x_valid`, `y_valid`, `x_test`, `y_test` |
#
# A model has `model.score(x, y)`: its accuracy. Train each configuration **once**, choose the best as you
# have learned it, and return the triple `(configuration, validation score, test score)` of the chosen one.
# The rules about the test data: nothing is chosen by them, and you look at them **once**.


# %% tags=["task:honest_search"]
def honest_search(fit, configurations, data):
    """Return the chosen configuration, its validation score and its test score."""
    ### BEGIN SOLUTION
    best, best_score, best_model = None, -np.inf, None
    for configuration in configurations:
        model = fit(configuration, data.x_train, data.y_train)
        score = model.score(data.x_valid, data.y_valid)
        if score > best_score:
            best, best_score, best_model = configuration, score, model
    return best, best_score, best_model.score(data.x_test, data.y_test)
    ### END SOLUTION


# %% tags=["check:honest_search"] points=2
ex.honest_search(honest_search)

# %% [markdown]
# ## Part 3: Tune a net with your own tools
#
# One compiled net for all trainings, put back to fresh weights each time; the learning rate is a variable
# of its optimizer.

# %%
n, epochs, n_each = lab.pick(quick=(1_000, 4, 12), standard=(4_000, 5, 16), full=(10_000, 8, 24))
data = ck.load("mnist").subset(n)
x_train, y_train, valid = data.x_train, data.y_train, (data.x_valid[:1000], data.y_valid[:1000])
model = ck.models.mlp((28, 28), 10, hidden=2, units=30, activation="relu")
model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.optimizer.build(model.trainable_variables)
start = model.get_weights()


def train(rate, epochs=epochs, batch_size=50):
    """Train from the same start; return the validation loss."""
    model.set_weights(start)
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = float(rate)
    history = ck.fit(model, x_train, y_train, epochs=epochs, batch_size=batch_size,
                     validation_data=valid, verbose=0, seed=0)  # fmt: skip
    return history.history["val_loss"][-1]


# %% [markdown]
# **Predict first:** how wide is the range of the third stage?

# %%
if ex.is_correct("coarse_to_fine"):
    trials = []

    def remembered(rate):
        trials.append((rate, train(rate)))
        return trials[-1][1]

    best, ranges = coarse_to_fine(remembered, 1e-6, 1.0, 3, n_each, np.random.default_rng(1))
    fig, ax = plt.subplots(figsize=(7.5, 3.2))
    for i, (low, high) in enumerate(ranges):
        rates, losses = zip(*trials[i * n_each : (i + 1) * n_each], strict=True)
        look = {"color": ck.plotting.COLORS[i], "label": f"stage {i + 1}"}
        ax.loglog(rates, losses, ck.plotting.MARKERS[i], alpha=0.7, **look)
        lost = np.isnan(losses)  # diverged: a cross at the loss of guessing
        ax.plot(np.array(rates)[lost], np.full(lost.sum(), np.log(10)), "x", color=look["color"])
        ax.axvspan(low, high, color=ck.plotting.COLORS[i], alpha=0.08)
    ax.set(xlabel="learning rate (log scale)", ylabel="validation loss (log scale)",
           title=f"Your search chooses a rate of {best:.2g}")  # fmt: skip
    ax.set_yticks([0.2, 0.3, 0.5, 1, 2], ["0.2", "0.3", "0.5", "1", "2"])
    ax.minorticks_off()
    fig.legend(loc="outside right center")
    diverged = any(np.isnan(loss) for _, loss in trials)
    told = "; a cross is a training that diverged." if diverged else "."
    ck.show(
        fig,
        alt="Validation loss against learning rate for the trials of three stages, each stage in a "
        "narrower band" + told,
    )
    for low, high in ranges:
        print(f"searched {low:.2g} to {high:.2g}: a factor of {high / low:.3g}")
else:
    print("For this search solve task 3.")

# %% [markdown]
# Do the best trials of a later stage still crowd at one end of its range? With few trials the best quarter
# may lie on one side of the valley; the margin keeps the other side within reach. Rates near 1 may diverge,
# which is why NaN must count as the worst: a NaN is neither smaller nor larger than anything, so `sorted` and
# `min` put it anywhere.
#
# Now halving, on 16 random rates from your sampler: does it find a rate as good as the full search over
# the same 16, and for how many epochs?

# %%
if ex.is_correct("successive_halving") and ex.is_correct("log_uniform"):
    rates = log_uniform(1e-6, 1.0, 16, np.random.default_rng(2)).tolist()
    winner, spent = successive_halving(train, rates, 1, 2)
    longest = 8
    full = {rate: train(rate, longest) for rate in rates}
    rank = sorted(full, key=full.get).index(winner) + 1
    print(f"halving: rate {winner:.2g} for {spent} epochs; all 16 in full: {16 * longest} epochs")
    print(f"after {longest} epochs the winner is number {rank} of 16, "
          f"its loss {full[winner]:.3f}, the lowest {min(full.values()):.3f}")  # fmt: skip
else:
    print("For this comparison solve tasks 1 and 4.")

# %% [markdown]
# Last, the report that you could sign. The `fit` of your honest search returns a model with a `score`;
# here it keeps the weights of each training.


# %%
class Trained:
    def __init__(self, rate, x, y):
        train(rate)
        self.weights = model.get_weights()

    def score(self, x, y):
        model.set_weights(self.weights)
        return float(np.mean(np.argmax(model(x), axis=1) == y))


if ex.is_correct("honest_search") and ex.is_correct("log_uniform"):
    rates = log_uniform(1e-4, 1e-1, 10, np.random.default_rng(3)).tolist()
    rate, valid_score, test_score = honest_search(Trained, rates, data)
    print(
        f"chosen rate {rate:.2g}: validation accuracy {valid_score:.1%}, test accuracy {test_score:.1%}"
    )
    print(f"images: {len(data.x_valid):,} for validation, {len(data.x_test):,} for the test")
else:
    print("For this report solve tasks 1 and 5.")

# %% [markdown]
# ## If you have time
#
# - Let `coarse_to_fine` search two hyperparameters at once: ranges become a dict.
# - Count in `successive_halving` only the *additional* epochs, as if each training went on where it
#   stopped. How much cheaper is it?
# - Give the net other starting weights for every training (`ck.models.mlp` again). Does your search still
#   choose the same rate?
#
# ## What is done

# %%
ex.progress()
