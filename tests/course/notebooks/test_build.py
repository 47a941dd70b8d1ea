from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from coursekit.course.notebooks import build
from coursekit.course.notebooks.catalogue import from_sources, source_of
from coursekit.errors import NotebookError

LESSON = Path("notebooks/03_sums.ipynb")
EXERCISE, SOLUTION = Path("exercises/03_sums.ipynb"), Path("solutions/03_sums.ipynb")


def build_all(root: Path, **options) -> dict[str, str]:
    sources = dict.fromkeys(source_of(notebook) for notebook in from_sources(root))
    lines = [line for source in sources for line in build.build_source(root, source, **options)]
    return {line.notebook.label: line.action for line in lines}


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def built_course(tmp_path_factory) -> Path:
    """A lesson, an exercise and a solution, built once; tests work on copies."""
    from .conftest import Course

    course = Course(tmp_path_factory.mktemp("course"))
    course.lesson()
    course.exercise()
    build_all(course.root)
    return course.root


@pytest.fixture
def root(built_course: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built_course, tmp_path / "copy")


def edit(path: Path, change) -> None:
    nb = nbformat.read(path, as_version=4)
    change(nb)
    nbformat.write(nb, path)


def test_a_lesson_and_a_solution_have_outputs_and_an_exercise_has_none(root):
    lesson, exercise, solution = (
        nbformat.read(root / path, as_version=4) for path in (LESSON, EXERCISE, SOLUTION)
    )
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3]
    assert code[1].outputs[0].text == "one 1\ntwo\n"
    assert code[1].outputs[1].data == {"text/plain": "2"}
    assert solution.cells[-1].outputs[0].text == "correct\n"
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in exercise.cells)
    note = lesson.metadata.coursekit
    assert (note.source, note.profile, note.data) == (
        "sources/notebooks/03_sums.py",
        "standard",
        {},
    )
    assert "version" not in lesson.metadata.language_info
    for nb in (lesson, exercise, solution):
        nbformat.validate(nb)


def test_a_second_build_changes_nothing(root):
    before = contents(root)
    stamps = {path: path.stat().st_mtime_ns for path in before}
    assert set(build_all(root).values()) == {"up to date"}
    assert contents(root) == before
    assert {path: path.stat().st_mtime_ns for path in before} == stamps


def test_running_again_gives_the_same_bytes(course):
    course.lesson_with("print(object(), {'b', 'a', 'c'})\nobject()")
    assert build_all(course.root) == {"notebooks/03_sums.ipynb": "run"}
    before = contents(course.root)
    assert build_all(course.root, force=True) == {"notebooks/03_sums.ipynb": "run"}
    assert contents(course.root) == before


@pytest.mark.parametrize(("factor", "kept"), [(1.1, True), (10, False)])
def test_a_measurement_is_stored_again_only_where_it_moved(course, factor, kept):
    course.lesson_with("None")
    build_all(course.root)
    path = course.root / "notebooks/03_sums.ipynb"
    nb = nbformat.read(path, as_version=4)
    noted = round(nb.metadata.coursekit.peak_mb * factor)
    nb.metadata.coursekit.peak_mb = noted
    nbformat.write(nb, path)
    assert build_all(course.root, force=True) == {"notebooks/03_sums.ipynb": "run"}
    now = nbformat.read(path, as_version=4).metadata.coursekit.peak_mb
    assert (now == noted) == kept


def test_a_mended_sentence_keeps_the_outputs_and_changed_code_runs_again(course):
    source = course.root / course.lesson_with("import time\nprint(time.time_ns())")
    label = "notebooks/03_sums.ipynb"
    build_all(course.root)

    def printed():
        return nbformat.read(course.root / LESSON, as_version=4).cells[-2].outputs[0].text

    first = printed()
    source.write_text(source.read_text().replace("It adds.", "It adds up."))
    assert build_all(course.root) == {label: "refreshed"}
    assert printed() == first
    assert "It adds up." in (course.root / LESSON).read_text()
    source.write_text(source.read_text().replace("one = 1", "one = 1.0"))
    assert build_all(course.root) == {label: "run"}
    assert printed() != first
    assert build.check(course.root) == []


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("import sys\nprint('careful', file=sys.stderr)", "writes to stderr: careful"),
        ("import os\nos.system('echo careful >&2');", "writes to stderr: careful"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import os\nos.getcwd()", "a path of one machine"),
        ("import ipywidgets\nipywidgets.IntSlider()", "widget"),
        (
            "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
            "shows a picture without alternative text",
        ),
        ("print('x' * 600_000)", "KB; at most 500 KB are allowed"),
    ],
)
def test_a_run_that_is_not_fit_to_be_stored_leaves_the_old_file(root, cell, reason):
    from .conftest import Course

    source = Course(root).lesson_with(cell)
    before = (root / LESSON).read_bytes()
    with pytest.raises(NotebookError, match=rf"^notebooks/03_sums\.ipynb: .*{reason}"):
        build.build_source(root, source)
    assert (root / LESSON).read_bytes() == before
    assert not list(root.rglob("*.part"))


def test_a_solution_that_misses_its_check_leaves_both_old_files(root):
    source = root / "sources/exercises/03_sums.py"
    text = source.read_text().replace("return x * x", "return abs(x) + 1 - x % 2")
    source.write_text(text.replace("# # A small exercise", "# # Another exercise"))
    before = contents(root)
    with pytest.raises(NotebookError, match=r"solutions/03_sums\.ipynb: .* square .*: wrong"):
        build.build_source(root, "sources/exercises/03_sums.py")
    assert contents(root) == before


def test_a_source_that_breaks_a_rule_is_refused_before_anything_runs(course, monkeypatch):
    monkeypatch.setattr(build, "execute", lambda *args, **kwargs: pytest.fail("was run"))
    source = course.lesson("# %%\n1\n")
    with pytest.raises(NotebookError, match=r'03_sums\.py: the heading "What .* \(3 more\.\)'):
        build.build_source(course.root, source)


def test_a_failed_write_leaves_the_old_file_and_the_next_build_clears_up(root, monkeypatch):
    source = root / "sources/notebooks/03_sums.py"
    source.write_text(source.read_text().replace("It adds.", "It adds up."))
    before = (root / LESSON).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", _no_space)
        with pytest.raises(NotebookError, match="cannot be written: No space left"):
            build_all(root)
    assert (root / LESSON).read_bytes() == before
    assert not list(root.rglob("*.part"))
    (root / "notebooks" / ".03_sums.ipynb.killed.part").write_text("half")
    build_all(root)
    assert not list(root.rglob("*.part"))
    assert build.check(root) == []


def _no_space(self, target):
    raise OSError(28, "No space left on device")


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_killed_build_leaves_the_old_file(root, wait_until):
    from .conftest import Course

    marker = root / "started"
    source = Course(root).lesson_with(
        f"from pathlib import Path\nPath({str(marker)!r}).touch()\nimport time\ntime.sleep(600)"
    )
    before = (root / LESSON).read_bytes()
    program = (
        "from pathlib import Path\nfrom coursekit.course.notebooks import build, rules\n"
        "rules.machine_paths = lambda: ()\n"
        f"build.build_source(Path({str(root)!r}), {source!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    wait_until(lambda: marker.exists() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert marker.exists()
    assert (root / LESSON).read_bytes() == before


def test_what_is_in_step_has_no_findings(root):
    assert build.check(root) == []


def _replace(path, old, new):
    def change(root):
        text = (root / path).read_text()
        assert old in text
        (root / path).write_text(text.replace(old, new, 1))

    return change


def _nb(path, change):
    return lambda root: edit(root / path, change)


def _strip(nb):
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def _tag(nb):
    nb.cells[4].metadata.tags.append("extra")


def _grade(nb):
    nb.cells[-1].metadata.nbgrader.points = 7


def _answer(nb):
    nb.cells[-2].source = "def square(x):\n    return x * x"


def _run_mark(nb):
    nb.cells[1].execution_count = 1


def _swap(nb):
    nb.cells[0], nb.cells[1] = nb.cells[1], nb.cells[0]


def _add(nb):
    nb.cells.append(nbformat.v4.new_markdown_cell("More."))


def _drop(nb):
    del nb.cells[0]


def _kernel(nb):
    nb.metadata.kernelspec.name = "other"


def _profile(nb):
    nb.metadata.coursekit.profile = "quick"


def _unlink(path):
    return lambda root: (root / path).unlink()


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (
            _replace("sources/notebooks/03_sums.py", "It adds.", "It sums."),
            "notebooks/03_sums.ipynb: sources/notebooks/03_sums.py has changed since",
        ),
        (
            _replace("sources/exercises/03_sums.py", "x * x", "x**2"),
            'solutions/03_sums.ipynb: code cell 2 under "A small exercise": its text differs',
        ),
        (_replace(LESSON, "It adds.", "It sums."), "its text differs from sources/notebooks"),
        (_replace(LESSON, "one 1", "one 2"), "its outputs were changed by hand"),
        (_nb(LESSON, _strip), "has no outputs"),
        (_nb(LESSON, _tag), 'code cell 3 under "The sum": its tags are'),
        (_nb(EXERCISE, _grade), 'code cell 3 under "A small exercise": its metadata differs'),
        (_nb(EXERCISE, _answer), "exercises/03_sums.ipynb: code cell 2"),
        (_nb(EXERCISE, _run_mark), "an exercise must hold no outputs"),
        (_nb(LESSON, _swap), "its cells stand in another order"),
        (_nb(LESSON, _add), 'text cell 4 under "Further reading": is not in sources/notebooks'),
        (_nb(LESSON, _drop), 'text cell 1 under "What you will be able to do": is in sources/'),
        (_nb(LESSON, _kernel), "its notebook metadata differs"),
        (_nb(LESSON, _profile), "was built with the profile quick, expected standard"),
        (_unlink(LESSON), "notebooks/03_sums.ipynb: is missing; run: python -m coursekit build"),
        (_unlink(SOLUTION), "solutions/03_sums.ipynb: is missing"),
        (
            _unlink("sources/notebooks/03_sums.py"),
            "notebooks/03_sums.ipynb: has no source sources/notebooks/03_sums.py; delete it",
        ),
        (_replace(LESSON, "{", "<<<<<<< ours\n{"), "03_sums.ipynb: is not a valid notebook"),
        (
            _replace("sources/exercises/03_sums.py", "    ### END SOLUTION\n", ""),
            "sources/exercises/03_sums.py: no end solution",
        ),
    ],
)
def test_what_is_out_of_step_is_named_without_running_anything(root, change, finding, monkeypatch):
    monkeypatch.setattr(build, "execute", lambda *args, **kwargs: pytest.fail("was run"))
    change(root)
    found = build.check(root)
    assert any(finding in line for line in found), found


def test_a_hand_edited_notebook_is_built_anew(root):
    before = contents(root)
    _replace(LESSON, "one 1", "one 2")(root)
    _replace(EXERCISE, "your code here", "x * x")(root)
    actions = build_all(root)
    assert actions["notebooks/03_sums.ipynb"] == "run"
    assert actions["exercises/03_sums.ipynb"] == actions["solutions/03_sums.ipynb"] == "refreshed"
    assert contents(root) == before


def test_check_can_look_at_one_notebook_only(root):
    _replace(EXERCISE, "your code here", "x * x")(root)
    assert build.check(root, ["notebooks/03_sums"]) == []
    assert len(build.check(root, ["3"])) == 1


def test_stored_text_is_canonical(root):
    text = (root / LESSON).read_text()
    assert json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n" == text
