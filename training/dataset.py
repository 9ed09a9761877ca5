"""The rendered pictures as a memory-mapped file, written once by all cores and resumed where it stopped."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.renderer import SIZE, render
from training.scene import scene_at

_CHUNK = 512


def default_work_dir() -> Path:
    """Where renders, latents and training states live between runs: the user's cache folder."""
    from platformdirs import user_cache_path

    return user_cache_path("latentgraph") / "training"


def write_json(path: Path, value: object) -> None:
    """Write `value` so that a killed run leaves either the old file or the new one."""
    unfinished = path.with_suffix(".partial")
    unfinished.write_text(json.dumps(value))
    unfinished.replace(path)


def _render_chunk(seed: int, count: int, start: int) -> npt.NDArray[np.uint8]:
    return np.stack([np.asarray(render(scene_at(seed, i))) for i in range(start, min(start + _CHUNK, count))])


def _path(work_dir: Path, seed: int, count: int) -> Path:
    return work_dir / f"renders-{seed}-{count}.u8"


def open_renders(work_dir: Path, seed: int, count: int) -> npt.NDArray[np.uint8]:
    """The rendered scenes 0…count−1 of `seed`, uint8 [count, 128, 128, 3]."""
    return np.memmap(_path(work_dir, seed, count), np.uint8, "r", shape=(count, SIZE, SIZE, 3))


def render_all(work_dir: Path, seed: int, count: int) -> None:
    """Render every scene that is not on disk yet, one process a core."""
    work_dir.mkdir(parents=True, exist_ok=True)
    path = _path(work_dir, seed, count)
    mark = path.with_suffix(".json")
    done = json.loads(mark.read_text())["done"] if mark.exists() and path.exists() else 0
    if done >= count:
        return
    pictures = np.memmap(path, np.uint8, "r+" if done else "w+", shape=(count, SIZE, SIZE, 3))
    starts = range(done, count, _CHUNK)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for start, chunk in zip(starts, pool.map(partial(_render_chunk, seed, count), starts), strict=True):
            pictures[start : start + len(chunk)] = chunk
            pictures.flush()
            write_json(mark, {"done": start + len(chunk)})
            if start // _CHUNK % 20 == 0:
                print(f"rendered {start + len(chunk)} of {count}", flush=True)
