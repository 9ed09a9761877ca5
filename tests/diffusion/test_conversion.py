"""Weights are converted to the same numbers as torch's own conversion gives."""

from __future__ import annotations

import pytest
import torch

from diffusion.conversion import Converter


@pytest.mark.parametrize("stored", [torch.float16, torch.float32, torch.float8_e4m3fn, torch.float8_e5m2])
def test_the_numbers_are_those_of_a_direct_conversion(stored: torch.dtype) -> None:
    values = (torch.randn(700, 1001) * 10).to(stored)
    assert torch.equal(Converter(torch.bfloat16, values.numel())(values), values.to(torch.bfloat16))


def test_every_value_of_float16_survives() -> None:
    bits = torch.arange(-(2**15), 2**15).to(torch.int16)
    values = bits.view(torch.float16)
    converted = Converter(torch.bfloat16, values.numel())(values)
    assert torch.equal(converted.isnan(), values.isnan())
    assert torch.equal(converted.nan_to_num(), values.to(torch.bfloat16).nan_to_num())


def test_a_weight_in_the_right_type_is_not_copied() -> None:
    values = torch.randn(3, 4).to(torch.bfloat16)
    assert Converter(torch.bfloat16, 12)(values) is values


def test_a_transposed_weight_keeps_its_order() -> None:
    values = torch.randn(30, 20).half().T
    assert torch.equal(Converter(torch.bfloat16, 600)(values), values.to(torch.bfloat16))


def test_memory_is_used_again() -> None:
    convert = Converter(torch.bfloat16, 100)
    first = convert(torch.randn(100).half())
    assert convert(torch.randn(10, 5).half()).data_ptr() == first.data_ptr()
