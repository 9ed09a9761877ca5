"""Hooks that live as long as one forward pass, so that a network shared by many runs is never left changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from diffusion.model_patches.layout import OutputBlock

Arguments = tuple[Any, ...]
Before = Callable[[nn.Module, Arguments, dict[str, Any]], tuple[Arguments, dict[str, Any]] | None]
"""Given a module and its arguments, returns others, or None for the same."""
After = Callable[[nn.Module, Arguments, dict[str, Any], Any], Any]
"""Given a module, its arguments and its result, returns another result, or None for the same."""


@contextmanager
def hooked(
    before: Sequence[tuple[nn.Module, Before]] = (),
    after: Sequence[tuple[nn.Module, After]] = (),
    *,
    ahead: bool = False,
) -> Iterator[None]:
    """Hooks in place until the block ends; with `ahead` each comes before those that its module has."""
    with ExitStack() as stack:
        for module, call in before:
            stack.enter_context(module.register_forward_pre_hook(call, prepend=ahead, with_kwargs=True))
        for module, call in after:
            stack.enter_context(module.register_forward_hook(call, prepend=ahead, with_kwargs=True))
        yield


def first_input(args: Arguments, kwargs: Mapping[str, Any], name: str = "hidden_states") -> Tensor:
    """The first argument of a module, however it was given."""
    return args[0] if args else kwargs[name]


def with_first(args: Arguments, kwargs: dict[str, Any], value: Tensor) -> tuple[Arguments, dict[str, Any]]:
    """The same arguments with another first one."""
    if args:
        return (value, *args[1:]), kwargs
    return args, {**kwargs, "hidden_states": value}


def changing_input(change: Callable[[Tensor], Tensor | None]) -> Before:
    """A hook that changes the hidden state a module reads; None leaves it."""

    def before(_module: nn.Module, args: Arguments, kwargs: dict[str, Any]) -> tuple[Arguments, dict[str, Any]] | None:
        name = "input_tensor" if "input_tensor" in kwargs else "hidden_states"
        value = change(first_input(args, kwargs, name))
        if value is None:
            return None
        return with_first(args, kwargs, value) if args else (args, {**kwargs, name: value})

    return before


def changing_output(change: Callable[[Tensor], Tensor | None]) -> After:
    """A hook that changes the hidden state in what a module gives: a tensor, or a tuple that begins with one; None
    leaves it."""

    def after(_module: nn.Module, args: Arguments, kwargs: dict[str, Any], output: Any) -> Any:
        del args, kwargs
        value = change(output[0] if isinstance(output, tuple) else output)
        if value is None:
            return None
        return (value, *output[1:]) if isinstance(output, tuple) else value

    return after


def before_skips(
    blocks: Sequence[OutputBlock], change: Callable[[int, Tensor], Tensor | None]
) -> tuple[list[tuple[nn.Module, Before]], list[tuple[nn.Module, After]]]:
    """Hooks that change the hidden state before each output block joins its skip to it; `change` is told the block's
    number."""
    before: list[tuple[nn.Module, Before]] = []
    after: list[tuple[nn.Module, After]] = []
    for number, block in enumerate(blocks):
        call = partial(change, number)
        if block.stage is not None:
            before.append((block.stage, changing_input(call)))
        else:
            after.append((blocks[number - 1].last, changing_output(call)))
    return before, after
