# %% [markdown]
# # Exercise 10: ℓ1, ℓ2, max-norm and early stopping
#
# You write the penalty, the cap and the stop of
# [lesson 10](../notebooks/10_regularisation.ipynb) yourself (regularisation, 규제), put a penalty into
# a layer and into a training step of your own, and train a net that would otherwise learn its few
# images by heart (overfitting, 과대적합). Allow 60 minutes.
#
# How it works
#
# - Replace `...  # your code here` by your code, run the cell, then run the check below it.
# - A check says *correct*, *wrong* with the reason, *crashed* with the place, or *not
#   attempted*.
# - Stuck? `ex.hint("penalty")` in a new cell gives a first hint for the task `penalty`; the same
#   call again gives the next.
# - `ex.progress()` shows what is done. It is kept when you close the notebook.
# - The twin of this notebook with all solutions is
#   [solutions/10](../solutions/10_regularisation.ipynb). Look there last.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

ex = ck.exercise(10)

# %% [markdown]
# ## Part 1: Three brakes in NumPy
#
# ### Task 1: the penalty by hand
#
# $$P = \lambda_1 \sum_i |w_i| + \lambda_2 \sum_i w_i^2$$
#
# | symbol | argument | meaning |
# |---|---|---|
# | $w_i$ | `kernels` | all weights of a list of arrays of any shape |
# | $\lambda_1$ | `l1` | coefficient of the absolute values |
# | $\lambda_2$ | `l2` | coefficient of the squares |
#
# One number for the whole list. For example, `penalty([np.array([[1.0, -2.0]]), np.array([3.0])], 0.1,
# 0.01)` is 0.74.


# %% tags=["task:penalty"]
def penalty(kernels, l1, l2):
    """Return the penalty of all weights of all kernels, one number."""
    ### BEGIN SOLUTION
    w = np.concatenate([kernel.ravel() for kernel in kernels])
    return l1 * np.sum(np.abs(w)) + l2 * np.sum(w**2)
    ### END SOLUTION


# %% tags=["check:penalty"]
ex.penalty(penalty)

# %% [markdown]
# ### Task 2: max-norm (맥스-노름) for Dense and Conv2D
#
# The weights $w$ that lead into one unit (Dense), or belong to one filter (Conv2D), are shortened if
# their norm is greater than $r$:
#
# $$w \leftarrow w \cdot \frac{r}{\lVert w \rVert_2} \quad\text{if } \lVert w \rVert_2 > r$$
#
# `kernel` is that of a Dense layer, [in, out], or of a Conv2D layer, [height, width, in, out]; your
# function tells them apart by itself. It returns a new array of the same shape. A unit within
# the cap stays as it is, and so does one whose weights are all 0. For example,
# `max_norm(np.array([[3.0, 0.3], [4.0, 0.4]]), 1.0)` is `[[0.6, 0.3], [0.8, 0.4]]`.


# %% tags=["task:max_norm"]
def max_norm(kernel, r):
    """Return the kernel with no unit, or filter, of a norm greater than r."""
    ### BEGIN SOLUTION
    all_but_last = tuple(range(kernel.ndim - 1))
    norms = np.sqrt(np.sum(kernel**2, axis=all_but_last, keepdims=True))
    return kernel * (r / np.maximum(norms, r))
    ### END SOLUTION


# %% tags=["check:max_norm"] points=2
ex.max_norm(max_norm)

# %% [markdown]
# ### Task 3: the logic of early stopping (조기 종료)
#
# Given the validation losses of epochs 0, 1, 2, …, return the pair `(best_epoch, last_epoch)`:
#
# - an epoch is an **improvement** if its loss is lower than the best so far by more than `min_delta`;
#   the first epoch is one, unless its loss is NaN;
# - training ends after the epoch in which `patience` epochs **in a row** have been no improvement;
#   what comes later in the list never happens;
# - if that never comes, the last epoch is the last of the list;
# - a loss that is NaN is no improvement.
#
# For example, `early_stopping([3, 2, 2.5, 2.4, 1], patience=2)` is `(1, 3)`: the 1 at the end never
# comes to pass.


# %% tags=["task:early_stopping"]
def early_stopping(losses, patience, min_delta=0.0):
    """Return the best epoch and the last one, both counted from 0."""
    ### BEGIN SOLUTION
    best, best_epoch, waited = np.inf, 0, 0
    for epoch, loss in enumerate(losses):
        if loss < best - min_delta:
            best, best_epoch, waited = loss, epoch, 0
        else:
            waited += 1
            if waited == patience:
                break
    return best_epoch, epoch
    ### END SOLUTION


# %% tags=["check:early_stopping"] points=2
ex.early_stopping(early_stopping)

# %% [markdown]
# ### Look at what you made
#
# A made-up validation loss of 60 epochs: it dips, rises, and falls again, below the first dip. The cell says
# when.

# %%
epoch = np.arange(60)
curve = 1.2 * np.exp(-epoch / 4) + 0.5 - 0.25 / (1 + np.exp(-(epoch - 30) / 2))
curve += 0.006 * epoch + 0.02 * np.random.default_rng(0).normal(size=60)
dip = int(curve[:20].argmin())
again = int(np.argmax((epoch > dip) & (curve < curve[dip])))
print(f"first dip: epoch {dip}; below it again: epoch {again}; lowest: epoch {curve.argmin()}")

# %% [markdown]
# **Predict first:** which patience is needed to reach the second dip? What does it cost in epochs?

# %%
if ex.is_correct("early_stopping"):
    fig, ax = plt.subplots()
    ax.plot(epoch, curve, color=ck.plotting.COLORS[7], label="validation loss")
    for i, patience in enumerate((2, 8, 20)):
        best, last = early_stopping(curve.tolist(), patience)
        color, marker = ck.plotting.COLORS[i], ck.plotting.MARKERS[i]
        ax.plot(
            best,
            curve[best],
            marker,
            color=color,
            markersize=13 - 3 * i,
            label=f"best, patience {patience}",
        )
        ax.axvline(last, color=color, **{"linestyle": ck.plotting.LINESTYLES[i], "linewidth": 1})
    ax.set(title="Best epoch (marker) and end (line) for three patiences", xlabel="epoch",
           ylabel="loss")  # fmt: skip
    ax.legend()
    ck.show(
        fig, alt="A made-up validation loss with the best epoch and the end for three patiences."
    )
else:
    print("For this picture solve task 3.")

# %% [markdown]
# ## Part 2: In a layer and in a loop
#
# ### Task 4: a layer that adds its own penalty
#
# `ElasticDense` is a Dense layer that, whenever it is called, hands the penalty of its kernel (not of its
# bias) to `self.add_loss`. `__init__` is there; write `call`. It must return what a Dense layer
# returns, and work inside `model.fit`, where tensors have no values yet: use `keras.ops` or
# TensorFlow, not NumPy.


# %% tags=["task:elastic_dense"]
class ElasticDense(keras.layers.Dense):
    """A Dense layer with the penalty l1 · Σ|w| + l2 · Σw² on its kernel."""

    def __init__(self, units, l1=0.0, l2=0.0, **kwargs):
        super().__init__(units, **kwargs)
        self.l1, self.l2 = l1, l2

    def call(self, inputs):
        """Add the penalty of `self.kernel`; return the output."""
        ### BEGIN SOLUTION
        absolute = keras.ops.sum(keras.ops.abs(self.kernel))
        squares = keras.ops.sum(self.kernel**2)
        self.add_loss(self.l1 * absolute + self.l2 * squares)
        return super().call(inputs)
        ### END SOLUTION


# %% tags=["check:elastic_dense"] points=2
ex.elastic_dense(ElasticDense)

# %% [markdown]
# ### Task 5: a training step that forgets no penalty
#
# One step with a mean squared error:
#
# 1. inside a `tf.GradientTape`, compute the data loss from `model(x, training=True)` and `y`, and *then*
#    add up `model.losses`;
# 2. take the gradient of their sum with respect to `model.trainable_variables`;
# 3. let the `optimizer` apply it;
# 4. return the pair `(data_loss, penalty)`, both from before the update, each by itself.
#
# It must also work for a model without any penalty, and inside `tf.function`.


# %% tags=["task:train_step"]
def train_step(model, optimizer, x, y):
    """Train for one step; return the data loss and the sum of the penalties."""
    ### BEGIN SOLUTION
    with tf.GradientTape() as tape:
        data_loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        penalties = sum(model.losses)
        loss = data_loss + penalties
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return data_loss, penalties
    ### END SOLUTION


# %% tags=["check:train_step"] points=3
ex.train_step(train_step)

# %% [markdown]
# ## Part 3: Put them to use
#
# A made-up task as in the lesson: 40 inputs, of which only the first five matter, and 60 noisy samples to learn
# from. Your layer, your step, your cap and your stopping rule train four nets on it, each of them with several
# seeds: for every seed other samples and other starting weights, the same for all four.
#
# **Predict first:** which net has the most weights near zero in its first layer, and on which inputs? Which has
# the lowest loss on new samples? Will the seeds agree on that?

# %%
true_weights = np.zeros((40, 1))
true_weights[:5, 0] = [2.0, -1.5, 1.0, -1.0, 0.5]
steps, n_seeds = lab.pick(quick=(300, 3), standard=(600, 10), full=(1_200, 20))


def samples(seed):
    """Return 60 samples for training, 200 for validation and 1,000 for the test."""
    draw = np.random.default_rng(seed)
    parts = []
    for n in (60, 200, 1_000):
        x = draw.normal(size=(n, 40))
        y = x @ true_weights + 0.5 * draw.normal(size=(n, 1))
        parts.append((x.astype("float32"), y.astype("float32")))
    return parts


def mean_squared_error(model, data):
    return float(np.mean((np.asarray(model(data[0])) - data[1]) ** 2))


def run(seed, l1=0.0, l2=0.0, r=None):
    """Train a net; return it, and every ten steps its validation loss and its weights."""
    (x, y), valid, _ = samples(seed)
    keras.utils.set_random_seed(seed)
    hidden = ElasticDense(20, l1=l1, l2=l2, activation="tanh")
    model = keras.Sequential([keras.Input((40,)), hidden, keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(0.05)
    optimizer.build(model.trainable_variables)
    compiled = tf.function(lambda: train_step(model, optimizer, x, y))
    losses, weights = [], []
    for step in range(steps):
        compiled()
        if r is not None:
            hidden.kernel.assign(max_norm(hidden.kernel.numpy(), r))
        if step % 10 == 9:
            losses.append(mean_squared_error(model, valid))
            weights.append(model.get_weights())
    return model, losses, weights


# %%
if ex.is_correct("elastic_dense") and ex.is_correct("train_step"):
    plans = {"no brake": {}, "ℓ1": {"l1": 0.01}, "ℓ2": {"l2": 0.02}}
    if ex.is_correct("max_norm"):
        plans["max-norm"] = {"r": 0.5}
    at_end = {name: [] for name in plans}
    stopped, sizes = {name: [] for name in plans}, {}
    for name, plan in plans.items():
        for seed in range(n_seeds):
            test = samples(seed)[2]
            model, losses, weights = run(seed, **plan)
            at_end[name].append(mean_squared_error(model, test))
            sizes.setdefault(name, []).append(np.abs(weights[-1][0]))
            if ex.is_correct("early_stopping"):
                best, _ = early_stopping(losses, patience=5)
                model.set_weights(weights[best])
                stopped[name].append(mean_squared_error(model, test))
    outcome = ck.verdict(at_end, metric="test loss")
    ck.show(ck.plotting.strips(at_end, title=outcome.headline, xlabel="test loss at the end"))
    per_input = {name: [each.mean(axis=1) for each in found] for name, found in sizes.items()}
    ck.show(ck.plotting.lines(per_input, title="Which inputs does each net listen to? The first five matter",
                              xlabel="input", ylabel="mean |weight|"))  # fmt: skip
    for name, found in sizes.items():
        line = f"{name:9s} test loss {np.mean(at_end[name]):.3f}, below 0.001 in the first layer "
        line += f"{np.mean(np.array(found) < 1e-3):.0%} of the weights"
        if stopped[name]:
            line += f"; test loss with the weights of the lowest validation loss {np.mean(stopped[name]):.3f}"
        print(line)
    print(outcome)
else:
    print("For this training solve tasks 4 and 5; tasks 2 and 3 add to it.")

# %% [markdown]
# Now you may rank them, as far as the last line does: it names a winner only where the seeds separate it from every
# other. What it ranks are these strengths, one guess each; the lesson chooses them on validation data first. And look
# at *where* the weights near zero are.
#
# ## If you have time
#
# - Sweep the coefficient of ℓ1 in powers of ten, and draw the share of near-zero weights and the test loss
#   against it. Where does the penalty begin to dominate?
# - After every step, set all weights of the hidden kernel to `np.sign(w) * np.maximum(np.abs(w) - t, 0)` with
#   $t$ = learning rate · `l1`, and leave the penalty out of the loss. How many weights are *exactly* 0 now?
# - Give `ElasticDense` a `get_config`, so that a model with it can be saved and loaded.
#
# ## What is done

# %%
ex.progress()
