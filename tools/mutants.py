"""Mutate the right answers of an exercise, and show which mutants its checks accept.

    python tools/mutants.py 08                all tasks of exercise 08
    python tools/mutants.py 08 --task adam    one of them
    python tools/mutants.py 08 --reasons     with what each mutant is told

A mutant is the solution with one small change: an operator, a sign, a constant, a comparison, an
argument, a statement. A mutant that does the same as the original is listed, with the reason, in
`tests/checks/equivalent_mutants.toml`; every other one that a check accepts is a hole in the check.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import io
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jupytext

from coursekit.checks.engine.runner import run
from coursekit.checks.engine.side_effects import TimeUp, held_back, time_limit
from coursekit.checks.engine.tasks import load
from coursekit.course.notebooks.cells import named

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENT = ROOT / "tests" / "checks" / "equivalent_mutants.toml"
SECONDS = 30  # after this time a mutant counts as rejected: it does not end

_OPERATORS = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,), ast.FloorDiv: (ast.Div,), ast.Mod: (ast.FloorDiv,),
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.And: (ast.Or,), ast.Or: (ast.And,),
}  # fmt: skip
_NAMES = {
    "min": "max", "max": "min", "argmin": "argmax", "argmax": "argmin", "mean": "sum",
    "sum": "mean", "std": "var", "var": "std", "ceil": "floor", "floor": "ceil", "round": "floor",
    "zeros": "ones", "ones": "zeros", "zeros_like": "ones_like", "ones_like": "zeros_like",
    "minimum": "maximum", "maximum": "minimum", "reduce_mean": "reduce_sum",
    "reduce_sum": "reduce_mean", "any": "all", "all": "any", "nanargmin": "argmin",
    "trainable_variables": "variables", "trainable_weights": "weights", "sqrt": "abs",
    "log": "log2", "append": "extend", "cumsum": "cumprod",
}  # fmt: skip
_STRINGS = {
    "he_normal": "he_uniform", "lecun_normal": "he_normal", "glorot_uniform": "he_normal",
    "swish": "relu", "selu": "elu", "relu": "tanh", "tanh": "relu", "softmax": "sigmoid",
    "val_loss": "loss", "loss": "val_loss",
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: what stands in place of what, and the whole cell with it."""

    change: str
    code: str


def mutants(code: str) -> list[Mutant]:
    """Return the mutants of a task's cell; only what stands within the solution is changed.

    >>> [m.change for m in mutants("a = b - 1")]
    ['a = b - 1 → a = b + 1', 'a = b - 1 → a = b - 2', 'a = b - 1 → a = b - 0']
    """
    tree = ast.parse(code)
    inside = _solution_lines(code)
    found: dict[str, Mutant] = {}
    for statement, path in _statements(tree):
        if statement.lineno not in inside:
            continue
        for new in _changed(statement):
            whole = copy.deepcopy(tree)
            _put(whole, path, new)
            text = ast.unparse(ast.fix_missing_locations(whole))
            change = f"{_head(statement)} → {_head(new) if new else 'nothing'}"
            if text != ast.unparse(tree) and text not in found:
                found[text] = Mutant(change, text)
    return list(found.values())


def _solution_lines(code: str) -> set[int]:
    lines = code.splitlines()
    marks = [i for i, line in enumerate(lines, 1) if " SOLUTION" in line and "###" in line]
    if not marks:
        return set(range(1, len(lines) + 1))
    return {n for a, b in zip(marks[::2], marks[1::2], strict=True) for n in range(a, b)}


Path_ = tuple[tuple[str, int], ...]


def _statements(node: ast.AST, path: Path_ = ()) -> Iterator[tuple[ast.stmt, Path_]]:
    for field in ("body", "orelse", "finalbody", "handlers"):
        for i, child in enumerate(getattr(node, field, None) or ()):
            here = (*path, (field, i))
            if isinstance(child, ast.stmt):
                yield child, here
            yield from _statements(child, here)


def _put(tree: ast.AST, path: Path_, new: ast.stmt | None) -> None:
    *above, (field, i) = path
    for name, k in above:
        tree = getattr(tree, name)[k]
    getattr(tree, field)[i] = new if new is not None else ast.Pass()


def _head(statement: ast.stmt) -> str:
    return ast.unparse(statement).splitlines()[0]


def _changed(statement: ast.stmt) -> Iterator[ast.stmt | None]:
    """Yield the statement with one change in its own head, never in the statements below it."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        yield from _in_expressions(
            statement, [statement.args] if hasattr(statement, "args") else []
        )
        return
    blocks = [getattr(statement, name, []) for name in ("body", "orelse")]
    below = {id(child) for block in blocks if isinstance(block, list) for child in block}
    yield from _in_expressions(
        statement, [c for c in ast.iter_child_nodes(statement) if id(c) not in below]
    )
    if isinstance(statement, ast.If):
        for constant in (True, False):
            new = copy.deepcopy(statement)
            new.test = ast.Constant(constant)
            yield new
    if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Tuple):
        new = copy.deepcopy(statement)
        new.value.elts.reverse()
        yield new
    if isinstance(statement, (ast.Assign, ast.AugAssign, ast.Expr, ast.For, ast.While)):
        yield None


def _in_expressions(statement: ast.stmt, roots: list[ast.AST]) -> Iterator[ast.stmt]:
    order = {id(node): i for i, node in enumerate(ast.walk(statement))}
    for root in roots:
        for node in ast.walk(root):
            for change in _changes(node):
                new = copy.deepcopy(statement)
                twin = list(ast.walk(new))[order[id(node)]]
                change(twin)
                yield new


def _changes(node: ast.AST) -> Iterator[Callable[[Any], None]]:
    """Yield functions that change a copy of this node in place."""

    def become(make: Callable[[Any], ast.AST]) -> Callable[[Any], None]:
        def change(twin: Any) -> None:
            new = make(twin)
            twin.__class__ = type(new)
            twin.__dict__ = {**vars(new)}

        return change

    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)):
        for other in _OPERATORS.get(type(node.op), ()):
            yield lambda twin, other=other: setattr(twin, "op", other())
    if isinstance(node, ast.BoolOp):
        yield lambda twin: twin.values.pop()
    if isinstance(node, ast.Compare):
        for other in _OPERATORS.get(type(node.ops[0]), ()):
            yield lambda twin, other=other: twin.ops.__setitem__(0, other())
    if isinstance(node, ast.UnaryOp):
        yield become(lambda twin: copy.copy(twin.operand))
    if isinstance(node, ast.Constant):
        for value in _other_values(node.value):
            yield lambda twin, value=value: setattr(twin, "value", value)
    if isinstance(node, ast.Attribute) and node.attr in _NAMES:
        yield lambda twin: setattr(twin, "attr", _NAMES[twin.attr])
    if isinstance(node, ast.Name) and node.id in ("min", "max", "any", "all"):
        yield lambda twin: setattr(twin, "id", _NAMES[twin.id])
    if isinstance(node, ast.Call):
        if len(node.args) > 1:
            yield lambda twin: twin.args.__setitem__(slice(0, 2), twin.args[1::-1])
            yield lambda twin: twin.args.pop()
        for i in range(len(node.keywords)):
            yield lambda twin, i=i: twin.keywords.pop(i)
        if len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred):
            yield become(lambda twin: copy.copy(twin.args[0]))
    if isinstance(node, ast.Slice):
        for bound in ("lower", "upper"):
            if getattr(node, bound) is not None:
                yield lambda twin, bound=bound: setattr(twin, bound, None)
    if isinstance(node, ast.IfExp):
        yield become(lambda twin: copy.copy(twin.body))
        yield become(lambda twin: copy.copy(twin.orelse))


def _other_values(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value * 2, value / 2]
    if isinstance(value, str) and value in _STRINGS:
        return [_STRINGS[value]]
    return []


class Answers:
    """The task cells of an exercise's master, and a namespace that defines its solutions."""

    def __init__(self, number: int):
        self.number = number
        (path,) = (ROOT / "sources" / "exercises").glob(f"{number:02}_*.py")
        notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
        self.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        self.tasks = {name: cell.source for cell in self.cells if (name := named(cell, "task"))}
        self._asked = {n: cell.source for cell in self.cells if (n := named(cell, "check"))}
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        with contextlib.redirect_stdout(io.StringIO()):
            for i, cell in enumerate(self.cells):
                try:
                    self._define(cell.source, whole=i == 0 or bool(named(cell, "task")))
                except (Exception, TimeUp):
                    if i == 0:
                        raise
                    del self.tasks[named(cell, "task")]  # it needs what other cells train

    def _define(self, source: str, *, whole: bool) -> None:
        """Run a cell; of one that is neither set-up nor task, what defines names in a moment."""
        kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign)
        for statement in ast.parse(source).body:
            if whole or (isinstance(statement, kinds) and not source.startswith("ex.")):
                try:
                    with time_limit(300 if whole else 20):
                        exec(_compiled(ast.Module([statement], [])), self.namespace)
                except (Exception, TimeUp):
                    if whole:
                        raise

    def verdict(self, name: str, code: str) -> str:
        """Return the outcome of the check of task `name` for this code in place of its cell."""
        namespace = dict(self.namespace)
        call = ast.parse(self._asked[name]).body[-1].value
        try:
            with held_back(), time_limit(SECONDS):
                exec(_compiled(ast.parse(code)), namespace)
                answers = [eval(_compiled(ast.Expression(arg)), namespace) for arg in call.args]
        except (Exception, TimeUp) as error:
            return f"crashed: {type(error).__name__}"
        task = replace(load(self.number)[name], seconds=SECONDS)
        verdict = run(task, tuple(answers))
        return f"{verdict.outcome}: {verdict.reason}" if verdict.reason else verdict.outcome


def _compiled(tree: Any) -> Any:
    mode = "eval" if isinstance(tree, ast.Expression) else "exec"
    return compile(ast.fix_missing_locations(tree), "<cell>", mode)


def equivalent() -> dict[str, dict[str, str]]:
    """Return the listed mutants that do the same as the original: "NN.task" → change → reason."""
    return tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")) if EQUIVALENT.exists() else {}


def main() -> int:
    """Print a line for each task, and the mutants that its check accepts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="+", type=int, metavar="NN")
    parser.add_argument("--task", help="this task only")
    parser.add_argument("--reasons", action="store_true", help="show every verdict")
    options = parser.parse_args()
    listed, holes = equivalent(), 0
    for number in options.numbers:
        answers, total = Answers(number), [0, 0, 0]
        for name, code in answers.tasks.items():
            if options.task not in (None, name):
                continue
            known = listed.get(f"{number:02}.{name}", {})
            verdicts = {m.change: answers.verdict(name, m.code) for m in mutants(code)}
            accepted = [change for change, said in verdicts.items() if said == "correct"]
            survivors = [change for change in accepted if change not in known]
            counts = len(verdicts), len(verdicts) - len(accepted), len(accepted) - len(survivors)
            total = [a + b for a, b in zip(total, counts, strict=True)]
            print(f"{number:02}.{name}: {counts[0]} mutants, {counts[1]} rejected, "
                  f"{counts[2]} equivalent, {len(survivors)} accepted", flush=True)  # fmt: skip
            for change in survivors:
                print(f"    accepted: {change}")
            if options.reasons:
                for change, said in verdicts.items():
                    print(f"    {change}\n        {said}")
            for change in set(known) - set(accepted):
                print(f"    listed as equivalent, but not accepted: {change}")
            holes += len(survivors)
        share = total[1] / max(total[0] - total[2], 1)
        print(f"{number:02}: {total[0]} mutants, {total[1]} rejected, {total[2]} equivalent, "
              f"{total[0] - total[1] - total[2]} accepted; {share:.1%} of those that differ are "
              "rejected", flush=True)  # fmt: skip
    return int(holes > 0)


if __name__ == "__main__":
    sys.exit(main())
