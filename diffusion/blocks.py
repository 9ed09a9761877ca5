"""Divides a module into blocks: parts that are called one after another, each as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn

_PARTS = 24
"""A block holds at most about this part of the weights; small blocks need little memory to pass through."""


class Unfolded:
    """A module that is never called: whoever holds it calls its children in its place."""


def divide(module: nn.Module, sizes: Mapping[str, int]) -> Iterator[tuple[nn.Module, tuple[str, ...]]]:
    """The blocks of a module, and which of the weights in `sizes` (bytes by name) each holds."""
    most = max(1, sum(sizes.values()) // _PARTS)

    def walk(each: nn.Module, prefix: str) -> Iterator[tuple[nn.Module, tuple[str, ...]]]:
        names = tuple(prefix + name for name, _ in each.named_parameters() if prefix + name in sizes)
        if not names:
            return
        direct = any(True for _ in each.parameters(recurse=False))
        called = not isinstance(each, (nn.ModuleList, nn.ModuleDict, Unfolded)) and each is not module
        if direct or (called and sum(sizes[name] for name in names) <= most):
            yield each, names
        else:
            for name, child in each.named_children():
                yield from walk(child, f"{prefix}{name}.")

    yield from walk(module, "")
