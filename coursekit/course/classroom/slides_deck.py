"""A lesson as slides: each question alone, then its pictures with what they show.

What fits on no slide, the explanations and the claims, goes into the speaker's notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

from nbformat import NotebookNode

from coursekit.course.classroom import outline
from coursekit.course.classroom.outline import (
    Experiment,
    Outline,
    Section,
    flat,
    gist,
    is_finding,
    is_list,
)
from coursekit.course.classroom.slides_render import html, inline
from coursekit.course.notebooks.cells import tags

_ITEM = re.compile(r"^(?=(?:- |\d+\. ))", re.MULTILINE)
_ON_A_SLIDE = 700  # characters of a list
_SAID = 420  # characters of running text that a slide shows whole
_COLUMNS, _LINES = 96, 17  # the widest and longest printout that is read from the back row


@dataclass
class Slide:
    """One slide: `kind` is its look; `main` is HTML, the texts below it and the notes markdown."""

    kind: str
    title: str
    main: str
    caption: str = ""
    notes: list[str] = field(default_factory=list)
    explains: list[str] = field(default_factory=list)  # what the lesson says right after it


def deck(lesson: Outline) -> list[Slide]:
    """Return the slides of a lesson in order."""
    slides = [_title(lesson)]
    for section in lesson.sections:
        if section.name == outline.READING:
            continue
        made = [slide for each in section.experiments for slide in _experiment(section, each)]
        skip = section.name == outline.OPENING  # its text is on the first slide
        slides += [slide for slide in made if slide.kind == "picture"] if skip else made
    return slides


def _title(lesson: Outline) -> Slide:
    lead = "\n\n".join(lesson.lead)
    opening = lesson.section(outline.OPENING)
    goals = [text for text in (opening.texts if opening else []) if is_list(text)]
    items = [item for text in goals for item in _items(text)]
    main = f"<h1>{inline(lesson.title)}</h1><div class='lead'>{html(lead)}</div>"
    if items:
        main += f"<div class='goals'>{html(''.join(items[:6]))}</div>"
    return Slide("title", "", main, notes=opening.texts if opening else [])


def _experiment(section: Section, experiment: Experiment) -> list[Slide]:
    title = section.title + (f" · {experiment.heading}" if experiment.heading else "")
    slides: list[Slide] = []
    for text in experiment.before:
        slides += _shown(title, text)
    said = [text for text in experiment.before if not _is_visual(text)]
    if experiment.question:
        slides.append(_ask(title, experiment, said))
    elif said and experiment.items and not slides:
        slides.append(_say(title, said[0], said))
    elif said and not experiment.items:
        slides += _told(title, said)
    elif slides:
        slides[0].notes += said
    tried: list[Slide] = []  # apart: no finding may stand above its question
    for item in experiment.items:
        if isinstance(item, str):
            _explain(tried, title, item)
        else:
            tried += _outputs(tried or slides, title, item)
    for slide in tried:
        _close(slide)
    return slides + tried


def _ask(title: str, experiment: Experiment, said: list[str]) -> Slide:
    question, lead = experiment.question, flat(experiment.lead)
    size = "short" if len(question) + len(lead) < 200 else "long"
    shown = f"<div class='lead'>{html(lead)}</div>" if 0 < len(lead) <= _SAID else ""
    label = f"<div class='label'>Predict first</div><div class='ask {size}'>{html(question)}</div>"
    notes = [*said, lead] if lead and not shown else said
    return Slide("predict", title, shown + label, notes=notes)


def _told(title: str, texts: list[str]) -> Iterator[Slide]:
    """Yield slides of running text, such as the pitfalls: lists in pages, else the first sentences.

    What introduces a list stands in the notes.
    """
    lists = [text for text in texts if is_list(text)]
    notes = [text for text in texts if not is_list(text)]
    if not lists:
        gists = "\n\n".join(gist(text) for text in notes[:3])
        yield Slide("say", title, html(gists), notes=notes)
    for text in lists:
        for page in _pages(text):
            yield Slide("list", title, html(page), notes=notes)
            notes = []


def _outputs(before: list[Slide], title: str, cell: NotebookNode) -> Iterator[Slide]:
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
            png = data["image/png"].replace("\n", "")
            main = f'<img alt="{escape(alt)}" src="data:image/png;base64,{png}">'
            yield Slide("picture", title, main)
            continue
        text = (output.get("text") or data.get("text/plain") or "").rstrip()
        lines = text.splitlines()
        fits = 1 < len(lines) <= _LINES and max(map(len, lines)) <= _COLUMNS
        if text and fits and not {"claim", "helper"} & set(tags(cell)):
            widest, longest = max(map(len, lines)), len(lines)
            size = min(24, 1120 / (0.61 * widest), 470 / (1.35 * longest))
            main = f'<pre style="font-size:{size:.1f}px">{escape(text)}</pre>'
            yield Slide("printed", title, main)
        elif text and before:
            before[-1].notes.append(f"```\n{text}\n```")


def _explain(slides: list[Slide], title: str, text: str) -> None:
    """Put a text below the picture that it is about, or into the notes.

    A finding belongs to the last picture that nothing is said about yet, any other text to the
    slide before it.
    """
    if _is_visual(text):
        slides += _shown(title, text)
        return
    silent = [each for each in slides if each.kind in ("picture", "printed") and not each.explains]
    pictures = [each for each in silent if each.kind == "picture"]
    if is_finding(text) and silent:
        (pictures or silent)[-1].explains.append(text)
    elif is_finding(text) or not slides:
        slides.append(_say(title, gist(text), [text]))
    elif slides[-1].kind in ("picture", "printed"):
        slides[-1].explains.append(text)
    else:
        slides[-1].notes.append(text)


def _say(title: str, text: str, notes: list[str]) -> Slide:
    if is_list(text):
        return Slide("list", title, html(next(_pages(text))), notes=notes)
    said = text if len(text) <= _SAID else gist(text)
    return Slide("say", title, f"<p>{inline(flat(said))}</p>", notes=notes)


def _close(slide: Slide) -> None:
    """Give a picture its caption: the finding that follows, else the first sentence."""
    texts = [text for text in slide.explains if not is_list(text)]
    findings = [text for text in texts if is_finding(text)]
    if findings or texts:
        slide.caption = inline(flat(gist((findings or texts)[0])))
    slide.notes = slide.explains + slide.notes
    slide.explains = []


def _is_visual(text: str) -> bool:
    """Return whether a block is to be seen rather than heard: drawing, table, formula, code."""
    return text.startswith(("![", "|", "$$", "```", "    "))


def _shown(title: str, text: str) -> Iterator[Slide]:
    if text.startswith("!["):
        drawing = re.match(r"!\[([^\]]*)\]\((data:[^)]*)\)", text)
        if drawing:
            main = f'<img alt="{escape(drawing[1])}" src="{drawing[2]}">'
            yield Slide("picture", title, main)
    elif _is_visual(text):
        yield Slide("formula" if text.startswith("$$") else "table", title, html(text))


def _items(text: str) -> list[str]:
    return [item.rstrip() + "\n" for item in _ITEM.split(text) if item.strip()]


def _pages(text: str) -> Iterator[str]:
    page: list[str] = []
    for item in _items(text):
        if page and sum(map(len, page)) + len(item) > _ON_A_SLIDE:
            yield "".join(page)
            page = []
        page.append(item)
    yield "".join(page)
