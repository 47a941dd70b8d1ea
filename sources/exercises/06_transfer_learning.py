# %% [markdown]
# # Exercise 06: Transfer learning
#
# You write the tools of [lesson 06](../notebooks/06_transfer_learning.ipynb) (transfer learning,
# 전이 학습): a copy with frozen layers, a new output layer, a watch over the original, training in two
# phases, and a rule for the number of layers to reuse. Allow 60 minutes.
#
# How it works
#
# - Replace `...  # your code here` by your code, run the cell, then run the check below it.
# - A check says *correct*, *wrong* with the reason, *crashed* with the place, or *not
#   attempted*.
# - Stuck? `ex.hint("new_output")` in a new cell gives a first hint for the task `new_output`;
#   the same call again gives the next.
# - `ex.progress()` shows what is done. It is kept when you close the notebook.
# - The twin of this notebook with all solutions is
#   [solutions/06](../solutions/06_transfer_learning.ipynb). Look there last.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import matplotlib.pyplot as plt
import numpy as np

ex = ck.exercise(6)

# %% [markdown]
# ## Part 1: From model A to model B
#
# All models here are Sequential models that start with a `keras.Input`. **Layers that count** are
# those with weights; `Flatten`, pooling or dropout layers do not. In plain Keras, please:
# `ck.transfer` has functions for some of this, and writing them is the point.
#
# ### Task 1: a copy with frozen layers
#
# Return a copy of `model` that
#
# - predicts exactly as the original and shares no weights with it;
# - has its first `n_frozen` layers that count frozen, and all others trainable.
#
# `n_frozen` goes from 0 to the number of layers that count; then all are frozen. The original stays as it
# is, its `trainable` flags included. For a model with the layers below and `n_frozen=2` a right answer gives
#
# | layer | counts | `trainable` in the copy |
# |---|---|---|
# | `conv1` | yes | False |
# | `flatten` | no | either |
# | `hidden` | yes | False |
# | `output` | yes | True |


# %% tags=["task:copy_and_freeze"]
def copy_and_freeze(model, n_frozen):
    """Return a copy of the model whose first n_frozen layers with weights are frozen."""
    ### BEGIN SOLUTION
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    counting = [layer for layer in copy.layers if layer.weights]
    for i, layer in enumerate(counting):
        layer.trainable = i >= n_frozen
    return copy
    ### END SOLUTION


# %% tags=["check:copy_and_freeze"] points=2
ex.copy_and_freeze(copy_and_freeze)

# %% [markdown]
# ### Task 2: a new output layer
#
# The last layer of `model` is its output layer. Return a new model with all its other layers (these
# very layers, or copies with the same weights and `trainable` flags) and a new dense output layer,
# with a bias, that gives probabilities for `n_classes` classes. The given model keeps its own output
# layer.


# %% tags=["task:new_output"]
def new_output(model, n_classes):
    """Return a model with the same hidden layers and a new softmax layer."""
    ### BEGIN SOLUTION
    output = keras.layers.Dense(n_classes, activation="softmax")
    return keras.Sequential([keras.Input(model.input_shape[1:]), *model.layers[:-1], output])
    ### END SOLUTION


# %% tags=["check:new_output"]
ex.new_output(new_output)

# %% [markdown]
# ### Task 3: prove that model A is untouched
#
# `action` is a function without arguments, such as a training of model B. Call it once, and return the
# list of names of those layers of `model` that it has changed: layers of which any number in any weight
# is not exactly what it was. The weights of a layer are its kernel, its bias, its moving averages,
# everything in `layer.weights`.
#
# For example, `moved_layers(model_a, lambda: None)` is `[]`.


# %% tags=["task:moved_layers"]
def moved_layers(model, action):
    """Call action() and return the names of the layers of the model that it has changed."""
    ### BEGIN SOLUTION
    before = [layer.get_weights() for layer in model.layers]
    action()
    return [
        layer.name
        for layer, old in zip(model.layers, before, strict=True)
        if not all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), old, strict=True))
    ]
    ### END SOLUTION


# %% tags=["check:moved_layers"]
ex.moved_layers(moved_layers)

# %% [markdown]
# ## Part 2: Train it, and choose
#
# ### Task 4: two phases
#
# Train the `model` you are given (not a copy) in two phases:
#
# 1. the first `n_frozen` layers that count are frozen (never all of them), the others learn: `epochs[0]` epochs with the
#    learning rate `rates[0]`;
# 2. all layers learn: `epochs[1]` epochs with the learning rate `rates[1]`.
#
# In both phases use a new SGD optimizer with momentum 0.9, the loss
# `"sparse_categorical_crossentropy"`, and the whole data in each step (`batch_size=len(x)`, so that the
# result does not depend on the shuffling). Some layers of the model may come frozen, others not: set
# every flag yourself, layer by layer: `model.trainable = True` changes nothing where the model's own flag
# is True already, however many of its layers are frozen. `model.fit(..., verbose=0)` is fine here.


# %% tags=["task:two_phases"]
def two_phases(model, n_frozen, x, y, epochs, rates):
    """Train the upper layers, then all; epochs and rates are pairs, one number for each phase."""
    ### BEGIN SOLUTION
    counting = [layer for layer in model.layers if layer.weights]
    for frozen, n_epochs, rate in zip((n_frozen, 0), epochs, rates, strict=True):
        for i, layer in enumerate(counting):
            layer.trainable = i >= frozen
        optimizer = keras.optimizers.SGD(rate, momentum=0.9)
        model.compile(optimizer, loss="sparse_categorical_crossentropy")
        model.fit(x, y, epochs=n_epochs, batch_size=len(x), verbose=0)
    ### END SOLUTION


# %% tags=["check:two_phases"] points=3
ex.two_phases(two_phases)

# %% [markdown]
# ### Task 5: how many layers to reuse?
#
# `accuracies` is an array of validation accuracies: a row for each seed, a column for each number $k$ of
# reused layers, from 0 on. The differences between columns are often smaller than those between seeds, so the
# largest mean alone is a poor guide. Use the **one-standard-error rule**:
#
# - find the column with the largest mean; let $s$ be its standard deviation over the seeds (`ddof=1`) and
#   $n$ the number of seeds, so that $s / \sqrt n$ is the standard error of this mean;
# - a column is good enough if its mean is at least the largest mean minus this standard error;
# - return the **largest** $k$ that is good enough: the more layers are reused, the fewer there are to train.
#
# For example, with two seeds and `[[0.70, 0.80, 0.79], [0.72, 0.84, 0.82]]` the best mean is 0.82, its
# standard error 0.02, and 0.805 is good enough: the answer is 2.


# %% tags=["task:choose_k"]
def choose_k(accuracies):
    """Return the largest k whose mean is within one standard error of the best."""
    ### BEGIN SOLUTION
    means = accuracies.mean(axis=0)
    best = accuracies[:, means.argmax()]
    limit = means.max() - best.std(ddof=1) / np.sqrt(len(best))
    return int(np.flatnonzero(means >= limit)[-1])
    ### END SOLUTION


# %% tags=["check:choose_k"] points=2
ex.choose_k(choose_k)

# %% [markdown]
# ### See it at work
#
# A small CNN learns eight classes; then your functions reuse $k$ of its layers for the other two
# classes, of which there are 40 labels. First a watch: B must leave A alone when it works
# on a copy of A, and it moves the layers of any model with which it shares them. Then the choice of $k$.

# %%
n, epochs_a, n_seeds = lab.pick(quick=(4_000, 6, 2), standard=(10_000, 8, 4), full=(40_000, 10, 6))
data = ck.load("cifar10").subset(n)
task_a, task_b = data.only(range(8)), data.only([8, 9])


def halved(x):
    return x.reshape(len(x), 16, 2, 16, 2, 3).mean(axis=(2, 4)) - 0.5


def build(n_classes, seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([
        keras.Input((16, 16, 3)),
        keras.layers.Conv2D(16, 3, activation="relu", name="conv1"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(32, 3, activation="relu", name="conv2"),
        keras.layers.Flatten(),
        keras.layers.Dense(32, activation="relu", name="hidden"),
        keras.layers.Dense(n_classes, activation="softmax", name="output"),
    ])  # fmt: skip


model_a = build(8, seed=0)
model_a.compile(keras.optimizers.Adam(0.002), loss="sparse_categorical_crossentropy")
ck.fit(model_a, halved(task_a.x_train), task_a.y_train, epochs=epochs_a, batch_size=64, verbose=0,
       seed=0)  # fmt: skip
x_valid, y_valid = halved(task_b.x_valid), task_b.y_valid
pool_x, pool_y = halved(task_b.x_train), task_b.y_train


def draw(seed):
    """Return 40 images of task B with their labels."""
    order = np.random.default_rng(seed).permutation(len(pool_y))
    rows = np.concatenate([order[pool_y[order] == c][:20] for c in (0, 1)])
    return pool_x[rows], pool_y[rows]


# %%
if all(map(ex.is_correct, ("copy_and_freeze", "new_output", "moved_layers", "two_phases"))):
    on_copy = new_output(copy_and_freeze(model_a, 3), 2)
    on_a = new_output(copy_and_freeze(model_a, 3), 2)
    hidden = [h for h in on_a.layers[:-1] if not isinstance(h, keras.layers.InputLayer)]
    watched = keras.Sequential([keras.Input((16, 16, 3)), *hidden])  # shares its layers
    for name, model in (("B on a copy of A", on_copy), ("B on shared layers", on_a)):
        other = model_a if model is on_copy else watched
        found = moved_layers(
            other, lambda m=model: two_phases(m, 3, *draw(0), (5, 5), (0.05, 0.01))
        )
        print(f"{name:19s} moves these layers of the other model: {found}")
else:
    print("For this proof solve tasks 1 to 4.")


# %%
def reuse(k, seed):
    """A net for B with the first k layers of A; those above are new."""
    model = new_output(copy_and_freeze(model_a, 0), 2)
    new = build(2, 100 + seed).get_weights()
    model.set_weights(model.get_weights()[: 2 * k] + new[2 * k :])
    return model


if all(map(ex.is_correct, ("copy_and_freeze", "new_output", "two_phases", "choose_k"))):
    accuracies = np.zeros((n_seeds, 4))
    for seed in range(n_seeds):
        for k in range(4):
            model = reuse(k, seed)
            two_phases(model, k, *draw(seed), (20, 10), (0.03, 0.005))
            accuracies[seed, k] = np.mean(np.argmax(model(x_valid), axis=1) == y_valid)
    chosen = choose_k(accuracies)
    fig, ax = plt.subplots()
    ck.plotting.band(ax, range(4), accuracies, "mean and range over seeds")
    ax.axvline(chosen, color=ck.plotting.COLORS[1], linestyle="--", label="your choice")
    ax.set_xticks(range(4), ["0\nnone", "1\nconv1", "2\nconv2", "3\nhidden"])
    ax.set(xlabel="k, and the last layer reused", ylabel="validation accuracy of B, 40 labels",
           title=f"Your rule reuses {chosen} layers")  # fmt: skip
    ax.legend()
    ck.show(fig, alt="Validation accuracy of task B against the number of layers reused from A, "
                     "with the number that your rule chooses.")  # fmt: skip
    print("mean accuracy:", *(f"k={k}: {v:.3f} " for k, v in enumerate(accuracies.mean(axis=0))))
else:
    print("For this picture solve tasks 1, 2, 4 and 5.")

# %% [markdown]
# The validation set has many more labels than the 40 you train with. Would your rule choose the same $k$
# from 20 validation images? Take `x_valid[:20]`, `y_valid[:20]` and other seeds, and see how often the choice changes.
#
# ## If you have time
#
# - Let phase 2 unfreeze the top two layers only. Is it better than unfreezing all?
# - Make `copy_and_freeze` work for a model with a nested model among its layers.
# - Add a third phase that uses a tenth of the rate of phase 2.
#
# ## What is done

# %%
ex.progress()
