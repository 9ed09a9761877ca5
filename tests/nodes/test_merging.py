from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diffusion.keys import unet_names
from diffusion.values import ClipRef, ModelRef
from nodes.loaders import CheckpointLoader
from nodes.loras import LoraLoader
from nodes.merging import (
    CLIPMergeAdd,
    CLIPMergeSimple,
    CLIPMergeSubtract,
    ModelMergeAdd,
    ModelMergeBlocks,
    ModelMergeSimple,
    ModelMergeSubtract,
)
from nodes.sdk import NodeError, load_packs
from tests.diffusion import tiny
from tests.diffusion.patches import lora_files
from tests.nodes.fake_context import FakeContext


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> FakeContext:
    folder = tmp_path_factory.mktemp("data")
    for seed, name in enumerate(("a", "b", "c")):
        tiny.write(folder / "models" / "checkpoints" / f"{name}.safetensors", seed=seed)
    lora_files.write(folder / "models", "style.safetensors", lora_files.tensors("kohya"))
    return FakeContext(folder)


def loaded(job: FakeContext, name: str) -> tuple[ModelRef, ClipRef]:
    model, clip, _ = CheckpointLoader(job, f"{name}.safetensors")
    return model, clip


def weights(job: FakeContext, ref: ModelRef | ClipRef) -> dict[str, Tensor]:
    held = job.residency.unet(ref) if isinstance(ref, ModelRef) else job.residency.clip(ref)
    return {name: value.float() for name, value in held.module.named_parameters()}


def test_a_ratio_mixes_every_weight(job: FakeContext):
    (a, clip_a), (b, clip_b) = loaded(job, "a"), loaded(job, "b")
    for merged, first, second in (
        (ModelMergeSimple(job, a, b, 0.3), a, b),
        (CLIPMergeSimple(job, clip_a, clip_b, 0.3), clip_a, clip_b),
    ):
        ours, one, two = weights(job, merged), weights(job, first), weights(job, second)
        for name, value in ours.items():
            expected = 0.3 * one[name] + 0.7 * two[name]
            assert torch.allclose(value, expected, atol=1e-6) or torch.equal(value, expected.half().float())


def test_a_ratio_of_one_is_the_first_model(job: FakeContext):
    a, b = loaded(job, "a")[0], loaded(job, "b")[0]
    ours, one = weights(job, ModelMergeSimple(job, a, b, 1.0)), weights(job, a)
    assert all(ours[name] is one[name] for name in ours)


def test_each_part_of_the_network_has_its_own_ratio(job: FakeContext):
    a, b = loaded(job, "a")[0], loaded(job, "b")[0]
    ours = weights(job, ModelMergeBlocks(job, a, b, 0.9, 0.5, 0.1))
    one, two = weights(job, a), weights(job, b)
    place = unet_names(tiny.UNET)
    for name, value in ours.items():
        part = place(name).split("diffusion_model.")[1]
        ratio = 0.1 if part.startswith("out") else 0.5 if part.startswith("middle") else 0.9
        assert torch.allclose(value, ratio * one[name] + (1 - ratio) * two[name], atol=1e-6)


def test_what_one_learned_is_added_to_another(job: FakeContext):
    (a, clip_a), (b, clip_b), (c, clip_c) = (loaded(job, name) for name in "abc")
    pairs = (
        (ModelMergeAdd(job, a, ModelMergeSubtract(job, b, c, 0.5)), (a, b, c)),
        (CLIPMergeAdd(job, clip_a, CLIPMergeSubtract(job, clip_b, clip_c, 0.5)), (clip_a, clip_b, clip_c)),
    )
    for merged, refs in pairs:
        ours, (one, two, three) = weights(job, merged), (weights(job, ref) for ref in refs)
        for name, value in ours.items():
            expected = one[name] + 0.5 * (two[name] - three[name])
            assert torch.allclose(value, expected, atol=1e-6) or torch.allclose(value, expected.half().float(), 1e-3)


def test_patches_before_and_after_a_merge_count_in_order(job: FakeContext):
    (a, clip), (b, _) = loaded(job, "a"), loaded(job, "b")
    changed, _ = LoraLoader(job, a, clip, "style.safetensors", 1.0, 0.0)
    before = weights(job, ModelMergeSimple(job, changed, b, 0.5))
    after = weights(job, LoraLoader(job, ModelMergeSimple(job, a, b, 0.5), clip, "style.safetensors", 0.5, 0.0)[0])
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    other = weights(job, ModelMergeSimple(job, b, changed, 0.5))
    assert all(torch.allclose(before[name], other[name], atol=1e-6) for name in before)


def test_models_of_unlike_layers_are_refused(job: FakeContext):
    from safetensors.torch import save_file

    tensors = {name: value for name, value in tiny.tensors().items() if "cond_stage_model" not in name}
    for name in list(tensors):
        if name.endswith(("attn2.to_k.weight", "attn2.to_v.weight")):
            tensors[name] = torch.zeros(tensors[name].shape[0], 96)
    save_file(tensors, job.library.models_dir / "checkpoints" / "wide.safetensors")
    a, wide = loaded(job, "a")[0], ModelRef(job.library.resolve("checkpoints", "wide.safetensors"))
    with pytest.raises(NodeError, match="differ in their layers") as caught:
        ModelMergeSimple(job, a, wide, 0.5)
    assert caught.value.input == "model2"


def test_the_sums_and_differences_go_by_comfyuis_names_and_their_former_ones():
    catalogue = load_packs().catalogue
    for kind in ("Model", "CLIP"):
        for deed in ("Add", "Subtract"):
            assert catalogue[f"{kind}Merge{deed}"] is catalogue[f"{kind}{deed}"]
