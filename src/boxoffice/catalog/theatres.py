"""Theatres and their screens: where films are shown. A theatre's time zone says which day a show is on."""

import zoneinfo
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Final
from uuid import UUID

import asyncpg
import msgspec
from msgspec import UNSET, Meta, UnsetType

from boxoffice.catalog import Label
from boxoffice.catalog.layouts import (
    BadLayoutError,
    RowDraft,
    Rows,
    ScreenLayout,
    ScreenNotFoundError,
    SeatDraft,
    add_seats,
    in_order,
    screen_layout,
)
from boxoffice.catalog.paging import BEFORE_ALL, Page, decode, page
from boxoffice.errors import ConflictError, MalformedError, UnknownError
from boxoffice.postgres.pool import Connection, Row, constraint_of, row

__all__ = [
    "BadLayoutError",
    "RowDraft",
    "Screen",
    "ScreenChanges",
    "ScreenDraft",
    "ScreenInUseError",
    "ScreenLayout",
    "ScreenNameTakenError",
    "ScreenNotFoundError",
    "SeatDraft",
    "Theatre",
    "TheatreChanges",
    "TheatreDraft",
    "TheatreNotFoundError",
    "UnknownTimezoneError",
    "add_screen",
    "add_theatre",
    "change_screen",
    "change_theatre",
    "find_screen",
    "find_theatre",
    "list_screens",
    "list_theatres",
    "screen_layout",
]

Timezone = Annotated[str, Meta(min_length=1, max_length=64)]
_TIMEZONES: Final = frozenset(zoneinfo.available_timezones())


class TheatreNotFoundError(UnknownError):
    """There is no such theatre."""

    code = "theatre_not_found"


class UnknownTimezoneError(MalformedError):
    """The time zone is none that we know."""

    code = "unknown_timezone"


class ScreenNameTakenError(ConflictError):
    """The theatre has a screen of this name."""

    code = "screen_name_taken"


class ScreenInUseError(ConflictError):
    """The screen has shows, so that its seats stay as they are."""

    code = "screen_in_use"


class TheatreDraft(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A theatre to add."""

    name: Label
    city: Label
    timezone: Timezone


class TheatreChanges(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What to change of a theatre; what is absent stays."""

    name: Label | UnsetType = UNSET
    city: Label | UnsetType = UNSET
    timezone: Timezone | UnsetType = UNSET


class Theatre(Row, frozen=True, kw_only=True):
    """A theatre."""

    id: UUID
    name: str
    city: str
    timezone: str
    """The IANA name of its zone, such as Asia/Kolkata."""


class ScreenDraft(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A screen to add."""

    name: Label
    rows: Rows


class ScreenChanges(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What to change of a screen; what is absent stays. ``rows`` replaces all seats."""

    name: Label | UnsetType = UNSET
    rows: Rows | UnsetType = UNSET


class Screen(Row, frozen=True, kw_only=True):
    """A screen of a theatre."""

    id: UUID
    theatre_id: UUID
    name: str
    total_seats: int


# A new theatre; fails where PostgreSQL does not know the zone, since each listing by day asks it.
_ADD_THEATRE = """
INSERT INTO theatre (name, city, timezone)
SELECT $1, $2, $3::text WHERE now() AT TIME ZONE $3::text IS NOT NULL
RETURNING id, name, city, timezone
"""


async def add_theatre(conn: Connection, draft: TheatreDraft) -> Theatre:
    """Add a theatre.

    Raises:
        UnknownTimezoneError: the zone is none of the IANA's.
    """
    _refuse_unknown_zone(draft.timezone)
    try:
        record = await conn.fetchrow(_ADD_THEATRE, draft.name, draft.city, draft.timezone)
    except asyncpg.InvalidParameterValueError as error:
        raise _unknown_zone() from error
    return row(Theatre, record or {})


# Changes what is not null; fails where PostgreSQL does not know the zone.
_CHANGE_THEATRE = """
UPDATE theatre
SET name = coalesce($2, name), city = coalesce($3, city), timezone = coalesce($4, timezone),
    updated_at = now()
WHERE id = $1 AND now() AT TIME ZONE coalesce($4, timezone) IS NOT NULL
RETURNING id, name, city, timezone
"""


async def change_theatre(conn: Connection, theatre_id: UUID, changes: TheatreChanges) -> Theatre:
    """Change a theatre.

    Raises:
        TheatreNotFoundError: there is none.
        UnknownTimezoneError: the zone is none of the IANA's.
    """
    if changes.timezone is not UNSET:
        _refuse_unknown_zone(changes.timezone)
    wanted = [None if value is UNSET else value for value in msgspec.structs.astuple(changes)]
    try:
        record = await conn.fetchrow(_CHANGE_THEATRE, theatre_id, *wanted)
    except asyncpg.InvalidParameterValueError as error:
        raise _unknown_zone() from error
    if record is None:
        raise TheatreNotFoundError
    return row(Theatre, record)


# One theatre.
_FIND_THEATRE = """
SELECT id, name, city, timezone FROM theatre WHERE id = $1
"""


async def find_theatre(conn: Connection, theatre_id: UUID) -> Theatre:
    """The theatre with this id.

    Raises:
        TheatreNotFoundError: there is none.
    """
    record = await conn.fetchrow(_FIND_THEATRE, theatre_id)
    if record is None:
        raise TheatreNotFoundError
    return row(Theatre, record)


# Theatres by name, from after a given one.
_LIST_THEATRES = """
SELECT id, name, city, timezone FROM theatre
WHERE (name, id) > ($1, $2)
ORDER BY name, id LIMIT $3
"""


async def list_theatres(conn: Connection, limit: int, cursor: str | None = None) -> Page[Theatre]:
    """A page of theatres by name.

    Raises:
        BadCursorError: the cursor is not one of this list.
    """
    name, theatre_id = decode(cursor, tuple[str, UUID]) or BEFORE_ALL
    records = await conn.fetch(_LIST_THEATRES, name, theatre_id, limit + 1)
    return page([row(Theatre, record) for record in records], limit, lambda found: (found.name, found.id))


# A new screen; fails by screen_name_unique where the theatre has one of this name.
_ADD_SCREEN = """
INSERT INTO screen (theatre_id, name, total_seats) VALUES ($1, $2, $3)
RETURNING id, theatre_id, name, total_seats
"""


async def add_screen(conn: Connection, theatre_id: UUID, draft: ScreenDraft) -> Screen:
    """Add a screen with all its seats to a theatre.

    Raises:
        TheatreNotFoundError: there is none.
        BadLayoutError: a row or a number is there twice, or there are too many seats.
        ScreenNameTakenError: the theatre has a screen of this name.
    """
    seats = in_order(draft.rows)
    await find_theatre(conn, theatre_id)
    with _name_problems():
        record = await conn.fetchrow(_ADD_SCREEN, theatre_id, draft.name, len(seats))
    screen = row(Screen, record or {})
    await add_seats(conn, screen.id, seats)
    return screen


# The screen as it is; no show is made on it until the transaction ends.
_LOCK_SCREEN = """
SELECT id, theatre_id, name, total_seats FROM screen WHERE id = $1 AND theatre_id = $2 FOR UPDATE
"""

# The screen as it is to be.
_CHANGE_SCREEN = """
UPDATE screen SET name = $2, total_seats = $3, updated_at = now() WHERE id = $1
"""

# Whether seats of the screen were ever put on sale.
_SCREEN_IN_USE = """
SELECT EXISTS (SELECT FROM show WHERE screen_id = $1)
"""

# Makes room for other seats.
_CLEAR_SEATS = """
DELETE FROM screen_seat WHERE screen_id = $1
"""


async def change_screen(conn: Connection, theatre_id: UUID, screen_id: UUID, changes: ScreenChanges) -> Screen:
    """Rename a screen, or replace its seats as long as it has no shows.

    Raises:
        ScreenNotFoundError: the theatre has none with this id.
        ScreenNameTakenError: the theatre has another screen of this name.
        ScreenInUseError: other seats are wanted, and the screen has shows.
        BadLayoutError: a row or a number is there twice, or there are too many seats.
    """
    record = await conn.fetchrow(_LOCK_SCREEN, screen_id, theatre_id)
    if record is None:
        raise ScreenNotFoundError
    changed = row(Screen, record)
    if changes.name is not UNSET:
        changed = msgspec.structs.replace(changed, name=changes.name)
    if changes.rows is not UNSET:
        seats = in_order(changes.rows)
        if await conn.fetchval(_SCREEN_IN_USE, screen_id):
            raise ScreenInUseError("the screen has shows: add another screen for other seats")
        await conn.execute(_CLEAR_SEATS, screen_id)
        await add_seats(conn, screen_id, seats)
        changed = msgspec.structs.replace(changed, total_seats=len(seats))
    with _name_problems():
        await conn.execute(_CHANGE_SCREEN, screen_id, changed.name, changed.total_seats)
    return changed


# One screen of a theatre.
_FIND_SCREEN = """
SELECT id, theatre_id, name, total_seats FROM screen WHERE id = $1 AND theatre_id = $2
"""


async def find_screen(conn: Connection, theatre_id: UUID, screen_id: UUID) -> Screen:
    """The screen of a theatre with this id.

    Raises:
        ScreenNotFoundError: the theatre has none with this id.
    """
    record = await conn.fetchrow(_FIND_SCREEN, screen_id, theatre_id)
    if record is None:
        raise ScreenNotFoundError
    return row(Screen, record)


# A theatre's screens by name, which is unique there, from after a given one.
_LIST_SCREENS = """
SELECT id, theatre_id, name, total_seats FROM screen
WHERE theatre_id = $1 AND name > $2
ORDER BY name LIMIT $3
"""


async def list_screens(conn: Connection, theatre_id: UUID, limit: int, cursor: str | None = None) -> Page[Screen]:
    """A page of a theatre's screens by name.

    Raises:
        TheatreNotFoundError: there is none.
        BadCursorError: the cursor is not one of this list.
    """
    (name,) = decode(cursor, tuple[str]) or ("",)
    await find_theatre(conn, theatre_id)
    records = await conn.fetch(_LIST_SCREENS, theatre_id, name, limit + 1)
    return page([row(Screen, record) for record in records], limit, lambda screen: (screen.name,))


def _refuse_unknown_zone(timezone: str) -> None:
    if timezone not in _TIMEZONES:
        raise _unknown_zone()


def _unknown_zone() -> UnknownTimezoneError:
    wanted = "must be an IANA time zone, such as Asia/Kolkata"
    return UnknownTimezoneError(f"the time zone {wanted}", errors={"timezone": wanted})


@contextmanager
def _name_problems() -> Generator[None]:
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if constraint_of(error) != "screen_name_unique":
            raise
        raise ScreenNameTakenError from error
