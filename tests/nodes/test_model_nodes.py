"""The loaders of parts, and the nodes of SDXL and of models that see a picture, called as a job calls them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion.errors import BadPrompt, DiffusionError, MissingComponent
from nodes.conditioning import CLIPSetLastLayer, CLIPTextEncode, CLIPTextEncodeSDXL, CLIPTextEncodeSDXLRefiner
from nodes.inpainting import (
    InpaintModelConditioning,
    InstructPixToPixConditioning,
    SD_4XUpscale_Conditioning,
    VAEEncodeForInpaint,
)
from nodes.loaders import CheckpointLoader, CLIPLoader, DiffusersLoader, DualCLIPLoader, UNETLoader, VAELoader
from nodes.sampling import KSampler
from nodes.sdk import NodeError, load_packs
from tests.diffusion import tiny, xl
from tests.nodes.fake_context import FakeContext

WIDGETS = {
    "UNETLoader": ["unet_name", "weight_dtype"],
    "CLIPLoader": ["clip_name", "type"],
    "DualCLIPLoader": ["clip_name1", "clip_name2", "type"],
    "VAELoader": ["vae_name"],
    "DiffusersLoader": ["model_path"],
    "CLIPSetLastLayer": ["stop_at_clip_layer"],
    "CLIPTextEncodeSDXL": [
        "width",
        "height",
        "crop_w",
        "crop_h",
        "target_width",
        "target_height",
        "text_g",
        "text_l",
    ],
    "CLIPTextEncodeSDXLRefiner": ["ascore", "width", "height", "text"],
    "VAEEncodeForInpaint": ["grow_mask_by"],
    "InpaintModelConditioning": ["noise_mask"],
    "InstructPixToPixConditioning": [],
    "SD_4XUpscale_Conditioning": ["scale_ratio", "noise_augmentation"],
}


def save(path: Path, tensors: dict[str, Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> FakeContext:
    folder = tmp_path_factory.mktemp("data")
    models = folder / "models"
    tiny.write(models / "checkpoints" / "tiny.safetensors")
    save(models / "checkpoints" / "xl.safetensors", xl.tensors())
    for channels, name in ((9, "inpaint"), (8, "edit")):
        unet = xl.unet(replace(tiny.UNET, in_channels=channels))
        save(models / "checkpoints" / f"{name}.safetensors", {**tiny.tensors(), **unet})
    save(models / "diffusion_models" / "unet.safetensors", xl.unet(tiny.UNET))
    save(models / "clip" / "l.safetensors", xl.clip(replace(xl.SMALL, root="text_model.")))
    save(models / "clip" / "g.safetensors", xl.clip(replace(xl.LARGE, root="")))
    save(models / "vae" / "vae.safetensors", dict(tiny.vae_module().state_dict()))
    return FakeContext(folder)


@pytest.mark.parametrize("name", WIDGETS)
def test_widgets_are_comfyuis_in_its_order(name: str):
    spec = load_packs().catalogue[name]
    assert [each.name for each in spec.inputs if each.widget is not None and not each.advanced] == WIDGETS[name]


def sampled(job: FakeContext, checkpoint: str, prepared: tuple, **changes: object) -> Tensor:  # type: ignore[type-arg]
    model = CheckpointLoader(job, checkpoint).MODEL
    positive, negative, latent = prepared
    settings = {"seed": 5, "steps": 2, "cfg": 3.0} | changes
    return KSampler(job, model, positive, negative, latent, **settings).samples  # type: ignore[arg-type]


def prompts(job: FakeContext, checkpoint: str = "inpaint.safetensors") -> tuple:  # type: ignore[type-arg]
    _, clip, vae = CheckpointLoader(job, checkpoint)
    return CLIPTextEncode(job, "a ball", clip), CLIPTextEncode(job, "", clip), vae


def test_an_inpainting_model_paints_inside_the_mask_only(job: FakeContext):
    positive, negative, vae = prompts(job)
    mask = torch.zeros(1, 64, 64)
    mask[:, 32:] = 1
    prepared = InpaintModelConditioning(job, positive, negative, vae, torch.rand(1, 64, 64, 3), mask)
    assert prepared.latent.noise_mask is not None
    result = sampled(job, "inpaint.safetensors", prepared)
    assert torch.allclose(result[..., :4, :], prepared.latent.samples[..., :4, :], atol=1e-4)
    assert not torch.allclose(result[..., 4:, :], prepared.latent.samples[..., 4:, :], atol=1e-2)
    free = InpaintModelConditioning(job, positive, negative, vae, torch.rand(1, 64, 64, 3), mask, False)
    assert free.latent.noise_mask is None


def test_an_inpainting_model_sees_mask_then_picture_and_grey_where_nothing_is_given(job: FakeContext):
    from diffusion.sampling.protocols import Start

    positive, negative, vae = prompts(job)
    picture, mask = torch.rand(1, 64, 64, 3), torch.ones(1, 64, 64)
    prepared = InpaintModelConditioning(job, positive, negative, vae, picture, mask)
    unet = job.residency.unet(CheckpointLoader(job, "inpaint.safetensors").MODEL)
    start = Start(torch.full((2, 4, 8, 8), 3.0))
    given = unet.inputs(prepared.positive.entries[0], start, negative=False).channels
    assert given is not None
    assert given.shape == (2, 5, 8, 8)
    assert torch.equal(given[:, 0], torch.ones(2, 8, 8))
    shown = prepared.positive.entries[0].options["concat_latent"]
    assert torch.allclose(given[1, 1:], shown[0] * 0.18215, atol=1e-6)  # type: ignore[index]
    plain = unet.inputs(positive.entries[0], start, negative=False).channels
    assert plain is not None
    assert plain[0, :, 0, 0].tolist() == pytest.approx([1.0, 0.8223, -0.6876, 0.6364, 0.1380])
    masked = unet.inputs(positive.entries[0], Start(start.latent, torch.full((2, 1, 8, 8), 0.6)), negative=False)
    assert masked.channels is not None
    assert masked.channels[0, :, 0, 0].tolist() == [1.0, 3.0, 3.0, 3.0, 3.0]


def test_the_masked_part_is_grey_before_it_is_encoded_and_the_mask_grows(job: FakeContext):
    vae = CheckpointLoader(job, "tiny.safetensors").VAE
    mask = torch.zeros(1, 35, 64)
    mask[:, 8:24, 8:24] = 1
    latent = VAEEncodeForInpaint(job, torch.rand(1, 35, 64, 3), vae, mask, 6)
    assert latent.samples.shape == (1, 4, 4, 8)
    assert latent.noise_mask is not None
    assert latent.noise_mask.shape[-2:] == (32, 64)
    assert int(latent.noise_mask.sum()) == 21 * 21
    everything = torch.ones(1, 32, 32)
    grey = VAEEncodeForInpaint(job, torch.rand(1, 32, 32, 3), vae, everything, 0).samples
    assert torch.allclose(grey, VAEEncodeForInpaint(job, torch.rand(1, 32, 32, 3), vae, everything, 0).samples)


def test_an_editing_model_sees_the_picture_unscaled(job: FakeContext):
    positive, negative, vae = prompts(job, "edit.safetensors")
    prepared = InstructPixToPixConditioning(job, positive, negative, vae, torch.rand(1, 64, 64, 3))
    assert not prepared.latent.samples.any()
    shown = prepared.positive.entries[0].options["concat_latent"]
    from diffusion.sampling.protocols import Start

    unet = job.residency.unet(CheckpointLoader(job, "edit.safetensors").MODEL)
    channels = unet.inputs(prepared.positive.entries[0], Start(prepared.latent.samples), negative=False).channels
    assert channels is not None
    assert torch.equal(channels, shown)  # type: ignore[arg-type]
    assert sampled(job, "edit.safetensors", prepared).shape == (1, 4, 8, 8)


def test_the_upscaler_is_shown_a_quarter_of_the_size(job: FakeContext):
    positive, negative, _ = prompts(job)
    prepared = SD_4XUpscale_Conditioning(torch.rand(1, 32, 48, 3), positive, negative, 4.0, 0.5)
    assert prepared.latent.samples.shape == (1, 4, 32, 48)
    assert prepared.positive.entries[0].options["noise_augmentation"] == 0.5


def test_sdxl_makes_a_picture(job: FakeContext):
    clip = CheckpointLoader(job, "xl.safetensors").CLIP
    from nodes.latent import EmptyLatent

    positive = CLIPTextEncodeSDXL(job, clip, 512, 512, 0, 0, 512, 512, "a cat", "cat")
    negative = CLIPTextEncode(job, "", clip)
    result = sampled(job, "xl.safetensors", (positive, negative, EmptyLatent(64, 64, 2)))
    assert result.shape == (2, 4, 8, 8)
    assert torch.isfinite(result).all()
    score = CLIPTextEncodeSDXLRefiner(job, 4.0, 512, 512, "a cat", clip=clip).entries[0].options
    assert score == {"aesthetic_score": 4.0, "width": 512, "height": 512}


def test_a_prompt_of_another_family_is_refused(job: FakeContext):
    from nodes.latent import EmptyLatent

    positive, negative, _ = prompts(job, "tiny.safetensors")
    with pytest.raises(BadPrompt):
        sampled(job, "xl.safetensors", (positive, negative, EmptyLatent(64, 64)))


def test_clip_skip_is_kept_on_the_reference(job: FakeContext):
    clip = CheckpointLoader(job, "tiny.safetensors").CLIP
    assert CLIPSetLastLayer(clip, -2).stop_at_layer == -2


def test_parts_load_from_files_of_their_own(job: FakeContext):
    unet = UNETLoader(job, "unet.safetensors", "fp8_e4m3fn_fast")
    assert unet.weight_dtype == "fp8_e4m3fn"
    vae = VAELoader(job, "vae.safetensors")
    assert job.residency.vae(vae).latent_channels == 4
    assert len(job.residency.clip(CLIPLoader(job, "l.safetensors")).towers) == 1
    pair = DualCLIPLoader(job, "g.safetensors", "l.safetensors")
    assert [tower.config.width for tower in job.residency.clip(pair).towers] == [64, 128]


@pytest.mark.parametrize(("loader", "name"), [(VAELoader, "vae_name"), (CLIPLoader, "clip_name")])
def test_a_file_without_the_part_is_blamed_on_its_input(job: FakeContext, loader: object, name: str):
    folder = job.library.models_dir / name.removesuffix("_name")
    save(folder / "wrong.safetensors", xl.unet(tiny.UNET))
    with pytest.raises((NodeError, DiffusionError)) as caught:
        loader(job, "wrong.safetensors")  # type: ignore[operator]
    assert caught.value.input == name


def test_two_like_encoders_are_blamed_on_their_input(job: FakeContext):
    with pytest.raises(DiffusionError, match="SDXL") as caught:
        DualCLIPLoader(job, "l.safetensors", "l.safetensors")
    assert caught.value.input == "clip_name2"


def test_a_diffusers_folder_loads_with_what_its_scheduler_says(job: FakeContext):
    folder = job.library.models_dir / "diffusers" / "mine"
    own = replace(tiny.UNET, layout="diffusers", root="")
    save(folder / "unet" / "diffusion_pytorch_model.safetensors", xl.unet(own))
    save(folder / "vae" / "diffusion_pytorch_model.fp16.safetensors", dict(tiny.vae_module().state_dict()))
    save(folder / "text_encoder" / "model.safetensors", xl.clip(replace(tiny.CLIP, root="text_model.")))
    (folder / "scheduler").mkdir()
    config = {"num_train_timesteps": 1000, "prediction_type": "v_prediction", "beta_start": 0.00085, "beta_end": 0.012}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(config))
    (folder / "model_index.json").write_text("{}")
    assert [entry.name for entry in job.library.list("diffusers")] == ["mine"]
    model, clip, vae = DiffusersLoader(job, "mine")
    assert job.residency.unet(model).prediction == "v"
    assert job.residency.clip(clip).configs[0].width == 64
    assert job.residency.vae(vae).latent_channels == 4
    before = job.library.resolve("diffusers", "mine").content_id
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps({**config, "prediction_type": "epsilon"}))
    assert job.library.resolve("diffusers", "mine").content_id != before
    (folder / "vae" / "diffusion_pytorch_model.fp16.safetensors").unlink()
    with pytest.raises(MissingComponent, match="vae") as caught:
        DiffusersLoader(job, "mine")
    assert caught.value.input == "model_path"


def test_a_diffusers_folder_may_split_its_weights(job: FakeContext):
    folder = job.library.models_dir / "diffusers" / "split"
    weights = xl.unet(replace(tiny.UNET, layout="diffusers", root=""))
    names = sorted(weights)
    halves = {"u-1.safetensors": names[::2], "u-2.safetensors": names[1::2]}
    for file, part in halves.items():
        save(folder / "unet" / file, {name: weights[name] for name in part})
    places = {name: file for file, part in halves.items() for name in part}
    index = folder / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    save(folder / "vae" / "diffusion_pytorch_model.safetensors", dict(tiny.vae_module().state_dict()))
    save(folder / "text_encoder" / "model.safetensors", xl.clip(replace(tiny.CLIP, root="text_model.")))
    (folder / "model_index.json").write_text("{}")
    model = DiffusersLoader(job, "split").MODEL
    module = job.residency.unet(model).module
    assert all(torch.equal(value, weights[name]) for name, value in module.state_dict().items())
    changed = {name: weights[name] + 1 for name in halves["u-2.safetensors"]}
    save(folder / "unet" / "u-2.safetensors", changed)
    again = DiffusersLoader(job, "split").MODEL
    assert again != model


def test_a_chosen_config_says_which_layer_of_the_text_encoder_is_read(job: FakeContext):
    config = job.library.models_dir / "configs" / "clip_skip_2.yaml"
    config.parent.mkdir(exist_ok=True)
    config.write_text("model: {params: {cond_stage_config: {params: {layer_idx: -2}}}}")
    clip = CheckpointLoader(job, "tiny.safetensors", "clip_skip_2.yaml").CLIP
    assert clip.stop_at_layer == -2
    assert CheckpointLoader(job, "tiny.safetensors").CLIP.stop_at_layer is None
