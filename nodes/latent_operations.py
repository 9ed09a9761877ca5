"""Nodes that choose changes to latents, for another node to apply."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from diffusion.values import Latent, LatentOperation, SharpenRule, TonemapRule
from nodes.sdk import Help, NodeError, Range, node

_CATEGORY = "latent/advanced/operations"


@node(title="Apply latent operation", category=_CATEGORY)
def LatentApplyOperation(
    samples: Latent,
    operation: Annotated[LatentOperation, Help("What to do, from a latent operation node.")],
) -> Latent:
    """Changes a latent as an operation says."""
    from diffusion.ops.latent_operations import apply

    return replace(samples, samples=apply(samples.samples, operation))


@node(title="Tone mapping operation (Reinhard)", category=_CATEGORY)
def LatentOperationTonemapReinhard(
    multiplier: Annotated[float, Range(0.0, 100.0, 0.01), Help("Smaller compresses more; must be above 0.")] = 1.0,
) -> LatentOperation:
    """Compresses what is bright and glaring in a latent. Within the sampling it tames a high CFG."""
    if multiplier <= 0:
        raise NodeError("The multiplier is 0, which leaves nothing.", input="multiplier", hint="Use 0.01 or more.")
    return LatentOperation(TonemapRule(multiplier))


@node(title="Sharpening operation", category=_CATEGORY)
def LatentOperationSharpen(
    sharpen_radius: Annotated[int, Range(1, 31), Help("Size of the detail to bring out, in cells of 8 pixels.")] = 9,
    sigma: Annotated[
        float, Range(0.1, 10.0, 0.1), Help("How evenly the cells within the radius count: small favours the middle.")
    ] = 1.0,
    alpha: Annotated[float, Range(0.0, 5.0, 0.01), Help("Strength: 0 changes nothing.")] = 0.1,
) -> LatentOperation:
    """Sharpens a latent."""
    return LatentOperation(SharpenRule(sharpen_radius, sigma, alpha))
