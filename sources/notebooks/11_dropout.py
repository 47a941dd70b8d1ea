# %% [markdown]
# # 11 Dropout and Monte Carlo dropout
#
# Switch off half of the units in every training step, at random, and a large net overfits less. Go on
# switching them off while it predicts, and it tells you something about when it does not know. How
# much of either is true?
#
# ## What you will be able to do
#
# After about {{ minutes.reading }} minutes of reading, or {{ minutes.with_code }} minutes with the
# code, you will be able to
#
# - write **dropout** (드롭아웃) and say what is scaled, when, and by which factor;
# - say where it pays and where it costs, and read a training loss that it distorts;
# - turn any trained dropout net into an ensemble with **Monte Carlo dropout** (몬테 카를로
#   드롭아웃), and know the price;
# - tell two kinds of uncertainty apart, let a net abstain, and check whether its 90% are 90%;
# - avoid the trap of `training=True`.
#
# The section before the pitfalls, on why dropout helps, is optional.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import numpy as np

n_seeds, epochs, T = lab.pick(quick=(2, 20, 30), standard=(5, 24, 100), full=(10, 40, 200))
data = ck.load("mnist", n_valid=512).subset(512, seed=lab.seed)
draw = np.random.default_rng(lab.seed)
as_array = keras.ops.convert_to_numpy

# %% [markdown]
# All nets learn handwritten digits from 512 images only, so that there is something to overfit.
#
# ## Play first: the mask player
#
# In each step of training, dropout switches off some units (white). The marked unit adds up what
# reaches it. Move `step` to draw the next mask. When does the running average settle, and where? Then
# untick `scaled`.

# %% tags=["helper"]
import itertools

import matplotlib.pyplot as plt

COLORS = ck.plotting.COLORS


def draw_net(ax, kept):
    places = [[(x, y - (len(k) - 1) / 2) for y in range(len(k))] for x, k in enumerate(kept)]
    for x, pair in enumerate(itertools.pairwise(kept)):
        alive = [[p for p, k in zip(places[x + d], pair[d], strict=True) if k] for d in (0, 1)]
        for start, end in itertools.product(*alive):
            ax.plot(*zip(start, end, strict=True), "-", color=COLORS[4], linewidth=0.7, zorder=1)
    for place, k in zip(places, kept, strict=True):
        faces = [COLORS[0] if on else "white" for on in k]
        ax.scatter(*zip(*place, strict=True), s=110, c=faces, edgecolors=COLORS[7], zorder=2)
    ax.scatter(*places[-1][0], s=260, facecolors="none", edgecolors=COLORS[1], linewidth=2)
    ax.set_axis_off()


def play(rate, step, drop_inputs, scaled):
    sizes, generator = (5, 8, 8, 3), np.random.default_rng(7)
    rates = (rate if drop_inputs else 0.0, rate, rate, 0.0)
    received, weights = [], generator.uniform(0.1, 1.0, sizes[2])
    for _ in range(step):
        kept = [generator.random(n) >= r for n, r in zip(sizes, rates, strict=True)]
        received.append(weights @ kept[2] / ((1 - rate) if scaled else 1) / weights.sum())
    at = np.arange(1, step + 1)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.1), width_ratios=[2, 3])
    draw_net(left, kept)
    left.set_title(f"Step {step}: {sum(int((~k).sum()) for k in kept)} units off")
    right.plot(at, received, ".", color=COLORS[4], label="in this step")
    right.plot(at, np.cumsum(received) / at, "-", color=COLORS[1], label="average so far")
    right.axhline(1, color=COLORS[6], linestyle=":", label="without dropout")
    right.set(xlabel="step", ylabel="received, as a share", ylim=(0, None))
    right.set_title("What the marked unit receives")
    fig.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=3)
    return fig


ck.widgets.explore(play, rate=(0.0, 0.9, 0.5), step=(1, 300, 60), drop_inputs=False, scaled=True,
                   alt="Left: a small net in one training step; units that are off are white. Right: what "
                   "the marked unit receives in each step, and on average so far.")  # fmt: skip

# %% [markdown]
# ## 1 · A new mask in every step
#
# In each training step, and for each sample of the batch, every unit of a layer is **dropped** with
# probability $p$, the **rate**: it sends 0 in this step. The next step draws again. The inputs of the
# net may be dropped too; the outputs never, because the loss needs all of them.
#
# ![The same small net three times. In one step of training two units of each hidden layer are off; in the next step other ones. At prediction all units are on.](../figures/dropout_masks.svg)
#
# With half of the units gone, about half of the sum arrives at a unit of the next layer. At prediction
# all of it arrives: the net would be used on sums that it was never trained on.
#
# **Predict first:** with a rate $p$, which share of the sum arrives on average? By what must you
# divide, so that the average stays as it is without dropout? Does the standard deviation stay as well?


# %%
def dropout(x, rate, scaled=True):
    """Return what a layer sends in one training step: a mask of its own for each row."""
    kept = draw.random(x.shape) >= rate
    return x * kept / (1 - rate) if scaled else x * kept


outputs = np.abs(draw.normal(size=500)).astype("float32")  # of 500 units, for one sample
rows = np.tile(outputs, (2_000, 1))  # the same sample in 2,000 steps
rates = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
shares = {
    "divided by 1 − p": [dropout(rows, p).mean() / rows.mean() for p in rates],
    "not scaled": [dropout(rows, p, scaled=False).mean() / rows.mean() for p in rates],
}
layer = keras.layers.Dropout(0.5)
trained, predicted = as_array(layer(rows, training=True)), as_array(layer(rows, training=False))

# %% tags=["plot", "claim"]
digit = data.x_valid[0]
steps = [digit, *(dropout(digit, rate, scaled=False) for rate in (0.2, 0.2, 0.2, 0.5, 0.5, 0.5))]
labels = ["all inputs", *["rate 20%"] * 3, *["rate 50%"] * 3]
ck.show(ck.plotting.images(steps, labels, columns=7,
                           title="Dropout on the inputs: no two steps alike"))  # fmt: skip
ck.show(ck.plotting.lines(shares, rates, xlabel="rate p", crosses=False,
                          ylabel="average output, as a share\nof the one without dropout",
                          title="Divided by 1 − p, the average stays"))  # fmt: skip
off = np.abs(np.array(shares["divided by 1 − p"]) - 1).max()
ck.prove(
    "Divided by 1 − p, the average stays within 1% at every rate", off < 0.01, f"{off:.2%} off"
)
left = np.abs(shares["not scaled"] / (1 - rates) - 1).max()
ck.prove("Not scaled, a share of 1 − p arrives", left < 0.01, f"{left:.2%} off")
scaled_up = np.unique((trained / rows).round(4))
ck.prove("Keras divides by 1 − p in training, and changes nothing at prediction",
         np.allclose(scaled_up, [0, 2]) and np.array_equal(predicted, rows),
         f"in training × {scaled_up[0]:g} or × {scaled_up[-1]:g}")  # fmt: skip
spread = (trained**2).mean() / (rows**2).mean()
ck.prove("The mean square grows by 1/(1 − p)", abs(spread * 0.5 - 1) < 0.02, f"{spread:.2f} times")

# %% [markdown]
# **Divided by the keep probability (보존 확률) 1 − p, the average stays within {{ off:.2% }}; the mean square
# does not: with a rate of 50% it grows {{ spread:.2f }}-fold.** Dividing while training is called **inverted
# dropout**. It is what Keras does: in training an output is multiplied by {{ scaled_up[0]:g }} or by
# {{ scaled_up[-1]:g }}, at prediction by nothing. The average is repaired, the standard deviation is not: dropout is
# noise, and a layer's outputs vary more in training than at prediction.

# %% [markdown]
# ## 2 · Divide now, or multiply later: but by what?
#
# The first papers left the training unscaled and corrected the weights afterwards. Notes on the web
# explain it with $p$ = 75%: in training only a quarter of the units is there, afterwards all of them,
# four times as many. So far, so good. Then some go on: "so multiply the weights by 4 after training".
#
# **Predict first:** is 4 the right factor? What do you expect of 1/4, and of 1 (no correction)? How much
# will the accuracy notice?
#
# A dropout layer without scaling takes two lines. Half of the nets get it, half get Keras' own. After
# training, the weights that leave a dropped layer are multiplied by a factor; that is the same as multiplying
# what the layer sends. (Folded away: `Keep`, which notes the weights of every net, and `forward`, the net in
# NumPy, with a mask or a factor for each hidden layer.)


# %%
class PlainDropout(keras.layers.Dropout):
    def call(self, inputs, training=False):
        outputs = super().call(inputs, training=training)
        return outputs * (1 - self.rate) if training else outputs  # undo what Keras scaled


def build(rate, units=200, dropout=keras.layers.Dropout, learning_rate=0.003):
    layers = [keras.layers.Flatten()]
    for _ in range(2):
        layers.append(keras.layers.Dense(units, "relu", kernel_initializer="he_normal"))
        layers.append(dropout(rate))
    model = keras.Sequential([keras.Input((28, 28)), *layers, keras.layers.Dense(10, "softmax")])
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"])
    return model


# %% tags=["helper"]
class Keep(keras.callbacks.Callback):
    def __init__(self, nets):
        super().__init__()
        self.nets = nets

    def on_train_end(self, logs=None):
        self.nets.append(self.model.get_weights())


def forward(weights, x, masks=(1.0, 1.0)):
    """The trained net in NumPy; what its two hidden layers send is multiplied by the masks."""
    h = x.reshape(len(x), -1)
    for kernel, bias, mask in zip(weights[0:4:2], weights[1:4:2], masks, strict=True):
        h = np.maximum(h @ kernel + bias, 0) * mask
    z = h @ weights[4] + weights[5]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def log_loss(probabilities, labels):
    right = probabilities[np.arange(len(labels)), labels]
    return -np.log(np.maximum(right, 1e-7)).mean()


def accuracy(probabilities, labels):
    return np.mean(probabilities.argmax(axis=1) == labels)


x_valid, y_valid = data.x_valid, data.y_valid

# %%
arms = {"not scaled": lambda: build(0.75, dropout=PlainDropout), "divided by 1/4": lambda: build(0.75)}  # fmt: skip
nets = {name: [] for name in arms}
budget = {"epochs": epochs, "batch_size": 128, "seeds": n_seeds}
ck.compare(
    arms, data, **budget,
    callbacks={name: lambda name=name: [Keep(nets[name])] for name in arms})  # fmt: skip
factors = 2.0 ** np.arange(-4, 4)
answers = {name: [[forward(net, x_valid, (f, f)) for f in factors] for net in nets[name]]
           for name in arms}  # fmt: skip
losses = {name: [[log_loss(p, y_valid) for p in each] for each in answers[name]] for name in arms}
ck.show(ck.plotting.lines(losses, factors, log="xy", crosses=False,
                          title="Not scaled in training: the weights want 1/4 afterwards, not 4",
                          xlabel="factor on the weights after training", ylabel="validation loss"))  # fmt: skip

# %% tags=["claim"]
at = {name: dict(zip(factors, np.mean(losses[name], axis=0), strict=True)) for name in arms}
plain, inverted = at["not scaled"], at["divided by 1/4"]
ck.prove("After training without scaling, 1/4 is better than 1, and 1 better than 4",
         plain[0.25] < plain[1] < plain[4], f"{plain[0.25]:.2f} < {plain[1]:.2f} < {plain[4]:.2f}")  # fmt: skip
ck.prove("After Keras' training, 1 is better than 1/4 and than 4",
         inverted[1] < min(inverted[0.25], inverted[4]),
         f"{inverted[1]:.2f}, the others {inverted[0.25]:.2f} and {inverted[4]:.2f}")  # fmt: skip
right = {f: np.mean([accuracy(each[list(factors).index(f)], y_valid) for each in answers["not scaled"]])
         for f in (0.25, 4.0)}  # fmt: skip
ck.prove("The accuracy hardly notices the wrong factor", abs(right[0.25] - right[4.0]) < 0.03,
         f"{right[0.25]:.1%} with 1/4, {right[4.0]:.1%} with 4")  # fmt: skip

# %% [markdown]
# **Trained without scaling, the nets have the loss {{ plain[0.25]:.2f }} with the factor 1/4 and
# {{ plain[4]:.2f }} with 4; trained by Keras they want the factor 1 ({{ inverted[1]:.2f }}).** Four is the right
# factor at the wrong time. With a keep probability of 1/4 these three say the same, and "by 4 after
# training" says the opposite:
#
# - divide the outputs by 1/4 **during** training (Keras);
# - multiply them by 4 **during** training;
# - multiply the weights by 1/4 **after** training.
#
# The mistake can live long, because the accuracy hardly shows it: {{ right[0.25]:.1% }} with 1/4 and
# {{ right[4.0]:.1% }} with 4. All logits grow together, so the winner stays the winner; only the confidence
# becomes absurd, and the loss with it.

# %% [markdown]
# ## 3 · Overfit on purpose
#
# Two hidden layers of 200 units can learn 512 images by heart. A callback also measures the training
# loss **with dropout off** after each epoch.
#
# **Predict first:** draw the curves: training and validation loss, without dropout and with 50%. Which
# training loss lies *above* its own validation loss?


# %%
class Watch(Keep):
    """Adds the training loss with dropout off to the history, as `off_loss`."""

    def on_epoch_end(self, epoch, logs):
        logs["off_loss"] = log_loss(as_array(self.model(data.x_train)), data.y_train)


pair = {"no dropout": lambda: build(0.0), "dropout 50%": lambda: build(0.5)}
nets |= {name: [] for name in pair}
watched = ck.compare(pair, data, **budget,
                     callbacks={name: lambda name=name: [Watch(nets[name])] for name in pair})  # fmt: skip

# %% tags=["plot", "claim"]
without, with_dropout = (watched.history[name] for name in pair)
ck.show(ck.plotting.lines(
    {"no dropout: validation": without["val_loss"], "no dropout: training": without["loss"],
     "50%: validation": with_dropout["val_loss"], "50%: training, as reported": with_dropout["loss"],
     "50%: training, dropout off": with_dropout["off_loss"]}, log="y", xlabel="epoch", ylabel="loss",
    title="With dropout, the reported training loss is not that of the whole net"))  # fmt: skip
reported, alone = with_dropout["loss"].mean(axis=0), with_dropout["off_loss"].mean(axis=0)
ck.prove("With dropout off, the training loss is less than half of the one reported",
         alone[-1] < 0.5 * reported[-1], f"{alone[-1]:.3f} against {reported[-1]:.3f}")  # fmt: skip
first = with_dropout["val_loss"].mean(axis=0)[0]
ck.prove("The reported training loss starts above the validation loss", reported[0] > first,
         f"{reported[0]:.2f} > {first:.2f}")  # fmt: skip
target = 0.5
reach = {name: np.mean([np.argmax(run < target) + 1 if run.min() < target else epochs
                        for run in kept["off_loss"]]) for name, kept in watched.history.items()}  # fmt: skip
slower = reach["dropout 50%"] / reach["no dropout"]
ck.prove(f"With dropout it takes more epochs until the training loss, dropout off, is below {target}",
         slower > 1.2,
         f"{reach['dropout 50%']:.1f} in place of {reach['no dropout']:.1f}")  # fmt: skip

# %% [markdown]
# **With dropout the reported training loss ends at {{ reported[-1]:.3f }}, the one of the whole net at
# {{ alone[-1]:.3f }}.** The first is a loss with half of the units missing, measured while the net still
# learns; it may lie above the validation loss while the net overfits all the same. Compare like with
# like: `model.evaluate(x_train, y_train)`. And dropout **slows convergence**: {{ reach["dropout 50%"]:.1f }}
# epochs to a training loss of {{ target }} in place of {{ reach["no dropout"]:.1f }}, {{ slower:.1f }} times as
# many.
#
# ### Does the accuracy rise?
#
# These labels are right, and nearly all that can be learned from them is worth learning. Now turn 30% of the
# training labels into wrong ones, as a careless annotator would. A fair comparison gives every arm the means
# that cost nothing: each run may **stop early**, at its lowest validation loss
# ([lesson 10](10_regularisation.ipynb); judged on the same images, all alike), and one more arm without dropout has a third of the learning rate.
#
# **Predict first:** how many percentage points does dropout gain with right labels, and how many with wrong ones? How much
# of it does stopping early bring as well?

# %%
from types import SimpleNamespace

wrong = draw.random(512) < 0.3
y_wrong = np.where(wrong, (data.y_train + draw.integers(1, 10, 512)) % 10, data.y_train)
noisy = SimpleNamespace(x_train=data.x_train, y_train=y_wrong, x_valid=x_valid, y_valid=y_valid)
slowly = {"a third of the rate": lambda: build(0.0, learning_rate=0.001)}
nets["careless"] = []
careless = ck.compare(pair | slowly, noisy, **budget,
                      callbacks={"dropout 50%": lambda: [Keep(nets["careless"])]})  # fmt: skip


def stopped_early(kept):
    """The validation accuracy of each run in the epoch of its lowest validation loss."""
    best = kept["val_loss"].argmin(axis=1)
    return kept["val_accuracy"][np.arange(len(best)), best]


# %% tags=["plot", "claim"]
right_last, wrong_last = (runs.last("val_accuracy") for runs in (watched, careless))
stopped = {name: stopped_early(kept) for name, kept in careless.history.items()}
ends = {f"right labels: {name}": values for name, values in right_last.items()}
ends |= {f"30% wrong: {name}": values for name, values in wrong_last.items()}
ends |= {f"30% wrong, stopped early: {name}": values for name, values in stopped.items()}
ck.show(ck.plotting.strips(ends, xlabel="validation accuracy",
                           title="Wrong labels learned by heart cost accuracy; dropout or an early stop saves it"))  # fmt: skip
gains = {
    "right": 100 * float(np.mean(right_last["dropout 50%"] - right_last["no dropout"])),
    "wrong": 100 * float(np.mean(wrong_last["dropout 50%"] - wrong_last["no dropout"])),
    "early": 100 * float(np.mean(stopped["no dropout"] - wrong_last["no dropout"])),
}
ck.prove("With 30% wrong labels, at the same rate, dropout ends with the higher accuracy",
         gains["wrong"] > 2, f"{gains['wrong']:+.1f} percentage points")  # fmt: skip
ck.prove("With right labels it changes the accuracy less", abs(gains["right"]) < gains["wrong"],
         f"{gains['right']:+.1f} percentage points")  # fmt: skip
ck.prove("Stopping early helps the net without dropout as well", gains["early"] > 1,
         f"{gains['early']:+.1f} percentage points")  # fmt: skip
fair = ck.verdict({name: 100 * values for name, values in stopped.items()},
                  better="higher", metric="validation accuracy")  # fmt: skip

# %% [markdown]
# **Trained to the end on 30% wrong labels, the nets have {{ wrong_last["no dropout"].mean():.1% }} without dropout and
# {{ wrong_last["dropout 50%"].mean():.1% }} with it; with right labels dropout changes the accuracy by
# {{ gains["right"]:+.1f }} percentage points.** To learn a wrong label by heart probably takes many units that work
# together for one image; with half of them missing that is harder. Where there is little to learn by heart, dropout has little
# to prevent. Nor is it the only cure: without dropout an early stop brings {{ stopped["no dropout"].mean():.1% }}, with
# dropout {{ stopped["dropout 50%"].mean():.1% }}. The verdict if everybody may stop early, in percent: {{ fair.text }} Dropout is one
# brake among others; with it, the moment of stopping matters less.

# %% [markdown]
# ## 4 · How much?
#
# **Predict first:** rates from 0 to 90% after both hidden layers, on the labels with mistakes. Where is the
# best rate for 200 units? Where for 16?

# %%
widths = {"200 units": lambda rate: build(rate), "16 units": lambda rate: build(rate, 16)}
swept = ck.sweep(
    widths, noisy, epochs=epochs, batch_size=128,
    over={"rate": lab.pick(quick=(0.0, 0.5, 0.9), standard=(0.0, 0.25, 0.5, 0.75, 0.9),
                           full=(0.0, 0.1, 0.25, 0.5, 0.75, 0.9))},
    seeds=lab.pick(quick=1, standard=2, full=5))  # fmt: skip
ck.show(swept.plot("val_accuracy", title="Half of 200 units can be spared, half of 16 cannot",
                   xlabel="rate after each hidden layer"))  # fmt: skip

# %% tags=["claim"]
wide, narrow = (dict(zip(swept.values, swept.last("val_accuracy")[name].mean(axis=0), strict=True))
                for name in widths)  # fmt: skip
ck.prove("With 200 units 50% is better than nothing", wide[0.5] > wide[0.0],
         f"{wide[0.5]:.1%} against {wide[0.0]:.1%}")  # fmt: skip
ck.prove("With 16 units 50% is worse than nothing", narrow[0.5] < narrow[0.0],
         f"{narrow[0.5]:.1%} against {narrow[0.0]:.1%}")  # fmt: skip
ck.prove("90% is worse than 50%, for both", wide[0.9] < wide[0.5] and narrow[0.9] < narrow[0.5],
         f"{wide[0.9]:.1%} and {narrow[0.9]:.1%}")  # fmt: skip

# %% [markdown]
# **A rate of 50% takes 200 units from {{ wide[0.0]:.1% }} to {{ wide[0.5]:.1% }}, and 16 units from
# {{ narrow[0.0]:.1% }} to {{ narrow[0.5]:.1% }}; at 90% the nets learn next to nothing in {{ epochs }} epochs:
# {{ wide[0.9]:.1% }} and {{ narrow[0.9]:.1% }}.** All have one learning rate here, 0.003. The narrow net
# **underfits** (과소적합): it has no unit to spare. So take a higher rate for large layers and a lower one
# for small layers; raise it when you see **overfitting** (과대적합), lower it when you see underfitting. Where
# to begin:
#
# | net | usual rates | usual place |
# |---|---|---|
# | dense | 10–50% | after the top one to three hidden layers; inputs at most 20% |
# | recurrent (RNN) | 20–30% | `dropout=` (inputs) and `recurrent_dropout=` (state) of `LSTM` and `GRU` |
# | convolutional (CNN) | 40–50% | after the dense layers on top; between convolutions `SpatialDropout2D`, which drops whole feature maps |

# %% [markdown]
# ## 5 · Monte Carlo dropout
#
# Leave dropout on while predicting, predict $T$ times with different masks, and average the
# probabilities (Gal and Ghahramani, 2016). Nothing is trained again, and any net with dropout will do. Here
# are three ways for one of the nets of section 3: masks by hand, Keras with `training=True`, and
# `ck.mc_predict`, which works for any model and also returns every sample.
#
# **Predict first:** how many passes until the accuracy stops rising? Is it then higher than that of one pass
# with dropout off?

# %%
model, net = watched.models["dropout 50%"], nets["dropout 50%"][-1]
model.set_weights(net)


def random_masks():
    return 2 * (draw.random((2, len(x_valid), 200)) >= 0.5)


mc = ck.mc_predict(model, x_valid, samples=T, seed=lab.seed)
ways = {
    "masks by hand": np.mean([forward(net, x_valid, random_masks()) for _ in range(T)], axis=0),
    "training=True": np.mean([as_array(model(x_valid, training=True)) for _ in range(T)], axis=0),
}
by_chance = np.sqrt(2 * (mc.std**2).sum() / T)  # how far two averages of T passes are apart
for name, average in ways.items():
    ratio = np.linalg.norm(average - mc.mean) / by_chance
    print(f"{name} and ck.mc_predict differ {ratio:.2f} times as much as chance explains")

# %%
counts = [t for t in (1, 3, 10, 30, 100) if t <= T]
averaged, plain_pass = np.zeros((2, n_seeds, len(counts))), np.zeros((2, n_seeds, 1))
for seed, net in enumerate(nets["dropout 50%"]):
    model.set_weights(net)
    samples = ck.mc_predict(model, x_valid, samples=T, seed=seed).samples
    for i, t in enumerate(counts):
        p = samples[: T // t * t].reshape(-1, t, *samples.shape[1:]).mean(axis=1)
        averaged[:, seed, i] = np.mean([(accuracy(q, y_valid), log_loss(q, y_valid)) for q in p], 0)
    p = forward(net, x_valid)
    plain_pass[:, seed, 0] = accuracy(p, y_valid), log_loss(p, y_valid)

# %% tags=["plot", "claim"]
level = np.repeat(plain_pass[0], len(counts), axis=1)
one, ten, most = (averaged[0].mean(axis=0)[i] for i in (0, counts.index(10), -1))
off_pass, off_loss = plain_pass.mean(axis=(1, 2))
ck.show(ck.plotting.lines({"average of T passes": averaged[0], "one pass, dropout off": level}, counts,
                          log="x", crosses=False, xlabel="number of passes T", ylabel="validation accuracy",
                          title=f"{counts[-1]} passes against one with dropout off: {100 * (most - off_pass):+.1f} percentage points"))  # fmt: skip
ratios = {name: np.linalg.norm(each - mc.mean) / by_chance for name, each in ways.items()}
ck.prove("The three ways differ by chance only", all(0.75 < r < 1.3 for r in ratios.values()),
         f"{', '.join(f'{r:.2f}' for r in ratios.values())} times what chance explains")  # fmt: skip
same = ck.mc_predict(model, x_valid, samples=T, seed=lab.seed).samples
ck.prove("The passes differ, and the same seed gives the same ones",
         np.array_equal(same, mc.samples) and not np.array_equal(same[0], same[1]),
         f"{T} passes for {len(x_valid)} images")  # fmt: skip
ck.prove("Ten passes bring most of what many bring over a single random one",
         most - one > 0.01 and (ten - one) > 0.6 * (most - one),
         f"1: {one:.1%}, 10: {ten:.1%}, {counts[-1]}: {most:.1%}")  # fmt: skip
ck.prove("Against one pass with dropout off the accuracy moves by less than two percentage points",
         abs(most - off_pass) < 0.02, f"{100 * (most - off_pass):+.2f}")  # fmt: skip

# %% [markdown]
# **One random pass has {{ one:.1% }}, ten have {{ ten:.1% }}, {{ counts[-1] }} have {{ most:.1% }}; one pass with
# dropout off has {{ off_pass:.1% }}.** With a net of this kind, accuracy is not what you buy. The loss goes from
# {{ off_loss:.3f }} (dropout off) to {{ averaged[1].mean(axis=0)[-1]:.3f }}; what that means, the next sections tell.
#
# **The price.** $T$ passes are $T$ predictions. One prediction, a loop and `ck.mc_predict` are all compiled and
# timed in turn, four times each; what is printed compares the medians.

# %% tags=["helper"]
import time

import tensorflow as tf


def ways_to_predict(net):
    once, random = (
        tf.function(lambda x, t=t: net(x, training=t), autograph=False) for t in (False, True)
    )
    yield "one prediction", once
    yield "loop", lambda x: [random(x) for _ in range(T)]
    yield "ck.mc_predict", lambda x: ck.mc_predict(net, x, samples=T)


last_only = keras.Sequential([keras.Input((28, 28)), *model.layers[:2], *model.layers[3:]])
seconds = {}
for name, each in {"dropout after both layers": model, "only after the last": last_only}.items():
    for turn, (way, work) in itertools.product(range(5), list(ways_to_predict(each))):
        start = time.perf_counter()
        work(x_valid)
        if turn:  # the first one compiles
            seconds.setdefault((name, way), []).append(time.perf_counter() - start)
cost = {key: np.median(values) for key, values in seconds.items()}
price = {key: cost[key] / cost[key[0], "one prediction"] for key in cost}
for name in ("dropout after both layers", "only after the last"):
    print(f"{name}: {T} passes cost {price[name, 'loop']:.0f} predictions in a loop, "
          f"{price[name, 'ck.mc_predict']:.0f} with ck.mc_predict")  # fmt: skip

# %% [markdown]
# **With dropout after both layers {{ T }} passes of `ck.mc_predict` cost
# {{ price["dropout after both layers", "ck.mc_predict"]:.0f }} predictions, with dropout only after the last one
# {{ price["only after the last", "ck.mc_predict"]:.0f }}** (on the machine of this run). The layers before the
# first dropout are the same in every pass; `ck.mc_predict` computes them once. What is left, the random
# numbers above all, is the price of the method.

# %% [markdown]
# ## 6 · Does it know that it does not know?
#
# Show the digit nets what they have never seen: digits turned by 60°, digits under heavy noise, and
# other pictures in grey (CIFAR-10's photographs, or the shapes that stand in for them). A
# classifier must choose one of ten digits even where there is none. The **predictive entropy** of its
# probabilities $\bar p_c$ says how undecided it is,
#
# $$H = -\sum_c \bar p_c \ln \bar p_c,$$
#
# 0 for a certain answer, ln 10 ≈ 2.3 for guessing. Of many passes it has two parts:
#
# - **aleatoric** uncertainty: each pass by itself is undecided. The image is unclear, and more data of
#   this kind would not help. It is measured by the mean entropy of the single passes;
# - **epistemic** uncertainty: the passes *disagree*. The net does not know, and data would help. It is the
#   rest, the **mutual information** of prediction and weights.
#
# **Predict first:** how sure is a plain pass about a picture that shows no digit? Which of the two parts grows?

# %%
from scipy.ndimage import rotate

m = lab.pick(quick=200, standard=400, full=1_000)
x_test, y_test = data.x_test[:m], data.y_test[:m]
photos = ck.load("cifar10")
others = {
    "turned by 60°": rotate(x_test, 60, axes=(1, 2), reshape=False, order=1),
    "under noise": x_test + draw.normal(0, 0.5, x_test.shape),
    "other pictures": photos.x_test[:m, 2:30, 2:30].mean(axis=-1),
}
sets = {"digits": x_test} | {k: v.clip(0, 1).astype("float32") for k, v in others.items()}
plain_passes, sampled = {}, {}
for (name, x), (k, net) in itertools.product(sets.items(), enumerate(nets["dropout 50%"])):
    model.set_weights(net)
    plain_passes[name, k] = forward(net, x)
    sampled[name, k] = ck.mc_predict(model, x, samples=T, seed=k)

# %%
measures = {
    "one pass": lambda p, mc: ck.uncertainty.predictive_entropy(p),
    "many passes": lambda p, mc: mc.entropy,
    "epistemic": lambda p, mc: ck.uncertainty.mutual_information(mc.samples),
    "aleatoric": lambda p, mc: ck.uncertainty.predictive_entropy(mc.samples).mean(axis=0),
}
doubt = {
    (way, name): np.array([f(plain_passes[name, k], sampled[name, k]) for k in range(n_seeds)])
    for way, f in measures.items()
    for name in sets
}

# %% tags=["plot"]
shown = [(name, i) for i in range(2) for name in sets]
said = []
for name, i in shown:
    p, q = plain_passes[name, 0][i], sampled[name, 0].mean[i]
    said.append(f"{p.argmax()}: {p.max():.0%}\nMC {q.argmax()}: {q.max():.0%}")
ck.show(ck.plotting.images([sets[name][i] for name, i in shown], said, columns=4, size=1.25,
                           title="What one net says: one pass, and many"))  # fmt: skip

fig, ax = plt.subplots(figsize=(7.5, 2.9))
for k, name in enumerate(sets):
    left = 0
    for i, part in enumerate(("aleatoric", "epistemic")):
        width = doubt[part, name].mean()
        ax.barh(k, width, 0.55, left=left, color=ck.plotting.color_of(part), hatch="//" if i else None,
                edgecolor="white", label=None if k else f"MC dropout: {part}")  # fmt: skip
        left += width
    ax.plot(doubt["one pass", name].mean(), k, "D", color=ck.plotting.color_of("one pass"), markersize=6,
            label=None if k else "one pass")  # fmt: skip
ax.set_yticks(range(len(sets)), list(sets))
ax.invert_yaxis()
ax.set(xlabel="average predictive entropy in nats", xlim=(0, None))
fig.suptitle("Many passes doubt more than one, of digits too", x=0.01, ha="left", fontsize=11,
             fontweight="bold")  # fmt: skip
fig.legend(loc="outside lower center", ncols=3)
ck.show(fig, alt="Average entropy of many passes for four kinds of images, as the sum of its aleatoric "
        "and epistemic part, and of one pass: " + "; ".join(
            f"{name} {doubt['aleatoric', name].mean():.2f} + {doubt['epistemic', name].mean():.2f}, "
            f"one pass {doubt['one pass', name].mean():.2f}" for name in sets) + ".")  # fmt: skip

# %% tags=["claim"]
from sklearn.metrics import roc_auc_score

strange = list(sets)[-1]
truth = [0] * m + [1] * m
separates = {
    way: [roc_auc_score(truth, [*doubt[way, "digits"][k], *doubt[way, strange][k]])
          for k in range(n_seeds)] for way in measures
}  # fmt: skip
for way, areas in separates.items():
    print(f"{way:11s} tells {strange} from digits with an AUC of {np.mean(areas):.3f}")
mean = {key: values.mean() for key, values in doubt.items()}
rises = {name: mean["many passes", name] - mean["one pass", name] for name in sets}
ck.prove("The entropy of many passes is above that of one, for every kind of image",
         min(rises.values()) > 0, ", ".join(f"{name} {rise:+.2f}" for name, rise in rises.items()))  # fmt: skip
p = sampled[strange, 0].samples.astype(float)
entropy = lambda q: -(q * np.log(np.maximum(q, 1e-300))).sum(axis=-1)  # noqa: E731
parts = entropy(p).mean(axis=0), entropy(p.mean(axis=0)) - entropy(p).mean(axis=0)
gap = max(np.abs(parts[0] - doubt["aleatoric", strange][0]).max(),
          np.abs(parts[1] - doubt["epistemic", strange][0]).max())  # fmt: skip
ck.prove("The two parts are those of the formulas", gap < 1e-3, f"{gap:.0e} apart")
grows = {part: mean[part, strange] / mean[part, "digits"] for part in ("epistemic", "aleatoric")}
ck.prove(f"Both parts are larger for {strange} than for digits", min(grows.values()) > 1.2,
         ", ".join(f"{part} {times:.1f} times" for part, times in grows.items()))  # fmt: skip
ck.prove(f"The epistemic part tells {strange} from digits", np.mean(separates["epistemic"]) > 0.7,
         f"AUC {np.mean(separates['epistemic']):.3f}")  # fmt: skip

# %% [markdown]
# **From digits to {{ strange }} the epistemic part grows {{ grows["epistemic"]:.1f }}-fold, the aleatoric one
# {{ grows["aleatoric"]:.1f }}-fold.** But the entropy of many passes is higher for ordinary digits as well, and a
# number that is higher for everybody warns of nothing. What counts is whether it *separates*. The area under
# the ROC curve (AUC) is the chance that a strange picture gets the higher number: 0.5 is useless, 1 perfect.
# Here one pass has {{ np.mean(separates["one pass"]):.3f }}, the entropy of many
# {{ np.mean(separates["many passes"]):.3f }}, the epistemic part {{ np.mean(separates["epistemic"]):.3f }}.
#
# All of it is doubt *as the masks see it*. A photograph is no unclear digit, and yet the aleatoric part grows:
# the split is an estimate, by nets that know nothing but digits. And the **subnets** that the masks leave have all
# seen the same upright digits: they can agree on the same mistake, to which no measure of doubt objects.
#
# ### Let it abstain
#
# Doubt is of use if somebody acts on it. A pile holds digits and digits turned by 60°, half and half. The
# nets may hand over to a person whatever they doubt most.
#
# **Predict first:** if a third is handed over, what happens to the accuracy of the rest?

# %% tags=["plot", "claim"]
handed_over = np.linspace(0, 0.8, 17)
kept_right = {}
for way in ("one pass", "many passes", "epistemic"):
    for k in range(n_seeds):
        p = np.concatenate([sampled[name, k].mean for name in ("digits", "turned by 60°")])
        if way == "one pass":
            p = np.concatenate([plain_passes[name, k] for name in ("digits", "turned by 60°")])
        order = np.argsort([*doubt[way, "digits"][k], *doubt[way, "turned by 60°"][k]])
        right = (p.argmax(axis=1) == np.tile(y_test, 2))[order]
        kept_right.setdefault(way, []).append(
            [right[: round(len(right) * (1 - share))].mean() for share in handed_over]
        )
ck.show(ck.plotting.lines(kept_right, handed_over, crosses=False, ylabel="accuracy of the rest",
                          xlabel="share handed over, most doubtful first",
                          title="Without the most doubtful, more of the rest is right"))  # fmt: skip
third = {way: np.mean([np.interp(1 / 3, handed_over, run) for run in runs])
         for way, runs in kept_right.items()}  # fmt: skip
everything = {way: np.mean(runs, axis=0)[0] for way, runs in kept_right.items()}
gained = {way: min(np.interp(1 / 3, handed_over, run) - run[0] for run in runs)
          for way, runs in kept_right.items()}  # fmt: skip
ck.prove("Handing over the most doubtful third raises the accuracy of the rest, for each net and measure",
         min(gained.values()) > 0, ", ".join(f"{way} at least {100 * g:+.1f}" for way, g in gained.items()))  # fmt: skip
abstains = ck.verdict({way: [100 * np.mean(run) for run in runs] for way, runs in kept_right.items()},
                      better="higher", metric="mean accuracy of the rest")  # fmt: skip

# %% [markdown]
# **Without the most doubtful third the accuracy of the rest is {{ third["many passes"]:.1% }} in place of
# {{ everything["many passes"]:.1% }} (entropy of many passes), with one pass {{ third["one pass"]:.1% }}.** Over all
# shares, in percent: {{ abstains.text }} Compare with the plain pass before you pay for many.

# %% [markdown]
# ## 7 · Is 90% really 90%?
#
# A classifier is **calibrated** if it is right in 90% of the cases in which it says "90%". The **expected
# calibration error** (ECE; Guo and others, 2017) sorts the answers into bins of confidence, takes the absolute
# gap between confidence and accuracy in each, and averages them, weighted by how many answers a bin holds.
#
# One often reads that Monte Carlo dropout improves calibration. It has two rivals: a **deep ensemble**
# (Lakshminarayanan and others, 2017), here the average of the {{ n_seeds }} nets with dropout off, and
# **temperature scaling**, which raises all probabilities to the power $1/\tau$ with one number $\tau$ that is
# fitted on validation data.
#
# **Predict first:** many passes make a net less sure. For which of these is that an improvement: digits,
# digits turned by 30°, and digits for the careless nets of section 3, which have learned from wrong labels?


# %%
def cooled(p, temperature):
    q = p ** (1 / temperature)
    return q / q.sum(axis=1, keepdims=True)


def fitted_temperature(p, labels):
    choices = np.geomspace(0.3, 5, 100)
    return min(choices, key=lambda temperature: log_loss(cooled(p, temperature), labels))


x_many, y_many = data.x_test[:1_000], data.y_test[:1_000]
turned = rotate(x_many, 30, axes=(1, 2), reshape=False, order=1).clip(0, 1)
cases = {"digits": ("dropout 50%", x_many), "turned by 30°": ("dropout 50%", turned),
         "careless nets": ("careless", x_many)}  # fmt: skip

# %%
table = {}
for case, (arm, x) in cases.items():
    once = [forward(net, x) for net in nets[arm]]
    table[case, "one pass"] = once
    table[case, "MC dropout"] = []
    for k, net in enumerate(nets[arm]):
        model.set_weights(net)
        table[case, "MC dropout"].append(ck.mc_predict(model, x, samples=30, seed=k).mean)
    table[case, "deep ensemble"] = [np.mean(once, axis=0)]
    table[case, "temperature"] = [
        cooled(p, fitted_temperature(forward(net, x_valid), y_valid))
        for p, net in zip(once, nets[arm], strict=True)
    ]

# %% tags=["plot"]
of = {
    key: np.mean([(accuracy(p, y_many), p.max(axis=1).mean() - accuracy(p, y_many),
                   ck.uncertainty.expected_calibration_error(p, y_many), log_loss(p, y_many))
                  for p in nets_said], axis=0)
    for key, nets_said in table.items()
}  # fmt: skip
print(f"{'':28s}{'accuracy':>9s}{'too sure by':>13s}{'ECE':>8s}{'loss':>8s}")
for (case, way), (right, sure, ece, loss) in of.items():
    print(f"{case:14s}{way:14s}{right:9.1%}{sure:+13.3f}{ece:8.3f}{loss:8.3f}")
curves = {way: ck.uncertainty.reliability_curve(
              np.concatenate(said), np.tile(y_many, len(said)), bins=10)
          for (case, way), said in table.items() if case == "turned by 30°"}  # fmt: skip
enough = {way: curve.count >= 20 for way, curve in curves.items()}
lines = {way: curve.accuracy[enough[way]] for way, curve in curves.items()}
places = {way: curve.confidence[enough[way]] for way, curve in curves.items()}
ck.show(ck.plotting.lines(
    lines | {"calibrated": [0, 1]}, places | {"calibrated": [0, 1]}, crosses=False,
    xlabel="confidence", ylabel="accuracy in this bin",
    title="Turned by 30°: more sure than right, whoever answers"))  # fmt: skip

# %% tags=["claim"]
sure = {key: values[1] for key, values in of.items()}
ece = {key: values[2] for key, values in of.items()}
loss = {key: values[3] for key, values in of.items()}
lower = [sure[case, "one pass"] - sure[case, "MC dropout"] for case in cases]
ck.prove("Monte Carlo dropout makes the nets less sure, in every case", min(lower) > 0.01,
         f"by {min(lower):.3f} to {max(lower):.3f}")  # fmt: skip
before, after = ece["turned by 30°", "one pass"], ece["turned by 30°", "MC dropout"]
ck.prove("Where the nets are too sure, it lowers ECE",
         sure["turned by 30°", "one pass"] > 0.03 and after < before, f"{before:.3f} → {after:.3f}")  # fmt: skip
honest, modest = ece["careless nets", "one pass"], ece["careless nets", "MC dropout"]
ck.prove("Where they are too modest already, it raises ECE", sure["careless nets", "one pass"] < 0 and modest > honest,
         f"{honest:.3f} → {modest:.3f}")  # fmt: skip
doubtful = {way: sure[case, way] for case, way in sure if case == "turned by 30°"}
ck.prove("On turned digits all are more sure than right", min(doubtful.values()) > 0,
         ", ".join(f"{way} by {gap:.3f}" for way, gap in doubtful.items()))  # fmt: skip
ck.prove("The deep ensemble has a lower loss than one of its nets, in every case",
         all(loss[case, "deep ensemble"] < loss[case, "one pass"] for case in cases),
         ", ".join(f"{loss[c, 'one pass']:.2f} → {loss[c, 'deep ensemble']:.2f}" for c in cases))  # fmt: skip
ck.prove("A temperature that is fitted on digits calibrates digits, and leaves turned ones too sure",
         ece["digits", "temperature"] < 0.06
         and ece["turned by 30°", "temperature"] > 2 * ece["digits", "temperature"],
         f"{ece['digits', 'temperature']:.3f} and {ece['turned by 30°', 'temperature']:.3f}")  # fmt: skip

# %% [markdown]
# **Where the nets are too sure, Monte Carlo dropout lowers ECE (turned digits: {{ before:.3f }} → {{ after:.3f }});
# where they are too modest already, it raises it (careless nets: {{ honest:.3f }} → {{ modest:.3f }}).** It moves the
# confidence down, by {{ min(lower):.2f }} to {{ max(lower):.2f }} here, and whether that is an improvement depends on
# where it was: the column "too sure by" tells, so measure it on validation data first. The temperature is the
# cheapest (no more passes) and brings digits to an ECE of {{ ece["digits", "temperature"]:.3f }}; on turned digits,
# which it was not fitted on, it is still at {{ ece["turned by 30°", "temperature"]:.3f }}, Monte Carlo dropout at
# {{ after:.3f }}. The deep ensemble costs {{ n_seeds }} trainings and {{ n_seeds }} predictions; its loss on turned
# digits is {{ loss["turned by 30°", "deep ensemble"]:.2f }}, Monte Carlo dropout's
# {{ loss["turned by 30°", "MC dropout"]:.2f }}, the temperature's {{ loss["turned by 30°", "temperature"]:.2f }};
# one pass has {{ loss["turned by 30°", "one pass"]:.2f }}.

# %% [markdown]
# ## 8 · The trap: `training=True` for the whole model
#
# Many recipes for Monte Carlo dropout say `model(x, training=True)`. It was right in section 5, because there
# dropout was the only layer with two modes. Batch normalisation (배치 정규화, BN;
# [lesson 04](04_batch_normalisation.ipynb)) has two modes as well: in training it uses the mean and variance of
# the batch at hand, and moves its averages towards them.
#
# **Predict first:** what does such a net answer if you show it one image at a time? And what happens to its
# ordinary predictions afterwards?


# %%
def with_bn():
    layers = [keras.layers.Flatten()]
    for _ in range(2):
        layers += [keras.layers.Dense(100, use_bias=False), keras.layers.BatchNormalization(momentum=0.9),
                   keras.layers.Activation("relu")]  # fmt: skip
    layers += [keras.layers.Dropout(0.3), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential([keras.Input((28, 28)), *layers])
    model.compile(
        keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


bn_net = ck.compare({"BN": with_bn}, data, epochs=epochs, batch_size=128, seeds=1).models["BN"]
trained_weights = bn_net.get_weights()
usual = accuracy(as_array(bn_net(x_valid)), y_valid)

# %%
images, labels = x_valid[:128], y_valid[:128]
whole = tf.function(lambda x: bn_net(x, training=True), autograph=False)
by_size = {"training=True": [], "only dropout random": []}
sizes = (1, 4, 16, 128)
for size in sizes:
    batches = np.split(images, 128 // size)
    bn_net.set_weights(trained_weights)
    p = [np.mean([as_array(whole(batch)) for _ in range(5)], axis=0) for batch in batches]
    by_size["training=True"].append(accuracy(np.concatenate(p), labels))
    bn_net.set_weights(trained_weights)
    p = ck.mc_predict(bn_net, images, samples=5, batch_size=size, seed=0).mean
    by_size["only dropout random"].append(accuracy(p, labels))

# %% tags=["plot", "claim"]
strangers = sets[strange][:128]
ck.mc_predict(bn_net, strangers, samples=30, seed=0)
untouched = all(map(np.array_equal, trained_weights, bn_net.get_weights()))
for _ in range(30):
    bn_net(strangers, training=True)
spoilt = accuracy(as_array(bn_net(x_valid)), y_valid)

ck.show(ck.plotting.lines(by_size, sizes, log="x", crosses=False, xlabel="images shown at a time",
                          ylabel="validation accuracy, 5 passes",
                          title="With training=True an image's answer depends on its neighbours"))  # fmt: skip
single, batch = by_size["training=True"][0], by_size["training=True"][-1]
ck.prove("With training=True, one image at a time is near guessing", single < 0.3 < batch,
         f"{single:.1%}, in a batch of 128 {batch:.1%}")  # fmt: skip
safe = np.array(by_size["only dropout random"])
ck.prove("With only dropout random the size of the batch hardly matters", np.ptp(safe) < 0.06,
         f"{safe.min():.1%} to {safe.max():.1%}")  # fmt: skip
ck.prove(
    "ck.mc_predict leaves the net as it was, bit for bit",
    untouched,
    f"{len(trained_weights)} arrays",
)
ck.prove("30 passes with training=True over strange pictures spoil the ordinary prediction",
         spoilt < usual - 0.05, f"{usual:.1%} → {spoilt:.1%}")  # fmt: skip

# %% [markdown]
# **One image at a time, `training=True` gives {{ single:.1% }}; and after 30 passes over {{ strange }} the ordinary
# accuracy on digits has gone from {{ usual:.1% }} to {{ spoilt:.1% }}.** A batch of one image is its own mean: once
# that is subtracted nothing is left, and all images look alike. And every such pass moved BN's averages towards
# the pictures it was asked about. The safe ways: `ck.mc_predict`; a loop over the layers that gives
# `training=True` to dropout alone; or a dropout layer of your own that is always random. You write the last two
# in the exercise.

# %% [markdown]
# ## 9 · Alpha dropout for SELU
#
# A self-normalising net ([lesson 03](03_activation_functions.ipynb)) keeps mean 0 and variance 1 from layer
# to layer, and dropout raises the standard deviation (section 1). **Alpha dropout** (Klambauer and others, 2017)
# sets a dropped unit to the lowest value of SELU, $\alpha' = -1.0507 \cdot 1.6733 \approx -1.758$, and then
# corrects the activations $a$ of *all* units, $a \leftarrow s\, a + d$, with
#
# $$s = \frac{1}{\sqrt{(1-p)\,(1 + p\,\alpha'^2)}}, \qquad d = -s\, p\, \alpha'$$
#
# **Predict first:** 30 untrained SELU layers with LeCun weights, each followed by a dropout of 20%. What becomes
# of the standard deviation with either kind?

# %% tags=["plot", "claim"]
p, lowest = 0.2, -1.0507009873554805 * 1.6732632423543772
scale = 1 / np.sqrt((1 - p) * (1 + p * lowest**2))
shift = -scale * p * lowest


def alpha_dropout(x):
    return scale * np.where(draw.random(x.shape) >= p, x, lowest) + shift


kinds = {
    "no dropout": lambda x: x,
    "Dropout": lambda x: dropout(x, p),
    "alpha dropout": alpha_dropout,
}
selu = ck.scratch.activations.get("selu")[0]
deviations = {name: np.zeros((n_seeds, 30)) for name in kinds}
for (name, drop), run in itertools.product(kinds.items(), range(n_seeds)):
    h = draw.normal(size=(300, 200))
    for layer in range(30):
        h = drop(selu(h @ draw.normal(0, 200**-0.5, (200, 200))))
        deviations[name][run, layer] = h.std()
ck.show(ck.plotting.lines(deviations, xlabel="layer", ylabel="standard deviation of the layer",
                          title="Dropout lets the standard deviation grow, alpha dropout keeps it"))  # fmt: skip
normal = draw.normal(size=200_000).astype("float32")
of_keras = as_array(keras.layers.AlphaDropout(p)(normal, training=True))
pairs = {"Keras": of_keras, "by hand": alpha_dropout(normal)}
ck.prove("Alpha dropout keeps mean 0 and standard deviation 1, in Keras and by hand",
         all(abs(v.mean()) < 0.02 and abs(v.std() - 1) < 0.02 for v in pairs.values()),
         "; ".join(f"{name} {v.mean():+.3f}, {v.std():.3f}" for name, v in pairs.items()))  # fmt: skip
grown, kept = deviations["Dropout"][:, -1], deviations["alpha dropout"]
ck.prove("After 30 layers it is still near 1, and with ordinary dropout above 1.25",
         np.abs(kept - 1).max() < 0.25 and grown.min() > 1.25,
         f"{kept[:, -1].mean():.2f} and {grown.mean():.2f}")  # fmt: skip

# %% [markdown]
# **After 30 layers the standard deviation is {{ kept[:, -1].mean():.2f }} with alpha dropout and {{ grown.mean():.2f }} with
# ordinary dropout.** `AlphaDropout` belongs to SELU and to nothing else; the lowest value of ReLU is 0, and
# dropping to 0 is what ordinary dropout does.

# %% [markdown]
# ## Optional: why does it help? Two readings
#
# **No co-adaptation** (Srivastava and others, 2014). A unit cannot rely on one particular neighbour, which
# is missing half of the time, so each must be of use in any company. Then a net trained with dropout should
# bear the loss of units better.
#
# **Predict first:** you remove half of the hidden units of the nets of section 3 for good, and scale the
# rest. How much accuracy does each of them lose?
#
# **An ensemble.** $N$ droppable units have $2^N$ masks. Each mask leaves a subnet; all subnets share their
# weights, and every step trains some of them a little. Prediction without dropout should then be something like their
# average. With 10 units in the last hidden layer you can ask all 1,024 of them.
#
# **Predict first:** how good is one of the 1,024 subnets alone, and how good is their average?

# %%
small = keras.Sequential([
    keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(100, "relu"),
    keras.layers.Dense(10, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(10, "softmax"),
])  # fmt: skip
small.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
ck.fit(small, data.x_train, data.y_train, epochs=epochs, batch_size=64, verbose=0, seed=lab.seed)
all_masks = np.array(list(itertools.product((0.0, 2.0), repeat=10)))  # kept units are doubled
weights, few = small.get_weights(), x_valid[:256]
subnets = np.stack([forward(weights, few, (1.0, mask)) for mask in all_masks])
whole_net = as_array(small(few))
geometric = np.exp(np.log(subnets + 1e-300).mean(axis=0))
geometric /= geometric.sum(axis=1, keepdims=True)

# %% tags=["plot", "claim"]
removed = (0.0, 0.25, 0.5, 0.75, 0.9)
survived = {name: np.zeros((n_seeds, len(removed))) for name in pair}
for name, k, (i, share) in itertools.product(pair, range(n_seeds), enumerate(removed)):
    masks = [(draw.random((2, 200)) >= share) / (1 - share) for _ in range(5)]
    answered = [accuracy(forward(nets[name][k], x_valid, mask), y_valid) for mask in masks]
    survived[name][k, i] = np.mean(answered)
ck.show(ck.plotting.lines(survived, removed, xlabel="share of hidden units removed for good",
                          ylabel="validation accuracy", crosses=False,
                          title="Trained with dropout, a net bears the loss of units better"))  # fmt: skip

alone_right = np.array([accuracy(p, y_valid[:256]) for p in subnets])
together = {"their average prediction": accuracy(subnets.mean(axis=0), y_valid[:256]),
            "one pass, dropout off": accuracy(whole_net, y_valid[:256])}  # fmt: skip
joint, undropped = together.values()
fig, ax = plt.subplots(figsize=(7.5, 3.0))
ax.hist(alone_right, bins=40, color=COLORS[4], label="each of the 1,024 subnets")
for name, value in together.items():
    ax.axvline(value, label=name, **ck.plotting.look_of(name, marker=False))
ax.set(xlabel="validation accuracy", ylabel="number of subnets")
fig.suptitle("One pass comes close to the average of all 1,024 subnets", x=0.01, ha="left", fontsize=11,
             fontweight="bold")  # fmt: skip
fig.legend(loc="outside lower center", ncols=3)
ck.show(fig, alt=f"Histogram of the accuracy of 1,024 subnets, {alone_right.mean():.0%} on average; their "
        f"average prediction has {joint:.0%}, one pass with dropout off {undropped:.0%}.")  # fmt: skip
lost = {name: 100 * (runs[:, 0] - runs[:, 2]).mean() for name, runs in survived.items()}
ck.prove("With half of its units gone, the net trained with dropout loses less",
         lost["dropout 50%"] < lost["no dropout"],
         f"{lost['dropout 50%']:.1f} against {lost['no dropout']:.1f} percentage points")  # fmt: skip
lead = joint - alone_right.mean()
ck.prove("The average of the 1,024 subnets beats the average subnet, and one pass comes close to it",
         lead > 0.02 and abs(undropped - joint) < lead / 3,
         f"{joint:.1%} against {alone_right.mean():.1%}; one pass {undropped:.1%}")  # fmt: skip
gap = np.abs(whole_net - geometric).max()
ck.prove("One pass with dropout off equals the geometric mean of all, scaled to sum 1", gap < 1e-4,
         f"{gap:.0e} apart")  # fmt: skip

# %% [markdown]
# **With half of the units gone for good, the nets lose {{ lost["no dropout"]:.1f }} percentage points, those
# trained with dropout {{ lost["dropout 50%"]:.1f }}.** That is what they were trained for; it does not prove that this
# is why dropout helps.
#
# **One of the 1,024 subnets has {{ alone_right.mean():.0% }} on average, all together {{ joint:.0% }}.** One pass
# with dropout off has {{ undropped:.0% }}, close to the average of all (one net, {{ len(few) }} images). With dropout right
# before the outputs it *is* their **geometric** mean, scaled to sum 1: the logits are linear in the mask and the
# average mask is 1 everywhere, so the average of all logits is that of the pass with dropout off; and a softmax of
# average logits is the geometric mean of the softmaxes, scaled to sum 1. With dropout in deeper layers it is only an
# approximation.

# %% [markdown]
# ## Pitfalls
#
# - **`Dropout(0.8)` meant as "keep 80%".** In Keras the argument is what is dropped. Some papers give what is
#   kept.
# - **Dropout right before batch normalisation.** BN's averages learn the standard deviation under dropout
#   (section 1), and at prediction it is smaller (Li and others, 2019). Renew the averages with dropout off
#   ([lesson 04](04_batch_normalisation.ipynb)), or put dropout after the last BN.
# - **Dropout after the output layer**, where it deletes answers.
# - **Monte Carlo doubt without a comparison.** It is higher everywhere; ask whether it separates.
#
# ## What to do tomorrow
#
# 1. Add dropout when the net overfits: 20–50% after the last large hidden layers, none in small ones.
# 2. Search the rate together with the learning rate, and allow more epochs.
# 3. Compare training and validation loss with dropout off in both.
# 4. For doubt, start with one pass and a temperature; add passes or an ensemble if they separate better.
# 5. Make only dropout random, never the whole model.
#
# ## Recap
#
# - Dropout draws a new mask for every sample in every step and divides by the keep probability 1 − p while
#   training; prediction is left alone.
# - It pays where a large net learns noise by heart, and costs epochs; small nets cannot spare the units.
# - The average of many passes is less sure than one. That improves calibration only where the net was too sure.
# - Epistemic uncertainty is the disagreement of the passes, aleatoric what each by itself is undecided about.
# - `training=True` switches batch normalisation as well, and changes the net that it asks.
#
# ## Now practise
#
# Open [exercise 11](../exercises/11_dropout.ipynb): write dropout, a layer that is always random and both
# measures of doubt, and let a net say "I do not know". Then go on with lesson
# [12 Hyperparameter tuning](12_hyperparameter_tuning.ipynb).
#
# ## Further reading
#
# - N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, *Dropout: A Simple Way to
#   Prevent Neural Networks from Overfitting*, JMLR 15, 2014: section 4, the model and the scaling; section 7,
#   what it does to the features.
# - Y. Gal and Z. Ghahramani, *Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep
#   Learning*, ICML 2016, arXiv:1506.02142: section 5, experiments.
# - A. Kendall and Y. Gal, *What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?*,
#   NeurIPS 2017, arXiv:1703.04977: aleatoric and epistemic.
# - B. Lakshminarayanan, A. Pritzel and C. Blundell, *Simple and Scalable Predictive Uncertainty Estimation
#   using Deep Ensembles*, NeurIPS 2017, arXiv:1612.01474.
# - C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, *On Calibration of Modern Neural Networks*, ICML 2017,
#   arXiv:1706.04599: section 2, ECE; section 4, temperature scaling.
# - G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, *Self-Normalizing Neural Networks*, NeurIPS 2017,
#   arXiv:1706.02515: the paragraph on a new dropout technique.
# - X. Li, S. Chen, X. Hu and J. Yang, *Understanding the Disharmony between Dropout and Batch Normalization by
#   Variance Shift*, CVPR 2019, arXiv:1801.05134.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022, chapter
#   11, "Dropout" and "Monte Carlo (MC) Dropout".
