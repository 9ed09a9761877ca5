"""Nodes that work on texts."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from nodes import expressions, texts
from nodes.expressions import apart
from nodes.sdk import Cancelled, NodeError
from tests.nodes.fake_context import FakeContext

SLOW = ("a" * 40 + "!", "(a+)+$")


@pytest.fixture
def job(tmp_path: Path) -> FakeContext:
    return FakeContext(tmp_path)


def test_a_part_of_a_text_is_told_by_its_place():
    assert texts.StringSubstring("a boat", 2, 4) == "bo"
    assert texts.StringSubstring("a boat", -4, -1) == "boa"
    assert texts.StringSubstring("a boat") == ""
    assert texts.StringLength("über\n") == 5


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("UPPERCASE", "A BIG BOAT"),
        ("lowercase", "a big boat"),
        ("Capitalize", "A big boat"),
        ("Title Case", "A Big Boat"),
    ],
)
def test_letters_change_their_case(mode: Any, expected: str):
    assert texts.CaseConverter("a bIG boat", mode) == expected


@pytest.mark.parametrize(("mode", "expected"), [("Both", "a"), ("Left", "a \n"), ("Right", "\t a")])
def test_ends_are_trimmed(mode: Any, expected: str):
    assert texts.StringTrim("\t a \n", mode) == expected


def test_texts_are_searched_and_compared():
    assert texts.StringReplace("a.b.c", ".", "-") == "a-b-c"
    assert not texts.StringContains("A boat", "BOAT")
    assert texts.StringContains("A boat", "BOAT", case_sensitive=False)
    assert texts.StringCompare("a boat", "a ")
    assert not texts.StringCompare("a boat", "A ", "Starts With")
    assert texts.StringCompare("a boat", "BOAT", "Ends With", case_sensitive=False)
    assert texts.StringCompare("a", "a", "Equal")
    assert not texts.StringCompare("ab", "a", "Equal")


def test_an_expression_matches_by_its_flags(job: FakeContext):
    assert expressions.RegexMatch(job, "a Boat", "boat$")
    assert not expressions.RegexMatch(job, "a Boat", "boat$", case_insensitive=False)
    assert not expressions.RegexMatch(job, "one\ntwo", "^two")
    assert expressions.RegexMatch(job, "one\ntwo", "^two", multiline=True)
    assert not expressions.RegexMatch(job, "one\ntwo", "one.two")
    assert expressions.RegexMatch(job, "one\ntwo", "one.two", dotall=True)


@pytest.mark.parametrize(
    ("pattern", "mode", "group", "expected"),
    [
        (r"\d+x\d+", "First Match", 1, "64x32"),
        (r"\d+", "All Matches", 1, "64\n32\n8\n8"),
        (r"(\d+)x(\d+)", "All Matches", 1, "64\n8"),
        (r"(\d+)x(\d+)", "First Group", 2, "32"),
        (r"(\d+)x(\d+)", "First Group", 0, "64x32"),
        (r"(\d+)x(\d+)", "First Group", 3, ""),
        (r"(\d+)x(\d+)", "All Groups", 2, "32\n8"),
        (r"(\d+)x(\d+)", "All Groups", 3, ""),
        (r"\d+", "All Groups", 0, ""),
        (r"(z)?64", "First Group", 1, ""),
        ("nothing", "First Match", 1, ""),
        ("nothing", "All Matches", 1, ""),
    ],
)
def test_what_fits_an_expression_is_taken_out(job: FakeContext, pattern: str, mode: Any, group: int, expected: str):
    assert expressions.RegexExtract(job, "64x32, 8x8", pattern, mode, group_index=group) == expected


def test_what_fits_an_expression_is_replaced(job: FakeContext):
    assert expressions.RegexReplace(job, "64x32, 8x8", r"(\d+)x(\d+)", r"\2 by \1") == "32 by 64, 8 by 8"
    assert expressions.RegexReplace(job, "a A a", "a", "ü\n", count=2) == "ü\n ü\n a"


@pytest.mark.parametrize(("pattern", "replace", "input"), [("(a", "", "regex_pattern"), ("a", r"\2", "replace")])
def test_an_expression_that_is_none_is_explained(job: FakeContext, pattern: str, replace: str, input: str):
    with pytest.raises(NodeError, match="can't be used") as caught:
        expressions.RegexReplace(job, "a", pattern, replace)
    assert (caught.value.input, caught.value.code) == (input, "bad_expression")


def test_an_expression_that_finds_no_end_is_given_up(job: FakeContext, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(apart, "SECONDS", 0.5)
    with pytest.raises(NodeError, match=r"no end within 0\.5 seconds") as caught:
        expressions.RegexMatch(job, *SLOW)
    assert (caught.value.input, caught.value.code) == ("regex_pattern", "expression_too_slow")


def test_cancelling_ends_an_expression(job: FakeContext):
    threading.Timer(0.3, setattr, (job, "cancelled", True)).start()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        expressions.RegexMatch(job, *SLOW)
    assert time.monotonic() - begun < 5
