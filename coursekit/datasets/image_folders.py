"""Single images in `train/<class>/` and `test/<class>/`, of a folder or an archive."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np

from coursekit.datasets.archives import Members
from coursekit.datasets.arrays import Arrays
from coursekit.datasets.portable_random import Draws
from coursekit.datasets.registry import DatasetSpec
from coursekit.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png")
_MAX_BYTES = 1 << 20  # of one image file: hundreds of times what 32×32 pixels need
_SHUFFLE_SEED = 0


def read_images(
    spec: DatasetSpec, members: Members, advance: Callable[[int], object]
) -> Arrays | None:
    """Decode all images of a data set; `advance(n)` is called as they are done.

    Folders come sorted by class, so each part is shuffled, always in the same way. None where
    there is no image at all; DataError where a class is unknown or missing, or an image has
    another size.
    """
    found = _find(spec, members)
    if not found:
        return None
    parts = {}
    for part in ("train", "test"):
        chosen = sorted((name, label) for name, (where, label) in found.items() if where == part)
        _check_classes(spec, part, {label for _, label in chosen}, members.label)
        rows = Draws(_SHUFFLE_SEED).permutation(len(chosen))
        images = np.empty((len(chosen), *spec.shape), np.uint8)
        labels = np.empty(len(chosen), np.uint8)
        for row, (name, label) in zip(rows, chosen, strict=True):
            images[row] = decode(members.read(name, _MAX_BYTES), spec, name)
            labels[row] = label
            advance(1)
        parts[f"x_{part}"], parts[f"y_{part}"] = images, labels
    return Arrays(**parts)


def count_images(members: Members) -> int:
    """How many names look like images: what a progress bar counts to."""
    return sum(_is_image(name) for name in members.names())


def decode(data: bytes, spec: DatasetSpec, name: str) -> np.ndarray:
    """Decode one image to uint8 of the data set's shape; DataError names the file."""
    from PIL import Image, UnidentifiedImageError

    height, width = spec.shape[:2]
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            # Checked before any pixel is decoded: a header may announce a huge image.
            if image.size != (width, height):
                raise DataError(
                    f"{name} has {image.size[0]}×{image.size[1]} pixels, the images of "
                    f"{spec.name} have {width}×{height}"
                )
            return np.asarray(image.convert("RGB" if len(spec.shape) == 3 else "L"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{name} is not a readable JPEG or PNG image ({error})") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{name} announces an absurd size ({error})") from error


def _find(spec: DatasetSpec, members: Members) -> dict[str, tuple[str, int]]:
    """Name of each image → ("train" or "test", label)."""
    labels = {_plain(class_name): k for k, class_name in enumerate(spec.class_names)}
    labels |= {str(k): k for k in range(len(spec.class_names))}
    found = {}
    for name in members.names():
        parts = name.split("/")
        if not _is_image(name) or len(parts) < 3 or parts[-3].lower() not in ("train", "test"):
            continue
        label = labels.get(_plain(parts[-2]))
        if label is None:
            raise DataError(
                f"{members.label} has a folder {parts[-2]!r}, which is no class of {spec.name}; "
                f"they are {', '.join(spec.class_names)}"
            )
        found[name] = (parts[-3].lower(), label)
    return found


def _check_classes(spec: DatasetSpec, part: str, labels: set[int], label: str) -> None:
    missing = [name for k, name in enumerate(spec.class_names) if k not in labels]
    if missing:
        raise DataError(f"{label} has no images in {part}/ of the classes {', '.join(missing)}")


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _plain(class_name: str) -> str:
    """Letters and digits only: "T-shirt/top" may be a folder T-shirt_top."""
    return "".join(c for c in class_name.lower() if c.isalnum())
