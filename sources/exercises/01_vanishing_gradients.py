# %% [markdown]
# # Exercise 01: Vanishing and exploding gradients
#
# You measure what [lesson 01](../notebooks/01_vanishing_gradients.ipynb) showed: how little of a
# gradient gets through sigmoids, what becomes of a signal layer by layer, how much gradient each
# layer of a Keras model gets. Then you find the std of the weights that keeps the signal of any
# activation, and train a deep net with it. Allow 60 minutes.
#
# How it works
#
# - Replace `...  # your code here` by your code, run the cell, then run the check below it.
# - A check says *correct*, *wrong* with the reason, *crashed* with the place, or *not
#   attempted*.
# - Stuck? `ex.hint("keep_std")` in a new cell gives a first hint for the task `keep_std`; the same
#   call again gives the next.
# - `ex.progress()` shows what is done. It is kept when you close the notebook.
# - The twin of this notebook with all solutions is
#   [solutions/01](../solutions/01_vanishing_gradients.ipynb). Look there last.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import numpy as np
import tensorflow as tf

ex = ck.exercise(1)

# %% [markdown]
# ## Part 1: Slopes
#
# ### Task 1: the slope of the sigmoid
#
# Return the derivative of $\sigma(z) = 1/(1 + e^{-z})$ at every element of the array `z`. For
# example, it is 0.25 at $z = 0$ and 0.1050 at $z = 2$.


# %% tags=["task:sigmoid_slope"]
def sigmoid_slope(z):
    """Return the derivative of the logistic sigmoid at z, an array of any shape."""
    ### BEGIN SOLUTION
    s = 1 / (1 + np.exp(-z))
    return s * (1 - s)
    ### END SOLUTION


# %% tags=["check:sigmoid_slope"]
ex.sigmoid_slope(sigmoid_slope)

# %% [markdown]
# ### Task 2: what a chain lets through
#
# The smallest deep net: one unit in each layer, $a_k = \sigma(w_k\, a_{k-1} + b_k)$ for $k = 1,
# \dots, K$. A small change of the input $a_0$ changes the output $a_K$ by $\partial a_K / \partial
# a_0$ times as much. How large can the **absolute value** of this derivative be at most, whatever the
# biases $b_k$ and the input are?
#
# | symbol | argument | meaning |
# |---|---|---|
# | $w_1, \dots, w_K$ | `weights` | list of the weights, positive or negative; may be of any length |
#
# For example, `slope_bound([2.0, -4.0])` is 0.5.


# %% tags=["task:slope_bound"]
def slope_bound(weights):
    """Return the largest absolute derivative that a chain of sigmoids can have."""
    ### BEGIN SOLUTION
    return np.prod(np.abs(weights) / 4)
    ### END SOLUTION


# %% tags=["check:slope_bound"]
ex.slope_bound(slope_bound)

# %% [markdown]
# Is the bound ever reached? The picture draws chains of growing length with all weights 5: one line
# is your bound, the others are what 200 chains with random biases really let through (by the chain
# rule, with your slope). **Predict first:** the bound grows by a factor 5/4 with every layer. Will the
# chains explode?

# %%
if ex.is_correct("sigmoid_slope") and ex.is_correct("slope_bound"):
    lengths, w, draw = np.arange(1, 31), 5.0, np.random.default_rng(0)
    a, through, chains = draw.uniform(size=200), np.ones(200), []
    for _ in lengths:
        z = w * a + draw.normal(-w / 2, 1, 200)
        a, through = 1 / (1 + np.exp(-z)), through * w * sigmoid_slope(z)
        chains.append(through)
    bound = [slope_bound([w] * int(length)) for length in lengths]
    ck.show(ck.plotting.lines(
        {"your bound": bound, "highest of 200 chains": np.max(chains, axis=1),
         "median of 200 chains": np.median(chains, axis=1)}, lengths,
        title=f"Bound {bound[-1]:.0f}, typical {np.median(chains[-1]):.1g} after 30 layers",
        xlabel="layers", ylabel="derivative", log="y"))  # fmt: skip
else:
    print("This picture waits for tasks 1 and 2.")

# %% [markdown]
# (To stay on the line every unit would have to sit exactly at $z = 0$. A bound above 1 is no
# promise.)

# %% [markdown]
# ## Part 2: Look into the layers
#
# ### Task 3: layer statistics
#
# Send the inputs up through all layers, $a_l = f(a_{l-1} W_l)$ (no biases), and return one row for
# each layer, the first layer first, with three numbers about its **outputs** $a_l$:
#
# 1. the **mean** over all inputs and units;
# 2. the **std** over all inputs and units together;
# 3. the **response**: the std of each unit over the inputs, averaged over the units.
#
# | symbol | argument | meaning |
# |---|---|---|
# | $a_0$ | `x` | the inputs, an array (samples, features) |
# | $W_1, W_2, \dots$ | `kernels` | list of arrays (fan_in, units), one for each layer |
# | $f$ | `activation` | a function of an array, such as `np.tanh` |
#
# The result has the shape (number of layers, 3). For example, for `x = np.array([[1.0], [3.0]])`, the
# single kernel `np.array([[1.0, 2.0]])` and an activation that changes nothing, the outputs are
# `[[1, 2], [3, 6]]`, and the result is `[[3.0, 1.87, 1.5]]` (the second number is rounded).


# %% tags=["task:layer_statistics"]
def layer_statistics(x, kernels, activation):
    """Return mean, std and response of every layer's outputs, shape (layers, 3)."""
    ### BEGIN SOLUTION
    rows = []
    for W in kernels:
        x = activation(x @ W)
        rows.append([x.mean(), x.std(), x.std(axis=0).mean()])
    return np.array(rows)
    ### END SOLUTION


# %% tags=["check:layer_statistics"] points=2
ex.layer_statistics(layer_statistics)

# %% [markdown]
# Your function at work on ten sigmoid layers of 100 units with weights of std 0.1. **Predict first:**
# which of the three numbers betrays that the tenth layer has forgotten its input?

# %%
if ex.is_correct("layer_statistics"):
    draw = np.random.default_rng(0)
    x10, kernels10 = draw.standard_normal((500, 100)), draw.normal(0, 0.1, (10, 100, 100))
    print("layer    mean     std   response")
    for layer, row in enumerate(
        layer_statistics(x10, list(kernels10), ck.scratch.activations.sigmoid)
    ):
        print(f"{layer + 1:5} {row[0]:7.3f} {row[1]:7.3f} {row[2]:10.1e}")
else:
    print("This table waits for task 3.")

# %% [markdown]
# ### Task 4: the gradient norm of every layer
#
# For a Keras `model` that ends in softmax, return the norm of the loss' gradient for every layer that
# has weights, as a list with one number for each such layer, the first layer first:
#
# 1. compute `model(x)` inside a `tf.GradientTape`, and the **mean** of
#    `keras.losses.sparse_categorical_crossentropy` over the batch;
# 2. ask the tape for the gradients with respect to the weights;
# 3. for each layer put kernel and bias **together**: the root of the sum of the squares of all their
#   gradients' elements. A layer may have no bias; a layer without weights (such as Flatten) has no
#   number.
#
# Do not train: the weights stay as they are. `layer.trainable_weights` is the list of a layer's
# weights.


# %% tags=["task:gradient_norms"]
def gradient_norms(model, x, y):
    """Return the norm of the loss' gradient for each layer with weights, the first one first."""
    ### BEGIN SOLUTION
    layers = [layer for layer in model.layers if layer.trainable_weights]
    with tf.GradientTape() as tape:
        losses = keras.losses.sparse_categorical_crossentropy(y, model(x))
        loss = tf.reduce_mean(losses)
    gradients = tape.gradient(loss, [layer.trainable_weights for layer in layers])
    return [float(tf.linalg.global_norm(group)) for group in gradients]
    ### END SOLUTION


# %% tags=["check:gradient_norms"] points=3
ex.gradient_norms(gradient_norms)

# %% [markdown]
# ## Part 3: Weights of the right size
#
# ### Task 5: the std that keeps the signal
#
# Let a layer's pre-activations $z$ be normal with mean 0 and variance 1. Its outputs $f(z)$ are
# multiplied by weights $w$ and added up, $n_\text{in}$ of them, to a pre-activation of the next layer.
# Which std must the weights have, so that the next layer's pre-activations have variance 1 **again**?
#
# A sum of $n_\text{in}$ independent products $w_i x_i$, with weights of mean 0, has the variance
# $n_\text{in} \cdot \mathrm{Var}(w) \cdot \mathrm{E}[x^2]$. Here $x = f(z)$: find $\mathrm{E}[f(z)^2]$ by simulation. A million draws
# are enough; the check allows for 3%.
#
# | symbol | argument | meaning |
# |---|---|---|
# | $f$ | `activation` | a function of an array |
# | $n_\text{in}$ | `fan_in` | number of inputs of each unit |
#
# For example, for an activation that changes nothing and 100 inputs the std is 0.1.


# %% tags=["task:keep_std"]
def keep_std(activation, fan_in):
    """Return the std of the weights that keeps the variance of the pre-activations at 1."""
    ### BEGIN SOLUTION
    x = activation(np.random.default_rng(0).standard_normal(1_000_000))
    return 1 / np.sqrt(fan_in * np.mean(x**2))
    ### END SOLUTION


# %% tags=["check:keep_std"] points=2
ex.keep_std(keep_std)

# %% [markdown]
# ### See it at work: thirty layers
#
# Your std, and your statistics, for three activations and layers of 200 units.
#
# **Predict first:** the variance of the pre-activations is kept for all three. For which of them is the
# response kept too?

# %%
activations = {
    "tanh": np.tanh,
    "ReLU": lambda z: np.maximum(z, 0),
    "sigmoid": ck.scratch.activations.sigmoid,
}
if ex.is_correct("layer_statistics") and ex.is_correct("keep_std"):
    rows = {}
    for name, activation in activations.items():
        draw, std = np.random.default_rng(0), keep_std(activation, 200)
        first = draw.normal(0, 1 / np.sqrt(200), (1, 200, 200))  # pre-activations of variance 1
        kernels = [*first, *draw.normal(0, std, (29, 200, 200))]
        x200 = draw.standard_normal((300, 200))
        rows[f"{name}, std {std:.3f}"] = np.array(layer_statistics(x200, kernels, activation))
    sizes = {name: row[:, 1] for name, row in rows.items()}
    worst = max(size.max() / size.min() for size in sizes.values())
    ck.show(ck.plotting.lines(
        sizes, title=f"In thirty layers no net's size changes more than {worst:.1f}-fold",
        xlabel="layer", ylabel="std of all outputs"))  # fmt: skip
    ck.show(ck.plotting.lines(
        {name: row[:, 2] for name, row in rows.items()}, title="The response: tanh keeps it, the sigmoid loses it",
        xlabel="layer", ylabel="response to the input", log="y"))  # fmt: skip
    for name, row in rows.items():
        print(f"{name:18} response in layer 1 {row[0, 2]:.3f}, in layer 30 {row[-1, 2]:.1g}")
else:
    print("These pictures wait for tasks 3 and 5.")

# %% [markdown]
# tanh, whose mean is 0, keeps its response. The others' outputs have a mean above 0, the same for every
# input: in each layer it takes a larger share of the fixed variance, and inputs become alike, slowly for
# ReLU and completely for the sigmoid.
#
# Your std keeps the **signal** only. For tanh it is 1.59/√n_in, not Glorot's 1/√n_in, with which the gradients
# of deep nets stay level (lesson 01, section 7); for ReLU one number serves both.

# %% [markdown]
# ### And in training
#
# A net of ten tanh layers, from three starts: weights too small, with your std, too large. Your
# `gradient_norms` looks at it before the first step, then two epochs of plain SGD follow. (One run
# each.)
#
# **Predict first:** which of the two bad starts has gradients that are too small, and which one
# ends with a loss above that of guessing?

# %%
n = lab.pick(quick=2_000, standard=10_000, full=55_000)
data = ck.load("mnist").subset(n).standardized()
x, y = data.x_train, data.y_train
hidden = [keras.layers.Dense(100, "tanh", use_bias=False) for _ in range(10)]
model = keras.Sequential(
    [keras.Input((28, 28)), keras.layers.Flatten(), *hidden, keras.layers.Dense(10, "softmax")]
)
model.compile(
    keras.optimizers.SGD(0.05), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
)


def start(std_of):
    """Draw new kernels for all layers; `std_of(n)` is the std for n inputs."""
    draw = np.random.default_rng(1)
    for layer in model.layers[1:]:
        weights = [draw.normal(0, std_of(layer.kernel.shape[0]), layer.kernel.shape)]
        layer.set_weights(weights + [np.zeros(10)] * (len(layer.weights) - 1))


# %%
if ex.is_correct("gradient_norms") and ex.is_correct("keep_std"):
    starts = {
        "std 0.01": lambda n: 0.01,
        "your std": lambda n: keep_std(np.tanh, n),
        "std 1": lambda n: 1.0,
    }
    norms = {}
    for name, std_of in starts.items():
        start(std_of)
        norms[name] = gradient_norms(model, x[:500], y[:500])
        history = ck.fit(model, x, y, epochs=2, verbose=0, seed=0).history
        print(f"{name:9} loss of the second epoch {history['loss'][-1]:6.2f}, "
              f"accuracy {history['accuracy'][-1]:.1%}")  # fmt: skip
    print(f"guessing: loss {np.log(10):.2f}")
    ck.show(ck.plotting.lines(norms, title="What your function sees at the start", log="y",
                              xlabel="layer", ylabel="norm of the gradient"))  # fmt: skip
else:
    print("This training waits for tasks 4 and 5.")

# %% [markdown]
# Two ways to fail. Too small: the hidden layers have no biases here, so all their gradients are
# equally tiny (a pitfall in the lesson: look at the size, not only at the ratio). Too large: the
# gradient explodes on its way to the input, and the saturated units above make it a poor guide.

# %% [markdown]
# ## If you have time
#
# - Compare your two functions with `ck.diagnostics.layer_statistics` and
#   `ck.diagnostics.gradient_norms`.
# - Let `gradient_norms` return the root mean square in place of the norm. Which layers change places?
# - Find the std that keeps the **gradient** of a given activation: look up the gain in section 6 of
#   the lesson. For which activations is it the same as yours?
# - Put a callback around `gradient_norms` and follow it through an epoch, batch by batch.
#
# ## What is done

# %%
ex.progress()
