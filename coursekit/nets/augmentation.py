"""Shifted and mirrored images, as a layer that a compiled training step can hold.

Keras' own RandomTranslation calls an operation that XLA cannot compile.
"""

from __future__ import annotations

from typing import Any

from coursekit.base.keras import keras
from coursekit.base.numbers import whole_number

__all__ = ["ShiftAndFlip"]


@keras.saving.register_keras_serializable("coursekit")
class ShiftAndFlip(keras.layers.Layer):
    """Move each image by up to `pixels` in each direction and mirror every second one, at random.

    What comes in at the border is 0, the mean of standardised images. In training only; otherwise
    images pass unchanged. The usual augmentation for CIFAR-10 (He et al., arXiv:1512.03385, 2015,
    section 4.2).

    Args:
        pixels: the largest shift, at least 0.
        seed: of shifts and mirrors; None draws one.

    Inputs and outputs have the shape (n, height, width, channels).

    Raises:
        ArgumentError: a negative number of pixels.
        TypeError: a number of pixels that is no whole number.

    >>> keras.Sequential([keras.Input((32, 32, 3)), ShiftAndFlip(4)]).output_shape
    (None, 32, 32, 3)
    """

    def __init__(self, pixels: int = 4, *, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.pixels = whole_number("pixels", pixels, least=0)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        """Return the images, in training moved and mirrored."""
        if not training:
            return images
        ops, most = keras.ops, self.pixels
        n, height, width, channels = ops.shape(images)[0], *images.shape[1:]
        padded = ops.pad(images, [(0, 0), (most, most), (most, most), (0, 0)])
        rows, columns = (
            keras.random.randint((n, 1), 0, 2 * most + 1, seed=self.seed_generator)
            + ops.arange(size, dtype="int32")
            for size in (height, width)
        )
        mirrored = keras.random.uniform((n, 1), seed=self.seed_generator) < 0.5
        columns = ops.where(mirrored, ops.flip(columns, axis=1), columns)
        # One gather of single pixels: the index of each in the list of all pixels of all images.
        image = ops.arange(n, dtype="int32")[:, None, None]
        pixels = (image * (height + 2 * most) + rows[:, :, None]) * (width + 2 * most)
        return ops.take(ops.reshape(padded, (-1, channels)), pixels + columns[:, None, :], axis=0)

    def get_config(self) -> dict[str, Any]:
        """Return what builds the same layer again."""
        return {**super().get_config(), "pixels": self.pixels, "seed": self.seed}
