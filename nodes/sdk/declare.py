"""The `@node` decorator: reads a function's signature once, at import, and attaches the frozen `NodeSpec`.

The function itself is returned unchanged, so a unit test calls it like any other. A declaration that can't work is
refused here with a sentence that says what to write instead, rather than when somebody runs the graph.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from nodes.sdk.context import Context
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
from nodes.sdk.spec import InputSpec, NodeSpec, OutputSpec
from nodes.sdk.types import socket_type

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)

SPEC_ATTRIBUTE = "__node_spec__"
SEED_MAX = 2**64 - 1
NUMBERS = ("INT", "FLOAT")


class DeclarationError(TypeError):
    """A node function that can't be a node as it is written."""


@dataclass(frozen=True, slots=True)
class NodeDefinition:
    """A node's description together with the function that does its work."""

    spec: NodeSpec
    function: Function


def node(
    *,
    title: str,
    category: str,
    aliases: tuple[str, ...] = (),
    output: bool = False,
    version: int = 1,
    pure: bool = True,
) -> Callable[[F], F]:
    """Declare a function as a node.

    Args:
        title: the name shown on the node.
        category: where the palette lists it, `/` between levels.
        aliases: other names under which workflow files know the node.
        output: whether a run is done for this node's sake (it saves or shows something).
        version: raised whenever what the node computes changes, so that old cache entries no longer match.
        pure: whether equal inputs give equal outputs; an impure node runs in every job.

    Raises:
        DeclarationError: the signature can't be turned into inputs and outputs.
    """

    def declare(function: F) -> F:
        setattr(
            function,
            SPEC_ATTRIBUTE,
            read_signature(function, title, category, aliases, output=output, version=version, pure=pure),
        )
        return function

    return declare


def definition_of(value: object) -> NodeDefinition | None:
    """The definition attached to a decorated function, or None for anything else."""
    spec = getattr(value, SPEC_ATTRIBUTE, None) if inspect.isfunction(value) else None
    return NodeDefinition(spec, typing.cast("Function", value)) if isinstance(spec, NodeSpec) else None


def read_signature(
    function: Function,
    title: str,
    category: str,
    aliases: tuple[str, ...],
    *,
    output: bool,
    version: int,
    pure: bool,
) -> NodeSpec:
    """Build the spec of a function from its parameters, return annotation and docstring."""
    name = function.__name__
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise DeclarationError(
            f"{name}: an annotation can't be resolved ({error}); import the type at the top of the module, "
            "not under TYPE_CHECKING"
        ) from error
    inputs: list[InputSpec] = []
    context: str | None = None
    for parameter in inspect.signature(function).parameters.values():
        where = f"{name}({parameter.name})"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise DeclarationError(f"{where}: write every input as a plain named parameter, not *")
        if parameter.name not in hints:
            raise DeclarationError(f"{where}: annotate the input, for example `{parameter.name}: int = 0`")
        hint = hints[parameter.name]
        if parameter.kind is parameter.VAR_KEYWORD:
            keys = next((each for each in _strip_annotated(where, hint)[1] if isinstance(each, Keys)), None)
            if keys is None:
                raise DeclarationError(f"{where}: write every input as a plain named parameter, or `**` with Keys(...)")
            labels = keys.labels or (None,) * len(keys.names)
            for key, label in zip(keys.names, labels, strict=True):
                inputs.append(replace(_input(f"{name}({key})", key, keys.default, hint), label=label))
            continue
        if hint is Context:
            if context is not None:
                raise DeclarationError(f"{where}: a node takes one Context, and {context!r} already is it")
            context = parameter.name
            continue
        inputs.append(_input(where, parameter.name, parameter.default, hint))
    return NodeSpec(
        id=name,
        title=title,
        category=category,
        description=inspect.cleandoc(function.__doc__ or ""),
        aliases=aliases,
        version=version,
        output=output,
        pure=pure,
        inputs=tuple(inputs),
        outputs=_outputs(name, hints.get("return", inspect.Parameter.empty)),
        context=context,
    )


def _input(where: str, name: str, given: Any, hint: object) -> InputSpec:
    hint, fields = _strip_annotated(where, hint)
    hint, optional = _strip_optional(where, hint)
    has_default = given is not inspect.Parameter.empty
    default: Any = given if has_default else None
    if optional and not (has_default and default is None):
        raise DeclarationError(f"{where}: an optional input needs the default None")

    hint, many = _strip_list(hint)
    found: dict[type, Field] = {type(each): each for each in fields}
    choices: tuple[str, ...] | None = None
    if typing.get_origin(hint) is typing.Literal:
        choices = tuple(str(each) for each in typing.get_args(hint))
        type_id = "COMBO"
    else:
        type_id = socket_type(hint)
    if type_id is None:
        raise DeclarationError(
            f"{where}: {hint!r} is no socket type; use int, float, str, bool, Literal[...], Image, Mask, "
            "or a class with a `type_id`"
        )
    limits = found.get(Range)
    widget: str | None = None
    model_kind: str | None = None
    endings: tuple[str, ...] | None = None
    if isinstance(limits, Range) and type_id not in NUMBERS:
        raise DeclarationError(f"{where}: Range is for int and float, and this is {type_id}")
    for marker in (Choices, ModelFile, InputImage, InputFile, Multiline, Mentions):
        if marker in found and type_id != "STRING":
            raise DeclarationError(f"{where}: {marker.__name__} is for str, and this is {type_id}")

    if type_id in NUMBERS:
        widget = "slider" if isinstance(limits, Range) and limits.slider else "number"
        if Seed in found:
            widget, limits = "seed", Range(0, SEED_MAX)
    elif type_id == "BOOLEAN":
        widget = "toggle"
    elif type_id == "STRING":
        widget = "multiline" if Multiline in found else "text"
        picked = found.get(Choices)
        if isinstance(picked, Choices):
            choices, type_id = picked.values, "COMBO"
        model = found.get(ModelFile)
        if isinstance(model, ModelFile):
            type_id, widget, model_kind = "COMBO", "model", model.kind
        if InputImage in found:
            type_id, widget = "COMBO", "image"
        other = found.get(InputFile)
        if isinstance(other, InputFile):
            type_id, widget, endings = "COMBO", "model", other.endings
    if choices is not None:
        widget = "choice"
        if not choices:
            raise DeclarationError(f"{where}: give at least one choice")
        if not has_default:
            default = choices[0]
        elif default is not None and default not in choices:
            raise DeclarationError(f"{where}: the default {default!r} is not among the choices")
    if isinstance(limits, Range) and default is not None and not limits.min <= default <= limits.max:
        raise DeclarationError(f"{where}: the default {default} is outside {limits.min} to {limits.max}")
    if many and widget is not None:
        raise DeclarationError(f"{where}: a list can only come by a link, so its items can't be {type_id}")
    if widget is None and default is not None:
        raise DeclarationError(f"{where}: an input that only a link fills has no default but None")

    label = found.get(Label)
    text = found.get(Help)
    mentions = found.get(Mentions)
    return InputSpec(
        name=name,
        type=type_id,
        required=not optional,
        default=default,
        min=limits.min if isinstance(limits, Range) else None,
        max=limits.max if isinstance(limits, Range) else None,
        step=limits.step if isinstance(limits, Range) else None,
        multiple=isinstance(limits, Range) and limits.multiple,
        choices=choices,
        widget=widget,
        label=label.text if isinstance(label, Label) else None,
        help=text.text if isinstance(text, Help) else "",
        model_kind=model_kind,
        mentions=mentions.kind if isinstance(mentions, Mentions) else None,
        advanced=Advanced in found,
        endings=endings,
        many=many,
    )


def _strip_annotated(where: str, hint: object) -> tuple[object, tuple[Field, ...]]:
    if typing.get_origin(hint) is not typing.Annotated:
        return hint, ()
    inner, *fields = typing.get_args(hint)
    for each in fields:
        if not isinstance(each, Field):
            raise DeclarationError(f"{where}: {each!r} is no input annotation; write it as an instance, `Help('…')`")
    return inner, tuple(fields)


def _strip_list(hint: object) -> tuple[object, bool]:
    """`list[X]` as X: an input that takes a whole series of values, or an output that gives one."""
    return (typing.get_args(hint)[0], True) if typing.get_origin(hint) is list else (hint, False)


def _strip_optional(where: str, hint: object) -> tuple[object, bool]:
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, False
    members = [each for each in typing.get_args(hint) if each is not type(None)]
    if len(members) != 1 or len(typing.get_args(hint)) != 2:
        raise DeclarationError(f"{where}: the only union an input may have is `X | None`")
    return members[0], True


def _outputs(name: str, hint: object) -> tuple[OutputSpec, ...]:
    if hint is inspect.Parameter.empty:
        raise DeclarationError(f"{name}: annotate what it returns, `-> None` when it returns nothing")
    if hint is None or hint is type(None):
        return ()
    fields = typing.cast("tuple[str, ...] | None", getattr(hint, "_fields", None))
    if fields is None:
        return (_output(name, None, hint),)
    hints = typing.get_type_hints(hint, include_extras=True)
    return tuple(_output(name, each, hints[each]) for each in fields)


def _output(where: str, field: str | None, hint: object) -> OutputSpec:
    hint, _ = _strip_annotated(where, hint)
    hint, many = _strip_list(hint)
    type_id = socket_type(hint)
    if type_id is None:
        raise DeclarationError(
            f"{where}: it can't return {hint!r}; return a socket type, or a NamedTuple of socket types"
        )
    shown = type_id if field is None or re.sub(r"\W|_", "", field).upper() == type_id else field
    return OutputSpec(shown, type_id, many)
