"""Lessons use the words of docs/notation.md."""

from __future__ import annotations

import re

import pytest

from coursekit.base.environment import ROOT
from coursekit.course.notebooks import convert

SOURCES = [  # of the second edition
    path
    for path in sorted((ROOT / "sources" / "notebooks").glob("*.py"))
    if "{{ minutes.reading }}" in path.read_text(encoding="utf-8")
]


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
    said = " ".join(prose(text).split())
    return [
        f"{word!r}: say {say!r}"
        for word, say in banned().items()
        if re.search(rf"\b{re.escape(word)}\b", said, re.IGNORECASE)
    ]


def test_a_banned_word_is_found_in_text_and_not_in_code_or_titles():
    assert twins("The step\nsize matters.") == ["'step size': say 'learning rate'"]
    assert twins("`step size` $minibatch$ ## Further reading On minibatch sizes") == []
    assert len(banned()) > 15


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_lessons_use_one_word_for_each_thing(source):
    nb = convert.lesson(source.read_text(encoding="utf-8"), source.name)
    text = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    assert twins(text) == []
