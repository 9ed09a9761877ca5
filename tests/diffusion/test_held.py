from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from diffusion.errors import CorruptFile
from diffusion.held import HeldWeights, held_by
from diffusion.library import ModelLibrary
from diffusion.memory import Meter, OutOfMemory
from diffusion.packing import can_pack, plain
from diffusion.placing import Place
from diffusion.residency import Residency
from diffusion.values import LoraPatch, ModelRef, VaeRef
from tests.diffusion import tiny
from tests.diffusion.patches import lora_files

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("a", "b")):
        tiny.write(folder / "checkpoints" / f"{name}.safetensors", seed=seed)
    lora_files.write(folder, "style.safetensors", lora_files.tensors("kohya"))
    return folder


def reference(residency: Residency, name: str = "a", *, strength: float | None = None) -> ModelRef:
    patches: tuple[LoraPatch, ...] = ()
    if strength is not None:
        patches = (LoraPatch(residency.library.resolve("loras", "style.safetensors"), strength),)
    return ModelRef(residency.library.resolve("checkpoints", f"{name}.safetensors"), None, patches)


def predicted(residency: Residency, ref: ModelRef) -> Tensor:
    torch.manual_seed(0)
    return residency.unet(ref).predict(torch.randn(2, 4, 8, 8), torch.tensor([1.0, 9.0]), torch.randn(2, 77, 64))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.25])
def test_a_model_larger_than_its_budget_gives_the_same_numbers(models: Path, precision: str, share: float):
    ample = Residency(ModelLibrary(models), "cpu", precision)
    expected, size = predicted(ample, reference(ample)), ample.resident_bytes
    budget = int(size * share)
    tight = Residency(ModelLibrary(models), "cpu", precision, ram_budget=budget)
    for _ in range(2):
        found = predicted(tight, reference(tight))
        # A weight that passes through is multiplied in another order than one that was packed.
        assert (found - expected).norm() / expected.norm() <= (0 if precision == "fp32" else 0.01)
    assert 0 < tight.meter.peak <= budget
    assert tight.resident_bytes < size
    assert tight.loads.unet == 1


def test_models_that_do_not_fit_together_make_room_for_each_other(models: Path):
    ample = Residency(ModelLibrary(models), "cpu", "fp32")
    expected = {name: predicted(ample, reference(ample, name)) for name in "ab"}
    size = ample.unet(reference(ample)).bytes
    budget = int(size * 1.3)
    tight = Residency(ModelLibrary(models), "cpu", "fp32", ram_budget=budget)
    for name in "abab":
        assert torch.equal(predicted(tight, reference(tight, name)), expected[name])
    assert tight.meter.peak <= budget


def test_a_model_in_use_goes_on_when_another_takes_its_place(models: Path):
    ample = Residency(ModelLibrary(models), "cpu", "fp32")
    expected, size = predicted(ample, reference(ample)), ample.resident_bytes
    tight = Residency(ModelLibrary(models), "cpu", "fp32", ram_budget=int(size * 1.1))
    in_use = tight.unet(reference(tight))
    tight.unet(reference(tight, "b"))
    torch.manual_seed(0)
    found = in_use.predict(torch.randn(2, 4, 8, 8), torch.tensor([1.0, 9.0]), torch.randn(2, 77, 64))
    assert torch.equal(found, expected)
    assert tight.meter.peak <= size * 1.1


@pytest.mark.parametrize("share", [5.0, 1.1, 0.6])
def test_a_patched_model_gives_the_same_numbers_in_any_budget(models: Path, share: float):
    ample = Residency(ModelLibrary(models), "cpu", "fp32")
    plain_size = ample.unet(reference(ample)).bytes
    expected = predicted(ample, reference(ample, strength=0.7))
    budget = int(plain_size * share)
    tight = Residency(ModelLibrary(models), "cpu", "fp32", ram_budget=budget)
    assert torch.equal(predicted(tight, reference(tight, strength=0.7)), expected)
    assert torch.equal(predicted(tight, reference(tight)), predicted(ample, reference(ample)))
    assert torch.equal(predicted(tight, reference(tight, strength=0.7)), expected)
    assert tight.meter.peak <= budget


def test_a_patched_model_shares_what_its_patches_leave_alone(models: Path):
    residency = Residency(ModelLibrary(models), "cpu", "fp32")
    base = residency.unet(reference(residency))
    before = residency.resident_bytes
    patched = residency.unet(reference(residency, strength=0.7))
    own = held_by(patched.module).own
    assert 0 < own < base.bytes
    assert own <= residency.resident_bytes - before < base.bytes


def test_all_is_counted_and_given_back(models: Path):
    residency = Residency(ModelLibrary(models), "cpu", "fp32")
    predicted(residency, reference(residency, strength=0.7))
    residency.free()
    assert residency.resident_bytes == 0
    predicted(residency, reference(residency))
    assert residency.loads.unet == 2


@torch.no_grad()
def test_the_half_of_a_vae_that_is_not_used_is_not_read(models: Path):
    residency = Residency(ModelLibrary(models), "cpu", "fp32")
    ref = VaeRef(residency.library.resolve("checkpoints", "a.safetensors"))
    vae = residency.vae(ref)
    assert residency.resident_bytes == 0
    first = vae.decode_latent(torch.ones(1, 4, 4, 4))
    held = residency.resident_bytes
    assert 0 < held < vae.bytes
    assert torch.equal(residency.vae(ref).decode_latent(torch.ones(1, 4, 4, 4)), first)
    assert (residency.resident_bytes, residency.loads.vae) == (held, 1)
    vae.encode_pixels(torch.ones(1, 3, 32, 32))
    assert residency.resident_bytes == vae.bytes


def test_a_file_that_changes_while_its_weights_pass_through_is_an_error(models: Path, tmp_path: Path):
    path = tiny.write(tmp_path / "checkpoints" / "a.safetensors")
    tight = Residency(ModelLibrary(tmp_path), "cpu", "fp32", ram_budget=200_000)
    unet = tight.unet(reference(tight))
    tiny.write(path, seed=3)
    with pytest.raises(CorruptFile, match="was changed while it was in use"):
        unet.predict(torch.zeros(1, 4, 8, 8), torch.zeros(1), torch.zeros(1, 77, 64))


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.two = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x))


def test_what_leaves_the_device_is_parked_within_a_budget():
    reads: list[str] = []

    def reader(name: str, shape: torch.Size):
        def read() -> Tensor:
            reads.append(name)
            return torch.ones(shape)

        return read

    with torch.device("meta"):
        module = Two()
    shapes = {name: value.shape for name, value in module.named_parameters()}
    parking = Meter(80)
    held = HeldWeights(
        module,
        {name: reader(name, shape) for name, shape in shapes.items()},
        Place(CPU, torch.float32, Meter(2**30), parking),
    )
    held.hold(2**30)
    assert (held.bytes, held.drop(), held.bytes) == (160, 160, 0)
    assert parking.now == 80
    for _ in range(2):
        assert torch.equal(module(torch.ones(1, 4)), torch.full((1, 4), 21.0))
    assert len(reads) == 4 + 2 * 2
    held.hold(2**30)
    held.forget()
    assert (parking.now, held.bytes) == (0, 0), "what is forgotten is not parked first"


def test_a_model_that_left_the_device_comes_back_from_where_it_waits(models: Path):
    ample = Residency(ModelLibrary(models), "cpu", "fp32")
    expected = {name: predicted(ample, reference(ample, name)) for name in ("a", "b")}
    size = ample.resident_bytes // 2
    tight = Residency(ModelLibrary(models), "cpu", "fp32", ram_budget=size + 1000)
    tight.parking = Meter(size)
    for name, loads in (("a", 1), ("b", 2), ("a", 2), ("b", 3), ("b", 3)):  # b found no room to wait beside a
        assert torch.equal(predicted(tight, reference(tight, name)), expected[name])
        assert (name, tight.loads.unet) == (name, loads)
        assert tight.resident_bytes <= size + 1000
        assert tight.parking.now <= size
    tight.parking.limit = 2 * size
    for name in ("a", "b", "a", "b"):
        predicted(tight, reference(tight, name))
    before = tight.loads.unet
    for name in ("a", "b", "a"):
        assert torch.equal(predicted(tight, reference(tight, name)), expected[name])
    assert tight.loads.unet == before, "both wait, and neither is read again"
    tight.free()
    assert (tight.parking.now, tight.resident_bytes) == (0, 0)


def test_a_block_that_cannot_be_read_leaves_nothing_behind():
    def fail() -> Tensor:
        raise CorruptFile("broken")

    with torch.device("meta"):
        module = Two()
    meter = Meter(2**30)
    reads = {name: (lambda: torch.ones(4, 4)) for name, _ in module.named_parameters()} | {"two.bias": fail}
    held = HeldWeights(module, reads, Place(CPU, torch.float32, meter))
    with pytest.raises(CorruptFile):
        held.hold(2**30)
    assert meter.now == held.bytes == 64 + 16
    assert module.two.weight.is_meta


def test_packed_weights_are_the_same_weights(models: Path):
    residency = Residency(ModelLibrary(models), "cpu", "bf16")
    module = residency.unet(reference(residency)).module
    assert module.conv_in.weight.is_mkldnn == can_pack(CPU, torch.bfloat16)
    stored = tiny.tensors(0)["model.diffusion_model.input_blocks.0.0.weight"].bfloat16()
    assert torch.equal(plain(module.conv_in.weight), stored)
    assert torch.equal(held_by(module).weight("conv_in.weight"), stored)


def test_a_model_that_runs_out_of_memory_moves_others_away_and_then_its_own(models: Path):
    residency = Residency(ModelLibrary(models), "cpu", "fp32")
    expected = predicted(residency, reference(residency))
    residency.unet(reference(residency, "b"))
    unet = residency.unet(reference(residency))
    size, seen = unet.bytes, list[int]()

    def full_at_first(module: nn.Module, args: object) -> None:
        del module, args
        seen.append(residency.resident_bytes)
        if len(seen) < 4:
            raise torch.OutOfMemoryError("full")

    unet.module.register_forward_pre_hook(full_at_first)
    torch.manual_seed(0)
    found = unet.predict(torch.randn(2, 4, 8, 8), torch.tensor([1.0, 9.0]), torch.randn(2, 77, 64))
    assert torch.equal(found, expected)
    assert seen[0] == 2 * size
    assert seen[1] == size
    assert size > seen[2] > seen[3]


def test_a_model_that_never_fits_says_what_might(models: Path):
    residency = Residency(ModelLibrary(models), "cpu", "fp32")
    unet = residency.unet(reference(residency))

    def full(module: nn.Module, args: object) -> None:
        del module, args
        raise torch.OutOfMemoryError("full")

    unet.module.register_forward_pre_hook(full)
    with pytest.raises(OutOfMemory, match="2 × 512×256 pixels") as caught:
        unet.predict(torch.zeros(2, 4, 32, 64), torch.zeros(2), torch.zeros(2, 77, 64))
    assert caught.value.hint is not None
    assert "256×128" in caught.value.hint


def test_a_weight_that_cannot_be_made_costs_only_its_own_block():
    layers = [nn.Linear(4, 4, device="meta") for _ in range(30)]
    module = nn.Sequential(*layers)
    weights = {name: torch.randn(value.shape) for name, value in module.named_parameters()}
    broken = {"20.weight"}

    def read(name: str) -> Tensor:
        if name in broken:
            raise CorruptFile(name)
        return weights[name]

    meter = Meter(2**20)
    held = HeldWeights(module, {name: partial(read, name) for name in weights}, Place(CPU, torch.float32, meter))
    with pytest.raises(CorruptFile, match=r"20\.weight"):
        held.hold(2**20)
    assert not held.whole
    assert meter.now == held.bytes == held.size - held.missing
    broken.clear()
    held.hold(2**20)
    assert held.whole
    assert all(torch.equal(value, weights[name]) for name, value in module.named_parameters())
