"""ControlNet unions, and ControlNets stored as a difference, on reduced models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.embeddings import get_timestep_embedding
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import silu

from diffusion.control.network import LoadedControlNet, WrongControlNet
from diffusion.control.uses import with_use
from diffusion.keys import unet_names
from diffusion.library import ModelLibrary
from diffusion.residency import Residency
from diffusion.values import ControlNetRef, ControlUse, ModelRef
from tests.diffusion import control_files, tiny
from tests.diffusion.control.test_control import HINT, close, prompt, run

TASKS, WIDTH = 6, 32


def extra() -> dict[str, Tensor]:
    """The tensors that a union has beside a ControlNet's, by their names in the authors' files."""
    torch.manual_seed(21)
    shapes: dict[str, tuple[int, ...]] = {
        "task_embedding": (TASKS, WIDTH),
        "spatial_ch_projs.weight": (WIDTH, WIDTH),
        "spatial_ch_projs.bias": (WIDTH,),
        "control_add_embedding.linear_1.weight": (4 * WIDTH, TASKS * 256),
        "control_add_embedding.linear_1.bias": (4 * WIDTH,),
        "control_add_embedding.linear_2.weight": (4 * WIDTH, 4 * WIDTH),
        "control_add_embedding.linear_2.bias": (4 * WIDTH,),
    }
    layer = {
        "attn.in_proj_weight": (3 * WIDTH, WIDTH), "attn.in_proj_bias": (3 * WIDTH,),
        "attn.out_proj.weight": (WIDTH, WIDTH), "attn.out_proj.bias": (WIDTH,),
        "ln_1.weight": (WIDTH,), "ln_1.bias": (WIDTH,), "ln_2.weight": (WIDTH,), "ln_2.bias": (WIDTH,),
        "mlp.c_fc.weight": (4 * WIDTH, WIDTH), "mlp.c_fc.bias": (4 * WIDTH,),
        "mlp.c_proj.weight": (WIDTH, 4 * WIDTH), "mlp.c_proj.bias": (WIDTH,),
    }  # fmt: skip
    shapes |= {f"transformer_layes.0.{name}": shape for name, shape in layer.items()}
    return {name: torch.randn(shape) * 0.3 for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def residency(tmp_path_factory: pytest.TempPathFactory) -> Residency:
    models = tmp_path_factory.mktemp("models")
    tiny.write(models / "checkpoints" / "tiny.safetensors")
    control_files.write(models, "plain.safetensors")
    for layout in ("diffusers", "original"):
        root = "control_model." if layout == "original" else ""
        tensors = control_files.tensors(layout) | {root + name: value for name, value in extra().items()}
        save(models, f"union-{layout}.safetensors", tensors)
    return Residency(ModelLibrary(models), "cpu", "fp32")


def save(models: Path, name: str, tensors: dict[str, Tensor]) -> None:
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, models / "controlnet" / name)


def net(residency: Residency, name: str, **given: Any) -> ControlNetRef:
    return ControlNetRef(residency.library.resolve("controlnet", name), **given)


def by_hand(task: int | None, x: Tensor, times: Tensor, context: Tensor, hint: Tensor) -> tuple[Any, Tensor]:
    """diffusers' ControlNet, its embedding of the time and its features of the picture shifted as the paper's code and
    ComfyUI do: attention over the token of the one picture there is."""
    parts, control = extra(), control_files.module()
    attention = nn.MultiheadAttention(WIDTH, 8, batch_first=True)
    prefix = "transformer_layes.0."
    attention.load_state_dict(
        {name.removeprefix(f"{prefix}attn."): value for name, value in parts.items() if ".attn." in name}
    )

    def linear(name: str, value: Tensor) -> Tensor:
        return nn.functional.linear(value, parts[f"{name}.weight"], parts[f"{name}.bias"])

    def norm(name: str, value: Tensor) -> Tensor:
        return nn.functional.layer_norm(value, (WIDTH,), parts[f"{name}.weight"], parts[f"{name}.bias"])

    kinds = torch.zeros(TASKS)
    if task is not None:
        kinds[task] = 1
    numbers = get_timestep_embedding(kinds, 256, flip_sin_to_cos=True, downscale_freq_shift=0).reshape(1, -1)
    shift = linear("control_add_embedding.linear_2", silu(linear("control_add_embedding.linear_1", numbers)))

    def later(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        return output + shift

    control.time_embedding.register_forward_hook(later)

    def fused(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        token = (output.mean(dim=(2, 3)) + parts["task_embedding"][task])[:, None]
        normed = norm(f"{prefix}ln_1", token)
        token = token + attention(normed, normed, normed)[0]
        hidden = linear(f"{prefix}mlp.c_fc", norm(f"{prefix}ln_2", token))
        token = token + linear(f"{prefix}mlp.c_proj", hidden * torch.sigmoid(1.702 * hidden))
        return output + linear("spatial_ch_projs", token[:, 0])[:, :, None, None]

    if task is not None:
        control.controlnet_cond_embedding.register_forward_hook(fused)
    return control(x, times, context, hint, return_dict=False)


@pytest.mark.parametrize("layout", ["diffusers", "original"])
@pytest.mark.parametrize("task", [None, 0, 3])
@torch.no_grad()
def test_a_union_is_told_what_it_sees(residency: Residency, layout: str, task: int | None):
    x, context, hint = torch.randn(2, 4, 8, 8), torch.randn(2, 77, 64), torch.rand(2, 3, 64, 64)
    times = torch.tensor([1.0, 999.0])
    down, middle = by_hand(task, x, times, context, hint)
    union = residency.control_net(net(residency, f"union-{layout}.safetensors"))
    assert isinstance(union, LoadedControlNet)
    ours = union.residuals(x, times, context, None, hint, task)
    assert ours.middle is not None
    assert torch.allclose(ours.middle, middle, atol=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours.down, down, strict=True))


def test_kinds_share_weights_and_differ_in_the_picture(residency: Residency):
    residency.free()
    before = residency.loads.control
    pictures = [
        run(residency, with_use(prompt(1), use), with_use(prompt(2), use))
        for use in (ControlUse(net(residency, "union-diffusers.safetensors", task=task), HINT) for task in (None, 1, 2))
    ]
    assert residency.loads.control == before + 1
    assert not torch.allclose(pictures[0], pictures[1], atol=1e-3)
    assert not torch.allclose(pictures[1], pictures[2], atol=1e-3)


def test_a_kind_that_the_network_does_not_know_is_refused(residency: Residency):
    use = ControlUse(net(residency, "union-diffusers.safetensors", task=7), HINT)
    with pytest.raises(WrongControlNet, match="knows 6 kinds"):
        run(residency, with_use(prompt(1), use), prompt(2))


def test_a_difference_and_its_model_make_the_control_network(residency: Residency):
    whole, base = control_files.tensors("original"), tiny.tensors()
    place = unet_names(tiny.UNET)("conv_in.weight").removesuffix("input_blocks.0.0.weight")
    stored = {
        name: value - base[twin] if (twin := name.replace("control_model.", place)) in base else value
        for name, value in whole.items()
    }
    assert any(not torch.equal(stored[name], whole[name]) for name in whole)
    save(residency.library.models_dir, "difference.safetensors", {**stored, "difference": torch.zeros(0)})
    model = ModelRef(residency.library.resolve("checkpoints", "tiny.safetensors"))
    pictures = [
        run(residency, with_use(prompt(1), use), with_use(prompt(2), use))
        for use in (
            ControlUse(net(residency, "difference.safetensors", model=model), HINT),
            ControlUse(net(residency, "plain.safetensors"), HINT),
        )
    ]
    assert close(pictures[0], pictures[1])
