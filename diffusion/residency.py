"""Turns references into weights on the device, and keeps those last used within a budget of memory.

Values in a graph name their model; only here does a model live. Asking again for what is still loaded costs nothing;
what has not been used for longest goes first when room is needed, and a model larger than all there is runs with a part
of its weights passing through (`held`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from torch import nn

from diffusion.architecture import Architecture, ClipConfig, ScheduleConfig, TinyVaeConfig, VaeConfig
from diffusion.build import (
    TEXT_WEIGHTS,
    build_clip,
    build_tiny_vae,
    build_unet,
    build_vae,
    clip_skeleton,
    unet_skeleton,
)
from diffusion.checkpoint_file import CheckpointFile
from diffusion.control.adapter import AdapterConfig, LoadedAdapter
from diffusion.control.architecture import ControlConfig, ControlLoraConfig, read_control
from diffusion.control.loaded import LoadedControl
from diffusion.control.lora import control_on
from diffusion.control.network import ControlLora, LoadedControlNet, WrongControlNet, load_control
from diffusion.detect import detect_file
from diffusion.detection.text import for_xl
from diffusion.device import Placement, computed_in, place
from diffusion.errors import MissingComponent, UnsupportedArchitecture, blaming
from diffusion.held import held_by
from diffusion.kept import KeptModels, LoadCounts
from diffusion.keys import NameMap, original_unet_names
from diffusion.library import ModelLibrary
from diffusion.loaded import LoadedClip, LoadedUnet, LoadedVae
from diffusion.memory import Meter, available, default_budget
from diffusion.model_options import ModelSamplingOption
from diffusion.model_patches.apply import sampling_by
from diffusion.patches.lora import Part, Shapes, check_fit
from diffusion.patches.lora_file import LoraFile, read_lora
from diffusion.patches.merge import check_merge, clip_places
from diffusion.patches.patching import clip_part, patched_clip, patched_unet, shapes_of, unet_part
from diffusion.placing import Place
from diffusion.preview import latent_rgb
from diffusion.safety import LoadedSafety, build_safety
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.shards import open_weights
from diffusion.text.tokenizer import ClipTokenizer
from diffusion.values import ClipRef, ControlNetRef, FileRef, ModelRef, UpscaleModelRef, VaeRef

if TYPE_CHECKING:
    from diffusion.compiling import CompiledNetwork, Compiler
    from diffusion.upscale import LoadedUpscaler

ROUNDED = {"default": None, "fp8_e4m3fn": torch.float8_e4m3fn, "fp8_e5m2": torch.float8_e5m2}


class Residency:
    """The loaded models of one device. Not for use from several threads at once.

    `vram_budget` and `ram_budget` are the bytes of weights to keep on a GPU and in the machine's memory; on a device
    that computes in the machine's memory only the latter counts. By default 80 % of a GPU's memory, and half of the
    machine's. `compiler` makes what compiles U-Nets for the device, where they are to be compiled.
    """

    def __init__(
        self,
        library: ModelLibrary,
        device: str = "auto",
        precision: str = "auto",
        *,
        vram_budget: int | None = None,
        ram_budget: int | None = None,
        compiler: Callable[[torch.device], Compiler] | None = None,
    ) -> None:
        self.library = library
        self.placement: Placement = place(device, precision)
        ram = ram_budget if ram_budget is not None else default_budget(torch.device("cpu"))
        self.parking: Meter | None = None
        if self.device.type == "cuda":
            self.meter = Meter(vram_budget if vram_budget is not None else default_budget(self.device))
            self.parking = Meter(ram)
        else:
            self.meter = Meter(ram)
        self._models = KeptModels(self.device, self.meter)
        self._compiler = None if compiler is None else compiler(self.device)
        self._tokenizer = ClipTokenizer()

    @property
    def loads(self) -> LoadCounts:
        return self._models.loads

    @property
    def device(self) -> torch.device:
        return self.placement.device

    @property
    def resident_bytes(self) -> int:
        """Bytes of weights on the device."""
        return self.meter.now

    @blaming("model")
    def unet(self, ref: ModelRef, *, hold: bool = True) -> LoadedUnet:
        """The U-Net of a reference. Raises MissingComponent when the file has none. References that differ only in
        `options` share its weights. Without `hold` its weights are not brought into memory before they are used."""
        if ref.options:
            return self._with_options(ref, hold)
        if ref.patches:
            return self._patched_unet(ref, hold)

        def make() -> LoadedUnet:
            with _open(ref.file) as file:
                found = detect_file(file, ref.config)
                if found.unet is None:
                    raise _lacks(ref.file, "U-Net", found)
                dtype = computed_in(ref.compute_dtype, self.placement)
                module = build_unet(
                    found.unet, file, self._place(dtype), use_ema=ref.use_ema, rounded=ROUNDED[ref.weight_dtype]
                )
                return LoadedUnet(
                    module=module,
                    config=found.unet,
                    sampling=_levels(found.schedule),
                    prediction=found.prediction,
                    latent_scale=found.latent_scale,
                    latent_rgb=latent_rgb(file.metadata, found.unet.out_channels, found.latent_scale),
                    device=self.device,
                    dtype=dtype,
                    control_net=partial(self.control_net, model=ref),
                    relieve=partial(self._models.relieve, module),
                    compiled=self._compiled(module),
                )

        return self._models.get(ref, make, LoadedUnet, "unet", hold)

    @blaming("clip")
    def clip(self, ref: ClipRef, *, hold: bool = True) -> LoadedClip:
        """The text encoders of a reference. References that differ only in `stop_at_layer` share their weights."""
        if ref.patches:
            return replace(self._patched_clip(replace(ref, stop_at_layer=None), hold), stop_at_layer=ref.stop_at_layer)

        def make() -> LoadedClip:
            configs = self.text_encoders(ref)
            with ExitStack() as stack:
                files = [stack.enter_context(_open(file)) for file in ref.files]
                sources = files if len(files) == len(configs) else files * len(configs)
                place = self._place(self.placement.clip)
                if self.device.type == "cpu":
                    place = replace(place, narrow=TEXT_WEIGHTS)
                module = build_clip(configs, sources, place)
                return LoadedClip(module, configs, self._tokenizer, self.device, self.library)

        loaded = self._models.get(replace(ref, stop_at_layer=None), make, LoadedClip, "clip", hold)
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

    @blaming("vae")
    def vae(self, ref: VaeRef) -> LoadedVae:
        """The autoencoder of a reference."""

        def make() -> LoadedVae:
            with _open(ref.file) as file:
                found = detect_file(file, ref.config)
                if found.vae is None:
                    raise _lacks(ref.file, "VAE", found)
                # Packing gains nothing for its few, wide convolutions, and few workflows use both of its halves.
                place = replace(self._place(self.placement.vae), packs=False, on_use=True)
                if isinstance(found.vae, TinyVaeConfig):
                    return self._tiny_vae(found.vae, file, ref, place)
                return self._vae(build_vae(found.vae, file, place), found.vae)

        return self._models.get(ref, make, LoadedVae, "vae")

    def control_net(self, ref: ControlNetRef, model: ModelRef | None = None) -> LoadedControlNet | LoadedAdapter:
        """The control network or T2I-Adapter of a reference. Raises UnsupportedArchitecture when its file holds none.
        References that differ only in `task` share its weights. `model` is the one that samples, of whose weights a
        Control-LoRA makes a control network."""
        place = self._place(self.placement.unet)

        def make() -> LoadedControl:
            with _open(ref.file) as file:
                return load_control(ref, file, place, partial(self.unet, hold=False))

        found = self._models.get(replace(ref, task=None), make, LoadedControl, "control")
        if isinstance(found, ControlLora):
            lora = found.config
            if model is None:
                raise WrongControlNet(f"{ref.file.name} is a Control-LoRA, and no model that samples was given.")

            def on_model() -> LoadedControlNet:
                base = self.unet(model, hold=False)
                with _open(ref.file) as file:
                    return control_on(base, lora, file, self._place(base.dtype))

            found = self._models.get(ControlNetRef(ref.file, model), on_model, LoadedControlNet, "control")
        assert isinstance(found, LoadedControlNet | LoadedAdapter)
        return found

    @blaming("upscale_model")
    def upscaler(self, ref: UpscaleModelRef) -> LoadedUpscaler:
        """The upscaling network of a reference. Raises UnsupportedArchitecture when its file holds none."""
        from diffusion.upscale import LoadedUpscaler, build_upscaler  # spandrel takes a second to import

        def make() -> LoadedUpscaler:
            with _open(ref.file) as file:
                return build_upscaler(file, self.device)

        return self._models.get(ref, make, LoadedUpscaler, "upscaler")

    def safety(self, file: FileRef) -> LoadedSafety:
        """The safety checker of a file. Raises UnsupportedArchitecture when it holds none."""

        def make() -> LoadedSafety:
            with _open(file) as opened:
                return build_safety(opened, self._place(self.placement.vae))

        return self._models.get(("safety", file), make, LoadedSafety, "safety")

    def describe_control(self, ref: ControlNetRef) -> ControlConfig | ControlLoraConfig | AdapterConfig:
        """What control network a file holds, from its header alone."""
        with _open(ref.file) as file:
            return read_control(file)

    def lora(self, file: FileRef) -> LoraFile:
        """The adapters of a LoRA file."""

        def make() -> LoraFile:
            return read_lora(file, self.device)

        return self._models.get(file, make, LoraFile, "lora")

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

    def check_merge(self, first: ModelRef | ClipRef, second: ModelRef | ClipRef) -> None:
        """Raise CannotMerge unless the weights of two models, or of two models' text encoders, correspond. Nothing of
        them but their headers is read."""
        (own, place), (other, other_place) = self._places(first), self._places(second)
        name = second.file.name if isinstance(second, ModelRef) else second.files[0].name
        check_merge(own, other, place, other_place, other_name=name)

    def _places(self, ref: ModelRef | ClipRef) -> tuple[Shapes, NameMap]:
        """The shapes of the parameters, and their places in the original layout."""
        if isinstance(ref, ClipRef):
            configs = self.text_encoders(ref)
            return shapes_of(clip_skeleton(configs)), clip_places(configs)
        found = self.describe(ref.file, ref.config)
        if found.unet is None:
            raise _lacks(ref.file, "U-Net", found)
        return shapes_of(unet_skeleton(found.unet)), original_unet_names(found.unet)

    def _with_options(self, ref: ModelRef, hold: bool) -> LoadedUnet:
        base, options = self.unet(replace(ref, options=()), hold=hold), ref.options
        levels, prediction = base.sampling, base.prediction
        for option in options:
            if isinstance(option, ModelSamplingOption):
                trained = self.describe(ref.file, ref.config).schedule
                levels, prediction = sampling_by(option, _levels(replace(trained, zero_terminal=False)))
        return replace(base, sampling=levels, prediction=prediction, options=options)

    def _patched_unet(self, ref: ModelRef, hold: bool) -> LoadedUnet:
        base = self.unet(replace(ref, patches=()), hold=False)

        def make() -> LoadedUnet:
            family = self.describe(ref.file, ref.config).family
            module = patched_unet(base, ref.patches, family, self)
            relieve, compiled = partial(self._models.relieve, module), self._compiled(module)
            control_net = partial(self.control_net, model=ref)
            return replace(base, module=module, control_net=control_net, relieve=relieve, compiled=compiled)

        made = self._models.get(ref, make, LoadedUnet, "patched", hold=False)
        if hold:
            if self._share(base.module, made.module):
                self.unet(replace(ref, patches=()))
            self._models.get(ref, make, LoadedUnet, "patched")
        return made

    def _patched_clip(self, ref: ClipRef, hold: bool) -> LoadedClip:
        base = self.clip(replace(ref, patches=()), hold=False)

        def make() -> LoadedClip:
            family = self.describe(ref.files[0], ref.config).family
            return replace(base, module=patched_clip(base, ref.patches, family, self))

        made = self._models.get(ref, make, LoadedClip, "patched", hold=False)
        if hold:
            if self._share(base.module, made.module):
                self.clip(replace(ref, patches=()))
            self._models.get(ref, make, LoadedClip, "patched")
        return made

    def _share(self, base: nn.Module, patched: nn.Module) -> bool:
        """Whether a patched model and the one it came from fit into the budget together. Otherwise the latter goes: its
        weights are read from the file when they are needed."""
        if held_by(base).size + held_by(patched).own <= self.meter.limit:
            return True
        held_by(base).drop()
        return False

    def _compiled(self, module: nn.Module) -> CompiledNetwork | None:
        return None if self._compiler is None else self._compiler.network(module)

    def _place(self, dtype: torch.dtype) -> Place:
        return Place(self.device, dtype, self.meter, self.parking)

    def _vae(self, module: AutoencoderKL | AutoencoderTiny, config: VaeConfig | TinyVaeConfig) -> LoadedVae:
        relieve = partial(self._models.relieve, module)
        return LoadedVae(module, config, self.device, self.placement.vae, relieve, lambda: available(self.device))

    def _tiny_vae(self, config: TinyVaeConfig, decoder: CheckpointFile, ref: VaeRef, place: Place) -> LoadedVae:
        """A tiny autoencoder, whose encoder may come from a file of its own."""
        if ref.encoder is None:
            return self._vae(build_tiny_vae(config, decoder, decoder, place), config)
        with _open(ref.encoder) as encoder:
            found = detect_file(encoder, None).vae
            if not isinstance(found, TinyVaeConfig) or found.encoder is None:
                raise _lacks(ref.encoder, "encoder of a tiny VAE", detect_file(encoder, None))
            both = replace(config, encoder=found.encoder)
            return self._vae(build_tiny_vae(both, encoder, decoder, place), both)

    def describe(self, file: FileRef, config: FileRef | None) -> Architecture:
        """What a file holds, from the names and shapes of its tensors. Of weights, a few are read at most, where these
        do not tell; a pickle is opened whole."""
        with _open(file) as opened:
            return detect_file(opened, config)

    def free(self) -> None:
        """Forget every loaded model and hand its memory back."""
        self._models.free()


def _open(file: FileRef) -> CheckpointFile:
    return open_weights(Path(file.path))


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
