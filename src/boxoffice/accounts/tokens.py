"""The kinds of tokens: access tokens are signed statements; refresh tokens and cookies are random and kept hashed.

A refresh token also names its session, signed: one that was used up generations ago is still known for one of ours.
"""

import base64
import binascii
import hashlib
import hmac
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


REFRESH_RANDOM_BYTES: Final = 19
"""What nobody can guess of it; with the rest it makes 68 characters, which nothing else of ours has (`secrecy`)."""
_UUID_BYTES: Final = 16
_SIGNATURE_BYTES: Final = 16


class RefreshTokens:
    """Makes refresh tokens, each of a session, and knows again any that it has made."""

    def __init__(self, secret_key: str) -> None:
        self._key = hashlib.sha256(b"boxoffice refresh token\0" + secret_key.encode()).digest()

    def new(self, session_id: UUID) -> str:
        """A token of this session that nobody can guess."""
        said = session_id.bytes + secrets.token_bytes(REFRESH_RANDOM_BYTES)
        return base64.urlsafe_b64encode(said + self._sign(said)).decode()

    def session_of(self, token: str) -> UUID | None:
        """The session that it was made for; None: not made here, or with another secret.

        Whether it is the one that is good now, or was used before, is not known here.
        """
        try:
            whole = base64.urlsafe_b64decode(token)
        except (binascii.Error, ValueError):
            return None
        said, signature = whole[:-_SIGNATURE_BYTES], whole[-_SIGNATURE_BYTES:]
        if len(said) != _UUID_BYTES + REFRESH_RANDOM_BYTES or not hmac.compare_digest(signature, self._sign(said)):
            return None
        # What stands between the characters, the decoder overlooks; we do not.
        spelled = base64.urlsafe_b64encode(whole).decode() == token
        return UUID(bytes=said[:_UUID_BYTES]) if spelled else None

    def _sign(self, said: bytes) -> bytes:
        return hmac.digest(self._key, said, "sha256")[:_SIGNATURE_BYTES]


def new_random_token() -> str:
    """A token nobody can guess: 256 random bits."""
    return secrets.token_urlsafe(32)


def digest(random_token: str) -> bytes:
    """What is kept of a random token: enough to know it again, not enough to use it."""
    return hashlib.sha256(random_token.encode()).digest()
