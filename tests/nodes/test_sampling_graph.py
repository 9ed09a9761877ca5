"""One graph that uses every conditioning, custom sampling and model patch node, run as the worker runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from diffusion.worker_resources import create
from executor.cache import Cache
from executor.events import JobDone, JobFailed
from executor.files import Files
from executor.folders import Folders, OutputNames
from executor.run import JobRequest, Services, run_job
from nodes.sdk import load_packs
from tests.diffusion import tiny
from tests.executor.conftest import text
from tests.nodes.test_operations_graph import Graph

PACKS = (
    "conditioning_ops",
    "custom_sampling",
    "guiders",
    "samplers",
    "sigmas",
    "model_patches",
    "attention",
    "image_grid",
)


def prompts(graph: Graph, clip: list[Any]) -> tuple[list[Any], list[Any]]:
    fox, boat, empty = (graph.add("CLIPTextEncode", text=words, clip=clip) for words in ("a fox", "a boat", ""))
    mask = graph.add("SolidMask", value=1.0, width=64, height=64)
    left = graph.add("ConditioningSetArea", conditioning=fox, width=64, height=64)
    half = graph.add("ConditioningSetAreaPercentage", conditioning=boat, width=0.5, height=1.0, x=0.5)
    weak = graph.add("ConditioningSetAreaStrength", conditioning=half, strength=0.5)
    masked = graph.add("ConditioningSetMask", conditioning=boat, mask=mask)
    early = graph.add("ConditioningSetTimestepRange", conditioning=masked, end=0.5)
    joined = graph.add("ConditioningConcat", conditioning_to=fox, conditioning_from=boat)
    mean = graph.add("ConditioningAverage", conditioning_to=joined, conditioning_from=fox, conditioning_to_strength=0.5)
    both = mean
    for other in (left, weak, early):
        both = graph.add("ConditioningCombine", conditioning_1=both, conditioning_2=other)
    return both, graph.add("ConditioningZeroOut", conditioning=empty)


def samplers(graph: Graph, model: list[Any]) -> list[list[Any]]:
    named = ("EulerAncestral", "EulerAncestralCFGPP", "EulerCFGpp", "DDIM", "DPMPP_2S_Ancestral", "LMS", "DPMPP_2M_SDE",
             "DPMPP_3M_SDE", "DPMPP_SDE", "DPMAdaptative", "ER_SDE", "LCMUpscale")  # fmt: skip
    made = [graph.add(f"Sampler{name}") for name in named]
    made.append(graph.add("SamplerSASolver", model=model))
    return [*made, graph.add("KSamplerSelect", sampler_name="euler")]


def levels(graph: Graph, model: list[Any]) -> list[list[Any]]:
    steps = {"steps": 2}
    made = [graph.add(name, model=model, **steps) for name in ("BasicScheduler", "SDTurboScheduler")]
    made.append(graph.add("BetaSamplingScheduler", model=model, **steps))
    free = ("KarrasScheduler", "ExponentialScheduler", "PolyexponentialScheduler", "LaplaceScheduler", "VPScheduler")
    made += [graph.add(name, **steps) for name in free]
    made += [graph.add(name, **steps) for name in ("AlignYourStepsScheduler", "GITSScheduler")]
    high, low = (
        graph.add("SplitSigmas", sigmas=made[0], step=1)[0],
        graph.add("SplitSigmasDenoise", sigmas=made[1])[0],
    )
    turned = graph.add("FlipSigmas", sigmas=graph.add("FlipSigmas", sigmas=[low, 1]))
    middle = graph.add("SamplingPercentToSigma", model=model, sampling_percent=0.5)
    finer = graph.add("ExtendIntermediateSigmas", sigmas=made[3], end_at_sigma=middle)
    return [*made, [high, 0], turned, finer, graph.add("SetFirstSigma", sigmas=[high, 1], sigma=10.0)]


def patched(graph: Graph, model: list[Any]) -> list[Any]:
    for name, inputs in (
        ("RescaleCFG", {}), ("DifferentialDiffusion", {}), ("FreeU", {}), ("FreeU_V2", {}),
        ("PerturbedAttentionGuidance", {}), ("SelfAttentionGuidance", {}), ("HyperTile", {"tile_size": 32}),
        ("TomePatchModel", {}), ("PatchModelAddDownscale", {"block_number": 1}), ("ModelSamplingDiscrete", {}),
        ("UNetSelfAttentionMultiply", {"q": 0.9}), ("UNetCrossAttentionMultiply", {"out": 1.1}),
        ("ModelComputeDtype", {"dtype": "fp32"}),
    ):  # fmt: skip
        model = graph.add(name, model=model, **inputs)
    operation = graph.add("LatentOperationTonemapReinhard", multiplier=2.0)
    return graph.add("LatentApplyOperationCFG", model=model, operation=operation)


def test_a_graph_of_every_sampling_node_runs(tmp_path: Path):
    tiny.write(tmp_path / "models" / "checkpoints" / "tiny.safetensors")
    packs, graph = load_packs(), Graph()
    checkpoint = graph.add("CheckpointLoaderSimple", ckpt_name="tiny.safetensors")[0]
    model, clip, vae = ([checkpoint, slot] for slot in range(3))
    clip = graph.add("CLIPAttentionMultiply", clip=clip, v=1.1)
    positive, negative = prompts(graph, clip)
    plain = graph.add("CLIPTextEncode", text="a fox", clip=clip)
    empty = graph.add("EmptyLatent", width=128, height=64, batch_size=1)
    ways, walks = samplers(graph, model), levels(graph, model)
    latest = graph.add(
        "SamplerCustom", model=patched(graph, model), positive=positive, negative=negative, sampler=ways[-1],
        sigmas=walks[0], latent_image=empty,
    )  # fmt: skip
    guides = [
        graph.add("BasicGuider", model=model, conditioning=plain),
        graph.add("CFGGuider", model=model, positive=plain, negative=negative),
        graph.add("DualCFGGuider", model=model, cond1=plain, cond2=plain, negative=negative),
        graph.add("PerpNegGuider", model=model, positive=plain, negative=negative, empty_conditioning=negative),
    ]
    noises = [graph.add("RandomNoise"), graph.add("DisableNoise"), graph.add("NoiseFromLatent", samples=empty)]
    noised = graph.add("AddNoise", model=model, noise=noises[0], sigmas=walks[0], latent_image=latest)
    for i in range(max(len(ways), len(walks))):
        made = graph.add(
            "SamplerCustomAdvanced", noise=noises[i % 3], guider=guides[1 if i == 1 else i % 4],
            sampler=ways[i % len(ways)], sigmas=walks[i % len(walks)], latent_image=noised,
        )  # fmt: skip
        graph.add("SaveLatent", samples=[made[0], i % 2], filename_prefix="sampled")
    picture = graph.add("VAEDecode", samples=latest, vae=vae)
    graph.add("PreviewImage", images=graph.add("ImageGrid", images=picture))
    used = {each["class_type"] for each in graph.nodes.values()}
    assert {name for name, each in packs.nodes.items() if each.spec.pack in PACKS} <= used

    folders = Folders.below(tmp_path)
    folders.create()
    resources = create(tmp_path / "models", "cpu", "fp32")
    files, cache = Files(resources.library, folders), Cache(1 << 28, folders.stamp)
    services = Services(packs.nodes, packs.catalogue, files, cache, folders, OutputNames(folders), resources)
    end = run_job(JobRequest("job", text(graph.nodes)), services, lambda _: None, lambda: False)

    assert isinstance(end, JobDone), end
    for saved in end.outputs.values():
        if saved[0].filename.endswith(".latent"):
            assert load_file(folders.path(saved[0]))["latent_tensor"].isfinite().all()

    far = Graph()
    checkpoint = far.add("CheckpointLoaderSimple", ckpt_name="tiny.safetensors")[0]
    place = far.add("CLIPTextEncode", text="a fox", clip=[checkpoint, 1])
    outside = far.add("ConditioningSetArea", conditioning=place, width=64, height=64, x=128)
    sampled = far.add(
        "KSampler", model=[checkpoint, 0], positive=outside, negative=place,
        latent_image=far.add("EmptyLatent", width=128, height=64),
    )  # fmt: skip
    far.add("SaveLatent", samples=sampled)
    end = run_job(JobRequest("far", text(far.nodes)), services, lambda _: None, lambda: False)
    assert isinstance(end, JobFailed)
    assert (end.error.class_type, end.error.input, end.error.code) == ("KSampler", "positive", "bad_area")
