from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diffusion.errors import BadPrompt
from diffusion.text.embeddings import Call
from diffusion.text.encode import encode
from diffusion.text.tokenizer import ClipTokenizer


class Fake:
    """An encoder whose embedding of a token is the token's id and its place."""

    positions = 77
    pad = 49407
    is_large = False

    def __init__(self) -> None:
        self.tokenizer = ClipTokenizer()
        self.passes: list[tuple[int, ...]] = []
        self.towers = [self]

    def vectors(self, call: Call) -> tuple[Tensor, str]:
        return torch.zeros(3, 2), ", "

    def encode_tokens(self, tokens: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        self.passes.append(tuple(tokens.shape))
        place = torch.arange(tokens.shape[1]).expand(tokens.shape)
        return torch.stack([tokens, place], -1).float(), tokens[:, :3].float()


@pytest.fixture
def clip() -> Fake:
    return Fake()


def test_a_plain_prompt_takes_one_window_and_one_pass(clip: Fake):
    entry = encode(clip, "a cat").entries[0]
    assert entry.embedding.shape == (1, 77, 2)
    assert entry.embedding[0, :4, 0].tolist() == [49406, 320, 2368, 49407]
    assert clip.passes == [(1, 77)]


def test_windows_are_padded_with_the_end_token(clip: Fake):
    assert encode(clip, "").entries[0].embedding[0, 1:, 0].unique().tolist() == [49407]


def test_a_weight_moves_a_token_away_from_the_empty_prompt(clip: Fake):
    embedding = encode(clip, "a (cat:1.5)").entries[0].embedding[0, :, 0]
    assert embedding[1] == 320
    assert embedding[2] == 49407 + (2368 - 49407) * 1.5
    assert embedding[3] == 49407


def test_a_weight_of_zero_gives_the_empty_prompt(clip: Fake):
    weighted = encode(clip, "(cat:0)").entries[0].embedding
    assert weighted[0, 1, 0] == encode(clip, "").entries[0].embedding[0, 1, 0]


def test_a_long_prompt_is_joined_and_its_pooled_is_the_first_windows(clip: Fake):
    entry = encode(clip, " ".join(["cat"] * 76)).entries[0]
    assert entry.embedding.shape == (1, 154, 2)
    assert entry.pooled is not None
    assert entry.pooled.tolist() == [[49406, 2368, 2368]]


def test_a_very_long_prompt_runs_in_bounded_batches(clip: Fake):
    encode(clip, "cat " * 20_000)
    assert max(batch for batch, _ in clip.passes) <= 16


@pytest.mark.parametrize("text", ["(a:inf)", "(a:nan)", "(" * 8000 + "a" + ")" * 8000])
def test_a_weight_that_is_not_finite_is_refused(clip: Fake, text: str):
    with pytest.raises(BadPrompt) as caught:
        encode(clip, text)
    assert caught.value.input == "text"


def test_an_embedding_takes_a_place_for_each_of_its_vectors(clip: Fake):
    entry = encode(clip, "a embedding:recipe, (embedding:two:1.2) table").entries[0]
    ids = entry.embedding[0, :, 0]
    comma, table = clip.tokenizer.encode(","), clip.tokenizer.encode("table")
    start = [49406, *clip.tokenizer.encode("a"), 49408, 49409, 49410, *comma]
    assert ids[: len(start)].tolist() == start
    weighted = ids[len(start) : len(start) + 3]
    assert torch.allclose(weighted, 49407 + 1.2 * (torch.tensor([49411.0, 49412, 49413]) - 49407))
    assert int(ids[len(start) + 3 + 1]) == table[0]


def test_commas_behind_an_embedding_stay_with_the_words_that_follow(clip: Fake):
    ids = encode(clip, "cat " * 70 + "embedding:recipe, b c d e").entries[0].embedding[0, :, 0].tolist()
    assert ids[71:77] == [49408, 49409, 49410, 49407, 49407, 49407]
    assert ids[77:84] == [49406, *clip.tokenizer.encode(", b c d e"), 49407]


def test_a_lone_large_encoder_reads_its_own_prompt_and_as_many_windows_as_the_other_one_takes(clip: Fake):
    clip.is_large = True
    alone, beside = (encode(clip, text, large="a cat", width=640).entries[0] for text in ("dog", "dog " * 76))
    assert torch.equal(alone.embedding, encode(clip, "a cat").entries[0].embedding)
    assert beside.embedding.shape == (1, 154, 2)
    assert torch.equal(beside.embedding[:, :77], alone.embedding)
    assert torch.equal(beside.embedding[:, 77:], encode(clip, "").entries[0].embedding)
    assert alone.options == {"width": 640}


def test_a_prompt_for_each_of_two_encoders_is_refused_by_another_one_alone(clip: Fake):
    with pytest.raises(BadPrompt, match="one text encoder") as caught:
        encode(clip, "a cat", large="a dog")
    assert caught.value.input == "clip"


def test_a_longer_window_takes_more_tokens(clip: Fake):
    clip.positions = 248
    assert encode(clip, "cat " * 246).entries[0].embedding.shape == (1, 248, 2)
    assert encode(clip, "cat " * 247).entries[0].embedding.shape == (1, 496, 2)


def test_of_two_encoders_with_other_windows_the_shorter_prompt_counts(clip: Fake):
    clip.positions = 248
    clip.towers.append(Fake())
    entry = encode(clip, "a cat").entries[0]
    assert entry.embedding.shape == (1, 77, 4)
