"""Every problem of a graph is found at once, with its place, its code and a remedy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from executor.check import Checked, check
from executor.formats import read_document
from executor.graph import parse
from executor.problems import Problem
from nodes.sdk.packs import Packs
from tests.executor.conftest import FakeFiles, chain, n

Check = Callable[..., Checked]


def codes(found: Checked) -> list[tuple[str, str | None, str | None]]:
    return [(each.code, each.node, each.input) for each in found.problems]


def saved(link: list[Any]) -> dict[str, Any]:
    return n("End", value=link)


def test_a_sound_graph_has_no_problems_and_is_bound_upstream_first(checked: Check):
    found = checked({"end": saved(["b", 0]), "b": n("Add", a=["a", 0]), "a": n("Number", value=3)})
    assert found.problems == []
    assert found.warnings == []
    assert list(found.nodes) == ["a", "b", "end"]
    assert found.nodes["b"].values == {"b": 1}


def test_all_problems_are_listed_at_once(checked: Check):
    found = checked(
        {
            "1": n("Numbr"),
            "2": n("Add", a=["1", 0], c=3),
            "3": n("Number", value=2_000_000),
            "4": n("Fraction", value=-0.1),
            "5": n("Pick", method="bilinaer"),
            "6": n("Add", a=["nowhere", 0], b=["3", 4]),
            "7": n("Add", b="x"),
            "8": n("Optional", a=["5", 0]),
            "9": n("Text", text=5, loud=1),
            "end": n("End"),
            **{f"e{index}": saved([str(index), 0]) for index in range(2, 10)},
        }
    )
    assert set(codes(found)) == {
        ("unknown_node", "1", None),
        ("unknown_input", "2", "c"),
        ("above_max", "3", "value"),
        ("below_min", "4", "value"),
        ("not_a_choice", "5", "method"),
        ("dangling_link", "6", "a"),
        ("bad_output_index", "6", "b"),
        ("missing_input", "7", "a"),
        ("wrong_type", "7", "b"),
        ("type_mismatch", "8", "a"),
        ("wrong_type", "9", "text"),
        ("wrong_type", "9", "loud"),
        ("missing_input", "end", "value"),
    }
    assert all(each.message.endswith(".") for each in found.problems)


@pytest.mark.parametrize(("value", "nearest"), [(100, "use 96 or 104"), (17, "use 16 or 24")])
def test_a_literal_between_two_multiples_is_told_both(checked: Check, value: int, nearest: str):
    (problem,) = checked({"1": n("Eights", value=value), "2": saved(["1", 0])}).problems
    assert (problem.code, problem.input) == ("not_a_multiple", "value")
    assert f"no multiple of 8; {nearest}" in problem.message


def test_a_misspelt_node_is_offered_the_nearest_names(checked: Check):
    (problem,) = checked({"1": n("Numbr")}).problems
    assert problem.details["nearest"][0] == "Number"
    assert "the nearest is 'Number'" in problem.message


def test_an_alias_names_the_node_it_stands_for(checked: Check):
    found = checked({"1": n("Zahl", value=1), "2": saved(["1", 0])})
    assert found.problems == []
    assert found.nodes["1"].spec.id == "Number"


@pytest.mark.parametrize(
    ("class_type", "name", "value", "read"),
    [
        ("Number", "value", 3.0, 3),
        ("Fraction", "value", 1, 1.0),
        ("Fraction", "seed", 2**64 - 1, 2**64 - 1),
        ("Text", "text", "ü", "ü"),
        ("Text", "loud", False, False),
    ],
)
def test_literals_are_converted_to_the_declared_type(
    checked: Check, class_type: str, name: str, value: object, read: object
):
    found = checked({"1": n(class_type, **{name: value}), "2": saved(["1", 0])})
    assert found.problems == []
    assert found.nodes["1"].values[name] == read
    assert type(found.nodes["1"].values[name]) is type(read)


@pytest.mark.parametrize(
    ("class_type", "name", "value", "code"),
    [
        ("Number", "value", 3.5, "wrong_type"),
        ("Number", "value", True, "wrong_type"),
        ("Number", "value", "3", "wrong_type"),
        ("Number", "value", None, "wrong_type"),
        ("Number", "value", [1, 2, 3], "wrong_type"),
        ("Fraction", "value", float("inf"), "not_finite"),
        ("Fraction", "value", 10**400, "not_finite"),
        ("Fraction", "seed", -1, "below_min"),
        ("Text", "text", "\ud800", "wrong_type"),
        ("Add", "a", 1.5, "wrong_type"),
        ("Pick", "method", 1, "not_a_choice"),
        ("Model", "name", "none.safetensors", "missing_file"),
        ("Model", "name", "../../secret", "missing_file"),
        ("Picture", "image", "none.png", "missing_file"),
    ],
)
def test_a_literal_that_does_not_fit_is_refused(checked: Check, class_type: str, name: str, value: object, code: str):
    found = checked({"1": n(class_type, **{name: value}), "2": saved(["1", 0])})
    assert codes(found) == [(code, "1", name)]


@pytest.mark.parametrize(
    ("class_type", "name", "value", "read"),
    [
        ("Number", "value", "5", 5),
        ("Number", "value", 2.7, 2),
        ("Number", "value", -2.7, -2),
        ("Number", "value", True, 1),
        ("Fraction", "value", "0.25", 0.25),
        ("Fraction", "value", True, 1.0),
        ("Text", "text", 5, "5"),
        ("Text", "text", 0.5, "0.5"),
        ("Text", "loud", 1, True),
        ("Text", "loud", "false", True),
        ("Text", "loud", "", False),
        ("Text", "loud", None, False),
    ],
)
def test_a_literal_of_a_comfyui_prompt_is_converted_first(
    packs: Packs, class_type: str, name: str, value: object, read: object
):
    graph, _ = parse(read_document({"1": n(class_type, **{name: value}), "2": saved(["1", 0])}))
    found = check(graph, packs.catalogue, FakeFiles())
    assert found.problems == []
    assert found.nodes["1"].values[name] == read
    assert type(found.nodes["1"].values[name]) is type(read)


@pytest.mark.parametrize(
    ("class_type", "name", "value", "code"),
    [
        ("Number", "value", "2.7", "wrong_type"),
        ("Number", "value", "x", "wrong_type"),
        ("Number", "value", None, "wrong_type"),
        ("Number", "value", 2_000_000.5, "above_max"),
        ("Fraction", "value", "-1", "below_min"),
        ("Fraction", "value", "nan", "not_finite"),
        ("Text", "text", None, "wrong_type"),
        ("Text", "text", [1, 2, 3], "wrong_type"),
        ("Pick", "method", 1, "not_a_choice"),
        ("Picture", "image", 5, "wrong_type"),
    ],
)
def test_a_literal_of_a_comfyui_prompt_that_cannot_be_converted_is_refused(
    packs: Packs, class_type: str, name: str, value: object, code: str
):
    graph, _ = parse(read_document({"1": n(class_type, **{name: value}), "2": saved(["1", 0])}))
    assert codes(check(graph, packs.catalogue, FakeFiles())) == [(code, "1", name)]


def test_a_model_that_is_not_there_is_offered_the_nearest(checked: Check):
    files = FakeFiles({"checkpoints": {"storybook-tiny.safetensors": "1"}})
    found = checked({"1": n("Model", name="storybok-tiny.safetensors"), "2": saved(["1", 0])}, files)
    assert found.problems[0].details["nearest"] == ["storybook-tiny.safetensors"]
    assert checked({"1": n("Model", name="storybook-tiny.safetensors"), "2": saved(["1", 0])}, files).problems == []


def test_a_cycle_lists_its_nodes(checked: Check):
    nodes = {"a": n("Add", a=["c", 0]), "b": n("Add", a=["a", 0]), "c": n("Add", a=["b", 0]), "end": saved(["b", 0])}
    (problem,) = checked(nodes).problems
    assert problem.code == "cycle"
    assert sorted(problem.details["nodes"]) == ["a", "b", "c"]
    cycle = problem.details["nodes"]
    assert all(
        nodes[after]["inputs"]["a"][0] == before for before, after in zip(cycle, cycle[1:] + cycle[:1], strict=True)
    )
    assert " → ".join(map(repr, [*cycle, cycle[0]])) in problem.message


def test_a_node_linked_to_itself_is_a_cycle(checked: Check):
    found = checked({"a": n("Add", a=["a", 0]), "end": saved(["a", 0])})
    assert codes(found) == [("cycle", "a", None)]


def test_a_cycle_of_ten_thousand_nodes_is_found_quickly(checked: Check):
    nodes = chain(10_000)
    nodes["n0"] = n("Add", a=["n9999", 0])
    began = time.process_time()
    (problem,) = checked(nodes).problems
    assert time.process_time() - began < 5
    assert problem.code == "cycle"
    assert len(problem.details["nodes"]) == 10_000


def test_a_deep_graph_needs_no_recursion(checked: Check):
    found = checked(chain(20_000))
    assert found.problems == []
    assert len(found.nodes) == 20_002


def test_without_an_output_node_nothing_would_come_out(checked: Check):
    assert codes(checked({"1": n("Number")})) == [("no_output_node", None, None)]


def test_problems_that_no_output_needs_are_warnings(checked: Check):
    found = checked(
        {
            "1": n("Number"),
            "2": saved(["1", 0]),
            "stray": n("Add", a="x"),
            "x": n("Add", a=["y", 0]),
            "y": n("Add", a=["x", 0]),
        }
    )
    assert found.problems == []
    assert {(each.code, each.node) for each in found.warnings} == {("wrong_type", "stray"), ("cycle", "x")}
    assert "stray" not in found.nodes


def test_an_unknown_node_at_the_end_is_an_error_even_beside_an_output(checked: Check):
    found = checked({"1": n("Number"), "2": saved(["1", 0]), "3": n("SaveImge", images=["1", 0])})
    assert codes(found) == [("unknown_node", "3", None)]


def test_targets_narrow_what_is_checked(checked: Check):
    nodes = {"1": n("Number"), "2": n("Add", a=["1", 0]), "3": n("End", value=["nowhere", 0])}
    found = checked(nodes, targets=["2"])
    assert found.problems == []
    assert list(found.nodes) == ["1", "2"]
    assert codes(checked(nodes, targets=["no"])) == [("dangling_link", "no", None)]


def test_editor_leftovers_of_comfyui_are_no_problem(packs: Packs):
    files = FakeFiles({"input": {"a.png": "1"}})
    prompt = {"1": n("Picture", image="a.png", upload="image", whatever=1), "2": saved(["1", 0])}
    graph, _ = parse(read_document(prompt))
    assert check(graph, packs.catalogue, files).problems == []


def test_thousands_of_misspelt_nodes_are_reported_in_bounded_time(checked: Check):
    nodes = {str(index): n(f"Nodule{index}", value=1) for index in range(5_000)}
    began = time.process_time()
    found = checked(nodes)
    assert time.process_time() - began < 5
    assert len(found.problems) == 5_000


def test_an_int_may_feed_a_float_and_any_socket_takes_everything(checked: Check):
    nodes = {"1": n("Number"), "2": n("Fraction", value=["1", 0]), "3": n("Optional", a=["1", 0], extra=["2", 0])}
    assert checked({**nodes, "4": saved(["3", 0])}).problems == []


def test_a_file_of_another_kind_than_the_input_takes_is_refused(checked: Callable[..., Checked]):
    files = FakeFiles({"input": dict.fromkeys(("words.txt", "MORE.TXT", "words.png", "a.txt [output]"), "id")})

    def problems(name: str) -> list[Problem]:
        return checked({"1": n("Words", file=name), "2": n("End", value=["1", 0])}, files).problems

    for name in ("words.txt", "MORE.TXT", "a.txt [output]"):
        assert problems(name) == []
    (wrong,) = problems("words.png")
    assert (wrong.code, wrong.input) == ("wrong_type", "file")
    assert "ends in .txt, and has 'words.png'" in wrong.message
    (missing,) = problems("word.txt")
    assert "words.png" not in missing.details["nearest"]
