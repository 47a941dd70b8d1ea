# %% [markdown]
# # Exercise 13: Practical guidelines
#
# You choose for real cases, check and cure a training, and make a net smaller with your own functions,
# as in [lesson 13](../notebooks/13_practical_guidelines.ipynb). Allow 60 minutes.
#
# How it works
#
# - Replace `...  # your code here` by your code, run the cell, then run the check below it.
# - A check says *correct*, *wrong* with the reason, *crashed* with the place, or *not
#   attempted*.
# - Stuck? `ex.hint("standardise")` in a new cell gives a first hint for the task `standardise`;
#   the same call again gives the next.
# - `ex.progress()` shows what is done. It is kept when you close the notebook.
# - The twin of this notebook with all solutions is
#   [solutions/13](../solutions/13_practical_guidelines.ipynb). Look there last.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import matplotlib.pyplot as plt
import numpy as np

ex = ck.exercise(13)

# %% [markdown]
# ## Part 1: Choose
#
# ### Task 1: seven cases
#
# Give each case the option that the guidelines name first.
#
# | option | meaning |
# |---|---|
# | `"relu"` | He weights, batch normalisation (배치 정규화) before each activation, ReLU |
# | `"swish"` | He weights, batch normalisation before each activation, Swish |
# | `"selu"` | LeCun weights, SELU, no batch normalisation |
# | `"reuse"` | take over lower layers of a net that was trained for something alike (전이 학습) |
# | `"prune"` | train with ℓ1, then set small weights to 0 |
# | `"shrink"` | fold batch normalisation, store int8 |
# | `"mc"` | Monte Carlo dropout (몬테 카를로 드롭아웃): dropout stays on, many predictions are averaged |
#
# | case | what you know |
# |---|---|
# | `"two_layers"` | two dense hidden layers, 50,000 standardised images, no other wish |
# | `"skips"` | twenty dense layers with skip connections, batches of 128, to be trained |
# | `"batches_of_one"` | twenty dense layers, a plain stack, standardised inputs; it must learn from one sample at a time |
# | `"few_labels"` | 200 labelled X-rays; a colleague has a net trained on 100,000 other X-rays |
# | `"phone"` | a deep net with batch normalisation is trained and right, but too large and too slow for a phone that computes in int8; no time to train again |
# | `"harm"` | the net, with dropout, is trained; a wrong answer given with confidence does harm |
# | `"few_weights"` | you may train again; as many weights as possible must be exactly 0 |

# %% tags=["task:choices"]
choices = {
    "two_layers": ...,
    "skips": ...,
    "batches_of_one": ...,
    "few_labels": ...,
    "phone": ...,
    "harm": ...,
    "few_weights": ...,
}
### BEGIN SOLUTION
choices = {
    "two_layers": "relu",
    "skips": "swish",
    "batches_of_one": "selu",
    "few_labels": "reuse",
    "phone": "shrink",
    "harm": "mc",
    "few_weights": "prune",
}
### END SOLUTION

# %% tags=["check:choices"] points=2
ex.choices(choices)

# %% [markdown]
# A case can have several needs at once: twenty layers that must answer fast and say when they doubt.
# **Predict first:** which rows of the table does `ck.recommend` change, and what is left for afterwards?

# %%
usual = ck.recommend((28, 28), 10, hidden=20).choices
advice = ck.recommend((28, 28), 10, hidden=20, needs=("latency", "uncertainty"))
print(advice)
print("changed or added:", ", ".join(row.what for row in advice.choices if row not in usual))

# %% [markdown]
# ## Part 2: Before you train, and when it does not learn
#
# ### Task 2: standardise, with a guard
#
# For every pixel: subtract the mean of `train` and divide by the standard deviation of `train`; do
# the same, with the *same* numbers, to `other`. Where a pixel has the same value in all of `train`,
# divide by 1. Return the two new arrays. (Lesson 13: where pixels are almost constant, one mean and one σ for
# all is safer.)
#
# For example, `standardise(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[2.0, 7.0]]))` gives
# `[[-1, 0], [1, 0]]` and `[[0, 2]]`.


# %% tags=["task:standardise"]
def standardise(train, other):
    """Standardise two arrays, shapes (n, ...) and (m, ...), by the statistics of the first."""
    ### BEGIN SOLUTION
    mean, std = train.mean(axis=0), train.std(axis=0)
    std = np.where(std == 0, 1, std)
    return (train - mean) / std, (other - mean) / std
    ### END SOLUTION


# %% tags=["check:standardise"]
ex.standardise(standardise)

# %% [markdown]
# ### Task 3: the one-batch check
#
# Can this net learn 32 rows by heart? Train the compiled `model` for `steps` steps, each on the first 32
# rows of `x` and `y`; then measure the loss on these rows, without dropout; then put the weights back as they
# were, so that the net is as before. (The optimizer's momentum has moved; that is allowed here.) Return the loss, one number. (All nets here end in a softmax and
# have whole numbers as labels, so the loss is the sparse categorical cross-entropy.)


# %% tags=["task:one_batch_loss"]
def one_batch_loss(model, x, y, steps=150):
    """Return the loss on the first 32 rows after training on them; the weights stay as found."""
    ### BEGIN SOLUTION
    x, y = x[:32], y[:32]
    before = model.get_weights()
    for _ in range(steps):
        model.train_on_batch(x, y)
    losses = keras.losses.sparse_categorical_crossentropy(y, model(x, training=False))
    model.set_weights(before)
    return float(np.mean(losses))
    ### END SOLUTION


# %% tags=["check:one_batch_loss"] points=2
ex.one_batch_loss(one_batch_loss)

# %% [markdown]
# ### Task 4: cure a sick training
#
# A colleague sends you this function. It takes images, values from 0 to 1, and their labels, 0 to 9, and returns
# what the training needs. Nothing it returns ever learns: **four bugs** are planted in it.


# %%
def sick(images, labels):
    """Return images and labels as they go into the net, and the compiled net."""
    x = images * 255
    y = np.sort(labels)
    model = keras.Sequential(
        [
            keras.Input(images.shape[1:]),
            keras.layers.Flatten(),
            keras.layers.Dense(50, "relu", kernel_initializer="he_normal"),
            keras.layers.Dense(10, "softmax"),
            keras.layers.Softmax(),
        ]
    )
    optimizer = keras.optimizers.SGD(1e-7, momentum=0.9)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return x, y, model


# %% [markdown]
# Go through the order of the lesson. What would each step have told you?


# %%
draw = np.random.default_rng(0)
labels = draw.integers(0, 10, 300)
images = 0.7 * draw.uniform(size=(10, 8, 8))[labels] + 0.3 * draw.uniform(size=(300, 8, 8))
x_sick, y_sick, net_sick = sick(images, labels)
print("labels before:", *labels[:12])
print("labels after: ", *y_sick[:12])
print(f"standard deviation of the inputs: {x_sick.std():.1f}")
losses = keras.losses.sparse_categorical_crossentropy(y_sick, net_sick(x_sick, training=False))
print(f"loss before training: {np.mean(losses):.2f}")

# %% [markdown]
# The loss before training looks innocent, although the inputs are huge: two softmaxes cannot be loud. One
# bug hides another, so after each cure begin again from the top.
#
# Write the function again without the bugs. How you do it is up to you, as long as the images keep their order,
# the labels stay whole numbers, the net still ends in a softmax, and it learns one batch by heart. (A cure may
# use your `standardise`.)


# %% tags=["task:cure"]
def cure(images, labels):
    """Return images and labels as they go into the net, and the compiled net."""
    ### BEGIN SOLUTION
    x, _ = standardise(images, images)
    model = keras.Sequential(
        [
            keras.Input(images.shape[1:]),
            keras.layers.Flatten(),
            keras.layers.Dense(50, "relu", kernel_initializer="he_normal"),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return x, labels, model
    ### END SOLUTION


# %% tags=["check:cure"] points=3
ex.cure(cure)

# %%
if ex.is_correct("cure") and ex.is_correct("one_batch_loss"):
    x_cured, y_cured, net_cured = cure(images, labels)
    print(f"one batch, sick:  {one_batch_loss(net_sick, x_sick, y_sick):.3f}")
    print(f"one batch, cured: {one_batch_loss(net_cured, x_cured, y_cured):.3f}")
else:
    print("For this comparison solve tasks 3 and 4.")

# %% [markdown]
# ## Part 3: Smaller
#
# ### Task 5: weights as int8
#
# Turn an array of weights into whole numbers $q$ from −127 to 127, with one scale $s$ for each **unit**. Units
# lie along the last axis: a dense kernel has the shape (inputs, units), a convolution's (height,
# width, inputs, units).
#
# $$s = \frac{\max |w|}{127}, \qquad q = \text{round}\left(\frac{w}{s}\right)$$
#
# with the maximum over all weights of the unit. A unit whose weights are all 0 gets zeros and any scale
# above 0. Return the pair `(q, s)`: $q$ of dtype `int8` in the shape of $w$, $s$ of shape (units,).
#
# For example, `quantise(np.array([[1.0, 0.2], [-0.5, 0.0]]))` is about `([[127, 127], [-64, 0]], [0.00787,
# 0.00157])`.


# %% tags=["task:quantise"]
def quantise(w):
    """Return whole numbers (int8, shape of w) and scales (units,) with w ≈ scale * q."""
    ### BEGIN SOLUTION
    largest = np.abs(w).max(axis=tuple(range(w.ndim - 1)))
    scale = np.where(largest == 0, 1, largest) / 127
    return np.round(w / scale).astype(np.int8), scale
    ### END SOLUTION


# %% tags=["check:quantise"] points=2
ex.quantise(quantise)

# %% [markdown]
# ### Task 6: and back
#
# Return the weights that $q$ and $s$ stand for, $w \approx s \cdot q$, unit by unit.


# %% tags=["task:dequantise"]
def dequantise(q, scale):
    """Return the weights, floating-point numbers in the shape of q."""
    ### BEGIN SOLUTION
    return q * scale
    ### END SOLUTION


# %% tags=["check:dequantise"]
ex.dequantise(dequantise)

# %% [markdown]
# **Predict first:** one unit in the matrix below has weights ten times as large as the others. By what factor
# would the error of the *others* grow with one scale for the whole matrix?

# %%
if ex.is_correct("quantise") and ex.is_correct("dequantise"):
    w = np.random.default_rng(1).normal(size=(200, 8))
    w[:, 3] *= 10
    per_unit = dequantise(*quantise(w)) - w
    one_scale = np.reshape(dequantise(*quantise(w.reshape(-1, 1))), w.shape) - w
    fig, ax = plt.subplots(figsize=(7.5, 3))
    for i, (name, error) in enumerate([("a scale per unit", per_unit), ("one scale", one_scale)]):
        root = np.sqrt(np.mean(error**2, axis=0))
        ax.semilogy(range(8), root, ck.plotting.MARKERS[i], color=ck.plotting.COLORS[i], label=name)
    factor = np.std(one_scale[:, 0]) / np.std(per_unit[:, 0])
    ax.set(xlabel="unit (number 3 has the large weights)", ylabel="error (log scale)",
           title=f"One scale for all: {factor:.1f} times the error in unit 0")  # fmt: skip
    ax.legend()
    ck.show(fig, alt="Root mean square error of the weights of eight units, with a scale for each "
            "unit and with one scale for all.")  # fmt: skip
else:
    print("For this picture solve tasks 5 and 6.")

# %% [markdown]
# ### Task 7: weights as float16
#
# A list of arrays is to be stored. Turn every array of floating-point numbers into `float16`; arrays of whole
# numbers stay as they are. `float16` ends at 65,504: cut what lies beyond (±) to the largest number it
# can hold, rather than let it become infinite. Return the pair `(halves, saved)`: the list of
# arrays, and the share of all **bytes** that is saved, from 0 to 1.
#
# For example, `to_float16([np.zeros(6, "float32"), np.zeros(8, "int8")])` saves 12 of 32 bytes, 0.375.


# %% tags=["task:to_float16"]
def to_float16(weights):
    """Return the arrays as they are stored, and the share of bytes that is saved."""
    ### BEGIN SOLUTION
    largest = np.finfo(np.float16).max
    halves = [
        np.clip(w, -largest, largest).astype(np.float16) if w.dtype.kind == "f" else w
        for w in weights
    ]
    return halves, 1 - sum(h.nbytes for h in halves) / sum(w.nbytes for w in weights)
    ### END SOLUTION


# %% tags=["check:to_float16"]
ex.to_float16(to_float16)

# %% [markdown]
# ## Part 4: All together
#
# A deep net by the tables, trained on digits; folded; stored in your float16 and in your int8.
# **Predict first:** how many points does each cost, and how small does it get? (One seed.)

# %%
tools = ("standardise", "one_batch_loss", "quantise", "dequantise", "to_float16")
if all(ex.is_correct(name) for name in tools):
    n, epochs = lab.pick(quick=(4_000, 5), standard=(10_000, 10), full=(55_000, 15))
    data = ck.load("mnist").subset(n)
    x, x_test = standardise(data.x_train, data.x_test)
    _, x_valid = standardise(data.x_train, data.x_valid)
    advice = ck.recommend((28, 28), 10, hidden=6)
    model = advice.model
    print(f"one batch: loss {one_batch_loss(model, x, data.y_train):.3f}")
    advice = ck.recommend((28, 28), 10, hidden=6)  # a fresh one: the check moved its momentum
    ck.fit(advice.model, x, data.y_train, epochs=epochs, batch_size=64, verbose=0, seed=0,
           validation_data=(x_valid, data.y_valid), callbacks=advice.callbacks(epochs))  # fmt: skip
    folded = ck.folding.fold_batch_norm(advice.model)
else:
    folded = None
    print("For this training solve tasks 2, 3, 5, 6 and 7.")

# %%
if folded is not None:
    original = folded.get_weights()
    codes = [quantise(w) if w.ndim == 2 else (w,) for w in original]
    halves, _ = to_float16(original)
    versions = {
        "as trained": (advice.model.get_weights(), None),
        "folded": (original, original),
        "float16": (halves, halves),
        "int8": ([part for code in codes for part in code],
                 [dequantise(*code) if len(code) == 2 else code[0] for code in codes]),
    }  # fmt: skip
    right, kilobytes = {}, {}
    for name, (stored, used) in versions.items():
        net = advice.model if used is None else folded
        if used is not None:
            folded.set_weights(used)
        predicted = np.array(net(x_test, training=False)).argmax(axis=1)
        right[name] = 100 * np.mean(predicted == data.y_test)
        kilobytes[name] = sum(w.nbytes for w in stored) / 1000
        print(f"{name:11s} {kilobytes[name]:6.0f} kB   {right[name]:.2f}% of the test images right")

# %%
if folded is not None:
    fig, ax = plt.subplots(figsize=(7.5, 3))
    for i, name in enumerate(versions):
        ax.plot(kilobytes[name], right[name], ck.plotting.MARKERS[i], color=ck.plotting.COLORS[i],
                markersize=9, label=name)  # fmt: skip
    middle = right["as trained"]
    ax.set(xlabel="weights, kB", ylabel="test accuracy, %", xlim=(0, None),
           ylim=(middle - 1.5, middle + 1.5),
           title=f"int8: {kilobytes['int8'] / kilobytes['as trained']:.0%} of the bytes, "
                 f"{right['int8'] - middle:+.2f} points")  # fmt: skip
    ax.legend()
    ck.show(fig, alt="Test accuracy against the size of the weights, as trained, folded, as float16 and as int8.")  # fmt: skip

# %% [markdown]
# ## If you have time
#
# - Write `quantise` with `bits` as an argument. At how many bits does the net lose its first point?
# - Pack two 4-bit numbers into one byte, and unpack them.
# - Quantise only the largest kernel. What share of the bytes is that?
# - Give `one_batch_loss` a net with heavy dropout. How many steps does it need?
#
# ## What is done

# %%
ex.progress()
