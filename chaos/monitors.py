"""What is looked at while a run goes on: sizes of processes, and whether anything still changes."""

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from chaos.facts import Facts
from chaos.folder import Lines, RunFolder, Tail
from chaos.system import System, children, descriptors

_SAMPLE_SECONDS = 5.0
_STALL_SECONDS = 60.0
_PAGE_KIB = 4


class Sampler:
    """Writes size, descriptors and connections of every process, every 5 s."""

    def __init__(self, system: System, folder: RunFolder) -> None:
        self._system = system
        self._lines = Lines(folder.samples)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            processes = {}
            for name, pid in self._system.pids().items():
                family = [pid, *children(pid)] if name == "postgres" else [pid]
                processes[name] = {
                    "pid": pid,
                    "rss_kib": sum(resident_kib(each) for each in family),
                    "descriptors": descriptors(pid),
                }
            self._lines.write(processes=processes, **await asyncio.to_thread(self._connections))
            await asyncio.sleep(_SAMPLE_SECONDS)

    def _connections(self) -> dict[str, Any]:
        """Of Postgres and RabbitMQ; none where they cannot be asked."""
        counts: dict[str, Any] = {}
        with (
            contextlib.suppress(psycopg.Error),
            psycopg.connect(self._system.postgres.dsn(), connect_timeout=2) as connection,
        ):
            row = connection.execute("SELECT count(*) FROM pg_stat_activity").fetchone()
            counts["postgres_connections"] = row[0] if row else None
        with contextlib.suppress(OSError, ValueError):
            counts["amqp_connections"] = len(self._system.rabbitmq.api("connections"))
        return counts


class StallWatch:
    """Writes down the state of everything when nothing has changed for a minute."""

    def __init__(self, system: System, folder: RunFolder) -> None:
        self._system = system
        self._folder = folder
        self._progress = Tail(folder.progress)
        self._last: tuple[int, int] = (0, 0)
        self._moved = self._dumped = time.monotonic()
        self.open = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(1)
            self.look()
            since = max(self._moved, self._dumped)
            if self.open and time.monotonic() - since > _STALL_SECONDS:
                await self.dump("stall")
                self._dumped = time.monotonic()

    @property
    def still_for(self) -> float:
        """Seconds since anything was started or ended."""
        return time.monotonic() - self._moved

    def look(self) -> None:
        """Reads what the load has reported."""
        for line in self._progress.new():
            self.open = line["open"]
            if (line["started"], line["ended"]) != self._last:
                self._last = (line["started"], line["ended"])
                self._moved = time.monotonic()

    async def dump(self, why: str) -> Path:
        """Sessions, locks, oldest rows, queues and the engine's own status, in a file."""
        found: dict[str, Any] = {"why": why, "at": time.time()}
        found["postgres"] = await asyncio.to_thread(self._postgres)
        try:
            found["queues"] = await asyncio.to_thread(self._system.rabbitmq.api, "queues")
        except (OSError, ValueError) as error:
            found["queues"] = str(error)
        facts = Facts(self._system.client_addresses[0])
        try:
            found["status"] = await facts.status()
        except Exception as error:
            found["status"] = str(error)
        finally:
            await facts.close()
        file = self._folder.stalls / f"{why}-{int(time.time())}.json"
        file.write_text(json.dumps(found, indent=1, default=str))
        return file

    def _postgres(self) -> dict[str, Any]:
        queries = {
            "sessions": "SELECT pid, state, wait_event_type, wait_event, xact_start, left(query, 300)"
            " AS query FROM pg_stat_activity WHERE backend_type = 'client backend'",
            "locks": "SELECT pid, relation::regclass::text, mode, granted FROM pg_locks"
            " WHERE NOT granted",
            "outbox": "SELECT * FROM outbox ORDER BY created_at LIMIT 20",
            "deliveries": "SELECT event_id, task_id, state, attempts, suspect, conflicts, due_at,"
            " leased_by, since FROM deliveries ORDER BY since LIMIT 50",
            "routers": "SELECT * FROM routers",
            "handlers": "SELECT * FROM handlers",
        }
        found: dict[str, Any] = {}
        try:
            with psycopg.connect(
                self._system.postgres.dsn(),
                connect_timeout=5,
                row_factory=dict_row,
                autocommit=True,
            ) as connection:
                for name, query in queries.items():
                    try:
                        found[name] = connection.execute(query).fetchall()
                    except psycopg.Error as error:
                        found[name] = str(error)
        except psycopg.Error as error:
            found["error"] = str(error)
        return found


def resident_kib(pid: int) -> int:
    """Resident memory of a process without what it shares; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * _PAGE_KIB
