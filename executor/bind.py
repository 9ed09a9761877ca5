"""Checks one literal against its input's declaration and gives the value that the node will receive.

The same rules apply to a value that a link brings at run time, so that a range holds however the value came. There is
one exception: a typed value must be a multiple of the step where the input says so; a linked one need not be.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from executor.files import INPUT_KIND, FileCatalogue, has_ending
from executor.folders import annotated, in_words
from executor.problems import NearestNames, nearest_are, quoted
from nodes.sdk.spec import InputSpec

SHOWN_CHOICES = 12


class Bad(NamedTuple):
    """Why a value can't be used: a code, a sentence's end for the person, and details for programs."""

    code: str
    message: str
    details: dict[str, Any]


Reader = Callable[[Any], Any]
"""Takes a literal and returns the value for the node, or `Bad`."""


def value_reader(spec: InputSpec, files: FileCatalogue, nearest: NearestNames, *, converting: bool = False) -> Reader:
    """The function that reads literals for an input; made once per input and check, since a graph repeats them.

    Args:
        spec: the input.
        files: the models and pictures there are.
        nearest: finds the names that a misspelt one may have meant.
        converting: whether a literal of another type is converted first, as ComfyUI does.
    """
    read = _reader(spec, files, nearest)
    return (lambda value: read(converted(spec, value))) if converting and spec.widget is not None else read


def converted(spec: InputSpec, value: Any) -> Any:
    """A literal as ComfyUI would hand it to the node: as a number, text or truth value, whichever the input takes. One
    that can't be converted comes back as it is, as does the null of a text, which would become the word None."""
    convert: dict[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
    if spec.type not in convert or spec.is_file or (value is None and spec.type != "BOOLEAN"):
        return value
    if cast("type[Any]", type(value)) in (list, dict):
        return value
    try:
        return convert[spec.type](value)
    except (ValueError, OverflowError):
        return value


def _reader(spec: InputSpec, files: FileCatalogue, nearest: NearestNames) -> Reader:
    if spec.widget is None:
        return _socket_only(spec)
    if spec.is_file:
        return _file(spec, files, nearest)
    if spec.choices is not None:
        return _choice(spec, nearest)
    readers: dict[str, Reader] = {"BOOLEAN": _boolean, "STRING": _text}
    if spec.type in readers:
        return readers[spec.type]
    return _number(spec)


def _socket_only(spec: InputSpec) -> Reader:
    def read(value: Any) -> Any:
        if spec.type == "*" and value is not None:
            return value
        return Bad(
            "wrong_type",
            f"needs a link from an output of type {spec.type}, and has the literal {quoted(value)}",
            {"expected": spec.type},
        )

    return read


def _wrong(expected: str, value: Any) -> Bad:
    return Bad("wrong_type", f"takes {expected}, and has {quoted(value)}", {"expected": expected})


def _boolean(value: Any) -> Any:
    return value if type(value) is bool else _wrong("true or false", value)


def _text(value: Any) -> Any:
    if type(value) is not str:
        return _wrong("a text", value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            return Bad("wrong_type", f"holds half a character at position {error.start}; type it again", {})
    return value


def _number(spec: InputSpec) -> Reader:
    low, high, whole = spec.min, spec.max, spec.type == "INT"
    step = spec.step if spec.multiple else None

    def read(value: Any) -> Any:
        kind = cast("type[Any]", type(value))
        if whole:
            if kind is float and value.is_integer():
                value = int(value)
            elif kind is not int:
                return _wrong("a whole number", value)
        elif kind is float:
            if not math.isfinite(value):
                return Bad("not_finite", f"is {value}; write a finite number", {})
        elif kind is int:
            try:
                value = float(value)
            except OverflowError:
                return Bad("not_finite", "is too large for a number with a fraction", {})
        else:
            return _wrong("a number", value)
        if low is not None and value < low:
            return Bad("below_min", f"is {value}, and must be at least {low}", {"min": low, "value": value})
        if high is not None and value > high:
            return Bad("above_max", f"is {value}, and must be at most {high}", {"max": high, "value": value})
        if step and value % step:
            below, above = value // step * step, (value // step + 1) * step
            told = f"is {value}, which is no multiple of {step}; use {below} or {above}"
            return Bad("not_a_multiple", told, {"step": step, "value": value})
        return value

    return read


def _choice(spec: InputSpec, nearest: NearestNames) -> Reader:
    choices = spec.choices or ()
    known = frozenset(choices)

    def read(value: Any) -> Any:
        if type(value) is str and value in known:
            return value
        names = nearest(value, choices) if type(value) is str else []
        listed = ", ".join(repr(each) for each in choices[:SHOWN_CHOICES])
        more = f" and {len(choices) - SHOWN_CHOICES} more" if len(choices) > SHOWN_CHOICES else ""
        hint = nearest_are(names) or f"; choose one of {listed}{more}"
        return Bad(
            "not_a_choice", f"has no choice {quoted(value)}{hint}", {"nearest": names, "choices": list(choices[:100])}
        )

    return read


def _file(spec: InputSpec, files: FileCatalogue, nearest: NearestNames) -> Reader:
    kind, endings = spec.model_kind or INPUT_KIND, spec.endings
    remedy = "upload it, or choose another" if spec.model_kind is None else "put it there, or choose another"

    def read(value: Any) -> Any:
        if type(value) is not str or not value:
            return _wrong("the name of a file", value)
        if endings is not None and not has_ending(annotated(value)[1], endings):
            return _wrong(f"a file whose name ends in {' or '.join(endings)}", value)
        if files.has(kind, value):
            return value
        known = files.names(kind)
        names = nearest(value, known if endings is None else [name for name in known if has_ending(name, endings)])
        hint = nearest_are(names) or f"; {remedy}"
        where = in_words(annotated(value)[0]) if spec.model_kind is None else f"models/{kind}"
        return Bad(
            "missing_file",
            f"names {quoted(value)}, which is not in {where}{hint}",
            {"kind": kind, "name": value[:200], "nearest": names},
        )

    return read
