"""The board of a class as an instructor sees it: in the terminal, and as a page on this machine."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from coursekit.checks.engine.display import plain, rich
from coursekit.course.classroom.watch_board import Board, Learner, Reason
from coursekit.errors import CourseError

Server = TypeVar("Server", bound=ThreadingHTTPServer)
_REFRESH = 3  # seconds
_MARKS = {"stuck": "⚠", "open": "…", "correct": "✔"}
_STYLES = {"stuck": "bold red", "open": "", "correct": "green"}
_LEARNERS = ("learner", "task", "state", "minutes", "tries", "done")
_REASONS = ("most frequent reasons", "task", "now", "ever")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="{refresh}">
<meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 18px/1.4 system-ui, sans-serif; margin: 1.5em; max-width: 70em }}
table {{ border-collapse: collapse; margin: 1em 0; width: 100% }}
th, td {{ text-align: left; padding: .25em .8em; border-bottom: 1px solid #8886 }}
.n {{ text-align: right; font-variant-numeric: tabular-nums }}
.stuck td {{ font-weight: bold; border-left: 0 }}
.stuck td:first-child {{ border-left: 5px solid #d55e00 }}
.correct td:first-child {{ border-left: 5px solid #009e73 }}
.open td:first-child {{ border-left: 5px solid #8888 }}
</style></head><body><h1>{title}</h1>{body}</body></html>
"""


def headline(board: Board) -> str:
    """Return the class in a few words.

    >>> headline(Board((), ()))
    'Nobody has run a check yet.'
    """
    if not board.learners:
        return "Nobody has run a check yet."
    count = len(board.learners)
    stuck = len(board.stuck)
    return f"{count} learner{'s' * (count > 1)}, {stuck} stuck for five minutes or longer"


def as_text(board: Board, note: str = "", rows: int | None = None) -> Any:
    """Return the board for rich; of the learners at most `rows`, the stuck ones first."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    shown = board.learners[:rows]
    learners, reasons = Table(box=None, pad_edge=False), Table(box=None, pad_edge=False)
    for name in _LEARNERS:
        learners.add_column(name, justify="right" if name in _LEARNERS[3:] else "left")
    for one in shown:
        learners.add_row(*map(Text, _cells(one)), style=_STYLES[one.state])
    for name in _REASONS:
        reasons.add_column(name, justify="right" if name in _REASONS[2:] else "left")
    for reason in board.reasons:
        reasons.add_row(*(Text(plain(cell)) for cell in _reason(reason)))
    parts: list[Any] = [Text(headline(board), style="bold"), Text("")]
    if board.learners:
        parts.append(learners)
    if len(shown) < len(board.learners):
        parts.append(Text(f"and {len(board.learners) - len(shown)} more, on the page"))
    if board.reasons:
        parts += [Text(""), reasons]
    return Group(*parts, Text(""), Text(note, style="dim"))


def as_html(board: Board, note: str = "") -> str:
    """Return the board as a page that loads itself anew every few seconds, without scripts."""
    body = ""
    if board.reasons:
        rows = [("", _reason(reason)) for reason in board.reasons]
        body += _table(_REASONS, rows, numbers=2)
    if board.learners:
        body += _table(_LEARNERS, [(one.state, _cells(one)) for one in board.learners], numbers=3)
    body += f"<p>{html.escape(note)}</p>"
    return _PAGE.format(title=html.escape(headline(board)), body=body, refresh=_REFRESH)


def _cells(one: Learner) -> tuple[str, ...]:
    state = f"{_MARKS[one.state]} {one.state}"
    return one.who, one.task, state, str(int(one.minutes)), str(one.tries), str(one.done)


def _reason(reason: Reason) -> tuple[str, ...]:
    return reason.text, reason.task, str(reason.now), str(reason.ever)


def _table(head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], *, numbers: int) -> str:
    def row(cells: Sequence[str], tag: str, kind: str) -> str:
        inside = "".join(
            f"<{tag}{' class=n' * (i >= numbers)}>{rich(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        )
        return f'<tr class="{kind}">{inside}</tr>'

    return f"<table>{row(head, 'th', '')}{''.join(row(c, 'td', kind) for kind, c in rows)}</table>"


class Page(ThreadingHTTPServer):
    """Shows what `current` returns, to browsers on this machine only."""

    daemon_threads = True

    def __init__(self, port: int, current: Callable[[], str]):
        self.current = current
        try:
            super().__init__(("127.0.0.1", port), _Get)
        except OSError as error:
            raise CourseError(
                f"watch: port {port} cannot be had ({error.strerror}); name another with --port."
            ) from error
        self.address = f"http://127.0.0.1:{self.server_address[1]}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a browser that breaks off."""


class _Get(BaseHTTPRequestHandler):
    server: Page
    timeout = 10

    def do_GET(self) -> None:
        host = self.headers.get("Host", "").split(":")[0]
        if host not in ("127.0.0.1", "localhost"):  # a foreign page under a borrowed name
            self.send_error(403)
            return
        body = self.server.current().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet: the terminal shows the board."""


@contextmanager
def served(server: Server) -> Iterator[Server]:
    """Serve in a thread while the block runs."""
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
