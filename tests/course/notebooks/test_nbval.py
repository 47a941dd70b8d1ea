from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from coursekit.base.environment import ROOT
from coursekit.course.notebooks.catalogue import built
from coursekit.course.notebooks.convert import to_text
from coursekit.course.testing import notebooks as testing


def store(root: Path, path: str, *cells, **note) -> None:
    made = [new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    file = root / path
    file.parent.mkdir(exist_ok=True)
    nb = new_notebook(cells=[new_markdown_cell("# Title"), *made])
    nb.metadata.coursekit = NotebookNode(note)
    file.write_text(to_text(nb))


def printing(source: str, stored: str, *tags: str):
    output = new_output("stream", text=stored)
    return new_code_cell(source, outputs=[output], execution_count=1, metadata={"tags": list(tags)})


FAILS_AND_WRITES = "import os\nos.system('echo late >&2')\n1 / 0"
ALONE = ["-p", "no:cacheprovider", "-n", "0"]  # in one process: quicker for tiny notebooks
GOOD = (
    printing("print('new')", "old\n"),
    printing("print('same')", "same\n", "nbval-check-output"),
    "import os\n"
    "names = 'COURSEKIT_PROFILE', 'COURSEKIT_OFFLINE', 'COURSEKIT_HEADLESS', 'COURSEKIT_GRADING'\n"
    "assert [os.environ.get(name) for name in names] == ['quick', '1', '1', None]\n"
    "assert os.path.basename(os.environ['COURSEKIT_DATA']) == 'embedded'\n"
    "open('left behind', 'w').close()",
)


@pytest.fixture
def no_real_data(monkeypatch):
    monkeypatch.setattr(testing, "real_data", lambda folder: [])


def run(root: Path, *options: str, **settings) -> int:
    return testing.run_notebooks(built(root), options, root=root, **settings)


def test_good_notebooks_pass_in_all_three_folders_and_leave_nothing(tmp_path, capfd, no_real_data):
    store(tmp_path, "notebooks/01_a.ipynb", *GOOD)
    store(tmp_path, "exercises/01_a.ipynb", *GOOD)
    store(tmp_path, "solutions/01_a.ipynb", "import os\nassert os.environ['COURSEKIT_GRADING']")
    assert run(tmp_path, *ALONE) == 0
    said = capfd.readouterr().out
    assert "On the embedded data: 1 notebooks, 1 exercises, 1 solutions." in said
    assert "7 passed" in said
    assert "The lessons are not run on real data: .cache/data holds no real data" in said
    assert not list(tmp_path.rglob("left behind"))


def test_each_kind_of_failure_names_notebook_and_cell(tmp_path, capfd, no_real_data, monkeypatch):
    monkeypatch.setattr(testing, "CELL_SECONDS", 10)
    store(tmp_path, "notebooks/01_dead.ipynb", "1", "import os\nos._exit(3)", "after = 1")
    store(tmp_path, "notebooks/02_endless.ipynb", "while True:\n    pass", "after = 2")
    store(tmp_path, "notebooks/03_stderr.ipynb", "import os\nos.system('echo careful >&2');")
    changed = printing("print('new')", "old\n", "nbval-check-output")
    store(tmp_path, "solutions/04_changed.ipynb", changed, FAILS_AND_WRITES, "2")
    untouched = printing("print('a: not attempted')", "", "check:a")
    attempted = printing("print('b: correct')", "", "check:b")
    store(tmp_path, "exercises/05_solved.ipynb", untouched, attempted)
    assert run(tmp_path, "-p", "no:cacheprovider") == 1
    said = capfd.readouterr().out
    for message in (
        'notebooks/01_dead.ipynb, code cell 2 under "Title": the kernel died (exit status 3).',
        'notebooks/02_endless.ipynb, code cell 1 under "Title": still running after 10 s',
        'notebooks/03_stderr.ipynb, code cell 1 under "Title": writes to stderr:\ncareful',
        'solutions/04_changed.ipynb, code cell 1 under "Title": Cell outputs differ',
        'solutions/04_changed.ipynb, code cell 2 under "Title": Cell execution caused an exception',
        'exercises/05_solved.ipynb, code cell 2 under "Title": expected the check of an untouched',
    ):
        assert message in said
    assert re.search(r"6 failed, 3 passed, 2 skipped", said)


def test_lessons_that_use_data_run_once_more_on_the_real_ones(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(testing, "real_data", lambda folder: ["mnist"])
    place = "import os\nprint(os.path.basename(os.environ['COURSEKIT_DATA']))"
    store(tmp_path, "notebooks/01_a.ipynb", printing(place, "data\n", "nbval-check-output"))
    store(tmp_path, "solutions/01_a.ipynb", printing(place, "embedded\n", "nbval-check-output"))
    store(tmp_path, "notebooks/02_b.ipynb", "1", data={})
    assert run(tmp_path, "-vv", "-p", "no:cacheprovider") == 1
    said = capfd.readouterr().out
    assert "The lessons once more on the real data: mnist." in said
    assert re.search(r"PASSED notebooks/01_a\.ipynb on the real data::Cell 0", said)
    assert re.search(r"FAILED notebooks/01_a\.ipynb::Cell 0", said)  # its output is the other's
    assert "1 failed, 3 passed" in said


def test_only_a_folder_with_a_real_set_counts_as_real_data(tmp_path):
    assert testing.real_data(tmp_path) == []


def test_no_notebook_is_no_failure():
    assert testing.run_notebooks([]) == 0


def test_options_that_choose_no_cell_are_no_failure(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(testing, "real_data", lambda folder: pytest.fail("asked for"))
    store(tmp_path, "notebooks/01_a.ipynb", "1")
    assert run(tmp_path, *ALONE, "-k", "nothing", on_real_data=False) == 0
    assert "real" not in capfd.readouterr().out


def test_plain_pytest_with_nbval_tests_the_notebooks_too():
    """As the page on continuous integration says: no plugin and no command of the course."""
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider"]
    answer = subprocess.run(
        [*command, built(ROOT, ["notebooks"])[0].label],
        cwd=ROOT,
        env={**os.environ, "COURSEKIT_PROFILE": "quick"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout
    assert re.search(r"\d+ passed in ", answer.stdout)
