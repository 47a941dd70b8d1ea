"""README and the maps of the course say what is there."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import numpy as np

from coursekit.experiments.study import load_report
from coursekit.experiments.study.costs import whole_study_seconds
from coursekit.experiments.study.tables import differences_table, results_table

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


def test_what_the_readme_says_of_the_study_is_what_it_found():
    report, said = load_report(), " ".join(README.split())
    runs = {name: found["runs"] for name, found in report.summary["variants"].items()}

    def mean(variant, number):
        return 100 * np.mean([run[number] for run in runs[variant]])

    assert f"comes to {mean('combined', 'test_accuracy'):.1f}%" in said
    plain, mc = mean("alpha_dropout", "ece"), mean("alpha_dropout", "mc_ece")
    assert f"calibration error {plain:.1f} points, with it {mc:.1f}" in said
    found = {(new, old): each for new, old, each in report.differences()}
    for pair in (("alpha_dropout", "selu"), ("mc_dropout", "alpha_dropout")):
        assert not found[pair].is_clear(), "the README says that they show no gain"
    assert {"batch_norm", "one_cycle"} == set(
        sorted(
            ("batch_norm", "selu", "alpha_dropout", "one_cycle"),
            key=lambda name: found[name, "baseline"].mean,
        )[-2:]
    ), "the README says that these two bring most"
    late = mean("baseline", "peak_test_accuracy") - mean("baseline", "test_accuracy")
    assert 0.5 < late < 1.5, "the README says: a point"
    workers = report.summary["variants"]["combined"]["pace"]["workers"][0]
    assert f"take {whole_study_seconds(report.summary) / workers / 60:.0f} minutes" in said


def test_every_link_of_the_documents_leads_to_a_file():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            there = (page.parent / target).exists()
            assert target.startswith("https://") or there, f"{page.name}: {target}"


def test_every_built_notebook_is_on_the_readmes_map():
    for kind in ("notebooks", "exercises", "solutions"):
        for path in (ROOT / kind).glob("*.ipynb"):
            assert f"({kind}/{path.name})" in README, f"{kind}/{path.name} is missing in README.md"


def test_each_term_of_the_glossary_stands_in_the_lesson_it_names():
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \| \[\d\d\]\(\.\./notebooks/(\w+)\.ipynb\) \|$",
        (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(rows) >= 28
    for term, korean, lesson in rows:
        text = (ROOT / "sources" / "notebooks" / f"{lesson}.py").read_text(encoding="utf-8")
        words = re.sub(r"[\s#]+", " ", text)  # a term may go over the end of a line
        assert korean in words, f"{term} ({korean}) is not in lesson {lesson}"


def test_each_lesson_leads_to_its_exercise_and_on_to_the_next_lesson():
    lessons = sorted((ROOT / "sources" / "notebooks").glob("*.py"))
    after = [*(f"({path.stem}.ipynb)" for path in lessons[1:]), "(../exercises/14_"]
    for path, on in zip(lessons[1:], after[1:], strict=True):
        practise = path.read_text(encoding="utf-8").split("## Now practise")[1]
        for target in (f"(../exercises/{path.stem}.ipynb)", on):
            assert target in practise, f"{path.name} does not lead to {target}"


def computed(source):
    """Return the minutes with the code that a built lesson of the second edition says."""
    built = json.loads((ROOT / source.parent.name / f"{source.stem}.ipynb").read_text("utf-8"))
    values = [cell["metadata"].get("coursekit", {}).get("values", {}) for cell in built["cells"]]
    return next((v["minutes.with_code"] for v in values if "minutes.with_code" in v), None)


def test_the_maps_give_the_minutes_that_the_notebooks_say():
    first = (ROOT / "sources" / "notebooks" / "00_start_here.py").read_text(encoding="utf-8")
    for path in sorted((ROOT / "sources").glob("*/*.py")):
        if path == ROOT / "sources" / "notebooks" / "00_start_here.py":
            continue
        text = path.read_text(encoding="utf-8")
        minutes = computed(path) or re.search(
            r"(?:In about|[Aa]llow) (\d+)\s+(?:# )?minutes", text
        ).group(1)
        row = re.search(rf"^\|.*/{path.stem}\.ipynb.*\| (.+) \|$", README, re.MULTILINE).group(1)
        assert minutes == row.split(" + ")[path.parent.name == "exercises" and "+" in row], path
        on_map = re.search(rf"^# \| .*{path.stem}\.ipynb.* \| (\d+) \|$", first, re.MULTILINE)
        if path.parent.name == "notebooks" or path.name[:2] in ("14", "15"):
            assert on_map.group(1) == minutes, f"lesson 00 on {path.name}"


def test_a_lesson_computes_no_longer_than_the_readme_says():
    numbers, said = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}, " ".join(README.split())
    most = numbers[re.search(r"A lesson takes up to (\w+) minutes of computing", said).group(1)]
    quick = numbers[re.search(r"`COURSEKIT_PROFILE=quick` makes it up to (\w+),", said).group(1)]
    measured = json.loads((ROOT / "sources" / "plans" / "measured.json").read_text("utf-8"))
    for name, lesson in measured["lessons"].items():
        assert sum(lesson["seconds"].values()) < 60 * quick, name
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        built = json.loads(path.read_text(encoding="utf-8"))["metadata"]["coursekit"]
        assert built["profile"] == "standard", path.name
        assert sum(built["seconds"].values()) < 60 * most, path.name


def test_each_point_of_the_map_is_taught_in_a_section_that_exists():
    text = (ROOT / "docs" / "authors" / "curriculum.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d\d) \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)
    assert {number for number, _ in rows} == {f"{n:02}" for n in range(1, 16)}
    for number, section in rows:
        sources = (ROOT / "sources").glob(f"*/{number}_*.py")
        headings = [
            line.lstrip("# ")
            for source in sources
            for line in source.read_text(encoding="utf-8").splitlines()
            if line.startswith("# ##")
        ]
        assert section in headings, f"curriculum.md: lesson {number} has no section {section!r}"


def test_links_between_notebooks_lead_to_a_notebook():
    for source in (ROOT / "sources").glob("*/*.py"):
        for target in re.findall(r"\]\(([\w./]+\.ipynb)\)", source.read_text(encoding="utf-8")):
            built = (ROOT / source.parent.name / target).resolve()
            assert built.exists(), f"{source.name} links to {target}, which is not built"
