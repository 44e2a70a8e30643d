"""What Alembic runs: always on a connection that we hand over, never from a file of its own."""

from alembic import context

from twokey.store.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
