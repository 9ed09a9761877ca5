"""T2I-Adapters on reduced models: every kind and layout, and where what they add goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.adapter import T2IAdapter
from safetensors.torch import save_file
from torch import Tensor, nn

from diffusion.architecture import UnetConfig
from diffusion.control.adapter import AdapterConfig, LoadedAdapter, adapter_names
from diffusion.control.network import WrongControlNet
from diffusion.control.uses import with_use
from diffusion.errors import UnsupportedArchitecture
from diffusion.library import ModelLibrary
from diffusion.residency import Residency
from diffusion.sampling.ksampler import sample
from diffusion.sampling.protocols import Residuals
from diffusion.values import CondEntry, Conditioning, ControlNetRef, ControlUse, Latent, ModelRef
from tests.diffusion import xl

SD1 = UnetConfig(
    in_channels=4,
    out_channels=4,
    channels=(32, 64, 64, 64),
    layers_per_level=2,
    down_depths=((1, 1), (1, 1), (1, 1), (0, 0)),
    up_depths=((0, 0, 0), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
    middle_depth=1,
    context_dim=64,
    heads=(8, 8, 8, 8),
)
XL = UnetConfig(
    in_channels=4,
    out_channels=4,
    channels=(64, 128, 128),
    layers_per_level=2,
    down_depths=((0, 0), (1, 1), (1, 1)),
    up_depths=((1, 1, 1), (1, 1, 1), (0, 0, 0)),
    middle_depth=1,
    context_dim=64,
    heads=(1, 2, 2),
    linear_projection=True,
    vector=64 + 6 * 256,
    numbers=6,
)
KINDS: dict[str, tuple[list[int], int, int, UnetConfig]] = {
    "full_adapter": ([32, 64, 64, 64], 2, 8, SD1),
    "light_adapter": ([32, 64, 64], 4, 8, SD1),
    "full_adapter_xl": ([64, 128, 128, 128], 2, 16, XL),
}
HINT = torch.rand(1, 40, 64, 3, generator=torch.Generator().manual_seed(1))


def module(kind: str, hint_channels: int = 3) -> T2IAdapter:
    torch.manual_seed(5)
    channels, layers, cell, _ = KINDS[kind]
    return T2IAdapter(hint_channels, channels, layers, cell, kind).eval()


def write(models: Path, kind: str, layout: str, hint_channels: int = 3) -> str:
    channels, layers, _, _ = KINDS[kind]
    widths = (*channels, channels[-1]) if kind == "light_adapter" else tuple(channels)
    place = adapter_names(AdapterConfig(kind, hint_channels, widths, layers, layout))  # type: ignore[arg-type]
    state = module(kind, hint_channels).state_dict()
    name = f"{kind}-{layout}-{hint_channels}.safetensors"
    (models / "controlnet").mkdir(parents=True, exist_ok=True)
    save_file({place(each): value.contiguous().clone() for each, value in state.items()}, models / "controlnet" / name)
    return name


@pytest.fixture(scope="module")
def residency(tmp_path_factory: pytest.TempPathFactory) -> Residency:
    models = tmp_path_factory.mktemp("models")
    (models / "diffusion_models").mkdir()
    for name, config in (("sd1", SD1), ("xl", XL)):
        save_file(xl.unet(config), models / "diffusion_models" / f"{name}.safetensors")
    return Residency(ModelLibrary(models), "cpu", "fp32")


def net(residency: Residency, kind: str, layout: str = "original", hint_channels: int = 3) -> ControlNetRef:
    name = write(residency.library.models_dir, kind, layout, hint_channels)
    return ControlNetRef(residency.library.resolve("controlnet", name))


def model(residency: Residency, kind: str) -> ModelRef:
    name = "xl" if KINDS[kind][3] is XL else "sd1"
    return ModelRef(residency.library.resolve("diffusion_models", f"{name}.safetensors"))


def run(
    residency: Residency, kind: str, positive: Conditioning, negative: Conditioning, size: tuple[int, int]
) -> Tensor:
    settings: dict[str, Any] = {"seed": 3, "steps": 2, "cfg": 4.0, "sampler": "euler", "scheduler": "normal"}
    unet = residency.unet(model(residency, kind))
    latent = Latent(torch.zeros(2, 4, *size))
    return sample(unet, latent=latent, positive=positive, negative=negative, **settings).samples


def prompt(seed: int) -> Conditioning:
    generator = torch.Generator().manual_seed(seed)
    return Conditioning((CondEntry(torch.randn(1, 77, 64, generator=generator), torch.zeros(1, 64)),))


@pytest.mark.parametrize("layout", ["original", "diffusers"])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_every_kind_and_layout_computes_what_diffusers_computes(residency: Residency, kind: str, layout: str):
    hint = torch.rand(2, 3, 64, 128)
    ours = residency.control_net(net(residency, kind, layout))
    assert isinstance(ours, LoadedAdapter)
    assert ours.config.kind == kind
    features = ours.residuals(hint)
    assert all(torch.equal(a, b) for a, b in zip(features.inside, module(kind)(hint), strict=True))
    assert features.down == ()
    assert features.middle is None


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_an_odd_side_is_pooled_from_an_edge_of_zeros(residency: Residency, kind: str):
    cell = KINDS[kind][2]
    hint = torch.rand(1, 3, 5 * cell, 6 * cell)
    theirs = module(kind)
    for name, each in list(theirs.named_modules()):
        if isinstance(each, nn.AvgPool2d):
            theirs.set_submodule(name, Padded())
    features = residency.control_net(net(residency, kind))
    assert isinstance(features, LoadedAdapter)
    ours = features.residuals(hint).inside
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours, theirs(hint), strict=True))


class Padded(nn.Module):
    """Means over the squares of a picture that a row or column of zeros before it makes even."""

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[-2] % 2, x.shape[-1] % 2
        wide = nn.functional.pad(x, (columns, 0, rows, 0))
        return wide.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).mean(dim=(-1, -3))


def spots(unet: Any) -> list[nn.Module]:
    """The layers whose outputs the features are added to: input blocks 2, 5, 8 and 11 of Stable Diffusion 1; blocks 3,
    5, 8 and the middle of SDXL."""
    if len(unet.down_blocks) == 4:
        return [*(block.attentions[-1] for block in unet.down_blocks[:3]), unet.down_blocks[3].resnets[-1]]
    return [
        unet.down_blocks[0].downsamplers[0],
        *(each.attentions[-1] for each in unet.down_blocks[1:]),
        unet.mid_block,
    ]


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_features_go_to_the_last_layer_of_each_level(residency: Residency, kind: str):
    unet = residency.unet(model(residency, kind))
    features = module(kind)(torch.rand(1, 3, 128, 128))
    x, times, context = torch.randn(1, 4, 16, 16), torch.tensor([500.0]), torch.randn(1, 77, 64)
    vector = torch.randn(1, XL.vector) if unet.config.vector else None
    ours = unet.predict(x, times, context, vector, Residuals(inside=tuple(features)))
    added: list[int] = []

    def adding(place: int) -> Any:
        def hook(each: nn.Module, inputs: object, output: Any) -> Any:
            del each, inputs
            added.append(place)
            if isinstance(output, tuple):
                return (output[0] + features[place], *output[1:])
            return output + features[place]

        return hook

    hooks = [each.register_forward_hook(adding(place)) for place, each in enumerate(spots(unet.module))]
    theirs = unet.predict(x, times, context, vector)
    for hook in hooks:
        hook.remove()
    assert sorted(added) == [0, 1, 2, 3]
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert not torch.allclose(ours, unet.predict(x, times, context, vector), atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_guides_a_run_and_adds_up_with_another(residency: Residency, kind: str):
    positive, negative, ref = prompt(1), prompt(2), net(residency, kind)
    size = (8, 12)
    plain = run(residency, kind, positive, negative, size)
    whole, half = ControlUse(ref, HINT, 1.0), ControlUse(ref, HINT, 0.5)
    once = run(residency, kind, with_use(positive, whole), with_use(negative, whole), size)
    twice = with_use(with_use(positive, half), half), with_use(with_use(negative, half), half)
    assert not torch.allclose(once, plain, atol=1e-3)
    assert torch.allclose(run(residency, kind, *twice, size), once, atol=1e-4)


def test_a_grey_adapter_sees_the_mean_of_the_colours(residency: Residency):
    positive, negative, ref = prompt(1), prompt(2), net(residency, "full_adapter", hint_channels=1)
    pictures = [
        run(residency, "full_adapter", with_use(positive, use), with_use(negative, use), (8, 8))
        for use in (ControlUse(ref, HINT), ControlUse(ref, HINT.mean(-1, keepdim=True).expand(-1, -1, -1, 3)))
    ]
    assert torch.allclose(pictures[0], pictures[1], atol=1e-4)


def test_an_adapter_of_another_family_is_refused_with_both_named(residency: Residency):
    use = ControlUse(net(residency, "full_adapter_xl"), HINT)
    with pytest.raises(WrongControlNet, match=r"T2I-Adapter for SDXL.*\[32, 64, 64, 64\]") as caught:
        run(residency, "full_adapter", with_use(prompt(1), use), prompt(2), (8, 8))
    assert caught.value.input == "positive"


def test_a_variant_that_is_not_known_is_refused(residency: Residency):
    folder = residency.library.models_dir / "controlnet"
    tensors = {"conv_in.weight": torch.zeros(32, 192, 3, 3), "body.0.block1.weight": torch.zeros(32, 32, 3, 3)}
    save_file({**tensors, "body.2.down_opt.op.weight": torch.zeros(1)}, folder / "odd.safetensors")
    with pytest.raises(UnsupportedArchitecture, match="variant"):
        residency.describe_control(ControlNetRef(residency.library.resolve("controlnet", "odd.safetensors")))
