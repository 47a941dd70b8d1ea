from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import coursekit as ck
from coursekit.datasets import archives, cache, import_data, names, registry
from coursekit.errors import ArgumentError, DataError

CLASSES = registry.DATASETS["cifar10"].class_names


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tar_of(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def folder_of(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def picture(colour, size=(32, 32), mode="RGB", suffix="png") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, {"jpg": "JPEG", "png": "PNG"}[suffix])
    return out.getvalue()


def pictures(per_class: int = 3, top: str = "", suffix: str = "png") -> dict[str, bytes]:
    """Flat images whose red is the class times 20, and whose green is their number."""
    return {
        f"{top}{part}/{name}/{k:04}.{suffix}": picture((20 * label, k, 90), suffix=suffix)
        for part in ("train", "test")
        for label, name in enumerate(CLASSES)
        for k in range(per_class)
    }


MAKERS = {
    "folder": lambda path, files: folder_of(path / "files", files),
    "zip": lambda path, files: zip_of(path / "files.zip", files),
    "tar": lambda path, files: tar_of(path / "files.tar", files, "w"),
    "tar.gz": lambda path, files: tar_of(path / "files.tgz", files),
}


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("top", ["", "MNIST/raw/", "./"])
def test_official_files_are_recognised_however_they_come(tiny, tmp_path, maker, top):
    path = MAKERS[maker](tmp_path, {top + name: data for name, data in tiny.files.items()})
    status = import_data("mnist", path)
    assert (status.name, status.source, status.images) == ("mnist", "official", 400)
    data = ck.load("mnist", source="official", n_valid=0)
    np.testing.assert_array_equal(data.x_train * 255, tiny.arrays["x_train"])
    np.testing.assert_array_equal(data.y_test, tiny.arrays["y_test"])


def unpacked(files):
    return {name.removesuffix(".gz"): gzip.decompress(data) for name, data in files.items()}


def packed_again(files):
    return {name: gzip.compress(gzip.decompress(data), 1) for name, data in files.items()}


def spelled_with_dots(files):
    return {name.replace("-idx", ".idx"): data for name, data in unpacked(files).items()}


@pytest.mark.parametrize("form", [unpacked, packed_again, spelled_with_dots])
def test_the_official_content_is_recognised_in_any_packing(tiny, tmp_path, form):
    assert import_data("mnist", zip_of(tmp_path / "a.zip", form(tiny.files))).source == "official"


def test_other_content_in_the_official_form_is_imported_not_official(tiny, tmp_path):
    name = "train-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(tiny.files[name]))
    content[-1] = (content[-1] + 1) % 10
    files = tiny.files | {name: gzip.compress(bytes(content))}
    assert import_data("mnist", folder_of(tmp_path / "a", files)).source == "imported"
    assert ck.load("mnist", n_valid=10).source == "imported"


def test_files_of_another_set_are_refused_by_name(tiny, tmp_path):
    folder = folder_of(tmp_path / "a", tiny.files)
    with pytest.raises(DataError, match=r"belongs to mnist, not fashion_mnist"):
        import_data("fashion_mnist", folder)


def test_of_two_sets_in_one_mirror_the_right_one_is_taken(tiny, tmp_path):
    files = {f"fashion_mnist/{name}": b"other" for name in tiny.files}
    files |= {f"mnist/{name}": data for name, data in tiny.files.items()}
    assert import_data("mnist", folder_of(tmp_path / "a", files)).source == "official"


def test_missing_official_files_are_named(tiny, tmp_path):
    files = dict(tiny.files)
    del files["t10k-labels-idx1-ubyte.gz"]
    with pytest.raises(DataError, match=r"a\.zip lacks t10k-labels-idx1-ubyte$"):
        import_data("mnist", zip_of(tmp_path / "a.zip", files))


def cifar_batches(n: int = 4) -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    top = "cifar-10-batches-bin/"
    batches = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    return {
        top + name: b"".join(bytes([k % 10]) + rng.bytes(3072) for k in range(n))
        for name in batches
    } | {top + "batches.meta.txt": b"airplane"}


@pytest.mark.parametrize("maker", MAKERS)
def test_cifar_batches_by_themselves_are_imported(tmp_path, maker):
    files = cifar_batches()
    status = import_data("cifar10", MAKERS[maker](tmp_path, files))
    assert (status.source, status.images) == ("imported", 24)
    data = ck.load("cifar10", n_valid=0)
    last = files["cifar-10-batches-bin/data_batch_5.bin"][-3072:]
    planes = (data.x_train[-1] * 255).round().astype(np.uint8).transpose(2, 0, 1)
    assert planes.tobytes() == last
    assert data.y_train.tolist() == [0, 1, 2, 3] * 5


@pytest.mark.parametrize("way", ["itself", "in a folder", "in a zip"])
def test_the_published_cifar_archive_is_official(tmp_path, monkeypatch, way):
    archive = tar_of(tmp_path / "cifar-10-binary.tar.gz", cifar_batches())
    data = archive.read_bytes()
    spec = registry.DATASETS["cifar10"]
    file = dataclasses.replace(spec.files[0], sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setitem(registry.DATASETS, "cifar10", dataclasses.replace(spec, files=(file,)))
    path = {
        "itself": archive,
        "in a folder": archive.parent,
        "in a zip": zip_of(tmp_path / "a.zip", {file.name: data}),
    }[way]
    assert import_data("cifar10", path).source == "official"


@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar-10-batches-py/data_batch_1"])
def test_a_pickle_is_never_loaded(tmp_path, name):
    with pytest.raises(DataError, match="a pickle, which could run any code when loaded; the bin"):
        import_data("cifar10", folder_of(tmp_path / "a", {name: b"\x80\x04cos\nsystem\n"}))


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("top", ["", "cifar/", "./"])
def test_images_are_decoded_labelled_and_shuffled(tmp_path, maker, top):
    status = import_data("cifar10", MAKERS[maker](tmp_path, pictures(top=top)))
    assert (status.source, status.images) == ("imported", 60)
    data = ck.load("cifar10", n_valid=10)
    for part in ("train", "valid", "test"):
        x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
        np.testing.assert_allclose(x[:, 5, 5, 0] * 255, 20 * y, atol=1e-3)
    assert data.y_test.tolist() != sorted(data.y_test)
    assert {round(float(green) * 255) for green in data.x_test[:, 0, 0, 1]} == {0, 1, 2}


def test_every_form_of_the_same_images_gives_the_same_bytes(tmp_path):
    files = pictures()
    digests = set()
    for k, maker in enumerate(MAKERS.values()):
        (tmp_path / str(k)).mkdir()
        turned = dict(sorted(files.items(), reverse=k % 2 == 1))
        import_data("cifar10", maker(tmp_path / str(k), turned))
        digests.add(cache.open_cached("cifar10", "imported").digest)
    assert len(digests) == 1


def test_jpegs_come_close_and_other_files_are_passed_over(tmp_path):
    files = pictures(per_class=1, suffix="jpg")
    files |= {
        "train/cat/notes.txt": b"",
        "train/.DS_Store": b"",
        "__MACOSX/train/cat/._1.jpg": b"",
        "cover.png": b"",
    }
    import_data("cifar10", zip_of(tmp_path / "a.zip", files))
    data = ck.load("cifar10", n_valid=0)
    assert len(data.y_train) == 10
    np.testing.assert_allclose(data.x_train[:, 5, 5, 0] * 255, 20 * data.y_train, atol=4)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_images_of_other_modes_become_colour(tmp_path, mode):
    files = pictures(per_class=1)
    colour = {"L": 200, "P": 1, "RGBA": (200, 200, 200, 255), "1": 1}[mode]
    files["train/dog/0000.png"] = picture(colour, mode=mode)
    assert import_data("cifar10", folder_of(tmp_path / "a", files)).images == 20


def test_class_folders_may_be_numbers_or_loosely_spelled(tmp_path):
    grey = {
        f"{part}/{folder}/a.png": picture(40, (28, 28), "L")
        for part in ("Train", "TEST")
        for folder in ("0", "trouser", "Pullover", "3", "4", "5", "6", "7", "8", "ankle_boot")
    }
    import_data("fashion_mnist", folder_of(tmp_path / "a", grey))
    data = ck.load("fashion_mnist", n_valid=0)
    assert sorted(data.y_train) == list(range(10))
    assert data.x_train.shape == (10, 28, 28)


def broken(change: dict[str, bytes | None]) -> dict[str, bytes]:
    files = pictures(per_class=1)
    for name, data in change.items():
        for path in [each for each in files if each.startswith(name)] or [name]:
            if data is None:
                files.pop(path)
            else:
                files[path] = data
    return files


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train/cat": None}, "has no images in train/ of the classes cat"),
        ({"test": None}, "has no images in test/ of the classes airplane, auto"),
        ({"train/unicorn/0.png": picture((1, 2, 3))}, "'unicorn', which is no class of cifar10"),
        ({"train/dog/0000.png": picture((1, 2, 3), (32, 31))}, r"has 32×31 pixels, .* have 32×32"),
        ({"train/dog/0000.png": b"\x89PNG\r\n\x1a\nrubbish"}, "dog/0000.png is not a readable"),
        ({"train/dog/0000.png": b""}, "dog/0000.png is not a readable"),
        ({"train/dog/0000.png": picture((1, 2, 3))[:-40]}, "dog/0000.png is not a readable"),
        ({"train/dog/0000.png": bytes(2 << 20)}, "is larger than 1,048,576 bytes"),
    ],
)
def test_what_is_wrong_with_images_is_one_sentence(tmp_path, change, message):
    with pytest.raises(DataError, match=message) as caught:
        import_data("cifar10", zip_of(tmp_path / "a.zip", broken(change)))
    assert "\n" not in str(caught.value)
    assert cache.open_cached("cifar10", "imported") is None


def test_an_image_that_announces_an_absurd_size_is_not_decoded(tmp_path):
    data = bytearray(picture((1, 2, 3)))
    data[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height in the PNG header
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(DataError, match="absurd size"):
        import_data("cifar10", zip_of(tmp_path / "a.zip", broken({"train/dog/0000": bytes(data)})))


@pytest.mark.parametrize(
    "name", ["../evil.png", "train/cat/../../../evil.png", "/etc/evil", "C:\\evil", "a\\..\\..\\b"]
)
@pytest.mark.parametrize("maker", ["zip", "tar.gz"])
def test_names_that_point_outside_are_refused(tmp_path, name, maker):
    path = MAKERS[maker](tmp_path, pictures(per_class=1) | {name: picture((1, 1, 1))})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"unsafe name .* nothing was read from it"):
        import_data("cifar10", path)
    assert sorted(tmp_path.rglob("*")) == before


def test_links_in_a_tar_are_not_followed(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("data_batch_1.bin")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DataError, match="holds neither the files of cifar10"):
        import_data("cifar10", path)


@pytest.mark.parametrize("maker", ["zip", "tar.gz"])
def test_an_archive_that_announces_too_much_is_refused(tmp_path, maker, monkeypatch):
    path = MAKERS[maker](tmp_path, {"train/cat/a.png": bytes(100_000), "b": b""})
    monkeypatch.setattr(archives, "MAX_TOTAL", 99_999)
    with pytest.raises(DataError, match="unpacks to more than"):
        import_data("cifar10", path)


@pytest.mark.parametrize("maker", MAKERS)
def test_too_many_files_are_refused(tmp_path, maker, monkeypatch):
    path = MAKERS[maker](tmp_path, {f"{k}.txt": b"" for k in range(5)})
    monkeypatch.setattr(archives, "MAX_MEMBERS", 4)
    with pytest.raises(DataError, match="more than 4 files"):
        import_data("cifar10", path)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.zip", b"not a zip", r"a\.zip is neither a folder nor a readable zip or tar"),
        ("a.gz", gzip.compress(b"text"), "neither a folder nor a readable zip or tar"),
        ("a.tar.gz", gzip.compress(b"x" * 5000)[:-9], "neither a folder nor a readable"),
        ("empty", b"", "neither a folder nor a readable"),
    ],
    ids=["text", "text in gzip", "a cut gzip", "nothing"],
)
def test_a_file_that_is_no_archive_is_refused(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        import_data("cifar10", tmp_path / name)


@pytest.mark.parametrize("cut", [0.3, 0.97])
@pytest.mark.parametrize("maker", ["zip", "tar.gz"])
def test_an_archive_cut_short_is_refused(tmp_path, maker, cut):
    path = MAKERS[maker](tmp_path, cifar_batches())
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    with pytest.raises(DataError):
        import_data("cifar10", path)
    assert cache.open_cached("cifar10", "imported") is None


def test_a_damaged_member_is_named(tmp_path):
    path = zip_of(tmp_path / "a.zip", pictures(per_class=1))
    data = bytearray(path.read_bytes())
    at = data.index(b"test/airplane/0000.png") + 30
    data[at] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"test/airplane/0000\.png in a\.zip cannot be read"):
        import_data("cifar10", path)


@pytest.mark.parametrize("files", [{}, {"readme.txt": b"hello"}, {"train/cat.png": b""}])
def test_nothing_of_use_says_what_was_looked_for(tmp_path, files):
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match=r"holds neither the files of mnist \(train-images-idx3-"):
        import_data("mnist", folder_of(tmp_path / "a", files))


def test_bad_arguments(tmp_path):
    with pytest.raises(DataError, match=f"there is no file or folder {tmp_path / 'none'}"):
        import_data("mnist", tmp_path / "none")
    with pytest.raises(ArgumentError, match="digits comes with the package"):
        import_data("digits", tmp_path)
    with pytest.raises(ArgumentError, match=f"no data set 'mnits'; choose one of '{names()[0]}'"):
        import_data("mnits", tmp_path)
    with pytest.raises(TypeError, match="name must be a string"):
        import_data(3, tmp_path)


def test_a_failed_import_leaves_the_earlier_one(tmp_path):
    import_data("cifar10", folder_of(tmp_path / "a", pictures(per_class=2)))
    with pytest.raises(DataError):
        import_data("cifar10", folder_of(tmp_path / "b", broken({"train/cat": None})))
    assert len(ck.load("cifar10", n_valid=0).y_train) == 20


def test_an_import_without_room_says_so(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match="cannot be written"):
        import_data("cifar10", folder_of(tmp_path / "a", pictures(per_class=1)))


def test_an_import_killed_midway_leaves_nothing(tmp_path, fresh):
    path = zip_of(tmp_path / "a.zip", pictures(per_class=40))
    script = (
        "import sys\nfrom coursekit import datasets\nfrom coursekit.datasets import image_folders\n"
        "real, calls = image_folders.decode, []\n"
        "def decode(*arguments):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 300: print('halfway', flush=True)\n"
        "    if len(calls) > 300: __import__('time').sleep(600)\n"
        "    return real(*arguments)\n"
        "image_folders.decode = decode\n"
        "datasets.import_data('cifar10', sys.argv[1])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE)
    assert process.stdout.readline().strip() == b"halfway"
    process.kill()
    process.wait()
    process.stdout.close()
    assert not fresh.exists() or not any(fresh.rglob("*.npy"))
    assert cache.open_cached("cifar10", "imported") is None
    assert import_data("cifar10", path).images == 800


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_a_folder_that_links_to_itself_ends(tmp_path):
    folder = folder_of(tmp_path / "a", pictures(per_class=1))
    (folder / "again").symlink_to(folder)
    assert import_data("cifar10", folder).images == 20
