"""Files are whole or as before; locks end with their holder, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from coursekit.base import files
from coursekit.base.files import locked, write_whole

HOLD = """
import sys, time
from pathlib import Path
from coursekit.base.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"\x00\xff", b"\x00\xff"), ("가 ä\n", "가 ä\n".encode()), ("", b""), (b"", b"")],
)
def test_a_file_holds_the_bytes_or_the_text_in_utf_8(tmp_path, content, expected):
    path = tmp_path / "new" / "folder" / "file.txt"
    write_whole(path, content)
    assert path.read_bytes() == expected
    assert names(path.parent) == ["file.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no such permissions")
def test_a_new_file_gets_the_usual_permissions_and_an_old_one_keeps_its_own(tmp_path):
    plain, path = tmp_path / "plain", tmp_path / "file"
    plain.touch()
    write_whole(path, "1")
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    write_whole(path, "2")
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_whatever_fails_the_old_file_stays_and_nothing_else(tmp_path, monkeypatch, failing, error):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(*((files.os, "fsync") if failing == "fsync" else (Path, "replace")), fail)
    with pytest.raises(type(error)):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_folder_where_the_file_should_be_is_an_error(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match=r"file"):
        write_whole(tmp_path / "file", "new")
    assert names(tmp_path) == ["file"]


def test_a_lock_is_held_once(tmp_path):
    lock = tmp_path / "work.lock"
    with (
        locked(lock),
        pytest.raises(BlockingIOError, match="locked by another process"),
        locked(lock, wait=False),
    ):
        pass
    with locked(lock, wait=False) as handle:
        assert os.fstat(handle)


def test_a_lock_is_given_back_where_the_work_fails(tmp_path):
    lock = tmp_path / "work.lock"
    with pytest.raises(ZeroDivisionError), locked(lock):
        _ = 1 / 0
    with locked(lock, wait=False):
        pass


def test_a_killed_holder_leaves_no_lock_and_who_waits_is_told_once(tmp_path):
    lock, told = tmp_path / "work.lock", []
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout.readline().split() == [b"held"]

        def kill() -> None:
            told.append("waiting")
            holder.send_signal(signal.SIGTERM)

        with locked(lock, waiting=kill):
            assert told == ["waiting"]
        holder.kill()


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), locked(tmp_path / "nowhere" / "work.lock"):
        pass
