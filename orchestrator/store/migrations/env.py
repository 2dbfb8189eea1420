"""Alembic's entry point: runs migrations on the connection it is handed; it must not read configuration of its own."""

from alembic import context

from orchestrator.store.schema import PREFIX, metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=PREFIX + "version",
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
