"""The sets that need no network: what stands in for the real images where there are none."""

from __future__ import annotations

from coursekit.datasets.arrays import Arrays

DIGITS_SIZES = (20_000, 4_000)
SHAPES_SIZES = (20_000, 4_000)


def make(name: str) -> Arrays:
    """Make an embedded set: "digits" or "shapes", 20,000 training and 4,000 test images.

    Takes a few seconds; the bytes are always the same.
    """
    if name == "digits":
        from coursekit.datasets.embedded.digits import make_digits

        return make_digits(*DIGITS_SIZES, seed=0)
    from coursekit.datasets.embedded.shapes import make_shapes

    n_train, n_test = SHAPES_SIZES
    return Arrays(*make_shapes(n_train, seed=0), *make_shapes(n_test, seed=1))


def n_images(name: str) -> int:
    """How many images an embedded set has, training and test together."""
    return sum(DIGITS_SIZES if name == "digits" else SHAPES_SIZES)
