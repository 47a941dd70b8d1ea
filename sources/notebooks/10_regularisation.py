# %% [markdown]
# # 10 ℓ1, ℓ2, max-norm and early stopping
#
# A net with more weights than images can learn every image by heart. What do the usual brakes
# (regularisation, 규제) really do to it, and what do they not do?
#
# ## What you will be able to do
#
# In about 40 minutes you will be able to
#
# - overfit on purpose (overfitting, 과대적합), and measure the gap in accuracy and in loss;
# - use ℓ1, ℓ2 and elastic-net penalties, and choose a coefficient that does not drown the data;
# - add a penalty in a layer and a training loop of your own, equal to Keras' to 1e-6;
# - cap unit norms with max-norm (맥스-노름), on the right axes of Dense and Conv2D kernels;
# - stop early (early stopping, 조기 종료), by hand and with Keras, and get the best epoch's weights;
# - make a sparse model in three ways.

# %%
import coursekit as ck

lab = ck.setup(seed=42)

import warnings
from functools import partial
from typing import NamedTuple

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from scipy.optimize import minimize_scalar
from sklearn.linear_model import Lasso, Ridge

# %% [markdown]
# 300 handwritten digits for training, and a net of seven dense layers with far more weights than
# that. `n_seeds` nets are trained for every comparison, each from other starting weights.

# %%
n_test, n_seeds = lab.pick(quick=(600, 2), standard=(2_000, 5), full=(4_000, 10))
data = ck.load("mnist").subset(300)
x, y = data.x_train, data.y_train
x_test, y_test = data.x_test[:n_test], data.y_test[:n_test]
epochs, batch_size = 100, 50
print(f"{data.name} ({data.source}): {len(x)} training images, {len(x_test):,} test images")

# %% [markdown]
# ## 1 · One setting for seven layers
#
# Seven layers with the same initialiser, activation and penalty are seven chances to forget one.
# `functools.partial` fixes the arguments that repeat; a later argument overrides:
#
# ```python
# RegularDense = partial(keras.layers.Dense, activation="relu", kernel_initializer="he_normal",
#                        kernel_regularizer=keras.regularizers.L2(0.003))
# ```
#
# That is all you need in your own code. This lesson tries many coefficients, and a coefficient
# given as a number is a constant of the compiled step, like momentum in
# [lesson 09](09_learning_rate_schedules.ipynb). So here is a regulariser of our own: any function
# from a kernel $W$ to a number will do. It adds up
#
# $$\lambda_1 \sum_i |w_i| + \lambda_2 \sum_i w_i^2$$
#
# over the weights $w_i$ of a kernel. With $\lambda_2 = 0$ it is **ℓ1** (lasso), with $\lambda_1 = 0$
# **ℓ2** (ridge), with both the **elastic net**. The coefficients live in variables.


# %%
class Penalty(keras.regularizers.Regularizer):
    def __init__(self):
        self.l1 = keras.Variable(0.0, trainable=False)
        self.l2 = keras.Variable(0.0, trainable=False)

    def set(self, l1=0.0, l2=0.0):
        self.l1.assign(l1)
        self.l2.assign(l2)

    def __call__(self, kernel):
        absolute, squares = keras.ops.sum(abs(kernel)), keras.ops.sum(kernel**2)
        return self.l1 * absolute + self.l2 * squares


penalty = Penalty()
RegularDense = partial(
    keras.layers.Dense,
    activation="relu",
    kernel_initializer="he_normal",
    kernel_regularizer=penalty,
)


# %%
def build(seed, **more):
    keras.utils.set_random_seed(seed)
    hidden = [RegularDense(100, **more) for _ in range(6)]
    output = RegularDense(10, activation="softmax", **more)
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), *hidden, output])
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy", keras.metrics.SparseCategoricalCrossentropy(name="data_loss")],
    )
    model.optimizer.build(model.trainable_variables)
    return model


model = build(seed=0)
starts = [build(seed).get_weights() for seed in range(n_seeds)]
print(f"{model.count_params():,} weights; {len(model.losses)} penalties, one for each layer")

# %% [markdown]
# Is the formula Keras' own? Compare with the built-in regularisers on a random kernel. Note what
# the formula does *not* have: Keras takes the **sum** of the squares, without the factor ½ of
# many textbooks (and of [lesson 08](08_optimizers.ipynb)), and biases are left out.

# %% tags=["claim"]
kernel = keras.ops.convert_to_tensor(np.random.default_rng(0).normal(size=(20, 5)), "float32")
builtin = keras.regularizers
for l1, l2, theirs in (
    (0.1, 0.0, builtin.L1(0.1)),
    (0.0, 0.1, builtin.L2(0.1)),
    (0.1, 0.02, builtin.L1L2(0.1, 0.02)),
):
    penalty.set(l1, l2)
    mine, expected = float(penalty(kernel)), float(theirs(kernel))
    assert abs(mine / expected - 1) < 1e-6, f"expected {expected} from the formula, got {mine}"
assert len(model.losses) == 7, f"expected a penalty in all 7 layers, got {len(model.losses)}"

# %% [markdown]
# ## 2 · Overfit on purpose
#
# First no penalty, then ℓ2 with $\lambda_2 = 0.003$, from the same starts, with the same batches.
# Two numbers are watched on training and on test images: the accuracy, and the **data loss**, which
# is the cross-entropy without the penalty.
#
# **Predict first:** will ℓ2 raise the accuracy on the test images? Will it lower the loss on
# them? Will the training accuracy stay below 100%?


# %%
class Run(NamedTuple):
    history: dict
    weights: list


def train(*, l1=0.0, l2=0.0, model=model, watch=None):
    """Train `n_seeds` nets; `watch` is data to measure after each epoch."""
    penalty.set(l1, l2)
    runs = []
    for seed in range(n_seeds):
        model.set_weights(starts[seed])
        for variable in [model.optimizer.iterations, *model.optimizer.momentums]:
            variable.assign(keras.ops.zeros_like(variable))
        history = ck.fit(
            model, x, y, epochs=epochs, batch_size=batch_size, validation_data=watch,
            verbose=0, seed=seed,
        )  # fmt: skip
        runs.append(Run(history.history, model.get_weights()))
    return runs


runs = {
    "no penalty": train(watch=(x_test, y_test)),
    "ℓ2": train(l2=0.003, watch=(x_test, y_test)),
}

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6))
for ax, (name, unit) in zip(
    axes, [("accuracy", "accuracy"), ("data_loss", "cross-entropy")], strict=True
):
    for i, (kind, results) in enumerate(runs.items()):
        for j, prefix in enumerate(["", "val_"]):
            curves = [run.history[prefix + name] for run in results]
            label = f"{kind}, {'test' if prefix else 'training'}"
            ck.plotting.band(ax, range(1, epochs + 1), curves, label, 2 * i + j)
    ax.set(xlabel="epoch", ylabel=unit)
axes[0].set_title("ℓ2 hardly moves the accuracy …")
axes[1].set(title=f"… but the test loss ({n_seeds} seeds, mean and range)", ylim=(0, 2.5))
axes[1].legend()
ck.show(
    fig,
    alt="Training and test curves over the epochs with and without an l2 penalty, mean and range over "
    "seeds. Left the accuracy, right the cross-entropy without the penalty.",
)


# %%
def log_probabilities(weights, images):
    """The net's output in NumPy, as logarithms, shape (n, 10)."""
    h = images.reshape(len(images), -1)
    for i in range(0, len(weights), 2):
        z = h @ weights[i] + weights[i + 1]
        h = np.maximum(z, 0)
    log_p = z - z.max(axis=1, keepdims=True)
    return log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))


def scores(weights, images, labels):
    """Accuracy and cross-entropy, without any penalty."""
    log_p = log_probabilities(weights, images)
    loss = -log_p[np.arange(len(labels)), labels].mean()
    return (log_p.argmax(axis=1) == labels).mean(), loss


def measure(results):
    """Return the four scores of every run, each of shape (n_seeds,)."""
    train = np.array([scores(run.weights, x, y) for run in results])
    test = np.array([scores(run.weights, x_test, y_test) for run in results])
    columns = np.hstack([train, test]).T
    return dict(zip(["train acc", "train loss", "test acc", "test loss"], columns, strict=True))


def table(rows):
    """Print the means over the seeds."""
    print(f"{'':22s} accuracy: train   test    gap     loss: train   test    gap")
    for name, m in rows.items():
        acc, loss = m["train acc"] - m["test acc"], m["test loss"] - m["train loss"]
        print(f"{name:22s}        {m['train acc'].mean():7.1%} {m['test acc'].mean():7.1%} "
              f"{acc.mean():7.1%}       {m['train loss'].mean():7.3f} {m['test loss'].mean():7.3f} "
              f"{loss.mean():7.3f}")  # fmt: skip


# %%
measured = {kind: measure(results) for kind, results in runs.items()}
table(measured)
change = measured["ℓ2"]["test acc"] - measured["no penalty"]["test acc"]
print(f"\ntest accuracy with ℓ2 minus without, seed by seed: "
      f"{', '.join(f'{c:+.1%}' for c in change)}")  # fmt: skip


def conviction(run):
    """Mean probability that the net gives to its answer where that answer is wrong."""
    log_p = log_probabilities(run.weights, x_test)
    return np.exp(log_p.max(axis=1))[log_p.argmax(axis=1) != y_test].mean()


sure = {kind: np.mean([conviction(run) for run in results]) for kind, results in runs.items()}
print("how sure of its wrong answers:", *(f"{kind} {value:.0%}" for kind, value in sure.items()))

# %% tags=["claim"]
plain, with_l2 = measured["no penalty"], measured["ℓ2"]
gaps = [(m["test loss"] - m["train loss"]).mean() for m in (plain, with_l2)]
for name, m in measured.items():
    assert m["train acc"].mean() > 0.97, f"{name} should learn by heart: {m['train acc'].mean()}"
assert (plain["train acc"] - plain["test acc"]).mean() > 0.1, "the plain net should overfit"
assert abs(change.mean()) < 0.05, f"the test accuracy should hardly move: {change.mean():+.1%}"
assert sure["ℓ2"] < sure["no penalty"], f"ℓ2 should make it less sure of mistakes: {sure}"
assert gaps[1] < 0.85 * gaps[0], f"the gap in loss should shrink: {gaps[0]:.3f} → {gaps[1]:.3f}"

# %% [markdown]
# **Verdict:** the gap in **loss** shrinks clearly. The gap in **accuracy** does not have to: both nets
# still learn the 300 images by heart, so the accuracy gap could only shrink if the *test* accuracy
# rose, and the line "seed by seed" above says by how much it did. You will often read that weight
# decay (가중치 감소) "raises the accuracy". Here it makes the net less *sure* of its mistakes.
#
# ## 3 · The penalty must not dominate the loss
#
# What is left to turn is the coefficient.
#
# **Predict first:** at $\lambda_2 = 0.1$, what is the gap between training and test accuracy?

# %%
by_l2 = {0.0: runs["no penalty"], 0.003: runs["ℓ2"]}
by_l2 |= {coefficient: train(l2=coefficient) for coefficient in (0.01, 0.03, 0.1)}
sweep = {coefficient: measure(results) for coefficient, results in by_l2.items()}

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.4))
places = range(len(sweep))
for ax, quantity in zip(axes, ["acc", "loss"], strict=True):
    for i, part in enumerate(["train", "test"]):
        values = np.array([m[f"{part} {quantity}"] for m in sweep.values()]).T
        ck.plotting.band(ax, places, values, {"train": "training"}.get(part, part), i)
    ax.set_xticks(places, [f"{c:g}" for c in sweep])
    ax.set(xlabel="ℓ2 coefficient", ylabel={"acc": "accuracy", "loss": "cross-entropy"}[quantity])
axes[0].axhline(0.1, color="black", linewidth=1, linestyle=":", label="guessing")
axes[1].axhline(np.log(10), color="black", linewidth=1, linestyle=":", label="guessing")
lowest = min(sweep, key=lambda c: sweep[c]["test loss"].mean())
axes[0].set_title("The gap closes when nothing is learned")
axes[1].set_title(f"Lowest test loss at {lowest:g}")
axes[0].legend()
ck.show(
    fig,
    alt="Training and test accuracy, and training and test cross-entropy, against the l2 coefficient. "
    "At the largest coefficient training and test meet at the dotted line of guessing.",
)
table({f"ℓ2 coefficient {c:g}": m for c, m in sweep.items()})

# %% tags=["claim"]
strongest = sweep[0.1]
gap = {c: (m["train acc"] - m["test acc"]).mean() for c, m in sweep.items()}
assert gap[0.1] < 0.5 * gap[0.0], f"at 0.1 the accuracy gap should close: {gap}"
assert strongest["test acc"].mean() < 0.5, f"… by not learning: {strongest['test acc'].mean():.2f}"
assert sweep[0.0]["test acc"].mean() > 0.6, "without a penalty the net should learn"
assert lowest > 0, "some penalty should lower the test loss"

# %% [markdown]
# **Verdict:** at the strong end the gap between training and test accuracy does shrink, down to
# nothing. Look at how: *training* falls, and the test accuracy with it. That is underfitting (과소적합).
# A small gap is no goal in itself; low loss and high accuracy on images the net has not seen are.
#
# Why does it break down so suddenly? Compare the two parts of what is minimised, at the start:

# %%
data_loss_at_start = scores(starts[0], x, y)[1]
squares = sum(np.sum(w**2) for w in starts[0][::2])
print(f"data loss at the start: {data_loss_at_start:.2f}")
for coefficient in list(sweep)[1:]:
    print(f"penalty with coefficient {coefficient:<6g} {coefficient * squares:8.2f}")

# %% [markdown]
# The data loss is a **mean** over the batch, so it stays near 2.3 however many images there are. The
# penalty is a **sum** over all weights: it grows with the net. With a **mean** of squares in its place
# the same coefficient would do nearly nothing:

# %%
widths, shares = (25, 100, 400), {}
print("coefficient 0.003, one layer at the start (He initialisation)")
for width in widths:
    w = np.random.default_rng(0).normal(scale=np.sqrt(2 / width), size=(width, width))
    shares[width] = 0.003 * np.sum(w**2), 0.003 * np.mean(w**2)
    print(f"  {width:3} × {width:<3} sum of squares: {shares[width][0]:7.4f}   "
          f"mean of squares: {shares[width][1]:.7f}")  # fmt: skip

# %% tags=["claim"]
assert 13 < shares[400][0] / shares[25][0] < 19, "a 16 times wider layer: about 16 times the sum"
for width, (summed, mean) in shares.items():
    assert np.isclose(summed, mean * width**2), "the mean is the sum over the number of weights"
assert 0.1 * squares > 10 * data_loss_at_start, "0.1 should drown the data loss at the start"

# %% [markdown]
# So a coefficient is no constant of nature. Change the width, or replace a sum by a mean in a loss of
# your own, and you must choose it again: it is a hyperparameter (하이퍼파라미터). Try powers of ten,
# print both parts at the start, and judge by the validation loss *without* the penalty.
#
# That last point is a trap. Keras adds the penalty to `loss` **and** to `val_loss`:

# %%
history = runs["ℓ2"][0].history
added = history["val_loss"][-1] - history["val_data_loss"][-1]
by_hand = 0.003 * sum(np.sum(w**2) for w in runs["ℓ2"][0].weights[::2])
print(f"val_loss {history['val_loss'][-1]:.3f} = data loss {history['val_data_loss'][-1]:.3f} "
      f"+ penalty {added:.3f} (by hand {by_hand:.3f})")  # fmt: skip

# %% tags=["claim"]
assert abs(added - by_hand) < 1e-3, f"val_loss should hold the penalty {by_hand:.4f}, not {added}"

# %% [markdown]
# Two nets with different coefficients cannot be compared by `val_loss`. Give `compile` the cross-entropy
# as a metric too, as `build` does.
#
# ## 4 · ℓ1 and ℓ2 shrink in different ways
#
# **Predict first:** which of the two makes more weights (nearly) zero, and why?
#
# Take a single weight. The data alone would set it to $a$; the penalty pulls it to 0:
#
# $$\min_w\; \tfrac12 (w - a)^2 + \lambda_1 |w| + \lambda_2 w^2
# \quad\Rightarrow\quad
# w = \frac{\operatorname{sign}(a)\, \max(|a| - \lambda_1,\, 0)}{1 + 2 \lambda_2}$$
#
# ℓ2 pulls with the force $2\lambda_2 w$, in proportion to $w$: the smaller the weight, the weaker the
# pull, so it never arrives. ℓ1 pulls with the constant force $\lambda_1$ until the weight is 0.


# %%
def shrunk(a, l1, l2):
    return np.sign(a) * np.maximum(np.abs(a) - l1, 0) / (1 + 2 * l2)


kinds = {"ℓ1": (0.5, 0.0), "ℓ2": (0.0, 0.5), "elastic net": (0.25, 0.25)}
a = np.linspace(-2, 2, 401)
fig, ax = plt.subplots(figsize=(6.5, 3.4))
ax.plot(a, a, color=ck.plotting.COLORS[7], linewidth=1, label="no penalty")
for i, (kind, (l1, l2)) in enumerate(kinds.items()):
    ax.plot(a, shrunk(a, l1, l2), **ck.plotting.line_kw(i), label=kind)
ax.set(xlabel="weight that the data want", ylabel="weight with the penalty",
       title="ℓ1 has a flat piece at 0, ℓ2 only a smaller slope")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Weight with the penalty against the weight the data want: l1 is 0 in a middle interval and "
    "parallel to the diagonal outside, l2 is a straight line of smaller slope, elastic net has both.",
)

# %% tags=["claim"]
for kind, (l1, l2) in kinds.items():
    for wanted in (-1.7, -0.3, 0.2, 0.9):
        found = minimize_scalar(
            lambda w, a=wanted, p=l1, q=l2: (w - a) ** 2 / 2 + p * abs(w) + q * w**2,
            bracket=(-3, 3),
        ).x
        formula = shrunk(wanted, l1, l2)
        assert abs(found - formula) < 1e-4, f"{kind}, {wanted}: expected {found}, got {formula}"

# %% [markdown]
# ℓ2 also **spreads**: where two inputs bring the same news, the sum of squares is smallest if both carry
# half. The sum of absolute values does not care how they share. Scikit-learn has both for linear
# models, under the names ridge and lasso:

# %%
uneven = {"ridge (ℓ2)": [], "lasso (ℓ1)": []}
for seed in range(20):
    draw = np.random.default_rng(seed)
    news = draw.normal(size=30)
    twins = np.stack([news + 0.05 * draw.normal(size=30) for _ in range(2)], axis=1)
    target = 2 * news + 0.5 * draw.normal(size=30)
    for name, linear in zip(uneven, (Ridge(1.0), Lasso(0.1)), strict=True):
        weights = linear.fit(twins, target).coef_
        uneven[name].append(np.ptp(weights) / np.abs(weights).sum())
        if seed == 0:
            print(f"{name}: first draw, weights of the two inputs {weights.round(2)}")
for name, values in uneven.items():
    print(f"{name}: difference of the two as a share of their sum {np.mean(values):.0%} "
          "(mean of 20 draws)")  # fmt: skip

# %% tags=["claim"]
ridge, lasso = (np.mean(values) for values in uneven.values())
assert ridge < 0.2 < 0.5 < lasso, f"ℓ2 should share, ℓ1 need not: {ridge:.2f}, {lasso:.2f}"

# %% [markdown]
# Now the nets: ℓ1, an elastic net of half of each, and what is already trained. A weight counts as **near
# zero** if its absolute value is below 0.001.

# %%
runs["ℓ1"] = train(l1=0.001)
runs["elastic net"] = train(l1=0.0005, l2=0.0015)


def all_weights(run):
    return np.concatenate([w.ravel() for w in run.weights[::2]])


def near_zero(results):
    return np.array([np.mean(np.abs(all_weights(run)) < 1e-3) for run in results])


fig, axes = plt.subplots(1, 4, figsize=(10, 2.7), sharey=True, sharex=True)
for i, (ax, (kind, results)) in enumerate(zip(axes, runs.items(), strict=True)):
    values = np.concatenate([all_weights(run) for run in results])
    ax.hist(values, bins=np.linspace(-0.3, 0.3, 101), color=ck.plotting.COLORS[i],
            weights=np.full(len(values), 1 / len(values)))  # fmt: skip
    ax.set(yscale="log", xlabel="weight (cut at ±0.3)")
    ax.set_title(f"{kind}\nnear zero {near_zero(results).mean():.0%}", fontsize=9)
axes[0].set_ylabel("share of the weights (log)")
ck.show(
    fig,
    alt="Histograms of all weights for no penalty, l2, l1 and elastic net, on a log axis. No penalty is "
    "broad, l2 narrower; l1 and the elastic net have a sharp peak at zero.",
)

# %%
dark = x.reshape(len(x), -1).max(axis=0) == 0  # pixels that are 0 in every training image
for kind, results in runs.items():
    measured[kind] = measure(results)
    share = near_zero(results)
    exact = np.mean([np.mean(all_weights(run) == 0) for run in results])
    print(f"{kind:12s} near zero {share.mean():6.1%} (from {share.min():.1%} to {share.max():.1%}), "
          f"exactly zero {exact:.1%}")  # fmt: skip
first = np.abs([run.weights[0] for run in runs["ℓ1"]]) < 1e-3
print(f"\nℓ1, first layer: near zero {first[:, dark].mean():.1%} of the weights at the "
      f"{dark.sum()} pixels that are always dark, {first[:, ~dark].mean():.1%} of the others")  # fmt: skip

# %% tags=["claim"]
zero = {kind: near_zero(results) for kind, results in runs.items()}
assert zero["ℓ1"].min() > zero["ℓ2"].max() + 0.2, f"ℓ1 should have more near-zero weights: {zero}"
assert zero["ℓ1"].min() > zero["elastic net"].max() > zero["ℓ2"].max(), f"elastic between: {zero}"
spread = {kind: np.std([all_weights(run) for run in results]) for kind, results in runs.items()}
assert spread["ℓ2"] < 0.9 * spread["no penalty"], f"ℓ2 should shrink the weights: {spread}"

# %% [markdown]
# The last line is there because weights at pixels that are always dark get no gradient from the data:
# nothing holds them against the penalty, so they are cheap zeros. Compare the two shares to see whether
# the zeros are only those.
#
# Is that a fair comparison, 0.001 against 0.003? Another pair of coefficients might turn it round. So
# let every strength compete, and look at what each costs:

# %%
by_l1 = {0.0003: train(l1=0.0003), 0.001: runs["ℓ1"], 0.003: train(l1=0.003)}
points = {
    kind: [(c, measure(results)["test acc"].mean(), near_zero(results).mean())
           for c, results in by.items() if 0 < c < 0.1]
    for kind, by in (("ℓ1", by_l1), ("ℓ2", by_l2))
}  # fmt: skip

fig, ax = plt.subplots(figsize=(6.5, 3.4))
for i, (kind, found) in enumerate(points.items()):
    _, accuracies, zeros = np.array(found).T
    ax.plot(zeros, accuracies, **ck.plotting.line_kw(i), marker=ck.plotting.MARKERS[i], label=kind)
    for coefficient, accuracy, share in found:
        ax.annotate(f"{coefficient:g}", (share, accuracy), xytext=(5, 4),
                    textcoords="offset points", fontsize=8)  # fmt: skip
ax.set(xlabel="share of weights below 0.001", ylabel="test accuracy", xlim=(-0.03, 1),
       title=f"At like accuracy ℓ1 is sparser (three strengths, means of {n_seeds} seeds)")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Test accuracy against the share of near-zero weights, l1 and l2 at three coefficients each: at "
    "like accuracy, l1 has the larger share.",
)

# %% tags=["claim"]
for _, accuracy, share in points["ℓ2"]:
    better = [s for _, other, s in points["ℓ1"] if other > accuracy - 0.03]
    assert max(better) > share, f"ℓ1 should be sparser at an accuracy like {accuracy:.3f}: {points}"

# %% [markdown]
# **Verdict:** ℓ2 makes many weights small, ℓ1 makes many weights vanish. But look at the column
# "exactly zero". Gradient descent steps *over* the kink at 0 and back, so the weights tremble around 0
# and never rest on it. You get **near** zeros and must cut them off yourself (section 9), or use
# an update that can land on 0, such as the formula above after every step.
#
# ## 5 · A penalty of your own: `add_loss`, and a loop that must not forget it
#
# A penalty need not be a regulariser of a kernel. Any layer may call `self.add_loss(...)` while it
# computes its output; Keras collects all of them in `model.losses`, and `fit` adds their sum.


# %%
class PenalisedDense(keras.layers.Dense):
    def __init__(self, units, l2=0.0, **kwargs):
        super().__init__(units, **kwargs)
        self.l2 = l2

    def call(self, inputs, training=None):
        self.add_loss(self.l2 * keras.ops.sum(self.kernel**2))
        return super().call(inputs, training=training)


def small_net(hidden):
    keras.utils.set_random_seed(1)
    layers = [hidden(50, activation="relu"), keras.layers.Dense(10, activation="softmax")]
    return keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), *layers])


Plain = keras.layers.Dense
Builtin = partial(Plain, kernel_regularizer=keras.regularizers.L2(0.01))
Custom = partial(PenalisedDense, l2=0.01)

ours, theirs = small_net(Custom), small_net(Builtin)
ours(x[:1])
by_hand = 0.01 * np.sum(ours.get_weights()[0] ** 2)
print(f"custom layer {float(ours.losses[0]):.7f}   built-in {float(theirs.losses[0]):.7f}   "
      f"by hand {by_hand:.7f}")  # fmt: skip

# %% tags=["claim"]
values = [float(ours.losses[0]), float(theirs.losses[0]), float(by_hand)]
assert np.ptp(values) < 1e-6, f"the three penalties should be equal to 1e-6: {values}"

# %% [markdown]
# In a training loop of your own nobody adds the penalties for you. This is the whole loop; the line that
# counts is the one with `model.losses`.
#
# **Predict first:** what happens if you leave it out: an error, a warning, or nothing?


# %%
def train_by_hand(model, add_penalties=True, epochs=5):
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    optimizer.build(model.trainable_variables)
    data_loss = keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = data_loss(labels, model(images, training=True))
            if add_penalties:
                loss += sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)

    for _ in range(epochs):
        for i in range(0, len(x), batch_size):
            step(x[i : i + batch_size], y[i : i + batch_size])
    return np.concatenate([w.ravel() for w in model.get_weights()])


def train_by_keras(model):
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=batch_size, epochs=5, shuffle=False, verbose=0)
    return np.concatenate([w.ravel() for w in model.get_weights()])


# %%
builtin_fit = train_by_keras(small_net(Builtin))
loop = train_by_hand(small_net(Custom))
forgotten = train_by_hand(small_net(Custom), add_penalties=False)
no_penalty = train_by_keras(small_net(Plain))
rows = {
    "custom layer, own loop  − built-in, fit": (loop, builtin_fit),
    "losses left out         − built-in, fit": (forgotten, builtin_fit),
    "losses left out         − no penalty, fit": (forgotten, no_penalty),
}
for name, (one, other) in rows.items():
    print(f"{name:42s} largest difference of a weight {np.abs(one - other).max():.1e}")

# %% tags=["claim"]
equal, apart, same_as_none = [np.abs(one - other).max() for one, other in rows.values()]
assert equal < 1e-6, f"own layer and loop should equal the built-in to 1e-6; off by {equal}"
assert apart > 1e-3, f"without model.losses the weights should differ; they differ by {apart}"
assert same_as_none < 1e-6, f"… and equal those without a penalty; off by {same_as_none}"

# %% [markdown]
# Nothing happens, and that is the trouble: the net trains as if you had asked for no penalty at all.
# (`model.losses` is filled by calling the model: read it *after* the call, inside the tape.)
#
# ## 6 · ℓ2 fits SGD; with Adam use AdamW
#
# **Weight decay** multiplies every weight by $1 - \eta\lambda$ at each step, where $\eta$ is the
# learning rate. The ℓ2 penalty $\lambda_2 \sum w^2$ has the gradient $2\lambda_2 w$, so plain SGD
# subtracts $2\eta\lambda_2 w$: weight decay with $\lambda = 2\lambda_2$. In Adam the penalty's
# gradient is divided by the running size of the gradients, and the two part.
#
# **Predict first:** with momentum, are ℓ2 and weight decay still the same?


# %%
def trained(optimizer, l2=0.0):
    keras.utils.set_random_seed(3)
    regulariser = keras.regularizers.L2(l2) if l2 else None
    output = keras.layers.Dense(10, "softmax", use_bias=False, kernel_regularizer=regulariser)
    net = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), output])
    net.compile(optimizer, "sparse_categorical_crossentropy")
    ck.fit(net, x, y, batch_size=batch_size, epochs=5, verbose=0, seed=0)
    return net.get_weights()[0]


opt, differences = keras.optimizers, {}
for name, make in {
    "SGD": partial(opt.SGD, 0.1),
    "SGD with momentum": partial(opt.SGD, 0.1, momentum=0.9),
    "Adam": partial(opt.Adam, 0.01),
}.items():
    penalised, decayed = trained(make(), l2=0.05), trained(make(weight_decay=0.1))
    differences[name] = np.abs(penalised - decayed).max()
    print(f"{name:18s} norm of the kernel: ℓ2 0.05 {np.linalg.norm(penalised):.3f}, "
          f"weight_decay=0.1 {np.linalg.norm(decayed):.3f}; largest difference of a weight "
          f"{differences[name]:.1e}")  # fmt: skip

# %% tags=["claim"]
assert differences["SGD"] < 1e-6, f"in SGD the two should be one: {differences['SGD']}"
assert differences["SGD with momentum"] > 1e-3, "momentum carries the penalty's gradient along"
assert differences["Adam"] > 1e-2, f"in Adam they should part: {differences['Adam']}"

# %% [markdown]
# In plain SGD they are one and the same. Momentum builds the penalty's pull up, as it does with any
# gradient, to about $1/(1-\beta)$ times its size ($\beta$ is the momentum), and leaves weight decay
# alone: the same number is another strength. In Adam they differ in kind. So with Adam take `AdamW`
# (or `weight_decay=`), for the reason that [lesson 08](08_optimizers.ipynb) shows: it shrinks all
# weights alike, whatever their gradients. `weight_decay=` also shrinks biases, unless you call
# `optimizer.exclude_from_weight_decay(var_names=["bias"])` before building.
#
# One name to beware of: `decay=`, which old code passes to optimizers. **Predict first:** does
# it decay the weights, the learning rate, or nothing?

# %%
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    old_style = trained(opt.SGD(0.1, decay=0.5))
plain_sgd = trained(opt.SGD(0.1))
print(
    "Keras says:", *{str(warning.message) for warning in caught if "decay" in str(warning.message)}
)
print("largest difference to SGD without it:", np.abs(old_style - plain_sgd).max())

# %% tags=["claim"]
assert np.array_equal(old_style, plain_sgd), "`decay=` should change nothing at all"
assert any("decay" in str(warning.message) for warning in caught), "expected a warning"

# %% [markdown]
# Nothing but a warning. It once lowered the *learning rate* (write a schedule, lesson 09); it never was
# weight decay.
#
# ## 7 · Max-norm: a cap, not a pull
#
# Max-norm adds nothing to the loss. After each step it looks at the weights $w$ that lead into one
# unit, and if they are longer than $r$, it shortens them:
#
# $$w \leftarrow w \cdot \frac{r}{\lVert w \rVert_2} \quad\text{if } \lVert w \rVert_2 > r$$
#
# `axis` names the axes that are summed over to get *one norm for each unit*. A Dense kernel has
# the shape [in, out], so it is 0.


# %%
def max_norm(w, r, axis):
    norms = np.sqrt(np.sum(w**2, axis=axis, keepdims=True))
    return w * np.minimum(1, r / np.maximum(norms, 1e-12))


w = np.array([[3.0, 0.3, 0.0], [4.0, 0.4, -2.0]])
print("kernel\n", w, "\nnorm of each unit", np.linalg.norm(w, axis=0))
print("with r = 1\n", max_norm(w, 1.0, axis=0))

# %% [markdown]
# ### Which axes has a Conv2D kernel?
#
# "[samples, height, width, channels]", say many notes. **Predict first:** where would you find the
# number of samples in the kernel of a layer that has not yet seen any? Ask the layer. All its sizes
# differ, so that no two can be taken for each other:

# %%
conv = keras.layers.Conv2D(filters=6, kernel_size=(3, 5))
images = np.random.default_rng(0).normal(size=(7, 10, 12, 4)).astype("float32")
before = np.array(conv(images))
kernel, bias = conv.get_weights()
print("images in ", images.shape, "  [samples, height, width, channels]")
print("kernel    ", kernel.shape)
print("images out", before.shape, " [samples, height, width, channels]")


def changed_channels(nudged, images):
    """Return the output channels that change when the kernel is replaced by `nudged`."""
    conv.set_weights([kernel, bias])
    old = np.array(conv(images))
    conv.set_weights([nudged, bias])
    return np.flatnonzero(np.abs(np.array(conv(images)) - old).max(axis=(0, 1, 2)) > 1e-6).tolist()


nudged = kernel.copy()
nudged[:, :, :, 2] += 1
last_axis = changed_channels(nudged, images)
print("last axis, entry 2 nudged: output channels that change:", last_axis)

only_channel_1 = images * (np.arange(4) == 1)
third_axis = []
for j in range(4):
    nudged = kernel.copy()
    nudged[:, :, j, :] += 1
    third_axis.append(len(changed_channels(nudged, only_channel_1)))
print("third axis, entry 0, 1, 2, 3 nudged, light in input channel 1 only: "
      "output channels that change:", third_axis)  # fmt: skip

# %% tags=["claim"]
assert kernel.shape == (3, 5, 4, 6), f"expected [height, width, in, out], got {kernel.shape}"
assert last_axis == [2], f"the last axis should be the filter; channels {last_axis} changed"
assert third_axis == [0, 6, 0, 0], f"the third axis should be the input channel: {third_axis}"

# %% [markdown]
# No 7 in the kernel: [samples, height, width, channels] is the *activation*. The kernel is
# **[height, width, in, out]**: the last axis is the filter, the third listens to an input channel. One norm
# for each filter sums over the other three: `axis=[0, 1, 2]`. Keras' default is 0, meant for Dense;
# on a Conv2D kernel it caps every little column of 3 numbers and leaves the filter as a whole free.

# %%
MaxNorm = keras.constraints.MaxNorm


def filter_norms(axis):
    keras.utils.set_random_seed(0)
    Conv = partial(keras.layers.Conv2D, kernel_size=3, activation="relu",
                   kernel_constraint=MaxNorm(0.5, axis=axis))  # fmt: skip
    layers = [
        Conv(8),
        Conv(16, strides=2),
        keras.layers.Flatten(),
        keras.layers.Dense(10, "softmax"),
    ]
    net = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    net.compile(opt.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
    ck.fit(net, x[..., None], y, batch_size=batch_size, epochs=3, verbose=0, seed=0)
    return np.linalg.norm(net.layers[1].get_weights()[0].reshape(-1, 16), axis=0)


norms = {"default axis=0": filter_norms(0), "axis=[0, 1, 2]": filter_norms([0, 1, 2])}
for name, values in norms.items():
    print(f"{name:15s} filter norms from {values.min():.3f} to {values.max():.3f}; the cap is 0.5")

# %% tags=["claim"]
assert norms["axis=[0, 1, 2]"].max() < 0.5 + 1e-5, "no filter norm should exceed the cap"
assert norms["default axis=0"].max() > 0.55, "with axis=0 filter norms should exceed the cap"
draw = np.random.default_rng(0)
for shape, axis in (((7, 4), 0), ((3, 3, 4, 6), (0, 1, 2))):
    w = draw.normal(size=shape).astype("float32")
    difference = np.abs(max_norm(w, 1.2, axis) - MaxNorm(1.2, axis=axis)(w)).max()
    assert difference < 1e-6, f"the formula should equal Keras' MaxNorm; off by {difference}"

# %% [markdown]
# ### Before and after
#
# Now the seven-layer net, with $r = 1$ for every unit.
#
# **Predict first:** He initialisation gives unit norms near $\sqrt 2$. Where will the norms be after
# training, without and with the cap?

# %%
runs["max-norm, r = 1"] = train(model=build(0, kernel_constraint=MaxNorm(1.0, axis=0)))
measured["max-norm, r = 1"] = measure(runs["max-norm, r = 1"])


def unit_norms(many):
    return np.concatenate([np.linalg.norm(w, axis=0) for weights in many for w in weights[::2]])


groups = {
    "at the start": unit_norms(starts),
    "trained": unit_norms(run.weights for run in runs["no penalty"]),
    "with max-norm": unit_norms(run.weights for run in runs["max-norm, r = 1"]),
}
fig, axes = plt.subplots(1, 3, figsize=(10, 2.6), sharex=True)
for i, (ax, (name, values)) in enumerate(zip(axes, groups.items(), strict=True)):
    ax.hist(values, bins=np.arange(0.775, 2.2, 0.05), color=ck.plotting.COLORS[i])
    ax.axvline(1, color="black", linewidth=1, linestyle=":")
    ax.set(xlabel="norm of a unit's weights", title=f"{name}: max {values.max():.3f}")
axes[0].set_ylabel("units")
ck.show(
    fig,
    alt="Histograms of unit norms at the start, after training, and after training with max-norm 1. The "
    "first two are broad and beyond the dotted line at 1, the last is a spike at 1.",
)
table({name: measured[name] for name in ("no penalty", "max-norm, r = 1")})

# %% tags=["claim"]
capped = groups["with max-norm"]
assert capped.max() < 1 + 1e-5, f"no unit norm should exceed r = 1; the largest is {capped.max()}"
assert groups["trained"].max() > 1.2, "without the cap, norms should exceed 1"

# %% [markdown]
# **Verdict:** the cap holds for every unit of every seed, without a word in the loss. Whether it *helps* is
# another matter: compare the two rows of the table. A cap bounds the weights, it does not by itself
# make a net that has learned everything by heart less sure. Max-norm was proposed as a partner of
# dropout ([lesson 11](11_dropout.ipynb)), where it lets you use a high learning rate without weights
# running away.
#
# ## 8 · Early stopping
#
# The cheapest brake: watch the loss on **validation** images, and stop when it has not improved for
# `patience` epochs. The logic needs one number to remember and one to count. First, no stopping:

# %%
valid = data.x_valid[:n_test], data.y_valid[:n_test]
patience = 15


def best_and_stop(losses, patience):
    """Return the epoch of the lowest loss, and the one after which training ends; from 0."""
    best_epoch, waited = 0, 0
    for epoch, loss in enumerate(losses):
        if epoch == 0 or loss < losses[best_epoch]:
            best_epoch, waited = epoch, 0
        else:
            waited += 1
            if waited == patience:
                break
    return best_epoch, epoch


full = train(watch=valid)
plans = [best_and_stop(run.history["val_loss"], patience) for run in full]

# %%
fig, ax = plt.subplots(figsize=(7.5, 3.4))
for seed, (run, (best, stop)) in enumerate(zip(full[:4], plans, strict=False)):
    style = ck.plotting.line_kw(seed)
    losses = run.history["val_loss"]
    ax.plot(range(1, epochs + 1), losses, **{**style, "linewidth": 1.2}, label=f"seed {seed}")
    ax.plot(best + 1, losses[best], "o", color=style["color"], markersize=8)
    ax.plot(stop + 1, losses[stop], "x", color=style["color"], markersize=8, markeredgewidth=2)
ax.set(xlabel="epoch", ylabel="validation loss",
       title=f"Best epoch (dot) and stop (cross), patience {patience}")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Validation loss against epoch for several seeds; a dot marks the lowest loss before the stop, a "
    "cross the epoch at which training would end.",
)

# %% [markdown]
# **Predict first:** training ends at the cross. Whose weights does the net have then, those of the cross or
# those of the dot?
#
# Those of the cross, unless somebody kept the others. So the callback must *save* the weights whenever
# it sees a new best, and put them back at the end:


# %%
class StopEarly(keras.callbacks.Callback):
    def __init__(self, patience):
        super().__init__()
        self.patience = patience

    def on_train_begin(self, logs=None):
        self.best, self.waited, self.weights = np.inf, 0, None

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_loss"] < self.best:
            self.best, self.waited = logs["val_loss"], 0
            self.weights = self.model.get_weights()
        else:
            self.waited += 1
            if self.waited >= self.patience:
                self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self.weights is not None:
            self.model.set_weights(self.weights)


# %% [markdown]
# Keras has it ready: `keras.callbacks.EarlyStopping`. (Not `EarlyStop`, as some notes have it.) Its
# `restore_best_weights` is **off** unless you switch it on. Three nets with the same seed, one for
# each way, and a callback that keeps the weights of every epoch as a witness:


# %%
class KeepAll(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())


def stopped(callback, seed):
    witness = KeepAll()
    model.set_weights(starts[seed])
    for variable in [model.optimizer.iterations, *model.optimizer.momentums]:
        variable.assign(keras.ops.zeros_like(variable))
    history = ck.fit(model, x, y, epochs=epochs, batch_size=batch_size, validation_data=valid,
                     callbacks=[witness, callback], verbose=0, seed=seed).history  # fmt: skip
    weights = model.get_weights()
    at = [i for i, w in enumerate(witness.weights) if all(map(np.array_equal, w, weights))]
    return at, len(witness.weights) - 1, Run(history, weights)


EarlyStopping = keras.callbacks.EarlyStopping
ways = {
    "by hand": lambda: StopEarly(patience),
    "Keras, restored": lambda: EarlyStopping(patience=patience, restore_best_weights=True),
    "Keras, default": lambda: EarlyStopping(patience=patience),
}
ended = {way: [stopped(make(), seed) for seed in range(n_seeds)] for way, make in ways.items()}
for way, results in ended.items():
    text = ", ".join(f"{at[0] + 1} (stopped at {stop + 1})" for at, stop, _ in results)
    print(f"{way:16s} has the weights of epoch {text}")

# %% tags=["claim"]
assert not hasattr(keras.callbacks, "EarlyStop"), "there should be no EarlyStop in Keras"
for way, results in ended.items():
    for seed, (at, end, run) in enumerate(results):
        best, stop = best_and_stop(run.history["val_loss"], patience)
        expected = stop if way == "Keras, default" else best
        assert end == stop, f"{way}, seed {seed}: expected the end at {stop}, got {end}"
        assert expected in at, f"{way}, seed {seed}: expected weights of epoch {expected}, got {at}"

# %% [markdown]
# With `restore_best_weights` the net has, bit for bit, the weights of the epoch with the lowest validation
# loss. Because they were copied in that epoch; nothing is averaged or recomputed. What did it bring on
# the **test** images, which had no say in when to stop?

# %%
early = "early stopping"
measured[early] = measure([run for _, _, run in ended["Keras, restored"]])
measured["never stopped"] = measure(full)
table({name: measured[name] for name in ("never stopped", early)})
saved = 1 - np.mean([stop + 1 for _, stop in plans]) / epochs
print(f"\nepochs saved: {saved:.0%}")

# %% tags=["claim"]
assert measured[early]["test loss"].mean() < measured["never stopped"]["test loss"].mean(), (
    "the best epoch's weights should have the lower test loss"
)
assert saved > 0.2, f"stopping should save epochs, saved {saved:.0%}"

# %% [markdown]
# The test **loss** is lower, and most of the time is saved. Look at the test **accuracy** before you
# celebrate: the epoch with the lowest loss need not be the one with the most right answers, because the
# loss counts how sure the net is and the accuracy does not. You get what you `monitor`.
#
# ## 9 · Three ways to a sparse model
#
# Zeros can be skipped: a sparse model is smaller on disk and may be faster. Three ways:
#
# 1. train as usual, then set the smallest weights to 0 (**pruning**);
# 2. train with ℓ1, then do the same: the weights are near zero already;
# 3. prune *while* training, a little more every few hundred steps, so that the net can adapt. The
#    TensorFlow Model Optimization toolkit (TF-MOT) does that with a schedule of growing sparsity. It is
#    made for Keras 2, so this course only describes it.
#
# **Predict first:** how many weights can you cut from each net before its accuracy falls?


# %%
def prune(weights, share):
    """Set the smallest weights of all kernels together to 0."""
    limit = np.quantile(np.abs(np.concatenate([w.ravel() for w in weights[::2]])), share)
    return [w * (np.abs(w) > limit) if w.ndim == 2 else w for w in weights]


cuts = [0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
pruned = {}
fig, ax = plt.subplots(figsize=(7.5, 3.4))
for i, kind in enumerate(["no penalty", "ℓ2", "ℓ1"]):
    pruned[kind] = np.array([
        [scores(prune(run.weights, cut), x_test, y_test)[0] for cut in cuts] for run in runs[kind]
    ])  # fmt: skip
    ck.plotting.band(ax, cuts, pruned[kind], kind, i)
ax.set(xlabel="share of the weights set to 0", ylabel="test accuracy", ylim=(0, 1),
       title=f"ℓ1 bears more pruning (no retraining, {n_seeds} seeds, mean and range)")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Test accuracy against the share of weights pruned, for nets trained without penalty, with l2 "
    "and with l1; l1 keeps its accuracy to a larger share.",
)
for kind, values in pruned.items():
    drop = values[:, 0] - values[:, cuts.index(0.7)]
    print(f"{kind:12s} loses {drop.mean():5.1%} of accuracy with 70% of its weights cut")

# %% tags=["claim"]
lost = {kind: (v[:, 0] - v[:, cuts.index(0.7)]).mean() for kind, v in pruned.items()}
assert lost["ℓ1"] + 0.02 < lost["no penalty"], f"ℓ1 should bear pruning better: {lost}"
final = {kind: v[:, cuts.index(0.7)].mean() for kind, v in pruned.items()}
assert final["ℓ1"] > final["no penalty"], f"at 70% ℓ1 should be ahead: {final}"

# %% [markdown]
# A zero in an ordinary array takes as much room as any other number. The gain comes only with
# compression, or a sparse format:

# %%
import zlib

run = runs["ℓ1"][0]
for name, weights in (("as trained", run.weights), ("70% cut", prune(run.weights, 0.7))):
    raw = b"".join(w.tobytes() for w in weights)
    print(f"ℓ1 net, {name:10s} {len(raw):,} bytes, compressed {len(zlib.compress(raw)):,}")

# %% [markdown]
# ## 10 · All of them, side by side
#
# **Predict first:** which one has the lowest test loss? Is it also the one with the highest accuracy?

# %%
names = ["no penalty", "ℓ2", "ℓ1", "elastic net", "max-norm, r = 1", "early stopping"]
fig, axes = plt.subplots(1, 2, figsize=(10, 3.3), sharey=True)
for ax, quantity, unit in (
    (axes[0], "test loss", "test cross-entropy"),
    (axes[1], "test acc", "test accuracy"),
):
    ck.plotting.strip(ax, {name: measured[name][quantity] for name in names}, unit)
best_loss = min(names, key=lambda name: measured[name]["test loss"].mean())
best_accuracy = max(names, key=lambda name: measured[name]["test acc"].mean())
axes[0].set_title(f"Lowest loss: {best_loss}")
axes[1].set_title(f"Highest accuracy: {best_accuracy}")
ck.show(
    fig,
    alt="Test cross-entropy and test accuracy of every seed for no penalty, l2, l1, elastic net, "
    "max-norm and early stopping, with the means as bars.",
)
table({name: measured[name] for name in names})
low, high = sorted(measured[name]["test acc"].mean() for name in (best_accuracy, "no penalty"))
print(f"\nhighest mean accuracy minus no penalty: {high - low:+.1%}; "
      f"one seed against another: {np.ptp(measured['no penalty']['test acc']):.1%}")  # fmt: skip

# %% [markdown]
# Compare the last line's two numbers before you call anything better. On 300 images of digits, penalties
# change how *sure* the net is more than how often it is right; more images, or varied copies of those you
# have, would do what no penalty can. And the coefficients were set by a rough sweep that looked at test
# images. For a result you want to publish, choose them on validation images
# ([lesson 12](12_hyperparameter_tuning.ipynb)).
#
# ## 11 · Before you penalise: one scale for all inputs
#
# One coefficient for all weights presumes that all inputs are on one scale. Pixels in [0, 1] are. Otherwise
# standardise: subtract each feature's mean, divide by its standard deviation.
#
# **Predict first:** what happens at a corner pixel that is 0 in every training image?

# %%
mean, deviation = x.mean(axis=0), x.std(axis=0)
with np.errstate(invalid="ignore", divide="ignore"):
    naive = (x - mean) / deviation
guarded = data.standardized()
print(f"pixels with standard deviation 0: {np.sum(deviation == 0)} of {deviation.size}")
print(f"NaN in the naive result: {np.isnan(naive).sum():,}; with a guard: "
      f"{np.isnan(guarded.x_train).sum()}")  # fmt: skip
print(f"largest standardised value: training {guarded.x_train.max():.0f}, "
      f"test {np.abs(guarded.x_test).max():.0f}")  # fmt: skip

# %% [markdown]
# What does a net do with such inputs? Ask it for its loss, and for the gradient of its first kernel:

# %%
model.set_weights(starts[0])
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, model(naive)))
gradient = tape.gradient(loss, model.trainable_variables[0]).numpy()
penalty.set()
print(f"loss by evaluate: {model.evaluate(naive, y, verbose=0)[0]:.3f} (guessing: {np.log(10):.3f}), "
      f"in the tape: {float(loss):.3f}; NaN in the gradient: {np.isnan(gradient).mean():.0%}")  # fmt: skip

# %% tags=["claim"]
assert np.isnan(gradient).any(), "NaN inputs should give NaN in the gradient"
assert np.isnan(naive).any(), "0/0 should give NaN at constant pixels"
assert not np.isnan(guarded.x_train).any(), "the guarded version should hold no NaN"
assert np.all(guarded.x_train[:, deviation == 0] == 0), "constant pixels should become 0"

# %% [markdown]
# 0/0 is NaN. Do not trust the loss to tell you: compiled, a ReLU may turn NaN into 0, and then the loss is
# merely that of a net which sees nothing. But the gradient holds NaN, so one training step writes NaN into
# the weights. A guard sets constant features to 0.
#
# The largest value in the test images shows NaN's smaller brother: a pixel that is *almost* constant in 300
# images is divided by a tiny number, and a test image that lights it up brings a huge value. With few
# images, pixels in [0, 1] are safer.

# %% [markdown]
# ## Explore: shrinkage
#
# A thousand weights that the data would spread like a bell. Which kind and coefficient set half of them to
# exactly 0? What does the elastic net share with each parent?


# %%
def draw_shrinkage(kind, coefficient):
    l1 = {"ℓ1": 1.0, "ℓ2": 0.0, "elastic net": 0.5}[kind] * coefficient
    l2 = coefficient - l1
    wanted = np.random.default_rng(0).normal(size=1000)
    after = shrunk(wanted, l1, l2)
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
    left.plot(a, a, color=ck.plotting.COLORS[7], linewidth=1, label="no penalty")
    left.plot(a, shrunk(a, l1, l2), **ck.plotting.line_kw(1), label=kind)
    left.set(xlabel="weight that the data want", ylabel="weight with the penalty", ylim=(-2, 2),
             title=f"{kind}, coefficient {coefficient:.2f}")  # fmt: skip
    left.legend()
    bins = np.linspace(-3, 3, 62)
    right.hist(wanted, bins, histtype="step", color=ck.plotting.COLORS[7], label="no penalty")
    right.hist(after, bins, color=ck.plotting.COLORS[1], alpha=0.6, label=kind)
    right.set(xlabel="weight", ylabel="number of weights (log)", yscale="log", ylim=(0.7, 1200),
              title=f"exactly 0: {np.mean(after == 0):.0%}; spread {after.std():.2f}")  # fmt: skip
    right.legend()
    return fig


ck.widgets.explore(
    draw_shrinkage,
    alt="Left: weight with the penalty against the weight the data want. Right: histogram of a thousand "
    "weights with and without the penalty.",
    kind=["ℓ1", "ℓ2", "elastic net"],
    coefficient=(0.0, 2.0, 0.5),
)

# %% [markdown]
# ## Pitfalls
#
# - **Comparing `val_loss` across coefficients.** It holds the penalty. Watch the data loss, and let early
#   stopping monitor that metric too when the net has a penalty.
# - **`partial(Dense, 100, ...)` and then `Layer(50)`**: the 50 is taken for the *activation*. Fix only
#   keyword arguments in a partial.
# - **One seeded initialiser object in a partial**: all layers of one shape start with the same numbers.
#   A name such as `"he_normal"` is safe ([lesson 02](02_weight_initialisation.ipynb)).
# - **A penalty and a self-normalising net**: ℓ1, ℓ2 and max-norm break what SELU needs
#   ([lesson 03](03_activation_functions.ipynb)).
# - **`patience` too small** takes noise for the end. **A misspelt `monitor`** only warns, and never stops.
# - **Early stopping on NaN**: a loss that is NaN from the start never improves, and what Keras puts
#   back are weights that are NaN as well. Look at the history.
# - **Stopping by test data**: then they are no test data any more.

# %% [markdown]
# ## Recap
#
# - Overfit on purpose first; measure gaps in loss *and* accuracy: ℓ2 shrank the first, not the second.
# - ℓ2 pulls in proportion to the weight and spreads; ℓ1 with constant force: it leaves (nearly) zeros.
# - The data loss is a mean, the penalty a sum: check both at the start, sweep in powers of ten.
# - Own loop: add `model.losses`. Adam: `weight_decay`. Conv2D max-norm: `axis=[0, 1, 2]`.
# - Early stopping needs validation data and `restore_best_weights=True`; it gives the best by what you monitor.

# %% [markdown]
# ## Now practise
#
# Open [exercise 10](../exercises/10_regularisation.ipynb): write the penalty by hand, a layer that adds its
# own, the max-norm projection for Dense and Conv2D, and the logic of early stopping; then train with all
# of them.
#
# Then go on with lesson
# [11 Dropout and Monte Carlo dropout](11_dropout.ipynb).

# %% [markdown]
# ## Further reading
#
# - R. Tibshirani, *Regression Shrinkage and Selection via the Lasso*, Journal of the Royal Statistical
#   Society B 58(1), 1996: section 2, why ℓ1 gives zeros.
# - H. Zou and T. Hastie, *Regularization and Variable Selection via the Elastic Net*, Journal of the Royal
#   Statistical Society B 67(2), 2005.
# - N. Srivastava et al., *Dropout: A Simple Way to Prevent Neural Networks from Overfitting*, JMLR 15, 2014:
#   section 5.1, max-norm.
# - L. Prechelt, *Early Stopping – But When?*, in *Neural Networks: Tricks of the Trade*, Springer, 1998.
# - I. Loshchilov and F. Hutter, *Decoupled Weight Decay Regularization*, ICLR 2019, arXiv:1711.05101:
#   section 2.
# - M. Zhu and S. Gupta, *To Prune, or Not to Prune: Exploring the Efficacy of Pruning for Model
#   Compression*, 2017, arXiv:1710.01878: section 3, pruning by a schedule.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "Avoiding Overfitting Through Regularization".
