"""Files of each family, whole or in parts, in reduced width: what they are taken for, and that they compute right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from diffusion.architecture import UnetConfig
from diffusion.build import unet_skeleton
from diffusion.detect import detect
from diffusion.errors import BadPrompt, UnsupportedArchitecture
from diffusion.keys import clip_names, unet_names
from diffusion.library import ModelLibrary
from diffusion.loaded import text_transformer
from diffusion.residency import Residency
from diffusion.sampling.protocols import Start
from diffusion.text.encode import encode
from diffusion.values import ClipRef, CondEntry, FileRef, ModelRef
from tests.diffusion import tiny, xl
from tests.diffusion.model_files import save

START = Start(torch.zeros(1, 4, 8, 8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


@pytest.fixture(scope="module")
def residency(folder: Path) -> Residency:
    return Residency(ModelLibrary(folder), "cpu", "fp32")


@pytest.fixture(scope="module")
def sdxl(folder: Path) -> FileRef:
    return save(folder, "checkpoints", "xl.safetensors", xl.tensors())


def test_a_reduced_sdxl_is_recognised():
    found = detect(xl.shapes(xl.tensors()))
    assert found.family == "SDXL"
    assert found.unet == xl.UNET
    assert found.clip == (xl.SMALL, xl.LARGE)
    assert found.latent_scale == 0.13025


@torch.no_grad()
def test_the_wide_encoder_computes_what_transformers_computes(residency: Residency, sdxl: FileRef):
    _, tower = residency.clip(ClipRef((sdxl,))).towers
    theirs = CLIPTextModelWithProjection(
        CLIPTextConfig(
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=3,
            num_attention_heads=2,
            hidden_act="gelu",
            projection_dim=128,
        )
    ).eval()
    file = xl.clip(xl.LARGE)
    state = {}
    for name in theirs.state_dict():
        layer = name.removeprefix("text_model.")
        if "self_attn" in name and "out_proj" not in name:
            place = (
                xl.LARGE.root + "transformer.resblocks." + layer.split(".")[2] + ".attn.in_proj_" + name.split(".")[-1]
            )
            part = "qkv".index(layer.split(".")[4][0])
            state[name] = file[place][part * 128 : (part + 1) * 128]
        elif name == "text_projection.weight":
            state[name] = file[xl.LARGE.root + "text_projection"].T
        elif "position_ids" not in name:
            state[name] = file[clip_names(xl.LARGE)(name)]
    theirs.load_state_dict(state, strict=False)
    theirs.half().float()  # text encoders are kept in float16
    tokens = torch.zeros(1, 77, dtype=torch.int64)
    tokens[0, :4] = torch.tensor([49406, 320, 2368, 49407])
    expected = theirs(tokens, output_hidden_states=True)
    embedding, pooled = tower.encode_tokens(tokens)
    assert torch.allclose(embedding, expected.hidden_states[-2], atol=1e-5)
    assert torch.allclose(pooled, expected.text_embeds, atol=1e-5)


def test_sdxl_joins_both_encoders_and_pads_the_wide_one_with_zero(residency: Residency, sdxl: FileRef):
    clip = residency.clip(ClipRef((sdxl,)))
    (entry,) = encode(clip, "a cat").entries
    assert entry.embedding.shape == (1, 77, 192)
    assert entry.pooled is not None
    assert entry.pooled.shape == (1, 128)
    tokens = torch.zeros(1, 77, dtype=torch.int64)
    tokens[0, :4] = torch.tensor([49406, 320, 2368, 49407])
    wide, pooled = clip.towers[1].encode_tokens(tokens)
    tokens[0, 4:] = 49407
    narrow, _ = clip.towers[0].encode_tokens(tokens)
    assert torch.allclose(entry.embedding, torch.cat([narrow, wide], dim=-1), atol=1e-6)
    assert torch.allclose(entry.pooled, pooled, atol=1e-6)


def test_two_prompts_of_unequal_length_fill_up_with_empty_windows(residency: Residency, sdxl: FileRef):
    clip = residency.clip(ClipRef((sdxl,)))
    (entry,) = encode(clip, "a cat", large="word " * 100, width=5).entries
    assert entry.embedding.shape == (1, 154, 192)
    assert entry.options["width"] == 5
    empty = encode(clip, "").entries[0].embedding[0, :, :64]
    assert torch.allclose(entry.embedding[0, 77:, :64], empty, atol=1e-6)


def test_a_single_encoder_refuses_two_prompts(residency: Residency, folder: Path):
    file = save(folder, "checkpoints", "sd1.safetensors", tiny.tensors())
    with pytest.raises(BadPrompt, match="one text encoder"):
        encode(residency.clip(ClipRef((file,))), "a", large="b")


@torch.no_grad()
def test_the_unet_of_sdxl_reads_sizes_as_diffusers_does(residency: Residency, sdxl: FileRef):
    unet = residency.unet(ModelRef(sdxl))
    torch.manual_seed(1)
    x, context, pooled = torch.randn(1, 4, 8, 8), torch.randn(1, 77, 192), torch.randn(1, 128)
    options = {"width": 640, "height": 512, "crop_w": 8, "crop_h": 16, "target_width": 96, "target_height": 80}
    inputs = unet.inputs(CondEntry(context, pooled, options), START, negative=False)
    assert inputs.vector is not None
    theirs = UNet2DConditionModel(
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 128),
        layers_per_block=1,
        transformer_layers_per_block=(1, 2),  # pyright: ignore[reportArgumentType] (declared as one)
        cross_attention_dim=192,
        attention_head_dim=(1, 2),  # pyright: ignore[reportArgumentType]
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=1664,
    ).eval()
    own = unet.module.state_dict()
    theirs.load_state_dict({name.replace("class_embedding", "add_embedding"): value for name, value in own.items()})
    ids = torch.tensor([[512.0, 640.0, 16.0, 8.0, 80.0, 96.0]])
    expected = theirs(
        x, torch.tensor([500.0]), context, added_cond_kwargs={"text_embeds": pooled, "time_ids": ids}
    ).sample
    ours = unet.predict(x, torch.tensor([500.0]), context, inputs.vector)
    assert torch.allclose(ours, expected, atol=1e-4)


def test_sizes_come_from_the_latent_where_a_prompt_says_nothing(residency: Residency, sdxl: FileRef):
    unet = residency.unet(ModelRef(sdxl))
    entry = CondEntry(torch.zeros(1, 77, 192), torch.ones(1, 128))
    vector = unet.inputs(entry, Start(torch.zeros(1, 4, 6, 10)), negative=False).vector
    assert vector is not None
    expected = xl.stated(torch.tensor([48.0, 80.0, 0.0, 0.0, 48.0, 80.0]))
    assert torch.allclose(vector[0, 128:], expected, atol=1e-4)


def test_sdxl_without_a_pooled_embedding_is_an_error(residency: Residency, sdxl: FileRef):
    with pytest.raises(BadPrompt, match="pooled") as caught:
        residency.unet(ModelRef(sdxl)).inputs(CondEntry(torch.zeros(1, 77, 192)), START, negative=True)
    assert caught.value.input == "negative"


def test_the_refiner_reads_a_score_that_differs_by_side(residency: Residency, folder: Path):
    config = replace(xl.UNET, context_dim=128, vector=128 + 5 * 256, numbers=5)
    wide = replace(xl.LARGE, root="conditioner.embedders.0.model.")
    file = save(folder, "checkpoints", "refiner.safetensors", {**xl.unet(config), **xl.clip(wide)})
    found = residency.describe(file, None)
    assert (found.family, found.unet, found.clip) == ("SDXL refiner", config, (wide,))
    unet = residency.unet(ModelRef(file))
    entry = CondEntry(torch.zeros(1, 77, 128), torch.zeros(1, 128))
    for negative, score in ((False, 6.0), (True, 2.5)):
        vector = unet.inputs(entry, START, negative=negative).vector
        assert vector is not None
        expected = xl.stated(torch.tensor([64.0, 64.0, 0.0, 0.0, score]))
        assert torch.allclose(vector[0, 128:], expected, atol=1e-4)


SD2_UNET = replace(tiny.UNET, heads=(1, 1), linear_projection=True, channels=(64, 64))
SD2_CLIP = replace(
    xl.LARGE, width=64, heads=1, projection=64, norm_hidden=True, root="cond_stage_model.model.", feed_forward=128
)


def sd2(spread: float) -> dict[str, Tensor]:
    found = {**xl.unet(SD2_UNET), **xl.clip(SD2_CLIP)}
    name = "model.diffusion_model.output_blocks.3.1.transformer_blocks.0.norm1.bias"
    found[name] = torch.linspace(-1, 1, 64) * spread
    return found


@pytest.mark.parametrize(("spread", "expected"), [(0.01, "eps"), (0.5, "v")])
def test_what_an_unmarked_sd2_predicts_is_told_by_the_spread_of_a_norm(
    residency: Residency, folder: Path, spread: float, expected: str
):
    file = save(folder, "checkpoints", f"sd2-{expected}.safetensors", sd2(spread))
    found = residency.describe(file, None)
    assert (found.family, found.unet, found.clip) == ("Stable Diffusion 2", SD2_UNET, (SD2_CLIP,))
    assert found.prediction == expected
    assert residency.unet(ModelRef(file)).prediction == expected


def test_metadata_tell_the_prediction_before_the_weights_do(residency: Residency, folder: Path):
    file = save(folder, "checkpoints", "stated.safetensors", sd2(0.5), **{"modelspec.prediction_type": "epsilon"})
    assert residency.describe(file, None).prediction == "eps"


def test_a_marked_file_predicts_velocity_and_ends_in_noise_alone(residency: Residency, folder: Path):
    marked = {**xl.tensors(), "v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    unet = residency.unet(ModelRef(save(folder, "checkpoints", "marked.safetensors", marked)))
    assert unet.prediction == "v"
    assert unet.sampling.sigma_max > 4000


@pytest.mark.parametrize("alone", [("ztsnr", xl.tensors), ("ztsnr", tiny.tensors), ("v_pred", tiny.tensors)])
def test_marks_count_for_sdxl_alone_and_the_schedule_only_beside_the_velocity(
    residency: Residency, folder: Path, alone: tuple[str, Callable[[], dict[str, Tensor]]]
):
    mark, make = alone
    found = residency.describe(save(folder, "checkpoints", "mark.safetensors", {**make(), mark: torch.zeros(0)}), None)
    assert (found.prediction, found.schedule.zero_terminal) == ("eps", False)


def test_an_earlier_layer_of_sd2_goes_through_the_norm_and_the_default_is_the_last_but_one(
    residency: Residency, folder: Path
):
    file = save(folder, "clip", "h.safetensors", xl.clip(SD2_CLIP))
    tokens = torch.full((1, 77), 49407)
    (tower,) = residency.clip(ClipRef((file,))).towers
    hidden = tower.module(tokens, output_hidden_states=True)
    expected = text_transformer(tower.module).get_submodule("final_layer_norm")(hidden.hidden_states[-2])
    assert torch.allclose(tower.encode_tokens(tokens)[0], expected, atol=1e-6)
    (last,) = residency.clip(ClipRef((file,), stop_at_layer=-1)).towers
    assert torch.allclose(last.encode_tokens(tokens)[0], hidden.last_hidden_state, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"in_channels": 5}, "depth"),
        ({"in_channels": 6}, "6 channels"),
        ({"out_channels": 8}, "gives 8"),
    ],
)
def test_a_unet_of_other_channels_is_refused_with_what_it_has(changes: dict[str, int], words: str):
    config = replace(tiny.UNET, **changes)
    with pytest.raises(UnsupportedArchitecture, match=words):
        detect(xl.shapes(xl.unet(config)))


PRUNED = (
    replace(xl.UNET, middle_depth=None, down_depths=((0,), (2,)), up_depths=((1, 3), (0, 0))),
    replace(xl.UNET, middle_depth=None, middle=False),
    replace(tiny.UNET, middle_depth=None, middle=False, down_depths=((1,), (1,)), up_depths=((1, 1), (1, 1))),
    replace(tiny.UNET, in_channels=9),
    replace(tiny.UNET, in_channels=8),
    replace(tiny.UNET, in_channels=7, noise_levels=1000, linear_projection=True, cross_only=(True, False)),
)


@pytest.mark.parametrize("config", PRUNED)
@pytest.mark.parametrize("layout", ["original", "diffusers"])
def test_distilled_and_other_unets_are_read_in_either_layout(config: UnetConfig, layout: str):
    own = replace(config, layout="diffusers", root="") if layout == "diffusers" else config
    assert detect(xl.shapes(xl.unet(own))).unet == own


@torch.no_grad()
def test_a_unet_alone_computes_the_same_in_either_layout(residency: Residency, folder: Path, sdxl: FileRef):
    place, diffusers = unet_names(xl.UNET), unet_names(replace(xl.UNET, layout="diffusers", root=""))
    found = xl.unet(xl.UNET)
    renamed = {diffusers(name): found[place(name)] for name in unet_skeleton(xl.UNET).state_dict()}
    assert "add_embedding.linear_1.weight" in renamed
    alone = residency.unet(ModelRef(save(folder, "diffusion_models", "diffusers.safetensors", renamed)))
    bare = {name.removeprefix("model.diffusion_model."): value for name, value in found.items()}
    stripped = residency.unet(ModelRef(save(folder, "diffusion_models", "bare.safetensors", bare)))
    inputs = torch.ones(1, 4, 8, 8), torch.tensor([3.0]), torch.ones(1, 77, 192), torch.ones(1, 1664)
    expected = residency.unet(ModelRef(sdxl)).predict(*inputs)
    assert torch.equal(alone.predict(*inputs), expected)
    assert torch.equal(stripped.predict(*inputs), expected)
    assert alone.latent_scale == 0.13025


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.bfloat16, torch.float16])
def test_weights_stored_in_few_bits_are_computed_with_as_they_are(
    residency: Residency, folder: Path, dtype: torch.dtype
):
    stored = {name: value.to(dtype) for name, value in xl.unet(tiny.UNET).items()}
    unet = residency.unet(ModelRef(save(folder, "checkpoints", f"{dtype}.safetensors", stored)))
    weight = unet.module.state_dict()["conv_in.weight"]
    assert weight.dtype == torch.float32
    assert torch.equal(weight, stored["model.diffusion_model.input_blocks.0.0.weight"].float())


def test_the_guidance_input_of_a_consistency_model_is_left_aside():
    own = replace(tiny.UNET, layout="diffusers", root="")
    found = {**xl.shapes(xl.unet(own)), "time_embedding.cond_proj.weight": (32, 256)}
    assert detect(found).unet == own


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("image_proj.norm.weight", "IP-Adapter"),
        ("vision_model.embeddings.class_embedding", "vision"),
        ("scaled_fp8", "8-bit"),
        ("edm_vpred.sigma_max", "CosXL"),
        ("joint_blocks.0.x_block.attn.qkv.weight", "Stable Diffusion 3"),
    ],
)
def test_families_that_are_not_run_are_named(name: str, words: str):
    with pytest.raises(UnsupportedArchitecture, match=words):
        detect({name: (1,)})


def test_weights_can_be_rounded_to_eight_bits(residency: Residency, folder: Path):
    file = save(folder, "checkpoints", "whole.safetensors", xl.unet(tiny.UNET))
    rounded = residency.unet(ModelRef(file, weight_dtype="fp8_e5m2")).module.state_dict()["conv_in.weight"]
    exact = residency.unet(ModelRef(file)).module.state_dict()["conv_in.weight"]
    assert torch.equal(rounded, exact.to(torch.float8_e5m2).float())


def test_two_files_make_the_text_encoders_of_sdxl(residency: Residency, folder: Path, sdxl: FileRef):
    small = save(folder, "clip", "l.safetensors", xl.clip(replace(xl.SMALL, root="text_model.")))
    large = save(folder, "clip", "g.safetensors", xl.clip(replace(xl.LARGE, root="")))
    pair = residency.clip(ClipRef((small, large)))
    assert [config.default_layer for config in pair.configs] == [-2, -2]
    assert not any(config.norm_hidden for config in pair.configs)
    with pytest.raises(UnsupportedArchitecture, match="two text encoders"):
        residency.clip(ClipRef((small, small)))
