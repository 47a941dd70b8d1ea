"""Slides: one file, every question and picture of the lesson on it, and nothing runs over."""

from __future__ import annotations

import base64
import json
import re
import shutil
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from coursekit.base.environment import ROOT
from coursekit.cli import main
from coursekit.course.classroom import outline, slides
from coursekit.course.classroom.slides_deck import deck
from coursekit.course.classroom.slides_render import html
from coursekit.course.notebooks.catalogue import Notebook, built
from coursekit.errors import CourseError
from tests.patience import PATIENCE

LESSONS = [notebook.name for notebook in built(ROOT, ["notebooks"])]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), ""
)
PIXEL = base64.b64encode(b"a picture is only handed on").decode()


def cells_of(name):
    path = ROOT / "notebooks" / f"{name}.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def picture(png=PIXEL, alt="A dot."):
    return new_output("display_data", {"image/png": png}, metadata={"image/png": {"alt": alt}})


def made_up(tmp_path, *cells):
    path = tmp_path / "notebooks" / "07_made_up.ipynb"
    path.parent.mkdir(exist_ok=True)
    path.write_text(nbformat.writes(new_notebook(cells=list(cells))), encoding="utf-8")
    return deck(outline.read(Notebook("notebooks", path.stem, path)))


class Page(HTMLParser):
    """What a page asks for from elsewhere, and the elements it is made of."""

    def __init__(self, text):
        super().__init__()
        self.outside, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        given = dict(attributes)
        address = given.get("src") or (given.get("href") if tag == "link" else None)
        if address and not address.startswith("data:"):
            self.outside.append(address)


@pytest.mark.parametrize("name", LESSONS)
def test_every_question_has_a_slide_of_its_own_and_every_picture_is_shown(name):
    made = deck(outline.lesson(ROOT, name))
    text = "\n".join("".join(c["source"]) for c in cells_of(name) if c["cell_type"] == "markdown")
    asked = [slide for slide in made if slide.kind == "predict"]
    assert len(asked) == len(re.findall(r"(?<!- )\*\*Predict\s+first", text))
    for slide in asked:
        assert "<img" not in slide.main

    stored = [
        output["data"]["image/png"].replace("\n", "")
        for cell in cells_of(name)
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    shown = re.findall(r"data:image/png;base64,([^\"]+)", "".join(slide.main for slide in made))
    assert shown == stored


@pytest.mark.parametrize("name", LESSONS)
def test_what_the_lesson_says_is_on_a_slide_or_in_the_notes(name):
    lesson = outline.lesson(ROOT, name)
    made = deck(lesson)
    notes = {text for slide in made for text in slide.notes}
    for section in lesson.sections:
        for each in section.experiments:
            for text in each.items:
                if isinstance(text, str) and not text.startswith(("![", "|", "$$", "```")):
                    assert text in notes


def test_a_question_comes_before_its_picture_with_the_finding_below(tmp_path):
    made = made_up(
        tmp_path,
        new_markdown_cell(
            "# 07 T\n\n## 1 · One\n\nSet-up.\n\nTwo run. **Predict first:** who wins?"
        ),
        new_code_cell("1", outputs=[picture()]),
        new_code_cell("2", outputs=[new_output("stream", text="a   1\nb   2\n")]),
        new_code_cell(
            "ck.prove()", metadata={"tags": ["claim"]}, outputs=[new_output("stream", text="✔ so")]
        ),
        new_markdown_cell("**It wins by 3.** For this reason."),
    )
    assert [slide.kind for slide in made] == ["title", "predict", "picture", "printed"]
    assert made[1].notes == ["Set-up."]
    assert made[1].main.index("Two run.") < made[1].main.index("Who wins?")
    assert made[2].caption == "<strong>It wins by 3.</strong>"
    assert made[2].notes == ["**It wins by 3.** For this reason."]
    assert "✔ so" in made[3].notes[0]
    assert 'alt="A dot."' in made[2].main


def test_a_finding_goes_to_the_last_picture_that_nothing_is_said_about(tmp_path):
    made = made_up(
        tmp_path,
        new_markdown_cell("# 07 T\n\n## 1 · One\n\nSet-up."),
        new_code_cell("1", outputs=[picture(alt="first")]),
        new_code_cell("2", outputs=[picture(alt="second")]),
        new_markdown_cell("The second is an aside. More.\n\n**The first has 3.**"),
    )
    captions = {re.search('alt="(.+?)"', s.main)[1]: s.caption for s in made if s.caption}
    assert captions == {
        "first": "<strong>The first has 3.</strong>",
        "second": "The second is an aside.",
    }


def test_no_finding_stands_above_its_question(tmp_path):
    drawing = f"![Two lines.](data:image/svg+xml;base64,{PIXEL})"
    made = made_up(
        tmp_path,
        new_markdown_cell(f"# 07 T\n\n## 1 · One\n\n{drawing}\n\n**Predict first:** who wins?"),
        new_code_cell("1"),
        new_markdown_cell("**The second wins by 3.** For this reason."),
    )
    assert [slide.kind for slide in made] == ["title", "picture", "predict", "say"]
    assert [slide.caption for slide in made] == ["", "", "", ""]
    assert "The second wins" in made[-1].main


def test_a_long_list_takes_several_slides_and_keeps_its_numbers(tmp_path):
    rules = "\n".join(f"{n}. {'word ' * 60}" for n in range(1, 6))
    made = made_up(tmp_path, new_markdown_cell(f"# 07 T\n\n## What to do tomorrow\n\n{rules}"))
    pages = [slide.main for slide in made if slide.kind == "list"]
    assert len(pages) > 1
    assert "".join(pages).count("<li>") == 5
    assert [re.findall(r'start="(\d)"', page) for page in pages][1:] == [["3"], ["5"]]


def test_a_page_needs_nothing_from_outside(tmp_path):
    out = tmp_path / "slides.html"
    assert slides.write(ROOT, "09", out) > 20
    text = out.read_text(encoding="utf-8")
    page = Page(text)
    assert page.outside == []
    assert page.tags.count("section") == page.tags.count("aside") + text.count("</div></section>")
    assert "math" in page.tags
    assert "reveal.js" in text.split("<body>")[1]
    assert "MIT licensed" in text, "the licence travels with the code"


def test_a_text_cannot_break_out_of_its_slide(tmp_path):
    made = made_up(
        tmp_path,
        new_markdown_cell(
            "# 07 <b>\n\n## 1 · </section> & co\n\n**Predict first:** `<img src=x>`?"
        ),
        new_code_cell(
            "1",
            outputs=[
                new_output("stream", text="</aside>\n<script>x</script>"),
                picture(alt='a " quote'),
            ],
        ),
    )
    page = Page(slides.page("</title>", made))
    assert page.tags.count("section") == len(made)
    assert page.tags.count("script") == 1
    assert page.outside == []


def test_formulas_are_drawn_without_a_script():
    for formula in (r"\frac{1}{2}", r"\hat v_t", r"\sqrt{1 - \beta^t}", r"\operatorname{Var}(x)"):
        assert "<math" in html(f"${formula}$")
        assert "\\" not in html(f"$${formula}$$")


@pytest.mark.parametrize("name", LESSONS)
def test_the_formulas_of_the_lessons_hold_nothing_unknown(name):
    for cell in cells_of(name):
        if cell["cell_type"] == "markdown":
            made = html("".join(cell["source"]))
            assert not re.search(r"<m\w+>[^<]*\\", made)


def test_without_reveal_js_the_command_says_what_to_install(tmp_path, monkeypatch, capsys):
    import importlib.metadata

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(CourseError, match="sphinx-revealjs"):
        slides.write(ROOT, "09", tmp_path / "x.html")
    assert list(tmp_path.iterdir()) == []
    assert main(["class", "slides", "77", "--out", str(tmp_path / "x.html")]) == 2
    assert "No notebook '77'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    quiet = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(quiet))
        yield chromium
        chromium.close()


in_a_browser = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here to see slides with"),
]
OVER = """() => {
  const page = document.querySelector('section.present .page');
  const smallest = Math.min(1, parseFloat(getComputedStyle(page).fontSize)
                               / parseFloat(page.dataset.size));
  const children = [...page.children].map(each => each.getBoundingClientRect());
  return {
    over: Math.max(page.scrollHeight - page.clientHeight, page.scrollWidth - page.clientWidth),
    below: Math.max(...children.map(each => each.bottom)) - innerHeight,
    smallest,
    flat: [...page.querySelectorAll('img')].filter(each => each.clientHeight < 200).length,
  };
}"""


def opened(browser, path, address=""):
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.context.set_default_timeout(1000 * PATIENCE)  # also for what the page opens
    page.trouble = []
    page.on("pageerror", lambda error: page.trouble.append(str(error)))
    page.on("console", lambda m: page.trouble.append(m.text) if m.type == "error" else None)
    page.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith(("file:", "data:", "blob:"))
            else page.trouble.append(asked.url)
        ),
    )
    page.goto(path.as_uri() + address)
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    return page


class TestInABrowser:
    pytestmark = in_a_browser

    @pytest.mark.parametrize("name", LESSONS)
    def test_no_slide_runs_over_at_1280_by_720(self, browser, tmp_path, name):
        count = slides.write(ROOT, name, tmp_path / "slides.html")
        page = opened(browser, tmp_path / "slides.html")
        assert page.evaluate("Reveal.getTotalSlides()") == count
        for number in range(count):
            page.evaluate(f"Reveal.slide({number})")
            seen = page.evaluate(OVER)
            assert seen["over"] <= 1, (name, number)
            assert seen["below"] <= 1, (name, number)
            assert seen["smallest"] >= 0.7, (name, number)
            assert seen["flat"] == 0, (name, number)
        assert page.trouble == []
        page.close()

    def test_other_fonts_make_the_letters_smaller_and_no_slide_runs_over(self, browser, tmp_path):
        path = tmp_path / "slides.html"
        slides.write(ROOT, "09", path)
        wide = path.read_text(encoding="utf-8").replace("font-size: 30px;", "font-size: 44px;")
        path.write_text(wide, encoding="utf-8")
        page = opened(browser, path)
        sizes = []
        for number in range(page.evaluate("Reveal.getTotalSlides()")):
            page.evaluate(f"Reveal.slide({number})")
            seen = page.evaluate(OVER)
            sizes.append(seen["smallest"])
            assert seen["over"] <= 1, number
        assert min(sizes) < 1
        page.close()

    def test_it_prints_a_page_for_each_slide(self, browser, tmp_path):
        count = slides.write(ROOT, "09", tmp_path / "slides.html")
        page = opened(browser, tmp_path / "slides.html", "?print-pdf")
        page.wait_for_function("document.querySelectorAll('.pdf-page').length > 0")
        printed = page.pdf(prefer_css_page_size=True, print_background=True)
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) == count
        assert page.trouble == []
        page.close()

    def test_the_speakers_view_shows_the_notes(self, browser, tmp_path):
        slides.write(ROOT, "09", tmp_path / "slides.html")
        page = opened(browser, tmp_path / "slides.html")
        page.evaluate("Reveal.slide(4)")
        notes = "document.querySelector('section.present aside.notes').textContent"
        with page.expect_popup() as popup:
            page.keyboard.press("s")
        shown = "document.querySelector('.speaker-controls-notes .value').textContent"
        popup.value.wait_for_function(f"{shown}.trim()")
        assert popup.value.evaluate(shown).split() == page.evaluate(notes).split()
        popup.value.close()
        page.close()
