"""Training states on disk: written atomically, so that a killed run resumes from the last whole one."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    torch.save(dict(state), partial)
    partial.replace(path)


def load_state(path: Path) -> dict[str, Any] | None:
    """The state at `path`, or None where training has not begun."""
    if not path.exists():
        return None
    return torch.load(path, map_location="cpu", weights_only=True)


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Log:
    """One CSV line per report, so that the curve of a training can be drawn, and the same on the terminal."""

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self._path, self._columns = path, ("time", *columns)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="") as file:
                csv.writer(file).writerow(self._columns)

    def write(self, *values: float) -> None:
        row = (time.strftime("%Y-%m-%dT%H:%M:%S"), *(f"{v:.6g}" for v in values))
        with self._path.open("a", newline="") as file:
            csv.writer(file).writerow(row)
        print(*(f"{name}={value}" for name, value in zip(self._columns, row, strict=True)), flush=True)


class Average:
    """Exponential moving average of a module's floating-point parameters."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self.shadow = {k: v.detach().clone() for k, v in module.state_dict().items() if v.is_floating_point()}

    def update(self, module: nn.Module, step: int) -> None:
        """Early steps average over fewer, or the random start would linger."""
        keep = min(self._decay, (1 + step) / (10 + step))
        live = module.state_dict()
        with torch.no_grad():
            names = list(self.shadow)
            for name in names:
                self.shadow[name].lerp_(live[name], 1 - keep)

    def load(self, shadow: Mapping[str, torch.Tensor]) -> None:
        self.shadow = {k: v.clone() for k, v in shadow.items()}
