"""`ck.sweep`: one knob turned from value to value, a comparison at each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from coursekit.display import pictures
from coursekit.errors import ArgumentError
from coursekit.experiments.compare import compare
from coursekit.experiments.runs import Runs, edge_of_lost, in_words
from coursekit.experiments.trainee import required_arguments

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Sweep:
    """A comparison at each value of a knob.

    Attributes:
        knob: its name, with the unit if it has one.
        runs: value -> the comparison made there.
    """

    knob: str
    runs: dict[Any, Runs]

    @property
    def values(self) -> list[Any]:
        """The values of the knob, in the order given."""
        return list(self.runs)

    def last(self, metric: str = "val_loss") -> dict[str, np.ndarray]:
        """Return for each variant the value after training, shape (seeds, knob values).

        NaN where a run diverged.
        """
        at = [runs.last(metric) for runs in self.runs.values()]
        return {name: np.stack([here[name] for here in at], axis=1) for name in at[0]}

    def plot(
        self, metric: str = "val_loss", *, title: str, log: str = "", xlabel: str | None = None
    ) -> Figure:
        """Draw the metric after training against the knob: the mean of the runs in their band.

        Where runs diverged a cross stands at the worse edge of the picture.
        """
        return pictures.lines(
            self.last(metric),
            self.values,
            title=title,
            xlabel=xlabel or self.knob.replace("_", " "),
            ylabel=in_words(metric),
            log=log,
            crosses=edge_of_lost(metric),
        )


def sweep(
    variants: Mapping[str, Callable[..., Any]],
    data: Any,
    *,
    over: Mapping[str, Sequence[Any]],
    batch_size: int = 32,
    **options: Any,
) -> Sweep:
    """Train every variant at every value of one knob, with every seed, and return what happened.

    Args:
        variants: name -> function that returns a new compiled model. It is given the knob's value
            if it asks for an argument (and then the learning rate, if it asks for a second one).
        data: what `ck.compare` takes, or a function of the knob's value that returns it, such as
            `lambda n: data.subset(n)` for the number of labels (which may return a function of the
            seed in its turn).
        over: the knob's name and its values. A knob called "batch_size" sets the batch size.
        batch_size: rows in one step, where the knob is another one.
        options: what `ck.compare` takes: `epochs`, `seeds`, `rates`, `choose_by`, `callbacks`.

    Raises ArgumentError for anything but one knob with at least one value, and as `ck.compare`.
    """
    if len(over) != 1 or not len(values := next(iter(over.values()))):
        raise ArgumentError(f"over: expected one knob and its values, got {dict(over)!r}.")
    knob = next(iter(over))
    if len(set(values)) < len(values):
        raise ArgumentError(f"over: expected different values of {knob}, got {list(values)}.")
    found = {}
    for value in values:
        found[value] = compare(
            {name: _at(value, build) for name, build in variants.items()},
            data(value) if callable(data) else data,
            batch_size=value if knob == "batch_size" else batch_size,
            **options,
        )
    return Sweep(knob, found)


def _at(value: Any, build: Callable[..., Any]) -> Callable[..., Any]:
    return partial(build, value) if callable(build) and required_arguments(build) else build
