"""Checks of single numbers that a user gives: the number back, or one clear sentence."""

from __future__ import annotations

import operator
from typing import Any

from coursekit.errors import ArgumentError


def whole_number(name: str, value: Any, *, least: int) -> int:
    """Return `value` as an int that is at least `least`.

    Whatever Python counts with is a whole number (int, NumPy's integers), but no truth value.

    >>> whole_number("epochs", 3, least=1)
    3

    Raises TypeError for what is no whole number, ArgumentError for one that is too small.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"{name}: expected a whole number from {least} up, got {value!r}.")
    if number < least:
        raise ArgumentError(f"{name}: expected a whole number from {least} up, got {number}.")
    return number


def drop_rate(name: str, value: Any) -> float:
    """Return `value` as a float in [0, 1).

    >>> drop_rate("rate", 0.5)
    0.5

    Raises TypeError for what is no number, ArgumentError for one outside [0, 1).
    """
    if isinstance(value, str | bool) or not hasattr(value, "__float__"):
        raise TypeError(f"{name}: expected a number in [0, 1), got {value!r}.")
    rate = float(value)
    if not 0 <= rate < 1:
        raise ArgumentError(f"{name}: expected a number in [0, 1), got {value!r}.")
    return rate
