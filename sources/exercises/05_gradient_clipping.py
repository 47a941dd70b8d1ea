# %% [markdown]
# # Exercise 05: Gradient clipping
#
# You write the three clippers of [lesson 05](../notebooks/05_gradient_clipping.ipynb) (gradient
# clipping, 그레이디언트 클리핑), measure how far each turns the gradient, choose the limit from a log,
# and put all of it into a training step of your own. Allow 60 minutes.
#
# How it works
#
# - Replace `...  # your code here` by your code, run the cell, then run the check below it.
# - A check says *correct*, *wrong* with the reason, *crashed* with the place, or *not
#   attempted*.
# - Stuck? `ex.hint("clip_by_norm")` in a new cell gives a first hint for the task `clip_by_norm`;
#   the same call again gives the next.
# - `ex.progress()` shows what is done. It is kept when you close the notebook.
# - The twin of this notebook with all solutions is
#   [solutions/05](../solutions/05_gradient_clipping.ipynb). Look there last.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

ex = ck.exercise(5)

# %% [markdown]
# ## Part 1: Three clippers in NumPy
#
# | symbol | argument | meaning |
# |---|---|---|
# | $g$ | `gradient` | the gradient of one variable, an array of any shape |
# | $g_1, g_2, \dots$ | `gradients` | a list of such arrays, one for each variable |
# | $c$ | `limit` | the limit (often called the threshold), greater than 0 |
# | $\lVert g \rVert$ | | the ℓ2 norm: the root of the sum of the squares of all components |
#
# Every function returns new arrays and leaves its arguments as they are.
#
# ### Task 1: by value
#
# Cut every component to the interval $[-c, c]$. For example, `clip_by_value(np.array([0.9, 100.0]),
# 1.0)` is `[0.9, 1.0]`.


# %% tags=["task:clip_by_value"]
def clip_by_value(gradient, limit):
    """Return the gradient with every component cut to [-limit, limit]."""
    ### BEGIN SOLUTION
    return np.clip(gradient, -limit, limit)
    ### END SOLUTION


# %% tags=["check:clip_by_value"]
ex.clip_by_value(clip_by_value)

# %% [markdown]
# ### Task 2: by norm
#
# $$g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g \rVert}\right)$$
#
# A gradient whose norm is within the limit stays as it is, and so does a gradient of zeros. For
# example, `clip_by_norm(np.array([0.9, 100.0]), 1.0)` is `[0.00899964, 0.9999595]`, and with the limit
# 200 it is `[0.9, 100.0]`.


# %% tags=["task:clip_by_norm"]
def clip_by_norm(gradient, limit):
    """Return the gradient, shortened to norm `limit` if it is longer."""
    ### BEGIN SOLUTION
    norm = np.sqrt(np.sum(gradient**2))
    return gradient * (limit / max(norm, limit))
    ### END SOLUTION


# %% tags=["check:clip_by_norm"]
ex.clip_by_norm(clip_by_norm)

# %% [markdown]
# ### Task 3: by global norm
#
# One norm for all variables together, and one factor for all:
#
# $$G = \sqrt{\lVert g_1 \rVert^2 + \lVert g_2 \rVert^2 + \dots}, \qquad
# g_k \leftarrow g_k \cdot \min\left(1, \frac{c}{G}\right)$$
#
# Return the pair `(clipped, norm)`: the list of clipped arrays, and $G$ **before** clipping, which
# is the number to log. For example, the gradients `[np.array([3.0]), np.array([4.0])]` with the
# limit 1 give `([array([0.6]), array([0.8])], 5.0)`.


# %% tags=["task:clip_by_global_norm"]
def clip_by_global_norm(gradients, limit):
    """Return the list of gradients, shortened by one factor, and their joint norm before."""
    ### BEGIN SOLUTION
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    factor = limit / max(norm, limit)
    return [g * factor for g in gradients], norm
    ### END SOLUTION


# %% tags=["check:clip_by_global_norm"] points=2
ex.clip_by_global_norm(clip_by_global_norm)

# %% [markdown]
# ### Task 4: how far is it turned?
#
# The cosine of the angle between two gradients, each a list of arrays: join all arrays of a list to
# one long arrow $a$ (and $b$), then
#
# $$\cos = \frac{a \cdot b}{\lVert a \rVert \, \lVert b \rVert}$$
#
# It is 1 for the same direction, 0 for a right angle, −1 for the opposite. For example, the cosine of
# `[np.array([3.0]), np.array([0.0])]` and `[np.array([1.0]), np.array([1.0])]` is 0.7071.


# %% tags=["task:cosine"]
def cosine(gradients, others):
    """Return the cosine of the angle between two gradients of several variables."""
    ### BEGIN SOLUTION
    a = np.concatenate([np.ravel(g) for g in gradients])
    b = np.concatenate([np.ravel(g) for g in others])
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    ### END SOLUTION


# %% tags=["check:cosine"]
ex.cosine(cosine)

# %% [markdown]
# ### Look at what you made
#
# Three variables with gradients of very different size, clipped harder and harder. **Predict first:**
# which of your clippers keeps the cosine at 1 for every limit? To what value does clipping by value
# go for a tiny limit: to 0, or does it stop before?

# %%
draw = np.random.default_rng(42)
gradients = [size * draw.normal(size=(10, 10)) for size in (1.0, 0.1, 0.01)]
clippers = {
    "clip_by_value": lambda limit: [clip_by_value(g, limit) for g in gradients],
    "clip_by_norm": lambda limit: [clip_by_norm(g, limit) for g in gradients],
    "clip_by_global_norm": lambda limit: clip_by_global_norm(gradients, limit)[0],
}
solved = [name for name in clippers if ex.is_correct(name)]
if solved and ex.is_correct("cosine"):
    limits = np.geomspace(20, 0.001, 60)
    fig, ax = plt.subplots()
    for name in solved:
        cosines = [cosine(gradients, clippers[name](limit)) for limit in limits]
        ax.semilogx(limits, cosines, label=name)
    ax.set(title="What a limit does to the direction", xlabel="limit (log scale)",
           ylabel="cosine between raw and clipped")  # fmt: skip
    ax.legend()
    ck.show(fig, alt=f"Cosine between raw and clipped against the limit for {', '.join(solved)}.")
else:
    print("For this picture solve task 4 and at least one of tasks 1 to 3.")

# %% [markdown]
# (Clipping by value with a tiny limit keeps only the *signs* of the components: the cosine between a
# gradient and its signs is rarely 0.)

# %% [markdown]
# ## Part 2: From the log to the training
#
# ### Task 5: the limit that clips a given share
#
# You have logged the raw norm of every step. The first `warmup` steps are unlike the rest, so leave
# them out; of the remaining ones, leave out those that are not finite. Return the limit that the given
# `share` of these steps exceeds, so that just they would be clipped. (One step more or less does not
# matter.)
#
# For example, `choose_threshold([500.0, 3.0, 1.0, 4.0, np.inf, 2.0], 0.5, 1)` looks at 3, 1, 4 and 2;
# half of them exceed 2.5. (With a share of 0.5 that is the median.)
#
# | argument | meaning |
# |---|---|
# | `norms` | list of numbers, one for each step; some may be `inf` or `nan` |
# | `share` | share of the steps to clip, between 0 and 1 |
# | `warmup` | number of steps at the start that do not count, finite or not |


# %% tags=["task:choose_threshold"]
def choose_threshold(norms, share, warmup=0):
    """Return the norm that `share` of the finite norms after the warm-up exceed."""
    ### BEGIN SOLUTION
    norms = np.asarray(norms)[warmup:]
    return np.quantile(norms[np.isfinite(norms)], 1 - share)
    ### END SOLUTION


# %% tags=["check:choose_threshold"] points=2
ex.choose_threshold(choose_threshold)

# %% [markdown]
# ### Task 6: a training step that clips and logs
#
# Write one step of training for a Keras `model` with a mean squared error:
#
# 1. compute the loss of the batch `x`, `y` with `model(x, training=True)` inside a `tf.GradientTape`;
# 2. get the gradients for all `model.trainable_variables`;
# 3. clip them to a global norm of at most `limit`;
# 4. let the `optimizer` apply them;
# 5. return the pair `(loss, norm)`: the loss before the update, the norm **before** clipping.
#
# It should also run inside `tf.function`, which makes it many times as fast. There tensors have no
# values while the graph is made, so use TensorFlow's functions here, not your NumPy ones:
# `tf.linalg.global_norm`, `tf.clip_by_global_norm`, `tf.reduce_mean`.


# %% tags=["task:train_step"]
def train_step(model, optimizer, x, y, limit):
    """Train for one step with the gradients clipped; return the loss and the raw norm."""
    ### BEGIN SOLUTION
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    clipped, norm = tf.clip_by_global_norm(gradients, limit)
    optimizer.apply_gradients(zip(clipped, model.trainable_variables, strict=True))
    return loss, norm
    ### END SOLUTION


# %% tags=["check:train_step"] points=3
ex.train_step(train_step)

# %% [markdown]
# ### See it at work
#
# The adding problem and the net of the lesson, now in Keras with your step. A log depends on the limit it
# was made with, so the lesson closes the circle: the next limit is the root of the limit times the median
# of its log,
#
# $$c \leftarrow \sqrt{c \cdot \operatorname{median}(\text{norms logged with } c)},$$
#
# until about half of the steps are clipped. The median comes from your `choose_threshold`. **Predict
# first:** from a limit of 0.05, how many short runs does it take to find a limit that agrees with its own log?

# %%
T = 20


def batch(draw, n=32):
    """Return inputs (n, T, 2), numbers and marks, and the sums of the marked ones (n, 1)."""
    values, marks = draw.uniform(size=(n, T)), np.zeros((n, T))
    marks[np.arange(n), draw.integers(0, T // 2, n)] = 1
    marks[np.arange(n), draw.integers(T // 2, T, n)] = 1
    x, y = np.stack([values, marks], axis=-1), (values * marks).sum(axis=1, keepdims=True)
    return x.astype("float32"), y.astype("float32")


keras.utils.set_random_seed(lab.seed)
rnn = keras.layers.SimpleRNN(16, activation="relu", recurrent_initializer="identity")
model = keras.Sequential([keras.Input((T, 2)), rnn, keras.layers.Dense(1)])
optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
optimizer.build(model.trainable_variables)
state = [*model.variables, *optimizer.variables]
start = [variable.numpy() for variable in state]
compiled = tf.function(lambda x, y, limit: train_step(model, optimizer, x, y, limit))


def run(limit, steps):
    """Train from the same start; return losses and raw norms until a loss is not finite."""
    for variable, value in zip(state, start, strict=True):
        variable.assign(value)
    draw, log = np.random.default_rng(0), []
    for _ in range(steps):
        log.append([float(part) for part in compiled(*batch(draw), tf.constant(limit, "float32"))])
        if not np.isfinite(log[-1][0]):
            break
    return np.array(log).T


# %%
if ex.is_correct("train_step") and ex.is_correct("choose_threshold"):
    limit = 0.05
    print("limit   median of the log   clipped")
    for _ in range(4):
        norms = run(limit, 200)[1].tolist()
        median = float(choose_threshold(norms, 0.5, 50))
        print(f"{limit:5.2f} {median:19.2f} {np.mean(np.array(norms[50:]) > limit):9.0%}")
        limit = float(np.sqrt(limit * median))
    steps = lab.pick(quick=300, standard=800, full=2_000)
    logs = {"no clipping": run(1e30, steps), f"limit {limit:.2g}": run(limit, steps)}
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    for i, (name, log) in enumerate(logs.items()):
        for ax, values in zip(axes, log, strict=True):
            shown = np.where(np.isfinite(values), np.minimum(values, 1e4), np.nan)
            ax.loglog(range(1, len(shown) + 1), shown, **ck.plotting.line_kw(1 - i), label=name)
    axes[0].axhline(1 / 6, color="black", linestyle=":", linewidth=1, label="guessing")
    axes[0].set(xlabel="step", ylabel="loss (cut at 10,000)", title="Loss of each batch")
    axes[1].set(xlabel="step", ylabel="raw norm (cut at 10,000)", title="What your step logs")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    ck.show(fig, alt="Loss and raw gradient norm of every step, with and without clipping.")
    for name, (losses, norms) in logs.items():
        print(f"{name:12s} {len(losses)} steps, mean loss of the last 50: {losses[-50:].mean():.3g}, "
              f"largest norm {norms.max():.3g}")  # fmt: skip
else:
    print("For this training solve tasks 5 and 6.")

# %% [markdown]
# (One seed: a demonstration, no comparison.) The table should end near 50%. What does "clip only the
# spikes" do? Take the limit that a share of 0.01 exceeds in the last log. And a third of
# the limit, and three times the limit? With these the lesson's rule ends.
#
# ## If you have time
#
# - Let `train_step` skip the update when the norm is not finite: multiply all gradients by 0 with
#   `tf.where`, and mind that 0 · NaN is NaN.
# - Write `clip_by_norm` for a list of gradients with `tf.clip_by_norm`, put it into `train_step`, and
#   log the cosine with the raw gradient.
# - Compile the net with `keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=limit)` and use
#   `fit`. Do you get the same weights as with your own step, from the same start and batches?
#
# ## What is done

# %%
ex.progress()
