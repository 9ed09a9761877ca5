"""What the saving nodes write loads again and computes the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.held import held_by
from diffusion.keys import vae_names
from diffusion.values import ClipRef, Latent, ModelRef, VaeRef
from nodes.latent import VAEDecode
from nodes.loaders import CheckpointLoader, CLIPLoader, UNETLoader, VAELoader
from nodes.loras import LoraLoader
from nodes.merging import CLIPMergeSimple, ModelMergeBlocks, ModelMergeSimple
from nodes.model_patches import ModelSamplingDiscrete
from nodes.saving import CheckpointSave, CLIPSave, ModelSave, VAESave
from nodes.sdk import Cancelled, NodeError
from tests.diffusion import tiny, xl
from tests.diffusion.patches import lora_files
from tests.diffusion.test_families import sd2
from tests.diffusion.test_vae_files import taesd
from tests.nodes.fake_context import FakeContext

PROMPT = {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}}}


@pytest.fixture
def job(tmp_path: Path) -> FakeContext:
    return FakeContext(tmp_path, prompt=PROMPT)


def add(job: FakeContext, kind: str, name: str, tensors: dict[str, Tensor], **metadata: str) -> None:
    path = job.library.models_dir / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, path, metadata or None)


def load(job: FakeContext, name: str) -> tuple[ModelRef, ClipRef, VaeRef]:
    return CheckpointLoader(job, name)


def moved(job: FakeContext, kind: str) -> str:
    """Move the file that was written last to where models are; its name."""
    path = job.paths()[-1]
    target = job.library.models_dir / kind / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    return path.name


def parameters(job: FakeContext, ref: ModelRef | ClipRef | VaeRef) -> dict[str, Tensor]:
    if isinstance(ref, ModelRef):
        module = job.residency.unet(ref).module
    else:
        module = (job.residency.clip(ref) if isinstance(ref, ClipRef) else job.residency.vae(ref)).module
    held = held_by(module)  # brings in what is not in memory
    return {name: held.weight(name) for name, _ in module.named_parameters()}


def assert_same(job: FakeContext, first: ModelRef | ClipRef | VaeRef, second: ModelRef | ClipRef | VaeRef) -> None:
    one, two = parameters(job, first), parameters(job, second)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def sd1(seed: int) -> dict[str, Tensor]:
    return tiny.tensors(seed)


def sd2_with_vae(seed: int) -> dict[str, Tensor]:
    vae = {name: value for name, value in tiny.tensors(seed).items() if name.startswith("first_stage_model.")}
    return {**{name: value + 0.01 * seed for name, value in sd2(0.5).items()}, **vae}


def sdxl(seed: int) -> dict[str, Tensor]:
    return {name: value + 0.01 * seed for name, value in xl.tensors().items()}


@pytest.mark.parametrize("make", [sd1, sd2_with_vae, sdxl])
def test_a_merge_is_saved_in_the_original_layout_and_loads_as_the_same_model(job: FakeContext, make):
    for seed, name in enumerate(("a", "b")):
        add(job, "checkpoints", f"{name}.safetensors", make(seed))
    (a, clip_a, vae), (b, clip_b, _) = load(job, "a.safetensors"), load(job, "b.safetensors")
    model, clip = ModelMergeBlocks(job, a, b, 0.25, 0.5, 0.75), CLIPMergeSimple(job, clip_a, clip_b, 0.3)
    CheckpointSave(job, model, clip, vae, "mixed/%ckpt%")
    (path,) = job.paths()
    assert path.parent.name == "mixed"
    assert set(load_file(path)) - {"v_pred"} == set(make(0))
    again, clip_again, vae_again = load(job, moved(job, "checkpoints"))
    for saved, made in ((again, model), (clip_again, clip), (vae_again, vae)):
        assert_same(job, saved, made)
    before, after = (job.residency.describe(ref.file, None) for ref in (a, again))
    assert after == before


def test_a_lora_is_worked_in_and_the_file_says_how_it_was_made(job: FakeContext):
    add(job, "checkpoints", "a.safetensors", sd1(0), latent_rgb='{"factors": [], "bias": []}')
    lora_files.write(job.library.models_dir, "style.safetensors", lora_files.tensors("kohya"))
    model, clip, vae = load(job, "a.safetensors")
    model, clip = LoraLoader(job, model, clip, "style.safetensors", 0.8, 0.6)
    CheckpointSave(job, model, clip, vae)
    assert job.steps[-1][0] == job.steps[-1][1] > 100
    with safe_open(job.paths()[0], "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["prompt"]) == PROMPT
    assert json.loads(metadata["workflow"])["format"] == "latentgraph/1"
    assert metadata["modelspec.architecture"] == "stable-diffusion-v1"
    assert metadata["latent_rgb"] == '{"factors": [], "bias": []}'
    again, clip_again, _ = load(job, moved(job, "checkpoints"))
    assert_same(job, again, model)
    assert_same(job, clip_again, clip)


def test_weights_keep_the_type_they_were_stored_in(job: FakeContext):
    add(job, "checkpoints", "a.safetensors", {name: value.half() for name, value in sd1(0).items()})
    add(job, "checkpoints", "b.safetensors", sd1(1))
    a, clip, vae = load(job, "a.safetensors")
    CheckpointSave(job, ModelMergeSimple(job, a, load(job, "b.safetensors")[0], 0.5), clip, vae)
    saved, first, second = load_file(job.paths()[0]), sd1(0), sd1(1)
    assert {value.dtype for value in saved.values()} == {torch.float16}
    name = "model.diffusion_model.input_blocks.0.0.weight"
    assert torch.equal(saved[name], (0.5 * first[name].half().float() + 0.5 * second[name]).half())
    name = "first_stage_model.decoder.conv_in.weight"
    assert torch.equal(saved[name], first[name].half())


def test_what_a_sampling_node_says_of_the_model_is_marked_in_the_file(job: FakeContext):
    add(job, "checkpoints", "a.safetensors", sd1(0))
    model, clip, vae = load(job, "a.safetensors")
    CheckpointSave(job, ModelSamplingDiscrete(model, "v_prediction", True), clip, vae)
    assert {"v_pred", "ztsnr"} <= set(load_file(job.paths()[0]))
    found = job.residency.describe(job.library.resolve("checkpoints", moved(job, "checkpoints")), None)
    assert (found.prediction, found.schedule.zero_terminal) == ("v", True)
    with pytest.raises(DiffusionError, match="sampled as lcm"):
        CheckpointSave(job, ModelSamplingDiscrete(model, "lcm", False), clip, vae)


def test_parts_are_saved_alone_and_load_alone(job: FakeContext):
    add(job, "checkpoints", "a.safetensors", sd1(0))
    model, clip, vae = load(job, "a.safetensors")
    ModelSave(job, model)
    assert_same(job, UNETLoader(job, moved(job, "diffusion_models")), model)
    CLIPSave(job, clip)
    assert job.paths()[-1].name == "latentgraph_clip_l_00001_.safetensors"
    assert_same(job, CLIPLoader(job, moved(job, "clip")), clip)
    VAESave(job, vae)
    assert "decoder.conv_in.weight" in load_file(job.paths()[-1])
    assert_same(job, VAELoader(job, moved(job, "vae")), vae)


def test_the_two_encoders_of_sdxl_become_two_files_in_the_layout_of_transformers(job: FakeContext):
    add(job, "checkpoints", "xl.safetensors", xl.tensors())
    clip = load(job, "xl.safetensors")[1]
    CLIPSave(job, clip)
    small, large = job.paths()
    assert ["clip_l" in small.name, "clip_g" in large.name] == [True, True]
    held = parameters(job, clip)
    for path, place in ((small, 0), (large, 1)):
        saved = load_file(path)
        for name, value in saved.items():
            ours = next(
                each
                for each in (name, f"text_model.{name}", name.removeprefix("text_model."))
                if f"{place}.{each}" in held
            )
            assert torch.equal(value, held[f"{place}.{ours}"])
        assert len(saved) == sum(name.startswith(f"{place}.") for name in held)
    assert "text_projection.weight" in load_file(large)


def test_a_vae_in_the_layout_of_diffusers_is_saved_in_the_original_one(job: FakeContext):
    place = vae_names(replace(tiny.VAE, layout="diffusers", root=""))
    add(
        job, "vae", "theirs.safetensors", {place(name): value for name, value in tiny.vae_module().state_dict().items()}
    )
    theirs = VAELoader(job, "theirs.safetensors")
    VAESave(job, theirs)
    assert load_file(job.paths()[0])["encoder.mid.attn_1.q.weight"].shape == (64, 64, 1, 1)
    ours = VAELoader(job, moved(job, "vae"))
    latent = Latent(torch.randn(1, 4, 4, 4))
    assert torch.equal(VAEDecode(job, latent, ours), VAEDecode(job, latent, theirs))


def test_the_two_files_of_a_tiny_vae_become_one_and_fit_in_no_checkpoint(job: FakeContext):
    for side in ("encoder", "decoder"):
        add(job, "vae_approx", f"taesd_{side}.safetensors", taesd(side))
    add(job, "checkpoints", "a.safetensors", sd1(0))
    model, clip, _ = load(job, "a.safetensors")
    vae = VAELoader(job, "taesd")
    VAESave(job, vae)
    assert_same(job, VAELoader(job, moved(job, "vae")), vae)
    with pytest.raises(DiffusionError, match="tiny autoencoder") as caught:
        CheckpointSave(job, model, clip, vae)
    assert caught.value.input == "vae"


def test_a_tiny_vae_keeps_the_scale_and_shift_that_its_file_states(job: FakeContext):
    whole = {f"taesd_{side}.{name}": value for side in ("encoder", "decoder") for name, value in taesd(side).items()}
    stated = {"vae_scale": torch.tensor(0.5), "vae_shift": torch.tensor([0.25])}
    add(job, "vae", "stated.safetensors", {**whole, **stated})
    VAESave(job, VAELoader(job, "stated.safetensors"))
    kept = load_file(job.paths()[-1])
    assert {name: kept[name].tolist() for name in stated} == {"vae_scale": 0.5, "vae_shift": [0.25]}


def test_parts_of_two_families_are_refused(job: FakeContext):
    add(job, "checkpoints", "a.safetensors", sd1(0))
    add(job, "checkpoints", "xl.safetensors", xl.tensors())
    model, _, vae = load(job, "a.safetensors")
    with pytest.raises(DiffusionError, match=r"prompts 64 wide.*gives 192") as caught:
        CheckpointSave(job, model, load(job, "xl.safetensors")[1], vae)
    assert caught.value.input == "clip"


def test_a_cancel_and_a_full_disk_stop_the_writing(job: FakeContext, monkeypatch: pytest.MonkeyPatch):
    add(job, "checkpoints", "a.safetensors", sd1(0))
    model = load(job, "a.safetensors")[0]
    job.cancel_at = 10
    with pytest.raises(Cancelled):
        ModelSave(job, model)
    job.cancelled, job.cancel_at = False, None

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("diffusion.saving.save.write", full)
    with pytest.raises(NodeError, match="No space left"):
        ModelSave(job, model)
    assert job.published == []
