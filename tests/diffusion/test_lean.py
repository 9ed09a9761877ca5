from __future__ import annotations

import copy
import weakref
from typing import Any

import pytest
import torch
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from diffusion.lean import LeanDecoder, LeanEncoder, LeanResnet, make_lean
from tests.diffusion import tiny


def lean(module: nn.Module) -> Any:
    made = copy.deepcopy(module)
    make_lean(made)
    return made


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_network_gives_the_same_numbers(dtype: torch.dtype):
    torch.manual_seed(0)
    unet: Any = nn.Module.to(tiny.unet_module(), dtype)
    x, times, context = torch.randn(2, 4, 16, 16, dtype=dtype), torch.tensor([3.0, 900.0]), torch.randn(2, 77, 64)
    made = lean(unet)
    assert any(type(each) is LeanResnet for each in made.modules())
    given = (x, times, context.to(dtype))
    assert torch.equal(made(*given, return_dict=False)[0], unet(*given, return_dict=False)[0])


@torch.no_grad()
def test_an_autoencoder_is_lean_throughout_and_gives_the_same_numbers():
    torch.manual_seed(0)
    vae: Any = tiny.vae_module()
    made = lean(vae)
    blocks = [each for each in made.modules() if isinstance(each, ResnetBlock2D)]
    assert blocks
    assert all(type(each) is LeanResnet for each in blocks)
    assert isinstance(made.encoder, LeanEncoder)
    assert isinstance(made.decoder, LeanDecoder)
    latent, pixels = torch.randn(1, 4, 8, 8), torch.randn(1, 3, 64, 64)
    assert torch.equal(made.decode(latent, return_dict=False)[0], vae.decode(latent, return_dict=False)[0])
    assert torch.equal(
        made.encode(pixels, return_dict=False)[0].mode(), vae.encode(pixels, return_dict=False)[0].mode()
    )


@torch.no_grad()
def test_a_decoder_lets_go_of_what_a_block_was_given_once_its_first_layer_has_run():
    """What the caller of a block holds, the block can't free: at 512×512, a tenth of what decoding takes."""
    decoder = lean(tiny.vae_module()).decoder
    given: list[weakref.ref[Tensor]] = []
    seen: list[bool] = []
    first, second = decoder.up_blocks[1].resnets[:2]
    first.register_forward_pre_hook(lambda _, inputs: given.append(weakref.ref(inputs[0])))
    second.register_forward_hook(lambda *_: seen.append(given[0]() is None))
    decoder(torch.randn(1, 4, 8, 8))
    assert seen == [True]


@torch.no_grad()
def test_many_tokens_in_narrow_heads_give_the_same_numbers():
    torch.manual_seed(0)
    unet = tiny.unet_module()
    x, context = torch.randn(1, 4, 48, 48), torch.randn(1, 77, 64)
    exact = unet(x, torch.tensor(500.0), context, return_dict=False)[0]
    found: Tensor = lean(unet.bfloat16())(x.bfloat16(), torch.tensor(500.0), context.bfloat16(), return_dict=False)[0]
    assert (found - exact).norm() / exact.norm() < 0.02


@torch.no_grad()
def test_what_it_was_given_is_not_written_over():
    block = lean(ResnetBlock2D(in_channels=32, temb_channels=16)).eval()
    x, embedding = torch.randn(1, 32, 8, 8), torch.randn(1, 16)
    before = x.clone(), embedding.clone()
    block(x, embedding)
    assert torch.equal(x, before[0])
    assert torch.equal(embedding, before[1])


def test_blocks_of_other_kinds_are_left_alone():
    made = lean(
        nn.ModuleList([ResnetBlock2D(in_channels=32, up=True), ResnetBlock2D(in_channels=32, non_linearity="gelu")])
    )
    assert all(type(each) is ResnetBlock2D for each in made)
