"""Certificates of the tests: made by the code that makes those for a trial, once in a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

import grpc

from waystation_tls import ClientTls, ServerTls
from waystation_tls.trial import Issued, TrialAuthority


@cache
def authority(name: str = "ours") -> TrialAuthority:
    """One of that name."""
    return TrialAuthority.new(name)


@cache
def issued(
    by: str = "ours",
    *names: str,
    days: int = 30,
    usages: Sequence[str] = (),
) -> Issued:
    """A certificate, by default for this machine's loopback."""
    chosen = names or ("localhost", "127.0.0.1", "::1")
    return authority(by).issue(*chosen, valid_for=timedelta(days=days), usages=usages)


class Ended:
    """Credentials of a server whose certificate has ended: other servers than the engine's use it all the same."""

    def __init__(self, *names: str) -> None:
        self._pair = issued("ours", *names, days=-1)

    def of_grpc(self) -> grpc.ServerCredentials:
        return grpc.ssl_server_credentials([(self._pair.key, self._pair.certificate)])


@dataclass(frozen=True)
class Pki:
    """A folder of files, as a process finds them."""

    folder: Path

    def ca(self, *names: str) -> Path:
        """A file with these authorities, which replaces the one before."""
        path = self.folder / "ca.pem"
        path.write_bytes(b"".join(authority(name).own.certificate for name in names or ("ours",)))
        return path

    def pair(self, name: str, made: Issued | None = None) -> tuple[Path, Path]:
        """A certificate and its key, which replace those of the name before."""
        return (made or issued()).write(self.folder, name)

    def server(self, made: Issued | None = None, *, client_ca: Path | None = None) -> ServerTls:
        """Of a server."""
        return ServerTls(*self.pair("server", made), client_ca)

    def client(self, *trusted: str, made: Issued | None = None) -> ClientTls:
        """Of a client that trusts these authorities, and shows a certificate if it has one."""
        cert, key = self.pair("client", made) if made is not None else (None, None)
        return ClientTls(on=True, ca=self.ca(*trusted), cert=cert, key=key)
