"""Reads an autoencoder's architecture from the shapes of its tensors: the KL autoencoder in the original layout or in
diffusers', and the tiny one (TAESD) in its own."""

from __future__ import annotations

from dataclasses import replace

from diffusion.architecture import LATENT_SCALE, XL_LATENT_SCALE, TinyVaeConfig, VaeConfig
from diffusion.detection.shapes import ShapeMap, Shapes
from diffusion.keys import diffusers_vae_names

_ROOTS = ("first_stage_model.", "vae.", "")
_TINY_SIDES = (
    # encoder root, a name below it, decoder root, a name below it, and the layout they make
    ("taesd_encoder.", "1.conv.0.weight", "taesd_decoder.", "3.conv.0.weight", "original"),
    ("encoder.layers.", "1.conv.0.weight", "decoder.layers.", "2.conv.0.weight", "diffusers"),
)


def read_vae(file: Shapes) -> VaeConfig | TinyVaeConfig | None:
    """The autoencoder of a file, or None when it holds none. Raises UnsupportedArchitecture for one of another kind."""
    for root in _ROOTS:
        if file.has(f"{root}decoder.conv_in.weight"):
            if file.starts(f"{root}decoder.up_blocks."):
                translated = Shapes(_original_names(file, root), file.side, file.name)
                return replace(_read(translated, ""), root=root, layout="diffusers")
            return _read(file, root)
    return _tiny(file)


def _read(file: Shapes, root: str) -> VaeConfig:
    encoder = f"{root}encoder."
    levels = file.count(f"{encoder}down.")
    if levels == 0:
        raise file.unsupported("its autoencoder has no encoder")
    channels = [file.shape(f"{encoder}down.{level}.block.0.conv2.weight", 4)[0] for level in range(levels)]
    layers = {file.count(f"{encoder}down.{level}.block.") for level in range(levels)}
    ups = {file.count(f"{root}decoder.up.{level}.block.") for level in range(levels)}
    if len(layers) != 1 or ups != {next(iter(layers)) + 1}:
        raise file.unsupported("its autoencoder has uneven levels")
    if any(file.count(f"{encoder}down.{level}.attn.") for level in range(levels)):
        raise file.unsupported("its autoencoder attends outside its middle")
    if not file.has(f"{encoder}mid.attn_1.q.weight"):
        raise file.unsupported("its autoencoder does not attend in its middle")
    return VaeConfig(
        in_channels=file.shape(f"{encoder}conv_in.weight", 4)[1],
        latent_channels=file.shape(f"{root}decoder.conv_in.weight", 4)[1],
        channels=tuple(channels),
        layers_per_level=next(iter(layers)),
        quant_conv=file.has(f"{root}quant_conv.weight"),
        norm_groups=file.groups(channels, file.side.vae_norm_groups, "autoencoder"),
        root=root,
    )


def _tiny(file: Shapes) -> TinyVaeConfig | None:
    """A tiny autoencoder. Shapes cannot tell the one for SDXL from the one for Stable Diffusion 1; the config's
    `scale_factor` can, and otherwise `taesdxl` in the file's name, which is what its makers called it. Tensors that
    state the scale are read where the file is open (`detect`)."""
    scale = file.side.scale or (XL_LATENT_SCALE if "taesdxl" in file.name.lower() else LATENT_SCALE)
    for encoder, inside_encoder, decoder, inside_decoder, layout in _TINY_SIDES:
        encodes, decodes = file.has(encoder + inside_encoder), file.has(decoder + inside_decoder)
        if encodes or decodes:
            first = f"{decoder}{1 if layout == 'original' else 0}.weight"
            last = f"{encoder}14.weight"
            channels = file.shape(first, 4)[1] if decodes else file.shape(last, 4)[0]
            return TinyVaeConfig(
                latent_channels=channels,
                scale=scale,
                encoder=encoder if encodes else None,
                decoder=decoder if decodes else None,
                layout="original" if layout == "original" else "diffusers",
            )
    # A file of one side alone has no prefix: the encoder's second layer is a block, the decoder's is none.
    if file.has("1.conv.0.weight") and file.has("14.weight"):
        return TinyVaeConfig(file.shape("14.weight", 4)[0], scale, encoder="", decoder=None)
    if file.has("3.conv.0.weight") and file.has("19.weight"):
        return TinyVaeConfig(file.shape("1.weight", 4)[1], scale, encoder=None, decoder="")
    return None


def _original_names(file: Shapes, root: str) -> ShapeMap:
    """The shapes of an autoencoder in diffusers' layout, by their original names."""
    levels = file.count(f"{root}encoder.down_blocks.")
    layers = file.count(f"{root}encoder.down_blocks.0.resnets.")
    if levels == 0 or levels > len(file.shapes):
        raise file.unsupported("its autoencoder has no encoder")
    original = diffusers_vae_names(levels, layers)
    found: dict[str, tuple[int, ...]] = {}
    for name, shape in file.shapes.items():
        if name.startswith((f"{root}encoder.", f"{root}decoder.", f"{root}quant_conv", f"{root}post_quant_conv")):
            try:
                found[original(name.removeprefix(root))] = shape
            except KeyError as error:
                raise file.unsupported(f"its autoencoder has parts that are not known here, such as {name}") from error
    return found
