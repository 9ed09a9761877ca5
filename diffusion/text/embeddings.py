"""Textual inversion (Gal et al. 2022): vectors in a file that a prompt calls by name and that stand for tokens.

`embedding:name` counts at the beginning of a segment or after white space. The name is that of a file in
models/embeddings, with or without its ending; commas behind it are text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from diffusion.checkpoint_file import open_checkpoint
from diffusion.errors import DiffusionError, UnknownModel
from diffusion.library import ModelLibrary
from diffusion.values import FileRef

KIND = "embeddings"
_CALL = re.compile(r"(?:^|(?<=[ \n]))embedding:\s*(\S+)")
_ENDINGS = (".safetensors", ".pt", ".bin")
_NESTED = "string_to_param."
_BY_WIDTH: Mapping[int, tuple[str, str]] = {
    768: ("clip_l", "Stable Diffusion 1 (CLIP-L)"),
    1024: ("clip_h", "Stable Diffusion 2 (OpenCLIP ViT-H)"),
    1280: ("clip_g", "Stable Diffusion XL (OpenCLIP ViT-bigG)"),
}


class WrongEmbedding(DiffusionError):
    """An embedding that was made for another kind of text encoder."""

    default_code = "wrong_embedding"


@dataclass(frozen=True, slots=True)
class Call:
    """A part of a prompt that calls an embedding, as it is written: the file's name, maybe with commas behind it."""

    name: str


def split(text: str) -> list[str | Call]:
    """The words and the calls of a stretch of prompt, in order; no words are empty."""
    pieces: list[str | Call] = []
    end = 0
    for found in _CALL.finditer(text):
        pieces += [text[end : found.start()], Call(found.group(1))]
        end = found.end()
    pieces.append(text[end:])
    return [piece for piece in pieces if not isinstance(piece, str) or piece.strip()]


def vectors_of(library: ModelLibrary, call: Call, width: int) -> tuple[Tensor, str]:
    """The vectors [N, `width`] float32 that a call stands for, and the commas that were only text.

    Raises UnknownModel, with the nearest names, when there is no such file, and WrongEmbedding when its vectors are of
    another width than the text encoder's.
    """
    file, rest = _find(library, call.name)
    return read_embedding(file, width), rest


def read_embedding(file: FileRef, width: int) -> Tensor:
    """The vectors [N, `width`] in a file: `emb_params`, a dictionary `string_to_param`, one tensor for each encoder
    (`clip_l`, `clip_g`), or a single tensor under any name."""
    with open_checkpoint(Path(file.path)) as opened:
        names = list(opened.names())
        key, _ = _family(width)
        nested = [name for name in names if name.startswith(_NESTED)]
        per_encoder = [name for name in names if name in {each for each, _ in _BY_WIDTH.values()}]
        chosen = next((name for name in (key, "emb_params", *nested) if name in opened.tensors), None)
        if chosen is None and (per_encoder or len(names) != 1):
            raise WrongEmbedding(
                f"{file.name} holds no embedding for {_family(width)[1]}: it holds {', '.join(sorted(names)[:4])}.",
                hint="Choose an embedding of the model's family.",
                input="text",
            )
        vectors = opened.tensor(chosen or names[0]).float().clone()
    if vectors.ndim == 0 or vectors.shape[-1] != width:
        theirs = vectors.shape[-1] if vectors.ndim else 0
        raise WrongEmbedding(
            f"{file.name} was made for {_family(theirs)[1]}, and this text encoder is that of {_family(width)[1]}: the "
            f"one is {theirs} wide, the other {width}.",
            hint="Choose an embedding of the model's family, or take it out of the prompt.",
            input="text",
        )
    return vectors.reshape(-1, width)


def _find(library: ModelLibrary, written: str) -> tuple[FileRef, str]:
    stripped = written.rstrip(",")
    for name in dict.fromkeys((written, stripped)):
        for candidate in (name, *(name + ending for ending in _ENDINGS)):
            if name and _there(library, candidate):
                return library.resolve(KIND, candidate), written[len(name) :]
    names = [entry.name for entry in library.list(KIND)]
    near = difflib.get_close_matches(stripped, names, n=3, cutoff=0.3) or names[:3]
    raise UnknownModel(
        f"The prompt asks for the embedding {stripped[:60]!r}, which is not in models/{KIND}.",
        hint=f"The nearest are: {', '.join(near)}." if near else f"Put the file into models/{KIND}.",
        input="text",
    )


def _there(library: ModelLibrary, name: str) -> bool:
    try:
        return library.exists(KIND, name)
    except UnknownModel:  # a name that would leave the folder is the name of no embedding
        return False


def _family(width: int) -> tuple[str, str]:
    return _BY_WIDTH.get(width, ("", f"a text encoder {width} wide"))
