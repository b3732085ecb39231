"""Taking what a buyer has authorised, or letting it go: asked of the gateway until it answers, outside transactions.

Each attempt first decides anew, under the booking's lock: seats that are ours are kept for a while longer, and where
they are lost, or the buyer has cancelled, the money is let go instead of taken. Then the gateway is asked, and its
answer takes effect as its webhook would, through `settle`. So an answer that is lost, late or twice does no harm:
a capture that comes too late is a late success, which is seated or refunded.
"""

from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

import structlog

from boxoffice.audit import Actor
from boxoffice.bookings.authorisation import keep_or_let_go
from boxoffice.bookings.books import Books
from boxoffice.bookings.settlement import settle
from boxoffice.bookings.states import AfterSuccess
from boxoffice.payments.asking import event_of
from boxoffice.payments.gateway import (
    CaptureRequest,
    Gateway,
    GatewayDownError,
    GatewayRefusedError,
    Standing,
)
from boxoffice.postgres.pool import Connection, Pool, Row, row, transaction

log = structlog.get_logger(__name__)


class _SetAside(Row, frozen=True, kw_only=True):
    show_id: UUID
    booking_id: UUID
    payment_id: UUID
    gateway: str
    session_id: str
    amount: int
    currency: str
    take: bool
    """Otherwise: let it go."""


async def settle_authorisation(
    pool: Pool,
    gateways: Mapping[str, Gateway],
    show_id: UUID,
    payment_id: UUID,
    on_effect: Callable[[UUID], None] = lambda _: None,
    by: Actor | None = None,
) -> None:
    """Take or let go the money of one payment, and let the gateway's answer take effect; nothing once that is done.

    ``on_effect`` is told the show once its seats are kept, which stays so whatever the gateway then says, and once
    the answer took effect. ``by`` as of `settle`.

    Raises:
        GatewayDownError: no answer, or none that ends it; ask again later.
    """
    async with transaction(pool) as conn:
        held = await _decide(conn, show_id, payment_id)
    if held is None:
        return
    if held.take:
        on_effect(held.show_id)
    gateway = gateways.get(held.gateway)
    if gateway is None:
        raise GatewayDownError(f"the gateway {held.gateway} is not set up here")
    standing = await _ask(gateway, held)
    known = "AUTHORISED" if held.take else "VOIDING"
    event = event_of(standing, gateway=held.gateway, payment_id=payment_id, booking_id=held.booking_id, known=known)
    if event is None or not standing.state.final:
        raise GatewayDownError("the gateway would neither take nor let go what was authorised")
    await settle(pool, event, on_effect, by)


async def _ask(gateway: Gateway, held: _SetAside) -> Standing:
    try:
        if not held.take:
            return await gateway.void(held.session_id)
        return await gateway.capture(
            CaptureRequest(
                payment_id=held.payment_id, session_id=held.session_id, amount=held.amount, currency=held.currency
            )
        )
    except GatewayRefusedError as refusal:
        log.warning("authorisation not settled as asked", payment_id=str(held.payment_id), reason=refusal.detail)
        return await gateway.fetch(held.session_id)


# Locks the booking of a payment whose money is set aside, and then the payment.
_LOCK: Final = """
SELECT b.show_id, b.id AS booking_id, b.status AS booking_status, b.user_id, b.expires_at, b.extensions,
       sh.ends_at <= now() AS show_over,
       p.id AS payment_id, p.status AS payment_status, p.amount, p.currency, now() AS now, false AS seen
  FROM payment p
  JOIN booking b ON b.show_id = p.show_id AND b.id = p.booking_id
  JOIN show sh ON sh.id = p.show_id
 WHERE p.show_id = $1 AND p.id = $2 AND p.status IN ('AUTHORISED', 'VOIDING')
   FOR NO KEY UPDATE OF b, p
"""

# What was to be taken is to be let go: from here there is no way back to taking it.
_LET_GO: Final = """
UPDATE payment SET status = 'VOIDING' WHERE show_id = $1 AND id = $2 AND status = 'AUTHORISED'
"""

# What is asked of the gateway.
_HELD: Final = """
SELECT show_id, booking_id, id AS payment_id, gateway, session_id, amount, currency, status = 'AUTHORISED' AS take
  FROM payment WHERE show_id = $1 AND id = $2
"""


async def _decide(conn: Connection, show_id: UUID, payment_id: UUID) -> _SetAside | None:
    locked = await conn.fetchrow(_LOCK, show_id, payment_id)
    if locked is None:
        return None
    books = row(Books, locked)
    if books.payment_status == "AUTHORISED" and await keep_or_let_go(conn, books) is not AfterSuccess.CONFIRM:
        await conn.execute(_LET_GO, show_id, payment_id)
    held = await conn.fetchrow(_HELD, show_id, payment_id)
    return row(_SetAside, held) if held else None
