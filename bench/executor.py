"""How fast graphs of no-op nodes go through the executor, from POST to the final event, on the real server.

    python bench/executor.py [--sizes 100,1000,10000] [--repeat 3]

The server runs with a pack of nodes that do nothing, so that all of the time is the executor's. Each graph is posted
cold (its start value was never used) and then again unchanged (everything is cached). The best of the repeats is
shown, since the rest is what else the machine was doing; limits are those the project promises.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parents[1]
PACK = '''
"""Nodes that do next to nothing."""
from nodes.sdk import node

@node(title="Start", category="bench")
def BenchStart(value: int = 0) -> int:
    return value

@node(title="Pass", category="bench")
def BenchPass(a: int, b: int = 1) -> int:
    return a

@node(title="End", category="bench", output=True)
def BenchEnd(a: int) -> None:
    return None
'''
Build = Callable[[int, int], dict[str, Any]]
START_LIMIT = 1.5
NODE_LIMIT = 150e-6
CACHED_LIMIT = 0.3


def chain(size: int, value: int) -> dict[str, Any]:
    """One node after the other."""
    nodes = {"start": {"class_type": "BenchStart", "inputs": {"value": value}}}
    before = "start"
    for index in range(size - 2):
        nodes[f"n{index}"] = {"class_type": "BenchPass", "inputs": {"a": [before, 0], "b": index}}
        before = f"n{index}"
    nodes["end"] = {"class_type": "BenchEnd", "inputs": {"a": [before, 0]}}
    return nodes


def fan(size: int, value: int) -> dict[str, Any]:
    """From one node to half of all, and pairwise back to one."""
    nodes = {"start": {"class_type": "BenchStart", "inputs": {"value": value}}}
    row: list[str] = []
    for index in range(size // 2):
        nodes[f"w{index}"] = {"class_type": "BenchPass", "inputs": {"a": ["start", 0], "b": index}}
        row.append(f"w{index}")
    while len(row) > 1:
        joined: list[str] = []
        for left, right in zip(row[::2], row[1::2], strict=False):
            name = f"j{len(nodes)}"
            nodes[name] = {"class_type": "BenchPass", "inputs": {"a": [left, 0], "b": [right, 0]}}
            joined.append(name)
        row = joined + (row[-1:] if len(row) % 2 else [])
    nodes["end"] = {"class_type": "BenchEnd", "inputs": {"a": [row[0], 0]}}
    return nodes


@dataclass(frozen=True)
class Timing:
    """Seconds from the POST to its answer, to the first node, and to the final event."""

    accepted: float
    started: float
    ended: float


@dataclass(frozen=True)
class Row:
    shape: str
    nodes: int
    cold: Timing
    cached: Timing

    @property
    def overhead(self) -> float:
        """Seconds a node between the first node's start and the end."""
        return (self.cold.ended - self.cold.started) / self.nodes


def ended(timing: Timing) -> float:
    return timing.ended


class Server:
    """The server as a user would start it, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        (folder / "packs").mkdir()
        (folder / "packs" / "bench_pack.py").write_text(PACK, encoding="utf-8")
        self._command = [
            sys.executable,
            str(ROOT / "server.py"),
            "--no-browser",
            "--port",
            "0",
            "--log-level",
            "warning",
        ]
        self._command += ["--data-dir", str(folder / "data"), "--custom-nodes-dir", str(folder / "packs")]
        self.address = ""

    async def __aenter__(self) -> Server:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdout=asyncio.subprocess.PIPE, env=environment
        )
        assert self._process.stdout is not None
        line = (await asyncio.wait_for(self._process.stdout.readline(), 30)).decode()
        self.address = line.split(" is at ")[1].strip().rstrip("/")
        async with aiohttp.ClientSession() as session:
            while True:
                async with session.get(f"{self.address}/api/v1/nodes") as answer:
                    if answer.status == 200:
                        return self
                await asyncio.sleep(0.01)

    async def __aexit__(self, *_: object) -> None:
        self._process.terminate()
        await self._process.wait()


async def run(
    session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, address: str, body: str
) -> Timing:
    """Post a workflow and follow it to its end."""
    began = time.perf_counter()
    posting = asyncio.create_task(_post(session, address, body))
    started = 0.0
    final = ("job_done", "job_failed", "job_cancelled")
    while True:
        message = await socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise SystemExit(f"the event stream ended: {message}")
        text: str = message.data
        if not started and ('"type":"node_' in text or '"type":"nodes_cached"' in text):
            started = time.perf_counter() - began
        if any(f'"type":"{kind}"' in text for kind in final):
            break
    finished = time.perf_counter() - began
    if '"type":"job_done"' not in text:
        raise SystemExit(text)
    return Timing(await posting - began, started, finished)


async def _post(session: aiohttp.ClientSession, address: str, body: str) -> float:
    async with session.post(f"{address}/api/v1/jobs", data=body) as answer:
        if answer.status != 201:
            raise SystemExit(await answer.text())
        return time.perf_counter()


async def measure(address: str, shapes: dict[str, Build], sizes: list[int], repeat: int) -> list[Row]:
    """Run each graph, cold and cached; the best of `repeat` runs of each."""
    rows: list[Row] = []
    value = 0
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{address}/api/v1/events", max_msg_size=0) as socket,
    ):
        await run(session, socket, address, json.dumps({"prompt": chain(3, -1)}))  # waits for the device as well
        for shape, build in shapes.items():
            for size in sizes:
                cold: list[Timing] = []
                cached: list[Timing] = []
                for _ in range(repeat):
                    value += 1
                    body = json.dumps({"format": "latentgraph/1", "nodes": build(size, value)})
                    cold.append(await run(session, socket, address, body))
                    cached.append(await run(session, socket, address, body))
                rows.append(Row(shape, size, min(cold, key=ended), min(cached, key=ended)))
    return rows


def verdict(value: float, limit: float) -> str:
    return "ok" if value <= limit else "TOO SLOW"


def report(rows: list[Row]) -> bool:
    """Print the table; whether every promise was kept."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores{load}\n")
    print("shape   nodes   POST answered   first node   overhead a node      done   cached, POST to end")
    for row in rows:
        print(
            f"{row.shape:6} {row.nodes:6,} {row.cold.accepted * 1e3:12.0f} ms {row.cold.started * 1e3:9.0f} ms "
            f"{row.overhead * 1e6:15.1f} µs {row.cold.ended * 1e3:6.0f} ms {row.cached.ended * 1e3:18.0f} ms"
        )
    print()
    promises: list[tuple[str, float, float]] = []
    largest = max(row.nodes for row in rows)
    for row in rows:
        if row.nodes == largest:
            promises += [
                (f"{row.shape} of {row.nodes:,}: checked, planned, started", row.cold.started, START_LIMIT),
                (f"{row.shape} of {row.nodes:,}: overhead a node", row.overhead, NODE_LIMIT),
                (f"{row.shape} of {row.nodes:,}: cached, POST to final event", row.cached.ended, CACHED_LIMIT),
            ]
    for what, value, limit in promises:
        scale, unit = (1e6, "µs") if limit < 0.001 else (1, "s")
        shown = f"{value * scale:.3g} {unit}, promised {limit * scale:.3g} {unit}"
        print(f"{verdict(value, limit):8} {what}: {shown}")
    return all(value <= limit for _, value, limit in promises)


async def main() -> int:
    """Measure and print; 1 when a promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100,1000,10000", help="numbers of nodes, separated by commas")
    parser.add_argument("--repeat", type=int, default=3, help="how often each graph is run")
    options = parser.parse_args()
    sizes = [int(each) for each in options.sizes.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        async with Server(Path(folder)) as server:
            rows = await measure(server.address, {"chain": chain, "fan": fan}, sizes, options.repeat)
    return 0 if report(rows) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
