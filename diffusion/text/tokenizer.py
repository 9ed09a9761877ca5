"""The CLIP tokenizer, built from the vocabulary that the open_clip wheel carries, so nothing is downloaded.

Byte-level byte-pair encoding over lower-cased text (Radford et al. 2021, "Learning transferable visual models from
natural language supervision"); the vocabulary's order is: 256 bytes, the same bytes at a word's end, one entry per
merge, then the start and the end token.
"""

from __future__ import annotations

import gzip
import importlib.util
from functools import cached_property
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from diffusion.errors import DiffusionError

_FILE = "bpe_simple_vocab_16e6.txt.gz"
_MERGES = 48_894
_WORD_END = "</w>"
_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


class ClipTokenizer:
    """Text to token ids, without start and end tokens. Made once and shared; it is read only."""

    start = 49_406
    end = 49_407
    size = 49_408

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        merges = _read_merges()
        letters = _byte_letters()
        words = [*letters, *(letter + _WORD_END for letter in letters), *(left + right for left, right in merges)]
        vocabulary = {word: index for index, word in enumerate(words)}
        vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"] = self.start, self.end
        tokenizer = Tokenizer(
            models.BPE(
                vocab=vocabulary,
                merges=merges,
                continuing_subword_prefix="",
                end_of_word_suffix=_WORD_END,
                unk_token="<|endoftext|>",
            )
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
        tokenizer.add_special_tokens(
            [AddedToken(each, normalized=False, special=True) for each in ("<|startoftext|>", "<|endoftext|>")]
        )
        return tokenizer

    @cached_property
    def _cleaned(self) -> normalizers.Normalizer:
        """As the tokenizer of transformers that ComfyUI runs: without control characters, each ideograph a word."""
        cleaned = normalizers.BertNormalizer(
            clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=False
        )
        return normalizers.Sequence([cleaned, normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " ")])

    def encode(self, text: str) -> list[int]:
        """The ids of a text, any length."""
        # That tokenizer has Python make the small letters, which knows that a Greek word ends in another sigma.
        small = self._cleaned.normalize_str(text).lower()
        return self._tokenizer.encode(small, add_special_tokens=False).ids


def _read_merges() -> list[tuple[str, str]]:
    found = importlib.util.find_spec("open_clip")
    folders = list(found.submodule_search_locations or ()) if found is not None else []
    path = next((Path(each) / _FILE for each in folders if (Path(each) / _FILE).is_file()), None)
    if path is None:
        raise DiffusionError(
            f"The CLIP vocabulary {_FILE} is missing.", hint="Install open_clip_torch, whose wheel carries it."
        )
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")[1 : _MERGES + 1]
    return [(left, right) for left, _, right in (line.partition(" ") for line in lines)]


def _byte_letters() -> list[str]:
    """A printable letter for each byte, in the vocabulary's order: printable bytes stand for themselves and come
    first; the others take the code points from 256 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
