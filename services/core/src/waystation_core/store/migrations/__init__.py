"""Migrations of the schema, run by `waystation migrate`. They expand first and contract later, so
that servers of two neighbouring releases can work on one database."""
