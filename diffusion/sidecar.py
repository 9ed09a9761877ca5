"""Reads the LDM config (.yaml) that lies beside a checkpoint, for what shapes cannot tell.

A checkpoint may also carry its config in its own metadata, which counts when there is no file beside it.
Shapes give every width and depth; a config adds head counts, norm groups, the noise schedule and the prediction type,
in the format that CompVis's latent-diffusion files came with. Where both speak, they must agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from diffusion.architecture import Prediction, ScheduleConfig
from diffusion.errors import BadConfig

_MAX_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What a config says; None where it says nothing."""

    name: str
    schedule: ScheduleConfig | None = None
    prediction: Prediction | None = None
    scale: float | None = None
    model_channels: int | None = None
    context_dim: int | None = None
    unet_heads: int | None = None
    unet_head_channels: int | None = None
    unet_norm_groups: int | None = None
    vae_norm_groups: int | None = None
    clip_heads: int | None = None
    clip_activation: str | None = None
    clip_layer: int | None = None
    """The layer of the text encoder to read, from the end: -2 is the one before the last."""


def read_sidecar(path: Path) -> Sidecar:
    """Read a config file. Raises BadConfig when it is no YAML, too large, or holds values of the wrong type."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadConfig(f"{path.name} is larger than 1 MiB, so it is no model config.")
        loaded: object = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        raise BadConfig(
            f"{path.name} cannot be read as YAML: {' '.join(str(error).split())[:200]}.",
            hint="Mend it, or remove it to go by the shapes in the checkpoint alone.",
        ) from error
    return _parse(path.name, loaded)


def sidecar_from_metadata(name: str, metadata: Mapping[str, str]) -> Sidecar | None:
    """The config that a checkpoint carries in itself: metadata `architecture`, the config's `model.params` as JSON.

    None when it carries none; other programs write a plain word there, which says nothing. Raises BadConfig when what
    it carries makes no sense.
    """
    text = metadata.get("architecture", "")
    if not text.startswith("{"):
        return None
    try:
        params: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadConfig(f"The `architecture` in the metadata of {name} is no JSON.") from error
    return _parse(f"the metadata of {name}", {"model": {"params": params}})


def _scheduler(name: str, config: Mapping[str, Any]) -> Sidecar:
    """What the config of a diffusers scheduler says of the noise schedule and the prediction."""
    reader = _Reader(name, {"model": config})
    kinds: dict[object, Prediction] = {"epsilon": "eps", "v_prediction": "v"}
    stated = config.get("prediction_type", "epsilon")
    if stated not in kinds:
        raise BadConfig(f"{name}: `prediction_type` is {stated!r}; known are epsilon and v_prediction.")
    if config.get("beta_schedule", "scaled_linear") != "scaled_linear":
        raise BadConfig(f"{name}: `beta_schedule` is {config['beta_schedule']!r}; known is scaled_linear.")
    usual = ScheduleConfig()
    schedule = ScheduleConfig(
        reader.number(config, "beta_start") or usual.linear_start,
        reader.number(config, "beta_end") or usual.linear_end,
        reader.count(config, "num_train_timesteps") or usual.timesteps,
        zero_terminal=config.get("rescale_betas_zero_snr") is True,
    )
    return Sidecar(name, schedule, kinds[stated])


def _parse(name: str, loaded: object) -> Sidecar:
    if isinstance(loaded, Mapping) and "model" not in loaded and "num_train_timesteps" in loaded:
        return _scheduler(name, cast("Mapping[str, Any]", loaded))
    reader = _Reader(name, loaded)
    model = reader.section("model", "params")
    unet = reader.section("model", "params", "unet_config", "params")
    vae = reader.section("model", "params", "first_stage_config", "params", "ddconfig")
    clip = reader.section("model", "params", "cond_stage_config", "params")
    return Sidecar(
        name=name,
        schedule=reader.schedule(model),
        prediction=reader.prediction(model),
        scale=reader.number(model, "scale_factor"),
        model_channels=reader.count(unet, "model_channels"),
        context_dim=reader.count(unet, "context_dim"),
        unet_heads=reader.count(unet, "num_heads"),
        unet_head_channels=reader.count(unet, "num_head_channels"),
        unet_norm_groups=reader.count(unet, "norm_num_groups"),
        vae_norm_groups=reader.count(vae, "norm_num_groups"),
        clip_heads=reader.count(clip, "num_heads", "heads", "num_attention_heads"),
        clip_activation=reader.text(clip, "hidden_act"),
        clip_layer=reader.layer(clip, "layer_idx"),
    )


class _Reader:
    def __init__(self, name: str, loaded: object) -> None:
        if not isinstance(loaded, Mapping) or "model" not in loaded:
            raise BadConfig(
                f"{name} is no model config: it has no `model` section.",
                hint="Remove it to go by the shapes in the checkpoint alone.",
            )
        self._name = name
        self._root = cast("Mapping[str, Any]", loaded)

    def section(self, *keys: str) -> Mapping[str, Any]:
        found: object = self._root
        for key in keys:
            found = cast("Mapping[str, Any]", found).get(key)
            if found is None:
                return {}
            if not isinstance(found, Mapping):
                raise BadConfig(f"{self._name}: `{'.'.join(keys)}` should be a section of the config.")
        return cast("Mapping[str, Any]", found)

    def count(self, section: Mapping[str, Any], *names: str) -> int | None:
        """A positive integer; LDM writes -1 for "not given"."""
        for name in names:
            value = section.get(name)
            if value is None or value == -1:
                continue
            if type(value) is not int or not 0 < value <= 1_000_000:
                raise BadConfig(f"{self._name}: `{name}` should be a positive whole number, and is {value!r}.")
            return value
        return None

    def number(self, section: Mapping[str, Any], name: str) -> float | None:
        value = section.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
            raise BadConfig(f"{self._name}: `{name}` should be a positive number, and is {value!r}.")
        return float(value)

    def schedule(self, section: Mapping[str, Any]) -> ScheduleConfig | None:
        start, end = self.number(section, "linear_start"), self.number(section, "linear_end")
        steps = self.count(section, "timesteps")
        if start is None and end is None and steps is None:
            return None
        usual = ScheduleConfig()
        return ScheduleConfig(
            start or usual.linear_start,
            end or usual.linear_end,
            steps or usual.timesteps,
            zero_terminal=section.get("zero_terminal_snr") is True,
        )

    def layer(self, section: Mapping[str, Any], name: str) -> int | None:
        value = section.get(name)
        if value is None:
            return None
        if type(value) is not int or not -100 < value < 0:
            raise BadConfig(f"{self._name}: `{name}` should count layers from the end, as -2 does, and is {value!r}.")
        return value

    def text(self, section: Mapping[str, Any], name: str) -> str | None:
        value = section.get(name)
        if value is not None and value not in ("quick_gelu", "gelu"):
            raise BadConfig(f"{self._name}: `{name}` is {value!r}; known are quick_gelu and gelu.")
        return value

    def prediction(self, section: Mapping[str, Any]) -> Prediction | None:
        value = section.get("parameterization")
        if value is None or value in ("eps", "v"):
            return value
        raise BadConfig(f"{self._name}: `parameterization` is {value!r}; known are eps and v.")
