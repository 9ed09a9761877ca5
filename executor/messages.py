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
    """Everything a worker needs to know at its start.

    `resources` names the factory of the heavy things as `module:function`, called with the models folder, device,
    precision, the bytes of weights to keep on a GPU and in the machine's memory (None: for it to choose), and whether
    to compile networks;
    `warm_up` lists modules to import in the background once the catalogue was sent; `value_modules` lists the modules
    whose frozen dataclasses may lie in the disk cache.
    """

    folders: Folders
    models_dir: Path
    custom_nodes_dir: Path | None = None
    device: str = "auto"
    precision: str = "auto"
    vram_budget: int | None = None
    ram_budget: int | None = None
    compile: bool = False
    cache_memory: int = 1 << 30
    cache_disk: int = 0
    resources: str = "executor.bare:create"
    warm_up: tuple[str, ...] = ()
    value_modules: tuple[str, ...] = ()
    built_in: bool = True
    log_level: str = "info"


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
