# %% [markdown]
# # 09 Learning-rate schedules
#
# The learning rate decides more than any other number whether a network learns. Why keep it the
# same from the first step to the last?
#
# ## What you will be able to do
#
# After about {{ minutes.reading }} minutes of reading, or {{ minutes.with_code }} minutes with the
# code, you will be able to
#
# - say why a falling rate ends lower than a constant one, and by how much;
# - find a good rate in one short run with a **range test**;
# - write the usual **learning-rate schedules** (학습률 스케줄링) and choose among them;
# - train with **1cycle** (1사이클), and say what it gains and what it does not;
# - avoid two silent traps: a momentum that cannot be set, and a callback whose memory is not saved.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import numpy as np

# %% [markdown]
# ## Play first: the schedule designer
#
# A schedule gives the learning rate at each step. Move the sliders. Which schedule spends most of
# its steps near the highest rate? Which one is low for longest?


# %% tags=["helper"]
def draw_schedule(kind, max_rate, steps, start_divided_by, last_leg):
    t = np.arange(steps)
    u = t / steps
    if kind == "1cycle":
        rate, _ = ck.schedules.one_cycle_at(
            t, steps, max_rate, start_lr=max_rate / start_divided_by, final_fraction=last_leg
        )
    else:
        rate = max_rate * np.array([SHAPES[kind](each) for each in u])
    return ck.plotting.lines({kind: rate}, t, title=f"{kind}: the rate at each of {steps} steps",
                             xlabel="step", ylabel="learning rate")  # fmt: skip


def warm_up(u, share=0.1):
    return u / share if u < share else 0.5 * (1 + np.cos(np.pi * (u - share) / (1 - share)))


SHAPES = {
    "power": lambda u: 1 / (1 + 8 * u),
    "exponential": lambda u: 0.1 ** (2 * u),
    "piecewise constant": lambda u: 1 if u < 0.5 else 0.2 if u < 0.75 else 0.04,
    "cosine": lambda u: 0.5 * (1 + np.cos(np.pi * u)),
    "cosine with warm-up": warm_up,
}
ck.widgets.explore(
    draw_schedule,
    kind=["1cycle", *SHAPES],
    max_rate=(0.001, 1.0, 0.1, "log"),
    steps=(20, 2000, 500),
    start_divided_by=(2, 50, 10),
    last_leg=(0.0, 0.5, 0.1),
)

# %% [markdown]
# ## 1 · Why should the rate fall at all?
#
# Every step of SGD uses the gradient of one batch: the true gradient plus noise. Look at the
# smallest problem that has this: the bowl $x^2/2$, whose gradient is $x$, measured with noise of
# variance 1.
#
# **Predict first:** rates 0.4, 0.1 and 0.025. Which one is lowest after ten steps? Which one after
# 400? And a rate that starts at 0.4 and falls?


# %%
def walk(rate, batch=1, steps=400, walkers=1000):
    """Return the mean loss of many walkers after each step; `rate` is a function of the step."""
    draw = np.random.default_rng(0)
    x, losses = np.full(walkers, 4.0), []
    for t in range(steps):
        gradient = x + draw.normal(size=walkers) / batch**0.5  # a mean over the batch
        x = x - rate(t) * gradient
        losses.append(np.mean(x**2 / 2))
    return losses


walks = {f"rate {rate}": walk(lambda t, rate=rate: rate) for rate in (0.4, 0.1, 0.025)}
walks["rate 0.4 / (1 + t/5)"] = walk(lambda t: 0.4 / (1 + t / 5))
floors = {name: np.mean(losses[-100:]) for name, losses in walks.items()}

# %% tags=["plot"]
ck.show(ck.plotting.lines(
    walks, title="A constant rate stops at a floor; a falling one goes on down",
    xlabel="step", ylabel="mean loss of 1,000 walkers", log="y"))  # fmt: skip

# %% tags=["claim"]
for rate in (0.4, 0.1, 0.025):
    floor, theory = floors[f"rate {rate}"], rate / (2 - rate) / 2
    ck.prove(f"The floor of rate {rate} is ½η/(2 − η)", abs(floor / theory - 1) < 0.1,
             f"{floor:.4f} against {theory:.4f}")  # fmt: skip
falling, constant = floors["rate 0.4 / (1 + t/5)"], [v for k, v in floors.items() if "/" not in k]
ck.prove("The falling rate ends below every constant one", falling < min(constant),
         f"{falling:.4f}, the others {', '.join(f'{v:.4f}' for v in constant)}")  # fmt: skip
early = {name: losses[9] for name, losses in walks.items()}
ck.prove("After ten steps the smallest rate is the highest", max(early, key=early.get) == "rate 0.025",
         ", ".join(f"{name}: {loss:.2f}" for name, loss in early.items()))  # fmt: skip

# %% [markdown]
# **A constant rate stops at a noise floor that is about proportional to the rate: four times the rate, a
# floor {{ floors["rate 0.1"] / floors["rate 0.025"]:.1f }} times as high** (0.1 against 0.025). After ten
# steps the picture is another one: there 0.025 is worst, with {{ early["rate 0.025"]:.1f }}, and 0.4 has
# {{ early["rate 0.4"]:.2f }}, the falling rate {{ early["rate 0.4 / (1 + t/5)"]:.2f }}.
#
# ![A ball in a bowl: with a large constant rate it is thrown from wall to wall above a floor; with a falling rate it comes down in long steps and settles in short ones.](../figures/steps_in_a_bowl.svg)
#
# Near the minimum the true gradient is almost 0. What remains of a step is the noise, multiplied by the
# rate. In formulas: the variance obeys $v \leftarrow (1-\eta)^2 v + \eta^2$, which comes to rest at
# $v = \eta/(2-\eta)$, so the mean loss at $\frac12 \eta/(2-\eta)$, for a small rate about $\eta/4$. A small
# rate has a low floor and takes long to get there. **A rate that falls starts fast and ends
# {{ floors["rate 0.1"] / floors["rate 0.4 / (1 + t/5)"]:.0f }} times lower than 0.1.** That is the whole case
# for schedules.

# %% [markdown]
# ## 2 · One rate, four fates
#
# Now a real net: three hidden layers of 100 ReLU units on handwritten digits, trained by SGD with
# momentum ([lesson 08](08_optimizers.ipynb)). `ck.compare` trains each variant with several seeds,
# the same for all: the same starting weights, the same batches in the same order.
#
# **Predict first:** rates 0.0003, 0.03, 0.1 and 3. Which one has the lowest training loss after the
# first epoch? Which one after the last? What happens to 0.1 if the rate drops to 0.01 near the end?

# %%
n, epochs, batch_size, n_seeds, n_search = lab.pick(
    quick=(2_048, 6, 32, 2, 1), standard=(10_000, 8, 128, 5, 3), full=(55_000, 12, 128, 5, 3)
)
data = ck.load("mnist", n_valid=1_024).subset(n)


def build(learning_rate=0.01, start=keras.initializers.HeNormal):
    hidden = [keras.layers.Dense(100, "relu", kernel_initializer=start()) for _ in range(3)]
    model = keras.Sequential(
        [keras.Input((28, 28)), keras.layers.Flatten(), *hidden, keras.layers.Dense(10, "softmax")]
    )
    optimizer = keras.optimizers.SGD(learning_rate, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


# %%
Every = ck.callbacks.Schedule  # a rate for every step, from a function of (step, total steps)
fixed = {
    f"rate {rate:g}": lambda rate=rate: [Every(lambda t, total: rate)]
    for rate in (0.0003, 0.03, 0.1, 3)
}
fixed["0.1, then 0.01"] = lambda: [Every(lambda t, total: 0.1 if t < 0.75 * total else 0.01)]
fates = ck.compare(dict.fromkeys(fixed, build), data, epochs=epochs, batch_size=batch_size,
                   seeds=n_seeds, callbacks=fixed)  # fmt: skip
cut = {name: np.clip(kept["loss"], None, 10) for name, kept in fates.history.items()}
ck.show(ck.plotting.lines(cut, log="y", title="Too low crawls, too high diverges; 0.1 waits for a lower rate",
                          xlabel="epoch", ylabel="training loss, cut at 10"))  # fmt: skip
fates.table("loss")

# %% tags=["claim"]
mean_loss = {name: kept["loss"].mean(axis=0) for name, kept in fates.history.items()}
good, lively, dropped = (mean_loss[name] for name in ("rate 0.03", "rate 0.1", "0.1, then 0.01"))
guessing = np.log(10)  # the loss of giving each of ten classes the probability 1/10
ck.prove("Rate 3 does not learn", not mean_loss["rate 3"][-1] < 0.9 * guessing,
         f"{mean_loss['rate 3'][-1]:.2f}, guessing {guessing:.2f}")  # fmt: skip
ck.prove("0.03 ends below 0.0003", good[-1] < mean_loss["rate 0.0003"][-1],
         f"{good[-1]:.3f} < {mean_loss['rate 0.0003'][-1]:.3f}")  # fmt: skip
ck.prove("A tenth of the rate for the last quarter takes 0.1 below its floor", dropped[-1] < 0.9 * lively[-1],
         f"{dropped[-1]:.3f} against {lively[-1]:.3f}")  # fmt: skip

# %% [markdown]
# **Slightly too high is the treacherous one: after one epoch 0.1 leads with the loss {{ lively[0]:.2f }}, 0.03
# has {{ good[0]:.2f }}; at the end the lead is gone, {{ lively[-1]:.3f }} and {{ good[-1]:.3f }} with their seeds
# mixed.** What holds it up is its noise: with a tenth of the rate in the last quarter the same net gets
# to **{{ dropped[-1]:.3f }}**. Too **low** (0.0003), and the budget is spent on the way. Too **high** (3),
# and the steps overshoot: the loss **diverges**, which shows as a cross where the run ended (it grew
# beyond what the computer can hold), or it sticks at {{ guessing:.1f }}, the loss of guessing, once the
# ReLU units are dead.

# %% [markdown]
# ## 3 · Find a good rate in one short run: the range test
#
# You could train a net for each rate, as above. The **range test** (Smith, 2017) needs one net and a
# few hundred steps: start far too low, multiply the rate by a constant factor after every batch, and
# write down each batch's loss. **Predict first:** what does the curve of loss against rate look like?

# %%
model = build()
rates, losses = np.geomspace(1e-5, 10, 150), []
for i, rate in enumerate(rates):
    rows = np.arange(i * batch_size, (i + 1) * batch_size) % n
    model.optimizer.learning_rate = rate
    losses.append(model.train_on_batch(data.x_train[rows], data.y_train[rows])[0])

# %% tags=["plot"]
ck.show(ck.plotting.lines(
    {"one batch": np.clip(np.nan_to_num(losses, nan=4), 0, 4)}, rates, log="x",
    title="Nothing, then progress, then the blow-up",
    xlabel="learning rate", ylabel="loss of the batch, cut at 4"))  # fmt: skip

# %% [markdown]
# This loop ruined the net, and you must read the curve by eye. `ck.lr_range_test` does the same with
# your own model, smooths the curve, stops at the blow-up, puts everything back as it was, and suggests
# **half of the trough's middle**: the trough is where the loss lies in the lower half of its fall, and
# both its ends are steep, so that noise moves them little. (The middle on the logarithmic axis, that is
# the root of the product of its ends.) Other rules of thumb take a tenth of the blow-up, or of the
# lowest point; on ten nets and three data sets they came near the best rate half as often (measured
# by `benchmarks/range_rules.py` in the course's repository).

# %%
model = build(0.01)
before = model.get_weights()
test = ck.lr_range_test(model, data.x_train, data.y_train, batch_size=batch_size)
ck.show(test.plot())

# %% tags=["claim"]
slots = [v.numpy() for v in model.optimizer.variables if "momentum" in v.path]
same = all(map(np.array_equal, before, model.get_weights()))
clean = bool(slots) and not any(map(np.any, slots)) and int(model.optimizer.iterations) == 0
kept = abs(float(model.optimizer.learning_rate) - 0.01) < 1e-8
ck.prove("The range test leaves weights, momentum, step counter and rate as found",
         same and clean and kept, f"{len(before)} arrays of weights, {len(slots)} slots of zeros")  # fmt: skip
ck.prove("The suggestion is a usable rate", 0.003 < test.suggestion < 0.3, f"{test.suggestion:.3g}")

# %% [markdown]
# **The range test suggests {{ test.suggestion:.2g }} after {{ len(test.rates) }} steps.** Test before training
# (on a trained net the easy progress is gone), and again after changing the architecture, the batch size or the
# optimizer. Use it as a place to start: a net with batch normalisation endures rates in the test that
# are too high in a whole training.

# %% [markdown]
# ## 4 · Schedules are functions of the step
#
# With $\eta_0$ the highest rate and $u = t / T$ the share of the training that is done, at step $t$
# of $T$:
#
# | schedule | here | in Keras |
# |---|---|---|
# | power (거듭제곱 기반) | $\eta_0 / (1 + 8u)$ | `InverseTimeDecay` |
# | exponential (지수 기반) | $\eta_0 \cdot 0.1^{2u}$ | `ExponentialDecay` |
# | piecewise constant (구간별 고정) | $\eta_0$, then a fifth, then a 25th | `PiecewiseConstantDecay` |
# | cosine | $\eta_0 \cdot \frac12 (1 + \cos \pi u)$ | `CosineDecay` |
# | cosine with warm-up | up linearly, then the cosine | `CosineDecay(warmup_target=…)` |
# | 1cycle (1사이클) | up linearly, down linearly, then almost to 0 | `ck.callbacks.OneCycle` |
# | performance (성능 기반) | halved when the validation loss stops falling | `ReduceLROnPlateau` |
#
# The last one cannot be drawn in advance, because it listens. In Keras a schedule can live in the
# optimizer, `SGD(CosineDecay(…))`, or come from outside as a callback, which leaves the model as it
# was compiled; `ck.callbacks.Schedule(function)` is such a callback, with one rate for every step. 1cycle
# moves the momentum as well (section 8). `SHAPES`, folded away with the designer, holds the formulas as
# functions of $u$.
#
# **Predict first:** does Keras do what the formula says, at each single step? And is
# `PiecewiseConstantDecay([49], …)` already lower *at* step 49, or after it? Do not trust the plan, ask
# the optimizer: a callback reads the rate back before every step of the smallest net there is.

# %%
u = np.linspace(0, 1, 200, endpoint=False)
drawn = {name: [shape(each) for each in u] for name, shape in SHAPES.items()}
drawn["1cycle"] = ck.schedules.one_cycle_at(np.arange(200), 200, 1.0)[0]
ck.show(ck.plotting.lines(drawn, u, title="1cycle and warm-up start low; all end low",
                          xlabel="share of the training", ylabel="share of the highest rate"))  # fmt: skip


# %% tags=["helper"]
class RecordRate(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.rates = []

    def on_train_batch_begin(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


def smallest(learning_rate):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate), loss="mse")
    return model


def recorded(learning_rate, *callbacks, epochs=2):
    """Train for 50 steps an epoch; return the rate that the optimizer had at each of them."""
    record, ones = RecordRate(), np.ones((400, 1))
    smallest(learning_rate).fit(ones, ones, batch_size=8, epochs=epochs, verbose=0,
                                callbacks=[*callbacks, record])  # fmt: skip
    return np.array(record.rates)


def final_weights(callback, optimizer=None):
    keras.utils.set_random_seed(1)
    model = build()
    if optimizer is not None:
        model.compile(optimizer, "sparse_categorical_crossentropy")
    model.fit(data.x_train[:2000], data.y_train[:2000], epochs=3, shuffle=False, verbose=0,
              callbacks=[callback])  # fmt: skip
    return np.concatenate([w.ravel() for w in model.get_weights()])


# %%
schedules, t = keras.optimizers.schedules, np.arange(100)
in_keras = {
    "power": schedules.InverseTimeDecay(0.1, 12.5, 1.0),
    "exponential": schedules.ExponentialDecay(0.1, 50, 0.1),
    "piecewise constant": schedules.PiecewiseConstantDecay([49, 74], [0.1, 0.02, 0.004]),
    "cosine": schedules.CosineDecay(0.1, 100),
    "cosine with warm-up": schedules.CosineDecay(0.0, 90, warmup_target=0.1, warmup_steps=10),
}
formulas = {name: 0.1 * np.array([SHAPES[name](u) for u in t / 100]) for name in in_keras}
off = {name: np.abs(recorded(plan) - formulas[name]).max() for name, plan in in_keras.items()}

every = ck.callbacks.Schedule(lambda t, total: 0.05 * (1 + np.cos(np.pi * t / total)))
ck.fit(
    smallest(0.1), np.ones((400, 1)), np.ones((400, 1)), batch_size=8, epochs=2, callbacks=[every]
)
off["cosine, as a callback"] = np.abs(every.history["learning_rate"] - formulas["cosine"]).max()

# %% tags=["claim"]
ck.prove("At each of 100 steps the optimizer's rate equals the formula",
         max(off.values()) < 1e-7, f"at most {max(off.values()):.0e} off, in {', '.join(off)}")  # fmt: skip

# %% tags=["plot"]
halving = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 * 0.5**epoch)
stairs = {
    "each step: ExponentialDecay": recorded(schedules.ExponentialDecay(0.1, 50, 0.5), epochs=4),
    "each epoch: LearningRateScheduler": recorded(0.1, halving, epochs=4),
}
ck.show(ck.plotting.lines(
    stairs, np.arange(200), title="They agree only at the first step of each epoch",
    xlabel="step, 50 in an epoch", ylabel="learning rate in the optimizer"))  # fmt: skip

# %% [markdown]
# **The optimizer follows the formula to {{ max(off.values()):.0e }}, and Keras' piecewise constant
# changes after its boundary 49, at step 50.** One step is harmless in a long training, and
# a good reason to compare whole traces in a test.
#
# A callback that is called once an **epoch**, such as `LearningRateScheduler`, makes stairs of the
# same formula; with few epochs they are coarse. 1cycle *must* go step by step.

# %% [markdown]
# ## 5 · The race
#
# Every schedule gets the same net, the same {{ epochs }} epochs, and a highest rate of its own, found
# by the same search: {{ n_search }} trainings for each rate with seeds that the race does not use. Where the best
# rate is the lowest or the highest of the list, the search goes on beyond it. (Comparing them at one common rate would only show whom that rate
# suits.) Performance scheduling halves its rate after one epoch without progress; in a long training
# wait for five.
#
# **Predict first:** which schedule wins? Will it win by more than the luck of the seeds?


# %%
def every_step(shape):
    """Return what makes the callbacks of a run whose highest rate is `peak`."""
    return lambda peak: [Every(lambda t, total: peak * shape(t / total))]


callbacks = {
    "constant": lambda: [],
    "performance": lambda: [keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1)],
    **{name: every_step(shape) for name, shape in SHAPES.items()},
    "1cycle": lambda peak: [ck.callbacks.OneCycle(peak)],
}
budget = {"batch_size": batch_size, "seeds": n_seeds}
race = ck.compare(dict.fromkeys(callbacks, build), data, epochs=epochs, callbacks=callbacks,
                  rates=(0.03, 0.1, 0.3), search_seeds=n_search, **budget)  # fmt: skip
ck.show(race.final("val_loss"))

race.table("val_loss")

# %% tags=["plot"]
import matplotlib.pyplot as plt

listened = race.history["performance"]["learning_rate"]
fig, ax = plt.subplots()
for k, (seed, rates) in enumerate(zip(race.seeds, listened, strict=True)):
    apart = 1.02 ** (k - (len(race.seeds) - 1) / 2)  # so that no run hides another
    ax.step(range(1, epochs + 1), rates * apart, where="mid", label=f"seed {seed}",
            **ck.plotting.look_of(f"seed {seed}"))  # fmt: skip
levels = np.unique([f"{rate:.3g}" for rate in listened[np.isfinite(listened)]])
ax.set(xlabel="epoch", ylabel="learning rate (runs drawn apart)", yscale="log")
ax.set_yticks(levels.astype(float), levels)
ax.set_yticks([], minor=True)
ax.set_title("Performance scheduling: the rate is halved where a run stops making progress")
fig.legend(loc="outside right center")
ck.show(fig, alt="The learning rate of each run against the epoch, as steps. In the last epoch "
        + ", ".join(f"seed {seed} has {rates[-1]:.3g}"
                    for seed, rates in zip(race.seeds, listened, strict=True)) + ".")  # fmt: skip

# %% tags=["claim"]
ends = {name: values.mean() for name, values in race.last("val_loss").items()}
gain = 1 - ends["1cycle"] / ends["constant"]
first, *_ = sorted(ends, key=ends.get)
modest = max(("power", "exponential"), key=ends.get)
found = race.searched["constant"]
two_best = " and ".join(
    f"{rate:g} ({found[rate]:.3f})" for rate in sorted(found, key=found.get)[:2]
)

to_zero = ("cosine with warm-up", "1cycle")  # both climb, stay high for long and fall to almost 0
ck.prove("Cosine with warm-up and 1cycle, taken together, end below the best constant rate",
         np.mean([ends[name] for name in to_zero]) < ends["constant"],
         ", ".join(f"{name} {ends[name]:.3f}" for name in (*to_zero, "constant")))  # fmt: skip
inside = all(min(found) < race.rates[name] < max(found) for name, found in race.searched.items())
apart = test.suggestion / race.rates["constant"]
ck.prove("The range test's suggestion is within a factor of 5 of the best constant rate",
         1 / 5 < apart < 5, f"{test.suggestion:.2g} against {race.rates['constant']:.2g}")  # fmt: skip
ck.prove("No best rate stands at the end of its list", inside,
         ", ".join(f"{name} {rate:.2g}" for name, rate in race.rates.items()))  # fmt: skip

# %% [markdown]
# Performance scheduling cannot be planned, but it can be read back: each run halves its rate where its
# own validation loss pauses.
#
# **1cycle ends at {{ ends["1cycle"]:.3f }}, the best constant rate at {{ ends["constant"]:.3f }}, each with a highest
# rate of its own: {{ gain:.0% }} lower.** {{ first[0].upper() + first[1:] }} leads with
# {{ ends[first]:.3f }}; who is first among the best, the seeds do not decide. The
# title counts how many "cannot be told apart": a schedule is called the winner only if the 95% interval of
# its differences, seed by seed, leaves out 0 against *every* other one. That the rate falls is not enough:
# {{ modest }}, which spends most of its rate early, ends at {{ ends[modest]:.3f }}. What the
# leaders share is a rate that stays high for long and ends near 0. (How far ahead they are hangs on the constant
# rate: the two best of its search are {{ two_best }}, means of {{ n_search }} trainings, and the lower rate has the lower floor.)

# %% [markdown]
# ## 6 · What warm-up is for
#
# A cosine starts at its highest rate; with warm-up it takes a tenth of the steps to climb there. Both get
# the peak 0.05, once in our net and once in a net whose weights start three times as large, which makes
# its loss steeper at the start. **Predict first:** where does the warm-up pay, and how would you see it?


# %%
def three_he():
    return keras.initializers.VarianceScaling(18, "fan_in")  # nine times the variance: He has 2


def at_peak(shape):
    return lambda: [Every(lambda t, total: 0.05 * shape(t / total))]


nets = {"He": build, "three times He": lambda: build(start=three_he)}
ways = {"cosine": SHAPES["cosine"], "with warm-up": warm_up}
both = {f"{net}, {way}": (nets[net], at_peak(ways[way])) for net in nets for way in ways}
high = ck.compare({name: net for name, (net, _) in both.items()}, data, epochs=epochs, seeds=5,
                  batch_size=batch_size, callbacks={name: plan for name, (_, plan) in both.items()})  # fmt: skip
ck.show(
    high.final(
        "val_loss", title="Warm-up saves the net that starts steep, and changes little in the other"
    )
)

# %% tags=["claim"]
ended = {name: np.nan_to_num(values, nan=9) for name, values in high.last().items()}
cold, warm = ended["three times He, cosine"], ended["three times He, with warm-up"]
calm = abs(ended["He, cosine"].mean() - ended["He, with warm-up"].mean())
ck.prove("From three times He the cosine with warm-up ends below the one without, on average",
         warm.mean() < 0.8 * cold.mean(), f"{warm.mean():.2f} against {cold.mean():.2f}, five seeds")  # fmt: skip
ck.prove("From He the two are closer together", calm < (cold.mean() - warm.mean()) / 2,
         f"{calm:.2f} apart, from three times He {cold.mean() - warm.mean():.2f}")  # fmt: skip

# %% [markdown]
# **From weights three times as large, the cosine ends at {{ cold.mean():.2f }} on average, with warm-up at
# {{ warm.mean():.2f }}; from He's weights the two are {{ calm:.2f }} apart.** The five cold starts end between
# {{ cold.min():.2f }} and {{ cold.max():.2f }}; guessing has {{ guessing:.1f }}. A long step from a steep
# place can throw units where they are 0 for every image. While the rate climbs, the steps are still short,
# and the net moves to ground that is flatter and bears the high rate (Gilmer and others, 2022). A net that
# starts well, as ours does with He's weights, hardly needs it; very deep nets and large batches do. 1cycle
# climbs for nearly half of the steps, the longest warm-up of all.

# %% [markdown]
# ## 7 · Shorter budgets, larger batches
#
# 1cycle is famous for **super-convergence** (Smith and Topin, 2019): results in far fewer steps. The
# fair question is not whether it beats a constant rate in the middle of the race, but what it reaches
# when it is *planned* for half the epochs, whether a cosine planned for the same half does as well, and
# what is left of a plan that is cut off half-way.

# %%
peaks = race.rates  # each keeps the highest rate that was found for it in the race
planned = {
    "constant": lambda: [Every(lambda t, total: peaks["constant"])],
    "cosine with warm-up": lambda: callbacks["cosine with warm-up"](peaks["cosine with warm-up"]),
    "1cycle": lambda: [ck.callbacks.OneCycle(peaks["1cycle"])],
}
half = ck.compare(
    dict.fromkeys(planned, build), data, epochs=epochs // 2, callbacks=planned, **budget
)


# %%
class CutOff(ck.callbacks.OneCycle):
    def numbers(self, total):  # rates and momenta of the first half of a cycle twice as long
        return [each[:total] for each in super().numbers(2 * total)]


cut = ck.compare({"1cycle": build}, data, epochs=epochs, **budget,
                 callbacks=lambda: [CutOff(peaks["1cycle"])]).last()["1cycle"]  # fmt: skip

# %% tags=["plot"]
finals, like = {}, {}
for length, found in ((epochs, race.last()), (epochs // 2, half.last())):
    finals |= {f"{name}, {length} epochs": found[name] for name in planned}
    like |= {f"{name}, {length} epochs": name for name in planned}
cut_off = f"1cycle for {2 * epochs}, cut off at {epochs}"
ck.show(ck.plotting.strips(
    finals | {cut_off: cut}, like=like | {cut_off: "1cycle"}, xlabel="validation loss at the end",
    title="A schedule that is cut off has never had its low rates"))  # fmt: skip

# %% tags=["claim"]
means = {name: values.mean() for name, values in half.last().items()}
short = half.verdict("val_loss").text
ck.prove(f"Planned for {epochs} epochs, 1cycle ends below a 1cycle for {2 * epochs} that is cut off there",
         ends["1cycle"] < cut.mean(), f"{ends['1cycle']:.3f} < {cut.mean():.3f}")  # fmt: skip

# %% [markdown]
# **Planned for {{ epochs }} epochs, 1cycle ends at {{ ends["1cycle"]:.3f }}; with the same peak, a 1cycle
# planned for {{ 2 * epochs }} stands at {{ cut.mean():.3f }} when it is cut off there.** Planned for
# {{ epochs // 2 }}, it ends at {{ means["1cycle"]:.3f }}; the constant rate reaches
# {{ means["constant"]:.3f }} in that time and {{ ends["constant"]:.3f }} in the whole. Nor is this a
# privilege of 1cycle. In the half, {{ short }} What counts is an end near 0 *within the budget*: never judge a
# schedule that was cut off before its end.
#
# And the batch size? Back to the bowl of section 1. **Predict first:** four times the rate lifts the floor.
# Where does it go with four times the rate *and* a batch four times as large?

# %%
scaled = {name: walks[name] for name in ("rate 0.1", "rate 0.4")}  # a batch of one
scaled["rate 0.4, batch of 4"] = walk(lambda t: 0.4, batch=4)
ck.show(ck.plotting.lines(scaled, title="Four times the rate and the batch: about the old floor, reached sooner",
                          xlabel="step", ylabel="mean loss of 1,000 walkers", log="y"))  # fmt: skip

# %% tags=["claim"]
level = {name: np.mean(losses[-100:]) for name, losses in scaled.items()}
ratio = level["rate 0.4, batch of 4"] / level["rate 0.1"]
soon = {
    name: int(np.argmax(np.array(scaled[name]) < 0.1))
    for name in ("rate 0.1", "rate 0.4, batch of 4")
}

ck.prove("The floor depends on rate / batch size", 0.8 < ratio < 1.4, f"{ratio:.2f} times as high")
ck.prove("The larger batch needs fewer steps",
         soon["rate 0.4, batch of 4"] < soon["rate 0.1"] / 2, f"steps: {soon}")  # fmt: skip

# %% [markdown]
# **Four times the rate and four times the batch have {{ ratio:.1f }} times the floor, and get below 0.1
# in {{ soon["rate 0.4, batch of 4"] }} steps in place of {{ soon["rate 0.1"] }}.** The mean over $B$ samples
# has the noise variance $1/B$, which makes the floor $\frac12 \eta / (2 - \eta) / B$: proportional to
# $\eta / B$, but for the $2 - \eta$, which accounts for the {{ ratio:.1f }}. This is the linear scaling rule (Goyal and others, 2017): multiply the rate by what you multiply the batch by. It ends
# where the curvature forbids longer steps; then a larger batch only costs more. The other way round, a
# growing batch does to the noise what a falling rate does (S. L. Smith and others, 2018).

# %% [markdown]
# ## 8 · Two silent traps
#
# ### Setting the momentum
#
# Say you want to lower the momentum after the first epoch. This callback looks right, raises nothing,
# and the attribute reads back as set. **Predict first:** how far apart are the final weights of a net
# whose momentum is set to 0, and of one whose momentum stays at 0.9?


# %%
class SetMomentum(keras.callbacks.Callback):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.model.optimizer.momentum = self.value


# %%
kept, zeroed = final_weights(SetMomentum(0.9)), final_weights(SetMomentum(0.0))
print("largest difference between the two nets' weights:", np.abs(kept - zeroed).max())

# %% [markdown]
# Keras traced the update into a graph in the first step, and there `momentum` is a Python number, so
# it went in as a **constant**. The learning rate is a variable and can be changed; momentum, `beta_1`,
# `clipnorm` ([lesson 05](05_gradient_clipping.ipynb)) and `weight_decay` cannot. The cure is to let the update read a variable:


# %%
class SGDWithLiveMomentum(keras.optimizers.SGD):
    def __init__(self, learning_rate, momentum):
        super().__init__(learning_rate, momentum=momentum)
        self.live_momentum = keras.Variable(momentum, trainable=False, name="live_momentum")

    def update_step(self, gradient, variable, learning_rate):
        velocity = self.momentums[self._get_variable_index(variable)]
        momentum = keras.ops.cast(self.live_momentum, variable.dtype)
        self.assign(velocity, momentum * velocity - learning_rate * gradient)
        self.assign_add(variable, velocity)


class SetLiveMomentum(SetMomentum):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.model.optimizer.live_momentum.assign(self.value)


# %%
cycle = ck.callbacks.OneCycle(0.1)
still = ck.callbacks.OneCycle(0.1, momentum=(0.95, 0.95))
apart = np.abs(final_weights(cycle) - final_weights(still)).max()
read_back = {"10 times the learning rate": np.array(cycle.history["learning_rate"]) * 10,
             "momentum": cycle.history["momentum"]}  # fmt: skip
ck.show(ck.plotting.lines(read_back, cycle.history["step"], xlabel="step", ylabel="value",
                          title="Read back from the optimizer: momentum mirrors the rate"))  # fmt: skip

# %% tags=["claim"]
live_kept = final_weights(SetLiveMomentum(0.9), SGDWithLiveMomentum(0.01, 0.9))
live_zeroed = final_weights(SetLiveMomentum(0.0), SGDWithLiveMomentum(0.01, 0.9))
moved = np.abs(live_kept - live_zeroed).max()

ck.prove("Setting optimizer.momentum on a compiled model has no effect",
         np.array_equal(kept, zeroed), "the weights are equal bit for bit")  # fmt: skip
ck.prove("The live optimizer equals Keras' own while its momentum is constant",
         np.allclose(live_kept, kept, atol=1e-6), f"{np.abs(live_kept - kept).max():.1e} apart")  # fmt: skip
ck.prove("A live momentum changes the weights", moved > 1e-3, f"by up to {moved:.3f}")
steps = np.array(cycle.history["step"])
rate = np.interp(steps, [0, 85, 170, 188], [0.01, 0.1, 0.01, 1e-5])  # 3 epochs of 63 steps
momentum = np.interp(steps, [0, 85, 170, 188], [0.95, 0.85, 0.95, 0.95])
ck.prove("1cycle's rate and momentum, read back at each step, are those of the plan",
         len(steps) == 189 and np.allclose(cycle.history["learning_rate"], rate, rtol=1e-4, atol=1e-8)
         and np.allclose(cycle.history["momentum"], momentum, rtol=1e-5), f"{len(steps)} steps")  # fmt: skip
ck.prove("Cycling momentum changes the weights", apart > 1e-3, f"by up to {apart:.3f}")

# %% [markdown]
# **Setting the attribute changed the weights by {{ np.abs(kept - zeroed).max():g }}; setting the
# variable changes them by up to {{ moved:.2f }}.** `ck.callbacks.OneCycle` cycles momentum inside the
# compiled update, for SGD, RMSprop and the Adam family; the picture shows what the optimizer used.
#
# ### What is saved with the model, and what is not
#
# You stop a training and go on tomorrow. **Predict first:** does the schedule go on where it was?
# Does `ReduceLROnPlateau` remember how long it has waited?

# %%
import tempfile

model = smallest(schedules.ExponentialDecay(0.1, 25, 0.1))
model.fit(np.ones((400, 1)), np.ones((400, 1)), batch_size=10, verbose=0)
with tempfile.TemporaryDirectory() as folder:
    model.save(f"{folder}/model.keras")
    loaded = keras.models.load_model(f"{folder}/model.keras")
for name, each in {"before saving": model, "after loading": loaded}.items():
    optimizer = each.optimizer
    print(f"{name}: step {int(optimizer.iterations)}, rate {float(optimizer.learning_rate):.6f}")

# %% tags=["claim"]
after = float(loaded.optimizer.learning_rate)
ck.prove("A schedule in the optimizer goes on after loading",
         int(loaded.optimizer.iterations) == 40 and np.isclose(after, 0.1 * 0.1 ** (40 / 25)),
         f"step {int(loaded.optimizer.iterations)}, rate {after:.6f}")  # fmt: skip

# %% [markdown]
# **A schedule object is part of the optimizer: settings and step counter are saved, and it goes on at
# step {{ int(loaded.optimizer.iterations) }}.** (It goes on across two `fit` calls as well, which is a
# surprise if you wanted it to start again.) A **callback** is not part of the model: the rate it last
# set is saved, its memory is not. `ReduceLROnPlateau` forgets its best loss and its waiting, and a
# `LearningRateScheduler` counts epochs from 0 unless you pass `initial_epoch`.
#
# ## Pitfalls
#
# - **A schedule in the optimizer and a callback that sets the rate.** Keras raises `TypeError` in the
#   middle of training. Use one or the other.
# - **A schedule counted in epochs.** `decay_steps` counts steps: multiply by the steps in an epoch, and
#   again when you change the batch size.
# - **A schedule cut short.** A plan for 100 epochs that is stopped after 50 has never had a low rate.
#   Plan for the epochs you will train.
# - **`optimizer.lr = 0.01`** makes a new attribute that nobody reads. Write
#   `optimizer.learning_rate = 0.01`.
# - **`decay=`** belongs to old Keras; today it is ignored, with a warning.
# - **The loss in a batch hook** is the running mean of the epoch, not the batch's own loss.
#
# ## What to do tomorrow
#
# 1. Start with the range test's suggestion, and try three times as much and a third of it.
# 2. Let the rate fall to almost 0 by the end of the budget you really have: cosine or 1cycle.
# 3. Warm up over the first 5–10% of the steps when you want a high peak.
# 4. Change the batch size, and search the rate again.
# 5. Read the rate back from the optimizer once before you trust a plan.
#
# ## Recap
#
# - Near the minimum a step is mostly noise; a constant rate stops at a floor proportional to it.
# - Too low crawls, too high diverges, slightly too high leads first and is held up by its noise.
# - A range test finds a rate to start from in a few hundred steps.
# - A schedule is a function of the step; the good ones stay high for long and end near 0.
# - Momentum set on a compiled optimizer changes nothing; a callback's memory is not saved.
#
# ## Now practise
#
# Open [exercise 09](../exercises/09_learning_rate_schedules.ipynb): write each schedule, the range
# test and 1cycle yourself; every task answers back. The
# [CIFAR-10 study](../exercises/15_cifar10_study.ipynb) puts 1cycle to work on twenty layers. Then go on
# with lesson [10 ℓ1, ℓ2, max-norm and early stopping](10_regularisation.ipynb).
#
# ## Further reading
#
# - L. N. Smith, *Cyclical Learning Rates for Training Neural Networks*, WACV 2017, arXiv:1506.01186:
#   section 3.3, the range test.
# - L. N. Smith, *A Disciplined Approach to Neural Network Hyper-Parameters: Part 1*,
#   arXiv:1803.09820, 2018: section 4.1, the 1cycle policy.
# - L. N. Smith and N. Topin, *Super-Convergence: Very Fast Training of Neural Networks Using Large
#   Learning Rates*, 2019, arXiv:1708.07120.
# - I. Loshchilov and F. Hutter, *SGDR: Stochastic Gradient Descent with Warm Restarts*, ICLR 2017,
#   arXiv:1608.03983: section 3, cosine annealing.
# - P. Goyal and others, *Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour*,
#   arXiv:1706.02677, 2017: section 2, linear scaling and warm-up.
# - S. L. Smith and others, *Don't Decay the Learning Rate, Increase the Batch Size*, ICLR 2018,
#   arXiv:1711.00489.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022,
#   chapter 11, "Learning Rate Scheduling".
