"""Money that is set aside is taken only when the seats are ours, and let go otherwise.

A gateway may set a buyer's money aside first and take it when told to. Between the two we decide, under the
booking's lock: if the seats are the booking's still, or free, they are kept for it, and a durable job has the
gateway take the money (`boxoffice.bookings.capture`). Otherwise the job has it let go, and nothing needs to be
refunded. Nothing is CONFIRMED here: that is done by the success that follows, under the rule of any success.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from boxoffice.bookings.books import SET_ASIDE, Books, Effect
from boxoffice.bookings.states import AfterSuccess, on_success
from boxoffice.payments.gateway import GatewayEvent
from boxoffice.postgres.pool import Connection
from boxoffice.postgres.queue import enqueue
from boxoffice.seating.leases import keep_seats

CAPTURE_LEASE: Final = timedelta(minutes=5)
"""How long seats are kept while their money is taken; each attempt to take it lets this run anew."""
SETTLE_AUTHORISATION: Final = "payments.settle_authorisation"
"""The durable task that takes or lets go what was set aside."""


async def authorised(conn: Connection, event: GatewayEvent, books: Books) -> Effect:
    """The buyer's money is set aside: decide, and have the gateway told once this is committed."""
    if books.payment_status in SET_ASIDE | {"SUCCEEDED", "VOIDED"}:
        return Effect(outcome="authorised_before", took_effect=False)
    after = await keep_or_let_go(conn, books)
    status = "AUTHORISED" if after is AfterSuccess.CONFIRM else "VOIDING"
    await conn.execute(_SET_ASIDE, books.show_id, books.payment_id, status, event.gateway_ref)
    await enqueue(conn, SETTLE_AUTHORISATION, show_id=str(books.show_id), payment_id=str(books.payment_id))
    return Effect(outcome="to_capture" if after is AfterSuccess.CONFIRM else f"to_void: {after.value}")


# The money of a payment is set aside, whatever had become of its session by our books.
_SET_ASIDE = """
UPDATE payment SET status = $3, gateway_ref = coalesce($4, gateway_ref), settled_at = NULL
 WHERE show_id = $1 AND id = $2 AND status <> 'SUCCEEDED'
"""

# Whether another payment of the booking is being taken: that one will seat it.
_ANOTHER = """
SELECT EXISTS (
    SELECT FROM payment WHERE show_id = $1 AND booking_id = $2 AND id <> $3 AND status = 'AUTHORISED')
"""

# An unpaid booking runs at least until then; one whose time was over comes back.
_KEEP = """
UPDATE booking SET status = 'PENDING', expires_at = greatest(expires_at, $3), ended_at = NULL
 WHERE show_id = $1 AND id = $2 AND status IN ('PENDING', 'EXPIRED')
"""


async def keep_or_let_go(conn: Connection, books: Books) -> AfterSuccess:
    """CONFIRM: the seats are kept for the booking for `CAPTURE_LEASE`. Otherwise: why its money is to be let go."""
    if await conn.fetchval(_ANOTHER, books.show_id, books.booking_id, books.payment_id):
        return AfterSuccess.REFUND_TWICE
    if books.show_over:
        # Nothing was charged: to let it go is better than to seat somebody in an empty hall.
        return on_success(books.status, seats_claimable=False)
    until = books.now + CAPTURE_LEASE
    if books.in_time and books.expires_at >= until:
        return AfterSuccess.CONFIRM
    until = max(until, books.expires_at)
    kept = books.may_be_seated and await keep_seats(conn, books.show_id, books.booking_id, books.user_id, until)
    if kept:
        await conn.execute(_KEEP, books.show_id, books.booking_id, until)
    return on_success(books.status, seats_claimable=kept)


# What was set aside is no more.
_GONE = """
UPDATE payment SET status = 'VOIDED', settled_at = now() WHERE show_id = $1 AND id = $2
"""


async def let_go(conn: Connection, show_id: UUID, payment_id: UUID) -> Effect:
    """What was set aside is no more. The booking keeps the time that it has, so that the buyer may pay again."""
    await conn.execute(_GONE, show_id, payment_id)
    return Effect(outcome="voided")
