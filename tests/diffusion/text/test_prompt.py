from __future__ import annotations

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion.errors import BadPrompt
from diffusion.text.prompt import MAX_CHARACTERS, parse


def pairs(text: str) -> list[tuple[str, float]]:
    return [(segment.text, round(segment.weight, 6)) for segment in parse(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a cat", [("a cat", 1.0)]),
        ("(a)", [("a", 1.1)]),
        ("((a))", [("a", 1.21)]),
        ("a (b) c", [("a ", 1.0), ("b", 1.1), (" c", 1.0)]),
        ("(a:1.5)", [("a", 1.5)]),
        ("((a:0.5):1.5)", [("a", 0.5)]),
        ("(a (b) c:1.3)", [("a ", 1.3), ("b", 1.43), (" c", 1.3)]),
        ("(a:b:0.7)", [("a:b", 0.7)]),
        ("(a:b)", [("a:b", 1.1)]),
        ("(:1.2)", [(":1.2", 1.1)]),
        ("(a: 1.2 )", [("a", 1.2)]),
        ("(a:-1)", [("a", -1.0)]),
        ("(a:inf)", [("a", math.inf)]),
        (r"\(a\)", [("(a)", 1.0)]),
        (r"(a\))", [("a)", 1.1)]),
        (r"(a \(b\):1.2)", [("a (b)", 1.2)]),
        ("(a", [("(a", 1.0)]),
        ("a (b", [("a ", 1.0), ("(b", 1.0)]),
        ("x)y(z)", [("x)y(z)", 1.0)]),
        ("x)y((z))", [("x)y(", 1.0), ("z", 1.1), (")", 1.0)]),
        ("(a(b)", [("a", 1.1), ("(b", 1.1)]),
        ("()", []),
        ("[a] {b|c}", [("[a] {b|c}", 1.0)]),
        ("(a:1.2)(b)", [("a", 1.2), ("b", 1.1)]),
    ],
)
def test_prompts_are_read_as_the_rules_say(text: str, expected: list[tuple[str, float]]):
    assert pairs(text) == expected


def by_definition(text: str, weight: float = 1.0) -> list[tuple[str, float]]:
    """The rules applied one bracket at a time: slow, recursive, and short enough to be checked by eye."""
    items, item, depth = [], "", 0
    for char in text:
        if char == "(":
            if depth == 0:
                items.append(item)
                item = ""
            depth += 1
        item += char
        if char == ")":
            depth -= 1
            if depth == 0:
                items.append(item)
                item = ""
    found: list[tuple[str, float]] = []
    for each in filter(None, [*items, item]):
        if len(each) < 2 or each[0] + each[-1] != "()":
            found.append((each.replace("<", "(").replace(">", ")"), weight))
            continue
        inside, inner = each[1:-1], weight * 1.1
        before, colon, after = inside.rpartition(":")
        if colon and before:
            try:
                inside, inner = before, float(after)
            except ValueError:
                inner = weight * 1.1
        found += by_definition(inside, inner)
    return found


@settings(max_examples=2000, deadline=None)
@given(st.text(alphabet="(():a1. ", max_size=24))
def test_any_brackets_mean_what_the_definition_says(text: str):
    assert [(segment.text, segment.weight) for segment in parse(text)] == by_definition(text)


@given(st.text(max_size=200))
def test_text_without_brackets_is_one_plain_segment(text: str):
    plain = text.replace("(", "").replace(")", "").replace("\x00", "")
    assert [(segment.text, segment.weight) for segment in parse(plain)] == ([(plain, 1.0)] if plain else [])


@pytest.mark.parametrize(
    "text",
    [
        "(" * MAX_CHARACTERS,
        ")" * MAX_CHARACTERS,
        "(" * (MAX_CHARACTERS // 2) + ")" * (MAX_CHARACTERS // 2),
        "(" * (MAX_CHARACTERS - 1) + ")",
        "(:" * (MAX_CHARACTERS // 2),
        "(a:1)" * (MAX_CHARACTERS // 5),
        "(a:" * (MAX_CHARACTERS // 6) + "1)" * (MAX_CHARACTERS // 6),
        "()" * (MAX_CHARACTERS // 2),
    ],
)
def test_deep_nesting_takes_neither_long_nor_a_deep_stack(text: str):
    start = time.perf_counter()
    parse(text)
    assert time.perf_counter() - start < 3


def test_a_prompt_beyond_the_limit_is_refused():
    with pytest.raises(BadPrompt, match="5,000,000") as caught:
        parse("a" * 5_000_000)
    assert (caught.value.code, caught.value.input) == ("too_large", "text")
