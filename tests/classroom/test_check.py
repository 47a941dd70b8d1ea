"""The traffic light before the day: each colour for its reason, with a sentence on what to do."""

from __future__ import annotations

import itertools

import pytest

from coursekit.base.environment import ROOT
from coursekit.cli import main
from coursekit.course.bootstrap.doctor import Finding
from coursekit.course.classroom import check, check_training, plan_measured
from coursekit.course.classroom.check import AMBER, GREEN, RED, Light
from coursekit.course.classroom.check_training import Training, train
from coursekit.course.classroom.plan_measured import Measured

LARGEST = ("notebooks/08_other", 1700)
MEASURED = Measured(pace=1000)
LEARNED = Training(first_loss=2.0, last_loss=0.1, pace=900.0)


def test_the_doctors_findings_become_lights():
    findings = [
        Finding("Python", "3.11"),
        Finding("keras", "3.15"),
        Finding("memory", "1.0 GB", "too little"),
        Finding("data mnist", "embedded", "a stand-in"),
        Finding("data shapes", "embedded"),
        Finding("data fashion_mnist", "embedded", "a stand-in"),
        Finding("packages", "missing", "run lab", wrong=True),
        Finding("data", "unreadable", "make it readable", wrong=True),
    ]
    lights = list(check.installation(findings, used={"mnist", "shapes"}))
    assert [(light.name, light.color) for light in lights] == [
        ("data mnist", AMBER),
        ("data shapes", GREEN),
        ("packages", RED),
        ("data", RED),
        ("installation", GREEN),
    ]
    assert lights[-1].found.startswith("2 things")
    assert [light.advice for light in lights[:3]] == ["a stand-in", "", "run lab"]


@pytest.mark.parametrize(
    ("gigabytes", "color"), [(1.9, RED), (2.1, AMBER), (2.9, AMBER), (3.1, GREEN), (64, GREEN)]
)
def test_memory_is_compared_with_the_largest_lesson_and_jupyterlab(gigabytes, color):
    light = check.memory(gigabytes * 1e9, LARGEST)
    assert light.color == color
    assert "notebooks/08_other" in light.found
    assert "2.0 GB" in light.found
    assert bool(light.advice) == (color != GREEN)


@pytest.mark.parametrize(("total", "largest"), [(None, LARGEST), (8e9, None)])
def test_memory_that_nobody_knows_is_amber(total, largest):
    light = check.memory(total, largest)
    assert light.color == AMBER
    assert light.advice


@pytest.mark.parametrize(
    ("training", "pace", "color"),
    [
        (LEARNED, 1000, GREEN),
        (LEARNED, None, GREEN),
        (LEARNED, 1790, GREEN),
        (LEARNED, 1810, AMBER),
        (Training(2.0, 1.9, 900.0), 1000, RED),
        (Training(2.0, float("nan"), 900.0), 1000, RED),
        (Training(float("inf"), float("inf"), 900.0), None, RED),
    ],
)
def test_training_is_judged_by_its_loss_and_its_pace(training, pace, color):
    light = check.training(lambda: training, Measured(pace=pace))
    assert light.color == color
    assert bool(light.advice) == (color != GREEN)


def test_a_slow_machine_is_told_how_much_slower_it_is():
    assert "2.0 times the seconds" in check.training(lambda: LEARNED, Measured(pace=1800)).found


def test_training_that_stops_is_red_with_its_reason():
    def breaks():
        raise RuntimeError("no kernel image\nfor this device")

    light = check.training(breaks, MEASURED)
    assert light.color == RED
    assert light.found == "it stops: RuntimeError: no kernel image"


@pytest.mark.slow
def test_the_training_ends_when_its_time_is_up_and_learns():
    ticks = itertools.count(step=1.0)
    seen = train(seconds=6, clock=lambda: next(ticks))
    assert seen.learns
    assert seen.pace == check_training.ROWS / check_training.BATCH  # an epoch a tick
    assert seen.last_loss < seen.first_loss


@pytest.mark.parametrize(
    ("colors", "worst"),
    [([GREEN], GREEN), ([GREEN, AMBER], AMBER), ([RED, AMBER, GREEN], RED), ([], GREEN)],
)
def test_the_worst_colour_counts(colors, worst):
    assert check.worst([Light("x", color, "") for color in colors]) == worst


@pytest.mark.parametrize(("color", "code"), [(GREEN, 0), (AMBER, 0), (RED, 1)])
def test_the_command_shows_each_light_and_exits_with_1_where_it_is_red(
    monkeypatch, capsys, color, code
):
    lights = [Light("memory", GREEN, "8 GB"), Light("training", color, "found [9]", "do [this]")]
    monkeypatch.setattr(check, "examine", lambda root: iter(lights))
    assert main(["class", "check"]) == code
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["●", "green", "memory:", "8", "GB"]
    assert said[1].split() == ["●", color, "training:", "found", "[9]"]
    assert said[2].split() == ["→", "do", "[this]"]
    assert said[3].startswith(f"● {color:<5}  all in all: ")


def test_everything_is_looked_at(monkeypatch):
    monkeypatch.setattr(check.doctor, "examine", lambda: iter([Finding("Python", "3.11")]))
    monkeypatch.setattr(check, "train", lambda: LEARNED)
    names = [light.name for light in check.examine(ROOT)]
    assert names == ["installation", "memory", "training"]


def test_the_data_are_those_that_the_course_was_built_with():
    assert {"mnist", "cifar10"} <= check.data_used(ROOT)


def test_the_course_knows_what_its_largest_notebook_needs():
    _, peak = plan_measured.largest(ROOT)
    assert 500 < peak < 2000, "no notebook needs more than 2 GB in quick or standard"
    assert plan_measured.read(ROOT).pace > 0
