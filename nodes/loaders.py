"""Nodes that bring models into a graph."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from diffusion.values import ClipRef, ModelRef, VaeRef
from nodes.sdk import Advanced, Context, Help, Label, ModelFile, node


class LoadedCheckpoint(NamedTuple):
    MODEL: ModelRef
    CLIP: ClipRef
    VAE: VaeRef


@node(title="Load checkpoint", category="loaders", aliases=("CheckpointLoaderSimple",))
def CheckpointLoader(
    context: Context,
    ckpt_name: Annotated[
        str,
        ModelFile("checkpoints"),
        Label("checkpoint"),
        Help("A file from models/checkpoints: .safetensors, or .ckpt without code in it."),
    ],
    config_name: Annotated[
        str | None,
        ModelFile("configs"),
        Label("config"),
        Advanced(),
        Help(
            "A model config (.yaml) from models/configs. Leave it empty: what the file holds is found by itself, and a "
            "config of the same name beside the checkpoint is read."
        ),
    ] = None,
    use_ema: Annotated[
        bool,
        Advanced(),
        Help("Use the averaged weights that some training checkpoints also hold."),
    ] = False,
) -> LoadedCheckpoint:
    """Opens a checkpoint: one file that holds everything needed to make a picture.

    MODEL is the denoiser, for a sampler. CLIP reads prompts, for *Encode prompt*. VAE turns pictures into latents and
    back, for *Encode picture* and *Decode latent*.

    The kind of model is told by what is in the file. Stable Diffusion 1.x is supported, at any width. The weights are
    read when they are first needed, and kept while there is memory for them.
    """
    from diffusion.errors import DiffusionError

    file = context.model_file("checkpoints", ckpt_name)
    residency = context.residency
    config = context.model_file("configs", config_name) if config_name else residency.library.sidecar(file)
    try:
        residency.describe(file, config)
    except DiffusionError as error:
        error.input = error.input or "ckpt_name"
        raise
    return LoadedCheckpoint(ModelRef(file, config, use_ema=use_ema), ClipRef((file,), config), VaeRef(file, config))
