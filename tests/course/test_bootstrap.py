"""The bootstrap, on a small course of its own: real environments, real pip, tiny packages."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from coursekit import __main__
from coursekit.course.bootstrap import environment, installation, pip_output, requirements
from coursekit.course.bootstrap import start as bootstrap
from coursekit.errors import CourseError

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["ck-alpha", "ck-beta", "ck-gamma", "ck-delta", "ck-tester"]
STUB = """
import json, sys
import coursekit
def main(arguments):
    import ck_alpha
    print("HANDED OVER", json.dumps([sys.prefix, coursekit.__file__, arguments]))
    return 7
"""


def wheel(folder: Path, name: str, version: str) -> str:
    """Write the wheel of a small package; return its line for a lock."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}/__init__.py": f"VERSION = {version!r}\n",
        **{f"{module}/part_{number}.py": "x = 1\n" * 50 for number in range(40)},
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,{len(text)}\n" for path, text in files.items())
    record += f"{info}/RECORD,,\n"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    (folder / f"{module}-{version}-py3-none-any.whl").write_bytes(content.getvalue())
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    return f"{name}=={version} \\\n    --hash=sha256:{digest}\n"


class Course:
    """A small course in a folder, and the machine it is called on."""

    def __init__(self, folder: Path) -> None:
        self.root, self.wheels = folder / "course", folder / "wheels"
        self.wheels.mkdir()
        shutil.copytree(
            ROOT / "coursekit",
            self.root / "coursekit",
            ignore=lambda path, names: [
                name for name in names if name not in KEPT and Path(path).name == "coursekit"
            ],
        )
        (self.root / "coursekit" / "cli.py").write_text(STUB)
        code = self.root / "coursekit" / "bootstrap" / "environment.py"
        smaller = code.read_text().replace("SPACE = 4 * 10**9", "SPACE = 1")
        assert smaller != code.read_text()
        code.write_text(smaller)
        (self.root / "pyproject.toml").write_text(
            '[project]\nname = "coursekit"\ndependencies = ["ck-alpha>=1"]\n'
            '[project.optional-dependencies]\nlab = []\ntest = ["ck-tester>=1"]\n'
        )
        self.lock("1.0")

    def lock(self, version: str) -> None:
        lines = {name: wheel(self.wheels, name, version) for name in PACKAGES}
        tester = lines.pop("ck-tester")
        absent = (
            lines["ck-beta"].replace(" \\", " ; sys_platform == 'plan9' \\").replace("beta", "b")
        )
        self.lock_text(
            f"# section: base\n{absent}{''.join(lines.values())}# section: test\n{tester}"
        )

    def lock_text(self, text: str) -> None:
        (self.root / "requirements.lock").write_text(text)

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON"))}
        network = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "PIP_RETRIES": "1"}
        kept |= {"PIP_CONFIG_FILE": os.devnull, **network, **settings}
        return subprocess.Popen(
            [sys.executable, "-m", "coursekit", *arguments],
            cwd=self.root,
            env={name: value for name, value in kept.items() if value},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: str, **settings: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **settings)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def handed_over(self, out: str) -> list:
        return json.loads(out.split("HANDED OVER ")[1])

    def versions(self) -> dict[str, str]:
        code = "import json, importlib.metadata as m; print(json.dumps({d.name: d.version "
        code += "for d in m.distributions() if d.name.startswith('ck-')}))"
        python = environment.python(self.root / ".venv")
        return json.loads(subprocess.check_output([str(python), "-I", "-c", code], text=True))


KEPT = {"__init__.py", "__main__.py", "errors.py", "lab.py", "doctor.py", "bootstrap"}


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path)


@pytest.mark.slow
def test_life_of_an_environment(course, tmp_path):
    """First call, second call, test section, new lock, damage: one environment through them all."""
    code, out, err = course.call("lab", "--port", "9", "-x y")
    prefix, package, arguments = course.handed_over(out)
    assert (code, err) == (7, "")
    assert Path(prefix) == course.root / ".venv"
    assert Path(package).parent == course.root / "coursekit"
    assert arguments == ["lab", "--port", "9", "-x y"]
    assert "fetching 1 of 4: ck" in out
    assert "installing" in out
    assert course.versions() == {name: "1.0" for name in PACKAGES if name != "ck-tester"}
    assert not (course.root / ".cache" / "setup").exists()

    code, out, _ = course.call("lab", PIP_FIND_LINKS="")
    assert code == 7, "a second start needs no registry"
    assert out.startswith("HANDED OVER"), "and says nothing of its own"

    code = "import coursekit; print(coursekit.__file__)"
    command = [str(environment.python(course.root / ".venv")), "-I", "-c", code]
    found = subprocess.check_output(command, text=True, cwd=tmp_path)
    assert Path(found.strip()).parent == course.root / "coursekit", "a kernel finds the package"

    code, out, _ = course.call("test")
    assert code == 7
    assert "fetching 5 of 5: ck" in out
    assert course.versions()["ck-tester"] == "1.0"

    course.lock("2.0")
    code, out, _ = course.call("test")
    assert code == 7
    assert out.startswith("Completing")
    assert course.versions() == dict.fromkeys(PACKAGES, "2.0")

    (packages,) = (course.root / ".venv").rglob("site-packages")
    (packages / "ck_alpha-2.0.dist-info" / "INSTALLER").unlink()
    (packages / "ck_beta" / "part_7.py").unlink()
    (packages / "ck_gamma" / "part_3.py").write_text("x =")
    (packages / "~k_delta").mkdir()
    stamp = course.root / ".venv" / "coursekit.json"
    stamp.write_text(json.dumps(json.loads(stamp.read_text()) | {"sections": {}}))
    code, out, err = course.call("lab")
    assert (code, err) == (7, "")
    assert "of 3" in out.split("installing")[1], "just the three damaged ones"
    assert (packages / "ck_beta" / "part_7.py").exists()
    assert (packages / "ck_gamma" / "part_3.py").read_text() == "x = 1\n" * 50
    assert not (packages / "~k_delta").exists()


@pytest.mark.slow
def test_killed_at_any_moment_the_next_call_goes_on(course):
    moments = random.Random(3)
    for _ in range(6):
        process = course.start("test")
        time.sleep(moments.uniform(0.2, 4.0))
        process.kill()
        process.communicate()
    code, out, err = course.call("test")
    assert (code, err) == (7, "")
    assert course.handed_over(out)[2] == ["test"]
    assert sorted(course.versions()) == sorted(PACKAGES)
    (packages,) = (course.root / ".venv").rglob("site-packages")
    assert installation.drop_half_installed(packages) == []


@pytest.mark.slow
def test_two_calls_at_once_do_not_fight(course):
    both = [course.start("test"), course.start("test")]
    answers = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [7, 7]
    assert [err for _, err in answers] == ["", ""]
    assert sum("Setting up the course" in out for out, _ in answers) == 1
    assert sum("waiting for it to end" in out for out, _ in answers) == 1


@pytest.mark.slow
def test_course_that_was_moved_or_lost_its_python_gets_a_new_environment(course):
    assert course.call("lab")[0] == 7
    moved = course.root.with_name("elsewhere with spaces é")
    course.root.rename(moved)
    course.root = moved
    code, out, err = course.call("lab")
    assert (code, err) == (7, "")
    assert "moved or copied: making .venv anew" in out
    assert Path(course.handed_over(out)[1]).parent == moved / "coursekit"
    assert not list((moved / ".cache").glob("venv-*"))

    environment.python(moved / ".venv").unlink()
    code, out, err = course.call("lab")
    assert (code, err) == (7, "")
    assert "is gone: making .venv anew" in out


def test_environment_of_another_making_is_left_alone(course):
    other = course.root / ".venv"
    other.mkdir()
    (other / "pyvenv.cfg").write_text("home = /usr/bin\n")
    code, out, err = course.call("lab")
    assert code == 2
    assert out == ""
    assert "was not made by this course: rename or remove it" in err
    assert err.count("\n") == 1
    assert [path.name for path in other.iterdir()] == ["pyvenv.cfg"]


@pytest.mark.slow
def test_each_failed_installation_is_one_sentence_and_the_next_call_goes_on(course):
    right = (course.root / "requirements.lock").read_text()
    wrong = re.sub("sha256:.{8}", "sha256:00000000", right)
    no_network = {"PIP_NO_INDEX": "", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    for lock, settings, sentence in [
        (right, no_network | {"PIP_FIND_LINKS": ""}, "The package registry cannot be reached"),
        (right, {"PIP_FIND_LINKS": ""}, "The registry that pip uses has no ck-alpha for this"),
        (wrong, {}, "A downloaded package is not the one that requirements.lock asks for"),
    ]:
        course.lock_text(lock)
        code, out, err = course.call("lab", **settings)
        assert code == 2
        assert "HANDED OVER" not in out
        assert err.startswith(f"coursekit: {sentence}")
        assert err.count("\n") == 1
    course.lock_text(right)
    assert course.call("lab")[0] == 7


@pytest.mark.parametrize("text", ["", "# section: test\nx==1\n"])
def test_damaged_lock_is_one_sentence(course, text):
    course.lock_text(text)
    code, _, err = course.call("lab")
    assert code == 2
    assert "requirements.lock is damaged" in err
    assert err.count("\n") == 1


def test_help_version_and_doctor_answer_before_anything_is_installed(course):
    for arguments in ([], ["--help"], ["lab", "--help"]):
        code, out, err = course.call(*arguments)
        assert (code, err) == (0, "")
        assert all(name in out for name in bootstrap.COMMANDS)
    assert course.call("--version")[1] == f"coursekit {sys.modules['coursekit'].__version__}\n"
    code, out, err = course.call("doctor")
    assert (code, err) == (1, "")
    assert "missing or too old: ck-alpha>=1\n  to mend: run: python3 -m coursekit lab" in out
    code, _, err = course.call("lap")
    assert code == 2
    assert err.startswith("coursekit: no command 'lap': there is lab, test")
    assert not (course.root / ".venv").exists()


def test_environment_that_has_the_packages_is_used_as_it_is(course, tmp_path):
    own = tmp_path / "own"
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(own)], check=True)
    (packages,) = own.rglob("site-packages")
    for name in course.wheels.glob("ck_alpha-*.whl"):
        with zipfile.ZipFile(name) as archive:
            archive.extractall(packages)
    command = [str(environment.python(own)), "-m", "coursekit", "lab"]
    answer = subprocess.run(command, cwd=course.root, capture_output=True, text=True)
    assert answer.returncode == 7, answer.stderr
    assert Path(course.handed_over(answer.stdout)[0]) == own
    assert not (course.root / ".venv").exists()


@pytest.mark.parametrize("version", [(3, 6, 15), (3, 10, 13), (3, 14, 0)])
def test_unsupported_python_is_one_sentence(monkeypatch, capsys, version):
    monkeypatch.setattr(sys, "version_info", version)
    assert __main__.main(["lab"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "needs Python 3.11, 3.12 or 3.13, and this is " + ".".join(map(str, version)) in said.err
    assert said.err.count("\n") == 1


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A course folder in which nothing is installed, seen from inside this process."""
    monkeypatch.setattr(requirements, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(environment, "CACHE", tmp_path / ".cache")
    (tmp_path / "requirements.lock").write_text("# section: base\na==1\n# section: test\n")
    return tmp_path


def test_full_disk_is_seen_before_anything_is_made(empty, monkeypatch):
    usage = shutil.disk_usage(empty)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**9))
    with pytest.raises(
        CourseError, match=r"needs 4\.0 GB of free space in .*, and 1\.0 GB are free"
    ):
        environment.prepare(("base",))
    assert not (empty / ".venv").exists()


def test_folder_without_write_permission_is_one_sentence(empty, monkeypatch):
    def refuse(self: Path, *rest: object, **more: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(CourseError, match=r"No permission to write .*\.cache: move the course"):
        environment.prepare(("base",))


def test_read_only_file_system_is_one_sentence(empty, monkeypatch):
    def refuse(self: Path, *rest: object, **more: object) -> None:
        raise OSError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(CourseError, match=r"failed \(Read-only file system: .*\.cache\)"):
        environment.prepare(("base",))


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_python_without_venv_says_what_to_install(empty, monkeypatch, module):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == module else real(name)
    )
    with pytest.raises(CourseError, match=r"sudo apt install python3\.\d+-venv"):
        environment.prepare(("base",))


def test_intel_mac_and_32_bits_are_refused(empty, monkeypatch):
    import platform

    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    with pytest.raises(CourseError, match="64-bit Python"):
        environment.prepare(("base",))
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(CourseError, match="Intel Macs"):
        environment.prepare(("base",))


def test_interrupt_is_one_line_and_130(monkeypatch, capsys):
    def interrupt(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap, "_start", interrupt)
    assert bootstrap.start(["lab"]) == 130
    assert "the same command goes on from here" in capsys.readouterr().err


def test_progress_line_counts_what_this_machine_gets():
    stream = io.StringIO()
    progress = pip_output.Progress(4, stream)
    for line in [
        "Looking in indexes: x",
        "Ignoring appnope: markers 'sys_platform == \"darwin\"' don't match your environment",
        "Requirement already satisfied: keras==3.15 in /x (3.15)",
        "Collecting tensorflow==2.21.0",
        "  Downloading tensorflow-2.21.0-cp311-cp311-linux.whl (620.7 MB)",
        "Collecting numpy==2.4",
        "Installing collected packages: numpy, tensorflow",
    ]:
        progress.read(line + "\n")
    for count in (0, 1, 2):
        progress.wait(count)
    shown = stream.getvalue().splitlines()
    assert shown == [
        "  fetching 1 of 3: keras",
        "  fetching 2 of 3: tensorflow",
        "  fetching 3 of 3: numpy",
        "  installing 1 of 2: numpy",
        "  installing 2 of 2: tensorflow",
    ]


def test_progress_on_a_terminal_is_one_line_that_leaves_nothing_behind(monkeypatch):
    clock = time.monotonic()
    monkeypatch.setattr(pip_output.time, "monotonic", lambda: clock)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    progress = pip_output.Progress(2, stream)
    progress.read("Collecting a-very-long-name==1\n")
    progress.read("Collecting b==1\n")
    monkeypatch.setattr(pip_output.time, "monotonic", lambda: clock + 25)
    progress.wait(0)
    progress.close()
    line = ""
    for part in stream.getvalue().split("\r"):
        line = part + line[len(part) :]
    assert "\n" not in stream.getvalue()
    assert "  fetching 2 of 2: b  " in stream.getvalue()
    assert "\r  fetching 2 of 2: b, 25 s" in stream.getvalue()
    assert line.strip() == ""


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "certificate"),
        ("OSError: [Errno 13] Permission denied: '/x/.venv/lib'", "cannot be written"),
        ("ReadTimeoutError: HTTPSConnectionPool: Read timed out.", "cannot be reached"),
        ("HINT: Windows Long Path support is not enabled", "too long for Windows"),
        ("ERROR: Something new happened.\n", "failed: Something new happened (all of it in"),
        ("", "failed: it said nothing"),
        (
            "Collecting x\nWARNING: Retrying (Retry(total=4" + "\n" * 4000 + "ERROR: Odd",
            "failed: Odd",
        ),
    ],
)
def test_failures_of_pip_are_explained_in_one_sentence(output, sentence):
    said = pip_output.explain(output)
    assert sentence in said
    assert "\n" not in said
