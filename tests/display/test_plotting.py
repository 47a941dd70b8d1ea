"""Pictures: opaque, small, with alternative text, and told apart without colour."""

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from coursekit.display import plotting
from coursekit.errors import ArgumentError


@pytest.fixture(autouse=True)
def course_style():
    with mpl.rc_context():
        plotting.style()
        yield
        plt.close("all")


def curves():
    fig, ax = plt.subplots()
    for i in range(6):
        ax.plot(np.arange(20), np.sin(np.arange(20) / (i + 1)))
    return fig


def test_curves_differ_in_dash_as_well_as_colour():
    lines = curves().axes[0].lines
    assert len({line.get_color() for line in lines}) == 6
    assert len({str(line._unscaled_dash_pattern) for line in lines}) == 6


def test_the_png_is_opaque_white_and_smaller_than_matplotlibs_own():
    fig = curves()
    own = io.BytesIO()
    fig.savefig(own, format="png")
    png = plotting.to_png(fig)
    with Image.open(io.BytesIO(png)) as image:
        assert "transparency" not in image.info
        assert image.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)
    assert len(png) < len(own.getvalue())


@pytest.mark.parametrize(("dpi", "width"), [(None, 375), (100, 750)])
def test_the_png_has_the_resolution_that_is_asked_for(dpi, width):
    fig = plt.figure(figsize=(7.5, 3.8), dpi=50)
    with Image.open(io.BytesIO(plotting.to_png(fig, dpi=dpi))) as image:
        assert image.width == width


def test_show_displays_the_picture_with_its_alternative_text_and_closes_it(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.get_ipython", lambda: object())
    monkeypatch.setattr(
        "IPython.display.display", lambda bundle, **options: shown.append((bundle, options))
    )
    fig = curves()
    plotting.show(fig, alt="Six waves.")
    ((bundle, options),) = shown
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert options["metadata"] == {"image/png": {"alt": "Six waves."}}
    assert not plt.fignum_exists(fig.number)


def test_a_picture_without_alternative_text_is_refused():
    with pytest.raises(ArgumentError, match="alt: expected"):
        plotting.show(curves(), alt=" ")


def test_band_draws_mean_and_range_of_the_runs():
    _, ax = plt.subplots()
    plotting.band(ax, [0, 1], [[1.0, 2.0], [3.0, 6.0]], "runs")
    assert ax.lines[0].get_ydata().tolist() == [2.0, 4.0]
    y = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (y.min(), y.max()) == (1.0, 6.0)


def test_band_has_the_look_of_its_name_or_of_its_place():
    _, ax = plt.subplots()
    plotting.look_of("first")
    plotting.band(ax, [0, 1], np.ones((2, 2)), "runs")
    plotting.band(ax, [0, 1], np.ones((2, 2)), "third", 2)
    by_name, by_place = (line.get_color() for line in ax.lines)
    assert (by_name, by_place) == (plotting.color_of("runs"), plotting.COLORS[2])
    assert by_name == plotting.COLORS[1]


@pytest.mark.parametrize(("x", "whole"), [(range(1, 5), True), ([1.0, 2.0, 3.0, 4.0], False)])
def test_band_over_epochs_has_whole_numbers_as_ticks(x, whole):
    _, ax = plt.subplots()
    plotting.band(ax, x, np.ones((2, 4)), "runs")
    assert all(float(tick).is_integer() for tick in ax.get_xticks()) == whole


def test_band_keeps_the_ticks_of_a_log_axis_and_those_that_are_given():
    _, (log, given) = plt.subplots(1, 2)
    log.set_xscale("log")
    given.set_xticks([1, 3])
    for ax in (log, given):
        plotting.band(ax, range(1, 5), np.ones((2, 4)), "runs")
    assert 0.1 in np.round(log.get_xticks(), 3)
    assert given.get_xticks().tolist() == [1, 3]


@pytest.mark.parametrize("shape", [(7, 28, 28), (3, 32, 32, 3), (1, 8, 8)])
def test_there_is_room_for_every_image(shape):
    fig = plotting.images(np.zeros(shape), ["x"] * shape[0], columns=4, title="Samples")
    assert sum(bool(ax.images) for ax in fig.axes) == shape[0]
