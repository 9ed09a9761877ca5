"""The custom sampling nodes on a reduced checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pytest
import torch

from diffusion.errors import DiffusionError
from diffusion.sampling.schedules import schedule
from diffusion.values import Conditioning, Latent, ModelRef, SamplerRef
from executor.codec import Codec
from executor.settings import VALUE_MODULES
from nodes import guiders, samplers, sigmas
from nodes.conditioning import CLIPTextEncode
from nodes.custom_sampling import (
    AddNoise,
    DisableNoise,
    NoiseFromLatent,
    RandomNoise,
    SamplerCustom,
    SamplerCustomAdvanced,
)
from nodes.latent import EmptyLatent
from nodes.sampling import KSampler, KSamplerAdvanced
from nodes.sdk import NodeError
from nodes.sdk.declare import definition_of
from tests.nodes.fake_context import FakeContext
from tests.nodes.reduced import loaded


class Parts(NamedTuple):
    context: FakeContext
    model: ModelRef
    positive: Conditioning
    negative: Conditioning
    latent: Latent


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    context, model, clip = loaded(tmp_path_factory.mktemp("data"))
    fox, empty = (CLIPTextEncode(context, text, clip) for text in ("a fox", ""))
    return Parts(context, model, fox, empty, EmptyLatent(64, 32, 2))


def custom(parts: Parts, sampler: SamplerRef, levels: torch.Tensor, **changes):
    settings = {"noise_seed": 5, "cfg": 3.0} | changes
    return SamplerCustom(
        parts.context, parts.model, parts.positive, parts.negative, sampler, levels, parts.latent, **settings
    )


def plain(parts: Parts, sampler: str = "euler", steps: int = 4, **changes) -> torch.Tensor:
    settings = {"seed": 5, "cfg": 3.0, "scheduler": "karras"} | changes
    return KSampler(
        parts.context, parts.model, parts.positive, parts.negative, parts.latent, steps=steps, sampler_name=sampler,
        **settings,
    ).samples  # fmt: skip


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "euler_ancestral", "dpmpp_2m_sde", "euler_cfg_pp", "ddim"])
def test_the_parts_together_are_ksampler_bit_for_bit(parts: Parts, sampler: str):
    levels = sigmas.BasicScheduler(parts.context, parts.model, "karras", 4)
    chosen = samplers.KSamplerSelect(sampler)
    expected = plain(parts, sampler)
    assert torch.equal(custom(parts, chosen, levels).output.samples, expected)
    guider = guiders.CFGGuider(parts.model, parts.positive, parts.negative, 3.0)
    made = SamplerCustomAdvanced(parts.context, RandomNoise(5), guider, chosen, levels, parts.latent)
    assert torch.equal(made.output.samples, expected)
    assert torch.allclose(made.denoised_output.samples, expected, atol=1e-5)


def test_less_denoise_is_the_end_of_a_longer_schedule(parts: Parts):
    levels = sigmas.BasicScheduler(parts.context, parts.model, "karras", 3, 0.5)
    assert torch.equal(levels, sigmas.BasicScheduler(parts.context, parts.model, "karras", 6)[-4:])
    made = custom(parts, SamplerRef("euler"), levels)
    assert torch.equal(made.output.samples, plain(parts, steps=3, denoise=0.5))
    assert sigmas.BasicScheduler(parts.context, parts.model, "karras", 3, 0.0).numel() == 0


def test_a_run_split_by_its_sigmas_is_the_run(parts: Parts):
    levels = sigmas.BasicScheduler(parts.context, parts.model, "karras", 4)
    high, low = sigmas.SplitSigmas(levels, 2)
    guider = guiders.CFGGuider(parts.model, parts.positive, parts.negative, 3.0)
    euler = SamplerRef("euler")
    first = SamplerCustomAdvanced(parts.context, RandomNoise(5), guider, euler, high, parts.latent)
    second = SamplerCustomAdvanced(parts.context, DisableNoise(), guider, euler, low, first.output)
    assert torch.allclose(second.output.samples, plain(parts), atol=1e-5)
    assert float((first.denoised_output.samples - first.output.samples).abs().max()) > 0.1


def test_added_noise_is_that_of_a_sampler(parts: Parts):
    levels = sigmas.BasicScheduler(parts.context, parts.model, "karras", 3, 0.5)
    noised = AddNoise(parts.context, parts.model, RandomNoise(5), levels, parts.latent)
    made = SamplerCustom(
        parts.context, parts.model, parts.positive, parts.negative, SamplerRef("euler"), levels, noised,
        add_noise=False, cfg=3.0,
    )  # fmt: skip
    assert torch.allclose(made.output.samples, plain(parts, steps=3, denoise=0.5), atol=1e-5)
    assert AddNoise(parts.context, parts.model, RandomNoise(5), levels[:0], parts.latent) is parts.latent
    single = AddNoise(parts.context, parts.model, RandomNoise(5), levels[:1], parts.latent)
    assert torch.equal(single.samples, noised.samples)


def test_a_fixed_code_starts_every_picture_alike(parts: Parts):
    code = Latent(torch.randn(1, 4, 4, 8, generator=torch.Generator().manual_seed(1)))
    levels = sigmas.KarrasScheduler(3)
    guider = guiders.BasicGuider(parts.model, parts.positive)
    made = SamplerCustomAdvanced(
        parts.context, NoiseFromLatent(code, 3), guider, SamplerRef("euler"), levels, parts.latent
    ).output.samples
    assert torch.allclose(made[0], made[1], atol=1e-5)


def test_guiders_guide(parts: Parts):
    levels = sigmas.KarrasScheduler(2)
    p, n = parts.positive, parts.negative

    def made(guider) -> torch.Tensor:
        return SamplerCustomAdvanced(
            parts.context, RandomNoise(5), guider, SamplerRef("euler"), levels, parts.latent
        ).output.samples

    cfg = made(guiders.CFGGuider(parts.model, p, n, 3.0))
    assert torch.allclose(made(guiders.BasicGuider(parts.model, p)), made(guiders.CFGGuider(parts.model, p, n, 1.0)))
    assert torch.allclose(made(guiders.DualCFGGuider(parts.model, p, p, n, 9.0, 3.0)), cfg, atol=1e-3)
    assert torch.allclose(made(guiders.DualCFGGuider(parts.model, p, n, n, 3.0, 1.0, "nested")), cfg, atol=1e-3)
    assert torch.allclose(made(guiders.PerpNegGuider(parts.model, p, n, n, 3.0)), cfg, atol=1e-3)
    with pytest.raises(NodeError):
        guiders.CFGGuider(parts.model, p, n, float("nan"))


@pytest.mark.parametrize(
    ("sampler", "name"),
    [
        (samplers.SamplerEulerAncestral(), "euler_ancestral"),
        (samplers.SamplerEulerAncestralCFGPP(), "euler_ancestral_cfg_pp"),
        (samplers.SamplerEulerCFGpp(), "euler_cfg_pp"),
        (samplers.SamplerDDIM(), "ddim"),
        (samplers.SamplerDPMPP_2S_Ancestral(), "dpmpp_2s_ancestral"),
        (samplers.SamplerLMS(), "lms"),
        (samplers.SamplerDPMPP_2M_SDE(noise_device="cpu"), "dpmpp_2m_sde"),
        (samplers.SamplerDPMPP_2M_SDE("heun"), "dpmpp_2m_sde_heun_gpu"),
        (samplers.SamplerDPMPP_3M_SDE(noise_device="cpu"), "dpmpp_3m_sde"),
        (samplers.SamplerDPMPP_SDE(), "dpmpp_sde_gpu"),
        (samplers.SamplerDPMAdaptative(), "dpm_adaptive"),
        (samplers.SamplerER_SDE(), "er_sde"),
        (samplers.SamplerLCMUpscale(), "lcm"),
    ],
)
def test_a_sampler_node_at_its_defaults_is_the_sampler_of_its_name(parts: Parts, sampler: SamplerRef, name: str):
    levels = sigmas.BasicScheduler(parts.context, parts.model, "karras", 3)
    if name == "lcm":
        levels = torch.stack([levels[0], levels[-1]])  # beyond one step it draws other noise than `lcm`
    expected = custom(parts, SamplerRef(name), levels).output.samples
    assert torch.allclose(custom(parts, sampler, levels).output.samples, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pece", [False, True])
def test_sa_solver_takes_its_stretch_from_the_model(parts: Parts, pece: bool):
    levels = sigmas.BasicScheduler(parts.context, parts.model, "karras", 6)
    sampler = samplers.SamplerSASolver(parts.context, parts.model, use_pece=pece)
    expected = custom(parts, SamplerRef("sa_solver_pece" if pece else "sa_solver"), levels).output.samples
    assert torch.allclose(custom(parts, sampler, levels).output.samples, expected, atol=1e-6)


def test_schedulers_make_levels(parts: Parts):
    context, model = parts.context, parts.model
    for made, count in (
        (sigmas.KarrasScheduler(7), 8),
        (sigmas.ExponentialScheduler(7), 8),
        (sigmas.PolyexponentialScheduler(7, rho=2.0), 8),
        (sigmas.VPScheduler(7), 8),
        (sigmas.SDTurboScheduler(context, model, 4), 5),
        (sigmas.BetaSamplingScheduler(context, model, 7, 0.5, 0.7), 8),
        (sigmas.AlignYourStepsScheduler("SDXL", 7), 8),
        (sigmas.GITSScheduler(1.2, 7), 8),
        (sigmas.BasicScheduler(context, model, "normal", 7), 8),
    ):
        assert len(made) == count
        assert made[-1] == 0.0
        assert (made.diff() < 0).all()
    beta = sigmas.BetaSamplingScheduler(context, model, 7)
    assert torch.equal(beta, sigmas.BasicScheduler(context, model, "beta", 7))


@pytest.mark.parametrize("steps", [15, 30])
def test_the_basic_scheduler_never_gives_more_steps_than_were_asked_for(parts: Parts, steps: int):
    """KSampler takes the steps beyond that `ddim_uniform` finds; this node leaves out the first of them."""
    made = sigmas.BasicScheduler(parts.context, parts.model, "ddim_uniform", steps)
    whole = schedule(parts.context.residency.unet(parts.model).sampling, "ddim_uniform", steps)
    assert len(whole) > steps + 1
    assert torch.equal(made, whole[-(steps + 1) :])


def test_a_karras_schedule_may_end_at_zero():
    assert sigmas.KarrasScheduler(4, sigma_min=0.0)[-2:].tolist() == [0.0, 0.0]


def test_a_laplace_schedule_ends_where_it_was_told_to():
    made = sigmas.LaplaceScheduler(7, sigma_max=10.0, sigma_min=0.1)
    assert len(made) == 7
    assert (made[0], made[-1]) == (10.0, pytest.approx(0.1))
    assert made[3] == 1.0


def test_a_percentage_is_told_as_a_level(parts: Parts):
    levels = parts.context.residency.unet(parts.model).sampling

    def told(percent: float, actual: bool) -> float:
        return sigmas.SamplingPercentToSigma(parts.context, parts.model, percent, actual)

    assert told(0.5, True) == told(0.5, False) == levels.percent_to_sigma(0.5)
    assert (told(0.0, True), told(1.0, True)) == (levels.sigma_max, levels.sigma_min)
    assert (told(0.0, False), told(1.0, False)) == (999_999_999.9, 0.0)


def test_every_step_of_a_range_is_divided():
    levels = torch.tensor([9.0, 3.0, 1.0, 0.0])
    assert sigmas.ExtendIntermediateSigmas(levels, 2, -1.0, 2.0).tolist() == [9.0, 6.0, 3.0, 2.0, 1.0, 0.0]
    assert sigmas.ExtendIntermediateSigmas(levels, 2, 4.0, 0.0).tolist() == [9.0, 3.0, 2.0, 1.0, 0.5, 0.0]


def test_levels_are_cut_and_turned():
    levels = sigmas.KarrasScheduler(4)
    assert [len(part) for part in sigmas.SplitSigmasDenoise(levels, 0.25)] == [4, 2]
    assert sigmas.FlipSigmas(levels)[-1] == levels[0]
    assert sigmas.SetFirstSigma(levels, 20.0)[0] == 20.0


@pytest.mark.parametrize(
    ("call", "blamed"),
    [
        (lambda: sigmas.KarrasScheduler(4, rho=0.0), "rho"),
        (lambda: sigmas.ExponentialScheduler(4, sigma_min=0.0), "sigma_min"),
        (lambda: sigmas.PolyexponentialScheduler(4, sigma_max=float("inf")), "sigma_max"),
    ],
)
def test_levels_that_cannot_be_made_are_blamed_on_their_input(call, blamed: str):
    with pytest.raises(NodeError) as caught:
        call()
    assert caught.value.input == blamed


def test_bad_parts_are_blamed_on_the_input_of_this_node(parts: Parts):
    guider = guiders.CFGGuider(parts.model, Conditioning(()), parts.negative, 3.0)
    with pytest.raises(DiffusionError, match="empty") as caught:
        SamplerCustomAdvanced(
            parts.context, RandomNoise(1), guider, SamplerRef("euler"), sigmas.KarrasScheduler(2), parts.latent
        )
    assert caught.value.input == "guider"
    with pytest.raises(DiffusionError, match="cannot follow sigmas that rise") as caught:
        custom(parts, SamplerRef("dpmpp_sde"), sigmas.FlipSigmas(sigmas.KarrasScheduler(2)))
    assert caught.value.input == "sampler"


def test_the_last_step_of_ksampler_advanced_may_leave_noise_as_cut_sigmas_do(parts: Parts):
    levels = sigmas.BasicScheduler(parts.context, parts.model, "karras", 4)
    made = custom(parts, SamplerRef("euler"), levels[:3]).output.samples
    expected = KSamplerAdvanced(
        parts.context, parts.model, parts.positive, parts.negative, parts.latent, noise_seed=5, steps=4, cfg=3.0,
        sampler_name="euler", scheduler="karras", end_at_step=2, return_with_leftover_noise="enable",
    ).samples  # fmt: skip
    assert torch.equal(made, expected)


def test_the_parts_can_be_kept_on_disk(parts: Parts):
    codec = Codec(VALUE_MODULES)
    kept = (
        samplers.SamplerDPMPP_2M_SDE(),
        samplers.SamplerSASolver(parts.context, parts.model, sde_start_percent=0.0),
        RandomNoise(2**64 - 1),
        sigmas.KarrasScheduler(3),
        guiders.PerpNegGuider(parts.model, parts.positive, parts.negative, parts.negative),
    )
    read = codec.read(*codec.write(kept))
    assert read[:2] == kept[:2]
    assert read[2].seed == 2**64 - 1
    assert torch.equal(read[3], kept[3])
    assert read[4].model == parts.model
    assert torch.equal(read[4].rule.positive.entries[0].embedding, parts.positive.entries[0].embedding)


# ComfyUI's widgets in its order: old workflow files list values without names.
WIDGETS: Mapping[str, tuple[str, ...]] = {
    "SamplerDPMPP_2M_SDE": ("solver_type", "eta", "s_noise", "noise_device"),
    "SamplerDPMPP_SDE": ("eta", "s_noise", "r", "noise_device"),
    "SamplerDPMAdaptative": (
        "order", "rtol", "atol", "h_init", "pcoeff", "icoeff", "dcoeff", "accept_safety", "eta", "s_noise",
    ),
    "SamplerER_SDE": ("solver_type", "max_stage", "eta", "s_noise"),
    "SamplerSASolver": (
        "eta", "sde_start_percent", "sde_end_percent", "s_noise", "predictor_order", "corrector_order", "use_pece",
        "simple_order_2",
    ),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "KarrasScheduler": ("steps", "sigma_max", "sigma_min", "rho"),
    "AlignYourStepsScheduler": ("model_type", "steps", "denoise"),
    "GITSScheduler": ("coeff", "steps", "denoise"),
    "DualCFGGuider": ("cfg_conds", "cfg_cond2_negative", "style"),
}  # fmt: skip


@pytest.mark.parametrize("name", WIDGETS)
def test_widgets_are_in_the_order_of_workflow_files(name: str):
    functions = [getattr(module, name, None) for module in (guiders, samplers, sigmas)]
    definition = definition_of(next(each for each in functions if each is not None))
    assert definition is not None
    assert tuple(each.name for each in definition.spec.inputs if each.widget) == WIDGETS[name]
