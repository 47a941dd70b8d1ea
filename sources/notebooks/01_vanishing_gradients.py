# %% [markdown]
# # 01 Vanishing and exploding gradients
#
# A deep net is trained from its output downwards: the error travels from layer to layer. What if it
# does not arrive?
#
# ## What you will be able to do
#
# In about 35 minutes you will be able to
#
# - say why the slope of the sigmoid is a problem for depth, and why its mean of 0.5 is another;
# - recognise from five histograms whether starting weights are too small, too large, or right;
# - write backpropagation down layer by layer, and measure how much gradient each layer gets;
# - predict with one short formula whether gradients vanish (vanishing gradient, 그레이디언트 소실) or
#   explode (exploding gradient, 그레이디언트 폭주);
# - name the four troubles of deep nets and the lessons that treat them.

# %%
import coursekit as ck

lab = ck.setup(seed=42)

import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit, softmax

COLORS, MARKERS = ck.plotting.COLORS, ck.plotting.MARKERS

# %% [markdown]
# Experiments are repeated from `n_seeds` different random weights, so that you can tell an effect
# from luck; a picture of one run says so.

# %%
n, n_seeds = lab.pick(quick=(4_000, 3), standard=(20_000, 5), full=(55_000, 10))

# %% [markdown]
# ### Four troubles of deep nets
#
# Deep nets meet four troubles, and this course is built along them:
#
# | trouble | what happens | treated in |
# |---|---|---|
# | unstable gradients | lower layers learn far too slowly, or blow up | lessons 01–05 |
# | too little labelled data | millions of weights, a few hundred labels | lessons 06–07 |
# | slow training | many steps, each of them costly | lessons 08–09 |
# | overfitting (과대적합) | the net learns the training set by heart | lessons 10–11 |
#
# This lesson is about the first. It measures the trouble; the cures follow in lessons 02 (weight
# initialisation, 가중치 초기화), 03 (activation functions, 활성화 함수), 04 (batch normalisation, 배치
# 정규화) and 05 (gradient clipping, 그레이디언트 클리핑).

# %% [markdown]
# ## 1 · How steep is the sigmoid?
#
# The logistic **sigmoid** squashes any number $z$ into the interval from 0 to 1:
#
# $$\sigma(z) = \frac{1}{1 + e^{-z}}, \qquad \sigma'(z) = \sigma(z)\,\bigl(1 - \sigma(z)\bigr)$$
#
# Its derivative $\sigma'$ says how much of a small change of $z$ gets through, in either direction:
# the signal on its way up, the error on its way down.
#
# **Predict first:** how large is $\sigma'$ at its largest? If ten sigmoids follow one another, what
# share of a small change can come through at most?


# %%
def sigmoid(z):
    return expit(z)  # 1 / (1 + exp(-z)), written so that exp cannot overflow


def sigmoid_slope(z):
    return sigmoid(z) * (1 - sigmoid(z))


def tanh_slope(z):
    return 1 - np.tanh(z) ** 2


z = np.linspace(-8, 8, 1_601)
edge = np.log(0.95 / 0.05)  # where sigmoid is 0.95

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
left.axvspan(-1, 1, color="#D9EAD3")
for side in (-1, 1):
    left.axvspan(*sorted((side * edge, side * 8)), color="#EEEEEE")
left.plot(z, sigmoid(z), **ck.plotting.line_kw(0))
left.plot(z, 0.5 + z / 4, **ck.plotting.line_kw(3), label="tangent at 0, slope 1/4")
for x, text in ((-5.5, "saturated"), (0, "almost\nlinear"), (5.5, "saturated")):
    left.text(x, 0.62 if x < 0 else 0.06 if x == 0 else 0.3, text, ha="center", fontsize=9)
left.set(xlabel="z", ylabel="σ(z)", ylim=(-0.05, 1.05), xlim=(-8, 8),
         title="Steep in the middle, flat outside")  # fmt: skip
left.legend(loc="upper left", fontsize=8)
right.plot(z, sigmoid_slope(z), **ck.plotting.line_kw(0), label="sigmoid")
right.plot(z, tanh_slope(z), **ck.plotting.line_kw(1), label="tanh")
right.axhline(0.25, color=COLORS[6], linewidth=1, linestyle=":", label="1/4")
right.set(xlabel="z", ylabel="derivative",
          title=f"Largest slope: sigmoid {sigmoid_slope(z).max():.2f}, tanh {tanh_slope(z).max():.0f}")  # fmt: skip
right.legend(fontsize=8)
ck.show(
    fig,
    alt="Left: the sigmoid with an almost linear zone from -1 to 1, where it follows its tangent of "
    "slope a quarter, and grey saturated zones beyond plus and minus 2.9, where it lies within 0.05 of "
    "0 or 1. Right: the derivative of the sigmoid, at most 0.25 at z = 0, and of tanh, at most 1.",
)
for layers in (1, 2, 5, 10):
    print(f"at most {0.25**layers:10.2g} of a change passes {layers:2} sigmoids in a row")

# %% tags=["claim"]
steepest = z[sigmoid_slope(z).argmax()]
assert abs(sigmoid_slope(z).max() - 0.25) < 1e-9, f"expected 0.25, got {sigmoid_slope(z).max()}"
assert abs(steepest) < 1e-9, f"the sigmoid should be steepest at 0, it is at {steepest:.3g}"
by_differences = (sigmoid(z + 1e-5) - sigmoid(z - 1e-5)) / 2e-5
error = np.abs(by_differences - sigmoid_slope(z)).max()
assert error < 1e-9, f"σ(1 - σ) should be the derivative; differences disagree by {error:.2g}"
outside = sigmoid_slope(z[np.abs(z) >= edge]).max()
assert outside < 0.0476, f"in the saturated zones the slope should be below 0.048: {outside:.4f}"

# %% [markdown]
# **Verdict:** a quarter at best, and less than a fifth of *that* once the output lies within 0.05 of
# 0 or 1: the sigmoid is **saturated** there. These are the slopes alone. Between two activations
# there are weights, and weights can make up for a small slope, or overdo it. So look at real layers
# next.

# %% [markdown]
# ## 2 · Five layers of a hundred units
#
# A classic experiment: 1,000 random inputs, each of 100 numbers with mean 0 and variance 1, go up
# through five layers of 100 units. Nothing is trained. All weights are drawn from a normal
# distribution with mean 0; only its standard deviation (std) changes.


# %%
def forward(x, kernels, activation):
    """Return every layer's sums xW, and every layer's outputs."""
    sums, outputs = [], []
    for W in kernels:
        sums.append(x @ W)
        x = activation(sums[-1])
        outputs.append(x)
    return sums, outputs


def draw_layers(std, seed, depth=5, units=100, samples=1_000):
    """Draw inputs, and a kernel for each layer."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, units))
    return x, [rng.normal(0, std, (units, units)) for _ in range(depth)]


def relu(z):
    return np.maximum(z, 0)


stds = {"std 1": 1.0, "std 0.01": 0.01, "std 1/√n = 0.1": 1 / np.sqrt(100)}

# %% [markdown]
# **Predict first:** with weights of std 1, where do the outputs of a sigmoid lie: around 0.5, evenly
# between 0 and 1, or at the ends? And with std 0.01?


# %%
def histograms(activation, limits, title, alt):
    """Show the outputs of five layers (columns) for three stds of the weights (rows)."""
    fig, axes = plt.subplots(3, 5, figsize=(10, 5), sharex=True)
    for row, (name, std), color in zip(axes, stds.items(), COLORS, strict=False):
        _, outputs = forward(*draw_layers(std, seed=0), activation)
        for layer, (ax, out) in enumerate(zip(row, outputs, strict=True), start=1):
            ax.hist(out.ravel(), np.linspace(*limits, 41), color=color)
            ax.set(xlim=limits, yticks=[])
            ax.set_title(f"layer {layer}: std {out.std():.2g}", fontsize=8, fontweight="normal")
        row[0].set_ylabel(name)
    axes[2, 2].set_xlabel("output of a unit")
    fig.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    ck.show(fig, alt=alt)


histograms(
    sigmoid, (0, 1), "Sigmoid: at the ends, all alike, or spread around 0.5 (one run)",
    "Histograms of sigmoid outputs in five layers. Weights of std 1: two peaks at 0 and 1. Std 0.01: one "
    "narrow peak at 0.5. Std 0.1: a broad hill around 0.5, narrower above the first layer.",
)  # fmt: skip


# %%
def over_seeds(statistic, std, activation, depth=5):
    """Return a statistic of every layer's sums and outputs, shape (n_seeds, depth)."""
    runs = [forward(*draw_layers(std, seed, depth), activation) for seed in range(n_seeds)]
    return np.array([[statistic(*layer) for layer in zip(*run, strict=True)] for run in runs])


def saturated(z, out):
    return np.mean((out < 0.05) | (out > 0.95))


def spread(z, out):
    return out.std()


print(f"sigmoid, mean of {n_seeds} seeds; layers 1 to 5")
for name, std in stds.items():
    for label, statistic in (("share saturated", saturated), ("std of outputs", spread)):
        values = over_seeds(statistic, std, sigmoid).mean(axis=0)
        print(f"  {name:15} {label:16}", " ".join(f"{v:8.3f}" for v in values))

# %% tags=["claim"]
share = over_seeds(saturated, 1.0, sigmoid)
assert share.min() > 0.5, (
    f"std 1: most outputs should be within 0.05 of 0 or 1; least {share.min()}"
)
tiny = over_seeds(spread, 0.01, sigmoid)
assert tiny.max() < 0.04, f"std 0.01: the spread should be below 0.04, it is {tiny.max():.3f}"
good = over_seeds(saturated, 0.1, sigmoid)
assert good.max() < 0.05, f"std 0.1: hardly any output should be saturated, {good.max():.1%} are"

# %% [markdown]
# Three fates.
#
# - **Std 1**: each sum has 100 terms, so its std is about $\sqrt{100} = 10$ times that of the inputs.
#   The sigmoid gets numbers far from 0 and answers with 0 or 1.
# - **Std 0.01**: the sums are tiny, and every unit answers 0.5 to every input. All units of a layer
#   do nearly the same, as if it had one. (With weights that are exactly alike this is forever:
#   [lesson 02](02_weight_initialisation.ipynb).)
# - **Std $1/\sqrt n$** with $n = 100$ inputs: the $\sqrt n$ of the sum is divided out. No saturation,
#   and the units differ. But look at the bottom row from left to right: a smooth hill falls apart into
#   spikes. Keep that in mind for section 3.
#
# ### Does the variance grow with every layer?
#
# "With weights of variance 1 the variance of the outputs grows layer by layer until the top layers
# saturate" is often written. **Predict first:** is the fifth layer's sum wider than the first's? For
# which activations?

# %%
functions = {"sigmoid": sigmoid, "tanh": np.tanh, "ReLU": relu}
widths = {
    name: over_seeds(lambda z, out: z.std(), 1.0, activation)
    for name, activation in functions.items()
}
print("std of the sums, weights of std 1; layers 1 to 5")
for name, values in widths.items():
    print(f"  {name:8}", " ".join(f"{v:9.3g}" for v in values.mean(axis=0)))

# %% tags=["claim"]
growth = {name: (values[:, 1:] / values[:, :-1]).mean(axis=0) for name, values in widths.items()}
assert growth["ReLU"].min() > 4, f"ReLU's sums should grow more than 4-fold a layer: {growth}"
for name in ("sigmoid", "tanh"):
    assert growth[name].max() < 1.3, f"{name}'s sums should not grow from layer to layer: {growth}"
    assert widths[name].min() > 4, f"{name}'s sums should be far wider than 1: {widths[name].min()}"

# %% [markdown]
# Half true. In *every* layer the sums are many times wider than the numbers that go in. But a sigmoid
# or tanh then squashes them, and the next layer starts again from outputs below 1: the first layer is
# saturated already. Only ReLU, which does not squash, grows without limit: that is a signal that
# **explodes**.

# %% [markdown]
# ### The same with tanh and ReLU
#
# One thing changes: the activation.
#
# **Predict first:** std 0.01 left the sigmoid's spread small but steady. What will tanh, which is
# nearly the line $y = z$ around 0, make of it in five layers?

# %%
histograms(
    np.tanh, (-1, 1), "tanh: at the ends, fading away, or alive in all five layers (one run)",
    "Histograms of tanh outputs in five layers. Weights of std 1: peaks at -1 and 1. Std 0.01: a peak at "
    "0 that gets ten times narrower with each layer. Std 0.1: broad around 0, a little narrower each time.",
)  # fmt: skip


# %%
def log_of_positive(z):
    """ReLU on a log scale; units that are off give NaN."""
    return np.log10(np.where(z > 0, z, np.nan))


fig, axes = plt.subplots(3, 1, figsize=(8.5, 4.6), sharex=True)
for ax, (name, std) in zip(axes, stds.items(), strict=True):
    sums, _ = forward(*draw_layers(std, seed=0), relu)
    for layer, (z_layer, i) in enumerate(zip(sums, (0, 1, 2, 3, 5), strict=True), start=1):
        ax.hist(log_of_positive(z_layer).ravel(), np.linspace(-8, 6, 141), histtype="step",
                linewidth=1.6, **ck.plotting.line_kw(i), label=f"layer {layer}")  # fmt: skip
    ax.set(yticks=[], ylabel=name)
axes[0].legend(fontsize=8, loc="upper left", ncols=2)
axes[2].set(xlabel="output above 0 (log scale)", xticks=range(-8, 7, 2))
axes[2].set_xticklabels([f"10{str(e).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
                         for e in range(-8, 7, 2)])  # fmt: skip
axes[0].set_title("ReLU: explodes, vanishes, or loses a little in each layer (one run)")
ck.show(
    fig,
    alt="Histograms of the positive ReLU outputs on a log scale, five layers in each of three panels. Weights "
    "of std 1: each layer lies further right, at larger numbers. Std 0.01: each layer further left. Std "
    "0.1: all five nearly at the same place, drifting slowly left.",
)

# %%
print("std of the outputs; layers 1 to 5")
outputs_std = {}
for name, activation in list(functions.items())[1:]:
    for label, std in stds.items():
        outputs_std[name, label] = over_seeds(spread, std, activation).mean(axis=0)
        print(f"  {name:5} {label:15}", " ".join(f"{v:9.2g}" for v in outputs_std[name, label]))

# %% tags=["claim"]
ends = over_seeds(lambda z, out: np.mean(np.abs(out) > 0.95), 1.0, np.tanh)
assert ends.min() > 0.5, f"tanh, std 1: most should be within 0.05 of -1 or 1; least {ends.min()}"
for name, least in (("tanh", 5), ("ReLU", 8)):
    fade = outputs_std[name, "std 0.01"]
    slowest = (fade[:-1] / fade[1:]).min()
    assert slowest > least, (
        f"{name}, std 0.01: each layer should shrink {least}-fold: {slowest:.2f}"
    )
    kept = outputs_std[name, "std 1/√n = 0.1"]
    assert kept[-1] > kept[0] / 10, f"{name}, std 0.1: five layers should keep a tenth, got {kept}"

# %% [markdown]
# **Verdict:** whatever the activation, std 1 is too much and 0.01 too little for 100 inputs, and
# $1/\sqrt n$ is about right. ReLU loses a steady factor even then; lesson 02 finds the number
# that is missing.

# %% [markdown]
# ## 3 · A mean of 0.5: bias shift
#
# tanh has the shape of a sigmoid, only stretched and moved: $\tanh z = 2\sigma(2z) - 1$. The move
# matters. A sigmoid's outputs have the mean 0.5, so the next sum is
#
# $$\sum_i w_i x_i = \underbrace{0.5 \sum_i w_i}_{\text{the same for every input}} +
# \sum_i w_i (x_i - 0.5)$$
#
# with $x_i$ the inputs of the unit and $w_i$ its weights. The first part acts as a bias that nobody
# asked for: **bias shift** (편향 이동). Only the second part knows anything about the input.
#
# To see what the mean alone does, add a fourth activation that differs from the sigmoid in nothing
# else: $\sigma(z) - 0.5$.
#
# **Predict first:** weights of std $1/\sqrt n$. Which share of the variance of the tenth layer's sums
# is due to the input?


# %%
def shifted_sigmoid(z):
    return sigmoid(z) - 0.5


def share_from_input(z, out):
    """Variance of a unit from input to input, as a share of the variance over units and inputs."""
    return z.var(axis=0).mean() / z.var()


four_means = {"sigmoid": sigmoid, "σ(z) − 0.5": shifted_sigmoid, "tanh": np.tanh, "ReLU": relu}
shares = {
    name: over_seeds(share_from_input, 0.1, activation, depth=10)
    for name, activation in four_means.items()
}
fig, ax = plt.subplots()
for i, (name, runs) in enumerate(shares.items()):
    ck.plotting.band(ax, range(1, 11), runs, name, i)
    ax.plot(range(1, 11), runs.mean(axis=0), MARKERS[i], color=COLORS[i], fillstyle="none")
left_over = shares["sigmoid"].mean(axis=0)[-1]
ax.set(xlabel="layer", xticks=range(1, 11), yscale="log", ylabel="share due to the input (log scale)",
       title=f"Tenth layer of sigmoids: {left_over:.0e} of the variance is due to the input")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt=f"Share of the sums' variance that is due to the input, against the layer, mean and range of {n_seeds} "
    "seeds. tanh and the sigmoid minus 0.5 stay at 1 in all ten layers, ReLU falls slowly, the sigmoid "
    "falls in a straight line on the log axis.",
)

# %% [markdown]
# Two activations with mean 0 keep all of it. The sigmoid loses nearly everything: in its upper layers
# each unit answers the same to every input (the spikes in the bottom row of section 2 are single
# units). Back to weights of std 1: how many units are **stuck**, on the same side of their middle for
# more than 95% of the inputs?


# %%
def stuck(z, out):
    positive = (z > 0).mean(axis=0)
    return np.mean((positive > 0.95) | (positive < 0.05))


stuck_share = {}
print("share of units that are stuck, weights of std 1; layers 1 to 5")
for name in ("sigmoid", "σ(z) − 0.5", "tanh"):
    stuck_share[name] = over_seeds(stuck, 1.0, four_means[name]).mean(axis=0)
    print(f"  {name:10}", " ".join(f"{v:6.0%}" for v in stuck_share[name]))

# %% tags=["claim"]
mean = over_seeds(lambda z, out: out.mean(), 0.1, sigmoid).mean()
assert abs(mean - 0.5) < 0.05, f"the mean of a sigmoid's outputs should be near 0.5: {mean:.3f}"
assert shares["sigmoid"][:, -1].max() < 1e-4, f"sigmoid, layer 10: {shares['sigmoid'][:, -1]}"
for name in ("σ(z) − 0.5", "tanh"):
    assert shares[name].min() > 0.9, f"{name}: all should be due to the input: {shares[name].min()}"
    assert stuck_share[name].max() < 0.02, f"{name}: no unit should be stuck: {stuck_share[name]}"
assert stuck_share["sigmoid"][-1] > 0.25, f"many sigmoids should be stuck: {stuck_share['sigmoid']}"

# %% [markdown]
# **Verdict:** the mean alone does that. tanh is better than the sigmoid in two ways: its mean is 0,
# and its slope at 0 is 1, not 1/4. Of its own trouble, saturation at both ends, nothing is cured.

# %% [markdown]
# ## 4 · The way back
#
# **Backpropagation** carries the error from the output to the input. Let $\delta_l$ be the gradient
# of the loss with respect to layer $l$'s sums $z_l$. One layer down it becomes
#
# $$\delta_{l-1} = \bigl(\delta_l\, W_l^\top\bigr) \odot f'(z_{l-1}), \qquad
# \frac{\partial\,\text{loss}}{\partial W_l} = a_{l-1}^\top\, \delta_l$$
#
# where $W_l$ is layer $l$'s kernel, $f'$ the activation's derivative, $\odot$ the product element by
# element, and $a_{l-1}$ the outputs of the layer below. So the error is multiplied by weights and by
# slopes, once for each layer, and what arrives decides how fast a layer learns.
#
# Here it is written out, for a classifier that ends in softmax with cross-entropy (whose gradient at
# the last sums is just "probability minus truth"):


# %%
def norms_by_hand(model, x, y, f, slope):
    """Return the norm of the loss' gradient for the weights of every layer, the first one first."""
    layers = [layer.get_weights() for layer in model.layers if layer.weights]
    inputs, sums = [x.reshape(len(x), -1).astype(float)], []
    for W, b in layers:
        sums.append(inputs[-1] @ W + b)
        inputs.append(f(sums[-1]))
    delta = (softmax(sums[-1], axis=1) - np.eye(10)[y]) / len(x)
    norms = []
    for k in reversed(range(len(layers))):
        W, _ = layers[k]
        gradients = inputs[k].T @ delta, delta.sum(axis=0)  # of the kernel and of the bias
        norms.append(np.sqrt(sum(np.sum(g**2) for g in gradients)))
        if k > 0:
            delta = (delta @ W.T) * slope(sums[k - 1])
    return norms[::-1]


# %% [markdown]
# Now a real net on real images: ten layers of weights, nine of them hidden with 100 units, the last a
# softmax. Pixels are standardised (mean 0, std 1). One compiled net per activation serves all
# starts; `start` draws its weights anew.

# %%
data = ck.load("mnist").subset(n).standardized()
x, y = data.x_train, data.y_train
print(f"{data.name} ({data.source}): {len(x):,} training images")


def build(activation):
    hidden = [keras.layers.Dense(100, activation) for _ in range(9)]
    model = keras.Sequential(
        [keras.Input((28, 28)), keras.layers.Flatten(), *hidden, keras.layers.Dense(10, "softmax")]
    )
    model.compile(
        keras.optimizers.SGD(0.05), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def start(model, initializer, seed):
    """Draw all kernels anew, each from a seed of its own; biases start at 0."""
    for i, layer in enumerate(model.layers[1:]):
        kernel = initializer(seed=100 * seed + i)(layer.kernel.shape)
        layer.set_weights([np.array(kernel), np.zeros(layer.units)])


def standard_normal(seed):
    return keras.initializers.RandomNormal(0.0, 1.0, seed=seed)


models = {name: build(name) for name in ("sigmoid", "tanh", "relu")}
Glorot, He = keras.initializers.GlorotUniform, keras.initializers.HeNormal
starts = {
    "sigmoid, N(0, 1)": ("sigmoid", standard_normal),
    "sigmoid, Glorot": ("sigmoid", Glorot),
    "tanh, Glorot": ("tanh", Glorot),
    "ReLU, He": ("relu", He),
}

# %% [markdown]
# **Glorot** and **He** are two recipes for the std of the weights, and the subject of lesson 02: for
# 100 inputs and 100 units Glorot means a std of $1/\sqrt{100}$, He of $\sqrt{2/100}$.
#
# First make sure that the formula above is what really happens. `ck.diagnostics.gradient_norms` asks
# TensorFlow for the same numbers:

# %%
start(models["sigmoid"], Glorot, seed=0)
table = ck.diagnostics.gradient_norms(models["sigmoid"], x[:500], y[:500])
mine = norms_by_hand(models["sigmoid"], x[:500], y[:500], sigmoid, sigmoid_slope)
for row, norm in zip(table, mine, strict=True):
    print(f"{row.parameters:6,} weights   by TensorFlow {row.norm:.4e}   by hand {norm:.4e}")

# %% tags=["claim"]
worst = np.abs(np.array(mine) / table.column("norm") - 1).max()
assert worst < 1e-3, (
    f"by hand and by TensorFlow should agree within 0.1%, they differ by {worst:.2%}"
)

# %% [markdown]
# ### Ten layers, four starts
#
# **Predict first:** four nets, at their start: how much smaller is the gradient of the first layer
# than that of the last? Order them from the worst to the best.

# %%
labels = range(1, 11)
before = {}
for name, (activation, initializer) in starts.items():
    before[name] = []
    for seed in range(n_seeds):
        start(models[activation], initializer, seed)
        norms = ck.diagnostics.gradient_norms(models[activation], x[:1_000], y[:1_000])
        before[name].append(norms.column("norm"))
    before[name] = np.array(before[name])


def first_to_last(norms):
    """Gradient norm of the first layer divided by the last's, geometric mean over seeds."""
    return np.exp(np.mean(np.log(norms[:, 0] / norms[:, -1])))


fig, ax = plt.subplots(figsize=(8.5, 4.2))
for i, (name, norms) in enumerate(before.items()):
    ck.plotting.band(ax, labels, norms, f"{name}: first / last {first_to_last(norms):.2g}", i)
    ax.plot(labels, norms.mean(axis=0), MARKERS[i], color=COLORS[i])
ax.set(xlabel="layer (1 is next to the input)", xticks=labels, yscale="log",
       ylabel="norm of the gradient (log scale)",
       title="At the start: from sigmoids with Glorot hardly anything arrives below")  # fmt: skip
ax.legend(loc="lower right", fontsize=9)
ck.show(
    fig,
    alt=f"Gradient norm of each of ten layers on a log axis, mean and range of {n_seeds} seeds. Sigmoid with "
    "Glorot weights rises in a straight line by several orders of magnitude from the first layer to the last; sigmoid "
    "with N(0, 1) rises slowly; tanh with Glorot and ReLU with He are nearly level.",
)

# %% tags=["claim"]
ratios = {name: norms[:, 0] / norms[:, -1] for name, norms in before.items()}
assert ratios["sigmoid, Glorot"].max() < 1e-3, (
    f"sigmoid, Glorot: the first should be 1,000 times smaller; {ratios['sigmoid, Glorot']}"
)
for name in ("ReLU, He", "tanh, Glorot"):
    assert 0.1 < first_to_last(before[name]) < 10, (
        f"{name}: first and last should be within a factor of 10; {ratios[name]}"
    )
assert first_to_last(before["sigmoid, N(0, 1)"]) > 100 * first_to_last(before["sigmoid, Glorot"]), (
    f"sigmoid: N(0, 1) should lose far less than Glorot; {ratios}"
)

# %% [markdown]
# The straight line is what "vanishing" looks like: one factor, again and again. And a surprise.
# Sigmoids with N(0, 1), the saturated ones, are said to be the worst; yet their gradient shrinks far
# less (the legend has the ratios). It is the *unsaturated* ones whose gradient vanishes. Did you predict
# that?

# %% [markdown]
# ## 5 · One factor per layer
#
# The step down multiplies by weights and slopes. If they are independent, mean squares multiply:
#
# $$\frac{\mathrm{E}[\delta_{l-1}^2]}{\mathrm{E}[\delta_l^2]} = n \cdot \mathrm{Var}(w) \cdot
# \mathrm{E}\left[f'(z_{l-1})^2\right]$$
#
# where $n$ is the number of units whose errors are added up and $\mathrm{Var}(w)$ the variance of
# their weights. The root of it is the **gain**: above 1 gradients explode, below 1 they vanish.
#
# **Predict first:** the slopes of a saturated sigmoid are mostly 0. What could make its gain as large
# as that of a tanh all the same?


# %%
def backward(delta, sums, kernels, slope):
    """Carry a gradient of the top's outputs down; return it at the sums of every layer."""
    deltas = []
    for W, z in zip(kernels[::-1], sums[::-1], strict=True):
        delta = delta * slope(z)
        deltas.append(delta)
        delta = delta @ W.T
    return deltas[::-1]


def relu_slope(z):
    return (z > 0).astype(float)


pairs = {
    "sigmoid": (sigmoid, sigmoid_slope),
    "tanh": (np.tanh, tanh_slope),
    "ReLU": (relu, relu_slope),
}


def there_and_back(name, std, seed, depth=10, units=100, samples=200):
    """Send random inputs up and a random gradient down; return sums and deltas of all layers."""
    x, kernels = draw_layers(std, seed, depth, units, samples)
    sums, _ = forward(x, kernels, pairs[name][0])
    top = np.random.default_rng(seed + 1).standard_normal((samples, units))
    return sums, backward(top, sums, kernels, pairs[name][1])


def gain(deltas):
    """Factor by which the gradient's size changes per layer on the way down."""
    return (np.mean(deltas[0] ** 2) / np.mean(deltas[-1] ** 2)) ** (0.5 / (len(deltas) - 1))


# %%
recipe = {"sigmoid, N(0, 1)": ("sigmoid", 1.0), "sigmoid, Glorot": ("sigmoid", 0.1),
          "tanh, Glorot": ("tanh", 0.1), "ReLU, He": ("ReLU", np.sqrt(2 / 100))}  # fmt: skip
gains, carriers = {}, {}
print("100 units, 10 layers       n · Var(w)   E[f'²]   predicted gain   measured   over 9 steps")
for name, (activation, std) in recipe.items():
    slope, rows = pairs[activation][1], []
    for seed in range(n_seeds):
        sums, deltas = there_and_back(activation, std, seed)
        squares = [np.mean(slope(z) ** 2) for z in sums[:-1]]
        predicted = np.sqrt(100 * std**2 * np.exp(np.mean(np.log(squares))))
        rows.append([np.mean(squares), predicted, gain(deltas)])
    carriers[name] = np.sort(np.ravel(deltas[0] ** 2))[::-1]
    square, *gains[name] = np.mean(rows, axis=0)
    print(f"{name:25} {100 * std**2:11.0f} {square:8.3f} {gains[name][0]:16.3f} "
          f"{gains[name][1]:10.3f} {gains[name][1]**9:14.1g}")  # fmt: skip

# %% tags=["claim"]
for name, (predicted, measured) in gains.items():
    assert abs(predicted / measured - 1) < 0.1, (
        f"{name}: the formula should give the measured gain within 10%: {predicted}, {measured}"
    )
assert gains["sigmoid, Glorot"][1] < 0.26, f"it should be at most 1/4: {gains['sigmoid, Glorot']}"
assert gains["sigmoid, N(0, 1)"][1] > 0.8, f"it should be near 1: {gains['sigmoid, N(0, 1)']}"
assert abs(gains["ReLU, He"][1] - 1) < 0.1, f"it should be 1: {gains['ReLU, He']}"

# %% [markdown]
# There is the answer. With Glorot the weights neither add nor take ($n \cdot \mathrm{Var}(w) = 1$),
# and the sigmoid's quarter is left: $0.25^9$ is nearly all of the story. With N(0, 1) the slopes are
# smaller still on average, but the weights multiply the mean square by 100. The product happens to be
# close to 1, **by luck of the width**:

# %%
by_width = {}
for units in (25, 100, 400, 900):
    by_width[units] = np.mean(
        [gain(there_and_back("sigmoid", 1.0, s, units=units, samples=100)[1]) for s in range(2)]
    )
    print(f"sigmoid, N(0, 1), {units:3} units a layer: gain {by_width[units]:.2f}, "
          f"over 9 steps {by_width[units]**9:.2g}")  # fmt: skip

# %% tags=["claim"]
assert by_width[25] < 0.8, f"25 units: gradients should vanish; gain {by_width[25]:.2f}"
assert by_width[900] > 1.3, f"900 units: gradients should explode; gain {by_width[900]:.2f}"

# %% [markdown]
# So "saturated sigmoids make gradients vanish" is right for narrow layers and wrong for wide ones,
# where they explode. (These are the errors $\delta$ of single images. A kernel's gradient also
# contains the inputs and averages over images whose errors may cancel, so the ratios in section 4 are
# not the same numbers.) Is the gradient of such a net worth anything? Who carries it?

# %%
fig, ax = plt.subplots(figsize=(7.5, 3.6))
top_percent = {}
for i, (name, squares) in enumerate(carriers.items()):
    percent = 100 * np.arange(1, len(squares) + 1) / len(squares)
    carried = np.cumsum(squares) / squares.sum()
    top_percent[name] = carried[len(squares) // 100]
    ax.semilogx(percent, carried, **ck.plotting.line_kw(i), label=name)
ax.set(xlabel="largest entries of the first layer's δ, in % (log scale)", xlim=(0.01, 100),
       ylabel="share of the squared gradient",
       title=f"N(0, 1): 1% of all entries carry {top_percent['sigmoid, N(0, 1)']:.0%} of it (one run)")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Share of the squared gradient that the largest entries carry, against how many of them are counted. "
    "The curve of sigmoid with N(0, 1) rises far earlier than those of the other three nets.",
)

# %% tags=["claim"]
others = {name: share for name, share in top_percent.items() if name != "sigmoid, N(0, 1)"}
assert top_percent["sigmoid, N(0, 1)"] > 1.3 * max(others.values()), (
    f"with N(0, 1) the top 1% should carry clearly more than elsewhere: {top_percent}"
)

# %% [markdown]
# With N(0, 1) a few entries, units that happen to be unsaturated for an image, carry the gradient;
# most units get nothing. Average strength, given to a few. Will it train?

# %% [markdown]
# ## 6 · After one epoch
#
# The four nets now see every image once: plain SGD, learning rate 0.05, batches of 32.
#
# **Predict first:** which of them has learned anything? Does the vanished gradient come back when the
# weights begin to move?

# %%
after, moved, results = {}, {}, {}
for name, (activation, initializer) in starts.items():
    model, runs = models[activation], []
    for seed in range(n_seeds):
        start(model, initializer, seed)
        old = [layer.kernel.numpy() for layer in model.layers[1:]]
        ck.fit(model, x, y, epochs=1, batch_size=32, verbose=0, seed=seed)
        new = [layer.kernel.numpy() for layer in model.layers[1:]]
        norms = ck.diagnostics.gradient_norms(model, x[:1_000], y[:1_000]).column("norm")
        step = [np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in zip(old, new, strict=True)]
        runs.append((norms, step, model.evaluate(x, y, batch_size=1_000, verbose=0)))
    after[name], moved[name], results[name] = (np.array(part) for part in zip(*runs, strict=True))

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 3.4), sharey=True)
for ax, name in zip(axes, starts, strict=True):
    ck.plotting.band(ax, labels, before[name], "at the start", 1)
    ck.plotting.band(ax, labels, after[name], "after an epoch", 0)
    ax.set(yscale="log", xlabel="layer", xticks=(1, 4, 7, 10))
    ax.set_title(f"{name}\nloss {results[name][:, 0].mean():.2f}", fontsize=10)
axes[0].set_ylabel("norm of the gradient (log scale)")
axes[3].legend(loc="lower right", fontsize=8)
ck.show(
    fig,
    alt=f"Gradient norm of each layer at the start (dashed) and after one epoch (solid), a panel for each net, "
    f"mean and range of {n_seeds} seeds; titles give the loss after the epoch. For sigmoid with Glorot "
    "the steep line is still there.",
)
print(
    f"loss of guessing {np.log(10):.2f}        loss   accuracy   kernel moved by: layer 1   layer 10"
)
for name in starts:
    loss, accuracy = results[name].mean(axis=0)
    low, high = moved[name].mean(axis=0)[[0, -1]]
    print(f"{name:24} {loss:8.2f} {accuracy:10.1%} {low:26.4%} {high:10.2%}")

# %% tags=["claim"]
loss = {name: values[:, 0].mean() for name, values in results.items()}
for name in ("tanh, Glorot", "ReLU, He"):
    assert loss[name] < 0.7 * np.log(10), f"{name} should have learnt; its loss is {loss[name]:.2f}"
    assert loss[name] < 0.8 * loss["sigmoid, N(0, 1)"], f"{name} should beat N(0, 1): {loss}"
assert loss["sigmoid, Glorot"] > 0.95 * np.log(10), f"it should still guess: {loss}"
assert first_to_last(after["sigmoid, Glorot"]) < 1e-3, (
    f"the gradient should still have vanished: {first_to_last(after['sigmoid, Glorot']):.2g}"
)
assert 0.1 < first_to_last(after["ReLU, He"]) < 10, f"ReLU, He: {first_to_last(after['ReLU, He'])}"
assert moved["sigmoid, Glorot"][:, 0].max() < moved["ReLU, He"][:, 0].min() / 100, (
    f"its first layer should move 100 times less than that of ReLU: {moved['sigmoid, Glorot'][:, 0]}"
)

# %% [markdown]
# **Verdict:** sigmoids with Glorot weights still guess. Their first layer has moved by a tiny
# fraction of its size (last columns): it is the random layer it was, and everything above learns from
# scrambled images. An epoch does not change that.
#
# With N(0, 1) the first layer's gradient is not small, yet beside huge weights its steps are: such a
# net learns far more slowly than tanh or ReLU with weights of the right size. So two things must be
# right: the gradient that arrives, and its size beside the weights that it should move.

# %% [markdown]
# ## 7 · Vanishing and exploding in one picture
#
# Ten layers of 100 units, random inputs up, a random gradient down. Only the std of the weights
# changes, in multiples of $1/\sqrt n$.
#
# **Predict first:** at which multiple does the gradient of a ReLU net neither vanish nor explode? The
# gain formula knows: half of ReLU's slopes are 1, the other half 0. And what does the sigmoid need?

# %%
multiples = np.geomspace(0.2, 10, 18)
survived = {}
fig, ax = plt.subplots(figsize=(8, 4))
for i, name in enumerate(pairs):
    survived[name] = np.array([
        [gain(there_and_back(name, m / np.sqrt(100), seed)[1]) ** 9 for m in multiples]
        for seed in range(n_seeds)
    ])  # fmt: skip
    ck.plotting.band(ax, multiples, survived[name], name, i)
    ax.plot(multiples[::3], survived[name].mean(axis=0)[::3], MARKERS[i], color=COLORS[i])
ax.axhline(1, color=COLORS[6], linewidth=1, linestyle=":")
ax.set(xscale="log", yscale="log", xlabel="std of the weights, in multiples of 1/√n (log scale)",
       ylabel="size of δ in layer 1 / layer 10 (log)", xticks=[0.2, 0.5, 1, 2, 5, 10],
       title="A little too small vanishes, a little too large explodes")  # fmt: skip
ax.set_xticklabels(["0.2", "0.5", "1", "2", "5", "10"])
ax.minorticks_off()
ax.legend()
ck.show(
    fig,
    alt=f"Size of the gradient in layer 1 relative to layer 10 against the std of the weights, both logarithmic, "
    f"mean and range of {n_seeds} seeds. ReLU and tanh cross 1 near 1.4 times 1/√n, ReLU more steeply; the sigmoid "
    "stays below 1 except at the right end.",
)

# %% tags=["claim"]
crossing = {
    name: np.exp(np.interp(0, np.log(runs.mean(axis=0)), np.log(multiples)))
    for name, runs in survived.items()
}
assert 1.25 < crossing["ReLU"] < 1.6, (
    f"ReLU should cross near √2 = 1.41, not {crossing['ReLU']:.2f}"
)
for name in ("tanh", "ReLU"):
    low, high = survived[name].mean(axis=0)[[0, -1]]
    assert low < 1e-5, f"{name} with 0.2/√n should vanish: {low:.1e}"
    assert high > 100, f"{name} with 10/√n should explode: {high:.1e}"
assert np.interp(1, multiples, survived["sigmoid"].mean(axis=0)) < 1e-4, "sigmoid, 1/√n: vanishes"

# %%
print(", ".join(f"{name} crosses 1 at {value:.2f}" for name, value in list(crossing.items())[1:]),
      f"(√2 = {np.sqrt(2):.2f})")  # fmt: skip

# %% [markdown]
# **Verdict:** vanishing and exploding are one phenomenon, a gain that is not 1, on either side of a
# narrow passage. For ReLU the passage lies at $\sqrt 2/\sqrt n$: this is He's weight initialisation,
# and lesson 02 finds it from the way up. For the sigmoid, weights that keep the gradient are weights
# that saturate: no std serves both ways, so deep nets have moved to other activations
# ([lesson 03](03_activation_functions.ipynb)).

# %% [markdown]
# ## Explore: your own net
#
# Choose the weights' std, the depth and the activation. Can you find a std for which the tenth
# layer's histogram *and* the gradients stay in shape? For which activations is there none?


# %%
def draw_net(weight_std, depth, activation):
    sums, deltas = there_and_back(activation, weight_std, seed=0, depth=depth)
    fig = plt.figure(figsize=(9, 4.6))
    grid = fig.add_gridspec(2, 5)
    shown = np.unique(np.linspace(1, depth, 5).round().astype(int))
    for k, layer in enumerate(shown):
        ax = fig.add_subplot(grid[0, k])
        ax.hist(pairs[activation][0](sums[layer - 1]).ravel(), 40, color=COLORS[0])
        ax.set_yticks([])
        ax.set_title(f"layer {layer}", fontsize=9, fontweight="normal")
        ax.tick_params(labelsize=7)
        ax.ticklabel_format(axis="x", scilimits=(-2, 3))
    ax = fig.add_subplot(grid[1, :])
    sizes = np.maximum([np.sqrt(np.mean(d**2)) for d in deltas], 1e-30)
    ax.semilogy(range(1, depth + 1), sizes, "o-", color=COLORS[1])
    ax.set(xlabel="layer", ylabel="size of δ (log scale)", xlim=(0.5, depth + 0.5),
           title=f"Gradients of {activation}, std {weight_std:.2f}: first / last {sizes[0] / sizes[-1]:.2g}")  # fmt: skip
    ax.xaxis.get_major_locator().set_params(integer=True)
    return fig


ck.widgets.explore(
    draw_net,
    alt="Above, histograms of the outputs of up to five layers; below, the size of the gradient in each "
    "layer on a log axis, for the chosen std of the weights, depth and activation.",
    weight_std=(0.01, 1.0, 0.1),
    depth=(1, 30, 10),
    activation=list(pairs),
)

# %% [markdown]
# ## Pitfalls
#
# ### A ratio of 1 is no proof of health
#
# **Predict first:** a ReLU net with weights of std 0.01: the signal vanishes on the way up, the error
# on the way down. By how much do the gradients of its kernels differ, from the second layer to the
# tenth?

# %%
kernel_norms = {}
print("norm of the kernel's gradient; layers 2, 4, 6, 8, 10")
for name, std in {"std 0.01": 0.01, "He": np.sqrt(2 / 100)}.items():
    sums, deltas = there_and_back("ReLU", std, seed=0)
    from_below = [relu(z) for z in sums[:-1]]
    kernel_norms[name] = np.array(
        [np.linalg.norm(a.T @ d) for a, d in zip(from_below, deltas[1:], strict=True)]
    )
    print(f"  ReLU, {name:9}", " ".join(f"{v:9.2g}" for v in kernel_norms[name][::2]))

# %% tags=["claim"]
for name, norms in kernel_norms.items():
    assert norms.max() < 3 * norms.min(), f"{name}: all kernels should be alike, got {norms}"
smaller = kernel_norms["std 0.01"].max() / kernel_norms["He"].min()
assert smaller < 1e-6, f"and yet those of std 0.01 should be tiny; ratio {smaller:.1e}"

# %% [markdown]
# Alike in both nets! A kernel's gradient is the signal from below times the error from above. At the
# bottom the error has vanished, at the top the signal, and for ReLU the products are the same. Yet
# one net gets gradients of a useful size and the other next to nothing. So look at the **size** of
# the norms too, not only at the ratio of first to last.
#
# ### More
#
# - **A large layer has a large norm.** The first layer here has 784 inputs, the others 100. To
#   compare layers of different size, use the `rms` column of `ck.diagnostics.gradient_norms`: norm
#   divided by the root of the number of weights.
# - **A std over everything hides stuck units.** Sigmoids that never change still differ from each
#   other (section 3). Take the std of each unit over the inputs.
# - **A plateau at the loss of guessing** is a symptom of vanishing gradients, but of other things
#   too: a dead output, shuffled labels. Measure the norms before you change the net.
# - **A better optimizer is no cure.** Lesson 02 tries Adam on a bad start.

# %% [markdown]
# ## Recap
#
# - The sigmoid's slope is at most 1/4, near 0 where it is saturated; ten in a row let through a
#   millionth.
# - Weights of std 1 saturate, of std 0.01 make units alike; about $1/\sqrt n$ keeps a signal of $n$
#   inputs.
# - The sigmoid's mean of 0.5 shifts every sum in the next layer; tanh, with mean 0, does not.
# - Gain per layer: root of $n \cdot \mathrm{Var}(w) \cdot \mathrm{E}[f'^2]$; below 1 gradients
#   vanish, above 1 they explode.
# - Sigmoid with Glorot loses its gradient in ten layers, and an epoch brings nothing back;
#   ReLU with He keeps it.

# %% [markdown]
# ## Now practise
#
# Open [exercise 01](../exercises/01_vanishing_gradients.ipynb): bound a gradient, write the layer
# statistics and the gradient norms yourself, and find the std that any activation needs.
#
# Then go on with lesson
# [02 Weight initialisation](02_weight_initialisation.ipynb).

# %% [markdown]
# ## Further reading
#
# - X. Glorot and Y. Bengio, *Understanding the Difficulty of Training Deep Feedforward Neural
#   Networks*, AISTATS 2010: section 3, how sigmoids saturate; section 4.2, gradients at
#   initialisation.
# - S. Hochreiter, Y. Bengio, P. Frasconi and J. Schmidhuber, *Gradient Flow in Recurrent Nets: the
#   Difficulty of Learning Long-Term Dependencies*, in *A Field Guide to Dynamical Recurrent Neural
#   Networks*, IEEE Press 2001: the section "Exponential Error Decay".
# - Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, *Efficient BackProp*, in *Neural Networks: Tricks of
#   the Trade*, Springer 1998: section 4.4, why a sigmoid should be symmetric.
# - K. He, X. Zhang, S. Ren and J. Sun, *Delving Deep into Rectifiers: Surpassing Human-Level
#   Performance on ImageNet Classification*, ICCV 2015, arXiv:1502.01852: section 2.2, the gain of
#   ReLU both ways.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "The Vanishing/Exploding Gradients Problems".
