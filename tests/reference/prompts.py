"""ComfyUI API prompts, by ComfyUI's names of nodes and inputs, that end in SaveLatent."""

from __future__ import annotations

from typing import Any

Prompt = dict[str, dict[str, Any]]

LOADED = {"model": ["model", 0], "positive": ["positive", 0], "negative": ["negative", 0]}
KSAMPLER = {"steps": 3, "cfg": 7.5, "sampler_name": "euler", "scheduler": "normal"}
SPLIT = 2


def node(class_type: str, **inputs: object) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": class_type}}


def start(checkpoint: str, positive: str, negative: str, width: int, height: int, count: int = 1) -> Prompt:
    """What every prompt begins with: a checkpoint, two prompts, an empty latent."""
    return {
        "model": node("CheckpointLoaderSimple", ckpt_name=checkpoint),
        "positive": node("CLIPTextEncode", text=positive, clip=["model", 1]),
        "negative": node("CLIPTextEncode", text=negative, clip=["model", 1]),
        "empty": node("EmptyLatentImage", width=width, height=height, batch_size=count),
    }


def saved(source: str, output: int = 0) -> Prompt:
    """A SaveLatent of a node's output, under the node's name."""
    return {f"save_{source}": node("SaveLatent", samples=[source, output], filename_prefix=f"latents/{source}")}


def one_picture_by_every_sampling_node(seed: int) -> Prompt:
    """The same run by each node that samples: KSampler, KSamplerAdvanced in two parts, and the custom ones."""
    latent: dict[str, Any] = {"latent_image": ["empty", 0]}
    two: dict[str, Any] = {**KSAMPLER, **LOADED, "noise_seed": seed}
    return {
        "ksampler": node("KSampler", **KSAMPLER, **LOADED, **latent, seed=seed, denoise=1.0),
        "first": node(
            "KSamplerAdvanced", **two, **latent, add_noise="enable", start_at_step=0, end_at_step=SPLIT,
            return_with_leftover_noise="enable",
        ),
        "two_parts": node(
            "KSamplerAdvanced", **two, latent_image=["first", 0], add_noise="disable", start_at_step=SPLIT,
            end_at_step=10000, return_with_leftover_noise="disable",
        ),
        "euler": node("KSamplerSelect", sampler_name="euler"),
        "sigmas": node("BasicScheduler", model=["model", 0], scheduler="normal", steps=3, denoise=1.0),
        "custom": node(
            "SamplerCustom", **LOADED, **latent, add_noise=True, noise_seed=seed, cfg=7.5, sampler=["euler", 0],
            sigmas=["sigmas", 0],
        ),
        "noise": node("RandomNoise", noise_seed=seed),
        "guider": node("CFGGuider", **LOADED, cfg=7.5),
        "advanced": node(
            "SamplerCustomAdvanced", **latent, noise=["noise", 0], guider=["guider", 0], sampler=["euler", 0],
            sigmas=["sigmas", 0],
        ),
        **saved("ksampler"),
        **saved("two_parts"),
        **saved("custom"),
        **saved("advanced"),
    }  # fmt: skip


def with_a_lora(lora: str, positive: str, negative: str, seed: int) -> Prompt:
    """A LoRA at 0.8 on the model and 0.6 on the text encoder."""
    return {
        "lora": node(
            "LoraLoader", model=["model", 0], clip=["model", 1], lora_name=lora, strength_model=0.8, strength_clip=0.6
        ),
        "lora_positive": node("CLIPTextEncode", text=positive, clip=["lora", 1]),
        "lora_negative": node("CLIPTextEncode", text=negative, clip=["lora", 1]),
        "with_lora": node(
            "KSampler", **KSAMPLER, model=["lora", 0], positive=["lora_positive", 0], negative=["lora_negative", 0],
            latent_image=["empty", 0], seed=seed, denoise=1.0,
        ),
        **saved("with_lora"),
    }  # fmt: skip


def with_a_control_network(net: str, image: str, seed: int) -> Prompt:
    """A ControlNet at 0.7, whose picture is a file in the inputs folder."""
    return {
        "net": node("ControlNetLoader", control_net_name=net),
        "image": node("LoadImage", image=image),
        "control": node(
            "ControlNetApplyAdvanced", positive=["positive", 0], negative=["negative", 0], control_net=["net", 0],
            image=["image", 0], strength=0.7, start_percent=0.0, end_percent=1.0,
        ),
        "with_control": node(
            "KSampler", **KSAMPLER, model=["model", 0], positive=["control", 0], negative=["control", 1],
            latent_image=["empty", 0], seed=seed, denoise=1.0,
        ),
        **saved("with_control"),
    }  # fmt: skip
