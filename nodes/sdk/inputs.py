"""Turns a parameter of a node function into the description of an input, or says what to write instead.

Whatever could not work is refused here, at the import of the pack, rather than when somebody runs a graph: limits that
hold nothing, a default that the input itself would refuse, annotations that contradict each other.
"""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

from nodes.sdk.fields import (
    Advanced,
    Choices,
    Field,
    Help,
    InputFile,
    InputImage,
    Keys,
    Label,
    Mentions,
    ModelFile,
    Multiline,
    Range,
    Seed,
)
from nodes.sdk.spec import InputSpec
from nodes.sdk.types import socket_type

SEED_MAX = 2**64 - 1
PICKS = (Choices, ModelFile, InputImage, InputFile)
FOR_TYPES: Mapping[type, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        Range: (("INT", "FLOAT"), "int and float"),
        Seed: (("INT",), "int"),
        **dict.fromkeys((*PICKS, Multiline, Mentions), (("STRING",), "str")),
    }
)
DEFAULTS: Mapping[str, tuple[tuple[type, ...], str]] = MappingProxyType(
    {
        "INT": ((int,), "a whole number"),
        "FLOAT": ((int, float), "a number"),
        "BOOLEAN": ((bool,), "True or False"),
        "STRING": ((str,), "a text"),
    }
)

F = TypeVar("F")


class DeclarationError(TypeError):
    """A node function that can't be a node as it is written."""


@dataclass(frozen=True, slots=True)
class _Parameter:
    """What a parameter says of its input. `default` is None where there is none, or where None is written."""

    where: str
    type: str
    literals: tuple[Any, ...] | None
    given: bool
    default: Any
    many: bool
    fields: tuple[Field, ...]

    def field(self, kind: type[F]) -> F | None:
        return next((each for each in self.fields if isinstance(each, kind)), None)

    def refuse(self, message: str) -> typing.NoReturn:
        raise DeclarationError(f"{self.where}: {message}")


def read_input(where: str, name: str, default: Any, hint: object) -> InputSpec:
    """The input that a parameter declares.

    Args:
        where: names the parameter in errors.
        name: of the input.
        default: of the parameter; `Parameter.empty` when it has none.
        hint: its annotation.

    Raises:
        DeclarationError: it can't be an input as it is written.
    """
    parameter, optional = _parameter(where, default, hint)
    label, text = parameter.field(Label), parameter.field(Help)
    return replace(
        _shape(parameter, name),
        required=not optional,
        label=label.text if label is not None else None,
        help=text.text if text is not None else "",
        advanced=parameter.field(Advanced) is not None,
        many=parameter.many,
    )


def strip_annotated(where: str, hint: object) -> tuple[object, tuple[Field, ...]]:
    """`Annotated[X, …]` as X and what is beside it."""
    if typing.get_origin(hint) is not typing.Annotated:
        return hint, ()
    inner, *fields = typing.get_args(hint)
    for each in fields:
        if not isinstance(each, Field):
            raise DeclarationError(f"{where}: {each!r} is no input annotation; write it as an instance, `Help('…')`")
    return inner, tuple(fields)


def strip_list(hint: object) -> tuple[object, bool]:
    """`list[X]` as X: an input that takes a whole series of values, or an output that gives one."""
    return (typing.get_args(hint)[0], True) if typing.get_origin(hint) is list else (hint, False)


def _strip_optional(where: str, hint: object) -> tuple[object, bool]:
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, False
    members = [each for each in typing.get_args(hint) if each is not type(None)]
    if len(members) != 1 or len(typing.get_args(hint)) != 2:
        raise DeclarationError(f"{where}: the only union an input may have is `X | None`")
    return members[0], True


def _parameter(where: str, default: Any, hint: object) -> tuple[_Parameter, bool]:
    """A parameter, and whether its input is optional; what holds for every kind of input is checked here."""
    hint, fields = strip_annotated(where, hint)
    hint, optional = _strip_optional(where, hint)
    given = default is not inspect.Parameter.empty
    if optional and not (given and default is None):
        raise DeclarationError(f"{where}: an optional input needs the default None")
    hint, many = strip_list(hint)
    literals = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else None
    type_id = "COMBO" if literals is not None else socket_type(hint)
    if type_id is None:
        raise DeclarationError(
            f"{where}: {hint!r} is no socket type; use int, float, str, bool, Literal[...], Image, Mask, "
            "or a class with a `type_id`"
        )
    found = _Parameter(where, type_id, literals, given, default if given else None, many, fields)
    kinds: list[type] = [type(each) for each in fields]
    for kind in kinds:
        if kinds.count(kind) > 1:
            found.refuse(f"write {kind.__name__} once")
        wanted, words = FOR_TYPES.get(kind, ((type_id,), ""))
        if type_id not in wanted:
            found.refuse(f"{kind.__name__} is for {words}, and this is {type_id}")
    if Keys in kinds:
        found.refuse("Keys is for a `**` parameter")
    if many and (type_id == "COMBO" or type_id in DEFAULTS):
        found.refuse(f"a list can only come by a link, so its items can't be {type_id}")
    if type_id in DEFAULTS and given and not (optional and default is None):
        _check_default(found)
    return found, optional


def _check_default(parameter: _Parameter) -> None:
    kinds, words = DEFAULTS[parameter.type]
    default = parameter.default
    if type(default) not in kinds:
        parameter.refuse(f"the default {default!r} is not {words}, as an input of the type {parameter.type} takes")
    if isinstance(default, float) and not math.isfinite(default):
        parameter.refuse(f"the default {default} is no finite number")


def _shape(parameter: _Parameter, name: str) -> InputSpec:
    """The input as far as it depends on its kind."""
    spec = InputSpec(name, parameter.type, default=parameter.default)
    if parameter.literals is not None:
        return _choice(parameter, spec, parameter.literals)
    match parameter.type:
        case "INT" | "FLOAT":
            return _number(parameter, spec)
        case "BOOLEAN":
            return replace(spec, widget="toggle")
        case "STRING":
            return _text(parameter, spec)
        case _:
            if parameter.default is not None:
                parameter.refuse("an input that only a link fills has no default but None")
            return spec


def _number(parameter: _Parameter, spec: InputSpec) -> InputSpec:
    limits, seed = parameter.field(Range), parameter.field(Seed)
    if limits is None and seed is None:
        return replace(spec, widget="number")
    if limits is None:
        limits = Range(0, SEED_MAX)
    elif seed is not None:
        parameter.refuse(f"a Seed goes from 0 to {SEED_MAX}; leave Range out, or leave Seed out")
    _check_range(parameter, limits)
    widget = "seed" if seed is not None else "slider" if limits.slider else "number"
    return replace(spec, widget=widget, min=limits.min, max=limits.max, step=limits.step, multiple=limits.multiple)


def _check_range(parameter: _Parameter, limits: Range) -> None:
    default, written = parameter.default, f"Range({limits.min}, {limits.max}, {limits.step})"
    if not limits.min <= limits.max:
        parameter.refuse(f"{written} holds no number; write the smaller limit first")
    if not limits.step > 0:
        parameter.refuse(f"{written} has a step of {limits.step}; write one above 0")
    if parameter.type == "INT" and not all(type(each) is int for each in (limits.min, limits.max, limits.step)):
        parameter.refuse(f"{written} is for an int; write whole numbers, without a point")
    if limits.multiple and parameter.type != "INT":
        parameter.refuse("`multiple` is for int, since fractions are seldom exact multiples")
    if default is None:
        return
    if not limits.min <= default <= limits.max:
        parameter.refuse(f"the default {default} is outside {limits.min} to {limits.max}")
    if limits.multiple and default % limits.step:
        parameter.refuse(f"the default {default} is no multiple of {limits.step}")


def _text(parameter: _Parameter, spec: InputSpec) -> InputSpec:
    picks = [each for each in parameter.fields if isinstance(each, PICKS)]
    multiline, mentions = parameter.field(Multiline), parameter.field(Mentions)
    exclusive = [*picks, *(each for each in (multiline, mentions) if picks and each is not None)]
    if len(exclusive) > 1:
        names = " and ".join(type(each).__name__ for each in exclusive)
        parameter.refuse(f"{names} exclude each other; keep one")
    match picks:
        case [Choices(values)]:
            return _choice(parameter, replace(spec, type="COMBO"), values)
        case [ModelFile(kind)]:
            return replace(spec, type="COMBO", widget="model", model_kind=kind)
        case [InputImage()]:
            return replace(spec, type="COMBO", widget="image")
        case [InputFile(endings)]:
            if not endings or not all(each.startswith(".") and each == each.lower() for each in endings):
                parameter.refuse(f'{endings!r} are no endings; write them with a dot, in small letters: (".txt",)')
            return replace(spec, type="COMBO", widget="model", endings=endings)
        case _:
            kind = None if mentions is None else mentions.kind
            return replace(spec, widget="text" if multiline is None else "multiline", mentions=kind)


def _choice(parameter: _Parameter, spec: InputSpec, choices: tuple[Any, ...]) -> InputSpec:
    if not choices:
        parameter.refuse("give at least one choice")
    if not all(type(each) is str for each in choices):
        parameter.refuse(f"the choices {choices!r} are not all texts; write them in quotes")
    default = parameter.default
    if default is not None and default not in choices:
        parameter.refuse(f"the default {default!r} is not among the choices")
    return replace(spec, widget="choice", choices=choices, default=default if parameter.given else choices[0])
