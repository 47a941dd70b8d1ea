"""`class watch`: the board of a class, live, from a folder or from lines sent to this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from coursekit.course.classroom.watch_board import Board, board
from coursekit.course.classroom.watch_lines import Folder, Receiver
from coursekit.course.classroom.watch_page import Page, as_html, as_text, served
from coursekit.errors import ArgumentError, CourseError

HOURS = 6.0
_EVERY = 1.0  # seconds
_OTHER_LINES = 14  # of the terminal: headline, heads, reasons, note


class Watch:
    """The board of a folder, looked at again and again.

    Args:
        folder: where the lines are.
        hours: older lines are those of another day.
        clock: the time now, in seconds since 1970.
    """

    def __init__(self, folder: Path, hours: float = HOURS, clock: Callable[[], float] = time.time):
        self._clock = clock
        self._folder = Folder(folder, since=clock() - hours * 3600)
        self.board, self.note = Board((), ()), ""

    def look(self) -> None:
        """Read what is new. A folder that is gone for a while keeps the last board, with a note."""
        now = self._clock()
        at = time.strftime("%H:%M:%S", time.localtime(now))
        try:
            self.board = board(self._folder.read(), now)
        except CourseError:
            self.note = f"{at}: the folder {self._folder.path} cannot be read just now."
            return
        strange = self._folder.strange
        self.note = f"{at}, {self._folder.path}"
        self.note += f"; {strange} line{'s' * (strange > 1)} left out: of no class" * (strange > 0)


def watch(
    folder: Path,
    *,
    port: int = 0,
    serve: int | None = None,
    once: bool = False,
    hours: float = HOURS,
) -> None:
    """Show the board of a folder until Ctrl-C, in the terminal and as a page on `port` (0: a free).

    Args:
        folder: the folder of COURSEKIT_CLASS; made, with `serve`, where there is none.
        port: of the page.
        serve: receive lines on this port as well, into the folder.
        once: print the board as it is and return.
        hours: leave out lines that are older.

    Raises:
        ArgumentError: there is no such folder.
        CourseError: a port is in use, or the folder cannot be written to or read.
    """
    if serve is not None:
        folder.mkdir(parents=True, exist_ok=True)
    if not folder.is_dir():
        raise ArgumentError(
            f"watch: expected the folder that COURSEKIT_CLASS names, and {folder} is no folder; "
            "make it, for every learner to write to."
        )
    seen = Watch(folder, hours)
    if once:
        _once(seen)
        return
    with ExitStack() as stack:
        page = stack.enter_context(served(Page(port, lambda: as_html(seen.board, seen.note))))
        print(f"The board as a page: {page.address} (Ctrl-C ends it)")
        if serve is not None:
            stack.enter_context(served(Receiver(folder, serve)))
            print(f"Learners set COURSEKIT_CLASS=http://ADDRESS:{serve}, with this machine's name.")
        _live(seen)


def _once(seen: Watch) -> None:
    from rich.console import Console

    seen.look()
    Console().print(as_text(seen.board, seen.note))


def _live(seen: Watch) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    try:
        with Live(console=console, auto_refresh=False) as shown:
            while True:
                seen.look()
                shown.update(_fitting(seen, console), refresh=True)
                _pause()
    except KeyboardInterrupt:
        return


def _pause() -> None:
    time.sleep(_EVERY)


def _fitting(seen: Watch, console: Any) -> Any:
    return as_text(seen.board, seen.note, rows=max(3, console.size.height - _OTHER_LINES))
