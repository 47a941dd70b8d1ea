"""Write the README's pictures into docs/, each as it is stored in a built notebook."""

from __future__ import annotations

import base64
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Where each comes from: the notebook, and how the picture's alternative text begins.
PICTURES = {
    "schedules.png": (
        "notebooks/09_learning_rate_schedules.ipynb",
        "A constant rate stops at a floor",
    ),
    "study.png": ("solutions/15_cifar10_study.ipynb", "Two charts of validation accuracy"),
}


def picture(name: str) -> bytes:
    """Return the PNG of the output that `PICTURES` names."""
    notebook, begins = PICTURES[name]
    for cell in json.loads((ROOT / notebook).read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
            if alt.startswith(begins):
                return base64.b64decode(output["data"]["image/png"])
    raise SystemExit(f"{notebook} has no picture whose text begins with {begins!r}.")


if __name__ == "__main__":
    for name in PICTURES:
        (ROOT / "docs" / name).write_bytes(picture(name))
