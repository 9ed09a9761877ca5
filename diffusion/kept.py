"""Keeps the models last used within a budget of memory: what has not been used for longest goes first.

When memory runs out all the same, everything that is idle goes, then the running model's own weights, block by block.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import nn

from diffusion.held import HeldWeights, held_by
from diffusion.memory import Meter, OutOfMemory, collect, is_out_of_memory, trim


class Component(Protocol):
    """A part of a model with its weights; one that can be held block by block has a `module`."""

    @property
    def bytes(self) -> int:
        """The size of its weights."""
        ...


L = TypeVar("L", bound=Component)


@dataclass(slots=True)
class LoadCounts:
    """How often each kind of component was read from its file, and weights were patched."""

    unet: int = 0
    clip: int = 0
    vae: int = 0
    lora: int = 0
    control: int = 0
    upscaler: int = 0
    safety: int = 0
    patched: int = 0


@dataclass(slots=True)
class _Slot:
    component: Component
    held: HeldWeights | None
    counter: str
    size: int = 0
    """Bytes of a component that is not divided into blocks."""
    counted: bool = False


class KeptModels:
    """The components of models on one device, by what they were loaded for."""

    def __init__(self, device: torch.device, meter: Meter) -> None:
        """`meter` counts, and limits, the bytes of all weights on the device."""
        self.device = device
        self.meter = meter
        self.loads = LoadCounts()
        self._slots: OrderedDict[object, _Slot] = OrderedDict()

    def free(self) -> None:
        """Forget every loaded model and hand its memory back."""
        for key in list(self._slots):
            self._forget(key)
        collect(self.device)

    def get(self, key: object, make: Callable[[], L], kind: type[L], counter: str, hold: bool = True) -> L:
        """What is kept under a key, or else what `make` gives, with its weights in memory as far as they fit."""
        slot = self._slots.get(key)
        if slot is None:
            component = make()
            module = getattr(component, "module", None)
            slot = _Slot(component, held_by(module) if module is not None else None, counter)
            self._slots[key] = slot
            if slot.held is None:
                slot.size = component.bytes
                self._make_room(slot.size, key)
                self.meter.take(slot.size)
                self._count(slot)
        self._slots.move_to_end(key)
        if hold and slot.held is not None and not slot.held.whole:
            before = slot.held.read
            self._make_room(slot.held.missing, key)
            if not slot.held.on_use:
                self._bring_in(slot.held, key)
            if slot.held.read > before or not slot.counted:
                self._count(slot)
        component = slot.component
        assert isinstance(component, kind)
        return component

    def _count(self, slot: _Slot) -> None:
        slot.counted = True
        setattr(self.loads, slot.counter, getattr(self.loads, slot.counter) + 1)

    def _bring_in(self, held: HeldWeights, key: object) -> None:
        """Bring in the weights of a model, as many as the budget and the device have room for."""
        trim()
        passing = max((slot.held.passing for slot in self._others(key) if slot.held is not None), default=0)
        room = self.meter.room - passing
        while True:
            try:
                return held.hold(room)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            if any(slot.held is None or slot.held.bytes for slot in self._others(key)):
                for other in [each for each in self._slots if each != key]:
                    self._put_away(other, self._slots[key].held)
            elif room > 0:
                room = held.bytes // 2
                held.drop()
            else:
                raise OutOfMemory(
                    f"The {held.size / 2**30:.1f} GiB of this model do not fit into memory, not even block by block.",
                    hint="Close other programs, or use a smaller model.",
                )
            collect(self.device)

    def _make_room(self, wanted: int, key: object) -> None:
        """Let go of what was not used for longest until `wanted` bytes fit, if they can."""
        dropped = False
        for other in [each for each in self._slots if each != key]:
            passing = max((slot.held.passing for slot in self._others(key) if slot.held is not None), default=0)
            excess = self.meter.now + wanted + passing - self.meter.limit
            if excess <= 0:
                break
            slot = self._slots[other]
            dropped = True
            if slot.held is None or slot.held.bytes <= excess:
                self._put_away(other, self._slots[key].held)
            else:
                slot.held.drop(excess)
        if dropped:
            collect(self.device)

    def _others(self, key: object) -> list[_Slot]:
        return [slot for other, slot in self._slots.items() if other != key]

    def _put_away(self, key: object, wanted: HeldWeights | None) -> None:
        """Move a component off a GPU to wait in pinned memory, or else forget it. What is `wanted` now is not moved out
        of its way."""
        held = self._slots[key].held
        if held is None or not held.parking.exists:
            self._forget(key)
            return
        for older in self._slots.values():
            if held.parking.room >= held.bytes:
                break
            if older.held is not None and older.held not in (held, wanted):
                older.held.parking.clear()
        held.drop()

    def _forget(self, key: object) -> None:
        slot = self._slots.pop(key)
        if slot.held is None:
            self.meter.give(slot.size)
        else:
            slot.held.forget()

    def relieve(self, module: nn.Module) -> bool:
        """Give a running model more room: first at the cost of all others, then of its own weights. False when nothing
        is left to move."""
        held = held_by(module)
        idle = [
            key for key, slot in self._slots.items() if slot.held is None or (slot.held is not held and slot.held.bytes)
        ]
        for key in idle:
            self._put_away(key, held)
        freed = bool(idle) or held.drop(max(1, held.bytes // 2)) > 0
        collect(self.device)
        return freed
