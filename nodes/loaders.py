"""Nodes that bring models into a graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from diffusion.errors import blaming
from diffusion.values import ClipRef, FileRef, ModelRef, VaeRef
from nodes.sdk import Advanced, Context, Help, Label, ModelFile, NodeError, node

if TYPE_CHECKING:
    from diffusion.architecture import Architecture

_DEVICE = Help("Kept for ComfyUI's files: where a model runs is for the program to decide.")


class LoadedCheckpoint(NamedTuple):
    MODEL: ModelRef
    CLIP: ClipRef
    VAE: VaeRef


@node(title="Load checkpoint", category="loaders", aliases=("CheckpointLoaderSimple",), version=2)
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
            "config of the same name beside the checkpoint is read. One that is chosen here also says which layer of "
            "the text encoder is read (`layer_idx`)."
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

    The kind of model is told by what is in the file. Stable Diffusion 1, 2 and XL are supported, with their inpainting,
    editing and distilled variants. The weights are read when they are first needed, and kept while there is memory for
    them.
    """
    from diffusion.sidecar import read_sidecar

    chosen = layer = None
    if config_name:
        with blaming("config_name"):
            chosen = context.model_file("configs", config_name)
            layer = read_sidecar(Path(chosen.path)).clip_layer
    with blaming("ckpt_name"):
        file = context.model_file("checkpoints", ckpt_name)
        config = chosen or context.residency.library.sidecar(file)
        context.residency.describe(file, config)
    clip = ClipRef((file,), config, stop_at_layer=layer)
    return LoadedCheckpoint(ModelRef(file, config, use_ema=use_ema), clip, VaeRef(file, config))


@node(title="Load U-Net", category="loaders")
def UNETLoader(
    context: Context,
    unet_name: Annotated[
        str,
        ModelFile("diffusion_models"),
        Label("U-Net"),
        Help("A file from models/diffusion_models or models/unet, in the original layout or in diffusers'."),
    ],
    weight_dtype: Annotated[
        Literal["default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2"],
        Label("weights"),
        Help("Round the weights to 8 bits, as pictures that were made so need. default keeps them as they are."),
    ] = "default",
) -> ModelRef:
    """Loads a denoiser from a file of its own. Bring a text encoder and a VAE with *Load CLIP* and *Load VAE*."""
    rounded = "default" if weight_dtype == "default" else weight_dtype.removesuffix("_fast")
    with blaming("unet_name"):
        file = context.model_file("diffusion_models", unet_name)
        config = context.residency.library.sidecar(file)
        _check_part(context, file, config, "unet", "a U-Net")
    return ModelRef(file, config, weight_dtype=rounded)


@node(title="Load CLIP", category="loaders")
def CLIPLoader(
    context: Context,
    clip_name: Annotated[
        str, ModelFile("clip"), Label("text encoder"), Help("A file from models/clip or models/text_encoders.")
    ],
    type: Annotated[
        Literal["stable_diffusion"],
        Help("The family that reads it. Which of CLIP's encoders the file holds is found by itself."),
    ] = "stable_diffusion",
    device: Annotated[Literal["default", "cpu"], Advanced(), _DEVICE] = "default",
) -> ClipRef:
    """Loads a text encoder from a file of its own: CLIP-L for Stable Diffusion 1, OpenCLIP's ViT-H for 2, and its
    ViT-bigG for the SDXL refiner."""
    del type, device
    with blaming("clip_name"):
        file = context.model_file("clip", clip_name)
        config = context.residency.library.sidecar(file)
        _check_part(context, file, config, "clip", "a text encoder")
    return ClipRef((file,), config)


@node(title="Load two CLIPs", category="loaders")
def DualCLIPLoader(
    context: Context,
    clip_name1: Annotated[str, ModelFile("clip"), Label("first"), Help("CLIP-L, from models/clip.")],
    clip_name2: Annotated[str, ModelFile("clip"), Label("second"), Help("OpenCLIP's ViT-bigG, from models/clip.")],
    type: Annotated[Literal["sdxl"], Help("The family that reads them.")] = "sdxl",
    device: Annotated[Literal["default", "cpu"], Advanced(), _DEVICE] = "default",
) -> ClipRef:
    """Loads the two text encoders of SDXL from files of their own, in either order."""
    del type, device
    files: list[tuple[int, FileRef]] = []
    for name, blamed in ((clip_name1, "clip_name1"), (clip_name2, "clip_name2")):
        with blaming(blamed):
            file = context.model_file("clip", name)
            found = _check_part(context, file, None, "clip", "a text encoder")
        files.append((sum(each.width for each in found.clip), file))
    small, large = sorted(files, key=lambda each: each[0])
    ref = ClipRef((small[1], large[1]))
    with blaming("clip_name2"):
        context.residency.text_encoders(ref)
    return ref


@node(title="Load VAE", category="loaders")
def VAELoader(
    context: Context,
    vae_name: Annotated[
        str,
        ModelFile("vae"),
        Label("VAE"),
        Help("A file from models/vae. taesd and taesdxl are tiny ones, whose two files lie in models/vae_approx."),
    ],
) -> VaeRef:
    """Loads a VAE from a file of its own, in the original layout or in diffusers'. A tiny one (TAESD) takes a fraction
    of the time and is a little less sharp."""
    library = context.residency.library
    with blaming("vae_name"):
        file = context.model_file("vae", vae_name)
        config = library.sidecar(file)
        _check_part(context, file, config, "vae", "a VAE")
        return VaeRef(file, config, encoder=library.tiny_encoder(file))


@node(title="Load diffusers folder", category="loaders")
def DiffusersLoader(
    context: Context,
    model_path: Annotated[
        str,
        ModelFile("diffusers"),
        Label("folder"),
        Help("A folder below models/diffusers: a model_index.json, and each part of the model in a folder of its own."),
    ],
) -> LoadedCheckpoint:
    """Opens a model in the form that the diffusers library saves: a folder with a U-Net, text encoders and a VAE.

    What the scheduler's config says of the noise and of what the U-Net predicts is taken over.
    """
    from diffusion.diffusers_folder import read_folder

    with blaming("model_path"):
        parts = read_folder(context.residency.library, context.model_file("diffusers", model_path))
        _check_part(context, parts.unet, parts.scheduler, "unet", "a U-Net")
    return LoadedCheckpoint(ModelRef(parts.unet, parts.scheduler), ClipRef(parts.text_encoders), VaeRef(parts.vae))


def _check_part(context: Context, file: FileRef, config: FileRef | None, part: str, title: str) -> Architecture:
    """What a file holds. Raises when it cannot be loaded or lacks the part."""
    found = context.residency.describe(file, config)
    if not getattr(found, part):
        raise NodeError(f"{file.name} holds no {title.split(' ', 1)[1]}.", hint=f"Choose {title}.")
    return found
