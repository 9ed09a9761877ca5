"""Latents pasted, cut, mixed and added, against numbers worked out by hand or by numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from diffusion.errors import BadLatent, BadSize
from diffusion.ops import latents
from diffusion.ops.batches import BadBatch
from diffusion.values import Latent


def flat(value: float, rows: int, columns: int, *, batch: int = 1, channels: int = 4) -> Latent:
    return Latent(torch.full((batch, channels, rows, columns), float(value)))


def counting(rows: int, columns: int, *, batch: int = 1, channels: int = 4) -> Latent:
    count = batch * channels * rows * columns
    return Latent(torch.arange(count, dtype=torch.float32).reshape(batch, channels, rows, columns))


def plane(latent: Latent) -> list[list[float]]:
    return latent.samples[0, 0].tolist()


def test_composite_counts_its_place_in_cells_of_8_pixels_and_cuts_off_what_sticks_out():
    result = latents.composite(flat(9, 3, 4), counting(2, 2), x=24, y=15, feather=0)
    assert plane(result) == [[9, 9, 9, 9], [9, 9, 9, 0], [9, 9, 9, 2]]  # 15 pixels are cell 1


def test_composite_feathers_only_the_edges_that_lie_inside():
    # 4 cells at the left edge of 8, from the top to the bottom: only the right edge fades, over 2 cells.
    result = latents.composite(flat(1, 2, 8), flat(5, 2, 4), x=0, y=0, feather=16)
    assert plane(result)[0] == [5, 5, 5, 3, 1, 1, 1, 1]
    # In the middle both sides fade: weights ½, 1, 1, ½.
    result = latents.composite(flat(1, 2, 8), flat(5, 2, 4), x=16, y=0, feather=16)
    assert plane(result)[1] == [1, 1, 3, 5, 5, 3, 1, 1]


def test_composite_multiplies_the_fades_that_meet_in_a_corner():
    result = latents.composite(flat(0, 6, 6), flat(16, 6, 6), x=16, y=16, feather=16)
    assert plane(result)[2][2:] == [4, 8, 8, 8]  # ½·½ in the corner, ½ along the top; the far edges lie at the border
    assert plane(result)[3][2:] == [8, 16, 16, 16]


def test_composite_with_a_fade_longer_than_the_source_gives_comfyuis_numbers():
    # 2 cells with a fade of 4: ¼, ½ from the near edge, ½, ¼ from the far one; step 3 hits cell 0 again (4/4).
    result = latents.composite(flat(0, 1, 6), flat(64, 1, 2), x=16, y=0, feather=32)
    assert plane(result)[0] == [0, 0, 64 / 4 / 2, 64 / 2 / 4, 0, 0]
    # A fade of 6: 1/6, 2/6 and 2/6, 1/6, and step 3 hits cell 0 a third time with 4/6.
    result = latents.composite(flat(0, 1, 6), flat(216, 1, 2), x=16, y=0, feather=48)
    assert plane(result)[0][2:4] == pytest.approx([216 * 2 * 4 / 216, 216 * 2 / 36])


def test_composite_uses_a_single_source_for_every_item_and_keeps_the_mask():
    below = replace(flat(0, 2, 2, batch=3), noise_mask=torch.ones(1, 2, 2), batch_index=(4, 5, 6))
    result = latents.composite(below, flat(7, 1, 1), x=8, y=0, feather=0)
    assert result.samples[:, 0, 0, 1].tolist() == [7, 7, 7]
    assert result.batch_index == (4, 5, 6)
    assert result.noise_mask is below.noise_mask
    assert below.samples.abs().sum() == 0, "the input must stay as it is"


def test_composite_refuses_batches_that_do_not_match():
    with pytest.raises(BadBatch, match="2 items") as caught:
        latents.composite(flat(0, 2, 2), flat(1, 2, 2, batch=2), 0, 0, 0)
    assert (caught.value.input, caught.value.code) == ("samples_from", "bad_batch")


@pytest.mark.parametrize(("x", "y", "input"), [(40, 0, "x"), (0, 32, "y"), (16384, 0, "x")])
def test_a_place_outside_the_latent_names_the_input(x: int, y: int, input: str):
    with pytest.raises(BadSize, match="outside") as caught:
        latents.composite(flat(0, 3, 4), flat(1, 1, 1), x, y, 0)
    assert caught.value.input == input


@pytest.mark.parametrize(("x", "y"), [(32, 0), (39, 0), (0, 24), (32, 24)])
@pytest.mark.parametrize("feather", [0, 16])
def test_a_place_on_the_edge_changes_nothing(x: int, y: int, feather: int):
    below = counting(3, 4)
    assert torch.equal(latents.composite(below, flat(99, 2, 2), x, y, feather).samples, below.samples)


@pytest.mark.parametrize(("x", "y"), [(32, 0), (0, 24), (16384, 0), (8, 16384)])
def test_a_place_outside_leaves_the_destination_of_a_masked_composite_as_it_is(x: int, y: int):
    below, mask = counting(3, 4), torch.ones(1, 8, 8)
    result = latents.composite_masked(below, flat(99, 2, 2), x, y, resize_source=False, mask=mask)
    assert torch.equal(result.samples, below.samples)


def test_composite_masked_without_a_mask_covers_the_whole_source():
    result = latents.composite_masked(flat(9, 3, 3), counting(2, 2), 16, 8, resize_source=False, mask=None)
    assert plane(result) == [[9, 9, 9], [9, 9, 0], [9, 9, 2]]


def test_composite_masked_mixes_by_the_mask_stretched_to_the_source():
    # A 2×2 mask over 4×4 cells, bilinear with pixel centres: rows weigh 0, ¼, ¾, 1 of the lower mask row.
    mask = torch.tensor([[[0.0, 0.0], [1.0, 1.0]]])
    result = latents.composite_masked(flat(2, 4, 4), flat(6, 4, 4), 0, 0, resize_source=False, mask=mask)
    assert [row[0] for row in plane(result)] == [2, 3, 5, 6]


def test_composite_masked_gives_every_item_its_own_mask():
    mask = torch.stack([torch.zeros(2, 2), torch.ones(2, 2)])
    result = latents.composite_masked(flat(1, 2, 2, batch=3), flat(9, 2, 2), 0, 0, resize_source=False, mask=mask)
    assert result.samples[:, 0, 0, 0].tolist() == [1, 9, 1]


def test_composite_masked_can_stretch_the_source_first():
    result = latents.composite_masked(
        flat(0, 4, 4), Latent(torch.ones(1, 4, 1, 1)), 0, 0, resize_source=True, mask=None
    )
    assert torch.equal(result.samples, torch.ones(1, 4, 4, 4))


def test_blend_takes_the_factor_of_the_first():
    assert plane(latents.blend(flat(8, 1, 1), flat(4, 1, 1), 0.75)) == [[7.0]]
    assert plane(latents.blend(flat(8, 1, 1), flat(4, 1, 1), 1.0)) == [[8.0]]


def test_blend_crops_the_second_to_the_first_before_scaling():
    # 2 rows of 6: the middle two columns have the proportions of a square.
    wide = torch.zeros(1, 4, 2, 6)
    wide[..., 2:4] = 1.0
    assert torch.allclose(latents.blend(flat(0, 4, 4), Latent(wide), 0.0).samples, torch.ones(1, 4, 4, 4))


def test_blend_refuses_batches_that_do_not_match():
    with pytest.raises(BadBatch) as caught:
        latents.blend(flat(0, 2, 2, batch=2), flat(1, 2, 2, batch=3), 0.5)
    assert caught.value.input == "samples2"


def test_crop_cuts_cells_and_ends_where_the_latent_ends():
    source = counting(12, 16)
    result = latents.crop(source, width=64, height=80, x=16, y=8)
    assert torch.equal(result.samples, source.samples[:, :, 1:11, 2:10])
    assert result.samples.is_contiguous()
    assert latents.crop(source, width=512, height=512, x=16, y=0).samples.shape == (1, 4, 12, 14)


def test_crop_moves_a_late_corner_back_so_that_64_pixels_remain():
    source = counting(12, 16)
    result = latents.crop(source, width=64, height=64, x=15 * 8, y=11 * 8)
    assert torch.equal(result.samples, source.samples[:, :, 4:12, 8:16])
    assert latents.crop(counting(4, 4), 64, 64, 8, 8).samples.shape == (1, 4, 4, 4)
    beyond = latents.crop(source, width=64, height=64, x=16384, y=16384)
    assert torch.equal(beyond.samples, source.samples[:, :, 4:12, 8:16])


@pytest.mark.parametrize(("cells", "first"), [(3, 0), (4, 0), (5, 2), (6, 4), (7, 6), (8, 0)])
@pytest.mark.parametrize("pixels", [64, 512])
def test_crop_of_a_latent_of_fewer_than_8_cells_counts_from_its_far_edge(cells: int, first: int, pixels: int):
    source = counting(cells, cells)
    result = latents.crop(source, width=pixels, height=pixels, x=0, y=8)
    assert torch.equal(result.samples, source.samples[:, :, first:, first:])


def test_rotate_turns_clockwise():
    assert plane(latents.rotate(counting(2, 3), 1)) == [[3, 0], [4, 1], [5, 2]]
    assert plane(latents.rotate(counting(2, 3), 2)) == [[5, 4, 3], [2, 1, 0]]
    assert plane(latents.rotate(counting(2, 3), 3)) == [[2, 5], [1, 4], [0, 3]]
    assert plane(latents.rotate(counting(2, 3), 0)) == [[0, 1, 2], [3, 4, 5]]


def test_flip_mirrors():
    assert plane(latents.flip(counting(2, 2), vertically=True)) == [[2, 3], [0, 1]]
    assert plane(latents.flip(counting(2, 2), vertically=False)) == [[1, 0], [3, 2]]


def test_arithmetic():
    one, two = counting(1, 2), flat(3, 1, 2)
    assert plane(latents.add(one, two)) == [[3, 4]]
    assert plane(latents.subtract(one, two)) == [[-3, -2]]
    assert plane(latents.multiply(one, -2.5)) == [[0, -2.5]]


def test_arithmetic_repeats_and_cuts_the_second_batch():
    second = Latent(torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1).repeat(1, 4, 1, 1))
    assert latents.add(flat(0, 1, 1, batch=3), second).samples[:, 0, 0, 0].tolist() == [1, 2, 1]
    assert latents.add(flat(0, 1, 1), second).samples[:, 0, 0, 0].tolist() == [1]


@pytest.mark.parametrize(
    ("direction", "expected"),
    [("x", [[1, 2, 2]]), ("-x", [[2, 2, 1]]), ("y", [[1], [2], [2]]), ("-y", [[2], [2], [1]])],
)
def test_latents_are_put_beside_each_other(direction: str, expected: list[list[float]]):
    second = flat(2, 1, 2) if direction[-1] == "x" else flat(2, 2, 1)
    first = replace(flat(1, 1, 1, batch=2), batch_index=(4, 5))
    result = latents.concat(first, second, direction)
    assert result.samples[1, 0].tolist() == expected
    assert result.batch_index == (4, 5)


def test_along_t_channels_are_joined():
    result = latents.concat(flat(1, 2, 3), flat(2, 2, 3), "-t")
    assert result.samples[0, :, 0, 0].tolist() == [2, 2, 2, 2, 1, 1, 1, 1]


def test_latents_of_other_sides_are_not_put_beside_each_other():
    with pytest.raises(BadLatent, match=r"\[1, 4, 2, 3\] and \[1, 4, 3, 3\]") as caught:
        latents.concat(flat(1, 2, 3), flat(2, 3, 3), "x")
    assert caught.value.input == "samples2"


@pytest.mark.parametrize(
    ("index", "amount", "expected"),
    [(0, 1, [0]), (1, 2, [1, 2]), (3, 9, [3]), (50, 2, [3]), (-1, 4, [3]), (-3, 2, [1, 2]), (-9, 2, [0, 1])],
)
def test_a_strip_is_cut_out(index: int, amount: int, expected: list[int]):
    source = counting(4, 4)
    assert torch.equal(latents.cut(source, "x", index, amount).samples, source.samples[..., expected])
    assert torch.equal(latents.cut(source, "y", index, amount).samples, source.samples[:, :, expected])
    assert torch.equal(latents.cut(source, "t", index, amount).samples, source.samples[:, expected])


def test_interpolation_mixes_direction_and_length_apart():
    # Channels (3, 0) and (0, 1): the mean direction is the diagonal, the mean length 2.
    first, second = torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 1, 1)
    first[0, 0], second[0, 1] = 3.0, 1.0
    result = latents.interpolate_between(Latent(first), Latent(second), 0.5)
    assert result.samples.flatten().tolist() == pytest.approx([2**0.5, 2**0.5])


def test_interpolation_treats_every_item_of_a_batch_by_itself():
    torch.manual_seed(1)
    one, two = torch.randn(3, 4, 3, 3), torch.randn(3, 4, 3, 3)
    result = latents.interpolate_between(Latent(one), Latent(two), 0.3).samples
    for i in range(3):
        a, b = one[i].numpy().astype(np.float64), two[i].numpy().astype(np.float64)
        a_length, b_length = np.sqrt((a**2).sum(0)), np.sqrt((b**2).sum(0))
        direction = 0.3 * a / a_length + 0.7 * b / b_length
        direction /= np.sqrt((direction**2).sum(0))
        np.testing.assert_allclose(result[i].numpy(), direction * (0.3 * a_length + 0.7 * b_length), rtol=1e-5)


def test_interpolation_of_as_many_items_as_channels_takes_item_cs_lengths_for_channel_c():
    torch.manual_seed(2)
    one, two = torch.randn(4, 4, 3, 5), torch.randn(4, 4, 3, 5)
    result = latents.interpolate_between(Latent(one), Latent(two), 0.3).samples.numpy()
    a, b = one.numpy().astype(np.float64), two.numpy().astype(np.float64)
    a_length, b_length = np.sqrt((a**2).sum(1)), np.sqrt((b**2).sum(1))
    direction = np.empty_like(a)
    for item in range(4):
        for channel in range(4):
            direction[item, channel] = (
                0.3 * a[item, channel] / a_length[channel] + 0.7 * b[item, channel] / b_length[channel]
            )
    length = np.sqrt((direction**2).sum(1))
    for channel in range(4):
        expected = direction[:, channel] / length[channel] * (0.3 * a_length[channel] + 0.7 * b_length[channel])
        np.testing.assert_allclose(result[:, channel], expected, rtol=1e-4)


def test_interpolation_of_an_empty_latent_is_finite():
    result = latents.interpolate_between(flat(0, 2, 2), counting(2, 2), 0.5).samples
    assert torch.isfinite(result).all()
    assert torch.equal(latents.interpolate_between(flat(0, 2, 2), flat(0, 2, 2), 0.5).samples, torch.zeros(1, 4, 2, 2))


def test_the_noise_mask_is_kept_in_its_own_size():
    mask = torch.rand(2, 1, 64, 48)
    result = latents.set_noise_mask(flat(0, 8, 8), mask)
    assert result.noise_mask is not None
    assert torch.equal(result.noise_mask, mask[:, 0])
    single = latents.set_noise_mask(flat(0, 8, 8), mask[0, 0]).noise_mask
    assert single is not None
    assert single.shape == (1, 64, 48)


@pytest.mark.parametrize("act", [latents.add, latents.subtract])
def test_latents_of_other_channels_are_refused(act: Callable[[Latent, Latent], Latent]):
    with pytest.raises(BadLatent, match="16 channels and the other has 4") as caught:
        act(flat(0, 2, 2), flat(0, 2, 2, channels=16))
    assert caught.value.input == "samples2"


def test_video_latents_are_refused():
    with pytest.raises(BadLatent, match="no latent of pictures"):
        latents.add(flat(0, 2, 2), Latent(torch.zeros(1, 4, 3, 2, 2)))
