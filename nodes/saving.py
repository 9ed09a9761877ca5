"""Nodes that write models to files, merged and patched as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from diffusion.errors import blaming
from diffusion.values import ClipRef, ModelRef, VaeRef
from nodes.output.filenames import expand
from nodes.sdk import Context, Help, Label, NodeError, Range, node

_CATEGORY = "advanced/merging"
_PREFIX = Help("How the file name begins, below the output folder; may hold the tokens that *Save picture* knows.")
_MODEL = Help(
    "The denoiser, with its LoRAs and merges. Other patches, such as FreeU, are no weights and are not saved."
)
_CLIP = Help("The text encoder, with its LoRAs and merges.")


@node(title="Save checkpoint", category=_CATEGORY, output=True)
def CheckpointSave(
    context: Context,
    model: Annotated[ModelRef, _MODEL],
    clip: Annotated[ClipRef, _CLIP],
    vae: Annotated[VaeRef, Help("The VAE to go with it.")],
    filename_prefix: Annotated[str, _PREFIX] = "checkpoints/latentgraph",
) -> None:
    """Writes a whole checkpoint, with LoRAs and merges worked into its weights: one .safetensors file in the original
    layout, which this and other programs load.

    It goes to the output folder; move it to models/checkpoints to use it. Weights are stored in the type they came in,
    and the workflow is in the file's metadata.
    """
    from diffusion.saving.save import save_checkpoint

    def write(path: Path) -> None:
        save_checkpoint(context.residency, path, model, clip, vae, _texts(context), context.progress)

    _save(context, filename_prefix, write)


@node(title="Save model", category=_CATEGORY, output=True)
def ModelSave(
    context: Context,
    model: Annotated[ModelRef, _MODEL],
    filename_prefix: Annotated[str, _PREFIX] = "diffusion_models/latentgraph",
) -> None:
    """Writes a denoiser alone, with LoRAs and merges worked into its weights. Move the file to models/diffusion_models
    and open it with *Load U-Net*."""
    from diffusion.saving.save import save_checkpoint

    def write(path: Path) -> None:
        save_checkpoint(context.residency, path, model, None, None, _texts(context), context.progress)

    _save(context, filename_prefix, write)


@node(title="Save text encoder", category=_CATEGORY, output=True)
def CLIPSave(
    context: Context,
    clip: Annotated[ClipRef, _CLIP],
    filename_prefix: Annotated[str, _PREFIX] = "clip/latentgraph",
) -> None:
    """Writes a text encoder alone, with LoRAs and merges worked into its weights: for SDXL two files, whose names
    end in clip_l and clip_g. Move them to models/clip and open them with *Load CLIP* or *Load two CLIPs*."""
    from diffusion.saving.save import clip_files, save_clip

    for place, name in enumerate(clip_files(context.residency, clip)):

        def write(path: Path, place: int = place) -> None:
            save_clip(context.residency, path, clip, place, _texts(context), context.progress)

        _save(context, f"{filename_prefix}_{name}", write)


@node(title="Save VAE", category=_CATEGORY, output=True)
def VAESave(
    context: Context,
    vae: Annotated[VaeRef, Help("The VAE to save.")],
    filename_prefix: Annotated[str, _PREFIX] = "vae/latentgraph",
) -> None:
    """Writes a VAE to a file of its own. Move it to models/vae and open it with *Load VAE*."""
    from diffusion.saving.save import save_vae

    _save(
        context,
        filename_prefix,
        lambda path: save_vae(context.residency, path, vae, _texts(context), context.progress),
    )


@node(title="Extract and save LoRA", category=_CATEGORY, output=True)
def LoraSave(
    context: Context,
    filename_prefix: Annotated[str, _PREFIX] = "loras/latentgraph",
    rank: Annotated[
        int, Range(1, 4096), Help("How many directions to keep of each weight: more is nearer, and a larger file.")
    ] = 8,
    lora_type: Annotated[
        Literal["standard", "full_diff"],
        Label("kind"),
        Help("standard keeps as many directions as the rank says; full_diff keeps the difference whole."),
    ] = "standard",
    bias_diff: Annotated[
        bool, Label("biases"), Help("Whether the differences of biases and norms are kept, too.")
    ] = True,
    model_diff: Annotated[
        ModelRef | None, Label("model"), Help("The difference of two denoisers, from *Subtract models*.")
    ] = None,
    text_encoder_diff: Annotated[
        ClipRef | None, Label("CLIP"), Help("The difference of two text encoders, from *Subtract text encoders*.")
    ] = None,
) -> None:
    """Writes the difference of two models as a LoRA. Move the file to models/loras and add it to another model with
    *Load LoRA*; a standard one is an approximation."""
    from diffusion.saving.lora import LoraForm, save_lora

    if model_diff is None and text_encoder_diff is None:
        raise NodeError(
            "There is nothing to save.",
            input="model_diff",
            code="missing_input",
            hint="Connect what *Subtract models* or *Subtract text encoders* gives.",
        )
    form = LoraForm(rank, whole=lora_type == "full_diff", biases=bias_diff)

    def write(path: Path) -> None:
        save_lora(context.residency, path, model_diff, text_encoder_diff, form, _texts(context), context.progress)

    _save(context, filename_prefix, write)


def _texts(context: Context) -> dict[str, str]:
    from diffusion.saving.layout import texts

    return texts(context.prompt, context.document)


def _save(context: Context, filename_prefix: str, write: Callable[[Path], None]) -> None:
    """Claim a name, write the file and show it."""
    prefix = expand(filename_prefix, context.prompt, datetime.now(), width=0, height=0, node_id=context.node_id)
    with blaming("filename_prefix"):
        reserved = context.reserve_output(prefix, ".safetensors")
    try:
        write(reserved.path)
    except OSError as error:
        raise NodeError(
            f"{reserved.path.name} could not be written: {error.strerror or error}.",
            code="cannot_write",
            hint="Look for room on the disk of the output folder.",
        ) from error
    context.publish(replace(reserved.file, media="application/octet-stream"))
