"""Fits a LoRA file to a model: which of its adapters change which weights, and whether it belongs there at all."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.patches.adapters import Adapter
from diffusion.patches.apply import Change
from diffusion.patches.lora_file import LoraFile
from diffusion.patches.targets import Targets, component_of

log = logging.getLogger("latentgraph.lora")

_CONTEXT = tuple(
    f"{attention}{layer}" for attention in ("attn2_", "attn2.", "attn2.processor.") for layer in ("to_k", "to_v")
)

Shapes = Mapping[str, torch.Size]


class WrongLora(DiffusionError):
    """A LoRA that was made for another kind of model."""

    default_code = "wrong_lora"


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A component that a LoRA can change: the names by which files call its layers, and its parameters' shapes."""

    title: str
    targets: Targets
    shapes: Shapes


@dataclass(frozen=True, slots=True)
class Fit:
    """How a file fits one component: adapters by parameter, and the names of those whose shapes differ."""

    adapters: Mapping[str, Adapter]
    misfits: tuple[str, ...]
    names: frozenset[str]

    def changes(self, strength: float) -> dict[str, tuple[Change, ...]]:
        """For each parameter, the change that this file makes at a strength."""
        return {name: (partial(_apply, adapter, strength),) for name, adapter in self.adapters.items()}


def fit(lora: LoraFile, part: Part) -> Fit:
    """Find the parameters of a component that a file changes."""
    adapters: dict[str, Adapter] = {}
    misfits: list[str] = []
    names: set[str] = set()
    for kind, found in (("weight", lora.weights), ("bias", lora.biases)):
        for name, adapter in found.items():
            layer = part.targets.get(name)
            shape = part.shapes.get(f"{layer}.{kind}")
            if layer is None or shape is None:
                continue
            names.add(name)
            if adapter.fits(shape):
                adapters[f"{layer}.{kind}"] = adapter
            else:
                misfits.append(name)
    return Fit(adapters, tuple(misfits), frozenset(names))


def check_fit(lora: LoraFile, family: str, parts: Sequence[Part]) -> None:
    """Refuse a LoRA that was made for another family than that of the components it is to change.

    Raises WrongLora, naming both families and how many keys matched: when none does, when most of those that match by
    name differ in shape, or when one does that reads the prompt, whose width is the family's. Other keys that do not
    fit, and those that no component has, are noted in the log; so is a file that is for other components alone.
    """
    fits = [fit(lora, part) for part in parts]
    total = len(lora.weights) + len(lora.biases)
    matched = sum(len(each.adapters) for each in fits)
    misfits = [name for each in fits for name in each.misfits]
    titles = " and ".join(part.title for part in parts)
    if not matched and not misfits and _is_for_others(lora, parts):
        log.warning("%s changes nothing: none of its %d keys is for the %s", lora.file.name, total, titles)
        return
    if not matched or len(misfits) > matched or any(name.endswith(_CONTEXT) for name in misfits):
        raise WrongLora(
            f"{lora.file.name} was made for {lora.family}, and this model is {family}: {matched} of its {total} keys "
            f"match the model's {titles}" + (f", and {len(misfits)} differ in shape" if misfits else "") + ".",
            hint="Choose a LoRA of the model's family, or a model of the LoRA's.",
            input="lora_name",
        )
    unknown = total - len(frozenset[str]().union(*(each.names for each in fits)))
    left_out = [
        f"{len(misfits)} differ in shape ({misfits[0]} …)" if misfits else "",
        f"{unknown} are for no part of this model" if unknown else "",
        f"{len(lora.unread)} tensors are of a kind that is not known" if lora.unread else "",
    ]
    if any(left_out):
        log.warning(
            "%s: %d of its %d keys change the %s; %s",
            lora.file.name, matched, total, titles, ", ".join(filter(None, left_out)),
        )  # fmt: skip


def _is_for_others(lora: LoraFile, parts: Sequence[Part]) -> bool:
    """Whether all names say that they belong to components that are not among these."""
    mine = {part.title for part in parts}
    return all(component_of(name) not in {None, *mine} for name in (*lora.weights, *lora.biases))


def _apply(adapter: Adapter, strength: float, weight: Tensor) -> Tensor:
    return adapter.apply(weight, strength)
