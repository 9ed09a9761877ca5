"""Loading, denoising and decoding beside diffusers' own pipeline, on a full-size Stable Diffusion 1.5 checkpoint.

    python bench/diffusion.py [--only load,denoise,compiled,decode,picture,gpu] [--checkpoint sd15.safetensors]

Without a checkpoint one is written first, in the public layout with drawn weights (2 GB; speed does not depend on what
the weights are). Whatever is compared is measured in turns within one run, and the best of its rounds counts, so that
what else the machine does weighs on all alike. `load` and `picture` run in fresh processes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PARTS = ("load", "denoise", "compiled", "decode", "picture", "gpu")
GOALS = {"load": 2.5, "peak": 3.5, "denoise": 2.0, "decode": 2.0}
POSITIVE, NEGATIVE = "a photograph of an astronaut riding a horse", "blurry"


@dataclass(frozen=True)
class Options:
    checkpoint: Path
    size: int
    steps: int
    rounds: int


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure diffusion beside diffusers.")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}, with commas between")
    parser.add_argument("--checkpoint", type=Path, help="a Stable Diffusion 1.5 file; written for the run unless given")
    parser.add_argument("--size", type=int, default=256, help="side of the pictures of denoise and decode (256)")
    parser.add_argument("--steps", type=int, default=4, help="steps that denoise takes each time (4)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender runs (3)")
    parser.add_argument("--child", choices=("load", "picture"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    parts = given.only.split(",")
    if not set(parts) <= set(PARTS):
        parser.error(f"--only takes {', '.join(PARTS)}")
    if given.child:
        print(json.dumps(_child(given.child, given.checkpoint, given.size, given.steps)))
        return
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = given.checkpoint or _written("sd15", Path(folder))
        options = Options(checkpoint.resolve(), given.size, given.steps, given.rounds)
        import torch

        print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
        for part in PARTS:
            if part in parts:
                print(f"\n{part}")
                MEASURED[part](options)


def _written(name: str, folder: Path) -> Path:
    from tests.reference import recipes

    print(f"writing {name} …", flush=True)
    return recipes.write(name, folder / "checkpoints" / f"{name}.safetensors")


# What runs in a process of its own.


def _child(part: str, checkpoint: Path, size: int, steps: int) -> dict[str, float]:
    from diffusion.worker_resources import create

    resources = create(checkpoint.parent.parent)
    begun = time.perf_counter()
    model = Ours(resources.residency, checkpoint)
    imported = time.perf_counter()
    if part == "load":
        model.load()
        return {"load": time.perf_counter() - imported}
    # Each part is loaded when it is first used, as in a workflow.
    prompts = model.encode(POSITIVE), model.encode(NEGATIVE)
    encoded = time.perf_counter()
    latent = model.sample(*prompts, size, steps)
    sampled = time.perf_counter()
    model.decode(latent)
    return {
        "import": imported - begun,
        "encode": encoded - imported,
        "sample": sampled - encoded,
        "decode": time.perf_counter() - sampled,
        "whole": time.perf_counter() - begun,
        "peak": _peak(),
    }


def _peak() -> float:
    """The most memory that this process had at once, in GB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def _in_child(part: str, options: Options, size: int = 0, steps: int = 0) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", part, "--checkpoint", str(options.checkpoint)]
    command += ["--size", str(size), "--steps", str(steps)]
    environment = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # as the engine starts its workers
    run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment)
    return json.loads(run.stdout.strip().splitlines()[-1])


# The contenders.


class Ours:
    """The project's own way from a checkpoint to a picture."""

    def __init__(self, residency: Any, checkpoint: Path) -> None:
        from diffusion.values import ClipRef, ModelRef, VaeRef

        self.residency = residency
        file = residency.library.resolve("checkpoints", checkpoint.name)
        self.model, self.clip, self.vae = ModelRef(file), ClipRef((file,)), VaeRef(file)

    def load(self) -> None:
        self.residency.clip(self.clip)
        self.residency.unet(self.model)
        self.residency.vae(self.vae)

    def encode(self, prompt: str) -> Any:
        from diffusion.text.encode import encode

        return encode(self.residency.clip(self.clip), prompt)

    def sample(self, positive: Any, negative: Any, size: int, steps: int, batch: int = 1) -> Any:
        from diffusion.latents import empty
        from diffusion.sampling.ksampler import sample

        return sample(
            self.residency.unet(self.model),
            latent=empty(size, size, batch),
            positive=positive,
            negative=negative,
            seed=42,
            steps=steps,
            cfg=7.5,
            sampler="euler",
            scheduler="normal",
        )

    def decode(self, latent: Any) -> Any:
        from diffusion.vae import decode

        return decode(self.residency.vae(self.vae), latent)


def ours(options: Options, precision: str = "auto", device: str = "cpu") -> Ours:
    from diffusion.library import ModelLibrary
    from diffusion.residency import Residency

    library = ModelLibrary(options.checkpoint.parent.parent)
    return Ours(Residency(library, device, precision), options.checkpoint)


def diffusers_pipeline(checkpoint: Path, dtype: Any, device: str = "cpu", *, best: bool = False) -> Any:
    """diffusers' pipeline around the weights of a checkpoint; `best` puts the channels last."""
    import diffusers
    import torch

    from diffusion.architecture import VaeConfig
    from diffusion.build import reads, unet_skeleton, unet_source, vae_skeleton, vae_source
    from diffusion.checkpoint_file import open_checkpoint
    from diffusion.detect import detect_file

    with open_checkpoint(checkpoint) as file:
        found = detect_file(file, None)
        assert found.unet is not None
        assert isinstance(found.vae, VaeConfig)
        parts: list[Any] = []
        module: Any
        for module, source in (
            (unet_skeleton(found.unet), unet_source(found.unet, file, use_ema=False)),
            (vae_skeleton(found.vae), vae_source(found.vae, file)),
        ):
            weights = {name: read().to(device, dtype) for name, read in reads(module, file, source).items()}
            module.load_state_dict(weights, assign=True)
            module.requires_grad_(False).eval()
            parts.append(module.to(memory_format=torch.channels_last) if best else module)
    library: Any = diffusers
    scheduler = library.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )
    shared: dict[str, Any] = {"vae": parts[1], "unet": parts[0], "scheduler": scheduler}
    shared |= {"text_encoder": None, "tokenizer": None}
    if found.unet.vector:
        pipe = library.StableDiffusionXLPipeline(**shared, text_encoder_2=None, tokenizer_2=None, add_watermarker=False)
    else:
        pipe = library.StableDiffusionPipeline(
            **shared, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def denoise_with(pipe: Any, positive: Any, negative: Any, size: int, steps: int, batch: int = 1) -> Any:
    entries = [each.entries[0] for each in (positive, negative)]
    dtype, device = pipe.unet.dtype, pipe.unet.device
    told: dict[str, Any] = {"prompt_embeds": entries[0].embedding, "negative_prompt_embeds": entries[1].embedding}
    if entries[0].pooled is not None and pipe.unet.config.class_embed_type:
        told |= {"pooled_prompt_embeds": entries[0].pooled, "negative_pooled_prompt_embeds": entries[1].pooled}
    told = {name: value.to(device, dtype) for name, value in told.items()}
    return pipe(
        **told,
        height=size,
        width=size,
        num_inference_steps=steps,
        guidance_scale=7.5,
        num_images_per_prompt=batch,
        output_type="latent",
    ).images


# The parts.


def in_turns(contenders: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The best time of each, after one warm-up."""
    best = dict.fromkeys(contenders, float("inf"))
    for number in range(rounds + 1):
        for name, run in contenders.items():
            begun = time.perf_counter()
            run()
            if number:
                best[name] = min(best[name], time.perf_counter() - begun)
    return best


def table(times: Mapping[str, float], unit: str, goal: float = 1.0, against: str = "") -> None:
    """Times, and how many times as long each takes as ours; `goal` is what the one named `against` should."""
    own = times["ours"]
    for name, seconds in times.items():
        ratio = seconds / own
        wanted = goal if name == against else 1.0
        verdict = "" if name == "ours" else f"   {ratio:5.2f} times ours, goal {wanted:g}: {_verdict(ratio >= wanted)}"
        print(f"  {name:<28}{seconds:8.3f} {unit}{verdict}", flush=True)


def _verdict(met: bool) -> str:
    return "ok" if met else "MISSED"


def load(options: Options) -> None:
    options.checkpoint.read_bytes()  # into the page cache
    runs = [_in_child("load", options) for _ in range(options.rounds)]
    best = min(run["load"] for run in runs)
    print("  each: " + ", ".join(f"{run['load']:.2f} s" for run in runs))
    print(f"  best {best:.2f} s, goal {GOALS['load']:g} s: {_verdict(best <= GOALS['load'])}")


def denoise(options: Options) -> None:
    import torch

    mine = ours(options)
    prompts = mine.encode(POSITIVE), mine.encode(NEGATIVE)
    whole = diffusers_pipeline(options.checkpoint, torch.float32)
    half = diffusers_pipeline(options.checkpoint, torch.bfloat16, best=True)
    size, steps = options.size, options.steps
    times = in_turns(
        {
            "diffusers, float32": lambda: denoise_with(whole, *prompts, size, steps),
            "diffusers, bf16, nhwc": lambda: denoise_with(half, *prompts, size, steps),
            "ours": lambda: mine.sample(*prompts, size, steps),
        },
        options.rounds,
    )
    print(f"  {size}×{size}, euler, {steps} steps")
    table({name: taken / steps for name, taken in times.items()}, "s/step", GOALS["denoise"], "diffusers, float32")


def compiled(options: Options) -> None:
    import torch

    mine = ours(options)
    prompts = mine.encode(POSITIVE), mine.encode(NEGATIVE)
    pipe = diffusers_pipeline(options.checkpoint, torch.bfloat16, best=True)
    pipe.unet = torch.compile(pipe.unet)
    size, steps = options.size, options.steps
    begun = time.perf_counter()
    denoise_with(pipe, *prompts, size, 1)
    print(f"  torch.compile took {time.perf_counter() - begun:.0f} s before its first picture")
    times = in_turns(
        {
            "diffusers, bf16, compiled": lambda: denoise_with(pipe, *prompts, size, steps),
            "ours": lambda: mine.sample(*prompts, size, steps),
        },
        options.rounds,
    )
    print(f"  {size}×{size}, euler, {steps} steps")
    table({name: taken / steps for name, taken in times.items()}, "s/step")


def decode(options: Options) -> None:
    import torch

    from diffusion.values import Latent

    mine, side = ours(options), options.size // 8
    samples = torch.randn(1, 4, side, side)

    def with_vae(vae: Any) -> Callable[[], Any]:
        def run() -> Any:
            with torch.inference_mode():
                return vae.decode(samples.to(vae.dtype), return_dict=False)[0].float()

        return run

    whole = diffusers_pipeline(options.checkpoint, torch.float32).vae
    half = diffusers_pipeline(options.checkpoint, torch.bfloat16, best=True).vae
    fast = diffusers_pipeline(options.checkpoint, torch.bfloat16, best=True).vae
    fast.decoder = torch.compile(fast.decoder)
    times = in_turns(
        {
            "diffusers, float32": with_vae(whole),
            "diffusers, bf16, nhwc": with_vae(half),
            "diffusers, bf16, compiled": with_vae(fast),
            "ours": lambda: mine.decode(Latent(samples)),
        },
        options.rounds,
    )
    print(f"  {options.size}×{options.size}")
    table(times, "s", GOALS["decode"], "diffusers, float32")


def picture(options: Options) -> None:
    options.checkpoint.read_bytes()
    found = _in_child("picture", options, 512, 20)
    print("  512×512, euler, 20 steps, in a fresh process")
    for name in ("import", "encode", "sample", "decode", "whole"):
        print(f"  {name:<28}{found[name]:8.2f} s")
    print(f"  peak resident memory {found['peak']:.2f} GB, goal {GOALS['peak']:g} GB: {_verdict(found['peak'] <= 3.5)}")


def gpu(options: Options) -> None:
    import torch

    if not torch.cuda.is_available():
        print("  no GPU here")
        return
    print(f"  {torch.cuda.get_device_name()}")
    on_gpu(options.checkpoint, 512, options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        on_gpu(_written("sdxl-base", Path(folder)), 1024, options.rounds)


def on_gpu(checkpoint: Path, size: int, rounds: int) -> None:
    import torch

    mine = ours(Options(checkpoint, size, 0, rounds), "auto", "cuda")
    prompts = mine.encode(POSITIVE), mine.encode(NEGATIVE)
    eager = diffusers_pipeline(checkpoint, torch.float16, "cuda", best=True)
    fast = diffusers_pipeline(checkpoint, torch.float16, "cuda", best=True)
    fast.unet = torch.compile(fast.unet, mode="max-autotune-no-cudagraphs")

    def measure(batch: int, steps: int) -> None:
        times = in_turns(
            {
                "diffusers, eager": _waiting(lambda: denoise_with(eager, *prompts, size, steps, batch)),
                "diffusers, compiled": _waiting(lambda: denoise_with(fast, *prompts, size, steps, batch)),
                "ours": _waiting(lambda: mine.sample(*prompts, size, steps, batch)),
                "ours, with the picture": _waiting(lambda: mine.decode(mine.sample(*prompts, size, steps, batch))),
            },
            rounds,
        )
        whole = times.pop("ours, with the picture")
        print(f"  {checkpoint.stem}, {size}×{size}, batch {batch}, {steps} steps, {steps / times['ours']:.1f} it/s,")
        print(f"  {whole:.2f} s with the pictures")
        table({each: taken / steps for each, taken in times.items()}, "s/step")

    for batch in (1, 8):
        for steps in (20, 30):
            measure(batch, steps)


def _waiting(run: Callable[[], Any]) -> Callable[[], None]:
    import torch

    def whole() -> None:
        run()
        torch.cuda.synchronize()

    return whole


MEASURED: Mapping[str, Callable[[Options], None]] = {
    "load": load,
    "denoise": denoise,
    "compiled": compiled,
    "decode": decode,
    "picture": picture,
    "gpu": gpu,
}

if __name__ == "__main__":
    main()
