from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from coursekit.datasets import cache
from coursekit.datasets.arrays import Arrays
from coursekit.datasets.cache import DamagedCacheError, UnwritableCacheError
from coursekit.errors import DataError


def arrays(shade: int = 7) -> Arrays:
    images = np.arange(5 * 28 * 28, dtype=np.uint8).reshape(5, 28, 28) ^ np.uint8(shade)
    return Arrays(images, np.arange(5, dtype=np.uint8), images[:2], np.arange(2, dtype=np.uint8))


@pytest.fixture
def home(fresh: Path) -> Path:
    """The folder of a stored set."""
    cache.store("mnist", "official", arrays())
    return fresh / "mnist" / "official"


def npy(home: Path, key: str = "x_train") -> Path:
    manifest = json.loads((home / "manifest.json").read_text())
    return home / manifest["folder"] / f"{key}.npy"


def flip_last_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_what_is_stored_comes_back_mapped_and_read_only(home):
    found = cache.open_cached("mnist", "official")
    for key, array in arrays().items().items():
        stored = getattr(found.arrays, key)
        assert isinstance(stored, np.memmap)
        assert not stored.flags.writeable
        np.testing.assert_array_equal(stored, array)
    assert found.arrays.groups is None
    assert found.size == sum(path.stat().st_size for path in home.glob("files-*/*.npy"))
    assert found.digest == cache.digest_of(arrays())


def test_nothing_stored_is_none():
    assert cache.open_cached("mnist", "official") is None


def test_another_recipe_counts_as_not_there(home):
    assert cache.open_cached("mnist", "official", recipe=2) is None


def test_digest_depends_on_every_array():
    changed = arrays()
    changed.y_test[0] = 9
    assert len({cache.digest_of(a) for a in (arrays(), changed, arrays(8))}) == 3


def test_storing_again_replaces_and_leaves_one_folder(home):
    held = cache.open_cached("mnist", "official").arrays
    cache.store("mnist", "official", arrays(99))
    np.testing.assert_array_equal(
        cache.open_cached("mnist", "official").arrays.x_train, arrays(99).x_train
    )
    assert len(list(home.glob("files-*"))) == 1
    if os.name == "posix":
        np.testing.assert_array_equal(held.x_train, arrays().x_train, "who has it open keeps it")


@pytest.mark.parametrize("key", ["x_train", "y_train", "x_test", "y_test"])
def test_a_changed_byte_is_noticed(home, key):
    flip_last_byte(npy(home, key))
    with pytest.raises(DamagedCacheError) as caught:
        cache.open_cached("mnist", "official")
    assert str(caught.value) == (
        f"the cached mnist (official) is damaged: {key}.npy has another hash than when it was "
        "stored; `python -m coursekit data fetch mnist` replaces it"
    )
    assert npy(home, key).exists(), "nothing is deleted silently"


def test_a_changed_byte_under_the_old_time_is_found_by_a_thorough_look(home):
    path = npy(home)
    stat = path.stat()
    flip_last_byte(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert cache.open_cached("mnist", "official") is not None
    with pytest.raises(DamagedCacheError, match="another hash"):
        cache.open_cached("mnist", "official", thorough=True)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "x_train.npy is missing"),
        (lambda path: path.write_bytes(b""), "x_train.npy has 0 bytes instead of 4,048"),
        (lambda path: path.write_bytes(bytes(4048)), "x_train.npy "),
        (
            lambda path: np.save(path, np.zeros((28, 5, 28), np.uint8)),
            "x_train.npy has another header",
        ),
        (lambda path: (path.unlink(), path.mkdir()), "x_train.npy has|cannot be read"),
    ],
)
def test_every_damage_is_one_sentence(home, damage, message):
    damage(npy(home))
    with pytest.raises(DamagedCacheError, match=message) as caught:
        cache.open_cached("mnist", "official")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 1}',
        '{"format": 1, "recipe": 0, "folder": "../elsewhere", "arrays": {}}',
        '{"format": 1, "recipe": 0, "folder": "x", "arrays": {"x_train": {}}}',
        '{"format": 1, "recipe": 0, "folder": "x", "arrays": 3}',
        "\udcff".encode("utf-8", "surrogateescape"),
    ],
)
def test_a_manifest_that_is_none_is_damage(home, text):
    data = text if isinstance(text, bytes) else text.encode()
    (home / "manifest.json").write_bytes(data)
    with pytest.raises(DamagedCacheError, match=r"manifest\.json is not a manifest"):
        cache.open_cached("mnist", "official")
    cache.store("mnist", "official", arrays())
    assert cache.open_cached("mnist", "official") is not None


def test_a_manifest_of_a_later_version_counts_as_not_there(home):
    manifest = json.loads((home / "manifest.json").read_text()) | {"format": 2}
    (home / "manifest.json").write_text(json.dumps(manifest))
    assert cache.open_cached("mnist", "official") is None


def test_a_touched_file_is_hashed_once_and_its_new_time_kept(home, monkeypatch):
    os.utime(npy(home), ns=(1, 1))
    hashed = []
    real = cache._sha256
    monkeypatch.setattr(cache, "_sha256", lambda array: hashed.append(array.shape) or real(array))
    cache.open_cached("mnist", "official")
    monkeypatch.setattr(cache, "_found_right", set())  # as in another process
    cache.open_cached("mnist", "official")
    assert hashed == [(5, 28, 28)]


def test_a_touched_file_in_a_read_only_cache_is_hashed_once_per_process(home, monkeypatch):
    os.utime(npy(home), ns=(1, 1))
    hashed = []
    real = cache._sha256
    monkeypatch.setattr(cache, "_sha256", lambda array: hashed.append(array.shape) or real(array))

    def read_only(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(cache, "write_whole", read_only)
    for _ in range(3):
        assert cache.open_cached("mnist", "official") is not None
    assert hashed == [(5, 28, 28)]


def test_a_set_replaced_while_it_is_opened_is_read_anew(home, monkeypatch):
    real = cache._open

    def replaced_first(*arguments):
        monkeypatch.setattr(cache, "_open", real)
        cache.store("mnist", "official", arrays(99))
        return real(*arguments)

    monkeypatch.setattr(cache, "_open", replaced_first)
    found = cache.open_cached("mnist", "official")
    np.testing.assert_array_equal(found.arrays.x_train, arrays(99).x_train)


def test_a_set_replaced_just_after_it_was_stored_is_no_error(home, monkeypatch):
    real = cache.write_whole

    def overtaken(*arguments):
        monkeypatch.setattr(cache, "write_whole", real)
        real(*arguments)
        cache.store("mnist", "official", arrays(5))

    monkeypatch.setattr(cache, "write_whole", overtaken)
    found = cache.store("mnist", "official", arrays(99))
    np.testing.assert_array_equal(found.arrays.x_train, arrays(5).x_train)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_write_that_fails_leaves_what_was_there(home, monkeypatch, number):
    before = sorted(path.name for path in home.iterdir())
    writes = []

    def fail_late(file, array, **options):
        writes.append(array)
        if len(writes) == 3:
            raise OSError(number, os.strerror(number))
        file.write(b"half")

    with monkeypatch.context() as patch:
        patch.setattr(cache.np, "save", fail_late)
        with pytest.raises(UnwritableCacheError) as caught:
            cache.store("mnist", "official", arrays(99))
    expected = "the disk is full: mnist needs 0 MB" if number == errno.ENOSPC else "cannot be writ"
    assert expected in str(caught.value)
    assert "COURSEKIT_DATA" in str(caught.value)
    assert sorted(path.name for path in home.iterdir()) == before
    np.testing.assert_array_equal(
        cache.open_cached("mnist", "official").arrays.x_train, arrays().x_train
    )


def test_a_cache_folder_that_is_a_file_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path / "file" / "cache"))
    assert cache.open_cached("mnist", "official") is None
    with pytest.raises(UnwritableCacheError, match="cannot be written"):
        cache.store("mnist", "official", arrays())


def test_an_unreadable_manifest_is_named_as_such(home, monkeypatch):
    def denied(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\); see to the perm"):
        cache.open_cached("mnist", "official")


def test_killed_while_storing_leaves_no_set_and_is_swept_later(fresh):
    script = (
        "import os, signal, numpy as np\n"
        "from coursekit.datasets import cache\n"
        "from coursekit.datasets.arrays import Arrays\n"
        "x, y = np.zeros((9, 28, 28), np.uint8), np.zeros(9, np.uint8)\n"
        "real = np.save\n"
        "def save(file, array, **options):\n"
        "    real(file, array, **options)\n"
        "    if array.ndim == 1:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "cache.np.save = save\n"
        "cache.store('mnist', 'official', Arrays(x, y, x, y))\n"
    )
    if not hasattr(os, "fork"):
        script = script.replace("os.kill(os.getpid(), signal.SIGKILL)", "os._exit(9)")
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert killed.returncode != 0
    assert killed.stderr == b""
    home = fresh / "mnist" / "official"
    (left,) = home.glob("files-*")
    assert cache.open_cached("mnist", "official") is None
    cache.store("mnist", "official", arrays())
    assert left.exists(), "it may belong to a process that still writes"
    os.utime(left, (time.time() - 3600,) * 2)
    cache.store("mnist", "official", arrays())
    assert not left.exists()
    assert len(list(home.glob("files-*"))) == 1


def test_cache_dir_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSEKIT_DATA", "~/course")
    assert cache.cache_dir() == Path.home() / "course"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSEKIT_DATA", "here")
    assert cache.cache_dir() == tmp_path / "here"
    monkeypatch.setenv("COURSEKIT_DATA", "")
    assert "coursekit" in cache.cache_dir().parts
    assert cache.cache_dir().is_absolute()
