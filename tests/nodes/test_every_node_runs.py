"""Every node of the catalogue is in a workflow or test graph that runs; the graphs beside this file are run here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffusion.worker_resources import create
from executor.cache import Cache
from executor.events import JobDone
from executor.files import Files
from executor.folders import Folders, OutputNames
from executor.run import JobRequest, Services, run_job
from nodes.sdk import load_packs
from tests.conftest import ROOT
from tests.nodes import model_files, test_operations_graph, test_sampling_graph

PACKS = load_packs()
HERE = {path.stem: path for path in sorted((Path(__file__).parent / "graphs").glob("*.json"))}
SHIPPED = sorted((ROOT / "workflows").glob("*.json"))
"""`tests/workflows` runs these."""
RUN_WHOLE = (*test_operations_graph.PACKS, *test_sampling_graph.PACKS)
"""The packs of which a test runs a graph with all nodes."""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    folder = tmp_path_factory.mktemp("data")
    model_files.write_models(folder / "models")
    folders = Folders.below(folder)
    folders.create()
    model_files.write_inputs(folders.inputs)
    resources = create(folder / "models", "cpu", "fp32")
    files, cache = Files(resources.library, folders), Cache(1 << 28, folders.stamp)
    return Services(PACKS.nodes, PACKS.catalogue, files, cache, folders, OutputNames(folders), resources)


def classes(path: Path) -> set[str]:
    nodes = json.loads(path.read_text(encoding="utf-8"))["nodes"]
    return {PACKS.catalogue[node["class_type"]].id for node in nodes.values()}


def test_every_node_is_in_a_graph_that_runs():
    whole = {name for name, each in PACKS.nodes.items() if each.spec.pack in RUN_WHOLE}
    used = whole.union(*(classes(path) for path in (*HERE.values(), *SHIPPED)))
    assert sorted(PACKS.nodes.keys() - used) == []


@pytest.mark.parametrize("name", HERE)
def test_a_graph_runs(services: Services, name: str):
    end = run_job(JobRequest(name, HERE[name].read_text(encoding="utf-8")), services, lambda _: None, lambda: False)
    assert isinstance(end, JobDone), end
    document: dict[str, Any] = json.loads(HERE[name].read_text(encoding="utf-8"))["nodes"]
    for node_id, files in end.outputs.items():
        made = [services.folders.path(file) for file in files]
        assert made, f"{document[node_id]['class_type']} gave no file"
        for path in made:
            assert path.stat().st_size > 0
            if path.suffix == ".png":
                assert np.asarray(Image.open(path)).std() > 0, document[node_id]
    shown = {document[node]["inputs"]["source"][0]: files for node, files in end.outputs.items()
             if document[node]["class_type"] == "PreviewAny"}  # fmt: skip
    for source, files in shown.items():
        if document[source]["class_type"] == "ReadWatermark":
            assert services.folders.path(files[0]).read_text() == model_files.WATERMARK
