"""TLS of calls: whom a client trusts, which certificate it shows, and channels made with that."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from waystation_tls import variables
from waystation_tls.files import (
    Authorities,
    BadTls,
    Ending,
    Identity,
    Named,
    endings,
    read_authorities,
    read_authorities_of_machine,
    read_identity,
)
from waystation_tls.variables import CERT, KEY, path_of
from waystation_tls.watched import Watched

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")
_MACHINES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
"""Where systems keep the authorities that they trust: Debian, Fedora, Alpine and macOS."""


@dataclass(frozen=True, slots=True)
class Words:
    """What can be done about faults of a kind of calls, in the words of its settings."""

    ca: str
    """The setting that names the authorities."""
    speak: str
    """How this side is made to speak TLS."""
    plain: str
    """What to do about a server that does not."""
    show: str
    """How this side gets a certificate to show."""


_GIVE = f"give it a certificate ({CERT} and {KEY} there)"
_SHOW = f"set {CERT} and {KEY}"
OF_CLIENTS = Words(
    ca=variables.CA,
    speak=f"set {variables.CA} to the certificate of its authority, or {variables.TLS}=true",
    plain=f"{_GIVE}, or unset {variables.CA} and {variables.TLS} here",
    show=_SHOW,
)
OF_ROUTERS = Words(
    ca=variables.HANDLER_CA,
    speak=f"set {variables.HANDLER_CA} to the certificate of its authority, or "
    f"{variables.HANDLER_TLS}=required",
    plain=f"{_GIVE}, or unset {variables.HANDLER_CA} and {variables.HANDLER_TLS} here",
    show=_SHOW,
)
OF_BROKER = Words(
    ca=variables.BROKER_CA,
    speak="begin WAYSTATION_BROKER_URL with amqps://",
    plain="let WAYSTATION_BROKER_URL name the port of its TLS listener (5671 unless configured), or begin "
    "with amqp://",
    show="let RabbitMQ do without (ssl_options.fail_if_no_peer_cert = false)",
)
OF_DATABASE = Words(
    ca="sslrootcert in WAYSTATION_DATABASE_URL",
    speak="add sslmode=verify-full to WAYSTATION_DATABASE_URL",
    plain="set ssl = on there, or take sslmode out of WAYSTATION_DATABASE_URL",
    show="name one in WAYSTATION_DATABASE_URL (sslcert and sslkey)",
)


@dataclass(frozen=True, slots=True)
class ClientMaterial:
    """What the files hold."""

    authorities: Authorities
    identity: Identity | None
    server_name: str
    words: Words

    @property
    def endings(self) -> list[Ending]:
        return endings(self.identity, self.authorities)


@dataclass(frozen=True, slots=True)
class ClientTls:
    """The files of a client, and whether it speaks TLS at all."""

    on: bool = False
    ca: Path | None = None
    """None: the authorities of this machine."""
    cert: Path | None = None
    key: Path | None = None
    server_name: str = ""
    words: Words = field(default=OF_CLIENTS)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> ClientTls:
        """As `WAYSTATION_TLS*` say. Raises BadTls for a switch that is neither true nor false, or contradicts."""
        ca = path_of(environ, variables.CA)
        switch = environ.get(variables.TLS, "").lower()
        if switch not in (*_TRUE, *_FALSE):
            raise BadTls([f"{variables.TLS}: {switch!r} is neither true nor false."])
        if ca is not None and switch in _FALSE and switch:
            raise BadTls(
                [f"{variables.CA} is set although {variables.TLS} is false: unset one of them."]
            )
        return cls(
            on=ca is not None or switch in _TRUE,
            ca=ca,
            cert=path_of(environ, CERT),
            key=path_of(environ, KEY),
            server_name=environ.get(variables.SERVER_NAME, ""),
        )

    def paths(self) -> Sequence[Path]:
        ca = self.ca or _of_this_machine()
        return [path for path in (ca, self.cert, self.key) if path is not None]

    def read(self) -> ClientMaterial:
        """Raises BadTls with all faults."""
        faults: list[str] = []
        authorities = identity = None
        try:
            authorities = self._authorities()
        except BadTls as bad:
            faults += bad.faults
        try:
            if self.cert is not None and self.key is not None:
                identity = read_identity(Named(CERT, self.cert), Named(KEY, self.key))
        except BadTls as bad:
            faults += bad.faults
        if (self.cert is None) != (self.key is None):
            given, missing = (KEY, CERT) if self.cert is None else (CERT, KEY)
            faults.append(f"{given} is set without {missing}: set both, or none.")
        if authorities is None or faults:
            raise BadTls(faults)
        return ClientMaterial(authorities, identity, self.server_name, self.words)

    def faults(self) -> list[str]:
        """Everything that is wrong with the files; nothing for plain text."""
        if not self.on:
            return []
        try:
            self.read()
        except BadTls as bad:
            return list(bad.faults)
        return []

    def _authorities(self) -> Authorities:
        if self.ca is not None:
            return read_authorities(Named(self.words.ca, self.ca))
        found = _of_this_machine()
        if found is None:
            raise BadTls(
                [
                    f"this machine has no list of authorities to trust: set {self.words.ca} to a file with yours."
                ]
            )
        return read_authorities_of_machine(Named("the authorities of this machine", found))


class ClientCredentials(Watched[ClientMaterial]):
    """Credentials for channels. A channel keeps those that it was made with: make it anew after News.CHANGED."""

    def __init__(self, files: ClientTls) -> None:
        """Raises BadTls."""
        super().__init__(files)
        self._grpc: grpc.ChannelCredentials | None = None

    @classmethod
    def if_on(cls, files: ClientTls) -> ClientCredentials | None:
        """None for plain text. Raises BadTls."""
        return cls(files) if files.on else None

    def of_grpc(self) -> grpc.ChannelCredentials:
        """For `secure_channel`."""
        if self._grpc is None:
            identity = self.material.identity
            self._grpc = grpc.ssl_channel_credentials(
                self.material.authorities.pem,
                None if identity is None else identity.key,
                None if identity is None else identity.chain,
            )
        return self._grpc

    def options(self, name: str = "") -> list[tuple[str, str]]:
        """Options of a channel whose server must have a certificate for this name; empty: for the host of its
        address, or the name in the settings."""
        name = name or self.material.server_name
        if not name:
            return []
        return [("grpc.ssl_target_name_override", name), ("grpc.default_authority", name)]

    def _renew(self) -> None:
        self._grpc = None


def _of_this_machine() -> Path | None:
    # SSL_CERT_FILE of the environment, or what this Python was built with.
    known = ssl.get_default_verify_paths().cafile
    for place in (known, *_MACHINES):
        if place and Path(place).is_file():
            return Path(place)
    return None
