"""The mask nodes, with files in a temporary folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from nodes import masks
from nodes.sdk import Context, OutputFile, OutputPath


@dataclass
class Folder:
    """As much of a Context as these nodes use."""

    path: Path
    published: list[OutputFile] = field(default_factory=list)
    node_id: str = "1"
    document: dict[str, Any] = field(default_factory=dict)
    prompt: dict[str, Any] = field(default_factory=dict)

    def check_cancelled(self) -> None:
        pass

    def input_file(self, name: str) -> Path:
        return self.path / name

    def reserve_output(self, prefix: str, extension: str, *, temporary: bool = False) -> OutputPath:
        name = f"{prefix}_{len(list(self.path.iterdir())):05}_{extension}"
        (self.path / name).touch(exist_ok=False)
        return OutputPath(self.path / name, OutputFile("temp" if temporary else "output", "", name))

    def publish(self, file: OutputFile) -> None:
        self.published.append(file)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def context(folder: Folder) -> Context:
    return cast("Context", folder)


def test_a_mask_is_loaded_from_a_channel(folder: Folder):
    pixels = np.array([[[255, 51, 0, 255], [0, 102, 0, 0]]], dtype=np.uint8)
    Image.fromarray(pixels).save(folder.path / "a.png")

    def load(channel: Any) -> list[float]:
        return masks.LoadImageMask(context(folder), "a.png", channel)[0, 0].tolist()

    assert load("alpha") == [0.0, 1.0]
    assert load("red") == [1.0, 0.0]
    assert load("green") == pytest.approx([0.2, 0.4])


def test_a_mask_of_a_grey_file_without_alpha(folder: Folder):
    Image.fromarray(np.array([[0, 255, 51]], dtype=np.uint8)).save(folder.path / "grey.png")
    assert masks.LoadImageMask(context(folder), "grey.png", "red").tolist() == [[[0.0, 1.0, pytest.approx(0.2)]]]
    assert masks.LoadImageMask(context(folder), "grey.png").tolist() == [[[0.0, 0.0, 0.0]]]


def test_a_preview_shows_each_mask_in_grey_and_keeps_nothing(folder: Folder):
    masks.MaskPreview(context(folder), torch.tensor([[[0.0, 0.5, 1.0]], [[1.0, 1.0, 1.0]]]))
    assert [(each.type, each.width, each.height) for each in folder.published] == [("temp", 3, 1)] * 2
    shown = np.asarray(Image.open(folder.path / folder.published[0].filename))
    assert shown.tolist() == [[[0] * 3, [127] * 3, [255] * 3]]


def test_masks_from_pictures_and_back():
    image = torch.tensor([0.25, 0.5, 0.75]).reshape(1, 1, 1, 3)
    assert masks.ImageToMask(image, "blue").tolist() == [[[0.75]]]
    assert masks.MaskToImage(torch.tensor([[[0.5]]])).tolist() == [[[[0.5, 0.5, 0.5]]]]
    assert masks.ImageColorToMask(torch.tensor([[[[0.0, 1.0, 0.0]]]]), color=65280).tolist() == [[[1.0]]]


def test_masks_are_made_and_changed():
    assert masks.SolidMask(0.5, 2, 1).tolist() == [[[0.5, 0.5]]]
    assert masks.InvertMask(torch.tensor([[[0.25]]])).tolist() == [[[0.75]]]
    assert masks.CropMask(torch.arange(6.0).reshape(1, 2, 3), x=1, y=0, width=2, height=1).tolist() == [[[1, 2]]]
    assert masks.ThresholdMask(torch.tensor([[[0.5, 0.6]]])).tolist() == [[[0, 1]]]
    assert masks.FeatherMask(torch.ones(1, 1, 3), left=2).tolist() == [[[0.5, 1, 1]]]


def test_masks_are_combined():
    result = masks.MaskComposite(torch.ones(1, 1, 3), torch.ones(1, 1, 1), x=1, operation="subtract")
    assert result.tolist() == [[[1, 0, 1]]]


def test_a_mask_grows_like_a_diamond_or_a_square_and_shrinks_below_0():
    point = torch.zeros(1, 5, 5)
    point[0, 2, 2] = 1
    assert masks.GrowMask(point, 1).sum() == 5
    assert masks.GrowMask(point, 1, tapered_corners=False).sum() == 9
    assert masks.GrowMask(masks.GrowMask(point, 2), -1).sum() == 5
