"""What an engine and its worker say to each other: frozen values, pickled between our own two processes only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executor.events import JobEvent
from executor.folders import Folders
from executor.run import JobRequest
from nodes.sdk.packs import PackReport


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Everything a worker needs to know at its start; `Settings` has the defaults. Sizes are bytes.

    `resources` names the factory of the heavy things (`executor.context.ResourceFactory`) as `module:function`; the
    budgets are the weights to keep on a GPU and in the machine's memory (None: for it to choose); `warm_up` lists
    modules to import in the background once the catalogue was sent; `value_modules` lists the modules whose frozen
    dataclasses may lie in the disk cache; `built_in` is whether the built-in packs are loaded.
    """

    folders: Folders
    models_dir: Path
    custom_nodes_dir: Path | None
    device: str
    precision: str
    vram_budget: int | None
    ram_budget: int | None
    compile: bool
    cache_memory: int
    cache_disk: int
    resources: str
    warm_up: tuple[str, ...]
    value_modules: tuple[str, ...]
    log_level: str
    built_in: bool = True


@dataclass(frozen=True, slots=True)
class RunJob:
    """Run a job; its events follow, and the last is a `JobEnd`."""

    request: JobRequest


@dataclass(frozen=True, slots=True)
class CancelJob:
    """Cancel a job, running or about to."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Exit."""


Command = WorkerConfig | RunJob | CancelJob | Stop


@dataclass(frozen=True, slots=True)
class Ready:
    """The packs are imported: the catalogue as JSON, and a report for each pack."""

    catalogue: list[dict[str, Any]]
    packs: tuple[PackReport, ...]


@dataclass(frozen=True, slots=True)
class DeviceKnown:
    """The device and precision that `auto` stood for."""

    device_class: str


@dataclass(frozen=True, slots=True)
class Events:
    """Events of a job, in order."""

    job_id: str
    events: tuple[JobEvent, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker can't start, for this reason."""

    message: str


Reply = Ready | DeviceKnown | Events | Broken
