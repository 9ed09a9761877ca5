"""Where the weights of a module wait when they leave a GPU: in pinned memory, from which they are back in no time."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion.memory import Meter


class Parking:
    """The weights of one module that wait, by name. `meter` counts those of all modules, and limits them; without one
    nothing is kept."""

    def __init__(self, meter: Meter | None) -> None:
        self._meter = meter
        self._waiting: dict[str, Tensor] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._waiting

    @property
    def room(self) -> int:
        """Bytes that could still be kept."""
        return 0 if self._meter is None else max(0, self._meter.room)

    @property
    def exists(self) -> bool:
        """Whether anything is ever kept."""
        return self._meter is not None

    def get(self, name: str) -> Tensor | None:
        return self._waiting.get(name)

    def keep(self, name: str, value: Tensor) -> Tensor | None:
        """A copy of a weight, kept from now on; None when there is no room for it."""
        size = value.numel() * value.element_size()
        if self._meter is None or self._meter.room < size:
            return None
        self._meter.take(size)
        copy = torch.empty(value.shape, dtype=value.dtype, pin_memory=torch.cuda.is_available())
        self._waiting[name] = copy.copy_(value)
        return self._waiting[name]

    def clear(self) -> None:
        """Let go of everything; it will be read from its file again."""
        if self._meter is not None:
            self._meter.give(sum(each.numel() * each.element_size() for each in self._waiting.values()))
        self._waiting.clear()
