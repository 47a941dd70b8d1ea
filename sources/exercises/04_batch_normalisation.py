# %% [markdown]
# # Exercise 04: Batch normalisation
#
# You write batch normalisation (배치 정규화, BN) of [lesson
# 04](../notebooks/04_batch_normalisation.ipynb) yourself: both passes, the moving averages, the count
# of its parameters, a block in Keras, and folding. Allow 60 minutes.
#
# How it works
#
# - Replace `...  # your code here` by your code, run the cell, then run the check below it.
# - A check says *correct*, *wrong* with the reason, *crashed* with the place, or *not
#   attempted*.
# - Stuck? `ex.hint("backward")` in a new cell gives a first hint for the task `backward`; the same
#   call again gives the next.
# - `ex.progress()` shows what is done. It is kept when you close the notebook.
# - The twin of this notebook with all solutions is
#   [solutions/04](../solutions/04_batch_normalisation.ipynb). Look there last.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import numpy as np
from sklearn.datasets import load_digits

ex = ck.exercise(4)

# %% [markdown]
# ## Part 1: Training
#
# | symbol | argument | meaning |
# |---|---|---|
# | $x$ | `x` | a batch, shape (B, features): one sample a row, one feature a column |
# | $\gamma$, $\beta$ | `gamma`, `beta` | learned scale and shift, shape (features,) |
# | $\varepsilon$ | `epsilon` | small number that keeps the division finite |
# | $\mu$, $\sigma^2$ | | mean and variance of one column over the batch (divided by B) |
# | $\hat x$ | | the normalised values |
#
# Every function returns new arrays and leaves its arguments as they are.
#
# ### Task 1: forward
#
# $$\hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad y_i = \gamma\, \hat x_i + \beta$$
#
# for each column on its own. For example, the column 1, 3 with $\gamma = 2$, $\beta = 10$ and
# $\varepsilon = 0.44$ has mean 2 and variance 1, and becomes 8.333, 11.667.


# %% tags=["task:batch_norm"]
def batch_norm(x, gamma, beta, epsilon):
    """Return the batch, normalised by its own statistics, scaled and shifted."""
    ### BEGIN SOLUTION
    mean, variance = x.mean(axis=0), x.var(axis=0)
    x_hat = (x - mean) / np.sqrt(variance + epsilon)
    return gamma * x_hat + beta
    ### END SOLUTION


# %% tags=["check:batch_norm"]
ex.batch_norm(batch_norm)

# %% [markdown]
# **Predict first:** the batch below has columns of very different size. What are their standard deviations
# after BN with γ = 1? Is one of them far from 1, and why?

# %%
if ex.is_correct("batch_norm"):
    sizes = np.array([1000.0, 1.0, 0.1, 0.01])
    batch = sizes * np.random.default_rng(42).normal(size=(256, 4))
    after = batch_norm(batch, np.ones(4), np.zeros(4), 1e-3)
    for size, std in zip(sizes, after.std(axis=0), strict=True):
        print(f"standard deviation about {size:<6g} → {std:.3f}")
else:
    print("This experiment waits for task 1.")

# %% [markdown]
# ### Task 2: backward
#
# You are given $g_i = \partial L / \partial y_i$ for each value of the output (`grad`, shaped like `x`).
# With a bar for the mean over the batch,
#
# $$\frac{\partial L}{\partial x_i} = \frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}}
# \left( g_i - \bar g - \hat x_i\, \overline{g \hat x} \right) \qquad
# \frac{\partial L}{\partial \gamma} = \sum_i g_i \hat x_i \qquad
# \frac{\partial L}{\partial \beta} = \sum_i g_i$$
#
# Return the three in this order. For example, for the column 1, 3 of task 1 and the gradients 1, 2 the
# last two are 0.833 and 3.


# %% tags=["task:backward"]
def backward(grad, x, gamma, epsilon):
    """Return the gradients (d_x, d_gamma, d_beta) of batch normalisation in training."""
    ### BEGIN SOLUTION
    std = np.sqrt(x.var(axis=0) + epsilon)
    x_hat = (x - x.mean(axis=0)) / std
    inner = grad - grad.mean(axis=0) - x_hat * (grad * x_hat).mean(axis=0)
    return gamma / std * inner, (grad * x_hat).sum(axis=0), grad.sum(axis=0)
    ### END SOLUTION


# %% tags=["check:backward"] points=2
ex.backward(backward)

# %% [markdown]
# Never use a gradient before you have checked it against the definition: nudge one number up and
# down, and see how far the loss moves. Here the loss is $L = \sum g \cdot y$.

# %%
if ex.is_correct("batch_norm") and ex.is_correct("backward"):
    draw = np.random.default_rng(42)
    x, grad = draw.normal(size=(6, 3)), draw.normal(size=(6, 3))
    gamma, beta, nudge = np.array([0.5, 1.0, 2.0]), np.zeros(3), 1e-6
    measured = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = nudge
        up, down = (batch_norm(x + s * step, gamma, beta, 1e-3) for s in (1, -1))
        measured[place] = np.sum(grad * (up - down)) / (2 * nudge)
    yours = backward(grad, x, gamma, 1e-3)[0]
    print(f"largest difference from finite differences: {np.abs(yours - measured).max():.1e}")
    print("sum of your gradients over the batch:", np.abs(yours.sum(axis=0)).max().round(9))
else:
    print("This experiment waits for tasks 1 and 2.")

# %% [markdown]
# ## Part 2: Prediction
#
# ### Task 3: the moving averages
#
# At prediction there is no batch to measure, so a layer keeps an average $\hat v$ of what it saw. It
# starts at **0 for the mean and 1 for the variance**, and each batch with the value $v$ makes one update:
#
# $$\hat v \leftarrow \hat v \cdot \text{momentum} + v \cdot (1 - \text{momentum})$$
#
# `batches` is a list of arrays of shape (B, features); the last may have fewer samples. Return two
# arrays of shape (features,) in this order: `moving_mean, moving_variance`. For example, after the
# single batch `[[1.0], [3.0]]` with momentum 0.9 they are `[0.2]` and `[1.0]`.


# %% tags=["task:moving_averages"]
def moving_averages(batches, momentum):
    """Return moving mean and moving variance after all batches."""
    ### BEGIN SOLUTION
    n_features = batches[0].shape[1]
    mean, variance = np.zeros(n_features), np.ones(n_features)
    for batch in batches:
        mean = mean * momentum + batch.mean(axis=0) * (1 - momentum)
        variance = variance * momentum + batch.var(axis=0) * (1 - momentum)
    return mean, variance
    ### END SOLUTION


# %% tags=["check:moving_averages"] points=2
ex.moving_averages(moving_averages)

# %% [markdown]
# ### Task 4: forward, at prediction
#
# The same equations with the moving averages in place of $\mu$ and $\sigma^2$. For example, with the
# moving mean 2, the moving variance 1 and $\gamma$, $\beta$, $\varepsilon$ of task 1, the single sample 3
# becomes 11.667.


# %% tags=["task:predict"]
def predict(x, gamma, beta, moving_mean, moving_variance, epsilon):
    """Return the samples, normalised by the moving averages, scaled and shifted."""
    ### BEGIN SOLUTION
    x_hat = (x - moving_mean) / np.sqrt(moving_variance + epsilon)
    return gamma * x_hat + beta
    ### END SOLUTION


# %% tags=["check:predict"]
ex.predict(predict)

# %% [markdown]
# How long must a layer have trained until training and prediction agree? **Predict first:** after how many
# batches is the gap below 0.1 with momentum 0.9? And with Keras' default of 0.99?

# %%
if all(ex.is_correct(name) for name in ("batch_norm", "moving_averages", "predict")):
    draw = np.random.default_rng(42)
    batches = [draw.normal(3, 2, size=(64, 5)) for _ in range(1000)]
    one, zero, test = np.ones(5), np.zeros(5), draw.normal(3, 2, size=(2000, 5))
    in_training = batch_norm(test, one, zero, 1e-3)
    numbers = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]

    def gap(n, momentum):
        averages = moving_averages(batches[:n], momentum)
        return np.abs(predict(test, one, zero, *averages, 1e-3) - in_training).mean()

    gaps = {f"momentum {m}": [gap(n, m) for n in numbers] for m in (0.5, 0.9, 0.99)}
    ck.show(ck.plotting.lines(
        gaps, numbers, log="xy", title="How far prediction is from training",
        xlabel="batches seen in training", ylabel="mean distance of the outputs"))  # fmt: skip
else:
    print("This picture waits for tasks 1, 3 and 4.")

# %% [markdown]
# Which momentum ends lowest: the one that arrives first? A long memory takes longer to arrive, and then averages over
# more batches, so that its noise is smaller. (Section 3 of the lesson shows how to have both: one pass over the
# training set after training.)
#
# ## Part 3: In a network
#
# ### Task 5: the axis puzzle
#
# `axis` names what is **kept**: one mean for each place along it. With a list of axes there is one mean
# for each combination of places. (Keras 3 takes a single number; older versions and other libraries
# take several.) Before you write code, fill in this table on paper:
#
# | shape of the inputs | axis | means | parameters | trained |
# |---|---|---|---|---|
# | (None, 100) | −1 | | | |
# | (None, 28, 28) | −1 | | | |
# | (None, 28, 28) | [1, 2] | | | |
# | (None, 32, 32, 3) | −1 | | | |
#
# Then write the function. `input_shape` is a tuple whose first entry, None, stands for the batch. Return
# two numbers: all parameters of a `BatchNormalization` layer, and those that the gradient trains. For
# example, `count_parameters((None, 10))` is `(40, 20)`.


# %% tags=["task:count_parameters"]
def count_parameters(input_shape, axis=-1):
    """Return the numbers of all and of trained parameters; `axis` is a number or a list."""
    ### BEGIN SOLUTION
    axes = [axis] if isinstance(axis, int) else axis
    n_means = 1
    for kept in axes:
        n_means *= input_shape[kept]
    return 4 * n_means, 2 * n_means
    ### END SOLUTION


# %% tags=["check:count_parameters"]
ex.count_parameters(count_parameters)

# %% [markdown]
# Now ask Keras, and compare with your table.

# %%
if ex.is_correct("count_parameters"):
    for shape, axis in (((None, 100), -1), ((None, 28, 28), -1), ((None, 32, 32, 3), -1)):
        layer = keras.layers.BatchNormalization(axis=axis)
        layer.build(shape)
        trained = sum(int(np.prod(v.shape)) for v in layer.trainable_variables)
        print(f"{shape!s:20} axis={axis}: you {count_parameters(shape, axis)}, "
              f"Keras {(layer.count_params(), trained)}")  # fmt: skip
    print(f"{(None, 28, 28)!s:20} axis=[1, 2]: you {count_parameters((None, 28, 28), [1, 2])}")
else:
    print("This comparison waits for task 5.")

# %% [markdown]
# ### Task 6: a block in Keras
#
# `hidden_block(units)` returns a list of **new** Keras layers that make one hidden layer with BN
# **before the activation**: a linear map to `units` units with weights by He (normal), batch
# normalisation, ReLU. One parameter of a dense layer has no effect in front of a normalisation (section
# 4 of the lesson): leave it out. The normalisation keeps its γ and β. A net is then built by
# `keras.Sequential([keras.Input((64,)), *hidden_block(30), *hidden_block(30)])`.


# %% tags=["task:hidden_block"]
def hidden_block(units):
    """Return new layers: linear, batch normalisation, ReLU."""
    ### BEGIN SOLUTION
    return [
        keras.layers.Dense(units, use_bias=False, kernel_initializer="he_normal"),
        keras.layers.BatchNormalization(),
        keras.layers.Activation("relu"),
    ]
    ### END SOLUTION


# %% tags=["check:hidden_block"] points=2
ex.hidden_block(hidden_block)

# %% [markdown]
# ### Task 7: fold it away
#
# At prediction a dense layer followed by BN is one affine map: $W' = W \cdot s$, column by column, and
# $b' = \beta + s\,(b - \hat\mu)$, with one scale for each unit, $s = \gamma / \sqrt{\hat\sigma^2 +
# \varepsilon}$.
#
# | symbol | argument | meaning |
# |---|---|---|
# | $W$ | `kernel` | weights of the dense layer, shape (inputs, units) |
# | $b$ | `bias` | its bias, shape (units,), or None if it has none |
# | $\hat\mu$, $\hat\sigma^2$ | `moving_mean`, `moving_variance` | of the normalisation, shape (units,) |
#
# Return `kernel, bias` of the one dense layer that does the work of both. For example, the kernel
# `[[2.0]]` and the bias `[1.0]` with $\gamma = 3$, $\beta = 5$, $\hat\mu = 2$, $\hat\sigma^2 = 0.96$ and
# $\varepsilon = 0.04$ give `[[6.0]]` and `[2.0]`.


# %% tags=["task:fold"]
def fold(kernel, bias, gamma, beta, moving_mean, moving_variance, epsilon):
    """Return kernel and bias of one dense layer that stands for a dense layer and its BN."""
    ### BEGIN SOLUTION
    s = gamma / np.sqrt(moving_variance + epsilon)
    own_bias = 0.0 if bias is None else bias
    return kernel * s, beta + s * (own_bias - moving_mean)
    ### END SOLUTION


# %% tags=["check:fold"] points=2
ex.fold(fold)

# %% [markdown]
# Your block and your folding at work: a net of two blocks, trained on 1,400 real handwritten digits of
# 8 × 8 pixels, loses both its normalisations. **Predict first:** how far do the predictions move? How
# many parameters go?

# %%
if ex.is_correct("hidden_block") and ex.is_correct("fold"):
    x_digits, y_digits = load_digits(return_X_y=True)
    order = np.random.default_rng(42).permutation(len(x_digits))
    x_digits, y_digits = x_digits[order].astype("float32"), y_digits[order]  # raw: 0 to 16
    keras.utils.set_random_seed(42)
    output = keras.layers.Dense(10, activation="softmax")
    model = keras.Sequential([keras.Input((64,)), *hidden_block(50), *hidden_block(50), output])
    model.compile(keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
    ck.fit(model, x_digits[:1400], y_digits[:1400], epochs=10, verbose=0, seed=42)

    plain, dense = [], None
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            kernel, bias = fold(
                dense.kernel.numpy(),
                dense.bias.numpy() if dense.use_bias else None,
                *(w.numpy() for w in layer.weights),
                layer.epsilon,
            )
            plain[-1] = (keras.layers.Dense(len(bias)), [kernel, bias])
        elif layer.weights:
            dense = layer
            plain.append((keras.layers.Dense.from_config(layer.get_config()), layer.get_weights()))
        else:
            plain.append((keras.layers.Activation("relu"), []))
    folded = keras.Sequential([keras.Input((64,)), *(layer for layer, _ in plain)])
    for layer, weights in plain:
        layer.set_weights(weights)

    before = model.predict(x_digits[1400:], verbose=0)
    after = folded.predict(x_digits[1400:], verbose=0)
    print(
        f"accuracy on {len(before)} other digits: {(before.argmax(1) == y_digits[1400:]).mean():.1%}"
    )
    print(f"largest difference of a probability once folded: {np.abs(before - after).max():.1e}")
    print(f"parameters: {model.count_params():,} → {folded.count_params():,}")
else:
    print("This experiment waits for tasks 6 and 7.")

# %% [markdown]
# ## If you have time
#
# - Train the folded net further. Does it still stand the learning rate of 0.1? Try 1.0 on both.
# - Put your `batch_norm` after ReLU in place of before it: what changes in your `fold`? (In which layer
#   does the scale end up?)
# - Write layer normalisation: mean and variance of task 1 go along each row (`axis=1`, and
#   `keepdims=True`, so that the shapes still fit), and task 3 falls away.
#
# ## What is done

# %%
ex.progress()
