"""The ledger of money, and what reconciliation leaves for a person."""

from alembic import op

from boxoffice.postgres.migrate import run_sql_beside

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_sql_beside(op.get_bind(), __file__)
