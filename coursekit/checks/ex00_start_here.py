"""The one check of notebook 00: it shows what a check is, and how it answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.kit.compare import agree, rng

TASKS = TaskList(0, "Start here")


@TASKS.task(
    "Accuracy",
    hints=(
        "Comparing the two arrays with `==` gives True where they agree.",
        "True counts as 1 and False as 0: what is the mean of such an array?",
    ),
)
def accuracy(answer: Any) -> None:
    """The share of predicted labels that are right, as a function (predicted, labels)."""
    draw = rng("accuracy")
    cases = [
        (draw.integers(0, classes, n), draw.integers(0, classes, n))
        for n, classes in ((1, 2), (10, 2), (50, 3), (1000, 10))
    ]
    agree(
        answer,
        lambda predicted, labels: float(np.mean(predicted == labels)),
        cases,
        mistakes={
            "This is the number of right labels, not their share: it grows with the data.": (
                lambda predicted, labels: float(np.sum(predicted == labels))
            ),
            "This is the share of wrong labels.": (
                lambda predicted, labels: float(np.mean(predicted != labels))
            ),
            "This is the share in percent; a share lies between 0 and 1.": (
                lambda predicted, labels: float(100 * np.mean(predicted == labels))
            ),
        },
    )
