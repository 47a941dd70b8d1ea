"""The compiled trainer: `fit` means what `model.fit` means, several times as fast on small models.

A step of a small network is over before Python has asked for the next one. Here the data stays on
the device and whole chunks of steps run as one XLA program, so Python is asked once per chunk.
"""

from coursekit.training.trainer import fit

__all__ = ["fit"]
