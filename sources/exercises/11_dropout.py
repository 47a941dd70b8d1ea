# %% [markdown]
# # Exercise 11: Dropout and Monte Carlo dropout
#
# You write dropout (드롭아웃), Monte Carlo dropout (몬테 카를로 드롭아웃), two measures of doubt and
# alpha dropout's correction of [lesson 11](../notebooks/11_dropout.ipynb), and let a net say "I do not
# know". Allow 60 minutes.
#
# How it works
#
# - Replace `...  # your code here` by your code, run the cell, then run the check below it.
# - A check says *correct*, *wrong* with the reason, *crashed* with the place, or *not
#   attempted*.
# - Stuck? `ex.hint("dropout")` in a new cell gives a first hint for the task `dropout`; the same
#   call again gives the next.
# - `ex.progress()` shows what is done. It is kept when you close the notebook.
# - The twin of this notebook with all solutions is
#   [solutions/11](../solutions/11_dropout.ipynb). Look there last.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import numpy as np

ex = ck.exercise(11)

# %% [markdown]
# ## Part 1: Training
#
# | symbol | argument | meaning |
# |---|---|---|
# | $x$ | `x` | outputs of a layer: an array, one sample a row, one unit a column |
# | $p$ | `rate` | probability that a unit is dropped, $0 \le p < 1$ |
# | $1 - p$ | | the keep probability (보존 확률) |
# | | `draw` | a random generator of NumPy, such as `np.random.default_rng(42)` |
#
# ### Task 1: inverted dropout
#
# Set each value to 0 with probability $p$, each by itself, and divide those that stay by $1 - p$.
# Draw your random numbers from `draw`, and leave `x` as it is. For example, with a rate of 0.5 the
# values 1, 2, 3, 4 may become 2, 0, 0, 8.


# %% tags=["task:dropout"]
def dropout(x, rate, draw):
    """Return the layer's outputs as they are in one training step."""
    ### BEGIN SOLUTION
    kept = draw.random(x.shape) >= rate
    return x * kept / (1 - rate)
    ### END SOLUTION


# %% tags=["check:dropout"] points=2
ex.dropout(dropout)

# %% [markdown]
# ### Task 2: repair a net that was trained without scaling
#
# In another net, units were dropped with probability $p$ and those that stayed were **not** scaled.
# `kernel` holds the weights that lead from this layer to the next. At prediction nothing is dropped.
# Return the kernel with which the next layer then receives, on average, what it received in
# training.


# %% tags=["task:kernel_for_prediction"]
def kernel_for_prediction(kernel, rate):
    """Return the weights for prediction, after a training with unscaled dropout."""
    ### BEGIN SOLUTION
    return kernel * (1 - rate)
    ### END SOLUTION


# %% tags=["check:kernel_for_prediction"]
ex.kernel_for_prediction(kernel_for_prediction)

# %% [markdown]
# ### Look at what you made
#
# **Predict first:** the average over your masks settles at the sum without dropout. How many masks
# does it take at a rate of 50%, and does it take more or fewer at 90%?

# %%
if ex.is_correct("dropout"):
    draw = np.random.default_rng(42)
    x, weights = draw.normal(1, 1, 30), draw.uniform(size=30)
    rows = np.tile(x, (2_000, 1))
    counts, averages = np.arange(1, 2_001), {}
    for rate in (0.1, 0.5, 0.9):
        sums = np.asarray(dropout(rows, rate, draw)) @ weights
        averages[f"rate {rate:.0%}"] = np.cumsum(sums) / counts
    averages["without dropout"] = np.full(2_000, x @ weights)
    ck.show(ck.plotting.lines(averages, counts, log="x", crosses=False, xlabel="number of masks",
                              ylabel="average of what arrives so far",
                              title="What the next unit receives, on average over your masks"))  # fmt: skip
else:
    print("For this picture solve task 1.")

# %% [markdown]
# ## Part 2: Doubt
#
# ### Task 3: a layer that is always random
#
# Write a subclass of `keras.layers.Dropout` that drops units in training **and** at prediction. It
# takes the same arguments and heeds them, so `MCDropout(0.5)` and `MCDropout(0.5, seed=1)` should work.


# %% tags=["task:mc_dropout"]
class MCDropout(keras.layers.Dropout):
    """Dropout that stays on at prediction."""

    def call(self, inputs, training=False):
        ### BEGIN SOLUTION
        return super().call(inputs, training=True)
        ### END SOLUTION


# %% tags=["check:mc_dropout"]
ex.mc_dropout(MCDropout)

# %% [markdown]
# ### Task 4: many predictions of one net
#
# `model` has ordinary dropout layers and was trained as usual. Predict `samples` times with dropout
# on, and return all predictions: an array of shape (samples, n, classes). **Only dropout may be in
# training mode**, of whichever kind (`keras.layers.Dropout`, `keras.layers.AlphaDropout`); a batch
# normalisation in the model must work as at prediction, and stay as it is.
#
# The layers in `model.layers`, called one after the other, give the model's output.


# %% tags=["task:mc_samples"]
def mc_samples(model, x, samples):
    """Return `samples` predictions with dropout on, shape (samples, n, classes)."""
    ### BEGIN SOLUTION
    kinds = (keras.layers.Dropout, keras.layers.AlphaDropout)
    passes = []
    for _ in range(samples):
        h = x
        for layer in model.layers:
            h = layer(h, training=isinstance(layer, kinds))
        passes.append(keras.ops.convert_to_numpy(h))
    return np.stack(passes)
    ### END SOLUTION


# %% tags=["check:mc_samples"] points=2
ex.mc_samples(mc_samples)

# %% [markdown]
# ### Task 5: predictive entropy
#
# `probabilities` has the shape (n, classes). Return for each row
#
# $$H = -\sum_c p_c \ln p_c, \qquad \text{with } 0 \cdot \ln 0 = 0,$$
#
# an array of shape (n,). For example, the rows (0.5, 0.5) and (1, 0) give 0.6931 and 0.


# %% tags=["task:predictive_entropy"]
def predictive_entropy(probabilities):
    """Return the entropy of each row in nats, shape (n,)."""
    ### BEGIN SOLUTION
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return -np.sum(probabilities * logs, axis=1)
    ### END SOLUTION


# %% tags=["check:predictive_entropy"]
ex.predictive_entropy(predictive_entropy)

# %% [markdown]
# ### Task 6: disagreement
#
# `samples` has the shape (samples, n, classes), as from task 4. Return for each of the n inputs the
# **mutual information**: the entropy of the average prediction, minus the average entropy of the
# single predictions. It is 0 where all of them agree, however undecided each is. The lesson calls it
# the **epistemic** part of the entropy, and what was taken away the **aleatoric** one.
#
# For example, two passes that say (1, 0) and (0, 1) give 0.6931; two that both say (0.5, 0.5) give 0.


# %% tags=["task:mutual_information"]
def mutual_information(samples):
    """Return how much the passes disagree about each input, in nats, shape (n,)."""
    ### BEGIN SOLUTION
    average = predictive_entropy(samples.mean(axis=0))
    singles = [predictive_entropy(one) for one in samples]
    return average - np.mean(singles, axis=0)
    ### END SOLUTION


# %% tags=["check:mutual_information"] points=2
ex.mutual_information(mutual_information)

# %% [markdown]
# ## Part 3: Alpha dropout
#
# A unit with mean 0 and variance 1 is set to the value `lowest` with probability $p$ = `rate`, and left
# alone otherwise. Its mean and variance are then no longer 0 and 1. The correction $s\,x + d$,
# applied to every value (the dropped ones too), puts them right.
#
# ### Task 7: the correction
#
# Return the pair $(s, d)$ with $s > 0$. Work out the mean and the variance of the mixture first:
#
# - its mean is $(1 - p) \cdot 0 + p \cdot \text{lowest}$;
# - its mean square is $(1 - p) \cdot 1 + p \cdot \text{lowest}^2$;
# - the variance is the mean square minus the square of the mean.


# %% tags=["task:alpha_correction"]
def alpha_correction(rate, lowest):
    """Return s and d such that s·x + d has mean 0 and variance 1 again."""
    ### BEGIN SOLUTION
    mean = rate * lowest
    variance = (1 - rate) + rate * lowest**2 - mean**2
    s = 1 / np.sqrt(variance)
    return s, -s * mean
    ### END SOLUTION


# %% tags=["check:alpha_correction"] points=2
ex.alpha_correction(alpha_correction)

# %% [markdown]
# ### See it at work
#
# Forty layers of SELU, before any training. **Predict first:** which curve stays at 1? (With your
# ordinary dropout, with your correction, without any dropout.)


# %%
def deviations(drop, seed=0):
    """Return the standard deviation of 40 SELU layers of 200 units."""
    draw = np.random.default_rng(seed)
    h, stds = draw.normal(size=(500, 200)), []
    for _ in range(40):
        z = h @ draw.normal(0, 1 / np.sqrt(200), size=(200, 200))
        h = drop(1.0507 * np.where(z > 0, z, 1.67326 * np.expm1(np.minimum(z, 0))), draw)
        stds.append(h.std())
    return stds


def alpha_dropout(x, draw, rate=0.2, lowest=-1.0507 * 1.67326):
    s, d = alpha_correction(rate, lowest)
    return s * np.where(draw.random(x.shape) >= rate, x, lowest) + d


if ex.is_correct("alpha_correction"):
    kinds = {"without dropout": lambda x, draw: x, "with your correction": alpha_dropout}
    if ex.is_correct("dropout"):
        kinds["with your ordinary dropout"] = lambda x, draw: np.asarray(dropout(x, 0.2, draw))
    found = {name: deviations(drop) for name, drop in kinds.items()}
    ck.show(ck.plotting.lines(found, xlabel="layer", ylabel="standard deviation of the layer",
                              title="40 SELU layers with a dropout of 20% after each"))  # fmt: skip
else:
    print("For this picture solve task 7.")

# %% [markdown]
# ## Part 4: A net that may say "I do not know"
#
# A small net learns digits. Then it gets a mixed pile: digits, and photographs in grey that are no
# digits at all; whatever it says about those is wrong. It may put aside the images it doubts most.
# Your functions measure the doubt.
#
# **Predict first:** a third of the pile are photographs. If it puts a third aside, how many of the
# remaining answers are right? Which measure of doubt sorts best?

# %%
if all(ex.is_correct(t) for t in ("mc_samples", "predictive_entropy", "mutual_information")):
    data = ck.load("mnist").subset(lab.pick(quick=2_000, standard=5_000, full=20_000))
    keras.utils.set_random_seed(42)
    net = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten()])
    for _ in range(2):
        net.add(keras.layers.Dense(150, "relu", kernel_initializer="he_normal"))
        net.add(keras.layers.Dropout(0.5))
    net.add(keras.layers.Dense(10, "softmax"))
    net.compile("adam", loss="sparse_categorical_crossentropy")
    ck.fit(net, data.x_train, data.y_train, epochs=10, batch_size=64, verbose=0, seed=42)

    photos = ck.load("cifar10").x_test[:300, 2:30, 2:30].mean(axis=-1)
    pile = np.concatenate([data.x_test[:600], photos]).astype("float32")
    truth = np.concatenate([data.y_test[:600], np.full(300, -1)])  # no class is right
    once = keras.ops.convert_to_numpy(net(pile))
    passes = np.asarray(mc_samples(net, pile, 50))
    doubts = {
        "entropy, one pass": (once, predictive_entropy(once)),
        "entropy, your passes": (passes.mean(axis=0), predictive_entropy(passes.mean(axis=0))),
        "mutual information": (passes.mean(axis=0), mutual_information(passes)),
    }
    aside = np.linspace(0, 0.8, 33)
    shares = {}
    for name, (p, doubt) in doubts.items():
        right = (p.argmax(axis=1) == truth)[np.argsort(doubt)]
        shares[name] = [right[: round(len(right) * (1 - a))].mean() for a in aside]
        third = np.interp(1 / 3, aside, shares[name])
        print(f"{name:22s} one third put aside: {third:.1%} are right")
    ck.show(ck.plotting.lines(shares, aside, crosses=False, ylabel="share of right answers",
                              xlabel="share put aside, most doubtful first",
                              title="What is left when your net may say that it does not know"))  # fmt: skip
else:
    print("For this part solve tasks 4, 5 and 6.")

# %% [markdown]
# (One net and one seed.) No measure is perfect: some photographs look like a digit to every subnet that the masks leave.
#
# ## If you have time
#
# - Replace the dropout layers of the net by your `MCDropout` (`set_weights` takes the trained
#   weights over) and average calls of `net(pile)`. Do you get the same doubts?
# - Put aside by the largest probability instead of the entropy. Is there a difference?
# - How many passes do you need? Draw the share of right answers for 1, 5, 20 and 50.
#
# ## What is done

# %%
ex.progress()
