"""Control-LoRAs on reduced models: the control network that they make of the model, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion.control.architecture import ControlLoraConfig
from diffusion.control.lora import control_config
from diffusion.control.network import LoadedControlNet, WrongControlNet
from diffusion.control.uses import with_use
from diffusion.errors import UnsupportedArchitecture
from diffusion.keys import unet_names
from diffusion.library import ModelLibrary
from diffusion.residency import Residency
from diffusion.values import ControlNetRef, ControlUse, MergePatch, ModelRef, Share
from tests.diffusion import control_files, tiny, xl
from tests.diffusion.control.test_control import HINT, close, prompt, run

ROOT = unet_names(tiny.UNET)("conv_in.weight").removesuffix("input_blocks.0.0.weight")
ATTENTION = "input_blocks.1.1.transformer_blocks.0.attn2.to_k"
CONVOLUTION = "input_blocks.1.0.in_layers.2"
RANK = 3
HALVES = (Share("", 0.5, 0.5),)


def low_rank(weight: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    columns, kernel = weight.shape[1], tuple(weight.shape[2:])
    up = torch.randn(weight.shape[0], RANK, *(1 for _ in kernel), generator=generator)
    return up * 0.1, torch.randn(RANK, columns, *kernel, generator=generator) * 0.1


def files(unet: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A Control-LoRA, and the control network that it makes of a U-Net, whose names have no root."""
    network = {name.removeprefix("control_model."): value for name, value in control_files.tensors("original").items()}
    stored = {name: value for name, value in network.items() if name not in unet}
    network |= {name: unet[name] for name in network if name in unet}
    for seed, stem in enumerate((ATTENTION, CONVOLUTION)):
        up, down = low_rank(network[f"{stem}.weight"], seed)
        stored |= {f"{stem}.up": up, f"{stem}.down": down}
        product = (up.flatten(1) @ down.flatten(1)).reshape(network[f"{stem}.weight"].shape)
        network[f"{stem}.weight"] = network[f"{stem}.weight"] + product
    for name in (f"{CONVOLUTION}.bias", "input_blocks.1.1.norm.weight"):
        stored[name] = network[name] = network[name] + 0.5
    return {**stored, "lora_controlnet": torch.zeros(0)}, network


def save(models: Path, name: str, tensors: dict[str, Tensor]) -> None:
    (models / "controlnet").mkdir(exist_ok=True)
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, models / "controlnet" / name)


def rootless(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(ROOT): value for name, value in tensors.items() if name.startswith(ROOT)}


@pytest.fixture(scope="module")
def residency(tmp_path_factory: pytest.TempPathFactory) -> Residency:
    models = tmp_path_factory.mktemp("models")
    tiny.write(models / "checkpoints" / "tiny.safetensors")
    tiny.write(models / "checkpoints" / "other.safetensors", seed=5)
    lora, network = files(rootless(tiny.tensors()))
    save(models, "lora.safetensors", lora)
    save(models, "whole.safetensors", network)
    return Residency(ModelLibrary(models), "cpu", "fp32")


def net(residency: Residency, name: str = "lora.safetensors") -> ControlNetRef:
    return ControlNetRef(residency.library.resolve("controlnet", name))


def model(residency: Residency, name: str = "tiny.safetensors") -> ModelRef:
    return ModelRef(residency.library.resolve("checkpoints", name))


def test_it_guides_as_the_control_network_that_it_makes_of_the_model(residency: Residency):
    plain = run(residency, prompt(1), prompt(2))
    pictures = [
        run(residency, with_use(prompt(1), use), with_use(prompt(2), use))
        for use in (ControlUse(net(residency, name), HINT) for name in ("lora.safetensors", "whole.safetensors"))
    ]
    assert close(pictures[0], pictures[1])
    assert not torch.allclose(pictures[0], plain, atol=1e-3)


def test_it_is_made_of_the_model_with_its_patches(residency: Residency):
    merged = ModelRef(model(residency).file, patches=(MergePatch(model(residency, "other.safetensors"), HALVES),))
    found = residency.unet(merged).control_net(net(residency))
    assert isinstance(found, LoadedControlNet)
    ours, theirs = (rootless(tiny.tensors(seed)) for seed in (0, 5))
    expected = files({name: (value + theirs[name]) / 2 for name, value in ours.items()})[1]
    weights = dict(found.module.named_parameters())
    assert torch.allclose(weights["conv_in.weight"], expected["input_blocks.0.0.weight"], atol=1e-6)
    key = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"
    assert torch.allclose(weights[key], expected[f"{ATTENTION}.weight"], atol=1e-6)


@pytest.mark.parametrize(
    ("key", "shape", "said"),
    [
        (f"{ATTENTION}.down", (RANK, 2048), r"made for SDXL, and this model is .* width 64"),
        (f"{CONVOLUTION}.up", (7, RANK, 1, 1), r"does not fit this model, which is .* 64: the file has input_blocks"),
        ("input_blocks.9.0.in_layers.2.bias", (32,), r"input_blocks\.9.* no place"),
        ("input_hint_block.2.bias", None, r"lacks input_hint_block\.2\.bias"),
    ],
)
def test_one_of_another_family_is_refused_with_both_named(
    residency: Residency, key: str, shape: tuple[int, ...] | None, said: str
):
    tensors = dict(files(rootless(tiny.tensors()))[0])
    if shape is None:
        del tensors[key]
    else:
        tensors[key] = torch.zeros(shape)
    save(residency.library.models_dir, "wrong.safetensors", tensors)
    use = ControlUse(net(residency, "wrong.safetensors"), HINT)
    with pytest.raises(WrongControlNet, match=said) as caught:
        run(residency, with_use(prompt(1), use), prompt(2))
    assert "wrong.safetensors" in str(caught.value)
    assert caught.value.input == "positive"


def test_one_without_the_layers_that_read_its_picture_is_refused(residency: Residency):
    save(residency.library.models_dir, "bare.safetensors", {"lora_controlnet": torch.zeros(0)})
    with pytest.raises(UnsupportedArchitecture, match=r"bare\.safetensors .* lacks input_hint_block"):
        residency.describe_control(net(residency, "bare.safetensors"))


def test_of_sdxl_it_makes_one_that_reads_the_vector():
    made = control_config(ControlLoraConfig(3, (16, 32, 96, 256), 0), xl.UNET, "canny")
    assert (made.vector, made.context_dim, made.heads) == (xl.UNET.vector, xl.UNET.context_dim, xl.UNET.heads)


def test_of_a_model_for_inpainting_it_makes_none():
    with pytest.raises(WrongControlNet, match=r"canny makes .* this model reads more than the latent"):
        control_config(ControlLoraConfig(3, (16, 32, 96, 256), 0), replace(tiny.UNET, in_channels=9), "canny")
