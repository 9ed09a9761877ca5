"""Where things are in a U-Net of diffusers, by the numbering of the original latent diffusion code, which options use.

Input block 0 is the first convolution; each further one is a residual block with its attention, or a downsampler.
Output blocks are numbered from the middle up, one for each skip connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import nn


@dataclass(frozen=True, slots=True)
class InputBlock:
    """The first and the last module of a step on the way down; the output of the last is the skip."""

    first: nn.Module
    last: nn.Module


@dataclass(frozen=True, slots=True)
class OutputBlock:
    """A step on the way up: `resnet` reads the hidden state with a skip behind it, `last` gives the block's result, of
    `backbone` channels before the skip was joined; `upsampler` follows where a stage ends. `stage` is the stage that
    begins with it, None within one."""

    resnet: nn.Module
    last: nn.Module
    backbone: int
    upsampler: nn.Module | None
    stage: nn.Module | None


def input_blocks(unet: nn.Module) -> list[InputBlock]:
    """The steps on the way down, in order."""
    start = unet.get_submodule("conv_in")
    found = [InputBlock(start, start)]
    for stage in down_stages(unet):
        attentions = _list(stage, "attentions")
        for i, resnet in enumerate(_list(stage, "resnets")):
            found.append(InputBlock(resnet, attentions[i] if attentions else resnet))
        found += [InputBlock(each, each) for each in _list(stage, "downsamplers")]
    return found


def output_blocks(unet: nn.Module) -> list[OutputBlock]:
    """The steps on the way up, in order."""
    channels = _out_channels(_list(middle(unet) or down_stages(unet)[-1], "resnets")[-1])
    found: list[OutputBlock] = []
    for stage in _list(unet, "up_blocks"):
        attentions, resnets = _list(stage, "attentions"), _list(stage, "resnets")
        upsamplers = _list(stage, "upsamplers")
        for i, resnet in enumerate(resnets):
            upsampler = upsamplers[0] if upsamplers and i == len(resnets) - 1 else None
            last = attentions[i] if attentions else resnet
            found.append(OutputBlock(resnet, last, channels, upsampler, stage if i == 0 else None))
            channels = _out_channels(resnet)
    return found


def down_stages(unet: nn.Module) -> list[nn.Module]:
    """The levels of the way down; each gives the hidden state and its skips."""
    return _list(unet, "down_blocks")


def last_of_stage(stage: nn.Module) -> nn.Module:
    """The layer of a level of the way down whose result a T2I-Adapter adds to: the last attention, or else the last
    layer of all."""
    return (_list(stage, "attentions") or _list(stage, "downsamplers") or _list(stage, "resnets"))[-1]


def middle(unet: nn.Module) -> nn.Module | None:
    """The middle block; None in networks that were made smaller by leaving it out."""
    return cast("nn.Module | None", getattr(unet, "mid_block", None))


def middle_attentions(unet: nn.Module) -> list[nn.Module]:
    """The self-attentions of the middle block, in order."""
    found = middle(unet)
    return [] if found is None else _self_attentions(found)


def self_attentions(unet: nn.Module) -> list[nn.Module]:
    """Every self-attention of the network, in order."""
    return _self_attentions(unet)


def width(unet: nn.Module) -> int:
    """The channels of the first level."""
    return cast("int", cast("nn.Conv2d", unet.get_submodule("conv_in")).out_channels)


def _self_attentions(module: nn.Module) -> list[nn.Module]:
    return [each for name, each in module.named_modules() if name.split(".")[-1] == "attn1"]


def _list(module: nn.Module, name: str) -> list[nn.Module]:
    found = getattr(module, name, None)
    return list(cast("nn.ModuleList", found)) if found is not None else []


def _out_channels(resnet: nn.Module) -> int:
    return cast("int", cast("nn.Conv2d", resnet.get_submodule("conv2")).out_channels)
