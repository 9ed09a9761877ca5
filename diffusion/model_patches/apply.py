"""From the options of a model reference to a model that samples by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from diffusion.model_options import (
    AdaptiveProjectionOption,
    DifferentialOption,
    DownscaleOption,
    EpsilonScalingOption,
    FreeUOption,
    FrequencyScalingOption,
    HyperTileOption,
    LatentOperationOption,
    MahiroOption,
    ModelOption,
    ModelSamplingOption,
    NormedCfgOption,
    PerpNegOption,
    PerturbedAttentionOption,
    RenormedCfgOption,
    RescaleCfgOption,
    SelfAttentionOption,
    TangentialDampingOption,
    TokenMergingOption,
    ZeroStarOption,
)
from diffusion.model_patches.attention_guidance import PerturbedAttention, SelfAttention
from diffusion.model_patches.differential import Differential
from diffusion.model_patches.downscale import Downscale
from diffusion.model_patches.freeu import FreeU
from diffusion.model_patches.frequencies import FrequencyScaling
from diffusion.model_patches.guided_length import Mahiro, NormedCfg, RenormedCfg, ZeroStar
from diffusion.model_patches.latent_operation import ChangedGuidance
from diffusion.model_patches.perp_neg import PerpNeg
from diffusion.model_patches.projected import AdaptiveProjection, TangentialDamping
from diffusion.model_patches.rescale import RescaleCfg
from diffusion.model_patches.rescaled_noise import EpsilonScaling
from diffusion.model_patches.tiling import HyperTile
from diffusion.model_patches.token_merging import TokenMerging
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.noise import generator_after
from diffusion.sampling.protocols import Prediction, Start
from diffusion.sampling.run_patches import RunPatch

if TYPE_CHECKING:
    from torch import nn

_PREDICTIONS: dict[str, Prediction] = {
    "eps": "eps",
    "v_prediction": "v",
    "lcm": "lcm",
    "x0": "x0",
    "img_to_img": "img_to_img",
}


def sampling_by(option: ModelSamplingOption, trained: DiscreteSchedule) -> tuple[DiscreteSchedule, Prediction]:
    """The noise levels and the prediction that an option asks for; `trained` are the plain levels of the training, not
    stretched to pure noise."""
    levels = trained.zero_terminal() if option.zsnr else trained
    if option.sampling == "lcm":
        levels = levels.distilled()
    return levels, _PREDICTIONS[option.sampling]


def run_patches(
    unet: nn.Module,
    levels: DiscreteSchedule,
    options: Sequence[ModelOption],
    start: Start,
    sigmas: Sequence[float],
) -> tuple[RunPatch, ...]:
    """The patches of one run. Those that draw do so from the run's generator."""
    if not options:
        return ()
    generator = start.generator or generator_after(start.latent.shape, start.seed)
    found: list[RunPatch] = []
    for option in options:
        match option:
            case RescaleCfgOption(multiplier):
                found.append(RescaleCfg(multiplier))
            case DifferentialOption(strength):
                found.append(Differential(levels, sigmas, strength))
            case FreeUOption():
                found.append(FreeU(unet, option))
            case PerturbedAttentionOption(scale):
                watched = any(isinstance(each, SelfAttentionOption) for each in options)
                found.append(PerturbedAttention(unet, scale, spares_first=watched))
            case SelfAttentionOption(scale, blur_sigma):
                found.append(SelfAttention(unet, scale, blur_sigma))
            case HyperTileOption():
                found.append(HyperTile(unet, option, generator))
            case TokenMergingOption(ratio):
                found.append(TokenMerging(unet, ratio, generator))
            case DownscaleOption():
                found.append(Downscale(unet, levels, option))
            case LatentOperationOption(operation):
                found.append(ChangedGuidance(operation))
            case AdaptiveProjectionOption(eta, norm_threshold, momentum):
                found.append(AdaptiveProjection(eta, norm_threshold, momentum))
            case TangentialDampingOption():
                found.append(TangentialDamping())
            case FrequencyScalingOption(low, high, cutoff):
                found.append(FrequencyScaling(low, high, cutoff))
            case NormedCfgOption(strength):
                found.append(NormedCfg(strength))
            case RenormedCfgOption(truncate, renorm):
                found.append(RenormedCfg(truncate, renorm))
            case ZeroStarOption():
                found.append(ZeroStar())
            case MahiroOption():
                found.append(Mahiro())
            case EpsilonScalingOption(factor):
                found.append(EpsilonScaling(factor))
            case PerpNegOption(empty, neg_scale):
                found.append(PerpNeg(empty, neg_scale))
            case ModelSamplingOption():
                pass  # changes the model itself, before the run
    return tuple(found)
