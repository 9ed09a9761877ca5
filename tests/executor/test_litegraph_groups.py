"""Group nodes of older ComfyUI files become the nodes in them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.formats import BadDocument, read_document
from executor.formats.litegraph import as_native
from tests.executor.comfyui_files import CATALOGUE, JSON, LOADER, Raw, raw, socket

STEPS = socket("steps", None, "INT", widget={"name": "steps"})
LATENT = [{"name": "LATENT", "type": "LATENT"}]


def inner(*inputs: Raw, **more: Any) -> Raw:
    sockets = [socket("model", None), socket("latent", None, "LATENT")]
    return {**raw(-1, "KSampler", [*sockets, *inputs], [1, "fixed", 2, "euler"], outputs=LATENT), **more}


def group(*nodes: Raw, links: list[Any] | None = None, **more: Any) -> Raw:
    return {"nodes": list(nodes), "links": links or [], "external": [], **more}


def convert(
    made: Raw, inputs: list[Raw], values: list[Any], slot: int = 0, kind: str = "workflow>G", others: Raw | None = None
) -> Raw:
    """The nodes of a loader, two uses of its model by a group node, and what shows an output of that."""
    body = {
        "nodes": [LOADER, raw(4, kind, inputs, values), raw(7, "Save", [socket("images", 9, "LATENT")])],
        "links": [[1, 1, 0, 4, 0, "MODEL"], [2, 1, 0, 4, 1, "MODEL"], [9, 4, slot, 7, 0, "LATENT"]],
        "extra": {"groupNodes": {"G": made, **(others or {})}},
    }
    return dict(as_native(read_document(body), CATALOGUE).nodes)


TWICE = group(inner(), inner(), links=[[0, 0, 1, 1, 5, "LATENT"]])


@pytest.mark.parametrize("kind", ["workflow>G", "workflow/G"])
def test_a_group_becomes_its_nodes_linked_inside_and_outside(kind: str):
    shown = [socket("model", 1), socket("latent", None, "LATENT"), socket("KSampler model", 2)]
    nodes = convert(TWICE, shown, [7, "randomize", 12, "euler", 8, "fixed", 13, "euler"], kind=kind)
    assert set(nodes) == {"1", "7", "4:0", "4:1"}
    assert nodes["4:0"]["inputs"] == {"seed": 7, "steps": 12, "sampler_name": "euler", "model": ["1", 0]}
    assert nodes["4:1"]["inputs"]["model"] == ["1", 0]
    assert nodes["4:1"]["inputs"]["latent"] == ["4:0", 0]
    assert (nodes["4:1"]["inputs"]["seed"], nodes["4:1"]["inputs"]["steps"]) == (8, 13)
    assert nodes["7"]["inputs"]["images"] == ["4:1", 0]


def test_inputs_are_told_by_name_where_some_are_left_out():
    nodes = convert(TWICE, [socket("KSampler model", 2)], [])
    assert "model" not in nodes["4:0"]["inputs"]
    assert nodes["4:1"]["inputs"]["model"] == ["1", 0]
    assert (nodes["4:1"]["inputs"]["seed"], nodes["4:1"]["inputs"]["steps"]) == (1, 2)


def test_an_output_that_is_used_inside_and_outside_is_shown_too():
    made = {**TWICE, "external": [[0, 0, "LATENT"]]}
    assert convert(made, [], [])["7"]["inputs"]["images"] == ["4:0", 0]
    assert convert(made, [], [], slot=1)["7"]["inputs"]["images"] == ["4:1", 0]


def test_what_the_settings_hide_has_no_place():
    hidden = {"0": {"input": {"model": {"visible": False}}, "output": {"0": {"visible": True}}}}
    nodes = convert({**TWICE, "config": hidden}, [socket("latent", None, "LATENT"), socket("model", 2)], [])
    assert "model" not in nodes["4:0"]["inputs"]
    assert nodes["4:1"]["inputs"]["model"] == ["1", 0]
    assert nodes["7"]["inputs"]["images"] == ["4:0", 0]


def test_widgets_that_were_made_inputs_come_last():
    made = group(inner(STEPS), inner())
    nodes = convert(made, [], [7, "fixed", "euler", 8, "fixed", 13, "euler", 12])
    assert (nodes["4:0"]["inputs"]["seed"], nodes["4:0"]["inputs"]["steps"]) == (7, 12)
    assert (nodes["4:1"]["inputs"]["seed"], nodes["4:1"]["inputs"]["steps"]) == (8, 13)
    linked = convert(made, [{**STEPS, "link": 1}], [])
    assert linked["4:0"]["inputs"]["steps"] == ["1", 0]


def test_reroutes_and_primitives_inside_stand_for_what_they_do_outside():
    reroute = raw(-1, "Reroute", [socket("", None, "*")], outputs=[{"name": "", "type": "*"}])
    primitive = raw(-1, "PrimitiveNode", [], [5, "fixed"], outputs=[{"name": "INT", "type": "INT"}], title="How many")
    links = [[0, 0, 2, 0, 1, "MODEL"], [1, 0, 2, 2, 2, "INT"]]
    nodes = convert(group(reroute, primitive, inner(STEPS), links=links), [socket("MODEL", 1)], [9, "fixed", 7])
    assert set(nodes) == {"1", "7", "4:2"}
    assert nodes["4:2"]["inputs"]["model"] == ["1", 0]
    assert (nodes["4:2"]["inputs"]["seed"], nodes["4:2"]["inputs"]["steps"]) == (7, 9)


def test_a_note_in_a_group_keeps_its_text():
    note = raw(-1, "Note", values=["twice is enough"], pos=[10, 50], size=[200, 90])
    body = {
        "nodes": [LOADER, raw(4, "workflow>G", [socket("model", 1)], [], pos=[500, 600])],
        "links": [[1, 1, 0, 4, 0, "MODEL"]],
        "extra": {"groupNodes": {"G": group(inner(), note)}},
    }
    document = as_native(read_document(body), CATALOGUE)
    assert [(each["text"], each["bounds"]) for each in document.groups] == [("twice is enough", [500, 630, 200, 90])]


PAIR = raw(
    -1,
    "workflow>H",
    [socket("model", None), socket("latent", None, "LATENT"), socket("KSampler model", None)],
    [1, "fixed", 2, "euler", 3, "fixed", 4, "euler"],
    outputs=LATENT,
)


def test_a_group_in_a_group_becomes_its_nodes_too():
    made = group(inner(), PAIR, links=[[0, 0, 1, 1, 5, "LATENT"]])
    shown = [socket("model", 1), socket("latent", None, "LATENT"), socket("workflow>H model", 2)]
    given = [7, "fixed", 12, "euler", 8, "randomize", None, "euler", 9, "fixed", 14, "euler"]
    nodes = convert(made, shown, given, others={"H": TWICE})
    assert set(nodes) == {"1", "7", "4:0", "4:1:0", "4:1:1"}
    seeds_and_steps = {key: (each["inputs"].get("seed"), each["inputs"].get("steps")) for key, each in nodes.items()}
    assert [seeds_and_steps[key] for key in ("4:0", "4:1:0", "4:1:1")] == [(7, 12), (8, 2), (9, 14)]
    assert nodes["4:0"]["inputs"]["model"] == ["1", 0]
    assert nodes["4:1:0"]["inputs"]["latent"] == ["4:0", 0]
    assert nodes["4:1:0"]["inputs"]["model"] == ["1", 0]
    assert nodes["4:1:1"]["inputs"]["latent"] == ["4:1:0", 0]
    assert nodes["7"]["inputs"]["images"] == ["4:1:1", 0]


def test_a_group_that_contains_itself_is_refused():
    with pytest.raises(BadDocument, match="contains itself"):
        convert(group(PAIR), [], [], others={"H": group(raw(-1, "workflow>G"))})


def test_groups_in_groups_count_for_what_they_become():
    layers = {f"H{depth}": group(*[raw(-1, f"workflow>H{depth + 1}")] * 10) for depth in range(6)}
    with pytest.raises(BadDocument, match="more than 100,000 nodes"):
        convert(group(raw(-1, "workflow>H0")), [], [], others={**layers, "H6": group(inner())})


KINDS = st.sampled_from(["KSampler", "Reroute", "PrimitiveNode", "Note", "?", "workflow>H"])
MEMBERS = dict.fromkeys(("inputs", "outputs", "widgets_values", "title"), JSON)
LINKS = JSON | st.lists(st.lists(st.integers(-1, 3) | JSON, max_size=6), max_size=3)


@given(
    st.fixed_dictionaries(
        {"nodes": st.lists(st.fixed_dictionaries({"type": KINDS}, optional=MEMBERS), max_size=3)},
        optional={"links": LINKS, "external": LINKS, "config": JSON},
    ),
    JSON,
    JSON,
)
def test_no_group_however_odd_makes_the_reading_fail(made: Raw, inputs: Any, values: Any):
    try:
        convert(made, inputs, values, others={"H": TWICE})
    except BadDocument:
        return
