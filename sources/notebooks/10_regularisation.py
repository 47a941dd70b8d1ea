# %% [markdown]
# # 10 ℓ1, ℓ2, max-norm and early stopping
#
# A net that fits its training data perfectly may have learned little but their accidents. What holds it
# back (regularisation, 규제), how hard should it hold, and when is it not worth the trouble?
#
# ## What you will be able to do
#
# After about {{ minutes.reading }} minutes of reading, or {{ minutes.with_code }} minutes with the
# code, you will be able to
#
# - recognise overfitting (과대적합), and measure it on data that the net has not seen;
# - put an ℓ1, ℓ2 or elastic-net penalty on a layer, and say which of them ends at exactly 0;
# - choose its strength on validation data, before it drowns the data (underfitting, 과소적합);
# - write a penalty of your own, and a training loop that does not forget it;
# - cap unit norms with **max-norm** (맥스-노름), on the right axes of Dense and Conv2D kernels;
# - stop early (early stopping, 조기 종료), and get the best epoch's weights.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
from functools import partial
from types import SimpleNamespace

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

n_seeds, n_problems, n_images, epochs, every = lab.pick(
    quick=(2, 60, 1_000, 25, 2), standard=(5, 100, 1_000, 30, 1), full=(10, 300, 3_000, 60, 1)
)

# %% [markdown]
# ## 1 · Forty inputs, five of which matter
#
# Sixty samples have forty inputs each. The target adds up the first five, each times a factor, plus noise with
# variance 1; the other 35 inputs mean nothing. So no model can have an expected squared error below 1
# on new samples.
#
# The model is one linear unit with forty weights $w_i$. A **penalty** adds to its loss
#
# $$\lambda_1 \sum_i |w_i| + \lambda_2 \sum_i w_i^2$$
#
# With $\lambda_2 = 0$ it is **ℓ1** (the lasso), with $\lambda_1 = 0$ **ℓ2** (ridge), with both the
# **elastic net**. In Keras it is one argument of the layer, `kernel_regularizer=`. (Section 3
# says how the two strengths below were chosen.)
#
# **Predict first:** both penalties make the fit to the sixty samples worse. What do they do to the
# error on new ones? Which of the forty weights does each make small?

# %%
L1, L2 = keras.regularizers.L1, keras.regularizers.L2
brakes = {"no penalty": None, "ℓ2": L2(0.08), "ℓ1": L1(0.2)}
sparse = np.zeros((40, 1))
sparse[:5, 0] = [2, -1.5, 1, -1, 0.5]


def samples(seed):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(260, 40)).astype("float32")
    y = (x @ sparse + draw.normal(size=(260, 1))).astype("float32")
    return SimpleNamespace(x_train=x[:60], y_train=y[:60], x_valid=x[60:], y_valid=y[60:])


# %%
def linear(penalty):
    unit = keras.layers.Dense(1, kernel_regularizer=penalty)
    model = keras.Sequential([keras.Input((40,)), unit])
    error = keras.metrics.MeanSquaredError(name="error")  # without the penalty
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss="mse", metrics=[error])
    return model


runs = ck.compare({name: partial(linear, penalty) for name, penalty in brakes.items()}, samples,
                  epochs=50, batch_size=60, seeds=n_seeds)  # fmt: skip
ck.show(runs.final("val_error", title="ℓ1 has the lowest error on new samples, with every seed"))

# %% tags=["claim"]
kernels = {name: model.get_weights()[0].ravel() for name, model in runs.models.items()}
fig, axes = plt.subplots(1, 3, figsize=(9, 2.8), sharey=True)
for ax, (name, w) in zip(axes, kernels.items(), strict=True):
    ax.axvspan(0.5, 5.5, color="#E4E4E4", zorder=0)
    ax.bar(range(1, 41), w, color=ck.plotting.color_of(name))
    ax.plot(range(1, 6), sparse[:5, 0], "_", color="black", markersize=9, mew=2, label="truth")
    ax.set(xlabel="input (grey: those that matter)", title=name)
axes[0].set_ylabel("weight")
fig.legend(*ax.get_legend_handles_labels(), loc="outside upper right")
tiny = "; ".join(f"{name} {np.sum(np.abs(w[5:]) < 0.02)}" for name, w in kernels.items())
ck.show(fig, alt="The forty weights without a penalty, with l2 and with l1, as bars. Of the 35 inputs that do not "
        f"matter so many have a weight below 0.02: {tiny}.")  # fmt: skip

fit = {name: values.mean() for name, values in runs.last("error").items()}
new = {name: values.mean() for name, values in runs.last("val_error").items()}
idle = {name: np.abs(w[5:]).mean() for name, w in kernels.items()}
told = ", ".join(f"{name} {fit[name]:.2f} and {new[name]:.2f}" for name in brakes)
ck.prove("On the sixty samples no penalty fits best, on new samples worst",
         min(fit, key=fit.get) == max(new, key=new.get) == "no penalty", told)  # fmt: skip
by_seed = runs.last("val_error")
ck.prove("ℓ1 has the lowest error on new samples with every seed",
         np.all(by_seed["ℓ1"] < np.minimum(by_seed["ℓ2"], by_seed["no penalty"])), told)  # fmt: skip
length = {name: np.linalg.norm(w) for name, w in kernels.items()}
ck.prove("ℓ1 leaves the 35 idle inputs less than half the weight that the others leave",
         2 * idle["ℓ1"] < min(idle["ℓ2"], idle["no penalty"]),
         ", ".join(f"{name} {size:.3f}" for name, size in idle.items()))  # fmt: skip
ck.prove("ℓ2 shrinks the weights as a whole, and those of the five that matter most", length["ℓ2"] < length["no penalty"]
         and np.linalg.norm(kernels["ℓ2"][:5]) < np.linalg.norm(kernels["no penalty"][:5]),
         f"length {length['no penalty']:.2f} → {length['ℓ2']:.2f}")  # fmt: skip

# %% [markdown]
# **On new samples the error is {{ new["no penalty"]:.2f }} without a penalty, {{ new["ℓ2"]:.2f }} with ℓ2 and
# {{ new["ℓ1"]:.2f }} with ℓ1; the noise alone makes 1.** (One of the {{ n_seeds }} draws has
# {{ by_seed["no penalty"].max():.1f }} without a penalty; section 3 repeats it {{ n_problems }} times.) On the sixty samples it is the other way round:
# {{ fit["no penalty"]:.2f }}, {{ fit["ℓ2"]:.2f }} and {{ fit["ℓ1"]:.2f }}. With forty weights for sixty samples
# the model can fit part of the *noise*, and does it with the 35 inputs that mean nothing: that is overfitting,
# and you see it by the gap between the two errors. A penalty makes every weight pay for being there. ℓ2 shrinks
# them as a whole, the good ones too; ℓ1 keeps the few that earn their price, and leaves the others less than half the
# weight that ℓ2 leaves them.

# %% [markdown]
# ## 2 · Two ways to pull a weight
#
# Take a single weight. The data alone would set it to $a$, the penalty pulls
# it to 0:
#
# $$\min_w\; \tfrac12 (w - a)^2 + \lambda_1 |w| + \lambda_2 w^2
# \quad\Rightarrow\quad
# w = \frac{\operatorname{sign}(a)\, \max(|a| - \lambda_1,\, 0)}{1 + 2 \lambda_2}$$
#
# ℓ2 pulls with the force $2\lambda_2 w$: the smaller the weight, the weaker the pull, so it never arrives. ℓ1
# pulls with the constant force $\lambda_1$ until the weight *is* 0.
#
# ### Explore: a thousand weights
#
# They are spread like a bell by the data. Which kind and strength set half of them to exactly 0?


# %%
def shrunk(a, l1, l2):
    return np.sign(a) * np.maximum(np.abs(a) - l1, 0) / (1 + 2 * l2)


# %% tags=["helper"]
def draw_shrinkage(kind, strength):
    l1 = {"ℓ1": 1.0, "ℓ2": 0.0, "elastic net": 0.5}[kind] * strength
    wanted, a = np.random.default_rng(0).normal(size=1000), np.linspace(-2, 2, 401)
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
    for name, after in (("no penalty", a), (kind, shrunk(a, l1, strength - l1))):
        left.plot(a, after, label=name, **ck.plotting.look_of(name, marker=False))
    left.set(xlabel="weight that the data want", ylabel="weight with the penalty", ylim=(-2, 2),
             title=f"{kind}, strength {strength:.2f}")  # fmt: skip
    left.legend(loc="upper left")
    bins, after = np.linspace(-3, 3, 62), shrunk(wanted, l1, strength - l1)
    right.hist(wanted, bins, histtype="step", color=ck.plotting.color_of("no penalty"))
    right.hist(after, bins, color=ck.plotting.color_of(kind), alpha=0.6)
    right.set(xlabel="weight", ylabel="number of weights (log)", yscale="log", ylim=(0.7, 1200),
              title=f"exactly 0: {np.mean(after == 0):.0%}; standard deviation {after.std():.2f}")  # fmt: skip
    return fig


ck.widgets.explore(
    draw_shrinkage,
    alt="Left: the weight with the penalty against the weight the data want; with l1 it is 0 in a middle "
    "interval and parallel to the diagonal outside, with l2 a straight line of smaller slope. Right: histogram "
    "of a thousand weights with and without the penalty.",
    kind=["ℓ1", "ℓ2", "elastic net"],
    strength=(0.02, 5.0, 0.5, "log"),
)

# %% [markdown]
# Half of them are 0 with ℓ1 of strength {{ np.median(np.abs(np.random.default_rng(0).normal(size=1000))):.2f }}, or with an
# elastic net of twice that; ℓ2 leaves none at 0.
#
# With two weights you can see why. Weights with equal penalty form a diamond for ℓ1 and a circle for ℓ2; the
# solution is where the rings of equal loss around the data's wish first touch it:
#
# ![Two panels with axes w1 and w2. Left: rings of equal loss around a point that the data want touch a diamond at its upper corner, where w1 is exactly 0. Right: the same rings touch a disc beside the axis, where both weights are smaller and neither is 0.](../figures/diamond_and_disc.svg)
#
# A diamond is met at a corner from many sides, and on a corner a weight is 0.
#
# **Predict first:** how many of the ℓ1 net's forty weights in section 1 are *exactly* 0?
#
# To compare with, here is a solver that can land on 0: after each step down the slope of the data loss it applies the
# formula above (proximal gradient descent).


# %%
def solve(x, y, l1=0.0, l2=0.0, steps=1_000):
    """Minimise mean squared error + penalty; x is (problems, n, inputs), y (problems, n, 1)."""
    transposed = np.swapaxes(x, -1, -2) * 2 / x.shape[-2]
    a, b = transposed @ x, transposed @ y  # the gradient is a @ w - b
    eta = 1 / np.linalg.eigvalsh(a).max(axis=-1)[..., None, None]
    w = np.zeros_like(b)
    for _ in range(steps):
        w = shrunk(w - eta * (a @ w - b), eta * l1, eta * l2)  # arrays of strengths make columns
    return w


last = samples(runs.seeds[-1])
x, y = last.x_train, last.y_train
solved = {"no penalty": solve(x, y), "ℓ2": solve(x, y, l2=0.08), "ℓ1": solve(x, y, l1=0.2)}

# %% tags=["claim"]
from scipy.optimize import minimize_scalar
from sklearn.linear_model import ElasticNet, Lasso, Ridge

for name in ("ℓ2", "ℓ1"):
    for how, w in {"by Keras": kernels[name], "solved": solved[name]}.items():
        small, exact = np.sum(np.abs(w) < 0.02), np.sum(w == 0)
        print(f"{name} {how:8s} below 0.02: {small:2} of 40 weights, exactly 0: {exact:2}")
off = 0.0
for l1, l2 in ((0.5, 0.0), (0.0, 0.5), (0.25, 0.25)):
    for wanted in (-1.7, -0.3, 0.2, 0.9):
        lowest = minimize_scalar(
            lambda w, a=wanted, p=l1, q=l2: (w - a) ** 2 / 2 + p * abs(w) + q * w**2,
            bracket=(-3, 3),
        )
        off = max(off, abs(lowest.x - shrunk(wanted, l1, l2)))
ck.prove("The formula is the minimum, for ℓ1, ℓ2 and the elastic net", off < 1e-4,
         f"at most {off:.0e} off")  # fmt: skip
theirs = {"ℓ1": Lasso(0.1, fit_intercept=False), "ℓ2": Ridge(60 * 0.08, fit_intercept=False)}
theirs["both"] = ElasticNet(0.18, l1_ratio=0.1 / 0.18, fit_intercept=False)
mine = solved | {"both": solve(x, y, l1=0.2, l2=0.08)}
apart = max(np.abs(model.fit(x, y).coef_.ravel() - mine[name].ravel()).max()
            for name, model in theirs.items())  # fmt: skip
ck.prove("The solver agrees with scikit-learn's lasso, ridge and elastic net", apart < 1e-3,
         f"{apart:.0e} apart")  # fmt: skip
zeros = {name: int(np.sum(w == 0)) for name, w in solved.items()}
trembling = int(np.sum(kernels["ℓ1"] == 0))
ck.prove("Solved, ℓ1 has zeros and ℓ2 has none; Keras' gradient steps leave none with ℓ1 either",
         zeros["ℓ1"] >= 10 and zeros["ℓ2"] == trembling == 0,
         f"{zeros['ℓ1']}, {zeros['ℓ2']} and {trembling} of 40")  # fmt: skip
draw = np.random.default_rng(lab.seed)
news = draw.normal(size=(50, 30, 1))
twins = news + 0.05 * draw.normal(size=(50, 30, 2))  # two inputs that are nearly the same
target = 2 * news + 0.5 * draw.normal(size=(50, 30, 1))
pairs = {"ℓ1": solve(twins, target, l1=0.2), "ℓ2": solve(twins, target, l2=0.1),
         "elastic net": solve(twins, target, l1=0.1, l2=0.05)}  # fmt: skip
uneven = {name: np.mean(np.ptp(w, axis=1) / np.abs(w).sum(axis=1)) for name, w in pairs.items()}
ck.prove("ℓ2 shares between twins, ℓ1 need not, the elastic net shares too",
         uneven["ℓ2"] < 0.2 < 0.5 < uneven["ℓ1"] and uneven["elastic net"] < 0.3,
         ", ".join(f"{name} {value:.0%} apart" for name, value in uneven.items()))  # fmt: skip

# %% [markdown]
# **Solved, ℓ1 has {{ zeros["ℓ1"] }} of 40 weights at exactly 0, ℓ2 has {{ zeros["ℓ2"] }}, and the net that Keras
# trained with ℓ1 has {{ trembling }}.** Gradient descent steps *over* the kink at 0 and back: such weights tremble
# around 0 and never rest on it. To get zeros you must cut the small ones off, or use an update that can land on 0.
#
# ℓ2 also **spreads**: where two inputs bring the same news, the sum of squares is smallest if each carries half, while
# the sum of absolute values does not care how they share. In fifty draws with two inputs that are nearly twins, ℓ2
# makes their weights differ by {{ uneven["ℓ2"]:.0% }} of their sum, ℓ1 by {{ uneven["ℓ1"]:.0% }}: which twin ℓ1 picks is
# chance, so do not read meaning into it. The elastic net has zeros *and* shares ({{ uneven["elastic net"]:.0% }}; Zou
# and Hastie, 2005).

# %% [markdown]
# ## 3 · How strong?
#
# A penalty that is too weak does nothing, one that is too strong leaves no weight to predict with. The strength
# is a hyperparameter (하이퍼파라미터): try values a factor of two or three apart and choose by the error on
# **validation** data, measured *without* the penalty. The error on a third set, the **test** data, then says what you
# have gained.
#
# We do that for {{ n_problems }} problems like the one above, and for as many of another kind: all forty inputs
# matter a little there (weights drawn from a bell, as long together as the five).
#
# **Predict first:** which penalty wins when few inputs matter? And when all do?

# %%
strengths = {"ℓ1": np.array([0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6]),
             "ℓ2": np.array([0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64])}  # fmt: skip
dense = draw.normal(size=(n_problems, 40, 1))
dense *= np.linalg.norm(sparse) / np.linalg.norm(dense, axis=1, keepdims=True)


def problems(n, weights):
    x = draw.normal(size=(n_problems, n, 40))
    return x, x @ weights + draw.normal(size=(n_problems, n, 1))


def error(w, x, y):
    return np.mean((x @ w - y) ** 2, axis=1)  # shape (problems, strengths)


# %%
on_valid, on_test, unpenalised = {}, {}, {}
for kind, weights in {"few matter": sparse, "all matter": dense}.items():
    train, valid, test = (problems(n, weights) for n in (60, 200, 500))
    free = solve(*train)
    on_test[kind] = {"no penalty": error(free, *test)[:, 0]}
    unpenalised[kind] = error(free, *valid).mean()
    for name, values in strengths.items():
        w = solve(*train, **{"l1" if name == "ℓ1" else "l2": values})
        on_valid[kind, name] = error(w, *valid)
        chosen = on_valid[kind, name].argmin(axis=1)  # of each problem
        on_test[kind][name] = error(w, *test)[range(n_problems), chosen]

# %% tags=["claim"]
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
for ax, kind in zip(axes, on_test, strict=True):
    for name, values in strengths.items():
        look = ck.plotting.look_of(name)
        ax.loglog(values, on_valid[kind, name].mean(axis=0), label=name, **look)
    ax.axhline(unpenalised[kind], color=ck.plotting.color_of("no penalty"), linestyle=":",
               label="no penalty")  # fmt: skip
    ax.set(xlabel="strength λ", title=f"{kind[0].upper()}{kind[1:]}", yticks=[1, 2, 3, 5, 8],
           yticklabels=["1", "2", "3", "5", "8"], xticks=[0.01, 0.1, 1],
           xticklabels=["0.01", "0.1", "1"])  # fmt: skip
    ax.minorticks_off()
axes[0].set_ylabel("validation error (mean)")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
ck.show(
    fig,
    alt="Validation error against the strength of the penalty, l1 and l2, for problems in which few inputs "
    "matter and in which all do. All four curves have a lowest point in the middle and rise steeply to the right.",
)
gain = {
    kind: {name: values.mean() for name, values in found.items()} for kind, found in on_test.items()
}
for kind, best in {"few matter": "ℓ1", "all matter": "ℓ2"}.items():
    ck.prove(f"Where {kind}, {best} wins on test data", ck.verdict(on_test[kind]).winner == best,
             ", ".join(f"{name} {value:.2f}" for name, value in gain[kind].items()))  # fmt: skip
lowest_at = {name: values[on_valid["few matter", name].mean(axis=0).argmin()]
             for name, values in strengths.items()}  # fmt: skip
inside = all(0 < values.mean(axis=0).argmin() < values.shape[1] - 1 for values in on_valid.values())
ck.prove("No best strength stands at the end of its list; the strongest one is worse than no penalty at all",
         inside and all(values.mean(axis=0)[-1] > unpenalised[kind] for (kind, name), values
                        in on_valid.items() if name == "ℓ1"),
         "; ".join(f"{kind}, {name}: best {strengths[name][values.mean(axis=0).argmin()]}"
                   for (kind, name), values in on_valid.items()))  # fmt: skip
inputs, targets = problems(60, sparse)
scaled = inputs * np.where(np.arange(40) == 0, 0.01, 1)  # the first input in another unit
lost, before = (np.mean(solve(each, targets, l1=0.2)[:, 0] == 0) for each in (scaled, inputs))
ck.prove("Measured in a unit a hundred times as large, the most important input is lost to ℓ1",
         lost > 0.99 > 0.01 > before, f"weight 0 in {lost:.0%} of the problems, before in {before:.0%}")  # fmt: skip

# %% [markdown]
# **Where few inputs matter, ℓ1 takes the test error from {{ gain["few matter"]["no penalty"]:.2f }} to
# {{ gain["few matter"]["ℓ1"]:.2f }} and ℓ2 to {{ gain["few matter"]["ℓ2"]:.2f }}; where all matter, ℓ2 gets to
# {{ gain["all matter"]["ℓ2"]:.2f }} and ℓ1 to {{ gain["all matter"]["ℓ1"]:.2f }}.** A penalty is a bet on what the truth
# looks like: ℓ1 bets on few causes, ℓ2 on many small ones. The valley in the picture is wide, so powers of two or
# three will do; to its right the penalty drowns the data, and the model underfits. Where few matter, its lowest
# points are {{ lowest_at["ℓ1"]:g }} for ℓ1 and {{ lowest_at["ℓ2"]:g }} for ℓ2: the strengths of section 1.
#
# One strength for all weights presumes inputs on **one scale**. The claim above measures the first input in a unit
# a hundred times as large: it needs a weight a hundred times as large, which the penalty does not let it have.
# Standardise first; [lesson 13](13_practical_guidelines.ipynb) shows how, and what a constant pixel does then.

# %% [markdown]
# ## 4 · Two labels in five are wrong
#
# Now a net that could learn everything by heart: {{ n_images:, }} images of digits, and far more weights than that. To make
# it hurt, 40% of the labels are replaced by another digit, as happens where labels are bought cheaply. The validation
# labels come from the same source, so 40% of them are wrong as well; only the test labels are right.
#
# Several layers with the same settings are several chances to forget one. `functools.partial` fixes what repeats:
#
# ```python
# Hidden = partial(keras.layers.Dense, 100, activation="relu", kernel_initializer="he_normal",
#                  kernel_regularizer=keras.regularizers.L2(0.01))
# ```
#
# That is all you need. Only because this lesson tries many strengths on one net, the folded cell below has a regulariser
# `penalty` and a constraint `cap` (max-norm, section 8) with their numbers in variables, which a callback sets for each
# run. All brakes (a brake: anything that regularises) are trained here at once; the next sections look at them one
# by one. First: no brake, and ℓ2.
#
# **Predict first:** how many of the *given* labels does the net without a brake get right in the end? And of right
# ones, on new images? What does ℓ2 change?


# %% tags=["helper"]
class Penalty(keras.regularizers.Regularizer):  # L1L2
    def __init__(self):
        self.l1, self.l2 = (keras.Variable(0.0, trainable=False) for _ in range(2))

    def __call__(self, kernel):
        absolute, squares = keras.ops.sum(abs(kernel)), keras.ops.sum(kernel**2)
        return self.l1 * absolute + self.l2 * squares


class Cap(keras.constraints.Constraint):  # MaxNorm over axis 0
    def __init__(self):
        self.r = keras.Variable(1e6, trainable=False)

    def __call__(self, kernel):
        norms = keras.ops.sqrt(keras.ops.sum(kernel**2, axis=0, keepdims=True))
        return kernel * (self.r / keras.ops.maximum(norms, self.r))


penalty, cap, kept = Penalty(), Cap(), {}  # kept: the weights at the end of each run


class Brake(keras.callbacks.Callback):
    """Set the strengths for a run, and keep its weights: the last ones, and those of each epoch."""

    def __init__(self, name, l1=0.0, l2=0.0, r=1e6):
        super().__init__()
        self.name, self.numbers, self.each = name, (l1, l2, r), []

    def on_train_begin(self, logs=None):
        for variable, number in zip((penalty.l1, penalty.l2, cap.r), self.numbers, strict=True):
            variable.assign(number)

    def on_epoch_end(self, epoch, logs=None):
        if self.numbers == (0.0, 0.0, 1e6):
            self.each.append(self.model.get_weights())

    def on_train_end(self, logs=None):
        kept.setdefault(self.name, []).append((self.model.get_weights(), self.each))


def braked(name, **numbers):
    return lambda: [Brake(name, **numbers)]


# %%
mnist = ck.load("mnist", n_valid=500)


def halved(images):  # to 14 × 14 pixels: a quarter of the weights, and of the time
    return images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))


def spoiled(seed, share=0.4):
    data, draw = mnist.subset(n_images, seed), np.random.default_rng(seed)

    def some_wrong(y):
        wrong = draw.random(len(y)) < share
        return np.where(wrong, (y + draw.integers(1, 10, len(y))) % 10, y)

    return SimpleNamespace(x_train=halved(data.x_train), y_train=some_wrong(data.y_train),
                           x_valid=halved(data.x_valid), y_valid=some_wrong(data.y_valid))  # fmt: skip


x_test, y_test = halved(mnist.x_test[:2_000]), mnist.y_test[:2_000]

# %%
Layer = partial(keras.layers.Dense, kernel_initializer="he_normal", kernel_regularizer=penalty,
                kernel_constraint=cap)  # fmt: skip


def build():
    hidden = [Layer(100, activation="relu") for _ in range(2)]
    model = keras.Sequential(
        [keras.Input((14, 14)), keras.layers.Flatten(), *hidden, Layer(10, activation="softmax")]
    )
    cross_entropy = keras.metrics.SparseCategoricalCrossentropy(name="cross_entropy")
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy",
                  metrics=["accuracy", cross_entropy])  # fmt: skip
    return model


# %%
lists = {"ℓ2": ("l2", [0.001, 0.002, 0.005, 0.01, 0.025]),
         "ℓ1": ("l1", [0.0003, 0.0007, 0.0015, 0.003, 0.008]),
         "max-norm": ("r", [2.0, 1.3, 0.8, 0.5, 0.3])}  # fmt: skip
lists = {brake: (argument, values[::every]) for brake, (argument, values) in lists.items()}
settings = {"no brake": {}}
for brake, (argument, values) in lists.items():
    settings |= {f"{brake} {value:g}": {argument: value} for value in values}
nets = ck.compare(
    dict.fromkeys(settings, build), spoiled, epochs=epochs, batch_size=50, seeds=n_seeds,
    callbacks={name: braked(name, **numbers) for name, numbers in settings.items()},
)  # fmt: skip


# %% tags=["claim"]
def answered_right(weights):  # the share of the test images
    h = x_test.reshape(len(x_test), -1)
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        z = h @ kernel + bias
        h = np.maximum(z, 0)
    return np.mean(z.argmax(axis=1) == y_test)


def chosen(brake):  # the strength with the highest mean validation accuracy, and its name
    means = {v: nets.last("val_accuracy")[f"{brake} {v:g}"].mean() for v in lists[brake][1]}
    value = max(means, key=means.get)
    return value, f"{brake} {value:g}"


test = {name: np.array([answered_right(last) for last, _ in kept[name]]) for name in settings}
best_l2, with_l2 = chosen("ℓ2")
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
for ax, (part, metric) in zip(
    axes, {"training": "accuracy", "validation": "val_accuracy"}.items(), strict=True
):
    for label, name in (("no brake", "no brake"), ("ℓ2", with_l2)):
        ck.plotting.band(ax, range(1, epochs + 1), nets.history[name][metric], label)
    ax.axhline(0.6, color="black", linewidth=1, linestyle=":", label="right ones")
    ax.set(xlabel="epoch", title=f"{part.capitalize()} data")
axes[0].set_ylabel("share of the given labels")
fig.legend(*ax.get_legend_handles_labels(), loc="outside right center")
ck.show(
    fig,
    alt="Share of the given labels that the net gets, on training and on validation data, against the epoch, "
    "without a brake and with l2. In training the curve without a brake rises far above the 60% that are right, "
    "that with l2 stays near them; in validation the first falls after a few epochs and the second does not.",
)

shown = ("no brake", with_l2)
given = {name: nets.last("accuracy")[name].mean() for name in shown}
right = {name: test[name].mean() for name in shown}
loss = {name: nets.last("val_cross_entropy")[name].mean() for name in shown}
ck.prove("Without a brake the net gets clearly more of the given labels than the 60% that are right",
         given["no brake"] > 0.65, f"{given['no brake']:.0%}")  # fmt: skip
ck.prove("With ℓ2 it gets fewer of them, and more test images right with every seed",
         given[with_l2] < given["no brake"] and np.all(test[with_l2] > test["no brake"]),
         f"{given[with_l2]:.0%}; {right['no brake']:.1%} → {right[with_l2]:.1%}")  # fmt: skip
ck.prove("Without a brake the validation cross-entropy ends above that of guessing, with ℓ2 below",
         loss["no brake"] > np.log(10) > loss[with_l2],
         f"{loss['no brake']:.2f} > {np.log(10):.2f} > {loss[with_l2]:.2f}")  # fmt: skip

# %% [markdown]
# **Without a brake the net gets {{ given["no brake"]:.0% }} of the given labels, of which only 60% are right, and
# {{ right["no brake"]:.1% }} of the test images; with ℓ2 {{ given[with_l2]:.0% }} and {{ right[with_l2]:.1% }}** (λ = {{ best_l2:g }},
# chosen in section 5). The right
# labels agree with each other: images that look alike have the same one, and a net with small weights can learn that. A
# wrong label stands alone; to learn it the net must bend around a single image, which takes large weights. ℓ2
# makes them too dear. (Nets can learn labels that are *all* random: Zhang and others, 2017.)
#
# In its first epochs the net without a brake learns what is common, the exceptions come later; section 9 lives on that.
# Its cross-entropy on validation images ends at {{ loss["no brake"]:.1f }}, far
# above the {{ np.log(10):.1f }} of pure guessing: it is not only wrong, it is *sure* of it.

# %% [markdown]
# ## 5 · The penalty must not drown the data
#
# **Predict first:** at the start, before any step, which part of the minimised loss is larger with λ = 0.01: the
# cross-entropy or the ℓ2 penalty?

# %%
keras.utils.set_random_seed(lab.seed)
start = build()
at_start = start.evaluate(x_test, y_test, return_dict=True, verbose=0)["cross_entropy"]
squares = sum(np.sum(kernel**2) for kernel in start.get_weights()[::2])
units = 100 + 100 + 10
print(f"cross-entropy at the start {at_start:.2f}; sum of the squares {squares:.0f}, units {units}")
for value in lists["ℓ2"][1]:
    print(f"ℓ2 penalty with λ = {value:<6g} {value * squares:5.2f}")


# %% tags=["claim"]
def against_strength(brake, title, xlabel):
    """Draw training and validation accuracy against the strength; return them."""
    found = {part: np.stack([nets.last(metric)[f"{brake} {v:g}"] for v in lists[brake][1]], axis=1)
             for part, metric in {"training": "accuracy", "validation": "val_accuracy"}.items()}  # fmt: skip
    ck.show(ck.plotting.lines(found, lists[brake][1], log="x", title=title, xlabel=xlabel,
                              ylabel="given labels right in the end"))  # fmt: skip
    return found


by_l2 = against_strength(
    "ℓ2", "Too weak, and it overfits; too strong, and it learns little", "λ of ℓ2"
)
ck.prove("With He's weights the squares add up to about two for each unit, so λ = 0.01 costs more than the data",
         abs(squares / (2 * units) - 1) < 0.1 and 0.01 * squares > at_start,
         f"{squares:.0f} for {units} units; {0.01 * squares:.2f} > {at_start:.2f}")  # fmt: skip
weak, strong = by_l2["training"].mean(axis=0)[[0, -1]]
ck.prove("The best λ is inside the list; the strongest one gets fewer of the given labels than are right",
         lists["ℓ2"][1][0] < best_l2 < lists["ℓ2"][1][-1] and strong < 0.6,
         f"best {best_l2}; from {weak:.0%} to {strong:.0%}")  # fmt: skip
end = nets.history[with_l2]
added = end["val_loss"][-1, -1] - end["val_cross_entropy"][-1, -1]
by_hand = best_l2 * sum(np.sum(kernel**2) for kernel in kept[with_l2][-1][0][::2])
ck.prove("val_loss is the cross-entropy plus the penalty", abs(added / by_hand - 1) < 1e-3,
         f"{end['val_loss'][-1, -1]:.3f} = {end['val_cross_entropy'][-1, -1]:.3f} + {by_hand:.3f}")  # fmt: skip
some = np.random.default_rng(0).normal(size=(20, 5)).astype("float32")
off, both = 0.0, keras.regularizers.L1L2(0.1, 0.02)
for l1, l2, theirs in ((0.1, 0.0, L1(0.1)), (0.0, 0.1, L2(0.1)), (0.1, 0.02, both)):
    penalty.l1.assign(l1)
    penalty.l2.assign(l2)
    off = max(off, abs(float(penalty(some)) / float(theirs(some)) - 1))
ck.prove("The regulariser with variables equals Keras' L1, L2 and L1L2", off < 1e-6,
         f"at most {off:.0e} off")  # fmt: skip

# %% [markdown]
# **On validation data the best λ of ℓ2 is {{ best_l2 }}; with {{ lists["ℓ2"][1][-1] }} the net gets only {{ strong:.0% }} of
# the labels it is trained on, fewer than are right: it underfits.**
# The cross-entropy is a **mean** over the batch, so it starts near {{ at_start:.1f }} whatever the width. The penalty is a
# **sum** over all weights: He's initialisation gives the weights of each unit squares that add up to 2, so it starts
# at 2λ times the number of units and grows with the net. (As a mean of squares the same λ
# would do next to nothing.) A strength is no constant of nature: change the width, and choose again. Keras' ℓ2 has
# no factor ½, which many textbooks have, and leaves biases alone.
#
# **A trap:** Keras adds the penalty to `loss` *and* to `val_loss`. Two strengths cannot be compared by them. Give
# `compile` the loss as a metric too, as `build` does, and compare, choose and stop by that.

# %% [markdown]
# ## 6 · A penalty of your own, in a loop of your own
#
# A penalty need not be about a kernel. Any layer may hand a number to `self.add_loss(…)` while it computes its output;
# Keras collects all of them, and those of regularisers, in `model.losses`, and `fit` adds their sum. In a loop of your
# own nobody adds them for you. The line that counts is the one with `model.losses`.
#
# **Predict first:** what happens if you leave that line out: an error, a warning, or nothing?


# %%
class PenalisedDense(keras.layers.Dense):
    def __init__(self, units, l2=0.0, **kwargs):
        super().__init__(units, **kwargs)
        self.l2 = l2

    def call(self, inputs, training=None):
        self.add_loss(self.l2 * keras.ops.sum(self.kernel**2))
        return super().call(inputs, training=training)


def one_layer(kind, **settings):
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((40,)), kind(1, **settings)])


# %%
def train_by_hand(model, with_penalties=True, steps=30):
    optimizer = keras.optimizers.SGD(0.05)
    optimizer.build(model.trainable_variables)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
            if with_penalties:
                loss += sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
    return model.get_weights()[0]


by_hand = train_by_hand(one_layer(PenalisedDense, l2=0.1))
forgotten = train_by_hand(one_layer(PenalisedDense, l2=0.1), with_penalties=False)

# %% tags=["claim"]
own = one_layer(PenalisedDense, l2=0.1)
theirs = one_layer(keras.layers.Dense, kernel_regularizer=L2(0.1))
own(x)
amounts = [
    float(own.losses[0]),
    float(theirs.losses[0]),
    0.1 * float(np.sum(own.get_weights()[0] ** 2)),
]
fitted = {}
for name, regulariser in {"ℓ2": L2(0.1), "no penalty": None}.items():
    model = one_layer(keras.layers.Dense, kernel_regularizer=regulariser)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    model.fit(x, y, batch_size=60, epochs=30, verbose=0)
    fitted[name] = model.get_weights()[0]
same = np.abs(by_hand - fitted["ℓ2"]).max()
none, moved = (np.abs(forgotten - fitted[name]).max() for name in ("no penalty", "ℓ2"))
ck.prove("Own layer, regulariser and formula give one penalty, to 1e-6", np.ptp(amounts) < 1e-6,
         f"{np.ptp(amounts):.0e} apart")  # fmt: skip
ck.prove("Own layer and loop train like Keras' regulariser and fit", same < 1e-5,
         f"{same:.0e} apart")  # fmt: skip
ck.prove("With `model.losses` left out the weights are those of no penalty", none < 1e-5 and moved > 0.01,
         f"{none:.0e} from no penalty, {moved:.2f} from ℓ2")  # fmt: skip

# %% [markdown]
# **Nothing happens: with the line left out, the weights end {{ none:.0e }} from those of no penalty at all and
# {{ moved:.2f }} from those you wanted.** No error, no warning. With the line, own layer and loop end within
# {{ same:.0e }} of Keras' own. (`model.losses` is filled by calling the model: read it *after* the call, inside the tape.)

# %% [markdown]
# ## 7 · Is ℓ2 the same as weight decay?
#
# **Weight decay** (가중치 감소) multiplies every weight by $1 - \eta\lambda$ at each step. In plain gradient descent
# that is ℓ2 with $\lambda_2 = \lambda / 2$, in Adam it is not ([lesson 08](08_optimizers.ipynb), section 10).
#
# **Predict first:** is it still the same with momentum?


# %%
a, b = 2 * x.T @ x / len(x), 2 * x.T @ y / len(x)  # the gradient of the squared error is a @ w - b


def trained(optimizer, l2=0.0, steps=50):
    w = keras.Variable(np.ones((40, 1), "float32"))
    optimizer.build([w])
    for _ in range(steps):
        optimizer.apply([tf.constant(a @ w.numpy() - b + 2 * l2 * w.numpy())], [w])
    return w.numpy()


opt, parted = keras.optimizers, {}
for name, make in {"SGD": partial(opt.SGD, 0.02), "SGD, momentum 0.9": partial(opt.SGD, 0.02, momentum=0.9),
                   "Adam": partial(opt.Adam, 0.02)}.items():  # fmt: skip
    penalised, decayed = trained(make(), l2=0.1), trained(make(weight_decay=0.2))
    parted[name] = np.abs(penalised - decayed).max()
    print(f"{name:18s} norm of the weights with ℓ2 {np.linalg.norm(penalised):.3f}, with decay "
          f"{np.linalg.norm(decayed):.3f}; largest difference of a weight {parted[name]:.0e}")  # fmt: skip

# %% tags=["claim"]
adamw = np.abs(trained(opt.AdamW(0.02, weight_decay=0.2)) - decayed).max()
ck.prove("In plain SGD the two are one; with momentum and in Adam they part",
         parted["SGD"] < 1e-5 and min(parted["SGD, momentum 0.9"], parted["Adam"]) > 0.02,
         ", ".join(f"{name} {value:.0e}" for name, value in parted.items()))  # fmt: skip
ck.prove("Adam with `weight_decay=` is AdamW", adamw < 1e-6, f"{adamw:.0e} apart")

# %% [markdown]
# **After 50 steps a weight with ℓ2 and one with decay differ by {{ parted["SGD"]:.0e }} in plain SGD, by up to
# {{ parted["SGD, momentum 0.9"]:.2f }} with momentum and {{ parted["Adam"]:.2f }} in Adam.** Momentum builds the
# penalty's pull up, as it does with any gradient, to about $1/(1-\beta)$ times its size, and leaves the decay alone:
# the same number is another strength. So ℓ2 fits SGD; with Adam take `AdamW`. Decay shrinks biases too, unless you call
# `optimizer.exclude_from_weight_decay(var_names=["bias"])` before building.

# %% [markdown]
# ## 8 · Max-norm: a cap, not a pull
#
# Max-norm adds nothing to the loss. After each step it looks at the weights $w$ that lead into one unit, and if they
# are longer than $r$, it shortens them:
#
# $$w \leftarrow w \cdot \frac{r}{\lVert w \rVert_2} \quad\text{if } \lVert w \rVert_2 > r$$
#
# In Keras it is `kernel_constraint=keras.constraints.MaxNorm(r, axis=…)`, where `axis` names the axes that are summed
# over to get *one norm for each unit*. A Dense kernel has the shape [in, out], so it is 0, the default. And for Conv2D?
# "[samples, height, width, channels]", say many notes.
#
# **Predict first:** where would the number of samples stand in the kernel of a layer that has not yet seen any?

# %%
conv = keras.layers.Conv2D(filters=6, kernel_size=(3, 5))
images = np.random.default_rng(0).normal(size=(7, 10, 12, 4)).astype("float32")
answer = np.array(conv(images))
print("images in", images.shape, "  kernel", conv.kernel.shape, "  images out", answer.shape)

kernel = np.random.default_rng(1).normal(size=conv.kernel.shape).astype("float32")
capped = {}
for axis in (0, [0, 1, 2]):
    shortened = np.array(keras.constraints.MaxNorm(1.0, axis=axis)(kernel))
    capped[str(axis)] = np.linalg.norm(shortened.reshape(-1, 6), axis=0)
    print(f"MaxNorm(1.0, axis={axis}): norms of the filters {capped[str(axis)].round(2)}")

# %% tags=["claim"]
nudged = conv.get_weights()[0]
nudged[:, :, :, 2] += 1
conv.set_weights([nudged, np.zeros(6)])
changed = np.flatnonzero(
    np.abs(np.array(conv(images)) - answer).max(axis=(0, 1, 2)) > 1e-5
).tolist()
ck.prove(
    "A Conv2D kernel is [height, width, in, out]: a change in its last axis changes that filter's answers alone",
    tuple(conv.kernel.shape) == (3, 5, 4, 6) and changed == [2],
    f"{tuple(conv.kernel.shape)}, changed {changed}",
)
ck.prove("Only axis=[0, 1, 2] caps a filter as a whole", capped["[0, 1, 2]"].max() < 1 + 1e-5 < capped["0"].min(),
         f"largest {capped['[0, 1, 2]'].max():.3f}, with axis=0 {capped['0'].max():.2f}")  # fmt: skip
cap.r.assign(1.2)
flat = kernel.reshape(-1, 6)
formula = flat * np.minimum(1, 1.2 / np.linalg.norm(flat, axis=0))
off = max(
    np.abs(np.array(each(flat)) - formula).max() for each in (cap, keras.constraints.MaxNorm(1.2))
)
ck.prove(
    "The constraint with a variable equals Keras' MaxNorm and the formula",
    off < 1e-5,
    f"{off:.0e} off",
)

# %% [markdown]
# No 7 in the kernel: [samples, height, width, channels] is the *activation*. The kernel is **[height, width, in, out]**,
# and one norm for each filter sums over the first three axes. With the default, which is meant for Dense, every
# little column of 3 numbers is capped and a filter reaches the norm {{ capped["0"].max():.1f }} in place of 1.
#
# Back to the net with wrong labels. He's initialisation gives unit norms near $\sqrt 2$.

# %% tags=["claim"]
by_r = against_strength(
    "max-norm", "The smaller r, the worse the fit; validation is best in the middle", "r"
)


def unit_norms(name):
    weights = [layer for last_weights, _ in kept[name] for layer in last_weights[::2]]
    return np.concatenate([np.linalg.norm(kernel, axis=0) for kernel in weights])


best_r, with_r = chosen("max-norm")
longest = {name: unit_norms(name).max() for name in ("no brake", with_r)}
ck.prove("After training no unit's norm exceeds r, whatever r",
         all(unit_norms(f"max-norm {r:g}").max() < r + 1e-4 for r in lists["max-norm"][1]),
         f"largest {longest[with_r]:.4f} with r = {best_r}, without a cap {longest['no brake']:.2f}")  # fmt: skip
ck.prove("A smaller r fits the training labels worse; the best r on validation data is inside the list",
         np.all(np.diff(by_r["training"].mean(axis=0)) < 0) and lists["max-norm"][1][-1] < best_r < 2,
         f"best r = {best_r}; training {by_r['training'].mean(axis=0).round(2)}")  # fmt: skip
ck.prove(
    "The best r answers more test images right than no brake, with every seed",
    np.all(test[with_r] > test["no brake"]),
    f"{test['no brake'].mean():.1%} → {test[with_r].mean():.1%}",
)

# %% [markdown]
# **With r = {{ best_r }} the net gets {{ test[with_r].mean():.1% }} of the test images right, without a cap
# {{ test["no brake"].mean():.1% }}; the longest unit has the norm {{ longest[with_r]:.2f }} in place of
# {{ longest["no brake"]:.1f }}.** A smaller r regularises more: with 2 the net
# still gets {{ by_r["training"].mean(axis=0)[0]:.0% }} of the given labels, with 0.3 only {{ by_r["training"].mean(axis=0)[-1]:.0% }}. What it does not do is pull: a unit below the cap is free. As a layer with
# short weights cannot enlarge a gradient much, max-norm also calms unstable gradients; it was proposed as a
# partner of dropout (Srivastava and others, 2014; [lesson 11](11_dropout.ipynb)).

# %% [markdown]
# ## 9 · Early stopping
#
# The cheapest brake: watch the loss on validation data, and stop when it has not improved for `patience` epochs. Here
# is the logic by hand; Keras has it ready as `keras.callbacks.EarlyStopping`. One run for each way is
# enough: this is mechanics, not luck.
#
# **Predict first:** training ends `patience` epochs after the best one. Whose weights does the net have then: those
# of the last epoch, or those of the best?


# %%
class StopEarly(keras.callbacks.Callback):
    def __init__(self, patience):
        super().__init__()
        self.patience, self.best, self.waited = patience, np.inf, 0

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_cross_entropy"] < self.best:
            self.best, self.waited = logs["val_cross_entropy"], 0
        else:
            self.waited += 1
            if self.waited == self.patience:
                self.model.stop_training = True


# %%
patience = 4
Stop = partial(keras.callbacks.EarlyStopping, "val_cross_entropy", mode="min", patience=patience)
ways = {"by hand": lambda: StopEarly(patience), "Keras, as it comes": Stop,
        "restored": lambda: Stop(restore_best_weights=True),
        "restored, all 12": lambda: Stop(patience=100, restore_best_weights=True)}  # fmt: skip
stopped = ck.compare(
    dict.fromkeys(ways, build), spoiled, epochs=12, batch_size=100, seeds=1,
    callbacks={way: lambda way=way: [ways[way](), Brake(way)] for way in ways},
)  # fmt: skip

# %% tags=["claim"]
fits = True
for way in ways:
    ended = []
    for row, (weights, each) in enumerate(kept[way]):
        best = int(np.argmin(stopped.history[way]["val_cross_entropy"][row][: len(each)]))
        whose = [
            epoch + 1 for epoch, old in enumerate(each) if all(map(np.array_equal, old, weights))
        ]
        ended.append(f"best epoch {best + 1}, end {len(each)}, weights of {whose[0]}")
        restored = way.startswith("restored")
        fits = fits and whose == [best + 1 if restored else len(each)]
        fits = fits and len(each) == (12 if "12" in way else min(12, best + 1 + patience))
    print(f"{way:18s} {'; '.join(ended)}")
ck.prove("Training ends `patience` epochs after the best; only restore_best_weights gives the best epoch's weights, bit "
         "for bit, and does so where the stop never comes", fits, f"patience {patience}, {len(ways)} runs")  # fmt: skip

# %% [markdown]
# Those of the last, unless you ask for the others. `restore_best_weights` is **off** by default; switched on, it
# puts the best epoch's weights back, even if training runs to its planned end and the stop never comes. (To
# do it by hand, keep `model.get_weights()` at each new best, and set them in `on_train_end`.)
#
# What would it have brought to the net of section 4, which learned wrong labels for {{ epochs }} epochs?

# %% tags=["claim"]
by_epoch = np.array([[answered_right(weights) for weights in each] for _, each in kept["no brake"]])
watched = nets.history["no brake"]["val_cross_entropy"]


def stops(losses):  # the best epoch and the last one, counted from 0
    best = 0
    for epoch, loss in enumerate(losses):
        best = epoch if loss < losses[best] else best
        if epoch - best == patience:
            break
    return best, epoch


best_epochs, last_epochs = np.array([stops(losses) for losses in watched]).T
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4))
for ax, curves_of, name in (
    (axes[0], watched, "validation cross-entropy"),
    (axes[1], by_epoch, "test images right"),
):
    for i, (curve, best, end) in enumerate(zip(curves_of, best_epochs, last_epochs, strict=True)):
        style = ck.plotting.line_kw(i)
        ax.plot(range(1, epochs + 1), curve, **(style | {"linewidth": 1.2}))
        for at, mark, said in ((best, "o", "best epoch"), (end, "x", f"stop, patience {patience}")):
            ax.plot(at + 1, curve[at], mark, color=style["color"], markersize=8, markeredgewidth=2,
                    label=None if i else said)  # fmt: skip
    ax.set(xlabel="epoch", ylabel=name)
axes[0].set_title(f"The loss rises after epoch {np.mean(best_epochs) + 1:.0f} …")
axes[1].set_title("… and with it goes what the net had learned")
fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
ck.show(fig, alt="Left the validation cross-entropy, right the share of right test images, against the epoch, one "
        "line for each seed. The loss has its lowest point, marked by a dot, in the first epochs and rises from "
        "there; the share of right test images falls after it. A cross marks the stop.")  # fmt: skip

early = by_epoch[range(len(by_epoch)), best_epochs]
late = by_epoch[:, -1]
by_accuracy = nets.history["no brake"]["val_accuracy"].argmax(axis=1)
at_peak = by_epoch[range(len(by_epoch)), by_accuracy]
ck.prove("With every seed the best epoch's net gets at least 5 percentage points more test images right than the last",
         np.all(early > late + 0.05), f"{late.mean():.1%} → {early.mean():.1%}")  # fmt: skip
saved = 1 - (last_epochs.mean() + 1) / epochs
ck.prove(
    "Stopping saves more than a third of the epochs", saved > 1 / 3, f"{saved:.0%} of {epochs}"
)

# %% [markdown]
# **Early stopping takes the test images from {{ late.mean():.1% }} to {{ early.mean():.1% }} right, and saves
# {{ saved:.0% }} of the epochs.** The validation labels were 40% wrong, and yet
# they chose well: nobody can predict a random label, so wrong ones raise the loss of every epoch,
# good or bad. The lowest loss comes in epoch {{ best_epochs.mean() + 1:.1f }} on average, the highest validation *accuracy* in
# epoch {{ by_accuracy.mean() + 1:.1f }}, and the net of the latter gets {{ at_peak.mean():.1% }} of the test images right. The loss
# counts how sure the net is, the accuracy does not.

# %% [markdown]
# ## 10 · All brakes, one race
#
# Each brake had {{ len(lists["ℓ2"][1]) }} strengths, and gets the one with the highest validation accuracy: choose by what you will be judged by.
# Early stopping is that of section 9. The test images, with right labels, had no say.
#
# **Predict first:** which brake wins? And what will be left of its lead if all training labels are right?

# %%
right_labels = {"right labels, no brake": {}}
right_labels |= {f"right labels, ℓ2 {value:g}": {"l2": value} for value in (0.0005, 0.002)}
clean = ck.compare(
    dict.fromkeys(right_labels, build), partial(spoiled, share=0.0), epochs=epochs, batch_size=50,
    seeds=n_seeds, callbacks={name: braked(name, **numbers) for name, numbers in right_labels.items()},
)  # fmt: skip

# %% tags=["claim"]
race = {
    "no brake": test["no brake"],
    **{brake: test[chosen(brake)[1]] for brake in lists},
    "early stopping": early,
}
in_percent = {brake: 100 * values for brake, values in race.items()}
outcome = ck.verdict(in_percent, better="higher", metric="share of test images right")
ck.show(
    ck.plotting.strips(
        in_percent, title=outcome.headline, xlabel="test images answered right, in percent"
    )
)

gains = {
    brake: values.mean() - race["no brake"].mean()
    for brake, values in race.items()
    if brake != "no brake"
}
least, most = (100 * of(gains.values()) for of in (min, max))
ck.prove("With two wrong labels in five every brake gets more test images right than no brake, on average",
         min(gains.values()) > 0, ", ".join(f"{brake} {100 * gain:+.1f}" for brake, gain in gains.items()))  # fmt: skip
clean_test = {
    name: np.mean([answered_right(weights) for weights, _ in kept[name]]) for name in right_labels
}
ends = {name: values.mean() for name, values in clean.last("val_accuracy").items()}
picked_clean = max((name for name in ends if "ℓ2" in name), key=ends.get)
left = 100 * (clean_test[picked_clean] - clean_test["right labels, no brake"])
ck.prove("With right labels the gain of ℓ2 is less than a third of that with wrong ones, and below 3 percentage points",
         left < 100 * gains["ℓ2"] / 3 and abs(left) < 3,
         f"{left:+.1f} against {100 * gains['ℓ2']:+.1f} percentage points")  # fmt: skip

# %% [markdown]
# **With wrong labels the brakes gain {{ least:.0f }} to {{ most:.0f }} percentage points over no
# brake; with right labels ℓ2 gains {{ left:.1f }}.** In percent of the test images,
# {{ outcome.text }} On clean digits there is
# nothing wrong to learn by heart, and so little to hold the net back from. Expect a gain where labels are noisy,
# samples few or inputs many.

# %% [markdown]
# ## Optional: three ways to a sparse model
#
# A sparse model is smaller on disk and may be faster. Three ways:
#
# 1. train as usual, then set the smallest weights to 0 (**pruning**);
# 2. train with ℓ1, then do the same: most weights are near 0 already;
# 3. prune *while* training, a little more every few hundred steps, so that the net can adapt (Zhu and Gupta, 2017).
#    TF-MOT, TensorFlow's toolkit for it, is made for Keras 2, so this course only describes it.


# %% tags=["claim"]
def prune(weights, share):
    """Set the smallest weights of all kernels together to 0."""
    limit = np.quantile(np.abs(np.concatenate([w.ravel() for w in weights[::2]])), share)
    return [w * (np.abs(w) > limit) if w.ndim == 2 else w for w in weights]


cuts, finals = [0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98], {"no brake": "no brake"}
finals |= {brake: chosen(brake)[1] for brake in ("ℓ2", "ℓ1")}
pruned = {
    label: np.array(
        [[answered_right(prune(weights, cut)) for cut in cuts] for weights, _ in kept[name]]
    )
    for label, name in finals.items()
}
near_zero = {label: np.mean([np.mean(np.abs(np.concatenate([w.ravel() for w in weights[::2]])) < 1e-3)
                             for weights, _ in kept[name]]) for label, name in finals.items()}  # fmt: skip
ck.show(ck.plotting.lines(pruned, cuts, title="How much can be cut, without training again",
                          xlabel="share of the weights set to 0", ylabel="share of test images right"))  # fmt: skip
fig, ax = plt.subplots(figsize=(7.5, 3))
for label, name in finals.items():
    values = np.concatenate([w.ravel() for weights, _ in kept[name] for w in weights[::2]])
    ax.hist(values, np.linspace(-0.3, 0.3, 121), histtype="step", label=label, density=True,
            color=ck.plotting.color_of(label), linewidth=1.6)  # fmt: skip
ax.set(xlabel="weight (cut at ±0.3)", ylabel="density (log)", yscale="log",
       title=", ".join(f"{label} {share:.0%}" for label, share in near_zero.items()) + " below 0.001")  # fmt: skip
fig.legend(*ax.get_legend_handles_labels(), loc="outside right center")
ck.show(fig, alt="Histograms of all weights on a logarithmic axis: without a brake broad, with l2 narrower, with "
        "l1 a sharp peak at 0.")  # fmt: skip

at_80 = cuts.index(0.8)
lost = {label: 100 * (v[:, 0] - v[:, at_80]).mean().round(3) + 0.0 for label, v in pruned.items()}
ck.prove("ℓ1 leaves at least half as many weights again near 0 as ℓ2 or no brake",
         near_zero["ℓ1"] > 1.5 * max(near_zero["ℓ2"], near_zero["no brake"]),
         ", ".join(f"{label} {share:.0%}" for label, share in near_zero.items()))  # fmt: skip
ck.prove("With 80% of the weights cut, the ℓ1 net loses less than 3 percentage points",
         lost["ℓ1"] < 3, ", ".join(f"{label} {value:.1f}" for label, value in lost.items()))  # fmt: skip

# %% [markdown]
# **With 80% of its weights cut, the ℓ1 net loses {{ max(lost["ℓ1"], 0):.1f }} percentage points, the net without a brake
# {{ lost["no brake"]:.1f }}.** A zero in an ordinary array takes as much room as any number:
# you gain with compression, or a sparse format.
#
# ## Pitfalls
#
# - **Comparing `val_loss` across strengths**: it holds the penalty. So does what early stopping monitors by default.
# - **`partial(Dense, 100, …)` and then `Layer(50)`**: the 50 is taken for the *activation*.
# - **An initialiser *object* in a partial**, with a seed or without: it repeats its numbers, so all layers of one shape
#   start alike. A name such as `"he_normal"` is safe ([lesson 02](02_weight_initialisation.ipynb)).
# - **A penalty on a self-normalising net**: ℓ1, ℓ2 and max-norm break what SELU needs
#   ([lesson 03](03_activation_functions.ipynb)).
# - **`patience` too small** takes noise for the end; **a misspelt `monitor`** only warns, and never stops.
#
# ## What to do tomorrow
#
# 1. Look at the gap between training and validation first: without one, there is nothing to regularise.
# 2. Stop early with `restore_best_weights=True`: it costs nothing, except in a schedule that comes down at its
#    planned end (1cycle, cosine).
# 3. Add ℓ2 (with Adam: `AdamW`), its strength swept in steps of three on validation data.
# 4. Take ℓ1 when you expect that few inputs matter, or want zeros; cut the small weights off.
# 5. Give `compile` the loss as a metric, and compare by that one.
#
# ## Recap
#
# - A penalty is a bet: ℓ1 on few causes, which it leaves at 0, ℓ2 on many small ones, which it shrinks and spreads.
# - The data loss is a mean, the penalty a sum: check both at the start, and choose λ anew with each architecture.
# - In a loop of your own add `model.losses`; nobody tells you if you forget.
# - Max-norm caps each unit; on Conv2D kernels that is `axis=[0, 1, 2]`.
# - Wrong labels are learned last: a brake, or an early stop, gains most where labels are noisy.
#
# ## Now practise
#
# Open [exercise 10](../exercises/10_regularisation.ipynb): write the penalty, a layer that adds its own, the max-norm
# projection for Dense and Conv2D, and the logic of early stopping; then train with all of them. Then go on with
# lesson [11 Dropout and Monte Carlo dropout](11_dropout.ipynb).
#
# ## Further reading
#
# - R. Tibshirani, *Regression Shrinkage and Selection via the Lasso*, Journal of the Royal Statistical Society B
#   58(1), 1996: section 2, why ℓ1 gives zeros.
# - H. Zou and T. Hastie, *Regularization and Variable Selection via the Elastic Net*, Journal of the Royal
#   Statistical Society B 67(2), 2005.
# - C. Zhang and others, *Understanding Deep Learning Requires Rethinking Generalization*, ICLR 2017,
#   arXiv:1611.03530: section 2, random labels.
# - N. Srivastava and others, *Dropout: A Simple Way to Prevent Neural Networks from Overfitting*, JMLR 15, 2014:
#   section 5.1, max-norm.
# - L. Prechelt, *Early Stopping – But When?*, in *Neural Networks: Tricks of the Trade*, Springer, 1998.
# - I. Loshchilov and F. Hutter, *Decoupled Weight Decay Regularization*, ICLR 2019, arXiv:1711.05101: section 2.
# - M. Zhu and S. Gupta, *To Prune, or Not to Prune: Exploring the Efficacy of Pruning for Model Compression*, 2017,
#   arXiv:1710.01878: section 3, pruning by a schedule.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022, chapter 11.
