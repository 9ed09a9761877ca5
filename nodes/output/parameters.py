"""The one-paragraph summary of how a picture was made, in the form that image viewers and other programs read.

First the prompt, then `Negative prompt: …`, then a line of `Name: value` pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from nodes.output.trace import Prompt, linked, literal, upstream

_SAMPLER_NAMES = {
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "heun": "Heun",
    "dpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a",
    "lms": "LMS",
    "dpm_fast": "DPM fast",
    "dpm_adaptive": "DPM adaptive",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "ddim": "DDIM",
    "ddpm": "DDPM",
    "plms": "PLMS",
    "uni_pc": "UniPC",
    "lcm": "LCM",
}
_SCHEDULE_NAMES = {
    "normal": "Normal",
    "karras": "Karras",
    "exponential": "Exponential",
    "simple": "Simple",
    "sgm_uniform": "SGM Uniform",
    "ddim_uniform": "DDIM",
    "beta": "Beta",
    "kl_optimal": "KL Optimal",
}


def parameters_text(prompt: Prompt, node_id: str, width: int, height: int) -> str | None:
    """The summary of what leads to a node, or None when no sampler does."""
    sampler = next((inputs for _, inputs in upstream(prompt, node_id) if "sampler_name" in inputs), None)
    if sampler is None:
        return None
    lines = [_prompt_text(prompt, sampler.get("positive"))]
    negative = _prompt_text(prompt, sampler.get("negative"))
    if negative:
        lines.append(f"Negative prompt: {negative}")
    sampler_name = literal(prompt, sampler.get("sampler_name"), "sampler_name")
    scheduler = literal(prompt, sampler.get("scheduler"), "scheduler")
    denoise = literal(prompt, sampler.get("denoise"), "denoise")
    pairs = {
        "Steps": literal(prompt, sampler.get("steps"), "steps"),
        "Sampler": _SAMPLER_NAMES.get(str(sampler_name), sampler_name),
        "Schedule type": _SCHEDULE_NAMES.get(str(scheduler), scheduler),
        "CFG scale": _short(literal(prompt, sampler.get("cfg"), "cfg")),
        "Seed": literal(prompt, sampler.get("seed", sampler.get("noise_seed")), "seed", "noise_seed"),
        "Size": f"{width}x{height}",
        "Model": _model(prompt, sampler),
        "Denoising strength": denoise if isinstance(denoise, int | float) and denoise < 1 else None,
        "Version": "Latentgraph",
    }
    lines.append(", ".join(f"{name}: {value}" for name, value in pairs.items() if value is not None))
    return "\n".join(lines)


def _prompt_text(prompt: Prompt, link: object) -> str:
    source = linked(link)
    if source is None:
        return ""
    texts: list[str] = []
    for _, inputs in upstream(prompt, source):
        if "text" in inputs:
            text = literal(prompt, inputs["text"], "text", "string")
            if isinstance(text, str):
                texts.append(text.strip())
    return ", ".join(text for text in texts if text)


def _model(prompt: Prompt, sampler: Mapping[str, Any]) -> str | None:
    source = linked(sampler.get("model"))
    if source is None:
        return None
    for _, inputs in upstream(prompt, source):
        for name in ("ckpt_name", "unet_name", "model_path"):
            found = inputs.get(name)
            if isinstance(found, str):
                return PurePosixPath(found).stem
    return None


def _short(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
