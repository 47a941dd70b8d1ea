"""Exercise 05: a threshold from a log, told from the share of steps that it clips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import number


def _counting(count: Callable[[np.ndarray, int], np.ndarray]) -> Callable[..., Any]:
    return lambda norms, share, warmup=0: np.quantile(
        count(np.array(norms), warmup), 1 - share, method="lower")  # fmt: skip


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


_NAN = "Steps whose norm is NaN are counted: leave out what is not finite."
_WRONG_END = "The share is at the wrong end: as many steps are left alone as should be clipped."
_COUNTS = {
    "The first `warmup` steps are counted; leave them out.": lambda v, w: _finite(v),
    "Steps whose norm is infinite are counted; drop them.": lambda v, w: v[w:][~np.isnan(v[w:])],
    "Steps whose norm is infinite or NaN are counted; leave them out.":
        lambda v, w: np.nan_to_num(v[w:], nan=np.inf, posinf=np.inf),
    "You drop the norms that are not finite first and then `warmup` of the rest: so steps after "
    "the warm-up are lost, too.": lambda v, w: _finite(v)[w:],
}  # fmt: skip


THRESHOLD: dict[str, Callable[..., Any]] = {
    **{reason: _counting(count) for reason, count in _COUNTS.items()},
    _WRONG_END: lambda norms, share, warmup=0:
        _counting(lambda v, w: _finite(v[w:]))(norms, 1 - share, warmup),
    _NAN: lambda norms, share, warmup=0: np.quantile(norms[warmup:], 1 - share),
}  # fmt: skip


def choose_threshold(answer: Any) -> None:
    """The threshold as a function (norms, share, warmup); one step more or less is fine."""
    draw, cases = rng("threshold"), []
    for share, warmup, n in ((0.15, 40, 400), (0.25, 60, 300), (0.7, 50, 400), (0.9, 30, 250),
                             (0.2, 0, 300)):  # fmt: skip
        norms = draw.lognormal(1.0, 1.0, n)
        norms[: warmup or 20] *= 1000
        norms[warmup : 2 * warmup] /= 1000  # so that it matters which steps are left out
        bad = draw.permutation(np.arange(5, n))[:40]
        norms[bad[:20]], norms[bad[20:]] = np.inf, np.nan
        cases.append((norms.tolist(), share, warmup))
    got = [_threshold(call(answer, *(case if case[2] else case[:2]))) for case in cases]

    def clips(count: Callable[..., np.ndarray], wrong_end: bool = False) -> list[bool]:
        kept = [count(np.array(norms), warmup) for norms, _, warmup in cases]
        shares = [1 - share if wrong_end else share for _, share, _ in cases]
        return [abs(np.sum(values > t) - share * len(values)) <= 1.01
                for values, t, share in zip(kept, got, shares, strict=True)]  # fmt: skip

    right = clips(lambda v, w: _finite(v[w:]))
    if all(right):
        return
    for reason, count in _COUNTS.items():
        if all(clips(count)):
            raise Wrong(reason)
    if all(clips(lambda v, w: _finite(v[w:]), wrong_end=True)):
        raise Wrong(_WRONG_END)
    norms, share, warmup = cases[right.index(False)]
    values = _finite(np.array(norms)[warmup:])
    raise Wrong(
        f"In a log with share={share} and warmup={warmup} your threshold clips "
        f"{np.mean(values > got[right.index(False)]):.0%} of the steps that count."
    )


def _threshold(value: Any) -> float:
    if isinstance(value, (float, np.floating)) and np.isnan(value):
        raise Wrong(_NAN)
    return number(value, "Your threshold")
