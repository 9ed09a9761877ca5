"""How long `python server.py` takes until its first answer, and until its nodes are known.

    python bench/server.py [--runs 5]

Each run is a fresh process with a fresh data folder; the median is what to quote.
"""

from __future__ import annotations

import argparse
import http.client
import json
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIRST_ANSWER_GOAL = 0.7
CATALOGUE_GOAL = 2.0
GIVE_UP = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def seconds_until(port: int, path: str, began: float) -> float:
    """Seconds from `began` until a request is answered with status 200."""
    while time.perf_counter() - began < GIVE_UP:
        try:
            if ask(port, path)[0] == 200:
                return time.perf_counter() - began
        except OSError:
            pass
        time.sleep(0.005)
    raise TimeoutError(f"{path} was not answered within {GIVE_UP:.0f} s")


def measure() -> tuple[float, float, int]:
    """One start: seconds to the first answer, seconds to the catalogue, and the number of nodes in it."""
    port = free_port()
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, str(ROOT / "server.py"), "--port", str(port), "--data-dir", data, "--no-browser"]
        began = time.perf_counter()
        process = subprocess.Popen([*command, "--log-level", "error"], cwd=ROOT)
        try:
            first = seconds_until(port, "/healthz", began)
            catalogue = seconds_until(port, "/api/v1/nodes", began)
            nodes = len(json.loads(ask(port, "/api/v1/nodes")[1])["nodes"])
        finally:
            process.terminate()
            process.wait(timeout=30)
    return first, catalogue, nodes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    measure()
    results = [measure() for _ in range(runs)]
    print(f"{platform.machine()}, Python {platform.python_version()}, {runs} starts after one warm-up")
    print(f"{'':24}{'median':>9}{'min':>9}{'max':>9}{'goal':>9}")
    for name, column, goal in (("first answer", 0, FIRST_ANSWER_GOAL), ("catalogue", 1, CATALOGUE_GOAL)):
        values = [result[column] for result in results]
        low, high = min(values), max(values)
        print(f"{name + ' [s]':24}{statistics.median(values):9.3f}{low:9.3f}{high:9.3f}{goal:9.1f}")
    print(f"nodes in the catalogue: {results[-1][2]}")


if __name__ == "__main__":
    main()
