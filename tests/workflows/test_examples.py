"""Every example workflow runs on the embedded model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion.worker_resources import create
from executor.cache import Cache
from executor.events import JobDone
from executor.files import Files
from executor.folders import Folders, OutputNames
from executor.run import JobRequest, Services, run_job
from executor.settings import EXAMPLE_INPUTS
from nodes.sdk.packs import load_packs
from tests.conftest import ROOT

EXAMPLES = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))
SIZES = {"hires-fix": (192, 192), "xy-plot": (482, 303)}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    folders, packs = Folders.below(tmp_path_factory.mktemp("data")), load_packs()
    folders.create()
    folders.add_examples(EXAMPLE_INPUTS)
    resources = create(ROOT / "models")
    files, cache = Files(resources.library, folders), Cache(1 << 28, folders.stamp)
    return Services(packs.nodes, packs.catalogue, files, cache, folders, OutputNames(folders), resources)


def test_there_are_examples():
    assert {"text-to-image", "image-to-image", "hires-fix", "negative-prompt"} <= set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_makes_a_picture_that_is_not_blank(name: str, services: Services):
    workflow = (ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8")
    end = run_job(JobRequest("job", workflow), services, lambda _: None, lambda: False)
    assert isinstance(end, JobDone), end
    ((file,),) = (files for files in end.outputs.values() if files)
    check_picture(services.folders.path(file), SIZES.get(name, (128, 128)))


def test_the_command_line_makes_one_too(tmp_path: Path):
    command = [sys.executable, "-m", "executor", "run", "workflows/text-to-image.json", "--data-dir", str(tmp_path)]
    environment = {**os.environ, "LATENTGRAPH_CACHE_DISK": "0"}
    done = subprocess.run(
        [*command, "--quiet", "--output-dir", str(tmp_path / "here")],
        cwd=ROOT, capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = map(Path, done.stdout.splitlines())
    assert path.parent == tmp_path / "here"
    check_picture(path, (128, 128))


def check_picture(path: Path, size: tuple[int, int]) -> None:
    with Image.open(path) as picture:
        assert picture.size == size
        assert json.loads(picture.info["workflow"])["format"] == "latentgraph/1"
        pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)
    assert pixels.std() > 20


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_complete_for_the_editor(name: str):
    document = json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    assert document["extra"]["title"]
    assert document["extra"]["description"]
    assert all(len(node["_meta"]["pos"]) == 2 for node in document["nodes"].values())
    assert (ROOT / "workflows" / "thumbnails" / f"{name}.webp").is_file()
