"""The settings that the server and the command line share: flags, environment variables, defaults."""

from __future__ import annotations

import argparse
import importlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn, cast

from executor.files import Library
from executor.folders import Folders
from executor.messages import WorkerConfig

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE_INPUTS = ROOT / "workflows" / "inputs"
APP = "latentgraph"
ENVIRONMENT = "LATENTGRAPH_"
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
LOG_LEVELS = ("debug", "info", "warning", "error")
DEVICE = re.compile(r"(auto|cpu|mps|cuda(:\d{1,3})?)(,cuda:\d{1,3})*")
SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", re.IGNORECASE)
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

# Named, not imported: the executor knows no diffusion, and a test names its own.
RESOURCES = "diffusion.worker_resources:create"
LIBRARY = "diffusion.library:ModelLibrary"
WARM_UP = ("torch",)
VALUE_MODULES = ("diffusion.values", "diffusion.model_options", "executor.series")


def default_data_dir() -> Path:
    """Where this system keeps a program's data."""
    import platformdirs

    return Path(platformdirs.user_data_dir(APP, appauthor=False))


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server or a command-line run is set up. Sizes are bytes."""

    data_dir: Path
    models_dir: Path = ROOT / "models"
    custom_nodes_dir: Path = ROOT / "custom_nodes"
    device: str = "auto"
    precision: str = "auto"
    vram_budget: int | None = None
    ram_budget: int | None = None
    compile: bool = False
    cache_memory: int = 2 << 30
    cache_disk: int = 8 << 30
    log_level: str = "info"
    host: str = "127.0.0.1"
    port: int = 8188
    no_browser: bool = False
    token: str | None = None
    resources: str = RESOURCES
    warm_up: tuple[str, ...] = WARM_UP

    @property
    def folders(self) -> Folders:
        """The folders of the data directory."""
        return Folders.below(self.data_dir)

    @property
    def database(self) -> Path:
        """The file that holds the jobs."""
        return self.data_dir / "latentgraph.sqlite3"

    def worker_config(self, folders: Folders | None = None) -> WorkerConfig:
        """What a worker is told; `folders` where they are not those of the data directory."""
        return WorkerConfig(
            folders=folders or self.folders,
            models_dir=self.models_dir,
            custom_nodes_dir=self.custom_nodes_dir,
            device=self.device,
            precision=self.precision,
            vram_budget=self.vram_budget,
            ram_budget=self.ram_budget,
            compile=self.compile,
            cache_memory=self.cache_memory,
            cache_disk=self.cache_disk,
            resources=self.resources,
            warm_up=self.warm_up,
            value_modules=VALUE_MODULES,
            log_level=self.log_level,
        )

    def library(self) -> Library:
        """The library of the models folder; importing it loads no torch."""
        return cast("Library", named(LIBRARY)(self.models_dir))

    @staticmethod
    def from_arguments(arguments: argparse.Namespace) -> Settings:
        """The settings that parsed flags stand for."""
        known = {each.name for each in fields(Settings)}
        given = {name: value for name, value in vars(arguments).items() if name in known and value is not None}
        given.setdefault("data_dir", default_data_dir())
        for name in ("data_dir", "models_dir", "custom_nodes_dir"):
            if name in given:
                given[name] = Path(given[name]).expanduser().absolute()
        return Settings(**given)


def named(path: str) -> Any:
    """What `module:name` stands for."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def size(text: str) -> int:
    """Bytes from `4GB`, `512MiB`, `1.5g` or `1000000`; a unit is a power of 1024."""
    match = SIZE.fullmatch(text)
    if match is None:
        _refuse(f"{text!r} is no size; write for example 512MB or 4GB")
    return int(float(match[1]) * UNITS[match[2].lower()])


def in_units(count: int) -> str:
    """Bytes as `size` reads them, in the largest unit of which they are a whole number."""
    for unit, factor in reversed(UNITS.items()):
        if count % factor == 0:
            return f"{count // factor}{unit.upper()}B"
    return str(count)


def device(text: str) -> str:
    """A device name: `auto`, `cpu`, `mps`, `cuda`, `cuda:1`, or several as `cuda:0,cuda:1`."""
    if DEVICE.fullmatch(text) is None:
        _refuse(f"{text!r} is no device; write auto, cpu, mps, cuda or cuda:N (several: cuda:0,cuda:1)")
    return text


def port(text: str) -> int:
    """A TCP port; 0 lets the system choose."""
    if not text.isdecimal() or int(text) > 65535:
        _refuse(f"{text!r} is no port; write a number from 0 to 65535")
    return int(text)


def one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            _refuse(f"{text!r} is not among {', '.join(choices)}")
        return text

    return read


def truth(text: str) -> bool:
    """A yes or no from an environment variable."""
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() not in ("", "0", "false", "no", "off"):
        _refuse(f"{text!r} is neither yes nor no; write 1 or 0")
    return False


def _refuse(message: str) -> NoReturn:
    raise argparse.ArgumentTypeError(message)


def add_run_options(parser: argparse.ArgumentParser, environ: Mapping[str, str] = os.environ) -> None:
    """The flags of everything that runs workflows. Each has an environment variable, which the flag overrides."""
    group = parser.add_argument_group("running workflows")
    option = _adder(group, environ)
    option("--data-dir", "DIR", str, "where jobs, inputs, outputs and caches are kept")
    option("--models-dir", "DIR", str, "the folder with checkpoints/, loras/, vae/ …")
    option("--custom-nodes-dir", "DIR", str, "the folder with node packs")
    option("--device", "{auto,cpu,cuda[:N],mps}", device, "where models run")
    option("--precision", "{auto,fp32,bf16,fp16}", one_of(*PRECISIONS), "what models compute in")
    option("--vram-budget", "SIZE", size, "memory of a GPU for the weights of models; 80 % of it unless given")
    option("--ram-budget", "SIZE", size, "memory for the weights of models; half of the machine's unless given")
    switch = _switch_adder(group, environ)
    switch("--compile", "compile models in the background, for a GPU; pictures get faster once that is done")
    option("--cache-memory", "SIZE", size, "memory for results that may be used again")
    option("--cache-disk", "SIZE", size, "disk for results that may be used again; 0 for none")
    option("--log-level", "{debug,info,warning,error}", one_of(*LOG_LEVELS), "how much is written to the terminal")
    # No flag: only tests and measurements put something else in the place of the models.
    parser.set_defaults(resources=environ.get(f"{ENVIRONMENT}RESOURCES"))


def add_server_options(parser: argparse.ArgumentParser, environ: Mapping[str, str] = os.environ) -> None:
    """The further flags of the server."""
    group = parser.add_argument_group("serving")
    option = _adder(group, environ)
    option("--host", "ADDRESS", str, "the address to listen on; any but loopback demands a token")
    option("--port", "PORT", port, "the port to listen on; 0 for any free one")
    option("--token", "TEXT", str, "what clients must present; made and printed when needed and not given")
    _switch_adder(group, environ)("--no-browser", "don't open the editor in a browser")


def _adder(group: Any, environ: Mapping[str, str]) -> Callable[[str, str, Callable[[str], Any], str], None]:
    defaults: dict[str, Any] = {each.name: each.default for each in fields(Settings)}
    defaults["data_dir"] = default_data_dir()

    def add(flag: str, metavar: str, read: Callable[[str], Any], text: str) -> None:
        variable = _variable(flag)
        default = defaults[flag.removeprefix("--").replace("-", "_")]
        shown = "" if default is None else f" (default: {in_units(default) if read is size else default})"
        group.add_argument(
            flag,
            metavar=metavar,
            type=read,
            default=_from_environment(variable, read, environ),
            help=f"{text}{shown} [{variable}]".replace("%", "%%"),
        )

    return add


def _switch_adder(group: Any, environ: Mapping[str, str]) -> Callable[[str, str], None]:
    def add(flag: str, text: str) -> None:
        variable = _variable(flag)
        default = _from_environment(variable, truth, environ)
        group.add_argument(flag, action="store_true", default=default, help=f"{text} [{variable}]")

    return add


def _variable(flag: str) -> str:
    return ENVIRONMENT + flag.removeprefix("--").replace("-", "_").upper()


def _from_environment(variable: str, read: Callable[[str], Any], environ: Mapping[str, str]) -> Any:
    value = environ.get(variable)
    if value is None:
        return None
    try:
        return read(value)
    except argparse.ArgumentTypeError as error:
        raise SystemExit(f"The environment variable {variable} is wrong: {error}.") from error
