"""What people do with their accounts: be a guest, register, sign in and out, stay signed in."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

import msgspec

from boxoffice.accounts.attempts import Attempts
from boxoffice.accounts.callers import Caller, InvalidTokenError, Role
from boxoffice.accounts.emails import email_problems, folded
from boxoffice.accounts.passwords import NOBODYS_HASH, Passwords, refuse_bad_length
from boxoffice.accounts.sessions import (
    Standings,
    end_session,
    end_sessions_of,
    end_stolen,
    open_browser_session,
    open_session,
    rotate,
    session_of_token,
)
from boxoffice.accounts.tokens import ACCESS_TOKEN_SECONDS, AccessTokens, RefreshTokens, new_random_token
from boxoffice.errors import UnidentifiedError
from boxoffice.postgres.pool import Connection, Pool, Row, connection, transaction
from boxoffice.tallies import Tallies

Opening = Callable[[Connection, UUID, UUID, str], Awaitable[None]]
"""Opens a session with an id, of an account, with a token: `open_session` for API clients, `open_browser_session` for
browsers."""


class InvalidCredentialsError(UnidentifiedError):
    """E-mail address and password do not match."""

    code = "invalid_credentials"


class Account(Row, frozen=True, kw_only=True):
    """An account as its owner sees it; a guest's has no e-mail address."""

    user_id: UUID
    email: str | None
    name: str
    role: Role
    guest: bool


class Grant(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The tokens of a session: one to call with, and one to get the next pair with."""

    user_id: UUID
    access_token: str
    token_type: str
    expires_in: int
    """Seconds that the access token is good for."""
    refresh_token: str
    """Good for one use; used again, it ends the session."""
    role: Role
    guest: bool


class Entry(msgspec.Struct, frozen=True):
    """A session that was just opened, and the token that it is known by; nobody can ask for that again."""

    caller: Caller
    token: str
    """In a browser the cookie's, else the refresh token."""


class Accounts:
    """The accounts in the database at ``pool``; access tokens are signed with ``secret_key``."""

    def __init__(self, pool: Pool, secret_key: str, tallies: Tallies | None = None) -> None:
        self._pool = pool
        self._tokens = AccessTokens(secret_key)
        self._refresh_tokens = RefreshTokens(secret_key)
        self._standings = Standings(pool)
        self._passwords = Passwords()
        self._attempts = Attempts(tallies or Tallies())

    async def identify(self, token: str) -> Caller:
        """The caller with this access token.

        Raises:
            InvalidTokenError: the token is forged, has expired, or its session is over.
        """
        claims = self._tokens.check(token)
        caller = await self._standings.of(claims.sid)
        if caller.user_id != claims.sub:
            raise InvalidTokenError
        return caller

    def known(self, token: str) -> Caller | None:
        """What `identify` would return, if it can be told without asking the database or checking a signature."""
        claims = self._tokens.checked(token)
        caller = claims and self._standings.known(claims.sid)
        return caller if claims and caller and caller.user_id == claims.sub else None

    async def identify_browser(self, cookie_token: str) -> Caller:
        """The caller whose browser has this token in its cookie.

        Raises:
            InvalidTokenError: the token is forged, or its session is over.
        """
        return await self._standings.of_browser(cookie_token)

    async def guest(self, *, address: str = "") -> Grant:
        """A new guest with a session; ``address`` is the network address that asks.

        Raises:
            TooManyAttemptsError: the address has made too many accounts.
        """
        return self._grant(await self._guest(open_session, address))

    async def guest_in_browser(self, *, address: str = "") -> Entry:
        """As `guest`, for a browser."""
        return await self._guest(open_browser_session, address)

    async def register(self, email: str, password: str, name: str, guest: Caller | None, *, address: str = "") -> Grant:
        """A new account with a session; the guest who asks becomes it and keeps id, session and bookings.

        A caller who has an account already gets a further one.

        Raises:
            MalformedError: e-mail address or password will not do; ``errors`` says which.
            EmailTakenError: the e-mail address has an account.
            TooManyAttemptsError: the network address has made too many accounts.
            HashingBusyError: too many hashes are waiting.
        """
        return self._grant(await self._register(open_session, email, password, name, guest, address))

    async def register_in_browser(
        self, email: str, password: str, name: str, guest: Caller | None, *, address: str = ""
    ) -> Entry:
        """As `register`, for a browser."""
        return await self._register(open_browser_session, email, password, name, guest, address)

    async def login(self, email: str, password: str, *, address: str = "") -> Grant:
        """A session for the account with this e-mail address and password.

        Raises:
            MalformedError: that is no e-mail address.
            InvalidCredentialsError: no such account, or another password; both take as long.
            TooManyAttemptsError: too many failed for this e-mail address or from this network address.
            HashingBusyError: too many hashes are waiting.
        """
        return self._grant(await self._login(open_session, email, password, address))

    async def login_in_browser(self, email: str, password: str, *, address: str = "") -> Entry:
        """As `login`, for a browser."""
        return await self._login(open_browser_session, email, password, address)

    async def _guest(self, opening: Opening, address: str) -> Entry:
        await self._attempts.count_creation(address)
        async with transaction(self._pool) as conn:
            user_id = await _add_guest(conn)
            session_id, token = await self._open(conn, opening, user_id)
        return Entry(Caller(user_id, Role.CUSTOMER, session_id, guest=True), token)

    async def _register(
        self, opening: Opening, email: str, password: str, name: str, guest: Caller | None, address: str
    ) -> Entry:
        email = folded(email)
        refuse_bad_length(password)
        await self._attempts.count_creation(address)
        password_hash = await self._passwords.hash(password)
        with email_problems():
            async with transaction(self._pool) as conn:
                user_id = None
                if guest is not None:
                    user_id = await _turn_guest(conn, guest.user_id, email, name, password_hash)
                if user_id is None:
                    user_id = await _add_account(conn, email, name, password_hash)
                session_id, token = await self._open(conn, opening, user_id)
        if guest is not None:
            self._standings.forget(guest.session_id)
        return Entry(Caller(user_id, Role.CUSTOMER, session_id, guest=False), token)

    async def _login(self, opening: Opening, email: str, password: str, address: str) -> Entry:
        email = folded(email)
        await self._attempts.refuse_failing(email, address)
        async with self._passwords.turn() as turn:
            # Asked again: those ahead in the queue may have used the attempts up.
            await self._attempts.refuse_failing(email, address)
            async with connection(self._pool) as conn:
                found = await _find_by_email(conn, email)
            right = await turn.verify(password, NOBODYS_HASH if found is None else found.password_hash)
            if found is None or not right:
                await self._attempts.count_failure(email, address)
                raise InvalidCredentialsError
        async with connection(self._pool) as conn:
            session_id, token = await self._open(conn, opening, found.user_id)
        return Entry(Caller(found.user_id, Role(found.role), session_id, guest=False), token)

    async def _open(self, conn: Connection, opening: Opening, user_id: UUID) -> tuple[UUID, str]:
        """A new session's id, and its token."""
        session_id = uuid4()
        token = self._refresh_tokens.new(session_id) if opening is open_session else new_random_token()
        await opening(conn, session_id, user_id, token)
        return session_id, token

    async def refresh(self, refresh_token: str) -> Grant:
        """The next pair of tokens of a session; the one given is used up.

        Raises:
            InvalidTokenError: the token is unknown or its session over. Was it used before, however
                long ago, somebody else has it: its session is ended.
        """
        signed = self._refresh_tokens.session_of(refresh_token)
        caller, following, stolen = None, "", None
        async with connection(self._pool) as conn:
            session_id = signed or await session_of_token(conn, refresh_token)
            if session_id is not None:
                following = self._refresh_tokens.new(session_id)
                caller = await rotate(conn, session_id, refresh_token, following)
            if caller is None:
                stolen = await end_stolen(conn, refresh_token, signed)
        if stolen is not None:
            self._standings.forget(stolen)
        if caller is None:
            raise InvalidTokenError("the refresh token is not valid, was used before, or has expired")
        return self._grant(Entry(caller, following))

    async def logout(self, caller: Caller) -> None:
        """End the caller's session: its tokens are worth nothing from now on."""
        async with connection(self._pool) as conn:
            await end_session(conn, caller.session_id)
        self._standings.forget(caller.session_id)

    async def me(self, caller: Caller) -> Account:
        """The caller's own account.

        Raises:
            InvalidTokenError: the account was removed a moment ago.
        """
        async with connection(self._pool) as conn:
            found = await _find_account(conn, caller.user_id)
        if found is None:
            raise InvalidTokenError
        return found

    async def create_user(
        self,
        email: str,
        role: Role,
        password: str,
        name: str = "",
        *,
        beside: Callable[[Connection, Account], Awaitable[None]] | None = None,
    ) -> Account:
        """The account with this e-mail address, made or changed to have this role, password and name.

        Done again it changes nothing. Another password than before ends the account's sessions; an empty name leaves
        the one that is there. What is to be done in the same transaction is ``beside``.

        Raises:
            MalformedError: e-mail address or password will not do; ``errors`` says which.
        """
        email = folded(email)
        refuse_bad_length(password)
        async with connection(self._pool) as conn:
            found = await _find_by_email(conn, email)
        same = found is not None and await self._passwords.verify(password, found.password_hash)
        password_hash = found.password_hash if found and same else await self._passwords.hash(password)
        with email_problems():
            async with transaction(self._pool) as conn:
                account = await _put_account(conn, email, role, name, password_hash)
                if not same:
                    await end_sessions_of(conn, account.user_id)
                if beside is not None:
                    await beside(conn, account)
        self._standings.forget_all()
        return account

    def close(self) -> None:
        """Let the hashing threads go."""
        self._passwords.close()

    def _grant(self, entry: Entry) -> Grant:
        caller = entry.caller
        return Grant(
            user_id=caller.user_id,
            access_token=self._tokens.sign(caller.user_id, caller.session_id),
            token_type="Bearer",  # noqa: S106  (the name of the scheme)
            expires_in=ACCESS_TOKEN_SECONDS,
            refresh_token=entry.token,
            role=caller.role,
            guest=caller.guest,
        )


# A new guest.
_ADD_GUEST = """
INSERT INTO account DEFAULT VALUES RETURNING id
"""


async def _add_guest(conn: Connection) -> UUID:
    return await conn.fetchval(_ADD_GUEST)


# Makes a guest an account, once: of two requests only one finds the guest.
_TURN_GUEST = """
UPDATE account SET email = $2, name = $3, password_hash = $4 WHERE id = $1 AND email IS NULL RETURNING id
"""


async def _turn_guest(conn: Connection, user_id: UUID, email: str, name: str, password_hash: str) -> UUID | None:
    return await conn.fetchval(_TURN_GUEST, user_id, email, name, password_hash)


# A new account; fails by account_email_unique where the address has one.
_ADD_ACCOUNT = """
INSERT INTO account (email, name, password_hash) VALUES ($1, $2, $3) RETURNING id
"""


async def _add_account(conn: Connection, email: str, name: str, password_hash: str) -> UUID:
    return await conn.fetchval(_ADD_ACCOUNT, email, name, password_hash)


# One account an e-mail address, made or changed, whoever asks at the same time.
_PUT_ACCOUNT = """
INSERT INTO account AS a (email, role, name, password_hash) VALUES ($1, $2, $3, $4)
ON CONFLICT (email) DO UPDATE
SET role = excluded.role, password_hash = excluded.password_hash,
    name = CASE WHEN excluded.name = '' THEN a.name ELSE excluded.name END
RETURNING id AS user_id, email, name, role, email IS NULL AS guest
"""


async def _put_account(conn: Connection, email: str, role: Role, name: str, password_hash: str) -> Account:
    found = await conn.fetchrow(_PUT_ACCOUNT, email, role.value, name, password_hash)
    if found is None:
        raise RuntimeError("an upsert returned nothing")
    return _account(found)


# An account as its owner sees it.
_FIND_ACCOUNT = """
SELECT id AS user_id, email, name, role, email IS NULL AS guest FROM account WHERE id = $1
"""


async def _find_account(conn: Connection, user_id: UUID) -> Account | None:
    found = await conn.fetchrow(_FIND_ACCOUNT, user_id)
    return None if found is None else _account(found)


class _Secret(Row, frozen=True, kw_only=True):
    user_id: UUID
    role: str
    password_hash: str


# What signing in needs to know.
_FIND_BY_EMAIL = """
SELECT id AS user_id, role, password_hash FROM account WHERE email = $1
"""


async def _find_by_email(conn: Connection, email: str) -> _Secret | None:
    found = await conn.fetchrow(_FIND_BY_EMAIL, email)
    return None if found is None else _Secret(**found)


def _account(found: Mapping[str, Any]) -> Account:
    return Account(
        user_id=found["user_id"],
        email=found["email"],
        name=found["name"],
        role=Role(found["role"]),
        guest=found["guest"],
    )
