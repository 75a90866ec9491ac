"""`waystation migrate`: once, again, and where there is no Postgres."""

from __future__ import annotations

import json

import psycopg
import pytest
from typer.testing import CliRunner

from localservers.postgres import PostgresServer
from waystation_cli.app import app


def test_the_schema_is_brought_up_to_date_once(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYSTATION_DATABASE_URL", empty_database_url)
    dry = CliRunner().invoke(app, ["migrate", "--dry-run"], catch_exceptions=False)
    assert "would be migrated from version none to " in " ".join(dry.stdout.split())
    first = CliRunner().invoke(app, ["migrate", "--json"], catch_exceptions=False)
    assert first.exit_code == 0, first.output
    said = json.loads(first.stdout)
    assert said["version_before"] is None
    again = CliRunner().invoke(app, ["migrate"], catch_exceptions=False)
    assert again.exit_code == 0
    assert f"at version {said['version']}; nothing to do" in again.stdout
    dry = CliRunner().invoke(app, ["migrate", "--dry-run"], catch_exceptions=False)
    assert dry.stdout == again.stdout


def test_no_postgres_says_where_it_was_looked_for_and_keeps_the_password() -> None:
    nowhere = "postgresql://somebody:secret@127.0.0.1:1/claims"
    result = CliRunner().invoke(
        app, ["migrate", "--database-url", nowhere, "--wait", "600ms"], catch_exceptions=False
    )
    assert result.exit_code == 8
    assert "Waiting for Postgres at 127.0.0.1:1/claims" in result.stderr
    assert "WAYSTATION_DATABASE_URL" in result.stderr
    assert "secret" not in result.output


@pytest.mark.parametrize("url", ["sqlite:///secret", "secret"])
def test_another_database_is_a_usage_error_that_keeps_the_password(url: str) -> None:
    result = CliRunner().invoke(app, ["migrate", "--database-url", url])
    assert result.exit_code == 2
    assert "postgresql://" in result.stderr
    assert "secret" not in result.output


@pytest.mark.parametrize(
    ("how", "code", "says"),
    [
        (
            "UPDATE alembic_version SET version_num = '9999';"
            "UPDATE schema_compatibility SET works_from = '9999'",
            7,
            "A schema cannot be downgraded.",
        ),
        ("REVOKE SELECT ON alembic_version FROM someone", 7, "permission denied"),
    ],
)
def test_what_can_not_be_migrated_is_told_without_a_traceback(
    database_url: str, monkeypatch: pytest.MonkeyPatch, how: str, code: int, says: str
) -> None:
    url = database_url
    with psycopg.connect(url, autocommit=True) as connection:
        if "someone" in how:
            connection.execute(
                "DO $$BEGIN CREATE ROLE someone LOGIN; EXCEPTION WHEN duplicate_object THEN END$$"
            )
            url = url.replace("postgres@", "someone@")
        connection.execute(how)
    monkeypatch.setenv("WAYSTATION_DATABASE_URL", url)
    result = CliRunner().invoke(app, ["migrate"], catch_exceptions=False)
    assert result.exit_code == code
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_an_encoding_that_can_not_hold_every_text_is_a_wrong_setting(
    postgres: PostgresServer, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE DATABASE in_ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
        )
    monkeypatch.setenv("WAYSTATION_DATABASE_URL", postgres.dsn("in_ascii"))
    result = CliRunner().invoke(app, ["migrate"], catch_exceptions=False)
    postgres.drop_database(postgres.dsn("in_ascii"))
    assert result.exit_code == 78
    assert "must be UTF8" in result.stderr


def test_a_table_in_use_is_not_waited_for_while_others_wait_behind(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waystation_core.store.migration.LOCK_TIMEOUT_SECONDS", 0.05)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num varchar(32))")
        connection.commit()
        connection.execute("LOCK TABLE alembic_version")
        command = ["migrate", "--database-url", empty_database_url, "--json"]
        result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert "TABLE_IN_USE" in result.output
    assert "pg_stat_activity" in result.output
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
