"""Deep shrink (Kohya 2023): for the first part of a run the inner layers work on a smaller picture, so that a picture
larger than the model was trained on is still composed as one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor, nn

from diffusion.latents import scaled
from diffusion.model_options import DownscaleOption
from diffusion.model_patches.hooks import After, Before, before_skips, changing_input, changing_output, hooked
from diffusion.model_patches.layout import down_stages, input_blocks, middle, output_blocks
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.run_patches import PassInfo, RunPatch


class Downscale(RunPatch):
    """Shrinks the hidden state at one input block, before or behind its skip, and brings it back to the size of the
    next skip wherever the two differ on the way up, as long as the run lasts. A block beyond the last is none."""

    def __init__(self, unet: nn.Module, levels: DiscreteSchedule, option: DownscaleOption) -> None:
        self._option = option
        self._start = levels.percent_to_sigma(option.start_percent)
        self._end = levels.percent_to_sigma(option.end_percent)
        self._down, self._up, self._stages = input_blocks(unet), output_blocks(unet), down_stages(unet)
        inside = middle(unet)
        entrance = self._up[0].stage if inside is None else inside.get_submodule("resnets.0")
        assert entrance is not None
        self._readers = [*(block.first for block in self._down[1:]), entrance]

    def during(self, call: PassInfo) -> AbstractContextManager[object]:
        skips = list[tuple[int, int]]()

        def begin(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
            del args, kwargs
            skips[:] = [_size(output)]

        def collect(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            """The sizes of a stage's skips, after all that its blocks' hooks did to them."""
            del args, kwargs
            skips.extend(_size(each) for each in output[1])

        def grow(number: int, x: Tensor) -> Tensor | None:
            height, width = skips[-1 - number]
            return None if x.shape[-2] == height else _resized(x, height, width, self._option.upscale_method)

        before, after = before_skips(self._up, grow)
        after += [(self._down[0].last, begin), *((stage, collect) for stage in self._stages)]
        for number, block in enumerate(self._up[:-1]):
            if block.upsampler is not None:

                def upsample(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], number: int = number):
                    return args[:1], {**kwargs, "output_size": skips[-2 - number]}

                before.append((block.upsampler, upsample))
        shrinking = self._shrinking(call.sigma)
        return hooked([*shrinking[0], *before], [*shrinking[1], *after])

    def _shrinking(self, sigma: float) -> tuple[list[tuple[nn.Module, Before]], list[tuple[nn.Module, After]]]:
        option = self._option
        number = option.block_number
        if not self._end <= sigma <= self._start or number >= len(self._down):
            return [], []

        def shrink(x: Tensor) -> Tensor:
            height, width = (round(side * (1.0 / option.downscale_factor)) for side in x.shape[-2:])
            return _resized(x, max(height, 1), max(width, 1), option.downscale_method)

        if option.downscale_after_skip:
            return [(self._readers[number], changing_input(shrink))], []
        return [], [(self._down[number].last, changing_output(shrink))]


def _resized(x: Tensor, height: int, width: int, method: str) -> Tensor:
    return scaled(x.float(), width, height, method).to(x.dtype)


def _size(x: Tensor) -> tuple[int, int]:
    return int(x.shape[-2]), int(x.shape[-1])
