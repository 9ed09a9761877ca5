"""What model-patch nodes put into a `ModelRef`'s options: frozen settings, which `model_patches` turns into deeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from diffusion.values import Conditioning, LatentOperation, ModelRef


@dataclass(frozen=True, slots=True)
class RescaleCfgOption:
    """Guidance rescaled to the positive's contrast; `multiplier` mixes it (1) with plain guidance (0)."""

    multiplier: float


@dataclass(frozen=True, slots=True)
class ModelSamplingOption:
    """What the network's output stands for, and whether the noise levels end in pure noise."""

    sampling: Literal["eps", "v_prediction", "lcm", "x0", "img_to_img"]
    zsnr: bool


@dataclass(frozen=True, slots=True)
class DifferentialOption:
    """A grey noise mask says when each place may change; `strength` mixes that (1) with the plain mask (near 0). As in
    ComfyUI, 0 counts as 1."""

    strength: float


@dataclass(frozen=True, slots=True)
class FreeUOption:
    """Factors for the backbone (b) and the skips (s) of the first and second stage on the way up."""

    b1: float
    b2: float
    s1: float
    s2: float
    version: Literal[1, 2] = 1


@dataclass(frozen=True, slots=True)
class PerturbedAttentionOption:
    """Guidance away from what the model predicts without self-attention in its middle."""

    scale: float


@dataclass(frozen=True, slots=True)
class SelfAttentionOption:
    """Guidance away from what the model predicts when the places it attends to are blurred."""

    scale: float
    blur_sigma: float


@dataclass(frozen=True, slots=True)
class HyperTileOption:
    """Self-attention within tiles. `tile_size` in pixels."""

    tile_size: int
    swap_size: int
    max_depth: int
    scale_depth: bool


@dataclass(frozen=True, slots=True)
class TokenMergingOption:
    """The part of the tokens merged into similar ones before self-attention at full resolution."""

    ratio: float


@dataclass(frozen=True, slots=True)
class DownscaleOption:
    """The inner layers work on a smaller picture for a part of the sampling (0 to 1)."""

    block_number: int
    downscale_factor: float
    start_percent: float
    end_percent: float
    downscale_after_skip: bool
    downscale_method: str
    upscale_method: str


@dataclass(frozen=True, slots=True)
class LatentOperationOption:
    """What the positive prompt adds to the negative one, changed before guidance."""

    operation: LatentOperation


@dataclass(frozen=True, slots=True)
class AdaptiveProjectionOption:
    """Guidance whose part along the positive is multiplied by `eta`, no longer than `norm_threshold` (0: any length),
    and with `momentum` from step to step."""

    eta: float
    norm_threshold: float
    momentum: float


@dataclass(frozen=True, slots=True)
class TangentialDampingOption:
    """The negative without what is foreign to the positive."""


@dataclass(frozen=True, slots=True)
class FrequencyScalingOption:
    """Factors for the low and the high frequencies of guidance; `cutoff` says up to where they are low."""

    low: float
    high: float
    cutoff: int


@dataclass(frozen=True, slots=True)
class NormedCfgOption:
    """Guidance that makes no place longer than the positive has it, times `strength`."""

    strength: float


@dataclass(frozen=True, slots=True)
class RenormedCfgOption:
    """Guidance below the noise level `truncate` only, at most `renorm` times as long as the positive (0: any)."""

    truncate: float
    renorm: float


@dataclass(frozen=True, slots=True)
class ZeroStarOption:
    """Guidance away from the negative as far as it fits the positive."""


@dataclass(frozen=True, slots=True)
class MahiroOption:
    """Guidance replaced by the positive where it is unlike the negative."""


@dataclass(frozen=True, slots=True)
class EpsilonScalingOption:
    """The predicted noise divided by `factor`."""

    factor: float


@dataclass(frozen=True, slots=True)
class PerpNegOption:
    """Guidance away from that part of the negative only that is perpendicular to the positive, both seen from the
    `empty` prompt."""

    empty: Conditioning
    neg_scale: float


ModelOption = (
    RescaleCfgOption
    | ModelSamplingOption
    | DifferentialOption
    | FreeUOption
    | PerturbedAttentionOption
    | SelfAttentionOption
    | HyperTileOption
    | TokenMergingOption
    | DownscaleOption
    | LatentOperationOption
    | AdaptiveProjectionOption
    | TangentialDampingOption
    | FrequencyScalingOption
    | NormedCfgOption
    | RenormedCfgOption
    | ZeroStarOption
    | MahiroOption
    | EpsilonScalingOption
    | PerpNegOption
)

SINGLE = (RescaleCfgOption, ModelSamplingOption, DifferentialOption, RenormedCfgOption, PerpNegOption)
"""Options of which the last one given counts; of the others, all do, in order."""

BESIDE_THE_NETWORK = (
    RescaleCfgOption,
    ModelSamplingOption,
    DifferentialOption,
    LatentOperationOption,
    AdaptiveProjectionOption,
    TangentialDampingOption,
    FrequencyScalingOption,
    NormedCfgOption,
    RenormedCfgOption,
    ZeroStarOption,
    MahiroOption,
    EpsilonScalingOption,
    PerpNegOption,
)
"""Options that change what is made of a network's output, and nothing inside the network."""


def with_option(model: ModelRef, option: ModelOption) -> ModelRef:
    """The model with one more option."""
    kept = tuple(each for each in model.options if not (isinstance(option, SINGLE) and type(each) is type(option)))
    return replace(model, options=(*kept, option))
