"""What a class gets to know of a check, where the learner has opted in: one line, no code.

COURSEKIT_CLASS names a shared folder, or the address of `class watch --serve`. A line holds a
pseudonym, the task, the outcome, a short name of the reason and the time. A thread of its own sends
it, so that a share that hangs or is gone costs the learner nothing; what could not be sent waits
for the next check. Each process has a file of its own, as no network file system keeps two
processes that append to one apart.
"""

from __future__ import annotations

import atexit
import http.client
import json
import math
import os
import re
import secrets
import threading
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from coursekit.base.files import write_whole
from coursekit.checks.engine.progress import progress_folder
from coursekit.checks.engine.reasons import reason_id
from coursekit.checks.engine.verdict import CORRECT, CRASHED, NOT_ATTEMPTED, WRONG, Verdict

LONGEST = 400  # bytes of a line
_OUTCOMES = (CORRECT, WRONG, CRASHED, NOT_ATTEMPTED)
_MOST_WAITING = 1000  # lines
_PATIENCE = 3.0  # seconds for an address
_AT_EXIT = 1.0
_FORM = {"who": r"[\w-]{1,40}", "task": r"\w{1,60}", "reason": r"[\w-]{0,40}"}
_WORDS = (
    "amber azure brave bright calm clear coral early fair fresh gentle golden green happy jolly "
    "kind lively lucky mellow merry noble proud quick quiet silver sunny swift tidy warm wise",
    "badger beaver cedar crane daisy dolphin falcon finch fox gecko heron ibis koala lark lemur "
    "lynx maple marten orca otter panda pine puffin raven robin seal swan tiger walrus wren",
)


@dataclass(frozen=True)
class Line:
    """One check of one learner; `time` in seconds since 1970 by the learner's clock."""

    who: str
    exercise: int
    task: str
    outcome: str
    reason: str
    time: float

    def encode(self) -> bytes:
        """Return the line as it is sent: JSON, ended by a newline.

        >>> Line("calm-fox-123", 3, "elu", "wrong", "", 0.0).encode()[:40]
        b'{"who": "calm-fox-123", "exercise": 3, "'
        """
        return json.dumps(asdict(self), ensure_ascii=False).encode() + b"\n"


def decode(raw: bytes) -> Line | None:
    """Return the line that was sent, None for whatever is none.

    >>> line = Line("calm-fox-123", 3, "elu", "wrong", "", 0.0)
    >>> decode(line.encode()) == line, decode(b'{"who": "calm-fox-123"}')
    (True, None)
    """
    try:
        line = Line(**json.loads(raw)) if len(raw) <= LONGEST else None
    except (ValueError, TypeError, RecursionError):
        return None
    if line is None or type(line.exercise) is not int or type(line.time) not in (int, float):
        return None
    words = all(
        isinstance(getattr(line, name), str) and re.fullmatch(form, getattr(line, name))
        for name, form in _FORM.items()
    )
    numbers = 0 <= line.exercise <= 99 and math.isfinite(line.time)
    return line if words and numbers and line.outcome in _OUTCOMES else None


def tell(exercise: int, verdict: Verdict) -> tuple[str, ...]:
    """Send the line of one check, if the learner has opted in; return what the learner should read.

    That is at most, once in a process, that the class looks on and under which pseudonym, and that
    the class cannot be reached. Never waits and never raises.
    """
    target = os.environ.get("COURSEKIT_CLASS", "").strip()
    if not target or progress_folder() is None:
        return ()
    sender = _sender(target, os.getpid())
    sender.put(exercise, verdict)
    return sender.notes()


def flush(seconds: float) -> bool:
    """Wait until all lines are sent, `seconds` at most; say whether they are."""
    target = os.environ.get("COURSEKIT_CLASS", "").strip()
    return not target or _sender(target, os.getpid()).wait(seconds)


class _Sender:
    """Sends lines to one folder or address, in a thread that the process does not wait for."""

    def __init__(self, target: str):
        self._target, self.who = target, pseudonym()
        self._name = f"{self.who}.{secrets.token_hex(6)}.jsonl"
        self._checks: list[tuple[int, Verdict, float]] = []
        self._unsent = b""
        self._failed = False
        self._said: set[str] = set()
        self._changed = threading.Condition()
        threading.Thread(target=self._work, name="coursekit-class", daemon=True).start()
        atexit.register(lambda: self.wait(0.0 if self._failed else _AT_EXIT))

    def put(self, exercise: int, verdict: Verdict) -> None:
        with self._changed:
            if len(self._checks) < _MOST_WAITING:
                self._checks.append((exercise, verdict, time.time()))
            self._changed.notify_all()

    def notes(self) -> tuple[str, ...]:
        wanted = [f"Your class sees which checks you run and how they end, as {self.who}; no code."]
        if self._failed:
            wanted.append("Your class cannot be reached just now; your checks work as ever.")
        fresh = tuple(note for note in wanted if note not in self._said)
        self._said |= set(fresh)
        return fresh

    def wait(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._checks and not self._unsent, seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._checks)
                checks = list(self._checks)
            lines = b"".join(self._encoded(*check) for check in checks)
            if len(self._unsent) < _MOST_WAITING * LONGEST:
                self._unsent += lines
            try:
                self._send()
                self._failed = False
            except (OSError, ValueError, http.client.HTTPException):
                self._failed = True
            with self._changed:
                del self._checks[: len(checks)]
                self._changed.notify_all()

    def _encoded(self, exercise: int, verdict: Verdict, when: float) -> bytes:
        try:
            reason = reason_id(exercise, verdict)
        except Exception:  # no trouble of ours may reach a learner
            reason = ""
        line = Line(self.who, exercise, verdict.task, verdict.outcome, reason, round(when, 3))
        return line.encode()

    def _send(self) -> None:
        """Send what is unsent; keep what the other side has not taken."""
        if "://" in self._target:
            _post(self._target, self._unsent)
            self._unsent = b""
            return
        path = Path(self._target).expanduser() / self._name
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(handle, self._unsent) :]
        finally:
            os.close(handle)


def _post(address: str, lines: bytes) -> None:
    if not address.startswith(("http://", "https://")):
        raise ValueError("no address of the web")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the class is near
    try:
        opener.open(
            urllib.request.Request(address, lines, method="POST"), timeout=_PATIENCE
        ).close()
    except urllib.error.HTTPError as refused:
        refused.close()
        if refused.code >= 500:
            raise


@cache
def _sender(target: str, process: int) -> _Sender:
    """Return the sender of this process: a forked one has no thread, and needs its own file."""
    return _Sender(target)


def pseudonym() -> str:
    """Return COURSEKIT_PSEUDONYM, else a name drawn once for this learner, such as calm-fox-123."""
    chosen = re.sub(r"[^\w-]+", "-", os.environ.get("COURSEKIT_PSEUDONYM", "").strip())[:40]
    if chosen:
        return chosen
    words = [secrets.choice(words.split()) for words in _WORDS]
    drawn = "-".join([*words, str(100 + secrets.randbelow(900))])
    folder = progress_folder()
    if folder is None:
        return drawn
    path = folder / "pseudonym.txt"
    try:
        if path.exists():
            kept = path.read_text(encoding="utf-8").strip()
            return kept if re.fullmatch(_FORM["who"], kept) else drawn
        write_whole(path, drawn + "\n")
    except (OSError, ValueError):  # then it counts for this process only
        pass
    return drawn
