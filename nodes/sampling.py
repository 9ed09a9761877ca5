"""Nodes that sample: they turn noise, step by step, into a picture that the prompt describes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from diffusion.sampling.names import SAMPLERS, SCHEDULES
from diffusion.values import Conditioning, Latent, ModelRef
from nodes.sdk import Choices, Context, Help, Label, NodeError, PreviewFrame, Range, Seed, node

if TYPE_CHECKING:
    from diffusion.loaded import LoadedUnet
    from diffusion.sampling.protocols import OnStep, StepInfo

_MODEL = Help("The denoiser of the checkpoint, as it is or changed by other nodes.")
_POSITIVE = Help("What the picture should show.")
_NEGATIVE = Help("What the picture should not show.")
_SEED = Help("Where the noise comes from: the same seed and settings give the same picture.")
_STEPS = Help("More steps take longer and, up to a point, give cleaner pictures. 20 is a good start.")
_CFG = Help(
    "How closely the prompt is followed. 1 ignores the negative prompt and is twice as fast; above 12 is harsh."
)
_SAMPLER = Help("The method of walking from noise to picture. dpmpp_2m and euler are good all-round choices.")
_SCHEDULER = Help("How the noise levels are spread over the steps. karras suits most samplers.")


@node(title="Sample", category="sampling")
def KSampler(
    context: Context,
    model: Annotated[ModelRef, _MODEL],
    positive: Annotated[Conditioning, _POSITIVE],
    negative: Annotated[Conditioning, _NEGATIVE],
    latent_image: Annotated[
        Latent, Label("latent"), Help("An empty latent for a new picture, or an encoded picture to change.")
    ],
    seed: Annotated[int, Seed(), _SEED] = 0,
    steps: Annotated[int, Range(1, 10000), _STEPS] = 20,
    cfg: Annotated[float, Range(0.0, 100.0, 0.1), Label("CFG"), _CFG] = 8.0,
    sampler_name: Annotated[str, Choices(SAMPLERS), Label("sampler"), _SAMPLER] = "euler",
    scheduler: Annotated[str, Choices(SCHEDULES), _SCHEDULER] = "normal",
    denoise: Annotated[
        float,
        Range(0.0, 1.0, 0.01, slider=True),
        Help("How much to change: 1 starts from pure noise, 0.5 keeps the composition, 0 changes nothing."),
    ] = 1.0,
) -> Latent:
    """Makes a picture: starts from noise and removes it step by step, towards what the positive prompt says and away
    from the negative one.

    Connect an empty latent and leave denoise at 1 for a new picture. Connect an encoded picture and lower denoise to
    change that picture instead.
    """
    from diffusion.sampling.ksampler import sample

    check_numbers(cfg=cfg, denoise=denoise)
    unet = context.residency.unet(model)
    return sample(
        unet,
        latent=latent_image,
        positive=positive,
        negative=negative,
        seed=seed,
        steps=steps,
        cfg=cfg,
        sampler=sampler_name,
        scheduler=scheduler,
        denoise=denoise,
        on_step=reporter(context, unet),
        check=context.check_cancelled,
    )


@node(title="Sample (advanced)", category="sampling")
def KSamplerAdvanced(
    context: Context,
    model: Annotated[ModelRef, _MODEL],
    positive: Annotated[Conditioning, _POSITIVE],
    negative: Annotated[Conditioning, _NEGATIVE],
    latent_image: Annotated[
        Latent, Label("latent"), Help("An empty latent, an encoded picture, or an unfinished one.")
    ],
    add_noise: Annotated[
        Literal["enable", "disable"], Help("disable, when the latent still holds noise from an earlier sampler.")
    ] = "enable",
    noise_seed: Annotated[int, Seed(), Label("seed"), _SEED] = 0,
    steps: Annotated[int, Range(1, 10000), Help("The steps of the whole walk, of which this node takes a part.")] = 20,
    cfg: Annotated[float, Range(0.0, 100.0, 0.1), Label("CFG"), _CFG] = 8.0,
    sampler_name: Annotated[str, Choices(SAMPLERS), Label("sampler"), _SAMPLER] = "euler",
    scheduler: Annotated[str, Choices(SCHEDULES), _SCHEDULER] = "normal",
    start_at_step: Annotated[int, Range(0, 10000), Help("The step to begin with; 0 is the first.")] = 0,
    end_at_step: Annotated[int, Range(0, 10000), Help("The step to stop before; beyond the last means all.")] = 10000,
    return_with_leftover_noise: Annotated[
        Literal["disable", "enable"], Help("enable, when another sampler goes on from here.")
    ] = "disable",
) -> Latent:
    """Takes a part of the steps, so that several samplers can share one picture.

    To split a walk of 20 steps in two: the first from 0 to 12 returning its leftover noise, the second from 12 on with
    adding noise disabled.
    """
    from diffusion.sampling.ksampler import sample

    check_numbers(cfg=cfg)
    unet = context.residency.unet(model)
    return sample(
        unet,
        latent=latent_image,
        positive=positive,
        negative=negative,
        seed=noise_seed,
        steps=steps,
        cfg=cfg,
        sampler=sampler_name,
        scheduler=scheduler,
        start_step=start_at_step,
        last_step=end_at_step,
        force_full_denoise=return_with_leftover_noise == "disable",
        add_noise=add_noise == "enable",
        on_step=reporter(context, unet),
        check=context.check_cancelled,
    )


def reporter(context: Context, unet: LoadedUnet) -> OnStep:
    """Reports each step to the job, with a preview. Raises Cancelled when the job was cancelled."""
    from diffusion.preview import preview_jpeg

    def report(step: StepInfo) -> None:
        context.check_cancelled()
        preview = preview_jpeg(step.denoised, unet.latent_rgb)
        context.progress(step.step, step.total, PreviewFrame(preview.jpeg, preview.width, preview.height))

    return report


def check_numbers(**values: float) -> None:
    """Raise NodeError, naming the input, for a value that is not finite."""
    for name, value in values.items():
        if not math.isfinite(value):
            raise NodeError(f"{name} is {value}.", input=name, code="not_finite", hint="Give an ordinary number.")
