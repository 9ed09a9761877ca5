"""What a worker process lends to its jobs: the model library at once, the loaded models when first asked for.

Importing this loads no torch, and neither does `create`: a worker lists its nodes before it loads anything heavy.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from diffusion.library import ModelLibrary

if TYPE_CHECKING:
    from diffusion.residency import Residency


class WorkerResources:
    """The models of one worker. Names of device and precision are as on the command line."""

    def __init__(
        self,
        models_dir: Path,
        device: str,
        precision: str,
        vram_budget: int | None,
        ram_budget: int | None,
        compile: bool,
    ) -> None:
        self.library = ModelLibrary(models_dir)
        self._device = device
        self._precision = precision
        self._vram_budget = vram_budget
        self._ram_budget = ram_budget
        self._compile = compile
        self._residency: Residency | None = None
        self._making = threading.Lock()

    @property
    def residency(self) -> Residency:
        """The loaded models; the first use loads torch and chooses the device, from whichever thread comes first.
        Raises BadDevice."""
        with self._making:
            if self._residency is None:
                from diffusion.compiling import gpu_compiler
                from diffusion.residency import Residency

                self._residency = Residency(
                    self.library,
                    self._device,
                    self._precision,
                    vram_budget=self._vram_budget,
                    ram_budget=self._ram_budget,
                    compiler=gpu_compiler if self._compile else None,
                )
            return self._residency

    @property
    def device_class(self) -> str:
        """What of device and precision shows in results, for cache keys: `cpu/fp32`, `cuda/fp16` …"""
        label = self.residency.placement.label
        return f"{label}/compiled" if self._compile else label

    def free(self) -> None:
        """Let go of every loaded model."""
        if self._residency is not None:
            self._residency.free()


def create(
    models_dir: Path,
    device: str = "auto",
    precision: str = "auto",
    vram_budget: int | None = None,
    ram_budget: int | None = None,
    compile: bool = False,
) -> WorkerResources:
    """The resources of a worker with these folders and choices; the budgets are those of `Residency`. With `compile`,
    U-Nets are compiled in the background.

    Sets OMP_WAIT_POLICY, unless it is set, before torch starts its threads: threads that spin while they wait fight
    with whatever else wants the processor (on two cores beside one busy process, a pass of the embedded model took
    0.2 to 4 s spinning and 0.045 s asleep).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return WorkerResources(models_dir, device, precision, vram_budget, ram_budget, compile)
