"""Compiled networks on the CPU, with a compiler that makes no machine code; the CUDA graph itself needs a GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from diffusion.compiling import Compiler, Inputs, Run, gpu_compiler
from diffusion.errors import BadDevice
from diffusion.held import held_by
from diffusion.library import ModelLibrary
from diffusion.loaded import LoadedUnet
from diffusion.model_options import FreeUOption, RescaleCfgOption
from diffusion.residency import Residency
from diffusion.values import ModelRef
from tests.diffusion import tiny

CPU = torch.device("cpu")
CONTEXT = torch.randn(2, 77, 64, generator=torch.Generator().manual_seed(1))


class Recorder:
    """Stands in for CUDA graphs: runs the network, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.captured: list[tuple[int, ...]] = []
        self.replayed = 0

    def __call__(self, run: Run, inputs: Inputs) -> Run:
        self.captured.append(tuple(inputs["sample"].shape))

        def replay(given: Inputs) -> Tensor:
            self.replayed += 1
            return run(given)

        return replay


class Deferred(Compiler):
    """A compiler that gets round to its jobs when it is told to."""

    def __init__(self, capture: Recorder) -> None:
        super().__init__(CPU, without_code, capture)
        self.jobs: list[Callable[[], None]] = []

    def start(self, job: Callable[[], None]) -> None:
        self.jobs.append(job)


def without_code(network: nn.Module) -> None:
    """What `compile_regions` does, as far as tracing the Python code."""
    for each in network.modules():
        if isinstance(each, (ResnetBlock2D, BasicTransformerBlock)):
            each.compile(backend="eager", fullgraph=True, dynamic=False)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny.write(folder / "checkpoints" / "tiny.safetensors")
    return folder


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


Loaded = tuple[LoadedUnet, Compiler, Residency]


@pytest.fixture
def loaded(models: Path, recorder: Recorder) -> Loaded:
    compilers: list[Compiler] = []

    def make(device: torch.device) -> Compiler:
        compilers.append(Compiler(device, without_code, recorder))
        return compilers[0]

    residency = Residency(ModelLibrary(models), "cpu", "fp32", compiler=make)
    reference = ModelRef(residency.library.resolve("checkpoints", "tiny.safetensors"))
    return residency.unet(reference), compilers[0], residency


def predicted(unet: LoadedUnet, size: int = 16) -> Tensor:
    x = torch.randn(2, 4, size, size, generator=torch.Generator().manual_seed(size))
    return unet.predict(x, torch.tensor([3.0, 900.0]), CONTEXT)


def plain(unet: LoadedUnet) -> LoadedUnet:
    return replace(unet, compiled=None)


def test_the_first_pass_does_not_wait_and_a_later_one_is_compiled(loaded: Loaded, recorder: Recorder):
    unet, compiler, _ = loaded
    expected = predicted(plain(unet))
    assert torch.equal(predicted(unet), expected)
    compiler.settle()
    before = recorder.replayed
    assert torch.equal(predicted(unet), expected)
    assert recorder.replayed == before + 1
    assert recorder.captured == [(2, 4, 16, 16)]


def test_a_pass_goes_on_as_it_is_while_the_compiler_works(models: Path):
    compiler = Deferred(Recorder())
    residency = Residency(ModelLibrary(models), "cpu", "fp32", compiler=lambda _: compiler)
    unet = residency.unet(ModelRef(residency.library.resolve("checkpoints", "tiny.safetensors")))
    results = [predicted(unet) for _ in range(3)]
    assert all(torch.equal(each, results[0]) for each in results)
    assert len(compiler.jobs) == 1, "asked for once"


def test_each_shape_is_compiled_for_itself(loaded: Loaded, recorder: Recorder):
    unet, compiler, _ = loaded
    for size in (16, 24, 16):
        predicted(unet, size)
        compiler.settle()
    assert recorder.captured == [(2, 4, 16, 16), (2, 4, 24, 24)]
    assert torch.equal(predicted(unet, 24), predicted(plain(unet), 24))


def test_options_that_reach_into_the_network_are_heeded(loaded: Loaded, recorder: Recorder):
    unet, compiler, _ = loaded
    predicted(unet)
    compiler.settle()
    before = recorder.replayed
    inside = replace(unet, options=(FreeUOption(1.1, 1.2, 0.9, 0.2, version=2),))
    predicted(inside)
    assert recorder.replayed == before
    predicted(replace(unet, options=(RescaleCfgOption(0.7),)))
    assert recorder.replayed == before + 1


def test_weights_that_leave_take_the_compiled_form_along(loaded: Loaded, recorder: Recorder):
    unet, compiler, _ = loaded
    expected = predicted(unet)
    compiler.settle()
    held = held_by(unet.module)
    held.drop()
    before = recorder.replayed
    assert torch.equal(predicted(unet), expected), "passes through in blocks"
    assert recorder.replayed == before
    held.hold(2**30)
    predicted(unet)
    compiler.settle()
    predicted(unet)
    assert len(recorder.captured) == 2
    assert recorder.replayed > before + 1


def test_weights_that_leave_while_they_are_compiled_are_not_used(models: Path):
    recorder = Recorder()
    compiler = Deferred(recorder)
    residency = Residency(ModelLibrary(models), "cpu", "fp32", compiler=lambda _: compiler)
    unet = residency.unet(ModelRef(residency.library.resolve("checkpoints", "tiny.safetensors")))
    expected = predicted(unet)
    held_by(unet.module).drop()
    compiler.jobs.pop()()
    assert recorder.captured == []
    assert torch.equal(predicted(unet), expected)


def test_a_compiler_that_fails_is_reported_and_pictures_are_made_all_the_same(
    models: Path, caplog: pytest.LogCaptureFixture
):
    def fail(run: Run, inputs: Inputs) -> Run:
        raise RuntimeError("no compiler here")

    compiler = Compiler(CPU, without_code, fail)
    residency = Residency(ModelLibrary(models), "cpu", "fp32", compiler=lambda _: compiler)
    unet = residency.unet(ModelRef(residency.library.resolve("checkpoints", "tiny.safetensors")))
    with caplog.at_level(logging.ERROR, "latentgraph.compiling"):
        expected = predicted(unet)
        compiler.settle()
    assert "compiling failed" in caplog.text
    assert torch.equal(predicted(unet), expected)


def test_a_processor_is_refused_with_what_to_do():
    with pytest.raises(BadDevice, match="CUDA GPUs only") as caught:
        gpu_compiler(CPU)
    assert "without --compile" in str(caught.value.hint)


@pytest.mark.gpu
def test_on_a_gpu_compiled_passes_give_the_same_picture(models: Path):
    compilers: list[Compiler] = []

    def make(device: torch.device) -> Compiler:
        compilers.append(gpu_compiler(device))
        return compilers[0]

    residency = Residency(ModelLibrary(models), "cuda", "fp32", compiler=make)
    unet: Any = residency.unet(ModelRef(residency.library.resolve("checkpoints", "tiny.safetensors")))
    expected = predicted(plain(unet))
    predicted(unet)
    compilers[0].settle()
    for _ in range(3):
        found = predicted(unet)
        assert (found - expected).norm() / expected.norm() < 1e-4
