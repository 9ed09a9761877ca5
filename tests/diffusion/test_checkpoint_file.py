from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from diffusion.checkpoint_file import open_checkpoint
from diffusion.errors import CorruptFile, UnsafePickle

TENSORS = {"a.weight": torch.arange(6, dtype=torch.float16).reshape(2, 3), "b": torch.tensor([1.5])}


def safetensors(path: Path) -> Path:
    save_file(TENSORS, path, metadata={"title": "x"})
    return path


def with_header(path: Path, header: object, data: bytes = b"") -> Path:
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


def test_a_safetensors_file_gives_names_shapes_metadata_and_tensors(tmp_path: Path):
    with open_checkpoint(safetensors(tmp_path / "m.safetensors")) as file:
        assert file.shapes == {"a.weight": (2, 3), "b": (1,)}
        assert file.metadata == {"title": "x"}
        assert torch.equal(file.tensor("a.weight"), TENSORS["a.weight"])


def test_the_name_of_a_file_does_not_matter(tmp_path: Path):
    with open_checkpoint(safetensors(tmp_path / "m.ckpt")) as file:
        assert "b" in file.tensors


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_a_pickle_of_weights_opens_in_both_formats(tmp_path: Path, legacy: bool, nested: bool):
    content: dict[str, Any] = {"state_dict": TENSORS, "epoch": 3} if nested else dict(TENSORS)
    torch.save(content, tmp_path / "m.ckpt", _use_new_zipfile_serialization=not legacy)
    with open_checkpoint(tmp_path / "m.ckpt") as file:
        assert set(file.tensors) == set(TENSORS)
        assert torch.equal(file.tensor("a.weight"), TENSORS["a.weight"])


class Evil:
    """Creates a file when it is unpickled."""

    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("form", ["zip", "legacy", "plain"])
def test_a_pickle_with_code_is_refused_and_nothing_runs(tmp_path: Path, form: str):
    target = tmp_path / "ran"
    content = {"state_dict": {**TENSORS, "x": Evil(str(target))}}
    path = tmp_path / "evil.ckpt"
    if form == "plain":
        path.write_bytes(pickle.dumps(Evil(str(target))))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises((UnsafePickle, CorruptFile)) as caught:
        open_checkpoint(path)
    assert not target.exists()
    assert "evil.ckpt" in str(caught.value)
    if form != "plain":
        assert isinstance(caught.value, UnsafePickle)
        assert ".safetensors" in str(caught.value.hint)


def test_the_trainer_state_of_old_checkpoints_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import sys
    import types

    module = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    monkeypatch.setitem(sys.modules, "pytorch_lightning", types.ModuleType("pytorch_lightning"))
    monkeypatch.setitem(sys.modules, "pytorch_lightning.callbacks", types.ModuleType("pytorch_lightning.callbacks"))
    monkeypatch.setitem(sys.modules, module.__name__, module)

    class ModelCheckpoint:
        pass

    ModelCheckpoint.__module__ = module.__name__
    ModelCheckpoint.__qualname__ = "ModelCheckpoint"
    module.ModelCheckpoint = ModelCheckpoint  # type: ignore[attr-defined]
    torch.save({"state_dict": TENSORS, "callbacks": {ModelCheckpoint: {"best": 1.0}}}, tmp_path / "old.ckpt")
    monkeypatch.undo()
    with open_checkpoint(tmp_path / "old.ckpt") as file:
        assert set(file.tensors) == set(TENSORS)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"hello, I am text\n" * 10, "text file"),
        (b"<!DOCTYPE html><html>Not found</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n", "Git LFS"),
        (b"\x00\x01\x02", "shorter than 8"),
        (b"\xff" * 100, "header should be"),
        (b"PK\x03\x04" + b"\x00" * 50, "damaged"),
        (b"\x80\x02" + b"\x00" * 50, ""),
    ],
)
def test_what_is_no_weight_file_is_named_with_a_remedy(tmp_path: Path, content: bytes, word: str):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(CorruptFile) as caught:
        open_checkpoint(path)
    assert "m.safetensors" in str(caught.value)
    assert word in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "header",
    [
        [],
        {},
        {"a": 3},
        {"a": {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 9]}},
        {"a": {"dtype": "F16", "shape": [-2, 2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "X99", "shape": [2, 2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F16", "shape": [2**40, 2**40], "data_offsets": [0, 2**81]}},
        {"a": {"dtype": "F16", "shape": [True], "data_offsets": [0, 2]}},
        {"a": {"dtype": "F16", "shape": [2, 2], "data_offsets": [8, 0]}},
        {"__metadata__": 3, "a": {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}},
    ],
)
def test_a_header_that_makes_no_sense_is_refused(tmp_path: Path, header: object):
    with pytest.raises(CorruptFile):
        open_checkpoint(with_header(tmp_path / "m.safetensors", header, b"\0" * 8))


def test_a_file_cut_short_says_how_much_is_missing(tmp_path: Path):
    path = tmp_path / "m.safetensors"
    save_file({"w": torch.zeros(1024, 1024)}, path)
    os.truncate(path, path.stat().st_size - 2**20)
    with pytest.raises(CorruptFile, match=r"cut short.*1\.0 MiB"):
        open_checkpoint(path)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400), prefix=st.sampled_from([b"", b"PK\x03\x04", b"\x80\x02", b"\x80\x04\x95"]))
def test_any_bytes_open_or_are_refused(tmp_path: Path, content: bytes, prefix: bytes):
    path = tmp_path / "any"
    path.write_bytes(prefix + content)
    with pytest.raises(CorruptFile):
        open_checkpoint(path)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keep=st.floats(0, 1), zipped=st.booleans())
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, keep: float, zipped: bool):
    path = tmp_path / "cut"
    if zipped:
        torch.save(dict(TENSORS), path)
    else:
        safetensors(path)
    size = path.stat().st_size
    os.truncate(path, min(int(size * keep), size - 1))
    with pytest.raises(CorruptFile):
        open_checkpoint(path)


def test_a_file_too_large_for_the_memory_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    torch.save({"w": torch.zeros(2)}, tmp_path / "m.ckpt")

    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(MemoryError):
        open_checkpoint(tmp_path / "m.ckpt")
