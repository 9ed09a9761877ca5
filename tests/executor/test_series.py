"""Series of values: what follows runs once for each, and nodes that ask for a whole series get it in one call."""

from __future__ import annotations

from typing import Any

import pytest

from executor.codec import Codec
from executor.series import Series, calls, gathered
from nodes.sdk import NodeSpec, node
from nodes.sdk.declare import DeclarationError, definition_of


class Thing:
    type_id = "THING"


@node(title="Split", category="test")
def Split(things: list[Thing], size: int = 1) -> list[Thing]:
    """Gives each thing by itself."""
    del size
    return things


@node(title="Pair", category="test")
def Pair(first: Thing, second: Thing | None = None, count: int = 0) -> Thing:
    """Makes one of two."""
    return (first, second, count)  # type: ignore[return-value]


def spec(function: Any) -> NodeSpec:
    found = definition_of(function)
    assert found is not None
    return found.spec


def test_lists_are_declared_on_both_sides_and_travel_as_json():
    declared = spec(Split)
    assert [each.many for each in declared.inputs] == [True, False]
    assert [(each.name, each.type, each.many) for each in declared.outputs] == [("THING", "THING", True)]
    assert NodeSpec.from_json(declared.to_json()) == declared


def test_a_list_of_typed_in_values_is_refused():
    def Words(words: list[str]) -> None:
        """Takes words."""

    with pytest.raises(DeclarationError, match="by a link"):
        node(title="Words", category="test")(Words)


def test_plain_values_make_one_call():
    assert list(calls({"first": 1, "second": None}, spec(Pair))) == [{"first": 1, "second": None}]


def test_there_is_a_call_for_each_value_of_the_longest_and_shorter_ones_repeat_their_last():
    inputs = {"first": Series((1, 2, 3)), "second": Series(("a", "b")), "count": 7}
    assert list(calls(inputs, spec(Pair))) == [
        {"first": 1, "second": "a", "count": 7},
        {"first": 2, "second": "b", "count": 7},
        {"first": 3, "second": "b", "count": 7},
    ]
    assert list(calls({"first": Series(()), "second": 1}, spec(Pair))) == []


def test_a_whole_series_goes_into_one_call():
    assert list(calls({"things": Series((1, 2)), "size": Series((4, 5))}, spec(Split))) == [
        {"things": [1, 2], "size": 4}
    ]
    assert list(calls({"things": 1, "size": 4}, spec(Split))) == [{"things": [1], "size": 4}]


def test_results_come_together_as_a_series_unless_there_is_one():
    (several,) = gathered([([1, 2],), ([3],)], spec(Split))
    assert several.items == (1, 2, 3)
    assert gathered([([1],)], spec(Split)) == (1,)
    assert gathered([("x",)], spec(Pair)) == ("x",)
    (none,) = gathered([], spec(Pair))
    assert none.items == ()


def test_a_series_can_be_written_to_disk():
    codec = Codec(["executor.series"])
    written, tensors = codec.write((Series((1, "a")),))
    assert codec.read(written, tensors)[0].items == (1, "a")
