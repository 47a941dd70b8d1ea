"""Questions with options: a right answer passes in every form, a wrong choice gets its reason."""

import re

import pytest

from coursekit.checks._ex14_options import ANSWERS
from coursekit.checks.engine.runner import run
from coursekit.checks.engine.tasks import TaskList, load
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.choices import all_letters, letter_for_each, one_letter, question

OPTIONS = {"a": None, "b": "Water is wet.", "c": None, "d": "Fire is hot."}
CASES = {"rain": {"wet": None, "dry": "Water is wet."}, "sun": {"hot": None, "warm": None}}


@pytest.mark.parametrize("answer", ["a", "A", " c ", ["a"], ("c",), {"C"}])
def test_one_right_letter_passes_in_every_form(answer):
    one_letter(answer, OPTIONS)


@pytest.mark.parametrize("answer", ["ac", "c, a", "A+C", ["a", "c"], {"c", "a"}, ["ac"], "aca"])
def test_all_right_letters_pass_in_every_form(answer):
    all_letters(answer, OPTIONS)


@pytest.mark.parametrize(
    ("check", "answer", "reason"),
    [
        (one_letter, "b", "b: Water is wet."),
        (one_letter, "ac", "names 2 options"),
        (one_letter, "e", "holds 'e'; the options are a, b, c, d"),
        (one_letter, "", "holds no letter"),
        (one_letter, 3, "the number 3; expected letters in quotes"),
        (one_letter, [1], "a list of 1; expected letters in quotes"),
        (one_letter, {"a": 1}, "a dict of 1; expected letters in quotes"),
        (all_letters, "abcd", "b: Water is wet."),
        (all_letters, "acd", "d: Fire is hot."),
        (all_letters, "c", "something is missing"),
        (all_letters, None, "None; expected letters in quotes"),
    ],
)
def test_every_other_answer_gets_its_reason(check, answer, reason):
    with pytest.raises(Wrong, match=".*".join(reason.split("."))):
        check(answer, OPTIONS)


@pytest.mark.parametrize("answer", [{"rain": "wet", "sun": "WARM "}, {"sun": "hot", "rain": "Wet"}])
def test_a_right_choice_for_each_case_passes(answer):
    letter_for_each(answer, CASES)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"rain": "dry", "sun": "hot"}, "rain: Water is wet."),
        ({"rain": "wet"}, "The entry 'sun' is gone"),
        ({"rain": "wet", "sun": ...}, "The entry 'sun' still holds"),
        ({"rain": "wet", "sun": "cold"}, "sun: expected one of hot, warm; got 'cold'"),
        ({"rain": 7, "sun": "hot"}, "rain: expected one of wet, dry; got the number 7"),
        ("wet", "Expected the dict of the notebook"),
    ],
)
def test_the_first_case_that_is_wrong_is_named(answer, reason):
    with pytest.raises(Wrong) as caught:
        letter_for_each(answer, CASES)
    assert str(caught.value).startswith(reason)


def test_a_right_choice_is_told_the_model_answer_and_a_wrong_one_is_not():
    tasks = TaskList(99, "The weather")
    question(tasks, "rain", one_letter, OPTIONS, title="Rain", hints=("Go out.",),
             model_answer="Rain is water that falls.")  # fmt: skip
    assert "Rain is water that falls." in repr(run(tasks["rain"], ("a",)))
    assert "Rain is water that falls." not in repr(run(tasks["rain"], ("b",)))


def test_every_model_answer_has_a_few_sentences():
    told = {task.name: task.model_answer for task in load(14) if task.model_answer}
    assert set(told) == set(ANSWERS)
    for name, answer in told.items():
        assert 2 <= len(re.findall(r"[.:] ", answer + " ")) <= 6, name
