"""The one check of notebook 00: it shows what a check is, and how it answers."""

from __future__ import annotations

import numpy as np

from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.function import function

TASKS = TaskList(0, "Start here")


def accuracy(predicted, labels):
    """Return the share of predicted labels that are right."""
    return float(np.mean(predicted == labels))


function(
    TASKS, accuracy, title="Accuracy",
    cases=[tuple(rng(f"accuracy {n}").integers(0, classes, (2, n)))
           for n, classes in ((10, 2), (50, 3), (1000, 10), (2, 2))],
    hints=(
        "Comparing the two arrays with `==` gives True where they agree.",
        "True counts as 1 and False as 0: what is the mean of such an array?",
    ),
    mistakes={
        "This is the number of right labels, not their share: it grows with the data.":
            lambda predicted, labels: np.sum(predicted == labels),
        "This is the share of wrong labels.":
            lambda predicted, labels: np.mean(predicted != labels),
        "This is the share in percent; a share lies between 0 and 1.":
            lambda predicted, labels: 100 * np.mean(predicted == labels),
        "You compare how often label 1 comes up; compare the labels one by one.":
            lambda predicted, labels: 1 - abs(np.mean(predicted == 1) - np.mean(labels == 1)),
    },
)  # fmt: skip
