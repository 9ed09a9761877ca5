from __future__ import annotations

import math

import pytest
import torch

from diffusion.errors import UnsupportedArchitecture
from diffusion.values import CondEntry, Conditioning
from nodes.controlnet import ControlNetApply, ControlNetApplyAdvanced, ControlNetLoader
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
    (use,) = positive.entries[0].options["control"]  # type: ignore[misc]
    assert (use.net, use.strength, use.start_percent, use.end_percent) == (net, 0.7, 0.1, 0.9)
    assert negative.entries[0].options["control"] == (use,)
    further, _ = ControlNetApplyAdvanced(positive, negative, net, HINT)
    assert len(further.entries[0].options["control"]) == 2  # type: ignore[arg-type]


def test_the_simple_node_shares_with_the_negative(job: FakeContext):
    guided = ControlNetApply(PROMPT, ControlNetLoader(job, "edges.safetensors"), HINT, 0.5)
    assert guided.entries[0].options["control_both"] is True


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
