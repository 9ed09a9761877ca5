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
    from torch import Tensor


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
    patches: tuple[object, ...] = ()
    options: tuple[tuple[str, object], ...] = ()
    use_ema: bool = False


@dataclass(frozen=True, slots=True)
class ClipRef:
    """A text encoder. `stop_at_layer` counts from the end: None or -1 is the last layer, -2 the one before it."""

    type_id: ClassVar[str] = "CLIP"

    files: tuple[FileRef, ...]
    config: FileRef | None = None
    patches: tuple[object, ...] = ()
    stop_at_layer: int | None = None


@dataclass(frozen=True, slots=True)
class VaeRef:
    """An image autoencoder."""

    type_id: ClassVar[str] = "VAE"

    file: FileRef
    config: FileRef | None = None


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
