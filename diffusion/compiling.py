"""Runs a network compiled where that is ready, and as it is until then, so that no picture waits for a compiler.

What repeats in a U-Net, its residual and transformer blocks, is compiled block by block: equal blocks share their code,
which takes a fraction of the time that the whole network would. One pass over inputs of some shape is then captured as
a CUDA graph, so that the processor has nothing left to do between kernels. Both happen in one background thread, on a
twin of the network that shares its weights; when weights leave the device, the twins that use them go.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from queue import SimpleQueue
from typing import Any, cast

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from diffusion.errors import BadDevice
from diffusion.held import held_by

log = logging.getLogger("latentgraph.compiling")

Inputs = Mapping[str, Any]
"""Keyword arguments of a network: tensors, tuples of tensors, or None."""
Run = Callable[[Inputs], Tensor]
Capture = Callable[[Run, Inputs], Run]
"""Makes of a way to run a network a faster one, for inputs of the shapes given."""

_REGIONS = (ResnetBlock2D, BasicTransformerBlock)
_SHAPES = 256
"""How many kinds of one block may be compiled; torch gives up after 8 of them otherwise."""
_WARM_UP = 3


def compile_regions(network: nn.Module) -> None:
    """Let the repeated blocks of a network compile when they first run."""
    for each in network.modules():
        if isinstance(each, _REGIONS):
            each.compile(fullgraph=True, dynamic=False)


def as_cuda_graph(run: Run, inputs: Inputs) -> Run:
    """A network's pass captured as a CUDA graph: replaying it copies the inputs in and a copy of the output out."""
    static = {name: _cloned(value) for name, value in inputs.items()}
    stream = torch.cuda.current_stream()
    for _ in range(_WARM_UP):
        run(static)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    # Another thread goes on making pictures, which the stricter modes would not allow.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        output = run(static)
    places = list(_tensors(static))

    def replay(given: Inputs) -> Tensor:
        for place, value in zip(places, _tensors(given), strict=True):
            place.copy_(value)
        graph.replay()
        return output.clone()

    return replay


def gpu_compiler(device: torch.device) -> Compiler:
    """What compiles networks for a GPU. Raises BadDevice for another device."""
    if device.type != "cuda":
        raise BadDevice(
            f"Networks are compiled for CUDA GPUs only, and this program computes on {device.type!r}.",
            hint="Start it without --compile: on a processor, compiled code is slower than what is used without.",
        )
    return Compiler(device)


class Compiler:
    """Compiles networks for one device, one after another."""

    def __init__(
        self,
        device: torch.device,
        compile: Callable[[nn.Module], None] = compile_regions,
        capture: Capture = as_cuda_graph,
    ) -> None:
        self._device = device
        self.compile = compile
        self._capture = capture
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def network(self, module: nn.Module) -> CompiledNetwork:
        """A network that runs compiled once that is ready."""
        return CompiledNetwork(module, self)

    def settle(self) -> None:
        """Wait until everything that was asked for is compiled."""
        done = threading.Event()
        self.start(done.set)
        done.wait()

    def start(self, job: Callable[[], None]) -> None:
        """Do something in the background, after what was asked for before."""
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="compiling", daemon=True)
            self._thread.start()

    def captured(self, network: nn.Module, inputs: Inputs) -> Run:
        """Compile a network for such inputs."""

        def run(given: Inputs) -> Tensor:
            return network(**given, return_dict=False)[0]

        with torch.inference_mode(), _many_shapes():
            if self._device.type != "cuda":
                found = self._capture(run, inputs)
                found(inputs)
                return found
            side = torch.cuda.Stream(self._device)
            side.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(side):
                found = self._capture(run, inputs)
            side.synchronize()
            return found

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                job()
            except Exception:
                log.exception("compiling failed; pictures of this size are made without")


class CompiledNetwork:
    """One network, and its compiled form for each shape of inputs that it has met. Called from one thread."""

    def __init__(self, module: nn.Module, compiler: Compiler) -> None:
        self._module = module
        self._held = held_by(module)
        self._compiler = compiler
        self._twin: nn.Module | None = None
        self._ready: dict[object, Run] = {}
        self._asked: set[object] = set()
        self._held.on_release(self._forget)

    def __call__(self, **inputs: Any) -> Tensor:
        """The network's output: compiled where that is ready for inputs of this shape, or else as it is, while it is
        being compiled for the next time."""
        shape = _shape_of(inputs)
        ready = self._ready.get(shape)
        if ready is not None:
            return ready(inputs)
        if self._held.whole and shape not in self._asked:
            self._ask(shape, {name: _cloned(value) for name, value in inputs.items()})
        return self._module(**inputs, return_dict=False)[0]

    def _ask(self, shape: object, inputs: Inputs) -> None:
        twin = self._twin
        if twin is None:
            twin = self._twin = cast("nn.Module", self._held.twin())
            self._compiler.compile(twin)
        asked = self._asked
        asked.add(shape)

        def job() -> None:
            if self._asked is not asked:  # its weights left before their turn came
                return
            run = self._compiler.captured(twin, inputs)
            if self._asked is asked:
                self._ready[shape] = run

        self._compiler.start(job)

    def _forget(self) -> None:
        """Let go of what was compiled around weights that leave."""
        self._twin = None
        self._ready = {}
        self._asked = set()


def _many_shapes() -> Any:
    import torch._dynamo as dynamo  # importing it takes seconds, which only those who compile pay

    config: Any = dynamo.config
    return config.patch(recompile_limit=_SHAPES, accumulated_recompile_limit=_SHAPES * 4)


def _shape_of(inputs: Inputs) -> object:
    """What a compiled pass depends on, besides the values."""
    return tuple(
        (name, tuple((each.shape, each.dtype, each.stride()) for each in _tensors({name: value})))
        for name, value in inputs.items()
    )


def _tensors(inputs: Inputs) -> Iterator[Tensor]:
    for value in inputs.values():
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple):
            yield from cast("tuple[Tensor, ...]", value)


def _cloned(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, tuple):
        return tuple(each.clone() for each in cast("tuple[Tensor, ...]", value))
    return value
