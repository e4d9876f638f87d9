"""The schema's history (Alembic), applied alike to SQLite and Postgres: `python -m migrations upgrade`."""
