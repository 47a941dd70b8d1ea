"""README and the maps of the course say what is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _picture_tool():
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "readme_picture.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def test_the_readmes_picture_is_the_one_stored_in_the_lesson():
    tool = _picture_tool()
    assert tool.PICTURE.read_bytes() == tool.picture(), "run: python tools/readme_picture.py"


def test_every_link_of_the_documents_leads_to_a_file():
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("https://") or (ROOT / target).exists(), f"{name}: {target}"


def test_every_built_notebook_is_on_the_readmes_map():
    for kind in ("notebooks", "exercises", "solutions"):
        for path in (ROOT / kind).glob("*.ipynb"):
            assert f"({kind}/{path.name})" in README, f"{kind}/{path.name} is missing in README.md"


def test_links_between_notebooks_lead_to_a_notebook():
    for source in (ROOT / "sources").glob("*/*.py"):
        for target in re.findall(r"\]\(([\w./]+\.ipynb)\)", source.read_text(encoding="utf-8")):
            built = (ROOT / source.parent.name / target).resolve()
            assert built.exists(), f"{source.name} links to {target}, which is not built"
