"""Nodes that take latents from a batch, put batches together, and say which noise each item starts from."""

from __future__ import annotations

from typing import Annotated, Literal

from diffusion.values import Latent
from nodes.sdk import Help, Range, node


@node(title="Latent from batch", category="latent/batch")
def LatentFromBatch(
    samples: Latent,
    batch_index: Annotated[
        int, Range(0, 63), Help("Number of the first item, from 0. Past the end takes the last.")
    ] = 0,
    length: Annotated[int, Range(1, 64), Help("How many items, or as many as there are.")] = 1,
) -> Latent:
    """Takes items out of a batch. Each keeps its noise, so that sampling it alone draws the same picture again."""
    from diffusion.ops.latent_batches import from_batch

    return from_batch(samples, batch_index, length)


@node(title="Repeat latent batch", category="latent/batch")
def RepeatLatentBatch(
    samples: Latent,
    amount: Annotated[int, Range(1, 64), Help("How often the whole batch is repeated.")] = 1,
) -> Latent:
    """Repeats a batch, to sample several variations of a latent at once: each copy gets noise of its own."""
    from diffusion.ops.latent_batches import repeat

    return repeat(samples, amount)


@node(title="Join latent batches", category="latent/batch")
def LatentBatch(
    samples1: Latent,
    samples2: Annotated[Latent, Help("Cropped and scaled to the size of the first, if it has another.")],
) -> Latent:
    """Puts two batches into one. Each item keeps the number of its noise, so both batches start from equal noise."""
    from diffusion.ops.latent_batches import join

    return join(samples1, samples2)


@node(title="Rebatch latents", category="latent/batch", version=2)
def RebatchLatents(
    latents: Annotated[list[Latent], Help("One batch, or several in a row.")],
    batch_size: Annotated[int, Range(1, 4096), Help("How many items each new batch has.")] = 1,
) -> list[Latent]:
    """Divides batches into others of a given size. What follows runs once for each, which takes less memory than a
    large batch at once. Every item keeps its noise."""
    from diffusion.ops.latent_batches import rebatch

    return rebatch(latents, batch_size)


@node(title="Batch noise", category="latent/batch")
def LatentBatchSeedBehavior(
    samples: Latent,
    seed_behavior: Annotated[
        Literal["random", "fixed"],
        Help("random gives every item noise of its own; fixed gives all of them the noise of the first."),
    ] = "fixed",
) -> Latent:
    """Says whether the items of a batch start from different noise or from the same."""
    from diffusion.ops.latent_batches import own_noise, same_noise

    return own_noise(samples) if seed_behavior == "random" else same_noise(samples)
