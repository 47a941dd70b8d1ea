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


def pruned_by_threshold(kernel, share):
    if share == 0:
        return kernel.copy()
    limit = np.sort(np.abs(kernel).ravel())[round(share * kernel.size) - 1]
    return np.where(np.abs(kernel) <= limit, 0, kernel)


def pruned_by_rank(kernel, share):
    rank = np.abs(kernel).ravel().argsort().argsort().reshape(kernel.shape)
    return kernel * (rank >= round(share * kernel.size))


def pruned_in_place(kernel, share):
    kernel[:] = pruned_by_threshold(kernel, share)
    return kernel


def pruned_by_quantile(kernel, share):
    return np.where(np.abs(kernel) <= np.quantile(np.abs(kernel), share), 0, kernel)


# The wrong options of every question are presented by the tests.
ANSWERS = {
    "purpose": {
        "right": ["c", "C", ["c"]],
        "wrong": [("ce", "exactly one letter"), ("f", "the options are a, b, c, d, e")],
    },
    "spreads": {
        "right": [SPREADS, {"Glorot": np.float32(0.0632), "He": 0.0707, "LeCun": 1 / 20}],
        "wrong": [
            (SPREADS | {"LeCun": 0.3}, "'LeCun', 0.3, is not right"),
            (SPREADS | {"LeCun": 0.0506}, "'LeCun', 0.0506, is not right"),
            (SPREADS | {"LeCun": ...}, "'LeCun' still holds"),
            ({"Glorot": 0.0632}, "'He' is gone"),
        ],
    },
    "same_value": {"right": ["d", "D"], "wrong": [("", "holds no letter")]},
    "different_units": {
        "right": [different_by_pairs, different_by_set],
        "wrong": [(lambda kernel: different_by_set(kernel) + 1, "you give 4.")],
    },
    "zero_biases": {"right": ["d", " d "], "wrong": [("cd", "exactly one letter")]},
    "activations": {
        "right": [
            ACTIVATIONS,
            {key: value.upper() for key, value in ACTIVATIONS.items()} | {"waiting": "relu"},
        ],
        "wrong": [
            (ACTIVATIONS | {"deep": "gelu"}, "deep: expected one of relu"),
            (ACTIVATIONS | {"angle": ...}, "'angle' still holds"),
        ],
    },
    "momentum_near_one": {
        "right": ["bd", "d, b", ("b", "d")],
        "wrong": [("b", "something is missing"), ("abd", "you see hardly any of it")],
    },
    "roll": {
        "right": [rolled, rolled_as_list],
        "wrong": [(lambda *case: 0 * rolled(*case), "at index 0 you give 0")],
    },
    "sparse_ways": {
        "right": ["ace", {"a", "c", "e"}],
        "wrong": [("ac", "something is missing"), ("abc", "ℓ2 shrinks large weights most")],
    },
    "prune": {
        "right": [pruned_by_threshold, pruned_by_rank],
        "wrong": [
            (pruned_in_place, "in place"),
            (pruned_by_quantile, "you give"),
            (lambda kernel, share: kernel, "you give"),
            (lambda kernel, share: pruned_by_rank(kernel, share).ravel(), "has shape (200,)"),
        ],
    },
    "dropout_costs": {
        "right": [COSTS, {key: value.upper() for key, value in COSTS.items()}],
        "wrong": [(COSTS | {"inference": "d"}, "inference: expected one of a, b, c")],
    },
}
