"""How well the embedded model draws what it is asked for, and how fast.

    python bench/default_model.py [--count 200] [--contact-sheet sheet.png]

Captions of combinations that training never showed go through the project's own sampler (dpmpp_2m, karras, 20 steps);
a judge trained on the renderer's pictures says what it sees. The judge's own accuracy is printed first: it bounds every
figure after it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in a worker, and before torch starts its threads

import torch  # noqa: E402
from PIL import Image  # noqa: E402

from diffusion.latents import empty  # noqa: E402
from diffusion.library import ModelLibrary  # noqa: E402
from diffusion.loaded import LoadedClip, LoadedUnet, LoadedVae  # noqa: E402
from diffusion.residency import Residency  # noqa: E402
from diffusion.sampling.ksampler import sample  # noqa: E402
from diffusion.text.encode import encode  # noqa: E402
from diffusion.vae import decode  # noqa: E402
from diffusion.values import ClipRef, CondEntry, Conditioning, ModelRef, VaeRef  # noqa: E402
from training.captions import caption_of  # noqa: E402
from training.judge import load_judge  # noqa: E402
from training.judge_train import judge_accuracy, score  # noqa: E402
from training.sample import contact_sheet  # noqa: E402
from training.scene import held_out_scenes  # noqa: E402

GOALS = {"time": 95.0, "ground": 95.0, "kind": 85.0, "colour": 90.0}
JUDGE_GOAL = 98.0
SECONDS_GOAL = 2.0
_BATCH = 10


@dataclass(frozen=True)
class Model:
    """The three parts of the checkpoint, loaded."""

    unet: LoadedUnet
    clip: LoadedClip
    vae: LoadedVae


def load(checkpoint: Path, device: str, precision: str) -> Model:
    library = ModelLibrary(checkpoint.parent.parent)
    residency = Residency(library, device, precision)
    file = library.resolve("checkpoints", checkpoint.name)
    config = library.sidecar(file)
    return Model(
        residency.unet(ModelRef(file, config)),
        residency.clip(ClipRef((file,), config)),
        residency.vae(VaeRef(file, config)),
    )


def draw(model: Model, prompts: list[str], seed: int, steps: int, cfg: float) -> list[Image.Image]:
    """One 128×128 picture a prompt, all of them from the noise of one seed, as one batch."""
    positive = torch.cat([encode(model.clip, prompt).entries[0].embedding for prompt in prompts])
    latent = sample(
        model.unet,
        latent=empty(128, 128, len(prompts)),
        positive=Conditioning((CondEntry(positive),)),
        negative=encode(model.clip, ""),
        seed=seed,
        steps=steps,
        cfg=cfg,
        sampler="dpmpp_2m",
        scheduler="karras",
    )
    pixels = (decode(model.vae, latent) * 255).round().byte().numpy()
    return [Image.fromarray(array) for array in pixels]


def main() -> None:
    parser = argparse.ArgumentParser(description="Judge pictures that the embedded model draws.")
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "models/checkpoints/storybook-tiny.safetensors")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cfg", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--contact-sheet", type=Path, help="save the first 64 pictures here")
    parser.add_argument("--json", type=Path, help="save the figures here")
    options = parser.parse_args()

    judge = load_judge()
    accuracy = {name: 100 * share for name, share in judge_accuracy(judge).items()}
    print("judge on held-out renders: " + "  ".join(f"{n} {v:.1f} %" for n, v in accuracy.items()))
    print(f"  goal: each at least {JUDGE_GOAL:.0f} %")

    model = load(options.checkpoint, options.device, options.precision)
    scenes = list(held_out_scenes(11, options.count))
    captions = [caption_of(scene, 0) for scene in scenes]
    draw(model, captions[:1], options.seed, options.steps, options.cfg)
    times: list[float] = []
    for number in range(3):
        begun = time.perf_counter()
        draw(model, captions[number : number + 1], options.seed, options.steps, options.cfg)
        times.append(time.perf_counter() - begun)

    pictures: list[Image.Image] = []
    for start in range(0, options.count, _BATCH):
        part = captions[start : start + _BATCH]
        pictures += draw(model, part, options.seed + start, options.steps, options.cfg)
    figures = {name: 100 * share for name, share in score(judge.describe_all(pictures), scenes).items()}

    where = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    print(f"{options.count} pictures, {options.steps} steps of dpmpp_2m/karras, cfg {options.cfg:g} ({where})")
    print(f"{'attribute':<12}{'right':>8}{'goal':>8}")
    for name, value in figures.items():
        print(f"{name:<12}{value:>6.1f} %{GOALS[name]:>6.0f} %  {'ok' if value >= GOALS[name] else 'below the goal'}")
    print(f"one picture: {min(times):.2f} s at best of three, {max(times):.2f} s at worst (goal {SECONDS_GOAL:g} s)")
    if options.contact_sheet:
        contact_sheet(pictures[:64]).save(options.contact_sheet)
    if options.json:
        options.json.write_text(json.dumps({"judge": accuracy, "model": figures, "seconds": min(times)}))


if __name__ == "__main__":
    main()
