"""Every fault that `tools/mutated_lessons.py` makes can still be made."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from coursekit.base.environment import ROOT


def tool():
    path = ROOT / "tools" / "mutated_lessons.py"
    spec = importlib.util.spec_from_file_location("mutated_lessons", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


FAULTS = [
    fault for path in sorted(tool().FAULTS.glob("*.toml")) for fault in tool().faults(path.stem)
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_changes_one_place_and_leaves_valid_code(fault, tmp_path):
    folder = tool().broken(fault, tmp_path)
    path = folder / "coursekit" / fault.module
    compile(path.read_text(encoding="utf-8"), str(path), "exec")
    assert path.read_text(encoding="utf-8") != (ROOT / "coursekit" / fault.module).read_text()
