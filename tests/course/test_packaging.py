"""pyproject.toml, requirements.lock, environment.yml and the Python versions say the same."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from coursekit.base.python_versions import FIRST, LAST
from coursekit.course.bootstrap import requirements

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
SECTIONS = requirements.sections(LOCK)
MACHINES = [
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
]
VERSIONS = [f"3.{minor}" for minor in range(FIRST[1], LAST[1] + 1)]


def entries(section: str) -> list[str]:
    lines = re.sub(r" \\\n\s+", " ", SECTIONS[section]).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def locked(section: str) -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for line in entries(section):
        requirement = Requirement(line.split(" --hash")[0])
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def applies(marker: Marker | None, machine: dict[str, str], version: str) -> bool:
    place = {**machine, "python_version": version, "python_full_version": f"{version}.1"}
    return marker is None or marker.evaluate(place | {"extra": ""})


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine["sys_platform"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("section", "extras"), [("base", ["lab"]), ("test", ["test"])])
def test_lock_holds_every_dependency_once_on_each_system(machine, version, section, extras):
    there = locked("base") | (locked("test") if section == "test" else {})
    for line in requirements.declared(PROJECT, *extras):
        asked = Requirement(line)
        found = [
            pinned
            for pinned in there.get(canonicalize_name(asked.name), [])
            if applies(pinned.marker, machine, version)
        ]
        assert len(found) == 1, f"{line}: {len(found)} versions for {machine} {version}"
        (only,) = found[0].specifier
        assert only.operator == "=="
        assert asked.specifier.contains(only.version), f"{line} is locked as {only.version}"


def test_lessons_have_what_they_need_and_the_extras_for_tests_a_section_of_their_own():
    assert "optuna" in locked("base")
    assert {"dask", "distributed", "nbval", "nbgrader"} <= set(locked("test"))
    assert not set(locked("base")) & set(locked("test"))


def test_lock_has_hashes_for_all_and_no_address():
    for section in SECTIONS:
        assert entries(section)
        for line in entries(section):
            assert re.search(r" --hash=sha256:[0-9a-f]{64}", line), line
            assert re.match(r"[\w.-]+==\S+( ; .+?)?( --hash=sha256:[0-9a-f]{64})+$", line), line
    assert "://" not in LOCK
    assert "index" not in LOCK


def test_conda_twin_equals_pyproject():
    twin = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = [line for line in twin["dependencies"] if isinstance(line, str) and line != "pip"]
    (pip,) = (line["pip"] for line in twin["dependencies"] if isinstance(line, dict))
    assert pip.count("-e .") == 1
    written = [line.replace(" ", "", 1) for line in conda] + [
        line for line in pip if line != "-e ."
    ]
    ours = [*requirements.declared(PROJECT, "lab", "test"), f"python{PROJECT['requires-python']}"]
    assert sorted(map(as_pair, written)) == sorted(map(as_pair, ours))


def as_pair(line: str) -> tuple[str, str]:
    requirement = Requirement(line)
    return (canonicalize_name(requirement.name), str(requirement.specifier))


def test_supported_versions_are_those_of_pyproject():
    supported = SpecifierSet(PROJECT["requires-python"])
    tried = [f"3.{minor}" for minor in range(6, 20)]
    assert [version for version in tried if version in supported] == VERSIONS


@pytest.mark.parametrize(
    "name", ["__init__.py", "__main__.py", "base/__init__.py", "base/python_versions.py"]
)
def test_what_runs_before_the_version_check_can_be_read_by_an_old_python(name):
    source = (ROOT / "coursekit" / name).read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 6))
    futures = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    assert not futures, "Python 3.6 does not know `from __future__ import annotations`"


def test_limits_of_pyproject_are_of_the_two_kinds_the_bootstrap_reads():
    for line in requirements.declared(PROJECT, "lab", "test"):
        for specifier in Requirement(line).specifier:
            assert specifier.operator in {">=", "<"}, line


def test_bootstrap_and_packaging_agree_on_what_fits():
    versions = [
        "0.9",
        "1.0",
        "1.8.0",
        "2.21.0",
        "2.22",
        "2.21.1rc1",
        "3.13",
        "4",
        "2025.9.1",
        "8.4",
    ]
    for line in requirements.declared(PROJECT, "lab", "test"):
        for version in versions:
            expected = Requirement(line).specifier.contains(version, prereleases=True)
            assert requirements.fits(version, line) == expected, (version, line)
