"""What diffusion trains on, computed once: the pictures' latents and several wordings of each caption."""

from __future__ import annotations

import json
import os
import random
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import multiprocessing

from training.autoencoder import SCALE_FACTOR, load_base_autoencoder, to_tensor
from training.captions import caption_of
from training.dataset import open_renders, write_json
from training.model import compact_ids, training_vocabulary
from training.scene import scene_at
from training.state import device
from training.tokenizer import LENGTH, token_ids

WORDINGS = 6
_CHUNK = 2048
_STRAY_WORD_SHARE = 0.1


def _latents_path(work_dir: Path, count: int) -> Path:
    return work_dir / f"latents-{count}.f16"


def _captions_path(work_dir: Path, seed: int, count: int) -> Path:
    return work_dir / f"captions-{seed}-{count}.npy"


def open_latents(work_dir: Path, count: int) -> npt.NDArray[np.float16]:
    """float16 [count, 4, 16, 16], as the U-Net sees them (× 0.18215)."""
    return np.memmap(_latents_path(work_dir, count), np.float16, "r", shape=(count, 4, 16, 16))


def open_captions(work_dir: Path, seed: int, count: int) -> npt.NDArray[np.uint16]:
    """Training-table ids, uint16 [wordings, count, 77]."""
    return np.load(_captions_path(work_dir, seed, count), mmap_mode="r")


def cache_latents(work_dir: Path, seed: int, count: int) -> None:
    """Encode every picture that is not on disk yet, one process a core."""
    path = _latents_path(work_dir, count)
    mark = path.with_suffix(".json")
    done = json.loads(mark.read_text())["done"] if mark.exists() and path.exists() else 0
    if done >= count:
        return
    latents = np.memmap(path, np.float16, "r+" if done else "w+", shape=(count, 4, 16, 16))
    workers = (os.cpu_count() or 1) if device().type == "cpu" else 1
    starts = range(done, count, _CHUNK)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for start, chunk in zip(starts, pool.map(partial(_encode, work_dir, seed, count), starts), strict=True):
            latents[start : start + len(chunk)] = chunk
            latents.flush()
            write_json(mark, {"done": start + len(chunk)})
            print(f"encoded {start + len(chunk)} of {count}", flush=True)


def _encode(work_dir: Path, seed: int, count: int, start: int) -> npt.NDArray[np.float16]:
    where = device()
    if where.type == "cpu":
        torch.set_num_threads(1)
    vae = load_base_autoencoder(work_dir).to(where)
    pictures = open_renders(work_dir, seed, count)[start : start + _CHUNK]
    parts: list[npt.NDArray[np.float16]] = []
    for offset in range(0, len(pictures), 32):
        batch = to_tensor(pictures[offset : offset + 32]).to(where, memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(where.type, torch.bfloat16):
            encoded = vae.encode(batch).latent_dist.mean.float() * SCALE_FACTOR
        parts.append(encoded.cpu().numpy().astype(np.float16))
    return np.concatenate(parts)


def cache_captions(work_dir: Path, seed: int, count: int) -> None:
    """Word every scene several times over; a tenth of the wordings have a stray word or two put in."""
    path = _captions_path(work_dir, seed, count)
    if path.exists():
        return
    table, stray = compact_ids(), training_vocabulary() - 1
    rng = random.Random(f"stray/{seed}")
    ids = np.empty((WORDINGS, count, LENGTH), np.uint16)
    for index in range(count):
        scene = scene_at(seed, index)
        for wording in range(WORDINGS):
            row = table[token_ids(caption_of(scene, wording))].tolist()
            if rng.random() < _STRAY_WORD_SHARE:
                for _ in range(rng.choice((1, 1, 2, 3))):
                    row.insert(rng.randrange(1, 8), stray)
            ids[wording, index] = row[:LENGTH]
    unfinished = path.with_suffix(".partial.npy")
    np.save(unfinished, ids)
    unfinished.replace(path)
