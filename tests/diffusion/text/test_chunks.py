from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from diffusion.text.chunks import KEEP_WHOLE, Chunk, chunk

START, END, PAD = 1, 2, 0


def cut(*segments: tuple[int, float], length: int = 77) -> list[Chunk]:
    """Chunks of segments given as (how many tokens, weight); the tokens count up from 10."""
    built: list[tuple[list[int], float]] = []
    token = 10
    for count, weight in segments:
        built.append((list(range(token, token + count)), weight))
        token += count
    return chunk(built, start=START, end=END, pad=PAD, length=length)


def test_an_empty_prompt_is_one_window_of_padding():
    assert cut()[0].tokens == (START, END, *[PAD] * 75)


def test_a_short_prompt_fills_one_window():
    (only,) = cut((3, 1.0), (2, 1.5))
    assert only.tokens[:7] == (START, 10, 11, 12, 13, 14, END)
    assert only.weights[:7] == (1.0, 1.0, 1.0, 1.0, 1.5, 1.5, 1.0)


def test_75_tokens_fit_and_76_take_a_second_window():
    assert len(cut((75, 1.0))) == 1
    first, second = cut((76, 1.0))
    assert first.tokens[75:] == (84, END)
    assert second.tokens[:3] == (START, 85, END)


def test_a_short_segment_moves_whole_into_the_next_window():
    first, second = cut((70, 1.0), (7, 1.2))
    assert first.tokens[71:] == (END, *[PAD] * 5)
    assert second.tokens[:9] == (START, *range(80, 87), END)


def test_a_segment_of_eight_is_cut_where_the_window_ends():
    first, second = cut((70, 1.0), (8, 1.2))
    assert first.tokens[71:77] == (80, 81, 82, 83, 84, END)
    assert second.tokens[:5] == (START, 85, 86, 87, END)


@given(st.lists(st.tuples(st.integers(0, 200), st.floats(0, 2)), max_size=12))
def test_no_token_is_lost_and_every_window_is_whole(segments: list[tuple[int, float]]):
    windows = cut(*segments)
    for window in windows:
        assert len(window.tokens) == len(window.weights) == 77
        assert window.tokens[0] == START
        assert window.tokens.count(END) == 1
    kept = [token for window in windows for token in window.tokens if token >= 10]
    assert kept == list(range(10, 10 + sum(count for count, _ in segments)))


@given(st.lists(st.integers(1, KEEP_WHOLE - 1), max_size=60))
def test_short_segments_are_never_cut(counts: list[int]):
    windows = cut(*((count, 1.0) for count in counts))
    where = {token: index for index, window in enumerate(windows) for token in window.tokens if token >= 10}
    token = 10
    for count in counts:
        assert len({where[token + offset] for offset in range(count)}) == 1
        token += count
