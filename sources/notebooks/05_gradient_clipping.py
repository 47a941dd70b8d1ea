# %% [markdown]
# # 05 Gradient clipping
#
# One bad gradient can undo a thousand good steps. The cure is one line: shorten it before you use it.
#
# ## What you will be able to do
#
# After about {{ minutes.reading }} minutes of reading, or {{ minutes.with_code }} minutes with the
# code, you will be able to
#
# - clip gradients (gradient clipping, 그레이디언트 클리핑) by value, by norm and by global norm, and
#   say which of them keeps the direction;
# - explain why a recurrent net meets exploding gradients (그레이디언트 폭주), and see the cliff;
# - train a net that does not survive without clipping;
# - derive how long a step may be, and choose the limit from a log of gradient norms;
# - avoid three traps, one of them silent.
#
# You need [lesson 01](01_vanishing_gradients.ipynb): how an error travels back through layers. The data
# of this lesson are made by a formula.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import numpy as np

n_steps, n_seeds = lab.pick(quick=(500, 4), standard=(1_000, 6), full=(3_000, 12))
seeds = 1_000 * lab.seed + np.arange(n_seeds)  # of the runs that are shown
others = 1_000 * lab.seed + 500 + np.arange(3)  # of the runs that choose a rate or a limit

# %% [markdown]
# ## 1 · Three ways to shorten a gradient
#
# A gradient has two components, $g = (0.9,\ 100)$. You want it no longer than the **limit** $c = 1$
# (often called the threshold).
#
# | way | formula | option in Keras |
# |---|---|---|
# | by value | every component is cut to $[-c, c]$ | `clipvalue` |
# | by norm | $g \cdot \min(1,\ c / \lVert g \rVert)$, for each variable by itself | `clipnorm` |
# | by global norm | the same with one norm $\sqrt{\sum_k \lVert g_k \rVert^2}$ over all variables $g_k$ | `global_clipnorm` |
#
# Here $\lVert g \rVert$ is the ℓ2 norm, the length of the arrow; a **variable** is one array of
# parameters, such as the kernel of a layer.
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


def cosine(gradients, others):  # of the angle between them, all variables joined to one long arrow
    a, b = (np.concatenate([np.ravel(g) for g in both]) for both in (gradients, others))
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


g = np.array([0.9, 100.0])
ways = {"value": clip_by_value, "norm": clip_by_norm, "global norm": clip_by_global_norm}
for way, clip in ways.items():
    clipped = clip([g], 1.0)
    print(f"by {way:12s} {np.round(clipped[0], 8)}   cosine with g {cosine([g], clipped):.6f}")

# %% tags=["plot"]
import matplotlib.pyplot as plt

# in all pictures each of these has one look
for name in ("clipped", "no clipping", "value", "norm", "global norm", "one step not clipped",
             "guessing"):  # fmt: skip
    ck.plotting.look_of(name)

fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.8), width_ratios=[1, 3])
arrow = {"angles": "xy", "scale_units": "xy", "scale": 1}
left.quiver(0, 0, *g, color=ck.plotting.COLORS[7], width=0.03, **arrow)
left.set(xlim=(-40, 40), ylim=(0, 105), title="The raw gradient",
         xlabel="first component", ylabel="second component")  # fmt: skip
angle = np.linspace(0, np.pi, 100)
right.plot(
    np.cos(angle), np.sin(angle), **ck.plotting.look_of("norm", marker=False), label="norm = 1"
)
right.plot([-1, -1, 1, 1], [0, 1, 1, 0], **ck.plotting.look_of("value", marker=False),
           label="largest component = 1")  # fmt: skip
right.plot(*np.outer(g, [0, 0.0125]), color=ck.plotting.COLORS[7], label="direction of the raw one")
for way in ("value", "norm"):
    tip, color = ways[way]([g], 1.0)[0], ck.plotting.color_of(way)
    right.quiver(0, 0, *tip, color=color, width=0.011, **arrow, zorder=3)
    right.text(tip[0] + 0.05, tip[1] + 0.04, f"by {way}", color=color)
right.set(xlim=(-1.2, 1.5), ylim=(0, 1.3), aspect="equal", xlabel="first component",
          title="By value turns the arrow, by norm only shortens it")  # fmt: skip
fig.legend(*right.get_legend_handles_labels(), loc="outside right center", fontsize=8)
ck.show(
    fig,
    alt="Left: the raw gradient, an arrow almost straight up to 100. Right, near the origin: clipped "
    "by value the arrow goes to the corner of a square, far from the raw direction; clipped by "
    "norm it ends on the unit circle in the raw direction.",
)

# %% [markdown]
# By **value** the small component gets through and the large one is cut: two components that
# differed a hundredfold are now nearly alike. By **norm** both are divided by the same number: the
# direction stays, and the small component nearly vanishes. Neither makes a short gradient longer.
#
# ### Explore: the square and the circle
#
# Two components and the limit. When do both ways do nothing? Where does clipping by value turn the
# arrow most?


# %% tags=["helper"]
def draw_clipping(first, second, limit):
    g, reach = np.array([first, second]), 5.5
    by_value, by_norm = map(ck.plotting.color_of, ("value", "norm"))
    fig, ax = plt.subplots(figsize=(7, 4.4))
    ax.add_patch(plt.Rectangle((-limit, -limit), 2 * limit, 2 * limit, fill=False,
                               edgecolor=by_value))  # fmt: skip
    ax.add_patch(plt.Circle((0, 0), limit, fill=False, linestyle="--", edgecolor=by_norm))
    arrows = [("raw", g, ck.plotting.COLORS[7], 0.006)]
    if np.any(g):
        arrows += [("by value", ck.scratch.clipping.clip_by_value(g, limit), by_value, 0.014),
                   ("by norm", ck.scratch.clipping.clip_by_norm(g, limit), by_norm, 0.009)]  # fmt: skip
    for name, tip, color, width in arrows:
        angle = cosine([g], [tip]) if np.any(g) else 1.0
        label = f"{name}: ({tip[0]:.2f}, {tip[1]:.2f})\ncosine {angle:.3f}"
        ax.quiver(0, 0, *tip, color=color, width=width, angles="xy", scale_units="xy", scale=1,
                  label=label)  # fmt: skip
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="first component",
           ylabel="second component", title=f"Limit {limit:.2f}: square by value, circle by norm")  # fmt: skip
    fig.legend(*ax.get_legend_handles_labels(), loc="outside right center")
    return fig


ck.widgets.explore(
    draw_clipping,
    alt="A gradient as an arrow, with the arrows it becomes when clipped by value, to a square, and by "
    "norm, to a circle.",
    first=(-5.0, 5.0, 1.0),
    second=(-5.0, 5.0, 4.0),
    limit=(0.1, 10.0, 1.5, "log"),
)

# %% [markdown]
# ### Many variables: one norm each, or one for all?
#
# A net has many variables. `clipnorm` looks at each alone; `global_clipnorm` treats them as one long
# arrow. Take three variables whose gradients have the norms 10, 1 and 0.1.
#
# **Predict first:** with $c = 1$, which norms are left in each case? Is the cosine between the whole
# raw and the whole clipped gradient still 1?

# %%
draw = np.random.default_rng(lab.seed)
three = [draw.normal(size=(20, 10)) for _ in range(3)]
three = [part / np.linalg.norm(part) * norm for part, norm in zip(three, (10, 1, 0.1), strict=True)]
cosines = {}
for way, clip in ways.items():
    clipped = clip(three, 1.0)
    cosines[way] = cosine(three, clipped)
    left = "  ".join(f"{np.linalg.norm(part):6.4f}" for part in clipped)
    print(f"by {way:12s} norms {left}   cosine with the raw {cosines[way]:.4f}")


# %% tags=["claim"]
def used_by_keras(gradients, **option):
    """The gradients that Keras really applies: one step with learning rate 1, taken from zero."""
    variables = [keras.Variable(np.zeros(np.shape(g), "float32")) for g in gradients]
    optimizer = keras.optimizers.SGD(learning_rate=1.0, **option)
    optimizer.build(variables)
    optimizer.apply([keras.ops.convert_to_tensor(g, "float32") for g in gradients], variables)
    return [-v.numpy() for v in variables]


options = {"value": "clipvalue", "norm": "clipnorm", "global norm": "global_clipnorm"}
by_hand = {"value": [0.9, 1.0], "norm": [0.00899964, 0.9999595]}
by_hand["global norm"] = by_hand["norm"]  # a single variable: the two norms are the same
for way, expected in by_hand.items():
    mine, theirs = ways[way]([g], 1.0)[0], used_by_keras([g], **{options[way]: 1.0})[0]
    off = max(np.abs(mine - expected).max(), np.abs(theirs - expected).max())
    ck.prove(f"By {way}, [0.9, 100] becomes {expected}, by the formula and in Keras", off < 1e-6,
             f"at most {off:.0e} off")  # fmt: skip
turned, kept = (cosine([g], ways[way]([g], 1.0)) for way in ("value", "norm"))
ck.prove("By value turns the arrow, by norm keeps its direction",
         turned < 0.99 and abs(kept - 1) < 1e-9, f"cosines {turned:.3f} and {kept:.9f}")  # fmt: skip
ck.prove("Only the global norm keeps the direction of the whole", abs(cosines["global norm"] - 1) < 1e-9
         and max(cosines["norm"], cosines["value"]) < 0.999,
         ", ".join(f"by {way} {value:.4f}" for way, value in cosines.items()))  # fmt: skip
left_of = {
    way: np.linalg.norm([np.linalg.norm(part) for part in clip(three, 1.0)])
    for way, clip in ways.items()
}
packaged, off = ck.scratch.clipping, 0.0
for limit in (0.05, 1.0, 50.0):
    named = packaged.clip_by_global_norm({str(i): part for i, part in enumerate(three)}, limit)
    of_package = {"value": [packaged.clip_by_value(part, limit) for part in three],
                  "norm": [packaged.clip_by_norm(part, limit) for part in three],
                  "global norm": list(named.values())}  # fmt: skip
    for way, option in options.items():
        mine = ways[way](three, limit)
        for theirs in (used_by_keras(three, **{option: limit}), of_package[way]):
            off = max(off, *(np.abs(a - b).max() for a, b in zip(mine, theirs, strict=True)))
ck.prove("Keras and ck.scratch do what the three formulas say, for limits that cut much, little and nothing",
         off < 1e-6, f"at most {off:.0e} apart")  # fmt: skip

# %% [markdown]
# **Cut to the limit 1, the whole gradient has a cosine of {{ cosines["global norm"]:.3f }} with the raw one by
# global norm, {{ cosines["value"]:.3f }} by value and {{ cosines["norm"]:.3f }} by norm.** (Do not rank the last two by
# these: at the same limit by value leaves a norm of {{ left_of["value"]:.1f }}, by norm {{ left_of["norm"]:.1f }}.)
# `clipnorm` keeps the direction within each variable and changes the proportions between them: the first
# variable, ten times as strong as the second, is cut to the same length. Only the global norm shortens the step
# and changes nothing else, which is why it is the usual choice. Keras does what the formulas say (the folded cell above
# takes one step with each option and reads back the gradient that was used).

# %% [markdown]
# ## 2 · Where such gradients come from: one matrix, again and again
#
# A recurrent net (RNN) reads a sequence and keeps a **hidden state** $h_t$. At every time step $t$ it is
# computed from the input $x_t$ and the last state, with the same weights each time:
# $h_t = f(x_t W_x + h_{t-1} W_h + b)$.
#
# ![A recurrent net, unrolled: states h0, h1, h2, h3 up to hT in a row, each arrow from one to the next goes through the same matrix Wh; inputs x1 to xT come in from below through the same matrix Wx; the loss hangs on the last state. Below, the error comes back from the loss through the transposed Wh at each step, each arrow thicker than the one before.](../figures/unrolled_rnn.svg)
#
# Drawn like this, it is a deep net with as many layers as there are time steps, and all of them share
# *one* matrix. Backpropagation walks the row from right to left and multiplies the error by
# $W_h^\top$ at every step.
#
# **Predict first:** $W_h$ is a rotation times a **gain** of 0.9, 1 or 1.1, and there is no activation. By
# what factor does the error grow or shrink over 100 time steps?

# %%
rotation = np.linalg.qr(draw.normal(size=(32, 32)))[0]
walked = {}
for gain in (0.9, 1.0, 1.1):
    error = rotation[0]  # any error of length 1
    walked[f"gain {gain}"] = [1.0]
    for _ in range(100):
        error = error @ (gain * rotation).T
        walked[f"gain {gain}"].append(np.linalg.norm(error))
ck.show(ck.plotting.lines(
    walked, np.arange(101), log="y", title="Ten per cent more or less, a hundred times over",
    xlabel="time steps walked back", ylabel="length of the error"))  # fmt: skip

# %% [markdown]
# At a gain of 1.1 the error grows to {{ walked["gain 1.1"][-1]:,.0f }} times its length, at 0.9 to
# {{ walked["gain 0.9"][-1]:.5f }}. A net that is to remember for long needs a gain near 1, and there it
# stands on a knife's edge. **Clipping cures one side only**: it shortens what has grown; what has
# vanished it cannot bring back.
#
# ### The cliff
#
# What does the loss look like there? The smallest RNN there is (Pascanu, Mikolov and Bengio, 2013): one
# unit with weight $w$ and bias $b$, $h_t = w\,\sigma(h_{t-1}) + b$ from $h_0 = 0.5$, where $\sigma$ is
# the sigmoid. After 50 steps $\sigma(h_{50})$ should be 0.7; the loss is the squared error.
#
# **Predict first:** gradient descent starts on a gentle slope. What happens at the edge?


# %% tags=["plot"]
np.seterr(all="ignore")  # numbers that overflow are a result in this lesson, no accident


def loss_and_slope(w, b, steps=50):
    h, dw, db = 0.5 + 0 * w, 0 * w, 0 * b
    for _ in range(steps):
        s = 1 / (1 + np.exp(-h))
        h, dw, db = w * s + b, s + w * s * (1 - s) * dw, 1 + w * s * (1 - s) * db
    s = 1 / (1 + np.exp(-h))
    outer = 2 * (s - 0.7) * s * (1 - s)
    return (s - 0.7) ** 2, outer * dw, outer * db


def descend(w, b, limit, rate=0.1, steps=200):
    path = [(w, b)]
    for _ in range(steps):
        _, dw, db = loss_and_slope(w, b)
        factor = np.minimum(1, limit / np.hypot(dw, db))
        w, b = w - rate * factor * dw, b - rate * factor * db
        path.append((w, b))
    return np.array(path)


paths = {"clipped": descend(5.5, -2.2, 0.3), "no clipping": descend(5.5, -2.2, np.inf)}
w, b = np.meshgrid(np.linspace(4.3, 6.3, 300), np.linspace(-3.2, -1.6, 300))
fig, ax = plt.subplots(figsize=(8.5, 4))
fig.colorbar(ax.contourf(w, b, loss_and_slope(w, b)[0], 25, cmap="Greys"), label="loss")
for name, path in paths.items():  # the raw path lies on top
    ax.plot(*path.T, **ck.plotting.look_of(name, marker=False), linewidth=1.2, label=name)
ax.set(xlim=(4.3, 6.3), ylim=(-3.2, -1.6), xlabel="weight w", ylabel="bias b",
       title="At the edge, one unclipped step leaves the map")  # fmt: skip
fig.legend(*ax.get_legend_handles_labels(), loc="outside upper right", ncols=2)
ck.show(fig, alt="Map of the loss over weight and bias with a straight cliff across it. Both paths come "
        "down the same slope to the edge; there the path without clipping flies out of the picture, the "
        "clipped one zigzags along the edge.")  # fmt: skip

# %% tags=["claim"]
starts = draw.uniform(4.5, 6.0, 500), draw.uniform(-2.2, -1.6, 500)
low = {}  # where the loss is below 0.01, (steps, starts)
for name, limit in {"no clipping": np.inf, "clipped": 0.3}.items():
    low[name] = loss_and_slope(*descend(*starts, limit).swapaxes(0, 1))[0] < 0.01
ever, stayed = ({name: np.mean(of(each)) for name, each in low.items()} for of in
                (lambda each: each.any(axis=0), lambda each: each[-20:].all(axis=0)))  # fmt: skip
longest = {
    name: np.linalg.norm(np.diff(path, axis=0), axis=1).max() for name, path in paths.items()
}
ck.prove("A gain of 0.9, 1 or 1.1 multiplies the error by its hundredth power",
         all(np.isclose(error[-1], float(name[5:]) ** 100, rtol=1e-6) for name, error in walked.items()),
         ", ".join(f"{error[-1]:.3g}" for error in walked.values()))  # fmt: skip
ck.prove("Of 500 starts more stay below a loss of 0.01 for the last 20 steps with clipping",
         stayed["clipped"] > stayed["no clipping"] + 0.04,
         f"{stayed['clipped']:.0%} against {stayed['no clipping']:.0%}")  # fmt: skip
ck.prove("At the cliff one raw step is longer than 1, a clipped one at most 0.03",
         longest["no clipping"] > 1 and longest["clipped"] <= 0.0301,
         f"{longest['no clipping']:.2f} and {longest['clipped']:.2f}")  # fmt: skip

# %% [markdown]
# **The raw path jumps {{ longest["no clipping"]:.0f }} units in one step; the clipped one never moves more
# than {{ longest["clipped"]:.2f }}.** Was it an unlucky start? Of 500 starts, drawn evenly from the gentle side of
# the map, {{ stayed["clipped"]:.0% }} stay below a loss of 0.01 for the last 20 of 200 steps with clipping (to the norm
# 0.3, at the rate 0.1) and {{ stayed["no clipping"]:.0% }} without. {{ ever["clipped"]:.0% }} and
# {{ ever["no clipping"]:.0% }} get there at some time: then raw paths fly off, and clipped ones go on hopping across
# the edge, as they must at a fixed rate. At the cliff the gradient is right, and useless: it says how
# steep the wall is, not how far to go. A clipped step has the same direction and stays in the neighbourhood
# where the slope was measured.

# %% [markdown]
# ## 3 · A net that does not survive its first steps
#
# The **adding problem** (Hochreiter and Schmidhuber, 1997): at each of 20 time steps the net reads a
# random number from [0, 1] and a mark. Two marks are 1, one in each half of the sequence, all
# others 0. At the end it must give the sum of the two marked numbers. Always answering 1, the mean,
# has an expected squared error of 1/6: call that **guessing**.
#
# The net is an **IRNN** (Le, Jaitly and Hinton, 2015): ReLU units whose matrix $W_h$ starts as the
# identity. Its gain is 1: it is made for long memory, and stands right on the edge. (Ours has 16 units
# and draws $W_x$ as Keras does, Glorot uniform; the paper draws all but $W_h$ from a normal distribution
# with standard deviation 0.001, which makes the first steps tamer.)
#
# It is so small that NumPy trains many of them side by side: axis 0 of every array is the net.

# %%
T, units, batch_size, guessing = 20, 16, 32, 1 / 6


def adding_problem(draw, n):
    """Return inputs, shape (n, T, 2), and the sums of the two marked numbers, shape (n, 1)."""
    values, marks = draw.uniform(size=(n, T)), np.zeros((n, T))
    marks[np.arange(n), draw.integers(0, T // 2, n)] = 1
    marks[np.arange(n), draw.integers(T // 2, T, n)] = 1
    x, y = np.stack([values, marks], axis=-1), np.sum(values * marks, axis=1, keepdims=True)
    return x.astype("float32"), y.astype("float32")


def forward(theta, x):  # x of shape (nets, batch, T, 2); returns all hidden states and the output
    W_x, W_h, b, W_out, b_out = theta
    h = [np.zeros((*x.shape[:2], units), x.dtype)]
    for t in range(T):
        h.append(np.maximum(x[:, :, t] @ W_x + h[-1] @ W_h + b, 0))
    return h, h[-1] @ W_out + b_out


# %%
def loss_and_gradients(theta, x, y):
    """Backpropagation through time; `.mT` is a matrix transposed."""
    W_h, W_out = theta[1], theta[3]
    h, output = forward(theta, x)
    delta = 2 * (output - y) / y.shape[1]
    g_out, g_b_out = h[-1].mT @ delta, delta.sum(axis=1, keepdims=True)
    error, g_x, g_h, g_b = delta @ W_out.mT, 0, 0, 0
    for t in reversed(range(T)):
        delta = error * (h[t + 1] > 0)
        g_x += x[:, :, t].mT @ delta
        g_h += h[t].mT @ delta
        g_b += delta.sum(axis=1, keepdims=True)
        error = delta @ W_h.mT  # the same matrix, again and again
    return np.mean((output - y) ** 2, axis=(1, 2)), [g_x, g_h, g_b, g_out, g_b_out]


# %% [markdown]
# A step of training: loss, gradients, clip, update. The norm that is logged is the one **before**
# clipping, and an infinite limit means no clipping. Plain SGD with momentum 0.9; every batch is fresh, so
# the loss of a batch is the loss on unseen sequences. (`Nets`, folded away, holds the starting weights, the
# batches and the momentum.)
#
# **Predict first:** two groups with the same starts and batches, learning rate 0.01, one without clipping
# and one clipped to 1. How many steps does a net survive without clipping? And the hidden state: at each
# time step, does it grow by a steady amount, or by a steady factor?


# %%
def norm(gradients):
    return np.sqrt(sum(np.sum(g**2, axis=(1, 2)) for g in gradients))


def by_global_norm(gradients, limit):
    factor = np.minimum(1, limit / norm(gradients))
    return [g * factor[:, None, None] for g in gradients]


def train(nets, rate, limit, steps, clip=by_global_norm, spoil=lambda x, y: None):
    rate, limit = (np.full(len(nets), each, "float32") for each in (rate, limit))
    log = np.empty((2, steps, len(nets)))  # losses and raw norms
    for step in range(steps):
        x, y = nets.batch()
        spoil(x, y)
        loss, gradients = loss_and_gradients(nets.theta, x, y)
        log[:, step] = loss, norm(gradients)
        nets.update(clip(gradients, limit), rate)
    return log


# %% tags=["helper"]
class Nets:
    """Nets that are trained side by side; those with the same seed start alike and see the same data."""

    def __init__(self, seeds):
        firsts, self.of = np.unique(seeds, return_inverse=True)
        self.draws = [np.random.default_rng(seed) for seed in firsts]
        arrays = zip(*map(self.start, self.draws), strict=True)
        self.theta = [np.stack(each).astype("float32")[self.of] for each in arrays]
        self.velocity = [np.zeros_like(p) for p in self.theta]

    def __len__(self):
        return len(self.of)

    @staticmethod
    def start(draw):
        a, b = np.sqrt(6 / (2 + units)), np.sqrt(6 / (units + 1))  # Glorot uniform
        return (draw.uniform(-a, a, (2, units)), np.eye(units), np.zeros((1, units)),
                draw.uniform(-b, b, (units, 1)), np.zeros((1, 1)))  # fmt: skip

    def batch(self):
        parts = zip(*(adding_problem(draw, batch_size) for draw in self.draws), strict=True)
        return [np.stack(part)[self.of] for part in parts]

    def update(self, gradients, rate):
        for p, m, g in zip(self.theta, self.velocity, gradients, strict=True):
            m *= 0.9
            m -= rate[:, None, None] * g
            p += m


# %% tags=["helper"]
def by_norm(gradients, limit):
    return [by_global_norm([g], limit)[0] for g in gradients]


def by_value(gradients, limit):
    return [np.clip(g, -limit[:, None, None], limit[:, None, None]) for g in gradients]


def race(rates, limits, seeds, clip=by_global_norm):
    """Train with every rate and limit from every seed: (2, n_steps, rates, limits, seeds)."""
    grid = [each.ravel() for each in np.meshgrid(rates, limits, seeds, indexing="ij")]
    logs = []
    for part in np.array_split(np.arange(grid[0].size), -(-grid[0].size // 48)):  # fits the cache
        rate, limit, seed = (each[part] for each in grid)
        logs.append(train(Nets(seed), rate, limit, n_steps, clip))
    return np.concatenate(logs, axis=2).reshape(2, n_steps, len(rates), len(limits), len(seeds))


def ends(log):
    """Mean loss of the last tenth of the steps; NaN where it is not finite."""
    last = log[0, -n_steps // 10 :].mean(axis=0)
    return np.where(np.isfinite(last), last, np.nan)


def smooth(losses, width=25):
    """Mean over the last `width` steps, (runs, steps), from losses of shape (steps, runs)."""
    losses = np.clip(np.nan_to_num(losses, nan=1e6), None, 1e6)  # larger ones would drown the sums
    sums = np.cumsum(np.vstack([np.zeros_like(losses[:1]), losses]), axis=0)
    first = np.maximum(np.arange(1, len(sums)) - width, 0)
    return ((sums[1:] - sums[first]) / (np.arange(1, len(sums)) - first)[:, None]).T


# %%
log = race([0.01], [np.inf, 1.0], seeds)[:, :, 0]
first = {"no clipping": log[0, :, 0], "clipped": log[0, :, 1]}
largest = {name: np.nanmax(losses, axis=0) for name, losses in first.items()}
worst = np.argmax(np.nan_to_num(first["no clipping"], nan=np.inf), axis=0) + 1
for name, losses in largest.items():
    print(f"{name:12s} largest loss", *(f"{loss:8.2g}" for loss in losses))
print("reached without clipping at step", *worst)

# %% tags=["plot"]
shown = {name: np.clip(smooth(losses, 10), None, 1e3) for name, losses in first.items()}
shown["guessing"] = np.full(n_steps, guessing)
ck.show(ck.plotting.lines(
    shown, log="xy", title="Raw steps ruin the net; at this rate only clipped nets get far below guessing",
    xlabel="step", ylabel="loss, mean of 10 steps, cut at 1,000"))  # fmt: skip

lengths, x = {}, Nets(seeds).batch()[0]
for name, limit, updates in (
    ("at the start", 1.0, 0), ("clipped", 1.0, 3), ("no clipping", np.inf, 1)
):  # fmt: skip
    nets = Nets(seeds)
    train(nets, 0.01, limit, updates)
    states = forward(nets.theta, x)[0][1:]
    lengths[name] = np.median([np.linalg.norm(h, axis=2).mean(axis=1) for h in states], axis=1)
ck.show(ck.plotting.lines(
    lengths, log="y", title="At the start the state adds up; after one raw update it multiplies",
    xlabel="time step; clipped: after three updates",
    ylabel=f"length of the hidden state, median of {n_seeds}"))  # fmt: skip

# %% [markdown]
# At the start $W_h$ is the identity, and the state only adds up what comes in: it grows **linearly**, by
# a steady amount. One long step later $W_h$ is another matrix, and the state grows by a steady factor
# at every time step: **exponentially**, as in section 2.
#
# ### Would a smaller learning rate do?
#
# If steps are too long, take shorter ones. To be fair, both ways get the best of eight rates, chosen with
# other seeds. **Predict first:** which ends lower?

# %%
rates = np.array([0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1])
tried = np.nan_to_num(ends(race(rates, [np.inf, 1.0], others)), nan=np.inf).mean(axis=-1)
best = dict(zip(first, rates[tried.argmin(axis=0)], strict=True))
limit_of = {"no clipping": np.inf, "clipped": 1.0}
final = {name: ends(race([best[name]], [limit], seeds)).ravel() for name, limit in limit_of.items()}
verdict = ck.verdict(final, metric="loss")
ck.show(
    ck.plotting.strips(final, title=verdict.headline, xlabel="loss at the end; guessing is 0.167")
)

# %%
# In Keras all this is one argument. Do twenty steps of our net end at the same weights?
ours, batches = Nets(seeds[:1]), Nets(seeds[:1])
rnn = keras.layers.SimpleRNN(units, activation="relu", recurrent_initializer="identity")
model = keras.Sequential([keras.Input((T, 2)), rnn, keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=1.0), loss="mse")
model.set_weights([p[0].reshape(w.shape) for p, w in zip(ours.theta, model.weights, strict=True)])
for _ in range(20):
    x, y = batches.batch()
    model.train_on_batch(x[0], y[0])
clipped = np.mean(train(ours, 0.01, 1.0, 20)[1] > 1.0)
pairs = zip(ours.theta, model.get_weights(), strict=True)
apart = max(np.abs(p.ravel() - w.ravel()).max() for p, w in pairs)
print(f"{clipped:.0%} of the 20 steps were clipped; the weights differ by at most {apart:.0e}")

# %% tags=["claim"]
ended = {name: np.nan_to_num(ends(losses[None]), nan=np.inf) for name, losses in first.items()}
ck.prove("At the rate 0.01 every net ends lower with clipping than without, and the clipped ones on average below "
         "0.6 × guessing", np.all(ended["clipped"] < ended["no clipping"]) and ended["clipped"].mean() < 0.6 * guessing,
         f"mean {ended['clipped'].mean():.3f}; without clipping at least {ended['no clipping'].min():.3f}")  # fmt: skip
ck.prove("Without clipping the loss of the typical net goes beyond a thousand",
         np.median(largest["no clipping"]) > 1e3, f"median of the largest losses {np.median(largest['no clipping']):.1g}")  # fmt: skip
grown = {name: each[-1] / each[T // 2 - 1] for name, each in lengths.items()}
ck.prove("At the start the state grows linearly, after one raw update exponentially",
         max(abs(grown["at the start"] - 2), abs(grown["clipped"] - 2)) < 0.5 and not grown["no clipping"] < 20,
         "the second half of the sequence makes it " + ", ".join(f"{name}, {v:.3g}" for name, v in grown.items())
         + " times as long")  # fmt: skip
raw_end, clipped_end = (values.mean() for values in final.values())
ck.prove("Each at its best rate, the clipped nets end lower",
         clipped_end < 0.6 * raw_end and verdict.winner == "clipped",
         f"{clipped_end:.3f} against {raw_end:.3f}")  # fmt: skip
ck.prove("Neither best rate stands at the end of the list",
         all(rates[0] < rate < rates[-1] for rate in best.values()),
         ", ".join(f"{name} {rate:g}" for name, rate in best.items()))  # fmt: skip
ck.prove("Our nets do what Keras does with global_clipnorm", apart < 1e-4 and clipped > 0,
         f"weights at most {apart:.0e} apart after 20 steps")  # fmt: skip

# %% [markdown]
# **Clipped to 1 and at its best rate, {{ best["clipped"]:g }}, the net ends at {{ clipped_end:.3f }};
# without clipping the best rate is {{ best["no clipping"]:g }}, and it ends at {{ raw_end:.3f }}.** Guessing is
# {{ guessing:.3f }}. A smaller rate makes *every* step shorter to survive the few bad ones, and crawls
# afterwards; clipping leaves a step that is short enough as it is. At 0.01 the raw nets are lost by step
# {{ int(np.median(worst)):d }}: the largest loss of the typical one is {{ np.median(largest["no clipping"]):.0e }}.
# (A learning rate that starts low, a warm-up, [lesson 09](09_learning_rate_schedules.ipynb), is a third way, and goes
# well with clipping.) Keras does the same steps: after twenty the weights are {{ apart:.0e }} apart.
#
# **Why not batch normalisation** (배치 정규화, [lesson 04](04_batch_normalisation.ipynb))? At the start the state is
# {{ lengths["at the start"][-1] / lengths["at the start"][0]:.0f }} times as long at the last time step as at the
# first: another distribution at every step. One pair of moving averages cannot describe them all, and one pair for
# each step does not exist for a sequence longer than those seen in training. Clipping asks nothing of the net, so
# it works here. **Layer normalisation**, which needs no batch, is the normalisation to use
# there; large transformers are usually trained with both.

# %% [markdown]
# ## 4 · One bad gradient after a thousand good steps
#
# Perhaps only the start is dangerous? Train nets for 1,000 steps, all clipped to 3. Then comes one batch
# with a typing error: in one of its 32 sequences the decimal point of the target is lost, and a 1.53, say,
# has become 153. In this *single* step one group is not clipped. After it, both go on as before, with correct
# batches and the limit.
#
# **Predict first:** how many steps does the unclipped group need to get back to where it was?


# %%
def lose_the_point(x, y):
    for each in y:  # one batch for each net
        each[np.argmax(each)] *= 100


nets = Nets(np.tile(seeds, 2))
limit = np.repeat([np.inf, 3.0], n_seeds)  # in that one step
before = train(nets, 0.01, 3.0, 1_000)
typo = train(nets, 0.01, limit, 1, spoil=lose_the_point)
after = train(nets, 0.01, 3.0, 1_000)

# %% tags=["claim"]
losses = np.clip(smooth(np.concatenate([before[0], after[0]])), None, 100)
shown = {"one step not clipped": losses[:n_seeds], "clipped": losses[n_seeds:]}
shown["guessing"] = np.full(2_000, guessing)
ck.show(ck.plotting.lines(
    shown, log="y", title="One step without a limit, and a thousand steps are undone",
    xlabel="step; the typing error comes after step 1,000", ylabel="loss, mean of 25 steps, cut at 100"))  # fmt: skip
learned = before[0, -100:, :n_seeds].mean(axis=0)
usual, bad = np.median(before[1, -100:]), np.median(typo[1])
last = np.nan_to_num(after[0, -100:].mean(axis=0), nan=np.inf)
raw, later = last[:n_seeds], last[n_seeds:]  # losses at the end
worse, no_better = (np.mean(raw > level) for level in (2 * learned, guessing))
overflowed = int(np.sum(~np.isfinite(after[0, -1, :n_seeds])))
ck.prove("After a thousand steps the nets had learned", np.median(learned) < 0.4 * guessing,
         f"median loss {np.median(learned):.3f}, guessing {guessing:.3f}")  # fmt: skip
ck.prove(
    "The bad gradient is over ten times as long as usual",
    bad > 10 * usual,
    f"{bad:.0f}, usual {usual:.1f}",
)
ck.prove("A thousand good steps later most nets that were not clipped once are still worse off than before",
         worse > 0.5, f"{worse:.0%} have more than twice the loss")  # fmt: skip
ck.prove("Those that were clipped are better off than before",
         later.mean() < learned.mean(),
         f"mean {later.mean():.3f}, before {learned.mean():.3f}")  # fmt: skip

# %% [markdown]
# **One raw step undid a thousand: a thousand good steps later {{ no_better:.0% }} of the nets that took it do
# worse than guessing, and nets that clipped it have a loss of {{ later.mean():.3f }}, lower than the
# {{ learned.mean():.3f }} before.** The typing error's gradient has the norm {{ bad:.0f }}; the last hundred steps before it
# had a median of {{ usual:.1f }}. Clipped, it is one step in a wrong direction, no longer than others. Raw, it throws
# $W_h$ to a place where the state explodes: the next loss is typically {{ np.median(after[0, 0, :n_seeds]):.0e }}, and at
# the end {{ overflowed }} of the {{ n_seeds }} nets have overflowed.

# %% [markdown]
# ## 5 · How long may a step be?
#
# Take a step of length $s$ against the gradient. To second order the loss changes by
#
# $$\Delta L = -s\,\lVert g \rVert + \tfrac12\, \kappa\, s^2,$$
#
# with $\kappa$ the curvature in that direction. The best length is $s = \lVert g \rVert / \kappa$; beyond
# twice that, the loss rises.
#
# - **Where the curvature is the same everywhere**, the best step is proportional to the gradient: that is a
#   learning rate, $\eta = 1 / \kappa$.
# - **Where curvature and gradient grow together**, $\kappa = \lVert g \rVert / r$, the best step has a fixed
#   length, $s = r$, however large the gradient. After a way of $r$ the slope that you measured is used up:
#   call it the **reach**.
#
# Clipping does the first for short gradients and the second for long ones: a step of length
# $\min(\eta \lVert g \rVert,\ r)$ is a gradient clipped to
#
# $$c = r / \eta.$$
#
# Which of the two is our net? Measure: while several nets train, compare the gradients a little ahead and a
# little behind, along $g$. **Predict first:** a gradient that is a thousand times as long: what is the curvature?


# %%
def curvature(theta, x, y, small=1e-4):
    """Return the gradient's norm and the curvature along it, for each net."""
    theta = [p.astype(float) for p in theta]
    gradients = loss_and_gradients(theta, x, y)[1]
    length = norm(gradients)
    along = [g / length[:, None, None] for g in gradients]
    total = 0
    for side in (1, -1):
        moved = [p + side * small * d for p, d in zip(theta, along, strict=True)]
        there = loss_and_gradients(moved, x, y)[1]
        total += side * sum((g * d).sum(axis=(1, 2)) for g, d in zip(there, along, strict=True))
    return length, total / (2 * small)


# %% tags=["plot"]
visited = Nets(np.tile(seeds, 4))
measured = []
for _ in range(30):
    measured.append(curvature(visited.theta, *visited.batch()))
    train(visited, 0.01, np.repeat([0.1, 0.3, 1.0, 3.0], n_seeds), 15)
slope, bend = np.array(measured).transpose(1, 0, 2).reshape(2, -1)
sound = (bend > 0) & np.isfinite(bend)
power = np.polyfit(np.log(slope[sound]), np.log(bend[sound]), 1)[0]
reach = np.median(slope[sound] / bend[sound])
off = np.log10(bend * reach / slope)  # from the line, in powers of ten
width = np.log10(np.divide(*np.quantile(slope[sound], [0.99, 0.01])))
scatter = np.quantile(abs(off[sound]), 0.95)
first_off = np.median(off[: len(visited)][sound[: len(visited)]])
fig, ax = plt.subplots()
ax.plot(slope[sound], bend[sound], ".", color=ck.plotting.COLORS[0], alpha=0.35, markersize=5,
        label="a net at one moment")  # fmt: skip
span = np.array([slope[sound].min(), slope[sound].max()])
ax.plot(span, span / reach, color=ck.plotting.COLORS[1], label="gradient / r")
ax.set(xscale="log", yscale="log", xlabel="norm of the gradient", ylabel="curvature along it",
       title=f"Curvature grows with the gradient, to the power {power:.2f}")  # fmt: skip
for axis in (ax.xaxis, ax.yaxis):
    axis.set_major_formatter("{x:g}")
fig.legend(*ax.get_legend_handles_labels(), loc="outside right center")
ck.show(fig, alt="Curvature along the gradient against its norm, both on log axes: a cloud along a straight "
        f"line; the fitted power is {power:.2f}.")  # fmt: skip

# %% [markdown]
# So the curvature grows about in proportion to the gradient, over about {{ width:.0f }} powers of ten, with a scatter:
# 95% of the places lie within a factor of {{ 10**scatter:.0f }} of the line, and the largest gradients, those of the
# first step, lie below it, at {{ 10**first_off:.1f }} of its height. The reach of this net is about
# $r =$ {{ reach:.3f }}. (Zhang, He, Sra and Jadbabaie, 2020, found the same in
# an LSTM.) If that is right, then different learning rates have different best limits, but the same best
# product $\eta c$. **Predict first:** rates 0.003, 0.01 and 0.03, eight limits from
# 0.03 to 100: where are the three best limits?

# %%
three_rates, limits = [0.003, 0.01, 0.03], [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]
swept = race(three_rates, limits, seeds)  # (2, n_steps, rates, limits, seeds)
loss = np.nan_to_num(ends(swept), nan=1.0)

# %% tags=["claim"]
fig, panels = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True)
for i, rate in enumerate(three_rates):
    for ax, at in zip(panels, (np.array(limits), rate * np.array(limits)), strict=True):
        ck.plotting.band(ax, at, loss[i].T, f"learning rate {rate:g}", i)
panels[1].axvspan(reach, 2 * reach, color="#DDDDDD", zorder=0,
                  label="r to 2r, as measured")  # fmt: skip
for ax in panels:
    ax.axhline(guessing, color="black", linewidth=1, linestyle=":", label="guessing")
    ax.set(xscale="log", yscale="log", yticks=[0.01, 0.02, 0.05, 0.1, 0.2])
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
panels[0].set(xlabel="limit c", ylabel="loss at the end", title="Each rate has a limit of its own")
panels[1].set(xlabel="rate × limit", title="By rate × limit the valleys lie close together")
fig.legend(*panels[1].get_legend_handles_labels(), loc="outside right center")
ck.show(fig, alt="Loss at the end for three learning rates. Left against the limit: three valleys, each "
        "shifted against the next. Right against rate times limit: the valleys lie on top of one another, a "
        "little right of the measured reach.")  # fmt: skip
mean_loss = loss.mean(axis=-1)
best_limit = [limits[i] for i in mean_loss.argmin(axis=1)]
products = [rate * limit for rate, limit in zip(three_rates, best_limit, strict=True)]
factors = [product / reach for product in products]
ck.prove("Curvature grows about in proportion to the gradient", 0.75 < power < 1.25,
         f"power {power:.2f}, curvature positive at {sound.mean():.0%} of the places")  # fmt: skip
ck.prove("At ten times the rate the best limit is lower, and none stands at the end of the list",
         limits[0] < best_limit[2] < best_limit[0] < limits[-1], f"{best_limit}")  # fmt: skip
ck.prove("At every rate the best rate × limit is within a factor of 6 of the measured reach",
         all(1 / 6 < factor < 6 for factor in factors),
         ", ".join(f"{product:.2g}" for product in products) + f", reach {reach:.2g}")  # fmt: skip
far = min(mean_loss[i, j] / mean_loss[i].min() for i, rate in enumerate(three_rates)
          for j, limit in enumerate(limits) if rate * limit > 40 * reach)  # fmt: skip
ck.prove("Where rate × limit is over 40 times the reach, the loss is at least half as high again as the best at that rate",
         far > 1.5, f"{far:.1f} times")  # fmt: skip
share = np.array([[np.mean(swept[1, :, i, j] > limits[j]) for j in range(8)] for i in range(3)])
level = np.flatnonzero(mean_loss[0] <= loss[0, mean_loss[0].argmin()].max())  # within its band

# %% [markdown]
# **The best limits at the rates 0.003, 0.01 and 0.03 are {{ best_limit[0]:g }}, {{ best_limit[1]:g }} and
# {{ best_limit[2]:g }}; the products $\eta c$ are {{ products[0]:.2g }},
# {{ products[1]:.2g }} and {{ products[2]:.2g }}: {{ min(factors):.1f }} to {{ max(factors):.1f }} times the
# measured reach.** To the right of the valleys steps are so long that they ruin the net; to the left nearly every
# step is clipped, which is safe and slow, and there only the product counts.
#
# So the limit is no property of the gradients alone: **change the learning rate, and keep the product
# $\eta c$.** Nor is there a right share of clipped steps. At the rate 0.003 the limits
# {{ ", ".join(f"{limits[j]:g}" for j in level) }} are level, their mean losses within the band of the best, and clip
# {{ ", ".join(f"{share[0, j]:.1%}" for j in level) }} of the steps; the best at 0.03 clips
# {{ share[2, mean_loss[2].argmin()]:.0% }}. (With momentum $\beta$ a gradient goes on to count in later steps; where
# many agree, the longest step is $\eta c / (1 - \beta)$, here ten times $\eta c$ and so up to
# {{ 10 * max(factors):.0f }} times the reach: the reach predicts the product only up to a factor.)

# %% [markdown]
# ## 6 · Choose the limit from a log
#
# You will not measure curvature every day. What you have is a log of raw norms, and the usual advice: set
# the limit so that it clips only rare spikes, say at the 99th percentile; or between half and ten times the
# mean norm (Pascanu and others). **Predict first:** does the log depend on the limit that it was
# made with?

# %% tags=["plot"]
fig, ax = plt.subplots()
for i, rate in enumerate(three_rates):
    medians = np.nanmedian(swept[1, :, i], axis=0).T  # (seeds, limits)
    ck.plotting.band(ax, limits, medians, f"learning rate {rate:g}", i)
ax.plot(limits, limits, color="black", linewidth=1, linestyle=":", label="median = limit")
ax.set(xscale="log", yscale="log", xlabel="limit", ylabel="median of a run's raw norms",
       title="The looser the limit, the calmer the log")  # fmt: skip
for axis in (ax.xaxis, ax.yaxis):
    axis.set_major_formatter("{x:g}")
fig.legend(*ax.get_legend_handles_labels(), loc="outside right center")
ck.show(fig, alt="Median of the raw norms against the limit, both on log axes, for three learning rates: the "
        "lines fall from about 10 to about 0.2, and cross the diagonal between 0.5 and 5.")  # fmt: skip

# %% [markdown]
# A log made with a loose limit is *calm*: long steps have thrown the net to a place where hardly
# anything moves. Its norms are small, but all is not well: at the rate 0.03 and the limit 100 the net ends at a
# loss of {{ mean_loss[2, -1]:.3f }}, that of guessing. So a choice from a log is **circular**. But a circle can be
# closed: look for the limit that agrees with its own log, where the line crosses the diagonal and half of the
# steps are clipped (half is no magic share, only easy to find). With a limit that is too tight the log lies above
# the limit, with one that is too loose below it, so go half of the way between them, on the logarithmic scale:
#
# $$c \leftarrow \sqrt{c \cdot \operatorname{median}(\text{norms logged with } c)}$$


# %%
# six searches side by side: at each rate from a guess far too low and from one far too high
rate, path = np.repeat(three_rates, 2), [np.tile([0.1, 30.0], 3)]
for _ in range(4):  # short runs, each from new weights
    nets = Nets(np.tile(others, 6))
    log = train(nets, np.repeat(rate, 3), np.repeat(path[-1], 3), 200)
    median = np.nanmedian(log[1, 50:].reshape(150, 6, 3), axis=(0, 2))
    path.append(np.sqrt(path[-1] * median))
for i, way in enumerate(np.transpose(path)):
    print(f"rate {rate[i]:g}: limit", " → ".join(f"{limit:.2g}" for limit in way))
chosen = {each: path[-1][rate == each] for each in three_rates}

# %% tags=["claim"]
scores, limit_by = {}, {}
for i, rate in enumerate(three_rates):
    own = np.sqrt(np.prod(chosen[rate]))
    tight = swept[1, 50:, i, limits.index(1.0)]  # a log made with the limit 1, without its start
    advice = {"a third of it": own / 3, "agrees with its log": own, "three times it": 3 * own,
              "half the mean norm": tight.mean() / 2, "ten times the mean": 10 * tight.mean(),
              "99th percentile": np.percentile(tight, 99)}  # fmt: skip
    found = np.nan_to_num(ends(race([rate], list(advice.values()), seeds))[0], nan=1.0).mean(
        axis=-1
    )
    limit_by[rate] = advice
    scores[rate] = dict(zip(advice, found / mean_loss[i].min(), strict=True))
print("limit, and loss / best loss of section 5, at the rates", *three_rates)
for name in advice:
    print(
        f"  {name:20s}",
        "".join(f"{limit_by[rate][name]:9.2g}{scores[rate][name]:7.2f}" for rate in three_rates),
    )
agree = max(max(pair) / min(pair) for pair in chosen.values())
of_three = {rate: min(list(each.values())[:3]) for rate, each in scores.items()}
loose = {
    rate: min(each["ten times the mean"], each["99th percentile"]) for rate, each in scores.items()
}
middle = {rate: each["agrees with its log"] for rate, each in scores.items()}
typical_best = np.prod(list(of_three.values())) ** (1 / 3)
ck.prove("From a guess of 0.1 and one of 30 the rule arrives at nearly the same limit", agree < 2,
         f"at most {agree:.2f} times apart")  # fmt: skip
ck.prove("At every rate nets learn with the limit that agrees with its log",
         all(middle[rate] * mean_loss[i].min() < 0.8 * guessing for i, rate in enumerate(three_rates)),
         "loss " + ", ".join(f"{middle[rate] * mean_loss[i].min():.3f}" for i, rate in enumerate(three_rates)))  # fmt: skip
ck.prove("The best of it, a third and three times it is within 1.5 times the best loss, in the mean over the rates",
         typical_best < 1.5, f"{typical_best:.2f}: " + ", ".join(f"{each:.2f}" for each in of_three.values()))  # fmt: skip
ck.prove("At every rate the 99th percentile and ten times the mean end higher than it",
         all(loose[rate] > middle[rate] for rate in three_rates),
         ", ".join(f"{each:.2f}" for each in loose.values()))  # fmt: skip

# %% [markdown]
# **The limit that agrees with its own log, {{ np.sqrt(np.prod(chosen[0.01])):.1f }} at the rate 0.01, ends at
# {{ middle[0.01]:.1f }} times the best loss of the sweep there; the best of it, a third of it and three times it at
# {{ of_three[0.01]:.1f }} times.** It costs a few short runs, the first guess does not matter, and it is a safe
# place to start; then try both sides. "Clip only the spikes" would take
# {{ limit_by[0.01]["99th percentile"]:.0f }} here, the 99th percentile of a log made with the limit 1, and ends at
# {{ scores[0.01]["99th percentile"]:.0f }} times the best loss; ten times the mean is
# {{ limit_by[0.01]["ten times the mean"]:.0f }}, and ends at {{ scores[0.01]["ten times the mean"]:.0f }} times. Half the
# mean, {{ limit_by[0.01]["half the mean norm"]:.1f }}, is fine here: {{ scores[0.01]["half the mean norm"]:.1f }} times in one try,
# and at the rates 0.003 and 0.03 {{ scores[0.003]["half the mean norm"]:.1f }} and
# {{ scores[0.03]["half the mean norm"]:.1f }}, where the limit that agrees with its log ends at {{ middle[0.003]:.1f }} and
# {{ middle[0.03]:.1f }}. But it hangs on the limit 1 of the log: from a log made with 30 half the mean is
# {{ np.nanmean(swept[1, 50:, 1, limits.index(30.0)]) / 2:.1f }}. None of these rules asks what limit the log was made
# with.

# %% [markdown]
# ## 7 · Which way of clipping?
#
# Each way gets a limit of its own, the best of eight, chosen with other seeds. (All train at the rate 0.01; by
# section 5 another rate would move the limits and keep the products.) The limits are spread so that the
# longest possible gradients are alike: five variables, each of norm at most $c$, together reach $c\sqrt5$; $N$
# components, each at most $c$, reach $c\sqrt N$.
#
# **Predict first:** does keeping the direction pay?

# %%
N, more_seeds, kept, inside = model.count_params(), seeds[0] + np.arange(2 * n_seeds), {}, {}
for clip, factor in ((by_global_norm, 1.0), (by_norm, 5**-0.5), (by_value, N**-0.5)):
    grid = factor * np.array(limits)
    tried = np.nan_to_num(ends(race([0.01], grid, others, clip)), nan=1.0)[0].mean(axis=-1)
    way, i = clip.__name__.removeprefix("by_").replace("_", " "), tried.argmin()
    kept[way], inside[way] = ends(race([0.01], [grid[i]], more_seeds, clip)).ravel(), (grid[i], i)
ranking = ck.verdict(kept, metric="loss")
ck.show(
    ck.plotting.strips(kept, title=ranking.headline, xlabel="loss at the end; guessing is 0.167")
)

# %% [markdown]
# **{{ ranking.text[0].upper() + ranking.text[1:] }}** Clipping at all pays most: the typical net ends at
# {{ np.median(kept["global norm"]):.3f }} by global norm, at {{ np.median(kept["norm"]):.3f }} by norm and at
# {{ np.median(kept["value"]):.3f }} by value, and the best that a smaller rate alone could do was {{ raw_end:.3f }}. (The limit of the global norm is
# {{ inside["global norm"][0]:g }} here, chosen with other seeds; section 5's {{ best_limit[1]:g }} was the best for the very
# seeds that it shows.) The order of
# the three is that of this run: their limits were searched in steps of about three, and fewer steps or other
# seeds can leave them inseparable, or leave clipping by value behind a smaller rate. What speaks for the global norm in any case is that it is easy to reason
# about: one number, which bounds the length of the whole gradient and changes nothing else.
#
# ### Optional: with Adam too
#
# Adam divides each step by a running average of past gradients' size
# ([lesson 08](08_optimizers.ipynb)). So a large gradient makes no large step, and clipping seems
# needless. But Adam *remembers*. In this stream all gradients are 1, with a single spike of 1,000 at
# step 50. **Predict first:** how long are Adam's steps after the spike?

# %%
gradients, moves = np.ones(400), {}
gradients[50] = 1000
for name, limit in (("no clipping", np.inf), ("clipped", 2.0)):
    adam, params = ck.scratch.optimizers.Adam(learning_rate=0.001), {"w": np.zeros(1)}
    positions = [0.0]
    for gradient in gradients:
        adam.update(params, {"w": np.array([min(gradient, limit)])})
        positions.append(params["w"][0])
    moves[name] = -np.diff(positions) / 0.001
ck.show(ck.plotting.lines(
    moves, np.arange(400), title="One spike, and Adam nearly stands still for hundreds of steps",
    xlabel="step", ylabel="length of the step / learning rate"))  # fmt: skip

# %% tags=["claim"]
middles = {way: np.median(np.nan_to_num(values, nan=np.inf)) for way, values in kept.items()}
ck.prove("Clipped by norm or by global norm, the typical net ends below the best mean of a smaller rate alone",
         max(middles["norm"], middles["global norm"]) < raw_end,
         ", ".join(f"{way} {value:.3f}" for way, value in middles.items()) + f"; {raw_end:.3f}")  # fmt: skip
ck.prove("No way's best limit stands at the end of its list", all(0 < i < len(limits) - 1 for _, i in inside.values()),
         ", ".join(f"{way} {limit:.2g}" for way, (limit, _) in inside.items()))  # fmt: skip
slow, going = moves["no clipping"][150:].mean(), moves["clipped"][150:].mean()
ck.prove("Before the spike Adam's steps are as long as the learning rate",
         np.allclose(moves["no clipping"][:50], 1, atol=1e-3), f"{moves['no clipping'][:50].mean():.4f}")  # fmt: skip
ck.prove("From a hundred steps after the spike on Adam crawls; with the spike clipped it goes on",
         slow < 0.2 and going > 0.8, f"{slow:.2f} and {going:.2f} of the learning rate")  # fmt: skip

# %% [markdown]
# **From a hundred steps after the spike on, Adam's steps are {{ slow:.0% }} of the learning rate; with the spike
# clipped to 2 they are {{ going:.0% }}.** The spike's square goes into that running average, of which a share
# $\beta_2 = 0.999$ survives each step, and stays there for about $1/(1-\beta_2) = 1{,}000$ steps. Clipping keeps it out. But with Adam the limit does *not* bound the
# length of a step: multiply all gradients by one constant, and the steps stay the same.

# %% [markdown]
# ## 8 · Three traps
#
# **Predict first:** what happens in each of these three cases?
#
# 1. You set `clipnorm` *and* `clipvalue`. Which comes first?
# 2. Between two calls of `fit` you tighten `model.optimizer.clipnorm` a thousandfold. How far apart are the
#    weights at the end from those of a net whose limit you left alone?
# 3. A gradient holds one NaN. What is left of it, clipped by value, by norm, by global norm?

# %%
x, y = np.arange(64.0).reshape(64, 1), np.arange(64.0)


def final_weights(later, compile_again=False):
    net = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    net.compile(keras.optimizers.SGD(0.01, clipnorm=1.0), loss="mse")
    net.fit(x, 3 * y, shuffle=False, verbose=0)
    net.optimizer.clipnorm = later
    if compile_again:
        net.compile(keras.optimizers.SGD(0.01, clipnorm=later), loss="mse")
    net.fit(x, 3 * y, shuffle=False, verbose=0)
    return np.concatenate([w.ravel() for w in net.get_weights()])


alone, tightened, again = final_weights(1.0), final_weights(0.001), final_weights(0.001, True)

# %% tags=["claim"]
try:
    keras.optimizers.SGD(0.01, clipnorm=1.0, clipvalue=0.5)
    refusal = ""
except ValueError as error:
    refusal = str(error)
print("1.", refusal)
print(
    "2.",
    f"limit set: {np.abs(alone - tightened).max():g}; compiled again: {np.abs(alone - again).max():.2g}",
)
broken = [np.array([1.0, np.nan]), np.array([2.0, 3.0])]
repaired = {option: used_by_keras(broken, **{option: 1.0}) for option in options.values()}
for option, parts in repaired.items():
    print(f"3. {option:16s}", *parts)
ck.prove("Two clip options at once are refused", bool(refusal), "ValueError")
unheard, heard = np.abs(alone - tightened).max(), np.abs(alone - again).max()
ck.prove("A limit set after the first fit has no effect; compiled again, it has", unheard == 0 and heard > 1e-3,
         f"weights {unheard:g} and {heard:.2g} apart")  # fmt: skip
ck.prove("A NaN stays a NaN, and the global norm spreads it to every variable",
         all(np.isnan(parts[0]).any() for parts in repaired.values())
         and np.isnan(repaired["global_clipnorm"][1]).all() and np.isfinite(repaired["clipnorm"][1]).all(),
         f"NaN in {', '.join(repaired)}")  # fmt: skip
by_package = packaged.clip_by_global_norm({"a": broken[0], "b": broken[1]}, 1.0)
ck.prove("ck.scratch does not hide a NaN either",
         np.isnan(packaged.clip_by_value(broken[0], 1.0)).any()
         and np.isnan(packaged.clip_by_norm(broken[0], 1.0)).all() and np.isnan(by_package["b"]).all(),
         "by value, by norm and by global norm")  # fmt: skip

# %% [markdown]
# **The limit that was set between the two calls moved the weights by {{ unheard:g }}; compiled again, by
# {{ heard:.2g }}.**
#
# 1. Neither: Keras takes one clip option at a time, and says so.
# 2. Not at all: the first `fit` traced the update into a graph, with the limit as a constant, and the
#    attribute reads back as set. Compile again with a *new* optimizer (its momentum starts from zero), or pass the
#    limit to a training step of your own, as in the exercise.
# 3. By value the NaN itself is left. By norm the norm is NaN, and so is every component that is multiplied
#    by it; the global norm spreads it to the healthy variables as well. Clipping shortens what is long. It repairs
#    nothing. Test the norm that you log anyway: if it is not finite, skip the update, and look for where the
#    NaN begins.

# %% [markdown]
# ## Pitfalls
#
# - **Clipping in place of looking.** Gradients that explode at every step point to a wrong
#   initialisation ([lesson 02](02_weight_initialisation.ipynb)), a rate that is too high, or a bug.
# - **Logging the norm after clipping.** It never exceeds the limit, so it can never warn you.
# - **The same number in `clipnorm` and `global_clipnorm`.** Per variable it is looser: with $k$ variables
#   the whole may be $\sqrt k$ times as long.
# - **Clipping twice**: in your own step, and again in `optimizer.apply` because the optimizer was made
#   with a clip option.
# - **Clipping sums.** If you add up gradients over several batches, or scale the loss for
#   half precision, undo the scale first, then clip.
#
# ## What to do tomorrow
#
# 1. Clip by global norm whenever you train a recurrent net or a transformer; log the raw norm of every step.
# 2. Start with the limit that agrees with its own log: $c \leftarrow \sqrt{c \cdot \text{median}}$, two or three
#    short runs.
# 3. Then try a third of it and three times it, with more than one seed.
# 4. Change the learning rate, and keep rate × limit.
# 5. Do not trust a calm log with a loose limit: look at the loss.
#
# ## Recap
#
# - A recurrent net multiplies by the same matrix at every time step, so gradients explode or vanish.
# - By value turns the gradient; by norm keeps its direction in each variable; by global norm as a whole.
# - Where curvature grows with the gradient, a step has a longest useful length $r$, and the limit is $r / \eta$.
# - Clipping made a net learn that did not survive without it; it cannot bring back vanished gradients.
# - One clip option at a time; set before compiling; NaN stays NaN.
#
# ## Now practise
#
# Open [exercise 05](../exercises/05_gradient_clipping.ipynb): write the three clippers, measure the
# angle, choose the limit from a log by the rule of section 6, and write a Keras training step that clips and
# logs. Then go on with lesson [06 Transfer learning](06_transfer_learning.ipynb).
#
# ## Further reading
#
# - R. Pascanu, T. Mikolov and Y. Bengio, *On the Difficulty of Training Recurrent Neural Networks*, ICML
#   2013, arXiv:1211.5063: section 2, why gradients explode, and the cliff; section 3.2, clipping.
# - J. Zhang, T. He, S. Sra and A. Jadbabaie, *Why Gradient Clipping Accelerates Training: A Theoretical
#   Justification for Adaptivity*, ICLR 2020, arXiv:1905.11881: curvature that grows with the gradient.
# - Q. V. Le, N. Jaitly and G. E. Hinton, *A Simple Way to Initialize Recurrent Networks of Rectified
#   Linear Units*, 2015, arXiv:1504.00941: the IRNN and the adding problem.
# - S. Hochreiter and J. Schmidhuber, *Long Short-Term Memory*, Neural Computation 9(8), 1997: section 5,
#   the adding problem.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "Gradient Clipping".
