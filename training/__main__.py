"""Command line of the training: `python -m training all`, or one stage at a time; every stage resumes where it stopped.

python -m training diffusion --until 22:15      train until a quarter past ten, the decay tail included
python -m training export                       write models/checkpoints/storybook-tiny.safetensors
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from training.dataset import default_work_dir, open_renders, render_all

if TYPE_CHECKING:
    from training.parallel import Budget

CHECKPOINT = Path(__file__).parents[1] / "models" / "checkpoints" / "storybook-tiny.safetensors"


def _budget(options: argparse.Namespace, name: str, on_cpu: float, on_gpu: float) -> Budget | None:
    """The time asked for; else what earlier runs left of a stage's usual minutes, None when that is nothing."""
    import torch

    from training.parallel import Budget, latest_average

    now = time.time()
    if options.until:
        hour, minute = (int(part) for part in options.until.split(":"))
        end = datetime.now().replace(hour=hour, minute=minute, second=0)
        seconds = (end if end > datetime.now() else end + timedelta(days=1)).timestamp() - now
    elif options.minutes:
        seconds = 60 * options.minutes
    else:
        state = latest_average(options.work_dir, name)
        seconds = 60 * (on_gpu if torch.cuda.is_available() else on_cpu) - (state["seconds"] if state else 0.0)
    if seconds <= 0:
        print(f"{name}: trained for its time already; give --minutes or --until to go on")
        return None
    decay = min(60 * options.decay_minutes, seconds / 3)
    return Budget(now + seconds - decay, now + seconds)


def _render(options: argparse.Namespace) -> None:
    render_all(options.work_dir, options.seed, options.count)


def _autoencoder(options: argparse.Namespace) -> None:
    from training.autoencoder import train_autoencoder

    _render(options)
    pictures = open_renders(options.work_dir, options.seed, options.count)
    train_autoencoder(options.work_dir, pictures, options.seed, options.minutes or 26)


def _latents(options: argparse.Namespace) -> None:
    from training.latents import cache_captions, cache_latents

    _render(options)
    cache_latents(options.work_dir, options.seed, options.count)
    cache_captions(options.work_dir, options.seed, options.count)


def _diffusion(options: argparse.Namespace) -> None:
    from training.diffusion import DiffusionTask
    from training.parallel import train

    _latents(options)
    task = DiffusionTask(options.work_dir, options.seed, options.count, options.compiled)
    if budget := _budget(options, task.name, on_cpu=300, on_gpu=20):
        train(task, budget, options.batch_size)


def _decoder(options: argparse.Namespace) -> None:
    from training.decoder import DecoderTask
    from training.parallel import train

    _latents(options)
    task = DecoderTask(options.work_dir, options.seed, options.count)
    if budget := _budget(options, task.name, on_cpu=60, on_gpu=5):
        train(task, budget, 4)


def _judge(options: argparse.Namespace) -> None:
    from training.decoder import load_autoencoder
    from training.judge import WEIGHTS, load_judge
    from training.judge_train import judge_accuracy, save_judge, train_judge
    from training.latents import open_latents

    if options.command == "judge" or not WEIGHTS.exists():
        _latents(options)
        pictures = open_renders(options.work_dir, options.seed, options.count)
        latents = open_latents(options.work_dir, options.count)
        vae = load_autoencoder(options.work_dir)
        save_judge(train_judge(pictures, latents, vae, options.seed))
    print("judge on held-out renders:", judge_accuracy(load_judge()))


def _export(options: argparse.Namespace) -> None:
    from training.autoencoder import example_pictures, psnr, to_tensor
    from training.decoder import load_autoencoder
    from training.diffusion import load_networks
    from training.export import fit_latent_rgb, write_checkpoint

    vae = load_autoencoder(options.work_dir)
    networks, trained = load_networks(options.work_dir)
    pictures = to_tensor(open_renders(options.work_dir, options.seed, options.count)[:512])
    quality = round(psnr(vae, example_pictures()), 2)
    record = {**trained, "seed": options.seed, "pictures": options.count, "psnr": quality}
    write_checkpoint(options.output, networks.unet, vae, networks.text, fit_latent_rgb(vae, pictures), record)
    print(f"wrote {options.output} ({options.output.stat().st_size / 1e6:.1f} MB): {record}")


def _sheet(options: argparse.Namespace) -> None:
    """Pictures of held-out captions from the weights in training, judged where the judge is trained."""
    from training.captions import caption_of
    from training.decoder import load_autoencoder
    from training.diffusion import load_networks
    from training.judge import WEIGHTS, load_judge
    from training.judge_train import score
    from training.sample import contact_sheet, draw
    from training.scene import held_out_scenes

    networks, trained = load_networks(options.work_dir)
    vae = load_autoencoder(options.work_dir)
    scenes = list(held_out_scenes(5, options.pictures))
    captions = options.prompt or [caption_of(scene, 0) for scene in scenes]
    pictures = draw(networks, vae, captions, options.seed, guidance=options.guidance)
    print(trained)
    if not options.prompt and WEIGHTS.exists():
        print(score(load_judge().describe_all(pictures), scenes))
    contact_sheet(pictures).save(options.sheet)


def _all(options: argparse.Namespace) -> None:
    for stage in (_autoencoder, _latents, _diffusion, _decoder, _judge, _export):
        stage(options)


_STAGES: dict[str, Callable[[argparse.Namespace], None]] = {
    "render": _render,
    "autoencoder": _autoencoder,
    "latents": _latents,
    "diffusion": _diffusion,
    "decoder": _decoder,
    "judge": _judge,
    "export": _export,
    "sheet": _sheet,
    "all": _all,
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training", description="Train the embedded model.")
    parser.add_argument("command", choices=_STAGES)
    parser.add_argument("--work-dir", type=Path, default=default_work_dir(), help="renders, latents, training states")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=40960, help="pictures to render")
    parser.add_argument("--minutes", type=float, help="how long to train in this run")
    parser.add_argument("--until", metavar="HH:MM", help="train until this time of day")
    parser.add_argument("--decay-minutes", type=float, default=20, help="how much of it is the decay tail")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--compiled", action="store_true", help="compile the U-Net: minutes to start, quicker on a GPU")
    parser.add_argument("--output", type=Path, default=CHECKPOINT, help="where export writes")
    parser.add_argument("--pictures", type=int, default=64, help="how many pictures `sheet` makes")
    parser.add_argument("--prompt", action="append", help="for `sheet`: a prompt of your own; may be repeated")
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--sheet", type=Path, default=Path("sheet.png"), help="where `sheet` writes")
    return parser.parse_args()


def main() -> None:
    """Run one stage."""
    # Idle threads that spin for long starve each other as soon as anything else runs on the machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    options = _options()
    _STAGES[options.command](options)


if __name__ == "__main__":
    main()
