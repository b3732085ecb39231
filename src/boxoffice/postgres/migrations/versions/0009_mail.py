"""Letters to buyers: where they go, and which have gone."""

from alembic import op

from boxoffice.postgres.migrate import run_sql_beside

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_sql_beside(op.get_bind(), __file__)
