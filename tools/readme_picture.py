"""Write docs/schedules.png: the picture of the race in lesson 09, as stored in the notebook."""

from __future__ import annotations

import base64
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "09_learning_rate_schedules.ipynb"
PICTURE = ROOT / "docs" / "schedules.png"
ALT_BEGINS = "Left: validation loss against epoch"


def picture() -> bytes:
    """Return the PNG of the output whose alternative text begins with `ALT_BEGINS`."""
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
            if alt.startswith(ALT_BEGINS):
                return base64.b64decode(output["data"]["image/png"])
    raise SystemExit(f"{NOTEBOOK.name} has no picture whose text begins with {ALT_BEGINS!r}.")


if __name__ == "__main__":
    PICTURE.write_bytes(picture())
