"""Widths of the embedded model's text transformer and U-Net: Stable Diffusion v1's architecture, reduced.

While training, the token table holds only the tokens that the captions can use, and one row for every other token.
That row is trained by stray words put into captions, so a word the model was never taught says nothing to it. The
whole CLIP vocabulary comes back at export.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from training.captions import phrases
from training.tokenizer import END, LENGTH, START, VOCABULARY_SIZE, token_ids

CHANNELS = (64, 128, 192, 128)
ATTENTION = (False, True, True, False)
LAYERS = 1
HEADS = 2
GROUPS = 8
TEXT_WIDTH = 128
TEXT_LAYERS = 3
TEXT_HEADS = 2


def build_unet(channels: tuple[int, ...] = CHANNELS, context: int = TEXT_WIDTH) -> UNet2DConditionModel:
    """A U-Net on 4-channel latents; attention on the middle levels, which costs half as much as on the top one too."""
    down = tuple("CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in ATTENTION)
    up = tuple("CrossAttnUpBlock2D" if attends else "UpBlock2D" for attends in reversed(ATTENTION))
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=LAYERS,
        block_out_channels=channels,
        down_block_types=down,
        up_block_types=up,
        cross_attention_dim=context,
        attention_head_dim=HEADS,
        norm_num_groups=GROUPS,
    )


def build_text(vocabulary: int, width: int = TEXT_WIDTH) -> CLIPTextModel:
    """A causal CLIP text transformer whose last hidden state, after the final norm, conditions the U-Net."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=TEXT_LAYERS,
            num_attention_heads=TEXT_HEADS,
            max_position_embeddings=LENGTH,
            hidden_act="quick_gelu",
            bos_token_id=START,
            eos_token_id=END,
        )
    )


@lru_cache(maxsize=1)
def taught_tokens() -> tuple[int, ...]:
    """The ids of all tokens that captions can use, ascending."""
    return tuple(sorted({token for phrase in phrases() for token in token_ids(phrase)}))


@lru_cache(maxsize=1)
def compact_ids() -> npt.NDArray[np.uint16]:
    """For each id of CLIP's vocabulary its row in the training table; the last row is for words not taught."""
    table = np.full(VOCABULARY_SIZE, len(taught_tokens()), np.uint16)
    table[list(taught_tokens())] = np.arange(len(taught_tokens()), dtype=np.uint16)
    return table


def training_vocabulary() -> int:
    return len(taught_tokens()) + 1


def expand_tokens(table: torch.Tensor) -> torch.Tensor:
    """The whole vocabulary's embedding [49408, width] from the training table."""
    return table[torch.from_numpy(compact_ids().astype(np.int64))]
