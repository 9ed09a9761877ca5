"""From a document to a checked graph: the steps that the server, the worker and the command line share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from executor.check import Checked, check
from executor.collector import no_collection
from executor.files import FileCatalogue
from executor.formats.document import Document
from executor.formats.modes import resolve_modes
from executor.graph import Graph, parse
from executor.problems import InvalidWorkflow
from nodes.sdk.spec import Catalogue


class Prepared(NamedTuple):
    """A graph without muted and bypassed nodes, and what its check found."""

    graph: Graph
    checked: Checked


def prepare(
    document: Document, catalogue: Catalogue, files: FileCatalogue, targets: Iterable[str] | None = None
) -> Prepared:
    """Parse, resolve modes and check; every problem there is comes back in `checked.problems`."""
    with no_collection():
        graph, malformed = parse(document)
        graph, left_out = resolve_modes(graph, catalogue)
        checked = check(graph, catalogue, files, targets)
    return Prepared(
        graph, checked._replace(problems=malformed + checked.problems, warnings=left_out + checked.warnings)
    )


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
