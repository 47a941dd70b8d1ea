# %% [markdown]
# # 13 Practical guidelines
#
# A dozen lessons, dozens of choices. What do you do when the net does not learn, and which choices
# do you start with?
#
# ## What you will be able to do
#
# After about {{ minutes.reading }} minutes of reading, or {{ minutes.with_code }} minutes with the
# code, you will be able to
#
# - debug a net that does not learn, in an order in which each step rules something out;
# - choose a configuration from a short table, and say what each of its rows rests on;
# - adapt it to a special need: few weights, fast answers, honest doubt;
# - make a trained net smaller, and measure what that costs and what it does not bring.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import tempfile
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

# %%
n, n_valid, epochs, n_seeds, deep, batch_size = lab.pick(
    quick=(2_000, 1_000, 8, 3, 6, 32),
    standard=(4_000, 2_000, 10, 5, 10, 64),
    full=(55_000, 5_000, 15, 5, 20, 64),
)
raw = ck.load("mnist", n_valid=n_valid).subset(n)
mean, std = raw.x_train.mean(), raw.x_train.std()
x, x_valid, x_test = (
    (each - mean) / std for each in (raw.x_train, raw.x_valid, raw.x_test[:4_000])
)
y, y_valid, y_test = raw.y_train, raw.y_valid, raw.y_test[:4_000]
data = SimpleNamespace(x_train=x, y_train=y, x_valid=x_valid, y_valid=y_valid)

# %% [markdown]
# ## 1 · It does not learn. What now?
#
# A healthy net and four patients: three hidden layers, each patient with one planted bug. The loss
# curves are all that you usually get to see.
#
# - **labels**: images and labels were sorted differently, so the labels are shuffled;
# - **inputs**: pixels from 0 to 255, not standardised;
# - **softmax**: the output layer has a softmax, and a second one is applied to its output;
# - **rate**: the learning rate is a thousand times too low.
#
# **Predict first:** which curve belongs to which bug?


# %%
def build(twice=False):
    hidden = [layers.Dense(100, "relu", kernel_initializer="he_normal") for _ in range(3)]
    second = [layers.Softmax()] if twice else []
    model = keras.Sequential(
        [keras.Input((28, 28)), layers.Flatten(), *hidden, layers.Dense(10, "softmax"), *second]
    )
    model.compile(keras.optimizers.SGD(), "sparse_categorical_crossentropy")
    return model


nets = {twice: build(twice) for twice in (False, True)}
starts = {twice: model.get_weights() for twice, model in nets.items()}


def fresh(rate, twice=False):
    """Return the net as it was made: plain SGD has no memory, so the weights are all there is."""
    nets[twice].set_weights(starts[twice])
    nets[twice].optimizer.learning_rate = rate
    return nets[twice]


# %%
shuffled = np.random.default_rng(lab.seed).permutation(y)
patients = {  # name: images, labels, learning rate, whether there are two softmaxes
    "healthy": (x, y, 0.1, False),
    "labels": (x, shuffled, 0.1, False),
    "inputs": (255 * raw.x_train, y, 0.1, False),
    "softmax": (x, y, 0.1, True),
    "rate": (x, y, 0.0001, False),
}
curves = {}
for name, (images, labels, rate, twice) in patients.items():
    model = fresh(rate, twice)
    curves[name] = model.fit(
        images, labels, batch_size=batch_size, epochs=epochs, verbose=0
    ).history["loss"]

# %% tags=["plot"]
ended = {name: np.nan_to_num(losses[-1], nan=np.inf) for name, losses in curves.items()}
order = sorted(["labels", "inputs", "softmax", "rate"], key=ended.get)
letter = dict(zip(order, "ABCD", strict=True))
drawn = {f"patient {letter[name]}" if name in letter else name:
         np.clip(np.nan_to_num(curves[name], nan=4), 0, 4) for name in ("healthy", *order)}  # fmt: skip
ck.show(ck.plotting.lines(drawn, title="Four patients and a healthy net: what ails them? (one run each)",
                          xlabel="epoch", ylabel="training loss, cut at 4 (NaN is there, too)"))  # fmt: skip

# %% [markdown]
# From curves alone it is guesswork. What helps is an **order**: the cheapest check first, each with a
# number that you know *beforehand*.
#
# ![Four checks in a row. 1: a baseline without a net is far above chance; if not, look at labels and order. 2: the loss before training is about ln 10; if not, look at the scale of inputs or weights. 3: on one batch of 32, again and again, the loss goes to about 0; then train on the whole. 4, only if 3 fails: one batch at the tested rate; if that fails too, look at the output layer and the loss.](../figures/debugging_order.svg)
#
# 1. **Look at the data, and let a baseline look.** Here it is the nearest neighbour among a thousand
#    images: no net, no training. It must beat chance (0.1) by far.
# 2. **The loss before training.** A net that knows nothing should say so: $\ln 10 \approx 2.3$ for ten
#    classes. He weights make it a little louder; up to twice is fine.
# 3. **Overfit one batch.** Any net with thousands of weights can learn 32 images by heart. If yours
#    cannot, no amount of data will help. (Regularisation off.)
# 4. **If that fails, the same at the range test's rate** ([lesson
#    09](09_learning_rate_schedules.ipynb)). If it works now and check 2 was passed, it was the rate.
#
# **Predict first:** which bug passes the one-batch check?


# %%
def baseline(images, labels):
    flat = images[:1200].reshape(1200, -1)
    return (
        KNeighborsClassifier(1)
        .fit(flat[:1000], labels[:1000])
        .score(flat[1000:], labels[1000:1200])
    )


def loss_of(model, images, labels):
    right = np.array(model(images, training=False))[np.arange(len(labels)), labels]
    return -np.log(np.maximum(right, 1e-7)).mean()


def one_batch(model, images, labels, steps=80):
    for _ in range(steps):
        model.train_on_batch(images[:32], labels[:32])
    return loss_of(model, images[:32], labels[:32])


# %%
found = {}
for name, (images, labels, rate, twice) in patients.items():
    model = fresh(rate, twice)
    numbers = [baseline(images, labels), loss_of(model, images[:500], labels[:500])]
    numbers.append(one_batch(model, images, labels))
    if not numbers[2] < 0.1:
        model = fresh(rate, twice)
        tested = ck.lr_range_test(model, images, labels).suggestion
        numbers.append(one_batch(fresh(tested, twice), images, labels))
    found[name] = np.nan_to_num(numbers, nan=np.inf)
passes = {
    name: [base > 0.3, start < 2 * np.log(10), *(loss < 0.1 for loss in batches)]
    for name, (base, start, *batches) in found.items()
}

# %% tags=["plot"]
import matplotlib.pyplot as plt

checks = ["1 baseline beats\nchance (0.1) by far", "2 loss at start\nabout 2.3",
          "3 one batch,\nown rate", "4 one batch,\ntested rate"]  # fmt: skip
fig, ax = plt.subplots(figsize=(8, 3.2))
for row, name in enumerate(patients):
    for column in range(4):
        there = column < len(found[name])
        ok = not there or passes[name][column]
        color = "#F2F2F2" if not there else "#CDE8DE" if ok else "#F6CFB4"
        ax.add_patch(plt.Rectangle((column - 0.47, row - 0.42), 0.94, 0.84, color=color))
        said = f"{'ok' if ok else 'FAILS'}  {found[name][column]:.3g}" if there else "not needed"
        ax.text(column, row, said.replace("inf", "(NaN)"), ha="center", va="center",
                fontweight="normal" if ok else "bold")  # fmt: skip
ax.set(xlim=(-0.5, 3.5), ylim=(len(patients) - 0.5, -0.5))
ax.set_yticks(range(len(patients)), patients)
ax.set_xticks(range(4), checks)
ax.grid(visible=False)
ax.tick_params(length=0)
fig.suptitle("Which check finds which bug", x=0.01, ha="left", fontsize=11, fontweight="bold")
ck.show(fig, alt="Table of four checks for five nets with the measured numbers. " + "; ".join(
    f"{name} fails {', '.join(str(i + 1) for i, ok in enumerate(each) if not ok) or 'none'}"
    for name, each in passes.items()))  # fmt: skip

# %% tags=["claim"]
first = {name: each.index(False) + 1 for name, each in passes.items() if False in each}
floor = np.log(1 + 9 / np.e)
ck.prove("The healthy net passes every check", "healthy" not in first,
         ", ".join(f"{value:.3g}" for value in found["healthy"]))  # fmt: skip
ck.prove("Labels fail first at the baseline, inputs at the loss before training, softmax and rate on one batch",
         first == {"labels": 1, "inputs": 2, "softmax": 3, "rate": 3}, f"{first}")  # fmt: skip
ck.prove("At the tested rate the rate's patient recovers, the softmax's does not",
         passes["rate"][3] and not passes["softmax"][3],
         f"{found['rate'][3]:.3f} and {found['softmax'][3]:.2f}")  # fmt: skip
ck.prove("Shuffled labels are learned by heart as the right ones are",
         found["labels"][2] < 0.1 and found["healthy"][2] < 0.1,
         f"{found['labels'][2]:.3f} and {found['healthy'][2]:.3f}")  # fmt: skip
ck.prove("Two softmaxes stay at or above ln(1 + 9/e)", min(found["softmax"][2:]) > floor - 0.001,
         f"{min(found['softmax'][2:]):.3f}, the floor {floor:.3f}")  # fmt: skip

# %% tags=["plot"]
ck.show(ck.plotting.images(raw.x_train[:10], [f"label {label}" for label in shuffled[:10]],
                           title="One look at ten pairs would have been enough"))  # fmt: skip

# %% [markdown]
# **Each bug is found by the first check that can see it: labels by check {{ first["labels"] }}, inputs by
# {{ first["inputs"] }}, softmax and rate by {{ first["softmax"] }}; two of the four before anything was trained.**
# In the picture of the curves A is {{ order[0] }}, B {{ order[1] }}, C {{ order[2] }} and D {{ order[3] }}.
#
# - **Wrong labels pass the one-batch check**, with the loss {{ found["labels"][2]:.3f }}. A net learns 32
#   wrong labels by heart as gladly as right ones. Only check 1 finds them, which is why it comes first.
# - **Two softmaxes have a floor.** The inner one gives numbers from 0 to 1, so the outer one can give the
#   right class at most $e / (e + 9)$: a loss of $\ln(1 + 9/e) \approx$ {{ floor:.2f }}. At the
#   tested rate it stands at {{ found["softmax"][3]:.2f }}. No rate cures that.
# - **The slow net recovers** at the tested rate, from {{ found["rate"][2]:.1f }} to {{ found["rate"][3]:.3f }}.
#
# Only then the whole data; then validation; then regularise; then make it fast.
#
# ### Explore: be the doctor
#
# One batch of 32, a net in NumPy, and every screw in your hand. Which of them can you find from the loss
# *before* the first step, and which only afterwards?


# %% tags=["helper"]
def draw_batch(learning_rate, input_scale, weight_scale, second_softmax):
    network = ck.scratch.deep_stack([784, 100, 100, 100], n_classes=10, seed=1)
    for name, values in network.params.items():
        values *= weight_scale if name.endswith("W") else 1
    momentum, losses = ck.scratch.optimizers.Momentum(learning_rate), []
    images, labels = input_scale * x[:32].reshape(32, -1), np.eye(10)[y[:32]]
    with np.errstate(all="ignore"):
        for _ in range(80):
            p = soft = softmax(network.forward(images, training=True))
            if second_softmax:
                p = softmax(soft)
            losses.append(-np.log(np.maximum((p * labels).sum(axis=1), 1e-7)).mean())
            g = (p - labels) / 32  # by the inputs of the last softmax
            network.backward(soft * (g - (g * soft).sum(1, keepdims=True)) if second_softmax else g)
            momentum.update(network.params, network.grads)
    return ck.plotting.lines(
        {"this net": losses, "guessing": [np.log(10)] * 80}, np.arange(80), log="y",
        title=f"Starts at {losses[0]:.2g}, ends at {losses[-1]:.2g}",
        xlabel="step", ylabel="loss on one batch of 32")  # fmt: skip


def softmax(z):
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


ck.widgets.explore(
    draw_batch,
    learning_rate=(1e-6, 1.0, 0.01, "log"),
    input_scale=(0.001, 1000.0, 1.0, "log"),
    weight_scale=(0.01, 10.0, 1.0, "log"),
    second_softmax=False,
)

# %% [markdown]
# *Before* the first step the loss shows only inputs or weights that are too large, and a second softmax hides even
# these. Too small ones start at $\ln 10$, as if all were well, and no rate has acted yet.
#
# ### Optional: a softmax and a loss from logits
#
# Many texts name a relative of the second softmax: a softmax layer, and a loss that is told
# `from_logits=True`, so that it applies another one. What does Keras make of it?

# %%
import warnings

model = build()
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(0.1), loss)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    repaired = one_batch(model, x, y)
told = [str(each.message) for each in caught if "from_logits" in str(each.message)]
print(f"loss after 80 steps: {repaired:.3f}")
print(" ".join(told[0].split()))

# %% tags=["claim"]
ck.prove("Keras on TensorFlow repairs from_logits=True on a softmax, and warns",
         repaired < 0.1 and len(told) > 0, f"loss {repaired:.3f}, warnings: {len(told)}")  # fmt: skip

# %% [markdown]
# It sees the softmax in the graph, uses what went into it, and warns. That is a courtesy of Keras on
# TensorFlow, not a law: with any operation between the two, or with another library, the floor is back.
#
# ## 2 · Standardise, and mind the corners
#
# Inputs are to be standardised: subtract the mean $\mu$ of the training images, and divide by their standard
# deviation $\sigma$. So far that was one $\mu$ and one $\sigma$ for all pixels. Usually it is done for each pixel by
# itself. But the corners of these images are empty in *every* training image.
#
# **Predict first:** what is $(x - \mu) / \sigma$ in a corner of a training image? And of a new image with
# a speck of ink there? Where will the largest value be?

# %%
means, stds = raw.x_train.mean(axis=0, dtype=float), raw.x_train.std(axis=0, dtype=float)
speck = raw.x_valid[0].copy()
speck[0, 0] = 0.5
with np.errstate(divide="ignore", invalid="ignore"):
    corner, corner_speck = ((raw.x_train[0] - means) / stds)[0, 0], ((speck - means) / stds)[0, 0]
print(f"corner of a training image: {corner}; with a speck: {corner_speck}")

guarded = (raw.x_train - means) / np.where(stds == 0, 1, stds)
each_pixel = raw.standardized()  # the same, and such a pixel is 0 in new images, too
largest = {"all": np.abs(x_valid).max(), "each": np.abs(each_pixel.x_valid).max()}

# %% tags=["claim"]
apart = np.abs(guarded - each_pixel.x_train).max()
ck.prove("Without a guard a constant pixel gives NaN, a speck in it infinity",
         np.isnan(corner) and np.isinf(corner_speck), f"{corner} and {corner_speck}")  # fmt: skip
ck.prove("With a guard every value is finite, and equal to raw.standardized()",
         np.isfinite(each_pixel.x_train).all() and np.isfinite(each_pixel.x_valid).all() and apart < 1e-3,
         f"{apart:.0e} apart")  # fmt: skip
ck.prove("The largest new value is at least five times as large with a σ for each pixel",
         largest["each"] > 5 * largest["all"], f"{largest['each']:.0f} against {largest['all']:.1f}")  # fmt: skip

# %% [markdown]
# **{{ np.mean(stds == 0):.0% }} of the pixels never change, and without a guard each of them is NaN in the first
# forward pass.** Divide by 1 where $\sigma = 0$. The same $\mu$ and $\sigma$ serve validation, test and the finished
# product; they are part of the model.
#
# The guard does not help where a pixel is *almost* constant. Its $\sigma$ is tiny, and a new image that inks it reaches
# {{ largest["each"]:,.0f }} standard deviations; with one $\sigma$ for all pixels the largest value is
# {{ largest["all"]:.1f }}. What that costs, section 4 measures. Features in different
# units need a $\sigma$ each; pixels share one unit.

# %% [markdown]
# ## 3 · Two configurations
#
# | | default | self-normalising |
# |---|---|---|
# | weights ([lesson 02](02_weight_initialisation.ipynb)) | He | LeCun |
# | activation ([03](03_activation_functions.ipynb)) | ReLU if shallow, Swish if deep | SELU |
# | normalisation ([04](04_batch_normalisation.ipynb)) | batch normalisation (배치 정규화, BN) before each activation | none |
# | gradients ([05](05_gradient_clipping.ipynb)) | clipped by global norm in recurrent nets and transformers | as they are |
# | regularisation ([10](10_regularisation.ipynb), [11](11_dropout.ipynb)) | early stopping (조기 종료), but not with cosine or 1cycle; more if the gap to validation asks for it | the same; alpha dropout in place of dropout |
# | optimizer ([08](08_optimizers.ipynb)) | Nesterov, or AdamW | Nesterov |
# | learning rate ([09](09_learning_rate_schedules.ipynb)) | from a tested rate: cosine or 1cycle (1사이클) where the epochs are fixed, performance scheduling where they are not | the same |
#
# The second is for one kind of net only: a plain stack of dense layers with standardised inputs. One skip
# connection, one convolution, one ℓ2 penalty, and its promise is void (lesson 03). Everything else takes the
# first. Before either, ask whether you can **reuse** a net that was trained for a similar task
# ([lesson 06](06_transfer_learning.ipynb)), or **pretrain** on unlabelled images
# ([07](07_pretraining.ipynb)). With few labels nothing below helps as much.
#
# This is the table of a famous textbook (Géron, 2022) with one change: there, shallow nets have no BN. Section 4
# shows what that is worth. The row of gradients and the cosine are added; lesson 09 could not tell its best
# schedules apart.
#
# `ck.recommend` is the table as a function: you state the facts, it returns the compiled net, its callbacks and
# a reason for every choice.

# %%
advice = ck.recommend((28, 28), 10, hidden=2)
print(advice)


# %% [markdown]
# **Predict first:** you go from five hidden layers to six, where "deep" begins here. Which rows change? And
# which for a net that must answer fast?


# %%
def changes(before, after):
    old = {row.what: row.choice for row in before.choices}
    return [f"{row.what}: {row.choice}" for row in after.choices if old.get(row.what) != row.choice]


five, six = (ck.recommend((28, 28), 10, hidden=depth) for depth in (5, 6))
print("six layers:         ", *changes(five, six), sep="  ")
for need in ("latency", "sparse", "uncertainty"):
    special = ck.recommend((28, 28), 10, hidden=6, needs=need)
    print(f"{need + ':':20}", *changes(six, special), sep="  ")
    print(" " * 20, *(f"  afterwards: {step}" for step in special.afterwards), sep="")

# %% tags=["claim"]
study = {(new, old): found for new, old, found in ck.study.load_report().differences()}
gains = {f"{new} − {old}": 100 * study[new, old].mean for new, old in (
    ("batch_norm", "baseline"), ("selu", "baseline"), ("one_cycle", "alpha_dropout"))}  # fmt: skip
ck.prove("In the study BN, SELU and SGD with 1cycle gain on average", min(gains.values()) > 0,
         ", ".join(f"{name} {gain:+.1f}" for name, gain in gains.items()))  # fmt: skip
dropped = study["alpha_dropout", "selu"]
ck.prove("There alpha dropout shows no gain that its seeds separate from 0",
         not (dropped.is_clear() and dropped.mean > 0), f"{100 * dropped.mean:+.1f} points")  # fmt: skip
records = ck.study.load_report().summary["variants"]["alpha_dropout"]["runs"]
kept = [run["best_epoch"] for run in records]
peak = [1 + int(np.argmax(run["curve"])) for run in records]
lost_by_loss = 100 * np.mean([max(run["curve"]) - run["validation_accuracy"] for run in records])
ck.prove("There the lowest validation loss comes before the highest accuracy, on average",
         np.mean(kept) < np.mean(peak), f"epochs {kept} and {peak}")  # fmt: skip
rows = [row.split(":")[0] for row in changes(five, six)]
ck.prove("From five layers to six only depth and activation change", rows == ["depth", "activation"],
         ", ".join(rows))  # fmt: skip
fast = changes(six, ck.recommend((28, 28), 10, hidden=6, needs="latency"))
ck.prove(
    "For fast answers only the activation changes", fast == ["activation: ReLU"], ", ".join(fast)
)

# %% [markdown]
# **From five layers to six {{ len(rows) }} rows change: the depth itself and the activation, ReLU to Swish.** For fast
# answers it is ReLU again. In the course's own study ([exercise 15](../exercises/15_cifar10_study.ipynb)), on
# photographs and with twenty layers, BN brought {{ gains["batch_norm − baseline"]:+.1f }} percentage points of test
# accuracy, SELU {{ gains["selu − baseline"]:+.1f }}, SGD with 1cycle, larger batches and no early stop in place of Nadam
# {{ gains["one_cycle − alpha_dropout"]:+.1f }}; alpha dropout
# {{ 100 * dropped.mean:+.1f }}{{ "" if dropped.is_clear() else ", which may be chance" }}. It has shown no gain, so it
# is no default: take it when you need dropout, for doubt or against overfitting.

# %% [markdown]
# ## 4 · Does the table keep its word?
#
# Against a net with ReLU and nothing else, at two depths: two hidden layers, and {{ deep }}. Each net at each
# depth gets a rate of its own, found by the same search, the same 1cycle and the same {{ epochs }} epochs, and
# is judged at their end.
#
# **Predict first:** at which depth does the recommended net gain more? Is there a gain at all where the
# textbook says that none is needed? And what does a $\sigma$ for each pixel (section 2) cost the plain net?


# %%
def plain(depth):
    model = ck.models.mlp((28, 28), 10, hidden=depth, activation="relu")
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
                  "sparse_categorical_crossentropy", metrics=["accuracy"])  # fmt: skip
    return model


def default(depth):
    return ck.recommend((28, 28), 10, hidden=depth).model


def self_normalising():
    return ck.recommend((28, 28), 10, hidden=deep, self_normalizing=True).model


# %%
budget = {"epochs": epochs, "batch_size": batch_size, "seeds": n_seeds, "rates": (0.01, 0.03, 0.1)}
one_cycle = {"callbacks": lambda peak: [ck.callbacks.OneCycle(peak)]}
runs = {
    depth: ck.compare({"plain ReLU": partial(plain, depth), "default": partial(default, depth)}
                      | ({"self-normalising": self_normalising} if depth == deep else {}),
                      data, **budget, **one_cycle)
    for depth in (2, deep)
}  # fmt: skip
pixels = ck.compare({"plain ReLU": partial(plain, 2)}, each_pixel, **budget, **one_cycle)

# %% tags=["plot"]
ends = {f"{name}, {depth} layers": 100 * values for depth, each in runs.items()
        for name, values in each.last("val_accuracy").items()}  # fmt: skip
ends["plain ReLU, 2 layers, σ for each pixel"] = 100 * pixels.last("val_accuracy")["plain ReLU"]
score = {name: values.mean() for name, values in ends.items()}
last = {d: each.last("val_accuracy") for d, each in runs.items()}
pairs = {d: {name: last[d][name] for name in ("plain ReLU", "default")} for d in runs}
ahead = {d: 100 * (pair["default"] - pair["plain ReLU"]) for d, pair in pairs.items()}
gain = {d: each.mean() for d, each in ahead.items()}
chance = {
    d: "" if ck.verdict(pair, better="higher").winner else " (may be chance)"
    for d, pair in pairs.items()
}
said = ", ".join(f"{each:+.1f} with {d} layers{chance[d]}" for d, each in gain.items())
more = ck.verdict({f"{d} layers": each for d, each in ahead.items()}, better="higher").winner
which = f"It gains more with {more}." if more else "Which depth gains more stays open."
ck.show(ck.plotting.strips(ends, xlabel=f"validation accuracy after {epochs} epochs, %",
                           title=f"The default against plain ReLU, in points: {said}"))  # fmt: skip
rates = {
    f"{name}, {d} layers": rate for d, each in runs.items() for name, rate in each.rates.items()
}
rates["plain ReLU, 2 layers, σ for each pixel"] = pixels.rates["plain ReLU"]
print("highest rates found:", *(f"  {name}: {rate:g}" for name, rate in rates.items()), sep="\n")

# %% tags=["claim"]
loss = {
    (name, d): values.mean() for d, each in runs.items() for name, values in each.last().items()
}
rare = score["plain ReLU, 2 layers"] - score["plain ReLU, 2 layers, σ for each pixel"]
lost_runs = sum(len(each.diverged[name]) for each in runs.values() for name in each.diverged
                if name != "plain ReLU")  # fmt: skip
ck.prove(
    "No recommended net diverges at the rate found for it", lost_runs == 0, f"{3 * n_seeds} runs"
)
ck.prove("The default's validation loss ends below plain ReLU's at both depths, on average",
         all(loss["default", d] < loss["plain ReLU", d] for d in runs),
         ", ".join(f"{name} {d}: {each:.2f}" for (name, d), each in loss.items()))  # fmt: skip
ck.prove("Taken over both depths it ends more accurate", sum(gain.values()) > 0, said)
ck.prove("With one σ for all pixels plain ReLU ends more accurate than with one for each, on average",
         rare > 0, f"{rare:+.1f} points")  # fmt: skip

# %% [markdown]
# **The default's validation loss is {{ loss["default", 2]:.2f }} against {{ loss["plain ReLU", 2]:.2f }} with two layers, and
# {{ loss["default", deep]:.2f }} against {{ loss["plain ReLU", deep]:.2f }} with {{ deep }}.** So BN pays in shallow nets too,
# where the textbook has none: they *train* without, which is true, and is another question. And accuracy? With two
# layers: {{ runs[2].verdict("val_accuracy").text }} With {{ deep }}: {{ runs[deep].verdict("val_accuracy").text }} {{ which }}
# The self-normalising net has the loss {{ loss["self-normalising", deep]:.2f }} here; in the study, with twenty layers, it gained
# {{ gains["selu − baseline"]:+.1f }} points on a plain one: take it for nets that deep where BN cannot be
# had (batches of one or two images, say).
#
# All this is said of {{ n:,d }} images and {{ epochs }} epochs: start from the table, then compare by validation. BN needs
# steps: its averages lag by hundreds of them (lesson 04), so in a very short run it looks worse than it is.
#
# **And a $\sigma$ for each pixel costs the plain net {{ rare:.1f }} percentage points**: rare pixels drown the
# others. How the inputs are scaled can be worth as much as the rest of the table.
#
# The runs above used 1cycle: the default's own schedule was not in this race. It waits: it halves the rate when the
# validation loss stops falling, and stops when the accuracy does. Both need a patience that **fits the run**: five
# epochs, out of habit, in a run of eight are hardly more than a constant rate. So `advice.callbacks(epochs)` asks for
# the epochs. And early stopping keeps the best epoch *by what it monitors*. In the study the weights of alpha dropout
# with the lowest validation loss were those of epoch {{ np.mean(kept):.0f }} on average, the most accurate ones those of
# epoch {{ np.mean(peak):.0f }} ({{ lost_by_loss:.1f }} points more, though a maximum flatters).

# %% [markdown]
# ## 5 · Special needs
#
# | you need | you change |
# |---|---|
# | **few weights** | ℓ1 in training, or set small weights to 0 afterwards ([lesson 10](10_regularisation.ipynb)) |
# | **fast answers** | fewer layers, ReLU in place of Swish (measure it as lesson 03 does: what it saves depends on the machine), fold BN; float16 or int8 only where your machine is faster with them |
# | **to know when it does not know** | dropout (드롭아웃), left on at prediction: Monte Carlo dropout ([lesson 11](11_dropout.ipynb)) |
#
# **Few weights.** Take the trained shallow net, fold its BN away (section 6), and set the smallest hidden
# weights to 0. **Predict first:** how many can go before it loses a percentage point?


# %%
def accuracy(model, images=x_valid, labels=y_valid):
    return 100 * np.mean(np.array(model(images, training=False)).argmax(axis=1) == labels)


def pruned(weights, share):
    hidden = np.concatenate([np.abs(w).ravel() for w in weights[:-2] if w.ndim == 2])
    limit = np.quantile(hidden, share)
    return [w * (np.abs(w) > limit) if w.ndim == 2 and i < len(weights) - 2 else w
            for i, w in enumerate(weights)]  # fmt: skip


small = ck.folding.fold_batch_norm(runs[2].models["default"])
weights, shares, left = small.get_weights(), np.array([0, 30, 50, 60, 70, 80, 90, 95]), []
for share in shares:
    small.set_weights(pruned(weights, share / 100))
    left.append(accuracy(small))
can_go = max(share for share, right in zip(shares, left, strict=True) if right > left[0] - 1)

# %% tags=["plot"]
ck.show(ck.plotting.lines({"validation accuracy": left}, shares, xlabel="hidden weights set to 0, %",
                          ylabel="validation accuracy, %",
                          title=f"{can_go}% of the hidden weights can go for less than a percentage point"))  # fmt: skip
on_test = []
for share in (0, can_go):
    small.set_weights(pruned(weights, share / 100))
    on_test.append(accuracy(small, x_test, y_test))
print(
    f"the test images, once: {on_test[0]:.1f}% right with all weights, {on_test[1]:.1f}% without these {can_go}%"
)

# %% tags=["claim"]
ck.prove("A third of the hidden weights can go for less than a percentage point, 95% cannot",
         30 <= can_go < 95, f"{can_go}% can; at 95% it is {left[0] - left[-1]:.1f} points")  # fmt: skip

# %% [markdown]
# **{{ can_go }}% of the hidden weights can be set to 0 for less than one percentage point, without any training**;
# at 95% the net loses {{ left[0] - left[-1]:.0f }}. ℓ1 in training moves that limit
# (lesson 10). (A sparse array is only smaller once you store it as one.)
#
# **Fast answers.** Count before you cut. With 100 units, images of 784 pixels and ten classes, two hidden
# layers take {{ 784 * 100 + 100 * 100 + 1000:, }} multiplications for an image, three take
# {{ 784 * 100 + 2 * 100 * 100 + 1000:, }}: of a third of the layers only a tenth of the work is saved, because the
# first layer does most of it. Smaller images would save more than fewer layers. Multiplications are not time, though:
# for a single image each layer costs time of its own (section 6).
#
# **Doubt.** Show the net what it has never seen: the test images with their pixels shuffled, one permutation
# for all. Doubt is the entropy of its answer. It should be higher for nonsense than for digits, and higher
# where the net is wrong. The area under the ROC curve (AUC) says how well it tells them apart: the chance that,
# of one image of each kind, the nonsense (or the wrongly classified image) gets more doubt; 0.5 is a coin.
# **Predict first:** does the mean of 50 predictions with dropout left on (`ck.mc_predict`) tell them apart better than
# one prediction with dropout off? And the epistemic part, by which the 50 disagree (lesson 11)?

# %%
keras.utils.set_random_seed(lab.seed)
unsure = ck.recommend((28, 28), 10, hidden=2, needs="uncertainty", schedule="1cycle")
unsure.model.fit(
    x, y, batch_size=batch_size, epochs=epochs, callbacks=unsure.callbacks(epochs), verbose=0
)

some, labels = x_test[:1000], y_test[:1000]
shuffle = np.random.default_rng(0).permutation(784)
nonsense = some.reshape(-1, 784)[:, shuffle].reshape(some.shape)
both = np.concatenate([some, nonsense])
one = np.array(unsure.model(both, training=False))
mc = ck.mc_predict(unsure.model, both, samples=50, seed=0)
epistemic = ck.uncertainty.mutual_information(mc.samples)

# %% tags=["plot"]
auc, doubt, entropy = {}, {}, ck.uncertainty.predictive_entropy
for name, p, doubts in (("dropout off", one, entropy(one)), ("mean of 50", mc.mean, entropy(mc.mean)),
                        ("epistemic part", mc.mean, epistemic)):  # fmt: skip
    doubt[name] = doubts[:1000].mean(), doubts[1000:].mean()
    auc[f"{name}: nonsense or digit"] = roc_auc_score(np.arange(2000) >= 1000, doubts)
    auc[f"{name}: wrong or right"] = roc_auc_score(p[:1000].argmax(1) != labels, doubts[:1000])
ck.show(
    ck.plotting.bars(
        auc,
        title="With dropout left on no measure separates much better (0.5 is a coin)",
        xlabel="AUC",
        form=".3f",
    )
)

# %% tags=["claim"]
ck.prove("Doubt tells nonsense from digits and wrong answers from right ones, with dropout off and on",
         min(area for name, area in auc.items() if "epistemic" not in name) > 0.7,
         ", ".join(f"{name} {area:.3f}" for name, area in auc.items()))  # fmt: skip
apart = [abs(auc[f"dropout off: {each}"] - auc[f"mean of 50: {each}"])
         for each in ("nonsense or digit", "wrong or right")]  # fmt: skip
ck.prove("The mean of 50 orders the images nearly as one prediction does", max(apart) < 0.05,
         f"AUC {max(apart):.3f} apart at most")  # fmt: skip
better = [auc[f"epistemic part: {each}"] - auc[f"dropout off: {each}"]
          for each in ("nonsense or digit", "wrong or right")]  # fmt: skip
ck.prove("The epistemic part separates hardly better than one prediction, or worse", max(better) < 0.05,
         ", ".join(f"AUC {each:+.3f}" for each in better))  # fmt: skip
ck.prove("Dropout left on raises the mean doubt for digits, too",
         doubt["mean of 50"][0] > doubt["dropout off"][0],
         f"{doubt['mean of 50'][0]:.2f} against {doubt['dropout off'][0]:.2f} nats")  # fmt: skip

# %% [markdown]
# **Nonsense is told from digits with an AUC of {{ auc["dropout off: nonsense or digit"]:.3f }} with dropout off and
# {{ auc["mean of 50: nonsense or digit"]:.3f }} with the mean of 50; wrong answers from right ones with
# {{ auc["dropout off: wrong or right"]:.3f }} and {{ auc["mean of 50: wrong or right"]:.3f }}.** That the mean of 50 doubts
# more is no merit by itself: its doubt rises for digits as well, from {{ doubt["dropout off"][0]:.2f }} to
# {{ doubt["mean of 50"][0]:.2f }} nats. What counts is the order, and that is nearly the same. The epistemic part
# has an AUC of {{ auc["epistemic part: nonsense or digit"]:.3f }} and {{ auc["epistemic part: wrong or right"]:.3f }}.
# This is one net: in lesson 11 the epistemic part separated strange pictures better, and whether the probabilities
# improved depended on the net.

# %% [markdown]
# ## 6 · Smaller: fold, round, store
#
# The deep net is trained. Three steps shrink it without any training:
#
# 1. **Fold** each BN into the dense layer before it (lesson 04): the same function, fewer layers.
# 2. **float16**: store every number in 2 bytes in place of 4.
# 3. **int8**: store every weight in 1 byte, as a whole number $q$ from −127 to 127, with one scale $s$ for each
#    unit (column): $w \approx s \cdot q$, where $s = \max|w| / 127$.
#
# ### Explore: whole numbers
#
# Play with the third first: the weights of one hidden layer, and what is left of them. At how many bits can you
# count the levels? What does the tick box do to the error?


# %%
def quantise(w, bits=8, per_unit=True):
    """Return whole numbers and scales: w ≈ scale * q, symmetric around 0."""
    top = 2 ** (bits - 1) - 1
    largest = np.abs(w).max(axis=0) if per_unit else np.abs(w).max()
    scale = np.where(largest == 0, 1, largest) / top
    return np.round(w / scale).astype(np.int8), scale.astype(np.float32)


trained = runs[deep].models["default"]
folded = ck.folding.fold_batch_norm(trained)
original = folded.get_weights()


# %% tags=["helper"]
def draw_levels(bits, hidden_layer, one_scale_per_unit):
    w = [each for each in original if each.ndim == 2][hidden_layer - 1]
    q, scale = quantise(w, bits, one_scale_per_unit)
    error = np.sqrt(np.mean((q * scale - w) ** 2)) / w.std()
    edges = 0.075 * w.std() * np.arange(-40.5, 41)
    fig, ax = plt.subplots(figsize=(7.5, 3.2))
    for i, (name, each) in enumerate((("float32", w), (f"{bits} bits", q * scale))):
        ax.hist(each.ravel(), edges, log=True, alpha=0.6, color=ck.plotting.COLORS[i], label=name)
    ax.set(xlabel="weight", ylabel="number of weights",
           title=f"{len(np.unique(q))} whole numbers; error {error:.1%} of the weights' standard deviation")  # fmt: skip
    ax.legend()
    return fig


ck.widgets.explore(draw_levels, bits=(3, 8, 4), hidden_layer=(1, deep, 2), one_scale_per_unit=False,
                   alt="Two histograms of a layer's weights: as trained they fill every bar, rounded only a few.")  # fmt: skip

# %% [markdown]
# **Predict first:** how many percentage points of accuracy does each step cost, and how much of the size does it
# save? At how many bits does it begin to hurt? What does one scale for the whole matrix lose against one for
# each unit?


# %%
def rounded(bits, per_unit=True):
    return [np.multiply(*quantise(w, bits, per_unit)) if w.ndim == 2 else w for w in original]


halves = [w.astype(np.float16) for w in original]
codes = [part for w in original for part in (quantise(w) if w.ndim == 2 else (w,))]
stored = {"as trained": trained.get_weights(), "folded": original, "folded, float16": halves,
          "folded, int8": codes}  # fmt: skip
kilobytes = {name: sum(w.nbytes for w in arrays) / 1000 for name, arrays in stored.items()}
right = {"as trained": accuracy(trained)}
read_back = {"folded": original, "folded, float16": halves, "folded, int8": rounded(8)}
for name, weights in read_back.items():
    folded.set_weights(weights)
    right[name] = accuracy(folded)
for name, size in kilobytes.items():
    print(f"{name:16s} {size:5.0f} kB   {right[name]:.2f}% of the validation images right")

# %%
bits, lost = (8, 7, 6, 5, 4, 3), {"a scale for each unit": [], "one scale for the matrix": []}
folded.set_weights(original)
before, moved = folded.predict(x_valid, verbose=0), {name: [] for name in lost}
for name, per_unit in zip(lost, (True, False), strict=True):
    for count in bits:
        folded.set_weights(rounded(count, per_unit))
        lost[name].append(right["folded"] - accuracy(folded))
        moved[name].append(np.abs(folded.predict(x_valid, verbose=0) - before).mean())
ck.show(ck.plotting.lines(lost, bits, title="Few bits cost little until they cost a lot",
                          xlabel="bits for each weight", ylabel="percentage points of accuracy lost"))  # fmt: skip
folded.set_weights(rounded(8))
print(f"the test images, once: {accuracy(trained, x_test, y_test):.2f}% right as trained, "
      f"{accuracy(folded, x_test, y_test):.2f}% folded, int8")  # fmt: skip
folded.set_weights(original)

# %% tags=["claim"]
cost = {name: right["as trained"] - value for name, value in right.items()}
size = {name: value / kilobytes["as trained"] for name, value in kilobytes.items()}
ck.prove("Folding and float16 cost at most one percentage point and save at least 40%",
         cost["folded, float16"] <= 1 and size["folded, float16"] <= 0.6,
         f"{cost['folded, float16']:.2f} points, {1 - size['folded, float16']:.0%}")  # fmt: skip
ck.prove("int8 costs at most one percentage point and saves at least 65%",
         cost["folded, int8"] <= 1 and size["folded, int8"] <= 0.35,
         f"{cost['folded, int8']:.2f} points, {1 - size['folded, int8']:.0%}")  # fmt: skip
unit, matrix = (100 * np.mean(each) for each in moved.values())
ck.prove("A scale for each unit moves the probabilities less than one for the matrix, on average over the bits",
         unit < matrix, f"{unit:.2f} against {matrix:.2f} points")  # fmt: skip
ck.prove("Three bits cost more than eight, on average over both", np.mean([each[-1] - each[0] for each in lost.values()]) > 0,
         ", ".join(f"{each[-1]:.1f} against {each[0]:.1f}" for each in lost.values()))  # fmt: skip

# %% [markdown]
# **int8 takes {{ size["folded, int8"]:.0% }} of the bytes and costs {{ cost["folded, int8"]:.2f }} percentage points;
# float16 takes {{ size["folded, float16"]:.0% }} and costs {{ cost["folded, float16"]:.2f }}.** With 4 bits and a scale for
# each unit the net loses {{ lost["a scale for each unit"][4]:.1f }}, with one scale for the matrix
# {{ lost["one scale for the matrix"][4]:.1f }}; on average over the bits the probabilities move by {{ unit:.2f }} and
# by {{ matrix:.2f }} points: after folding, units differ in size, and the largest one makes the steps
# coarse for all. (TensorFlow Lite, now LiteRT, does such conversions for phones, and packs 4 bits into half a byte.)
#
# ### Smaller is not faster
#
# So far only the *stored* numbers shrank; the arithmetic was float32 as before. Now let Keras compute in float16,
# or with int8 matrices (`layer.quantize("int8")`, which also rounds the inputs of each layer, anew for each
# call). **Predict first:** which of the four is fastest on your CPU?


# %% tags=["helper"]
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


# %% tags=["helper"]
def in_a_loop(model, times=50):
    """Return one compiled program that predicts one image, again and again: no Python between."""

    def once(i, image):
        p = tf.cast(model(image, training=False), tf.float32)
        return i + 1, image + 1e-9 * tf.reduce_sum(p)  # so that no round can be left out

    def run(image):
        return tf.while_loop(lambda i, _: i < times, once, (0, image))[1]

    return tf.function(run, autograph=False)


def timed_in_turns(models, rounds=40):
    """Return the seconds of each, (rounds, models): in each round all take their turn."""
    one = tf.constant(x_test[:1])
    runs = [in_a_loop(model) for model in models]
    times, draw = np.zeros((rounds, len(runs))), np.random.default_rng(0)
    for run in runs:
        run(one)
    for row in times:
        for i in draw.permutation(len(runs)):
            start = time.perf_counter()
            runs[i](one).numpy()
            row[i] = time.perf_counter() - start
    return times


# %%
versions = {"as trained": trained, "BN folded": folded, "float16 arithmetic": in_float16(folded),
            "int8 by Keras": in_int8(folded)}  # fmt: skip
times = timed_in_turns(list(versions.values()))
ratios = {
    name: np.median(turns / times[:, 0]) for name, turns in zip(versions, times.T, strict=True)
}
faster = {name: np.mean(turns < times[:, 0]) for name, turns in zip(versions, times.T, strict=True)}
for name, model in versions.items():
    often = "" if model is trained else f", faster in {faster[name]:.0%} of the rounds"
    print(
        f"{name:19s} {accuracy(model):.2f}% right, {ratios[name]:.2f} × the trained net's time{often}"
    )

# %% tags=["claim"]
steps = {name: len(model.layers) for name, model in (("trained", trained), ("folded", folded))}
same = np.abs(np.array(trained(x_test[:500])) - np.array(folded(x_test[:500]))).max()
ck.prove("The folded net has a layer less for every BN, and gives the same probabilities",
         steps["trained"] - steps["folded"] == deep and same < 1e-4, f"{steps}, {same:.0e} apart")  # fmt: skip
worst = max(right["as trained"] - accuracy(model) for model in versions.values())
ck.prove("No arithmetic costs more than 1.5 percentage points", worst < 1.5, f"at most {worst:.2f}")

# %% [markdown]
# **One image at a time, the folded net took {{ ratios["BN folded"]:.2f }} of the trained net's time when this run measured
# it (it was faster in {{ faster["BN folded"]:.0% }} of the rounds), float16 arithmetic
# {{ ratios["float16 arithmetic"]:.2f }}, int8 {{ ratios["int8 by Keras"]:.2f }}.** (The last two are folded as well, so hold
# them against the folded one.) The four took turns, so that they met the
# same disturbances, each round fifty predictions inside one compiled program: at this size, calling from Python would
# cost more than the net. Folding takes whole layers away and has something to save on any machine. Fewer bits save time
# only where the processor has instructions for them and the library uses them: phones, graphics cards, special
# chips. Measure on the machine that it will run on, with the batch size that it will see.
#
# ### The file that you ship
#
# `model.save` stores the optimizer too, and many texts pass `include_optimizer=False` to leave it out.
# **Predict first:** how much smaller does that make the file?

# %%
bare = keras.Sequential([keras.Input((28, 28)), *trained.layers])  # not compiled
saved = {}
with tempfile.TemporaryDirectory() as folder:
    for name, model, option in (("as trained", trained, {}), ("not compiled", bare, {}),
                                ("include_optimizer=False", trained, {"include_optimizer": False})):  # fmt: skip
        model.save(Path(folder) / f"{name}.keras", **option)
        saved[name] = (Path(folder) / f"{name}.keras").stat().st_size / 1000
        print(f"{name:24s} {saved[name]:5.0f} kB")

# %% tags=["claim"]
ck.prove("For .keras files Keras ignores include_optimizer=False",
         abs(saved["include_optimizer=False"] / saved["as trained"] - 1) < 0.01,
         f"{saved['include_optimizer=False']:.0f} and {saved['as trained']:.0f} kB")  # fmt: skip
ck.prove("A model that is not compiled takes less than 70% of the file",
         saved["not compiled"] < 0.7 * saved["as trained"], f"{saved['not compiled']:.0f} kB")  # fmt: skip

# %% [markdown]
# **Not at all: {{ saved["include_optimizer=False"]:.0f }} kB against {{ saved["as trained"]:.0f }}; the same layers in a
# model that is not compiled take {{ saved["not compiled"]:.0f }}.** For `.keras` files this version of Keras takes the
# option and ignores it, without a word. Nesterov keeps a velocity for each weight, Adam two numbers: you need them to
# go on training, not to predict. Ship a model that is not compiled, such as the folded one.
#
# ## Pitfalls
#
# - **SELU with skip connections, ordinary dropout or ℓ2.** The conditions of self-normalisation are broken; take
#   the default.
# - **Statistics from all images.** $\mu$ and $\sigma$ come from the training images only.
# - **Regularising too early.** First reach a low training loss, then close the gap to validation.
# - **Early stopping inside a 1cycle.** The lowest rates, at the end, do the best work. Choose the number of
#   epochs instead.
# - **Overfitting one batch with dropout on, and judging the training loss.** Judge without dropout.
# - **Folding, then training on.** The noise of BN is gone and the scales have changed. Fold last.
# - **Numbers beyond 65,504 become infinite in float16.** Rare in weights, not in activations.
# - **A converted net that nobody tested.** Measure its accuracy, and at the end on the test images.
#
# ## What to do tomorrow
#
# 1. Before you train: look at ten pairs, run a baseline, read the loss at the start, overfit one batch.
# 2. Start with He weights, BN, ReLU or Swish, Nesterov, and a tested rate that falls; SELU where BN cannot be had.
# 3. Let every schedule and every patience fit the epochs that you will train.
# 4. Compare your one change with the table's choice: same epochs, a searched rate for each, several seeds.
# 5. Shrink last: fold, store int8 with a scale for each unit, then measure accuracy, size and time.
#
# ## Recap
#
# - Debug in order: data, loss at the start, one batch, learning rate. Each step has a number known beforehand.
# - Standardise with the training statistics; guard constant pixels, and mind the almost constant ones.
# - The default has BN at any depth; where it cannot be had, a deep plain stack takes SELU.
# - Few weights, fast answers and honest doubt are different needs: decide which you have before you train.
# - Fewer bytes are cheap, and not by themselves faster.
#
# ## Now practise
#
# Open [exercise 13](../exercises/13_practical_guidelines.ipynb): choose for real cases, write the one-batch check,
# cure a sick training, quantise weights, and shrink a net of your own. Then go on with exercise
# [14 Review questions](../exercises/14_review_questions.ipynb): seven questions of the textbook on lessons 02, 03, 08,
# 10 and 11.
#
# ## Further reading
#
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "Summary and Practical Guidelines"; chapter 19 for models on phones.
# - I. Goodfellow, Y. Bengio and A. Courville, *Deep Learning*, MIT Press 2016: chapter 11, "Practical
#   Methodology"; section 11.5, debugging strategies.
# - A. Karpathy, *A Recipe for Training Neural Networks*, 2019 (blog): loss at the start, overfit one batch.
# - B. Jacob and others, *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
#   Inference*, CVPR 2018, arXiv:1712.05877: section 2, the scheme; section 3.2, folding.
# - R. Krishnamoorthi, *Quantizing Deep Convolutional Networks for Efficient Inference: A Whitepaper*, 2018,
#   arXiv:1806.08342: section 3, per-channel scales.
# - S. Han, J. Pool, J. Tran and W. J. Dally, *Learning both Weights and Connections for Efficient Neural
#   Networks*, NeurIPS 2015, arXiv:1506.02626: pruning.
