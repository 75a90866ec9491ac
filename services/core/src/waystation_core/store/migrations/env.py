"""Alembic's entry: runs the migrations on the connection that `store.migration` gives it."""

from __future__ import annotations

from alembic import context

from waystation_core.store.tables import metadata

connection = context.config.attributes["connection"]
# All in one transaction: a server that waits for its schema would take a half-done way for another release's.
context.configure(
    connection=connection,
    target_metadata=metadata,
    transaction_per_migration=False,
    on_version_apply=context.config.attributes.get("on_version_apply"),
)
with context.begin_transaction():
    context.run_migrations()
