"""Judge an answer beside the learner's code, and then judge the judge. Runs in their process.

The checks come as text once the answer stands, so that nothing can change them before. What the
learner's code has replaced in the libraries is told, and put back. A "correct" counts only while
known wrong answers are still rejected, a known right one accepted, and no code has changed.
"""

from __future__ import annotations

import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

from coursekit.base.environment import ROOT

_CHECKS = "coursekit.checks"
_LIBRARIES = ("numpy", "keras", "coursekit", "builtins", "math", "inspect", "random", "zlib")


@cache
def sources() -> dict[str, list[str]]:
    """Return the checks as text, {module: [path, text]}, to be sent where they cannot be read."""
    found = {}
    for path in sorted((ROOT / "coursekit" / "checks").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = [path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")]
    return found


class _Memory:
    """Which functions the libraries had before any learner's code ran."""

    def __init__(self) -> None:
        self._holders: list[tuple[str, Any, dict[str, Any]]] = []
        self._codes: list[tuple[str, FunctionType, Any]] = []

    def take(self) -> None:
        """Note the functions of all libraries that are loaded, and the methods of their classes."""
        seen: set[int] = set()
        for name, module in list(sys.modules.items()):
            if name.split(".")[0] not in _LIBRARIES or name.startswith(_CHECKS):
                continue
            if isinstance(module, ModuleType):
                self._note(name, module, seen)
            for value in list(getattr(module, "__dict__", {}).values()):
                own = isinstance(value, type) and value.__module__ == name
                if own and not name.startswith(("builtins", "numpy")):
                    self._note(f"{name}.{value.__qualname__}", value, seen)

    def _note(self, name: str, holder: Any, seen: set[int]) -> None:
        kept = {
            key: value
            for key, value in vars(holder).items()
            if callable(value) or isinstance(value, property)
        }
        self._holders.append((name, holder, kept))
        for key, value in kept.items():
            if isinstance(value, FunctionType) and id(value) not in seen:
                seen.add(id(value))
                self._codes.append((f"{name}.{key}", value, value.__code__))

    def put_back(self) -> list[str]:
        """Put back what was replaced; return the names."""
        found = []
        for name, holder, kept in self._holders:
            now = vars(holder)
            for key, value in kept.items():
                if now.get(key, value) is not value:
                    found.append(f"{name}.{key}")
                    setattr(holder, key, value)
        for name, function, code in self._codes:
            if function.__code__ is not code:
                found.append(name)
                function.__code__ = code
        return found


_memory = _Memory()


def remember() -> None:
    """Note how the libraries are, before any learner's code runs."""
    _memory.take()


class _Sent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the modules that were sent as text, {name: [path, text]}."""

    def __init__(self, sources: dict[str, list[str]]):
        self._sources = sources  # paths are relative: a container has the course elsewhere

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self._sources:
            return None
        found = str(ROOT / self._sources[name][0])
        inside = found.endswith("__init__.py")
        spec = importlib.machinery.ModuleSpec(name, self, origin=found, is_package=inside)
        spec.has_location = True
        if inside:
            spec.submodule_search_locations = [os.path.dirname(found)]  # noqa: PTH120
        return spec

    def exec_module(self, module: ModuleType) -> None:
        path, text = self._sources[module.__name__]
        exec(compile(text, str(ROOT / path), "exec", dont_inherit=True), module.__dict__)


def judge(request: dict[str, Any], answers: list[Any]) -> dict[str, Any]:
    """Judge `answers`: {"number", "task", "sources", "samples", "seed"} → a verdict as plain text.

    "tampering" holds the reason why it cannot be trusted, "" where it can.
    """
    replaced = _memory.put_back()
    os.environ["COURSEKIT_CHECK_SEED"] = request["seed"]
    with _loaded(request["sources"]):
        return _judged(request, answers, replaced)


def _judged(request: dict[str, Any], answers: list[Any], replaced: list[str]) -> dict[str, Any]:
    run = importlib.import_module(f"{_CHECKS}.engine.runner").run
    tasks = importlib.import_module(f"{_CHECKS}.engine.tasks").load(request["number"])
    task = replace(tasks[request["task"]], seconds=request["limit"])
    _take_out_of_sight(request["sources"])
    before = _codes(task)
    verdict = run(task, tuple(answers))
    told = {name: str(getattr(verdict, name)) for name in ("outcome", "reason", "where", "printed")}
    told["tampering"] = ""
    if replaced:
        told["tampering"] = f"The notebook replaces `{replaced[0]}`, which its check uses."
    elif told["outcome"] == "correct" and not _still_judges(run, task, request["samples"]):
        told["tampering"] = "While this answer is judged, the check accepts wrong answers."
    if _codes(task) != before or _memory.put_back():
        told["tampering"] = "The answer changes the check, or what it uses, while it is judged."
    return told


@contextmanager
def _loaded(sources: dict[str, list[str]]) -> Iterator[None]:
    """Import the checks anew from their text, and leave none behind: later cells run here too."""

    def take_out() -> dict[str, ModuleType]:
        names = [name for name in sys.modules if name.split(".")[:2] == _CHECKS.split(".")]
        return {name: sys.modules.pop(name) for name in names}

    kept, finders = take_out(), list(sys.meta_path)
    here = sys.modules["coursekit"]
    outer = vars(here).get("checks")
    sys.meta_path[:] = [
        importlib.machinery.BuiltinImporter,
        importlib.machinery.FrozenImporter,
        _Sent(sources),
        importlib.machinery.PathFinder,
    ]
    try:
        yield
    finally:
        take_out()
        sys.meta_path[:] = finders
        sys.modules.update(kept)
        vars(here)["checks"] = outer
        os.environ.pop("COURSEKIT_CHECK_SEED", None)
        gc.collect()


def _still_judges(run: Any, task: Any, samples: list[int]) -> bool:
    """Return whether nonsense and known mistakes are rejected, and the right answer accepted."""
    several = len(inspect.signature(task.check).parameters)
    if any(run(task, (each,) * several).outcome == "correct" for each in (3, object())):
        return False
    known = list(task.mistakes.values())
    for wrong in (known[sample] for sample in samples):
        verdict = run(task, wrong if isinstance(wrong, tuple) else (wrong,))
        if verdict.outcome != "wrong":
            return False
    if task.right is None:
        return True
    right = task.right if isinstance(task.right, tuple) else (task.right,)
    return run(task, right).outcome == "correct"


def _take_out_of_sight(sources: dict[str, list[str]]) -> None:
    """Keep the right answers where the learner's code can neither import nor look them up."""
    package = sys.modules[_CHECKS]
    for name in [*sys.modules, *sources]:
        if re.match(rf"{_CHECKS}\._?ex\d", name):
            sys.modules.pop(name, None)
            sources.pop(name, None)
            vars(package).pop(name.rpartition(".")[2], None)


def _codes(task: Any) -> dict[str, Any]:
    """Return every function of the checks with its code, by where it stands."""
    found: dict[str, Any] = {}
    _add(found, "check", task.check, 0)
    for name, module in sys.modules.items():
        if name.startswith(_CHECKS):
            for key, value in list(vars(module).items()):
                if isinstance(value, (FunctionType, type)):
                    _add(found, f"{name}.{key}", value, 0)
    return found


def _add(found: dict[str, Any], name: str, value: Any, depth: int) -> None:
    if isinstance(value, type) and value.__module__.startswith(_CHECKS):
        for key, member in vars(value).items():
            if isinstance(member, FunctionType):
                found[f"{name}.{key}"] = (member, member.__code__)
    elif isinstance(value, FunctionType) and depth < 4:
        found[name] = (value, value.__code__)
        for i, cell in enumerate(value.__closure__ or ()):
            try:
                _add(found, f"{name}[{i}]", cell.cell_contents, depth + 1)
            except ValueError:  # an empty cell
                continue
