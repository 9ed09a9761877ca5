"""Opens a weight file without trusting it: what it is comes from its first bytes, never from its name.

A safetensors header is checked against the file's size before anything is mapped; a pickle is read with torch's
`weights_only` loader and nothing else, so opening a file runs no code from it. Tensors are read lazily from a map, let
go of after some 256 MB of them: pages that were read count as this process's memory for as long as they are mapped.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from diffusion.errors import CorruptFile, UnsafePickle
from diffusion.memory import is_out_of_memory
from diffusion.pickle_names import inert_names
from diffusion.safetensors_header import AGAIN, TensorInfo, read_header

_MAPPED_AT_ONCE = 256 * 2**20


class _Source(Protocol):
    def tensor(self, name: str) -> Tensor: ...

    def close(self) -> None: ...


class CheckpointFile:
    """An open weight file: the names, shapes and types of its tensors, its metadata, and the tensors on demand."""

    def __init__(
        self, path: Path, tensors: Mapping[str, TensorInfo], metadata: Mapping[str, str], source: _Source
    ) -> None:
        self.path = path
        self.tensors = tensors
        self.metadata = metadata
        self._source = source

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: info.shape for name, info in self.tensors.items()}

    def names(self) -> Iterable[str]:
        return self.tensors.keys()

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name on the CPU, as stored; its memory may be the file's map, so do not write to it.
        Several threads may ask at once."""
        return self._source.tensor(name)

    def close(self) -> None:
        """Let go of the file. Asking for a tensor opens it again; when it changed meanwhile, that is a CorruptFile."""
        self._source.close()

    def __enter__(self) -> CheckpointFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_checkpoint(path: Path) -> CheckpointFile:
    """Open a safetensors file or a torch pickle (zip or legacy).

    Raises CorruptFile when it is damaged, cut short or no weight file, and UnsafePickle when it asks for code to run.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise CorruptFile(f"{path.name} cannot be read: {error.strerror or error}.") from error
    _refuse_text(path, start, size)
    if start.startswith(b"PK"):
        return _open_pickle(path, size, mapped=True)
    if start.startswith(b"\x80"):
        # A safetensors file begins with the length of its header, so it too may begin with this byte.
        if size > 9 and start[8:9] == b"{":
            return _open_safetensors(path, size)
        return _open_pickle(path, size, mapped=False)
    return _open_safetensors(path, size)


def _refuse_text(path: Path, start: bytes, size: int) -> None:
    if size == 0:
        raise CorruptFile(f"{path.name} is empty.", hint=AGAIN)
    if start.startswith(b"version https://git-lfs"):
        raise CorruptFile(f"{path.name} is a Git LFS pointer, not the weights.", hint="Fetch it with `git lfs pull`.")
    if re.match(rb"\s*<(!doctype|html|\?xml)", start, re.IGNORECASE):
        raise CorruptFile(
            f"{path.name} is a web page, not weights: the download was probably refused.",
            hint="Download it again, signed in to the site where that is needed.",
        )
    printable = sum(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start)
    if printable == len(start):
        raise CorruptFile(
            f"{path.name} is a text file, not weights ({size} bytes).",
            hint="Renaming a file does not convert it: download the .safetensors file itself.",
        )


class _SafetensorsSource:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._read = 0
        self._lock = Lock()
        self._file: Any = self._open()

    def tensor(self, name: str) -> Tensor:
        with self._lock:
            if self._file is None or self._read > _MAPPED_AT_ONCE:
                _check_unchanged(self._path, self._stamp)
                self._file = self._open()
                self._read = 0
            found: Tensor = self._file.get_tensor(name)
            self._read += found.numel() * found.element_size()
            return found

    def close(self) -> None:
        self._file = None

    def _open(self) -> Any:
        return safe_open(str(self._path), framework="pt", device="cpu")


def _open_safetensors(path: Path, size: int) -> CheckpointFile:
    tensors, metadata = read_header(path, size)
    try:
        source = _SafetensorsSource(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CorruptFile(f"{path.name} is damaged: {error}.", hint=AGAIN) from error
    return CheckpointFile(path, tensors, metadata, source)


class _PickleSource:
    def __init__(self, path: Path, size: int, *, mapped: bool) -> None:
        self._path = path
        self._size = size
        self._mapped = mapped
        self._stamp = _stamp(path)
        self._lock = Lock()
        self.tensors = _unpickled(path, size, mapped=mapped)

    def tensor(self, name: str) -> Tensor:
        with self._lock:
            if not self.tensors:
                _check_unchanged(self._path, self._stamp)
                self.tensors = _unpickled(self._path, self._size, mapped=self._mapped)
            return self.tensors[name]

    def close(self) -> None:
        self.tensors = {}


def _open_pickle(path: Path, size: int, *, mapped: bool) -> CheckpointFile:
    source = _PickleSource(path, size, mapped=mapped)
    infos = {name: TensorInfo(tuple(tensor.shape), tensor.dtype) for name, tensor in source.tensors.items()}
    return CheckpointFile(path, infos, {}, source)


def _unpickled(path: Path, size: int, *, mapped: bool) -> dict[str, Tensor]:
    try:
        with torch.serialization.safe_globals(inert_names()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise _pickle_error(path, str(error)) from error
    except Exception as error:  # a damaged pickle can fail in any way
        if is_out_of_memory(error):
            raise
        raise CorruptFile(
            f"{path.name} is damaged or cut short ({size} bytes): {_first_line(error)}.", hint=AGAIN
        ) from error
    tensors = _tensors_in(loaded)
    if not tensors:
        raise CorruptFile(
            f"{path.name} is a pickle without named tensors.", hint="It is no checkpoint, or of an unknown kind."
        )
    return tensors


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when a file is written anew."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _check_unchanged(path: Path, stamp: tuple[int, int]) -> None:
    try:
        unchanged = _stamp(path) == stamp
    except OSError as error:
        raise CorruptFile(f"{path.name} cannot be read any more: {error.strerror or error}.") from error
    if not unchanged:
        raise CorruptFile(f"{path.name} was changed while it was in use.", hint="Run the workflow again.")


def _pickle_error(path: Path, text: str) -> CorruptFile | UnsafePickle:
    named = re.search(r"(?:GLOBAL|global|class|function) ['\"]?([\w.]+\.[\w.]+)", text)
    if named:
        return UnsafePickle(
            f"{path.name} contains Python code besides weights ({named.group(1)}), and was not opened.",
            hint="Use a .safetensors version of the model, or convert it on a machine you can afford to lose.",
        )
    return CorruptFile(f"{path.name} is damaged, or holds more than plain weights.", hint=AGAIN)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0][:200] if lines else type(error).__name__).rstrip(".")


def _tensors_in(loaded: object) -> dict[str, Tensor]:
    """The named tensors, looking into what training programs wrap them in (`state_dict`; for upscalers `params_ema` or
    `params`), and the `string_to_param` of textual inversion, which stays in the names. A tensor alone is `tensor`, and
    the tensors of a list of dictionaries begin with `list.`, their place and a dot."""
    if isinstance(loaded, Tensor):
        return {"tensor": loaded}
    if isinstance(loaded, list):
        parts = enumerate(cast("list[object]", loaded))
        listed = ((place, part) for place, part in parts if isinstance(part, Mapping))
        named = {f"list.{place}.{name}": each for place, part in listed for name, each in _items(part)}
        return {name: each for name, each in named.items() if isinstance(each, Tensor)}
    if not isinstance(loaded, Mapping):
        return {}
    content = cast("Mapping[object, object]", loaded)
    for wrapper in ("state_dict", "params_ema", "params"):
        nested = content.get(wrapper)
        if isinstance(nested, Mapping):
            content = cast("Mapping[object, object]", nested)
            break
    vectors = content.get("string_to_param")
    if isinstance(vectors, Mapping):
        content = {f"string_to_param.{name}": value for name, value in cast("Mapping[object, object]", vectors).items()}
    return {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}


def _items(part: object) -> Iterable[tuple[object, object]]:
    return cast("Mapping[object, object]", part).items()
