# %% [markdown]
# # Exercise 14: Review questions
#
# Can you explain without a net at hand what the lessons showed you? Here are seven questions of
# A. Géron's chapter. Answer each **before** you look further down: below every check stands a short
# experiment that lets you see the answer. Allow 60 minutes.
#
# How it works
#
# - Replace `...  # your code here` by your answer, run the cell, then run the check below it. A
#   question with options wants letters in quotes: `"b"`, or `"bd"` where several are right.
# - A wrong choice is answered by the reason why it is wrong. Read it, think again, choose again.
# - A right choice is answered by a **model answer**: say yours aloud first, then compare.
# - Stuck? `ex.hint("purpose")` in a new cell gives a first hint for that task; the same call again
#   gives the next.
# - `ex.progress()` shows what is done. It is kept when you close the notebook.
# - The twin of this notebook with all answers is
#   [solutions/14](../solutions/14_review_questions.ipynb). Look there last.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import time
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

ex = ck.exercise(14)

# %%
n, epochs, n_seeds = lab.pick(quick=(2_000, 3, 2), standard=(8_000, 6, 5), full=(55_000, 10, 5))
data = ck.load("mnist").subset(n)
x, y, valid = data.x_train, data.y_train, (data.x_valid, data.y_valid)
print(f"{data.name} ({data.source}): {len(x):,} training images, {len(valid[0]):,} for validation")


def build(*hidden, output_weights="glorot_uniform", momentum=0.0):
    """Return a compiled classifier of digits with these hidden layers."""
    output = keras.layers.Dense(10, "softmax", kernel_initializer=output_weights)
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), *hidden, output])
    model.compile(
        keras.optimizers.SGD(0.05, momentum=momentum),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def train(model):
    """Train; return the history."""
    return ck.fit(model, x, y, epochs=epochs, validation_data=valid, verbose=0, seed=0).history


def relu_layers(n_layers, **settings):
    kwargs = {"kernel_initializer": "he_normal"} | settings
    return [keras.layers.Dense(100, "relu", **kwargs) for _ in range(n_layers)]


# %% [markdown]
# ## Question 1: What is it that Glorot and He initialisation aim to fix?
#
# - **a.** Negative activations: with the right variance all outputs of a layer are positive.
# - **b.** The long way to go: the weights start close to the values they will have in the end.
# - **c.** Unstable signals: outputs should vary as much as inputs, and gradients as much on the
#   way back, layer after layer.
# - **d.** Overfitting: small weights cannot fit the noise.
# - **e.** Units that are all alike: different weights make them learn different things.
#
# One letter.

# %% tags=["task:purpose"]
purpose = (
    ### BEGIN SOLUTION
    "c"
    ### END SOLUTION
)

# %% tags=["check:purpose"]
ex.purpose(purpose)

# %% [markdown]
# A dense layer has **400 inputs and 100 units**. What is the standard deviation of its weights (the
# root of the variance) for each of the three initialisers? Within 1% will do.

# %% tags=["task:spreads"]
spreads = {"Glorot": ..., "He": ..., "LeCun": ...}  # fill in below, as spreads["He"] = …
### BEGIN SOLUTION
spreads["Glorot"] = np.sqrt(1 / ((400 + 100) / 2))
spreads["He"] = np.sqrt(2 / 400)
spreads["LeCun"] = np.sqrt(1 / 400)
### END SOLUTION

# %% tags=["check:spreads"]
ex.spreads(spreads)

# %% [markdown]
# **See it.** Standard normal inputs go through 30 ReLU layers of 100 units, whose weights have three
# standard deviations: a fixed one, Glorot's and He's.

# %%
rng, spread_of = np.random.default_rng(0), {}
for name, std in {"0.05": 0.05, "Glorot, 0.1": 0.1, "He, 0.14": np.sqrt(0.02)}.items():
    signal, spread_of[name] = rng.normal(size=(500, 100)), []
    for _ in range(30):
        signal = np.maximum(signal @ rng.normal(0, std, size=(100, 100)), 0)
        spread_of[name].append(signal.std())
ck.show(ck.plotting.lines(
    spread_of, title="Only He's weights carry a signal through 30 ReLU layers", log="y",
    xlabel="layer", ylabel="standard deviation of the outputs"))  # fmt: skip

# %% [markdown]
# ## Question 2: May all weights have one value, as long as He initialisation drew it?
#
# - **a.** Yes. He's variance keeps the signal going, whatever the single weights are.
# - **b.** Yes. The shuffled batches soon give the units different gradients.
# - **c.** No. With equal weights every gradient is zero, and nothing is learned at all.
# - **d.** No. The units of a layer compute the same, get the same gradient, and stay the same.
#
# One letter.

# %% tags=["task:same_value"]
same_value = (
    ### BEGIN SOLUTION
    "d"
    ### END SOLUTION
)

# %% tags=["check:same_value"]
ex.same_value(same_value)

# %% [markdown]
# To see it you need a measure. Write a function that counts the **different units** of a layer: the
# different columns of its kernel, of shape (inputs, units). Two units count as the same where no weight
# differs by more than about a millionth. For example, `[[1., 1., 2.], [0., 0., 0.]]` has two.


# %% tags=["task:different_units"]
def different_units(kernel):
    """Return the number of different columns."""
    ### BEGIN SOLUTION
    return np.unique(np.round(kernel, 6), axis=1).shape[1]
    ### END SOLUTION


# %% tags=["check:different_units"]
ex.different_units(different_units)

# %% [markdown]
# **See it.** One hidden layer of 96 units, once with a single value for all weights of the net, once
# with He's random ones. **Predict first:** how many different units does each have after training?

# %%
if ex.is_correct("different_units"):
    value = float(keras.initializers.HeNormal(seed=1)((784, 1))[0, 0])
    for name, start in {"one value": keras.initializers.Constant(value), "He": "he_normal"}.items():
        keras.utils.set_random_seed(42)
        hidden = keras.layers.Dense(96, "relu", kernel_initializer=start)
        model = build(hidden, output_weights=start)
        history = train(model)
        kernel = model.layers[1].get_weights()[0]
        count = different_units(np.round(kernel, 3))  # rounding errors grow while a net trains
        print(f"{name:10s} {count:3d} different units of 96, validation accuracy "
              f"{history['val_accuracy'][-1]:.1%}")  # fmt: skip
else:
    print("This experiment waits for the task different_units.")

# %% [markdown]
# ## Question 3: May biases start at 0?
#
# - **a.** No. The units of a layer would be alike, as with equal weights.
# - **b.** No. A ReLU unit with bias 0 is dead from the start.
# - **c.** Only where batch normalisation follows.
# - **d.** Yes. The random weights make the units different; the biases may learn from 0.
#
# One letter.

# %% tags=["task:zero_biases"]
zero_biases = (
    ### BEGIN SOLUTION
    "d"
    ### END SOLUTION
)

# %% tags=["check:zero_biases"]
ex.zero_biases(zero_biases)

# %% [markdown]
# **See it.** Two hidden ReLU layers; biases of 0, or random with standard deviation 0.1; several
# seeds, the same for both. Can the seeds tell the two apart?

# %%
starts = {
    "zeros": "zeros",
    "random, std 0.1": {"class_name": "RandomNormal", "config": {"stddev": 0.1}},
}
biases = ck.compare(
    {
        name: lambda start=start: build(*relu_layers(2, bias_initializer=start))
        for name, start in starts.items()
    },
    data,
    epochs=epochs,
    seeds=n_seeds,
)
ck.show(biases.final("val_loss"))

# %% [markdown]
# ## Question 4: When would you use which activation function?
#
# Give each case one of `"relu"`, `"leaky_relu"`, `"selu"`, `"swish"`, `"sigmoid"`, `"tanh"`,
# `"softmax"`, `"softplus"` and `"linear"`. For the outputs ask which values the answer can have.
#
# | hidden layers of | | output |
# |---|---|---|
# | `shallow`: a shallow net, nothing special | | `classes`: which of ten classes is it? |
# | `deep`: a deep net with batch normalisation | | `spam`: is this mail spam? |
# | `plain`: sixty plain dense layers, no normalisation | | `angle`: a steering angle, from −1 to 1 |
# | `fast`: a net whose latency counts, and too many units die | | `degrees`: the temperature in °C |
# | | | `waiting`: the waiting time in minutes |

# %% tags=["task:activations"]
cases = ["shallow", "deep", "plain", "fast", "classes", "spam", "angle", "degrees", "waiting"]
activations = dict.fromkeys(cases, ...)  # fill in below, as activations["shallow"] = "…"
### BEGIN SOLUTION
activations["shallow"] = "relu"
activations["deep"] = "swish"
activations["plain"] = "selu"
activations["fast"] = "leaky_relu"
activations["classes"] = "softmax"
activations["spam"] = "sigmoid"
activations["angle"] = "tanh"
activations["degrees"] = "linear"
activations["waiting"] = "softplus"
### END SOLUTION

# %% tags=["check:activations"]
ex.activations(activations)

# %% [markdown]
# **See it.** First, which values come out of each function. Then 60 plain dense layers of 100 units,
# each function with the initialiser that suits it. Who keeps a standard deviation of 1?

# %%
z = np.linspace(-4, 4, 201).astype("float32")
outputs = {
    name: keras.activations.get(name)(z)
    for name in ("sigmoid", "tanh", "softplus", "relu", "swish", "selu")
}
ck.show(
    ck.plotting.lines(
        outputs, z, title="At the output the range decides", xlabel="z", ylabel="f(z)"
    )
)
spread_of = {}
for name, scale in {"relu": 2, "swish": 2, "selu": 1, "tanh": 1}.items():
    signal, spread_of[name] = rng.normal(size=(500, 100)).astype("float32"), []
    for _ in range(60):
        weights = rng.normal(0, np.sqrt(scale / 100), size=(100, 100)).astype("float32")
        signal = np.asarray(keras.activations.get(name)(signal @ weights))
        spread_of[name].append(signal.std())
ck.show(ck.plotting.lines(
    spread_of, title="Sixty plain layers: only SELU keeps a standard deviation of 1", log="y",
    xlabel="layer", ylabel="standard deviation of the outputs"))  # fmt: skip

# %% [markdown]
# Look at Swish: with He's weights it lets less through than ReLU, about 0.7 of a small signal in each
# layer, and after sixty *plain* layers nothing is left. Why is it the answer to `deep` all the same?
# Because batch normalisation, which that case has, brings each layer back to a standard deviation of 1.
#
# ## Question 5: What may happen with a momentum too close to 1, such as 0.99999?
#
# - **a.** From the first steps on, training is 100,000 times as fast.
# - **b.** The net rolls past the minimum and back again, many times, before it settles, if it does.
# - **c.** It converges sooner, because it remembers more gradients.
# - **d.** On a long even slope the steps would grow up to 100,000 times a plain step.
# - **e.** The weights stop moving, because old gradients outweigh the new one.
#
# All letters that are right.

# %% tags=["task:momentum_near_one"]
momentum_near_one = (
    ### BEGIN SOLUTION
    "bd"
    ### END SOLUTION
)

# %% tags=["check:momentum_near_one"]
ex.momentum_near_one(momentum_near_one)

# %% [markdown]
# Build the smallest thing that shows it: a ball in the bowl $L(x) = x^2/2$, whose gradient at $x$ is
# $x$. It starts at $x = 1$ with velocity $m = 0$, and in every step
#
# $$m \leftarrow \beta m - \eta x, \qquad x \leftarrow x + m$$
#
# Return an array of all positions, the start included: `steps` steps make `steps + 1` positions. For
# example, `roll(0.5, 0.1, 2)` is `[1.0, 0.9, 0.76]`.


# %% tags=["task:roll"]
def roll(beta, learning_rate, steps):
    """Return all positions of the ball, the start at 1 first."""
    ### BEGIN SOLUTION
    x, m, path = 1.0, 0.0, [1.0]
    for _ in range(steps):
        m = beta * m - learning_rate * x
        x = x + m
        path.append(x)
    return np.array(path)
    ### END SOLUTION


# %% tags=["check:roll"]
ex.roll(roll)

# %% [markdown]
# **See it.** The same bowl, the same rate, three values of β.

# %%
if ex.is_correct("roll"):
    paths = {f"β = {beta:g}": roll(beta, 0.01, 600) for beta in (0.9, 0.99, 0.99999)}
    ck.show(ck.plotting.lines(
        paths, np.arange(601), title="The closer β is to 1, the longer the ball swings",
        xlabel="step", ylabel="position (the minimum is at 0)"))  # fmt: skip
else:
    print("This experiment waits for the task roll.")

# %% [markdown]
# ## Question 6: Name three ways to produce a sparse model
#
# Which of these leave a net with many weights that are exactly 0 (or so near that you may drop them)?
#
# - **a.** Train with a strong ℓ1 penalty.
# - **b.** Train with a strong ℓ2 penalty.
# - **c.** Train as usual, then set the weights nearest to 0 to 0.
# - **d.** Train with a high dropout rate.
# - **e.** Use a tool that sets more and more small weights to 0 while the net trains, such as
#   TensorFlow's Model Optimization Toolkit.
# - **f.** Constrain each unit by max-norm.
# - **g.** Convert the weights to float16.
#
# All letters that are right.

# %% tags=["task:sparse_ways"]
sparse_ways = (
    ### BEGIN SOLUTION
    "ace"
    ### END SOLUTION
)

# %% tags=["check:sparse_ways"]
ex.sparse_ways(sparse_ways)

# %% [markdown]
# Write way *c*: return a **copy** of a kernel in which the given share of all weights, those nearest to
# 0, are 0. `share` goes from 0 to 1, both included; round to a whole number of weights. For example,
# `prune([[3., -1.], [2., -4.]], 0.5)` for an array is `[[3., 0.], [0., -4.]]`.


# %% tags=["task:prune"]
def prune(kernel, share):
    """Return a copy of the kernel with that share of its weights, the smallest, set to 0."""
    ### BEGIN SOLUTION
    pruned = kernel.copy()
    nearest_first = np.argsort(np.abs(kernel), axis=None)
    pruned.flat[nearest_first[: round(share * kernel.size)]] = 0
    return pruned
    ### END SOLUTION


# %% tags=["check:prune"]
ex.prune(prune)

# %% [markdown]
# **See it.** First the share of weights below 0.001 after training without a penalty, with ℓ2 and with
# ℓ1; then your `prune` on the net without a penalty. **Predict first:** which share can go before the
# accuracy suffers?

# %%
if ex.is_correct("prune"):
    penalties = {"none": None, "ℓ2": keras.regularizers.L2(1e-3), "ℓ1": keras.regularizers.L1(1e-3)}
    near_zero, nets = {}, {}
    for name, penalty in penalties.items():
        keras.utils.set_random_seed(42)
        nets[name] = build(*relu_layers(2, kernel_regularizer=penalty), momentum=0.9)
        train(nets[name])
        kernels = [layer.kernel.numpy().ravel() for layer in nets[name].layers[1:3]]
        near_zero[name] = np.mean(np.abs(np.concatenate(kernels)) < 1e-3)

    model = nets["none"]
    kept, shares, accuracies = model.get_weights(), np.arange(0, 1.0, 0.1), []
    for share in shares:
        model.set_weights([prune(w, share) if w.ndim == 2 else w for w in kept])
        accuracies.append(model.evaluate(*valid, verbose=0)[1])

    ck.show(ck.plotting.bars({name: 100 * share for name, share in near_zero.items()},
                             title="ℓ1 makes a net sparse", xlabel="weights below 0.001 (%)"))  # fmt: skip
    ck.show(ck.plotting.lines(
        {"without a penalty": accuracies}, 100 * shares, xlabel="weights set to 0 (%)",
        title=f"With half of its weights the net is right on {accuracies[5]:.0%}",
        ylabel="validation accuracy"))  # fmt: skip
else:
    print("This experiment waits for the task prune.")

# %% [markdown]
# (One run each; lesson 10 has the seeds.)
#
# ## Question 7: Does dropout slow down training? And inference? And Monte Carlo dropout?
#
# Give each of the three one letter, as in `dropout_costs["training"] = "a"`:
#
# - **a.** It costs nothing to speak of.
# - **b.** It takes more epochs, often about twice as many.
# - **c.** It takes as many predictions as there are samples to average.

# %% tags=["task:dropout_costs"]
dropout_costs = {"training": ..., "inference": ..., "Monte Carlo": ...}  # fill in below
### BEGIN SOLUTION
dropout_costs["training"] = "b"
dropout_costs["inference"] = "a"
dropout_costs["Monte Carlo"] = "c"
### END SOLUTION

# %% tags=["check:dropout_costs"]
ex.dropout_costs(dropout_costs)

# %% [markdown]
# **See it.** The same net with and without dropout of 30% after each hidden layer, several seeds; then
# the time of one prediction with and without it, and that of a plain loop of 30 random ones.


# %%
def with_dropout(rate):
    layers = [[layer, keras.layers.Dropout(rate)] for layer in relu_layers(2)]
    return build(*[layer for pair in layers for layer in pair], momentum=0.9)


# Measured on the training images, with dropout off: the validation data are the training data here.
same = SimpleNamespace(x_train=x, y_train=y, x_valid=x, y_valid=y)
slower = ck.compare(
    {f"rate {rate:g}": lambda rate=rate: with_dropout(rate) for rate in (0.0, 0.3)},
    same,
    epochs=epochs,
    seeds=n_seeds,
)
on_train = {name: kept["val_loss"] for name, kept in slower.history.items()}
ck.show(ck.plotting.lines(on_train, title="With dropout the same epochs bring you less far", log="y",
                          xlabel="epoch", ylabel="training loss, dropout off"))  # fmt: skip

# %%
plain, dropping = with_dropout(0.0), with_dropout(0.3)
images = valid[0][:1000]


def compiled(model, training):
    program = tf.function(lambda: model(images, training=training), jit_compile=True)
    return lambda: program().numpy()


def milliseconds(predict):
    predict()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        predict()
        times.append(1000 * (time.perf_counter() - began))
    return min(times)


random_one = compiled(dropping, True)
without = milliseconds(compiled(plain, False))
off = milliseconds(compiled(dropping, False))
thirty = milliseconds(lambda: [random_one() for _ in range(30)])
batched = milliseconds(lambda: ck.mc_predict(dropping, images, samples=30, seed=0))
print("one prediction of 1,000 images, compared with the net without dropout, all compiled")
print(f"dropout layers at inference      {off / without:6.1f} times as long")
print(f"Monte Carlo, a loop of 30        {thirty / without:6.1f} times as long")
print(f"Monte Carlo, ck.mc_predict       {batched / without:6.1f} times as long")

# %% [markdown]
# A random prediction takes longer than a plain one, for it draws its masks as well: so the loop of 30 may
# take more than 30 times as long.
# (The loop calls the whole net with `training=True`, which is all right here because dropout is the only
# layer that minds. Lesson 11 shows what happens with batch normalisation.)
#
# ## Question 8
#
# The eighth question of the chapter is the [CIFAR-10 study](15_cifar10_study.ipynb), the capstone of
# this course.
#
# ## What is done

# %%
ex.progress()
