"""The resources of a worker without models: for node packs that need none, for tests and for measurements."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from executor.files import ModelEntry
from nodes.sdk.errors import NodeError


class NoModels:
    """A library with nothing in it."""

    def list(self, _kind: str, /) -> Iterable[ModelEntry]:
        return ()

    def resolve(self, kind: str, name: str, /) -> Any:
        raise NodeError(f"There is no {kind} file {name!r}: this worker has no models.", code="missing_file")


class BareResources:
    """No device, no weights."""

    library = NoModels()
    device_class = "none"

    @property
    def residency(self) -> Any:
        raise NodeError("This worker has no device for models.", code="no_device")

    def free(self) -> None:
        """Nothing is held."""


def create(_models_dir: Path, **_options: object) -> BareResources:
    """A `ResourceFactory`: whatever is asked for, there are no models."""
    return BareResources()
