"""The bootstrap, on a small course of its own: real uv, real pip, tiny packages.

Every small course but one gets its empty environment as a copy of one made once: `python -m venv`
is most of the time a small course takes.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from coursekit import __main__
from coursekit.base.files import locked
from coursekit.course.bootstrap import environment, installation, registry, requirements
from coursekit.course.bootstrap import start as bootstrap
from coursekit.course.bootstrap.leftovers import half_installed
from coursekit.errors import CourseError
from tests.course.small_course import UV, change, copy_package, wheel

PACKAGES = ["ck-alpha", "ck-beta", "ck-gamma", "ck-delta", "ck-tester"]
STUB = """
import json, sys
import coursekit
def main(arguments):
    import ck_alpha
    print("HANDED OVER", json.dumps([sys.prefix, coursekit.__file__, arguments]))
    return 7
"""

needs_uv = pytest.mark.skipif(
    UV is None, reason="uv is not installed here (the course's own .venv has it)"
)


class Course:
    """A small course in a folder, and the machine it is called on."""

    def __init__(self, folder: Path, installer: str, empty: Path | None) -> None:
        self.root, self.wheels = folder / "course", folder / "wheels"
        self.wheels.mkdir()
        self.installer = installer
        copy_package(self.root, STUB, dependencies=["ck-tester>=1"])
        if empty is not None:
            copy = "import shutil, sys; "
            copy += "shutil.copytree(*sys.argv[1:], symlinks=True, dirs_exist_ok=True)"
            change(
                self.root, '"-m", "venv", str(VENV)', f'"-c", {copy!r}, {str(empty)!r}, str(VENV)'
            )
        self.lock("1.0")

    def lock(self, version: str) -> None:
        lines = {name: wheel(self.wheels, name, version, files=40) for name in PACKAGES}
        tester = lines.pop("ck-tester")
        absent = (
            lines["ck-beta"].replace(" \\", " ; sys_platform == 'plan9' \\").replace("beta", "b")
        )
        self.lock_text(
            f"# section: installer\n{self.installer}# section: base\n{absent}"
            f"{''.join(lines.values())}# section: test\n{tester}"
        )

    def lock_text(self, text: str) -> None:
        (self.root / "requirements.lock").write_text(text)

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON", "UV_"))}
        links = f"{self.wheels} {self.wheels.parent.parent / 'uv'}"
        network = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": links, "PIP_RETRIES": "1"}
        kept |= {"UV_CACHE_DIR": str(self.wheels.parent / "uv-cache"), "UV_HTTP_RETRIES": "0"}
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
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def handed_over(self, out: str) -> list:
        return json.loads(out.split("HANDED OVER ")[1])

    @property
    def packages(self) -> Path:
        (packages,) = (self.root / ".venv").rglob("site-packages")
        return packages

    def versions(self) -> dict[str, str]:
        stems = [path.name.removesuffix(".dist-info") for path in self.packages.glob("ck_*-info")]
        return dict(stem.replace("_", "-").rsplit("-", 1) for stem in stems)


OFFLINE = {"PIP_FIND_LINKS": ""}


@pytest.fixture(scope="session")
def installer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The line of a lock for uv, whose wheel lies in the folder `uv` of the session."""
    folder = tmp_path_factory.getbasetemp() / "uv"
    folder.mkdir()
    return wheel(folder, "uv", "1.0", program=UV)


@pytest.fixture(scope="session")
def empty_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with pip, and with uv where it is at hand."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-I", "-m", "venv", str(folder)], check=True)
    if UV:
        shutil.copy(UV, environment.python(folder).parent)
    return folder


@pytest.fixture
def course(tmp_path: Path, installer: str, empty_environment: Path) -> Course:
    return Course(tmp_path, installer, empty_environment)


@pytest.mark.slow
@needs_uv
def test_life_of_an_environment(tmp_path, installer):
    """First call, second call, test section, new lock, damage: one environment through them all."""
    course = Course(tmp_path, installer, empty=None)
    code, out, err = course.call("lab", "--port", "9", "-x y")
    prefix, package, arguments = course.handed_over(out)
    assert (code, err) == (7, "")
    assert Path(prefix) == course.root / ".venv"
    assert Path(package).parent == course.root / "coursekit"
    assert arguments == ["lab", "--port", "9", "-x y"]
    assert "pip installs" not in out
    assert course.versions() == {name: "1.0" for name in PACKAGES if name != "ck-tester"}
    assert not (course.root / ".cache" / "setup").exists()
    assert "ck-alpha==1.0" in (course.root / ".cache" / "setup.log").read_text()

    code, out, _ = course.call("lab", **OFFLINE)
    assert code == 7, "a second start needs no registry"
    assert out.startswith("HANDED OVER"), "and says nothing of its own"

    code = "import coursekit; print(coursekit.__file__)"
    command = [str(environment.python(course.root / ".venv")), "-I", "-c", code]
    found = subprocess.check_output(command, text=True, cwd=tmp_path)
    assert Path(found.strip()).parent == course.root / "coursekit", "a kernel finds the package"

    assert not list(course.packages.glob("ck_*/__pycache__/part_7*"))
    assert course.call("test")[0] == 7
    assert course.versions()["ck-tester"] == "1.0"
    compiled = list(course.packages.glob("ck_*/__pycache__/part_7*"))
    assert len(compiled) == 5, "tests are many processes: each would compile them"

    course.lock("2.0")
    code, out, _ = course.call("test")
    assert code == 7
    assert out.startswith("Completing")
    assert course.versions() == dict.fromkeys(PACKAGES, "2.0")

    whole = course.packages / "ck_delta" / "part_7.py"
    before = whole.stat().st_ctime_ns
    (course.packages / "ck_alpha-2.0.dist-info" / "INSTALLER").unlink()
    (course.packages / "ck_beta" / "part_7.py").unlink()
    (course.packages / "ck_gamma" / "part_3.py").unlink()
    (course.packages / "ck_gamma" / "part_3.py").write_text("x =")
    (course.packages / "~k_delta").mkdir()
    stamp = course.root / ".venv" / "coursekit.json"
    stamp.write_text(json.dumps(json.loads(stamp.read_text()) | {"sections": {}}))
    code, out, err = course.call("lab")
    assert (code, err) == (7, "")
    assert half_installed(course.packages) == []
    assert (course.packages / "ck_beta" / "part_7.py").exists()
    assert (course.packages / "ck_gamma" / "part_3.py").read_text() == "x = 1\n" * 50
    assert not (course.packages / "~k_delta").exists()
    assert whole.stat().st_ctime_ns == before, "what was whole is left alone"


@pytest.mark.slow
def test_where_uv_has_no_wheel_pip_installs(course):
    change(course.root, '"uv.exe" if os.name == "nt" else "uv"', '"none"', module="installation")
    course.installer = course.installer.replace("==1.0", "==9.0")
    course.lock("1.0")
    code, out, err = course.call("lab")
    assert (code, err) == (7, "")
    assert "uv does not run on this machine: pip installs" in out
    assert course.versions() == {name: "1.0" for name in PACKAGES if name != "ck-tester"}


@pytest.mark.slow
@needs_uv
def test_where_uv_fails_and_the_machine_is_not_the_reason_pip_installs(course):
    code, out, err = course.call("lab", UV_FIND_LINKS=str(course.root))
    assert (code, err) == (7, "")
    assert "uv could not install the packages: pip tries" in out
    assert course.versions() == {name: "1.0" for name in PACKAGES if name != "ck-tester"}


@pytest.mark.slow
@needs_uv
def test_where_uvs_cache_cannot_be_written_one_of_the_courses_own_is_used_and_removed(course):
    blocked = course.root / "file"
    blocked.write_text("")
    code, out, err = course.call("lab", UV_CACHE_DIR=str(blocked / "cache"))
    assert (code, err) == (7, "")
    assert "pip" not in out
    assert not (course.root / ".cache" / "uv").exists()


@pytest.mark.slow
def test_killed_at_any_moment_the_next_call_goes_on(course):
    moments = random.Random(3)
    for _ in range(6):
        process = course.start("test")
        time.sleep(moments.uniform(0.1, 2.5))
        process.kill()
        process.communicate()
    code, out, err = course.call("test")
    assert (code, err) == (7, "")
    assert course.handed_over(out)[2] == ["test"]
    assert sorted(course.versions()) == sorted(PACKAGES)
    assert half_installed(course.packages) == []


@pytest.mark.slow
def test_two_calls_at_once_do_not_fight(course):
    (course.root / ".cache").mkdir(exist_ok=True)
    with locked(course.root / ".cache" / "setup.lock"):  # so that neither is done before the other
        both = [course.start("test"), course.start("test")]
        said = [process.stdout.readline() for process in both]
    assert ["waiting for it to end" in line for line in said] == [True, True]
    answers = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [7, 7]
    assert [err for _, err in answers] == ["", ""]
    assert sum("Setting up the course" in out for out, _ in answers) == 1


@pytest.mark.slow
def test_moved_course_or_lost_python_gets_a_new_environment_once_that_one_works(course):
    assert course.call("lab")[0] == 7
    moved = course.root.with_name("elsewhere with spaces é")
    course.root.rename(moved)
    course.root = moved
    code, out, err = course.call("lab", **OFFLINE)
    assert (code, err) == (7, ""), "offline, the old one can still be used"
    assert "moved or copied: making .venv anew" in out
    assert "the course runs with the packages that are there" in out
    assert Path(course.handed_over(out)[1]).parent == moved / "coursekit"
    code, out, err = course.call("lab")
    assert (code, err) == (7, "")
    assert "the packages that are there" not in out
    assert Path(course.handed_over(out)[1]).parent == moved / "coursekit"
    assert course.call("lab")[1].startswith("HANDED OVER")

    found = environment.python(moved / ".venv")
    aside = found.with_name("gone")
    found.rename(aside)
    code, out, err = course.call("lab", **OFFLINE)
    assert code == 2
    assert "is gone: making .venv anew" in out
    assert err.startswith("coursekit: Installing the packages failed")
    assert aside.is_symlink() or aside.exists(), "offline, the old one stays"
    code, out, err = course.call("lab")
    assert (code, err) == (7, "")
    assert not aside.exists()
    assert not [path for path in (moved / ".cache").iterdir() if "venv" in path.name]


@pytest.mark.slow
def test_newer_lock_offline_leaves_the_environment_in_use(course):
    assert course.call("lab")[0] == 7
    course.lock("2.0")
    for _ in range(2):
        code, out, err = course.call("lab", **OFFLINE)
        assert (code, err) == (7, "")
        assert "the course runs with the packages that are there" in out
    pyproject = course.root / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("ck-alpha>=1", "ck-alpha>=2"))
    assert course.call("lab", **OFFLINE)[0] == 2, "those packages are too old for the course"
    assert course.call("lab")[0] == 7
    assert set(course.versions().values()) == {"2.0"}


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
    failed = "Installing the packages failed: "
    for lock, settings, sentence in [
        (right, no_network | OFFLINE, "The package registry cannot be reached"),
        (right, OFFLINE, f"{failed}No matching distribution found for ck-alpha==1.0 (all of it"),
        (wrong, {}, f"{failed}THESE PACKAGES DO NOT MATCH THE HASHES"),
    ]:
        course.lock_text(lock)
        code, out, err = course.call("lab", **settings)
        assert code == 2
        assert "HANDED OVER" not in out
        assert err.startswith(f"coursekit: {sentence}")
        assert err.count("\n") == 1
        assert (course.root / ".cache" / "setup.log").stat().st_size
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


def test_progress_on_a_terminal_is_one_line_that_leaves_nothing_behind(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    progress = installation.Progress()
    progress.show("Downloading a-very-long-name (1.2MiB)")
    progress.show("Downloaded b")
    monkeypatch.undo()
    shown = stream.getvalue()
    assert re.fullmatch(
        r"\r  \d+ s: Downloading a-very-long-name .*\r  \d+ s: Downloaded b +", shown
    )
    monkeypatch.setattr(sys, "stdout", stream)
    progress.close()
    monkeypatch.undo()
    line = ""
    for part in stream.getvalue().split("\r"):
        line = part + line[len(part) :]
    assert "\n" not in stream.getvalue()
    assert line.strip() == ""


def test_progress_is_silent_where_nobody_looks(capsys):
    progress = installation.Progress()
    progress.show("Downloaded b")
    progress.close()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("Collecting x\nERROR: One\nERROR: No x for this machine.\n", "No x for this machine"),
        ("Resolved 2\nerror: No room\n  cause: os error 28\n\n", "No room, cause: os error 28"),
        ("Killed by\nthe system\n", "the system"),
        ("", "it said nothing"),
        ("error: " + "long " * 100, "long " * 47 + "…"),
    ],
    ids=["pip", "uv", "no error line", "nothing", "long"],
)
def test_reason_is_the_installers_last_error_in_one_line(log, said):
    assert installation.reason(log) == said


@pytest.fixture
def python_with_pip(empty_environment: Path) -> Path:
    return environment.python(empty_environment)


def test_uv_is_told_what_pip_was_told_by_files_and_variables(
    python_with_pip, tmp_path, monkeypatch
):
    certificates = tmp_path / "company.pem"
    certificates.write_text("")
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://mirror.example/simple\ntimeout = 7\nno-index = false\n"
        "extra-index-url =\n  file:///one\n  file:///two\n"
        "[install]\ntrusted-host = mirror.example\ntimeout = 8\n"
    )
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_", "SSL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://nearer.example/simple")
    monkeypatch.setenv("PIP_CERT", str(certificates))
    monkeypatch.setenv("PIP_PROXY", "proxy.example:3128")
    settings = registry.pip_settings(python_with_pip)
    assert "no-index" not in settings
    told = registry.variables_for_uv(settings)
    expected = {
        "UV_DEFAULT_INDEX": "https://nearer.example/simple",
        "UV_INSECURE_HOST": "mirror.example",
        "UV_HTTP_TIMEOUT": "8",
        "SSL_CERT_FILE": str(certificates),
        "HTTPS_PROXY": "http://proxy.example:3128",
    }
    assert told | expected == told
    assert told["UV_INDEX"].split()[-2:] == ["file:///one", "file:///two"]
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://for-uv.example")
    assert "UV_DEFAULT_INDEX" not in registry.variables_for_uv(settings), "uv's own setting stays"


def test_registry_that_answers_anything_is_no_trouble(python_with_pip):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = {"index-url": f"http://me:secret@127.0.0.1:{server.server_port}/simple"}
        assert registry.trouble(settings, python_with_pip) is None
        server.shutdown()
    assert registry.trouble(settings, python_with_pip) == registry.NETWORK
    assert registry.trouble({"no-index": "1"}, python_with_pip) is None
    assert registry.trouble({"index-url": "file:///simple"}, python_with_pip) is None


def test_untrusted_certificate_is_told_from_no_network(python_with_pip, monkeypatch):
    def refuse(self: object, address: str, timeout: float) -> None:
        assert "://" in address, "without settings, it is the registry of pip itself"
        raise urllib.error.URLError(ssl.SSLCertVerificationError(1, "self-signed"))

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", refuse)
    assert registry.trouble({}, python_with_pip) == registry.CERTIFICATE


def test_certificate_file_without_certificates_is_named(python_with_pip, tmp_path):
    (tmp_path / "empty.pem").write_text("")
    settings = {"cert": str(tmp_path / "empty.pem"), "index-url": "https://127.0.0.1:9/simple"}
    assert registry.trouble(settings, python_with_pip) == registry.CERTIFICATE
