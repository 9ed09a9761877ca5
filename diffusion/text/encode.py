"""Encodes a prompt with a CLIP text encoder into the conditioning that guides the U-Net.

Each token's embedding is moved from that of the empty prompt at the same place: z = z_empty + w·(z − z_empty), so a
weight of 0 removes a word and 1 changes nothing. The windows of a long prompt are joined along the token axis.
"""

from __future__ import annotations

import math
import re
from typing import Protocol

import torch
from torch import Tensor

from diffusion.errors import BadPrompt
from diffusion.text.chunks import Chunk, chunk
from diffusion.text.prompt import Segment, parse
from diffusion.text.tokenizer import ClipTokenizer
from diffusion.values import CondEntry, Conditioning

_EMBEDDING = re.compile(r"(?:^|[ \n])embedding:(\S+)")
_BATCH = 16


class TextEncoder(Protocol):
    """A text encoder as it is needed here: windows of token ids in, embeddings out."""

    @property
    def tokenizer(self) -> ClipTokenizer: ...

    @property
    def positions(self) -> int: ...

    def encode_tokens(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens int64 [B, T] → embeddings float32 [B, T, C] and pooled float32 [B, C], on the CPU."""
        ...


def encode(clip: TextEncoder, text: str) -> Conditioning:
    """The conditioning of a prompt. Raises BadPrompt when it is too long or a weight is not finite."""
    segments = parse(text)
    for segment in segments:
        _check(segment)
    tokenizer = clip.tokenizer
    window = {"start": tokenizer.start, "end": tokenizer.end, "pad": tokenizer.end, "length": clip.positions}
    chunks = chunk([(tokenizer.encode(segment.text), segment.weight) for segment in segments], **window)
    weighted = any(weight != 1.0 for each in chunks for weight in each.weights)
    batch = [*chunks, *chunk([], **window)] if weighted else chunks
    embeddings, pooled = _run(clip, batch)
    if weighted:
        empty = embeddings[-1]
        weights = torch.tensor([each.weights for each in chunks], dtype=torch.float32).unsqueeze(-1)
        embeddings = (embeddings[:-1] - empty) * weights + empty
    embedding = embeddings.reshape(1, -1, embeddings.shape[-1]).contiguous()
    return Conditioning((CondEntry(embedding, pooled[:1].clone()),))


def _run(clip: TextEncoder, chunks: list[Chunk]) -> tuple[Tensor, Tensor]:
    tokens = torch.tensor([each.tokens for each in chunks], dtype=torch.int64)
    results = [clip.encode_tokens(part) for part in tokens.split(_BATCH)]
    return torch.cat([embedding for embedding, _ in results]), torch.cat([pooled for _, pooled in results])


def _check(segment: Segment) -> None:
    if not math.isfinite(segment.weight):
        raise BadPrompt(
            f"The weight of {segment.text[:60]!r} is {segment.weight}.",
            hint="Give a number such as 1.2, or remove some of the brackets around it.",
            input="text",
        )
    found = _EMBEDDING.search(segment.text)
    if found is not None:
        raise BadPrompt(
            f"The prompt asks for the embedding {found.group(1)[:60]!r}; textual inversion is not supported yet.",
            hint="Remove it from the prompt.",
            input="text",
            code="unsupported_embedding",
        )
