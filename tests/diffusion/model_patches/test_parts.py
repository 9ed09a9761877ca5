"""The mathematics of the model patches, each by itself."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from diffusion.model_options import HyperTileOption
from diffusion.model_patches.attention_guidance import SelfAttention, attention_received, blurred, token_grid
from diffusion.model_patches.differential import Differential
from diffusion.model_patches.freeu import damped
from diffusion.model_patches.rescale import RescaleCfg
from diffusion.model_patches.tiling import HyperTile, from_tiles, into_tiles
from diffusion.model_patches.token_merging import match, merged, spread
from diffusion.sampling.run_patches import PassInfo, RunPatch, Seen, mixed
from tests.diffusion.sampling.models import LEVELS

SIGMA = 3.0


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seen(x: Tensor, positive: Tensor, negative: Tensor, cfg: float) -> Seen:
    return Seen(x, SIGMA, positive, negative, cfg, lambda y, side, more: y)


def velocity(x: Tensor, denoised: Tensor) -> Tensor:
    """From x = (z + sigma n) and D = z: v = (n - sigma z) / sqrt(sigma² + 1)."""
    return ((x - denoised) / SIGMA - SIGMA * denoised) / math.sqrt(SIGMA**2 + 1)


def test_rescaled_guidance_has_the_contrast_of_the_positive_velocity():
    x, positive, negative = (drawn(i, 2, 4, 8, 8) for i in range(3))
    whole = mixed(seen(x, positive, negative, 7.0), [RescaleCfg(1.0)])
    expected = velocity(x, positive).std((1, 2, 3))
    assert torch.allclose(velocity(x, whole).std((1, 2, 3)), expected, rtol=1e-4)
    plain = mixed(seen(x, positive, negative, 7.0), [RunPatch()])
    assert torch.allclose(mixed(seen(x, positive, negative, 7.0), [RescaleCfg(0.0)]), plain, atol=1e-4)
    half = mixed(seen(x, positive, negative, 7.0), [RescaleCfg(0.5)])
    assert torch.allclose(half, (whole + plain) / 2, atol=1e-4)


def test_a_grey_mask_opens_where_enough_of_the_run_is_done():
    sigmas = [14.6, 3.0, 0.5, 0.0]
    patch = Differential(LEVELS, sigmas, 1.0)
    grey = torch.linspace(0, 1, 11).reshape(1, 1, 1, 11)
    opened = [float(patch.mask(grey, sigma).sum()) for sigma in sigmas[:3]]
    assert opened == sorted(opened)
    assert opened[0] == 1.0
    left = LEVELS.timestep(3.0) / LEVELS.timestep(14.6)
    assert torch.equal(patch.mask(grey, 3.0), (grey >= left).float())
    assert torch.equal(Differential(LEVELS, sigmas, 0.0).mask(grey, 3.0), patch.mask(grey, 3.0))
    assert torch.allclose(Differential(LEVELS, sigmas, 0.5).mask(grey, 3.0), ((grey >= left).float() + grey) / 2)


def test_a_run_within_one_timestep_samples_nothing_under_a_grey_mask():
    grey = torch.linspace(0, 1, 11).reshape(1, 1, 1, 11)
    last = Differential(LEVELS, [LEVELS.sigma_min, 0.0], 1.0)
    assert not last.mask(grey, LEVELS.sigma_min).any()


def test_damping_scales_the_low_frequencies_only():
    flat, fine = torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    fine[..., ::2] = -1.0
    assert torch.allclose(damped(flat + fine, 0.25), 0.25 * flat + fine, atol=1e-6)
    x = drawn(0, 1, 2, 8, 8)
    assert torch.allclose(damped(x, 1.0), x, atol=1e-6)


def test_the_blur_keeps_the_mean_of_a_flat_picture_and_smooths_others():
    assert torch.allclose(blurred(torch.ones(1, 4, 8, 8), 2.0), torch.ones(1, 4, 8, 8), atol=1e-6)
    x = drawn(0, 1, 4, 16, 16)
    assert float(blurred(x, 2.0).std()) < float(x.std()) / 3
    point = torch.zeros(1, 1, 17, 17)
    point[..., 8, 8] = 1.0
    ratio = float(blurred(point, 2.0)[0, 0, 8, 10] / blurred(point, 2.0)[0, 0, 8, 8])
    assert ratio == pytest.approx(math.exp(-0.5))
    assert blurred(x, 0.0) is x


@pytest.mark.parametrize(
    ("count", "size", "grid"),
    [(64, (64, 64), (8, 8)), (96, (64, 96), (8, 12)), (7, (8, 8), (1, 7)), (4, (9, 16), (2, 2))],
)
def test_tokens_stand_in_the_proportions_of_the_latent(count: int, size: tuple[int, int], grid: tuple[int, int]):
    assert token_grid(count, *size) == grid


def test_tiles_hold_neighbours_and_come_back_in_order():
    tokens = torch.arange(2 * 4 * 6).reshape(2, 24, 1)
    grid = (2, 3, 4, 6)
    tiles = into_tiles(tokens, grid)
    assert tiles.shape == (12, 4, 1)
    assert tiles[1, :, 0].tolist() == [2, 3, 8, 9]
    assert torch.equal(from_tiles(tiles, grid), tokens)


def test_the_most_alike_tokens_are_merged_and_given_back():
    height, width = 4, 6
    tokens = drawn(0, 2, height * width, 8)
    tokens[:, 1] = tokens[:, 0] * 1.5
    merge = match(tokens, height, width, 10, torch.Generator().manual_seed(0))
    assert merge.kept.shape == (2, 8)
    assert merge.gone.shape == (2, 10)
    assert merged(tokens, merge).shape == (2, 14, 8)
    for row in range(2):
        places = torch.cat([merge.kept[row], merge.gone[row], merge.taking])
        assert sorted(places.tolist()) == list(range(24))
    back = spread(merged(tokens, merge), merge)
    assert torch.equal(back.gather(1, merge.kept[..., None].expand(-1, -1, 8)),
                       tokens.gather(1, merge.kept[..., None].expand(-1, -1, 8)))  # fmt: skip
    first = int(merge.into[0, 0])
    together = [int(merge.taking[first]), *merge.gone[0][merge.into[0] == first].tolist()]
    assert torch.allclose(back[0, together[0]], tokens[0, together].mean(dim=0), atol=1e-6)
    assert torch.equal(back[0, together[0]], back[0, together[1]])


def test_equal_tokens_lose_nothing_by_merging():
    tokens = drawn(0, 1, 1, 8).expand(1, 16, 8).contiguous()
    merge = match(tokens, 4, 4, 12, torch.Generator().manual_seed(0))
    assert torch.allclose(spread(merged(tokens, merge), merge), tokens, atol=1e-6)


def test_distilled_levels_are_the_last_of_each_stretch():
    few = LEVELS.distilled()
    assert len(few) == 50
    assert torch.equal(few.sigmas, LEVELS.sigmas[19::20])
    assert (few.timestep(few.sigma_max), few.timestep(few.sigma_min)) == (999, 19)
    assert few.timestep(float(LEVELS.sigmas[505])) in (499, 519)
    assert torch.allclose(few.sigma(torch.tensor([999.0, 499.0])), LEVELS.sigmas[[999, 499]])
    assert few.percent_to_sigma(0.5) == pytest.approx(float(few.sigma(torch.tensor(499.5))))


def test_a_stretched_schedule_ends_in_noise_and_keeps_its_first_level():
    stretched = LEVELS.zero_terminal()
    assert stretched.sigma_max > 4000.0
    assert stretched.sigma_min == pytest.approx(LEVELS.sigma_min, rel=1e-3)
    assert (stretched.sigmas.diff() > 0).all()


def test_a_picture_that_is_not_square_is_tiled_as_if_it_lay_on_its_side():
    tile = HyperTile(torch.nn.Module(), HyperTileOption(64, 1, 0, False), torch.Generator())
    assert tile._grid(16 * 40, (16, 40)) == (5, 2, 40, 16)  # pyright: ignore[reportPrivateUsage]


def test_each_tile_attends_to_a_run_of_tokens_row_after_row():
    attention: Any = Attention(16, heads=2, dim_head=8)
    size = 8, 16
    tile = HyperTile(nn.ModuleDict({"attn1": attention}), HyperTileOption(64, 1, 0, False), torch.Generator())
    tokens = drawn(0, 2, 8 * 16, 16)
    with torch.no_grad(), tile.during(PassInfo(1.0, size, ("positive",), 2)):
        found = attention(tokens)
        queries = into_tiles(attention.to_q(tokens), (2, 1, 16, 8)).unflatten(-1, (2, 8)).transpose(1, 2)
        keys, values = (
            layer(tokens).reshape(4, -1, 2, 8).transpose(1, 2) for layer in (attention.to_k, attention.to_v)
        )
        mixed = nn.functional.scaled_dot_product_attention(queries, keys, values)
        expected = from_tiles(attention.to_out[0](mixed.transpose(1, 2).flatten(2)), (2, 1, 16, 8))
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("sides", "second", "place"),
    [
        (("positive", "negative"), "negative", 1),
        (("positive", "negative", "negative"), "negative", 2),
        (("cond1", "cond2", "negative"), "cond2", 1),
        (("cond1", "negative"), "cond2", None),
    ],
)
def test_the_attention_that_is_watched_is_that_of_the_last_prompt_of_the_second_side(
    sides: tuple[str, ...], second: str, place: int | None
):
    attention: Any = Attention(16, heads=2, dim_head=8)
    unet = nn.Module()
    unet.add_module("mid_block", nn.ModuleDict({"attn1": attention}))
    guidance = SelfAttention(unet, 1.0, 2.0)
    tokens = drawn(0, len(sides), 64, 16)
    with torch.no_grad(), guidance.during(PassInfo(1.0, (8, 8), sides, 1, second)):
        attention(tokens)
        watched = guidance._attended  # pyright: ignore[reportPrivateUsage]
        if place is None:
            assert watched is None
        else:
            assert watched is not None
            assert torch.equal(watched, attention_received(attention, tokens[place : place + 1]))
