"""Paying a booking: one live session at a gateway, however often and from wherever it is asked for.

The session is ours before it is the gateway's: a row reserves it, then the gateway is asked
with the row's id as key, outside any transaction. Whoever finds the row without an answer, after a
crash or beside a twin, asks again with the same key and gets the same session. Nobody is told where to pay before
the session is in our books, and live there: one whose answer never came can be paid by nobody, so that it may be left
to end by itself at the gateway when its booking does.
"""

from collections.abc import Awaitable, Callable, Mapping
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
    asked_at: datetime | None
    """When the gateway was last asked about it (`boxoffice.bookings.reconciliation`)."""


# Reserves the one live session of an owner's booking that can be paid, or finds it; no row where there is none to be
# paid, or where a twin's reservation was committed while this one waited for it.
_RESERVE = """
WITH payable AS (
    SELECT show_id, id, total_amount, currency, expires_at
      FROM booking
     WHERE id = $1 AND ($2::uuid IS NULL OR user_id = $2) AND status = 'PENDING' AND expires_at > now()
), live AS (
    SELECT p.* FROM payment p JOIN payable ON p.show_id = payable.show_id AND p.booking_id = payable.id
     WHERE p.status IN ('OPENING', 'OPEN', 'AUTHORISED')
     ORDER BY p.status LIMIT 1 -- money that is set aside already comes before a session that waits for some
), reserved AS (
    INSERT INTO payment (show_id, booking_id, gateway, amount, currency, expires_at)
    SELECT show_id, id, $3, total_amount, currency, expires_at FROM payable WHERE NOT EXISTS (SELECT FROM live)
    ON CONFLICT (show_id, booking_id) WHERE status IN ('OPENING', 'OPEN') DO NOTHING
    RETURNING *
)
SELECT * FROM live UNION ALL SELECT * FROM reserved
"""


async def open_session(
    pool: Pool,
    gateways: Mapping[str, Gateway],
    preferred: str,
    booking_id: UUID,
    *,
    owner: UUID | None,
    return_url: str,
    beside: Callable[[Connection, Payment], Awaitable[None]] | None = None,
) -> PaymentSession:
    """The booking's one live session: a new one at the ``preferred`` gateway, or the one that it has.

    With ``owner``, only for a booking of theirs. The gateway sends the buyer back to ``return_url``. What is to be
    done in the transaction of a new session is ``beside``.

    Raises:
        NotPayableError: the booking is paid, ended, its time ran out, or there is none.
        GatewayDownError: the gateway does not answer; ask again.
        GatewayRefusedError: it will not open a session for this booking.
    """
    if beside is None:
        # The statement is its own transaction.
        async with connection(pool) as conn:
            payment = await _reserve(conn, preferred, booking_id, owner)
    else:
        async with transaction(pool) as conn:
            payment = await _reserve(conn, preferred, booking_id, owner)
            if await conn.fetchval(_RESERVED_HERE, payment.show_id, payment.id):
                await beside(conn, payment)
    if payment.session_id is None:
        payment = await _ask(pool, gateways[payment.gateway], payment, return_url)
    # Given up or settled while the gateway was slow: nobody is sent there any more.
    if payment.session_id is None or payment.payment_url is None or payment.status not in {"OPEN", "AUTHORISED"}:
        raise NotPayableError("the payment was settled meanwhile")
    return PaymentSession(
        payment_id=payment.id,
        session_id=payment.session_id,
        payment_url=payment.payment_url,
        expires_at=payment.expires_at,
        amount=payment.amount,
        currency=payment.currency,
    )


async def _reserve(conn: Connection, preferred: str, booking_id: UUID, owner: UUID | None) -> Payment:
    found = await conn.fetchrow(_RESERVE, booking_id, owner, preferred)
    if found is None:  # a second look tells a twin's reservation from a booking that cannot be paid
        found = await conn.fetchrow(_RESERVE, booking_id, owner, preferred)
    if found is None:
        raise NotPayableError("only a booking that is PENDING, and has time left, can be paid")
    return row(Payment, found)


# Whether a payment was reserved by this very transaction.
_RESERVED_HERE = """
SELECT xmin = pg_current_xact_id()::xid FROM payment WHERE show_id = $1 AND id = $2
"""


async def _ask(pool: Pool, gateway: Gateway, payment: Payment, return_url: str) -> Payment:
    wanted = SessionRequest(
        payment_id=payment.id,
        booking_id=payment.booking_id,
        amount=payment.amount,
        currency=payment.currency,
        expires_at=payment.expires_at,
        return_url=return_url,
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
