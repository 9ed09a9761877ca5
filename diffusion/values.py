"""The values that travel between nodes: frozen, small, and free of live modules.

MODEL, CLIP and VAE are *references* (which file, which config, which patches), so a value can be keyed, stored and
sent to another machine; `residency` turns a reference into weights. IMAGE is a float32 tensor [B, H, W, C] in 0..1 and
MASK a float32 tensor [B, H, W]; they need no class of their own. Importing this module loads no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from typing import TypeAlias

    from torch import Tensor

    from diffusion.model_options import ModelOption

    Sigmas: TypeAlias = Tensor
else:

    class Sigmas:
        """Noise levels that a run visits, float32 `[N]`: a tensor."""

        type_id: ClassVar[str] = "SIGMAS"


@dataclass(frozen=True, slots=True)
class FileRef:
    """A model file. `name` is relative to the folder of its kind, with forward slashes; `content_id` changes when
    the content does, so it (and not the path) identifies the file in cache keys."""

    kind: str
    name: str
    path: str
    content_id: str


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A denoiser: a checkpoint file, with the patches (in order) and options to apply to it."""

    type_id: ClassVar[str] = "MODEL"

    file: FileRef
    config: FileRef | None = None
    patches: tuple[Patch, ...] = ()
    options: tuple[ModelOption, ...] = ()
    use_ema: bool = False
    weight_dtype: str = "default"
    """What the weights are rounded to when they are read: `fp8_e4m3fn`, `fp8_e5m2`, or `default` for as they are."""
    compute_dtype: str = "default"
    """What it computes in: `fp32`, `fp64`, `fp16`, `bf16`, or `default` for what the program was started with."""


@dataclass(frozen=True, slots=True)
class ClipRef:
    """A text encoder. `stop_at_layer` counts from the end: -1 is the last layer, -2 the one before it, and None the one
    that the family was trained with."""

    type_id: ClassVar[str] = "CLIP"

    files: tuple[FileRef, ...]
    config: FileRef | None = None
    patches: tuple[Patch, ...] = ()
    stop_at_layer: int | None = None


@dataclass(frozen=True, slots=True)
class VaeRef:
    """An image autoencoder. A tiny one may come as two files, of which `file` decodes and `encoder` encodes."""

    type_id: ClassVar[str] = "VAE"

    file: FileRef
    config: FileRef | None = None
    encoder: FileRef | None = None


@dataclass(frozen=True, slots=True)
class LoraPatch:
    """A patch: the low-rank changes in a file, times `strength` (any sign)."""

    file: FileRef
    strength: float


@dataclass(frozen=True, slots=True)
class Share:
    """How much of two models goes into the weights whose names in the single file begin with `prefix`."""

    prefix: str
    own: float
    other: float


@dataclass(frozen=True, slots=True)
class MergePatch:
    """A patch: the model's weights times `own` plus another model's times `other`. Of the shares whose prefix fits, the
    longest counts; a weight that none fits stays as it is."""

    other: ModelRef | ClipRef
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class MultiplyPatch:
    """A patch: the weights and biases of layers, told by the end of their names (`attn1.to_q`), times a factor each."""

    factors: tuple[tuple[str, float], ...]


Patch = LoraPatch | MergePatch | MultiplyPatch
"""A change to the weights of a model or a text encoder."""


@dataclass(frozen=True, slots=True)
class ControlNetRef:
    """A network that guides a denoiser by a picture. `model` is the one that a file with a difference is added to, and
    `task` the kind of picture that a union network is given."""

    type_id: ClassVar[str] = "CONTROL_NET"

    file: FileRef
    model: ModelRef | None = None
    task: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ControlUse:
    """One use of a control network, on a prompt's option `control`: the picture float32 [B, H, W, C] it follows, how
    strongly, and for which part of the sampling (0 to 1)."""

    net: ControlNetRef
    hint: Tensor
    strength: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0


@dataclass(frozen=True, slots=True)
class UpscaleModelRef:
    """A network that enlarges pictures."""

    type_id: ClassVar[str] = "UPSCALE_MODEL"

    file: FileRef


@dataclass(frozen=True, slots=True, eq=False)
class CondEntry:
    """One prompt's guidance: `embedding` [B, T, C] float32, `pooled` [B, C] float32 or None, and its options (area,
    mask, strength, time range), by the names that the samplers know."""

    embedding: Tensor
    pooled: Tensor | None = None
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """The prompts that guide one side of the sampling, combined by the sampler."""

    type_id: ClassVar[str] = "CONDITIONING"

    entries: tuple[CondEntry, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Latent:
    """A picture as the VAE encodes it: `samples` [B, C, H/8, W/8] float32 on the CPU, before the model's scale factor
    (the U-Net sees `samples * latent_scale`). `noise_mask` [B, H, W] is 1 where to sample; `batch_index` says which
    draw of the noise each item takes."""

    type_id: ClassVar[str] = "LATENT"

    samples: Tensor
    noise_mask: Tensor | None = None
    batch_index: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class TonemapRule:
    """Bright and glaring parts of a latent compressed, the more the smaller `multiplier` is."""

    multiplier: float


@dataclass(frozen=True, slots=True)
class SharpenRule:
    """A latent sharpened; see `ops.latent_operations`."""

    radius: int
    sigma: float
    alpha: float


@dataclass(frozen=True, slots=True)
class LatentOperation:
    """A change to latents that another node applies."""

    type_id: ClassVar[str] = "LATENT_OPERATION"

    rule: TonemapRule | SharpenRule


@dataclass(frozen=True, slots=True)
class SamplerRef:
    """A sampler by the name that `sampling.custom` knows, with its settings where they differ from the defaults."""

    type_id: ClassVar[str] = "SAMPLER"

    name: str
    options: tuple[tuple[str, float | int | str | bool], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class NoiseRef:
    """The noise that a run starts from: drawn from `seed`, or none when `drawn` is False, or `given` `[B,C,h,w]`.
    `seed` is also that of noise which a sampler adds on the way."""

    type_id: ClassVar[str] = "NOISE"

    seed: int = 0
    drawn: bool = True
    given: Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CfgRule:
    """Classifier-free guidance with scale `cfg`; without a `negative` the positive prediction stands alone."""

    positive: Conditioning
    negative: Conditioning | None = None
    cfg: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class DualCfgRule:
    """Guidance by two prompts: away from `negative` towards `cond2`, and from there towards `cond1`."""

    cond1: Conditioning
    cond2: Conditioning
    negative: Conditioning
    cfg_conds: float
    cfg_cond2_negative: float
    nested: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PerpNegRule:
    """Perp-Neg: only the part of the negative that is perpendicular to the positive is taken away."""

    positive: Conditioning
    negative: Conditioning
    empty: Conditioning
    cfg: float
    neg_scale: float


@dataclass(frozen=True, slots=True, eq=False)
class GuiderRef:
    """A model and the rule by which prompts guide it."""

    type_id: ClassVar[str] = "GUIDER"

    model: ModelRef
    rule: CfgRule | DualCfgRule | PerpNegRule
