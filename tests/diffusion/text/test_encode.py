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
