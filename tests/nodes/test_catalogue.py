from __future__ import annotations

import pytest

from nodes.sdk import NodeSpec, Packs, load_packs

# ComfyUI's widgets in its order, by its name of the node: old workflow files list values without names.
WIDGETS = {
    "CheckpointLoaderSimple": ["ckpt_name"],
    "CLIPTextEncode": ["text"],
    "EmptyLatentImage": ["width", "height", "batch_size"],
    "KSampler": ["seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"],
    "KSamplerAdvanced": [
        "add_noise",
        "noise_seed",
        "steps",
        "cfg",
        "sampler_name",
        "scheduler",
        "start_at_step",
        "end_at_step",
        "return_with_leftover_noise",
    ],
    "LoadImage": ["image"],
    "SaveImage": ["filename_prefix"],
    "PreviewImage": [],
    "ImageScale": ["upscale_method", "width", "height", "crop"],
    "ImageScaleBy": ["upscale_method", "scale_by"],
    "LatentUpscale": ["upscale_method", "width", "height", "crop"],
    "LatentUpscaleBy": ["upscale_method", "scale_by"],
    "VAEDecode": [],
    "VAEEncode": [],
    "SaveLatent": ["filename_prefix"],
    "LoadLatent": ["latent"],
    "VAEDecodeTiled": ["tile_size", "overlap"],
    "VAEEncodeTiled": ["tile_size", "overlap"],
    "RebatchLatents": ["batch_size"],
    "RebatchImages": ["batch_size"],
    "CheckpointSave": ["filename_prefix"],
    "ModelSave": ["filename_prefix"],
    "CLIPSave": ["filename_prefix"],
    "VAESave": ["filename_prefix"],
    "DiffControlNetLoader": ["control_net_name"],
    "SetUnionControlNetType": ["type"],
    "ControlNetApplySD3": ["strength", "start_percent", "end_percent"],
    "CLIPTextEncodeControlnet": ["text"],
    "UNetSelfAttentionMultiply": ["q", "k", "v", "out"],
    "CLIPAttentionMultiply": ["q", "k", "v", "out"],
    "PreviewAny": [],
    "PrimitiveInt": ["value"],
    "PrimitiveStringMultiline": ["value"],
    "StringConcatenate": ["string_a", "string_b", "delimiter"],
    "GetImageSize": [],
    "APG": ["eta", "norm_threshold", "momentum"],
    "FreSca": ["scale_low", "scale_high", "freq_cutoff"],
    "RenormCFG": ["cfg_trunc", "renorm_cfg"],
    "Epsilon Scaling": ["scaling_factor"],
    "PerpNeg": ["neg_scale"],
    "ModelComputeDtype": ["dtype"],
    "StringSubstring": ["string", "start", "end"],
    "StringCompare": ["string_a", "string_b", "mode", "case_sensitive"],
    "RegexExtract": [
        "string",
        "regex_pattern",
        "mode",
        "case_insensitive",
        "multiline",
        "dotall",
        "group_index",
    ],
    "RegexReplace": ["string", "regex_pattern", "replace", "case_insensitive", "multiline", "dotall", "count"],
    "LoraSave": ["filename_prefix", "rank", "lora_type", "bias_diff"],
    "SaveImageWebsocket": [],
}
SOCKETS = {
    "KSampler": {"model": "MODEL", "positive": "CONDITIONING", "negative": "CONDITIONING", "latent_image": "LATENT"},
    "CLIPTextEncode": {"clip": "CLIP"},
    "VAEDecode": {"samples": "LATENT", "vae": "VAE"},
    "VAEEncode": {"pixels": "IMAGE", "vae": "VAE"},
    "SaveImage": {"images": "IMAGE"},
    "PreviewImage": {"images": "IMAGE"},
    "ImageScale": {"image": "IMAGE"},
    "LatentUpscale": {"samples": "LATENT"},
    "RebatchLatents": {"latents": "LATENT"},
    "CheckpointSave": {"model": "MODEL", "clip": "CLIP", "vae": "VAE"},
    "DiffControlNetLoader": {"model": "MODEL"},
    "SetUnionControlNetType": {"control_net": "CONTROL_NET"},
    "ControlNetApplySD3": {
        "positive": "CONDITIONING",
        "negative": "CONDITIONING",
        "control_net": "CONTROL_NET",
        "vae": "VAE",
        "image": "IMAGE",
    },
    "CLIPTextEncodeControlnet": {"clip": "CLIP", "conditioning": "CONDITIONING"},
    "PreviewAny": {"source": "*"},
    "PerpNeg": {"model": "MODEL", "empty_conditioning": "CONDITIONING"},
    "LoraSave": {"model_diff": "MODEL", "text_encoder_diff": "CLIP"},
}
OUTPUTS = {
    "CheckpointLoaderSimple": ["MODEL", "CLIP", "VAE"],
    "LoadImage": ["IMAGE", "MASK"],
    "KSampler": ["LATENT"],
    "VAEDecode": ["IMAGE"],
    "SaveImage": [],
}


@pytest.fixture(scope="module")
def packs() -> Packs:
    return load_packs()


def test_every_pack_loads(packs: Packs):
    assert [(report.name, report.error) for report in packs.reports if not report.ok] == []


@pytest.mark.parametrize("name", WIDGETS)
def test_widgets_are_comfyuis_in_its_order(packs: Packs, name: str):
    spec = packs.catalogue[name]
    shown = [each.name for each in spec.inputs if each.widget is not None and not each.advanced]
    assert shown == WIDGETS[name]


@pytest.mark.parametrize("name", SOCKETS)
def test_sockets_are_comfyuis(packs: Packs, name: str):
    spec = packs.catalogue[name]
    assert {each.name: each.type for each in spec.inputs if each.widget is None} == SOCKETS[name]


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_are_comfyuis(packs: Packs, name: str):
    assert [each.type for each in packs.catalogue[name].outputs] == OUTPUTS[name]


def test_defaults_are_comfyuis(packs: Packs):
    sampler = {each.name: each for each in packs.catalogue["KSampler"].inputs}
    assert (sampler["steps"].default, sampler["cfg"].default, sampler["denoise"].default) == (20, 8.0, 1.0)
    assert (sampler["steps"].min, sampler["steps"].max) == (1, 10000)
    assert sampler["seed"].max == 2**64 - 1
    size = {each.name: each for each in packs.catalogue["EmptyLatent"].inputs}
    assert (size["width"].default, size["width"].min, size["width"].step) == (512, 16, 8)


def specs() -> list[NodeSpec]:
    return list(load_packs().catalogue.values())


@pytest.mark.parametrize("spec", specs(), ids=lambda spec: spec.id)
def test_every_node_explains_itself(spec: NodeSpec):
    assert len(spec.description) > 10
    assert spec.title
    assert spec.category
    for each in spec.inputs:
        if each.widget is not None and each.name not in ("width", "height"):
            assert each.help, f"{spec.id}.{each.name} has no help"
