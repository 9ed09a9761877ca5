"""ControlNet++ union (xinsir 2024): one control network for many kinds of pictures, told which kind it is given.

The kind shifts the features of the picture, and the embedding of the time. As in ComfyUI, the shift is computed from
the picture's features alone; the network's authors let it see the latent too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from diffusers.models.embeddings import TimestepEmbedding, get_timestep_embedding
from torch import Tensor, nn
from torch.nn.functional import linear

from diffusion.detection.shapes import Shapes

_PARTS = ("task_embedding", "transformer_layes.", "spatial_ch_projs.", "control_add_embedding.")

TASKS: Mapping[str, int] = MappingProxyType(
    {
        "openpose": 0,
        "depth": 1,
        "hed/pidi/scribble/ted": 2,
        "canny/lineart/anime_lineart/mlsd": 3,
        "normal": 4,
        "segment": 5,
        "tile": 6,
        "repaint": 7,
    }
)
"""The kinds of pictures, by the names that workflow files know. Networks of six kinds end before `tile`."""


@dataclass(frozen=True, slots=True)
class UnionConfig:
    """How many kinds of pictures the network knows, the width of their features, and the layers of its transformer."""

    tasks: int
    width: int
    layers: int
    numbers: int
    """The width of the embedding of one number."""


def read_union(file: Shapes, root: str) -> UnionConfig | None:
    """What of a file makes its control network a union, or None."""
    if not file.has(f"{root}task_embedding"):
        return None
    tasks, width = file.shape(f"{root}task_embedding", 2)
    inputs = file.shape(f"{root}control_add_embedding.linear_1.weight", 2)[1]
    return UnionConfig(tasks, width, file.count(f"{root}transformer_layes."), inputs // tasks)


def is_union_part(name: str) -> bool:
    """Whether a tensor, by its name without the file's root, is one of those that plain control networks lack."""
    return name.startswith(_PARTS)


class UnionParts(nn.Module):
    """The layers that plain control networks lack. Names are the authors', as in their files."""

    def __init__(self, config: UnionConfig, time_width: int) -> None:
        super().__init__()
        self.numbers = config.numbers
        self.task_embedding = nn.Parameter(torch.zeros(config.tasks, config.width))
        self.transformer_layes = nn.ModuleList(_Layer(config.width) for _ in range(config.layers))
        self.spatial_ch_projs = nn.Linear(config.width, config.width)
        self.control_add_embedding = TimestepEmbedding(config.tasks * config.numbers, time_width)

    def forward(self, task: int | None, features: Tensor | None = None) -> Tensor:
        """For the features [B, C, h, w] of a picture of a kind, those that the network goes on with. Without features,
        what is added to the embedding of the time, [1, T]; a task of None is a picture of no stated kind."""
        if features is None or task is None:
            return self._time_shift(task)
        token = features.mean(dim=(2, 3)) + self.task_embedding[task]
        for layer in self.transformer_layes:
            token = layer(token)
        return features + self.spatial_ch_projs(token)[:, :, None, None]

    def _time_shift(self, task: int | None) -> Tensor:
        table = self.task_embedding
        given = torch.zeros(len(table), device=table.device)
        if task is not None:
            given[task] = 1.0
        numbers = get_timestep_embedding(given, self.numbers, flip_sin_to_cos=True, downscale_freq_shift=0)
        return self.control_add_embedding(numbers.reshape(1, -1).to(table.dtype))


class _Layer(nn.Module):
    """A transformer layer of CLIP's kind, for tokens [B, C] that are each a sequence of one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = _LonelyAttention(width)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = _Mlp(width)
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, token: Tensor) -> Tensor:
        token = token + self.attn(self.ln_1(token))
        return token + self.mlp(self.ln_2(token))


class _LonelyAttention(nn.Module):
    """Attention of a single token, which can only look at itself: of the three projections, which are stacked, the last
    decides alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, token: Tensor) -> Tensor:
        width = token.shape[-1]
        return self.out_proj(linear(token, self.in_proj_weight[2 * width :], self.in_proj_bias[2 * width :]))


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, token: Tensor) -> Tensor:
        hidden = self.c_fc(token)
        return self.c_proj(hidden * torch.sigmoid(1.702 * hidden))
