"""Tiles against a plain loop over their pixels, written from the rule: rising weights, three tilings averaged."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diffusion.errors import BadSize
from diffusion.tiles import Tiling, in_tiles
from diffusion.vae_tiled import decode_tiled, encode_tiled
from diffusion.values import Latent
from tests.diffusion.test_vae import Fake


def quiet(*_: int) -> None:
    pass


def uneven(values: Tensor) -> Tensor:
    """A network that sees its whole tile, so that tiles differ."""
    return (values + values.mean()).repeat_interleave(2, 2).repeat_interleave(2, 3)


def weight(place: int, length: int, feather: int) -> float:
    if feather >= length:
        return 1.0
    rise = min(1.0, (place + 1) / feather) if feather else 1.0
    fall = min(1.0, (length - place) / feather) if feather else 1.0
    return rise * fall


def by_hand(values: Tensor, rows: int, columns: int, overlap: int) -> Tensor:
    height, width = values.shape[-2:]
    total, weights = torch.zeros(1, 1, 2 * height, 2 * width), torch.zeros(2 * height, 2 * width)
    for top in range(0, height - overlap, rows - overlap) if height > rows else [0]:
        for left in range(0, width - overlap, columns - overlap) if width > columns else [0]:
            made = uneven(values[:, :, top : top + rows, left : left + columns])
            for y in range(made.shape[2]):
                for x in range(made.shape[3]):
                    share = weight(y, made.shape[2], 2 * overlap) * weight(x, made.shape[3], 2 * overlap)
                    total[0, 0, 2 * top + y, 2 * left + x] += made[0, 0, y, x] * share
                    weights[2 * top + y, 2 * left + x] += share
    return total / weights


@pytest.mark.parametrize(
    ("height", "width", "tiling"),
    [(7, 9, (4, 4, 1)), (7, 9, (4, 4, 0)), (5, 20, (8, 6, 2)), (9, 9, (5, 6, 2)), (6, 3, (4, 8, 1))],
)
def test_tiles_are_joined_by_their_weights(height: int, width: int, tiling: tuple[int, int, int]):
    values = torch.randn(1, 1, height, width)
    joined = in_tiles(uneven, values, Tiling(*tiling), 2, lambda: None)
    assert torch.allclose(joined, by_hand(values, *tiling), atol=1e-5)


def test_what_fits_into_a_tile_goes_through_as_it_is():
    values = torch.randn(2, 1, 4, 6)
    joined = in_tiles(uneven, values, Tiling(8, 6, 2), 2, lambda: None)
    assert torch.equal(joined, torch.cat([uneven(each) for each in values.split(1)]))


def test_decoding_averages_three_tilings_and_reports_every_tile():
    class Toned(Fake):
        def decode_latent(self, latent: Tensor) -> Tensor:
            return super().decode_latent(latent) + latent.mean() / 10

    vae, latent = Toned(), Latent(torch.randn(2, 4, 24, 16) * 0.1)
    steps: list[tuple[int, int]] = []
    image = decode_tiled(vae, latent, 64, 512, lambda done, total: steps.append((done, total)))
    expected = torch.stack(
        [
            in_tiles(vae.decode_latent, latent.samples, Tiling(rows, columns, 2), 8, lambda: None)
            for rows, columns in ((16, 4), (4, 16), (8, 8))
        ]
    ).sum(0)
    assert torch.allclose(image.movedim(-1, 1), (expected / 3 + 1) / 2, atol=1e-6)
    assert [done for done, _ in steps] == list(range(len(steps)))
    assert steps[-1][0] == steps[-1][1] == 2 * (2 * 7 + 11 * 1 + 4 * 3)


def test_encoding_in_tiles_keeps_what_the_tiles_agree_on():
    image = torch.rand(1, 200, 333, 3)
    whole = Fake().encode_pixels(image[:, :, 2:330].movedim(-1, 1) * 2 - 1)
    latent = encode_tiled(Fake(), image, 128, 32, quiet)
    assert torch.allclose(latent.samples, whole, atol=1e-5)


def test_an_overlap_that_leaves_nothing_of_a_tile_is_refused():
    with pytest.raises(BadSize, match="leaves nothing") as caught:
        encode_tiled(Fake(), torch.zeros(1, 64, 64, 3), 128, 64, quiet)
    assert caught.value.input == "overlap"
