"""Every example workflow runs on the embedded model, through the command line that people use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT

EXAMPLES = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))
SIZES = {"hires-fix": (192, 192), "xy-plot": (482, 303)}


def run(workflow: Path, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "executor", "run", str(workflow), "--data-dir", str(folder), "--quiet", *flags]
    environment = {**os.environ, "LATENTGRAPH_CACHE_DISK": "0"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


def test_there_are_examples():
    assert {"text-to-image", "image-to-image", "hires-fix", "negative-prompt"} <= set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_makes_a_picture_that_is_not_blank(name: str, tmp_path: Path):
    done = run(ROOT / "workflows" / f"{name}.json", tmp_path, "--output-dir", str(tmp_path / "here"))
    assert done.returncode == 0, done.stderr
    (path,) = map(Path, done.stdout.splitlines())
    assert path.parent == tmp_path / "here"
    with Image.open(path) as picture:
        assert picture.size == SIZES.get(name, (128, 128))
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
