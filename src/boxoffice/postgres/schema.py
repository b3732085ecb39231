"""Which schema this code needs, and whether a database has it: told without Alembic, whose import takes a second.

To it belongs what the roles of web and jobs may do (`boxoffice.postgres.grants`): which list of it was applied is kept
as the comment of Alembic's own table.
"""

from pathlib import Path
from typing import Final, NamedTuple

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


def reaches(revision: str | None, needed: str) -> bool:
    """Whether a database at ``revision`` has all that ``needed`` has: each number builds on the one before."""
    return revision is not None and revision.isdecimal() and int(revision) >= int(needed)


class Present(NamedTuple):
    """What a database has."""

    revision: str | None
    """None: none, or that cannot be told."""
    granted: str = ""
    """The mark of the grants that were applied."""

    @property
    def later(self) -> bool:
        """Whether a later release than this one has migrated it; what is granted there is that release's to say."""
        return self.revision != newest() and reaches(self.revision, newest())

    @property
    def ready(self) -> bool:
        """Whether it has the revision that this code needs, with its grants, or a later one."""
        return self.later or (self.revision == newest() and self.granted.startswith(grants.fingerprint()))

    def left_alone(self) -> str:
        """What an operator is told of a later one."""
        return f"the database is at revision {self.revision}, newer than this program's {newest()}: it is left as it is"


def look(dsn: str) -> Present:
    """What the database at ``dsn`` has."""
    try:
        with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S) as conn:
            found = conn.execute(_PRESENT).fetchone()
    except psycopg.Error:
        found = None
    return Present(None) if found is None else Present(str(found[0]), str(found[1]))
