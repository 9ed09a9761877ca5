"""FreeU, deep shrink and control residuals together, against a plain walk through the network's layers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import interpolate

from diffusion.errors import DiffusionError
from diffusion.library import ModelLibrary
from diffusion.loaded import LoadedUnet
from diffusion.model_options import (
    DownscaleOption,
    FreeUOption,
    ModelOption,
    PerturbedAttentionOption,
    SelfAttentionOption,
)
from diffusion.model_patches.freeu import damped, strengthened
from diffusion.residency import Residency
from diffusion.sampling.protocols import Residuals, Start
from diffusion.sampling.run_patches import PassInfo
from diffusion.values import ModelRef
from tests.diffusion import xl
from tests.diffusion.control.test_adapters import SD1, XL, spots

FREE = FreeUOption(1.4, 1.6, 0.7, 0.3, 2)
Change = Callable[[int, Tensor], Tensor]


@pytest.fixture(scope="module")
def residency(tmp_path_factory: pytest.TempPathFactory) -> Residency:
    models: Path = tmp_path_factory.mktemp("models")
    (models / "diffusion_models").mkdir()
    for name, config in (("sd1", SD1), ("xl", XL), ("koala", replace(XL, middle=False, middle_depth=None))):
        save_file(xl.unet(config), models / "diffusion_models" / f"{name}.safetensors")
    return Residency(ModelLibrary(models), "cpu", "fp32")


def loaded(residency: Residency, name: str = "sd1") -> LoadedUnet:
    return residency.unet(ModelRef(residency.library.resolve("diffusion_models", f"{name}.safetensors")))


def shrink(block: int, factor: float = 2.0, *, after_skip: bool = True) -> DownscaleOption:
    return DownscaleOption(block, factor, 0.0, 1.0, after_skip, "nearest-exact", "bilinear")


def inputs(unet: LoadedUnet) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    made = torch.Generator().manual_seed(3)
    vector = torch.randn(1, unet.config.vector, generator=made) if unet.config.vector else None
    x, context = torch.randn(1, 4, 16, 24, generator=made), torch.randn(1, 77, 64, generator=made)
    return x, torch.tensor([500.0]), context, vector


def predict(unet: LoadedUnet, *options: ModelOption, residuals: Residuals | None = None) -> Tensor:
    x, times, context, vector = inputs(unet)
    with_options = replace(unet, options=options)
    with ExitStack() as stack:
        for patch in with_options.run_patches(Start(x), [3.0, 0.0]):
            stack.enter_context(patch.during(PassInfo(3.0, (16, 24), ("positive",), 1)))
        return with_options.predict(x, times, context, vector, residuals)


@torch.inference_mode()
def walk(
    unet: LoadedUnet,
    skip: Change,
    going_on: Change,
    middle: Callable[[Tensor], Tensor],
    join: Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]],
) -> Tensor:
    """The forward pass of Stable Diffusion 1, block by block in the original numbering, with something done to what
    each input block gives, to what the next one reads, to the middle's result, and to what each output block joins."""
    net: Any = unet.module
    x, times, context, _ = inputs(unet)
    emb = net.time_embedding(net.time_proj(times))
    skips: list[Tensor] = []

    def attend(stage: Any, i: int, h: Tensor) -> Tensor:
        h = stage.resnets[i](h, emb)
        found = getattr(stage, "attentions", None)
        return h if found is None else found[i](h, encoder_hidden_states=context, return_dict=False)[0]

    def keep(h: Tensor) -> Tensor:
        number = len(skips)
        skips.append(skip(number, h))
        return going_on(number, skips[-1])

    h = keep(net.conv_in(x))
    for stage in net.down_blocks:
        for i in range(len(stage.resnets)):
            h = keep(attend(stage, i, h))
        for layer in stage.downsamplers or ():
            h = keep(layer(h))
    h = middle(net.mid_block(h, emb, encoder_hidden_states=context))
    number = 0
    for stage in net.up_blocks:
        for i in range(len(stage.resnets)):
            h, joined = join(number, h, skips.pop())
            h = attend(stage, i, torch.cat([h, joined], dim=1))
            number += 1
        for layer in stage.upsamplers or ():
            h = layer(h, skips[-1].shape[-2:])
    return net.conv_out(net.conv_act(net.conv_norm_out(h)))


def same(_: int, h: Tensor) -> Tensor:
    return h


def sized(h: Tensor, like: Tensor) -> Tensor:
    return h if h.shape[-2] == like.shape[-2] else interpolate(h, like.shape[-2:], mode="bilinear")


def halved(h: Tensor) -> Tensor:
    return interpolate(h, (round(h.shape[-2] / 2), round(h.shape[-1] / 2)), mode="nearest-exact")


def freed(h: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
    factors = {128: (FREE.b1, FREE.s1), 64: (FREE.b2, FREE.s2)}.get(h.shape[1])
    if factors is None:
        return h, skip
    return strengthened(h, factors[0], adaptive=True), damped(skip, factors[1])


def test_options_change_the_way_up_in_their_order(residency: Residency):
    unet = loaded(residency)

    def before(_: int, h: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        h, skip = freed(h, skip)
        return sized(h, skip), skip

    def behind(_: int, h: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        return freed(sized(h, skip), skip)

    found: list[Tensor] = []
    for options, join in (((FREE, shrink(4)), before), ((shrink(4), FREE), behind)):
        ours = predict(unet, *options)
        theirs = walk(unet, same, lambda n, h: halved(h) if n == 4 else h, lambda h: h, join)
        assert torch.allclose(ours, theirs, atol=1e-5)
        found.append(ours)
    assert not torch.allclose(found[0], found[1], atol=1e-3)


def test_a_second_shrink_of_a_block_is_followed_by_the_first(residency: Residency):
    unet = loaded(residency)
    ours = predict(unet, shrink(4, after_skip=False), shrink(4, after_skip=False))
    theirs = walk(unet, lambda n, h: halved(halved(h)) if n == 4 else h, same, lambda h: h,
                  lambda _, h, skip: (sized(h, skip), skip))  # fmt: skip
    assert torch.allclose(ours, theirs, atol=1e-5)


def residuals_of(unet: LoadedUnet) -> Residuals:
    made = torch.Generator().manual_seed(4)
    down: list[Tensor] = []

    def note(_: int, h: Tensor) -> Tensor:
        down.append(torch.randn(h.shape, generator=made) * 0.1)
        return h

    ends: list[Tensor] = []
    walk(unet, note, same, lambda h: ends.append(torch.randn(h.shape, generator=made)) or h, lambda _, h, s: (h, s))
    return Residuals(tuple(down), ends[0])


def test_residuals_are_added_as_ever_where_nothing_shrinks(residency: Residency):
    unet = loaded(residency)
    residuals = residuals_of(unet)
    assert torch.allclose(predict(unet, shrink(32), residuals=residuals), predict(unet, residuals=residuals), atol=1e-5)


@pytest.mark.parametrize("name", ["sd1", "xl"])
def test_an_adapters_features_land_where_they_did(residency: Residency, name: str):
    unet = loaded(residency, name)
    made: list[Tensor] = []
    hooks = [
        each.register_forward_hook(lambda _module, _inputs, out: made.append(torch.randn_like(first(out))))
        for each in spots(unet.module)
    ]
    predict(unet)
    for hook in hooks:
        hook.remove()
    features = Residuals(inside=tuple(made))
    ours, theirs = predict(unet, shrink(32), residuals=features), predict(unet, residuals=features)
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert not torch.allclose(ours, predict(unet), atol=1e-3)


def test_only_residuals_of_the_size_of_what_they_land_on_are_added(
    residency: Residency, caplog: pytest.LogCaptureFixture
):
    unet = loaded(residency)
    residuals = residuals_of(unet)
    ours = predict(unet, shrink(4), residuals=residuals)

    def join(number: int, h: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        residual = residuals.down[len(residuals.down) - 1 - number]
        skip = skip + residual if residual.shape == skip.shape else skip
        return sized(h, skip), skip

    theirs = walk(unet, same, lambda n, h: halved(h) if n == 4 else h, lambda h: h, join)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert "is left out: the model works on" in caplog.text


@pytest.mark.parametrize(
    "options", [(FREE,), (shrink(3), FREE), (shrink(5),), (PerturbedAttentionOption(3.0),), (shrink(8),)]
)
def test_a_network_without_a_middle_takes_options(residency: Residency, options: tuple[ModelOption, ...]):
    unet = loaded(residency, "koala")
    assert torch.isfinite(predict(unet, *options)).all()


def test_self_attention_guidance_says_when_there_is_no_middle_to_watch(residency: Residency):
    with pytest.raises(DiffusionError, match="this model has none"):
        predict(loaded(residency, "koala"), SelfAttentionOption(0.5, 2.0))


def first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output
