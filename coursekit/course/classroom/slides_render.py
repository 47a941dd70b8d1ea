"""Markdown to HTML for slides: formulas as MathML, which browsers draw without any script."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import Any

_ADDRESS = re.compile(r"https?://")
_TEXT = re.compile(r"\\text\{[^{}]*\}")


def html(text: str) -> str:
    r"""Return a text of a lesson as HTML; links to other notebooks become plain words.

    >>> html("A *rate*, see [lesson 08](08_optimizers.ipynb).")
    '<p>A <em>rate</em>, see lesson 08.</p>'
    >>> "<msup>" in html("$x^2$")
    True
    """
    return str(_markdown()(text)).strip()


def inline(text: str) -> str:
    """Return one paragraph as HTML, without the element around it.

    >>> inline("**No** `lr`")
    '<strong>No</strong> <code>lr</code>'
    """
    made = html(text)
    whole = made.startswith("<p>") and made.endswith("</p>") and made.count("<p>") == 1
    return made[3:-4] if whole else made


@cache
def _markdown() -> Any:
    from latex2mathml.converter import convert
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def inline_math(self, body: str) -> str:
            return convert(_plain_text(body))

        def block_math(self, body: str) -> str:
            return convert(_plain_text(body.strip()), display="block")

        def latex_environment(self, name: str, body: str) -> str:
            return convert(f"\\begin{{{name}}}{body}\\end{{{name}}}", display="block")

        def block_code(self, code: str, info: str | None = None) -> str:
            return f"<pre><code>{escape(code.rstrip(), quote=False)}</code></pre>"

        def link(self, text: str, url: str, title: str | None = None) -> str:
            return super().link(text, url, title) if _ADDRESS.match(url) else text

        def heading(self, text: str, level: int, **attributes: Any) -> str:
            return f"<h3>{text}</h3>"

    return MarkdownWithMath(renderer=Renderer(escape=True, exclude_anchor_links=True))


def _plain_text(formula: str) -> str:
    r"""Take the backslash from `\_` within `\text`, which the converter would show."""
    return _TEXT.sub(lambda found: found[0].replace(r"\_", "_"), formula)
