"""The picture nodes: what each input means, and the help that all nodes of these packs must have."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest
import torch

from nodes import image_ops
from nodes.sdk import definition_of

PACKS = tuple(
    import_module(f"nodes.{name}")
    for name in (
        "animation",
        "compositing",
        "image_filters",
        "image_ops",
        "image_transforms",
        "latent_batches",
        "latent_operations",
        "latent_ops",
        "masks",
    )
)


def grey(value: float, height: int = 1, width: int = 1) -> torch.Tensor:
    return torch.full((1, height, width, 3), float(value))


def test_scaling_to_megapixels():
    assert image_ops.ImageScaleToTotalPixels(grey(0, 100, 400), "area", 0.01).shape == (1, 51, 205, 3)


def test_inverting_and_making_pictures():
    assert image_ops.ImageInvert(grey(0.25)).unique().tolist() == [0.75]
    assert image_ops.EmptyImage(2, 1, 1, color=255).tolist() == [[[[0, 0, 1], [0, 0, 1]]]]


def test_batches():
    joined = image_ops.ImageBatch(grey(0), grey(1))
    assert joined[:, 0, 0, 0].tolist() == [0, 1]
    assert image_ops.ImageFromBatch(joined, batch_index=1, length=1).unique().tolist() == [1]
    assert image_ops.RepeatImageBatch(joined, 2)[:, 0, 0, 0].tolist() == [0, 1, 0, 1]


def test_cropping():
    image = torch.arange(12.0).reshape(1, 2, 2, 3)
    assert torch.equal(image_ops.ImageCrop(image, width=1, height=2, x=1, y=0), image[:, :, 1:])


def test_padding_gives_picture_and_mask():
    result = image_ops.ImagePadForOutpaint(grey(1, 2, 2), left=8, feathering=0)
    assert result.IMAGE.shape == (1, 2, 10, 3)
    assert result.MASK.tolist() == [[[1.0] * 8 + [0.0] * 2] * 2]


def test_pasting():
    result = image_ops.ImageCompositeMasked(grey(0, 1, 3), grey(1), x=1, y=0, mask=torch.full((1, 1, 1), 0.5))
    assert result[0, 0, :, 0].tolist() == [0, 0.5, 0]


def test_blending():
    assert image_ops.ImageBlend(grey(0.5), grey(0.5), 1.0, "multiply").unique().tolist() == [0.25]


def every_node() -> list[tuple[ModuleType, str]]:
    return [(pack, name) for pack in PACKS for name in vars(pack) if definition_of(getattr(pack, name))]


@pytest.mark.parametrize(("pack", "name"), every_node(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_node_explains_itself_and_its_numbers(pack: ModuleType, name: str):
    found = definition_of(getattr(pack, name))
    assert found is not None
    assert found.spec.description.endswith(".")
    explained = {"width", "height", "x", "y"}
    for each in found.spec.inputs:
        if each.type in ("INT", "FLOAT", "COMBO", "BOOLEAN") and each.name not in explained:
            assert each.help, each.name
