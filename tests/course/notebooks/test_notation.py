"""Lessons, exercises, checks and the glossary use the words of docs/notation.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from coursekit.base.environment import ROOT
from coursekit.course.notebooks import convert

SOURCES = [  # of the second edition
    path
    for path in sorted((ROOT / "sources" / "notebooks").glob("*.py"))
    if "{{ minutes.reading }}" in path.read_text(encoding="utf-8")
] + sorted((ROOT / "sources" / "exercises").glob("*.py"))
CHECKS = sorted((ROOT / "coursekit" / "checks").glob("*.py"))  # options, hints and reasons


def banned() -> dict[str, str]:
    """Return what is not said -> what is said."""
    table = (ROOT / "docs" / "notation.md").read_text(encoding="utf-8").partition("## Words")[2]
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", table, re.MULTILINE)
    return {word: say for say, words in rows if say != "say" for word in words.split(", ")}


def prose(text: str) -> str:
    """A text without code, formulas, addresses and the titles of other people's works."""
    text = text.partition("## Further reading")[0]
    for thing in (r"```.*?```", r"`[^`]*`", r"\$[^$]*\$", r"\]\([^)]*\)"):
        text = re.sub(thing, " ", text, flags=re.DOTALL)
    return text


def twins(text: str) -> list[str]:
    """Return which banned words a text uses: also in the plural, and two words with a hyphen."""
    said = " ".join(prose(text).split())
    ways = {word: re.escape(word).replace(r"\ ", "[ -]") for word in banned()}
    return [
        f"{word!r}: say {say!r}"
        for word, say in banned().items()
        if re.search(rf"\b{ways[word]}(e?s)?\b", said, re.IGNORECASE)
    ]


def sentences(path: Path) -> str:
    """Return the texts of a module that somebody reads: its strings of four words or more."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    strings = [each.value for each in ast.walk(tree) if isinstance(each, ast.Constant)]
    return "\n".join(each for each in strings if isinstance(each, str) and each.count(" ") > 2)


def test_a_banned_word_is_found_in_text_and_not_in_code_or_titles():
    assert twins("The step\nsize matters.") == ["'step size': say 'learning rate'"]
    assert twins("A mini-batch's weighted sums") == [
        "'mini batch': say 'batch'",
        "'weighted sum': say 'pre-activation'",
    ]
    assert twins("`step size` $minibatch$ ## Further reading On minibatch sizes") == []
    assert len(banned()) > 15


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_lessons_and_exercises_use_one_word_for_each_thing(source):
    nb = convert.lesson(source.read_text(encoding="utf-8"), source.name)
    text = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    assert twins(text) == []


@pytest.mark.parametrize("path", CHECKS, ids=lambda path: path.stem)
def test_checks_use_one_word_for_each_thing(path):
    assert twins(sentences(path)) == []


def test_the_glossary_uses_one_word_for_each_thing():
    assert twins((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")) == []
