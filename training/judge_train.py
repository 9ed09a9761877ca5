"""Trains the judge on renders, some of them through the autoencoder, with the flaws that generated pictures have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch.nn import functional

from training.autoencoder import SCALE_FACTOR, Autoencoder, to_tensor
from training.judge import WEIGHTS, Judge, JudgeNet, Verdict
from training.palette import COLOURS
from training.renderer import render
from training.scene import GROUNDS, KINDS, TIMES, Scene, held_out_scenes, scene_at
from training.state import device

_BATCH, _RATE = 64, 2e-3
_NO_COLOUR = -100


def labels_of(scenes: Sequence[Scene]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Times [n], grounds [n], kinds [n, 12] as 0 or 1, colours [n, 12] with −100 for a kind that is not there."""
    names = list(COLOURS)
    kinds = torch.zeros(len(scenes), len(KINDS))
    colours = torch.full((len(scenes), len(KINDS)), _NO_COLOUR)
    for row, scene in enumerate(scenes):
        for thing in scene.objects:
            kinds[row, KINDS.index(thing.kind)] = 1
            colours[row, KINDS.index(thing.kind)] = names.index(thing.colour)
    times = torch.tensor([TIMES.index(scene.time) for scene in scenes])
    grounds = torch.tensor([GROUNDS.index(scene.ground) for scene in scenes])
    return times, grounds, kinds, colours


def train_judge(
    pictures: npt.NDArray[np.uint8],
    latents: npt.NDArray[np.float16],
    vae: Autoencoder,
    seed: int,
    steps: int = 1400,
) -> JudgeNet:
    """A judge trained for `steps` batches of 64; a sixteenth of its pictures come out of the decoder."""
    where = device()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = JudgeNet().to(where)
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0.02)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
        chosen = rng.integers(0, len(pictures), _BATCH)
        batch = to_tensor(pictures[chosen])
        part = chosen[: _BATCH // 16]
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            inputs = torch.from_numpy(latents[part].astype(np.float32))
            decoded = vae.decode((inputs + 0.05 * torch.randn_like(inputs)) / SCALE_FACTOR).sample
        batch[: len(part)] = decoded.float()
        batch = _worn(batch, rng).to(where, memory_format=torch.channels_last)
        times, grounds, kinds, colours = (t.to(where) for t in labels_of([scene_at(seed, int(i)) for i in chosen]))
        with torch.autocast(where.type, torch.bfloat16):
            time_logits, ground_logits, kind_logits, colour_logits = network(batch)
        loss = (
            functional.cross_entropy(time_logits.float(), times)
            + functional.cross_entropy(ground_logits.float(), grounds)
            + 6 * functional.binary_cross_entropy_with_logits(kind_logits.float(), kinds)
            + functional.cross_entropy(colour_logits.float().flatten(0, 1), colours.flatten(), ignore_index=_NO_COLOUR)
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if step % 50 == 0:
            print(f"judge step={step} loss={loss.item():.4f}", flush=True)
    return network.cpu().eval()


def _worn(batch: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Blur half the batch a little, and give every picture its own noise, brightness and shift."""
    half = len(batch) // 2
    batch = batch.clone()
    blurred = functional.avg_pool2d(functional.pad(batch[half:], (1, 1, 1, 1), mode="replicate"), 3, 1)
    batch[half:] = torch.lerp(batch[half:], blurred, float(rng.random()))
    count = len(batch)
    batch = batch + torch.randn_like(batch) * (0.12 * torch.rand(count, 1, 1, 1))
    batch = batch * (1 + 0.1 * torch.randn(count, 1, 1, 1)) + 0.05 * torch.randn(count, 3, 1, 1)
    return torch.roll(batch, tuple(int(v) for v in rng.integers(-4, 5, 2)), dims=(2, 3)).clamp(-1, 1)


def score(verdicts: Sequence[Verdict], scenes: Sequence[Scene]) -> dict[str, float]:
    """Shares of right answers, 0…1, over single-object scenes: time, ground, kind, colour."""
    pairs = list(zip(verdicts, scenes, strict=True))
    return {
        "time": float(np.mean([v.time == s.time for v, s in pairs])),
        "ground": float(np.mean([v.ground == s.ground for v, s in pairs])),
        "kind": float(np.mean([v.kind == s.objects[0].kind for v, s in pairs])),
        "colour": float(np.mean([v.colour == s.objects[0].colour for v, s in pairs])),
    }


def judge_accuracy(judge: Judge, count: int = 600) -> dict[str, float]:
    """How often the judge is right on renders of combinations that it never saw."""
    scenes = list(held_out_scenes(101, count))
    return score(judge.describe_all([render(scene) for scene in scenes]), scenes)


def save_judge(network: JudgeNet, path: Path = WEIGHTS) -> None:
    """Write the weights in float16."""
    weights = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    partial = path.with_suffix(".partial")
    save_file(weights, partial, {"license": "Apache-2.0"})
    partial.chmod(0o644)
    partial.replace(path)
