"""The roles of web and jobs: made for the whole cluster, taken by connections as they open, or by logins of their own.

By default both take their role at the start of each connection, so that a wrong or smuggled statement can do no more
than their own could (docs/decisions/0022). Where ``WEB_DATABASE_URL`` and ``WORKER_DATABASE_URL`` name logins, those
are members of their role alone and have no way back to the owner.

Roles belong to the cluster while every database migrates by itself, so that any of these statements can meet its twin
from another database: what the twin has done is as good as done by us.
"""

import time
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

import msgspec
import psycopg
from psycopg import sql

from boxoffice.postgres.grants import WEB, WORKER
from boxoffice.postgres.schema import CONNECT_TIMEOUT_S

TRIES_MAX: Final = 20
"""Of a statement about roles that meets twins."""
_PAUSE_S: Final = 0.05
_SET_OPTION_SINCE: Final = 160_000
"""PostgreSQL 16: to be a member, and to be allowed to become, are two things."""


class RolesError(Exception):
    """The roles cannot be as the settings want them; the text says why, without a secret."""


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where each process finds the database, and as whom."""

    owner: str | None
    """Who migrates; None: not known here."""
    web: str
    worker: str


def with_role(dsn: str, role: str) -> str:
    """The address for connections that take ``role`` as they open, understood by asyncpg and libpq alike."""
    parts = urlsplit(dsn)
    query = parse_qsl(parts.query, keep_blank_values=True)
    options = [value for name, value in query if name == "options"]
    others = [(name, value) for name, value in query if name != "options"]
    query = [*others, ("options", " ".join([*options, f"-c role={role}"]))]
    # quote and not urlencode: libpq takes a plus sign for a plus sign.
    text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    return urlunsplit(parts._replace(query=text))


# A table that both roles read: whoever sees it has been granted what the role has.
_PROBE: Final = b"SELECT FROM alembic_version"


def as_role(dsn: str, role: str) -> str | None:
    """The address for connections that take ``role``; None where the login of ``dsn`` cannot."""
    address = with_role(dsn, role)
    try:
        with psycopg.connect(address, connect_timeout=CONNECT_TIMEOUT_S) as conn:
            conn.execute(_PROBE)
    except psycopg.Error:
        return None
    return address


def make_roles(dsn: str) -> str | None:
    """Make the roles of the cluster, and let the login of ``dsn`` take them; why it could not, in a few words, or None.

    Raises:
        psycopg.Error: the server cannot be reached.
    """
    with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S, autocommit=True) as conn:
        for role in (WEB, WORKER):
            name = sql.Identifier(role)
            try:
                if not _there(conn, role):
                    _insist(conn, sql.SQL("CREATE ROLE {} NOLOGIN").format(name), lambda role=role: _there(conn, role))
                if not _may_take(conn, role):
                    option = " WITH INHERIT FALSE, SET TRUE" if _knows_set_option(conn) else ""
                    grant = sql.SQL("GRANT {} TO CURRENT_USER").format(name) + sql.SQL(option)
                    _insist(conn, grant, lambda role=role: _may_take(conn, role))
            except psycopg.errors.InsufficientPrivilege as error:
                return str(error).splitlines()[0]
    return None


def put_login(owner: str, url: str, setting: str, role: str) -> None:
    """Have the login of ``url`` be there, with its password, as a member of ``role`` and of nothing else.

    Raises:
        RolesError: it cannot be, or must not: the owner's own login, or one that may do more.
        psycopg.Error: the server cannot be reached with ``owner``.
    """
    parts = urlsplit(url)
    name, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not name:
        raise RolesError(f"{setting}: names no user")
    with psycopg.connect(owner, connect_timeout=CONNECT_TIMEOUT_S, autocommit=True) as conn:
        _refuse_mighty(conn, name, setting, role)
        if signs_in(url, role):
            return
        login = sql.Identifier(name)
        # Only its verifier goes to the server, so that no log of statements has the password.
        verifier = conn.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        secret = sql.SQL(" PASSWORD {}").format(sql.Literal(verifier)) if password else sql.SQL("")
        try:
            if not _there(conn, name):
                _insist(conn, sql.SQL("CREATE ROLE {} LOGIN").format(login), lambda: _there(conn, name))
            _insist(conn, sql.SQL("ALTER ROLE {} LOGIN").format(login) + secret, lambda: False)
            member = sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), login)
            _insist(conn, member, lambda: _is_member(conn, name, role))
        except psycopg.errors.InsufficientPrivilege as error:
            raise RolesError(f"{setting}: {name} cannot be made here: {str(error).splitlines()[0]}") from error
    if not signs_in(url, role):
        raise RolesError(f"{setting}: {name} is there, and yet cannot sign in at that address")


def signs_in(url: str, role: str) -> bool:
    """Whether ``url`` is good, and its login has what ``role`` may do."""
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S) as conn:
            return _is_member(conn, None, role)
    except psycopg.Error:
        return False


# What makes a login more than a member of one role: what it may by itself, what is its own, what else it belongs to.
_MIGHT: Final = """
SELECT CASE WHEN r.rolname = current_user OR r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication
                 OR r.rolbypassrls OR EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid)
                 THEN 'may do more'
            WHEN EXISTS (SELECT FROM pg_auth_members m
                          WHERE m.member = r.oid AND m.roleid IS DISTINCT FROM to_regrole(%(role)s))
                 THEN 'is a member of other roles'
       END
  FROM pg_roles r WHERE r.rolname = %(name)s
"""


def _refuse_mighty(conn: psycopg.Connection, name: str, setting: str, role: str) -> None:
    found = conn.execute(_MIGHT.encode(), {"name": name, "role": role}).fetchone()
    if found is not None and found[0] is not None:
        raise RolesError(f"{setting}: {name} {found[0]}, and must be a member of {role} alone")


def _insist(conn: psycopg.Connection, statement: sql.SQL | sql.Composed, done: Callable[[], bool]) -> None:
    """Execute a statement about roles until it took effect, here or by a twin."""
    for left in reversed(range(TRIES_MAX)):
        try:
            conn.execute(statement)
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation, psycopg.errors.InternalError_):
            # It is there, or its row in the catalogue was changed by a twin in this very moment.
            if not left:
                raise
            if done():
                return
            time.sleep(_PAUSE_S)
        else:
            return


def _there(conn: psycopg.Connection, role: str) -> bool:
    return _true(conn, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", role)


def _may_take(conn: psycopg.Connection, role: str) -> bool:
    kind = "SET" if _knows_set_option(conn) else "MEMBER"
    return _true(conn, "SELECT pg_has_role(current_user, %s, %s)", role, kind)


def _is_member(conn: psycopg.Connection, name: str | None, role: str) -> bool:
    """Whether ``name`` (None: who is connected) has what ``role`` may do."""
    if not _there(conn, role):
        return False
    return _true(conn, "SELECT pg_has_role(coalesce(%s, current_user), %s, 'USAGE')", name, role)


def _knows_set_option(conn: psycopg.Connection) -> bool:
    return conn.info.server_version >= _SET_OPTION_SINCE


def _true(conn: psycopg.Connection, question: str, *told: str | None) -> bool:
    found = conn.execute(question.encode(), told).fetchone()
    return found is not None and bool(found[0])
