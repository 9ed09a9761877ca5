"""What a change to a workflow makes be done again: counted through the whole executor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.vae import Decoder
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch.nn.modules.module import register_module_forward_hook
from transformers import CLIPTextModel

from diffusion.worker_resources import create
from executor.cache import Cache
from executor.events import JobDone
from executor.files import Files
from executor.folders import Folders, OutputNames
from executor.run import JobRequest, Services, run_job
from nodes.sdk import load_packs
from tests.diffusion import tiny
from tests.diffusion.patches import lora_files
from tests.executor.conftest import text
from tests.nodes.test_operations_graph import Graph

STEPS = 2
COUNTED = {UNet2DConditionModel: "passes", CLIPTextModel: "encodes", Decoder: "decodes"}

Count = dict[str, int]
Run = Callable[..., Count]


def workflow(
    *, checkpoint: str = "a", seed: int = 1, prompt: str = "a fox", strength: float | None = None, folder: str = "x"
) -> dict[str, Any]:
    graph = Graph()
    loaded = graph.add("CheckpointLoaderSimple", ckpt_name=f"{checkpoint}.safetensors")[0]
    model, clip = [loaded, 0], [loaded, 1]
    if strength is not None:
        lora = graph.add(
            "LoraLoader", model=model, clip=clip, lora_name="style.safetensors", strength_model=strength,
            strength_clip=strength,
        )[0]  # fmt: skip
        model, clip = [lora, 0], [lora, 1]
    positive = graph.add("CLIPTextEncode", text=prompt, clip=clip)
    negative = graph.add("CLIPTextEncode", text="blurry", clip=clip)
    empty = graph.add("EmptyLatentImage", width=64, height=64, batch_size=1)
    sampled = graph.add(
        "KSampler", model=model, positive=positive, negative=negative, latent_image=empty, seed=seed, steps=STEPS,
        cfg=5.0,
    )  # fmt: skip
    graph.add("SaveImage", images=graph.add("VAEDecode", samples=sampled, vae=[loaded, 2]), filename_prefix=folder)
    return graph.nodes


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Runs a workflow, and says what it loaded and computed."""
    for number, name in enumerate(("a", "b")):
        tiny.write(tmp_path / "models" / "checkpoints" / f"{name}.safetensors", seed=number)
    lora_files.write(tmp_path / "models", "style.safetensors", lora_files.tensors("kohya"))
    packs, folders = load_packs(), Folders.below(tmp_path)
    folders.create()
    resources = create(tmp_path / "models", "cpu", "fp32")
    files, cache = Files(resources.library, folders), Cache(1 << 28, folders.stamp)
    services = Services(packs.nodes, packs.catalogue, files, cache, folders, OutputNames(folders), resources)
    calls: Count = dict.fromkeys(COUNTED.values(), 0)

    def counted(module: torch.nn.Module, args: object, output: object) -> None:
        del args, output
        name = next((name for kind, name in COUNTED.items() if isinstance(module, kind)), None)
        if name is not None:
            calls[name] += 1

    def measured(**changes: Any) -> Count:
        before = asdict(resources.residency.loads) | calls
        end = run_job(JobRequest("job", text(workflow(**changes))), services, lambda _: None, lambda: False)
        assert isinstance(end, JobDone), end
        after = asdict(resources.residency.loads) | calls
        return {name: after[name] - before[name] for name in after if after[name] != before[name]}

    hook = register_module_forward_hook(counted)
    yield measured
    hook.remove()


def test_the_first_run_does_each_thing_once(run: Run):
    assert run() == {"unet": 1, "clip": 1, "vae": 1, "encodes": 2, "passes": STEPS, "decodes": 1}


def test_nothing_changed_is_nothing_done(run: Run):
    run()
    assert run() == {}


def test_another_seed_only_samples(run: Run):
    run()
    assert run(seed=2) == {"passes": STEPS, "decodes": 1}


def test_another_prompt_is_encoded_alone(run: Run):
    run()
    assert run(prompt="a boat") == {"encodes": 1, "passes": STEPS, "decodes": 1}


def test_another_strength_patches_again_and_loads_nothing(run: Run):
    run(strength=0.5)
    assert run(strength=0.7) == {"patched": 2, "encodes": 2, "passes": STEPS, "decodes": 1}


def test_going_back_to_a_strength_patches_nothing(run: Run):
    run(strength=0.5)
    run(strength=0.7)
    assert run(strength=0.5, seed=3) == {"passes": STEPS, "decodes": 1}


def test_going_back_to_a_model_in_memory_loads_nothing(run: Run):
    run()
    assert run(checkpoint="b") == {"unet": 1, "clip": 1, "vae": 1, "encodes": 2, "passes": STEPS, "decodes": 1}
    assert run(seed=4) == {"passes": STEPS, "decodes": 1}
    assert run(prompt="a boat") == {"encodes": 1, "passes": STEPS, "decodes": 1}


def test_another_name_for_the_picture_computes_nothing(run: Run):
    run()
    assert run(folder="y") == {}
