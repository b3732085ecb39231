"""Refunds that were decided: the gateway is asked by a durable job until it answers, each paid back once.

Whoever decides a refund writes its row and calls `queue_refund` in that same transaction. The
refund's id is the gateway's idempotency key, so that asking again never pays again. What a gateway has taken
on and not done is asked about again, since the event that would tell of its end may be lost.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import structlog

from boxoffice.audit import Actor, mended, record
from boxoffice.payments.gateway import (
    Gateway,
    GatewayDownError,
    GatewayRefusedError,
    RefundFailedError,
    RefundReceipt,
    RefundRequest,
)
from boxoffice.postgres.pool import Connection, Pool, Row, connection, row, transaction
from boxoffice.postgres.queue import enqueue

SEND_REFUND: Final = "refunds.send"
"""The durable task that runs `send_refund`."""
UNDER_WAY_FOR: Final = timedelta(minutes=10)
"""So long an event has to come by itself. A refund that is older and not done is asked about again and again, after a
twelfth of its age each time."""
ASKED_AGAIN: Final = (timedelta(minutes=5), timedelta(hours=6))
"""That pause, at least and at most."""
ASKED_A_RUN: Final = 100
ASKED_AT_ONCE: Final = 8

log = structlog.get_logger(__name__)


class Refund(Row, frozen=True, kw_only=True):
    """Money decided to go back: ``PENDING`` until the gateway has answered."""

    id: UUID
    booking_id: UUID
    payment_id: UUID
    reason: str
    original_amount: int
    """What the refunded seats had cost, in minor units."""
    amount: int
    percentage: int
    currency: str
    status: str
    created_at: datetime
    settled_at: datetime | None


async def queue_refund(conn: Connection, show_id: UUID, refund_id: UUID) -> None:
    """Have the gateway asked for this refund, once the caller's transaction has committed."""
    await enqueue(conn, SEND_REFUND, show_id=str(show_id), refund_id=str(refund_id))


# The refunds of one booking, oldest first.
_LIST = """
SELECT id, booking_id, payment_id, reason, original_amount, amount, percentage, currency, status,
       created_at, settled_at
FROM refund WHERE show_id = $1 AND booking_id = $2 ORDER BY created_at, id
"""


async def list_refunds(conn: Connection, show_id: UUID, booking_id: UUID) -> list[Refund]:
    """Every refund of a booking, oldest first."""
    return [row(Refund, found) for found in await conn.fetch(_LIST, show_id, booking_id)]


class _Unsent(Row, frozen=True, kw_only=True):
    id: UUID
    payment_id: UUID
    amount: int
    currency: str
    gateway: str
    session_id: str


# A refund that still waits for its gateway, with the session whose money goes back.
_UNSENT = """
SELECT refund.id, refund.payment_id, refund.amount, refund.currency, payment.gateway, payment.session_id
FROM refund
JOIN payment ON payment.show_id = refund.show_id AND payment.id = refund.payment_id
WHERE refund.show_id = $1 AND refund.id = $2 AND refund.status = 'PENDING'
"""


async def send_refund(
    pool: Pool, gateways: Mapping[str, Gateway], show_id: UUID, refund_id: UUID, by: Actor | None = None
) -> None:
    """Ask the gateway for a refund and write down its answer; nothing when it is settled already.

    Where somebody here has asked for it, ``by`` whom is written down with what it settles.

    Raises:
        GatewayDownError: no answer, not now, or the gateway is not set up here; ask again later.
    """
    async with connection(pool) as conn:
        found = await conn.fetchrow(_UNSENT, show_id, refund_id)
    if found is None:
        return
    unsent = row(_Unsent, found)
    try:
        receipt = await _ask(gateways, unsent)
    except GatewayRefusedError as refusal:
        await _fail(pool, show_id, unsent, refusal, by)
        return
    async with transaction(pool) as conn:
        if not receipt.done:
            await conn.execute(_ACCEPT, show_id, refund_id, receipt.gateway_ref)
        elif await conn.fetchval(_SUCCEED, show_id, refund_id, receipt.gateway_ref):
            await _note(conn, show_id, unsent, "refund.succeeded", by)


_PAID_BACK: Final = """, entry AS (
    INSERT INTO ledger_entry (show_id, subject_id, kind, payment_id, debit, credit, amount, currency)
    SELECT show_id, id, 'paid_back', payment_id, 'owed', 'gateway', amount, currency FROM done WHERE amount > 0
)"""
"""What the gateway has given back we owe no more: written with whatever makes a refund SUCCEEDED."""

# Settles one refund of a payment: the pending one that is named or, where none is, the only one of that amount. One
# that is named may have FAILED: the gateway had refused it, and has done it after all. That it has done what it said
# to have failed is old news (the same reference), and it does not go back twice (the ledger has it once).
_MARK_REFUNDED = f"""
WITH done AS (
    UPDATE refund SET status = 'SUCCEEDED', gateway_ref = coalesce($5, gateway_ref), settled_at = now()
    WHERE show_id = $1 AND payment_id = $2 AND amount = $4
      AND (status = 'PENDING' OR (
          status = 'FAILED' AND id = $3 AND gateway_ref IS DISTINCT FROM $5
          AND NOT EXISTS (SELECT FROM ledger_entry e
                           WHERE e.show_id = $1 AND e.subject_id = refund.id AND e.kind = 'paid_back')))
      AND id = coalesce($3, (
          SELECT (array_agg(twin.id))[1] FROM refund AS twin
          WHERE twin.show_id = $1 AND twin.payment_id = $2 AND twin.amount = $4 AND twin.status = 'PENDING'
          HAVING count(*) = 1))
    RETURNING show_id, id, payment_id, amount, currency, resolved_at
){_PAID_BACK}
SELECT CASE WHEN resolved_at IS NULL THEN 'once' ELSE 'twice' END FROM done
"""


async def mark_refunded(
    conn: Connection,
    *,
    show_id: UUID,
    payment_id: UUID,
    refund_id: UUID | None,
    amount: int,
    gateway_ref: str | None = None,
) -> Literal["once", "twice"] | None:
    """The gateway says that ``amount`` (minor units) of this payment went back, and calls that ``gateway_ref``.

    Returns:
        ``once``: a refund of exactly that became SUCCEEDED. ``twice``: so it did, and a person had settled it before,
        in another way. None: it was settled before, there is none, or without an id it could be either of two.
    """
    settled: Literal["once", "twice"] | None = await conn.fetchval(
        _MARK_REFUNDED, show_id, payment_id, refund_id, amount, gateway_ref
    )
    return settled


# Whether just this refund is done.
_WAS_REFUNDED = """
SELECT EXISTS (SELECT FROM refund
                WHERE show_id = $1 AND payment_id = $2 AND id = $3 AND amount = $4 AND status = 'SUCCEEDED')
"""


async def was_refunded(conn: Connection, *, show_id: UUID, payment_id: UUID, refund_id: UUID, amount: int) -> bool:
    """Whether this refund of ``amount`` (minor units) is SUCCEEDED, so that to be told of it is no news."""
    return await conn.fetchval(_WAS_REFUNDED, show_id, payment_id, refund_id, amount)


# The gateway could not give it back, even where it had said that it did.
_MARK_FAILED = """
WITH before AS (
    SELECT * FROM refund WHERE show_id = $1 AND payment_id = $2 AND id = $3 AND status <> 'FAILED' FOR UPDATE
), failed AS (
    UPDATE refund SET status = 'FAILED', gateway_ref = coalesce($4, refund.gateway_ref), settled_at = now() FROM before
     WHERE refund.show_id = before.show_id AND refund.id = before.id
), entry AS (
    INSERT INTO ledger_entry (show_id, subject_id, kind, payment_id, debit, credit, amount, currency)
    SELECT show_id, id, 'returned', payment_id, 'gateway', 'owed', amount, currency
      FROM before WHERE status = 'SUCCEEDED' AND amount > 0
)
SELECT true FROM before
"""


async def mark_refund_failed(
    conn: Connection, *, show_id: UUID, payment_id: UUID, refund_id: UUID, gateway_ref: str | None = None
) -> bool:
    """The gateway says that a refund did not arrive; False: it had said so before, or there is none."""
    return bool(await conn.fetchval(_MARK_FAILED, show_id, payment_id, refund_id, gateway_ref))


async def _ask(gateways: Mapping[str, Gateway], unsent: _Unsent) -> RefundReceipt:
    if unsent.amount == 0:
        # Seats that were free: there is nothing to give back, and gateways refuse to give back nothing.
        return RefundReceipt(gateway_ref="", done=True)
    gateway = gateways.get(unsent.gateway)
    if gateway is None:
        raise GatewayDownError(f"the gateway {unsent.gateway} is not set up here")
    return await gateway.refund(
        RefundRequest(
            refund_id=unsent.id,
            session_id=unsent.session_id,
            amount=unsent.amount,
            currency=unsent.currency,
        )
    )


# The gateway has paid: settled, unless its event came first.
_SUCCEED = f"""
WITH done AS (
    UPDATE refund SET status = 'SUCCEEDED', gateway_ref = nullif($3, ''), settled_at = now()
    WHERE show_id = $1 AND id = $2 AND status = 'PENDING'
    RETURNING show_id, id, payment_id, amount, currency
){_PAID_BACK}
SELECT true FROM done
"""

# The gateway has taken it on and will tell by an event when it is done.
_ACCEPT = """
UPDATE refund SET gateway_ref = $3 WHERE show_id = $1 AND id = $2 AND status = 'PENDING'
"""

# The gateway will not pay, whatever we do.
_FAIL = """
UPDATE refund SET status = 'FAILED', gateway_ref = coalesce($3, gateway_ref), settled_at = now()
WHERE show_id = $1 AND id = $2 AND status = 'PENDING'
RETURNING true
"""


async def _fail(pool: Pool, show_id: UUID, unsent: _Unsent, refusal: GatewayRefusedError, by: Actor | None) -> None:
    made = refusal.gateway_ref if isinstance(refusal, RefundFailedError) else None
    async with transaction(pool) as conn:
        if await conn.fetchval(_FAIL, show_id, unsent.id, made):
            await _note(conn, show_id, unsent, "refund.failed", by)
    # Money is owed that the program cannot give back: a person must look.
    log.error(
        "refund refused by the gateway",
        show_id=str(show_id),
        refund_id=str(unsent.id),
        session_id=unsent.session_id,
        amount=unsent.amount,
        currency=unsent.currency,
        gateway=unsent.gateway,
        reason=refusal.detail,
    )


async def _note(conn: Connection, show_id: UUID, unsent: _Unsent, event: str, by: Actor | None) -> None:
    if by is not None:
        details = {"showId": str(show_id), "refundId": str(unsent.id), "event": event}
        await record(conn, by, mended(unsent.payment_id, details))


# Takes a turn of refunds that are under way for long, those asked longest ago first; processes that do so at once
# share them.
_TAKE_TURN = """
WITH due AS (
    SELECT show_id, id FROM refund
     WHERE status = 'PENDING' AND created_at <= now() - $2::interval
       AND (asked_at IS NULL OR asked_at <= now() - least(greatest((now() - created_at) / 12, $3::interval), $4))
     ORDER BY asked_at NULLS FIRST LIMIT $1
       FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE refund SET asked_at = now() FROM due WHERE refund.show_id = due.show_id AND refund.id = due.id
RETURNING refund.show_id, refund.id
"""


async def ask_again(pool: Pool, gateways: Mapping[str, Gateway], by: Actor | None = None) -> int:
    """Ask about refunds that are under way for longer than `UNDER_WAY_FOR`, up to `ASKED_A_RUN`; returns how many.

    A gateway that does not answer is asked another time. ``by`` as of `send_refund`.
    """
    async with connection(pool) as conn:
        due = await conn.fetch(_TAKE_TURN, ASKED_A_RUN, UNDER_WAY_FOR, *ASKED_AGAIN)
    turns = asyncio.Semaphore(ASKED_AT_ONCE)

    async def ask(show_id: UUID, refund_id: UUID) -> None:
        async with turns:
            try:
                await send_refund(pool, gateways, show_id, refund_id, by)
            except GatewayDownError as error:
                log.warning("gateway not asked about a refund", refund_id=str(refund_id), error=error.detail)

    await asyncio.gather(*(ask(found["show_id"], found["id"]) for found in due))
    return len(due)
