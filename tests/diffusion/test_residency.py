from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffusion.ema import flattened
from diffusion.errors import CorruptFile, DiffusionError, MissingComponent
from diffusion.library import ModelLibrary
from diffusion.loaded import text_transformer
from diffusion.residency import Residency
from diffusion.values import ClipRef, FileRef, ModelRef, VaeRef
from tests.diffusion import tiny


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny.write(
        folder / "checkpoints" / "tiny.safetensors",
        metadata={"latent_rgb": '{"factors":[[1,0,0],[0,1,0],[0,0,1],[0,0,0]],"bias":[0,0,0]}'},
    )
    torch.save({"state_dict": tiny.tensors(1)}, folder / "checkpoints" / "other.ckpt")
    tiny.write(folder / "checkpoints" / "unet-only.safetensors", drop="first_stage_model")
    return folder


@pytest.fixture
def residency(models: Path) -> Residency:
    return Residency(ModelLibrary(models), "cpu", "fp32")


def file(residency: Residency, name: str = "tiny.safetensors") -> FileRef:
    return residency.library.resolve("checkpoints", name)


@torch.no_grad()
def test_the_unet_computes_what_diffusers_computes(residency: Residency):
    torch.manual_seed(0)
    theirs = tiny.unet_module()
    x, context = torch.randn(2, 4, 8, 8), torch.randn(2, 77, 64)
    timestep = torch.tensor([1.0, 999.0])
    ours = residency.unet(ModelRef(file(residency))).predict(x, timestep, context)
    assert torch.equal(ours, theirs(x, timestep, context).sample)


@torch.no_grad()
def test_the_vae_computes_what_diffusers_computes(residency: Residency):
    torch.manual_seed(0)
    tiny.unet_module()
    theirs = tiny.vae_module()
    pixels, latent = torch.rand(1, 3, 32, 40), torch.randn(1, 4, 4, 5)
    ours = residency.vae(VaeRef(file(residency)))
    assert torch.allclose(ours.encode_pixels(pixels), theirs.encode(pixels, return_dict=False)[0].mode(), atol=1e-6)
    assert torch.allclose(
        ours.decode_latent(latent),
        theirs.decode(latent, return_dict=False)[0],  # type: ignore[arg-type]
        atol=1e-6,
    )


@torch.no_grad()
def test_the_text_encoder_computes_what_transformers_computes(residency: Residency):
    torch.manual_seed(0)
    tiny.unet_module()
    tiny.vae_module()
    theirs = tiny.clip_module().half().float()  # text encoders are kept in float16
    tokens = torch.randint(0, 49000, (2, 77))
    tokens[:, 20:] = 49407
    expected = theirs(tokens, output_hidden_states=True)
    (clip,) = residency.clip(ClipRef((file(residency),))).towers
    embeddings, pooled = clip.encode_tokens(tokens)
    assert torch.allclose(embeddings, expected.last_hidden_state, atol=1e-6)
    assert torch.allclose(pooled, expected.pooler_output, atol=1e-6)
    assert torch.equal(expected.last_hidden_state[:, 20], expected.pooler_output)


@torch.no_grad()
def test_an_earlier_layer_goes_through_the_final_norm(residency: Residency):
    tokens = torch.full((1, 77), 49407)
    (last,) = residency.clip(ClipRef((file(residency),))).towers
    (earlier,) = residency.clip(ClipRef((file(residency),), stop_at_layer=-2)).towers
    (beyond,) = residency.clip(ClipRef((file(residency),), stop_at_layer=-20)).towers
    hidden = last.module(tokens, output_hidden_states=True).hidden_states[-2]
    norm = text_transformer(last.module).get_submodule("final_layer_norm")
    assert torch.allclose(earlier.encode_tokens(tokens)[0], norm(hidden), atol=1e-6)
    assert torch.equal(beyond.encode_tokens(tokens)[0], last.encode_tokens(tokens)[0])
    assert torch.equal(earlier.encode_tokens(tokens)[1], last.encode_tokens(tokens)[1])
    assert residency.loads.clip == 1


def test_what_is_loaded_is_not_loaded_again(residency: Residency):
    for _ in range(3):
        residency.unet(ModelRef(file(residency)))
        residency.vae(VaeRef(file(residency)))
    assert (residency.loads.unet, residency.loads.vae, residency.loads.clip) == (1, 1, 0)
    residency.free()
    assert residency.resident_bytes == 0
    residency.unet(ModelRef(file(residency)))
    assert residency.loads.unet == 2


def test_the_least_recently_used_goes_first(models: Path):
    size = Residency(ModelLibrary(models), "cpu", "fp32").unet(ModelRef(tiny_ref(models, "tiny.safetensors"))).bytes
    residency = Residency(ModelLibrary(models), "cpu", "fp32", ram_budget=2 * size)
    first, second, third = (
        ModelRef(tiny_ref(models, name)) for name in ("tiny.safetensors", "other.ckpt", "unet-only.safetensors")
    )
    residency.unet(first)
    residency.unet(second)
    residency.unet(first)
    residency.unet(third)
    assert residency.resident_bytes == 2 * size
    residency.unet(first)
    assert residency.loads.unet == 3
    residency.unet(second)
    assert residency.loads.unet == 4


def tiny_ref(models: Path, name: str) -> FileRef:
    return ModelLibrary(models).resolve("checkpoints", name)


def test_a_component_larger_than_the_budget_still_loads(models: Path):
    residency = Residency(ModelLibrary(models), "cpu", "fp32", ram_budget=1)
    residency.unet(ModelRef(tiny_ref(models, "tiny.safetensors")))
    residency.vae(VaeRef(tiny_ref(models, "tiny.safetensors")))
    assert residency.loads.vae == 1


def test_a_pickle_loads_like_safetensors(residency: Residency):
    unet = residency.unet(ModelRef(file(residency, "other.ckpt")))
    weight = unet.module.state_dict()["conv_in.weight"]
    assert torch.equal(weight, tiny.tensors(1)["model.diffusion_model.input_blocks.0.0.weight"])


def test_a_missing_part_is_named(residency: Residency):
    with pytest.raises(MissingComponent, match="no VAE, only a U-Net and a text encoder"):
        residency.vae(VaeRef(file(residency, "unet-only.safetensors")))


def test_a_missing_tensor_is_named(tmp_path: Path):
    tensors = tiny.tensors()
    del tensors["model.diffusion_model.middle_block.1.norm.weight"]
    (tmp_path / "checkpoints").mkdir()
    save_file(tensors, tmp_path / "checkpoints" / "m.safetensors")
    residency = Residency(ModelLibrary(tmp_path), "cpu", "fp32")
    with pytest.raises(CorruptFile, match=r"lacks 1 of .*middle_block\.1\.norm\.weight"):
        residency.unet(ModelRef(file(residency, "m.safetensors")))


@pytest.mark.parametrize("both", [False, True])
def test_averaged_weights_are_used_when_asked_for_or_alone(tmp_path: Path, both: bool):
    plain, averaged = tiny.tensors(0), tiny.tensors(1)
    unet = [name for name in plain if name.startswith("model.diffusion_model.")]
    tensors = {flattened(name): averaged[name] for name in unet}
    tensors |= {name: value for name, value in plain.items() if both or name not in set(unet)}
    (tmp_path / "checkpoints").mkdir()
    save_file(tensors, tmp_path / "checkpoints" / "m.safetensors")
    residency = Residency(ModelLibrary(tmp_path), "cpu", "fp32")
    ref = file(residency, "m.safetensors")
    name = "model.diffusion_model.input_blocks.0.0.weight"
    asked = residency.unet(ModelRef(ref, use_ema=True)).module.state_dict()["conv_in.weight"]
    unasked = residency.unet(ModelRef(ref)).module.state_dict()["conv_in.weight"]
    assert torch.equal(asked, averaged[name])
    assert torch.equal(unasked, plain[name] if both else averaged[name])


def test_asking_for_averages_that_are_not_there_is_an_error(residency: Residency):
    with pytest.raises(MissingComponent) as caught:
        residency.unet(ModelRef(file(residency), use_ema=True))
    assert caught.value.input == "use_ema"


def test_the_preview_map_comes_from_the_file(residency: Residency):
    assert residency.unet(ModelRef(file(residency))).latent_rgb.factors[0] == (1, 0, 0)


def test_a_prompt_of_another_width_is_refused(residency: Residency):
    unet = residency.unet(ModelRef(file(residency)))
    with pytest.raises(DiffusionError, match="768 wide and the model reads 64"):
        unet.predict(torch.zeros(1, 4, 8, 8), torch.zeros(1), torch.zeros(1, 77, 768))


def test_half_precision_stays_close(models: Path):
    exact = Residency(ModelLibrary(models), "cpu", "fp32").unet(ModelRef(tiny_ref(models, "tiny.safetensors")))
    half = Residency(ModelLibrary(models), "cpu", "bf16").unet(ModelRef(tiny_ref(models, "tiny.safetensors")))
    torch.manual_seed(3)
    inputs = torch.randn(1, 4, 8, 8), torch.tensor([500.0]), torch.randn(1, 77, 64)
    ours, theirs = half.predict(*inputs), exact.predict(*inputs)
    assert ours.dtype == torch.float32
    assert (ours - theirs).norm() / theirs.norm() < 0.05
    assert half.bytes * 2 == exact.bytes
