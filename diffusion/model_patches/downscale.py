"""Deep shrink (Kohya 2023): for the first part of a run the inner layers work on a smaller picture, so that a picture
larger than the model was trained on is still composed as one."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn

from diffusion.errors import DiffusionError
from diffusion.latents import scaled
from diffusion.model_options import DownscaleOption
from diffusion.model_patches.hooks import After, Before, first_input, hooked, with_first
from diffusion.model_patches.layout import input_blocks, middle, output_blocks
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.run_patches import PassInfo, RunPatch


class Downscale(RunPatch):
    """Shrinks the hidden state at one input block, before or behind its skip, and brings it back to the size of the
    next skip wherever the two differ on the way up."""

    def __init__(self, unet: nn.Module, levels: DiscreteSchedule, option: DownscaleOption) -> None:
        self._option = option
        self._start = levels.percent_to_sigma(option.start_percent)
        self._end = levels.percent_to_sigma(option.end_percent)
        self._down, self._up, self._middle = input_blocks(unet), output_blocks(unet), middle(unet)
        self._entrance = self._middle.get_submodule("resnets.0")
        if option.block_number >= len(self._down):
            raise DiffusionError(
                f"The model has no input block {option.block_number}; its last is {len(self._down) - 1}.",
                input="block_number",
                code="bad_option",
            )

    def during(self, call: PassInfo) -> AbstractContextManager[object]:
        if not self._end <= call.sigma <= self._start:
            return nullcontext()
        number, skips = self._option.block_number, list[tuple[int, int]]()

        def shrink(x: Tensor) -> Tensor:
            height, width = (round(side * (1.0 / self._option.downscale_factor)) for side in x.shape[-2:])
            return _resized(x, max(height, 1), max(width, 1), self._option.downscale_method)

        def enter(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]):
            name = "input_tensor" if not args and "input_tensor" in kwargs else "hidden_states"
            value = shrink(first_input(args, kwargs, name))
            return with_first(args, kwargs, value) if args else (args, {**kwargs, name: value})

        def leave(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
            del args, kwargs
            return _replaced(output, shrink(_tensor(output)))

        def remember(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            del args, kwargs
            height, width = _tensor(output).shape[-2:]
            skips.append((height, width))

        def grow(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
            """Fit the hidden state to the skip that is joined to it next."""
            del args, kwargs
            x = _tensor(output)
            height, width = skips.pop()
            return None if x.shape[-2] == height else _replaced(output, self._grown(x, height, width))

        def upsample(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]):
            return args[:1], {**kwargs, "output_size": skips.pop()}

        before: list[tuple[nn.Module, Before]] = []
        after: list[tuple[nn.Module, After]] = []
        if self._option.downscale_after_skip:
            after_it = self._down[number + 1].first if number + 1 < len(self._down) else self._entrance
            before.append((after_it, enter))
        else:
            after.append((self._down[number].last, leave))
        after += [(block.last, remember) for block in self._down]
        after.append((self._middle, grow))
        for block in self._up[:-1]:
            if block.upsampler is not None:
                before.append((block.upsampler, upsample))
            else:
                after.append((block.last, grow))
        return hooked(before, after)

    def _grown(self, x: Tensor, height: int, width: int) -> Tensor:
        return _resized(x, height, width, self._option.upscale_method)


def _resized(x: Tensor, height: int, width: int, method: str) -> Tensor:
    return scaled(x.float(), width, height, method).to(x.dtype)


def _tensor(output: Any) -> Tensor:
    """The hidden state in what a module gives: a tensor, or a tuple that begins with one."""
    return output[0] if isinstance(output, tuple) else output


def _replaced(output: Any, value: Tensor) -> Any:
    return (value, *output[1:]) if isinstance(output, tuple) else value
