"""Nodes that guide a picture by another: edges, depth, a pose."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

from diffusion.errors import blaming
from diffusion.values import ClipRef, CondEntry, Conditioning, ControlNetRef, ControlUse, ModelRef, VaeRef
from nodes.sdk import Context, Help, Image, Label, Mentions, ModelFile, Multiline, NodeError, Range, node

_NET = Help("A ControlNet, Control-LoRA or T2I-Adapter of the model's family.")
_IMAGE = Help("What to follow, as the network was trained to see it: edges, a depth map, a pose.")

Strength = Annotated[float, Range(0.0, 10.0, 0.01), Help("How strongly it is followed: 0 not at all, 1 as trained.")]
From = Annotated[float, Range(0.0, 1.0, 0.001), Help("From which part of the sampling on: 0 is the start.")]
To = Annotated[float, Range(0.0, 1.0, 0.001), Help("Up to which part of the sampling: 1 is the end.")]


class Controlled(NamedTuple):
    positive: Conditioning
    negative: Conditioning


@node(title="Load ControlNet", category="loaders")
def ControlNetLoader(
    context: Context,
    control_net_name: Annotated[
        str,
        ModelFile("controlnet"),
        Label("ControlNet"),
        Help("A ControlNet file from models/controlnet or models/t2i_adapter."),
    ],
) -> ControlNetRef:
    """Opens a ControlNet or a T2I-Adapter: a network that makes pictures follow another one's edges, depth or poses.

    It must be of the same family as the model that samples. Files in the original layout and in that of diffusers are
    read. A T2I-Adapter is smaller and faster, as it looks at the picture only once; a Control-LoRA is small as it makes
    the network of the model that samples.
    """
    return _opened(context, control_net_name, None)


@node(title="Load ControlNet (difference)", category="loaders")
def DiffControlNetLoader(
    context: Context,
    model: Annotated[ModelRef, Help("The model that the ControlNet was made from, which will sample.")],
    control_net_name: Annotated[
        str, ModelFile("controlnet"), Label("ControlNet"), Help("A file from models/controlnet.")
    ],
) -> ControlNetRef:
    """Opens a ControlNet that is stored as the difference to its model, and adds the model's weights to it. Other files
    are opened as *Load ControlNet* does."""
    return _opened(context, control_net_name, model)


@node(title="Set kind of picture (union)", category="conditioning")
def SetUnionControlNetType(
    control_net: Annotated[ControlNetRef, Help("A ControlNet union, such as ControlNet++ promax for SDXL.")],
    type: Annotated[
        Literal[
            "auto",
            "openpose",
            "depth",
            "hed/pidi/scribble/ted",
            "canny/lineart/anime_lineart/mlsd",
            "normal",
            "segment",
            "tile",
            "repaint",
        ],
        Label("kind"),
        Help("What the picture shows. auto leaves it to the network."),
    ] = "auto",
) -> ControlNetRef:
    """Tells a ControlNet union, which follows many kinds of pictures, what kind it is given. Others take no notice."""
    from diffusion.control.union import TASKS

    return replace(control_net, task=TASKS.get(type))


@node(title="Apply ControlNet", category="conditioning")
def ControlNetApplyAdvanced(
    positive: Annotated[Conditioning, Help("What the picture should show.")],
    negative: Annotated[Conditioning, Help("What the picture should not show.")],
    control_net: Annotated[ControlNetRef, _NET],
    image: Annotated[Image, _IMAGE],
    strength: Strength = 1.0,
    start_percent: From = 0.0,
    end_percent: To = 1.0,
    vae: Annotated[VaeRef | None, Help("Not needed by the ControlNets of Stable Diffusion 1, 2 and XL.")] = None,
) -> Controlled:
    """Makes both prompts follow a picture through a ControlNet, for a part of the sampling.

    Several can be applied one after another; what they add is summed. The picture is cut evenly to the proportions of
    the latent and scaled to it.
    """
    del vae
    _check(strength=strength, start_percent=start_percent, end_percent=end_percent)
    if not strength:
        return Controlled(positive, negative)
    use = ControlUse(control_net, image, strength, start_percent, end_percent)
    # Neither side shares any more what a simple node before this one gave it.
    return Controlled(_with(positive, use, control_both=False), _with(negative, use, control_both=False))


@node(title="Apply ControlNet (SD3)", category="conditioning")
def ControlNetApplySD3(
    positive: Annotated[Conditioning, Help("What the picture should show.")],
    negative: Annotated[Conditioning, Help("What the picture should not show.")],
    control_net: Annotated[ControlNetRef, _NET],
    vae: Annotated[VaeRef | None, Help("Not needed by the ControlNets of Stable Diffusion 1, 2 and XL.")] = None,
    *,
    image: Annotated[Image, _IMAGE],
    strength: Strength = 1.0,
    start_percent: From = 0.0,
    end_percent: To = 1.0,
) -> Controlled:
    """Does the same as *Apply ControlNet*, which took its place: workflows for a model with a ControlNet that reads
    latents were made with it."""
    return ControlNetApplyAdvanced(positive, negative, control_net, image, strength, start_percent, end_percent, vae)


@node(title="Apply ControlNet (simple)", category="conditioning")
def ControlNetApply(
    conditioning: Annotated[Conditioning, Help("The prompt that is to follow the picture.")],
    control_net: Annotated[ControlNetRef, _NET],
    image: Annotated[Image, _IMAGE],
    strength: Strength = 1.0,
) -> Conditioning:
    """Makes a prompt follow a picture through a ControlNet, and the negative prompt beside it as well.

    *Apply ControlNet* does the same for both sides, and can be limited to a part of the sampling.
    """
    _check(strength=strength)
    if not strength:
        return conditioning
    return _with(conditioning, ControlUse(control_net, image, strength), control_both=True)


@node(title="Encode prompt (ControlNet)", category="conditioning")
def CLIPTextEncodeControlnet(
    context: Context,
    clip: Annotated[ClipRef, Help("The text encoder of the checkpoint.")],
    conditioning: Annotated[Conditioning, Help("The prompt that the model itself reads.")],
    text: Annotated[str, Multiline(), Mentions("embeddings"), Help("What the ControlNets of that prompt read.")],
) -> Conditioning:
    """Gives the ControlNets of a prompt another text to read, such as none, while the model reads the prompt itself."""
    from diffusion.control.uses import PROMPT
    from diffusion.text.encode import encode

    (read,) = encode(context.residency.clip(clip), text).entries
    return Conditioning(
        tuple(
            CondEntry(each.embedding, each.pooled, {**each.options, PROMPT: read.embedding})
            for each in conditioning.entries
        )
    )


def _opened(context: Context, name: str, model: ModelRef | None) -> ControlNetRef:
    """Find out what a file holds, so that a wrong one is refused here. `model` is what a difference is added to, and
    counts only for a file that is one."""
    from diffusion.control.architecture import ControlConfig

    with blaming("control_net_name"):
        ref = ControlNetRef(context.model_file("controlnet", name))
        found = context.residency.describe_control(ref)
    if not isinstance(found, ControlConfig) or not found.difference:
        return ref
    if model is None:
        raise NodeError(
            f"{name} holds the difference of a ControlNet to its model.",
            input="control_net_name",
            code="wrong_control_net",
            hint="Load it with *Load ControlNet (difference)*, and connect the model.",
        )
    return replace(ref, model=replace(model, options=()))


def _with(conditioning: Conditioning, use: ControlUse, **options: object) -> Conditioning:
    """The same prompts, each with a further use of a control network."""
    from diffusion.control.uses import with_use

    return with_use(conditioning, use, **options)


def _check(**values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise NodeError(f"{name} is {value}.", input=name, code="not_finite", hint="Give an ordinary number.")
