"""Where a command finds its database: brought to the newest schema, and as whom each process is to use it.

The login of ``DATABASE_URL`` (or the embedded server's) owns the tables and migrates. Web and jobs use it in a role
that may do less, or have logins of their own (`boxoffice.postgres.roles`).
"""
# ruff: noqa: PLC0415  (libraries are imported where they are needed: see boxoffice.cli)

import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from boxoffice.processes import CannotRunError
from boxoffice.secrecy import without_password
from boxoffice.settings import Settings

if TYPE_CHECKING:
    from boxoffice.postgres.roles import Addresses

WEB_URL: Final = "WEB_DATABASE_URL"
WORKER_URL: Final = "WORKER_DATABASE_URL"


@contextmanager
def owned(settings: Settings, *, migrate: bool = False) -> Generator[str]:
    """The address of the database for its owner, who may do everything; migrated where it is needed, or told to.

    Raises:
        CannotRunError: it does not start, cannot be reached or made ready, or its owner is not known here.
    """
    from boxoffice.postgres import embedded

    given = _logins_given(settings)
    if settings.database_url is None and given:
        raise CannotRunError(f"DATABASE_URL: this needs the owner's address, beside {' and '.join(given)}", exit_code=2)
    with ExitStack() as stack:
        try:
            dsn = stack.enter_context(embedded.database(settings))
        except (OSError, subprocess.SubprocessError) as error:
            log = settings.data_dir / "postgres" / "log"
            raise CannotRunError(f"the embedded PostgreSQL does not start ({error}); see {log}") from error
        _migrate(dsn, anyway=migrate)
        _put_logins(dsn, given)
        yield dsn


@contextmanager
def served(settings: Settings, *needed: str) -> Generator["Addresses"]:
    """The addresses of the database for the processes that serve; ``needed`` are the settings that this command uses.

    Where only the logins of web and jobs are known, nothing is migrated, and the database must be ready.

    Raises:
        CannotRunError: as `owned`; or the database is not ready, and its owner not known here.
    """
    from boxoffice.postgres.grants import WEB, WORKER
    from boxoffice.postgres.roles import Addresses, as_role

    given = _logins_given(settings)
    if settings.database_url is None and given:
        yield _ready(given, needed)
        return
    with owned(settings) as dsn:
        web = given.get(WEB_URL) or as_role(dsn, WEB)
        worker = given.get(WORKER_URL) or as_role(dsn, WORKER)
        if web is None or worker is None:
            tell(f"this login cannot take the roles {WEB} and {WORKER}: web and jobs run with all that it may do")
        yield Addresses(owner=dsn, web=web or dsn, worker=worker or dsn)


def tell(line: str) -> None:
    """A line for whoever starts this, beside what the command says."""
    print(f"boxoffice: {line}", file=sys.stderr, flush=True)  # noqa: T201  (the operator's terminal)


def _logins_given(settings: Settings) -> dict[str, str]:
    given = {WEB_URL: settings.web_database_url, WORKER_URL: settings.worker_database_url}
    return {name: url for name, url in given.items() if url is not None}


def _ready(given: Mapping[str, str], needed: tuple[str, ...]) -> "Addresses":
    from boxoffice.postgres.roles import Addresses
    from boxoffice.postgres.schema import look, newest

    for name in needed:
        if name not in given:
            raise CannotRunError(f"{name}: must be set, where DATABASE_URL is not", exit_code=2)
        found = look(given[name])
        if not found.ready:
            raise CannotRunError(
                f"{name}: no database at revision {newest()} or a later one is there for this login;"
                " is it reachable, and has `boxoffice migrate` been run with DATABASE_URL?"
            )
        if found.later and name == needed[0]:
            tell(found.left_alone())
    return Addresses(owner=None, web=given.get(WEB_URL, ""), worker=given.get(WORKER_URL, ""))


def _migrate(dsn: str, *, anyway: bool) -> None:
    from boxoffice.postgres.schema import look

    found = look(dsn)
    if found.later:
        tell(found.left_alone())
    if found.later or (found.ready and not anyway):
        return
    from alembic.util import CommandError
    from sqlalchemy.exc import ArgumentError, DBAPIError

    from boxoffice.postgres.migrate import migrate

    try:
        migrate(dsn, tell)
    except ArgumentError as error:
        raise CannotRunError("DATABASE_URL: not an address that can be read", exit_code=2) from error
    except DBAPIError as error:
        why = str(error.orig).strip().splitlines()[0]
        raise CannotRunError(f"the database at {without_password(dsn)} cannot be used: {why}") from error
    except CommandError as error:
        raise CannotRunError(f"the database at {without_password(dsn)} has another schema: {error}") from error


def _put_logins(dsn: str, given: Mapping[str, str]) -> None:
    if not given:
        return
    import psycopg

    from boxoffice.postgres.grants import WEB, WORKER
    from boxoffice.postgres.roles import RolesError, put_login

    try:
        for name, role in ((WEB_URL, WEB), (WORKER_URL, WORKER)):
            if name in given:
                put_login(dsn, given[name], name, role)
    except RolesError as error:
        raise CannotRunError(str(error), exit_code=2) from error
    except psycopg.Error as error:
        raise CannotRunError(f"the logins of web and jobs: {str(error).strip().splitlines()[0]}") from error
