"""Pages of a list: a cursor says after which row one begins, so that each costs the same, however far in."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import msgspec

from boxoffice.errors import MalformedError

CURSOR_LENGTH_MAX: Final = 2000
"""Characters; our own have at most some 1,200."""

BEFORE_ALL: Final = ("", UUID(int=0))
"""The key before every row of a list by name (which is never empty) and id."""

CALENDAR_BEGINS: Final = datetime(1900, 1, 1, tzinfo=UTC)
CALENDAR_ENDS: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""Between these, every time has a date in every zone."""

ItemT = TypeVar("ItemT")
KeyT = TypeVar("KeyT", bound=tuple[Any, ...])


class BadCursorError(MalformedError):
    """The cursor is not one that this list gave."""

    code = "bad_cursor"


class Page(msgspec.Struct, Generic[ItemT], frozen=True, kw_only=True, rename="camel"):
    """Some items of a list in its order, and where the next page begins; null on the last."""

    items: list[ItemT]
    next_cursor: str | None


def page(found: Sequence[ItemT], limit: int, key: Callable[[ItemT], tuple[Any, ...]]) -> Page[ItemT]:
    """The page from up to ``limit`` + 1 rows; the row too many only tells that there is another page."""
    items = list(found[:limit])
    more = len(found) > limit
    return Page(items=items, next_cursor=encode(key(items[-1])) if more else None)


def encode(key: tuple[Any, ...]) -> str:
    """The cursor that continues after the row with this key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode()


def decode(cursor: str | None, kind: type[KeyT]) -> KeyT | None:
    """The key in a cursor; None where there is no cursor, which is the first page.

    Raises:
        BadCursorError: it was not made by `encode` from such a key.
    """
    if cursor is None:
        return None
    if len(cursor) > CURSOR_LENGTH_MAX:
        raise BadCursorError
    try:
        said = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key = msgspec.json.decode(said, type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise BadCursorError from error
    if not all(_storable(part) for part in key):
        raise BadCursorError
    return key


def _storable(part: object) -> bool:
    """Whether PostgreSQL can hold it: a cursor is only text, anyone may write one that says what it cannot."""
    if isinstance(part, datetime):
        return CALENDAR_BEGINS <= part <= CALENDAR_ENDS
    return not isinstance(part, str) or "\x00" not in part
