"""The rules by which several sides of prompts make one prediction, beside plain classifier-free guidance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffusion.sampling.guidance import Guidance, Sides, check_scale
from diffusion.sampling.perp_neg import perpendicular
from diffusion.sampling.protocols import Check, DenoiserModel, GuidedDenoise, Start
from diffusion.sampling.run import Guide
from diffusion.sampling.run_patches import RunPatch, Seen, changed, mixed, prepared
from diffusion.values import CfgRule, DualCfgRule, PerpNegRule


def guide_by(model: DenoiserModel, rule: CfgRule | DualCfgRule | PerpNegRule, check: Check | None = None) -> Guide:
    """The guide that follows a rule. Raises `DiffusionError` for a scale that isn't finite; making the guided model
    raises what `Sides` does."""
    for name in ("cfg", "cfg_conds", "cfg_cond2_negative", "neg_scale"):
        check_scale(name, getattr(rule, name, 1.0))

    def guide(start: Start, patches: Sequence[RunPatch]) -> GuidedDenoise:
        match rule:
            case CfgRule(positive, negative, cfg):
                shape = start.latent.shape
                return Guidance(model, positive, negative, cfg, shape=shape, start=start, check=check, patches=patches)
            case DualCfgRule():
                sides = {"cond1": rule.cond1, "cond2": rule.cond2, "negative": rule.negative}
                return DualGuidance(Sides(model, sides, start=start, check=check, patches=patches), rule, patches)
            case PerpNegRule():
                sides = {"positive": rule.positive, "empty_conditioning": rule.empty, "negative": rule.negative}
                return PerpNegGuidance(Sides(model, sides, start=start, check=check, patches=patches), rule, patches)

    return guide


class DualGuidance:
    """Guidance by two prompts, as in InstructPix2Pix (Brooks et al. 2023, equation 3) with a third prompt in place of
    the picture: from the negative to `cond2` by one scale, and on to `cond1` by another. Nested, the second guidance
    starts from the negative and aims at the result of the first."""

    def __init__(self, sides: Sides, rule: DualCfgRule, patches: Sequence[RunPatch]) -> None:
        self._sides = sides
        self._rule = rule
        self._patches = tuple(patches)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        rule = self._rule
        whole = rule.nested or any(patch.needs_negative for patch in self._patches)
        if whole or not math.isclose(rule.cfg_cond2_negative, 1.0):
            return self.with_unconditional(x, sigma)[0]
        if math.isclose(rule.cfg_conds, 1.0):
            # `cond2` cancels out. Patches, which change the step towards it, get zeros for it, as in ComfyUI.
            side, second = "", torch.zeros_like(x)
            (first,) = self._sides(x, sigma, ("cond1",))
        else:
            side = "cond2"
            first, second = self._sides(x, sigma, ("cond1", "cond2"))
        guided = self._mixed(x, sigma, side, second, None, 1.0)
        return torch.add(guided, first - second, alpha=rule.cfg_conds)

    def with_unconditional(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        rule = self._rule
        first, second, negative = self._sides(x, sigma, ("cond1", "cond2", "negative"))
        if rule.nested:
            aim = self._mixed(x, sigma, "cond1", first, second, rule.cfg_conds, negative_side="cond2")
            return torch.lerp(negative, aim, rule.cfg_cond2_negative), second
        guided = self._mixed(x, sigma, "cond2", second, negative, rule.cfg_cond2_negative)
        return torch.add(guided, first - second, alpha=rule.cfg_conds), negative

    def _mixed(
        self,
        x: Tensor,
        sigma: float,
        side: str,
        positive: Tensor,
        negative: Tensor | None,
        cfg: float,
        *,
        negative_side: str = "negative",
    ) -> Tensor:
        names = {"positive": side, "negative": negative_side}

        def ask(y: Tensor, each: str, more: Sequence[RunPatch]) -> Tensor:
            return self._sides(y, sigma, (names.get(each, each),), more)[0]

        return mixed(Seen(x, sigma, positive, negative, cfg, ask), self._patches)


class PerpNegGuidance:
    """Guidance by Perp-Neg. Where the negative counts for nothing it is not predicted, and patches get zeros for it."""

    def __init__(self, sides: Sides, rule: PerpNegRule, patches: Sequence[RunPatch]) -> None:
        self._sides = sides
        self._rule = rule
        self._patches = tuple(patches)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        if self._rule.neg_scale != 0.0 or any(patch.needs_negative for patch in self._patches):
            return self.with_unconditional(x, sigma)[0]
        positive, empty = self._sides(x, sigma, ("positive", "empty_conditioning"))
        return self._mixed(x, sigma, positive, None, empty)[0]

    def with_unconditional(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        positive, negative, empty = self._sides(x, sigma, ("positive", "negative", "empty_conditioning"))
        return self._mixed(x, sigma, positive, negative, empty)

    def _mixed(
        self, x: Tensor, sigma: float, positive: Tensor, negative: Tensor | None, empty: Tensor
    ) -> tuple[Tensor, Tensor]:
        def ask(y: Tensor, side: str, more: Sequence[RunPatch]) -> Tensor:
            return self._sides(y, sigma, (side,), more)[0]

        rule = self._rule
        seen = prepared(Seen(x, sigma, positive, negative, rule.cfg, ask, empty), self._patches)
        guided = perpendicular(seen.positive, seen.unconditional, empty, rule.cfg, rule.neg_scale)
        return changed(guided, seen, self._patches), seen.unconditional
