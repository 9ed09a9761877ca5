"""Adapters that depend on the weight they change, against their definitions written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diffusion.library import ModelLibrary
from diffusion.patches.adapters import Adapter
from diffusion.patches.lora_file import read_lora
from diffusion.patches.relative import BoftDelta, GloraDelta, OftDelta, relative
from tests.diffusion.patches import lora_files

LINEAR, CONVOLUTION = (12, 6), (12, 6, 3, 3)


def values(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def cayley(block: Tensor, scale: float = 1.0) -> Tensor:
    skew = (block - block.T) * scale
    return (torch.eye(len(block)) + skew) @ torch.linalg.inv(torch.eye(len(block)) - skew)


@pytest.mark.parametrize("shape", [LINEAR, CONVOLUTION])
def test_oft_rotates_the_outputs_of_each_block(shape: tuple[int, ...]):
    blocks, weight = values(3, 4, 4, seed=1), values(*shape)
    changed = Adapter(OftDelta(blocks)).apply(weight, 1.0)
    for place in range(3):
        rows = slice(4 * place, 4 * place + 4)
        assert torch.allclose(changed[rows].flatten(1), cayley(blocks[place]).T @ weight[rows].flatten(1), atol=1e-4)
    lengths = [each.flatten(1).norm(dim=0) for each in (changed, weight)]
    assert torch.allclose(lengths[0], lengths[1], atol=1e-4)


def test_a_strength_counts_twice_and_none_changes_nothing():
    delta, weight = OftDelta(values(3, 4, 4, seed=1)), values(*LINEAR)
    whole = Adapter(delta).apply(weight, 1.0) - weight
    assert torch.allclose(Adapter(delta).apply(weight, 0.5) - weight, whole / 4, atol=1e-5)
    assert torch.equal(Adapter(delta).apply(weight, 0.0), weight)


def test_alpha_limits_the_rotation_and_scales_nothing():
    blocks, weight = values(3, 4, 4, seed=1), values(*LINEAR)
    made = relative({"oft_blocks": blocks, "alpha": torch.tensor(0.5)})
    assert isinstance(made, OftDelta)
    skew = blocks - blocks.transpose(1, 2)
    factor = 0.5 / float(skew.norm())
    expected = torch.cat([cayley(blocks[k], factor).T @ weight[4 * k : 4 * k + 4] for k in range(3)])
    assert torch.allclose(Adapter(made, alpha=0.5).apply(weight, 1.0), expected, atol=1e-4)
    loose = relative({"oft_blocks": blocks, "alpha": torch.tensor(1e6)})
    assert loose is not None
    assert torch.allclose(loose.change_of(weight, 1.0), OftDelta(blocks).change_of(weight, 1.0))


@pytest.mark.parametrize("shape", [(16, 6), (16, 6, 3, 3)])
def test_boft_turns_outputs_that_lie_ever_further_apart(shape: tuple[int, ...]):
    blocks, weight = values(3, 4, 4, 4, seed=2) * 0.3, values(*shape)
    lengths = values(16, 1, seed=3)
    rows = [weight.flatten(1)[place] for place in range(16)]
    for turn in range(3):
        apart = 2 * 2**turn
        pairs = [
            (start + offset, start + offset + apart) for start in range(0, 16, 2 * apart) for offset in range(apart)
        ]
        for block in range(4):
            places = [place for pair in pairs[2 * block : 2 * block + 2] for place in pair]
            turned = cayley(blocks[turn, block]) @ torch.stack([rows[place] for place in places])
            for place, row in zip(places, turned, strict=True):
                rows[place] = row
    expected = torch.stack(rows).reshape(shape)
    assert torch.allclose(Adapter(BoftDelta(blocks)).apply(weight, 1.0), expected, atol=1e-4)
    stretched = Adapter(BoftDelta(blocks, lengths=lengths)).apply(weight, 1.0)
    assert torch.allclose(stretched, expected * lengths.reshape(-1, *[1] * (len(shape) - 1)), atol=1e-4)
    assert torch.allclose(Adapter(BoftDelta(blocks)).apply(weight, 0.0), weight, atol=1e-6)


@pytest.mark.parametrize("shape", [LINEAR, CONVOLUTION])
def test_glora_adds_a_product_with_the_weight_and_one_without(shape: tuple[int, ...]):
    a1, a2, b1 = values(6, 2, seed=1), values(2, 6, seed=2), values(12, 2, seed=3)
    b2 = values(2, *shape[1:], seed=4)
    weight = values(*shape)
    own = torch.einsum("oi...,ij->oj...", weight, a1 @ a2)
    expected = weight + 0.5 * 4 / 2 * (own + (b1 @ b2.flatten(1)).reshape(shape))
    assert torch.allclose(Adapter(GloraDelta(a1, a2, b1, b2), alpha=4.0).apply(weight, 0.5), expected, atol=1e-4)


def test_the_first_form_of_glora_files_is_told_by_its_shapes():
    a1, a2, b1, b2 = values(6, 2), values(2, 6), values(12, 2), values(2, 6)
    new = relative({"glora.a1": a1, "glora.a2": a2, "glora.b1": b1, "glora.b2": b2})
    old = relative({"glora.a1": a2, "glora.a2": a1, "glora.b1": b2, "glora.b2": b1})
    weight = values(*LINEAR)
    assert new is not None
    assert old is not None
    assert torch.equal(new.change_of(weight, 1.0), old.change_of(weight, 1.0))


@pytest.mark.parametrize("shape", [(16, 6), (12, 8), (12,)])
def test_weights_of_other_shapes_do_not_fit(shape: tuple[int, ...]):
    size = torch.Size(shape)
    glora = GloraDelta(values(6, 2), values(2, 6), values(12, 2), values(2, 6))
    assert not Adapter(glora).fits(size)
    assert Adapter(glora).fits(torch.Size(LINEAR))
    assert Adapter(OftDelta(values(3, 4, 4))).fits(size) == (shape[0] == 12)
    assert Adapter(BoftDelta(values(3, 4, 4, 4))).fits(size) == (shape[0] == 16)
    assert not Adapter(BoftDelta(values(2, 3, 4, 4))).fits(torch.Size(LINEAR))


def test_they_are_read_from_files(tmp_path):
    base = "lora_unet_mid_block_attentions_0_proj_in"
    tensors = {f"{base}.oft_blocks": values(4, 4, 4), f"{base}.alpha": torch.tensor(0.1)}
    tensors |= {f"{base}_x.{part}.weight": values(6, 6) for part in ("a1", "a2", "b1", "b2")}
    lora_files.write(tmp_path, "turned.safetensors", tensors)
    read = read_lora(ModelLibrary(tmp_path).resolve("loras", "turned.safetensors"), torch.device("cpu"))
    assert isinstance(read.weights[base].delta, OftDelta)
    assert isinstance(read.weights[f"{base}_x"].delta, GloraDelta)
    assert read.unread == ()
    assert read.family == "an unknown family of models"
