"""Textual inversion (Gal et al. 2022): vectors in a file that a prompt calls by name and that stand for tokens.

`embedding:name` counts at the beginning of a segment or after white space. The name is that of a file in
models/embeddings or a folder below it, with or without its ending; commas behind it are text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from diffusion.architecture import SD1, SD2, SDXL
from diffusion.checkpoint_file import open_checkpoint
from diffusion.detection.shapes import ShapeMap
from diffusion.errors import DiffusionError, UnknownModel, blaming
from diffusion.library import ModelLibrary
from diffusion.values import FileRef

KIND = "embeddings"
_CALL = re.compile(r"(?:^|(?<=[ \n]))embedding:\s*(\S+)")
_ENDINGS = (".safetensors", ".pt", ".bin")
_NESTED = "string_to_param."
_LISTED = "list."
_BUNDLED = "bundle_emb."
_BY_WIDTH: Mapping[int, tuple[str, str]] = {
    768: ("clip_l", f"{SD1} (CLIP-L)"),
    1024: ("clip_h", f"{SD2} (OpenCLIP ViT-H)"),
    1280: ("clip_g", f"{SDXL} (OpenCLIP ViT-bigG)"),
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


@blaming("text")
def vectors_of(library: ModelLibrary, call: Call, width: int) -> tuple[Tensor, str]:
    """The vectors [N, `width`] float32 that a call stands for, and the commas that were only text.

    Raises UnknownModel, with the nearest names, when there is no such file, and WrongEmbedding when its vectors are of
    another width than the text encoder's.
    """
    file, rest = _find(library, call.name)
    return read_embedding(file, width), rest


def read_embedding(file: FileRef, width: int) -> Tensor:
    """The vectors [N, `width`] in a file: one tensor for each encoder (`clip_l`, `clip_g`), `emb_params`, a dictionary
    `string_to_param`, or the first tensor under any name. Of a list, and of a LoRA that embeddings are bundled with,
    all that fit are joined. Raises WrongEmbedding when none is of that width."""
    with open_checkpoint(Path(file.path)) as opened:
        parts = [opened.tensor(name).float().clone() for name in _chosen(file, opened.shapes, width)]
    for each in parts:
        if each.ndim == 0 or each.shape[-1] != width:
            theirs = each.shape[-1] if each.ndim else 0
            raise WrongEmbedding(
                f"{file.name} was made for {_family(theirs)[1]}, and this text encoder is that of {_family(width)[1]}: "
                f"the one is {theirs} wide, the other {width}.",
                hint="Choose an embedding of the model's family, or take it out of the prompt.",
                input="text",
            )
    return torch.cat([each.reshape(-1, width) for each in parts])


def _chosen(file: FileRef, shapes: ShapeMap, width: int) -> list[str]:
    """The tensors of a file that an encoder takes, at least one."""
    names, (key, family) = list(shapes), _family(width)
    known = next((name for name in names if name in (key, "emb_params") or name.startswith(_NESTED)), None)
    if known is not None:
        return [key] if key in shapes else [known]
    listed = [name for name in names if name.startswith(_LISTED) and shapes[name][-1:] == (width,)]
    for ending in (f".{_NESTED}*", f".{key}"):
        listed = listed or [name for name in names if name.startswith(_BUNDLED) and name.endswith(ending)]
    if not listed and any(name in {each for each, _ in _BY_WIDTH.values()} for name in names):
        raise WrongEmbedding(
            f"{file.name} holds no embedding for {family}: it holds {', '.join(sorted(names)[:4])}.",
            hint="Choose an embedding of the model's family.",
            input="text",
        )
    return listed or names[:1]


def _find(library: ModelLibrary, written: str) -> tuple[FileRef, str]:
    """The file of a name, and the commas that are none of it: of those in the folder itself, or else in any below it,
    in the order of their names."""
    stripped = written.rstrip(",")
    for folder in _folders(library):
        for name in dict.fromkeys((written, stripped)):
            for candidate in (f"{folder}{name}{ending}" for ending in ("", *_ENDINGS)):
                if name and _there(library, candidate):
                    return library.resolve(KIND, candidate), written[len(name) :]
    names = [entry.name for entry in library.list(KIND)]
    near = difflib.get_close_matches(stripped, names, n=3, cutoff=0.3) or names[:3]
    raise UnknownModel(
        f"The prompt asks for the embedding {stripped[:60]!r}, which is not in models/{KIND}.",
        hint=f"The nearest are: {', '.join(near)}." if near else f"Put the file into models/{KIND}.",
        input="text",
    )


def _folders(library: ModelLibrary) -> Iterator[str]:
    """What to put before a name: nothing, and then each folder, which are looked for only when they are needed."""
    yield ""
    paths = (PurePosixPath(entry.name) for entry in library.list(KIND))
    yield from (f"{folder}/" for folder in sorted({str(each) for path in paths for each in path.parents} - {"."}))


def _there(library: ModelLibrary, name: str) -> bool:
    try:
        return library.exists(KIND, name)
    except UnknownModel:  # a name that would leave the folder is the name of no embedding
        return False


def _family(width: int) -> tuple[str, str]:
    return _BY_WIDTH.get(width, ("", f"a text encoder {width} wide"))
