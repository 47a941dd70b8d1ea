"""What learners get: every task, no line of a solution, nothing that leads to one."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest

from coursekit import __version__
from coursekit.base.environment import ROOT
from coursekit.checks.engine.tasks import load
from coursekit.cli import main
from coursekit.course.classroom import seeds
from coursekit.course.classroom.release import release, seed_digest
from coursekit.course.classroom.seeds import misjudged
from coursekit.course.notebooks import catalogue
from coursekit.errors import ArgumentError
from tests.classroom.conftest import stored, text

REGION = re.compile(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.S)
NUMBERS = [n.name[:2] for n in catalogue.built(ROOT, ["exercises"])]


def sources():
    return {path.stem: path.read_text(encoding="utf-8")
            for path in (ROOT / "sources" / "exercises").glob("*.py")}  # fmt: skip


def solution_lines():
    """Lines of the solutions that say something, and that no exercise gives as its own code."""
    given = "\n".join(REGION.sub("", source) for source in sources().values())
    regions = [region for source in sources().values() for region in REGION.findall(source)]
    lines = {line.strip() for region in regions for line in region.splitlines()}
    return {line for line in lines if len(re.sub(r"\W", "", line)) > 12 and line not in given}


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    release(ROOT, NUMBERS, folder)
    return folder


def test_every_exercise_with_all_its_tasks_is_released(released):
    assert sorted(p.name[:2] for p in released.iterdir()) == NUMBERS
    for path in released.iterdir():
        tags = [
            t for c in json.loads(path.read_text())["cells"] for t in c["metadata"].get("tags", [])
        ]
        master = [t for c in stored("exercises", int(path.name[:2]))["cells"]
                  for t in c["metadata"].get("tags", [])]  # fmt: skip
        assert tags == master


def test_no_line_of_a_solution_is_anywhere_in_it(released):
    lines = solution_lines()
    assert len(lines) > 300
    assert "return theta + beta * m - learning_rate * gradient, m" in lines
    for path in released.rglob("*"):
        content = path.read_text(encoding="utf-8")
        shown = content + "\n".join(text(c) for c in json.loads(content)["cells"])
        assert [line for line in lines if line in shown] == [], path.name


def test_nothing_leads_to_a_solution_or_out_of_the_folder(released):
    for path in released.iterdir():
        content = path.read_text(encoding="utf-8")
        assert "solutions/" not in content
        assert "](../" not in content
        assert "Look there last" not in content


def test_it_is_stamped(released):
    for path in released.iterdir():
        stamp = json.loads(path.read_text(encoding="utf-8"))["metadata"]["coursekit"]
        assert stamp["version"] == __version__
        assert "seed" not in stamp


def test_a_seed_stays_secret_and_is_known_again(tmp_path):
    (path,) = release(ROOT, ["14"], tmp_path, seed="tulip")
    content = path.read_text(encoding="utf-8")
    assert json.loads(content)["metadata"]["coursekit"]["seed"] == seed_digest("tulip")
    assert "tulip" not in content


def test_the_same_release_has_the_same_bytes(released, tmp_path):
    release(ROOT, ["8"], tmp_path)
    name = "08_optimizers.ipynb"
    assert (tmp_path / name).read_bytes() == (released / name).read_bytes()


@pytest.mark.parametrize("seed", ["tulip", "장미 7"])
def test_a_seed_draws_other_inputs_on_which_checks_are_as_fair(seed, monkeypatch):
    monkeypatch.setenv("COURSEKIT_CHECK_SEED", seed)
    assert [line for n in (4, 8) for line in misjudged(n)] == []


def test_a_seed_is_tried_on_every_task_of_an_exercise(monkeypatch):
    monkeypatch.setattr(seeds, "run", lambda *_: SimpleNamespace(outcome="crashed"))
    told = " ".join(misjudged(15))
    known = [task.name for task in load(15) if task.right is not None or task.mistakes]
    assert len(known) > 6
    assert [name for name in known if f"15.{name} " not in told] == []


def test_a_seed_that_makes_a_check_unfair_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    (tmp_path / "python").write_text("#!/bin/sh\necho the check 08.adam rejects.\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(ArgumentError, match=r"choose another word.*08\.adam"):
        release(ROOT, ["8"], tmp_path / "new", seed="tulip")
    assert not (tmp_path / "new").exists()


def test_an_unknown_exercise_leaves_the_folder_alone(tmp_path):
    with pytest.raises(ArgumentError, match="No notebook '77'"):
        release(ROOT, ["8", "77"], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_command_says_what_it_wrote(tmp_path, capsys):
    assert main(["class", "release", "08", "--to", str(tmp_path)]) == 0
    assert "08_optimizers.ipynb" in capsys.readouterr().out
    assert main(["class", "release", "99", "--to", str(tmp_path)]) == 2
    assert "No notebook '99'" in capsys.readouterr().err
