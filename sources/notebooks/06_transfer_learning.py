# %% [markdown]
# # 06 Transfer learning
#
# Somebody has trained a net on thousands of labelled pictures. You have twenty. Do you have to start
# from nothing?
#
# ## What you will be able to do
#
# In about 40 minutes you will be able to
#
# - reuse the lower layers of a trained net for a task of your own (transfer learning, 전이 학습);
# - copy a model *with* its weights, and prove that the original stays untouched;
# - freeze and unfreeze layers so that Keras takes notice;
# - follow the five-step recipe, and decide how many layers to reuse;
# - tell a gain that is there from one that was found by trying often enough.

# %%
import coursekit as ck

lab = ck.setup(seed=42)

import functools
import re
from typing import NamedTuple

import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

# %% [markdown]
# ## 1 · Two tasks from the same pictures
#
# **Task A** has eight classes and thousands of labels. **Task B** has the two remaining classes, and
# only 20 to 200 labels. Nobody chose the two classes because they work well: they are the last two of
# the list. No weights are downloaded; you train model A yourself, in seconds.

# %%
n_a, epochs_a, steps, n_seeds, n_test, label_counts = lab.pick(
    quick=(10_000, 6, 75, 3, 1_000, (20, 50)),
    standard=(20_000, 12, 150, 6, 2_000, (20, 50, 100, 200)),
    full=(45_000, 20, 200, 10, 2_000, (20, 50, 100, 200, 500)),
)


class Task(NamedTuple):
    x: np.ndarray  # the pool that labels are drawn from
    y: np.ndarray
    x_valid: np.ndarray
    y_valid: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    names: tuple


def halved(x):
    """Average every 2×2 pixels of colour pictures: a quarter of the work."""
    return x.reshape(len(x), 16, 2, 16, 2, 3).mean(axis=(2, 4)) if x.ndim == 4 else x


def task(data, classes):
    part = data.only(classes)
    x_train, x_valid, x_test = (
        halved(x) - 0.5 for x in (part.x_train, part.x_valid, part.x_test[:n_test])
    )
    y_test = part.y_test[:n_test]
    return Task(x_train, part.y_train, x_valid, part.y_valid, x_test, y_test, part.class_names)


pictures = ck.load("cifar10").subset(n_a)
digits = ck.load("mnist").subset(n_a)
picture_a, picture_b = task(pictures, range(8)), task(pictures, [8, 9])
digit_a, digit_b = task(digits, range(8)), task(digits, [8, 9])

# %%
first = [(t, c) for t in (picture_a, picture_b) for c in range(len(t.names))]
images = np.array([t.x[t.y == c][i] + 0.5 for i in (0, 1) for t, c in first])
labels = [f"{'A' if t is picture_a else 'B'}: {t.names[c]}" for t, c in first] * 2
fig = ck.plotting.image_grid(images, labels, title="Eight classes for task A, two for task B")
ck.show(
    fig,
    alt="Two rows of ten small colour pictures, one of each class; the first eight columns belong to "
    "task A, the last two to task B.",
)
for name, a, b in (("pictures", picture_a, picture_b), ("digits", digit_a, digit_b)):
    print(f"{name}: A has {len(a.y):,} labels, B a pool of {len(b.y):,} to draw a few from "
          f"({' and '.join(b.names)}), and {len(b.y_test):,} test images")  # fmt: skip

# %% [markdown]
# A small convolutional net (CNN) for the pictures, and a dense net of about the usual kind to compare
# it with. Both end in a softmax layer named `output`.


# %%
def cnn(shape, n_classes, seed):
    keras.utils.set_random_seed(seed)
    conv = functools.partial(
        keras.layers.Conv2D, kernel_size=3, padding="same", activation="relu",
        kernel_initializer="he_normal",
    )  # fmt: skip
    return keras.Sequential([
        keras.Input(shape),
        conv(16, name="conv1"), keras.layers.MaxPooling2D(),
        conv(32, name="conv2"), keras.layers.MaxPooling2D(),
        conv(32, name="conv3"), keras.layers.Flatten(),
        keras.layers.Dense(64, "relu", kernel_initializer="he_normal", name="dense"),
        keras.layers.Dense(n_classes, "softmax", name="output"),
    ])  # fmt: skip


def dense_net(shape, n_classes, seed):
    keras.utils.set_random_seed(seed)
    hidden = [
        keras.layers.Dense(100, "relu", kernel_initializer="he_normal", name=f"dense{i}")
        for i in (1, 2)
    ]
    output = keras.layers.Dense(n_classes, "softmax", name="output")
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), *hidden, output])


def compiled(model, rate=0.001):
    optimizer = keras.optimizers.Adam(rate)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def accuracy(model, x, y):
    return float(np.mean(np.argmax(model(x), axis=1) == y))


# %%
def train_a(build, a):
    model = compiled(build(a.x.shape[1:], len(a.names), seed=0))
    ck.fit(model, a.x, a.y, epochs=epochs_a, batch_size=64, verbose=0, seed=0)
    return model


model_a = train_a(cnn, picture_a)
test_a = picture_a.x_test, picture_a.y_test
print(f"model A: {accuracy(model_a, *test_a):.1%} of the test images of task A right "
      f"(guessing: {1 / len(picture_a.names):.1%})")  # fmt: skip

# %% [markdown]
# ## 2 · A clone is not a copy
#
# You want to reuse model A and keep it. So you clone it: `keras.models.clone_model(model_a)`.
#
# **Predict first:** on what share of the test images do A and its clone give the same class?

# %%
clone = keras.models.clone_model(model_a)
copy = keras.models.clone_model(model_a)
copy.set_weights(model_a.get_weights())

given = np.array(model_a(test_a[0]))
for name, model in (("clone", clone), ("clone with set_weights", copy)):
    answers = np.array(model(test_a[0]))
    same = np.mean(answers.argmax(axis=1) == given.argmax(axis=1))
    print(f"{name:23s} same class as A: {same:6.1%}   "
          f"largest difference of a probability: {np.abs(answers - given).max():.3g}")  # fmt: skip

# %% tags=["claim"]
apart = np.abs(np.array(clone(test_a[0])) - given).max()
assert apart > 0.1, f"a bare clone should predict unlike A; largest difference {apart:.3g}"
assert np.array_equal(copy(test_a[0]), given), (
    "with set_weights the copy should predict exactly as A"
)

# %% [markdown]
# **Verdict:** `clone_model` copies the *structure* and draws new weights; only with `set_weights` is it
# a copy, and then it is one to the last bit. `ck.transfer.clone` does both lines at once.

# %% [markdown]
# ## 3 · Shared layers: training B spoils A
#
# The obvious way to build model B is to take A's layers, all but the output, and put a new output
# layer on top:
#
# ```python
# model_b = keras.Sequential([keras.Input((16, 16, 3)), *model_a.layers[:-1], new_output])
# ```
#
# The layers are *the same objects* in both models. **Predict first:** you train B with 200 labels.
# What becomes of A's accuracy on its own task? And what if you had used the layers of a copy?


# %%
def new_head(layers, shape, seed, hidden=None):
    """A model of these very layers (not copies) with a new output layer for two classes."""
    keras.utils.set_random_seed(seed)
    extra = [keras.layers.Dense(hidden, "relu", name="extra")] if hidden else []
    output = keras.layers.Dense(2, "softmax", name="output")
    return keras.Sequential([keras.Input(shape), *layers, *extra, output])


def draw(b, n, seed):
    """Return n labelled images of B's pool, half of each class."""
    order = np.random.default_rng(seed).permutation(len(b.y))
    rows = np.concatenate([order[b.y[order] == c][: n // 2] for c in (0, 1)])
    return b.x[rows], b.y[rows]


shape = picture_a.x.shape[1:]
few_x, few_y = draw(picture_b, 200, seed=0)
victim = ck.transfer.clone(model_a)  # it plays model A, so that the real one stays as it is
after = {"before": accuracy(victim, *test_a)}
for name, original in (("B on a copy", ck.transfer.clone(victim)), ("B on A's own layers", victim)):
    model_b = compiled(new_head(original.layers[:-1], shape, seed=0), 0.003)
    ck.fit(model_b, few_x, few_y, epochs=10, batch_size=20, verbose=0, seed=0)
    after[name] = accuracy(victim, *test_a)

# %%
pairs = list(zip(model_a.layers, victim.layers, strict=True))
change = {
    a.name: np.linalg.norm(v.kernel - a.kernel) / np.linalg.norm(a.kernel)
    for a, v in pairs
    if a.weights
}
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
left.barh(list(after), list(after.values()), color=ck.plotting.COLORS[:3])
left.axvline(1 / 8, color="black", linestyle=":", linewidth=1, label="guessing")
left.set(xlabel="A's accuracy on task A", title="Training B on A's layers changes A")
left.invert_yaxis()
left.legend()
right.bar(list(change), list(change.values()), color=ck.plotting.COLORS[2])
left.set_axisbelow(True)
right.set_axisbelow(True)
right.set(ylabel="‖change‖ / ‖kernel of A‖", title="Every shared layer has moved")
ck.show(
    fig,
    alt="Left: accuracy of model A on its own task before training B, after training B on a copy, "
    "after training B on A's own layers. Right: relative change of each kernel of A in the last "
    "case; it is 0 for the output layer, which B does not share.",
)
for name, value in after.items():
    print(f"{name:20s} A's accuracy {value:.1%}")

# %% [markdown]
# (This is one run; the facts below hold in every run.) A's output layer has not moved, but it sits on
# layers that now speak another language. To prove that a model stays as it is, wrap the training in
# `ck.transfer.unchanged`: it compares every weight bit by bit and raises an error if one has moved.

# %% tags=["claim"]
assert all(v > 0 for k, v in change.items() if k != "output"), (
    f"shared layers should move: {change}"
)
assert change["output"] == 0, "A's output layer is not shared and should stay as it is"
with ck.transfer.unchanged(model_a):
    model_b = compiled(new_head(ck.transfer.clone(model_a).layers[:-1], shape, seed=1))
    ck.fit(model_b, few_x, few_y, epochs=2, batch_size=20, verbose=0, seed=0)
assert after["B on a copy"] == after["before"], "training B on a copy should leave A alone"

# %% [markdown]
# ## 4 · Freezing, and the compile you must not forget
#
# The new output layer starts with random weights, so its first gradients are large and say little.
# Let them through and they shake the reused layers. So you **freeze** these first:
# `layer.trainable = False`.
#
# **Predict first:** you have trained a model for an epoch, then freeze its first layer and call `fit`
# again. Does the first layer stay as it is?


# %%
def small_net():
    first = keras.layers.Dense(10, "relu", name="first")
    output = keras.layers.Dense(2, "softmax")
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), first, output])


def first_layer_moves(frozen_at_first, then_frozen, compile_again):
    """Train an epoch, change `trainable`, train again: has the first layer moved this time?"""
    model = small_net()
    first = model.get_layer("first")
    first.trainable = not frozen_at_first
    compiled(model).fit(few_x, few_y, epochs=1, verbose=0)
    first.trainable = not then_frozen
    if compile_again:
        compiled(model)  # with a new optimizer
    before = first.get_weights()[0]
    model.fit(few_x, few_y, epochs=1, verbose=0)
    return not np.array_equal(before, first.get_weights()[0])


moves = {
    (what, again): first_layer_moves(what == "unfreeze", what == "freeze", again)
    for what in ("freeze", "unfreeze")
    for again in (False, True)
}
for (what, again), moved in moves.items():
    done = "compile, fit" if again else "fit at once"
    print(f"{what:8s} → {done:12s} → the first layer {'moves' if moved else 'stays as it is'}")

# %% tags=["claim"]
assert moves["freeze", False], "without compile the frozen layer should go on moving: the trap"
assert not moves["unfreeze", False], "without compile the unfrozen layer should not move: the trap"
assert not moves["freeze", True], "frozen and compiled, the weights should not move"
assert moves["unfreeze", True], "unfrozen and compiled, the weights should move"

# %% [markdown]
# **Verdict:** without `compile`, Keras does the *opposite* of what you asked, and says nothing. It wrote
# down the training step when it first ran, with the weights that were trainable then. (`ck.fit` looks
# again at every call. Do not rely on it: compile.)
#
# And compile with a **new** optimizer. The old one keeps a memory for each weight it was built for:

# %%
model = small_net()
model.get_layer("first").trainable = False
compiled(model).fit(few_x, few_y, epochs=1, verbose=0)
model.get_layer("first").trainable = True
model.compile(model.optimizer, loss="sparse_categorical_crossentropy")
refused = ""
try:
    model.fit(few_x, few_y, epochs=1, verbose=0)
except ValueError as error:
    refused = str(error)
print(refused.split(". ", 1)[-1])

# %% tags=["claim"]
assert "new optimizer" in refused, f"the old optimizer should refuse new weights; got: {refused!r}"

# %% [markdown]
# `ck.transfer.freeze(model, keep=1)` freezes all layers but the last one that has weights;
# `ck.transfer.unfreeze(model, top=2, learning_rate=…)` thaws the last two. Both compile afresh, with the
# settings the model had and a new optimizer.

# %% [markdown]
# ## 5 · Two phases: first the new layers, then the reused ones
#
# **Phase 1:** the reused layers are frozen, the new output layer learns. **Phase 2**, fine-tuning: all
# layers learn, with a lower learning rate. Both have `steps` steps. For a fair comparison, a net that
# starts from scratch gets the same number of steps with the same two rates.
#
# The lesson trains many small nets, so each kind of net is compiled once and set back to new starting
# weights for every run.

# %%
new_rate, tune_rate, batch_size = 0.003, 0.0003, 20


class Bench:
    """Model A of one kind of net, and B nets for many runs, compiled once for each set of frozen layers."""

    def __init__(self, build, a, b, model_a=None):
        self.build, self.b, self.shape = build, b, a.x.shape[1:]
        self.new = functools.cache(lambda seed: build(self.shape, 2, 100 + seed).get_weights())
        self.model_a = model_a or train_a(build, a)
        self.names = [layer.name for layer in self.model_a.layers if layer.weights]
        self.nets = {}

    def net(self, frozen=0):
        """The B net whose first `frozen` layers with weights are frozen."""
        if frozen not in self.nets:
            self.nets[frozen] = compiled(self.build(self.shape, 2, seed=0))
            ck.transfer.freeze(self.nets[frozen], keep=len(self.names) - frozen)
        return self.nets[frozen]

    def start(self, reused, seed):
        """Starting weights: the first `reused` layers from A, the others new."""
        return self.model_a.get_weights()[: 2 * reused] + self.new(seed)[2 * reused :]


def fit(model, weights, x, y, *, rate, seed):
    """Train for `steps` from `weights`, by an optimizer without memory; return the weights then."""
    model.set_weights(weights)
    for variable in model.optimizer.variables:
        if variable.name != "learning_rate":
            variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = rate
    rows = np.resize(np.arange(len(x)), steps * batch_size)  # the few images again and again
    ck.fit(model, x[rows], y[rows], epochs=1, batch_size=batch_size, verbose=0, seed=seed)
    return model.get_weights()


# %% [markdown]
# Why a *lower* rate in phase 2? Three rates, each from the same weights after phase 1, with 50 labels.
#
# **Predict first:** what does fine-tuning at the rate of phase 1 (or three times that) do to what
# phase 1 has reached?

# %%
benches = {"CNN on pictures": Bench(cnn, picture_a, picture_b, model_a)}
cnn_layers = len(benches["CNN on pictures"].names) - 1  # all but the output


@functools.cache
def phase_1(kind, reused, n, seed):
    """Freeze the reused layers and train the others; return the weights and the test accuracy."""
    bench = benches[kind]
    net, (x, y) = bench.net(reused), draw(bench.b, n, seed)
    weights = fit(net, bench.start(reused, seed), x, y, rate=new_rate, seed=seed)
    return weights, accuracy(net, bench.b.x_test, bench.b.y_test)


@functools.cache
def phase_2(kind, reused, n, seed, rate=tune_rate):
    """Train all layers from where phase 1 ended; return the test accuracy."""
    bench = benches[kind]
    net, (x, y) = bench.net(), draw(bench.b, n, seed)
    fit(net, phase_1(kind, reused, n, seed)[0], x, y, rate=rate, seed=seed)
    return accuracy(net, bench.b.x_test, bench.b.y_test)


case = [("CNN on pictures", cnn_layers, 50, seed) for seed in range(n_seeds)]
tuned = {"phase 1 only": [phase_1(*c)[1] for c in case]}
for rate in (tune_rate, new_rate, 3 * new_rate):
    tuned[f"then rate {rate:g}"] = [phase_2(*c, rate) for c in case]

# %%
means = {name: np.mean(values) for name, values in tuned.items()}
best_tuned = max(means, key=means.get)
fig, ax = plt.subplots(figsize=(7.5, 2.9))
ck.plotting.strip(ax, tuned, "test accuracy on task B")
ax.set_title(f"50 labels, {n_seeds} seeds: highest mean: {best_tuned}")
ck.show(
    fig,
    alt="Test accuracy on task B after phase 1 and after fine-tuning with three learning rates; a dot "
    "for each seed, a bar for the mean.",
)
for name, values in tuned.items():
    print(f"{name:16s} {means[name]:.3f}, range {min(values):.3f} to {max(values):.3f}")

# %% [markdown]
# Before you call one row better, look whether the dots of two rows overlap. One thing no row shows:
# weights of A that a large rate has overwritten you cannot get back, however many phases follow. That is
# why the recipe says *lower*; this lesson takes a tenth.

# %% [markdown]
# ## 6 · How many labels does transfer replace?
#
# Now the main experiment. From 20 to 200 labels; three ways: from **scratch**, all of A's
# hidden layers **frozen**, and frozen then **fine-tuned**. Everything for a CNN and for a dense net *on
# the same pictures*, so that only the net differs, and for the dense net on handwritten digits, where
# dense nets are at home.
#
# **Predict first:** which of the nets gains most from model A? With how many labels does the gain end?

# %%
benches["dense net on pictures"] = Bench(dense_net, picture_a, picture_b)
benches["dense net on digits"] = Bench(dense_net, digit_a, digit_b)


def over_seeds(accuracy_of):
    """One accuracy for each seed and label count, (n_seeds, n_counts)."""
    return np.array([[accuracy_of(n, s) for n in label_counts] for s in range(n_seeds)])


def compare(kind):
    top = len(benches[kind].names) - 1
    return {
        "from scratch": over_seeds(lambda n, s: phase_2(kind, 0, n, s)),
        "A's layers, frozen": over_seeds(lambda n, s: phase_1(kind, top, n, s)[1]),
        "frozen, then fine-tuned": over_seeds(lambda n, s: phase_2(kind, top, n, s)),
    }


curves = {kind: compare(kind) for kind in benches}
gain = {
    kind: ways["frozen, then fine-tuned"] - ways["from scratch"] for kind, ways in curves.items()
}

# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 3.8))
for ax, (kind, ways) in zip(axes, curves.items(), strict=True):
    for i, (name, values) in enumerate(ways.items()):
        ax.errorbar(
            np.array(label_counts) * 1.05 ** (i - 1), values.mean(axis=0), values.std(0, ddof=1),
            **ck.plotting.line_kw(i), marker=ck.plotting.MARKERS[i], capsize=3, label=name,
        )  # fmt: skip
    few = gain[kind][:, :2].mean()
    ax.set_xscale("log")
    ax.set_xticks(label_counts, label_counts)
    ax.minorticks_off()
    ax.set_title(f"{kind}\n20–50 labels: {100 * few:+.1f} points", fontsize=10)
    ax.set_xlabel("labels of task B")
axes[0].set_ylabel(f"test accuracy, mean ± SD, {n_seeds} seeds")
axes[0].legend(fontsize=8)
ck.show(
    fig,
    alt="Test accuracy against the number of labels in three panels: CNN on pictures, dense net on "
    "pictures, dense net on digits. Each has a curve with error bars for training from scratch, for "
    "frozen layers of A, and for frozen then fine-tuned.",
)


# %%
def told(values):
    """Mean gain over seeds, in points, with its 95% confidence interval, and what that says."""
    error = max(values.std(ddof=1) / np.sqrt(len(values)), 1e-9)
    low, high = 100 * np.array(stats.t.interval(0.95, len(values) - 1, values.mean(), error))
    sign = "gain" if low > 0 else "loss" if high < 0 else "no clear effect"
    return f"{100 * values.mean():+5.1f}  [{low:+5.1f}, {high:+5.1f}]  {sign}"


print("fine-tuned minus scratch, in points: mean [95% interval of the mean]")
for kind, values in gain.items():
    print(kind)
    for i, n in enumerate(label_counts):
        print(f"  {n:3d} labels  {told(values[:, i])}")

# %% tags=["claim"]
few_labels = gain["CNN on pictures"][:, :2].mean()
assert few_labels > 0, (
    f"with 20 and 50 labels, CNN transfer should beat scratch on the mean: {few_labels:+.4f}"
)

# %% [markdown]
# **Verdict:** with few labels the CNN gains from model A, on the mean over seeds; compare its first row
# with its last to see what more labels do to the gain. It is often said that transfer hardly works for
# small dense nets. The table says how far that holds here: a dense net may gain as well, since a start that
# knows pictures beats a random one. But look at the intervals before you promise it to anybody, and at the
# row where they first include 0.
#
# ### Why CNNs?
#
# On large data sets it is CNNs that reuse well. Look at what the first layers have learned. A unit of the
# dense net has a weight for every pixel of the picture; a kernel of the CNN sees 3×3 pixels, and is used
# at every place.


# %%
def as_pictures(kernels):
    """Scale each kernel, (…, height, width, 3), to [0, 1]."""
    low, high = (f(kernels, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    return (kernels - low) / (high - low)


convolution = np.moveaxis(model_a.get_layer("conv1").get_weights()[0], -1, 0)[:10]
units = benches["dense net on pictures"].model_a.get_layer("dense1").get_weights()[0]
units = units.T.reshape(-1, 16, 16, 3)[:10]
shown = [*as_pictures(convolution), *as_pictures(units)]
labels = [f"kernel {i}" for i in range(10)] + [f"unit {i}" for i in range(10)]
fig = plt.figure(figsize=(10, 2.7))
for i, (image, label) in enumerate(zip(shown, labels, strict=True)):
    ax = fig.add_subplot(2, 10, i + 1)
    ax.imshow(image)
    ax.set_axis_off()
    ax.set_title(label, fontsize=8, fontweight="normal", loc="center")
fig.suptitle("First layers: 3×3 pixels anywhere (top), or the whole picture at once (bottom)",
             x=0.01, ha="left", fontsize=11, fontweight="bold")  # fmt: skip
ck.show(
    fig,
    alt="Top: ten convolution kernels of 3 by 3 coloured pixels. Bottom: the weights of ten dense "
    "units as pictures of 16 by 16 pixels, noisy patterns as large as the picture.",
)

# %% [markdown]
# A kernel of 27 numbers can only react to something small: a contrast, an edge, a colour. It was trained
# at every place of every picture, and an edge is an edge in the next task as well. A dense unit has a
# weight for each of 768 numbers, still mixed with the noise they were drawn from; what it has learned is
# one pattern at one fixed place, which belongs to the task it was trained for.

# %% [markdown]
# ## 7 · How many layers to reuse?
#
# Reuse the first $k$ layers of A; those above are new. $k = 0$ is training from scratch. One control
# belongs here: layers that are frozen as they were **drawn**, never trained. If they did as well, it
# would not be A's knowledge that helps.
#
# **Predict first:** for which $k$ is the frozen net best? Where does the control go?

# %%
kind, n_fixed = "CNN on pictures", 50
depths, seeds = range(cnn_layers + 1), range(n_seeds)


def untrained(frozen, seed):
    """As phase 1, but the frozen layers were never trained."""
    bench = benches[kind]
    net, (x, y) = bench.net(frozen), draw(bench.b, n_fixed, seed)
    fit(net, bench.start(0, seed), x, y, rate=new_rate, seed=seed)
    return accuracy(net, bench.b.x_test, bench.b.y_test)


kept = {
    "k layers of A, frozen": [[phase_1(kind, k, n_fixed, s)[1] for k in depths] for s in seeds],
    "then fine-tuned": [[phase_2(kind, k, n_fixed, s) for k in depths] for s in seeds],
}
kept = {name: np.array(values) for name, values in kept.items()}
some = depths[2::2]
control = np.array([[untrained(k, s) for k in some] for s in seeds])

# %%
fig, ax = plt.subplots()
names = ["none", *benches[kind].names[:-1]]
for i, (name, values) in enumerate(kept.items()):
    ck.plotting.band(ax, depths, values, name, i)
ck.plotting.band(
    ax, [0, *some], np.hstack([kept["k layers of A, frozen"][:, :1], control]),
    "k untrained layers, frozen", 2,
)  # fmt: skip
best = {name: int(values.mean(axis=0).argmax()) for name, values in kept.items()}
ax.set_xticks(depths, [f"{k}\n{name}" for k, name in enumerate(names)])
ax.set(
    xlabel="k, and the last layer reused",
    ylabel=f"test accuracy of B, {n_fixed} labels",
    title=f"Best mean at k = {best['k layers of A, frozen']} frozen, "
    f"k = {best['then fine-tuned']} fine-tuned",
)
ax.legend()
ck.show(
    fig,
    alt="Test accuracy against the number of reused layers, mean and range over seeds: layers of A "
    "frozen, then fine-tuned, and frozen layers that were never trained.",
)
for name, values in kept.items():
    print(f"{name:27s}", *(f"k={k}: {v:.3f} " for k, v in enumerate(values.mean(axis=0))))
print(f"{'k untrained layers, frozen':27s}",
      *(f"k={k}: {v:.3f} " for k, v in zip(some, control.mean(axis=0), strict=True)))  # fmt: skip

# %% tags=["claim"]
reused, drawn = kept["k layers of A, frozen"][:, some].mean(), control.mean()
assert reused > drawn + 0.01, (
    f"A's frozen layers should beat untrained frozen ones: {reused:.3f} and {drawn:.3f}"
)

# %% [markdown]
# **Verdict:** A's layers beat layers that were only drawn, so it is what A *learned* that helps. The more
# alike two tasks are, the more layers you can reuse: low layers hold edges and colours, which any picture
# needs; the top ones hold what tells A's classes apart. Neighbouring $k$ often lie within each other's band:
# take the one that validates best, and do not believe in the third digit. (At the largest $k$ the
# frozen net trains its output layer alone, which learns slowly: part of what is missing there is time.)

# %% [markdown]
# ## 8 · The recipe in five steps
#
# 1. **Reuse** all hidden layers, **freeze** them, put a new output layer on top.
# 2. **Train** it.
# 3. **Unfreeze** the top one or two reused layers, lower the learning rate, train on.
# 4. Not good enough, and labels are **scarce**? Drop the top reused layer, freeze the rest again, and
#    repeat steps 2 and 3. (With many images that have *no* label: [lesson 07](07_pretraining.ipynb).)
# 5. Labels are **plenty**? Replace the top layers or even add one in place of dropping, and unfreeze
#    more. Iterate until you have found the right number.
#
# Carried out with 100 labels (1,000 or all there are in step 5), from `n_seeds` draws. Accuracies are
# on *validation* images here, because you decide by them. **Predict first:** which step brings most?


# %%
def stage(model, starts, n, rate):
    """Train the model as it is frozen now, once for each seed; return weights and accuracies."""
    weights, found = [], []
    for seed, start in enumerate(starts):
        x, y = draw(picture_b, n, seed)
        weights.append(fit(model, start, x, y, rate=rate, seed=seed))
        found.append(accuracy(model, picture_b.x_valid, picture_b.y_valid))
    return weights, found


def starts(layers, hidden=None):
    return [new_head(layers, shape, seed, hidden).get_weights() for seed in range(n_seeds)]


recipe = {}
body = ck.transfer.clone(model_a).layers[:-1]
initial = starts(body)
model = compiled(new_head(body, shape, seed=0))
ck.transfer.freeze(model)
recipe["1 freeze"] = []
for start in initial:
    model.set_weights(start)
    recipe["1 freeze"].append(accuracy(model, picture_b.x_valid, picture_b.y_valid))
weights, recipe["2 train"] = stage(model, initial, 100, new_rate)
stayed = all(
    np.array_equal(a, b) for w in weights for a, b in zip(w[:-2], initial[0][:-2], strict=True)
)
ck.transfer.unfreeze(model, top=3, learning_rate=tune_rate)
_, recipe["3 unfreeze two"] = stage(model, weights, 100, tune_rate)

# %% [markdown]
# Step 4 drops the layer `dense`; step 5 keeps it and adds another hidden layer.

# %%
body = ck.transfer.clone(model_a).layers[:-2]
model = compiled(new_head(body, shape, seed=0))
ck.transfer.freeze(model)
weights, _ = stage(model, starts(body), 100, new_rate)
ck.transfer.unfreeze(model, top=2, learning_rate=tune_rate)
_, recipe["4 drop one"] = stage(model, weights, 100, tune_rate)

body = ck.transfer.clone(model_a).layers[:-1]
model = compiled(new_head(body, shape, seed=0, hidden=32))
ck.transfer.freeze(model, keep=2)
plenty = min(1_000, 2 * int(np.bincount(picture_b.y).min()))
weights, _ = stage(model, starts(body, hidden=32), plenty, new_rate)
ck.transfer.unfreeze(model, learning_rate=tune_rate)
_, recipe["5 add one"] = stage(model, weights, plenty, tune_rate)

# %%
from matplotlib.patches import Patch

FROZEN, TUNED, NEW, DROPPED = "frozen", "reused, trained", "new", "dropped"
looks = {
    FROZEN: {"facecolor": "#D9D9D9", "hatch": "///"},
    TUNED: {"facecolor": ck.plotting.COLORS[4]},
    NEW: {"facecolor": ck.plotting.COLORS[5]},
    DROPPED: {"facecolor": "white", "linestyle": ":"},
}
stacks = {  # from conv1 up to the output
    "1 freeze": [FROZEN] * 4 + [NEW],
    "2 train": [FROZEN] * 4 + [NEW],
    "3 unfreeze two": [FROZEN] * 2 + [TUNED] * 2 + [NEW],
    "4 drop one": [FROZEN] * 2 + [TUNED, DROPPED, NEW],
    "5 add one": [TUNED] * 4 + [NEW, NEW],
}

# %%
fig, (top, low) = plt.subplots(2, 1, figsize=(9, 6), height_ratios=[3, 2], sharex=True)
for column, (name, states) in enumerate(stacks.items()):
    names = ["conv1", "conv2", "conv3", "dense", *(["extra"] if len(states) == 6 else []), "output"]
    for row, (layer, state) in enumerate(zip(names, states, strict=True)):
        top.bar(column, 0.8, 0.7, bottom=row, edgecolor="black", **looks[state])
        top.text(column, row + 0.4, layer, ha="center", va="center", fontsize=9,
                 bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
    values = np.array(recipe[name])
    color = ck.plotting.COLORS[0]
    low.plot(column + np.linspace(-0.12, 0.12, n_seeds), values, "o", color=color, alpha=0.7)
    low.plot([column - 0.3, column + 0.3], [values.mean()] * 2, "-", color=color, linewidth=2.5)
    low.annotate(f"{values.mean():.3f}", (column, values.max()), (0, 6),
                 textcoords="offset points", ha="center")  # fmt: skip
top.set(yticks=[], ylabel="layers, input at the bottom", title="The recipe, step by step")
top.grid(visible=False)
handles = [Patch(edgecolor="black", label=state, **look) for state, look in looks.items()]
top.legend(handles=handles, ncols=4, loc="upper left", fontsize=8)
top.set_ylim(0, 7.2)
low.set_xticks(range(5), [f"{n}\n{plenty if n[0] == '5' else 100 if n[0] != '1' else 0} labels"
                          for n in recipe])  # fmt: skip
decide = [name for name in recipe if name[0] in "234"]
best_step = max(decide, key=lambda name: np.mean(recipe[name]))
low.set(ylabel="validation accuracy",
        title=f"With 100 labels, step “{best_step}” has the highest mean")  # fmt: skip
low.margins(y=0.2)
ck.show(
    fig,
    alt="Five stacks of layers, one for each step of the recipe, showing which layers are frozen, "
    "tuned, new or dropped; below each the validation accuracy of every seed and the mean.",
)

# %% tags=["claim"]
assert stayed, "in step 2 the frozen layers should be A's, bit by bit"
step = {name: np.mean(values) for name, values in recipe.items()}
assert step["2 train"] > step["1 freeze"] + 0.05, f"step 2 should beat an untrained output: {step}"
assert step["5 add one"] > step["2 train"], f"more labels should help: {step}"

# %% [markdown]
# Steps 3 and 4 are *choices*: keep one only if it validates better by more than the seeds differ. Step 5
# cannot be compared with the others, since it has more labels.
#
# Be honest about one thing: `picture_b.x_valid` holds far more labelled images than the 100 you trained
# with. In real life they would come out of the 100. That makes every such choice a noisy one, which
# brings us to the next question.

# %% [markdown]
# ## 9 · Beware of results found by trying
#
# You have 20 labels for training and 40 for validation. You try many configurations of the dense net on
# digits (layers reused, learning rate, seed), keep the one with the best validation accuracy, and report
# this accuracy.
#
# **Predict first:** is the reported number right, on the average? Does it get better or worse the more
# configurations you try?

# %%
kind, n_valid = "dense net on digits", 40
bench, n_tries = benches[kind], lab.pick(quick=2, standard=4, full=8)
right_valid, right_test = [], []
for seed in range(n_tries):
    x, y = draw(digit_b, 20, seed=7)  # always the same 20 labels
    for reused in range(len(bench.names)):
        for rate in (0.001, 0.003, 0.01):
            fit(bench.net(), bench.start(reused, seed), x, y, rate=rate, seed=seed)
            for found, xs, ys in (
                (right_valid, digit_b.x_valid, digit_b.y_valid),
                (right_test, digit_b.x_test, digit_b.y_test),
            ):
                found.append(np.argmax(bench.net()(xs), axis=1) == ys)
right_valid, right_test = np.array(right_valid), np.mean(right_test, axis=1)

# %% [markdown]
# The nets are trained; choosing among them costs nothing. So repeat the choice with 500 different
# draws of 40 validation images, and look at the winner's true accuracy each time.

# %%
random = np.random.default_rng(0)
tried = [m for m in (1, 2, 4, 8, 16, 32, 64, 128) if m < 0.7 * len(right_test)] + [len(right_test)]
reported, true = np.zeros((2, len(tried), 500))
for i, m in enumerate(tried):
    for j in range(500):
        some = random.choice(len(right_test), m, replace=False)
        rows = random.choice(right_valid.shape[1], n_valid, replace=False)
        scores = right_valid[some][:, rows].mean(axis=1)
        winner = random.choice(np.flatnonzero(scores == scores.max()))
        reported[i, j], true[i, j] = scores[winner], right_test[some[winner]]
too_good = reported.mean(axis=1) - true.mean(axis=1)

fig, ax = plt.subplots()
for i, (name, values) in enumerate((("validation accuracy, as reported", reported),
                                    ("test accuracy of the same net", true))):  # fmt: skip
    ax.plot(tried, values.mean(axis=1), **ck.plotting.line_kw(i), marker=ck.plotting.MARKERS[i],
            label=name)  # fmt: skip
ax.axhline(right_test.mean(), color="black", linestyle=":", linewidth=1, label="mean of all nets")
ax.set_xscale("log", base=2)
ax.set_xticks(tried, tried)
ax.set(xlabel="configurations tried", ylabel="accuracy of the best one, mean",
       title=f"The best of {tried[-1]} looks {100 * too_good[-1]:.1f} points better than it is")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Accuracy of the chosen net against the number of configurations tried: the validation "
    "accuracy by which it was chosen rises above the test accuracy of the same net.",
)

# %% tags=["claim"]
assert too_good[-1] > 0.005, f"the winner's score should be too good: {too_good[-1]:+.4f}"
assert too_good[-1] > too_good[0], f"more tries should make it worse: {too_good}"

# %% [markdown]
# The winner is partly the best and partly the luckiest, and its score shows both. Test images that had
# no say in the choice show only the first. ([Lesson 12](12_hyperparameter_tuning.ipynb) takes this up
# for every kind of search.)
#
# The same happens with *comparisons*. Pick the most flattering cell of section 6 for the dense net on
# digits, then repeat just this comparison with new seeds:

# %%
cells = gain[kind]
lucky_seed, lucky = np.unravel_index(cells.argmax(), cells.shape)
n = label_counts[lucky]
dense_layers = len(bench.names) - 1
fresh = [phase_2(kind, dense_layers, n, s) - phase_2(kind, 0, n, s)
         for s in range(50, 50 + 2 * n_seeds)]  # fmt: skip
print(f"most flattering of {cells.size} comparisons ({n} labels, seed {lucky_seed}): "
      f"{100 * cells.max():+.1f} points")  # fmt: skip
print(f"mean of all {cells.size}: {100 * cells.mean():+.1f} points")
print(f"the same {n} labels with {len(fresh)} new seeds: {told(np.array(fresh))}")

# %% [markdown]
# A claim such as "transfer cut the error rate to a fraction" may be nothing but the best of many
# attempts. When you read one, ask: how many were tried, how many seeds, and on which data was the winner
# chosen? When you write one, say so.

# %% [markdown]
# ## 10 · When the input has another size
#
# Model A reads 16×16 pixels. Your pictures are larger: 32×32. The convolutions would not mind, but
# `Flatten` then hands the dense layer four times as many numbers. So adapt the *input*, by layers that
# travel with the model, and take the same pixel range as A was trained with:

# %%
large = ck.load("cifar10").only([8, 9]).x_test[:200]  # (n, 32, 32, 3) in [0, 1]
try:
    model_a(large)
    refused = ""
except ValueError as error:
    refused = re.search("Input 0.*incompatible.*", str(error))[0].removesuffix("\x1b[0m")
print(refused)

adapted = keras.Sequential([
    keras.Input((32, 32, 3)),
    keras.layers.AveragePooling2D(2),  # or keras.layers.Resizing(16, 16)
    keras.layers.Rescaling(1.0, offset=-0.5),
    *ck.transfer.clone(model_a).layers,
])  # fmt: skip
difference = np.abs(np.array(adapted(large)) - np.array(model_a(halved(large) - 0.5))).max()
print(f"adapted model and A on the pictures halved by hand: largest difference {difference:.2g}")

# %% tags=["claim"]
assert refused, "model A should refuse pictures of another size"
assert difference < 1e-5, f"the adapted model should predict like A: difference {difference:.3g}"

# %% [markdown]
# A net that ends in `GlobalAveragePooling2D` in place of `Flatten` takes any size. But it has learned
# objects of a certain size in pixels: resizing to what it knows is still the better start.

# %% [markdown]
# ## Explore: B through the eyes of A
#
# Two hundred test images of task B, as a layer of A gives them, along the two directions in which
# they differ most (principal components). The title tells how many images are nearest to the mean of
# their own class, the means taken from 50 labels. Which layer separates the classes best? Does the same
# layer of an untrained net?

# %%
bench = benches["CNN on pictures"]
eyes = {"trained on A": model_a, "never trained": cnn(shape, 8, seed=1)}
seen_x, seen_y = picture_b.x_test[:200], picture_b.y_test[:200]
known_x, known_y = draw(picture_b, 50, seed=0)


def draw_features(layer, net):
    if layer == "pixels":
        features, known = seen_x, known_x
    else:
        model = eyes[net]
        upto = keras.Model(model.inputs[0], model.get_layer(layer).output)
        features, known = np.array(upto(seen_x)), np.array(upto(known_x))
    features, known = features.reshape(len(features), -1), known.reshape(len(known), -1)
    centres = np.stack([known[known_y == c].mean(axis=0) for c in (0, 1)])
    distances = np.linalg.norm(features[:, None] - centres, axis=2)
    share = np.mean(distances.argmin(axis=1) == seen_y)
    plane = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    points = plane[0][:, :2] * plane[1][:2]
    fig, ax = plt.subplots(figsize=(6, 3.8))
    for c in (0, 1):
        ax.plot(*points[seen_y == c].T, ck.plotting.MARKERS[c], color=ck.plotting.COLORS[c],
                alpha=0.6, label=picture_b.names[c])  # fmt: skip
    ax.set(xlabel="first component", ylabel="second component",
           title=f"{layer}, {net}: {share:.0%} nearest to their own class")  # fmt: skip
    ax.legend()
    return fig


ck.widgets.explore(
    draw_features,
    alt="Test images of task B as points in the plane of two principal components of a layer's "
    "outputs, marked by class.",
    layer=["dense", "conv3", "conv2", "conv1", "pixels"],
    net=list(eyes),
)

# %% [markdown]
# ## Pitfalls
#
# - **`clone_model` without `set_weights`.** You get the structure with new weights: transfer from
#   nothing.
# - **Layers taken from A without a copy.** Training B changes A. Copy first, and let
#   `ck.transfer.unchanged(model_a)` watch.
# - **Freezing or unfreezing without compiling.** Nothing happens, and nothing is said.
# - **Compiling with the old optimizer.** Freezing passes, unfreezing raises `ValueError`: make a new one.
# - **Another pixel range or size than A's.** The layers of A expect the numbers they were trained with.
# - **`input_shape=` in the first layer** is old Keras. Start a model with `keras.Input(shape)`.
# - **Unfreezing everything at once with the old rate.** Phase 1 first, then a lower rate.
# - **A frozen BatchNormalization** ([lesson 04](04_batch_normalisation.ipynb)) runs in inference mode,
#   with A's averages. Unfreezing lets B's few images overwrite them: leave it frozen.
# - **One seed, one draw of labels.** With 20 labels the draw alone moves the accuracy by many points.

# %% [markdown]
# ## Recap
#
# - Reuse A's hidden layers, replace the output; the more alike the tasks, the more layers.
# - A clone needs `set_weights`; shared layers change A; changing `trainable` needs a new `compile`.
# - Freeze and train the new layers, then unfreeze from the top with a lower rate.
# - With few labels a CNN gains; for a small dense net measure before you believe it.
# - A winner chosen among many looks better than it is: report what had no say in the choice.

# %% [markdown]
# ## Now practise
#
# Open [exercise 06](../exercises/06_transfer_learning.ipynb): write the copy that is frozen, the new
# output layer, the watch over model A, the two-phase schedule, and choose the number of layers to reuse.
#
# Then go on with lesson
# [07 Unsupervised and self-supervised pretraining](07_pretraining.ipynb).

# %% [markdown]
# ## Further reading
#
# - J. Yosinski, J. Clune, Y. Bengio and H. Lipson, *How Transferable Are Features in Deep Neural
#   Networks?*, NeurIPS 2014, arXiv:1411.1792: sections 2 and 4, layers reused from 0 to 7, frozen and
#   fine-tuned.
# - A. S. Razavian, H. Azizpour, J. Sullivan and S. Carlsson, *CNN Features off-the-shelf: an Astounding
#   Baseline for Recognition*, CVPR Workshops 2014, arXiv:1403.6382.
# - S. Kornblith, J. Shlens and Q. V. Le, *Do Better ImageNet Models Transfer Better?*, CVPR 2019,
#   arXiv:1805.08974: section 4, fine-tuning, fixed features and random initialisation compared.
# - G. C. Cawley and N. L. C. Talbot, *On Over-fitting in Model Selection and Subsequent Selection Bias in
#   Performance Evaluation*, Journal of Machine Learning Research 11, 2010.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "Reusing Pretrained Layers".
