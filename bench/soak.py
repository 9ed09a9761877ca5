"""A long run against the real server: many jobs, kills of worker and server, watched for losses and leaks.

    python bench/soak.py [--jobs 300] [--kill-every 25]

Every job that was acknowledged must end as done with its picture on disk, through `kill -9` of the worker and of the
server in turn. Prints what happened and the memory of the server at the beginning and at the end; the exit status is
1 when a job was lost or failed. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SAMPLER, LATENT, SAVE = "5", "4", "7"
GIVE_UP = 900.0


class Server:
    """The server under test, with the means to hurt it."""

    def __init__(self, data_dir: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._data_dir = data_dir
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, str(ROOT / "server.py"), "--port", str(self.port), "--no-browser"]
        command += ["--data-dir", str(self._data_dir), "--log-level", "error"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if self.ask("GET", "/healthz")["engine"] == "ready":
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise TimeoutError("the server was not ready after 60 s")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def kill_worker(self) -> None:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=30)

    def resident(self) -> float:
        """Resident memory of the server process in MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("the server's memory can't be read")


def job_document(seed: int) -> dict[str, Any]:
    document = json.loads((ROOT / "workflows" / "text-to-image.json").read_text(encoding="utf-8"))
    document["nodes"][SAMPLER]["inputs"].update(seed=seed, steps=3)
    document["nodes"][LATENT]["inputs"].update(width=64, height=64)
    return document


def wait_for(server: Server, ids: list[str]) -> dict[str, Any]:
    deadline = time.monotonic() + GIVE_UP
    jobs: dict[str, Any] = {}
    while time.monotonic() < deadline:
        for job_id in ids:
            if job_id not in jobs:
                job = server.ask("GET", f"/api/v1/jobs/{job_id}")
                if job.get("state") in ("queued", "running"):
                    break
                jobs[job_id] = job
        else:
            return jobs
        time.sleep(0.2)
    raise TimeoutError(f"{len(ids) - len(jobs)} jobs had not ended after {GIVE_UP:.0f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--kill-every", type=int, default=25)
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as data:
        server = Server(Path(data))
        server.start()
        ids: list[str] = []
        worker_kills = server_kills = 0
        wait_for(server, [server.ask("POST", "/api/v1/jobs", job_document(10**6))["id"]])
        first = server.resident()
        hit = None
        for number in range(options.jobs):
            ids.append(server.ask("POST", "/api/v1/jobs", job_document(number))["id"])
            if (number + 1) % options.kill_every == 0:
                if hit is not None:  # a job that two crashes hit fails by design
                    wait_for(server, [hit])
                time.sleep(0.5)
                hit = next(iter(server.ask("GET", "/api/v1/jobs?state=running")["jobs"]), {}).get("id")
                if (number // options.kill_every) % 2 == 0:
                    server.kill_worker()
                    worker_kills += 1
                else:
                    server.kill()
                    server_kills += 1
                    server.start()
        jobs = wait_for(server, ids)
        last = server.resident()
        bad = [job for job in jobs.values() if job["state"] != "done"]
        files = {
            (file["subfolder"], file["filename"]) for job in jobs.values() for file in job["outputs"].get(SAVE, [])
        }
        missing = [name for folder, name in files if not (Path(data) / "outputs" / folder / name).stat().st_size]
        server.stop()
    seconds = time.perf_counter() - began
    print(f"{len(ids)} jobs in {seconds:.0f} s, {worker_kills} kills of the worker, {server_kills} of the server")
    print(f"done: {len(jobs) - len(bad)}, not done: {len(bad)}, pictures: {len(files)}, empty: {len(missing)}")
    print(f"server memory: {first:.0f} MiB after the first job, {last:.0f} MiB at the end")
    for job in bad[:5]:
        print(f"  {job['id']}: {job['state']}, {job['error']}")
    return 1 if bad or missing or len(files) != len(ids) else 0


if __name__ == "__main__":
    sys.exit(main())
