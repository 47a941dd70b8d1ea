"""What an instructor sees of a class: who is at which task, who is stuck, what goes wrong most.

A pure function of the lines and of the time now; reading, showing and clocks are other modules'.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from coursekit.checks.engine.class_line import Line
from coursekit.checks.engine.reasons import reason_text
from coursekit.checks.engine.verdict import CORRECT, NOT_ATTEMPTED

STUCK = 300.0  # seconds
_REASONS = 3
Key = tuple[int, str]  # exercise and task


@dataclass(frozen=True)
class Learner:
    """Where one learner is.

    Attributes:
        who: the pseudonym.
        task: such as "03 leaky_relu"; the last one tried.
        state: "stuck", "open" or "correct".
        minutes: since the learner last got a task right, or began this one if that was later.
        tries: how often this task was wrong or crashed.
        done: tasks that were correct at least once.
    """

    who: str
    task: str
    state: str
    minutes: float
    tries: int
    done: int


@dataclass(frozen=True)
class Reason:
    """One reason: for which task, whom it holds up now, whom it ever met."""

    task: str
    text: str
    now: int
    ever: int


@dataclass(frozen=True)
class Board:
    """All learners, the stuck ones first, and the most frequent reasons."""

    learners: tuple[Learner, ...]
    reasons: tuple[Reason, ...]

    @property
    def stuck(self) -> tuple[Learner, ...]:
        """The learners who have been stuck for five minutes or longer, the longest first."""
        return tuple(one for one in self.learners if one.state == "stuck")


@dataclass
class _Story:
    """One learner's checks so far, in the order of time."""

    at: Key | None = None
    since: dict[Key, float] = field(default_factory=dict)  # the first miss at an open task
    misses: Counter[Key] = field(default_factory=Counter)
    reasons: dict[Key, str] = field(default_factory=dict)  # the last miss's
    met: set[tuple[Key, str]] = field(default_factory=set)
    done: set[Key] = field(default_factory=set)
    progress: float = float("-inf")  # when a task became correct for the first time
    correct: bool = False

    def add(self, line: Line) -> None:
        key = (line.exercise, line.task)
        if line.outcome == NOT_ATTEMPTED:  # "run all" meets every task that is still untouched
            return
        self.at, self.correct = key, line.outcome == CORRECT
        if self.correct:
            if key not in self.done:
                self.progress = line.time
            self.done.add(key)
            self.since.pop(key, None)
            self.reasons.pop(key, None)
            return
        self.since.setdefault(key, line.time)
        self.misses[key] += 1
        self.reasons[key] = line.reason
        self.met.add((key, line.reason))

    def seen(self, who: str, now: float) -> Learner:
        began = max(self.since.get(self.at, self.progress), self.progress)
        waited = max(0.0, now - began)
        state = "correct" if self.correct else "stuck" if waited >= STUCK else "open"
        tries = self.misses[self.at]
        return Learner(who, _name(self.at), state, waited / 60, tries, len(self.done))


def board(lines: Iterable[Line], now: float) -> Board:
    """Return what these lines say at the time `now` (seconds since 1970).

    A learner is stuck at a task that has been tried and not solved for five minutes, in which no
    other task became correct for the first time. Times of clocks that go fast count as `now`.
    """
    stories: dict[str, _Story] = {}
    for line in sorted(lines, key=lambda line: line.time):
        known = replace(line, time=min(line.time, now))
        stories.setdefault(line.who, _Story()).add(known)
    learners = [story.seen(who, now) for who, story in stories.items() if story.at is not None]
    order = ("stuck", "open", "correct")
    learners.sort(key=lambda one: (order.index(one.state), -one.minutes, one.who))
    return Board(tuple(learners), _most_frequent(stories.values()))


def _most_frequent(stories: Iterable[_Story]) -> tuple[Reason, ...]:
    """Count learners, not tries; a reason that holds learners up now goes before others."""
    now: Counter[tuple[Key, str]] = Counter()
    ever: Counter[tuple[Key, str]] = Counter()
    for story in stories:
        now.update(story.reasons.items())
        ever.update(story.met)
    most = sorted(ever, key=lambda each: (-now[each], -ever[each], each))[:_REASONS]
    return tuple(
        Reason(_name(key), reason_text(*key, reason), now[key, reason], ever[key, reason])
        for key, reason in most
    )


def _name(key: Key) -> str:
    return f"{key[0]:02} {key[1]}"
