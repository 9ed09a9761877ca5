"""Nodes that guide a picture by another: edges, depth, a pose."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

from diffusion.values import Conditioning, ControlNetRef, ControlUse, ModelRef, VaeRef
from nodes.sdk import Context, Help, Image, Label, ModelFile, NodeError, Range, node

_NET = Help("A ControlNet or T2I-Adapter of the model's family.")
_IMAGE = Help("What to follow, as the network was trained to see it: edges, a depth map, a pose.")
_STRENGTH = Help("How strongly it is followed: 0 not at all, 1 as trained.")


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
    read. A T2I-Adapter is smaller and faster, as it looks at the picture only once.
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
    strength: Annotated[float, Range(0.0, 10.0, 0.01), _STRENGTH] = 1.0,
    start_percent: Annotated[
        float, Range(0.0, 1.0, 0.001), Help("From which part of the sampling on: 0 is the start.")
    ] = 0.0,
    end_percent: Annotated[
        float, Range(0.0, 1.0, 0.001), Help("Up to which part of the sampling: 1 is the end.")
    ] = 1.0,
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
    return Controlled(_with(positive, use), _with(negative, use))


@node(title="Apply ControlNet (simple)", category="conditioning")
def ControlNetApply(
    conditioning: Annotated[Conditioning, Help("The prompt that is to follow the picture.")],
    control_net: Annotated[ControlNetRef, _NET],
    image: Annotated[Image, _IMAGE],
    strength: Annotated[float, Range(0.0, 10.0, 0.01), _STRENGTH] = 1.0,
) -> Conditioning:
    """Makes a prompt follow a picture through a ControlNet, and the negative prompt beside it as well.

    *Apply ControlNet* does the same for both sides, and can be limited to a part of the sampling.
    """
    _check(strength=strength)
    if not strength:
        return conditioning
    return _with(conditioning, ControlUse(control_net, image, strength), control_both=True)


def _opened(context: Context, name: str, model: ModelRef | None) -> ControlNetRef:
    """Find out what a file holds, so that a wrong one is refused here. `model` is what a difference is added to, and
    counts only for a file that is one."""
    from diffusion.control.architecture import ControlConfig
    from diffusion.errors import DiffusionError

    ref = ControlNetRef(context.model_file("controlnet", name))
    try:
        found = context.residency.describe_control(ref)
    except DiffusionError as error:
        error.input = error.input or "control_net_name"
        raise
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
