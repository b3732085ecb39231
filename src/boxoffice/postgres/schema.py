"""Which schema this code needs, and whether a database has it: told without Alembic, whose import takes a second."""

from pathlib import Path
from typing import Final

import psycopg

SCRIPTS: Final = Path(__file__).parent / "migrations"
CONNECT_TIMEOUT_S: Final = 10
"""A server that does not answer within this is taken to be out of reach."""

# The revision that a database has, as Alembic keeps it.
_PRESENT: Final = b"SELECT version_num FROM alembic_version"


def newest() -> str:
    """The revision that this code needs: the files are numbered, so it is that of the last one."""
    return max(script.name.split("_")[0] for script in (SCRIPTS / "versions").glob("[0-9]*_*.py"))


def is_newest(dsn: str) -> bool:
    """Whether the database at ``dsn`` has that revision; where that cannot be told it is False."""
    try:
        with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S) as conn:
            found = conn.execute(_PRESENT).fetchone()
    except psycopg.Error:
        return False
    return found is not None and found[0] == newest()
