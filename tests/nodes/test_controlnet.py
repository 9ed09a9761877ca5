from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import save_file

from diffusion.control.uses import uses_of
from diffusion.errors import UnsupportedArchitecture
from diffusion.model_options import RescaleCfgOption
from diffusion.values import ClipRef, CondEntry, Conditioning, ModelRef
from nodes.conditioning import CLIPTextEncode
from nodes.controlnet import (
    CLIPTextEncodeControlnet,
    ControlNetApply,
    ControlNetApplyAdvanced,
    ControlNetApplySD3,
    ControlNetLoader,
    DiffControlNetLoader,
    SetUnionControlNetType,
)
from nodes.sdk import NodeError
from tests.diffusion import control_files, tiny
from tests.nodes.fake_context import FakeContext

PROMPT = Conditioning((CondEntry(torch.zeros(1, 77, 64)),))
HINT = torch.rand(1, 32, 32, 3)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> FakeContext:
    folder = tmp_path_factory.mktemp("data")
    control_files.write(folder / "models", "edges.safetensors")
    tiny.write(folder / "models" / "controlnet" / "model.safetensors")
    return FakeContext(folder)


def test_both_sides_carry_the_same_use(job: FakeContext):
    net = ControlNetLoader(job, "edges.safetensors")
    positive, negative = ControlNetApplyAdvanced(PROMPT, PROMPT, net, HINT, 0.7, 0.1, 0.9)
    (use,) = uses_of(positive.entries[0])
    assert (use.net, use.strength, use.start_percent, use.end_percent) == (net, 0.7, 0.1, 0.9)
    assert negative.entries[0].options["control"] == (use,)
    further, _ = ControlNetApplyAdvanced(positive, negative, net, HINT)
    assert len(uses_of(further.entries[0])) == 2


def test_the_simple_node_shares_with_the_negative(job: FakeContext):
    guided = ControlNetApply(PROMPT, ControlNetLoader(job, "edges.safetensors"), HINT, 0.5)
    assert guided.entries[0].options["control_both"] is True


def test_after_the_simple_node_the_advanced_one_ends_the_sharing(job: FakeContext):
    net = ControlNetLoader(job, "edges.safetensors")
    simple = ControlNetApply(PROMPT, net, HINT, 0.5)
    sides = ControlNetApplyAdvanced(simple, simple, net, HINT)
    assert [each.entries[0].options["control_both"] for each in sides] == [False, False]
    assert len(uses_of(sides.positive.entries[0])) == 2


def test_the_node_for_sd3_does_the_same_as_the_advanced_one(job: FakeContext):
    net = ControlNetLoader(job, "edges.safetensors")
    sides = ControlNetApplySD3(PROMPT, PROMPT, net, image=HINT, strength=0.7, start_percent=0.1, end_percent=0.9)
    (use,) = uses_of(sides.positive.entries[0])
    assert (use.net, use.strength, use.start_percent, use.end_percent) == (net, 0.7, 0.1, 0.9)
    assert sides.negative.entries[0].options["control"] == (use,)


def test_a_prompt_for_the_control_networks_leaves_the_prompt_itself(job: FakeContext):
    tiny.write(job.library.models_dir / "checkpoints" / "tiny.safetensors")
    clip = ClipRef((job.library.resolve("checkpoints", "tiny.safetensors"),))
    told = CLIPTextEncodeControlnet(job, clip, PROMPT, "a fox").entries[0]
    assert told.embedding is PROMPT.entries[0].embedding
    assert torch.equal(
        torch.as_tensor(told.options["cross_attn_controlnet"]), CLIPTextEncode(job, "a fox", clip).entries[0].embedding
    )


def test_strength_zero_leaves_the_prompts_alone(job: FakeContext):
    net = ControlNetLoader(job, "edges.safetensors")
    assert ControlNetApplyAdvanced(PROMPT, PROMPT, net, HINT, 0.0) == (PROMPT, PROMPT)
    assert ControlNetApply(PROMPT, net, HINT, 0.0) is PROMPT


def test_a_file_that_is_no_control_network_is_blamed_on_its_input(job: FakeContext):
    with pytest.raises(UnsupportedArchitecture, match="whole checkpoint") as caught:
        ControlNetLoader(job, "model.safetensors")
    assert caught.value.input == "control_net_name"


def test_a_strength_that_is_no_number_is_refused(job: FakeContext):
    with pytest.raises(NodeError):
        ControlNetApply(PROMPT, ControlNetLoader(job, "edges.safetensors"), HINT, math.nan)


def test_the_kind_of_picture_is_set_by_its_name_and_auto_takes_it_back(job: FakeContext):
    net = ControlNetLoader(job, "edges.safetensors")
    told = SetUnionControlNetType(net, "canny/lineart/anime_lineart/mlsd")
    assert told.task == 3
    assert SetUnionControlNetType(told, "auto") == net


def test_a_difference_needs_the_loader_that_takes_a_model(job: FakeContext):
    tensors = {**control_files.tensors("original"), "difference": torch.zeros(1)}
    path = job.library.models_dir / "controlnet" / "difference.safetensors"
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, path)
    with pytest.raises(NodeError, match="difference of a ControlNet") as caught:
        ControlNetLoader(job, "difference.safetensors")
    assert caught.value.input == "control_net_name"
    model = ModelRef(job.library.resolve("controlnet", "model.safetensors"), options=(RescaleCfgOption(0.5),))
    assert DiffControlNetLoader(job, model, "difference.safetensors").model == ModelRef(model.file)
    assert DiffControlNetLoader(job, model, "edges.safetensors").model is None
