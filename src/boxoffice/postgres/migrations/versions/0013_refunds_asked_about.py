"""When a gateway was last asked about a refund that is under way."""

from alembic import op

from boxoffice.postgres.migrate import run_sql_beside

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_sql_beside(op.get_bind(), __file__)
