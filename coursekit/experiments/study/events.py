"""What the workers, local or in a cluster, report to the study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from coursekit.experiments.study.jobs import Job


@dataclass(frozen=True)
class EpochEnded:
    """A job has trained an epoch, counted from 1."""

    job: Job
    epoch: int
    logs: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """A job has its result."""

    job: Job
    result: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """A job has no result, and why."""

    job: Job
    reason: str


@dataclass(frozen=True)
class Note:
    """Something the user should know; the study goes on."""

    text: str


Event = EpochEnded | Done | Failed | Note


class Workers(Protocol):
    """Where jobs are trained."""

    def free(self) -> int:
        """Return how many more jobs can be submitted now."""

    def submit(self, job: Job) -> None:
        """Start a job."""

    def wait(self, timeout: float) -> list[Event]:
        """Return what has happened since the last call; wait up to `timeout` seconds for it."""

    def close(self) -> None:
        """End all work at once."""


def reason_of(error: BaseException) -> str:
    """Return one line that says what went wrong.

    >>> reason_of(ValueError("too small"))
    'ValueError: too small'
    """
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
