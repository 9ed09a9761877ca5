"""Socket types that have no class of their own, and the rule that turns an annotation into a socket type.

A socket type is named by the class attribute `type_id` of the annotated class, so a pack adds a type by writing a
class that has one. IMAGE and MASK values are plain tensors; the markers below stand for them in annotations, because
importing a pack must not import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from typing import Any as Any
    from typing import TypeAlias

    import torch

    Image: TypeAlias = torch.Tensor
    Mask: TypeAlias = torch.Tensor
else:

    class Image:
        """Pictures, float32 `[B, H, W, C]`, values 0 to 1, C is 3 or 4."""

        type_id: ClassVar[str] = "IMAGE"

    class Mask:
        """Masks, float32 `[B, H, W]`, values 0 to 1."""

        type_id: ClassVar[str] = "MASK"

    class Any:
        """A socket that takes every type."""

        type_id: ClassVar[str] = "*"


WIDGET_TYPES: dict[type, str] = {bool: "BOOLEAN", int: "INT", float: "FLOAT", str: "STRING"}


def socket_type(annotation: object) -> str | None:
    """The type id of an annotated class, or None when it does not name a socket type."""
    if isinstance(annotation, type) and annotation in WIDGET_TYPES:
        return WIDGET_TYPES[annotation]
    type_id = getattr(annotation, "type_id", None)
    return type_id if isinstance(type_id, str) and type_id else None


WIDENING: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"INT": ("FLOAT",), "STRING": ("COMBO",), "COMBO": ("STRING",)}
)
"""An output of a key's type may also feed an input of the types listed. The editor gets this table from the server."""


def connects(output_type: str, input_type: str) -> bool:
    """Whether an output of one type may feed an input of another: equal, `*` on either side, or as WIDENING says."""
    return output_type == input_type or "*" in (output_type, input_type) or input_type in WIDENING.get(output_type, ())
