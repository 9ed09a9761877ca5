"""Documents are read strictly, from JSON and from pictures, and what can't be read says why."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from executor.formats import BadDocument, read_bytes, read_document, read_file, read_text
from executor.formats import document as limits
from executor.graph import Link, parse
from tests.executor.conftest import document, n

NODES = {"1": n("Number", value=1), "2": n("End", value=["1", 0])}


def code(data: bytes | str) -> str:
    with pytest.raises(BadDocument) as caught:
        read_text(data)
    return caught.value.problem.code


def test_a_native_document_comes_back_as_it_was():
    native = document(NODES, groups=[{"title": "g"}], subgraphs={}, extra={"title": "Boat"})
    read = read_text(json.dumps(native))
    assert read.to_json() == native
    assert read.title == "Boat"
    assert json.loads(read.to_text()) == native


@pytest.mark.parametrize("body", [NODES, {"prompt": NODES}, {"workflow": document(NODES)}, {"prompt": document(NODES)}])
def test_prompts_and_wrapped_documents_give_the_same_nodes(body: dict[str, Any]):
    read = read_text(json.dumps(body))
    assert dict(read.nodes) == NODES
    assert read_text(read.to_text()).nodes == read.nodes


def test_a_bare_prompt_may_have_a_node_called_prompt():
    assert set(read_document({"prompt": n("End", value=["1", 0]), "1": n("Number")}).nodes) == {"prompt", "1"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"1": {"class_type": "Number", "inputs": {"value": NaN}}}', "not_finite"),
        (b'{"1": {"class_type": "Number", "inputs": {"value": -Infinity}}}', "not_finite"),
        (b"{", "bad_document"),
        (b"", "bad_document"),
        (b"\xff\xfe{}", "bad_document"),
        (b"[]", "bad_document"),
        (b"{}", "bad_document"),
        (b'"text"', "bad_document"),
        (b'{"a": 1}', "bad_document"),
        (b"[" * 100_000, "bad_document"),
        (b'{"n": ' + b"9" * 5000 + b"}", "bad_document"),
        (b'{"format": "latentgraph/2", "nodes": {}}', "unsupported_format"),
        (b'{"format": "other", "nodes": {}}', "unsupported_format"),
        (b'{"format": "latentgraph/1"}', "bad_document"),
        (b'{"format": "latentgraph/1", "nodes": {}, "groups": {}}', "bad_document"),
        (b'{"prompt": {"prompt": {"prompt": {"prompt": {}}}}}', "bad_document"),
    ],
)
def test_what_is_no_document_is_refused(data: bytes, expected: str):
    assert code(data) == expected


@pytest.mark.parametrize("wrap", ["%s", '{"workflow": %s}', '{"format": "latentgraph/1", "nodes": %s}'])
def test_a_number_that_is_none_is_told_with_its_node_and_input(wrap: str):
    nodes = '{"2": {"class_type": "End", "inputs": {}}, "1": {"class_type": "Number", "inputs": {"value": NaN}}}'
    with pytest.raises(BadDocument) as caught:
        read_text(wrap % nodes)
    problem = caught.value.problem
    assert (problem.code, problem.node, problem.class_type, problem.input) == ("not_finite", "1", "Number", "value")
    assert problem.message.startswith("'value' of node '1' (Number) is NaN")


def test_a_number_that_is_none_in_a_file_of_comfyuis_editor_is_told_with_its_node():
    with pytest.raises(BadDocument) as caught:
        read_text('{"nodes": [{"id": 4, "type": "Number", "inputs": [], "widgets_values": [-Infinity]}], "links": []}')
    assert (caught.value.problem.node, caught.value.problem.class_type) == ("4", "Number")
    assert code('{"nodes": [], "links": [], "extra": {"scale": NaN}}') == "not_finite"


def test_a_newer_format_says_so():
    with pytest.raises(BadDocument, match="made by a newer version"):
        read_text('{"format": "latentgraph/2", "nodes": {}}')


def test_documents_and_node_counts_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MAX_DOCUMENT_BYTES", 50)
    assert code(json.dumps(document(NODES))) == "too_large"
    monkeypatch.setattr(limits, "MAX_DOCUMENT_BYTES", 5000)
    monkeypatch.setattr(limits, "MAX_NODES", 1)
    assert code(json.dumps(document(NODES))) == "too_large"


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_any_bytes_either_read_or_are_refused(data: bytes | str):
    with contextlib.suppress(BadDocument):
        assert read_text(data).nodes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)
ENTRY = st.fixed_dictionaries({}, optional={"class_type": JSON, "inputs": JSON, "_meta": JSON})


@given(st.dictionaries(st.text(max_size=70), ENTRY | JSON, max_size=4))
def test_any_nodes_parse_into_a_graph_and_problems(nodes: dict[str, Any]):
    graph, problems = parse(read_document({"format": "latentgraph/1", "nodes": nodes}))
    left_out = set(nodes) - set(graph.nodes)
    assert len(problems) >= len(left_out)


def test_links_literals_and_wrapped_lists_are_told_apart():
    graph, problems = parse(
        read_document(document({"1": n("X", link=["2", 1], number=[1, 2], wrapped={"__value__": ["2", 1]}, text="a")}))
    )
    assert problems == []
    assert graph.nodes["1"].inputs == {"link": Link("2", 1), "number": [1, 2], "wrapped": ["2", 1], "text": "a"}
    written = graph.to_prompt()
    assert parse(read_document(written))[0].nodes["1"].inputs == graph.nodes["1"].inputs


@pytest.mark.parametrize("good", ["12:3", "load checkpoint", "Größe", "a/b#1", "x" * 200])
def test_an_id_may_be_any_line_of_text(good: str):
    graph, problems = parse(read_document(document({good: n("Number"), "end": n("End", value=[good, 0])})))
    assert problems == []
    assert graph.nodes["end"].inputs == {"value": Link(good, 0)}


@pytest.mark.parametrize("bad", ["", "..", "../x", "a/../b", "x" * 201, "a\n", "\0", "\ud800", 'a"b', "a\\b"])
def test_an_id_that_is_no_line_of_text_breaks_a_selector_or_leads_up_is_refused(bad: str):
    _, problems = parse(read_document(document({bad: n("Number")})))
    assert [each.code for each in problems] == ["bad_node_id"]


def test_a_text_of_five_megabytes_names_its_node_and_input():
    _, problems = parse(read_document(document({"7": n("Text", text="x" * 5_000_000)})))
    assert [(each.code, each.node, each.input) for each in problems] == [("too_large", "7", "text")]
    assert parse(read_document(document({"7": n("Text", text="x" * (1 << 20))})))[1] == []


def test_a_literal_nested_without_end_is_refused():
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    _, problems = parse(read_document(document({"1": n("End", value=deep)})))
    assert [each.code for each in problems] == ["bad_document"]


def png(**texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        info.add_text(key, value, zip=key == "workflow")
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def webp(**texts: str) -> bytes:
    exif = Image.Exif()
    for tag, key in ((0x010F, "workflow"), (0x0110, "prompt")):
        if key in texts:
            exif[tag] = f"{key}:{texts[key]}"
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "WEBP", exif=exif)
    return file.getvalue()


def test_what_is_no_number_in_a_picture_is_nothing():
    prompt = json.dumps({"1": {**n("Number", value=1), "is_changed": [float("nan")]}, "2": n("X", a=float("inf"))})
    read = read_bytes(png(prompt=prompt))
    assert read.nodes["1"]["is_changed"] == [None]
    assert read.nodes["2"]["inputs"] == {"a": None}
    assert read_text(read.to_text()).nodes == read.nodes


@pytest.mark.parametrize("workflow", ["{", "null", "{}", '{"nodes": [], "links": []}', '{"nodes": [{}], "links": []}'])
def test_the_prompt_of_a_picture_counts_when_its_workflow_cannot_be_read_or_is_empty(workflow: str):
    assert dict(read_bytes(png(workflow=workflow, prompt=json.dumps(NODES))).nodes) == NODES


@pytest.mark.parametrize("picture", [png, webp])
def test_a_picture_gives_back_its_workflow(picture: Any, tmp_path: Path):
    native = document(NODES, extra={"title": "Boot ü"})
    data = picture(workflow=json.dumps(native), prompt=json.dumps({"9": n("Number")}))
    file = tmp_path / "picture.bin"
    file.write_bytes(data)
    assert dict(read_file(file).nodes) == NODES
    assert read_file(file).title == "Boot ü"


@pytest.mark.parametrize("picture", [png, webp])
def test_a_picture_of_comfyui_gives_its_editor_file_which_holds_the_layout(picture: Any):
    workflow = {"nodes": [{"id": 1, "type": "Number"}], "links": []}
    data = picture(workflow=json.dumps(workflow), prompt=json.dumps(NODES))
    assert read_bytes(data).litegraph == workflow


@pytest.mark.parametrize("picture", [png, webp])
def test_a_picture_with_a_damaged_editor_file_falls_back_to_its_prompt(picture: Any):
    data = picture(workflow='{"nodes": [3], "links": []}', prompt=json.dumps(NODES))
    assert dict(read_bytes(data).nodes) == NODES


@pytest.mark.parametrize("picture", [png, webp])
def test_a_picture_without_a_workflow_says_so(picture: Any):
    with pytest.raises(BadDocument, match="no workflow in this picture"):
        read_bytes(picture())


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damaged_pictures_never_break_the_reader(noise: bytes, at: int):
    for data in (png(prompt=json.dumps(NODES)), webp(prompt=json.dumps(NODES))):
        damaged = data[:at] + noise + data[at + len(noise) :]
        with contextlib.suppress(BadDocument):
            assert read_bytes(damaged).nodes


def test_a_compressed_text_is_not_inflated_without_bound(monkeypatch: pytest.MonkeyPatch):
    from executor.formats import pictures

    monkeypatch.setattr(pictures, "MAX_TEXT", 1000)
    with pytest.raises(BadDocument, match="'workflow' in this picture has more than 1,000 bytes") as caught:
        read_bytes(png(workflow="x" * 100_000))
    assert caught.value.problem.code == "too_large"


def test_a_compressed_text_that_is_damaged_is_told_in_words_unless_another_will_do():
    whole = png(workflow=json.dumps(NODES))
    at = whole.index(b"workflow\0\0") + len(b"workflow\0\0")
    damaged = whole[: at + 8] + bytes(8) + whole[at + 16 :]
    with pytest.raises(BadDocument, match="'workflow' in this picture is damaged"):
        read_bytes(damaged)
    both = png(workflow=json.dumps(NODES), prompt=json.dumps(NODES))
    damaged = both[: at + 8] + bytes(8) + both[at + 16 :]
    assert dict(read_bytes(damaged).nodes) == NODES
