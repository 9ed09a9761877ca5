"""The node that hides pictures which a safety checker flags. Nothing is checked unless a workflow has it."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from diffusion.errors import blaming
from nodes.sdk import Context, Help, Image, Label, ModelFile, node


class Checked(NamedTuple):
    IMAGE: Image
    flagged: int


@node(title="Safety check", category="image")
def SafetyCheck(
    context: Context,
    images: Annotated[Image, Help("One picture or a batch.")],
    safety_checker: Annotated[
        str,
        ModelFile("safety_checker"),
        Label("checker"),
        Help("A file from models/safety_checker: the safety checker that came with Stable Diffusion 1."),
    ],
    action: Annotated[Literal["blur", "black"], Help("What to do with a picture that is flagged.")] = "blur",
) -> Checked:
    """Hides pictures that a safety checker takes for unfit to be seen by all: they are blurred beyond recognition, or
    made black. `flagged` says how many.

    Such checkers err on both sides. Put this before *Save picture*; without it, nothing is checked.
    """
    import torch

    from diffusion.safety import blurred

    with blaming("safety_checker"):
        checker = context.residency.safety(context.model_file("safety_checker", safety_checker))
    flags: list[bool] = []
    shown: list[torch.Tensor] = []
    for index, image in enumerate(images):
        context.check_cancelled()
        flags += checker.flags(image[None])
        hidden = torch.zeros_like(image) if action == "black" else blurred(image)
        shown.append(hidden if flags[-1] else image)
        context.progress(index + 1, len(images))
    return Checked(torch.stack(shown), sum(flags))
