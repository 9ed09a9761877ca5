r"""Reads the weights in a prompt: `(x)` is 1.1 times stronger, `((x))` twice that, `(x:1.3)` exactly 1.3.

The rules are ComfyUI's, down to what happens with unbalanced brackets, so that shared prompts mean the same here:
- a weight counts from the group's last colon and replaces the weights around it; when what follows that colon is no
  number, the colon is text and the group is ×1.1;
- `\(` and `\)` are plain brackets;
- a group that is never closed is text, unless the text ends in `)`, which then closes it;
- after a `)` too many, an opening bracket only makes up for it.

Time and memory are linear in the prompt, however deeply it nests.
"""

from __future__ import annotations

import bisect
from array import array
from dataclasses import dataclass

from diffusion.errors import BadPrompt

MAX_CHARACTERS = 100_000
"""Longer prompts are refused. 100,000 characters are about 300 chunks of text, hundreds of pages' worth of guidance."""

_GROUP_WEIGHT = 1.1
_OPEN, _CLOSE = "\x00\x01", "\x00\x02"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text and the weight it carries."""

    text: str
    weight: float


def parse(text: str, weight: float = 1.0) -> list[Segment]:
    """The segments of a prompt in order. Raises BadPrompt when it is longer than MAX_CHARACTERS."""
    if len(text) > MAX_CHARACTERS:
        raise BadPrompt(
            f"The prompt is {len(text):,} characters long; the most that is taken is {MAX_CHARACTERS:,}.",
            hint="Shorten it.",
            input="text",
            code="too_large",
        )
    return _Parser(text.replace("\\(", _OPEN).replace("\\)", _CLOSE)).run(weight)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.brackets = array("q", (index for index, char in enumerate(text) if char in "()"))
        self.segments: list[Segment] = []

    def run(self, weight: float) -> list[Segment]:
        pending = [(start, end, weight) for start, end in self._outer_items()]
        pending.reverse()
        partner = self._partners()
        while pending:
            start, end, weight = pending.pop()
            if not self._is_group(start, end):
                self._add(start, end, weight)
                continue
            start, end, weight = self._group(start, end, weight)
            pending.extend(reversed([(*item, weight) for item in self._items(start, end, partner)]))
        return self.segments

    def _outer_items(self) -> list[tuple[int, int]]:
        """Cut the whole text at its outermost brackets, counting depth below zero after a `)` too many."""
        items: list[tuple[int, int]] = []
        start = depth = 0
        for index in self.brackets:
            if self.text[index] == "(":
                if depth == 0:
                    items.append((start, index))
                    start = index
                depth += 1
            else:
                depth -= 1
                if depth == 0:
                    items.append((start, index + 1))
                    start = index + 1
        items.append((start, len(self.text)))
        return [item for item in items if item[0] < item[1]]

    def _partners(self) -> dict[int, int]:
        """Where each opening bracket is closed."""
        partner: dict[int, int] = {}
        opened: list[int] = []
        for index in self.brackets:
            if self.text[index] == "(":
                opened.append(index)
            elif opened:
                partner[opened.pop()] = index
        return partner

    def _items(self, start: int, end: int, partner: dict[int, int]) -> list[tuple[int, int]]:
        """Cut the inside of a group at its outermost brackets. It never closes more than it opens."""
        items: list[tuple[int, int]] = []
        while start < end:
            opening = self.text.find("(", start, end)
            if opening < 0:
                opening = end
            if start < opening:
                items.append((start, opening))
            if opening == end:
                break
            closing = partner.get(opening, end)
            start = closing + 1 if closing < end else end
            items.append((opening, start))
        return items

    def _is_group(self, start: int, end: int) -> bool:
        return end - start >= 2 and self.text[start] == "(" and self.text[end - 1] == ")"

    def _group(self, start: int, end: int, weight: float) -> tuple[int, int, float]:
        """The inside of a group, without the weight it may state, and the weight that holds there."""
        start, end = start + 1, end - 1
        last_bracket = bisect.bisect_left(self.brackets, end) - 1
        tail = max(start, self.brackets[last_bracket] + 1 if last_bracket >= 0 else start)
        colon = self.text.rfind(":", tail, end)
        if colon > start:
            try:
                return start, colon, float(self.text[colon + 1 : end])
            except ValueError:  # no number, so the colon is text
                pass
        return start, end, weight * _GROUP_WEIGHT

    def _add(self, start: int, end: int, weight: float) -> None:
        text = self.text[start:end].replace(_OPEN, "(").replace(_CLOSE, ")")
        self.segments.append(Segment(text, weight))
