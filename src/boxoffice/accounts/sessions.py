"""Sessions: one sign-in on one device, ended by signing out or by a stolen refresh token.

An API client's session has refresh tokens, a browser's the token of its cookie; neither is worth anything in the
other's place. An access token names its session. Whether that lives, and which role its account has, is asked
of the database and believed for at most `STANDING_SECONDS`: a sign-out or a changed role takes
effect everywhere within that time, and at once in the process that did it.

A refresh token that is used again ends its session, since one of the two who have it stole it: it names the session
and is signed, so that it is known however often the session went on since. Of tokens that are not signed with the
present secret (an older release's, or from before ``SECRET_KEY`` changed) the session is found by the hash: they work
once, and are known again until the token after them is used.
"""

import time
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from boxoffice.accounts.callers import Caller, InvalidTokenError, Role
from boxoffice.accounts.recent import Recent
from boxoffice.accounts.tokens import digest
from boxoffice.postgres.pool import Connection, Pool, connection

SESSION_DAYS: Final = 30
"""A session that is not refreshed, or whose browser does not come, for this long is over; a guest's too."""
STANDING_SECONDS: Final = 5.0
STANDINGS_MAX: Final = 20_000


# Opens a session with its first refresh token.
_OPEN = """
INSERT INTO account_session (id, account_id, refresh_hash, expires_at)
VALUES ($1, $2, $3, now() + make_interval(days => $4))
"""


async def open_session(conn: Connection, session_id: UUID, account_id: UUID, refresh_token: str) -> None:
    """Open a session of the account with this id, which the token names."""
    await conn.execute(_OPEN, session_id, account_id, digest(refresh_token), SESSION_DAYS)


# Opens a session with the token of a browser's cookie.
_OPEN_BROWSER = """
INSERT INTO account_session (id, account_id, browser_hash, expires_at)
VALUES ($1, $2, $3, now() + make_interval(days => $4))
"""


async def open_browser_session(conn: Connection, session_id: UUID, account_id: UUID, cookie_token: str) -> None:
    """Open a session of the account in a browser with this id."""
    await conn.execute(_OPEN_BROWSER, session_id, account_id, digest(cookie_token), SESSION_DAYS)


# The session whose refresh token this is.
_GOOD_FOR = """
SELECT id FROM account_session WHERE refresh_hash = $1
"""


async def session_of_token(conn: Connection, refresh_token: str) -> UUID | None:
    """The session that a refresh token is good for which does not name it: of an older release, or another secret."""
    return await conn.fetchval(_GOOD_FOR, digest(refresh_token))


# Uses a refresh token up and sets the next: of two requests with the same one, only one finds it.
_ROTATE = """
UPDATE account_session s
SET refresh_hash = $2, previous_refresh_hash = s.refresh_hash,
    expires_at = now() + make_interval(days => $3)
FROM account a
WHERE s.refresh_hash = $1 AND s.id = $4 AND s.ended_at IS NULL AND s.expires_at > now() AND a.id = s.account_id
RETURNING s.account_id AS user_id, s.id AS session_id, a.role, a.email IS NULL AS guest
"""


async def rotate(conn: Connection, session_id: UUID, used: str, following: str) -> Caller | None:
    """Whose session continues with the refresh token ``following``; None if ``used`` is not good."""
    found = await conn.fetchrow(_ROTATE, digest(used), digest(following), SESSION_DAYS, session_id)
    return None if found is None else _caller(found)


# Ends the session of a refresh token that was used before: the one that it names or, where it names none, the one whose
# last it was.
_END_STOLEN = """
UPDATE account_session SET ended_at = now()
WHERE (id = $2 OR previous_refresh_hash = $1) AND refresh_hash <> $1 AND ended_at IS NULL RETURNING id
"""


async def end_stolen(conn: Connection, used: str, session_id: UUID | None) -> UUID | None:
    """End the session that ``used`` was a refresh token of, and is no more; its id, or None if there is no such.

    ``session_id`` is what the token says, if its signature is ours.
    """
    return await conn.fetchval(_END_STOLEN, digest(used), session_id)


# Ends one session.
_END = """
UPDATE account_session SET ended_at = now() WHERE id = $1 AND ended_at IS NULL
"""


async def end_session(conn: Connection, session_id: UUID) -> None:
    """End a session, if it is not over."""
    await conn.execute(_END, session_id)


# Ends all sessions of an account.
_END_ALL = """
UPDATE account_session SET ended_at = now() WHERE account_id = $1 AND ended_at IS NULL
"""


async def end_sessions_of(conn: Connection, account_id: UUID) -> None:
    """End every session of an account."""
    await conn.execute(_END_ALL, account_id)


class _Standing(msgspec.Struct, frozen=True):
    caller: Caller
    fresh_until: float
    """By the monotonic clock."""


class Standings:
    """Who the callers of sessions are, as the database said a moment ago."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._recent: Recent[UUID, _Standing] = Recent(STANDINGS_MAX)
        self._browsers: Recent[bytes, UUID] = Recent(STANDINGS_MAX)
        """The session of a cookie's token, by the token's digest: that never changes, only its standing does."""
        self._changes = 0

    def known(self, session_id: UUID) -> Caller | None:
        """The caller of a session, if the database has said so just now."""
        standing = self._recent.get(session_id)
        return standing.caller if standing is not None and standing.fresh_until > time.monotonic() else None

    async def of(self, session_id: UUID) -> Caller:
        """The caller of a session.

        Raises:
            InvalidTokenError: the session is over.
        """
        if (known := self.known(session_id)) is not None:
            return known
        changes, asked_at = self._changes, time.monotonic()
        async with connection(self._pool) as conn:
            caller = await _find(conn, session_id)
        if caller is None:
            self._recent.drop(session_id)
            raise InvalidTokenError("the session is over: sign in again")
        self._believe(caller, changes, asked_at)
        return caller

    async def of_browser(self, cookie_token: str) -> Caller:
        """The caller whose browser has this token in its cookie; the session lasts longer for it.

        Raises:
            InvalidTokenError: there is no such session, or it is over.
        """
        key = digest(cookie_token)
        session_id = self._browsers.get(key)
        if session_id is not None and (known := self.known(session_id)) is not None:
            return known
        changes, asked_at = self._changes, time.monotonic()
        async with connection(self._pool) as conn:
            caller = await _find_browser(conn, key)
        if caller is None:
            self._browsers.drop(key)
            raise InvalidTokenError("the session is over: sign in again")
        self._browsers.put(key, caller.session_id)
        self._believe(caller, changes, asked_at)
        return caller

    def _believe(self, caller: Caller, changes: int, asked_at: float) -> None:
        # What was read while something was changed here may be what the change undid.
        if changes == self._changes:
            self._recent.put(caller.session_id, _Standing(caller, asked_at + STANDING_SECONDS))

    def forget(self, session_id: UUID) -> None:
        """Ask the database again for this session: it was changed here."""
        self._changes += 1
        self._recent.drop(session_id)

    def forget_all(self) -> None:
        """Ask the database again for every session."""
        self._changes += 1
        self._recent.clear()


# A session that lives, with the present role of its account.
_FIND = """
SELECT s.account_id AS user_id, s.id AS session_id, a.role, a.email IS NULL AS guest
FROM account_session s JOIN account a ON a.id = s.account_id
WHERE s.id = $1 AND s.ended_at IS NULL AND s.expires_at > now()
"""


async def _find(conn: Connection, session_id: UUID) -> Caller | None:
    found = await conn.fetchrow(_FIND, session_id)
    return None if found is None else _caller(found)


# A browser's session that lives, with the present role of its account. It is put off by a day at a time, since a
# write for each visit would cost more than the day is worth.
_FIND_BROWSER = """
WITH put_off AS (
    UPDATE account_session SET expires_at = now() + make_interval(days => $2)
    WHERE browser_hash = $1 AND ended_at IS NULL
      AND expires_at > now() AND expires_at < now() + make_interval(days => $2 - 1)
)
SELECT s.account_id AS user_id, s.id AS session_id, a.role, a.email IS NULL AS guest
FROM account_session s JOIN account a ON a.id = s.account_id
WHERE s.browser_hash = $1 AND s.ended_at IS NULL AND s.expires_at > now()
"""


async def _find_browser(conn: Connection, key: bytes) -> Caller | None:
    found = await conn.fetchrow(_FIND_BROWSER, key, SESSION_DAYS)
    return None if found is None else _caller(found)


def _caller(found: Mapping[str, Any]) -> Caller:
    return Caller(
        user_id=found["user_id"],
        role=Role(found["role"]),
        session_id=found["session_id"],
        guest=found["guest"],
    )
