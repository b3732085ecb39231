"""Shows: a film on a screen at a time, with a seat to sell for every seat of the screen.

Shows are made and moved under their screen's lock, so that two at once meet in an orderly way;
what decides that they never overlap is the constraint show_screen_is_free.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import asyncpg
import msgspec
from msgspec import UNSET, Meta, UnsetType

from boxoffice.catalog import Phrase
from boxoffice.catalog.listing import (
    Availability,
    Prices,
    Show,
    ShowFilters,
    ShowNotFoundError,
    find_show,
    list_shows,
)
from boxoffice.catalog.movies import find_movie
from boxoffice.catalog.theatres import ScreenNotFoundError
from boxoffice.errors import ConflictError, MalformedError
from boxoffice.money import CURRENCY_DEFAULT
from boxoffice.postgres.pool import Connection, constraint_of

__all__ = [
    "Availability",
    "MissingPriceError",
    "Prices",
    "Show",
    "ShowChanges",
    "ShowDraft",
    "ShowFilters",
    "ShowHasBookingsError",
    "ShowInPastError",
    "ShowNotFoundError",
    "ShowOverlapError",
    "add_show",
    "change_show",
    "find_show",
    "list_shows",
]

YEARS_AHEAD_MAX: Final = 100
"""A start further away is a slip of the pen, and would not fit every calendar."""

StartTime = Annotated[datetime, Meta(tz=True)]
Currency = Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")]
Word = Annotated[Phrase, Meta(min_length=1)]


class ShowOverlapError(ConflictError):
    """The screen is not free at that time."""

    code = "show_overlaps"


class ShowInPastError(MalformedError):
    """The show would start in the past."""

    code = "show_in_past"


class MissingPriceError(MalformedError):
    """A tier of the screen has no price."""

    code = "missing_price"


class ShowHasBookingsError(ConflictError):
    """The show has bookings, so that its time stays as it is."""

    code = "show_has_bookings"


class ShowDraft(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A show to make."""

    movie_id: UUID
    screen_id: UUID
    starts_at: StartTime = msgspec.field(name="startTime")
    prices: Prices
    language: Word | None = None
    """Null: the film's own."""
    format: Word = "2D"
    currency: Currency = CURRENCY_DEFAULT


class ShowChanges(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What to change of a show; what is absent stays. Prices are for seats that nobody has booked yet."""

    starts_at: StartTime | UnsetType = msgspec.field(name="startTime", default=UNSET)
    prices: Prices | UnsetType = UNSET
    language: Word | UnsetType = UNSET
    format: Word | UnsetType = UNSET


# The screen, locked so that shows of one screen are made and moved one after the other: two
# insertions that wait for each other inside the exclusion constraint would be a deadlock.
_LOCK_SCREEN = """
SELECT theatre_id, total_seats FROM screen WHERE id = $1 FOR NO KEY UPDATE
"""

# The tiers of a screen's seats. Asked once the screen is locked, since that is when they stand still.
_TIERS = """
SELECT DISTINCT tier FROM screen_seat WHERE screen_id = $1 ORDER BY tier
"""

# A new show, unless it would start in the past by the database's clock; fails by
# show_screen_is_free where the screen has another.
_ADD = """
INSERT INTO show (movie_id, theatre_id, screen_id, starts_at, ends_at, screen_free_at, language, format,
                  currency, price_regular, price_premium, price_vip, total_seats)
SELECT $1, $2, $3, $4::timestamptz, $4 + $5::interval, $4 + $5 + $6::interval, $7, $8, $9, $10, $11, $12, $13
WHERE $4 > now()
RETURNING id
"""

# A seat to sell for every seat of the screen, priced by its tier.
_ADD_SEATS = """
INSERT INTO show_seat (show_id, position, price, number, row_label, tier, kind)
SELECT show.id, seat.position,
       CASE seat.tier WHEN 'VIP' THEN show.price_vip WHEN 'PREMIUM' THEN show.price_premium
                      ELSE show.price_regular END,
       seat.number, seat.row_label, seat.tier, seat.kind
FROM show JOIN screen_seat AS seat ON seat.screen_id = show.screen_id
WHERE show.id = $1
ORDER BY seat.position
"""


async def add_show(conn: Connection, draft: ShowDraft, *, cleanup_gap: timedelta) -> Show:
    """Make a show and all its seats; ``cleanup_gap`` is how long the screen stays empty after it.

    Raises:
        MovieNotFoundError: there is no such film.
        ScreenNotFoundError: there is no such screen.
        MissingPriceError: a tier of the screen has no price; ``errors`` says which.
        ShowInPastError: it would start in the past, or beyond all calendars.
        ShowOverlapError: the screen is not free; ``showId`` is the show that is there.
    """
    _refuse_beyond_calendars(draft.starts_at)
    screen = await conn.fetchrow(_LOCK_SCREEN, draft.screen_id)
    if screen is None:
        raise ScreenNotFoundError(errors={"screenId": "no such screen"})
    movie = await find_movie(conn, draft.movie_id)
    prices = _prices_of_tiers(draft.prices, await conn.fetch(_TIERS, draft.screen_id))
    length = timedelta(minutes=movie.duration_min)
    try:
        # A savepoint, so that a refusal can still be explained.
        async with conn.transaction():
            show_id: UUID | None = await conn.fetchval(
                _ADD,
                draft.movie_id,
                screen["theatre_id"],
                draft.screen_id,
                draft.starts_at,
                length,
                cleanup_gap,
                movie.language if draft.language is None else draft.language,
                draft.format,
                draft.currency,
                *msgspec.structs.astuple(prices),
                screen["total_seats"],
            )
    except asyncpg.ExclusionViolationError as error:
        until = draft.starts_at + length + cleanup_gap
        raise await _overlap(conn, error, draft.screen_id, (draft.starts_at, until), None) from error
    if show_id is None:
        raise _in_past()
    await conn.execute(_ADD_SEATS, show_id)
    return await find_show(conn, show_id)


# The screen of a show, which never changes.
_SCREEN_OF = """
SELECT screen_id FROM show WHERE id = $1
"""

# The show as it is. Its screen is locked, so that nothing else changes it.
_PRESENT = """
SELECT starts_at, ends_at, screen_free_at, language, format, price_regular, price_premium, price_vip
FROM show WHERE id = $1
"""

# Every seat of the show, locked in the order in which claims lock them: from here on nobody
# books, and a booking that was under way is there to be seen.
_LOCK_SEATS = """
SELECT count(*) FROM (SELECT FROM show_seat WHERE show_id = $1 ORDER BY id FOR UPDATE) AS locked
"""

# The show as it is to be, unless it is moved into the past; fails by show_screen_is_free where the
# screen has another.
_CHANGE = """
UPDATE show
SET starts_at = $2, ends_at = $3, screen_free_at = $4, language = $5, format = $6,
    price_regular = $7, price_premium = $8, price_vip = $9, updated_at = now()
WHERE id = $1 AND (starts_at = $2 OR $2 > now())
RETURNING true
"""


async def change_show(conn: Connection, show_id: UUID, changes: ShowChanges) -> Show:
    """Change a show: its time as long as nobody has booked, its prices for the seats not booked.

    A moved show takes as long as before. Seats that are held get the new price too: it is the booking that
    fixes a price.

    Raises:
        ShowNotFoundError: there is none.
        ShowInPastError: it would start in the past, or beyond all calendars.
        ShowHasBookingsError: it has bookings, paid or not, and another time is wanted.
        ShowOverlapError: the screen is not free; ``showId`` is the show that is there.
    """
    screen_id: UUID | None = await conn.fetchval(_SCREEN_OF, show_id)
    if screen_id is None:
        raise ShowNotFoundError
    screen = await conn.fetchrow(_LOCK_SCREEN, screen_id)
    present = await conn.fetchrow(_PRESENT, show_id)
    if screen is None or present is None:
        raise ShowNotFoundError
    shift = timedelta(0)
    if changes.starts_at is not UNSET:
        _refuse_beyond_calendars(changes.starts_at)
        shift = changes.starts_at - present["starts_at"]
    prices = _changed_prices(present, changes, await conn.fetch(_TIERS, screen_id))
    if shift or changes.prices is not UNSET:
        await conn.fetchval(_LOCK_SEATS, show_id)
    if shift and await conn.fetchval(_HAS_BOOKINGS, show_id):
        raise ShowHasBookingsError("the show has bookings: it cannot be moved")
    times = tuple(present[name] + shift for name in ("starts_at", "ends_at", "screen_free_at"))
    try:
        async with conn.transaction():
            changed = await conn.fetchval(
                _CHANGE,
                show_id,
                *times,
                present["language"] if changes.language is UNSET else changes.language,
                present["format"] if changes.format is UNSET else changes.format,
                *msgspec.structs.astuple(prices),
            )
    except asyncpg.ExclusionViolationError as error:
        raise await _overlap(conn, error, screen_id, (times[0], times[2]), show_id) from error
    if not changed:
        raise _in_past()
    if changes.prices is not UNSET:
        await conn.execute(_REPRICE, show_id)
    return await find_show(conn, show_id)


# Whether somebody has booked, paid or not.
_HAS_BOOKINGS = """
SELECT EXISTS (SELECT FROM show_seat WHERE show_id = $1 AND booking_id IS NOT NULL AND taken_until > now())
"""

# The show's prices for each seat that is not booked and has another.
_REPRICE = """
UPDATE show_seat
SET price = wanted.price, revision = revision + 1
FROM show, LATERAL (VALUES ('REGULAR', price_regular), ('PREMIUM', price_premium), ('VIP', price_vip))
    AS wanted (tier, price)
WHERE show.id = $1 AND show_seat.show_id = $1 AND show_seat.tier = wanted.tier
  AND show_seat.price <> wanted.price
  AND NOT (show_seat.booking_id IS NOT NULL AND show_seat.taken_until > now())
"""

# A show on the screen in a time, other than a given one.
_IN_THE_WAY = """
SELECT id FROM show
WHERE screen_id = $1 AND tstzrange(starts_at, screen_free_at) && tstzrange($2, $3) AND id IS DISTINCT FROM $4
ORDER BY starts_at LIMIT 1
"""


async def _overlap(
    conn: Connection,
    error: asyncpg.PostgresError,
    screen_id: UUID,
    wanted: tuple[datetime, datetime],
    moved: UUID | None,
) -> Exception:
    if constraint_of(error) != "show_screen_is_free":
        return error
    found = await conn.fetchval(_IN_THE_WAY, screen_id, *wanted, moved)
    return ShowOverlapError("the screen has another show then, or is being cleaned after it", showId=found)


def _prices_of_tiers(given: Prices, found: Sequence[Mapping[str, Any]]) -> Prices:
    """The prices of the tiers that the screen has, and no others."""
    tiers: list[str] = [record["tier"] for record in found]
    missing = [tier for tier in tiers if getattr(given, tier.lower()) is None]
    if missing:
        raise MissingPriceError(
            f"the screen has seats without a price: {', '.join(missing)}",
            errors={f"prices.{tier}": "needs a price" for tier in missing},
        )
    return Prices(**{tier.lower(): getattr(given, tier.lower()) for tier in tiers})


def _changed_prices(present: Mapping[str, Any], changes: ShowChanges, tiers: Sequence[Mapping[str, Any]]) -> Prices:
    before = Prices(regular=present["price_regular"], premium=present["price_premium"], vip=present["price_vip"])
    if changes.prices is UNSET:
        return before
    wanted = {tier: price for tier, price in msgspec.structs.asdict(changes.prices).items() if price is not None}
    return _prices_of_tiers(msgspec.structs.replace(before, **wanted), tiers)


def _refuse_beyond_calendars(starts_at: datetime) -> None:
    # Python's calendar has the years 1 to 9999: arithmetic near its ends would fail. Whether
    # a start within these years is in the past, the database decides.
    this_year = datetime.now(UTC).year
    if starts_at.year < this_year - 1:
        raise _in_past()
    if starts_at.year > this_year + YEARS_AHEAD_MAX:
        wanted = f"must be within {YEARS_AHEAD_MAX} years"
        raise MalformedError(f"the start {wanted}", errors={"startTime": wanted})


def _in_past() -> ShowInPastError:
    return ShowInPastError("a show starts in the future", errors={"startTime": "must be in the future"})
