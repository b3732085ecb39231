"""What waits for a person, and is settled by one."""

from alembic import op

from boxoffice.postgres.migrate import run_sql_beside

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_sql_beside(op.get_bind(), __file__)
