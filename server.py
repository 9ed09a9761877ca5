"""The composition root: flags become settings, settings become services, services become the aiohttp application.

    python server.py [--help]

Nothing imports this module, and it imports no torch: models live in the worker process that the engine starts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import logging
import os
import secrets
import signal
import sys
import webbrowser
from collections.abc import Sequence

from aiohttp import web
from filelock import FileLock, Timeout

from api.app import create_app
from api.security import is_loopback
from api.services import Services
from diffusion.library import ModelLibrary
from executor.engines.local import LocalEngine
from executor.files import Files
from executor.jobs import JobService
from executor.queue import NewerDatabase
from executor.settings import EXAMPLE_INPUTS, ROOT, Settings, add_run_options, add_server_options

log = logging.getLogger("latentgraph")

OK, CANNOT_START = 0, 1
SHUTDOWN_SECONDS = 3.0


def parser() -> argparse.ArgumentParser:
    """The flags of the server."""
    top = argparse.ArgumentParser(prog="server.py", description="Serve the editor, the API and the queue.")
    add_server_options(top)
    add_run_options(top)
    return top


def with_token(settings: Settings) -> Settings:
    """The same settings, with a token made for a server that other machines can reach."""
    if settings.token or is_loopback(settings.host):
        return settings
    return dataclasses.replace(settings, token=secrets.token_urlsafe(24))


def make_services(settings: Settings) -> Services:
    """Everything the application needs, not started yet."""
    folders = settings.folders
    folders.create()
    folders.add_examples(EXAMPLE_INPUTS)
    library = ModelLibrary(settings.models_dir)
    engine = LocalEngine(settings.worker_config())
    return Services(
        settings=settings,
        jobs=JobService(settings.database, engine, Files(library, folders)),
        models=library,
        folders=folders,
        workflows_dir=ROOT / "workflows",
        web_dir=ROOT / "web" / "dist",
    )


async def serve(settings: Settings) -> int:
    """Serve until asked to stop.

    Returns:
        0 after a clean stop, 1 when the server can't start.
    """
    services = make_services(settings)
    services.folders.drop_old_previews()
    await services.jobs.start()
    runner = web.AppRunner(create_app(services), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except OSError as error:
            log.error("can't listen on %s port %d: %s. Is another server running?", settings.host, settings.port, error)
            return CANNOT_START
        announce(settings, runner)
        await stopped()
    finally:
        await runner.cleanup()
        await services.jobs.stop()
    return OK


def announce(settings: Settings, runner: web.AppRunner) -> None:
    """Print where the editor is, and open it in a browser when there is one."""
    port = runner.addresses[0][1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{port}/" + (f"?token={settings.token}" if settings.token else "")
    print(f"Latentgraph is at {address}", flush=True)
    if not settings.no_browser and has_browser():
        webbrowser.open(address)


def has_browser() -> bool:
    """Whether a browser window would be seen by someone."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


async def stopped() -> None:
    """Wait for an interrupt or a request to terminate."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no signal handlers on its event loop; there, Ctrl+C cancels the main task instead.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, asked.set)
    await asked.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Start with the flags of a command line; the exit status."""
    settings = with_token(Settings.from_arguments(parser().parse_args(arguments)))
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(settings.data_dir / "server.lock", timeout=0):
            return asyncio.run(serve(settings))
    except KeyboardInterrupt:
        return OK
    except Timeout:
        log.error("another server uses %s: stop it, or choose another folder with --data-dir", settings.data_dir)
        return CANNOT_START
    except NewerDatabase as error:
        log.error("%s", error)
        return CANNOT_START


if __name__ == "__main__":
    sys.exit(main())
