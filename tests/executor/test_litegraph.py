"""Files of ComfyUI's editor become the graph that ComfyUI would have run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.formats import BadDocument, read_document
from executor.formats.litegraph import as_native
from tests.executor.comfyui_files import CATALOGUE, JSON, LOADER, SUBGRAPH, Raw, convert, raw, sampler, socket


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


def test_notes_become_groups_with_their_text_place_size_title_and_colour():
    titled = raw(5, "MarkdownNote", values=["# Hello"], title="Read me", size=[300, 120.5], color="#432")
    plain = raw(6, "Note", values=["Use *two* steps"], title="Note", size={"0": 200, "1": 90})
    bare = raw(7, "Note", values=["No size"], color=3)
    silent = [raw(8, "Note", values=[""]), raw(9, "MarkdownNote", values=[3]), raw(10, "Note")]
    document = as_native(read_document({"nodes": [LOADER, titled, plain, bare, *silent], "links": []}), CATALOGUE)
    assert set(document.nodes) == {"1"}
    assert document.groups == (
        {"title": "Read me", "bounds": [10, 20, 300, 120.5], "color": "#432", "text": "# Hello"},
        {"title": "", "bounds": [10, 20, 200, 90], "color": None, "text": "Use *two* steps"},
        {"title": "", "bounds": [10, 20, 300, 160], "color": None, "text": "No size"},
    )
    assert document.notes == ()


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
