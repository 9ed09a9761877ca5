"""From a document to a checked graph: the steps that the server, the worker and the command line share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from executor.check import Checked, check
from executor.collector import no_collection
from executor.files import FileCatalogue
from executor.formats.document import Document
from executor.formats.modes import resolve_modes
from executor.graph import Graph, parse
from executor.partial import without_broken_outputs
from executor.problems import InvalidWorkflow, Problem
from executor.sweep import lay_out
from nodes.sdk.spec import Catalogue


class Prepared(NamedTuple):
    """A graph without muted and bypassed nodes, and what the check of it found, its plots laid out. `origins` says of
    which node a node of the check is a copy. `targets` are the output nodes to run for; None when it is all of them."""

    graph: Graph
    checked: Checked
    origins: Mapping[str, str]
    targets: tuple[str, ...] | None


def prepare(
    document: Document, catalogue: Catalogue, files: FileCatalogue, targets: Iterable[str] | None = None
) -> Prepared:
    """Parse, resolve modes and check; every problem there is comes back in `checked.problems`, or in its warnings where
    a workflow of ComfyUI has outputs that can be run without it."""
    asked = None if targets is None else tuple(targets)
    with no_collection():
        graph, malformed = parse(document)
        graph, left_out = resolve_modes(graph, catalogue)
        swept = lay_out(graph, catalogue, files)
        checked = check(swept.graph, catalogue, files, asked, left_out)
        if document.from_comfyui and asked is None and not malformed and not swept.problems and checked.problems:
            checked = without_broken_outputs(swept.graph, checked)
            asked = None if checked.problems else tuple(checked.outputs)
    problems = malformed + swept.problems + _of_originals(checked.problems, swept.origins)
    told = [each for each in left_out.problems if each not in problems]
    warnings = [*document.notes, *told, *_of_originals(checked.warnings, swept.origins)]
    return Prepared(graph, checked._replace(problems=problems, warnings=warnings), swept.origins, asked)


def _of_originals(problems: list[Problem], origins: Mapping[str, str]) -> list[Problem]:
    """Problems with the nodes that the document has in place of their copies, each told once."""
    if not origins:
        return problems
    found: list[Problem] = []
    for problem in problems:
        original = origins.get(problem.node or "")
        if original is not None:
            message = problem.message.replace(repr(problem.node), repr(original))
            problem = replace(problem, node=original, message=message)
        if problem not in found:
            found.append(problem)
    return found


def prepare_or_refuse(
    document: Document, catalogue: Catalogue, files: FileCatalogue, targets: Iterable[str] | None = None
) -> Prepared:
    """Like `prepare`, for a workflow that is about to run.

    Raises:
        InvalidWorkflow: there are problems.
    """
    prepared = prepare(document, catalogue, files, targets)
    if prepared.checked.problems:
        raise InvalidWorkflow(prepared.checked.problems, prepared.checked.warnings)
    return prepared
