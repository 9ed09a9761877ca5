"""Matches regular expressions in a process of their own: some take for ever, and none can be stopped from within."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from nodes.sdk import Context, NodeError

SECONDS = 10.0
"""How long one may take."""

_PROGRAM = Path(__file__).with_name("search.py")
_LOOK = 0.05


def ask(context: Context, task: str, pattern: str, text: str, flags: int, **more: str | int) -> Any:
    """What a task of `search` gives. Raises NodeError for an expression that can't be used or takes too long, and
    Cancelled when the job was cancelled meanwhile."""
    given = {"task": task, "pattern": pattern, "text": text, "flags": flags, "seconds": SECONDS, **more}
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    with process:
        try:
            said = _said(context, process, json.dumps(given).encode())
        finally:
            process.kill()
    if not said:
        raise NodeError(
            f"The expression found no end within {SECONDS:g} seconds.",
            input="regex_pattern",
            code="expression_too_slow",
            hint="A repeat within a repeat, such as (a+)+, tries every way to share the text out. Use one repeat, say "
            "which characters may follow, or give a shorter text.",
        )
    answer = json.loads(said)
    if "error" in answer:
        raise NodeError(
            f"The expression can't be used: {answer['error']}.",
            input=answer["input"],
            code="bad_expression",
            hint="It is written as in Python's re module; put \\ before a character such as ( or * to mean itself.",
        )
    return answer["result"]


def _said(context: Context, process: subprocess.Popen[bytes], given: bytes) -> bytes:
    """What the process, given its task, writes until it ends."""
    left: bytes | None = given
    while True:
        context.check_cancelled()
        try:
            return process.communicate(left, timeout=_LOOK)[0]
        except subprocess.TimeoutExpired:
            left = None  # the process keeps what it was given
