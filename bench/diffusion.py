"""Loading, denoising and decoding beside diffusers' own pipeline, on a full-size Stable Diffusion 1.5 checkpoint.

    python bench/diffusion.py [--only load,denoise,compiled,decode,picture,gpu] [--checkpoint sd15.safetensors]

Without a checkpoint one is written first, in the public layout with drawn weights (2 GB; speed does not depend on what
the weights are). Whatever is compared is measured in turns within one run, and the best of its rounds counts, so that
what else the machine does weighs on all alike. `load` and `picture` run in fresh processes.
"""

from __future__ import annotations

import argparse
import gc
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

from bench.contenders import Ours, denoise_with, diffusers_pipeline, ours  # noqa: E402

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
    parser.add_argument("--child", choices=("load", "touch", "picture"), help=argparse.SUPPRESS)
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
    gc.freeze()  # as a worker does after its imports
    imported = time.perf_counter()
    if part == "touch":
        return {"touch": _touched(size)}
    if part == "load":
        model.load()
        first = time.perf_counter() - imported
        weights = model.residency.resident_bytes
        return {"load": first, "again": min(_loaded_again(model) for _ in range(4)), "weights": weights}
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


def _loaded_again(model: Ours) -> float:
    model.residency.free()
    begun = time.perf_counter()
    model.load()
    return time.perf_counter() - begun


def _touched(size: int) -> float:
    """The seconds that it takes to write so many bytes of new memory."""
    import torch

    begun = time.perf_counter()
    torch.empty(size, dtype=torch.uint8).fill_(1)
    return time.perf_counter() - begun


def _peak() -> float:
    """The most memory that this process had at once, in GB; what it was started from does not count."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e9
    raise SystemExit("This system does not tell the peak memory of a process.")


def _in_child(part: str, options: Options, size: int = 0, steps: int = 0) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", part, "--checkpoint", str(options.checkpoint)]
    command += ["--size", str(size), "--steps", str(steps)]
    environment = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # as the engine starts its workers
    run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment)
    return json.loads(run.stdout.strip().splitlines()[-1])


def in_turns(contenders: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The best time of each, after one warm-up. Each round begins with another, for what ran before leaves its mark on
    the memory that the next one gets."""
    best = dict.fromkeys(contenders, float("inf"))
    order = list(contenders)
    for number in range(rounds + 1):
        for name in order:
            begun = time.perf_counter()
            contenders[name]()
            if number:
                best[name] = min(best[name], time.perf_counter() - begun)
        order.append(order.pop(0))
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
    touches = [_in_child("touch", options, int(runs[0]["weights"]))["touch"] for _ in range(options.rounds)]
    for name, seconds in (
        ("in a fresh process", [run["load"] for run in runs]),
        ("again, in the same process", [run["again"] for run in runs]),
    ):
        best = min(seconds)
        each = ", ".join(f"{one:.2f}" for one in seconds)
        print(f"  {name:<28}{best:8.2f} s    of {each}; goal {GOALS['load']:g}: {_verdict(best <= GOALS['load'])}")
    print(f"  {'only to write new memory':<28}{min(touches):8.2f} s    of {', '.join(f'{one:.2f}' for one in touches)}")


def denoise(options: Options) -> None:
    import torch

    mine = ours(options.checkpoint)
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

    mine = ours(options.checkpoint)
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

    mine, side = ours(options.checkpoint), options.size // 8
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
        options.rounds * 3,
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

    from diffusion.compiling import Compiler, gpu_compiler

    compilers: list[Compiler] = []

    def compiler(device: torch.device) -> Compiler:
        compilers.append(gpu_compiler(device))
        return compilers[0]

    mine, quick = ours(checkpoint, "cuda"), ours(checkpoint, "cuda", compiler)
    prompts = mine.encode(POSITIVE), mine.encode(NEGATIVE)
    eager = diffusers_pipeline(checkpoint, torch.float16, "cuda", best=True)
    fast = diffusers_pipeline(checkpoint, torch.float16, "cuda", best=True)
    fast.unet = torch.compile(fast.unet, mode="max-autotune-no-cudagraphs")

    def measure(batch: int, steps: int) -> None:
        quick.sample(*prompts, size, 2, batch)
        begun = time.perf_counter()
        compilers[0].settle()
        print(f"  compiled in the background in {time.perf_counter() - begun:.0f} s")
        times = in_turns(
            {
                "diffusers, eager": _waiting(lambda: denoise_with(eager, *prompts, size, steps, batch)),
                "diffusers, compiled": _waiting(lambda: denoise_with(fast, *prompts, size, steps, batch)),
                "ours, eager": _waiting(lambda: mine.sample(*prompts, size, steps, batch)),
                "ours": _waiting(lambda: quick.sample(*prompts, size, steps, batch)),
                "ours, with the picture": _waiting(lambda: quick.decode(quick.sample(*prompts, size, steps, batch))),
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
