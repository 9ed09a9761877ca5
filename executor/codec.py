"""Turns results into JSON plus named tensors and back, for the disk cache.

What can be written: JSON values, bytes, tuples, mappings with text keys, tensors, and frozen dataclasses of the modules
the worker names. Anything else makes the result unwritable, which only means that it is computed again another day.
"""

from __future__ import annotations

import base64
import dataclasses
import importlib
from collections.abc import Iterable, Mapping
from typing import Any, cast

PLAIN = (bool, int, float, str, type(None))
MAX_DEPTH = 32


class Unwritable(TypeError):
    """A value that has no written form here."""


class Codec:
    """Writes and reads values.

    Args:
        modules: names of modules; the dataclasses defined in them can be written. They are imported when first needed.
    """

    def __init__(self, modules: Iterable[str]) -> None:
        self._modules = tuple(modules)
        self._classes: dict[str, type] | None = None

    def write(self, value: Any) -> tuple[Any, dict[str, Any]]:
        """JSON that stands for the value, and the tensors it refers to by name.

        Raises:
            Unwritable: a part of it can't be written.
        """
        tensors: dict[str, Any] = {}
        return self._write(value, tensors, MAX_DEPTH), tensors

    def read(self, written: Any, tensors: Mapping[str, Any]) -> Any:
        """The value that JSON and tensors stand for.

        Raises:
            Unwritable: the JSON is not one that `write` gives, or a class is no longer there.
        """
        if isinstance(written, PLAIN):
            return written
        if not isinstance(written, list) or not written:
            raise Unwritable("not a written value")
        kind, *parts = cast("list[Any]", written)
        try:
            match kind:
                case "tuple":
                    return tuple(self.read(each, tensors) for each in parts)
                case "list":
                    return [self.read(each, tensors) for each in parts]
                case "map":
                    return {name: self.read(each, tensors) for name, each in parts[0].items()}
                case "bytes":
                    return base64.b85decode(parts[0])
                case "tensor":
                    return tensors[parts[0]]
                case "object":
                    made = self._known()[parts[0]]
                    return made(**{name: self.read(each, tensors) for name, each in parts[1].items()})
                case _:
                    raise Unwritable(f"nothing is written as {kind!r}")
        except (KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
            raise Unwritable(f"{kind!r} can't be read: {error}") from error

    def _write(self, value: Any, tensors: dict[str, Any], depth: int) -> Any:
        if isinstance(value, PLAIN):
            return value
        if not depth:
            raise Unwritable("nested too deeply")
        if isinstance(value, bytes):
            return ["bytes", base64.b85encode(value).decode()]
        if isinstance(value, (tuple, list)):
            items = cast("tuple[Any, ...]", value)
            return [
                "tuple" if isinstance(value, tuple) else "list",
                *(self._write(x, tensors, depth - 1) for x in items),
            ]
        if isinstance(value, Mapping):
            members = cast("Mapping[Any, Any]", value)
            if not all(type(name) is str for name in members):
                raise Unwritable("a mapping with keys that are no texts")
            return ["map", {name: self._write(each, tensors, depth - 1) for name, each in members.items()}]
        if _is_tensor(value):
            name = f"t{len(tensors)}"
            tensors[name] = value
            return ["tensor", name]
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        if self._known().get(name) is not type(value):
            raise Unwritable(f"a value of type {name}")
        fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value) if each.init}
        return ["object", name, {key: self._write(each, tensors, depth - 1) for key, each in fields.items()}]

    def _known(self) -> dict[str, type]:
        if self._classes is None:
            self._classes = {
                f"{each.__module__}:{each.__qualname__}": each
                for module in self._modules
                for each in vars(importlib.import_module(module)).values()
                if isinstance(each, type) and dataclasses.is_dataclass(each) and each.__module__ == module
            }
        return self._classes


def _is_tensor(value: Any) -> bool:
    """Whether a value is a torch tensor, told without importing torch for values that can't be one."""
    return any(each.__module__ == "torch" and each.__name__ == "Tensor" for each in type(value).__mro__)
