"""Textual inversion: how a prompt calls an embedding, every format of file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from diffusion.errors import UnknownModel
from diffusion.library import ModelLibrary
from diffusion.residency import Residency
from diffusion.text.embeddings import Call, WrongEmbedding, split, vectors_of
from diffusion.text.encode import encode
from diffusion.values import ClipRef
from tests.diffusion import tiny

VECTORS = torch.arange(8, dtype=torch.float32).reshape(2, 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "embeddings"
    path.mkdir()
    return path


def found(folder: Path, name: str, width: int = 4) -> tuple[torch.Tensor, str]:
    return vectors_of(ModelLibrary(folder.parent), Call(name), width)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a cat", ["a cat"]),
        ("embedding:x", [Call("x")]),
        ("a embedding:x, b", ["a ", Call("x,"), " b"]),
        ("a\nembedding:x\nb", ["a\n", Call("x"), "\nb"]),
        ("embedding:a embedding:b", [Call("a"), Call("b")]),
        ("anembedding:x", ["anembedding:x"]),
        (",embedding:x", [",embedding:x"]),
        ("", []),
    ],
)
def test_a_call_stands_at_the_beginning_or_after_white_space(text: str, pieces: list[object]):
    assert split(text) == pieces


@given(st.text(max_size=80))
def test_splitting_loses_no_word(text: str):
    joined = "".join(piece if isinstance(piece, str) else f"embedding:{piece.name}" for piece in split(text))
    assert "".join(joined.split()) == "".join(text.split())


@pytest.mark.parametrize("name", ["emb_params", "anything"])
def test_a_safetensors_file_holds_the_vectors(folder: Path, name: str):
    save_file({name: VECTORS}, folder / "recipe.safetensors")
    for written, rest in (("recipe", ""), ("recipe.safetensors", ""), ("recipe,", ","), ("recipe,,", ",,")):
        vectors, left = found(folder, written)
        assert torch.equal(vectors, VECTORS)
        assert left == rest


@pytest.mark.parametrize(
    "content",
    [
        {"string_to_param": {"*": VECTORS}, "name": "x", "step": 3},
        {"string_to_param": {"*": torch.nn.Parameter(VECTORS)}},
        {"<token>": VECTORS},
        {"emb_params": VECTORS},
        VECTORS,
    ],
)
@pytest.mark.parametrize("ending", [".pt", ".bin"])
def test_a_pickle_holds_them_in_many_ways(folder: Path, content: object, ending: str):
    torch.save(content, folder / f"recipe{ending}")
    assert torch.equal(found(folder, "recipe")[0], VECTORS)


def test_one_in_a_folder_below_is_found_after_those_of_the_folder_itself(folder: Path):
    for place, value in (("b/deep", 1.0), ("a", 2.0)):
        (folder / place).mkdir(parents=True)
        save_file({"emb_params": torch.full((1, 4), value)}, folder / place / "recipe.safetensors")
    for written, rest in (("recipe", ""), ("recipe.safetensors,", ",")):
        vectors, left = found(folder, written)
        assert vectors[0, 0] == 2.0
        assert left == rest
    assert found(folder, "deep/recipe")[0][0, 0] == 1.0
    torch.save({"emb_params": VECTORS}, folder / "recipe.pt")
    assert torch.equal(found(folder, "recipe")[0], VECTORS)


def test_of_several_tensors_of_unknown_names_the_first_counts(folder: Path):
    torch.save({"second": VECTORS, "first": VECTORS + 1, "step": 3}, folder / "recipe.pt")
    assert torch.equal(found(folder, "recipe")[0], VECTORS)


def test_of_a_list_all_that_fit_are_joined(folder: Path):
    content = [{"a": VECTORS, "wide": torch.zeros(1, 8)}, {"b": VECTORS[0] + 1, "step": 3}, "more"]
    torch.save(content, folder / "recipe.pt")
    assert torch.equal(found(folder, "recipe")[0], torch.cat([VECTORS, VECTORS[:1] + 1]))
    with pytest.raises(WrongEmbedding):
        found(folder, "recipe", 1024)


def test_those_that_a_lora_is_bundled_with_are_joined(folder: Path):
    large, small = torch.rand(3, 1280), torch.rand(2, 768)
    bundle = {
        f"bundle_emb.{word}.{key}": value for word in "ab" for key, value in (("clip_g", large), ("clip_l", small))
    }
    save_file(
        {**{name: value.clone() for name, value in bundle.items()}, "a.lora": VECTORS}, folder / "lora.safetensors"
    )
    assert torch.equal(found(folder, "lora", 768)[0], torch.cat([small, small]))
    assert torch.equal(found(folder, "lora", 1280)[0], torch.cat([large, large]))
    nested = {f"bundle_emb.{word}.string_to_param.*": VECTORS.clone() for word in "ab"}
    save_file({**nested, "a.lora": torch.zeros(2)}, folder / "older.safetensors")
    assert torch.equal(found(folder, "older")[0], torch.cat([VECTORS, VECTORS]))


def test_a_single_vector_needs_no_batch(folder: Path):
    save_file({"<x>": VECTORS[0].clone()}, folder / "one.safetensors")
    assert found(folder, "one")[0].shape == (1, 4)


def test_each_of_two_encoders_takes_its_own(folder: Path):
    large, small = torch.rand(3, 1280), torch.rand(3, 768)
    save_file({"clip_g": large, "clip_l": small}, folder / "xl.safetensors")
    assert torch.equal(found(folder, "xl", 768)[0], small)
    assert torch.equal(found(folder, "xl", 1280)[0], large)
    with pytest.raises(WrongEmbedding, match=r"no embedding for Stable Diffusion 2 .* clip_g, clip_l"):
        found(folder, "xl", 1024)


def test_an_embedding_of_another_family_is_refused_with_both_names(folder: Path):
    save_file({"emb_params": torch.zeros(1, 768)}, folder / "old.safetensors")
    with pytest.raises(WrongEmbedding) as caught:
        found(folder, "old", 1024)
    assert "made for Stable Diffusion 1 (CLIP-L)" in str(caught.value)
    assert "Stable Diffusion 2" in str(caught.value)
    assert caught.value.input == "text"


@pytest.mark.parametrize("name", ["recipi", "recipi,", "../recipe", ","])
def test_one_that_is_not_there_names_the_nearest(folder: Path, name: str):
    save_file({"emb_params": VECTORS}, folder / "recipe.safetensors")
    with pytest.raises(UnknownModel) as caught:
        found(folder, name)
    assert caught.value.input == "text"
    assert "recipe.safetensors" in str(caught.value.hint)


def test_a_token_s_own_vector_changes_nothing(tmp_path: Path):
    tensors = tiny.tensors()
    tiny.write(tmp_path / "checkpoints" / "tiny.safetensors")
    library = ModelLibrary(tmp_path)
    residency = Residency(library, "cpu", "fp32")
    clip = residency.clip(ClipRef((library.resolve("checkpoints", "tiny.safetensors"),)))
    (token,) = clip.tokenizer.encode("fox")
    table = tensors["cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"]
    (tmp_path / "embeddings").mkdir()
    save_file({"emb_params": table[token][None].half().float()}, tmp_path / "embeddings" / "same.safetensors")
    save_file({"emb_params": torch.zeros(2, 64)}, tmp_path / "embeddings" / "other.safetensors")
    words = encode(clip, "a fox on a hill").entries[0]
    same = encode(clip, "a embedding:same on a hill").entries[0]
    other = encode(clip, "a embedding:other on a hill").entries[0]
    assert torch.allclose(words.embedding, same.embedding, atol=1e-6)
    assert words.pooled is not None
    assert torch.allclose(words.pooled, torch.as_tensor(same.pooled), atol=1e-6)
    assert not torch.allclose(words.embedding, other.embedding, atol=1e-3)
