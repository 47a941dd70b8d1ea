"""The options of exercise 14, why the wrong ones are wrong, and a model answer to each question.

Source of the questions: A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras, and
TensorFlow*, 3rd edition, 2022, chapter 11, exercises 1 to 7.
"""

from __future__ import annotations

PURPOSE = {
    "a": "Nothing keeps activations positive: half of a layer's sums are negative at the start, "
    "and ReLU makes zeros of them. The sign is not what these initialisations are about.",
    "b": "No formula knows where the weights will end; only the data tell. It sets their "
    "variance, from nothing but the sizes of the layer.",
    "c": None,
    "d": "Overfitting is a matter of what a net learns later. The first weights do not "
    "prevent it; regularisation does.",
    "e": "Any random numbers make the units different, whatever their variance. That is why "
    "weights are random at all, not why their variance is chosen so carefully.",
}

SAME_VALUE = {
    "a": "The variance formula assumes *independent* random weights. With one value for all, a "
    "layer's units all compute the same sum.",
    "b": "All units see the same batches, in whatever order. They get the same gradient from each.",
    "c": "The gradients are not zero: the loss does fall, as far as one unit per layer can make "
    "it fall. Look at what the gradients of two units have in common.",
    "d": None,
}

ZERO_BIASES = {
    "a": "The units differ by their random weights already; the biases need not make them differ.",
    "b": "With bias 0 a ReLU unit's sum is positive for about half of the samples, as its weights "
    "have both signs. It is not dead.",
    "c": "Batch normalisation removes a bias that comes before it, true, but nets without it "
    "train well from zero biases as well.",
    "d": None,
}

MOMENTUM = {
    "a": "The full speed needs about 1/(1 − β) steps to build up. In the first thousand steps you "
    "see hardly any of it.",
    "b": None,
    "c": "It remembers more, but old gradients point to where the net was long ago. It converges "
    "later, if at all.",
    "d": None,
    "e": "The weights do not stand still. There is almost no friction: what rolls goes on rolling.",
}

SPARSE = {
    "a": None,
    "b": "ℓ2 shrinks large weights most and small ones hardly: they come close to 0 and do not "
    "get there.",
    "c": None,
    "d": "Dropout switches *outputs* off, for one step. The weights are all there afterwards.",
    "e": None,
    "f": "Max-norm shortens the weight vector of a unit as a whole. None of its weights becomes 0.",
    "g": "In float16 every weight takes half the memory, and every weight is still there.",
}

_NO_CHANGE = "A net without dropout would do the same; something about it is different here."
_PER_SAMPLE = "One pass per batch is all that is needed here, whatever the number of samples."
DROPOUT = {
    "training": {
        "a": f"{_NO_CHANGE} Each step trains a thinned net on a noisier gradient.",
        "b": None,
        "c": f"{_PER_SAMPLE} Each step draws a single mask.",
    },
    "inference": {
        "a": None,
        "b": "At inference dropout is the identity: no unit is dropped. What would there be to do?",
        "c": f"{_PER_SAMPLE} Nothing is random at inference.",
    },
    "Monte Carlo": {
        "a": "Its prediction is a mean over many random ones. Where should they come from?",
        "b": "Training is over, and nothing is trained again. Think of what one prediction takes.",
        "c": None,
    },
}

_UNFIT = {
    "softmax": "makes the units of a layer compete for a sum of 1: it is made for outputs.",
    "linear": "has no bend, and any number of linear layers is one linear layer.",
    "sigmoid": "saturates on both sides and its slope is at most 0.25: gradients vanish.",
    "tanh": "saturates on both sides: where it does, hardly any gradient comes through.",
    "softplus": "is never near 0 for the mean of its outputs, and takes an exp and a log.",
}
_DRIFT = "holds neither mean nor standard deviation of the layers; over sixty layers they drift."
_EXP = "takes an exponential, which may cost time; a slope below 0 keeps units alive without one."
_HIDDEN: dict[str, dict[str, str | None]] = {
    "shallow": {
        "relu": None,
        "leaky_relu": "works too, but in a shallow net few units die, so its slope cures nothing "
        "here. There is a simpler default.",
        "selu": "has its advantage in deep plain stacks; a shallow net does not need it.",
        "swish": "shows its advantage in deeper nets; a shallow one can have it simpler.",
    },
    "deep": {
        "relu": "works, but a smooth function that lets a little of the negative side through "
        "usually does better in a deep net.",
        "leaky_relu": "is the choice where every microsecond counts; you can afford better.",
        "selu": "normalises itself, which is idle where batch normalisation does it.",
        "swish": None,
    },
    "plain": {"relu": _DRIFT, "leaky_relu": _DRIFT, "selu": None, "swish": _DRIFT},
    "fast": {
        "relu": "is fast, but its flat side is what the units die on.",
        "leaky_relu": None,
        "selu": _EXP,
        "swish": _EXP,
    },
}
_RANGE = {
    "relu": "from 0 up",
    "leaky_relu": "of both signs, without bounds",
    "selu": "from −1.76 up",
    "swish": "from −0.28 up",
    "sigmoid": "between 0 and 1",
    "tanh": "between −1 and 1",
    "softmax": "between 0 and 1 that sum to 1 over the units",
    "softplus": "above 0",
    "linear": "of both signs, without bounds",
}
_OUTPUTS = {
    "classes": ("ten probabilities that sum to 1", "softmax"),
    "spam": ("one probability for a single unit", "sigmoid"),
    "angle": ("any value from −1 to 1, no other", "tanh"),
    "degrees": ("any number, of either sign", "linear"),
    "waiting": ("a number of at least 0", "softplus relu"),
}
ACTIVATIONS = {
    case: {name: reason and f"{name} {reason}" for name, reason in (own | _UNFIT).items()}
    for case, own in _HIDDEN.items()
} | {
    case: {
        name: None if name in right.split() else f"{name} gives values {range_}; wanted: {needed}."
        for name, range_ in _RANGE.items()
    }
    for case, (needed, right) in _OUTPUTS.items()
}

ANSWERS = {
    "purpose": "Glorot and He choose the variance of the first weights from the layer's fan-in "
    "and fan-out, so that outputs vary as much as inputs, and gradients as much on the way back. "
    "Otherwise every layer multiplies the signal by about the same factor, and after twenty or "
    "thirty of them it has vanished or exploded. Glorot's 1/fan_avg suits tanh and softmax; He's "
    "2/fan_in makes up for the half that ReLU cuts away.",
    "same_value": "No: two units with equal weights compute the same output and get the same "
    "gradient, so they stay equal, and a layer of 100 units is worth one. Only random weights "
    "break this symmetry. He's formula says how widely they must vary; one number drawn from it "
    "does not vary at all.",
    "zero_biases": "Yes: the random weights have broken the symmetry, so that units whose biases "
    "are all 0 still get different gradients. A bias of 0 adds nothing to the signal, which keeps "
    "the reasoning of Glorot and He true. Small random biases do no harm; there is just nothing "
    "that they would mend.",
    "activations": "In hidden layers ReLU is the simple default, Swish usually serves a deep net "
    "better, leaky ReLU is as fast as it gets without dead units, and SELU normalises itself in "
    "deep plain stacks. At the output the range decides: softmax for one of several classes, "
    "sigmoid for a probability, tanh from −1 to 1, softplus or ReLU for what is never negative, "
    "none for any number. Among the hidden ones the differences are small: compare on validation "
    "data.",
    "momentum_near_one": "With β = 0.99999 hardly any speed is lost: on a long even slope the "
    "steps would grow to 1/(1 − β), 100,000 times a plain one. So the ball rolls past the "
    "minimum, comes back, rolls past it again, and does so for a very long time. To gather speed "
    "takes about 1/(1 − β) steps as well, so that the first steps are no faster than with a "
    "common β.",
    "sparse_ways": "A strong ℓ1 penalty drives weights to 0 while the net trains; pruning sets "
    "the smallest to 0 afterwards; a tool that prunes step by step lets the net recover in "
    "between. ℓ2 and max-norm make weights small, not 0, and dropout switches outputs off, not "
    "weights. Zeros save memory and time only where the software or the chip makes use of them.",
    "dropout_costs": "Training takes more epochs, often about twice as many, since each step "
    "trains a thinned net on a noisier gradient; a single step costs about the same. At inference "
    "dropout does nothing and costs nothing. Monte Carlo dropout predicts once for each sample, a "
    "hundred samples a hundred times, except for the layers before the first dropout, which need "
    "to be computed only once.",
}
