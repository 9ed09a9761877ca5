"""What the handlers work with, handed to the application once at its start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiohttp import web

from executor.folders import Folders
from executor.jobs import JobService
from executor.settings import Settings

VERSION = "0.1.0"


class ModelEntry(Protocol):
    """A file below `models/<kind>/`."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def modified(self) -> float: ...


class Models(Protocol):
    """The model folders, as far as the catalogue needs them."""

    def kinds(self) -> Sequence[str]: ...

    def list(self, kind: str) -> Sequence[ModelEntry]: ...


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a handler may use."""

    settings: Settings
    jobs: JobService
    models: Models
    folders: Folders
    workflows_dir: Path
    web_dir: Path


SERVICES = web.AppKey("services", Services)


def services(request: web.Request) -> Services:
    """The services of the application that a request came to."""
    return request.config_dict[SERVICES]
