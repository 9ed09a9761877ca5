"""Saves models: whole checkpoints, denoisers, text encoders and autoencoders, merged and patched as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from diffusion.architecture import Architecture
from diffusion.checkpoint_file import CheckpointFile
from diffusion.errors import DiffusionError
from diffusion.model_options import ModelSamplingOption
from diffusion.residency import Residency
from diffusion.saving import layout
from diffusion.saving.weights import clip_weights, tiny_vae_tensors, unet_weights, vae_weights
from diffusion.saving.writer import Entry, write
from diffusion.shards import open_weights
from diffusion.values import ClipRef, ModelRef, VaeRef

Report = Callable[[int, int], None]
"""Called with the tensors written and their number; it may raise to stop."""

_CARRIED = ("latent_rgb",)
"""Metadata of the denoiser's file that stay true of it whatever is done to its weights."""


class CannotSave(DiffusionError):
    """A model that a file of the original layout cannot hold."""

    default_code = "cannot_save"


def save_checkpoint(
    models: Residency,
    path: Path,
    model: ModelRef,
    clip: ClipRef | None,
    vae: VaeRef | None,
    texts: Mapping[str, str],
    report: Report,
) -> None:
    """Write a denoiser, and text encoders and an autoencoder where they are given, as one file.

    Of the options that nodes add to a model only what its output stands for is kept, as files can say only that.
    Raises CannotSave when the parts do not belong together, or the layout has no place for one.
    """
    found = _sampled(models.describe(model.file, model.config), model)
    with ExitStack() as files:
        config, weights = unet_weights(model, models, files)
        entries = layout.unet_entries(config, weights) + layout.marks(found)
        saved = replace(found, clip=(), vae=None)
        if clip is not None:
            configs, towers = clip_weights(clip, models, files)
            _check_width(config.context_dim, sum(each.width for each in configs), model, clip)
            entries += layout.clip_entries(configs, towers)
            saved = replace(saved, clip=configs)
        if vae is not None:
            part = vae_weights(vae, models, files)
            if part is None:
                raise CannotSave(
                    f"{vae.file.name} is a tiny autoencoder, and a checkpoint has no place for one.",
                    hint="Connect a whole VAE, and load the tiny one beside the checkpoint.",
                    input="vae",
                )
            entries += layout.vae_entries(*part, alone=False)
            saved = replace(saved, vae=part[0])
        metadata = {**_carried(files, model), **layout.unet_metadata(found, path.stem)}
        write(path, entries, {**metadata, **layout.config_metadata(saved), **texts}, report)


def clip_files(models: Residency, clip: ClipRef) -> tuple[str, ...]:
    """What the files of a reference's text encoders are called, in order: `clip_l`, `clip_g`, `clip_h`."""
    return tuple(layout.clip_file_name(config) for config in models.text_encoders(clip))


def save_clip(
    models: Residency, path: Path, clip: ClipRef, place: int, texts: Mapping[str, str], report: Report
) -> None:
    """Write one of a reference's text encoders, by its place among them."""
    with ExitStack() as files:
        configs, towers = clip_weights(clip, models, files)
        found = replace(models.describe(clip.files[0], clip.config), unet=None, vae=None, clip=(configs[place],))
        entries = layout.clip_file_entries(configs[place], towers[place])
        write(path, entries, {**layout.config_metadata(found), **texts}, report)


def save_vae(models: Residency, path: Path, vae: VaeRef, texts: Mapping[str, str], report: Report) -> None:
    """Write an autoencoder; the two files of a tiny one become one."""
    with ExitStack() as files:
        found = replace(models.describe(vae.file, vae.config), unet=None, clip=())
        part = vae_weights(vae, models, files)
        if part is None:
            entries = [_copied(name, *where) for name, where in tiny_vae_tensors(vae, models, files).items()]
            found = replace(found, latent_scale=getattr(found.vae, "scale", found.latent_scale))
        else:
            entries = layout.vae_entries(*part, alone=True)
        write(path, entries, {**layout.config_metadata(found), **texts}, report)


def _sampled(found: Architecture, model: ModelRef) -> Architecture:
    """The architecture with what *Model sampling* nodes say of it."""
    for option in model.options:
        if isinstance(option, ModelSamplingOption):
            if option.sampling not in ("eps", "v_prediction"):
                raise CannotSave(
                    f"A file cannot say that a model is sampled as {option.sampling}.",
                    hint="Save it without that node, and use the node with the file.",
                    input="model",
                )
            levels = replace(found.schedule, zero_terminal=option.zsnr)
            found = replace(found, prediction="v" if option.sampling == "v_prediction" else "eps", schedule=levels)
    return found


def _check_width(unet: int, text: int, model: ModelRef, clip: ClipRef) -> None:
    if unet != text:
        raise CannotSave(
            f"{model.file.name} reads prompts {unet} wide, and the text encoder of {clip.files[0].name} gives {text}.",
            hint="Connect the text encoder of the model's family.",
            input="clip",
        )


def _carried(files: ExitStack, model: ModelRef) -> dict[str, str]:
    metadata = files.enter_context(open_weights(Path(model.file.path))).metadata
    return {name: metadata[name] for name in _CARRIED if name in metadata}


def _copied(target: str, file: CheckpointFile, name: str) -> Entry:
    info = file.tensors[name]
    return Entry(target, info.shape, info.dtype, lambda: file.tensor(name))
