"""What a learner's cells reach for that no answer needs: seen by an audit hook, in their process.

A hook cannot be taken out again. Only calls from a cell's own lines count: libraries look at frames
for good reasons.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import FrameType
from typing import Any

CELL = "<cell "  # how the code of a cell is named
_SECRET = re.compile(r"coursekit[./\\]checks[./\\]_?ex\d|[/\\](solutions|sources)[/\\]\w")
_DEPTH = {  # how many frames up a line of a cell may stand
    "gc.get_objects": 1, "gc.get_referrers": 1, "gc.get_referents": 1, "sys._getframe": 2,
    "sys._current_frames": 1, "sys.settrace": 1, "sys.setprofile": 1, "ctypes.dlopen": 4,
    "object.__setattr__": 2, "open": 4, "import": 14,
}  # fmt: skip


class Lookout:
    """Keeps what was seen, each thing once."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._busy = False

    def start(self) -> None:
        """Watch from now on."""
        sys.addaudithook(self._event)

    def _event(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in _DEPTH or self._busy:
            return
        self._busy = True
        try:
            told = _told(event, args)
            if told and told not in self.seen and _by_a_cell(sys._getframe(1), _DEPTH[event]):
                self.seen.append(told)
        finally:
            self._busy = False


def _told(event: str, args: tuple[Any, ...]) -> str:
    if event in ("open", "import"):
        try:
            text = os.fsdecode(args[0]) if args[0] is not None else ""
        except TypeError:  # a descriptor
            return ""
        return f"reads {Path(text).name}" if _SECRET.search(text) else ""
    if event == "object.__setattr__":
        return "changes the code of a function" if args[1] == "__code__" else ""
    return f"uses {event}"


def _by_a_cell(frame: FrameType | None, depth: int) -> bool:
    for _ in range(depth):
        if frame is None:
            return False
        if frame.f_code.co_filename.startswith(CELL):
            return True
        frame = frame.f_back
    return False
