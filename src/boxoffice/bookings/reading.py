"""Bookings as their owners see them: the status as time has it, the seats from the booking's own lines."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from boxoffice.bookings.states import BookingStatus
from boxoffice.catalog.paging import Page, decode, page
from boxoffice.errors import UnknownError
from boxoffice.postgres.pool import Connection


class BookingNotFoundError(UnknownError):
    """There is no such booking."""

    code = "booking_not_found"


class BookedSeat(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A seat of a booking and the price it was booked at, in minor units."""

    id: UUID
    row: str
    number: int
    tier: str
    price: int
    refunded: bool = False


class PaymentSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a booking's money stands. ``amount`` in minor units."""

    status: str
    amount: int


class Named(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A thing of the catalogue, by its name."""

    id: UUID
    name: str


class BookedMovie(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The film of a booking's show."""

    id: UUID
    title: str


class BookedTheatre(Named, frozen=True, kw_only=True, rename="camel"):
    """The theatre of a booking's show, with its zone, so that a ticket can tell local time."""

    city: str
    timezone: str


class BookedShow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The show of a booking."""

    id: UUID
    movie: BookedMovie
    theatre: BookedTheatre
    screen: Named
    start_time: datetime


class Booking(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A booking with its seats, its money and its show."""

    id: UUID
    show_id: UUID
    user_id: UUID
    status: BookingStatus
    total_amount: int
    currency: str
    expires_at: datetime
    created_at: datetime
    seats: list[BookedSeat]
    payment: PaymentSummary | None
    refund_reason: str | None
    """Why money went back by itself: ``paid_too_late``, ``paid_after_cancel`` or ``paid_twice``; else null."""
    show: BookedShow


# Everything that is shown of a booking, as one JSON document, so that one round trip reads one state. The payment
# that is told is the one that bought the seats, else money that came in otherwise, else the latest attempt.
_BOOKING = """
SELECT jsonb_build_object(
    'id', b.id, 'showId', b.show_id, 'userId', b.user_id,
    'status', CASE WHEN b.status = 'PENDING' AND b.expires_at <= now() THEN 'EXPIRED' ELSE b.status END,
    'totalAmount', b.total_amount, 'currency', b.currency, 'expiresAt', b.expires_at, 'createdAt', b.created_at,
    'seats', coalesce(b.archived_seats, (
        SELECT jsonb_agg(jsonb_build_object(
                   'id', l.seat_id, 'row', l.row_label, 'number', l.number, 'tier', l.tier, 'price', l.price,
                   'refunded', r.seat_id IS NOT NULL) ORDER BY l.position)
          FROM booking_seat l LEFT JOIN refund_seat r USING (show_id, booking_id, seat_id)
         WHERE l.show_id = b.show_id AND l.booking_id = b.id)),
    'payment', (
        SELECT jsonb_build_object('amount', p.amount, 'status', CASE
                   WHEN p.status <> 'SUCCEEDED' OR p.refunded_amount = 0 THEN p.status
                   WHEN EXISTS (SELECT FROM refund r WHERE r.show_id = p.show_id AND r.payment_id = p.id
                                                       AND r.status <> 'SUCCEEDED') THEN 'REFUND_PENDING'
                   WHEN b.status = 'CONFIRMED' THEN 'PARTLY_REFUNDED'
                   ELSE 'REFUNDED' END)
          FROM payment p WHERE p.show_id = b.show_id AND p.booking_id = b.id
         ORDER BY p.id IS NOT DISTINCT FROM b.paid_by DESC, p.status = 'SUCCEEDED' DESC, p.created_at DESC LIMIT 1),
    'refundReason', (
        SELECT r.reason FROM refund r WHERE r.show_id = b.show_id AND r.booking_id = b.id AND r.reason <> 'requested'
         ORDER BY r.created_at DESC LIMIT 1),
    'show', jsonb_build_object(
        'id', sh.id, 'startTime', sh.starts_at,
        'movie', jsonb_build_object('id', m.id, 'title', m.title),
        'theatre', jsonb_build_object('id', t.id, 'name', t.name, 'city', t.city, 'timezone', t.timezone),
        'screen', jsonb_build_object('id', sc.id, 'name', sc.name))) AS booking
  FROM booking b
  JOIN show sh ON sh.id = b.show_id
  JOIN movie m ON m.id = sh.movie_id
  JOIN theatre t ON t.id = sh.theatre_id
  JOIN screen sc ON sc.id = sh.screen_id"""

# One booking; of one owner, where one is given.
_FIND = f"""{_BOOKING}
 WHERE b.id = $1 AND ($2::uuid IS NULL OR b.user_id = $2)
"""


async def find_booking(conn: Connection, booking_id: UUID, *, owner: UUID | None) -> Booking:
    """The booking; with ``owner``, only if it is theirs.

    Raises:
        BookingNotFoundError: there is none, or it is someone else's: an id is never confirmed to a stranger.
    """
    found = await conn.fetchval(_FIND, booking_id, owner)
    if found is None:
        raise BookingNotFoundError(f"there is no booking {booking_id}")
    return msgspec.convert(found, Booking)


# A page of one person's bookings, newest first; $2, $3 the last one of the page before.
_LIST = f"""{_BOOKING}
 WHERE b.user_id = $1 AND ($2::timestamptz IS NULL OR (b.created_at, b.id) < ($2, $3::uuid))
 ORDER BY b.created_at DESC, b.id DESC LIMIT $4
"""


async def list_bookings(conn: Connection, user_id: UUID, *, limit: int, cursor: str | None) -> Page[Booking]:
    """A page of a person's bookings, the newest first.

    Raises:
        BadCursorError: the cursor is not one of this list.
    """
    return await _newest_first(conn, _LIST, user_id, limit, cursor)


# The newest booking of one person in a show that can still be paid.
_UNPAID = """
SELECT id FROM booking
 WHERE show_id = $1 AND user_id = $2 AND status = 'PENDING' AND expires_at > now()
 ORDER BY created_at DESC LIMIT 1
"""


async def unpaid_booking(conn: Connection, show_id: UUID, user_id: UUID) -> UUID | None:
    """The booking that a person has still to pay in a show; None if there is none."""
    return await conn.fetchval(_UNPAID, show_id, user_id)


# One booking of one owner, where one is given, and the time by the clock that decides its leases.
_SEE = f"""
SELECT seen.booking, now() AS now FROM ({_BOOKING}
 WHERE b.id = $1 AND ($2::uuid IS NULL OR b.user_id = $2)) AS seen
"""


async def see_booking(conn: Connection, booking_id: UUID, *, owner: UUID | None) -> tuple[Booking, datetime]:
    """As `find_booking`, and the database's time at that moment: for how long it can be paid.

    Raises:
        BookingNotFoundError: as `find_booking`.
    """
    found = await conn.fetchrow(_SEE, booking_id, owner)
    if found is None:
        raise BookingNotFoundError(f"there is no booking {booking_id}")
    return msgspec.convert(found["booking"], Booking), found["now"]


_STILL_COUNTS = """(b.status = 'PENDING' AND b.expires_at > now() OR b.status = 'CONFIRMED' AND sh.ends_at > now())"""

# A page of what a person has ahead: first what is to be paid, then the tickets, in the order of their shows.
_UPCOMING = f"""{_BOOKING}
 WHERE b.user_id = $1 AND {_STILL_COUNTS}
   AND ($2::boolean IS NULL OR (b.status = 'CONFIRMED', sh.starts_at, b.id) > ($2, $3::timestamptz, $4::uuid))
 ORDER BY b.status = 'CONFIRMED', sh.starts_at, b.id LIMIT $5
"""


async def list_upcoming(conn: Connection, user_id: UUID, *, limit: int, cursor: str | None) -> Page[Booking]:
    """A page of a person's bookings that can be paid still, and of tickets of shows that are not over.

    Raises:
        BadCursorError: the cursor is not one of this list.
    """
    after = decode(cursor, tuple[bool, Annotated[datetime, msgspec.Meta(tz=True)], UUID])
    records = await conn.fetch(_UPCOMING, user_id, *(after or (None, None, None)), limit + 1)
    found = [msgspec.convert(record["booking"], Booking) for record in records]
    return page(
        found,
        limit,
        lambda booking: (booking.status is BookingStatus.CONFIRMED, booking.show.start_time, booking.id),
    )


# A page of all else, the newest first.
_PAST = f"""{_BOOKING}
 WHERE b.user_id = $1 AND NOT {_STILL_COUNTS}
   AND ($2::timestamptz IS NULL OR (b.created_at, b.id) < ($2, $3::uuid))
 ORDER BY b.created_at DESC, b.id DESC LIMIT $4
"""


async def list_past(conn: Connection, user_id: UUID, *, limit: int, cursor: str | None) -> Page[Booking]:
    """A page of a person's bookings that are over: seen, lapsed, cancelled or refunded; the newest first.

    Raises:
        BadCursorError: the cursor is not one of this list.
    """
    return await _newest_first(conn, _PAST, user_id, limit, cursor)


# Finds the show of a booking, which every other statement needs first.
_LOCATE = """
SELECT show_id FROM booking WHERE id = $1 AND ($2::uuid IS NULL OR user_id = $2)
"""


async def locate_booking(conn: Connection, booking_id: UUID, *, owner: UUID | None) -> UUID:
    """The id of the booking's show.

    Raises:
        BookingNotFoundError: as `find_booking`.
    """
    show_id = await conn.fetchval(_LOCATE, booking_id, owner)
    if show_id is None:
        raise BookingNotFoundError(f"there is no booking {booking_id}")
    return show_id


# Whose booking it is.
_BUYER = """
SELECT user_id FROM booking WHERE show_id = $1 AND id = $2
"""


async def buyer_of(conn: Connection, show_id: UUID, booking_id: UUID) -> UUID | None:
    """Whose booking this is; None where there is no such booking."""
    return await conn.fetchval(_BUYER, show_id, booking_id)


async def _newest_first(
    conn: Connection, statement: str, user_id: UUID, limit: int, cursor: str | None
) -> Page[Booking]:
    after = decode(cursor, tuple[Annotated[datetime, msgspec.Meta(tz=True)], UUID])
    records = await conn.fetch(statement, user_id, *(after or (None, None)), limit + 1)
    found = [msgspec.convert(record["booking"], Booking) for record in records]
    return page(found, limit, lambda booking: (booking.created_at, booking.id))
