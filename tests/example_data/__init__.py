"""The example's claims and tasks, run as plain functions: needs no server."""
