# %% [markdown]
# # 02 Weight initialisation
#
# Before the first step of training every weight is a random number. It can be any random number,
# except that it must not be a little too small, nor a little too large.
#
# ## What you will be able to do
#
# In about 35 minutes you will be able to
#
# - say what good starting weights must do for the signal and for the gradient, and why one number
#   cannot serve both, so that **Glorot's** initialisation is a compromise;
# - read and write Glorot, **LeCun** and **He** as one formula, in the normal and the uniform form;
# - find the 2 in He's formula by simulation, and see which common explanation of it is wrong;
# - predict from one curve whether a signal survives 50 layers, for any activation;
# - recognise a net whose units are all twins, and say what sets them apart.

# %%
import coursekit as ck

lab = ck.setup(seed=42)

from functools import partial

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import initializers
from scipy.stats import norm

COLORS, MARKERS = ck.plotting.COLORS, ck.plotting.MARKERS

# %% [markdown]
# **Weight initialisation** (가중치 초기화) is the choice of the numbers that training starts from.
# [Lesson 01](01_vanishing_gradients.ipynb) is about what goes wrong without care; this lesson is
# about the cure.

# %%
n, epochs, n_seeds = lab.pick(quick=(4_000, 4, 2), standard=(10_000, 5, 5), full=(55_000, 8, 5))

# %% [markdown]
# ## 1 · One layer, two ways
#
# A dense layer multiplies by a matrix $W$ with `fan_in` rows (inputs of each unit) and `fan_out`
# columns (units). Going up, it turns inputs $x$ into sums $xW$. Coming back, it turns the gradient
# $g$ of its sums into the gradient $gW^\top$ of its inputs. The signal should flow well **both
# ways**: the sums should vary as much as the inputs, the gradient after as much as the gradient
# before.
#
# **Predict first:** a layer has 300 inputs and 700 units; inputs and gradients have variance 1.
# With weights of variance 1/300, what is the variance of the sums? And of the gradient that comes
# out below?


# %%
def two_ways(fan_in, fan_out, variance, samples=500):
    """Measure the variance of the sums and of the gradient of the inputs, for variance 1 each."""
    rng = np.random.default_rng(fan_in)
    W = rng.normal(0, np.sqrt(variance), (fan_in, fan_out))
    x = rng.standard_normal((samples, fan_in))
    g = rng.standard_normal((samples, fan_out))
    return (x @ W).var(), (g @ W.T).var()


choices = {
    "1/fan_in": lambda fan_in, fan_out: 1 / fan_in,
    "1/fan_out": lambda fan_in, fan_out: 1 / fan_out,
    "1/fan_avg": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
}
print("300 inputs, 700 units\nweight variance   signal ×   gradient ×")
for name, variance in choices.items():
    up, down = two_ways(300, 700, variance(300, 700))
    print(f"{name:15} {up:10.2f} {down:12.2f}")

# %% [markdown]
# A sum of `fan_in` independent products, each of variance $\mathrm{Var}(w)\,\mathrm{E}[x^2]$, has a
# variance that many times as large. On the way back each input collects from `fan_out` units:
#
# $$\frac{\mathrm{Var}(xW)}{\mathrm{E}[x^2]} = \text{fan\_in} \cdot \mathrm{Var}(w) \qquad
# \frac{\mathrm{Var}(gW^\top)}{\mathrm{E}[g^2]} = \text{fan\_out} \cdot \mathrm{Var}(w)$$
#
# The first wants $\mathrm{Var}(w) = 1/\text{fan\_in}$, the second $1/\text{fan\_out}$. Only a
# square layer can have both. Glorot and Bengio (2010) take the mean of the two, $\text{fan\_avg} =
# (\text{fan\_in} + \text{fan\_out})/2$: a compromise. How good is it in layers of other shapes?

# %%
fan_in = np.arange(100, 901, 100)
fan_out = 1_000 - fan_in
measured = {
    name: np.array([two_ways(i, o, variance(i, o)) for i, o in zip(fan_in, fan_out, strict=True)])
    for name, variance in choices.items()
}
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True)
for k, (name, variance) in enumerate(choices.items()):
    formula = variance(fan_in, fan_out)
    for ax, fan, column in zip(axes, (fan_in, fan_out), (0, 1), strict=True):
        ax.loglog(fan_out / fan_in, fan * formula, **ck.plotting.line_kw(k), label=name)
        ax.plot(fan_out / fan_in, measured[name][:, column], MARKERS[k], color=COLORS[k])
axes[0].set(xlabel="fan_out / fan_in", ylabel="variance after / variance before",
            title="The signal: kept by 1/fan_in")  # fmt: skip
axes[1].set(xlabel="fan_out / fan_in", title="The gradient: kept by 1/fan_out")
axes[0].legend(title="weight variance")
ck.show(
    fig,
    alt="Two panels against fan_out over fan_in, from 1/9 to 9, both axes logarithmic. The signal's "
    "factor is 1 for 1/fan_in; the gradient's is 1 for 1/fan_out. 1/fan_avg lies between in both, "
    "and all three meet at 1 where the layer is square. Measured markers lie on the formula's lines.",
)

# %% tags=["claim"]
for name, variance in choices.items():
    expected = np.stack([fan_in, fan_out], axis=1) * variance(fan_in, fan_out)[:, None]
    worst = np.abs(measured[name] / expected - 1).max()
    assert worst < 0.05, f"{name}: measured factors should follow the formula, off by {worst:.1%}"
both = measured["1/fan_avg"].sum(axis=1)
assert np.allclose(both, 2, rtol=0.05), f"with 1/fan_avg both factors should add up to 2: {both}"

# %% [markdown]
# With 1/fan_avg the two factors add up to 2: neither ever more than doubles, while the other two
# choices err ninefold at the ends. Most layers of a deep net are square, and there the three are
# one.

# %% [markdown]
# ## 2 · Three names, one formula
#
# All usual initialisers draw with mean 0 and the variance
#
# $$\mathrm{Var}(w) = \frac{\text{scale}}{\text{fan}}$$
#
# and differ in the two numbers only. Biases start at 0.
#
# | initialiser | scale | fan | meant for |
# |---|---|---|---|
# | Glorot, also Xavier | 1 | fan_avg | no activation, tanh, sigmoid, softmax |
# | He, also Kaiming | 2 | fan_in | ReLU and its family, ELU, GELU, Swish, Mish |
# | LeCun | 1 | fan_in | SELU |
#
# (Xavier Glorot and Kaiming He have one initialiser each, named by first or by last name.) Each
# comes in two shapes. A **normal** distribution with that variance; or a **uniform** one between
# $-r$ and $r$, whose variance is $r^2/3$, so that
#
# $$r = \sqrt{3 \cdot \mathrm{Var}(w)}$$
#
# In Keras one class does it all, `VarianceScaling(scale, mode, distribution)`; the names are short
# forms.
#
# **Predict first:** a kernel has 600 inputs and 200 units. Order the six by the std of their
# weights. Does the uniform form need a larger or a smaller std than the normal one?

# %%
shape = (600, 200)
fans = {"fan_in": 600, "fan_out": 200, "fan_avg": 400}
named = {
    "GlorotNormal": (1, "fan_avg", "truncated_normal"),
    "GlorotUniform": (1, "fan_avg", "uniform"),
    "HeNormal": (2, "fan_in", "truncated_normal"),
    "HeUniform": (2, "fan_in", "uniform"),
    "LecunNormal": (1, "fan_in", "truncated_normal"),
    "LecunUniform": (1, "fan_in", "uniform"),
}
weights, wanted = {}, {}
print(f"{'600 inputs, 200 units':22} std by formula   measured   largest |w| / std")
for name, (scale, mode, _) in named.items():
    weights[name] = np.array(getattr(initializers, name)(seed=1)(shape))
    wanted[name] = np.sqrt(scale / fans[mode])
    largest = np.abs(weights[name]).max() / wanted[name]
    print(f"{name:22} {wanted[name]:14.4f} {weights[name].std():10.4f} {largest:19.3f}")

# %% tags=["claim"]
for name, (scale, mode, distribution) in named.items():
    error = abs(weights[name].std() / wanted[name] - 1)
    assert error < 0.02, f"{name}: expected std {wanted[name]:.4f} within 2%, off by {error:.2%}"
    general = initializers.VarianceScaling(scale, mode, distribution, seed=1)
    assert np.array_equal(general(shape), weights[name]), f"{name} should be {general}"
    if distribution == "uniform":
        r = np.sqrt(3) * wanted[name]
        assert np.abs(weights[name]).max() <= r * 1.000001, f"{name}: a weight beyond r = {r:.4f}"
default = keras.layers.Dense(3).kernel_initializer
assert type(default) is initializers.GlorotUniform, f"the default of Dense is {default}"

# %% [markdown]
# Each name draws, bit for bit, the numbers of `VarianceScaling` with its two parameters, and the
# std is that of the formula. If you say nothing, Keras takes **Glorot uniform**, whatever the
# activation: writing `Dense(100, "relu")` does not switch to He.
#
# Look at the last column: the bell is cut off as well. Keras' "normal" draws again whatever lies
# beyond two standard deviations, after widening the bell by 1/0.88 so that the cut leaves the right
# variance.

# %%
fig, ax = plt.subplots(figsize=(7.5, 3.2))
edges = np.linspace(-0.2, 0.2, 81)
for i, name in enumerate(["HeNormal", "HeUniform"]):
    ax.hist(weights[name].ravel(), edges, histtype="step", linewidth=2, **ck.plotting.line_kw(i),
            label=f"{name}, std {weights[name].std():.4f}")  # fmt: skip
limit = np.sqrt(3) * wanted["HeUniform"]
for sign in (-1, 1):
    ax.axvline(sign * limit, color=COLORS[6], linewidth=1, linestyle=":")
ax.annotate(
    f"r = √(3 · 2/600) = {limit:.3f}", (limit, 0), (limit - 0.004, 300), ha="right", fontsize=9
)
ax.set(xlabel="weight", ylabel="number of weights", title="One variance, two shapes, both bounded")
ax.legend(loc="upper left", fontsize=8)
ck.show(
    fig,
    alt="Histograms of 120,000 He weights: the normal one is a bell cut off at 0.13, the uniform one "
    "a box between minus and plus r, marked by dotted lines. Both have the same standard deviation.",
)

# %% [markdown]
# Which shape you take hardly matters: a sum of hundreds of them is close to normal anyway. What
# matters is the variance.
#
# In a convolution every output looks at a window: `fan_in` counts window × input channels,
# `fan_out` window × output channels. Keras does that for you:

# %%
convolution = np.array(initializers.HeNormal(seed=1)((3, 3, 16, 32)))
print(f"3 × 3 window, 16 channels in: measured std {convolution.std():.4f}, "
      f"√(2 / (3 · 3 · 16)) = {np.sqrt(2 / 144):.4f}")  # fmt: skip

# %% [markdown]
# ## 3 · Where does the 2 come from?
#
# He's scale of 2 belongs to ReLU, $\max(0, z)$. Do not look it up, simulate it. A million sums $z$
# with mean 0 and variance 1 go through ReLU.
#
# **Predict first:** what is left of the variance? Half?

# %%
z = np.random.default_rng(0).standard_normal(1_000_000)
h = np.maximum(z, 0)
mean_square = np.mean(h**2)
print(f"mean of ReLU(z)          {h.mean():.4f}")
print(f"variance of ReLU(z)      {h.var():.4f}   1 / variance    = {1 / h.var():.3f}")
print(f"mean square of ReLU(z)   {mean_square:.4f}   1 / mean square = {1 / mean_square:.3f}")

# %% [markdown]
# "ReLU halves the variance" is often written, and it is not so: about a third is left. ReLU halves
# the **mean square**. The two differ because a ReLU's outputs no longer have mean 0: mean square =
# variance + mean².
#
# Which of the two must the weights make up for? The formula of section 1 says: the mean square
# $\mathrm{E}[x^2]$, as the next layer's weights multiply the inputs themselves, not their distance
# from the mean. Let 50 layers of 500 units decide. The kernels are the same 50 in each trial
# (LeCun's, scale 1), only multiplied by the root of the scale:


# %%
def times(a, b):
    """Return a @ b; Keras' product is as exact as NumPy's, and faster while other programs run."""
    return np.array(keras.ops.matmul(a, b))


def std_per_layer(scale, activation=lambda z: np.maximum(z, 0)):
    """Send random inputs up through 50 layers; return the std of each layer's outputs."""
    x = np.random.default_rng(0).standard_normal((200, 500)).astype("float32")
    stds = []
    for W in kernels:
        x = np.array(activation(times(x, np.sqrt(scale, dtype="float32") * W)))
        stds.append(x.std())
    return np.array(stds)


kernels = [np.array(initializers.LecunNormal(seed=i)((500, 500))) for i in range(50)]
candidates = {1.0: "forget ReLU", 2.0: "1 / mean square", 1 / h.var(): "1 / variance"}
growth = {}
for scale, reason in candidates.items():
    stds = std_per_layer(scale)
    growth[scale] = stds[-1] / stds[0]
    print(
        f"scale {scale:.2f} ({reason:15})  std of layer 50 / std of layer 1 = {growth[scale]:.2g}"
    )

# %% tags=["claim"]
assert abs(1 / mean_square - 2) < 0.02, f"expected the factor 2, simulated {1 / mean_square:.3f}"
assert abs(1 / h.var() - 2 / (1 - 1 / np.pi)) < 0.02, f"expected 2.93, simulated {1 / h.var():.3f}"
wrong, right = growth[1 / h.var()], growth[2.0]
assert 1 / 3 < right < 3, f"scale 2 should keep the std within a factor of 3, got {right:.3g}"
assert wrong > 1_000, f"scale 2.93 should let the std grow more than 1,000-fold, got {wrong:.3g}"

# %% [markdown]
# Only 2 keeps the signal. The same holds on the way back, where ReLU lets half of the gradient's
# entries through. And for a leaky ReLU with slope $\alpha$ the negative half passes a share
# $\alpha^2$ of its mean square, so its factor is $2/(1 + \alpha^2)$.

# %% [markdown]
# ## 4 · Fifty layers, five initialisers
#
# A factor that is a little wrong is harmless once. After 50 layers it has been applied 50 times.
# Now both ways at once: random inputs go up through 50 ReLU layers of 500 units, a random gradient
# comes back.
#
# **Predict first:** weights of std 0.1 are barely larger than He's (about 0.063). Where will the
# signal be after 50 layers: three times as large, a thousand times, or a billion times?


# %%
def both_ways(make, seed, depth=50, units=500, samples=100):
    """Return the mean variance of each layer's output, and of the gradient of each layer's input."""
    rng = np.random.default_rng(seed)
    x, weights, active, up, down = rng.standard_normal((samples, units)), [], [], [], []
    for layer in range(depth):
        weights.append(np.array(make(seed=1_000 * seed + layer)((units, units)), dtype="float64"))
        z = times(x, weights[-1])
        active.append(z > 0)
        x = np.maximum(z, 0)
        up.append(x.var())
    g = rng.standard_normal((samples, units))
    for W, passes in zip(weights[::-1], active[::-1], strict=True):
        g = times(g * passes, W.T)
        down.append(g.var())
    return up, down[::-1], x


five = {
    "N(0, 0.01²)": partial(initializers.RandomNormal, 0.0, 0.01),
    "N(0, 0.1²)": partial(initializers.RandomNormal, 0.0, 0.1),
    "LeCun normal": initializers.LecunNormal,
    "Glorot uniform": initializers.GlorotUniform,
    "He normal": initializers.HeNormal,
}
ups, downs, tops = {}, {}, {}
for name, make in five.items():
    runs = [both_ways(make, seed) for seed in range(n_seeds)]
    ups[name], downs[name] = (np.array([run[way] for run in runs]) for way in (0, 1))
    tops[name] = runs[0][2]

# %%
layers = np.arange(1, 51)
fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
for ax, variances in zip(axes, (ups, downs), strict=True):
    for i, (name, runs) in enumerate(variances.items()):
        ck.plotting.band(ax, layers, runs, name, i)
        ax.plot(layers[9::10], runs.mean(axis=0)[9::10], MARKERS[i], color=COLORS[i])
    ax.set(xlabel="layer", yscale="log", yticks=10.0 ** np.arange(-80, 21, 20))
axes[0].set(ylabel="variance (log scale)", title="Signal on the way up: He keeps it")
axes[1].set(title="Gradient on the way down, from layer 50")
axes[0].legend(fontsize=8, loc="lower left")
ck.show(
    fig,
    alt=f"Variance against layer, 1 to 50, on a log axis, mean and range of {n_seeds} seeds. Left, the "
    "output: a straight line down to "
    f"{ups['N(0, 0.01²)'].mean(axis=0)[-1]:.0e} for N(0, 0.01²), a straight line up for N(0, 0.1²), a slow "
    "fall for LeCun and Glorot, which coincide, and level for He. Right, the gradient: the same lines "
    "mirrored, as it travels from layer 50 to layer 1.",
)

# %%
print(f"std of layer 50 / std of layer 1, mean of {n_seeds} seeds")
change = {name: np.sqrt(runs[:, -1] / runs[:, 0]) for name, runs in ups.items()}
for name, ratios in change.items():
    print(f"  {name:15} {ratios.mean():9.2g}    per layer × {ratios.mean() ** (1 / 49):.3f}")

# %% tags=["claim"]
he = np.sqrt(ups["He normal"])
spread = (he.max(axis=1) / he.min(axis=1)).max()
assert spread < 3, f"ReLU + He: the std should stay within a factor of 3, it varies by {spread:.2f}"
lost = -np.log10(change["N(0, 0.01²)"].max())
assert lost > 10, f"N(0, 0.01²) should lose more than 10 orders of magnitude, it lost {lost:.1f}"
grown = np.log10(change["N(0, 0.1²)"].min())
assert grown > 6, f"N(0, 0.1²) should gain more than 6 orders of magnitude, it gained {grown:.1f}"
backward = np.sqrt(downs["He normal"])
spread = (backward.max(axis=1) / backward.min(axis=1)).max()
assert spread < 5, f"He should keep the gradient within a factor of 5, it varies by {spread:.2f}"

# %% [markdown]
# Straight lines on a log axis: each layer multiplies by the same factor. Glorot and LeCun are one
# line, because these layers are square; both lose a factor √2 in std at each ReLU. (The outputs at
# the bottom are smaller than 10⁻³⁸, where 32-bit floats lose their precision and soon become 0. The
# computation above uses 64 bits.)
#
# He keeps the **size** of the signal. Does it keep the signal? Take two different inputs and
# measure the angle between their outputs: a cosine of 0 means a right angle, 1 the same direction.


# %%
def mean_cosine(x):
    """Return the mean cosine between the rows of `x`, each with all others."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return (np.sum(unit @ unit.T) - len(x)) / (len(x) * (len(x) - 1))


inputs = np.random.default_rng(0).standard_normal((100, 500))  # as seed 0 used them above
alike = mean_cosine(tops["He normal"])
print(f"mean cosine between inputs:              {mean_cosine(inputs):.4f}")
print(f"mean cosine between outputs of layer 50: {alike:.4f}")

# %% tags=["claim"]
assert alike > 0.9, f"after 50 ReLU layers the outputs should be nearly alike, cosine {alike:.3f}"

# %% [markdown]
# At right angles below, almost parallel above: a plain ReLU net of 50 layers keeps the size but
# makes different inputs look alike. Good initialisation is necessary, not sufficient; very deep
# nets need normalisation ([lesson 04](04_batch_normalisation.ipynb)) and skip connections as well.

# %% [markdown]
# ## 5 · Does the table hold for the others?
#
# The table of section 2 gives He to ELU, GELU, Swish and Mish too, although the 2 was derived for
# ReLU. Each activation now goes through 50 layers with the initialiser from its row.
#
# **Predict first:** which activations keep their signal as well as ReLU does? Which one does
# better?

# %%
rows = {
    "tanh": ("tanh", "Glorot", 1), "sigmoid": ("sigmoid", "Glorot", 1), "ReLU": ("relu", "He", 2),
    "ELU": ("elu", "He", 2), "GELU": ("gelu", "He", 2), "Swish": ("silu", "He", 2),
    "Mish": ("mish", "He", 2), "SELU": ("selu", "LeCun", 1),
}  # fmt: skip
depth_trial, factor = {}, {}
for label, (name, _, scale) in rows.items():
    function = keras.activations.get(name)
    depth_trial[label] = std_per_layer(scale, function)
    factor[label] = 1 / np.mean(np.array(function(z.astype("float32")), dtype="float64") ** 2)

# %%
fig, ax = plt.subplots(figsize=(8.5, 4.2))
for i, (label, stds) in enumerate(depth_trial.items()):
    ax.semilogy(layers, stds, **ck.plotting.line_kw(i), marker=MARKERS[i], markevery=(4, 9),
                label=f"{label} + {rows[label][1]}")  # fmt: skip
ax.set(xlabel="layer", ylabel="std of the outputs (log scale)",
       title="ReLU and SELU hold their signal, GELU and Swish lose it")  # fmt: skip
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
ck.show(
    fig,
    alt="Std of the outputs against layer for eight activations with the initialiser of the table. "
    "ReLU and SELU stay level, ELU climbs slowly, sigmoid is level at a tenth, tanh falls slowly, "
    f"Mish falls to {depth_trial['Mish'][-1]:.1g}, GELU to {depth_trial['GELU'][-1]:.0g}, Swish to "
    f"{depth_trial['Swish'][-1]:.0g}.",
)

# %%
print("           table: scale   simulated: 1 / mean square   std in layer 10   in layer 50")
for label, (_, kind, scale) in rows.items():
    ten, fifty = depth_trial[label][[9, 49]]
    print(f"{label:10} {kind:6} {scale:6} {factor[label]:28.2f} {ten:17.3g} {fifty:13.3g}")

# %% tags=["claim"]
final = {label: stds[-1] for label, stds in depth_trial.items()}
assert abs(factor["SELU"] - 1) < 0.02, f"SELU's factor should be 1, simulated {factor['SELU']:.3f}"
assert 0.9 < final["SELU"] < 1.1, f"SELU + LeCun should end near std 1, got {final['SELU']:.3f}"
assert 0.2 < final["ReLU"] < 3, f"ReLU + He should keep its std, it ends at {final['ReLU']:.3g}"
for label in ("GELU", "Swish"):
    assert final[label] < 1e-4, f"{label} + He should have faded in layer 50: {final[label]:.2g}"

# %% [markdown]
# For ReLU the 2 is exact; for SELU the 1 is, by design. For the others the table is a good habit,
# no law. With the signal of layer 10 training can still cope (the
# [CIFAR-10 study](../exercises/15_cifar10_study.ipynb) trains twenty Swish layers from He); after 50
# plain layers Swish and GELU have faded away.
#
# Sigmoid's std is level, which looks like success. Is it? Its outputs lie around 0.5, and a mean
# that is not 0 makes units differ from each other whatever the input. What counts is how much
# **one** unit changes from input to input:

# %%
outputs = np.random.default_rng(0).standard_normal((200, 500))
for W in kernels[:10]:
    outputs = ck.scratch.activations.sigmoid(times(outputs, W.astype(float)))
from_input = outputs.std(axis=0).mean()
print(f"sigmoid, layer 10: std over all outputs {outputs.std():.3f}, "
      f"std of one unit over the inputs {from_input:.1g}")  # fmt: skip

# %% tags=["claim"]
assert from_input < outputs.std() / 1_000, f"units should hardly react to the input: {from_input}"

# %% [markdown]
# A sigmoid net gives nearly the same output for every input. The std of all outputs together does
# not show it: always ask what a std is taken over.
#
# ### Could you use the simulated factor in place of 2?
#
# One curve answers that for each activation. Let the mean square of the sums be $q$ in one layer.
# In the next it is
#
# $$\text{scale} \cdot \mathrm{E}\left[f(\sqrt{q}\,\varepsilon)^2\right]$$
#
# with $f$ the activation and $\varepsilon$ standard normal. Divide by $q$: above 1 the signal grows
# in this layer, below 1 it shrinks. The simulated factor is chosen so that the ratio is 1 at $q =
# 1$.
#
# **Predict first:** the signal never has a mean square of exactly 1. When it is a little too small,
# should the ratio be above or below 1?

# %%
q = np.geomspace(0.01, 10, 40)
epsilon = norm.ppf(np.linspace(0, 1, 40_002)[1:-1]).astype("float32")  # evenly spread N(0, 1)


def next_square(name, scale, q):
    outputs = keras.activations.get(name)(epsilon * np.sqrt(q, dtype="float32"))
    return scale * np.mean(np.array(outputs, dtype="float64") ** 2)


curves = {
    "ReLU, scale 2": ("relu", 2), "SELU, scale 1": ("selu", 1), "tanh, scale 1": ("tanh", 1),
    "Swish, scale 2": ("silu", 2), "Swish, simulated scale": ("silu", factor["Swish"]),
}  # fmt: skip
maps = {label: np.array([next_square(*curve, v) for v in q]) for label, curve in curves.items()}
fig, ax = plt.subplots(figsize=(7.5, 4))
for i, (label, values) in enumerate(maps.items()):
    ax.semilogx(q, values / q, **ck.plotting.line_kw(i), label=label,
                marker=MARKERS[i], markevery=(3 * i % 8, 8))  # fmt: skip
ax.axhline(1, color=COLORS[6], linewidth=1, linestyle=":")
ax.set(xlabel="mean square of the sums in one layer, q (log scale)",
       ylabel="mean square in the next / q",
       title="SELU crosses 1 downwards, Swish upwards", ylim=(0, 2))  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Factor of the mean square from one layer to the next, against the mean square. ReLU is level at "
    "1. SELU falls through 1 at q = 1. tanh is below 1 everywhere. Swish with scale 2 is below 1 "
    "over most of the range and near 0.5 on the left. Swish with the simulated scale rises through 1 at q = 1.",
)

# %%
tuned = std_per_layer(factor["Swish"], keras.activations.get("silu"))
print(f"Swish with scale {factor['Swish']:.2f}: std in layer 1 {tuned[0]:.3f}, "
      f"10 {tuned[9]:.3f}, 30 {tuned[29]:.3g}, 50 {tuned[49]:.3g}")  # fmt: skip

# %% tags=["claim"]
at = {label: np.interp([0.5, 2.0], q, values / q) for label, values in maps.items()}
assert np.allclose(at["ReLU, scale 2"], 1, atol=0.03), f"ReLU should be level: {at}"
assert at["SELU, scale 1"][0] > 1 > at["SELU, scale 1"][1], f"SELU should pull back to q = 1: {at}"
swish = at["Swish, simulated scale"]
assert swish[0] < 1 < swish[1], f"Swish should push away from q = 1: {swish}"
assert abs(np.log10(tuned[49])) > 1, f"Swish should not stay near std 1, got {tuned[49]:.3g}"

# %% [markdown]
# Three kinds of crossing. **SELU** comes down through 1: what is too small grows, what is too large
# shrinks, so the size is pulled back to 1, layer after layer. That is what *self-normalising* means
# ([lesson 03](03_activation_functions.ipynb)). **ReLU** is level: it neither mends an error nor makes
# it worse. **Swish** with its own factor goes *up* through 1: a little too small becomes smaller
# still, a little too large larger still. No factor holds it at 1 for ever. tanh is below 1
# everywhere: it always fades, but ever more slowly.

# %% [markdown]
# ## 6 · Does it matter for training?
#
# So far nothing was trained. Now a net of five hidden layers of 100 ReLU units learns handwritten
# digits by plain SGD, from three starts: std 0.01, Xavier (Glorot normal), He normal. All else is
# the same: the output layer (Glorot, as it ends in softmax), biases at 0, the batches and their
# order. `n_seeds` nets each.

# %%
data = ck.load("mnist").subset(n)
x, y = data.x_train, data.y_train
print(f"{data.name} ({data.source}): {len(x):,} training images; {epochs} epochs, {n_seeds} seeds")


def build(hidden, optimizer):
    stack = [keras.layers.Dense(100, "relu") for _ in range(hidden)]
    model = keras.Sequential(
        [keras.Input((28, 28)), keras.layers.Flatten(), *stack, keras.layers.Dense(10, "softmax")]
    )
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def start(model, make, seed):
    """Set all hidden kernels anew, each from a seed of its own; output Glorot, biases 0."""
    dense = model.layers[1:]
    for i, layer in enumerate(dense):
        draw = (make if layer is not dense[-1] else initializers.GlorotNormal)(seed=100 * seed + i)
        layer.set_weights([np.array(draw(layer.kernel.shape)), np.zeros(layer.units)])
    for variable in model.optimizer.variables:
        if variable is not model.optimizer.learning_rate:
            variable.assign(keras.ops.zeros_like(variable))


# %% [markdown]
# (Setting the weights of one net again and again, and its optimizer's memory to zero, is faster
# than building a new net each time, and gives the same result. `ck.fit` is `model.fit`, faster for
# small nets.)
#
# **Predict first:** how do the three training curves look? Is the gap between Xavier and He as
# large as that between std 0.01 and Xavier?

# %%
starts = {
    "std 0.01": partial(initializers.RandomNormal, 0.0, 0.01),
    "Xavier": initializers.GlorotNormal,
    "He": initializers.HeNormal,
}


def race(model):
    """Train from each start with each seed; return training losses, (n_seeds, epochs) a start."""
    losses = {}
    for name, make in starts.items():
        losses[name] = []
        for seed in range(n_seeds):
            start(model, make, seed)
            history = ck.fit(model, x, y, epochs=epochs, verbose=0, seed=seed)
            losses[name].append(history.history["loss"])
    return {name: np.array(runs) for name, runs in losses.items()}


five_layers = build(5, keras.optimizers.SGD(0.05))
shallow = race(five_layers)


# %%
def draw_race(results, title, alt):
    fig, ax = plt.subplots(figsize=(7.5, 3.4))
    for i, (name, runs) in enumerate(results.items()):
        ck.plotting.band(ax, range(1, epochs + 1), runs, name, i)
        ax.plot(range(1, epochs + 1), runs.mean(axis=0), MARKERS[i], color=COLORS[i])
    ax.axhline(np.log(10), color=COLORS[6], linewidth=1, linestyle=":", label="loss of guessing")
    ax.set(xlabel="epoch", ylabel="training loss (log scale)", yscale="log", title=title)
    ax.set_xticks(range(1, epochs + 1))
    ax.legend()
    ck.show(fig, alt=alt)


end = {name: runs[:, -1] for name, runs in shallow.items()}
draw_race(
    shallow,
    f"5 layers: {end['std 0.01'].mean():.2f} from std 0.01, {end['Xavier'].mean():.2f} from Xavier, "
    f"{end['He'].mean():.2f} from He",
    f"Training loss against epoch for a net of five layers, mean and range of {n_seeds} seeds: from std "
    "0.01 it is highest throughout, from He lowest at the end, with the loss of guessing as a dotted line.",
)

# %% tags=["claim"]
assert end["He"].max() < end["std 0.01"].min(), (
    f"He should end lower than std 0.01 with every seed: {end['He']} against {end['std 0.01']}"
)

# %%
first = {name: runs[:, 0] for name, runs in shallow.items()}
for when, losses in (("first", first), ("last", end)):
    gap = losses["Xavier"] - losses["He"]
    print(f"loss of the {when} epoch, Xavier minus He, same seed: "
          f"{gap.mean():+.3f} on average, from {gap.min():+.3f} to {gap.max():+.3f}")  # fmt: skip

# %% [markdown]
# From std 0.01 the signal that reaches the output is almost nothing, so all images look the same
# there, and the gradient on its way back is almost nothing as well. Such a net stands on a plateau
# at the loss of guessing.
#
# Xavier is close to He beside that: in five layers it shrinks the signal by √2⁵, about a factor of
# 6, and training soon makes up for most of it. Where is the difference that the 50 layers promised?
# Change one thing: the depth.

# %%
deep = race(build(20, keras.optimizers.SGD(0.05)))
end_deep = {name: runs[:, -1] for name, runs in deep.items()}
draw_race(
    deep,
    f"20 layers: {end_deep['std 0.01'].mean():.2f} from std 0.01, {end_deep['Xavier'].mean():.2f} "
    f"from Xavier, {end_deep['He'].mean():.2f} from He",
    f"Training loss against epoch for a net of twenty layers, mean and range of {n_seeds} seeds, from std "
    "0.01, Xavier and He, with the loss of guessing as a dotted line.",
)

# %% tags=["claim"]
gap = {5: (end["Xavier"] - end["He"]).mean(), 20: (end_deep["Xavier"] - end_deep["He"]).mean()}
assert gap[20] > gap[5], f"Xavier should lag further behind He with more layers, gaps {gap}"
assert gap[20] > 0, f"with 20 ReLU layers He should end lower than Xavier, gap {gap[20]:.3f}"

# %% [markdown]
# Each layer still costs Xavier a factor √2, only there are more of them. With five ReLU layers the
# default costs a little, with twenty far more (the titles have the numbers).
#
# Would a better optimizer have saved the bad start? Back to five layers, with Adam in place of SGD:

# %%
adam = race(build(5, keras.optimizers.Adam(1e-3)))
end_adam = {name: runs[:, -1] for name, runs in adam.items()}
print(
    f"training loss after {epochs} epochs, 5 layers, mean ± standard deviation of {n_seeds} seeds"
)
for name in starts:
    print(f"  {name:9} SGD {end[name].mean():.3f} ± {end[name].std(ddof=1):.3f}   "
          f"Adam {end_adam[name].mean():.3f} ± {end_adam[name].std(ddof=1):.3f}")  # fmt: skip

# %% tags=["claim"]
assert end_adam["std 0.01"].mean() < end["std 0.01"].mean(), (
    f"Adam should get further from std 0.01 than SGD: {end_adam['std 0.01']}, {end['std 0.01']}"
)
assert end_adam["He"].mean() < end_adam["std 0.01"].mean(), (
    f"He should still be ahead of std 0.01 with Adam: {end_adam['He']}, {end_adam['std 0.01']}"
)

# %% [markdown]
# Adam divides each gradient by its own size, so a tiny gradient still makes a full step
# ([lesson 08](08_optimizers.ipynb)). It climbs off the plateau, late. It is a crutch, though, not a
# cure: the good start is still ahead.

# %% [markdown]
# ## 7 · Twins: why weights must differ
#
# Why random at all? Give every weight of a layer the same value, 1/fan_in. The outputs of a ReLU
# are positive, so each unit then takes the mean of its inputs, and the size is kept as well.
#
# **Predict first:** after training such a net, how many different units are in each layer? What if
# only the output layer is random?


# %%
def constant(shape, rng):
    return np.full(shape, 1 / shape[0])


def zero(shape, rng):
    return np.zeros(shape)


def random_he(shape, rng):
    return rng.normal(0, np.sqrt(2 / shape[0]), shape)


def train_from(hidden, output, bias=0.0):
    """Train the 5-layer net from these kernels once; return accuracy and the trained weights."""
    rng = np.random.default_rng(0)
    dense = five_layers.layers[1:]
    for layer in dense:
        kernel = (output if layer is dense[-1] else hidden)(layer.kernel.shape, rng)
        layer.set_weights([kernel, rng.normal(0, bias, layer.units)])
    history = ck.fit(five_layers, x, y, epochs=epochs, verbose=0, seed=0)
    return history.history["accuracy"][-1], [layer.get_weights() for layer in dense]


def different_units(kernel):
    """Count the columns of a kernel that differ from all those before by more than rounding."""
    kept = []
    for column in kernel.T:
        if not any(np.allclose(column, other, rtol=0, atol=1e-4) for other in kept):
            kept.append(column)
    return len(kept)


trained = {
    "all kernels He": train_from(random_he, random_he),
    "all kernels constant": train_from(constant, constant),
    "all kernels 0": train_from(zero, zero),
    "constant, random output layer": train_from(constant, random_he),
    "constant, random biases": train_from(constant, constant, bias=0.1),
}

# %%
units = {name: [different_units(W) for W, _ in ws[:-1]] for name, (_, ws) in trained.items()}
print(f"after {epochs} epochs, one run each      accuracy   different units in layers 1 to 5")
for name, (accuracy, _) in trained.items():
    print(f"  {name:32} {accuracy:8.1%}   {units[name]}")

# %%
fig, axes = plt.subplots(2, 6, figsize=(8, 3.3))
for row, name in zip(axes, ("all kernels He", "all kernels constant"), strict=True):
    W = trained[name][1][0][0]
    largest = np.abs(W[:, :6]).max()
    for i, ax in enumerate(row):
        ax.imshow(W[:, i].reshape(28, 28), cmap="RdBu", vmin=-largest, vmax=largest)
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"unit {i}", fontsize=8, fontweight="normal", loc="center")
    row[0].set_ylabel(name.removeprefix("all kernels "), fontsize=10)
fig.suptitle(
    "What six units of the first layer look for", x=0.01, ha="left", fontsize=11, fontweight="bold"
)
ck.show(
    fig,
    alt="First-layer weights of six units as images, after training. From He: six different noisy "
    "patterns. From constant kernels: six times the same image.",
)

# %% tags=["claim"]
for name in ("all kernels constant", "all kernels 0"):
    assert units[name] == [1] * 5, f"{name}: expected one unit in 100 copies, got {units[name]}"
assert min(units["all kernels He"]) == 100, f"He: expected 100 units, got {units['all kernels He']}"
only_last = units["constant, random output layer"]
assert only_last[:4] == [1] * 4, f"a random output layer should not reach layer 4: {only_last}"
assert only_last[4] > 1, f"a random output layer should set the units of layer 5 apart: {only_last}"
still_zero = all(not W.any() for W, _ in trained["all kernels 0"][1])
assert still_zero, "with zero kernels all gradients but those of the last biases should be 0"
best, *others = [accuracy for accuracy, _ in trained.values()]
assert best > max(others) + 0.1, f"the random start should be far ahead: {best:.1%}, {others}"

# %% [markdown]
# Twins get the same inputs, so they give the same output; their output weights are equal, so they
# get the same gradient; so they make the same step and are twins again. Training cannot **break the
# symmetry**. A layer of 100 twins is one unit. You can check that to the digit: a net with **one**
# unit in each layer, its weight a hundred times as large, gives the same predictions.


# %%
def logits(weights, signal):
    for W, b in weights[:-1]:
        signal = np.maximum(signal @ W + b, 0)
    W, b = weights[-1]
    return signal @ W + b


first_layer, *middle, last_layer = twins = trained["all kernels constant"][1]
single = [(first_layer[0][:, :1], first_layer[1][:1])]  # keep the first unit, drop its 99 twins
single += [(100 * W[:1, :1], b[:1]) for W, b in middle]
single += [(100 * last_layer[0][:1], last_layer[1])]
pixels = x.reshape(len(x), -1)
wide, narrow = logits(twins, pixels), logits(single, pixels)
print(f"accuracy with layers of 100 twins {np.mean(wide.argmax(axis=1) == y):.1%}, "
      f"with layers of one unit {np.mean(narrow.argmax(axis=1) == y):.1%}")  # fmt: skip

# %% tags=["claim"]
gap = np.abs(narrow - wide).max() / np.abs(wide).max()
assert gap < 0.01, f"one unit a layer should give the same logits, they differ by {gap:.2%}"

# %% [markdown]
# Look at the other rows of the table. With zeros only the output's biases learn: there is no signal
# to begin with. A random output layer sets apart the units of the last hidden layer, but no others:
# below it all gradients arrive through equal weights, and stay equal. Random biases do set units
# apart, yet see the accuracy: at first all units of the first layer look for the same thing.
#
# So: **kernels random, in every layer; biases may start at 0**, because the kernels have
# already set the units apart.

# %% [markdown]
# ## Explore: how far does the signal get?
#
# Choose an activation and an initialiser. Which depth can you reach before the std leaves the grey
# band, a factor of ten around 1? With `weight_scale` you multiply the initialiser's std: by how
# much may it be wrong?

# %%
kinds = {
    "He normal": initializers.HeNormal, "Glorot uniform": initializers.GlorotUniform,
    "LeCun normal": initializers.LecunNormal, "N(0, 0.01²)": starts["std 0.01"],
    "N(0, 0.1²)": five["N(0, 0.1²)"],
}  # fmt: skip


def draw_signal(activation, initialiser, depth, weight_scale):
    function = keras.activations.get("silu" if activation == "swish" else activation)
    signal = np.random.default_rng(0).standard_normal((100, 200)).astype("float32")
    stds = [signal.std()]
    for layer in range(depth):
        W = weight_scale * np.array(kinds[initialiser](seed=layer)((200, 200)))
        signal = np.array(function(times(signal, W)))
        stds.append(signal.std())
    shown = np.clip(stds, 1e-12, 1e12)
    fig, ax = plt.subplots(figsize=(7.5, 3))
    ax.axhspan(0.1, 10, color="#EEEEEE")
    ax.semilogy(range(depth + 1), shown, ".-", color=COLORS[0])
    ax.set(
        xlabel="layer (0 is the input)", ylabel="std, cut at 1e±12", ylim=(5e-13, 2e12),
        title=f"{activation}, {initialiser}: std {shown[-1]:.2g} after {depth} layers of 200",
    )  # fmt: skip
    return fig


ck.widgets.explore(
    draw_signal,
    alt="Std of each layer's outputs against the layer, on a log axis, for the chosen activation and "
    "initialiser; a grey band marks 0.1 to 10.",
    activation=["swish", "relu", "leaky_relu", "tanh", "sigmoid", "elu", "selu", "gelu", "linear"],
    initialiser=list(kinds),
    depth=(1, 60, 30),
    weight_scale=(0.5, 2.0, 1.0),
)

# %% [markdown]
# ## Pitfalls
#
# - **One initialiser object for all layers.** In Keras 3 an initialiser gives the same numbers at
#   every call, with or without a seed (the cell below shows it). Layers of the same shape then
#   start as copies of each other. Pass the name, `"he_normal"`, or make a new object for each
#   layer, each with a seed of its own.
# - **`TruncatedNormal(stddev=s)` is narrower than `s`.** It cuts the bell off without widening it
#   first.
# - **The default stays Glorot uniform** when you change the activation. Name the initialiser.
# - **Other libraries, other defaults.** PyTorch's `nn.Linear` draws uniformly with variance 1/(3 ·
#   fan_in).
# - **The output layer.** It has no ReLU: its row of the table is softmax's, or a linear output's,
#   Glorot.
# - **Standardised inputs.** A good start keeps the size of what comes in, whatever it is: pixels
#   between 0 and 255 stay that large up to the output. Scale them first.

# %%
shared = initializers.HeNormal()
print("one object, two calls, same weights:", np.array_equal(shared((4, 4)), shared((4, 4))))
by_name = [keras.layers.Dense(4, kernel_initializer="he_normal") for _ in range(2)]
for layer in by_name:
    layer.build((None, 4))
print("by name, two layers, same weights:  ", np.array_equal(*[layer.kernel for layer in by_name]))
cut = np.array(initializers.TruncatedNormal(stddev=1.0, seed=0)((1000, 1000)))
print(f"TruncatedNormal(stddev=1.0):         std {cut.std():.3f}")

# %% tags=["claim"]
assert np.array_equal(shared((4, 4)), shared((4, 4))), "one object should repeat itself"
assert not np.array_equal(*[layer.kernel for layer in by_name]), "by name, layers should differ"
assert abs(cut.std() - 0.8796) < 0.005, (
    f"expected a std of 0.880 after the cut, got {cut.std():.4f}"
)

# %% [markdown]
# ## Recap
#
# - Each layer multiplies the signal by fan_in · Var(w), the gradient by fan_out · Var(w); Glorot
#   divides by their mean.
# - Var(w) = scale/fan: Glorot 1/fan_avg, LeCun 1/fan_in, He 2/fan_in; uniform up to √(3 ·
#   variance).
# - He's 2 is there because ReLU halves the mean square (not the variance), and small errors
#   compound with depth.
# - For ReLU + He and SELU + LeCun the rule is exact; for the other activations it is a habit that
#   suits moderate depth.
# - Kernels must be random, or units stay twins for ever; biases may start at 0.

# %% [markdown]
# ## Now practise
#
# Open [exercise 02](../exercises/02_weight_initialisation.ipynb): write the initialisers from their
# parameters, find the factor of any activation by simulation, and repair a net of twins.
#
# Then go on with lesson
# [03 Activation functions](03_activation_functions.ipynb).

# %% [markdown]
# ## Further reading
#
# - X. Glorot and Y. Bengio, *Understanding the Difficulty of Training Deep Feedforward Neural
#   Networks*, AISTATS 2010: section 4.2, equations 10 to 16.
# - K. He, X. Zhang, S. Ren and J. Sun, *Delving Deep into Rectifiers: Surpassing Human-Level
#   Performance on ImageNet Classification*, ICCV 2015, arXiv:1502.01852: section 2.2, where the
#   factor 2 is derived.
# - Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, *Efficient BackProp*, in *Neural Networks: Tricks
#   of the Trade*, Springer 1998: section 4.6.
# - G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, *Self-Normalizing Neural Networks*,
#   NeurIPS 2017, arXiv:1706.02515: section "Self-normalizing Neural Networks", the mapping of mean and
#   variance.
# - S. S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein, *Deep Information Propagation*,
#   ICLR 2017, arXiv:1611.01232: how size and angle of signals change with depth.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition,
#   2022, chapter 11, "Glorot and He Initialization".
