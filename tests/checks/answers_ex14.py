"""Right and wrong answers to exercise 14, the review questions."""

from __future__ import annotations

import numpy as np

SPREADS = {"Glorot": 0.0632456, "He": 0.0707107, "LeCun": 0.05}
ACTIVATIONS = {
    "shallow": "relu",
    "deep": "swish",
    "plain": "selu",
    "fast": "leaky_relu",
    "classes": "softmax",
    "spam": "sigmoid",
    "angle": "tanh",
    "degrees": "linear",
    "waiting": "softplus",
}
COSTS = {"training": "b", "inference": "a", "Monte Carlo": "c"}


def different_by_pairs(kernel):
    found = []
    for column in np.asarray(kernel).T:
        if not any(np.allclose(column, other, rtol=0, atol=1e-6) for other in found):
            found.append(column)
    return len(found)


def different_by_set(kernel):
    return len({tuple(column) for column in np.round(kernel, 5).T.tolist()})


def rolled(beta, learning_rate, steps):
    path, velocity = np.ones(steps + 1), 0.0
    for t in range(steps):
        velocity = beta * velocity - learning_rate * path[t]
        path[t + 1] = path[t] + velocity
    return path


def rolled_as_list(beta, learning_rate, steps):
    path, before = [1.0], 1.0  # x_new = x + β (x − x_before) − η x, without a velocity
    for _ in range(steps):
        now = path[-1]
        path.append(now + beta * (now - before) - learning_rate * now)
        before = now
    return path


def rolled_by_old_velocity(beta, learning_rate, steps):
    x, m, path = 1.0, 0.0, [1.0]
    for _ in range(steps):
        x, m = x + m, beta * m - learning_rate * x
        path.append(x)
    return path


def climbing(beta, learning_rate, steps):
    x, m, path = 1.0, 0.0, [1.0]
    for _ in range(steps):
        m = beta * m + learning_rate * x
        x += m
        path.append(x)
    return path


def like_adam(beta, learning_rate, steps):
    x, m, path = 1.0, 0.0, [1.0]
    for _ in range(steps):
        m = beta * m - learning_rate * (1 - beta) * x
        x += m
        path.append(x)
    return path


def pruned_by_threshold(kernel, share):
    if share == 0:
        return kernel.copy()
    limit = np.sort(np.abs(kernel).ravel())[round(share * kernel.size) - 1]
    return np.where(np.abs(kernel) <= limit, 0, kernel)


def pruned_by_rank(kernel, share):
    rank = np.abs(kernel).ravel().argsort().argsort().reshape(kernel.shape)
    return kernel * (rank >= round(share * kernel.size))


def pruned_from_below(kernel, share):
    out = kernel.ravel().copy()
    out[np.argsort(out)[: round(share * out.size)]] = 0
    return out.reshape(kernel.shape)


def pruned_in_place(kernel, share):
    kernel[:] = pruned_by_threshold(kernel, share)
    return kernel


ANSWERS = {
    "purpose": {
        "right": ["c", "C", ["c"]],
        "wrong": [
            ("a", "Nothing keeps activations positive"),
            ("b", "No formula knows where the weights will end"),
            ("d", "regularisation does"),
            ("e", "Any random numbers make the units different"),
            ("ce", "exactly one letter"),
            ("f", "the options are a, b, c, d, e"),
        ],
    },
    "spreads": {
        "right": [
            SPREADS,
            {"Glorot": np.float32(0.0632), "He": 0.0707, "LeCun": 1 / 20},
        ],
        "wrong": [
            (SPREADS | {"Glorot": 2 / 500}, "'Glorot' is the variance"),
            (SPREADS | {"Glorot": 500**-0.5}, "'Glorot' divides by the sum"),
            (SPREADS | {"He": (2 / 100) ** 0.5}, "'He' looks at the outputs"),
            (SPREADS | {"He": (6 / 400) ** 0.5}, "'He' is the limit of the uniform distribution"),
            (SPREADS | {"He": 0.05}, "'He' is off by the factor 2"),
            (SPREADS | {"LeCun": 2**0.5 / 20}, "'LeCun' is off by the factor 2"),
            (SPREADS | {"LeCun": 0.3}, "'LeCun', 0.3, is not right"),
            (SPREADS | {"LeCun": ...}, "'LeCun' still holds"),
            ({"Glorot": 0.0632}, "'He' is gone"),
        ],
    },
    "same_value": {
        "right": ["d", "D"],
        "wrong": [
            ("a", "assumes *independent* random weights"),
            ("b", "same batches, in whatever order"),
            ("c", "The gradients are not zero"),
        ],
    },
    "different_units": {
        "right": [different_by_pairs, different_by_set],
        "wrong": [
            (lambda kernel: len(np.unique(np.round(kernel, 6), axis=0)), "different rows"),
            (lambda kernel: len(np.unique(np.round(kernel, 6))), "different numbers"),
            (lambda kernel: kernel.shape[1], "the equal ones too"),
            (lambda kernel: len({tuple(c) for c in kernel.T.tolist()}), "are rounding"),
            (lambda kernel: len(set(np.round(kernel[0], 6).tolist())), "the first weight"),
        ],
    },
    "zero_biases": {
        "right": ["d", " d "],
        "wrong": [
            ("a", "differ by their random weights already"),
            ("b", "It is not dead"),
            ("c", "nets without it train well"),
        ],
    },
    "activations": {
        "right": [
            ACTIVATIONS,
            {key: value.upper() for key, value in ACTIVATIONS.items()} | {"waiting": "relu"},
        ],
        "wrong": [
            (ACTIVATIONS | {"shallow": "sigmoid"}, "shallow: sigmoid: it saturates"),
            (ACTIVATIONS | {"deep": "selu"}, "deep: selu: batch normalisation destroys"),
            (ACTIVATIONS | {"plain": "relu"}, "plain: relu: nothing here holds"),
            (ACTIVATIONS | {"fast": "relu"}, "fast: relu: it is fast, but its flat side"),
            (ACTIVATIONS | {"fast": "linear"}, "one linear layer"),
            (ACTIVATIONS | {"classes": "sigmoid"}, "wanted: ten probabilities that sum to 1"),
            (ACTIVATIONS | {"spam": "softmax"}, "wanted: one probability for a single unit"),
            (ACTIVATIONS | {"angle": "sigmoid"}, "between 0 and 1; wanted: any value from −1"),
            (ACTIVATIONS | {"degrees": "relu"}, "relu gives values from 0 up"),
            (ACTIVATIONS | {"waiting": "tanh"}, "wanted: a number of at least 0"),
            (ACTIVATIONS | {"deep": "gelu"}, "deep: expected one of relu"),
            (ACTIVATIONS | {"angle": ...}, "'angle' still holds"),
        ],
    },
    "momentum_near_one": {
        "right": ["bd", "d, b", ("b", "d")],
        "wrong": [
            ("abd", "you see hardly any of it"),
            ("bcd", "converges later, if at all"),
            ("bde", "almost no friction"),
            ("b", "something is missing"),
        ],
    },
    "roll": {
        "right": [rolled, rolled_as_list],
        "wrong": [
            (rolled_by_old_velocity, "old velocity"),
            (climbing, "The ball climbs"),
            (like_adam, "multiplied by 1 − β"),
            (lambda *case: rolled(*case)[1:], "The start must be the first"),
            (lambda beta, rate, steps: rolled(beta, rate, max(0, steps - 1)), "is a position too"),
            (lambda beta, rate, steps: 0 * rolled(beta, rate, steps), "is not right"),
        ],
    },
    "sparse_ways": {
        "right": ["ace", {"a", "c", "e"}],
        "wrong": [
            ("abc", "ℓ2 shrinks large weights most"),
            ("acd", "Dropout switches *outputs* off"),
            ("acf", "None of its weights becomes 0"),
            ("acg", "every weight is still there"),
            ("ac", "something is missing"),
        ],
    },
    "prune": {
        "right": [pruned_by_threshold, pruned_by_rank],
        "wrong": [
            (pruned_from_below, "nearest to 0"),
            (lambda kernel, share: pruned_by_threshold(kernel, 1 - share), "the share that should"),
            (lambda kernel, share: kernel - pruned_by_threshold(kernel, 1 - share), "the largest"),
            (lambda kernel, share: np.where(np.abs(kernel) < share, 0, kernel), "as a threshold"),
            (pruned_in_place, "in place"),
            (lambda kernel, share: kernel, "is not right"),
        ],
    },
    "dropout_costs": {
        "right": [COSTS, {key: value.upper() for key, value in COSTS.items()}],
        "wrong": [
            (COSTS | {"training": "a"}, "training: A net without dropout"),
            (COSTS | {"training": "c"}, "Each step draws a single mask"),
            (COSTS | {"inference": "b"}, "dropout is the identity"),
            (COSTS | {"inference": "c"}, "Nothing is random at inference"),
            (COSTS | {"Monte Carlo": "a"}, "Where should they come from"),
            (COSTS | {"Monte Carlo": "b"}, "nothing is trained again"),
        ],
    },
}
