"""The built-in gateway's books."""

from alembic import op

from boxoffice.postgres.migrate import run_sql_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql_beside(op.get_bind(), __file__)
