"""Finds the node packs: the modules of `nodes/`, the folders of `custom_nodes/`, and installed entry points.

A pack that fails to import is reported by name, and the others work without it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import nodes
from nodes.sdk.declare import NodeDefinition, definition_of
from nodes.sdk.spec import Catalogue

ENTRY_POINTS = "latentgraph.nodes"
CUSTOM_PREFIX = "latentgraph_custom_nodes"


@dataclass(frozen=True, slots=True)
class PackReport:
    """Whether a pack was loaded; `error` holds a sentence and the traceback when it was not."""

    name: str
    ok: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Packs:
    """Every node that could be loaded, and a report for each pack."""

    nodes: Mapping[str, NodeDefinition]
    catalogue: Catalogue
    reports: tuple[PackReport, ...]


def load_packs(custom_dir: Path | None = None, *, built_in: bool = True) -> Packs:
    """Import every pack and collect its nodes.

    Args:
        custom_dir: folder whose modules and packages are packs; ignored when it isn't there.
        built_in: whether the packs of this program are loaded too.
    """
    found: dict[str, NodeDefinition] = {}
    claimed: dict[str, str] = {}
    reports: list[PackReport] = []
    for name, load in _sources(custom_dir, built_in):
        try:
            definitions = _definitions(name, load())
            _refuse_taken(definitions, claimed)
        except Exception as error:
            text = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
            reports.append(PackReport(name, ok=False, error=text))
            continue
        for definition in definitions:
            found[definition.spec.id] = definition
            for taken in (definition.spec.id, *definition.spec.aliases):
                claimed[taken] = name
        reports.append(PackReport(name, ok=True))
    return Packs(found, Catalogue(tuple(each.spec for each in found.values())), tuple(reports))


def _sources(custom_dir: Path | None, built_in: bool) -> Iterator[tuple[str, Callable[[], ModuleType]]]:
    if built_in:
        for each in sorted(pkgutil.iter_modules(nodes.__path__), key=lambda module: module.name):
            if each.name != "sdk":
                yield each.name, _importer(f"nodes.{each.name}")
    if custom_dir is not None and custom_dir.is_dir():
        for path in sorted(custom_dir.iterdir()):
            file = path / "__init__.py" if path.is_dir() else path
            if file.suffix == ".py" and file.is_file() and not path.name.startswith((".", "_")):
                yield path.stem, _file_importer(path.stem, file)
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        yield entry.name, entry.load


def _importer(module: str) -> Callable[[], ModuleType]:
    return lambda: importlib.import_module(module)


def _file_importer(name: str, file: Path) -> Callable[[], ModuleType]:
    def load() -> ModuleType:
        qualified = f"{CUSTOM_PREFIX}.{name}"
        folders = [str(file.parent)] if file.name == "__init__.py" else None
        spec = importlib.util.spec_from_file_location(qualified, file, submodule_search_locations=folders)
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} can't be imported as Python")
        module = importlib.util.module_from_spec(spec)
        sys.modules[qualified] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[qualified]
            raise
        return module

    return load


def _definitions(pack: str, module: ModuleType) -> list[NodeDefinition]:
    """The nodes written in a module or below it; those it merely imported belong to their own pack."""
    own = module.__name__
    result: list[NodeDefinition] = []
    for value in vars(module).values():
        definition = definition_of(value)
        if definition is None:
            continue
        home = definition.function.__module__
        if home == own or home.startswith(f"{own}."):
            result.append(NodeDefinition(replace(definition.spec, pack=pack), definition.function))
    return result


def _refuse_taken(definitions: list[NodeDefinition], claimed: Mapping[str, str]) -> None:
    names: set[str] = set()
    for definition in definitions:
        for name in (definition.spec.id, *definition.spec.aliases):
            if name in claimed:
                raise ValueError(f"the node name {name!r} is already taken by the pack {claimed[name]!r}")
            if name in names:
                raise ValueError(f"the node name {name!r} is used twice in this pack")
            names.add(name)
