"""TLS of a server's port: which files, and credentials that follow them without a restart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from waystation_tls.files import (
    Authorities,
    BadTls,
    Ending,
    Identity,
    Named,
    endings,
    read_authorities,
    read_identity,
)
from waystation_tls.variables import CERT, CLIENT_CA, KEY, path_of
from waystation_tls.watched import Watched


@dataclass(frozen=True, slots=True)
class ServerMaterial:
    """What the files hold."""

    identity: Identity
    client_ca: Authorities | None

    @property
    def endings(self) -> list[Ending]:
        return endings(self.identity, self.client_ca)


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The files of a server; all None: plain text."""

    cert: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    """With it, the port asks for certificates and admits only callers that it knows by these authorities."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> ServerTls:
        """The files that `WAYSTATION_TLS_*` names."""
        return cls(path_of(environ, CERT), path_of(environ, KEY), path_of(environ, CLIENT_CA))

    @property
    def on(self) -> bool:
        """Whether the port speaks TLS."""
        return self.cert is not None and self.key is not None

    @property
    def knows_callers(self) -> bool:
        """Whether only callers with a certificate are admitted."""
        return self.on and self.client_ca is not None

    def paths(self) -> Sequence[Path]:
        return [path for path in (self.cert, self.key, self.client_ca) if path is not None]

    def read(self) -> ServerMaterial:
        """Raises BadTls with all faults."""
        if self.cert is None or self.key is None:
            raise BadTls(self._incomplete())
        faults: list[str] = []
        identity = authorities = None
        try:
            identity = read_identity(Named(CERT, self.cert), Named(KEY, self.key))
        except BadTls as bad:
            faults += bad.faults
        try:
            if self.client_ca is not None:
                authorities = read_authorities(Named(CLIENT_CA, self.client_ca))
        except BadTls as bad:
            faults += bad.faults
        if identity is None or faults:
            raise BadTls(faults)
        return ServerMaterial(identity, authorities)

    def faults(self) -> list[str]:
        """Everything that is wrong with the files; nothing for plain text."""
        if not self.paths():
            return []
        try:
            self.read()
        except BadTls as bad:
            return list(bad.faults)
        return []

    def _incomplete(self) -> list[str]:
        found = []
        if self.cert is None and self.key is not None:
            found.append(f"{KEY} is set without {CERT}: set both, or none.")
        if self.key is None and self.cert is not None:
            found.append(f"{CERT} is set without {KEY}: set both, or none.")
        if self.client_ca is not None and self.cert is None and self.key is None:
            found.append(
                f"{CLIENT_CA} is set without {CERT} and {KEY}: callers show certificates over TLS only."
            )
        return found


class ServerCredentials(Watched[ServerMaterial]):
    """Credentials of one port. `look` from time to time: new connections get what it has found."""

    def __init__(self, files: ServerTls) -> None:
        """Raises BadTls."""
        super().__init__(files)
        self._requires = files.client_ca is not None
        self._new: grpc.ServerCertificateConfiguration | None = None

    def of_grpc(self) -> grpc.ServerCredentials:
        """For `add_secure_port`. gRPC asks before each handshake whether there is another certificate; the answer
        is ready, because other connections wait for it."""
        return grpc.dynamic_ssl_server_credentials(
            _configuration(self.material),
            self._what_is_new,
            self._requires,
        )

    def _renew(self) -> None:
        self._new = _configuration(self.material)

    def _what_is_new(self) -> Any:  # None means the same as before, which gRPC's types do not know
        """Each configuration is given once: gRPC replaces its own by whatever it gets, and does not protect a
        handshake that another thread begins at that moment. If it got one with every connection, connections that
        come and go would end the process (seen with grpcio 1.85: 100 at once). What is left of that is one moment
        in the life of a certificate."""
        new, self._new = self._new, None
        return new


def _configuration(material: ServerMaterial) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.identity.key, material.identity.chain)],
        None if material.client_ca is None else material.client_ca.pem,
    )
