# %% [markdown]
# # 05 Gradient clipping
#
# One bad gradient can undo a thousand good steps. The cure is one line: make it shorter before you
# use it.
#
# ## What you will be able to do
#
# In about 35 minutes you will be able to
#
# - explain why a recurrent net meets exploding gradients (그레이디언트 폭주), and see the cliff;
# - clip gradients (gradient clipping, 그레이디언트 클리핑) by value, by norm and by global norm, and
#   say which of them keep the direction;
# - train a net that does not survive without clipping;
# - log gradient norms and choose a threshold from the log;
# - avoid four traps, one of them silent.

# %%
import coursekit as ck

lab = ck.setup(seed=42)

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

# %% [markdown]
# All data in this lesson are made by a formula, so you need no download. Every training is repeated
# from `n_seeds` different starts.

# %%
n_steps, n_seeds = lab.pick(quick=(600, 3), standard=(1_500, 5), full=(4_000, 10))

# %% [markdown]
# ## 1 · Two numbers, three ways to clip
#
# A gradient has two components, $g = (0.9,\ 100)$. You want it no longer than the **threshold**
# $c = 1$.
#
# | way | formula | option in Keras |
# |---|---|---|
# | by value | every component is cut to $[-c, c]$ | `clipvalue` |
# | by norm | $g \cdot \min(1,\ c / \lVert g \rVert)$, for each variable by itself | `clipnorm` |
# | by global norm | the same with one norm $\sqrt{\sum_k \lVert g_k \rVert^2}$ over all variables $g_k$ | `global_clipnorm` |
#
# Here $\lVert g \rVert$ is the ℓ2 norm, the length of the arrow; a **variable** is one array of
# weights, such as the kernel of a layer.
#
# **Predict first:** what is $g$ after clipping by value, and what after clipping by norm? Which of
# the two still points where the gradient pointed?


# %%
def clip_by_value(gradients, limit):
    return [np.clip(g, -limit, limit) for g in gradients]


def clip_by_norm(gradients, limit):
    return [g * min(1, limit / np.linalg.norm(g)) for g in gradients]


def clip_by_global_norm(gradients, limit):
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    return [g * min(1, limit / norm) for g in gradients]


def cosine(gradients, others):
    """Cosine of the angle between two gradients, all their variables joined to one long arrow."""
    a, b = (np.concatenate([np.ravel(g) for g in both]) for both in (gradients, others))
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


g = np.array([0.9, 100.0])
ways = {"value": clip_by_value, "norm": clip_by_norm, "global norm": clip_by_global_norm}
for way, clip in ways.items():
    clipped = clip([g], 1.0)
    print(f"by {way:12s} {np.round(clipped[0], 8)}   cosine with g {cosine([g], clipped):.6f}")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 4), width_ratios=[1, 3])
arrow = {"angles": "xy", "scale_units": "xy", "scale": 1}
left.quiver(0, 0, *g, color=ck.plotting.COLORS[7], width=0.03, **arrow)
left.set(xlim=(-40, 40), ylim=(0, 105), title="The raw gradient",
         xlabel="first component", ylabel="second component")  # fmt: skip
angle = np.linspace(0, np.pi, 100)
right.plot(np.cos(angle), np.sin(angle), **ck.plotting.line_kw(1), label="norm = 1")
right.plot([-1, -1, 1, 1], [0, 1, 1, 0], **ck.plotting.line_kw(0), label="every component = 1")
right.plot(*np.outer(g, [0, 0.013]), color=ck.plotting.COLORS[7], label="direction of the raw one")
for i, way in enumerate(["value", "norm"]):
    tip = ways[way]([g], 1.0)[0]
    right.quiver(0, 0, *tip, color=ck.plotting.COLORS[i], width=0.011, **arrow, zorder=3)
    right.text(tip[0] + 0.05, tip[1] + 0.05, f"by {way}", color=ck.plotting.COLORS[i])
right.set(xlim=(-1.2, 1.5), ylim=(0, 1.3), aspect="equal", xlabel="first component",
          title="By value turns the arrow, by norm only shortens it")  # fmt: skip
right.legend(loc="upper left", fontsize=8)
ck.show(
    fig,
    alt="Left: the raw gradient, an arrow almost straight up to 100. Right, near the origin: clipped "
    "by value the arrow goes to the corner of a square, far from the raw direction; clipped by "
    "norm it ends on the unit circle in the raw direction.",
)

# %% [markdown]
# Clipping **by value** lets the small component through and cuts the large one: two components that
# differed a hundredfold are now nearly alike, and the arrow points along the diagonal. Clipping **by
# norm** divides both by the same number: the direction stays, and the small component nearly
# vanishes. Neither makes a short gradient longer.
#
# Does Keras do the same? Let an SGD optimizer with learning rate 1 take one step from zero: the
# weights are then minus the gradient it used.


# %%
def used_by_keras(gradients, **option):
    """Return the gradients that a Keras optimizer with this clip option really applies."""
    variables = [keras.Variable(np.zeros(np.shape(g), "float32")) for g in gradients]
    optimizer = keras.optimizers.SGD(learning_rate=1.0, **option)
    optimizer.build(variables)
    optimizer.apply([tf.constant(g, "float32") for g in gradients], variables)
    return [-v.numpy() for v in variables]


options = {"value": "clipvalue", "norm": "clipnorm", "global norm": "global_clipnorm"}
for option in options.values():
    print(f"{option:16s}", *used_by_keras([g], **{option: 1.0}))

# %% tags=["claim"]
by_hand = {"value": [0.9, 1.0], "norm": [0.00899964, 0.9999595]}
by_hand["global norm"] = by_hand["norm"]  # a single variable: the two norms are the same
for way, expected in by_hand.items():
    mine, theirs = ways[way]([g], 1.0)[0], used_by_keras([g], **{options[way]: 1.0})[0]
    assert np.abs(mine - expected).max() < 1e-6, f"by {way}: expected {expected}, got {mine}"
    assert np.abs(theirs - mine).max() < 1e-6, f"Keras by {way}: expected {mine}, got {theirs}"
assert cosine([g], clip_by_value([g], 1.0)) < 0.99, "by value should turn the arrow"
assert abs(cosine([g], clip_by_norm([g], 1.0)) - 1) < 1e-9, "by norm should keep the direction"
assert np.array_equal(clip_by_norm([g], 200.0)[0], g), "a short gradient should stay as it is"

# %% [markdown]
# ### Many variables: one norm each, or one for all?
#
# A net has many variables. `clipnorm` looks at each alone; `global_clipnorm` treats them as one long
# arrow. Take three variables whose gradients have the norms 10, 1 and 0.1.
#
# **Predict first:** with $c = 1$, which norms are left in each case? Is the cosine between the whole
# raw and the whole clipped gradient still 1?

# %%
draw = np.random.default_rng(42)
gradients = [draw.normal(size=(20, 10)) for _ in range(3)]
gradients = [
    g3 / np.linalg.norm(g3) * norm for g3, norm in zip(gradients, (10, 1, 0.1), strict=True)
]
cosines = {}
fig, axes = plt.subplots(1, 4, figsize=(10, 2.6), sharey=True)
for i, (ax, way) in enumerate(zip(axes, ["raw", *ways], strict=True)):
    clipped = gradients if way == "raw" else ways[way](gradients, 1.0)
    cosines[way] = cosine(gradients, clipped)
    ax.bar(["A", "B", "C"], [np.linalg.norm(part) for part in clipped], color=ck.plotting.COLORS[i])
    ax.set(yscale="log", ylim=(0.005, 20), xlabel="variable")
    ax.set_title(f"{way}\ncosine {cosines[way]:.4f}", fontsize=9)
axes[0].set_ylabel("norm of the gradient")
ck.show(
    fig,
    alt="Norms of the gradients of three variables, raw and after each way of clipping. By norm, the "
    "first is cut to the length of the second; by global norm all three shrink by one factor.",
)

# %% tags=["claim"]
assert abs(cosines["global norm"] - 1) < 1e-9, f"expected cosine 1, got {cosines['global norm']}"
assert cosines["norm"] < 0.999, f"per variable, the whole should turn: {cosines['norm']:.4f}"
assert cosines["value"] < 1 - 1e-6, f"by value, the whole should turn: {cosines['value']}"
for way, option in options.items():
    theirs = used_by_keras(gradients, **{option: 1.0})
    for mine, applied in zip(ways[way](gradients, 1.0), theirs, strict=True):
        assert np.abs(mine - applied).max() < 1e-6, f"{option} should do what the formula says"

# %% [markdown]
# **Verdict:** `clipnorm` keeps the direction within each variable and changes the proportions between
# them; only the **global norm** keeps the direction of the whole step. That is why it is the usual
# choice.

# %% [markdown]
# ## 2 · Where such gradients come from: the same matrix, again and again
#
# A recurrent net (RNN) reads a sequence and keeps a **hidden state** $h_t$ that it updates at every
# time step $t$ with the same weights:
# $h_t = \varphi(x_t W_x + h_{t-1} W_h + b)$, where $x_t$ is the input, $\varphi$ the activation,
# $W_x$ and $W_h$ the kernels, $b$ the bias. Backpropagation walks the sequence in reverse and
# multiplies by $W_h^\top$ at every step: a deep net whose layers all share one matrix.
#
# **Predict first:** $W_h$ is a rotation times 0.9, 1 or 1.1 (and no activation). By what factor does
# the gradient grow or shrink over 100 time steps?

# %%
rotation = np.linalg.qr(draw.normal(size=(32, 32)))[0]
fig, ax = plt.subplots()
growth = {}
for i, gain in enumerate((0.9, 1.0, 1.1)):
    gradient = draw.normal(size=32)
    norms = [np.linalg.norm(gradient)]
    for _ in range(100):
        gradient = gradient @ (gain * rotation).T
        norms.append(np.linalg.norm(gradient))
    growth[gain] = norms[-1] / norms[0]
    ax.semilogy(np.array(norms) / norms[0], **ck.plotting.line_kw(i), label=f"gain {gain}")
ax.set(
    xlabel="time steps walked back",
    ylabel="norm of the gradient (1 at the end)",
    title=f"Ten per cent more: a factor of {growth[1.1]:,.0f}",
)
ax.legend()
ck.show(
    fig,
    alt="Norm of the gradient against time steps walked back, log axis: a straight line down for gain "
    "0.9, flat for 1, a straight line up for 1.1.",
)

# %% [markdown]
# The net can only remember over a long time if the gain is near 1, and there it stands on a knife's
# edge. Clipping cures one side only: it makes a long gradient shorter. It cannot bring back a
# gradient that has vanished.

# %% [markdown]
# ### The cliff
#
# What does the loss look like where this happens? The smallest RNN there is (Pascanu et al., 2013):
# one unit with weight $w$ and bias $b$, $h_t = w\,\sigma(h_{t-1}) + b$ from $h_0 = 0.5$, where $\sigma$
# is the sigmoid. After 50 steps $\sigma(h_{50})$ should be 0.7; the loss is the squared error.
#
# **Predict first:** gradient descent starts on a gentle slope. What happens at the edge?


# %%
def loss_and_gradient(w, b, steps=50):
    h, dw, db = 0.5 + 0 * w, 0 * w, 0 * b
    for _ in range(steps):
        s = 1 / (1 + np.exp(-h))
        h, dw, db = w * s + b, s + w * s * (1 - s) * dw, 1 + w * s * (1 - s) * db
    s = 1 / (1 + np.exp(-h))
    slope = 2 * (s - 0.7) * s * (1 - s)
    return (s - 0.7) ** 2, slope * dw, slope * db


def descend(w, b, limit, rate=0.1, steps=200):
    path = [(w, b)]
    for _ in range(steps):
        _, dw, db = loss_and_gradient(w, b)
        factor = np.minimum(1, limit / np.hypot(dw, db))
        w, b = w - rate * factor * dw, b - rate * factor * db
        path.append((w, b))
    return np.array(path)


raw, clipped = (descend(5.5, -2.2, limit) for limit in (np.inf, 0.3))

# %%
w, b = np.meshgrid(np.linspace(4.3, 6.3, 300), np.linspace(-3.2, -1.6, 300))
fig, ax = plt.subplots(figsize=(7.5, 4.2))
shades = ax.contourf(w, b, loss_and_gradient(w, b)[0], 25, cmap="Greys")
fig.colorbar(shades, label="loss")
for i, (path, name) in enumerate([(raw, "no clipping"), (clipped, "clipped to norm 0.3")]):
    marked = {"marker": ck.plotting.MARKERS[i], "markersize": 3.5, "linewidth": 1.2}
    ax.plot(*path.T, color=ck.plotting.COLORS[1 - i], **marked, label=name)
ax.set(xlim=(4.3, 6.3), ylim=(-3.2, -1.6), xlabel="weight w", ylabel="bias b",
       title="At the edge, one unclipped step leaves the map")  # fmt: skip
ax.legend(loc="upper right")
ck.show(
    fig,
    alt="Map of the loss over weight and bias with a straight cliff across it. Both paths come down "
    "the same slope to the edge; there the path without clipping flies out of the picture, the "
    "clipped one zigzags down along the edge.",
)
longest = np.abs(np.diff(raw, axis=0)).max()
print(f"longest move of one coordinate in one step: raw {longest:.2f}, "
      f"clipped {np.abs(np.diff(clipped, axis=0)).max():.2f}")  # fmt: skip
print(f"loss at the end: raw {loss_and_gradient(*raw[-1])[0]:.4f}, "
      f"clipped {loss_and_gradient(*clipped[-1])[0]:.4f}")  # fmt: skip

# %% [markdown]
# That start was chosen to meet the cliff soon. Was it an unlucky one? Try 500 starts, drawn evenly
# from the gentle side of the map:

# %%
starts_w, starts_b = draw.uniform(4.5, 6.0, 500), draw.uniform(-2.2, -1.6, 500)
with np.errstate(over="ignore", divide="ignore"):
    far_raw, far_clipped = (descend(starts_w, starts_b, limit)[-1] for limit in (np.inf, 0.3))
    end_raw, end_clipped = (loss_and_gradient(*end)[0] for end in (far_raw, far_clipped))
for name, end in (("no clipping", end_raw), ("clipped", end_clipped)):
    print(f"{name:12s} loss below 0.01 after 200 steps: {np.mean(end < 0.01):5.1%}   "
          f"above 0.08: {np.mean(end > 0.08):5.1%}")  # fmt: skip

# %% tags=["claim"]
assert np.mean(end_clipped < 0.01) > np.mean(end_raw < 0.01), (
    f"more clipped starts should arrive: {np.mean(end_clipped < 0.01):.1%} of clipped, "
    f"{np.mean(end_raw < 0.01):.1%} of raw ones"
)
assert longest > 1, f"expected a jump longer than 1 without clipping, got {longest:.2f}"

# %% [markdown]
# **Verdict:** the gradient is right, and useless: it says how steep the wall is, not how far to go. A
# clipped step keeps its direction and stays in the neighbourhood where the slope was measured.

# %% [markdown]
# ## 3 · A net that does not survive without clipping
#
# The **adding problem** (Hochreiter and Schmidhuber, 1997): at each of 30 time steps the net reads a
# random number from [0, 1] and a mark. Two marks are 1, one in each half of the sequence, all
# others 0. At the end it must give the sum of the two marked numbers. Always answering 1, the mean,
# has an expected squared error of 1/6.

# %%
T, batch_size, guessing = 30, 64, 1 / 6


def adding_problem(draw, n):
    """Return inputs (n, T, 2) and targets (n, 1)."""
    values, marks = draw.uniform(size=(n, T)), np.zeros((n, T))
    marks[np.arange(n), draw.integers(0, T // 2, n)] = 1
    marks[np.arange(n), draw.integers(T // 2, T, n)] = 1
    x, y = np.stack([values, marks], axis=-1), np.sum(values * marks, axis=1, keepdims=True)
    return x.astype("float32"), y.astype("float32")


x, y = adding_problem(np.random.default_rng(1), 1)
for name, row in (("number", x[0, :, 0]), ("mark", x[0, :, 1])):
    print(f"{name:7s}", *(f"{v:4.2f}" if name == "number" else f"{v:4.0f}" for v in row[:14]), "…")
print("target of this sequence:", round(float(y[0, 0]), 2))

# %% [markdown]
# The net is an **IRNN** (Le, Jaitly and Hinton, 2015): 32 ReLU units whose recurrent kernel starts as
# the identity, so that at first the state is kept as it is. With the gain at 1 it is made for long
# memory, and stands right on the edge. Plain SGD with momentum trains it.


# %%
def build(seed):
    keras.utils.set_random_seed(seed)
    rnn = keras.layers.SimpleRNN(32, activation="relu", recurrent_initializer="identity")
    return keras.Sequential([keras.Input((T, 2)), rnn, keras.layers.Dense(1)])


model = build(seed=0)
optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
optimizer.build(model.trainable_variables)


def restart(seed, rate):
    """The weights of `seed`, an optimizer without memory."""
    model.set_weights(build(seed).get_weights())
    for variable in [optimizer.iterations, *optimizer.momentums]:
        variable.assign(keras.ops.zeros_like(variable))
    optimizer.learning_rate = rate


# %% [markdown]
# A training step of your own, with `tf.GradientTape`, shows every part: loss, gradients, clip, update.
# It also returns the norm **before** clipping, which is the number to log, and the cosine between the
# raw and the clipped gradient. The limit is an *argument*, so one compiled step serves every
# threshold, and an infinite limit means no clipping.


# %%
def make_step(clip):
    @tf.function(jit_compile=True)
    def step(x, y, limit):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        clipped = clip(gradients, limit)
        optimizer.apply(clipped)
        norm, short = tf.linalg.global_norm(gradients), tf.linalg.global_norm(clipped)
        products = [tf.reduce_sum(g * c) for g, c in zip(gradients, clipped, strict=True)]
        return loss, norm, tf.add_n(products) / (norm * short)

    return step


def tf_global(gradients, limit):
    factor = tf.minimum(1.0, limit / tf.linalg.global_norm(gradients))
    return [g * factor for g in gradients]


global_step = make_step(tf_global)


def train(limit, seed, *, rate=0.01, step=global_step, steps=n_steps):
    """Return loss, raw norm and cosine of every step, (3, steps); NaN once the loss is not finite."""
    restart(seed, rate)
    draw, log = np.random.default_rng(seed), np.full((3, steps), np.nan)
    for i in range(steps):
        x, y = adding_problem(draw, batch_size)
        log[:, i] = [float(part) for part in step(x, y, np.float32(limit))]
        if not np.isfinite(log[0, i]):
            break
    return log


# %% [markdown]
# Every batch is fresh, so the loss of a batch is the loss on unseen sequences. One thing differs
# between the two groups: the limit, infinite or 1.
#
# **Predict first:** how many steps does the net survive without clipping?


# %%
def hidden_states(n=500):
    """The hidden states of the net as it is now, (T, n, 32), by the formula of section 2."""
    x, _ = adding_problem(np.random.default_rng(0), n)
    w_x, w_h, b = model.layers[0].get_weights()
    h, states = np.zeros((n, 32), "float32"), []
    for t in range(T):
        h = np.maximum(x[:, t] @ w_x + h @ w_h + b, 0)
        states.append(h)
    return np.array(states)


def train_seeds(limit, **settings):
    """Return the logs of all seeds, (n_seeds, 3, n_steps), and each net's share of dead units."""
    runs, dead = [], []
    for seed in range(n_seeds):
        runs.append(train(limit, seed, **settings))
        with np.errstate(all="ignore"):
            dead.append(np.mean(np.all(hidden_states()[-1] == 0, axis=0)))
    return np.array(runs), dead


logs, dead = {}, {}
for limit in (np.inf, 1.0):
    logs[limit], dead[limit] = train_seeds(limit)


# %%
def final_loss(log):
    """Mean loss of the last tenth of the steps, one number per seed."""
    return log[:, 0, -n_steps // 10 :].mean(axis=1)


for limit, log in logs.items():
    print("no clipping" if limit == np.inf else f"global norm at most {limit:g}")
    for seed in range(n_seeds):
        finite = np.isfinite(log[seed, 0])
        lost = f"not finite from step {finite.sum() + 1} on"
        end = f"{final_loss(log)[seed]:.3g}" if finite.all() else lost
        print(f"  seed {seed}: largest loss {log[seed, 0][finite].max():8.3g}, at the end {end}")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
for i, (limit, log) in enumerate(logs.items()):
    name = "no clipping" if limit == np.inf else f"clipped to {limit:g}"
    for part, ax in enumerate((left, right)):
        for seed in range(n_seeds):
            n = np.isfinite(log[seed, 0]).sum()
            kw = {**ck.plotting.line_kw(1 - i), "linewidth": 0.9, "alpha": 0.8}
            values, x = np.minimum(log[seed, part, :n], 1e6), np.arange(1, n + 1)
            ax.loglog(x, values, **kw, label=name if seed == 0 else None)
            if n < n_steps:
                ax.plot(n, values[-1], "X", color=ck.plotting.COLORS[1], markersize=8)
left.axhline(guessing, color="black", linewidth=1, linestyle=":", label="guessing")
left.set(xlabel="step (log scale)", ylabel="loss of the batch (cut at 1e6)",
         title="Only the clipped nets get well below guessing")  # fmt: skip
right.set(xlabel="step (log scale)", ylabel="norm of the raw gradient (cut at 1e6)",
          title="The raw norm, logged before clipping")  # fmt: skip
left.legend(fontsize=8)
ck.show(
    fig,
    alt="Loss and raw gradient norm against the step, one line a seed. Without clipping, lines break "
    "off at a cross or rise to huge values and end no lower than guessing; clipped ones fall below.",
)

# %% tags=["claim"]
raw, clipped = logs[np.inf], logs[1.0]
assert np.isfinite(clipped[:, 0]).all(), "with clipping the loss should stay finite at every step"
assert final_loss(clipped).mean() < 0.8 * guessing, (
    f"clipped nets should beat guessing, {guessing:.3f}, by far; loss {final_loss(clipped).mean():.3f}"
)
for seed in range(n_seeds):
    exploded = not np.all(raw[seed, 0] < 1000 * guessing)  # true for inf and NaN, too
    assert exploded, f"seed {seed} should explode; largest loss {np.nanmax(raw[seed, 0]):.3g}"
    assert not final_loss(raw)[seed] < 0.9 * guessing, (
        f"seed {seed} should not learn without clipping; final loss {final_loss(raw)[seed]:.3f}"
    )
assert np.nanmin(clipped[:, 2]) > 0.999, "the global norm should keep the direction at every step"

# %% [markdown]
# A cross marks a run's last finite loss. Two fates are possible without clipping. Some nets overflow
# within a few steps: the loss is `inf` or `nan`, and every later weight is as well. Others come back
# to a *finite* loss near that of guessing; you will meet them in section 4.
#
# What did the first steps do? Look at the hidden state: at every time step it is multiplied by the same
# kernel, so its length should grow by a steady factor, the **gain** of section 2.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
gains = {}
for ax, limit in zip(axes, (np.inf, 1.0), strict=True):
    for i, steps in enumerate((0, 1, 2)):
        train(limit, seed=0, steps=steps)
        with np.errstate(all="ignore"):
            lengths = np.linalg.norm(hidden_states(), axis=2).mean(axis=1)
            gains[limit, steps] = (lengths[-1] / lengths[4]) ** (1 / (T - 5))
        gain = f"gain {gains[limit, steps]:.3g}" if np.isfinite(lengths).all() else "not finite"
        ax.semilogy(range(1, T + 1), lengths, **ck.plotting.line_kw(i),
                    label=f"after {steps} updates: {gain}")  # fmt: skip
    ax.set(xlabel="time step", title="No clipping" if limit == np.inf else "Clipped to 1")
    ax.legend(fontsize=8)
axes[0].set_ylabel("length of the hidden state")
ck.show(
    fig,
    alt="Mean length of the hidden state against the time step after 0, 1 and 2 updates. Without "
    "clipping the lines of later updates go up steeply or are missing; clipped, they lie together.",
)

# %% tags=["claim"]
wild, tame = (max(gains[limit, i] for i in (1, 2)) for limit in (np.inf, 1.0))
assert not wild < 1.5, f"without clipping the gain should leave 1 in two updates: {wild:.2f}"
assert tame < 1.2, f"with clipping it should stay near its start; it is {tame:.2f}"

# %% [markdown]
# (The gain is the mean factor from time step 5 to 30.) One or two unclipped updates are enough to move it
# far from 1, and the sequence raises it to the 30th power. With clipping it creeps.
#
# ### Would a smaller learning rate do?
#
# A fair question: if steps are too long, take shorter ones. Same nets, no clipping, a tenth and a
# hundredth of the rate:

# %%
rates = {0.01: raw}
for rate in (1e-3, 1e-4):
    rates[rate], _ = train_seeds(np.inf, rate=rate)

# %%
shown = {f"rate {rate:g}, no clipping": log for rate, log in rates.items()}
shown["rate 0.01, clipped to 1"] = clipped
final = {
    name: np.clip(np.nan_to_num(final_loss(log), nan=10), 0, 10) for name, log in shown.items()
}
lowest = min(final, key=lambda name: np.median(final[name]))
fig, ax = plt.subplots(figsize=(7.5, 3))
ck.plotting.strip(ax, final, "loss at the end (log scale; not finite or above 10: drawn at 10)")
ax.axvline(guessing, color="black", linewidth=1, linestyle=":")
ax.set(xscale="log", title=f"Lowest median: {lowest}")
ck.show(
    fig,
    alt="Final loss of every seed for three learning rates without clipping and one with; a dotted "
    f"line marks guessing. The lowest median has: {lowest}.",
)
for name, values in final.items():
    print(f"{name:26s} below 0.9 × guessing: {np.sum(values < 0.9 * guessing)} of {n_seeds} seeds")

# %% tags=["claim"]
assert lowest == "rate 0.01, clipped to 1", f"clipping should end lowest; it is {lowest}"

# %% [markdown]
# The counts say how many nets a smaller rate alone could save in this budget. It makes *every* step
# shorter to survive the bad ones at the start, and goes on crawling afterwards; clipping leaves a
# step that is short enough as it is. A schedule that starts very low (a warm-up,
# [lesson 09](09_learning_rate_schedules.ipynb)) is a third way, and goes well with clipping.

# %% [markdown]
# ### Why not batch normalisation?
#
# [Lesson 04](04_batch_normalisation.ipynb) tames the signals of a deep net with batch normalisation
# (배치 정규화). Why not here? Look at the hidden state at each time step of a fresh net (all units but
# those that are silent from the start):

# %%
states = keras.Sequential(
    [keras.Input((T, 2)), keras.layers.SimpleRNN(32, "relu", recurrent_initializer="identity",
                                                 return_sequences=True)]
)  # fmt: skip
h = states(adding_problem(np.random.default_rng(0), 500)[0]).numpy()
active = h[:, :, h.mean(axis=(0, 1)) > 0.01]
first, last = active[:, 0].mean(), active[:, -1].mean()
fig, ax = plt.subplots(figsize=(7.5, 2.8))
mean, std = active.mean(axis=(0, 2)), active.std(axis=(0, 2))
ax.plot(range(1, T + 1), mean, **ck.plotting.line_kw(0), label="mean")
ax.plot(range(1, T + 1), std, **ck.plotting.line_kw(1), label="standard deviation")
ax.set(xlabel="time step", ylabel="hidden state",
       title=f"From first to last time step the mean grows {last / first:.0f} times")  # fmt: skip
ax.legend()
ck.show(fig, alt="Mean and standard deviation of the hidden state grow with the time step.")

# %% [markdown]
# One layer, and at every time step another distribution: one pair of moving averages cannot describe
# them all, and one pair per time step does not exist for a sequence longer than those seen in training.
# Clipping asks nothing of the net. So it is used mostly for RNNs; and **layer normalisation**, which
# needs no batch, is the normalisation to use there. Large transformers are usually trained with both.

# %% [markdown]
# ## 4 · Choose the threshold from a log
#
# Which limit? First look at what there is to clip: the raw norms of the clipped nets.
#
# **Predict first:** what share of the steps was clipped by the limit of 1: one in a hundred, one in
# ten, or most?

# %%
norms = clipped[:, 1].ravel()
percentiles = {p: np.percentile(norms, p) for p in (10, 50, 90, 99)}
share = np.mean(norms > 1)
fig, ax = plt.subplots(figsize=(7.5, 3.2))
ax.hist(norms, bins=np.geomspace(norms.min(), norms.max(), 60), color=ck.plotting.COLORS[4])
for i, (p, value) in enumerate(percentiles.items()):
    ax.axvline(value, **ck.plotting.line_kw(i), label=f"{p}th percentile: {value:.2g}")
ax.axvline(1, color="black", linewidth=2.5, label="the limit: 1")
ax.set(xscale="log", xlabel="norm of the raw gradient", ylabel="steps",
       title=f"The limit of 1 clipped {share:.0%} of the steps")  # fmt: skip
ax.legend(fontsize=8)
ck.show(
    fig,
    alt="Histogram of the raw gradient norms of all steps on a log axis, with four percentiles and the "
    "limit marked; a long tail reaches to the right.",
)
print(f"median {percentiles[50]:.2g}, mean {norms.mean():.2g}, largest {norms.max():.2g}")

# %% [markdown]
# The tail is long: mean and median lie far apart, because a few spikes make the mean. So use
# percentiles. Now try limits from 0.01 to 100, a hundredth to a hundred times the one we used, and
# compare each with the log.

# %%
limits = [0.01, 0.1, 1.0, 10.0, 100.0]
for limit in limits:
    if limit not in logs:
        logs[limit], dead[limit] = train_seeds(limit)
best = min(limits, key=lambda limit: final_loss(logs[limit]).mean())
print("  limit   median norm   steps clipped   largest loss   final loss   dead units")
for limit in limits:
    log = logs[limit]
    print(f"{limit:7g} {np.median(log[:, 1]):13.2g} {np.mean(log[:, 1] > limit):15.0%} "
          f"{log[:, 0].max():14.3g} {final_loss(log).mean():12.3f} {np.mean(dead[limit]):12.0%}")  # fmt: skip

# %%
fig, ax = plt.subplots(figsize=(7.5, 3.2))
for i, limit in enumerate(limits):
    values = final_loss(logs[limit])
    ax.plot([limit] * n_seeds, values, ck.plotting.MARKERS[0], color=ck.plotting.COLORS[0], alpha=0.6,
            label="one seed" if i == 0 else None)  # fmt: skip
ax.plot(limits, [final_loss(logs[limit]).mean() for limit in limits], **ck.plotting.line_kw(1),
        label="mean")  # fmt: skip
ax.axhline(guessing, color="black", linewidth=1, linestyle=":", label="guessing")
ax.axvspan(percentiles[50], percentiles[90], color=ck.plotting.COLORS[7], alpha=0.2,
           label="50th to 90th percentile of the log")  # fmt: skip
ax.set(xscale="log", xlabel="limit of the global norm", ylabel="loss at the end",
       title=f"Lowest mean loss at a limit of {best:g}; far off on either side, little is learnt")  # fmt: skip
ax.legend(fontsize=8)
ck.show(
    fig,
    alt=f"Final loss against the limit, log axis, every seed and the mean: lowest at {best:g}, near "
    "guessing for limits far smaller or far larger.",
)
low, high = 0.5 * norms.mean(), 10 * norms.mean()
print(f"best limit tried: {best:g}; it clipped {np.mean(logs[best][:, 1] > best):.0%} of its steps")
print(f"median of the log: {percentiles[50]:.2g}; its 99th percentile: {percentiles[99]:.2g}")
print(f"half the mean norm to ten times the mean norm: {low:.2g} to {high:.2g}")

# %% tags=["claim"]
mean_loss = {limit: final_loss(logs[limit]).mean() for limit in limits}
for far in (limits[0], limits[-1]):
    assert mean_loss[1.0] < mean_loss[far], (
        f"a limit of 1 should beat {far:g}: loss {mean_loss[1.0]:.3f} against {mean_loss[far]:.3f}"
    )
assert all(np.isfinite(logs[limit][:, 0]).all() for limit in limits), (
    "with clipping the loss should stay finite at every limit"
)
assert np.mean(dead[100.0]) > np.mean(dead[1.0]), (
    f"a far too large limit should kill more units: {np.mean(dead[100.0]):.0%} are dead, with a "
    f"limit of 1 {np.mean(dead[1.0]):.0%}"
)

# %% [markdown]
# Three things to learn from the table.
#
# - **Too small** a limit: safe and slow. Every step has the same tiny length.
# - **Too large** a limit: the loss stays finite, and yet the first few steps may ruin the net. Its
#   norms are *small* afterwards: calm, because hardly anything moves. The last column says why: a ReLU
#   unit is dead if it ends at 0 for each of 500 sequences, and the jump killed more of them. **A
#   finite loss and small gradients are not yet a healthy net.**
# - **"Clip only the rare spikes"**, a limit near the 99th percentile, is common advice, and so is "half
#   to ten times the mean norm" (Pascanu et al.). Compare both with the best limit and the share of
#   steps it clipped, printed above. Such rules are starting points: a mean is carried by spikes, and
#   none of them knows your learning rate.

# %% [markdown]
# ### Why the rate belongs to it
#
# A clipped step of SGD is at most $\eta c$ long, with $\eta$ the learning rate and $c$ the limit (with
# momentum $\beta$, at most $\eta c / (1 - \beta)$ in the long run). If *every* step is clipped, only
# the product counts.
#
# **Predict first:** rate 0.01 with limit 0.01, and rate 0.1 with limit 0.001: how far apart are the
# weights after 20 steps?

# %%
kept = {}
for rate, limit in ((0.01, 0.01), (0.1, 0.001), (0.1, 0.01)):
    log = train(limit, seed=0, rate=rate, steps=20)
    kept[rate, limit] = np.concatenate([w.ravel() for w in model.get_weights()])
    print(f"rate {rate:g}, limit {limit:g}: {np.mean(log[1] > limit):.0%} of the steps clipped")
same = np.abs(kept[0.01, 0.01] - kept[0.1, 0.001]).max()
other = np.abs(kept[0.01, 0.01] - kept[0.1, 0.01]).max()
print(f"largest difference of weights, same product {same:.2g}, ten times the product {other:.2g}")

# %% tags=["claim"]
assert same < 1e-3 * other, (
    f"same product, same weights: {same:.2g} should be far below {other:.2g}"
)

# %% [markdown]
# **Verdict, a recipe:** (1) log the raw norm of every step in a short run that survives, with a small
# limit or rate; (2) start near the median of that log; (3) try limits from a tenth of that to three
# times as large, with your own learning rate and more than one seed; (4) keep logging, and watch the
# share of clipped steps.

# %% [markdown]
# ## 5 · Which way of clipping?
#
# To compare fairly, give all three the same **longest possible step**, 1. Five variables, each of
# norm at most $c$, together reach $c\sqrt5$; $N$ components, each at most $c$, reach $c\sqrt N$. So
# the limits are $1/\sqrt5$ by norm and $1/\sqrt N$ by value. (That is one meaning of fair; each way
# could be given the best of many limits in place of it.)


# %%
def tf_by_norm(gradients, limit):
    return [g * tf.minimum(1.0, limit / tf.norm(g)) for g in gradients]


def tf_by_value(gradients, limit):
    return [tf.clip_by_value(g, -limit, limit) for g in gradients]


race = {"global norm": clipped}
N = model.count_params()
for way, clip, limit in (("norm", tf_by_norm, 5**-0.5), ("value", tf_by_value, N**-0.5)):
    step = make_step(clip)
    race[way], _ = train_seeds(limit, step=step)

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3))
final = {f"by {way}": np.nan_to_num(final_loss(log), nan=1e6) for way, log in race.items()}
ck.plotting.strip(left, final, "loss at the end (log scale)")
left.axvline(guessing, color="black", linewidth=1, linestyle=":")
left.set(xscale="log", title=f"Final loss, {n_seeds} seeds; dotted: guessing")
middle = {f"by {way}": np.nanmedian(log[:, 2], axis=1) for way, log in race.items()}
ck.plotting.strip(right, middle, "cosine between raw and clipped gradient")
right.set_title("Median cosine of each run")
ck.show(
    fig,
    alt="Left: final losses of every seed for clipping by global norm, by norm and by value. Right: the "
    "median cosine between raw and clipped gradient; 1 for the global norm, lower for the others.",
)
for way in race:
    values = final[f"by {way}"]
    print(f"by {way:12s} final loss {values.mean():.3f} ± {values.std(ddof=1):.3f}   "
          f"median cosine {np.median(middle[f'by {way}']):.3f}")  # fmt: skip

# %% tags=["claim"]
typical = {way: np.median(middle[f"by {way}"]) for way in race}
assert typical["global norm"] > 0.9999, (
    f"global norm: expected cosine 1, got {typical['global norm']}"
)
assert typical["value"] < 0.99, f"by value should turn the gradient; cosine {typical['value']:.3f}"
assert typical["norm"] < 0.9999, (
    f"per variable should turn it a little; cosine {typical['norm']:.4f}"
)
for way, log in race.items():
    assert np.isfinite(log[:, 0]).all(), f"clipping by {way}: the loss should stay finite"

# %% [markdown]
# All three keep the loss finite. What the pictures add: the direction is kept by the global norm
# alone. Whether a turned direction costs anything is a question for the dots, not for the theory: look
# at the spread before you rank them, and mind that one bad run can make a mean. By value every
# component moves at nearly the same speed once all are cut, which is not always a drawback.

# %% [markdown]
# ## 6 · With Adam too
#
# Adam divides each step by a running average of past gradients' size
# ([lesson 08](08_optimizers.ipynb)). So a large gradient makes no large step, and clipping seems
# needless. But Adam *remembers*. In this stream all gradients are 1, with a single spike of 1,000 at
# step 50.
#
# **Predict first:** how long are Adam's steps after the spike?

# %%
gradients = np.ones(400)
gradients[50] = 1000
moves = {}
for name, limit in (("no clipping", np.inf), ("clipped to 2", 2.0)):
    adam, params = ck.scratch.optimizers.Adam(learning_rate=0.001), {"w": np.zeros(1)}
    positions = [0.0]
    for gradient in gradients:
        adam.update(params, {"w": np.array([min(gradient, limit)])})
        positions.append(params["w"][0])
    moves[name] = -np.diff(positions)

fig, ax = plt.subplots(figsize=(7.5, 3))
for i, (name, steps) in enumerate(moves.items()):
    ax.plot(steps / 0.001, **ck.plotting.line_kw(1 - i), label=name)
ax.set(xlabel="step", ylabel="length / learning rate",
       title="One spike, and Adam nearly stands still for hundreds of steps")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Length of Adam's steps. Both at 1 until step 50; without clipping it falls close to 0 and stays "
    "there until the end; clipped, it stays near 1.",
)

# %% tags=["claim"]
after = {name: steps[150:].mean() / 0.001 for name, steps in moves.items()}
assert after["no clipping"] < 0.2, f"after the spike Adam should crawl; {after['no clipping']:.2f}"
assert after["clipped to 2"] > 0.8, f"clipped, it should go on; {after['clipped to 2']:.2f}"

# %% [markdown]
# The spike's square goes into Adam's second moment and stays there for about
# $1/(1-\beta_2) = 1{,}000$ steps. Clipping keeps it out. But with Adam the limit does *not* bound the
# length of a step: multiply all gradients by one constant and the steps stay the same.

# %% [markdown]
# ## 7 · Four traps
#
# ### One option at a time
#
# You might want `clipnorm` *and* `clipvalue`. **Predict first:** which comes first?

# %%
try:
    keras.optimizers.SGD(0.01, clipnorm=1.0, clipvalue=0.5)
    refusal = ""
except ValueError as error:
    refusal = str(error)
print(refusal)

# %% tags=["claim"]
assert refusal, "two clip options at once should raise a ValueError"

# %% [markdown]
# ### Silent: `clipnorm` set on a compiled model
#
# You see spikes in the log and tighten the limit between two calls of `fit`. It reads back as set.
# **Predict first:** how far apart are the weights of a net whose limit you tightened a
# thousandfold, and of one that you left alone?

# %%
x, y = adding_problem(np.random.default_rng(0), 256)


def final_weights(limit_later, compile_again=False):
    net = build(seed=1)
    net.compile(keras.optimizers.SGD(0.01, clipnorm=1.0), loss="mse")
    net.fit(x, y, batch_size=64, shuffle=False, verbose=0)
    net.optimizer.clipnorm = limit_later
    if compile_again:
        net.compile(keras.optimizers.SGD(0.01, clipnorm=limit_later), loss="mse")
    net.fit(x, y, batch_size=64, shuffle=False, verbose=0)
    return np.concatenate([w.ravel() for w in net.get_weights()])


alone, tightened, again = final_weights(1.0), final_weights(0.001), final_weights(0.001, True)
print("largest difference, limit set on the optimizer:", np.abs(alone - tightened).max())
print("largest difference, compiled again:            ", np.abs(alone - again).max())

# %% tags=["claim"]
assert np.array_equal(alone, tightened), "a limit set after the first fit should have no effect"
assert np.abs(alone - again).max() > 1e-4, "compiled again, the new limit should change the weights"

# %% [markdown]
# Bit for bit the same: the first `fit` traced the update into a graph, with the limit as a constant.
# Compile again with a *new* optimizer (its momentum starts from zero), or pass the limit to a step of
# your own, as in section 3.
#
# ### Clipping does not repair NaN
#
# What is left of a gradient that holds one NaN? By value, the NaN itself. By norm, the norm is NaN, and
# with it every component that is multiplied by it:

# %%
broken = [np.array([1.0, np.nan]), np.array([2.0, 3.0])]
repaired = {option: used_by_keras(broken, **{option: 1.0}) for option in options.values()}
for option, parts in repaired.items():
    print(f"{option:16s}", *parts)

# %% tags=["claim"]
assert all(np.isnan(parts[0]).any() for parts in repaired.values()), "a NaN should stay a NaN"
assert np.isnan(repaired["global_clipnorm"][1]).all(), "the global norm should spread it everywhere"

# %% [markdown]
# The global norm even spreads it to healthy variables. So test the norm you log anyway: if it is not
# finite, skip the update.
#
# ### Logging the norm after clipping
#
# It never exceeds the limit, so it can never warn you. Log the norm *before*.

# %% [markdown]
# ## Explore: the three clippers
#
# Two components and the limit. Where do both ways agree? When do they do nothing? How must you set the
# components so that clipping by value turns the arrow most?


# %%
def draw_clipping(first, second, limit):
    g, reach = np.array([first, second]), 5.5
    fig, ax = plt.subplots(figsize=(5.2, 5))
    ax.add_patch(plt.Rectangle((-limit, -limit), 2 * limit, 2 * limit, fill=False,
                               edgecolor=ck.plotting.COLORS[0], linestyle="--"))  # fmt: skip
    ax.add_patch(plt.Circle((0, 0), limit, fill=False, edgecolor=ck.plotting.COLORS[1]))
    arrows = [("raw", g, 7, 0.006)]
    if np.any(g):
        arrows += [("by value", clip_by_value([g], limit)[0], 0, 0.014),
                   ("by norm", clip_by_norm([g], limit)[0], 1, 0.009)]  # fmt: skip
    for name, tip, color, width in arrows:
        angle = cosine([g], [tip]) if np.any(g) else 1.0
        label = f"{name}: ({tip[0]:.2f}, {tip[1]:.2f}), cosine {angle:.3f}"
        ax.quiver(0, 0, *tip, color=ck.plotting.COLORS[color], width=width, angles="xy",
                  scale_units="xy", scale=1, label=label)  # fmt: skip
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="first component",
           ylabel="second component", title=f"Limit {limit:.2f}: square by value, circle by norm")  # fmt: skip
    ax.legend(loc="lower left", fontsize=8)
    return fig


ck.widgets.explore(
    draw_clipping,
    alt="A gradient as an arrow, with the arrows it becomes when clipped by value and by norm.",
    first=(-5.0, 5.0, 1.5),
    second=(-5.0, 5.0, 4.0),
    limit=(0.1, 5.0, 2.0),
)

# %% [markdown]
# ## Pitfalls
#
# - **Clipping in place of looking.** Gradients that explode at every step point to a wrong
#   initialisation ([lesson 02](02_weight_initialisation.ipynb)), a too high rate, or a bug. Clip what
#   is rare or inherent.
# - **The same number in `clipnorm` and `global_clipnorm`.** Per variable it is looser: with $k$ variables
#   the whole may be $\sqrt k$ times as long.
# - **Clipping twice**: in your own step, and again in `optimizer.apply` because the optimizer was made
#   with a clip option.
# - **Clipping sums.** If you add up gradients over several batches, or scale the loss for
#   half precision, undo the scale first, then clip.
# - **A new learning rate, the old limit.** They act together: choose both again.

# %% [markdown]
# ## Recap
#
# - A recurrent net multiplies by the same matrix at every time step, so gradients explode or vanish.
# - By value turns the gradient; by norm keeps its direction in each variable; by global norm as a whole.
# - Clipping made a net learn that did not survive without it; it cannot bring back vanished gradients.
# - Log raw norms, start near their median, and try smaller and larger limits with your own rate.
# - One option at a time; set before compiling; NaN stays NaN.

# %% [markdown]
# ## Now practise
#
# Open [exercise 05](../exercises/05_gradient_clipping.ipynb): write the three clippers, measure the
# angle, choose a threshold from a log, and write a training step that clips and logs.
#
# Then go on with lesson
# [06 Transfer learning](06_transfer_learning.ipynb).

# %% [markdown]
# ## Further reading
#
# - R. Pascanu, T. Mikolov and Y. Bengio, *On the Difficulty of Training Recurrent Neural Networks*, ICML
#   2013, arXiv:1211.5063: section 2, why gradients explode, and the cliff; section 3.2, clipping.
# - Q. V. Le, N. Jaitly and G. E. Hinton, *A Simple Way to Initialize Recurrent Networks of Rectified
#   Linear Units*, 2015, arXiv:1504.00941: the IRNN and the adding problem.
# - S. Hochreiter and J. Schmidhuber, *Long Short-Term Memory*, Neural Computation 9(8), 1997: section 5,
#   the adding problem.
# - J. Zhang, T. He, S. Sra and A. Jadbabaie, *Why Gradient Clipping Accelerates Training: A Theoretical
#   Justification for Adaptivity*, ICLR 2020, arXiv:1905.11881.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "Gradient Clipping".
