# %% [markdown]
# # Exercise 09: Learning-rate schedules
#
# You write every learning-rate schedule (학습률 스케줄링) of [lesson
# 09](../notebooks/09_learning_rate_schedules.ipynb) yourself, then put three of them to work in
# Keras: a schedule that can be saved, a range test, and a 1cycle callback. Allow 75 minutes; the
# first five tasks are short.
#
# How it works
#
# - Replace `...  # your code here` by your code, run the cell, then run the check below it.
# - A check says *correct*, *wrong* with the reason, *crashed* with the place, or *not
#   attempted*.
# - Stuck? `ex.hint("power")` in a new cell gives a first hint for the task `power`; the same
#   call again gives the next.
# - `ex.progress()` shows what is done. It is kept when you close the notebook.
# - The twin of this notebook with all solutions is
#   [solutions/09](../solutions/09_learning_rate_schedules.ipynb). Look there last.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import numpy as np
from sklearn.datasets import load_digits

ex = ck.exercise(9)

# %% [markdown]
# ## Part 1: Schedules are functions of the step
#
# A **step** $t$ is one update of the weights, counted from 0. A schedule is a plain function: it
# takes the step and its settings and returns the learning rate $\eta(t)$ of that step. It
# remembers nothing, so you can draw it, test it and try it before anything trains.
#
# ### Task 1: power scheduling (거듭제곱 기반)
#
# $$\eta(t) = \frac{\eta_0}{(1 + t/s)^c}$$
#
# | symbol | argument | meaning |
# |---|---|---|
# | $t$ | `step` | number of the update, from 0 |
# | $\eta_0$ | `initial_learning_rate` | the rate at step 0 |
# | $s$ | `decay_steps` | the time scale in steps |
# | $c$ | `exponent` | how steep the fall is; 1 unless given |
#
# For example, `power(0, 0.1, 200)` is 0.1 and `power(200, 0.1, 200)` is half of it.


# %% tags=["task:power"]
def power(step, initial_learning_rate, decay_steps, exponent=1.0):
    """Return the learning rate of power scheduling at `step`."""
    ### BEGIN SOLUTION
    return initial_learning_rate / (1 + step / decay_steps) ** exponent
    ### END SOLUTION


# %% tags=["check:power"]
ex.power(power)

# %% [markdown]
# ### Task 2: exponential scheduling (지수 기반)
#
# The rate falls to a tenth every $s$ steps, smoothly:
#
# $$\eta(t) = \eta_0 \cdot 0.1^{\,t/s}$$
#
# `exponential(400, 0.1, 200)` is 0.001: after 400 steps the rate was divided by ten twice.


# %% tags=["task:exponential"]
def exponential(step, initial_learning_rate, decay_steps):
    """Return the learning rate of exponential scheduling at `step`."""
    ### BEGIN SOLUTION
    return initial_learning_rate * 0.1 ** (step / decay_steps)
    ### END SOLUTION


# %% tags=["check:exponential"]
ex.exponential(exponential)

# %% [markdown]
# ### Task 3: piecewise constant scheduling (구간별 고정)
#
# `boundaries` are steps $b_0 < b_1 < \dots$, and `values` are rates, one more than boundaries:
# `values[0]` before $b_0$, `values[1]` from $b_0$ until before $b_1$, and so on; the last value
# from the last boundary on. **A boundary is the first step of the new rate.**
#
# (Keras' own `PiecewiseConstantDecay` keeps the old rate at the boundary itself and changes one
# step later. Off-by-one differences like this are why it pays to test a schedule at its
# boundaries.)
#
# `piecewise_constant(99, [100, 300], [0.1, 0.01, 0.001])` is 0.1; at step 100 it is 0.01.


# %% tags=["task:piecewise_constant"]
def piecewise_constant(step, boundaries, values):
    """Return `values[i]`, where i is the number of boundaries that `step` has reached."""
    ### BEGIN SOLUTION
    reached = sum(step >= boundary for boundary in boundaries)
    return values[reached]
    ### END SOLUTION


# %% tags=["check:piecewise_constant"]
ex.piecewise_constant(piecewise_constant)

# %% [markdown]
# ### Task 4: cosine with warm-up
#
# The first $w$ steps climb on a straight line from 0, then half a cosine wave comes down to 0,
# where the rate stays:
#
# $$\eta(t) = \begin{cases}
# \eta_{\max}\, t / w & t < w \\
# \tfrac12\, \eta_{\max} \left(1 + \cos \pi \dfrac{t - w}{n - w}\right) & w \le t < n \\
# 0 & t \ge n
# \end{cases}$$
#
# Here $\eta_{\max}$ is `max_lr`, $w$ is `warmup_steps` (it may be 0) and $n$ is `total_steps`,
# the warm-up included. With `max_lr=0.2`, `warmup_steps=50` and `total_steps=450` the rate is
# 0.1 at step 25, 0.2 at step 50, and 0.1 again half-way down at step 250.


# %% tags=["task:cosine_with_warmup"]
def cosine_with_warmup(step, max_lr, warmup_steps, total_steps):
    """Return the learning rate at `step`: a linear warm-up, then half a cosine wave to 0."""
    ### BEGIN SOLUTION
    if step < warmup_steps:
        return max_lr * step / warmup_steps
    if step >= total_steps:
        return 0.0
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return max_lr * (1 + np.cos(np.pi * progress)) / 2
    ### END SOLUTION


# %% tags=["check:cosine_with_warmup"]
ex.cosine_with_warmup(cosine_with_warmup)

# %% [markdown]
# ### Task 5: 1cycle (1사이클)
#
# 1cycle moves two things at once, the learning rate and the momentum (모멘텀). With $n$ =
# `total_steps` the steps are $0 \dots n-1$, and the corners are joined by straight lines:
#
# | step | learning rate | momentum |
# |---|---|---|
# | $0$ | `max_lr` / 10, called *start* | 0.95 |
# | $0.45\,(n-1)$ | `max_lr` | 0.85 |
# | $0.9\,(n-1)$ | start again | 0.95 |
# | $n-1$, the last step | start / 1000 | 0.95 |
#
# So rise and fall take 45% of the way each, and the last tenth brings the rate almost to 0 while
# the momentum rests. Past the last step both stay where they are.
#
# Return the pair `(learning_rate, momentum)`. For example `one_cycle(45, 101, 0.5)` is `(0.5,
# 0.85)`.


# %% tags=["task:one_cycle"]
def one_cycle(step, total_steps, max_lr):
    """Return learning rate and momentum of the 1cycle policy at `step`."""
    ### BEGIN SOLUTION
    last = total_steps - 1
    start = max_lr / 10
    corners = [0, 0.45 * last, 0.9 * last, last]
    learning_rate = np.interp(step, corners, [start, max_lr, start, start / 1000])
    momentum = np.interp(step, corners, [0.95, 0.85, 0.95, 0.95])
    return learning_rate, momentum
    ### END SOLUTION


# %% tags=["check:one_cycle"] points=2
ex.one_cycle(one_cycle)

# %% [markdown]
# ### Look at what you made
#
# The next cell draws every schedule whose check said *correct*, each over 500 steps. Compare:
# which one spends most of its steps at a high rate? Which one ends lowest?

# %%
plans = {
    "power": lambda t: power(t, 0.1, 100),
    "exponential": lambda t: exponential(t, 0.1, 200),
    "piecewise_constant": lambda t: piecewise_constant(t, [150, 350], [0.1, 0.03, 0.01]),
    "cosine_with_warmup": lambda t: cosine_with_warmup(t, 0.1, 50, 500),
    "one_cycle": lambda t: one_cycle(t, 500, 0.1)[0],
}
solved = [name for name in plans if ex.is_correct(name)]
if solved:
    drawn = {name: [plans[name](t) for t in range(500)] for name in solved}
    ck.show(ck.plotting.lines(drawn, np.arange(500), title="Your schedules over 500 steps",
                              xlabel="step", ylabel="learning rate"))  # fmt: skip
else:
    print("No schedule is correct yet, so there is nothing to draw.")

# %% [markdown]
# ### Task 6: performance scheduling (성능 기반)
#
# This schedule listens to the training. It cuts the rate by a factor when the validation loss
# has made no progress for some epochs, as Keras' `ReduceLROnPlateau` does. Here you replay it on
# a list of losses.
#
# - The rate starts at `initial_learning_rate`.
# - After each epoch its loss is compared with the **best loss so far**. A smaller loss is
#   progress; an equal one is not.
# - After `patience` epochs in a row without progress the rate is multiplied by `factor`, and the
#   waiting starts anew. The best loss stays the best.
# - A loss is known only at the end of its epoch, so a cut counts **from the next epoch on**.
#
# Return a list as long as `valid_losses`: the rate that each epoch trains with. For example,
# with `patience=2` and `factor=0.5`,
#
# | epoch | 0 | 1 | 2 | 3 | 4 |
# |---|---|---|---|---|---|
# | validation loss | 0.9 | 0.5 | 0.6 | 0.55 | 0.4 |
# | epochs without progress | 0 | 0 | 1 | 2 → cut | 0 |
# | rate of the epoch | 0.1 | 0.1 | 0.1 | 0.1 | 0.05 |


# %% tags=["task:performance"]
def performance(valid_losses, initial_learning_rate, patience=5, factor=0.5):
    """Return the learning rate of each epoch under performance scheduling."""
    ### BEGIN SOLUTION
    rates = []
    rate, best, waited = initial_learning_rate, np.inf, 0
    for loss in valid_losses:
        rates.append(rate)
        if loss < best:
            best, waited = loss, 0
        else:
            waited += 1
        if waited == patience:
            rate, waited = rate * factor, 0
    return rates
    ### END SOLUTION


# %% tags=["check:performance"] points=2
ex.performance(performance)

# %% [markdown]
# ## Part 2: Schedules at work in Keras
#
# ### Task 7: a schedule that can be saved
#
# An optimizer takes a schedule in place of a number if it is an object of a class derived from
# `keras.optimizers.schedules.LearningRateSchedule`. Then the rate changes at every step, and the
# schedule is saved with the model. Turn power scheduling into such a class:
#
# - `__init__` takes what `power` takes, without the step, and keeps it.
# - `__call__(self, step)` returns the rate. While Keras compiles the training step, `step` is a
#   *tensor of whole numbers* without a value: operators work on it, `int()`, `float()` and
#   `math` do not.
# - `get_config(self)` returns a dict with all arguments of `__init__`. It is what Keras writes
#   to the file; loading calls `PowerSchedule(**config)`.
#
# The decorator tells Keras the name under which it finds the class again when a model is loaded.


# %% tags=["task:power_schedule"]
@keras.saving.register_keras_serializable(package="exercise_09")
class PowerSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Power scheduling: initial_learning_rate / (1 + step / decay_steps) ** exponent."""

    def __init__(self, initial_learning_rate, decay_steps, exponent=1.0):
        ### BEGIN SOLUTION
        super().__init__()
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.exponent = exponent
        ### END SOLUTION

    def __call__(self, step):
        ### BEGIN SOLUTION
        progress = keras.ops.cast(step, "float32") / self.decay_steps
        return self.initial_learning_rate / (1 + progress) ** self.exponent
        ### END SOLUTION

    def get_config(self):
        ### BEGIN SOLUTION
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "exponent": self.exponent,
        }
        ### END SOLUTION


# %% tags=["check:power_schedule"] points=2
ex.power_schedule(PowerSchedule)

# %% [markdown]
# ### Task 8: the range test
#
# Which highest rate does a network bear? Let the rate grow from a tiny to a huge value within a
# few dozen steps, and watch the loss: it stays, falls, and blows up.
#
# Write the loop for a compiled `model` with a plain learning rate.
#
# - Cut the data into batches of `batch_size`, in order, without shuffling; leave a last partial
#   batch out. One step per batch.
# - The first step has the rate `min_lr`, the last `max_lr`, and from step to step the rate grows
#   by a **constant factor**.
# - Record the rate and **that batch's own loss**, before its update.
# - Afterwards the model is **as found**: its weights, and all variables of its optimizer
#   (learning rate, step counter, velocities; an optimizer that has never trained makes its velocities
#   in its first step, or at once with `optimizer.build(model.trainable_variables)`).
#
# Return `(rates, losses)`. Two useful facts: `model.train_on_batch(x, y, return_dict=True)` does
# one update and returns a dict with the batch's `"loss"`, measured before the update; and
# `optimizer.learning_rate = 0.01` works between two steps.


# %% tags=["task:range_test"]
def range_test(model, x, y, min_lr, max_lr, batch_size):
    """Return rates and losses of a range test; the model is left as found."""
    ### BEGIN SOLUTION
    optimizer = model.optimizer
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    variables = model.variables + optimizer.variables
    found = [keras.ops.convert_to_numpy(variable) for variable in variables]

    rates = np.geomspace(min_lr, max_lr, len(x) // batch_size)
    losses = []
    for i, rate in enumerate(rates):
        batch = slice(i * batch_size, (i + 1) * batch_size)
        optimizer.learning_rate = float(rate)
        losses.append(model.train_on_batch(x[batch], y[batch], return_dict=True)["loss"])

    for variable, value in zip(variables, found, strict=True):
        variable.assign(value)
    return rates, losses
    ### END SOLUTION


# %% tags=["check:range_test"] points=2
ex.range_test(range_test)

# %% [markdown]
# Try it on 1,797 real handwritten digits of 8 × 8 pixels. Where is the trough,
# in which the loss lies in the lower half of its fall? Lesson 09 suggests half of the trough's middle.

# %%
x_digits, y_digits = load_digits(return_X_y=True)
order = np.random.default_rng(42).permutation(len(x_digits))
x_digits, y_digits = (x_digits[order] / 16).astype("float32"), y_digits[order]


def new_model(optimizer):
    """Return a small compiled classifier that starts from the same weights every time."""
    keras.utils.set_random_seed(42)
    layers = keras.layers
    hidden = [layers.Dense(64, activation="relu", kernel_initializer="he_normal") for _ in range(3)]
    model = keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10, activation="softmax")])
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


if ex.is_correct("range_test"):
    model = new_model(keras.optimizers.SGD(0.01, momentum=0.9))
    rates, losses = range_test(model, x_digits, y_digits, 1e-4, 1.0, 16)
    cut = np.clip(np.nan_to_num(losses, nan=5), 0, 5)
    ck.show(ck.plotting.lines({"one batch": cut}, rates, log="x", xlabel="learning rate",
                              ylabel="loss of the batch, cut at 5",
                              title="The loss falls, then blows up"))  # fmt: skip

# %% [markdown]
# ### Task 9: the 1cycle callback
#
# Now both halves of 1cycle in a real training. The learning rate of a Keras optimizer is a
# variable, so a callback can change it. Momentum is not: `SGD(momentum=0.9).momentum` is a plain
# number, and Keras writes it into the compiled training step once and for all. Changing it later
# changes **nothing**, without a word.
#
# The way out is an optimizer whose update reads a variable. Here it is, ready to use:


# %%
class SGDWithLiveMomentum(keras.optimizers.SGD):
    """SGD with momentum that can change while training, by `live_momentum.assign(value)`."""

    def __init__(self, learning_rate=0.01, momentum=0.9, **kwargs):
        super().__init__(learning_rate, momentum=momentum, **kwargs)
        self.live_momentum = keras.Variable(momentum, trainable=False, name="live_momentum")

    def update_step(self, gradient, variable, learning_rate):
        velocity = self.momentums[self._get_variable_index(variable)]
        self.assign(velocity, self.live_momentum * velocity - learning_rate * gradient)
        self.assign_add(variable, velocity)


# %% [markdown]
# Write the callback; a dozen lines will do. At every step of the training it sets the learning
# rate and `live_momentum` of the model's optimizer to what your function `one_cycle` says. One
# cycle spans the whole training, all epochs together, and a second `fit` starts a new cycle.
#
# In a callback `self.model` is the model, and `self.params` holds the number of `"epochs"` and
# of `"steps"` in an epoch. The method `on_train_begin(self, logs=None)` runs before training,
# and `on_train_batch_begin(self, batch, logs=None)` before every step.
#
# The check reads rate and momentum back from what the updates do to the weights.


# %% tags=["task:one_cycle_callback"]
class OneCycle(keras.callbacks.Callback):
    """Train with the 1cycle policy; for optimizers with a variable `live_momentum`."""

    def __init__(self, max_lr):
        super().__init__()
        self.max_lr = max_lr

    ### BEGIN SOLUTION
    def on_train_begin(self, logs=None):
        self.step = 0
        self.total_steps = self.params["epochs"] * self.params["steps"]

    def on_train_batch_begin(self, batch, logs=None):
        learning_rate, momentum = one_cycle(self.step, self.total_steps, self.max_lr)
        self.model.optimizer.learning_rate = float(learning_rate)
        self.model.optimizer.live_momentum.assign(momentum)
        self.step += 1

    ### END SOLUTION


# %% tags=["check:one_cycle_callback"] points=3
ex.one_cycle_callback(OneCycle, SGDWithLiveMomentum)

# %% [markdown]
# See it at work: five epochs on the digits, up to a rate of 0.05. The picture shows what the
# optimizer held at every step, not what the plan said.


# %%
class Recorder(keras.callbacks.Callback):
    """Read rate and momentum back from the optimizer after every step."""

    def on_train_begin(self, logs=None):
        self.rates, self.momenta = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))
        self.momenta.append(float(self.model.optimizer.live_momentum))


if ex.is_correct("one_cycle_callback"):
    train, valid = slice(None, 1_400), slice(1_400, None)
    model, recorder = new_model(SGDWithLiveMomentum()), Recorder()
    model.fit(x_digits[train], y_digits[train], epochs=5, verbose=0,
              callbacks=[OneCycle(0.05), recorder])  # fmt: skip
    held = {"20 times the learning rate": 20 * np.array(recorder.rates),
            "momentum": recorder.momenta}  # fmt: skip
    ck.show(ck.plotting.lines(held, np.arange(len(recorder.rates)), xlabel="step", ylabel="value",
                              title="What the optimizer held: momentum mirrors the rate"))  # fmt: skip
    loss, accuracy = model.evaluate(x_digits[valid], y_digits[valid], verbose=0)
    print(f"Validation accuracy after 5 epochs: {accuracy:.1%} (one run, one seed)")

# %% [markdown]
# ## If you have time
#
# - Train the same model with a constant rate for five epochs, then with your callback, each from
#   five seeds. Is the difference larger than the spread over seeds?
# - Train with `keras.optimizers.SGD` and a callback that sets `optimizer.momentum`. Compare the
#   weights after training with those of a run without the callback. What do you find?
# - Let `range_test` stop as soon as the loss is four times its smallest value so far.
#
# ## What is done

# %%
ex.progress()
