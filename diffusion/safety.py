"""The safety checker of Stable Diffusion: a CLIP vision model whose view of a picture is compared with stored concepts.

Its file, which the user supplies, holds the network and the concepts' embeddings with the likeness from which each
counts. The rule is that of CompVis's checker (Rando et al. 2022 describe it): a picture near a concept of special care
lowers what the others need by 0.01.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize
from transformers import CLIPVisionConfig, CLIPVisionModel

from diffusion.build import fill, number_positions
from diffusion.checkpoint_file import CheckpointFile
from diffusion.detection.shapes import Shapes
from diffusion.errors import UnsupportedArchitecture
from diffusion.placing import Place
from diffusion.sidecar import Sidecar

_ROOT = "vision_model.vision_model."
_HEAD_WIDTH = 64
_CARE = 0.01
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_SPREAD = (0.26862954, 0.26130258, 0.27577711)


class SafetyNet(nn.Module):
    """The network and the concepts, by the names in the file."""

    def __init__(self, config: CLIPVisionConfig, projection: int, concepts: int, special: int) -> None:
        super().__init__()
        self.vision_model = CLIPVisionModel(config)
        self.visual_projection = nn.Linear(config.hidden_size, projection, bias=False)
        self.concept_embeds = nn.Parameter(torch.zeros(concepts, projection))
        self.special_care_embeds = nn.Parameter(torch.zeros(special, projection))
        self.concept_embeds_weights = nn.Parameter(torch.zeros(concepts))
        self.special_care_embeds_weights = nn.Parameter(torch.zeros(special))

    def forward(self, pixels: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] as the network was trained to see them → whether each is flagged, [B]."""
        seen = normalize(self.visual_projection(self.vision_model(pixel_values=pixels).pooler_output))
        special = seen @ normalize(self.special_care_embeds).T - self.special_care_embeds_weights
        care = (_rounded(special) > 0).any(dim=1, keepdim=True) * _CARE
        concepts = seen @ normalize(self.concept_embeds).T - self.concept_embeds_weights
        return (_rounded(concepts + care) > 0).any(dim=1)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedSafety:
    """A safety checker on its device. `side` is that of the squares it sees, in pixels."""

    module: SafetyNet
    side: int
    device: torch.device
    dtype: torch.dtype

    @property
    def bytes(self) -> int:
        return sum(each.numel() * each.element_size() for each in self.module.parameters())

    @torch.inference_mode()
    def flags(self, images: Tensor) -> list[bool]:
        """Whether each picture of an IMAGE [B, H, W, C] shows one of the concepts."""
        return [bool(self.module(self._seen(image).to(self.device, self.dtype))) for image in images]

    def _seen(self, image: Tensor) -> Tensor:
        """A picture scaled so that its shorter side fits, and cut to the square in its middle."""
        pixels = image[None, ..., :3].movedim(-1, 1).float()
        height, width = pixels.shape[-2:]
        factor = self.side / min(height, width)
        size = (max(self.side, round(height * factor)), max(self.side, round(width * factor)))
        pixels = interpolate(pixels, size=size, mode="bicubic", antialias=True).clamp(0, 1)
        top, left = (size[0] - self.side) // 2, (size[1] - self.side) // 2
        pixels = pixels[:, :, top : top + self.side, left : left + self.side]
        mean, spread = (torch.tensor(each)[:, None, None] for each in (_MEAN, _SPREAD))
        return (pixels - mean) / spread


def build_safety(file: CheckpointFile, place: Place) -> LoadedSafety:
    """The safety checker of a file. Raises UnsupportedArchitecture when it holds none."""
    if "concept_embeds" not in file.tensors or f"{_ROOT}embeddings.class_embedding" not in file.tensors:
        raise UnsupportedArchitecture(
            f"{file.path.name} is no safety checker.",
            hint="It needs a CLIP vision model with `concept_embeds`, such as the one of Stable Diffusion 1.",
            input="safety_checker",
        )
    shapes = Shapes(file.shapes, Sidecar(name=""), file.path.name)
    width, _, patch, _ = shapes.shape(f"{_ROOT}embeddings.patch_embedding.weight", 4)
    side = math.isqrt(shapes.shape(f"{_ROOT}embeddings.position_embedding.weight", 2)[0] - 1) * patch
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=shapes.shape(f"{_ROOT}encoder.layers.0.mlp.fc1.weight", 2)[0],
        num_hidden_layers=shapes.count(f"{_ROOT}encoder.layers."),
        num_attention_heads=width // _HEAD_WIDTH,
        image_size=side,
        patch_size=patch,
    )
    concepts, projection = shapes.shape("concept_embeds", 2)
    with torch.device("meta"):
        module = SafetyNet(config, projection, concepts, shapes.shape("special_care_embeds", 2)[0])
    number_positions(module, place.device)
    return LoadedSafety(fill(module, file, _source, place), side, place.device, place.dtype)


def blurred(image: Tensor) -> Tensor:
    """A picture [H, W, C] of which only the colours are left."""
    pixels = image.movedim(-1, 0)[None].float()
    small = interpolate(pixels, size=(6, 6), mode="area")
    return interpolate(small, size=image.shape[:2], mode="bicubic").clamp(0, 1)[0].movedim(0, -1)


def _source(name: str) -> str:
    """Where a parameter lies in the file, whether or not transformers nests the vision model once more."""
    inner = name.removeprefix("vision_model.")
    return name if inner == name else _ROOT + inner.removeprefix("vision_model.")


def _rounded(likeness: Tensor) -> Tensor:
    return likeness.float().round(decimals=3)
