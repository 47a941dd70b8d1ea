from __future__ import annotations

import json
import operator
import re
import subprocess
import sys

import pytest

import coursekit
from coursekit.base.environment import ROOT

LIGHT = [
    "coursekit",
    "coursekit.__main__",
    "coursekit.course.bootstrap",
    "coursekit.cli",
    "coursekit.course.bootstrap.doctor",
    "coursekit.lesson",
    "coursekit.course.lab.workspace",
    "coursekit.course.lab.jupyter_server",
    "coursekit.datasets.commands",
    "coursekit.course.notebooks.commands",
    "coursekit.experiments.study.commands",
]


def loaded_by(statement: str) -> set[str]:
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")
    return {name.split(".")[0] for name in json.loads(answer.stdout)}


@pytest.mark.parametrize("module", LIGHT)
def test_module_loads_no_tensorflow(module):
    assert not loaded_by(f"import {module}") & {"tensorflow", "keras"}


def test_the_package_itself_loads_the_standard_library_only():
    foreign = loaded_by("import coursekit") - loaded_by("pass") - set(sys.stdlib_module_names)
    assert foreign == {"coursekit"}


@pytest.mark.parametrize(
    "module", ["coursekit.course.bootstrap", "coursekit.course.bootstrap.doctor"]
)
def test_what_runs_before_the_installation_loads_the_standard_library_only(module):
    foreign = loaded_by(f"import {module}") - loaded_by("pass") - set(sys.stdlib_module_names)
    assert foreign == {"coursekit"}


def test_every_name_of_the_package_is_there():
    code = "import coursekit as ck; [getattr(ck, name) for name in ck.__all__]"
    assert "tensorflow" in loaded_by(code)


def test_every_name_that_notebooks_and_pages_use_is_there():
    pages = [*ROOT.glob("sources/**/*.py"), *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in pages)
    used = sorted(set(re.findall(r"\bck((?:\.[A-Za-z_]\w*)+)", text)))
    assert len(used) > 40
    lost = []
    for name in used:
        try:
            operator.attrgetter(name[1:])(coursekit)
        except AttributeError:
            lost.append(f"ck{name}")
    assert not lost


def test_unknown_name_says_which_there_are():
    with pytest.raises(AttributeError, match=r"no attribute 'lod'; it has .*load"):
        _ = coursekit.lod
