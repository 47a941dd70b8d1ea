"""Claims are counted over seeds, profiles, data and threads."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from coursekit.course.notebooks import build, stability
from coursekit.course.notebooks.catalogue import built
from coursekit.errors import ArgumentError

CELL = """\
import os
import coursekit as ck
lab = ck.setup(seed=40)
told = os.environ.get("TF_NUM_INTRAOP_THREADS", "all"), ck.load("digits").source
"""
CLAIMS = """\
ck.prove("The seed is even", lab.seed % 2 == 0, f"seed {lab.seed}")
ck.prove("It is quick", lab.profile == "quick", lab.profile)
ck.prove("Threads and data are told", True, " ".join(told))
"""


def test_each_claim_is_counted_over_every_setting(course):
    text = course.lesson_with(f'{CELL}\n# %% tags=["claim"]\n{CLAIMS}')
    build.build_source(course.root, text, profile="quick")
    wanted = stability.settings(profiles=("quick",), data=("embedded",), threads=("1",), seeds=2)
    console = Console(file=io.StringIO(), width=200)
    tallies = stability.examine(built(course.root), wanted, console=console)
    assert {tally.claim: tally.held for tally in tallies} == {
        "the notebook runs to its end": 2,
        "The seed is even": 1,
        "It is quick": 2,
        "Threads and data are told": 2,
    }
    assert [told for _, told in tallies[1].numbers.values()] == ["seed 40", "seed 41"]
    assert tallies[3].numbers[wanted[0]] == (True, "1 embedded")
    console.print(stability.table(tallies))
    shown = console.file.getvalue()
    assert "1 of 2" in shown
    assert "✘ quick, embedded data, 1 thread, seed +1: seed 41" in shown


def test_settings_are_every_combination():
    found = stability.settings(
        profiles=("quick", "standard"), data=("embedded", "real"), threads=("1", "2"), seeds=5
    )
    assert len(found) == len(set(found)) == 40


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"profiles": ("fast",)}, "--profile: expected quick, standard, full, got 'fast'"),
        ({"data": ("mnist",)}, "--data: expected embedded, real, got 'mnist'"),
        ({"threads": ("0",)}, "--threads: expected whole numbers from 1 up, got '0'"),
        ({"threads": ("two",)}, "got 'two'"),
    ],
)
def test_an_unknown_setting_is_told(changed, reason):
    given = {"profiles": ("quick",), "data": ("real",), "threads": (None,), "seeds": 1} | changed
    with pytest.raises(ArgumentError, match=reason):
        stability.settings(**given)
