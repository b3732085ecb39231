"""The kinds of tokens: access tokens are signed statements; refresh tokens and cookies are random and kept hashed."""

import hashlib
import secrets
import time
from typing import Final
from uuid import UUID

import jwt
import msgspec

from boxoffice.accounts.callers import InvalidTokenError
from boxoffice.accounts.recent import Recent

ACCESS_TOKEN_SECONDS: Final = 60 * 60
CHECKED_TOKENS_MAX: Final = 20_000
"""Signatures that need not be checked again."""
TOKEN_LENGTH_MAX: Final = 2_000
"""Characters; our own have some 250."""
_ALGORITHM: Final = "HS256"


class Claims(msgspec.Struct, frozen=True):
    """What an access token says: an account and its session, and until when (seconds of Unix time)."""

    sub: UUID
    sid: UUID
    iat: int
    exp: int


class AccessTokens:
    """Signs access tokens with a secret and checks them; the algorithm is ours to say, not the token's."""

    def __init__(self, secret_key: str) -> None:
        # Derived, so that the secret may have any length and serve other uses too.
        self._key = hashlib.sha256(b"boxoffice access token\0" + secret_key.encode()).digest()
        self._checked: Recent[str, Claims] = Recent(CHECKED_TOKENS_MAX)

    def sign(self, user_id: UUID, session_id: UUID) -> str:
        """A token that is good for `ACCESS_TOKEN_SECONDS`, as long as its session lives."""
        now = int(time.time())
        claims = {"sub": str(user_id), "sid": str(session_id), "iat": now, "exp": now + ACCESS_TOKEN_SECONDS}
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def check(self, token: str) -> Claims:
        """What a token says, if it is ours and has not expired; whether its session lives is not known here.

        Raises:
            InvalidTokenError: it is forged, malformed or has expired.
        """
        claims = self._checked.get(token)
        if claims is None:
            claims = self._verify(token)
            self._checked.put(token, claims)
        if claims.exp <= time.time():
            raise InvalidTokenError("the access token has expired: POST /api/v1/auth/refresh gives a new one")
        return claims

    def checked(self, token: str) -> Claims | None:
        """What a token says that was checked before and has not expired."""
        claims = self._checked.get(token)
        return claims if claims is not None and claims.exp > time.time() else None

    def _verify(self, token: str) -> Claims:
        if len(token) > TOKEN_LENGTH_MAX:
            raise InvalidTokenError
        try:
            said = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                options={"require": ["sub", "sid", "iat", "exp"], "verify_exp": False},
            )
            return msgspec.convert(said, Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError) as error:
            raise InvalidTokenError from error


def new_random_token() -> str:
    """A token nobody can guess: 256 random bits."""
    return secrets.token_urlsafe(32)


def digest(random_token: str) -> bytes:
    """What is kept of a random token: enough to know it again, not enough to use it."""
    return hashlib.sha256(random_token.encode()).digest()
