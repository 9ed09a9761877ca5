"""The jobs in SQLite: what was asked for, how far it came, what came out. Nothing is told before it is committed.

The standard library's `sqlite3` on one thread of its own is all that is needed: statements are short, one writer is
all SQLite has, and the event loop only awaits them. Documents have a table of their own, since SQLite writes a whole
row again when one of its columns changes. WAL keeps readers and the writer apart; `synchronous=FULL`
makes a commit survive a power cut, at the price of one fsync for each.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from executor.events import JobError, OutputFiles, files_json

T = TypeVar("T")
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
JOB_STATES: tuple[JobState, ...] = get_args(JobState)
MAX_ATTEMPTS = 2

MIGRATIONS = (
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
        targets TEXT,
        title TEXT,
        created_at REAL NOT NULL,
        started_at REAL,
        finished_at REAL,
        attempt INTEGER NOT NULL DEFAULT 0,
        error TEXT,
        outputs TEXT NOT NULL DEFAULT '{}'
    ) STRICT;
    CREATE INDEX jobs_by_state ON jobs (state, id);
    CREATE TABLE documents (job TEXT PRIMARY KEY REFERENCES jobs (id), text TEXT NOT NULL) STRICT;
    """,
    "ALTER TABLE jobs ADD COLUMN cancel_asked INTEGER NOT NULL DEFAULT 0;",
)
COLUMNS = "id, state, title, created_at, started_at, finished_at, attempt, error, outputs"


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is stored, without its document. Times are seconds since 1970.

    `error` is the JSON of a `JobError`, `outputs` that of its files by node.
    """

    id: str
    state: JobState
    title: str | None
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    attempt: int = 0
    error: Mapping[str, Any] | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def finished(self) -> bool:
        return self.state in ("done", "failed", "cancelled")


class NewerDatabase(Exception):
    """The database was made by a newer version of this program."""


class JobQueue:
    """The table of jobs, used from one event loop.

    Args:
        path: the database file, made when it isn't there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "jobs-database")
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open the database and put jobs that were running back into the queue (or fail them after two attempts, or
        end them when they were being cancelled).

        Raises:
            NewerDatabase: it was made by a newer version.
        """
        await self._do(self._open)

    async def close(self) -> None:
        """Close the database; what was committed is safe whether or not this is called."""
        if self._connection is not None:
            await self._do(lambda connection: connection.close())
            self._connection = None
        self._thread.shutdown()

    async def add(self, job_id: str, document: str, title: str | None, targets: Sequence[str] | None) -> Job:
        """Store a job as queued; it is committed when this returns."""
        now = time.time()
        wanted = None if targets is None else json.dumps(list(targets))

        def insert(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute(
                    "INSERT INTO jobs (id, state, targets, title, created_at) VALUES (?, 'queued', ?, ?, ?)",
                    (job_id, wanted, title, now),
                )
                connection.execute("INSERT INTO documents (job, text) VALUES (?, ?)", (job_id, document))

        await self._do(insert)
        return Job(job_id, "queued", title, now)

    async def queued(self) -> list[str]:
        """The ids of waiting jobs, the oldest first."""
        sql = "SELECT id FROM jobs WHERE state = 'queued' ORDER BY id"
        return await self._do(lambda connection: [row[0] for row in connection.execute(sql)])

    async def begin(self, job_id: str) -> tuple[str, tuple[str, ...] | None, int]:
        """Mark a job as running; its document, targets and the number of this attempt."""
        sql = (
            "UPDATE jobs SET state = 'running', started_at = ?, attempt = attempt + 1 WHERE id = ? "
            "RETURNING targets, attempt, (SELECT text FROM documents WHERE job = jobs.id)"
        )

        def update(connection: sqlite3.Connection) -> tuple[str, tuple[str, ...] | None, int]:
            with connection:
                targets, attempt, document = connection.execute(sql, (time.time(), job_id)).fetchone()
            return document, None if targets is None else tuple(json.loads(targets)), attempt

        return await self._do(update)

    async def requeue(self, job_id: str) -> None:
        """Put a running job back into the queue."""
        await self._execute("UPDATE jobs SET state = 'queued' WHERE id = ? AND state = 'running'", job_id)

    async def release(self, job_id: str) -> None:
        """Put a running job back as if it had not been begun, since the interruption was not its doing; one that was
        being cancelled is cancelled now."""
        sql = (
            "UPDATE jobs SET state = iif(cancel_asked, 'cancelled', 'queued'), "
            "finished_at = iif(cancel_asked, ?, NULL), attempt = attempt - iif(cancel_asked, 0, 1) "
            "WHERE id = ? AND state = 'running'"
        )
        await self._execute(sql, time.time(), job_id)

    async def ask_cancel(self, job_id: str) -> None:
        """Note that a job that runs, or is about to, is to be cancelled: it never goes back into the queue, even if the
        process ends before the job does."""
        await self._execute("UPDATE jobs SET cancel_asked = 1 WHERE id = ? AND finished_at IS NULL", job_id)

    async def finish(self, job_id: str, state: JobState, outputs: OutputFiles, error: JobError | None = None) -> None:
        """Store how a job ended."""
        await self._execute(
            "UPDATE jobs SET state = ?, finished_at = ?, outputs = ?, error = ? WHERE id = ?",
            state,
            time.time(),
            json.dumps(files_json(outputs)),
            None if error is None else json.dumps(error.to_json()),
            job_id,
        )

    async def get(self, job_id: str) -> Job | None:
        sql = f"SELECT {COLUMNS} FROM jobs WHERE id = ?"
        rows = await self._do(lambda connection: connection.execute(sql, (job_id,)).fetchall())
        return _job(rows[0]) if rows else None

    async def document(self, job_id: str) -> str | None:
        """The document of a job as JSON text."""
        sql = "SELECT text FROM documents WHERE job = ?"
        rows = await self._do(lambda connection: connection.execute(sql, (job_id,)).fetchall())
        return rows[0][0] if rows else None

    async def list(self, state: JobState | None, limit: int, before: str | None) -> list[Job]:
        """Jobs, the newest first: at most `limit` of them, in one state if given, older than the id `before`."""
        sql = f"SELECT {COLUMNS} FROM jobs WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR id < ?2) "
        sql += "ORDER BY id DESC LIMIT ?3"
        rows = await self._do(lambda connection: connection.execute(sql, (state, before, limit)).fetchall())
        return [_job(row) for row in rows]

    async def _execute(self, sql: str, *values: Any) -> None:
        def work(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute(sql, values)

        await self._do(work)

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._connected()))

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._path, timeout=10)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
        return self._connection

    def _open(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise NewerDatabase(
                f"{self._path} was made by a newer version of this program (schema {version}, and this one knows "
                f"{len(MIGRATIONS)}); update the program, or start it with another --data-dir"
            )
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            connection.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")
        interrupted = JobError("interrupted", "The server stopped twice while this job ran; it was not tried again.")
        with connection:
            connection.execute(
                "UPDATE jobs SET state = 'cancelled', finished_at = ? WHERE cancel_asked AND finished_at IS NULL",
                (time.time(),),
            )
            connection.execute(
                "UPDATE jobs SET state = 'failed', finished_at = ?, error = ? WHERE state = 'running' AND attempt >= ?",
                (time.time(), json.dumps(interrupted.to_json()), MAX_ATTEMPTS),
            )
            connection.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")


def _job(row: Sequence[Any]) -> Job:
    job_id, state, title, created, started, finished, attempt, error, outputs = row
    return Job(
        id=job_id,
        state=state,
        title=title,
        created_at=created,
        started_at=started,
        finished_at=finished,
        attempt=attempt,
        error=None if error is None else json.loads(error),
        outputs=json.loads(outputs),
    )
