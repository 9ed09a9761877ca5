from __future__ import annotations

import sys

import pytest

from diffusion.text.tokenizer import ClipTokenizer


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return ClipTokenizer()


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", []),
        ("a photo of a cat", [320, 1125, 539, 320, 2368]),
        ("a photograph of an astronaut riding a horse", [320, 8853, 539, 550, 18376, 6765, 320, 4558]),
        ("A  PHOTO\n of a cat ", [320, 1125, 539, 320, 2368]),
        ("cat.", [2368, 269]),
        ("<|startoftext|>", [49406]),
        ("<|endoftext|>", [49407]),
    ],
)
def test_texts_have_the_ids_of_the_published_vocabulary(tokenizer: ClipTokenizer, text: str, ids: list[int]):
    assert tokenizer.encode(text) == ids


def test_ideographs_are_words_of_their_own_and_control_characters_are_nothing(tokenizer: ClipTokenizer):
    assert tokenizer.encode("一只猫") == tokenizer.encode("一 只 猫")
    assert tokenizer.encode("ca\u200dt\x07") == tokenizer.encode("cat")
    assert tokenizer.encode("ñandú") != tokenizer.encode("nandu")


def test_capitals_become_small_letters_as_python_writes_them(tokenizer: ClipTokenizer):
    assert tokenizer.encode("ΟΔΟΣ, ΣΟΦΟΣ") == tokenizer.encode("οδος, σοφος")
    assert tokenizer.encode("ΟΔΟΣ\u200d") == tokenizer.encode("οδος")
    assert tokenizer.encode("ΟΔΟΣ\x07ΙΣ") == tokenizer.encode("οδοσις")
    assert tokenizer.encode("a <|ENDOFTEXT|>") == [320, 49407]


def test_every_id_is_in_range_for_any_script(tokenizer: ClipTokenizer):
    ids = tokenizer.encode("日本 🎈 ñandú Ωmega 12 don't\x00\x7f " + "x" * 500)
    assert ids
    assert all(0 <= token < 49406 for token in ids)


def test_it_agrees_with_the_tokenizer_of_open_clip(tokenizer: ClipTokenizer):
    from open_clip.tokenizer import SimpleTokenizer

    theirs = SimpleTokenizer()
    plain = ("an oil painting, 4k & detailed!", "it's the year 2024", "red-blue (green) [grey]")
    for text in (*plain, "naïve café", "ΟΔΟΣ"):
        assert tokenizer.encode(text) == theirs.encode(text)


def test_the_vocabulary_is_found_without_importing_open_clip():
    import subprocess

    code = (
        "import sys; from diffusion.text.tokenizer import ClipTokenizer; ClipTokenizer().encode('a');"
        "print('open_clip' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr
