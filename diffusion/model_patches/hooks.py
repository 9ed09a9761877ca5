"""Hooks that live as long as one forward pass, so that a network shared by many runs is never left changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

Arguments = tuple[Any, ...]
Before = Callable[[nn.Module, Arguments, dict[str, Any]], tuple[Arguments, dict[str, Any]] | None]
"""Given a module and its arguments, returns others, or None for the same."""
After = Callable[[nn.Module, Arguments, dict[str, Any], Any], Any]
"""Given a module, its arguments and its result, returns another result, or None for the same."""


@contextmanager
def hooked(
    before: Sequence[tuple[nn.Module, Before]] = (), after: Sequence[tuple[nn.Module, After]] = ()
) -> Iterator[None]:
    """Hooks in place until the block ends."""
    with ExitStack() as stack:
        for module, call in before:
            stack.enter_context(module.register_forward_pre_hook(call, with_kwargs=True))
        for module, call in after:
            stack.enter_context(module.register_forward_hook(call, with_kwargs=True))
        yield


def first_input(args: Arguments, kwargs: Mapping[str, Any], name: str = "hidden_states") -> Tensor:
    """The first argument of a module, however it was given."""
    return args[0] if args else kwargs[name]


def with_first(args: Arguments, kwargs: dict[str, Any], value: Tensor) -> tuple[Arguments, dict[str, Any]]:
    """The same arguments with another first one."""
    if args:
        return (value, *args[1:]), kwargs
    return args, {**kwargs, "hidden_states": value}
