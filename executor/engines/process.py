"""One worker process seen from the event loop: start it, send to it, hear from it, know how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from executor.channel import Channel, ChannelBroken, ChannelClosed
from executor.messages import Command, Reply, Stop, WorkerConfig

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 3.0

log = logging.getLogger("latentgraph.engine")


class WorkerProcess:
    """A running worker.

    Args:
        config: sent to it first.
        on_reply: called on the event loop with each message.
        on_exit: called on the event loop once, with a sentence's end that says how the process ended.
    """

    def __init__(self, config: WorkerConfig, on_reply: Callable[[Reply], None], on_exit: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_reply = on_reply
        self._on_exit = on_exit
        self._process = _spawn()
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        self._channel = Channel(stdout.fileno(), stdin.fileno())
        self.send(config)
        threading.Thread(target=self._listen, name="worker-replies", daemon=True).start()

    def send(self, command: Command) -> None:
        """Send a command; one sent to a process that is gone is lost, since `on_exit` tells of that."""
        try:
            self._channel.send(command)
        except ChannelClosed:
            return

    async def stop(self) -> None:
        """End the process: ask, then close its streams, then kill."""
        self.send(Stop())
        try:
            await asyncio.to_thread(self._process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            await asyncio.to_thread(self._process.wait)

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def _listen(self) -> None:
        how = self._heard_out()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._tell(self._on_exit, how)

    def _heard_out(self) -> str:
        """Hand on replies until there can be no more, and see to it that the process is gone then; how it ended."""
        try:
            while True:
                self._tell(self._on_reply, self._channel.receive())
        except ChannelBroken as error:
            log.error("the worker process sent what can't be read: %s", error)
            return self._ended(f"sent what can't be read ({error}) and was killed", seconds=0)
        except ChannelClosed:
            return self._ended("closed its streams, went on without them and was killed", seconds=STOP_SECONDS)

    def _ended(self, otherwise: str, seconds: float) -> str:
        """How the process ended within some seconds; `otherwise` when it had to be killed."""
        try:
            return how_it_ended(self._process.wait(seconds))
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
            return otherwise

    def _tell(self, callback: Callable[[T], None], value: T) -> None:
        # A loop that is closed raises RuntimeError: the program is ending, and nobody is left to be told.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, value)


def _spawn() -> subprocess.Popen[bytes]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}
    environment.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")  # weights in huge pages load faster
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "executor.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env=environment,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def how_it_ended(code: int) -> str:
    """What an exit code means, as the end of a sentence about the worker."""
    if code >= 0:
        return f"ended with exit code {code:#x}" if code > 255 else f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL":
        return "was killed (SIGKILL), most likely because the machine ran out of memory"
    if name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL"):
        return f"crashed ({name}) in native code"
    return f"was ended by {name}"
