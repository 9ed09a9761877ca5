"""A plot is laid out into cells, runs what differs once each and the rest once, and is saved as one table."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion.errors import BadSize
from diffusion.ops.plot import plot
from executor.bare import BareResources
from executor.cache import Cache
from executor.events import JobDone, JobEvent, JobFailed, JobStarted, NodeDone, NodesCached, NodeStarted
from executor.files import Files
from executor.folders import Folders, OutputNames
from executor.formats import read_document
from executor.prepare import prepare
from executor.run import JobRequest, Services, run_job
from nodes.plot import XYPlot
from nodes.sdk import NodeError, load_packs
from nodes.sdk.axis import MAX_VALUES, axis_values
from tests.executor.conftest import text
from tests.nodes.fake_context import FakeContext
from tests.nodes.test_operations_graph import Graph

PACKS = load_packs()


@pytest.fixture
def services(tmp_path: Path) -> Services:
    folders = Folders.below(tmp_path)
    folders.create()
    files, cache = Files(None, folders), Cache(1 << 26, folders.stamp)
    return Services(PACKS.nodes, PACKS.catalogue, files, cache, folders, OutputNames(folders), BareResources())


def graph(**axes: str) -> Graph:
    made = Graph()
    picture = made.add("EmptyImage", width=48, height=32, batch_size=1, color=0)
    paper = made.add("EmptyImage", width=48, height=32, batch_size=1, color=0xFFFFFF)
    blend = made.add("ImageBlend", image1=picture, image2=paper, blend_factor=0.0, blend_mode="normal")
    made.add("XYPlot", images=blend, **axes)
    return made


TWO: dict[str, str] = {
    "x": "1.color", "x_values": "0, 16711680, 255", "y": "ImageBlend.blend_factor", "y_values": "0\n0.5",
}  # fmt: skip


def run(services: Services, made: Graph) -> tuple[Any, list[JobEvent]]:
    events: list[JobEvent] = []
    return run_job(JobRequest("job", text(made.nodes)), services, events.append, lambda: False), events


def test_every_combination_is_made_and_what_is_alike_only_once(services: Services):
    end, events = run(services, graph(**TWO))
    assert isinstance(end, JobDone), end
    started = Counter(event.node for event in events if isinstance(event, NodeStarted))
    assert started["1"] == 3
    assert started["2"] == 1
    assert started["3"] == 6
    assert started["4"] == 6  # five joins and the plot itself
    assert set(started) == {"1", "2", "3", "4"}
    (total,) = [event.nodes for event in events if isinstance(event, JobStarted)]
    assert [event.finished for event in events if isinstance(event, NodeDone)][-1] == total
    (file,) = end.outputs["4"]
    with Image.open(services.folders.path(file)) as picture:
        saved = json.loads(picture.info["workflow"])["nodes"]
        assert saved["4"]["inputs"]["x"] == "1.color"
        assert len(saved) == 4
        table = np.asarray(picture.convert("RGB"))
    height, width = table.shape[:2]
    left, top = width - 3 * 56 - 8, height - 2 * 40 - 8
    centres = [
        [table[top + 8 + 16 + row * 40, left + 8 + 24 + column * 56].tolist() for column in range(3)]
        for row in range(2)
    ]
    assert centres[0] == [[0, 0, 0], [255, 0, 0], [0, 0, 255]]
    assert [max(cell) for cell in centres[1]] == [127, 255, 255]


def test_a_second_plot_takes_the_cells_it_knows_from_the_cache(services: Services):
    run(services, graph(**TWO))
    end, events = run(services, graph(**{**TWO, "x_values": "0, 255, 65280"}))
    assert isinstance(end, JobDone), end
    started = Counter(event.node for event in events if isinstance(event, NodeStarted))
    assert (started["1"], started["2"], started["3"]) == (1, 0, 2)
    assert any(isinstance(event, NodesCached) and set(event.nodes) <= {"1", "2", "3", "4"} for event in events)


def test_one_axis_makes_one_row_and_none_one_picture(services: Services):
    for axes, cells in (({"x": "EmptyImage.color", "x_values": "1"}, 0), ({"x": "1.color", "x_values": "1..3"}, 3)):
        made = graph(**axes)
        problems = problems_of(made, services)
        assert bool(problems) == (cells == 0)
    end, _ = run(services, graph(x="", x_values=""))
    assert isinstance(end, JobDone)


def problems_of(made: Graph, services: Services) -> list[tuple[str | None, str | None, str]]:
    prepared = prepare(read_document({"nodes": made.nodes, "format": "latentgraph/1"}), PACKS.catalogue, services.files)
    return [(each.node, each.input, each.message) for each in prepared.checked.problems]


@pytest.mark.parametrize(
    ("axes", "place", "words"),
    [
        ({"x": "1.color", "x_values": "red"}, "x", "'red'"),
        ({"x": "1.color", "x_values": "-1"}, "x", "at least 0"),
        ({"x": "1.color", "x_values": ""}, "x", "no values"),
        ({"x": "color", "x_values": "1"}, "x", "NODE.INPUT"),
        ({"x": "EmptyImage.color", "x_values": "1"}, "x", "several nodes are called 'EmptyImage'; use an id: 1, 2"),
        ({"x": "KSampler.cfg", "x_values": "1"}, "x", "no node called 'KSampler'"),
        ({"x": "1.colour", "x_values": "1"}, "x", "no value 'colour'; the nearest are width"),
        ({"x": "", "x_values": "", "y": "", "y_values": "1"}, "y", "no input"),
        ({"x": "1.color", "x_values": "5..1/1"}, "x", "leads nowhere"),
        ({"x": "1.width", "x_values": "1..60", "y": "1.height", "y_values": "1..60"}, "x", "3600 cells"),
    ],
)
def test_what_is_wrong_with_a_plot_is_said_of_its_node(
    services: Services, axes: dict[str, str], place: str, words: str
):
    ((node, name, message),) = problems_of(graph(**axes), services)
    assert (node, name) == ("4", place)
    assert words in message


def test_a_problem_of_a_varied_node_is_told_once_and_of_the_node_itself(services: Services):
    made = graph(**TWO)
    made.nodes["3"]["inputs"]["blend_mode"] = "sideways"
    ((node, name, message),) = problems_of(made, services)
    assert (node, name) == ("3", "blend_mode")
    assert "'3'" in message


def test_a_failure_in_a_cell_names_the_node_of_the_document(services: Services):
    made = Graph()
    picture = made.add("EmptyImage", width=48, height=16, batch_size=1, color=0)
    made.add("XYPlot", images=made.add("ImageBlur", image=picture, blur_radius=1), x="2.blur_radius", x_values="1, 31")
    end, _ = run(services, made)
    assert isinstance(end, JobFailed)
    assert (end.error.node, end.error.input) == ("2", "blur_radius")


def test_an_untouched_output_beside_the_plot_runs_as_it_is(services: Services):
    made = graph(**TWO)
    made.add("PreviewImage", images=["3", 0])
    end, _ = run(services, made)
    assert isinstance(end, JobDone)
    with Image.open(services.folders.path(end.outputs["5"][0])) as picture:
        assert picture.size == (48, 32)


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("4, 7 ,10", ("4", "7", "10")),
        ("1..4", ("1", "2", "3", "4")),
        ("3..1", ("3", "2", "1")),
        ("0..1/0.25, 2", ("0", "0.25", "0.5", "0.75", "1", "2")),
        ("-0.1..0.1/0.1", ("-0.1", "0", "0.1")),
        ("a fox, red\na boat, blue\n", ("a fox, red", "a boat, blue")),
        ("euler", ("euler",)),
        ("", ()),
    ],
)
def test_values_are_read_from_text(written: str, values: tuple[str, ...]):
    assert axis_values(written) == values


@pytest.mark.parametrize("written", ["1..100", "1..2/-1", "1..2/0"])
def test_ranges_that_are_too_long_or_lead_nowhere_are_refused(written: str):
    with pytest.raises(ValueError, match=f"{MAX_VALUES}|nowhere"):
        axis_values(written)


def test_batches_are_laid_out_within_their_cell():
    images = torch.zeros(4, 16, 16, 3)
    assert plot(images, ["a", "b"], []).shape[3] == 3
    with pytest.raises(BadSize, match="do not fill"):
        plot(images, ["a", "b", "c"], [])


def test_long_headings_are_broken_and_cut():
    table = plot(torch.ones(2, 32, 32, 3), ["prompt: " + "word " * 40, "prompt: " + "x" * 400], ["y"])
    assert table.shape[2] < 400
    assert float(table.min()) < 0.5


def test_the_axis_that_is_wrong_is_named(tmp_path: Path):
    for axes, blamed in ((("a.b", "5..1/2", "c.d", "1"), "x_values"), (("a.b", "1", "c.d", "5..1/2"), "y_values")):
        with pytest.raises(NodeError, match="leads nowhere") as caught:
            XYPlot(FakeContext(tmp_path), torch.ones(1, 8, 8, 3), *axes)
        assert caught.value.input == blamed
