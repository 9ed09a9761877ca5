from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diffusion import vae
from diffusion.errors import BadImage, BadLatent
from diffusion.memory import OutOfMemory
from diffusion.values import Latent


class Fake:
    """An autoencoder that keeps the top-left pixel of each 8×8 cell, its last channel being zero."""

    downscale = 8
    latent_channels = 4

    def __init__(self) -> None:
        self.batches: list[int] = []

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        self.batches.append(len(pixels))
        cells = pixels[:, :, ::8, ::8]
        return torch.cat([cells, torch.zeros_like(cells[:, :1])], 1)

    def decode_latent(self, latent: Tensor) -> Tensor:
        self.batches.append(len(latent))
        return latent[:, :3].repeat_interleave(8, 2).repeat_interleave(8, 3)

    def has_room(self, pixels: int) -> bool:
        del pixels
        return True


class Cramped(Fake):
    """An autoencoder with memory for so many pixels; whether it knows is another matter."""

    def __init__(self, room: int, *, knows: bool) -> None:
        super().__init__()
        self.room = room
        self.knows = knows

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        self.check(pixels.shape[2] * pixels.shape[3])
        return super().encode_pixels(pixels)

    def decode_latent(self, latent: Tensor) -> Tensor:
        self.check(latent.shape[2] * latent.shape[3] * 64)
        return super().decode_latent(latent)

    def has_room(self, pixels: int) -> bool:
        return not self.knows or pixels <= self.room

    def check(self, pixels: int) -> None:
        if pixels > self.room:
            raise OutOfMemory("There is not enough memory.")


@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("room", [512 * 512, 200 * 300])
def test_what_does_not_fit_as_a_whole_goes_through_in_tiles(room: int, knows: bool):
    image, latent = torch.rand(1, 640, 768, 3), Latent(torch.rand(1, 4, 80, 96))
    whole, cramped = Fake(), Cramped(room, knows=knows)
    assert torch.allclose(vae.encode(cramped, image).samples, vae.encode(whole, image).samples, atol=1e-5)
    assert torch.allclose(vae.decode(cramped, latent), vae.decode(whole, latent), atol=1e-5)
    assert len(cramped.batches) > len(whole.batches)


def test_what_does_not_fit_in_the_smallest_tiles_is_an_error():
    with pytest.raises(OutOfMemory):
        vae.decode(Cramped(64 * 64, knows=True), Latent(torch.zeros(1, 4, 80, 96)))


def test_pictures_are_mapped_to_minus_one_to_one():
    image = torch.tensor([0.0, 0.5, 1.0]).expand(1, 16, 24, 3)
    latent = vae.encode(Fake(), image)
    assert latent.samples.shape == (1, 4, 2, 3)
    assert latent.samples[0, :, 0, 0].tolist() == [-1, 0, 1, 0]


def test_odd_sizes_are_cropped_from_the_middle():
    image = torch.zeros(1, 21, 13, 3)
    image[:, 2, 2] = 1.0
    latent = vae.encode(Fake(), image)
    assert latent.samples.shape == (1, 4, 2, 1)
    assert latent.samples[0, 0, 0, 0] == 1


def test_alpha_is_left_out():
    assert vae.encode(Fake(), torch.ones(1, 8, 8, 4)).samples.shape == (1, 4, 1, 1)


@pytest.mark.parametrize("shape", [(1, 7, 8, 3), (8, 8, 3), (1, 8, 8, 1)])
def test_what_is_no_picture_or_too_small_is_refused(shape: tuple[int, ...]):
    with pytest.raises(BadImage):
        vae.encode(Fake(), torch.zeros(shape))


def test_decoding_clamps_to_zero_to_one():
    samples = torch.tensor([-3.0, 0.0, 3.0, 9.0]).reshape(1, 4, 1, 1)
    image = vae.decode(Fake(), Latent(samples))
    assert image.shape == (1, 8, 8, 3)
    assert image[0, 0, 0].tolist() == [0, 0.5, 1]
    assert image.is_contiguous()


def test_large_batches_go_through_in_parts():
    fake = Fake()
    image = vae.decode(fake, Latent(torch.zeros(5, 4, 64, 128)))
    assert len(image) == 5
    assert max(fake.batches) == 2


@pytest.mark.parametrize("shape", [(1, 16, 8, 8), (4, 8, 8)])
def test_a_latent_of_another_model_is_refused(shape: tuple[int, ...]):
    with pytest.raises(BadLatent) as caught:
        vae.decode(Fake(), Latent(torch.zeros(shape)))
    assert caught.value.input == "samples"


def test_a_picture_of_no_numbers_is_an_error_with_a_remedy():
    with pytest.raises(BadLatent) as caught:
        vae.decode(Fake(), Latent(torch.full((1, 4, 1, 1), torch.nan)))
    assert "fp32" in str(caught.value.hint)
