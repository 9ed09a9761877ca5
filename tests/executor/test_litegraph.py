"""Files of ComfyUI's editor become the graph that ComfyUI would have run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.formats import BadDocument, read_document
from executor.formats.litegraph import as_native
from nodes.sdk.spec import Catalogue, InputSpec, NodeSpec, OutputSpec

Raw = dict[str, Any]

CATALOGUE = Catalogue(
    (
        NodeSpec(
            "KSampler",
            "KSampler",
            "sampling",
            inputs=(
                InputSpec("model", "MODEL"),
                InputSpec("seed", "INT", default=0, widget="seed"),
                InputSpec("steps", "INT", default=20, widget="number"),
                InputSpec("sampler_name", "COMBO", choices=("euler",), default="euler", widget="choice"),
                InputSpec("latent", "LATENT"),
            ),
            outputs=(OutputSpec("LATENT", "LATENT"),),
        ),
        NodeSpec(
            "CheckpointLoader",
            "Load",
            "loaders",
            aliases=("CheckpointLoaderSimple",),
            inputs=(
                InputSpec("ckpt_name", "COMBO", widget="model", model_kind="checkpoints"),
                InputSpec("config_name", "COMBO", required=False, widget="model", model_kind="configs"),
            ),
            outputs=(OutputSpec("MODEL", "MODEL"),),
        ),
        NodeSpec(
            "CLIPTextEncode",
            "Prompt",
            "conditioning",
            inputs=(InputSpec("text", "STRING", widget="text"), InputSpec("clip", "CLIP")),
            outputs=(OutputSpec("CONDITIONING", "CONDITIONING"),),
        ),
        NodeSpec("Save", "Save", "output", output=True, inputs=(InputSpec("images", "LATENT"),)),
    )
)


def raw(node_id: int, kind: str, inputs: list[Raw] | None = None, values: Any = None, **more: Any) -> Raw:
    return {
        "id": node_id,
        "type": kind,
        "pos": [10, 20],
        "mode": 0,
        "inputs": inputs or [],
        "widgets_values": values,
        **more,
    }


def socket(name: str, link: int | None, kind: str = "MODEL", **more: Any) -> Raw:
    return {"name": name, "type": kind, "link": link, **more}


def convert(nodes: list[Raw], links: list[Any], **body: Any) -> Raw:
    document = read_document({"version": 0.4, "nodes": nodes, "links": links, **body})
    return dict(as_native(document, CATALOGUE).nodes)


LOADER = raw(1, "CheckpointLoaderSimple", values=["a.safetensors"])


def sampler(node_id: int = 2, link: int | None = 1, **more: Any) -> Raw:
    values = [7, "randomize", 12, "euler"]
    return raw(node_id, "KSampler", [socket("model", link), socket("latent", None, "LATENT")], values, **more)


def test_widgets_are_read_by_position_past_the_seed_control():
    nodes = convert([LOADER, sampler(title="My sampler", color="#223")], [[1, 1, 0, 2, 0, "MODEL"]])
    assert nodes["1"]["inputs"] == {"ckpt_name": "a.safetensors"}
    assert nodes["2"]["inputs"] == {"seed": 7, "steps": 12, "sampler_name": "euler", "model": ["1", 0]}
    assert nodes["2"]["_meta"] == {
        "pos": [10.0, 20.0],
        "title": "My sampler",
        "color": "#223",
        "seed_control": {"seed": "randomize"},
    }


def test_a_file_without_seed_controls_is_read_too():
    old = raw(2, "KSampler", [], [7, 12, "euler"])
    assert convert([old], [])["2"]["inputs"] == {"seed": 7, "steps": 12, "sampler_name": "euler"}
    named = raw(2, "KSampler", [], {"steps": 3, "odd": 1})
    assert convert([named], [])["2"]["inputs"] == {"steps": 3}


def test_values_of_another_type_are_converted_to_that_of_their_widget():
    node = convert([raw(2, "KSampler", [], ["7", "fixed", 12.9, "euler"])], [])["2"]
    assert node["inputs"] == {"seed": 7, "steps": 12, "sampler_name": "euler"}
    assert convert([raw(2, "KSampler", [], ["x", "fixed"])], [])["2"]["inputs"] == {"seed": "x"}


@pytest.mark.parametrize(("switch", "control"), [(True, "randomize"), (False, "fixed")])
def test_the_switch_that_seeds_had_at_first_is_their_control(switch: bool, control: str):
    node = convert([raw(2, "KSampler", [], [7, switch, 12, "euler"])], [])["2"]
    assert node["inputs"] == {"seed": 7, "steps": 12, "sampler_name": "euler"}
    assert node["_meta"]["seed_control"] == {"seed": control}


def test_the_old_loader_with_a_config_keeps_its_order():
    old = raw(1, "CheckpointLoader", values=["v1-inference.yaml", "a.ckpt"])
    assert convert([old], [])["1"]["inputs"] == {"config_name": "v1-inference.yaml", "ckpt_name": "a.ckpt"}


def test_a_link_wins_over_the_value_of_its_widget():
    linked = socket("steps", 5, "INT", widget={"name": "steps"})
    node = raw(2, "KSampler", [linked], [7, "fixed", 12, "euler"])
    nodes = convert([LOADER, node], [[5, 1, 0, 2, 0, "INT"]])
    assert nodes["2"]["inputs"]["steps"] == ["1", 0]


def test_reroutes_and_primitives_become_what_they_stand_for():
    nodes = convert(
        [
            LOADER,
            raw(8, "Reroute", [socket("", 1)]),
            raw(9, "Reroute", [socket("", 2)]),
            raw(10, "PrimitiveNode", values=[33, "fixed"]),
            raw(11, "Note", values=["hello"]),
            raw(
                2,
                "KSampler",
                [socket("model", 3), socket("steps", 4, "INT", widget={"name": "steps"})],
                [7, "fixed", 1],
            ),
        ],
        [[1, 1, 0, 8, 0, "*"], [2, 8, 0, 9, 0, "*"], [3, 9, 0, 2, 0, "*"], [4, 10, 0, 2, 1, "INT"]],
    )
    assert set(nodes) == {"1", "2"}
    assert nodes["2"]["inputs"]["model"] == ["1", 0]
    assert nodes["2"]["inputs"]["steps"] == 33


def test_reroutes_in_a_circle_and_links_to_nowhere_end_nowhere():
    nodes = convert(
        [
            raw(8, "Reroute", [socket("", 2)]),
            raw(9, "Reroute", [socket("", 1)]),
            raw(2, "KSampler", [socket("model", 3), socket("latent", 99)]),
        ],
        [[1, 8, 0, 9, 0, "*"], [2, 9, 0, 8, 0, "*"], [3, 9, 0, 2, 0, "*"], [99, 77, 0, 2, 1, "*"]],
    )
    assert nodes["2"]["inputs"] == {}


def test_muted_and_bypassed_nodes_keep_their_mode():
    nodes = convert([{**LOADER, "mode": 2}, sampler(mode=4)], [[1, 1, 0, 2, 0, "MODEL"]])
    assert nodes["1"]["_meta"]["mode"] == "mute"
    assert nodes["2"]["_meta"]["mode"] == "bypass"


def passed(inputs: list[Raw], slot: int, wanted: str, outputs: tuple[str, ...] = ("MODEL",)) -> str | None:
    """Which input of a bypassed node of an unknown class stands in for an output."""
    named = [{"name": kind, "type": kind} for kind in outputs]
    nodes = convert(
        [LOADER, raw(8, "Stranger", inputs, mode=4, outputs=named), raw(9, "Other", [socket("in", 2, wanted)])],
        [[1, 1, 0, 8, 0, "MODEL"], [2, 8, slot, 9, 0, wanted]],
    )
    assert nodes["9"]["inputs"]["in"] == ["8", slot]
    return nodes["8"]["_meta"]["passes"][str(slot)]


def test_a_bypassed_node_passes_on_by_its_slots_for_the_type_that_is_wanted():
    both = [socket("clip", None, "CLIP"), socket("model", 1), socket("other", 1)]
    assert passed(both, 0, "MODEL") == "model"
    assert passed(both, 2, "MODEL", ("A", "B", "MODEL")) == "other"
    assert passed(both, 1, "*", ("A", "B")) == "model"
    assert passed(both, 3, "*", ("A", "B", "C", "D")) == "clip"
    assert passed(both, 0, "VAE") is None
    assert passed([socket("any", None, "*"), socket("model", 1)], 0, "MODEL") == "any"
    assert passed([socket("clip", 1, "CLIP"), socket("any", None, "*")], 0, "MODEL") == "any"


def test_what_passes_a_chain_of_bypassed_nodes_is_decided_by_the_last_consumer():
    switch = [socket("a", 3, "*"), socket("b", None, "MODEL")]
    nodes = convert(
        [
            LOADER,
            raw(7, "Switch", [socket("x", 1, "MODEL"), socket("y", None, "*")], mode=4, outputs=[{"type": "*"}]),
            raw(8, "Switch", switch, mode=4, outputs=[{"type": "*"}]),
            raw(9, "Other", [socket("in", 2)]),
        ],
        [[1, 1, 0, 7, 0, "MODEL"], [3, 7, 0, 8, 0, "*"], [2, 8, 0, 9, 0, "MODEL"]],
    )
    assert nodes["8"]["_meta"]["passes"] == {"0": "a"}
    assert nodes["7"]["_meta"]["passes"] == {"0": "x"}


def test_unknown_nodes_that_nothing_is_linked_to_are_left_out_with_a_note():
    helper = raw(3, "Fast Groups Muter (rgthree)", outputs=[{"name": "OPT_CONNECTION", "type": "*", "links": None}])
    body = {"nodes": [LOADER, helper, raw(4, "Stranger", [socket("model", 1)])], "links": [[1, 1, 0, 4, 0, "MODEL"]]}
    document = as_native(read_document(body), CATALOGUE)
    assert set(document.nodes) == {"1", "4"}
    assert [(each.code, each.node) for each in document.notes] == [("unknown_node", "3")]


def test_a_link_to_an_input_that_a_node_does_not_have_is_left_out_with_a_note():
    body = {"nodes": [LOADER, raw(2, "KSampler", [socket("tone", 1)])], "links": [[1, 1, 0, 2, 0, "MODEL"]]}
    document = as_native(read_document(body), CATALOGUE)
    assert document.nodes["2"]["inputs"] == {}
    assert [(each.code, each.node, each.input) for each in document.notes] == [("unknown_input", "2", "tone")]


def test_the_dynamic_prompts_of_a_file_are_settled_and_a_choice_is_noted():
    plain = raw(2, "CLIPTextEncode", values=["{a} boat // red"])
    body = {"nodes": [plain, raw(3, "CLIPTextEncode", values=["{red|green}"])], "links": []}
    body["links"] = [[1, 2, 0, 4, 0, "CONDITIONING"], [2, 3, 0, 4, 0, "CONDITIONING"]]
    document = as_native(read_document(body), CATALOGUE)
    assert document.nodes["2"]["inputs"] == {"text": "a boat "}
    assert document.nodes["3"]["inputs"]["text"] in ("red", "green")
    assert [(each.code, each.node, each.input) for each in document.notes] == [("alternatives", "3", "text")]


def test_groups_and_positions_written_as_objects_come_along():
    body = {"groups": [{"title": "G", "bounding": [0, 0, 5, 5], "color": "#f00"}]}
    placed = {**LOADER, "pos": {"0": 3, "1": 4}, "flags": {"collapsed": True}}
    document = as_native(read_document({"nodes": [placed], "links": [], **body}), CATALOGUE)
    assert document.groups == ({"title": "G", "bounds": [0, 0, 5, 5], "color": "#f00"},)
    assert document.nodes["1"]["_meta"] == {"pos": [3.0, 4.0], "collapsed": True}


SUBGRAPH = {
    "id": "aaaa-bbbb",
    "name": "Sample twice",
    "nodes": [
        sampler(5, link=50),
        raw(6, "KSampler", [socket("model", 52), socket("latent", 51, "LATENT")], [1, "fixed", 2]),
    ],
    "links": [
        {"id": 50, "origin_id": -10, "origin_slot": 0, "target_id": 5, "target_slot": 0, "type": "MODEL"},
        {"id": 52, "origin_id": -10, "origin_slot": 0, "target_id": 6, "target_slot": 0, "type": "MODEL"},
        {"id": 51, "origin_id": 5, "origin_slot": 0, "target_id": 6, "target_slot": 1, "type": "LATENT"},
        {"id": 53, "origin_id": 6, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "LATENT"},
    ],
}


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


def test_a_subgraph_that_contains_itself_is_refused():
    endless = {"id": "loop", "name": "Loop", "nodes": [raw(1, "loop")], "links": []}
    with pytest.raises(BadDocument, match="contains itself"):
        convert([raw(1, "loop")], [], definitions={"subgraphs": [endless]})


@pytest.mark.parametrize(
    "body",
    [
        {"nodes": [3], "links": []},
        {"nodes": [{"id": 1}], "links": []},
        {"nodes": [{"type": "x"}], "links": []},
        {"nodes": [], "links": 3},
    ],
)
def test_damaged_files_are_refused(body: Raw):
    with pytest.raises(BadDocument, match="ComfyUI file"):
        read_document(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-30, 30) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "name", "link", "0", "widget"]), inner)
    ),
    max_leaves=6,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "id": st.integers(0, 3),
                "type": st.sampled_from(["KSampler", "Reroute", "PrimitiveNode", "aaaa-bbbb", "?"]),
            },
            optional=dict.fromkeys(("inputs", "outputs", "widgets_values", "pos", "mode", "flags", "title"), JSON),
        ),
        max_size=5,
    ),
    st.lists(JSON | st.lists(st.integers(-20, 4), min_size=6, max_size=6), max_size=5),
)
def test_no_file_however_odd_makes_the_reading_fail(nodes: list[Raw], links: list[Any]):
    try:
        document = as_native(
            read_document({"nodes": nodes, "links": links, "definitions": {"subgraphs": [SUBGRAPH]}}), CATALOGUE
        )
    except BadDocument:
        return
    assert all(node["class_type"] in ("KSampler", "?") for node in document.nodes.values())
