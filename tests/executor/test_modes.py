"""Muted nodes go, with what can't run without them; bypassed nodes let their input through."""

from __future__ import annotations

from typing import Any

import pytest

from executor.formats import read_document
from executor.formats.modes import resolve_modes
from executor.graph import Graph, Link, parse
from executor.prepare import prepare
from executor.problems import Problem
from nodes.sdk.packs import Packs
from tests.executor.conftest import FakeFiles, document, n


def moded(mode: str, class_type: str, **inputs: Any) -> dict[str, Any]:
    return {**n(class_type, **inputs), "_meta": {"mode": mode}}


def resolved(packs: Packs, nodes: dict[str, Any]) -> tuple[Graph, list[Problem]]:
    graph, left_out = resolve_modes(parse(read_document(document(nodes)))[0], packs.catalogue)
    return graph, list(left_out.problems)


def refused(packs: Packs, nodes: dict[str, Any], targets: list[str] | None = None) -> list[Problem]:
    """The problems of a workflow, none of which is told again as a warning."""
    checked = prepare(read_document(document(nodes)), packs.catalogue, FakeFiles(), targets).checked
    assert not [each for each in checked.warnings if each in checked.problems]
    return checked.problems


def test_a_graph_of_normal_nodes_is_left_alone(packs: Packs):
    graph = parse(read_document(document({"1": n("Number")})))[0]
    assert resolve_modes(graph, packs.catalogue)[0] is graph


def test_a_muted_node_takes_along_what_needs_it(packs: Packs):
    graph, warnings = resolved(
        packs,
        {
            "1": moded("mute", "Number"),
            "2": n("Split", value=5),
            "3": n("Optional", a=3, extra=["1", 0]),
            "4": n("Boom", a=["1", 0]),
            "5": n("End", value=["4", 0]),
            "6": n("End", value=["3", 0]),
        },
    )
    assert set(graph.nodes) == {"2", "3", "6"}
    assert graph.nodes["3"].inputs == {"a": 3}
    assert {each.node for each in warnings} == {"4", "5"}


def test_a_bypassed_node_passes_on_the_input_of_the_same_type(packs: Packs):
    graph, warnings = resolved(
        packs,
        {
            "1": n("Number"),
            "2": moded("bypass", "Add", a=["1", 0], b=2),
            "3": moded("bypass", "Add", a=["2", 0]),
            "4": n("End", value=["3", 0]),
        },
    )
    assert warnings == []
    assert set(graph.nodes) == {"1", "4"}
    assert graph.nodes["4"].inputs == {"value": Link("1", 0)}


def test_a_bypassed_node_with_nothing_to_pass_on_leaves_the_input_empty(packs: Packs):
    graph, warnings = resolved(packs, {"1": moded("bypass", "Text"), "2": n("End", value=["1", 0])})
    assert set(graph.nodes) == set()
    assert [each.code for each in warnings] == ["muted_upstream"]


def test_a_bypassed_node_that_says_what_it_passes_on_is_believed_though_its_class_is_unknown(packs: Packs):
    stranger = moded("bypass", "Stranger", a=["1", 0], b=["2", 0])
    stranger["_meta"]["passes"] = {"0": "b", "1": None, "2": "unlinked"}
    nodes = {"1": n("Number"), "2": n("Number"), "3": stranger}
    ends = {f"e{slot}": n("Optional", a=1, extra=["3", slot]) for slot in range(3)}
    graph, _ = resolved(packs, {**nodes, **ends})
    assert [graph.nodes[name].inputs.get("extra") for name in ends] == [Link("2", 0), None, None]


def test_bypassed_nodes_in_a_circle_end_nowhere(packs: Packs):
    graph, _ = resolved(
        packs,
        {
            "1": moded("bypass", "Add", a=["2", 0]),
            "2": moded("bypass", "Add", a=["1", 0]),
            "3": n("Optional", a=1, extra=["1", 0]),
        },
    )
    assert graph.nodes["3"].inputs == {"a": 1}


def test_what_is_left_out_says_which_input_is_missing_and_why(packs: Packs):
    nodes = {"1": moded("mute", "Number"), "2": n("Add", a=["1", 0]), "3": n("End", value=["2", 0])}
    _, warnings = resolved(packs, {**nodes, "4": n("End", value=["5", 0]), "5": n("Number")})
    assert [(each.code, each.node, each.input) for each in warnings] == [
        ("muted_upstream", "2", "a"),
        ("muted_upstream", "3", "value"),
    ]
    assert "because node '1' (Number), which feeds it, is muted; unmute it, or" in warnings[0].message
    assert "because node '2' (Add), which feeds it, is left out as well" in warnings[1].message


@pytest.mark.parametrize(
    ("mode", "told"), [("mute", "is muted; unmute it"), ("bypass", "is bypassed, and has no INT to pass on; end its")]
)
def test_where_a_mode_leaves_nothing_to_run_the_input_it_starves_is_the_problem(packs: Packs, mode: str, told: str):
    nodes = {"1": moded(mode, "Number"), "2": n("Add", a=["1", 0]), "3": n("End", value=["2", 0])}
    (problem,) = refused(packs, nodes)
    assert (problem.code, problem.node, problem.input) == ("muted_upstream", "2", "a")
    assert problem.details == {"source": "1", "mode": mode, "expected": "INT"}
    assert told in problem.message


def test_a_muted_node_behind_a_bypassed_one_is_named(packs: Packs):
    nodes = {"1": moded("mute", "Number"), "2": moded("bypass", "Add", a=["1", 0]), "3": n("End", value=["2", 0])}
    (problem,) = refused(packs, nodes)
    assert (problem.node, problem.input, problem.details["source"]) == ("3", "value", "1")


def test_only_what_keeps_an_output_from_running_is_a_problem(packs: Packs):
    nodes = {"1": moded("mute", "Number"), "2": n("End", value=["1", 0]), "3": n("Add", a=["1", 0])}
    assert [each.node for each in refused(packs, nodes)] == ["2"]


def test_where_all_outputs_are_off_they_are_named(packs: Packs):
    (problem,) = refused(packs, {"1": n("Number"), "2": moded("mute", "End", value=["1", 0])})
    assert (problem.code, problem.node) == ("no_output_node", "2")
    assert "muted; unmute it" in problem.message


def test_a_target_that_a_mode_leaves_out_is_told_why(packs: Packs):
    nodes = {"1": moded("mute", "Number"), "2": n("Add", a=["1", 0]), "3": n("End", value=1)}
    assert [(each.code, each.node) for each in refused(packs, nodes, ["2"])] == [("muted_upstream", "2")]
    assert [(each.code, each.node) for each in refused(packs, nodes, ["1"])] == [("no_output_node", "1")]
