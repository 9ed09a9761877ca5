"""The noise levels that a model was trained on, and the way between noise level and timestep."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TERMINAL_ALPHA = 4.8973451890853435e-08
"""What is left of the picture, as a part of the variance, where a schedule with a zero terminal SNR ends."""


class DiscreteSchedule:
    """The noise levels of a variance-preserving diffusion with discrete timesteps.

    With x_t = sqrt(a) x_0 + sqrt(1 - a) n, `sigmas[t]` is sqrt((1 - a) / a): the noise level after dividing x_t by
    sqrt(a), which is the form that the samplers work in (Karras et al. 2022, appendix B).
    """

    def __init__(self, sigmas: Tensor, *, first: int = 0, stride: int = 1) -> None:
        """`sigmas`: rising positive noise levels, that of timestep `first` and then one for each `stride` timesteps;
        kept as float32 on the CPU. Given in float64, their logarithms are rounded once."""
        self.first = first
        self.stride = stride
        exact = sigmas.detach().cpu()
        self.sigmas = exact.float()
        self.log_sigmas = exact.log().float()
        self.sigma_min = float(self.sigmas[0])
        self.sigma_max = float(self.sigmas[-1])

    @classmethod
    def from_betas(cls, betas: Tensor) -> DiscreteSchedule:
        """From the variances added at each timestep (Ho et al. 2020)."""
        kept = torch.cumprod(1.0 - betas.double(), dim=0)
        return cls(((1.0 - kept) / kept).sqrt())

    @classmethod
    def scaled_linear(cls, start: float = 0.00085, end: float = 0.012, count: int = 1000) -> DiscreteSchedule:
        """Betas whose square roots are evenly spaced: the latent diffusion models, Stable Diffusion 1, 2 and XL."""
        return cls.from_betas(torch.linspace(start**0.5, end**0.5, count, dtype=torch.float64) ** 2)

    def distilled(self, count: int = 50) -> DiscreteSchedule:
        """The last of each of `count` equal stretches of timesteps: the levels of models that were distilled to few
        steps (Luo et al. 2023)."""
        stride = len(self) // count
        first = len(self) - 1 - stride * (count - 1)
        return DiscreteSchedule(self.sigmas[first::stride], first=first, stride=stride)

    def zero_terminal(self) -> DiscreteSchedule:
        """The same schedule stretched to end in pure noise (Lin et al. 2023, algorithm 1). The last level would be
        infinite; it is set to the value that such models are sampled with."""
        kept = (1 / (self.sigmas**2 + 1)).sqrt()
        stretched = (kept - kept[-1]) * (kept[0] / (kept[0] - kept[-1]))
        alphas = stretched**2
        alphas[-1] = TERMINAL_ALPHA
        return DiscreteSchedule(((1 - alphas) / alphas).sqrt(), first=self.first, stride=self.stride)

    def __len__(self) -> int:
        return len(self.sigmas)

    @property
    def last(self) -> int:
        """The last timestep."""
        return self.first + self.stride * (len(self) - 1)

    def timestep(self, sigma: float) -> int:
        """The timestep whose noise level is nearest to `sigma` on a logarithmic scale."""
        log_sigma = torch.tensor(sigma, dtype=torch.float32).log()
        return self.first + self.stride * int((self.log_sigmas - log_sigma).abs().argmin())

    def sigma(self, timestep: Tensor) -> Tensor:
        """Noise levels at (fractional) timesteps, interpolated in log sigma; float32, in the shape of `timestep`."""
        place = timestep.to("cpu", torch.float32)
        if self.first or self.stride != 1:
            place = (place - self.first) / self.stride
        place = place.clamp(0, len(self) - 1)
        below = place.floor().long()
        above = place.ceil().long()
        part = place.frac()
        return ((1 - part) * self.log_sigmas[below] + part * self.log_sigmas[above]).exp()

    def percent_to_sigma(self, percent: float) -> float:
        """The noise level when `percent` (0 to 1) of the timesteps are done; infinite at 0 and zero at 1, so that a
        range from 0 to 1 takes in every level."""
        if percent <= 0.0:
            return math.inf
        if percent >= 1.0:
            return 0.0
        return float(self.sigma(torch.tensor((1.0 - percent) * self.last)))
