"""The command line: run a workflow without a server, `python -m executor run FILE`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import logging
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from executor.engines import EngineFailed, WorkerDied
from executor.engines.local import LocalEngine
from executor.events import (
    JobCancelled,
    JobDone,
    JobEnd,
    JobEvent,
    JobFailed,
    JobStarted,
    NodeDone,
    NodeProgress,
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
from executor.variations import WrongUsage, with_changes, with_plot, with_prompts
from nodes.sdk.spec import Catalogue

OK, USAGE, INVALID, FAILED, CANCELLED = 0, 2, 3, 4, 130
EXIT_CODES = (
    f"Exit codes: {OK} done, {USAGE} wrong usage or unreadable file, {INVALID} invalid workflow, "
    f"{FAILED} a node or its worker failed, {CANCELLED} cancelled."
)


def parser() -> argparse.ArgumentParser:
    """The flags of the command line."""
    top = argparse.ArgumentParser(prog="python -m executor", description="Run workflows from the command line.")
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a workflow and print the files it made", epilog=EXIT_CODES)
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
        "--prompts", type=Path, metavar="FILE", help="run once for each line of a text file, with it as the prompt"
    )
    run.add_argument(
        "--prompt-input",
        metavar="NODE.INPUT",
        help="the input that takes the prompts (default: the text that leads to the sampler's positive side)",
    )
    for axis, way in (("x", "columns"), ("y", "rows")):
        run.add_argument(
            f"--{axis}",
            metavar="NODE.INPUT=VALUES",
            help=f"save one table of pictures, with {way} for the values of an input; VALUES as in 4,7,10 or 1..4",
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
        prompts = None if options.prompts is None else _lines(options.prompts)

        def documents(catalogue: Catalogue) -> Iterable[Document]:
            changed = with_changes(as_native(document, catalogue), options.changes, catalogue)
            plotted = with_plot(changed, options.x, options.y)
            return [plotted] if prompts is None else with_prompts(plotted, prompts, options.prompt_input)

        return asyncio.run(_run(documents, settings, options.output_dir, quiet=options.quiet))
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


def _lines(path: Path) -> list[str]:
    """The prompts in a file: the lines that are not empty."""
    try:
        found = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise WrongUsage(f"{path} is no text in UTF-8") from error
    if not found:
        raise WrongUsage(f"{path} holds no prompts")
    return found


def _title(node: object) -> str | None:
    return _member(_member(node, "_meta"), "title")


def _member(value: object, name: str) -> Any:
    """A member of a JSON object; None for anything that is no object."""
    return cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None


async def _run(
    documents: Callable[[Catalogue], Iterable[Document]], settings: Settings, output_dir: Path | None, *, quiet: bool
) -> int:
    """Run jobs one after another in one worker, which keeps its models and results; stop at the first that fails."""
    folders = Folders.below(settings.data_dir, output_dir.absolute() if output_dir else None)
    folders.create()
    folders.add_examples(EXAMPLE_INPUTS)
    engine = LocalEngine(settings.worker_config(folders))
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
        prepared: list[tuple[Document, tuple[str, ...] | None]] = []
        for document in documents(catalogue):
            found = prepare_or_refuse(document, catalogue, Files(settings.library(), folders))
            if not quiet and not prepared:
                _print_problems(found.checked.warnings, "warning")
            prepared.append((document, found.targets))
        code, ids = OK, JobIds()
        for document, targets in prepared:
            job_id = ids.new()
            request = JobRequest(job_id, document.to_text(), targets=targets)
            job = asyncio.create_task(_follow(engine, request, document, catalogue, quiet=quiet))
            cancelling = asyncio.create_task(_cancel_when(stop, engine, job_id))
            code = _told(await job, folders, settings)
            cancelling.cancel()
            if code != OK:
                break
        return code
    finally:
        await engine.stop()


def _told(end: JobEnd, folders: Folders, settings: Settings) -> int:
    """Print how a job ended; the exit code for it."""
    match end:
        case JobDone(_, outputs):
            for files in outputs.values():
                for file in files:
                    print(folders.path(file), flush=True)
            return OK
        case JobFailed(error, refused=refused):
            where = f" (node {error.node}, {error.class_type})" if error.node else ""
            print(f"error: {error.message}{where}", file=sys.stderr)
            if error.detail and settings.log_level == "debug":
                print(error.detail, file=sys.stderr)
            return INVALID if refused else FAILED
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
                        if isinstance(event, JobEnd):
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
            case NodeDone(finished=finished):
                progress.update(self._all, completed=finished)
                if self._node is not None:
                    progress.remove_task(self._node)
                    self._node = None
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
