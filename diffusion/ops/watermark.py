"""An invisible watermark: a short text in the brightness of a picture, which survives saving, and mild compression.

Each square of 8×8 pixels holds one bit, in one coefficient of the 4×4 cosine transform of the picture at half size (the
approximation of a Haar wavelet transform). The coefficient is moved to the nearest even or odd multiple of a step
(quantisation index modulation, Chen and Wornell 2001). Bits are repeated over the picture, and read by adding up.
"""

from __future__ import annotations

import binascii
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion.errors import BadImage

MAX_BYTES = 17
"""The longest text, in UTF-8."""

_FRAME = 1 + MAX_BYTES + 2
_BITS = 8 * _FRAME
_CELL = 8
_STEP = 24.0
_SEED = 20_221
_LUMA = np.array([0.299, 0.587, 0.114])
_FREQUENCY = 1

Floats = NDArray[np.float64]


def embed(images: Tensor, text: str) -> Tensor:
    """IMAGE [B, H, W, C] → the same with a text in each. Raises BadImage when the text is too long or empty, or the
    picture has fewer squares than the text has bits."""
    raw = text.encode()
    if not raw or len(raw) > MAX_BYTES:
        raise BadImage(f"A watermark has 1 to {MAX_BYTES} bytes, and {text[:40]!r} has {len(raw)}.", input="watermark")
    squares = images.shape[1] // _CELL * (images.shape[2] // _CELL)
    if squares < _BITS:
        raise BadImage(
            f"A picture of {images.shape[2]}×{images.shape[1]} pixels is too small for a watermark.",
            hint=f"It takes about {math.isqrt(_BITS) * _CELL + _CELL} pixels on each side.",
            input="watermark",
        )
    frame = bytes([len(raw)]) + raw.ljust(MAX_BYTES, b"\0")
    frame += binascii.crc_hqx(frame, 0).to_bytes(2, "big")
    bits = np.unpackbits(np.frombuffer(frame, dtype=np.uint8))[_order(squares)]
    marked = [_marked(image, bits) for image in images]
    return torch.stack(marked)


def detect(image: Tensor) -> str | None:
    """The text in a picture [H, W, C], or None when it holds none that can be read."""
    found = _coefficients(_brightness(image)).reshape(-1)
    if len(found) < _BITS:
        return None
    votes = np.zeros(_BITS)
    np.add.at(votes, _order(len(found)), -np.cos(np.pi * found / _STEP))
    frame = np.packbits(votes > 0).tobytes()
    length = frame[0]
    if not 1 <= length <= MAX_BYTES or binascii.crc_hqx(frame[:-2], 0) != int.from_bytes(frame[-2:], "big"):
        return None
    try:
        return frame[1 : 1 + length].decode()
    except UnicodeDecodeError:
        return None


def _marked(image: Tensor, bits: NDArray[np.uint8]) -> Tensor:
    before = _coefficients(_brightness(image))
    odd = bits.reshape(before.shape)
    after = _STEP * (2 * np.round((before / _STEP - odd) / 2) + odd)
    wave = np.kron(_basis(), np.ones((2, 2))) / 2  # the inverse of the transforms, for one coefficient
    change = np.kron(after - before, wave) / 255
    result = image.clone()
    height, width = change.shape
    result[:height, :width, :3] += torch.from_numpy(change).to(image.dtype)[..., None]
    return result.clamp(0, 1)


def _brightness(image: Tensor) -> Floats:
    """What a picture of 8 bits per colour has, 0 to 255."""
    pixels = (image[..., :3].double().clamp(0, 1) * 255).round().numpy()
    return pixels @ _LUMA


def _coefficients(brightness: Floats) -> Floats:
    """For each square of 8×8 pixels, the coefficient that holds its bit."""
    rows, columns = brightness.shape[0] // _CELL, brightness.shape[1] // _CELL
    whole = brightness[: rows * _CELL, : columns * _CELL]
    half = (whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2]) / 2
    squares = half.reshape(rows, 4, columns, 4)
    return np.einsum("iajb,ab->ij", squares, _basis())


def _basis() -> Floats:
    """The 4×4 cosine wave whose share is the coefficient, of length 1."""
    wave = np.sqrt(0.5) * np.cos(np.pi * (2 * np.arange(4) + 1) * _FREQUENCY / 8)
    return np.outer(wave, wave)


def _order(squares: int) -> NDArray[np.int64]:
    """Which bit each square holds: all bits equally often, scattered."""
    order = np.arange(squares) % _BITS
    np.random.default_rng(_SEED).shuffle(order)
    return order
