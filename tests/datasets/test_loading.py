from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import coursekit as ck
from coursekit.datasets import cache, download, embedded, fetch, registry, status, used, verify
from coursekit.errors import ArgumentError, DataError


def damage(fresh, name, source):
    (path,) = (fresh / name / source).glob("files-*/x_train.npy")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.fixture
def imported(tiny, tmp_path):
    """The tiny MNIST in the cache, as official."""
    ck.datasets.import_data("mnist", tiny.write(tmp_path / "files"))


@pytest.mark.parametrize(
    ("name", "shown", "shape"),
    [
        ("mnist", "digits", (28, 28)),
        ("fashion_mnist", "digits", (28, 28)),
        ("cifar10", "shapes", (32, 32, 3)),
    ],
)
def test_a_stand_in_is_announced_once_on_stdout(small, capsys, name, shown, shape):
    data = ck.load(name, n_valid=100)
    assert (data.name, data.source, data.shape) == (name, "embedded", shape)
    assert data.class_names == ck.load(shown, n_valid=100).class_names
    ck.load(name, n_valid=50, seed=3)
    out, err = capsys.readouterr()
    n = embedded.n_images(shown)
    assert out == (
        f"STAND-IN DATA: {name} is replaced by the embedded '{shown}' ({n:,} images): "
        "COURSEKIT_OFFLINE is set, so nothing is downloaded.\n"
    )
    assert err == ""


@pytest.mark.parametrize("name", ["digits", "shapes"])
def test_embedded_sets_are_themselves_and_say_nothing(small, capsys, name):
    assert (ck.load(name, n_valid=10).name, ck.load(name, n_valid=10).source) == (name, "embedded")
    assert capsys.readouterr() == ("", "")


def test_an_embedded_set_asked_for_needs_no_announcement(small, imported, capsys):
    data = ck.load("mnist", source="embedded", n_valid=10)
    assert (data.name, data.source) == ("mnist", "embedded")
    assert capsys.readouterr().out == ""


def test_embedded_sets_are_made_once(small, monkeypatch):
    first = ck.load("shapes", n_valid=10)
    monkeypatch.setattr(embedded, "make", None)
    assert ck.load("cifar10", n_valid=10).fingerprint == first.fingerprint


def test_a_newer_recipe_makes_an_embedded_set_anew(small, monkeypatch):
    spec = ck.datasets.registry.DATASETS["shapes"]
    ck.load("shapes", n_valid=10)
    made = []
    real = embedded.make
    monkeypatch.setattr(embedded, "make", lambda name: made.append(name) or real(name))
    monkeypatch.setattr(type(spec), "recipe", 2)
    ck.load("shapes", n_valid=10)
    ck.load("shapes", n_valid=10)
    assert made == ["shapes"]


def test_two_processes_with_one_seed_get_the_same_bytes(small, fresh):
    script = (
        "import json, coursekit as ck\n"
        "data = ck.load('digits', n_valid=900, seed=5).subset(300, seed=1).standardized()\n"
        "print(json.dumps([data.fingerprint, float(data.x_train.sum()), data.y_valid.tolist()]))"
    )
    answers = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert answers[0].stdout == answers[1].stdout
    assert json.loads(answers[0].stdout)[2]
    assert answers[0].stderr == ""


def test_processes_that_make_one_set_at_once_agree(fresh):
    script = (
        "from coursekit.datasets import embedded, load\n"
        "embedded.SHAPES_SIZES = (600, 200)\n"
        "print(load('shapes', n_valid=10).fingerprint)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert len(answers) == 1
    assert [entry.note for entry in verify()] == [""]


def test_validation_is_drawn_by_seed_in_proportion_to_the_classes(imported, tiny):
    data = ck.load("mnist", n_valid=100)
    assert np.bincount(data.y_valid).tolist() == [10] * 10
    assert np.bincount(data.y_train).tolist() == [20] * 10
    whole = {image.tobytes() for image in tiny.arrays["x_train"]}
    parts = [
        {(x * 255).round().astype(np.uint8).tobytes() for x in images}
        for images in (data.x_train, data.x_valid)
    ]
    assert parts[0] | parts[1] == whole
    assert not parts[0] & parts[1]
    assert ck.load("mnist", n_valid=100).fingerprint == data.fingerprint
    assert ck.load("mnist", n_valid=100, seed=7).fingerprint != data.fingerprint
    np.testing.assert_array_equal(
        ck.load("mnist", n_valid=100, seed=7).y_test, tiny.arrays["y_test"].astype(np.int32)
    )


def test_no_validation_part_is_fine(imported):
    data = ck.load("mnist", n_valid=0)
    assert data.x_valid.shape == (0, 28, 28)
    assert data.standardized().x_valid.shape == (0, 28, 28)
    assert len(data.y_train) == 300


@pytest.mark.parametrize("n_valid", [291, 300, 5000])
def test_too_many_validation_images_are_refused(imported, n_valid):
    with pytest.raises(ArgumentError, match=f"n_valid must be at most 290 .* not {n_valid:,}"):
        ck.load("mnist", n_valid=n_valid)
    assert len(ck.load("mnist", n_valid=290).y_train) == 10


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "mnits"}, ArgumentError, "no data set 'mnits'; choose one of 'mnist', 'fashion"),
        ({"name": ""}, ArgumentError, "no data set ''"),
        ({"name": 3}, TypeError, "name must be a string such as 'mnist', not int"),
        ({"source": "web"}, ArgumentError, "source must be one of auto, official, imported, embed"),
        ({"source": None}, ArgumentError, "source must be one of .*, not None"),
        ({"n_valid": -1}, ArgumentError, r"n_valid: expected a whole number from 0 up, got -1\."),
        ({"n_valid": 10.0}, TypeError, r"n_valid: expected a whole number .*, got 10\.0\."),
        ({"n_valid": True}, TypeError, "n_valid: expected a whole number"),
        ({"seed": "42"}, TypeError, "seed: expected a whole number .*, got '42'"),
        ({"seed": None}, TypeError, "seed: expected a whole number .*, got None"),
        ({"seed": -3}, ArgumentError, "seed: expected a whole number from 0 up, got -3"),
        ({"name": "digits", "source": "official"}, ArgumentError, "digits comes with the package"),
        ({"name": "shapes", "source": "imported"}, ArgumentError, "shapes comes with the package"),
    ],
)
def test_a_wrong_argument_is_named(small, arguments, error, message):
    with pytest.raises(error, match=message):
        ck.load(**({"name": "mnist", "n_valid": 10} | arguments))


def test_numpy_integers_are_whole_numbers(imported):
    assert len(ck.load("mnist", n_valid=np.int64(10), seed=np.uint8(1)).y_valid) == 10


def test_official_never_falls_back_and_names_three_ways_out(small):
    with pytest.raises(DataError) as caught:
        ck.load("mnist", source="official")
    assert str(caught.value) == (
        "the official mnist cannot be had: COURSEKIT_OFFLINE is set, so nothing is downloaded. "
        "Three ways out: `python -m coursekit data import mnist PATH` with the official files, "
        "COURSEKIT_MIRROR with an address that has them, or source='embedded'"
    )


def test_imported_is_never_taken_for_official(fresh, tiny):
    arrays = ck.datasets.arrays.Arrays(**tiny.arrays)
    cache.store("mnist", "imported", arrays)
    assert ck.load("mnist", n_valid=0).source == "imported"
    assert ck.load("mnist", n_valid=0, source="imported").source == "imported"
    with pytest.raises(DataError, match="the official mnist cannot be had"):
        ck.load("mnist", source="official")


def test_official_is_preferred_to_imported(imported, tiny):
    cache.store("mnist", "imported", ck.datasets.arrays.Arrays(**tiny.arrays))
    assert ck.load("mnist", n_valid=0).source == "official"


def test_imported_that_is_not_there_says_how_to_get_it(imported):
    with pytest.raises(DataError, match="no imported mnist is here; `python -m coursekit data imp"):
        ck.load("mnist", source="imported")


def test_a_damaged_cache_is_said_once_and_a_stand_in_goes_on(imported, small, fresh, capsys):
    damage(fresh, "mnist", "official")
    before = sorted(fresh.glob("mnist/**/*.npy"))
    assert ck.load("mnist", n_valid=100).source == "embedded"
    assert ck.load("mnist", n_valid=100).source == "embedded"
    damaged, stand_in = capsys.readouterr().out.splitlines()
    assert damaged.startswith(
        "the cached mnist (official) is damaged: x_train.npy has another hash"
    )
    assert stand_in.startswith("STAND-IN DATA: mnist is replaced")
    assert sorted(fresh.glob("mnist/**/*.npy")) == before, "nothing is deleted"


def test_a_damaged_cache_is_downloaded_again_aloud(server, fresh, capsys):
    ck.load("mnist", n_valid=0)
    damage(fresh, "mnist", "official")
    capsys.readouterr()
    assert ck.load("mnist", n_valid=0).source == "official"
    damaged, fetched = capsys.readouterr().out.splitlines()
    assert damaged.startswith("the cached mnist (official) is damaged")
    assert fetched == "mnist: 400 official images, verified."
    assert len(server.asked) == 8


def test_fetch_replaces_a_damaged_cache_aloud(server, fresh, capsys):
    fetch("mnist")
    damage(fresh, "mnist", "official")
    assert fetch("mnist").note == ""
    assert "is damaged" in capsys.readouterr().out


def test_a_damaged_embedded_set_is_made_anew_aloud(small, fresh, capsys):
    first = ck.load("shapes", n_valid=10)
    damage(fresh, "shapes", "embedded")
    assert ck.load("shapes", n_valid=10).fingerprint == first.fingerprint
    assert "is damaged" in capsys.readouterr().out
    assert [entry.note for entry in verify()] == [""]


def test_an_unwritable_cache_keeps_an_embedded_set_in_memory(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path / "writable"))
    expected = ck.load("shapes", n_valid=10).fingerprint
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path / "file" / "cache"))
    assert ck.load("shapes", n_valid=10).fingerprint == expected
    monkeypatch.setattr(embedded, "make", None)
    assert ck.load("cifar10", n_valid=10).fingerprint == expected
    out = capsys.readouterr().out
    assert out.count("shapes is kept in memory only: the cache folder") == 1
    with pytest.raises(TypeError):
        fetch("shapes")


def test_a_read_only_cache_is_read(imported, monkeypatch):
    def read_only(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    for name in ("mkdir", "replace", "unlink"):
        monkeypatch.setattr(cache.Path, name, read_only)
    assert ck.load("mnist", n_valid=0).source == "official"


def test_used_tells_what_was_loaded_and_from_where(small, imported):
    ck.load("mnist", n_valid=10)
    ck.load("cifar10", n_valid=10)
    assert used() == {"mnist": "official", "cifar10": "embedded"}
    assert registry.replaced(used()) == ["cifar10"]


def test_an_embedded_set_that_was_asked_for_stands_in_for_nothing(small):
    ck.load("mnist", source="embedded", n_valid=10)
    ck.load("shapes", n_valid=10)
    assert used() == {"digits": "embedded", "shapes": "embedded"}
    assert registry.replaced(used()) == []


def test_status_tells_what_load_would_give(small, imported, fresh):
    entries = {entry.name: entry for entry in status()}
    assert list(entries) == list(ck.datasets.names())
    assert entries["mnist"].source == "official"
    assert entries["mnist"].images == 400
    assert entries["mnist"].size > 400 * 784
    assert entries["mnist"].note == ""
    assert (entries["cifar10"].source, entries["cifar10"].images) == ("embedded", 800)
    assert entries["cifar10"].note == (
        "'shapes' stands in; `python -m coursekit data fetch cifar10` or "
        "`data import cifar10 PATH` brings the real images"
    )
    assert entries["digits"].size == 0
    assert entries["digits"].note == ""
    damage(fresh, "mnist", "official")
    mnist = status()[0]
    assert mnist.source == "embedded"
    assert "is damaged" in mnist.note


def test_status_makes_and_writes_nothing(fresh, monkeypatch):
    monkeypatch.setattr(embedded, "make", None)
    monkeypatch.setattr(download, "download", None)
    status()
    assert not fresh.exists()


def test_verify_hashes_everything(small, imported, fresh):
    ck.load("shapes", n_valid=10)
    assert [(e.name, e.source, e.note) for e in verify()] == [
        ("mnist", "official", ""),
        ("shapes", "embedded", ""),
    ]
    damage(fresh, "mnist", "official")
    assert "x_train.npy has another hash" in verify()[0].note


def test_loading_loads_no_tensorflow_and_no_network_code(small):
    script = (
        "import sys, coursekit as ck\n"
        "ck.load('shapes', n_valid=10)\n"
        "print({'tensorflow', 'keras', 'requests', 'pooch', 'PIL', 'sklearn', 'tqdm'}"
        " & set(sys.modules))"
    )
    ck.load("shapes", n_valid=10)
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (answer.stdout, answer.stderr) == ("set()\n", "")
