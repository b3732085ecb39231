"""Checking in at the door: a ticket admits once, whoever scans it, at however many doors at once.

The booking's row is locked first, as by its refund: a seat is refunded or admitted, whichever came first.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from boxoffice.bookings.reading import BookedMovie, BookedShow, BookedTheatre, Named
from boxoffice.errors import ConflictError, UnknownError
from boxoffice.postgres.pool import Connection, Row, row
from boxoffice.tickets.codes import TicketedSeat


class TicketNotFoundError(UnknownError):
    """The ticket's seat was never sold here."""

    code = "ticket_not_found"


class TicketRefundedError(ConflictError):
    """The ticket's seat was given back."""

    code = "ticket_refunded"


class TicketForOtherShowError(ConflictError):
    """The ticket is for another show."""

    code = "ticket_for_other_show"


class ShowOverError(ConflictError):
    """The ticket's show is over."""

    code = "show_over"


class AdmittedSeat(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The seat that somebody may take."""

    id: UUID
    row: str
    number: int
    tier: str


class Admission(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the door does: let in, or look at somebody whose ticket was used before."""

    status: Literal["admitted", "already_admitted"]
    at: datetime
    """When the ticket admitted: now, or the time before."""
    booking_id: UUID
    seat: AdmittedSeat
    show: BookedShow


class _Booked(Row, frozen=True, kw_only=True):
    status: str
    starts_at: datetime
    over: bool
    movie_id: UUID
    title: str
    theatre_id: UUID
    theatre: str
    city: str
    timezone: str
    screen_id: UUID
    screen: str


class _Scanned(Row, frozen=True, kw_only=True):
    seat_id: UUID
    row_label: str
    number: int
    tier: str
    refunded: bool


# Locks the booking and reads what the door is told of its show.
_LOCK = """
SELECT b.status, sh.starts_at, sh.ends_at <= now() AS over,
       m.id AS movie_id, m.title, t.id AS theatre_id, t.name AS theatre, t.city, t.timezone,
       sc.id AS screen_id, sc.name AS screen
  FROM booking b
  JOIN show sh ON sh.id = b.show_id
  JOIN movie m ON m.id = sh.movie_id
  JOIN theatre t ON t.id = sh.theatre_id
  JOIN screen sc ON sc.id = sh.screen_id
 WHERE b.show_id = $1 AND b.id = $2
   FOR UPDATE OF b
"""
# The seat of a ticket; read under the booking's lock, so that no refund comes between.
_SEAT = """
SELECT l.seat_id, l.row_label, l.number, l.tier, r.seat_id IS NOT NULL AS refunded
  FROM booking_seat l LEFT JOIN refund_seat r USING (show_id, booking_id, seat_id)
 WHERE l.show_id = $1 AND l.booking_id = $2 AND l.position = $3
"""
# Admits a seat once: the second time it returns no row.
_ADMIT = """
INSERT INTO ticket_admission (show_id, booking_id, seat_id, admitted_by) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING admitted_at
"""
_ADMITTED_AT = """
SELECT admitted_at FROM ticket_admission WHERE show_id = $1 AND booking_id = $2 AND seat_id = $3
"""


async def check_in(conn: Connection, ticket: TicketedSeat, *, by: UUID, at_show: UUID | None) -> Admission:
    """Admit who shows this ticket (verified before), once; ``by`` is the member of staff at the door.

    ``at_show``: the show that this door is for, if it is for one alone.

    Raises:
        TicketForOtherShowError: the ticket is for another show than the door.
        TicketNotFoundError: the code is genuine, but these books know no such sale.
        TicketRefundedError: the seat was given back.
        ShowOverError: the show has ended.
    """
    found = await conn.fetchrow(_LOCK, ticket.show_id, ticket.booking_id)
    seat_found = found and await conn.fetchrow(_SEAT, ticket.show_id, ticket.booking_id, ticket.position)
    booked = row(_Booked, found) if found else None
    seat = row(_Scanned, seat_found) if seat_found else None
    if not booked or not seat or booked.status not in {"CONFIRMED", "REFUNDED"}:
        raise TicketNotFoundError("the code is genuine, but no such seat was sold here")
    show = _show(ticket.show_id, booked)
    if at_show is not None and at_show != ticket.show_id:
        raise TicketForOtherShowError(
            f"this ticket is for {booked.title}, {booked.screen}", show=msgspec.to_builtins(show)
        )
    if seat.refunded:
        raise TicketRefundedError("this seat was given back", bookingStatus=booked.status)
    if booked.over:
        raise ShowOverError("the show of this ticket has ended", show=msgspec.to_builtins(show))
    key = (ticket.show_id, ticket.booking_id, seat.seat_id)
    at: datetime | None = await conn.fetchval(_ADMIT, *key, by)
    return Admission(
        status="already_admitted" if at is None else "admitted",
        at=at or await conn.fetchval(_ADMITTED_AT, *key),
        booking_id=ticket.booking_id,
        seat=AdmittedSeat(id=seat.seat_id, row=seat.row_label, number=seat.number, tier=seat.tier),
        show=show,
    )


def _show(show_id: UUID, booked: _Booked) -> BookedShow:
    return BookedShow(
        id=show_id,
        movie=BookedMovie(id=booked.movie_id, title=booked.title),
        theatre=BookedTheatre(id=booked.theatre_id, name=booked.theatre, city=booked.city, timezone=booked.timezone),
        screen=Named(id=booked.screen_id, name=booked.screen),
        start_time=booked.starts_at,
    )
