"""Muted nodes go, with what can't run without them; bypassed nodes let their input through."""

from __future__ import annotations

from typing import Any

from executor.formats import read_document
from executor.formats.modes import resolve_modes
from executor.graph import Graph, Link, parse
from executor.problems import Problem
from nodes.sdk.packs import Packs
from tests.executor.conftest import document, n


def moded(mode: str, class_type: str, **inputs: Any) -> dict[str, Any]:
    return {**n(class_type, **inputs), "_meta": {"mode": mode}}


def resolved(packs: Packs, nodes: dict[str, Any]) -> tuple[Graph, list[Problem]]:
    return resolve_modes(parse(read_document(document(nodes)))[0], packs.catalogue)


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
