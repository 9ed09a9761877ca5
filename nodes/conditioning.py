"""Nodes that turn prompts into what guides the sampler."""

from __future__ import annotations

from typing import Annotated

from diffusion.values import ClipRef, Conditioning
from nodes.sdk import Context, Help, Multiline, node


@node(title="Encode prompt", category="conditioning")
def CLIPTextEncode(
    context: Context,
    text: Annotated[str, Multiline(), Help("What the picture should show, or, for the negative side, should not.")],
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
