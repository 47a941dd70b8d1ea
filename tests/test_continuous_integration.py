"""The files for other people's machines are valid, and call nothing but the README's commands."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from coursekit.base.environment import ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "tests.yml"
GITLAB = ROOT / ".gitlab-ci.yml"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "authors" / "continuous-integration.md").read_text(encoding="utf-8")


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def of_the_readme(command: str) -> bool:
    """Say whether the README names a command; on Windows, `python3` is `python`."""
    wanted = re.sub(r"^python3? ", "python3 ", command.strip())
    return re.search(rf"^{re.escape(wanted)}( |$)", README, re.MULTILINE) is not None


@pytest.mark.parametrize(
    ("schema", "path"),
    [("vendor.github-workflows", WORKFLOW), ("vendor.gitlab-ci", GITLAB)],
    ids=["github", "gitlab"],
)
def test_the_file_is_what_the_host_expects(schema, path):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_only_commands_of_the_readme_are_called():
    jobs = load(WORKFLOW)["jobs"].values()
    called = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    called += load(GITLAB)["tests"]["script"]
    called += re.findall(r'^exec (.+?) "\$@"$', (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert len(called) == 3
    assert [command for command in called if not of_the_readme(command)] == []
    assert not of_the_readme("python3 -m pytest")


def test_every_supported_python_is_tested_on_three_systems_at_each_push_and_every_night():
    with (ROOT / "pyproject.toml").open("rb") as file:
        supported = tomllib.load(file)["project"]["requires-python"]
    assert supported == ">=3.11,<3.14"
    workflow = load(WORKFLOW)
    matrix = workflow["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    assert [name.split("-")[0] for name in matrix["system"]] == ["ubuntu", "macos", "windows"]
    when = workflow[True]  # YAML reads the key `on` as a truth value
    assert "push" in when
    assert re.fullmatch(r"\d+ \d+ \* \* \*", when["schedule"][0]["cron"])
    assert load(GITLAB)["tests"]["parallel"]["matrix"] == [{"PYTHON": matrix["python"]}]


def test_the_page_names_commands_that_are_tested():
    assert "\npytest --nbval-lax notebooks\n" in PAGE  # run by tests/course/notebooks/test_nbval.py
    assert "python3 -m coursekit test --quick" in PAGE
