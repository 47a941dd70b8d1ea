"""Checks of single numbers that a user gives: the number back, or one clear sentence."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

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


def number(name: str, value: Any, low: float, high: float = math.inf, *, ends: str = "[)") -> float:
    """Return `value` as a float that lies in the interval.

    `ends` is "[]", "[)", "(]" or "()": whether each end belongs to the interval.

    >>> number("rate", 0, low=0, high=1)
    0.0
    >>> number("rate", 1.0, low=0, high=1)
    Traceback (most recent call last):
    coursekit.errors.ArgumentError: rate: expected a number in [0, 1), got 1.0.

    Raises TypeError for what is no real number, ArgumentError for one outside the interval.
    """
    expected = f"{name}: expected a number in {ends[0]}{low:g}, {high:g}{ends[1]}, got {value!r}."
    if isinstance(value, str | bytes | bool | np.bool_):
        raise TypeError(expected)
    try:
        real = float(value)
    except (TypeError, ValueError):
        raise TypeError(expected) from None
    above = real >= low if ends[0] == "[" else real > low
    below = real <= high if ends[1] == "]" else real < high
    if not (above and below):
        raise ArgumentError(expected)
    return real
