from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from coursekit import __version__, cli
from coursekit.course.bootstrap import doctor
from coursekit.course.commands import COMMANDS
from coursekit.course.lab import command as lab_command
from coursekit.course.lab import jupyter_server, preferences
from coursekit.course.testing import suite
from coursekit.errors import CourseError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course of one notebook."""
    cells = [{"cell_type": "markdown", "metadata": {}, "source": "# Hello"}]
    content = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_start_here.ipynb").write_text(json.dumps(content))
    return tmp_path


@pytest.fixture
def taken_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def lab(course: Path, **options: object) -> int:
    settings = {"browser": False, "port": None, "offline": False, "fresh": [], "solutions": False}
    return lab_command.open_lab(course, **settings | options)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lap"], "No such command 'lap'"),
        (["lab", "--port", "x"], "Invalid value for '--port'"),
        (["lab", "--port", "70000"], "Invalid value for '--port'"),
        (["lab", "--colour"], "No such option: --colour"),
        (["data", "lost"], "No such command 'lost'"),
        (["data", "import", "nonsense", "."], "nonsense"),
        (["run", "99"], "99"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(arguments, said, capsys):
    assert cli.main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert shown.err.startswith("coursekit: ")
    assert shown.err.count("\n") == 1


def raising(error: BaseException):
    def report() -> int:
        raise error

    return report


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CourseError("Do this."), 2, "coursekit: Do this.\n"),
        (OSError(28, "No space left on device", "/x"), 2, "No space left on device: /x; mend that"),
        (PermissionError(13, "Permission denied", "/x"), 2, "Permission denied: /x; mend that"),
        (KeyError("k"), 1, "stopped by an unexpected error, KeyError: 'k' (put --debug first"),
        (KeyboardInterrupt(), 130, "coursekit: interrupted."),
    ],
    ids=["ours", "disk full", "permission", "defect", "Ctrl-C"],
)
def test_error_is_one_line_with_its_exit_code(error, code, line, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "report", raising(error))
    assert cli.main(["doctor"]) == code
    shown = capsys.readouterr().err
    assert line in shown
    assert shown.strip().count("\n") == 0


@pytest.mark.parametrize("arguments", [["--debug", "doctor"], ["doctor", "--debug"]])
def test_debug_shows_the_traceback(arguments, monkeypatch):
    monkeypatch.setattr(doctor, "report", raising(CourseError("Do this.")))
    with pytest.raises(CourseError, match="Do this"):
        cli.main(arguments)


def test_help_names_every_command_and_imports_none_of_the_mounted(capsys):
    assert cli.main([]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)
    code = "import sys; from coursekit.cli import main; main(['lab', '--help']); main(['--help'])"
    code += "; print([m for m in sys.modules if m.startswith('coursekit.') or m == 'numpy'])"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = answer.stdout.splitlines()[-1]
    for module in (
        "numpy",
        "coursekit.datasets",
        "coursekit.course.notebooks",
        "coursekit.experiments.study",
    ):
        assert repr(module) not in loaded


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(name, capsys):
    assert cli.main([name, "--help"]) == 0
    assert f"coursekit {name}" in capsys.readouterr().out


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"coursekit {__version__}\n"


def test_mounted_command_runs(capsys):
    assert cli.main(["data", "path"]) == 0
    assert capsys.readouterr().out.strip() == os.environ["COURSEKIT_DATA"]


@pytest.mark.parametrize(
    ("words", "passed_on", "quick"),
    [
        (
            ["tests/test_cli.py", "-k", "this or that", "--debug", "-xq"],
            ["tests/test_cli.py", "-k", "this or that", "--debug", "-xq"],
            False,
        ),
        (["--quick", "-x"], ["-x"], True),
        (["09", "-n", "1"], ["09", "-n", "1"], False),
    ],
)
def test_what_follows_test_goes_to_the_suite(monkeypatch, words, passed_on, quick):
    seen = []
    monkeypatch.setattr(suite, "prove", lambda given, *, quick: seen.append((given, quick)) or 5)
    assert cli.main(["test", *words]) == 5
    assert seen == [(passed_on, quick)]


def test_a_port_in_use_is_refused_when_asked_for(course, taken_port):
    with pytest.raises(CourseError, match=f"Port {taken_port} is in use: name another"):
        lab(course, port=taken_port)
    assert not (course / "work").exists()


@pytest.fixture
def other_lab():
    """The port of a lab that answers whoever has not its token as JupyterLab does: 403."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(403)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.slow
def test_where_another_lab_takes_the_port_in_the_meantime_it_is_the_next(
    course, other_lab, monkeypatch, capsys
):
    truth, a_moment_ago = jupyter_server._is_free, iter([True])
    monkeypatch.setattr(
        jupyter_server, "_is_free", lambda port: next(a_moment_ago, False) or truth(port)
    )
    monkeypatch.setattr(jupyter_server, "FIRST_PORT", other_lab)
    monkeypatch.setattr(jupyter_server, "compile_beside", _interrupt)
    monkeypatch.setattr(jupyter_server.signal, "signal", lambda *_: None)
    assert lab(course) == 0
    (port,) = re.findall(r"JupyterLab: http://127.0.0.1:(\d+)/", capsys.readouterr().out)
    assert other_lab < int(port) < other_lab + 100


def _interrupt():
    raise KeyboardInterrupt


def test_lab_outside_a_clone_says_so(tmp_path):
    with pytest.raises(CourseError, match="run `lab` in a clone of the course"):
        lab(tmp_path)


def test_jupyter_that_does_not_start_is_one_sentence(course, monkeypatch):
    monkeypatch.setattr(jupyter_server, "_OWN_OPTIONS", ("--ServerApp.ip=1.2.3",))
    monkeypatch.setattr(jupyter_server.signal, "signal", lambda *_: None)
    with pytest.raises(CourseError, match=r"JupyterLab did not start: .+jupyter\.log\)\.$"):
        lab(course)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="ends the lab by a signal, as a POSIX terminal does")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_lab_serves_the_first_notebook_with_its_own_kernel_and_ends_cleanly(course, tmp_path, end):
    home = tmp_path / "home"
    for folder in (home / ".local/share/jupyter", tmp_path / "other"):
        kernel = folder / "kernels" / "python3"
        kernel.mkdir(parents=True)
        spec = {"argv": ["/bin/false"], "display_name": "Foreign", "language": "python"}
        (kernel / "kernel.json").write_text(json.dumps(spec))
    code = (
        "import sys; from pathlib import Path; from coursekit.course.lab.command import open_lab\n"
    )
    code += f"sys.exit(open_lab(Path({str(course)!r}), browser=False, port=None, offline=True, "
    code += "fresh=[], solutions=False))"
    variables = {
        "HOME": str(home),
        "JUPYTER_PATH": str(tmp_path / "other"),
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    said = []
    for line in process.stdout:
        said.append(line)
        if "Ctrl-C" in line:
            break
    (address,) = (line.split()[-1] for line in said if line.startswith("JupyterLab: "))
    assert "/lab/tree/notebooks/00_start_here.ipynb?token=" in address, said
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    assert opener.open(address).status == 200
    base, token = address.split("/lab/tree/")[0], address.split("token=")[1]
    kernels = json.load(opener.open(f"{base}/api/kernelspecs?token={token}"))["kernelspecs"]
    assert kernels["python3"]["spec"]["display_name"] != "Foreign"
    page = opener.open(address).read().decode()
    (found,) = re.findall(r'<script id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)
    disabled = json.loads(found)["disabledExtensions"]
    assert {"@jupyter/nbgrader", "jupyterlab-jupytext"} <= set(disabled), "tools for instructors"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        opener.open(f"{base}/formgrader?token={token}")
    plugin = "@jupyterlab/apputils-extension:notification"
    settings = json.load(opener.open(f"{base}/lab/api/settings/{plugin}?token={token}"))
    assert settings["schema"]["properties"]["fetchNews"]["default"] == "false", "or it would ask"
    os.killpg(process.pid, end)
    rest, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "your notebooks are in work/" in rest
    assert not any("WARNING" in line or " ServerApp]" in line for line in [*said, rest])
    with pytest.raises(OSError, match="refused"):
        opener.open(base, timeout=60)


def test_preferences_are_apart_from_the_users_own_and_keep_the_learners_layout(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/somewhere")
    found = preferences.write_preferences(tmp_path)
    ours, theirs = found["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert theirs == "/somewhere"
    workspaces = Path(found["JUPYTERLAB_WORKSPACES_DIR"])
    assert all(folder.is_relative_to(tmp_path) for folder in (Path(ours), workspaces))
    (layout,) = workspaces.iterdir()
    layout.write_text("the learner's")
    preferences.write_preferences(tmp_path)
    assert layout.read_text() == "the learner's"


def test_kernels_find_this_course_first_and_offline_is_passed_on(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.delenv("COURSEKIT_OFFLINE", raising=False)
    found = jupyter_server.environment(ROOT, offline=True)
    assert found["PYTHONPATH"].split(os.pathsep) == [str(ROOT), "/somewhere"]
    assert found["COURSEKIT_OFFLINE"] == "1"
    assert "COURSEKIT_OFFLINE" not in jupyter_server.environment(ROOT, offline=False)


def test_doctor_says_what_is_wrong_and_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_device", lambda: doctor.Finding("device", "CPU"))
    assert doctor.report() == 0
    assert "Everything is in order." in capsys.readouterr().out
    monkeypatch.setenv("COURSEKIT_PROFILE", "fast")
    assert doctor.report() == 1
    shown = capsys.readouterr().out
    assert "expected quick, standard or full, got 'fast'" in shown
    assert "to mend: unset COURSEKIT_PROFILE" in shown
    assert "To mend: profile." in shown


def test_doctor_warns_of_little_memory_and_little_space(monkeypatch, tmp_path):
    assert "quick" in doctor._memory(2e9).advice
    assert doctor._memory(16e9).advice == ""
    assert doctor._memory(None).value == "unknown"
    short = doctor._space(tmp_path, 1e9)
    assert short.wrong
    assert "make room" in short.advice
    assert not doctor._space(tmp_path, 0).wrong


def test_doctor_counts_what_the_container_may_use(monkeypatch):
    monkeypatch.setattr(doctor.machine, "cores", lambda: 1)
    monkeypatch.setattr(doctor.machine, "total_memory", lambda: 3e9)
    monkeypatch.setattr(doctor, "_device", lambda: doctor.Finding("device", "CPU"))
    found = {finding.name: finding for finding in doctor.examine()}
    assert found["processor"].value.endswith(", 1 core")
    assert found["memory"].value == "3.0 GB"
    assert found["memory"].advice


def test_doctor_survives_a_tensorflow_that_crashes(monkeypatch):
    monkeypatch.setattr(doctor, "_ASK_TENSORFLOW", "import os; os.abort()")
    assert doctor._device().wrong
    monkeypatch.setattr(doctor, "_ASK_TENSORFLOW", 'print(\'["GPU:0", "GPU:1"]\')')
    assert doctor._device().value == "2 GPUs"


def test_doctor_table_on_a_terminal(capsys):
    doctor._show_table([doctor.Finding("profile", "fast [bold]", "unset it", wrong=True)])
    shown = capsys.readouterr().out
    assert "fast [bold]" in shown
    assert "what to do" in shown
