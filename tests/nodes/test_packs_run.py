"""The nodes called as a job calls them, on a reduced checkpoint with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from diffusion.errors import CorruptFile, DiffusionError, UnknownModel, UnsupportedArchitecture
from nodes.conditioning import CLIPTextEncode
from nodes.image import ImageScale, ImageScaleBy, LoadImage, Upscale
from nodes.latent import (
    EmptyLatent,
    LatentUpscale,
    LatentUpscaleBy,
    LoadLatent,
    SaveLatent,
    VAEDecode,
    VAEEncode,
)
from nodes.loaders import CheckpointLoader
from nodes.sampling import KSampler, KSamplerAdvanced
from nodes.sdk import Cancelled, NodeError
from tests.diffusion import tiny
from tests.nodes.fake_context import FakeContext


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> FakeContext:
    folder = tmp_path_factory.mktemp("data")
    tiny.write(folder / "models" / "checkpoints" / "tiny.safetensors")
    return FakeContext(folder)


@pytest.fixture
def fresh(job: FakeContext) -> FakeContext:
    job.steps.clear()
    job.previews.clear()
    job.published.clear()
    job.cancel_at, job.cancelled = None, False
    return job


def run(job: FakeContext, **changes: object) -> torch.Tensor:
    model, clip, _ = CheckpointLoader(job, "tiny.safetensors")
    settings = {"seed": 5, "steps": 4, "cfg": 3.0, "scheduler": "karras"} | changes
    latent = settings.pop("latent", EmptyLatent(64, 32, 1))
    positive, negative = CLIPTextEncode(job, "a (red:1.2) fox", clip), CLIPTextEncode(job, "", clip)
    return KSampler(job, model, positive, negative, latent, **settings).samples  # type: ignore[arg-type]


def test_a_prompt_becomes_a_picture(fresh: FakeContext):
    samples = run(fresh)
    assert samples.shape == (1, 4, 4, 8)
    assert fresh.steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(fresh.previews) == 4
    vae = CheckpointLoader(fresh, "tiny.safetensors").VAE
    from diffusion.values import Latent

    image = VAEDecode(fresh, Latent(samples), vae)
    assert image.shape == (1, 32, 64, 3)
    assert 0 <= float(image.min()) < float(image.max()) <= 1


def test_the_same_seed_gives_the_same_picture_and_another_does_not(fresh: FakeContext):
    first = run(fresh)
    assert torch.equal(first, run(fresh))
    assert not torch.allclose(first, run(fresh, seed=6))


def test_a_picture_can_be_the_start(fresh: FakeContext):
    vae = CheckpointLoader(fresh, "tiny.safetensors").VAE
    start = VAEEncode(fresh, torch.rand(1, 35, 64, 3), vae)
    assert start.samples.shape == (1, 4, 4, 8)
    unchanged = run(fresh, latent=start, denoise=0.0)
    assert torch.allclose(unchanged, start.samples, atol=1e-5)
    assert not torch.allclose(run(fresh, latent=start, denoise=0.6), start.samples, atol=1e-2)


def test_two_halves_make_the_whole(fresh: FakeContext):
    model, clip, _ = CheckpointLoader(fresh, "tiny.safetensors")
    prompts = CLIPTextEncode(fresh, "a fox", clip), CLIPTextEncode(fresh, "", clip)
    settings = {"noise_seed": 5, "steps": 4, "cfg": 3.0, "sampler_name": "euler", "scheduler": "karras"}
    whole = KSamplerAdvanced(fresh, model, *prompts, EmptyLatent(64, 32), **settings)
    first = KSamplerAdvanced(
        fresh,
        model,
        *prompts,
        EmptyLatent(64, 32),
        **settings,
        end_at_step=2,
        return_with_leftover_noise="enable",
    )
    second = KSamplerAdvanced(fresh, model, *prompts, first, add_noise="disable", **settings, start_at_step=2)
    assert torch.allclose(second.samples, whole.samples, atol=1e-4)


def test_cancel_takes_effect_at_the_step(fresh: FakeContext):
    fresh.cancel_at = 2
    with pytest.raises(Cancelled):
        run(fresh, steps=10)
    assert len(fresh.steps) == 2


@pytest.mark.parametrize("changes", [{"cfg": float("nan")}, {"denoise": float("inf")}])
def test_values_that_are_no_numbers_are_refused_by_name(fresh: FakeContext, changes: dict[str, float]):
    with pytest.raises(NodeError) as caught:
        run(fresh, **changes)
    assert caught.value.input == next(iter(changes))


def test_a_checkpoint_that_is_not_there_names_the_nearest(fresh: FakeContext):
    with pytest.raises(UnknownModel) as caught:
        CheckpointLoader(fresh, "tini.safetensors")
    assert "tiny.safetensors" in str(caught.value.hint)


def test_a_bad_checkpoint_is_blamed_on_its_input(fresh: FakeContext):
    folder = fresh.library.models_dir / "checkpoints"
    (folder / "text.safetensors").write_text("hello")
    from safetensors.torch import save_file

    save_file({"double_blocks.0.img_mod.weight": torch.zeros(1)}, folder / "flux.safetensors")
    for name, kind in (("text.safetensors", CorruptFile), ("flux.safetensors", UnsupportedArchitecture)):
        with pytest.raises(kind) as caught:
            CheckpointLoader(fresh, name)
        assert isinstance(caught.value, DiffusionError)
        assert caught.value.input == "ckpt_name"


def test_a_sidecar_config_is_read(fresh: FakeContext):
    folder = fresh.library.models_dir / "checkpoints"
    tiny.write(folder / "with.safetensors")
    (folder / "with.yaml").write_text("model: {params: {parameterization: v}}")
    model = CheckpointLoader(fresh, "with.safetensors").MODEL
    assert model.config is not None
    assert fresh.residency.unet(model).prediction == "v"


def test_pictures_are_loaded_with_their_masks(fresh: FakeContext):
    picture = Image.new("RGBA", (4, 2), (255, 0, 0, 0))
    picture.save(fresh.folders.inputs / "a.png")
    image, mask = LoadImage(fresh, "a.png")
    assert image.shape == (1, 2, 4, 3)
    assert mask.shape == (1, 2, 4)
    assert mask.min() == 1


def test_pictures_are_scaled():
    image = torch.rand(1, 8, 16, 3)
    assert Upscale(image, "lanczos", "factor", 2.0).shape == (1, 16, 32, 3)
    assert Upscale(image, "area", "size", 2.0, 4, 0).shape == (1, 2, 4, 3)
    assert ImageScale(image, "bicubic", 10, 10, "center").shape == (1, 10, 10, 3)
    assert ImageScaleBy(image, "bilinear", 0.5).shape == (1, 4, 8, 3)


def test_what_is_left_of_a_cell_is_dropped_from_a_size():
    assert EmptyLatent(1085, 64).samples.shape == (1, 4, 8, 135)


def test_latents_are_scaled(job: FakeContext):
    latent = EmptyLatent(128, 64)
    assert LatentUpscale(latent, "bislerp", 256, 128).samples.shape == (1, 4, 16, 32)
    assert LatentUpscaleBy(latent, "bilinear", 1.5).samples.shape == (1, 4, 12, 24)


def test_a_latent_is_saved_and_loaded(fresh: FakeContext, tmp_path: Path):
    latent = EmptyLatent(64, 64)
    SaveLatent(fresh, latent)
    (path,) = fresh.paths()
    assert path.name == "latentgraph_00001_.latent"
    (fresh.folders.inputs / "x.latent").write_bytes(path.read_bytes())
    assert torch.equal(LoadLatent(fresh, "x.latent").samples, latent.samples)


def test_a_latent_is_named_after_the_seed_it_was_made_from(tmp_path: Path):
    sampler = {"class_type": "KSampler", "inputs": {"seed": 123, "positive": ["1", 0]}}
    job = FakeContext(tmp_path, {"5": sampler, "9": {"class_type": "SaveLatent", "inputs": {"samples": ["5", 0]}}})
    SaveLatent(job, EmptyLatent(64, 32), "%seed% %width%x%height%")
    assert job.paths()[0].name == "123 64x32_00001_.latent"
