"""What a training run shows on the screen: a bar, a line per epoch, or nothing."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from coursekit.base.environment import watched
from coursekit.errors import ArgumentError


def check_verbose(verbose: Any) -> int:
    """Return 0 (nothing), 1 (a bar) or 2 (a line per epoch); "auto" is 1 where someone looks on.

    Someone looks on at a terminal or in a notebook, unless COURSEKIT_HEADLESS is on.
    """
    if isinstance(verbose, str) and verbose == "auto":
        return int(watched())
    if verbose not in (0, 1, 2):
        raise ArgumentError(f'verbose: expected "auto", 0, 1 or 2, got {verbose!r}.')
    return int(verbose)


class Progress:
    """Progress over all steps of all epochs, on standard output."""

    def __init__(self, verbose: int, epochs: int, first_epoch: int, steps: int):
        self._verbose, self._epochs = verbose, epochs
        self._bar = tqdm(
            total=(epochs - first_epoch) * steps,
            disable=verbose != 1,
            file=sys.stdout,
            unit="step",
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar:20}| {elapsed}<{remaining}{postfix}",
        )

    def epoch_begins(self, epoch: int) -> None:
        """Name the epoch under way."""
        self._bar.set_description_str(f"epoch {epoch + 1}/{self._epochs}", refresh=False)

    def steps_done(self, count: int) -> None:
        """Move on by `count` steps."""
        self._bar.update(count)

    def epoch_ends(self, epoch: int, logs: dict[str, Any]) -> None:
        """Show the numbers of the epoch."""
        told = " · ".join(f"{k} {v:.4g}" for k, v in logs.items() if isinstance(v, float))
        self._bar.set_postfix_str(told)
        if self._verbose == 2:
            print(f"epoch {epoch + 1}/{self._epochs} · {told}")

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()
