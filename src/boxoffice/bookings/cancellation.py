"""Giving a booking up: cancelled while unpaid, refunded by the policy once it is paid.

A refund is decided once, under the booking's lock; two requests at once are one refund. The gateway
is asked by a durable job afterwards, with the refund's id as key.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from boxoffice.bookings.refund_policy import RefundPolicy
from boxoffice.errors import ConflictError
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


class RefundWindowClosedError(ConflictError):
    """It is too late for a refund."""

    code = "refund_window_closed"


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


async def cancel_booking(conn: Connection, show_id: UUID, booking_id: UUID) -> None:
    """Cancel an unpaid booking and free its seats; cancelling again changes nothing.

    Raises:
        NotCancellableError: it is paid (refund it instead), or ended otherwise.
    """
    if await conn.fetchval(_CANCEL, show_id, booking_id):
        await give_back_seats(conn, show_id, booking_id)
        return
    status = await conn.fetchval(_STATUS, show_id, booking_id)
    if status == "CONFIRMED":
        raise NotCancellableError("this booking is paid: ask for a refund instead", bookingStatus=status)
    if status != "CANCELLED":
        raise NotCancellableError(f"this booking is {status}", bookingStatus=status)


class RefundDecision(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What comes back, in minor units; ``status`` is PENDING until the gateway has answered."""

    booking_id: UUID
    refund_id: UUID
    original_amount: int
    refund_amount: int
    refund_percentage: int
    status: str


class Paid(Row, frozen=True, kw_only=True):
    """A booking under its lock, with what paid it."""

    status: str
    currency: str
    paid_by: UUID | None
    starts_at: datetime
    now: datetime


_LOCK: Final = """
SELECT b.status, b.currency, b.paid_by, sh.starts_at, now() AS now
  FROM booking b JOIN show sh ON sh.id = b.show_id
 WHERE b.show_id = $1 AND b.id = $2
   FOR UPDATE OF b
"""
# The seats of a booking that have not been refunded.
_KEPT: Final = """
SELECT l.seat_id, l.price FROM booking_seat l
  LEFT JOIN refund_seat r USING (show_id, booking_id, seat_id)
 WHERE l.show_id = $1 AND l.booking_id = $2 AND r.seat_id IS NULL
 ORDER BY l.seat_id
"""


async def refund_booking(
    conn: Connection, show_id: UUID, booking_id: UUID, *, seat_ids: list[UUID] | None, policy: RefundPolicy
) -> RefundDecision:
    """Give back all seats that the booking still has, or some, by the policy as of now.

    Raises:
        NotRefundableError: the booking is not CONFIRMED.
        ForeignSeatsError: a seat is not, or no longer, the booking's.
        RefundWindowClosedError: the policy gives nothing back this close to the show.
    """
    locked = await conn.fetchrow(_LOCK, show_id, booking_id)
    booking = row(Paid, locked) if locked else None
    if booking is None or booking.status != "CONFIRMED":
        status = booking.status if booking else "unknown"
        raise NotRefundableError(f"this booking is {status}", bookingStatus=status)
    kept: dict[UUID, int] = {r["seat_id"]: r["price"] for r in await conn.fetch(_KEPT, show_id, booking_id)}
    wanted = list(kept) if seat_ids is None else sorted(set(seat_ids))
    if foreign := [seat for seat in wanted if seat not in kept]:
        raise ForeignSeatsError("some seats are not of this booking, or refunded before", showSeatIds=foreign)
    percentage = policy.percentage(booking.starts_at, booking.now)
    if percentage == 0:
        raise RefundWindowClosedError("nothing is given back this close to the show", refundPercentage=0)
    return await _refund(
        conn,
        show_id,
        booking_id,
        booking,
        {seat: kept[seat] for seat in wanted},
        percentage,
        policy,
        whole=len(wanted) == len(kept),
    )


_DECIDE: Final = """
WITH given_back AS (
    UPDATE payment SET refunded_amount = refunded_amount + $5 WHERE show_id = $1 AND id = $3
)
INSERT INTO refund (show_id, booking_id, payment_id, original_amount, amount, percentage, currency, reason, status)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'requested', CASE WHEN $5 = 0 THEN 'SUCCEEDED' ELSE 'PENDING' END)
RETURNING id, status
"""
_SEATS_REFUNDED: Final = """
INSERT INTO refund_seat (show_id, booking_id, seat_id, refund_id, amount)
SELECT $1, $2, seat_id, $3, amount FROM unnest($4::uuid[], $5::bigint[]) AS line (seat_id, amount)
"""
_ALL_REFUNDED: Final = """
UPDATE booking SET status = 'REFUNDED', ended_at = now() WHERE show_id = $1 AND id = $2 AND status = 'CONFIRMED'
"""


async def _refund(
    conn: Connection,
    show_id: UUID,
    booking_id: UUID,
    booking: Paid,
    prices: dict[UUID, int],
    percentage: int,
    policy: RefundPolicy,
    *,
    whole: bool,
) -> RefundDecision:
    amounts = policy.amounts(list(prices.values()), percentage)
    original, amount = sum(prices.values()), sum(amounts)
    decided = await conn.fetchrow(
        _DECIDE, show_id, booking_id, booking.paid_by, original, amount, percentage, booking.currency
    )
    if decided is None:
        raise RuntimeError("an insert returned no row")
    await conn.execute(_SEATS_REFUNDED, show_id, booking_id, decided["id"], list(prices), amounts)
    await give_back_seats(conn, show_id, booking_id, list(prices))
    if whole:
        await conn.execute(_ALL_REFUNDED, show_id, booking_id)
    if amount > 0:
        await queue_refund(conn, show_id, decided["id"])
    return RefundDecision(
        booking_id=booking_id,
        refund_id=decided["id"],
        original_amount=original,
        refund_amount=amount,
        refund_percentage=percentage,
        status=decided["status"],
    )
