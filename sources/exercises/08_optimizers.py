# %% [markdown]
# # Exercise 08: Optimizers
#
# You write six optimizers of [lesson 08](../notebooks/08_optimizers.ipynb) as update functions that
# work on NumPy arrays and inside Keras, and train a net with them. Allow 60 minutes.
#
# How it works
#
# - Replace `...  # your code here` by your code, run the cell, then run the check below it.
# - A check says *correct*, *wrong* with the reason, *crashed* with the place, or *not
#   attempted*.
# - Stuck? `ex.hint("momentum")` in a new cell gives a first hint for the task `momentum`; the same
#   call again gives the next.
# - `ex.progress()` shows what is done. It is kept when you close the notebook.
# - The twin of this notebook with all solutions is
#   [solutions/08](../solutions/08_optimizers.ipynb). Look there last.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import matplotlib.pyplot as plt
import numpy as np

ex = ck.exercise(8)

# %% [markdown]
# ## Part 1: Updates that remember
#
# | symbol | argument | meaning |
# |---|---|---|
# | $\theta$ | `theta` | the parameters, an array of any shape |
# | $g$ | `gradient` | the gradient of the loss with respect to $\theta$ |
# | $m, v, s$ | `m`, `v`, `s` | slots: what the optimizer remembers, arrays shaped like $\theta$, 0 at the start |
# | $t$ | `t` | the number of the step, from 1 |
# | $\eta$ | `learning_rate` | the learning rate |
# | $\beta, \beta_1, \beta_2, \rho$ | `beta`, `beta_1`, `beta_2`, `rho` | what share of the old slot survives |
# | $\varepsilon$ | `epsilon` | keeps a division finite |
#
# Every function takes one step: it returns the new $\theta$ and the new slots as a tuple, and leaves
# its arguments as they are. The same function must work on NumPy arrays and, with every argument a
# tensor, inside Keras: use arithmetic (`** 0.5` is a root) or `keras.ops`, not NumPy's functions, and no `if`
# that asks for a value.
#
# ### Task 1: momentum
#
# $$m \leftarrow \beta m - \eta\, g \qquad \theta \leftarrow \theta + m$$
#
# For example, `momentum(5.0, 2.0, -1.0, learning_rate=0.1, beta=0.5)` is `(4.3, -0.7)`.


# %% tags=["task:momentum"]
def momentum(theta, gradient, m, learning_rate, beta=0.9):
    """Return theta and m after one step of momentum (모멘텀)."""
    ### BEGIN SOLUTION
    m = beta * m - learning_rate * gradient
    return theta + m, m
    ### END SOLUTION


# %% tags=["check:momentum"]
ex.momentum(momentum)

# %% [markdown]
# ### Task 2: Nesterov's momentum, in Keras' form
#
# The parameters are the place *ahead*, where the gradient is measured. The velocity is the same; with
# the new $m$ the move is
#
# $$m \leftarrow \beta m - \eta\, g \qquad \theta \leftarrow \theta + \beta m - \eta\, g$$
#
# For example, `nesterov(5.0, 2.0, -1.0, learning_rate=0.1, beta=0.5)` is `(4.45, -0.7)`.


# %% tags=["task:nesterov"]
def nesterov(theta, gradient, m, learning_rate, beta=0.9):
    """Return theta and m after one step of Nesterov's momentum."""
    ### BEGIN SOLUTION
    m = beta * m - learning_rate * gradient
    return theta + beta * m - learning_rate * gradient, m
    ### END SOLUTION


# %% tags=["check:nesterov"]
ex.nesterov(nesterov)

# %% [markdown]
# ### Task 3: steps to the terminal velocity
#
# On an even slope momentum approaches the terminal velocity $\eta g / (1 - \beta)$. From rest, the
# speed after $t$ steps is the share $1 - \beta^t$ of it. Return the smallest number of steps after
# which the speed is at least the given `share` of the terminal velocity; both arguments lie between 0
# and 1. For example, `steps_to_speed(0.9, 0.5)` is 7.


# %% tags=["task:steps_to_speed"]
def steps_to_speed(beta, share):
    """Return after how many steps momentum has `share` of its terminal velocity."""
    ### BEGIN SOLUTION
    return int(np.ceil(np.log(1 - share) / np.log(beta)))
    ### END SOLUTION


# %% tags=["check:steps_to_speed"]
ex.steps_to_speed(steps_to_speed)

# %% [markdown]
# ### Look at what you made
#
# Your walkers in the valley $x^2/20 + y^2$. **Predict first:** how many steps does a ball with β =
# 0.99 need until it has 90% of its terminal velocity? And one with 0.99999, which some code uses by
# mistake?

# %%
if ex.is_correct("steps_to_speed"):
    for beta in (0.5, 0.9, 0.99, 0.99999):
        print(f"β = {beta:<8g} {steps_to_speed(beta, 0.9):8,} steps to 90% of the final speed")
else:
    print("For this table solve task 3.")

# %% tags=["plot"]
walkers = {"momentum": momentum, "nesterov": nesterov}
solved = [name for name in walkers if ex.is_correct(name)]
if solved:
    fig, ax = plt.subplots(figsize=(7, 3.2))
    for name in solved:
        theta, m = np.array([-7.0, 2.0]), np.zeros(2)
        path = [theta]
        for _ in range(40):
            theta, m = walkers[name](theta, theta * [0.1, 2.0], m, 0.3)
            path.append(theta)
        ax.plot(
            *np.array(path).T, **ck.plotting.look_of(name, marker=False), marker=".", label=name
        )
    ax.plot(0, 0, "k+", markersize=10)
    ax.set(title="Forty steps in the valley, rate 0.3, β = 0.9", xlabel="x", ylabel="y")
    ax.legend()
    ck.show(fig, alt=f"Paths of {' and '.join(solved)} from (-7, 2) towards the minimum at (0, 0).")
else:
    print("For this picture solve task 1 or 2.")

# %% [markdown]
# ## Part 2: A rate for each parameter
#
# ### Task 4: AdaGrad
#
# $$s \leftarrow s + g^2 \qquad \theta \leftarrow \theta - \frac{\eta\, g}{\sqrt{s + \varepsilon}}$$
#
# For example, `adagrad(5.0, 3.0, 16.0, learning_rate=0.1)` is `(4.94, 25.0)`.


# %% tags=["task:adagrad"]
def adagrad(theta, gradient, s, learning_rate, epsilon=1e-7):
    """Return theta and s after one step of AdaGrad."""
    ### BEGIN SOLUTION
    s = s + gradient**2
    return theta - learning_rate * gradient / (s + epsilon) ** 0.5, s
    ### END SOLUTION


# %% tags=["check:adagrad"]
ex.adagrad(adagrad)

# %% [markdown]
# ### Task 5: RMSProp
#
# The same with a memory that fades:
#
# $$s \leftarrow \rho s + (1 - \rho)\, g^2 \qquad
# \theta \leftarrow \theta - \frac{\eta\, g}{\sqrt{s + \varepsilon}}$$
#
# For example, `rmsprop(5.0, 2.0, 12.0, learning_rate=0.1, rho=0.625)` is about `(4.9333, 9.0)`.


# %% tags=["task:rmsprop"]
def rmsprop(theta, gradient, s, learning_rate, rho=0.9, epsilon=1e-7):
    """Return theta and s after one step of RMSProp."""
    ### BEGIN SOLUTION
    s = rho * s + (1 - rho) * gradient**2
    return theta - learning_rate * gradient / (s + epsilon) ** 0.5, s
    ### END SOLUTION


# %% tags=["check:rmsprop"]
ex.rmsprop(rmsprop)

# %% [markdown]
# ### Task 6: Adam
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2$$
#
# $$\hat m = \frac{m}{1 - \beta_1^t} \qquad \hat v = \frac{v}{1 - \beta_2^t} \qquad
# \theta \leftarrow \theta - \eta\, \frac{\hat m}{\sqrt{\hat v} + \varepsilon}$$
#
# For example, `adam(5.0, 2.0, 0.0, 0.0, t=1, learning_rate=0.1)` is about `(4.9, 0.2, 0.004)`: the
# first step has the size of the rate. (This is the paper's rule, with ε added to $\sqrt{\hat v}$.)


# %% tags=["task:adam"]
def adam(theta, gradient, m, v, t, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Return theta, m and v after step number t of Adam."""
    ### BEGIN SOLUTION
    m = beta_1 * m + (1 - beta_1) * gradient
    v = beta_2 * v + (1 - beta_2) * gradient**2
    m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
    return theta - learning_rate * m_hat / (v_hat**0.5 + epsilon), m, v
    ### END SOLUTION


# %% tags=["check:adam"] points=2
ex.adam(adam)

# %% [markdown]
# ### Task 7: AdamW
#
# Adam's step, with unchanged slots, and beside it weight decay (가중치 감소): the share
# $\eta\lambda$ of the *old* $\theta$ is taken away. $\lambda$ is `weight_decay`.
#
# $$\theta \leftarrow \theta - \eta\lambda\,\theta - \eta\, \frac{\hat m}{\sqrt{\hat v} +
# \varepsilon}$$
#
# For example, `adamw(5.0, 2.0, 0.0, 0.0, t=1, learning_rate=0.1, weight_decay=0.2)` is about `(4.8,
# 0.2, 0.004)`.


# %% tags=["task:adamw"]
def adamw(
    theta, gradient, m, v, t, learning_rate, weight_decay, beta_1=0.9, beta_2=0.999, epsilon=1e-7
):
    """Return theta, m and v after step number t of AdamW."""
    ### BEGIN SOLUTION
    new, m, v = adam(theta, gradient, m, v, t, learning_rate, beta_1, beta_2, epsilon)
    return new - learning_rate * weight_decay * theta, m, v
    ### END SOLUTION


# %% tags=["check:adamw"]
ex.adamw(adamw)

# %% [markdown]
# ### Look at what you made
#
# **Predict first:** 200 steps with random gradients of size 1, then 200 with gradients of a hundredth of
# that. The step of plain gradient descent becomes a hundredth too. What about yours?

# %% tags=["plot"]
steppers = {
    "adagrad": lambda x, g, s, t: adagrad(x, g, *s, 0.1),
    "rmsprop": lambda x, g, s, t: rmsprop(x, g, *s, 0.1),
    "adam": lambda x, g, s, t: adam(x, g, *s, t, 0.1),
}
solved = [name for name in steppers if ex.is_correct(name)]
if solved:
    sizes = np.repeat([1.0, 0.01], 200)[:, None] * np.random.default_rng(0).normal(size=(400, 500))
    moved = {}
    for name in solved:
        x, slots, moved[name] = np.zeros(500), [np.zeros(500)] * (1 + (name == "adam")), []
        for t, g in enumerate(sizes, start=1):
            new, *slots = steppers[name](x, g, slots, t)
            moved[name].append(np.abs(new - x).mean())
            x = new
    ck.show(ck.plotting.lines(moved, log="y", title="What a gradient of a hundredth does to the step",
                              xlabel="step; from 201 on the gradients are a hundredth",
                              ylabel="mean length of a step of 500 weights"))  # fmt: skip
else:
    print("For this picture solve task 4, 5 or 6.")

# %% [markdown]
# (AdaGrad never forgets. RMSProp's memory is some ten steps long, that of Adam's $v$ a thousand: β₂ = 0.999.)
#
# ## Part 3: Yours against Keras'
#
# A Keras optimizer needs little more than your function: `build` makes a slot for every variable,
# `update_step` is called for each variable at each step. The class in the folded cell runs any of your functions.


# %% tags=["helper"]
class Own(keras.optimizers.Optimizer):
    """Runs `step(theta, gradient, slots, t, learning_rate)`, which returns theta and slots."""

    def __init__(self, step, n_slots, learning_rate):
        super().__init__(learning_rate)
        self.step, self.n_slots = step, n_slots

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.slots = [
                [self.add_variable_from_reference(v, name=f"slot_{i}") for v in variables]
                for i in range(self.n_slots)
            ]

    def update_step(self, gradient, variable, learning_rate):
        slots = [slot[self._get_variable_index(variable)] for slot in self.slots]
        t = keras.ops.cast(self.iterations + 1, variable.dtype)
        values = [keras.ops.convert_to_tensor(v) for v in (variable, *slots)]
        new, *kept = self.step(values[0], gradient, values[1:], t, learning_rate)
        for target, value in zip((variable, *slots), (new, *kept), strict=True):
            self.assign(target, value)


own = {
    "momentum": Own(lambda x, g, s, t, rate: momentum(x, g, *s, rate), 1, 0.05),
    "nesterov": Own(lambda x, g, s, t, rate: nesterov(x, g, *s, rate), 1, 0.05),
    "rmsprop": Own(lambda x, g, s, t, rate: rmsprop(x, g, *s, rate), 1, 0.001),
    "adam": Own(lambda x, g, s, t, rate: adam(x, g, *s, t, rate), 2, 0.001),
    "adamw": Own(lambda x, g, s, t, rate: adamw(x, g, *s, t, rate, 0.004), 2, 0.001),
    "adam, Keras' ε": Own(
        lambda x, g, s, t, rate: adam(x, g, *s, t, rate, epsilon=1e-7 / (1 - 0.999**t) ** 0.5),
        2,
        0.001,
    ),
}
twins = {
    "momentum": keras.optimizers.SGD(0.05, momentum=0.9),
    "nesterov": keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": keras.optimizers.RMSprop(0.001),
    "adam": keras.optimizers.Adam(0.001),
    "adamw": keras.optimizers.AdamW(0.001, weight_decay=0.004),
    "adam, Keras' ε": keras.optimizers.Adam(0.001),
}

# %% [markdown]
# **Predict first:** from the same start, on the same batches, how far are the weights of your net from
# those of Keras' net after four epochs: the same to all digits, nearly the same, or merely similar? And
# which of the first five (momentum, Nesterov, RMSProp, Adam, AdamW) comes least close? (AdaGrad is missing, because Keras
# starts its $s$ at 0.1, not at 0.)

# %% tags=["helper"]
data = ck.load("mnist").subset(lab.pick(quick=600, standard=3_000, full=20_000)).standardized()
x, y = data.x_train.reshape(len(data.x_train), -1), data.y_train
keras.utils.set_random_seed(42)
model = keras.Sequential(
    [keras.Input((x.shape[1],)), keras.layers.Dense(50, "relu"), keras.layers.Dense(10, "softmax")]
)
start = model.get_weights()


def train(optimizer, epochs):
    """Train the net from its first weights; return the losses and the weights after it."""
    model.set_weights(start)
    model.compile(optimizer, loss="sparse_categorical_crossentropy")
    losses = ck.fit(model, x, y, epochs=epochs, batch_size=50, verbose=0, seed=0).history["loss"]
    return losses, np.concatenate([w.ravel() for w in model.get_weights()])


solved = [name for name in own if ex.is_correct(name.split(",")[0])]
if solved:
    fig, ax = plt.subplots()
    for name in solved:
        losses, weights = train(own[name], 4)
        its_losses, its_weights = train(twins[name], 4)
        look = ck.plotting.look_of(name, marker=False)
        ax.plot(range(1, 5), losses, **look, label=f"your {name}")
        ax.plot(range(1, 5), its_losses, "o", color=look["color"], fillstyle="none")
        print(f"{name:14s} largest difference of a weight {np.abs(weights - its_weights).max():.1e}, "
              f"largest weight {np.abs(weights).max():.2f}")  # fmt: skip
    ax.set(title="Lines: your optimizers. Circles: those of Keras", xlabel="epoch",
           ylabel="training loss", xticks=range(1, 5))  # fmt: skip
    ax.legend()
    ck.show(fig, alt=f"Training loss against the epoch with your {', '.join(solved)} (lines) and "
            "with the same optimizers of Keras (circles).")  # fmt: skip
else:
    print("For this training solve at least one of the tasks 1, 2, 5, 6 and 7.")

# %% [markdown]
# Momentum, Nesterov and RMSProp differ from Keras by rounding at most, in the seventh decimal. Adam and AdamW differ in the
# second: not by rounding, as their twin with Keras' ε shows, but by where ε stands. Keras adds it to $\sqrt v$ before the
# correction, as if ε were $\varepsilon / \sqrt{1 - \beta_2^t}$; the sixth entry is your `adam` with that. In the first
# steps $\varepsilon / \sqrt{1 - \beta_2^t}$ is up to thirty times ε, and the weights of pixels that are nearly always the
# same have gradients as small as that. Most other weights, and the loss, hardly notice. (The rates are not tuned, so the
# order of the curves says nothing about which optimizer is best.)
#
# ## If you have time
#
# - Write Nadam: Adam's step with $\beta_1 \hat m + (1 - \beta_1) g / (1 - \beta_1^t)$ in place of
#   $\hat m$. How far is it from `keras.optimizers.Nadam`, whose $\beta_1$ is warmed up?
# - Give `Own` a gradient scaled by 1000. Which of your optimizers do not care?
# - Replace `adamw` by `adam` with the gradient `g + 0.004 * x`. Which weights end smaller?
#
# ## What is done

# %%
ex.progress()
