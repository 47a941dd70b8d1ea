from __future__ import annotations

import re
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from coursekit.course.notebooks.convert import to_text
from coursekit.course.testing import notebooks as testing


def store(root: Path, path: str, *cells) -> None:
    made = [new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    file = root / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(to_text(new_notebook(cells=[new_markdown_cell("# Title"), *made])))


def printing(source: str, stored: str, *tags: str):
    output = new_output("stream", text=stored)
    return new_code_cell(source, outputs=[output], execution_count=1, metadata={"tags": list(tags)})


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


def test_good_notebooks_pass_in_all_three_folders_and_leave_nothing(tmp_path, capfd, no_real_data):
    store(tmp_path, "notebooks/01_a.ipynb", *GOOD)
    store(tmp_path, "exercises/01_a.ipynb", *GOOD)
    store(tmp_path, "solutions/01_a.ipynb", "import os\nassert os.environ['COURSEKIT_GRADING']")
    assert testing.run_all(ALONE, root=tmp_path) == 0
    said = capfd.readouterr().out
    assert "pass 1: notebooks, exercises, solutions on the embedded data" in said
    assert "7 passed" in said
    assert "pass 2 (the lessons on real data) is skipped: .cache/data holds no real data" in said
    assert not list(tmp_path.rglob("left behind"))


def test_each_kind_of_failure_names_notebook_and_cell(tmp_path, capfd, no_real_data, monkeypatch):
    monkeypatch.setattr(testing, "CELL_SECONDS", 3)
    store(tmp_path, "notebooks/01_dead.ipynb", "1", "import os\nos._exit(3)", "after = 1")
    store(tmp_path, "notebooks/02_endless.ipynb", "while True:\n    pass", "after = 2")
    store(tmp_path, "notebooks/03_stderr.ipynb", "import os\nos.system('echo careful >&2');")
    changed = printing("print('new')", "old\n", "nbval-check-output")
    store(tmp_path, "solutions/04_changed.ipynb", changed, "1 / 0", "2")
    assert testing.run_all(["-p", "no:cacheprovider"], root=tmp_path) == 1
    said = capfd.readouterr().out
    for message in (
        'notebooks/01_dead.ipynb, code cell 2 under "Title": the kernel died (exit status 3).',
        'notebooks/02_endless.ipynb, code cell 1 under "Title": still running after 3 s',
        'notebooks/03_stderr.ipynb, code cell 1 under "Title": writes to stderr:\ncareful',
        'solutions/04_changed.ipynb, code cell 1 under "Title": Cell outputs differ',
        'solutions/04_changed.ipynb, code cell 2 under "Title": Cell execution caused an exception',
    ):
        assert message in said
    assert re.search(r"5 failed, 2 passed, 2 skipped", said)


def test_the_second_pass_runs_the_lessons_on_the_real_data(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(testing, "real_data", lambda folder: ["mnist"])
    place = "import os\nprint(os.path.basename(os.environ['COURSEKIT_DATA']))"
    store(tmp_path, "notebooks/01_a.ipynb", printing(place, "data\n", "nbval-check-output"))
    store(tmp_path, "solutions/01_a.ipynb", printing(place, "embedded\n", "nbval-check-output"))
    code = testing.run_all(ALONE, root=tmp_path)
    first, second = capfd.readouterr().out.split("pass 2: the lessons on the real data of mnist")
    assert "1 failed, 1 passed" in first  # the lesson's stored output is that of the second pass
    assert "1 passed" in second
    assert "failed" not in second
    assert code == 1


def test_only_a_folder_with_a_real_set_counts_as_real_data(tmp_path):
    assert testing.real_data(tmp_path) == []


def test_nothing_built_is_a_failure_that_says_what_to_do(tmp_path, capfd):
    assert testing.run_all(root=tmp_path) == 1
    assert "run: python -m coursekit build" in capfd.readouterr().err


def test_arguments_that_choose_no_cell_are_no_failure(tmp_path, capfd, no_real_data):
    store(tmp_path, "notebooks/01_a.ipynb", "1")
    assert testing.run_all([*ALONE, "-k", "nothing"], root=tmp_path) == 0
