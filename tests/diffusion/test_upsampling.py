"""The folded upsampling of a decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from diffusion.library import ModelLibrary
from diffusion.packing import can_pack
from diffusion.residency import Residency
from diffusion.upsampling import FoldedUpsample, folded
from diffusion.values import VaeRef
from tests.diffusion import tiny


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 4)])
def test_the_folded_convolution_is_the_doubling_and_the_convolution(size: tuple[int, int]):
    torch.manual_seed(0)
    weight, x = torch.randn(5, 5, 3, 3), torch.randn(2, 5, *size)
    doubled = functional.interpolate(x, scale_factor=2.0, mode="nearest")
    expected = functional.conv2d(doubled, weight, padding=1)
    made = functional.conv_transpose2d(x, folded(weight), stride=2, padding=1)
    assert torch.allclose(made, expected, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_decoder_is_folded_in_few_bits_alone_and_makes_the_same_picture(tmp_path: Path, precision: Any):
    tiny.write(tmp_path / "checkpoints" / "tiny.safetensors")
    library = ModelLibrary(tmp_path)
    file = library.resolve("checkpoints", "tiny.safetensors")
    vae = Residency(library, "cpu", precision).vae(VaeRef(file))
    is_folded = any(isinstance(each, FoldedUpsample) for each in vae.module.modules())
    assert is_folded == (precision == "bf16" and can_pack(torch.device("cpu"), torch.bfloat16))
    latent = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    exact = Residency(library, "cpu", "fp32").vae(VaeRef(file)).decode_latent(latent)
    assert (vae.decode_latent(latent) - exact).norm() / exact.norm() < 0.03
