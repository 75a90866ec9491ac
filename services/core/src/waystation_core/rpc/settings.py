"""Settings: one class per process, read once from `WAYSTATION_*`, all faults told at once.

    class ApiSettings(Settings):
        database_url: SecretStr
        api_port: int = 7400

    settings = read_settings(ApiSettings)   # raises BadSettings

Several processes share one environment, so names that belong to others are let pass; a name that
is nearly one of this process's own is refused, because it was meant to be that one.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from waystation_core.failpoints import BadFailpoints, plan_of

PREFIX = "WAYSTATION_"
EXIT_BAD_SETTINGS = 78
"""EX_CONFIG of sysexits.h."""

_NEARLY = 0.85


class BadSettings(Exception):
    """Faults of the environment, each a sentence with the name of its variable; no secrets."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"- {fault}" for fault in faults))


class Settings(BaseSettings):
    """What every process has."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    log_format: Literal["console", "json"] = "console"
    """`json` is one object per line."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    insecure: bool = False
    """Lets servers listen off loopback though there is no authentication yet."""
    unsafe_database: bool = False
    """Accepts a Postgres that may lose what it has confirmed, as tests have it."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What it is made with, and nothing else: `read_settings` reads the environment."""
        return (init_settings,)


SettingsType = TypeVar("SettingsType", bound=Settings)


def read_settings(
    kind: type[SettingsType], environment: Mapping[str, str] | None = None
) -> SettingsType:
    """The settings of a process. Raises BadSettings with every fault there is."""
    environ = os.environ if environment is None else environment
    values = {
        name: environ[variable(name)] for name in kind.model_fields if variable(name) in environ
    }
    faults = _nearly_known(kind, environ)
    try:
        plan_of(environ)
    except BadFailpoints as bad:
        faults += bad.faults
    settings = None
    try:
        settings = kind(**values)  # type: ignore[arg-type]  # texts, which it turns into types
    except ValidationError as error:
        faults += [_fault(dict(each)) for each in error.errors(include_input=False)]
    if faults or settings is None:
        raise BadSettings(faults)
    return settings


def variable(name: str) -> str:
    """The variable of a field."""
    return PREFIX + name.upper()


def _fault(error: dict[str, object]) -> str:
    location = error["loc"]
    name = variable(str(location[0])) if isinstance(location, tuple) and location else "settings"
    if error["type"] == "missing":
        return f"{name} is not set, and it has no default."
    return f"{name}: {error['msg']}."


def _nearly_known(kind: type[Settings], environ: Mapping[str, str]) -> list[str]:
    known = [name.upper() for name in kind.model_fields]
    faults = []
    for name in sorted(environ):
        own = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and own not in known:
            near = difflib.get_close_matches(own, known, n=1, cutoff=_NEARLY)
            if near:
                faults.append(f"{name} is no setting. Did you mean {PREFIX}{near[0]}?")
    return faults


def check_url(value: SecretStr, schemes: Sequence[str]) -> SecretStr:
    """For validators: a URL with one of these schemes. Raises ValueError without its text."""
    try:
        scheme = urlsplit(value.get_secret_value()).scheme
    except ValueError:
        scheme = ""
    if scheme not in schemes:
        raise ValueError(f"must begin with {' or '.join(f'{known}://' for known in schemes)}")
    return value


def masked(url: str) -> str:
    """A URL as logs may show it: where, but not with which password."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an unreadable URL"
    user = f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{user}{host}{port}{parts.path}"
