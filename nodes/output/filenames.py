"""Fills in the tokens of a file name, such as `%date%` and `%seed%`."""

from __future__ import annotations

import re
from datetime import datetime

from nodes.output.trace import Prompt, linked, node_inputs, seed_of

_TOKEN = re.compile(r"%([^%\s][^%]*?)%")
_DATE_PART = re.compile(r"yyyy|yy|MM|M|dd|d|hh|h|mm|m|ss|s")
_UNSAFE = re.compile(r'[\\/:*?"<>|\x00-\x1f]')
_LONGEST = 80


def expand(
    prefix: str,
    prompt: Prompt,
    now: datetime,
    *,
    width: int,
    height: int,
    node_id: str,
    batch_number: int = 0,
) -> str:
    """The prefix with its tokens filled in.

    Args:
        prefix: what the person typed.
        prompt: the nodes that run.
        now: what the dates are of.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        node_id: the node that saves, from which the sampler of `%seed%` is looked for.
        batch_number: which picture of a batch it is.

    `%date%` is yyyy-MM-dd and `%date:FORMAT%` takes yyyy, yy, MM, M, dd, d, hh, h, mm, m, ss and s; `%year%` to
    `%second%` are single parts; `%seed%` is that of the nearest sampler; `%width%` and `%height%` are the picture's;
    `%batch_num%` counts from 0; `%Name.input%` is an input of the node with that type, or else that title or id. A
    slash in a date adds a folder, and no other token does. A token that means nothing here stays as it is.
    """
    simple = {
        "date": _format(now, "yyyy-MM-dd"),
        "year": f"{now.year:04}",
        "month": f"{now.month:02}",
        "day": f"{now.day:02}",
        "hour": f"{now.hour:02}",
        "minute": f"{now.minute:02}",
        "second": f"{now.second:02}",
        "width": str(width),
        "height": str(height),
        "batch_num": str(batch_number),
    }

    def value(match: re.Match[str]) -> str:
        token = match.group(1)
        if token in simple:
            return simple[token]
        if token.startswith("date:"):
            return "/".join(map(_safe, _format(now, token.removeprefix("date:")).split("/")))
        if token == "seed":
            seed = seed_of(prompt, node_id)
            return match.group() if seed is None else str(seed)
        found = _input_value(prompt, token)
        return match.group() if found is None else _safe(found)

    return _TOKEN.sub(value, prefix)


def _format(now: datetime, pattern: str) -> str:
    parts = {
        "yyyy": f"{now.year:04}",
        "yy": f"{now.year % 100:02}",
        "MM": f"{now.month:02}",
        "M": str(now.month),
        "dd": f"{now.day:02}",
        "d": str(now.day),
        "hh": f"{now.hour:02}",
        "h": str(now.hour),
        "mm": f"{now.minute:02}",
        "m": str(now.minute),
        "ss": f"{now.second:02}",
        "s": str(now.second),
    }
    return _DATE_PART.sub(lambda match: parts[match.group()], pattern)


def _input_value(prompt: Prompt, token: str) -> str | None:
    title, dot, name = token.rpartition(".")
    if not dot:
        return None
    called = [node_id for node_id, node in prompt.items() if title == node.get("class_type")]
    called += [node_id for node_id, node in prompt.items() if title == (node.get("_meta") or {}).get("title")]
    for node_id in (*called, title):
        found = node_inputs(prompt, node_id).get(name)
        if found is not None and linked(found) is None:
            return _written(found)
    return None


def _written(value: object) -> str:
    """A value as ComfyUI's editor, a program in a browser, writes it: 8.0 as 8, and true in small letters."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text)[:_LONGEST].strip(". ") or "_"
