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

    Names that differ only in case are one variant.

    >>> forget()
    >>> place_of("He"), place_of("Xavier"), place_of("He"), place_of("he")
    (0, 1, 0, 0)
    """
    return _places.setdefault(variant.casefold(), len(_places))


def forget() -> None:
    """Begin anew, as at the start of a notebook."""
    _places.clear()


def color_of(variant: str) -> str:
    """Return a variant's colour: the same in every picture of a notebook.

    >>> forget()
    >>> color_of("He"), color_of("Xavier"), color_of("He")
    ('#0072B2', '#D55E00', '#0072B2')
    """
    return COLORS[place_of(variant) % len(COLORS)]


def look_of(variant: str, *, marker: bool = True) -> dict[str, Any]:
    """Return a variant's colour, dash and marker as keywords for matplotlib's `plot`.

    The variant has the same look in every picture of a notebook, those of `lines` and `strips` too.
    `marker=False` is for a smooth curve of many points.

    >>> forget()
    >>> look_of("He")
    {'color': '#0072B2', 'linestyle': '-', 'marker': 'o'}
    >>> look_of("Xavier", marker=False)
    {'color': '#D55E00', 'linestyle': '--'}
    """
    i = place_of(variant)
    look = {"color": COLORS[i % len(COLORS)], "linestyle": LINESTYLES[i % len(LINESTYLES)]}
    if marker:
        # a ninth variant has the first one's colour again: its marker is another one
        look["marker"] = MARKERS[(i + i // len(MARKERS)) % len(MARKERS)]
    return look
