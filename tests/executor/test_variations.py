"""Prompts and plots from the command line, on documents alone."""

from __future__ import annotations

from typing import Any

import pytest

from executor.formats import read_document
from executor.formats.document import Document
from executor.variations import WrongUsage, with_plot, with_prompts
from tests.executor.conftest import document, n


def given(**more: Any) -> Document:
    return read_document(
        document(
            {
                "1": n("CLIPTextEncode", text="old"),
                "2": n("CLIPTextEncode", text="bad"),
                "3": n("ControlNetApplyAdvanced", positive=["1", 0], negative=["2", 0]),
                "4": n("KSampler", positive=["3", 0], negative=["3", 1]),
                "5": n("VAEDecode", samples=["4", 0]),
                "6": n("SaveImage", images=["5", 0], filename_prefix="mine"),
                **more,
            }
        )
    )


def texts(made: Document) -> list[str]:
    return [made.nodes[name]["inputs"]["text"] for name in ("1", "2")]


def test_the_prompt_that_leads_to_the_positive_side_is_found():
    made = list(with_prompts(given(), ["a fox", "a boat"], None))
    assert [texts(each) for each in made] == [["a fox", "bad"], ["a boat", "bad"]]


def test_an_input_can_be_named_for_the_prompts():
    (made,) = with_prompts(given(), ["a fox"], "2.text")
    assert texts(made) == ["old", "a fox"]


def test_several_prompts_that_it_could_be_are_named():
    other = {"7": n("CLIPTextEncode", text="x"), "8": n("KSampler", positive=["7", 0], negative=["2", 0])}
    with pytest.raises(WrongUsage, match=r"of 1, 7 takes"):
        list(with_prompts(given(**other), ["a fox"], None))
    with pytest.raises(WrongUsage, match=r"NODE\.INPUT"):
        list(with_prompts(given(), ["a fox"], "text"))


def test_a_plot_takes_the_place_of_what_saves_the_pictures():
    made = with_plot(given(), "KSampler.cfg=4, 7", "1.text=a fox\na boat")
    assert made.nodes["6"]["class_type"] == "XYPlot"
    assert made.nodes["6"]["inputs"] == {
        "images": ["5", 0], "filename_prefix": "mine", "x": "KSampler.cfg", "x_values": "4, 7",
        "y": "1.text", "y_values": "a fox\na boat",
    }  # fmt: skip
    down = with_plot(given(), None, "KSampler.seed=1..3").nodes["6"]["inputs"]
    assert (down["x"], down["y"]) == ("", "KSampler.seed")
    assert with_plot(given(), None, None) == given()


def test_a_plot_needs_one_node_that_saves_pictures():
    with pytest.raises(WrongUsage, match="exactly one"):
        with_plot(given(**{"9": n("PreviewImage", images=["5", 0])}), "KSampler.cfg=4", None)
    with pytest.raises(WrongUsage, match=r"NODE\.INPUT=VALUE"):
        with_plot(given(), "cfg", None)
