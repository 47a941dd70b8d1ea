"""A bundle: made of a small course with tiny packages, started where there is no network."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.tags import parse_tag

import coursekit as ck
from coursekit import cli
from coursekit.course.bootstrap import requirements
from coursekit.course.classroom import bundle as bundles
from coursekit.course.classroom import bundle_start, bundle_wheels
from coursekit.course.classroom.bundle import SUPPORTED, bundle
from coursekit.errors import ArgumentError, CourseError, DataError
from tests.course import small_course

HERE = bundle_start._SYSTEMS.get((platform.system(), platform.machine()))
VERSION = "{}.{}".format(*sys.version_info[:2])
STUB = """
import json, os, pathlib, sys
import coursekit
def main(arguments):
    if arguments[:2] == ["data", "path"]:
        print(pathlib.Path.home() / "cache")
        return 0
    import ck_alpha
    routes = pathlib.Path("/proc/net/route")
    print("STARTED", json.dumps({
        "prefix": sys.prefix, "package": coursekit.__file__, "arguments": arguments,
        "alpha": ck_alpha.VERSION, "cwd": os.getcwd(),
        "routes": routes.read_text().splitlines()[1:] if routes.exists() else [],
    }))
    return 7
"""
pytestmark = pytest.mark.skipif(HERE is None, reason=f"no wheels for {platform.platform()}")


def wheel(folder: Path, name: str, version: str, **settings: Any) -> str:
    """Write a wheel; its line in the lock holds the hash of another system's, too."""
    others = [b"the file of another system"]
    return small_course.wheel(folder, name, version, for_others=others, **settings)


class Course:
    """A small course in a git checkout, and a registry with its wheels."""

    def __init__(self, folder: Path):
        self.root, self.registry = folder / "course", folder / "registry"
        small_course.copy_package(self.root, STUB)
        room = self.root / "coursekit" / "course" / "classroom"
        room.mkdir()
        shutil.copy(bundle_start.__file__, room)
        for stub in (room.parent / "__init__.py", room / "__init__.py"):
            stub.touch()
        (self.root / "untracked.txt").write_text("not part of the course")
        self.installer = wheel(self.registry, "uv", "1.0", program=small_course.UV)
        self.lock("1.0")
        subprocess.run(["git", "init", "--quiet"], cwd=self.root, check=True)
        self.add("coursekit", "pyproject.toml", "requirements.lock")

    def add(self, *names: str) -> None:
        subprocess.run(["git", "add", *names], cwd=self.root, check=True)

    def lock(self, version: str) -> None:
        mac = wheel(self.registry, "ck-mac", version)
        mac = mac.replace(" \\", " ; sys_platform == 'darwin' \\", 1)
        alpha = wheel(self.registry, "ck-alpha", version)
        (self.root / "requirements.lock").write_text(
            f"# section: installer\n{self.installer}# section: base\n{alpha}{mac}# section: test\n"
        )

    def locked(self, sections):
        text = (self.root / "requirements.lock").read_text()
        return {name: requirements.sections(text)[name] for name in sections}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A cache with one small data set."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEKIT_DATA", str(folder))
        ck.load("digits")
    return folder


@pytest.fixture
def course(tmp_path, monkeypatch, data) -> Course:
    made = Course(tmp_path)
    monkeypatch.setenv("COURSEKIT_DATA", str(data))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", made.registry.as_uri())
    monkeypatch.setattr(bundles, "locked", made.locked)
    return made


def make(course: Course, to: Path, systems=(HERE,), pythons=(VERSION,)) -> list[str]:
    said: list[str] = []
    bundle(to, systems, pythons, root=course.root, say=said.append)
    return said


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Making it


@pytest.mark.slow
def test_a_bundle_holds_the_course_its_wheels_the_data_and_the_scripts(course, tmp_path, data):
    to = tmp_path / "stick"
    said = make(course, to, ["linux-x86_64", "windows"], ["3.11", "3.12"])
    assert len([line for line in said if line.startswith("Wheels for")]) == 4
    assert names(to / "wheels") == {"ck_alpha-1.0-py3-none-any.whl", "uv-1.0-py3-none-any.whl"}
    assert (to / "course" / "requirements.lock").is_file()
    assert not (to / "course" / "untracked.txt").exists()
    assert not (to / "course" / ".git").exists()
    (manifest,) = to.glob("data/*/*/manifest.json")
    home = data / "digits" / "embedded"
    for path in home.rglob("*.npy"):
        copy = manifest.parent / path.relative_to(home)
        assert copy.read_bytes() == path.read_bytes()
    assert {"start.sh", "start.command", "start.bat", "READ ME FIRST.txt"} <= names(to)
    about = json.loads((to / "bundle.json").read_text())
    assert about["systems"] == ["linux-x86_64", "windows"]


def test_a_requirement_of_one_system_is_there_for_that_one(course, tmp_path):
    make(course, tmp_path / "stick", ["macos-arm64"], ["3.12"])
    assert "ck_mac-1.0-py3-none-any.whl" in names(tmp_path / "stick" / "wheels")


@pytest.mark.slow
def test_both_editions_are_there_where_the_first_releases_of_a_python_need_an_older_one(
    course, tmp_path
):
    old = wheel(course.registry, "ck-late", "1.0")
    new = wheel(course.registry, "ck-late", "2.0", python=">=3.11.5")
    lock = course.root / "requirements.lock"
    old = old.replace(" \\", " ; python_full_version < '3.11.5' \\", 1)
    new = new.replace(" \\", " ; python_full_version >= '3.11.5' \\", 1)
    lock.write_text(lock.read_text().replace("# section: test", f"{old}{new}# section: test"))
    make(course, tmp_path / "stick", ["windows"], ["3.11"])
    late = {name for name in names(tmp_path / "stick" / "wheels") if name.startswith("ck_late")}
    assert late == {f"ck_late-{version}-py3-none-any.whl" for version in ("1.0", "2.0")}


@pytest.mark.slow
def test_made_again_it_keeps_what_is_right_and_drops_what_is_old(course, tmp_path):
    to = tmp_path / "stick"
    make(course, to)
    kept = (to / "wheels" / "uv-1.0-py3-none-any.whl").stat().st_ctime_ns
    (to / "wheels" / "ck_alpha-1.0-py3-none-any.whl").write_bytes(b"damaged")
    (to / "wheels" / "no wheel.whl").touch()
    (to / "course" / "left over.txt").write_text("from an older version")
    make(course, to)
    assert not (to / "wheels" / "no wheel.whl").exists()
    assert zipfile.is_zipfile(to / "wheels" / "ck_alpha-1.0-py3-none-any.whl")
    course.lock("2.0")
    make(course, to)
    assert (to / "wheels" / "uv-1.0-py3-none-any.whl").stat().st_ctime_ns == kept
    assert "ck_alpha-1.0-py3-none-any.whl" not in names(to / "wheels")
    assert not (to / "course" / "left over.txt").exists()


def test_what_is_there_is_not_asked_for_again(course, tmp_path, monkeypatch):
    to = tmp_path / "stick"
    make(course, to)
    monkeypatch.setattr(bundle_wheels, "_PIP", ["-c", "raise SystemExit('no registry')"])
    make(course, to)
    (to / "wheels" / "ck_alpha-1.0-py3-none-any.whl").write_bytes(b"damaged")
    with pytest.raises(CourseError, match="no registry"):
        make(course, to)


@pytest.mark.parametrize(
    ("system", "python", "fits", "does_not"),
    [
        ("linux-x86_64", "3.12", "cp312-cp312-manylinux_2_27_x86_64", "cp311-cp311-linux_x86_64"),
        ("linux-x86_64", "3.12", "cp39-abi3-manylinux2014_x86_64", "cp312-cp312-win_amd64"),
        ("linux-aarch64", "3.11", "py3-none-manylinux_2_17_aarch64", "py3-none-linux_armv7l"),
        ("windows", "3.13", "cp313-cp313-win_amd64", "cp313-cp313-win_arm64"),
        ("macos-arm64", "3.11", "cp311-cp311-macosx_11_0_arm64", "cp311-cp311-macosx_14_0_arm64"),
        ("macos-arm64", "3.11", "cp311-cp311-macosx_10_9_universal2", "cp311-cp311-win32"),
        ("windows", "3.11", "py3-none-any", "cp311-cp311-macosx_11_0_arm64"),
    ],
)
def test_a_wheel_is_known_by_its_tags(system, python, fits, does_not):
    tags = bundle_wheels.SYSTEMS[system].tags(f"{python}.99")
    assert parse_tag(fits) <= tags
    assert not parse_tag(does_not) & tags


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: path.unlink(), "No matching distribution found for ck-alpha==1.0"),
        (lambda path: path.write_bytes(path.read_bytes() + b" "), "HASHES|hashes"),
    ],
    ids=["missing", "another hash"],
)
def test_a_wheel_that_cannot_be_had_leaves_no_bundle(course, tmp_path, harm, said):
    to = tmp_path / "stick"
    make(course, to)
    (to / "wheels" / "ck_alpha-1.0-py3-none-any.whl").unlink()
    harm(course.registry / "ck_alpha-1.0-py3-none-any.whl")
    with pytest.raises(CourseError, match=said) as failed:
        make(course, to)
    assert len(str(failed.value).splitlines()) == 1
    with pytest.raises(CourseError, match="no whole bundle"):
        bundle_start.read_manifest(to)


def test_damaged_data_are_not_given_away(course, tmp_path, monkeypatch, data):
    harmed = tmp_path / "data"
    shutil.copytree(data, harmed)
    (victim, *_) = harmed.rglob("x_test.npy")
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    monkeypatch.setenv("COURSEKIT_DATA", str(harmed))
    with pytest.raises(DataError, match="digits"):
        make(course, tmp_path / "stick")
    assert not (tmp_path / "stick" / "bundle.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--systems", "amiga"], "expected some of linux-x86_64, linux-aarch64, windows"),
        (["--python", "2.7"], "expected some of 3.11, 3.12, 3.13, got '2.7'"),
        (["--systems", ","], "at least one system"),
    ],
)
def test_bad_input_gets_one_sentence(tmp_path, capfd, arguments, said):
    assert cli.main(["class", "bundle", "--to", str(tmp_path / "stick"), *arguments]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "stick").exists()


def test_a_folder_that_holds_something_else_is_left_alone(course, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "summer.jpg").touch()
    with pytest.raises(ArgumentError, match="holds something else"):
        make(course, tmp_path / "photos")
    assert names(tmp_path / "photos") == {"summer.jpg"}


def test_without_git_it_says_so(course, tmp_path, monkeypatch):
    shutil.rmtree(course.root / ".git")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(CourseError, match="in a clone of the course"):
        make(course, tmp_path / "stick")


@pytest.mark.parametrize("python", SUPPORTED)
@pytest.mark.parametrize("name", bundle_wheels.SYSTEMS)
def test_every_release_of_python_finds_what_the_lock_asks_of_it(name, python):
    """Against each entry of the real lock, read by packaging."""
    lock = "".join(requirements.locked(("installer", "base")).values())
    target = bundle_wheels.SYSTEMS[name]
    fetched = "".join(bundle_wheels.requirements_for(lock, target, python).values())
    entries = re.findall(r"^(\w.*?)(?: \\)?\n((?:    --hash.*\n)*)", lock, re.MULTILINE)
    assert sum(hashes.count("--hash") for _, hashes in entries) == lock.count("--hash")
    for line, hashes in entries:
        asked = Requirement(line)
        for release in (0, 4, 5, 19):
            place = {
                "sys_platform": target.sys_platform,
                "os_name": "nt" if name == "windows" else "posix",
                "implementation_name": "cpython",
                "python_full_version": f"{python}.{release}",
                "python_version": python,
            }
            if asked.marker is None or asked.marker.evaluate(place):
                assert f"{asked.name}{asked.specifier} \\\n{hashes}" in fetched


# Starting it


def run(bundle_folder: Path, home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Start a bundle that cannot be written to, in a network namespace without routes."""
    read_only = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"'
    script = f'{read_only} && if touch "$1/x" 2>&-; then exit 99; fi && exec sh "$1/start.sh" "$2"'
    command = ["unshare", "--net", "--mount", "sh", "-c", script, "sh", str(bundle_folder)]
    base = Path(getattr(sys, "_base_executable", sys.executable)).parent
    kept = {name: of for name, of in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    return subprocess.run(
        [*command, *(options or ("--no-browser",))],
        env={**kept, "HOME": str(home), "PATH": f"{base}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


def _no_namespaces() -> str:
    if not shutil.which("unshare"):
        return "unshare is not installed here"
    answer = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True)
    return answer.stderr.strip()


in_a_namespace = pytest.mark.skipif(
    bool(reason := _no_namespaces()), reason=f"no network namespace can be made: {reason}"
)


@pytest.mark.slow
@in_a_namespace
def test_it_starts_without_a_network_from_a_folder_that_is_read_only(course, tmp_path):
    """The first start, the second, a newer bundle that is damaged, and one that is whole."""
    stick, home = tmp_path / "my 학습 stick", tmp_path / "home"
    home.mkdir()
    make(course, stick)
    first = run(stick, home)
    assert first.returncode == 7, first.stdout + first.stderr
    told = json.loads(first.stdout.split("STARTED ")[1])
    target = home / "coursekit"
    assert told == {
        "prefix": str(target / ".venv"),
        "package": str(target / "coursekit" / "__init__.py"),
        "arguments": ["lab", "--offline", "--no-browser"],
        "alpha": "1.0",
        "cwd": str(target),
        "routes": [],
    }
    assert (home / "cache" / "digits" / "embedded" / "manifest.json").is_file()

    second = run(stick, home)
    assert second.returncode == 7
    assert "Setting up" not in second.stdout + second.stderr

    (target / "work").mkdir()
    (target / "work" / "mine.ipynb").write_text("mine")
    course.lock("2.0")
    make(course, stick)
    good = stick / "wheels" / "ck_alpha-2.0-py3-none-any.whl"
    content = good.read_bytes()
    good.write_bytes(content[:-50])
    damaged = run(stick, home)
    assert damaged.returncode == 7, damaged.stdout + damaged.stderr
    assert json.loads(damaged.stdout.split("STARTED ")[1])["alpha"] == "1.0", "the old one works"
    good.write_bytes(content)
    assert json.loads(run(stick, home).stdout.split("STARTED ")[1])["alpha"] == "2.0"
    assert (target / "work" / "mine.ipynb").read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="a script of a POSIX shell")
def test_without_a_fitting_python_it_names_those_that_fit(course, tmp_path):
    make(course, tmp_path / "stick")
    (tmp_path / "bin").mkdir()
    for name in ("dirname", "sh"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    for name in (f"python{VERSION}", "python3"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "bin" / name).chmod(0o755)
    answer = subprocess.run(
        ["/bin/sh", str(tmp_path / "stick" / "start.sh")],
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 1
    assert answer.stderr == (
        f"The course needs Python {VERSION}: install one of them and start this again.\n"
    )


@pytest.mark.slow
def test_the_scripts_of_all_systems_run_the_same_module(course, tmp_path):
    to = tmp_path / "stick"
    make(course, to, [HERE], ["3.11", "3.13"])
    assert (to / "start.sh").read_bytes() == (to / "start.command").read_bytes()
    assert os.access(to / "start.sh", os.X_OK) or os.name != "posix"
    batch = (to / "start.bat").read_bytes()
    assert batch.count(b"\r\n") == batch.count(b"\n")
    assert b"in (3.13 3.11)" in batch
    for script in ("start.sh", "start.bat"):
        assert "-m coursekit.course.classroom.bundle_start" in (to / script).read_text()


@pytest.mark.parametrize(
    ("systems", "pythons"), [(["amiga"], [VERSION]), ([HERE], ["2.7"])], ids=["system", "python"]
)
def test_a_bundle_for_another_machine_says_for_which(tmp_path, systems, pythons):
    about = {"systems": systems, "pythons": pythons, "files": []}
    (tmp_path / "bundle.json").write_text(json.dumps(about))
    with pytest.raises(CourseError, match=f"for {systems[0]} with Python {pythons[0]}, and this"):
        bundle_start.read_manifest(tmp_path)


def test_a_half_copied_bundle_is_refused_in_one_line(tmp_path, capfd):
    assert bundle_start.main([str(tmp_path)]) == 2
    assert "copy it once more" in capfd.readouterr().err
    assert bundle_start.main([str(tmp_path), "--to"]) == 2


# What is there already


@pytest.fixture
def copies(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    for name in ("a.md", "b.md", "c.md"):
        (source / name).write_text(f"{name}, first edition")
    bundle_start.copy_course(source, target, ["a.md", "b.md", "c.md"])
    return source, target


def test_a_newer_course_replaces_the_old_one_but_not_what_a_learner_changed(copies):
    source, target = copies
    (target / "b.md").write_text("my notes")
    (target / "c.md").write_text("my notes, too")
    (target / "d.md").write_text("mine alone")
    for name in ("a.md", "b.md"):
        (source / name).write_text(f"{name}, second edition")
    bundle_start.copy_course(source, target, ["a.md", "b.md"])
    texts = {path.name: path.read_text() for path in target.glob("*.md")}
    assert texts == {
        "a.md": "a.md, second edition",
        "b.md": "b.md, second edition",
        "b.yours-1.md": "my notes",
        "c.md": "my notes, too",
        "d.md": "mine alone",
    }


def test_what_the_course_has_no_more_goes(copies):
    source, target = copies
    bundle_start.copy_course(source, target, ["a.md"])
    assert {path.name for path in target.glob("*.md")} == {"a.md"}


def test_a_damaged_mark_loses_nothing(copies):
    source, target = copies
    (target / "a.md").write_text("my notes")
    (target / ".coursekit-bundle.json").write_text("{")
    bundle_start.copy_course(source, target, ["a.md", "b.md", "c.md"])
    assert (target / "a.yours-1.md").read_text() == "my notes"


def test_a_folder_of_something_else_is_not_touched(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CourseError, match="--to FOLDER"):
        bundle_start.copy_course(tmp_path, tmp_path, [])
    assert names(tmp_path) == {"thesis.tex"}


def test_data_that_are_there_stay_and_half_copied_ones_are_replaced(tmp_path):
    data, cache = tmp_path / "data", tmp_path / "cache"
    for name in ("mnist/official", "cifar10/imported"):
        (data / name).mkdir(parents=True)
        (data / name / "manifest.json").write_text("new")
    (cache / "mnist" / "official").mkdir(parents=True)
    (cache / "mnist" / "official" / "manifest.json").write_text("my own")
    (cache / "cifar10" / ".imported.part").mkdir(parents=True)
    (cache / "cifar10" / ".imported.part" / "half").touch()
    bundle_start.copy_data(data, cache)
    assert (cache / "mnist" / "official" / "manifest.json").read_text() == "my own"
    assert names(cache / "cifar10") == {"imported"}
    assert names(cache / "cifar10" / "imported") == {"manifest.json"}
