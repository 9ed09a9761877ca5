"""What sampling costs by itself: microseconds a step of each sampler around a model that does nothing.

    python -m bench.sampling [--size 64] [--batch 1] [--steps 50] [sampler ...]

Prints, for each sampler, the best time of a step, guidance and noise included, and how often it asks the model.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor

from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.guidance import Guidance
from diffusion.sampling.names import SAMPLERS
from diffusion.sampling.protocols import ModelInputs, Prediction, Start
from diffusion.sampling.samplers import SAMPLER_TABLE
from diffusion.sampling.schedules import schedule
from diffusion.values import CondEntry, Conditioning


class NullModel:
    """Predicts what it was given."""

    sampling = DiscreteSchedule.scaled_linear()
    prediction: Prediction = "eps"
    latent_channels = 4
    latent_scale = 1.0
    device = torch.device("cpu")
    dtype = torch.float32
    calls = 0

    def inputs(self, entry: CondEntry, start: Start, *, negative: bool) -> ModelInputs:
        del start, negative
        return ModelInputs(entry.pooled)

    def predict(
        self, x: Tensor, timestep: Tensor, context: Tensor, pooled: Tensor | None = None, residuals: object = None
    ) -> Tensor:
        del timestep, context, pooled, residuals
        self.calls += 1
        return x


def microseconds(name: str, shape: tuple[int, ...], steps: int) -> tuple[float, float]:
    """Time of a step, and evaluations a step."""
    model = NullModel()
    conditioning = Conditioning((CondEntry(torch.zeros(1, 77, 768)),))
    guidance = Guidance(model, conditioning, conditioning, 7.0, shape=torch.Size(shape))
    sigmas = schedule(model.sampling, "karras", steps).tolist()
    x = torch.randn(shape) * sigmas[0]
    best = float("inf")
    with torch.inference_mode():
        for _ in range(4):
            model.calls = 0
            start = time.perf_counter()
            SAMPLER_TABLE[name](guidance, x, sigmas, seed=0, levels=model.sampling, report=lambda *_: None)
            best = min(best, time.perf_counter() - start)
    return best / steps * 1e6, model.calls / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samplers", nargs="*", default=list(SAMPLERS), metavar="sampler")
    parser.add_argument("--size", type=int, default=64, help="side of the latent (64)")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=50)
    given = parser.parse_args()
    shape = (given.batch, 4, given.size, given.size)
    print(f"latent {list(shape)}, {given.steps} steps; microseconds a step, evaluations a step")
    for name in given.samplers:
        taken, evaluations = microseconds(name, shape, given.steps)
        print(f"{name:32} {taken:9.0f} {evaluations:6.2f}")


if __name__ == "__main__":
    main()
