"""Submissions made for tests: an exercise as it is handed out, with some cells filled in."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coursekit.base.environment import ROOT
from coursekit.course.classroom import masters
from coursekit.course.classroom.grading.examine import Times, examine
from coursekit.course.classroom.grading.host import Host
from coursekit.course.classroom.grading.results import Graded, Result
from coursekit.errors import ArgumentError

Notebook = dict[str, Any]
PATIENT = Times(cell=300.0, submission=1800.0, check=600.0)  # for a busy machine


def known(number: int) -> masters.Master | None:
    try:
        return masters.master(ROOT, number)
    except ArgumentError:
        return None


def stored(kind: str, number: int) -> Notebook:
    (path,) = (ROOT / kind).glob(f"{number:02}_*.ipynb")
    return json.loads(path.read_text(encoding="utf-8"))


def text(cell: Notebook) -> str:
    return "".join(cell["source"])


def find(nb: Notebook, tag: str) -> Notebook:
    return next(cell for cell in nb["cells"] if tag in cell["metadata"].get("tags", []))


def solution(number: int, task: str) -> str:
    """The code that the course has for a task."""
    return text(find(stored("solutions", number), f"task:{task}"))


def code(source: str, **more: Any) -> Notebook:
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [],
            "execution_count": None} | more  # fmt: skip


def submission(number: int, answers: dict[str, str], *, before: str = "") -> Notebook:
    """An exercise with these answers, task → code; True stands for the course's solution.

    `before` is a cell of the learner's own ahead of the first task.
    """
    nb = copy.deepcopy(stored("exercises", number))
    for task, answer in answers.items():
        find(nb, f"task:{task}")["source"] = solution(number, task) if answer is True else answer
    if before:
        tags = ["".join(cell["metadata"].get("tags", [])) for cell in nb["cells"]]
        first = next(i for i, tag in enumerate(tags) if tag.startswith("task:"))
        nb["cells"].insert(first, code(before))
    return nb


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.close()


@pytest.fixture
def graded(host: Host) -> Callable[..., Result]:
    """Grade a notebook, given as its JSON or as bytes."""

    def grade(nb: Notebook | bytes, times: Times = PATIENT) -> Result:
        data = nb if isinstance(nb, bytes) else json.dumps(nb).encode()
        return examine(host, "kim", "kim/a.ipynb", data, known, times)

    return grade


def task(result: Result, name: str) -> Graded:
    return next(task for task in result.tasks if task.task == name)
