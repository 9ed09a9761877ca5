"""What a noise mask holds on to."""

from __future__ import annotations

import torch

from diffusion.sampling.mask import MaskedDenoise, fit_mask
from tests.diffusion.sampling.models import Counted

SHAPE = torch.Size((2, 4, 8, 8))


def test_a_mask_is_resized_to_the_latent_and_repeated_over_the_batch() -> None:
    mask = torch.zeros(1, 64, 64)
    mask[:, :, 32:] = 1.0
    fitted = fit_mask(mask, SHAPE)
    assert fitted.shape == (2, 1, 8, 8)
    assert torch.equal(fitted[1, 0], torch.cat([torch.zeros(8, 4), torch.ones(8, 4)], dim=1))


def test_a_mask_without_a_batch_is_one_for_all() -> None:
    assert torch.equal(fit_mask(torch.ones(8, 8), SHAPE), torch.ones(2, 1, 8, 8))


def test_outside_the_mask_the_model_sees_the_original_noised_to_the_present_level() -> None:
    original, noise, x = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 1, 8, 8)
    mask[..., :4] = 1.0
    seen: list[torch.Tensor] = []

    def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
        seen.append(x)
        return x * 0.0

    result = MaskedDenoise(Counted(denoise), mask, original, noise)(x, 3.0)
    assert torch.allclose(seen[0][..., :4], x[..., :4])
    assert torch.allclose(seen[0][..., 4:], (original + 3.0 * noise)[..., 4:], atol=1e-5)
    assert torch.equal(result[..., :4], torch.zeros(2, 4, 8, 4))
    assert torch.equal(result[..., 4:], original[..., 4:])


def test_the_unconditional_part_is_not_held() -> None:
    held = MaskedDenoise(
        Counted(lambda x, sigma: x * 0.0, lambda x, sigma: x * 0.0 + 9.0), torch.zeros(2, 1, 8, 8),
        torch.ones(SHAPE), torch.zeros(SHAPE),
    )  # fmt: skip
    denoised, unconditional = held.with_unconditional(torch.zeros(SHAPE), 1.0)
    assert torch.equal(denoised, torch.ones(SHAPE))
    assert torch.equal(unconditional, torch.full(SHAPE, 9.0))
