"""Paying a booking: one live session at a gateway, however often and from wherever it is asked for.

The session is ours before it is the gateway's: a row reserves it, then the gateway is asked
with the row's id as key, outside any transaction. Whoever finds the row without an answer, after a
crash or beside a twin, asks again with the same key and gets the same session.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from boxoffice.errors import ConflictError
from boxoffice.payments.gateway import Gateway, GatewayRefusedError, Session, SessionRequest
from boxoffice.postgres.pool import Connection, Pool, Row, connection, row, transaction


class NotPayableError(ConflictError):
    """The booking cannot be paid any more."""

    code = "booking_not_payable"


class PaymentSession(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where and until when a booking can be paid. ``amount`` in minor units."""

    payment_id: UUID
    session_id: str
    payment_url: str
    expires_at: datetime
    amount: int
    currency: str


class Payment(Row, frozen=True, kw_only=True):
    """One attempt to pay, as its row has it."""

    show_id: UUID
    id: UUID
    booking_id: UUID
    gateway: str
    session_id: str | None
    payment_url: str | None
    status: str
    amount: int
    currency: str
    refunded_amount: int
    gateway_ref: str | None
    expires_at: datetime
    created_at: datetime
    settled_at: datetime | None


# Reserves the one live session of a booking that can be paid; no row where it has one or cannot.
_RESERVE = """
INSERT INTO payment (show_id, booking_id, gateway, amount, currency, expires_at)
SELECT show_id, id, $3, total_amount, currency, expires_at
  FROM booking
 WHERE show_id = $1 AND id = $2 AND status = 'PENDING' AND expires_at > now()
ON CONFLICT (show_id, booking_id) WHERE status IN ('OPENING', 'OPEN') DO NOTHING
"""

# The live session of a booking that can be paid.
_LIVE = """
SELECT p.* FROM payment p JOIN booking b ON b.show_id = p.show_id AND b.id = p.booking_id
 WHERE p.show_id = $1 AND p.booking_id = $2 AND p.status IN ('OPENING', 'OPEN')
   AND b.status = 'PENDING' AND b.expires_at > now()
"""


async def open_session(
    pool: Pool, gateways: Mapping[str, Gateway], preferred: str, show_id: UUID, booking_id: UUID
) -> PaymentSession:
    """The booking's one live session: a new one at the ``preferred`` gateway, or the one that it has.

    Raises:
        NotPayableError: the booking is paid, ended, or its time ran out.
        GatewayDownError: the gateway does not answer; ask again.
        GatewayRefusedError: it will not open a session for this booking.
    """
    async with transaction(pool) as conn:
        await conn.execute(_RESERVE, show_id, booking_id, preferred)
        payment = await _live(conn, show_id, booking_id)
    if payment.session_id is None:
        payment = await _ask(pool, gateways[payment.gateway], payment)
    if payment.session_id is None or payment.payment_url is None:
        raise NotPayableError("the payment was settled meanwhile")
    return PaymentSession(
        payment_id=payment.id,
        session_id=payment.session_id,
        payment_url=payment.payment_url,
        expires_at=payment.expires_at,
        amount=payment.amount,
        currency=payment.currency,
    )


async def _live(conn: Connection, show_id: UUID, booking_id: UUID) -> Payment:
    found = await conn.fetchrow(_LIVE, show_id, booking_id)
    if found is None:
        raise NotPayableError("only a booking that is PENDING, and has time left, can be paid")
    return row(Payment, found)


async def _ask(pool: Pool, gateway: Gateway, payment: Payment) -> Payment:
    wanted = SessionRequest(
        payment_id=payment.id,
        booking_id=payment.booking_id,
        amount=payment.amount,
        currency=payment.currency,
        expires_at=payment.expires_at,
    )
    try:
        session = await gateway.open_session(wanted)
    except GatewayRefusedError:
        async with connection(pool) as conn:
            await conn.execute(_REFUSED, payment.show_id, payment.id)
        raise
    return await _opened(pool, payment, session)


# A session that the gateway would not open makes room for another attempt.
_REFUSED = """
UPDATE payment SET status = 'FAILED', settled_at = now() WHERE show_id = $1 AND id = $2 AND status = 'OPENING'
"""

# Keeps the gateway's answer; a twin may have done so, and an event may even have settled the payment since.
_OPENED = """
UPDATE payment
   SET session_id = $3, payment_url = $4, status = CASE status WHEN 'OPENING' THEN 'OPEN' ELSE status END
 WHERE show_id = $1 AND id = $2
RETURNING *
"""


async def _opened(pool: Pool, payment: Payment, session: Session) -> Payment:
    async with connection(pool) as conn:
        kept = await conn.fetchrow(_OPENED, payment.show_id, payment.id, session.session_id, session.payment_url)
    return payment if kept is None else row(Payment, kept)


# Every attempt to pay a booking, the first one first.
_PAYMENTS = """
SELECT * FROM payment WHERE show_id = $1 AND booking_id = $2 ORDER BY created_at, id
"""


async def list_payments(conn: Connection, show_id: UUID, booking_id: UUID) -> list[Payment]:
    """Every attempt to pay the booking."""
    return [row(Payment, record) for record in await conn.fetch(_PAYMENTS, show_id, booking_id)]
