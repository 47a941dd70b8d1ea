"""README and the maps of the course say what is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from coursekit.study import load_report
from coursekit.study.tables import differences_table, results_table

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _picture_tool():
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "readme_picture.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def test_the_readmes_pictures_are_those_stored_in_the_notebooks():
    tool = _picture_tool()
    for name in tool.PICTURES:
        assert f"(docs/{name})" in README
        shown = (ROOT / "docs" / name).read_bytes()
        assert shown == tool.picture(name), "run: python tools/readme_picture.py"


def test_the_readmes_tables_are_those_of_the_courses_own_study():
    rows = load_report().rows()
    assert results_table(rows) in README
    assert differences_table(rows) in README


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
