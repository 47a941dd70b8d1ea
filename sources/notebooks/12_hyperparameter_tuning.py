# %% [markdown]
# # 12 Hyperparameter tuning
#
# Every lesson so far had numbers that somebody chose: a learning rate, a width, a decay. How do you
# choose them yourself, with as few trainings as possible, and without fooling yourself?
#
# ## What you will be able to do
#
# After about {{ minutes.reading }} minutes of reading, or {{ minutes.with_code }} minutes with the
# code, you will be able to
#
# - tell **hyperparameters** (하이퍼파라미터) that you study from those that you only must get right;
# - draw each on the right scale, and search from coarse to fine;
# - say when a grid, random points, quasi-random points or a Bayesian search (TPE) is worth it;
# - stop hopeless trials early, and rank hyperparameters by their importance;
# - finish: choose, train again over several seeds, and test once.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import matplotlib.pyplot as plt
import numpy as np

# %% [markdown]
# A network's **parameters** are what training finds: weights and biases. **Hyperparameters** are what you
# must set before, and no gradient tells you how. The whole way from a question to a number that you may
# report looks like this; sections 4 and 9 walk it, the others make its steps better or cheaper.
#
# ![Five boxes in a row: search wide and cheap, narrow with a margin, retrain finalists over seeds, choose away from a cliff, test once. An arrow leads from narrow back to search if the best lies at an end. Training images serve every training, validation images every choice, test images no choice at all.](../figures/tuning_workflow.svg)

# %% [markdown]
# ## 1 · What are you tuning for?
#
# A model's error has three parts: **noise**, which nobody can predict; **bias**, by which even the
# average model of its kind is wrong (underfitting, 과소적합); and **variance**, by which models that saw
# different samples disagree (overfitting, 과대적합). For the squared error they add up exactly: noise +
# bias² + variance.
#
# ### Explore: thirty polynomials
#
# Each thin line is a polynomial fitted to 20 noisy points of the dashed curve. Raise the
# degree.


# %% tags=["helper"]
x = np.linspace(-1, 1, 20)
truth = np.exp(x) * np.sin(4 * x)


def fits(degree, noise, sets, seed=0):
    """Fit a polynomial to each of many noisy samples of the curve; return all fits, (sets, 20)."""
    samples = truth + noise * np.random.default_rng(seed).normal(size=(sets, len(x)))
    powers = np.polynomial.chebyshev.chebvander(x, degree)
    return (powers @ np.linalg.lstsq(powers, samples.T, rcond=None)[0]).T


def draw_fits(degree, noise):
    found = fits(degree, noise, 30)
    fig, ax = plt.subplots(figsize=(7.5, 3.4))
    ax.plot(x, found.T, color=ck.plotting.COLORS[0], alpha=0.25, linewidth=1)
    ax.plot(x, found.mean(axis=0), color=ck.plotting.COLORS[0], linewidth=2.5, linestyle="-",
            label="mean of the fits")  # fmt: skip
    ax.plot(x, truth, color="black", linestyle="--", label="the true curve")
    ax.set(
        xlabel="x",
        ylabel="y",
        ylim=(-3.5, 2.5),
        title=f"30 sets of 20 points, 30 polynomials of degree {degree}",
    )
    fig.legend(loc="outside right center")
    return fig


ck.widgets.explore(
    draw_fits,
    alt="Thirty fitted polynomials as thin lines, their mean as a thick one, the true curve dashed.",
    degree=(0, 15, 3),
    noise=(0.1, 2.0, 0.5, "log"),
)

# %% [markdown]
# **Predict first:** from degree 0 to 15, which part falls, which grows, and where is their sum lowest?
# And with a *net* in place of the polynomial, 2 to 1,000 units, trained until the loss hardly moves? There
# we count wrong answers: bias is the error of all nets of a size together, variance the share of images on
# which one net departs from them. For the share of wrong answers the parts do not add up.
# (All nets of this lesson see handwritten digits of 7 × 7 pixels, so that hundreds train in a moment.)

# %%
noise, degrees = 0.5, np.arange(16)
bias, variance, measured = [], [], []
for degree in degrees:
    found = fits(degree, noise, sets=2_000, seed=lab.seed)
    bias.append(np.mean((found.mean(axis=0) - truth) ** 2))
    variance.append(found.var(axis=0).mean())
    fresh = truth + noise * np.random.default_rng(lab.seed + 1).normal(size=found.shape)
    measured.append(np.mean((found - fresh) ** 2))  # on samples that no fit has seen
bias, variance, measured = map(np.array, (bias, variance, measured))

# %% tags=["plot"]
best_degree = int(measured.argmin())
ck.show(ck.plotting.lines(
    {"bias": bias, "variance": variance, "noise": np.full(16, noise**2), "error": measured},
    degrees, title=f"Polynomials: bias falls, variance grows; degree {best_degree} is in between",
    xlabel="degree of the polynomial", ylabel="mean squared error (bias: squared)"))  # fmt: skip

# %% tags=["claim"]
off = np.abs(measured / (noise**2 + bias + variance) - 1).max()
ck.prove("Noise, bias² and variance add up to the error on fresh data", off < 0.03,
         f"at most {off:.1%} off, 16 degrees")  # fmt: skip
ck.prove("With the degree, the bias falls and the variance grows",
         bias[-1] < bias[0] / 100 and (np.diff(variance) > 0).all(),
         f"bias² {bias[0]:.2g} to {bias[-1]:.2g}, variance {variance[0]:.3f} to {variance[-1]:.3f}")  # fmt: skip
ck.prove("The lowest error lies inside", 0 < best_degree < 15, f"at degree {best_degree}")

# %% tags=["helper"]
from types import SimpleNamespace

n, epochs, n_trials, n_seeds, times = lab.pick(
    quick=(1_000, 4, 64, 4, 25), standard=(4_000, 8, 128, 8, 100), full=(20_000, 8, 256, 12, 200)
)
data = ck.load("mnist", n_valid=1_000)


def small(images):
    """Average 4 x 4 pixels, so that hundreds of nets train in a moment: (n, 7, 7)."""
    return images.reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4))


judges, y_judges = small(data.x_valid), data.y_valid


def deal(seed, n=200):
    """Return n images of its own for each seed, and the same validation images for all."""
    part = data.subset(n, seed)
    return SimpleNamespace(x_train=small(part.x_train), y_train=part.y_train,
                           x_valid=judges, y_valid=y_judges)  # fmt: skip


class Votes(keras.callbacks.Callback):
    """Keep what each run's net says in the end about the validation images."""

    def __init__(self, kept):
        super().__init__()
        self.kept = kept

    def on_train_end(self, logs=None):
        self.kept.append(np.array(self.model(judges)))


# %%
def net(units):
    hidden = keras.layers.Dense(units, "relu", kernel_initializer="he_normal")
    model = keras.Sequential(
        [keras.Input((7, 7)), keras.layers.Flatten(), hidden, keras.layers.Dense(10, "softmax")]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


sizes = lab.pick(quick=(2, 30, 1_000), standard=(2, 5, 30, 1_000), full=(2, 5, 10, 30, 100, 1_000))
votes = {units: [] for units in sizes}
nets = ck.compare({units: lambda units=units: net(units) for units in sizes}, deal, epochs=80,
                  batch_size=10, seeds=n_seeds,
                  callbacks={units: lambda units=units: [Votes(votes[units])] for units in sizes})  # fmt: skip

# %% tags=["plot"]
said = {units: np.array(each) for units, each in votes.items()}  # (seeds, images, classes)
classes = {units: each.argmax(axis=2) for units, each in said.items()}
together = {units: each.mean(axis=0).argmax(axis=1) for units, each in said.items()}
net_bias = np.array([np.mean(together[u] != y_judges) for u in sizes])
net_variance = np.array([np.mean(classes[u] != together[u]) for u in sizes])
net_error = np.array([np.mean(classes[u] != y_judges) for u in sizes])
ck.show(ck.plotting.lines(
    {"bias": net_bias, "variance": net_variance, "error": net_error}, sizes, log="x",
    title="Nets: both parts fall, and the largest net is the best",
    xlabel="units in the hidden layer", ylabel="share of validation images"))  # fmt: skip

# %% tags=["claim"]
ends = [
    nets.history[units]["loss"][:, -20:].reshape(n_seeds, 2, 10).mean(axis=2) for units in sizes
]
left = [np.abs(each[:, 1] - each[:, 0]).mean() / (np.log(10) - each[:, 1].mean()) for each in ends]
settled = np.max(left)  # what the last ten epochs changed, as a share of all that was learned
ck.prove("From 2 to 1,000 units bias and variance both fall",
         net_bias[-1] < net_bias[0] and net_variance[-1] < net_variance[0],
         f"bias {net_bias[0]:.1%} to {net_bias[-1]:.1%}, variance {net_variance[0]:.1%} to {net_variance[-1]:.1%}")  # fmt: skip
ck.prove("The net of 1,000 units makes the fewest errors, on average", net_error.argmin() == len(sizes) - 1,
         ", ".join(f"{u} units {e:.1%}" for u, e in zip(sizes, net_error, strict=True)))  # fmt: skip
ck.prove("The net of 1,000 units disagrees no more than the one of 30, but for 2 points",
         net_variance[-1] < net_variance[-2] + 0.02, f"{net_variance[-1]:.1%} and {net_variance[-2]:.1%}")  # fmt: skip
ck.prove("In the last ten epochs no size's training loss moved by more than 5% of its whole fall, on average",
         settled < 0.05, f"at most {settled:.1%}")  # fmt: skip

# %% [markdown]
# **The polynomial has its best degree at {{ best_degree }}: there its error is
# {{ measured[best_degree]:.2f }}, at degree 15 {{ measured[-1]:.2f }}; among the nets the largest is
# best, with {{ net_error[-1]:.0% }} errors against {{ net_error[0]:.0% }} with 2 units.** The
# polynomial is the textbook: every degree gives the fit one more way to follow the noise. A wide net
# has far more parameters than images, and yet its variance *falls*, from {{ net_variance[0]:.0% }} to
# {{ net_variance[-1]:.0% }}: tiny nets depend on their start and on their images, wide ones find much the same
# answer every time (Neal and others, 2018). Here the width was no knob against overfitting. What the parts
# are good for is to tell you where to turn:
#
# | symptom | means | try |
# |---|---|---|
# | training loss high | bias | more units or layers, a better rate, longer training |
# | training low, validation high | variance | more data, decay ([lesson 10](10_regularisation.ipynb)), dropout ([lesson 11](11_dropout.ipynb)), an average of nets |
# | both low, test high | a leak, or other data | section 9; is the new data like the old? |

# %% [markdown]
# ## 2 · Scientific, nuisance, fixed
#
# The *Deep Learning Tuning Playbook* (Godbole and others, 2023) gives every hyperparameter one of three
# roles, and the role depends on your **question**, not on the hyperparameter:
#
# | role | what you do with it | in the question "does momentum help?" |
# |---|---|---|
# | **scientific** | its effect is what you want to know | momentum: 0 or 0.9 |
# | **nuisance** | tune it anew for each value of the scientific one, else the comparison is unfair | the learning rate |
# | **fixed** | leave it alone, and say that the answer holds for this value | layers, units, batch size, epochs |
#
# **Predict first:** SGD at the rate 0.01 without momentum, and with 0.9. Which one ends lower? And
# which one if the nuisance is tuned for each?


# %%
def plain_sgd(momentum):
    model = net(30)
    model.compile(keras.optimizers.SGD(0.01, momentum), "sparse_categorical_crossentropy")
    return model


both = {f"momentum {m:g}": lambda m=m: plain_sgd(m) for m in (0.0, 0.9)}
budget = {"epochs": 8, "batch_size": 50, "seeds": n_seeds}
thousand = deal(lab.seed, 1_000)
careless = ck.compare(both, thousand, **budget)
fair = ck.compare(both, thousand, rates=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0), **budget)
ck.show(fair.rate_curves(title="Two valleys: momentum 0.9 wants a smaller rate", log="xy"))

# %% tags=["claim"]
without, with_it = (careless.last()[name] for name in both)
tuned = {name: values.mean() for name, values in fair.last().items()}
gap = {
    "careless": without.mean() - with_it.mean(),
    "fair": tuned["momentum 0"] - tuned["momentum 0.9"],
}
ck.prove("At the rate 0.01 every run with momentum ends below every run without",
         with_it.max() < without.min(), f"{with_it.max():.2f} < {without.min():.2f}")  # fmt: skip
ck.prove("With tuned rates less than half of the gap is left", abs(gap["fair"]) < gap["careless"] / 2,
         f"{gap['careless']:.2f}, then {gap['fair']:+.3f}")  # fmt: skip
ck.prove("Momentum 0.9 wants at most half the rate",
         fair.rates["momentum 0"] > 1.9 * fair.rates["momentum 0.9"], f"{fair.rates}")  # fmt: skip

# %% [markdown]
# **At the rate 0.01 momentum leads by {{ gap["careless"]:.2f }}; with the rate tuned for each, its lead is
# {{ gap["fair"]:.3f }}.** What won in the first comparison was the longer step: with 0.9 it is ten
# times as long in the end ([lesson 08](08_optimizers.ipynb)), and 0.01 was too small for the other. Tuned,
# the two want {{ fair.rates["momentum 0.9"]:g }} and {{ fair.rates["momentum 0"]:g }}.
# The picture is the search, one seed for each rate; the verdict has {{ n_seeds }} new seeds:
# {{ fair.verdict("val_loss").text }} Many an "improvement" is a nuisance that was tuned for one side
# only.

# %% [markdown]
# ## 3 · On which scale?
#
# You look for a rate or a decay somewhere between 0.0001 and 1, and draw 10,000 values uniformly.
#
# **Predict first:** what share of them lies above 0.1? What share should?

# %%
draw = np.random.default_rng(lab.seed)
samples = {
    "uniform": draw.uniform(1e-4, 1, 10_000),
    "log-uniform": 10 ** draw.uniform(-4, 0, 10_000),
}
below = {name: np.mean(values < 0.1) for name, values in samples.items()}
numbers = sorted(set(draw.integers(2, 5, 1_000).tolist()))

# %% tags=["plot"]
fig, axes = plt.subplots(1, 2, figsize=(9, 2.6), sharey=True)
for i, (ax, (name, values)) in enumerate(zip(axes, samples.items(), strict=True)):
    ax.hist(np.log10(values), bins=np.linspace(-4, 0, 33), color=ck.plotting.COLORS[i])
    ax.axvline(-1, color="black", linestyle="--", linewidth=1)
    ax.set_xticks(range(-4, 1), ["0.0001", "0.001", "0.01", "0.1", "1"])
    ax.set(xlabel="value (log scale)", title=f"{name}: {1 - below[name]:.0%} are above 0.1")
axes[0].set_ylabel("samples")
ck.show(
    fig,
    alt="Two histograms over a log axis. Uniform samples pile up between 0.1 and 1; log-uniform samples "
    "are spread evenly over all four powers of ten.",
)

# %% tags=["claim"]
ck.prove("Of log-uniform samples 75% are below 0.1", abs(below["log-uniform"] - 0.75) < 0.03,
         f"{below['log-uniform']:.1%}")  # fmt: skip
ck.prove("Of uniform samples 10% are below 0.1", abs(below["uniform"] - 0.10) < 0.03,
         f"{below['uniform']:.1%}")  # fmt: skip
ck.prove("NumPy's integers(2, 5) gives 2, 3 and 4", numbers == [2, 3, 4], f"{numbers}")

# %% [markdown]
# **Uniform sampling spends {{ 1 - below["uniform"]:.0% }} of the trials on the last power of ten;
# log-uniform {{ 1 - below["log-uniform"]:.0% }}.** Where *factors* count, as with every rate and every
# strength of a penalty, draw the exponent uniformly and raise 10 to it.
#
# - **Momentum** hides its factors: from 0.9 to 0.99 the memory $1/(1-\beta)$ grows tenfold. Draw the
#   **gap** $1 - \beta$ on a log scale.
# - **Whole numbers** (layers, units) are drawn uniformly where the range is narrow. Mind the end: NumPy's
#   `integers(2, 5)` gave {{ ", ".join(map(str, numbers)) }}. Python's `random.randint(2, 5)` and Optuna's
#   `suggest_int` include the 5.

# %% [markdown]
# ## 4 · From coarse to fine
#
# Now a real search, over four hyperparameters of a net with two hidden layers, trained by AdamW.
# Building and compiling a net for each trial would take longer than training it. So `ck.tuning.Bench`
# compiles **one**, whose rate, decay, momentum and units are *variables* of its program, and trains it
# again and again.
#
# The coarse stage is wide and short. Its best eighth, with a margin at both ends, is the range of the
# fine stage.
#
# **Predict first:** will the *median* trial of the fine stage be better? And the *best* one?

# %%
Log = ck.tuning.LogUniform
space = {
    "learning_rate": Log(1e-5, 1.0),
    "units": ck.tuning.Integers(5, 51),
    "momentum_gap": Log(1e-3, 1.0),
    "weight_decay": Log(1e-3, 10.0),
}
bench = ck.tuning.Bench(deal(lab.seed, n), epochs=epochs)
coarse = bench.search(space, n_trials, seed=lab.seed, quasi_random=True)
fine_space = ck.tuning.narrow(space, coarse.configurations, coarse.losses, keep=1 / 8, margin=0.05)
pool, y_pool = small(data.x_test[:2_000]), data.y_test[:2_000]  # for section 9; chooses nothing
fine = bench.search(fine_space, n_trials // 2, seed=lab.seed + 1, quasi_random=True, predict=pool)

# %% tags=["plot"]
guessing = np.log(10)
fig, ax = plt.subplots(figsize=(7.5, 3.8))
low, high = fine_space["learning_rate"].low, fine_space["learning_rate"].high
ax.axvspan(low, high, color=ck.plotting.COLORS[1], alpha=0.12, label="searched in the fine stage")
for i, (name, trials) in enumerate({"coarse": coarse, "fine": fine}.items()):
    losses = np.nan_to_num(np.minimum(trials.losses, 3), nan=3)
    ax.plot(trials.values("learning_rate"), losses, ck.plotting.MARKERS[i], alpha=0.7,
            color=ck.plotting.COLORS[i], label=f"{name} trial")  # fmt: skip
ax.axhline(guessing, color="black", linestyle=":", label="guessing")
ax.set(xscale="log", yscale="log", xlabel="learning rate (log scale)",
       ylabel="validation loss, cut at 3 (log scale)",
       title="The fine stage leaves out the rates that cannot learn")  # fmt: skip
ax.set_xticks(10.0 ** np.arange(-5, 1), ["0.00001", "0.0001", "0.001", "0.01", "0.1", "1"])
ax.set_yticks([0.3, 0.5, 1, 2, 3], ["0.3", "0.5", "1", "2", "3"])
ax.minorticks_off()
fig.legend(loc="outside right center")
ck.show(
    fig,
    alt="Validation loss against learning rate for coarse and fine trials in one picture. The coarse ones form a "
    "wide valley; the fine ones lie in a shaded band around its bottom.",
)

# %% tags=["claim"]
usual = {"learning_rate": 0.003, "units": 50, "momentum_gap": 0.1, "weight_decay": 0.0}
other = {"learning_rate": 0.006, "units": 40, "momentum_gap": 0.5, "weight_decay": 1.0}


def weights_after(**changes):
    bench.train(**usual | changes)
    return bench.weights()


as_usual = weights_after()
moved = {name: np.abs(weights_after(**{name: other[name]}) - as_usual).max() for name in usual}
ck.prove("Each of the four, changed alone, changes the weights", min(moved.values()) > 0.01,
         ", ".join(f"{name} by up to {value:.2f}" for name, value in moved.items()))  # fmt: skip
ck.prove("The same settings and seed repeat to the last bit", np.array_equal(weights_after(), as_usual),
         f"{len(as_usual):,} weights")  # fmt: skip
kernels = []
for rate in (0.003, 0.006):
    weights_after(units=40, learning_rate=rate)
    kernels.append(bench.model.trainable_weights[0].numpy())  # (pixels, 50): a column for each unit
moves = (kernels[0] != kernels[1]).any(axis=0)
ck.prove("With units=40 the ten closed units learn nothing, and nearly all the others do",
         not moves[40:].any() and moves[:40].mean() > 0.8, f"{moves[40:].sum()} of 10, {moves[:40].sum()} of 40")  # fmt: skip
median = {"coarse": np.nanmedian(coarse.losses), "fine": np.nanmedian(fine.losses)}
lowest = {"coarse": np.nanmin(coarse.losses), "fine": np.nanmin(fine.losses)}
ck.prove("The fine stage's median is at most half of the coarse one's", median["fine"] < 0.5 * median["coarse"],
         f"{median['fine']:.2f} and {median['coarse']:.2f}")  # fmt: skip
ck.prove("The best loss gains less than the median", lowest["coarse"] - lowest["fine"] < (median["coarse"] - median["fine"]) / 4,
         f"{lowest['coarse']:.3f} to {lowest['fine']:.3f}")  # fmt: skip
at = float(space["learning_rate"].share(coarse.values("learning_rate")[coarse.best_first[0]]))
ck.prove("The best coarse rate lies well inside its range", 0.1 < at < 0.9, f"{at:.0%} of the way")

# %% [markdown]
# **The median falls from {{ median["coarse"]:.2f }} to {{ median["fine"]:.2f }}, the best loss from
# {{ lowest["coarse"]:.3f }} to {{ lowest["fine"]:.3f }}.** The fine stage wastes no trial on rates that
# cannot learn; in a flat valley there is not much more to find. If the best trials crowd at an **end**
# of a range, the best value may lie beyond it: shift the range before you narrow it. And narrow with a
# margin: with few trials the best ones may all lie on one side of the valley. The best here is
# {{ lowest["fine"]:.3f }} *in one training*; section 9 says what that is worth.

# %% [markdown]
# ## 5 · Grid, random, quasi-random
#
# Where should the trials of the coarse stage stand? A **grid** is tidy. **Random** points try a new
# value of every hyperparameter in every trial (Bergstra and Bengio, 2012). **Quasi-random** points,
# here a Sobol sequence, do too, and keep out of each other's way; the Playbook explores with them, and
# so did section 4.
#
# One search of each kind would prove nothing. So replay hundreds of them, for free: a **surrogate**
# learns from the coarse trials what loss any configuration would have (Eggensperger and others, 2015).
# In four dimensions a grid of 16 trials has two values of each hyperparameter, one of 81 has three, one
# of 256 has four (the picture shows two dimensions).
#
# **Predict first:** with 16 trials, which finds the lowest loss? And with 256?

# %% tags=["plot"]
fig, axes = plt.subplots(1, 3, figsize=(9, 3.3), sharey=True)
for ax, method in zip(axes, ("grid", "random", "quasi-random"), strict=True):
    points = ck.tuning.points_for(method, 16, 2, np.random.default_rng(3))
    look = ck.plotting.look_of(method)
    ax.plot(*points.T, look["marker"], color=look["color"])
    ax.plot(points[:, 0], np.full(16, -0.06), "|", color=look["color"], markersize=12)
    ax.set(xlabel="learning rate, share of range", xlim=(-0.03, 1.03), ylim=(-0.12, 1.03),
           title=f"{method}: {len(np.unique(points[:, 0]))} rates tried")  # fmt: skip
axes[0].set_ylabel("decay, share of range")
ck.show(
    fig,
    alt="Sixteen points of a grid, sixteen random and sixteen quasi-random ones in a square, with their shadows "
    "on the lower edge: four for the grid, sixteen for the others, those of the quasi-random ones evenly spaced.",
)

# %%
surrogate = ck.tuning.Surrogate(space, coarse.configurations, coarse.losses, worst=guessing)
searches = {
    method: ck.tuning.replay(surrogate, method, 256, times=300, seed=lab.seed)
    for method in ("random", "quasi-random")
}
grids = {
    k: ck.tuning.replay(surrogate, "grid", k, times=300, seed=lab.seed)[:, -1]
    for k in (16, 81, 256)
}
shown = {name: found.mean(axis=0)[3:] for name, found in searches.items()}
shown["grid"] = np.array([found.mean() for found in grids.values()])
print(f"rank correlation with trials that were left out: {surrogate.fidelity:.2f}")

# %% tags=["plot"]
counts = np.arange(4, 257)
ck.show(ck.plotting.lines(
    shown, {"random": counts, "quasi-random": counts, "grid": np.array(list(grids))}, log="xy",
    title="The fewer the trials, the more it matters where they stand",
    xlabel="trials in the search", ylabel="lowest loss so far, mean of 300 replays"))  # fmt: skip

# %% tags=["claim"]
few = {name: found[:, 15] for name, found in searches.items()} | {"grid": grids[16]}
many = {name: found[:, 255] for name, found in searches.items()} | {"grid": grids[256]}
few_mean, many_mean = ({name: found.mean() for name, found in each.items()} for each in (few, many))
said_few, said_many = (ck.verdict(each, metric="loss found") for each in (few, many))
ck.prove(
    "The surrogate ranks trials that it has not seen",
    surrogate.fidelity > 0.6,
    f"{surrogate.fidelity:.2f}",
)
ck.prove("With 16 trials the grid finds the highest loss of the three",
         few_mean["grid"] > max(few_mean["random"], few_mean["quasi-random"])
         and ck.verdict(few, better="higher").winner == "grid",
         ", ".join(f"{name} {value:.3f}" for name, value in few_mean.items()))  # fmt: skip
ck.prove("With 256 the three differ by less than half of that",
         np.ptp(list(many_mean.values())) < np.ptp(list(few_mean.values())) / 2,
         f"{np.ptp(list(many_mean.values())):.3f} against {np.ptp(list(few_mean.values())):.3f}")  # fmt: skip

# %% [markdown]
# **With 16 trials the grid finds {{ few_mean["grid"]:.3f }} on average, random points
# {{ few_mean["random"]:.3f }}, quasi-random ones {{ few_mean["quasi-random"]:.3f }}; with 256 the three
# lie within {{ np.ptp(list(many_mean.values())):.3f }}.** The verdict on 16: {{ said_few.text }} Where one hyperparameter
# matters most, what counts is how many values of *it* you try. A grid is fine for one or two
# hyperparameters that you know to matter. Its other fault is that it cannot be stopped half-way: the
# others can, at any trial.

# %% [markdown]
# ## 6 · Stop the hopeless early
#
# Most bad trials of section 4 were bad from the first epoch. **Successive halving** starts all with a
# small budget, keeps the better half, doubles the budget, and so on.
#
# **Predict first:** what share of the epochs does it need? Is its choice still the best of the search?
#
# The recorded curves answer without any new training: hide every epoch that halving would not have
# trained. A trial that is kept goes on where it was.

# %%
curves = np.nan_to_num(coarse.curves, nan=np.inf)  # diverged is worst


def successive_halving(curves, first=1, eta=2):
    """Return for how many epochs each trial is trained, and the one that is left."""
    trained, alive, budget = np.zeros(len(curves), int), np.arange(len(curves)), first
    while True:
        budget = min(budget, curves.shape[1])
        trained[alive] = budget
        alive = alive[np.argsort(curves[alive, budget - 1])]
        if budget == curves.shape[1]:
            return trained, alive[0]
        alive, budget = alive[: max(1, len(alive) // eta)], budget * eta


# %% tags=["helper"]
def rank_of(trial):
    return int(np.sum(curves[:, -1] < curves[trial, -1])) + 1


def draw_halving(first=1, eta=2):
    trained, winner = successive_halving(curves, first, eta)
    fig, ax = plt.subplots(figsize=(7.5, 3.4))
    for curve, stop in zip(np.minimum(curves, 3), trained, strict=True):
        full = stop == curves.shape[1]
        look = {"color": ck.plotting.COLORS[0 if full else 7], "alpha": 0.9 if full else 0.5}
        ends = {} if full else {"marker": "x", "markersize": 5, "markevery": [-1]}
        ax.plot(range(1, stop + 1), curve[:stop], linestyle="-", linewidth=1.2, **look, **ends,
                label="trained to the end" if full else "stopped")  # fmt: skip
    ax.set(xlabel="epoch", ylabel="validation loss, cut at 3 (log scale)", yscale="log",
           xticks=range(1, curves.shape[1] + 1),
           title=f"{trained.sum() / curves.size:.0%} of the epochs; the choice ends as "
                 f"no. {rank_of(winner)} of {len(curves)}")  # fmt: skip
    ax.set_yticks([0.3, 0.5, 1, 2, 3], ["0.3", "0.5", "1", "2", "3"])
    ax.minorticks_off()
    lines, labels = ax.get_legend_handles_labels()
    one_each = dict(zip(labels, lines, strict=True))
    fig.legend(list(one_each.values()), list(one_each), loc="outside right center")
    return fig


ck.widgets.explore(
    draw_halving,
    alt="Learning curves of all coarse trials. Grey ones end with a cross where halving stops them; a few blue ones "
    "reach the last epoch.",
    first=(1, 4, 1),
    eta=(2, 6, 2),
)

# %% tags=["claim"]
trained, winner = successive_halving(curves)
share = trained.sum() / curves.size
ck.prove("Halving trains less than 60% of the epochs", share < 0.6, f"{share:.0%}")
ck.prove(
    "Its choice ends in the best eighth",
    rank_of(winner) <= n_trials / 8,
    f"number {rank_of(winner)} of {n_trials}",
)
hopeless = np.sort(curves[:, -1])[-n_trials // 2 :].min()
kept = curves[trained == curves.shape[1], -1]
ck.prove("Most of those that it trains to the end are in the better half", np.median(kept) < hopeless,
         f"{np.sum(kept < hopeless)} of {len(kept)}")  # fmt: skip

# %% [markdown]
# **Halving trains {{ share:.0% }} of the epochs, and its choice is number {{ rank_of(winner) }} of
# {{ n_trials }} in the end.** Play with `first` and `eta`: how greedy can you be? The idea rests on one
# assumption, that **who leads early leads late**. It fails for slow starters: small rates, strong
# decay, and schedules that come down at the end ([lesson 09](09_learning_rate_schedules.ipynb)).
#
# **Hyperband** (Li and others, 2018) hedges: several halvings of about the same cost, from many trials
# with a tiny first budget to few that are trained in full. For 27 epochs and a factor of 3, if each round
# trains from scratch:

# %%
for s in (3, 2, 1, 0):
    count = -(-4 * 3**s // (s + 1))  # rounded up
    rungs = [(count // 3**i, 27 // 3**s * 3**i) for i in range(s + 1)]
    told = ", then ".join(f"{trials} × {length}" for trials, length in rungs)
    print(f"{sum(t * length for t, length in rungs):4d} epochs: trials × epochs {told}")

# %% [markdown]
# ## 7 · A search that learns: TPE
#
# Random points never learn from their results. A Bayesian search does: it models what it has seen and
# tries next where it expects an improvement. **TPE** (tree-structured Parzen estimator; Bergstra and
# others, 2011), the default of the library Optuna, does so in a simple way: split the trials into the
# best few and the rest, estimate the density of each ($\ell$ for the good, $g$ for the rest), and try
# next where $\ell / g$ is largest. Its first ten trials are random, for want of anything to learn from.
#
# This is the cell to copy: an objective asks a `trial` for values and returns a number. The pruner
# stops a trial that is worse than the median of the others at the same epoch.

# %%
optuna = ck.tuning.load_optuna()  # import optuna, without its log lines


def objective(trial):
    # trial.suggest_float(name, low, high, log=True) for each rate; suggest_int for the units
    configuration = ck.tuning.suggest(trial, space)
    watch = ck.tuning.PruningCallback(trial, "val_loss")
    return bench.train(**configuration, callbacks=[watch])[-1]


pruner = optuna.pruners.MedianPruner(n_startup_trials=8, n_warmup_steps=1)
study = ck.tuning.create_study(sampler="tpe", seed=lab.seed, pruner=pruner)
study.optimize(objective, n_trials=24)
pruned = [trial for trial in study.trials if trial.state.name == "PRUNED"]
used = sum(len(trial.intermediate_values) for trial in study.trials) / (24 * epochs)
print(
    f"best loss {study.best_value:.3f}; {len(pruned)} of 24 pruned, {used:.0%} of the epochs trained"
)

# %% [markdown]
# One run of each says nothing about which search is better. On the surrogate you can afford {{ times }}
# of each.
#
# **Predict first:** how many random trials does it take to find what TPE finds in 40?

# %%
searches["TPE"] = ck.tuning.replay(surrogate, "TPE", 40, times=times, seed=lab.seed)
at_40 = {name: found[:times, 39] for name, found in searches.items()}
verdict = ck.verdict(at_40, metric="loss found")
tpe_mean, random_mean = searches["TPE"].mean(axis=0)[-1], searches["random"].mean(axis=0)
needed = int(np.argmax(random_mean <= tpe_mean)) + 1 if random_mean[-1] <= tpe_mean else None
ck.show(ck.plotting.lines({name: found[:, 4:40].mean(axis=0) for name, found in searches.items()}, np.arange(5, 41),
                          title=verdict.headline, log="y", xlabel="trials in the search",
                          ylabel="lowest loss so far, mean of replays"))  # fmt: skip

# %% tags=["claim"]
means = {name: found.mean() for name, found in at_40.items()}
pair = ck.verdict({name: at_40[name] for name in ("TPE", "random")}, metric="loss found")
ck.prove("After 40 trials TPE has found lower losses than random points, replays paired", pair.winner == "TPE",
         ", ".join(f"{name} {value:.3f}" for name, value in means.items()))  # fmt: skip
ck.prove(
    "Random points need more than twice as many trials",
    needed is None or needed > 80,
    f"{needed or 'more than 256'}",
)
ck.prove(
    "Pruning stopped some trials and saved epochs",
    bool(pruned) and used < 1,
    f"{len(pruned)} trials, {used:.0%}",
)
ck.prove(
    "The best trial ran to its end",
    study.best_trial.state.name == "COMPLETE",
    study.best_trial.state.name,
)

# %% [markdown]
# **TPE's 40 trials find {{ means["TPE"]:.3f }} on average; random points need
# {{ needed or "more than 256" }} trials for that.** Up to trial 10 TPE is a random search; then it
# gathers where trials were good. Two grains of salt: a surrogate is
# smooth and has no luck of the seed, which takes away part of the lead; and TPE is one trial after the
# other, while random points can all run at once. The Playbook explores with quasi-random points and
# leaves Bayesian search to the last step, when the ranges are known.

# %% [markdown]
# ## 8 · Which hyperparameter matters?
#
# **fANOVA** (Hutter and others, 2014) fits a random forest to the trials and asks which share of the
# variance of the loss each hyperparameter explains. A single ranking is an accident of the trials, so
# deal them anew, with repetition, ten times (a bootstrap). And give it *places* on the log scale, not
# values: by itself Optuna weighs a range linearly, and nine tenths of the range of a rate lie above 0.1
# (section 3).
#
# **Predict first:** rank the four. How sure are you of each place?


# %% tags=["helper"]
def importance(trials, deals=10):
    """Return each hyperparameter's share of the variance, shape (deals,), by a forest for each deal."""
    losses = np.nan_to_num(np.minimum(trials.losses, guessing), nan=guessing)
    places = {name: values.share(trials.values(name)) for name, values in trials.space.items()}
    whole = dict.fromkeys(places, optuna.distributions.FloatDistribution(0, 1))
    found, draw = {name: [] for name in places}, np.random.default_rng(lab.seed)
    for _ in range(deals):
        dealt = ck.tuning.create_study(sampler="random")
        for i in draw.integers(len(losses), size=len(losses)):
            dealt.add_trial(optuna.trial.create_trial(
                params={name: float(place[i]) for name, place in places.items()},
                distributions=whole, value=float(losses[i])))  # fmt: skip
        forest = optuna.importance.FanovaImportanceEvaluator(n_trees=16, seed=0)
        for name, share in optuna.importance.get_param_importances(dealt, evaluator=forest).items():
            found[name].append(share)
    return {name.replace("_", " "): np.array(shares) for name, shares in found.items()}


# %%
wide = importance(coarse)
first, second, *others = sorted(wide, key=lambda name: -wide[name].mean())
wins = int(np.sum([wide[first] > np.max([wide[name] for name in (second, *others)], axis=0)]))
seconds = int(np.sum([wide[second] > np.max([wide[name] for name in others], axis=0)]))
ck.show(ck.plotting.strips({name: wide[name] for name in (first, second, *others)},
                           title=f"First {first}, in {wins} of 10 deals; second {second}, in {seconds}",
                           xlabel="share of the variance of the loss, ten deals of the coarse trials"))  # fmt: skip

# %% tags=["claim"]
ck.prove("The learning rate comes first on average and in most deals", first == "learning rate" and wins > 5,
         f"{first}, {wins} of 10")  # fmt: skip

# %% [markdown]
# **The learning rate explains {{ wide["learning rate"].mean():.0% }} of the variance and comes first in
# {{ wins }} of 10 deals.** The
# second place goes to the {{ second }} in {{ seconds }} of them: believe a place that nearly every deal
# gives. And the shares hold **for the ranges you gave**: a decay that cannot act gets zero in any study.
#
# What others say about the order:
#
# | source | first | then | last |
# |---|---|---|---|
# | Bengio, 2012 | learning rate: if you can tune only one | units and decay, with early stopping for the epochs | batch size: a matter of speed |
# | Ng, 2017 | learning rate | momentum, batch size, units; then layers, decay of the rate | Adam's $\beta_1$, $\beta_2$, $\varepsilon$: never tuned |
# | Greff and others, 2017 | learning rate, by far | units | momentum |
# | Godbole and others, 2023 | learning rate | Adam's $\beta_1$ from 10 trials on, $\varepsilon$ from 25, then $\beta_2$ | batch size: not tuned for quality |
#
# All agree on the first place. They **disagree** on batch size and on Adam's own numbers. For Ng the
# batch size is among the next to tune. For Bengio and the Playbook it sets the speed: with all others
# tuned anew and enough steps, every batch size reaches the same quality (Shallue and others, 2019).
# Measure on your own trials, it costs no training.

# %% [markdown]
# ## 9 · Choose, train again, test once
#
# The five best trials of section 4 are ranked by a single training each. Train each again with
# {{ n_seeds }} new seeds.
#
# **Predict first:** will the winner win again? By how much is its loss of the search too good?
#
# Several may be left that the seeds cannot tell apart. Then do not take the lowest, take the one that
# stands **farthest from a cliff**: a little error in the rate, other data, a longer training, and it
# should still be good. So train every leader at a third of its rate and at three times its rate as well,
# over 3 seeds, and take the one whose mean over the three rates is lowest.


# %% tags=["helper"]
def loss_around(place, factors=(1 / 3, 1, 3), seeds=(1, 2, 3)):
    """Return a finalist's mean loss over a third of its rate, its rate, and three times its rate."""
    configuration = fine.configurations[fine.best_first[place]]
    around = [
        configuration | {"learning_rate": factor * configuration["learning_rate"]}
        for factor in factors
    ]
    losses = [[bench.train(**each, seed=seed)[-1] for seed in seeds] for each in around]
    means = np.nan_to_num(np.mean(losses, axis=1), nan=9)
    print(f"no. {place + 1}: loss at a third, at the rate, at three times:", *means.round(3))
    return means.mean()


# %%
finalists = {}
for place, i in enumerate(fine.best_first[:5], start=1):
    rate = fine.configurations[i]["learning_rate"]
    runs = [bench.train(**fine.configurations[i], seed=seed)[-1] for seed in range(1, n_seeds + 1)]
    finalists[f"no. {place}, rate {rate:.2g}"] = np.array(runs)
judged = ck.verdict(finalists, metric="loss")
ck.show(ck.plotting.strips(finalists, title=judged.headline,
                           xlabel=f"validation loss, {n_seeds} new seeds"))  # fmt: skip

# %%
leaders = [list(finalists).index(name) for name in judged.leaders]
chosen = min(leaders, key=loss_around)
x_test, y_test = small(data.x_test[2_000:]), data.y_test[2_000:]  # nobody has looked at these
scores = []
for seed in range(101, 101 + n_seeds):
    bench.train(**fine.configurations[fine.best_first[chosen]], seed=seed)
    scores.append(np.mean(bench.predict(x_test) == y_test))
print(
    f"no. {chosen + 1} is chosen; test accuracy {np.mean(scores):.1%} ± {np.std(scores, ddof=1):.1%}"
)

# %% [markdown]
# That is the end of the way, and the only number to report. Why so much ado about the test images? A
# friend skips validation: she looks at every fine trial's accuracy on a test set of 250 images and
# reports the best. You choose on 250 *validation* images and look at the test images once. **Predict
# first:** by how many percentage points is each report too good?
#
# It needs no training: who was right on which image of a pool is known. Deal the pool 1,000 times into
# validation, test, and the *fresh* rest, which tells the truth.

# %% tags=["helper"]
right = fine.labels == y_pool
counts = [k for k in (1, 2, 4, 8, 16, 32, 64, 128) if k <= len(right)]
n_deals, draw = 1_000, np.random.default_rng(lab.seed)
too_good = {"chosen on the test set": [], "chosen on validation": []}
for _ in range(n_deals):
    valid, tested, fresh = (
        right[:, part].mean(axis=1)
        for part in np.split(draw.permutation(right.shape[1]), [250, 500])
    )
    order = draw.permutation(len(right))
    for name, judge in (("chosen on the test set", tested), ("chosen on validation", valid)):
        best = [order[:k][np.argmax(judge[order[:k]])] for k in counts]
        too_good[name].append(100 * (tested[best] - fresh[best]))
dear, honest = (np.mean(each, axis=0) for each in too_good.values())
deals_apart = np.std(too_good["chosen on validation"], axis=0)[-1] / n_deals**0.5  # standard error
ck.show(ck.plotting.lines({"chosen on the test set": dear, "chosen on validation": honest}, counts, log="x",
    title=f"The best of {counts[-1]} on the test set looks {dear[-1]:.1f} points too good",
    xlabel="configurations to choose from", ylabel="test accuracy minus the truth, points"))  # fmt: skip

# %% tags=["claim"]
ck.prove("Choosing on the test set flatters", dear[-1] > 0.3, f"{dear[-1]:.2f} points")
ck.prove(
    f"Choosing on validation does not, as far as {n_deals:,} deals can tell",
    abs(honest[-1]) < 4 * deals_apart,
    f"{honest[-1]:+.2f} ± {deals_apart:.2f} points",
)
ck.prove(
    "The more to choose from, the more it flatters",
    dear[-1] > dear[1] > dear[0],
    f"{dear.round(2).tolist()}",
)
everywhere = np.mean(scores)
ck.prove(
    "The chosen net is far above guessing on the test images", everywhere > 0.5, f"{everywhere:.1%}"
)

# %% [markdown]
# **Report {{ np.mean(scores):.1% }} ± {{ np.std(scores, ddof=1):.1% }} on the test images; a friend who
# chooses on a small test set of 250 images flatters herself by {{ dear[-1]:.1f }} points, and you by
# {{ honest[-1]:+.2f }}.** (In [lesson 06](06_transfer_learning.ipynb), section 10, it was far more: 40 images, and
# nets further apart.) The verdict on the finalists: {{ judged.text }} The search had ranked its winner by
# {{ fine.losses[fine.best_first[0]]:.3f }}; over new seeds it has
# {{ next(iter(finalists.values())).mean():.3f }}. What differs from run to run is the starting weights,
# the order of the batches, dropout's draws, and on many machines the order in which threads add up
# numbers. Nobody cheats on purpose; taking a maximum is enough. Only data that took no part in any
# decision tell the truth, and they do so **once**.

# %% [markdown]
# ## Optional: the same search in several processes
#
# Trials need nothing from each other, so several processes can share a study. Hand over a function that
# makes everything anew, once in each worker: data and compiled nets should not travel.
#
# ```python
# def make_objective():
#     own = ck.tuning.Bench(ck.load("mnist").subset(4_000), epochs=8)
#     return lambda trial: own.train(**ck.tuning.suggest(trial, space))[-1]
#
# shared = ck.tuning.search_in_parallel(make_objective, 60, workers=2)
# ```
#
# Starting a process, loading TensorFlow and compiling cost ten seconds or more, so this pays when a
# trial takes minutes. The workers share the cores and the memory of the machine, and the search no
# longer repeats: what TPE proposes depends on who finished first.
#
# ## Pitfalls
#
# - **A range in which nothing can act.** AdamW multiplies a weight by $1 - \eta\lambda$ in every step:
#   with the rate 0.01 and the decay 0.0001, by {{ (1 - 1e-6) ** (epochs * n // 50):.4f }} in a whole
#   training of section 4. A search over such decays finds that decay is useless. It tells you about the
#   range you gave it, nothing more.
# - **Reading a pattern into few trials.** Among {{ n_trials }} trials a rank correlation of
#   ±{{ 2 / n_trials**0.5:.2f }} is chance.
# - **An untuned rival.** Give the baseline as many trials as your idea.
# - **One hyperparameter after the other.** A new batch size, width or optimizer wants a new learning rate.
# - **Pruning slow starters**, such as schedules that only pay at their end.
# - **A knob that turns nothing.** A number set on a compiled optimizer may be a constant of its
#   program: train twice with two values, and compare the weights, before you search.
#
# ## What to do tomorrow
#
# 1. Write down the question, and which hyperparameter is scientific, which nuisance, which fixed.
# 2. Draw rates, decays and $1 - \beta$ on a log scale, at random or quasi-randomly, in ranges that reach past
#    both ends.
# 3. Narrow with a margin; with more than 20 trials to go, let TPE take over.
# 4. Train the finalists again over five seeds, and take the one that is farthest from a cliff.
# 5. Test once.
#
# ## Recap
#
# - Bias and variance add up; a polynomial trades one for the other, a wide net need not.
# - Tune the nuisance for each side, or you compare nuisances.
# - Factors go on a log scale; few trials go on random or Sobol points; a grid is for one or two dimensions.
# - Halving and pruners stop bad trials early; TPE puts new ones where good ones were.
# - The learning rate comes first; a lowest loss is flattered; a test set answers once.
#
# ## Now practise
#
# Open [exercise 12](../exercises/12_hyperparameter_tuning.ipynb): write the samplers, a search from
# coarse to fine, successive halving, and a search that never touches the test set. Then go on with
# lesson [13 Practical guidelines](13_practical_guidelines.ipynb).
#
# ## Further reading
#
# - V. Godbole, G. E. Dahl, J. Gilmer, C. J. Shallue and Z. Nado, *Deep Learning Tuning Playbook*, 2023:
#   "A scientific approach to improving model performance".
# - Y. Bengio, *Practical Recommendations for Gradient-Based Training of Deep Architectures*, 2012,
#   arXiv:1206.5533: section 3.
# - A. Ng, *Improving Deep Neural Networks*, deeplearning.ai, 2017: week 3, "Tuning process".
# - K. Greff and others, *LSTM: A Search Space Odyssey*, IEEE TNNLS 28, 2017, arXiv:1503.04069.
# - C. J. Shallue and others, *Measuring the Effects of Data Parallelism on Neural Network Training*,
#   JMLR 20, 2019, arXiv:1811.03600.
# - J. Bergstra and Y. Bengio, *Random Search for Hyper-Parameter Optimization*, JMLR 13, 2012.
# - J. Bergstra, R. Bardenet, Y. Bengio and B. Kégl, *Algorithms for Hyper-Parameter Optimization*,
#   NeurIPS 2011: section 4, TPE.
# - K. Eggensperger and others, *Efficient Benchmarking of Hyperparameter Optimizers via Surrogates*,
#   AAAI 2015.
# - L. Li and others, *Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization*, JMLR
#   18, 2018: section 3.
# - F. Hutter, H. Hoos and K. Leyton-Brown, *An Efficient Approach for Assessing Hyperparameter
#   Importance*, ICML 2014.
# - B. Neal and others, *A Modern Take on the Bias-Variance Tradeoff in Neural Networks*, 2018,
#   arXiv:1810.08591.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 10, "Fine-Tuning Neural Network Hyperparameters".
