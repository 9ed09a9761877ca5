"""LoRA files of every spelling on the reduced checkpoint: what changes, what is kept, and what is refused."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion.errors import CorruptFile, DiffusionError, UnsupportedArchitecture
from diffusion.library import ModelLibrary
from diffusion.patches.lora import WrongLora
from diffusion.residency import Residency
from diffusion.values import ClipRef, FileRef, LoraPatch, ModelRef
from tests.diffusion import tiny, xl
from tests.diffusion.patches import lora_files
from tests.diffusion.test_families import SD2_CLIP, SD2_UNET


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny.write(folder / "checkpoints" / "tiny.safetensors")
    for style in lora_files.STYLES:
        lora_files.write(folder, f"{style}.safetensors", lora_files.tensors(style))
    return folder


@pytest.fixture
def residency(models: Path) -> Residency:
    return Residency(ModelLibrary(models), "cpu", "fp32")


def checkpoint(residency: Residency) -> FileRef:
    return residency.library.resolve("checkpoints", "tiny.safetensors")


def lora(residency: Residency, name: str) -> FileRef:
    return residency.library.resolve("loras", name)


def unet_weights(residency: Residency, *patches: LoraPatch) -> dict[str, Tensor]:
    return dict(residency.unet(ModelRef(checkpoint(residency), patches=patches)).module.named_parameters())


def text_weights(residency: Residency, *patches: LoraPatch) -> list[Tensor]:
    return list(residency.clip(ClipRef((checkpoint(residency),), patches=patches)).module.parameters())


def test_text_encoders_are_kept_in_float16_and_denoisers_are_not(residency: Residency):
    patch = LoraPatch(lora(residency, f"{lora_files.STYLES[0]}.safetensors"), 0.5)
    for weights in (text_weights(residency), text_weights(residency, patch)):
        assert all(torch.equal(each, each.half().float()) for each in weights)
    assert any(not torch.equal(each, each.half().float()) for each in unet_weights(residency, patch).values())


@pytest.mark.parametrize("style", lora_files.STYLES)
def test_every_spelling_changes_the_same_weights(residency: Residency, style: str):
    patch = LoraPatch(lora(residency, f"{style}.safetensors"), 0.5)
    before, after = unet_weights(residency), unet_weights(residency, patch)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {f"{layer}.weight" for layer in lora_files.UNET_LAYERS}
    for layer, (up, down) in lora_files.factors(text=False).items():
        weight = before[f"{layer}.weight"]
        delta = (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
        assert torch.allclose(after[f"{layer}.weight"], weight + 0.5 * delta, atol=1e-6)
    unlike = [
        not torch.equal(a, b) for a, b in zip(text_weights(residency), text_weights(residency, patch), strict=True)
    ]
    assert sum(unlike) == 1


def test_only_the_patching_is_done_again_for_another_strength(residency: Residency):
    file = lora(residency, "kohya.safetensors")
    for strength in (0.2, 0.9, 0.2):
        unet_weights(residency, LoraPatch(file, strength))
    counts = residency.loads
    assert (counts.unet, counts.lora, counts.patched) == (1, 1, 2)
    unet_weights(residency)
    assert counts.unet == 1


def test_a_patched_model_shares_the_weights_that_stay(residency: Residency):
    patch = LoraPatch(lora(residency, "kohya.safetensors"), 1.0)
    before, after = unet_weights(residency), unet_weights(residency, patch)
    assert before["conv_in.weight"] is after["conv_in.weight"]
    base = residency.unet(ModelRef(checkpoint(residency))).bytes
    assert residency.resident_bytes < base * 1.5


def test_loras_add_up_in_any_order(residency: Residency):
    first = LoraPatch(lora(residency, "kohya.safetensors"), 0.5)
    second = LoraPatch(lora(residency, "peft.safetensors"), -0.5)
    name = "mid_block.resnets.0.conv1.weight"
    assert torch.allclose(unet_weights(residency, first, second)[name], unet_weights(residency)[name], atol=1e-6)
    assert residency.loads.lora == 2


def test_a_lora_belongs_to_the_models_it_names(residency: Residency):
    ref = ModelRef(checkpoint(residency)), ClipRef((checkpoint(residency),))
    residency.check_lora(lora(residency, "kohya.safetensors"), *ref)
    assert (residency.loads.unet, residency.loads.clip) == (0, 0)


@pytest.mark.parametrize(
    ("prefix", "tower", "name", "width"),
    [
        ("lora_te1_text_model_encoder_layers_1_", 0, "mlp_fc1", (128, 64)),
        ("lora_te2_text_model_encoder_layers_2_", 1, "self_attn_out_proj", (128, 128)),
        ("lora_te2_", 1, "text_projection", (128, 128)),
        ("text_encoder_2.text_model.encoder.layers.2.", 1, "self_attn.q_proj", (128, 128)),
    ],
)
def test_a_lora_of_sdxl_changes_the_text_encoder_that_it_names(
    residency: Residency, models: Path, prefix: str, tower: int, name: str, width: tuple[int, int]
):
    save_file(xl.tensors(), models / "checkpoints" / "xl.safetensors")
    up, down = torch.full((width[0], 1), 0.25), torch.full((1, width[1]), 0.5)
    names = ("lora_up", "lora_down") if "_te" in prefix else ("lora_B", "lora_A")
    content = {f"{prefix}{name}.{part}.weight": value for part, value in zip(names, (up, down), strict=True)}
    file = residency.library.resolve("loras", lora_files.write(models, f"xl-{name}.safetensors", content))
    ref = ClipRef((residency.library.resolve("checkpoints", "xl.safetensors"),))
    residency.check_lora(file, None, ref)
    before = dict(residency.clip(ref).module.named_parameters())
    after = dict(residency.clip(replace(ref, patches=(LoraPatch(file, 1.0),))).module.named_parameters())
    (changed,) = [each for each in before if not torch.equal(before[each], after[each])]
    assert changed.startswith(f"{tower}.")
    assert changed.endswith(f"{name.replace('mlp_', 'mlp.').replace('self_attn_', 'self_attn.')}.weight")
    assert torch.equal(after[changed], (before[changed] + 0.125).half().float())


@pytest.mark.parametrize("name", ["lora_unet_add_embedding_linear_1", "unet.add_embedding.linear_1",
                                  "lora_unet_label_emb_0_0"])  # fmt: skip
def test_a_lora_of_sdxl_changes_how_sizes_are_read(residency: Residency, models: Path, name: str):
    save_file(xl.tensors(), models / "checkpoints" / "xl.safetensors")
    content = {f"{name}.lora_up.weight": torch.ones(256, 1), f"{name}.lora_down.weight": torch.ones(1, xl.UNET.vector)}
    file = residency.library.resolve("loras", lora_files.write(models, "sizes.safetensors", content))
    ref = ModelRef(residency.library.resolve("checkpoints", "xl.safetensors"), patches=(LoraPatch(file, 0.5),))
    after = dict(residency.unet(ref).module.named_parameters())
    before = dict(residency.unet(replace(ref, patches=())).module.named_parameters())
    (changed,) = [each for each in before if not torch.equal(before[each], after[each])]
    assert changed.endswith("embedding.linear_1.weight")


@pytest.mark.parametrize("prefix", ["lora_te_", "lora_te1_", "text_encoders.clip_h.transformer."])
def test_a_lora_of_stable_diffusion_2_changes_its_text_encoder(residency: Residency, models: Path, prefix: str):
    path = models / "checkpoints" / "sd2.safetensors"
    save_file({**xl.unet(SD2_UNET), **xl.clip(SD2_CLIP)}, path)
    key = "text_model.encoder.layers.0.self_attn.v_proj"
    key = prefix + (key if prefix.endswith(".") else key.replace(".", "_"))
    width = SD2_CLIP.width
    content = {f"{key}.lora_up.weight": torch.ones(width, 1), f"{key}.lora_down.weight": torch.ones(1, width)}
    file = residency.library.resolve("loras", lora_files.write(models, f"sd2-{prefix}.safetensors", content))
    ref = ClipRef((residency.library.resolve("checkpoints", "sd2.safetensors"),))
    before = dict(residency.clip(ref).module.named_parameters())
    after = dict(residency.clip(replace(ref, patches=(LoraPatch(file, -0.5),))).module.named_parameters())
    (changed,) = [each for each in before if not torch.equal(before[each], after[each])]
    assert changed.endswith("layers.0.self_attn.v_proj.weight")
    assert torch.equal(after[changed], (before[changed] - 0.5).half().float())


def test_a_lora_of_another_family_is_refused_with_both_names(residency: Residency, models: Path):
    content = {
        "lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_k.lora_up.weight": torch.zeros(32, 2),
        "lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_k.lora_down.weight": torch.zeros(2, 2048),
        "lora_unet_middle_block_1_proj_in.lora_up.weight": torch.zeros(64, 2, 1, 1),
        "lora_unet_middle_block_1_proj_in.lora_down.weight": torch.zeros(2, 64, 1, 1),
    }
    lora_files.write(models, "xl.safetensors", content)
    file = lora(residency, "xl.safetensors")
    with pytest.raises(WrongLora) as caught:
        residency.check_lora(file, ModelRef(checkpoint(residency)), None)
    assert "SDXL, and this model is Stable Diffusion 1: 1 of its 2 keys match" in str(caught.value)
    assert caught.value.input == "lora_name"
    with pytest.raises(WrongLora):
        unet_weights(residency, LoraPatch(file, 1.0))


def test_a_lora_without_a_key_of_the_model_is_refused(residency: Residency, models: Path):
    content = {"lora_unet_double_blocks_0_img_mod.lora_up.weight": torch.zeros(8, 2)}
    content["lora_unet_double_blocks_0_img_mod.lora_down.weight"] = torch.zeros(2, 8)
    lora_files.write(models, "flux.safetensors", content)
    with pytest.raises(WrongLora, match=r"made for FLUX.*0 of its 1 keys"):
        residency.check_lora(lora(residency, "flux.safetensors"), ModelRef(checkpoint(residency)), None)


def test_a_lora_for_the_text_alone_changes_no_unet(
    residency: Residency, models: Path, caplog: pytest.LogCaptureFixture
):
    kept = {key: value for key, value in lora_files.tensors("kohya").items() if key.startswith("lora_te")}
    lora_files.write(models, "text.safetensors", kept)
    file = lora(residency, "text.safetensors")
    residency.check_lora(file, ModelRef(checkpoint(residency)), ClipRef((checkpoint(residency),)))
    assert caplog.text == ""
    residency.check_lora(file, ModelRef(checkpoint(residency)), None)
    assert "changes nothing: none of its 1 keys is for the U-Net" in caplog.text


def test_a_layer_of_another_shape_is_left_out(residency: Residency, models: Path, caplog: pytest.LogCaptureFixture):
    save_file(xl.unet(replace(tiny.UNET, in_channels=9)), models / "checkpoints" / "inpaint.safetensors")
    content = lora_files.tensors("kohya", text=False)
    content |= {"lora_unet_conv_in.lora_up.weight": torch.ones(32, 2, 1, 1),
                "lora_unet_conv_in.lora_down.weight": torch.ones(2, 4, 3, 3)}  # fmt: skip
    lora_files.write(models, "locon.safetensors", content)
    patch = LoraPatch(lora(residency, "locon.safetensors"), 1.0)
    ref = ModelRef(residency.library.resolve("checkpoints", "inpaint.safetensors"))
    residency.check_lora(patch.file, ref, None)
    assert "1 differ in shape (lora_unet_conv_in" in caplog.text
    before = dict(residency.unet(ref).module.named_parameters())
    after = dict(residency.unet(replace(ref, patches=(patch,))).module.named_parameters())
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        f"{layer}.weight" for layer in lora_files.UNET_LAYERS
    }


def test_keys_that_no_model_has_are_noted(residency: Residency, models: Path, caplog: pytest.LogCaptureFixture):
    content = lora_files.tensors("kohya", text=False)
    content["lora_unet_nowhere.lora_up.weight"] = torch.zeros(2, 2)
    content["lora_unet_nowhere.lora_down.weight"] = torch.zeros(2, 2)
    content["lora_unet_nowhere.ia3_weight"] = torch.zeros(2, 2)
    lora_files.write(models, "more.safetensors", content)
    with caplog.at_level(logging.WARNING, "latentgraph.lora"):
        residency.check_lora(lora(residency, "more.safetensors"), ModelRef(checkpoint(residency)), None)
    assert "4 of its 5 keys" in caplog.text
    assert "1 tensors" in caplog.text


def test_half_an_adapter_is_a_damaged_file(residency: Residency, models: Path):
    content = lora_files.tensors("kohya")
    del content["lora_unet_mid_block_attentions_0_proj_in.lora_down.weight"]
    lora_files.write(models, "half.safetensors", content)
    with pytest.raises(CorruptFile, match="mid_block_attentions_0_proj_in"):
        residency.lora(lora(residency, "half.safetensors"))


def test_a_checkpoint_is_no_lora(residency: Residency, models: Path):
    tiny.write(models / "loras" / "model.safetensors")
    with pytest.raises(UnsupportedArchitecture, match="is no LoRA"):
        residency.lora(lora(residency, "model.safetensors"))


def test_a_bias_and_a_norm_may_change_too(residency: Residency, models: Path):
    content = {
        "lora_unet_mid_block_resnets_0_norm1.w_norm": torch.ones(64),
        "lora_unet_mid_block_resnets_0_norm1.b_norm": torch.full((64,), 2.0),
        "lora_unet_mid_block_resnets_0_conv1.diff_b": torch.full((64,), 3.0),
    }
    lora_files.write(models, "full.safetensors", content)
    before = unet_weights(residency)
    after = unet_weights(residency, LoraPatch(lora(residency, "full.safetensors"), 0.5))
    for name, change in (("norm1.weight", 0.5), ("norm1.bias", 1.0), ("conv1.bias", 1.5)):
        assert torch.allclose(after[f"mid_block.resnets.0.{name}"], before[f"mid_block.resnets.0.{name}"] + change)


def test_a_bias_of_a_norm_counts_beside_its_weight_only(residency: Residency, models: Path):
    content = {
        "lora_unet_mid_block_resnets_0_norm1.b_norm": torch.ones(64),
        "lora_unet_mid_block_resnets_0_norm2.w_norm": torch.ones(64),
    }
    lora_files.write(models, "half-norm.safetensors", content)
    before = unet_weights(residency)
    after = unet_weights(residency, LoraPatch(lora(residency, "half-norm.safetensors"), 1.0))
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == ["mid_block.resnets.0.norm2.weight"]


def test_norms_of_text_encoders_are_passed_over_in_trainers_spellings(residency: Residency, models: Path):
    layer = "text_model.encoder.layers.1"
    content = lora_files.tensors("kohya") | {
        f"lora_te_{layer.replace('.', '_')}_layer_norm1.w_norm": torch.ones(64),
        "text_encoder.text_model.final_layer_norm.diff": torch.ones(64),
    }
    lora_files.write(models, "norms.safetensors", content)
    plain = {f"text_encoders.clip_l.transformer.{layer}.layer_norm1.diff": torch.ones(64)}
    lora_files.write(models, "plain-norms.safetensors", plain)
    ref = ClipRef((checkpoint(residency),))
    before = dict(residency.clip(ref).module.named_parameters())
    for name, expected in (("norms", "self_attn.q_proj.weight"), ("plain-norms", "layer_norm1.weight")):
        patch = LoraPatch(lora(residency, f"{name}.safetensors"), 1.0)
        after = dict(residency.clip(replace(ref, patches=(patch,))).module.named_parameters())
        assert [each for each in before if not torch.equal(before[each], after[each])] == [
            each for each in before if each.endswith(f"layers.1.{expected}")
        ]


def test_biases_and_whole_weights_go_by_the_names_of_the_single_file(residency: Residency, models: Path):
    content = {
        "diffusion_model.middle_block.0.in_layers.2.bias.diff": torch.full((64,), 2.0),
        "diffusion_model.middle_block.0.in_layers.0.set_weight": torch.full((64,), 3.0),
        "diffusion_model.middle_block.0.in_layers.0.bias.set_weight": torch.full((64,), 4.0),
    }
    lora_files.write(models, "plain.safetensors", content)
    before = unet_weights(residency)
    after = unet_weights(residency, LoraPatch(lora(residency, "plain.safetensors"), 0.5))
    block = "mid_block.resnets.0"
    assert torch.allclose(after[f"{block}.conv1.bias"], before[f"{block}.conv1.bias"] + 1.0)
    assert torch.allclose(after[f"{block}.norm1.weight"], torch.tensor(3.0))
    assert torch.allclose(after[f"{block}.norm1.bias"], torch.tensor(4.0))


def test_the_error_is_one_a_person_can_mend(residency: Residency):
    with pytest.raises(DiffusionError, match="There is no file 'kohia"):
        lora(residency, "kohia.safetensors")
