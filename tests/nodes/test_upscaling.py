from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet

from diffusion import upscale as upscaling
from diffusion.errors import BadImage, UnsupportedArchitecture
from diffusion.values import UpscaleModelRef
from nodes.sdk import Cancelled
from nodes.upscaling import ImageUpscaleWithModel, UpscaleModelLoader
from tests.nodes.fake_context import FakeContext


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("data")
    models = data / "models" / "upscale_models"
    models.mkdir(parents=True)
    torch.manual_seed(0)
    state = RRDBNet(num_filters=4, num_blocks=1, scale=2).state_dict()
    save_file(dict(state), models / "tiny.safetensors")
    torch.save({"params_ema": state}, models / "tiny.pth")
    save_file({"a.lora_up.weight": torch.zeros(1)}, models / "lora.safetensors")
    return data


@pytest.fixture
def job(folder: Path) -> FakeContext:
    return FakeContext(folder)


@pytest.mark.parametrize("name", ["tiny.safetensors", "tiny.pth"])
def test_a_picture_is_enlarged_by_the_network(job: FakeContext, name: str):
    image = torch.rand(2, 10, 12, 4)
    result = ImageUpscaleWithModel(job, UpscaleModelLoader(job, name), image)
    assert result.shape == (2, 20, 24, 3)
    assert 0 <= float(result.min()) <= float(result.max()) <= 1
    net = job.residency.upscaler(UpscaleModelLoader(job, name))
    expected = net.enlarge(image[:1, ..., :3].movedim(-1, 1)).clamp(0, 1).movedim(1, -1)
    assert torch.allclose(result[:1], expected, atol=1e-6)
    assert job.steps == [(1, 2), (2, 2)]


def test_tiles_join_without_seams(job: FakeContext):
    net = job.residency.upscaler(UpscaleModelLoader(job, "tiny.safetensors"))
    image = torch.rand(1, 90, 150, 3)
    calls: list[tuple[int, int]] = []
    whole = upscaling.upscale(net, image, lambda *_: None)
    tiled = upscaling.upscale(net, image, lambda *at: calls.append(at), tile=64)
    assert calls[-1] == (8, 8)
    assert tiled.shape == whole.shape
    assert float((tiled - whole).abs().mean()) < 1e-2


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."),
        MemoryError(),
    ],
)
def test_tiles_become_smaller_when_memory_runs_out(job: FakeContext, error: Exception):
    net = job.residency.upscaler(UpscaleModelLoader(job, "tiny.safetensors"))
    sizes: list[int] = []

    class Short:
        scale, device = net.scale, net.device

        def enlarge(self, tile: torch.Tensor) -> torch.Tensor:
            sizes.append(max(tile.shape[-2:]))
            if sizes[-1] > 64:
                raise error
            return net.enlarge(tile)

    upscaling.upscale(Short(), torch.rand(1, 100, 100, 3), lambda *_: None)  # type: ignore[arg-type]
    assert sizes[:3] == [100, 100, 100]
    assert max(sizes[3:]) == 64


def test_cancel_takes_effect_between_tiles(job: FakeContext):
    job.cancel_at = 1
    with pytest.raises(Cancelled):
        ImageUpscaleWithModel(job, UpscaleModelLoader(job, "tiny.safetensors"), torch.rand(3, 8, 8, 3))
    assert job.steps == [(1, 3)]


def test_a_file_that_is_no_upscaler_is_named(job: FakeContext):
    ref = UpscaleModelRef(job.model_file("upscale_models", "lora.safetensors"))
    with pytest.raises(UnsupportedArchitecture, match="is a LoRA") as caught:
        ImageUpscaleWithModel(job, ref, torch.rand(1, 8, 8, 3))
    assert caught.value.input == "upscale_model"


@pytest.mark.parametrize("shape", [(8, 8, 3), (1, 8, 8, 1), (1, 8000, 9000, 3)])
def test_what_is_no_picture_or_too_large_is_refused(job: FakeContext, shape: tuple[int, ...]):
    with pytest.raises(BadImage):
        ImageUpscaleWithModel(job, UpscaleModelLoader(job, "tiny.safetensors"), torch.zeros(1).expand(shape))
