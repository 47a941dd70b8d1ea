# %% [markdown]
# # 07 Unsupervised and self-supervised pretraining
#
# Pictures are cheap, labels are not. You have thousands of images, and someone had the time to label
# twenty. What can a net learn from the others?
#
# ## What you will be able to do
#
# In about 40 minutes you will be able to
#
# - pretrain the lower layers of a net without labels (unsupervised pretraining, 비지도 사전 훈련), and
#   put a classifier on top: **frozen** or **fine-tuned**;
# - invent tasks whose labels cost nothing, because they are made from the data (self-supervised
#   learning, 자기 지도 학습): which way is up, what is hidden, which two belong together;
# - reuse what a GAN's discriminator has learned, and say what it is worth;
# - compare with a supervised baseline in a fair way, over several seeds and numbers of labels;
# - tell a pretext task that helps from one that is merely solved.

# %%
import coursekit as ck

lab = ck.setup(seed=42)

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from scipy import ndimage

# %% [markdown]
# You use handwritten digits, and pretend that nearly all labels are missing. `n` images form the
# **pool**, without labels. From it `label_counts` images are labelled, in proportion to the
# classes. All accuracies are measured on held-out images, the course's validation set.

# %%
n, epochs, gan_steps, n_seeds, label_counts = lab.pick(
    quick=(8_000, 8, 500, 4, (20, 100)),
    standard=(20_000, 12, 2_500, 5, (20, 50, 100, 500)),
    full=(55_000, 20, 10_000, 10, (20, 50, 100, 500, 1_000)),
)
data = ck.load("mnist").subset(n)
pool, held_out, y_held_out = data.x_train, data.x_valid, data.y_valid
n = len(pool)
print(f"{data.name} ({data.source}): a pool of {n:,} images, {len(held_out):,} held out")

# %% [markdown]
# ## 1 · The baseline: labels only
#
# One small net for the whole lesson: an **encoder** of two dense layers that turns an image into 64
# numbers, the **features**, and a **head**, one softmax layer that turns the features into ten
# probabilities. Everything that follows changes only where the encoder's weights come from.


# %%
def new_encoder(seed):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(u, "relu", kernel_initializer="he_normal") for u in (128, 64)]
    return keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), *layers])


head = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, "softmax")])
net = keras.Sequential([keras.Input((28, 28)), new_encoder(0), keras.layers.Dense(10, "softmax")])
for model in (head, net):
    model.compile(keras.optimizers.Adam(), loss="sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
print(f"{net.count_params():,} weights, of which {head.count_params():,} in the head")

# %% [markdown]
# Every training with labels gets the same **budget**: 300 steps of Adam with 20 images each, however
# many labels there are; the few images are simply repeated. Each starts with an optimizer without
# memory and a head of zeros.

# %%
budget, full_rate, low_rate, head_rate = 300, 1e-3, 3e-4, 1e-2


def train(model, x, y, *, rate, steps, seed):
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = rate
    rows = np.resize(np.arange(len(x)), 1_000)  # 50 batches of 20, whatever the number of labels
    ck.fit(model, x[rows], y[rows], epochs=steps // 50, batch_size=20, verbose=0, seed=seed)


def output(model, x):
    return np.array(model(x))


def accuracy(model, x):
    return float(np.mean(output(model, x).argmax(axis=1) == y_held_out))


empty_head = [np.zeros((64, 10)), np.zeros(10)]  # says 1/10 for every class


def train_whole(encoder, head_weights, few, seed, *, rate=full_rate, steps=budget):
    """Train encoder and head together on the labelled images `few`; return the accuracy."""
    net.layers[0].set_weights(encoder.get_weights())
    net.layers[1].set_weights(head_weights)
    train(net, few.x_train, few.y_train, rate=rate, steps=steps, seed=seed)
    return accuracy(net, held_out)


# %% [markdown]
# **Predict first:** how many of ten held-out digits does a net get right that has seen about two
# examples of each class? And how much does the answer depend on *which* two?

# %%
few_labels = {(k, seed): data.subset(k, seed) for k in label_counts for seed in range(n_seeds)}
results = {"scratch": []}
for k in label_counts:
    runs = [train_whole(new_encoder(100 + s), empty_head, few_labels[k, s], s)
            for s in range(n_seeds)]  # fmt: skip
    results["scratch"].append(runs)
    print(f"{k:5d} labels: accuracy {np.mean(runs):.3f}, from {min(runs):.3f} to {max(runs):.3f}")

# %% [markdown]
# The spread belongs to the result: another draw of the labelled images is another net. So every
# method below gets **the same labelled images** for the same seed, and you compare differences.
#
# A baseline deserves care as well. Would another learning rate have served it better?

# %%
few = label_counts[0]
for rate in (full_rate / 3, full_rate, 3 * full_rate):
    runs = [train_whole(new_encoder(100 + s), empty_head, few_labels[few, s], s, rate=rate)
            for s in range(n_seeds)]  # fmt: skip
    print(
        f"{few} labels, rate {rate:.5f}: accuracy {np.mean(runs):.3f} ± {np.std(runs, ddof=1):.3f}"
    )

# %% [markdown]
# ## 2 · Learn to copy: the autoencoder
#
# An **autoencoder** is an encoder with a **decoder** on top, trained to give back its own input. That
# would be trivial, were it not for the narrow middle: 784 pixels must pass through 64 numbers. To
# manage it, the net has to find out what digits have in common. No label is needed.
#
# Write it as a **task**: a function that takes images and makes inputs and targets from them. Every
# task of this lesson has this form, and each pass over the pool may make new ones.


# %%
def copying(images, draw):
    return images, images


def pretrain(model, task, batch_size=64):
    """Train on what `task` makes of the pool, made anew for every pass."""
    draw = np.random.default_rng(0)
    for i in range(epochs):
        ck.fit(model, *task(pool, draw), epochs=1, batch_size=batch_size, verbose=0, seed=i)


def new_decoder():
    return keras.Sequential([
        keras.Input((64,)),
        keras.layers.Dense(128, "relu", kernel_initializer="he_normal"),
        keras.layers.Dense(784, "sigmoid"),
        keras.layers.Reshape((28, 28)),
    ])  # fmt: skip


# %% [markdown]
# **Predict first:** what is the best guess of an image that you have not seen? How much better must
# a reconstruction be to show that something was learned?

# %%
encoders = {"untrained": new_encoder(0), "autoencoder": new_encoder(0)}
autoencoder = keras.Sequential([keras.Input((28, 28)), encoders["autoencoder"], new_decoder()])
autoencoder.compile("adam", loss="binary_crossentropy")
pretrain(autoencoder, copying)

mean_image = pool.mean(axis=0)
copies = output(autoencoder, held_out)
copy_error, mean_error = np.mean((copies - held_out) ** 2), np.mean((mean_image - held_out) ** 2)
print(f"mean squared error per pixel: reconstruction {copy_error:.4f}, mean image {mean_error:.4f}")


# %%
def draw_rows(rows, title):
    """Draw rows of images; `rows` maps a name to images (k, 28, 28)."""
    columns = len(next(iter(rows.values())))
    size = (0.66 * columns + 1, 0.68 * len(rows) + 0.4)
    fig, axes = plt.subplots(len(rows), columns, figsize=size)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for ax, image in zip(line, images, strict=True):
            ax.imshow(image, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    fig.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return fig


shown = np.array([np.flatnonzero(y_held_out == digit)[0] for digit in range(10)])
fig = draw_rows(
    {"original": held_out[shown], "copy": copies[shown], "mean image": [mean_image] * 10},
    f"64 numbers keep a digit: {copy_error / mean_error:.0%} of the mean image's error",
)
ck.show(
    fig,
    alt="Three rows of ten digits: held-out originals, the autoencoder's slightly blurred copies, and "
    "the mean image, the same grey blot ten times.",
)

# %% tags=["claim"]
assert copy_error < 0.6 * mean_error, (
    f"the copy should beat the mean image clearly: error {copy_error:.4f} against {mean_error:.4f}"
)

# %% [markdown]
# The yardstick matters. An error of a few hundredths sounds small, yet the mean image, which knows
# nothing about the picture in question, has one as well. Most pixels are white, after all.

# %% [markdown]
# ### The encoder goes to work
#
# Throw the decoder away. Put a new head on the encoder, in one of two ways:
#
# - **frozen**: the encoder stays as it is, so its features can be computed once; only the head is
#   trained, for the whole budget.
# - **fine-tuned**: half of the budget for the head on the frozen encoder, then the other half for
#   everything, at a lower rate. That is the recipe of [lesson 06](06_transfer_learning.ipynb).
#
# One control belongs beside it: a head on a frozen encoder that was **never trained**. It tells what
# random features are worth.
#
# Encoders differ in how large their features are. So that no head suffers from that, each feature is
# divided by its standard deviation over the pool, once, in the last layer's weights. (ReLU lets
# factors pass: $\max(0, z/s) = \max(0, z)/s$.)


# %%
def rescaled(encoder):
    """Return a copy whose features have standard deviation 1 over the pool."""
    copy = new_encoder(0)
    copy.set_weights(encoder.get_weights())
    spread = output(encoder, pool).std(axis=0)
    spread = np.where(spread > 1e-6, spread, 1.0)  # a dead unit stays 0
    copy.layers[-1].set_weights([w / spread for w in encoder.layers[-1].get_weights()])
    return copy


def try_frozen(encoder, few, seed, *, steps=budget):
    """Train a head on the encoder's features; return it and its accuracy."""
    head.layers[0].set_weights(empty_head)
    features = output(encoder, few.x_train)
    train(head, features, few.y_train, rate=head_rate, steps=steps, seed=seed)
    return head.get_weights(), accuracy(head, output(encoder, held_out))


def try_tuned(encoder, few, seed):
    """Train a head, then the whole net at a lower rate; return the accuracy."""
    trained_head, _ = try_frozen(encoder, few, seed, steps=budget // 2)
    return train_whole(encoder, trained_head, few, seed, rate=low_rate, steps=budget // 2)


ready = {}  # the encoders, rescaled


def try_all(name, tuned=True):
    """Try an encoder with every set of labelled images, frozen and fine-tuned."""
    ready[name] = rescaled(encoders[name])
    ways = {"frozen": lambda *case: try_frozen(*case)[1], "fine-tuned": try_tuned}
    for way in list(ways)[: 1 + tuned]:
        results[f"{name}, {way}"] = [
            [ways[way](ready[name], few_labels[k, s], s) for s in range(n_seeds)]
            for k in label_counts
        ]


# %% [markdown]
# **Predict first:** with the fewest labels, what is best: scratch, frozen or fine-tuned? And with the
# most? Where does the untrained encoder end up?

# %%
try_all("untrained", tuned=False)
try_all("autoencoder")


def draw_curves(ax, names):
    for i, name in enumerate(names):
        runs = np.array(results[name])
        at = np.array(label_counts) * 1.03 ** (i - len(names) / 2)  # so that bars do not overlap
        ax.errorbar(at, runs.mean(axis=1), runs.std(axis=1, ddof=1), label=name, capsize=3,
                    marker=ck.plotting.MARKERS[i], markersize=5, **ck.plotting.line_kw(i))  # fmt: skip
    ax.set(xscale="log", xlabel="number of labels (log scale)", ylabel="held-out accuracy")
    ax.set_xticks(label_counts, label_counts)
    ax.minorticks_off()
    ax.legend(fontsize=8)


at_few = {name: np.array(runs[0]) for name, runs in results.items()}
fig, ax = plt.subplots(figsize=(7.5, 4.2))
draw_curves(ax, ["scratch", "untrained, frozen", "autoencoder, frozen", "autoencoder, fine-tuned"])
best = max(at_few, key=lambda name: at_few[name].mean())
ax.set_title(f"With {few} labels the best mean is: {best}")
ck.show(
    fig,
    alt="Held-out accuracy against the number of labels, mean and standard deviation over seeds, for "
    "scratch, the frozen untrained encoder, and the autoencoder's encoder frozen and fine-tuned.",
)


# %%
def compare(name, baseline="scratch"):
    """Print, for each number of labels, the mean difference with the same labelled images."""
    differences = np.array(results[name]) - np.array(results[baseline])
    parts = [f"{d.mean():+.3f} ± {d.std(ddof=1):.3f}" for d in differences]
    print(f"{name:28s}" + "   ".join(parts))


print(f"accuracy minus that of scratch, {n_seeds} seeds, for {label_counts} labels")
for name in list(results)[1:]:
    compare(name)

# %% tags=["claim"]
learnt, random_features = at_few["autoencoder, frozen"].mean(), at_few["untrained, frozen"].mean()
assert learnt > random_features + 0.02, (
    f"with {few} labels learnt features should beat random ones: {learnt:.3f}, {random_features:.3f}"
)

# %% [markdown]
# Two findings, and only one of them is in the brochure. The autoencoder **learned something**: its
# features beat random ones of the same size. Whether it **helps** is another question, for the
# difference to *scratch*. A net that may copy everything keeps everything: slant, thickness and place
# as faithfully as the class. And digits in the middle of a white frame are easy enough that a
# net from scratch is a strong rival, even with few labels. Do not take "pretraining helps" on trust;
# look at the sign and the spread.
#
# Pretraining with autoencoders was once *the* way to train deep nets at all, before good
# initialisation and activations (lessons [02](02_weight_initialisation.ipynb) and
# [03](03_activation_functions.ipynb)). What is left of its use today is this situation:
# many samples, few labels.

# %% [markdown]
# ## 3 · Labels for free: which way is up?
#
# An **auxiliary task** (or **pretext task**) is one whose answers you do not care for, but whose labels
# are free. Three examples from elsewhere:
#
# - You want to recognise people and have one or two photos of each. But you can collect thousands of
#   photos of strangers, and train a net to say whether *two photos show the same person*: two frames
#   of one video do, two faces in one group picture do not. Its lower layers become good at faces.
# - You want to sort letters by topic. Take any text, *hide some words*, and train a net to guess them. To
#   guess the missing word in "the milk has turned ___" you must know something about milk and about
#   language. That is how today's language models begin.
# - You want to read road scenes. Let a net predict the *next frame*.
#
# When the labels are made from the data itself, one speaks of **self-supervised learning**: the
# method is supervised, with inputs and targets, but nobody has labelled anything. Here is the
# simplest one for images. Turn each by 0, 90, 180 or 270 degrees, and ask by how much.


# %%
def rotation(images, draw):
    turns = draw.integers(0, 4, len(images))
    turned = np.empty_like(images)
    for k in range(4):
        turned[turns == k] = np.rot90(images[turns == k], k, axes=(1, 2))
    return turned, turns


# %% [markdown]
# **Predict first:** guessing gets 25%. How far can a net get? Which digits are hopeless, even for you?

# %%
encoders["rotation"] = new_encoder(0)
rotation_net = keras.Sequential(
    [keras.Input((28, 28)), encoders["rotation"], keras.layers.Dense(4, "softmax")]
)
rotation_net.compile("adam", loss="sparse_categorical_crossentropy")
pretrain(rotation_net, rotation)

quarters = [np.rot90(held_out, k, axes=(1, 2)) for k in range(4)]
right = np.array([output(rotation_net, q).argmax(axis=1) == k for k, q in enumerate(quarters)])
by_digit = [right[:, y_held_out == digit].mean() for digit in range(10)]

# %%
fig, (left, middle) = plt.subplots(1, 2, figsize=(9.5, 3.2), width_ratios=[1, 1.6])
tiles = np.block([[quarters[k][i] for k in range(4)] for i in shown[[0, 4, 6]]])
left.imshow(tiles, cmap="gray_r", interpolation="nearest")
left.set(xticks=np.arange(4) * 28 + 14, xticklabels=["0", "1", "2", "3"], yticks=[],
         xlabel="label: number of quarter turns", title="Free labels")  # fmt: skip
left.grid(visible=False)
middle.bar(range(10), by_digit, color=ck.plotting.COLORS[0])
middle.axhline(0.25, color="black", linestyle=":", label="guessing")
middle.set(xticks=range(10), ylim=(0, 1.25), xlabel="digit", ylabel="accuracy of the turn",
           title=f"Turns of held-out digits: {right.mean():.1%} right")  # fmt: skip
middle.set_yticks([0, 0.25, 0.5, 0.75, 1])
middle.legend(loc="upper right")
ck.show(
    fig,
    alt="Left: three digits, each turned by 0 to 3 quarter turns. Right: accuracy of guessing the turn "
    "for each digit, every bar far above the dotted line of 25%.",
)

# %% tags=["claim"]
assert right.mean() > 0.6, f"the turn should be found far above 25%; accuracy {right.mean():.1%}"

# %% [markdown]
# The turn is found even for 0, 1 and 8, which look nearly the same upside down. The net must use what you hardly see,
# perhaps the slant of the writing or the corner where a curve closes. **A solved task does
# not tell by what it was solved**, and cues like these need not say which digit it is. Keep that in mind
# until section 7.

# %% [markdown]
# ## 4 · Fill in the gaps: masked patches
#
# The image's version of the hidden words. Cut the image into 16 patches, hide 12 of them, and let
# encoder and decoder complete the picture. Now copying is no way out.


# %%
def hide(images, share, draw):
    """Set `share` of the 16 patches of each image to 0; return images and the mask (True: hidden)."""
    rank = draw.random((len(images), 16)).argsort(axis=1)
    mask = (rank < round(16 * share)).reshape(-1, 4, 4).repeat(7, axis=1).repeat(7, axis=2)
    return np.where(mask, 0, images).astype("float32"), mask


def completion(images, draw):
    return hide(images, 0.75, draw)[0], images


# %% [markdown]
# **Predict first:** which pixels may you count when you judge the result? What would the mean image score?

# %%
encoders["masked patches"] = new_encoder(0)
completer = keras.Sequential([keras.Input((28, 28)), encoders["masked patches"], new_decoder()])
completer.compile("adam", loss="binary_crossentropy")
pretrain(completer, completion)

seen, mask = hide(held_out, 0.75, np.random.default_rng(1))
guesses = {"completion": output(completer, seen), "mean image": mean_image,
           "autoencoder": output(autoencoder, seen)}  # fmt: skip
hidden_error = {name: np.mean((g - held_out)[mask] ** 2) for name, g in guesses.items()}
for name, error in hidden_error.items():
    print(f"{name:12s} mean squared error on hidden pixels {error:.4f}")

# %%
grey = np.where(mask, 0.25, held_out)
ratio = hidden_error["completion"] / hidden_error["mean image"]
fig = draw_rows(
    {
        "original": held_out[shown],
        "visible": grey[shown],
        "completion": guesses["completion"][shown],
    },
    f"A quarter of the image is enough for a guess: {ratio:.0%} of the mean image's error",
)
ck.show(
    fig,
    alt="Three rows of ten digits: originals; the same with 12 of 16 patches covered in grey; blurred "
    "completions by the net, some close to the original, some undecided.",
)

# %% tags=["claim"]
assert hidden_error["completion"] < 0.9 * hidden_error["mean image"], (
    f"on hidden pixels the completion should beat the mean image: {hidden_error['completion']:.4f} "
    f"against {hidden_error['mean image']:.4f}"
)
assert hidden_error["completion"] < hidden_error["autoencoder"], (
    f"an autoencoder that never saw gaps should do worse: {hidden_error['autoencoder']:.4f}"
)

# %% [markdown]
# Only hidden pixels count; the visible ones can be copied. The error cannot go to 0, either: what is hidden
# is often undecidable, and a blurred guess is then the best one. What matters is that a good guess
# needs to know *which digits there are*.

# %% [markdown]
# ## 5 · Same image or not?
#
# Now the faces of section 3, with digits. You have no two photos of the same person. But you can *make*
# two pictures of the same image: turn it a little, shift it a little, zoom a little, twice, at
# random. In a batch of 128 images there are then 128 pairs, and the question for each first picture
# is: **which of the 128 second pictures comes from the same image?** Its label is free.


# %%
def distort(images, draw):
    """Turn by up to 15 degrees, zoom by up to 15%, shift by up to 2.5 pixels, each at random."""
    angle, zoom, down, right = draw.uniform(-1, 1, (4, len(images)))
    cos, sin = (np.exp(0.15 * zoom) * f(np.deg2rad(15 * angle)) for f in (np.cos, np.sin))
    turns = np.stack([cos, -sin, sin, cos], axis=-1).reshape(-1, 2, 2)
    middle = np.full(2, 13.5)
    starts = middle - turns @ middle + 2.5 * np.stack([down, right], axis=-1)
    distorted = np.empty_like(images)
    for image, turn, start, target in zip(images, turns, starts, distorted, strict=True):
        ndimage.affine_transform(image, turn, start, order=1, output=target)
    return distorted


def pairing(images, draw):
    pairs = np.stack([distort(images, draw), distort(images, draw)], axis=1)
    return pairs, np.zeros(len(images))  # the label is made within the batch


# %% [markdown]
# The net turns both pictures of a pair into arrows of length 1. Their scalar products, 128 × 128 of
# them, are the logits of 128 questions with 128 possible answers each, and the right answer to question $i$ is $i$.


# %%
def scores(arrows):
    return 10 * keras.ops.matmul(arrows[:, 0], keras.ops.transpose(arrows[:, 1]))


def find_partner(_, arrows):
    own_number = keras.ops.arange(keras.ops.shape(arrows)[0])
    return keras.losses.sparse_categorical_crossentropy(
        own_number, scores(arrows), from_logits=True
    )


encoders["same image"] = new_encoder(0)
to_arrow = keras.Sequential([
    keras.Input((64,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(32),
    keras.layers.UnitNormalization(),
])  # fmt: skip
pairs = keras.Input((2, 28, 28))
arrows = to_arrow(encoders["same image"](keras.ops.reshape(pairs, (-1, 28, 28))))
pair_net = keras.Model(pairs, keras.ops.reshape(arrows, (-1, 2, 32)))
pair_net.compile("adam", loss=find_partner)
pretrain(pair_net, pairing, batch_size=128)

# %%
pictures, _ = pairing(held_out[:1_280], np.random.default_rng(1))
arrows = output(pair_net, pictures)
found = np.mean([np.array(scores(a)).argmax(axis=1) == range(128) for a in np.split(arrows, 10)])
fig = draw_rows(
    {"first": pictures[:10, 0], "second": pictures[:10, 1]},
    f"The partner among 128 is found in {found:.0%} of held-out cases; guessing {1 / 128:.1%}",
)
ck.show(
    fig,
    alt="Two rows of ten digits. Each column holds the same image twice, turned, shifted and zoomed "
    "differently.",
)

# %% tags=["claim"]
assert found > 0.3, f"the partner should be found far more often than 1 in 128; found {found:.1%}"

# %% [markdown]
# This task tells the net something that no other task here does: *what may change without
# changing what it is*. You put that knowledge in, by choosing the distortions. Section 8 asks who deserves the
# praise.

# %% [markdown]
# ## 6 · A forger and a detective: the GAN
#
# In a **GAN** (generative adversarial net) a *generator* turns noise into images, and a
# *discriminator* tells them from real ones. Each learns from the other. When they are done, one throws
# the discriminator away; or keeps it, because whoever tells real digits from forged ones knows a lot
# about digits. Here the discriminator is your encoder with one output on top.
#
# Two nets with opposite goals need a training step of their own. As a `tf.function` with
# `jit_compile=True` it becomes one compiled program:

# %%
batch, n_noise = 64, 32
encoders["GAN"] = new_encoder(0)
discriminator = keras.Sequential([keras.Input((28, 28)), encoders["GAN"], keras.layers.Dense(1)])
generator = keras.Sequential([
    keras.Input((n_noise,)), keras.layers.Dense(64, "relu", kernel_initializer="he_normal"),
    new_decoder(),
])  # fmt: skip
adams = [keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2)]
for adam, player in zip(adams, (discriminator, generator), strict=True):
    adam.build(player.trainable_variables)
cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
real_label, forged_label = tf.ones((batch, 1)), tf.zeros((batch, 1))


@tf.function(jit_compile=True, autograph=False)
def gan_step(real, noise):
    forged = generator(noise, training=True)
    with tf.GradientTape() as tape:  # the detective: real ones are 1, forged ones 0
        caught = cross_entropy(forged_label, discriminator(forged, training=True))
        caught += cross_entropy(real_label, discriminator(real, training=True))
    variables = discriminator.trainable_variables
    adams[0].apply(tape.gradient(caught, variables), variables)
    with tf.GradientTape() as tape:  # the forger: be taken for real
        fooled = cross_entropy(real_label, discriminator(generator(noise, training=True)))
    adams[1].apply(tape.gradient(fooled, generator.trainable_variables))
    return caught, fooled


# %% [markdown]
# **Predict first:** both losses are cross-entropies. If the forger were perfect, what would the
# detective's two terms be? Will it get that far in `gan_steps` steps?

# %%
draw = np.random.default_rng(0)
losses = []
for _ in range(gan_steps):
    real = pool[draw.integers(0, n, batch)]
    noise = draw.normal(size=(batch, n_noise)).astype("float32")
    losses.append([float(loss) for loss in gan_step(real, noise)])
losses = np.array(losses)

# %%
fig, (left, middle) = plt.subplots(1, 2, figsize=(9.5, 3.2), width_ratios=[1.5, 1])
smooth = ndimage.uniform_filter1d(losses, 50, axis=0)
for i, name in enumerate(["discriminator", "generator"]):
    left.plot(smooth[:, i], **ck.plotting.line_kw(i), label=name)
left.axhline(2 * np.log(2), color="black", linestyle=":", label="discriminator, if it must guess")
left.set(xlabel="step", ylabel="loss (mean of 50 steps)", ylim=(0, None),
         title=f"After {len(losses):,} steps the detective is at {smooth[-1, 0]:.2f}")  # fmt: skip
left.legend(fontsize=8)
noise = draw.normal(size=(20, n_noise)).astype("float32")
forged = output(generator, noise).reshape(4, 5, 28, 28).swapaxes(1, 2).reshape(112, 140)
middle.imshow(forged, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
middle.set(xticks=[], yticks=[], title="Twenty forgeries")
middle.grid(visible=False)
ck.show(
    fig,
    alt="Left: smoothed losses of discriminator and generator against the step, with a dotted line for "
    "a discriminator that must guess. Right: twenty images made by the generator from noise.",
)

# %% tags=["claim"]
assert np.isfinite(losses).all(), "the GAN's losses should stay finite"
change = max(
    np.abs(a - b).max()
    for a, b in zip(encoders["GAN"].get_weights(), new_encoder(0).get_weights(), strict=True)
)
assert change > 0.01, f"the discriminator's encoder should have moved; largest change {change:.4f}"

# %% [markdown]
# Judge the forgeries yourself. If the detective's loss stays far below the dotted line, it wins by cues
# that a forger of this size cannot get right, such as speckles, and such cues are no digits. A GAN needs
# care, time and convolutions to become good; this one is small, and no bargain as a source of features.

# %% [markdown]
# ## 7 · All of them against the number of labels
#
# The tasks of sections 2 to 5 went through the same pool the same number of times (the pairs show each
# image twice); the GAN had a fixed number of steps. All began with the same weights. Each encoder was
# pretrained **once** and shared by all seeds, so the error bars show the choice of labelled images and
# the order of the batches, not the luck of the pretraining. The baseline has the same architecture, the
# same labelled images and the same number of steps with labels. What it has not had is the computing
# time spent on the pool.
#
# **Predict first:** rank the five tasks. Is the one with the best score in its own task
# the best teacher?

# %%
tasks = ["autoencoder", "rotation", "masked patches", "same image", "GAN"]
for name in tasks[1:]:
    try_all(name)

fig, axes = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True)
for ax, way in zip(axes, ("frozen", "fine-tuned"), strict=True):
    rivals = ["scratch", *(f"{name}, {way}" for name in tasks)]
    draw_curves(ax, rivals + ["untrained, frozen"] * (way == "frozen"))
    means = {name: np.mean(results[name][0]) for name in rivals}
    ax.set_title(f"{way.capitalize()}, {few} labels: best is {max(means, key=means.get)}")
ck.show(
    fig,
    alt="Held-out accuracy against the number of labels, mean and standard deviation over seeds. Left: "
    "five frozen encoders, scratch and an untrained frozen encoder. Right: five fine-tuned encoders "
    "and scratch.",
)

# %%
print(f"accuracy minus that of scratch, {n_seeds} seeds, for {label_counts} labels")
for way in ("frozen", "fine-tuned"):
    for name in tasks:
        compare(f"{name}, {way}")
compare("untrained, frozen")

# %% [markdown]
# With the fewest labels, seed by seed: the same labelled images with and without pretraining.

# %%
gains = {
    f"{name}, {way}": np.array(results[f"{name}, {way}"][0]) - np.array(results["scratch"][0])
    for name in tasks for way in ("frozen", "fine-tuned")
}  # fmt: skip
gains = dict(sorted(gains.items(), key=lambda item: -item[1].mean()))
fig, ax = plt.subplots(figsize=(8, 4.6))
ck.plotting.strip(ax, gains, f"accuracy minus scratch, {few} labels")
ax.axvline(0, color="black", linewidth=1, linestyle=":")
helped = sum(values.mean() > 0 for values in gains.values())
ax.set_title(f"{helped} of {len(gains)} ways beat scratch on the mean of {n_seeds} seeds")
ck.show(
    fig,
    alt="Difference in accuracy to scratch with the same labelled images, every seed as a dot and the "
    "mean as a bar, for five tasks, frozen and fine-tuned, sorted; dotted line at 0.",
)
for name, values in gains.items():
    says = "helps" if values.mean() > 0 else "does not help"
    print(f"{name:28s}{says:14s} on the mean; better in {np.sum(values > 0)} of {n_seeds} seeds")

# %% tags=["claim"]
gain = gains["same image, fine-tuned"].mean()
assert gain > 0.01, f'"same image", fine-tuned, should beat scratch at {few} labels: {gain:+.3f}'

# %% [markdown]
# So does pretraining help with few labels? **It depends on the task**, and the sentence "pretraining
# helps" is too short. The table above says for which it is true here. How to read it:
#
# - **Same image or not** helps once fine-tuned; see above for frozen. To solve it, the net must keep what makes
#   an image itself and drop place, slant and size: nearly what a classifier needs.
# - **Masked patches** need knowledge of whole digits. How far that reaches depends on the images: look
#   at the sign on your data.
# - **Copying** keeps everything and orders nothing. A gain over random features is not a gain over
#   scratch.
# - **Rotation** was solved far better than by guessing, and yet its features may be worth no more than
#   random ones. On photographs the same task works well, because there you must recognise the animal to
#   know where its feet are. Nothing is wrong with the method; the *task* asks for something else here.
# - The **GAN**'s detective looks for forgery. Real GANs on larger images have given better features than this one.
#
# Where a fine-tuned encoder stays below scratch, a bad start was kept: the low rate that protects good
# features protects bad ones too. And read each row of the table from left to right: does the gain shrink
# as labels are added? In the long run it must, for what the labels say, pretraining need not.

# %% [markdown]
# ## 8 · Who deserves the praise?
#
# The winner had help: you told it that a small turn or shift changes nothing. Could the supervised
# baseline not be told the same? It can: train it on distorted copies of its few labelled images
# (**data augmentation**). A fair comparison gives both sides the same knowledge.
#
# **Predict first:** scratch with distorted copies against the pretrained encoder with distorted copies.
# How much of the lead is left?

# %%
with_copies = {"scratch": [], "same image, frozen": []}
encoder = ready["same image"]
for s in range(n_seeds):
    draw = np.random.default_rng(s)
    x_few, y_few = few_labels[few, s].x_train, few_labels[few, s].y_train
    rows = np.resize(np.arange(few), 1_000)
    copies_x, copies_y = distort(x_few[rows], draw), y_few[rows]
    net.layers[0].set_weights(new_encoder(100 + s).get_weights())
    net.layers[1].set_weights(empty_head)
    train(net, copies_x, copies_y, rate=full_rate, steps=budget, seed=s)
    with_copies["scratch"].append(accuracy(net, held_out))
    head.layers[0].set_weights(empty_head)
    features = output(encoder, copies_x)
    train(head, features, copies_y, rate=head_rate, steps=budget, seed=s)
    with_copies["same image, frozen"].append(accuracy(head, output(encoder, held_out)))

# %%
shares = {name: results[name][0] for name in with_copies}
shares |= {f"{name} + distorted copies": runs for name, runs in with_copies.items()}
lead = {what: np.subtract(shares[f"same image, frozen{what}"], shares[f"scratch{what}"])
        for what in ("", " + distorted copies")}  # fmt: skip
before, after = (values.mean() for values in lead.values())
fig, ax = plt.subplots(figsize=(8, 3))
ck.plotting.strip(ax, shares, f"held-out accuracy, {few} labels")
ax.set_title(f"Lead over scratch {before:+.3f}; both with copies {after:+.3f}")
ck.show(
    fig,
    alt="Accuracy of every seed for scratch and for the same-image encoder, each without and with "
    "distorted copies of the labelled images.",
)
for what, values in lead.items():
    print(
        f"lead of the pretrained encoder{what:20s} {values.mean():+.3f} ± {values.std(ddof=1):.3f}"
    )

# %% tags=["claim"]
gain = np.mean(with_copies["scratch"]) - np.mean(results["scratch"][0])
assert gain > 0.01, f"distorted copies should help scratch with {few} labels; {gain:+.3f}"

# %% [markdown]
# Distorted copies lift scratch too. Compare the two leads, and mind their spread: by as much as the lead has
# shrunk, the gain was **augmentation in disguise**; what is left has another source, the pool. Had you
# compared with plain scratch only, you could not tell the one from the other. So beware of baselines
# that were given less: less knowledge, less tuning, fewer tries. Before you believe a gain, ask what the
# rival would do with the same help.

# %% [markdown]
# ## 9 · Frozen or fine-tuned?
#
# Fine-tuning here trained the head first. Is that needed? Put a *new* head on the pretrained encoder and
# train everything at once, at the full rate, for the whole budget: once with a head of zeros, once with
# a head of random weights, as Keras makes it by default (Glorot).
#
# **Predict first:** what do the first gradients do to the encoder if they come through a random head?


# %%
def random_head(seed):
    return [np.array(keras.initializers.GlorotUniform(seed)((64, 10))), np.zeros(10)]


name = "same image"
ways = {
    "at once, random head": [
        train_whole(ready[name], random_head(s), few_labels[few, s], s) for s in range(n_seeds)
    ],
    "at once, head of zeros": [
        train_whole(ready[name], empty_head, few_labels[few, s], s) for s in range(n_seeds)
    ],
    "head first": results[f"{name}, fine-tuned"][0],
    "frozen": results[f"{name}, frozen"][0],
}
worst = min(ways, key=lambda way: np.mean(ways[way]))
fig, ax = plt.subplots(figsize=(8, 2.8))
ck.plotting.strip(ax, ways, f"held-out accuracy, {few} labels")
ax.set_title(f"One encoder, four ways to use it: worst is {worst}")
ck.show(
    fig,
    alt="Held-out accuracy of every seed for the same-image encoder trained at once with a random head, "
    "at once with a head of zeros, head first, and frozen.",
)
for way, runs in ways.items():
    print(f"{way:24s}{np.mean(runs):.3f} ± {np.std(runs, ddof=1):.3f}")

# %% tags=["claim"]
at_once, head_first = np.mean(ways["at once, random head"]), np.mean(ways["head first"])
assert at_once < head_first - 0.01, (
    f"a random head, all at once, should lose to head first: {at_once:.3f} against {head_first:.3f}"
)

# %% [markdown]
# A random head has opinions before it has seen a label. Its errors are sent down and bend the features,
# and with few labels nothing ever corrects what it says about the rest of the images. A head of zeros
# says nothing at first, which can mend a part of it for free. The recipe remains: **head first, then
# everything at a lower rate**.
#
# Frozen is the cautious choice: least to overfit (과대적합), quickest to train, one encoder for many
# tasks. Fine-tuning can pay where the labels know better than the pretext task: compare both
# curves of section 7 at the largest number of labels.
#
# How do you choose with twenty labels? Not by thousands of labelled held-out images, as this lesson does to
# show you what happens. Cross-validate within the labelled ones, over several splits; if the
# difference is within its error, take frozen.

# %% [markdown]
# ## Explore: how much may be hidden?
#
# The net was trained with 12 of 16 patches hidden. Show it more or less. From which number on does it
# make up *another* digit? What does it do with nothing at all?


# %%
def draw_completion(hidden_patches, first_image, which_patches):
    images = held_out[first_image : first_image + 8]
    seen, mask = hide(images, hidden_patches / 16, np.random.default_rng(which_patches))
    completed = output(completer, seen)
    visible = np.where(mask, 0.25, images)
    title = f"{hidden_patches} of 16 patches hidden"
    if mask.any():
        own, mean = (np.mean((g - images)[mask] ** 2) for g in (completed, mean_image))
        title += f": error on hidden pixels {own:.3f}, mean image {mean:.3f}"
    return draw_rows({"original": images, "visible": visible, "completion": completed}, title)


ck.widgets.explore(
    draw_completion,
    alt="Eight digits, the same with the chosen number of patches covered, and the net's completions.",
    hidden_patches=(0, 16, 8),
    first_image=(0, 200, 0),
    which_patches=(0, 20, 0),
)

# %% [markdown]
# And between two digits? Mix their 64 *features* and let the decoder draw the mixture; below it, the
# mixture of the *pixels*. Which of the two passes through something like digits?

# %%
encoder, decoder = autoencoder.layers


def draw_between(first_digit, second_digit):
    ends = held_out[shown[[first_digit, second_digit]]]
    t = np.linspace(0, 1, 9)[:, None]
    start, end = output(encoder, ends)
    decoded = output(decoder, (1 - t) * start + t * end)
    blended = (1 - t[..., None]) * ends[0] + t[..., None] * ends[1]
    return draw_rows(
        {"features": decoded, "pixels": blended}, f"From {first_digit} to {second_digit}"
    )


ck.widgets.explore(
    draw_between,
    alt="Two rows of nine images from one digit to another: features mixed and decoded; pixels mixed.",
    first_digit=(0, 9, 3),
    second_digit=(0, 9, 7),
)

# %% [markdown]
# ## Pitfalls
#
# - **A baseline with a handicap.** Same architecture, same labelled images, same number of steps, as
#   much tuning, and the same knowledge (augmentation). One lucky draw of twenty images is no evidence:
#   several seeds, paired.
# - **Judging by the pretext score.** A task may be solved by a cue that you do not need.
# - **Tuning on labels you would not have.** Whoever picks the best of ten methods on thousands of
#   labelled held-out images has used thousands of labels.
# - **Clearing the pool of the test images too late.** Pretraining on images that you test on is a leak,
#   even without their labels.
# - **A mask that looks like data.** A hidden patch set to 0 looks like white paper here. The net must
#   bear it; with a value of its own, or a second channel for the mask, it could tell.
# - **Augmentation that changes the class.** Turned by 180 degrees a 6 is a 9: fine as a question, bad
#   as a distortion that "changes nothing".
# - **Forgetting to compile again** after `trainable = False` (lesson 06). Computing the features once, as
#   here, avoids the question and is faster.

# %% [markdown]
# ## Recap
#
# - Many samples, few labels: train the lower layers on a task without labels, then put a head on top.
# - Self-supervised means that inputs *and* targets are made from the data: turn, hide, pair.
# - Beating the mean image, or random features, shows that something was learned, not that it helps.
# - It helps when the task needs what you want to know; compare with scratch, paired, over seeds and labels.
# - Head first, then everything at a lower rate; frozen is the cautious choice.

# %% [markdown]
# ## Now practise
#
# Open [exercise 07](../exercises/07_pretraining.ipynb): judge reconstructions, make the rotation task and
# the masked patches, put a head on an encoder, and choose between frozen and fine-tuned.
#
# Then go on with lesson
# [08 Optimizers](08_optimizers.ipynb).

# %% [markdown]
# ## Further reading
#
# - G. E. Hinton and R. R. Salakhutdinov, *Reducing the Dimensionality of Data with Neural Networks*,
#   Science 313, 2006: deep autoencoders, pretrained layer by layer.
# - D. Erhan et al., *Why Does Unsupervised Pre-training Help Deep Learning?*, JMLR 11, 2010.
# - S. Gidaris, P. Singh and N. Komodakis, *Unsupervised Representation Learning by Predicting Image
#   Rotations*, ICLR 2018, arXiv:1803.07728: section 2.
# - K. He et al., *Masked Autoencoders Are Scalable Vision Learners*, CVPR 2022, arXiv:2111.06377: section
#   3, and section 4.1 on how much to hide.
# - T. Chen et al., *A Simple Framework for Contrastive Learning of Visual Representations*, ICML 2020,
#   arXiv:2002.05709: section 2, the task "same image or not"; section 3, the distortions.
# - J. Devlin et al., *BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding*,
#   NAACL 2019, arXiv:1810.04805: section 3.1, masked words.
# - A. Radford, L. Metz and S. Chintala, *Unsupervised Representation Learning with Deep Convolutional
#   Generative Adversarial Networks*, ICLR 2016, arXiv:1511.06434: section 5, reusing the discriminator.
# - A. Kumar et al., *Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution*,
#   ICLR 2022, arXiv:2202.10054: why the head comes first.
# - A. Oliver et al., *Realistic Evaluation of Deep Semi-Supervised Learning Algorithms*, NeurIPS 2018,
#   arXiv:1804.09170: section 4, fair baselines.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "Unsupervised Pretraining" and "Pretraining on an Auxiliary Task".
