"""Fetching the published files: hashes checked, partial files resumed, dead hosts given up on.

pooch does the retries and the renaming into place; this module gives it a downloader that goes on
where an earlier one stopped, and tells in a sentence what went wrong.
"""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from coursekit.base.environment import is_on
from coursekit.datasets.progress_bar import progress
from coursekit.datasets.readers import is_official, unpack
from coursekit.datasets.registry import DatasetSpec, RemoteFile
from coursekit.errors import ArgumentError, DataError

if TYPE_CHECKING:
    import requests

ANSWER_SECONDS = 8.0  # for name look-up, connection and first answer together
STALL_SECONDS = 15.0  # without a single byte
RETRIES = 2
REMEMBER_SECONDS = 300.0
_CHUNK = 1 << 14  # bytes; what has come of a chunk when the connection is cut is lost

_gave_up: dict[str, tuple[float, str]] = {}


class _WrongBytesError(ValueError):
    """A resumed file that came out wrong: worth one fresh start, so pooch may retry."""


def mirror() -> str | None:
    """The address in `COURSEKIT_MIRROR` without a final slash, or None.

    It takes the place of the official addresses and holds `<data set>/<file>`: http(s), or a
    folder such as a network share.
    """
    address = os.environ.get("COURSEKIT_MIRROR", "").strip().rstrip("/")
    if not address:
        return None
    if urlsplit(address).scheme not in ("http", "https") and not Path(address).is_dir():
        raise ArgumentError(
            "COURSEKIT_MIRROR must be an http:// or https:// address or an existing folder, "
            f"not {address!r}"
        )
    return address


def check_online() -> None:
    """DataError if `COURSEKIT_OFFLINE` forbids every download."""
    if is_on("COURSEKIT_OFFLINE"):
        raise DataError("COURSEKIT_OFFLINE is set, so nothing is downloaded")


def download(spec: DatasetSpec, folder: Path, *, again: bool = True) -> Path:
    """Bring all published files of a data set into `folder`; verified ones are not fetched twice.

    Returns the folder that has them: with a folder as mirror, that one. With `again=False` a host
    that failed a moment ago is not tried again. DataError with the reason; what has arrived by
    then stays for the next run.
    """
    check_online()
    base = mirror()
    if base and Path(base).is_dir():
        return Path(base) / spec.name
    for file in spec.files:
        url = f"{base}/{spec.name}/{file.name}" if base else file.url
        failed = _gave_up.get(urlsplit(url).netloc)
        if not again and failed and time.monotonic() - failed[0] < REMEMBER_SECONDS:
            raise DataError(failed[1])
        try:
            _fetch(file, url, folder)
        except OSError as error:
            raise DataError(
                f"{file.name} cannot be stored in {folder} ({error.strerror or error}); free some "
                "space or point COURSEKIT_DATA to another folder"
            ) from error
    return folder


def _fetch(file: RemoteFile, url: str, folder: Path) -> None:
    import pooch
    import requests

    place = folder / file.name
    if place.exists():
        if _is_right(file, place):
            return
        place.unlink()
    keeper = pooch.create(
        path=folder,
        base_url="",
        registry={file.name: None},  # the downloader checks the bytes, packed and unpacked
        urls={file.name: url},
        retry_if_failed=RETRIES,
    )
    try:
        with _quiet_pooch():
            keeper.fetch(file.name, downloader=_Resuming(file, folder / f"{file.name}.part"))
    except requests.HTTPError as error:
        raise DataError(f"{url} answered {error.response.status_code}, again and again") from error
    except requests.RequestException as error:
        raise DataError(
            f"the connection to {urlsplit(url).netloc} was cut or stalled while {file.name} was "
            "coming; the next run goes on from there"
        ) from error
    except _WrongBytesError as error:
        raise DataError(str(error)) from error


class _Resuming:
    """A downloader for pooch: appends to what an earlier attempt left, then verifies."""

    def __init__(self, file: RemoteFile, part: Path) -> None:
        self._file = file
        self._part = part

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download `url` to `output_file`."""
        have = self._part.stat().st_size if self._part.exists() else 0
        if have and _is_right(self._file, self._part):
            self._part.replace(output_file)
            return
        # No transparent compression: it would change the bytes and the meaning of a range.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        response = _ask(url, headers)
        with response:
            resumed = self._check_answer(response, url, have)
            self._save(response, url, have if resumed else 0)
        if not _is_right(self._file, self._part):
            self._part.unlink()
            message = (
                f"{self._file.name} from {urlsplit(url).netloc} is not the published file: its "
                "SHA-256 differs; it was thrown away"
            )
            raise _WrongBytesError(message) if resumed else DataError(message)
        self._part.replace(output_file)

    def _check_answer(self, response: requests.Response, url: str, have: int) -> bool:
        """True if the answer goes on where the part ends; DataError for a useless answer."""
        status = response.status_code
        if status == 416:
            self._part.unlink(missing_ok=True)
            response.raise_for_status()
        if status >= 500 or status == 429:
            response.raise_for_status()
        if status >= 400:
            raise DataError(f"{url} answered {status} {response.reason}".rstrip())
        if "text/html" in response.headers.get("Content-Type", ""):
            raise DataError(_web_page(self._file, url))
        return status == 206 and response.headers.get("Content-Range", "").startswith(
            f"bytes {have}-"
        )

    def _save(self, response: requests.Response, url: str, have: int) -> None:
        length = int(response.headers.get("Content-Length") or 0)
        with (
            self._part.open("ab" if have else "wb") as out,
            progress(have + length if length else None, "B", self._file.name) as bar,
        ):
            bar.update(have)
            size = have
            for chunk in response.iter_content(_CHUNK):
                if not size and chunk.lstrip()[:1] == b"<":
                    raise DataError(_web_page(self._file, url))
                size += len(chunk)
                if size > self._file.max_bytes:
                    out.truncate(0)
                    raise DataError(f"{url} sends more than {self._file.name} can hold")
                out.write(chunk)
                bar.update(len(chunk))


def _web_page(file: RemoteFile, url: str) -> str:
    return (
        f"{urlsplit(url).netloc} sent a web page in place of {file.name}: perhaps this network "
        "wants a login first"
    )


def _ask(url: str, headers: dict[str, str]) -> requests.Response:
    """Get the head of an answer within ANSWER_SECONDS, name look-up and all proxies included."""
    import requests

    answers: queue.SimpleQueue[requests.Response | Exception] = queue.SimpleQueue()
    too_late = threading.Event()

    def ask() -> None:
        try:
            answer = requests.get(
                url, headers=headers, stream=True, timeout=(ANSWER_SECONDS, STALL_SECONDS)
            )
        except Exception as error:  # handed over to the thread that waits
            answers.put(error)
            return
        answers.put(answer)
        if too_late.is_set():
            answer.close()

    threading.Thread(target=ask, daemon=True).start()
    host = urlsplit(url).netloc
    try:
        answer = answers.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        too_late.set()
        raise _give_up(host, f"{host} did not answer within {ANSWER_SECONDS:.0f} s") from None
    if isinstance(answer, requests.exceptions.SSLError):
        raise _give_up(host, f"{host} could not prove who it is (TLS certificate)") from answer
    if isinstance(answer, requests.RequestException):
        raise _give_up(host, f"{host} cannot be reached") from answer
    if isinstance(answer, Exception):
        raise answer
    return answer


def _give_up(host: str, reason: str) -> DataError:
    _gave_up[host] = (time.monotonic(), reason)
    return DataError(reason)


def _is_right(file: RemoteFile, path: Path) -> bool:
    with path.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256:
            return True
    if file.content_sha256 is None or path.stat().st_size > file.max_bytes:
        return False
    data = path.read_bytes()
    try:
        return is_official(file, data, unpack(data, file.max_bytes, file.name))
    except DataError:
        return False


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Keep pooch's log lines off stderr; the errors say what matters."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
