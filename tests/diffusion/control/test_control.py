"""Control networks on reduced models: every layout, what they add, when, to whom, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion.control.network import LoadedControlNet, WrongControlNet, is_pooled
from diffusion.control.uses import PROMPT, with_use
from diffusion.errors import BadPrompt, UnsupportedArchitecture
from diffusion.library import ModelLibrary
from diffusion.residency import Residency
from diffusion.sampling.ksampler import sample
from diffusion.values import CondEntry, Conditioning, ControlNetRef, ControlUse, Latent, ModelRef
from tests.diffusion import control_files, tiny


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny.write(folder / "checkpoints" / "tiny.safetensors")
    for layout in ("original", "bare", "diffusers"):
        control_files.write(folder, f"{layout}.safetensors", layout)
    control_files.write(folder, "wide.safetensors", context=96)
    return folder


@pytest.fixture(scope="module")
def residency(models: Path) -> Residency:
    return Residency(ModelLibrary(models), "cpu", "fp32")


def net(residency: Residency, name: str = "original.safetensors") -> ControlNetRef:
    return ControlNetRef(residency.library.resolve("controlnet", name))


def prompt(seed: int) -> Conditioning:
    generator = torch.Generator().manual_seed(seed)
    return Conditioning((CondEntry(torch.randn(1, 77, 64, generator=generator)),))


def run(residency: Residency, positive: Conditioning, negative: Conditioning, batch: int = 1) -> Tensor:
    ref = ModelRef(residency.library.resolve("checkpoints", "tiny.safetensors"))
    settings = {"seed": 3, "steps": 3, "cfg": 4.0, "sampler": "euler", "scheduler": "normal"}
    latent = Latent(torch.zeros(batch, 4, 4, 6))
    return sample(residency.unet(ref), latent=latent, positive=positive, negative=negative, **settings).samples  # type: ignore[arg-type]


def close(ours: Tensor, theirs: Tensor) -> bool:
    return bool((ours - theirs).norm() <= 1e-5 * theirs.norm())


HINT = torch.rand(1, 40, 64, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layout", ["original", "bare", "diffusers"])
@torch.no_grad()
def test_every_layout_computes_what_diffusers_computes(residency: Residency, layout: str):
    theirs = control_files.module()
    x, context, hint = torch.randn(2, 4, 8, 8), torch.randn(2, 77, 64), torch.rand(2, 3, 64, 64)
    timestep = torch.tensor([1.0, 999.0])
    down, middle = theirs(x, timestep, context, hint, return_dict=False)
    control = residency.control_net(net(residency, f"{layout}.safetensors"))
    assert isinstance(control, LoadedControlNet)
    ours = control.residuals(x, timestep, context, None, hint)
    assert ours.middle is not None
    assert torch.equal(ours.middle, middle)
    assert all(torch.equal(a, b) for a, b in zip(ours.down, down, strict=True))


@pytest.mark.parametrize("name", ["control_v11e_sd15_shuffle.safetensors", "deep/x_shuffle_fp16.safetensors"])
@torch.no_grad()
def test_a_shuffle_network_adds_the_mean_of_each_residual_everywhere(residency: Residency, models: Path, name: str):
    (models / "controlnet" / "deep").mkdir(exist_ok=True)
    control_files.write(models, name)
    x, context, hint = torch.randn(2, 4, 8, 6), torch.randn(2, 77, 64), torch.rand(2, 3, 64, 48)
    plain, shuffle = (residency.control_net(net(residency, each)) for each in ("original.safetensors", name))
    assert isinstance(plain, LoadedControlNet)
    assert isinstance(shuffle, LoadedControlNet)
    theirs, ours = (each.residuals(x, torch.tensor([9.0]), context, None, hint) for each in (plain, shuffle))
    for a, b in zip((*ours.down, ours.middle), (*theirs.down, theirs.middle), strict=True):
        assert a is not None
        assert b is not None
        assert a.shape == b.shape
        assert torch.equal(a, b.mean(dim=(2, 3), keepdim=True).expand_as(b))


@pytest.mark.parametrize("name", ["x_Shuffle.pth", "x_shuffle_fp32.pth", "shuffled.pth", "x_shuffle/canny.pth"])
def test_other_names_tell_of_no_shuffle(name: str):
    assert not is_pooled(name)


def test_a_control_network_changes_the_picture_by_its_strength(residency: Residency):
    positive, negative = prompt(1), prompt(2)
    plain = run(residency, positive, negative)
    pictures = [
        run(residency, with_use(positive, use), with_use(negative, use))
        for use in (ControlUse(net(residency), HINT, strength) for strength in (0.0, 0.4, 0.8))
    ]
    assert torch.equal(pictures[0], plain)
    assert not torch.allclose(pictures[1], plain, atol=1e-3)
    assert (pictures[2] - plain).norm() > (pictures[1] - plain).norm()
    assert residency.loads.control >= 1


def test_two_uses_add_up(residency: Residency):
    once, half = ControlUse(net(residency), HINT, 0.8), ControlUse(net(residency), HINT, 0.4)
    positive, negative = prompt(1), prompt(2)
    whole = run(residency, with_use(positive, once), with_use(negative, once))
    twice = [with_use(with_use(each, half), ControlUse(net(residency), HINT, 0.4)) for each in (positive, negative)]
    assert close(run(residency, twice[0], twice[1]), whole)


def test_it_acts_only_in_its_part_of_the_sampling(residency: Residency):
    positive, negative = prompt(1), prompt(2)
    plain = run(residency, positive, negative)
    always, never, early = (
        ControlUse(net(residency), HINT, 1.0, *part) for part in ((0.0, 1.0), (0.999, 0.9995), (0.0, 0.2))
    )
    pictures = [run(residency, with_use(positive, use), with_use(negative, use)) for use in (always, never, early)]
    assert close(pictures[1], plain)
    assert not torch.allclose(pictures[2], plain, atol=1e-3)
    assert not torch.allclose(pictures[2], pictures[0], atol=1e-3)


def test_the_negative_follows_when_it_is_told_to(residency: Residency):
    use = ControlUse(net(residency), HINT, 1.0)
    positive, negative = prompt(1), prompt(2)
    both = run(residency, with_use(positive, use), with_use(negative, use))
    shared = run(residency, with_use(positive, use, control_both=True), negative)
    alone = run(residency, with_use(positive, use), negative)
    assert close(shared, both)
    assert not torch.allclose(alone, both, atol=1e-3)


def test_a_prompt_of_its_own_is_read_in_place_of_the_one_that_it_guides(residency: Residency):
    use, own = ControlUse(net(residency), HINT, 1.0), {PROMPT: prompt(3).entries[0].embedding}
    ours = run(residency, with_use(prompt(1), use, **own), with_use(prompt(2), use))
    same = {PROMPT: prompt(1).entries[0].embedding}
    plain = run(residency, with_use(prompt(1), use), with_use(prompt(2), use), batch=2)
    assert close(run(residency, with_use(prompt(1), use, **same), with_use(prompt(2), use), batch=2), plain)
    assert not torch.allclose(ours, plain[:1], atol=1e-3)


def test_a_prompt_of_its_own_that_another_encoder_made_is_refused(residency: Residency):
    use = ControlUse(net(residency), HINT, 1.0)
    with pytest.raises(BadPrompt, match="64 wide") as caught:
        run(residency, prompt(1), with_use(prompt(2), use, **{PROMPT: torch.zeros(1, 77, 96)}))
    assert caught.value.input == "negative"


def test_each_picture_of_a_batch_follows_its_own_hint(residency: Residency):
    hints = torch.cat([HINT, 1 - HINT])
    positive, negative = prompt(1), prompt(2)
    use = ControlUse(net(residency), hints, 1.0)
    batch = run(residency, with_use(positive, use), with_use(negative, use), batch=2)
    first = ControlUse(net(residency), HINT, 1.0)
    same = run(residency, with_use(positive, first), with_use(negative, first), batch=2)
    assert close(batch[0], same[0])
    assert not torch.allclose(batch[1], same[1], atol=1e-3)


def test_a_network_of_another_family_is_refused_with_both_names(residency: Residency):
    use = ControlUse(net(residency, "wide.safetensors"), HINT)
    with pytest.raises(WrongControlNet, match=r"width 96, and this model is a model that reads .* 64") as caught:
        run(residency, with_use(prompt(1), use), prompt(2))
    assert caught.value.input == "positive"


def test_a_hint_of_other_channels_is_refused(residency: Residency):
    use = ControlUse(net(residency), torch.rand(1, 32, 32, 4))
    with pytest.raises(WrongControlNet, match="3 channels"):
        run(residency, with_use(prompt(1), use), prompt(2))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("model.diffusion_model.input_blocks.0.0.weight", "whole checkpoint"),
        ("a.lora_up.weight", "is a LoRA, not a ControlNet"),
        ("what", "no ControlNet that is known"),
    ],
)
def test_other_files_are_named(residency: Residency, models: Path, key: str, said: str):
    save_file({key: torch.zeros(1)}, models / "controlnet" / "other.safetensors")
    with pytest.raises(UnsupportedArchitecture, match=said):
        residency.describe_control(net(residency, "other.safetensors"))
