"""Which schema this code needs, and whether a database has it: told without Alembic, whose import takes a second.

To it belongs what the roles of web and jobs may do (`boxoffice.postgres.grants`): which list of it was applied is kept
as the comment of Alembic's own table.
"""

from pathlib import Path
from typing import Final

import psycopg

from boxoffice.postgres import grants

SCRIPTS: Final = Path(__file__).parent / "migrations"
CONNECT_TIMEOUT_S: Final = 10
"""A server that does not answer within this is taken to be out of reach."""

# The revision that a database has, as Alembic keeps it, and which grants were applied to it.
_PRESENT: Final = b"SELECT version_num, obj_description('alembic_version'::regclass, 'pg_class') FROM alembic_version"
WITHOUT_ROLES: Final = " without roles"
"""Follows the mark of grants that could not be applied, since the roles could not be made."""


def newest() -> str:
    """The revision that this code needs: the files are numbered, so it is that of the last one."""
    return max(script.name.split("_")[0] for script in (SCRIPTS / "versions").glob("[0-9]*_*.py"))


def is_newest(dsn: str) -> bool:
    """Whether the database at ``dsn`` has that revision and its grants; where that cannot be told it is False."""
    try:
        with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S) as conn:
            found = conn.execute(_PRESENT).fetchone()
    except psycopg.Error:
        return False
    return found is not None and found[0] == newest() and str(found[1]).startswith(grants.fingerprint())
