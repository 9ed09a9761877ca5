"""The loop that runs a job: resolve inputs, call the node, keep the result, tell what happened."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

from executor.bind import Bad, Reader, value_reader
from executor.cache import Cache, Entry
from executor.check import BoundNode
from executor.collector import no_collection
from executor.context import JobContext, JobScope, Resources
from executor.events import (
    JobCancelled,
    JobDone,
    JobEnd,
    JobError,
    JobEvent,
    JobFailed,
    JobStarted,
    NodeDone,
    NodeFailed,
    NodesCached,
    NodeStarted,
    NodeWarned,
    of_originals,
)
from executor.files import FileCatalogue, Snapshot
from executor.folders import Folders, OutputNames
from executor.formats.document import read_text
from executor.keys import Key, Unkeyable, node_keys
from executor.node_warnings import warnings_told
from executor.plan import Plan, Step, make_plan
from executor.prepare import prepare_or_refuse
from executor.problems import InvalidWorkflow, NearestNames
from executor.series import Series, calls, gathered
from nodes.sdk.context import OutputFile
from nodes.sdk.declare import NodeDefinition
from nodes.sdk.errors import Cancelled
from nodes.sdk.spec import Catalogue, InputSpec

REPLANS = 5
OUT_OF_MEMORY_HINT = (
    "Memory ran out, and freeing what was idle did not help. Make the picture or the batch smaller, "
    "or close other programs that use the device."
)


class JobRequest(NamedTuple):
    """A job as it is handed to an engine. `text` is the document as JSON; `targets` narrows what it runs for."""

    job_id: str
    text: str
    attempt: int = 1
    targets: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """What a worker has for running jobs."""

    definitions: Mapping[str, NodeDefinition]
    catalogue: Catalogue
    files: FileCatalogue
    cache: Cache
    folders: Folders
    names: OutputNames
    resources: Resources


class NodeFailure(Exception):
    """A node could not do its work."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error


def run_job(
    request: JobRequest, services: Services, emit: Callable[[JobEvent], None], cancelled: Callable[[], bool]
) -> JobEnd:
    """Run a job to its end.

    Args:
        request: the job.
        services: what the worker has.
        emit: takes every event but the last.
        cancelled: whether the job was cancelled; asked between nodes and by nodes.

    Returns:
        How the job ended; nothing a node does makes this raise.
    """
    run = _Run(request, services, emit, cancelled)
    try:
        return run.execute()
    except Cancelled:
        return JobCancelled()
    except InvalidWorkflow as invalid:
        first = invalid.problems[0]
        error = JobError(first.code, first.message, first.node, first.class_type, first.input)
        return JobFailed(error, {}, refused=True)
    except NodeFailure as failure:
        failed = of_originals(NodeFailed(failure.error), run.origins)
        emit(failed)
        return JobFailed(failed.error, run.shown)


class _Run:
    def __init__(
        self,
        request: JobRequest,
        services: Services,
        emit: Callable[[JobEvent], None],
        cancelled: Callable[[], bool],
    ) -> None:
        self._request = request
        self._services = services
        self._send = emit
        self._cancelled = cancelled
        self.origins: Mapping[str, str] = {}
        self._files = Snapshot(services.files)
        self._readers: dict[tuple[str, str], Reader | None] = {}
        self._nearest = NearestNames()
        self._values: dict[Key, tuple[Any, ...]] = {}
        self._finished = 0
        self._running = ""
        self._told: set[str] = set()
        self.shown: dict[str, tuple[OutputFile, ...]] = {}

    def _emit(self, event: JobEvent) -> None:
        """Send an event; of a copy that a plot made, it is told as of the node it was made from."""
        self._send(of_originals(event, self.origins) if self.origins else event)

    def execute(self) -> JobEnd:
        began = time.perf_counter()
        services, request = self._services, self._request
        with no_collection():
            document = read_text(request.text)
            prepared = prepare_or_refuse(document, services.catalogue, self._files, request.targets)
            nodes, outputs = prepared.checked.nodes, prepared.checked.outputs
            self.origins = prepared.origins
            try:
                keys = node_keys(nodes, self._files, services.resources.device_class, request.job_id)
            except Unkeyable as error:
                return JobFailed(JobError("bad_document", f"The workflow can't be run: {error}."), {}, refused=True)
            plan, hits = self._plan(nodes, keys, outputs)
        self._finished = len(plan.cached)
        self._emit(JobStarted(request.attempt, len(nodes), self._finished))
        if plan.cached:
            files = {node: entry.files for key, entry in hits.items() if entry.files for node in plan.hits[key]}
            self.shown.update(files)
            self._emit(NodesCached(tuple(plan.cached), files))
        self._values = {key: entry.outputs for key, entry in hits.items() if key in plan.uses}
        scope = JobScope(
            request.job_id,
            document,
            prepared.graph,
            services.folders,
            services.names,
            services.resources,
            self._emit,
            self._cancelled,
        )
        uses = plan.uses
        with warnings_told(self._warned):
            for step in plan.steps:
                if self._cancelled():
                    raise Cancelled
                self._step(step, keys, uses, scope)
        return JobDone(round(time.perf_counter() - began, 4), {node: self.shown.get(node, ()) for node in outputs})

    def _plan(
        self, nodes: Mapping[str, BoundNode], keys: Mapping[str, Key], outputs: list[str]
    ) -> tuple[Plan, dict[Key, Entry]]:
        """A plan together with the cached results it relies on, read now so that none can vanish on the way."""
        missing: set[Key] = set()
        cache = self._services.cache
        hits: dict[Key, Entry] = {}
        for _ in range(REPLANS):
            plan = make_plan(nodes, keys, outputs, lambda key: key not in missing and (key in hits or cache.has(key)))
            lost = False
            for key in plan.hits:
                if key not in hits:
                    entry = cache.get(key)
                    if entry is None:
                        missing.add(key)
                        lost = True
                    else:
                        hits[key] = entry
            if not lost:
                return plan, {key: hits[key] for key in plan.hits}
        return make_plan(nodes, keys, outputs, lambda _: False), {}

    def _step(self, step: Step, keys: Mapping[str, Key], uses: dict[Key, int], scope: JobScope) -> None:
        node = step.node
        self._running, self._told = node.id, set()
        self._emit(NodeStarted(node.id))
        entry = self._call(node, keys, scope)
        self._services.cache.put(step.key, entry)
        if step.key in uses:
            self._values[step.key] = entry.outputs
        if entry.files:
            self.shown.update(dict.fromkeys((node.id, *step.twins), entry.files))
        self._finished += 1 + len(step.twins)
        self._emit(NodeDone(node.id, round(entry.seconds, 6), entry.files, self._finished))
        if step.twins:
            self._emit(NodesCached(step.twins, {each: entry.files for each in step.twins if entry.files}))
        for link in node.links.values():
            upstream = keys[link.node]
            uses[upstream] -= 1
            if not uses[upstream]:
                self._values.pop(upstream, None)

    def _warned(self, message: str) -> None:
        """Tell a warning of the node that runs, once."""
        if message not in self._told:
            self._told.add(message)
            self._emit(NodeWarned(self._running, message))

    def _call(self, node: BoundNode, keys: Mapping[str, Key], scope: JobScope) -> Entry:
        spec = node.spec
        function = self._services.definitions[spec.id].function
        inputs = dict(node.values)
        for name, link in node.links.items():
            inputs[name] = self._linked(node, name, self._values[keys[link.node]][link.output])
        began = time.perf_counter()
        results: list[tuple[Any, ...]] = []
        made: list[OutputFile] = []
        for each in calls(inputs, spec):
            result, files = self._call_once(function, each, node, scope)
            results.append(_outputs(result, node))
            made += files
        return Entry(gathered(results, spec), tuple(made), time.perf_counter() - began)

    def _call_once(
        self, function: Callable[..., Any], inputs: dict[str, Any], node: BoundNode, scope: JobScope
    ) -> tuple[Any, tuple[OutputFile, ...]]:
        if self._cancelled():
            raise Cancelled
        try:
            return _invoke(function, inputs, node.spec.context, scope, node.id)
        except Cancelled:
            raise
        except (Exception, SystemExit) as error:
            if not _is_out_of_memory(error):
                raise NodeFailure(describe(error, node)) from error
            return self._call_again(function, inputs, node, scope)

    def _call_again(
        self, function: Callable[..., Any], inputs: dict[str, Any], node: BoundNode, scope: JobScope
    ) -> tuple[Any, tuple[OutputFile, ...]]:
        """The second attempt of a node that ran out of memory, after everything idle was let go."""
        self._services.cache.shrink(0)
        self._services.resources.free()
        try:
            return _invoke(function, inputs, node.spec.context, scope, node.id)
        except Cancelled:
            raise
        except (Exception, SystemExit) as error:
            if not _is_out_of_memory(error):
                raise NodeFailure(describe(error, node)) from error
            detail = "".join(traceback.format_exception(error))
            message = f"{OUT_OF_MEMORY_HINT} ({type(error).__name__}: {str(error)[:300]})"
            raise NodeFailure(JobError("out_of_memory", message, node.id, node.spec.id, None, detail)) from error

    def _linked(self, node: BoundNode, name: str, value: Any) -> Any:
        """A value that a link brought, held to the same rules as a literal where the input has a widget."""
        where = (node.spec.id, name)
        if where not in self._readers:
            self._readers[where] = self._linked_reader(node.spec.input(name))
        reader = self._readers[where]
        if reader is None:
            return value
        if type(value) is Series:
            return Series(tuple(self._linked(node, name, each) for each in value.items))
        read = reader(value)
        if type(read) is Bad:
            message = f"The value linked to {name!r} of node {node.id!r} can't be used: it {read.message}."
            raise NodeFailure(JobError(read.code, message, node.id, node.spec.id, name))
        return read

    def _linked_reader(self, declared: InputSpec | None) -> Reader | None:
        if declared is None or declared.widget is None:
            return None
        return value_reader(replace(declared, multiple=False), self._files, self._nearest)


def _invoke(
    function: Callable[..., Any], inputs: dict[str, Any], context_name: str | None, scope: JobScope, node_id: str
) -> tuple[Any, tuple[OutputFile, ...]]:
    if context_name is None:
        return function(**inputs), ()
    context = JobContext(scope, node_id)
    try:
        result = function(**inputs, **{context_name: context})
        return result, tuple(context.published)
    finally:
        context.close()


def _outputs(result: Any, node: BoundNode) -> tuple[Any, ...]:
    expected = len(node.spec.outputs)
    several = cast("tuple[Any, ...]", result) if isinstance(result, tuple) else None
    if expected == 1 and not hasattr(several, "_fields"):
        return (cast("Any", result),)
    if expected == 0 and result is None:
        return ()
    if several is not None and len(several) == expected:
        return tuple(several)
    kind = type(cast("object", result)).__name__
    message = f"{node.spec.id} returned {kind}, and declares {expected} outputs; its pack is at fault."
    raise NodeFailure(JobError("bad_return", message, node.id, node.spec.id))


def describe(error: BaseException, node: BoundNode) -> JobError:
    """What to tell of an exception that a node raised: the words it carries for people, else its type and text."""
    told = in_words(error)
    if told is not None:
        where = getattr(error, "input", None)
        return replace(told, node=node.id, class_type=node.spec.id, input=where if isinstance(where, str) else None)
    detail = "".join(traceback.format_exception(error))
    text = str(error).strip()
    message = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return JobError("node_exception", message, node.id, node.spec.id, None, detail)


def in_words(error: BaseException) -> JobError | None:
    """What an exception that is meant for people says, with its hint; None for one that is not."""
    code = getattr(error, "code", None)
    if not isinstance(error, Exception) or not isinstance(code, str):
        return None
    message = str(error)
    hint = getattr(error, "hint", None)
    if isinstance(hint, str) and hint:
        message = f"{message.rstrip('. ')}. {hint}"
    return JobError(code, message)


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error) if isinstance(error, RuntimeError) else ""
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
