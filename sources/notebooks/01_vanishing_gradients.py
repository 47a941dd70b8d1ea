# %% [markdown]
# # 01 Vanishing and exploding gradients
#
# A deep net is trained from its output downwards: the error travels from layer to layer. What if it
# does not arrive?
#
# ## What you will be able to do
#
# After about {{ minutes.reading }} minutes of reading, or {{ minutes.with_code }} minutes with the
# code, you will be able to
#
# - say why the sigmoid's slope is a problem for depth, and why its mean of 0.5 is another;
# - recognise from five histograms whether starting weights are too small, too large, or right;
# - write backpropagation down layer by layer, and measure how much gradient each layer gets;
# - predict with one short formula whether gradients vanish (vanishing gradient, 그레이디언트 소실) or
#   explode (exploding gradient, 그레이디언트 폭주);
# - name the four troubles of deep nets and the lessons that treat them.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
from functools import partial

import keras
import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, softmax

n, n_seeds, epochs, rates, n_draws = lab.pick(
    quick=(5_000, 2, 3, (0.01, 0.1, 1.0), 3),
    standard=(8_000, 3, 3, (0.01, 0.03, 0.1, 0.3, 1.0), 5),
    full=(55_000, 5, 3, (0.01, 0.03, 0.1, 0.3, 1.0), 5),
)
draws = range(lab.seed, lab.seed + n_draws)  # seeds for experiments without training

# %% [markdown]
# ### Four troubles of deep nets
#
# This course is built along them:
#
# | trouble | what happens | treated in |
# |---|---|---|
# | unstable gradients | lower layers learn far too slowly, or blow up | lessons 01–05 |
# | too little labelled data | millions of weights, a few hundred labels | lessons 06–07 |
# | slow training | many steps, each of them costly | lessons 08–09 |
# | overfitting (과대적합) | the net learns the training set by heart | lessons 10–11 |
#
# This lesson measures the first. The cures follow in lessons 02 (weight initialisation, 가중치 초기화),
# 03 (activation functions, 활성화 함수), 04 (batch normalisation, 배치 정규화) and 05 (gradient
# clipping, 그레이디언트 클리핑).

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


# %% tags=["plot"]
import matplotlib.pyplot as plt

z = np.linspace(-8, 8, 1_601)
edge = np.log(0.95 / 0.05)  # where the sigmoid is 0.95
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
left.axvspan(-1, 1, color="#D9EAD3")
for side in (-1, 1):
    left.axvspan(*sorted((side * edge, side * 8)), color="#EEEEEE")
left.plot(z, sigmoid(z), **ck.plotting.look_of("sigmoid", marker=False))
left.plot(z, 0.5 + z / 4, **ck.plotting.line_kw(3), label="tangent at 0, slope 1/4")
for x, y, text in ((-5.5, 0.5, "saturated"), (0, 0.06, "almost\nlinear"), (5.5, 0.5, "saturated")):
    left.text(x, y, text, ha="center", fontsize=9)
left.set(xlabel="z", ylabel="σ(z)", ylim=(-0.05, 1.05), xlim=(-8, 8),
         title="Steep in the middle, flat outside")  # fmt: skip
left.legend(loc="upper left", fontsize=8)
for name, slope in {"sigmoid": sigmoid_slope, "tanh": tanh_slope}.items():
    right.plot(z, slope(z), **ck.plotting.look_of(name, marker=False), label=name)
right.set(xlabel="z", ylabel="derivative",
          title=f"Largest slope: sigmoid {sigmoid_slope(z).max():.2f}, tanh {tanh_slope(z).max():.0f}")  # fmt: skip
right.legend(fontsize=8)
ck.show(
    fig,
    alt="Left: the sigmoid with an almost linear zone from -1 to 1, where it follows its tangent of "
    "slope a quarter, and grey saturated zones beyond plus and minus 2.9, where it lies within 0.05 of "
    "0 or 1. Right: the derivative of the sigmoid, at most 0.25 at z = 0, and of tanh, at most 1.",
)

# %% tags=["claim"]
peak, at = sigmoid_slope(z).max(), z[sigmoid_slope(z).argmax()]
outside = sigmoid_slope(edge)  # beyond it the slope only falls
differences = (sigmoid(z + 1e-5) - sigmoid(z - 1e-5)) / 2e-5
error = np.abs(differences - sigmoid_slope(z)).max()
ck.prove("σ(1 − σ) is the sigmoid's derivative", error < 1e-9,
         f"at most {error:.0e} away from differences")  # fmt: skip
ck.prove("The slope is largest at 0, a quarter", abs(peak - 0.25) < 1e-9 and abs(at) < 1e-9,
         f"{peak:.4f} at {abs(at):.2g}")  # fmt: skip
falling = (np.diff(sigmoid_slope(z[z > edge])) < 0).all()
ck.prove("Where the sigmoid is saturated, its slope is less than a fifth of that, and falls on",
         outside < peak / 5 and falling, f"at most {outside:.4f}")  # fmt: skip

# %% [markdown]
# **The sigmoid's slope is at most {{ peak:.2f }}, so ten in a row let through at most
# {{ pow(peak, 10):.1e }}, one millionth.** It is at most 0.05 × 0.95 = 0.0475 where the output lies within
# 0.05 of 0 or 1: there the sigmoid is **saturated**. But these are the slopes alone. Between two activations
# there are weights, and weights can make up for a small slope, or overdo it. So look at real layers.

# %% [markdown]
# ## 2 · Five layers of a hundred units
#
# A classic experiment (Saitoh, 2016, in the spirit of Glorot and Bengio, 2010): 1,000 random inputs, each
# of 100 numbers with mean 0 and variance 1, go up through five layers of 100 units, so that every unit has $n_\text{in} = 100$ inputs. Nothing is trained.
# The weights are drawn from a normal distribution with mean 0; only its standard deviation (std) changes.
# What a unit adds up, $z = xW$, is its **pre-activation**; what it passes on is its output $f(z)$. Beside the
# sigmoid, $f$ is tanh, which runs from −1 to 1, and **ReLU**, $\max(0, z)$.


# %%
def draw_layers(std, seed, depth=5, units=100, samples=1_000):
    """Draw inputs, and a kernel for each layer."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, units))
    return x, [rng.normal(0, std, (units, units)) for _ in range(depth)]


def forward(x, kernels, f):
    """Return the pre-activations and the outputs, each of shape (layers, samples, units)."""
    z, outputs = [], []
    for W in kernels:
        z.append(x @ W)
        x = f(z[-1])
        outputs.append(x)
    return np.array(z), np.array(outputs)


stds = {"std 1": 1.0, "std 0.01": 0.01, "std 1/√n_in = 0.1": 1 / np.sqrt(100)}

# %% [markdown]
# **Predict first:** with weights of std 1, where do the outputs of a sigmoid lie: around 0.5, evenly
# between 0 and 1, or at the ends? And with std 0.01?

# %% tags=["plot"]
fig, axes = plt.subplots(3, 5, figsize=(10, 5), sharex=True)
for row, (name, std), color in zip(axes, stds.items(), ck.plotting.COLORS, strict=False):
    _, outputs = forward(*draw_layers(std, lab.seed), sigmoid)
    for layer, (ax, out) in enumerate(zip(row, outputs, strict=True), start=1):
        ax.hist(out.ravel(), np.linspace(0, 1, 41), color=color)
        ax.set(xlim=(0, 1), yticks=[], xticks=(0, 0.5, 1))
        ax.set_title(f"layer {layer}: std {out.std():.2g}", fontsize=8, fontweight="normal")
    row[0].set_ylabel(name)
axes[2, 2].set_xlabel("output of a unit")
fig.suptitle("Sigmoid: at the ends, all alike, or spread around 0.5 (one draw)", x=0.01, ha="left",
             fontsize=11, fontweight="bold")  # fmt: skip
ck.show(
    fig,
    alt="Histograms of sigmoid outputs in five layers. Weights of std 1: two peaks at 0 and 1. Std 0.01: "
    "one narrow peak at 0.5. Std 0.1: a broad hill around 0.5, which falls apart into spikes from the "
    "third layer on.",
)

# %% tags=["claim"]
ends, spread = {}, {}  # name -> shape (draws, layers)
for name, std in stds.items():
    runs = np.array([forward(*draw_layers(std, seed), sigmoid)[1] for seed in draws])
    ends[name] = np.mean((runs < 0.05) | (runs > 0.95), axis=(2, 3))
    spread[name] = runs.std(axis=(2, 3))
ck.prove("Std 1: in every layer most outputs lie within 0.05 of 0 or 1", ends["std 1"].min() > 0.5,
         f"{ends['std 1'].mean():.0%}, in each layer of each draw at least {ends['std 1'].min():.0%}")  # fmt: skip
ck.prove("Std 0.01: the outputs hardly differ", spread["std 0.01"].max() < 0.04,
         f"std at most {spread['std 0.01'].max():.3f}")  # fmt: skip
good = ends["std 1/√n_in = 0.1"].max()
ck.prove("Std 1/√n_in: hardly any output is saturated", good < 0.05, f"at most {good:.1%}")

# %% [markdown]
# **With weights of std 1, {{ ends["std 1"].mean():.0% }} of all outputs are saturated; with std 0.01 they
# are all 0.5, give or take {{ spread["std 0.01"][:, 0].mean():.3f }} in layer 1 and
# {{ spread["std 0.01"][:, -1].mean():.3f }} in layer 5 (means of {{ n_draws }} draws); with std $1/\sqrt{n_\text{in}}$ neither happens.** A pre-activation
# is a sum of $n_\text{in}$ independent terms, and variances of independent terms add up: for inputs of std 1 its
# std is about $\sqrt{100} = 10$ times that of the weights.
#
# - **Std 1**: the sigmoid gets numbers far from 0 and answers with 0 or 1.
# - **Std 0.01**: every unit answers nearly 0.5 to every input. That the std does not go on falling in the titles
#   is because units still differ from each other; what is left of the *input*, section 4 measures. (With weights
#   that are exactly alike, units are copies of each other for ever: [lesson 02](02_weight_initialisation.ipynb).)
# - **Std $1/\sqrt{n_\text{in}}$**: the $\sqrt{n_\text{in}}$ of the sum is divided out. But look at the bottom row from left to
#   right: a smooth hill falls apart into spikes. Section 4 says what they are.
#
# ### Explore: your own net
#
# Choose the weights' std, the depth and the activation. Above: the outputs, as in the picture you just
# saw. Below: an error comes in at the top of the net; how much of it gets down to each layer? (Section 5
# says how it travels.) Find for each activation a std for which the error in layer 1 is between 0.3 and 3 times
# that in the last layer. What does the last histogram look like there? (Section 7 has the answer.)


# %% tags=["helper"]
def draw_net(weight_std, depth, activation):
    x, kernels = draw_layers(weight_std, 0, depth, samples=200)
    f, slope = ck.scratch.activations.get(activation.lower())
    z, outputs = forward(x, kernels, f)
    error, sizes = np.random.default_rng(1).standard_normal(x.shape), []
    for W, each in zip(kernels[::-1], z[::-1], strict=True):
        error = error * slope(each)
        sizes.append(max(np.sqrt(np.mean(error**2)), 1e-40))
        error = error @ W.T
    fig = plt.figure(figsize=(9, 4.6))
    grid = fig.add_gridspec(2, 5)
    shown = np.unique(np.linspace(1, depth, 5).round().astype(int))
    bins = np.linspace(outputs.min(), outputs.max(), 61)  # the same for all: a fading signal shows
    for k, layer in enumerate(shown):
        ax = fig.add_subplot(grid[0, k], sharex=fig.axes[0] if k else None)
        ax.hist(outputs[layer - 1].ravel(), bins, color=ck.plotting.COLORS[0])
        ax.set_yticks([])
        ax.set_title(f"outputs, layer {layer}", fontsize=9, fontweight="normal")
        ax.tick_params(labelsize=7)
        ax.ticklabel_format(axis="x", scilimits=(-2, 3))
    ax = fig.add_subplot(grid[1, :])
    ax.semilogy(range(1, depth + 1), sizes[::-1], "o-", color=ck.plotting.COLORS[1])
    ax.set(xlabel="layer", ylabel="size of the error (log)", xlim=(0.5, depth + 0.5),
           title=f"{activation}, std {weight_std:.3g}: the error in layer 1 is {sizes[-1] / sizes[0]:.2g} times the last one's")  # fmt: skip
    ax.xaxis.get_major_locator().set_params(integer=True)
    return fig


ck.widgets.explore(
    draw_net,
    alt="Above, histograms of the outputs of up to five layers; below, the size of the error in each "
    "layer on a log axis, for the chosen std of the weights, depth and activation.",
    weight_std=(0.003, 3.0, 0.1, "log"),
    depth=(1, 30, 10),
    activation=["tanh", "sigmoid", "ReLU"],
)

# %% [markdown]
# ## 3 · Does the signal grow from layer to layer?
#
# "With weights of variance 1 the variance grows layer by layer until the top layers saturate" is often
# written. **Predict first:** is the fifth layer's pre-activation wider than the first's? For which of
# sigmoid, tanh and ReLU? And with std 0.01, what becomes of a signal that tanh, nearly the line $y = z$
# around 0, passes on five times?


# %%
nets = {  # activation and slope
    "sigmoid": (sigmoid, sigmoid_slope),
    "tanh": (np.tanh, tanh_slope),
    "ReLU": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
}
widths = {
    (name, std): np.array([forward(*draw_layers(std, seed), f)[0] for seed in draws]).std(
        axis=(2, 3)
    )
    for name, (f, _) in nets.items()
    for std in stds.values()
}

# %% tags=["plot"]
fig, axes = plt.subplots(3, 2, figsize=(10, 5), sharex="col")
for column, name in zip(axes.T, ("tanh", "ReLU"), strict=True):
    bins = np.linspace(-8, 1, 91) if name == "tanh" else np.linspace(-8, 6, 121)
    for ax, std in zip(column, stds.values(), strict=True):
        _, outputs = forward(*draw_layers(std, lab.seed), nets[name][0])
        for layer, (out, i) in enumerate(zip(outputs, (0, 1, 2, 3, 5), strict=True), start=1):
            size = np.log10(np.abs(out[out != 0]))
            ax.hist(size, bins, histtype="step", linewidth=1.6, label=f"layer {layer}",
                    **ck.plotting.line_kw(i))  # fmt: skip
        ax.set(yticks=[])
    column[0].set_title(name)
    powers = range(-8, 2, 2) if name == "tanh" else range(-8, 7, 2)
    column[2].set(xlabel="size of an output, 0 left out (log scale)", xticks=powers)
    column[2].set_xticklabels([f"$10^{{{power}}}$" for power in powers])
for ax, label in zip(axes[:, 0], stds, strict=True):
    ax.set_ylabel(label)
axes[0, 0].legend(loc="upper left", fontsize=8)
fig.suptitle("Std 0.01 fades, 1/√n_in hardly; std 1 saturates tanh and explodes ReLU (one draw)", x=0.01,
             ha="left", fontsize=11, fontweight="bold")  # fmt: skip
ck.show(
    fig,
    alt="Histograms of the sizes of tanh and ReLU outputs on a log scale, five layers in each panel. "
    "Weights of std 1: tanh's pile up at 1, ReLU's lie further right with each layer. Std 0.01: each "
    "layer further left, by about a factor of ten. Std 0.1: all five nearly at the same place.",
)
print("std of the pre-activations; layers 1 to 5")
for (name, std), values in widths.items():
    print(f"  {name:8} std {std:<5g}", " ".join(f"{v:9.2g}" for v in values.mean(axis=0)))

# %% tags=["claim"]
factor = {key: (values[:, 1:] / values[:, :-1]).mean(axis=0) for key, values in widths.items()}
for name in ("sigmoid", "tanh"):
    ck.prove(f"{name}, std 1: wide at once, and no wider above",
             widths[name, 1.0].min() > 4 and factor[name, 1.0].max() < 1.3,
             f"std at least {widths[name, 1.0].min():.1f}, times at most {factor[name, 1.0].max():.2f} a layer")  # fmt: skip
ck.prove("ReLU, std 1: every layer is wider", factor["ReLU", 1.0].min() > 4,
         f"at least {factor['ReLU', 1.0].min():.1f} times a layer")  # fmt: skip
for name, most in (("tanh", 1 / 5), ("ReLU", 1 / 8)):
    shrink, kept = factor[name, 0.01].max(), widths[name, 0.1].mean(axis=0)
    ck.prove(f"{name}: std 0.01 fades in every layer, std 1/√n_in keeps more than a tenth in five layers",
             shrink < most and kept[-1] > kept[0] / 10,
             f"times {shrink:.2f} a layer; {kept[0]:.2f} to {kept[-1]:.2f}")  # fmt: skip

grid, away = np.linspace(-30, 30, 1_001), 0.0
for name, both in nets.items():
    packaged = ck.scratch.activations.get(name.lower())
    away = max(
        away, *(np.abs(a(grid) - b(grid)).max() for a, b in zip(both, packaged, strict=True))
    )
ck.prove("The explorer's activations and slopes are those written out here", away < 1e-12,
         f"at most {away:.0e} apart")  # fmt: skip

# %% [markdown]
# **With std 1 a sigmoid's pre-activations have the std {{ widths["sigmoid", 1.0][:, 0].mean():.0f }} in the
# first layer and {{ widths["sigmoid", 1.0][:, 4].mean():.1f }} in the fifth: they do not grow, the first layer
# is saturated already.** In *every* layer the sums are far wider than what goes in, but sigmoid and tanh
# squash them, and the next layer starts again from outputs below 1. Only ReLU, which does not squash,
# grows without limit, {{ factor["ReLU", 1.0].mean():.1f }}-fold a layer: a signal that **explodes**. With std 0.01
# tanh's signal shrinks {{ 1 / factor["tanh", 0.01].mean():.0f }}-fold a layer and ReLU's
# {{ 1 / factor["ReLU", 0.01].mean():.0f }}-fold: it **vanishes**. With $1/\sqrt{n_\text{in}}$ tanh loses
# less from layer to layer (its factor climbs from {{ factor["tanh", 0.1][0]:.2f }} to {{ factor["tanh", 0.1][-1]:.2f }}: small signals meet a
# straight line); ReLU loses a steady factor of {{ factor["ReLU", 0.1].mean():.2f }}, and lesson 02 finds the number that is missing.
# The sigmoid's numbers look steady with every std; section 4 shows why that says little.

# %% [markdown]
# ## 4 · A mean of 0.5: bias shift
#
# tanh has the shape of a sigmoid, stretched and moved: $\tanh z = 2\sigma(2z) - 1$. Its slope at 0 is 1
# and not 1/4; its mean is 0 and not 0.5. Which of the two differences matters? A mean of 0.5 splits the next
# layer's pre-activation:
#
# $$\sum_i w_i x_i = \underbrace{0.5 \sum_i w_i}_{\text{the same for every input}} +
# \sum_i w_i (x_i - 0.5)$$
#
# with $x_i$ the inputs of the unit and $w_i$ its weights. The first part acts as a bias that nobody
# asked for (the bias part): **bias shift** (편향 이동). Only the second part knows anything about the input.
# How much it varies is the unit's **response**: the std over the inputs, here of the pre-activation.
#
# Four activations separate the two causes: each slope with each mean. **Predict first:** ten layers,
# weights of std $1/\sqrt{n_\text{in}}$. In which of the four does the response fade? In which does the bias part
# stay?

# %%
causes = {
    "σ(z): slope 1/4, mean 0.5": sigmoid,
    "σ(z) − 0.5: slope 1/4, mean 0": lambda z: sigmoid(z) - 0.5,
    "tanh z + 0.5: slope 1, mean 0.5": lambda z: np.tanh(z) + 0.5,
    "tanh z: slope 1, mean 0": np.tanh,
}
response, bias_part, from_input = {}, {}, {}  # name -> shape (draws, layers)
for name, f in causes.items():
    z = np.array([forward(*draw_layers(0.1, seed, depth=10), f)[0] for seed in draws])
    response[name] = z.std(axis=2).mean(axis=-1)  # each unit over the inputs
    bias_part[name] = z.mean(axis=2).std(axis=-1)  # what is the same for every input
    from_input[name] = z.var(axis=2).mean(axis=-1) / z.var(axis=(2, 3))

# %% tags=["plot"]
ck.show(ck.plotting.lines(
    response, title="The slope decides: with 1/4 the response fades, whatever the mean", log="y",
    xlabel="layer", ylabel="response (std over the inputs)"))  # fmt: skip
print("layer 10                          response   bias part   variance due to the input")
for name in causes:
    last = [values[name][:, -1].mean() for values in (response, bias_part, from_input)]
    print(f"{name:33} {last[0]:8.2g} {last[1]:11.2g} {last[2]:15.2g}")

# %% tags=["claim"]
both_causes, only_slope, only_mean, neither = causes
for name in (both_causes, only_slope):
    ck.prove(f"{name}: the response fades", response[name][:, -1].max() < 1e-4,
             f"{response[name][:, 0].mean():.2g} to {response[name][:, -1].mean():.1g}")  # fmt: skip
for name in (only_mean, neither):
    ck.prove(f"{name}: a response is left", response[name][:, -1].min() > 0.02,
             f"{response[name][:, 0].mean():.2g} to {response[name][:, -1].mean():.2g}")  # fmt: skip
with_mean = min(bias_part[name][:, -1].min() for name in (both_causes, only_mean))
without = max(bias_part[name][:, -1].max() for name in (only_slope, neither))
ck.prove("The bias part stays exactly where the mean is 0.5", with_mean > 0.3 and without < 0.03,
         f"at least {with_mean:.2f} with, at most {without:.2g} without")  # fmt: skip
ck.prove("In the tenth layer of sigmoids next to nothing is due to the input",
         from_input[both_causes][:, -1].max() < 1e-8, f"{from_input[both_causes][:, -1].max():.0e} of the variance")  # fmt: skip

# %% [markdown]
# **In the tenth layer of sigmoids {{ from_input[both_causes][:, -1].mean():.0e }} of the variance is due to the
# input. The slope kills the response, to {{ response[both_causes][:, -1].mean():.0e }}; the mean alone hides it: with
# slope 1 ($\tanh + 0.5$) it is {{ response[only_mean][:, -1].mean():.2f }}, but only
# {{ from_input[only_mean][:, -1].mean():.1% }} of the variance.** For the mean adds a constant to every layer, and a
# constant does not fade. Without the mean ($\sigma - 0.5$) all that is left comes from the input, but it is as
# tiny as with it. So in the upper layers a sigmoid gives the same answer to
# every input: in section 2 each unit has shrunk to almost one value, and a spike is the few units that share a
# bar. tanh mends both causes; it saturates at both ends as before.

# %% [markdown]
# ## 5 · The way back
#
# **Backpropagation** carries the error from the output to the input. Let $\delta_l$ be the gradient of
# the loss $L$ with respect to layer $l$'s pre-activations $z_l$. One layer down it becomes
#
# $$\delta_{l-1} = \bigl(\delta_l\, W_l^\top\bigr) \odot f'(z_{l-1}), \qquad
# \frac{\partial L}{\partial W_l} = a_{l-1}^\top\, \delta_l$$
#
# where $W_l$ is layer $l$'s kernel, $f'$ the activation's derivative, $\odot$ the product element by
# element, and $a_{l-1}$ the outputs of the layer below ($a_0 = x$).
#
# ![A chain of circles: the signal goes up from x through W1 to z1, through f to a1, through W2 to z2 and through f to a2, and to the loss. Below, the error comes back from the loss: times the slope at z2 it is delta 2, times W2 transposed and the slope at z1 it is delta 1, each arrow thinner than the one before. The gradient of W1 is x transposed times delta 1.](../figures/backprop_chain.svg)
#
# So the error is multiplied by weights and by slopes, once for each layer. Here it is written out, for a
# classifier that ends in softmax with cross-entropy, whose $\delta$ at the top is "probability minus
# truth":


# %%
def norms_by_hand(weights, x, y, f, slope):
    """Return the norm of each layer's gradient, kernel and bias together, the first layer first."""
    a, z, norms = [x], [], []
    for W, b in weights:
        z.append(a[-1] @ W + b)
        a.append(f(z[-1]))
    delta = (softmax(z[-1], axis=1) - np.eye(10)[y]) / len(x)
    for k in reversed(range(len(weights))):
        gradients = a[k].T @ delta, delta.sum(axis=0)
        norms.append(np.sqrt(sum(np.sum(g**2) for g in gradients)))
        if k > 0:
            delta = (delta @ weights[k][0].T) * slope(z[k - 1])
    return np.array(norms[::-1])


# %% [markdown]
# Now real images and real nets: nine hidden layers of 100 units and a softmax, from four starts. $N(0, 1)$
# means normal weights of mean 0 and variance 1, the std 1 of above.
# **Glorot** and **He** are two recipes for the std of the weights, and the subject of lesson 02: for 100
# inputs and 100 units Glorot means $1/\sqrt{100}$, He $\sqrt{2/100}$.

# %%
data = ck.load("mnist").subset(n).standardized()  # pixels with mean 0 and std 1
recipes = {
    "sigmoid, N(0, 1)": ("sigmoid", lambda: keras.initializers.RandomNormal(0.0, 1.0)),
    "sigmoid, Glorot": ("sigmoid", keras.initializers.GlorotUniform),
    "tanh, Glorot": ("tanh", keras.initializers.GlorotUniform),
    "ReLU, He": ("relu", keras.initializers.HeNormal),
}


# %%
def build(activation, initializer):
    sizes = [(100, activation)] * 9 + [(10, "softmax")]
    layers = [keras.layers.Dense(*size, kernel_initializer=initializer()) for size in sizes]
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), *layers])
    sgd, loss = keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy"
    model.compile(sgd, loss, metrics=["accuracy"])
    return model


def fresh(name, seed):
    keras.utils.set_random_seed(seed)
    return build(*recipes[name])


def norms_of(model):
    table = ck.diagnostics.gradient_norms(model, data.x_train[:500], data.y_train[:500])
    return table.column("norm")


# %% [markdown]
# The size of a gradient is its **norm**, the root of the sum of the squares of all its entries.
# `ck.diagnostics.gradient_norms` asks TensorFlow for the same numbers; a claim below compares the two.
#
# **Predict first:** at the start, before the first step, how much smaller is the gradient of the first
# layer than that of the last? Order the four nets by it, the one that loses most first.

# %%
before = {
    name: np.array([norms_of(fresh(name, seed)) for seed in range(n_seeds)]) for name in recipes
}
first_to_last = {name: norms[:, 0] / norms[:, -1] for name, norms in before.items()}
shrunk = round(1 / first_to_last["sigmoid, Glorot"].mean(), -3)
ck.show(ck.plotting.lines(
    before, title=f"Sigmoid, Glorot: the gradient shrinks {shrunk:,.0f}-fold on its way down",
    xlabel="layer (1 is next to the input)", ylabel="norm of the gradient", log="y"))  # fmt: skip

# %% tags=["claim"]
pixels = data.x_train.reshape(n, -1)
alive = pixels.std(axis=0) > 0
ck.prove("Every pixel that varies has mean 0 and std 1",
         np.abs(pixels.mean(axis=0)).max() < 1e-3 and np.abs(pixels[:, alive].std(axis=0) - 1).max() < 1e-2,
         f"{alive.sum()} pixels, mean within {np.abs(pixels.mean(axis=0)).max():.0e} of 0")  # fmt: skip
apart = {}
for activation, (f, slope) in nets.items():
    model = fresh(
        {"sigmoid": "sigmoid, Glorot", "tanh": "tanh, Glorot", "ReLU": "ReLU, He"}[activation], 0
    )
    layers = [layer.get_weights() for layer in model.layers if layer.weights]
    x, y = data.x_train[:500].reshape(500, -1).astype(float), data.y_train[:500]
    apart[activation] = np.abs(norms_by_hand(layers, x, y, f, slope) / norms_of(model) - 1).max()
ck.prove("Backpropagation by hand and TensorFlow agree in every layer", max(apart.values()) < 1e-3,
         ", ".join(f"{name} within {value:.0e}" for name, value in apart.items()))  # fmt: skip
ck.prove("Sigmoid, Glorot: the first layer's gradient is at least 1,000 times smaller than the last's",
         first_to_last["sigmoid, Glorot"].max() < 1e-3, f"{first_to_last['sigmoid, Glorot'].max():.1e}")  # fmt: skip
for name in ("tanh, Glorot", "ReLU, He"):
    low, high = first_to_last[name].min(), first_to_last[name].max()
    ck.prove(f"{name}: first and last are within a factor of 10", low > 0.1 and high < 10,
             f"{low:.2f} to {high:.2f}")  # fmt: skip
least = first_to_last["sigmoid, N(0, 1)"].min()
ck.prove("Sigmoid, N(0, 1) loses at least 100 times less than sigmoid, Glorot",
         least > 100 * first_to_last["sigmoid, Glorot"].max(), f"first / last at least {least:.2g}")  # fmt: skip

# %% [markdown]
# **With Glorot weights nine layers of sigmoids shrink the gradient {{ shrunk:,.0f }}-fold.** The nearly straight
# line is what "vanishing" looks like: one factor, again and again (the first layer has 784 inputs in place of
# 100, and lies off the line: √7.84 = 2.8 times higher). ReLU's first layer has
# {{ first_to_last["ReLU, He"].mean():.1f }} times, tanh's {{ first_to_last["tanh, Glorot"].mean():.1f }} times the last one's gradient, which is
# mostly those inputs: in between its line is level. And a surprise: sigmoids with N(0, 1),
# the saturated ones, are said to be the worst. Yet their first layer gets
# {{ first_to_last["sigmoid, N(0, 1)"].mean():.2g }} of the last one's gradient; it is the *unsaturated* ones
# whose gradient vanishes. Did you predict that?

# %% [markdown]
# ## 6 · One factor for each layer
#
# The step down multiplies by weights and slopes. If they are independent, and the weights have mean 0, mean
# squares multiply:
#
# $$\frac{\mathrm{E}[\delta_{l-1}^2]}{\mathrm{E}[\delta_l^2]} = n_\text{out} \cdot \mathrm{Var}(w) \cdot
# \mathrm{E}\left[f'(z_{l-1})^2\right]$$
#
# where $n_\text{out}$ is the number of units whose errors are added up and $\mathrm{Var}(w)$ the variance of their
# weights. The square root of the right-hand side is the **gain**: above 1 gradients explode, below 1 they vanish.
#
# **Predict first:** the slopes of a saturated sigmoid are mostly 0. What could make its gain as large as
# that of a tanh all the same?


# %%
def backward(delta, z, kernels, slope):
    """Carry a gradient of the top's outputs down; return it at the pre-activations of every layer."""
    deltas = []
    for W, each in zip(kernels[::-1], z[::-1], strict=True):
        deltas.append(delta * slope(each))
        delta = deltas[-1] @ W.T
    return np.array(deltas[::-1])


def there_and_back(name, std, seed, depth=10, units=100, size=1.0):
    """Send random inputs up and a random gradient down; return z and delta of all layers."""
    (f, slope), (x, kernels) = nets[name], draw_layers(std, seed, depth, units, samples=200)
    z, _ = forward(size * x, kernels, f)
    top = np.random.default_rng(seed + 1_000).standard_normal(x.shape)
    return z, backward(top, z, kernels, slope)


# %%
def gain(deltas):
    """Factor by which the gradient's size changes per layer on its way down."""
    return (np.mean(deltas[0] ** 2) / np.mean(deltas[-1] ** 2)) ** (0.5 / (len(deltas) - 1))


random_nets = {"sigmoid, N(0, 1)": ("sigmoid", 1.0), "sigmoid, Glorot": ("sigmoid", 0.1),
               "tanh, Glorot": ("tanh", 0.1), "ReLU, He": ("ReLU", np.sqrt(2 / 100))}  # fmt: skip
predicted, measured, slopes, top_percent = {}, {}, {}, {}
for name, (activation, std) in random_nets.items():
    both = [there_and_back(activation, std, seed) for seed in draws]
    squares = np.array([np.mean(nets[activation][1](z[:-1]) ** 2, axis=(1, 2)) for z, _ in both])
    slopes[name] = np.exp(np.log(squares).mean())  # geometric mean of the layers: gains multiply
    predicted[name] = np.sqrt(100 * std**2 * slopes[name])
    measured[name] = np.mean([gain(deltas) for _, deltas in both])
    entries = np.array([np.sort(deltas[0].ravel() ** 2)[::-1] for _, deltas in both])
    top_percent[name] = entries[:, : entries.shape[1] // 100].sum(axis=1) / entries.sum(axis=1)

# %% tags=["helper"]
print("100 units, 10 layers   n_out · Var(w)   E[f'²]   predicted gain   measured   over 9 steps")
for name, (_, std) in random_nets.items():
    print(f"{name:22} {100 * std**2:14.0f} {slopes[name]:8.4f} {predicted[name]:16.3f} "
          f"{measured[name]:10.3f} {measured[name]**9:14.1g}")  # fmt: skip

# %% [markdown]
# (These are sizes of $\delta$. The norms of section 5 were those of kernels, which contain the layer's inputs too,
# 784 in layer 1, and average over images whose errors may cancel; so its ratios are other numbers.)
#
# There is the answer. With Glorot the weights neither add nor take ($n_\text{out} \cdot \mathrm{Var}(w) = 1$), and
# the sigmoid's quarter is left. With N(0, 1) the slopes are smaller still on average, but the weights
# multiply the mean square by 100, and the product happens to be close to 1. If this is luck, it should
# change with the width:

# %%
units = np.array([25, 50, 100, 200, 400, 800])
by_width = np.array([
    [gain(there_and_back("sigmoid", 1.0, seed, units=int(each))[1]) for each in units]
    for seed in draws[:3]
])  # fmt: skip

# %% tags=["plot"]
fig = ck.plotting.lines({"sigmoid, N(0, 1)": by_width}, units, log="x", xlabel="units in a layer", ylabel="gain",
                        title="Saturated sigmoids: gradients vanish in narrow layers, explode in wide ones")  # fmt: skip
fig.axes[0].axhline(1, color=ck.plotting.COLORS[7], linewidth=1.2)
fig.axes[0].text(30, 1.02, "gain 1: neither", fontsize=9)
ck.show(fig)

# %% tags=["claim"]
for name in random_nets:
    ck.prove(f"{name}: the formula gives the measured gain within 10%",
             abs(predicted[name] / measured[name] - 1) < 0.1,
             f"{predicted[name]:.3f} against {measured[name]:.3f}")  # fmt: skip
ck.prove("Sigmoid, Glorot: the gain is at most a quarter; ReLU, He: it is 1",
         0.2 < measured["sigmoid, Glorot"] < 0.251 and abs(measured["ReLU, He"] - 1) < 0.1,
         f"{measured['sigmoid, Glorot']:.3f} and {measured['ReLU, He']:.3f}")  # fmt: skip
ck.prove("Saturated sigmoids vanish with 25 units a layer and explode with 800",
         by_width[:, 0].max() < 0.8 and by_width[:, -1].min() > 1.3,
         f"gain {by_width[:, 0].mean():.2f} and {by_width[:, -1].mean():.2f}")  # fmt: skip
others = max(top_percent[name].mean() for name in list(random_nets)[1:])
few = top_percent["sigmoid, N(0, 1)"].mean()
ck.prove("N(0, 1): 1% of the entries of δ₁ carry clearly more of it than in the other nets",
         few > 1.3 * others, f"{few:.0%} of the sum of squares, elsewhere at most {others:.0%}")  # fmt: skip

# %% [markdown]
# **The gain of sigmoids is {{ measured["sigmoid, Glorot"]:.3f }} with Glorot weights, and with N(0, 1)
# anything from {{ by_width[:, 0].mean():.2f }} (25 units) to {{ by_width[:, -1].mean():.2f }} (800 units).** So
# "saturated sigmoids make gradients vanish" is right for narrow layers and wrong for wide ones, where they
# explode: $n_\text{out} \cdot \mathrm{Var}(w)$ grows like the width, the share of unsaturated units falls only like one over its root.
# Nor is such a gradient worth much: with N(0, 1) a few units that happen to be unsaturated for
# an image carry it. 1% of the entries of $\delta_1$ hold {{ few:.0% }} of its sum of squares, in the other
# nets at most {{ others:.0% }}.

# %% [markdown]
# ## 7 · Vanishing and exploding in one picture
#
# Ten layers of 100 units, random inputs up, a random gradient down. Only the std of the weights changes,
# in multiples of $1/\sqrt{n_\text{in}}$.
#
# **Predict first:** at which multiple does the gradient of a ReLU net neither vanish nor explode? The gain
# formula knows: half of ReLU's slopes are 1, the other half 0. And what does the sigmoid need?

# %%
multiples = np.geomspace(0.2, 30, 20)
passed = {
    name: np.array([
        [gain(there_and_back(name, m / 10, seed)[1]) ** 9 for m in multiples] for seed in draws[:3]
    ])
    for name in nets
}  # fmt: skip


def crossing(name, **setting):
    """The multiple of 1/√n_in at which the gradient neither vanishes nor explodes, over three draws."""

    def log_gain(multiple, seed):
        return np.log(gain(there_and_back(name, multiple / 10, seed, **setting)[1]))

    return np.mean([brentq(log_gain, 0.5, 30, args=(seed,), xtol=0.01) for seed in draws[:3]])


# %% tags=["plot"]
fig = ck.plotting.lines(
    passed, multiples, title="A little too small vanishes, a little too large explodes", log="xy",
    xlabel="std of the weights, in multiples of 1/√n_in", ylabel="size of δ: layer 1 / layer 10")  # fmt: skip
fig.axes[0].axhline(1, color=ck.plotting.COLORS[7], linewidth=1.2)
ck.show(fig)
settings = {"10 layers": {}, "10 layers, inputs × 0.25": {"size": 0.25}, "10 layers, inputs × 4": {"size": 4.0},
            "40 layers": {"depth": 40}}  # fmt: skip
cross = {
    (name, label): crossing(name, **setting) for name in nets for label, setting in settings.items()
}
print("crosses 1 at the multiple      " + "  ".join(f"{name:>8}" for name in nets))
for label in settings:
    print(f"  {label:28} " + "  ".join(f"{cross[name, label]:8.2f}" for name in nets))

# %% tags=["claim"]
ends = {name: runs[:, [0, -1]].mean(axis=0) for name, runs in passed.items()}
for name in ("tanh", "ReLU"):
    ck.prove(f"{name}: 0.2/√n_in vanishes and 30/√n_in explodes", ends[name][0] < 1e-5 and ends[name][1] > 1e3,
             f"{ends[name][0]:.0e} and {ends[name][1]:.0e}")  # fmt: skip
relus = [cross["ReLU", label] for label in settings]
ck.prove("ReLU crosses at √2, whatever the depth and the inputs", max(abs(np.array(relus) / 2**0.5 - 1)) < 0.1,
         ", ".join(f"{value:.2f}" for value in relus))  # fmt: skip
tanhs = [cross["tanh", label] for label in settings]
ck.prove("tanh crosses further right with larger inputs, further left with more layers",
         tanhs[1] < tanhs[0] < tanhs[2] and tanhs[3] < tanhs[0], ", ".join(f"{v:.2f}" for v in tanhs))  # fmt: skip
at = cross["sigmoid", "10 layers"] / 10
z_there = np.array([there_and_back("sigmoid", at, seed)[0] for seed in draws])
stuck = np.mean((sigmoid(z_there) < 0.05) | (sigmoid(z_there) > 0.95))
of_input = z_there[:, -1].var(axis=1).mean() / z_there[:, -1].var(axis=(1, 2)).mean()
ck.prove("Where the sigmoid's gradient survives, most of its outputs are saturated", stuck > 0.5,
         f"at std {at:.2f} {stuck:.0%} of them")  # fmt: skip
ck.prove("Of its signal little is left there, and more than nothing", 0.002 < of_input < 0.3,
         f"{of_input:.1%} of the variance in layer 10 is due to the input")  # fmt: skip

# %% [markdown]
# **ReLU's gradient passes at {{ cross["ReLU", "10 layers"]:.2f }} times $1/\sqrt{n_\text{in}}$, close to $\sqrt 2 = 1.41$:
# vanishing and exploding are one phenomenon, a gain that is not 1, on either side of a narrow passage.** Weights
# of that size are He's weight initialisation; lesson 02 finds it from the way up.
#
# tanh's {{ cross["tanh", "10 layers"]:.2f }} looks the same and is a coincidence of this set-up: its slope is 1
# only near 0. Larger inputs start on flatter slopes and need larger weights
# ({{ cross["tanh", "10 layers, inputs × 4"]:.2f }}), smaller ones stay where $\tanh z \approx z$
# ({{ cross["tanh", "10 layers, inputs × 0.25"]:.2f }}). With more layers the input is forgotten, and the
# passage moves towards 1 ({{ cross["tanh", "40 layers"]:.2f }} with 40 layers): in the limit of wide, deep
# nets it lies exactly there (Schoenholz and others, 2017). The sigmoid passes at
# {{ cross["sigmoid", "10 layers"]:.1f }}, where {{ stuck:.0% }} of its outputs are saturated. Something gets through both
# ways, but little of the signal ({{ of_input:.1% }} of the variance in layer 10 is due to the input), and the gradient rests on
# the few unsaturated units (section 6). Deep nets have moved to other activations ([lesson 03](03_activation_functions.ipynb)).

# %% [markdown]
# ## 8 · Does it matter in training?
#
# The four nets of section 5 now train: plain SGD, batches of 32, {{ epochs }} epochs. To be fair, each
# gets a learning rate of its own. `ck.compare` finds it with a seed that the comparison does not use, and
# goes on searching where the best rate stands at the end of the list. A small gradient could be made up
# for by a large rate, could it not?
#
# **Predict first:** which of the four learns, and how well? Does the vanished gradient come back when
# the weights begin to move?

# %%
race = ck.compare({name: partial(build, *recipe) for name, recipe in recipes.items()}, data,
                  epochs=epochs, seeds=n_seeds, rates=rates)  # fmt: skip
ck.show(
    race.rate_curves(title="Sigmoid with Glorot stays at guessing with every rate tried", log="xy")
)
ck.show(race.final("val_accuracy"))
race.table("val_accuracy")

# %%
last = race.seeds[-1]  # the run whose nets are kept
start = {name: fresh(name, last) for name in recipes}


def moved(name):
    """How far each kernel has moved in training, as a share of its size at the start."""
    kernels = [[layer.kernel.numpy() for layer in model.layers[1:]]
               for model in (start[name], race.models[name])]  # fmt: skip
    return [np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in zip(*kernels, strict=True)]


after = {name: norms_of(race.models[name]) for name in recipes}
share_moved = {name: np.array(moved(name)) for name in recipes}

# %% tags=["plot"]
fig, axes = plt.subplots(1, 4, figsize=(10, 3.2), sharey=True)
for ax, name in zip(axes, recipes, strict=True):
    ax.semilogy(range(1, 11), norms_of(start[name]), **ck.plotting.line_kw(1), label="at the start")
    ax.semilogy(range(1, 11), after[name], **ck.plotting.line_kw(0), label="after training")
    ax.set(xlabel="layer", xticks=(1, 4, 7, 10))
    ax.set_title(f"{name}\nlayer 1 moved by {share_moved[name][0]:.2g}", fontsize=9)
axes[0].set_ylabel("norm of the gradient (log)")
axes[3].legend(loc="lower right", fontsize=8)
fig.suptitle(f"{epochs} epochs do not bring a vanished gradient back (one run; moved: share of the kernel's size)", x=0.01, ha="left",
             fontsize=11, fontweight="bold")  # fmt: skip
ck.show(
    fig,
    alt="Gradient norm of each layer at the start (dashed) and after training (solid), a panel for each "
    "net; titles say by what share of its size the first kernel has moved. For sigmoid with Glorot the "
    "steep line is still there.",
)

# %% tags=["claim"]
reached = {name: values.mean() for name, values in race.last("val_accuracy").items()}
tried = {name: max(found) for name, found in race.searched.items()}
stay = race.last("val_loss")["sigmoid, Glorot"]
ck.prove("Sigmoid, Glorot still guesses, with every rate that was tried",
         min(race.searched["sigmoid, Glorot"].values()) > 0.95 * np.log(10) and stay.min() > 0.95 * np.log(10),
         f"validation loss at least {stay.min():.2f}, guessing {np.log(10):.2f}; rates up to {tried['sigmoid, Glorot']:.2g}")  # fmt: skip
healthy = {name: reached[name] for name in ("tanh, Glorot", "ReLU, He")}
leader = race.verdict("val_accuracy").leaders[0]
ck.prove("tanh with Glorot and ReLU with He learn in the same budget, better than sigmoid, N(0, 1)",
         min(healthy.values()) > max(0.6, reached["sigmoid, N(0, 1)"]) and leader in healthy,
         "; ".join(f"{name} {value:.0%}" for name, value in reached.items()))  # fmt: skip
inside = all(min(found) < race.rates[name] < max(found) for name, found in race.searched.items()
             if name != "sigmoid, Glorot")  # fmt: skip
ck.prove("The best rate of each net that learns stands inside its list", inside,
         "; ".join(f"{name} {rate:.2g}" for name, rate in race.rates.items()))  # fmt: skip
ck.prove("Sigmoid, Glorot: after training the gradient still has not arrived",
         after["sigmoid, Glorot"][0] < 1e-3 * after["sigmoid, Glorot"][-1],
         f"first / last {after['sigmoid, Glorot'][0] / after['sigmoid, Glorot'][-1]:.0e}")  # fmt: skip
first_moved = {name: share_moved[name][0] for name in recipes}
for_rate = {name: first_moved[name] / race.rates[name] for name in recipes}  # whose rates differ
ck.prove("Its first layer moves at least 1,000 times less than that of tanh and ReLU, for the same rate",
         1_000 * for_rate["sigmoid, Glorot"] < min(for_rate["tanh, Glorot"], for_rate["ReLU, He"]),
         "moved / rate: " + "; ".join(f"{name} {value:.1g}" for name, value in for_rate.items()))  # fmt: skip

# %% [markdown]
# **Sigmoids with Glorot weights still guess after {{ epochs }} epochs: {{ reached["sigmoid, Glorot"]:.0% }}
# right, against {{ reached["ReLU, He"]:.0% }} for ReLU with He, and no learning rate from
# {{ min(race.searched["sigmoid, Glorot"]):.1g }} to {{ tried["sigmoid, Glorot"]:.2g }} helps.** Their first
# layer has moved by {{ first_moved["sigmoid, Glorot"]:.0e }} of its size: it is the random layer it was. (That was with the rate
# {{ race.rates["sigmoid, Glorot"]:.2g }}, as good as any other; for the same rate tanh's has moved
# {{ round(for_rate["tanh, Glorot"] / for_rate["sigmoid, Glorot"], -3):,.0f }} times as far.) And the
# top sees nearly the same signal for every image (section 4), so that it has nothing to learn from; this
# experiment does not separate the two. A larger rate is no way out, since all layers share it, and
# the last one's gradient is {{ shrunk:,.0f }} times as large as the first one's.
#
# With N(0, 1) the first layer's gradient is not small, and yet the net reaches only
# {{ reached["sigmoid, N(0, 1)"]:.0% }}. Two things may explain it: a few unsaturated entries carry the
# gradient (section 6), and beside huge weights the steps are small: the first layer moved by
# {{ first_moved["sigmoid, N(0, 1)"]:.1% }} of its size, that of ReLU with He by
# {{ first_moved["ReLU, He"]:.0% }}. So look at three things: how much gradient arrives, how many units share it,
# and its size beside the weights that it should move.

# %% [markdown]
# ## Pitfalls
#
# ### One more trap
#
# **Predict first:** a ReLU net with weights of std 0.01: the signal vanishes on the way up, the error on the
# way down. By how much do the gradients of its kernels differ, from the second layer to the tenth?

# %%
kernel_norms = {}
for name, std in {"std 0.01": 0.01, "He": np.sqrt(2 / 100)}.items():
    z, deltas = there_and_back("ReLU", std, lab.seed)
    below = nets["ReLU"][0](z[:-1])
    kernel_norms[name] = np.array(
        [np.linalg.norm(a.T @ delta) for a, delta in zip(below, deltas[1:], strict=True)]
    )
    print(f"ReLU, {name:9} layers 2 to 10:", " ".join(f"{v:.1g}" for v in kernel_norms[name]))

# %% tags=["claim"]
spreads = {name: norms.max() / norms.min() for name, norms in kernel_norms.items()}
ck.prove("All kernels of a net get gradients of about the same size", max(spreads.values()) < 3,
         ", ".join(f"{name}: largest / smallest {value:.1f}" for name, value in spreads.items()))  # fmt: skip
smaller = kernel_norms["std 0.01"].max() / kernel_norms["He"].min()
ck.prove("And yet those of std 0.01 are next to nothing", smaller < 1e-6, f"{smaller:.0e} of He's")

# %% [markdown]
# **With std 0.01 the gradients of the kernels differ by a factor of {{ spreads["std 0.01"]:.1f }}, as with He, and all are
# {{ smaller:.0e }} of He's or less: a ratio near 1 is no proof of health.** A kernel's gradient is the signal from below times the error from above. At the bottom
# the error has vanished, at the top the signal, and for ReLU the products are the same. Look at the
# **size** of the norms too, beside a net that learns, and not only at the ratio of first to last.
#
# ### More
#
# - **A large layer has a large norm.** The first layer here has 784 inputs, the others 100. To compare
#   layers of different size, use the `rms` column of `ck.diagnostics.gradient_norms`: the norm divided by
#   the root of the number of weights.
# - **A std over everything hides lost inputs.** Sigmoids that answer the same to every input still differ
#   from each other (section 4). Take the response: the std of each unit over the inputs.
# - **A plateau at the loss of guessing** is a symptom of vanishing gradients, but of other things too: a
#   dead output, shuffled labels. Measure the norms before you change the net.
# - **A better optimizer is half a cure.** In lesson 02 Adam learns from a bad start, but less than from a good one.
#
# ## What to do tomorrow
#
# 1. Before you train a deep net, print the gradient norm of every layer for one batch.
# 2. A straight line on a log axis: compute the gain, and look for the factor in weights or slopes.
# 3. Give weights the size that belongs to the activation: Glorot for tanh, He for ReLU.
# 4. Keep sigmoids for outputs and gates; do not stack them as hidden layers.
# 5. Loss stuck at guessing ($\ln 10$ with ten classes)? Look at norms and responses first.
#
# ## Recap
#
# - The sigmoid's slope is at most 1/4, near 0 where it is saturated; ten in a row let through a millionth.
# - Weights of std 1 saturate, of std 0.01 drown the signal; about $1/\sqrt{n_\text{in}}$ keeps tanh's signal in range.
# - A mean of 0.5 adds a constant that stays; a slope of 1/4 makes all that depends on the input fade.
# - Gain per layer: root of $n_\text{out} \cdot \mathrm{Var}(w) \cdot \mathrm{E}[f'^2]$; below 1 gradients vanish, above 1
#   they explode.
# - Sigmoid with Glorot loses its gradient in nine layers, and {{ epochs }} epochs of training do not bring it
#   back; ReLU with He keeps it.
#
# ## Now practise
#
# Open [exercise 01](../exercises/01_vanishing_gradients.ipynb): bound a gradient, write the layer statistics
# and the gradient norms yourself, and find the std that keeps the signal of any activation.
#
# Then go on with lesson [02 Weight initialisation](02_weight_initialisation.ipynb).
#
# ## Further reading
#
# - X. Glorot and Y. Bengio, *Understanding the Difficulty of Training Deep Feedforward Neural Networks*,
#   AISTATS 2010: section 3, how sigmoids saturate; section 4.2, gradients at initialisation.
# - S. Hochreiter, Y. Bengio, P. Frasconi and J. Schmidhuber, *Gradient Flow in Recurrent Nets: the
#   Difficulty of Learning Long-Term Dependencies*, in *A Field Guide to Dynamical Recurrent Neural
#   Networks*, IEEE Press 2001: the section "Exponential Error Decay".
# - Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, *Efficient BackProp*, in *Neural Networks: Tricks of the
#   Trade*, Springer 1998: section 4.4, why a sigmoid should be symmetric.
# - K. He, X. Zhang, S. Ren and J. Sun, *Delving Deep into Rectifiers: Surpassing Human-Level Performance on
#   ImageNet Classification*, ICCV 2015, arXiv:1502.01852: section 2.2, the gain of ReLU both ways.
# - S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein, *Deep Information Propagation*, ICLR 2017,
#   arXiv:1611.01232: how far signals and gradients of wide random nets reach.
# - K. Saitoh, *Deep Learning from Scratch* (ゼロから作る Deep Learning), O'Reilly Japan, 2016: section 6.2,
#   the histograms of section 2.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "The Vanishing/Exploding Gradients Problems".
