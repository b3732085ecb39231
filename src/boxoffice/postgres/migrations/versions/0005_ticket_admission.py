"""Which tickets have been used."""

from alembic import op

from boxoffice.postgres.migrate import run_sql_beside

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql_beside(op.get_bind(), __file__)
