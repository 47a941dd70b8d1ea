"""A cache of its own for each test, small data sets with known bytes, and a server to fail."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import hashlib
import http.server
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from coursekit.base import console
from coursekit.datasets import cache, download, embedded, loading, registry


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no network, nothing said yet; returns the cache folder."""
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSEKIT_OFFLINE", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("COURSEKIT_MIRROR", "COURSEKIT_HEADLESS", "COURSEKIT_GRADING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(console, "_said", set())
    monkeypatch.setattr(loading, "_made", {})
    monkeypatch.setattr(loading, "_used", {})
    monkeypatch.setattr(download, "_gave_up", {})
    monkeypatch.setattr(cache, "_found_right", set())
    return tmp_path / "cache"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Embedded sets of a few hundred images, made in a moment."""
    monkeypatch.setattr(embedded, "DIGITS_SIZES", (3_000, 400))
    monkeypatch.setattr(embedded, "SHAPES_SIZES", (600, 200))


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.tobytes()


@dataclasses.dataclass
class Published:
    """A small data set published as four gzip files: the arrays, and the files by name."""

    arrays: dict[str, np.ndarray]
    files: dict[str, bytes]

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (folder / name).write_bytes(data)
        return folder


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Published:
    """Stands for MNIST: 300 training and 100 test images, whose hashes the registry knows."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 300), ("test", 100)):
        arrays[f"x_{part}"] = rng.integers(0, 256, (n, 28, 28), np.uint8)
        arrays[f"y_{part}"] = rng.permutation(np.arange(n) % 10).astype(np.uint8)
    contents = [idx(array) for array in arrays.values()]
    packed = [gzip.compress(content, mtime=0) for content in contents]
    spec = registry.DATASETS["mnist"]
    files = tuple(
        dataclasses.replace(
            file,
            url=f"http://127.0.0.1:9/{file.name}",
            sha256=hashlib.sha256(data).hexdigest(),
            content_sha256=hashlib.sha256(content).hexdigest(),
            max_bytes=len(content) + 1000,
        )
        for file, data, content in zip(spec.files, packed, contents, strict=True)
    )
    monkeypatch.setitem(registry.DATASETS, "mnist", dataclasses.replace(spec, files=files))
    names = [file.name for file in files]
    return Published(arrays, dict(zip(names, packed, strict=True)))


Answer = Callable[[http.server.BaseHTTPRequestHandler, bytes], None]


class Server:
    """Serves `files` on loopback; `answers[name]` replaces the plain answer for a file.

    `asked` lists each request as (path, Range header).
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.closing = threading.Event()
        handler = functools.partial(_Handler, self)
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def wait(self, seconds: float) -> None:
        self.closing.wait(seconds)

    def close(self) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, server: Server, *arguments: object) -> None:
        self.scripted = server
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self.scripted.asked.append((self.path, self.headers.get("Range")))
        name = self.path.rsplit("/", 1)[-1]
        data = self.scripted.files.get(name)
        if name in self.scripted.answers:
            self.scripted.answers[name](self, data or b"")
        elif data is None:
            self.send_error(404)
        else:
            answer_in_full(self, data)

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""


def answer_in_full(handler: http.server.BaseHTTPRequestHandler, data: bytes) -> None:
    wanted = handler.headers.get("Range")
    start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
    if start:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    else:
        handler.send_response(200)
    handler.send_header("Content-Length", str(len(data) - start))
    handler.end_headers()
    handler.wfile.write(data[start:])


@pytest.fixture
def server(tiny: Published, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The tiny MNIST on a local server that is the mirror, with the network allowed."""
    running = Server(tiny.files)
    monkeypatch.setenv("COURSEKIT_MIRROR", running.address)
    monkeypatch.delenv("COURSEKIT_OFFLINE")
    monkeypatch.setattr("pooch.core.time", types.SimpleNamespace(sleep=lambda seconds: None))
    yield running
    running.close()
