"""The disk tier gives back what it was given, survives damage, and stays within its bounds."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.cache import Entry
from executor.codec import Codec, Unwritable
from executor.store import DiskStore
from nodes.sdk.context import OutputFile

FILE = OutputFile("output", "sub", "a.png", width=3, height=4)
CODEC = Codec(["nodes.sdk.context"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


def store(folder: Path, capacity: int = 1 << 20, worth: float = 0.0) -> DiskStore:
    return DiskStore(folder, capacity, CODEC, worth)


@given(VALUES)
def test_values_come_back_with_their_types(value: Any):
    written, tensors = CODEC.write(value)
    back = CODEC.read(written, tensors)
    assert back == value
    assert repr(back) == repr(value)


@given(st.recursive(st.none() | st.text(max_size=6) | st.integers(), lambda x: st.lists(x, max_size=3), max_leaves=6))
def test_json_that_was_not_written_here_is_refused_or_read(written: Any):
    try:
        CODEC.read(written, {})
    except Unwritable:
        return


def test_frozen_dataclasses_of_named_modules_come_back_and_others_do_not():
    assert CODEC.read(*CODEC.write((FILE, [FILE]))) == (FILE, [FILE])
    for foreign in (Path("x"), {1: 2}, Entry(()), object()):
        with pytest.raises(Unwritable):
            CODEC.write(foreign)


def test_an_entry_outlives_the_store(tmp_path: Path):
    entry = Entry((1, "two", FILE), (FILE,), 0.5)
    store(tmp_path).put(b"key", entry)
    again = store(tmp_path)
    assert again.has(b"key")
    assert again.get(b"key") == entry
    assert not again.has(b"other")
    assert again.get(b"other") is None


def test_only_what_took_time_or_made_files_is_kept(tmp_path: Path):
    disk = store(tmp_path, worth=0.1)
    disk.put(b"quick", Entry((1,), (), 0.01))
    disk.put(b"slow", Entry((1,), (), 0.2))
    disk.put(b"shown", Entry((), (FILE,), 0.01))
    assert [disk.has(key) for key in (b"quick", b"slow", b"shown")] == [False, True, True]


def test_what_has_no_written_form_is_simply_not_kept(tmp_path: Path):
    disk = store(tmp_path)
    disk.put(b"key", Entry((object(),), (), 1.0))
    assert not disk.has(b"key")
    assert list(tmp_path.rglob("*.json")) == []


@settings(max_examples=30)
@given(data=st.data())
def test_any_damage_is_a_miss(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    folder = tmp_path_factory.mktemp("store")
    disk = store(folder)
    disk.put(b"key", Entry(("text", 5), (), 1.0))
    (path,) = folder.rglob("*.json")
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert disk.get(b"key") is None
    assert not disk.has(b"key")


def test_a_file_that_was_cut_off_is_a_miss(tmp_path: Path):
    disk = store(tmp_path)
    disk.put(b"key", Entry(("text",), (), 1.0))
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(path.read_bytes()[:-3])
    assert disk.get(b"key") is None


def test_the_folder_stays_within_its_bounds_and_the_oldest_go(tmp_path: Path):
    disk = store(tmp_path, capacity=20_000)
    for index in range(40):
        disk.put(b"%d" % index, Entry(("x" * 1000 + str(index),), (), 1.0))
        for path in tmp_path.rglob("*.json"):
            os.utime(path, (path.stat().st_mtime - 10, path.stat().st_mtime - 10))
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 20_000
    assert disk.has(b"39")
    assert not disk.has(b"0")


def test_tensors_come_back_exactly_and_damaged_ones_are_a_miss(tmp_path: Path):
    import torch

    half = torch.randn(2, 3, 4, dtype=torch.float16)
    entry = Entry(({"samples": half, "mask": torch.arange(6).reshape(2, 3).T},), (), 1.0)
    disk = store(tmp_path)
    disk.put(b"key", entry)
    back = store(tmp_path).get(b"key")
    assert back is not None
    for name, tensor in entry.outputs[0].items():
        assert torch.equal(back.outputs[0][name], tensor)
        assert back.outputs[0][name].dtype == tensor.dtype
    (blob,) = tmp_path.rglob("*.safetensors")
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    assert disk.get(b"key") is None
    assert not blob.exists()


def test_equal_tensors_share_a_file(tmp_path: Path):
    import torch

    disk = store(tmp_path)
    for key in (b"a", b"b"):
        disk.put(key, Entry((torch.ones(8),), (), 1.0))
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1


def test_values_of_the_diffusion_package_are_written(tmp_path: Path):
    import torch

    from diffusion.values import CondEntry, Conditioning, FileRef, Latent, ModelRef

    codec = Codec(["diffusion.values"])
    file = FileRef("checkpoints", "a.safetensors", "/models/a.safetensors", "id")
    latent = Latent(torch.zeros(1, 4, 8, 8), batch_index=(0,))
    conditioning = Conditioning((CondEntry(torch.ones(1, 77, 8), None, {"strength": 1.0}),))
    disk = DiskStore(tmp_path, 1 << 20, codec, 0.0)
    disk.put(b"key", Entry((ModelRef(file, None), latent, conditioning), (), 1.0))
    back = disk.get(b"key")
    assert back is not None
    assert back.outputs[0] == ModelRef(file, None)
    assert torch.equal(back.outputs[1].samples, latent.samples)
    assert back.outputs[1].batch_index == (0,)
    assert torch.equal(back.outputs[2].entries[0].embedding, conditioning.entries[0].embedding)


def test_a_read_only_folder_only_means_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    disk = store(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    disk.put(b"key", Entry((1,), (), 1.0))
    assert not disk.has(b"key")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_importing_the_store_loads_no_torch():
    import subprocess

    code = "import sys, executor.store, executor.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
