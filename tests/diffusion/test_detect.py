from __future__ import annotations

import dataclasses
import json

import pytest

from diffusion.architecture import VaeConfig
from diffusion.build import clip_skeleton
from diffusion.detect import detect
from diffusion.errors import BadConfig, UnsupportedArchitecture
from diffusion.keys import clip_names
from diffusion.sidecar import Sidecar
from tests.diffusion import tiny
from tests.diffusion.test_families import SD2_CLIP
from tests.reference.recipes import DATA, layout

Shapes = dict[str, tuple[int, ...]]


@pytest.fixture(scope="module")
def shapes() -> Shapes:
    return {name: tuple(value.shape) for name, value in tiny.tensors().items()}


def test_the_public_sd15_file_is_recognised():
    found = detect(layout("sd15"))
    assert found.unet is not None
    assert isinstance(found.vae, VaeConfig)
    (clip,) = found.clip
    assert found.unet.channels == (320, 640, 1280, 1280)
    assert found.unet.down_depths == ((1, 1), (1, 1), (1, 1), (0, 0))
    assert found.unet.heads == (8, 8, 8, 8)
    assert (found.unet.layers_per_level, found.unet.context_dim, found.unet.middle_depth) == (2, 768, 1)
    assert found.vae.channels == (128, 256, 512, 512)
    assert (found.vae.layers_per_level, found.vae.latent_channels, found.vae.downscale) == (2, 4, 8)
    assert (clip.width, clip.layers, clip.heads) == (768, 12, 12)
    assert (found.prediction, found.schedule.timesteps) == ("eps", 1000)


def test_a_reduced_file_is_recognised_by_its_shapes(shapes: Shapes):
    found = detect(shapes)
    assert found.unet == tiny.UNET
    assert found.vae == tiny.VAE
    assert found.clip == (tiny.CLIP,)


def test_the_config_decides_heads_and_norm_groups(shapes: Shapes):
    side = Sidecar(name="m.yaml", unet_heads=2, unet_norm_groups=16, vae_norm_groups=4, clip_heads=2, prediction="v")
    found = detect(shapes, side)
    assert found.unet is not None
    assert found.unet.heads == (2, 2)
    assert found.unet.norm_groups == 16
    assert isinstance(found.vae, VaeConfig)
    assert found.vae.norm_groups == 4
    assert found.clip[0].heads == 2
    assert found.prediction == "v"


def test_a_config_of_another_model_is_refused(shapes: Shapes):
    with pytest.raises(BadConfig, match="model_channels"):
        detect(shapes, Sidecar(name="m.yaml", model_channels=320))


def test_norm_groups_that_do_not_divide_ask_for_a_config(shapes: Shapes):
    with pytest.raises(UnsupportedArchitecture) as caught:
        detect(shapes, Sidecar(name="m.yaml", unet_norm_groups=7))
    assert "norm_num_groups" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("drop", "left"),
    [
        ("model.diffusion_model", {"vae", "clip"}),
        ("first_stage_model", {"unet", "clip"}),
        ("cond_stage_model", {"unet", "vae"}),
    ],
)
def test_a_part_may_be_missing(shapes: Shapes, drop: str, left: set[str]):
    found = dataclasses.asdict(detect({name: shape for name, shape in shapes.items() if not name.startswith(drop)}))
    assert {part for part in ("unet", "vae", "clip") if found[part]} == left


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("controlnet-sd15", "ControlNet"),
        ("lora-sd15", "LoRA"),
        ("embedding-sd15", "embedding"),
    ],
)
def test_other_public_files_are_refused_by_what_they_are(name: str, words: str):
    with pytest.raises(UnsupportedArchitecture, match=words) as caught:
        detect(layout(name), name="file.safetensors")
    assert "file.safetensors" in str(caught.value)
    assert caught.value.hint


def test_an_unknown_file_is_refused_with_what_was_found():
    with pytest.raises(UnsupportedArchitecture, match=r"1 tensors, named encoder\.layer"):
        detect({"encoder.layer.0.weight": (3, 3)})


def test_a_unet_with_blocks_removed_is_refused(shapes: Shapes):
    pruned = {name: shape for name, shape in shapes.items() if ".middle_block.2." not in name}
    with pytest.raises(UnsupportedArchitecture, match="removed"):
        detect(pruned)


def test_parts_that_do_not_fit_each_other_are_refused(shapes: Shapes):
    wrong = dict(shapes)
    wrong["cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"] = (49408, 128)
    with pytest.raises(UnsupportedArchitecture, match="width 64"):
        detect(wrong)


@pytest.mark.parametrize(
    "name",
    [
        "cond_stage_model.transformer.text_model.encoder.layers.999.mlp.fc1.weight",
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.4000.attn2.to_k.weight",
        "model.diffusion_model.output_blocks.77.0.in_layers.0.weight",
        "first_stage_model.encoder.down.999.block.0.conv1.weight",
    ],
)
def test_numbers_that_would_build_a_giant_are_refused(shapes: Shapes, name: str):
    with pytest.raises(UnsupportedArchitecture):
        detect({**shapes, name: (1, 1)})


@pytest.mark.parametrize(("vocabulary", "positions"), [(1000, 77), (49408, 2)])
def test_a_text_encoder_that_is_not_clips_is_refused(shapes: Shapes, vocabulary: int, positions: int):
    base = "cond_stage_model.transformer.text_model.embeddings"
    wrong = {
        **shapes,
        f"{base}.token_embedding.weight": (vocabulary, 64),
        f"{base}.position_embedding.weight": (positions, 64),
    }
    with pytest.raises(UnsupportedArchitecture, match="text encoder"):
        detect(wrong)


@pytest.mark.parametrize("dimensions", [0, 1, 3])
def test_any_tensor_of_the_wrong_rank_is_a_clean_error(shapes: Shapes, dimensions: int):
    for name in list(shapes)[::7]:
        wrong = {**shapes, name: (4,) * dimensions}
        try:
            detect(wrong)
        except (UnsupportedArchitecture, BadConfig):
            continue


def test_the_layouts_are_those_that_are_tested():
    assert set(json.loads((DATA / "layouts.json").read_text())) >= {"sd15", "sdxl-base"}


def test_sd2_in_the_layout_of_sdxl_is_read_as_sd2():
    config = dataclasses.replace(
        SD2_CLIP, width=1024, layers=24, heads=16, projection=1024, feed_forward=4096,
        root="conditioner.embedders.0.model.",
    )  # fmt: skip
    place = clip_names(config)
    (module,) = clip_skeleton([config])
    shapes = {place(name): tuple(value.shape) for name, value in module.named_parameters()}
    (found,) = detect(shapes).clip
    assert (found.norm_hidden, found.default_layer) == (True, -2)
