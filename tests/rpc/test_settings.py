"""Settings: all faults at once, no secrets, near misses caught."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from waystation_api.settings import ApiSettings, static_registrations
from waystation_core.rpc import logs
from waystation_core.rpc.settings import BadSettings, read_settings, revealed
from waystation_core.rpc.urls import BROKERS, DATABASES, check_url, place_of
from waystation_router.settings import RouterSettings

GOOD = {
    "WAYSTATION_DATABASE_URL": "postgresql://u:hunter2@db/w",
    "WAYSTATION_BROKER_URL": "amqp://u:hunter2@mq/",
}


def test_defaults_are_those_of_the_documentation() -> None:
    settings = read_settings(ApiSettings, GOOD)
    assert (settings.api_host, settings.api_port) == ("127.0.0.1", 7400)
    assert settings.database_url == SecretStr(GOOD["WAYSTATION_DATABASE_URL"])
    assert "hunter2" not in repr(settings)


def test_every_fault_is_reported_and_no_secret_is() -> None:
    with pytest.raises(BadSettings) as caught:
        read_settings(
            ApiSettings,
            {
                "WAYSTATION_DATABASE_URL": "mysql://u:hunter2@db/w",
                "WAYSTATION_API_PORT": "70000",
                "WAYSTATION_HANDLER_ALLOWLIST": "10.0.0.0/99",
                "WAYSTATION_API_HSOT": "127.0.0.1",
                "WAYSTATION_ROUTER_PORT": "7401",
                "WAYSTATION_ADDRESS": "127.0.0.1:7400",
            },
        )
    told = str(caught.value)
    assert len(caught.value.faults) == 5
    for name in ("DATABASE_URL", "BROKER_URL", "API_PORT", "HANDLER_ALLOWLIST", "API_HSOT"):
        assert f"WAYSTATION_{name}" in told
    assert "Did you mean WAYSTATION_API_HOST?" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("kind", [ApiSettings, RouterSettings])
def test_settings_that_do_not_fit_each_other_are_reported_with_the_wrong_ones(
    kind: type[ApiSettings | RouterSettings], tmp_path: Path
) -> None:
    file = tmp_path / "handlers.json"
    file.write_text('[{"service_name": "a"}, {"service_name": "b"}]')
    environment = {
        **GOOD,
        "WAYSTATION_BROKER_URL": "amqp://u:hunter2@mq:port/",
        "WAYSTATION_STOP_GRACE_SECONDS": "long",
        "WAYSTATION_API_HOST": "0.0.0.0",
        "WAYSTATION_ROUTER_HOST": "0.0.0.0",
        "WAYSTATION_HANDLERS_FILE": str(file),
        "WAYSTATION_MAX_HANDLERS": "1",
    }
    with pytest.raises(BadSettings) as caught:
        read_settings(kind, environment)
    told = str(caught.value)
    for word in ("BROKER_URL: Value error, its port", "STOP_GRACE", "WAYSTATION_INSECURE=true"):
        assert word in told
    assert ("MAX_HANDLERS is 1" in told) is (kind is ApiSettings)
    assert "hunter2" not in told
    # What is right can be asked further.
    known = caught.value.known
    assert revealed(known, "database_url") == GOOD["WAYSTATION_DATABASE_URL"]
    assert revealed(known, "broker_url") == ""
    assert known["unsafe_database"] is False
    with pytest.raises(BadSettings) as caught:
        read_settings(kind, {**environment, "WAYSTATION_INSECURE": "perhaps"})
    assert "INSECURE: " in str(caught.value)
    assert "no authentication" not in str(caught.value), "whether it fits can't be known"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"servce_name": "x"}]'])
def test_a_file_of_registrations_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "handlers.json"
    file.write_text(text)
    with pytest.raises(BadSettings, match="WAYSTATION_HANDLERS_FILE"):
        static_registrations(file)
    with pytest.raises(BadSettings, match="cannot be read"):
        static_registrations(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://u:hunter2@mq/v", "mq:5672/v"),
        ("postgresql:///w", "the local socket:5432/w"),
        ("postgresql://u:hunter2@a:1,b/w?target_session_attrs=read-write", "a:1,b:5432/w"),
        ("postgresql://u:hunter2@a:port/w", "a:5432/w"),
    ],
)
def test_urls_are_shown_without_their_password(url: str, shown: str) -> None:
    assert place_of(url) == shown


def test_only_a_database_may_have_several_hosts() -> None:
    database = SecretStr("postgresql://u:p@a:5432,b:5433/w?target_session_attrs=read-write")
    assert check_url(database, DATABASES) is database
    for url, schemes in (
        ("postgresql://u:p@a:5432,b:port/w", DATABASES),
        ("amqp://u:p@a:5672,b:5673/", BROKERS),
    ):
        with pytest.raises(ValueError, match="its port must be a number"):
            check_url(SecretStr(url), schemes)


def test_logs_are_lines_of_json_or_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    try:
        for form in ("json", "console"):
            logs.configure(form, "info", process="test")
            structlog.get_logger("fresh").info("started", workflow_instance_id="w-1")
            structlog.get_logger("fresh").debug("hidden")
            out = capsys.readouterr()
            (line,) = (out.err or out.out).splitlines()
            if form == "json":
                told = json.loads(line)
                assert (told["event"], told["workflow_instance_id"], told["level"]) == (
                    "started",
                    "w-1",
                    "info",
                )
            else:
                assert re.search(r"started.*w-1", line)
    finally:
        structlog.configure(**before)
        structlog.contextvars.clear_contextvars()


def test_a_router_takes_its_pool_and_bindings_from_the_environment() -> None:
    settings = read_settings(
        RouterSettings,
        {
            **GOOD,
            "WAYSTATION_ROUTER_POOL": "fraud",
            "WAYSTATION_ROUTER_BINDINGS": "fraud.#, *.risk",
        },
    )
    assert (settings.router_pool, settings.router_bindings) == ("fraud", ("fraud.#", "*.risk"))
    settings = read_settings(RouterSettings, GOOD)
    assert (settings.router_pool, settings.router_bindings) == ("default", ())


@pytest.mark.parametrize(
    ("pool", "bindings", "told"),
    [
        ("No Pool", "fraud*,a..#,x y", ("POOL", "BINDINGS", '"fraud*"', '"x y"')),
        ("fraud", None, ("BINDINGS", "at least one binding")),
        ("default", "fraud.#", ("BINDINGS", "no bindings")),
        ("fraud", "", ("BINDINGS",)),
    ],
)
def test_every_fault_of_a_pool_is_reported(
    pool: str, bindings: str | None, told: tuple[str, ...]
) -> None:
    environment = {**GOOD, "WAYSTATION_ROUTER_POOL": pool}
    if bindings is not None:
        environment["WAYSTATION_ROUTER_BINDINGS"] = bindings
    with pytest.raises(BadSettings) as caught:
        read_settings(RouterSettings, environment)
    for part in told:
        assert part in str(caught.value)
