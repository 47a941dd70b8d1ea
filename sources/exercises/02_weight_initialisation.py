# %% [markdown]
# # Exercise 02: Weight initialisation
#
# You write the initialisers of [lesson 02](../notebooks/02_weight_initialisation.ipynb) from their
# parameters, find by simulation what each activation asks for, and repair a net in which all units
# are twins. Allow 60 minutes.
#
# How it works
#
# - Replace `...  # your code here` by your code, run the cell, then run the check below it.
# - A check says *correct*, *wrong* with the reason, *crashed* with the place, or *not
#   attempted*.
# - Stuck? `ex.hint("repair")` in a new cell gives a first hint for the task `repair`; the same
#   call again gives the next.
# - `ex.progress()` shows what is done. It is kept when you close the notebook.
# - The twin of this notebook with all solutions is
#   [solutions/02](../solutions/02_weight_initialisation.ipynb). Look there last.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import matplotlib.pyplot as plt
import numpy as np

ex = ck.exercise(2)

# %% [markdown]
# ## Part 1: One formula
#
# Weight initialisation (가중치 초기화) draws every kernel with mean 0 and variance scale/fan:
#
# | name | scale | fan |
# |---|---|---|
# | Glorot | 1 | fan_avg |
# | He | 2 | fan_in |
# | LeCun | 1 | fan_in |
#
# A dense kernel has shape (fan_in, fan_out), and fan_avg is the mean of the two.
#
# ### Task 1: the limit of the uniform distribution
#
# Numbers drawn uniformly between $-r$ and $r$ have the variance $r^2/3$. Which $r$ gives the
# variance that is wanted?
#
# | symbol | argument | meaning |
# |---|---|---|
# | scale | `scale` | numerator of the variance |
# | | `mode` | `"fan_in"`, `"fan_out"` or `"fan_avg"`: which fan is the denominator |
# | fan_in | `fan_in` | inputs of each unit |
# | fan_out | `fan_out` | units of the layer |
# | $r$ | (returned) | the limit |
#
# For example, `uniform_limit(1, "fan_in", 300, 500)` is 0.1: the variance is 1/300.


# %% tags=["task:uniform_limit"]
def uniform_limit(scale, mode, fan_in, fan_out):
    """Return r such that U(-r, r) has variance scale / fan."""
    ### BEGIN SOLUTION
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    return np.sqrt(3 * scale / fan)
    ### END SOLUTION


# %% tags=["check:uniform_limit"]
ex.uniform_limit(uniform_limit)

# %% [markdown]
# Does Keras stay within your limit, and how close to it does it come? Each line draws 150,000 weights.

# %%
if ex.is_correct("uniform_limit"):
    for name, scale, mode in (("GlorotUniform", 1, "fan_avg"), ("HeUniform", 2, "fan_in")):
        drawn = np.array(getattr(keras.initializers, name)(seed=1)((300, 500)))
        limit = uniform_limit(scale, mode, 300, 500)
        print(f"{name:14} your limit {limit:.5f}   Keras' largest {np.abs(drawn).max():.5f}")
else:
    print("This comparison waits for task 1.")

# %% [markdown]
# ### Task 2: three names, one class
#
# Keras has six ready-made initialisers of this kind. Write them from the one general class,
# `keras.initializers.VarianceScaling(scale, mode, distribution)`.
#
# `named_initializer(name)` takes one of `"glorot_normal"`, `"glorot_uniform"`, `"he_normal"`,
# `"he_uniform"`, `"lecun_normal"` and `"lecun_uniform"`, and returns a **new** `VarianceScaling`
# object whose weights are distributed as those of Keras' own. The ready-made classes (`HeNormal`
# and so on) do not count. Leave the seed out.
#
# `distribution` is `"uniform"`, `"untruncated_normal"` (a plain bell) or `"truncated_normal"` (a
# bell cut off at two standard deviations, with the variance corrected). In lesson 02 you saw which
# bell Keras' own use. For example, the kernel `named_initializer("lecun_uniform")((300, 500))` has
# values between −0.1 and 0.1.


# %% tags=["task:named_initializer"]
def named_initializer(name):
    """Return a new VarianceScaling object that does what Keras' initialiser `name` does."""
    ### BEGIN SOLUTION
    family, shape = name.split("_")
    scale, mode = {"glorot": (1, "fan_avg"), "he": (2, "fan_in"), "lecun": (1, "fan_in")}[family]
    distribution = "uniform" if shape == "uniform" else "truncated_normal"
    return keras.initializers.VarianceScaling(scale, mode, distribution)
    ### END SOLUTION


# %% tags=["check:named_initializer"] points=2
ex.named_initializer(named_initializer)

# %% [markdown]
# ### Task 3: He with fan_avg, uniform
#
# Why write out parameters when there are names? Because some combinations have none. If you want
# He's scale, and care about the gradients as much as about the signal, take **fan_avg** in place of
# fan_in; and take a **uniform** distribution. `he_avg_dense(units)` returns a new
# `keras.layers.Dense` layer with ReLU and such weights; biases start at 0. It does not know
# the number of inputs yet: the net will tell it.
#
# For example, with 400 inputs and 200 units fan_avg is 300, and the variance is 2/300.


# %% tags=["task:he_avg_dense"]
def he_avg_dense(units):
    """Return a dense ReLU layer with He's scale on fan_avg, uniform."""
    ### BEGIN SOLUTION
    he_avg = keras.initializers.VarianceScaling(2.0, "fan_avg", "uniform")
    return keras.layers.Dense(units, activation="relu", kernel_initializer=he_avg)
    ### END SOLUTION


# %% tags=["check:he_avg_dense"]
ex.he_avg_dense(he_avg_dense)

# %% [markdown]
# In which direction does that help? Two layers, one that widens from 100 to 400, one that narrows
# from 400 to 100, each with He's fan_in and with yours. The picture shows the mean square of the
# outputs and of the gradient of the inputs, each relative to what went in: 1 would be perfect.


# %%
def both_ways(layer, fan_in):
    """Return the factors of the mean square of the signal and of the gradient."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2_000, fan_in))
    layer.build((None, fan_in))
    kernel = layer.get_weights()[0]
    z = x @ kernel
    gradient = rng.standard_normal(z.shape)
    back = (gradient * (z > 0)) @ kernel.T
    return np.mean(np.maximum(z, 0) ** 2), np.mean(back**2)


if ex.is_correct("he_avg_dense"):
    fig, axes = plt.subplots(1, 2, figsize=(8, 3.3), sharey=True)
    for ax, (fan_in, units) in zip(axes, ((100, 400), (400, 100)), strict=True):
        he = keras.layers.Dense(units, "relu", kernel_initializer="he_normal")
        for i, (layer, label) in enumerate(((he, "He, fan_in"), (he_avg_dense(units), "yours"))):
            factors = both_ways(layer, fan_in)
            ax.semilogy([0, 1], factors, ck.plotting.MARKERS[i], markersize=9, label=label)
        ax.axhline(1, color="black", linewidth=1, linestyle=":")
        ax.set(
            xticks=[0, 1], xlim=(-0.5, 1.5), xlabel="way", title=f"{fan_in} inputs, {units} units"
        )
        ax.set_xticklabels(["signal", "gradient"])
    axes[0].set_yticks([0.25, 0.5, 1, 2, 4], ["¼", "½", "1", "2", "4"])
    axes[0].minorticks_off()
    axes[0].set_ylabel("mean square after / before")
    axes[0].legend()
    fig.suptitle("fan_in is right for the signal; fan_avg shares the error", fontweight="bold")
    ck.show(
        fig,
        alt="Factors of signal and gradient for a widening and a narrowing layer: with fan_in the "
        "signal's factor is 1 and the gradient's 4 or a quarter; with fan_avg the gradient is closer "
        "to 1, the signal further away.",
    )
else:
    print("This comparison waits for task 3.")

# %% [markdown]
# ## Part 2: Why 2?
#
# ### Task 4: the scale of any activation
#
# In exercise 01 you found the std that an activation needs; its scale is $n_\text{in}$ times the square of
# that. Let the pre-activations $z$ of a layer have mean
# 0 and variance 1. After the activation $f$ the **mean square** is $\mathrm{E}[f(z)^2]$, and the next
# layer's pre-activations have the variance
#
# $$n_\text{in} \cdot \mathrm{Var}(w) \cdot \mathrm{E}[f(z)^2] = \text{scale} \cdot \mathrm{E}[f(z)^2]$$
#
# For which scale is it 1 again? Find it by simulation: draw a million standard normal numbers, send
# them through `activation` (a function from array to array), and return the scale. A result within 2%
# is accepted, as chance plays a part.
#
# For example, for $f(z) = z/2$ a quarter of the mean square is left, and the scale is 4.


# %% tags=["task:simulated_scale"]
def simulated_scale(activation):
    """Return the scale that makes up for `activation`, by simulation."""
    ### BEGIN SOLUTION
    z = np.random.default_rng(0).standard_normal(1_000_000)
    return 1 / np.mean(activation(z) ** 2)
    ### END SOLUTION


# %% tags=["check:simulated_scale"] points=2
ex.simulated_scale(simulated_scale)

# %% [markdown]
# Now let the scale prove itself: 30 layers of 300 units, each activation once with scale 1 and once
# with your scale. **Predict first:** which of the four keep their standard deviation with your scale?
# For which is the scale right at the start and yet not enough? The picture shows it, the lines below it
# say it, and section 5 of the lesson says why.

# %%
activations = {
    name: ck.scratch.activations.get(name)[0] for name in ("relu", "leaky_relu", "tanh", "swish")
}


def std_per_layer(activation, scale):
    """Return the std of the outputs of 30 layers."""
    rng = np.random.default_rng(1)
    x, stds = rng.standard_normal((100, 300)), []
    for _ in range(30):
        x = activation(x @ rng.normal(0, np.sqrt(scale / 300), (300, 300)))
        stds.append(x.std())
    return stds


if ex.is_correct("simulated_scale"):
    fig, axes = plt.subplots(1, 4, figsize=(10, 3.1), sharey=True)
    change = {}
    for ax, (name, activation) in zip(axes, activations.items(), strict=True):
        own = float(simulated_scale(activation))
        stds = std_per_layer(activation, own)
        change[name] = stds[-1] / stds[0]
        for i, (scale, label) in enumerate(((1.0, "scale 1"), (own, "your scale"))):
            ax.semilogy(range(1, 31), std_per_layer(activation, scale),
                        **ck.plotting.line_kw(i), label=label)  # fmt: skip
        ax.set(title=f"{name}: scale {own:.2f}", xlabel="layer")
    axes[0].set_ylabel("std of the outputs")
    axes[0].legend()
    fig.suptitle("Thirty layers, with scale 1 and with your scale", fontweight="bold")
    ck.show(
        fig,
        alt="Std of the outputs against layer, for ReLU, leaky ReLU, tanh and Swish, each with scale "
        "1 and with the simulated scale, which is in the title of each panel. From layer 1 to layer 30 "
        "your scale multiplies it by "
        + ", ".join(f"{value:.2g} for {name}" for name, value in change.items()) + ".",
    )  # fmt: skip
    for name, value in change.items():
        print(f"{name:10} with your scale: std of layer 30 = {value:.2g} times that of layer 1")
else:
    print("This picture waits for task 4.")

# %% [markdown]
# ## Part 3: Twins
#
# ### Task 5: count the different units
#
# A layer of 100 units is worth 100 units only if they differ. A unit is a **column** of the kernel.
# Two units are alike if none of their weights differ by more than 1e-5 (training leaves tiny
# rounding errors between twins). Return how many different units there are, a whole number.
#
# For example,
#
# $$W = \begin{pmatrix} 0.3 & 0.3 & 0.3 & -1 \\ 0.5 & 0.5 & 0.7 & -1 \end{pmatrix}$$
#
# has 2 inputs and 4 units, 3 of them different.


# %% tags=["task:different_units"]
def different_units(kernel):
    """Return the number of different columns of `kernel`, shape (fan_in, fan_out)."""
    ### BEGIN SOLUTION
    seen = []
    for column in kernel.T:
        if not any(np.allclose(column, other, rtol=0, atol=1e-5) for other in seen):
            seen.append(column)
    return len(seen)
    ### END SOLUTION


# %% tags=["check:different_units"]
ex.different_units(different_units)

# %% [markdown]
# ### Task 6: repair a net of twins
#
# In this net all weights of a layer have been set to the same number. Write `repair(model)`, which gives the
# **same** model object new starting weights:
#
# - each kernel before a ReLU: **He** (normal or uniform), random, no two layers alike;
# - the last kernel, before the softmax: **Glorot** (normal or uniform);
# - all biases 0.
#
# Nothing needs to be returned. The model is a `Sequential` of a Flatten layer and dense layers;
# their number and sizes vary. `layer.set_weights([kernel, bias])` sets the weights of one layer,
# and `layer.kernel.shape` is the shape of its kernel; a Flatten layer has no weights, its
# `layer.weights` is an empty list. An initialiser object called with a shape draws a kernel:
# `keras.initializers.HeNormal()((300, 100))` has 300 rows, 100 columns, and a std of about 0.082.


# %% tags=["task:repair"]
def repair(model):
    """Give a net of dense ReLU layers with a softmax output new random weights, in place."""
    ### BEGIN SOLUTION
    dense = [layer for layer in model.layers if layer.weights]
    for layer in dense:
        if layer is dense[-1]:
            initializer = keras.initializers.GlorotNormal()
        else:
            initializer = keras.initializers.HeNormal()
        layer.set_weights([initializer(layer.kernel.shape), np.zeros(layer.units)])
    ### END SOLUTION


# %% tags=["check:repair"] points=3
ex.repair(repair)

# %% [markdown]
# See what it is worth. The net learns handwritten digits twice: first as it was found, then again after
# your repair. Watch the number of different units in the first layer, counted by your own function, and
# the accuracy. **Predict first:** how many different units are there after the first training?

# %%
n, epochs = lab.pick(quick=(3_000, 4), standard=(10_000, 5), full=(55_000, 5))


def twins():
    """Return a compiled net of three hidden layers in which all weights of a layer are equal."""
    hidden = [keras.layers.Dense(100, "relu") for _ in range(3)]
    model = keras.Sequential(
        [keras.Input((28, 28)), keras.layers.Flatten(), *hidden, keras.layers.Dense(10, "softmax")]
    )
    model.compile(
        keras.optimizers.SGD(0.05), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    for layer in model.layers[1:]:
        fan_in, units = layer.kernel.shape
        layer.set_weights([np.full((fan_in, units), 1 / fan_in), np.zeros(units)])
    return model


if ex.is_correct("repair") and ex.is_correct("different_units"):
    data = ck.load("mnist").subset(n)
    model = twins()
    for what in ("as found", "trained", "repaired", "repaired and trained"):
        if what == "repaired":
            repair(model)
        elif "trained" in what:
            ck.fit(model, data.x_train, data.y_train, epochs=epochs, verbose=0, seed=0)
        units = int(different_units(model.layers[1].get_weights()[0]))
        _, accuracy = model.evaluate(data.x_valid, data.y_valid, verbose=0)
        print(f"{what:21} different units {units:3d}   validation accuracy {accuracy:.1%}")
    print(f"(one run, one seed; {data.name}, {data.source})")
else:
    print("This experiment waits for tasks 5 and 6.")

# %% [markdown]
# ## If you have time
#
# - Break the symmetry in another way: leave the kernels equal and draw the biases, or put dropout
#   (드롭아웃) between the layers. Count the different units after training. Which way is as good as
#   random kernels?
# - Draw the He kernels of a net of 20 ReLU layers from one initialiser object. Does the net still
#   learn?
# - Write `repair` so that it measures: draw each kernel, send a batch of images through, and divide
#   the kernel by the std of its pre-activations (Mishkin and Matas, *All You Need Is a Good Init*, ICLR 2016,
#   arXiv:1511.06422).
#
# ## What is done

# %%
ex.progress()
