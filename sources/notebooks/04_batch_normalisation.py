# %% [markdown]
# # 04 Batch normalisation
#
# Good starting weights put every layer's inputs on the right scale once, before the first step.
# Then training moves them. Why not put them right again at every step?
#
# ## What you will be able to do
#
# After about {{ minutes.reading }} minutes of reading, or {{ minutes.with_code }} minutes with the
# code, you will be able to
#
# - write **batch normalisation** (배치 정규화, BN) forward and backward, for training and for
#   prediction, and show that it equals Keras;
# - renew its statistics after training, and count its parameters for any input and any `axis`;
# - say what it buys, measured: weight scales, learning rates, epochs and seconds;
# - say how much it regularises, and what happens when dropout stands in front of it;
# - say where it fails, and what to use there;
# - **fold** it into the layer before it once training is over.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import numpy as np
from keras import layers

n, n_race, epochs, n_seeds, n_search, n_scales, steps = lab.pick(
    quick=(4_000, 2_048, 6, 2, 1, 8, 150),
    standard=(8_000, 8_000, 6, 4, 3, 16, 300),
    full=(55_000, 55_000, 12, 5, 3, 16, 1000),
)
data = ck.load("mnist").subset(n)
scratch = ck.scratch.layers

# %% [markdown]
# ## 1 · Four equations
#
# Batch normalisation (Ioffe and Szegedy, 2015; "the paper" below) stands between two layers. A batch
# holds $B$ samples. For **each feature on its own**, BN computes from the values
# $x_1, \dots, x_B$ of that feature
#
# $$\mu = \frac1B \sum_i x_i \qquad \sigma^2 = \frac1B \sum_i (x_i - \mu)^2 \qquad
# \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad y_i = \gamma\, \hat x_i + \beta$$
#
# Here $\mu$ and $\sigma^2$ are the batch's mean and variance, $\varepsilon$ is a small number that
# keeps the division finite (0.001 in Keras); the **scale** $\gamma$ and the **shift** $\beta$ are learned.
#
# **Predict first:** a batch has two features, one with values around 1,000 (990 to 1,020), the other
# with 0.001, 0.002, 0.003 and 0.002. Both go through BN with $\gamma = 1$ and $\beta = 0$. What are
# the mean and the standard deviation of each column afterwards? And if a sigmoid comes next: how well
# does a straight line describe it over values with mean 0 and standard deviation 1?


# %%
def batch_norm(x, gamma=1.0, beta=0.0, epsilon=1e-3):
    """Normalise each column of x, shape (B, features), by the batch's own mean and variance."""
    mean = x.mean(axis=0)
    variance = x.var(axis=0)
    x_hat = (x - mean) / np.sqrt(variance + epsilon)
    return gamma * x_hat + beta


batch = np.array([[1000.0, 0.001], [1010.0, 0.002], [990.0, 0.003], [1020.0, 0.002]])
means, stds = batch_norm(batch).mean(axis=0), batch_norm(batch).std(axis=0)
print("mean", means.round(6) + 0.0, " standard deviation", stds.round(6))

# %% tags=["claim"]
z = np.random.default_rng(lab.seed).normal(size=20_000)


def straightness(gamma):
    """Share of the sigmoid's variance that the best straight line explains."""
    return np.corrcoef(z, 1 / (1 + np.exp(-gamma * z)))[0, 1] ** 2


gammas = np.geomspace(0.25, 16, 25)
ck.show(ck.plotting.lines(
    {"sigmoid of γ x̂": [straightness(g) for g in gammas]}, gammas, log="x", xlabel="γ",
    title="With γ = 1 a sigmoid is nearly a straight line; γ decides how curved it is",
    ylabel="share explained by a line, R²"))  # fmt: skip
ck.prove("Both columns have mean 0; ε holds the small one's standard deviation far below 1",
         np.abs(means).max() < 1e-9 and stds[0] > 0.99 and stds[1] < 0.1,
         f"standard deviations {stds[0]:.3f} and {stds[1]:.3f}")  # fmt: skip
undone = batch_norm(batch, np.sqrt(batch.var(axis=0) + 1e-3), batch.mean(axis=0))
ck.prove("γ = √(σ² + ε) and β = μ give the batch back", np.allclose(undone, batch),
         f"at most {np.abs(undone - batch).max():.0e} off")  # fmt: skip
ck.prove("A straight line explains the sigmoid for γ = 1, much less for γ = 16",
         straightness(1) > 0.97 > 0.8 > straightness(16),
         f"R² {straightness(1):.3f} and {straightness(16):.3f}")  # fmt: skip

# %% [markdown]
# **Both means are 0; the standard deviations are {{ stds[0]:.3f }} and {{ stds[1]:.3f }}.** The
# second variance is far below $\varepsilon$, so $\varepsilon$ decides. Remember
# this number; in section 6 it comes back. And γ and β are no decoration: at $\gamma = 1$ a straight
# line explains {{ straightness(1):.0% }} of the sigmoid behind BN, and a stack of straight lines is
# one straight line. γ and β let the net choose how much curve it wants; they can even undo the
# normalisation, with $\gamma = \sqrt{\sigma^2 + \varepsilon}$ and $\beta = \mu$.
#
# ### Explore: one sample in many batches
#
# 300 batches are drawn from the same values. The dark outline follows **one** sample that is the same in
# all of them. Start at a batch size of 2, where every value ends near +1 or −1, whatever it was; then 4,
# 16, 256.


# %% tags=["helper"]
def draw_batches(batch_size, mean, spread, gamma, beta):
    import matplotlib.pyplot as plt

    size, rng = round(batch_size), np.random.default_rng(0)
    batches = rng.normal(mean, spread, size=(300, size))
    batches[:, 0] = mean + spread  # the sample to follow: one standard deviation above the mean
    after = batch_norm(batches.T, gamma, beta).T
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.2))
    for ax, values, title in zip(axes, (batches, after), ("before BN", "after BN"), strict=True):
        bins = np.linspace(values.min() - 0.1, values.max() + 0.1, 50)
        rest = values[:, 1:].ravel()
        ax.hist(rest, bins, density=True, color=ck.plotting.COLORS[4], label="the other samples")
        ax.hist(values[:, 0], bins, density=True, histtype="step", linewidth=1.8,
                color=ck.plotting.COLORS[6], label="one sample")  # fmt: skip
        ax.set(xlabel="value of the feature", title=f"{title}, batches of {size}")
        if ax is axes[0]:  # where one sample is a single bar, far higher than the rest
            ax.set_ylim(0, 2.2 * np.histogram(rest, bins, density=True)[0].max())
    axes[0].set_ylabel("density")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


ck.widgets.explore(
    draw_batches,
    alt="Histograms of one feature before and after batch normalisation, over 300 batches; one "
    "sample that is always the same before BN is spread out after it.",
    batch_size=(2.0, 256.0, 8.0, "log"),
    mean=(-10.0, 10.0, 5.0),
    spread=(0.01, 10.0, 2.0, "log"),
    gamma=(0.1, 10.0, 1.0, "log"),
    beta=(-3.0, 3.0, 0.0),
)

# %% [markdown]
# ## 2 · At prediction there is no batch
#
# A user sends one image. In a batch of one, $\mu$ is the sample itself, and $\hat x = 0$ whatever
# it is. And an answer should not depend on who else asks. So BN keeps **moving averages** of every
# batch's mean and variance while it trains, and uses those at prediction. With $v$ the mean or the variance of a
# batch and $\hat v$ its average,
#
# $$\hat v \leftarrow \hat v \cdot \text{momentum} + v \cdot (1 - \text{momentum})$$
#
# ![In training, the mean and variance of a batch's columns normalise the batch and also feed the moving averages; at prediction one sample is normalised by the moving averages. The same scale and shift follow in both modes.](../figures/bn_two_modes.svg)
#
# (This `momentum` has nothing but the name in common with an optimizer's,
# [lesson 08](08_optimizers.ipynb).)
#
# **Predict first:** how many parameters does Keras report for BN on 5 features, and how many of
# them are trained? Does a bare call `layer(x, training=True)`, without any `fit`, change the layer?


# %%
class BatchNorm:
    def __init__(self, n_features, momentum=0.99, epsilon=1e-3):
        self.params = {"gamma": np.ones(n_features), "beta": np.zeros(n_features)}
        self.moving_mean, self.moving_variance = np.zeros(n_features), np.ones(n_features)
        self.momentum, self.epsilon = momentum, epsilon

    def forward(self, x, training=False):
        mean, variance = self.moving_mean, self.moving_variance
        if training:
            mean, variance, keep = x.mean(axis=0), x.var(axis=0), self.momentum
            self.moving_mean = self.moving_mean * keep + mean * (1 - keep)
            self.moving_variance = self.moving_variance * keep + variance * (1 - keep)
        self.std = np.sqrt(variance + self.epsilon)
        self.x_hat = (x - mean) / self.std
        return self.params["gamma"] * self.x_hat + self.params["beta"]


# %% tags=["claim"]
keras_layer, package_layer = layers.BatchNormalization(), scratch.BatchNorm(5)
keras_layer.build((None, 5))
for w in keras_layer.weights:
    print(f"{w.name:16s} shape {w.shape}  {'trained' if w.trainable else 'non-trainable'}")
draw, ours = np.random.default_rng(lab.seed), BatchNorm(5)
gamma, beta = draw.uniform(0.5, 2, 5), draw.normal(size=5)
for layer in (ours, package_layer):
    layer.params |= {"gamma": gamma, "beta": beta}
keras_layer.gamma.assign(gamma)
keras_layer.beta.assign(beta)
gaps = {True: 0.0, False: 0.0}
for _ in range(50):
    some = draw.normal(3, 2, size=(32, 5))
    for training in gaps:
        want = np.array(keras_layer(some, training=training))
        for layer in (ours, package_layer):
            gaps[training] = max(gaps[training], np.abs(layer.forward(some, training) - want).max())
moved = keras_layer.moving_mean.numpy()
ck.prove("In training and at prediction the class above and the package's layer equal Keras",
         max(gaps.values()) < 1e-5, f"at most {max(gaps.values()):.0e} apart in 50 batches")  # fmt: skip
apart = max(np.abs(getattr(ours, name) - getattr(keras_layer, name).numpy()).max()
            for name in ("moving_mean", "moving_variance"))  # fmt: skip
ck.prove(
    "Bare calls move the averages, here and in Keras alike",
    apart < 1e-5 and moved.min() > 0.5,
    f"moving mean {moved.mean():.2f} after 50 calls on data of mean 3",
)
trained = sum(w.shape[0] for w in keras_layer.trainable_weights)
ck.prove("Four numbers a feature, two of them trained",
         (keras_layer.count_params(), trained) == (20, 10),
         f"{keras_layer.count_params()} parameters, {trained} trained")  # fmt: skip

# %% [markdown]
# **A BN layer has four vectors: 5 features make {{ keras_layer.count_params() }} parameters,
# {{ trained }} of them trained (γ, β), the rest moving averages, which Keras counts as non-trainable.** And a bare call with `training=True`
# moves the averages: after 50 calls on data of mean 3 the moving mean is {{ moved.mean():.2f }}.
# The flag is more than a switch between two formulas. (The paper corrects the variance to $B - 1$
# before averaging it; Keras averages it as it is.)

# %% [markdown]
# ## 3 · The averages arrive late
#
# The moving mean was far from 3 after 50 batches, because an average with momentum 0.99 remembers
# about $1/(1 - 0.99) = 100$ batches, and it starts from 0 (the variance from 1). Yet a net learns
# from the first step. So there is a time when the weights are good and the averages are not.
#
# The remedy needs no label and no gradient: after training, go over the training set **once** and
# take the plain mean of all batches' statistics. (The paper does just this, in its algorithm 2; the
# moving average is the convenient substitute.) A momentum of $k/(k+1)$ at batch
# $k = 0, 1, 2, \dots$ makes a moving average a plain mean.
#
# **Predict first:** six hidden layers with Keras' defaults, 2,000 images, 32 steps an epoch. How
# good is the net on new images after one epoch, by its moving averages and by one pass? After
# eight? (One net, one seed.)


# %%
def set_each(found, name, values):
    for layer, value in zip(found, values, strict=True):
        setattr(layer, name, value)


def renew_averages(model, x, batch_size=250):
    """Replace the moving averages by the mean over all batches of x, in one pass, dropout off."""
    norms = [each for each in model.layers if isinstance(each, layers.BatchNormalization)]
    drops = [each for each in model.layers if isinstance(each, layers.Dropout)]
    momenta, rates = [each.momentum for each in norms], [each.rate for each in drops]
    set_each(drops, "rate", [0] * len(drops))
    for k in range(len(x) // batch_size):
        set_each(norms, "momentum", [k / (k + 1)] * len(norms))
        model(x[k * batch_size : (k + 1) * batch_size], training=True)
    set_each(norms, "momentum", momenta)
    set_each(drops, "rate", rates)


# %% tags=["helper"]
def dense_net(*hidden, learning_rate=0.1):
    model = keras.Sequential(
        [keras.Input((28, 28)), layers.Flatten(), *hidden, layers.Dense(10, "softmax")]
    )
    optimizer = keras.optimizers.SGD(learning_rate)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def accuracy(model, x, y):
    return model.evaluate(x, y, batch_size=1000, verbose=0)[1]


keras.utils.set_random_seed(lab.seed)
late, few = dense_net(*[
    layer for _ in range(6)
    for layer in (layers.Dense(100, use_bias=False, kernel_initializer="he_normal"),
                  layers.BatchNormalization(), layers.Activation("relu"))
], learning_rate=0.03), data.subset(2_000)  # fmt: skip
x_few, y_few = few.x_train, few.y_train
late_epochs, x_new, y_new = [1, 2, 3, 4, 6, 8], data.x_valid[:2000], data.y_valid[:2000]
measured = {"moving averages": [], "statistics of one pass": []}
for epoch in range(1, 9):
    ck.fit(late, x_few, y_few, epochs=1, batch_size=64, verbose=0, seed=epoch)
    if epoch in late_epochs:
        measured["moving averages"].append(accuracy(late, x_new, y_new))
        kept = late.get_weights()
        renew_averages(late, x_few)
        measured["statistics of one pass"].append(accuracy(late, x_new, y_new))
        late.set_weights(kept)

# %% tags=["claim"]
ck.plotting.style()
ck.show(ck.plotting.lines(measured, late_epochs, xlabel="epoch", ylabel="validation accuracy",
                          title="The same weights: one pass at once shows what they can do"))  # fmt: skip
waiting, passed = (np.array(values) for values in measured.values())
ck.prove("After one epoch, one pass beats the moving averages by more than 5 percentage points",
         passed[0] > waiting[0] + 0.05, f"{passed[0]:.1%} against {waiting[0]:.1%}")  # fmt: skip
gaps = passed - waiting
ck.prove("After eight epochs the gap is less than half as wide", gaps[-1] < gaps[0] / 2,
         f"{100 * gaps[-1]:.1f} percentage points against {100 * gaps[0]:.1f}")  # fmt: skip

# %% [markdown]
# **After one epoch the net has {{ waiting[0]:.0% }} by its moving averages and {{ passed[0]:.0% }}
# by one pass; after eight {{ waiting[-1]:.0% }} and {{ passed[-1]:.0% }}.** The weights were better
# than the averages let them look. (The gap need not close from epoch to epoch: while the weights move, the averages
# mix the statistics of older ones.) So when validation looks terrible and training fine, suspect the averages before the
# weights: pass over the training set once, train longer, or lower the momentum. The short trainings
# below use 0.9.

# %% [markdown]
# ## 4 · Backward: the batch is part of the formula
#
# In training, changing one $x_i$ also moves $\mu$ and $\sigma^2$, hence **every** output of the
# batch. With $g_i = \partial L / \partial y_i$ and a bar for the mean over the batch, the chain
# rule gives
#
# $$\frac{\partial L}{\partial \beta} = \sum_i g_i \qquad
# \frac{\partial L}{\partial \gamma} = \sum_i g_i \hat x_i \qquad
# \frac{\partial L}{\partial x_i} = \frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}}
# \left( g_i - \bar g - \hat x_i\, \overline{g \hat x} \right)$$
#
# The last two terms come from the batch: they take away the part of the gradient that would shift
# all samples alike, and the part that would scale them all about their mean.
#
# **Predict first:** what is the sum of $\partial L / \partial x_i$ over a batch? And in a batch of
# **two**, how much of the gradient is left?


# %%
class BatchNormWithBackward(BatchNorm):
    def backward(self, g):
        self.grads = {"gamma": (g * self.x_hat).sum(axis=0), "beta": g.sum(axis=0)}
        inner = g - g.mean(axis=0) - self.x_hat * (g * self.x_hat).mean(axis=0)
        return self.params["gamma"] / self.std * inner


class BatchAsConstant(BatchNormWithBackward):
    """The likely mistake: mean and variance treated as constants."""

    def backward(self, g):
        super().backward(g)
        return self.params["gamma"] / self.std * g


# %% tags=["claim"]
some = draw.normal(size=(8, 5))
error = {kind.__name__: ck.scratch.gradient_check(kind(5), some, training=True)
         for kind in (BatchNormWithBackward, BatchAsConstant, scratch.BatchNorm)}  # fmt: skip


def survives(size, kind=scratch.BatchNorm):
    """Share of the gradient's square that passes BN: what is left, times the standard deviation."""
    norm, g = kind(2000, epsilon=1e-9), draw.normal(size=(size, 2000))
    x = draw.normal(size=(size, 2000))
    norm.forward(x, training=True)
    return np.sum((norm.backward(g) * x.std(axis=0)) ** 2) / np.sum(g**2)


left = {size: survives(size) for size in (2, 4, 8, 64)}
norm = BatchNormWithBackward(5)
norm.forward(some, training=True)
total = np.abs(norm.backward(draw.normal(size=(8, 5))).sum(axis=0)).max()
ck.prove(
    "The backward pass agrees with finite differences; the mistake does not",
    max(error["BatchNormWithBackward"], error["BatchNorm"]) < 1e-6
    and error["BatchAsConstant"] > 1e-2,
    ", ".join(f"{name} {value:.0e}" for name, value in error.items()),
)
ck.prove("The gradients of a batch sum to 0", total < 1e-9, f"{total:.0e}")
ck.prove("BN takes two of a batch's B directions from the gradient: (B − 2)/B is left",
         all(abs(share - (size - 2) / size) < 0.02 for size, share in left.items()),
         ", ".join(f"B = {size}: {share:.2f}" for size, share in left.items()))  # fmt: skip

# %% [markdown]
# **The sum is 0, and of the gradient's mean square a share of $(B-2)/B$ gets through, on average over
# random gradients: {{ left[64]:.0% }} in a batch of 64, {{ left[4]:.0% }} in a batch of 4, {{ left[2]:.0% }} in a batch of two.** A shift
# common to the whole batch is invisible behind BN: that is why a **bias before BN is useless**, and
# the layer before it gets `use_bias=False`; β does its work. A common stretch is invisible too. In
# a batch of two there is nothing but shift and stretch, so the layers below a BN learn nothing:
# section 9 meets this again.

# %% [markdown]
# ## 5 · In Keras: which axis, which place?
#
# `axis` names the axis that is **kept**: one mean for each place along it, taken over all others
# (the opposite of NumPy, where `mean(axis=0)` names the axis that goes away). The default −1 keeps
# the last one. As to the place, both orders are in use: "before" means that BN stands before the
# activation.
#
# **Predict first:** how many means does BN hold for a batch of grey images, shape [batch, 28, 28]?
# And can negative numbers come out of dense → BN → ReLU? Out of dense → ReLU → BN?


# %%
means_of = {}
for shape, axis in (((None, 100), -1), ((None, 28, 28), -1), ((None, 28, 28), 1),
                    ((None, 784), -1), ((None, 32, 32, 3), -1)):  # fmt: skip
    norm = layers.BatchNormalization(axis=axis)
    norm.build(shape)
    means_of[shape, axis] = means = int(np.prod(norm.moving_mean.shape))
    print(f"{shape!s:20} axis {axis:2}: {means:3} means, {norm.count_params()} parameters")


def block(kind):
    """One hidden layer with batch normalisation before or after the activation, or without."""
    dense = layers.Dense(100, kernel_initializer="he_normal", use_bias=kind != "before")
    relu, norm = layers.Activation("relu"), layers.BatchNormalization(momentum=0.9)
    orders = {"without": [dense, relu], "before": [dense, norm, relu], "after": [dense, relu, norm]}
    return orders[kind]


# %% tags=["claim"]
def batch_norm_axes(x, axis):
    """Normalise x with one mean and variance for each place along the axes in `axis`."""
    others = tuple(a for a in range(x.ndim) if a not in axis)
    mean, variance = x.mean(others, keepdims=True), x.var(others, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-3), mean.size


ck.prove("A layer keeps one mean for each place of its axis",
         list(means_of.values()) == [100, 28, 28, 784, 3], f"{list(means_of.values())} means")  # fmt: skip
grey = data.x_train[:64]
by_hand, n_means = batch_norm_axes(grey, axis=[1, 2])
flat = np.array(layers.BatchNormalization()(grey.reshape(64, 784), training=True))
gap = np.abs(by_hand.reshape(64, 784) - flat).max()
ck.prove("Keeping both image axes equals flattening first", gap < 1e-4 and n_means == 784,
         f"{n_means} means, {gap:.0e} apart")  # fmt: skip
keras.utils.set_random_seed(lab.seed)
out = {kind: np.array(keras.Sequential(block(kind))(grey.reshape(64, 784), training=True))
       for kind in ("before", "after")}  # fmt: skip
ck.prove("BN before ReLU: nothing below 0, mean above 0; BN after it: values below 0, mean 0",
         out["before"].min() == 0 and out["before"].mean() > 0.1
         and out["after"].min() < 0 and abs(out["after"].mean()) < 1e-4,
         f"means {out['before'].mean():.2f} and {abs(out['after'].mean()):.2f}, "
         f"smallest {out['before'].min():.2f} and {out['after'].min():.2f}")  # fmt: skip

# %% [markdown]
# **Grey images have {{ means_of[(None, 28, 28), -1] }} means, one for each column of the image;
# flat ones have {{ means_of[(None, 784), -1] }}, colour images
# {{ means_of[(None, 32, 32, 3), -1] }}.** That both axes of an image give 28 is an accident: with `axis=1` each
# *row* has a mean. Many texts write `axis=[1, 2]` to get one mean a pixel; the layer of Keras 3 takes a
# single number, so flatten first. After a convolution the default is what you want: one mean a
# channel, over batch, height and width.
#
# The order shows in the output. With BN before ReLU nothing is negative and the mean is
# {{ out["before"].mean():.2f }}; with BN after it the mean is 0 and the smallest value
# {{ out["after"].min():.2f }}. The paper puts BN before the activation. Section 7 races both.

# %% [markdown]
# ## 6 · Sixteen weight scales
#
# A classic experiment (Saitoh, *Deep Learning from Scratch*, 2016, chapter 6): five hidden layers
# of 100 units, 1,000 images of digits, weights drawn with a standard deviation of 1, …, 0.0001 in
# sixteen steps, SGD with the rate 0.01 and batches of 100. Only the presence of BN differs. Here
# the images have 14 × 14 pixels, there are ten epochs ({{ n_scales }} scales in this run), and there is a
# second learning rate: 0.1; and the same again with sigmoids, at the rate 0.1. It is one run for each point, with
# the accuracy measured as in training, by the batch's own statistics.
#
# **Predict first:** at how many of the scales does the net reach 50% accuracy on its training
# images, without BN and with it? Is BN ahead at *every* scale?


# %% tags=["helper"]
def shrink(images):
    """28 × 28 → 14 × 14 pixels, flat: enough here, and four times as fast."""
    return images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196).astype(float)


x_small, y_small = shrink(data.x_train[:4000]), data.y_train[:4000]
x_valid, y_valid = shrink(data.x_valid[:2000]), data.y_valid[:2000]
scales = np.logspace(0, -4, n_scales)


def reached(std, with_bn, activation, rate, epsilon=1e-3):
    """Return the accuracy on 1,000 training images after ten epochs; NaN after a divergence."""
    net = ck.scratch.deep_stack(
        [196] + 5 * [100],
        activation.lower(),
        lambda shape, seed: seed.normal(0, std, shape),
        batch_norm=with_bn,
        n_classes=10,
        seed=lab.seed,
    )
    for layer in net.layers:
        if isinstance(layer, scratch.BatchNorm):
            layer.epsilon = epsilon
    rng, loss = np.random.default_rng(lab.seed), scratch.SoftmaxCrossEntropy()
    sgd = ck.scratch.optimizers.SGD(rate)
    with np.errstate(all="ignore"):  # a divergence is a result here
        for _ in range(10):
            for rows in rng.permutation(1000).reshape(-1, 100):
                now = ck.scratch.train_step(net, loss, sgd, x_small[rows], y_small[rows])
                if not np.isfinite(now):
                    return np.nan
    right = net.forward(x_small[:1000], training=True).argmax(axis=1) == y_small[:1000]
    return right.mean()


curves = {
    f"{activation}, {'BN' if with_bn else 'plain'}, rate {rate}": [
        reached(std, with_bn, activation, rate) for std in scales
    ]
    for activation, rates in (("ReLU", (0.01, 0.1)), ("sigmoid", (0.1,)))
    for with_bn in (False, True)
    for rate in rates
}


# %% tags=["claim"]
def scale_picture(names, title):
    return ck.plotting.lines(
        {name: curves[name] for name in names},
        scales,
        title=title,
        log="x",
        crosses="bottom",
        xlabel="standard deviation of the starting weights",
        ylabel="accuracy on the training images",
    )


ck.plotting.style()
trained = {name: int(np.sum(np.nan_to_num(values) > 0.5)) for name, values in curves.items()}
for kind in ("ReLU", "sigmoid"):
    names = [name for name in curves if kind in name]
    plain, bn = (" and ".join(str(trained[name]) for name in names if which in name)
                 for which in ("plain", "BN"))  # fmt: skip
    at_rates = "the rates 0.01 and 0.1" if kind == "ReLU" else "the rate 0.1"
    title = f"{kind}: with BN a net trains from more scales, {bn} of {n_scales} in place of {plain} ({at_rates})"
    ck.show(scale_picture(names, title))
slow, quick = (np.nan_to_num(curves[f"ReLU, BN, rate {rate}"]) for rate in (0.01, 0.1))
plain = np.nan_to_num(curves["ReLU, plain, rate 0.01"])
at = int(plain.argmax())
for name in ("ReLU, {}, rate 0.01", "ReLU, {}, rate 0.1", "sigmoid, {}, rate 0.1"):
    with_bn, without = trained[name.format("BN")], trained[name.format("plain")]
    ck.prove(f"{name.format('with and without BN')}: BN trains at more scales", with_bn > without,
             f"{with_bn} and {without} of {n_scales}")  # fmt: skip
ck.prove(
    "At the plain net's best scale BN is behind at rate 0.01, not at 0.1",
    slow[at] < plain[at] - 0.02 and quick[at] > plain[at] - 0.02,
    f"std {scales[at]:.2f}: plain {plain[at]:.2f}, BN {slow[at]:.2f}, at rate 0.1 {quick[at]:.2f}",
)
ck.prove("BN does not rescue the smallest scale", max(slow[-1], quick[-1]) < 0.3,
         f"accuracy {slow[-1]:.2f} and {quick[-1]:.2f}")  # fmt: skip

# %% [markdown]
# **At the classic rate of 0.01 the ReLU net trains at {{ trained["ReLU, plain, rate 0.01"] }} of
# {{ n_scales }} scales without BN, at {{ trained["ReLU, BN, rate 0.01"] }} with it; at 0.1 at
# {{ trained["ReLU, plain, rate 0.1"] }} and {{ trained["ReLU, BN, rate 0.1"] }}.** (With sigmoids it is
# {{ trained["sigmoid, plain, rate 0.1"] }} and {{ trained["sigmoid, BN, rate 0.1"] }}.) BN does not win
# everywhere: at std {{ scales[at]:.2f }}, where the plain net is at its best, it reaches
# {{ plain[at]:.2f }} and BN at the same rate {{ slow[at]:.2f }}, at ten times the rate
# {{ quick[at]:.2f }}. And it does not rescue the smallest weights. One fact explains all
# three findings: **BN does not see the scale.** Multiply the weights before it by any $a > 0$,
# and $\hat x$ stays the same. But
#
# - the gradient with respect to $W$ is divided by $a$: the step is $a$ times shorter and the weight
#   vector $a$ times longer, so its direction turns $a^2$ times more slowly. Large weights need a higher
#   rate.
# - this holds only while $\sigma^2$ is well above $\varepsilon$. Below it, BN stops amplifying (the {{ stds[1]:.3f }} of section 1).
#
# **Predict first:** which end of the curve moves if $\varepsilon$ is 10⁻⁷ in place of 10⁻³? All of
# that end?

# %% tags=["claim"]
inputs, weights, g = (
    draw.normal(size=(64, 30)),
    draw.normal(size=(30, 5)),
    draw.normal(size=(64, 5)),
)
seen = []
for factor in (1, 10):
    norm = scratch.BatchNorm(5, epsilon=1e-12)
    output = norm.forward(inputs @ (factor * weights), training=True)
    seen.append((output, inputs.T @ norm.backward(g)))
(output_1, gradient_1), (output_10, gradient_10) = seen
name = "ReLU, BN, rate 0.1, ε = 0.0000001"
curves[name] = [reached(std, True, "ReLU", 0.1, epsilon=1e-7) for std in scales]
tiny, small = np.nan_to_num(curves[name]), scales < 1e-3
gain = (tiny - quick)[small].mean()
ck.show(scale_picture(["ReLU, BN, rate 0.1", name], "A tiny ε lifts the small end"))
ck.prove("Ten times the weights leave BN's output as it is and divide the gradient by ten",
         np.allclose(output_1, output_10) and np.allclose(gradient_10, gradient_1 / 10),
         f"gradient × {np.mean(gradient_10 / gradient_1):.3f}")  # fmt: skip
ck.prove("With ε = 10⁻⁷ the scales below 0.001 train better", gain > 0.1,
         f"{quick[small].mean():.2f} → {tiny[small].mean():.2f} on average")  # fmt: skip

# %% [markdown]
# **With ε = 10⁻⁷ the scales below 0.001 get {{ tiny[small].mean():.2f }} on average in place of
# {{ quick[small].mean():.2f }}.** So ε was what stopped BN there. (The worst of them, at std
# {{ scales[small][tiny[small].argmin()]:.2g }}, reaches {{ tiny[small].min():.2f }}, the largest weights, std 1, {{ tiny[0]:.2f }}.) Do not
# conclude that ε should be tiny: it also protects against features that are constant in a batch.
#
# ## 7 · Faster? Count epochs, then seconds
#
# Eight hidden layers of 100 ReLU units with He initialisation ([lesson
# 02](02_weight_initialisation.ipynb)): a net that trains well without BN. Three kinds; each gets
# the learning rate that suits it, found by the same search, and the same {{ epochs }} epochs.
#
# Then the clock: how long until a net has the plain net's best validation loss? The nets train in
# turns, so that they meet the same disturbances; compiling is paid once, and left out.
#
# **Predict first:** at the rate 0.02, is the net with BN ahead of the one without? At 0.5? And when
# each has its own best rate?

# %%
from types import SimpleNamespace

digits = SimpleNamespace(x_train=data.x_train[:n_race], y_train=data.y_train[:n_race],
                         x_valid=data.x_valid[:1000], y_valid=data.y_valid[:1000])  # fmt: skip
places = {"plain": "without", "BN before ReLU": "before", "BN after ReLU": "after"}
kinds = {
    name: lambda kind=kind: dense_net(*[each for _ in range(8) for each in block(kind)])
    for name, kind in places.items()
}
race = ck.compare(
    kinds, digits, epochs=epochs, batch_size=64, seeds=n_seeds, rates=(0.02, 0.1, 0.5),
    search_seeds=n_search)  # fmt: skip
ck.plotting.style()
ck.show(race.rate_curves(log="xy"))
ck.show(race.curves("val_loss", title="Each at its best rate: with BN there in fewer epochs"))

# %% tags=["helper"]
import time


def seconds_an_epoch(names):
    """Seconds of the least disturbed epoch for nets of these kinds, trained in turns."""
    taken = {name: [] for name in names}
    for _ in range(2):
        for name in names:
            model, ends = race.models[name], []
            model.set_weights(kinds[name]().get_weights())
            model.optimizer.learning_rate = 0.02
            clock = keras.callbacks.LambdaCallback(
                on_epoch_end=lambda *_, ends=ends: ends.append(time.perf_counter())
            )
            ck.fit(model, data.x_train, data.y_train, epochs=4, batch_size=64, callbacks=[clock],
                   verbose=0, seed=0)  # fmt: skip
            taken[name] += list(np.diff(ends))  # the first epoch, which compiles, is left out
    return {name: min(seconds) for name, seconds in taken.items()}


def first_epoch(name, target):
    """Epochs until the mean validation loss of the seeds reaches the target; NaN if never."""
    means = np.nanmean(race.history[name]["val_loss"], axis=0)
    return int(np.argmax(means <= target)) + 1 if (means <= target).any() else np.nan


target = np.nanmin(np.nanmean(race.history["plain"]["val_loss"], axis=0))
needed = {name: first_epoch(name, target) for name in kinds}
spent = seconds_an_epoch(("plain", "BN before ReLU"))
slower = spent["BN before ReLU"] / spent["plain"]
for name in kinds:
    print(
        f"{name:15s} rate {race.rates[name]:.2g}: loss {target:.3f} reached in epoch {needed[name]}"
    )
print(f"an epoch with BN takes {slower:.2f} times as long as one without")

# %% tags=["claim"]
low, high = ([min(race.searched[name][rate], np.log(10)) for name in ("BN before ReLU", "plain")]
             for rate in (0.02, 0.5))  # fmt: skip
end = race.verdict("val_loss").text
ck.prove("BN's lead is larger at 0.5 than at 0.02, and there the plain loss is more than twice BN's",
         high[1] / high[0] > max(2, low[1] / low[0]),
         f"plain to BN {low[1]:.2f} : {low[0]:.2f} at 0.02, {high[1]:.2f} : {high[0]:.2f} at 0.5")  # fmt: skip
same = race.rates["BN before ReLU"] == race.rates["plain"]
lost = np.isinf(race.searched["plain"][0.5])
between = ck.verdict(
    {kind: race.last("val_loss")[kind] for kind in ("BN before ReLU", "BN after ReLU")}
)
early = {name: race.history[name]["val_loss"][:, 0] for name in kinds}
ck.prove("After one epoch the net with BN before ReLU is below the plain one with every seed",
         (early["BN before ReLU"] < np.nan_to_num(early["plain"], nan=np.inf)).all(),
         f"{early['BN before ReLU'].mean():.2f} and {np.nanmean(early['plain']):.2f} on average")  # fmt: skip
ck.prove(
    "BN reaches the plain net's best loss no later than the plain net",
    needed["BN before ReLU"] <= needed["plain"],
    f"{target:.3f} in epoch {needed['BN before ReLU']}, plain in {needed['plain']}",
)
inside = all(min(found) < race.rates[name] < max(found) for name, found in race.searched.items())
ck.prove("No best rate stands at the end of its list", inside,
         ", ".join(f"{name} {rate:.2g}" for name, rate in race.rates.items()))  # fmt: skip

# %% [markdown]
# **Each at its best rate, BN before ReLU has the plain net's best loss, {{ target:.3f }}, in epoch
# {{ needed["BN before ReLU"] }} of {{ epochs }}, BN after ReLU in epoch {{ needed["BN after ReLU"] }};
# after one epoch BN before ReLU is at {{ early["BN before ReLU"].mean():.2f }}, the plain net at
# {{ np.nanmean(early["plain"]):.2f }}.** The best rates are {{ race.rates["BN before ReLU"]:.2g }} with BN and
# {{ race.rates["plain"]:.2g }} without{{ ", so the epochs saved here do not come from a higher rate" if same else "" }}. What BN does
# besides is to **tolerate higher rates**: at 0.5 it has a loss of {{ high[0]:.2f }}, and the plain net
# {{ "diverges" if lost else f"{high[1]:.2f}" }} (at 0.02 {{ low[0]:.2f }} and {{ low[1]:.2f }}; means of {{ n_search }} runs).
#
# How far down they get in the end is another question: {{ end }} {{ between.text if between.winner else "Nor do the seeds decide between BN before and after ReLU." }}
# Try both places on your net.
#
# **In seconds BN has the plain net's best loss after {{ slower * needed["BN before ReLU"] / needed["plain"]:.2f }} of the plain net's
# time**: an epoch with BN took {{ slower:.2f }} times as long when this run measured it. That depends on what
# else the machine was doing, on the machine and on the size of the layers.

# %% [markdown]
# ## 8 · Does the batch's noise regularise?
#
# Each sample is normalised by its companions, and they change: in training one image has many
# $\hat x$, and the smaller the batch, the more they differ. It is often said that this noise
# regularises. To measure it, nothing else may change, not even the batch of SGD. So this net always
# takes steps with batches of 64, but BN normalises them in **groups** of 4, of 16, or all 64 at
# once (Hoffer and others, 2017: *ghost batches*). The task invites overfitting: 1,024 images for
# two layers of 100 units and 20 epochs, once with their true labels, once with one label in five drawn
# at random (those of the validation images stay true). Each variant has its own best learning rate.
#
# **Predict first:** which has the lowest validation loss, plain, groups of 4, groups of 16 or the
# whole batch? With true labels? With noisy ones?


# %% tags=["helper"]
class GroupedBatchNorm(scratch.BatchNorm):
    """Batch normalisation whose statistics in training are those of groups of `size` samples."""

    def __init__(self, n_features, size):
        super().__init__(n_features, momentum=0.9)
        self.size = size

    def _forward(self, x, training):
        if not training:
            return super()._forward(x, training)
        groups = x.reshape(-1, self.size, self.n_features)
        mean, variance = groups.mean(axis=1, keepdims=True), groups.var(axis=1, keepdims=True)
        for name, value in (("moving_mean", mean), ("moving_variance", variance)):
            kept = self.momentum * getattr(self, name)
            setattr(self, name, kept + (1 - self.momentum) * value.mean(axis=(0, 1)))
        self._std = np.sqrt(variance + self.epsilon)
        self._x_hat = (groups - mean) / self._std
        return self.params["gamma"] * self._x_hat.reshape(x.shape) + self.params["beta"]

    def _backward(self, grad):
        g, x_hat = grad.reshape(self._x_hat.shape), self._x_hat
        self.grads = {"gamma": (g * x_hat).sum(axis=(0, 1)), "beta": grad.sum(axis=0)}
        inner = g - g.mean(axis=1, keepdims=True) - x_hat * (g * x_hat).mean(axis=1, keepdims=True)
        return (self.params["gamma"] * inner / self._std).reshape(grad.shape)


def searched(result, rates=(0.03, 0.1, 0.3)):
    """Return the rate with the lowest result; the list grows where its best is an end."""
    found = {rate: result(rate) for rate in rates}
    while len(found) < 9:
        tried, best = sorted(found), min(found, key=found.get)
        if best not in (tried[0], tried[-1]):
            break
        new = best / 3 if best == tried[0] else best * 3
        found[new] = result(new)
    return min(found, key=found.get)


# %% tags=["helper"]
few_x, true = x_small[:1024], y_small[:1024]
drawn = np.random.default_rng(lab.seed)
noisy = np.where(drawn.random(1024) < 0.2, drawn.integers(0, 10, 1024), true)


def one_pass(net, batches):
    """Replace the moving averages by the mean over the batches, with dropout off."""
    for k, rows in enumerate(batches):
        for layer in net.layers:
            if isinstance(layer, scratch.BatchNorm):
                layer.momentum = k / (k + 1)
            if isinstance(layer, scratch.Dropout):
                layer.rate = 0
        net.forward(rows, training=True)


def two_layers(labels, seed, rate, group=None, dropout=(0, 0), renew=False):
    """Train two layers of 100 units on the few images; return the validation loss."""
    rng, stack = np.random.default_rng(seed), []
    for fan_in, drop in zip((196, 100), dropout, strict=True):
        dense = scratch.Dense(fan_in, 100, initialiser="he_normal", use_bias=not group, seed=rng)
        stack += [dense, *([GroupedBatchNorm(100, group)] if group else []), scratch.ReLU()]
        stack += [scratch.Dropout(drop, seed=rng)] if drop else []
    net = ck.scratch.Sequential([*stack, scratch.Dense(100, 10, seed=rng)])
    loss, sgd = scratch.SoftmaxCrossEntropy(), ck.scratch.optimizers.SGD(rate)
    with np.errstate(all="ignore"):  # too high a rate diverges, and is not chosen
        for _ in range(20):
            for rows in rng.permutation(1024).reshape(-1, 64):
                ck.scratch.train_step(net, loss, sgd, few_x[rows], labels[rows])
        if renew:
            one_pass(net, few_x.reshape(-1, 64, 196))
        end = float(loss.forward(net.forward(x_valid), labels=y_valid))
    return end if np.isfinite(end) else np.inf


def compared(labels, arms):
    """Return for each arm the losses of the seeds at its best rate."""
    found = {}
    for name, arm in arms.items():
        rate = searched(lambda rate, arm=arm: two_layers(labels, lab.seed, rate, **arm))
        runs = [two_layers(labels, lab.seed + i, rate, **arm) for i in range(1, n_seeds + 1)]
        found[name] = np.array(runs)
    return found


# %% tags=["claim"]
groups = {"plain": {}, "BN in groups of 4": {"group": 4}, "BN in groups of 16": {"group": 16},
          "BN, all 64 at once": {"group": 64}}  # fmt: skip
often, end = {"group": 64, "dropout": (0.4, 0.4)}, {"group": 64, "dropout": (0, 0.4)}
mixed = {"dropout": {"dropout": (0.4, 0.4)}, "BN, dropout between": often,
         "BN, dropout, one pass": often | {"renew": True}, "BN, dropout at the end": end}  # fmt: skip
by_labels = {"true": compared(true, groups), "noisy": compared(noisy, groups | mixed)}
ck.plotting.style()
sizes, values = (2, 4, 8, 16, 64, 256), x_small @ draw.normal(0, 0.1, size=(196, 50))
spread = [
    np.std(
        [batch_norm(values[np.r_[0, draw.integers(1, 4000, size - 1)]])[0] for _ in range(300)],
        axis=0,
    ).mean()
    for size in sizes
]
for labels, runs in by_labels.items():
    groups_of = {name: runs[name] for name in groups}
    ck.show(
        ck.plotting.strips(
            groups_of,
            xlabel="validation loss, each at its best rate",
            title=f"{labels.capitalize()} labels: {ck.verdict(groups_of).headline}",
        )
    )
end_true, end_noisy = ({name: runs[name].mean() for name in runs} for runs in by_labels.values())
four, whole = "BN in groups of 4", "BN, all 64 at once"
ck.prove("The noise of x̂ shrinks as the batch grows", sorted(spread, reverse=True) == spread,
         ", ".join(f"{size}: {value:.2f}" for size, value in zip(sizes, spread, strict=True)))  # fmt: skip
check = ck.scratch.gradient_check(GroupedBatchNorm(5, 4), some, training=True)
ck.prove(
    "The layer with groups has the right gradient", check < 1e-6, f"relative error {check:.0e}"
)
ck.prove(
    "With noisy labels groups of 4 end below the whole batch",
    end_noisy[four] < end_noisy[whole],
    f"{end_noisy[four]:.3f} < {end_noisy[whole]:.3f}",
)
gain_true, gain_noisy = (ends[whole] - ends[four] for ends in (end_true, end_noisy))
ck.prove("With true labels they gain at most half as much, if anything", gain_true < gain_noisy / 2,
         f"{gain_true:+.3f}, with noisy ones {gain_noisy:+.3f}")  # fmt: skip
usual = ck.verdict({name: by_labels["noisy"][name] for name in ("plain", whole)})

# %% [markdown]
# **With noisy labels groups of 4 end at {{ end_noisy[four]:.2f }}, the whole batch at
# {{ end_noisy[whole]:.2f }}; with true labels it is {{ end_true[four]:.2f }} and
# {{ end_true[whole]:.2f }}, {{ "no gain" if gain_true < 0.005 else "a small gain" }}.** So small groups regularise, and like every regulariser they help
# where there are wrong labels that should not be learned. Their noise is the likely
# reason; but by section 4 groups of 4 also lose half of the gradient. One image's $\hat x$
# has the standard deviation {{ spread[1]:.2f }} in random groups of 4, {{ spread[3]:.2f }} in
# groups of 16, {{ spread[4]:.2f }} in batches of 64. In a usual batch little of it is left. Is BN on the whole batch, with
# noisy labels, better than the plain net? {{ usual.text }} One task and few seeds: do not
# count on BN as your regulariser.
#
# ### And together with dropout?
#
# [Dropout](11_dropout.ipynb) brings noise, too: it sets units to 0 at random while training, and
# scales up the rest, so that the *mean* stays. The variance does not stay. A BN behind it measures
# the variance with dropout, remembers it, and uses it at prediction, when dropout is off (Li and
# others, 2019: *variance shift*). **Predict first:** units of mean 0 and standard deviation 1 pass
# ReLU, dropout at rate 0.5, then BN. What is the standard deviation of BN's output at prediction?
# And is a net with BN and dropout (now at 0.4) worse than a net with one of them?

# %% tags=["claim"]
chain = [scratch.ReLU(), scratch.Dropout(0.5, seed=lab.seed), scratch.BatchNorm(20, momentum=0)]
stds = []
for training in (True, False):
    a = draw.normal(size=(20_000, 20))
    for layer in chain:
        a = layer.forward(a, training)
    stds.append(a.std())
theory = ((0.5 - 1 / (2 * np.pi)) / (1 - 1 / (2 * np.pi))) ** 0.5
ends = {name: by_labels["noisy"][name] for name in ("plain", whole, *mixed)}
ck.show(ck.plotting.strips(ends, xlabel="validation loss, each at its best rate",
                           title=f"Noisy labels: {ck.verdict(ends).headline}"))  # fmt: skip
ck.prove("Behind dropout BN's output has the standard deviation 1 in training, 0.64 at prediction",
         abs(stds[0] - 1) < 0.01 and abs(stds[1] - theory) < 0.01,
         f"{stds[0]:.3f} and {stds[1]:.3f}, in theory {theory:.3f}")  # fmt: skip
in_keras = keras.Sequential([keras.Input((20,)), layers.ReLU(), layers.Dropout(0.5), layers.BatchNormalization()])  # fmt: skip
renew_averages(in_keras, a, batch_size=1_000)
ck.prove("Renewed in one pass with dropout off, Keras' averages give 1 at prediction too",
         abs(np.std(in_keras(a)) - 1) < 0.01, f"{np.std(in_keras(a)):.3f}")  # fmt: skip
between, renewed, last = (end_noisy[name] for name in list(mixed)[1:])
ck.prove(
    "With noisy labels BN with dropout between the layers ends below BN alone",
    between < end_noisy[whole],
    f"{between:.2f} < {end_noisy[whole]:.2f}",
)
ck.prove("One pass without dropout takes it lower still", renewed < between - 0.03,
         f"{between:.2f} → {renewed:.2f}")  # fmt: skip

# %% [markdown]
# **Behind dropout BN's output has the standard deviation 1 in training and {{ stds[1]:.2f }} at
# prediction; the net with both ends at {{ between:.2f }}, and at {{ renewed:.2f }} if its averages are renewed in one pass
# *without* dropout, each at its best rate.** (Behind
# ReLU the mean square is ½ and the squared mean $1/2\pi$; dropout at ½ doubles the mean square and
# keeps the mean: hence $\sqrt{(½ - 1/2\pi) / (1 - 1/2\pi)}$.) So the variance shift is real, it costs,
# and it can be undone. But it does not follow that the two must not be mixed: with wrong labels in the training set
# the net with both ends below BN alone ({{ end_noisy[whole]:.2f }}); dropout alone has
# {{ end_noisy["dropout"]:.2f }}. Dropout only behind
# the last BN, which has no variance shift, gets {{ last:.2f }} here.

# %% [markdown]
# ## 9 · Tiny batches, and what to use there
#
# Section 4 found that of the gradient's square a share of $(B-2)/B$ passes a BN layer. In a batch
# of one the output is β, whatever the image. **Layer normalisation** takes mean and variance over
# the features of *one* sample, so it does not know what a batch is. Below every net takes the same
# {{ steps }} steps, each kind and batch size with the rate that suits it; only normalisation and
# batch size differ. The plain net is there because the batch size matters by itself.
#
# **Predict first:** at which of the batch sizes 1, 2, 8 and 32 is BN ahead of layer normalisation, at
# which behind? Where BN falls behind, what fails: the weights, or the moving averages?


# %% tags=["helper"]
NORMS = {
    "plain": None,
    "batch norm": lambda n: scratch.BatchNorm(n, momentum=0.9),
    "layer norm": scratch.LayerNorm,
}


def trained_on(norm, size, rate, seed):
    """Return a net of three hidden layers after `steps` steps on batches of `size`."""
    rng, stack = np.random.default_rng(seed), []
    for fan_in, fan_out in ((196, 64), (64, 64), (64, 64)):
        stack.append(scratch.Dense(fan_in, fan_out, initialiser="he_normal", seed=rng))
        stack += [NORMS[norm](fan_out)] if NORMS[norm] else []
        stack.append(scratch.ReLU())
    net = ck.scratch.Sequential([*stack, scratch.Dense(64, 10, seed=rng)])
    loss, sgd = scratch.SoftmaxCrossEntropy(), ck.scratch.optimizers.SGD(rate)
    with np.errstate(all="ignore"):  # too high a rate diverges, and is not chosen
        for _ in range(steps):
            rows = rng.integers(len(x_small), size=size)
            if not np.isfinite(ck.scratch.train_step(net, loss, sgd, x_small[rows], y_small[rows])):
                break
    return net


def score(net, size=None):
    """Validation accuracy; with a size, in training mode on batches of that size."""
    with np.errstate(all="ignore"):
        if size is None:
            return np.mean(net.forward(x_valid).argmax(axis=1) == y_valid)
        cut = [net.forward(rows, training=True) for rows in x_valid.reshape(-1, size, 196)]
    return np.mean(np.concatenate(cut).argmax(axis=1) == y_valid)


# %% tags=["helper"]
batch_sizes, small_nets, results = (1, 2, 8, 32), {}, {}
for norm in NORMS:
    rates = [
        searched(
            lambda rate, norm=norm, size=size: -score(trained_on(norm, size, rate, lab.seed)),
            (0.03, 0.1),
        )
        for size in batch_sizes
    ]
    small_nets[norm] = [
        [trained_on(norm, size, rate, lab.seed + seed) for seed in range(1, n_seeds + 1)]
        for size, rate in zip(batch_sizes, rates, strict=True)
    ]
    results[norm] = np.array([[score(net) for net in nets] for nets in small_nets[norm]]).T
in_twos = [score(net, size=2) for net in small_nets["batch norm"][1]]
for net in small_nets["batch norm"][1]:
    one_pass(net, x_small.reshape(-1, 250, 196))
renewed_at_2 = [score(net) for net in small_nets["batch norm"][1]]

# %% tags=["claim"]
ck.plotting.style()
ck.show(ck.plotting.lines(
    results, batch_sizes, log="x", xlabel="batch size", ylabel="validation accuracy",
    title=f"BN needs a batch: {steps} steps, each point at its best rate"))  # fmt: skip
bn, ln, none = (results[norm].mean(axis=0) for norm in ("batch norm", "layer norm", "plain"))
layer = scratch.LayerNorm(196)
apart = np.abs(layer.forward(x_small[:1]) - layer.forward(x_small[:64])[:1]).max()
ck.prove(
    "Layer normalisation gives an image alone what it gives it among 64",
    apart < 1e-9,
    f"{apart:.0e} apart",
)
ck.prove("With a batch of 1 BN learns next to nothing", bn[0] < 0.25, f"accuracy {bn[0]:.2f}")
ck.prove("With a batch of 2 layer normalisation is ahead of BN by more than 5 percentage points",
         ln[1] > bn[1] + 0.05, f"{ln[1]:.2f} against {bn[1]:.2f}")  # fmt: skip
ck.prove(
    "With a batch of 32 BN is ahead of layer normalisation",
    bn[3] > ln[3],
    f"{bn[3]:.3f} > {ln[3]:.3f}",
)
at_8 = ck.verdict({norm: results[norm][:, 2] for norm in NORMS}, better="higher")
best_of_two = max(np.mean(in_twos), np.mean(renewed_at_2))
ck.prove(
    "Neither batches of two nor one pass make good what a batch of two has lost",
    best_of_two - bn[1] < (ln[1] - bn[1]) / 2,
    f"averages {bn[1]:.2f}, one pass {np.mean(renewed_at_2):.2f}, in twos {np.mean(in_twos):.2f}",
)

# %% [markdown]
# **With a batch of one BN gets {{ bn[0]:.0% }}, layer normalisation {{ ln[0]:.0% }}; with a batch of two BN gets {{ bn[1]:.0% }}, layer normalisation {{ ln[1]:.0% }}, the plain net
# {{ none[1]:.0% }}; with 8 it is {{ bn[2]:.0% }}, {{ ln[2]:.0% }} and {{ none[2]:.0% }}, with 32
# {{ bn[3]:.0% }}, {{ ln[3]:.0% }} and {{ none[3]:.0% }}.** (At 8: {{ at_8.text }}) What
# fails at two is the learning itself: predicting in batches of two, as in training, gives
# {{ np.mean(in_twos):.0% }}, and statistics from one pass give {{ np.mean(renewed_at_2):.0% }}, so
# it is not the moving averages. No gradient gets below a BN, as section 4 said, so only the last BN's
# γ and β and the output layer can learn.
#
# For **recurrent nets** BN is awkward for another reason: each time step has statistics of its own,
# and sequences differ in length ([lesson 05](05_gradient_clipping.ipynb)). They use layer
# normalisation, and so do transformers. Convolutional nets on few large images use *group
# normalisation*: the statistics of a group of channels of one image (Wu and He, 2018).

# %% [markdown]
# ## 10 · BN as the first layer
#
# Put BN first and you may feed raw pixels, 0 to 255. Two statements about this are often read: "it
# does the same as a scaler", and "it needs extra preprocessing at prediction". Test both: a small
# net on raw pixels, on pixels standardised beforehand, and on raw pixels with BN first, each at its
# best rate.
#
# **Predict first:** which net is best? Which of them can be given raw pixels by its users, one
# image at a time?

# %%
raw = SimpleNamespace(x_train=255 * data.x_train, y_train=data.y_train,
                      x_valid=255 * digits.x_valid, y_valid=digits.y_valid)  # fmt: skip


def first_net(*first):
    return dense_net(*[layer() for layer in first], layers.Dense(64, "relu"))


tried = {"raw pixels": ((), raw, (0.00001, 0.0001, 0.001)),
         "standardised pixels": ((), data.standardized(), (0.01, 0.1, 1.0)),
         "BN first (raw pixels)": ((layers.BatchNormalization,), raw, (0.01, 0.1, 1.0))}  # fmt: skip
trials = {}
for name, (first, pixels, rates) in tried.items():
    net = {name: lambda first=first: first_net(*first)}
    trials[name] = ck.compare(net, pixels, rates=rates, epochs=4, batch_size=64, seeds=n_seeds,
                              choose_by="val_accuracy")  # fmt: skip

# %% tags=["claim"]
import tempfile

ck.plotting.style()
right, loss_of = ({name: runs.last(metric)[name] for name, runs in trials.items()}
                  for metric in ("val_accuracy", "val_loss"))  # fmt: skip
ck.show(ck.plotting.strips(right, xlabel="validation accuracy after 4 epochs",
                           title=ck.verdict(right, better="higher").headline))  # fmt: skip
bn_first = trials["BN first (raw pixels)"].models["BN first (raw pixels)"]
scaled = trials["standardised pixels"].models["standardised pixels"]
with tempfile.TemporaryDirectory() as folder:
    bn_first.save(f"{folder}/net.keras")
    loaded = keras.models.load_model(f"{folder}/net.keras")
alone = loaded.predict(raw.x_valid[:1], verbose=0)[0]
company = bn_first.predict(raw.x_valid[:500], verbose=0)[0]
forgot, means = (
    accuracy(scaled, raw.x_valid, raw.y_valid),
    {name: v.mean() for name, v in right.items()},
)
pixel = int(raw.x_train.reshape(-1, 784).var(axis=0).argmax())
column = raw.x_train.reshape(-1, 784)[:, [pixel]]
many = [batch_norm(column[np.r_[0, draw.integers(1, n, 63)]])[0, 0] for _ in range(300)]
ck.prove(
    "BN first on raw pixels is within 4 percentage points of standardised pixels, far above raw ones",
    abs(means["BN first (raw pixels)"] - means["standardised pixels"]) < 0.04
    and means["BN first (raw pixels)"] > means["raw pixels"] + 0.03,
    ", ".join(f"{name} {value:.1%}" for name, value in means.items()),
)
ck.prove("A scaler gives one value for one pixel of one image, BN in training many",
         np.std(many) > 0.02, f"standard deviation {np.std(many):.3f} over 300 batches of 64")  # fmt: skip
ck.prove("One raw image alone, in the net loaded from its file, gets the answer it gets among 500",
         np.abs(alone - company).max() < 1e-4, f"{np.abs(alone - company).max():.0e} apart")  # fmt: skip
ck.prove(
    "The net of standardised pixels loses more than 2 percentage points when users send raw ones",
    forgot < means["standardised pixels"] - 0.02,
    f"{means['standardised pixels']:.1%} → {forgot:.1%}",
)

# %% [markdown]
# **BN first on raw pixels gets {{ means["BN first (raw pixels)"]:.1% }}, standardised pixels
# {{ means["standardised pixels"]:.1% }}, raw pixels alone {{ means["raw pixels"]:.1% }}.** So BN
# first comes close to a scaler. It is not the same: the scaler uses the training set's statistics,
# once, and BN each batch's while it trains, with a γ and a β to learn (the same pixel of the same image
# comes out differently in each batch, with a standard deviation of {{ np.std(many):.2f }}).
#
# And BN needs **no** preprocessing at prediction: its averages are weights, saved with the model,
# and one raw image gets the same answer alone as among 500. It is the *scaler* that you must carry
# along; if you forget it, you lose {{ 100 * (means["standardised pixels"] - forgot):.0f }} percentage
# points here.
#
# ### Optional: when the real data are different
#
# The averages describe the training data. Let a new scanner deliver paler images, half the contrast
# on a grey background: a **covariate shift** between training and real data. **Predict first:** can
# the net recover *without a single label*?

# %% tags=["claim"]
pale_train, pale_valid = 0.5 * raw.x_train + 60, 0.5 * raw.x_valid + 60
at_home, abroad = (accuracy(bn_first, x, raw.y_valid) for x in (raw.x_valid, pale_valid))
renew_averages(bn_first, pale_train)  # no label, no gradient
renewed = accuracy(bn_first, pale_valid, raw.y_valid)
ck.prove("Pale images break the net; one pass over pale training images without labels repairs it",
         abroad < at_home - 0.1 and renewed > at_home - 0.03,
         f"{at_home:.1%} → {abroad:.1%} → {renewed:.1%}")  # fmt: skip

# %% [markdown]
# **Pale images take one of these nets from {{ at_home:.1% }} to {{ abroad:.1% }}; one pass over
# {{ n:, }} pale training images, without labels, takes it to {{ renewed:.1% }}.** This shift is one that a new mean and variance
# undo. Not every shift is, and a net that meets new *classes* is not helped at all.
#
# ## 11 · Fold it away
#
# At prediction BN multiplies by a constant and adds a constant. So does the dense layer before it,
# apart from mixing its inputs. Two affine maps in a row are one: with the moving averages $\hat\mu$ and
# $\hat\sigma^2$ and with
# $s = \gamma / \sqrt{\hat\sigma^2 + \varepsilon}$
#
# $$W' = W \cdot s \quad \text{(column by column)} \qquad b' = \beta + s\,(b - \hat\mu)$$
#
# ![Above, a dense layer, then batch normalisation, then ReLU; below, one dense layer with the kernel W times s and a new bias, then ReLU.](../figures/bn_folding.svg)
#
# **Predict first:** how many parameters of this net of eight hidden layers go away? How much faster
# does it predict?

# %%
model = race.models["BN before ReLU"]
dense, norm = model.layers[1], model.layers[2]
gamma, beta, moving_mean, moving_variance = (w.numpy() for w in norm.weights)
s = gamma / np.sqrt(moving_variance + norm.epsilon)
kernel, bias = dense.kernel.numpy() * s, beta - s * moving_mean
flat = data.x_valid[:256].reshape(-1, 784)
by_hand = np.abs(flat @ kernel + bias - np.array(norm(dense(flat)))).max()

folded = ck.folding.fold_batch_norm(model)  # the same, for every layer of the model
with_bn, without_bn = (net.predict(data.x_valid, verbose=0) for net in (model, folded))
print(f"parameters {model.count_params():,} → {folded.count_params():,}")
print(f"probabilities at most {np.abs(with_bn - without_bn).max():.0e} apart")

# %% tags=["claim"]
taken = {model: [], folded: []}
for _ in range(60):  # in turns, so that both meet the same disturbances
    for net, times in taken.items():
        began = time.perf_counter()
        net.predict_on_batch(data.x_valid[:256])
        times.append(time.perf_counter() - began)
speed = np.median(taken[model]) / np.median(taken[folded])
print(f"one batch of 256: {speed:.2f} times as fast once folded (median of 60, in turns)")
gone = model.count_params() - folded.count_params()
ck.prove("The folded layer equals dense layer and BN", by_hand < 1e-3, f"{by_hand:.0e} apart")
ck.prove(
    "The folded net's predictions are the same within 1e-4",
    np.abs(with_bn - without_bn).max() < 1e-4,
    f"{np.abs(with_bn - without_bn).max():.0e} apart on {len(with_bn):,} images",
)
ck.prove("Of eight layers of 100 units four parameters a unit go, one comes back",
         gone == 3 * 800 and len(folded.layers) == len(model.layers) - 8, f"{gone:,} fewer")  # fmt: skip

# %% [markdown]
# **{{ gone:, }} parameters and eight layers are gone, the predictions agree to
# {{ np.abs(with_bn - without_bn).max():.0e }}, and a batch of 256 is predicted {{ speed:.2f }} times
# as fast.** Four numbers for each unit go, one (the bias) comes back. The gain in time depends on
# the net: BN costs little next to a large product of matrices, and much next to a small one. Fold
# **last**: a folded net trains like one that never had BN.

# %% [markdown]
# ## Optional: why does it work?
#
# The paper's answer was **internal covariate shift** (내부 공변량 변화): each layer's inputs change as the
# layers below learn, and BN is said to help because it calms this. Santurkar and others (2018)
# tested it: after BN, add **jitter**. In each step every unit is scaled and shifted at random, so
# that the layers above see their inputs jump about. If calm is the cure, jitter must undo it. Their
# own answer is the **landscape**: with BN the gradient still points downhill after a longer step.
#
# **Predict first:** rank three sigmoid nets (plain, BN, BN with jitter) by how much the inputs of
# their activations move from step to step, and by how well they learn. And in a ReLU net: up to
# which learning rate does a step along the negative gradient lower a batch's loss, with and without BN?


# %% tags=["helper"]
class Jitter:
    """Scale and shift each unit at random, anew in each training step."""

    params, grads = {}, {}

    def __init__(self, n_units, seed):
        self.n_units, self.rng = n_units, np.random.default_rng(seed)

    def forward(self, x, training=False):
        self.scale = self.rng.uniform(0.5, 1.5, self.n_units) if training else 1.0
        return x * self.scale + (self.rng.normal(0, 0.5, self.n_units) if training else 0.0)

    def backward(self, grad):
        return grad * self.scale


def learn(kind, seed):
    """Train six sigmoid layers; return the loss of the last 50 steps, and the units' mean move."""
    net = ck.scratch.deep_stack([196] + 6 * [64], "sigmoid", "glorot_normal",
                                batch_norm=kind != "plain", n_classes=10, seed=seed)  # fmt: skip
    if kind == "BN and jitter":
        pairs = [
            [each, Jitter(64, 100 * seed + i)] if isinstance(each, scratch.BatchNorm) else [each]
            for i, each in enumerate(net.layers)
        ]
        net = ck.scratch.Sequential([each for pair in pairs for each in pair])
    places = [i - 1 for i, each in enumerate(net.layers) if isinstance(each, scratch.Activation)]
    rng, loss, sgd = (
        np.random.default_rng(seed),
        scratch.SoftmaxCrossEntropy(),
        ck.scratch.optimizers.SGD(0.1),
    )
    losses, moved, previous = [], [], None
    for _ in range(steps):
        rows = rng.integers(len(x_small), size=64)
        losses.append(ck.scratch.train_step(net, loss, sgd, x_small[rows], y_small[rows]))
        if len(losses) < steps - 50:
            continue
        seen = net.outputs(x_small[:100], training=True)  # always the same 100 images
        now = np.array([seen[i].mean(axis=0) for i in places])
        width = np.array([seen[i].std() for i in places])[:, None]
        moved += [] if previous is None else [(np.abs(now - previous) / width).mean()]
        previous = now
    return np.mean(losses[-50:]), np.mean(moved)


# %% tags=["helper"]
lengths = np.array([0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4])  # learning rates


def downhill(with_bn, seed):
    """At ten moments of a training: does a step of each length lower the batch's loss?"""
    net = ck.scratch.deep_stack([196] + 6 * [64], batch_norm=with_bn, n_classes=10, seed=seed)
    rng, found = np.random.default_rng(seed), []
    loss, sgd = scratch.SoftmaxCrossEntropy(), ck.scratch.optimizers.SGD(0.05)
    for step in range(100):
        rows = rng.integers(len(x_small), size=64)
        before = {name: value.copy() for name, value in net.params.items()}
        began = ck.scratch.train_step(net, loss, sgd, x_small[rows], y_small[rows])
        after = {name: value.copy() for name, value in net.params.items()}
        if step % 10 == 0:
            ends = []
            for length in lengths:
                for name, value in net.params.items():
                    value[...] = before[name] - length * net.grads[name]
                out = net.forward(x_small[rows], training=True)
                ends.append(loss.forward(out, labels=y_small[rows]))
            for name, value in net.params.items():
                value[...] = after[name]
            found.append(np.array(ends) < began)
    return np.mean(found, axis=0)


seeds = range(lab.seed, lab.seed + 2)
shift = {
    kind: np.array([learn(kind, seed) for seed in seeds])
    for kind in ("plain", "BN", "BN and jitter")
}
ahead = {
    name: np.array([downhill(name == "BN", seed) for seed in seeds]) for name in ("plain", "BN")
}


# %% tags=["claim"]
ck.plotting.style()
ends, moves = ({kind: runs[:, i] for kind, runs in shift.items()} for i in (0, 1))
ck.show(
    ck.plotting.strips(
        moves,
        log=True,
        title="BN with jitter: the inputs of the activations move most",
        xlabel="mean move of a unit's mean in one step, in standard deviations",
    )
)
ck.show(ck.plotting.strips(ends, title="BN with jitter learns all the same; the plain net stays near guessing",
                           xlabel="training loss, mean of the last 50 steps"))  # fmt: skip
ck.show(ck.plotting.lines(ahead, lengths, log="x", title="With BN a step with a high rate still leads down",
                          xlabel="learning rate of one step along the negative gradient",
                          ylabel="share of moments at which the loss falls"))  # fmt: skip
ends, moves = ({kind: v.mean() for kind, v in each.items()} for each in (ends, moves))
ck.prove("BN with jitter moves its inputs more than the plain net, and ends far lower",
         moves["BN and jitter"] > moves["plain"] and ends["BN and jitter"] < ends["plain"] - 0.3,
         f"moves {moves['BN and jitter']:.3f} > {moves['plain']:.3f}, "
         f"loss {ends['BN and jitter']:.2f} < {ends['plain']:.2f}")  # fmt: skip
far = {name: shares[:, 3].mean() for name, shares in ahead.items()}
until = {name: lengths[shares.mean(axis=0) >= 0.5].max() for name, shares in ahead.items()}
ck.prove("A step with the rate 0.4 leads down more often with BN", far["BN"] > far["plain"] + 0.1,
         f"in {far['BN']:.0%} and {far['plain']:.0%} of moments")  # fmt: skip

# %% [markdown]
# **The net with jitter has {{ moves["BN and jitter"] / moves["plain"]:.0f }} times the plain net's
# shift, and its loss is {{ ends["BN and jitter"]:.2f }} against {{ ends["plain"]:.2f }}
# ({{ ends["BN"]:.2f }} with BN alone; two seeds).** (The plain net moves little because it hardly learns.) So calm cannot be what makes BN work there; jitter has a
# cost, but most of the benefit survives. (That BN alone moves so little is true by construction: right
# behind it a unit's mean is β.) **A step with the rate 0.4 leads down in {{ far["BN"]:.0% }} of moments with
# BN, in {{ far["plain"]:.0% }} without; in half of them or more it does so up to {{ until["BN"]:g }} and {{ until["plain"]:g }}**: section
# 7's higher rates, seen from close up. Why the
# landscape is smoother is still being worked out; part of it is the scale that BN takes out of the
# weights (section 6).
#
# ## Pitfalls
#
# - **A short training with `momentum=0.99`.** The averages have not arrived; validation is far
#   worse than training. Renew them in one pass.
# - **`model(x, training=True)`** to "switch dropout on" switches BN as well, and moves its
#   averages.
# - **A bias before BN** is a parameter that learns nothing: `use_bias=False`.
# - **BN in a frozen base** ([lesson 06](06_transfer_learning.ipynb)): in Keras `layer.trainable =
#   False` also puts BN into prediction mode; `training=True` does not bring it back.
# - **A tiny last batch.** 1,001 samples in batches of 100 end in a batch of 1, whose BN output is
#   β.
# - **A constant feature**, such as a pixel in the corner, has $\hat x = 0$ in training. At
#   prediction a value never seen before is divided by about $\sqrt\varepsilon$ and becomes huge.
#
# ## What to do tomorrow
#
# 1. Put BN right before the activation, without a bias in the layer before it, or right after it; try both. Search
#    the learning rate again, upwards.
# 2. Give it batches of 32 or more; for smaller ones, recurrent nets and
#    transformers take layer normalisation.
# 3. If validation is far worse than training early on, renew the averages in one pass before you
#    change anything else.
# 4. Dropout and BN together: renew the averages with dropout off before you predict (`renew_averages`, section 3).
# 5. Fold BN into its neighbours before you deliver the net.
#
# ## Recap
#
# - BN normalises each feature by its batch, then scales by γ and shifts by β, which are learned.
# - At prediction it uses moving averages: four vectors a layer, two trained, two estimated, all
#   saved.
# - It does not see the scale of the weights, so it trains at more scales and tolerates higher rates.
# - It takes two of a batch's B directions from the gradient: with 1 or 2 samples nothing is left.
# - After training it folds into the layer before it: same predictions, fewer parameters.
#
# ## Now practise
#
# Open [exercise 04](../exercises/04_batch_normalisation.ipynb): write both passes, the moving
# averages and the folding yourself, and solve the `axis` puzzle before you ask Keras. Then go on
# with lesson [05 Gradient clipping](05_gradient_clipping.ipynb).
#
# ## Further reading
#
# - S. Ioffe and C. Szegedy, *Batch Normalization: Accelerating Deep Network Training by Reducing
#   Internal Covariate Shift*, ICML 2015, arXiv:1502.03167: section 3, algorithms 1 and 2.
# - K. Saitoh, *Deep Learning from Scratch* (ゼロから作る Deep Learning), O'Reilly Japan, 2016, chapter 6:
#   the experiment with sixteen weight scales.
# - S. Santurkar, D. Tsipras, A. Ilyas and A. Mądry, *How Does Batch Normalization Help
#   Optimization?*, NeurIPS 2018, arXiv:1805.11604: section 2, BN with noise; section 3, the
#   landscape.
# - E. Hoffer, I. Hubara and D. Soudry, *Train Longer, Generalize Better: Closing the Generalization
#   Gap in Large Batch Training of Neural Networks*, NeurIPS 2017, arXiv:1705.08741:
#   ghost batch normalisation.
# - X. Li, S. Chen, X. Hu and J. Yang, *Understanding the Disharmony Between Dropout and Batch
#   Normalization by Variance Shift*, CVPR 2019, arXiv:1801.05134.
# - Y. Wu and J. Johnson, *Rethinking "Batch" in BatchNorm*, arXiv:2105.07576, 2021: section 3,
#   statistics from one pass.
# - J. L. Ba, J. R. Kiros and G. E. Hinton, *Layer Normalization*, 2016, arXiv:1607.06450.
# - Y. Wu and K. He, *Group Normalization*, ECCV 2018, arXiv:1803.08494: the error of BN at small
#   batches.
# - B. Jacob and others, *Quantization and Training of Neural Networks for Efficient
#   Integer-Arithmetic-Only Inference*, CVPR 2018, arXiv:1712.05877: section 3.2, folding.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition,
#   2022, chapter 11, "Batch Normalization".
