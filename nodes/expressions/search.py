"""Matches a regular expression and ends: run as a program of its own, which can be stopped whatever it is at.

Reads a JSON object from its input: `task`, `pattern`, `flags`, `text` and what the task takes. Writes `{"result": …}`,
or `{"error": …, "input": …}` for an expression that can't be used. Imports nothing of this program, so as to start
fast.
"""

from __future__ import annotations

import faulthandler
import json
import re
import sys
from typing import Any

LINE = "\n"


def matches(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.search(text) is not None


def extracted(pattern: re.Pattern[str], text: str, mode: str, group: int) -> str:
    """What a pattern finds: all of it, or of a group; several are joined by line breaks. A group that the pattern
    lacks, or that took no part in a match, is empty.

    As in ComfyUI, all matches of a pattern with groups are those of its first group, and all of group 0 are found only
    by a pattern that has groups.
    """
    if mode == "All Matches":
        found = pattern.findall(text)
        return LINE.join(each[0] if isinstance(each, tuple) else each for each in found)
    if mode == "All Groups":
        if not pattern.groups or group > pattern.groups:
            return ""
        return LINE.join(match.group(group) or "" for match in pattern.finditer(text))
    if mode == "First Match":
        group = 0
    match = pattern.search(text)
    return "" if match is None or group > pattern.groups else match.group(group) or ""


def answer(task: dict[str, Any]) -> dict[str, Any]:
    used = "regex_pattern"
    try:
        pattern = re.compile(task["pattern"], task["flags"])
        match task["task"]:
            case "match":
                return {"result": matches(pattern, task["text"])}
            case "extract":
                return {"result": extracted(pattern, task["text"], task["mode"], task["group"])}
            case _:
                used = "replace"
                return {"result": pattern.sub(task["replace"], task["text"], count=task["count"])}
    except (re.error, IndexError, OverflowError, RecursionError, MemoryError) as error:
        return {"error": str(error) or type(error).__name__, "input": used}


if __name__ == "__main__":
    given = json.load(sys.stdin)
    # The watch needs no turn of the interpreter, which a match never gives. It ends this process also when the one that
    # waits for it is gone.
    faulthandler.dump_traceback_later(given["seconds"], exit=True)
    json.dump(answer(given), sys.stdout)
