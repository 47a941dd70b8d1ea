"""The lines of a class as they come in: read from a folder, or received over the network."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from coursekit.checks.engine.class_line import LONGEST, Line, decode
from coursekit.errors import CourseError

_MOST_BYTES = 1_000_000  # of one request
_MOST_IN_ALL = 200_000_000  # bytes that the receiver writes
_PATIENCE = 10  # seconds for a learner's machine that sends slowly
_RECEIVED = "received.jsonl"


class Folder:
    """All lines in a folder; `read` looks only at what is new since the last time."""

    def __init__(self, path: Path, *, since: float = float("-inf")):
        self.path, self._since = path, since
        self._offsets: dict[Path, int] = {}
        self._lines: dict[Path, list[Line]] = {}
        self.strange = 0  # lines that are none

    def read(self) -> list[Line]:
        """Return every line so far; a line that is still being written waits for its end.

        Raises CourseError where the folder cannot be read.
        """
        try:
            files = sorted(self.path.glob("*.jsonl"))
            if not self.path.is_dir():
                raise NotADirectoryError
            for file in files:
                self._read_on(file)
        except OSError as error:
            raise CourseError(
                f"watch: expected a folder that can be read, got {self.path} "
                f"({error.strerror or 'no folder'}); name the folder of COURSEKIT_CLASS."
            ) from error
        return [line for lines in self._lines.values() for line in lines]

    def _read_on(self, file: Path) -> None:
        offset = self._offsets.get(file, 0)
        if file.stat().st_size < offset:  # replaced by a shorter one
            offset, self._lines[file] = 0, []
        with file.open("rb") as opened:
            opened.seek(offset)
            new = opened.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._offsets[file] = offset + len(whole)
        found = [decode(raw) for raw in whole.splitlines()]
        self.strange += found.count(None)
        kept = self._lines.setdefault(file, [])
        kept += [line for line in found if line is not None and line.time >= self._since]


class Receiver(ThreadingHTTPServer):
    """Takes lines by POST and appends them to one file in the folder; gives nothing away.

    Raises CourseError for a port that cannot be had.
    """

    daemon_threads = True
    request_queue_size = 128  # a whole class at once

    def __init__(self, folder: Path, port: int, host: str = ""):
        self._path, self._turn = folder / _RECEIVED, threading.Lock()
        try:
            super().__init__((host, port), _Post)
        except OSError as error:
            raise CourseError(
                f"watch: port {port} cannot be had ({error.strerror}); name another with --serve."
            ) from error

    def append(self, lines: bytes) -> bool:
        """Write lines whole, in one go; return whether there was room for them."""
        with self._turn:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                if os.fstat(handle).st_size + len(lines) > _MOST_IN_ALL:
                    return False
                while lines:
                    lines = lines[os.write(handle, lines) :]
            finally:
                os.close(handle)
        return True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a learner's machine that breaks off."""


class _Post(BaseHTTPRequestHandler):
    server: Receiver
    timeout = _PATIENCE
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._answer(411, "Expected the length of the lines.")
        elif int(length) > _MOST_BYTES:
            self._answer(413, f"Expected at most {_MOST_BYTES} bytes.")
        else:
            body = self.rfile.read(int(length))
            lines = [line for raw in body.splitlines() if (line := decode(raw)) is not None]
            if len(body) < int(length) or len(lines) != len(body.splitlines()) or not lines:
                self._answer(400, f"Expected lines of a class, each of {LONGEST} bytes at most.")
            elif self._append(b"".join(line.encode() for line in lines)):
                self._answer(204)

    def do_GET(self) -> None:
        self._answer(405, "Here a class sends its lines: COURSEKIT_CLASS names this address.")

    def _append(self, lines: bytes) -> bool:
        try:
            if self.server.append(lines):
                return True
            self._answer(507, "The class is full.")
        except OSError:
            self._answer(503, "The lines cannot be written just now.")
        return False

    def _answer(self, code: int, text: str = "") -> None:
        body = f"{text}\n".encode() if text else b""
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if code != 204:
            self.send_header("Connection", "close")  # what was not read must not be taken for more
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet: the terminal shows the board."""
