"""Resources of a worker that starts on one device only, as on a machine with a broken card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from executor.bare import BareResources


def create(_models_dir: Path, device: str, *_: Any) -> BareResources:
    if device != "cpu":
        raise RuntimeError(f"picky resources: not on {device}")
    return BareResources()
