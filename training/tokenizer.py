"""The CLIP byte-pair tokenizer, built from the vocabulary file inside the open_clip wheel: nothing is downloaded."""

from __future__ import annotations

import gzip
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer

VOCABULARY_SIZE = 49408
LENGTH = 77
START, END = 49406, 49407


def _bytes_to_characters() -> list[str]:
    """The printable stand-ins of the 256 bytes, in vocabulary order (GPT-2's byte-level BPE)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(others))]


@lru_cache(maxsize=1)
def clip_tokenizer() -> CLIPTokenizer:
    """A tokenizer whose ids are those of OpenAI's CLIP."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the CLIP vocabulary comes with the package open_clip_torch: install it")
    path = Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")[1:48895]
    merges = [(a, b) for a, b in (line.split() for line in lines)]
    symbols = _bytes_to_characters()
    words = [*symbols, *(s + "</w>" for s in symbols), *("".join(pair) for pair in merges)]
    vocabulary = {word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    build: Any = CLIPTokenizer
    return build(vocab=vocabulary, merges=merges, model_max_length=LENGTH)


def token_ids(text: str) -> list[int]:
    """Exactly 77 ids: start, the words (cut to 75), end, padded with end."""
    ids = clip_tokenizer()(text, truncation=True, max_length=LENGTH)["input_ids"]
    return ids + [END] * (LENGTH - len(ids))
