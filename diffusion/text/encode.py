"""Encodes a prompt with a CLIP text encoder into the conditioning that guides the U-Net.

Each token's embedding is moved from that of the empty prompt at the same place: z = z_empty + w·(z − z_empty), so a
weight of 0 removes a word and 1 changes nothing. The windows of a long prompt are joined along the token axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from diffusion.errors import BadPrompt, blaming
from diffusion.text.chunks import Chunk, chunk
from diffusion.text.embeddings import Call, split
from diffusion.text.prompt import Segment, parse
from diffusion.text.tokenizer import ClipTokenizer
from diffusion.values import CondEntry, Conditioning

_BATCH = 16


@dataclass(slots=True)
class _Windows:
    """The windows of a prompt, and the vectors of its embeddings, whose ids follow the vocabulary's."""

    chunks: list[Chunk]
    vectors: Tensor


class TextEncoder(Protocol):
    """A text encoder as it is needed here: windows of token ids in, embeddings out."""

    @property
    def tokenizer(self) -> ClipTokenizer: ...

    @property
    def positions(self) -> int: ...

    @property
    def pad(self) -> int:
        """The token that fills a window."""
        ...

    @property
    def is_large(self) -> bool:
        """Whether it is the larger encoder of SDXL, which the refiner has alone."""
        ...

    def vectors(self, call: Call) -> tuple[Tensor, str]:
        """The vectors [N, C] that an embedding in a prompt stands for, and what of the call was only text."""
        ...

    def encode_tokens(self, tokens: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """tokens int64 [B, T] → embeddings float32 [B, T, C] and pooled float32 [B, P], on the CPU.

        An id from the size of the vocabulary on stands for a row of `vectors` [N, C].
        """
        ...


class TextEncoders(Protocol):
    """The text encoders of a model: one, or the two of SDXL, the larger one last."""

    @property
    def towers(self) -> Sequence[TextEncoder]: ...


def encode(clip: TextEncoders, text: str, *, large: str | None = None, **options: object) -> Conditioning:
    """The conditioning of a prompt, with `options` on it. `large` is another prompt for the larger of two encoders.

    The embeddings of two encoders are joined channel by channel, and the pooled vector is the larger one's. With a
    `large` both prompts get as many windows as the longer one takes, also where the larger encoder is alone and the
    other prompt is not encoded. Raises BadPrompt when a prompt is too long, a weight is not finite, or `large` is given
    to a single encoder that isn't the larger one.
    """
    towers = clip.towers
    if large is None:
        windows = [_windows(tower, text) for tower in towers]
    elif len(towers) == 2 or towers[0].is_large:
        windows = [_own(towers[0], text, "text_l"), _own(towers[-1], large, "text_g")]
        longest = max(len(each.chunks) for each in windows)
        windows = windows[-len(towers) :]
        for tower, each in zip(towers, windows, strict=True):
            each.chunks += _windows(tower, "").chunks * (longest - len(each.chunks))
    else:
        raise BadPrompt(
            "This CLIP has one text encoder, and the node gives a prompt to each of two.",
            hint="Connect the CLIP of an SDXL checkpoint, or use Encode prompt.",
            input="clip",
            code="wrong_text_encoder",
        )
    results = [_embed(tower, each) for tower, each in zip(towers, windows, strict=True)]
    tokens = min(embedding.shape[1] for embedding, _ in results)
    embedding = torch.cat([embedding[:, :tokens] for embedding, _ in results], dim=-1)
    return Conditioning((CondEntry(embedding, results[-1][1], options),))


def _windows(tower: TextEncoder, text: str) -> _Windows:
    vectors: list[Tensor] = []
    tokens: list[tuple[list[int], float]] = []
    for segment in parse(text):
        _check(segment)
        commas = ""  # those behind the name of an embedding, which belong to the words that follow
        for piece in split(segment.text):
            if isinstance(piece, str):
                tokens.append((tower.tokenizer.encode(f"{commas} {piece}"), segment.weight))
                commas = ""
                continue
            if commas:
                tokens.append((tower.tokenizer.encode(commas), segment.weight))
            found, commas = tower.vectors(piece)
            first = tower.tokenizer.size + sum(len(each) for each in vectors)
            tokens.append((list(range(first, first + len(found))), segment.weight))
            vectors.append(found)
        if commas:
            tokens.append((tower.tokenizer.encode(commas), segment.weight))
    return _Windows(chunk(tokens, **_shape(tower)), torch.cat(vectors) if vectors else torch.empty(0))


def _own(tower: TextEncoder, text: str, input: str) -> _Windows:
    """The windows of a prompt that has an input of its own."""
    with blaming(input, when=lambda named: named == "text"):
        return _windows(tower, text)


def _shape(tower: TextEncoder) -> dict[str, int]:
    tokenizer = tower.tokenizer
    return {"start": tokenizer.start, "end": tokenizer.end, "pad": tower.pad, "length": tower.positions}


def _embed(tower: TextEncoder, windows: _Windows) -> tuple[Tensor, Tensor]:
    """The embedding [1, T, C] of the windows joined, and the first one's pooled vector [1, P]."""
    chunks = windows.chunks
    weighted = any(weight != 1.0 for each in chunks for weight in each.weights)
    batch = [*chunks, *chunk([], **_shape(tower))] if weighted else chunks
    embeddings, pooled = _run(tower, batch, windows.vectors)
    if weighted:
        empty = embeddings[-1]
        weights = torch.tensor([each.weights for each in chunks], dtype=torch.float32).unsqueeze(-1)
        embeddings = (embeddings[:-1] - empty) * weights + empty
    return embeddings.reshape(1, -1, embeddings.shape[-1]).contiguous(), pooled[:1].clone()


def _run(clip: TextEncoder, chunks: list[Chunk], vectors: Tensor) -> tuple[Tensor, Tensor]:
    tokens = torch.tensor([each.tokens for each in chunks], dtype=torch.int64)
    results = [clip.encode_tokens(part, vectors) for part in tokens.split(_BATCH)]
    return torch.cat([embedding for embedding, _ in results]), torch.cat([pooled for _, pooled in results])


def _check(segment: Segment) -> None:
    if not math.isfinite(segment.weight):
        raise BadPrompt(
            f"The weight of {segment.text[:60]!r} is {segment.weight}.",
            hint="Give a number such as 1.2, or remove some of the brackets around it.",
            input="text",
        )
