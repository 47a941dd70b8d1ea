"""What the course knows about each data set: files, addresses, hashes, classes, stand-ins.

The hashes are those of the published files. A file is official when its own SHA-256 matches, or
the SHA-256 of what it holds once decompressed: a mirror may have packed the same bytes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from coursekit.errors import ArgumentError

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class RemoteFile:
    """One published file.

    `content_sha256` is None where nobody has published the hash of the decompressed bytes; then
    only the published file itself counts as official. `max_bytes` bounds what is accepted from a
    server and what a decompressor may produce.
    """

    name: str
    url: str
    sha256: str
    content_sha256: str | None
    max_bytes: int


@dataclass(frozen=True)
class DatasetSpec:
    """A data set: image shape, classes, published files, and what stands in for it offline."""

    name: str
    title: str
    shape: tuple[int, ...]
    class_names: tuple[str, ...]
    files: tuple[RemoteFile, ...] = ()
    stand_in: str | None = None

    @property
    def embedded(self) -> bool:
        """True for the sets that come with the package."""
        return not self.files

    @property
    def sources(self) -> tuple[str, ...]:
        """Where it may come from, the best first."""
        return ("embedded",) if self.embedded else ("official", "imported")

    @property
    def recipe(self) -> int:
        """A number that changes with the bytes of an embedded set, so that caches follow."""
        return 1 if self.embedded else 0


IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_IDX_BYTES = (16 + 60_000 * 784, 8 + 60_000, 16 + 10_000 * 784, 8 + 10_000)


def _idx_files(
    base: str, packed: tuple[str, ...], contents: tuple[str | None, ...]
) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(f"{name}.gz", f"{base}/{name}.gz", sha256, content, size + MEGABYTE)
        for name, sha256, content, size in zip(IDX_FILES, packed, contents, _IDX_BYTES, strict=True)
    )


_DIGITS = tuple("0123456789")

DATASETS: dict[str, DatasetSpec] = {
    spec.name: spec
    for spec in (
        DatasetSpec(
            name="mnist",
            title="MNIST handwritten digits",
            shape=(28, 28),
            class_names=_DIGITS,
            files=_idx_files(
                "https://storage.googleapis.com/cvdf-datasets/mnist",
                (
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                ),
                (
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                ),
            ),
            stand_in="digits",
        ),
        DatasetSpec(
            name="fashion_mnist",
            title="Fashion-MNIST clothing",
            shape=(28, 28),
            class_names=(
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ),
            # Plain HTTP, as published: only the hash makes these files safe to use.
            files=_idx_files(
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
                (
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                ),
                (None, None, None, None),
            ),
            stand_in="digits",
        ),
        DatasetSpec(
            name="cifar10",
            title="CIFAR-10 photographs",
            shape=(32, 32, 3),
            class_names=(
                "airplane",
                "automobile",
                "bird",
                "cat",
                "deer",
                "dog",
                "frog",
                "horse",
                "ship",
                "truck",
            ),
            files=(
                RemoteFile(
                    "cifar-10-binary.tar.gz",
                    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                    None,
                    170_052_171 + MEGABYTE,
                ),
            ),
            stand_in="shapes",
        ),
        DatasetSpec(
            name="digits",
            title="handwritten digits that come with scikit-learn, upscaled and augmented",
            shape=(28, 28),
            class_names=_DIGITS,
        ),
        DatasetSpec(
            name="shapes",
            title="generated shapes and textures",
            shape=(32, 32, 3),
            class_names=(
                "disc",
                "ring",
                "square",
                "triangle",
                "cross",
                "star",
                "stripes",
                "checks",
                "dots",
                "zigzag",
            ),
        ),
    )
}


def names() -> tuple[str, ...]:
    """The data sets that `load` knows.

    >>> names()
    ('mnist', 'fashion_mnist', 'cifar10', 'digits', 'shapes')
    """
    return tuple(DATASETS)


def replaced(used: Mapping[str, str]) -> list[str]:
    """The sets that an embedded one stood in for, given what was used: each name with its source.

    >>> replaced({"mnist": "embedded", "cifar10": "official", "digits": "embedded"})
    ['mnist']
    """
    return [
        name
        for name, source in used.items()
        if source == "embedded" and name in DATASETS and not DATASETS[name].embedded
    ]


def spec_of(name: str) -> DatasetSpec:
    """The entry of a data set; ArgumentError with the known names for any other."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a string such as 'mnist', not {type(name).__name__}")
    if name not in DATASETS:
        raise ArgumentError(
            f"there is no data set {name!r}; choose one of {', '.join(map(repr, names()))}"
        )
    return DATASETS[name]
