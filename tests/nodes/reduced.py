"""A reduced Stable Diffusion 1 behind the nodes, and prompts that it hears."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from diffusion.values import ClipRef, Conditioning, ModelRef
from nodes.conditioning import CLIPTextEncode
from nodes.loaders import CheckpointLoader
from tests.diffusion import tiny
from tests.nodes.fake_context import FakeContext


def loaded(folder: Path) -> tuple[FakeContext, ModelRef, ClipRef]:
    """A job over a new data folder, and the model that is in it."""
    tiny.write(folder / "models" / "checkpoints" / "tiny.safetensors")
    context = FakeContext(folder)
    model, clip, _ = CheckpointLoader(context, "tiny.safetensors")
    return context, model, clip


def loud(context: FakeContext, clip: ClipRef, *texts: str) -> list[Conditioning]:
    """Prompts so strong that a model with drawn weights makes different pictures of them."""
    encoded = [CLIPTextEncode(context, text, clip) for text in texts]
    return [
        Conditioning(tuple(replace(each, embedding=each.embedding * 20) for each in made.entries)) for made in encoded
    ]


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """How far one latent is from another, as a part of that."""
    return float((one - other).norm() / other.norm())
