"""Alembic's entry: runs the revisions on the connection that `boxoffice.postgres.migrate` passes in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
