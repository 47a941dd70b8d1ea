"""Every process that collects the tests finds the same ones: else the workers' lists disagree.

pytest-xdist breaks the whole run off where two workers found different names, such as a name that
holds the second, an address in memory, or the order of a set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from .conftest import LONG, SLOW

ROOT = Path(__file__).resolve().parents[1]
COLLECT = """
import json, pathlib, sys, time
import pytest

for name, shift in (("time", 100_003.7), ("time_ns", 100_003_700_000_001)):
    real = getattr(time, name)
    setattr(time, name, lambda real=real, shift=shift: real() + shift)


class Names:
    def pytest_collection_finish(self, session):
        names = [item.nodeid for item in session.items]
        pathlib.Path(sys.argv[1]).write_text(json.dumps(names))


options = ["--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
sys.exit(pytest.main([*sys.argv[2:], *options], [Names()]))
"""


def collect(out: Path, arguments: Sequence[str]) -> list[str]:
    """Collect in a process whose clock is a day ahead, and whose hashes have another seed."""
    command = [sys.executable, "-c", COLLECT, str(out), *arguments]
    seed = "2" if os.environ.get("PYTHONHASHSEED") != "2" else "3"
    answer = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return json.loads(out.read_text())


@pytest.mark.slow
def test_another_process_finds_these_tests_in_the_same_order(tmp_path, pytestconfig):
    here = pytestconfig.collected_names  # before any was left out, or their order drawn
    there = collect(tmp_path / "names.json", pytestconfig.args)
    assert len(set(here)) == len(here)
    assert [pair for pair in zip(here, there, strict=False) if len(set(pair)) > 1][:5] == []
    assert len(here) == len(there)


@pytest.mark.parametrize("values", ["[gzip.compress(b'x')]", "[str(time.time_ns())]"])
def test_names_that_hold_the_clock_are_seen(tmp_path, values):
    (tmp_path / "test_it.py").write_text(
        "import gzip, pytest, time\n"
        f"@pytest.mark.parametrize('x', {values})\n"
        "def test_it(x): pass\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    here = subprocess.check_output([*command, "test_it.py"], cwd=tmp_path, text=True)
    (there,) = collect(tmp_path / "names.json", ["-c", str(tmp_path / "pytest.ini"), str(tmp_path)])
    assert "test_it.py::test_it[" in here
    assert there.split("::")[-1] not in here


@pytest.mark.parametrize("name", SLOW + LONG)
def test_what_is_called_slow_is_there(name):
    path, _, function = name.partition("::")
    assert f"def {function}" in (ROOT / path).read_text(encoding="utf-8")
