"""procrastinate's tables, as the pinned release ships them.

A later release that changes its schema brings its own migration files: run those in a
revision of ours. `tests/migrations` fails when the installed release is not this one.
"""

from alembic import op
from procrastinate.schema import SchemaManager

from boxoffice.postgres.migrate import run_script

revision = "0002"
down_revision = "0001"

PROCRASTINATE_VERSION = "3.10.0"


def upgrade() -> None:
    run_script(op.get_bind(), SchemaManager.get_schema())
