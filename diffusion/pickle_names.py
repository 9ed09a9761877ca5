"""Names that old checkpoints mention beside their weights, mapped to stand-ins that can do nothing.

The first public Stable Diffusion files carry the state of the trainer that made them: callbacks of PyTorch Lightning
and NumPy scalars. The `weights_only` loader refuses names it does not know, so these few are given inert meanings.
"""

from __future__ import annotations

import _codecs
from collections.abc import Callable
from typing import Any

import numpy


class Inert:
    """Takes the place of a trainer's class: accepts any state and keeps none of it."""

    def __init__(self, *_: object, **__: object) -> None:
        return

    def __setstate__(self, state: object) -> None:
        return


_TRAINER = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
    "pytorch_lightning.utilities.enums.DistributedType",
    "pytorch_lightning.utilities.enums._StrategyType",
)


def inert_names() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """What to allow while loading: nothing here can touch files, processes or imports."""
    scalar: Callable[..., Any] = numpy._core.multiarray.scalar  # type: ignore[attr-defined]
    return [
        *((Inert, name) for name in _TRAINER),
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        numpy.dtype,
        numpy.dtypes.Float64DType,
        numpy.dtypes.Float32DType,
        numpy.dtypes.Int64DType,
        _codecs.encode,
    ]
