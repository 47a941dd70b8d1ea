"""Cores, memory and threads as a container gives them; the peak of this process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from coursekit.base import machine
from coursekit.base.machine import peak_mb


def system(root: Path, groups: str, files: dict[str, str]) -> Path:
    """Write a made-up file system: the lines of /proc/self/cgroup, and files of the groups."""
    own = root / "proc" / "self" / "cgroup"
    own.parent.mkdir(parents=True)
    own.write_text(groups)
    for name, value in files.items():
        path = root / "sys" / "fs" / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")
    return root


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/\n", {}, 8),
        ("0::/\n", {"cpu.max": "max 100000"}, 8),
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/\n", {"cpu.max": "5000 100000"}, 1),
        ("0::/\n", {"cpu.max": "4000000 100000"}, 8),
        ("0::/\n", {"cpu.max": "nonsense"}, 8),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        (
            "3:cpu,cpuacct:/\n",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "1"},
            8,
        ),
        (
            "3:cpu,cpuacct:/box\n",
            {"cpu/box/cpu.cfs_quota_us": "200000", "cpu/box/cpu.cfs_period_us": "100000"},
            2,
        ),
    ],
)
def test_cores_are_those_of_the_process_and_of_its_control_groups(tmp_path, groups, files, cores):
    assert machine.cores(system(tmp_path, groups, files)) == cores


def test_without_affinity_and_control_groups_all_cores_count(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.cores(tmp_path) == 16
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.cores(tmp_path) == 1


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {}, 64e9),
        ("0::/\n", {"memory.max": "max"}, 64e9),
        ("0::/\n", {"memory.max": "2000000000"}, 2e9),
        ("0::/a/b\n", {"a/memory.max": "3000000000", "a/b/memory.max": "max"}, 3e9),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, 64e9),
        ("4:memory:/x\n", {"memory/x/memory.limit_in_bytes": "1500000000"}, 1.5e9),
    ],
)
def test_memory_is_the_smaller_of_machine_and_limit(tmp_path, monkeypatch, groups, files, expected):
    monkeypatch.setattr(machine, "_main_memory", lambda: 64_000_000_000)
    assert machine.total_memory(system(tmp_path, groups, files)) == expected


def test_memory_is_unknown_where_no_one_says(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_main_memory", lambda: None)
    assert machine.total_memory(tmp_path) is None


@pytest.mark.parametrize(("processes", "threads"), [(1, "8"), (2, "4"), (3, "2"), (9, "1")])
def test_processes_share_the_cores(processes, threads):
    assert set(machine.threads_each(processes).values()) == {threads}
    assert "OMP_NUM_THREADS" in machine.threads_each(processes)


def test_peak_grows_with_what_is_held():
    held = np.ones(60_000_000)
    assert peak_mb() > held.nbytes / 1e6


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a parent's peak may be counted in")
def test_peak_is_the_process_s_own_and_not_what_its_parent_held():
    held = np.ones(60_000_000)  # 480 MB
    code = "from coursekit.base.machine import peak_mb; print(peak_mb())"
    peak = float(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert peak < held.nbytes / 2e6
