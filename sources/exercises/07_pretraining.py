# %% [markdown]
# # Exercise 07: Unsupervised and self-supervised pretraining
#
# You make the labels that cost nothing (self-supervised learning, 자기 지도 학습), judge what was
# learned, and put a head on a pretrained encoder, as in
# [lesson 07](../notebooks/07_pretraining.ipynb). Allow 60 minutes.
#
# How it works
#
# - Replace `...  # your code here` by your code, run the cell, then run the check below it.
# - A check says *correct*, *wrong* with the reason, *crashed* with the place, or *not
#   attempted*.
# - Stuck? `ex.hint("rotation_task")` in a new cell gives a first hint for the task `rotation_task`;
#   the same call again gives the next.
# - `ex.progress()` shows what is done. It is kept when you close the notebook.
# - The twin of this notebook with all solutions is
#   [solutions/07](../solutions/07_pretraining.ipynb). Look there last.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import numpy as np

ex = ck.exercise(7)

# %% [markdown]
# ## Part 1: A yardstick
#
# ### Task 1: better than the mean image?
#
# An autoencoder gives copies of held-out images. Their error alone says little: divide it by the error of
# the **mean image** of the pool, which knows nothing about the image in question.
#
# $$\frac{\text{mean of } (\text{copy} - \text{original})^2}
# {\text{mean of } (\text{mean image} - \text{original})^2}$$
#
# Both means go over all pixels of all originals. The mean image has one value for each pixel, and comes
# from the pool. 0 is a perfect copy, 1 is no better than the mean image. For example, with
# `originals = np.array([[[0.0, 1.0]]])`, `copies = np.array([[[0.1, 0.9]]])` and
# `pool = np.array([[[0.0, 0.0]], [[0.4, 0.8]]])` the errors are 0.01 and 0.2, so the result is 0.05.
#
# | argument | shape |
# |---|---|
# | `originals`, `copies` | (n, height, width) |
# | `pool` | (any number, height, width) |


# %% tags=["task:relative_error"]
def relative_error(originals, copies, pool):
    """Return the copies' mean squared error divided by that of the pool's mean image."""
    ### BEGIN SOLUTION
    own = np.mean((copies - originals) ** 2)
    return own / np.mean((pool.mean(axis=0) - originals) ** 2)
    ### END SOLUTION


# %% tags=["check:relative_error"]
ex.relative_error(relative_error)

# %% [markdown]
# ## Part 2: Labels for free
#
# ### Task 2: which way is up?
#
# Make the rotation task: from n square images return the pair `(turned, turns)`.
#
# - `turned`: 4n images, each of the n turned by 0, 1, 2 and 3 quarters, in any order;
# - `turns`: 4n labels in the same order, the number of quarters, counter-clockwise as `np.rot90` counts.


# %% tags=["task:rotation_task"]
def rotation_task(images):
    """Return every image in four positions, (4n, side, side), and the labels, (4n,)."""
    ### BEGIN SOLUTION
    turned = [np.rot90(images, k, axes=(1, 2)) for k in range(4)]
    return np.concatenate(turned), np.repeat(np.arange(4), len(images))
    ### END SOLUTION


# %% tags=["check:rotation_task"] points=2
ex.rotation_task(rotation_task)

# %% [markdown]
# ### Task 3: hide patches
#
# Cut every image into a grid of patches of `patch` × `patch` pixels, and hide some of them. Return the
# pair `(masked, mask)`, both of the images' shape (n, side, side):
#
# - `mask` is True (or 1) where a pixel is hidden, False (or 0) where it is visible;
# - `masked` is 0 where it is hidden, and the image where it is visible.
#
# In **every** image exactly `round(share * number of patches)` patches are hidden, drawn for each image
# by itself, all patches as likely. Take all random numbers from `draw`, a `np.random.Generator`. `side`
# is a multiple of `patch`.
#
# For example, images of 28 × 28 pixels with `patch=7` and `share=0.75` have 16 patches, of which 12
# are hidden.


# %% tags=["task:mask_patches"]
def mask_patches(images, patch, share, draw):
    """Return the images with patches set to 0, and the mask, True where a pixel is hidden."""
    ### BEGIN SOLUTION
    n, side, _ = images.shape
    across = side // patch
    rank = draw.random((n, across**2)).argsort(axis=1)
    mask = (rank < round(share * across**2)).reshape(n, across, across)
    mask = mask.repeat(patch, axis=1).repeat(patch, axis=2)
    return np.where(mask, 0, images), mask
    ### END SOLUTION


# %% tags=["check:mask_patches"] points=3
ex.mask_patches(mask_patches)

# %% [markdown]
# ### Task 4: the error that counts
#
# A net that fills the gaps could copy what it sees. So count hidden pixels only: the mean of the squared
# errors over all pixels where `mask` is True. `guesses`, `images` and `mask` have the same shape (n,
# height, width); the number of hidden pixels may differ between images.


# %% tags=["task:hidden_error"]
def hidden_error(guesses, images, mask):
    """Return the mean squared error over the hidden pixels."""
    ### BEGIN SOLUTION
    return np.mean((guesses - images)[mask] ** 2)
    ### END SOLUTION


# %% tags=["check:hidden_error"]
ex.hidden_error(hidden_error)

# %% [markdown]
# ### Look at what you made

# %%
n, epochs = lab.pick(quick=(4_000, 5), standard=(10_000, 10), full=(30_000, 20))
data = ck.load("mnist").subset(n)
pool, held_out, y_held_out = data.x_train, data.x_valid, data.y_valid

if ex.is_correct("rotation_task") and ex.is_correct("mask_patches"):
    turned, turns = (np.array(part) for part in rotation_task(held_out[:2]))
    masked, mask = mask_patches(held_out[:8], 7, 0.75, np.random.default_rng(0))
    mask = np.asarray(mask, bool)
    shown = [*turned[:8], *held_out[:8], *np.where(mask, 0.25, held_out[:8])]
    labels = [f"label {k}" for k in turns[:8]] + ["original"] * 8 + ["visible"] * 8
    ck.show(ck.plotting.images(shown, labels, columns=8, title="Inputs and labels for free"))
else:
    print("For this picture solve tasks 2 and 3.")

# %% [markdown]
# ## Part 3: The encoder goes to work
#
# ### Task 5: a head on the encoder
#
# Build a classifier from a pretrained `encoder` (a Keras model from images to features): the encoder,
# then one dense softmax layer with `n_classes` outputs. Do not compile it.
#
# - The classifier begins with the encoder's weights, in a **copy of its own**: whatever is trained later,
#   the encoder that was passed in stays as it is, and trainable.
# - With `frozen=True` only the head can learn; with `frozen=False` everything can.


# %% tags=["task:with_head"]
def with_head(encoder, n_classes, frozen):
    """Return an uncompiled classifier: a copy of the encoder, frozen or not, and a new head."""
    ### BEGIN SOLUTION
    body = keras.models.clone_model(encoder)
    body.set_weights(encoder.get_weights())
    body.trainable = not frozen
    return keras.Sequential([body, keras.layers.Dense(n_classes, activation="softmax")])
    ### END SOLUTION


# %% tags=["check:with_head"] points=2
ex.with_head(with_head)

# %% [markdown]
# ### Task 6: frozen or fine-tuned?
#
# You have a handful of labels, and have cross-validated: on the same splits, once with the frozen and once
# with the fine-tuned encoder. `frozen` and `tuned` are two lists of accuracies, entry by entry from the
# same split. Frozen is the cautious choice, so fine-tune only if its gain stands out from the splits' spread:
#
# 1. take the gain $g_i$ of fine-tuning on each split, and the mean $\bar g$ of the $n$ gains;
# 2. the standard error of $\bar g$ is $s / \sqrt n$, where $s$ is the standard deviation of the gains with
#    $n - 1$ in the denominator;
# 3. return `"fine-tuned"` if $\bar g$ is greater than two standard errors, otherwise `"frozen"`.
#
# For example, `choose([0.50, 0.60, 0.70], [0.53, 0.62, 0.74])` has the gains 0.03, 0.02 and 0.04, with mean
# 0.03 and standard error 0.0058, and gives `"fine-tuned"`.
#
# This is a rule of thumb, not a test: the splits share most of their training images, so their gains are
# not independent, and the true error of $\bar g$ is larger than $s / \sqrt n$. It is one more reason
# to stay frozen when in doubt.


# %% tags=["task:choose"]
def choose(frozen, tuned):
    """Return "fine-tuned" if it gains more than two standard errors, otherwise "frozen"."""
    ### BEGIN SOLUTION
    gains = np.subtract(tuned, frozen)
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return "fine-tuned" if gains.mean() > 2 * error else "frozen"
    ### END SOLUTION


# %% tags=["check:choose"] points=2
ex.choose(choose)

# %% [markdown]
# ### See it at work
#
# An encoder learns to fill gaps with your masks, on images without labels. **Predict first:** what
# fraction of the mean image's error on hidden pixels can it reach, with three quarters hidden?

# %% tags=["helper"]
encoder = keras.Sequential([
    keras.Input((28, 28)), keras.layers.Flatten(),
    keras.layers.Dense(128, "relu", kernel_initializer="he_normal"),
    keras.layers.Dense(64, "relu", kernel_initializer="he_normal"),
])  # fmt: skip
completer = keras.Sequential([
    encoder, keras.layers.Dense(128, "relu", kernel_initializer="he_normal"),
    keras.layers.Dense(784, "sigmoid"), keras.layers.Reshape((28, 28)),
])  # fmt: skip
completer.compile("adam", loss="binary_crossentropy")

if ex.is_correct("mask_patches") and ex.is_correct("hidden_error"):
    draw = np.random.default_rng(0)
    for i in range(epochs):
        seen = np.asarray(mask_patches(pool, 7, 0.75, draw)[0], "float32")
        ck.fit(completer, seen, pool, epochs=1, batch_size=64, verbose=0, seed=i)
    seen, mask = mask_patches(held_out, 7, 0.75, draw)
    mask = np.asarray(mask, bool)
    guesses = np.array(completer(np.asarray(seen, "float32")))
    errors = [float(hidden_error(g, held_out, mask)) for g in (guesses, 0 * guesses + pool.mean(0))]
    shown = [*held_out[:8], *np.where(mask, 0.25, held_out)[:8], *guesses[:8]]
    labels = ["original"] * 8 + ["visible"] * 8 + ["guess"] * 8
    ck.show(ck.plotting.images(shown, labels, columns=8,
                               title=f"In the gaps: {errors[0] / errors[1]:.0%} of the mean image's error"))  # fmt: skip
else:
    print("For this training solve tasks 3 and 4.")

# %% [markdown]
# Now the labels: 50 of them, in five different draws. Each draw trains a frozen and a fine-tuned classifier,
# and a net that was never pretrained, for the same number of steps. Each of the three has a learning rate of
# its own, the best of the same four, found on a sixth draw. (To see the effect of your choice,
# accuracy is measured on held-out images here. With only 50 labels you would have to cross-validate.)


# %% tags=["helper"]
def accuracy(model, start, draw, rate):
    """Train from the weights `start` on one draw of 50 labels; return the held-out accuracy."""
    model.set_weights(start)
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = rate
    few = data.subset(50, draw)
    rows = np.resize(np.arange(50), 1_000)
    ck.fit(
        model, few.x_train[rows], few.y_train[rows], epochs=6, batch_size=20, verbose=0, seed=draw
    )
    return float(np.mean(np.array(model(held_out)).argmax(axis=1) == y_held_out))


def accuracies(encoder, frozen):
    """Choose a rate on draw 5; return the held-out accuracies of draws 0 to 4 with it."""
    model = with_head(encoder, 10, frozen)
    model.compile(keras.optimizers.Adam(), loss="sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    start = [0 * w if w.shape[-1] == 10 else w for w in model.get_weights()]  # a head of zeros
    best = max((0.0003, 0.001, 0.003, 0.01), key=lambda rate: accuracy(model, start, 5, rate))
    return [accuracy(model, start, draw, best) for draw in range(5)]


# %% tags=["helper"]
needed = ("mask_patches", "hidden_error", "with_head", "choose")
if all(ex.is_correct(name) for name in needed):
    untrained = keras.models.clone_model(encoder)  # the structure, with weights of its own
    runs = {
        "scratch": accuracies(untrained, frozen=False),
        "frozen": accuracies(encoder, frozen=True),
        "fine-tuned": accuracies(encoder, frozen=False),
    }
    said = choose(runs["frozen"], runs["fine-tuned"])
    ck.show(
        ck.plotting.strips(
            runs, xlabel="held-out accuracy, 50 labels", title=f"Your rule says: {said}"
        )
    )
    print(ck.verdict(runs, better="higher", metric="accuracy"))
else:
    print("For this comparison solve tasks 3 to 6.")

# %% [markdown]
# Does your rule agree with your eye? Does pretraining help here at all? Compare with *scratch* before you
# answer: filling gaps is one task among several, and lesson 07 ranks them.
#
# ## If you have time
#
# - Pretrain with `rotation_task` in place of the masks. Which of the two helps more?
# - Hide a quarter instead of three quarters. Does the error fall? Does the accuracy rise?
# - Train the frozen head first, copy it into the fine-tuned classifier, and go on at a lower rate. Does it
#   beat training everything at once?
#
# ## What is done

# %%
ex.progress()
