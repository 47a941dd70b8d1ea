"""The plain pictures: named axes, looks that stay, legends beside the data, alternative text."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from coursekit.display import looks, pictures, plotting
from coursekit.errors import ArgumentError

LABELS = {"title": "He ends lowest", "xlabel": "epoch", "ylabel": "loss"}


@pytest.fixture(autouse=True)
def course_style():
    with plt.rc_context():
        plotting.style()
        yield
    plt.close("all")


def line_of(fig, name):
    return next(line for line in fig.axes[0].get_lines() if line.get_label() == name)


def test_a_variant_keeps_its_look_in_every_picture_of_a_notebook():
    first = pictures.lines({"He": [3, 2], "Xavier": [3, 1]}, **LABELS)
    second = pictures.lines({"Xavier": [1, 2], "new": [5, 5]}, **LABELS)
    for what in ("get_color", "get_marker", "get_linestyle"):
        looked = [getattr(line_of(fig, "Xavier"), what)() for fig in (first, second)]
        assert looked[0] == looked[1]
        assert looked[0] != getattr(line_of(second, "new"), what)()


def test_the_first_sixteen_variants_differ_in_colour_or_marker():
    seen = {(look["color"], look["marker"]) for look in map(looks.look_of, "abcdefghijklmnop")}
    assert len(seen) == 16


def test_a_new_notebook_begins_with_the_first_colour():
    looks.look_of("He")
    plotting.style()
    assert looks.look_of("Xavier")["color"] == looks.COLORS[0]


def test_names_that_differ_in_case_share_one_look():
    assert plotting.look_of("relu") == plotting.look_of("ReLU") != plotting.look_of("SELU")


def test_a_lessons_own_drawing_has_the_look_of_the_plain_pictures():
    fig = pictures.lines({"He": [3, 2], "Xavier": [3, 1]}, **LABELS)
    _, ax = plt.subplots()
    (own,) = ax.plot([1, 2], [3, 1], **plotting.look_of("Xavier"))
    for what in ("get_color", "get_marker", "get_linestyle"):
        assert getattr(own, what)() == getattr(line_of(fig, "Xavier"), what)()
    assert own.get_color() == plotting.color_of("Xavier")
    (smooth,) = ax.plot([1, 2], [3, 1], **plotting.look_of("Xavier", marker=False))
    assert (smooth.get_color(), smooth.get_marker()) == (own.get_color(), "None")


def test_title_and_axes_are_named():
    ax = pictures.lines({"He": [3, 2]}, **LABELS).axes[0]
    assert (ax.figure.get_suptitle(), ax.get_xlabel(), ax.get_ylabel()) == tuple(LABELS.values())


def test_several_runs_are_their_mean_in_a_band_from_lowest_to_highest():
    fig = pictures.lines({"He": [[1, 2, 3], [3, 4, 8]]}, **LABELS)
    np.testing.assert_allclose(line_of(fig, "He").get_ydata(), [2, 3, 5.5])
    (band,) = fig.axes[0].collections
    path = band.get_paths()[0].vertices
    assert {tuple(point) for point in path} >= {(1, 1), (1, 3), (3, 3), (3, 8)}


def test_the_mean_is_that_of_the_runs_that_are_left_and_a_cross_marks_the_lost_one():
    fig = pictures.lines({"He": [[1.0, 2.0, 4.0], [3.0, np.nan, np.nan]]}, **LABELS)
    np.testing.assert_allclose(line_of(fig, "He").get_ydata(), [2, 2, 4])
    crosses = [line for line in fig.axes[0].get_lines() if line.get_marker() == "x"]
    assert [(c.get_xdata()[0], c.get_ydata()[0]) for c in crosses] == [(1, 3.0)]
    assert "1 of 2 runs diverged" in pictures.alt_of(fig)


def crosses_of(fig):
    return [line for line in fig.axes[0].get_lines() if line.get_marker() == "x"]


def pixel(cross):
    return cross.get_transform().transform(cross.get_xydata())[0]


def test_a_run_without_any_value_has_its_cross_at_the_first_place():
    nan = np.nan
    fig = pictures.lines({"3": [[9.0, 2.0], [7.0, 2.0], [nan, nan]], "30": [nan, nan]}, **LABELS)
    fig.canvas.draw()
    beside, alone = crosses_of(fig)
    assert (beside.get_xdata()[0], beside.get_ydata()[0]) == (1, 8.0)  # the mean of the others
    assert pixel(alone)[1] == pytest.approx(fig.axes[0].bbox.y1)
    assert "1 of 3 runs diverged; 30 diverged at once" in pictures.alt_of(fig)


@pytest.mark.parametrize("runs", [2, 9])
def test_crosses_at_one_place_stand_side_by_side(runs):
    lost = [[2.0, np.nan]] * runs
    fig = pictures.lines({"a": lost, "b": [*lost, [2.0, 1.0]]}, **LABELS)
    fig.canvas.draw()
    x = np.array([pixel(cross)[0] for cross in crosses_of(fig)])
    assert len(x) == 2 * runs
    assert (np.diff(x) > 2).all()
    assert np.ptp(x) < 60
    assert x.mean() == pytest.approx(fig.axes[0].transData.transform((1, 2))[0])


@pytest.mark.parametrize(("edge", "height"), [("top", "y1"), ("bottom", "y0")])
def test_where_each_place_is_a_training_of_its_own_the_lost_ones_stand_at_the_worse_edge(
    edge, height
):
    groups = {"a": [[0.5, 0.4, np.nan], [0.5, 0.4, 0.3]], "b": [[np.inf, 0.2, 0.1]] * 2}
    fig = pictures.lines(groups, [0.1, 1.0, 10.0], crosses=edge, log="x", **LABELS)
    fig.canvas.draw()
    crosses = {float(c.get_xdata()[0]): pixel(c)[1] for c in crosses_of(fig)}
    assert set(crosses) == {0.1, 10.0}
    assert set(crosses.values()) == {getattr(fig.axes[0].bbox, height)}
    told = pictures.alt_of(fig)
    assert "a goes from 0.5 to 0.3, and 1 of 2 runs diverged at 10" in told
    assert "2 of 2 runs diverged at 0.1" in told


def test_the_legend_says_what_a_cross_is():
    def in_legend(fig):
        return [text.get_text() for legend in fig.legends for text in legend.get_texts()]

    assert in_legend(pictures.lines({"He": [2.0, np.nan]}, **LABELS)) == ["He", "diverged"]
    assert in_legend(pictures.lines({"He": [2.0, 1.0]}, **LABELS)) == []
    assert in_legend(pictures.lines({"He": [2.0, np.nan]}, crosses=False, **LABELS)) == []


def test_an_edge_that_no_picture_has_is_refused():
    with pytest.raises(ArgumentError, match='expected True, False, "top" or "bottom", got \'l'):
        pictures.lines({"He": [2, 1]}, crosses="left", **LABELS)


def test_a_group_that_diverged_at_once_is_drawn_and_told():
    fig = pictures.lines({"wild": [np.nan, np.inf], "tame": [1, 2]}, **LABELS)
    assert "wild diverged at once" in pictures.alt_of(fig)


def test_each_group_may_stand_at_places_of_its_own():
    fig = pictures.lines({"a": [1, 2], "b": [1, 2, 3]}, {"a": [5, 6], "b": [1, 2, 9]}, **LABELS)
    assert line_of(fig, "b").get_xdata().tolist() == [1, 2, 9]


@pytest.mark.parametrize("names", [["He", "Xavier"], ["a rather long name of a variant", "b", "c"]])
def test_a_legend_stands_beside_the_data_and_the_title(names):
    title = (
        "He has the lowest validation loss: 0.1123 on average over 5 seeds, 0.0981 ahead of "
        "Xavier (95% interval 0.0512 to 0.1204), and the momentum method cannot be told apart."
    )
    fig = pictures.lines({name: [3, 2] for name in names}, **LABELS | {"title": title})
    fig.canvas.draw()
    legend = fig.legends[0].get_window_extent()
    assert not legend.overlaps(fig.axes[0].get_window_extent())
    heading = fig._suptitle.get_window_extent()
    assert not legend.overlaps(heading)
    assert heading.x1 <= fig.bbox.x1
    assert fig.bbox.x0 <= legend.x0
    assert legend.x1 <= fig.bbox.x1


def test_one_line_needs_no_legend():
    assert not pictures.lines({"He": [3, 2]}, **LABELS).legends


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.001, 0.1, 10], {"0.001", "0.01", "0.1", "1", "10"}), ([0.2, 0.6], {"0.2", "0.5"})],
)
def test_logarithmic_ticks_read_as_plain_decimals(values, expected):
    fig = pictures.lines({"He": values}, log="y", **LABELS)
    assert shown_ticks(fig) >= expected
    assert not any(label.get_text() for label in fig.axes[0].yaxis.get_minorticklabels())


@pytest.mark.parametrize("values", [[1e-9, 1e-4, 1], [1e3, 2e5], [1.5e5, 6e5], [2e-6, 9e-6]])
def test_a_logarithmic_axis_never_mixes_decimals_with_powers_of_ten(values):
    shown = shown_ticks(pictures.lines({"He": values}, log="y", **LABELS))
    assert shown
    assert all("10^" in label for label in shown)


def test_below_a_hundred_thousand_labels_are_decimals():
    fig = pictures.lines({"He": [1e3, 5e4]}, log="y", **LABELS)
    assert shown_ticks(fig) == {"1000", "2000", "5000", "10000", "20000", "50000"}


def test_the_log_axes_of_a_lessons_own_drawing_are_labelled_by_the_same_rule():
    fig, (ax, right) = plt.subplots(1, 2)
    ax.loglog([1, 2, 4], [0.01, 1, 30])
    right.loglog([1, 10], [1, 10])
    right.set_yticks([1, 4], ["low", "high"])
    right.set_xticks([2, 5])
    plotting.show(fig, alt="Lines.")
    assert shown_ticks(fig) == {"0.01", "0.1", "1", "10"}
    assert shown_ticks(fig, "x") == {"1", "2"}
    assert shown_ticks(fig, "y", 1) == {"low", "high"}
    assert shown_ticks(fig, "x", 1) == {"2", "5"}


def shown_ticks(fig, which="y", panel=0):
    fig.canvas.draw()
    axis = getattr(fig.axes[panel], f"{which}axis")
    low, high = axis.get_view_interval()
    ticks = axis.get_major_ticks()
    return {t.label1.get_text() for t in ticks if low <= t.get_loc() <= high}


def test_epochs_are_counted_in_whole_numbers():
    fig = pictures.lines({"He": [3, 2, 1]}, **LABELS)
    fig.canvas.draw()
    assert all(float(tick).is_integer() for tick in fig.axes[0].get_xticks())


def test_the_alternative_text_tells_the_data():
    alt = pictures.alt_of(pictures.lines({"He": [3, 0.5, 1], "Xavier": [2, 1.5, 1.25]}, **LABELS))
    assert alt == (
        "He ends lowest. loss against epoch: He goes from 3 to 1, lowest 0.5 at 2; Xavier goes "
        "from 2 to 1.25."
    )


def test_strips_draw_every_run_and_tell_who_diverged():
    fig = pictures.strips({"He": [1.0, 3.0], "wild": [9.0, np.nan]}, title="T", xlabel="loss")
    ax = fig.axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["He", "wild (✕ 1)"]
    points = ax.get_lines()[0]
    assert sorted(points.get_xdata()) == [1.0, 3.0]
    assert pictures.alt_of(fig) == "T. loss: He 2 (1 to 3); wild 9, and 1 diverged."


def test_a_group_of_strips_may_have_the_look_of_a_variant_drawn_before():
    pictures.lines({"He": [3, 2], "Xavier": [3, 1]}, **LABELS)
    groups = {"Xavier, twice": [1.0, 2.0], "other": [3.0, 4.0]}
    fig = pictures.strips(groups, title="T", xlabel="loss", like={"Xavier, twice": "Xavier"})
    points, _, others, _ = fig.axes[0].get_lines()
    look = looks.look_of("Xavier")
    assert (points.get_color(), points.get_marker()) == (look["color"], look["marker"])
    assert others.get_color() == looks.color_of("other")


def test_bars_carry_their_numbers():
    fig = pictures.bars({"He": 0.123, "Xavier": 2.0}, title="T", xlabel="loss", form=".2f")
    assert {text.get_text() for text in fig.axes[0].texts} == {"0.12", "2.00"}
    assert pictures.alt_of(fig) == "T. loss: He 0.12; Xavier 2.00."


def test_images_carry_their_labels():
    fig = pictures.images(np.zeros((3, 4, 4)), ["a", "b", "c"], title="T", columns=2)
    assert [ax.get_title() for ax in fig.axes] == ["a", "b", "c", ""]
    assert pictures.alt_of(fig) == "T. 3 images: a, b, c."


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pictures.lines({}, **LABELS), "expected at least one"),
        (lambda: pictures.lines({"a": []}, **LABELS), r"expected shape \(n,\)"),
        (lambda: pictures.lines({"a": np.zeros((2, 2, 2))}, **LABELS), r"got \(2, 2, 2\) for a"),
        (lambda: pictures.lines({"a": [1, 2]}, [1, 2, 3], **LABELS), "expected 2 places"),
        (lambda: pictures.lines({"a": [1, 2]}, log="z", **LABELS), "log: expected"),
        (lambda: pictures.bars({}, title="T", xlabel="x"), "expected at least one"),
        (lambda: pictures.images(np.zeros((2, 3, 3)), ["a"], title="T"), "got 1 for 2 images"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_no_title_is_wider_than_its_picture():
    title = "A finding that needs many words, as those about comparisons of several nets do"
    for fig in (
        pictures.lines({"He": [3, 2]}, title=title, xlabel="x", ylabel="y"),
        pictures.bars({"He": 3}, title=title, xlabel="x"),
        pictures.images(np.zeros((4, 8, 8)), list("abcd"), columns=4, title=title),
    ):
        fig.canvas.draw()
        assert fig._suptitle.get_window_extent().x1 <= fig.bbox.x1
