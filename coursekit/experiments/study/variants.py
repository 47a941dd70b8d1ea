"""What the study compares: the five variants of exercise 8 and one beyond, and what each may spend.

Read this file to know what the study's comparison means.

- Every variant gets the same images, standardised per pixel with the training images' statistics.
  The self-normalising nets need that (8d); the other two get the same, so that a difference between
  two variants comes from the net and its training and never from the scale of the inputs. (The
  published baseline saw raw bytes from 0 to 255.)
- Every variant gets the same search for its learning rate: as many rates, as many epochs, the same
  images and the same seed, which no run uses. What decides is what decides in the runs: the lowest
  validation loss, for a cycle the accuracy at its end. While the best rate is at the end of the
  list, the list grows.
- Every variant without a cycle stops early and keeps the weights of the epoch with the lowest
  validation loss. `one_cycle` and `combined` have a fixed number of epochs and keep the weights of
  the last: the end of the cycle, where the rate is almost 0, is what the cycle is for. (The lowest
  validation loss of `one_cycle` lies in the middle, at the highest rate, where the accuracy is some
  points lower.)
- Nothing is chosen by the test images. A run notes beside its result what they say of the weights
  with the highest validation accuracy: what is monitored decides what is restored.
- `one_cycle` trains the net of `alpha_dropout`, as the book's solution does, with SGD, momentum
  cycling between 0.95 and 0.85 (the book's SGD had none) and batches of 128.
- `combined` is no task of the exercise: it joins what helps such a net by itself (batch
  normalisation, 1cycle) to dropout and to shifted and mirrored images, which need more epochs. It
  shows how far a dense net of this size comes, and is no fair rival of the others: its cycle is
  four times as long.
- All runs of a study share one split into training and validation images. A seed stands for the
  initial weights, the order of the images and the dropped units.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from coursekit.errors import ArgumentError

_NADAM_RATES = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3)
_CYCLE_PEAKS = (2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1)

SEARCH_SEED = 1_000
"""The seed of every search; runs have the seeds 0, 1, 2, …"""


@dataclass(frozen=True)
class Variant:
    """One way to train the 20-layer net; `name` is also the network's name in `ck.models`.

    `rates` are the learning rates the search may try, for `one_cycle` the highest of the cycle.
    `revision` is part of each record: raise it when a change alters what the variant's training
    computes, and records made before are set aside instead of mixed with new ones. A `cycle` is
    `cycles` times as long as the budget's. `published` is the book's single run: validation
    accuracy, and at which epoch; None where the book has none.
    """

    name: str
    task: str
    summary: str
    rates: tuple[float, ...] = _NADAM_RATES
    batch_size: int = 32
    cycle: bool = False
    cycles: int = 1
    mc_dropout: bool = False
    published: tuple[float, str] | None = None
    revision: int = 1


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("baseline", "8a, 8b", "He, Swish, Nadam", published=(0.468, "epoch 29")),
        Variant(
            "batch_norm", "8c", "baseline + batch normalisation", published=(0.507, "epoch 17")
        ),
        Variant("selu", "8d", "LeCun, SELU: self-normalising", published=(0.503, "epoch 14")),
        Variant(
            "alpha_dropout",
            "8e",
            "selu + alpha dropout before the output",
            mc_dropout=True,
            published=(0.498, ""),
        ),
        Variant(
            "one_cycle",
            "8f",
            "alpha_dropout with SGD and 1cycle",
            rates=_CYCLE_PEAKS,
            batch_size=128,
            cycle=True,
            published=(0.524, "15 epochs"),
            revision=2,  # 1 kept the weights of the lowest validation loss
        ),
        Variant(
            "combined",
            "beyond",
            "batch_norm + dropout, shifted and mirrored images, SGD and 1cycle",
            rates=_CYCLE_PEAKS,
            batch_size=128,
            cycle=True,
            cycles=4,
        ),
    )
}

MC_DROPOUT = "mc_dropout"
"""The report's name for the nets of `alpha_dropout` evaluated with MC dropout."""

PUBLISHED_MC_DROPOUT = 0.498

COMPARISONS: tuple[tuple[str, str], ...] = (
    ("batch_norm", "baseline"),
    ("selu", "baseline"),
    ("alpha_dropout", "baseline"),
    ("one_cycle", "baseline"),
    ("selu", "batch_norm"),
    ("alpha_dropout", "selu"),
    (MC_DROPOUT, "alpha_dropout"),
    ("one_cycle", "alpha_dropout"),
    ("combined", "one_cycle"),
)
"""The pairs of the report: each against the baseline, then against the step before it."""


@dataclass(frozen=True)
class Budget:
    """What one profile spends: images, epochs, learning rates tried, MC samples.

    An image count of None means all there are; `patience` counts epochs without a lower
    validation loss; `cycle_epochs` is the fixed length of one cycle.
    """

    n_train: int | None
    n_valid: int | None
    n_test: int | None
    epochs: int
    patience: int
    cycle_epochs: int
    search_rates: int
    search_epochs: int
    mc_samples: int


PROFILES: dict[str, Budget] = {
    "quick": Budget(2_000, 500, 500, 2, 2, 2, 2, 1, 10),
    "standard": Budget(20_000, None, None, 30, 8, 10, 5, 5, 50),
    "full": Budget(None, None, None, 100, 20, 15, 7, 10, 100),
}


def search_grid(variant: Variant, n_rates: int) -> tuple[float, ...]:
    """Return the `n_rates` learning rates in the middle of the variant's grid, smallest first.

    >>> search_grid(VARIANTS["selu"], 3)
    (0.0002, 0.0005, 0.001)
    """
    spare = max(0, len(variant.rates) - n_rates)
    first = spare // 2
    return variant.rates[first : first + n_rates]


def select_variants(names: str | Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the variants asked for ("a,b" or several names; None: all), in the study's order.

    Raises ArgumentError for an unknown name and for none at all.

    >>> select_variants("selu, baseline")
    ('baseline', 'selu')
    """
    if names is None:
        return tuple(VARIANTS)
    asked = names.split(",") if isinstance(names, str) else list(names)
    asked = [name.strip() for name in asked if name.strip()]
    known = ", ".join(VARIANTS)
    if not asked:
        raise ArgumentError(f"variants: expected one or more of {known}, got none.")
    for name in asked:
        if name not in VARIANTS:
            raise ArgumentError(f"variants: expected names out of {known}, got {name!r}.")
    return tuple(name for name in VARIANTS if name in asked)
