"""Where the tests find their data: `.cache/data`, filled once with the real sets that lie at hand.

The tests never look for data on the network. Real MNIST and CIFAR-10 are taken from ../shared/data
beside the clone, if they are there. A test marked `realdata("mnist")` needs that set (without a
name: both) and is skipped, with the reason, where it is absent.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
AT_HAND = ROOT.parent / "shared" / "data"
REAL = {"mnist": AT_HAND / "mnist", "cifar10": AT_HAND / "cifar10-images.zip"}

os.environ["COURSEKIT_DATA"] = str(ROOT / ".cache" / "data")
os.environ["COURSEKIT_OFFLINE"] = "1"
for _name in ("COURSEKIT_PROFILE", "COURSEKIT_MIRROR", "COURSEKIT_GRADING", "COURSEKIT_PROGRESS"):
    os.environ.pop(_name, None)
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


def _import_real_data() -> None:
    from coursekit.datasets import import_data

    for name in _absent():
        if REAL[name].exists():
            print(f"Importing the real {name} into .cache/data, once.", flush=True)
            import_data(name, REAL[name])


class _CollectedNames:
    """Keep the tests' names as they are found, before some are left out or their order is drawn."""

    def __init__(self, config: pytest.Config):
        config.collected_names = self.names = []

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self.names.append(item.nodeid)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_CollectedNames(config))
    # With pytest-xdist the first process collects nothing, but comes before all others.
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        _import_real_data()


def pytest_report_header() -> list[str]:
    absent = _absent()
    return [f"real data: {absent.get(name, f'{name} is in .cache/data')}" for name in REAL]


def pytest_collection_finish(session: pytest.Session) -> None:
    needed = any(item.get_closest_marker("realdata") for item in session.items)
    if needed and not hasattr(session.config, "workerinput"):
        _import_real_data()


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("realdata")
    if marker is not None:
        absent = _absent()
        for name in marker.args or REAL:
            if name in absent:
                pytest.skip(absent[name])
