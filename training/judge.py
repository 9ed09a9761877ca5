"""Says what a storybook picture shows: time of day, ground, the kinds of object and their colours.

A small convolutional network trained on the renderer's own pictures, so that the embedded model's quality is a number.
The weights lie beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from training.palette import COLOURS
from training.scene import GROUNDS, KINDS, TIMES

WEIGHTS = Path(__file__).with_name("judge.safetensors")
_SIZE = 128
_COLOURS = tuple(COLOURS)


@dataclass(frozen=True)
class Verdict:
    """What is in a picture. `kinds` gives each kind's probability; `colours` the likeliest colour were it there."""

    time: str
    ground: str
    kinds: Mapping[str, float]
    colours: Mapping[str, str]

    @property
    def kind(self) -> str:
        """The likeliest kind."""
        return max(self.kinds, key=lambda name: self.kinds[name])

    @property
    def colour(self) -> str:
        """The colour of the likeliest kind."""
        return self.colours[self.kind]


class JudgeNet(nn.Module):
    """[n, 3, 128, 128] in −1…1 to logits: time [n, 5], ground [n, 5], kinds [n, 12], colours [n, 12, 8]."""

    def __init__(self) -> None:
        super().__init__()
        widths = ((48, 48, 1), (48, 80, 2), (80, 96, 1), (96, 144, 2), (144, 144, 1))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b, stride in widths
        )
        self.time = nn.Linear(288, len(TIMES))
        self.ground = nn.Linear(288, len(GROUNDS))
        self.kinds = nn.Linear(288, len(KINDS))
        self.colours = nn.Linear(288, len(KINDS) * len(_COLOURS))

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        x = functional.pixel_unshuffle(pictures, 4)
        for block in self.blocks:
            x = block(x)
        x = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        colours = self.colours(x).reshape(len(x), len(KINDS), len(_COLOURS))
        return self.time(x), self.ground(x), self.kinds(x), colours


class Judge:
    """A trained judge, on the CPU."""

    def __init__(self, network: JudgeNet) -> None:
        self._network = network.eval()

    def describe(self, image: Image.Image) -> Verdict:
        """What `image` shows; any size, scaled to 128×128."""
        return self.describe_all([image])[0]

    @torch.no_grad()
    def describe_all(self, images: Sequence[Image.Image]) -> list[Verdict]:
        """The verdict on each image."""
        scaled = [np.asarray(i.convert("RGB").resize((_SIZE, _SIZE), Image.Resampling.BOX)) for i in images]
        batch = torch.from_numpy(np.stack(scaled).astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1
        time, ground, kinds, colours = self._network(batch)
        return [
            Verdict(
                TIMES[int(time[n].argmax())],
                GROUNDS[int(ground[n].argmax())],
                dict(zip(KINDS, kinds[n].sigmoid().tolist(), strict=True)),
                {kind: _COLOURS[int(colours[n, k].argmax())] for k, kind in enumerate(KINDS)},
            )
            for n in range(len(images))
        ]


def load_judge(path: Path = WEIGHTS) -> Judge:
    """The trained judge. Raises FileNotFoundError when `path` is not there."""
    network = JudgeNet()
    weights = {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
    network.load_state_dict(weights)
    return Judge(network)
