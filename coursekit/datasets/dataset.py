"""What `load` gives: float32 images and int32 labels, made from bytes when they are asked for."""

from __future__ import annotations

import hashlib
import mmap
import weakref
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from coursekit.base.console import say_once
from coursekit.base.numbers import whole_number
from coursekit.datasets.arrays import Part
from coursekit.datasets.splitting import stratified_order
from coursekit.errors import ArgumentError

_BLOCK = 256  # images converted at a time, so that the work stays in the processor's cache


class Dataset:
    """Images and labels in a training, a validation and a test part.

    `x_train`, `x_valid`, `x_test`: float32 in [0, 1] (or standardised), shape (n, 28, 28) or
    (n, 32, 32, 3). `y_train`, `y_valid`, `y_test`: int32, shape (n,). All of them are read-only:
    copy an array before you change it in place.

    The images are kept as bytes, most of them on disk. An `x_...` array is made when it is asked
    for and lives as long as somebody holds it, so keep it in a variable, and take a `subset`
    before you ask if you do not need all of it.
    """

    name: str
    source: str
    class_names: tuple[str, ...]

    def __init__(
        self,
        name: str,
        source: str,
        class_names: tuple[str, ...],
        parts: dict[str, Part],
        digest: str,
        scale: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        self.name = name
        self.source = source
        self.class_names = class_names
        self._parts = parts
        self._digest = digest
        self._scale = scale
        self._made: dict[str, weakref.ref[np.ndarray]] = {}

    @property
    def x_train(self) -> np.ndarray:
        """Training images, float32, shape (n, *shape)."""
        return self._images("train")

    @property
    def y_train(self) -> np.ndarray:
        """Training labels, int32, shape (n,)."""
        return self._parts["train"].labels

    @property
    def x_valid(self) -> np.ndarray:
        """Validation images, float32, shape (n, *shape)."""
        return self._images("valid")

    @property
    def y_valid(self) -> np.ndarray:
        """Validation labels, int32, shape (n,)."""
        return self._parts["valid"].labels

    @property
    def x_test(self) -> np.ndarray:
        """Test images, float32, shape (n, *shape)."""
        return self._images("test")

    @property
    def y_test(self) -> np.ndarray:
        """Test labels, int32, shape (n,)."""
        return self._parts["test"].labels

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image: (28, 28) or (32, 32, 3)."""
        return self._parts["train"].pixels.shape[1:]

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any image, label, split or scaling."""
        hashed = hashlib.sha256(self._digest.encode())
        for name, part in self._parts.items():
            hashed.update(name.encode())
            hashed.update(part.rows.astype("<i8").tobytes())
            hashed.update(part.labels.astype("<i4").tobytes())
        hashed.update(b"bytes" if self._scale is None else b"standardised")
        for statistic in self._scale or ():
            hashed.update(statistic.astype("<f4").tobytes())
        return hashed.hexdigest()[:16]

    def standardized(self) -> Dataset:
        """The same images with mean 0 and standard deviation 1 in every pixel and channel.

        The statistics are those of the training part as it is now, and are used for validation
        and test as well. A pixel that never changes in training becomes 0 everywhere.

        >>> import coursekit as ck
        >>> data = ck.load("digits", n_valid=1_000).standardized()
        >>> float(abs(data.x_train.mean(axis=0)).max()) < 1e-4
        True
        """
        part = self._parts["train"]
        total = np.zeros(self.shape, np.uint64)
        squares = np.zeros(self.shape, np.uint64)
        for start in range(0, len(part.rows), _BLOCK):
            block = part.pixels[part.rows[start : start + _BLOCK]].astype(np.uint32)
            total += block.sum(axis=0, dtype=np.uint64)
            squares += (block * block).sum(axis=0, dtype=np.uint64)
        # In whole numbers n * squares - total² is exact: 0 for a constant pixel and no other.
        _let_go(part.pixels)
        n = np.uint64(len(part.rows))
        deviation = np.sqrt((n * squares - total * total).astype(np.float64)) / float(n)
        inverse = np.divide(1, deviation, out=np.zeros(self.shape), where=deviation > 0)
        mean = total / float(n)
        return self._with(scale=(mean.astype(np.float32), inverse.astype(np.float32)))

    def subset(self, n_train: int, seed: int = 0) -> Dataset:
        """The same data with `n_train` training images; validation and test stay as they are.

        The images are drawn by `seed` in proportion to the classes; with one seed a smaller subset
        is part of every larger one. ArgumentError for more images than there are, apart from the
        embedded sets: they stand in for larger ones, so all there are is taken, and a line says so.

        >>> import coursekit as ck
        >>> data = ck.load("shapes").subset(200)
        >>> data.x_train.shape, np.bincount(data.y_train).tolist()
        ((200, 32, 32, 3), [20, 20, 20, 20, 20, 20, 20, 20, 20, 20])
        """
        n_train = whole_number("n_train", n_train, least=1)
        seed = whole_number("seed", seed, least=0)
        part = self._parts["train"]
        available = len(part.rows)
        if n_train > available and self.source != "embedded":
            raise ArgumentError(
                f"n_train: expected at most the {available:,} training images that {self.name} "
                f"has here, got {n_train:,}."
            )
        if n_train > available:
            say_once(
                f"{self.name}: {n_train:,} training images were asked for; the embedded data has "
                f"{available:,}, and all of them are used."
            )
        chosen = np.sort(stratified_order(part.labels, seed)[:n_train])
        return self._with(parts=self._parts | {"train": part.take(chosen)})

    def only(self, classes: Iterable[int | str]) -> Dataset:
        """The images of some classes, in all three parts, labelled 0, 1, … in the order given.

        `classes` are labels or class names.

        >>> import coursekit as ck
        >>> data = ck.load("shapes").only(["star", 0])
        >>> data.class_names, np.unique(data.y_test).tolist()
        (('star', 'disc'), [0, 1])
        """
        if isinstance(classes, str) or not isinstance(classes, Iterable):
            raise TypeError(f"classes must be a list of labels or class names, not {classes!r}")
        chosen = [self._label(entry) for entry in classes]
        if not chosen or len(set(chosen)) < len(chosen):
            raise ArgumentError(f"classes must be different classes, at least one, not {classes!r}")
        new_label = np.full(self.n_classes, -1, np.int32)
        new_label[chosen] = np.arange(len(chosen), dtype=np.int32)
        parts = {}
        for name, part in self._parts.items():
            kept = part.take(np.flatnonzero(new_label[part.labels] >= 0))
            parts[name] = replace(kept, labels=new_label[kept.labels])
        return self._with(parts=parts, class_names=tuple(self.class_names[k] for k in chosen))

    def __repr__(self) -> str:
        n_train, n_valid, n_test = (len(part.rows) for part in self._parts.values())
        image = "×".join(map(str, self.shape))
        scaled = ", standardised" if self._scale is not None else ""
        return (
            f"<Dataset {self.name} ({self.source}): {n_train:,} training, {n_valid:,} validation, "
            f"{n_test:,} test images of {image}, {self.n_classes} classes{scaled}>"
        )

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_made": {}}  # weak references cannot be copied or pickled

    def _with(self, **changed: Any) -> Dataset:
        same = {
            "name": self.name,
            "source": self.source,
            "class_names": self.class_names,
            "parts": self._parts,
            "digest": self._digest,
            "scale": self._scale,
        }
        return Dataset(**(same | changed))

    def _label(self, entry: int | str) -> int:
        if isinstance(entry, str):
            if entry in self.class_names:
                return self.class_names.index(entry)
        elif isinstance(entry, (bool, np.bool_)) or not isinstance(entry, (int, np.integer)):
            raise TypeError(f"classes must be labels or class names, not {entry!r}")
        elif 0 <= entry < self.n_classes:
            return int(entry)
        raise ArgumentError(
            f"{self.name} has no class {entry!r}; choose labels 0 to {self.n_classes - 1} or "
            f"names among {', '.join(self.class_names)}"
        )

    def _images(self, name: str) -> np.ndarray:
        made = self._made.get(name)
        images = made() if made is not None else None
        if images is None:
            images = self._converted(self._parts[name])
            self._made[name] = weakref.ref(images)
        return images

    def _converted(self, part: Part) -> np.ndarray:
        images = np.empty((len(part.rows), *self.shape), np.float32)
        for start in range(0, len(images), _BLOCK):
            block = images[start : start + _BLOCK]
            np.copyto(block, part.pixels[part.rows[start : start + _BLOCK]])
            if self._scale is None:
                block /= np.float32(255)
            else:
                mean, inverse = self._scale
                block -= mean
                block *= inverse
        images.flags.writeable = False
        _let_go(part.pixels)
        return images


def _let_go(pixels: np.ndarray) -> None:
    """Give back the memory that a mapped file took while it was read; the file stays mapped."""
    owner = pixels
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
