"""The lab as a learner sees it: a real JupyterLab in Chromium, driven by Playwright.

Skipped, with the reason, where there is no Chromium; `python -m coursekit test --browser` asks for
these tests alone.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from PIL import Image

from coursekit.base.environment import ROOT
from coursekit.course.notebooks import convert
from tests.patience import PATIENCE

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), ""
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here to see the lab with"),
]
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
SMALL = """\
# %% [markdown]
# # A small lesson
#
# ## First heading
# ![A dot.](../figures/dot.svg)

# %%
import coursekit as ck
lab = ck.setup(seed=42)
ex = ck.exercise(3)

# %% tags=["helper"]
def draw(height):
    return ck.plotting.lines({"line": [0.0, height]}, title="A line", xlabel="x", ylabel="y")

ck.widgets.explore(draw, height=(0.1, 10.0, 1.0, "log"))

# %% tags=["claim"]
ck.prove("One is less than two", True, "1 < 2")

# %% [markdown]
# ## Second heading

# %%
ex.elu(lambda z, alpha=1.0: z)

# %%
ex.hint("elu")
"""
DOT = '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="20"><circle r="9"/></svg>'
START = """\
from pathlib import Path
from coursekit.course.lab.command import open_lab
open_lab(Path({root!r}), browser=False, port={port}, offline=True, fresh=(), solutions=False)
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A lab with the first lesson and a small one; yields its address with the token."""
    root = tmp_path_factory.mktemp("learner")
    (root / "notebooks").mkdir()
    (root / "sources" / "figures").mkdir(parents=True)
    (root / "sources" / "figures" / "dot.svg").write_text(DOT)
    shutil.copy(ROOT / "notebooks" / "00_start_here.ipynb", root / "notebooks")
    nb = convert.lesson(SMALL, "sources/notebooks/01_small.py", root / "sources" / "figures")
    nbformat.write(nb, root / "notebooks" / "01_small.ipynb")
    here = dict(os.environ) | {"COURSEKIT_PROFILE": "quick", "PYTHONPATH": str(ROOT)}
    for name in ("JUPYTERLAB_SETTINGS_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        here[name] = str(root / name.lower())  # nothing of this machine's user
    here.pop("COURSEKIT_HEADLESS", None)
    lab = subprocess.Popen(
        [sys.executable, "-c", START.format(root=str(root), port=free_port())],
        env=here, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for line in lab.stdout:
            if found := re.search(r"http://\S+", line):
                yield found[0]
                break
        else:
            pytest.fail("the lab ended without an address")
    finally:
        lab.send_signal(signal.SIGINT)
        lab.wait(PATIENCE)
        lab.stdout.close()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture(params=["JupyterLab Light", "JupyterLab Dark"])
def page(browser, address, request):
    """A page in one of the two themes; at the end its console holds no error.

    Nor has it asked whether JupyterLab should be built, which would ask the learner in turn.
    """
    errors, asked = [], []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(1000 * PATIENCE)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda m: errors.append(told(m)) if m.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    set_up(page, address, "apputils-extension:themes", theme=request.param)
    set_up(page, address, "docmanager-extension:plugin", autosave=False)  # the next finds it unrun
    yield page
    assert page.evaluate("document.body.dataset.jpThemeName") == request.param
    page.close()
    end_kernels(browser, address)
    assert [text for text in errors if "favicon" not in text] == []
    assert any("/api/kernelspecs" in url for url in asked)
    assert not any("/api/build" in url for url in asked)


def told(message):
    """Return what the console says, and of what: "Failed to load resource" alone names none."""
    return f"{message.text} ({message.location.get('url', '')})"


def api(address, path):
    base, token = re.fullmatch(r"(http://[^/]+)/lab/.*token=(\w+)", address).groups()
    return f"{base}/{path}?token={token}"


def end_kernels(browser, address):
    """End what the page started: the next one gets a kernel of its own."""
    context = browser.new_context()
    for session in context.request.get(api(address, "api/sessions")).json():
        context.request.delete(api(address, f"api/sessions/{session['id']}"))
    context.close()


def set_up(page, address, plugin, **settings):
    """Write it into the settings, as the menu does."""
    answer = page.request.put(
        api(address, f"lab/api/settings/@jupyterlab/{plugin}"),
        data=json.dumps({"raw": json.dumps(settings)}),
    )
    assert answer.ok, answer.text()


def open_notebook(page, address, name):
    page.goto(re.sub(r"/tree/[^?]*", f"/tree/notebooks/{name}", address) + "&reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']")
    for _ in range(600):  # the indicator says so before there is a kernel; the server knows
        kernels = [each["kernel"] for each in page.request.get(api(address, "api/sessions")).json()]
        if any(k["connections"] and k["execution_state"] == "idle" for k in kernels):
            return
        page.wait_for_timeout(500)
    pytest.fail("the notebook got no kernel")


def run_all(page):
    prompts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')]"
    said = f"{prompts}.map(prompt => prompt.textContent.trim())"
    page.locator(".jp-Notebook .jp-Cell").first.click()
    for _ in range(60):  # the menu does nothing until the notebook has become the current one
        assert page.locator(".jp-Dialog").all_inner_texts() == [], "nothing is asked of a learner"
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.wait_for_timeout(1000)
        if set(page.evaluate(said)) != {"[ ]:"}:
            break
    page.wait_for_function(f"{said}.every(text => /\\[\\d+\\]/.test(text))")


def darkest_and_lightest(png: bytes) -> tuple[float, float]:
    """Return the luminance of a picture's ink and of its ground, each from 0 to 1."""
    grey = np.asarray(Image.open(io.BytesIO(png)).convert("L"), float) / 255
    return float(np.quantile(grey, 0.001)), float(np.median(grey))


@pytest.mark.parametrize("page", ["JupyterLab Dark"], indirect=True)
def test_the_first_lesson_opens_and_runs_to_its_end(page, address):
    open_notebook(page, address, "00_start_here.ipynb")
    run_all(page)
    assert (
        page.locator(
            ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']"
        ).count()
        == 0
    )
    assert page.locator(".jp-RenderedImage img").count() > 0


def test_a_lesson_shows_what_it_should_and_folds_the_rest(page, address):
    open_notebook(page, address, "01_small.ipynb")
    run_all(page)
    folded = page.locator(".jp-CodeCell .jp-Cell-inputWrapper:has(.jp-Placeholder)")
    assert folded.count() == 2, "the helper and the claim"
    page.wait_for_selector("text=✔ One is less than two: 1 < 2")
    drawing = page.locator("img[alt='A dot.']")
    assert drawing.evaluate("image => image.naturalWidth") == 80, "the drawing is seen"

    picture, slider = page.locator(".jp-RenderedImage img").first, page.locator(".noUi-handle")
    before = picture.get_attribute("src")
    for _ in range(60):  # a key that comes before the kernel listens is lost
        slider.press("ArrowUp")
        page.wait_for_timeout(500)
        if picture.get_attribute("src") != before:
            break
    else:
        pytest.fail("the slider does not change its picture")

    for said in ("wrong", "hint"):
        box = page.locator(f".jp-RenderedHTMLCommon b:has-text('{said}')").first
        box.wait_for()
        colors = box.evaluate(
            "e => [getComputedStyle(e.parentElement.children[1] || e).color,"
            " getComputedStyle(document.querySelector('.jp-Notebook')).backgroundColor]"
        )
        ink, ground = (sum(map(int, re.findall(r"\d+", color)[:3])) / 765 for color in colors)
        assert abs(ink - ground) > 0.4, f"{said} is read on the page's ground: {colors}"


def test_pictures_keep_their_own_ground_in_both_themes(page, address):
    open_notebook(page, address, "01_small.ipynb")
    run_all(page)
    ink, ground = darkest_and_lightest(page.locator(".jp-RenderedImage img").first.screenshot())
    assert ground > 0.9
    assert ink < 0.3


def test_the_table_of_contents_leads_to_a_heading(page, address):
    open_notebook(page, address, "01_small.ipynb")
    page.locator(".jp-SideBar li[title^='Table of Contents']").click()
    entry = page.locator(".jp-TableOfContents-content >> text=Second heading")
    entry.click()
    page.wait_for_function(
        "document.querySelector('.jp-Cell.jp-mod-active')?.textContent.includes('Second heading')"
    )
