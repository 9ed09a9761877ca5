"""The rules by which batches of different sizes meet, the same for pictures, masks and latents."""

from __future__ import annotations

from torch import Tensor

from diffusion.errors import DiffusionError


class BadBatch(DiffusionError):
    """Two batches whose sizes do not go together."""

    default_code = "bad_batch"


def repeat_to(tensor: Tensor, count: int) -> Tensor:
    """The first `count` items of a batch, which starts over when it has fewer."""
    have = tensor.shape[0]
    if have < count:
        tensor = tensor.repeat(-(-count // have), *[1] * (tensor.ndim - 1))
    return tensor[:count]


def item_range(count: int, first: int, length: int) -> slice:
    """`length` items from item `first` on, moved back and shortened to what a batch of `count` has (at least one)."""
    first = min(first, count - 1)
    return slice(first, first + min(length, count - first))


def check_batches(first: int, second: int, *, input: str, may_grow: bool) -> None:
    """Refuse a second batch that is neither as large as the first nor a single item.

    With `may_grow` the first may be the single item instead. `input` is the input of the second batch.
    """
    if second in (1, first) or (may_grow and first == 1):
        return
    raise BadBatch(
        f"This batch has {second} {_items(second)} and the other has {first}.",
        hint="Make both the same size, or give a single one to be used for all.",
        input=input,
    )


def _items(count: int) -> str:
    return "item" if count == 1 else "items"
