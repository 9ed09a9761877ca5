"""What does not fit together is an error that names the node and the input, and says what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from diffusion.worker_resources import create
from executor.cache import Cache
from executor.events import JobFailed
from executor.files import Files
from executor.folders import Folders, OutputNames
from executor.run import JobRequest, Services, run_job
from nodes.sdk import load_packs
from tests.diffusion import control_files, tiny, xl
from tests.diffusion.patches import lora_files
from tests.executor.conftest import text
from tests.nodes.test_operations_graph import Graph

Link = list[Any]

KINDS = (
    "checkpoints", "clip", "controlnet", "diffusion_models", "embeddings", "loras", "safety_checker", "upscale_models",
    "vae",
)  # fmt: skip
DAMAGED = [f"{kind}/damaged.safetensors" for kind in KINDS]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    folder = tmp_path_factory.mktemp("bad")
    models = folder / "models"
    tiny.write(models / "checkpoints" / "tiny.safetensors")
    save_file(xl.tensors(), models / "checkpoints" / "xl.safetensors")
    lora_files.write(models, "wide.safetensors", lora_files.tensors("kohya", text=False, scale=2))
    control_files.write(models, "wide.safetensors", context=96)
    (models / "embeddings").mkdir()
    save_file({"emb_params": torch.zeros(2, 1024)}, models / "embeddings" / "wide.safetensors")
    packs, folders = load_packs(), Folders.below(folder)
    folders.create()
    for damaged in DAMAGED:
        (models / damaged).parent.mkdir(exist_ok=True)
        (models / damaged).write_bytes(b"abc")
    for name in ("damaged.png", "damaged.latent"):
        (folders.inputs / name).write_bytes(b"abc")
    (models / "configs").mkdir()
    (models / "configs" / "damaged.yaml").write_text("a: [", encoding="utf-8")
    save_file(
        {"latent_tensor": torch.zeros(1, 16, 8, 8), "latent_format_version_0": torch.tensor([])},
        folders.inputs / "sixteen.latent",
    )
    resources = create(models, "cpu", "fp32")
    files, cache = Files(resources.library, folders), Cache(1 << 28, folders.stamp)
    return Services(packs.nodes, packs.catalogue, files, cache, folders, OutputNames(folders), resources)


class Job(Graph):
    """A graph with a checkpoint, two prompts and an empty latent, which samples with some inputs of its own."""

    def __init__(self) -> None:
        super().__init__()
        checkpoint = self.add("CheckpointLoaderSimple", ckpt_name="tiny.safetensors")[0]
        self.model, self.clip, self.vae = ([checkpoint, slot] for slot in range(3))
        self.prompt = self.add("CLIPTextEncode", text="a fox", clip=self.clip)
        self.latent = self.empty(1)

    def empty(self, count: int) -> Link:
        return self.add("EmptyLatentImage", width=64, height=64, batch_size=count)

    def sampled(self, class_type: str = "KSampler", **inputs: object) -> Link:
        given: dict[str, object] = {"model": self.model, "positive": self.prompt, "negative": self.prompt}
        return self.add(class_type, **({**given, "latent_image": self.latent, "steps": 2} | inputs))


def another_lora(job: Job) -> Link:
    model = job.add("LoraLoader", model=job.model, clip=job.clip, lora_name="wide.safetensors")
    return job.sampled(model=model)


def another_control_network(job: Job) -> Link:
    net = job.add("ControlNetLoader", control_net_name="wide.safetensors")
    image = job.add("EmptyImage", width=64, height=64)
    both = job.add("ControlNetApplyAdvanced", positive=job.prompt, negative=job.prompt, control_net=net, image=image)
    return job.sampled(positive=both)


def another_embedding(job: Job) -> Link:
    return job.sampled(negative=job.add("CLIPTextEncode", text="ugly, embedding:wide", clip=job.clip))


def an_embedding_that_is_missing(job: Job) -> Link:
    return job.sampled(negative=job.add("CLIPTextEncode", text="embedding:wdie", clip=job.clip))


def another_text_encoder(job: Job) -> Link:
    checkpoint = job.add("CheckpointLoaderSimple", ckpt_name="xl.safetensors")[0]
    return job.sampled(positive=job.add("CLIPTextEncode", text="a fox", clip=[checkpoint, 1]))


def a_latent_of_other_channels(job: Job) -> Link:
    return job.sampled(latent_image=job.add("LoadLatent", latent="sixteen.latent"))


def a_latent_of_other_channels_to_custom_sampling(job: Job) -> Link:
    parts: dict[str, object] = {
        "noise": job.add("RandomNoise"),
        "guider": job.add("BasicGuider", model=job.model, conditioning=job.prompt),
        "sampler": job.add("KSamplerSelect", sampler_name="euler"),
        "sigmas": job.add("KarrasScheduler", steps=2),
    }
    return job.add("SamplerCustomAdvanced", **parts, latent_image=job.add("LoadLatent", latent="sixteen.latent"))


def batches_that_do_not_match(job: Job) -> Link:
    return job.add("LatentComposite", samples_to=job.empty(3), samples_from=job.empty(2))


def masks_that_do_not_match(job: Job) -> Link:
    image = job.add("EmptyImage", width=64, height=64, batch_size=3)
    mask = job.add("ImageToMask", image=job.add("EmptyImage", width=64, height=64, batch_size=2), channel="red")
    return job.add("VAEEncodeForInpaint", pixels=image, vae=job.vae, mask=mask)


def a_start_at_the_end(job: Job) -> Link:
    return job.sampled("KSamplerAdvanced", steps=5, start_at_step=3, end_at_step=3)


def a_start_beyond_the_end(job: Job) -> Link:
    return job.sampled("KSamplerAdvanced", steps=5, start_at_step=5)


def an_area_outside(job: Job) -> Link:
    away = job.add("ConditioningSetArea", conditioning=job.prompt, width=64, height=64, x=64)
    return job.sampled(positive=away)


@pytest.mark.parametrize(
    ("build", "blamed", "words"),
    [
        (
            another_lora,
            ("LoraLoader", "lora_name", "wrong_lora"),
            ("Stable Diffusion 1", "width 128", "0 of its 4 keys match"),
        ),
        (another_control_network, ("KSampler", "positive", "wrong_control_net"), ("wide.safetensors", "96", "64")),
        (another_embedding, ("CLIPTextEncode", "text", "wrong_embedding"), ("Stable Diffusion 2", "1024")),
        (an_embedding_that_is_missing, ("CLIPTextEncode", "text", "missing_file"), ("wdie", "wide.safetensors")),
        (another_text_encoder, ("KSampler", "positive", "wrong_text_encoder"), ("wide", "64")),
        (a_latent_of_other_channels, ("KSampler", "latent_image", "bad_latent"), ("4 channels", "16")),
        (
            a_latent_of_other_channels_to_custom_sampling,
            ("SamplerCustomAdvanced", "latent_image", "bad_latent"),
            ("4 channels", "16"),
        ),
        (batches_that_do_not_match, ("LatentComposite", "samples_from", "bad_batch"), ("2 items", "3")),
        (masks_that_do_not_match, ("VAEEncodeForInpaint", "mask", "bad_image"), ("2 masks", "3 pictures")),
        (a_start_at_the_end, ("KSamplerAdvanced", "end_at_step", "no_steps"), ("start step 3", "end step 3")),
        (a_start_beyond_the_end, ("KSamplerAdvanced", "start_at_step", "no_steps"), ("start step 5",)),
        (an_area_outside, ("KSampler", "positive", "bad_area"), ("outside the picture", "x=64")),
    ],
)
def test_what_does_not_fit_is_blamed_on_a_node_and_an_input(
    services: Services, build: Callable[[Job], Link], blamed: tuple[str, str, str], words: tuple[str, ...]
):
    job = Job()
    job.add("SaveLatent", samples=build(job))
    end = run_job(JobRequest(build.__name__, text(job.nodes)), services, lambda _: None, lambda: False)
    assert isinstance(end, JobFailed)
    assert (end.error.class_type, end.error.input, end.error.code) == blamed
    assert all(word in end.error.message for word in words), end.error.message


def damaged(class_type: str, name: str, *linked: str, **literals: object) -> Callable[[Job], Link]:
    """A node that is given a damaged file, and parts of the job by their names."""

    def build(job: Job) -> Link:
        image = job.add("EmptyImage", width=64, height=64) if {"image", "images"} & set(linked) else None
        parts = {"model": job.model, "clip": job.clip, "image": image, "images": image}
        return job.add(class_type, **{name: "damaged.safetensors"} | literals, **{each: parts[each] for each in linked})

    return build


def upscaled(job: Job) -> Link:
    net = job.add("UpscaleModelLoader", model_name="damaged.safetensors")
    return job.add("ImageUpscaleWithModel", upscale_model=net, image=job.add("EmptyImage", width=64, height=64))


@pytest.mark.parametrize(
    ("build", "class_type", "blamed"),
    [
        (damaged("LoraLoader", "lora_name", "model", "clip"), "LoraLoader", "lora_name"),
        (damaged("LoraLoaderModelOnly", "lora_name", "model"), "LoraLoaderModelOnly", "lora_name"),
        (damaged("ControlNetLoader", "control_net_name"), "ControlNetLoader", "control_net_name"),
        (damaged("CheckpointLoader", "ckpt_name"), "CheckpointLoader", "ckpt_name"),
        (
            damaged("CheckpointLoader", "config_name", ckpt_name="tiny.safetensors", config_name="damaged.yaml"),
            "CheckpointLoader",
            "config_name",
        ),
        (damaged("UNETLoader", "unet_name"), "UNETLoader", "unet_name"),
        (damaged("CLIPLoader", "clip_name"), "CLIPLoader", "clip_name"),
        (damaged("DualCLIPLoader", "clip_name1", clip_name2="damaged.safetensors"), "DualCLIPLoader", "clip_name1"),
        (damaged("VAELoader", "vae_name"), "VAELoader", "vae_name"),
        (damaged("SafetyCheck", "safety_checker", "images"), "SafetyCheck", "safety_checker"),
        (damaged("CLIPTextEncode", "text", "clip", text="embedding:damaged"), "CLIPTextEncode", "text"),
        (damaged("LoadImage", "image", image="damaged.png"), "LoadImage", "image"),
        (damaged("LoadImageMask", "image", image="damaged.png", channel="red"), "LoadImageMask", "image"),
        (damaged("LoadLatent", "latent", latent="damaged.latent"), "LoadLatent", "latent"),
        (upscaled, "ImageUpscaleWithModel", "upscale_model"),
        (damaged("SaveImage", "filename_prefix", "images", filename_prefix="../../x"), "SaveImage", "filename_prefix"),
        (damaged("SaveImage", "filename_prefix", "images", filename_prefix="/x"), "SaveImage", "filename_prefix"),
        (
            damaged("SaveAnimatedWEBP", "filename_prefix", "images", filename_prefix="../x"),
            "SaveAnimatedWEBP",
            "filename_prefix",
        ),
        (damaged("ModelSave", "filename_prefix", "model", filename_prefix="../x"), "ModelSave", "filename_prefix"),
    ],
)
def test_a_file_that_is_damaged_or_out_of_bounds_is_blamed_on_the_input_that_names_it(
    services: Services, build: Callable[[Job], Link], class_type: str, blamed: str
):
    job = Job()
    (node, _) = build(job)
    request = JobRequest("damaged", text(job.nodes), targets=(node,))
    end = run_job(request, services, lambda _: None, lambda: False)
    assert isinstance(end, JobFailed)
    assert (end.error.class_type, end.error.input) == (class_type, blamed), end.error
    assert end.error.code != "node_exception"


def test_a_prompt_with_two_inputs_is_blamed_on_the_one_at_fault(services: Services):
    job = Job()
    checkpoint = job.add("CheckpointLoaderSimple", ckpt_name="xl.safetensors")[0]
    (node, _) = job.add("CLIPTextEncodeSDXL", clip=[checkpoint, 1], text_l="a fox", text_g="embedding:damaged")
    end = run_job(JobRequest("two", text(job.nodes), targets=(node,)), services, lambda _: None, lambda: False)
    assert isinstance(end, JobFailed)
    assert (end.error.input, end.error.code) == ("text_g", "corrupt_file")
