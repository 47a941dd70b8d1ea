"""The labels of logarithmic axes: the places themselves, where they are few."""

from __future__ import annotations

import pytest

from coursekit.display import pictures
from coursekit.display.ticks import plain


def labels_of(fig):
    fig.canvas.draw()
    return [label.get_text() for label in fig.axes[0].get_xticklabels()]


LABELS = {"title": "T", "xlabel": "x", "ylabel": "y"}


@pytest.mark.parametrize("places", [[0.03, 0.1, 0.3, 0.5, 0.7], [1, 2, 8, 32], [2, 5, 20]], ids=str)
@pytest.mark.parametrize("log", ["", "x"])
def test_a_few_places_on_an_axis_are_its_labels(places, log):
    if places[0] == 1 and not log:
        places = places[1:]  # 1 and 2 would touch
    fig = pictures.lines({"a": list(range(len(places)))}, places, log=log, **LABELS)
    assert labels_of(fig) == [plain(place) for place in places]


@pytest.mark.parametrize(
    "places", [[0.1, 0.11, 1.0], list(range(1, 20)), [1e-9, 1.0]], ids=["near", "many", "powers"]
)
def test_places_that_would_crowd_the_axis_are_not(places):
    fig = pictures.lines({"a": list(range(len(places)))}, places, log="x", **LABELS)
    assert labels_of(fig) != [plain(place) for place in places]
