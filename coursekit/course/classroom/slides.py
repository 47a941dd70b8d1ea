"""`class slides NN --out FILE.html`: a lesson's slides in one file that needs no network.

reveal.js comes from the package sphinx-revealjs, which ships it; nothing of Sphinx is imported.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from html import escape
from pathlib import Path

from coursekit import __version__
from coursekit.base.files import write_whole
from coursekit.course.classroom import outline
from coursekit.course.classroom.slides_deck import Slide, deck
from coursekit.course.classroom.slides_render import html, inline
from coursekit.errors import CourseError

_REVEAL = "sphinx_revealjs/_static/revealjs"
_STYLES = ("dist/reset.css", "dist/reveal.css")
_SCRIPTS = ("dist/reveal.js", "plugin/notes/notes.js")
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="coursekit {version}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script>{script}</script>
</body>
</html>
"""


def write(root: Path, wanted: str, out: Path) -> int:
    """Write the slides of the lesson meant by a number or a name; return how many there are.

    Raises ArgumentError for a lesson that is not there, CourseError where reveal.js is not
    installed, OSError where the file cannot be written.
    """
    lesson = outline.lesson(root, wanted)
    slides = deck(lesson)
    write_whole(out, page(lesson.title, slides))
    return len(slides)


def page(title: str, slides: Sequence[Slide]) -> str:
    """Return the whole page, styles and scripts within it."""
    own = Path(__file__).parent
    return _PAGE.format(
        version=__version__,
        title=escape(title),
        style="\n".join([*map(_reveal, _STYLES), (own / "slides.css").read_text("utf-8")]),
        slides="\n".join(map(_section, slides)),
        script="\n".join([*map(_reveal, _SCRIPTS), (own / "slides.js").read_text("utf-8")]),
    )


def _section(slide: Slide) -> str:
    parts = [f"<header>{inline(slide.title)}</header>" if slide.title else "", slide.main]
    if slide.caption:
        parts.append(f"<footer>{slide.caption}</footer>")
    inside = "\n".join(part for part in parts if part)
    notes = html("\n\n".join(slide.notes))
    aside = f'<aside class="notes">{notes}</aside>' if notes else ""
    return f'<section><div class="page {slide.kind}">{inside}</div>{aside}</section>'


def _reveal(name: str) -> str:
    """Return one file of reveal.js; a script must not end the element that it stands in."""
    try:
        package = importlib.metadata.distribution("sphinx-revealjs")
    except importlib.metadata.PackageNotFoundError:
        raise CourseError(
            "Slides need reveal.js from the package sphinx-revealjs, which is not installed; "
            'run: pip install -e ".[test]"'
        ) from None
    text = Path(str(package.locate_file(f"{_REVEAL}/{name}"))).read_text(encoding="utf-8")
    return text.replace("</script", "<\\/script")
