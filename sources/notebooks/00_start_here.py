# %% [markdown]
# # 00 Start here
#
# Deep networks are easy to write down and hard to train. This course takes one chapter's worth of
# knowledge, **training deep neural networks**, and lets you check every claim on your own
# computer: no GPU, no account, and once it is installed, no network.
#
# ## What you will be able to do
#
# After about {{ minutes.reading }} minutes of reading, or {{ minutes.with_code }} minutes with the
# code, you will be able to
#
# - run a lesson, read it, and choose how long it may take;
# - say which data your results come from;
# - train a network, and read the pictures of this course;
# - solve an exercise that checks itself and answers back.
#
# **You need** Python with functions and classes, NumPy arrays, and basic knowledge of neural
# networks: what a layer, a loss and a gradient are, that training follows the gradient downhill, and that
# validation images steer your choices while test images are looked at once. If you have ever trained a
# small network with Keras, you are ready. From lesson 06 on
# some nets have convolutional layers; you need not have used one.

# %% [markdown]
# ## Run a cell
#
# Click into the cell below and press **Shift + Enter**. Every lesson begins like this: the set-up makes
# random numbers repeatable, gives the pictures their look, and says what runs where.

# %%
import coursekit as ck

lab = ck.setup(seed=42)
import keras
import numpy as np

# %% [markdown]
# Run the cells from top to bottom. If you lose track, choose *Kernel → Restart Kernel and Run All
# Cells*: every lesson runs through on its own. Your copies live in the folder `work/`; an update of
# the course never overwrites a file that you changed.
#
# ## How to read a lesson
#
# - **Predict first** asks what you expect. Answer before you run the next cell, aloud or on paper: a
#   surprise is what you will remember.
# - The code that you see is what you should read. Code that only draws, prepares or checks is **folded
#   away** behind three dots; click them if you are curious, skip them if not.
# - A line with ✔ is a **claim**: a sentence about what has just happened, with its numbers. If it is
#   not so on your computer, the cell fails and says why.
# - The sentence in **bold** after an experiment is its finding. The numbers in the text come from the
#   run stored in the notebook; yours may differ a little.
# - Parts marked *optional* can be left out; nothing later needs them.
#
# ## Three profiles: how long may it take?
#
# | profile | for | a lesson computes |
# |---|---|---|
# | `quick` | a first look, old laptops, tests | up to three minutes |
# | `standard` | studying (this is the default) | up to five minutes |
# | `full` | all data, whole training budgets | as long as it takes |
#
# Choose one with `ck.setup(profile="quick")`, or for everything with the environment variable
# `COURSEKIT_PROFILE`. Each lesson asks for its sizes once, where you can see them:

# %%
n, epochs, n_seeds = lab.pick(quick=(2_000, 3, 2), standard=(10_000, 5, 5), full=(55_000, 10, 5))
print(f"profile {lab.profile}: {n:,} training images, {epochs} epochs, {n_seeds} seeds")

# %% [markdown]
# ## Where the data come from
#
# `ck.load` returns images as numbers from 0 to 1 with their labels, split into training, validation and
# test data. It uses the first of these that is there; `data.source` says which:
#
# 1. **official**: the original files, checked byte by byte, downloaded once or put there by you;
# 2. **imported**: the same images from other files, such as a folder of pictures;
# 3. **embedded**: made by the course itself. Handwritten digits from scikit-learn stand in for MNIST and
#    Fashion-MNIST, coloured shapes for CIFAR-10.
#
# Every lesson works with all three. In a terminal, `python3 -m coursekit data list` shows what you have
# and how to get more. What is there on this computer:

# %%
made_here = ("digits", "shapes")
real = [each for each in ck.datasets.status() if each.source != "embedded"]
for each in ck.datasets.status():
    note = "" if each in real or each.name in made_here else "  (a stand-in plays its part)"
    print(f"{each.name:14s} {each.source:9s} {each.images:7,} images{note}")

# %% tags=["plot"]
for name in [each.name for each in real] + list(made_here):
    few = ck.load(name).subset(500)
    first = [int(np.flatnonzero(few.y_train == label)[0]) for label in range(10)]
    ck.show(ck.plotting.images(few.x_train[first], few.class_names,
                               title=f"{name} ({few.source}): one of each class"))  # fmt: skip

# %% [markdown]
# ## From guessing to reading
#
# A net with two hidden layers learns to read digits. **Predict first:** guessing is right one time in
# ten. How often is the net right after a few seconds of training, on images that it has never seen?
#
# `ck.fit` trains a compiled Keras model like `model.fit`, only faster on small nets. The optimizer `nadam` is
# the subject of lesson 08, the starting weights `he_normal` that of lesson 02.

# %%
data = ck.load("mnist").subset(n)


def build():
    layers = [
        keras.Input((28, 28)),
        keras.layers.Flatten(),
        keras.layers.Dense(100, activation="relu", kernel_initializer="he_normal"),
        keras.layers.Dense(100, activation="relu", kernel_initializer="he_normal"),
        keras.layers.Dense(10, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("nadam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


# %%
model = build()
before = model.evaluate(data.x_test, data.y_test, verbose=0)[1]
ck.fit(model, data.x_train, data.y_train, epochs=epochs, verbose=0)
after = model.evaluate(data.x_test, data.y_test, verbose=0)[1]
print(f"right on {len(data.y_test):,} unseen {data.name} images: "
      f"{before:.1%} before training, {after:.1%} after it")  # fmt: skip

# %% tags=["claim"]
ck.prove("The untrained net guesses", before < 0.25, f"{before:.1%} right")
ck.prove("After training it reads most images that it has never seen", after > 0.7,
         f"{after:.1%} right")  # fmt: skip

# %% [markdown]
# **The untrained net is right on {{ before:.0% }} of the images, the trained one on {{ after:.1% }}.** (Random
# weights favour some classes, so guessing is not exactly one in ten.) Your installation works: it has trained a network.
#
# But that was one run. Another **seed**, that is other random starting weights and another order of the
# images, gives another number. So this course repeats what it compares: `ck.compare` trains each variant
# with several seeds, the same for all variants. **Predict first:** how far apart do {{ n_seeds }} seeds
# end? And which is higher after the first epoch, the accuracy on the training images or on the validation
# images?

# %%
runs = ck.compare({"two hidden layers": build}, data, epochs=epochs, seeds=n_seeds)
learned = runs.history["two hidden layers"]


def untrained(seed, x, y):
    keras.utils.set_random_seed(seed)
    return build().evaluate(x, y, verbose=0)[1]


# %% tags=["plot"]
start = {
    "accuracy": [untrained(seed, data.x_train, data.y_train) for seed in runs.seeds],
    "val_accuracy": [untrained(seed, data.x_valid, data.y_valid) for seed in runs.seeds],
}
drawn = {
    name: np.hstack([np.array(start[key])[:, None], learned[key]])
    for name, key in (("training", "accuracy"), ("validation", "val_accuracy"))
}
ck.show(ck.plotting.lines(
    drawn, np.arange(epochs + 1), title="Epoch 0 is guessing; one epoch later the net reads",
    xlabel="epoch", ylabel="share of images read correctly"))  # fmt: skip
last = {name: values[:, -1] for name, values in drawn.items()}
ck.show(ck.plotting.strips(
    last, title=f"{n_seeds} seeds, {n_seeds} results",
    xlabel=f"share of images read correctly (training: mean during epoch {epochs}; validation: after it)"))  # fmt: skip

# %% tags=["claim"]
ends = learned["val_accuracy"][:, -1]
ahead = (learned["val_accuracy"] - learned["accuracy"])[:, 0]
ck.prove("Every seed learns to read", ends.min() > 0.7, f"{ends.min():.1%} to {ends.max():.1%}")
ck.prove("In the first epoch the validation accuracy is the higher one, for every seed",
         (ahead > 0).all(), f"by {100 * ahead.min():.1f} to {100 * ahead.max():.1f} percentage points")  # fmt: skip

# %% [markdown]
# **The {{ n_seeds }} seeds end between {{ ends.min():.1% }} and {{ ends.max():.1% }} on the validation
# images.** A line is the mean of the seeds, with a **band** from the lowest to the highest (here it is hardly
# wider than the line); where results are compared, every run is a marker and the mean a bar. Luck alone moves a single run by
# {{ 100 * np.ptp(ends):.1f }} percentage points, so a difference of that size in *one* run shows nothing. A
# comparison takes the differences seed by seed: only if their mean is clearly not 0 does the course name a winner:
# if 0 lies outside of its 95% confidence interval, the range in which the true mean plausibly lies, judged by how much
# the seeds scatter. Otherwise it says that the methods "cannot be told apart", or are "not separable".
#
# Epoch 0 is the net before training. In epoch 1 validation accuracy is {{ 100 * ahead.mean():.0f }} percentage points
# *above* training accuracy, which looks impossible and is not: the training accuracy is a mean over the whole
# epoch, the first clumsy steps included; the validation images are read at its end.
#
# ## Exercises that answer back
#
# Each lesson from 01 on has an exercise with the same number, and a solution to look at afterwards (the solutions
# appear in your folder once you start with `python3 -m coursekit lab --solutions`). In an
# exercise you replace `...  # your code here` and run the check below it. A check tries what you wrote
# on fresh inputs and says *correct*, *wrong* with the reason, *crashed* with the place, or *not
# attempted*. This is how it looks, with a task solved wrongly on purpose:

# %%
ex = ck.exercise(0)


def accuracy(predicted, labels):
    """Return the share of predicted labels that are right."""
    return np.sum(predicted == labels)


ex.accuracy(accuracy)

# %% [markdown]
# A mistake is the start of a conversation. Ask for a hint, change the function, check again:

# %%
ex.hint("accuracy")


# %%
def accuracy(predicted, labels):
    """Return the share of predicted labels that are right."""
    return np.mean(predicted == labels)


ex.accuracy(accuracy)

# %% [markdown]
# ## The map
#
# | lesson | the question it answers | minutes |
# |---|---|---|
# | 01 [Vanishing and exploding gradients](01_vanishing_gradients.ipynb) | why do deep nets learn so badly? | 50 |
# | 02 [Weight initialisation](02_weight_initialisation.ipynb) | how large should the first weights be? | 55 |
# | 03 [Activation functions](03_activation_functions.ipynb) | which activation function should a unit have? | 55 |
# | 04 [Batch normalisation](04_batch_normalisation.ipynb) | can a net keep its own signals in range? | 60 |
# | 05 [Gradient clipping](05_gradient_clipping.ipynb) | what if a gradient explodes all the same? | 60 |
# | 06 [Transfer learning](06_transfer_learning.ipynb) | what can a net take over from another one? | 50 |
# | 07 [Unsupervised and self-supervised pretraining](07_pretraining.ipynb) | what can you learn without labels? | 55 |
# | 08 [Optimizers](08_optimizers.ipynb) | how far should each step go, and should it remember earlier ones? | 65 |
# | 09 [Learning-rate schedules](09_learning_rate_schedules.ipynb) | why keep the rate the same from first step to last? | 45 |
# | 10 [ℓ1, ℓ2, max-norm and early stopping](10_regularisation.ipynb) | how do you keep a net from learning the noise? | 50 |
# | 11 [Dropout and Monte Carlo dropout](11_dropout.ipynb) | why does it help to switch units off, and how sure is the net? | 55 |
# | 12 [Hyperparameter tuning](12_hyperparameter_tuning.ipynb) | how do you choose what training does not learn? | 45 |
# | 13 [Practical guidelines](13_practical_guidelines.ipynb) | where do you begin with a new task? | 55 |
# | 14 [Review questions](../exercises/14_review_questions.ipynb), an exercise | could you explain it to somebody else? | 60 |
# | 15 [The CIFAR-10 study](../exercises/15_cifar10_study.ipynb), an exercise | what do twenty layers need to learn? | 90 |
#
# The minutes are those with the code; the exercises of lessons 01 to 13 take an hour each, 03 and 09 a little more. The
# [glossary](../docs/glossary.md) has the main terms of the course, with the Korean one and the lesson that
# treats it; [notation](../docs/notation.md) has the symbols.
#
# ## What to do tomorrow
#
# 1. Do lesson 01 and its exercise on the same day: what you have written yourself stays.
# 2. Write your prediction down before you run an experiment.
# 3. On a slow computer, start with `COURSEKIT_PROFILE=quick`.
#
# ## Recap
#
# - `ck.setup` comes first and says what runs where; Keras is imported after it.
# - The profile decides how long a lesson computes: `quick`, `standard` or `full`.
# - `data.source` says whether images are official, imported or embedded.
# - A line with ✔ is a claim with its numbers; where it does not hold, the cell fails.
# - A band or a group of markers shows the seeds; a winner is named only where the seeds separate it.
# - A check tells you what is right or wrong in what you wrote; a hint is one call away.

# %% [markdown]
# ## Now practise
#
# Go on with lesson [01 Vanishing and exploding gradients](01_vanishing_gradients.ipynb), then its
# [exercise](../exercises/01_vanishing_gradients.ipynb).

# %% [markdown]
# ## Further reading
#
# - A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow*, 3rd edition, O'Reilly 2022,
#   chapter 11, "Training Deep Neural Networks".
# - I. Goodfellow, Y. Bengio and A. Courville, *Deep Learning*, MIT Press 2016, chapters 7 and 8.
# - Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, *Gradient-Based Learning Applied to Document
#   Recognition*, Proceedings of the IEEE 86(11), 1998: MNIST.
# - A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009: CIFAR-10.
