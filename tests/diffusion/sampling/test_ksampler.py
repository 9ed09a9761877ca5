"""A whole run: what KSampler's inputs do, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.sampling.ksampler import cut_steps, run_sigmas, sample, sample_sigmas
from diffusion.sampling.names import SAMPLERS
from diffusion.sampling.noise import drawn_noise
from diffusion.sampling.protocols import StepInfo
from diffusion.sampling.samplers import sampler_named
from diffusion.values import Latent
from tests.diffusion.sampling.models import LEVELS, TinyModel, prompt

EMPTY = Latent(torch.zeros(1, 4, 8, 8))
PICTURE = Latent(torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)))

NOT_HELD = {"dpm_fast", "dpm_adaptive"} | {name for name in SAMPLERS if name.endswith("cfg_pp")}
"""Those that end above sigma 0, and those whose direction, the unconditional, is not held outside the mask."""


class Cancelled(Exception):
    pass


def run(latent: Latent = EMPTY, model: TinyModel | None = None, **changed: object) -> Latent:
    settings = {
        "positive": prompt(0.1), "negative": prompt(-0.1), "seed": 42, "steps": 6, "cfg": 5.0, "sampler": "euler",
        "scheduler": "normal",
    }  # fmt: skip
    return sample(model or TinyModel(), latent=latent, **{**settings, **changed})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_runs_within_a_mask_and_a_batch(sampler: str) -> None:
    mask = torch.zeros(1, 64, 64)
    mask[:, 16:48, 16:48] = 1.0
    latent = Latent(PICTURE.samples.repeat(2, 1, 1, 1), noise_mask=mask, batch_index=(4, 7))
    result = run(latent, sampler=sampler, denoise=0.7)
    assert result.samples.shape == (2, 4, 8, 8)
    assert torch.isfinite(result.samples).all()
    assert not torch.equal(result.samples[0], result.samples[1])
    assert result.noise_mask is mask
    assert result.batch_index == (4, 7)


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in NOT_HELD])
def test_outside_the_mask_the_picture_stays(sampler: str) -> None:
    mask = torch.zeros(1, 8, 8)
    mask[:, 2:6, 2:6] = 1.0
    result = run(replace(PICTURE, noise_mask=mask), sampler=sampler, denoise=0.7, cfg=1.0)
    tolerance = 0.01 if sampler.startswith("uni_pc") else 1e-4
    assert torch.allclose(result.samples[..., :2, :], PICTURE.samples[..., :2, :], atol=tolerance)


def test_ddim_noises_what_is_outside_the_mask_with_a_second_draw() -> None:
    inputs: list[Tensor] = []
    for sampler in ("euler", "ddim"):
        model = TinyModel()
        run(replace(PICTURE, noise_mask=torch.zeros(1, 8, 8)), model, sampler=sampler)
        inputs.append(model.calls[0][0][:1])
    sigma = LEVELS.sigma_max
    first, second = (
        (seen * math.sqrt(sigma**2 + 1) - PICTURE.samples * TinyModel.latent_scale) / sigma for seen in inputs
    )
    assert torch.allclose(first, drawn_noise(torch.Generator().manual_seed(42), (1, 4, 8, 8)), atol=1e-5)
    assert torch.allclose(second, drawn_noise(torch.Generator().manual_seed(43), (1, 4, 8, 8)), atol=1e-5)


def test_the_result_is_in_the_scale_of_the_vae() -> None:
    class Fixed(TinyModel):
        def predict(
            self, x: Tensor, timestep: Tensor, context: Tensor, pooled: Tensor | None = None, residuals: object = None
        ) -> Tensor:
            return torch.ones_like(x)

    result = run(model=Fixed("x0"))
    assert torch.allclose(result.samples, torch.full((1, 4, 8, 8), 1 / TinyModel.latent_scale), atol=1e-5)


def test_a_picture_of_a_batch_is_made_again_by_its_index() -> None:
    batch = run(Latent(torch.zeros(3, 4, 8, 8), batch_index=(0, 1, 2)))
    single = run(Latent(torch.zeros(1, 4, 8, 8), batch_index=(1,)))
    assert torch.allclose(batch.samples[1:2], single.samples, atol=1e-5)


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpm_2", "ddim"])
def test_a_run_split_in_two_is_the_run(sampler: str) -> None:
    whole = run(sampler=sampler, steps=8)
    first = run(sampler=sampler, steps=8, start_step=0, last_step=3)
    second = run(first, sampler=sampler, steps=8, start_step=3, last_step=10000, add_noise=False)
    assert torch.allclose(second.samples, whole.samples, atol=1e-4)


def test_leftover_noise_goes_with_force_full_denoise() -> None:
    left = run(steps=8, last_step=4)
    clean = run(steps=8, last_step=4, force_full_denoise=True)
    assert float(left.samples.std()) > float(clean.samples.std())


def test_without_added_noise_a_run_starts_from_the_latent() -> None:
    model = TinyModel()
    run(PICTURE, model, add_noise=False)
    assert torch.allclose(model.calls[0][0][:1] * math.sqrt(LEVELS.sigma_max**2 + 1), PICTURE.samples * 0.5, atol=1e-5)


def test_denoise_0_gives_the_latent_back_without_a_call() -> None:
    model = TinyModel()
    assert run(PICTURE, model, denoise=0.0) is PICTURE
    assert model.calls == []


@given(st.integers(1, 50), st.floats(0.05, 1.0), st.sampled_from(["euler", "dpm_2", "uni_pc"]))
@settings(max_examples=60, deadline=None)
def test_part_of_a_denoise_keeps_the_number_of_steps(steps: int, denoise: float, sampler: str) -> None:
    sigmas = run_sigmas(LEVELS, sampler_named(sampler), "karras", steps, denoise)
    assert len(sigmas) == steps + 1
    assert sigmas[-1] == 0.0
    assert (sigmas.diff() < 0).all()


def test_samplers_with_an_inner_step_leave_out_the_sigma_before_zero() -> None:
    plain = run_sigmas(LEVELS, sampler_named("euler"), "karras", 6)
    dropped = run_sigmas(LEVELS, sampler_named("dpm_2"), "karras", 5)
    assert torch.equal(dropped, torch.cat([plain[:-2], plain[-1:]]))


@given(st.integers(1, 20), st.integers(0, 25), st.integers(0, 25))
def test_a_cut_is_the_steps_asked_for_or_an_error(total: int, start: int, end: int) -> None:
    sigmas = torch.linspace(5, 0, total + 1)
    if start >= min(end, total):
        with pytest.raises(DiffusionError, match="No steps"):
            cut_steps(sigmas, start, end, False)
    else:
        assert torch.equal(cut_steps(sigmas, start, end, False), sigmas[start : min(end, total) + 1])


def test_each_step_is_reported_once_with_the_clean_latent() -> None:
    seen: list[StepInfo] = []
    run(sampler="heun", on_step=seen.append)
    assert [info.step for info in seen] == [1, 2, 3, 4, 5, 6]
    assert all(info.total == 6 and info.denoised.shape == (1, 4, 8, 8) for info in seen)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_cancelled_job_stops_before_the_next_evaluation(sampler: str) -> None:
    model = TinyModel()

    def check() -> None:
        if len(model.calls) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(model=model, sampler=sampler, check=check)
    assert len(model.calls) == 2


def test_what_on_step_raises_ends_the_run() -> None:
    def stop(info: StepInfo) -> None:
        raise Cancelled

    model = TinyModel()
    with pytest.raises(Cancelled):
        run(model=model, on_step=stop)
    assert len(model.calls) == 1


def test_what_is_returned_is_an_ordinary_tensor() -> None:
    result = run().samples
    assert not result.is_inference()
    assert result.dtype == torch.float32
    assert result.device.type == "cpu"


@pytest.mark.parametrize(
    ("changed", "input", "code"),
    [
        ({"steps": 0}, "steps", "bad_steps"),
        ({"cfg": math.nan}, "cfg", "bad_cfg"),
        ({"denoise": math.nan}, "denoise", "bad_denoise"),
        ({"denoise": 1.5}, "denoise", "bad_denoise"),
        ({"denoise": 1e-9}, "denoise", "bad_denoise"),
        ({"sampler": "eular"}, "sampler_name", "unknown_sampler"),
        ({"scheduler": "simpel"}, "scheduler", "unknown_scheduler"),
        ({"start_step": 6}, "start_at_step", "no_steps"),
        ({"start_step": 4, "last_step": 4}, "end_at_step", "no_steps"),
        ({"seed": -1}, "seed", "bad_seed"),
        ({"latent": Latent(torch.zeros(1, 16, 8, 8))}, "latent_image", "bad_latent"),
        ({"latent": Latent(torch.zeros(2, 4, 8, 8), batch_index=(1,))}, "latent_image", "bad_latent"),
    ],
)
def test_bad_input_is_refused_before_the_model_is_called(changed: dict[str, object], input: str, code: str) -> None:
    model = TinyModel()
    with pytest.raises(DiffusionError) as caught:
        run(model=model, **changed)  # pyright: ignore[reportArgumentType]
    assert (caught.value.input, caught.value.code) == (input, code)
    assert model.calls == []


@pytest.mark.parametrize("sigmas", [[0.0, 1.0], [1.0, 0.0, 0.5], [math.nan, 0.0], [2.0, -1.0]])
def test_sigmas_that_cannot_be_followed_are_refused(sigmas: list[float]) -> None:
    with pytest.raises(DiffusionError, match="sigmas"):
        along(sigmas, "euler")


def test_a_single_sigma_only_adds_noise() -> None:
    noised = along([2.0], "euler").samples
    expected = (
        PICTURE.samples + drawn_noise(torch.Generator().manual_seed(1), (1, 4, 8, 8)) * 2.0 / TinyModel.latent_scale
    )
    assert torch.allclose(noised, expected, atol=1e-5)


def test_a_sigma_that_repeats_is_no_step() -> None:
    assert torch.equal(along([3.0, 3.0, 1.0, 0.0], "dpmpp_2m").samples, along([3.0, 1.0, 0.0], "dpmpp_2m").samples)


def test_a_sigma_that_repeats_is_a_step_of_lcm_which_noises_afresh() -> None:
    assert not torch.equal(along([3.0, 3.0, 1.0, 0.0], "lcm").samples, along([3.0, 1.0, 0.0], "lcm").samples)


@pytest.mark.parametrize("sampler", ["euler", "dpm_fast", "dpm_adaptive", "dpmpp_2m", "er_sde"])
def test_sigmas_may_rise_where_no_noise_is_added(sampler: str) -> None:
    risen = along([0.1, 0.5, 1.5], sampler).samples
    assert torch.isfinite(risen).all()
    assert torch.allclose(risen, along([0.1, 0.5, 1.5], "heun").samples, atol=0.5)
    assert not torch.allclose(risen, along([0.1], "euler").samples, atol=0.5)


@pytest.mark.parametrize("sampler", ["dpmpp_2m_sde", "dpmpp_sde", "seeds_2", "ddpm", "sa_solver"])
def test_sigmas_that_rise_are_refused_where_the_noise_would_be_imaginary(sampler: str) -> None:
    with pytest.raises(DiffusionError, match="rise"):
        along([0.1, 1.0, 3.0], sampler)


@pytest.mark.parametrize("sampler", ["euler_ancestral", "dpm_2_ancestral"])
def test_a_rising_step_of_an_ancestral_sampler_is_the_clean_latent(sampler: str) -> None:
    seen: list[StepInfo] = []
    made = sample_sigmas(
        TinyModel(), sampler_named(sampler), torch.tensor([0.1, 1.0]), latent=PICTURE, positive=prompt(0.1),
        negative=prompt(-0.1), cfg=5.0, seed=1, on_step=seen.append,
    )  # fmt: skip
    assert torch.allclose(made.samples, seen[-1].denoised / TinyModel.latent_scale, atol=1e-5)


@pytest.mark.parametrize("sampler", ["lcm", "dpmpp_2s_ancestral", "res_multistep_ancestral", "euler_ancestral_cfg_pp"])
def test_other_ancestral_samplers_noise_it_to_the_level_it_rises_to(sampler: str) -> None:
    risen = along([0.1, 1.0, 20.0, 19.0], sampler).samples * TinyModel.latent_scale
    assert 12.0 < float(risen.std()) < 30.0


def test_one_step_of_uni_pc_changes_only_the_scale() -> None:
    made = along([2.0, 0.5], "uni_pc").samples
    assert torch.allclose(made, along([2.0], "euler").samples * math.sqrt(1.25 / 5.0), atol=1e-5)


def along(sigmas: list[float], sampler: str) -> Latent:
    return sample_sigmas(
        TinyModel(), sampler_named(sampler), torch.tensor(sigmas), latent=PICTURE, positive=prompt(0.1),
        negative=prompt(-0.1), cfg=5.0, seed=1,
    )  # fmt: skip
