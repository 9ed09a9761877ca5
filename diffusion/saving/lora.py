"""Saves the weights of a model as a LoRA: meant for the difference of two models, which another model then gets added.

The names are ComfyUI's: those of the original single file for the U-Net, and of transformers for text encoders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch import Tensor

from diffusion.keys import original_unet_names
from diffusion.residency import Residency
from diffusion.saving import layout
from diffusion.saving.save import Report
from diffusion.saving.weights import Weights, clip_weights, unet_weights
from diffusion.saving.writer import Entry, write
from diffusion.values import ClipRef, ModelRef

CLIPPED_ABOVE = 0.99
"""The share of the values of a layer's two factors that are not cut off at the top."""


@dataclass(frozen=True, slots=True)
class LoraForm:
    """How weights are written: as products of `rank`, or `whole`; and whether `biases` and norms are written, too."""

    rank: int
    whole: bool = False
    biases: bool = True


def save_lora(
    models: Residency,
    path: Path,
    model: ModelRef | None,
    clip: ClipRef | None,
    form: LoraForm,
    texts: Mapping[str, str],
    report: Report,
) -> None:
    """Write what a denoiser and text encoders consist of, each where it is given, as one LoRA in float16."""
    with ExitStack() as files:
        entries: list[Entry] = []
        if model is not None:
            config, weights = unet_weights(model, models, files)
            place = original_unet_names(config)
            entries += _entries(weights, lambda name: f"diffusion_model.{place(name)}", form, models.device)
        if clip is not None:
            for config, weights in zip(*clip_weights(clip, models, files), strict=True):
                root = f"text_encoders.{layout.clip_file_name(config)}.transformer."
                entries += _entries(weights, lambda name, root=root: root + _text_path(name), form, models.device)
        write(path, entries, texts, report)


def _text_path(name: str) -> str:
    bare = name.removeprefix("text_model.")
    return bare if bare.startswith("text_projection.") else f"text_model.{bare}"


def _entries(weights: Weights, place: Callable[[str], str], form: LoraForm, device: torch.device) -> Iterator[Entry]:
    for name, shape in weights.shapes.items():
        target, _, kind = place(name).rpartition(".")
        read = partial(weights.read, name)
        if kind == "weight" and len(shape) >= 2 and not form.whole:
            yield from _factor_entries(target, read, shape, form.rank, device)
        elif kind == "weight" and (form.whole or form.biases):
            yield _whole_entry(f"{target}.diff", read, shape)
        elif kind == "bias" and form.biases:
            yield _whole_entry(f"{target}.diff_b", read, shape)


def _whole_entry(target: str, read: Callable[[], Tensor], shape: torch.Size) -> Entry:
    return Entry(target, tuple(shape), torch.float16, lambda: read().half())


def _factor_entries(
    target: str, read: Callable[[], Tensor], shape: torch.Size, rank: int, device: torch.device
) -> Iterator[Entry]:
    rows, columns, *kernel = shape
    rank = min(rank, rows, columns)

    @lru_cache(maxsize=1)  # the writer asks for both factors of a layer in a row
    def both() -> tuple[Tensor, Tensor]:
        return factors(read().to(device), rank)

    sides = ("up", (rows, rank, *(1 for _ in kernel))), ("down", (rank, columns, *kernel))
    for place, (side, form) in enumerate(sides):

        def half(place: int = place, form: tuple[int, ...] = form) -> Tensor:
            return both()[place].reshape(form).half().cpu()

        yield Entry(f"{target}.lora_{side}.weight", form, torch.float16, half)


@torch.inference_mode()
def factors(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """`weight` `[N,M]` or `[N,M,h,w]` as a product of `[N,rank]` and `[rank,M·h·w]`, the nearest there is but for
    values that stand out: as in ComfyUI, all are brought to between -q and q, where q is their quantile in both factors
    together."""
    left, lengths, right = torch.linalg.svd(weight.float().flatten(1), full_matrices=False)
    up, down = left[:, :rank] * lengths[:rank], right[:rank]
    limit = _quantile(torch.cat([up.flatten(), down.flatten()]), CLIPPED_ABOVE)
    return up.clamp(-limit, limit), down.clamp(-limit, limit)


def _quantile(values: Tensor, share: float) -> Tensor:
    """`torch.quantile`, which refuses more than 2²⁴ values."""
    place = share * (values.numel() - 1)
    below = int(place)
    ordered = values.sort().values
    return torch.lerp(ordered[below], ordered[min(below + 1, values.numel() - 1)], place - below)
