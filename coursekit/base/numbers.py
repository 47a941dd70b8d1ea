"""Checks of single numbers that a user gives: the number back, or one clear sentence."""

from __future__ import annotations

from typing import Any

from coursekit.errors import ArgumentError


def whole_number(what: str, value: Any, *, least: int) -> int:
    """Return `value` as an int that is at least `least`; a truth value is no number."""
    try:
        number = value.__index__()
    except AttributeError:
        raise TypeError(f"{what} must be a whole number, but is {value!r}") from None
    if isinstance(value, bool) or number < least:
        raise ArgumentError(f"{what} must be a whole number from {least} on, but is {value!r}")
    return number


def drop_rate(what: str, value: Any) -> float:
    """Return `value` as a float in [0, 1)."""
    if isinstance(value, str) or not hasattr(value, "__float__"):
        raise TypeError(f"{what} must be a number in [0, 1), but is {value!r}")
    rate = float(value)
    if not 0 <= rate < 1:
        raise ArgumentError(f"{what} must be a rate in [0, 1), but is {value!r}")
    return rate
