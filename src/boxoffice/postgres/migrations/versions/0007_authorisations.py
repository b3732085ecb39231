"""Money may be set aside before it is taken."""

from alembic import op

from boxoffice.postgres.migrate import run_sql_beside

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql_beside(op.get_bind(), __file__)
