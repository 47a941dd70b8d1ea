"""What pip prints, turned into a progress line and, where it fails, into one sentence."""

from __future__ import annotations

import re
import sys
import time
from typing import TextIO

_EVENTS = (
    ("ignored", re.compile(r"Ignoring [\w.-]+: markers ")),
    ("found", re.compile(r"(?:Collecting|Requirement already satisfied:) ([\w.-]+)")),
    ("found", re.compile(r"Processing (?:.*[/\\])?([\w.]+)-\d[^/\\]*\.whl")),
    ("size", re.compile(r"\s+(?:Downloading|Using cached) \S+ \(([\d.]+ \w+)\)")),
    ("install", re.compile(r"Installing collected packages: (.+)")),
    ("retry", re.compile(r"WARNING: Retrying ")),
)
_AGAIN = "then run the same command again"
_NETWORK = re.compile(
    r"Retrying \(Retry|NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout"
    r"|Max retries exceeded|Connection ?(?:Reset|Refused|broken|aborted)|ProxyError"
    r"|IncompleteRead|Temporary failure in name resolution",
    re.IGNORECASE,
)


class Progress:
    """The line that says how far an installation is: `fetching 57 of 139: tensorflow (620 MB)`.

    On a terminal the line is written over itself and shows how long a package takes; elsewhere a
    line appears at every tenth. `total` is the number of packages in the list handed to pip.
    """

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.total = total
        self.found = 0
        self.queue: list[str] = []
        self._name = ""
        self._live = self.stream.isatty()
        self._shown = ""
        self._text = ""
        self._since = 0.0
        self._tenth = (None, -1)

    def read(self, line: str) -> None:
        """Take in one line of pip's output."""
        for event, pattern in _EVENTS:
            match = pattern.match(line)
            if match:
                getattr(self, f"_{event}")(*match.groups())
                return

    def wait(self, count: int) -> None:
        """Take in that pip is silent, and how many of the packages to install lie in place."""
        seconds = time.monotonic() - self._since
        if self._live and self._text and seconds > 3:
            self._write(f"{self._text}, {seconds:.0f} s")
        if self.queue:
            done = min(count, len(self.queue))
            name = self.queue[min(done, len(self.queue) - 1)]
            self._show("installing", min(done + 1, len(self.queue)), len(self.queue), name)

    def close(self) -> None:
        """Leave the terminal on a fresh line."""
        if self._live and self._shown:
            print("\r" + " " * len(self._shown) + "\r", end="", file=self.stream, flush=True)

    def _ignored(self) -> None:
        self.total -= 1

    def _found(self, name: str) -> None:
        self.found += 1
        self._name = name
        self._show("fetching", self.found, self.total, name)

    def _size(self, size: str) -> None:
        self._show("fetching", self.found, self.total, f"{self._name} ({size})")

    def _install(self, names: str) -> None:
        self.queue = names.split(", ")
        self.wait(0)

    def _retry(self) -> None:
        self._show("fetching", self.found, self.total, "no answer, trying again")

    def _show(self, phase: str, done: int, total: int, name: str) -> None:
        text = f"  {phase} {done} of {total}: {name}"
        if text == self._text:
            return
        self._text, self._since = text, time.monotonic()
        if self._live:
            self._write(text)
        elif self._tenth != (phase, 10 * done // total):
            print(text, file=self.stream, flush=True)
            self._tenth = (phase, 10 * done // total)

    def _write(self, text: str) -> None:
        padding = " " * (len(self._shown) - len(text))
        print(f"\r{text}{padding}", end="", file=self.stream, flush=True)
        self._shown = text


def explain(output: str) -> str:
    """Return one sentence that says why pip failed and what to do.

    >>> explain("ERROR: Could not install packages due to an OSError: [Errno 28] No space left")
    'The disk is full: free about 4 GB, then run the same command again.'
    """
    if "[Errno 28]" in output or "No space left on device" in output:
        return f"The disk is full: free about 4 GB, {_AGAIN}."
    if "CERTIFICATE_VERIFY_FAILED" in output or "SSLError" in output:
        return (
            "The package registry's certificate is not trusted here: behind a company's proxy, "
            f"point PIP_CERT at its certificate file, {_AGAIN}."
        )
    if "DO NOT MATCH THE HASHES" in output:
        return (
            "A downloaded package is not the one that requirements.lock asks for: remove it from "
            f"pip's cache with `python3 -m pip cache purge`, {_AGAIN}."
        )
    if _NETWORK.search(output[-3000:]):
        return (
            "The package registry cannot be reached: check the network (or set HTTPS_PROXY, or "
            f"PIP_INDEX_URL to a mirror), {_AGAIN}; what is already there is kept."
        )
    missing = re.search(r"No matching distribution found for ([\w.-]+)", output)
    if missing:
        return (
            f"The registry that pip uses has no {missing[1]} for this machine ({sys.platform}, "
            f"Python {sys.version_info[0]}.{sys.version_info[1]}): try another of the supported "
            "Pythons (3.11 to 3.13) or a complete mirror."
        )
    if "[Errno 13]" in output or "Permission denied" in output:
        return f"A file under .venv cannot be written: check who owns the folder, {_AGAIN}."
    if "Windows Long Path support" in output:
        return (
            "A path is too long for Windows: move the course to a short path such as C:\\course, "
            f"or turn on long paths, {_AGAIN}."
        )
    errors = re.findall(r"^(?:ERROR: |\w*Error: )(.+)$", output, re.MULTILINE)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    last = (errors or lines or ["it said nothing"])[-1]
    return f"Installing the packages failed: {last.rstrip('.')} (all of it in .cache/setup.log)."
