# %% [markdown]
# # 02 Weight initialisation
#
# Before the first step of training every weight is a random number. How large should it be? In a
# deep net a small error in the size is multiplied layer by layer. Which size keeps the signal?
#
# ## What you will be able to do
#
# After about {{ minutes.reading }} minutes of reading, or {{ minutes.with_code }} minutes with the
# code, you will be able to
#
# - say what good starting weights do for the signal and for the gradient, and why one number cannot
#   serve both, so that **Glorot's** initialisation is a compromise;
# - read and write Glorot, **LeCun** and **He** as one formula, in the normal and the uniform form;
# - find the 2 in He's formula yourself, and see which common explanation of it is wrong;
# - predict from one curve whether a signal survives 50 layers, for any activation;
# - recognise a net whose units are all twins, and say what sets them apart.
#
# **Weight initialisation** (가중치 초기화) is the choice of the numbers that training starts from.
# [Lesson 01](01_vanishing_gradients.ipynb) shows what goes wrong without care; this lesson is about
# the cure.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import numpy as np

n, epochs, n_seeds, depths = lab.pick(
    quick=(1_500, 5, 2, (5, 20)),
    standard=(5_000, 6, 5, (2, 5, 20)),
    full=(55_000, 5, 5, (2, 5, 10, 20)),
)
act, init = ck.scratch.activations, ck.scratch.initialisers  # NumPy versions of what Keras has

# %% [markdown]
# ## Play first: carry a signal through fifty layers
#
# Random inputs go up through layers of ReLU units; the weights are drawn from a normal distribution
# with mean 0. Move `weight_std` until the standard deviation of layer 50 is about that of layer 1. How
# exactly must you hit it? Then double the units: how does the best value change? (Section 3 finds the rule.)


# %% tags=["helper"]
def draw_signal(activation, weight_std, units, depth):
    rng = np.random.default_rng(0)
    x, stds = rng.standard_normal((100, units)), []
    for _ in range(depth):
        x = np.clip(
            act.get(activation)[0](x @ rng.normal(0, weight_std, (units, units))), -1e15, 1e15
        )
        stds.append(max(x.std(), 1e-15))
    return ck.plotting.lines(
        {activation: stds}, log="y", xlabel="layer", ylabel="standard deviation of the outputs",
        title=f"{activation}, weights of std {weight_std:.3g}: layer {depth} has "
        f"{stds[-1] / stds[0]:.2g} times the std of layer 1")  # fmt: skip


ck.widgets.explore(
    draw_signal,
    activation=["relu", "leaky_relu", "tanh", "sigmoid", "elu", "selu", "gelu", "swish", "linear"],
    weight_std=(0.01, 0.5, 0.1, "log"),
    units=(50, 400, 100),
    depth=(2, 100, 50),
)

# %% [markdown]
# ## 1 · One layer, two ways
#
# A dense layer multiplies by a matrix $W$ with $n_\text{in}$ rows (`fan_in`, the inputs of each unit)
# and $n_\text{out}$ columns (`fan_out`, the units). On the way up it turns the inputs $x$ into the
# pre-activations $z = xW$. On the way back it turns the gradient $\delta$ of its pre-activations into the
# gradient $\delta W^\top$ of its inputs. A signal should flow well **both ways**: $z$ should vary as much as
# $x$, and $\delta W^\top$ as much as $\delta$.
#
# ![One layer, drawn twice. Forward, one unit adds up all its fan_in inputs. Backward, one input collects the gradient of all fan_out units.](../figures/fan_in_and_fan_out.svg)
#
# **Predict first:** a layer has 300 inputs and 700 units; inputs and gradients have variance 1. With
# weights of variance 1/300, what is the variance of the pre-activations? And of the gradient that
# comes out below?


# %%
def two_ways(fan_in, fan_out, variance, samples=500):
    """Return the variance of the pre-activations, and of the gradient of the inputs."""
    rng = np.random.default_rng(lab.seed)
    W = rng.normal(0, variance**0.5, (fan_in, fan_out))
    x = rng.standard_normal((samples, fan_in))
    delta = rng.standard_normal((samples, fan_out))
    return (x @ W).var(), (delta @ W.T).var()


choices = {
    "1/fan_in": lambda fan_in, fan_out: 1 / fan_in,
    "1/fan_out": lambda fan_in, fan_out: 1 / fan_out,
    "1/fan_avg": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
}
for name, variance in choices.items():
    up, down = two_ways(300, 700, variance(300, 700))
    print(f"weights of variance {name:9}  pre-activations {up:.2f}   gradient {down:.2f}")

# %% [markdown]
# Each pre-activation is a sum of $n_\text{in}$ independent products; the weights have mean 0, so each
# product has the variance $\mathrm{E}[x^2] \cdot \mathrm{Var}(w)$ (the mean square of $x$ and not its variance: a
# mean counts too). Each input collects the gradient of $n_\text{out}$ units. So
#
# $$\frac{\mathrm{Var}(z)}{\mathrm{E}[x^2]} = n_\text{in} \cdot \mathrm{Var}(w) \qquad
# \frac{\mathrm{Var}(\delta W^\top)}{\mathrm{E}[\delta^2]} = n_\text{out} \cdot \mathrm{Var}(w)$$
#
# Here that is 300/300 = 1 for the pre-activations, and 700/300 = 2.33 for the gradient below.
# The first asks for $\mathrm{Var}(w) = 1/n_\text{in}$, the second for $1/n_\text{out}$; only a square
# layer can have both. Glorot and Bengio (2010) divide by the mean of the two fans, $\text{fan\_avg} =
# (n_\text{in} + n_\text{out})/2$. How good is that compromise in layers of other shapes?

# %% tags=["plot"]
import matplotlib.pyplot as plt

fan_in = np.arange(100, 901, 100)
fan_out = 1000 - fan_in
measured = {
    name: np.array([two_ways(i, o, variance(i, o)) for i, o in zip(fan_in, fan_out, strict=True)])
    for name, variance in choices.items()
}
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
titles = ("Signal: kept by 1/fan_in", "Gradient: kept by 1/fan_out")
for ax, fan, column, title in zip(axes, (fan_in, fan_out), (0, 1), titles, strict=True):
    for k, (name, variance) in enumerate(choices.items()):
        ax.loglog(fan_out / fan_in, fan * variance(fan_in, fan_out), label=name,
                  **ck.plotting.line_kw(k))  # fmt: skip
        ax.plot(fan_out / fan_in, measured[name][:, column], ck.plotting.MARKERS[k],
                color=ck.plotting.COLORS[k], markersize=5)  # fmt: skip
    ax.set(xlabel="units for each input: fan_out / fan_in", title=title)
    ax.set_xticks([1 / 9, 1 / 3, 1, 3, 9], ["1/9", "1/3", "1", "3", "9"])
    ax.set_yticks([1 / 9, 1 / 3, 1, 3, 9], ["1/9", "1/3", "1", "3", "9"])
    ax.minorticks_off()
axes[0].set_ylabel("variance after / variance before")
axes[0].plot([], [], "o", color="#666666", markersize=5, label="measured")
axes[0].plot([], [], "-", color="#666666", label="formula")
fig.legend(
    *axes[0].get_legend_handles_labels(), title="weight variance", loc="outside right center"
)
ck.show(
    fig,
    alt="Two panels against fan_out over fan_in, from 1/9 to 9, both axes logarithmic. The signal's "
    "factor is 1 for 1/fan_in; the gradient's is 1 for 1/fan_out. 1/fan_avg lies between them in both "
    "panels, and all meet at 1 where the layer is square. Measured markers lie on the formula's lines.",
)

# %% tags=["claim"]
off = max(
    np.abs(
        found / (np.stack([fan_in, fan_out], 1) * choices[name](fan_in, fan_out)[:, None]) - 1
    ).max()
    for name, found in measured.items()
)
ck.prove(
    "Both factors follow the formula, for each choice and shape",
    off < 0.05,
    f"{off:.1%} off at most",
)
both = measured["1/fan_avg"].sum(axis=1)
ck.prove("With 1/fan_avg the two factors add up to 2, so neither more than doubles",
         np.abs(both - 2).max() < 0.1 and measured["1/fan_avg"].max() < 2,
         f"sums {both.min():.2f} to {both.max():.2f}, the largest factor {measured['1/fan_avg'].max():.2f}")  # fmt: skip
narrowing = measured["1/fan_avg"][-1]
ck.prove("From 900 inputs to 100 units fan_avg shrinks the gradient fivefold, fan_in ninefold",
         0.18 < narrowing[1] < 0.22 and 0.1 < measured["1/fan_in"][-1][1] < 0.12,
         f"{narrowing[1]:.2f}, {measured['1/fan_in'][-1][1]:.2f}")  # fmt: skip

# %% [markdown]
# **With 1/fan_avg the two factors add up to 2: from 900 inputs to 100 units the variance of the signal is
# multiplied by {{ narrowing[0]:.1f }}, that of the gradient by {{ narrowing[1]:.1f }}.** Neither can more
# than double, but one of them may still shrink fivefold. Each of the other two choices is exact in one
# direction and off by a factor of 9 in the other. Most layers of a deep net are square, and there all three are the same.

# %% [markdown]
# ## 2 · Three names, one formula
#
# All usual initialisers draw with mean 0 and the variance
#
# $$\mathrm{Var}(w) = \frac{\text{scale}}{\text{fan}}$$
#
# and differ in these two numbers only. Biases start at 0.
#
# | initialiser | scale | fan | meant for |
# |---|---|---|---|
# | Glorot, also called Xavier | 1 | fan_avg | no activation, tanh; sigmoid and softmax at the output |
# | He, also called Kaiming | 2 | fan_in | ReLU and its family, ELU, GELU, Swish, Mish |
# | LeCun | 1 | fan_in | SELU |
#
# (Xavier Glorot and Kaiming He each have one initialiser, known by either name. For sigmoids in hidden layers no row
# of the table helps: lesson 01.) Each comes in two
# forms: a **normal** distribution with that variance, or a **uniform** one between $-r$ and $r$. The
# variance of the uniform one is $r^2/3$, so that $r = \sqrt{3 \cdot \mathrm{Var}(w)}$. In Keras one
# class does it all, `VarianceScaling(scale, mode, distribution)`; the names are short forms.
#
# **Predict first:** a kernel has 600 inputs and 200 units. Which of the three families has the largest
# weights? And how far out, in standard deviations, does each of the two forms reach?

# %%
recipes = {"glorot": (1, "fan_avg"), "he": (2, "fan_in"), "lecun": (1, "fan_in")}
fan = {"fan_in": 600, "fan_avg": 400}
by_formula, in_keras, in_numpy = {}, {}, {}
print("600 inputs, 200 units   std by formula   Keras    NumPy")
for family, (scale, mode) in recipes.items():
    for form in ("normal", "uniform"):
        name = f"{family}_{form}"
        by_formula[name] = (scale / fan[mode]) ** 0.5
        in_keras[name] = np.array(keras.initializers.get(name)((600, 200)))
        in_numpy[name] = init.get(name)((600, 200), seed=lab.seed)
        print(f"{name:23} {by_formula[name]:14.4f} {in_keras[name].std():8.4f} "
              f"{in_numpy[name].std():8.4f}")  # fmt: skip

# %% tags=["plot"]
edges = np.linspace(-0.14, 0.14, 57)
narrow = np.array(keras.initializers.TruncatedNormal(stddev=by_formula["he_normal"])((600, 200)))
shapes = {"he_normal": in_keras["he_normal"], "he_uniform": in_keras["he_uniform"],
          "TruncatedNormal(stddev=0.058)": narrow}  # fmt: skip
ck.show(ck.plotting.lines(
    {name: np.histogram(w, edges, density=True)[0] for name, w in shapes.items()},
    (edges[:-1] + edges[1:]) / 2, title="One variance, two forms, both bounded; TruncatedNormal is narrower",
    xlabel="weight", ylabel="density"),
    alt="Densities of 120,000 weights: he_normal is a bell cut off at 0.13, he_uniform a box from -0.1 to "
    "0.1 of the same standard deviation, TruncatedNormal(stddev=0.058) a narrower bell cut off at 0.115.")  # fmt: skip

# %% tags=["claim"]
worst = {
    kind: max(abs(drawn[name].std() / std - 1) for name, std in by_formula.items())
    for kind, drawn in {"Keras": in_keras, "NumPy": in_numpy}.items()
}
ck.prove("The six have the std of the formula within 2%, in Keras and in ck.scratch",
         max(worst.values()) < 0.02, ", ".join(f"{k} off by {v:.1%}" for k, v in worst.items()))  # fmt: skip
reach = {
    (kind, form): max(np.abs(drawn[f"{family}_{form}"]).max() / by_formula[f"{family}_{form}"]
                      for family in recipes)
    for kind, drawn in {"Keras": in_keras, "NumPy": in_numpy}.items() for form in ("normal", "uniform")
}  # fmt: skip
ck.prove("The uniform form ends at √3 std, the normal form is cut off at 2/0.88 std",
         all(0.99 < far / (3**0.5 if form == "uniform" else 2 / 0.8796) < 1.0001
             for (_, form), far in reach.items()),
         ", ".join(f"{' '.join(key)} {far:.3f}" for key, far in reach.items()))  # fmt: skip
same = [
    np.array_equal(
        keras.initializers.VarianceScaling(*recipe, "uniform" if form == "Uniform" else "truncated_normal", seed=1)((60, 20)),
        getattr(keras.initializers, f"{family.title()}{form}")(seed=1)((60, 20)),
    )
    for family, recipe in recipes.items() for form in ("Normal", "Uniform")
]  # fmt: skip
ck.prove(
    "Each name draws the numbers of VarianceScaling, bit for bit", all(same), f"{sum(same)} of 6"
)
default = type(keras.layers.Dense(100, "relu").kernel_initializer).__name__
ck.prove(
    "The default of Dense is Glorot uniform, whatever the activation",
    default == "GlorotUniform",
    default,
)
window = (3, 3, 16, 32)
ratios = [
    np.std(draw(window)) / (2 / 144) ** 0.5
    for draw in (keras.initializers.HeNormal(), init.he_normal)
]
ck.prove("In a 3 × 3 convolution of 16 channels fan_in is 144",
         init.fans(window) == (144, 288) and np.allclose(ratios, 1, atol=0.06),
         f"measured std / √(2/144): {ratios[0]:.2f}, {ratios[1]:.2f}")  # fmt: skip
cut = narrow.std() / by_formula["he_normal"]
ck.prove(
    "TruncatedNormal has 0.88 of the std that it is asked for", abs(cut - 0.88) < 0.01, f"{cut:.3f}"
)

# %% [markdown]
# **All six have the standard deviation √(scale/fan) to within {{ max(worst.values()):.1% }}, and Keras'
# default is `{{ default }}`, whatever the activation.** He's weights are the widest here. The uniform form ends
# at √3 = {{ reach["Keras", "uniform"]:.2f }} standard deviations, the normal one at 2/0.88 = {{ reach["Keras", "normal"]:.2f }}. The form makes no
# difference to the standard deviation, and hardly any to the net: a sum of hundreds of weights is close to
# normal anyway. Both forms are bounded. Keras' "normal" cuts the bell off at two of its standard deviations and draws again
# what lies beyond. The cut makes the bell narrower, so Keras starts from one that is 1/{{ cut:.2f }} times as wide; `TruncatedNormal` does not, and
# has only {{ cut:.2f }} of the standard deviation that you asked for.
#
# In a convolution every output looks through a window: `fan_in` counts window × input channels,
# `fan_out` window × output channels.

# %% [markdown]
# ## 3 · Where does the 2 come from?
#
# He's scale of 2 belongs to ReLU, $\max(0, z)$. You need not look it up: simulate a million
# pre-activations $z$ with mean 0 and variance 1, and send them through ReLU.
#
# **Predict first:** what share of the variance is left? Which scale makes up for that?

# %%
z = np.random.default_rng(lab.seed).standard_normal(1_000_000)
h = act.relu(z)
left = {"mean square": np.mean(h**2), "variance": h.var()}
for name, value in left.items():
    print(f"{name:12} of ReLU(z) {value:.4f}   1 / {name} = {1 / value:.3f}")

# %% [markdown]
# "ReLU halves the variance" is often written, and it is not so: about a third is left. What ReLU halves
# is the **mean square**. The two differ because the outputs of a ReLU do not have mean 0: mean square =
# variance + mean².
#
# Which of the two must the weights make up for? Section 1 says the mean square, $\mathrm{E}[x^2]$: the
# next layer multiplies the inputs themselves, not their distance from the mean. Let 50 layers of 500
# units decide.


# %%
def std_per_layer(f, scale, seed, depth=50, units=500, samples=100):
    """Send random inputs up through layers with weights of variance scale/fan_in."""
    rng = np.random.default_rng(seed)
    x, stds = rng.standard_normal((samples, units)), []
    for _ in range(depth):
        W = init.variance_scaling((units, units), scale=scale, distribution="uniform", seed=rng)
        x = f(x @ W)
        stds.append(x.std())
    return np.array(stds), x


scales = {"scale 1: ignore ReLU": 1, "scale 2: 1 / mean square": 2,
          "scale 2.93: 1 / variance": 1 / left["variance"]}  # fmt: skip
climbs = {name: std_per_layer(act.relu, scale, lab.seed)[0] for name, scale in scales.items()}
ck.show(ck.plotting.lines(climbs, title="Only the scale 2 keeps the signal", log="y",
                          xlabel="layer", ylabel="standard deviation of the outputs"))  # fmt: skip

# %% tags=["claim"]
ignored, kept, overdone = (stds[-1] / stds[0] for stds in climbs.values())
ck.prove("ReLU leaves half of the mean square, and a third of the variance",
         abs(left["mean square"] - 1 / 2) < 0.005 and abs(left["variance"] - (1 - 1 / np.pi) / 2) < 0.005,
         f"{left['mean square']:.4f}, {left['variance']:.4f}")  # fmt: skip
ck.prove("Scale 2 keeps the std over 50 layers, scale 1 loses it, 2.93 blows it up",
         1 / 4 < kept < 4 and ignored < 1e-6 and overdone > 1000,
         f"{kept:.2f}, {ignored:.1e}, {overdone:.1e} times")  # fmt: skip

# %% [markdown]
# **ReLU leaves {{ left["mean square"]:.3f }} of the mean square and {{ left["variance"]:.3f }} of the
# variance; making up for the variance makes the signal about {{ round(overdone, -3):,.0f }} times as large in 50 layers (one draw).**
# Only the scale 2 keeps its size on average (one net of finite width drifts by chance). The same holds on the way back, where ReLU lets half of the gradient's entries through.
# For a leaky ReLU with slope $\alpha$ the negative half passes on a share $\alpha^2$ of its mean square,
# so its scale is $2/(1 + \alpha^2)$ (He and others, 2015).

# %% [markdown]
# ## 4 · Fifty layers, five initialisers
#
# A factor that is a little wrong is harmless once. In 50 layers it is applied 50 times. Now both ways at
# once: random inputs go up through 50 ReLU layers of 500 units, and a random gradient comes back.
#
# **Predict first:** weights of standard deviation 0.1 are only 1.6 times as large as He's,
# $\sqrt{2/500} = 0.063$. How large will the signal be after 50 layers: three times as large, a thousand
# times, or a billion times? And what will the gradient do on its way back?


# %%
def both_ways(draw, seed, depth=50, units=500, samples=100):
    """Return the std of each layer's outputs, of the gradient of its inputs, and the last outputs."""
    rng = np.random.default_rng(seed)
    x, error = rng.standard_normal((2, samples, units))
    layers, up, down = [], [], []
    for _ in range(depth):
        W = draw((units, units), rng)
        z = x @ W
        x = act.relu(z)
        layers.append((W, act.relu_derivative(z)))
        up.append(x.std())
    for W, slope in reversed(layers):
        error = (error * slope) @ W.T
        down.append(error.std())
    return up, down[::-1], x


# %%
five = {
    "N(0, 0.01²)": lambda shape, seed: init.random_normal(shape, seed, std=0.01),
    "N(0, 0.1²)": lambda shape, seed: init.random_normal(shape, seed, std=0.1),
    "LeCun normal": init.lecun_normal,
    "Glorot uniform": init.glorot_uniform,
    "He uniform": init.he_uniform,
}
runs = {
    name: [both_ways(draw, lab.seed + i) for i in range(n_seeds)] for name, draw in five.items()
}
signal, gradient = (
    {name: np.array([run[way] for run in each]) for name, each in runs.items()} for way in (0, 1)
)

# %% tags=["plot"]
ck.show(ck.plotting.lines(
    signal, log="y", title="The signal on its way up: only He keeps it",
    xlabel="layer", ylabel="standard deviation of the outputs"))  # fmt: skip
ck.show(ck.plotting.lines(
    gradient, log="y", title="The gradient on its way down from layer 50: the same factors",
    xlabel="layer", ylabel="standard deviation of the gradient"))  # fmt: skip

# %% tags=["claim"]
a_layer = {name: np.mean(stds[:, -1] / stds[:, 0]) ** (1 / 49) for name, stds in signal.items()}
in_all = {name: np.mean(stds[:, -1] / stds[:, 0]) for name, stds in signal.items()}
ck.prove("N(0, 0.01²) loses more than 10 orders of magnitude, N(0, 0.1²) gains more than 9",
         in_all["N(0, 0.01²)"] < 1e-10 and in_all["N(0, 0.1²)"] > 1e9,
         f"{in_all['N(0, 0.01²)']:.0e}, {in_all['N(0, 0.1²)']:.0e}")  # fmt: skip
for way, stds in {"signal": signal, "gradient": gradient}.items():
    he = np.exp(np.log(stds["He uniform"]).mean(axis=0))
    ck.prove(f"He keeps the std of the {way} within a factor of 3 over 50 layers", he.max() / he.min() < 3,
             f"{he.min():.2f} to {he.max():.2f}, geometric mean of {n_seeds} seeds")  # fmt: skip
ck.prove("Glorot and LeCun lose a factor √2 a layer, as these layers are square",
         all(abs(a_layer[name] * 2**0.5 - 1) < 0.03 for name in ("LeCun normal", "Glorot uniform")),
         f"× {a_layer['LeCun normal']:.3f}, {a_layer['Glorot uniform']:.3f}")  # fmt: skip
down_a_layer = {
    name: np.mean(stds[:, 0] / stds[:, -1]) ** (1 / 49) for name, stds in gradient.items()
}
ck.prove("The gradient is multiplied by the same factor in each layer as the signal",
         all(abs(down_a_layer[name] / a_layer[name] - 1) < 0.05 for name in five),
         ", ".join(f"{name} {a_layer[name]:.2f} and {down_a_layer[name]:.2f}" for name in five))  # fmt: skip

# %% [markdown]
# **Weights {{ 0.1 / (2 / 500) ** 0.5:.1f }} times as wide as He's make the signal
# {{ in_all["N(0, 0.1²)"] / 1e9:.0f }} billion times as large, a factor of {{ a_layer["N(0, 0.1²)"]:.2f }}
# in each step from layer 1 to layer 50.** Straight lines on a logarithmic axis mean one factor, again and again, and the
# gradient meets the same factor on its way down. Glorot and LeCun lie on one line: the layers are
# square, so fan_avg is fan_in, and the form of the distribution does not matter. They lose √2 at each
# ReLU: in all, a factor of {{ 1 / in_all["Glorot uniform"] / 1e6:.0f }} million.
#
# He keeps the **size** of the signal. Does it keep the signal? Take two different inputs, and measure
# the angle between their outputs: a cosine of 0 is a right angle, 1 the same direction.


# %% tags=["claim"]
def mean_cosine(x):
    """Return the mean cosine between the rows of x, each with all others."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return (np.sum(unit @ unit.T) - len(x)) / (len(x) * (len(x) - 1))


inputs = np.random.default_rng(lab.seed).standard_normal((2, 100, 500))[0]  # as both_ways drew them
below, above = mean_cosine(inputs), mean_cosine(runs["He uniform"][0][2])
ck.prove("Inputs at right angles come out nearly parallel after 50 ReLU layers",
         abs(below) < 0.02 and above > 0.9, f"cosine {below:.3f} below, {above:.3f} above")  # fmt: skip

# %% [markdown]
# **Inputs at right angles (cosine {{ abs(below):.2f }}) leave layer 50 almost parallel (cosine
# {{ above:.2f }}).** A plain ReLU net of 50 layers keeps the size and makes different inputs look alike.
# Good initialisation is necessary, not sufficient: very deep nets need normalisation
# ([lesson 04](04_batch_normalisation.ipynb)) and skip connections (a layer's input is added to its output) as
# well.

# %% [markdown]
# ## 5 · Does the table hold for the others?
#
# The table of section 2 gives He to ELU, GELU, Swish and Mish too, although the 2 was found for ReLU.
# Now each activation goes through 50 layers with the scale from its row.
#
# **Predict first:** which activations keep their signal over 50 layers as ReLU does?

# %%
row = {"relu": 2, "selu": 1, "gelu": 2, "swish": 2, "tanh": 1, "sigmoid": 1, "elu": 2, "mish": 2}
trials = {
    name: [std_per_layer(act.get(name)[0], scale, lab.seed + i)[0] for i in range(2)]
    for name, scale in row.items()
}
reached = {name: np.exp(np.log(stds).mean(axis=0)) for name, stds in trials.items()}
outputs = std_per_layer(act.sigmoid, 1, lab.seed, depth=10)[1]
due_to_input = outputs.var(axis=0).mean() / outputs.var()  # of one unit / of all units together

# %% tags=["plot"]
fig, ax = plt.subplots(figsize=(8, 4.2))
layers = np.arange(1, 51)
lead = ("relu", "selu", "gelu", "swish")
for name, stds in reached.items():
    if name in lead:
        ax.semilogy(layers, stds, markevery=(4, 9), label=name, **ck.plotting.look_of(name))
    else:
        ax.semilogy(layers, stds, color="#999999", linewidth=1.2)
place = np.inf
for name, stds in sorted(reached.items(), key=lambda item: -item[1][-1]):
    place = min(stds[-1], place / 2.2)  # labels never on top of each other
    ax.text(51, place, name, fontsize=9, va="center",
            color=ck.plotting.color_of(name) if name in lead else "#666666")  # fmt: skip
ax.set(xlabel="layer", ylabel="standard deviation of the outputs", xlim=(0, 57),
       title="ReLU and SELU hold their signal, GELU and Swish lose it")  # fmt: skip
ck.show(
    fig,
    alt="Standard deviation of the outputs against layer, logarithmic, for eight activations with the "
    "scale of the table. In layer 50: "
    + ", ".join(f"{name} {stds[-1]:.2g}" for name, stds in reached.items()) + ".",
)  # fmt: skip

# %% tags=["claim"]
ends = {name: stds[-1] for name, stds in reached.items()}
ck.prove("SELU stays at 1 and ReLU near it over 50 layers", 0.9 < ends["selu"] < 1.1 and 0.2 < ends["relu"] < 3,
         f"{ends['selu']:.2f}, {ends['relu']:.2f}")  # fmt: skip
ck.prove("GELU and Swish have lost it by layer 50", max(ends["gelu"], ends["swish"]) < 1e-3,
         f"{ends['gelu']:.0e}, {ends['swish']:.0e}")  # fmt: skip
tenth = {name: stds[9] for name, stds in reached.items()}
ck.prove("In layer 10 of the sigmoid net less than a millionth of the variance is due to the input",
         outputs.std() > 0.05 and due_to_input < 1e-6, f"std {outputs.std():.3f}, share {due_to_input:.0e}")  # fmt: skip
ck.prove("In layer 10 all eight are between a twentieth and 3", all(0.05 < s < 3 for s in tenth.values()),
         f"{min(tenth.values()):.2f} to {max(tenth.values()):.2f}")  # fmt: skip

# %% [markdown]
# **After 50 layers SELU has a standard deviation of {{ ends["selu"]:.2f }} and ReLU of
# {{ ends["relu"]:.2f }}; Swish is at {{ ends["swish"]:.0e }}.** For ReLU the 2 is exact on average, and for
# SELU the 1 is, by design. For the others the table is a good habit and no law: in layer 10 they still have
# {{ min(tenth.values()):.2f }} to {{ max(tenth.values()):.2f }}, in layer 50 ELU has {{ ends["elu"]:.2g }}, tanh
# {{ ends["tanh"]:.2g }}, Mish {{ ends["mish"]:.0e }} and GELU {{ ends["gelu"]:.0e }}. (The
# [CIFAR-10 study](../exercises/15_cifar10_study.ipynb) trains twenty Swish layers from He all the same.)
#
# Sigmoid's line is level ([lesson 01](01_vanishing_gradients.ipynb), section 4), which looks like success, but its outputs lie around 0.5, and because of that
# mean, units differ from each other whatever the input. What counts is how much **one** unit changes from
# input to input. **Of the variance in layer 10 of the sigmoid net a share of {{ due_to_input:.0e }} is due
# to the input**: every input gives nearly the same output. Always ask what a standard deviation is taken
# over.
#
# ### Read the answer from one curve
#
# Let $q$ be the mean square of the pre-activations in one layer. They are nearly normal, so in the next
# layer the mean square is
#
# $$q' = \text{scale} \cdot \mathrm{E}\left[f(\sqrt{q}\,\xi)^2\right]$$
#
# with $f$ the activation and $\xi$ standard normal. The picture below draws the factor $q'/q$
# against $q$: above 1 the signal grows in this layer, below 1 it shrinks. It has Swish twice, with He's
# scale and with a scale of its own, found as in section 3, so that its factor is 1 at $q = 1$.
#
# **Predict first:** the signal never has a mean square of exactly 1. When it is a little too small,
# should the factor be above or below 1?

# %%
from scipy.stats import norm

xi = norm.ppf(np.linspace(0, 1, 20_002)[1:-1])  # standard normal numbers, evenly spread


def next_square(name, scale, q):
    """Return the mean square of the next layer's pre-activations."""
    return scale * np.mean(act.get(name)[0](q**0.5 * xi) ** 2)


own = 1 / np.mean(act.swish(xi) ** 2)
curves = {"selu": ("selu", 1), "relu": ("relu", 2), "swish": ("swish", 2),
          f"swish, scale {own:.2f}": ("swish", own)}  # fmt: skip
grid = np.geomspace(0.01, 10, 31)
factors = {name: [next_square(*curve, q) / q for q in grid] for name, curve in curves.items()}
ck.show(ck.plotting.lines(factors, grid, log="x", title="SELU crosses 1 downwards, Swish with its own scale upwards",
                          xlabel="mean square q of the pre-activations", ylabel="factor to the next layer"))  # fmt: skip

# %% tags=["claim"]
tuned = std_per_layer(act.swish, own, lab.seed)[0]
at = {name: np.interp([0.5, 2.0], grid, values) for name, values in factors.items()}
pull, level, _, push = at.values()
ck.prove("SELU is above 1 below q = 1 and below 1 above it; ReLU is level; Swish with its own scale is the reverse of SELU",
         pull[0] > 1.02 and pull[1] < 0.98 and np.allclose(level, 1, atol=0.03) and push[0] < 0.98 and push[1] > 1.02,
         f"at q = 0.5 and 2: {pull.round(2)}, {level.round(2)}, {push.round(2)}")  # fmt: skip
ck.prove("Swish with its own scale stays near 1 for a few layers and is more than ten times off after 50",
         0.5 < tuned[4] < 2 and abs(np.log10(tuned[-1])) > 1, f"{tuned[4]:.2f}, {tuned[-1]:.3g}")  # fmt: skip
tanh_scale = 1 / np.mean(np.tanh(xi) ** 2)
tanh_back = (tanh_scale * np.mean((1 - np.tanh(xi) ** 2) ** 2)) ** 0.5  # section 6 of lesson 01
ck.prove("A scale that holds tanh's signal at q = 1 makes its gradients grow", tanh_back > 1.05,
         f"scale {tanh_scale:.2f}, × {tanh_back:.3f} a layer")  # fmt: skip
walk = [2.0]
for _ in range(3):
    walk.append(next_square("swish", 2, walk[-1]))
foretold = {}
for name, scale in row.items():
    q = float(scale)  # inputs of mean square 1
    for _ in range(10):
        outputs = act.get(name)[0](q**0.5 * xi)
        q = next_square(name, scale, q)
    foretold[name] = outputs.std()
error = {name: np.exp(abs(np.log(tenth[name] / std))) for name, std in foretold.items()}
ck.prove("The curve foretells the std in layer 10 within a factor of 1.5 for all eight", max(error.values()) < 1.5,
         ", ".join(f"{name} {foretold[name]:.2f} ({tenth[name]:.2f})" for name in foretold))  # fmt: skip

# %% [markdown]
# Read the curve of Swish with scale 2. At $q = {{ walk[0]:.0f }}$ its factor is
# {{ walk[1] / walk[0]:.2f }}, so the next layer has $q = {{ walk[1]:.2f }}$. There the factor is
# {{ walk[2] / walk[1]:.2f }}, which gives {{ walk[2]:.2f }}, then {{ walk[3]:.2f }}. The smaller $q$, the
# smaller the factor, down to 1/2: the signal fades for good. Given $q$, the outputs' standard deviation is that of $f(\sqrt q\,\xi)$.
# **Ten steps along the curve predict a standard deviation of {{ foretold["swish"]:.2f }} in layer 10 for Swish; measured were
# {{ tenth["swish"]:.2f }}.** The way in which a curve crosses 1 tells the rest:
#
# - **SELU** comes *down* through 1: what is too small grows, what is too large shrinks. The size is
#   pulled back to 1, layer after layer; that is what *self-normalising* means
#   ([lesson 03](03_activation_functions.ipynb)).
# - **ReLU** is level: it neither mends an error nor makes it worse.
# - **tanh** sinks slowly with Glorot's scale 1, since it squashes. Section 3's recipe would give it the scale
#   {{ tanh_scale:.2f }}, which holds the signal; but then the gradient's standard deviation grows by {{ tanh_back:.2f }} a layer, {{ tanh_back**49:.0f }}-fold
#   in 50. Glorot's 1 is that of small signals, for which tanh is nearly a straight line.
# - **Swish with scale {{ own:.2f }}** goes *up* through 1: a little too large becomes larger still. After
#   50 layers its standard deviation is {{ tuned[-1]:,.0f }}. A crossing upwards cannot hold it at 1 for ever.

# %% [markdown]
# ## 6 · Does it matter for training?
#
# So far nothing was trained. Now nets of 2 to 20 hidden layers, 100 ReLU units each, learn handwritten
# digits by SGD from three starts: N(0, 0.01²), Xavier (Glorot normal) and He normal. All
# else is the same, and each start gets the best learning rate of its own, found by the same search. The question is
# how well a start can be optimised, so both the rate (with a seed of its own) and the result are read from the
# training loss.
#
# First the arithmetic, for five hidden layers. The first one has 784 inputs and 100 units; there Xavier's
# variance is 2/884, He's 2/784: the weights differ by a factor of only 1.06. Each of the other four layers
# costs Xavier $\sqrt 2$.
#
# **Predict first:** how much smaller is the signal in layer 5 from Xavier than from He? Does it matter
# after some epochs of training? With 20 layers?

# %%
data = ck.load("mnist", n_valid=500).subset(n).standardized()
starts = {
    "N(0, 0.01²)": lambda: keras.initializers.RandomNormal(0.0, 0.01),
    "Xavier": keras.initializers.GlorotNormal,
    "He": keras.initializers.HeNormal,
}


def net(hidden, start, optimizer="sgd"):
    stack = [keras.layers.Dense(100, "relu", kernel_initializer=start()) for _ in range(hidden)]
    model = keras.Sequential(
        [keras.Input((28, 28)), keras.layers.Flatten(), *stack, keras.layers.Dense(10, "softmax")]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


# %%
top = {}  # standard deviation of the last hidden layer, before training
for name, start in starts.items():
    keras.utils.set_random_seed(lab.seed)  # the same draws for each, only wider or narrower
    statistics = ck.diagnostics.layer_statistics(net(5, start), data.x_train[:1000])
    top[name] = statistics.column("std")[-2]
expected = (884 / 784) ** 0.5 * 2 ** (4 / 2)
print(f"std of layer 5: He / Xavier = {top['He'] / top['Xavier']:.3f}, expected {expected:.3f}")
by_depth = ck.sweep(
    {name: lambda hidden, start=start: net(hidden, start) for name, start in starts.items()},
    data, over={"hidden layers": depths}, epochs=epochs, batch_size=50, seeds=n_seeds,
    rates=(0.03, 0.1), choose_by="loss",
)  # fmt: skip
ck.show(by_depth.plot("loss", title="The deeper the net, the more the start decides", log="y"))
for hidden, found in by_depth.runs.items():
    print(f"{hidden} layers: {found.verdict('loss')}")

# %% tags=["claim"]
ends_at = {
    name: dict(zip(depths, values.T, strict=True)) for name, values in by_depth.last("loss").items()
}
loss = {
    name: {d: np.mean(values) for d, values in found.items()} for name, found in ends_at.items()
}
guessing = np.log(10)  # the loss of giving each of ten classes the probability 1/10
ck.prove("With the same draws the std of layer 5 differs exactly as the formula says",
         abs(top["He"] / top["Xavier"] / expected - 1) < 0.01,
         f"{top['He'] / top['Xavier']:.3f} against {expected:.3f}")  # fmt: skip
ck.prove("From std 0.01 nets of 5 and 20 layers stay at the loss of guessing with any rate of the search",
         all(min(by_depth.runs[d].searched["N(0, 0.01²)"].values()) > 0.9 * guessing for d in (5, 20)),
         f"at best {[round(min(by_depth.runs[d].searched['N(0, 0.01²)'].values()), 2) for d in (5, 20)]}, "
         f"guessing {guessing:.2f}")  # fmt: skip
gap = {d: loss["Xavier"][d] - loss["He"][d] for d in (5, 20)}
ck.prove("With 20 layers He ends below Xavier on average; with 5 the gap is at most half as large, either way",
         gap[20] > 2 * abs(gap[5]), f"{gap[20]:.2f}; {gap[5]:.3f}")  # fmt: skip
inside = [
    (d, name, found.rates[name]) for d, found in by_depth.runs.items() for name in ("Xavier", "He")
    if not min(found.searched[name]) < found.rates[name] < max(found.searched[name])
]  # fmt: skip
ck.prove("No best rate of Xavier or He stands at the end of its list", not inside,
         f"{inside or 'each has a lower and a higher one beside it'}")  # fmt: skip

# %% [markdown]
# **With 20 layers He ends at a training loss of {{ loss["He"][20]:.2f }} and Xavier at
# {{ loss["Xavier"][20]:.2f }}; with 5 layers ({{ loss["He"][5]:.3f }} and {{ loss["Xavier"][5]:.3f }}) the two
# {{ "cannot be told apart" if by_depth.runs[5].verdict("loss").winner is None else "differ far less" }}, each with its own best learning rate.** In five layers Xavier loses a factor of
# {{ top["He"] / top["Xavier"]:.2f }}, and training makes up for it; in twenty it loses a factor of
# {{ (884 / 784) ** 0.5 * 2 ** (19 / 2):,.0f }}, and in these steps training does not. Even from He the net of 20 layers
# ends {{ loss["He"][20] / loss["He"][5]:.0f }} times higher than that of 5: a good start is necessary, not sufficient (section 4). From a standard
# deviation of 0.01 almost nothing reaches the output, so all images look the same there, and almost no
# gradient comes back: with five layers or more the net stays at {{ guessing:.1f }}, the loss of guessing,
# with every learning rate tried.
#
# Does a better optimizer save the bad start? Back to five layers, with Adam
# ([lesson 08](08_optimizers.ipynb)), which divides each gradient by its own size: even a tiny gradient
# then makes a full step. **Predict first:** does the start from 0.01 catch up with He?

# %%
rescue = ck.compare(
    {name: lambda start=starts[name]: net(5, start, "adam") for name in ("N(0, 0.01²)", "He")},
    data, epochs=epochs, batch_size=50, seeds=n_seeds, rates=(0.001, 0.003), choose_by="loss",
)  # fmt: skip
low = {name: values.mean() for name, values in rescue.last("loss").items()}
ratio = low["N(0, 0.01²)"] / low["He"]
ck.show(
    rescue.curves(
        "loss", log="y", title=f"Adam, five layers: from He it ends {ratio:.0f} times lower"
    )
)
rescue.table("loss")

# %% tags=["claim"]
saved = rescue.last("loss")
ck.prove("Adam takes the start from std 0.01 off the loss of guessing", saved["N(0, 0.01²)"].max() < 0.9 * guessing,
         f"{saved['N(0, 0.01²)'].mean():.2f}, SGD {loss['N(0, 0.01²)'][5]:.2f}")  # fmt: skip
ck.prove("With Adam, too, std 0.01 ends above He with every seed", saved["N(0, 0.01²)"].min() > saved["He"].max(),
         f"{saved['N(0, 0.01²)'].min():.2f} > {saved['He'].max():.2f}")  # fmt: skip

# %% [markdown]
# **From 0.01 Adam ends at {{ saved["N(0, 0.01²)"].mean():.2f }}, where SGD stayed at
# {{ loss["N(0, 0.01²)"][5]:.2f }}; from He it ends at {{ saved["He"].mean():.2f }} in the same steps.** It
# leaves the loss of guessing, but in these {{ epochs }} epochs it does not catch up. A likely reason: as long as
# hardly any signal passes, full steps have little direction.

# %% [markdown]
# ## 7 · Why random at all?
#
# Give every weight of a layer the same value, $1/n_\text{in}$. The outputs of a ReLU are positive, so
# each unit then takes the mean of its inputs, and from the second layer on the size of the signal is kept.
#
# **Predict first:** after training such a net of three hidden layers, how many different units are there
# in each layer of 100? What if only the output layer is random? Or only the biases?


# %%
def constant(shape, dtype=None):
    return keras.ops.full(shape, 1 / shape[0], dtype)


def alike(hidden="he_normal", output="he_normal", biases="zeros", units=100):
    weights = {"kernel_initializer": hidden, "bias_initializer": biases}
    stack = [keras.layers.Dense(units, "relu", **weights) for _ in range(3)]
    last = keras.layers.Dense(10, "softmax", kernel_initializer=output)
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), *stack, last])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def different_units(kernel):
    gaps = np.abs(kernel[:, :, None] - kernel[:, None]).max(axis=0)  # between any two columns
    return int(np.sum(~np.tril(gaps < 1e-5, -1).any(axis=1)))  # like none of those before


# %%
ways = {
    "all kernels He": lambda: alike(),
    "all kernels constant": lambda: alike(constant, constant),
    "constant, random output layer": lambda: alike(constant),
    "constant, random biases": lambda: alike(constant, constant, "random_normal"),
}
trained = ck.compare(ways, data, epochs=epochs, batch_size=50, seeds=2, rates=(0.03, 0.1))
units = {
    name: [different_units(kernel) for kernel in model.get_weights()[:-2:2]]
    for name, model in trained.models.items()
}
accuracy = {name: 100 * values.mean() for name, values in trained.last("val_accuracy").items()}
for name, counts in units.items():
    print(f"{name:30} different units {counts!s:16} accuracy {accuracy[name]:.0f}%")

# %% tags=["plot"]
kernels = {
    name: trained.models[f"all kernels {name}"].get_weights()[0] for name in ("He", "constant")
}
pictures, labels = [], []
for name, kernel in kernels.items():
    far = np.abs(kernel[:, :6]).max()
    pictures += [(unit.reshape(28, 28) / far + 1) / 2 for unit in kernel[:, :6].T]
    labels += [f"{name}, unit {i}" for i in range(1, 7)]
ck.show(ck.plotting.images(
    pictures, labels, columns=6, size=1.15,
    title="Weights of six first-layer units after training: from He all differ, from constants all equal"
    " (grey 0, black above, white below; each row on its own scale)"))  # fmt: skip

# %% [markdown]
# ![Two hidden units with the same weights in and the same weight out get the same gradient and make the same step; together they are worth one unit with twice the output weight.](../figures/unit_twins.svg)
#
# Twins get the same inputs, so they give the same output; their output weights are equal, so they get
# the same gradient; so they make the same step, and are twins again. Training cannot **break the
# symmetry**. You can check to the last digits that a layer of 100 twins is one unit: take a net with
# **one** unit in each layer and, from the second layer on, weights a hundred times as large, because one now
# speaks for a hundred.

# %%
twins = trained.models["all kernels constant"]
weights = []
for i, (W, b) in enumerate(zip(twins.get_weights()[::2], twins.get_weights()[1::2], strict=True)):
    if i > 0:
        W = 100 * W[:1]  # the one unit below speaks for a hundred
    weights += [W, b] if i == 3 else [W[:, :1], b[:1]]
single = alike(units=1)
single.set_weights(weights)
predictions = [model.predict(data.x_valid, verbose=0) for model in (twins, single)]
apart = np.abs(predictions[0] - predictions[1]).max()
print(
    f"{twins.count_params():,} and {single.count_params():,} parameters; predictions differ by {apart:.0e}"
)

# %% tags=["claim"]
for name, count in {"all kernels constant": 1, "all kernels He": 100}.items():
    ck.prove(
        f"{name}: {count} of 100 units differ in each layer",
        units[name] == [count] * 3,
        str(units[name]),
    )
only_last = units["constant, random output layer"]
ck.prove("A random output layer sets apart the units of the last hidden layer and no others",
         only_last[:2] == [1, 1] and only_last[2] > 1, str(only_last))  # fmt: skip
some = units["constant, random biases"]
ck.prove("Random biases set units apart in every layer", min(some) > 1, str(some))
best, *others = accuracy.values()
ck.prove("The random start ends highest, and the net of twins far below it",
         best > max(others) and accuracy["all kernels constant"] < best - 20,
         ", ".join(f"{name} {value:.1f}%" for name, value in accuracy.items()))  # fmt: skip
ck.prove("One unit in each layer gives the predictions of a hundred twins", apart < 0.005,
         f"probabilities differ by {apart:.1e} at most")  # fmt: skip
zeros = ck.diagnostics.gradient_norms(
    alike("zeros", "zeros"), data.x_train[:1000], data.y_train[:1000]
)
*hidden_norms, last_norm = zeros.column("norm")
ck.prove("With kernels of 0 no hidden layer gets a gradient; only the biases of the output do",
         not any(hidden_norms) and last_norm > 0, f"norms {', '.join(f'{norm:g}' for norm in hidden_norms)} and {last_norm:.3f}")  # fmt: skip

# %% [markdown]
# **A net of {{ twins.count_params():, }} parameters with equal starting weights is a net of
# {{ single.count_params():, }}: its accuracy is {{ accuracy["all kernels constant"]:.0f }}%, from He it is
# {{ accuracy["all kernels He"]:.0f }}%.** A random output layer sets apart the units of the last hidden
# layer, but no others: below it all gradients arrive through equal weights, and stay equal. Random biases
# do set units apart, yet the net gets to {{ accuracy["constant, random biases"]:.0f }}% only, perhaps because at
# first all units of a layer look for the same thing. With all kernels at 0 there is no signal to begin with and
# no gradient: only the biases of the output learn.
#
# So: **kernels random, in every layer; biases may start at 0**, because the kernels have already set the
# units apart.
#
# ### Twins by accident
#
# You make one `HeNormal()` object and give it to every layer. **Predict first:** do two layers of one shape
# start with the same weights? And if each is given the name, `"he_normal"`?


# %%
def kernels_of(initialiser):
    layers = [keras.layers.Dense(50, "relu", kernel_initializer=initialiser) for _ in range(2)]
    keras.Sequential([keras.Input((50,)), *layers])
    return [layer.get_weights()[0] for layer in layers]


copies = {
    "one object": kernels_of(keras.initializers.HeNormal()),
    "its name": kernels_of("he_normal"),
}
for what, (first, second) in copies.items():
    print(f"two layers given {what}: the same weights? {np.array_equal(first, second)}")

# %% tags=["claim"]
ck.prove("Two layers that share one initialiser object start as copies, by name they do not",
         np.array_equal(*copies["one object"]) and not np.array_equal(*copies["its name"]),
         f"by name they differ by up to {np.abs(np.subtract(*copies['its name'])).max():.2f}")  # fmt: skip

# %% [markdown]
# **Two layers given one object start with identical weights; given its name they do not.** In Keras 3 an
# initialiser object gives the same numbers at each call, with or without a seed. A name makes a new object for
# each layer.
#
# ## Pitfalls
#
# - **One initialiser object for several layers** makes copies. Pass the name, `"he_normal"`, or make a new
#   object for each layer.
# - **The default stays Glorot uniform** when you change the activation. Name the initialiser.
# - **`TruncatedNormal(stddev=s)` is narrower than `s`** (section 2).
# - **Other libraries, other defaults.** PyTorch's `nn.Linear` draws uniformly with variance
#   $1/(3 n_\text{in})$.
# - **The output layer** has no ReLU. Its row of the table is that of softmax, or of no activation: Glorot.
# - **Inputs that are not scaled.** A good start keeps the size of what comes in, whatever it is: pixels
#   between 0 and 255 stay that large up to the output. Standardise them first.
#
# ## What to do tomorrow
#
# 1. ReLU and its family: `kernel_initializer="he_normal"`. SELU: `"lecun_normal"`. Tanh and the output layer:
#    Glorot, which is Keras' default.
# 2. Standardise the inputs, and leave the biases at 0.
# 3. Pass the name of an initialiser, never one object to several layers.
# 4. Before you train a new deep net, send one batch through it and look at the standard deviation of each
#    layer, `ck.diagnostics.layer_statistics(model, x)`: it should not change tenfold.
# 5. In much deeper nets rely on normalisation and skip connections, not on initialisation alone.
#
# ## Recap
#
# - A layer multiplies the variance of the signal by fan_in · Var(w), of the gradient by fan_out · Var(w);
#   Glorot divides by the mean of the two fans.
# - Var(w) = scale/fan: Glorot 1/fan_avg, LeCun 1/fan_in, He 2/fan_in; uniform up to √(3 · variance).
# - He's 2 is there because ReLU halves the mean square (not the variance); small errors compound with
#   depth.
# - For ReLU with He and SELU with LeCun the rule is exact; for other activations it is a habit that suits
#   moderate depth.
# - Kernels must be random, or units stay twins for ever; biases may start at 0.
#
# ## Now practise
#
# Open [exercise 02](../exercises/02_weight_initialisation.ipynb): write the initialisers from their
# parameters, find the scale of any activation by simulation, and repair a net of twins. Then go on with
# lesson [03 Activation functions](03_activation_functions.ipynb).
#
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
