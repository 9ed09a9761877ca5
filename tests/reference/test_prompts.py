"""ComfyUI API prompts that end in SaveLatent, run by the command line on a reduced checkpoint, in float32 on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from diffusion.control.uses import with_use
from diffusion.images import load_image
from diffusion.library import ModelLibrary
from diffusion.residency import Residency
from diffusion.sampling.ksampler import sample
from diffusion.text.encode import encode
from diffusion.values import ClipRef, Conditioning, ControlNetRef, ControlUse, Latent, LoraPatch, ModelRef
from tests.conftest import ROOT
from tests.diffusion import control_files, tiny
from tests.diffusion.patches import lora_files
from tests.reference import prompts, recipes
from tests.reference.cases import NEGATIVE, POSITIVE, RECORDINGS

SEED = 42
WIDTH, HEIGHT, COUNT = 64, 48, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("prompts")
    tiny.write(made / "models" / "checkpoints" / "tiny.safetensors")
    lora_files.write(made / "models", "style.safetensors", lora_files.tensors("kohya"))
    control_files.write(made / "models", "edges.safetensors")
    (made / "data" / "inputs").mkdir(parents=True)
    pixels = np.random.default_rng(1).integers(0, 256, (80, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(made / "data" / "inputs" / "edges.png")
    return made


@pytest.fixture(scope="module")
def latents(folder: Path) -> dict[str, Tensor]:
    prompt = {
        **prompts.start("tiny.safetensors", "a fox", "blurry", WIDTH, HEIGHT, COUNT),
        **prompts.one_picture_by_every_sampling_node(SEED),
        **prompts.with_a_lora("style.safetensors", "a fox", "blurry", SEED),
        **prompts.with_a_control_network("edges.safetensors", "edges.png", SEED),
    }
    return run(folder, prompt)


def run(folder: Path, prompt: prompts.Prompt) -> dict[str, Tensor]:
    """The latents that a prompt saves, by the name of the node that made them."""
    file = folder / "prompt.json"
    file.write_text(json.dumps(prompt), "utf-8")
    command = [sys.executable, "-m", "executor", "run", str(file), "--precision", "fp32", "--device", "cpu"]
    for option, place in (("models", "models"), ("data", "data"), ("output", "results")):
        command += [f"--{option}-dir", str(folder / place)]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert shown.returncode == 0, shown.stderr
    files = {path.name.removesuffix("_00001_.latent"): path for path in (folder / "results").rglob("*.latent")}
    return {name: tensors(path)["latent_tensor"] for name, path in files.items()}


def tensors(path: Path) -> dict[str, Tensor]:
    found = load_file(path)
    assert set(found) == {"latent_tensor", "latent_format_version_0"}
    return found


class Direct:
    """The same runs without nodes and without an executor."""

    def __init__(self, folder: Path) -> None:
        library = ModelLibrary(folder / "models")
        self.file = library.resolve("checkpoints", "tiny.safetensors")
        self.residency = Residency(library, "cpu", "fp32")

    def text(self, prompt: str, *patches: LoraPatch) -> Conditioning:
        return encode(self.residency.clip(ClipRef((self.file,), patches=patches)), prompt)

    def sample(self, positive: Conditioning, negative: Conditioning, *patches: LoraPatch) -> Tensor:
        return sample(
            self.residency.unet(ModelRef(self.file, patches=patches)),
            latent=Latent(torch.zeros(COUNT, 4, HEIGHT // 8, WIDTH // 8)),
            positive=positive,
            negative=negative,
            seed=SEED,
            steps=3,
            cfg=7.5,
            sampler="euler",
            scheduler="normal",
        ).samples


@pytest.fixture(scope="module")
def direct(folder: Path) -> Direct:
    return Direct(folder)


def close(ours: Tensor, theirs: Tensor) -> bool:
    return ours.shape == theirs.shape and float((ours - theirs).norm() / theirs.norm()) < 1e-5


@pytest.mark.parametrize("name", ["ksampler", "two_parts", "custom", "advanced"])
def test_every_sampling_node_makes_the_same_latent(latents: dict[str, Tensor], direct: Direct, name: str):
    assert close(latents[name], direct.sample(direct.text("a fox"), direct.text("blurry")))


def test_a_lora_changes_the_model_and_the_text_encoder(latents: dict[str, Tensor], direct: Direct):
    lora = direct.residency.library.resolve("loras", "style.safetensors")
    positive, negative = (direct.text(each, LoraPatch(lora, 0.6)) for each in ("a fox", "blurry"))
    assert close(latents["with_lora"], direct.sample(positive, negative, LoraPatch(lora, 0.8)))
    assert not close(latents["with_lora"], latents["ksampler"])


def test_a_control_network_guides_both_sides(latents: dict[str, Tensor], direct: Direct, folder: Path):
    net = ControlNetRef(direct.residency.library.resolve("controlnet", "edges.safetensors"))
    use = ControlUse(net, load_image(folder / "data" / "inputs" / "edges.png")[0], 0.7)
    positive, negative = (with_use(direct.text(each), use) for each in ("a fox", "blurry"))
    assert close(latents["with_control"], direct.sample(positive, negative))
    assert not close(latents["with_control"], latents["ksampler"])


@pytest.mark.reference
def test_a_full_size_checkpoint_gives_the_recorded_latents(tmp_path: Path):
    recipes.write("sd15", tmp_path / "models" / "checkpoints" / "sd15.safetensors")
    recipes.write("lora-sd15", tmp_path / "models" / "loras" / "lora.safetensors")
    recorded = load_file(RECORDINGS)
    made = run(
        tmp_path,
        {
            **prompts.start("sd15.safetensors", POSITIVE, NEGATIVE, 128, 128),
            **prompts.one_picture_by_every_sampling_node(SEED),
            **prompts.with_a_lora("lora.safetensors", POSITIVE, NEGATIVE, SEED),
        },
    )
    (tmp_path / "models" / "checkpoints" / "sd15.safetensors").unlink()
    for name, latent in made.items():
        expected = recorded["sd15/lora_0.8_0.6/latent" if name == "with_lora" else "sd15/txt2img/latent"]
        found = float((latent - expected).norm() / expected.norm())
        print(f"{name}: {found:.1e}")
        assert found <= 1e-4
