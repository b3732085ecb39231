"""The box office's own tables."""

from alembic import op

from boxoffice.postgres.migrate import run_sql_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql_beside(op.get_bind(), __file__)
