# %% [markdown]
# # 11 Dropout and Monte Carlo dropout
#
# Switch off half of the units in every training step, at random, and a large net overfits later. Go on
# switching them off while predicting, and the net tells you something about when it does not know.
# How much of either is true?
#
# ## What you will be able to do
#
# In about 40 minutes you will be able to
#
# - write **dropout** (드롭아웃) and say what has to be scaled, when, and by which factor;
# - choose a rate and a place for it, and read a training loss that dropout distorts;
# - explain why it helps, in two ways, and test both;
# - turn any trained dropout net into an ensemble with **Monte Carlo dropout** (몬테 카를로
#   드롭아웃), and know its price;
# - measure uncertainty on images the net has never seen the like of, and see where its
#   probabilities can be trusted;
# - avoid `training=True` where it does harm, and ordinary dropout where it breaks SELU.

# %%
import coursekit as ck

lab = ck.setup(seed=42)

import functools
import itertools
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from scipy.ndimage import rotate
from sklearn.metrics import roc_auc_score

COLORS = ck.plotting.COLORS
as_array = keras.ops.convert_to_numpy

# %% [markdown]
# All nets learn handwritten digits from only 500 images, so that there is something to regularise.

# %%
n_seeds, epochs, n_valid = lab.pick(
    quick=(2, 30, 1_000), standard=(5, 40, 1_000), full=(10, 40, 5_000)
)
data = ck.load("mnist").subset(500)
x_train, y_train = data.x_train, data.y_train
x_valid, y_valid = data.x_valid[:n_valid], data.y_valid[:n_valid]
print(f"{data.name} ({data.source}): {len(x_train):,} images to learn from, "
      f"{len(x_valid):,} for validation, {n_seeds} nets for every comparison")  # fmt: skip

# %% [markdown]
# ## 1 · A new mask in every step
#
# In each training step, and for each sample of the batch, every unit of a layer is **dropped** with
# probability $p$, the **rate**: its output is 0 in this step. The next step draws again. The inputs
# of the net may be dropped too; the outputs never, because the loss needs all of them.

# %%
draw = np.random.default_rng(42)


def mask(shape, rate):
    """Return 1 for each unit that is kept and 0 for each that is dropped."""
    return (draw.random(shape) >= rate).astype("float32")


digit = x_valid[0]
masked = [digit, *(digit * mask(digit.shape, rate) for rate in (0.2, 0.2, 0.2, 0.5, 0.5, 0.5))]
labels = ["all inputs", *["rate 20%"] * 3, *["rate 50%"] * 3]
ck.show(
    ck.plotting.image_grid(
        masked, labels, columns=7, title="Dropout on the inputs: no two steps alike"
    ),
    alt="One digit, then six copies of it with random pixels set to 0: three with a rate of 20%, "
    "three with 50%.",
)

# %% [markdown]
# A unit of the next layer adds up what arrives. With half of the units gone, about half arrives; at
# prediction nothing is dropped, and all of it arrives. The net would be tested on sums that it has
# never been trained on.
#
# **Predict first:** with a rate $p$, which share of the sum arrives on average? By what must you
# divide, so that the average stays as it is without dropout?


# %%
def dropout(x, rate, *, scaled):
    kept = x * mask(x.shape, rate)
    return kept / (1 - rate) if scaled else kept


rates = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
activations = np.abs(draw.normal(size=500))  # of 500 units, for one sample
rows = np.tile(activations, (5_000, 1))  # seen in 5,000 steps
shares = {
    scaled: np.array([dropout(rows, r, scaled=scaled).mean() for r in rates]) / activations.mean()
    for scaled in (False, True)
}

fig, ax = plt.subplots()
ax.plot(rates, shares[True], marker="o", **ck.plotting.line_kw(0), label="divided by 1 − p")
ax.plot(rates, shares[False], marker="s", **ck.plotting.line_kw(1), label="not scaled")
ax.plot(rates, 1 - rates, color=COLORS[6], linestyle=":", label="the line 1 − p")
ax.set(xlabel="rate p", ylabel="average activation,\nas a share of the one without dropout",
       ylim=(0, 1.1), title="Divide by 1 − p, and the average stays")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Average activation over many masks against the rate. Divided by 1 − p it stays at 1. Not "
    "scaled it falls along the line 1 − p.",
)

# %% [markdown]
# The share that arrives is the **keep probability** (보존 확률) $1 - p$. Dividing by it while training
# is called **inverted dropout**. Keras does it; at prediction the layer then has nothing to do:

# %%
layer = keras.layers.Dropout(0.5)
trained = as_array(layer(rows, training=True))
predicted = as_array(layer(rows.astype("float32"), training=False))
print("values of one unit in training: ", np.unique(trained[:, 0].round(4)))
print("value of this unit at prediction:", np.unique(predicted[:, 0].round(4)))
print(f"average over all units: training {trained.mean():.4f}, prediction {predicted.mean():.4f}")
print(f"standard deviation:     training {trained.std():.4f}, prediction {predicted.std():.4f}")

# %% [markdown]
# The average agrees, the spread does not. Dropout is noise, and noise makes a layer's outputs
# spread wider in training than at prediction. Remember that for sections 9 and 10.

# %% tags=["claim"]
assert np.abs(shares[True] - 1).max() < 0.01, (
    f"scaled, the average should stay within 1%: {shares[True]}"
)
assert np.allclose(shares[False], 1 - rates, rtol=0.01), (
    f"not scaled, it should fall to 1 − p: {shares[False]}"
)
assert abs(trained.mean() / activations.mean() - 1) < 0.01, "Keras should keep the average too"
assert np.array_equal(predicted, rows.astype("float32")), "at prediction dropout changes nothing"
assert trained.std() > 1.1 * predicted.std(), "dropout should widen the spread"

# %% [markdown]
# ## 2 · Divide now, or multiply later: but by what?
#
# The first papers left the training unscaled and corrected the weights afterwards. Popular notes
# explain this with $p$ = 75%: in training only a quarter of the units is there, afterwards all of
# them, four times as many. So far, so good. Then some go on: "so multiply the weights by 4 after
# training".
#
# **Predict first:** is 4 the right factor? What do you expect for 0.25, and for 1 (no correction)?
#
# Let an experiment decide. A dropout layer without scaling takes two lines; the builder below takes
# either kind. `rates` holds three rates: after the inputs, after the first and after the
# second hidden layer.


# %%
class PlainDropout(keras.layers.Dropout):
    """Dropout without scaling: units are 0 or as they are."""

    def call(self, inputs, training=False):
        outputs = super().call(inputs, training=training)
        return outputs * (1 - self.rate) if training else outputs  # undo what Keras scaled


def build(rates, seed, units=300, dropout=keras.layers.Dropout):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), dropout(rates[0])])
    for rate in rates[1:]:
        model.add(keras.layers.Dense(units, "relu", kernel_initializer="he_normal"))
        model.add(dropout(rate))
    model.add(keras.layers.Dense(10, "softmax"))
    compile_for_digits(model)
    return model


def compile_for_digits(model):
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(1e-3), loss=loss)


def log_loss(probabilities, labels):
    """The cross-entropy that Keras reports: −log of the right class's probability, on average."""
    right = probabilities[np.arange(len(labels)), labels]
    return -np.log(np.maximum(right, 1e-7)).mean()


def accuracy(probabilities, labels):
    return np.mean(probabilities.argmax(axis=1) == labels)


# %% [markdown]
# `train` trains one net for each seed, from other starting weights and with other masks. It
# remembers what it has trained (`cache`), because several sections look at the same nets. After
# every second epoch it measures the losses **with dropout off**, on the training images too;
# section 3 tells why.


# %%
class WithDropoutOff(keras.callbacks.Callback):
    """Adds two losses to the history: `train_off` and `valid`, both with dropout off."""

    def on_epoch_end(self, epoch, logs):
        if epoch % 2 == 1:  # they count from 0
            logs["train_off"] = log_loss(as_array(self.model(x_train)), y_train)
            logs["valid"] = log_loss(as_array(self.model(x_valid)), y_valid)


@functools.cache
def trained_once(rates, units, dropout):
    """Train `n_seeds` nets; return the last model, all weights, and losses (n_seeds, epochs / 2)."""
    runs = {"loss": [], "train_off": [], "valid": []}
    all_weights = []
    for seed in range(n_seeds):
        model = build(rates, seed, units, dropout)
        history = ck.fit(
            model, x_train, y_train, epochs=epochs, batch_size=50,
            callbacks=[WithDropoutOff()], verbose=0, seed=seed,
        )  # fmt: skip
        all_weights.append(model.get_weights())
        for name, losses in runs.items():
            losses.append(history.history[name][1::2] if name == "loss" else history.history[name])
    losses = {name: np.array(values) for name, values in runs.items()}
    return {"model": model, "weights": all_weights, **losses}


def train(rates, units=300, dropout=keras.layers.Dropout):
    return trained_once(rates, units, dropout)  # one entry of the cache, however it is called


# %% [markdown]
# Both nets are trained with $p$ = 75% after each hidden layer. Afterwards, the weights that leave a
# dropped layer are multiplied by a factor, and the net predicts.

# %%
kinds = {
    "not scaled in training": PlainDropout,
    "divided by 0.25 in training": keras.layers.Dropout,
}
factors = 2.0 ** np.arange(-5, 5)
by_factor = {}
for name, kind in kinds.items():
    runs = train((0.0, 0.75, 0.75), dropout=kind)
    table = np.zeros((2, n_seeds, len(factors)))  # loss and accuracy
    for (seed, weights), (i, factor) in itertools.product(
        enumerate(runs["weights"]), enumerate(factors)
    ):
        changed = [w * factor if k in (2, 4) else w for k, w in enumerate(weights)]
        runs["model"].set_weights(changed)
        p = as_array(runs["model"](x_valid))
        table[:, seed, i] = log_loss(p, y_valid), accuracy(p, y_valid)
    by_factor[name] = table

# %%
best = {name: factors[table[0].mean(axis=0).argmin()] for name, table in by_factor.items()}
fig, axes = plt.subplots(1, 2, figsize=(9, 3.3))
for ax, what, row in zip(axes, ("validation loss", "validation accuracy"), (0, 1), strict=True):
    for i, (name, table) in enumerate(by_factor.items()):
        ck.plotting.band(ax, factors, table[row], name, 1 - i)
    ax.axvline(0.25, color=COLORS[6], linestyle=":", linewidth=1)
    ax.axvline(4, color=COLORS[7], linestyle="-.", linewidth=1)
    ax.set_xscale("log", base=2)
    ax.set_xticks(factors[::2], [f"{f:g}" for f in factors[::2]])
    ax.set(xlabel="factor on the weights after training", ylabel=what)
axes[0].set_title(f"Lowest at {best['not scaled in training']:g} and at "
                  f"{best['divided by 0.25 in training']:g}")  # fmt: skip
axes[1].set_title("Dotted: factor 0.25; dash-dotted: 4")
axes[1].legend(loc="lower right", fontsize=8)
ck.show(
    fig,
    alt="Validation loss and accuracy against the factor on the weights, for nets trained with and "
    "without scaling; mean and range over seeds. The loss is lowest near 0.25 for the net that was "
    "not scaled and near 1 for the other; a factor of 4 is far worse for both.",
)

# %%
for name, table in by_factor.items():
    for factor in (0.25, 1.0, 4.0):
        loss, share = table[:, :, list(factors).index(factor)].mean(axis=1)
        print(f"{name:28s} factor {factor:4g}: loss {loss:7.3f}, accuracy {share:.1%}")

# %% tags=["claim"]
at = {
    name: dict(zip(factors, table[0].mean(axis=0), strict=True))
    for name, table in by_factor.items()
}
plain, inverted = at["not scaled in training"], at["divided by 0.25 in training"]
assert plain[0.25] < plain[1] < plain[4], (
    f"not scaled: expected loss at 0.25 < at 1 < at 4, measured {plain[0.25]:.3f}, "
    f"{plain[1]:.3f}, {plain[4]:.3f}"
)
assert inverted[1] < min(inverted[0.25], inverted[4]), (
    f"scaled: expected the factor 1 to be best, measured {inverted[0.25]:.3f}, "
    f"{inverted[1]:.3f}, {inverted[4]:.3f}"
)

# %% [markdown]
# Four is the right factor at the wrong time. With the rate $p$ = 75% and the keep probability 0.25,
# these three say the same, and "by 4 after training" says the opposite:
#
# - divide the activations by 0.25 **during** training (Keras);
# - multiply by 4 **during** training;
# - multiply the weights by 0.25 **after** training.
#
# The right-hand picture shows why the mistake can live long: the accuracy hardly notices a factor
# that is too large. All logits grow together, so the winner stays the winner; only the confidence
# becomes absurd, and the loss with it.

# %% [markdown]
# ## 3 · Overfit on purpose
#
# Now the usual case: two hidden layers of 300 units, far too many for 500 images, with and without
# a dropout of 50% after each.
#
# **Predict first:** draw four curves: training and validation loss, without and with dropout. Which
# training loss lies *above* its own validation loss?

# %%
without, with_dropout = train((0.0, 0.0, 0.0)), train((0.0, 0.5, 0.5))
step = range(2, epochs + 1, 2)
fig, axes = plt.subplots(1, 2, figsize=(9, 3.3), sharey=True)
for ax, runs, title in zip(
    axes, (without, with_dropout), ("Without dropout", "With 50% dropout"), strict=True
):
    ck.plotting.band(ax, step, runs["valid"], "validation", 1)
    ck.plotting.band(ax, step, runs["loss"], "training, as reported", 0)
    ck.plotting.band(ax, step, runs["train_off"], "training, dropout off", 2)
    lowest, last = runs["valid"].mean(axis=0).min(), runs["valid"].mean(axis=0)[-1]
    ax.set(ylim=(0, 1.3), xlabel="epoch", title=f"{title}: best {lowest:.3f}, last {last:.3f}")
axes[0].set_ylabel("loss (cut at 1.3)")
axes[1].legend(loc="upper right")
ck.show(
    fig,
    alt="Losses against epoch, mean and range over seeds. Without dropout the training loss falls "
    "towards 0 while the validation loss turns. With dropout the reported training loss stays "
    "well above the training loss measured with dropout off.",
)


# %%
def epochs_to(target, runs):
    """The first measured epoch in which each net's training loss, dropout off, is below `target`."""
    reached = runs["train_off"] < target
    return np.where(reached.any(axis=1), 2 * reached.argmax(axis=1) + 2, np.inf)


last = {name: runs["valid"][:, -1] for name, runs in (("without", without), ("with", with_dropout))}
target = 0.2
slower = epochs_to(target, with_dropout).mean() / epochs_to(target, without).mean()
for name, losses in last.items():
    print(f"{name:8s} dropout: validation loss at the end {losses.mean():.3f}, "
          f"seeds from {losses.min():.3f} to {losses.max():.3f}")  # fmt: skip
print(f"epochs until the training loss (dropout off) is below {target}: "
      f"{epochs_to(target, without).mean():.1f} without, "
      f"{epochs_to(target, with_dropout).mean():.1f} with dropout, {slower:.1f} times as many")  # fmt: skip
reported, off = with_dropout["loss"][:, -1].mean(), with_dropout["train_off"][:, -1].mean()
print(f"with dropout, last epoch: training loss as reported {reported:.3f}, "
      f"dropout off {off:.3f}, validation {last['with'].mean():.3f}")  # fmt: skip

# %% tags=["claim"]
assert last["with"].mean() < last["without"].mean(), (
    f"dropout should end with the lower validation loss: {last}"
)
assert slower > 1.2, f"dropout should need clearly more epochs, it needs {slower:.2f} times as many"
assert off < 0.6 * reported, (
    f"the training loss with dropout off should be far lower: {off:.3f} against {reported:.3f}"
)
first = with_dropout["loss"][:, 0].mean(), with_dropout["valid"][:, 0].mean()
assert first[0] > first[1], f"the reported loss should start above the validation loss: {first}"

# %% [markdown]
# Three things to take from this:
#
# 1. **Dropout delays overfitting and makes it milder**; it does not abolish it. Early stopping
#    ([lesson 10](10_regularisation.ipynb)) is still worth having.
# 2. **It slows convergence.** "About two-fold" is the usual word; the line above says what it was
#    here. Each step costs about the same, you need more of them.
# 3. **Do not compare a training loss under dropout with a validation loss without.** The reported
#    training loss may lie above the validation loss while the net overfits all the same. Measure it
#    again with dropout off: `model.evaluate(x_train, y_train)`.

# %% [markdown]
# ## 4 · How much, and where?
#
# **Predict first:** what does a dropout of 50% do to a net with 16 units per layer, and what to one
# with 300? Which of the two gains?

# %%
swept = lab.pick(quick=(0.0, 0.5, 0.75), standard=(0.0, 0.25, 0.5, 0.75), full=(0, 0.25, 0.5, 0.75))
by_width = {
    units: np.array([train((0.0, rate, rate), units)["valid"][:, -1] for rate in swept])
    for units in (16, 300)
}
places = {
    "nowhere": (0.0, 0.0, 0.0),
    "inputs, 20%": (0.2, 0.0, 0.0),
    "last hidden layer, 50%": (0.0, 0.0, 0.5),
    "both hidden layers, 50%": (0.0, 0.5, 0.5),
    "both hidden layers, 75%": (0.0, 0.75, 0.75),
}
by_place = {name: train(rates)["valid"][:, -1] for name, rates in places.items()}

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.3))
for i, (units, losses) in enumerate(by_width.items()):
    ck.plotting.band(left, swept, losses.T, f"{units} units per layer", 1 - i)
left.set(xlabel="rate after each hidden layer", ylabel="validation loss, last epoch",
         title="At 50% the wide net gains, the narrow one loses")  # fmt: skip
left.legend()
ck.plotting.strip(right, by_place, "validation loss, last epoch")
right.set_title(f"Lowest here: {min(by_place, key=lambda name: by_place[name].mean())}")
ck.show(
    fig,
    alt="Left: final validation loss against the dropout rate for 16 and for 300 units per layer, "
    "mean and range over seeds; for 16 units it rises with the rate. Right: final validation loss "
    "of every net for five places of dropout.",
)

# %% tags=["claim"]
narrow, wide = by_width[16].mean(axis=1), by_width[300].mean(axis=1)
half = swept.index(0.5)
assert narrow[half] > narrow[0], f"50% should harm the narrow net: {narrow}"
assert wide[half] < wide[0], f"50% should help the wide net: {wide}"

# %% [markdown]
# The narrow net **underfits** (과소적합): it has no unit to spare. The rule of thumb follows: a higher
# rate for large layers, a lower one for small layers; raise it when you see **overfitting** (과대적합),
# lower it when you see underfitting. The dots on the right are one data set and a small budget;
# treat them as a reason to try several places, not as a law. Where to begin:
#
# | net | usual rates | usual place |
# |---|---|---|
# | dense | 10–50% | after the top one to three hidden layers, not after the outputs; inputs at most 20% |
# | strong nets that need little | 10–30% | only after the last hidden layer |
# | recurrent (RNN) | 20–30% | `dropout=` (inputs) and `recurrent_dropout=` (state) of `LSTM` and `GRU` |
# | convolutional (CNN) | 40–50% | after the dense layers on top; between convolutions `SpatialDropout2D` |
#
# `SpatialDropout2D` drops whole feature maps, because single pixels of a map are nearly copies of
# their neighbours and dropping some of them hides little.

# %% [markdown]
# ## 5 · Why does it help? Two readings
#
# **No co-adaptation.** A unit cannot rely on one particular neighbour, since that one is missing
# half of the time. So each must be of use by itself, in any company. If that is true, a net trained
# with dropout should bear the loss of units better.
#
# **Predict first:** you remove half of the hidden units of the nets of section 3 for good (and
# scale the rest). How much accuracy does each of them lose?


# %%
def forward(weights, x, masks=(1.0, 1.0)):
    """The net in NumPy; `masks` multiply the outputs of the two hidden layers."""
    w1, b1, w2, b2, w3, b3 = weights
    h = np.maximum(x.reshape(len(x), -1) @ w1 + b1, 0) * masks[0]
    h = np.maximum(h @ w2 + b2, 0) * masks[1]
    return as_array(keras.ops.softmax(h @ w3 + b3))


removed = np.array([0.0, 0.25, 0.5, 0.75, 0.9])
survivors = {}
for name, runs in (("trained without dropout", without), ("trained with dropout", with_dropout)):
    table = np.zeros((n_seeds, len(removed)))
    for (seed, weights), (i, share), _ in itertools.product(
        enumerate(runs["weights"]), enumerate(removed), range(5)
    ):
        lost = [mask((300,), share) / (1 - share) for _ in range(2)]
        table[seed, i] += accuracy(forward(weights, x_valid[:500], lost), y_valid[:500]) / 5
    survivors[name] = table

fig, ax = plt.subplots()
for i, (name, table) in enumerate(survivors.items()):
    ck.plotting.band(ax, removed, table, name, 1 - i)
ax.set(xlabel="share of hidden units removed for good", ylabel="validation accuracy", ylim=(0, 1),
       title="Trained with dropout, a net bears the loss of units better")  # fmt: skip
ax.legend(loc="lower left")
ck.show(
    fig,
    alt="Validation accuracy against the share of hidden units removed, mean and range over seeds, "
    "for nets trained with and without dropout. The one with dropout falls later.",
)

# %% tags=["claim"]
half = list(removed).index(0.5)
loss_of = {name: (table[:, 0] - table[:, half]).mean() for name, table in survivors.items()}
assert loss_of["trained with dropout"] < loss_of["trained without dropout"], (
    f"with half of the units gone, the net trained with dropout should lose less: {loss_of}"
)

# %% [markdown]
# **An ensemble.** $N$ droppable units have $2^N$ masks, and each is a net of its own. They share
# their weights, and every training step trains one of them a little. Prediction without dropout,
# with the weights scaled, should then be something like the average of all of them.
#
# With $N$ = 10 you can ask all $2^{10}$ of them. The net below has 10 units in its last hidden
# layer, trained with a dropout of 50%.
#
# **Predict first:** how good is one of the 1,024 nets alone, and how good is their average?

# %%
small = keras.Sequential(
    [
        keras.Input((28, 28)),
        keras.layers.Flatten(),
        keras.layers.Dense(100, "relu", kernel_initializer="he_normal"),
        keras.layers.Dense(10, "relu", kernel_initializer="he_normal"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(10, "softmax"),
    ]
)
compile_for_digits(small)
ck.fit(small, x_train, y_train, epochs=epochs, batch_size=50, verbose=0, seed=0)

masks = np.array(list(itertools.product((0.0, 2.0), repeat=10)))  # kept units are scaled by 1/0.5
subnets = np.stack(
    [forward(small.get_weights(), x_valid[:500], (1.0, one)) for one in masks]
)  # (1024, 500, 10)
arithmetic = subnets.mean(axis=0)
geometric = np.exp(np.log(subnets.clip(1e-30)).mean(axis=0))
geometric /= geometric.sum(axis=1, keepdims=True)
whole = as_array(small(x_valid[:500]))

# %%
alone = np.array([accuracy(p, y_valid[:500]) for p in subnets])
fig, ax = plt.subplots(figsize=(7.5, 3.2))
ax.hist(alone, bins=40, color=COLORS[4], label="each of the 1,024 nets")
for i, (name, p) in enumerate(
    {"average of all": arithmetic, "one pass, dropout off": whole}.items()
):
    ax.axvline(accuracy(p, y_valid[:500]), **ck.plotting.line_kw(2 * i), label=name)
ax.set(xlabel="validation accuracy", ylabel="number of nets",
       title=f"One subnet alone: {alone.mean():.0%} on average; all of them: "
             f"{accuracy(arithmetic, y_valid[:500]):.0%}")  # fmt: skip
ax.legend(loc="upper left")
ck.show(
    fig,
    alt="Histogram of the validation accuracy of the 1,024 subnetworks; vertical lines for their "
    "average and for the single pass without dropout, both at the upper end.",
)
print(f"largest difference between one pass and the average of all nets: "
      f"{np.abs(whole - arithmetic).max():.3f}")  # fmt: skip
print(f"largest difference between one pass and their geometric mean:    "
      f"{np.abs(whole - geometric).max():.1e}")  # fmt: skip

# %% tags=["claim"]
assert accuracy(arithmetic, y_valid[:500]) > alone.mean(), (
    "together they should beat the average one"
)
assert np.abs(whole - geometric).max() < 1e-4, (
    "for dropout right before the softmax, one pass should equal the normalised geometric mean of all "
    f"2^N nets; the largest difference is {np.abs(whole - geometric).max():.2e}"
)

# %% [markdown]
# Here one pass without dropout *is* the **geometric** mean of all subnets, scaled to sum 1, and
# exactly so: the logarithm of a softmax is linear in the logits, and the average mask is 1
# everywhere. With dropout in deeper layers it is only an approximation. The **arithmetic** mean is
# another number, and the subnets' disagreement is lost in both. What if you want them?

# %% [markdown]
# ## 6 · Monte Carlo dropout
#
# Leave dropout on while predicting, predict $T$ times with different masks, and average the
# probabilities. Nothing is trained again, and any net with dropout will do. By hand, for the nets
# of section 3:

# %%
T = lab.pick(quick=50, standard=100, full=200)
model = with_dropout["model"]
model.set_weights(with_dropout["weights"][0])
passes = np.stack([as_array(model(x_valid, training=True)) for _ in range(T)])
by_hand = passes.mean(axis=0)
print(f"{T} passes for {len(x_valid):,} images and 10 classes: {passes.shape}")

# %% [markdown]
# `training=True` switches *every* layer to training. Here dropout is the only layer that cares;
# section 9 shows what happens when it is not. A cleaner way is a layer that is always random:


# %%
class MCDropout(keras.layers.Dropout):
    def call(self, inputs, training=False):
        return super().call(inputs, training=True)


mc_net = build((0.0, 0.5, 0.5), seed=1, dropout=MCDropout)
mc_net.set_weights(model.get_weights())
by_layer = np.mean([as_array(mc_net(x_valid)) for _ in range(T)], axis=0)

# %% [markdown]
# And `ck.mc_predict` does it for any model, and changes none: only its dropout layers are random.
# It also returns the standard deviation, the entropy, and every sample.

# %%
mc = ck.mc_predict(model, x_valid, samples=T, seed=0)


def compared_with_chance(first, second):
    """Distance of two averages of T passes, as a multiple of what chance alone would give."""
    expected = 2 * (mc.std**2).sum() / T
    return np.sqrt(((first - second) ** 2).sum() / expected)


ways = {"by hand and by MCDropout": by_layer, "by hand and by ck.mc_predict": mc.mean}
distance = {name: compared_with_chance(by_hand, other) for name, other in ways.items()}
for name, value in distance.items():
    print(f"{name:29s} differ {value:.2f} times as much as chance explains")

# %% tags=["claim"]
for name, value in distance.items():
    assert 0.8 < value < 1.25, f"{name} should differ by chance only (1.0), measured {value:.2f}"

# %% [markdown]
# **Predict first:** how many passes do you need until the accuracy stops rising? Is it then higher
# than that of one pass without dropout?

# %%
counts = [t for t in (1, 2, 5, 10, 20, 50, 100, 200) if t <= T]
single = np.zeros((2, n_seeds, 1))
averaged = np.zeros((2, n_seeds, len(counts)))
for seed, weights in enumerate(with_dropout["weights"]):
    model.set_weights(weights)
    p = as_array(model(x_valid))
    single[:, seed, 0] = accuracy(p, y_valid), log_loss(p, y_valid)
    samples = ck.mc_predict(model, x_valid, samples=T, seed=seed).samples
    for i, t in enumerate(counts):
        groups = samples[: T // t * t].reshape(-1, t, *samples.shape[1:]).mean(axis=1)
        averaged[:, seed, i] = np.mean(
            [(accuracy(p, y_valid), log_loss(p, y_valid)) for p in groups], axis=0
        )

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.3))
for ax, mc_runs, plain, what in zip(
    axes, averaged, single, ("validation accuracy", "validation loss"), strict=True
):
    ck.plotting.band(ax, counts, mc_runs, "average of T passes", 0)
    ck.plotting.band(ax, counts, np.repeat(plain, len(counts), axis=1), "one pass, dropout off", 1)
    ax.set(xscale="log", xlabel="number of passes T (log scale)", ylabel=what)
change = (averaged[0, :, -1] - single[0, :, 0]).mean()
axes[0].set_title(f"Accuracy: {change:+.2%} against one pass")
axes[1].set_title(f"Loss: {averaged[1, :, -1].mean():.3f} against {single[1].mean():.3f}")
axes[0].legend(loc="lower right")
ck.show(
    fig,
    alt="Validation accuracy and loss of Monte Carlo dropout against the number of passes, mean and "
    "range over seeds, with one pass without dropout as a level line. Both improve steeply at "
    "first and then flatten.",
)

# %% tags=["claim"]
gain = averaged[:, :, -1].mean(axis=1) - averaged[:, :, 0].mean(axis=1)
assert gain[0] > 0.01, (
    f"{T} passes should be more accurate than a single random one: {gain[0]:+.3f}"
)
assert gain[1] < 0, f"{T} passes should have the lower loss: {gain[1]:+.3f}"
ten = counts.index(10)
most = (averaged[0, :, ten] - averaged[0, :, 0]).mean() / gain[0]
assert abs(change) < 0.03, f"against one pass the accuracy should hardly move: {change:+.2%}"
assert most > 0.5, f"ten passes should bring most of the gain in accuracy, they bring {most:.0%}"

# %% [markdown]
# A single random pass is a weak net; a handful of passes brings most of the gain. Compared with the
# plain pass the accuracy moves little (the title says by how much): with a net of this kind, accuracy
# is not what you buy. The loss tells more, and the sections that follow tell why.
#
# **The price.** Every pass costs a prediction. How much of it is overhead of the loop?


# %%
def seconds(work, *arguments, **settings):
    """The shortest of five calls, after one that compiles."""
    times = []
    for _ in range(6):
        start = time.perf_counter()
        work(*arguments, **settings)
        times.append(time.perf_counter() - start)
    return min(times[1:])


nets = {"dropout after both layers": model, "only after the last": train((0.0, 0.0, 0.5))["model"]}
print(f"{T} passes, as multiples of one prediction without dropout (one run on this machine)")
for (name, net), size in itertools.product(nets.items(), (1, 300)):
    images = x_valid[:size]
    one = seconds(net, images)
    loop = T * seconds(net, images, training=True)
    batched = seconds(ck.mc_predict, net, images, samples=T, seed=0)
    print(f"  {name:25s} {size:3d} images: loop {loop / one:5.0f}, ck.mc_predict "
          f"{batched / one:5.1f}; the loop takes {loop / batched:5.1f} times as long")  # fmt: skip

# %% [markdown]
# The naive loop pays Python's and Keras' overhead $T$ times. `ck.mc_predict` runs all passes in one
# compiled program, and computes the layers **before the first dropout** only once: with dropout
# only after the last hidden layer, nearly the whole net. The arithmetic that is left is the price
# of the method.

# %% [markdown]
# ## 7 · Does it know that it does not know?
#
# Show the digit net what it has never seen: digits turned by 60°, digits under heavy noise,
# pictures of other things in grey (CIFAR-10's photographs, or the shapes that stand in for them), and
# pure noise. A classifier must choose one of ten digits even for a picture that shows none.
# The **predictive entropy** of its probabilities $\bar p_c$ says how undecided it is:
#
# $$H = -\sum_c \bar p_c \ln \bar p_c,$$
#
# 0 for a certain answer, ln 10 ≈ 2.3 for guessing.
#
# **Predict first:** how sure is the plain net about such a picture? More or less sure than about a
# digit?

# %%
m = 400
turned = rotate(x_valid[:m], 60, axes=(1, 2), reshape=False, order=1).clip(0, 1)
noisy = (x_valid[:m] + draw.normal(0, 0.5, (m, 28, 28))).clip(0, 1)
photos = ck.load("cifar10")
sets = {
    "digits": x_valid[:m],
    "digits turned by 60°": turned,
    "digits under noise": noisy,
    f"{photos.name} in grey": photos.x_test[:m, 2:30, 2:30].mean(axis=-1),
    "pure noise": draw.random((m, 28, 28)),
}
sets = {name: images.astype("float32") for name, images in sets.items()}
foreign = list(sets)[3:]

plain = {name: [] for name in sets}  # for each set: one array of probabilities for each net
sampled = {name: [] for name in sets}
for weights in with_dropout["weights"]:
    model.set_weights(weights)
    for name, images in sets.items():
        plain[name].append(as_array(model(images)))
        sampled[name].append(ck.mc_predict(model, images, samples=T, seed=0))

# %%
shown = [(name, i) for i in range(2) for name in sets]
labels = []
for name, i in shown:
    p, q = plain[name][0][i], sampled[name][0].mean[i]
    labels.append(f"{p.argmax()}: {p.max():.0%}\nMC {q.argmax()}: {q.max():.0%}")
ck.show(
    ck.plotting.image_grid([sets[name][i] for name, i in shown], labels, columns=5, size=1.0,
                           title="What one net says, in one pass and averaged over many"),
    alt="Ten images of five kinds: digits, turned digits, noisy digits, other pictures, pure noise. Above "
    "each the class and probability of one pass and of Monte Carlo dropout.",
)  # fmt: skip

# %%
entropy = {
    "one pass": {name: [ck.uncertainty.predictive_entropy(p).mean() for p in plain[name]] for name in sets},
    "Monte Carlo dropout": {name: [q.entropy.mean() for q in sampled[name]] for name in sets},
}  # fmt: skip
fig, ax = plt.subplots(figsize=(7.5, 3.2))
for i, (way, by_set) in enumerate(entropy.items()):
    for k, values in enumerate(by_set.values()):
        ax.barh(k + 0.2 * (2 * i - 1), np.mean(values), 0.36, color=COLORS[1 - i],
                hatch="//" if i else None, edgecolor="white", label=way if k == 0 else None)  # fmt: skip
        ax.plot(values, [k + 0.2 * (2 * i - 1)] * len(values), "k.", markersize=4)
ax.axvline(np.log(10), color=COLORS[6], linestyle=":", linewidth=1)
ax.set_yticks(range(len(sets)), list(sets))
ax.invert_yaxis()
ax.set(xlabel="average predictive entropy in nats; dotted: guessing",
       title="Averaged over masks, the net is less sure; dots are the nets")  # fmt: skip
ax.legend(loc="lower right")
ck.show(
    fig,
    alt="Average predictive entropy of one pass and of Monte Carlo dropout for five kinds of images; "
    "a dot for each net. Monte Carlo dropout is higher for every kind.",
)

# %% tags=["claim"]
for name in sets:
    once, many = (np.mean(by_set[name]) for by_set in entropy.values())
    assert many > once, f"{name}: MC should raise the entropy, {once:.3f} → {many:.3f}"
for name in foreign:
    rise = np.mean(entropy["Monte Carlo dropout"][name]) - np.mean(entropy["one pass"][name])
    assert rise > 0.05, f"{name}: the entropy should rise clearly, it rises by {rise:.3f}"

# %% [markdown]
# The entropy rises for foreign images, but it rises for ordinary digits too. A number that is
# higher for everybody warns of nothing. What counts is whether it **separates** the two. The area
# under the ROC curve (AUC) is the chance that a foreign image gets the higher number of the two:
# 0.5 is useless, 1 perfect.
#
# There is a third candidate. The entropy has two parts: every pass may be undecided (two digits
# look alike: no training helps), or the passes **disagree** (more data of this kind would help).
# The second part is the **mutual information** of prediction and weights, the entropy of the
# average minus the average of the entropies.

# %%
measures = {
    "entropy, one pass": lambda p, q: ck.uncertainty.predictive_entropy(p),
    "entropy, MC dropout": lambda p, q: q.entropy,
    "mutual information, MC": lambda p, q: ck.uncertainty.mutual_information(q.samples),
}
others = list(sets)[1:]
auc = {name: {} for name in measures}
for (name, measure), other in itertools.product(measures.items(), others):
    areas = []
    for k in range(n_seeds):
        inside, outside = (measure(plain[s][k], sampled[s][k]) for s in ("digits", other))
        truth = [0] * len(inside) + [1] * len(outside)
        areas.append(roc_auc_score(truth, np.concatenate([inside, outside])))
    auc[name][other] = areas
print("AUC: how well each number tells other images from digits, mean over the nets")
print(" " * 24 + "".join(f"{other:>22s}" for other in others))
for name, by_set in auc.items():
    print(f"{name:24s}" + "".join(f"{np.mean(areas):22.3f}" for areas in by_set.values()))

# %% tags=["claim"]
for name in list(measures)[1:]:
    areas = [np.mean(auc[name][other]) for other in foreign]
    assert np.mean(areas) > 0.6, f"{name} should tell foreign images from digits: AUC {areas}"

# %% [markdown]
# Read the table by column. A warning from one pass already works to a degree; where Monte Carlo
# dropout adds to it and where it does not, depends on the kind of image. However near to 1
# a number comes, an uncertainty from dropout is an aid, no guarantee. A net may be sure, under every
# mask, about an image that is no digit at all.
#
# Between "digit" and "foreign" there is a road. Turn the digits step by step:

# %%
angles = np.arange(0, 181, 30)
road = np.zeros((3, n_seeds, len(angles)))
for (k, weights), (i, angle) in itertools.product(
    enumerate(with_dropout["weights"]), enumerate(angles)
):
    model.set_weights(weights)
    images = rotate(x_valid[:300], angle, axes=(1, 2), reshape=False, order=1).clip(0, 1)
    p, q = as_array(model(images)), ck.mc_predict(model, images, samples=T, seed=0)
    once = ck.uncertainty.predictive_entropy(p).mean()
    road[:, k, i] = once, q.entropy.mean(), 1 - accuracy(q.mean, y_valid[:300])

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
ck.plotting.band(left, angles, road[1], "Monte Carlo dropout", 0)
ck.plotting.band(left, angles, road[0], "one pass", 1)
upright, sideways = road.mean(axis=1)[:, [0, list(angles).index(90)]].T
left.set(xlabel="angle in degrees", ylabel="predictive entropy in nats", ylim=(0, None),
         title=f"MC's entropy at 90°: {sideways[1] / upright[1]:.1f} times that of upright digits")  # fmt: skip
left.legend(loc="lower right")
ck.plotting.band(right, angles, road[2], "Monte Carlo dropout", 0)
right.set(xlabel="angle in degrees", ylabel="share of errors", ylim=(0, 1),
          title=f"Its errors at 90°: {sideways[2] / upright[2]:.1f} times as many")  # fmt: skip
for ax in (left, right):
    ax.set_xticks(angles)
ck.show(
    fig,
    alt="Left: predictive entropy against the angle for one pass and Monte Carlo dropout, which is "
    "higher throughout. Right: share of errors against the angle; it rises steeply up to 90 degrees.",
)

# %% tags=["claim"]
assert (road[1].mean(axis=0) > road[0].mean(axis=0)).all(), "MC should be less sure at every angle"
assert sideways[2] > 0.5, f"turned by 90° most answers should be wrong: {sideways[2]:.0%}"
assert sideways[2] / upright[2] > sideways[1] / upright[1], (
    f"errors should grow by a larger factor than the entropy: {sideways / upright}"
)

# %% [markdown]
# Errors grow faster than doubt. A net that is wrong about most of the turned digits should be close
# to guessing, and the left picture is far from ln 10 ≈ 2.3: under every mask the thinned nets have
# seen the same upright digits, and they can agree on the same mistake. At 180° many a digit is a
# good digit again, for the net at least: a 6 has become a 9, and no measure of doubt will object.

# %% [markdown]
# ## 8 · Is 90% really 90%?
#
# A classifier is **calibrated** if it is right in 90% of the cases in which it says "90%". The
# **expected calibration error** (ECE) is the average gap between confidence and accuracy, over bins
# of confidence.
#
# One often reads that Monte Carlo dropout improves calibration. **Predict first:** it makes a net
# less sure. For which nets is that an improvement, and for which not?
#
# Three tests: the nets of section 3 on digits and on digits turned by 30°; and, on digits, the nets
# with 75% from section 4.

# %%
many = lab.pick(quick=1_000, standard=2_000, full=5_000)  # bins need many images each
x_many, y_many = data.x_valid[:many], data.y_valid[:many]
tilted = rotate(x_many, 30, axes=(1, 2), reshape=False, order=1).clip(0, 1)
cases = {
    "digits": (with_dropout, x_many),
    "digits turned by 30°": (with_dropout, tilted),
    "digits, dropout 75%": (train((0.0, 0.75, 0.75)), x_many),
}
answers = {}
for name, (runs, images) in cases.items():
    for way in ("one pass", "MC dropout"):
        answers[name, way] = []
    for weights in runs["weights"]:
        runs["model"].set_weights(weights)
        answers[name, "one pass"].append(as_array(runs["model"](images)))
        q = ck.mc_predict(runs["model"], images, samples=50, seed=0)
        answers[name, "MC dropout"].append(q.mean)

ece = {key: np.array([ck.uncertainty.expected_calibration_error(p, y_many) for p in answers[key]])
       for key in answers}  # fmt: skip
too_sure = {key: np.array([p.max(axis=1).mean() - accuracy(p, y_many) for p in answers[key]])
            for key in answers}  # fmt: skip

# %%
fig, axes = plt.subplots(1, 3, figsize=(9, 3.4), sharey=True)
for ax, name in zip(axes, cases, strict=True):
    for i, way in enumerate(("one pass", "MC dropout")):
        pooled, labels = np.concatenate(answers[name, way]), np.tile(y_many, n_seeds)
        curve = ck.uncertainty.reliability_curve(pooled, labels, bins=10)
        enough = curve.count >= 20
        ax.plot(curve.confidence[enough], curve.accuracy[enough], marker="os"[i],
                **ck.plotting.line_kw(1 - i), label=f"{way}: ECE {ece[name, way].mean():.3f}")  # fmt: skip
    ax.plot([0, 1], [0, 1], color=COLORS[6], linewidth=1, linestyle=":")
    ax.set(xlabel="confidence", xlim=(0.2, 1), ylim=(0.2, 1), title=name)
    ax.legend(loc="lower right", fontsize=8)
axes[0].set_ylabel("accuracy in this bin")
ck.show(
    fig,
    alt="Reliability curves, accuracy against confidence, of one pass and of Monte Carlo dropout for "
    "digits, turned digits, and nets with 75% dropout. Below the dotted diagonal a net is too sure, "
    "above it not sure enough. The curve of Monte Carlo dropout lies above that of one pass.",
)

# %%
print("mean over the nets                    ECE      confidence minus accuracy")
for name, way in answers:
    print(f"{name:22s} {way:10s} {ece[name, way].mean():9.3f} {too_sure[name, way].mean():+19.3f}")
verdicts = {}
for name in cases:
    change = ece[name, "MC dropout"] - ece[name, "one pass"]
    verdicts[name] = "better" if change.mean() < 0 else "worse"
    print(f"{name}: MC is {verdicts[name]} by {abs(change.mean()):.3f} "
          f"(nets from {change.min():+.3f} to {change.max():+.3f})")  # fmt: skip

# %% tags=["claim"]
for name in cases:
    once, mc_way = (too_sure[name, way].mean() for way in ("one pass", "MC dropout"))
    assert mc_way < once - 0.01, f"{name}: MC should be less sure, {once:+.3f} → {mc_way:+.3f}"
once, mc_way = (ece["digits turned by 30°", way].mean() for way in ("one pass", "MC dropout"))
assert mc_way < once, (
    f"where a net is much too sure, MC should improve ECE: {once:.3f} → {mc_way:.3f}"
)
once, mc_way = (ece["digits, dropout 75%", way].mean() for way in ("one pass", "MC dropout"))
assert mc_way > once, f"where it is not, MC should spoil ECE: {once:.3f} → {mc_way:.3f}"

# %% [markdown]
# So the common statement holds with a condition. Monte Carlo dropout moves the confidence **down**,
# for all nets and images of this lesson. A net that is much too sure (turned digits) profits. A net
# that was honest already becomes too modest, and its ECE gets *worse*. The column "confidence minus
# accuracy" tells which case you are in: measure it on validation data before you decide. Where only
# calibration counts, one number fitted on validation data, the temperature of the softmax (Guo et
# al., 2017), is cheaper.

# %% [markdown]
# ## 9 · The trap: `training=True` for the whole model
#
# Many recipes for Monte Carlo dropout say `model(x, training=True)`. It was right in section 6,
# because dropout was the only layer with two modes. Batch normalisation (배치 정규화, BN;
# [lesson 04](04_batch_normalisation.ipynb)) has two modes as well: in training it uses the mean and
# variance of the batch at hand, and moves its averages towards them.
#
# **Predict first:** what does such a net answer if you show it one image at a time? And what
# happens to its ordinary predictions afterwards?

# %%
keras.utils.set_random_seed(42)
bn_net = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten()])
for _ in range(2):
    bn_net.add(keras.layers.Dense(100, use_bias=False))
    bn_net.add(keras.layers.BatchNormalization(momentum=0.9))
    bn_net.add(keras.layers.Activation("relu"))
bn_net.add(keras.layers.Dropout(0.3))  # after the last BN, see the pitfalls
bn_net.add(keras.layers.Dense(10, "softmax"))
compile_for_digits(bn_net)
ck.fit(bn_net, x_train, y_train, epochs=epochs, batch_size=50, verbose=0, seed=0)
trained_weights = bn_net.get_weights()


def only_dropout(model, x):
    """One random pass: dropout in training mode, everything else as at prediction."""
    for layer in model.layers:
        x = layer(x, training=isinstance(layer, keras.layers.Dropout))
    return x


# %%
images, labels = x_valid[:256], y_valid[:256]
as_usual = accuracy(as_array(bn_net(images)), labels)
recipes = {  # tf.function: many small calls in a fraction of the time
    "training=True": tf.function(lambda x: bn_net(x, training=True), autograph=False),
    "only dropout random": tf.function(lambda x: only_dropout(bn_net, x), autograph=False),
}
sizes, n_passes = (1, 2, 8, 32, 128), lab.pick(quick=5, standard=10, full=30)
by_size = {}
for (name, recipe), size in itertools.product(recipes.items(), sizes):
    bn_net.set_weights(trained_weights)
    batches = np.split(images, len(images) // size)
    p = [np.mean([as_array(recipe(b)) for _ in range(n_passes)], axis=0) for b in batches]
    by_size[name, size] = accuracy(np.concatenate(p), labels)

# %%
bn_net.set_weights(trained_weights)
ordinary = {"before": accuracy(as_array(bn_net(x_valid)), y_valid)}
photo_batch = sets[foreign[0]][:128]
for _ in range(30):
    only_dropout(bn_net, photo_batch)
ck.mc_predict(bn_net, photo_batch, samples=30, seed=0)
untouched = all(map(np.array_equal, trained_weights, bn_net.get_weights()))
ordinary["after 30 passes, only dropout random"] = accuracy(as_array(bn_net(x_valid)), y_valid)
for _ in range(30):
    bn_net(photo_batch, training=True)
moved = not all(map(np.array_equal, trained_weights, bn_net.get_weights()))
ordinary["after 30 passes with training=True"] = accuracy(as_array(bn_net(x_valid)), y_valid)
bn_net.set_weights(trained_weights)

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), width_ratios=[3, 2])
for i, name in enumerate(recipes):
    left.semilogx(sizes, [by_size[name, size] for size in sizes], marker="os"[i],
                  **ck.plotting.line_kw(1 - i), label=name)  # fmt: skip
left.axhline(as_usual, color=COLORS[7], linewidth=1, label="ordinary prediction")
left.axhline(0.1, color=COLORS[6], linestyle=":", linewidth=1, label="guessing")
left.set(xlabel="images shown at a time", ylabel="validation accuracy", ylim=(0, 1),
         title="With training=True the answer depends on the company")  # fmt: skip
left.set_xticks(sizes, [str(size) for size in sizes])
left.minorticks_off()
left.legend(loc="lower right")
names = ["before", "after 30 passes:\nonly dropout", "after 30 passes:\ntraining=True"]
right.barh(names, list(ordinary.values()), color=[COLORS[7], COLORS[0], COLORS[1]])
right.invert_yaxis()
right.set(xlabel="accuracy of ordinary prediction", xlim=(0, 1), title="… and the net is changed")
ck.show(
    fig,
    alt="Left: accuracy against the number of images shown at a time. With training=True it is near "
    "guessing for one image and rises with the batch; with only dropout random it is that of the "
    "ordinary prediction, whatever the batch. Right: ordinary accuracy before, after passes with "
    "only dropout random, and after training=True on other pictures.",
)
for name, share in ordinary.items():
    print(f"ordinary accuracy on digits {name}: {share:.1%}")

# %% tags=["claim"]
assert by_size["training=True", 1] < 0.25, (
    f"one at a time, BN in training mode sees nothing: {by_size['training=True', 1]:.1%}"
)
gaps = {size: by_size["only dropout random", size] - as_usual for size in sizes}
assert max(map(abs, gaps.values())) < 0.05, (
    "with only dropout random the net should do its work as usual, whatever the batch: "
    f"expected within 5 points of {as_usual:.1%}, measured gaps {gaps}"
)
assert untouched, "with only dropout random BN's averages must stay as they are, bit for bit"
assert moved, "training=True should move BN's averages"
assert ordinary["after 30 passes with training=True"] < ordinary["before"] - 0.05, (
    f"training=True on other pictures should spoil the ordinary prediction: {ordinary}"
)

# %% [markdown]
# A batch of one image has itself as its mean: after subtraction every image is 0, and they all look
# alike. And asking the net about foreign pictures taught its averages that the world is made of
# them. A question must not change the one who is asked. The three safe ways: an `MCDropout`
# layer, a loop over the layers like `only_dropout`, or `ck.mc_predict`.

# %% [markdown]
# ## 10 · Alpha dropout for SELU
#
# A self-normalising net ([lesson 03](03_activation_functions.ipynb)) keeps the mean 0 and the
# variance 1 from layer to layer. Section 1 showed that dropout widens the spread. **Alpha dropout**
# sets a dropped unit not to 0 but to the lowest value that SELU has,
# $\alpha' = -\lambda\alpha \approx -1.758$, and then applies one affine correction to *all* units,
# $y \leftarrow a\, y + b$, that brings mean and variance back:
#
# $$a = \frac{1}{\sqrt{(1-p)\,(1 + p\,\alpha'^2)}}, \qquad b = -a\, p\, \alpha'$$
#
# **Predict first:** 30 SELU layers, each followed by a dropout of 20%. What becomes of the spread
# with either kind?

# %%
rate, lowest = 0.2, -1.0507009873554805 * 1.6732632423543772
a = 1 / np.sqrt((1 - rate) * (1 + rate * lowest**2))
b = -a * rate * lowest
unit = draw.normal(size=1_000_000)
one_layer = {
    "without dropout": unit,
    "ordinary dropout": dropout(unit, rate, scaled=True),
    "dropped to α′, not corrected": np.where(mask(unit.shape, rate) > 0, unit, lowest),
    "alpha dropout": a * np.where(mask(unit.shape, rate) > 0, unit, lowest) + b,
    "keras.layers.AlphaDropout": as_array(keras.layers.AlphaDropout(rate)(unit, training=True)),
}
print(f"a = {a:.4f}, b = {b:.4f}")
for name, values in one_layer.items():
    print(f"{name:29s} mean {values.mean():+.3f}, standard deviation {values.std():.3f}")

# %%
statistics = {}
for name, kind in {
    "none": None,
    "Dropout": keras.layers.Dropout,
    "AlphaDropout": keras.layers.AlphaDropout,
}.items():
    table = np.zeros((2, n_seeds, 31))
    for seed in range(n_seeds):
        keras.utils.set_random_seed(seed)
        h = np.random.default_rng(seed).normal(size=(500, 200)).astype("float32")
        table[:, seed, 0] = h.mean(), h.std()
        for depth in range(1, 31):
            h = keras.layers.Dense(200, "selu", kernel_initializer="lecun_normal")(h)
            h = kind(rate)(h, training=True) if kind else h
            table[:, seed, depth] = as_array(h).mean(), as_array(h).std()
    statistics[name] = table

fig, ax = plt.subplots(figsize=(7.5, 3.2))
for i, (name, (means, stds)) in enumerate(statistics.items()):
    ck.plotting.band(ax, range(31), stds, name, 2 - i)
    print(f"{name:13s} layer 30: mean {means[:, -1].mean():+.2f}, "
          f"standard deviation {stds[:, -1].mean():.2f}")  # fmt: skip
ax.axhline(1, color=COLORS[6], linewidth=1, linestyle=":")
ax.set(xlabel="layer", ylabel="standard deviation of the layer",
       title="Dropout lets the spread grow, AlphaDropout keeps it")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Standard deviation of 30 SELU layers without dropout, with Dropout and with AlphaDropout, "
    "mean and range over seeds. AlphaDropout stays near 1; with Dropout the spread grows.",
)

# %% tags=["claim"]
for name in ("alpha dropout", "keras.layers.AlphaDropout"):
    values = one_layer[name]
    assert abs(values.mean()) < 0.01, f"{name} should keep the mean 0: {values.mean():.3f}"
    assert abs(values.std() - 1) < 0.01, f"{name} should keep the spread 1: {values.std():.3f}"
mean, std = statistics["AlphaDropout"]
assert np.abs(mean).max() < 0.15, f"AlphaDropout should keep each layer's mean near 0: {mean}"
assert np.abs(std - 1).max() < 0.2, f"… and its standard deviation near 1: {std}"
assert (statistics["Dropout"][1][:, -1] > 1.25).all(), (
    f"ordinary dropout should break the spread: {statistics['Dropout'][1][:, -1]}"
)

# %% [markdown]
# Ordinary dropout and SELU do not go together; `AlphaDropout` belongs to SELU and to nothing else
# (the lowest value of ReLU is 0, and dropping to 0 is what ordinary dropout does). It is most often
# used sparingly: in [the CIFAR-10 study](../exercises/15_cifar10_study.ipynb) one layer, 10%, right
# before the output. `ck.mc_predict` samples it like ordinary dropout.

# %% [markdown]
# ## Explore: the mask player
#
# Move `step` to draw the next mask, and watch the running average of what the marked output unit
# receives. When does it settle? What changes when you untick `scaled`?


# %%
def draw_net(ax, kept):
    """Draw one column of units for each layer; dropped units are white and without connections."""
    places = [[(x, y - (len(k) - 1) / 2) for y in range(len(k))] for x, k in enumerate(kept)]
    for x in range(len(kept) - 1):
        alive = [[p for p, k in zip(places[x + d], kept[x + d], strict=True) if k] for d in (0, 1)]
        for start, end in itertools.product(*alive):
            ax.plot(*zip(start, end, strict=True), "-", color=COLORS[4], linewidth=0.7, zorder=1)
        faces = [COLORS[0] if k else "white" for k in kept[x]]
        ax.scatter(*zip(*places[x], strict=True), s=110, c=faces, edgecolors=COLORS[7], zorder=2)
    ax.scatter(*zip(*places[-1], strict=True), s=110, c=COLORS[0], edgecolors=COLORS[7], zorder=2)
    ax.scatter(*places[-1][0], s=260, facecolors="none", edgecolors=COLORS[1], linewidth=2)
    ax.set_axis_off()


def play(rate, step, drop_inputs, scaled):
    sizes, generator = (5, 8, 8, 3), np.random.default_rng(7)
    weights = generator.uniform(0.1, 1.0, sizes[2])
    rates = (rate if drop_inputs else 0.0, rate, rate, 0.0)
    received = []
    for _ in range(step):
        kept = [generator.random(n) >= r for n, r in zip(sizes, rates, strict=True)]
        received.append((weights * kept[2]).sum() / ((1 - rate) if scaled else 1) / weights.sum())
    steps = np.arange(1, step + 1)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 2.9))
    draw_net(left, kept)
    left.set_title(f"Step {step}: {sum(int((~k).sum()) for k in kept)} units dropped (white)")
    right.plot(steps, received, ".", color=COLORS[4], label="in this step")
    right.plot(steps, np.cumsum(received) / steps, "-", color=COLORS[1], label="average so far")
    right.axhline(1, color=COLORS[6], linestyle=":", label="without dropout")
    right.set(xlabel="step", ylabel="received, as a share", ylim=(0, None),
              title="What the marked unit receives")  # fmt: skip
    right.legend(fontsize=8)
    return fig


# %%
ck.widgets.explore(
    play,
    alt="Left: a small net in one training step; dropped units are white and without connections. "
    "Right: what the marked output unit receives in each step and on average so far.",
    rate=(0.0, 0.9, 0.5),
    step=(1, 300, 60),
    drop_inputs=False,
    scaled=True,
)

# %% [markdown]
# ## Pitfalls
#
# - **`Dropout(0.8)` meant as "keep 80%".** In Keras the argument is the rate that is dropped. Some
#   papers and old TensorFlow give the keep probability.
# - **"Multiply the weights by 4 after training."** By the keep probability, if at all; with Keras
#   by nothing.
# - **Training loss above validation loss taken for "no overfitting".** Measure both with dropout
#   off.
# - **`training=True` for the whole model** to get MC dropout: batch normalisation answers from the
#   batch and is changed by the question.
# - **Dropout right before batch normalisation.** Its averages learn the spread under dropout
#   (section 1), and at prediction the spread is smaller. Put dropout after the last batch
#   normalisation, as in section 9's net.
# - **Dropout in a net that underfits**, or after the output layer, where it deletes answers.
# - **Ordinary dropout with SELU**; use `AlphaDropout`.
# - **MC entropy without a comparison.** It is higher everywhere; ask whether it separates, and
#   check ECE on validation data.

# %% [markdown]
# ## Recap
#
# - Dropout draws a new mask for every sample in every step, and divides by the keep probability 1 −
#   p while training; prediction is left alone.
# - It delays overfitting, costs more epochs, and suits wide nets; compare training losses with
#   dropout off.
# - It hinders co-adaptation, and it trains an ensemble of 2^N nets with shared weights.
# - Averaging T random passes makes every answer less sure: it helps to find foreign images, and
#   improves calibration only where the net was too sure.
# - Make only dropout random, never the whole model; use alpha dropout with SELU.

# %% [markdown]
# ## Now practise
#
# Open [exercise 11](../exercises/11_dropout.ipynb): inverted dropout, an `MCDropout` layer, Monte
# Carlo prediction, the predictive entropy and alpha dropout's correction, and in the end a net that
# may say "I do not know".
#
# Then go on with lesson
# [12 Hyperparameter tuning](12_hyperparameter_tuning.ipynb).

# %% [markdown]
# ## Further reading
#
# - N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, *Dropout: A Simple
#   Way to Prevent Neural Networks from Overfitting*, JMLR 15, 2014: section 4, the model and the
#   scaling; section 7, what it does to the features.
# - Y. Gal and Z. Ghahramani, *Dropout as a Bayesian Approximation: Representing Model Uncertainty
#   in Deep Learning*, ICML 2016, arXiv:1506.02142: section 5, experiments.
# - C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, *On Calibration of Modern Neural Networks*, ICML
#   2017, arXiv:1706.04599: section 2, ECE; section 4, temperature scaling.
# - G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, *Self-Normalizing Neural Networks*,
#   NeurIPS 2017, arXiv:1706.02515: the paragraph on a new dropout technique.
# - X. Li, S. Chen, X. Hu and J. Yang, *Understanding the Disharmony between Dropout and Batch
#   Normalization by Variance Shift*, CVPR 2019, arXiv:1801.05134.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition,
#   2022, chapter 11, "Dropout" and "Monte Carlo (MC) Dropout".
