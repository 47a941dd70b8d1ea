# %% [markdown]
# # Exercise 03: Activation functions
#
# You write six activation functions (활성화 함수) of
# [lesson 03](../notebooks/03_activation_functions.ipynb) in NumPy, three as layers for Keras, and the
# counter of dead units; then you put all of them to use. Allow 90 minutes: ten tasks, most of them small,
# with a good place for a break after part 1.
#
# How it works
#
# - Replace `...  # your code here` by your code, run the cell, then run the check below it.
# - A check says *correct*, *wrong* with the reason, *crashed* with the place, or *not
#   attempted*.
# - Stuck? `ex.hint("leaky_relu")` in a new cell gives a first hint for the task `leaky_relu`; the same
#   call again gives the next.
# - `ex.progress()` shows what is done. It is kept when you close the notebook.
# - The twin of this notebook with all solutions is
#   [solutions/03](../solutions/03_activation_functions.ipynb). Look there last.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import numpy as np
from scipy import special

ex = ck.exercise(3)

# %% [markdown]
# ## Part 1: Six functions in NumPy
#
# In tasks 1 to 6 `z` is an array of any shape; return a new array of that shape. Two rules hold in all six:
#
# - The result is right for every $z$ from −1000 to 1000.
# - **Nothing overflows on the way there.** `np.exp(1000)` is infinite, even in a branch that `np.where`
#   throws away, and in a net's backward pass it would become NaN.
#
# `scipy.special` is imported; `special.expit` is a sigmoid that never overflows, `special.erf` the error
# function.
#
# ### Task 1: LeakyReLU
#
# $$\text{LeakyReLU}_\alpha(z) = \max(\alpha z, z), \qquad 0 \le \alpha \le 1$$
#
# For example, `leaky_relu(np.array([-2.0, 3.0]), 0.1)` is `[-0.2, 3.0]`.


# %% tags=["task:leaky_relu"]
def leaky_relu(z, negative_slope):
    """Return z where it is positive, negative_slope * z elsewhere."""
    ### BEGIN SOLUTION
    return np.maximum(negative_slope * z, z)
    ### END SOLUTION


# %% tags=["check:leaky_relu"]
ex.leaky_relu(leaky_relu)

# %% [markdown]
# ### Task 2: ELU
#
# $$\text{ELU}_\alpha(z) = \begin{cases} z & z > 0 \\ \alpha\,(e^z - 1) & z \le 0 \end{cases}$$
#
# For example, `elu(np.array([-1.0, 3.0]), 1.0)` is `[-0.632, 3.0]`. Which $z$ may the exponential see, if
# nothing is to overflow?


# %% tags=["task:elu"]
def elu(z, alpha):
    """Return the exponential linear unit of z."""
    ### BEGIN SOLUTION
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))
    ### END SOLUTION


# %% tags=["check:elu"]
ex.elu(elu)

# %% [markdown]
# ### Task 3: SELU
#
# ELU with $\alpha = 1.6732632423543772$, and the **whole** of it multiplied by
# $\lambda = 1.0507009873554805$. You may call your `elu`. For example, `selu(np.array([-1.0, 1.0]))` is
# `[-1.1113, 1.0507]`.


# %% tags=["task:selu"]
def selu(z):
    """Return the scaled exponential linear unit of z."""
    ### BEGIN SOLUTION
    return 1.0507009873554805 * elu(z, 1.6732632423543772)
    ### END SOLUTION


# %% tags=["check:selu"]
ex.selu(selu)

# %% [markdown]
# ### Task 4: GELU
#
# $$\text{GELU}(z) = z\,\Phi(z), \qquad
# \Phi(z) = \tfrac12 \left(1 + \operatorname{erf}\left(\frac{z}{\sqrt2}\right)\right)$$
#
# $\Phi$ is the probability that a standard normal number is below $z$. Write the exact form, not an
# approximation. For example, `gelu(np.array([-0.75, 1.0]))` is `[-0.16997, 0.84134]`.


# %% tags=["task:gelu"]
def gelu(z):
    """Return the exact Gaussian error linear unit of z."""
    ### BEGIN SOLUTION
    return z * (1 + special.erf(z / np.sqrt(2))) / 2
    ### END SOLUTION


# %% tags=["check:gelu"]
ex.gelu(gelu)

# %% [markdown]
# ### Task 5: Swish
#
# $$\text{Swish}_\beta(z) = z\,\sigma(\beta z), \qquad \sigma(x) = \frac1{1 + e^{-x}}$$
#
# For example, `swish(np.array([-1.0, 1.0]), 2.0)` is `[-0.1192, 0.8808]`. A sigmoid written as
# `1 / (1 + np.exp(-x))` overflows for large negative $x$.


# %% tags=["task:swish"]
def swish(z, beta):
    """Return z times the sigmoid of beta * z."""
    ### BEGIN SOLUTION
    return z * special.expit(beta * z)
    ### END SOLUTION


# %% tags=["check:swish"]
ex.swish(swish)

# %% [markdown]
# ### Task 6: Mish
#
# $$\text{Mish}(z) = z \tanh(\text{softplus}(z)), \qquad \text{softplus}(z) = \log(1 + e^z)$$
#
# For example, `mish(np.array([-1.0, 1.0]))` is `[-0.3034, 0.8651]`. How large is softplus for large z? How
# do you get there without $e^z$?


# %% tags=["task:mish"]
def mish(z):
    """Return z times tanh(softplus(z))."""
    ### BEGIN SOLUTION
    return z * np.tanh(np.logaddexp(0, z))
    ### END SOLUTION


# %% tags=["check:mish"]
ex.mish(mish)

# %% [markdown]
# ### Look at what you made
#
# Your functions, and what they make of 10,000 standard normal numbers. **Predict first:** which has the
# mean nearest to 0? Which never falls as $z$ grows?

# %%
mine = {
    "leaky_relu": lambda z: leaky_relu(z, 0.2),
    "elu": lambda z: elu(z, 1.0),
    "selu": selu,
    "gelu": gelu,
    "swish": lambda z: swish(z, 1.0),
    "mish": mish,
}
solved = {name: f for name, f in mine.items() if ex.is_correct(name)}
if solved:
    z, normal = np.linspace(-4, 2, 301), np.random.default_rng(0).normal(size=10_000)
    curves = {name: np.array(f(z)) for name, f in solved.items()}
    for name, f in solved.items():
        outputs = np.array(f(normal))
        falls = "falls somewhere" if np.any(np.diff(curves[name]) < 0) else "never falls"
        print(f"{name:11s} mean {outputs.mean():6.3f}   std {outputs.std():.3f}   {falls}")
    ck.show(ck.plotting.lines(curves, z, title="Your functions: how they differ below 0",
                              xlabel="z", ylabel="output"))  # fmt: skip
else:
    print("For this picture solve at least one of tasks 1 to 6.")

# %% [markdown]
# ## Part 2: Three layers for Keras
#
# A Keras layer makes its weights in `build(self, input_shape)`, where the size of the input is known, with
# `self.add_weight(shape=..., initializer=..., name=...)`, and computes in `call(self, inputs)`. A layer is
# also used inside a compiled program, where tensors have no values yet: compute with `keras.ops`, not
# with NumPy. Mind the overflow here as well: `keras.ops.sigmoid` is safe, as `special.expit` is.
#
# ### Task 7: PReLU
#
# $z$ where it is positive, $\alpha z$ elsewhere, with one **learned** slope $\alpha$ for each unit, that is,
# for each place on the last axis. All start at 0.25. (Here $\alpha$ may become negative or larger than
# 1, so $\max(\alpha z, z)$ will not do.)


# %% tags=["task:prelu"]
class MyPReLU(keras.layers.Layer):
    """Leaky ReLU with one learned slope for each unit."""

    def build(self, input_shape):
        ### BEGIN SOLUTION
        self.alpha = self.add_weight(
            shape=(input_shape[-1],), initializer=keras.initializers.Constant(0.25), name="alpha"
        )
        ### END SOLUTION

    def call(self, inputs):
        ### BEGIN SOLUTION
        return keras.ops.where(inputs > 0, inputs, self.alpha * inputs)
        ### END SOLUTION


# %% tags=["check:prelu"] points=2
ex.prelu(MyPReLU)

# %% [markdown]
# ### Task 8: Swish with a learned β
#
# $z\,\sigma(\beta z)$ with **one** learned number $\beta$ for the whole layer, which starts at 1. The shape of
# a single number is `()`.


# %% tags=["task:trainable_swish"]
class MySwish(keras.layers.Layer):
    """Swish whose β is learned: one number for the layer."""

    def build(self, input_shape):
        ### BEGIN SOLUTION
        self.beta = self.add_weight(shape=(), initializer="ones", name="beta")
        ### END SOLUTION

    def call(self, inputs):
        ### BEGIN SOLUTION
        return inputs * keras.ops.sigmoid(self.beta * inputs)
        ### END SOLUTION


# %% tags=["check:trainable_swish"] points=2
ex.trainable_swish(MySwish)

# %% [markdown]
# ### Task 9: RReLU, one thing in training and another at test
#
# - In **training** each negative element is multiplied by a slope of its own, drawn evenly between
#   `self.lower` and `self.upper`, and drawn anew in every call.
# - **Otherwise** each negative element is multiplied by the mean $(\text{lower} + \text{upper}) / 2$.
# - Elements that are not negative stay as they are.
#
# Keras hands `training` over by itself: True in `fit`, False in `predict`. A Python or NumPy random
# number would be drawn once, when the program is compiled, and stay the same for ever;
# `keras.random.uniform(shape, low, high, seed=self.seed_generator)` draws anew.


# %% tags=["task:rrelu"]
class MyRReLU(keras.layers.Layer):
    """Leaky ReLU with random slopes in training and their mean otherwise."""

    def __init__(self, lower=1 / 8, upper=1 / 3, **kwargs):
        super().__init__(**kwargs)
        self.lower, self.upper = lower, upper
        self.seed_generator = keras.random.SeedGenerator(42)

    def call(self, inputs, training=False):
        ### BEGIN SOLUTION
        slope = (self.lower + self.upper) / 2
        if training:
            slope = keras.random.uniform(
                keras.ops.shape(inputs), self.lower, self.upper, seed=self.seed_generator
            )
        return keras.ops.where(inputs < 0, slope * inputs, inputs)
        ### END SOLUTION


# %% tags=["check:rrelu"] points=2
ex.rrelu(MyRReLU)

# %% [markdown]
# ## Part 3: Who is dead?
#
# ### Task 10: count the dead units
#
# Not all images fit into memory at once, so you get a layer's ReLU outputs **batch by batch**: a list of
# arrays, each of shape (samples, units). A unit is dead if its output is 0 for every sample of **every**
# batch. Return how many units are dead, one whole number.
#
# The same function should work after a convolution, where each array has the shape (samples, height,
# width, channels): a channel is dead if it is 0 at every place of every image. So: the units are
# always on the *last* axis. The last batch may have fewer samples.
#
# For example, `[np.array([[0.0, 2.0, 0.0]]), np.array([[0.0, 0.0, 1.0]])]` has 1 dead unit, the first.


# %% tags=["task:count_dead"]
def count_dead(batches):
    """Return the number of units (places on the last axis) that are 0 in all batches."""
    ### BEGIN SOLUTION
    alive = False
    for outputs in batches:
        alive = alive | (outputs != 0).any(axis=tuple(range(outputs.ndim - 1)))
    return int((~alive).sum())
    ### END SOLUTION


# %% tags=["check:count_dead"] points=2
ex.count_dead(count_dead)

# %% [markdown]
# ### See it at work
#
# Three hidden ReLU layers on pixels in [0, 1], trained for two epochs with a gentle, a high and a very high rate;
# your function counts. **Predict first:** in which of the three layers do most units die? (One seed each. `keras.Model(inputs, outputs)` makes a model that returns the
# outputs of all hidden layers.)

# %%
n = lab.pick(quick=1_000, standard=4_000, full=20_000)
data = ck.load("mnist").subset(n)


def net(activation):
    """Three hidden layers with an activation of its own each, made by calling `activation()`."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten()])
    for _ in range(3):
        model.add(keras.layers.Dense(100, kernel_initializer="he_normal"))
        model.add(activation())
    model.add(keras.layers.Dense(10, activation="softmax"))
    return model


def train(model, rate, x, epochs):
    optimizer = keras.optimizers.SGD(rate)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = ck.fit(model, x, data.y_train, epochs=epochs, verbose=0, seed=1)
    return history.history


# %%
if ex.is_correct("count_dead"):
    for rate in (0.05, 0.3, 0.6):
        model = net(keras.layers.ReLU)
        history = train(model, rate, data.x_train, epochs=2)
        inner = keras.Model(model.inputs[0], [part.output for part in model.layers[2:-1:2]])
        pieces = [inner(data.x_train[i : i + 256]) for i in range(0, n, 256)]
        counts = [count_dead([np.array(piece[k]) for piece in pieces]) for k in range(3)]
        print(f"rate {rate:<5} dead: {counts} of 100 each   loss {history['loss'][-1]:.3f}")
else:
    print("For this count solve task 10.")

# %% [markdown]
# Now your layers in a net, on standardised pixels. **Predict first:** what do the learned slopes of
# `MyPReLU` and the learned $\beta$ of `MySwish` look like after the training: near their start, or far
# from it?

# %%
layers = {"prelu": MyPReLU, "trainable_swish": MySwish, "rrelu": MyRReLU}
ready = {name: layer for name, layer in layers.items() if ex.is_correct(name)}
if ready:
    x, losses = data.standardized().x_train, {}
    for name, layer in {"ReLU": keras.layers.ReLU, **ready}.items():
        model = net(layer)
        history = train(model, 0.03, x, epochs=6)
        losses[name] = history["loss"]
        for i, part in enumerate(model.layers[2:-1]):
            if isinstance(part, (MyPReLU, MySwish)):
                low, high = np.min(part.weights[0]), np.max(part.weights[0])
                print(f"{name}, hidden layer {i // 2 + 1}: learned from {low:.3f} to {high:.3f}")
    ck.show(ck.plotting.lines(losses, title="Your layers train a net (one seed each)",
                              xlabel="epoch", ylabel="training loss"))  # fmt: skip
else:
    print("For this training solve at least one of tasks 7 to 9.")

# %% [markdown]
# (RReLU's loss is measured while it draws slopes: that is why it may look worse than it is.)
#
# ## If you have time
#
# - Give `MySwish` one $\beta$ for each unit. How far apart are they after training?
# - Write the derivatives of your six functions, and compare them with `(f(z + h) - f(z - h)) / (2 * h)` for
#   a tiny `h`.
# - Train `net` with `MyRReLU` and evaluate it with `training=True` and `False`: how much does the noise
#   cost?
#
# ## What is done

# %%
ex.progress()
