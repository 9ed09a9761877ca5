"""Weights in several files, with an index that says where each tensor is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffusion.errors import CorruptFile
from diffusion.shards import open_weights, shards

INDEX = "model.safetensors.index.json"


def write(folder: Path, places: object) -> Path:
    save_file({"a": torch.ones(2), "b": torch.zeros(3, dtype=torch.float16)}, folder / "model-1.safetensors")
    save_file({"c": torch.full((1, 4), 3.0)}, folder / "model-2.safetensors")
    index = folder / INDEX
    index.write_text(json.dumps({"metadata": {"total_size": 30}, "weight_map": places}))
    return index


def test_tensors_come_from_the_files_that_hold_them(tmp_path: Path):
    places = {"a": "model-1.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}
    with open_weights(write(tmp_path, places)) as file:
        assert file.shapes == {"a": (2,), "b": (3,), "c": (1, 4)}
        assert file.tensors["b"].dtype == torch.float16
        assert file.tensor("c").tolist() == [[3.0] * 4]
        file.close()
        assert file.tensor("a").tolist() == [1.0, 1.0]
    names = [path.name for path in shards(tmp_path / INDEX)]
    assert names == [INDEX, "model-1.safetensors", "model-2.safetensors"]


def test_a_file_alone_is_its_own_only_part(tmp_path: Path):
    write(tmp_path, {})
    path = tmp_path / "model-2.safetensors"
    assert shards(path) == (path,)
    with open_weights(path) as file:
        assert list(file.names()) == ["c"]


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ({}, "weight_map"),
        ([], "weight_map"),
        ({"a": 1}, "no file beside it"),
        ({"a": "../model-1.safetensors"}, "no file beside it"),
        ({"a": ".."}, "no file beside it"),
        ({"a": "model-3.safetensors"}, "model-3.safetensors is missing"),
        ({"c": "model-1.safetensors"}, "lacks the tensor c"),
    ],
)
def test_an_index_that_makes_no_sense_is_refused_in_words(tmp_path: Path, places: object, said: str):
    with pytest.raises(CorruptFile, match=said):
        open_weights(write(tmp_path, places))


@pytest.mark.parametrize("text", ["", "null", "[1]", "{", '{"weight_map": null}'])
def test_an_index_that_is_none_is_refused(tmp_path: Path, text: str):
    path = tmp_path / INDEX
    path.write_text(text)
    with pytest.raises(CorruptFile, match=INDEX):
        open_weights(path)
