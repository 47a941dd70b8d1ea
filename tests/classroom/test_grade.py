"""A class graded: tables and pages, the same again, on after an interrupt, fair to each."""

from __future__ import annotations

import copy
import csv
import io
import json
import re

import pytest

from coursekit.base.environment import ROOT
from coursekit.checks.kit.compare import rng
from coursekit.cli import main
from coursekit.course.classroom.grading import grade as grading
from coursekit.course.classroom.grading.grade import KEPT, Settings, grade
from coursekit.course.classroom.release import release
from coursekit.errors import ArgumentError
from tests.classroom.conftest import code, find, solution, stored, submission, task

FEW = {"momentum": True, "steps_to_speed": "def steps_to_speed(beta, share):\n    return 1\n"}


def put(folder, learner, nb, name="a.ipynb"):
    (folder / learner).mkdir(parents=True, exist_ok=True)
    data = nb if isinstance(nb, bytes) else json.dumps(nb).encode()
    (folder / learner / name).write_bytes(data)


def table(path):
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


class Borrowed:
    """The workshop of all tests, which has imported everything and is not to be closed."""

    def __init__(self, host):
        self.session = host.session

    def close(self):
        pass


@pytest.fixture
def workshop(monkeypatch, host):
    monkeypatch.setattr(grading, "Host", lambda **named: Borrowed(host))


@pytest.fixture
def small_class(tmp_path):
    """Two learners, a notebook for another exercise, and a file that is none."""
    folder = tmp_path / "in"
    put(folder, "김, 민수", submission(8, FEW))
    put(folder, "lee", submission(8, {}))
    put(folder, "lee", submission(4, {"count_parameters": True}), "b.ipynb")
    put(folder, "lee", b"%PDF-1.4", "c.ipynb")
    return folder


def test_tables_and_pages(small_class, tmp_path):
    out = tmp_path / "out"
    results = grade(small_class, out)
    assert len(results) == 4
    rows = table(out / "grades.csv")
    assert list(rows[0]) == [
        "learner",
        "exercise",
        "task",
        "outcome",
        "points",
        "max_points",
        "reason",
    ]
    mine = {row["task"]: row for row in rows if row["learner"] == "김, 민수"}
    assert [mine[name]["outcome"] for name in ("momentum", "steps_to_speed", "adam")] == [
        "correct", "wrong", "not attempted",
    ]  # fmt: skip
    assert (mine["momentum"]["points"], mine["adam"]["max_points"]) == ("1", "2")
    assert mine["steps_to_speed"]["reason"].startswith("For `steps_to_speed(beta=0.9")
    summary = {(row["learner"], row["exercise"]): row for row in table(out / "summary.csv")}
    assert (summary["김, 민수", "08"]["points"], summary["김, 민수", "08"]["max_points"]) == (
        "1",
        "8",
    )
    assert summary["lee", "04"]["points"] == "1"
    assert "c.ipynb: it is no notebook" in summary["lee", ""]["flags"]
    page = (out / "feedback" / "김, 민수" / "08.html").read_text(encoding="utf-8")
    assert "1 of 8 points" in page
    assert "you give 1" in page
    assert "A hint: " in page
    overview = (out / "class.html").read_text(encoding="utf-8")
    assert "김, 민수" in overview
    assert "1 of 2" in overview
    assert "src=" not in page + overview
    assert not re.search(r"https?://", page + overview)


def test_a_second_run_grades_nothing_and_changes_nothing(
    workshop, small_class, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    grade(small_class, out)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    monkeypatch.setattr(grading, "examine", None)
    grade(small_class, out)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before


def test_after_an_interrupt_only_the_rest_is_graded(workshop, small_class, tmp_path, monkeypatch):
    out, seen = tmp_path / "out", []
    examine = grading.examine

    def interrupted(host, learner, file, *more):
        seen.append(file)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return examine(host, learner, file, *more)

    monkeypatch.setattr(grading, "examine", interrupted)
    with pytest.raises(KeyboardInterrupt):
        grade(small_class, out)
    assert len(list((out / KEPT).glob("*.json"))) == 2
    assert len(table(out / "summary.csv")) == 2
    monkeypatch.setattr(grading, "examine", lambda *a: (seen.append(a[2]), examine(*a))[1])
    grade(small_class, out)
    assert len(seen) == 5
    assert seen[2] == seen[3]
    assert len(table(out / "summary.csv")) == 4


def test_an_error_in_the_grader_stops_no_other_and_is_tried_again(
    workshop, small_class, tmp_path, monkeypatch
):
    out, examine = tmp_path / "out", grading.examine

    def failing(host, learner, *more):
        if learner != "lee":
            raise ZeroDivisionError("oops")
        return examine(host, learner, *more)

    monkeypatch.setattr(grading, "examine", failing)
    grade(small_class, out)
    flags = {row["learner"]: row["flags"] for row in table(out / "summary.csv")}
    assert (
        "not graded, grade again: an error in the grader (ZeroDivisionError: oops)"
        in flags["김, 민수"]
    )
    monkeypatch.setattr(grading, "examine", examine)
    grade(small_class, out)
    assert "not graded" not in (out / "summary.csv").read_text(encoding="utf-8")


def test_one_damaged_result_is_graded_again(workshop, small_class, tmp_path):
    out = tmp_path / "out"
    grade(small_class, out)
    before = (out / "grades.csv").read_bytes()
    for kept in (out / KEPT).glob("*.json"):
        kept.write_text("{")
    grade(small_class, out)
    assert (out / "grades.csv").read_bytes() == before


@pytest.mark.slow
def test_two_at_a_time_give_the_same_tables(small_class, tmp_path):
    for jobs in (1, 2):
        grade(small_class, tmp_path / str(jobs), Settings(jobs=jobs))
    for name in ("grades.csv", "summary.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_of_two_notebooks_the_better_counts_and_the_other_is_named(workshop, tmp_path):
    put(tmp_path / "in", "kim", submission(8, {}), "z.ipynb")
    put(tmp_path / "in", "kim", submission(8, {"steps_to_speed": True}), "a.ipynb")
    (result,) = grade(tmp_path / "in", tmp_path / "out")
    assert (result.file, result.points) == ("kim/a.ipynb", 1)
    assert result.flags == ["kim/z.ipynb is another notebook for this exercise"]


# A secret seed


def test_a_secret_seed_draws_other_inputs_and_right_stays_right(workshop, tmp_path, monkeypatch):
    release(ROOT, ["8"], tmp_path / "handout", seed="tulip")
    nb = json.loads((tmp_path / "handout" / "08_optimizers.ipynb").read_text(encoding="utf-8"))
    for name in ("momentum", "steps_to_speed"):
        find(nb, f"task:{name}")["source"] = solution(8, name)
    put(tmp_path / "in", "kim", nb)
    for seed, why in (("", "give the same to --seed"), ("rose", "this is another one")):
        with pytest.raises(ArgumentError, match=why):
            grade(tmp_path / "in", tmp_path / "out", Settings(seed=seed))
    (result,) = grade(tmp_path / "in", tmp_path / "out", Settings(seed="tulip"))
    assert result.points == 2
    usual = rng("momentum").normal()
    monkeypatch.setenv("COURSEKIT_CHECK_SEED", "tulip")
    assert rng("momentum").normal() != usual
    assert rng("momentum").normal() == rng("momentum").normal()


# Fair


def outcomes(result, *names):
    return [task(result, name).outcome for name in names]


def test_the_same_submission_gets_the_same_result_twice(graded):
    first, second = (graded(submission(8, FEW)) for _ in range(2))
    assert first.tasks == second.tasks


def test_what_a_front_end_strips_is_not_missed(graded):
    nb = submission(8, FEW)
    for cell in nb["cells"]:
        cell["metadata"] = {}
        cell.pop("id", None)
    nb["metadata"] = {}
    assert outcomes(graded(nb), "momentum", "steps_to_speed", "adam") == [
        "correct", "wrong", "not attempted",
    ]  # fmt: skip


def test_a_later_overwrite_of_a_name_takes_nothing_away(graded):
    nb = submission(8, {"steps_to_speed": True})
    nb["cells"] += [code("steps_to_speed = 0.9"), code("def steps_to_speed(a, b):\n    return 0")]
    assert outcomes(graded(nb), "steps_to_speed") == ["correct"]


def test_an_answer_in_a_cell_of_its_own_counts_where_the_stub_is_left(graded):
    nb = submission(8, {})
    nb["cells"].append(code(solution(8, "steps_to_speed")))
    assert outcomes(graded(nb), "steps_to_speed", "momentum") == ["correct", "not attempted"]


def test_of_a_task_cell_that_is_there_twice_the_last_attempt_counts(graded):
    nb = submission(8, {"steps_to_speed": "def steps_to_speed(b, s):\n    return 1\n"})
    again = copy.deepcopy(find(nb, "task:steps_to_speed"))
    again["source"] = solution(8, "steps_to_speed")
    untouched = copy.deepcopy(find(stored("exercises", 8), "task:steps_to_speed"))
    nb["cells"] += [again, untouched]
    assert outcomes(graded(nb), "steps_to_speed") == ["correct"]


def test_an_experiment_that_was_made_endless_costs_nothing(graded):
    nb = submission(8, {"steps_to_speed": True})
    for cell in nb["cells"]:
        if "walkers = {" in "".join(cell["source"]):
            cell["source"] = "while True:\n    pass\n"
    result = graded(nb)
    assert outcomes(result, "steps_to_speed") == ["correct"]


def test_a_crash_names_the_line_of_the_learners_own_code(graded):
    body = "def steps_to_speed(beta, share):\n    print('here')\n    return undefined\n"
    found = task(graded(submission(8, {"steps_to_speed": body})), "steps_to_speed")
    assert found.outcome == "crashed"
    assert found.reason == "NameError: name 'undefined' is not defined"
    assert found.where == "`steps_to_speed`, line 3: `return undefined`"
    assert "here" in found.printed


def test_an_argument_changed_in_place_is_told(graded):
    body = ("def momentum(theta, gradient, m, learning_rate, beta=0.9):\n    m *= beta\n"
            "    m -= learning_rate * gradient\n    return theta + m, m\n")  # fmt: skip
    found = task(graded(submission(8, {"momentum": body})), "momentum")
    assert found.outcome == "wrong"
    assert "changes its argument `m` in place" in found.reason


# Wrong use


def test_wrong_use_is_one_clear_sentence(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    put(tmp_path / "in", "kim", submission(8, {}))
    for words, why in [
        (("empty", "out"), "no notebook in"), (("absent", "out"), "there is no"),
        (("file", "out"), "is neither"), (("in", "file"), "expected a folder, but"),
    ]:  # fmt: skip
        submissions, out = (str(tmp_path / word) for word in words)
        assert main(["class", "grade", submissions, "--out", out]) == 2
        told = capsys.readouterr().err
        assert why in told
        assert len(told.splitlines()) == 1
