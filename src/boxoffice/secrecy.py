"""What must never be told, in a log or to an operator's terminal, and what is told in its place.

The first line is that nobody hands a secret to a log: a test starts the service, uses it and looks (`tests/http`).
This is the second, for what the code of others puts into its errors: all that is about to be written is looked over
once. The e-mail addresses of buyers count as secrets, too: a log tells by ids whom it is about.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote

WITHHELD: Final = "[withheld]"
KNOWN_LENGTH_MIN: Final = 8
"""Characters. A shorter secret could be a part of any word, so that hiding it would hide the log."""

SECRET_NAMES: Final = frozenset(
    {
        *("password", "token", "secret", "authorization", "cookie", "set_cookie", "signature", "email", "phone", "dsn"),
        *("access_token", "refresh_token", "password_hash", "headers", "body", "content"),
    }
)
"""What is logged under such a name is not told, whatever it is."""

# No pattern takes a quote or a backslash, and none begins within an escape, so that a line of JSON stays one.
_NOT_ESCAPED: Final = r"(?<!\\)(?<!\\u)(?<!\\u.)(?<!\\u..)(?<!\\u...)"
# Where the first text stands, the pattern is looked for. These can be a part of an address that somebody asked for:
_IN_ADDRESSES: Final = tuple(
    (sign, re.compile(pattern))
    for sign, pattern in (
        ("@", r"(?<=://)[^\s\"'\\@]*(?=@)"),
        ("@", _NOT_ESCAPED + r"[^\s\"'\\<>()\[\]{},;:=/@]{1,64}@(?=[\w-]+\.)[\w.-]+"),
        ("%40", _NOT_ESCAPED + r"[\w.+%-]{1,64}%40(?=[\w-]+\.)[\w.-]+"),
        # A JSON Web Token.
        ("eyJ", r"eyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?"),
    )
)
_LOOKS_LIKE: Final = tuple(
    (sign, re.compile(pattern))
    for sign, pattern in (
        ("$", r"\$argon2[^\s\"'\\]+|SCRAM-SHA-256\$[^\s\"'\\]+"),
        ("earer ", r"(?<=earer )[\w.~+/=-]+"),
        ("Basic ", r"(?<=Basic )[\w.~+/=-]+"),
        # Keys and secrets of the gateways, and our signatures.
        ("k_", _NOT_ESCAPED + r"[rs]k_(?:test|live)_\w+"),
        ("whsec_", r"whsec_[\w+/=-]+"),
        ("_secret_", _NOT_ESCAPED + r"\w+_secret_\w+"),
        ("v1=", r"(?<=v1=)[0-9a-f]{16,}"),
        ("password=", r"(?<=[?&]password=)[^\s\"'\\&]+"),
    )
)
# Our random tokens, in cookies and in forms, those to refresh with, and the codes of tickets, which let in whoever
# shows them. Nothing else of ours is of these lengths.
_OURS: Final = re.compile(_NOT_ESCAPED + r"(?:(?<![\w-])|(?<=\\[nrt]))(?:[\w-]{43}|[\w-]{68}|[A-Z2-7]{165})(?![\w-])")
# PostgreSQL repeats there what the row holds: addresses, hashes.
_DETAIL_IN_JSON: Final = re.compile(r"DETAIL:(?:[^\"\\]|\\.)*")
_DETAIL: Final = re.compile(r"DETAIL:.*", re.DOTALL)
_ARGUMENT: Final = re.compile(r"(invalid input for query argument \$\d+).*", re.DOTALL)


class Mask:
    """Looks over what is about to be written: ``secrets`` are this installation's own."""

    def __init__(self, secrets: Iterable[str] = (), *, form: str = "console") -> None:
        spelled = {one for secret in secrets if len(secret) >= KNOWN_LENGTH_MIN for one in _spellings(secret)}
        # The longest first: one may be a part of another.
        self._known = sorted(spelled, key=len, reverse=True)
        self._detail = _DETAIL_IN_JSON if form == "json" else _DETAIL

    def __call__(self, line: str) -> str:
        """The line without secrets."""
        for secret in self._known:
            if secret in line:
                line = line.replace(secret, WITHHELD)
        for sign, pattern in _LOOKS_LIKE:
            if sign in line:
                line = pattern.sub(WITHHELD, line)
        if "DETAIL:" in line:
            line = self._detail.sub(f"DETAIL: {WITHHELD}", line)
        return without_tokens(line)


def without_tokens(address: str) -> str:
    """An address that somebody asked for, without what nobody should have put into it: tokens, e-mail addresses."""
    for sign, pattern in _IN_ADDRESSES:
        if sign in address:
            address = pattern.sub(WITHHELD, address)
    return _OURS.sub(WITHHELD, address)


def _spellings(secret: str) -> set[str]:
    """How a secret may be written in a line."""
    return {
        secret,
        quote(secret, safe=""),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    }


def without_named(said: dict[str, Any]) -> dict[str, Any]:
    """The same members, but those whose names say that they are secret; also within members."""
    if SECRET_NAMES.isdisjoint(said) and not any(isinstance(value, dict) for value in said.values()):
        return said
    return {name: WITHHELD if name in SECRET_NAMES else _inner(value) for name, value in said.items()}


def _inner(value: Any) -> Any:
    return without_named(value) if isinstance(value, dict) else value  # pyright: ignore[reportUnknownArgumentType]  (any dict)


def without_details(error: BaseException) -> None:
    """Take out of an error, and of those behind it, what PostgreSQL and its drivers repeat of a row's values."""
    for one in _behind(error):
        # Each driver has its own way: asyncpg puts the detail behind the message as it is shown …
        if getattr(one, "sqlstate", None) and getattr(one, "detail", None):
            one.detail = None  # pyright: ignore[reportAttributeAccessIssue]  (looked for above)
        # … psycopg has it in the message.
        primary = getattr(getattr(one, "diag", None), "message_primary", None)
        if primary:
            one.args = (primary, *one.args[1:])
        if one.args and isinstance(one.args[0], str) and _ARGUMENT.match(one.args[0]):
            one.args = (_ARGUMENT.sub(rf"\1: {WITHHELD}", one.args[0]), *one.args[1:])


def _behind(error: BaseException) -> Iterator[BaseException]:
    """The error, its causes, and those of a group."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += (one.__cause__, one.__context__)
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions  # pyright: ignore[reportUnknownMemberType]  (of whatever kinds)


_PASSWORD: Final = re.compile(r"(?<=://)([^:/?#@]*):.*@")
_PASSWORD_ASKED: Final = re.compile(r"(?<=[?&])(password|sslpassword)=[^&#]*")


def without_password(url: str) -> str:
    """An address as it may be shown, however its password is written."""
    return _PASSWORD_ASKED.sub(r"\1=***", _PASSWORD.sub(r"\1:***@", url))
