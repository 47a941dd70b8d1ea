# %% [markdown]
# # 04 Batch normalisation
#
# Good starting weights put every layer's inputs on the right scale once, before the first step. Then
# training moves them. Why not put them right again at every step?
#
# ## What you will be able to do
#
# In about 40 minutes you will be able to
#
# - write **batch normalisation** (배치 정규화, BN) forward and backward, for training and for
#   prediction, and show that it equals Keras;
# - count its parameters for any input and any `axis`;
# - place it in a network, before or after the activation, or as the first layer;
# - say what it buys, measured: weight scales, learning rates, epochs and seconds;
# - say where it fails, and what to use there;
# - **fold** it into the layer before it once training is over.

# %%
import coursekit as ck

lab = ck.setup(seed=42)

import time
from itertools import pairwise

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

COLORS, MARKERS = ck.plotting.COLORS, ck.plotting.MARKERS
LOSS = "sparse_categorical_crossentropy"

# %%
n, epochs, n_seeds = lab.pick(quick=(4_000, 5, 2), standard=(8_000, 8, 4), full=(55_000, 12, 5))
data = ck.load("mnist").subset(n)
x, y, valid = data.x_train, data.y_train, (data.x_valid[:2000], data.y_valid[:2000])
print(f"{data.name} ({data.source}): {len(x):,} training images, {len(valid[0]):,} for validation")

# %% [markdown]
# ## 1 · Four equations
#
# A mini-batch holds $m$ samples. For **each feature on its own**, BN computes from the values
# $x_1, \dots, x_m$ of that feature
#
# $$\mu = \frac1m \sum_i x_i \qquad \sigma^2 = \frac1m \sum_i (x_i - \mu)^2 \qquad
# \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad y_i = \gamma\, \hat x_i + \beta$$
#
# Here $\mu$ and $\sigma^2$ are the batch's mean and variance, $\varepsilon$ is a small number that
# forbids division by zero, the **scale** $\gamma$ and the **shift** $\beta$ are learned.


# %%
def batch_norm(x, gamma, beta, epsilon=1e-3):
    """Normalise each column of x, shape (m, features), by the batch's own mean and variance."""
    mean = x.mean(axis=0)
    variance = x.var(axis=0)
    x_hat = (x - mean) / np.sqrt(variance + epsilon)
    return gamma * x_hat + beta


# %% [markdown]
# **Predict first:** the first feature below has values near 1,000, the second near 0.001. Both go
# through BN with $\gamma = 1$ and $\beta = 0$. What are mean and standard deviation of each column
# afterwards?

# %%
batch = np.array([[1000.0, 0.001], [1010.0, 0.002], [990.0, 0.003], [1020.0, 0.002]])
normalised = batch_norm(batch, gamma=1.0, beta=0.0)
print(normalised.round(3))
print("mean              ", normalised.mean(axis=0).round(6) + 0.0)
print("standard deviation", normalised.std(axis=0).round(6))

# %% [markdown]
# Both means are 0. The first standard deviation is nearly 1. The second is far from 1: its variance
# is much smaller than $\varepsilon$ (0.001 in Keras), so $\varepsilon$ decides. Remember
# this number; in section 7 it comes back.
#
# ## 2 · Why γ and β?
#
# You have just given every unit mean 0 and standard deviation 1. Put a sigmoid behind it: around
# 0 it is almost a straight line, and a stack of straight lines is one straight line.
#
# **Predict first:** how well does the best straight line describe the sigmoid where 99.7% of the
# normalised values lie?

# %%
z = np.random.default_rng(0).normal(size=20_000)


def straightness(gamma):
    """Share of the sigmoid's variance that the best straight line explains."""
    output = 1 / (1 + np.exp(-gamma * z))
    return np.corrcoef(z, output)[0, 1] ** 2


fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
grid = np.linspace(-8, 8, 200)
left.plot(grid, 1 / (1 + np.exp(-grid)), color=COLORS[0])
left.axvspan(-3, 3, color=COLORS[4], alpha=0.25)
left.set(xlabel="input of the sigmoid", ylabel="output", title="Shaded: where x̂ lives")
gammas = np.linspace(0.25, 8, 32)
right.plot(gammas, [straightness(g) for g in gammas], ".-", color=COLORS[1])
right.set(xlabel="γ", ylabel="R² of the best straight line", title="γ decides how curved it is")
ck.show(
    fig,
    alt="Left: the sigmoid, with the interval from −3 to 3 shaded, where it is nearly straight. "
    "Right: the share of its variance that a straight line explains falls as γ grows.",
)
print(f"straight line, γ = 1: R² = {straightness(1):.3f}    γ = 4: R² = {straightness(4):.3f}")

# %% [markdown]
# With $\gamma = 1$ fixed, a sigmoid net would be close to linear. $\gamma$ and $\beta$ hand the
# choice back to the network: it may leave the straight part, and it may even undo the
# normalisation altogether, with $\gamma = \sqrt{\sigma^2 + \varepsilon}$ and $\beta = \mu$.

# %% tags=["claim"]
undone = batch_norm(batch, np.sqrt(batch.var(axis=0) + 1e-3), batch.mean(axis=0))
assert np.allclose(undone, batch), "γ = √(σ² + ε), β = μ should give the batch back"
assert straightness(1) > 0.95 > straightness(4), (
    f"expected R² above 0.95 for γ = 1 and below for 4: {straightness(1):.3f}, {straightness(4):.3f}"
)

# %% [markdown]
# ## 3 · At prediction there is no batch
#
# A user sends one image. Its batch has one sample: $\mu$ is the sample itself, and $\hat x = 0$
# whatever it is. And an answer should not depend on who else asks. So BN keeps **moving averages**
# $\hat v$ of every batch's mean and variance $v$ while it trains, and uses those at prediction:
#
# $$\hat v \leftarrow \hat v \cdot \text{momentum} + v \cdot (1 - \text{momentum})$$
#
# That makes **four vectors per layer**: $\gamma$ and $\beta$ are trained by the gradient, the moving
# mean and variance are estimated. The `training` flag decides which statistics are used.


# %%
class BatchNorm:
    def __init__(self, n_features, momentum=0.99, epsilon=1e-3):
        self.params = {"gamma": np.ones(n_features), "beta": np.zeros(n_features)}
        self.moving_mean, self.moving_variance = np.zeros(n_features), np.ones(n_features)
        self.momentum, self.epsilon = momentum, epsilon

    def forward(self, x, training=False):
        if training:
            mean, variance = x.mean(axis=0), x.var(axis=0)
            m = self.momentum
            self.moving_mean = self.moving_mean * m + mean * (1 - m)
            self.moving_variance = self.moving_variance * m + variance * (1 - m)
        else:
            mean, variance = self.moving_mean, self.moving_variance
        self.std = np.sqrt(variance + self.epsilon)
        self.x_hat = (x - mean) / self.std
        return self.params["gamma"] * self.x_hat + self.params["beta"]


# %% [markdown]
# **Predict first:** how many parameters does Keras report for BN on 5 features? How many are
# trainable? And does calling a layer with `training=True`, without any `fit`, change it?

# %%
theirs, ours = layers.BatchNormalization(), BatchNorm(5)
theirs.build((None, 5))
print(f"{theirs.count_params()} parameters")
for w in theirs.weights:
    print(f"  {w.name:16s} shape {w.shape}  {'trained' if w.trainable else 'estimated'}")

draw = np.random.default_rng(1)
ours.params = {"gamma": draw.uniform(0.5, 2, 5), "beta": draw.normal(size=5)}
theirs.gamma.assign(ours.params["gamma"])
theirs.beta.assign(ours.params["beta"])
differences = {"training": [], "prediction": []}
for _ in range(50):
    batch = draw.normal(3, 2, size=(32, 5))
    for mode, training in (("training", True), ("prediction", False)):
        gap = ours.forward(batch, training) - np.array(theirs(batch, training=training))
        differences[mode].append(np.abs(gap).max())
print("largest difference from Keras:", {k: f"{max(v):.1e}" for k, v in differences.items()})
print("Keras' moving mean after 50 calls:", theirs.moving_mean.numpy().round(2))

# %% tags=["claim"]
for mode, gaps in differences.items():
    assert max(gaps) < 1e-5, f"{mode}: expected NumPy to equal Keras to 1e-5, got {max(gaps):.1e}"
for name in ("moving_mean", "moving_variance"):
    gap = np.abs(getattr(ours, name) - getattr(theirs, name).numpy()).max()
    assert gap < 1e-5, f"{name}: expected equality with Keras to 1e-5, got {gap:.1e}"
assert theirs.count_params() == 4 * 5, f"expected 4 per feature, got {theirs.count_params()}"
trained = sum(int(np.prod(w.shape)) for w in theirs.trainable_weights)
assert trained == 2 * 5, f"expected half of the parameters to be trained, got {trained}"

# %% [markdown]
# So a bare call with `training=True` **does** move the averages: the flag is no mere switch of
# formula. (The paper corrects the variance to $m - 1$ before averaging it; Keras averages it as it
# is.)
#
# `momentum` says how long the average remembers: about $1 / (1 - \text{momentum})$ batches. (It has
# nothing but the name in common with an optimizer's momentum, [lesson 08](08_optimizers.ipynb).) The
# data below have mean 3. **Predict first:** after how many batches is each average within 5% of it?

# %%
means = draw.normal(3, 2, size=(500, 32)).mean(axis=1)
fig, ax = plt.subplots(figsize=(7.5, 3.2))
ax.plot(means, ".", color=COLORS[7], markersize=2, label="mean of one batch of 32")
within = {}
for i, momentum in enumerate((0.5, 0.9, 0.99)):
    moving, trace = 0.0, []
    for mean in means:
        moving = moving * momentum + mean * (1 - momentum)
        trace.append(moving)
    within[momentum] = int(np.argmax(np.abs(np.array(trace) - 3) < 0.15)) + 1
    ax.plot(trace, **ck.plotting.line_kw(i), label=f"momentum {momentum}")
ax.set(xlabel="batch", ylabel="moving mean", title="A long memory is steady, and late")
ax.legend(ncols=2)
ck.show(
    fig,
    alt="Moving mean against batch number for momentum 0.5, 0.9 and 0.99. The higher the momentum, "
    "the smoother the line and the later it comes near the true mean 3.",
)
print("first batch within 5% of the mean:", within)

# %% [markdown]
# Keras' default of 0.99 wants some hundred steps. After a *short* training its averages still
# remember their starting values 0 and 1, and validation looks terrible while training looks fine.
# The trainings of this lesson are short: they use 0.9.
#
# ## 4 · Backward: the batch is part of the formula
#
# In training, changing one $x_i$ also moves $\mu$ and $\sigma^2$, hence **every** output of the batch.
# With $g_i = \partial J / \partial y_i$ and $\bar\cdot$ for the mean over the batch, the chain rule gives
#
# $$\frac{\partial J}{\partial \beta} = \sum_i g_i \qquad
# \frac{\partial J}{\partial \gamma} = \sum_i g_i \hat x_i \qquad
# \frac{\partial J}{\partial x_i} = \frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}}
# \left( g_i - \bar g - \hat x_i\, \overline{g \hat x} \right)$$
#
# The last two terms are the batch's answer. **Predict first:** what is the sum of
# $\partial J / \partial x_i$ over a batch? (What happens to the outputs if you add the same number
# to all inputs?)


# %%
class BatchNormWithBackward(BatchNorm):
    def backward(self, g):
        self.grads = {"gamma": (g * self.x_hat).sum(axis=0), "beta": g.sum(axis=0)}
        inner = g - g.mean(axis=0) - self.x_hat * (g * self.x_hat).mean(axis=0)
        return self.params["gamma"] / self.std * inner


class BatchAsConstant(BatchNormWithBackward):
    """The likely mistake: mean and variance treated as constants."""

    def backward(self, g):
        super().backward(g)
        return self.params["gamma"] / self.std * g


# %% [markdown]
# Is it right? Ask the definition of the derivative: nudge each input and each parameter by a tiny
# amount, up and down, and compare (`ck.scratch.gradient_check` does this and returns the largest
# relative error).

# %%
batch = draw.normal(size=(8, 5))
errors = {
    kind.__name__: ck.scratch.gradient_check(kind(5), batch, training=True)
    for kind in (BatchNormWithBackward, BatchAsConstant)
}
layer = BatchNormWithBackward(5)
layer.forward(batch, training=True)
total = layer.backward(draw.normal(size=(8, 5))).sum(axis=0)
for name, error in errors.items():
    print(f"{name:22s} relative error {error:.1e}")
print("sum of the gradients over the batch:", np.abs(total).max().round(12))

# %% tags=["claim"]
right, wrong = errors["BatchNormWithBackward"], errors["BatchAsConstant"]
assert right < 1e-6, f"the backward pass should be exact to 1e-6, its error is {right:.1e}"
assert wrong > 1e-2, f"the check should catch the missing terms, its error is {wrong:.1e}"
assert np.abs(total).max() < 1e-9, f"gradients should sum to 0 over the batch: {total}"

# %% [markdown]
# The sum is 0: a shift common to the whole batch is invisible behind BN. That is also why a **bias
# before BN is useless**, and the layer before it gets `use_bias=False`; $\beta$ does that work.
#
# ## 5 · `axis`: which values share a mean?
#
# `axis` names the axis that is **kept**: one mean for each place along it, taken over all others
# (the opposite of NumPy, where `mean(axis=0)` names the axis that goes away). The default −1 keeps
# the last one.
#
# **Predict first:** a batch of grey images has shape [batch, height, width] = [batch, 28, 28]. How
# many means does `BatchNormalization()` hold? And how do you get one for each of the 784 pixels?

# %%
cases = [
    ("dense features", (None, 100), -1),
    ("grey images", (None, 28, 28), -1),
    ("grey images", (None, 28, 28), 1),
    ("the same, flattened", (None, 784), -1),
    ("colour images", (None, 32, 32, 3), -1),
]
means_of = {}
for what, shape, axis in cases:
    bn = layers.BatchNormalization(axis=axis)
    bn.build(shape)
    means_of[shape, axis] = int(np.prod(bn.moving_mean.shape))
    print(f"{what:20s} {shape!s:21s} axis={axis:2}  {means_of[shape, axis]:4} means, "
          f"{bn.count_params():5} parameters")  # fmt: skip

try:
    layers.BatchNormalization(axis=[1, 2])
except TypeError as error:
    print(f"axis=[1, 2] in Keras {keras.__version__}: TypeError")

# %% [markdown]
# Both 28s are 28 by accident: with `axis=-1` each **column** of the image has one mean, with `axis=1`
# each **row**. Many texts write `axis=[1, 2]` to keep both, one mean for each of the $28 \cdot 28 =
# 784$ pixels. That worked in Keras 2; the layer of Keras 3 takes a single number. Flatten the images
# first, or write it in NumPy, where several axes are no trouble:


# %%
def batch_norm_axes(x, axis, epsilon=1e-3):
    """Normalise x with one mean and variance for each place along the axes in `axis`."""
    others = tuple(a for a in range(x.ndim) if a not in axis)
    mean, variance = x.mean(others, keepdims=True), x.var(others, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon), mean.size


grey = x[:64]
per_pixel, n_means = batch_norm_axes(grey, axis=[1, 2])
by_keras = layers.BatchNormalization()(grey.reshape(64, 784), training=True)
gap = np.abs(per_pixel.reshape(64, 784) - np.array(by_keras)).max()
print(f"axis=[1, 2] by hand: {n_means} means; "
      f"largest difference from Keras on flat images {gap:.1e}")  # fmt: skip

# %% tags=["claim"]
assert means_of[(None, 28, 28), -1] == 28, "the default should keep one mean for each column"
assert means_of[(None, 32, 32, 3), -1] == 3, "colour images should have a mean for each channel"
assert n_means == means_of[(None, 784), -1] == 784, f"one mean a pixel makes 784, got {n_means}"
assert gap < 1e-4, f"keeping both image axes should equal flattening, difference {gap:.1e}"

# %% [markdown]
# After a convolution the default is what you want: one mean for each channel, over batch, height
# and width.
#
# ## 6 · Before or after the activation?
#
# Both orders are in use, and code is often labelled the wrong way round. "Before" means that BN
# stands **before the activation**:
#
# | name | layers in order |
# |---|---|
# | BN **before** the activation | `Dense(100, use_bias=False)` → `BatchNormalization()` → `Activation("relu")` |
# | BN **after** the activation | `Dense(100, activation="relu")` → `BatchNormalization()` |
#
# **Predict first:** from which order can negative numbers come out? In which one is the mean of the
# block's output 0?


# %%
def block(kind):
    """One hidden layer with batch normalisation in the chosen place, or without."""
    dense = layers.Dense(100, kernel_initializer="he_normal", use_bias=kind != "before")
    relu = layers.Activation("relu")
    bn = layers.BatchNormalization(momentum=0.9)
    return {"without": [dense, relu], "before": [dense, bn, relu], "after": [dense, relu, bn]}[kind]


keras.utils.set_random_seed(0)
images = x[:256].reshape(-1, 784)
outputs = {}
for kind in ("without", "before", "after"):
    out = keras.Sequential([keras.Input((784,)), *block(kind)])(images, training=True)
    outputs[kind] = np.array(out)
    print(f"BN {kind:8s} smallest {outputs[kind].min():6.2f}   mean {outputs[kind].mean():5.2f}")

# %% tags=["claim"]
assert outputs["before"].min() == 0, "with BN before it, ReLU should have the last word"
assert outputs["after"].min() < 0, "with BN after ReLU negative outputs should appear"
assert abs(outputs["after"].mean()) < 1e-4, "with BN after it the output's mean should be 0"
assert outputs["before"].mean() > 0.1, "with BN before ReLU the output's mean should be positive"

# %% [markdown]
# So you can tell the order from the output, whatever the comment in the code says. The paper puts
# BN before the activation. Which order trains better? Section 8 runs both.
#
# ## 7 · Sixteen weight scales
#
# Now the classic experiment: five hidden layers of 100 units, 1,000 images, weights drawn with a
# standard deviation of 1, …, 0.0001 in sixteen steps. Only the presence of BN differs.
#
# **Predict first:** at how many of the sixteen scales does the net reach 50% accuracy on its training
# images, without BN and with it? Will BN rescue *every* scale?

# %%
scales = np.logspace(0, -4, 16)
scale_epochs = lab.pick(quick=10, standard=20, full=20)
x_few, y_few = x[:1000], y[:1000]


def train_all_scales(activation, use_bn, epsilon=1e-3):
    """Return accuracies on the training images, shape (16 scales, epochs)."""
    stack = [keras.Input((28, 28)), layers.Flatten()]
    for _ in range(5):
        stack.append(layers.Dense(100, use_bias=not use_bn))
        if use_bn:
            stack.append(layers.BatchNormalization(momentum=0.9, epsilon=epsilon))
        stack.append(layers.Activation(activation))
    model = keras.Sequential([*stack, layers.Dense(10, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.01), loss=LOSS, metrics=["accuracy"])
    start, curves = model.get_weights(), np.full((16, scale_epochs), np.nan)
    for curve, scale in zip(curves, scales, strict=True):
        rng = np.random.default_rng(0)
        model.set_weights([rng.normal(0, scale, w.shape) if w.ndim == 2 else w for w in start])
        history = ck.fit(
            model, x_few, y_few, epochs=scale_epochs, batch_size=100, verbose=0, seed=0
        )
        if history.diverged_at is None:
            curve[:] = history.history["accuracy"]
    return curves


# %%
grids = {}
for activation in ("relu", "sigmoid"):
    grids[activation, "without BN"] = train_all_scales(activation, use_bn=False)
    grids[activation, "with BN"] = train_all_scales(activation, use_bn=True)

# %% [markdown]
# (A line "Training stopped" tells of a net whose loss overflowed at once. It counts as not trained.)

# %%
fig, axes = plt.subplots(4, 4, figsize=(9, 6.5), sharex=True, sharey=True)
for i, ax in enumerate(axes.flat):
    for j, kind in enumerate(("without BN", "with BN")):
        ax.plot(range(1, scale_epochs + 1), grids["relu", kind][i], **ck.plotting.line_kw(j))
    ax.set_title(f"std {scales[i]:.2g}", fontsize=9)
    ax.set_ylim(0, 1)
fig.supxlabel("epoch", fontsize=10)
fig.supylabel("accuracy on the training images", fontsize=10)
fig.suptitle("ReLU net: solid without BN, dashed with BN", x=0.01, ha="left", fontweight="bold",
             fontsize=11)  # fmt: skip
ck.show(
    fig,
    alt="Sixteen small panels, one for each standard deviation of the starting weights: accuracy "
    "against epoch, solid without and dashed with batch normalisation.",
)

# %%
trained = {}
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for ax, activation in zip(axes, ("relu", "sigmoid"), strict=True):
    for j, kind in enumerate(("without BN", "with BN")):
        last = np.nan_to_num(grids[activation, kind][:, -1])
        trained[activation, kind] = int((last > 0.5).sum())
        ax.semilogx(scales, last, marker=MARKERS[j], **ck.plotting.line_kw(j), label=kind)
    ax.axhline(0.5, color=COLORS[6], linewidth=1, linestyle=":")
    ax.set(xlabel="standard deviation of the starting weights",
           title=f"{activation}: {trained[activation, 'without BN']} scales train without BN, "
                 f"{trained[activation, 'with BN']} with")  # fmt: skip
axes[0].set_ylabel("accuracy, last epoch")
axes[0].legend()
ck.show(
    fig,
    alt="Accuracy in the last epoch against the standard deviation of the starting weights. "
    "Scales above the dotted line at 0.5: "
    + ", ".join(f"{kind} {count} for {name}" for (name, kind), count in trained.items())
    + ".",
)

# %% tags=["claim"]
for activation in ("relu", "sigmoid"):
    without, with_bn = trained[activation, "without BN"], trained[activation, "with BN"]
    assert with_bn > without, (
        f"{activation}: expected more of the 16 scales to train with BN: {with_bn}, {without}"
    )

# %% [markdown]
# BN lets the net train at more of the scales, but not at all of them. Why not? In exact arithmetic
# without $\varepsilon$, BN does not see the scale at all: multiply the weights $W$ before it by
# any $a > 0$ and $\hat x$ stays the same. Two things break the spell:
#
# - **Small weights:** once $\sigma^2$ falls below $\varepsilon$, BN stops amplifying. Section 1 showed it.
# - **Large weights:** the output is the same, but the gradient with respect to $W$ is divided by $a$, so
#   a step of the same learning rate moves weights $a$ times as long by $1/a$: they hardly turn.
#
# Both statements can be checked on a single layer, with weights ten times as large and without
# training anything:

# %%
draw = np.random.default_rng(2)
inputs, weights, g = (
    draw.normal(size=(64, 30)),
    draw.normal(size=(30, 5)),
    draw.normal(size=(64, 5)),
)
seen = []
for factor in (1, 10):
    bn = BatchNormWithBackward(5, epsilon=1e-12)
    output = bn.forward(inputs @ (factor * weights), training=True)
    seen.append((output, inputs.T @ bn.backward(g)))
(output_1, gradient_1), (output_10, gradient_10) = seen
print(f"largest difference of the outputs: {np.abs(output_1 - output_10).max():.1e}")
print(f"gradient, weights × 10 to weights × 1: {np.mean(gradient_10 / gradient_1):.4f}")

# %% tags=["claim"]
assert np.allclose(output_1, output_10), "ten times the weights should not change BN's output"
assert np.allclose(gradient_10, gradient_1 / 10), "the gradient should be a tenth"

# %% [markdown]
# The other end of the curve can be tested by changing one number. **Predict first:** which end
# moves if $\varepsilon$ is 10⁻⁷ in place of 10⁻³?

# %%
tiny = np.nan_to_num(train_all_scales("relu", use_bn=True, epsilon=1e-7)[:, -1])
usual = np.nan_to_num(grids["relu", "with BN"][:, -1])
fig, ax = plt.subplots(figsize=(7.5, 3.2))
ax.semilogx(scales, usual, marker="s", **ck.plotting.line_kw(1), label="ε = 0.001 (Keras)")
ax.semilogx(scales, tiny, marker="^", **ck.plotting.line_kw(2), label="ε = 0.0000001")
ax.set(xlabel="standard deviation of the starting weights", ylabel="accuracy, last epoch",
       title=f"ReLU with BN: above 50% at {(usual > 0.5).sum()} scales, with tiny ε at "
             f"{(tiny > 0.5).sum()}")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Accuracy in the last epoch against the standard deviation of the starting weights for two "
    "values of ε. With the tiny ε the curve stays up at small standard deviations too.",
)

# %% tags=["claim"]
small = scales < 1e-3
gain = (tiny - usual)[small].mean()
assert gain > 0.1, f"with tiny ε the smallest scales should train better: {gain:+.2f} accuracy"

# %% [markdown]
# At the small end it was $\varepsilon$ that stopped BN, and nothing else. (Do not conclude that ε
# should be tiny: it also protects against features that are constant in a batch.)
#
# ## 8 · Faster? Count epochs, then seconds
#
# Ten hidden layers of 100 ReLU units with He initialisation
# ([lesson 02](02_weight_initialisation.ipynb)): a net that trains well without BN. Three
# kinds, two learning rates (0.02, and ten times that), several seeds. For one seed all kinds start from
# the same kernels.
#
# **Predict first:** at the *same* rate of 0.02, is the net with BN faster? And at 0.2?


# %%
def build(kind):
    hidden = [layer for _ in range(10) for layer in block(kind)]
    model = keras.Sequential([keras.Input((28, 28)), layers.Flatten(), *hidden,
                              layers.Dense(10, activation="softmax")])  # fmt: skip
    model.compile(keras.optimizers.SGD(0.02), loss=LOSS, metrics=["accuracy"])
    return model


def race(kind):
    """Train all rates and seeds in one model; return losses and the seconds of each epoch."""
    model, ends = build(kind), []
    start = model.get_weights()
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(time.perf_counter()))
    losses, seconds = {}, []
    for rate in (0.02, 0.2):
        runs = np.full((n_seeds, epochs), np.inf)
        for seed in range(n_seeds):
            rng = np.random.default_rng(seed)  # the same kernels (He) for every kind and rate
            model.set_weights([rng.normal(0, np.sqrt(2 / len(w)), w.shape) if w.ndim == 2 else w
                               for w in start])  # fmt: skip
            model.optimizer.learning_rate = rate
            ends.clear()
            history = ck.fit(model, x, y, epochs=epochs, batch_size=64, validation_data=valid,
                             callbacks=[clock], verbose=0, seed=seed)  # fmt: skip
            if history.diverged_at is None:
                runs[seed] = history.history["val_loss"]
            seconds += list(np.diff(ends))
        losses[rate] = runs
    return model, losses, float(np.median(seconds))


# %%
models, losses, epoch_seconds = {}, {}, {}
for kind in ("without", "before", "after"):
    models[kind], of_kind, epoch_seconds[kind] = race(kind)
    losses |= {(kind, rate): runs for rate, runs in of_kind.items()}

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), width_ratios=[3, 2])
for i, (kind, rate) in enumerate(losses):
    if kind != "after":
        runs = np.minimum(losses[kind, rate], 2.5)
        name = "without BN" if kind == "without" else "with BN"
        ck.plotting.band(left, range(1, epochs + 1), runs, f"{name}, rate {rate}", i)
left.set(xlabel="epoch", ylabel="validation loss (cut at 2.5)",
         title=f"Mean and range of {n_seeds} seeds", xticks=range(1, epochs + 1))  # fmt: skip
left.legend()
final = {f"{k}, {r}": np.minimum(runs[:, -1], 2.5) for (k, r), runs in losses.items()}
final = dict(sorted(final.items(), key=lambda item: item[1].mean()))
ck.plotting.strip(right, final, "validation loss after the last epoch")
right.set_title(f"Lowest: BN {next(iter(final))}")
ck.show(
    fig,
    alt="Left: validation loss against epoch, with and without batch normalisation, at the rates "
    "0.02 and 0.2. Right: last validation loss of every run, for BN before, BN after and none: "
    + ", ".join(f"{name} {runs.mean():.2f}" for name, runs in final.items()),
)

# %% [markdown]
# Now set a target, the best validation loss of the net without BN at the low rate (mean over
# seeds), and count. Time to compile is left out; it is paid once.

# %%
target = losses["without", 0.02].mean(axis=0).min()
print(f"target: validation loss {target:.3f}; ± is the standard deviation over {n_seeds} seeds")
print("BN       rate   reached   epochs      seconds an epoch   seconds")
for (kind, rate), runs in losses.items():
    reached = [int(np.argmax(run <= target)) + 1 for run in runs if (run <= target).any()]
    count = f"{np.mean(reached):4.1f} ± {np.std(reached):3.1f}" if reached else "     –    "
    spent = f"{np.mean(reached) * epoch_seconds[kind]:8.2f}" if reached else "       –"
    print(f"{kind:8s} {rate:<5g}  {len(reached)} of {n_seeds}   {count}   "
          f"{epoch_seconds[kind]:16.2f}   {spent}")  # fmt: skip

# %% tags=["claim"]
bn_high = losses["before", 0.2].mean(axis=0)
plain_low = losses["without", 0.02].mean(axis=0)
assert bn_high[0] < losses["before", 0.02].mean(axis=0)[0], (
    "with BN, ten times the rate should be faster in the first epoch"
)
assert (bn_high <= target).any(), (
    f"with BN at rate 0.2 expected {target:.3f}, got {bn_high.min():.3f}"
)
first = int(np.argmax(bn_high <= target)) + 1
assert first < epochs, f"with BN at rate 0.2 the target should come early, it came in epoch {first}"

# %%
gain_same = plain_low[-1] - losses["before", 0.02].mean(axis=0)[-1]
gain_high = losses["without", 0.2].mean(axis=0)[-1] - bn_high[-1]
gain_before = losses["after", 0.2].mean(axis=0)[-1] - bn_high[-1]
cost = epoch_seconds["before"] / epoch_seconds["without"]
print(
    f"BN lowers the last validation loss at rate 0.02 by {gain_same:+.3f}, at 0.2 by {gain_high:+.3f}"
)
print(f"BN before rather than after the activation, at 0.2: lower by {gain_before:+.3f}")
print(f"an epoch with BN takes {cost:.2f} times as long")

# %% [markdown]
# Read the lines above, not the folklore. "BN makes training faster" is short for: BN **bears a
# higher learning rate**, and the higher rate is what saves epochs. At one and the same low rate there
# may be nothing to gain. (Compare the two lines without BN: does the high rate bring that net anything?) An epoch costs more arithmetic with BN; how much slower the clock runs depends
# on the machine and on the size of the net. And compare the orders "before" and "after" by the dots in the
# strip: differences smaller than the spread of the dots decide nothing.
#
# What a plain net bears depends on its depth. Change 10 layers to 4 in `build` and run this section again:
# how much of BN's lead at the high rate is left?
#
# ## 9 · The batch size is part of the layer
#
# Each sample is normalised by its companions. Take **one** image, put it into many random batches, and
# look at one of its normalised features.
#
# **Predict first:** what values can $\hat x$ take in a batch of 1? Of 2?

# %%
rng = np.random.default_rng(0)
features = x.reshape(-1, 784) @ rng.normal(0, np.sqrt(2 / 784), size=(784, 50))
sizes = (1, 2, 8, 32, 64, 256)
seen = {}
for size in sizes:
    drawn = [np.r_[0, rng.integers(1, len(x), size - 1)] for _ in range(400)]
    seen[size] = np.array([batch_norm(features[rows], 1.0, 0.0)[0] for rows in drawn])
noise = {size: values.std(axis=0).mean() for size, values in seen.items()}

fig, axes = plt.subplots(1, 5, figsize=(10, 2.6), width_ratios=[1, 1, 1, 1, 1.4])
for ax, size in zip(axes, (1, 2, 8, 64), strict=False):
    ax.hist(seen[size][:, 0], bins=np.linspace(-2.5, 2.5, 41), color=COLORS[0])
    ax.set_title(f"batch of {size}", fontsize=9)
    ax.set_xlabel("x̂ of one image")
axes[0].set_ylabel("batches")
axes[4].loglog(sizes[1:], [noise[s] for s in sizes[1:]], "o-", color=COLORS[1])
axes[4].set(xlabel="batch size", ylabel="std of x̂")
axes[4].set_title("noise shrinks", fontsize=9)
ck.show(
    fig,
    alt="Four histograms of one feature of one image, normalised among 400 random batches: always 0 "
    "in a batch of 1, close to −1 or +1 in a batch of 2, spread in a batch of 8, narrow in a batch of "
    "64. Last panel: the mean standard deviation falls along a line as the batch grows.",
)

# %% tags=["claim"]
assert np.all(seen[1] == 0), "a batch of 1 should be normalised to 0"
assert np.abs(seen[2]).max() <= 1, "in a batch of 2 no value can lie beyond ±1"
assert noise[2] > 2 * noise[64], (
    f"BN should be much noisier at 2 than at 64: {noise[2]:.2f}, {noise[64]:.2f}"
)

# %% [markdown]
# In a batch of 1 the variance is 0 and nothing is left of the image. In a batch of 2 only the
# *sign* of the difference survives. From there on the noise falls about as $1/\sqrt{m}$. A little noise
# regularises (the net cannot rely on exact values, as with dropout,
# [lesson 11](11_dropout.ipynb)), and this effect shrinks as
# the batch grows; a lot of it drowns the signal.
#
# **Layer normalisation** takes mean and variance over the features of *one* sample, so it
# does not know what a batch is. All nets below take the same number of steps at the same rate; only
# normalisation and batch size differ. The control without any normalisation is there because the
# batch size matters by itself.

# %%
scratch = ck.scratch.layers
NORMS = {"none": None, "batch norm": lambda n: scratch.BatchNorm(n, momentum=0.9),
         "layer norm": scratch.LayerNorm}  # fmt: skip


def shrink(images):
    """28 × 28 → 14 × 14 pixels, flat: enough here, and four times as fast."""
    return images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196).astype(float)


x_small, x_valid_small, y_valid = shrink(x[:4000]), shrink(valid[0]), valid[1]


def stack(norm, seed, units=(196, 64, 64, 64)):
    rng, net = np.random.default_rng(seed), []
    for fan_in, fan_out in pairwise(units):
        net.append(scratch.Dense(fan_in, fan_out, initialiser="he_normal", seed=rng))
        if NORMS[norm]:
            net.append(NORMS[norm](fan_out))
        net.append(scratch.ReLU())
    return ck.scratch.Sequential([*net, scratch.Dense(units[-1], 10, seed=rng)])


# %%
steps, sizes = lab.pick(quick=150, standard=400, full=400), (1, 2, 8, 32, 256)
accuracy = {norm: np.zeros((len(sizes), n_seeds)) for norm in NORMS}
own_batch = np.zeros((len(sizes), n_seeds))
for norm in NORMS:
    for i, size in enumerate(sizes):
        for seed in range(n_seeds):
            net, rng = stack(norm, seed), np.random.default_rng(seed)
            loss, sgd = scratch.SoftmaxCrossEntropy(), ck.scratch.optimizers.SGD(0.05)
            for _ in range(steps):
                rows = rng.integers(len(x_small), size=size)
                ck.scratch.train_step(net, loss, sgd, x_small[rows], y[rows])
            right = net.forward(x_valid_small).argmax(axis=1) == y_valid
            accuracy[norm][i, seed] = right.mean()
            if norm == "batch norm":  # the same weights, normalised by one large batch
                all_at_once = net.forward(x_valid_small, training=True)
                own_batch[i, seed] = (all_at_once.argmax(axis=1) == y_valid).mean()

# %%
at_2 = {norm: runs[1] for norm, runs in accuracy.items()}
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=[3, 2])
for i, (norm, runs) in enumerate(accuracy.items()):
    ck.plotting.band(left, range(5), runs.T, norm, i)
left.set_xticks(range(5), sizes)
left.set(xlabel="batch size", ylabel="validation accuracy", ylim=(0, 1),
         title=f"{steps} steps, mean and range of {n_seeds} seeds")  # fmt: skip
left.legend()
ck.plotting.strip(right, at_2, "validation accuracy")
right.set_title(f"Batch size 2: best is {max(at_2, key=lambda norm: at_2[norm].mean())}")
ck.show(
    fig,
    alt="Left: validation accuracy against batch size 1, 2, 8, 32 and 256, without normalisation, "
    "with batch norm and with layer norm. Right: every run at batch size 2. "
    + ", ".join(f"{norm} {runs.mean():.2f}" for norm, runs in at_2.items()),
)

# %%
print("batch size " + "".join(f"{size:>9}" for size in sizes))
for norm, runs in accuracy.items():
    print(f"{norm:11s}" + "".join(f"{value:9.1%}" for value in runs.mean(axis=1)))
print("batch norm, prediction by one large batch's statistics")
print(" " * 11 + "".join(f"{value:9.1%}" for value in own_batch.mean(axis=1)))

# %% tags=["claim"]
bn, ln, none = (accuracy[norm].mean(axis=1) for norm in ("batch norm", "layer norm", "none"))
assert bn[0] < 0.25, f"with a batch of 1 BN should learn next to nothing, it reaches {bn[0]:.2f}"
assert ln[1] > bn[1] + 0.05, f"at batch size 2 layer norm should win: {ln[1]:.2f}, {bn[1]:.2f}"
assert bn[4] > bn[1], f"BN should do better with 256 than with 2: {bn[4]:.2f}, {bn[1]:.2f}"

# %% [markdown]
# BN needs a batch that deserves the name. The last line of the table asks *what* fails at small
# sizes, the weights or the moving averages: it predicts with the same weights, but normalises by one
# large batch in place of the averages. Does that repair the net trained with a batch of 2?

# %%
repaired, lost = own_batch[1].mean() - bn[1], ln[1] - bn[1]
verdict = "the averages" if repaired > lost / 2 else "the weights, not the averages"
print(f"batch size 2: layer norm is ahead by {lost:+.1%}; better averages bring {repaired:+.1%}")
print(f"so what suffered most is {verdict}")

# %% [markdown]
# In a batch of 2 the net learns from signs of differences between two images. At prediction it gets
# smooth values that it has never seen.
#
# For **recurrent nets** BN is awkward for another reason: each time step has statistics of its own, and
# sequences differ in length ([lesson 05](05_gradient_clipping.ipynb) shows it). They use layer
# normalisation, and so do transformers.
#
# ## 10 · BN as the first layer
#
# Put BN first and you may feed raw pixels, 0 to 255. Two statements about this are often read:
# "it does the same as `StandardScaler`", and "it needs extra preprocessing at prediction". Test
# both. First: look at one pixel of one image, standardised by each.

# %%
raw = 255 * x.reshape(-1, 784)
pixel = int(raw.var(axis=0).argmax())
column = raw[:, [pixel]]
scaled = float((column[0, 0] - column.mean()) / column.std())
first = BatchNorm(1, momentum=0.9)
in_training = [
    first.forward(column[np.r_[0, rng.integers(1, len(column), 63)]], training=True)[0, 0]
    for _ in range(300)
]
at_prediction = first.forward(column[:1])[0, 0]

fig, ax = plt.subplots(figsize=(7.5, 2.9))
ax.hist(in_training, bins=30, color=COLORS[4], label="BN in training, 300 batches of 64")
ax.axvline(scaled, color=COLORS[1], label="scaler: always this value")
ax.axvline(at_prediction, color=COLORS[6], linestyle="--", label="BN at prediction")
ax.set(xlabel="one pixel of one image, standardised", ylabel="batches",
       title="The scaler knows one answer, BN in training many")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Histogram of the same pixel after batch normalisation in 300 training batches, spread "
    "around the single value that a scaler gives; BN's value at prediction lies close to it.",
)
print(f"spread in training: {np.std(in_training):.3f}; "
      f"scaler {scaled:.3f}, BN at prediction {at_prediction:.3f}")  # fmt: skip

# %% [markdown]
# **Not the same.** The scaler uses the training set's statistics, once. BN uses each mini-batch's while
# training, and has a γ and a β to learn; only at prediction the two come close.
#
# Second: train the same small net on raw pixels, on scaled pixels, and on raw pixels with BN first.
# **Predict first:** which of the two good ones survives if at prediction it is fed *raw* pixels?


# %%
def small_net(bn_first):
    first = [layers.BatchNormalization(momentum=0.9)] if bn_first else []
    net = keras.Sequential([keras.Input((784,)), *first, layers.Dense(64, "relu"),
                            layers.Dense(10, activation="softmax")])  # fmt: skip
    net.compile(keras.optimizers.SGD(0.05), loss=LOSS, metrics=["accuracy"])
    return net


mean, std = raw.mean(axis=0), raw.std(axis=0)
std = np.where(std > 0, std, 1)  # a pixel that is always 0 would divide by 0
raw_valid = 255 * valid[0].reshape(-1, 784)


def score(net, images):
    return net.evaluate(images, valid[1], batch_size=1000, verbose=0)[1]


first_layer = {name: [] for name in ("raw", "scaled", "scaled, fed raw", "BN first, fed raw")}
plain_net, bn_net = small_net(bn_first=False), small_net(bn_first=True)
for seed in range(n_seeds):
    keras.utils.set_random_seed(seed)
    plain_start, bn_start = small_net(False).get_weights(), small_net(True).get_weights()
    for name, net, start, inputs in (
        ("raw", plain_net, plain_start, raw),
        ("scaled", plain_net, plain_start, (raw - mean) / std),
        ("BN first, fed raw", bn_net, bn_start, raw),
    ):
        net.set_weights(start)
        ck.fit(net, inputs, y, epochs=3, batch_size=64, verbose=0, seed=seed)
        scale_too = name == "scaled"
        first_layer[name].append(score(net, (raw_valid - mean) / std if scale_too else raw_valid))
        if scale_too:
            first_layer["scaled, fed raw"].append(score(net, raw_valid))

# %%
fig, ax = plt.subplots(figsize=(7.5, 2.4))
ck.plotting.strip(ax, first_layer, "validation accuracy")
best_raw = max(first_layer, key=lambda name: np.mean(first_layer[name]) * ("fed raw" in name))
ax.set_title(f"Fed raw pixels at prediction, best: {best_raw.split(',')[0]}")
ck.show(
    fig,
    alt="Validation accuracy of every run: "
    + ", ".join(f"{name} {np.mean(runs):.2f}" for name, runs in first_layer.items()),
)

# %%
import tempfile
from pathlib import Path

one = raw_valid[:1]
with tempfile.TemporaryDirectory() as folder:
    bn_net.save(Path(folder) / "net.keras")
    loaded = keras.models.load_model(Path(folder) / "net.keras")
alone = loaded.predict(one, verbose=0)[0]
in_company = bn_net.predict(raw_valid[:500], verbose=0)[0]
print("one raw image, alone, from the saved file, against the same image among 500:",
      f"largest difference {np.abs(alone - in_company).max():.1e}")  # fmt: skip

# %% tags=["claim"]
mean_score = {name: np.mean(runs) for name, runs in first_layer.items()}
assert np.std(in_training) > 0.02, f"BN in training should vary, its std is {np.std(in_training)}"
assert mean_score["BN first, fed raw"] > mean_score["scaled, fed raw"], (
    f"BN first should need no preprocessing: {mean_score}"
)
assert np.abs(alone - in_company).max() < 1e-4, "one raw image should get the same answer alone"

# %% [markdown]
# BN first needs **no** extra preprocessing at prediction: its moving averages are weights, saved with
# the model, and a single raw image gets the same answer as in a crowd. It is the *scaler* that you
# must carry along, and that is easily forgotten.
#
# ### When the real data are different
#
# The averages describe the training data. Let a new scanner deliver paler images, half the contrast and
# a grey background: a **covariate shift** between training and real data. **Predict first:** can the
# net recover *without a single label*?

# %%
pale, pale_valid = 0.5 * raw + 60, 0.5 * raw_valid + 60
shift_scores = {"usual images": score(bn_net, raw_valid), "pale images": score(bn_net, pale_valid)}
for _ in range(100):
    rows = rng.integers(len(pale), size=64)
    bn_net.layers[0](pale[rows], training=True)  # moves the averages; no label, no gradient
shift_scores["pale images, averages renewed"] = score(bn_net, pale_valid)
for name, value in shift_scores.items():
    print(f"{name:30s} validation accuracy {value:.1%} (one net)")

# %% tags=["claim"]
renewed, broken = shift_scores["pale images, averages renewed"], shift_scores["pale images"]
assert renewed > broken + 0.1, f"new averages should help: {broken:.2f} → {renewed:.2f}"

# %% [markdown]
# Here the shift is one that a new mean and variance undo exactly. Not every shift is, and a net that meets
# other *classes* than before is not helped at all.
#
# ## 11 · Fold it away
#
# At prediction BN multiplies by a constant and adds a constant. So does the dense layer before
# it. Two affine maps in a row are one: with $s = \gamma / \sqrt{\hat\sigma^2 + \varepsilon}$
#
# $$W' = W \cdot s \quad \text{(column by column)} \qquad b' = \beta + s\,(b - \hat\mu)$$
#
# where $W, b$ belong to the dense layer, and $\hat\mu, \hat\sigma^2$ are the moving averages.
# **Predict first:** how many of the net's parameters go away? How much faster is it?

# %%
model = models["before"]
dense, bn = model.layers[1], model.layers[2]
gamma, beta, moving_mean, moving_variance = (w.numpy() for w in bn.weights)
s = gamma / np.sqrt(moving_variance + bn.epsilon)
kernel, bias = dense.kernel.numpy() * s, beta - s * moving_mean
flat = x[:256].reshape(-1, 784)
by_hand = np.abs(flat @ kernel + bias - np.array(bn(dense(flat)))).max()
print(f"first layer by hand: largest difference {by_hand:.1e}")

folded = ck.folding.fold_batch_norm(model)  # the same for every layer of the model
before, after = model.predict(valid[0], verbose=0), folded.predict(valid[0], verbose=0)
print(f"whole model: largest difference in a probability {np.abs(before - after).max():.1e}")
print(f"parameters: {model.count_params():,} → {folded.count_params():,}, "
      f"layers: {len(model.layers)} → {len(folded.layers)}")  # fmt: skip

# %%
taken = {"with BN": [], "folded": []}
for _ in range(60):  # in turns, so that both meet the same disturbances
    for name, net in (("with BN", model), ("folded", folded)):
        began = time.perf_counter()
        net.predict_on_batch(x[:256])
        taken[name].append(time.perf_counter() - began)
ratio = np.median(taken["with BN"]) / np.median(taken["folded"])
print(f"one batch of 256: {ratio:.2f} times as fast once folded (median of 60)")

# %% tags=["claim"]
gap = np.abs(before - after).max()
assert gap < 1e-4, f"the folded net's predictions should be equal within 1e-4, they differ by {gap}"
assert folded.count_params() < model.count_params(), "the folded net should have fewer parameters"

# %% [markdown]
# Four parameters for each feature are gone, one (the bias) comes back, and the predictions are the same.
# The gain in time depends on the net: BN costs little next to a large product of matrices, and
# much next to a small one. Fold **last**: a folded net trains like one that never had BN.
#
# ## 12 · Why does it work?
#
# The paper's answer was **internal covariate shift** (내부 공변량 변화): each layer's inputs change as
# the layers below learn, and BN is said to help because it calms this. Test it: after BN, add
# **jitter**. In each step every unit is scaled and shifted at random, so that the layers above
# see their inputs jump about. If calm is the cure, jitter must undo it.
#
# **Predict first:** rank the three nets (plain, BN, BN with jitter) by how much the inputs of their
# activations move from step to step, and by how well they learn.


# %%
class Jitter:
    """Scale and shift each unit at random, anew in each training step."""

    def __init__(self, n_units, seed):
        self.params, self.grads = {}, {}
        self.n_units, self.rng = n_units, np.random.default_rng(seed)

    def forward(self, x, training=False):
        self.scale = self.rng.uniform(0.5, 1.5, self.n_units) if training else 1.0
        return x * self.scale + (self.rng.normal(0, 0.5, self.n_units) if training else 0.0)

    def backward(self, grad):
        return grad * self.scale


def deep(kind, activation, seed):
    initialiser = "he_normal" if activation == "relu" else "glorot_normal"
    net = ck.scratch.deep_stack([196] + 6 * [64], activation, initialiser,
                                batch_norm=kind != "plain", n_classes=10, seed=seed)  # fmt: skip
    if kind != "BN and jitter":
        return net
    jittery = []
    for layer in net.layers:
        jittery.append(layer)
        if isinstance(layer, scratch.BatchNorm):
            jittery.append(Jitter(64, seed=100 * seed + len(jittery)))
    return ck.scratch.Sequential(jittery)


# %%
jitter_steps = lab.pick(quick=120, standard=300, full=300)


def learn(net):
    """Train; return the loss of the last 50 steps and how far unit means moved, in their std."""
    rng, moved, previous = np.random.default_rng(0), [], None
    loss, sgd = scratch.SoftmaxCrossEntropy(), ck.scratch.optimizers.SGD(0.1)
    inputs = [i - 1 for i, layer in enumerate(net.layers) if isinstance(layer, scratch.Activation)]
    values = []
    for _ in range(jitter_steps):
        rows = rng.integers(len(x_small), size=64)
        values.append(ck.scratch.train_step(net, loss, sgd, x_small[rows], y[rows]))
        seen = net.outputs(x_small[:100], training=True)  # always the same 100 images
        means = np.array([seen[i].mean(axis=0) for i in inputs])
        spread = np.array([seen[i].std() for i in inputs])[:, None]
        if previous is not None:
            moved.append((np.abs(means - previous) / spread).mean())
        previous = means
    return np.mean(values[-50:]), np.mean(moved)


KINDS = ("plain", "BN", "BN and jitter")
shift = {
    (activation, kind): np.array([learn(deep(kind, activation, seed)) for seed in range(n_seeds)])
    for activation in ("sigmoid", "relu")
    for kind in KINDS
}

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.4))
for ax, activation in zip(axes, ("sigmoid", "relu"), strict=True):
    for i, kind in enumerate(KINDS):
        final_loss, moved = shift[activation, kind].T
        ax.semilogx(moved, final_loss, MARKERS[i], color=COLORS[i], label=kind, markersize=8)
    order = sorted(KINDS, key=lambda kind: shift[activation, kind][:, 0].mean())
    ax.set(xlabel="mean step of a unit's mean, in std (log)", ylabel="training loss, last 50 steps",
           ylim=(0, 2.5), title=f"{activation}: {' < '.join(order)}")  # fmt: skip
    ax.legend()
ck.show(
    fig,
    alt="Final training loss against how far the means of the activations' inputs move from one "
    "step to the next, one dot for each seed, for a sigmoid net (left) and a ReLU net (right). "
    "BN with jitter lies furthest to the right in both.",
)

# %%
drift = {key: runs[:, 1].mean() for key, runs in shift.items()}
last_loss = {key: runs[:, 0].mean() for key, runs in shift.items()}
print("              moved, as a multiple of plain      training loss")
for activation in ("sigmoid", "relu"):
    for kind in KINDS:
        times = drift[activation, kind] / drift[activation, "plain"]
        print(f"{activation:8s} {kind:14s} {times:16.3f} {last_loss[activation, kind]:20.2f}")

# %% tags=["claim"]
for activation in ("sigmoid", "relu"):
    jittery, plain = drift[activation, "BN and jitter"], drift[activation, "plain"]
    assert jittery > plain, f"{activation}: jitter should move inputs more: {jittery}, {plain}"
learned = {kind: last_loss["sigmoid", kind] for kind in KINDS}
assert learned["BN and jitter"] < learned["plain"] - 0.3, (
    f"with BN and jitter the sigmoid net should still learn far better than plain: {learned}"
)

# %% [markdown]
# In the sigmoid net the jittery one has far more internal covariate shift than the plain one, and
# learns where the plain one hardly does. So calm cannot be what makes BN work there. Jitter is not
# free: it is noise, and you see what it costs against BN alone. In the ReLU net, which trains well enough
# without BN, that cost can be larger than BN's gain.
#
# What then? Santurkar and others (2018) point to the **landscape**: with BN the gradient still
# holds good some way ahead. Look along it: stop at several moments of a training, go a step of growing length
# in the direction of the negative gradient, and write down that batch's loss.
#
# **Predict first:** up to which length does the loss go down, with and without BN?


# %%
lengths = np.array([0.0, 0.05, 0.1, 0.2, 0.4, 0.8])


def look_ahead(kind, seed, steps=100):
    """Change of the batch's loss along −gradient, (moments, lengths); norm of each gradient."""
    net, rng, changes, norms = deep(kind, "relu", seed), np.random.default_rng(seed), [], []
    loss, sgd = scratch.SoftmaxCrossEntropy(), ck.scratch.optimizers.SGD(0.05)
    for step in range(steps):
        rows = rng.integers(len(x_small), size=64)
        before = {name: value.copy() for name, value in net.params.items()}
        ck.scratch.train_step(net, loss, sgd, x_small[rows], y[rows])
        after = {name: value.copy() for name, value in net.params.items()}
        if step % 10 == 0:
            line = []
            for length in lengths:
                for name, value in net.params.items():
                    value[...] = before[name] - length * net.grads[name]
                line.append(loss.forward(net.forward(x_small[rows], training=True), labels=y[rows]))
            for name, value in net.params.items():
                value[...] = after[name]
            changes.append(np.array(line) - line[0])
            norms.append(np.sqrt(sum(np.sum(g**2) for g in net.grads.values())))
    return np.array(changes), norms


ahead, gradient_norm = {}, {}
for kind in ("plain", "BN"):
    found = [look_ahead(kind, seed) for seed in range(n_seeds)]
    ahead[kind] = np.concatenate([changes for changes, _ in found])
    gradient_norm[kind] = float(np.median([norms for _, norms in found]))

# %%
fig, ax = plt.subplots(figsize=(7.5, 3.4))
for i, (kind, changes) in enumerate(ahead.items()):
    low, middle, high = np.percentile(changes, [10, 50, 90], axis=0)
    ax.fill_between(lengths, low, high, color=COLORS[i], alpha=0.2)
    ax.plot(lengths, middle, marker=MARKERS[i], **ck.plotting.line_kw(i), label=kind)
ax.axhline(0, color=COLORS[6], linewidth=1, linestyle=":")
downhill = {kind: np.mean(changes[:, lengths == 0.4] < 0) for kind, changes in ahead.items()}
ax.set_yscale("symlog", linthresh=0.5)
ax.set(xlabel="step length (learning rate)", ylabel="change of the batch's loss (symlog)",
       title="A step of 0.4 still leads down in "
             f"{downhill['plain']:.0%} (plain) and {downhill['BN']:.0%} (BN) of cases")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Change of the loss along the negative gradient against step length, median and the middle "
    f"80% of {len(ahead['BN'])} moments. A step of 0.4 lowers the loss in {downhill['plain']:.0%} of "
    f"cases without and {downhill['BN']:.0%} with batch normalisation.",
)

# %%
shorter = min(gradient_norm, key=gradient_norm.get)
print("median norm of the gradient:", {kind: f"{v:.2f}" for kind, v in gradient_norm.items()})
print(f"so a step of one and the same learning rate is shorter in the net: {shorter}")

# %% tags=["claim"]
assert downhill["BN"] > downhill["plain"], (
    f"with BN long steps should lead down more often than without: {downhill}"
)

# %% [markdown]
# That is the same fact as section 8's higher learning rate, seen from close up. (Look at the printed
# norms before you believe it: were the gradient with BN much shorter, the step would simply not go as
# far.) Why the landscape
# is smoother is still being worked out; part of it is the scale that BN takes out of the weights (section 7).
#
# ## Explore: who shares the batch?
#
# Left: the values of one feature before BN. Right: after BN, batch by batch. The dark outline follows
# **one** sample through 300 batches. Start at 2, then 4, 16, 256. What do γ and β do to the noise?


# %%
def draw_batches(batch_size, mean, spread, gamma, beta):
    rng = np.random.default_rng(0)
    batches = rng.normal(mean, spread, size=(300, batch_size))
    batches[:, 0] = mean + spread  # the sample to follow: one std above the mean
    after = batch_norm(batches.T, gamma, beta).T
    fig, axes = plt.subplots(1, 2, figsize=(9, 2.9))
    for ax, values, title in zip(axes, (batches, after), ("before BN", "after BN"), strict=True):
        bins = np.linspace(values.min() - 0.1, values.max() + 0.1, 50)
        rest = values[:, 1:].ravel()
        ax.hist(rest, bins, density=True, color=COLORS[4], label="the other samples")
        ax.hist(values[:, 0], bins, density=True, histtype="step", color=COLORS[6],
                linewidth=1.8, label="one sample")  # fmt: skip
        ax.set(xlabel="value of the feature", title=title)
        ax.set_ylim(0, 2.2 * np.histogram(rest, bins, density=True)[0].max())
    axes[0].set_ylabel("density")
    axes[1].legend()
    return fig


ck.widgets.explore(
    draw_batches,
    alt="Histograms of one feature before and after batch normalisation, over 300 batches; one "
    "sample that is always the same before BN is spread out after it.",
    batch_size=(2, 256, 8),
    mean=(-10.0, 10.0, 5.0),
    spread=(0.1, 5.0, 2.0),
    gamma=(0.1, 3.0, 1.0),
    beta=(-3.0, 3.0, 0.0),
)

# %% [markdown]
# ## Pitfalls
#
# - **A short training with `momentum=0.99`.** The averages have not arrived; validation is far worse
#   than training. Lower the momentum, or train longer.
# - **`model(x, training=True)`** to "switch dropout on" switches BN as well, and moves its
#   averages.
# - **A bias before BN** is a parameter that learns nothing: `use_bias=False`.
# - **BN in a frozen base** ([lesson 06](06_transfer_learning.ipynb)): in Keras
#   `layer.trainable = False` also puts BN into prediction mode; `training=True` does not bring it
#   back.
# - **A tiny last batch.** 1,001 samples in batches of 100 end in a batch of 1, whose BN output is β.
# - **A constant feature** has $\hat x = 0$ in training. At prediction a value never seen before is
#   divided by about $\sqrt\varepsilon$, and becomes huge: it broke the pale images above.

# %% [markdown]
# ## Recap
#
# - BN normalises each feature by its mini-batch, then scales by γ and shifts by β, which are learned.
# - At prediction it uses moving averages: four vectors a layer, two trained, two estimated, all saved.
# - It trains at more weight scales and bears higher rates; the rate is what saves epochs.
# - It needs a batch: noisy at 2, useless at 1. Layer normalisation does not.
# - After training it folds into the layer before it: same predictions, fewer parameters.

# %% [markdown]
# ## Now practise
#
# Open [exercise 04](../exercises/04_batch_normalisation.ipynb): write both passes, the moving
# averages and the folding yourself, and solve the `axis` puzzle before you ask Keras.
#
# Then go on with lesson
# [05 Gradient clipping](05_gradient_clipping.ipynb).

# %% [markdown]
# ## Further reading
#
# - S. Ioffe and C. Szegedy, *Batch Normalization: Accelerating Deep Network Training by Reducing
#   Internal Covariate Shift*, ICML 2015, arXiv:1502.03167: section 3, algorithms 1 and 2.
# - S. Santurkar, D. Tsipras, A. Ilyas and A. Mądry, *How Does Batch Normalization Help Optimization?*,
#   NeurIPS 2018, arXiv:1805.11604: section 2, BN with noise; section 3, the landscape.
# - J. L. Ba, J. R. Kiros and G. E. Hinton, *Layer Normalization*, 2016, arXiv:1607.06450.
# - Y. Wu and K. He, *Group Normalization*, ECCV 2018, arXiv:1803.08494: the error of BN at small batches.
# - B. Jacob and others, *Quantization and Training of Neural Networks for Efficient
#   Integer-Arithmetic-Only Inference*, CVPR 2018, arXiv:1712.05877: section 3.2, folding.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "Batch Normalization".
