"""Which tests and notebooks the test command runs, and how it closes."""

from __future__ import annotations

import re

import pytest

from coursekit.base.environment import ROOT
from coursekit.course.testing import suite
from coursekit.course.testing.tally import Tally
from coursekit.errors import ArgumentError

GOOD = "import random\ndef test_a(): pass\ndef test_b(): pass\n"
MIXED = """
import pytest
def test_a(): assert 0
@pytest.mark.skip('x')
def test_b(): pass
@pytest.fixture
def broken(): raise ValueError
def test_c(broken): pass
@pytest.mark.slow
def test_d(): pass
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A course of one test file in a folder of its own."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_a.ipynb").touch()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def in_one_process(monkeypatch):
    monkeypatch.setattr(suite, "_IN_PARALLEL", ())


@pytest.fixture
def asked(monkeypatch):
    """What is asked of the two halves, which do not run: a list of (half, what)."""
    seen = []

    def notebooks(chosen, options, *, on_real_data):
        seen.append(("nbval", [each.label for each in chosen], on_real_data))
        return 0

    monkeypatch.setattr(suite, "_pytest", lambda words: seen.append(("pytest", words)) or 0)
    monkeypatch.setattr(suite, "run_notebooks", notebooks)
    return seen


def notebooks_end(monkeypatch, code: int) -> None:
    monkeypatch.setattr(suite, "run_notebooks", lambda *given, **options: code)


def last_line(capfd) -> str:
    return capfd.readouterr().out.splitlines()[-1]


def test_it_closes_with_the_counts_of_all_and_passes_only_if_all_did(here, monkeypatch, capfd):
    (here / "test_here.py").write_text(GOOD)
    notebooks_end(monkeypatch, 0)
    assert suite.prove() == 0
    said = capfd.readouterr().out
    assert re.search(r"Using --randomly-seed=\d+", said)
    assert re.search(r"The slowest:\n +\d+\.\d s  test_here\.py::test_", said)
    assert re.fullmatch(r"===== 2 passed in [\d.]+s =====", said.splitlines()[-1])


@pytest.mark.usefixtures("in_one_process")
def test_a_half_that_broke_off_before_its_summary_is_an_error(here, monkeypatch, capfd):
    (here / "test_here.py").write_text(GOOD)
    notebooks_end(monkeypatch, 1)
    assert suite.prove() == 1
    assert last_line(capfd).startswith("===== 2 passed, 1 error in ")


@pytest.mark.usefixtures("in_one_process")
def test_each_outcome_is_counted_and_the_quick_run_leaves_the_slow_out(here, monkeypatch, capfd):
    (here / "test_here.py").write_text(MIXED)
    notebooks_end(monkeypatch, 0)
    assert suite.prove() == 1
    assert last_line(capfd).startswith("===== 1 failed, 1 passed, 1 skipped, 1 error in ")
    assert suite.prove(quick=True) == 1
    said = capfd.readouterr().out.splitlines()
    assert said[0] == (
        "Notebooks that have changed: none (git knows no merge base with a main branch here)."
    )
    assert said[-1].startswith("===== 1 failed, 1 skipped, 1 error in ")


@pytest.mark.usefixtures("in_one_process")
def test_an_interrupted_first_half_ends_the_whole(here, monkeypatch, capfd):
    (here / "test_here.py").write_text("def test_a(): raise KeyboardInterrupt\n")
    monkeypatch.setattr(suite, "run_notebooks", lambda *given, **options: pytest.fail("went on"))
    assert suite.prove() == 1


def test_no_notebook_is_a_failure_that_says_what_to_do(here, capfd):
    (here / "notebooks" / "01_a.ipynb").unlink()
    assert suite.prove() == 1
    assert "run: python -m coursekit build" in capfd.readouterr().err


def test_a_number_chooses_all_that_belongs_to_a_notebook(asked):
    assert suite.prove(["9", "-x"]) == 0
    (_, words), notebooks = asked
    assert words[words.index("-k") + 1] == "ruff or floors or [09- or [09_ or /09_"
    assert words[-1] == "-x"
    name = "09_learning_rate_schedules.ipynb"
    labels = [f"{kind}/{name}" for kind in ("notebooks", "exercises", "solutions")]
    assert notebooks == ("nbval", labels, True)


def test_the_tests_of_a_notebook_are_where_the_number_looks_for_them():
    for path in suite._OF_A_NOTEBOOK:
        assert (ROOT / path).exists()


def test_paths_and_options_alone_go_to_pytest_alone(asked):
    assert suite.prove(["tests/test_cli.py", "-k", "09"]) == 0
    assert suite.prove(["-n", "2"]) == 0
    assert [half for half, _ in asked] == ["pytest", "pytest"]
    assert asked[0][1][-3:] == ["tests/test_cli.py", "-k", "09"]


def test_wrong_numbers_are_refused():
    with pytest.raises(ArgumentError, match="No notebook '99': there is 00_start_here"):
        suite.prove(["99"])
    with pytest.raises(ArgumentError, match="expected --quick or the numbers"):
        suite.prove(["09"], quick=True)


def test_closing_line_of_a_run_without_tests():
    assert Tally().closing_line(1.0) == "===== no tests ran in 1.00s ====="
    assert Tally().slowest() == []
