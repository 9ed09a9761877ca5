"""Puts weights into the form in which their device and their layer compute with them: type, order and device."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from diffusion.conversion import Converter
from diffusion.memory import Meter
from diffusion.narrow import make_narrow, takes_narrow
from diffusion.packing import can_pack, make_packable, packable, packed


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where weights go, in what type, and what is counted: `meter` counts what is held on the device, `parking` counts
    and limits what waits in pinned memory, None where nothing should. `narrow` is a type that loses nothing and takes
    less memory, for layers that take it (`diffusion.narrow`); `packs` allows packed weights (`diffusion.packing`).
    With `on_use`, a block is brought in when it first runs, and not before.
    """

    device: torch.device
    dtype: torch.dtype
    meter: Meter = field(default_factory=lambda: Meter(2**62))
    parking: Meter | None = None
    narrow: torch.dtype | None = None
    packs: bool = True
    on_use: bool = False


class Placing:
    """The forms of one module's weights. Several threads may use it at once."""

    def __init__(self, module: nn.Module, place: Place) -> None:
        """Layers of the module are changed into ones that take packed or narrow weights, where the place wants them."""
        self._module = module
        self._place = place
        self._largest = max((each.numel() for each in module.parameters()), default=0)
        self._converters = threading.local()
        self._packs = place.packs and can_pack(place.device, place.dtype)
        if self._packs:
            make_packable(module)
        if place.narrow is not None:
            make_narrow(module, place.dtype)

    def size(self, name: str) -> int:
        """The bytes of a weight in the form in which it is held."""
        value = self._module.get_parameter(name)
        return value.numel() * (self._narrow(name) or self._place.dtype).itemsize

    def held(self, name: str, stored: Tensor) -> Tensor:
        """A weight for a block that is held, on the device and in the order in which its layer reads it best."""
        path, _, leaf = name.rpartition(".")
        layer, narrow = self._module.get_submodule(path), self._narrow(name)
        if narrow is not None:
            return stored.to(narrow, copy=True)
        if self._packs and packable(layer, leaf):
            return packed(layer, self._converted(stored))
        return self.passing(stored.to(self._place.dtype))

    def passing(self, value: Tensor) -> Tensor:
        """A weight in its computing type, on the device, for a block that it leaves again after one run."""
        value = value.to(device=self._place.device, non_blocking=True)
        if value.ndim == 4 and self._place.dtype != torch.float32:
            return value.contiguous(memory_format=torch.channels_last)
        return value

    def finish(self) -> None:
        """Let go of the memory that weights were converted in."""
        self._converters = threading.local()

    def _narrow(self, name: str) -> torch.dtype | None:
        path, _, leaf = name.rpartition(".")
        return self._place.narrow if takes_narrow(self._module.get_submodule(path), leaf) else None

    def _converted(self, stored: Tensor) -> Tensor:
        converter: Converter | None = getattr(self._converters, "own", None)
        if converter is None:
            converter = self._converters.own = Converter(self._place.dtype, self._largest)
        return converter(stored)
