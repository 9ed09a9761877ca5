from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion.errors import DiffusionError
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
    ModelMergeSD1,
    ModelMergeSDXL,
    ModelMergeSimple,
    ModelMergeSubtract,
)
from nodes.sdk import NodeError, load_packs
from tests.diffusion import tiny, xl
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


def test_each_block_has_its_own_ratio_by_the_longest_name_that_fits(job: FakeContext):
    a, b = loaded(job, "a")[0], loaded(job, "b")[0]
    one, two, place = weights(job, a), weights(job, b), unet_names(tiny.UNET)
    given = {"time_embed.": 0.9, "input_blocks.1.": 0.2, "output_blocks.1.": 0.3, "out.": 0.4}
    for merge, end in ((ModelMergeSD1, "."), (ModelMergeSDXL, "")):
        named = {name if "blocks" not in name else name.removesuffix(".") + end: each for name, each in given.items()}
        for name, value in weights(job, merge(job, a, b, **named)).items():
            part = place(name).split("diffusion_model.")[1]
            ratio = next((each for prefix, each in given.items() if part.startswith(prefix)), 1.0)
            assert torch.allclose(value, ratio * one[name] + (1 - ratio) * two[name], atol=1e-6), part


def test_the_names_of_blocks_are_comfyuis_in_its_order():
    specs = [load_packs().catalogue[f"ModelMerge{family}"].inputs for family in ("SD1", "SD2", "SDXL")]
    assert [len(each) for each in specs] == [32, 32, 26]
    names = [each.name for each in specs[0]]
    assert names[:6] == ["model1", "model2", "time_embed.", "label_emb.", "input_blocks.0.", "input_blocks.1."]
    assert names[16:20] == ["middle_block.0.", "middle_block.1.", "middle_block.2.", "output_blocks.0."]
    assert specs[2][4].name == "input_blocks.0"
    assert (specs[0][-1].name, specs[0][-1].default, specs[0][-1].step) == ("out.", 1.0, 0.01)


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


def test_an_inpainting_model_takes_the_difference_of_two_others(job: FakeContext, caplog: pytest.LogCaptureFixture):
    a, b, wide = loaded(job, "a")[0], loaded(job, "b")[0], unlike(job, "inpaint", in_channels=9)
    with caplog.at_level(logging.WARNING, "latentgraph.merge"):
        ours = weights(job, ModelMergeAdd(job, ModelMergeSubtract(job, wide, a, 1.0), b))
    assert "1 of" in caplog.text
    assert "input_blocks.0.0.weight the first: [32, 4, 3, 3], not [32, 9, 3, 3]" in caplog.text
    one, two, three = (weights(job, each) for each in (wide, a, b))
    for name, value in ours.items():
        expected = one[name] if name == "conv_in.weight" else one[name] - two[name] + three[name]
        assert torch.allclose(value, expected, atol=1e-6), name


def test_a_weight_of_another_shape_is_still_multiplied_by_its_own_share(job: FakeContext):
    a, wide = loaded(job, "a")[0], unlike(job, "inpaint", in_channels=9)
    assert torch.allclose(
        weights(job, ModelMergeSimple(job, wide, a, 0.5))["conv_in.weight"], weights(job, wide)["conv_in.weight"] / 2
    )


def test_weights_that_the_other_model_lacks_stay(job: FakeContext):
    more, a = unlike(job, "more", down_depths=((2,), (0,))), loaded(job, "a")[0]
    ours, one, two = weights(job, ModelMergeSimple(job, more, a, 0.25)), weights(job, more), weights(job, a)
    assert ours.keys() - two.keys()
    for name, value in ours.items():
        expected = 0.25 * one[name] + 0.75 * two[name] if name in two else one[name]
        assert torch.allclose(value, expected, atol=1e-6), name


def test_text_encoders_meet_those_of_their_kind(job: FakeContext):
    for name, config in (("l", replace(xl.SMALL, root="text_model.")), ("g", replace(xl.LARGE, root=""))):
        save(job, "clip", name, xl.clip(config))
    narrow, wide = (job.library.resolve("clip", f"{name}.safetensors") for name in "lg")
    clip, both = loaded(job, "a")[1], ClipRef((narrow, wide))
    ours, one, two = (weights(job, each) for each in (CLIPMergeSimple(job, both, clip, 0.5), both, clip))
    for name, value in ours.items():
        expected = (one[name] + two[name]) / 2 if name in two else one[name]
        assert torch.allclose(value, expected.half().float(), atol=1e-6), name
    with pytest.raises(DiffusionError, match=r"None of the .* weights has a counterpart") as caught:
        CLIPMergeSimple(job, clip, ClipRef((wide,)), 0.5)
    assert caught.value.input == "clip2"


def test_models_of_other_levels_are_refused(job: FakeContext):
    a, small = loaded(job, "a")[0], unlike(job, "small", channels=(32, 32), heads=(8, 8))
    with pytest.raises(NodeError, match="differ in their levels") as caught:
        ModelMergeSimple(job, a, small, 0.5)
    assert caught.value.input == "model2"


def unlike(job: FakeContext, name: str, **changes: Any) -> ModelRef:
    """A U-Net of other layers than the rest."""
    save(job, "diffusion_models", name, xl.unet(replace(tiny.UNET, **changes)))
    return ModelRef(job.library.resolve("diffusion_models", f"{name}.safetensors"))


def save(job: FakeContext, kind: str, name: str, tensors: dict[str, Tensor]) -> None:
    path = job.library.models_dir / kind / f"{name}.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, path)


def test_the_sums_and_differences_go_by_comfyuis_names_and_their_former_ones():
    catalogue = load_packs().catalogue
    for kind in ("Model", "CLIP"):
        for deed in ("Add", "Subtract"):
            assert catalogue[f"{kind}Merge{deed}"] is catalogue[f"{kind}{deed}"]
