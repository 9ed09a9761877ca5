"""The dynamic prompts of ComfyUI's editor: comments, and alternatives of which one is chosen when a prompt is queued.

API prompts hold what was chosen; a file of the editor holds the text as it was typed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import NamedTuple

DYNAMIC: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "CLIPTextEncode": ("text",),
        "CLIPTextEncodeSDXL": ("text_g", "text_l"),
        "CLIPTextEncodeSDXLRefiner": ("text",),
        "CLIPTextEncodeControlnet": ("text",),
    }
)
"""The texts that ComfyUI declares as dynamic, by node."""

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n\r\u2028\u2029]*", re.DOTALL)
_TOKEN = re.compile(r"\\.|[{}|]|[^\\{}|]+|\\", re.DOTALL)
_ESCAPED = frozenset({r"\{", r"\|", r"\}"})


class Said(NamedTuple):
    """A prompt without comments and alternatives, and whether there was more than one thing that it could say."""

    text: str
    chosen: bool


def said(text: str, seed: str) -> Said:
    """What a dynamic prompt says. `{a|b}` becomes one of its alternatives, nested ones first; `{a}` becomes `a`.

    Args:
        text: the prompt. A brace that is not closed ends with it; `|` and `}` outside of braces mean themselves.
        seed: decides the choice; the same text and seed always say the same.
    """
    random = Random(f"{seed}:{text}")
    outer: list[list[str]] = []
    alternatives = [""]
    chosen = False
    for token in (*_TOKEN.findall(_COMMENT.sub("", text)), None):
        if token == "{":
            outer.append(alternatives)
            alternatives = [""]
        elif token == "|" and outer:
            alternatives.append("")
        elif token is None or (token == "}" and outer):
            while outer:
                chosen = chosen or len(alternatives) > 1
                picked = random.choice(alternatives)
                alternatives = outer.pop()
                alternatives[-1] += picked
                if token is not None:
                    break
        else:
            alternatives[-1] += token[1] if token in _ESCAPED else token
    return Said(alternatives[0], chosen)
