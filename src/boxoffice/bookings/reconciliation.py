"""Webhooks are hints: the gateway is asked about every payment that is not over, and about those that were lately.

What it says takes effect as its webhook would, through `settle`, so that a webhook that was lost confirms or
refunds a little later. A session that outlives its booking is closed. Where our books and the gateway differ and
nothing of ours can mend it, a row in `reconciliation_issue` waits for a person (`boxoffice.bookings.waiting`).
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import structlog
from prometheus_client import Counter

from boxoffice.audit import Actor, mended, record
from boxoffice.bookings.capture import settle_authorisation
from boxoffice.bookings.settlement import settle
from boxoffice.bookings.waiting import Matter, count_waiting, list_waiting
from boxoffice.payments.asking import event_of
from boxoffice.payments.gateway import (
    Gateway,
    GatewayDownError,
    SessionState,
    Standing,
    UnknownSessionError,
)
from boxoffice.payments.ledger import Account, Disagreement, balances, check_ledger
from boxoffice.payments.refunds import ask_again
from boxoffice.postgres.pool import Pool, Row, connection, row, transaction

ASKED_A_RUN: Final = 200
"""Payments asked about in one run, so that a run ends before the next begins."""
ASKED_AT_ONCE: Final = 8
PATIENCE: Final = timedelta(minutes=2)
"""A webhook has this long to come by itself."""
CLOSED_AFTER: Final = timedelta(minutes=1)
"""A session is closed this long after its booking's time: banks end a little late what was begun in time."""
ASKED_AGAIN_AFTER: Final = timedelta(minutes=5)

ASKED: Final = Counter("boxoffice_reconciled_payments", "Payments that a gateway was asked about", ["outcome"])
log = structlog.get_logger(__name__)


class Reconciled(msgspec.Struct, kw_only=True):
    """What one run came to."""

    asked: int = 0
    agreed: int = 0
    """The gateway says what we say."""
    mended: int = 0
    """It said more, and that has taken effect."""
    unanswered: int = 0
    issues: int = 0
    """A person must look."""


class Doubtful(Row, frozen=True, kw_only=True):
    """A payment to ask about, by our books."""

    show_id: UUID
    id: UUID
    booking_id: UUID
    gateway: str
    session_id: str | None
    status: str
    amount: int
    currency: str
    refunds_done: int
    """Minor units that went back, by what the gateway has said before."""
    refunds_decided: int
    over: bool
    """Its booking no longer waits for it."""
    settled_at: datetime | None


_DOUBTFUL: Final = f"""p.show_id, p.id, p.booking_id, p.gateway, p.session_id, p.status, p.amount, p.currency,
       coalesce((SELECT sum(r.amount) FROM refund r WHERE r.show_id = p.show_id AND r.payment_id = p.id
                    AND r.status = 'SUCCEEDED'), 0)::bigint AS refunds_done, p.refunded_amount AS refunds_decided,
       b.status <> 'PENDING' OR b.expires_at <= now() - interval '{CLOSED_AFTER.total_seconds()} s' AS over,
       p.settled_at"""

# Takes a turn of payments that are not over, those asked longest ago first; processes that do so at once share them.
# One whose booking is over is due as soon as that is so.
_TAKE_TURN = f"""
WITH due AS (
    SELECT p.show_id, p.id
      FROM payment p JOIN booking b ON b.show_id = p.show_id AND b.id = p.booking_id
     WHERE (p.status IN ('OPENING', 'OPEN') OR p.status IN ('AUTHORISED', 'VOIDING')) -- each has its partial index
       AND (p.asked_at IS NULL OR p.asked_at <= now() - $2::interval)
       AND (p.created_at <= now() - $3::interval
            OR b.status <> 'PENDING' OR b.expires_at <= now() - interval '{CLOSED_AFTER.total_seconds()} s')
     ORDER BY p.asked_at NULLS FIRST LIMIT $1
       FOR UPDATE OF p SKIP LOCKED
), asked AS (
    UPDATE payment SET asked_at = now() FROM due WHERE payment.show_id = due.show_id AND payment.id = due.id
)
SELECT {_DOUBTFUL}
  FROM due JOIN payment p USING (show_id, id)
  JOIN booking b ON b.show_id = p.show_id AND b.id = p.booking_id
"""


async def reconcile_unfinished(
    pool: Pool, gateways: Mapping[str, Gateway], *, patience: timedelta = PATIENCE, by: Actor | None = None
) -> Reconciled:
    """Ask about payments that are not over, up to `ASKED_A_RUN`; close the sessions whose booking is.

    And about refunds that gateways have taken on and not done for long (`boxoffice.payments.refunds`).
    """
    async with connection(pool) as conn:
        found = await conn.fetch(_TAKE_TURN, ASKED_A_RUN, ASKED_AGAIN_AFTER, patience)
    done = await _ask_about(pool, gateways, [row(Doubtful, record) for record in found], by)
    await ask_again(pool, gateways, by)
    return done


# When the last of all payments was over: what is over later is for the next night.
_LAST = """
SELECT max(settled_at) FROM payment
"""

# A page of the payments that were over lately, in the order in which they were.
_FINISHED = f"""
SELECT {_DOUBTFUL}
  FROM payment p JOIN booking b ON b.show_id = p.show_id AND b.id = p.booking_id
 WHERE (p.settled_at, p.show_id, p.id) > ($1, $2, $3) AND p.settled_at <= $4 AND p.session_id IS NOT NULL
   AND p.status IN ('SUCCEEDED', 'FAILED', 'EXPIRED', 'VOIDED')
 ORDER BY p.settled_at, p.show_id, p.id LIMIT $5
"""
_FIRST: Final = UUID(int=0)


async def reconcile_finished(
    pool: Pool, gateways: Mapping[str, Gateway], since: datetime, *, by: Actor | None = None
) -> Reconciled:
    """Ask about every payment that was over after ``since``; for the night."""
    total = Reconciled()
    after: tuple[datetime | None, UUID, UUID] = (since, _FIRST, _FIRST)
    async with connection(pool) as conn:
        last: datetime | None = await conn.fetchval(_LAST)
    while True:
        async with connection(pool) as conn:
            found = await conn.fetch(_FINISHED, *after, last, ASKED_A_RUN)
        page = [row(Doubtful, record) for record in found]
        part = await _ask_about(pool, gateways, page, by)
        for field in Reconciled.__struct_fields__:
            setattr(total, field, getattr(total, field) + getattr(part, field))
        if len(page) < ASKED_A_RUN:
            return total
        after = (page[-1].settled_at, page[-1].show_id, page[-1].id)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Where the money is, after everybody was asked."""

    unfinished: Reconciled
    finished: Reconciled
    accounts: list[Account]
    disagreements: list[Disagreement]
    matters: list[Matter]
    """What waits for a person, up to 1,000."""
    waiting: int
    """How much waits for a person, all told; shows whose ledger disagrees count too."""


async def reconcile_now(pool: Pool, gateways: Mapping[str, Gateway], since: datetime, by: Actor | None) -> Report:
    """Ask about what is not over and about what was over after ``since``, and add everything up.

    ``by`` whom is written down with each payment that this mends.
    """
    unfinished = await reconcile_unfinished(pool, gateways, by=by)
    finished = await reconcile_finished(pool, gateways, since, by=by)
    disagreements = await check_ledger(pool)
    waiting = await count_waiting(pool)
    async with connection(pool) as conn:
        return Report(
            unfinished=unfinished,
            finished=finished,
            accounts=await balances(conn),
            disagreements=disagreements,
            matters=await list_waiting(conn),
            waiting=waiting,
        )


async def _ask_about(
    pool: Pool, gateways: Mapping[str, Gateway], payments: list[Doubtful], by: Actor | None
) -> Reconciled:
    done = Reconciled(asked=len(payments))
    turns = asyncio.Semaphore(ASKED_AT_ONCE)

    async def ask(payment: Doubtful) -> None:
        async with turns:
            outcome = await _reconcile(pool, gateways, payment, by)
        ASKED.labels(outcome).inc()
        setattr(done, outcome, getattr(done, outcome) + 1)

    await asyncio.gather(*(ask(payment) for payment in payments))
    return done


async def _reconcile(pool: Pool, gateways: Mapping[str, Gateway], payment: Doubtful, by: Actor | None) -> str:
    """What asking came to: the name of a field of `Reconciled`."""
    gateway = gateways.get(payment.gateway)
    if gateway is None:
        return "unanswered"
    if payment.session_id is None:
        return await _give_up_opening(pool, payment, by)
    try:
        if payment.status in {"AUTHORISED", "VOIDING"}:
            await settle_authorisation(pool, gateways, payment.show_id, payment.id, by=by)
            return "mended"
        close = payment.over and payment.status == "OPEN"
        standing = await (gateway.close if close else gateway.fetch)(payment.session_id)
    except GatewayDownError as error:
        log.warning("gateway not asked", payment_id=str(payment.id), gateway=payment.gateway, error=error.detail)
        return "unanswered"
    except UnknownSessionError:
        return await _keep_issue(pool, payment, "unknown_session", "the gateway knows no such session")
    return await _compare(pool, payment, standing, by)


_SAME: Final[Mapping[str, frozenset[SessionState]]] = {
    "OPEN": frozenset({SessionState.OPEN}),
    "SUCCEEDED": frozenset({SessionState.PAID}),
    # Of a session that is over by our books it is no matter how: nobody can pay it, and no money is in it. One that
    # failed can be open there, where the buyer may try another card: it is closed with its booking.
    "FAILED": frozenset({SessionState.FAILED, SessionState.EXPIRED, SessionState.VOIDED, SessionState.OPEN}),
    "EXPIRED": frozenset({SessionState.FAILED, SessionState.EXPIRED, SessionState.VOIDED}),
    "VOIDED": frozenset({SessionState.FAILED, SessionState.EXPIRED, SessionState.VOIDED}),
}


async def _compare(pool: Pool, payment: Doubtful, standing: Standing, by: Actor | None) -> str:
    if (standing.amount, standing.currency) != (payment.amount, payment.currency):
        said = f"{standing.amount} {standing.currency} there, {payment.amount} {payment.currency} here"
        return await _keep_issue(pool, payment, "another_amount", said)
    if standing.state in _SAME[payment.status]:
        if payment.refunds_done <= standing.refunded_amount <= payment.refunds_decided:
            return "agreed"
        said = f"{standing.refunded_amount} refunded there, {payment.refunds_done} here"
        return await _keep_issue(pool, payment, "another_refund", said)
    if payment.status == "SUCCEEDED":
        return await _keep_issue(pool, payment, "not_paid_there", f"it is {standing.state} there")
    event = event_of(
        standing,
        gateway=payment.gateway,
        payment_id=payment.id,
        booking_id=payment.booking_id,
        known=payment.status,
    )
    if event is None:
        return await _keep_issue(pool, payment, "still_open", "it is over here, and open there")
    await settle(pool, event, by=by)
    log.info("payment mended", payment_id=str(payment.id), was=payment.status, said=standing.state)
    return "mended"


# A session that was never given out, of a booking that is over: nobody can have been sent to pay it.
_GIVE_UP = """
UPDATE payment SET status = 'FAILED', settled_at = now()
 WHERE show_id = $1 AND id = $2 AND status = 'OPENING' AND session_id IS NULL
RETURNING true
"""


async def _give_up_opening(pool: Pool, payment: Doubtful, by: Actor | None) -> str:
    if not payment.over:
        return "agreed"
    async with transaction(pool) as conn:
        given_up = await conn.fetchval(_GIVE_UP, payment.show_id, payment.id)
        if given_up and by is not None:
            details = {"showId": str(payment.show_id), "bookingId": str(payment.booking_id), "event": "given up"}
            await record(conn, by, mended(payment.id, details))
    return "mended"


# An issue is kept once. One that a person has settled and that is as it was then stays settled; another amount, say, is
# another matter.
_KEEP = """
INSERT INTO reconciliation_issue AS known (show_id, payment_id, kind, detail) VALUES ($1, $2, $3, $4)
ON CONFLICT (show_id, payment_id, kind) DO UPDATE
SET detail = excluded.detail, last_seen_at = now(),
    resolved_at = CASE WHEN known.detail = excluded.detail THEN known.resolved_at END
"""


async def _keep_issue(pool: Pool, payment: Doubtful, kind: str, detail: str) -> str:
    async with connection(pool) as conn:
        await conn.execute(_KEEP, payment.show_id, payment.id, kind, detail)
    log.error("gateway and books differ", payment_id=str(payment.id), kind=kind, detail=detail)
    return "issues"
