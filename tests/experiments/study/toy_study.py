"""Trainings of milliseconds, which the study's tests put in the place of the real ones.

It stands in a module of its own because worker processes import it by name. TOY_FOLDER is where it
keeps its ledger; TOY_SECONDS is how long an epoch takes; TOY_KILL and TOY_RAISE name a job whose
worker dies or whose training raises, the first TOY_TIMES times; a job that more than TOY_HANG
were started before hangs; TOY_WAIT names a job that goes on after its first epoch once the ledger
"heard" has a line.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
import zlib
from concurrent.futures import Future
from pathlib import Path

from coursekit.experiments.study import DataInfo, Trainer
from coursekit.experiments.study.jobs import do


def describe(budget):
    return DataInfo("toy", "generated", os.environ.get("TOY_IMAGES", "toy-images"), 100, 50, 50)


def train(job, tell):
    began = time.time()
    note("started", f"{job.key} {os.getpid()}")
    if len(ledger("started")) > int(os.environ.get("TOY_HANG", "1000000")):
        time.sleep(300)
    state = zlib.crc32(job.variant.encode()) + 31 * job.seed
    accuracies = []
    for epoch in range(1, job.epochs + 1):
        time.sleep(float(os.environ.get("TOY_SECONDS", "0")))
        while epoch == 2 and job.key == os.environ.get("TOY_WAIT") and not ledger("heard"):
            time.sleep(0.02)
        state = (1_103_515_245 * state + 12_345) % 2**31
        accuracies.append((state % 1000) / 1000 - abs(job.learning_rate - 5e-4))
        tell(epoch, {"val_accuracy": accuracies[-1]})
    if job.key == os.environ.get("TOY_KILL") and _first_times():
        os.kill(os.getpid(), signal.SIGKILL)
    if job.key == os.environ.get("TOY_RAISE") and _first_times():
        raise MemoryError("no room for the toy")
    best = max(range(len(accuracies)), key=lambda i: accuracies[i])
    note("finished", job.key)
    note("spans", f"{job.key} {began} {time.time()}")
    return {
        "history": {"val_accuracy": accuracies},
        "best_epoch": best + 1,
        "validation_loss": 1 - accuracies[best],
        "validation_accuracy": accuracies[best],
        "test_accuracy": accuracies[best] - 0.01,
        "seconds": 1.0,
        "seconds_per_epoch": 0.5,
        "threads": job.threads,
        "token": uuid.uuid4().hex,
        "diverged": False,
        "versions": {},
        "machine": "toy",
        # Of a job that measures the pace: the first compiles, the others differ by measurement.
        "epoch_seconds": [60.0, *(i + job.seed for i in range(1, job.epochs))],
    }


def ledger(name):
    path = Path(os.environ["TOY_FOLDER"]) / name
    return path.read_text().splitlines() if path.exists() else []


def note(name, line):
    with (Path(os.environ["TOY_FOLDER"]) / name).open("a") as file:
        file.write(line + "\n")


def _first_times():
    """Take one of the accidents there are to be; of two that come at once each takes another."""
    for number in range(int(os.environ.get("TOY_TIMES", "1"))):
        with contextlib.suppress(FileExistsError):
            (Path(os.environ["TOY_FOLDER"]) / f"accident {number}").touch(exist_ok=False)
            return True
    return False


TRAINER = Trainer(describe, train)


class CrewOfThisProcess:
    """Trains each job where it is submitted: for tests in which it does not matter who trains."""

    def __init__(self, trainer, count):
        self._train, self._count, self._told = trainer.train, count, {}

    def check(self, budget, data):
        pass

    def size(self):
        return self._count

    def submit(self, job):
        future = Future()
        try:
            future.set_result(
                do(self._train, job, lambda *told: self._told.update({job.key: told}))
            )
        except Exception as error:
            future.set_exception(error)
        return future

    def epochs(self):
        return [(key, *told) for key, told in self._told.items()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
