# %% [markdown]
# # 03 Activation functions
#
# Between two layers stands one small curve. With the wrong one half of a net can stop learning for
# good. Which curve should it be?
#
# ## What you will be able to do
#
# After about {{ minutes.reading }} minutes of reading, or {{ minutes.with_code }} minutes with the
# code, you will be able to
#
# - say what each of the usual **activation functions** (활성화 함수) was made for;
# - count **dead** ReLU units, say what kills them, and what brings them back;
# - keep the signal through 100 layers without any normalisation layer, and name the conditions;
# - tell GELU, Swish and Mish apart, and say what they cost;
# - choose an activation function by measuring, not by fashion.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import numpy as np
import tensorflow as tf
from scipy import optimize, special

act = ck.scratch.activations  # in NumPy: act.gelu(z), act.gelu_derivative(z), ...

# %% [markdown]
# ## Play first: what a curve does to its inputs
#
# On the left an activation function with its derivative, on the right what it makes of inputs that are
# normally distributed. Move the sliders. When does ReLU leave almost nothing? With which inputs does SELU
# give mean 0 and standard deviation 1? For which β does Swish look like GELU?
# (The parameter is α for LeakyReLU and ELU, β for Swish; the others have none.)


# %% tags=["helper"]
import matplotlib.pyplot as plt

for name in ("relu", "leaky_relu", "elu", "gelu", "mish", "swish", "selu", "linear"):
    ck.plotting.look_of(name)  # eight names, a colour for each, kept in all pictures


def draw_activation(function, parameter, input_mean, input_std):
    knob = {"leaky_relu": "negative_slope", "elu": "alpha", "swish": "beta"}.get(function)
    setting = {knob: parameter} if knob else {}
    f, slope = act.get(function)
    z = np.linspace(-5, 5, 401)
    inputs = input_mean + input_std * np.random.default_rng(0).normal(size=20_000)
    outputs = f(inputs, **setting)
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    left.plot(z, f(z, **setting), **ck.plotting.line_kw(0), label="function")
    left.plot(z, slope(z, **setting), **ck.plotting.line_kw(1), label="derivative")
    left.set(xlabel="z", ylabel="output", ylim=(-2, 5))
    left.set_title(", ".join([function, *(f"{k} = {v:.3g}" for k, v in setting.items())]))
    left.legend(loc="upper left")
    bins = np.linspace(-5, 5, 81)
    right.hist(inputs, bins, color=ck.plotting.COLORS[7], alpha=0.45, label="inputs z")
    right.hist(outputs, bins, histtype="step", color=ck.plotting.COLORS[0], lw=1.8, label="outputs")
    right.set(xlabel="value", ylabel="count", yscale="log")
    right.set_title(f"outputs: mean {outputs.mean():.2f}, std {outputs.std():.2f}")
    right.set_ylim(1, 4e4)
    right.legend(loc="upper left")
    return fig


ck.widgets.explore(
    draw_activation,
    alt="Left: an activation function and its derivative. Right: histograms of normally distributed "
    "inputs and of the outputs.",
    function=["swish", "gelu", "mish", "relu", "leaky_relu", "elu", "selu", "sigmoid", "tanh"],
    parameter=(0.01, 10.0, 1.0, "log"),
    input_mean=(-3.0, 3.0, 0.0),
    input_std=(0.1, 10.0, 1.0, "log"),
)

# %% [markdown]
# ## 1 · Why a curve at all?
#
# Take twenty layers with random weights, and no activation function between them. **Predict first:** can
# a single layer compute the same outputs? And with ReLU between them?

# %%
draw = np.random.default_rng(lab.seed)
x = draw.normal(size=(1000, 10))
weights = [draw.normal(0, np.sqrt(2 / 10), size=(10, 10)) for _ in range(20)]


def through(x, f):
    for W in weights:
        x = f(x @ W)
    return x


def left_over(outputs):
    """Return the share of the outputs' variance that the best single layer xW + b misses."""
    with_bias = np.column_stack([x, np.ones(len(x))])
    best = with_bias @ np.linalg.lstsq(with_bias, outputs, rcond=None)[0]
    return np.sum((outputs - best) ** 2) / np.sum((outputs - outputs.mean(axis=0)) ** 2)


left = {name: left_over(through(x, act.get(name)[0])) for name in ("linear", "relu", "tanh")}

# %% tags=["claim"]
ck.prove("One layer computes what twenty without activation functions compute",
         left["linear"] < 1e-20, f"it misses {left['linear']:.0e} of the variance")  # fmt: skip
ck.prove("One layer cannot compute what twenty with ReLU or tanh compute",
         min(left["relu"], left["tanh"]) > 0.2,
         f"it misses {left['relu']:.0%} with ReLU, {left['tanh']:.0%} with tanh")  # fmt: skip

# %% [markdown]
# **Without activation functions one layer replaces all twenty: it misses {{ left["linear"]:.0e }} of the
# outputs' variance, which is rounding; with ReLU it misses {{ left["relu"]:.0% }}, with tanh
# {{ left["tanh"]:.0% }}.** A product of matrices is a matrix, $xW_1W_2\cdots W_{20} = xW$. Depth pays only
# if something between the layers is not linear.

# %% [markdown]
# ## 2 · The family
#
# $z$ is the **pre-activation** $xW + b$ of a unit, $\sigma$ the sigmoid, $\Phi$ the distribution function of
# the standard normal distribution, and $\text{softplus}(z) = \log(1 + e^z)$.
#
# | function | formula | set by | weights start with |
# |---|---|---|---|
# | sigmoid, tanh | $\sigma(z) = 1/(1 + e^{-z})$, $\tanh z$ | | Glorot |
# | ReLU | $\max(0, z)$ | | He |
# | LeakyReLU (Maas and others, 2013) | $\max(\alpha z, z)$ | $\alpha$ fixed: 0.01 to 0.3 | He |
# | RReLU (Xu and others, 2015) | the same | $\alpha$ drawn at random in training, its mean at test | He |
# | PReLU (He and others, 2015) | $z$ if $z > 0$, else $\alpha z$ | $\alpha$ learned, one for each unit | He |
# | ELU (Clevert and others, 2016) | $z$ if $z > 0$, else $\alpha(e^z - 1)$ | $\alpha$, usually 1 | He |
# | SELU (Klambauer and others, 2017) | $1.0507 \cdot \text{ELU}$ with $\alpha = 1.6733$ | two fixed numbers | LeCun |
# | GELU (Hendrycks and Gimpel, 2016) | $z\,\Phi(z)$ | | He |
# | Swish (Ramachandran and others, 2017); with $\beta = 1$ also SiLU (Hendrycks and Gimpel, 2016) | $z\,\sigma(\beta z)$ | $\beta$: 1, another number, or learned | He |
# | Mish (Misra, 2019) | $z \tanh(\text{softplus}(z))$ | | He |
#
# **Predict first:** which of them have a derivative of exactly 0 over a whole stretch? Which ones fall
# somewhere as $z$ grows?

# %% tags=["plot"]
panels = {
    "sigmoid": {"": ("sigmoid", {})},
    "tanh": {"": ("tanh", {})},
    "ReLU": {"": ("relu", {})},
    "LeakyReLU": {"α = 0.2": ("leaky_relu", {"negative_slope": 0.2})},
    "RReLU": {f"α = 1/{k}": ("leaky_relu", {"negative_slope": 1 / k}) for k in (8, 3)},
    "PReLU": {f"α = {a}": ("leaky_relu", {"negative_slope": a}) for a in (-0.1, 0.6)},
    "ELU": {f"α = {a}": ("elu", {"alpha": a}) for a in (1.0, 2.0)},
    "SELU": {"": ("selu", {})},
    "GELU": {"": ("gelu", {})},
    "Swish": {"β = 1": ("swish", {"beta": 1.0})},
    "Swish, other β": {f"β = {b}": ("swish", {"beta": b}) for b in (0.3, 5.0)},
    "Mish": {"": ("mish", {})},
}
z = np.linspace(-4, 4, 401)
fig, axes = plt.subplots(3, 4, figsize=(10, 6.8), sharex=True, sharey=True)
for ax, (title, curves) in zip(axes.flat, panels.items(), strict=True):
    for i, (which, (name, setting)) in enumerate(curves.items()):
        function, derivative = act.get(name)
        color = ck.plotting.COLORS[(0, 2)[i]]
        ax.plot(z, function(z, **setting), color=color, linestyle="-", label=which or None)
        ax.plot(z, derivative(z, **setting), color=color, linestyle=":", linewidth=1.4)
    ax.set_title(title, fontsize=10)
    ax.set(xlim=(-4, 4), ylim=(-2.2, 3))
    if any(curves):
        ax.legend(loc="upper left", fontsize=8, handlelength=1.2)
for ax in axes[-1]:
    ax.set_xlabel("z")
fig.suptitle("Functions (solid) and their derivatives (dotted)", x=0.01, ha="left", fontsize=11,
             fontweight="bold")  # fmt: skip
ck.show(fig, alt="Twelve small panels, each with a function (solid) and its derivative (dotted). Sigmoid "
        "and tanh level off at both ends; ReLU's derivative is 0 left of 0; the leaky ones keep a slope "
        "there; ELU and SELU level off below 0; GELU, Swish and Mish dip below 0 and come back.")  # fmt: skip

# %% tags=["claim"]
square = lambda z: (1 + np.exp(z)) ** 2  # noqa: E731
independent = {
    "sigmoid": special.expit,
    "tanh": lambda z: 2 * special.expit(2 * z) - 1,
    "relu": lambda z: (z + np.abs(z)) / 2,
    "leaky_relu": lambda z: 0.6 * z + 0.4 * np.abs(z),
    "elu": lambda z: np.maximum(z, 0) + special.expm1(np.minimum(z, 0)),
    "selu": lambda z: 1.05070098 * np.maximum(z, 0) + 1.75809934 * special.expm1(np.minimum(z, 0)),
    "gelu": lambda z: z * special.ndtr(z),
    "swish": lambda z: z * special.expit(z),
    "mish": lambda z: z * (square(z) - 1) / (square(z) + 1),
}
z = np.linspace(-8, 8, 3202)  # no kink among these points
worst, flat, falling = {"formula": 0, "Keras": 0, "slope": 0}, {}, []
for name, formula in independent.items():
    function, derivative = act.get(name)
    gaps = {
        "formula": formula(z) - function(z),
        "Keras": np.array(keras.activations.get(name)(z.astype("float32"))) - function(z),
        "slope": (function(z + 1e-6) - function(z - 1e-6)) / 2e-6 - derivative(z),
    }
    worst = {what: max(worst[what], np.abs(gap).max()) for what, gap in gaps.items()}
    flat[name] = np.mean(derivative(z) == 0)
    falling += [name] * bool((derivative(z) < 0).any())
told = ", ".join(f"{what} {gap:.0e}" for what, gap in worst.items())
ck.prove("Every function equals a formula written another way, Keras' own, and the slopes of tiny steps",
         worst["formula"] < 1e-6 and worst["Keras"] < 5e-6 and worst["slope"] < 1e-6, told)  # fmt: skip
ck.prove("ReLU alone is exactly flat, over half of the line",
         {name for name, share in flat.items() if share > 0} == {"relu"} and flat["relu"] == 0.5,
         f"{flat['relu']:.0%} of the points from −8 to 8")  # fmt: skip
ck.prove("GELU, Swish and Mish alone fall somewhere",
         falling == ["gelu", "swish", "mish"], ", ".join(falling))  # fmt: skip

# %% [markdown]
# **Only ReLU is exactly flat: over {{ flat["relu"]:.0% }} of the points drawn.** Sigmoid and tanh come near it
# at both ends, ELU and SELU at the left end: a derivative near 0 makes learning slow, a derivative of
# exactly 0 stops it. Of the functions without a learned parameter only GELU, Swish and Mish fall first and
# then rise: they are **not monotonic**. (PReLU may fall, too, if it learns a negative α.)
# (The formulas agree with scipy's and Keras' to {{ max(worst.values()):.0e }}.)

# %% [markdown]
# ## 3 · Dying ReLU
#
# A ReLU unit is **dead** if its pre-activation is negative for *every* sample. Then its output is 0, its
# derivative is 0, and its incoming weights get no gradient.
#
# ![Three graphs of an activation function with the images as dots on them. ReLU, alive: some dots lie on the slope. ReLU, dead: all dots lie on the flat side, where the gradient is 0. LeakyReLU: the same dots lie on a gentle slope.](../figures/dead_unit.svg)
#
# What moves all images to the flat side? One long step that pushes a unit's weights and bias far down. So
# the learning rate is the suspect. A net of three hidden layers of 100 units is trained by plain SGD for two
# epochs on a small part of the images, with each rate from the same starting weights. The pixels are in $[0, 1]$, as they come, or standardised: mean 0
# and standard deviation 1.
#
# **Predict first:** what share of the units is dead after training with rate 0.1, and with 0.7? Does it help to
# standardise the pixels? And does LeakyReLU, which has no dead units, endure higher rates?
#
# `ck.diagnostics.dead_units` runs images through the net and counts, layer by layer, the ReLU units that
# are 0 for all of them; you write it yourself in the exercise. A callback puts the count into the history.

# %%
n, n_seeds, n_race, hidden, race_epochs, race_seeds, racing = lab.pick(
    quick=(1_000, 2, 1_500, 5, 4, 2, ("ReLU", "SELU", "Swish with learned β")),
    standard=(1_500, 3, 4_000, 10, 4, 3, None),
    full=(10_000, 5, 20_000, 20, 8, 5, None),
)
data = ck.load("mnist", n_valid=1_000).subset(n_race)
raw, standardised = data.subset(n), data.subset(n).standardized()
leaky = keras.layers.LeakyReLU(negative_slope=0.2)


def net(activation, hidden=3, units=100, initializer="he_normal", optimizer="sgd"):
    model = ck.models.mlp((28, 28), 10, hidden=hidden, units=units, activation=activation,
                          initializer=initializer)  # fmt: skip
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


# %% tags=["helper"]
class CountDead(keras.callbacks.Callback):
    """Set the learning rate; put the percentage of dead units into the history."""

    def __init__(self, rate, x):
        super().__init__()
        self.rate, self.x = rate, x

    def percent(self):
        layers = ck.diagnostics.dead_units(self.model, self.x)  # none for LeakyReLU
        return 100 * sum(layer.dead for layer in layers) / 300

    def on_train_begin(self, logs=None):
        self.model.optimizer.learning_rate = self.rate
        self.at_birth = self.percent()

    def on_epoch_end(self, epoch, logs=None):
        logs["dead"], logs["dead at birth"] = self.percent(), self.at_birth


class Watch(keras.callbacks.Callback):
    """Count how many of a layer's first 50 units are silent, and how many have moved."""

    def __init__(self, layer, x):
        super().__init__()
        self.layer, self.x = layer, x

    def look(self):
        dense = self.model.layers[self.layer]
        z = keras.Model(self.model.inputs[0], dense.output)(self.x)
        return float(np.all(z <= 0, axis=0)[:50].sum()), dense.get_weights()[0][:, :50]

    def on_train_begin(self, logs=None):
        self.at_birth, self.before = self.look()

    def on_epoch_end(self, epoch, logs=None):
        logs["silent"], kernel = self.look()
        logs["silent at birth"] = self.at_birth
        logs["moved"] = float((kernel != self.before).any(axis=0).sum())


# %%
rates, deaths = (0.03, 0.1, 0.3, 0.5, 0.7), {}
arms = {"ReLU, pixels in [0, 1]": ("relu", raw), "ReLU, standardised": ("relu", standardised),
        "LeakyReLU, pixels in [0, 1]": (leaky, raw)}  # fmt: skip
for name, (activation, images) in arms.items():
    count = {f"{r}": lambda r=r, x=images.x_train: [CountDead(r, x)] for r in rates}
    builds = dict.fromkeys(count, lambda a=activation: net(a))  # one function: one program
    deaths[name] = ck.compare(builds, images, epochs=2, seeds=n_seeds, callbacks=count)


# %% tags=["plot", "claim"]
def by_rate(metric):
    """Return for each arm the metric after training, shape (seeds, rates)."""
    return {
        name: np.stack(list(runs.last(metric).values()), axis=1) for name, runs in deaths.items()
    }


dead, born, losses = by_rate("dead"), by_rate("dead at birth"), by_rate("loss")
here, centred, slope = arms
ck.show(ck.plotting.lines(
    {here: dead[here], "the same nets at birth": np.repeat(born[here][:, :1], len(rates), axis=1),
     centred: dead[centred]},
    rates, log="x", crosses="top", title="A high rate kills units",
    xlabel="learning rate", ylabel="dead units after training, %"))  # fmt: skip
ck.show(ck.plotting.lines(
    losses, rates, log="x", crosses="top", title="Where ReLU loses units, LeakyReLU diverges",
    xlabel="learning rate", ylabel="training loss of the runs left"))  # fmt: skip

killed, spared = np.nanmean(dead[here], axis=0), np.nanmean(dead[centred][:, :4])
worst, births, in_place = killed[3:].max(), born[here][:, 0].mean(), np.nanmean(dead[here][:, :4])
ck.prove("With pixels in [0, 1] a rate of 0.5 or 0.7 kills more units than 0.1", worst > killed[1] + 2,
         f"{worst:.1f}% against {killed[1]:.1f}%")  # fmt: skip
ck.prove("At rates up to 0.5 standardised pixels leave fewer dead units, on average", spared < in_place,
         f"{spared:.1f}% against {in_place:.1f}%")  # fmt: skip
lost = {name: int(np.isnan(runs[:, 3:]).sum()) for name, runs in losses.items()}
ck.prove("At 0.5 and 0.7 more runs diverge with LeakyReLU than with ReLU", lost[slope] > lost[here],
         f"{lost[slope]} against {lost[here]} of {2 * n_seeds}")  # fmt: skip
ends = {name: np.nan_to_num(runs, nan=np.inf).mean(axis=0) for name, runs in losses.items()}
ck.prove("With rate 0.7 each of the three diverges in some run, or ends higher than with 0.1",
         all(end[4] > end[1] for end in ends.values()),
         ", ".join(f"{name} {'diverges' if np.isinf(end[4]) else f'{end[4]:.2f}'}, at 0.1 {end[1]:.2f}"
                   for name, end in ends.items()))  # fmt: skip
at_most = {name: int(np.isnan(runs[:, 4]).sum()) for name, runs in losses.items()}  # at 0.7

# %% [markdown]
# **With pixels in [0, 1], {{ killed[1]:.1f }}% of the units are dead after training with rate 0.1, and
# {{ killed[4]:.0f }}% with 0.7{{ f" (in the {n_seeds - at_most[here]} of {n_seeds} runs that did not diverge)" if at_most[here] else "" }}.** From 0.5 on long steps kill. Even the rate
# 0.03 ends above the {{ births:.1f }}% at birth, at {{ killed[0]:.1f }}%; why *fewer* are dead after 0.1 and 0.3
# ({{ killed[2]:.1f }}%), this run does not tell. Perhaps more of them have come back by then (section 4).
#
# - **Standardised pixels** save units: on average over the rates up to 0.5, {{ spared:.1f }}% are dead in place of
#   {{ in_place:.1f }}%. Pixels in $[0, 1]$ are never negative, so a step made for one image moves the
#   pre-activations of *all* images to the same side; centred ones push some up and some down. At 0.7
#   {{ at_most[centred] }} of {{ n_seeds }} runs diverge.
# - **LeakyReLU** has no dead units, and {{ lost[slope] }} of its {{ 2 * n_seeds }} runs at 0.5 and 0.7 diverge; of
#   ReLU's, {{ lost[here] }} on pixels in $[0, 1]$. Dead units are a *symptom* of steps that are too long, and without them the net breaks
#   in another way.
# - Some units are **dead at birth** ({{ births:.1f }}%): what enters the higher layers is never negative, and a
#   unit's weights may happen to be mostly negative. They can come back, as section 4 shows.

# %% [markdown]
# ## 4 · Can the dead come back?
#
# To see it cleanly, kill by hand: in a fresh net 50 of the 100 units of one layer get the bias −4, which puts all
# images on their flat side. Then train with rate 0.1, and count which of the 50 are **silent**,
# that is, have a negative pre-activation for every image, and how many have **moved**, that is, changed a weight.
#
# **Predict first:** how many of the 50 are still silent after eight epochs, if they sit in the first layer?
# If they sit in the third? And with LeakyReLU in place of ReLU?


# %%
def half_silent(activation, layer):
    model = net(activation, optimizer=keras.optimizers.SGD(0.1))
    kernel, bias = model.layers[layer].get_weights()
    bias[:50] = -4
    model.layers[layer].set_weights([kernel, bias])
    return model


patients = {"ReLU, first layer": ("relu", 1), "ReLU, third layer": ("relu", 5),
            "LeakyReLU, first layer": (leaky, 1), "LeakyReLU, third layer": (leaky, 5)}  # fmt: skip
builds = {name: lambda how=how: half_silent(*how) for name, how in patients.items()}
watching = {name: lambda i=i: [Watch(i, raw.x_train)] for name, (_, i) in patients.items()}
healing = ck.compare(builds, raw, epochs=8, seeds=n_seeds, callbacks=watching)
silent, moved = healing.last("silent"), healing.last("moved")

# %% tags=["plot", "claim"]
labels = {name: f"{name} ({moved[name].mean():.0f} of 50 moved)" for name in silent}
ck.show(ck.plotting.strips(
    {labels[name]: counts for name, counts in silent.items()}, like={labels[name]: name for name in silent},
    title="Dead ReLUs of the first layer never move; in the third some come back",
    xlabel="units still silent after eight epochs, of 50"))  # fmt: skip

told = ", ".join(f"{name} {[int(v) for v in values]}" for name, values in silent.items())
born_silent = min(values.min() for values in healing.last("silent at birth").values())
ck.prove("At birth all 50 units are silent in every net", born_silent == 50, f"{born_silent:.0f}")
ck.prove("In the first layer no dead ReLU comes back, and none of its weights has moved",
         silent["ReLU, first layer"].min() == 50 and moved["ReLU, first layer"].max() == 0, told)  # fmt: skip
ck.prove("In the third layer dead ReLUs come back in every net",
         silent["ReLU, third layer"].max() < 50, told)  # fmt: skip
below = silent["LeakyReLU, first layer"]
ck.prove("With LeakyReLU all units of the first layer learn, though most stay below 0 for every image",
         moved["LeakyReLU, first layer"].min() == 50 and below.mean() > 25,
         f"moved {moved['LeakyReLU, first layer'].astype(int)}, silent {below.astype(int)}")  # fmt: skip

# %% [markdown]
# **In the first layer all 50 dead ReLUs stay dead and not one of their weights moves; in the third
# {{ silent["ReLU, third layer"].mean():.0f }} of 50 are still silent after eight epochs.** Its own gradient is 0, but a
# unit of the third layer sees inputs that change: the layers below learn, and lift it back over 0. Nothing
# changes the pixels. So a dead ReLU is lost for good only where nothing below it learns.
#
# A slope below 0 lets the gradient through: all 50 LeakyReLUs of the first layer have moved. Yet after eight
# epochs {{ below.mean():.0f }} of the 50 are still below 0 for every image (of those in the third layer,
# {{ silent["LeakyReLU, third layer"].mean():.0f }}): they learn, but as linear units with a small slope.

# %% [markdown]
# ## 5 · Leaky slopes: fixed, drawn or learned
#
# - **LeakyReLU** (Maas, Hannun and Ng, 2013) came first, with $\alpha = 0.01$; Xu and others (2015) found about
#   0.2 better.
# - **RReLU** draws $\alpha$ anew for every unit and sample in training, and takes the mean afterwards: a noise
#   that **regularises** (holds a net back from learning its training set by heart), as dropout does
#   ([lesson 11](11_dropout.ipynb)).
# - **PReLU** learns $\alpha$ by backpropagation. He and others (2015) gained with it on ImageNet; on small data
#   sets it is said to **overfit** (과대적합).
#
# `ck.activations.RReLU` is a layer that Keras lacks. **Predict first:** you call it on the same negative
# inputs, twice with `training=True` and twice with `training=False`. Which calls agree?

# %% tags=["claim"]
layer, minus_ones = ck.activations.RReLU(seed=1), -np.ones((1000, 100), "float32")
drawn, again = (-np.array(layer(minus_ones, training=True)) for _ in range(2))
at_test = -np.array(layer(minus_ones, training=False))

ck.prove("In training every element has a slope of its own, between 1/8 and 1/3, another in each call",
         len(np.unique(drawn)) > 90_000 and 1 / 8 <= drawn.min() < 0.13 and 0.33 < drawn.max() <= 1 / 3 + 1e-6
         and abs(np.corrcoef(drawn.ravel(), again.ravel())[0, 1]) < 0.02,
         f"{drawn.min():.3f} to {drawn.max():.3f}")  # fmt: skip
ck.prove("At test all have the mean of those slopes",
         np.ptp(at_test) == 0 and abs(at_test.mean() - 11 / 48) < 1e-6
         and abs(drawn.mean() - 11 / 48) < 2e-3, f"{at_test.mean():.4f}, drawn {drawn.mean():.4f}")  # fmt: skip

# %% [markdown]
# **RReLU's slopes lie between {{ drawn.min():.3f }} and {{ drawn.max():.3f }} in training, in no two calls the
# same; afterwards all of them are {{ at_test.mean():.3f }}.** This is the first layer of the course that behaves in
# two ways; batch normalisation and dropout will be the next.

# %% [markdown]
# ## 6 · ELU: what is wrong with a kink?
#
# ReLU's derivative jumps from 0 to 1 at $z = 0$; that of LeakyReLU from α to 1. Suppose that the loss is
# $f(z) - \frac12 z$: one part of it pulls the output $f(z)$ down, another pushes $z$ up. Its slope is
# $f'(z) - \frac12$, so descent with a constant rate comes to rest where $f' = \frac12$. **Predict first:**
# where does $z$ end for each function? For which does it not end at all?


# %%
def descend(slope, rate=0.3, steps=60, z=1.0):
    path = []
    for _ in range(steps):
        z = z - rate * (slope(z) - 0.5)
        path.append(float(z))
    return np.array(path)


paths = {name: descend(act.get(name)[1]) for name in ("relu", "leaky_relu", "elu", "gelu")}
swings = {name: np.ptp(path[-10:]) for name, path in paths.items()}

# %% tags=["plot", "claim"]
ck.show(ck.plotting.lines(
    {name: path[:40] for name, path in paths.items()},
    title="With a kink descent swings to and fro; without one it comes to rest",
    xlabel="step", ylabel="pre-activation z"))  # fmt: skip

kinked, smooth = ("relu", "leaky_relu"), ("elu", "gelu")
told = ", ".join(f"{name} {swing:.2g}" for name, swing in swings.items())
ck.prove("In the last ten steps ReLU and LeakyReLU still swing, ELU and GELU rest",
         min(swings[name] for name in kinked) > 0.05 and max(swings[name] for name in smooth) < 0.005,
         told)  # fmt: skip
ck.prove("ELU rests where its derivative is one half, at −ln 2",
         abs(paths["elu"][-1] + np.log(2)) < 1e-3, f"{paths['elu'][-1]:.4f}")  # fmt: skip

# %% [markdown]
# **After 60 steps ReLU still swings by {{ swings["relu"]:.2f }} and LeakyReLU by
# {{ swings["leaky_relu"]:.2f }}; ELU has come to rest at {{ paths["elu"][-1]:.3f }}, GELU at
# {{ abs(paths["gelu"][-1]):.3f }}.** At a kink the gradient
# jumps from one sign to the other and never gets small, so the steps never get short. ELU with
# $\alpha = 1$ has the slope 1 on both sides of 0, and that is one argument for it; its authors' main one
# comes next. How much a kink costs a whole net, this does not tell: SELU has one, and does well in section 11. (A falling learning rate ends the swinging too:
# [lesson 09](09_learning_rate_schedules.ipynb).)

# %% [markdown]
# ## 7 · SELU: mind the mean
#
# ReLU's outputs are never negative, so their mean is above 0, and the next layer starts from a **bias
# shift** (편향 이동). ELU levels off at $-\alpha$ and pulls the mean back. **Predict first:** a standard
# normal number goes in. Which function of the ReLU family gives the mean nearest to 0, and what is ReLU's
# mean? SELU is ELU times a scale λ. Two wishes, mean 0 and variance 1 for such an input, are two equations
# for λ and α.

# %%
grid = np.linspace(-10, 10, 20_001)
density = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi)


def moment(function, power=1):
    """Return the mean of function(z) ** power for a standard normal z."""
    return np.sum(function(grid) ** power * density) * (grid[1] - grid[0])


names = ["relu", "leaky_relu", "gelu", "mish", "swish", "elu", "selu"]
means = {name: moment(act.get(name)[0]) for name in names}


def two_equations(unknown):
    scale, alpha = unknown
    selu = lambda z: scale * act.elu(z, alpha)  # noqa: E731
    return moment(selu), moment(selu, 2) - 1


scale, alpha = optimize.fsolve(two_equations, (1.0, 1.5))

# %% tags=["plot", "claim"]
ck.show(ck.plotting.bars({name: round(mean, 3) for name, mean in means.items()},
                         title="Of the ReLU family only SELU has mean 0", form=".3f",
                         xlabel="mean output for a standard normal input"))  # fmt: skip

ck.prove("The two equations give SELU's two numbers",
         abs(scale - act.SELU_SCALE) < 1e-4 and abs(alpha - act.SELU_ALPHA) < 1e-4,
         f"λ = {scale:.6f}, α = {alpha:.6f}")  # fmt: skip
told = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())
ck.prove("SELU's mean is 0, ELU's is next, ReLU's is the highest",
         abs(means["selu"]) < 1e-6 < means["elu"] == sorted(means.values())[1]
         and means["relu"] == max(means.values()), told)  # fmt: skip

# %% [markdown]
# **ReLU's mean is {{ means["relu"]:.3f }}, ELU's {{ means["elu"]:.3f }}, SELU's 0, with
# λ = {{ scale:.4f }} and α = {{ alpha:.4f }}, which solve the two equations.** These two numbers are all there
# is to SELU.

# %% [markdown]
# ## 8 · A hundred layers
#
# Mean 0 and variance 1 in, mean 0 and variance 1 out: a fixed point, and one that attracts. A net in which
# it holds is called **self-normalising**. It asks for
#
# 1. standardised inputs;
# 2. LeCun normal weights;
# 3. a plain stack of dense layers, no skip connections;
# 4. no ordinary dropout, which sets random outputs to 0 in training, but alpha dropout in its place, which then
#    restores mean and variance ([lesson 11](11_dropout.ipynb));
# 5. no ℓ1, ℓ2 or max-norm, which pull weights towards 0 or shorten them ([lesson 10](10_regularisation.ipynb));
# 6. no batch normalisation ([lesson 04](04_batch_normalisation.ipynb)), which does the same work again.
#
# `walk` sends every image twice through 100 new layers of 200 units and measures each layer's outputs: mean,
# standard deviation, and the **share of their variance that is due to the image**. What a unit repeats in both
# passes *and* what differs from image to image is due to the image; what differs between the passes is noise
# (dropout); what is the same for all images is a bias. So the share is the covariance of the two passes over the
# images, divided by the variance. It also measures the gradient that comes back from a random signal at the far end. Its arguments break one condition
# each.


# %% tags=["helper"]
def measured(outputs, gradient):
    """Return mean, std, the share of the variance due to the image, and the size of the gradient."""
    outputs, gradient = (np.array(each, dtype=float) for each in (outputs, gradient))
    first, second = (half - half.mean(axis=0) for half in np.split(outputs, 2))
    share = (first * second).mean() / outputs.var()
    return outputs.mean(), outputs.std(), share, np.sqrt((gradient**2).mean())


def normalised(z):
    """Return z as batch normalisation makes it at the start of training."""
    return (z - tf.reduce_mean(z, 0)) / tf.sqrt(tf.math.reduce_variance(z, 0) + 1e-3)


def walk(x, seed, activation="selu", scale=1.0, change=None, drop=None, bn=False, skip=False):
    draw, f = np.random.default_rng(seed), keras.activations.get(activation)
    h, outputs = tf.constant(np.concatenate([x, x])), []
    with tf.GradientTape() as tape:
        tape.watch(h)
        for i in range(100):
            W = draw.normal(0, np.sqrt(scale / h.shape[1]), (h.shape[1], 200)).astype("float32")
            z = h @ (W if change is None else change(W))
            out = f(normalised(z) if bn else z)
            out = out if drop is None else drop(out, training=True)
            h = h + out if skip and i > 0 else out
            outputs.append(h)
        signal = tf.reduce_sum(h * draw.normal(size=h.shape).astype("float32"))
    gradients = tape.gradient(signal, outputs)
    return np.array([measured(*pair) for pair in zip(outputs, gradients, strict=True)])


def pull(W):
    """Return what ℓ2 alone makes of a weight: 1,000 steps, rate 0.1, factor 0.001."""
    return W * (1 - 0.1 * 2 * 0.001) ** 1000


def max_norm(W):
    return np.array(keras.constraints.MaxNorm(0.8)(W))


# %% [markdown]
# First SELU with all conditions kept, and two copies with ReLU: one with SELU's initialiser, one with ReLU's
# own. **Predict first:** what is the standard deviation in layer 100 for ReLU with LeCun's weights? Does
# He's initialiser make ReLU as good as SELU?

# %%
varies = raw.x_train.reshape(n, -1).std(axis=0) > 0  # the edge is white in every image
flat_raw, flat = (each.x_train[:100].reshape(100, -1)[:, varies] for each in (raw, standardised))
walkers = range(lab.seed, lab.seed + n_seeds)  # seeds
twins = {"SELU": {}, "ReLU, LeCun": {"activation": "relu"},
         "ReLU, He": {"activation": "relu", "scale": 2.0}}  # fmt: skip
walked = {name: np.array([walk(flat, seed, **how) for seed in walkers])
          for name, how in twins.items()}  # fmt: skip
last = {
    name: runs[:, -1].mean(axis=0) for name, runs in walked.items()
}  # mean, std, share, gradient

# %% tags=["plot", "claim"]
ck.show(ck.plotting.lines(
    {name: runs[..., 1] for name, runs in walked.items()}, log="y", xlabel="layer",
    ylabel="std of the outputs", title="ReLU keeps its size with He's weights, SELU with LeCun's"))  # fmt: skip
ck.show(ck.plotting.lines(
    {name: walked[name][..., 2] for name in ("SELU", "ReLU, He")}, xlabel="layer",
    ylabel="share of the variance due to the image",
    title="After 100 layers ReLU's outputs are mostly the same for all images, SELU's are not"))  # fmt: skip

mean, std = np.abs(walked["SELU"][..., 0]).max(), walked["SELU"][..., 1]
ck.prove("In each of 100 layers SELU keeps its mean within ±0.1 and its std between 0.8 and 1.25",
         mean <= 0.1 and std.min() >= 0.8 and std.max() <= 1.25,
         f"mean up to {mean:.3f}, std {std.min():.2f} to {std.max():.2f}")  # fmt: skip
faded = last["ReLU, LeCun"][1]
ck.prove("ReLU with LeCun's weights fades to nothing", faded < 1e-6, f"std {faded:.0e}")
ck.prove("With He's weights ReLU keeps its size", 0.1 < last["ReLU, He"][1] < 10,
         f"std {last['ReLU, He'][1]:.2g}")  # fmt: skip
ck.prove("Yet more than 80% of SELU's variance is due to the image, and less than 60% of ReLU's",
         last["SELU"][2] > 0.8 and last["ReLU, He"][2] < 0.6,
         f"{last['SELU'][2]:.0%} against {last['ReLU, He'][2]:.0%} in layer 100")  # fmt: skip

# %% [markdown]
# **In layer 100 SELU has the standard deviation {{ last["SELU"][1]:.2f }}; ReLU has
# {{ last["ReLU, He"][1]:.2g }} with He's weights, and {{ last["ReLU, LeCun"][1]:.0e }} with LeCun's. But
# {{ last["SELU"][2]:.0% }} of SELU's variance tells the images apart, and only {{ last["ReLU, He"][2]:.0% }}
# of ReLU's.** He's factor 2 keeps ReLU's size ([lesson 02](02_weight_initialisation.ipynb)); the mean,
# though, is far from 0, and layer by layer more of each output becomes the same for all
# images. (Of what is left, much is the images' different norms: ReLU passes the norm of its input on.)
#
# ### Break one condition at a time
#
# Eight changes: alpha dropout of 20% (which condition 4 allows, but here it stands in every layer), batch
# normalisation, pixels in $[0, 1]$, He normal weights, ordinary dropout of 20%, weights that ℓ2 has pulled to
# 0.82 of their size, a max-norm of 0.8 for the weights of each unit, and skip connections. **Predict first:**
# which takes the standard deviation out of the band from 0.8 to 1.25 for good, which only for some layers, and
# which not at all?


# %%
broken = {
    "all kept": {},
    "alpha dropout 20%": {"drop": keras.layers.AlphaDropout(0.2, seed=0)},
    "batch normalisation": {"bn": True},
    "pixels in [0, 1]": {"x": flat_raw},
    "He normal": {"scale": 2.0},
    "ordinary dropout 20%": {"drop": keras.layers.Dropout(0.2, seed=0)},
    "pull of ℓ2": {"change": pull},
    "max-norm 0.8": {"change": max_norm},
    "skip connections": {"skip": True},
}
tested = {name: np.array([walk(**{"x": flat, "seed": seed, **how}) for seed in walkers])
          for name, how in broken.items()}  # fmt: skip

# %% tags=["plot"]
fig, axes = plt.subplots(3, 3, figsize=(10, 6.4), sharex=True)
for i, (ax, (name, runs)) in enumerate(zip(axes.flat, tested.items(), strict=True)):
    std = runs[..., 1]
    ax.axhspan(0.8, 1.25, color="#DDDDDD")
    ck.plotting.band(ax, np.arange(1, 101), std, name, 1 if i > 2 else 0)
    ax.set(yscale="log", ylim=(0.2, 5))
    if std.max() > 5:
        ax.set_ylim(0.2, 10 ** np.ceil(np.log10(std.max())))
    else:
        ax.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
        ax.minorticks_off()
    ax.set_title(name + (", another scale" if std.max() > 5 else ""), fontsize=9)
for ax in axes[-1]:
    ax.set_xlabel("layer")
for ax in axes[:, 0]:
    ax.set_ylabel("std of the outputs")
fig.suptitle("Five broken conditions leave the grey band for good, one comes back", x=0.01, ha="left",
             fontsize=11, fontweight="bold")  # fmt: skip
ends = "; ".join(f"{name} ends at {runs[:, -1, 1].mean():.2g}" for name, runs in tested.items())
ck.show(fig, alt=f"Nine panels, standard deviation against layer, each with the band from 0.8 to 1.25 in "
        f"grey: {ends}.")  # fmt: skip
ck.show(ck.plotting.strips(
    {name: runs[:, -1, 2] for name, runs in tested.items()},
    title="A standard deviation of 1 does not mean that the image is still there",
    xlabel="share of the variance due to the image, layer 100"))  # fmt: skip
back = {name: runs[:, 0, 3].mean() for name, runs in tested.items()}
ck.show(ck.plotting.strips(
    {name: runs[:, 0, 3] for name, runs in tested.items()}, log=True,
    title=f"On the way back the gradient grows {back['all kept']:.0f}-fold with all kept; elsewhere it is "
    f"multiplied by {min(back.values()):.0e} to {max(back.values()):.0e}",
    xlabel="size of the gradient in layer 1 (about 1 in layer 100)"))  # fmt: skip


# %% tags=["claim"]
def inside(name, where=slice(None)):
    """Return whether mean and std keep to their bands, shape (seeds, layers)."""
    mean, std = tested[name][:, where, 0], tested[name][:, where, 1]
    return (np.abs(mean) <= 0.1) & (std >= 0.8) & (std <= 1.25)


def ranges(chosen, where=slice(None)):
    stds = {name: tested[name][:, where, 1] for name in chosen}
    return ", ".join(f"{name} {std.min():.2g} to {std.max():.2g}" for name, std in stds.items())


kept = ("all kept", "alpha dropout 20%", "batch normalisation")
ck.prove("Alpha dropout and batch normalisation keep mean and std in their bands in all layers",
         all(inside(name).all() for name in kept), f"std {ranges(kept)}")  # fmt: skip
gone = ("He normal", "ordinary dropout 20%", "pull of ℓ2", "max-norm 0.8", "skip connections")
ck.prove("Five broken conditions put every net outside at the end",
         not any(inside(name, slice(90, None)).any() for name in gone),
         f"std of the last ten layers: {ranges(gone, slice(90, None))}")  # fmt: skip
pixels = inside("pixels in [0, 1]")
ck.prove("Wrong inputs put the first layer outside, and the net heals itself",
         not pixels[:, 0].any() and pixels[:, -1].all(),
         f"{pixels.mean():.0%} of the layers inside, all of the last")  # fmt: skip
share = {name: runs[:, -1, 2].mean() for name, runs in tested.items()}
ck.prove("Alpha dropout in all layers leaves nothing of the image and nothing of the gradient",
         abs(share["alpha dropout 20%"]) < 0.05 and back["alpha dropout 20%"] < 1e-4,
         f"share {share['alpha dropout 20%']:.3f}, gradient {back['alpha dropout 20%']:.0e}")  # fmt: skip
ck.prove("With all conditions kept the gradient grows, but less than a thousandfold",
         1 < back["all kept"] < 1000, f"{back['all kept']:.0f} times")  # fmt: skip

# %% [markdown]
# **He normal, ordinary dropout, a pull on the weights, max-norm and skip connections leave the band for good
# (He normal ends at {{ tested["He normal"][:, -1, 1].mean():.0f }}, ℓ2 at
# {{ tested["pull of ℓ2"][:, -1, 1].mean():.2f }}); wrong inputs heal, and {{ inside("pixels in [0, 1]").mean():.0% }} of
# those layers lie inside.**
#
# - Whatever moves or removes the fixed point leaves the net at another scale for good. Wrong inputs only start away
#   from it, and the fixed point attracts. The first layers still train on a wrong scale.
# - **Batch normalisation** does not spoil mean and standard deviation. It sets them by force, whatever the
#   initialiser; SELU's two numbers are idle then. ({{ share["batch normalisation"]:.0% }} of the variance is due to the image,
#   {{ share["all kept"]:.0% }} with all conditions kept.)
# - **Both kinds of dropout** leave nothing of the image in layer 100 (a share of {{ share["alpha dropout 20%"]:.3f }} and
#   {{ share["ordinary dropout 20%"]:.3f }}, 0 within the noise), although alpha dropout keeps mean and
#   standard deviation perfectly: the rest is its own noise. Use it in the last layers, not in all of them.
# - **The gradient** is no fixed point. With all conditions kept it grows {{ back["all kept"]:.0f }}-fold on its way down, with
#   ℓ2's smaller weights {{ back["pull of ℓ2"]:.1f }}-fold; alpha dropout in every layer leaves
#   {{ back["alpha dropout 20%"]:.0e }} of it.
# - Keras' default, Glorot uniform, breaks nothing in square layers: with $n_\text{in} = n_\text{out}$ its
#   variance *is* LeCun's. In the first and the last layer it differs.

# %% [markdown]
# ## 9 · GELU, Swish, Mish: the smooth ones
#
# **GELU** multiplies $z$ by the probability that a standard normal number is below $z$. **Swish** has a
# sigmoid in its place, and $\beta$ to set or to learn. Both dip below 0
# (section 2). **Predict first:** where is GELU's lowest point, and where does its curve bend the other way?
# And which of the two does **Mish** resemble, Swish or GELU?

# %%
z = np.linspace(-4, 4, 2001)
gelu, swish, mish = act.gelu(z), act.swish(z), act.mish(z)
lowest = optimize.minimize_scalar(act.gelu, bounds=(-3, 0), method="bounded")
bend = np.gradient(act.gelu_derivative(z), z)  # the second derivative
turns = z[1:-2][np.diff(np.sign(bend[1:-1])) != 0]
apart = {"below 0": z < 0, "above 0": z > 0}
from_swish = {side: np.abs(mish - swish)[where].max() for side, where in apart.items()}
from_gelu = {side: np.abs(mish - gelu)[where].max() for side, where in apart.items()}
near_gelu = {beta: np.abs(act.swish(z, beta) - gelu).max() for beta in (1.0, 1.702)}

# %% tags=["plot", "claim"]
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
for name, curve in {"GELU": gelu, "Swish": swish, "Mish": mish}.items():
    left.plot(z, curve, **ck.plotting.look_of(name, marker=False), label=name)
left.plot(lowest.x, lowest.fun, "o", color=ck.plotting.color_of("GELU"))
left.set(xlim=(-4, 1.5), ylim=(-0.35, 1.4), xlabel="z", ylabel="output")
left.set_title("Mish: Swish below 0, nearly GELU above")
left.legend(loc="upper left")
right.plot(z, bend, color=ck.plotting.color_of("GELU"))
right.fill_between(z, bend, 0, where=bend < 0, color=ck.plotting.color_of("GELU"), alpha=0.4)
right.axhline(0, color="black", linewidth=0.8)
right.annotate("bends down", (-2, bend.min()), (-3.9, 0.25), arrowprops={"arrowstyle": "-"})
right.set(xlabel="z", ylabel="second derivative")
right.set_title("GELU is neither convex nor concave")
ck.show(fig, alt="Left: GELU, Swish and Mish around their dips, GELU's minimum marked; Mish lies on Swish "
        "below 0 and near GELU above. Right: GELU's second derivative, positive between −1.41 and 1.41 and "
        "negative outside.")  # fmt: skip

ck.prove("GELU's minimum is about −0.17 near z = −0.75",
         abs(lowest.fun + 0.17) < 5e-4 and abs(lowest.x + 0.75) < 0.01,
         f"{lowest.fun:.4f} at {lowest.x:.4f}")  # fmt: skip
ck.prove("GELU bends both ways and turns at ±√2",
         bend.min() < -1e-3 < 1e-3 < bend.max() and np.abs(np.abs(turns) - 2**0.5).max() < 0.01,
         f"at {', '.join(f'{turn:.2f}' for turn in turns)}")  # fmt: skip
ck.prove("Below 0 Mish is nearer to Swish, above 0 nearer to GELU",
         from_swish["below 0"] < from_gelu["below 0"] / 4
         and from_gelu["above 0"] < from_swish["above 0"] / 4,
         f"below: {from_swish['below 0']:.3f} from Swish, {from_gelu['below 0']:.3f} from GELU; above: "
         f"{from_swish['above 0']:.3f} and {from_gelu['above 0']:.3f}")  # fmt: skip
ck.prove("Swish with β = 1.702 is within 0.021 of GELU", near_gelu[1.702] < 0.021,
         f"{near_gelu[1.702]:.4f}, with β = 1 {near_gelu[1.0]:.3f}")  # fmt: skip
line, hinge = np.abs(act.swish(z, 0.0) - z / 2).max(), np.abs(act.swish(z, 1e3) - act.relu(z)).max()
ck.prove("β = 0 makes Swish the line z/2, a huge β makes it ReLU",
         line < 1e-12 and hinge < 1e-3, f"{line:.0e} and {hinge:.0e} apart")  # fmt: skip

# %% [markdown]
# **GELU is lowest at z = {{ lowest.x:.2f }}, where it gives {{ lowest.fun:.3f }}, and bends the other way at
# ±1.41: some texts call it monotonic and convex; it is neither.** Its second derivative is
# $(2 - z^2)\,\varphi(z)$, with the density $\varphi$ of the normal distribution.
#
# **Mish is Swish below 0 (at most {{ from_swish["below 0"]:.2f }} apart) and nearly GELU above 0 (at most
# {{ from_gelu["above 0"]:.2f }}).** $\beta$ leads from the line $z/2$ ($\beta = 0$) past GELU
# ($\beta = 1.702$: at most {{ near_gelu[1.702]:.2f }} apart) to ReLU ($\beta \to \infty$).

# %% [markdown]
# ## 10 · What do they cost?
#
# ELU, SELU and Swish take an exponential, GELU the error function, Mish an exponential, a logarithm and a tanh.
# But an activation function is never alone: a layer first computes $xW$. **Predict first:** how many times
# as long as with ReLU does a layer of 100 units take with GELU? With Mish?
#
# Each layer makes a million activations from a batch of 10,000 inputs of size 100, forward alone, and
# forward and back. All programs are compiled and run in turn, so that a busy moment of the machine hits all
# of them; the fastest of the rounds counts.


# %% tags=["helper"]
def program(activation, back):
    """Return the compiled function of (x, W): outputs, and with `back` the gradients for x and W."""

    def forward(x, W):
        return activation(x @ W)

    def both(x, W):
        with tf.GradientTape() as tape:
            tape.watch([x, W])
            outputs = forward(x, W)
        return outputs, tape.gradient(outputs, [x, W])

    compiled = tf.function(both if back else forward, jit_compile=True, autograph=False)
    return compiled.get_concrete_function(tf.TensorSpec((10_000, 100)), tf.TensorSpec((100, 100)))


# %%
import time

draw = np.random.default_rng(0)
x = tf.constant(draw.normal(size=(10_000, 100)).astype("float32"))
W = tf.constant(draw.normal(0, 0.1, size=(100, 100)).astype("float32"))
functions = ["relu", "leaky_relu", "elu", "selu", "gelu", "swish", "mish", "linear"]
programs = {(name, back): program(keras.activations.get(name), back)
            for name in functions for back in (False, True)}  # fmt: skip
seconds = dict.fromkeys(programs, np.inf)
for _ in range(15):
    for which, run in programs.items():  # in the first round it is compiled
        began = time.perf_counter()
        run(x, W)
        seconds[which] = min(seconds[which], time.perf_counter() - began)
ahead, cost = ({name: seconds[name, back] / seconds["relu", back] for name in functions}
               for back in (False, True))  # fmt: skip

# %% tags=["plot", "claim"]
for multiple, way in ((ahead, "forward"), (cost, "forward and back")):
    ck.show(ck.plotting.bars(multiple, form=".2f",
                             title=f"With Mish a layer takes {multiple['mish']:.1f} times as long as with ReLU, {way}",
                             xlabel=f"time {way}, as a multiple of ReLU's layer"))  # fmt: skip

told = ", ".join(f"{name} {1e3 * seconds[name, False]:.1f} and {1e3 * seconds[name, True]:.1f} ms"
                 for name in functions)  # fmt: skip
ck.prove("Forward and back takes longer than forward alone with every function",
         all(seconds[name, False] < seconds[name, True] for name in functions), told)  # fmt: skip
ck.prove("A layer with Mish takes longer than one with ReLU", cost["mish"] > 1.05,
         f"{cost['mish']:.2f} times")  # fmt: skip

# %% [markdown]
# **Forward and back, a layer of 100 units takes {{ cost["gelu"]:.2f }} times as long with GELU as with ReLU,
# {{ cost["swish"]:.2f }} times with Swish, {{ cost["mish"]:.2f }} times with Mish; the product $xW$ alone
# (`linear`) {{ cost["linear"]:.2f }}. Forward alone, as in a prediction, it is {{ ahead["gelu"]:.2f }},
# {{ ahead["swish"]:.2f }}, {{ ahead["mish"]:.2f }} and {{ ahead["linear"]:.2f }}.** With more inputs the product grows and the function does
# not, so the ratios fall. (LeakyReLU, which cannot be faster than ReLU, has {{ ahead["leaky_relu"]:.2f }} and
# {{ cost["leaky_relu"]:.2f }}: so large is the noise.) These are ratios of one machine; measure yours where a prediction has to be quick.

# %% [markdown]
# ## 11 · A deep net, one race
#
# A net of {{ hidden }} hidden layers of 50 units on standardised pixels, trained by Adam with He's weights
# (LeCun's for SELU) and the same batches in the same order for all: {{ race_epochs }} epochs of
# {{ f"{n_race:,}" }} images, a short race. Each function gets the learning rate that
# suits it, found by the same search: each rate is tried with {{ race_seeds }} seeds that the race does not use, and
# where the best rate is the first or the last of the list, the list is made longer.
# (In the profile `quick` only three start, with 5 layers; in `full` the net has 20.)
#
# **Predict first:** which one ends lowest? Will it lead by more than the luck of the seeds?

# %%
slopes = keras.initializers.Constant(0.25)
racers = {"ReLU": "relu", "LeakyReLU": leaky, "RReLU": ck.activations.RReLU(),
          "PReLU": keras.layers.PReLU(alpha_initializer=slopes), "ELU": "elu", "SELU": "selu",
          "GELU": "gelu", "Swish": "swish", "Swish with learned β": ck.activations.TrainableSwish(),
          "Mish": "mish"}  # fmt: skip


def racer(name):
    how = "lecun_normal" if name == "SELU" else "he_normal"
    return lambda: net(racers[name], hidden, units=50, initializer=how, optimizer="adam")


images, builds = data.standardized(), {name: racer(name) for name in racing or racers}
race = ck.compare(builds, images, epochs=race_epochs, batch_size=64, seeds=race_seeds,
                  rates=(0.001, 0.003), search_seeds=race_seeds)  # fmt: skip
ck.show(race.final("val_loss"))

race.table("val_loss")

# %% tags=["claim"]
ends = race.last("val_loss")
means = {name: values.mean() for name, values in ends.items()}
first, last_one = min(means, key=means.get), max(means, key=means.get)
spread = np.mean([values.std(ddof=1) for values in ends.values()])
guessing = np.log(10)
ck.prove(f"With every function a net of {hidden} layers learns", means[last_one] < 0.8 * guessing,
         f"validation loss {means[last_one]:.2f} at most, guessing {guessing:.2f}")  # fmt: skip
ck.prove("No best rate stands at the end of its list",
         all(min(found) < race.rates[name] < max(found) for name, found in race.searched.items()),
         ", ".join(f"{name} {rate:.2g}" for name, rate in race.rates.items()))  # fmt: skip
passed = {name: 2 * moment(act.get(name)[0], 2) for name in ("relu", "gelu", "swish")}
ck.prove("Behind a layer with He's weights ReLU keeps the mean square, GELU and Swish lose some of it",
         abs(passed["relu"] - 1) < 1e-3 and max(passed["gelu"], passed["swish"]) < 0.9,
         ", ".join(f"{name} {share:.2f}" for name, share in passed.items()))  # fmt: skip
betas = [
    float(layer.beta)
    for layer in race.models["Swish with learned β"].layers
    if hasattr(layer, "beta")
]
ck.prove("Each layer has learned a β of its own",
         len(set(betas)) == hidden and 1.0 not in betas,
         f"from {min(betas):.2f} to {max(betas):.2f}, started at 1")  # fmt: skip

# %% [markdown]
# **{{ first }} ends lowest, at {{ means[first]:.2f }}, {{ last_one }} highest, at {{ means[last_one]:.2f }}; the seeds of
# one function have a standard deviation of {{ spread:.2f }}.** With each of them a net of {{ hidden }} layers learns.
# {{ race.verdict("val_loss").text }} (A function whose runs scatter widely may lie further off and still not
# be told apart.) Whoever compares one run of each may find another order next time.
#
# One thing is known before any training: He's factor 2 makes up for what *ReLU* takes, half of the mean square.
# Behind one layer with He's weights GELU keeps {{ passed["gelu"]:.0% }} of it and Swish {{ passed["swish"]:.0% }}, so
# that their signal fades with depth. Adam rescales every step and copes with that. Where $\beta$ is learned, the
# layers have moved it from 1 to values between {{ min(betas):.2f }} and {{ max(betas):.2f }}.
#
# ### Which one should you take?
#
# What is usually recommended (after Géron, chapter 11), as a place to start from:
#
# | situation | start with | why |
# |---|---|---|
# | simple task, shallow net | ReLU | cheap, well supported, good enough |
# | deeper net | Swish, with batch normalisation ([lesson 04](04_batch_normalisation.ipynb)) | smooth, no dead units |
# | the hardest tasks | Swish with learned $\beta$ | one number more for each layer |
# | little time for a prediction | LeakyReLU or ReLU | no exponential |
# | deep plain stack of dense layers | SELU, all conditions kept | normalises itself |
# | much data, units dying | PReLU | learns its slopes |
# | overfitting | RReLU among others | its noise regularises |
#
# These are experiences with other nets, mostly convolutional ones on large data sets, and not laws. The race
# above is one test of the fifth row; make yours with your own net and data.

# %% [markdown]
# ## Pitfalls
#
# ### Both branches are computed
#
# `where(z > 0, z, exp(z) - 1)` looks like ELU and gives its values. **Predict first:** what is its gradient
# at $z = 100$?


# %%
def naive_elu(z):
    return tf.where(z > 0, z, tf.exp(z) - 1)


def careful_elu(z):
    return tf.where(z > 0, z, tf.math.expm1(tf.minimum(z, 0.0)))


def gradient_of(f, z):
    with tf.GradientTape() as tape:
        tape.watch(z)
        outputs = f(z)
    return tape.gradient(outputs, z).numpy()


at = tf.constant([-2.0, 3.0, 100.0])
print("naive  ", gradient_of(naive_elu, at))
print("careful", gradient_of(careful_elu, at))

# %% tags=["claim"]
ck.prove("Both give the same values, but the naive gradient at 100 is NaN, the careful one 1",
         np.allclose(naive_elu(at), careful_elu(at), rtol=1e-6)
         and np.isnan(gradient_of(naive_elu, at)[2]) and gradient_of(careful_elu, at)[2] == 1,
         f"{gradient_of(naive_elu, at)[2]} and {gradient_of(careful_elu, at)[2]:g}")  # fmt: skip
minus_one = tf.constant([-1.0])
by_layer = -float(keras.layers.LeakyReLU()(minus_one)[0])
by_function = -float(keras.activations.leaky_relu(minus_one)[0])
ck.prove("Keras' layer and Keras' function have different slopes by default",
         abs(by_layer - 0.3) < 1e-6 and abs(by_function - 0.2) < 1e-6,
         f"{by_layer:.2g} and {by_function:.2g}")  # fmt: skip
prelu, dense = keras.layers.PReLU(), keras.layers.Dense
twice = keras.Sequential([keras.Input((4,)), dense(8), prelu, dense(8), prelu])
extra = twice.count_params() - (4 * 8 + 8) - (8 * 8 + 8)
ck.prove("One PReLU object in two places has one set of 8 slopes", extra == 8, f"{extra} slopes")

# %% [markdown]
# `where` chooses after both sides have been computed; on the way back the side that was thrown away sends
# $0 \cdot \infty$, which is NaN. Cut the argument *before* the exponential.
#
# ### More
#
# - **Three defaults for one slope.** `keras.layers.LeakyReLU()` has {{ by_layer:.2g }},
#   `keras.activations.leaky_relu` {{ by_function:.2g }}, the first paper 0.01. Always write `negative_slope=`.
#   (The old name `alpha=` only warns; ELU's `alpha=` is still called so.)
# - **Counting dead units on one batch.** A unit that is silent for 32 images may speak for the next.
# - **SELU with He, ordinary dropout or a skip connection.** Nothing warns you; section 8 shows what you lose.
# - **`training=True` left on for RReLU** at prediction: every call gives another answer.
# - **One PReLU object in two places** is one layer with {{ extra }} slopes, not two layers. Make one for each place
#   (`ck.models.mlp` makes a copy for each layer).
# - **PReLU behind a convolution** has one slope for each *pixel*; `shared_axes=[1, 2]` gives one for each
#   channel.
# - **"SELU makes batch normalisation needless"** holds for plain stacks of dense layers only.
#
# ## What to do tomorrow
#
# 1. Start with ReLU and He's weights; count dead units on many images before you suspect anything else.
# 2. If units die, lower the learning rate first; then take a function with a slope below 0.
# 3. Deep stack of dense layers without normalisation: SELU, standardised inputs, LeCun normal weights, nothing else.
# 4. Otherwise try Swish or GELU, each with a learning rate of its own, over several seeds.
# 5. Write slopes, β and initialiser out; the defaults differ from place to place.
#
# ## Recap
#
# - Without a curve between them, layers collapse into one.
# - A ReLU unit is dead if it is 0 for every sample. Long steps kill it; only learning in the layers below
#   can bring it back.
# - A kink makes descent swing; ELU has none. A mean above 0 drowns the image in what all have in common: hence ELU
#   and SELU.
# - SELU keeps mean 0 and variance 1 over 100 layers; five broken conditions end that, wrong inputs heal.
# - GELU, Swish and Mish are smooth, dip below 0 and are neither convex nor monotonic.
#
# ## Now practise
#
# Open [exercise 03](../exercises/03_activation_functions.ipynb): write six activation functions that survive
# $|z| = 1000$, three layers for Keras, and the counter of dead units. Then go on with lesson
# [04 Batch normalisation](04_batch_normalisation.ipynb).
#
# ## Further reading
#
# - A. L. Maas, A. Y. Hannun and A. Y. Ng, *Rectifier Nonlinearities Improve Neural Network Acoustic Models*,
#   ICML 2013 workshop on deep learning for audio, speech and language processing: section 2, leaky ReLU.
# - K. He, X. Zhang, S. Ren and J. Sun, *Delving Deep into Rectifiers: Surpassing Human-Level
#   Performance on ImageNet Classification*, ICCV 2015, arXiv:1502.01852: section 2.1, PReLU.
# - B. Xu, N. Wang, T. Chen and M. Li, *Empirical Evaluation of Rectified Activations in Convolutional
#   Network*, 2015, arXiv:1505.00853: sections 2 and 3, leaky, parametric and randomised ReLU.
# - D.-A. Clevert, T. Unterthiner and S. Hochreiter, *Fast and Accurate Deep Network Learning by Exponential
#   Linear Units (ELUs)*, ICLR 2016, arXiv:1511.07289: section 2, the bias shift.
# - G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, *Self-Normalizing Neural Networks*, NeurIPS 2017,
#   arXiv:1706.02515: the fixed point, and alpha dropout.
# - D. Hendrycks and K. Gimpel, *Gaussian Error Linear Units (GELUs)*, 2016, arXiv:1606.08415.
# - P. Ramachandran, B. Zoph and Q. V. Le, *Searching for Activation Functions*, 2017, arXiv:1710.05941:
#   section 5, experiments with Swish.
# - D. Misra, *Mish: A Self Regularized Non-Monotonic Activation Function*, BMVC 2020, arXiv:1908.08681.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "Better Activation Functions".
