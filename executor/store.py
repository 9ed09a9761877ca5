"""The cache on disk: results that outlive the process, shared by every worker that uses the folder.

`keys/` maps the key of a node to what it produced, as JSON with a checksum; `blobs/` holds its tensors in safetensors
files named by the digest of their content. Both are written to a temporary name, synced and renamed, so a crash
leaves either nothing or the whole. Whatever is damaged or unknown is a miss. The folder is bounded in bytes; what was
not read for the longest time goes first.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Any

from executor.cache import Entry
from executor.codec import Codec, Unwritable
from executor.keys import Key
from nodes.sdk.context import OutputFile

SCHEMA = 1
WORTH_SECONDS = 0.05
DIGEST_SIZE = 20
TRIM_TO = 0.9

log = logging.getLogger("latentgraph.store")


class DiskStore:
    """The second tier of a cache.

    Only results that took long enough to be worth a file, or that showed files, are kept.

    Args:
        folder: where it lies; made when it isn't there.
        capacity: bytes that all files together may take.
        codec: writes and reads values.
        worth_seconds: the least time a node must have taken.
    """

    def __init__(self, folder: Path, capacity: int, codec: Codec, worth_seconds: float = WORTH_SECONDS) -> None:
        self._keys = folder / "keys"
        self._blobs = folder / "blobs"
        self._capacity = capacity
        self._codec = codec
        self._worth = worth_seconds
        for each in (self._keys, self._blobs):
            each.mkdir(parents=True, exist_ok=True)
        self._held = sum(size for _, size, _ in self._files())

    def has(self, key: Key) -> bool:
        """Whether something is stored under a key; whether it is sound shows when it is read."""
        name = key.hex()
        return os.path.exists(f"{self._keys}{os.sep}{name[:2]}{os.sep}{name}.json")  # noqa: PTH110  ten times quicker

    def get(self, key: Key) -> Entry | None:
        """The entry of a key; None when there is none or it is damaged, in which case it is removed."""
        path = self._key_path(key)
        try:
            text = path.read_bytes()
        except OSError:
            return None
        try:
            entry = self._read(text)
        except (OSError, ValueError, TypeError, KeyError, Unwritable) as error:
            log.warning("a damaged entry of the disk cache is ignored: %s", error)
            self._remove(path)
            return None
        _touch(path)
        return entry

    def put(self, key: Key, entry: Entry) -> None:
        """Store an entry if it is worth it; a value that can't be written, or a full disk, only means it isn't.

        One with files takes the place of what was stored: the files of that may have been replaced."""
        if (entry.seconds < self._worth or self.has(key)) and not entry.files:
            return
        try:
            outputs, tensors = self._codec.write(entry.outputs)
            blob = self._write_blob(tensors) if tensors else None
            body = {
                "schema": SCHEMA,
                "outputs": outputs,
                "blob": blob,
                "files": [file.to_json() for file in entry.files],
                "seconds": entry.seconds,
                "stamps": list(entry.stamps),
            }
            text = json.dumps(body, allow_nan=True).encode()
            self._write(self._key_path(key), _digest(text).encode() + b"\n" + text)
        except Unwritable as error:
            log.debug("a result is not kept on disk: %s", error)
        except OSError as error:
            log.warning("the disk cache can't be written: %s", error)
        if self._held > self._capacity:
            self._trim()

    def _read(self, text: bytes) -> Entry:
        checksum, _, body = text.partition(b"\n")
        if _digest(body).encode() != checksum:
            raise ValueError("its checksum is wrong")
        data = json.loads(body)
        if data["schema"] != SCHEMA:
            raise ValueError(f"its schema is {data['schema']}")
        tensors = self._read_blob(data["blob"]) if data["blob"] is not None else {}
        outputs = self._codec.read(data["outputs"], tensors)
        files = tuple(OutputFile.from_json(file) for file in data["files"])
        # Entries written before files had stamps match no file, and so are made again.
        return Entry(outputs, files, data["seconds"], tuple(data.get("stamps", ())))

    def _write_blob(self, tensors: dict[str, Any]) -> str:
        from safetensors.torch import save

        data = save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})
        digest = _digest(data)
        path = self._blob_path(digest)
        if not path.is_file():
            self._write(path, data)
        return digest

    def _read_blob(self, digest: str) -> dict[str, Any]:
        from safetensors.torch import load

        path = self._blob_path(digest)
        data = path.read_bytes()
        if _digest(data) != digest:
            self._remove(path)
            raise ValueError("its tensors are damaged")
        _touch(path)
        return load(data)

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._held += len(data)

    def _trim(self) -> None:
        """Remove the files that were not read for the longest time. A key whose blob went is a miss when it is read."""
        files = sorted(self._files())
        self._held = sum(size for _, size, _ in files)
        for _, _, path in files:
            if self._held <= self._capacity * TRIM_TO:
                return
            self._remove(path)

    def _files(self) -> list[tuple[float, int, Path]]:
        found: list[tuple[float, int, Path]] = []
        for root in (self._keys, self._blobs):
            for path in root.glob("*/*"):
                try:
                    stat = path.stat()
                except OSError:  # another worker removed it in the meantime
                    continue
                found.append((stat.st_mtime, stat.st_size, path))
        return found

    def _remove(self, path: Path) -> None:
        try:
            size = path.stat().st_size
            path.unlink()
        except OSError:  # another worker was quicker
            return
        self._held -= size

    def _key_path(self, key: Key) -> Path:
        name = key.hex()
        return self._keys / name[:2] / f"{name}.json"

    def _blob_path(self, digest: str) -> Path:
        if not digest.isalnum():
            raise ValueError("its digest is malformed")
        return self._blobs / digest[:2] / f"{digest}.safetensors"


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=DIGEST_SIZE).hexdigest()


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:  # another worker removed it, or the folder is read-only: only its age is wrong then
        return
