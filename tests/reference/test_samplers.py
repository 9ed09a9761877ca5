"""Every sampler and schedule against recordings of ComfyUI on an analytic model.

A recording's key is its whole parameter list. The environment variable LATENTGRAPH_REFERENCE_SAMPLERS names another
file of recordings to check in place of the one in the repository.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.ksampler import sample
from diffusion.sampling.protocols import ModelInputs, Prediction, Start
from diffusion.sampling.schedules import schedule
from diffusion.values import CondEntry, Conditioning, Latent

RECORDINGS = Path(
    os.environ.get("LATENTGRAPH_REFERENCE_SAMPLERS") or Path(__file__).parent / "data/samplers.safetensors"
)
LEVELS = DiscreteSchedule.scaled_linear()


def recorded() -> list[str]:
    with safe_open(RECORDINGS, "pt") as file:
        return sorted(file.keys())


def recording(key: str) -> Tensor:
    with safe_open(RECORDINGS, "pt") as file:
        return file.get_tensor(key)


KEYS = recorded()


class AnalyticModel:
    """1.1 tanh(x) + 0.1 c cos(t / 200), with c the mean of the conditioning."""

    sampling = LEVELS
    latent_channels = 4
    latent_scale = 0.18215
    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, prediction: Prediction) -> None:
        self.prediction: Prediction = prediction

    def inputs(self, entry: CondEntry, start: Start, *, negative: bool) -> ModelInputs:
        return ModelInputs(entry.pooled)

    def predict(
        self, x: Tensor, timestep: Tensor, context: Tensor, pooled: Tensor | None = None, residuals: object = None
    ) -> Tensor:
        level = context.mean(dim=(1, 2))[:, None, None, None]
        return 1.1 * torch.tanh(x) + 0.1 * level * torch.cos(timestep / 200)[:, None, None, None]


def prompt(level: float) -> Conditioning:
    return Conditioning((CondEntry(torch.full((1, 77, 8), level)),))


def run(key: str) -> Tensor:
    sampler, scheduler, *rest = key.split("/")
    given = dict(part.split("=") for part in rest)
    seed, batch, denoise = int(given["seed"]), int(given["batch"]), float(given["denoise"])
    samples, mask = torch.zeros(batch, 4, 16, 16), None
    if denoise < 1.0 or given["mask"] == "True":
        samples = torch.randn(samples.shape, generator=torch.Generator().manual_seed(1000 + seed))
    if given["mask"] == "True":
        mask = torch.zeros(1, 16, 16)
        mask[:, 4:12, 4:12] = 1.0
    start, end = (None if given[name] == "None" else int(given[name]) for name in ("start", "end"))
    return sample(
        AnalyticModel("v" if given["pred"] == "v" else "eps"),
        latent=Latent(samples, noise_mask=mask),
        positive=prompt(1.0),
        negative=prompt(-0.5),
        seed=seed,
        steps=int(given["steps"]),
        cfg=float(given["cfg"]),
        sampler=sampler,
        scheduler=scheduler,
        denoise=denoise,
        start_step=start,
        last_step=end,
        force_full_denoise=given["full"] == "True",
        add_noise=given["noise"] == "True",
    ).samples


def assert_close(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert actual.shape == expected.shape
    error, size = float((actual - expected).norm()), float(expected.norm())
    assert error <= tolerance * size, f"relative error {error / size:.2e}"


@pytest.mark.parametrize("key", [key for key in KEYS if not key.startswith("sigmas/")])
def test_a_run_gives_what_was_recorded(key: str) -> None:
    assert_close(run(key), recording(key), 1e-3 if key.startswith("dpm_adaptive/") else 1e-4)


@pytest.mark.parametrize("key", [key for key in KEYS if key.startswith("sigmas/") and key != "sigmas/table"])
def test_a_schedule_gives_what_was_recorded(key: str) -> None:
    _, name, steps = key.split("/")
    actual, expected = schedule(LEVELS, name, int(steps.removeprefix("steps="))), recording(key)
    assert torch.isfinite(actual).all()
    known = torch.isfinite(expected)  # kl_optimal divides zero by zero at one step in the recording
    assert actual.shape == expected.shape
    assert_close(actual[known], expected[known], 1e-4)


@pytest.mark.parametrize("key", [key for key in KEYS if key == "sigmas/table"])
def test_the_noise_levels_of_the_model_are_those_recorded(key: str) -> None:
    assert_close(LEVELS.sigmas, recording(key), 1e-4)
