"""Nodes that sample from parts: a noise, a guider, a sampler and the noise levels to follow, each chosen by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, NamedTuple

from diffusion.errors import blaming
from diffusion.values import CfgRule, Conditioning, GuiderRef, Latent, ModelRef, NoiseRef, SamplerRef, Sigmas
from nodes.sampling import check_numbers, reporter
from nodes.sdk import Context, Help, Label, Range, Seed, node

if TYPE_CHECKING:
    from diffusion.sampling.run import Sampled

_CATEGORY = "sampling/custom"
_SEED = Help("The same seed and settings give the same picture.")
_SIGMAS = Help("The noise levels to follow, from a scheduler node.")
_SAMPLER = Help("The method of walking from noise to picture.")
_MODEL = Help("The model whose scale of latents counts.")


class SampledLatents(NamedTuple):
    output: Latent
    denoised_output: Latent


@node(title="Sample (custom)", category=_CATEGORY)
def SamplerCustom(
    context: Context,
    model: Annotated[ModelRef, Help("The denoiser.")],
    positive: Annotated[Conditioning, Help("What the picture should show.")],
    negative: Annotated[Conditioning, Help("What the picture should not show.")],
    sampler: Annotated[SamplerRef, _SAMPLER],
    sigmas: Annotated[Sigmas, _SIGMAS],
    latent_image: Annotated[Latent, Label("latent"), Help("An empty latent, or a picture to change.")],
    add_noise: Annotated[bool, Help("Off, when the latent still holds noise from an earlier sampler.")] = True,
    noise_seed: Annotated[int, Seed(), Label("seed"), _SEED] = 0,
    cfg: Annotated[float, Range(0.0, 100.0, 0.1), Label("CFG"), Help("How closely the prompt is followed.")] = 8.0,
) -> SampledLatents:
    """Samples with a sampler and noise levels that other nodes choose.

    `output` is the latent at the last noise level; `denoised_output` is the model's last guess at the clean picture,
    which differs when the noise levels end above 0.
    """
    check_numbers(cfg=cfg)
    guider = GuiderRef(model, CfgRule(positive, negative, cfg))
    noise = NoiseRef(noise_seed, drawn=add_noise)
    with blaming("noise_seed", when=lambda named: named == "seed"):
        return _sample(context, guider, noise, sampler, sigmas, latent_image)


@node(title="Sample (custom, advanced)", category=_CATEGORY)
def SamplerCustomAdvanced(
    context: Context,
    noise: Annotated[NoiseRef, Help("Where the noise comes from.")],
    guider: Annotated[GuiderRef, Help("The model, and how prompts guide it.")],
    sampler: Annotated[SamplerRef, _SAMPLER],
    sigmas: Annotated[Sigmas, _SIGMAS],
    latent_image: Annotated[Latent, Label("latent"), Help("An empty latent, or a picture to change.")],
) -> SampledLatents:
    """Samples with every part chosen by other nodes.

    `output` is the latent at the last noise level; `denoised_output` is the model's last guess at the clean picture.
    """
    own = ("noise", "sampler", "sigmas", "latent_image", None)
    with (
        blaming("guider", when=lambda named: named not in own),
        blaming("noise", when=lambda named: named == "seed"),
    ):
        return _sample(context, guider, noise, sampler, sigmas, latent_image)


def _sample(
    context: Context, guider: GuiderRef, noise: NoiseRef, sampler: SamplerRef, sigmas: Sigmas, latent: Latent
) -> SampledLatents:
    from diffusion.sampling.custom import sampler_of
    from diffusion.sampling.guiders import guide_by
    from diffusion.sampling.run import run

    unet = context.residency.unet(guider.model)
    guide = guide_by(unet, guider.rule, context.check_cancelled)
    made: Sampled = run(
        unet, guide, sampler_of(sampler), sigmas, latent=latent, noise=noise, on_step=reporter(context, unet)
    )
    return SampledLatents(made.latent, made.denoised)


@node(title="Random noise", category=f"{_CATEGORY}/noise")
def RandomNoise(noise_seed: Annotated[int, Seed(), Label("seed"), _SEED] = 0) -> NoiseRef:
    """Noise drawn from a seed: the same seed gives the same noise on every machine."""
    return NoiseRef(noise_seed)


@node(title="No noise", category=f"{_CATEGORY}/noise")
def DisableNoise() -> NoiseRef:
    """Adds no noise at the start, for a latent that still holds some."""
    return NoiseRef(drawn=False)


@node(title="Noise from latent", category=f"{_CATEGORY}/noise")
def NoiseFromLatent(
    samples: Annotated[Latent, Help("Its numbers are the noise: about normal, with deviation 1, to make a picture.")],
    noise_seed: Annotated[int, Seed(), Label("seed"), Help("For noise that a sampler adds on the way.")] = 0,
) -> NoiseRef:
    """Starts every picture from a fixed code: the numbers of a latent stand in for the noise. A batch larger than the
    latent repeats it, so that all its pictures start alike."""
    return NoiseRef(noise_seed, given=samples.samples)


@node(title="Add noise", category=f"{_CATEGORY}/noise")
def AddNoise(
    context: Context,
    model: Annotated[ModelRef, _MODEL],
    noise: Annotated[NoiseRef, Help("Where the noise comes from.")],
    sigmas: Annotated[Sigmas, Help("How much: the difference between the first level and the last.")],
    latent_image: Annotated[Latent, Label("latent")],
) -> Latent:
    """Adds noise to a latent, as a sampler does before its first step. Sample on with *No noise*."""
    from diffusion.sampling.run import check_latent, noise_for

    if sigmas.numel() == 0:
        return latent_image
    unet = context.residency.unet(model)
    check_latent(unet, latent_image)
    amount = float((sigmas[0] - sigmas[-1]).abs()) if sigmas.numel() > 1 else float(sigmas[0])
    noised = latent_image.samples + noise_for(noise, latent_image) * (amount / unet.latent_scale)
    return replace(latent_image, samples=noised)
