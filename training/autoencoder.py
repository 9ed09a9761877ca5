"""The KL autoencoder: three colour channels at 128×128 to four latent channels at 16×16, and back.

Trained on 64×64 crops, half of them centred on an object, and on whole pictures for the last fifth. At the end the
latents' mean and spread are folded into `quant_conv` and `post_quant_conv`, so that latents × 0.18215 have unit
variance and the standard scale factor of SD v1 stays true.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from training.renderer import SIZE, render
from training.scene import SKY_KINDS, held_out_scenes, scene_at
from training.state import Average, Log, device, load_state, save_state

# diffusers' annotations name its tuple results as well, which makes its objects unusable to a type checker.
Autoencoder = Any

SCALE_FACTOR = 0.18215
CONFIG = {
    "block_out_channels": (32, 64, 64, 64),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "latent_channels": 4,
}
_CROP, _BATCH, _WHOLE_FROM = 64, 16, 0.8
_KL_WEIGHT, _MSE_WEIGHT = 2e-3, 6.0
_RATE = 1.2e-3
_FOCUS_X = {"left": 36, "centre": 64, "right": 92}


def build_autoencoder() -> Autoencoder:
    model: Any = AutoencoderKL(**CONFIG)
    with torch.no_grad():
        model.quant_conv.bias[4:] = -5.0
    return model.to(memory_format=torch.channels_last)


def to_tensor(pictures: npt.NDArray[np.uint8]) -> torch.Tensor:
    """uint8 [n, h, w, 3] to float32 [n, 3, h, w] in −1…1."""
    return torch.from_numpy(pictures.astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1.0


def batch_of(pictures: npt.NDArray[np.uint8], rng: np.random.Generator, seed: int, whole: bool) -> torch.Tensor:
    """A batch of crops, or a quarter as many whole pictures: the same number of pixels."""
    if whole:
        return to_tensor(pictures[rng.integers(0, len(pictures), _BATCH // 4)])
    crops = []
    for index in rng.integers(0, len(pictures), _BATCH):
        x, y = rng.integers(0, SIZE - _CROP + 1, 2)
        if rng.random() < 0.5:
            thing = scene_at(seed, int(index)).objects[0]
            centre_y = 50 if thing.kind in SKY_KINDS else 82
            x = np.clip(_FOCUS_X[thing.position] - _CROP // 2 + rng.integers(-16, 17), 0, SIZE - _CROP)
            y = np.clip(centre_y - _CROP // 2 + rng.integers(-16, 17), 0, SIZE - _CROP)
        crops.append(pictures[index, y : y + _CROP, x : x + _CROP])
    return to_tensor(np.stack(crops))


def reconstruction_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1, squared error (small objects lose their hue without it), and L1 of the gradients for crisp edges."""
    error = output.float() - target
    gradients = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + _MSE_WEIGHT * error.square().mean() + gradients


def example_pictures(count: int = 48) -> torch.Tensor:
    """Pictures of held-out scenes, [count, 3, 128, 128]."""
    return to_tensor(np.stack([np.asarray(render(scene)) for scene in held_out_scenes(7, count)]))


@torch.no_grad()
def psnr(model: Autoencoder, pictures: torch.Tensor) -> float:
    """Mean peak signal-to-noise ratio of the reconstructions, in dB."""
    outputs = torch.cat([model.decode(model.encode(part).latent_dist.mode()).sample for part in pictures.split(16)])
    error = (outputs.clamp(-1, 1) - pictures).square().mean(dim=(1, 2, 3)) / 4
    return float((-10 * error.log10()).mean())


def train_autoencoder(
    work_dir: Path, pictures: npt.NDArray[np.uint8], seed: int, minutes: float, save_every: float = 120.0
) -> None:
    """Train for `minutes` in all, earlier runs counted in; leaves `autoencoder.pt` with the folded EMA weights."""
    state_path, final_path = work_dir / "autoencoder-state.pt", work_dir / "autoencoder.pt"
    if final_path.exists():
        return
    where = device()
    torch.manual_seed(seed)
    model = build_autoencoder().to(where)
    optimiser = torch.optim.AdamW(model.parameters(), lr=_RATE, betas=(0.9, 0.98), weight_decay=1e-3)
    average = Average(model, 0.995)
    step, elapsed = 0, 0.0
    if state := load_state(state_path):
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        average.load(state["average"])
        step, elapsed = state["step"], state["elapsed"]
    rng = np.random.default_rng((seed, step))
    log = Log(work_dir / "autoencoder.csv", ("step", "minutes", "loss", "psnr"))
    examples = example_pictures().to(where)
    judge = build_autoencoder().to(where).eval()
    losses: list[float] = []
    mark = saved = time.monotonic()
    while elapsed < minutes * 60:
        progress = elapsed / (minutes * 60)
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
        batch = batch_of(pictures, rng, seed, progress > _WHOLE_FROM).to(where, memory_format=torch.channels_last)
        with torch.autocast(where.type, torch.bfloat16):
            posterior = model.encode(batch).latent_dist
            output = model.decode(posterior.sample()).sample
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        loss = reconstruction_loss(output, batch) + _KL_WEIGHT * divergence
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update(model, step)
        losses.append(loss.item())
        step += 1
        now = time.monotonic()
        elapsed, mark = elapsed + now - mark, now
        if now - saved > save_every or elapsed >= minutes * 60:
            saved = now
            judge.load_state_dict(average.shadow)
            log.write(step, elapsed / 60, float(np.mean(losses)), psnr(judge, examples))
            losses.clear()
            save_state(
                state_path,
                {
                    "model": model.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "average": average.shadow,
                    "step": step,
                    "elapsed": elapsed,
                },
            )
    judge.load_state_dict(average.shadow)
    fold_normalisation(judge, to_tensor(pictures[:1024]).to(where))
    save_state(final_path, judge.state_dict())


@torch.no_grad()
def fold_normalisation(model: Autoencoder, pictures: torch.Tensor) -> None:
    """Rescale the latents in place so that mean 0 and standard deviation 1 / 0.18215 hold for each channel."""
    latents = torch.cat([model.encode(part).latent_dist.mode() for part in pictures.split(32)])
    mean = latents.mean(dim=(0, 2, 3))
    spread = latents.std(dim=(0, 2, 3)) * SCALE_FACTOR
    quant, post = model.quant_conv, model.post_quant_conv
    quant.weight[:4] /= spread[:, None, None, None]
    quant.bias[:4] = (quant.bias[:4] - mean) / spread
    quant.bias[4:] -= 2 * spread.log()
    post.bias += post.weight[:, :, 0, 0] @ mean
    post.weight *= spread[None, :, None, None]


def load_base_autoencoder(work_dir: Path) -> Autoencoder:
    """The autoencoder as its own training left it."""
    model = build_autoencoder()
    state = load_state(work_dir / "autoencoder.pt")
    if state is None:
        raise FileNotFoundError(f"no autoencoder in {work_dir}: run `python -m training autoencoder` first")
    model.load_state_dict(state)
    return model.eval()
