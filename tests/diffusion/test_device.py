from __future__ import annotations

import pytest
import torch

from diffusion.device import place
from diffusion.errors import BadDevice


def test_the_cpu_in_float32_is_always_there():
    placement = place("cpu", "fp32")
    assert placement.label == "cpu/fp32"
    assert {placement.unet, placement.vae, placement.clip} == {torch.float32}


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_takes_bf16_only_where_the_cpu_computes_it(
    monkeypatch: pytest.MonkeyPatch, native: bool, dtype: torch.dtype
):
    monkeypatch.setattr("diffusion.device.cpu_computes_bf16", lambda: native)
    placement = place("cpu", "auto")
    assert placement.unet == dtype
    assert placement.clip == torch.float32


@pytest.mark.parametrize(
    ("device", "precision"), [("tpu9", "auto"), ("cuda:99", "auto"), ("meta", "auto"), ("cpu", "fp8"), ("cpu", "fp16")]
)
def test_what_the_machine_lacks_is_refused_with_a_remedy(device: str, precision: str):
    with pytest.raises(BadDevice) as caught:
        place(device, precision)
    assert caught.value.hint
