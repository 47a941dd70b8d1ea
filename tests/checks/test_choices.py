"""Questions with options: a right answer passes in every form, a wrong choice gets its reason."""

import pytest

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.choices import all_letters, letter_for_each, one_letter

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
