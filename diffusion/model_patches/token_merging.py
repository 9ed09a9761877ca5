"""Token merging (Bolya and Hoffman 2023, "Token Merging for Fast Stable Diffusion").

Only the queries of self-attention at full resolution are merged; keys and values are not, so that a merged token still
attends to every other.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffusion.model_patches.hooks import first_input, hooked, with_first
from diffusion.model_patches.layout import self_attentions
from diffusion.sampling.run_patches import PassInfo, RunPatch

STRIDE = 2
"""In each square of so many tokens a side, one that is drawn may take others in."""


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """Which tokens go where: `kept` `[B,K]` stay as they are, `gone` `[B,R]` are averaged into `into` `[B,R]`, places
    in `taking` `[D]`. All others are numbers of tokens."""

    kept: Tensor
    gone: Tensor
    into: Tensor
    taking: Tensor


class TokenMerging(RunPatch):
    """Merges a part of the tokens of each full-resolution self-attention into their most similar neighbours."""

    def __init__(self, unet: nn.Module, ratio: float, generator: torch.Generator) -> None:
        self._attentions = self_attentions(unet)
        self._ratio = ratio
        self._generator = generator

    def during(self, call: PassInfo) -> AbstractContextManager[object]:
        height, width = call.size
        merges: dict[int, Merge] = {}

        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]):
            tokens = first_input(args, kwargs)
            count = int(tokens.shape[1] * self._ratio)
            if tokens.shape[1] != height * width or count == 0 or min(height, width) < STRIDE:
                return None
            merge = match(tokens, height, width, count, self._generator)
            merges[id(module)] = merge
            args, kwargs = with_first(args, kwargs, merged(tokens, merge))
            return args, {**kwargs, "encoder_hidden_states": tokens}

        def after(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor | None:
            del args, kwargs
            merge = merges.pop(id(module), None)
            return None if merge is None else spread(output, merge)

        return hooked([(each, before) for each in self._attentions], [(each, after) for each in self._attentions])


def match(tokens: Tensor, height: int, width: int, count: int, generator: torch.Generator) -> Merge:
    """Pair tokens `[B, height·width, C]`: one drawn from each square takes in, and of the others those most like one of
    them (by the cosine) go, at most `count`."""
    rows, columns = height // STRIDE, width // STRIDE
    drawn = torch.randint(STRIDE**2, (rows, columns, 1), generator=generator)[..., 0]
    down = torch.arange(rows)[:, None] * STRIDE + drawn // STRIDE
    across = torch.arange(columns)[None, :] * STRIDE + drawn % STRIDE
    taking = (down * width + across).flatten()
    others = torch.ones(height * width, dtype=torch.bool)
    others[taking] = False
    giving = others.nonzero()[:, 0].to(tokens.device)
    taking = taking.to(tokens.device)
    unit = torch.nn.functional.normalize(tokens, dim=-1)
    likeness, best = (unit[:, giving] @ unit[:, taking].transpose(-1, -2)).max(dim=-1)
    order = likeness.argsort(dim=-1, descending=True)
    going = order[:, : min(count, len(giving))]
    return Merge(giving[order[:, going.shape[1] :]], giving[going], best.gather(1, going), taking)


def merged(tokens: Tensor, merge: Merge) -> Tensor:
    """The tokens that are kept, and those that take in as the mean with what they took."""
    width = tokens.shape[-1]
    index = merge.into[..., None].expand(-1, -1, width)
    taking = tokens[:, merge.taking].scatter_reduce(1, index, _pick(tokens, merge.gone), reduce="mean")
    return torch.cat([_pick(tokens, merge.kept), taking], dim=1)


def spread(output: Tensor, merge: Merge) -> Tensor:
    """Results for merged tokens given back to all of them, in the order of the picture."""
    batch, width = output.shape[0], output.shape[-1]
    split = merge.kept.shape[1]
    kept, taking = output[:, :split], output[:, split:]
    whole = output.new_empty(batch, split + merge.gone.shape[1] + len(merge.taking), width)
    whole[:, merge.taking] = taking
    whole.scatter_(1, merge.kept[..., None].expand(-1, -1, width), kept)
    return whole.scatter_(1, merge.gone[..., None].expand(-1, -1, width), _pick(taking, merge.into))


def _pick(tokens: Tensor, places: Tensor) -> Tensor:
    return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))
