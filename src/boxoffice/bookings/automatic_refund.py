"""Money that bought no seat goes back in full, by itself: decided in the transaction that found it out."""

from typing import Final
from uuid import UUID

from boxoffice.mail.outbox import Occasion, tell
from boxoffice.payments.refunds import queue_refund
from boxoffice.postgres.pool import Connection

# The whole payment, once: the index refund_whole_payment_once and the check payment_refund_within_amount see to it.
_REFUND: Final = """
WITH given_back AS (
    UPDATE payment SET refunded_amount = refunded_amount + $4 WHERE show_id = $1 AND id = $3
)
INSERT INTO refund (show_id, booking_id, payment_id, original_amount, amount, percentage, currency, reason, status)
VALUES ($1, $2, $3, $4, $4, 100, $5, $6, CASE WHEN $4 = 0 THEN 'SUCCEEDED' ELSE 'PENDING' END)
RETURNING id
"""


async def refund_whole_payment(
    conn: Connection,
    show_id: UUID,
    booking_id: UUID,
    payment_id: UUID,
    amount: int,
    currency: str,
    reason: str,
) -> UUID:
    """Decide to give a whole payment back, and queue the asking of the gateway; the refund's id."""
    refund_id: UUID = await conn.fetchval(_REFUND, show_id, booking_id, payment_id, amount, currency, reason)
    if amount > 0:
        await queue_refund(conn, show_id, refund_id)
        await tell(conn, Occasion.REFUNDED, show_id, booking_id, refund_id)
    return refund_id
