"""Payments by when they were over."""

from alembic import op

from boxoffice.postgres.migrate import run_sql_beside

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_sql_beside(op.get_bind(), __file__)
