# %% [markdown]
# # 00 Start here
#
# Deep networks are easy to write down and hard to train. This course takes one chapter's worth of
# knowledge, **training deep neural networks**, and lets you see every claim happen on your own
# computer: no GPU, no account, and once it is installed, no network.
#
# ## What you will be able to do
#
# In about 15 minutes you will be able to
#
# - run a lesson, and choose how long it may take;
# - say which data your results come from;
# - solve an exercise that answers back;
# - prove that your installation trains a network.

# %% [markdown]
# ## Run a cell
#
# Click into the cell below and press **Shift + Enter**. Every lesson begins with these two lines:
# they make random numbers repeatable, set the look of the pictures, and say what runs where.

# %%
import coursekit as ck

lab = ck.setup(seed=42)

import keras
import matplotlib.pyplot as plt
import numpy as np

# %% [markdown]
# Run the cells from top to bottom. If you lose track, choose *Kernel → Restart Kernel and Run All
# Cells*: every lesson runs through on its own. Your copies live in the folder `work/`; an update of
# the course never overwrites a file that you changed.
#
# ## Three profiles: how long may it take?
#
# | profile | for | a lesson takes |
# |---|---|---|
# | `quick` | a first look, old laptops, tests | up to a minute |
# | `standard` | studying (this is the default) | up to five minutes |
# | `full` | all data, whole training budgets | as long as it takes |
#
# Choose one with `ck.setup(profile="quick")`, or for everything with the environment variable
# `COURSEKIT_PROFILE`. Each lesson asks for its sizes once, where you can see them:

# %%
n, epochs = lab.pick(quick=(2_000, 3), standard=(10_000, 5), full=(55_000, 10))
print(f"profile {lab.profile}: {n:,} training images, {epochs} epochs")

# %% [markdown]
# ## Where the data come from
#
# `ck.load` returns images as numbers in [0, 1] with their labels, split into training, validation and
# test data. It looks for the data in this order and tells you which it used:
#
# 1. **official**: the original files, checked byte by byte, downloaded once or imported by you;
# 2. **imported**: the same images from other files, such as a folder of pictures;
# 3. **embedded**: made by the course itself, when there is no network. Handwritten digits
#    from scikit-learn stand in for MNIST and Fashion-MNIST, coloured shapes for CIFAR-10.
#
# Every lesson works with all three. In a terminal, `python3 -m coursekit data list` shows what you have.

# %%
names = ["mnist", "fashion_mnist", "cifar10", "digits", "shapes"]
sets = {name: ck.load(name) for name in names}

# %%
print(f"{'data set':14s} {'source':10s} {'training':>9s} {'validation':>11s} {'test':>7s}   image")
for name, data in sets.items():
    sizes = [len(labels) for labels in (data.y_train, data.y_valid, data.y_test)]
    shape = " × ".join(str(side) for side in data.subset(1).x_train.shape[1:])
    print(f"{name:14s} {data.source:10s} {sizes[0]:9,} {sizes[1]:11,} {sizes[2]:7,}   {shape}")

# %% tags=["claim"]
for name, data in sets.items():
    few = data.subset(100)
    low, high = few.x_train.min(), few.x_train.max()
    assert 0 <= low < high <= 1, f"{name}: expected images in [0, 1], got [{low}, {high}]"
    assert len(few.x_train) == len(few.y_train) == 100, f"{name}: expected 100 images and labels"
    assert set(np.unique(data.y_train)) == set(range(10)), f"{name}: expected the labels 0 to 9"

# %% [markdown]
# One image of each of the ten classes, from each data set:

# %%
for name, data in sets.items():
    few = data.subset(500)
    first = [int(np.flatnonzero(few.y_train == label)[0]) for label in range(10)]
    fig = ck.plotting.image_grid(
        few.x_train[first], data.class_names, title=f"{name} ({data.source})"
    )
    ck.show(fig, alt=f"One {name} image of each class: {', '.join(data.class_names)}.")
del sets

# %% [markdown]
# ## Train a first network
#
# This proves your installation. A net with two hidden layers learns to read digits. **Predict
# first:** guessing is right one time in ten. How often will the net be right after a few seconds of
# training, on images that it has never seen?

# %%
data = ck.load("mnist").subset(n)
model = keras.Sequential(
    [
        keras.Input((28, 28)),
        keras.layers.Flatten(),
        keras.layers.Dense(100, activation="relu", kernel_initializer="he_normal"),
        keras.layers.Dense(100, activation="relu", kernel_initializer="he_normal"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile("nadam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(
    data.x_train, data.y_train, epochs=epochs, verbose=0,
    validation_data=(data.x_valid, data.y_valid),
).history  # fmt: skip

# %%
accuracy = model.evaluate(data.x_test, data.y_test, verbose=0)[1]
print(f"right on {accuracy:.1%} of {len(data.y_test):,} unseen {data.name} images ({data.source})")

# %%
fig, ax = plt.subplots(figsize=(7.5, 3))
ax.plot(range(1, epochs + 1), history["accuracy"], "o-", label="training")
ax.plot(range(1, epochs + 1), history["val_accuracy"], "s--", label="validation")
ax.axhline(0.1, color=ck.plotting.COLORS[6], linestyle=":", label="guessing")
ax.set(
    xlabel="epoch",
    ylabel="share of images read correctly",
    ylim=(0, 1.02),
    xticks=range(1, epochs + 1),
    title="A few epochs lift a net from guessing to reading",
)
ax.legend()
ck.show(
    fig,
    alt="Training and validation accuracy against epoch, both far above the dotted line of guessing.",
)

# %% tags=["claim"]
assert accuracy > 0.7, f"expected at least 70% on unseen images, measured {accuracy:.1%}"

# %% [markdown]
# The cell above is a **claim**: an `assert` that fails if what the lesson says is not what happened
# on your machine. Every experiment in this course ends in one. `python3 -m coursekit run` runs all
# lessons and lists the claims that were proved.
#
# ## Exercises that answer back
#
# Each lesson has an exercise with the same number, and a solution to look at afterwards (the solutions
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
# | 01 [Vanishing and exploding gradients](01_vanishing_gradients.ipynb) | why do deep nets learn so badly? | 35 |
# | 02 [Weight initialisation](02_weight_initialisation.ipynb) | how large should the first weights be? | 35 |
# | 03 [Activation functions](03_activation_functions.ipynb) | which bend should a unit have? | 40 |
# | 04 [Batch normalisation](04_batch_normalisation.ipynb) | can a net keep its own signals in range? | 40 |
# | 05 [Gradient clipping](05_gradient_clipping.ipynb) | what if a gradient explodes all the same? | 35 |
# | 06 [Transfer learning](06_transfer_learning.ipynb) | what can a net take over from another one? | 40 |
# | 07 [Unsupervised and self-supervised pretraining](07_pretraining.ipynb) | what can you learn without labels? | 40 |
# | 08 [Optimizers](08_optimizers.ipynb) | how far to go, and what to remember of the last steps? | 40 |
# | 09 [Learning-rate schedules](09_learning_rate_schedules.ipynb) | why keep the rate the same from first step to last? | 45 |
# | 10 [ℓ1, ℓ2, max-norm and early stopping](10_regularisation.ipynb) | how do you keep a net from learning the noise? | 40 |
# | 11 [Dropout and Monte Carlo dropout](11_dropout.ipynb) | why does it help to switch units off, and how sure is the net? | 40 |
# | 12 [Hyperparameter tuning](12_hyperparameter_tuning.ipynb) | how do you choose what training does not learn? | 40 |
# | 13 [Practical guidelines](13_practical_guidelines.ipynb) | where do you begin with a new task? | 40 |
# | 14 [Review questions](../exercises/14_review_questions.ipynb), an exercise | could you explain it to somebody else? | 60 |
# | 15 [The CIFAR-10 study](../exercises/15_cifar10_study.ipynb), an exercise | what do twenty layers need to learn? | 90 |
#
# An exercise takes an hour or a little more. The [glossary](../docs/glossary.md) has every term of the
# course, with the Korean one and the lesson that treats it.

# %% [markdown]
# ## Recap
#
# - `ck.setup` comes first and says what runs where; Keras is imported after it.
# - The profile decides how long a lesson takes: `quick`, `standard` or `full`.
# - `data.source` says whether images are official, imported or embedded.
# - A claim is an assertion: if the cell runs, what the lesson says is what happened here.
# - A check answers what you wrote; a hint is one call away.

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
