"""A built lesson as an instructor sees it: sections, and in them experiments.

    ## 2 · One rate, four fates         a section
    text, and **Predict first:** …      a question, with what leads up to it
    code, pictures                      an experiment
    **Finding**, and why                what it showed

An experiment begins at a question, at a `###` heading, or with a section.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from coursekit.course.notebooks.catalogue import Notebook, built, choose
from coursekit.errors import ArgumentError, NotebookError

OPENING = "What you will be able to do"
PITFALLS, TOMORROW, RECAP, PRACTISE = ("Pitfalls", "What to do tomorrow", "Recap", "Now practise")
READING = "Further reading"
FRAME = (OPENING, PITFALLS, TOMORROW, RECAP, PRACTISE, READING)  # all other sections teach
_HEADING = re.compile(r"(#{1,3}) (.+)")
_NUMBER = re.compile(r"^(\d+) · ")
_PREDICT = re.compile(r"\*\*Predict\s+first:?\*\*:?\s*")
_BOLD = re.compile(r"\*\*(?:[^*]|\*(?!\*))+\*\*")
_SENTENCE = re.compile(r"(.+?[.?!:])(?=\s+[A-Z*`$«“(]|\s*$)", re.DOTALL)
_ITEM = re.compile(r"(?:- |\d+\. )")
_VERDICT = re.compile(r"\*\*Verdict:?\*\*[:,]?\s*")
_WORD = re.compile(r"\w[\w'’-]*")


@dataclass
class Experiment:
    """One thing tried: `items` are the code cells and texts from its first code cell on.

    `lead` is what stands before the question in the same paragraph.
    """

    heading: str = ""
    before: list[str] = field(default_factory=list)
    lead: str = ""
    question: str = ""
    items: list[NotebookNode | str] = field(default_factory=list)

    @property
    def cells(self) -> list[NotebookNode]:
        """Its code cells."""
        return [item for item in self.items if not isinstance(item, str)]

    @property
    def findings(self) -> list[str]:
        """The sentences in bold, or marked as a verdict, with which its texts begin."""
        texts = [item for item in self.items if isinstance(item, str)]
        return [gist(text) for text in texts if is_finding(text)]


@dataclass
class Section:
    """What stands under one `##` heading; `title` is as written there."""

    title: str
    experiments: list[Experiment] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The title without its number.

        >>> Section("3 · The way back").name
        'The way back'
        """
        return _NUMBER.sub("", self.title)

    @property
    def words(self) -> int:
        """How many words its text has; drawings do not count."""
        text = " ".join(self.texts)
        return len(_WORD.findall(re.sub(r"\(data:[^)]*\)", "", text)))

    @property
    def texts(self) -> list[str]:
        """Its blocks of text in order, questions among them."""
        found = []
        for each in self.experiments:
            found += [*each.before, each.lead, each.question]
            found += [item for item in each.items if isinstance(item, str)]
        return [text for text in found if text]

    @property
    def cells(self) -> list[NotebookNode]:
        """Its code cells."""
        return [cell for each in self.experiments for cell in each.cells]


@dataclass
class Outline:
    """A lesson: number, title, what stands below the title, sections, seconds in standard."""

    name: str
    title: str
    lead: list[str]
    sections: list[Section]
    seconds: dict[str, float]
    measured: bool

    @property
    def number(self) -> int:
        """The lesson's number."""
        return int(self.name[:2])

    def teaching(self) -> list[Section]:
        """The sections that teach something: all but the frame."""
        return [section for section in self.sections if section.name not in FRAME]

    def section(self, name: str) -> Section | None:
        """Return the section with this title, with or without its number; None if there is none."""
        return next((each for each in self.sections if name in (each.title, each.name)), None)


def lesson(root: Path, wanted: str) -> Outline:
    """Return the outline of the built lesson meant by a number, a name or a path.

    Raises ArgumentError where there is no such lesson, NotebookError for a file that is none.
    """
    try:
        found = choose([wanted], built(root, ["notebooks"]))
    except ArgumentError as error:
        raise ArgumentError(f"{error} A plan and slides are made of a lesson.") from None
    return read(found[0])


def read(notebook: Notebook) -> Outline:
    """Return the outline of a built notebook."""
    try:
        nb = nbformat.read(notebook.path, as_version=4)
    except (OSError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise NotebookError(
            f"{notebook.label} is not a readable notebook ({reason}); "
            f"run: python -m coursekit build {notebook.name[:2]}"
        ) from error
    note = nb.metadata.get("coursekit", {})
    seconds = dict(note.get("seconds", {}))
    outline = Outline(notebook.name, notebook.name, [], [], seconds, "seconds" in note)
    for item in _items(nb):
        _add(outline, item)
    return outline


def _items(nb: NotebookNode) -> Iterator[NotebookNode | str]:
    for cell in nb.cells:
        if cell.cell_type == "code":
            yield cell
        else:
            yield from blocks(cell.source)


def blocks(text: str) -> list[str]:
    r"""Split a text at its blank lines; a fence or a displayed formula stays whole.

    >>> blocks("## One\n\ntext\n\n```\na\n\nb\n```")
    ['## One', 'text', '```\na\n\nb\n```']
    """
    found: list[list[str]] = [[]]
    inside = ""
    for line in text.splitlines():
        if not line.strip() and not inside:
            found.append([])
            continue
        heading = _HEADING.match(line) if not inside else None
        if heading and found[-1]:
            found.append([])
        found[-1].append(line)
        if heading:
            found.append([])
        for mark in ("```", "$$"):
            if line.count(mark) % 2 and inside in ("", mark):
                inside = "" if inside else mark
    return ["\n".join(lines) for lines in found if lines]


def _add(outline: Outline, item: NotebookNode | str) -> None:
    heading = _HEADING.match(item) if isinstance(item, str) else None
    if heading and len(heading[1]) == 1:
        outline.title = heading[2]
    elif heading and len(heading[1]) == 2:
        outline.sections.append(Section(heading[2], [Experiment()]))
    elif not outline.sections:
        outline.lead += [item] if isinstance(item, str) else []
    elif heading:
        _next(outline.sections[-1], Experiment(heading=heading[2]))
    elif isinstance(item, str) and _PREDICT.search(item) and not is_list(item):
        _ask(outline.sections[-1], item)
    else:
        now = outline.sections[-1].experiments[-1]
        began = now.items or not isinstance(item, str)
        (now.items if began else now.before).append(item)


def _ask(section: Section, text: str) -> None:
    before, question = _PREDICT.split(text, maxsplit=1)
    now = section.experiments[-1]
    if now.question or now.items:
        now = _next(section, Experiment(heading=now.heading))
    now.lead = before.strip()
    question = question.strip()
    now.question = question[:1].upper() + question[1:]


def _next(section: Section, experiment: Experiment) -> Experiment:
    now = section.experiments[-1]
    if not (now.before or now.question or now.items):
        section.experiments.pop()
    section.experiments.append(experiment)
    return experiment


def is_list(text: str) -> bool:
    """Return whether a block of text is a list; "Predict first" in one only explains the words."""
    return bool(_ITEM.match(text))


def is_finding(text: str) -> bool:
    """Return whether a block of text begins with a sentence or a number in bold, or a verdict."""
    bold = _BOLD.match(text)
    return bool(bold and (_whole(bold[0]) or re.search(r"\d", bold[0]))) or bool(
        _VERDICT.match(text)
    )


def gist(text: str) -> str:
    r"""Return what a block of text says in short: its bold sentence, else its first sentence.

    >>> gist("**It ends lower.** That is why.\nMore.")
    '**It ends lower.**'
    >>> gist("**Verdict:** the loss falls. Then it rises.")
    'The loss falls.'
    """
    bold = _BOLD.match(text)
    if bold and _whole(bold[0]) and not _VERDICT.match(text):
        return bold[0]
    text = _VERDICT.sub("", text, count=1)
    sentence = _SENTENCE.match(text)
    short = (sentence[1] if sentence else text).strip()
    return short[:1].upper() + short[1:]


def flat(text: str) -> str:
    r"""Return a paragraph on one line; what holds a fence or a displayed formula stays as it is.

    >>> flat("one\ntwo")
    'one two'
    """
    return text if "```" in text or "$$" in text else " ".join(text.split())


def _whole(bold: str) -> bool:
    """Return whether bold text is a sentence: a label, such as **The price.**, is shorter."""
    return bold.rstrip("*").endswith((".", "!", "?")) and len(bold.split()) > 2
