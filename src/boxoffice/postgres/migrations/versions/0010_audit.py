"""What people who work here have done."""

from alembic import op

from boxoffice.postgres.migrate import run_sql_beside

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_sql_beside(op.get_bind(), __file__)
