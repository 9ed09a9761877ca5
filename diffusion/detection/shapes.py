"""Questions to the names and shapes of a file, answered or refused in words."""

from __future__ import annotations

from collections.abc import Mapping

from diffusion.errors import BadConfig, UnsupportedArchitecture
from diffusion.sidecar import Sidecar

ShapeMap = Mapping[str, tuple[int, ...]]


class Shapes:
    """The names and shapes of a file's tensors. `name` is what messages call the file, `side` what its config adds."""

    def __init__(self, shapes: ShapeMap, side: Sidecar, name: str) -> None:
        self.shapes = shapes
        self.side = side
        self.name = name

    def has(self, name: str) -> bool:
        return name in self.shapes

    def starts(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self.shapes)

    def count(self, prefix: str) -> int:
        """How many different numbers follow the prefix among the names; they must count up from 0."""
        places = (name[len(prefix) :].partition(".")[0] for name in self.shapes if name.startswith(prefix))
        found = {place for place in places if place.isdecimal()}
        if found != {str(index) for index in range(len(found))}:
            raise self.unsupported(f"the numbers after {prefix} have gaps")
        return len(found)

    def shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        shape = self.shapes.get(name)
        if shape is None:
            raise self.unsupported(f"it lacks {name}")
        if len(shape) != dimensions:
            raise self.unsupported(f"{name} has the shape {list(shape)}")
        return shape

    def groups(self, channels: list[int], given: int | None, part: str) -> int:
        groups = given or 32
        if any(width % groups for width in channels):
            raise self.unsupported(
                f"the widths of its {part} {channels} are not multiples of {groups} norm groups",
                "Give `norm_num_groups` in a .yaml beside it.",
            )
        return groups

    def agree(self, what: str, given: int | None, found: int) -> None:
        if given is not None and given != found:
            raise BadConfig(
                f"{self.side.name} says `{what}` is {given}, and in {self.name} it is {found}.",
                hint="The config belongs to another checkpoint: correct or remove it.",
            )

    def unsupported(self, what: str, hint: str | None = None) -> UnsupportedArchitecture:
        return UnsupportedArchitecture(f"{self.name} cannot be loaded: {what}.", hint=hint)
