"""Nodes that find, take out and replace parts of texts by regular expressions. The names are ComfyUI's."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from nodes.expressions.apart import ask
from nodes.sdk import Context, Help, Label, Multiline, Range, node

_CATEGORY = "utils/string"

Text = Annotated[str, Multiline(), Help("The text to look in.")]
Pattern = Annotated[str, Multiline(), Label("expression"), Help("A regular expression, as Python's re module has it.")]
CaseInsensitive = Annotated[bool, Label("any case"), Help("Whether small and capital letters count as the same.")]
Lines = Annotated[bool, Label("by line"), Help("Whether ^ and $ are the ends of each line, not only of the text.")]
DotAll = Annotated[bool, Label("dot is any"), Help("Whether a dot is also a line break.")]


@node(title="Match expression", category=_CATEGORY)
def RegexMatch(
    context: Context,
    string: Text = "",
    regex_pattern: Pattern = "",
    case_insensitive: CaseInsensitive = True,
    multiline: Lines = False,
    dotall: DotAll = False,
) -> bool:
    """Tells whether a regular expression fits anywhere in a text."""
    return ask(context, "match", regex_pattern, string, _flags(case_insensitive, multiline, dotall))


@node(title="Extract by expression", category=_CATEGORY)
def RegexExtract(
    context: Context,
    string: Text = "",
    regex_pattern: Pattern = "",
    mode: Annotated[
        Literal["First Match", "All Matches", "First Group", "All Groups"],
        Help(
            "The text that fits, or the part in a pair of brackets of the expression: in the first place, or in all, "
            "one to a line. All Matches of an expression with brackets are those of the first pair."
        ),
    ] = "First Match",
    case_insensitive: CaseInsensitive = True,
    multiline: Lines = False,
    dotall: DotAll = False,
    group_index: Annotated[int, Range(0, 100), Label("group"), Help("Which pair of brackets, from 1.")] = 1,
) -> str:
    """Takes out of a text what fits a regular expression; nothing gives an empty text."""
    flags = _flags(case_insensitive, multiline, dotall)
    return ask(context, "extract", regex_pattern, string, flags, mode=mode, group=group_index)


@node(title="Replace by expression", category=_CATEGORY)
def RegexReplace(
    context: Context,
    string: Text = "",
    regex_pattern: Pattern = "",
    replace: Annotated[
        str, Multiline(), Help("What to write in its place; \\1 is what the first pair of brackets holds.")
    ] = "",
    case_insensitive: CaseInsensitive = True,
    multiline: Lines = False,
    dotall: DotAll = False,
    count: Annotated[int, Range(0, 100), Help("How many places to change at most; 0 changes all.")] = 0,
) -> str:
    """Replaces what fits a regular expression in a text."""
    flags = _flags(case_insensitive, multiline, dotall)
    return ask(context, "replace", regex_pattern, string, flags, replace=replace, count=count)


def _flags(case_insensitive: bool, multiline: bool, dotall: bool) -> int:
    chosen = ((case_insensitive, re.IGNORECASE), (multiline, re.MULTILINE), (dotall, re.DOTALL))
    return sum(flag.value for on, flag in chosen if on)
