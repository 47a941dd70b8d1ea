"""The drawings of the lessons: their words fit, in the widest of the usual fonts."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations
from typing import NamedTuple

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from coursekit.base.environment import ROOT

FIGURES = sorted((ROOT / "sources" / "figures").glob("*.svg"))
INHERITED = ("font-size", "font-weight", "text-anchor")


class Words(NamedTuple):
    text: str
    left: float
    right: float
    line: float
    size: float


def words_of(element, settings=None):
    """Return every text of a drawing with its place, set in DejaVu Sans, what Linux has."""
    settings = (settings or {}) | {k: element.get(k) for k in INHERITED if element.get(k)}
    found = [each for child in element for each in words_of(child, settings)]
    text = "".join(element.itertext()).strip()
    if not element.tag.endswith("}text") or element.get("transform") or not text:
        return found
    size = float(settings.get("font-size", 16))
    font = FontProperties(family="DejaVu Sans", weight=settings.get("font-weight", "normal"))
    width = TextPath((0, 0), text, size=size, prop=font).get_extents().width
    x, anchor = float(element.get("x")), settings.get("text-anchor")
    left = x - {"middle": width / 2, "end": width}.get(anchor, 0)
    return [*found, Words(text, left, left + width, float(element.get("y")), size)]


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_words_stay_inside_the_drawing_and_off_each_other(path):
    root = ET.parse(path).getroot()
    width = float(root.get("viewBox").split()[2])
    words = words_of(root)
    assert words
    outside = [each.text for each in words if each.left < 0 or each.right > width]
    assert not outside
    touching = [
        (one.text, other.text)
        for one, other in combinations(words, 2)
        if abs(one.line - other.line) < 0.7 * min(one.size, other.size)
        and one.left < other.right
        and other.left < one.right
    ]
    assert not touching


def test_words_that_leave_the_drawing_are_found():
    root = ET.fromstring(
        '<svg xmlns="http://www.w3.org/2000/svg" font-size="20"><text x="5" y="9" '
        'text-anchor="middle">wide</text><text x="5" y="40">wide</text></svg>'
    )
    middle, start = words_of(root)
    assert middle.left < 0 <= start.left
    assert start.right - start.left == pytest.approx(middle.right - middle.left)
