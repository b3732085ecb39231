"""Brings the database to the newest schema: Alembic runs plain SQL files, one process at a time; then it grants.

A schema that is newer than this code is left as it is, with its grants: a newer release runs beside this one.

The roles are made on a connection of their own: they are the cluster's, and another database that makes them would
otherwise wait for the whole of a long migration.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from boxoffice.postgres import grants, schema
from boxoffice.postgres.roles import make_roles

_MIGRATION_LOCK: Final = 0x0B0C5_0FF1CE
"""The advisory lock that makes processes which start together migrate one after the other."""


def migrate(dsn: str, tell: Callable[[str], object] = lambda _: None) -> str:
    """Run what is missing at ``dsn``, in one transaction; returns the revision that is there then.

    A later one than ours is left alone, and ``tell`` is told so. Where the roles of web and jobs cannot be made, it is
    told why, and all works without them.

    Raises:
        alembic.util.CommandError: the database is at a revision that is none of ours.
        sqlalchemy.exc.DBAPIError: the server cannot be reached, or a statement failed (nothing
            is changed then, but roles may have been made).
    """
    config = _config()
    engine = create_engine(
        _sqlalchemy_url(dsn),
        poolclass=NullPool,
        connect_args={"connect_timeout": schema.CONNECT_TIMEOUT_S},
        hide_parameters=True,
    )
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        present = schema.Present(_present(connection))
        if present.later:
            tell(present.left_alone())
            return str(present.revision)
        if present.revision != schema.newest():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        if (why := make_roles(dsn)) is not None:
            tell(f"the roles {grants.WEB} and {grants.WORKER} cannot be made or taken by this login: {why}")
        _grant(connection)
        return _present(connection) or ""


# Whether there is somebody to grant to, and what was granted last.
_GRANTED: Final = """
SELECT to_regrole(:web) IS NOT NULL AND to_regrole(:worker) IS NOT NULL,
       obj_description('alembic_version'::regclass, 'pg_class')
"""


def _grant(connection: Connection) -> None:
    """Bring what the roles may do to the list, if it is not so already."""
    roles, present = connection.execute(text(_GRANTED), {"web": grants.WEB, "worker": grants.WORKER}).one()
    mark = grants.fingerprint() + ("" if roles else schema.WITHOUT_ROLES)
    if present == mark:
        return
    if roles:
        run_script(connection, grants.script())
    run_script(connection, f"COMMENT ON TABLE alembic_version IS '{mark}'")


def run_sql_beside(connection: Connection, revision_file: str) -> None:
    """Execute the ``.sql`` that stands beside a revision's ``.py``."""
    run_script(connection, Path(revision_file).with_suffix(".sql").read_text(encoding="utf-8"))


def run_script(connection: Connection, script: str) -> None:
    """Execute a script of many statements as it stands: no placeholder is looked for in it."""
    driver = connection.connection.driver_connection
    if driver is None:
        raise RuntimeError("the connection to migrate on is closed")
    driver.execute(script)


def _present(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(schema.SCRIPTS).replace("%", "%%"))
    return config


def _sqlalchemy_url(dsn: str) -> str:
    return make_url(dsn).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
