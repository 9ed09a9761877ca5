"""Dynamic prompts say one thing, always the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.formats.dynamic_prompts import said


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a boat", "a boat"),
        ("a /* red\nor */boat", "a boat"),
        ("a boat // red\non the sea", "a boat \non the sea"),
        ("{a} boat {{b}}", "a boat b"),
        (r"\{a\|b\}", "{a|b}"),
        (r"{\{a\|b}", "{a|b"),
        (r"a \(boat\:1\)", r"a \(boat\:1\)"),
        ("a | b }", "a | b }"),
        ("a {boat", "a boat"),
        ("a {{boat", "a boat"),
        ("", ""),
        ("{}", ""),
        ("a\\", "a\\"),
    ],
)
def test_what_leaves_no_choice_is_told(text: str, plain: str):
    assert said(text, "1") == (plain, False)


def test_one_alternative_is_chosen_the_same_every_time():
    results = {said("a {red|green|{light|dark} blue|} boat", str(seed)) for seed in range(100)}
    assert {each.text for each in results} == {
        *("a red boat", "a green boat", "a light blue boat", "a dark blue boat", "a  boat")
    }
    assert all(each.chosen for each in results)
    assert said("{a|b|c|d}", "7") == said("{a|b|c|d}", "7")


@given(st.text(alphabet="ab{}|\\/* \n"))
def test_any_text_says_something_without_braces_of_its_own(text: str):
    assert len(said(text, "").text) <= len(text)
