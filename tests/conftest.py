"""Where the tests find their data: `.cache/data`, filled once with the real sets that lie at hand.

The tests never look for data on the network. Real MNIST and CIFAR-10 are taken from ../shared/data
beside the clone, if they are there. A test marked `realdata("mnist")` needs that set (without a
name: both) and is skipped, with the reason, where it is absent.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
AT_HAND = ROOT.parent / "shared" / "data"
REAL = {"mnist": AT_HAND / "mnist", "cifar10": AT_HAND / "cifar10-images.zip"}
# Beside those marked so: what trains for long, starts kernels, installs, or starts many processes.
SLOW = (
    "tests/analysis/test_uncertainty.py",
    "tests/course/notebooks/test_build.py",
    "tests/course/notebooks/test_execute.py",
    "tests/course/notebooks/test_nbval.py",
    "tests/course/notebooks/test_run.py",
    "tests/course/test_bootstrap.py",
    "tests/course/test_packaging.py",
    "tests/course/testing/test_suite.py::test_a_half",
    "tests/course/testing/test_suite.py::test_an_interrupted",
    "tests/course/testing/test_suite.py::test_each_outcome",
    "tests/course/testing/test_suite.py::test_it_closes",
    "tests/datasets/test_embedded.py::test_a_linear_classifier",
    "tests/datasets/test_embedded.py::test_a_small_network_learns_shapes",
    "tests/datasets/test_realdata.py",
    "tests/experiments/study/test_cluster.py",
    "tests/experiments/study/test_pacing.py",
    "tests/experiments/study/test_runner.py",
    "tests/experiments/study/test_training.py",
    "tests/experiments/test_compare.py",
    "tests/experiments/test_sweep.py",
    "tests/experiments/test_tuning.py",
    "tests/experiments/test_workers.py",
    "tests/nets/test_recommend.py::test_a_recommended_net_learns",
    "tests/nets/test_recommended_defaults.py",
    "tests/nets/test_transfer.py::test_frozen_weights_do_not_move_and_the_others_do",
    "tests/test_cli.py::test_jupyter_that_does_not_start",
    "tests/test_collection.py::test_names_that_hold_the_clock",
    "tests/test_import.py::test_every_name_of_the_package",
    "tests/test_lesson.py::test_two_fresh_processes",
    "tests/training/test_callbacks.py",
    "tests/training/test_fit.py",
    "tests/training/test_one_cycle.py",
    "tests/training/test_per_step.py",
    "tests/training/test_range_test.py",
    "tests/training/test_runs.py",
)

# Files that take long: begun first, so that no process is left alone with one at the end.
LONG = (
    "tests/checks/test_answers.py",
    "tests/classroom/test_solutions.py",
    "tests/classroom/test_beside.py",
    "tests/nets/test_recommended_defaults.py",
    "tests/training/test_fit.py",
    "tests/course/lab/test_browser.py",
    "tests/experiments/study/test_training.py",
    "tests/classroom/test_hostile.py",
    "tests/classroom/test_nbgrader.py",
)

os.environ["COURSEKIT_DATA"] = str(ROOT / ".cache" / "data")
os.environ["COURSEKIT_OFFLINE"] = "1"
for _name in ("CLASS", "PROFILE", "MIRROR", "GRADING", "PROGRESS"):
    os.environ.pop(f"COURSEKIT_{_name}", None)
if (
    threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):
    # Started in the background by a shell: what the tests start and interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _absent() -> dict[str, str]:
    """Return the real sets that are not in the cache, with the reason."""
    from coursekit.datasets import status

    sources = {found.name: found.source for found in status()}
    return {
        name: f"the real {name} is absent: neither in .cache/data nor at ../shared/data/{path.name}"
        for name, path in REAL.items()
        if sources[name] == "embedded"
    }


def _import_real_data(names: Iterable[str]) -> None:
    """Import what lies at hand, once: another process that needs it waits, the others go on."""
    from coursekit.base.files import locked
    from coursekit.datasets import import_data

    if not any(name in _absent() and REAL[name].exists() for name in names):
        return
    (ROOT / ".cache").mkdir(exist_ok=True)
    with locked(ROOT / ".cache" / "import.lock"):
        for name in names:
            if name in _absent() and REAL[name].exists():
                import_data(name, REAL[name])


class _CollectedNames:
    """Keep the tests' names as they are found, before some are left out or their order is drawn."""

    def __init__(self, config: pytest.Config):
        config.collected_names = self.names = []

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self.names.append(item.nodeid)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_CollectedNames(config))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is slow, and put the long files in front."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")
    if hasattr(config, "workerinput"):
        turn = {file: number for number, file in enumerate(LONG)}
        items.sort(key=lambda item: turn.get(item.nodeid.partition("::")[0], len(LONG)))


@pytest.fixture(autouse=True)
def op_determinism_as_found() -> Iterator[None]:
    """Take back what a lesson or a study asks of TensorFlow: with it Keras refuses XLA."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import config

        if config.is_op_determinism_enabled():
            config.disable_op_determinism()


@pytest.fixture(autouse=True)
def environment_as_found() -> Iterator[None]:
    """Fail a test that leaves the environment or the working directory changed for the next one.

    New variables count where they are the course's: a library sets some when it is imported.
    """
    before, folder = dict(os.environ), Path.cwd()
    yield
    left = {
        name
        for name in before.keys() | os.environ.keys()
        if os.environ.get(name) != before.get(name)
        and (name in before or name.startswith("COURSEKIT_"))
    }
    assert left - {"PYTEST_CURRENT_TEST"} == set()
    assert Path.cwd() == folder


def pytest_report_header() -> list[str]:
    absent = _absent()
    return [
        f"real data: {'at hand, imported when needed' if REAL[name].exists() else absent[name]}"
        if name in absent
        else f"real data: {name} is in .cache/data"
        for name in REAL
    ]


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("realdata")
    if marker is not None:
        names = marker.args or tuple(REAL)
        _import_real_data(names)
        absent = _absent()
        for name in names:
            if name in absent:
                pytest.skip(absent[name])


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], None]:
    """Wait for an event: `wait_until(path.exists)`. The limit is for a hung machine only."""

    def wait(happened: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < end, f"it did not happen within {PATIENCE} s"
            time.sleep(0.02)

    return wait
