"""Every adapter against the change written out index by index, and DoRA against its definition."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from diffusion.patches.adapters import Adapter, FullDelta, LohaDelta, LoraDelta, lokr


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def close(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours, theirs, atol=1e-5)


def test_a_linear_lora_adds_up_times_down_by_alpha_over_rank():
    up, down, weight = torch.randn(6, 4), torch.randn(4, 5), torch.randn(6, 5)
    adapter = Adapter(LoraDelta(up, down), alpha=2.0)
    assert close(adapter.apply(weight, 0.5), weight + 0.5 * (2 / 4) * (up @ down))
    assert close(Adapter(LoraDelta(up, down)).apply(weight, 1.0), weight + up @ down)


def test_a_convolution_lora_is_the_two_convolutions_in_a_row():
    up, down, x = torch.randn(6, 4, 1, 1), torch.randn(4, 5, 3, 3), torch.randn(1, 5, 8, 8)
    weight = Adapter(LoraDelta(up, down)).apply(torch.zeros(6, 5, 3, 3), 1.0)
    conv = torch.nn.functional.conv2d
    assert close(conv(x, weight), conv(conv(x, down), up))


def test_a_middle_core_sits_between_the_two():
    up, mid, down = torch.randn(6, 4, 1, 1), torch.randn(4, 4, 3, 3), torch.randn(4, 5, 1, 1)
    x = torch.randn(1, 5, 8, 8)
    adapter = Adapter(LoraDelta(up, down, mid))
    conv = torch.nn.functional.conv2d
    assert adapter.fits(torch.Size((6, 5, 3, 3)))
    assert close(conv(x, adapter.apply(torch.zeros(6, 5, 3, 3), 1.0)), conv(conv(conv(x, down), mid), up))


def test_a_loha_is_the_product_of_two_loras():
    a1, b1, a2, b2 = torch.randn(6, 3), torch.randn(3, 5), torch.randn(6, 3), torch.randn(3, 5)
    adapter = Adapter(LohaDelta(a1, b1, a2, b2), alpha=1.5)
    assert close(adapter.apply(torch.zeros(6, 5), 1.0), 0.5 * (a1 @ b1) * (a2 @ b2))


def test_a_loha_with_cores_contracts_them():
    t1, t2 = torch.randn(2, 3, 3, 3), torch.randn(2, 3, 3, 3)
    a1, a2, b1, b2 = torch.randn(2, 6), torch.randn(2, 6), torch.randn(3, 5), torch.randn(3, 5)
    adapter = Adapter(LohaDelta(a1, b1, a2, b2, t1, t2))
    expected = torch.ones(6, 5, 3, 3)
    for core, a, b in ((t1, a1, b1), (t2, a2, b2)):
        factor = torch.zeros(6, 5, 3, 3)
        for out, into in itertools.product(range(6), range(5)):
            for r, s in itertools.product(range(2), range(3)):
                factor[out, into] += core[r, s] * a[r, out] * b[s, into]
        expected *= factor
    assert adapter.fits(torch.Size((6, 5, 3, 3)))
    assert close(adapter.apply(torch.zeros(6, 5, 3, 3), 1.0), expected)


def test_a_lokr_is_a_kronecker_product():
    first, a, b = torch.randn(2, 3), torch.randn(4, 2), torch.randn(2, 5)
    delta = lokr({"w1": first, "w2_a": a, "w2_b": b})
    adapter = Adapter(delta, alpha=1.0)
    assert adapter.fits(torch.Size((8, 15)))
    assert adapter.scale == 0.5
    changed = adapter.apply(torch.zeros(8, 15), 1.0)
    assert close(changed[4:8, 5:10], 0.5 * first[1, 1] * (a @ b))


def test_a_lokr_of_whole_blocks_has_no_rank():
    adapter = Adapter(lokr({"w1": torch.randn(2, 2), "w2": torch.randn(3, 4, 3, 3)}), alpha=7.0)
    assert adapter.scale == 1.0
    assert adapter.fits(torch.Size((6, 8, 3, 3)))
    assert adapter.apply(torch.zeros(6, 8, 3, 3), 1.0).shape == (6, 8, 3, 3)


def test_a_lokr_convolution_may_be_stored_flat():
    a, b, first = torch.randn(3, 2), torch.randn(2, 4 * 9), torch.randn(2, 2)
    flat = Adapter(lokr({"w1": first, "w2_a": a, "w2_b": b}))
    whole = Adapter(lokr({"w1": first, "w2": (a @ b).reshape(3, 4, 3, 3)}))
    shape = torch.Size((6, 8, 3, 3))
    assert flat.fits(shape)
    assert close(flat.apply(torch.zeros(shape), 1.0), whole.apply(torch.zeros(shape), 1.0))


@pytest.mark.parametrize("by_row", [True, False])
def test_dora_sets_the_length_of_columns_or_of_peft_s_rows(by_row: bool):
    weight, up, down = torch.randn(6, 5, 3, 3), torch.randn(6, 2, 1, 1), torch.randn(2, 5, 3, 3)
    magnitude = torch.rand(6) + 1 if by_row else torch.rand(1, 5, 1, 1) + 1
    adapter = Adapter(LoraDelta(up, down), alpha=1.0, magnitude=magnitude)
    changed = adapter.apply(weight, 1.0)
    axes = (1, 2, 3) if by_row else (0, 2, 3)
    assert close(changed.pow(2).sum(axes).sqrt(), magnitude.flatten())
    whole = weight + 0.5 * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    stretch = changed / whole
    assert close(stretch, stretch.amax(axes, keepdim=True).expand_as(stretch))
    assert close(adapter.apply(weight, 0.25), weight + 0.25 * (changed - weight))


def test_dora_with_lengths_of_rows_stretches_them_by_what_they_were():
    weight, up, down = torch.randn(6, 5, 3, 3), torch.randn(6, 2, 1, 1), torch.randn(2, 5, 3, 3)
    magnitude = torch.rand(6, 1, 1, 1) + 1
    changed = Adapter(LoraDelta(up, down), alpha=1.0, magnitude=magnitude).apply(weight, 1.0)
    whole = weight + 0.5 * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    lengths = weight.flatten(1).norm(dim=1)[:, None, None, None]
    assert close(changed, whole * magnitude / lengths)


def test_a_full_difference_is_added_as_it_is():
    value, weight = torch.randn(7), torch.randn(7)
    assert close(Adapter(FullDelta(value), alpha=3.0).apply(weight, -1.0), weight - value)


@pytest.mark.parametrize("shape", [(6, 4), (5, 5), (6, 5, 3, 3), (5, 6), (30,)])
def test_an_adapter_of_another_shape_does_not_fit(shape: tuple[int, ...]):
    assert not Adapter(LoraDelta(torch.zeros(6, 2), torch.zeros(2, 5))).fits(torch.Size(shape))
