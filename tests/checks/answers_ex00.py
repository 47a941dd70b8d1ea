"""Right and wrong answers to the sample check of notebook 00."""

from __future__ import annotations

import numpy as np


def in_a_loop(predicted, labels):
    right = 0
    for p, label in zip(predicted, labels, strict=True):
        right += p == label
    return right / len(labels)


def overwrites(predicted, labels):
    predicted -= labels
    return np.mean(predicted == 0)


ANSWERS = {
    "accuracy": {
        "right": [in_a_loop, lambda predicted, labels: np.mean(predicted == labels)],
        "wrong": [
            (lambda predicted, labels: np.mean(labels == 1), ": you give "),
            (lambda predicted, labels: predicted == labels, "holds True and False"),
            (overwrites, "changes its argument `predicted` in place"),
        ],
    }
}
