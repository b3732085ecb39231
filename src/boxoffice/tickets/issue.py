"""The tickets of a booking: one for each seat that it has paid for and not given back."""

import asyncio
from datetime import datetime
from uuid import UUID

import msgspec

from boxoffice.bookings.reading import BookedShow, BookingNotFoundError
from boxoffice.errors import ConflictError
from boxoffice.postgres.pool import Connection
from boxoffice.tickets.codes import TicketedSeat, TicketKeys
from boxoffice.tickets.qr import qr_svg


class NoTicketsError(ConflictError):
    """Only a confirmed booking has tickets."""

    code = "booking_without_tickets"


class SeatOnTicket(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The seat that a ticket is for; ``price`` in minor units."""

    id: UUID
    row: str
    number: int
    tier: str
    price: int


class ShowOnTicket(BookedShow, frozen=True, kw_only=True, rename="camel"):
    """The show that a ticket is for."""

    end_time: datetime
    language: str
    format: str


class Ticket(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A ticket: whoever shows its code at the door takes the seat."""

    seat: SeatOnTicket
    code: str
    """Signed; `GET /tickets/keys` has the keys that verify it."""
    qr_svg: str
    """The code as a QR symbol, an SVG element."""
    admitted_at: datetime | None


class Tickets(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The tickets of a booking and its show."""

    booking_id: UUID
    currency: str
    show: ShowOnTicket
    tickets: list[Ticket]


class _Line(SeatOnTicket, frozen=True, kw_only=True, rename="camel"):
    position: int
    admitted_at: datetime | None


class _Sold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    status: str
    booking_id: UUID
    currency: str
    show: ShowOnTicket
    lines: list[_Line]


# A booking with its show and the seats that it still has, as one JSON document: one round trip reads one state.
_SOLD = """
SELECT jsonb_build_object(
    'bookingId', b.id, 'status', b.status, 'currency', b.currency,
    'lines', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
                   'id', l.seat_id, 'row', l.row_label, 'number', l.number, 'tier', l.tier, 'price', l.price,
                   'position', l.position, 'admittedAt', a.admitted_at) ORDER BY l.position)
          FROM booking_seat l
          LEFT JOIN refund_seat r USING (show_id, booking_id, seat_id)
          LEFT JOIN ticket_admission a USING (show_id, booking_id, seat_id)
         WHERE l.show_id = b.show_id AND l.booking_id = b.id AND r.seat_id IS NULL), '[]'),
    'show', jsonb_build_object(
        'id', sh.id, 'startTime', sh.starts_at, 'endTime', sh.ends_at, 'language', sh.language, 'format', sh.format,
        'movie', jsonb_build_object('id', m.id, 'title', m.title),
        'theatre', jsonb_build_object('id', t.id, 'name', t.name, 'city', t.city, 'timezone', t.timezone),
        'screen', jsonb_build_object('id', sc.id, 'name', sc.name))) AS sold
  FROM booking b
  JOIN show sh ON sh.id = b.show_id
  JOIN movie m ON m.id = sh.movie_id
  JOIN theatre t ON t.id = sh.theatre_id
  JOIN screen sc ON sc.id = sh.screen_id
 WHERE b.id = $1 AND ($2::uuid IS NULL OR b.user_id = $2)
"""


async def tickets_of(conn: Connection, keys: TicketKeys, booking_id: UUID, *, owner: UUID | None) -> Tickets:
    """The tickets of a booking, by row and number; with ``owner``, only if it is theirs.

    Raises:
        BookingNotFoundError: there is no such booking, or it is someone else's.
        NoTicketsError: it is not CONFIRMED.
    """
    found = await conn.fetchval(_SOLD, booking_id, owner)
    if found is None:
        raise BookingNotFoundError(f"there is no booking {booking_id}")
    sold = msgspec.convert(found, _Sold)
    if sold.status != "CONFIRMED":
        raise NoTicketsError("this booking is not paid, or over", bookingStatus=sold.status)
    # In a thread, since to sign and draw ten of them takes 40 ms, in which others want to be served.
    return await asyncio.to_thread(_issue, keys, sold)


def _issue(keys: TicketKeys, sold: _Sold) -> Tickets:
    return Tickets(
        booking_id=sold.booking_id,
        currency=sold.currency,
        show=sold.show,
        tickets=[_ticket(keys, sold, line) for line in sold.lines],
    )


def _ticket(keys: TicketKeys, sold: _Sold, line: _Line) -> Ticket:
    code = keys.sign(TicketedSeat(show_id=sold.show.id, booking_id=sold.booking_id, position=line.position))
    seat = SeatOnTicket(id=line.id, row=line.row, number=line.number, tier=line.tier, price=line.price)
    return Ticket(seat=seat, code=code, qr_svg=qr_svg(code, f"{line.row}{line.number}"), admitted_at=line.admitted_at)
