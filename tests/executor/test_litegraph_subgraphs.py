"""Subgraphs of ComfyUI's files become the nodes in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.formats import BadDocument, read_document
from executor.formats.litegraph import as_native
from tests.executor.comfyui_files import CATALOGUE, JSON, LOADER, SUBGRAPH, Raw, convert, raw, sampler, socket


def instance(node_id: int, link: int, **more: Any) -> Raw:
    outputs = [{"name": "LATENT", "type": "LATENT"}]
    return raw(node_id, "aaaa-bbbb", [socket("model", link)], [], outputs=outputs, **more)


def test_a_subgraph_becomes_its_nodes_wired_through_its_borders():
    nodes = convert(
        [LOADER, instance(4, 1), raw(7, "Save", [socket("images", 2, "LATENT")])],
        [[1, 1, 0, 4, 0, "MODEL"], [2, 4, 0, 7, 0, "LATENT"]],
        definitions={"subgraphs": [SUBGRAPH]},
    )
    assert set(nodes) == {"1", "7", "4:5", "4:6"}
    assert nodes["4:5"]["inputs"]["model"] == ["1", 0]
    assert nodes["4:6"]["inputs"]["latent"] == ["4:5", 0]
    assert nodes["7"]["inputs"]["images"] == ["4:6", 0]


def test_a_bypassed_subgraph_hands_on_what_fits_and_mutes_its_nodes_in_effect():
    passing = instance(4, 1, mode=4)
    passing["inputs"].append(socket("latent", 3, "LATENT"))
    nodes = convert(
        [LOADER, passing, raw(7, "Save", [socket("images", 2, "LATENT")]), sampler(9, link=None)],
        [[1, 1, 0, 4, 0, "MODEL"], [2, 4, 0, 7, 0, "LATENT"], [3, 9, 0, 4, 1, "LATENT"]],
        definitions={"subgraphs": [SUBGRAPH]},
    )
    assert nodes["7"]["inputs"]["images"] == ["9", 0]
    assert nodes["4:5"]["_meta"]["mode"] == "bypass"


def test_a_muted_subgraph_leaves_a_link_to_the_muted_node_inside():
    nodes = convert(
        [LOADER, instance(4, 1, mode=2), raw(7, "Save", [socket("images", 2, "LATENT")])],
        [[1, 1, 0, 4, 0, "MODEL"], [2, 4, 0, 7, 0, "LATENT"]],
        definitions={"subgraphs": [SUBGRAPH]},
    )
    assert nodes["7"]["inputs"]["images"] == ["4:6", 0]
    assert nodes["4:6"]["_meta"]["mode"] == "mute"


def test_what_a_muted_subgraph_only_passes_on_is_muted_with_it():
    passing = {**SUBGRAPH, "nodes": [{**SUBGRAPH["nodes"][0]}, {**SUBGRAPH["nodes"][1], "mode": 4}]}
    nodes = convert(
        [LOADER, instance(4, 1, mode=2), raw(7, "Save", [socket("images", 2, "LATENT")])],
        [[1, 1, 0, 4, 0, "MODEL"], [2, 4, 0, 7, 0, "LATENT"]],
        definitions={"subgraphs": [passing]},
    )
    assert "images" not in nodes["7"]["inputs"]


def test_a_subgraph_in_a_subgraph_and_a_promoted_widget_are_followed():
    inner = {
        **SUBGRAPH,
        "nodes": [
            raw(
                5,
                "KSampler",
                [socket("model", 50), socket("steps", 54, "INT", widget={"name": "steps"})],
                [1, "fixed", 2],
            )
        ],
        "links": [
            *SUBGRAPH["links"][:1],
            {"id": 54, "origin_id": -10, "origin_slot": 1, "target_id": 5, "target_slot": 1, "type": "INT"},
        ],
    }
    outer = {
        "id": "cccc",
        "name": "Outer",
        "nodes": [
            raw(3, "aaaa-bbbb", [socket("model", 60), socket("steps", None, "INT", widget={"name": "steps"})], [44]),
        ],
        "links": [{"id": 60, "origin_id": -10, "origin_slot": 0, "target_id": 3, "target_slot": 0, "type": "MODEL"}],
    }
    nodes = convert(
        [LOADER, raw(4, "cccc", [socket("model", 1)])],
        [[1, 1, 0, 4, 0, "MODEL"]],
        definitions={"subgraphs": [inner, outer]},
    )
    assert nodes["4:3:5"]["inputs"]["model"] == ["1", 0]
    assert nodes["4:3:5"]["inputs"]["steps"] == 44


def border_link(number: int, slot: int, target: int, target_slot: int) -> Raw:
    ends = {"origin_id": -10, "origin_slot": slot, "target_id": target, "target_slot": target_slot}
    return {"id": number, **ends}


STEPS = {"widget": {"name": "steps"}}
PROMOTING = {
    "id": "dddd",
    "name": "Promoting",
    "inputs": [
        {"name": "seed", "type": "INT"},
        {"name": "steps", "type": "INT"},
        {"name": "latent", "type": "LATENT"},
        {"name": "model", "type": "MODEL"},
    ],
    "nodes": [
        raw(
            5,
            "KSampler",
            [
                socket("model", 50),
                socket("seed", 51, "INT", widget={"name": "seed"}),
                socket("steps", 52, "INT", **STEPS),
                socket("latent", 53, "LATENT"),
            ],
            [1, "fixed", 2, "euler"],
        ),
        raw(6, "Show", [socket("anything", 54, "*")]),
    ],
    "links": [
        border_link(51, 0, 5, 1),
        border_link(52, 1, 5, 2),
        border_link(53, 2, 5, 3),
        border_link(50, 3, 5, 0),
        border_link(54, 1, 6, 0),
    ],
}


def promoted(inputs: list[Raw], values: list[Any], *definitions: Raw, kind: str = "dddd") -> Raw:
    subgraphs = {"subgraphs": [PROMOTING, *definitions]}
    return convert([LOADER, raw(4, kind, inputs, values)], [[1, 1, 0, 4, 0, "MODEL"]], definitions=subgraphs)


@pytest.mark.parametrize("values", [[7, 33], [7, "randomize", 33]])
def test_the_inputs_of_an_instance_are_told_by_name_and_its_values_by_the_promoted_ones(values: list[Any]):
    nodes = promoted([socket("model", 1)], values)
    assert nodes["4:5"]["inputs"]["model"] == ["1", 0]
    assert nodes["4:5"]["inputs"]["seed"] == 7
    assert nodes["4:5"]["inputs"]["steps"] == 33
    assert "latent" not in nodes["4:5"]["inputs"]


def test_a_socket_inside_gets_the_value_of_the_promoted_input_that_feeds_it():
    assert promoted([socket("model", 1)], [7, 33])["4:6"]["inputs"] == {"anything": 33}


def test_without_values_of_the_instance_those_inside_count():
    nodes = promoted([socket("model", 1)], [])
    assert (nodes["4:5"]["inputs"]["seed"], nodes["4:5"]["inputs"]["steps"]) == (1, 2)


def test_of_two_inputs_with_one_name_the_type_tells_which_is_linked():
    twice = {**PROMOTING, "inputs": [*PROMOTING["inputs"][:2], {"name": "model", "type": "LATENT"}]}
    twice["inputs"].append({"name": "model", "type": "MODEL"})
    subgraphs = {"subgraphs": [twice]}
    nodes = convert([LOADER, raw(4, "dddd", [socket("model", 1)])], [[1, 1, 0, 4, 0, "MODEL"]], definitions=subgraphs)
    assert nodes["4:5"]["inputs"]["model"] == ["1", 0]
    assert "latent" not in nodes["4:5"]["inputs"]


def test_an_input_promoted_twice_keeps_its_place_among_the_values():
    outer = {
        "id": "eeee",
        "name": "Outer",
        "inputs": [{"name": "model", "type": "MODEL"}, {"name": "steps", "type": "INT"}],
        "nodes": [raw(3, "dddd", [socket("steps", 61, "INT", **STEPS), socket("model", 60)], [8, 9])],
        "links": [border_link(60, 0, 3, 3), border_link(61, 1, 3, 1)],
    }
    nodes = promoted([socket("model", 1)], [44], outer, kind="eeee")
    assert nodes["4:3:5"]["inputs"]["model"] == ["1", 0]
    assert nodes["4:3:5"]["inputs"]["steps"] == 44
    assert nodes["4:3:5"]["inputs"]["seed"] == 8


def proxied(proxies: Any, values: list[Any], *definitions: Raw, kind: str = "dddd") -> Raw:
    """The nodes of an instance that says in which order it shows its widgets."""
    made = raw(4, kind, [socket("model", 1)], values, properties={"proxyWidgets": proxies})
    subgraphs = {"subgraphs": [PROMOTING, *definitions]}
    return convert([LOADER, made], [[1, 1, 0, 4, 0, "MODEL"]], definitions=subgraphs)


REORDERED = [["-1", "steps"], ["-1", "seed"]]


@pytest.mark.parametrize("proxies", [REORDERED, json.dumps(REORDERED)])
def test_an_instance_says_in_which_order_it_shows_its_widgets(proxies: Any):
    inputs = proxied(proxies, [33, 7])["4:5"]["inputs"]
    assert (inputs["seed"], inputs["steps"], inputs["sampler_name"]) == (7, 33, "euler")


def test_a_null_for_the_widget_of_a_node_inside_leaves_its_own_value():
    proxies = [["-1", "steps"], ["5", "sampler_name"], ["5", "control_after_generate"], ["-1", "seed"]]
    inputs = proxied(proxies, [33, None, None, 7])["4:5"]["inputs"]
    assert (inputs["seed"], inputs["steps"], inputs["sampler_name"]) == (7, 33, "euler")
    fewer = proxied(proxies, [33])["4:5"]["inputs"]
    assert (fewer["seed"], fewer["steps"]) == (1, 33)


def test_a_value_for_the_widget_of_a_node_inside_is_that_nodes():
    inputs = proxied([["5", "sampler_name"], *REORDERED], ["ddim", 33, 7])["4:5"]["inputs"]
    assert (inputs["seed"], inputs["steps"], inputs["sampler_name"]) == (7, 33, "ddim")


def test_a_widget_inside_that_an_input_leads_to_is_that_input():
    nodes = proxied([["5", "steps"], ["5", "seed"]], [33, 7])
    assert (nodes["4:5"]["inputs"]["seed"], nodes["4:5"]["inputs"]["steps"]) == (7, 33)
    assert nodes["4:6"]["inputs"] == {"anything": 33}


def test_inputs_that_are_not_named_come_before_the_widgets_that_are():
    inputs = proxied([["5", "sampler_name"]], [7, 33, "ddim"])["4:5"]["inputs"]
    assert (inputs["seed"], inputs["steps"], inputs["sampler_name"]) == (7, 33, "ddim")


def test_pictures_that_an_instance_shows_have_no_say_in_the_order():
    inputs = proxied([["6", "$$canvas-image-preview"]], [7, 33])["4:5"]["inputs"]
    assert (inputs["seed"], inputs["steps"]) == (7, 33)


def test_the_widget_of_a_subgraph_inside_is_reached_through_both():
    outer = {
        "id": "eeee",
        "name": "Outer",
        "inputs": [{"name": "model", "type": "MODEL"}],
        "nodes": [raw(3, "dddd", [socket("model", 60)], [8, 9])],
        "links": [border_link(60, 0, 3, 3)],
    }
    inputs = proxied([["3", "5: steps"]], [44], outer, kind="eeee")["4:3:5"]["inputs"]
    assert (inputs["seed"], inputs["steps"]) == (8, 44)


def test_the_value_of_a_primitive_inside_can_be_held_outside():
    steps = socket("steps", 70, "INT", **STEPS)
    inner = {
        "id": "ffff",
        "name": "With a primitive",
        "nodes": [raw(7, "PrimitiveNode", [], [20, "fixed"]), raw(5, "KSampler", [steps], [1, "fixed", 2, "euler"])],
        "links": [{"id": 70, "origin_id": 7, "origin_slot": 0, "target_id": 5, "target_slot": 0}],
    }
    assert proxied([["7", "value"]], [30], inner, kind="ffff")["4:5"]["inputs"]["steps"] == 30
    assert proxied([["7", "value"]], [None], inner, kind="ffff")["4:5"]["inputs"]["steps"] == 20


@given(JSON | st.lists(st.lists(st.sampled_from(["-1", "5", "steps", "seed", 6]) | JSON)), JSON)
def test_no_order_however_odd_makes_the_reading_fail(proxies: Any, values: Any):
    assert "4:5" in proxied(proxies, values)


def test_a_subgraph_that_contains_itself_is_refused():
    endless = {"id": "loop", "name": "Loop", "nodes": [raw(1, "loop")], "links": []}
    with pytest.raises(BadDocument, match="contains itself"):
        convert([raw(1, "loop")], [], definitions={"subgraphs": [endless]})


def test_a_group_in_a_subgraph_is_moved_as_its_nodes_are():
    frames = [{"title": "Second pass", "bounding": [0, 10, 300, 200], "color": "#f00"}, {"bounding": [1, 2, 3]}]
    body = {
        "nodes": [LOADER, instance(4, 1, pos=[500, 600])],
        "links": [[1, 1, 0, 4, 0, "MODEL"]],
        "groups": [{"title": "All", "bounding": [0, 0, 5, 5], "color": None}, {"bounding": [10**400, 0, 1, 1]}],
        "definitions": {"subgraphs": [{**SUBGRAPH, "groups": frames}]},
    }
    assert as_native(read_document(body), CATALOGUE).groups == (
        {"title": "All", "bounds": [0, 0, 5, 5], "color": None},
        {"title": "Second pass", "bounds": [490, 590, 300, 200], "color": "#f00"},
    )


def test_a_note_in_a_subgraph_is_moved_as_its_nodes_are():
    note = raw(8, "Note", values=["inside"], pos=[40, 70], size=[200, 90])
    body = {
        "nodes": [LOADER, instance(4, 1, pos=[500, 600])],
        "links": [[1, 1, 0, 4, 0, "MODEL"]],
        "definitions": {"subgraphs": [{**SUBGRAPH, "nodes": [*SUBGRAPH["nodes"], note]}]},
    }
    document = as_native(read_document(body), CATALOGUE)
    assert document.nodes["4:5"]["_meta"]["pos"] == [500, 600]
    assert [(each["text"], each["bounds"]) for each in document.groups] == [("inside", [530, 650, 200, 90])]
