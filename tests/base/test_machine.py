"""The peak of a process's memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from coursekit.base.machine import peak_mb


def test_peak_grows_with_what_is_held():
    held = np.ones(60_000_000)
    assert peak_mb() > held.nbytes / 1e6


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a parent's peak may be counted in")
def test_peak_is_the_process_s_own_and_not_what_its_parent_held():
    held = np.ones(60_000_000)  # 480 MB
    code = "from coursekit.base.machine import peak_mb; print(peak_mb())"
    peak = float(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert peak < held.nbytes / 2e6
