"""How many letters can be had without paying for them."""

from alembic import op

from boxoffice.postgres.migrate import run_sql_beside

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_sql_beside(op.get_bind(), __file__)
