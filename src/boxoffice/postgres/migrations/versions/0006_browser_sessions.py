"""Sessions of browsers, told apart from those of API clients."""

from alembic import op

from boxoffice.postgres.migrate import run_sql_beside

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql_beside(op.get_bind(), __file__)
