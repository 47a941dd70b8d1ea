"""Explorers: widgets where someone can move them, a still picture everywhere else."""

import types

import matplotlib.pyplot as plt
import pytest

from coursekit.display import widgets
from coursekit.errors import ArgumentError


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    plt.close("all")


@pytest.fixture
def in_a_kernel(monkeypatch):
    """A front end with a kernel of its own kind; returns what is displayed."""
    plt.switch_backend("agg")  # or the first figure would look for hooks of the shell below
    shown = []
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr("IPython.display.display", lambda *what, **_: shown.extend(what))
    return shown


def figure(**values):
    return plt.figure()


@pytest.mark.parametrize(
    ("headless", "moves"),
    [(None, True), ("", True), ("0", True), ("false", True), ("no", True), ("1", False),
     ("true", False)],
)  # fmt: skip
def test_sliders_are_shown_in_a_kernel_unless_nobody_looks_on(
    in_a_kernel, monkeypatch, headless, moves
):
    import ipywidgets

    monkeypatch.delenv("COURSEKIT_HEADLESS", raising=False)
    if headless is not None:
        monkeypatch.setenv("COURSEKIT_HEADLESS", headless)
    widgets.explore(figure, alt="Nothing.", rate=(0, 9, 3))
    assert any(isinstance(what, ipywidgets.VBox) for what in in_a_kernel) == moves


def test_while_grading_the_still_picture_is_shown(in_a_kernel, monkeypatch):
    monkeypatch.setenv("COURSEKIT_GRADING", "1")
    widgets.explore(figure, alt="Nothing.", rate=(0, 9, 3))
    assert [sorted(bundle) for bundle in in_a_kernel] == [["image/png", "text/plain"]]


def test_an_explorer_without_a_kernel_draws_once_with_its_starting_values():
    calls = []

    def draw(**values):
        calls.append(values)
        return figure()

    widgets.explore(draw, alt="Waves.", rate=(0.0, 1.0, 0.25), kind=["a", "b"], bold=True)
    assert calls == [{"rate": 0.25, "kind": "a", "bold": True}]


@pytest.mark.parametrize(
    "control", [(0, 1), (0, 1, 2), [], "a", 3, (0, 1, 0.5, "log"), (0.1, 1, 0.5, "lin")]
)
def test_an_explorer_refuses_a_control_it_cannot_show(control):
    with pytest.raises(ArgumentError, match="rate: expected"):
        widgets.explore(figure, alt="Waves.", rate=control)


def test_a_control_becomes_a_widget_of_its_kind():
    make = widgets._widget
    assert type(make("n", (1, 9, 3))).__name__ == "IntSlider"
    assert type(make("rate", (0.0, 1.0, 0.5))).__name__ == "FloatSlider"
    log = make("rate", (0.001, 1.0, 0.1, "log"))
    assert (type(log).__name__, log.value, log.min, log.max) == ("FloatLogSlider", 0.1, -3, 0)
    assert type(make("kind", ["a", "b"])).__name__ == "Dropdown"
    assert type(make("bold", False)).__name__ == "Checkbox"
