"""Nodes that turn prompts into what guides the sampler."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from diffusion.values import ClipRef, Conditioning
from nodes.sdk import Context, Help, Label, Mentions, Multiline, Range, node

_MAX = 16384
_EMBEDDINGS = Mentions("embeddings")


@node(title="Encode prompt", category="conditioning")
def CLIPTextEncode(
    context: Context,
    text: Annotated[
        str, Multiline(), _EMBEDDINGS, Help("What the picture should show, or, for the negative side, should not.")
    ],
    clip: Annotated[ClipRef, Help("The text encoder of the checkpoint.")],
) -> Conditioning:
    r"""Turns a prompt into the conditioning that guides a sampler.

    - `(word)` makes a word 1.1 times stronger, `((word))` more so; `(word:1.4)` sets its strength, and a value below 1
      weakens it. A group may hold several words.
    - `\(` and `\)` are plain brackets.
    - A prompt may be long: it is read in windows of 75 tokens (about 60 words), and nothing is cut off.
    """
    from diffusion.text.encode import encode

    return encode(context.residency.clip(clip), text)


@node(title="Encode prompt (SDXL)", category="conditioning")
def CLIPTextEncodeSDXL(
    context: Context,
    clip: Annotated[ClipRef, Help("The text encoders of an SDXL checkpoint.")],
    width: Annotated[int, Range(0, _MAX), Help("The width that the training picture would have had.")] = 1024,
    height: Annotated[int, Range(0, _MAX), Help("Its height.")] = 1024,
    crop_w: Annotated[int, Range(0, _MAX), Help("How much of it was cut off at the left. 0 centres things.")] = 0,
    crop_h: Annotated[int, Range(0, _MAX), Help("How much of it was cut off at the top. 0 centres things.")] = 0,
    target_width: Annotated[int, Range(0, _MAX), Help("The width it was trained at.")] = 1024,
    target_height: Annotated[int, Range(0, _MAX), Help("The height it was trained at.")] = 1024,
    text_g: Annotated[str, Multiline(), _EMBEDDINGS, Label("large encoder"), Help("What to show, in a sentence.")] = "",
    text_l: Annotated[str, Multiline(), _EMBEDDINGS, Label("small encoder"), Help("What to show, in keywords.")] = "",
) -> Conditioning:
    """Encodes a prompt for SDXL, with all that SDXL can be told: a prompt for each of its two text encoders, and the
    sizes that go with the picture.

    *Encode prompt* works with SDXL too: it gives both encoders the same prompt, and takes the sizes from the latent.
    The refiner has the large encoder alone, which reads its own prompt only.
    """
    from diffusion.text.encode import encode

    return encode(
        context.residency.clip(clip),
        text_l,
        large=text_g,
        width=width,
        height=height,
        crop_w=crop_w,
        crop_h=crop_h,
        target_width=target_width,
        target_height=target_height,
    )


@node(title="Encode prompt (SDXL refiner)", category="conditioning")
def CLIPTextEncodeSDXLRefiner(
    context: Context,
    ascore: Annotated[
        float,
        Range(0.0, 1000.0, 0.01),
        Label("aesthetic score"),
        Help("How pleasing the picture should be: 6 for the positive prompt, about 2.5 for the negative."),
    ] = 6.0,
    width: Annotated[int, Range(0, _MAX), Help("The width that the training picture would have had.")] = 1024,
    height: Annotated[int, Range(0, _MAX), Help("Its height.")] = 1024,
    text: Annotated[
        str, Multiline(), _EMBEDDINGS, Help("What the picture should show, or, for the negative side, not.")
    ] = "",
    *,
    clip: Annotated[ClipRef, Help("The text encoder of an SDXL refiner checkpoint.")],
) -> Conditioning:
    """Encodes a prompt for the SDXL refiner, with the score and the size it can be told."""
    from diffusion.text.encode import encode

    return encode(context.residency.clip(clip), text, aesthetic_score=ascore, width=width, height=height)


@node(title="Set last CLIP layer", category="conditioning")
def CLIPSetLastLayer(
    clip: ClipRef,
    stop_at_clip_layer: Annotated[
        int, Range(-24, -1), Label("stop at layer"), Help("From the end: -1 is the last layer, -2 the one before it.")
    ] = -1,
) -> ClipRef:
    """Reads prompts at an earlier layer of the text encoder (CLIP skip). Many models of drawings were trained at -2.

    Stable Diffusion 1 reads the last layer unless told otherwise, Stable Diffusion 2 and SDXL the one before it.
    """
    return replace(clip, stop_at_layer=stop_at_clip_layer)
