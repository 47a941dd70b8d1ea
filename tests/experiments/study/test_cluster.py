"""The study on a Dask cluster: a real scheduler and real workers on the loopback address."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import threading

import pytest

pytest.importorskip("distributed", reason="Dask is not installed: pip install coursekit[cluster]")

from coursekit.errors import ArgumentError
from coursekit.experiments import study
from coursekit.experiments.study import runner
from coursekit.experiments.study.cluster import DaskCrew
from coursekit.experiments.study.jobs import Study
from coursekit.experiments.study.records import read_record

pytestmark = [
    pytest.mark.slow,
    # Dask's own threads and sockets outlive a client by a moment.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder, wait_until):
        self.folder, self.workers, self._wait_until = folder, [], wait_until
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

    def add_workers(self, count=1, threads=1):
        """Start workers and wait until the scheduler knows them."""
        self.workers += [
            self._start(
                "dask_worker",
                self.address,
                *("--nthreads", str(threads), "--no-nanny", "--no-dashboard"),
                *("--host", "127.0.0.1", "--local-directory", str(self.folder)),
                *("--death-timeout", "60"),
            )
            for _ in range(count)
        ]
        log = self.folder / "log"
        self._wait_until(lambda: log.read_text().count("Registered to:") == len(self.workers))

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
def toy(toy, monkeypatch):
    monkeypatch.setenv("TOY_SECONDS", "0.02")
    return toy


@pytest.fixture
def cluster(toy, tmp_path, wait_until):
    cluster = Cluster(tmp_path, wait_until)
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


def test_a_cluster_gives_the_results_of_this_process_though_a_worker_is_killed_mid_run(
    run, cluster, tmp_path, toy, monkeypatch
):
    monkeypatch.setenv("TOY_KILL", "run-selu-1")
    cluster.add_workers(2)
    assert len(run(scheduler=cluster.address)) == 6
    assert sum(worker.poll() == -signal.SIGKILL for worker in cluster.workers) == 1
    assert len(toy.ledger("started")) == len(toy.ledger("finished")) + 1
    trained_by = {line.split()[1] for line in toy.ledger("started")}
    assert trained_by == {str(worker.pid) for worker in cluster.workers}
    monkeypatch.delenv("TOY_KILL")
    monkeypatch.setattr(runner, "LocalCrew", toy.CrewOfThisProcess)
    run(out=tmp_path / "here")
    assert results(tmp_path / "study") == results(tmp_path / "here")


def test_in_one_worker_jobs_never_overlap_and_one_that_raises_spares_the_others(
    run, cluster, toy, monkeypatch, wait_until
):
    monkeypatch.setenv("TOY_SECONDS", "0.05")
    monkeypatch.setenv("TOY_RAISE", "run-selu-0")
    monkeypatch.setenv("TOY_TIMES", "2")
    cluster.add_workers(1, threads=4)
    with pytest.raises(study.StudyError, match=r"9 of 10 .*selu, seed 0: MemoryError: no room"):
        run(scheduler=cluster.address, seeds=2)
    assert {record["threads"] for record in run(scheduler=cluster.address, seeds=2)} == {4}
    plan = Study(("selu",), (5, 6, 7), "quick", study.PROFILES["quick"], toy.describe(None))
    with DaskCrew(cluster.address, toy.TRAINER) as crew:
        tasks = [crew.submit(job) for job in plan.run_jobs("selu", 1e-3)]
        assert all(task.result(300) for task in tasks)
        wait_until(lambda: ("run-selu-5", 2) in [told[:2] for told in crew.epochs()])
    spans = sorted(tuple(map(float, line.split()[1:])) for line in toy.ledger("spans"))
    assert len(spans) == 10 + 3
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_no_scheduler_at_the_address_is_one_sentence_before_training(run, toy, tmp_path):
    with pytest.raises(ArgumentError, match=r"scheduler: .*'tcp://127.0.0.1:9'.*none answers"):
        DaskCrew("tcp://127.0.0.1:9", toy.TRAINER, timeout=2)
    with pytest.raises(ArgumentError, match="scheduler: expected the address"):
        run(scheduler="nonsense://here")
    assert not (tmp_path / "study").exists()
    assert not toy.ledger("started")


def test_no_worker_and_a_worker_with_other_images_are_refused_before_training(
    run, cluster, toy, monkeypatch
):
    with pytest.raises(ArgumentError, match=r"none; start one with: dask worker"):
        DaskCrew(cluster.address, toy.TRAINER, timeout=2)
    monkeypatch.setenv("TOY_IMAGES", "those-of-the-worker")
    cluster.add_workers()
    monkeypatch.setenv("TOY_IMAGES", "those-of-this-machine")
    with pytest.raises(study.StudyError, match="has other images"):
        run(scheduler=cluster.address)
    assert not toy.ledger("started")


def test_a_scheduler_that_dies_is_one_sentence_and_the_study_goes_on_elsewhere(
    run, cluster, tmp_path, toy, monkeypatch, wait_until
):
    cluster.add_workers()

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
    monkeypatch.setattr(runner, "LocalCrew", toy.CrewOfThisProcess)
    assert len(run(seeds=20)) == 40
    assert kept <= set(results(tmp_path / "study"))
