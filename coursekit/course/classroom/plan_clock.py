"""The clock of a lesson: how many minutes each section gets to talk, to run and to discuss.

A section's natural time is its words at 100 a minute (its code and pictures are shown meanwhile),
the measured seconds of its cells, and three minutes for each question. Running is never shortened;
where all does not fit, sections are skipped and the others' talk and discussion shrink in
proportion. What is left goes to the exercise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coursekit.course.classroom import outline
from coursekit.course.classroom.outline import Outline, Section
from coursekit.errors import ArgumentError

WORDS_A_MINUTE = 100
QUESTION = 3  # minutes: predict alone, compare in pairs, say why
FASTEST = 0.8  # a section that got less than this share of its natural time would be rushed
_LONG = 60  # minutes; from here on the exercise belongs to the lesson
_TO_PRACTISE = 15  # minutes, at least, in a long one


@dataclass(frozen=True)
class Row:
    """One line of the clock: whole minutes; a skipped section has none."""

    title: str
    talk: int = 0
    run: int = 0
    discuss: int = 0
    note: str = ""

    @property
    def minutes(self) -> int:
        """All its minutes."""
        return self.talk + self.run + self.discuss


def clock(
    lesson: Outline, total: int, seconds: Mapping[str, float], late: Sequence[str] = ()
) -> list[Row]:
    """Return the lines of a clock of `total` minutes, one for each section, in their order.

    Args:
        lesson: what is taught.
        total: whole minutes; the lines add up to it exactly.
        seconds: of each section's cells, by its title.
        late: titles or names of the sections that are skipped first.

    Raises ArgumentError where the minutes do not even hold the frame and one section.
    """
    frame = _frame(lesson, total, seconds)
    spare = total - sum(row.minutes for row in frame.values())
    for_sections = spare - (_TO_PRACTISE if total >= _LONG else 0)
    natural = {each.title: _natural(each, seconds) for each in lesson.teaching()}
    kept = _kept(lesson, natural, late, for_sections)
    fitted = _fitted({title: natural[title] for title in kept}, for_sections)
    if fitted is None:
        raise ArgumentError(
            f"{total} minutes are too few for lesson {lesson.name[:2]}: "
            f"its frame alone takes {total - spare}; expected 45 or 90."
        )
    left = spare - sum(row.minutes for row in fitted.values())
    rows = []
    for section in lesson.sections:
        if section.name == outline.PRACTISE:
            note = "the exercise, in pairs" if left >= 5 else "the exercise is for home"
            rows.append(Row(section.title, run=left, note=note))
        elif section.title in frame:
            rows.append(frame[section.title])
        else:
            rows.append(fitted.get(section.title, Row(section.title, note="skip: read at home")))
    return rows


def _frame(lesson: Outline, total: int, seconds: Mapping[str, float]) -> dict[str, Row]:
    """Return the lines around the teaching; the exercise is not among them."""
    long = total >= _LONG
    wanted = {
        outline.OPENING: Row("", talk=3 if long else 2, discuss=2 if long else 1),
        outline.PITFALLS: Row("", talk=2 if long else 1),
        outline.TOMORROW: Row("", talk=1),
        outline.RECAP: Row("", discuss=3 if long else 2, note="each pair says one thing"),
        outline.READING: Row("", note="at home"),
    }
    return {
        section.title: Row(
            section.title,
            wanted[section.name].talk,
            _whole(seconds.get(section.title, 0) / 60),
            wanted[section.name].discuss,
            wanted[section.name].note,
        )
        for section in lesson.sections
        if section.name in wanted
    }


def _natural(section: Section, seconds: Mapping[str, float]) -> Row:
    questions = sum(bool(each.question) for each in section.experiments)
    return Row(
        section.title,
        talk=max(1, _whole(section.words / WORDS_A_MINUTE)),
        run=_whole(seconds.get(section.title, 0) / 60),
        discuss=max(1, QUESTION * questions),
    )


def _kept(
    lesson: Outline, natural: Mapping[str, Row], late: Sequence[str], minutes: int
) -> list[str]:
    """Return the titles that stay: first go those named, then optional ones, then the last."""
    titles = list(natural)
    named = [found.title for name in late if (found := lesson.section(name))]
    optional = [title for title in titles if "optional" in title.lower()]
    for title in [*named, *optional, *reversed(titles)]:
        if sum(natural[each].minutes for each in titles) * FASTEST <= minutes:
            break
        if title in titles and len(titles) > 1:
            titles.remove(title)
    return titles


def _fitted(rows: Mapping[str, Row], minutes: int) -> dict[str, Row] | None:
    """Shrink talk and discussion where the rows take too long; None where even that is too much."""
    if sum(row.minutes for row in rows.values()) <= minutes:
        return dict(rows)
    to_share = minutes - sum(row.run for row in rows.values())
    wishes = [wish for row in rows.values() for wish in (row.talk, row.discuss)]
    if to_share < len(wishes):
        return None
    shares = iter(share(to_share, wishes))
    return {
        title: Row(title, next(shares), row.run, next(shares), row.note)
        for title, row in rows.items()
    }


def share(minutes: int, wishes: Sequence[int]) -> list[int]:
    """Share whole minutes in proportion to wishes, at least 1 each, by the largest remainders.

    >>> share(10, [2, 4, 8])
    [2, 3, 5]
    """
    rest = minutes - len(wishes)
    extra = [wish - 1 for wish in wishes]
    in_all = sum(extra) or 1
    exact = [rest * each / in_all for each in extra]
    given = [math.floor(each) for each in exact]
    order = sorted(range(len(wishes)), key=lambda i: given[i] - exact[i])
    for i in order[: rest - sum(given)]:
        given[i] += 1
    return [1 + each for each in given]


def _whole(minutes: float) -> int:
    return math.floor(minutes + 0.5)
