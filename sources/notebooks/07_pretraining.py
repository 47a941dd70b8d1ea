# %% [markdown]
# # 07 Unsupervised and self-supervised pretraining
#
# Images are cheap, labels are not. You have ten thousand, and someone had the time to label
# twenty of them. What can a net learn from the others?
#
# ## What you will be able to do
#
# After about {{ minutes.reading }} minutes of reading, or {{ minutes.with_code }} minutes with the
# code, you will be able to
#
# - say what unsupervised pretraining (비지도 사전 훈련) was invented for, and why that need has gone;
# - invent tasks whose labels cost nothing, because they are made from the data (self-supervised
#   learning, 자기 지도 학습);
# - train an encoder by **contrastive learning**, and choose its temperature knowingly;
# - probe a net layer by layer, and decide between frozen and fine-tuned;
# - tell how much of a gain is pretraining, and how much is augmentation in disguise.
#
# ![Two rows. Above: a pool of images, a task that makes inputs and targets from them, an encoder, and a head that is thrown away afterwards. Below: twenty labelled images, the same encoder with its weights kept, and a new head for ten classes.](../figures/pretext_pipeline.svg)
#
# The drawing is the whole lesson. Everything that follows changes only the yellow box, the task, and
# asks what the blue box has learned from it.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
from functools import partial

import keras
import numpy as np
from keras import layers
from scipy.special import expit

n, epochs, steps, n_draws, many, label_counts, gan_steps = lab.pick(
    quick=(4_000, 8, 60, 3, 500, (20, 500), 200),
    standard=(10_000, 8, 100, 5, 500, (20, 100, 500), 2_000),
    full=(30_000, 20, 200, 12, 2_000, (20, 100, 500, 2_000), 10_000),
)
data = ck.load("mnist").subset(n)
few = label_counts[0]

# %% [markdown]
# ## 1 · The case it was invented for: a deep net that does not train
#
# Around 2006 a net with many sigmoid layers could hardly be trained at all: the gradient vanishes on its
# way down ([lesson 01](01_vanishing_gradients.ipynb)). Hinton and others (2006) found a way out with stacked
# restricted Boltzmann machines; stacked autoencoders followed (Bengio and others, 2007), and
# **denoising autoencoders** (Vincent and others, 2008). All share one idea: train the layers *one by
# one, without labels*.
#
# One layer of sigmoids sees a damaged copy of its input, with a quarter of the numbers set to 0, and must
# give back the undamaged input through the same weights transposed. The gradient never has to cross more
# than two layers. When that layer is done, its outputs are the inputs of the next one.


# %%
def denoise(x, units, draw):  # one layer of sigmoids, which learns to restore x
    W = draw.normal(0, x.shape[1] ** -0.5, (x.shape[1], units))
    theta = {"W": W, "b": np.zeros(units), "c": np.zeros(x.shape[1])}
    sgd = ck.scratch.optimizers.Momentum(0.1)
    for _ in range(4):  # epochs
        for rows in np.array_split(draw.permutation(len(x)), len(x) // 32):
            damaged = x[rows] * (draw.random((len(rows), x.shape[1])) > 0.25)
            hidden = expit(damaged @ W + theta["b"])
            d_copy = (expit(hidden @ W.T + theta["c"]) - x[rows]) / len(
                rows
            )  # of the cross-entropy
            d_hidden = d_copy @ W * hidden * (1 - hidden)
            d_W = damaged.T @ d_hidden + d_copy.T @ hidden
            sgd.update(theta, {"W": d_W, "b": d_hidden.sum(axis=0), "c": d_copy.sum(axis=0)})
    return [W, theta["b"]]


# %% [markdown]
# **Predict first:** six layers of 64 sigmoids and 3,000 labelled digits. How far does the net get from
# scratch, with its learning rate tuned? How far if its layers begin with the weights of six
# autoencoders? And a net with ReLU and He initialisation that never saw an autoencoder?

# %% tags=["helper"]
from types import SimpleNamespace

digits = data.subset(3_000)
digits = SimpleNamespace(
    x_train=digits.x_train.reshape(-1, 784), y_train=digits.y_train,
    x_valid=data.x_valid[:2_000].reshape(-1, 784), y_valid=data.y_valid[:2_000],
)  # fmt: skip


def deep(activation, initialiser):
    hidden = [layers.Dense(64, activation, kernel_initializer=initialiser) for _ in range(6)]
    model = keras.Sequential([keras.Input((784,)), *hidden, layers.Dense(10, "softmax")])
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class BeginWithStack(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        for layer, weights in zip(self.model.layers, stack, strict=False):
            layer.set_weights(weights)


# %%
stack, x, draw = [], digits.x_train, np.random.default_rng(lab.seed)
for _ in range(6):
    W, b = denoise(x, 64, draw)
    stack.append([W, b])
    x = expit(x @ W + b)

sigmoids, relus = partial(deep, "sigmoid", "glorot_uniform"), partial(deep, "relu", "he_normal")
nets = {"sigmoid": sigmoids, "sigmoid, pretrained": sigmoids, "ReLU and He": relus}
begins = {"sigmoid, pretrained": lambda: [BeginWithStack()]}
start = ck.compare(nets, digits, epochs=6, seeds=lab.pick(quick=2, standard=3, full=5),
                   rates=(0.03, 0.1, 0.3), callbacks=begins)  # fmt: skip

# %% tags=["plot"]
stuck, pretrained, modern = (values.mean() for values in start.last("val_accuracy").values())
said = f"Six layers of sigmoids: {stuck:.0%} from scratch, {pretrained:.0%} after pretraining"
ck.show(start.curves("val_accuracy", title=said))

# %% tags=["claim"]
after_two = start.history["sigmoid, pretrained"]["val_accuracy"][:, 1].min()
flat = max(start.history["sigmoid"]["val_accuracy"].max(axis=1))
lowest = min(start.searched["sigmoid"].values())
ck.prove("From scratch the sigmoids stay at guessing, in every run and epoch, and at every rate",
         flat < 0.2 and lowest > 2.2, f"accuracy at most {flat:.2f}; loss at best {lowest:.2f}, guessing {np.log(10):.2f}")  # fmt: skip
ck.prove("The same net learns after pretraining", pretrained > 0.6, f"accuracy {pretrained:.3f}")
ck.prove("It leads even if the four epochs of its autoencoders are counted too",
         after_two > flat + 0.3, f"after two epochs {after_two:.3f}, from scratch after six {flat:.3f}")  # fmt: skip
ck.prove("ReLU and He learn without pretraining", modern > 0.6, f"accuracy {modern:.3f}")

# %% [markdown]
# **From scratch six layers of sigmoids reach {{ stuck:.1% }}, which is guessing; pretrained, the same net reaches
# {{ pretrained:.1% }}; ReLU with He initialisation reaches {{ modern:.1% }} without any pretraining.** No rate
# helped the first: its lower layers get no gradient. The autoencoders never needed that gradient. They leave each
# layer with weights whose outputs differ from image to image, and then even the small gradient of a
# sigmoid net finds its way. Nor was it a matter of work: count the four epochs of the autoencoders too (each
# trains one layer of six), and the pretrained net after two more still leads the other after six.
#
# The third curve is why you no longer do this. Better activations, initialisation and normalisation (lessons
# [02](02_weight_initialisation.ipynb) to [04](04_batch_normalisation.ipynb)) cured the disease itself. Erhan
# and others (2010) asked what pretraining gave besides a start, and found that it also regularises: the layers have
# been shaped by all images, labelled or not. That second use is the one that has survived.

# %% [markdown]
# ## 2 · Twenty labels: what must pretraining beat?
#
# From here on: {{ n:, }} images without labels, the **pool**, and {{ few }} of them labelled, in proportion to the
# classes. To save time, each image is halved to 14 × 14 pixels. One small convolutional
# net serves all experiments, the **encoder**: three convolutions and a dense layer, whose 64 outputs are the
# **features**. A **head** of ten outputs turns them into classes.


# %%
def halved(images):
    return images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))


def new_encoder():
    same = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
    convolutions = [layers.Conv2D(units, 3, strides=2, **same) for units in (16, 32, 64)]
    features = layers.Dense(64, "relu", kernel_initializer="he_normal")
    image = [keras.Input((14, 14)), layers.Reshape((14, 14, 1))]
    return keras.Sequential([*image, *convolutions, layers.Flatten(), features])


pool, held_out = halved(data.x_train), halved(data.x_valid[:3_000])
tuning = held_out[:1_000], data.y_valid[:1_000]
test = held_out[1_000:], data.y_valid[1_000:3_000]

# %% [markdown]
# Which {{ few }} images are labelled is luck, so every comparison is made on {{ n_draws }} draws, the same for all arms.
# `race` gives every arm the same budget, {{ steps }} steps of Adam with 50 images each (the few are repeated), and the same
# tuning: rates a factor of about three apart (`ck.compare` makes the list longer where the best one stands at its end),
# judged on a draw and on 1,000 images that play no part in the result. The result is read from 2,000 other images. (Who
# really has {{ few }} labels has no 1,000 labelled images to tune on, and must cross-validate; this lesson has them to show
# you what happens.)

# %% tags=["helper"]
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
classifier = keras.Sequential([keras.Input((14, 14)), new_encoder(), layers.Dense(10)])
on_features = keras.Sequential([keras.Input((64,)), layers.Dense(10)])
on_pixels = keras.Sequential([keras.Input((14, 14)), layers.Flatten(), layers.Dense(10)])
for model in (classifier, on_features, on_pixels):
    model.compile(keras.optimizers.Adam(), cross_entropy, metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
draws = range(lab.seed, lab.seed + n_draws)
chosen = {}  # the best rate of each arm, by number of labels


def begin(model, weights=(), head=None, rate=0.001):
    """Put a model and its optimizer back to the start: these weights, and a head of zeros."""
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = rate
    n_in = model.layers[-1].input.shape[-1]
    model.set_weights([*weights, *(head or [np.zeros((n_in, 10)), np.zeros(10)])])
    return model


def labelled(k, draw, judged, copies=False, see=lambda x: x, budget=None):
    """Return k labelled images, repeated for the budget, and the images that judge."""
    part = data.subset(k, draw)
    rows = np.resize(np.arange(k), 50 * (budget or steps))
    x = halved(part.x_train)[rows]
    x = distort(x, np.random.default_rng(draw)) if copies else x
    return SimpleNamespace(
        x_train=see(x), y_train=part.y_train[rows], x_valid=see(judged[0]), y_valid=judged[1]
    )


# %%
def race(arms, k, rates=(0.001, 0.003, 0.01), **how):
    """Tune the rate of every arm, then train it on each draw; return its test accuracies."""
    other = lab.seed - 1  # a draw that plays no part in the result
    tried = ck.compare({name: partial(arm, other) for name, arm in arms.items()},
                       labelled(k, other, tuning, **how), epochs=1, batch_size=50,
                       seeds=1, rates=rates, choose_by="val_accuracy")  # fmt: skip
    chosen.update({(name, k): rate for name, rate in tried.rates.items()})
    tuned = {name: partial(arm, rate=chosen[name, k]) for name, arm in arms.items()}
    runs = ck.sweep(tuned, lambda draw: labelled(k, draw, test, **how), over={"draw": draws},
                    epochs=1, batch_size=50, seeds=1)  # fmt: skip
    return {name: values[0] for name, values in runs.last("val_accuracy").items()}


def pixels_only(draw, rate=0.001):
    return begin(on_pixels, rate=rate)


def scratch(draw, rate=0.001):
    return begin(classifier, new_encoder().get_weights(), rate=rate)


# %% [markdown]
# **Predict first:** {{ few }} labels. How many of ten test images does the net get right, trained from scratch? How
# many does a head get right that looks at the bare pixels, without any hidden layer?

# %%
baseline = race({"from scratch": scratch, "head on pixels": pixels_only}, few)
said = ck.verdict(baseline, better="higher", metric="test accuracy")
ck.show(
    ck.plotting.strips(
        baseline, xlabel=f"test accuracy, {few} labels, each draw a dot", title=said.headline
    )
)

# %% tags=["claim"]
bare, linear = (values.mean() for values in baseline.values())
spread = np.ptp(baseline["from scratch"])
ck.prove(f"With {few} labels the net is at most 5 points better than a head on pixels",
         bare < linear + 0.05, f"{bare:.3f} and {linear:.3f}")  # fmt: skip
ck.prove(
    "Which images are labelled matters", spread > 0.01, f"from draw to draw up to {spread:.3f}"
)

# %% [markdown]
# **With {{ few }} labels the net from scratch reaches {{ bare:.1% }}, a head on the bare pixels {{ linear:.1% }}: hidden
# layers are of no use while nobody can teach them.** And the draws differ by up to {{ 100 * spread:.0f }} percentage
# points, so one lucky draw proves nothing. This is the situation that pretraining is for.

# %% [markdown]
# ## 3 · Labels for free: copy, fill in, turn
#
# A **pretext task** (or auxiliary task) is one whose answer you do not care for, but whose labels cost nothing,
# because they are made from the data. Learning from such labels is **self-supervised**: the method has
# inputs and targets as always, only nobody has labelled anything.
#
# - You want to recognise people, and have one photo of each. But you can collect thousands of photos of strangers, and
#   train a net to say whether *two photos show the same person*: two frames of one video do.
# - You want to sort letters by topic. Take any text, *hide some words*, and let a net guess them: that is BERT (Devlin
#   and others, 2019). Today's generative language models guess the *next* word instead.
#
# For images, three tasks: **copy** (the autoencoder: through 64 features and back), **fill in** (half of the 2 × 2
# patches are hidden) and **turn** (by how many quarters was the image turned?). A task is a function that makes
# inputs and targets from images, anew in each epoch. All tasks get the same encoder, the same first weights, and the
# **same head**: 64 ReLU units, then the outputs.


# %%
def copy(images, draw):
    return images, images


def hide(images, draw, share=0.5):
    """Set a share of the 49 patches to 0; return the images and the mask (True: hidden)."""
    rank = draw.random((len(images), 49)).argsort(axis=1)
    mask = (rank < round(49 * share)).reshape(-1, 7, 7).repeat(2, axis=1).repeat(2, axis=2)
    return np.where(mask, 0, images).astype("float32"), mask


def fill_in(images, draw):
    return hide(images, draw)[0], images


# %%
def turn(images, draw):
    turns = draw.integers(0, 4, len(images))
    turned = [np.rot90(image, k) for image, k in zip(images, turns, strict=True)]
    return np.array(turned), turns


def with_head(outputs, *last):  # the head that every task gets
    keras.utils.set_random_seed(lab.seed)
    hidden = layers.Dense(64, "relu", kernel_initializer="he_normal")
    head = [hidden, layers.Dense(outputs), *last]
    return keras.Sequential([keras.Input((14, 14)), new_encoder(), *head])


def pretrain(model, task, loss, times):
    model.compile(keras.optimizers.Adam(0.002), loss)
    draw = np.random.default_rng(lab.seed)
    for i in range(times):
        ck.fit(model, *task(pool, draw), epochs=1, batch_size=128, verbose=0, seed=i)


# %% [markdown]
# **Predict first:** guessing finds a quarter of the turns. How many will the net find? Which digits are
# hopeless, even for you? And what must a filled-in image beat, to show that something was learned?

# %%
pixels = [layers.Activation("sigmoid"), layers.Reshape((14, 14))]
tasks = {"untrained": with_head(10), "copy": with_head(196, *pixels),
         "fill in": with_head(196, *pixels), "turn": with_head(4)}  # fmt: skip
pretrain(tasks["copy"], copy, "binary_crossentropy", 2 * epochs)
pretrain(tasks["fill in"], fill_in, "binary_crossentropy", 2 * epochs)
pretrain(tasks["turn"], turn, cross_entropy, 2 * epochs)

# %% tags=["plot"]
draw = np.random.default_rng(lab.seed)
x_test, y_test = test
copied = np.array(tasks["copy"](x_test))
seen, mask = hide(x_test, draw)
filled, copier = (np.array(tasks[name](seen)) for name in ("fill in", "copy"))
turned, turns = turn(x_test, draw)
found = np.array(tasks["turn"](turned)).argmax(axis=1) == turns
mean_image = pool.mean(axis=0)
copy_error = np.mean((copied - x_test) ** 2) / np.mean((mean_image - x_test) ** 2)
gap_error, gap_copier = (
    np.mean((guess - x_test)[mask] ** 2) / np.mean((mean_image - x_test)[mask] ** 2)
    for guess in (filled, copier)
)
by_digit = {digit: found[y_test == digit].mean() for digit in range(10)}
shown = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
rows = {
    "original": x_test,
    "copy": copied,
    "hidden": np.where(mask, 0.3, seen),
    "filled in": filled,
    "turned": turned,
}
ck.show(ck.plotting.images(
    [images[i] for images in rows.values() for i in shown],
    [f"{turns[i]} quarter{'' if turns[i] == 1 else 's'}" if name == "turned" else name for name in rows for i in shown],
    title=f"Turns found: {found.mean():.0%}. Error against the mean image's: copies {copy_error:.0%}, gaps {gap_error:.0%}"))  # fmt: skip

# %% tags=["claim"]
ck.prove("The turn is found far above 25%", found.mean() > 0.6, f"{found.mean():.1%}")
ck.prove("The turn is found for every digit, 0, 1 and 8 too", min(by_digit.values()) > 0.4,
         ", ".join(f"{digit}: {share:.0%}" for digit, share in by_digit.items()))  # fmt: skip
ck.prove(
    "Copies have less than half of the mean image's error", copy_error < 0.5, f"{copy_error:.0%}"
)
ck.prove(
    "In the gaps the filled-in images beat the mean image",
    gap_error < 0.8,
    f"{gap_error:.0%} of its error",
)
ck.prove("A net that learned to copy fills gaps worse", gap_copier > gap_error,
         f"{gap_copier:.0%} against {gap_error:.0%}")  # fmt: skip

# %% [markdown]
# **The turn is found for {{ found.mean():.1% }} of the test images; copies have {{ copy_error:.0% }} of the mean image's
# error, and the gaps are filled with {{ gap_error:.0% }} of it.** The yardstick matters: most pixels are white, so that
# even the mean image has a small error, though it knows nothing about the image in question. In the gaps only
# hidden pixels may count, since the others can be copied. And the turn is found even for 0, 1 and 8
# ({{ by_digit[0]:.0% }}, {{ by_digit[1]:.0% }} and {{ by_digit[8]:.0% }}), which look nearly the same upside down: the net
# must use what you hardly see, such as the slant of the writing. **A solved task does not tell by what it was
# solved.**

# %% [markdown]
# ## 4 · Two views of one image: contrastive learning
#
# Now the faces, with digits. You have no two photos of one person, but you can *make* two images of one
# image: turn it a little, zoom it a little, shift it a little, twice, at random. Then ask: **which of the 128 second
# views in this batch comes from the same image as this first one?** The label is free again.
#
# ![An image and two distorted views of it, each going through the same encoder and head, become arrows on a circle. The two arrows of the pair are pulled together, those of other images pushed away; another 7 is pushed away too, a false negative.](../figures/two_views.svg)
#
# The head ends in arrows of length 1. With $s_{ij}$ the scalar product of first view $i$ and second view $j$, the loss is
# a cross-entropy over the batch, called **InfoNCE** (van den Oord and others, 2018):
#
# $$L = -\frac1B \sum_i \log \frac{e^{s_{ii}/\tau}}{\sum_j e^{s_{ij}/\tau}}$$
#
# $\tau$ is the **temperature**. The second view of the same image is the *positive*, all others are *negatives*; a
# negative that shows the same digit is a **false negative**. The gradient pushes each negative away in proportion to its
# softmax probability.
#
# ### Explore: the temperature
#
# **Predict first:** an image of a 7 has five negatives, with (made-up) scalar products: another 7 0.8, a 9 0.6, a 4 0.4,
# a 2 0.1, a 0 −0.3. Make the temperature small: on which of them does the push fall? Do you want that?


# %% tags=["helper"]
from scipy import ndimage
from scipy.special import softmax

NEGATIVES = {"another 7": 0.8, "a 9": 0.6, "a 4": 0.4, "a 2": 0.1, "a 0": -0.3}  # scalar products


def draw_push(temperature):
    push = dict(
        zip(NEGATIVES, softmax(np.array(list(NEGATIVES.values())) / temperature), strict=True)
    )
    return ck.plotting.bars(push, form=".0%", xlabel="share of the push that falls on each negative",
                            title=f"Temperature {temperature:.2g}: {push['another 7']:.0%} of the push falls on the false negative")  # fmt: skip


ck.widgets.explore(draw_push, temperature=(0.02, 2.0, 0.1, "log"))


# %%
def distort(images, draw):
    """Turn by up to 15 degrees, zoom by up to 15%, shift by up to 1.25 pixels, each at random."""
    angle, zoom, down, right = draw.uniform(-1, 1, (4, len(images), 1, 1))
    y, x = np.mgrid[:14, :14] - 6.5  # counted from the middle
    cos, sin = (np.exp(0.15 * zoom) * f(np.deg2rad(15 * angle)) for f in (np.cos, np.sin))
    rows = cos * y - sin * x + 1.25 * down + 6.5
    columns = sin * y + cos * x + 1.25 * right + 6.5
    which = np.broadcast_to(np.arange(len(images))[:, None, None], rows.shape)
    return ndimage.map_coordinates(images, [which, rows, columns], order=1)


def two_views(images, draw):
    views = np.stack([distort(images, draw), distort(images, draw)], axis=1)
    return views, np.zeros(len(images))  # the labels are made within the batch


# %%
def info_nce(temperature):
    def loss(_, arrows):
        first, second = arrows[:, 0], arrows[:, 1]
        logits = keras.ops.matmul(first, keras.ops.transpose(second)) / temperature
        own_number = keras.ops.arange(keras.ops.shape(logits)[0])
        return keras.losses.sparse_categorical_crossentropy(own_number, logits, from_logits=True)

    return loss


def contrastive(temperature):
    """Return an encoder with its head, pretrained on pairs of views."""
    one = with_head(32, layers.UnitNormalization())
    views = keras.Input((2, 14, 14))
    arrows = one(keras.ops.reshape(views, (-1, 14, 14)))
    both = keras.Model(views, keras.ops.reshape(arrows, (-1, 2, 32)))
    pretrain(both, two_views, info_nce(temperature), epochs)
    return one


# %% [markdown]
# The other tasks went through the pool {{ 2 * epochs }} times and this one goes {{ epochs }} times, because it sees two
# views each time.
#
# **Predict first:** when the net picks a wrong partner, how often does the wrong one show the same digit? Chance would
# give one in ten.

# %%
temperatures = lab.pick(
    quick=(0.1, 0.5), standard=(0.1, 0.5, 1.5), full=(0.05, 0.1, 0.2, 0.5, 1.0, 1.5)
)
trained = {temperature: contrastive(temperature) for temperature in temperatures}
tasks["two views"] = trained[0.5]
views, _ = two_views(x_test[:1_920], np.random.default_rng(lab.seed))
first, second = (np.array(trained[0.5](views[:, i])).reshape(15, 128, 32) for i in (0, 1))
picked = (first @ second.swapaxes(1, 2)).argmax(axis=2)
right = picked == np.arange(128)
digit = y_test[:1_920].reshape(15, 128)
same = np.take_along_axis(digit, picked, axis=1) == digit
print(
    f"partner found: {right.mean():.0%}; wrong picks that show the same digit: {same[~right].mean():.0%}"
)

# %% [markdown]
# ### How good are the features?
#
# To read a layer, put a linear head on it and nothing else: a **linear probe** (Alain and Bengio, 2016). This one is ridge
# regression, which has a closed form and chooses its penalty by leaving out one of the few labelled images at a time,
# so that nothing needs tuning. The probe reads the bare pixels, each layer of the encoder, and the hidden layer
# of the head that will be thrown away. Each encoder was pretrained once: the dots show the luck of the labels, not of the
# pretraining.


# %% tags=["helper"]
from sklearn.linear_model import RidgeClassifierCV

LEVELS = ["pixels", "1st convolution", "2nd convolution", "3rd convolution", "features", "head"]


def levels(model, x):
    """Return the pixels and what each layer makes of them, one row an image, rows of mean length 1."""
    found = [x]
    for layer in [*model.layers[0].layers, model.layers[1]]:
        x = np.array(layer(x))
        found += [x] if layer.weights else []
    rows = [each.reshape(len(each), -1) for each in found]
    return [each / (np.linalg.norm(each, axis=1).mean() + 1e-9) for each in rows]


def probe(model, k, draws=draws):
    """Return the test accuracy of a linear head on each level, shape (draws, levels)."""
    read, found = levels(model, x_test), []
    for draw in draws:
        part = data.subset(k, draw)
        given = levels(model, halved(part.x_train))
        heads = [
            RidgeClassifierCV(np.geomspace(0.01, 10, 7)).fit(each, part.y_train) for each in given
        ]
        found.append([head.score(each, y_test) for head, each in zip(heads, read, strict=True)])
    return np.array(found)


# %%
by_temperature = {f"temperature {t}": probe(model, few)[:, 4] for t, model in trained.items()}
said = ck.verdict(by_temperature, better="higher", metric="accuracy")
ck.show(
    ck.plotting.strips(
        by_temperature,
        xlabel=f"test accuracy of a linear head on the features, {few} labels",
        title=said.headline,
    )
)

# %% tags=["claim"]
cold, warm = (by_temperature[f"temperature {t}"].mean() for t in (0.1, 0.5))
push = {t: softmax(np.array(list(NEGATIVES.values())) / t)[0] for t in (0.1, 0.5)}
ck.prove(
    "The partner among 128 is found far above 1 in 128", right.mean() > 0.3, f"{right.mean():.0%}"
)
ck.prove(
    "Most wrong picks show the same digit", same[~right].mean() > 0.5, f"{same[~right].mean():.0%}"
)
ck.prove("Lower temperature, more push on the false negative", push[0.1] > push[0.5] + 0.2,
         f"{push[0.1]:.0%} at 0.1, {push[0.5]:.0%} at 0.5")  # fmt: skip
ck.prove(
    "Features trained at temperature 0.5 are no worse than those at 0.1, but for 5 points",
    warm > cold - 0.05,
    f"{warm:.3f} against {cold:.3f}",
)

# %% [markdown]
# **The partner is found in {{ right.mean():.0% }} of the cases, and {{ same[~right].mean():.0% }} of the wrong picks show the
# same digit: most mistakes are none.** The loss punishes them all the same. That may be why temperature 0.5 gives better
# features here than 0.1 ({{ warm:.1% }} against {{ cold:.1% }}; one training each, so another seed
# may turn it): a low temperature spends nearly all of its push on the nearest negatives, and with ten classes a tenth of
# all negatives are false. Chen and others (2020) found 0.1
# best on ImageNet, where a thousand classes leave one false negative in a thousand, and 0.5 on CIFAR-10, which has
# ten. The textbook's value belongs to the textbook's data.
#
# No other task here is told *what may change without changing what it is*. You put that knowledge in, by choosing the
# distortions. Section 7 asks how much of the gain is due to it.

# %% [markdown]
# ## 5 · Which task teaches best, and which layer knows it?
#
# **Predict first:** rank the four tasks by what a linear head can read from their features. Is the one with
# the best score in its own task the best teacher? And in which layer is that knowledge: low, high, or in the head that
# is thrown away?

# %%
readings = {name: probe(model, few) for name, model in tasks.items()}
beyond = {name: 100 * (found[:, 4] - found[:, 0]) for name, found in readings.items()}
said = ck.verdict(beyond, better="higher", metric="points above bare pixels")
lower = {f"{k:,} labels": probe(tasks["two views"], k, draws[:3]) for k in (few, many)}


# %% tags=["plot"]
def draw_levels(groups, title, xlabel):
    """Draw what each level is worth beyond the bare pixels with the same labelled images."""
    points = {name: 100 * (found - found[:, :1]) for name, found in groups.items()}
    ylabel = "percentage points above bare pixels"
    fig = ck.plotting.lines(points, np.arange(6), title=title, xlabel=xlabel, ylabel=ylabel)
    fig.axes[0].set_xticks(range(6), [name.replace(" ", "\n") for name in LEVELS])
    ck.show(fig)


def near_best(found):
    """Return the levels that are at most 1.5 points below the best one, in words."""
    means = found.mean(axis=0)
    near = [level for level, mean in zip(LEVELS, means, strict=True) if mean > means.max() - 0.015]
    return " or ".join(near).replace(" convolution or", " or")


best_at = {name: near_best(found) for name, found in lower.items()}
draw_levels(readings, f"{few} labels, at the features: {said.headline}", f"level, {n_draws} draws")
high = ["at the top" if found.mean(axis=0).argmax() > 3 else "below it" for found in lower.values()]
draw_levels(
    lower, f"Two views: {few} labels read best {high[0]}, {many} {high[1]}", "level, 3 draws"
)

# %% tags=["claim"]
mean = {name: found.mean(axis=0) for name, found in readings.items()}
two, top = mean["two views"], max(max(found) for name, found in mean.items() if name != "two views")
ck.prove("From the features of two views a linear head reads more than from any layer of any other task",
         two[4] > top + 0.02, f"{two[4]:.3f}, the best other layer {top:.3f}")  # fmt: skip
ck.prove("The features of the turn, solved so well, give less than half of what two views give beyond bare pixels",
         mean["turn"][4] - two[0] < (two[4] - two[0]) / 2,
         f"turn {mean['turn'][4]:.3f}, two views {two[4]:.3f}, pixels {two[0]:.3f}")  # fmt: skip
upper = {k: max(found[4:]) - max(found[1:4]) for k, found in
         ((k, each.mean(axis=0)) for k, each in lower.items())}  # fmt: skip
ck.prove("The upper layers' lead over the convolutions shrinks as labels are added",
         upper[f"{many:,} labels"] < upper[f"{few:,} labels"] - 0.02,
         ", ".join(f"{k}: {each:+.3f}" for k, each in upper.items()))  # fmt: skip

# %% [markdown]
# **From the features of two views a linear head reads {{ two[4]:.1% }} with {{ few }} labels; from those of copying
# {{ mean["copy"][4]:.1% }}, of filling in {{ mean["fill in"][4]:.1% }}, of turning {{ mean["turn"][4]:.1% }}, and from the
# bare pixels {{ two[0]:.1% }}.** The turn had the best score in its own task. But it can be told from cues that do not say
# which digit it is, and the net's dense layers have specialised in these cues (an untrained net also loses with every
# layer, but less at the top); the layers below are still usable ({{ mean["turn"][1]:.1% }} after the first convolution).
# Copying keeps everything, slant and thickness as faithfully as the digit. On photographs turning is a better teacher
# (Gidaris and others, 2018): there you must recognise the animal to know where its feet are. Nothing is wrong with a method
# that fails here; its task asks for something else.
#
# **Which layer to reuse depends on the task and on the labels: with {{ few }} labels two views are read best from the
# {{ best_at[f"{few:,} labels"] }}, with {{ many }} from the {{ best_at[f"{many:,} labels"] }} (all within 1.5 points of the
# best level).** Going up, each layer keeps what the task needs and drops the rest. Few labels profit from what has been
# dropped, many labels could have used it. The layers also differ in size (784, 512, 256, 64 and 64 numbers): more labels
# can use more numbers. In contrastive learning the head is called the **projection head** and is thrown away, because with
# many labels the features below it serve better (Chen and others, 2020). With few labels the same authors later kept a part
# of it (2020b); here the head's hidden layer has {{ two[5]:.1% }}, the features {{ two[4]:.1% }}.

# %% [markdown]
# ## 6 · From scratch, frozen or fine-tuned?
#
# The encoder goes to work, in one of three ways, each with the same {{ steps }} steps and a rate of its own:
#
# - **frozen**: the features are computed once, and only a softmax head is trained on them;
# - **all at once**: everything is trained from the pretrained weights and a head of zeros;
# - **frozen, then tuned**: half of the steps for the head on frozen features, at 0.003, the other half for everything, at
#   the best of rates ten times apart. That is the recipe of [lesson 06](06_transfer_learning.ipynb).
#
# **Predict first:** order the three, and scratch, for {{ few }} labels. Does the order change with {{ many }}?

# %% tags=["helper"]
encoder = tasks["two views"].layers[0]
spread_of_features = float(np.array(encoder(pool[:2_000])).std())


def features(x):
    return np.array(encoder(x)) / spread_of_features


def frozen(draw, rate=0.001):
    return begin(on_features, rate=rate)


def all_at_once(draw, rate=0.001):
    return begin(classifier, ck.transfer.clone(encoder).get_weights(), rate=rate)


def frozen_then_tuned(draw, rate=0.001, k=few):
    """Train a head on the frozen features of this draw; begin with it and the encoder."""
    head = begin(on_features, rate=0.003)
    part = labelled(k, draw, tuning, see=features, budget=steps // 2)
    ck.fit(head, part.x_train, part.y_train, epochs=1, batch_size=50, verbose=0, seed=0)
    kernel, bias = head.get_weights()
    copy = ck.transfer.clone(encoder).get_weights()
    return begin(classifier, copy, [kernel / spread_of_features, bias], rate)


# %%
def ways(k):
    """Race the four ways with k labels; return the test accuracies of each."""
    first = race({"from scratch": scratch, "all at once": all_at_once}, k)
    then = {"frozen, then tuned": partial(frozen_then_tuned, k=k)}
    half = race(then, k, (0.00001, 0.0001, 0.001), budget=steps // 2)
    return first | half | race({"frozen": frozen}, k, see=features)


by_labels = {k: ways(k) for k in label_counts}
said = ck.verdict(by_labels[few], better="higher", metric="test accuracy")
ck.show(
    ck.plotting.strips(by_labels[few], xlabel=f"test accuracy, {few} labels", title=said.headline)
)

# %% tags=["plot"]
against = {
    way: np.stack([by_labels[k][way] for k in label_counts], axis=1) for way in by_labels[few]
}
gain = {
    k: 100 * (arms["frozen"].mean() - arms["from scratch"].mean()) for k, arms in by_labels.items()
}
ck.show(ck.plotting.lines(
    against, label_counts, log="x", xlabel="number of labels", ylabel="test accuracy",
    title=f"Frozen against scratch: {gain[few]:+.0f} points with {few} labels, {gain[many]:+.0f} with {many}"))  # fmt: skip

# %% tags=["claim"]
at_few, at_many = (
    {way: values.mean() for way, values in by_labels[k].items()} for k in (few, many)
)
rate = chosen["frozen, then tuned", few]
tuned_at = f"{rate:g}" if rate > 9e-6 else f"{rate:.0e}: the encoder stays as it is"
ck.prove(f"With {few} labels frozen features beat a net from scratch by more than 10 points", gain[few] > 10,
         f"{at_few['frozen']:.3f} against {at_few['from scratch']:.3f}")  # fmt: skip
ck.prove(f"With {few} labels training all at once loses a part of it", at_few["all at once"] < at_few["frozen"] - 0.02,
         f"{at_few['all at once']:.3f} < {at_few['frozen']:.3f}")  # fmt: skip
ck.prove("Frozen, then tuned keeps more of it", at_few["frozen, then tuned"] > at_few["all at once"],
         f"{at_few['frozen, then tuned']:.3f} > {at_few['all at once']:.3f}")  # fmt: skip
ck.prove(f"The gain over scratch shrinks from {few} to {many} labels", gain[many] < gain[few] / 2,
         f"{gain[few]:+.1f} and {gain[many]:+.1f} points")  # fmt: skip

# %% [markdown]
# **With {{ few }} labels the frozen encoder reaches {{ at_few["frozen"]:.1% }}, scratch {{ at_few["from scratch"]:.1% }}; with
# {{ many }} the gain has shrunk from {{ gain[few]:.0f }} to {{ gain[many]:.0f }} percentage points.** This is where pretraining
# wins: much data, few labels. What the labels can teach by themselves need not come from pretraining.
#
# With {{ few }} labels it matters how you train the encoder: all at once, the same encoder falls to
# {{ at_few["all at once"]:.1% }}, at the best rate that was found. A head of zeros knows nothing at first, its errors go
# down into the encoder, and {{ few }} images cannot repair what they break (Kumar and others, 2022). Frozen, then tuned has
# {{ at_few["frozen, then tuned"]:.1% }}, and the best rate for its second half is {{ tuned_at }}. With {{ many }} labels
# the ways come to {{ at_many["frozen"]:.1% }} (frozen), {{ at_many["frozen, then tuned"]:.1% }} (frozen, then tuned) and
# {{ at_many["all at once"]:.1% }} (all at once; its lowest draw, {{ by_labels[many]["all at once"].min():.0% }}, pulls the
# mean below the median of {{ np.median(by_labels[many]["all at once"]):.1% }}): now the labels have something to say to the
# encoder too.

# %% [markdown]
# ## 7 · How much of it is augmentation?
#
# The winner had help: you told it that a small turn or shift changes nothing. The net from scratch can be told the same:
# train it on distorted copies of its few labelled images (**data augmentation**). A fair comparison gives both
# sides the same knowledge.
#
# **Predict first:** scratch with distorted copies against frozen with distorted copies, {{ few }} labels. How
# much of the lead is left? And what do the copies do for the frozen encoder?

# %%
results = {way: by_labels[few][way] for way in ("from scratch", "frozen")}
results |= race({"scratch + copies": scratch}, few, copies=True)
results |= race({"frozen + copies": frozen}, few, copies=True, see=features)
results |= race({"scratch + copies, 4 × steps": scratch}, few, copies=True, budget=4 * steps)
said = ck.verdict(results, better="higher", metric="test accuracy")
ck.show(ck.plotting.strips(results, xlabel=f"test accuracy, {few} labels", title=said.headline))

# %% tags=["claim"]
level = {name: 100 * values.mean() for name, values in results.items()}
lead = level["frozen"] - level["from scratch"]
left = level["frozen + copies"] - level["scratch + copies"]
gained = level["scratch + copies"] - level["from scratch"]
frozen_gained = level["frozen + copies"] - level["frozen"]
ck.prove("Distorted copies lift the net from scratch", gained > 2, f"by {gained:.1f} points")
ck.prove("With copies for both, the frozen encoder leads by less than 70% of what it did without",
         left < 0.7 * lead, f"{lead:+.1f} points before, {left:+.1f} after")  # fmt: skip
ck.prove("To the frozen encoder copies bring less than to the net from scratch",
         frozen_gained < gained, f"{frozen_gained:+.1f} against {gained:+.1f} points")  # fmt: skip

# %% [markdown]
# **Without copies the pretrained encoder leads by {{ lead:.0f }} percentage points, with copies for both by {{ left:.0f }}:
# {{ 1 - left / lead:.0% }} of its lead was augmentation in disguise.** The frozen encoder gains nearly nothing from the
# copies ({{ frozen_gained:+.1f }} points), because it has already learned to ignore what they vary. And copies never run
# out: with four times the steps, scratch with copies comes to {{ level["scratch + copies, 4 × steps"]:.0f }}%, frozen with
# copies has {{ level["frozen + copies"]:.0f }}%. Had you compared with plain scratch only, you would have praised the pool
# for what you knew yourself: that a digit may be turned and shifted.
#
# What is left of contrastive learning? The encoder has been taught *once*, and serves every later task with a linear head;
# and on photographs, where no list of distortions says as much about the classes, larger nets and millions of images
# keep more of the lead (Chen and others, 2020b). But before you believe a gain, ask what the rival would do with
# the same help.

# %% [markdown]
# ## Optional: a forger and a detective, the GAN
#
# In a **GAN** (generative adversarial net; Goodfellow and others, 2014) a *generator* turns noise into images, and a
# *discriminator* tells them from real ones; each learns from the other. Afterwards the discriminator can be reused
# (Radford and others, 2016): whoever tells real digits from forged ones should know something about digits. Here it is
# your encoder, with the head that all tasks have. **Predict first:** where will its features end up in section 5's ranking?

# %% tags=["helper"]
import tensorflow as tf

detective = with_head(1)
forger = keras.Sequential(
    [
        keras.Input((32,)),
        layers.Dense(128, "relu"),
        layers.Dense(196, "sigmoid"),
        layers.Reshape((14, 14)),
    ]
)
adams = [keras.optimizers.Adam(rate, beta_1=0.5) for rate in (0.0003, 0.0015)]
for adam, player in zip(adams, (detective, forger), strict=True):
    adam.build(player.trainable_variables)
real_or_not = keras.losses.BinaryCrossentropy(from_logits=True)


# %%
@tf.function(autograph=False)
def duel(real, noise):
    with tf.GradientTape(persistent=True) as tape:
        on_real, on_forged = detective(real), detective(forger(noise))
        yes, no = tf.ones_like(on_real), tf.zeros_like(on_real)
        caught = real_or_not(yes, on_real) + real_or_not(no, on_forged)
        fooled = real_or_not(yes, on_forged)  # the forger's wish: to be taken for real
    for adam, player, loss in zip(adams, (detective, forger), (caught, fooled), strict=True):
        variables = player.trainable_variables
        adam.apply(tape.gradient(loss, variables), variables)


# %%
draw = np.random.default_rng(lab.seed)
same_noise, album = draw.normal(size=(10, 32)).astype("float32"), {}
for step in range(gan_steps + 1):
    if step % (gan_steps // 5) == 0:
        album[step] = np.array(forger(same_noise))
    duel(pool[draw.integers(0, n, 64)], draw.normal(size=(64, 32)).astype("float32"))
by_gan = probe(detective, few)

# %% tags=["plot"]
ck.show(ck.plotting.images(
    np.concatenate(list(album.values())), [f"step {step}" for step in album for _ in range(10)],
    title=f"The same ten noises, forged again and again in {gan_steps:,} steps"))  # fmt: skip

# %% tags=["claim"]
gan, last = by_gan.mean(axis=0), list(album.values())[-1]
apart = np.mean((last.mean(axis=0) - mean_image) ** 2) / np.mean(
    (album[0].mean(axis=0) - mean_image) ** 2
)
ck.prove(
    "The forged images' mean has come closer to that of the real ones",
    apart < 0.7,
    f"{apart:.2f} of the first distance",
)
ck.prove(
    "Its features are worth less than those of two views",
    gan[4] < two[4],
    f"{gan[4]:.3f} < {two[4]:.3f}",
)

# %% [markdown]
# **From the detective's features a linear head reads {{ gan[4]:.1% }}, from the bare pixels {{ two[0]:.1% }}, from two
# views {{ two[4]:.1% }}; after {{ gan_steps:, }} steps the forgeries begin to look like digits.** The detective need not
# know which digit it sees, only whether a hand has drawn it, so its features may be worth less than the pixels. Look along
# a row: several noises give nearly the same digit. That is **mode collapse**: the forger repeats what has fooled the
# detective. Larger GANs on photographs gave good features in their time; contrastive and masked learning have overtaken
# them.
#
# ## Pitfalls
#
# - **A baseline with a handicap.** Same architecture, labelled images, steps, tuning, and the same knowledge
#   (augmentation). One lucky draw of {{ few }} images is no evidence.
# - **Judging by the pretext score.** A task may be solved by a cue that you do not need.
# - **Comparing tasks with different heads.** A deep head spares the encoder the last, specialised step. A task
#   whose output sits right on the features looks worse than it is.
# - **Tuning on labels you would not have.** Whoever picks the best of ten methods, or a temperature, on thousands of labelled
#   images has used thousands of labels. With twenty, cross-validate; the splits share their training images, so
#   their spread says too little: if the difference is small, take frozen.
# - **Test images in the pool.** Pretraining on images that you test on is a leak, even without their labels.
# - **Distortions that change the class.** Turned by 180 degrees a 6 is a 9: fine as a question, bad as a distortion that
#   "changes nothing".
#
# ## What to do tomorrow
#
# 1. Look for a pretrained encoder before you train one; pretrain yourself where your data are unlike all others.
# 2. Choose the task by what it must ignore: it should drop what you do not need, and nothing else.
# 3. Few labels: frozen features and a linear head. More labels: head first, then everything at a low rate.
# 4. Probe several layers, not only the last.
# 5. Give the rival your augmentation before you compare.
#
# ## Recap
#
# - Layer-by-layer pretraining made deep sigmoid nets trainable; better activations and initialisation have replaced it.
# - What remains is the case of many images and few labels; the gain shrinks as labels are added.
# - Self-supervised means that inputs *and* targets are made from the data: copy, fill in, turn, pair.
# - A task teaches what it needs and drops the rest, layer by layer; its own score says little.
# - InfoNCE pushes false negatives away too; a higher temperature forgives them, up to a point.
# - Much of contrastive learning's gain can be augmentation, which the rival can have for nothing.
#
# ## Now practise
#
# Open [exercise 07](../exercises/07_pretraining.ipynb): judge reconstructions, make the rotation task and the masked
# patches, put a head on an encoder, and choose between frozen and fine-tuned. Then go on with lesson
# [08 Optimizers](08_optimizers.ipynb).
#
# ## Further reading
#
# - G. E. Hinton, S. Osindero and Y.-W. Teh, *A Fast Learning Algorithm for Deep Belief Nets*, Neural Computation
#   18, 2006: restricted Boltzmann machines, stacked.
# - Y. Bengio and others, *Greedy Layer-Wise Training of Deep Networks*, NIPS 2006 (printed 2007).
# - P. Vincent and others, *Extracting and Composing Robust Features with Denoising Autoencoders*, ICML 2008; *Stacked
#   Denoising Autoencoders*, JMLR 11, 2010: sections 3 and 6.
# - D. Erhan and others, *Why Does Unsupervised Pre-training Help Deep Learning?*, JMLR 11, 2010.
# - A. van den Oord, Y. Li and O. Vinyals, *Representation Learning with Contrastive Predictive Coding*,
#   arXiv:1807.03748, 2018: section 2.3, InfoNCE.
# - T. Chen and others, *A Simple Framework for Contrastive Learning of Visual Representations*, ICML 2020,
#   arXiv:2002.05709: section 4.2, the projection head; section 5.1, the temperature. T. Chen and others, *Big
#   Self-Supervised Models are Strong Semi-Supervised Learners*, NeurIPS 2020 (2020b), arXiv:2006.10029.
# - S. Gidaris, P. Singh and N. Komodakis, *Unsupervised Representation Learning by Predicting Image Rotations*, ICLR
#   2018, arXiv:1803.07728.
# - K. He and others, *Masked Autoencoders Are Scalable Vision Learners*, CVPR 2022, arXiv:2111.06377: sections 3 and 4.1.
# - J. Devlin and others, *BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding*, NAACL
#   2019, arXiv:1810.04805: section 3.1, masked words.
# - I. Goodfellow and others, *Generative Adversarial Nets*, NIPS 2014, arXiv:1406.2661; A. Radford, L. Metz and
#   S. Chintala, *Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks*, ICLR
#   2016, arXiv:1511.06434: section 5.
# - G. Alain and Y. Bengio, *Understanding Intermediate Layers Using Linear Classifier Probes*, 2016, arXiv:1610.01644.
# - A. Kumar and others, *Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution*, ICLR 2022,
#   arXiv:2202.10054.
# - A. Oliver and others, *Realistic Evaluation of Deep Semi-Supervised Learning Algorithms*, NeurIPS 2018,
#   arXiv:1804.09170: section 4, fair baselines.
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, 2022, chapter 11,
#   "Unsupervised Pretraining" and "Pretraining on an Auxiliary Task".
