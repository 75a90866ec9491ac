"""Settings: one class per process, read once from `WAYSTATION_*`, all faults reported at once.

    class ApiSettings(ServerSettings):
        api_port: int = 7400

    settings = read_settings(ApiSettings)   # raises BadSettings

Settings that do not fit each other are faults too: `Settings.misfits`. `rpc.process` also checks Postgres and
the broker, even if other settings are wrong, as far as their addresses are known.

Several processes share one environment, so names of other processes are ignored; a name that is nearly
one of this process's own is refused, as it is probably misspelt.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from waystation_core.failpoints import BadFailpoints, plan_of
from waystation_core.identity.jwt_settings import (
    DEFAULT_ALGORITHMS,
    DEFAULT_ROLES_CLAIM,
    DEFAULT_SERVICES_CLAIM,
    JwtSettings,
)
from waystation_core.identity.keys_file import faults_of_keys
from waystation_core.identity.signatures import faults_of_signing_key
from waystation_core.rpc.urls import BROKERS, DATABASES, check_url
from waystation_domain.endpoints import DEFAULT_ALLOWLIST, Allowlist
from waystation_domain.errors import InvalidField
from waystation_domain.limits import MAX_EVENTS_PER_INSTANCE
from waystation_tls import ClientTls, ServerTls, open_to_strangers
from waystation_tls.clients import OF_BROKER, OF_ROUTERS

PREFIX = "WAYSTATION_"
EXIT_BAD_SETTINGS = 78
"""EX_CONFIG of sysexits.h."""

_NEARLY = 0.85
KNOWN_BY = "WAYSTATION_KEYS_FILE or WAYSTATION_TLS_CLIENT_CA"
"""The settings that make a server know its callers."""
_TLS_FIELDS = ("tls_cert", "tls_key", "tls_client_ca")


class BadSettings(Exception):
    """Faults of the environment, each a sentence with the name of its variable; no secrets. `known` are the
    valid settings, by field."""

    def __init__(self, faults: Sequence[str], known: Mapping[str, Any] | None = None) -> None:
        self.faults = tuple(faults)
        self.known = dict(known or {})
        super().__init__("\n".join(f"- {fault}" for fault in faults))


class Settings(BaseModel):
    """What every process has."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, validate_default=True
    )

    log_format: Literal["console", "json"] = "console"
    """`json` is one object per line."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    insecure: bool = False
    """Lets servers listen off loopback although what is sent can be read there, and anybody can call."""
    tls_cert: Path | None = None
    """The server's certificate with its chain, and the one that it shows to handlers: a PEM file."""
    tls_key: Path | None = None
    """The private key of `tls_cert`: a PEM file without password."""
    tls_client_ca: Path | None = None
    """Authorities of callers: with it the port admits only callers with a certificate of theirs."""
    keys_file: Path | None = None
    """Preshared keys, and what each may do: see `identity.keys_file`. With it every call needs a credential."""
    jwt_issuer: str = ""
    """The `iss` of the JWTs that are taken. With it every call needs a credential."""
    jwt_audience: str = ""
    """The `aud` that they must have: a name for this installation."""
    jwt_jwks_url: str = ""
    """Where the issuer publishes its keys."""
    jwt_jwks_file: Path | None = None
    """The same as a file."""
    jwt_algorithms: str = DEFAULT_ALGORITHMS
    """Algorithms of signatures that are taken, separated by commas."""
    jwt_roles_claim: str = DEFAULT_ROLES_CLAIM
    """The claim that has a list of `namespace:role`; names inside others are joined with dots."""
    jwt_services_claim: str = DEFAULT_SERVICES_CLAIM
    """The claim that has the names of the services which a handler may act for."""
    metrics_host: str = "127.0.0.1"
    """Where /metrics is served, over plain HTTP."""
    metrics_port: int | None = Field(None, ge=0, le=65_535)
    """None: not served. 0: any free port."""
    metrics_insecure: bool = False
    """Lets the metrics be served off loopback, where everybody who reaches the port can read them."""
    unsafe_database: bool = False
    """Accepts a Postgres that may lose what it has confirmed, for tests."""

    def misfits(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Fields that are valid alone and invalid together, and what to do."""
        for fault in self.server_tls.faults():
            yield _TLS_FIELDS, fault
        if self.keys_file is not None:
            for fault in faults_of_keys(self.keys_file):
                yield ("keys_file",), f"{variable('keys_file')}: {fault}"
        for field, fault in self.jwt.faults():
            yield (field,), fault
        yield from self._misfits_of_metrics()
        if self.jwt_jwks_file is not None:
            # Only here: cryptography takes a while to import.
            from waystation_core.identity.jwks import faults_of_jwks

            for fault in faults_of_jwks(self.jwt_jwks_file):
                yield ("jwt_jwks_file",), f"{variable('jwt_jwks_file')}: {fault}"

    @property
    def jwt(self) -> JwtSettings:
        """Whose JWTs are taken, and how they are read."""
        return JwtSettings(
            issuer=self.jwt_issuer,
            audience=self.jwt_audience,
            jwks_url=self.jwt_jwks_url,
            jwks_file=self.jwt_jwks_file,
            algorithms=tuple(
                each.strip() for each in self.jwt_algorithms.split(",") if each.strip()
            ),
            roles_claim=self.jwt_roles_claim,
            services_claim=self.jwt_services_claim,
        )

    @property
    def server_tls(self) -> ServerTls:
        """TLS of the port that this process listens on."""
        return ServerTls(self.tls_cert, self.tls_key, self.tls_client_ca)

    @property
    def asks_for_credentials(self) -> bool:
        """Whether each call needs a credential."""
        return self.keys_file is not None or self.jwt.on

    @property
    def callers_known(self) -> bool:
        """Whether whoever calls this process must show who it is."""
        return self.server_tls.knows_callers or self.asks_for_credentials

    @field_validator(*_TLS_FIELDS, "keys_file", "jwt_jwks_file", mode="before")
    @classmethod
    def _set_or_not(cls, value: object) -> object:
        return value or None

    def _misfits_of_metrics(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if self.metrics_port is not None and open_to_strangers(
            self.metrics_host,
            setting=variable("metrics_host"),
            insecure=self.insecure or self.metrics_insecure,
            tls=False,
            callers_known=False,
            known_by=KNOWN_BY,
        ):
            yield (
                ("metrics_host", "metrics_insecure", "insecure"),
                f"{variable('metrics_host')}={self.metrics_host} is not on loopback, and metrics are served without "
                "encryption to everybody who reaches the port. Keep the port inside your network and set "
                f"{variable('metrics_insecure')}=true, or use 127.0.0.1.",
            )

    def misfits_of_host(self, field: str) -> Iterator[tuple[tuple[str, ...], str]]:
        """Whether the server may listen on the host in this field."""
        if fault := open_to_strangers(
            getattr(self, field),
            setting=variable(field),
            insecure=self.insecure,
            tls=self.server_tls.on,
            callers_known=self.callers_known,
            known_by=KNOWN_BY,
        ):
            yield (field, "insecure", "keys_file", *_TLS_FIELDS), fault


class ServerSettings(Settings):
    """Settings of API and router: where Postgres and RabbitMQ are, and what both need."""

    database_url: SecretStr = Field(examples=["postgresql://user:password@host:5432/database"])
    broker_url: SecretStr = Field(examples=["amqp://user:password@host:5672/vhost"])
    handler_allowlist: str = DEFAULT_ALLOWLIST
    """Networks, addresses and names that handler services may have, optionally with ports."""
    handler_tls: Literal["off", "required"] | None = None
    """Whether handlers are called over TLS; by default if `handler_tls_ca` is set."""
    handler_tls_ca: Path | None = None
    """Authorities of handlers' certificates: a PEM file. None: those that this machine trusts."""
    signing_key: Path | None = None
    """Signs the calls to handlers, so that they know who calls: a PEM file with an Ed25519 private key."""
    broker_ca: Path | None = None
    """Authorities of the broker's certificate: a PEM file. None: those that this machine trusts."""
    max_events_per_workflow: int = Field(MAX_EVENTS_PER_INSTANCE, ge=1, le=1_000_000)
    stop_grace_seconds: float = Field(10.0, ge=0.0, le=600.0)
    """How long calls in flight may take to finish after SIGTERM."""

    @field_validator("handler_tls", "handler_tls_ca", "signing_key", "broker_ca", mode="before")
    @classmethod
    def _given_or_not(cls, value: object) -> object:
        return value or None

    @property
    def calls_to_handlers(self) -> ClientTls:
        """TLS of the calls to handlers; the server's certificate is shown to those that ask for one."""
        return ClientTls(
            on=self.handler_tls == "required" or self.handler_tls_ca is not None,
            ca=self.handler_tls_ca,
            cert=self.tls_cert,
            key=self.tls_key,
            words=OF_ROUTERS,
        )

    def misfits(self) -> Iterator[tuple[tuple[str, ...], str]]:
        yield from super().misfits()
        if self.broker_ca is not None:
            if urlsplit(self.broker_url.get_secret_value()).scheme != "amqps":
                yield (
                    ("broker_ca", "broker_url"),
                    f"{variable('broker_ca')} is set, but {variable('broker_url')} does not begin with amqps://: "
                    "change one of them.",
                )
            for fault in ClientTls(on=True, ca=self.broker_ca, words=OF_BROKER).faults():
                yield ("broker_ca",), fault
        if self.handler_tls == "off" and self.handler_tls_ca is not None:
            yield (
                ("handler_tls", "handler_tls_ca"),
                f"{variable('handler_tls_ca')} is set although {variable('handler_tls')} is off: unset one of them.",
            )
            return
        if self.signing_key is not None:
            for fault in faults_of_signing_key(self.signing_key):
                yield ("signing_key",), f"{variable('signing_key')}: {fault}"
        known = set(self.server_tls.faults())
        for fault in self.calls_to_handlers.faults():
            if fault not in known:
                yield ("handler_tls", "handler_tls_ca", *_TLS_FIELDS), fault

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: SecretStr) -> SecretStr:
        return check_url(value, DATABASES)

    @field_validator("broker_url")
    @classmethod
    def _broker(cls, value: SecretStr) -> SecretStr:
        return check_url(value, BROKERS)

    @field_validator("handler_allowlist")
    @classmethod
    def _allowlist(cls, value: str) -> str:
        try:
            Allowlist.parse(value)
        except InvalidField as fault:
            raise ValueError(fault.message) from None
        return value


SettingsType = TypeVar("SettingsType", bound=Settings)


def read_settings(
    kind: type[SettingsType], environment: Mapping[str, str] | None = None
) -> SettingsType:
    """The settings of a process. Raises BadSettings with all faults."""
    environ = os.environ if environment is None else environment
    values = {
        name: environ[variable(name)] for name in kind.model_fields if variable(name) in environ
    }
    faults = _nearly_known(kind, environ)
    try:
        plan_of(environ)
    except BadFailpoints as bad:
        faults += bad.faults
    settings, wrong = None, set[str]()
    try:
        settings = kind(**values)  # type: ignore[arg-type]  # texts, which it turns into types
    except ValidationError as error:
        faults += [_fault(dict(each)) for each in error.errors(include_input=False)]
        wrong = {str(each["loc"][0]) for each in error.errors(include_input=False) if each["loc"]}
    whole = settings or _without(kind, values, wrong)
    if whole is not None:
        faults += [fault for fields, fault in whole.misfits() if wrong.isdisjoint(fields)]
    if faults or settings is None:
        raise BadSettings(faults, _known(whole, wrong))
    return settings


def _without(
    kind: type[SettingsType], values: Mapping[str, str], wrong: set[str]
) -> SettingsType | None:
    """The settings with defaults for invalid ones, and examples without a default; None if these are invalid
    together."""
    right = {name: value for name, value in values.items() if name not in wrong}
    examples = {
        name: (kind.model_fields[name].examples or [None])[0]
        for name in wrong
        if kind.model_fields[name].is_required()
    }
    try:
        return kind(**right, **examples)  # type: ignore[arg-type]
    except ValidationError:
        return None


def _known(whole: Settings | None, wrong: set[str]) -> dict[str, Any]:
    return {name: value for name, value in whole or () if name not in wrong}


def variable(name: str) -> str:
    """The variable of a field."""
    return PREFIX + name.upper()


def _fault(error: dict[str, object]) -> str:
    location = error["loc"]
    name = variable(str(location[0])) if isinstance(location, tuple) and location else "settings"
    if error["type"] == "missing":
        return f"{name} is not set and has no default."
    return f"{name}: {error['msg']}."


def _nearly_known(kind: type[Settings], environ: Mapping[str, str]) -> list[str]:
    known = [name.upper() for name in kind.model_fields]
    faults = []
    for name in sorted(environ):
        own = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and own not in known:
            near = difflib.get_close_matches(own, known, n=1, cutoff=_NEARLY)
            if near:
                faults.append(f"{name} is not a setting. Did you mean {PREFIX}{near[0]}?")
    return faults


def revealed(known: Mapping[str, Any], name: str) -> str:
    """The text of a secret; empty if it is not known."""
    secret = known.get(name)
    return secret.get_secret_value() if isinstance(secret, SecretStr) else ""
