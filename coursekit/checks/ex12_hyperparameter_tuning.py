"""Checks of exercise 12: hyperparameter tuning.

Samples are judged in `_ex12_samples`, searches in `_ex12_searches` and `_ex12_honest`.
"""

from __future__ import annotations

from typing import Any

from coursekit.checks import _ex12_samples as samples
from coursekit.checks import _ex12_searches as searches
from coursekit.checks._ex12_honest import check_honest_search
from coursekit.checks.engine.tasks import TaskList

TASKS = TaskList(12, "Hyperparameter tuning")


@TASKS.task(
    "A log-uniform sampler",
    hints=(
        "Do not draw the value, draw its exponent: that one is uniform.",
        "Between which two numbers does the exponent lie? Take a logarithm of both ends.",
        "`rng.uniform(a, b, n)` draws the exponents; the power of the same base turns them into "
        "values: `np.exp` for `np.log`, `10 **` for `np.log10`.",
    ),
)
def log_uniform(answer: Any) -> None:
    """The samples as a function (low, high, n, rng)."""
    samples.check_log_uniform(answer)


@TASKS.task(
    "A sampler of whole numbers",
    hints=(
        "A generator has a method for whole numbers. Which of the ends does it include?",
        "`rng.integers` leaves the upper end out, unless `endpoint=True` tells it otherwise.",
    ),
)
def whole_numbers(answer: Any) -> None:
    """The samples as a function (low, high, n, rng)."""
    samples.check_whole_numbers(answer)


@TASKS.task(
    "From coarse to fine",
    hints=(
        "A loop over the stages. In each: note the range, draw n values, call `loss` once each.",
        "Keep pairs (loss, value) of the stage; sorted, the best n // 4 come first. Their smallest "
        "and largest value are the next `low` and `high`.",
        "Keep the pairs of all stages too: the best of all is the pair with the lowest loss.",
    ),
)
def coarse_to_fine(answer: Any) -> None:
    """(best value, ranges) as a function (loss, low, high, stages, n, rng)."""
    searches.check_coarse_to_fine(answer)


@TASKS.task(
    "Successive halving",
    hints=(
        "A loop `while` more than one configuration is left; before it a budget and a counter.",
        "In the loop: train all that are left with the budget, add up the epochs, sort by the "
        "losses, keep the first `max(1, len(left) // eta)`, multiply the budget.",
        "`np.argsort(losses)` gives the places from the lowest loss to the highest; configurations "
        "themselves may be dicts, which cannot be sorted.",
    ),
)
def successive_halving(answer: Any) -> None:
    """(winner, epochs) as a function (train, configurations, first, eta)."""
    searches.check_successive_halving(answer)


@TASKS.task(
    "A search that never chooses by the test data",
    hints=(
        "Three parts of data, three uses: train on one, choose by another, report on the last.",
        "Keep the model with the best validation score while you go through the configurations; "
        "after the loop score it, and only it, on the test data.",
    ),
)
def honest_search(answer: Any) -> None:
    """(configuration, validation score, test score) as a function (fit, configurations, data)."""
    check_honest_search(answer)
