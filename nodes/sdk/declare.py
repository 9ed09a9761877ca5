"""The `@node` decorator: reads a function's signature once, at import, and attaches the frozen `NodeSpec`.

The function itself is returned unchanged, so a unit test calls it like any other. A declaration that can't work is
refused here with a sentence that says what to write instead, rather than when somebody runs the graph.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from nodes.sdk.context import Context
from nodes.sdk.fields import Keys
from nodes.sdk.inputs import DeclarationError, read_input, strip_annotated, strip_list
from nodes.sdk.spec import InputSpec, NodeSpec, OutputSpec
from nodes.sdk.types import socket_type

__all__ = ["DeclarationError", "NodeDefinition", "definition_of", "node", "read_signature"]

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)

SPEC_ATTRIBUTE = "__node_spec__"


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
            inputs += _keyed(name, where, hint)
            continue
        if hint is Context:
            if context is not None:
                raise DeclarationError(f"{where}: a node takes one Context, and {context!r} already is it")
            context = parameter.name
            continue
        inputs.append(read_input(where, parameter.name, parameter.default, hint))
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


def _keyed(name: str, where: str, hint: object) -> list[InputSpec]:
    """The inputs of a `**` parameter: one for each of its keys."""
    inner, fields = strip_annotated(where, hint)
    keys = next((each for each in fields if isinstance(each, Keys)), None)
    if keys is None:
        raise DeclarationError(f"{where}: write every input as a plain named parameter, or `**` with Keys(...)")
    others = tuple(each for each in fields if each is not keys)
    each_hint: Any = typing.Annotated[(inner, *others)] if others else inner
    if keys.labels and len(keys.labels) != len(keys.names):
        raise DeclarationError(f"{where}: Keys has {len(keys.names)} names and {len(keys.labels)} labels")
    labels = keys.labels or (None,) * len(keys.names)
    return [
        replace(read_input(f"{name}({key})", key, keys.default, each_hint), label=label)
        for key, label in zip(keys.names, labels, strict=True)
    ]


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
    hint, _ = strip_annotated(where, hint)
    hint, many = strip_list(hint)
    type_id = socket_type(hint)
    if type_id is None:
        raise DeclarationError(
            f"{where}: it can't return {hint!r}; return a socket type, or a NamedTuple of socket types"
        )
    shown = type_id if field is None or re.sub(r"\W|_", "", field).upper() == type_id else field
    return OutputSpec(shown, type_id, many)
