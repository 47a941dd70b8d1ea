"""`class check`: one traffic light before the day, with a sentence for all that is not green."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat

from coursekit.base import machine
from coursekit.course.bootstrap import doctor
from coursekit.course.bootstrap.doctor import Finding
from coursekit.course.classroom import plan_measured
from coursekit.course.classroom.check_training import SECONDS, Training, train
from coursekit.course.classroom.plan_measured import Measured
from coursekit.course.notebooks.catalogue import built

GREEN, AMBER, RED = "green", "amber", "red"
_SERVER = 300e6  # bytes: JupyterLab itself, beside the kernel of one notebook
_COMFORT = 1.5  # times what is needed: a browser and a second notebook
_SLOW = 2.0  # times the seconds of the plans
_SUMMARY = {
    GREEN: "the day can begin",
    AMBER: "the course runs here; read what is amber above before the day",
    RED: "mend what is red above, then run this again",
}


@dataclass(frozen=True)
class Light:
    """One thing looked at: its colour, what was found, and one sentence on what to do."""

    name: str
    color: str
    found: str
    advice: str = ""


def report(root: Path, show: Callable[[Light], None]) -> int:
    """Look at everything, show each light as it is known; return 1 if one is red, else 0."""
    lights = []
    for light in examine(root):
        show(light)
        lights.append(light)
    show(Light("all in all", worst(lights), _SUMMARY[worst(lights)]))
    return int(worst(lights) == RED)


def worst(lights: Sequence[Light]) -> str:
    """Return the colour that counts.

    >>> worst([Light("a", "green", ""), Light("b", "amber", "")])
    'amber'
    """
    there = {light.color for light in lights}
    return next((color for color in (RED, AMBER) if color in there), GREEN)


def examine(root: Path) -> Iterator[Light]:
    """Yield the lights, the quick ones first: installation, data, memory, ten seconds' training."""
    measured = plan_measured.read(root)
    yield from installation(doctor.examine(), data_used(root))
    yield memory(machine.total_memory(), plan_measured.largest(root))
    yield training(train, measured)


def data_used(root: Path) -> set[str]:
    """Return the names of the data sets that the lessons and solutions were built with."""
    used: set[str] = set()
    for notebook in built(root, ["notebooks", "solutions"]):
        note = nbformat.read(notebook.path, as_version=4).metadata.get("coursekit", {})
        used |= set(note.get("data", {}))
    return used


def installation(findings: Iterable[Finding], used: set[str]) -> Iterator[Light]:
    """Yield a light for each finding of the doctor that is not in order, and one for the others.

    Memory has a light of its own; a data set that no notebook uses has none.
    """
    fine = 0
    for finding in findings:
        kind, _, data = finding.name.partition(" ")
        if finding.name == "memory" or (kind == "data" and data and data not in used):
            continue
        if finding.wrong:
            yield Light(finding.name, RED, finding.value, finding.advice)
        elif finding.advice:
            yield Light(finding.name, AMBER, finding.value, finding.advice)
        elif kind == "data":
            yield Light(finding.name, GREEN, finding.value)
        else:
            fine += 1
    yield Light("installation", GREEN, f"{fine} things that the doctor looks at are in order")


def memory(total: float | None, largest: tuple[str, float] | None) -> Light:
    """Compare the memory that there is (bytes) with the largest notebook's measured peak (MB)."""
    if largest is None or total is None:
        what = "how much there is" if total is None else "what a lesson needs"
        advice = "watch the memory while you run the lesson of the day once"
        return Light("memory", AMBER, f"it is not known {what}", advice)
    name, peak = largest
    needed = peak * 1e6 + _SERVER
    found = f"{total / 1e9:.1f} GB; {name}, the largest, and JupyterLab need {needed / 1e9:.1f} GB"
    if total < needed:
        return Light("memory", RED, found, "give each learner more memory, or use other machines")
    if total < _COMFORT * needed:
        advice = "keep one notebook open at a time: Kernel, Shut Down All Kernels before the next"
        return Light("memory", AMBER, found, advice)
    return Light("memory", GREEN, found)


def training(trains: Callable[[], Training], measured: Measured) -> Light:
    """Train for ten seconds; compare the pace with that of the machine of the plans."""
    try:
        seen = trains()
    except Exception as error:  # whatever goes wrong here would go wrong in front of the class
        found = f"it stops: {type(error).__name__}: {error}".splitlines()[0]
        return Light("training", RED, found, "run: python3 -m coursekit doctor")
    found = (
        f"{SECONDS:.0f} seconds, {seen.pace:,.0f} steps a second, "
        f"loss {seen.first_loss:.2f} to {seen.last_loss:.2f}"
    )
    if not seen.learns:
        advice = "the net does not learn; remove .venv and run python3 -m coursekit lab"
        return Light("training", RED, found, advice)
    if measured.pace is None:
        return Light("training", GREEN, found)
    times = measured.pace / seen.pace
    found += f"; cells take about {times:.1f} times the seconds of the plans"
    if times > _SLOW:
        advice = "use the profile quick and start long cells before you speak about them"
        return Light("training", AMBER, found, advice)
    return Light("training", GREEN, found)
