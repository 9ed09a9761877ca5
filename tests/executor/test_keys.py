"""Keys are equal exactly when what decides a node's result is equal."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.check import check
from executor.formats import read_document
from executor.graph import parse
from executor.keys import Unkeyable, canonical, node_keys
from nodes.sdk.packs import Packs, load_packs
from tests.executor.conftest import CUSTOM_NODES, FakeFiles, Nodes, document, n

PACKS: Packs = load_packs(CUSTOM_NODES, built_in=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)


def typed(value: Any) -> Any:
    """A value in a form whose equality tells types (and the sign of zero) apart."""
    if isinstance(value, list):
        return ("list", tuple(typed(each) for each in value))
    if isinstance(value, dict):
        return ("dict", tuple(sorted((key, typed(each)) for key, each in value.items())))
    return (type(value).__name__, repr(value))


def keys(nodes: Nodes, files: FakeFiles | None = None, device: str = "cpu/fp32", run: str = "r") -> dict[str, bytes]:
    files = files or FakeFiles()
    found = check(parse(read_document(document(nodes)))[0], PACKS.catalogue, files)
    assert found.problems == []
    return node_keys(found.nodes, files, device, run)


@given(JSON, JSON)
def test_values_have_the_same_bytes_exactly_when_they_are_the_same(one: Any, other: Any):
    assert (canonical(one) == canonical(other)) == (typed(one) == typed(other))


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_sequences_of_texts_never_run_into_each_other(one: list[str], other: list[str]):
    assert (b"".join(map(canonical, one)) == b"".join(map(canonical, other))) == (one == other)


def test_one_its_fraction_and_true_differ():
    assert len({canonical(1), canonical(1.0), canonical(True), canonical("1"), canonical(None)}) == 5


def test_nan_and_foreign_values_have_no_key():
    for value in (float("nan"), [float("nan")], {1, 2}, object()):
        with pytest.raises(Unkeyable):
            canonical(value)


INPUTS = st.fixed_dictionaries({}, optional={"a": st.integers(-5, 5), "b": st.integers(-5, 5)})


@given(INPUTS, INPUTS)
def test_keys_are_equal_exactly_when_inputs_are_after_defaults(one: dict[str, int], other: dict[str, int]):
    one, other = {"a": 0, **one}, {"a": 0, **other}
    nodes = {"1": n("Add", **one), "2": n("Add", **other), "e": n("End", value=["1", 0]), "f": n("End", value=["2", 0])}
    found = keys(nodes)
    assert (found["1"] == found["2"]) == ({"b": 1, **one} == {"b": 1, **other})
    assert (found["e"] == found["f"]) == (found["1"] == found["2"])


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=12),
    st.randoms(),
)
def test_keys_do_not_depend_on_ids_titles_positions_or_order(shape: list[tuple[int, int, int]], shuffle: random.Random):
    nodes: Nodes = {}
    for index, (literal, a, b) in enumerate(shape):
        inputs = {
            "a": [str(a % index), 0] if index else literal,
            "b": [str(b % index), 0] if index and b % 2 else literal,
        }
        nodes[str(index)] = n("Add", **inputs)
    nodes["end"] = n("End", value=[str(len(shape) - 1), 0])
    names = {old: f"renamed-{shuffle.random()}".replace(".", "") + old for old in nodes}
    moved: Nodes = {}
    for old in shuffle.sample(list(nodes), len(nodes)):
        inputs = {
            name: [names[value[0]], 0] if isinstance(value, list) else value
            for name, value in reversed(nodes[old]["inputs"].items())
        }
        moved[names[old]] = {
            **n(nodes[old]["class_type"], **inputs),
            "_meta": {"title": old, "pos": [shuffle.random(), 1]},
        }
    before, after = keys(nodes), keys(json.loads(json.dumps(moved)))
    assert {names[old]: key for old, key in before.items()} == after


def test_a_change_reaches_everything_downstream_and_nothing_else():
    nodes = {"1": n("Number", value=1), "2": n("Add", a=["1", 0]), "3": n("Number", value=9), "4": n("Add", a=["3", 0])}
    nodes |= {"e": n("End", value=["2", 0]), "f": n("End", value=["4", 0])}
    before = keys(nodes)
    after = keys({**nodes, "1": n("Number", value=2)})
    assert {node for node in nodes if before[node] != after[node]} == {"1", "2", "e"}


def test_the_port_of_a_link_counts():
    both = {"1": n("Split", value=3), "2": n("End", value=["1", 0]), "3": n("End", value=["1", 1])}
    found = keys(both)
    assert found["2"] != found["3"]


def test_the_files_that_a_text_names_count_and_no_others():
    nodes = {"1": n("Prompt", text="a embedding:fox, red"), "2": n("Prompt", text="a red fax"),
             "3": n("Text", text="b"), "4": n("Prompt", text=["3", 0]),
             **{f"e{each}": n("End", value=[each, 0]) for each in ("1", "2", "4")}}  # fmt: skip
    one, other = (keys(nodes, FakeFiles({"embeddings": {"sub/fox.pt": content}})) for content in ("x", "y"))
    assert one["1"] != other["1"]
    assert one["2"] == other["2"]
    assert one["4"] != other["4"], "a text that is not known yet may name any"
    assert one["3"] == other["3"]


def test_the_device_and_the_content_of_files_count():
    nodes = {"1": n("Model", name="a.safetensors"), "2": n("End", value=["1", 0])}
    one, other = (FakeFiles({"checkpoints": {"a.safetensors": content}}) for content in ("x", "y"))
    assert keys(nodes, one) == keys(nodes, one)
    assert keys(nodes, one)["2"] != keys(nodes, other)["2"]
    assert keys(nodes, one)["2"] != keys(nodes, one, device="cuda/fp16")["2"]


def test_an_alias_has_the_key_of_the_node_it_stands_for():
    assert keys({"1": n("Zahl"), "e": n("End", value=["1", 0])}) == keys(
        {"1": n("Number"), "e": n("End", value=["1", 0])}
    )


def test_impure_nodes_and_linked_file_names_are_keyed_by_the_run():
    files = FakeFiles({"checkpoints": {"a": "x"}})
    nodes = {"d": n("Dice"), "e": n("Dice"), "t": n("Text", text="a"), "m": n("Model", name=["t", 0])}
    nodes |= {str(index): n("End", value=[each, 0]) for index, each in enumerate("dem")}
    one, same, other = keys(nodes, files), keys(nodes, files), keys(nodes, files, run="another")
    assert one == same
    assert one["d"] != one["e"]
    assert {node for node in nodes if one[node] != other[node]} == {"d", "e", "m", "0", "1", "2"}
