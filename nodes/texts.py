"""Nodes that change, measure and compare texts. The names are ComfyUI's."""

from __future__ import annotations

from typing import Annotated, Literal

from nodes.sdk import Help, Label, Multiline, node

_CATEGORY = "utils/string"

Text = Annotated[str, Multiline(), Help("The text to work on.")]
CaseSensitive = Annotated[
    bool, Label("case sensitive"), Help("Whether small and capital letters count as different ones.")
]


@node(title="Part of text", category=_CATEGORY)
def StringSubstring(
    string: Text = "",
    start: Annotated[int, Help("How many characters to leave out before it. Below 0 counts from the end.")] = 0,
    end: Annotated[int, Help("Behind which character it ends; 0 gives nothing. Below 0 counts from the end.")] = 0,
) -> str:
    """Takes a part of a text, told by its place."""
    return string[start:end]


@node(title="Length of text", category=_CATEGORY)
def StringLength(string: Text = "") -> int:
    """Counts the characters of a text."""
    return len(string)


@node(title="Change case", category=_CATEGORY)
def CaseConverter(
    string: Text = "",
    mode: Annotated[
        Literal["UPPERCASE", "lowercase", "Capitalize", "Title Case"],
        Help("Capitalize raises the first letter of the text, and Title Case that of each word; others get small."),
    ] = "UPPERCASE",
) -> str:
    """Makes the letters of a text small or capital."""
    match mode:
        case "UPPERCASE":
            return string.upper()
        case "lowercase":
            return string.lower()
        case "Capitalize":
            return string.capitalize()
        case "Title Case":
            return string.title()


@node(title="Trim text", category=_CATEGORY)
def StringTrim(
    string: Text = "",
    mode: Annotated[Literal["Both", "Left", "Right"], Help("At which end.")] = "Both",
) -> str:
    """Takes away spaces and line breaks at the ends of a text."""
    match mode:
        case "Both":
            return string.strip()
        case "Left":
            return string.lstrip()
        case "Right":
            return string.rstrip()


@node(title="Replace text", category=_CATEGORY)
def StringReplace(
    string: Text = "",
    find: Annotated[str, Multiline(), Help("What to look for, letter by letter.")] = "",
    replace: Annotated[str, Multiline(), Help("What to write in its place.")] = "",
) -> str:
    """Replaces something in a text wherever it stands."""
    return string.replace(find, replace)


@node(title="Text contains", category=_CATEGORY)
def StringContains(
    string: Text = "",
    substring: Annotated[str, Multiline(), Label("part"), Help("What to look for.")] = "",
    case_sensitive: CaseSensitive = True,
) -> bool:
    """Tells whether something stands in a text."""
    if case_sensitive:
        return substring in string
    return substring.lower() in string.lower()


@node(title="Compare texts", category=_CATEGORY)
def StringCompare(
    string_a: Annotated[str, Multiline(), Help("The text that is asked about.")] = "",
    string_b: Annotated[str, Multiline(), Help("What it is compared with.")] = "",
    mode: Annotated[
        Literal["Starts With", "Ends With", "Equal"], Help("What the first text has to do with the second.")
    ] = "Starts With",
    case_sensitive: CaseSensitive = True,
) -> bool:
    """Tells whether a text equals another one, or begins or ends with it."""
    if not case_sensitive:
        string_a, string_b = string_a.lower(), string_b.lower()
    match mode:
        case "Starts With":
            return string_a.startswith(string_b)
        case "Ends With":
            return string_a.endswith(string_b)
        case "Equal":
            return string_a == string_b
