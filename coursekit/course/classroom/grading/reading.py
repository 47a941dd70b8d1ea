"""A submission's notebook, read: which exercise it is, and which cells are to be run.

Front ends strip metadata, change ids and turn cells about, and learners copy, split and delete
them. So a cell is known by its metadata, its tag, its id, or else by what it defines.
"""

from __future__ import annotations

import ast
import json
import re
import symtable
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from coursekit.course.classroom.masters import Master

_MOST_BYTES = 50 * 1024**2
_EXERCISE = re.compile(r"\bexercise\(\s*(\d{1,2})\s*\)")
_SOURCE = re.compile(r"(?:^|/)(\d\d)_[a-z0-9_]+\.(?:py|ipynb)$")
_MAGIC = re.compile(r"^([ \t]*)[%!].*$", re.M)


class NotReadableError(ValueError):
    """A file that is no notebook; the message says why."""


@dataclass(frozen=True)
class Cell:
    """One cell of code to be run.

    Attributes:
        source: the code.
        label: what the learner knows it as, such as "cell 4".
        task: the task that the cell is made for, or "".
        sure: whether the notebook marks it as that task's; else it only defines the same names.
        written: whether the learner wrote it; else it is the master's.
        defines, uses: names at the top level.
    """

    source: str
    label: str
    task: str
    sure: bool
    written: bool
    defines: frozenset[str]
    uses: frozenset[str]


def notebook(data: bytes) -> dict[str, Any]:
    """Return a notebook's JSON with a list of cells; raise NotReadableError for anything else."""
    if len(data) > _MOST_BYTES:
        raise NotReadableError(f"it is larger than {_MOST_BYTES // 1024**2} MB")
    try:
        nb = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise NotReadableError("it is no notebook: its content is not JSON") from None
    if not isinstance(nb, dict):
        raise NotReadableError("it is no notebook: its content is a list or a value")
    if "worksheets" in nb:
        raise NotReadableError("it is a notebook of the old format 3; save it with a newer Jupyter")
    if not isinstance(nb.get("cells"), list):
        raise NotReadableError("it is no notebook: it has no cells")
    nb["cells"] = [cell for cell in nb["cells"] if isinstance(cell, dict)]
    return nb


def source(cell: dict[str, Any]) -> str:
    """Return a cell's text, which is stored as a string or as a list of lines."""
    text = cell.get("source", "")
    if isinstance(text, list):
        text = "".join(line for line in text if isinstance(line, str))
    return text.replace("\r\n", "\n") if isinstance(text, str) else ""


def number(nb: dict[str, Any], masters: Callable[[int], Master | None]) -> int | None:
    """Return which exercise a notebook is, None where nothing tells.

    Its metadata tell, or what it gives to `ck.exercise`, or else the names its cells define.
    """
    noted = _dict(_dict(nb.get("metadata")).get("coursekit")).get("source", "")
    found = _SOURCE.search(noted) if isinstance(noted, str) else None
    told = [int(found[1])] if found else []
    code = [source(cell) for cell in nb["cells"] if cell.get("cell_type") == "code"]
    told += [int(n) for text in code for n in _EXERCISE.findall(text)]
    for each in told:
        if masters(each) is not None:
            return each
    defined = set().union(*(names(text)[0] for text in code)) if code else set()
    best, best_share = None, 0.5
    for each in range(100):
        master = masters(each)
        if master is None:
            continue
        asked = set().union(*(task.names for task in master.tasks))
        share = len(asked & defined) / max(1, len(asked))
        if share > best_share:
            best, best_share = each, share
    return best


def plan(nb: dict[str, Any], master: Master) -> list[Cell]:
    """Return the cells to be run, in order.

    All that the learner wrote is run, and of what the notebook gave only that which these and the
    tasks need: no other experiment, and no check. A given cell comes from the master, followed by
    the learner's version of it where that is another one.
    """
    cells = _all(nb, master)
    wanted = {name for task in master.tasks for name in task.names}
    changes = {name: what for cell in cells for name, what in changed_by_calls(cell.source).items()}
    kept: list[Cell] = []
    for cell in reversed(cells):
        defines = cell.defines.union(*(changes.get(name, ()) for name in cell.uses))
        if cell.written or defines & wanted or cell.label == "setup":
            kept.append(cell)
            wanted |= cell.uses
    return kept[::-1]


def _all(nb: dict[str, Any], master: Master) -> list[Cell]:
    """Return every cell of code but the checks: the learner's, the given ones in their places."""
    known = _Known(master)
    found: list[Cell] = []
    put: set[str] = set()

    def put_given_up_to(id_: str) -> None:
        for earlier in known.order[: known.order.index(id_) + 1]:
            if earlier not in put and known.kinds[earlier][0] == "":
                put.add(earlier)
                text = known.cells[earlier].source
                label = "setup" if _EXERCISE.search(text) else "given"
                found.append(_cell(text, label, written=False))

    for index, cell in enumerate(nb["cells"], 1):
        text, metadata = source(cell), _dict(cell.get("metadata"))
        id_, sure = known.identity(cell.get("id"), text, metadata)
        kind, task = known.kinds[id_] if id_ else ("", "")
        if id_:
            put_given_up_to(id_)
        if cell.get("cell_type") != "code" or kind == "check":
            continue
        label = f"cell {index}"
        if kind == "task":
            found.append(_cell(text, label, task=task, sure=sure))
        elif not id_:
            found.append(_cell(text, label))
        elif _same(text) != _same(known.cells[id_].source):
            found.append(_cell(text, label, written=bool(_EXERCISE.search(text))))
    if known.order:
        ahead, found = found, []
        put_given_up_to(known.order[0])
        found += ahead
    return found


class _Known:
    """The master's cells of code, and what each is."""

    def __init__(self, master: Master):
        self.cells = {cell.id: cell for cell in master.cells if cell.cell_type == "code"}
        self.order = list(self.cells)
        self.kinds = {id_: _kind(cell.metadata) for id_, cell in self.cells.items()}
        self._by_kind = {kind: id_ for id_, kind in self.kinds.items() if kind[0]}
        self._by_text = {_same(cell.source): id_ for id_, cell in self.cells.items()}

    def identity(self, id_: Any, text: str, metadata: dict[str, Any]) -> tuple[str, bool]:
        """Return which of these a cell is, "" for one of the learner's own, and whether surely."""
        if (found := self._by_kind.get(_kind(metadata))) is not None:
            return found, True
        if isinstance(id_, str) and id_ in self.cells:
            return id_, True
        if (found := self._by_text.get(_same(text))) is not None:
            return found, True
        if called := re.match(r"\s*ex\.(\w+)\([^=]*\)\s*$", text):
            return self._by_kind.get(("check", called[1]), ""), True
        defined = names(text)[0]
        for (kind, _), found in self._by_kind.items():
            if kind == "task" and names(self.cells[found].source)[0] & defined:
                return found, False
        return "", True


def _kind(metadata: dict[str, Any]) -> tuple[str, str]:
    """Return ("task" or "check", its name) by nbgrader's metadata or a tag; ("", "") otherwise."""
    grade_id = _dict(metadata.get("nbgrader")).get("grade_id", "")
    tags = metadata.get("tags", [])
    words = [str(tag).replace(":", "_", 1) for tag in tags] if isinstance(tags, list) else []
    for word in [str(grade_id), *words]:
        kind, line, name = word.partition("_")
        if line and kind in ("task", "check"):
            return kind, name
    return "", ""


def _cell(
    text: str, label: str, *, task: str = "", sure: bool = True, written: bool = True
) -> Cell:
    defines, uses = names(text)
    return Cell(text, label, task, sure, written, defines, uses)


def _same(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def names(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return which names a cell defines at its top level or changes, and which it uses.

    >>> defines, uses = names("import numpy as np; a = np.ones(b)")
    >>> sorted(defines), sorted(uses)
    (['a', 'np'], ['b', 'np'])
    """
    for version in (text, _MAGIC.sub(r"\1pass", text)):  # with its magics, then without
        try:
            tree, table = ast.parse(version), symtable.symtable(version, "cell", "exec")
            break
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    else:
        return frozenset(), frozenset()
    symbols = table.get_symbols()
    defines = {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
    defines |= _stored_into(ast.walk(tree))
    uses = {s.get_name() for s in symbols if s.is_referenced()}
    changed = (node.target for node in ast.walk(tree) if isinstance(node, ast.AugAssign))
    uses |= {target.id for target in changed if isinstance(target, ast.Name)} & defines
    inner = list(table.get_children())
    while inner:
        scope = inner.pop()
        uses |= {s.get_name() for s in scope.get_symbols() if s.is_global() and s.is_referenced()}
        inner += scope.get_children()
    return frozenset(defines), frozenset(uses)


def changed_by_calls(text: str) -> dict[str, frozenset[str]]:
    """Return which outer names each function of a cell changes when it is called.

    >>> code = "def train(name): models[name] = made = fit(); made.name = name; log.append(name)"
    >>> {name: sorted(what) for name, what in changed_by_calls(code).items()}
    {'train': ['log', 'models']}
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found = {}
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        nodes = list(ast.walk(function))
        own = {node.arg for node in nodes if isinstance(node, ast.arg)}
        own |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        if what := frozenset(_stored_into(nodes) - own):
            found[function.name] = what
    return found


# How lists, dicts and sets change in place.
_CHANGING = {
    "add",
    "append",
    "clear",
    "discard",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "reverse",
    "setdefault",
    "sort",
    "update",
}


def _stored_into(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names into whose items or attributes something is put, or out of which taken."""
    found = set()
    for node in nodes:
        if not isinstance(node, (ast.Attribute, ast.Subscript)):
            continue
        if not isinstance(node.ctx, ast.Load) or getattr(node, "attr", "") in _CHANGING:
            base: Any = node
            while isinstance(base, (ast.Attribute, ast.Subscript)):
                base = base.value
            if isinstance(base, ast.Name):
                found.add(base.id)
    return found


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
