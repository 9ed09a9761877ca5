"""Files of ComfyUI's editor, as tests write them, and the nodes that they know."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from executor.formats import read_document
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

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-30, 30) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "name", "link", "0", "widget"]), inner)
    ),
    max_leaves=6,
)
