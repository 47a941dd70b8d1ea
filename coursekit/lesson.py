"""The first line of every notebook, and the lines that prove what it claims."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from coursekit.base.environment import current_profile, is_on, seed_offset
from coursekit.base.machine import cores
from coursekit.base.numbers import whole_number
from coursekit.errors import ArgumentError

T = TypeVar("T")
_proved: list[Claim] = []


@dataclass(frozen=True)
class Claim:
    """One claim of a notebook: the sentence, whether it holds, and the numbers it rests on."""

    sentence: str
    holds: bool
    measured: str


def proved() -> list[Claim]:
    """Return what `prove` has seen in this process; the headless run shows and counts it."""
    return list(_proved)


@dataclass(frozen=True)
class Lab:
    """The settings of one notebook: `seed` and `profile`."""

    seed: int
    profile: str

    def pick(self, *, quick: T, standard: T, full: T) -> T:
        """Return the value for this notebook's profile.

        >>> lab = Lab(seed=42, profile="quick")
        >>> lab.pick(quick=(2_000, 2), standard=(10_000, 8), full=(55_000, 20))
        (2000, 2)
        """
        return {"quick": quick, "standard": standard, "full": full}[self.profile]


def setup(seed: int = 42, *, profile: str | None = None) -> Lab:
    """Prepare a notebook: seed every generator, choose the profile, set the plot style.

    Import Keras and TensorFlow after this call: it loads them without their start-up messages. The
    same notebook in two fresh processes on one machine then gives the same numbers
    (`tf.config.experimental.enable_op_determinism`). Prints one line.

    Raises ArgumentError for an unknown profile or a seed out of range, TypeError for a seed that is
    no whole number.
    """
    seed = whole_number("seed", seed, least=0)
    seed += seed_offset()
    if seed >= 2**32:
        raise ArgumentError(f"seed: expected a whole number below 2**32, got {seed}.")
    lab = Lab(seed=seed, profile=current_profile(profile))

    from coursekit import __version__
    from coursekit.base.keras import keras, tf
    from coursekit.display import plotting

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    plotting.style()
    print(
        f"coursekit {__version__} · profile {lab.profile} · seed {seed} · Python "
        f"{platform.python_version()} · TensorFlow {tf.__version__} · Keras {keras.__version__} · "
        f"{_device(tf)}"
    )
    return lab


def prove(claim: str, holds: Any, measured: str) -> None:
    """Print that a claim holds, with the numbers that show it; otherwise fail with both.

    With COURSEKIT_COLLECT_CLAIMS a claim that does not hold is noted and printed with ✘, and the
    notebook goes on: `python -m coursekit run --seeds` counts how often each one holds.

    Args:
        claim: the whole sentence that is proved.
        holds: whether it does, as one truth value.
        measured: the numbers it rests on, such as "0.12 < 0.16".

    Raises:
        AssertionError: the claim does not hold; the message has the claim and the numbers.
        TypeError: `holds` is no single truth value, such as an array: say which of `.all()` and
            `.any()` is meant.
        ArgumentError: there is no sentence, or no numbers.

    >>> prove("He ends below Xavier", 0.12 < 0.16, "0.12 < 0.16")
    ✔ He ends below Xavier: 0.12 < 0.16
    """
    if getattr(holds, "shape", ()) or not isinstance(holds, bool | np.bool_):
        raise TypeError(
            f"holds: expected one truth value, got {type(holds).__name__}; compare numbers, and "
            "sum arrays up with .all() or .any()."
        )
    for name, text in (("claim", claim), ("measured", measured)):
        if not text.strip():
            raise ArgumentError(f"{name}: expected a text, got {text!r}.")
    _proved.append(Claim(claim, bool(holds), measured))
    if not holds and not is_on("COURSEKIT_COLLECT_CLAIMS"):
        raise AssertionError(f"{claim}: not so, {measured}")
    print(f"{'✔' if holds else '✘'} {claim}: {measured}")


def _device(tf: object) -> str:
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return f"{len(gpus)} GPU" + ("s" if len(gpus) > 1 else "")
    count = cores()
    return f"CPU, {count} core" + ("s" if count > 1 else "")
