from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from coursekit.course.notebooks.execute import checks, execute
from coursekit.course.notebooks.kernels import environment


def notebook(*sources: str, tags: tuple[str, ...] = ()):
    cells = [new_code_cell(source, metadata={"tags": list(tags)}) for source in sources]
    return new_notebook(cells=[new_markdown_cell("# Title"), *cells])


def test_outputs_are_stored_and_the_streams_of_a_cell_are_one():
    nb = notebook(
        "import os\nfor i in range(3):\n    print(i, flush=True)\nos.system('echo native')\n'last'"
    )
    done = []
    outcome = execute(nb, profile="quick", on_cell=lambda *count: done.append(count))
    stream, result = nb.cells[1].outputs
    assert sorted(stream.text.split()) == ["0", "1", "2", "native"]
    assert result.data["text/plain"] == "'last'"
    assert (outcome.failure, done) == (None, [(0, 2), (1, 2), (2, 2)])
    assert "execution" not in nb.cells[1].metadata


def test_what_is_written_past_python_stands_under_the_cell_that_wrote_it():
    written = [f"cell {number}" for number in range(20)]
    nb = notebook(*(f"import os\nos.write(2, b'{text}');" for text in written))
    assert execute(nb, profile="quick").failure is None
    told = [[(out.name, out.text) for out in cell.outputs] for cell in nb.cells[1:]]
    assert told == [[("stderr", text)] for text in written]


def test_the_kernel_is_this_python_headless_in_an_empty_folder_that_goes(monkeypatch):
    monkeypatch.setenv("COURSEKIT_GRADING", "1")
    names = ("COURSEKIT_HEADLESS", "COURSEKIT_PROFILE", "COURSEKIT_GRADING", "PYTHONHASHSEED")
    nb = notebook(
        "import os, sys\nfrom pathlib import Path\n"
        f"print([os.environ.get(name) for name in {names}])",
        "print(sys.executable, '\\n', Path.cwd(), sep='')",
        "Path('left').write_text('x');",
    )
    execute(nb, profile="quick")
    assert nb.cells[1].outputs[0].text == "['1', 'quick', None, '0']\n"
    executable, folder = nb.cells[2].outputs[0].text.splitlines()
    assert executable == sys.executable
    assert not Path(folder).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such sockets")
@pytest.mark.parametrize(("length", "transport"), [(10, "ipc"), (120, "tcp")])
def test_no_port_is_chosen_ahead_where_a_path_can_take_its_place(monkeypatch, length, transport):
    with tempfile.TemporaryDirectory(prefix="b" * length) as base:
        monkeypatch.setattr(tempfile, "tempdir", base)
        nb = notebook(
            "from ipykernel.connect import get_connection_info\n"
            "print(get_connection_info(unpack=True)['transport'])"
        )
        assert execute(nb, profile="quick").failure is None
        assert nb.cells[1].outputs[0].text == f"{transport}\n"
        assert list(Path(base).iterdir()) == []


def test_a_relative_folder_means_the_callers_and_not_the_kernels(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSEKIT_DATA", "data")
    monkeypatch.setenv("COURSEKIT_MIRROR", "mirror")
    names = ("COURSEKIT_DATA", "COURSEKIT_MIRROR")
    nb = notebook(
        f"import os\nfor name in {names}:\n    print(os.environ[name])",
        "from coursekit.datasets import cache_dir\nprint(cache_dir())",
    )
    execute(nb, profile="quick")
    assert nb.cells[1].outputs[0].text.splitlines() == [
        str(tmp_path / "data"),
        str(tmp_path / "mirror"),
    ]
    assert nb.cells[2].outputs[0].text.strip() == str(tmp_path / "data")


def test_the_address_of_a_mirror_stays_as_it_is(monkeypatch):
    monkeypatch.setenv("COURSEKIT_MIRROR", "http://mirror.example/data")
    assert environment(profile="quick")["COURSEKIT_MIRROR"] == "http://mirror.example/data"


def test_grading_is_on_only_where_asked():
    assert environment(profile="full", grading=True)["COURSEKIT_GRADING"] == "1"


def test_facts_are_asked_at_the_end_without_a_trace():
    nb = notebook(
        "import sys, types\n"
        "passed = lambda: {'03.a': 'correct', '03.b': 'wrong'}\n"
        "used = lambda: {'mnist': 'embedded'}\n"
        "sys.modules['coursekit.checks'] = types.SimpleNamespace(passed=passed)\n"
        "sys.modules['coursekit.datasets'] = types.SimpleNamespace(used=used)",
        "held = bytearray(300_000_000)\nheld[::4096] = b'x' * len(held[::4096])\ndel held",
        tags=("claim",),
    )
    nb.cells[1].metadata.tags = ["check:a"]
    outcome = execute(nb, profile="quick")
    assert outcome.data == {"mnist": "embedded"}
    assert checks(nb, outcome) == {"a": True}
    assert outcome.claims == 1
    assert 300 < outcome.peak_mb < 1000
    assert [cell.outputs for cell in nb.cells[1:]] == [[], []]


@pytest.mark.parametrize(
    ("source", "failure"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("assert False, 'expected 3,\\nmeasured 4'", "AssertionError: expected 3,"),
        ("raise ValueError", "ValueError:"),
        ("import os\nos._exit(3)", "the kernel died (exit status 3)."),
        ("import time\ntime.sleep(600)", "still running after 10 s, so it was stopped."),
    ],
)
def test_a_cell_that_fails_is_named_and_ends_the_run(source, failure):
    nb = notebook("print('before')", source, "print('after')", tags=("claim",))
    outcome = execute(nb, profile="quick", timeout=10)
    assert outcome.failure == f'code cell 2 under "Title": {failure}'
    assert outcome.claims == 1
    assert nb.cells[3].outputs == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_kernel_that_is_killed_is_told_with_its_likely_cause():
    nb = notebook("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    outcome = execute(nb, profile="quick")
    assert outcome.failure.endswith(
        "the kernel died (signal 9; too little memory is the usual cause)."
    )
    assert outcome.peak_mb is None


def test_a_cell_that_ignores_the_interrupt_is_stopped_all_the_same(tmp_path, wait_until):
    nb = notebook(
        "import os, time\nfrom pathlib import Path\n"
        f"Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "while True:\n    try:\n        time.sleep(99)\n    except KeyboardInterrupt:\n        pass"
    )
    outcome = execute(nb, profile="quick", timeout=10)
    assert "still running after 10 s" in outcome.failure
    kernel = int((tmp_path / "pid").read_text())
    wait_until(lambda: not psutil.pid_exists(kernel))


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_control_c_stops_the_run_and_its_kernel(tmp_path, wait_until):
    program = textwrap.dedent(f"""
        from nbformat.v4 import new_code_cell, new_notebook
        from coursekit.course.notebooks.execute import execute
        source = '''import os, time
        from pathlib import Path
        Path({str(tmp_path / "part")!r}).write_text(str(os.getpid()))
        Path({str(tmp_path / "part")!r}).rename({str(tmp_path / "pid")!r})
        time.sleep(600)'''
        execute(new_notebook(cells=[new_code_cell(source)]), profile="quick")
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    wait_until((tmp_path / "pid").exists)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert said.strip().endswith("KeyboardInterrupt")
    kernel = int((tmp_path / "pid").read_text())
    wait_until(lambda: not psutil.pid_exists(kernel))
