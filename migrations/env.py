"""What Alembic runs for every command. The connection comes from `migrations.commands`, or from the settings."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from service.database import imported_tables, webhook_tables  # noqa: F401 - they register their tables
from service.database.session import open_engine
from service.database.tables import Base
from service.settings import settings


def run(connection: Connection) -> None:
    """Runs the chosen migrations in the connection's transaction; SQLite can roll DDL back too."""
    context.configure(
        connection=connection, target_metadata=Base.metadata, render_as_batch=True, transactional_ddl=True,
        compare_type=True,
    )  # fmt: skip
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if isinstance(given, Connection):
    run(given)
else:
    with open_engine(settings().database_address).begin() as opened:
        run(opened)
