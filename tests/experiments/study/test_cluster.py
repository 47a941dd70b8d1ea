"""The study on a Dask cluster: a real scheduler and real workers on the loopback address."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="Dask is not installed: pip install coursekit[cluster]")

from coursekit.errors import ArgumentError
from coursekit.experiments import study
from coursekit.experiments.study.records import read_record

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.slow,
    # Dask's own threads and sockets outlive a client by a moment.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder):
        self.folder, self.workers = folder, []
        self._processes = []
        where = folder / "scheduler.json"
        self._start(
            "dask_scheduler",
            *("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-jupyter"),
            *("--scheduler-file", str(where)),
        )
        self.scheduler = self._processes[0]
        wait_until(lambda: where.exists() and where.read_text().strip())
        self.address = json.loads(where.read_text())["address"]

    def add_worker(self, threads=1):
        self.workers.append(
            self._start(
                "dask_worker",
                self.address,
                *("--nthreads", str(threads), "--no-nanny", "--no-dashboard"),
                *("--host", "127.0.0.1", "--local-directory", str(self.folder)),
                *("--death-timeout", "60"),
            )
        )
        return self.workers[-1]

    def _start(self, name, *arguments):
        with (self.folder / "log").open("a") as log:
            command = [sys.executable, "-m", f"distributed.cli.{name}", *arguments]
            process = subprocess.Popen(command, stdout=log, stderr=log)
        self._processes.append(process)
        return process

    def close(self):
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parents[2])]))
    monkeypatch.setenv("COURSEKIT_HEADLESS", "1")
    monkeypatch.setenv("TOY_FOLDER", str(tmp_path))
    monkeypatch.setenv("TOY_SECONDS", "0.02")
    import toy_study

    return toy_study


@pytest.fixture
def cluster(toy, tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture
def run(toy, tmp_path):
    def run(**changes):
        settings = {"profile": "quick", "seeds": 3, "variants": "baseline,selu"}
        settings |= {"out": tmp_path / "study", "trainer": toy.TRAINER}
        return study.run(**{**settings, **changes})

    return run


def results(out):
    found = {path.stem: read_record(path) for path in (out / "records").glob("*.json")}
    for record in found.values():
        del record["token"], record["threads"]
    return found


def wait_until(condition, seconds=40):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_cluster_gives_the_results_of_local_workers(run, cluster, tmp_path, toy):
    cluster.add_worker()
    cluster.add_worker()
    run(out=tmp_path / "local")
    local = len(toy.ledger("finished"))
    assert len(run(scheduler=cluster.address)) == 6
    assert results(tmp_path / "study") == results(tmp_path / "local")
    assert len(toy.ledger("finished")) == 2 * local


def test_with_one_of_two_workers_killed_mid_run_the_study_completes(
    run, cluster, tmp_path, toy, monkeypatch, capsys
):
    monkeypatch.setenv("TOY_KILL", "run-selu-1")  # kills the worker process, in the midst of a run
    cluster.add_worker()
    cluster.add_worker()
    assert len(run(scheduler=cluster.address)) == 6
    assert sum(worker.poll() == -signal.SIGKILL for worker in cluster.workers) == 1
    assert len(toy.ledger("started")) == len(toy.ledger("finished")) + 1
    assert "selu, seed 1: its worker" in capsys.readouterr().out
    monkeypatch.delenv("TOY_KILL")
    run(out=tmp_path / "local")
    assert results(tmp_path / "study") == results(tmp_path / "local")


def test_jobs_in_one_worker_process_never_overlap(run, cluster, toy, monkeypatch):
    monkeypatch.setenv("TOY_SECONDS", "0.05")
    cluster.add_worker(threads=4)
    found = run(scheduler=cluster.address, seeds=2)
    assert {record["threads"] for record in found} == {4}
    spans = sorted(tuple(map(float, line.split()[1:])) for line in toy.ledger("spans"))
    assert len(spans) == 8
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_no_scheduler_at_the_address_is_one_sentence_before_training(run, toy, tmp_path):
    from coursekit.experiments.study.cluster import DaskWorkers

    with pytest.raises(ArgumentError, match=r"scheduler: .*'tcp://127.0.0.1:9'.*none answers"):
        DaskWorkers("tcp://127.0.0.1:9", toy.TRAINER, timeout=2)
    with pytest.raises(ArgumentError, match="scheduler: expected the address"):
        run(scheduler="nonsense://here")
    assert not (tmp_path / "study").exists()
    assert not toy.ledger("started")


def test_a_scheduler_without_workers_is_one_sentence(cluster, toy):
    from coursekit.experiments.study.cluster import DaskWorkers

    with pytest.raises(ArgumentError, match=r"none; start one with: dask worker"):
        DaskWorkers(cluster.address, toy.TRAINER, timeout=2)


def test_a_worker_with_other_images_is_refused_before_training(run, cluster, toy, monkeypatch):
    monkeypatch.setenv("TOY_IMAGES", "those-of-the-worker")
    cluster.add_worker()
    monkeypatch.setenv("TOY_IMAGES", "those-of-this-machine")
    with pytest.raises(study.StudyError, match="has other images"):
        run(scheduler=cluster.address)
    assert not toy.ledger("started")


def test_a_training_that_raises_on_a_worker_is_reported_and_the_others_go_on(
    run, cluster, monkeypatch
):
    monkeypatch.setenv("TOY_RAISE", "run-selu-0")
    cluster.add_worker()
    with pytest.raises(study.StudyError, match=r"selu, seed 0: MemoryError: no room for the toy"):
        run(scheduler=cluster.address)


def test_a_scheduler_that_dies_is_one_sentence_and_the_study_goes_on_elsewhere(
    run, cluster, tmp_path, toy
):
    cluster.add_worker()

    def end():
        wait_until(lambda: len(toy.ledger("finished")) >= 3)
        cluster.scheduler.kill()

    killer = threading.Thread(target=end)
    killer.start()
    with pytest.raises(study.StudyError, match="is gone: what is done is kept"):
        run(scheduler=cluster.address, seeds=20)
    killer.join()
    kept = set(results(tmp_path / "study"))
    assert kept
    assert len(run(seeds=20)) == 40
    assert kept <= set(results(tmp_path / "study"))
