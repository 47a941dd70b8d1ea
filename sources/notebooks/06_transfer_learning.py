# %% [markdown]
# # 06 Transfer learning
#
# Somebody has trained a net on thousands of labelled pictures. You have twenty. Do you have to start
# from nothing?
#
# ## What you will be able to do
#
# After about {{ minutes.reading }} minutes of reading, or {{ minutes.with_code }} minutes with the
# code, you will be able to
#
# - reuse the lower layers of a trained net for a task of your own (transfer learning, 전이 학습);
# - copy a model *with* its weights, and prove that the original stays as it is;
# - freeze and thaw layers so that Keras takes notice;
# - follow the five-step recipe, and decide how many layers to reuse, and from which net;
# - tell a gain that is there from one that was found by trying often enough.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np

# %% [markdown]
# ## 1 · Two tasks, and a net for the first
#
# **Task A** has eight classes and thousands of labels. **Task B** has the two classes that are left,
# and you have labels for only a few of its pictures. Nobody chose these two because they work well:
# they are the last of the list. This is the plan:
#
# ![Three stacks of layers. Model A, trained on eight classes, keeps its output; its four hidden layers are copied into model B. In phase 1 the copies are frozen and only a new output layer learns; in phase 2 they are thawed and all layers learn at a lower rate.](../figures/reused_layers.svg)
#
# There are two kinds of images: colour pictures, and handwritten digits, made the same size so that layers
# can move from one to the other (the digits return in sections 8 and 9). Nothing is downloaded but the data.

# %%
n_a, epochs_a, steps, n_seeds, n_valid, n_test, counts = lab.pick(
    quick=(6_000, 6, 40, 3, 400, 500, (20, 200)),
    standard=(10_000, 6, 40, 5, 400, 1_000, (20, 50, 200)),
    full=(30_000, 12, 100, 10, 400, 1_000, (20, 50, 200, 1_000)),
)
whole = {"pictures": ck.load("cifar10"), "digits": ck.load("mnist")}
task_a = {kind: data.only(range(8)).subset(n_a) for kind, data in whole.items()}
task_b = {kind: data.only([8, 9]) for kind, data in whole.items()}


# %% tags=["helper", "plot"]
def small(x):
    """Make images 16×16×3 with values from -0.5 to 0.5; a digit gets three equal colours."""
    if x.ndim == 3:
        x = np.repeat(np.pad(x, ((0, 0), (2, 2), (2, 2)))[..., None], 3, axis=-1)
    return x.reshape(len(x), 16, 2, 16, 2, 3).mean(axis=(2, 4)) - 0.5


def parts(task):
    """Return the validation and the test images of a task, each as (x, y)."""
    valid, test = (task.x_valid[:n_valid], task.y_valid[:n_valid]), (task.x_test, task.y_test)
    return [(small(x), y) for x, y in (valid, (test[0][:n_test], test[1][:n_test]))]


def accuracy(model, x, y):
    return float(np.mean(np.argmax(model(x), axis=1) == y))


test_a = {kind: parts(task)[1] for kind, task in task_a.items()}
valid_b, test_b = ({kind: parts(task)[i] for kind, task in task_b.items()} for i in (0, 1))

shown = [(kind, c) for kind in whole for c in range(10)]
first = {
    kind: [np.flatnonzero(data.y_test == c)[0] for c in range(10)] for kind, data in whole.items()
}
ck.show(ck.plotting.images(
    np.array([small(whole[kind].x_test[first[kind][c]][None])[0] + 0.5 for kind, c in shown]),
    [f"{'AB'[c > 7]}: {whole[kind].class_names[c]}" for kind, c in shown],
    title="Eight classes for task A, two for task B; as the nets see them"))  # fmt: skip

# %% [markdown]
# Two nets: a small convolutional one (CNN) and a dense one. A convolutional layer moves small kernels, here of
# 3×3 pixels, over the picture: the same few weights at every place. `compiled` is the same for all.


# %%
def cnn(n_classes):
    conv = partial(keras.layers.Conv2D, kernel_size=3, strides=2, padding="same",
                   activation="relu", kernel_initializer="he_normal")  # fmt: skip
    dense4 = keras.layers.Dense(64, "relu", kernel_initializer="he_normal", name="dense4")
    hidden = [conv(16, name="conv1"), conv(32, name="conv2"), conv(64, name="conv3"),
              keras.layers.Flatten(), dense4]  # fmt: skip
    output = keras.layers.Dense(n_classes, "softmax", name="output")
    return keras.Sequential([keras.Input((16, 16, 3)), *hidden, output])


def dense_net(n_classes):
    hidden = [keras.layers.Dense(100, "relu", kernel_initializer="he_normal") for _ in range(2)]
    output = keras.layers.Dense(n_classes, "softmax", name="output")
    return keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten(), *hidden, output])


# %%
def compiled(model, optimizer):
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train_a(net, kind):
    keras.utils.set_random_seed(lab.seed)
    model = compiled(net(8), keras.optimizers.Adam(0.002))
    x, y = small(task_a[kind].x_train), task_a[kind].y_train
    ck.fit(model, x, y, epochs=epochs_a, batch_size=64, verbose=0, seed=lab.seed)
    return model


nets = {"CNN": cnn, "dense net": dense_net}
models_a = {(net, kind): train_a(nets[net], kind) for net in nets for kind in whole}
model_a = models_a["CNN", "pictures"]

# %% tags=["claim"]
right_a = {of: accuracy(model, *test_a[of[1]]) for of, model in models_a.items()}
ck.prove("Every model A has learned its task: twice as good as guessing among eight at least",
         min(right_a.values()) > 0.25,
         ", ".join(f"{net} on {kind} {right:.1%}" for (net, kind), right in right_a.items()))  # fmt: skip

# %% [markdown]
# **Model A, the CNN on pictures, names {{ right_a["CNN", "pictures"]:.0% }} of new pictures correctly
# (guessing: {{ 1 / 8:.1% }}).** It has never seen a {{ " or a ".join(task_b["pictures"].class_names) }}.

# %% [markdown]
# ## 2 · What does A see in pictures it was not made for?
#
# Each layer of model A turns a picture into numbers.
#
# ### Explore: feature maps
#
# Choose a layer and look at its **feature maps**:
# bright where the layer answers, dark where it does not. (They are computed at every place of the
# picture; the net itself takes every second one and halves the size.) Compare with a net that was never trained.


# %% tags=["helper"]
import matplotlib.pyplot as plt

keras.utils.set_random_seed(lab.seed + 1)
eyes = {"trained on A": model_a, "never trained": cnn(8)}


def feature_maps(model, upto, x):
    """Return a convolution's answers at every place of one picture, shape (16, 16, channels)."""
    x = x[None]
    for i in range(int(upto[-1])):
        kernel, bias = model.get_layer(f"conv{i + 1}").get_weights()
        x = np.maximum(keras.ops.conv(x, kernel, padding="same", dilation_rate=2**i) + bias, 0)
    return x[0]


def draw_maps(layer, net, picture):
    x, y = test_b["pictures"]
    maps = feature_maps(eyes[net], layer, x[picture])
    liveliest = np.argsort(-maps.std(axis=(0, 1)))[:9]
    fig, axes = plt.subplots(2, 5, figsize=(8, 3.7))
    axes[0, 0].imshow(x[picture] + 0.5)
    axes[0, 0].set_title(task_b["pictures"].class_names[y[picture]], fontsize=9)
    for ax, channel in zip(axes.flat[1:], liveliest, strict=True):
        ax.imshow(maps[..., channel], cmap="gray")
        ax.set_title(f"map {channel}", fontsize=8, fontweight="normal")
    for ax in axes.flat:
        ax.set_axis_off()
    fig.suptitle(f"{layer}, {net}: the nine liveliest of its {maps.shape[-1]} maps", x=0.01, ha="left",
                 fontsize=11, fontweight="bold")  # fmt: skip
    return fig


ck.widgets.explore(
    draw_maps,
    alt="A small picture of task B and nine feature maps of the chosen layer in grey: bright where it "
    "answers.",
    layer=["conv1", "conv2", "conv3"],
    net=list(eyes),
    picture=(0, 40, 1),
)

# %% [markdown]
# Pretty pictures prove nothing. So give each layer a test that needs no training: take its outputs for 50
# labelled pictures of B, scale each of them to standard deviation 1, and take their mean for each class.
# Then give every test picture the class whose mean is nearest.
#
# **Predict first:** which layer of A separates B's classes best? Does it beat the bare pixels? And the
# same layer of the net that was never trained?


# %%
def nearest_mean(see, kind="pictures", n=50):
    """Return the share of B's test images that are nearest to their own class, for each draw."""
    (x, y), shares = test_b[kind], []
    for seed in range(lab.seed, lab.seed + 10):
        part = task_b[kind].subset(n, seed)
        known = see(small(part.x_train))
        std = np.where(known.std(axis=0) > 0, known.std(axis=0), 1)
        means = np.stack([known[part.y_train == c].mean(axis=0) for c in (0, 1)])
        distances = np.linalg.norm((see(x)[:, None] - means) / std, axis=2)
        shares.append(np.mean(distances.argmin(axis=1) == y))
    return shares


# %%
def flat(x, upto):
    """Return the outputs of a layer, or the pixels themselves, one row for each image."""
    return np.array(x if upto is None else upto(x)).reshape(len(x), -1)


layers = ["conv1", "conv2", "conv3", "dense4"]
share = {
    net: np.transpose([nearest_mean(partial(flat, upto=None))] + [
        nearest_mean(partial(flat, upto=keras.Model(model.inputs[0], model.get_layer(name).output)))
        for name in layers
    ])
    for net, model in eyes.items()
}  # fmt: skip

# %% tags=["plot", "claim"]
tops = {net: values.mean(axis=0) for net, values in share.items()}
best_layer = ["pixels", *layers][tops["trained on A"].argmax()]
top_two = np.argsort(-tops["trained on A"][1:])[:2] + 1
ck.show(ck.plotting.lines(
    share, range(5), crosses=False,
    title="What A learned pays for B: "
    + "".join(f"{layers[i - 1]} {tops['trained on A'][i]:.1%}, " for i in top_two)
    + f"pixels {tops['trained on A'][0]:.1%}",
    xlabel="layer (0: the pixels, 1 to 3: convolutions, 4: dense4)",
    ylabel="nearest to their own class"))  # fmt: skip

seen, drawn = (tops[net] for net in eyes)
ck.prove("Some layer of A separates B's classes better than the pixels do", seen.max() > seen[0] + 0.02,
         f"{best_layer} {seen.max():.3f}, pixels {seen[0]:.3f}")  # fmt: skip
ck.prove("A's layers do better than those of a net that was never trained, on average over four",
         seen[1:].mean() > drawn[1:].mean() + 0.02, f"{seen[1:].mean():.3f} > {drawn[1:].mean():.3f}")  # fmt: skip

# %% [markdown]
# **Seen through A's layers, {{ seen[1:].mean():.0% }} of B's pictures are nearest to their own class, on average
# over the four; in bare pixels {{ seen[0]:.0% }}, through untrained layers {{ drawn[1:].mean():.0% }}.** The best two,
# `{{ layers[top_two[0] - 1] }}` with {{ seen[top_two[0]]:.1% }} and `{{ layers[top_two[1] - 1] }}` with
# {{ seen[top_two[1]]:.1% }}, cannot be told apart. Not one label of task B was used to make these layers. What they
# learned for the other eight classes, edges and colours at the bottom, larger parts above, serves these two as well.
# This is why transfer works.

# %% [markdown]
# ## 3 · How much of A is in its clone?
#
# You want to reuse model A and keep it. So you clone it: `keras.models.clone_model(model_a)`.
#
# **Predict first:** for what share of the test images do A and its clone name the same class?

# %%
clone = keras.models.clone_model(model_a)
copy = keras.models.clone_model(model_a)
copy.set_weights(model_a.get_weights())

x, y = test_a["pictures"]
given, agree = np.array(model_a(x)), {}
for name, model in (("clone_model", clone), ("clone_model and set_weights", copy)):
    agree[name] = np.mean(np.argmax(model(x), axis=1) == given.argmax(axis=1))
    print(f"{name:28s} same class as A: {agree[name]:6.1%}")

# %% tags=["claim"]
own = ck.transfer.clone(model_a)
shared = {id(v) for v in own.weights} & {id(v) for v in model_a.weights}
ck.prove(
    "A bare clone does not predict like A",
    agree["clone_model"] < 0.5,
    f"{agree['clone_model']:.1%}",
)
ck.prove("With set_weights the copy predicts like A, bit for bit", np.array_equal(copy(x), given),
         f"{len(x)} images, 8 probabilities each")  # fmt: skip
ck.prove("ck.transfer.clone makes such a copy, with weights of its own",
         np.array_equal(own(x), given) and not shared, f"{len(shared)} weights shared")  # fmt: skip

# %% [markdown]
# **A and its clone agree on {{ agree["clone_model"]:.0% }} of the images, about as often as chance would
# have it.** `clone_model` copies the *structure* and draws new weights. Only with `set_weights` is it a
# copy. `ck.transfer.clone` does both.

# %% [markdown]
# ## 4 · What if B borrows A's layers?
#
# The obvious way to build model B is to take A's layers, all but the output, and to put a new output
# layer on top. The layers are then *the same objects* in both models.
#
# **Predict first:** you train B with 200 labels. What becomes of A's accuracy on its own task?


# %%
def with_new_output(layers):
    """Return a model of these very layers, with a new output layer for two classes."""
    new = keras.layers.Dense(2, "softmax", name="new_output")
    return compiled(
        keras.Sequential([keras.Input((16, 16, 3)), *layers, new]), keras.optimizers.Adam(0.003)
    )


lender = ck.transfer.clone(model_a)  # it plays the part of A, so that A itself stays as it is
part = task_b["pictures"].subset(200)
remembers = {"before": accuracy(lender, x, y)}
for name, layers_b in (("after training B on a copy", ck.transfer.clone(lender).layers[:-1]),
                       ("after training B on A's own layers", lender.layers[:-1])):  # fmt: skip
    model_b = with_new_output(layers_b)
    ck.fit(model_b, small(part.x_train), part.y_train, epochs=10, batch_size=20, verbose=0, seed=1)
    remembers[name] = accuracy(lender, x, y)

# %% tags=["plot", "claim"]
before, on_copy, on_own = remembers.values()
ck.show(ck.plotting.bars(
    {**remembers, "guessing": 1 / 8}, form=".1%", xlabel="A's accuracy on its own eight classes",
    title=f"On borrowed layers B costs A {100 * (before - on_own):.0f} points; on a copy nothing"))  # fmt: skip

moved = {
    a.name: float(np.linalg.norm(b.kernel - a.kernel) / np.linalg.norm(a.kernel))
    for a, b in zip(model_a.layers, lender.layers, strict=True) if a.weights
}  # fmt: skip
ck.prove(
    "Training B on a copy leaves A's accuracy as it is",
    on_copy == before,
    f"{before:.3f}, {on_copy:.3f}",
)
ck.prove(
    "Training B on A's own layers makes A forget",
    on_own < before - 0.05,
    f"{before:.3f} to {on_own:.3f}",
)
ck.prove("Every shared kernel has moved, A's output has not",
         moved.pop("output") == 0 and min(moved.values()) > 0,
         ", ".join(f"{name} by {share:.0%}" for name, share in moved.items()))  # fmt: skip
told = "nothing"
try:
    with ck.transfer.unchanged(lender):
        ck.fit(model_b, small(part.x_train), part.y_train, epochs=1, verbose=0, seed=1)
except ck.transfer.ModelChangedError as error:
    told = str(error)
ck.prove(
    "ck.transfer.unchanged raises an error when a weight has moved", "have changed" in told, told
)

# %% [markdown]
# **A falls from {{ before:.0% }} to {{ on_own:.0% }}, although nobody trained it: its output layer stands on
# layers that have moved by up to {{ max(moved.values()):.0% }}.** A net that is trained on a second task
# overwrites what it knew of the first, because no label of the first holds it back. This is called
# **catastrophic forgetting** (McCloskey and Cohen, 1989). Train on a copy, and A is safe;
# `ck.transfer.unchanged(model_a)` watches, and raises an error if a single bit moves. But a copy forgets
# as well, and with it what you wanted to reuse. Hence the next section.

# %% [markdown]
# ## 5 · Freezing: when does Keras take notice?
#
# The new output layer starts with random weights. What it sends back at first says little; let it
# through, and it moves the reused layers all the same. So you **freeze** these first:
# `layer.trainable = False`.
#
# **Predict first:** you have trained a model, then freeze its first layer and call `fit` again. Does
# the first layer stay as it is?


# %%
def first_layer_moves(at_first, then, compile_again):
    """Train, set the first layer's `trainable`, train again: does its kernel move this time?"""
    hidden, output = keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((4,)), hidden, output])
    hidden.trainable = at_first
    model.compile("sgd", loss="mse")
    model.fit(np.ones((8, 4)), np.ones(8), epochs=4, verbose=0)
    hidden.trainable = then
    if compile_again:
        model.compile("sgd", loss="mse")
    before = hidden.get_weights()[0]
    model.fit(np.ones((8, 4)), -np.ones(8), epochs=4, verbose=0)
    return not np.array_equal(before, hidden.get_weights()[0])


# %%
moves = {(what, again): first_layer_moves(what == "freeze", what == "unfreeze", again)
         for what in ("freeze", "unfreeze") for again in (False, True)}  # fmt: skip
for (what, again), moved_now in moves.items():
    done = "compile, then fit" if again else "fit at once"
    print(f"{what:8s} → {done:17s} → the first layer {'moves' if moved_now else 'stays as it is'}")

# %% tags=["claim"]
ck.prove("Set without compiling, `trainable` does nothing: frozen moves, unfrozen does not",
         moves["freeze", False] and not moves["unfreeze", False], "2 of 2")  # fmt: skip
ck.prove(
    "Set and compiled, it does what it says",
    moves["unfreeze", True] and not moves["freeze", True],
    "2 of 2",
)
model = compiled(dense_net(2), keras.optimizers.Adam(0.01))
ck.transfer.freeze(model)
x_few, y_few = small(part.x_train)[:20], part.y_train[:20]
before = model.get_weights()
model.fit(x_few, y_few, verbose=0)
moved_now = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
ck.prove("ck.transfer.freeze lets the output learn and nothing else", moved_now == [False] * 4 + [True] * 2,
         f"{sum(moved_now)} of 6 arrays moved")  # fmt: skip
model.layers[1].trainable = True
model.compile(model.optimizer, "sparse_categorical_crossentropy")
refused = ""
try:
    model.fit(x_few, y_few, verbose=0)
except ValueError as error:
    refused = str(error)
ck.prove("An optimizer that has worked refuses layers it does not know", "new optimizer" in refused,
         refused.split(". ")[-1][:60])  # fmt: skip
model.layers[1].trainable, model.trainable = False, True
ck.prove("model.trainable = True thaws no layer where it is True already", not model.layers[1].trainable,
         f"the model {model.trainable}, its layer {model.layers[1].trainable}")  # fmt: skip
ck.transfer.unfreeze(model, top=2, learning_rate=0.001)
flags = [layer.trainable for layer in model.layers if layer.weights]
rate, step = float(model.optimizer.learning_rate), int(model.optimizer.iterations)
ck.prove("ck.transfer.unfreeze thaws from the top, with the rate given and a new optimizer",
         flags == [False, True, True] and abs(rate - 0.001) < 1e-8 and step == 0,
         f"trainable {flags}, rate {rate:.3g}, step {step}")  # fmt: skip

# %% [markdown]
# **Without `compile`, Keras did the opposite of what was asked in
# {{ moves["freeze", False] + (not moves["unfreeze", False]) }} of 2 cases, and said nothing.** It wrote down the
# training step when it first ran, with the weights that were trainable then. So compile after every
# change of `trainable`, and with a *new* optimizer: the old one keeps a memory for each weight it was
# built for, and raises a `ValueError` when it meets others. `ck.transfer.freeze(model)` freezes all but
# the output, `ck.transfer.unfreeze(model, top=2, learning_rate=…)` thaws from the top (`top` counts the output:
# 2 thaws one reused layer); both compile afresh.

# %% [markdown]
# ## 6 · Four ways to start
#
# Now the main experiment. Model B has the same layers as A and a new output. Four ways:
#
# | way | the four hidden layers start as | and learn |
# |---|---|---|
# | from scratch | random | all the time |
# | frozen | A's | never; only the output learns |
# | all at once | A's | all the time |
# | frozen, then tuned | A's | in the second half; **fine-tuning** |
#
# The comparison is fair: each way has the same {{ 2 * steps }} steps of 20 images (the few labelled ones
# again and again), and in the second half a tenth of its rate; its rate is searched for it alone, on validation
# images; accuracies are read from test images. Each of {{ n_seeds }} seeds draws its own labels,
# the same ones for all ways.
#
# To freeze is to give a layer the learning rate 0. `AdamByLayer` does just that (folded away, like
# the callback `Reuse` that copies A's layers and thaws them), so that all ways are one compiled program.
#
# **Predict first:** order the four ways, with 20 labels. And with 200?


# %% tags=["helper"]
class AdamByLayer(keras.optimizers.Adam):
    """Adam with a factor on the learning rate of each layer (a kernel and a bias); 0 freezes it."""

    def __init__(self, layers, learning_rate=0.01):
        super().__init__(learning_rate)
        self.factors = keras.Variable(np.ones(layers), trainable=False, name="factors")

    def update_step(self, gradient, variable, learning_rate):
        layer = self._get_variable_index(variable) // 2
        super().update_step(gradient, variable, learning_rate * self.factors[layer])

    def start_anew(self):
        """Forget all steps, as an optimizer that has just been compiled."""
        for variable in self.variables:
            if variable.path.split("/")[-1] not in ("learning_rate", "factors"):
                variable.assign(keras.ops.zeros_like(variable))


def few(n, kind="pictures", steps=steps):
    """Return what draws n labels of task B by a seed; an epoch is `steps` steps of 20 images."""

    def draw(seed):
        part, rows = task_b[kind].subset(n, seed), np.resize(np.arange(n), 20 * steps)
        x_valid, y_valid = valid_b[kind]
        return SimpleNamespace(x_train=small(part.x_train)[rows], y_train=part.y_train[rows],
                               x_valid=x_valid, y_valid=y_valid)  # fmt: skip

    return draw


# %% tags=["helper"]
class Reuse(keras.callbacks.Callback):
    """Start with the first layers of `source`, the first `frozen` of the model frozen.

    In the second epoch the rate is a tenth, and frozen layers are thawed if `thaw`. At the end the
    accuracy on B's test images joins the history, and `notes` takes what was right.
    """

    def __init__(self, kind="pictures", source=None, layers=0, frozen=0, thaw=False, notes=None):
        super().__init__()
        self.kind, self.source, self.layers, self.frozen = kind, source, layers, frozen
        self.thaw, self.notes = thaw, notes

    def on_train_begin(self, logs=None):
        weights, count = self.model.get_weights(), 2 * self.layers
        if count:
            weights[:count] = self.source.get_weights()[:count]
        self.model.set_weights(weights)
        self.freeze(self.frozen)

    def freeze(self, n):
        factors = self.model.optimizer.factors
        factors.assign(np.arange(factors.shape[0]) >= n)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            optimizer = self.model.optimizer
            optimizer.learning_rate = float(optimizer.learning_rate) / 10
            if self.thaw:
                self.freeze(0)
                optimizer.start_anew()

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            logs["test_accuracy"] = accuracy(self.model, *test_b[self.kind])
            if self.notes is not None:
                x, y = valid_b[self.kind]
                right = np.argmax(self.model(x), axis=1) == y
                self.notes.append((right, logs["test_accuracy"]))


# %%
def ways(net, kind):
    a, top = models_a[net, kind], {"CNN": 4, "dense net": 2}[net]
    return {
        "from scratch": lambda: [Reuse(kind)],
        "frozen": lambda: [Reuse(kind, a, top, frozen=top)],
        "all at once": lambda: [Reuse(kind, a, top)],
        "frozen, then tuned": lambda: [Reuse(kind, a, top, frozen=top, thaw=True)],
    }


# %%
build_b = {
    "CNN": lambda: compiled(cnn(2), AdamByLayer(5)),
    "dense net": lambda: compiled(dense_net(2), AdamByLayer(3)),
}
budget = {"epochs": 2, "batch_size": 20, "rates": (0.003, 0.01, 0.03), "choose_by": "val_accuracy"}
four = ways("CNN", "pictures")
by_labels = ck.sweep(dict.fromkeys(four, build_b["CNN"]), few, over={"labels": counts},
                     seeds=n_seeds, callbacks=four, **budget)  # fmt: skip

# %% tags=["plot", "claim"]
fewest = counts[0]
with_few = by_labels.runs[fewest].last("test_accuracy")
said = ck.verdict(with_few, better="higher", metric="test accuracy")
ck.show(ck.plotting.strips(with_few, title=f"{fewest} labels: {said.headline}",
                           xlabel=f"test accuracy of B with {fewest} labels"))  # fmt: skip
ck.show(by_labels.runs[fewest].rate_curves())
found = by_labels.runs[fewest].searched

accuracies = by_labels.last("test_accuracy")  # of each way, (seeds, counts)
mean = {way: values.mean(axis=0) for way, values in accuracies.items()}
fewer_errors = {way: (1 - (1 - values) / (1 - accuracies["from scratch"])).mean(axis=0)
                for way, values in accuracies.items()}  # fmt: skip
scratch, frozen, at_once, tuned = (mean[way][0] for way in four)
ck.prove(f"With {fewest} labels, frozen and then tuned beats scratch on average", tuned > scratch,
         f"{tuned:.3f} > {scratch:.3f}")  # fmt: skip


def by_hand(model, rate=0.01):
    """What `Reuse` does in its two phases, by Keras' own means."""
    for trainable, each in ((False, rate), (True, rate / 10)):
        for layer in model.layers[:-1]:
            layer.trainable = trainable
        compiled(model, keras.optimizers.Adam(each))
        model.train_on_batch(x_few, y_few)
    return model.get_weights()


dense_a = models_a["dense net", "pictures"]
keras.utils.set_random_seed(1)
model = build_b["dense net"]()
own = dense_net(2)
own.set_weights(dense_a.get_weights()[:4] + model.get_weights()[4:])
ck.fit(model, x_few, y_few, epochs=2, batch_size=20, verbose=0,
       callbacks=ways("dense net", "pictures")["frozen, then tuned"]())  # fmt: skip
pairs = zip(by_hand(own), model.get_weights(), strict=True)
off = max(float(np.abs(a - b).max()) for a, b in pairs)
ck.prove("Rate 0, then a tenth, ends with the weights of Keras' freeze, compile, fit, thaw, compile, fit",
         off < 1e-4, f"at most {off:.0e} apart")  # fmt: skip
best = all(tried[runs.rates[way]] == max(tried.values())
           for runs in by_labels.runs.values() for way, tried in runs.searched.items())  # fmt: skip
ck.prove("Every way trained with the rate that validated best", best,
         ", ".join(f"{way} {rate:.2g}" for way, rate in by_labels.runs[fewest].rates.items()))  # fmt: skip
draws = [few(20)(seed).x_train for seed in (1, 2)]
ck.prove("Another seed draws other labels", not np.array_equal(*draws), "two draws of 20")

# %% [markdown]
# **With {{ fewest }} labels, "frozen, then tuned" gets {{ tuned:.1% }} of the test images right, from scratch
# {{ scratch:.1% }}: {{ fewer_errors["frozen, then tuned"][0]:.0% }} fewer errors (each seed's share, the mean over the
# seeds, here and below).**
# {{ said.text[0].upper() + said.text[1:] }}
#
# The second picture, the search for the rates, shows which rates A's layers bear; each point is one run. At the
# rate 0.03 "all at once" gets {{ found["all at once"][0.03]:.0% }} of the validation images right, "frozen, then tuned"
# {{ found["frozen, then tuned"][0.03]:.0% }}. With Adam a weight moves by about the rate at each step, however large its
# gradient: at 0.03 A's layers move ten times as far as at 0.003, and forget. Frozen first and then at a tenth of the
# rate, they bear a high one.

# %% [markdown]
# ## 7 · How many labels does A replace?
#
# The same four ways with more labels.
#
# **Predict first:** where does the gain end? And what becomes of the frozen net, whose four hidden layers
# never learn anything about B?

# %%
patience = few(counts[-1], steps=4 * steps)  # a control: what if scratch only lacks time?
longer = ck.compare({"from scratch": build_b["CNN"]}, patience, seeds=n_seeds,
                    callbacks=lambda: [Reuse()], **budget)  # fmt: skip

# %% tags=["plot", "claim"]
most = counts[-1]
ck.show(ck.plotting.lines(
    accuracies, counts, log="x", crosses=False,
    title=f"{most:,} labels: frozen {mean['frozen'][-1]:.0%}, from scratch {mean['from scratch'][-1]:.0%}, "
    f"fine-tuned {mean['frozen, then tuned'][-1]:.0%}",
    xlabel="labels of task B", ylabel="test accuracy of B"))  # fmt: skip
print("labels" + "".join(f"{way:>26}" for way in four))
for i, n in enumerate(counts):
    both = (f"{mean[way][i]:.1%}" + (f" ({-fewer_errors[way][i]:+.0%} errors)" if way != "from scratch" else "")
            for way in four)  # fmt: skip
    print(f"{n:6,}" + "".join(f"{each:>26}" for each in both))

lead = 100 * (mean["frozen"] - mean["from scratch"])
thawed = 100 * (mean["frozen, then tuned"] - mean["frozen"])
ck.prove(
    f"With {most:,} labels it pays to thaw", thawed[-1] > 0, f"{thawed[-1]:+.1f} percentage points"
)
above = min(int(np.searchsorted(mean["from scratch"], tuned)), len(counts) - 1)
patient = longer.last("test_accuracy")["from scratch"].mean()
spared = fewer_errors["frozen, then tuned"][-1]

# %% [markdown]
# **With {{ most }} labels fine-tuning still makes {{ spared:.0% }} fewer errors than starting from scratch; the net
# that stays frozen is {{ thawed[-1]:.1f }} points behind it.** Against scratch the frozen net is at {{ lead[0]:+.1f }}
# points with {{ fewest }} labels and at {{ lead[-1]:+.1f }} with {{ most }}. With {{ fewest }} labels thawing shows no
# gain; with more it does, and then freezing holds the net back. From {{ counts[1] }} labels on, freezing first gains
# nothing here: all at once gets {{ mean["all at once"][1]:.1% }} and, with {{ most }}, {{ mean["all at once"][-1]:.1% }},
# frozen, then tuned {{ mean["frozen, then tuned"][1]:.1% }} and {{ mean["frozen, then tuned"][-1]:.1% }}.
#
# Put as labels: fine-tuned with {{ fewest }} is worth between {{ counts[above - 1] }} and {{ counts[above] }} from
# scratch. Nor does scratch just lack time: with four times the steps, and a rate searched for them, it gets to {{ patient:.1% }} with {{ most }} labels
# ({{ mean["from scratch"][-1]:.1% }} before; fine-tuned {{ mean["frozen, then tuned"][-1]:.1% }}). The rate of the longer
# runs comes from one search of its own; why they end lower, it does not say.
#
# Read such numbers twice: as accuracy and as errors. From 95% to 97% looks like little, and is
# {{ 2 / 5:.0% }} fewer errors.

# %% [markdown]
# ## 8 · Does it take a CNN?
#
# Small dense nets gain little from transfer, one reads, and deep convolutional ones much. But such reports
# often compare a dense net on simple images with a CNN on photographs: two things differ at once. So take
# both nets on both kinds of images.
#
# **Predict first:** which of the four pairs gains most in fewer errors? Does the net decide, or the kind
# of images?

# %%
pairs = [("CNN", "digits"), ("dense net", "pictures"), ("dense net", "digits")]
two = ("from scratch", "frozen, then tuned")
ns = lab.pick(quick=(20,), standard=(20, 200), full=(20, 200))
ends = {("CNN", "pictures", n): by_labels.runs[n].last("test_accuracy") for n in ns}
for net, kind in pairs:
    both = {way: callbacks for way, callbacks in ways(net, kind).items() if way in two}
    grid = ck.sweep(dict.fromkeys(both, build_b[net]), partial(few, kind=kind),
                    over={"labels": ns}, seeds=n_seeds, callbacks=both, **budget)  # fmt: skip
    ends |= {(net, kind, n): runs.last("test_accuracy") for n, runs in grid.runs.items()}
gain = {of: 1 - (1 - end[two[1]]) / (1 - end[two[0]]) for of, end in ends.items()}  # by seed

# %% tags=["plot", "claim"]
order = sorted(gain, key=lambda of: (of[2], of[0], of[1]))
by_net = {net: np.mean([gain[of] for of in gain if of[0] == net]) for net in nets}
by_kind = {kind: np.mean([gain[of] for of in gain if of[1] == kind]) for kind in whole}
shares = ", ".join(f"{name} {share:.0%}" for name, share in {**by_net, **by_kind}.items())
fig, ax = plt.subplots(figsize=(7.5, 0.5 * len(order) + 1))
for row, of in enumerate(order):
    values, look = 100 * gain[of], ck.plotting.look_of(of[0])
    places = row + np.linspace(-0.16, 0.16, len(values))
    ax.plot(values, places, look["marker"], color=look["color"], alpha=0.75)
    ax.plot([values.mean()] * 2, [row - 0.34, row + 0.34], "-", color=look["color"], linewidth=2.5)
ax.set_yticks(range(len(order)), [f"{net}, {kind}, {n:,} labels" for net, kind, n in order])
ax.invert_yaxis()
ax.grid(axis="y", visible=False)
ax.axvline(0, color="black", linewidth=0.8)
ax.set_xlabel("fewer errors than from scratch with the same seed, in %")
fig.suptitle(
    f"Fewer errors by fine-tuning: {shares}", x=0.01, ha="left", fontsize=11, fontweight="bold"
)
ck.show(fig, alt="Fewer errors than from scratch in per cent, a marker for each seed, coloured by net. "
        + "; ".join(f"{net}, {kind}, {n:,} labels {100 * gain[net, kind, n].mean():.0f} on average"
                    for net, kind, n in order) + ".")  # fmt: skip
print(f"{'':32}from scratch   fine-tuned   fewer errors (mean over the seeds)")
for net, kind, n in order:
    before, after = (ends[net, kind, n][way].mean() for way in two)
    of = f"{net} on {kind}, {n:,} labels"
    print(f"{of:32}{before:12.1%}{after:13.1%}{gain[net, kind, n].mean():15.0%}")

ck.prove("Fine-tuning spares the CNN a larger share of its errors than the dense net, on average",
         by_net["CNN"] > by_net["dense net"],
         f"{by_net['CNN']:.0%} and {by_net['dense net']:.0%}, both kinds of images, labels: {ns}")  # fmt: skip
ahead = [
    gain["CNN", kind, n].mean() > gain["dense net", kind, n].mean() for kind in whole for n in ns
]
points = {
    kind: 100 * (ends["CNN", kind, 20][two[1]] - ends["CNN", kind, 20][two[0]]).mean()
    for kind in whole
}
percent = {kind: gain["CNN", kind, 20].mean() for kind in whole}

# %% [markdown]
# **Net and images both count: fine-tuning spares the CNN {{ by_net["CNN"]:.0% }} of its errors on average, the dense net
# {{ by_net["dense net"]:.0% }}; on digits {{ by_kind["digits"]:.0% }} are spared, on pictures
# {{ by_kind["pictures"]:.0% }}.** The CNN is ahead in {{ sum(ahead) }} of {{ len(ahead) }} comparisons; on digits the
# markers of the two nets overlap. It gains in part because it starts lower: on digits with 20 labels from
# {{ ends["CNN", "digits", 20][two[0]].mean():.1% }}, the dense net from
# {{ ends["dense net", "digits", 20][two[0]].mean():.1% }}, and they end at
# {{ ends["CNN", "digits", 20][two[1]].mean():.1% }} and {{ ends["dense net", "digits", 20][two[1]].mean():.1% }}.
#
# One explanation: a kernel of 3×3 pixels can only react to something small: a contrast, an edge, a colour. It was
# trained at every place of every picture, and an edge is an edge in the next task. A dense unit has a weight
# for each place of the whole picture; what it learned is one large pattern at one place, which belongs to the
# task it was learned for.
#
# Accuracy alone would have misled you about the images: with 20 labels the CNN gains {{ points["digits"]:.1f }}
# points on digits and {{ points["pictures"]:.1f }} on pictures, but in errors {{ percent["digits"]:.0% }} and
# {{ percent["pictures"]:.0% }}. Digits leave few errors to spare.

# %% [markdown]
# ## 9 · How many layers, and from which task?
#
# Reuse the first $k$ layers and freeze them; those above are new. $k = 0$ is from scratch. Three nets to take
# them from: A trained on **pictures**, a near task; the same architecture trained on **digits**, a far one;
# and one that was **never trained**, to see whether it is knowledge that helps. 50 labels.
#
# **Predict first:** draw the three curves from $k = 0$ to 4. For which $k$ does the far one part from the
# near one?

# %%
ks, controls = lab.pick(
    quick=((1, 4), (4,)), standard=((1, 2, 3, 4), (2, 4)), full=((1, 2, 3, 4),) * 2
)
sources = {
    "near: pictures": model_a,
    "far: digits": models_a["CNN", "digits"],
    "never trained": None,
}

# %%
tried = []  # what each of these nets gets right, for the next section
reused = {"k = 0": lambda: [Reuse(notes=tried)]}
for name, source in sources.items():
    for k in ks if source else controls:
        reused[f"{name}, k = {k}"] = lambda source=source, k=k: [
            Reuse("pictures", source, k if source else 0, frozen=k, notes=tried)
        ]
by_k = ck.compare(dict.fromkeys(reused, build_b["CNN"]), few(50), seeds=n_seeds, callbacks=reused,
                  **budget)  # fmt: skip


# %% tags=["plot", "claim"]
def curve(name, metric):
    """Return the accuracies for k = 0 and each k, shape (seeds, ks)."""
    last = by_k.last(metric)
    mine = [runs for label, runs in last.items() if label.startswith(name)]
    return np.stack([last["k = 0"], *mine], axis=1)


at_k = {name: curve(name, "test_accuracy") for name in sources}
chosen = {name: int(curve(name, "val_accuracy").mean(axis=0).argmax()) for name in sources}
all_k = [0, *ks]
near, far, drawn_k = (values.mean(axis=0) for values in at_k.values())
ck.show(ck.plotting.lines(
    at_k, {name: all_k if source else [0, *controls] for name, source in sources.items()}, crosses=False,
    title=f"Frozen up to k = {ks[-1]}: near {near[-1]:.0%}, far {far[-1]:.0%}, never trained {drawn_k[-1]:.0%}",
    xlabel="k, layers reused and frozen (1 to 3: convolutions, 4: dense4)",
    ylabel="test accuracy of B, 50 labels"))  # fmt: skip

both_k = near[[all_k.index(k) for k in controls]].mean(), drawn_k[1:].mean()
ck.prove("Layers from the near task beat as many that were never trained, on average",
         both_k[0] > both_k[1] + 0.01, f"{both_k[0]:.3f} > {both_k[1]:.3f}")  # fmt: skip
scratch, four = (at_k["far: digits"][:, k] for k in (0, -1))
ck.prove("Four frozen layers from the far task bring no gain that the seeds show",
         ck.verdict({"far": four, "from scratch": scratch}, better="higher").winner != "far",
         f"{far[-1]:.3f}, from scratch {far[0]:.3f}")  # fmt: skip
apart = 100 * (near - far)
ck.prove("The more layers are reused, the more it matters that the tasks are alike",
         apart[-1] > apart[1] and apart[-1] > 2,
         f"near minus far: {apart[1]:+.1f} points at k = 1, {apart[-1]:+.1f} at k = {ks[-1]}")  # fmt: skip

# %% [markdown]
# **Reusing one layer, the near task is {{ apart[1]:.1f }} points ahead of the far one; reusing four,
# {{ apart[-1]:.1f }} points.** Low layers hold what any image needs, high layers what
# their own task needs: the more alike two tasks are, the more layers you can reuse. Yosinski and others
# (2014) found the same on ImageNet, cut into man-made and natural things. Reuse can even hurt, which is called
# **negative transfer**: with all four layers from the digits B gets {{ far[-1]:.1% }}, from scratch
# {{ far[0]:.1% }}. "Never trained" shows what freezing alone does: {{ drawn_k[-1]:.1% }} at $k$ = {{ ks[-1] }}.
#
# How many, then? Choose by *validation* images, and read the result from others. Here they choose
# $k$ = {{ all_k[chosen["near: pictures"]] }} for the near task (test accuracy {{ near[chosen["near: pictures"]]:.1% }}) and
# $k$ = {{ all_k[chosen["far: digits"]] }} for the far one ({{ far[chosen["far: digits"]]:.1% }}). Neighbouring $k$
# lie within each other's band: do not believe in the third digit.

# %% [markdown]
# ## The recipe in five steps
#
# 1. **Reuse** all hidden layers of the most similar net you can find, as a copy; **freeze** them; put a new
#    output layer on top.
# 2. **Train** it. This alone is the frozen net of sections 6 and 7.
# 3. **Thaw** the top one or two reused layers (or all), with a tenth of the rate, and train on. See by
#    validation images whether it helps. (With {{ counts[1] }} labels or more, all at once from the start at a small
#    rate did as well here.)
# 4. Not good enough, and labels are **few**? Drop the top reused layer, freeze the rest again, and repeat
#    steps 2 and 3: a smaller $k$, and a smaller net. (With many images that have *no* label:
#    [lesson 07](07_pretraining.ipynb).)
# 5. Labels are **many**? Replace the top layers instead of dropping them, or add more, and thaw everything.
#    Repeat until you have found the right number of layers to reuse.
#
# Be honest about one thing: the {{ n_valid }} validation images here are many more than the 50 labels you train
# with. In real life they come out of the same small heap, and every choice gets noisy. Which brings us to the
# last question.
#
# ## 10 · Can you trust the best of many?
#
# Section 9 trained {{ len(tried) }} nets with 50 labels: other layers, rates, seeds. Suppose you had tried them all, with 40
# validation images to choose the best, and had reported its validation accuracy.
#
# **Predict first:** is the number you report right, on average? Does it get better or worse the more you try?

# %%
right_valid, right_test = (
    np.array([right for right, _ in tried]),
    np.array([test for _, test in tried]),
)
chance = np.random.default_rng(lab.seed)
tries = [m for m in (1, 2, 4, 8, 16, 32, 64, 128) if m <= len(tried)]
reported, true = np.zeros((2, len(tries), 1000))
for i, m in enumerate(tries):
    for j in range(1000):  # each time other nets, other validation images
        some = chance.choice(len(tried), m, replace=False)
        images = chance.choice(right_valid.shape[1], 40, replace=False)
        scores = right_valid[some][:, images].mean(axis=1)
        best = chance.choice(np.flatnonzero(scores == scores.max()))
        reported[i, j], true[i, j] = scores[best], right_test[some[best]]

# %% tags=["plot", "claim"]
too_good = (reported - true).mean(axis=1)
ck.show(ck.plotting.lines(
    {"validation accuracy, as reported": reported.mean(axis=1), "test accuracy of the same net": true.mean(axis=1)},
    tries, log="x", title=f"The best of {tries[-1]} looks {100 * too_good[-1]:.0f} points better than it is",
    xlabel="nets tried", ylabel="accuracy of the best, on average"))  # fmt: skip

ck.prove("The number reported for the best of many is too good", too_good[-1] > 0.02,
         f"by {100 * too_good[-1]:.1f} points")  # fmt: skip
ck.prove("The more are tried, the more it is too good", too_good[-1] > too_good[0] + 0.02,
         f"{100 * too_good[0]:+.1f} points for 1, {100 * too_good[-1]:+.1f} for {tries[-1]}")  # fmt: skip

# %% [markdown]
# **The best of {{ tries[-1] }} is reported with {{ reported[-1].mean():.1% }} and has {{ true[-1].mean():.1% }}.** For a
# single net the two numbers are {{ 100 * abs(too_good[0]):.1f }} points apart, because the two sets of images are
# not equally hard. The winner of many is partly the best and partly the luckiest, and its score shows both; images that
# had no say in the choice show only the first. Trying does help: the true accuracy goes from
# {{ true[0].mean():.1% }} to {{ true[-1].mean():.1% }}. Only the report is wrong.
#
# The same happens with *comparisons*: pick the most flattering seed of section 8, and you can show nearly
# anything. When you read "transfer halved the errors", ask: how many were tried, how many seeds, and on
# which images was the winner chosen? ([Lesson 12](12_hyperparameter_tuning.ipynb) takes this up for every
# kind of search.)

# %% [markdown]
# ## Optional: when the input has another size
#
# Model A reads 16×16 pixels with values from -0.5 to 0.5. Your pictures are larger, 32×32, and go from 0
# to 1. Adapt the *input*, by layers that travel with the model:

# %%
adapted = keras.Sequential([
    keras.Input((32, 32, 3)),
    keras.layers.AveragePooling2D(2),  # or keras.layers.Resizing(16, 16)
    keras.layers.Rescaling(1.0, offset=-0.5),
    *ck.transfer.clone(model_a).layers,
])  # fmt: skip
large = task_b["pictures"].x_test[:200]

# %% tags=["claim"]
difference = float(np.abs(np.array(adapted(large)) - np.array(model_a(small(large)))).max())
ck.prove("The adapted model predicts like A on pictures made small by hand", difference < 1e-5,
         f"at most {difference:.0e} apart")  # fmt: skip

# %% [markdown]
# A net that ends in `GlobalAveragePooling2D` in place of `Flatten` takes any size. But it has learned
# objects of a certain size in pixels: resizing to what it knows is still the better start.
#
# ## Optional: a net that has seen a million photographs
#
# In practice you take a net from `keras.applications`, trained on ImageNet. Its weights are a download, which
# this course does not make for you. If you have them, or set `download = True`, the cell below puts a new
# output on MobileNetV2 (Sandler and others, 2018) and trains it on 50 labels of task B.

# %%
download = False  # True: about 2 MB from the address that Keras knows
name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"
home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
if download or (home / "models" / name).exists():
    layers = keras.layers
    body = keras.applications.MobileNetV2((96, 96, 3), 0.35, include_top=False, pooling="avg")
    see = keras.Sequential([layers.Resizing(96, 96), layers.Rescaling(2.0, offset=-1.0), body])
    part, pictures = task_b["pictures"].subset(50), task_b["pictures"].x_test[:500]
    head = compiled(keras.Sequential([layers.Dense(2, "softmax")]), "adam")
    head.fit(see.predict(part.x_train, verbose=0), part.y_train, epochs=100, verbose=0)
    right = accuracy(head, see.predict(pictures, verbose=0), task_b["pictures"].y_test[:500])
    print(f"MobileNetV2, frozen, 50 labels: {right:.1%} of 500 test pictures right")
else:
    print("No weights of MobileNetV2 on this machine: this part is skipped.")

# %% [markdown]
# ## Pitfalls
#
# - **`clone_model` without `set_weights`.** You get the structure with new weights: transfer from
#   nothing.
# - **Layers taken from A without a copy.** Training B makes A forget. Copy first, and let
#   `ck.transfer.unchanged(model_a)` watch.
# - **Freezing or thawing without compiling.** Nothing happens, and nothing is said.
# - **`model.trainable = True` to thaw.** Where the model's own flag is True already, its frozen layers stay
#   frozen: set the flags layer by layer.
# - **Another pixel range or size than A's.** The layers of A expect the numbers they were trained with.
# - **`input_shape=` in the first layer** is old Keras. Start a model with `keras.Input(shape)`.
# - **A frozen BatchNormalization** ([lesson 04](04_batch_normalisation.ipynb)) runs in inference mode,
#   with A's averages. Thawing lets B's few images overwrite them: `ck.transfer.unfreeze(model,
#   batch_norm=False)` leaves it frozen.
# - **Half the budget for one side.** If fine-tuning gets two phases, scratch gets as many steps, and a
#   searched rate of its own.
# - **One seed, one draw of labels.** With 20 labels the draw alone moves the accuracy by many points.
#
# ## What to do tomorrow
#
# 1. Look for a net trained on something similar before you train your own; prefer a CNN to a dense net.
# 2. Copy it with its weights, freeze it, train a new output, then thaw with a tenth of the rate.
# 3. Compile with a new optimizer after every change of `trainable`.
# 4. Very few labels: freeze more. More labels: thaw more. A far task: reuse only the low layers.
# 5. Search the rate of the rival too, and report what had no say in any choice, in errors as well.
#
# ## Recap
#
# - Reuse A's hidden layers, replace the output: layers made for A separate classes that A never saw.
# - A clone needs `set_weights`; on borrowed layers A forgets; `trainable` needs a new `compile`.
# - With few labels freeze; with more thaw, or train all at once: a frozen net falls behind.
# - In errors rather than accuracy the CNN gains on both kinds of images, the dense net less.
# - The more alike the tasks, the more layers; the winner of many looks better than it is.
#
# ## Now practise
#
# Open [exercise 06](../exercises/06_transfer_learning.ipynb): write the copy that is frozen, the new
# output layer, the watch over model A, the two-phase schedule, and choose the number of layers to reuse.
#
# Then go on with lesson
# [07 Unsupervised and self-supervised pretraining](07_pretraining.ipynb).
#
# ## Further reading
#
# - J. Yosinski, J. Clune, Y. Bengio and H. Lipson, *How Transferable Are Features in Deep Neural
#   Networks?*, NeurIPS 2014, arXiv:1411.1792: sections 2 and 4, layers reused from 0 to 7, frozen and
#   fine-tuned, near and far tasks.
# - M. McCloskey and N. J. Cohen, *Catastrophic Interference in Connectionist Networks: the Sequential
#   Learning Problem*, Psychology of Learning and Motivation 24, 1989.
# - J. Howard and S. Ruder, *Universal Language Model Fine-tuning for Text Classification*, ACL 2018,
#   arXiv:1801.06146: section 3.2, a learning rate for each layer; 3.3, thawing from the top.
# - A. S. Razavian, H. Azizpour, J. Sullivan and S. Carlsson, *CNN Features off-the-shelf: an Astounding
#   Baseline for Recognition*, CVPR Workshops 2014, arXiv:1403.6382.
# - S. Kornblith, J. Shlens and Q. V. Le, *Do Better ImageNet Models Transfer Better?*, CVPR 2019,
#   arXiv:1805.08974: section 4, fine-tuning, fixed features and random initialisation compared.
# - M. Sandler and others, *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, CVPR 2018,
#   arXiv:1801.04381.
# - G. C. Cawley and N. L. C. Talbot, *On Over-fitting in Model Selection and Subsequent Selection Bias in
#   Performance Evaluation*, Journal of Machine Learning Research 11, 2010.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "Reusing Pretrained Layers".
