"""The moving picture: every walker is where its path says, at every moment, and nothing runs."""

from __future__ import annotations

import base64
import io
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.image import imread

from coursekit.display.moving import moving_svg, show_moving
from coursekit.errors import ArgumentError

PATH = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 1.0], [0.0, 4.0]])


@pytest.fixture
def panel():
    fig, ax = plt.subplots(figsize=(4, 3), layout="none")
    ax.set(position=(0.25, 0.25, 0.5, 0.5), xlim=(0, 4), ylim=(0, 4))
    yield fig, ax
    plt.close(fig)


def moves(svg, tag):
    """Return what an animation's values are in turn, as lists of numbers."""
    (found,) = [e for e in ET.fromstring(svg).iter() if e.tag.endswith("}" + tag)]
    return [[float(v) for v in each.split(",")] for each in found.get("values").split(";")]


def test_a_dot_is_at_each_position_in_turn_and_waits_at_the_last(panel):
    fig, ax = panel
    path = np.repeat(PATH, 3, axis=0)
    seen = moves(moving_svg(fig, [(ax, path, "#0072B2")]), "animateTransform")
    # The panel lies from 72 to 216 points across and, from the top, from 162 up to 54.
    expected = [[72 + 36 * x, 162 - 27 * y] for x, y in path]
    np.testing.assert_allclose(seen, [*expected, expected[-1], expected[-1]], atol=0.06)


def test_a_trail_is_as_long_as_the_way_walked(panel):
    fig, ax = panel
    legs = [3 * 36, 27, np.hypot(3 * 36, 3 * 27)]
    share = np.r_[0, np.cumsum(legs) / sum(legs), 1]
    seen = moves(moving_svg(fig, [(ax, PATH, "#0072B2")]), "animate")
    np.testing.assert_allclose(np.ravel(seen), 1000 * (1 - share), atol=0.6)


def test_a_walker_that_leaves_the_panel_is_held_outside_it_and_clipped(panel):
    fig, ax = panel
    svg = moving_svg(fig, [(ax, np.array([[2.0, 2.0], [1e6, -1e6]]), "#0072B2")])
    assert moves(svg, "animateTransform")[-1] == [225, 171]
    assert '<clipPath id="c0"><rect x="72.0" y="54.0" width="144.0" height="108.0"/>' in svg


def test_a_walker_that_stands_still_is_drawn(panel):
    fig, ax = panel
    svg = moving_svg(fig, [(ax, np.ones((3, 2)), "#0072B2"), (ax, np.ones((1, 2)), "#D55E00")])
    assert "nan" not in svg
    ET.fromstring(svg)


def test_it_is_xml_without_a_script_that_heeds_reduced_motion_and_repeats(panel):
    fig, ax = panel
    walkers = [(ax, PATH, "#0072B2"), (ax, PATH[::-1], "#D55E00")]
    svg = moving_svg(fig, walkers)
    root = ET.fromstring(svg)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "script" not in tags
    assert "prefers-reduced-motion" in svg
    assert svg.count("<circle") == 4  # a moving one and a still one for each
    assert moving_svg(fig, walkers) == svg


def test_the_figure_keeps_its_resolution_and_limits(panel):
    fig, ax = panel
    before = fig.dpi
    moving_svg(fig, [(ax, PATH, "#0072B2")])
    assert fig.dpi == before
    assert ax.get_xlim() == (0, 4)


@pytest.mark.parametrize("dpi", [60, 80, 100])
def test_the_ground_is_as_sharp_as_it_is_shown_whatever_the_notebooks_resolution(dpi):
    fig, ax = plt.subplots(figsize=(4, 3), dpi=dpi)
    svg = moving_svg(fig, [(ax, PATH, "#0072B2")])
    plt.close(fig)
    root = ET.fromstring(svg)
    assert (root.get("width"), root.get("height")) == ("400", "300")
    data = svg.split("data:image/png;base64,")[1].split('"')[0]
    ground = imread(io.BytesIO(base64.b64decode(data)), format="png")
    assert ground.shape[:2] == (600, 800)


def test_it_is_shown_with_a_still_and_alternative_text(panel, monkeypatch, tmp_path):
    fig, ax = panel
    shown = []
    monkeypatch.setattr("IPython.get_ipython", lambda: object())
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: shown.append((a[0], k)))
    show_moving(fig, [(ax, PATH, "#D55E00")], alt='Two "dots" walk.')
    ((data, options),) = shown
    assert data["text/html"].startswith('<img alt="Two &quot;dots&quot; walk." src="data:image/svg')
    assert options["metadata"]["image/png"]["alt"] == 'Two "dots" walk.'
    (tmp_path / "still.png").write_bytes(data["image/png"])
    still = imread(tmp_path / "still.png")[..., :3]
    assert still.shape[:2] == (225, 300)  # small: 75 dots an inch
    orange = np.abs(still - np.array([0xD5, 0x5E, 0x00]) / 255).max(axis=-1) < 0.05
    assert orange.sum() > 50  # the trail is there
    assert not plt.fignum_exists(fig.number)


@pytest.mark.parametrize(
    ("walkers", "message"),
    [
        ([], "walkers: expected at least one"),
        ([np.ones(3)], r"expected finite positions of shape \(n, 2\), got shape \(3,\)"),
        ([np.array([[0.0, np.nan]])], "expected finite positions"),
        ([np.ones((0, 2))], "expected finite positions"),
    ],
)
def test_bad_walkers_are_refused(panel, walkers, message):
    fig, ax = panel
    with pytest.raises(ArgumentError, match=message):
        moving_svg(fig, [(ax, path, "k") for path in walkers])


def test_a_missing_alternative_text_is_refused(panel):
    fig, ax = panel
    with pytest.raises(ArgumentError, match="alt: expected a sentence"):
        show_moving(fig, [(ax, PATH, "k")], alt=" ")
