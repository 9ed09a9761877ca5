"""What can be wrong with a workflow, in the words of the person who has to put it right."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

JsonObject = dict[str, Any]

SUGGESTIONS = 3
LOOKUPS = 200
LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that keeps a workflow (or a part of it) from running.

    `code` is stable and meant for programs; `message` says what is wrong and what to do. `node` and `input` say
    where, when the problem has a place; `details` holds what a program may want, such as the nearest names.
    """

    code: str
    message: str
    node: str | None = None
    class_type: str | None = None
    input: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_json(self) -> JsonObject:
        return {
            "code": self.code,
            "message": self.message,
            "node": self.node,
            "class_type": self.class_type,
            "input": self.input,
            "details": dict(self.details),
        }


class InvalidWorkflow(Exception):
    """A workflow that can't run, with everything that is wrong with it.

    Args:
        problems: why it can't run; never empty.
        warnings: what is odd about it but would not have kept it from running.
    """

    def __init__(self, problems: Sequence[Problem], warnings: Sequence[Problem] = ()) -> None:
        super().__init__("; ".join(each.message for each in problems[:3]) or "the workflow is not valid")
        self.problems = tuple(problems)
        self.warnings = tuple(warnings)


class BadDocument(InvalidWorkflow):
    """A file or text that is no workflow document at all; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__([problem])
        self.problem = problem


class NearestNames:
    """Finds the names that a misspelt one may have meant, in bounded time however many are misspelt."""

    def __init__(self, lookups: int = LOOKUPS) -> None:
        self._left = lookups
        self._known: dict[tuple[str, int], list[str]] = {}

    def __call__(self, word: str, names: Sequence[str]) -> list[str]:
        """Up to three names like `word`, the nearest first; none once the budget of look-ups is spent."""
        asked = (word, hash(tuple(names)))
        found = self._known.get(asked)
        if found is None:
            if self._left <= 0 or len(word) > LONGEST_NAME:
                return []
            self._left -= 1
            folded = {name.casefold(): name for name in reversed(names)}
            close = difflib.get_close_matches(word.casefold(), list(folded), n=SUGGESTIONS, cutoff=0.5)
            found = [folded[each] for each in close]
            self._known[asked] = found
        return found


def quoted(value: object, limit: int = 80) -> str:
    """A value as shown in a sentence, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def nearest_are(names: Sequence[str]) -> str:
    """A half-sentence that offers names, or nothing when there are none."""
    if not names:
        return ""
    *first, last = map(repr, names)
    return f"; the nearest are {', '.join(first)} and {last}" if first else f"; the nearest is {last}"
