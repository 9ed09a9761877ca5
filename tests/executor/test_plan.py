"""A plan runs what is needed and missing, once, in an order that respects the links."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from executor.check import BoundNode, check
from executor.formats import read_document
from executor.graph import parse
from executor.keys import Key, node_keys
from executor.plan import Plan, make_plan
from nodes.sdk.packs import load_packs
from tests.executor.conftest import CUSTOM_NODES, FakeFiles, Nodes, document, n

CATALOGUE = load_packs(CUSTOM_NODES, built_in=False).catalogue


def planned(nodes: Nodes, cached: set[str]) -> tuple[Plan, dict[str, BoundNode], dict[str, Key], list[str]]:
    found = check(parse(read_document(document(nodes)))[0], CATALOGUE, FakeFiles())
    assert found.problems == []
    keys = node_keys(found.nodes, FakeFiles(), "none", "run")
    have = {keys[node] for node in cached if node in keys}
    return make_plan(found.nodes, keys, found.outputs, have.__contains__), found.nodes, keys, found.outputs


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Nodes, set[str]]:
    size = draw(st.integers(1, 14))
    nodes: Nodes = {}
    for index in range(size):
        sources = [str(draw(st.integers(0, index - 1))) for _ in range(2)] if index else []
        literal = draw(st.integers(0, 2))
        nodes[str(index)] = n("Add", a=[sources[0], 0], b=[sources[1], 0]) if sources else n("Number", value=literal)
    for index in range(draw(st.integers(1, 3))):
        nodes[f"end{index}"] = n("End", value=[str(draw(st.integers(0, size - 1))), 0])
    order = draw(st.permutations(list(nodes)))
    return {name: nodes[name] for name in order}, set(draw(st.lists(st.sampled_from(order), max_size=8)))


@given(graphs())
def test_steps_come_after_what_they_read_and_are_exactly_those_needed(case: tuple[Nodes, set[str]]):
    nodes, cached = case
    plan, bound, keys, outputs = planned(nodes, cached)
    have = {keys[node] for node in cached if node in keys}

    needed: set[Key] = set()
    pending = list(outputs)
    while pending:
        node = pending.pop()
        if keys[node] not in have and keys[node] not in needed:
            needed.add(keys[node])
            pending.extend(link.node for link in bound[node].links.values())

    assert [step.key for step in plan.steps].count(None) == 0  # type: ignore[arg-type]
    assert {step.key for step in plan.steps} == needed
    assert len(plan.steps) == len(needed)
    ready = set(plan.hits)
    for step in plan.steps:
        assert all(keys[link.node] in ready for link in step.node.links.values())
        ready.add(step.key)
    ran = {node for step in plan.steps for node in (step.node.id, *step.twins)}
    assert ran.isdisjoint(plan.cached)
    assert ran | set(plan.cached) == set(bound)


@given(graphs())
def test_uses_count_every_read_so_that_values_can_be_dropped(case: tuple[Nodes, set[str]]):
    plan, _, keys, _ = planned(*case)
    reads = [keys[link.node] for step in plan.steps for link in step.node.links.values()]
    assert plan.uses == {key: reads.count(key) for key in reads}


def test_the_plan_does_not_depend_on_chance():
    nodes: Nodes = {str(index): n("Number", value=index) for index in range(20)}
    nodes |= {f"e{index}": n("End", value=[str(index), 0]) for index in random.Random(1).sample(range(20), 20)}
    first = [step.node.id for step in planned(nodes, set())[0].steps]
    assert first == [step.node.id for step in planned(nodes, set())[0].steps]


def test_one_output_is_finished_before_the_next_begins():
    nodes = {"e1": n("End", value=["b", 0]), "e2": n("End", value=["d", 0])}
    nodes |= {
        "a": n("Number", value=1),
        "b": n("Add", a=["a", 0]),
        "c": n("Number", value=2),
        "d": n("Add", a=["c", 0]),
    }
    assert [step.node.id for step in planned(nodes, set())[0].steps] == ["a", "b", "e1", "c", "d", "e2"]


def test_nothing_upstream_of_a_cached_result_is_run():
    nodes = {"1": n("Number"), "2": n("Add", a=["1", 0]), "3": n("Add", a=["2", 0]), "4": n("End", value=["3", 0])}
    plan, _, keys, _ = planned(nodes, {"3"})
    assert [step.node.id for step in plan.steps] == ["4"]
    assert plan.cached == ["1", "2", "3"]
    assert list(plan.hits) == [keys["3"]]


def test_equal_nodes_are_run_once():
    nodes = {"1": n("Number", value=4), "2": n("Number", value=4), "3": n("Add", a=["1", 0], b=["2", 0])}
    plan = planned({**nodes, "4": n("End", value=["3", 0])}, set())[0]
    assert [(step.node.id, step.twins) for step in plan.steps] == [("1", ("2",)), ("3", ()), ("4", ())]
