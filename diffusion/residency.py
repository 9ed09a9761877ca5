"""Turns references into weights on the device, and keeps those last used within a budget of memory.

Values in a graph name their model; only here does a model live. Asking again for what is still loaded costs nothing;
what has not been used for longest goes first when room is needed.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import torch

from diffusion.architecture import Architecture, ClipConfig, ScheduleConfig, TinyVaeConfig
from diffusion.build import build_clip, build_tiny_vae, build_unet, build_vae, clip_skeleton, unet_skeleton
from diffusion.checkpoint_file import CheckpointFile, open_checkpoint
from diffusion.control.architecture import ControlConfig, read_control
from diffusion.control.network import LoadedControlNet, build_control
from diffusion.detect import detect_file
from diffusion.detection.text import for_xl
from diffusion.device import Placement, memory_of, place
from diffusion.errors import MissingComponent, UnsupportedArchitecture
from diffusion.library import ModelLibrary
from diffusion.loaded import LoadedClip, LoadedUnet, LoadedVae
from diffusion.model_options import ModelSamplingOption
from diffusion.model_patches.apply import options_of, sampling_by
from diffusion.patches.apply import own_bytes
from diffusion.patches.lora import Part, check_fit
from diffusion.patches.lora_file import LoraFile, read_lora
from diffusion.patches.patching import clip_part, patched_clip, patched_unet, unet_part
from diffusion.preview import latent_rgb
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.text.tokenizer import ClipTokenizer
from diffusion.values import ClipRef, ControlNetRef, FileRef, ModelRef, UpscaleModelRef, VaeRef

if TYPE_CHECKING:
    from diffusion.upscale import LoadedUpscaler

Loaded: TypeAlias = "LoadedUnet | LoadedClip | LoadedVae | LoadedControlNet | LoadedUpscaler | LoraFile"
ROUNDED = {"default": None, "fp8_e4m3fn": torch.float8_e4m3fn, "fp8_e5m2": torch.float8_e5m2}
L = TypeVar("L", LoadedUnet, LoadedClip, LoadedVae, LoadedControlNet, "LoadedUpscaler", LoraFile)


@dataclass(slots=True)
class LoadCounts:
    """How often each kind of component was read from its file, and weights were patched."""

    unet: int = 0
    clip: int = 0
    vae: int = 0
    lora: int = 0
    control: int = 0
    patched: int = 0


@dataclass(slots=True)
class _Slot:
    component: Loaded
    size: int


class Residency:
    """The loaded models of one device. Not for use from several threads at once.

    `budget` is the bytes of weights to keep; by default half of the memory of the CPU's machine, or 80 % of a GPU's.
    One component larger than that is still loaded, alone.
    """

    def __init__(
        self, library: ModelLibrary, device: str = "auto", precision: str = "auto", *, budget: int | None = None
    ) -> None:
        self.library = library
        self.placement: Placement = place(device, precision)
        total = memory_of(self.placement.device)
        self.budget = budget if budget is not None else int(total * (0.8 if self.device.type == "cuda" else 0.5))
        self.loads = LoadCounts()
        self._slots: OrderedDict[object, _Slot] = OrderedDict()
        self._tokenizer = ClipTokenizer()

    @property
    def device(self) -> torch.device:
        return self.placement.device

    @property
    def resident_bytes(self) -> int:
        return sum(slot.size for slot in self._slots.values())

    def unet(self, ref: ModelRef) -> LoadedUnet:
        """The U-Net of a reference. Raises MissingComponent when the file has none. References that differ only in
        `options` share its weights."""
        if ref.options:
            return self._with_options(ref)
        if ref.patches:
            return self._patched_unet(ref)

        def load() -> LoadedUnet:
            self.loads.unet += 1
            with _open(ref.file) as file:
                found = detect_file(file, ref.config)
                if found.unet is None:
                    raise _lacks(ref.file, "U-Net", found)
                dtype = self.placement.unet
                return LoadedUnet(
                    module=build_unet(
                        found.unet, file, self.device, dtype, use_ema=ref.use_ema, rounded=ROUNDED[ref.weight_dtype]
                    ),
                    config=found.unet,
                    sampling=_levels(found.schedule),
                    prediction=found.prediction,
                    latent_scale=found.latent_scale,
                    latent_rgb=latent_rgb(file.metadata, found.unet.out_channels),
                    device=self.device,
                    dtype=dtype,
                    control_net=self.control_net,
                )

        return self._get(ref, load, LoadedUnet)

    def clip(self, ref: ClipRef) -> LoadedClip:
        """The text encoders of a reference. References that differ only in `stop_at_layer` share their weights."""
        if ref.patches:
            return replace(self._patched_clip(replace(ref, stop_at_layer=None)), stop_at_layer=ref.stop_at_layer)

        def load() -> LoadedClip:
            self.loads.clip += 1
            configs = self.text_encoders(ref)
            with ExitStack() as stack:
                files = [stack.enter_context(_open(file)) for file in ref.files]
                sources = files if len(files) == len(configs) else files * len(configs)
                module = build_clip(configs, sources, self.device, self.placement.clip)
                return LoadedClip(module, configs, self._tokenizer, self.device, self.library)

        loaded = self._get(replace(ref, stop_at_layer=None), load, LoadedClip)
        return replace(loaded, stop_at_layer=ref.stop_at_layer)

    def text_encoders(self, ref: ClipRef) -> tuple[ClipConfig, ...]:
        """The text encoders of a reference, from the files' headers alone, in the order of its files.

        Raises MissingComponent for a file without one, and UnsupportedArchitecture for two files that SDXL does not
        join: it joins CLIP-L and OpenCLIP's ViT-bigG.
        """
        found = [self.describe(file, ref.config) for file in ref.files]
        for file, each in zip(ref.files, found, strict=True):
            if not each.clip:
                raise _lacks(file, "text encoder", each)
        if len(found) == 1:
            return found[0].clip
        configs = for_xl([each.clip for each in found])
        if configs is None:
            names = " and ".join(file.name for file in ref.files)
            raise UnsupportedArchitecture(
                f"{names} do not hold the two text encoders of SDXL.",
                hint="Choose CLIP-L (width 768) first and then OpenCLIP ViT-bigG (width 1280).",
            )
        return configs

    def vae(self, ref: VaeRef) -> LoadedVae:
        """The autoencoder of a reference."""

        def load() -> LoadedVae:
            self.loads.vae += 1
            with _open(ref.file) as file:
                found = detect_file(file, ref.config)
                if found.vae is None:
                    raise _lacks(ref.file, "VAE", found)
                dtype = self.placement.vae
                if isinstance(found.vae, TinyVaeConfig):
                    return self._tiny_vae(found.vae, file, ref, dtype)
                return LoadedVae(build_vae(found.vae, file, self.device, dtype), found.vae, self.device, dtype)

        return self._get(ref, load, LoadedVae)

    def control_net(self, ref: ControlNetRef) -> LoadedControlNet:
        """The control network of a reference. Raises UnsupportedArchitecture when its file holds none."""

        def load() -> LoadedControlNet:
            self.loads.control += 1
            with _open(ref.file) as file:
                return build_control(read_control(file), file, self.device, self.placement.unet)

        return self._get(ref, load, LoadedControlNet)

    def upscaler(self, ref: UpscaleModelRef) -> LoadedUpscaler:
        """The upscaling network of a reference. Raises UnsupportedArchitecture when its file holds none."""
        from diffusion.upscale import LoadedUpscaler, build_upscaler  # spandrel takes a second to import

        def load() -> LoadedUpscaler:
            with _open(ref.file) as file:
                return build_upscaler(file, self.device)

        return self._get(ref, load, LoadedUpscaler)

    def describe_control(self, ref: ControlNetRef) -> ControlConfig:
        """What control network a file holds, from its header alone."""
        with _open(ref.file) as file:
            return read_control(file)

    def lora(self, file: FileRef) -> LoraFile:
        """The adapters of a LoRA file."""

        def load() -> LoraFile:
            self.loads.lora += 1
            return read_lora(file, self.device)

        return self._get(file, load, LoraFile)

    def check_lora(self, file: FileRef, model: ModelRef | None, clip: ClipRef | None) -> None:
        """Raise WrongLora unless a LoRA belongs to these models. Nothing of them but their headers is read."""
        parts: list[Part] = []
        family = ""
        if clip is not None:
            family = self.describe(clip.files[0], clip.config).family
            parts = [clip_part(clip_skeleton(self.text_encoders(clip)))]
        if model is not None:
            found = self.describe(model.file, model.config)
            if found.unet is not None:
                parts, family = [unet_part(unet_skeleton(found.unet), found.unet), *parts], found.family
        check_fit(self.lora(file), family, parts)

    def _with_options(self, ref: ModelRef) -> LoadedUnet:
        base, options = self.unet(replace(ref, options=())), options_of(ref.options)
        levels, prediction = base.sampling, base.prediction
        for option in options:
            if isinstance(option, ModelSamplingOption):
                trained = self.describe(ref.file, ref.config).schedule
                levels, prediction = sampling_by(option, _levels(replace(trained, zero_terminal=False)))
        return replace(base, sampling=levels, prediction=prediction, options=options)

    def _patched_unet(self, ref: ModelRef) -> LoadedUnet:
        base = self.unet(replace(ref, patches=()))

        def load() -> LoadedUnet:
            self.loads.patched += 1
            family = self.describe(ref.file, ref.config).family
            return replace(base, module=patched_unet(base, ref.patches, family, self))

        return self._get(ref, load, LoadedUnet, size=lambda made: own_bytes(made.module, base.module))

    def _patched_clip(self, ref: ClipRef) -> LoadedClip:
        base = self.clip(replace(ref, patches=()))

        def load() -> LoadedClip:
            self.loads.patched += 1
            family = self.describe(ref.files[0], ref.config).family
            return replace(base, module=patched_clip(base.module, ref.patches, family, self))

        return self._get(ref, load, LoadedClip, size=lambda made: own_bytes(made.module, base.module))

    def _tiny_vae(self, config: TinyVaeConfig, decoder: CheckpointFile, ref: VaeRef, dtype: torch.dtype) -> LoadedVae:
        """A tiny autoencoder, whose encoder may come from a file of its own."""
        if ref.encoder is None:
            return LoadedVae(build_tiny_vae(config, decoder, decoder, self.device, dtype), config, self.device, dtype)
        with _open(ref.encoder) as encoder:
            found = detect_file(encoder, None).vae
            if not isinstance(found, TinyVaeConfig) or found.encoder is None:
                raise _lacks(ref.encoder, "encoder of a tiny VAE", detect_file(encoder, None))
            both = replace(config, encoder=found.encoder)
            return LoadedVae(build_tiny_vae(both, encoder, decoder, self.device, dtype), both, self.device, dtype)

    def describe(self, file: FileRef, config: FileRef | None) -> Architecture:
        """What a file holds, from its header alone."""
        with _open(file) as opened:
            return detect_file(opened, config)

    def free(self) -> None:
        """Forget every loaded model and hand its memory back."""
        self._slots.clear()
        self._collect()

    def _get(self, key: object, load: Callable[[], L], kind: type[L], *, size: Callable[[L], int] | None = None) -> L:
        """What is kept under a key, or else loaded. `size` counts the bytes of what shares weights with another."""
        slot = self._slots.get(key)
        if slot is None:
            try:
                component = load()
            except torch.OutOfMemoryError:
                self.free()
                component = load()
            slot = self._slots[key] = _Slot(component, component.bytes if size is None else size(component))
        self._slots.move_to_end(key)
        self._shrink()
        component = slot.component
        assert isinstance(component, kind)
        return component

    def _shrink(self) -> None:
        dropped = False
        while len(self._slots) > 1 and self.resident_bytes > self.budget:
            self._slots.popitem(last=False)
            dropped = True
        if dropped:
            self._collect()

    def _collect(self) -> None:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _open(file: FileRef) -> CheckpointFile:
    return open_checkpoint(Path(file.path))


def _levels(schedule: ScheduleConfig) -> DiscreteSchedule:
    levels = DiscreteSchedule.scaled_linear(schedule.linear_start, schedule.linear_end, schedule.timesteps)
    return levels.zero_terminal() if schedule.zero_terminal else levels


def _lacks(file: FileRef, part: str, found: Architecture) -> MissingComponent:
    there = [
        name
        for name, config in (("a U-Net", found.unet), ("a text encoder", found.clip), ("a VAE", found.vae))
        if config
    ]
    return MissingComponent(
        f"{file.name} holds no {part}, only {' and '.join(there)}.", hint="Load that part from another file."
    )
