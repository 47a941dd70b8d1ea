# %% [markdown]
# # 13 Practical guidelines
#
# A dozen lessons, dozens of choices. Which ones do you start with, and what do you do when the net does
# not learn?
#
# ## What you will be able to do
#
# In about 40 minutes you will be able to
#
# - choose a configuration for a dense net from two short tables, and say why;
# - adapt it to a special need: a sparse model, low latency, honest doubt;
# - debug a net that does not learn, in an order in which each step rules something out;
# - make a trained net smaller: fold batch normalisation (배치 정규화), store float16 or int8, and measure
#   what it costs.

# %%
import coursekit as ck

lab = ck.setup(seed=42)

import tempfile
import time
import warnings
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.neighbors import KNeighborsClassifier

# %%
n, n_valid, epochs, n_seeds, deep = lab.pick(
    quick=(4_000, 1_000, 4, 2, 8),
    standard=(10_000, 5_000, 8, 3, 10),
    full=(55_000, 5_000, 15, 5, 20),
)
batch_size, shallow = 64, 4
raw = ck.load("mnist", n_valid=n_valid).subset(n)
print(f"{raw.name} ({raw.source}): {len(raw.x_train):,} training images, "
      f"{len(raw.x_valid):,} for validation, {len(raw.x_test):,} for the test")  # fmt: skip

# %% [markdown]
# ## 1 · Standardise, and mind the corners
#
# Both tables below begin with standardised inputs: for every pixel subtract the mean $\mu$ of the
# training images and divide by their standard deviation $\sigma$. The corners of these images are
# empty in *every* training image.
#
# **Predict first:** what is $(x - \mu) / \sigma$ in a corner of a training image? And of a new image
# with a speck of ink there?

# %%
mean, std = raw.x_train.mean(axis=0, dtype=float), raw.x_train.std(axis=0, dtype=float)
speck = raw.x_valid[:1].copy()
speck[0, 0, 0] = 0.5
with np.errstate(divide="ignore", invalid="ignore"):
    naive, naive_speck = (raw.x_train - mean) / std, (speck - mean) / std
print(f"pixels that are constant in training: {np.mean(std == 0):.0%}")
print(
    f"corner of a training image: {naive[0, 0, 0]}, of the image with a speck: {naive_speck[0, 0, 0]}"
)

guarded = (raw.x_train - mean) / np.where(std == 0, 1, std)
data = raw.standardized()
print(f"largest difference between the guarded formula and data.standardized(): "
      f"{np.abs(guarded - data.x_train).max():.1e}")  # fmt: skip

# %% tags=["claim"]
assert np.isnan(naive[0, 0, 0]), f"0/0 should be NaN, got {naive[0, 0, 0]}"
assert np.isinf(naive_speck[0, 0, 0]), f"0.5/0 should be infinite, got {naive_speck[0, 0, 0]}"
assert np.isfinite(data.x_train).all(), "with a guard every value should be finite"
assert np.isfinite(data.x_valid).all(), "with a guard the validation images should be finite too"
assert np.allclose(guarded, data.x_train, atol=1e-3), "both ways to guard should agree"

# %% [markdown]
# **Verdict:** one constant pixel, and the first forward pass is NaN. Divide by 1 where $\sigma = 0$. The
# same $\mu$ and $\sigma$ serve validation, test and the finished product; they are part of the model.

# %%
x, y, valid = data.x_train, data.y_train, (data.x_valid, data.y_valid)
x_test, y_test = data.x_test[:5_000], data.y_test[:5_000]
print(f"mean {x.mean():.2f}, standard deviation {x.std():.2f} (constant pixels have 0), "
      f"largest value {x.max():.0f}")  # fmt: skip

# %% [markdown]
# (The largest value comes from a pixel that is inked in very few images: its $\sigma$ is tiny. That is
# what standardising does to rare pixels. It is harmless for most nets, but look at it.)
#
# ## 2 · Two tables
#
# | | default | self-normalising |
# |---|---|---|
# | weights ([lesson 02](02_weight_initialisation.ipynb)) | He | LeCun |
# | activation ([03](03_activation_functions.ipynb)) | ReLU if shallow, Swish if deep | SELU |
# | normalisation ([04](04_batch_normalisation.ipynb)) | none if shallow, batch normalisation if deep | none |
# | regularisation ([10](10_regularisation.ipynb), [11](11_dropout.ipynb)) | early stopping (조기 종료); weight decay (가중치 감소) if needed | alpha dropout if needed |
# | optimizer ([08](08_optimizers.ipynb)) | Nesterov, or AdamW | Nesterov |
# | learning rate ([09](09_learning_rate_schedules.ipynb)) | performance scheduling or 1cycle | 1cycle |
#
# The second is for one kind of net only: a plain stack of dense layers with standardised inputs. One
# skip connection, one convolution, one ℓ2 penalty, and its promise is void (lesson 03). Everything
# else takes the first.
#
# And before either: can you **reuse** a net that was trained for a similar task
# ([lesson 06](06_transfer_learning.ipynb)), or **pretrain** on unlabelled images
# ([lesson 07](07_pretraining.ipynb))? With few labels nothing below helps as much.
#
# The first column in plain Keras. "Deep" has no sharp border; here it begins at six hidden layers.


# %%
def default_net(depth):
    is_deep = depth >= 6
    model = keras.Sequential([keras.Input((28, 28)), layers.Flatten()])
    for _ in range(depth):
        model.add(layers.Dense(100, kernel_initializer="he_normal", use_bias=not is_deep))
        if is_deep:
            model.add(layers.BatchNormalization())
        model.add(layers.Activation("swish" if is_deep else "relu"))
    model.add(layers.Dense(10, activation="softmax"))
    return model


def self_normalising_net(depth):
    model = keras.Sequential([keras.Input((28, 28)), layers.Flatten()])
    for _ in range(depth):
        model.add(layers.Dense(100, kernel_initializer="lecun_normal"))
        model.add(layers.Activation("selu"))
    model.add(layers.AlphaDropout(0.1))
    model.add(layers.Dense(10, activation="softmax"))
    return model


# %% [markdown]
# Writing this again and again invites slips, so the course has `ck.recommend`: you state the facts, it
# returns the compiled net, the callbacks, and a reason for every choice.
#
# **Predict first:** you go from five hidden layers to six, and nothing else. Which rows of the
# recommendation change?

# %%
print(ck.recommend((28, 28), 10, hidden=10))

# %%
print(ck.recommend((28, 28), 10, hidden=10, self_normalizing=True))


# %%
def summary(model):
    """Kind, activation and initialiser of every layer."""
    rows = []
    for layer in model.layers:
        start = getattr(layer, "kernel_initializer", None)
        activation = getattr(layer, "activation", None)
        rows.append(
            (type(layer).__name__, getattr(activation, "__name__", ""), type(start).__name__)
        )
    return rows


by_hand = {("default", depth): default_net(depth) for depth in (5, 6)}
by_hand["self-normalising", 6] = self_normalising_net(6)
advised = {
    (kind, depth): ck.recommend(
        (28, 28), 10, hidden=depth, self_normalizing=kind != "default"
    ).model
    for kind, depth in by_hand
}
for key, model in by_hand.items():
    print(f"{key[0]:17s} {key[1]} hidden layers: {model.count_params():,} parameters, recommended "
          f"{advised[key].count_params():,}")  # fmt: skip

# %% tags=["claim"]
for key, model in by_hand.items():
    assert summary(model) == summary(advised[key]), f"{key}: recommend should build the same layers"
    assert model.count_params() == advised[key].count_params(), f"{key}: other parameter counts"

# %% [markdown]
# ## 3 · Do the tables keep their word?
#
# Two depths: four hidden layers, and `deep` of them (ten in the standard profile). For each: the
# default, the self-normalising net, and, as a control, the default's *other* row, that is ReLU without
# batch normalisation for the deep net, Swish with it for the shallow one. Nothing is tuned: every net
# gets the recommended rate.
#
# **Predict first:** at which depth does the choice between the rows matter more? Does any net diverge?


# %%
def other_row(depth):
    """The default configuration with the two rows of the other depth; all else the same."""
    advice = ck.recommend((28, 28), 10, hidden=depth)
    kind = {"activation": "relu"} if depth >= 6 else {"activation": "swish", "batch_norm": True}
    model = ck.models.mlp((28, 28), 10, hidden=depth, **kind)
    model.compile(
        keras.optimizers.SGD(advice.learning_rate, momentum=0.9, nesterov=True),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model, advice


def restart(model, rate, seed):
    """Put a compiled model back to the start: the weights of `seed`, an optimizer without memory."""
    keras.utils.set_random_seed(seed)
    model.set_weights(keras.Sequential.from_config(model.get_config()).get_weights())
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = rate


def train(model, advice, epochs=epochs):
    """Train `n_seeds` nets; return their validation losses (n_seeds, epochs) and their weights."""
    losses, weights = np.full((n_seeds, epochs), np.nan), []
    for seed in range(n_seeds):
        restart(model, advice.learning_rate, seed)
        history = ck.fit(model, x, y, epochs=epochs, batch_size=batch_size, validation_data=valid,
                         callbacks=advice.callbacks(), verbose=0, seed=seed)  # fmt: skip
        run = history.history["val_loss"]
        losses[seed, : len(run)] = run
        losses[seed, len(run) :] = min(run)  # stopped early: the best epoch's weights stay
        weights.append(model.get_weights())
    return losses, weights


# %%
def predict(model, images):
    """Class probabilities; a plain call is quick for nets this small."""
    return np.array(model(images, training=False))


def accuracies(model, weights, images=valid[0], labels=valid[1]):
    """Share of right answers of each seed's net."""
    found = []
    for values in weights:
        model.set_weights(values)
        found.append(np.mean(predict(model, images).argmax(axis=1) == labels))
    return np.array(found)


# %%
models, trained = {}, {}
for depth in (shallow, deep):
    advices = {
        "default": ck.recommend((28, 28), 10, hidden=depth),
        "self-normalising": ck.recommend((28, 28), 10, hidden=depth, self_normalizing=True),
    }
    pairs = {kind: (advice.model, advice) for kind, advice in advices.items()}
    pairs["other row"] = other_row(depth)
    for kind, (model, advice) in pairs.items():
        models[kind, depth], trained[kind, depth] = model, train(model, advice)
accuracy = {key: accuracies(models[key], weights) for key, (_, weights) in trained.items()}

# %%
kinds = ("default", "self-normalising", "other row")
best = {
    depth: max(kinds, key=lambda kind: accuracy[kind, depth].mean()) for depth in (shallow, deep)
}
highest = min(2.5, max(losses.max() for losses, _ in trained.values()))
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.6), width_ratios=[2, 2, 2.2])
for ax, depth in ((left, shallow), (middle, deep)):
    for i, kind in enumerate(kinds):
        ck.plotting.band(ax, range(1, epochs + 1), trained[kind, depth][0], kind, i)
    ax.set(xlabel="epoch", ylim=(0, 1.05 * highest))
    ax.set_title(f"{depth} hidden layers", fontsize=10)
left.set_ylabel("validation loss")
left.legend(fontsize=8)
ck.plotting.strip(right, {f"{kind}, {d}": 100 * a for (kind, d), a in accuracy.items()},
                  "validation accuracy, %")  # fmt: skip
right.set_title(f"Most right: {best[shallow]} at {shallow},\n{best[deep]} at {deep}", fontsize=10)
ck.show(
    fig,
    alt="Left and middle: validation loss against epoch for the shallow and the deep nets, mean and range over "
    "seeds of the default, the self-normalising and the control net. Right: validation accuracy "
    "of every run: "
    + ", ".join(f"{kind} with {d} layers {a.mean():.1%}" for (kind, d), a in accuracy.items()),
)

# %%
print(f"validation accuracy, mean ± standard deviation over {n_seeds} seeds, {epochs} epochs")
for (kind, depth), found in accuracy.items():
    print(f"  {depth:2} layers, {kind:17s} {found.mean():6.1%} ± {found.std(ddof=1):.1%}")
for depth in (shallow, deep):
    gap = accuracy["default", depth].mean() - accuracy["other row", depth].mean()
    print(f"the default against the other row at {depth:2} layers: {100 * gap:+.1f} points")

# %% tags=["claim"]
guessing = np.log(10)
for kind, depth in trained:
    losses = trained[kind, depth][0]
    if kind != "other row":
        assert np.isfinite(losses).all(), f"{kind}, {depth} layers: the loss should stay finite"
        assert losses[:, -1].max() < 0.6 * guessing, (
            f"{kind}, {depth} layers: every run should end far below guessing ({guessing:.2f}), the "
            f"worst ends at {losses[:, -1].max():.2f}"
        )
        assert accuracy[kind, depth].min() > 0.7, (
            f"{kind}, {depth} layers: expected over 70% in every run, got {accuracy[kind, depth].min():.1%}"
        )

# %% [markdown]
# The promise of the tables is modest and it is kept: **every recommended net learns, with no tuning,
# at either depth.** They do not promise the best net. Read the last two lines above: a plus means that
# the recommended row won, a minus that the other one did. In the deep net the table's row tends to
# win; in the shallow one batch normalisation may well help too, although the table says "none". That
# entry is about what a net *needs*, and about simplicity, not about what is best. (Nor is the lead or
# lag of the self-normalising net due to SELU alone: as in the table, it comes with 1cycle.)
#
# So: start from the table, then compare by validation.
#
# ## 4 · Special needs
#
# | you need | you change |
# |---|---|
# | a **sparse** model | ℓ1 in training, or set small weights to 0 afterwards |
# | **low latency** | fewer layers, a cheaper activation (ReLU or LeakyReLU), fold batch normalisation, float16 or int8 |
# | to know **when it does not know** | dropout (드롭아웃), kept on at prediction: Monte Carlo dropout |
#
# Which rows change?

# %%
plain = ck.recommend((28, 28), 10)
for need in ("sparse", "latency", "uncertainty"):
    special = ck.recommend((28, 28), 10, needs=need)
    print(f"{need}:")
    for row in special.choices:
        if row[:2] not in [old[:2] for old in plain.choices]:
            print(f"   {row.what}: {row.choice} ({row.why})")
    for step in special.afterwards:
        print(f"   afterwards: {step}")

# %% [markdown]
# **Sparse.** ℓ1 needs many steps to pull a weight to 0, so give it three times the epochs; both nets get
# the same 1cycle. Then set the smallest hidden weights to 0, more and more of them, and test again.
#
# **Predict first:** how many can go before a net loses one point? Does ℓ1 change that?


# %%
def hidden_sizes(weights):
    """Where the hidden kernels are, and the absolute values of all their weights."""
    places = [i for i, w in enumerate(weights) if w.ndim == 2][:-1]
    return places, np.abs(np.concatenate([weights[i].ravel() for i in places]))


def pruned(weights, share):
    """Set the `share` of smallest hidden weights to 0; biases and the output layer stay."""
    places, sizes = hidden_sizes(weights)
    limit = np.quantile(sizes, share)
    return [np.where(np.abs(w) > limit, w, 0) if i in places else w for i, w in enumerate(weights)]


shares = np.array([0.001, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95])
kept, tiny = {}, {}
for name, needs in (("without ℓ1", ()), ("with ℓ1", "sparse")):
    advice = ck.recommend((28, 28), 10, needs=needs, schedule="1cycle")
    _, weights = train(advice.model, advice, epochs=3 * epochs)
    kept[name] = np.array(
        [accuracies(advice.model, [pruned(w, s) for w in weights]) for s in shares]
    ).T
    tiny[name] = np.array([np.mean(hidden_sizes(w)[1] < 0.001) for w in weights])

# %%
fig, ax = plt.subplots(figsize=(7.5, 3.2))
for i, (name, found) in enumerate(kept.items()):
    ck.plotting.band(ax, 100 * shares, 100 * found, name, i)
at_80 = {name: found[:, list(shares).index(0.8)] for name, found in kept.items()}
ax.set(xlabel="hidden weights set to 0, %", ylabel="validation accuracy, %")
ax.set_title(f"A fifth of the weights left: {at_80['with ℓ1'].mean():.1%} right with ℓ1, "
             f"{at_80['without ℓ1'].mean():.1%} without")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Validation accuracy against the share of hidden weights set to zero, mean and range over seeds, "
    f"with and without ℓ1. At 80% pruned: {at_80['with ℓ1'].mean():.1%} with ℓ1, "
    f"{at_80['without ℓ1'].mean():.1%} without.",
)
for name, found in kept.items():
    loss = found.mean(axis=0)[0] - found.mean(axis=0)
    print(f"{name:11s} below 0.001 in size: {tiny[name].mean():4.0%} of the hidden weights; largest share "
          f"tried whose loss costs at most one point: {shares[loss <= 0.01].max():.0%}")  # fmt: skip

# %% tags=["claim"]
assert tiny["with ℓ1"].mean() > 3 * tiny["without ℓ1"].mean(), (
    f"ℓ1 should make more tiny weights: {tiny}"
)
assert at_80["with ℓ1"].mean() > at_80["without ℓ1"].mean(), (
    f"with 80% of the weights gone ℓ1 should keep more: {at_80['with ℓ1'].mean():.1%} against "
    f"{at_80['without ℓ1'].mean():.1%}"
)

# %% [markdown]
# ℓ1 does not set weights to exactly 0 here (plain gradient steps overshoot it); it makes those that
# are not needed so small that you can. That includes the weights of pixels that are always empty: without ℓ1
# nothing ever moves them, and pruning by size keeps the large ones among them for nothing. (A
# sparse array is only smaller once you store it as one.)
#
# **Latency** is measured, not guessed: the median of many calls of the compiled net, one image at a time. Times
# differ from machine to machine and from minute to minute, so read ratios.


# %%
def milliseconds(model, counts, calls=60):
    """Median time of one prediction of so many images, compiled."""

    @tf.function(input_signature=[tf.TensorSpec((None, 28, 28))], autograph=False)
    def compiled(images):
        return model(images, training=False)

    medians = []
    for count in counts:
        images, times = tf.constant(x_test[:count]), []
        for i in range(calls + 5):
            start = time.perf_counter()
            compiled(images).numpy()
            if i >= 5:  # the first calls trace and warm up
                times.append(time.perf_counter() - start)
        medians.append(1000 * np.median(times))
    return medians


def multiplications(model):
    return sum(int(np.prod(w.shape)) for w in model.weights if len(w.shape) == 2)


fast = ck.recommend((28, 28), 10, needs="latency")
models["latency", 2], trained["latency", 2] = fast.model, train(fast.model, fast)
work = {}
for name, key in (
    (f"{deep} layers, Swish, BN", ("default", deep)),
    (f"{shallow} layers, ReLU", ("default", shallow)),
    ("2 layers, ReLU", ("latency", 2)),
):
    work[name] = multiplications(models[key])
    print(f"{name:20s} {work[name]:8,} multiplications, {milliseconds(models[key], [1])[0]:.2f} ms, "
          f"{accuracies(models[key], trained[key][1]).mean():.1%} right")  # fmt: skip

# %% tags=["claim"]
counts = list(work.values())
assert counts == sorted(counts, reverse=True), f"each should need less work than the last: {counts}"

# %% [markdown]
# The first layer alone (784 × 100) makes up most of the multiplications of the small nets: halving the
# number of layers does not halve the work. Count before you cut.
#
# **Doubt.** Show the net what it has never seen: the same images with their pixels shuffled, one
# permutation for all. **Predict first:** how sure is the plain net of its answer there? And the average of 50
# predictions with dropout left on (`ck.mc_predict`, lesson 11)?

# %%
order = np.random.default_rng(0).permutation(784)
some = valid[0][:500]
strange = some.reshape(-1, 784)[:, order].reshape(some.shape)
unsure = ck.recommend((28, 28), 10, needs="uncertainty")
models["unsure", shallow], trained["unsure", shallow] = unsure.model, train(unsure.model, unsure)
doubt = {}
for seed in range(n_seeds):
    for name, key in (("plain", ("default", shallow)), ("once", ("unsure", shallow))):
        models[key].set_weights(trained[key][1][seed])
        for what, images in (("digits", some), ("shuffled", strange)):
            entropy = ck.uncertainty.predictive_entropy(predict(models[key], images))
            doubt.setdefault((name, what), []).append(entropy.mean())
    many = ck.mc_predict(unsure.model, np.concatenate([some, strange]), samples=50, seed=seed)
    doubt.setdefault(("mean of 50", "digits"), []).append(many.entropy[:500].mean())
    doubt.setdefault(("mean of 50", "shuffled"), []).append(many.entropy[500:].mean())
rows = {"plain": "plain net", "once": "dropout net, off", "mean of 50": "dropout net, mean of 50"}
print(f"mean entropy in nats (0 is certain, {np.log(10):.2f} knows nothing), {n_seeds} seeds")
for name, label in rows.items():
    digits, shuffled = np.mean(doubt[name, "digits"]), np.mean(doubt[name, "shuffled"])
    print(f"  {label:24s} digits {digits:.2f}   shuffled {shuffled:.2f}")

# %% tags=["claim"]
for name in ("once", "mean of 50"):
    digits, shuffled = np.mean(doubt[name, "digits"]), np.mean(doubt[name, "shuffled"])
    assert shuffled > digits, (
        f"{name}: nonsense should raise the doubt: {shuffled:.2f} against {digits:.2f} nats"
    )
many, once = np.mean(doubt["mean of 50", "shuffled"]), np.mean(doubt["once", "shuffled"])
assert many > once, f"the mean of 50 should doubt more than one prediction: {many:.2f}, {once:.2f}"

# %% [markdown]
# More doubt where doubt is due, for the price of 50 predictions; far from "knows nothing", though. A
# single dropout layer before the output is the cheap version. Where a wrong and confident answer is
# dangerous, measure calibration as lesson 11 does, and let a person decide above a threshold.

# %% [markdown]
# ## 5 · It does not learn. Now what?
#
# Four patients and a healthy net: three hidden layers by the table, each patient with one planted bug. The
# loss curves below are all that you usually get to see.
#
# - one net has **shuffled labels**: images and labels were sorted differently;
# - one gets pixels from 0 to **255**, not standardised;
# - one has **two softmaxes**: the layer has one, and a second is applied to its output;
# - one trains at a learning rate **a thousand times too low**.
#
# **Predict first:** which curve belongs to which bug?

# %%
shuffled_labels = np.random.default_rng(0).permutation(y)
keras.utils.set_random_seed(0)
net, twice = (ck.recommend((28, 28), 10, hidden=3).model for _ in range(2))
twice.add(layers.Softmax())
twice.compile(
    keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True), loss="sparse_categorical_crossentropy"
)
patients = {  # name: images, labels, net, learning rate
    "healthy": (x, y, net, 0.01),
    "labels": (x, shuffled_labels, net, 0.01),
    "inputs": (255 * raw.x_train, y, net, 0.01),
    "softmax": (x, y, twice, 0.01),
    "rate": (x, y, net, 0.00001),
}
curves = {}
for name, (images, labels, model, rate) in patients.items():
    restart(model, rate, seed=0)
    history = ck.fit(model, images, labels, epochs=epochs, batch_size=batch_size, verbose=0, seed=0)
    curves[name] = np.clip(np.nan_to_num(history.history["loss"], nan=20, posinf=20), 0, 20)

# %% [markdown]
# (A line "Training stopped", here or below, tells of a loss that became infinite.)

# %%
order = ["healthy", *sorted(set(curves) - {"healthy"}, key=lambda name: curves[name][-1])]
fig, ax = plt.subplots(figsize=(7.5, 3.4))
for i, name in enumerate(order):
    label = name if name == "healthy" else f"patient {chr(64 + i)}"
    ax.semilogy(range(1, len(curves[name]) + 1), curves[name], marker=ck.plotting.MARKERS[i],
                **ck.plotting.line_kw(i), label=label)  # fmt: skip
ax.axhline(np.log(10), color="black", linewidth=1, linestyle=":", label="guessing")
ax.set(xlabel="epoch", ylabel="training loss (log scale, cut at 20)",
       title="Something is wrong with each of them, but what? (one run each)",
       xticks=range(1, epochs + 1))  # fmt: skip
ax.legend(fontsize=8, ncols=2)
ck.show(
    fig,
    alt="Training loss against epoch of a healthy net and of four patients, A to D, whose curves lie above "
    "it; the dotted line is the loss of guessing.",
)

# %% [markdown]
# From curves alone it is guesswork. The cure is an **order**: cheapest step first, each with a number that
# you know beforehand.
#
# 1. **Look at the data, then let a baseline look.** Print images with their labels. A classifier
#    without any net, trained in a second, must beat chance by far.
# 2. **Loss before training.** A net that knows nothing should say so: about $\ln 10 \approx 2.3$ for
#    ten classes. (He weights make it a little louder; up to twice is fine.)
# 3. **Overfit one batch.** The first training is on 32 images, again and again. Any net with
#    thousands of weights can learn 32 images by heart; regularisation off. If it cannot, no
#    amount of data will help.
# 4. **If that fails, one batch again at the range test's rate** (lesson 09). If it works now, it was the rate.
#    If not, look at the output layer, the loss and their fit.
#
# Only then: the whole data; then validation; then regularise; then speed. Steps 1 to 4 in code:


# %%
def baseline(images, labels):
    """Accuracy on 500 images of the nearest of 1,500 others: no net, no training."""
    flat = images[:2000].reshape(2000, -1)
    nearest = KNeighborsClassifier(1).fit(flat[500:], labels[500:2000])
    return nearest.score(flat[:500], labels[:500])


def loss_now(model, images, labels):
    """Loss without dropout and penalties."""
    right = predict(model, images)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(right, 1e-7)).mean())


def overfit_one_batch(model, images, labels, steps=80):
    """Train on these 32 images only, one step an epoch; return the loss on them."""
    ck.fit(model, images, labels, epochs=steps, batch_size=32, verbose=0)
    return loss_now(model, images, labels)


# %%
def examine(name):
    """The four numbers, means over seeds; the last is NaN where one batch is no trouble."""
    images, labels, model, rate = patients[name]
    baseline_right = baseline(images, labels)

    def one_batch(used):
        losses = []
        for seed in range(n_seeds):
            restart(model, used, seed)
            few = np.random.default_rng(seed).permutation(len(images))[:32]
            losses.append((loss_now(model, images[:500], labels[:500]),
                           overfit_one_batch(model, images[few], labels[few])))  # fmt: skip
        return np.nan_to_num(np.mean(losses, axis=0), nan=np.inf)

    start, own = one_batch(rate)
    if own < 0.1:
        return baseline_right, start, own, np.nan
    restart(model, rate, seed=0)
    tested = ck.lr_range_test(model, images, labels).suggestion
    return baseline_right, start, own, one_batch(tested)[1] if np.isfinite(tested) else own


checks = ["1 baseline beats\nchance (0.1) by far", "2 loss at start\nabout 2.3",
          "3 one batch,\nown rate", "4 one batch,\ntested rate"]  # fmt: skip
numbers = {name: examine(name) for name in patients}
passes = {
    name: [base > 0.3, start < 2 * np.log(10), own < 0.1, not tested >= 0.1]
    for name, (base, start, own, tested) in numbers.items()
}

# %%
fig, ax = plt.subplots(figsize=(8.5, 3.4))
for row, name in enumerate(patients):
    for column, (value, ok) in enumerate(zip(numbers[name], passes[name], strict=True)):
        color = ck.plotting.COLORS[4 if ok else 1]
        ax.add_patch(
            plt.Rectangle((column - 0.47, row - 0.42), 0.94, 0.84, color=color, alpha=0.45)
        )
        text = "not needed" if np.isnan(value) else f"{'ok' if ok else 'FAILS'}  {value:.3g}"
        text = text.replace("inf", "(diverged)")
        ax.text(column, row, text, ha="center", va="center",
                fontweight="normal" if ok else "bold")  # fmt: skip
ax.set(xlim=(-0.5, 3.5), ylim=(len(patients) - 0.5, -0.5), title="Which check finds which bug",
       yticks=range(len(patients)), xticks=range(4))  # fmt: skip
ax.set_yticklabels(patients)
ax.set_xticklabels(checks)
ax.grid(visible=False)
ax.tick_params(length=0)
ck.show(
    fig,
    alt="Table of four checks for five nets, with the measured numbers. "
    + "; ".join(
        f"{name} fails " + (", ".join(str(i + 1) for i, ok in enumerate(ok4) if not ok) or "none")
        for name, ok4 in passes.items()
    ),
)

# %% tags=["claim"]
assert all(passes["healthy"]), f"the healthy net should pass every check: {numbers['healthy']}"
first = {name: ok.index(False) + 1 for name, ok in passes.items() if not all(ok)}
assert first == {"labels": 1, "inputs": 2, "softmax": 3, "rate": 3}, f"first check failed: {first}"
assert passes["rate"][3], f"at a tested rate this patient should recover: {numbers['rate']}"
assert not passes["softmax"][3], f"no rate should cure two softmaxes: {numbers['softmax']}"
assert all(passes["labels"][1:]), f"wrong labels should pass the others: {numbers['labels']}"

# %% [markdown]
# Three things to learn from this table.
#
# - **Wrong labels pass the one-batch check.** A net learns 32 wrong labels by heart as gladly as right
#   ones. Only looking finds them, which is why it comes first:

# %%
ck.show(
    ck.plotting.image_grid(raw.x_train[:10], [f"label {label}" for label in shuffled_labels[:10]],
                           title="One look at ten pairs would have been enough"),
    alt="Ten training images of digits, each with the shuffled label below the title; most labels do "
    "not name the digit that is seen.",
)  # fmt: skip

# %% [markdown]
# - **Two softmaxes have a floor.** The inner one gives numbers from 0 to 1; the best that the outer
#   one can make of them is a share of $e / (e + 9)$ for the right class, a loss of
#   $\ln(1 + 9/e)$:

# %%
floor = np.log(1 + 9 / np.e)
print(
    f"floor of two softmaxes: {floor:.3f}; after 80 steps on one batch: {numbers['softmax'][2]:.3f}"
)
for i, name in enumerate(order[1:], start=1):
    print(f"patient {chr(64 + i)}: {name}")

# %% tags=["claim"]
assert numbers["softmax"][2] > floor - 0.01, f"nothing can lie below the floor {floor:.3f}"

# %% [markdown]
# - **The order saves time**: the first two checks train nothing, the third takes a second.
#
# Many texts name a relative of this bug: a softmax layer together with a loss that has
# `from_logits=True`. What does Keras make of it? **Predict first:** which loss does it reach on one batch?

# %%
model = ck.recommend((28, 28), 10, hidden=3).model
model.compile(
    keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    reached = overfit_one_batch(model, x[:32], y[:32])
print(f"loss after 80 steps: {reached:.3f}; warnings from Keras: {len(caught)}")
print(str(caught[0].message)[:130], "…")

# %% tags=["claim"]
assert reached < 0.1, (
    f"Keras on TensorFlow should repair from_logits=True; the loss is {reached:.2f}"
)
assert any("from_logits" in str(w.message) for w in caught), "Keras should warn of it"

# %% [markdown]
# It notices the softmax in the graph, uses the logits before it, and warns. That is a courtesy of Keras
# on TensorFlow in compiled training, not a law: put any operation after the softmax, or train with another
# library, and the floor is back. Read warnings.
#
# ### The recommended nets pass
#
# Batch normalisation, alpha dropout, ℓ1: does any of them stand in the way of learning 32 images by heart?
# (300 steps here: the moving averages of batch normalisation need about that many to settle, and the
# loss is measured with them.)

# %%
by_heart = {}
for name, model in {
    f"default, {deep} layers": models["default", deep],
    f"self-normalising, {deep} layers": models["self-normalising", deep],
    "sparse and uncertain": ck.recommend((28, 28), 10, needs=("sparse", "uncertainty")).model,
}.items():
    restart(model, 0.01, seed=0)
    by_heart[name] = overfit_one_batch(model, x[:32], y[:32], steps=300)
    print(f"{name:28s} loss on the batch {by_heart[name]:.4f}")

# %% tags=["claim"]
for name, reached in by_heart.items():
    assert reached < 0.1, f"{name}: should learn one batch by heart, its loss is {reached:.3f}"

# %% [markdown]
# ## 6 · Smaller: fold, halve, quantise
#
# The deep net is trained. Three steps shrink it without any training:
#
# 1. **Fold** each batch normalisation into the dense layer before it (lesson 04): same function, fewer
#    layers.
# 2. **float16**: store every number in 2 bytes in place of 4.
# 3. **int8**: store every weight in 1 byte, as a whole number $q$ from −127 to 127, with one scale $s$
#    for each unit (column): $w \approx s \cdot q$, where $s = \max|w| / 127$.
#
# **Predict first:** how many points of accuracy does each step cost? How much of the size does each save?
#
# TensorFlow Lite (now LiteRT) does such conversions for phones. Its interpreter is about to leave
# TensorFlow, so here is the arithmetic itself; it is short:


# %%
def quantise(w, bits=8, per_unit=True):
    """Return whole numbers and scales: w ≈ scale * q, symmetric around 0."""
    top = 2 ** (bits - 1) - 1
    largest = np.abs(w).max(axis=0) if per_unit else np.abs(w).max()
    scale = np.where(largest == 0, 1, largest) / top
    return np.round(w / scale).astype(np.int8), scale.astype(np.float32)


def through(weights, kind):
    """What is stored, as a list of arrays, and the float32 weights one reads back from it."""
    if kind == "float16":
        stored = [w.astype(np.float16) for w in weights]
        return stored, [w.astype(np.float32) for w in stored]
    if kind == "int8":
        pairs = [quantise(w) if w.ndim == 2 else (w,) for w in weights]
        return [part for pair in pairs for part in pair], [
            pair[0] * pair[1] if len(pair) == 2 else pair[0] for pair in pairs
        ]
    return weights, weights


def file_bytes(arrays):
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "weights.npz", *arrays)
        return (Path(folder) / "weights.npz").stat().st_size


# %%
def test_points(model):
    """Right answers on the test images, in per cent."""
    return 100 * np.mean(predict(model, x_test).argmax(axis=1) == y_test)


deep_model, deep_weights = models["default", deep], trained["default", deep][1]
kinds = ["trained", "folded", "float16", "int8"]
points, size = {kind: [] for kind in kinds}, {}
for weights in deep_weights:
    deep_model.set_weights(weights)
    folded = ck.folding.fold_batch_norm(deep_model)
    original = folded.get_weights()
    for kind in kinds:
        net = deep_model if kind == "trained" else folded
        stored, read_back = through(weights if kind == "trained" else original, kind)
        net.set_weights(read_back)
        points[kind].append(test_points(net))
        size[kind] = file_bytes(stored)
    folded.set_weights(original)
points = {kind: np.array(values) for kind, values in points.items()}
cost = {kind: points["trained"] - values for kind, values in points.items()}

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3))
names = {
    "trained": "as trained",
    "folded": "BN folded",
    "float16": "folded, float16",
    "int8": "folded, int8",
}
left.barh(list(names.values()), [size[kind] / 1000 for kind in kinds], color=ck.plotting.COLORS[:4])
left.invert_yaxis()
left.set(
    xlabel="file of the weights, kB",
    title=f"int8 takes {size['int8'] / size['trained']:.0%} of the bytes",
)
ck.plotting.strip(
    right, {names[kind]: cost[kind] for kind in kinds}, "points of test accuracy lost"
)
right.axvline(1, color="black", linewidth=1, linestyle=":")
right.set(xlim=(-1.1, 1.1), title=f"and costs {cost['int8'].mean():+.2f} points ({n_seeds} seeds)")
ck.show(
    fig,
    alt="Left: size of the weight file, "
    + ", ".join(f"{names[k]} {size[k] / 1000:.0f} kB" for k in kinds)
    + ". Right: points of test accuracy lost by every seed's net, mean "
    + ", ".join(f"{names[k]} {cost[k].mean():.2f}" for k in kinds),
)
for kind in kinds:
    print(f"{names[kind]:16s} {size[kind]:9,} bytes  {1 - size[kind] / size['trained']:5.0%} smaller   "
          f"{points[kind].mean():.2f}% right, lost {cost[kind].mean():+.2f} ± {cost[kind].std(ddof=1):.2f}")  # fmt: skip

# %% tags=["claim"]
assert cost["float16"].max() <= 1, f"folding + float16 lost {cost['float16'].max():.2f} points"
assert size["float16"] <= 0.6 * size["trained"], (
    f"folding + float16 should save 40%: {size['float16']:,} of {size['trained']:,} bytes"
)
assert cost["int8"].mean() <= 1, f"int8 lost {cost['int8'].mean():.2f} points on the mean"
assert size["int8"] <= 0.35 * size["trained"], f"int8 should save 65%, it takes {size['int8']:,}"

# %% [markdown]
# ### How few bits?
#
# Eight bits cost next to nothing. **Predict first:** at how many bits does it begin to hurt? And what does one
# scale for the whole matrix lose against one for each unit?

# %%
bit_range = (8, 6, 5, 4, 3, 2)
lost = {True: [], False: []}
for seed, weights in enumerate(deep_weights):
    deep_model.set_weights(weights)
    original = ck.folding.fold_batch_norm(deep_model).get_weights()
    for per_unit, runs in lost.items():
        run = []
        for bits in bit_range:
            pairs = [quantise(w, bits, per_unit) if w.ndim == 2 else (w, 1) for w in original]
            folded.set_weights([q * s for q, s in pairs])
            run.append(points["folded"][seed] - test_points(folded))
        runs.append(run)
lost = {key: np.array(runs) for key, runs in lost.items()}

fig, ax = plt.subplots(figsize=(7.5, 3.2))
ck.plotting.band(ax, bit_range, lost[True], "one scale per unit", 0)
ck.plotting.band(ax, bit_range, lost[False], "one scale per matrix", 1)
ax.axhline(1, color="black", linewidth=1, linestyle=":")
enough = min(b for b, loss in zip(bit_range, lost[True].mean(0), strict=True) if loss <= 1)
ax.set(xlabel="bits per weight", ylabel="points of test accuracy lost",
       title=f"{enough} bits with a scale per unit cost at most a point")  # fmt: skip
ax.invert_xaxis()
ax.legend()
ck.show(
    fig,
    alt="Points of test accuracy lost against the number of bits from 8 down to 2, with one scale per unit "
    "and one per matrix, mean and range over seeds; a dotted line marks one point.",
)

# %% tags=["claim"]
assert lost[True][:, -1].mean() > lost[True][:, 0].mean() + 1, "2 bits should cost more than 8"
assert lost[True].mean() < lost[False].mean(), (
    f"a scale per unit should cost less: {lost[True].mean():.2f} against {lost[False].mean():.2f}"
)

# %% [markdown]
# ### Smaller is not faster
#
# So far only the *stored* numbers shrank; the arithmetic was float32 as before. Let Keras compute in
# float16, or with int8 matrices (`layer.quantize("int8")`, which also rounds the inputs of each layer,
# anew for each call).
#
# **Predict first:** which of the four is fastest on your CPU?


# %%
def in_float16(model):
    twin = keras.models.clone_model(
        model,
        clone_function=lambda layer: type(layer).from_config(
            layer.get_config() | {"dtype": "float16"}
        ),
    )
    twin.set_weights(model.get_weights())
    return twin


def in_int8(model):
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    for layer in twin.layers:
        if isinstance(layer, layers.Dense):
            layer.quantize("int8")
    return twin


deep_model.set_weights(deep_weights[0])
folded = ck.folding.fold_batch_norm(deep_model)
versions = {"as trained": deep_model, "BN folded": folded, "float16 arithmetic": in_float16(folded),
            "int8 by Keras": in_int8(folded)}  # fmt: skip
speed, by_version = {}, {}
for name, net in versions.items():
    speed[name] = milliseconds(net, [1, 256])
    by_version[name] = test_points(net)
    one, many = (ms / base for ms, base in zip(speed[name], speed["as trained"], strict=True))
    print(f"{name:18s} one image {one:4.2f} × the trained net's time, 256 images {many:4.2f} ×   "
          f"{by_version[name]:.2f}% right")  # fmt: skip

# %% tags=["claim"]
for name, value in by_version.items():
    assert value > by_version["as trained"] - 1.5, f"{name}: only {value:.2f}% right"

# %% [markdown]
# Folding takes whole layers away, so it has something to save on any machine (where it comes out above 1
# × all the same, you see how far such short times scatter). Fewer bits save time only where the processor has
# instructions for them and the library uses them: phones, graphics cards, special chips. On a CPU,
# float16 is often turned into float32 and back. **Measure on the machine it will run on**, and in
# the batch size it will see.
#
# ### The file that you really ship
#
# `model.save` stores the optimizer too, and many texts pass `include_optimizer=False` to leave it out.
# **Predict first:** how much smaller does that make the file?

# %%
bare = keras.Sequential([keras.Input((28, 28)), *deep_model.layers])  # not compiled
saved = {}
with tempfile.TemporaryDirectory() as folder:
    for name, net, options in (("as compiled", deep_model, {}), ("not compiled", bare, {}),
                               ("option", deep_model, {"include_optimizer": False})):  # fmt: skip
        net.save(Path(folder) / f"{name}.keras", **options)
        saved[name] = (Path(folder) / f"{name}.keras").stat().st_size
print(f"as trained                           {saved['as compiled']:9,} bytes")
print(f"as trained, include_optimizer=False  {saved['option']:9,} bytes")
print(f"the same layers, not compiled        {saved['not compiled']:9,} bytes")

# %% tags=["claim"]
assert abs(saved["option"] - saved["as compiled"]) < 0.01 * saved["as compiled"], (
    f"Keras {keras.__version__} should ignore the option for .keras files: {saved}"
)
assert saved["not compiled"] < 0.7 * saved["as compiled"], f"the momentum should weigh: {saved}"

# %% [markdown]
# Nothing: for `.keras` files this version of Keras takes the option and ignores it, without a word. Nesterov keeps
# one velocity for each weight, so the file is about twice as large as it need be; with Adam it would be three
# times. You need them to go on training, not to predict. Ship a model that is not compiled, such as
# the folded net. (`keras.models.clone_model` does not help: it copies the optimizer as well.)

# %% [markdown]
# ## Explore: bits
#
# The weights of one hidden layer, and what is left of them. At how many bits can you count the levels? What does
# the tick box do to the error?

# %%
layer_weights = [w for w in folded.get_weights() if w.ndim == 2]


def draw_quantised(bits, hidden_layer, one_scale_per_unit):
    w = layer_weights[hidden_layer - 1]
    q, scale = quantise(w, bits, one_scale_per_unit)
    back = q * scale
    error = np.sqrt(np.mean((back - w) ** 2)) / w.std()
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
    edges = np.linspace(-3 * w.std(), 3 * w.std(), 80)
    left.hist(w.ravel(), edges, color=ck.plotting.COLORS[4], label="float32")
    left.hist(
        back.ravel(), edges, histtype="step", color=ck.plotting.COLORS[1], label=f"{bits} bits"
    )
    left.set(xlabel="weight", ylabel="count (log scale)", yscale="log",
             title=f"{bits} bits: {len(np.unique(q))} different whole numbers")  # fmt: skip
    left.legend(fontsize=8)
    right.plot(
        w[:, :20].ravel(),
        (back - w)[:, :20].ravel(),
        ".",
        markersize=2,
        color=ck.plotting.COLORS[0],
    )
    right.set(xlabel="weight", ylabel="error", title=f"error: {error:.1%} of the weights' spread")
    return fig


ck.widgets.explore(
    draw_quantised,
    alt="Left: histogram of a layer's weights before and after quantisation. Right: the error of each weight.",
    bits=(2, 8, 4),
    hidden_layer=(1, deep, 2),
    one_scale_per_unit=True,
)

# %% [markdown]
# ### Explore: advice
#
# State the facts and read the table. Which rows change when the net becomes deep? What does
# self-normalisation do with "sparse"?


# %%
def draw_advice(hidden_layers, self_normalizing, need, few_images):
    advice = ck.recommend(
        (28, 28), 10, hidden=hidden_layers, self_normalizing=self_normalizing,
        needs=() if need == "none" else need, n_train=1_000 if few_images else None,
    )  # fmt: skip
    text = repr(advice)
    fig, ax = plt.subplots(figsize=(9, 0.17 * len(text.splitlines()) + 0.1))
    ax.set_axis_off()
    ax.text(0, 1, text, family="monospace", fontsize=9, va="top", transform=ax.transAxes)
    return fig


ck.widgets.explore(
    draw_advice,
    alt="The recommendation for the chosen facts as a table: what, choice and why.",
    hidden_layers=(1, 20, 8),
    self_normalizing=False,
    need=["latency", "none", "sparse", "uncertainty"],
    few_images=False,
)

# %% [markdown]
# ## Pitfalls
#
# - **SELU in a net with skip connections, ordinary dropout or ℓ2.** The conditions of
#   self-normalisation are broken; take the default. (Batch normalisation would do SELU's work once more,
#   lesson 03.)
# - **Statistics from all images.** $\mu$ and $\sigma$ come from the training images only; the test images are
#   standardised with *them*.
# - **Regularising too early.** First reach a low training loss, then close the gap to validation.
# - **Early stopping inside a 1cycle.** The lowest rates, at the end, do the best work; stopping before
#   throws them away. Choose the number of epochs instead.
# - **Overfitting one batch with dropout on and judging the training loss.** Judge without dropout.
# - **Folding, then training on.** The noise of batch normalisation is gone and the scales have changed. Fold last.
# - **Weights beyond 65,504 become infinite in float16.** Rare in weights, not in activations.
# - **One scale per matrix.** A single unit with large weights makes all others coarse.
# - **Accuracy after conversion that nobody measured.** Test the converted net, on the test images.

# %% [markdown]
# ## Recap
#
# - Default: He, ReLU if shallow, Swish and BN if deep, Nesterov or AdamW, early stopping; or SELU for plain stacks.
# - Standardise with the training statistics, guard constant features, reuse or pretrain where you can.
# - Debug in order: data, loss at the start, one batch, learning rate; each step has a number known beforehand.
# - Sparse, fast or doubtful are three different nets: decide which you need before you train.
# - Fold, store float16 or int8, measure accuracy, size and time; smaller is not by itself faster.

# %% [markdown]
# ## Now practise
#
# Open [exercise 13](../exercises/13_practical_guidelines.ipynb): choose for real cases, write the one-batch
# check, cure a sick training, quantise weights, and shrink a net of your own.
#
# Then go on with exercise
# [14 Review questions](../exercises/14_review_questions.ipynb), which asks about all lessons.

# %% [markdown]
# ## Further reading
#
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "Summary and Practical Guidelines"; chapter 19 for models on phones.
# - I. Goodfellow, Y. Bengio and A. Courville, *Deep Learning*, MIT Press 2016: chapter 11, "Practical
#   Methodology"; section 11.5, debugging strategies.
# - A. Karpathy, *A Recipe for Training Neural Networks*, 2019 (blog): loss at the start, overfit one
#   batch.
# - B. Jacob et al., *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
#   Inference*, CVPR 2018, arXiv:1712.05877: section 2, the scheme; section 3.2, folding.
# - R. Krishnamoorthi, *Quantizing Deep Convolutional Networks for Efficient Inference: A Whitepaper*,
#   2018, arXiv:1806.08342: section 3, per-channel scales.
# - S. Han, J. Pool, J. Tran and W. J. Dally, *Learning both Weights and Connections for Efficient Neural
#   Networks*, NeurIPS 2015, arXiv:1506.02626: pruning.
