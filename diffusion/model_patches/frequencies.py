"""FreSca (Huang et al. 2025, "FreSca: Scaling in Frequency Space Enhances Diffusion Models")."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from diffusion.sampling.run_patches import RunPatch, Seen


class FrequencyScaling(RunPatch):
    """Multiplies the low and the high frequencies of what leads from the negative to the positive. Without a negative
    that is all of the positive, as in ComfyUI."""

    def __init__(self, low: float, high: float, cutoff: int) -> None:
        self._low = low
        self._high = high
        self._cutoff = cutoff

    def before(self, seen: Seen) -> Seen:
        step = scaled_frequencies(seen.positive - seen.unconditional, self._low, self._high, self._cutoff)
        return replace(seen, positive=step + seen.unconditional)


def scaled_frequencies(x: Tensor, low: float, high: float, cutoff: int) -> Tensor:
    """`x` `[B,C,h,w]` with the frequencies of `[-cutoff, cutoff)` in both directions multiplied by `low`, and all
    others by `high`.

    On a side of fewer than twice `cutoff` cells the low ones would begin before the first. As in ComfyUI, such a place
    counts from the other end, so that few of them or none are low.
    """
    factors = torch.full(x.shape[-2:], high, device=x.device)
    rows, columns = (side // 2 for side in x.shape[-2:])
    factors[rows - cutoff : rows + cutoff, columns - cutoff : columns + cutoff] = low
    frequencies = torch.fft.fftshift(torch.fft.fft2(x.float()), dim=(-2, -1)) * factors
    return torch.fft.ifft2(torch.fft.ifftshift(frequencies, dim=(-2, -1))).real.to(x.dtype)
