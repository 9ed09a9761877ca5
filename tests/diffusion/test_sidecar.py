from __future__ import annotations

from pathlib import Path

import pytest

from diffusion.architecture import ScheduleConfig
from diffusion.errors import BadConfig
from diffusion.sidecar import read_sidecar, sidecar_from_metadata

CONFIG = """
model:
  params:
    linear_start: 0.001
    linear_end: 0.02
    timesteps: 500
    parameterization: v
    scale_factor: 0.2
    unet_config:
      params: {model_channels: 64, context_dim: 128, num_heads: 2, num_head_channels: -1, norm_num_groups: 8}
    first_stage_config:
      params:
        ddconfig: {norm_num_groups: 4}
    cond_stage_config:
      params: {heads: 2, hidden_act: quick_gelu, layer_idx: -2}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    return path


def test_a_config_gives_what_shapes_cannot(tmp_path: Path):
    side = read_sidecar(write(tmp_path, CONFIG))
    assert side.schedule == ScheduleConfig(0.001, 0.02, 500)
    assert (side.prediction, side.scale) == ("v", 0.2)
    assert (side.unet_heads, side.unet_head_channels) == (2, None)
    assert side.clip_layer == -2
    assert (side.unet_norm_groups, side.vae_norm_groups, side.clip_heads) == (8, 4, 2)


def test_a_config_may_say_nothing(tmp_path: Path):
    side = read_sidecar(write(tmp_path, "model: {}"))
    assert side.schedule is None
    assert side.unet_heads is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n- b",
        "model: [",
        "other: 1",
        "model: {params: {unet_config: {params: {num_heads: many}}}}",
        "model: {params: {unet_config: {params: {num_heads: 0}}}}",
        "model: {params: {unet_config: 3}}",
        "model: {params: {parameterization: x}}",
        "model: {params: {cond_stage_config: {params: {layer_idx: 11}}}}",
        "model: {params: {scale_factor: -1}}",
        "model: !!python/object/apply:os.mkdir [/tmp/never]",
        "[" * 5000,
    ],
)
def test_a_config_that_is_wrong_is_refused_by_name(tmp_path: Path, text: str):
    with pytest.raises(BadConfig, match=r"m\.yaml"):
        read_sidecar(write(tmp_path, text))


def test_a_checkpoint_may_carry_its_config_in_itself():
    side = sidecar_from_metadata("m.safetensors", {"architecture": '{"unet_config": {"params": {"num_heads": 2}}}'})
    assert side is not None
    assert side.unet_heads == 2
    assert sidecar_from_metadata("m.safetensors", {"title": "x"}) is None
    assert sidecar_from_metadata("m.safetensors", {"architecture": "sd15"}) is None


@pytest.mark.parametrize("text", ["{", '{"unet_config": 1}', '{"a":' * 100_000])
def test_metadata_that_make_no_sense_are_refused(text: str):
    with pytest.raises(BadConfig, match=r"m\.safetensors"):
        sidecar_from_metadata("m.safetensors", {"architecture": text})
