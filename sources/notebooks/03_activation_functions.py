# %% [markdown]
# # 03 Activation functions
#
# Between two linear maps stands one small curve. Without it a deep net is a single straight line; with
# the wrong one half of the net may die on the first day. Which curve should it be?
#
# ## What you will be able to do
#
# In about 40 minutes you will be able to
#
# - draw the usual **activation functions** (활성화 함수) with their derivatives, and say what each was
#   made for;
# - count **dead** ReLU units, say what kills them, and what a negative slope can and cannot cure;
# - keep a net of 100 layers at mean 0 and standard deviation 1 without any normalisation layer, and
#   name the conditions for it, each of them broken once before your eyes;
# - tell GELU, Swish and Mish apart, and what they cost;
# - choose one for a task, by validation and not by fashion.

# %%
import coursekit as ck

lab = ck.setup(seed=42)

import contextlib
import io
import time
import warnings

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from scipy import optimize, special

act = ck.scratch.activations  # in NumPy: act.gelu(z), act.gelu_derivative(z), ...
COLORS = ck.plotting.COLORS

# %%
n, epochs, n_seeds, race_rates, not_racing = lab.pick(
    quick=(3_000, 2, 2, (0.001,), ("LeakyReLU 0.01", "LeakyReLU 0.2", "RReLU", "PReLU", "ELU")),
    standard=(6_000, 3, 3, (0.0003, 0.001), ()),
    full=(20_000, 8, 5, (0.0003, 0.001, 0.003), ()),
)
data = ck.load("mnist").subset(n)
raw, standardised, y = data.x_train, data.standardized().x_train, data.y_train
x_valid, y_valid = data.standardized().x_valid[:2000], data.y_valid[:2000]
print(f"{data.name} ({data.source}): {n:,} training images, {len(y_valid):,} for validation")

# %% [markdown]
# ## 1 · The family
#
# Here $z$ is the weighted sum that enters a unit, $\sigma$ the sigmoid, $\Phi$ the distribution function
# of the standard normal distribution, and $\text{softplus}(z) = \log(1 + e^z)$.
#
# | function | formula | set by | weights start with |
# |---|---|---|---|
# | sigmoid, tanh | $\sigma(z) = 1/(1 + e^{-z})$, $\tanh z$ | | Glorot |
# | ReLU | $\max(0, z)$ | | He |
# | LeakyReLU | $\max(\alpha z, z)$ | $\alpha$ fixed: 0.01 to 0.3 | He |
# | RReLU | the same | $\alpha$ drawn at random in training, its mean at test | He |
# | PReLU | the same | $\alpha$ learned, one for each unit | He |
# | ELU | $z$ if $z > 0$, else $\alpha(e^z - 1)$ | $\alpha$, usually 1 | He |
# | SELU | $1.0507 \cdot \text{ELU}$ with $\alpha = 1.6733$ | two fixed numbers | LeCun |
# | GELU | $z\,\Phi(z)$ | | He |
# | Swish, SiLU | $z\,\sigma(\beta z)$ | $\beta$: 1, another number, or learned | He |
# | Mish | $z \tanh(\text{softplus}(z))$ | | He |
#
# **Predict first:** which of them have a derivative of exactly 0 over a whole stretch? Which ones come
# down again somewhere, as $z$ grows?

# %%
panels = {
    "sigmoid": [("sigmoid", {})],
    "tanh": [("tanh", {})],
    "ReLU": [("relu", {})],
    "LeakyReLU, α = 0.2": [("leaky_relu", {"negative_slope": 0.2})],
    "RReLU, α from 1/8 to 1/3": [("leaky_relu", {"negative_slope": a}) for a in (1 / 8, 1 / 3)],
    "PReLU, α learned": [("leaky_relu", {"negative_slope": a}) for a in (-0.1, 0.25, 0.6)],
    "ELU, α = 1": [("elu", {"alpha": 1.0})],
    "SELU": [("selu", {})],
    "GELU": [("gelu", {})],
    "Swish, β = 1": [("swish", {"beta": 1.0})],
    "Swish, β = 0, 0.3, 5": [("swish", {"beta": b}) for b in (0.0, 0.3, 5.0)],
    "Mish": [("mish", {})],
}
z = np.linspace(-4, 4, 401)
fig, axes = plt.subplots(3, 4, figsize=(10, 6.6), sharex=True, sharey=True)
for ax, (title, curves) in zip(axes.flat, panels.items(), strict=True):
    for i, (name, setting) in enumerate(curves):
        function, derivative = act.get(name)
        label = ("function", "derivative") if i == 0 else (None, None)
        ax.plot(z, derivative(z, **setting), color=COLORS[1], linestyle="--", linewidth=1.2,
                label=label[1])  # fmt: skip
        ax.plot(z, function(z, **setting), color=COLORS[0], linestyle="-", label=label[0])
    ax.set_title(title, fontsize=9)
    ax.set(xlim=(-4, 4), ylim=(-2, 3))
axes[0, 0].legend(loc="upper left", fontsize=8)
for ax in axes[-1]:
    ax.set_xlabel("z")
ck.show(
    fig,
    alt="Twelve small panels, each with a function (solid) and its derivative (dashed). Sigmoid and tanh "
    "level off at both ends; ReLU's derivative is 0 left of 0; the leaky ones keep a slope there; ELU and "
    "SELU level off below 0; GELU, Swish and Mish dip below 0 and come back to it.",
)

# %% [markdown]
# Only **ReLU** is exactly flat over a whole half-line. Sigmoid and tanh come near it at both ends, ELU
# and SELU at the left one: a derivative near 0 is slow, a derivative of 0 is the end. GELU,
# Swish and Mish fall first and then rise: they are **not monotonic**.
#
# Are the formulas right? Each is compared with a formula written another way, with scipy where scipy
# has one, and with Keras; each derivative with the slope of a tiny step.

# %% tags=["claim"]
square = lambda z: (1 + np.exp(z)) ** 2  # noqa: E731
independent = {
    "sigmoid": special.expit,
    "tanh": lambda z: 2 * special.expit(2 * z) - 1,
    "softplus": lambda z: -special.log_expit(-z),
    "relu": lambda z: (z + np.abs(z)) / 2,
    "leaky_relu": lambda z: 0.6 * z + 0.4 * np.abs(z),
    "elu": lambda z: np.maximum(z, 0) + special.expm1(np.minimum(z, 0)),
    "selu": lambda z: 1.05070098 * np.maximum(z, 0) + 1.75809934 * special.expm1(np.minimum(z, 0)),
    "gelu": lambda z: z * special.ndtr(z),
    "swish": lambda z: z * special.expit(z),
    "mish": lambda z: z * (square(z) - 1) / (square(z) + 1),
}
z = np.linspace(-8, 8, 3202)  # no kink among these points
for name, formula in independent.items():
    function, derivative = act.get(name)
    by_keras = np.array(keras.activations.get(name)(z.astype("float32")))
    slope = (function(z + 1e-6) - function(z - 1e-6)) / 2e-6
    gaps = {"formula": formula(z) - function(z), "Keras": by_keras - function(z),
            "slope": slope - derivative(z)}  # fmt: skip
    for what, gap in gaps.items():
        worst, allowed = np.abs(gap).max(), 5e-6 if what == "Keras" else 1e-6
        assert worst < allowed, f"{name}, {what}: expected a gap below {allowed}, got {worst:.1e}"
print("to 1e-6 (Keras, in float32, to 5e-6):", *independent)

# %% [markdown]
# ## 2 · Dying ReLU
#
# A ReLU unit is **dead** if its sum is negative for *every* sample. Then its output is 0, its derivative
# is 0, and its incoming weights get no gradient: nothing in this layer can bring it back.
#
# What kills units? One long step that pushes the bias or the weights far down. So the learning rate is
# the suspect. A net of three hidden layers of 100 units is trained by plain SGD on raw pixels, from the
# same starting weights with each rate.
#
# **Predict first:** what share of the units is dead after training with rate 0.01, 0.1 and 0.7? And if
# you standardise the pixels: more or fewer?


# %%
def compiled(activation, hidden=3, optimizer=keras.optimizers.SGD, **settings):
    model = ck.models.mlp((28, 28), 10, hidden=hidden, activation=activation)
    model.compile(optimizer(0.01, **settings), loss="sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    model.first_weights = model.get_weights()
    return model


def restart(model, seed, rate, gain=2.0):
    """Kernels of `seed` with variance gain / fan_in (2: He, 1: LeCun), all else as built."""
    draw, weights = np.random.default_rng(seed), [w.copy() for w in model.first_weights]
    for w in weights:
        if w.ndim == 2:
            w[:] = draw.normal(0, np.sqrt(gain / w.shape[0]), w.shape)
    model.set_weights(weights)
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = rate


def train(model, x, y, epochs, seed, batch_size=32):
    """Train; return the loss on all of x afterwards, infinite if the training diverged."""
    with contextlib.redirect_stdout(io.StringIO()):  # ck.fit says where it diverged
        history = ck.fit(model, x, y, epochs=epochs, batch_size=batch_size, verbose=0, seed=seed)
    return np.inf if history.diverged_at else loss_of(model, x, y)


def loss_of(model, x, y):
    right = np.take_along_axis(np.array(model(x)), y[:, None], axis=1)
    loss = -np.log(np.maximum(right, 1e-7)).mean()
    return loss if np.isfinite(loss) else np.inf


# %% [markdown]
# `ck.diagnostics.dead_units` runs all images through the net and counts, layer by layer, the units that
# never left 0. You write it yourself in the exercise.


# %%
def share_of_dead(model, x):
    table = ck.diagnostics.dead_units(model, x)
    return sum(table.column("dead")) / sum(table.column("units"))


rates, few = [0.01, 0.1, 0.3, 0.5, 0.7], slice(0, 2_000)
relu, leaky = compiled("relu"), compiled(keras.layers.LeakyReLU(negative_slope=0.2))
cases = {"ReLU": (relu, raw[few]), "ReLU, standardised": (relu, standardised[few]),
         "LeakyReLU": (leaky, raw[few])}  # fmt: skip
dead_seeds = n_seeds + 1
losses = {case: np.full((dead_seeds, len(rates)), np.inf) for case in cases}
dead = {case: np.full((dead_seeds, len(rates)), np.nan) for case in list(cases)[:2]}
for case, (model, x) in cases.items():
    for seed in range(dead_seeds):
        for i, rate in enumerate(rates):
            restart(model, seed, rate)
            losses[case][seed, i] = train(model, x, y[few], epochs=3, seed=seed)
            if case in dead and np.isfinite(losses[case][seed, i]):
                dead[case][seed, i] = share_of_dead(model, x)
restart(relu, 0, 0.01)
print(f"dead before any training, one net: {share_of_dead(relu, raw[few]):.1%} on raw pixels, "
      f"{share_of_dead(relu, standardised[few]):.1%} on standardised ones")  # fmt: skip

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
dead_share = {}
for i, (case, runs) in enumerate(dead.items()):
    counted = [column[~np.isnan(column)] for column in runs.T]  # runs that did not diverge
    there = [r for r, column in zip(rates, counted, strict=True) if len(column)]
    dead_share[case] = {r: c.mean() for r, c in zip(rates, counted, strict=True) if len(c)}
    ends = [(100 * column.min(), 100 * column.max()) for column in counted if len(column)]
    left.fill_between(there, *zip(*ends, strict=True), color=COLORS[i], alpha=0.2)
    left.semilogx(there, [100 * v for v in dead_share[case].values()],
                  **ck.plotting.line_kw(i), label=case)  # fmt: skip
left.set(xlabel="learning rate (log scale)", ylabel="dead units, %",
         title=f"Dead units, mean and range of {dead_seeds} seeds")  # fmt: skip
left.legend()
for i, (case, runs) in enumerate(losses.items()):
    shown = np.minimum(np.median(runs, axis=0), 2.6)
    right.semilogx(rates, shown, ck.plotting.MARKERS[i], **ck.plotting.line_kw(i), label=case)
right.axhline(np.log(10), color="black", linestyle=":", linewidth=1, label="guessing")
right.set(xlabel="learning rate (log scale)", ylabel="training loss, median (cut at 2.6)",
          title="And what was learned")  # fmt: skip
right.legend(fontsize=8)
ck.show(
    fig,
    alt="Left: share of dead units against learning rate for ReLU on raw and on standardised pixels. "
    "Right: median training loss against learning rate for both and for LeakyReLU on raw pixels; a "
    "point at the top edge has diverged.",
)
for case, runs in losses.items():
    for i, rate in enumerate(rates):
        gone, share = np.isinf(runs[:, i]).sum(), dead_share.get(case, {}).get(rate)
        print(f"{case:19s} rate {rate:<5} diverged {gone} of {dead_seeds}"
              + (f"   dead {share:.1%}" if share is not None else ""))  # fmt: skip

# %% tags=["claim"]
high = max(dead_share["ReLU"].get(rate, 0) for rate in (0.5, 0.7))
low = dead_share["ReLU"][0.1]
assert high > low + 0.02, f"a large rate should kill more: {high:.1%} against {low:.1%} at 0.1"
centred = dead_share["ReLU, standardised"].get(0.5, 0.0)
assert centred < dead_share["ReLU"][0.5], (
    f"with standardised pixels fewer should die at rate 0.5: {centred:.1%} against "
    f"{dead_share['ReLU'][0.5]:.1%}"
)

# %% [markdown]
# Three things to read from it.
#
# - A large rate kills; "up to half of the units" is what you see just before the training falls apart.
#   Compare the two smallest rates, too: a few units are **dead at birth**, because what comes in is
#   never negative and a unit's weights may happen to be mostly negative. Training can revive units
#   above the first layer, and a tiny rate gives it no time to.
# - **Standardised inputs** spare units, up to the rates at which the training falls apart (the list says
#   where runs diverge). If all inputs are positive, one step moves the sums of *all* samples to the same
#   side; if they are centred, it cannot.
# - LeakyReLU has no dead units by construction. That does not make a large rate a good one: look
#   where its curve leaves the picture. Dead units are a *symptom* of steps that are too long.
#
# ### Can the dead come back?
#
# Take the nets that the rate 0.7 damaged most, and go on with the gentle rate 0.03: once as they are,
# once with every ReLU replaced by a LeakyReLU, **the weights untouched**.
#
# **Predict first:** the dead units of the first layer: how many are alive after the gentle training with
# ReLU, and how many with LeakyReLU?

# %%
x, revived, after = raw[few], {"ReLU": [], "LeakyReLU": []}, {"ReLU": [], "LeakyReLU": []}


def silent(model, x):
    """Which units of the first layer have a negative sum for every sample?"""
    kernel, bias = model.get_weights()[:2]
    return (x.reshape(len(x), -1) @ kernel + bias <= 0).all(axis=0)


for seed in range(dead_seeds):
    restart(relu, seed, 0.7)
    train(relu, x, y[few], epochs=1, seed=seed)
    damaged = relu.get_weights()
    if not all(np.isfinite(w).all() for w in damaged) or not (killed := silent(relu, x)).any():
        continue
    for name, model in (("ReLU", relu), ("LeakyReLU", leaky)):
        restart(model, seed, 0.03)
        model.set_weights(damaged)
        after[name].append(train(model, x, y[few], epochs=3, seed=seed))
        if np.isfinite(after[name][-1]):
            alive_again = killed & ~silent(model, x)
            revived[name].append((int(killed.sum()), int(alive_again.sum())))
for name in revived:
    counts = ", ".join(f"{back} of {n_dead}" for n_dead, back in revived[name])
    print(f"{name:10s} came back: {counts}; losses afterwards", *np.round(after[name], 3))

# %% tags=["claim"]
assert revived["ReLU"], "rate 0.7 should have killed units of the first layer in at least one net"
back = {name: sum(b for _, b in pairs) for name, pairs in revived.items()}
assert back["ReLU"] == 0, f"no dead ReLU of the first layer should come back; {back['ReLU']} did"
assert back["LeakyReLU"] > 0, "with a slope below 0 some silent units should come back"

# %% [markdown]
# **Verdict:** a dead ReLU of the first layer stays dead: no gradient, no way back. (A deeper one can be
# revived by a change in the layers below it.) A negative slope lets the gradient through, and units come
# back. Whether the *net* recovers is another matter. The first training has left huge weights: a loss of
# `inf` above means that a net diverged once the gradient flowed again (its units are not counted). So
# keep the rate sane and the inputs centred first, and choose a leaky function for what is left.

# %% [markdown]
# ## 3 · Which slope? Fixed, drawn, or learned
#
# - **LeakyReLU** with $\alpha = 0.01$ was the first; Xu et al. (2015) found 0.2 or so better.
# - **RReLU** draws $\alpha$ anew for every unit and sample *in training*, and takes the mean at test: a
#   noise that **regularises**, like dropout.
# - **PReLU** learns $\alpha$ by backpropagation. He et al. (2015) gained with it on a very large data set; on
#   small ones it is said to **overfit**.
#
# `ck.activations.RReLU` is a layer that Keras lacks. The same negative inputs, four times:

# %%
layer, negative = ck.activations.RReLU(seed=1), -np.ones((1, 6), "float32")
for training in (True, True, False, False):
    print(f"training={training!s:5}", np.array(layer(negative, training=training))[0].round(3))
drawn = np.array(layer(-np.ones((1000, 100), "float32"), training=True))
print(f"slopes drawn: {-drawn.max():.3f} to {-drawn.min():.3f}, mean {-drawn.mean():.4f}")

# %% tags=["claim"]
at_test = np.array(layer(negative))
assert np.ptp(at_test) == 0, "at test every unit should have the same slope"
assert abs(at_test[0, 0] + 11 / 48) < 1e-6, f"that slope should be the mean: {at_test[0, 0]}"
assert abs(drawn.mean() - at_test[0, 0]) < 2e-3, "drawn slopes should average to the one at test"
learner = keras.layers.PReLU()
learner.build((None, 4))
learner.set_weights([np.array([0.0, 0.1, -0.2, 1.5])])
out = np.array(learner(-np.ones((1, 4))))[0]
assert np.allclose(out, [0.0, -0.1, 0.2, -1.5]), f"PReLU should give −α at −1, got {out}"

# %% [markdown]
# **Predict first:** trained on 300 images only, and on ten times as many or more: which of the four has the
# lowest validation loss? Does PReLU fall behind on the small set? Does RReLU's noise pay there?

# %%
slopes = {
    "α = 0.01": keras.layers.LeakyReLU(negative_slope=0.01),
    "α = 0.2": keras.layers.LeakyReLU(negative_slope=0.2),
    "RReLU": ck.activations.RReLU(),
    "PReLU": keras.layers.PReLU(alpha_initializer=keras.initializers.Constant(0.25)),
}
sizes = {300: 20, n: epochs}  # images: epochs
outcome = {size: {} for size in sizes}
for name, activation in slopes.items():
    model = compiled(activation, momentum=0.9)
    for size, passes in sizes.items():
        runs = []
        for seed in range(n_seeds):
            restart(model, seed, 0.02)
            fitted = train(model, standardised[:size], y[:size], passes, seed, batch_size=64)
            runs.append((fitted, loss_of(model, x_valid, y_valid)))
        outcome[size][name] = np.array(runs)
    if name == "PReLU":
        learned_slopes = [w for w in model.get_weights() if w.ndim == 1][1:-1:2]

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 2.9), width_ratios=[1, 1, 0.9])
for ax, (size, groups) in zip(axes, outcome.items(), strict=False):
    ck.plotting.strip(ax, {name: runs[:, 1] for name, runs in groups.items()}, "validation loss")
    ax.set_title(f"Trained on {size:,} images", fontsize=10)
for i, values in enumerate(learned_slopes):
    axes[2].hist(values, np.linspace(-0.2, 0.8, 26), histtype="step", linewidth=1.6,
                 **ck.plotting.line_kw(i), label=f"layer {i + 1}")  # fmt: skip
axes[2].set(xlabel="learned slope", ylabel="units")
axes[2].set_title("PReLU's slopes, started at 0.25", fontsize=10)
axes[2].legend(fontsize=8)
ck.show(
    fig,
    alt="Two panels with the validation loss of every seed for slopes 0.01 and 0.2, RReLU and PReLU, on a "
    "small and on a larger training set; on the right, histograms of the slopes that PReLU learned "
    "in each of three layers.",
)
for size, groups in outcome.items():
    for name, runs in groups.items():
        fitted, held_out = runs.mean(axis=0)
        print(f"{size:6,} images  {name:9s} training {fitted:.4f}   validation {held_out:.3f}")
    averages = [runs[:, 1].mean() for runs in groups.values()]
    spread = np.mean([runs[:, 1].std(ddof=1) for runs in groups.values()])
    print(f"{size:6,} images  best to worst {np.ptp(averages):.3f}, "
          f"typical spread between seeds {spread:.3f}")  # fmt: skip

# %% tags=["claim"]
small, large = (groups for groups in outcome.values())
for groups in (small, large):
    assert all(np.isfinite(runs).all() for runs in groups.values()), "no run should diverge"
moved = np.abs(np.concatenate(learned_slopes) - 0.25).max()
assert moved > 0.01, f"PReLU should have changed its slopes; the largest change is {moved:.4f}"

# %% [markdown]
# **Verdict:** read the last line of each block before the names. Where the distance from best to worst is of
# the size of the spread between seeds, this experiment cannot tell the four apart; where it is larger,
# see whether the leader is the one that the rules above name. Those rules come from large convolutional
# nets; PReLU adds 300 slopes to some 100,000 weights here, too few to overfit by. What you can see for
# certain is on the right: the slopes do move, and most stay near their start.
#
# One silent trap. A PReLU **object** that you use twice is one layer with one set of slopes:

# %%
prelu = keras.layers.PReLU


def two_hidden_layers(first, second):
    dense = keras.layers.Dense
    return keras.Sequential([keras.Input((4,)), dense(8), first, dense(8), second])


one_object, two_objects = two_hidden_layers(*[prelu()] * 2), two_hidden_layers(prelu(), prelu())
more = two_objects.count_params() - one_object.count_params()
print(f"parameters: one object {one_object.count_params()}, two {two_objects.count_params()}")

# %% tags=["claim"]
assert more == 8, f"two objects should have 8 slopes more than one, they have {more}"

# %% [markdown]
# ## 4 · ELU and SELU: mind the mean
#
# ReLU's outputs are never negative, so their mean is above 0, and the next layer starts from a **bias
# shift** (편향 이동). **ELU** (Clevert et al., 2016) levels off at $-\alpha$ and pulls the mean back; with
# $\alpha = 1$ it has no kink at 0.
#
# **Predict first:** a standard normal number goes in. Which function gives the mean nearest to 0, and
# what is ReLU's mean?

# %%
grid = np.linspace(-10, 10, 20_001)
weight = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi) * (grid[1] - grid[0])


def moment(function, power=1):
    """Mean of function(z) ** power for a standard normal z."""
    return np.sum(function(grid) ** power * weight)


names = ["relu", "leaky_relu", "elu", "selu", "gelu", "swish", "mish"]
means = {name: moment(act.get(name)[0]) for name in names}
means = dict(sorted(means.items(), key=lambda item: -item[1]))
fig, ax = plt.subplots(figsize=(7.5, 2.8))
ax.barh(list(means), list(means.values()), color=[COLORS[names.index(name)] for name in means])
ax.invert_yaxis()
ax.set(xlabel="mean output for a standard normal input",
       title="Every one shifts the mean, except SELU")  # fmt: skip
ck.show(fig, alt="Bars: mean output for a standard normal input; ReLU's is largest, SELU's is 0.")
print("  ".join(f"{name} {mean:.3f}" for name, mean in means.items()))

# %% [markdown]
# **SELU** (Klambauer et al., 2017) goes further: stretch ELU by $\lambda$ and choose $\alpha$ so that mean 0
# *and* variance 1 come out when mean 0 and variance 1 go in. Two equations, two unknowns:


# %%
def two_equations(unknown):
    scale, alpha = unknown
    return [moment(lambda z: scale * act.elu(z, alpha), power) - (power - 1) for power in (1, 2)]


scale, alpha = optimize.fsolve(two_equations, (1.0, 1.5))
print(f"scale λ = {scale:.6f}, α = {alpha:.6f}")

# %% tags=["claim"]
assert abs(scale - act.SELU_SCALE) < 1e-4, f"expected λ = {act.SELU_SCALE}, got {scale}"
assert abs(alpha - act.SELU_ALPHA) < 1e-4, f"expected α = {act.SELU_ALPHA}, got {alpha}"
assert abs(means["selu"]) < 1e-6 < means["elu"] < means["relu"], f"means out of order: {means}"

# %% [markdown]
# ## 5 · A hundred layers
#
# Mean 0 and variance 1 in, mean 0 and variance 1 out: a fixed point, and an attracting one. A net in
# which it holds is called **self-normalising**. It asks for
#
# 1. standardised inputs;
# 2. LeCun normal weights;
# 3. a plain stack of dense layers, no skip connections;
# 4. no ordinary dropout; alpha dropout in its place ([lesson 11](11_dropout.ipynb));
# 5. no ℓ1, ℓ2 or max-norm on the weights ([lesson 10](10_regularisation.ipynb));
# 6. no batch normalisation (BN, [lesson 04](04_batch_normalisation.ipynb)): it would do the same work
#    once more.
#
# `walk` sends images through 100 new layers of 200 units and measures each layer: mean and standard
# deviation of all its outputs, how much a unit differs *between images*, and the size of the
# gradient that comes back from a random signal at the far end. Its arguments break one condition each.


# %%
def walk(x, seed, *, activation="selu", gain=1.0, change=None, drop=None, bn=False, skip=False):
    """Return one row for each of 100 layers: mean, std, std between images, size of gradient."""
    draw, f = np.random.default_rng(seed), keras.activations.get(activation)
    h, outputs = tf.constant(x), []
    with tf.GradientTape() as tape:
        tape.watch(h)
        for i in range(100):
            w = draw.normal(0, np.sqrt(gain / h.shape[1]), (h.shape[1], 200)).astype("float32")
            z = h @ (w if change is None else change(w))
            if bn:  # batch normalisation as at the start of training
                z = (z - tf.reduce_mean(z, 0)) / tf.sqrt(tf.math.reduce_variance(z, 0) + 1e-3)
            out = f(z) if drop is None else drop(f(z), training=True)
            h = h + out if skip and i > 0 else out
            outputs.append(h)
        signal = tf.reduce_sum(h * draw.normal(size=h.shape).astype("float32"))
    gradients = tape.gradient(signal, outputs)
    pairs = zip(outputs, gradients, strict=True)
    wide = [(np.array(o, dtype=float), np.array(g, dtype=float)) for o, g in pairs]
    rows = [(o.mean(), o.std(), o.std(axis=0).mean(), np.sqrt((g**2).mean())) for o, g in wide]
    return np.array(rows)


varies = raw.reshape(n, -1).std(axis=0) > 0  # the edge is white in every image
flat, flat_raw = (images[:100].reshape(100, -1)[:, varies] for images in (standardised, raw))
layer_numbers = np.arange(1, 101)

# %% [markdown]
# First the fair weather: SELU with all conditions kept, and its twins with ReLU, with SELU's initialiser
# (one change) and with its own.
#
# **Predict first:** what is the standard deviation in layer 100 for ReLU with LeCun's weights? And does
# He's initialiser make ReLU as good as SELU?

# %%
twins = {"SELU": {}, "ReLU, LeCun": {"activation": "relu"},
         "ReLU, He": {"activation": "relu", "gain": 2.0}}  # fmt: skip
walked = {
    name: np.array([walk(flat, seed, **how) for seed in range(n_seeds)])
    for name, how in twins.items()
}
fig, axes = plt.subplots(1, 3, figsize=(10, 3.2))
for ax, column, what in zip(axes, range(3), ("mean", "std", "std between images"), strict=True):
    for i, (name, runs) in enumerate(walked.items()):
        ck.plotting.band(ax, layer_numbers, np.maximum(runs[..., column], -1), name, i)
    ax.set(xlabel="layer", ylabel=what, yscale="linear" if column == 0 else "log")
axes[0].set_title("SELU's mean stays near 0")
axes[1].set_title("ReLU with LeCun fades")
axes[2].set_title("ReLU with He: alike")
axes[0].legend(fontsize=8)
ck.show(
    fig,
    alt="Mean, standard deviation and standard deviation between images against layer, for SELU, ReLU "
    "with LeCun and ReLU with He weights. SELU stays near 0 and 1; ReLU with LeCun falls towards 0; "
    "ReLU with He keeps its size but differs less and less between images.",
)
for name, runs in walked.items():
    _, std, between, _ = runs[:, -1].mean(axis=0)
    print(f"layer 100, {name:12s} std {std:.2g}   between images {between:.2g}")

# %% tags=["claim"]
selu_runs = walked["SELU"]
assert np.abs(selu_runs[..., 0]).max() <= 0.1, (
    f"SELU's mean should stay within ±0.1, it reaches {np.abs(selu_runs[..., 0]).max():.3f}"
)
low, high = selu_runs[..., 1].min(), selu_runs[..., 1].max()
assert low >= 0.8, f"SELU's std should stay above 0.8, it falls to {low:.2f}"
assert high <= 1.25, f"SELU's std should stay below 1.25, it rises to {high:.2f}"
faded = walked["ReLU, LeCun"][:, -1, 1].max()
assert faded < 1e-6, f"ReLU with LeCun weights should fade to nothing, its std is {faded:.1e}"
alike = walked["ReLU, He"][:, -1, 2] / walked["ReLU, He"][:, -1, 1]
assert alike.max() < 0.75 < 0.8 < (selu_runs[:, -1, 2] / selu_runs[:, -1, 1]).min(), (
    f"in layer 100 ReLU's units should differ less between images than SELU's: {alike}"
)

# %% [markdown]
# He's factor 2 keeps ReLU's *size* ([lesson 02](02_weight_initialisation.ipynb)), but the mean is far
# from 0: more and more of each layer's output is the same for all images. SELU keeps what tells the
# images apart.
#
# ### Break one condition at a time
#
# **Predict first:** which of these takes the net out of the band [0.8, 1.25] for good, which only for a
# while, and which not at all?


# %%
def pull(w):
    """What ℓ2 does to a weight in 1,000 steps, rate 0.1, factor 0.001, the loss' own gradient left out."""
    return w * (1 - 0.1 * 2 * 0.001) ** 1000


def max_norm(w):
    return np.array(keras.constraints.MaxNorm(0.8)(w))


broken = {
    "all kept": (flat, {}),
    "alpha dropout 20%": (flat, {"drop": keras.layers.AlphaDropout(0.2, seed=0)}),
    "batch normalisation": (flat, {"bn": True}),
    "pixels in [0, 1]": (flat_raw, {}),
    "He normal": (flat, {"gain": 2.0}),
    "ordinary dropout 20%": (flat, {"drop": keras.layers.Dropout(0.2, seed=0)}),
    "pull of ℓ2": (flat, {"change": pull}),
    "max-norm 0.8": (flat, {"change": max_norm}),
    "skip connections": (flat, {"skip": True}),
}
tested = {
    name: np.array([walk(x, seed, **how) for seed in range(n_seeds)])
    for name, (x, how) in broken.items()
}


# %%
def panels_of(column, label, title, alt):
    fig, axes = plt.subplots(3, 3, figsize=(10, 6.2), sharex=True)
    for i, (ax, (name, runs)) in enumerate(zip(axes.flat, tested.items(), strict=True)):
        if column == 1:
            ax.axhspan(0.8, 1.25, color="#DDDDDD")
        ck.plotting.band(ax, layer_numbers, runs[..., column], name, 1 if i > 2 else 0)
        ends = runs[..., column].min(), runs[..., column].max()
        ax.set(yscale="log", ylim=(min(0.2, 0.5 * ends[0]), max(5, 2 * ends[1])))
        if ends[0] > 0.1 and ends[1] < 10:
            ax.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
            ax.minorticks_off()
        ax.set_title(name, fontsize=9)
    for ax in axes[-1]:
        ax.set_xlabel("layer")
    for ax in axes[:, 0]:
        ax.set_ylabel(label)
    fig.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    ck.show(fig, alt=alt)


panels_of(
    1, "std (log scale)", "The band is grey: who leaves it, and who comes back?",
    "Nine panels, standard deviation against layer, each with the band from 0.8 to 1.25 in grey: all "
    "conditions kept, alpha dropout, batch normalisation, pixels in [0, 1], He normal, ordinary "
    "dropout, the pull of ℓ2, max-norm and skip connections.",
)  # fmt: skip
for name, runs in tested.items():
    mean, std = runs[..., 0], runs[..., 1]
    inside = (np.abs(mean) <= 0.1) & (std >= 0.8) & (std <= 1.25)
    print(f"{name:21s} std {std.min():.2g} to {std.max():.2g}, in layer 100 {std[:, -1].mean():.2g}; "
          f"layers within both bounds: {inside.mean():.0%}")  # fmt: skip


# %% tags=["claim"]
def stays(name, where=slice(None)):
    mean, std = tested[name][:, where, 0], tested[name][:, where, 1]
    return bool((np.abs(mean) <= 0.1).all() and (std >= 0.8).all() and (std <= 1.25).all())


def leaves(name, where=slice(None)):
    std = tested[name][:, where, 1]
    return bool(((std < 0.8) | (std > 1.25)).any(axis=1).all())


for name in ("all kept", "alpha dropout 20%", "batch normalisation"):
    assert stays(name), f"{name}: mean and std should stay within the bounds in every layer"
for name in ("pixels in [0, 1]", "He normal", "ordinary dropout 20%", "pull of ℓ2", "max-norm 0.8",
             "skip connections"):  # fmt: skip
    assert leaves(name), f"{name}: the std should leave the band in every run"
    if name != "pixels in [0, 1]":
        assert leaves(name, slice(90, None)), f"{name}: it should still be outside at the end"
healed = tested["pixels in [0, 1]"][:, -1, 1]
assert np.abs(healed - 1.025).max() < 0.225, f"the net should heal wrong inputs; std {healed}"

# %% [markdown]
# **Verdict**, and it is less simple than the list of conditions:
#
# - **He normal, ordinary dropout, a pull on the weights, max-norm, skip connections** move the fixed point
#   or remove it. These nets do not come back.
# - **Inputs** that are not standardised put the *first layers* off. Then the fixed point attracts, and
#   the net heals itself. (Not for free: those layers train on a wrong scale.)
# - **Batch normalisation** does not spoil mean and std at all. It sets them by force in every
#   layer, whatever the initialiser; it is then BN that normalises, at BN's cost (lesson 04), and SELU's
#   constants are idle.
# - Keras' default, Glorot uniform, breaks nothing in square layers: with fan_in = fan_out its variance
#   *is* LeCun's. It does in the first and the last layer.
#
# Mean and std are only half of the story. Look at the way back:

# %%
panels_of(
    3, "gradient (log scale)", "The way back: size of the gradient, 1 at the last layer",
    "Nine panels with the size of the gradient against layer for the same nets; it grows towards the first "
    "layer for most, explodes for skip connections and He normal, and vanishes for alpha dropout.",
)  # fmt: skip
for name, runs in tested.items():
    print(f"{name:21s} gradient in layer 1: {runs[:, 0, 3].mean():.2g}")

# %% tags=["claim"]
first_gradient = {name: runs[:, 0, 3].mean() for name, runs in tested.items()}
assert first_gradient["alpha dropout 20%"] < 1e-4, (
    "in every one of 100 layers, alpha dropout should drown the gradient: "
    f"{first_gradient['alpha dropout 20%']:.1e}"
)
assert 1 < first_gradient["all kept"] < 1000, (
    f"with all conditions kept it should grow a little: {first_gradient['all kept']:.1f}"
)

# %% [markdown]
# Alpha dropout keeps mean and std perfectly, in layer 100 too, and yet nearly nothing of the image is
# left there: most of that variance is noise. Use it in the last layers, not in all of them.

# %% [markdown]
# ## 6 · GELU, Swish, Mish: the smooth ones
#
# **GELU** (Hendrycks and Gimpel, 2016) multiplies $z$ by the probability that a standard normal number is
# below $z$. Its second derivative is $(2 - z^2)\,\varphi(z)$ with the density $\varphi$ of the normal
# distribution. **Swish** (Ramachandran et al., 2017) has the sigmoid in place of $\Phi$, and $\beta$ to
# tune.
#
# You may read that GELU is "convex and monotonic like the others". **Predict first:** where is its lowest
# point, and where does it bend the other way?

# %%
found = optimize.minimize_scalar(act.gelu, bounds=(-3, 0), method="bounded")
lowest, depth = float(found.x), float(found.fun)
z = np.linspace(-4, 4, 2001)
bend = np.gradient(act.gelu_derivative(z), z)
gap_of = {beta: act.swish(z, beta) - act.gelu(z) for beta in (1.0, 1.702)}

fig, axes = plt.subplots(1, 3, figsize=(10, 3.2))
for i, name in enumerate(["gelu", "swish", "mish"]):
    axes[0].plot(z, act.get(name)[0](z), **ck.plotting.line_kw(i), label=name)
axes[0].plot(lowest, depth, "o", color=COLORS[0])
axes[0].set(xlim=(-4, 1), ylim=(-0.35, 0.5), xlabel="z", ylabel="output")
axes[0].set_title(f"GELU's minimum: {depth:.3f} at {lowest:.3f}", fontsize=10)
axes[0].legend(fontsize=8)
axes[1].plot(z, bend, color=COLORS[0])
axes[1].fill_between(z, bend, 0, where=bend < 0, color=COLORS[1], alpha=0.4, label="bends down")
axes[1].axhline(0, color="black", linewidth=0.8)
axes[1].set(xlabel="z", ylabel="second derivative of GELU")
axes[1].set_title("Neither convex nor concave", fontsize=10)
axes[1].legend(fontsize=8)
for i, (beta, gap) in enumerate(gap_of.items()):
    axes[2].plot(z, gap, **ck.plotting.line_kw(i), label=f"β = {beta:g}")
axes[2].set(xlabel="z", ylabel="Swish minus GELU")
axes[2].set_title(f"β = 1.702: at most {np.abs(gap_of[1.702]).max():.4f} apart", fontsize=10)
axes[2].legend(fontsize=8)
ck.show(
    fig,
    alt="Left: GELU, Swish and Mish around their dips, GELU's minimum marked. Middle: GELU's second "
    "derivative, positive near 0 and negative further out on both sides. Right: Swish minus GELU, small "
    "for β = 1.702, larger for β = 1.",
)

# %% tags=["claim"]
assert abs(depth + 0.17) < 5e-4, f"expected a minimum of about −0.17, got {depth:.4f}"
assert abs(lowest + 0.75) < 0.01, f"expected it near −0.75, it lies at {lowest:.4f}"
assert (act.gelu_derivative(z) < 0).any(), "GELU should fall somewhere: it is not monotonic"
assert bend.min() < -1e-3 < 1e-3 < bend.max(), "GELU should bend both ways: not convex"
turns = z[1:-2][np.diff(np.sign(bend[1:-1])) != 0]
assert np.abs(np.abs(turns) - np.sqrt(2)).max() < 0.01, f"it should turn at ±√2, not at {turns}"
assert np.abs(gap_of[1.702]).max() <= 0.021, "Swish with β = 1.702 should be within 0.021 of GELU"
assert np.abs(act.swish(z, 1e3) - act.relu(z)).max() < 1e-3, "a huge β should give ReLU"
assert np.abs(act.swish(z, 0.0) - z / 2).max() < 1e-12, "β = 0 should give the line z/2"

# %% [markdown]
# **Verdict:** GELU dips, comes back, and is curved everywhere but at $\pm\sqrt2$; so it is neither convex nor
# monotonic, and nor are Swish and Mish. $\beta$ leads from the line ($\beta = 0$) past Swish and near
# GELU (1.702) to ReLU ($\beta \to \infty$). `ck.activations.TrainableSwish` leaves the choice to
# the gradient: section 8 shows what it chooses.

# %% [markdown]
# ## 7 · What do they cost?
#
# ELU and everything after it take an exponential. **Predict first:** how many times as long as ReLU do
# they take for a million values? And what share of a layer's time is that?
#
# Each function is compiled and applied to the same million values, forward alone and forward and back,
# and timed in turn; the fastest of several rounds counts. For scale, the product $XW$ that *makes* a
# million values in a layer of 100 units is timed as well. (One run on one machine; another
# machine has other ratios.)

# %%
million = tf.constant(np.random.default_rng(0).normal(size=(10_000, 100)).astype("float32"))
kernel = tf.constant(np.random.default_rng(1).normal(size=(100, 100)).astype("float32"))
work = {
    "ReLU": keras.activations.relu,
    "LeakyReLU": keras.activations.leaky_relu,
    "ELU": keras.activations.elu,
    "SELU": keras.activations.selu,
    "GELU": lambda z: keras.activations.gelu(z, approximate=False),
    "GELU, tanh form": lambda z: keras.activations.gelu(z, approximate=True),
    "Swish": keras.activations.silu,
    "Mish": keras.activations.mish,
    "product XW": lambda z: z @ kernel,
}


def there_and_back(f):
    def both(z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            out = f(z)
        return out, tape.gradient(out, z)

    return both


# %%
def fastest(program, rounds):
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        program(million)
        times.append(time.perf_counter() - began)
    return min(times)


def program_of(f):
    return tf.function(f, jit_compile=True, autograph=False).get_concrete_function(million)


programs = {name: [program_of(f), program_of(there_and_back(f))] for name, f in work.items()}
seconds = {name: [np.inf, np.inf] for name in work}
for _ in range(5):  # in turn, so that a busy moment of the machine hits all
    for name, pair in programs.items():
        for way, program in enumerate(pair):
            seconds[name][way] = min(seconds[name][way], fastest(program, 5))
noisy = ck.activations.RReLU(seed=1)
seconds_rrelu = fastest(program_of(lambda z: noisy(z, training=True)), 2)

# %%
base = seconds["ReLU"]
fig, ax = plt.subplots(figsize=(7.5, 3.6))
for way, (label, shift) in enumerate((("forward", -0.2), ("forward and back", 0.2))):
    ratios = [seconds[name][way] / base[way] for name in work]
    ax.barh(np.arange(len(work)) + shift, ratios, 0.38, color=COLORS[way], label=label)
ax.set_yticks(range(len(work)), list(work))
ax.invert_yaxis()
ax.axvline(1, color="black", linewidth=1, linestyle=":")
ax.set(xlabel="time as a multiple of ReLU's", title="A million activations, compiled, in one run")
ax.legend()
ck.show(fig, alt="Bars: time of each activation and of a matrix product as multiples of ReLU's.")
print(f"ReLU: {1e3 * base[0]:.2f} ms forward, {1e3 * base[1]:.2f} ms forward and back")
for name, pair in seconds.items():
    print(f"{name:16s} {pair[0] / base[0]:5.1f} {pair[1] / base[1]:5.1f} times ReLU")
print(f"not drawn: RReLU in training, forward, {seconds_rrelu / base[0]:.0f} times ReLU")

# %% [markdown]
# A compiled exponential is vectorised and costs a small multiple of ReLU; Mish takes an exponential, a
# logarithm and a tanh. What is really slow is *drawing* a million random slopes, as RReLU does in
# training (and only there). What the factor means for you depends on what else a layer does: compare
# with the last bar, which grows with the number of units while the others do not. On a phone with
# narrow layers, or with integer arithmetic, ReLU and LeakyReLU win.

# %% [markdown]
# ## 8 · Twenty layers, one race
#
# Now the race: 20 hidden layers of 100 units on standardised pixels, Adam, the same batches in the same
# order, LeCun weights for SELU and He for all others. An activation may like another rate, so each is
# shown at the best of `race_rates`, the one with the lowest mean validation loss. (In the `quick` profile
# some do not start, and there is one rate.)
#
# **Predict first:** which ends lowest? Is the distance between first and last larger than the spread of
# one activation's seeds?

# %%
racers = {
    "ReLU": "relu",
    "LeakyReLU 0.01": slopes["α = 0.01"],
    "LeakyReLU 0.2": slopes["α = 0.2"],
    "PReLU": slopes["PReLU"],
    "RReLU": slopes["RReLU"],
    "ELU": "elu",
    "SELU": "selu",
    "GELU": "gelu",
    "Swish": "swish",
    "Swish, β learned": ck.activations.TrainableSwish(),
    "Mish": "mish",
}
race, step_seconds, betas = {}, {}, []
for name, activation in racers.items():
    if name in not_racing:
        continue
    model = compiled(activation, hidden=20, optimizer=keras.optimizers.Adam)
    runs, times = np.full((len(race_rates), n_seeds), np.inf), []
    for i, rate in enumerate(race_rates):
        for seed in range(n_seeds):
            restart(model, seed, rate, gain=1.0 if name == "SELU" else 2.0)
            began = time.perf_counter()
            if np.isfinite(train(model, standardised, y, epochs, seed, batch_size=64)):
                runs[i, seed] = loss_of(model, x_valid, y_valid)
            times.append(time.perf_counter() - began)
            if name == "Swish, β learned":
                betas.append([float(part.beta) for part in model.layers if hasattr(part, "beta")])
    best = int(np.argmin(runs.mean(axis=1)))
    race[name], step_seconds[name] = runs[best], min(times)
    print(f"{name:17s} rate {race_rates[best]:<7g} validation loss {runs[best].mean():.3f} "
          f"± {runs[best].std(ddof=1):.3f}")  # fmt: skip

# %%
race = dict(sorted(race.items(), key=lambda item: item[1].mean()))
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), width_ratios=[3, 2])
ck.plotting.strip(left, race, "validation loss")
first, *_, last = race
left.set_title(f"{first} ends lowest, {last} highest ({n_seeds} seeds)")
runs = np.array(betas)
ck.plotting.band(right, range(1, 21), runs, "β after training", 2)
right.axhline(1, color="black", linewidth=1, linestyle=":", label="start")
right.set(xlabel="layer", ylabel="β", title="Learned β: mean and range")
right.legend(fontsize=8)
ck.show(
    fig,
    alt="Left: validation loss of every seed for each activation in a 20-layer net, sorted by mean. "
    "Right: the β that trainable Swish learned in each layer, mean and range over all runs.",
)
spread = np.mean([runs.std(ddof=1) for runs in race.values()])
distance = race[last].mean() - race[first].mean()
print(f"first to last: {distance:.3f}; typical spread of one activation's seeds: {spread:.3f}")
print("time of a training as a multiple of ReLU's:",
      "  ".join(f"{name} {s / step_seconds['ReLU']:.1f}" for name, s in step_seconds.items()))  # fmt: skip

# %% tags=["claim"]
guessing = np.log(10)
for name, runs in race.items():
    assert runs.mean() < 0.9 * guessing, (
        f"{name}: 20 layers should learn; validation loss {runs.mean():.2f}, guessing {guessing:.2f}"
    )
assert np.abs(np.array(betas) - 1).max() > 0.01, "training should have moved β away from 1"

# %% [markdown]
# All of them train twenty layers. Before you crown the winner, compare the distance between neighbours in
# the list with the spread of one row of dots: with so few seeds, neighbours cannot be told apart, and
# another data set, budget or optimizer reorders them. That is no reason to ignore the choice; it is the
# reason to **compare by validation**, with several seeds.
#
# One thing in this race is not quite fair. He's factor 2 makes up for what *ReLU* takes: half of the mean
# square. What is left of it after a layer of the others?

# %%
print("share of a standard normal input's mean square behind one layer with He's weights")
kept_share = {name: 2 * moment(act.get(name)[0], 2) for name in names}
for name, kept in kept_share.items():
    print(f"  {name:11s} {kept:.2f}")

# %% tags=["claim"]
assert abs(kept_share["relu"] - 1) < 1e-6, f"He should keep ReLU's signal: {kept_share['relu']:.3f}"
for name in ("gelu", "swish"):
    assert kept_share[name] < 0.9, f"{name} should leave less than ReLU: {kept_share[name]:.3f}"

# %% [markdown]
# With the usual initialiser the signal of GELU and Swish fades a little in every layer. Adam, which
# rescales every step, copes with that. Try `optimizer=keras.optimizers.SGD, momentum=0.9` to see who
# depends on it.
#
# ## 9 · Which one?
#
# | situation | start with | why |
# |---|---|---|
# | simple task, shallow net | ReLU | fast everywhere, well supported, good enough |
# | deeper net | Swish, with batch normalisation (lesson 04) | smooth, no dead units; alone its signal fades with depth (lesson 02) |
# | the hardest tasks | Swish with learned $\beta$ | one number more for each layer |
# | little time for a prediction | LeakyReLU (or ReLU) | no exponential |
# | deep plain MLP | SELU, all conditions kept | normalises itself |
# | much data, units dying | PReLU | learns its slopes |
# | overfitting | RReLU among others | its noise regularises |
#
# These are starting points of experience, not laws. This lesson's own race is one test of them, with a small
# budget on easy images; does its list agree with the table? The exercise lets you run another.

# %% [markdown]
# ## Explore: what a function does to a histogram
#
# The inputs are normal with the mean and standard deviation you choose. When does ReLU leave nothing? How
# must you set the input so that SELU gives mean 0 and std 1? What $\beta$ makes Swish look like GELU?
# (`parameter` is α of LeakyReLU and ELU, β of Swish; the others have none.)


# %%
def draw_activation(function, parameter, input_mean, input_std):
    setting = {"leaky_relu": "negative_slope", "elu": "alpha", "swish": "beta"}.get(function)
    setting = {setting: parameter} if setting else {}
    f, slope = act.get(function)
    z, inputs = np.linspace(-5, 5, 401), input_mean + input_std * grid_draws
    outputs = f(inputs, **setting)
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4))
    left.plot(z, f(z, **setting), **ck.plotting.line_kw(0), label=function)
    left.plot(z, slope(z, **setting), **ck.plotting.line_kw(1), label="derivative")
    left.set(
        xlabel="z",
        ylim=(-2, 4),
        title=", ".join([function, *(f"{k} = {v:.2f}" for k, v in setting.items())]),
    )
    left.legend()
    bins = np.linspace(-5, 5, 81)
    right.hist(inputs, bins, color=COLORS[7], alpha=0.5, label="input")
    right.hist(outputs, bins, histtype="step", color=COLORS[0], linewidth=1.8, label="output")
    right.set(xlabel="value", ylabel="count", yscale="log",
              title=f"output: mean {outputs.mean():.2f}, std {outputs.std():.2f}")  # fmt: skip
    right.legend()
    return fig


grid_draws = np.random.default_rng(0).normal(size=20_000)
ck.widgets.explore(
    draw_activation,
    alt="Left: the chosen activation and its derivative. Right: histograms of a normal input and of the "
    "activation's output.",
    function=["swish", "gelu", "mish", "relu", "leaky_relu", "elu", "selu", "sigmoid", "tanh"],
    parameter=(-0.5, 5.0, 1.0),
    input_mean=(-3.0, 3.0, 0.0),
    input_std=(0.1, 3.0, 1.0),
)

# %% [markdown]
# ## Pitfalls
#
# ### Both branches are computed
#
# `where(z > 0, z, exp(z) - 1)` looks like ELU and gives its values. **Predict first:** what is its
# gradient at $z = 100$?


# %%
def naive_elu(z):
    return tf.where(z > 0, z, tf.exp(z) - 1)


def careful_elu(z):
    return tf.where(z > 0, z, tf.math.expm1(tf.minimum(z, 0.0)))


at = tf.constant([-2.0, 3.0, 100.0])
for f in (naive_elu, careful_elu):
    print(f"{f.__name__:12s} value {f(at).numpy()}   gradient {there_and_back(f)(at)[1].numpy()}")

# %% tags=["claim"]
assert np.allclose(naive_elu(at), careful_elu(at), rtol=1e-6), "the values should agree"
assert np.isnan(there_and_back(naive_elu)(at)[1][2]), "the naive gradient at 100 should be NaN"
assert there_and_back(careful_elu)(at)[1][2] == 1, "the careful gradient at 100 should be 1"

# %% [markdown]
# `where` picks after both sides have been computed; backwards, the discarded side sends 0 · ∞, which is
# NaN. Cut the argument *before* the exponential. In NumPy you get the same mistake as a warning of an
# overflow.
#
# ### Old names, and three defaults for one slope

# %%
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        keras.layers.LeakyReLU(alpha=0.2)
        said = str(caught[-1].message) if caught else ""
    except (TypeError, ValueError) as error:
        said = str(error)
print("LeakyReLU(alpha=0.2):", said)
minus_one = tf.constant([-1.0])
default = {
    "keras.layers.LeakyReLU()": -float(keras.layers.LeakyReLU()(minus_one)[0]),
    "keras.activations.leaky_relu": -float(keras.activations.leaky_relu(minus_one)[0]),
}
print("slope by default:", {name: round(value, 3) for name, value in default.items()})

# %% tags=["claim"]
assert said, "the old name alpha= should meet with a warning or an error"
new = float(keras.layers.LeakyReLU(negative_slope=0.2)(minus_one)[0])
assert abs(new + 0.2) < 1e-6, f"negative_slope=0.2 should give −0.2 at −1, got {new}"
assert len(set(default.values())) == 2, f"expected two different defaults: {default}"

# %% [markdown]
# Write `negative_slope=`, and always write it: the layer's default is not the function's, and neither is
# the 0.01 of the first paper. (ELU's `alpha=` is still called so.)
#
# ### More
#
# - **Counting dead units on one batch.** A unit that is silent for 32 images may speak for the next.
# - **SELU with Keras' default initialiser, He, ordinary dropout or a skip connection.** Nothing warns
#   you; section 5 shows what you lose.
# - **`training=True` left on for RReLU** at prediction: every call gives another answer.
# - **PReLU behind a convolution** has one slope for each *pixel*; `shared_axes=[1, 2]` gives one
#   for each channel.
# - **"SELU makes batch normalisation needless"** holds for plain dense stacks only.

# %% [markdown]
# ## Recap
#
# - A ReLU unit is dead if it is 0 for every sample; long steps and inputs off centre kill.
# - A negative slope (fixed, drawn, learned) lets the gradient through; it does not excuse a wrong rate.
# - SELU keeps mean 0 and std 1 over 100 layers; most broken conditions end that, BN takes over, inputs heal.
# - GELU, Swish and Mish are smooth and neither convex nor monotonic; $\beta = 1.702$ is nearly GELU.
# - ReLU is the cheapest; the best is not known beforehand: compare by validation, over seeds.

# %% [markdown]
# ## Now practise
#
# Open [exercise 03](../exercises/03_activation_functions.ipynb): write six activations that survive
# $|z| = 1000$, three layers for Keras, and the counter of dead units.
#
# Then go on with lesson
# [04 Batch normalisation](04_batch_normalisation.ipynb).

# %% [markdown]
# ## Further reading
#
# - B. Xu, N. Wang, T. Chen and M. Li, *Empirical Evaluation of Rectified Activations in Convolutional
#   Network*, 2015, arXiv:1505.00853: sections 2 and 3, leaky, parametric and randomised ReLU.
# - K. He, X. Zhang, S. Ren and J. Sun, *Delving Deep into Rectifiers: Surpassing Human-Level
#   Performance on ImageNet Classification*, ICCV 2015, arXiv:1502.01852: section 2.1, PReLU.
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
