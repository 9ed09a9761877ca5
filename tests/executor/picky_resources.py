"""Resources of a worker that starts on one device only, as on a machine with a broken card."""

from __future__ import annotations

from pathlib import Path

from executor.bare import BareResources


def create(_models_dir: Path, *, device: str, **_options: object) -> BareResources:
    if device != "cpu":
        raise RuntimeError(f"picky resources: not on {device}")
    return BareResources()
