"""Giving a booking up: cancelled while unpaid, refunded by the policy once it is paid.

A refund is decided once, under the booking's lock; two requests at once are one refund. The gateway
is asked by a durable job afterwards, with the refund's id as key. What would come back can be asked
before: by the same reckoning, without the lock, and without a promise.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from boxoffice.bookings.refund_policy import Quote, RefundPolicy
from boxoffice.errors import ConflictError
from boxoffice.mail.outbox import Occasion, tell
from boxoffice.payments.refunds import queue_refund
from boxoffice.postgres.pool import Connection, Row, row
from boxoffice.seating.leases import give_back_seats
from boxoffice.seating.refusals import ForeignSeatsError


class NotCancellableError(ConflictError):
    """Only an unpaid booking can be cancelled."""

    code = "booking_not_cancellable"


class NotRefundableError(ConflictError):
    """Only a confirmed booking can be refunded."""

    code = "booking_not_refundable"


class SeatsAdmittedError(ConflictError):
    """Somebody has gone in with the tickets of these seats."""

    code = "seats_admitted"


class RefundWindowClosedError(ConflictError):
    """It is too late for a refund."""

    code = "refund_window_closed"


class RefundChangedError(ConflictError):
    """Another amount comes back than was agreed to."""

    code = "refund_amount_changed"


# Ends a booking that is unpaid and has time left; the loser of a race gets no row.
_CANCEL: Final = """
UPDATE booking SET status = 'CANCELLED', ended_at = now()
 WHERE show_id = $1 AND id = $2 AND status = 'PENDING' AND expires_at > now()
RETURNING true
"""
_STATUS: Final = """
SELECT CASE WHEN status = 'PENDING' AND expires_at <= now() THEN 'EXPIRED' ELSE status END
  FROM booking WHERE show_id = $1 AND id = $2
"""


async def cancel_booking(conn: Connection, show_id: UUID, booking_id: UUID) -> bool:
    """Cancel an unpaid booking and free its seats; whether it was this that did it: cancelling again changes nothing.

    Raises:
        NotCancellableError: it is paid (refund it instead), or ended otherwise.
    """
    if await conn.fetchval(_CANCEL, show_id, booking_id):
        await give_back_seats(conn, show_id, booking_id)
        return True
    status = await conn.fetchval(_STATUS, show_id, booking_id)
    if status == "CONFIRMED":
        raise NotCancellableError("this booking is paid: ask for a refund instead", bookingStatus=status)
    if status != "CANCELLED":
        raise NotCancellableError(f"this booking is {status}", bookingStatus=status)
    return False


class RefundDecision(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What comes back, in minor units; ``status`` is PENDING until the gateway has answered."""

    booking_id: UUID
    refund_id: UUID
    original_amount: int
    refund_amount: int
    refund_percentage: int
    status: str


class Paid(Row, frozen=True, kw_only=True):
    """A booking, with what paid it, as of ``now``."""

    status: str
    currency: str
    paid_by: UUID | None
    starts_at: datetime
    now: datetime


# Reads a booking for a quote: what it says may be over when it is read.
_LOOK: Final = """
SELECT b.status, b.currency, b.paid_by, sh.starts_at, now() AS now
  FROM booking b JOIN show sh ON sh.id = b.show_id
 WHERE b.show_id = $1 AND b.id = $2
"""
# The same under the booking's lock: what it says holds until the transaction ends.
_LOCK: Final = f"""{_LOOK}   FOR UPDATE OF b
"""
# The seats of a booking that have not been refunded.
_KEPT: Final = """
SELECT l.seat_id, l.price FROM booking_seat l
  LEFT JOIN refund_seat r USING (show_id, booking_id, seat_id)
 WHERE l.show_id = $1 AND l.booking_id = $2 AND r.seat_id IS NULL
 ORDER BY l.seat_id
"""


class Reckoned(msgspec.Struct, frozen=True, kw_only=True):
    """A paid booking, and what giving some of its seats back comes to."""

    paid: Paid
    quote: Quote
    whole: bool
    """Whether these are all the seats that it still has."""


async def quote_refund(
    conn: Connection, show_id: UUID, booking_id: UUID, *, seat_ids: list[UUID] | None, policy: RefundPolicy
) -> Quote:
    """What `refund_booking` would give back now, for all seats or some; nothing is decided or kept.

    Raises:
        NotRefundableError: the booking is not CONFIRMED.
        ForeignSeatsError: a seat is not, or no longer, the booking's.
        SeatsAdmittedError: the ticket of a seat has been used.
    """
    seen = await conn.fetchrow(_LOOK, show_id, booking_id)
    return (await _reckon(conn, show_id, booking_id, row(Paid, seen) if seen else None, seat_ids, policy)).quote


async def refund_booking(
    conn: Connection,
    show_id: UUID,
    booking_id: UUID,
    *,
    seat_ids: list[UUID] | None,
    policy: RefundPolicy,
    expected: int | None = None,
) -> RefundDecision:
    """Give back all seats that the booking still has, or some, by the policy as of now.

    Where an amount is ``expected`` (minor units), exactly that comes back, or nothing happens.

    Raises:
        NotRefundableError: the booking is not CONFIRMED.
        ForeignSeatsError: a seat is not, or no longer, the booking's.
        RefundWindowClosedError: the policy gives nothing back this close to the show.
        SeatsAdmittedError: the ticket of a seat has been used.
        RefundChangedError: another amount than ``expected`` would come back.
    """
    locked = await conn.fetchrow(_LOCK, show_id, booking_id)
    reckoned = await _reckon(conn, show_id, booking_id, row(Paid, locked) if locked else None, seat_ids, policy)
    quote = reckoned.quote
    if quote.percentage == 0:
        raise RefundWindowClosedError("nothing is given back this close to the show", refundPercentage=0)
    if expected is not None and expected != quote.refund_amount:
        raise RefundChangedError(
            "another amount comes back now than the one agreed to",
            refundAmount=quote.refund_amount,
            refundPercentage=quote.percentage,
        )
    return await _refund(conn, show_id, booking_id, reckoned)


# The seats of a booking that somebody has taken; read under the booking's lock, which the door takes too.
_ADMITTED: Final = """
SELECT seat_id FROM ticket_admission WHERE show_id = $1 AND booking_id = $2
"""


async def admitted_seats(conn: Connection, show_id: UUID, booking_id: UUID) -> set[UUID]:
    """The seats whose tickets have been used at the door: none of them can be given back."""
    return {r["seat_id"] for r in await conn.fetch(_ADMITTED, show_id, booking_id)}


async def _reckon(
    conn: Connection,
    show_id: UUID,
    booking_id: UUID,
    paid: Paid | None,
    seat_ids: list[UUID] | None,
    policy: RefundPolicy,
) -> Reckoned:
    """The one computation behind quotes and decisions."""
    if paid is None or paid.status != "CONFIRMED":
        status = paid.status if paid else "unknown"
        raise NotRefundableError(f"this booking is {status}", bookingStatus=status)
    kept: dict[UUID, int] = {r["seat_id"]: r["price"] for r in await conn.fetch(_KEPT, show_id, booking_id)}
    wanted = list(kept) if seat_ids is None else sorted(set(seat_ids))
    if foreign := [seat for seat in wanted if seat not in kept]:
        raise ForeignSeatsError("some seats are not of this booking, or refunded before", showSeatIds=foreign)
    if used := (await admitted_seats(conn, show_id, booking_id)).intersection(wanted):
        raise SeatsAdmittedError("the tickets of some seats have been used", showSeatIds=sorted(used))
    return Reckoned(
        paid=paid,
        quote=policy.quote({seat: kept[seat] for seat in wanted}, paid.starts_at, paid.now),
        whole=len(wanted) == len(kept),
    )


# Decides a refund: its row, what it takes out of the payment, and its entry in the ledger.
_DECIDE: Final = """
WITH given_back AS (
    UPDATE payment SET refunded_amount = refunded_amount + $5 WHERE show_id = $1 AND id = $3
), decided AS (
    INSERT INTO refund (show_id, booking_id, payment_id, original_amount, amount, percentage, currency, reason, status)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 'requested', CASE WHEN $5 = 0 THEN 'SUCCEEDED' ELSE 'PENDING' END)
    RETURNING *
), entry AS (
    INSERT INTO ledger_entry (show_id, subject_id, kind, payment_id, debit, credit, amount, currency)
    SELECT show_id, id, 'refund', payment_id, 'sales', 'owed', amount, currency FROM decided WHERE amount > 0
)
SELECT id, status FROM decided
"""
_SEATS_REFUNDED: Final = """
INSERT INTO refund_seat (show_id, booking_id, seat_id, refund_id, amount)
SELECT $1, $2, seat_id, $3, amount FROM unnest($4::uuid[], $5::bigint[]) AS line (seat_id, amount)
"""
_ALL_REFUNDED: Final = """
UPDATE booking SET status = 'REFUNDED', ended_at = now() WHERE show_id = $1 AND id = $2 AND status = 'CONFIRMED'
"""


async def _refund(conn: Connection, show_id: UUID, booking_id: UUID, reckoned: Reckoned) -> RefundDecision:
    paid, quote = reckoned.paid, reckoned.quote
    decided = await conn.fetchrow(
        _DECIDE,
        show_id,
        booking_id,
        paid.paid_by,
        quote.original_amount,
        quote.refund_amount,
        quote.percentage,
        paid.currency,
    )
    if decided is None:
        raise RuntimeError("an insert returned no row")
    seat_ids = list(quote.by_seat)
    await conn.execute(_SEATS_REFUNDED, show_id, booking_id, decided["id"], seat_ids, list(quote.by_seat.values()))
    await give_back_seats(conn, show_id, booking_id, seat_ids)
    if reckoned.whole:
        await conn.execute(_ALL_REFUNDED, show_id, booking_id)
    if quote.refund_amount > 0:
        await queue_refund(conn, show_id, decided["id"])
    await tell(conn, Occasion.REFUNDED, show_id, booking_id, decided["id"])
    return RefundDecision(
        booking_id=booking_id,
        refund_id=decided["id"],
        original_amount=quote.original_amount,
        refund_amount=quote.refund_amount,
        refund_percentage=quote.percentage,
        status=decided["status"],
    )
