"""The command line: run a workflow without a server, `python -m executor run FILE`.

Exit codes: 0 done, 2 wrong usage or unreadable file, 3 invalid workflow, 4 a node failed, 130 cancelled.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from executor.engines import EngineFailed, WorkerDied
from executor.engines.local import LocalEngine
from executor.events import (
    JobCancelled,
    JobDone,
    JobEvent,
    JobFailed,
    JobStarted,
    NodeDone,
    NodeProgress,
    NodesCached,
    NodeStarted,
)
from executor.files import Files
from executor.folders import Folders
from executor.formats import Document, read_file
from executor.formats.litegraph import as_native
from executor.ids import JobIds
from executor.prepare import prepare_or_refuse
from executor.problems import InvalidWorkflow, Problem
from executor.run import JobRequest
from executor.settings import EXAMPLE_INPUTS, Settings, add_run_options
from nodes.sdk.spec import Catalogue, InputSpec

OK, USAGE, INVALID, FAILED, CANCELLED = 0, 2, 3, 4, 130


class WrongUsage(Exception):
    """The command can't be carried out as it was typed."""


def parser() -> argparse.ArgumentParser:
    """The flags of the command line."""
    top = argparse.ArgumentParser(prog="python -m executor", description="Run workflows from the command line.")
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a workflow and print the files it made")
    run.add_argument("file", type=Path, help="a workflow, a ComfyUI API prompt, or a picture that carries one")
    run.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="NODE.INPUT=VALUE",
        help="give an input another value; NODE is an id or a title, VALUE is JSON or plain text",
    )
    run.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="where results go (default: outputs/ of --data-dir)"
    )
    run.add_argument("--quiet", action="store_true", help="print only the paths of the files made")
    add_run_options(run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line; the exit code."""
    options = parser().parse_args(arguments)
    settings = dataclasses.replace(Settings.from_arguments(options), warm_up=())
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    try:
        document = read_file(options.file)
        return asyncio.run(_run(document, options.changes, settings, options.output_dir, quiet=options.quiet))
    except InvalidWorkflow as invalid:
        _print_problems(invalid.problems, "error")
        _print_problems(invalid.warnings, "warning")
        return INVALID
    except (WrongUsage, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    except EngineFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED


def with_changes(document: Document, changes: Sequence[str], catalogue: Catalogue) -> Document:
    """The document with inputs replaced as `--set` asks. A value is JSON, or plain text where a text is wanted.

    Raises:
        WrongUsage: a change is malformed, or its node is not there or not the only one of that title.
    """
    if not changes:
        return document
    nodes: dict[str, Any] = json.loads(json.dumps(dict(document.nodes)))
    for change in changes:
        target, equals, text = change.partition("=")
        name, dot, wanted = target.rpartition(".")
        if not equals or not dot or not name or not wanted:
            raise WrongUsage(f"--set {change!r} is not of the form NODE.INPUT=VALUE")
        node = nodes[_node_called(name, nodes)]
        spec = catalogue.get(str(_member(node, "class_type")))
        declared = spec.input(wanted) if spec is not None else None
        node.setdefault("inputs", {})[wanted] = _value(text, declared)
    return dataclasses.replace(document, nodes=nodes, source=None)


def _node_called(name: str, nodes: dict[str, Any]) -> str:
    if name in nodes:
        return name
    titled = [node_id for node_id, node in nodes.items() if name in (_title(node), _member(node, "class_type"))]
    if len(titled) == 1:
        return titled[0]
    if titled:
        raise WrongUsage(f"--set: several nodes are called {name!r}; use an id: {', '.join(titled)}")
    raise WrongUsage(f"--set: there is no node {name!r}; the ids are {', '.join(list(nodes)[:20])}")


def _value(text: str, declared: InputSpec | None) -> object:
    if declared is not None and declared.type in ("STRING", "COMBO"):
        return text
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return {"__value__": cast("list[Any]", value)} if isinstance(value, list) else value


def _member(value: object, name: str) -> Any:
    """A member of a JSON object; None for anything that is no object."""
    return cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None


def _title(node: object) -> str | None:
    return _member(_member(node, "_meta"), "title")


async def _run(
    document: Document, changes: Sequence[str], settings: Settings, output_dir: Path | None, *, quiet: bool
) -> int:
    folders = Folders.below(settings.data_dir, output_dir.absolute() if output_dir else None)
    folders.create()
    folders.add_examples(EXAMPLE_INPUTS)
    engine = LocalEngine(settings.worker_config(folders))
    job_id = JobIds().new()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
    try:
        await engine.start()
        catalogue = engine.catalogue
        assert catalogue is not None
        for pack in engine.packs:
            if not pack.ok and not quiet:
                print(
                    f"warning: the node pack {pack.name!r} could not be loaded: {_first_line(pack.error)}",
                    file=sys.stderr,
                )
        document = with_changes(as_native(document, catalogue), changes, catalogue)
        prepared = prepare_or_refuse(document, catalogue, Files(settings.library(), folders.inputs))
        if not quiet:
            _print_problems(prepared.checked.warnings, "warning")
        job = asyncio.create_task(
            _follow(engine, JobRequest(job_id, document.to_text()), document, catalogue, quiet=quiet)
        )
        cancelling = asyncio.create_task(_cancel_when(stop, engine, job_id))
        end = await job
        cancelling.cancel()
    finally:
        await engine.stop()
    match end:
        case JobDone(_, outputs):
            for files in outputs.values():
                for file in files:
                    print(folders.path(file))
            return OK
        case JobFailed(error):
            where = f" (node {error.node}, {error.class_type})" if error.node else ""
            print(f"error: {error.message}{where}", file=sys.stderr)
            if error.detail and settings.log_level == "debug":
                print(error.detail, file=sys.stderr)
            return INVALID if error.node is None and error.code != "worker_died" else FAILED
        case JobCancelled():
            print("cancelled", file=sys.stderr)
            return CANCELLED


async def _cancel_when(stop: asyncio.Event, engine: LocalEngine, job_id: str) -> None:
    await stop.wait()
    await engine.cancel(job_id)


async def _follow(
    engine: LocalEngine, request: JobRequest, document: Document, catalogue: Catalogue, *, quiet: bool
) -> JobDone | JobFailed | JobCancelled:
    """Show a job's progress until it ends. A worker that dies is given one more try, as the server would."""
    reason = ""
    for attempt in (1, 2):
        with _Bar(document, catalogue, quiet=quiet) as bar:
            try:
                async for batch in engine.submit(request._replace(attempt=attempt)):
                    for event in batch:
                        if isinstance(event, (JobDone, JobFailed, JobCancelled)):
                            return event
                        bar.show(event)
            except WorkerDied as death:
                reason = str(death)
        print(f"warning: {reason}", file=sys.stderr)
    raise EngineFailed(f"{reason} The job was tried twice.")


class _Bar:
    """The progress bar: nodes done of all, and the steps of the node at work."""

    def __init__(self, document: Document, catalogue: Catalogue, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._titles = {node_id: _shown_title(node, catalogue) for node_id, node in document.nodes.items()}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=quiet,
        )
        self._all = self._progress.add_task("nodes", total=None)
        self._node: Any = None

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, event: JobEvent) -> None:
        progress = self._progress
        match event:
            case JobStarted(_, total, cached):
                progress.update(self._all, total=total, completed=cached)
            case NodeStarted(node):
                progress.update(self._all, description=self._titles.get(node, node))
            case NodeProgress(node, done, total):
                if self._node is None:
                    self._node = progress.add_task("", total=total)
                title = f"{self._titles.get(node, node)}, steps"
                progress.update(self._node, description=title, completed=done, total=total)
            case NodeDone():
                progress.advance(self._all)
                if self._node is not None:
                    progress.remove_task(self._node)
                    self._node = None
            case NodesCached():
                progress.refresh()
            case _:
                return


def _shown_title(node: object, catalogue: Catalogue) -> str:
    class_type = str(_member(node, "class_type"))
    spec = catalogue.get(class_type)
    return _title(node) or (spec.title if spec is not None else class_type)


def _print_problems(problems: Sequence[Problem], kind: str) -> None:
    for problem in problems:
        print(f"{kind}: {problem.message} [{problem.code}]", file=sys.stderr)


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
