"""What the U-Nets of some families read beside the noisy latent and the prompt's tokens, made from a conditioning.

SDXL reads a vector: the prompt's pooled embedding and the sizes that its training pictures had (Podell et al. 2023).
Inpainting models read a mask and the picture around it as further channels, editing models the picture to edit, and
the x4 upscaler the small picture and how much noise was added to it.

The options of a `CondEntry` that count here: `concat_latent` [B,4,h,w] (as the VAE encodes it) and `concat_mask`
[B,H,W]; `width`, `height`, `crop_w`, `crop_h`, `target_width`, `target_height` in pixels and `aesthetic_score`;
`concat_image` [B,3,h,w] in −1..1 and `noise_augmentation` (0 to 1).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from diffusion.architecture import SIZE_WIDTH, UnetConfig
from diffusion.errors import BadPrompt
from diffusion.images import crop_to_proportions
from diffusion.sampling.discrete import DiscreteSchedule
from diffusion.sampling.protocols import ModelInputs, Start
from diffusion.values import CondEntry

_INPAINT, _EDIT, _UPSCALE = 5, 4, 3
_GREY = (0.8223, -0.6876, 0.6364, 0.1380)
"""The latent of an even grey in the U-Net's scale, which fills the masked picture where nothing is given."""

_MAX_NOISE_LEVEL = 350
_UPSCALER_LEVELS = (0.0001, 0.02)
_AESTHETIC = {False: 6.0, True: 2.5}
"""The aesthetic score that the refiner is asked for by the positive prompt, and by the negative."""


def model_inputs(
    config: UnetConfig, latent_scale: float, entry: CondEntry, start: Start, *, negative: bool
) -> ModelInputs:
    """The vector and channels of a U-Net for one prompt. Raises BadPrompt when the conditioning lacks the vector."""
    vector = _size_vector(config, entry, start, negative=negative) if config.vector else None
    channels = None
    if config.extra_channels == _INPAINT:
        channels = _inpainting(entry, start, latent_scale)
    elif config.extra_channels == _EDIT:
        channels = _picture(entry, "concat_latent", start, 4)
    elif config.extra_channels == _UPSCALE:
        channels, vector = _noised_picture(entry, start)
    return ModelInputs(vector, channels)


def _size_vector(config: UnetConfig, entry: CondEntry, start: Start, *, negative: bool) -> Tensor:
    """`[B,P]`: the pooled embedding, then a sinusoidal embedding of each number."""
    width = config.vector - config.numbers * SIZE_WIDTH
    pooled = entry.pooled
    if pooled is None or pooled.shape[-1] != width:
        given = "none" if pooled is None else f"one of width {pooled.shape[-1]}"
        raise BadPrompt(
            f"The model reads a pooled embedding of width {width}, and the conditioning has {given}.",
            hint="Encode the prompt with the text encoders of the same checkpoint.",
            code="wrong_text_encoder",
            input="negative" if negative else "positive",
        )
    rows, columns = start.latent.shape[-2:]
    tall, wide = _number(entry, "height", rows * 8), _number(entry, "width", columns * 8)
    numbers = [tall, wide, _number(entry, "crop_h", 0), _number(entry, "crop_w", 0)]
    if config.numbers == 5:
        numbers.append(_number(entry, "aesthetic_score", _AESTHETIC[negative]))
    else:
        numbers += [_number(entry, "target_height", tall), _number(entry, "target_width", wide)]
    sizes = _sinusoidal(torch.tensor(numbers, dtype=torch.float32)).reshape(1, -1)
    return torch.cat([pooled.float().cpu(), sizes.expand(pooled.shape[0], -1)], dim=1)


def _sinusoidal(numbers: Tensor) -> Tensor:
    """`[N]` → `[N,256]`: cosines, then sines, at frequencies from 1 down to 1/10,000 (Vaswani et al. 2017)."""
    half = SIZE_WIDTH // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32) * (-torch.log(torch.tensor(10_000.0)) / half))
    angles = numbers[:, None] * frequencies[None]
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def _number(entry: CondEntry, name: str, default: float) -> float:
    value = entry.options.get(name, default)
    if not isinstance(value, int | float):
        raise BadPrompt(f"A conditioning's {name} must be a number, not {value!r}.", code="bad_conditioning")
    return float(value)


def _inpainting(entry: CondEntry, start: Start, latent_scale: float) -> Tensor:
    """The mask and the picture: those of the conditioning, or else the latent's own; all is to be painted where there
    is no mask."""
    given = entry.options.get("concat_mask")
    mask = start.mask
    if isinstance(given, Tensor):
        mask = _fitted(given.detach().float().cpu().reshape(-1, 1, *given.shape[-2:]), start.latent).round()
        mask = _spread(mask, start.latent.shape[0])
    if mask is None:
        grey = torch.tensor(_GREY).reshape(1, 4, 1, 1).expand(start.latent.shape)
        return torch.cat([torch.ones_like(grey[:, :1]), grey], dim=1)
    if isinstance(entry.options.get("concat_latent"), Tensor):
        picture = _picture(entry, "concat_latent", start, 4) * latent_scale
    else:
        picture = start.latent.cpu()
    return torch.cat([mask.cpu().round(), picture], dim=1)


def _noised_picture(entry: CondEntry, start: Start) -> tuple[Tensor, Tensor]:
    """The x4 upscaler's picture with noise added, and the noise level `[1,1]`."""
    picture = _picture(entry, "concat_image", start, 3, spread=False)
    part = _number(entry, "noise_augmentation", 0.0)
    level = round(_MAX_NOISE_LEVEL * part)
    if part > 0:
        sigma = float(DiscreteSchedule.scaled_linear(*_UPSCALER_LEVELS).sigmas[level])
        generator = torch.Generator().manual_seed((start.seed - 10) % 2**64)
        noise = torch.randn(picture.shape, generator=generator)
        picture = (picture + noise * sigma) / (1 + sigma**2) ** 0.5
    return _spread(picture, start.latent.shape[0]), torch.tensor([[float(level)]])


def _picture(entry: CondEntry, name: str, start: Start, channels: int, *, spread: bool = True) -> Tensor:
    """The picture or latent of an option in the size of the latent; zeros without it."""
    batch, _, rows, columns = start.latent.shape
    given = entry.options.get(name)
    if not isinstance(given, Tensor):
        return torch.zeros(batch if spread else 1, channels, rows, columns)
    picture = _fitted(given.detach().float().cpu(), start.latent)
    return _spread(picture, batch) if spread else picture


def _fitted(planes: Tensor, latent: Tensor) -> Tensor:
    """`planes` [B,C,H,W] cut to the proportions of a latent and scaled to its size."""
    rows, columns = latent.shape[-2:]
    if planes.shape[-2:] == (rows, columns):
        return planes
    return interpolate(crop_to_proportions(planes, columns, rows), size=(rows, columns), mode="bilinear")


def _spread(tensor: Tensor, count: int) -> Tensor:
    """`tensor` with `count` items in its first dimension, taken evenly from those it has. The distance between two is
    computed first, as in ComfyUI: its rounding decides where a place falls between two items."""
    have = tensor.shape[0]
    if have == count:
        return tensor
    if count < have:
        distance = (have - 1) / max(count - 1, 1)
        places = [round(item * distance) for item in range(count)]
    else:
        distance = have / count
        places = [int((item + 0.5) * distance) for item in range(count)]
    return tensor[places]
