"""A private PgBouncer before a private Postgres: own port on 127.0.0.1, and leaves nothing behind."""

import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from localservers.ports import free_port
from localservers.postgres import PostgresServer
from localservers.processes import ChildProcess

_PROGRAM = "/usr/sbin/pgbouncer"


class PgBouncerMissing(RuntimeError):
    """There is no PgBouncer on this machine; the message says how to get it."""


class PgBouncer:
    """One running PgBouncer, in front of all databases of a Postgres. Use as a context manager."""

    def __init__(
        self,
        server: PostgresServer,
        *,
        pool_mode: str = "transaction",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Starts it and returns when it takes connections.

        `settings` are further lines of its section `pgbouncer`. Raises PgBouncerMissing, ProcessFailed.
        """
        program = shutil.which("pgbouncer") or _PROGRAM
        if not Path(program).exists():
            raise PgBouncerMissing("PgBouncer is not installed: apt-get install pgbouncer")
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="waystation-pgbouncer-"))
        lines = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": pool_mode,
            **(settings or {}),
        }
        place = f"host=127.0.0.1 port={server.port} user=postgres"
        configuration = self._folder / "pgbouncer.ini"
        configuration.write_text(
            "\n".join(
                [
                    *("[databases]", f"* = {place}", "[pgbouncer]"),
                    *(f"{name} = {value}" for name, value in lines.items()),
                    "",
                ]
            )
        )
        self._folder.chmod(0o755)
        self._process = ChildProcess(
            [program, configuration],
            name="pgbouncer",
            log=self._folder / "pgbouncer.log",
            # It refuses to run as root.
            user=server.user,
        )
        try:
            self._process.wait_ready(self._answers, what="it to take connections")
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def dsn(self, dsn: str) -> str:
        """How to reach, through it, what this DSN of its Postgres reaches."""
        before, _, database = dsn.rpartition("/")
        return f"{before.rpartition(':')[0]}:{self.port}/{database}"

    def stop(self) -> None:
        """Ends it. Safe to call twice."""
        self._process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
        except OSError:
            return False
        return True
