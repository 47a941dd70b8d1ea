"""The bar of a download or an import."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from coursekit.base.environment import watched

if TYPE_CHECKING:
    from tqdm import tqdm


def progress(total: int | None, unit: str, label: str) -> tqdm:
    """A progress bar on stdout or in the notebook; silent where nobody would see it move."""
    from tqdm.auto import tqdm

    return tqdm(
        total=total,
        desc=label,
        unit=unit,
        unit_scale=True,
        unit_divisor=1000,
        file=sys.stdout,
        disable=not watched(),
        leave=False,
    )
