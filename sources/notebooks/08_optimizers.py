# %% [markdown]
# # 08 Optimizers
#
# The gradient says which way is down. How far to go, and whether to remember the last step, is up
# to the **optimizer**. Ten of them fit on one page.
#
# ## What you will be able to do
#
# After about {{ minutes.reading }} minutes of reading, or {{ minutes.with_code }} minutes with the
# code, you will be able to
#
# - write ten optimizers, each in at most eight lines of NumPy, that take the same steps as Keras;
# - say what each of them cures: slow valleys (**momentum**, 모멘텀), one rate for unlike parameters
#   (AdaGrad, RMSProp), wrong first steps (Adam's bias correction), decay that is no decay (AdamW);
# - say when momentum pays, and when it gains nothing;
# - compare optimizers fairly: a rate of its own for each, one budget, several seeds;
# - judge six sentences about optimizers that you will read elsewhere.
#
# ![Family tree. Plain gradient descent leads to momentum by a memory of gradients, and on to Nesterov by a look ahead. It leads to AdaGrad by dividing by the size of all past gradients, and on to RMSProp by forgetting, and to AdaDelta by a rate of its own. Momentum and RMSProp meet in Adam, whose relatives are AdaMax, Nadam and AdamW.](../figures/optimizer_family.svg)

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import matplotlib.pyplot as plt
import numpy as np

color_of, look_of = ck.plotting.color_of, ck.plotting.look_of
plt.rcParams["figure.dpi"] = 75  # many pictures in one file
n, steps, n_seeds = lab.pick(
    quick=(3_000, 300, 5), standard=(10_000, 1_000, 10), full=(55_000, 3_000, 10)
)

# %% [markdown]
# ## 1 · One rate for unlike directions
#
# Plain gradient descent goes against the gradient $g = \partial L / \partial \theta$, with one learning
# rate $\eta$ for all parameters $\theta$:
#
# $$\theta \leftarrow \theta - \eta\, g$$
#
# Every optimizer in this lesson is a function like the one below. It takes the parameters `theta`,
# the gradient `g`, a dict `slots` for what it wants to remember (its **slots**), and the number `t` of
# the step, from 1; it returns the new parameters. The defaults are those of Keras.
#
# The ground is a stretched valley, $f(x, y) = x^2/20 + y^2$. Its curvature is 20 times as large across
# as along. You start at (−7, 2); the minimum is at (0, 0).
#
# **Predict first:** with the rates 0.1, 0.9 and 1.02, which walker is closest to the minimum after
# 50 steps? Which is furthest away?


# %%
def gradient_descent(theta, g, slots, t, eta=0.01):
    return theta - eta * g


def walk(update, gradient, start, steps=50, **settings):
    """Return all positions of an optimizer, the start first."""
    theta, slots, path = np.array(start, float), {}, [np.array(start, float)]
    for t in range(1, steps + 1):
        theta = update(theta, gradient(theta), slots, t, **settings)
        path.append(theta)
    return np.array(path)


def valley_gradient(p):
    return p * [0.1, 2.0]  # the curvatures along and across


start, tried = np.array([-7.0, 2.0]), (0.1, 0.9, 1.02)
paths = {eta: walk(gradient_descent, valley_gradient, start, eta=eta) for eta in tried}


# %% tags=["plot", "claim"]
def valley(p):
    return p[..., 0] ** 2 / 20 + p[..., 1] ** 2


def contours(ax, f, x_range, y_range, levels, points=60):
    """Shade the ground: the lower, the lighter."""
    xs, ys = np.meshgrid(np.linspace(*x_range, points), np.linspace(*y_range, points))
    heights = f(np.stack([xs, ys], axis=-1))
    shades = [str(shade) for shade in np.linspace(0.97, 0.72, len(levels) + 1)]
    ax.contourf(xs, ys, heights, levels, colors=shades, extend="both", antialiased=False)
    ax.grid(visible=False)
    ax.set(xlabel="x", ylabel="y", xlim=x_range, ylim=y_range)


NAMES = ("gradient descent", "momentum", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam", "AdaMax",
         "Nadam", "AdamW")  # fmt: skip
for name in NAMES:
    color_of(name)  # each has one look in all pictures; the first eight have eight colours
ends = {eta: np.linalg.norm(path[-1]) for eta, path in paths.items()}
levels = [0.1, 0.5, 1.5, 4, 9]
fig, axes = plt.subplots(1, 3, figsize=(9, 3.4), sharey=True)
for ax, (eta, path) in zip(axes, paths.items(), strict=True):
    contours(ax, valley, (-8, 2), (-6, 6), levels)
    ax.plot(*path.T, ".-", color=color_of("gradient descent"), linewidth=1, markersize=4)
    ax.plot(0, 0, "k+", markersize=10)
    ax.set_aspect("equal")
    ax.set_title(f"rate {eta:g}: ends {ends[eta]:.2g} away", fontsize=10)
ck.show(
    fig,
    alt="Three paths of gradient descent in a stretched valley. Rate 0.1 creeps along the valley "
    "floor and stops short. Rate 0.9 zigzags across the valley while it moves along it. Rate 1.02 "
    "zigzags wider at every step.",
)

newton = start - np.linalg.solve(np.diag([0.1, 2.0]), valley_gradient(start))
ck.prove("Rate 0.9 ends closest, rate 1.02 further away than it began",
         ends[0.9] < ends[0.1] < np.linalg.norm(start) < ends[1.02],
         ", ".join(f"{eta}: {end:.2g}" for eta, end in ends.items()))  # fmt: skip
ck.prove("Newton's step reaches the minimum of this valley at once", np.abs(newton).max() < 1e-12,
         f"{np.abs(newton).max():.0e} away")  # fmt: skip

# %% [markdown]
# **After 50 steps rate 0.9 is {{ ends[0.9]:.2f }} from the minimum, rate 0.1 {{ ends[0.1]:.1f }}; rate 1.02 has
# run away to {{ ends[1.02]:.0f }}.** Across the valley the curvature is 2, and any rate above 2/2 = 1 diverges.
# Along it the curvature is 0.1, and a rate of 19 would still be stable. The steep direction decides for both.
# So gradient descent has three difficulties:
#
# 1. **Speed against accuracy.** A low rate is safe and slow, a high one fast until it overshoots.
# 2. **One rate for unlike parameters.** The steepest direction limits all others.
# 3. **Plateaus, saddles, poor local minima.** Where the gradient is tiny, so is the step (section 5).
#
# A **second-order** method divides each direction by its curvature: Newton's step $\theta - H^{-1} g$, with
# the matrix $H$ of second derivatives, reaches the minimum of this valley at once. But $H$ has a row and a
# column for every parameter. All optimizers below are **first-order**: they see gradients only.

# %% [markdown]
# ## 2 · Momentum: remember the way
#
# A ball that rolls downhill gathers speed. **Momentum** (Polyak, 1964) keeps a velocity $m$, of which a
# share $\beta$ survives each step:
#
# $$m \leftarrow \beta m - \eta\, g \qquad \theta \leftarrow \theta + m$$
#
# **Predict first:** on an even slope, where the gradient is 1 at every step, how fast is the ball
# in the end with β = 0.9? How many times faster than without momentum? And what does a ball with
# β = 0.99999 do in the valley of section 1?


# %%
def momentum(theta, g, slots, t, eta=0.01, beta=0.9):
    slots["m"] = beta * slots.get("m", 0) - eta * g
    return theta + slots["m"]


slope, speeds = np.ones(1), {}
for beta in (0.0, 0.5, 0.9, 0.95):
    down = walk(momentum, lambda p: slope, (0,), steps=200, eta=0.1, beta=beta)
    speeds[f"β = {beta:g}"] = -np.diff(down[:, 0]) / 0.1
distance = {}
for beta in (0.9, 0.99999):
    path = walk(momentum, valley_gradient, start, steps=400, eta=0.1, beta=beta)
    distance[f"β = {beta:g}"] = np.linalg.norm(path, axis=1)

# %% tags=["plot", "claim"]
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.1))
for i, (name, speed) in enumerate(speeds.items()):
    left.plot(range(1, 81), speed[:80], **ck.plotting.line_kw(i), label=name)
for i, (name, d) in zip((2, 4), distance.items(), strict=True):
    right.semilogy(np.maximum(d, 1e-9), **ck.plotting.line_kw(i), label=name)
left.set(xlabel="step", ylabel="length of the step / η", ylim=(0, 26),
         title="Even slope: 1 / (1 − β) times the first step")  # fmt: skip
right.set(xlabel="step", ylabel="distance from the minimum (log)", ylim=(1e-10, 1e3),
          title="Valley: without friction there is no rest")  # fmt: skip
left.legend(ncols=4, loc="upper left", fontsize=8, columnspacing=0.8)
right.legend(ncols=2, loc="upper right")
ck.show(
    fig,
    alt="Left: length of the step on an even slope against the step; for beta 0, 0.5, 0.9 and 0.95 it levels off "
    "at 1, 2, 10 and 20 times the rate. Right: distance from the valley's minimum; with 0.9 it "
    "falls steadily, with 0.99999 it swings on undiminished.",
)
for name, speed in speeds.items():
    terminal = 1 / (1 - float(name[4:]))
    ck.prove(f"{name}: the last step is 1 / (1 − β) times the plain one",
             abs(speed[-1] / terminal - 1) < 1e-3, f"{speed[-1]:.3f}, formula {terminal:.3f}")  # fmt: skip
still = {name: d[-100:].max() for name, d in distance.items()}
ck.prove("With 0.9 the ball comes to rest, with 0.99999 it still swings after 400 steps",
         still["β = 0.9"] < 1e-6 and still["β = 0.99999"] > 1,
         ", ".join(f"{name}: at most {d:.1e} away in the last 100" for name, d in still.items()))  # fmt: skip

# %% [markdown]
# **With β = 0.9 the step grows to {{ speeds["β = 0.9"][-1]:.0f }} times the plain one, the *terminal velocity*
# $\eta g / (1 - \beta)$; with β = 0.99999 the ball is still up to {{ still["β = 0.99999"]:.0f }} away from the minimum in
# the last 100 of 400 steps, having started {{ np.linalg.norm(start):.1f }} away.** $1 - \beta$ is the friction. With hardly
# any, the ball shoots through the minimum, up the other side, and back. It would take some 230,000 steps to reach 90% of
# the terminal velocity, so the hundred thousandfold speed is never seen.
#
# In a valley the gradients along the floor agree and add up; those across it change sign and
# partly cancel. So momentum should win there. By how much?
#
# For a fair answer both numbers are tuned, rate *and* β: NumPy lets all pairs of 60 rates and 20 values of β
# walk side by side. Counted are the steps until a walker is a thousand times closer to the minimum **and
# stays there**: flying through it is no arrival. The valley is $\frac12 (x^2/\kappa + y^2)$; the
# **condition number** $\kappa$ says how narrow it is.
#
# **Predict first:** κ = 20, as above. How many steps does plain gradient descent need with its best rate?
# Momentum 0.9 with its best rate? Momentum with its best rate and β?

# %%
rates, betas = np.geomspace(0.02, 4, 60), np.arange(20) / 20


def steps_to_arrive(update, kappa):
    """Return the steps that each pair needs to arrive and stay, shape (betas, rates)."""
    theta, slots, far_at = np.ones((20, 60, 2)), {}, np.zeros((20, 60))
    for t in range(1, max(200, 5 * kappa)):
        g = theta * [1 / kappa, 1]
        theta = update(theta, g, slots, t, rates[:, None], betas[:, None, None])
        far_at[~(np.linalg.norm(theta, axis=-1) < 1e-3 * np.sqrt(2))] = t
    return far_at + 1


narrow = (5, 20, 100, 300, 1000)
with np.errstate(all="ignore"):  # rates that are too high overflow: they never arrive
    maps = {kappa: steps_to_arrive(momentum, kappa) for kappa in narrow}

# %% tags=["plot", "claim"]
needed = {  # in the grid, β = 0 is the first row and β = 0.9 the last but one
    "gradient descent": [maps[k][0].min() for k in narrow],
    "momentum, β = 0.9": [maps[k][18].min() for k in narrow],
    "momentum": [maps[k].min() for k in narrow],
}
best_beta = {k: betas[np.unravel_index(maps[k].argmin(), maps[k].shape)[0]] for k in narrow}
theory = {k: ((k**0.5 - 1) / (k**0.5 + 1)) ** 2 for k in narrow}
ck.show(ck.plotting.lines(
    needed, narrow, log="xy", title="The narrower the valley, the more tuned momentum gains; 0.9 suits only the narrow ones",
    xlabel="κ: how narrow the valley is; best rate, and best β unless named", ylabel="steps to arrive and stay"))  # fmt: skip
print("κ                  ", *(f"{k:6d}" for k in narrow))
for name, counts in needed.items():
    print(f"{name:19s}", *(f"{c:6.0f}" for c in counts))
print(f"{'best β, measured':19s}", *(f"{b:6.2f}" for b in best_beta.values()))
print(f"{'best β, formula':19s}", *(f"{b:6.2f}" for b in theory.values()))
plain, fixed, tuned = (np.array(counts) for counts in needed.values())
gain = plain / tuned
ck.prove("With a tuned β momentum is faster in every valley", (tuned < plain).all(),
         ", ".join(f"κ {k}: {a:.0f} < {b:.0f}" for k, a, b in zip(narrow, tuned, plain, strict=True)))  # fmt: skip
ck.prove("The gain is 0.6 to 1 times √κ", all(0.6 < g / k**0.5 < 1 for g, k in zip(gain, narrow, strict=True)),
         ", ".join(f"κ {k}: {g:.1f} times, √κ {k**0.5:.1f}" for g, k in zip(gain, narrow, strict=True)))  # fmt: skip
ck.prove("The best β is within 0.12 of the formula",
         max(abs(best_beta[k] - theory[k]) for k in narrow) < 0.12,
         ", ".join(f"{best_beta[k]:.2f} and {theory[k]:.2f}" for k in narrow))  # fmt: skip
ck.prove("β = 0.9 is slower than plain gradient descent for κ = 20, faster for κ = 1000",
         fixed[1] > plain[1] and fixed[-1] < plain[-1],
         f"{fixed[1]:.0f} > {plain[1]:.0f}, {fixed[-1]:.0f} < {plain[-1]:.0f}")  # fmt: skip

# %% [markdown]
# **With its best rate and β momentum needs {{ tuned[1]:.0f }} steps for κ = 20, plain gradient descent {{ plain[1]:.0f }};
# for κ = 1000 it is {{ tuned[-1]:.0f }} against {{ plain[-1]:,.0f }}, {{ gain[-1]:.0f }} times as fast, where √κ is
# {{ 1000**0.5:.0f }}.** The gain grows like √κ. But β has to fit: with 0.9 the ball needs {{ fixed[1]:.0f }} steps in the
# valley with κ = 20, *more* than plain descent, because it must first stop swinging. The valleys of real nets are far
# narrower, and there 0.9 suits.
#
# Where the root comes from: along a direction with curvature $h$ the gradient is $h\theta$, and momentum obeys
# $\theta_{t+1} = (1 + \beta - \eta h)\,\theta_t - \beta\,\theta_{t-1}$. Its solutions are powers of the two roots of
# $z^2 - (1 + \beta - \eta h) z + \beta = 0$. Their product is β, so at best both have the size $\sqrt\beta$, and they do
# as long as $(1 - \sqrt\beta)^2 \le \eta h \le (1 + \sqrt\beta)^2$. The smallest β for which all curvatures from $1/\kappa$
# to 1 fit into that window is
#
# $$\beta^* = \left(\frac{\sqrt\kappa - 1}{\sqrt\kappa + 1}\right)^2,$$
#
# so each step shrinks the error by $\sqrt{\beta^*} \approx 1 - 2/\sqrt\kappa$. Plain descent reaches
# $(\kappa - 1)/(\kappa + 1) \approx 1 - 2/\kappa$ at best.
#
# ### Explore: the map of rate and β
#
# Left: how many steps each pair needs, from the roots of that equation; the darker, the faster. The cross is
# your pair, the circle the best one. Right: your walk. How does the dark wedge move when κ grows? What happens just above it,
# with β too large, and just right of it?


# %% tags=["helper"]
def shrink_factor(rate, beta, kappa):
    """Return by what factor the error shrinks in a step, at the slower of the two curvatures."""
    factors = []
    for h in (1 / kappa, 1.0):
        half = (1 + beta - rate * h) / 2
        root = np.sqrt(np.asarray(half**2 - beta, complex))
        factors.append(np.maximum(abs(half + root), abs(half - root)))
    return np.maximum(*factors)


def draw_map(kappa, rate, beta):
    across, up = np.geomspace(0.02, 4, 60), np.linspace(0, 0.99, 60)[:, None]
    factor = np.clip(shrink_factor(across, up, kappa), 1e-3, None)
    count = np.where(factor < 1, np.log(1000) / -np.log(np.minimum(factor, 1 - 1e-9)), np.nan)
    best = np.unravel_index(np.nanargmin(count), count.shape)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.3))
    shown = left.pcolormesh(
        across, up[:, 0], np.clip(np.log10(count), 0, 4), cmap="viridis", vmin=0.5, vmax=4
    )
    left.plot(rate, beta, "x", color="#D55E00", markersize=10, mew=3)
    left.plot(
        across[best[1]], up[best[0]], "o", color="#D55E00", fillstyle="none", markersize=9, mew=2
    )
    left.set_xscale("log")
    left.set(xlabel="learning rate (log scale)", ylabel="β", title=f"κ = {kappa:.0f}: best (○) β {up[best[0], 0]:.2f}, {np.nanmin(count):.0f} steps")  # fmt: skip
    left.grid(visible=False)
    bar = fig.colorbar(shown, ax=left, ticks=[1, 2, 3, 4], label="steps to arrive")
    bar.ax.set_yticklabels(["10", "100", "1,000", "10,000"])
    with np.errstate(all="ignore"):
        mine = walk(momentum, lambda p: p * [1 / kappa, 1], (1, 1), 200, eta=rate, beta=beta)
    right.semilogy(np.clip(np.linalg.norm(mine, axis=1), 1e-6, 1e6), color="#D55E00")
    right.axhline(1e-3 * np.sqrt(2), color="#7F7F7F", linestyle=":")
    right.set(xlabel="step", ylabel="distance from the minimum (log, cut)", title=f"Yours (×): rate {rate:.2g}, β = {beta:.2g}")  # fmt: skip
    return fig


ck.widgets.explore(
    draw_map,
    alt="Left: a map of the steps needed over learning rate and beta; a dark wedge of fast pairs "
    "points to the upper right, pairs to its right never arrive. Right: the distance from the minimum "
    "against the step for the chosen pair, with the threshold as a dotted line.",
    kappa=(2.0, 1000.0, 100.0, "log"),
    rate=(0.02, 4.0, 1.0, "log"),
    beta=(0.0, 0.99, 0.9),
)

# %% [markdown]
# ## 3 · Nesterov: look where you will be
#
# Momentum carries you on by $\beta m$ whatever you do. So why measure the gradient here, and not
# there? **Nesterov's** momentum (1983) does:
#
# $$m^+ = \beta m - \eta\, \nabla L(\theta + \beta m) \qquad \theta^+ = \theta + m^+$$
#
# ![Two sketches of one step. Momentum: from the point theta an arrow beta m, and at its tip the arrow minus eta times the gradient that was measured at theta. Nesterov: the same arrow beta m, but the gradient is measured at its tip, where the ground already rises, so that the step ends closer to the valley floor.](../figures/momentum_and_nesterov.svg)
#
# A layer's gradient comes from where its weights are, not from a place ahead. So Keras stores the place
# ahead, $\theta' = \theta + \beta m$, as *the* weights. Three lines of algebra say how it moves:
#
# $$\begin{aligned}
# \theta'^+ &= \theta^+ + \beta m^+ = \theta + m^+ + \beta m^+ \\
# &= (\theta' - \beta m) + m^+ + \beta m^+ \\
# &= \theta' + \beta m^+ - \eta\, \nabla L(\theta')
# \end{aligned}$$
#
# The last line uses $m^+ - \beta m = -\eta\, \nabla L(\theta')$.
#
# **Predict first:** in the valley of section 1, with the same rate and β = 0.9, who swings less? And who
# needs fewer steps if *each* gets its best rate and β, as in section 2?
#
# Keras' form, with the gradient where the weights are:


# %%
def nesterov(theta, g, slots, t, eta=0.01, beta=0.9):
    slots["m"] = beta * slots.get("m", 0) - eta * g
    return theta + beta * slots["m"] - eta * g


swings = {"momentum": walk(momentum, valley_gradient, start, eta=0.3),
          "Nesterov": walk(nesterov, valley_gradient, start, eta=0.3)}  # fmt: skip
with np.errstate(all="ignore"):
    looking = {kappa: steps_to_arrive(nesterov, kappa) for kappa in narrow}
ahead = np.array([looking[k].min() for k in narrow])
ahead_09 = np.array([looking[k][18].min() for k in narrow])

# %% tags=["plot", "claim"]
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
for (name, path), counts in zip(swings.items(), (tuned, ahead), strict=True):
    left.plot(path[:, 1], **look_of(name, marker=False), label=name)
    right.loglog(narrow, counts, **look_of(name), label=f"{name}, best rate and β")
left.set(
    xlabel="step", ylabel="y: across the valley", title="Rate 0.3, β = 0.9: Nesterov swings less"
)
right.set(xlabel="κ: how narrow the valley is (log scale)", ylabel="steps to arrive and stay (log scale)",
          title="Both tuned: momentum arrives first")  # fmt: skip
left.legend(loc="lower right")
right.legend(loc="upper left")
ck.show(
    fig,
    alt="Left: the coordinate across the valley against the step; momentum swings widely, Nesterov "
    "is calm after a few steps. Right: steps needed against kappa with the best rate and beta; both "
    "lines rise, Nesterov's lies above momentum's from kappa 20 on.",
)

theta, m, seen = start, 0, []
for _ in range(51):  # the rule with the gradient ahead
    seen.append(theta + 0.9 * m)
    m = 0.9 * m - 0.3 * valley_gradient(theta + 0.9 * m)
    theta = theta + m
apart = np.abs(swings["Nesterov"] - seen).max()
ck.prove("Both forms measure at the same places", apart < 1e-12, f"{apart:.0e} apart")
across = {name: np.abs(path[10:, 1]).max() for name, path in swings.items()}
ck.prove("With the same rate and β Nesterov swings less after ten steps",
         across["Nesterov"] < across["momentum"] / 2,
         ", ".join(f"{name} {a:.2g}" for name, a in across.items()))  # fmt: skip
ck.prove("With β = 0.9 Nesterov needs fewer steps for κ up to 100", (ahead_09 < fixed)[:3].all(),
         ", ".join(f"{a:.0f} < {b:.0f}" for a, b in zip(ahead_09[:3], fixed[:3], strict=True)))  # fmt: skip
ck.prove("With the best rate and β momentum needs fewer steps from κ = 20 on", (tuned < ahead)[1:].all(),
         ", ".join(f"{a:.0f} < {b:.0f}" for a, b in zip(tuned[1:], ahead[1:], strict=True)))  # fmt: skip

# %% [markdown]
# **With β = 0.9 and κ = 20 Nesterov arrives after {{ ahead_09[1]:.0f }} steps, momentum after {{ fixed[1]:.0f }}; with both
# numbers tuned it is the other way round, {{ ahead[1]:.0f }} against {{ tuned[1]:.0f }}.** Looking ahead makes the brake
# come a step earlier: it forgives a β that is too large. Where β fits exactly there is nothing to forgive.
# Then why is Nesterov famous? This valley is a quadratic. Nesterov's method keeps its speed on *every*
# smooth convex function; for momentum there are some on which it circles for ever (Lessard, Recht and
# Packard, 2016).

# %% [markdown]
# ## 4 · Noise: the S in SGD
#
# So far every gradient was exact. A net's gradient comes from one batch: the true one plus noise, whose
# variance falls like 1/batch size. That is *stochastic* gradient descent, SGD. Take a valley of four
# directions, with curvatures $h$ from 1/100 to 1, in each of which the noise of one sample has the variance
# $h$ (a common model: Zhang and others, 2019). No luck is needed here: means and
# variances can be followed exactly, for every pair of rate and β at once.
#
# **Predict first:** without noise tuned momentum needs about a fifth of the steps here (the goal, 2%, is reached too soon
# for the full √κ = 10). How much is left with a batch of one?

# %%
curvature, low_rates = np.geomspace(0.01, 1, 4), np.geomspace(0.002, 4, 80)


def steps_with_noise(batch, most=2_500):
    """Return the steps until the mean loss stays below 2% of the start, shape (betas, rates)."""
    rate, beta = low_rates[:, None], betas[::2, None, None]
    pull, noise = rate * curvature, rate**2 * curvature / batch
    last, tt, tm, mm = np.zeros((10, 80)), 1 / curvature, 0, 0  # the means of θ², θm and m²
    for t in range(1, most):
        mm = pull**2 * tt - 2 * pull * beta * tm + beta**2 * mm + noise
        tm = beta * tm - pull * tt  # of the old θ and the new m
        tt, tm = tt + 2 * tm + mm, tm + mm
        loss = (curvature * tt).sum(axis=-1) / 2  # at the start ½ in each direction
        last[~(loss < 0.02 * 2)] = t
    return last + 1


# %% tags=["plot", "claim"]
batches = (1, 4, 16, 64, 256, 1024)
with np.errstate(all="ignore"):
    noisy = {batch: steps_with_noise(batch) for batch in batches}
to_go = {
    "gradient descent": [noisy[batch][0].min() for batch in batches],
    "momentum": [noisy[batch].min() for batch in batches],
}
ck.show(ck.plotting.lines(
    to_go, batches, log="xy", title="Momentum gains nothing where noise rules, much where curvature rules",
    xlabel="batch size; each with its best rate and β", ylabel="steps to 2% of the loss"))  # fmt: skip
kept = {batch: a / b for batch, a, b in zip(batches, *to_go.values(), strict=True)}
told = ", ".join(f"batch {batch}: {ratio:.2f} times" for batch, ratio in kept.items())
ck.prove("With a batch of one tuned momentum gains less than 10%", 1 <= kept[1] < 1.1, told)
ck.prove("With a batch of 1,024 it gains more than 4 times", kept[1024] > 4, told)
ck.prove("The gain grows with the batch", all(np.diff(list(kept.values())) > 0), told)
first = low_rates[noisy[4].argmin(axis=1)] / (1 - betas[::2])  # each β's best rate / (1 − β)
ck.prove("With a batch of four the best η / (1 − β) is the same for every β, within a factor of 3",
         first.max() / first.min() < 3, f"{first.min():.2f} to {first.max():.2f}")  # fmt: skip

# %% [markdown]
# **With a batch of one, tuned momentum needs {{ to_go["momentum"][0]:,.0f }} steps and plain gradient descent
# {{ to_go["gradient descent"][0]:,.0f }}: no gain worth the name. With a batch of 1,024 it is
# {{ to_go["momentum"][-1]:.0f }} against {{ to_go["gradient descent"][-1]:.0f }}.** Momentum averages over past steps, and
# that looks as if it should average the noise away. It does not: each noisy gradient stays in the velocity until its whole
# share $\eta g / (1 - \beta)$ is spent. With small batches momentum is plain descent with the rate $\eta / (1 - \beta)$
# ([lesson 09](09_learning_rate_schedules.ipynb) shows the noise floor that belongs to it). It helps where steep directions
# forbid a higher rate, and that takes batches large enough for the noise not to forbid it first. Section 9 looks for this
# in a net.

# %% [markdown]
# ## 5 · A poor minimum
#
# The third difficulty. The ground below has a poor minimum near −3 and a much better one at 0; the walkers
# start on the slope at −6.
#
# **Predict first:** is there a rate with which plain gradient descent gets into the better minimum? Is there one
# for momentum 0.9?


# %%
def bumpy(x):
    return 0.05 * x**2 - 1.5 * np.exp(-2 * x**2) - 0.6 * np.exp(-((x + 3) ** 2) / 0.3)


def bumpy_gradient(x):
    poor = 4 * (x + 3) * np.exp(-((x + 3) ** 2) / 0.3)
    return 0.1 * x + 6 * x * np.exp(-2 * x**2) + poor


bump_rates, bump_betas = np.geomspace(0.003, 3, 61), np.arange(100) / 100
with np.errstate(all="ignore"):
    rolled = walk(momentum, bumpy_gradient, np.full((100, 61), -6.0), steps=3_000,
                  eta=bump_rates, beta=bump_betas[:, None])  # fmt: skip

# %% tags=["plot", "claim"]
late = rolled[-200:]
better = (np.abs(late) < 0.2).all(axis=0)  # stays in the better minimum
poor = (np.abs(late + 2.93) < 0.2).all(axis=0)
i = int(np.median(np.flatnonzero(better[90])))
ways = {"gradient descent": rolled[:, 0, i], "momentum, β = 0.9": rolled[:, 90, i]}
fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.2))
x = np.linspace(-6.3, 3, 400)
left.plot(x, bumpy(x), color="#7F7F7F", linewidth=1)
for name, way in ways.items():
    stops = way[: 200 : 5 if name == "gradient descent" else 1]
    look = look_of(name.split(",")[0]) | {"linestyle": "", "markersize": 4}
    left.plot(stops, bumpy(stops), **look, label=name)
left.set(
    xlabel="θ", ylabel="loss", title=f"Rate {bump_rates[i]:.2g}: one stops early, one rolls on"
)
left.legend(loc="upper right")
fate = np.where(better, 1.0, np.where(poor, 0.0, np.nan))
shades = plt.matplotlib.colors.ListedColormap(["#FFFFFF", "#000000"])
right.set_facecolor("#CCCCCC")
right.pcolormesh(bump_rates, bump_betas, fate, cmap=shades, vmin=0, vmax=1)
right.set_xscale("log")
right.grid(visible=False)
right.set(
    xlabel="learning rate (log scale)",
    ylabel="β",
    title="Black: ends in the better minimum",
)
ck.show(
    fig,
    alt="Left: a curve with a shallow dip at -3 and a deep one at 0; gradient descent stops in the "
    "shallow dip, momentum rolls through it and ends in the deep one. Right: map of rate and beta. "
    "Along the bottom, beta below 0.7, the walk ends in the poor minimum or nowhere; a black wedge of pairs "
    "that end in the better one opens towards large beta.",
)
share = {"plain": better[0].mean(), "0.9": better[90].mean()}
reach = bump_rates[better[90]]
ck.prove("No rate brings plain gradient descent to rest in the better minimum", share["plain"] == 0,
         f"{better[0].sum()} of {len(bump_rates)} rates; poor: {poor[0].sum()}")  # fmt: skip
ck.prove("With β = 0.9 more than a fifth of the rates do", share["0.9"] > 0.2,
         f"{share['0.9']:.0%}, from {reach.min():.2g} to {reach.max():.2g}")  # fmt: skip

# %% [markdown]
# **Of {{ len(bump_rates) }} rates from {{ bump_rates[0]:g }} to {{ bump_rates[-1]:g }} none brings plain gradient descent
# to rest in the better minimum; with β = 0.9 {{ better[90].sum() }} of them do.** (White pairs end in the poor minimum,
# grey ones rest in neither.) The ball carries enough speed through the poor minimum and loses it in the deeper one. This is
# luck as much as merit: too little speed, and the ball stays in the poor minimum too; too much, and it rolls through both.
# Nor would it leave the poor minimum once it rests there.
#
# In a net's thousands of directions a point that is low in all of them is rare; **saddles**, flat places that go on
# down in some direction, are common (Dauphin and others, 2014). Section 8 starts on one.

# %% [markdown]
# ## 6 · A rate for each parameter
#
# **AdaGrad** (Duchi, Hazan and Singer, 2011) adds up the squares of each parameter's gradients in $s$, and
# divides its step by their root. Steep directions get short steps, flat ones long steps. Nothing is ever
# subtracted from $s$. **RMSProp** keeps a moving average instead: of the old $s$ a share ρ = 0.9 survives.
# **AdaDelta** does the same, and replaces the learning rate by the root of the moving average $d$ of its own
# squared steps; Keras multiplies by a rate all the same.
#
# The **effective rate** of a parameter is what the gradient is multiplied by in the end. Feed
# AdaGrad and RMSProp random gradients: 300 steps of size about 1, then 300 of a tenth of that.
#
# **Predict first:** what do the two effective rates do after step 300?


# %%
def adagrad(theta, g, slots, t, eta=0.001, epsilon=1e-7):
    slots["s"] = slots.get("s", 0.1) + g**2
    return theta - eta * g / (slots["s"] + epsilon) ** 0.5


def rmsprop(theta, g, slots, t, eta=0.001, rho=0.9, epsilon=1e-7):
    slots["s"] = rho * slots.get("s", 0) + (1 - rho) * g**2
    return theta - eta * g / (slots["s"] + epsilon) ** 0.5


def adadelta(theta, g, slots, t, eta=0.001, rho=0.95, epsilon=1e-7):
    slots["s"] = rho * slots.get("s", 0) + (1 - rho) * g**2
    step = g * (slots.get("d", 0) + epsilon) ** 0.5 / (slots["s"] + epsilon) ** 0.5
    slots["d"] = rho * slots.get("d", 0) + (1 - rho) * step**2
    return theta - eta * step


# %% tags=["plot", "claim"]
draws = np.random.default_rng(lab.seed).normal(size=600) * np.repeat([1.0, 0.1], 300)
effective = {}
for name, update in {"AdaGrad": adagrad, "RMSProp": rmsprop}.items():
    slots = {}
    moves = [update(0.0, g, slots, t, eta=0.1) for t, g in enumerate(draws, start=1)]
    effective[name] = -np.array(moves) / draws
ck.show(ck.plotting.lines(
    effective, log="y", title="AdaGrad's rate can only fall; RMSProp's follows the gradients",
    xlabel="step; from 301 on the gradients are a tenth as large", ylabel="effective rate"))  # fmt: skip
falling = np.diff(effective["AdaGrad"])
ck.prove(
    "AdaGrad's effective rate never rises",
    (falling <= 0).all(),
    f"largest change {falling.max():.1e}",
)
before, after = (np.median(effective["RMSProp"][i : i + 200]) for i in (100, 400))
ck.prove("RMSProp's rises about tenfold", 5 < after / before < 20, f"{after / before:.1f} times")

# %% [markdown]
# **After the change RMSProp's effective rate is {{ after / before:.0f }} times as large; AdaGrad's had fallen from
# {{ effective["AdaGrad"][0]:.2f }} to {{ effective["AdaGrad"][299]:.4f }} by then and ends at
# {{ effective["AdaGrad"][-1]:.4f }}.** Down an even slope AdaGrad's steps shrink like $1/\sqrt t$. On a convex problem that
# lets it settle. In a deep net it often **stops too early** (section 9 has too few steps to show it).
#
# ### What AdaGrad was made for: rare features
#
# Think of texts: a few words occur everywhere, most hardly ever. Here are 4,000 of them, made up: word $k$ of 200 occurs in
# a share $0.9/k$ of the texts, and logistic regression learns which of two classes a text belongs to. A rare word's
# gradient is 0 in most texts, so plain descent, whose rate is limited by the common words, learns it slowly. AdaGrad's $s$
# is small for it, and its rate large. As a control, the same with 200 words that are all equally frequent. AdaGrad's rate
# also falls with time; so that only the division differs, the rate of *both* falls to 0. Each has the best of seven rates;
# what counts is the loss on 4,000 new texts, above that of the true weights.
#
# **Predict first:** how much does AdaGrad gain with rare words? How much with equally frequent ones?

# %%
word_rates = 3.0 ** np.arange(-1, 6)


def learn(update, rare, seed, batch=100, total=200):
    """Return the loss on new texts above the lowest possible, for each rate."""
    x, labels, new, p = texts(rare, seed)
    theta, slots, draw = np.zeros((7, x.shape[1])), {}, np.random.default_rng(seed)
    for t in range(1, total + 1):
        rows = draw.integers(0, len(x), batch)
        g = (1 / (1 + np.exp(-theta @ x[rows].T)) - labels[rows]) @ x[rows] / batch
        theta = update(theta, g, slots, t, eta=word_rates[:, None] * (1 - t / total))
    return cross_entropy(theta @ new.T, p) - cross_entropy(np.log(p / (1 - p)), p)


# %% tags=["plot", "claim"]
def texts(rare, seed, count=4_000, words=200):
    """Return training texts, labels, new texts and their true probabilities."""
    draw = np.random.default_rng(seed)
    share = 0.9 / np.arange(1, words + 1)
    share = share if rare else np.full(words, share.mean())
    weights = draw.normal(0, 2, words)
    x, new = ((draw.random((count, words)) < share).astype(float) for _ in range(2))
    labels = draw.random(count) < 1 / (1 + np.exp(-x @ weights))
    return x, labels.astype(float), new, 1 / (1 + np.exp(-new @ weights))


def cross_entropy(scores, p):
    """The mean loss of scores where the true probabilities are p; shape (..., texts)."""
    return (np.logaddexp(0, scores) - p * scores).mean(axis=-1)


word_seeds = lab.seed + np.arange(10)
arms = {(name, kind): (update, kind == "rare words") for kind in ("rare words", "equally frequent")
        for name, update in {"gradient descent": gradient_descent, "AdaGrad": adagrad}.items()}  # fmt: skip
with np.errstate(over="ignore"):
    reached = {arm: np.array([learn(*arms[arm], seed) for seed in word_seeds]) for arm in arms}
at = {arm: losses.mean(axis=0).argmin() for arm, losses in reached.items()}
best = {arm: losses[:, at[arm]] for arm, losses in reached.items()}
means = {arm: losses.mean() for arm, losses in best.items()}
rare_gain, even_gain = (1 - means["AdaGrad", kind] / means["gradient descent", kind] for kind in ("rare words", "equally frequent"))  # fmt: skip
print("loss on new texts, above that of the true weights; each at its best rate, ten seeds")
for (name, kind), losses in best.items():
    print(f"  {kind:18s} {name:17s} {losses.mean():.4f} ± {losses.std(ddof=1):.4f}")
decided_rare = ck.verdict(
    {name: best[name, kind] for name, kind in arms if kind == "rare words"},
    metric="loss with rare words",
)
print(decided_rare)
ck.prove("No best rate stands at the end of the list", all(0 < i < 6 for i in at.values()),
         ", ".join(f"{', '.join(arm)}: {word_rates[i]:.2g}" for arm, i in at.items()))  # fmt: skip
ck.prove("With rare words AdaGrad ends more than 10% lower", rare_gain > 0.1, f"{rare_gain:.1%}")
ck.prove(
    "With equally frequent words the two differ by less than 5%",
    abs(even_gain) < 0.05,
    f"{abs(even_gain):.1%}",
)

# %% [markdown]
# **With rare words AdaGrad ends {{ rare_gain:.0% }} below plain descent; with equally frequent words the two differ by
# {{ abs(even_gain):.1% }}.** A rate for each parameter pays where parameters are unlike. Rare words are the
# classic case; the embeddings of language models, with a row for each word, are today's.

# %% [markdown]
# ## 7 · Adam and its family
#
# **Adam** (Kingma and Ba, 2015) is momentum over RMSProp: a moving average $m$ of the gradients (β₁ = 0.9),
# divided by the root of a moving average $v$ of their squares (β₂ = 0.999). Both start at 0 and are too small
# in the first steps, so both are **corrected**:
#
# $$\hat m = \frac{m}{1 - \beta_1^t} \qquad \hat v = \frac{v}{1 - \beta_2^t} \qquad
# \theta \leftarrow \theta - \eta\, \frac{\hat m}{\sqrt{\hat v} + \varepsilon}$$
#
# That is the paper. Keras adds its ε = 1e-7 to $\sqrt v$, *before* the correction; divided by
# $\sqrt{1 - \beta_2^t}$ it weighs more in the first steps. The function below does as Keras does.
#
# **Predict first:** how long is the very first step, if the gradient is 1000? If it is 0.001? And
# without the correction, are the first steps too short or too long?
#
# Three relatives change one thing each. **AdaMax** replaces $\sqrt v$ by the largest recent $|g|$, the infinity norm in
# place of the 2-norm. **AdamW** (Loshchilov and Hutter, 2019) shrinks the weights by a share ηλ at each step, *beside*
# Adam's step: decoupled **weight decay** (가중치 감소); section 10 shows what for. **Nadam** (Dozat, 2016) is Adam with
# Nesterov's look ahead, and warms its β₁ up.


# %%
def adam(theta, g, slots, t, eta=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    slots["m"] = beta_1 * slots.get("m", 0) + (1 - beta_1) * g
    slots["v"] = beta_2 * slots.get("v", 0) + (1 - beta_2) * g**2
    m_hat, v_hat = slots["m"] / (1 - beta_1**t), slots["v"] / (1 - beta_2**t)
    epsilon = epsilon / (1 - beta_2**t) ** 0.5  # where Keras has it
    return theta - eta * m_hat / (v_hat**0.5 + epsilon)


def adamax(theta, g, slots, t, eta=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    slots["m"] = beta_1 * slots.get("m", 0) + (1 - beta_1) * g
    slots["u"] = np.maximum(beta_2 * slots.get("u", 0), abs(g))
    return theta - eta * slots["m"] / (1 - beta_1**t) / (slots["u"] + epsilon)


def adamw(theta, g, slots, t, eta=0.001, weight_decay=0.004, **settings):
    return adam(theta - eta * weight_decay * theta, g, slots, t, eta, **settings)


# %%
def nadam(theta, g, slots, t, eta=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    now, ahead = (beta_1 * (1 - 0.5 * 0.96**k) for k in (t, t + 1))
    slots["m"] = beta_1 * slots.get("m", 0) + (1 - beta_1) * g
    slots["v"] = beta_2 * slots.get("v", 0) + (1 - beta_2) * g**2
    slots["product"] = slots.get("product", 1) * now  # of all β₁ so far
    m_hat = ahead * slots["m"] / (1 - slots["product"] * ahead)
    m_hat = m_hat + (1 - now) * g / (1 - slots["product"])
    return theta - eta * m_hat / ((slots["v"] / (1 - beta_2**t)) ** 0.5 + epsilon)


TEN = {"gradient descent": gradient_descent, "momentum": momentum, "Nesterov": nesterov,
       "AdaGrad": adagrad, "RMSProp": rmsprop, "AdaDelta": adadelta, "Adam": adam, "AdaMax": adamax,
       "Nadam": nadam, "AdamW": adamw}  # fmt: skip


# %% tags=["plot"]
def adam_uncorrected(theta, g, slots, t, eta=0.001):
    slots["m"] = 0.9 * slots.get("m", 0) + 0.1 * g
    slots["v"] = 0.999 * slots.get("v", 0) + 0.001 * g**2
    return theta - eta * slots["m"] / (slots["v"] ** 0.5 + 1e-7)


scales = 10.0 ** np.arange(-9, 4)
first_steps = {
    "gradient descent": [-gradient_descent(0.0, g, {}, 1, eta=1) for g in scales],
    "RMSProp": [-rmsprop(0.0, g, {}, 1, eta=1) for g in scales],
    "Adam, ε as in Keras": [-adam(0.0, g, {}, 1, eta=1) for g in scales],
    "Adam, ε as in the paper": [g / (g + 1e-7) for g in scales],  # here m̂ is g, and √v̂ too
}
sizes = {name: -np.diff(walk(update, lambda p: slope, (0,), steps=200, eta=1)[:, 0])
         for name, update in {"corrected": adam, "not corrected": adam_uncorrected}.items()}  # fmt: skip
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.3))
for name, size in first_steps.items():
    look = look_of(name.split(",")[0], marker=False)
    dash = {"Adam, ε as in Keras": "-", "Adam, ε as in the paper": ":"}.get(name, look["linestyle"])
    left.loglog(scales, size, **look | {"linestyle": dash}, label=name)
left.set(xlabel="gradient (log scale)", ylabel="first step / η (log scale)", ylim=(1e-3, 1e3),
         title="Adam's first step is about η")  # fmt: skip
left.legend(loc="upper left", fontsize=8)
for (name, size), dash in zip(sizes.items(), ("-", ":"), strict=True):
    right.plot(range(1, 201), size, color=color_of("Adam"), linestyle=dash, label=name)
right.set(xlabel="step, gradient 1 throughout", ylabel="step / η",
          title=f"Not corrected, it is up to {sizes['not corrected'].max():.1f} η")  # fmt: skip
right.legend()
ck.show(
    fig,
    alt="Left: size of the first step against the gradient. Gradient descent's grows in proportion; "
    "Adam's and RMSProp's stay flat except for tiny gradients, RMSProp's higher; with Keras' epsilon "
    "Adam's falls off below 1e-5, with the paper's below 1e-6. Right: Adam's steps are eta throughout with "
    "correction; without, they rise to several eta and come down slowly.",
)

# %% tags=["claim"]
keras_first, paper_first = (dict(zip(scales, first_steps[f"Adam, ε as in {k}"], strict=True)) for k in ("Keras", "the paper"))  # fmt: skip
usual = [size for g, size in keras_first.items() if g > 5e-4]
ck.prove("Adam's first step is η, whatever the gradient from 0.001 on", np.allclose(usual, 1, rtol=0.01),
         f"{min(usual):.4f} to {max(usual):.4f} η")  # fmt: skip
ck.prove("For a gradient of 1e-6 Keras' ε makes it less than half of the paper's",
         keras_first[scales[3]] < paper_first[scales[3]] / 2,
         f"{keras_first[scales[3]]:.2f} against {paper_first[scales[3]]:.2f} η")  # fmt: skip
ck.prove("Corrected steps are η throughout, uncorrected ones more than twice too long",
         np.allclose(sizes["corrected"], 1, rtol=1e-3) and sizes["not corrected"].max() > 2,
         f"{sizes['corrected'].max():.3f} and up to {sizes['not corrected'].max():.1f} η")  # fmt: skip
away = {}
for name, update in TEN.items():
    kind = {"gradient descent": "SGD", "momentum": "Momentum"}.get(name, name)
    packaged = getattr(ck.scratch.optimizers, kind)(0.01)
    mine, draw = np.linspace(-1, 1, 30), np.random.default_rng(lab.seed)
    theirs, slots = {"θ": mine.copy()}, {}
    for t in range(1, 51):
        g = mine * np.linspace(0.1, 3, 30) + draw.normal(0, 0.3, 30)
        mine = update(mine, g, slots, t, eta=0.01)
        packaged.update(theirs, {"θ": g})
    away[name] = np.abs(mine - theirs["θ"]).max()
ck.prove("Fifty steps of each of the ten are those of ck.scratch.optimizers", max(away.values()) < 1e-12,
         f"at most {max(away.values()):.0e} apart")  # fmt: skip

# %% [markdown]
# **Adam's first step is {{ min(usual):.3f }} to {{ max(usual):.3f }} η for gradients from 0.001 to 1,000; without the
# correction the steps grow to {{ sizes["not corrected"].max():.1f }} η.** That is why a rate of 0.001 serves so many nets
# as a start. Both averages are too small at first, but $\sqrt v$ by more, so uncorrected steps come out too **long**, just
# when the net knows least. And ε matters for tiny gradients: where Keras has it, a gradient of 1e-6 gets a first step of
# {{ keras_first[scales[3]]:.2f }} η; the paper's rule would give {{ paper_first[scales[3]]:.2f }} η.
#
# All ten are what Keras computes; the tests of this course walk both for 50 steps and compare. (With Keras'
# names for the arguments they are in `ck.scratch.optimizers`.) To agree with Keras is not to agree with the paper. Where they
# differ:
#
# | optimizer | the paper | Keras, and this lesson |
# |---|---|---|
# | Nesterov | gradient at $\theta + \beta m$ | stores $\theta + \beta m$ as the weights |
# | AdaGrad | $g / (\delta + \sqrt s)$, from $s = 0$ | $g / \sqrt{s + \varepsilon}$, from $s = 0.1$ |
# | RMSProp | no ε in the lecture | ε under the root |
# | AdaDelta | no learning rate | multiplied by one, 0.001 by default |
# | Adam | $\hat m / (\sqrt{\hat v} + \varepsilon)$ | ε added to $\sqrt v$ before the correction |
# | AdaMax | divides by $u$ | divides by $u + \varepsilon$ |
# | Nadam | warm-up $0.96^{t/250}$ | warm-up $0.96^t$, 250 times faster |
# | AdamW | decay not multiplied by the base rate | decay $\eta\lambda\theta$, biases too |

# %% [markdown]
# ## 8 · Ten walkers
#
# All ten in the valley of section 1, 50 steps. They walk on **Rosenbrock's** banana too, $(1 - x)^2 + 100 (y - x^2)^2$,
# whose floor is narrow and curved, 500 steps: the table says where they end, the explorer below draws the ground. Everybody
# gets the best of 80 rates from 0.001 to 1,000 and, where there is a β (or ρ, or β₁), the best of nine of them: the pair
# with the lowest mean of $f$ over its steps.
#
# And a **saddle**: $f(x, y) = \frac12 x^2 + \frac1{100}\left(\frac14 y^4 - \frac12 y^2\right)$ has one at (0, 0) and falls
# gently to both sides, to minima at $y = ±1$. You start at (1, $y_0$), close to the ridge $y = 0$, where the gradient along
# $y$ is tiny; counted are the steps until a walker has arrived at a minimum and stays.
#
# **Predict first:** which paths set out straight for the minimum, which go across the valley first? And which are
# diagonal? And on the saddle you start a thousand times closer to the ridge: how many times as long does plain descent need,
# how many times as long does Adam?

# %%
KNOB = dict.fromkeys(("momentum", "Nesterov"), "beta")
KNOB |= dict.fromkeys(("RMSProp", "AdaDelta"), "rho")
KNOB |= dict.fromkeys(("Adam", "AdaMax", "Nadam", "AdamW"), "beta_1")
walk_rates = np.geomspace(0.001, 1_000, 80)[:, None]
walk_betas = np.array([0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99])[:, None, None]


def all_walks(name, gradient, start, steps):
    """Return the walks of every pair, shape (steps + 1, betas, rates, 2)."""
    more = {KNOB[name]: walk_betas} if name in KNOB else {}
    starts = np.tile(np.array(start, float), (9 if more else 1, 80, 1))
    with np.errstate(all="ignore"):  # rates that are too high overflow: they lose
        return walk(TEN[name], gradient, starts, steps, eta=walk_rates, **more)


# %% tags=["helper"]
def rosenbrock(p):
    return (1 - p[..., 0]) ** 2 + 100 * (p[..., 1] - p[..., 0] ** 2) ** 2


def rosenbrock_gradient(p):
    x, y = p[..., 0], p[..., 1]
    return np.stack([2 * (x - 1) - 400 * x * (y - x**2), 200 * (y - x**2)], axis=-1)


def saddle(p):
    return p[..., 0] ** 2 / 2 + (p[..., 1] ** 4 / 4 - p[..., 1] ** 2 / 2) / 100


def saddle_gradient(p):
    return np.stack([p[..., 0], (p[..., 1] ** 3 - p[..., 1]) / 100], axis=-1)


def best_walk(name, f, gradient, start, steps):
    """Return the walk with the lowest mean of f."""
    walks = all_walks(name, gradient, start, steps)
    with np.errstate(all="ignore"):
        means = np.nan_to_num(f(walks).mean(axis=0), nan=np.inf)
    return walks[:, *np.unravel_index(means.argmin(), means.shape)]


GROUNDS = {
    "valley": (valley, valley_gradient, (-7, 2), 50),
    "Rosenbrock": (rosenbrock, rosenbrock_gradient, (-1.5, 1.5), 500),
}
walks = {
    ground: {name: best_walk(name, *all_of) for name in TEN} for ground, all_of in GROUNDS.items()
}

# %% tags=["plot"]
from coursekit.display.moving import show_moving

GROUPS = {"One rate for all": list(TEN)[:3], "Divided by past gradients": list(TEN)[3:6],
          "Adam's family": list(TEN)[6:]}  # fmt: skip


fig, axes = plt.subplots(1, 3, figsize=(9, 3.3), sharey=True)
walkers = []
for ax, (title, names) in zip(axes, GROUPS.items(), strict=True):
    contours(ax, valley, (-8, 5), (-3.2, 3.2), levels)
    ax.plot(0, 0, "k+", markersize=9)
    ax.set_title(title, fontsize=10)
    for name in names:
        walkers.append((ax, walks["valley"][name], color_of(name)))
        ax.plot([], [], "o-", color=color_of(name), markersize=5, label=name)
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.22), fontsize=8, ncols=2, columnspacing=0.8
    )
alt = ("Animation of ten paths in the valley, step by step. In it gradient descent jumps from "
       "wall to wall, momentum and Nesterov swing past the minimum; the others set out diagonally, as if both "
       "directions were equally steep.")  # fmt: skip
show_moving(fig, walkers, alt=alt)

# %% tags=["plot", "claim"]
closeness, ridge = (1e-2, 1e-3, 1e-4, 1e-5), {}
for name in ("gradient descent", "momentum", "AdaGrad", "RMSProp", "Adam"):
    ridge[name] = []
    for y in closeness:
        walked = np.abs(all_walks(name, saddle_gradient, (1, y), 1_000))
        near = (walked[..., 0] < 0.05) & (np.abs(walked[..., 1] - 1) < 0.05)
        last_away = np.where(near, 0, np.arange(1_001)[:, None, None]).max(axis=0)
        ridge[name].append(int(last_away.min()) + 1)
print("steps to arrive at a minimum of the saddle, by the distance from its ridge at the start")
print(" " * 19, *(f"{y:>8g}" for y in closeness))
for name, counts in ridge.items():
    print(f"{name:19s}", *(f"{c:8d}" for c in counts))
ratio = {
    name: abs(path[1] - path[0])[0] / abs(path[1] - path[0])[1]
    for name, path in walks["valley"].items()
}
diagonal = list(TEN)[3:]
ck.prove("Those that divide by the size of the gradient set out diagonally, plain descent across the valley",
         all(0.4 < ratio[name] < 2.5 for name in diagonal) and ratio["gradient descent"] < 0.25,
         ", ".join(f"{name} {r:.2f}" for name, r in ratio.items()))  # fmt: skip
ends_at = {
    g: {name: float(GROUNDS[g][0](path[-1])) for name, path in paths.items()}
    for g, paths in walks.items()
}
order = {g: sorted(values, key=values.get) for g, values in ends_at.items()}
print("\nf at the end of the walk        valley    Rosenbrock")
for name in TEN:
    print(f"{name:19s} {ends_at['valley'][name]:18.1e} {ends_at['Rosenbrock'][name]:13.1e}")
ck.prove("The two grounds rank the ten differently", order["valley"] != order["Rosenbrock"],
         "; ".join(f"{g}: {', '.join(names[:3])} first" for g, names in order.items()))  # fmt: skip
longer = {name: counts[-1] / counts[0] for name, counts in ridge.items()}
ck.prove("A thousand times closer plain descent needs more than 1.8 times as long, Adam less than 1.3 times",
         longer["gradient descent"] > 1.8 and longer["Adam"] < 1.3,
         ", ".join(f"{name} {counts[0]} to {counts[-1]}" for name, counts in ridge.items()))  # fmt: skip

# %% [markdown]
# **The first step of gradient descent goes {{ 1 / ratio["gradient descent"]:.0f }} times as far across the valley as along
# it, Adam's {{ 1 / ratio["Adam"]:.1f }} times.** Those that divide each gradient by its own size move both coordinates
# alike at first, as if both directions were equally steep. (AdamW's decay pulls all weights to 0, which in this valley
# happens to be the minimum; a net has no such luck.) Do not read a ranking from the dots: two parameters, no noise, one
# starting point. In the valley {{ order["valley"][0] }} ends lowest, on Rosenbrock {{ order["Rosenbrock"][0] }}.
#
# **A thousand times closer to the ridge, plain descent needs {{ ridge["gradient descent"][-1] }} steps in place of
# {{ ridge["gradient descent"][0] }}, Adam {{ ridge["Adam"][-1] }} in place of {{ ridge["Adam"][0] }}.** A tiny gradient
# means a tiny step for plain descent. Divided by its own size, it is as good as a large one. The same division makes
# RMSProp and Adam restless near a minimum: RMSProp's step can be as long as $\eta / \sqrt{1 - \rho}$, 3.2 η, however small
# the gradient. For AdaGrad the wait grows as it does for plain descent: Keras starts its $s$ at 0.1, so a tiny gradient
# stays tiny.
#
# ### Explore: the optimizer race
#
# Choose the ground and move the sliders; β is the momentum, RMSProp's ρ and Adam's β₁. Which walker
# bears the highest rate on Rosenbrock? What does β do to the swings of momentum, and what to Adam's?

# %% tags=["helper"]
VIEWS = {"valley": (valley, valley_gradient, (-7, 2), (-8, 5), (-3, 3), levels, 0),
         "Rosenbrock": (rosenbrock, rosenbrock_gradient, (-1.5, 1.5), (-2, 2), (-1, 3), [1, 10, 100, 600], 0),
         "saddle": (saddle, saddle_gradient, (1, 0.001), (-1.3, 1.3), (-1.3, 1.3), [-0.002, 0, 0.03, 0.3], -1 / 400)}  # fmt: skip


def draw_race(ground, rate, beta, steps):
    f, gradient, begin, *picture, lowest = VIEWS[ground]
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3))
    contours(left, f, *picture)
    for name in ("gradient descent", "momentum", "Nesterov", "RMSProp", "Adam"):
        with np.errstate(all="ignore"):
            more = {KNOB[name]: beta} if name in KNOB else {}
            path = walk(TEN[name], gradient, begin, steps, eta=rate, **more)
            heights = np.clip(np.nan_to_num(f(path) - lowest, nan=1e6), 1e-12, 1e6)
        path = path[(np.abs(path) < 1e3).all(axis=1)]
        left.plot(*path.T, ".-", color=color_of(name), linewidth=1, markersize=3, label=name)
        right.semilogy(heights, **look_of(name, marker=False), label=name)
    left.set_title(f"{ground}, rate {rate:.2g}, β = {beta:.2g}")
    right.set(xlabel="step", ylabel="f − minimum (log, cut)", title="Lower is better")
    fig.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return fig


ck.widgets.explore(
    draw_race,
    alt="Paths of five optimizers on the chosen ground, and f against the step for each.",
    ground=list(VIEWS),
    rate=(0.0001, 3.0, 0.1, "log"),
    beta=(0.0, 0.99, 0.9),
    steps=(10, 500, 60),
)

# %% [markdown]
# ## 9 · The race on digits
#
# Now a net, and your ten functions train it: two hidden layers of 32 ReLU units on handwritten digits, shrunk to 14 × 14
# pixels, all of it in NumPy ([lesson 01](01_vanishing_gradients.ipynb) wrote its backpropagation). All parameters lie in
# one long vector, so that seven rates and {{ n_seeds }} seeds run side by side.
#
# Every optimizer gets **seven rates, each three times the one before**, and the same {{ steps:, }} steps of 32 images; a
# seed means the same starting weights and the same batches for all. The other settings are those of Keras, with momentum
# 0.9. A seed's result is read at the rate that is best for the *other* seeds, so that no seed chooses its own rate.
#
# **Predict first:** which one ends lowest? Which is larger: its lead over the second, or what a rate three times too high
# costs?
#
# And since momentum won by far in the valleys: three optimizers run once more, for 100 steps with batches of 8, 64 and 512.
# **Predict first:** where does momentum 0.9 gain most over plain descent?


# %% tags=["helper"]
def shrunk(images):
    """Return images as rows of 14 × 14 pixels, each the mean of four."""
    blocks = images.reshape(-1, 14, 2, 14, 2)
    return np.ascontiguousarray(blocks.mean(axis=(2, 4)).reshape(-1, 196), "float32")


data = ck.load("mnist").subset(n)
x, y = shrunk(data.x_train), data.y_train
x_valid, y_valid = shrunk(data.x_valid[:2_000]), data.y_valid[:2_000]
SHAPES = ((196, 32), (32, 32), (32, 10))


def layers(theta):
    """Cut parameters, shape (…, all), into each layer's kernels and biases."""
    at, cut = 0, []
    for i, o in SHAPES:
        bias = theta[..., None, at + i * o : at + i * o + o]
        cut.append((theta[..., at : at + i * o].reshape(*theta.shape[:-1], i, o), bias))
        at += i * o + o
    return cut


def forward(theta, images):
    outputs = [images]
    for k, (W, b) in enumerate(layers(theta)):
        z = outputs[-1] @ W + b
        outputs.append(z if k == len(SHAPES) - 1 else np.maximum(z, 0))
    return outputs


def net_loss(theta, images, labels):
    z = forward(theta, images)[-1]
    z = z - z.max(axis=-1, keepdims=True)
    right = np.take_along_axis(z, np.broadcast_to(labels, z.shape[:-1])[..., None], axis=-1)
    return (np.log(np.exp(z).sum(axis=-1)) - right[..., 0]).mean(axis=-1)


# %% tags=["helper"]
def net_gradient(theta, images, labels):
    outputs, parts = forward(theta, images), []
    p = np.exp(outputs[-1] - outputs[-1].max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    error = (p - np.eye(10, dtype=theta.dtype)[labels]) / labels.shape[-1]
    for k, (W, _) in reversed(list(enumerate(layers(theta)))):
        kernel = outputs[k].swapaxes(-1, -2) @ error
        parts[:0] = [kernel.reshape(*theta.shape[:-1], -1), error.sum(axis=-2)]
        if k:
            error = (error @ W.swapaxes(-1, -2)) * (outputs[k] > 0)
    return np.concatenate(parts, axis=-1)


def he_start(seed):
    draw = np.random.default_rng(seed)
    return np.concatenate(
        [part for i, o in SHAPES for part in (draw.normal(0, (2 / i) ** 0.5, i * o), np.zeros(o))]
    ).astype("float32")


# %%
def race(update, rates, batch=32, total=steps, runs=n_seeds):
    """Train all rates and seeds side by side; return two losses, shape (2, rates, seeds)."""
    theta, slots = np.array([[he_start(lab.seed + i) for i in range(runs)]] * len(rates)), {}
    draws = [np.random.default_rng([lab.seed, i]) for i in range(runs)]
    for t in range(1, total + 1):
        rows = np.array([draw.integers(0, len(x), batch) for draw in draws])
        g = net_gradient(theta, x[rows], y[rows])
        theta = update(theta, g, slots, t, eta=np.float32(rates)[:, None, None])
    losses = net_loss(theta, x_valid, y_valid), net_loss(theta, x[:2_000], y[:2_000])
    return np.nan_to_num(losses, nan=99, posinf=99)


middle = {"gradient descent": 0.3, "momentum": 0.03, "Nesterov": 0.03, "AdaGrad": 0.1, "RMSProp": 0.003,
          "AdaDelta": 9, "Adam": 0.003, "AdaMax": 0.01, "Nadam": 0.003, "AdamW": 0.003}  # fmt: skip
with np.errstate(all="ignore"):
    races = {name: race(TEN[name], rate * 3.0 ** np.arange(-3, 4)) for name, rate in middle.items()}

# %% tags=["plot"]
raced_rates = {name: rate * 3.0 ** np.arange(-3, 4) for name, rate in middle.items()}
curves = {name: losses[0].mean(axis=1) for name, losses in races.items()}
chosen = {name: int(curve.argmin()) for name, curve in curves.items()}
fig, axes = plt.subplots(1, 3, figsize=(9.5, 3.5), sharey=True)
for ax, (title, names) in zip(axes, GROUPS.items(), strict=True):
    for name in names:
        losses, tint = np.minimum(races[name][0], 9), {"color": color_of(name), "alpha": 0.15}
        ax.fill_between(raced_rates[name], losses.min(axis=1), losses.max(axis=1), **tint)
        ax.plot(raced_rates[name], losses.mean(axis=1), label=name, markersize=4, **look_of(name))
    ax.set(xscale="log", yscale="log", xlabel="learning rate", ylim=(0.15, 9))
    ax.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
    ax.set_yticks([], minor=True)
    ax.set_title(title, fontsize=10)
    ax.legend(loc="upper center", fontsize=8)
apart = max(raced_rates[name][i] for name, i in chosen.items()) / min(
    raced_rates[name][i] for name, i in chosen.items()
)
axes[0].set_ylabel("validation loss")
bottoms = f"{min(map(min, curves.values())):.2f} to {max(map(min, curves.values())):.2f}"
fig.suptitle(f"Best rates {apart:,.0f} times apart; the bottoms are at {bottoms}", x=0.01, ha="left",
             fontsize=11, fontweight="bold")  # fmt: skip
ck.show(
    fig,
    alt="Validation loss against the learning rate for ten optimizers in three panels: mean and range "
    f"over seeds. Each curve is a bowl; the bottoms lie at rates {apart:,.0f} times apart, at {bottoms}. "
    + "; ".join(
        f"{name} best {curves[name].min():.2f} at {raced_rates[name][i]:.2g}"
        for name, i in chosen.items()
    ),
)


def at_best_rate(losses):
    """Return for each seed the loss at the rate that is best for all the *other* seeds."""
    others = losses.sum(axis=1, keepdims=True) - losses
    return losses[others.argmin(axis=0), np.arange(losses.shape[1])]


final = {name: at_best_rate(losses[0]) for name, losses in races.items()}
decided = ck.verdict(final, metric="validation loss")
ck.show(ck.plotting.strips(final, title=decided.headline, xlabel=f"validation loss after {steps:,} steps, rate chosen by the other seeds"))  # fmt: skip

# %% tags=["claim"]
theta, rng = he_start(lab.seed).astype(float), np.random.default_rng(lab.seed)
ways, slopes = rng.normal(size=(5, theta.size)), net_gradient(theta, x[:64], y[:64])
tiny = 1e-8  # a larger step may cross a kink of ReLU
differences = [(net_loss(theta + tiny * w, x[:64], y[:64]) - net_loss(theta - tiny * w, x[:64], y[:64])) / (2 * tiny) for w in ways]  # fmt: skip
off = np.linalg.norm(ways @ slopes - differences) / np.linalg.norm(differences)
ck.prove(
    "The net's gradient is that of finite differences",
    off < 1e-4,
    f"{off:.0e} off in five directions",
)
ck.prove("Every best rate stands inside its list of seven", all(0 < i < 6 for i in chosen.values()),
         ", ".join(f"{name} {raced_rates[name][i]:.2g}" for name, i in chosen.items()))  # fmt: skip
by_rate = np.median(
    [min(curve[chosen[name] + 1], 9) - curve.min() for name, curve in curves.items()]
)
by_seed = np.median([np.ptp(losses) for losses in final.values()])
by_optimizer = np.ptp([losses.mean() for losses in final.values()])
lowest, highest = (f(final, key=lambda name: final[name].mean()) for f in (min, max))
lead = np.sort([losses.mean() for losses in final.values()])[:2]
*others, unlucky = np.sort(final[highest])  # the worst seed of the last
ck.prove("The best rates lie more than a hundred times apart", apart > 100, f"{apart:,.0f} times")
ck.prove("A rate three times too high costs more than the second place", by_rate > lead[1] - lead[0],
         f"{by_rate:.3f} > {lead[1] - lead[0]:.3f}")  # fmt: skip
no_rate = curves["AdaDelta"][list(raced_rates["AdaDelta"].round(6)).index(1)]
ck.prove("AdaDelta with its paper's rate of 1 is above AdaDelta at its best", no_rate > 1.1 * curves["AdaDelta"].min(),
         f"{no_rate:.2f} > {curves['AdaDelta'].min():.2f}")  # fmt: skip

early = {
    name: race(TEN[name], [raced_rates[name][i]], total=steps // 4)[0].mean()
    for name, i in chosen.items()
}
memory = {}
for name, update in TEN.items():
    slots = {}
    update(np.zeros(1_000), np.ones(1_000), slots, 1)
    memory[name] = sum(np.size(kept) == 1_000 for kept in slots.values())
print(
    f"{n_seeds} seeds, {steps:,} steps of 32 images, at the best rate; at the end: at the rate best for the other seeds\n"
)
print("                    numbers kept               validation loss              training")
print("optimizer           per weight   best rate   after a quarter    at the end       loss")
for name in sorted(final, key=lambda name: final[name].mean()):
    print(f"{name:19s} {memory[name]:7d} {raced_rates[name][chosen[name]]:13.2g} {early[name]:14.3f} "
          f"{final[name].mean():14.3f} ± {final[name].std(ddof=1):.3f} {races[name][1][chosen[name]].mean():8.3f}")  # fmt: skip

# %% tags=["plot", "claim"]
tried = {"gradient descent": 0.3, "momentum": 0.1, "Adam": 0.01}  # the middle ones of five rates
sizes_tried, reached_with = (8, 64, 512), {name: [] for name in tried}
with np.errstate(all="ignore"):
    for batch in sizes_tried:
        for name, rate in tried.items():
            losses = race(TEN[name], rate * 3.0 ** np.arange(-2, 3), batch, total=100, runs=5)
            reached_with[name].append(at_best_rate(losses[1]))
saved = {name: 1 - np.stack(losses, axis=1) / np.stack(reached_with["gradient descent"], axis=1)
         for name, losses in reached_with.items() if name != "gradient descent"}  # fmt: skip
gained = saved["momentum"].mean(axis=0)
ck.show(ck.plotting.lines(
    {name: 100 * share for name, share in saved.items()}, sizes_tried, log="x",
    title=f"Momentum gains most over plain descent with batches of {sizes_tried[gained.argmax()]}",
    xlabel="batch size; 100 steps, five seeds", ylabel="training loss saved, %"))  # fmt: skip
ck.prove("With batches of 512 momentum saves a larger share of the loss than with batches of 8", gained[-1] > gained[0] + 0.1,
         ", ".join(f"batch {batch}: {g:.0%}" for batch, g in zip(sizes_tried, gained, strict=True)))  # fmt: skip

# %% [markdown]
# **The best rates of the ten lie {{ apart:,.0f }} times apart. A rate three times too high typically costs
# {{ by_rate:.3f }}, the second place {{ lead[1] - lead[0]:.3f }}, the last {{ by_optimizer:.3f }}.** {{ decided.text }} The
# last, {{ highest }}, has a seed that ends at {{ unlucky:.2f }}; its other {{ n_seeds - 1 }} average
# {{ np.mean(others):.2f }}: one seed makes much of its mean and of its spread. Between the luckiest and the unluckiest of
# the {{ n_seeds }} seeds lie typically {{ by_seed:.3f }}. Ten optimizers at one common rate, say 0.001, would have shown
# whom that rate suits, and nothing else. AdaDelta, which "needs no learning rate", ends at {{ no_rate:.2f }} with the 1 of
# its paper and at {{ curves["AdaDelta"].min():.2f }} with {{ raced_rates["AdaDelta"][chosen["AdaDelta"]]:.0f }}.
#
# **With batches of 512 momentum ends {{ gained[-1]:.0% }} below plain descent, with batches of 8 {{ gained[0]:.0% }}.**
# This is section 4 in a net. Large studies find the same: with small batches the two are nearly alike, with large ones
# momentum is ahead (Shallue and others, 2019).
#
# You may also read that **adaptive methods generalise worse** (Wilson and others, 2017). The table has both losses of each.
# A larger difference between training and validation is no verdict: who fits the training data further shows a larger gap,
# whatever the method. What counts is the validation column. Studies that tuned every optimizer equally well found that the
# adaptive ones do not lose (Choi and others, 2019).
#
# ### What it costs
#
# Every slot is an array as large as the parameters. The table counts them: Adam keeps {{ memory["Adam"] }} numbers per
# weight, momentum {{ memory["momentum"] }}, plain descent {{ memory["gradient descent"] }}. With the weights and their
# gradients, in float32, Adam needs {{ 4 * (2 + memory["Adam"]) }} GB for a billion parameters, momentum
# {{ 4 * (2 + memory["momentum"]) }} GB. Newton's matrix would have $10^{18}$ numbers.
#
# What to take, from experience with many problems more than from this one race: for a first try **AdamW, Nadam or Adam**,
# which learn fast over a wide range of problems; **Nesterov or momentum** with a tuned rate and a schedule where memory is
# short, or where the adaptive ones disappoint; AdaGrad where features are rare. (The default of
# [lesson 13](13_practical_guidelines.ipynb) is Nesterov with a schedule, or AdamW.)

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
#
# And in a net, this time in Keras? The first layer's weights are sorted by the size of their past gradients
# (Adam's $v$) into four groups of equal number. What share of its norm does each group keep, compared
# with Adam without any decay? λ is 0.01 for ℓ2; AdamW runs with the same 0.01 and with 1.

# %%
noise = np.random.default_rng(lab.seed).normal(size=(500, 1_000)) * np.repeat([10, 0.01], 500)
penalised, decayed, slots_penalised, slots_decayed = np.ones(1_000), np.ones(1_000), {}, {}
for t, g in enumerate(noise, start=1):
    penalised = adam(penalised, g + 1.0 * penalised, slots_penalised, t)
    decayed = adamw(decayed, g, slots_decayed, t, weight_decay=1.0)
halves = {"Adam with ℓ2": penalised.reshape(2, 500).mean(axis=1),
          "AdamW": decayed.reshape(2, 500).mean(axis=1)}  # fmt: skip
print("mean weight after 500 steps    gradients of size 10    of size 0.01")
for name, (large, small) in halves.items():
    print(f"{name:30s} {large:20.3f} {small:15.3f}")
print(f"(1 − ηλ)^500 = {0.999**500:.3f}")


# %%
def build(decay, penalty=None):
    l2 = None if penalty is None else keras.regularizers.L2(penalty / 2)
    hidden = keras.layers.Dense(32, "relu", kernel_initializer="he_normal", kernel_regularizer=l2)
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), hidden,
                              keras.layers.Dense(10, "softmax", kernel_regularizer=l2)])  # fmt: skip
    optimizer = keras.optimizers.AdamW(0.001, weight_decay=decay)  # with decay 0 it is Adam
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


plans = {"Adam": lambda: build(0.0), "Adam + ℓ2, λ = 0.01": lambda: build(0.0, penalty=0.01),
         "AdamW, λ = 0.01": lambda: build(0.01), "AdamW, λ = 1": lambda: build(1.0)}  # fmt: skip
runs = ck.compare(plans, data.subset(3_000), epochs=6, batch_size=50, seeds=1)

# %% tags=["plot", "claim"]
kernels = {name: model.get_weights()[0] for name, model in runs.models.items()}
v = next(v for v in runs.models["Adam"].optimizer.variables if "velocity" in v.path).numpy()
group = v.ravel().argsort().argsort() * 4 // v.size  # four groups of equal number
norms = {name: np.array([np.linalg.norm(W.ravel()[group == i]) for i in range(4)])
         for name, W in kernels.items()}  # fmt: skip
share_kept = {name: norm / norms["Adam"] for name, norm in norms.items() if name != "Adam"}
ck.show(ck.plotting.lines(
    share_kept, title="ℓ2 in Adam shrinks most what the data care about least",
    xlabel="weights of the first layer: 1 smallest gradients, 4 largest", ylabel="norm kept, compared with Adam"))  # fmt: skip
large, small = halves["AdamW"]
ck.prove("AdamW shrinks both halves by (1 − ηλ)^500", max(abs(halves["AdamW"] - 0.999**500)) < 0.02,
         f"{large:.3f} and {small:.3f}, formula {0.999**500:.3f}")  # fmt: skip
spared, crushed = halves["Adam with ℓ2"]
ck.prove("ℓ2 in Adam spares the weights with large gradients", spared - crushed > 0.2,
         f"{spared:.3f} against {crushed:.3f}")  # fmt: skip
uneven = {name: share.max() / share.min() for name, share in share_kept.items()}
told = ", ".join(f"{name} {u:.2f}" for name, u in uneven.items())
ck.prove("ℓ2 in Adam shrinks the groups unequally, AdamW alike",
         uneven["Adam + ℓ2, λ = 0.01"] > 2 and uneven["AdamW, λ = 1"] < 1.5, f"largest to smallest share: {told}")  # fmt: skip
ck.prove("AdamW's 0.01 is hardly felt, the same λ as ℓ2 is",
         share_kept["AdamW, λ = 0.01"].min() > 0.95 and share_kept["Adam + ℓ2, λ = 0.01"].min() < 0.7,
         f"at least {share_kept['AdamW, λ = 0.01'].min():.3f}, {share_kept['Adam + ℓ2, λ = 0.01'].min():.3f} kept")  # fmt: skip

# %% [markdown]
# **With ℓ2 in Adam the quarter of the weights with the smallest gradients keeps
# {{ share_kept["Adam + ℓ2, λ = 0.01"][0]:.0% }} of its norm, the quarter with the largest
# {{ share_kept["Adam + ℓ2, λ = 0.01"][3]:.0% }}; with AdamW, λ = 1, all keep {{ share_kept["AdamW, λ = 1"].min():.0% }} to
# {{ share_kept["AdamW, λ = 1"].max():.0% }}.** And the same number λ means two different things: 0.01 as ℓ2 is strong, 0.01
# in AdamW is hardly felt, as each step takes only ηλ = 0.001 · 0.01 of a weight. Never carry a λ over from one to the
# other. AdamW shrinks all weights by the same factor, the one you asked for (here $(1 - \eta\lambda)^{360}$ =
# {{ 0.999**360:.2f }}; gradients rebuild some of it, more where they are large); ℓ2 in Adam wipes out those that hardly get
# a gradient, such as the weights of pixels that are nearly always 0. (This shows what happens to weights, not which net
# generalises better. That the course does not compare.)

# %% [markdown]
# ## Six sentences that you will read
#
# | sentence | what this lesson measured |
# |---|---|
# | "Momentum 0.9 is ten times faster." | On an even slope. In a valley with κ = 20 it needs {{ fixed[1]:.0f }} steps, plain descent {{ plain[1]:.0f }}, tuned momentum {{ tuned[1]:.0f }} (section 2). |
# | "Momentum averages the noise away." | With a batch of one it gains {{ kept[1] - 1:.0% }}, with 1,024 it is {{ kept[1024]:.1f }} times as fast (section 4). |
# | "Nesterov is faster than momentum." | With β = 0.9 and κ = 20: {{ ahead_09[1]:.0f }} against {{ fixed[1]:.0f }} steps. Both tuned: {{ ahead[1]:.0f }} against {{ tuned[1]:.0f }} (section 3). |
# | "AdaDelta needs no learning rate." | {{ no_rate:.2f }} with its paper's 1, {{ curves["AdaDelta"].min():.2f }} with {{ raced_rates["AdaDelta"][chosen["AdaDelta"]]:.0f }} (section 9). |
# | "Nadam is AdaDelta with Nesterov." | It is Adam with Nesterov: the function in section 7 takes the steps of Keras. |
# | "Weight decay is another word for ℓ2." | For plain descent. In Adam one group keeps {{ share_kept["Adam + ℓ2, λ = 0.01"][0]:.0% }}, another {{ share_kept["Adam + ℓ2, λ = 0.01"][3]:.0% }} (section 10). |
#
# ## Pitfalls
#
# - **Comparing optimizers at one rate for all.** The best rates lie {{ apart:,.0f }} times apart. Find each one's own.
# - **AdaDelta with Keras' default rate 0.001** hardly moves.
# - **`Adam(weight_decay=…)` and `kernel_regularizer`** are different things; `val_loss` holds the
#   penalty of the second.
# - **`lr=`, `decay=`, `optimizer.lr`** are names of the past. Today: `learning_rate=`, a schedule,
#   `optimizer.learning_rate`.
# - **Setting momentum or β₁ on a compiled optimizer** changes nothing, without a warning
#   ([lesson 09](09_learning_rate_schedules.ipynb), section 8). Compile anew.
# - **Loading only the weights** and training on: the slots start at 0 again. Save the whole model
#   to keep them.
#
# ## What to do tomorrow
#
# 1. Begin with AdamW or Nadam, or with Nesterov and a schedule (lesson 13); try rates a factor of 3 apart until the best one is not at the end of the list.
# 2. Change the batch size or the optimizer, and search the rate again.
# 3. With SGD use Nesterov and β = 0.9; raise β only with large batches.
# 4. Use AdamW when you want decay with Adam, and search λ anew.
# 5. Before you call a winner, train at least five seeds.
#
# ## Recap
#
# - One rate for unlike directions makes plain gradient descent slow: the steepest direction limits it.
# - Tuned momentum gains about √κ where curvature limits the rate, and nothing where noise does.
# - Nesterov brakes a step earlier and forgives a β that is too large.
# - AdaGrad's rate only falls, RMSProp's window forgets, Adam adds momentum and corrects the start: first step about η.
# - AdamW decays all weights alike; ℓ2 in Adam does not.
#
# ## Now practise
#
# Open [exercise 08](../exercises/08_optimizers.ipynb): write momentum, Nesterov, AdaGrad, RMSProp,
# Adam and AdamW as update functions that work in NumPy and inside Keras, and train a net with your
# own. Then go on with lesson [09 Learning-rate schedules](09_learning_rate_schedules.ipynb).
#
# ## Further reading
#
# - B. T. Polyak, *Some Methods of Speeding up the Convergence of Iteration Methods*, USSR Computational
#   Mathematics and Mathematical Physics 4(5), 1964: momentum.
# - Y. Nesterov, *A Method of Solving a Convex Programming Problem with Convergence Rate O(1/k²)*, Soviet
#   Mathematics Doklady 27, 1983.
# - I. Sutskever, J. Martens, G. Dahl and G. Hinton, *On the Importance of Initialization and
#   Momentum in Deep Learning*, ICML 2013: section 2, both momenta.
# - L. Lessard, B. Recht and A. Packard, *Analysis and Design of Optimization Algorithms via Integral Quadratic
#   Constraints*, SIAM Journal on Optimization 26(1), 2016: momentum that circles for ever.
# - G. Goh, *Why Momentum Really Works*, Distill, 2017: with sliders.
# - G. Zhang and others, *Which Algorithmic Choices Matter at Which Batch Sizes? Insights from a Noisy Quadratic
#   Model*, NeurIPS 2019, arXiv:1907.04164.
# - C. J. Shallue and others, *Measuring the Effects of Data Parallelism on Neural Network Training*, JMLR 20, 2019.
# - Y. Dauphin and others, *Identifying and Attacking the Saddle Point Problem in High-Dimensional Non-Convex
#   Optimization*, NeurIPS 2014, arXiv:1406.2572.
# - J. Duchi, E. Hazan and Y. Singer, *Adaptive Subgradient Methods for Online Learning and
#   Stochastic Optimization*, JMLR 12, 2011.
# - T. Tieleman and G. Hinton, *Lecture 6.5: RMSProp*, Coursera, *Neural Networks for Machine Learning*, 2012.
# - M. D. Zeiler, *ADADELTA: An Adaptive Learning Rate Method*, 2012, arXiv:1212.5701.
# - D. P. Kingma and J. Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015,
#   arXiv:1412.6980: section 3, bias correction; section 7, AdaMax.
# - I. Loshchilov and F. Hutter, *Decoupled Weight Decay Regularization*, ICLR 2019,
#   arXiv:1711.05101: algorithm 2.
# - T. Dozat, *Incorporating Nesterov Momentum into Adam*, ICLR 2016 workshop: Nadam.
# - A. C. Wilson and others, *The Marginal Value of Adaptive Gradient Methods in Machine Learning*,
#   NeurIPS 2017, arXiv:1705.08292.
# - D. Choi and others, *On Empirical Comparisons of Optimizers for Deep Learning*, 2019,
#   arXiv:1910.05446.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "Faster Optimizers".
