"""One graph that uses every node of the latent, picture and mask packs, run as the worker runs it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from executor.bare import BareResources
from executor.cache import Cache
from executor.events import JobDone, JobEnd, JobFailed
from executor.files import Files
from executor.folders import Folders, OutputNames
from executor.run import JobRequest, Services, run_job
from nodes.sdk import Packs, load_packs
from tests.executor.conftest import n, text

PACKS = (
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
RED = 0xC03020


class Graph:
    """A document that grows node by node; `add` returns the link to the new node's first output."""

    def __init__(self) -> None:
        self.nodes: dict[str, Any] = {}
        self._numbers = itertools.count(1)

    def add(self, class_type: str, **inputs: Any) -> list[Any]:
        name = str(next(self._numbers))
        self.nodes[name] = n(class_type, **inputs)
        return [name, 0]


def masks(graph: Graph) -> list[Any]:
    square = graph.add("SolidMask", value=1.0, width=48, height=48)
    hole = graph.add("SolidMask", value=1.0, width=16, height=16)
    ring = graph.add("MaskComposite", destination=square, source=hole, x=16, y=16, operation="subtract")
    soft = graph.add("FeatherMask", mask=ring, left=8, top=8, right=8, bottom=8)
    return graph.add("GrowMask", mask=soft, expand=2, tapered_corners=True)


def pictures(graph: Graph, mask: list[Any]) -> None:
    red = graph.add("EmptyImage", width=96, height=64, batch_size=1, color=RED)
    blue = graph.add("EmptyImage", width=48, height=48, batch_size=1, color=0x2040E0)
    pasted = graph.add("ImageCompositeMasked", destination=red, source=blue, x=24, y=8, resize_source=False, mask=mask)
    soft = graph.add("ImageBlur", image=pasted, blur_radius=2, sigma=1.0)
    sharp = graph.add("ImageSharpen", image=soft, sharpen_radius=1, sigma=1.0, alpha=0.1)
    negative = graph.add("ImageInvert", image=sharp)
    mixed = graph.add("ImageBlend", image1=sharp, image2=negative, blend_factor=0.25, blend_mode="overlay")
    few = graph.add("ImageQuantize", image=mixed, colors=16, dither="bayer-4")
    edges = graph.add("Canny", image=pasted, low_threshold=0.1, high_threshold=0.3)
    both = graph.add("ImageBatch", image1=few, image2=edges)
    twice = graph.add("RepeatImageBatch", image=both, amount=2)
    third = graph.add("ImageFromBatch", image=twice, batch_index=2, length=1)
    third = graph.add("RebatchImages", images=third, batch_size=2)
    small = graph.add("ImageScaleToTotalPixels", image=third, upscale_method="bilinear", megapixels=0.01)
    part = graph.add("ImageCrop", image=small, width=64, height=64, x=8, y=8)
    padded = graph.add("ImagePadForOutpaint", image=part, left=16, top=0, right=0, bottom=8, feathering=8)
    graph.add("PreviewImage", images=padded)

    hard = graph.add("ThresholdMask", mask=[padded[0], 1], value=0.5)
    inside = graph.add("CropMask", mask=graph.add("InvertMask", mask=hard), x=8, y=0, width=32, height=32)
    grey = graph.add("MaskToImage", mask=inside)
    graph.add("MaskPreview", mask=graph.add("ImageToMask", image=grey, channel="green"))
    graph.add("MaskPreview", mask=graph.add("ImageColorToMask", image=red, color=RED))
    graph.add("MaskPreview", mask=graph.add("LoadImageMask", image="half.png", channel="alpha"))


def moving_pictures(graph: Graph, mask: list[Any]) -> None:
    red = graph.add("EmptyImage", width=32, height=16, batch_size=1, color=RED)
    turned = graph.add("ImageRotate", image=graph.add("ImageFlip", image=red), rotation="90 degrees")
    wide = graph.add("ImageStitch", image1=turned, image2=red, direction="right", spacing_width=2)
    small = graph.add("ImageScaleToMaxDimension", image=wide, upscale_method="area", largest_size=40)
    noisy = graph.add("ImageAddNoise", image=small, seed=1, strength=0.2)
    grown = graph.add("Morphology", image=noisy, operation="dilate", kernel_size=3)
    planes = graph.add("ImageRGBToYUV", image=grown)[0]
    back = graph.add("ImageYUVToRGB", Y=[planes, 0], U=[planes, 1], V=[planes, 2])
    fitted = graph.add("ResizeAndPadImage", image=back, target_width=48, target_height=48, padding_color="black")
    apart = graph.add("SplitImageWithAlpha", image=graph.add("JoinImageWithAlpha", image=fitted, alpha=mask))[0]
    clear = graph.add("SolidMask", value=0.0, width=48, height=48)
    both = graph.add(
        "PorterDuffImageComposite", source=[apart, 0], source_alpha=[apart, 1], destination=fitted,
        destination_alpha=clear, mode="SRC_OVER",
    )  # fmt: skip
    frames = graph.add("ImageBatch", image1=both, image2=graph.add("ImageInvert", image=both))
    graph.add("SaveAnimatedWEBP", images=frames, filename_prefix="moving", fps=4.0)
    graph.add("SaveAnimatedPNG", images=frames, filename_prefix="moving", fps=4.0)


def latents(graph: Graph, mask: list[Any]) -> None:
    large = graph.add("EmptyLatent", width=128, height=128, batch_size=2)
    small = graph.add("EmptyLatent", width=64, height=64, batch_size=1)
    value = graph.add("LatentAdd", samples1=large, samples2=small)
    value = graph.add("LatentSubtract", samples1=value, samples2=small)
    value = graph.add("LatentMultiply", samples=value, multiplier=0.5)
    value = graph.add("LatentInterpolate", samples1=value, samples2=large, ratio=0.5)
    value = graph.add("LatentBlend", samples1=value, samples2=large, blend_factor=0.5)
    value = graph.add("LatentComposite", samples_to=value, samples_from=small, x=16, y=16, feather=16)
    value = graph.add(
        "LatentCompositeMasked", destination=value, source=small, x=8, y=8, resize_source=False, mask=mask
    )
    value = graph.add("LatentRotate", samples=value, rotation="90 degrees")
    value = graph.add("LatentFlip", samples=value, flip_method="y-axis: horizontally")
    value = graph.add("LatentCrop", samples=value, width=64, height=64, x=16, y=16)
    value = graph.add("LatentConcat", samples1=value, samples2=small, dim="-x")
    value = graph.add("LatentCut", samples=value, dim="x", index=-8, amount=8)
    for operation in (
        graph.add("LatentOperationTonemapReinhard"),
        graph.add("LatentOperationSharpen", sharpen_radius=2),
    ):
        value = graph.add("LatentApplyOperation", samples=value, operation=operation)
    value = graph.add("SetLatentNoiseMask", samples=value, mask=mask)
    value = graph.add("LatentBatch", samples1=value, samples2=small)
    value = graph.add("LatentBatchSeedBehavior", samples=value, seed_behavior="fixed")
    value = graph.add("LatentFromBatch", samples=value, batch_index=1, length=2)
    value = graph.add("RebatchLatents", latents=graph.add("RebatchLatents", latents=value, batch_size=1), batch_size=2)
    graph.add("SaveLatent", samples=graph.add("RepeatLatentBatch", samples=value, amount=2), filename_prefix="ops")


@pytest.fixture(scope="module")
def packs() -> Packs:
    return load_packs()


@pytest.fixture
def services(packs: Packs, tmp_path: Path) -> Services:
    folders = Folders.below(tmp_path)
    folders.create()
    half = np.zeros((4, 8, 4), dtype=np.uint8)
    half[:, :4, 3] = 255
    Image.fromarray(half).save(folders.inputs / "half.png")
    cache = Cache(1 << 26, folders.stamp)
    files, names = Files(None, folders), OutputNames(folders)
    return Services(packs.nodes, packs.catalogue, files, cache, folders, names, BareResources())


def run(services: Services, graph: Graph) -> JobEnd:
    return run_job(JobRequest("job", text(graph.nodes)), services, lambda _: None, lambda: False)


def test_a_graph_of_every_operation_runs(packs: Packs, services: Services):
    graph = Graph()
    mask = masks(graph)
    pictures(graph, mask)
    moving_pictures(graph, mask)
    latents(graph, mask)
    used = {each["class_type"] for each in graph.nodes.values()}
    assert {name for name, each in packs.nodes.items() if each.spec.pack in PACKS} <= used

    end = run(services, graph)

    assert isinstance(end, JobDone), end
    padded, inside, red, half, webp, png, latent = (
        services.folders.path(end.outputs[node][0]) for node in sorted(end.outputs, key=int)
    )
    assert np.asarray(Image.open(padded)).shape == (72, 80, 3)
    assert np.asarray(Image.open(inside))[0, :, 0].tolist() == [0] * 8 + [0] * 3 + [255] * 21
    assert np.asarray(Image.open(red)).min() == 255
    assert np.asarray(Image.open(half))[0, :, 0].tolist() == [0] * 4 + [255] * 4
    assert latent.suffix == ".latent"
    for moving, form in ((webp, "WEBP"), (png, "PNG")):
        with Image.open(moving) as picture:
            assert (picture.format, picture.size, getattr(picture, "n_frames", 1)) == (form, (48, 48), 2)


def test_an_area_outside_the_picture_names_the_node_and_the_input(services: Services):
    graph = Graph()
    mask = graph.add("SolidMask", value=1.0, width=64, height=64)
    graph.add("MaskPreview", mask=graph.add("CropMask", mask=mask, width=8, height=8, x=0, y=64))

    end = run(services, graph)

    assert isinstance(end, JobFailed)
    assert (end.error.class_type, end.error.input, end.error.code) == ("CropMask", "y", "bad_size")
    assert "64 pixels high" in end.error.message
