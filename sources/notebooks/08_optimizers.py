# %% [markdown]
# # 08 Optimizers
#
# The gradient says which way is down. How far to go, and whether to remember the last step, is up
# to the **optimizer**. Ten of them fit on one page.
#
# ## What you will be able to do
#
# In about 40 minutes you will be able to
#
# - write ten optimizers, each in at most ten lines of NumPy, and show that they take the same steps
#   as Keras;
# - say what each of them cures: slow valleys (**momentum**, 모멘텀), one rate for unlike parameters
#   (AdaGrad, RMSProp), wrong first steps (Adam's bias correction), decay that is no decay (AdamW);
# - compare optimizers fairly: one rule for the rate, one budget, several seeds;
# - count the memory that each one needs;
# - name five common statements about optimizers that an experiment does not bear out as they stand.

# %%
import coursekit as ck

lab = ck.setup(seed=42)

import base64
import io

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from keras import optimizers
from PIL import Image

COLORS = ck.plotting.COLORS

# %% [markdown]
# ## 1 · One rate for unlike directions
#
# Plain gradient descent goes against the gradient $g = \nabla J(\theta)$, with one learning rate
# $\eta$ for all parameters $\theta$:
#
# $$\theta \leftarrow \theta - \eta\, g$$
#
# Every optimizer in this lesson is a function like the one below. It takes the parameters `theta`,
# the gradient `g`, a dict `s` for what it wants to remember (its **slots**), and the number `t` of
# the step, from 1; it returns the new parameters. The defaults are those of Keras.


# %%
def gradient_descent(theta, g, s, t, eta=0.01):
    return theta - eta * g


def walk(update, gradient, start, steps=50, **settings):
    """Return all positions of an optimizer, the start first."""
    theta, s, path = np.array(start, float), {}, [np.array(start, float)]
    for t in range(1, steps + 1):
        theta = update(theta, gradient(theta), s, t, **settings)
        path.append(theta)
    return np.array(path)


# %% [markdown]
# The ground is a stretched valley, $f(x, y) = x^2/20 + y^2$. Its slope is 20 times steeper across
# than along. You start at (−7, 2); the minimum is at (0, 0).
#
# **Predict first:** with the rates 0.1, 0.9 and 1.02, which walker is closest to the minimum after
# 50 steps? Which is furthest away?


# %%
def valley(p):
    return p[..., 0] ** 2 / 20 + p[..., 1] ** 2


def valley_gradient(p):
    return p * [0.1, 2.0]


def contours(ax, f, x_range, y_range, levels):
    """Shade the ground: the lower, the lighter."""
    xs, ys = np.meshgrid(np.linspace(*x_range, 80), np.linspace(*y_range, 80))
    heights = f(np.stack([xs, ys], axis=-1))
    shades = [str(shade) for shade in np.linspace(0.97, 0.72, len(levels) + 1)]
    ax.contourf(xs, ys, heights, levels, colors=shades, extend="both", antialiased=False)
    ax.grid(visible=False)
    ax.set(xlabel="x", ylabel="y", xlim=x_range, ylim=y_range)


levels = [0.1, 0.5, 1.5, 4, 9]
start = (-7, 2)
fig, axes = plt.subplots(1, 3, figsize=(9, 2.9), sharey=True)
ends = {}
for i, (ax, eta) in enumerate(zip(axes, (0.1, 0.9, 1.02), strict=True)):
    path = walk(gradient_descent, valley_gradient, start, eta=eta)
    ends[eta] = np.linalg.norm(path[-1])
    contours(ax, valley, (-8, 2), (-6, 6), levels)
    ax.plot(*path.T, ".-", color=COLORS[i], linewidth=1, markersize=4)
    ax.plot(0, 0, "k+", markersize=10)
    ax.set_title(f"rate {eta:g}: {ends[eta]:.2g} from the minimum", fontsize=10)
ck.show(
    fig,
    alt="Three paths of gradient descent in a stretched valley. Rate 0.1 creeps along the valley "
    "floor and stops short. Rate 0.9 zigzags across the valley while it moves along it. Rate 1.02 "
    "zigzags wider at every step.",
)

# %% [markdown]
# Gradient descent has three difficulties, and the valley shows the first two:
#
# 1. **Speed against accuracy.** A low rate is safe and slow, a high one is fast until it
#    overshoots.
# 2. **One rate for unlike parameters.** Across the valley the curvature is 2, and any rate above
#    2/2 = 1 diverges. Along it the curvature is 0.1, and a rate of 20 would still be stable. The
#    steep direction decides for both.
# 3. **Plateaus, saddles, poor local minima.** Where the gradient is tiny, so is the step. Section 7
#    puts the walkers on a saddle.
#
# A **second-order** method would divide each direction by its curvature. Newton's step $\theta -
# H^{-1} g$, with the matrix $H$ of second derivatives, reaches the minimum of this valley at once.
# But $H$ has a row and a column for every parameter; section 11 counts what that costs for a real
# net. All optimizers below are **first-order**: they see gradients only.

# %% tags=["claim"]
newton = np.array(start) - np.linalg.solve(np.diag([0.1, 2.0]), valley_gradient(np.array(start)))
assert np.allclose(newton, 0), f"Newton's step should reach the minimum, it is at {newton}"
assert ends[0.9] < ends[0.1], f"rate 0.9 should get closer than 0.1: {ends}"
assert ends[1.02] > np.linalg.norm(start), f"rate 1.02 should diverge: it ends {ends[1.02]} away"

# %% [markdown]
# ## 2 · Momentum: remember the way
#
# A ball that rolls downhill gathers speed. **Momentum** keeps a velocity $m$, of which a share
# $\beta$ survives each step:
#
# $$m \leftarrow \beta m - \eta\, g \qquad \theta \leftarrow \theta + m$$


# %%
def momentum(theta, g, s, t, eta=0.01, beta=0.9):
    s["m"] = beta * s.get("m", 0) - eta * g
    return theta + s["m"]


# %% [markdown]
# **Predict first:** on an even slope, where the gradient is 1 at every step, how fast is the ball
# in the end with β = 0.9? How many times faster than without momentum?

# %%
eta, speeds = 0.1, {}
for beta in (0.0, 0.5, 0.9, 0.95):
    path = walk(momentum, lambda p: np.ones(2), (0, 0), steps=200, eta=eta, beta=beta)
    speeds[beta] = -np.diff(path[:, 0])

fig, ax = plt.subplots()
for i, (beta, speed) in enumerate(speeds.items()):
    ax.plot(range(1, 101), speed[:100], **ck.plotting.line_kw(i), label=f"β = {beta:g}")
    ax.axhline(eta / (1 - beta), color=COLORS[i], linewidth=0.8, linestyle=":")
ax.set(xlabel="step", ylabel="length of the step",
       title="On an even slope the speed levels off at ηg / (1 − β)")  # fmt: skip
ax.legend(loc="center right")
ck.show(
    fig,
    alt="Length of the step against the step number for four values of beta. Each curve rises and "
    "levels off at a dotted line, eta divided by one minus beta; the larger beta, the later.",
)
for beta, speed in speeds.items():
    print(f"β = {beta:<4g}  speed after 200 steps {speed[-1]:.4f} = {speed[-1] / eta:.2f} · η")

# %% tags=["claim"]
for beta, speed in speeds.items():
    terminal = eta * 1 / (1 - beta)
    assert abs(speed[-1] / terminal - 1) < 1e-3, f"β={beta}: {speed[-1]}, expected {terminal}"

# %% [markdown]
# The **terminal velocity** is $\eta g / (1 - \beta)$: ten times the plain step for β = 0.9. In a
# valley the gradients along the floor agree and add up; those across it change sign and partly
# cancel.
#
# So momentum should win in the valley. Does it? Let each have its *best* rate. NumPy lets 80
# walkers with 80 rates walk side by side; you count the steps until the first of them is a thousand
# times closer to the minimum. The valley is $\frac12 (x^2/\kappa + y^2)$, and $\kappa$ says how
# narrow it is.
#
# **Predict first:** who needs fewer steps in the valley of section 1, with κ = 20? And with κ =
# 1000?


# %%
def steps_needed(update, kappa):
    rates = np.geomspace(0.01, 4, 80)[:, None]
    curvature, theta, s = np.array([1 / kappa, 1]), np.ones((80, 2)), {}
    with np.errstate(all="ignore"):  # rates that are too high overflow: they lose
        for t in range(1, 10_000):
            theta = update(theta, curvature * theta, s, t, eta=rates)
            if np.nanmin(np.linalg.norm(theta, axis=1)) < 1e-3 * np.sqrt(2):
                return t
    return np.nan


narrow = (5, 20, 100, 300, 1000)
needed = {u.__name__: [steps_needed(u, k) for k in narrow] for u in (gradient_descent, momentum)}
fig, ax = plt.subplots()
for i, (name, steps) in enumerate(needed.items()):
    ax.loglog(narrow, steps, marker=ck.plotting.MARKERS[i], **ck.plotting.line_kw(i),
              label=name.replace("_", " "))  # fmt: skip
ax.set(xlabel="κ: how narrow the valley is (log scale)", ylabel="steps needed (log scale)",
       title="Momentum 0.9 pays off in narrow valleys, and costs in wide ones")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Steps needed against the narrowness of the valley, both with their best rate: the line of "
    "gradient descent rises steadily, that of momentum is flat at first. They cross.",
)
print("κ                ", *(f"{k:6d}" for k in narrow))
for name, steps in needed.items():
    print(f"{name:17s}", *(f"{k:6d}" for k in steps))

# %% tags=["claim"]
plain, rolling = needed["gradient_descent"], needed["momentum"]
assert plain[1] < rolling[1], f"at κ = 20 plain should be faster: {plain[1]} against {rolling[1]}"
assert plain[-1] > 5 * rolling[-1], f"at κ = 1000 momentum should be far faster: {plain, rolling}"

# %% [markdown]
# In the textbook's valley, with κ = 20, plain gradient descent with a well-chosen rate is *faster*:
# a ball with β = 0.9 must first stop swinging. (For this valley a smaller β would suit.) The
# valleys of real nets are far narrower than that, and there 0.9 pays off. Pictures of a wide valley
# teach you how an optimizer moves, not which one wins.

# %% [markdown]
# ## 3 · Nesterov: look where you will be
#
# Momentum carries you on by $\beta m$ whatever you do. So why measure the gradient here, and not
# there? **Nesterov's** momentum does:
#
# $$m \leftarrow \beta m - \eta\, \nabla J(\theta + \beta m) \qquad \theta \leftarrow \theta + m$$
#
# A layer's gradient comes from where its weights are, not from a place ahead. Keras therefore
# stores the place ahead, $\theta' = \theta + \beta m$, as *the* weights. Then the same rule reads:


# %%
def nesterov(theta, g, s, t, eta=0.01, beta=0.9):
    s["m"] = beta * s.get("m", 0) - eta * g
    return theta + beta * s["m"] - eta * g


def nesterov_of_the_paper(gradient, start, steps, eta, beta=0.9):
    theta, m, ahead = np.array(start, float), 0, []
    for _ in range(steps + 1):
        ahead.append(theta + beta * m)
        m = beta * m - eta * gradient(theta + beta * m)
        theta = theta + m
    return np.array(ahead)


# %% [markdown]
# **Predict first:** same valley, same rate, same β. Who swings less?

# %%
eta = 0.3
rolling = walk(momentum, valley_gradient, start, eta=eta)
looking = walk(nesterov, valley_gradient, start, eta=eta)
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), width_ratios=[3, 2])
contours(left, valley, (-8, 5), (-3, 3), levels)
for i, (name, path) in enumerate({"momentum": rolling, "Nesterov": looking}.items()):
    left.plot(*path.T, ".-", color=COLORS[i], linewidth=1, markersize=4, label=name)
    right.semilogy(valley(path), **ck.plotting.line_kw(i), label=name)
left.set_title("Nesterov swings less")
right.set(xlabel="step", ylabel="f (log scale)", title=f"Both with rate {eta:g}, β = 0.9")
left.legend(loc="upper right")
right.legend()
ck.show(
    fig,
    alt="Left: the paths of momentum and Nesterov in the valley; momentum swings widely across it, "
    "Nesterov is calm after a few steps. Right: f against the step; Nesterov falls lower.",
)

# %% tags=["claim"]
ahead = nesterov_of_the_paper(valley_gradient, start, 50, eta)
assert np.allclose(looking, ahead, atol=1e-12), "both forms should measure at the same places"
across = {"momentum": np.abs(rolling[10:, 1]).max(), "Nesterov": np.abs(looking[10:, 1]).max()}
assert across["Nesterov"] < across["momentum"], f"Nesterov should swing less: {across}"

# %% [markdown]
# The two forms visit the same points, to twelve digits. Looking ahead makes the brake come one step
# earlier: where the ground rises, the gradient ahead says so before you are there.

# %% [markdown]
# ## 4 · A rate for each parameter
#
# **AdaGrad** adds up the squares of each parameter's gradients in $s$, and divides its step by
# their root. Steep directions get short steps, flat ones long steps. Nothing is ever subtracted
# from $s$.
#
# **RMSProp** keeps a moving average instead: of the old $s$ a share ρ = 0.9 survives.
# **AdaDelta** does the same, and replaces the learning rate by the moving average of its own past
# steps $d$. (Its paper has no $\eta$. Keras multiplies by one, 0.001 unless you say otherwise, with
# which it hardly moves. Set it to 1.)


# %%
def adagrad(theta, g, s, t, eta=0.001, epsilon=1e-7):
    s["s"] = s.get("s", 0.1) + g**2
    return theta - eta * g / np.sqrt(s["s"] + epsilon)


def rmsprop(theta, g, s, t, eta=0.001, rho=0.9, epsilon=1e-7):
    s["s"] = rho * s.get("s", 0) + (1 - rho) * g**2
    return theta - eta * g / np.sqrt(s["s"] + epsilon)


def adadelta(theta, g, s, t, eta=0.001, rho=0.95, epsilon=1e-7):
    s["s"] = rho * s.get("s", 0) + (1 - rho) * g**2
    step = np.sqrt(s.get("d", 0) + epsilon) / np.sqrt(s["s"] + epsilon) * g
    s["d"] = rho * s.get("d", 0) + (1 - rho) * step**2
    return theta - eta * step


# %% [markdown]
# The **effective rate** of a parameter is what the gradient is multiplied by in the end. Feed
# AdaGrad and RMSProp random gradients: 300 steps of size about 1, then 300 of a tenth of that.
#
# **Predict first:** what do the two effective rates do after step 300?

# %%
draws = np.random.default_rng(0).normal(size=600) * np.repeat([1.0, 0.1], 300)
effective = {}
for name, update in {"AdaGrad": adagrad, "RMSProp": rmsprop}.items():
    theta, s, effective[name] = 0.0, {}, []
    for t, g in enumerate(draws, start=1):
        moved = update(theta, g, s, t, eta=0.1)
        effective[name].append((theta - moved) / g)
        theta = moved

fig, ax = plt.subplots()
for i, (name, rates) in enumerate(effective.items()):
    ax.semilogy(rates, **ck.plotting.line_kw(i), label=name, linewidth=1.2)
ax.axvline(300, color=COLORS[7], linestyle=":", label="gradients become ten times smaller")
ax.set(xlabel="step", ylabel="effective rate (log scale)",
       title="AdaGrad's rate can only fall; RMSProp's follows the gradients")  # fmt: skip
ax.legend(loc="upper center")
ck.show(
    fig,
    alt="Effective rate against the step. AdaGrad's falls all the time. RMSProp's goes up and down "
    "around one value, and settles about ten times higher after the gradients have become smaller.",
)

# %%
for steps in (100, 1000, 10_000):
    reached = [
        -walk(update, lambda p: np.ones(2), (0, 0), steps=steps, eta=0.1)[-1, 0]
        for update in (adagrad, rmsprop)
    ]
    print(
        f"{steps:6d} steps down an even slope: AdaGrad {reached[0]:7.1f}, RMSProp {reached[1]:7.1f}"
    )

# %% tags=["claim"]
falling = np.diff(effective["AdaGrad"])
assert (falling <= 0).all(), f"AdaGrad's rate should never rise; once by {falling.max()}"
before, after = (np.median(effective["RMSProp"][i : i + 200]) for i in (100, 400))
assert 5 < after / before < 20, f"RMSProp's rate should rise about tenfold: {after / before:.1f}"

# %% [markdown]
# AdaGrad's steps shrink like $1/\sqrt t$: down an even slope, a hundred times as many steps take it
# only some ten times as far. On a convex problem that is what lets it settle. In a deep net it
# often **stops too early**. RMSProp's window forgets, so its rate recovers.

# %% [markdown]
# ## 5 · Adam and its family
#
# **Adam** is momentum over RMSProp: a moving average $m$ of the gradients (β₁ = 0.9), divided by
# the root of a moving average $v$ of their squares (β₂ = 0.999). Both start at 0 and are too small
# in the first steps, so both are **corrected**: $\hat m = m / (1 - \beta_1^t)$ and
# $\hat v = v / (1 - \beta_2^t)$. The small ε = 1e-7 keeps the division finite.


# %%
def adam(theta, g, s, t, eta=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, corrected=True):
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g**2
    if not corrected:
        return theta - eta * s["m"] / (np.sqrt(s["v"]) + epsilon)
    m_hat, v_hat = s["m"] / (1 - beta_1**t), s["v"] / (1 - beta_2**t)
    epsilon = epsilon / np.sqrt(1 - beta_2**t)  # Keras adds ε before it corrects v
    return theta - eta * m_hat / (np.sqrt(v_hat) + epsilon)


# %% [markdown]
# **Predict first:** how long is the very first step, if the gradient is 1000? If it is 0.001? And
# without the correction, are the first steps too short or too long?

# %%
eta = 0.001
scales = 10.0 ** np.arange(-6, 5)
first = {
    update.__name__: np.array([-update(0.0, g, {}, 1, eta=eta) for g in scales])
    for update in (gradient_descent, rmsprop, adam)
}
steps = range(1, 201)
sizes = {}
for corrected in (True, False):
    ones = walk(adam, lambda p: np.ones(2), (0, 0), steps=200, eta=eta, corrected=corrected)
    sizes[corrected] = -np.diff(ones[:, 0])

labels = {"gradient_descent": "gradient descent", "rmsprop": "RMSProp", "adam": "Adam"}
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
for i, (name, size) in enumerate(first.items()):
    left.loglog(scales, size, marker=ck.plotting.MARKERS[i], **ck.plotting.line_kw(i),
                markersize=4, label=labels[name])  # fmt: skip
left.set(xlabel="gradient (log scale)", ylabel="first step (log scale)",
         title="Adam's first step is about η")  # fmt: skip
right.plot(steps, sizes[True] / eta, **ck.plotting.line_kw(2), label="with correction")
right.plot(steps, sizes[False] / eta, **ck.plotting.line_kw(3), label="without")
right.set(xlabel="step, gradient 1 throughout", ylabel="step, in units of η",
          title=f"Uncorrected, it is up to {sizes[False].max() / eta:.1f} η")  # fmt: skip
left.legend()
right.legend()
ck.show(
    fig,
    alt="Left: size of the first step against the gradient's scale. Gradient descent's grows in "
    "proportion; Adam's and RMSProp's stay flat except for tiny gradients, RMSProp's higher. Right: "
    "Adam's steps are eta throughout with correction; without, they rise to several eta and "
    "come down slowly.",
)

# %%
print("gradient     first step of Adam / η")
for g, size in zip(scales, first["adam"], strict=True):
    print(f"{g:8g}     {size / eta:.4f}")

# %% tags=["claim"]
usual = scales >= 1e-3
assert np.allclose(first["adam"][usual], eta, rtol=0.01), f"expected about η: {first['adam']}"
assert np.allclose(sizes[True], eta, rtol=1e-3), "corrected steps should be η throughout"
assert sizes[False].max() > 2 * eta, "uncorrected steps should be too long at first"

# %% [markdown]
# Adam's first step has the size η **whatever the scale of the gradient**, as long as the gradient
# is well above ε. (Below about 1e-5 you see ε at work: in Keras, in the first step, it weighs
# $\varepsilon / \sqrt{1 - \beta_2}$.) That is why 0.001 serves so many nets as a start.
#
# Without the correction both averages are too small, but $\sqrt v$ by more: the steps come out too
# **long**, just when the net knows least.
#
# Three relatives change one thing each:
#
# - **AdaMax** replaces $\sqrt v$ by the largest recent $|g|$: the infinity norm in place of the
#   2-norm.
# - **Nadam** is Adam with Nesterov's look ahead. Its β₁ is warmed up as well.
# - **AdamW** shrinks the weights by a share ηλ at each step, *beside* Adam's step: decoupled
#   **weight decay** (가중치 감소). Section 10 shows why that differs from an ℓ2 penalty.


# %%
def adamax(theta, g, s, t, eta=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["u"] = np.maximum(beta_2 * s.get("u", 0), abs(g))
    return theta - eta * s["m"] / (1 - beta_1**t) / (s["u"] + epsilon)


def nadam(theta, g, s, t, eta=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    now, ahead = (beta_1 * (1 - 0.5 * 0.96**k) for k in (t, t + 1))
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g**2
    s["product"] = s.get("product", 1) * now  # of all β₁ so far
    m_hat = ahead * s["m"] / (1 - s["product"] * ahead) + (1 - now) * g / (1 - s["product"])
    return theta - eta * m_hat / (np.sqrt(s["v"] / (1 - beta_2**t)) + epsilon)


def adamw(theta, g, s, t, eta=0.001, weight_decay=0.004, **settings):
    return adam(theta - eta * weight_decay * theta, g, s, t, eta, **settings)


# %% [markdown]
# ## 6 · Do they take Keras' steps?
#
# A formula that you wrote is a guess until something independent confirms it. Let all ten and their
# Keras twins walk 50 steps over the same noisy ground: 30 parameters with unlike curvatures.
#
# They run twice: with all numbers as written, Keras in float32; then in float64. In float64 there
# is one catch: Keras rounds constants such as 0.9 to float32 even then, so here both get the
# rounded ones.

# %%
twins = {  # ours, Keras', and the constants under both names
    "gradient descent": (gradient_descent, optimizers.SGD, {}),
    "momentum": (momentum, optimizers.SGD, {"beta": ("momentum", 0.9)}),
    "Nesterov": (
        nesterov,
        lambda **k: optimizers.SGD(nesterov=True, **k),
        {"beta": ("momentum", 0.9)},
    ),
    "AdaGrad": (adagrad, optimizers.Adagrad, {}),
    "RMSProp": (rmsprop, optimizers.RMSprop, {"rho": ("rho", 0.9)}),
    "AdaDelta": (adadelta, optimizers.Adadelta, {"rho": ("rho", 0.95)}),
    "Adam": (adam, optimizers.Adam, {}),
    "AdaMax": (adamax, optimizers.Adamax, {}),
    "Nadam": (nadam, optimizers.Nadam, {}),
    "AdamW": (adamw, optimizers.AdamW, {"weight_decay": ("weight_decay", 0.004)}),
}
betas = {"beta_1": ("beta_1", 0.9), "beta_2": ("beta_2", 0.999)}
for name in ("Adam", "AdaMax", "Nadam", "AdamW"):
    twins[name][2].update(betas)


# %%
def difference(ours, theirs, rounded):
    """Walk both for 50 steps; return the largest difference of a parameter."""
    rng = np.random.default_rng(8)
    theta, curvature = rng.normal(size=30), rng.uniform(0.1, 3, size=30)
    variable, s = keras.Variable(theta), {}
    for t in range(1, 51):
        g = curvature * theta + rng.normal(0, 0.3, size=30)
        theirs.apply([keras.ops.convert_to_tensor(g, variable.dtype)], [variable])
        theta = ours(theta, g, s, t, **rounded)
    return np.abs(theta - variable.numpy()).max()


def twin_difference(name, floatx):
    ours, theirs, constants = twins[name]
    read = (lambda v: float(np.float32(v))) if floatx == "float64" else float
    keras.config.set_floatx(floatx)
    try:
        theirs = theirs(learning_rate=0.01, **{key: read(v) for key, v in constants.values()})
        return difference(
            ours, theirs, {"eta": 0.01} | {k: read(v) for k, (_, v) in constants.items()}
        )
    finally:
        keras.config.set_floatx("float32")


differences = {name: [twin_difference(name, f) for f in ("float32", "float64")] for name in twins}
print("largest difference to Keras after 50 steps\n                     float32    float64")
for name, (single, double) in differences.items():
    print(f"{name:18s} {single:9.1e}  {double:9.1e}")

# %% tags=["claim"]
for name, (single, double) in differences.items():
    allowed = 1e-6 if name == "Nadam" else 1e-9
    assert single < 1e-5, f"{name}: {single} from Keras after 50 steps in float32"
    assert double < allowed, f"{name}: {double} from Keras after 50 steps in float64"

# %% [markdown]
# In float64 nine of ten agree to rounding. Nadam's difference is larger for one reason: the 0.96 in
# its warm-up is a float32 inside Keras and cannot be passed in.
#
# Agreeing with Keras is not the same as agreeing with the paper. Where they differ:
#
# | optimizer | the paper | Keras, and this lesson |
# |---|---|---|
# | Nesterov | gradient at $\theta + \beta m$ | stores $\theta + \beta m$ as the weights |
# | AdaGrad | $g / (\delta + \sqrt s)$, from $s = 0$ | $g / \sqrt{s + \varepsilon}$, from $s = 0.1$ |
# | RMSProp | no ε in the lecture | ε under the root |
# | AdaDelta | no learning rate | multiplied by one |
# | Adam | $\hat m / (\sqrt{\hat v} + \varepsilon)$ | ε added to $\sqrt v$ before the correction |
# | AdaMax | divides by $u$ | divides by $u + \varepsilon$ |
# | Nadam | warm-up $0.96^{t/250}$ | warm-up $0.96^t$, 250 times faster |
# | AdamW | decay not multiplied by the base rate | decay $\eta\lambda\theta$, biases too |
#
# ### "Nadam = Adadelta + NAG"?
#
# You can read this in popular notes. It is checkable: build both candidates, and see which one
# walks where Keras' Nadam walks. **Predict first:** will the wrong one be a little off, or
# altogether?


# %%
def adadelta_with_nesterov(theta, g, s, t, eta=0.01, beta=0.9, rho=0.95, epsilon=1e-7):
    s["s"] = rho * s.get("s", 0) + (1 - rho) * g**2
    step = np.sqrt(s.get("d", 0) + epsilon) / np.sqrt(s["s"] + epsilon) * g
    s["d"] = rho * s.get("d", 0) + (1 - rho) * step**2
    s["m"] = beta * s.get("m", 0) - eta * step
    return theta + beta * s["m"] - eta * step


candidates = {
    "Adam + Nesterov": difference(nadam, optimizers.Nadam(0.01), {"eta": 0.01}),
    "AdaDelta + Nesterov, rate 0.01": difference(
        adadelta_with_nesterov, optimizers.Nadam(0.01), {"eta": 0.01}
    ),
    "AdaDelta + Nesterov, rate 1": difference(
        adadelta_with_nesterov, optimizers.Nadam(0.01), {"eta": 1.0}
    ),
}
for name, value in candidates.items():
    print(f"{name:32s} differs from Keras' Nadam by {value:.1e} after 50 steps")

# %% tags=["claim"]
right_one, *wrong_ones = candidates.values()
assert right_one < 1e-5, f"Adam + Nesterov should be Keras' Nadam, it differs by {right_one}"
assert min(wrong_ones) > 1e4 * right_one, f"AdaDelta + NAG should be far off: {wrong_ones}"

# %% [markdown]
# Nadam is **Adam + Nesterov** momentum. AdaDelta has no part in it.

# %% [markdown]
# ## 7 · Ten walkers
#
# All ten in the valley from (−7, 2), 50 steps each. For a fair start each gets the best of 60 rates
# between 0.001 and 10: the one with the lowest mean of $f$ over its 50 steps. AdaDelta alone gets
# what its paper says, a rate of 1.
#
# **Predict first:** which paths will be straight, which will swing, and which one hardly moves?

# %%
walkers = {name: ours for name, (ours, _, _) in twins.items()}


def best_walk(update, f, gradient, start, steps):
    """Walk with 60 rates side by side; return the best rate and its path. AdaDelta's rate is 1."""
    rates = np.array([1.0]) if update is adadelta else np.geomspace(0.001, 10, 60)
    starts = np.tile(np.array(start, float), (len(rates), 1))
    with np.errstate(all="ignore"):  # rates that are too high overflow: they lose
        paths = walk(update, gradient, starts, steps, eta=rates[:, None])
        means = np.nan_to_num(f(paths).mean(axis=0), nan=np.inf)
    best = np.argmin(means)
    return rates[best], paths[:, best]


walks = {name: best_walk(u, valley, valley_gradient, start, 50) for name, u in walkers.items()}
groups = {"One rate for all": list(walkers)[:3], "Divided by past gradients": list(walkers)[3:6],
          "Adam's family": list(walkers)[6:]}  # fmt: skip


# %%
def draw_grounds(axes):
    """Draw the valley in each panel; return a line and a marker for each walker."""
    artists = {}
    for ax, (title, names) in zip(axes, groups.items(), strict=True):
        contours(ax, valley, (-8, 5), (-3.2, 3.2), levels)
        ax.plot(0, 0, "k+", markersize=9)
        for i, name in enumerate(names):
            (line,) = ax.plot([], [], "-", color=COLORS[i], linewidth=1)
            (marker,) = ax.plot([], [], ck.plotting.MARKERS[i], color=COLORS[i], label=name)
            artists[name] = line, marker
        ax.set_title(title, fontsize=10)
        ax.legend(loc="lower right", fontsize=8)
    return artists


def move_to(artists, step):
    for name, (line, marker) in artists.items():
        path = walks[name][1][: step + 1]
        line.set_data(*path.T)
        marker.set_data(*path[-1:].T)


fig, axes = plt.subplots(1, 3, figsize=(9, 3.4), sharey=True)
move_to(draw_grounds(axes), 50)
ck.show(
    fig,
    alt="Ten paths in the valley, in three panels. Gradient descent zigzags, momentum and Nesterov "
    "swing past the minimum. AdaGrad and RMSProp head for the minimum, AdaDelta hardly moves. "
    "Adam and its relatives start diagonally and swing past the minimum.",
)

# %% [markdown]
# Now in motion. Watch the first few steps: who knows at once that the two directions are unlike?

# %%
fig, axes = plt.subplots(1, 3, figsize=(7.8, 2.7), sharey=True, dpi=64)
artists, frames = draw_grounds(axes), []
for step in [50, *range(15), *range(16, 51, 5)]:
    move_to(artists, step)
    fig.suptitle(f"step {step}", fontsize=10)
    fig.canvas.draw()
    frames.append(Image.fromarray(np.asarray(fig.canvas.buffer_rgba())).convert("RGB"))
palette = frames.pop(0).quantize(16)  # one palette for all frames keeps the file small
frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
plt.close(fig)
animation = io.BytesIO()
frames[0].save(animation, "GIF", save_all=True, append_images=frames[1:], loop=0, optimize=True,
               duration=[150] * (len(frames) - 1) + [3000])  # fmt: skip

alt = ("Animation of the ten paths, step by step. Gradient descent jumps from wall to wall; the "
       "adaptive ones set out diagonally, as if both directions were equally steep.")  # fmt: skip
display(
    {"image/gif": base64.b64encode(animation.getvalue()).decode(), "text/plain": f"<GIF: {alt}>"},
    metadata={"image/gif": {"alt": alt}},
    raw=True,
)

# %%
print(f"valley, 50 steps from f = {valley(np.array(start)):.3g}")
for name, (rate, path) in sorted(walks.items(), key=lambda item: valley(item[1][1][-1])):
    print(f"  {name:18s} rate {rate:8.3g}   f in the end {valley(path[-1]):.1e}")

# %% tags=["claim"]
size = len(animation.getvalue())
assert size < 300_000, f"the animation should stay under 300 KB, it has {size:,} bytes"
directions = {name: np.abs(path[1] - path[0]) for name, (_, path) in walks.items()}
for name in ("RMSProp", "AdaDelta", "Adam", "AdaMax", "Nadam", "AdamW"):
    along, across = directions[name]
    assert 0.5 < along / across < 2, f"{name} should set out diagonally, it moves {along, across}"
along, across = directions["gradient descent"]
assert across > 3 * along, f"gradient descent should go across the valley first: {along, across}"

# %% [markdown]
# The adaptive ones divide each direction by the size of its own gradient, so at first both
# coordinates move alike. AdaDelta starts with $\sqrt\varepsilon$ in place of a rate and needs far
# more than 50 steps.
#
# Do not read the table as a ranking: two parameters, no noise, one starting point. On harder ground
# the order changes. **Rosenbrock's** banana, $(1 - x)^2 + 100 (y - x^2)^2$, has a curved floor; 500
# steps, the same rule for the rate.


# %%
def rosenbrock(p):
    return (1 - p[..., 0]) ** 2 + 100 * (p[..., 1] - p[..., 0] ** 2) ** 2


def rosenbrock_gradient(p):
    x, y = p[..., 0], p[..., 1]
    return np.stack([2 * (x - 1) - 400 * x * (y - x**2), 200 * (y - x**2)], axis=-1)


bends = [1, 10, 100, 600]
hills = (rosenbrock, rosenbrock_gradient, (-1.5, 1.5), 500)
bananas = {name: best_walk(u, *hills) for name, u in walkers.items()}
fig, axes = plt.subplots(2, 5, figsize=(9.5, 4), sharex=True, sharey=True)
for i, (ax, (name, (_, path))) in enumerate(zip(axes.flat, bananas.items(), strict=True)):
    contours(ax, rosenbrock, (-2, 2), (-1, 3), bends)
    ax.plot(*path.T, "-", color=COLORS[i % 6], linewidth=1)
    ax.plot(1, 1, "k+", markersize=9)
    ax.set_title(f"{name}\nf {rosenbrock(path[-1]):.0e}", fontsize=9)
    ax.set(xlabel="x" if i > 4 else "", ylabel="y" if i % 5 == 0 else "")
ck.show(
    fig,
    alt="Ten small panels with the paths on Rosenbrock's banana-shaped valley from upper left to the "
    "minimum at (1, 1), each with the value of f after 500 steps. Most follow the bend; some swing "
    "widely first.",
)
ranked = {
    "valley": sorted(walks, key=lambda name: valley(walks[name][1][-1])),
    "Rosenbrock": sorted(bananas, key=lambda name: rosenbrock(bananas[name][1][-1])),
}
for ground, names in ranked.items():
    print(f"{ground:11s} from lowest f: " + ", ".join(names))

# %% [markdown]
# And a **saddle**: $f(x, y) = \frac12 x^2 - \frac12 y^2 + \frac14 y^4$ falls towards y = ±1, but
# you start almost on the ridge, at y = 0.001, where the gradient along y is tiny. One rate for all
# this time, 0.03 (AdaDelta: 1).
#
# **Predict first:** who leaves first, and why?


# %%
def saddle(p):
    return p[..., 0] ** 2 / 2 - p[..., 1] ** 2 / 2 + p[..., 1] ** 4 / 4


def saddle_gradient(p):
    return np.array([p[0], p[1] ** 3 - p[1]])


escapes = {}
for name, update in walkers.items():
    eta = 1.0 if update is adadelta else 0.03
    path = walk(update, saddle_gradient, (-1.5, 0.001), steps=400, eta=eta)
    escapes[name] = np.abs(path[:, 1])

# %%
leave = {name: int(np.argmax(y > 0.5)) for name, y in escapes.items()}
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
for i, name in enumerate(["gradient descent", "momentum", "AdaGrad", "RMSProp", "Adam"]):
    left.plot(escapes[name][:301], **ck.plotting.line_kw(i), label=name)
left.set(xlabel="step", ylabel="distance from the ridge", title="Waiting on the ridge")
left.legend(fontsize=8)
order = sorted(leave, key=leave.get)
right.barh(order, [leave[name] for name in order], color=COLORS[0])
right.invert_yaxis()
right.set(xlabel="steps until |y| > 0.5", title=f"{order[0]} leaves first")
ck.show(
    fig,
    alt="Left: distance from the ridge against the step for five optimizers. RMSProp and Adam leave "
    "at once, momentum later, AdaGrad and gradient descent last. Right: bars of the steps all ten need: "
    + ", ".join(f"{name} {leave[name]}" for name in order),
)

# %% tags=["claim"]
assert all(leave.values()), f"all ten should leave the ridge within 400 steps: {leave}"
for name in ("RMSProp", "Adam", "Nadam"):
    assert leave[name] < leave["momentum"] < leave["gradient descent"], f"steps to leave: {leave}"

# %% [markdown]
# A tiny gradient means a tiny step for gradient descent, a growing one with momentum. Divided by
# its own size, the tiny gradient is as good as a large one: RMSProp and Adam walk off at about η
# per step. The same division makes them restless near a minimum, where noise is all there is.

# %% [markdown]
# ## 8 · The race on digits
#
# Now a net: three hidden layers of 100 ReLU units on handwritten digits. Every optimizer gets
#
# - the rate that a range test of 300 steps suggests ([lesson 09](09_learning_rate_schedules.ipynb)
#   explains it), and its other settings as Keras has them, with momentum 0.9;
# - the same starting weights, the same batches in the same order, the same number of epochs;
# - `n_seeds` runs.
#
# **Predict first:** who has the lowest validation loss? By how much does the winner lead, compared
# with the spread between seeds?

# %%
n, n_valid, epochs, n_seeds = lab.pick(
    quick=(4_000, 1_000, 4, 2), standard=(12_000, 3_000, 8, 5), full=(55_000, 5_000, 15, 5)
)
data = ck.load("mnist").subset(n)
x, y, valid = data.x_train, data.y_train, (data.x_valid[:n_valid], data.y_valid[:n_valid])
batch_size = 128
print(f"{data.name} ({data.source}): {n:,} training images, {len(valid[0]):,} for validation, "
      f"{epochs} epochs, {n_seeds} seeds")  # fmt: skip


def build(seed, l2=None):
    keras.utils.set_random_seed(seed)
    kwargs = {"kernel_initializer": "he_normal", "kernel_regularizer": l2}
    hidden = [keras.layers.Dense(100, "relu", **kwargs) for _ in range(3)]
    output = keras.layers.Dense(10, "softmax", kernel_regularizer=l2)
    return keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), *hidden, output])


def compile_with(model, optimizer, metrics=("accuracy",)):
    """Compile; return all numbers that the optimizer keeps, with their values at the start."""
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=list(metrics))
    optimizer.build(model.trainable_variables)
    hidden = [v for v in vars(optimizer).values() if isinstance(v, keras.Variable)]  # Nadam has one
    return [(v, v.numpy()) for v in [*optimizer.variables, *hidden]]


# %%
starts = [build(seed).get_weights() for seed in range(n_seeds)]
model = build(seed=0)


def train(rate, fresh, seed):
    """Train from the start with one seed; return the history."""
    model.set_weights(starts[seed])
    for variable, value in fresh:
        variable.assign(value)
    model.optimizer.learning_rate = rate
    return ck.fit(model, x, y, epochs=epochs, batch_size=batch_size, validation_data=valid,
                  verbose=0, seed=seed).history  # fmt: skip


def with_momentum(**settings):
    return optimizers.SGD(momentum=0.9, **settings)


entrants = {name: theirs for name, (_, theirs, _) in twins.items()}
entrants["momentum"] = with_momentum
entrants["Nesterov"] = lambda: with_momentum(nesterov=True)

# %% [markdown]
# One more question belongs to every such race: how much of the result is due to the *rate*? Each
# optimizer therefore also trains with a third of its rate and with three times its rate (seed 0
# only).

# %%
rates, slots, races, other_rates = {}, {}, {}, {}
for name, optimizer in entrants.items():
    model.set_weights(starts[0])
    fresh = compile_with(model, optimizer())
    test = ck.lr_range_test(model, x, y, batch_size=batch_size, min_lr=1e-5, max_lr=100, steps=300)
    rates[name] = test.suggestion
    slots[name] = sum(v.numpy().size for v in model.optimizer.variables
                      if v.path.split("/")[-1] not in ("iteration", "learning_rate"))  # fmt: skip
    races[name] = [train(rates[name], fresh, seed) for seed in range(n_seeds)]
    other_rates[name] = [train(rates[name] * k, fresh, seed=0) for k in (1 / 3, 3)]

losses = {name: np.array([run["val_loss"] for run in runs]) for name, runs in races.items()}
final = {
    name: losses[name][:, -1] for name in sorted(losses, key=lambda k: losses[k][:, -1].mean())
}

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4), width_ratios=[3, 2])
for i, name in enumerate(["gradient descent", "momentum", "RMSProp", "Adam"]):
    ck.plotting.band(left, range(1, epochs + 1), losses[name], name, i)
left.set(
    xlabel="epoch", ylabel="validation loss", title=f"Four of them: mean, range of {n_seeds} seeds"
)
left.legend()
ck.plotting.strip(right, final, "validation loss after the last epoch")
right.set_title(f"{next(iter(final))} ends lowest")
ck.show(
    fig,
    alt="Left: validation loss against epoch for gradient descent, momentum, RMSProp and Adam, mean "
    "and range over seeds. Right: final validation loss of every run of all ten, from lowest to "
    "highest mean: " + ", ".join(f"{name} {v.mean():.2f}" for name, v in final.items()),
)

# %%
fig, ax = plt.subplots(figsize=(8, 3.8))
for i, (factor, marker) in enumerate(zip((1 / 3, 1, 3), "vos", strict=True)):
    values = [
        races[name][0]["val_loss"][-1]
        if factor == 1
        else other_rates[name][factor > 1]["val_loss"][-1]
        for name in final
    ]
    ax.plot(values, range(len(final)), marker, color=COLORS[i],
            label=f"rate × {'1/3' if factor < 1 else int(factor)}")  # fmt: skip
ax.set_yticks(range(len(final)), list(final))
ax.invert_yaxis()
third = {name: [runs[0]["val_loss"][-1] for runs in ([a], races[name], [b])]
         for name, (a, b) in other_rates.items()}  # fmt: skip
won_by = min(third, key=lambda name: min(third[name]))
ax.set(xlabel="validation loss after the last epoch, seed 0",
       title=f"With the best of three rates: {won_by} is lowest")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Final validation loss of each optimizer with a third of its rate, its rate, and three times "
    "its rate. " + "; ".join(f"{n}: {', '.join(f'{v:.2f}' for v in third[n])}" for n in final),
)
by_rate = np.median([max(v) - min(v) for v in third.values()])
by_optimizer = np.ptp([min(v) for v in third.values()])
by_seed = np.median([np.ptp(v) for v in final.values()])
print(f"typical range over three rates, same optimizer:  {by_rate:.3f}")
print(f"range over ten optimizers, best of three rates:  {by_optimizer:.3f}")
print(f"typical range over seeds, same optimizer:        {by_seed:.3f}")

# %% tags=["claim"]
training = {name: np.mean([run["loss"][-1] for run in runs]) for name, runs in races.items()}
for name in ("momentum", "Adam", "Nadam"):
    assert training[name] < training["gradient descent"], f"{name} should fit better: {training}"

# %% [markdown]
# Read the two pictures together. With its suggested rate an optimizer may look far better or worse
# than with a rate three times as large, and the gaps between many of the ten shrink once each may
# choose among three rates. **An optimizer race without a word on how the rates were found says
# little.**
#
# The range test itself is part of the story: a short one (100 steps) scatters widely for the Adam
# family, because their moving averages need time; 300 steps are steadier. And its rule, half of the
# trough's middle, need not be equally kind to all ten: plain gradient descent would bear more.
#
# You may also read that **adaptive methods generalise worse** (Wilson et al., 2017). Look at the
# difference between validation and training loss of each:

# %%
print("                   training  validation  difference   (means after the last epoch)")
for name, values in final.items():
    gap = values.mean() - training[name]
    print(f"{name:18s} {training[name]:8.3f}  {values.mean():10.3f}  {gap:+10.3f}")

# %% [markdown]
# A larger difference is no verdict: who fits the training data further shows a larger gap, whatever
# the method. What counts is the validation column. Later studies that tuned every optimizer's
# settings equally well found that the adaptive ones do not lose (Choi et al., 2019). On your own
# problem: try both, with tuned rates, and look at validation results.

# %% [markdown]
# ## 9 · Momentum 0.9 against 0.99999
#
# If 0.9 makes the ball ten times faster, 0.99999 should make it a hundred thousand times faster.
# **Predict first:** what happens in the valley, and what to the net?

# %%
rolls = {beta: walk(momentum, valley_gradient, start, steps=400, eta=0.1, beta=beta)
         for beta in (0.9, 0.99999)}  # fmt: skip
fresh = compile_with(model, optimizers.SGD(momentum=0.99999))
frictionless = [train(rates["momentum"], fresh, seed) for seed in range(n_seeds)]
curves = {
    beta: np.array([run["loss"] for run in runs])
    for beta, runs in {0.9: races["momentum"], 0.99999: frictionless}.items()
}

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
for i, (beta, path) in enumerate(rolls.items()):
    distance = np.maximum(np.linalg.norm(path, axis=1), 1e-12)
    left.semilogy(distance, **ck.plotting.line_kw(i), linewidth=1)
    ck.plotting.band(right, range(1, epochs + 1), curves[beta], f"β = {beta:g}", i)
left.set(
    xlabel="step",
    ylabel="distance to the minimum (log scale, cut)",
    title="The valley: no friction, no rest",
)
right.set(
    xlabel="epoch", ylabel="training loss", title=f"The net, same rate: range of {n_seeds} seeds"
)
right.legend()
ck.show(
    fig,
    alt="Left: distance to the minimum of the valley against the step; with 0.9 it falls to nothing, "
    "with 0.99999 it swings on undiminished. Right: training loss of the net per epoch; the run with "
    "0.99999 stays above the one with 0.9 at the end.",
)
still = {beta: np.linalg.norm(path[-100:], axis=1).max() for beta, path in rolls.items()}
for beta in rolls:
    print(f"β = {beta:<8g} valley: at most {still[beta]:.1e} from the minimum in the last 100 steps; "
          f"net: training loss {curves[beta][:, -1].mean():.3f}")  # fmt: skip

# %% tags=["claim"]
assert still[0.9] < 1e-6, f"with 0.9 the ball should have come to rest: {still[0.9]}"
assert still[0.99999] > 1, f"with 0.99999 it should still swing: {still[0.99999]}"
ends = {beta: runs[:, -1].mean() for beta, runs in curves.items()}
assert not ends[0.99999] < ends[0.9], f"0.9 should end with the lower training loss: {ends}"

# %% [markdown]
# $1 - \beta$ is the friction. With 0.99999 there is hardly any: the ball shoots through the
# minimum, up the other side, and back, for ever so long. The net does learn something, because at
# first the ball does roll downhill; then it rolls past. And 0.99999 takes some 100,000 steps to
# reach its terminal velocity, so the hundred thousand is never seen in practice.

# %% [markdown]
# ## 10 · ℓ2 in Adam is not weight decay
#
# An **ℓ2 penalty** adds $\frac{\lambda}{2} \lVert\theta\rVert^2$ to the loss, which adds
# $\lambda\theta$ to the gradient. **Weight decay** multiplies the weights by $1 - \eta\lambda$ at
# each step. For plain gradient descent the two are the same:
# $\theta - \eta(g + \lambda\theta) = (1 - \eta\lambda)\theta - \eta g$. (Keras' `L2(c)` has no ½, so
# $c = \lambda/2$.) For Adam they are not, because the penalty's share of the gradient is divided by
# $\sqrt v$ as well.
#
# Here are 1,000 weights, all 1 at the start. Half of them get noisy gradients of size 10, half of
# size 0.01; on average their gradient is zero, so only decay should move them. λ = 1, η = 0.001,
# 500 steps.
#
# **Predict first:** which half shrinks more with ℓ2, which with AdamW?

# %%
decay, steps = 1.0, 500
noise = np.random.default_rng(0).normal(size=(steps, 1000)) * np.repeat([10, 0.01], 500)
penalised, decayed, s_penalised, s_decayed = np.ones(1000), np.ones(1000), {}, {}
for t, g in enumerate(noise, start=1):
    penalised = adam(penalised, g + decay * penalised, s_penalised, t)
    decayed = adamw(decayed, g, s_decayed, t, weight_decay=decay)

halves = {
    name: [theta[:500].mean(), theta[500:].mean()]
    for name, theta in {"Adam with ℓ2": penalised, "AdamW": decayed}.items()
}
print("mean weight after 500 steps    gradients of size 10    of size 0.01")
for name, (large, small) in halves.items():
    print(f"{name:30s} {large:20.3f} {small:15.3f}")
print(f"(1 − ηλ)^{steps} = {(1 - 0.001 * decay) ** steps:.3f}")

# %% tags=["claim"]
large, small = halves["AdamW"]
assert abs(large - small) < 0.02, f"AdamW should shrink both halves alike: {large, small}"
large, small = halves["Adam with ℓ2"]
assert large - small > 0.2, f"ℓ2 in Adam should spare large gradients: {large, small}"

# %% [markdown]
# AdamW shrinks all weights by the same factor, the one you asked for. With ℓ2 in Adam the weights
# with large gradients are nearly spared, and the others are pushed down at full speed.
#
# The same in the net. To see it, sort the first layer's weights by the size of their past gradients
# ($v$, in four groups of equal number), and ask what share of its norm each group keeps, compared
# with Adam without any decay. λ is 0.01 for ℓ2; AdamW runs with the same 0.01 and with 1.

# %%
penalty = keras.regularizers.L2(0.01 / 2)
plans = {
    "Adam": (None, optimizers.Adam(0.001)),
    "Adam + ℓ2, λ = 0.01": (penalty, optimizers.Adam(0.001)),
    "AdamW, λ = 0.01": (None, optimizers.AdamW(0.001, weight_decay=0.01)),
    "AdamW, λ = 1": (None, optimizers.AdamW(0.001, weight_decay=1.0)),
}
kept, norms, decayed_nets = {}, {}, {}
for name, (l2, optimizer) in plans.items():
    model = build(0, l2)
    compile_with(model, optimizer, ["accuracy", "sparse_categorical_crossentropy"])
    decayed_nets[name] = ck.fit(model, x, y, epochs=epochs, batch_size=batch_size,
                                validation_data=valid, verbose=0, seed=0).history  # fmt: skip
    weights = model.get_weights()[0]
    if name == "Adam":
        plain = weights
        velocity = next(v for v in optimizer.variables if "velocity" in v.path).numpy()
        group = velocity.ravel().argsort().argsort() * 4 // velocity.size
    share = [np.linalg.norm(weights.ravel()[group == i]) / np.linalg.norm(plain.ravel()[group == i])
             for i in range(4)]  # fmt: skip
    kept[name], norms[name] = np.array(share), [np.linalg.norm(w) for w in model.get_weights()[::2]]

# %%
fig, ax = plt.subplots()
for i, name in enumerate(list(plans)[1:]):
    ax.plot(
        range(4), kept[name], marker=ck.plotting.MARKERS[i], **ck.plotting.line_kw(i), label=name
    )
ax.set_xticks(range(4), ["smallest", "small", "large", "largest"])
ax.set(xlabel="weights of the first layer, by the size of their gradients", ylim=(0, 1.15),
       ylabel="norm kept, compared with Adam",
       title="ℓ2 in Adam shrinks most what the data care about least")  # fmt: skip
ax.legend()
ck.show(
    fig,
    alt="Share of the norm that four groups of weights keep. With l2 in Adam the share rises steeply "
    "from the group with the smallest gradients to the one with the largest; both AdamW lines are flat, "
    "the one with decay 1 below the one with 0.01.",
)
print(
    "                      weight norm of each layer              validation: cross-entropy, accuracy"
)
for name, norm in norms.items():
    history = decayed_nets[name]
    print(f"{name:20s}", *(f"{v:8.2f}" for v in norm),
          f"{history['val_sparse_categorical_crossentropy'][-1]:18.3f}"
          f"{history['val_accuracy'][-1]:12.1%}")  # fmt: skip

# %% tags=["claim"]
spread = {name: share.max() / share.min() for name, share in kept.items()}
assert spread["Adam + ℓ2, λ = 0.01"] > 3, f"ℓ2 should shrink the groups unequally: {spread}"
assert spread["AdamW, λ = 1"] < 1.5, f"AdamW should shrink the groups alike: {spread}"
assert norms["AdamW, λ = 1"][0] < norms["Adam"][0], f"decay should lower the norm: {norms}"

# %% [markdown]
# The same number λ means two different things: 0.01 as ℓ2 is strong, 0.01 in AdamW is hardly felt,
# as each step takes only ηλ = 0.001 · 0.01 of a weight. Never carry a λ over from one to the other.
# (This was one run: it shows what happens to weights, not which net generalises better. For that,
# [lesson 10](10_regularisation.ipynb).)

# %% [markdown]
# ## 11 · What it costs, and what it brings
#
# Every slot is an array as large as the parameters. **Predict first:** how many numbers does Adam
# keep for a net with a million parameters? How many would Newton's method need?

# %%
parameters = model.count_params()
memory = {name: count / parameters for name, count in slots.items()}
print(f"{parameters:,} parameters; numbers that each optimizer keeps, counted in its variables:")
for name, per_parameter in memory.items():
    gigabytes = 4e9 * (2 + per_parameter) / 1e9
    print(f"  {name:18s} {per_parameter:.0f} per parameter   "
          f"(with weights and gradients: {gigabytes:.0f} GB for a billion parameters)")  # fmt: skip
print(f"  Newton's method: a matrix of {parameters**2:.1e} numbers, {4 * parameters**2 / 1e9:.0f} GB "
      "for this small net")  # fmt: skip

# %% tags=["claim"]
expected = [0, 1, 1, 1, 1, 2, 2, 2, 2, 2]  # Nadam keeps one single number more
measured = [round(per_parameter, 3) for per_parameter in memory.values()]
assert measured == expected, f"slots per parameter: expected {expected}, counted {memory}"

# %% [markdown]
# And the summary. **Speed** is the first epoch whose mean validation loss is at or below the best
# that gradient descent reached in the whole race. **Quality** is the validation result after the
# last epoch.

# %%
target = losses["gradient descent"].mean(axis=0).min()
print(
    f"{epochs} epochs, {n_seeds} seeds; speed: epochs to reach a validation loss of {target:.3f}\n"
)
print("optimizer            rate  slots  speed   validation loss   accuracy   best of 3 rates")
for name in final:
    reached = np.flatnonzero(losses[name].mean(axis=0) <= target)
    speed = str(reached[0] + 1) if len(reached) else "–"
    accuracy = np.mean([run["val_accuracy"][-1] for run in races[name]])
    print(f"{name:18s} {rates[name]:6.2g} {memory[name]:6.0f} {speed:>6s} "
          f"{final[name].mean():11.3f} ± {final[name].std(ddof=1):.3f} {accuracy:9.1%} "
          f"{min(third[name]):14.3f}")  # fmt: skip

# %% [markdown]
# What to take, from experience with many problems more than from this one race: for a first try
# **AdamW, Nadam or Adam**, which fit fast over a wide range of problems; **Nesterov or momentum** with
# a tuned rate and a schedule where memory is short, or where the adaptive ones disappoint; AdaGrad,
# AdaDelta and AdaMax for special cases. (The default of
# [lesson 13](13_practical_guidelines.ipynb) is Nesterov with a schedule, or AdamW.) The rate and its
# schedule (lesson 09) matter at least as much.

# %% [markdown]
# ## 12 · A trap: set and never read
#
# You have trained a while and lower the momentum. The attribute reads back as set. **Predict
# first:** how far are the weights from those of a net that kept 0.9?


# %%
def two_fits(change):
    keras.utils.set_random_seed(0)
    small = keras.Sequential([keras.Input((784,)), keras.layers.Dense(10, "softmax")])
    optimizer = optimizers.SGD(0.01, momentum=0.9)
    small.compile(optimizer, loss="sparse_categorical_crossentropy")
    images, labels = x[:1000].reshape(-1, 784), y[:1000]
    small.fit(images, labels, verbose=0, shuffle=False)
    change(optimizer)
    small.fit(images, labels, verbose=0, shuffle=False)
    return small.get_weights()[0]


kept_weights = two_fits(lambda optimizer: None)
changed = {
    "optimizer.momentum = 0.0": two_fits(lambda o: setattr(o, "momentum", 0.0)),
    "optimizer.lr = 1e-6": two_fits(lambda o: setattr(o, "lr", 1e-6)),
    "optimizer.learning_rate = 1e-6": two_fits(lambda o: setattr(o, "learning_rate", 1e-6)),
}
for line, weights in changed.items():
    print(f"{line:32s} moves the final weights by {np.abs(weights - kept_weights).max():.1e}")

# %% tags=["claim"]
moved = [np.abs(weights - kept_weights).max() for weights in changed.values()]
assert moved[:2] == [0, 0], f"momentum and lr should have no effect at all: {moved}"
assert moved[2] > 1e-4, f"the learning rate is a variable and should have an effect: {moved[2]}"

# %% [markdown]
# Nothing, and no warning. Keras traces the update once; there momentum (β₁, β₂, ε, weight decay
# alike) is a **constant**. `optimizer.lr` is a new attribute that nobody reads. Only the learning
# rate is a variable. The cure: compile with a new optimizer, which also empties its slots, or let
# the update read a variable (lesson 09, section 6).

# %% [markdown]
# ## Explore: the optimizer race
#
# Choose the ground and move the sliders. β is the momentum, RMSProp's ρ and Adam's β₁. Which walker
# bears the highest rate on Rosenbrock? What does β do to the swings of momentum, and what to
# Adam's?

# %%
grounds = {
    "valley": (valley, valley_gradient, (-7, 2), (-8, 5), (-3, 3), levels),
    "Rosenbrock": (rosenbrock, rosenbrock_gradient, (-1.5, 1.5), (-2, 2), (-1, 3), bends),
    "saddle": (saddle, saddle_gradient, (-1.5, 0.001), (-2, 2), (-1.6, 1.6), [-0.2, 0, 0.3, 1]),
}  # fmt: skip


def draw_race(ground, log10_rate, beta, steps):
    f, gradient, begin, *picture = grounds[ground]
    entries = {"gradient descent": (gradient_descent, {}), "momentum": (momentum, {"beta": beta}),
               "Nesterov": (nesterov, {"beta": beta}), "RMSProp": (rmsprop, {"rho": beta}),
               "Adam": (adam, {"beta_1": beta})}  # fmt: skip
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
    contours(left, f, *picture)
    for i, (name, (update, settings)) in enumerate(entries.items()):
        with np.errstate(all="ignore"):
            path = walk(update, gradient, begin, steps, eta=10**log10_rate, **settings)
            heights = f(path) - f(np.array([0, 1.0]) if ground == "saddle" else path[:0]).sum()
        path = path[(np.abs(path) < 1e3).all(axis=1)]
        left.plot(*path.T, ".-", color=COLORS[i], linewidth=1, markersize=3, label=name)
        right.semilogy(
            np.clip(np.nan_to_num(heights, nan=1e6), 1e-12, 1e6), **ck.plotting.line_kw(i)
        )
    left.set_title(f"{ground}, rate {10**log10_rate:.2g}, β = {beta:.2g}")
    right.set(xlabel="step", ylabel="f above the minimum (log, cut)", title="Lower is better")
    left.legend(fontsize=8)
    return fig


ck.widgets.explore(
    draw_race,
    alt="Paths of five optimizers on the chosen ground, and f against the step for each.",
    ground=list(grounds),
    log10_rate=(-4.0, 0.5, -1.0),
    beta=(0.0, 0.99, 0.9),
    steps=(10, 500, 60),
)

# %% [markdown]
# ## Pitfalls
#
# - **Comparing optimizers at one rate for all.** The rates that suit gradient descent and Adam
#   differ tenfold or more. Find each one's own.
# - **AdaDelta with Keras' default rate 0.001** hardly moves. Its paper means 1.
# - **`Adam(weight_decay=…)` and `kernel_regularizer`** are different things; `val_loss` holds the
#   penalty of the second.
# - **`lr=`, `decay=`, `optimizer.lr`** are names of the past. Today: `learning_rate=`, a schedule,
#   `optimizer.learning_rate`.
# - **Setting momentum or β₁ on a compiled optimizer** changes nothing (section 12).
# - **Loading only the weights** and training on: the slots start at 0 again. Save the whole model
#   to keep them.

# %% [markdown]
# ## Recap
#
# - One rate for unlike directions makes plain gradient descent slow: the steepest direction limits
#   it.
# - Momentum gains up to 1/(1 − β) where gradients agree; Nesterov brakes earlier; too close to 1
#   never rests.
# - AdaGrad's rate only falls; RMSProp's window forgets; Adam adds momentum and corrects the start:
#   first step about η.
# - AdamW decays all weights alike; ℓ2 in Adam does not. Nadam is Adam + Nesterov.
# - Slots cost memory: none, one or two per parameter. A comparison needs tuned rates, several
#   seeds, one budget.

# %% [markdown]
# ## Now practise
#
# Open [exercise 08](../exercises/08_optimizers.ipynb): write momentum, Nesterov, AdaGrad, RMSProp,
# Adam and AdamW as update functions that work in NumPy and inside Keras, and train a net with your
# own.
#
# Then go on with lesson
# [09 Learning-rate schedules](09_learning_rate_schedules.ipynb).

# %% [markdown]
# ## Further reading
#
# - B. T. Polyak, *Some Methods of Speeding up the Convergence of Iteration Methods*, USSR Computational
#   Mathematics and Mathematical Physics 4(5), 1964: momentum.
# - Y. Nesterov, *A Method of Solving a Convex Programming Problem with Convergence Rate O(1/k²)*, Soviet
#   Mathematics Doklady 27, 1983.
# - I. Sutskever, J. Martens, G. Dahl and G. Hinton, *On the Importance of Initialization and
#   Momentum in Deep Learning*, ICML 2013: section 2, both momenta.
# - J. Duchi, E. Hazan and Y. Singer, *Adaptive Subgradient Methods for Online Learning and
#   Stochastic Optimization*, JMLR 12, 2011.
# - T. Tieleman and G. Hinton, *Lecture 6.5: RMSProp*, Coursera, *Neural Networks for Machine Learning*,
#   2012.
# - M. D. Zeiler, *ADADELTA: An Adaptive Learning Rate Method*, 2012, arXiv:1212.5701.
# - D. P. Kingma and J. Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015,
#   arXiv:1412.6980: section 3, bias correction; section 7, AdaMax.
# - I. Loshchilov and F. Hutter, *Decoupled Weight Decay Regularization*, ICLR 2019,
#   arXiv:1711.05101: algorithm 2.
# - T. Dozat, *Incorporating Nesterov Momentum into Adam*, ICLR 2016 workshop: Nadam.
# - A. C. Wilson et al., *The Marginal Value of Adaptive Gradient Methods in Machine Learning*,
#   NeurIPS 2017, arXiv:1705.08292.
# - D. Choi et al., *On Empirical Comparisons of Optimizers for Deep Learning*, 2019,
#   arXiv:1910.05446.
# - G. Goh, *Why Momentum Really Works*, Distill, 2017: with sliders.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "Faster Optimizers".
