"""The weights of one module: which of them are in memory, and where the others come from when they are needed.

A module is divided into blocks that run one after another. A block that is held keeps its weights on the device; any
other brings them in when it is called and lets them go when it returns, so a model runs in less memory than it has
weights, with the same numbers. Weights that leave a GPU wait in pinned memory, those that leave a CPU in their file.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn

from diffusion.blocks import divide
from diffusion.packing import plain
from diffusion.parking import Parking
from diffusion.placing import Place, Placing
from diffusion.threaded import by_threads

Read = Callable[[], Tensor]
"""Makes a weight from where it is stored: any type, on the CPU or the device, in its usual order."""


@dataclass(slots=True, eq=False)
class _Block:
    module: nn.Module
    names: tuple[str, ...]
    size: int
    held: bool = False
    ahead: Ahead | None = None
    hooks: list[Any] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Ahead:
    """Weights on their way to a GPU while it still computes the block before."""

    weights: dict[str, Tensor]
    event: Any


class HeldWeights:
    """The weights of a module whose parameters have none yet (they are on the meta device)."""

    def __init__(
        self,
        module: nn.Module,
        reads: Mapping[str, Read],
        place: Place,
        *,
        base: HeldWeights | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        """`reads` makes each weight that the module has of its own. Others are those of `base`, and are shared while it
        holds them. `close` lets go of the files that `reads` opened."""
        self.module = module
        self.device = place.device
        self.dtype = place.dtype
        self._place = place
        self._reads = reads
        self._meter = place.meter
        self.parking = Parking(place.parking)
        self._close = close
        self._base = base
        self._sharers: WeakSet[HeldWeights] = WeakSet()
        if base is not None:
            base._sharers.add(self)
        self._on_release: list[Callable[[], None]] = []
        self.read = 0
        """How many weights were made from where they are stored, so far."""
        self._counting = Lock()
        self._counted: dict[str, int] = {}
        self._placing = Placing(module, place)
        named = (name for name, _ in module.named_parameters() if base is not None or name in reads)
        self._sizes = {name: self._placing.size(name) for name in named}
        self._blocks = [
            _Block(each, names, sum(self._sizes[name] for name in names)) for each, names in divide(module, self._sizes)
        ]
        self._block_of = {name: block for block in self._blocks for name in block.names}
        self._side = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        module.__dict__["held_weights"] = self
        for name in self._sizes:
            self._unset(name)
        for block in self._blocks:
            self._stream(block)

    @property
    def bytes(self) -> int:
        """Bytes on the device now, those shared with a base left out."""
        return sum(self._counted.values())

    @property
    def size(self) -> int:
        """Bytes of all weights, shared or not."""
        return sum(self._sizes.values())

    @property
    def own(self) -> int:
        """Bytes of the weights that are shared with no base."""
        return sum(self._sizes[name] for name in self._reads)

    @property
    def missing(self) -> int:
        """Bytes that holding everything would take."""
        return sum(self._cost(block) for block in self._blocks if not block.held)

    @property
    def whole(self) -> bool:
        return all(block.held for block in self._blocks)

    @property
    def on_use(self) -> bool:
        """Whether blocks are brought in when they first run, and not by `hold`."""
        return self._place.on_use

    @property
    def passing(self) -> int:
        """The most bytes that blocks which are not held take while they run."""
        largest = max((block.size for block in self._blocks if not block.held), default=0)
        return largest * (2 if self._side is not None else 1)

    @torch.no_grad()
    def hold(self, room: int) -> None:
        """Bring in all weights, or, where they take more than `room` bytes, as many blocks as leave room for the
        others to pass through."""
        try:
            while not self.whole:
                spare = room - (0 if self.missing <= room else self.passing)
                fitting: list[_Block] = []
                for block in self._blocks:
                    cost = self._cost(block)
                    if not block.held and cost <= spare:
                        spare -= cost
                        room -= cost
                        fitting.append(block)
                if not fitting:
                    break
                self._keep(fitting)
        finally:
            self._placing.finish()
            self._close()

    def drop(self, enough: int | None = None) -> int:
        """Let go of at least `enough` bytes, the blocks that run last first; of all by default. Returns how many.

        What shares a block lets go of its own of that block too.
        """
        freed = 0
        for block in self._blocks:
            if block.ahead is not None:
                freed += sum(self._give(name) for name in block.ahead.weights)
                block.ahead = None
        for index in reversed(range(len(self._blocks))):
            if enough is not None and freed >= enough:
                break
            for each in (*self._sharers, self):
                if each._blocks[index].held:
                    freed += each._release(each._blocks[index])
        return freed

    def copy(self, reads: Mapping[str, Read]) -> Any:
        """A copy of the module that shares all weights but those that `reads` makes."""
        module = self.twin()
        HeldWeights(module, reads, self._place, base=self)
        return module

    def twin(self) -> Any:
        """A copy of the module around the weights that it has now. It does not follow when they come or go."""
        hooks = {hook.id for block in self._blocks for hook in block.hooks}
        kept: dict[int, object] = {id(each): each for each in (*self.module.parameters(), *self.module.buffers())}
        module = copy.deepcopy(self.module, {**kept, id(self): None})
        for each in module.modules():
            for found in (each._forward_pre_hooks, each._forward_hooks, each._forward_hooks_always_called):
                for hook in hooks & found.keys():
                    del found[hook]
        return module

    def on_release(self, call: Callable[[], None]) -> None:
        """Have something called whenever weights are about to leave the device."""
        self._on_release.append(call)

    def forget(self) -> None:
        """Let go of all weights, those that wait in pinned memory too."""
        self.parking.clear()
        self.parking = Parking(None)
        self.drop()

    def weight(self, name: str) -> Tensor:
        """One weight in its usual order and computing type, wherever it lies now."""
        there = self.module.get_parameter(name)
        return plain(there.detach()).to(self.dtype) if not there.is_meta else self._made(name)

    def _stay(self, block: _Block) -> None:
        for hook in block.hooks:
            hook.remove()
        block.hooks.clear()
        block.held = True

    def _keep(self, blocks: Sequence[_Block]) -> None:
        """Hold blocks. When one of their weights can't be made, those that lack none are held all the same."""
        for block in blocks:
            self._stay(block)
        own: list[str] = []
        for name in (name for block in blocks for name in block.names):
            shared = self._shared(name)
            if shared is None:
                own.append(name)
            else:
                self._set(name, shared)
        # Patches compute with all of torch's threads, and a GPU has its own way with memory.
        alone = self._base is None and self.device.type == "cpu"
        try:
            for name, value in zip(own, by_threads(self._kept, own) if alone else map(self._kept, own), strict=True):
                self._count(name)
                self._set(name, nn.Parameter(value, requires_grad=False))
        except BaseException:
            for block in blocks:
                if any(self.module.get_parameter(name).is_meta for name in block.names):
                    self._release(block)
            raise

    def _release(self, block: _Block) -> int:
        for call in self._on_release:
            call()
        freed = sum(self._counted.get(name, 0) for name in block.names)
        for name in block.names:
            if name in self._counted and name not in self.parking:
                self.parking.keep(name, self.module.get_parameter(name).detach())
            self._unset(name)
        block.held = False
        self._stream(block)
        return freed

    def _stream(self, block: _Block) -> None:
        """Let a block bring in its weights whenever it is called."""

        def enter(module: nn.Module, args: Any) -> None:
            del module, args
            self._enter(block)

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            del module, args, output
            if self._place.on_use and self._meter.room >= self.passing:
                self._stay(block)
                self._close()
                return
            for name in block.names:
                self._unset(name)

        block.hooks = [
            block.module.register_forward_pre_hook(enter),
            block.module.register_forward_hook(leave, always_call=True),
        ]

    def _enter(self, block: _Block) -> None:
        ahead, block.ahead = block.ahead, None
        if ahead is not None:
            torch.cuda.current_stream(self.device).wait_event(ahead.event)
        for name in block.names:
            shared = self._shared(name)
            if shared is None:
                value = ahead.weights[name] if ahead is not None else self._brought(name)
                if ahead is None:
                    self._count(name)
                else:
                    value.record_stream(torch.cuda.current_stream(self.device))
                shared = nn.Parameter(value, requires_grad=False)
            self._set(name, shared)
        if self._side is not None:
            self._send_ahead(block)

    def _send_ahead(self, block: _Block) -> None:
        """Start the transfer of the block that runs after this one."""
        assert self._side is not None
        place = self._blocks.index(block)
        following = next((each for each in self._blocks[place + 1 :] if not each.held), None)
        if following is None or following.ahead is not None:
            return
        with torch.cuda.stream(self._side):
            weights: dict[str, Tensor] = {}
            for name in following.names:
                if self._shared(name) is None:
                    self._count(name)
                    weights[name] = self._brought(name)
            event = torch.cuda.Event()
            event.record(self._side)
        following.ahead = Ahead(weights, event)

    def _brought(self, name: str) -> Tensor:
        """A weight for a block that is not held; on its first way to a GPU it is parked."""
        parked = self.parking.get(name)
        if parked is None:
            made = self._made(name)
            parked = self.parking.keep(name, made)
            if parked is None:
                return self._placing.passing(made)
        return self._placing.passing(parked)

    def _made(self, name: str) -> Tensor:
        return self._stored(name).to(self.dtype)

    def _stored(self, name: str) -> Tensor:
        parked = self.parking.get(name)
        if parked is not None:
            return parked
        read = self._reads.get(name)
        if read is not None:
            with self._counting:
                self.read += 1
            return read()
        assert self._base is not None
        return self._base.weight(name)

    def _kept(self, name: str) -> Tensor:
        return self._placing.held(name, self._stored(name))

    def _cost(self, block: _Block) -> int:
        return sum(self._sizes[name] for name in block.names if self._shared(name) is None)

    def _shared(self, name: str) -> nn.Parameter | None:
        """The parameter that a base holds and this module uses as well."""
        if self._base is None or name in self._reads or not self._base._block_of[name].held:
            return None
        return self._base.module.get_parameter(name)

    def _count(self, name: str) -> None:
        self._counted[name] = self._sizes[name]
        self._meter.take(self._sizes[name])

    def _set(self, name: str, value: nn.Parameter) -> None:
        path, _, leaf = name.rpartition(".")
        self.module.get_submodule(path)._parameters[leaf] = value

    def _unset(self, name: str) -> None:
        path, _, leaf = name.rpartition(".")
        parameters = self.module.get_submodule(path)._parameters
        value = parameters[leaf]
        if value is not None and not value.is_meta:
            parameters[leaf] = nn.Parameter(torch.empty(value.shape, dtype=self.dtype, device="meta"), False)
        self._give(name)

    def _give(self, name: str) -> int:
        size = self._counted.pop(name, 0)
        self._meter.give(size)
        return size


def held_by(module: nn.Module) -> HeldWeights:
    """The weights of a module that was given some."""
    found = module.__dict__["held_weights"]
    assert isinstance(found, HeldWeights)
    return found
