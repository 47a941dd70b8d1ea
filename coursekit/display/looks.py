"""One look for each variant of a lesson, whatever picture it appears in."""

from __future__ import annotations

from typing import Any

# Okabe and Ito, *Color Universal Design* (2008): told apart with any common colour blindness.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
LINESTYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

_places: dict[str, int] = {}


def place_of(variant: str) -> int:
    """Return the number under which a variant is drawn: that of its first picture.

    >>> forget()
    >>> place_of("He"), place_of("Xavier"), place_of("He")
    (0, 1, 0)
    """
    return _places.setdefault(variant, len(_places))


def forget() -> None:
    """Begin anew, as at the start of a notebook."""
    _places.clear()


def color_of(variant: str) -> str:
    """Return a variant's colour."""
    return COLORS[place_of(variant) % len(COLORS)]


def look_of(variant: str) -> dict[str, Any]:
    """Return a variant's colour, dash and marker as matplotlib's keywords for a line."""
    i = place_of(variant)
    return {
        "color": COLORS[i % len(COLORS)],
        "linestyle": LINESTYLES[i % len(LINESTYLES)],
        # a ninth variant has the first one's colour again: its marker is another one
        "marker": MARKERS[(i + i // len(MARKERS)) % len(MARKERS)],
    }
