"""What a gateway's event does: paid means seated or refunded, exactly once, whatever the order.

An event is checked against our own books and recorded in the transaction of its effect. The
booking's row is locked first and its seats after it; so every event of a booking, its
cancellation, its refund and its expiry come one after the other, on any number of processes.
"""

from collections.abc import Callable
from typing import Final, Literal
from uuid import UUID

import asyncpg
import msgspec
import structlog

from boxoffice.audit import Actor, mended, record
from boxoffice.bookings.authorisation import authorised, let_go
from boxoffice.bookings.automatic_refund import refund_whole_payment
from boxoffice.bookings.books import LIVE, SET_ASIDE, Books, Effect
from boxoffice.bookings.states import AfterSuccess, BookingStatus, expiry_after_failure, on_success
from boxoffice.mail.outbox import Occasion, tell
from boxoffice.payments.gateway import EventType, GatewayEvent
from boxoffice.payments.refunds import mark_refund_failed, mark_refunded, was_refunded
from boxoffice.postgres.pool import Connection, Pool, constraint_of, row, transaction
from boxoffice.seating.leases import give_back_seats, keep_seats, sell_seats

log = structlog.get_logger(__name__)


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a gateway: ``processed`` (it took effect), ``duplicate`` (it had before), ``ignored``."""

    status: Literal["processed", "duplicate", "ignored"]


async def settle(
    pool: Pool,
    event: GatewayEvent,
    on_effect: Callable[[UUID], None] = lambda _: None,
    by: Actor | None = None,
) -> Settled:
    """Let a verified event take effect, once; never an error for what a gateway may legitimately repeat.

    ``on_effect`` is told the show whose bookings changed, once that is committed. Where somebody here has asked for it,
    ``by`` whom is written down with the effect.

    Raises:
        asyncpg.PostgresError: the database failed; nothing took effect and the gateway must send again.
    """
    try:
        async with transaction(pool) as conn:
            session_id = await _session_of(conn, event)
            found = await conn.fetchrow(_LOCK, session_id, event.gateway, event.event_id)
            if found is None:
                return await _keep_stray(conn, event)
            books = row(Books, found)
            settled = await _settle(conn, event, books)
            if by is not None and settled.status == "processed":
                details = {"showId": str(books.show_id), "bookingId": str(books.booking_id), "event": event.event_type}
                await record(conn, by, mended(books.payment_id, details))
    except asyncpg.UniqueViolationError as error:
        # The same event came while this one waited for the lock: one of the two stays, this one changed nothing.
        if constraint_of(error) != "payment_event_pkey":
            raise
        return Settled(status="duplicate")
    on_effect(books.show_id)
    log.info(
        "payment event",
        event_id=event.event_id,
        type=event.event_type,
        booking_id=str(books.booking_id),
        **msgspec.to_builtins(settled),
    )
    return settled


# The session of some money that a real gateway names by a reference of its own.
_BY_REFERENCE = """
SELECT session_id FROM payment WHERE gateway_ref = $1 AND gateway = $2 AND gateway <> 'fake'
"""


async def _session_of(conn: Connection, event: GatewayEvent) -> str:
    """The event's session. What a gateway does with money by itself, as in a dispute, names the money instead."""
    if event.event_type not in _OF_A_PART or event.refund_id is not None:
        return event.session_id
    found: str | None = await conn.fetchval(_BY_REFERENCE, event.session_id, event.gateway)
    return found or event.session_id


# Locks the booking that a session pays and then the payment, and reads both as they are under the locks. Not against
# foreign keys: a refund that is settled elsewhere holds its row and then writes into the ledger, which names the
# payment. Whether the event was here before is as of before the wait: one that came meanwhile is found by
# payment_event_pkey.
_LOCK = """
SELECT b.show_id, b.id AS booking_id, b.status AS booking_status, b.user_id, b.expires_at, b.extensions,
       sh.ends_at <= now() AS show_over,
       p.id AS payment_id, p.status AS payment_status, p.amount, p.currency, now() AS now,
       EXISTS (SELECT FROM payment_event e
                WHERE e.show_id = p.show_id AND e.gateway = p.gateway AND e.event_id = $3) AS seen
  FROM payment p
  JOIN booking b ON b.show_id = p.show_id AND b.id = p.booking_id
  JOIN show sh ON sh.id = p.show_id
 WHERE p.session_id = $1 AND p.gateway = $2
   FOR NO KEY UPDATE OF b, p
"""
_RECORD = """
INSERT INTO payment_event (show_id, gateway, event_id, payment_id, event_type, outcome, needs_look, body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def _settle(conn: Connection, event: GatewayEvent, books: Books) -> Settled:
    if books.seen:
        return Settled(status="duplicate")
    effect = await _apply(conn, event, books)
    await conn.execute(
        _RECORD,
        books.show_id,
        event.gateway,
        event.event_id,
        books.payment_id,
        event.event_type,
        effect.outcome,
        effect.needs_look,
        event.body,
    )
    if effect.needs_look:
        log.error("payment event contradicts our books", event_id=event.event_id, outcome=effect.outcome)
    return Settled(status="processed" if effect.took_effect else "ignored")


async def _apply(conn: Connection, event: GatewayEvent, books: Books) -> Effect:
    if contradiction := _contradiction(event, books):
        return Effect(outcome=contradiction, took_effect=False, needs_look=True)
    match event.event_type:
        case EventType.SUCCESS:
            effect = await _succeeded(conn, event, books)
        case EventType.AUTHORISED:
            effect = await authorised(conn, event, books)
        case EventType.FAILED:
            effect = await _failed(conn, books)
        case EventType.EXPIRED:
            effect = await _expired(conn, books)
        case EventType.VOIDED:
            effect = await _voided(conn, books)
        case EventType.REFUNDED:
            effect = await _refunded(conn, event, books)
        case EventType.REFUND_FAILED:
            effect = await _refund_failed(conn, event, books)
        case EventType.DISPUTED:
            effect = Effect(outcome="disputed", needs_look=True)
    return effect


_OF_A_PART: Final = frozenset({EventType.REFUNDED, EventType.REFUND_FAILED, EventType.DISPUTED})
"""Events about some of the money of a payment."""


_NO_MONEY: Final = frozenset({EventType.FAILED, EventType.EXPIRED, EventType.VOIDED})
"""Events that move none, or let go what was only set aside."""


def _contradiction(event: GatewayEvent, books: Books) -> str | None:
    """Where the event and our books differ; a refund's amount is checked against the refund itself."""
    if event.booking_id not in {None, books.booking_id}:
        return "names_another_booking"
    if event.currency != books.currency:
        return "wrong_currency"
    if event.event_type not in _OF_A_PART and event.amount != books.amount:
        return "wrong_amount"
    return None


# Money has come in, and is written down in the ledger; with it, where $4 says so, the booking is confirmed.
_PAID = """
WITH paid AS (
    UPDATE payment SET status = 'SUCCEEDED', gateway_ref = $3, settled_at = now()
     WHERE show_id = $1 AND id = $2 AND status <> 'SUCCEEDED'
    RETURNING show_id, booking_id, id, amount, currency
), entry AS (
    INSERT INTO ledger_entry (show_id, subject_id, kind, payment_id, debit, credit, amount, currency)
    SELECT show_id, id, CASE WHEN $4 THEN 'sale' ELSE 'unseated' END, id,
           'gateway', CASE WHEN $4 THEN 'sales' ELSE 'owed' END, amount, currency
      FROM paid WHERE amount > 0
)
UPDATE booking b SET status = 'CONFIRMED', paid_by = paid.id, confirmed_at = now(), ended_at = NULL
  FROM paid
 WHERE $4 AND b.show_id = paid.show_id AND b.id = paid.booking_id AND b.status IN ('PENDING', 'EXPIRED')
"""


async def _succeeded(conn: Connection, event: GatewayEvent, books: Books) -> Effect:
    # A session that failed or expired by our books can still be paid at the gateway.
    if books.payment_status == "SUCCEEDED":
        return Effect(outcome="paid_before", took_effect=False)
    after = await _decide(conn, books)
    confirm = after is AfterSuccess.CONFIRM
    await conn.execute(_PAID, books.show_id, books.payment_id, event.gateway_ref, confirm)
    if confirm:
        await tell(conn, Occasion.CONFIRMED, books.show_id, books.booking_id)
        return Effect(outcome="confirmed")
    await refund_whole_payment(
        conn, books.show_id, books.booking_id, books.payment_id, books.amount, books.currency, after.value
    )
    return Effect(outcome=f"refunded: {after.value}")


async def _decide(conn: Connection, books: Books) -> AfterSuccess:
    claimable = books.may_be_seated and await sell_seats(conn, books.show_id, books.booking_id, books.user_id)
    return on_success(books.status, seats_claimable=claimable)


_CLOSE = """
UPDATE payment SET status = $3, settled_at = now() WHERE show_id = $1 AND id = $2
"""
_EXTEND = """
UPDATE booking SET expires_at = $3, extensions = extensions + 1 WHERE show_id = $1 AND id = $2
"""


async def _failed(conn: Connection, books: Books) -> Effect:
    # Of money that is set aside, only that it was let go is news: an attempt that failed, or a time that ran out, was
    # before it, and is told late. Where the money is gone, whoever would take it is told so.
    if books.payment_status not in LIVE:
        return Effect(outcome="settled_before", took_effect=False)
    await conn.execute(_CLOSE, books.show_id, books.payment_id, "FAILED")
    until = expiry_after_failure(books.expires_at, books.extensions, books.now)
    if until is None or books.status is not BookingStatus.PENDING:
        return Effect(outcome="failed")
    # While this waited for the lock the time may have run out, and another may have taken a seat.
    if not await keep_seats(conn, books.show_id, books.booking_id, books.user_id, until):
        return Effect(outcome="failed")
    await conn.execute(_EXTEND, books.show_id, books.booking_id, until)
    return Effect(outcome="failed: time extended")


_EXPIRE = """
UPDATE booking SET status = 'EXPIRED', ended_at = now() WHERE show_id = $1 AND id = $2 AND status = 'PENDING'
RETURNING true
"""


async def _expired(conn: Connection, books: Books) -> Effect:
    if books.payment_status not in LIVE:
        return Effect(outcome="settled_before", took_effect=False)
    await conn.execute(_CLOSE, books.show_id, books.payment_id, "EXPIRED")
    if await conn.fetchval(_EXPIRE, books.show_id, books.booking_id):
        await give_back_seats(conn, books.show_id, books.booking_id)
        await tell(conn, Occasion.EXPIRED, books.show_id, books.booking_id)
        return Effect(outcome="expired")
    return Effect(outcome="session_expired")


async def _voided(conn: Connection, books: Books) -> Effect:
    # That it was set aside may be told later, or never.
    if books.payment_status not in LIVE | SET_ASIDE:
        return Effect(outcome="settled_before", took_effect=False)
    return await let_go(conn, books.show_id, books.payment_id)


async def _refunded(conn: Connection, event: GatewayEvent, books: Books) -> Effect:
    settled = await mark_refunded(
        conn,
        show_id=books.show_id,
        payment_id=books.payment_id,
        refund_id=event.refund_id,
        amount=event.amount,
        gateway_ref=event.gateway_ref,
    )
    if settled == "twice":
        return Effect(outcome="refund_succeeded: settled by a person before", needs_look=True)
    if settled == "once":
        return Effect(outcome="refund_succeeded")
    if event.refund_id is not None and await was_refunded(
        conn,
        show_id=books.show_id,
        payment_id=books.payment_id,
        refund_id=event.refund_id,
        amount=event.amount,
    ):
        return Effect(outcome="refunded_before", took_effect=False)
    # Money went back that we have not decided: somebody has done so in the gateway's own office.
    return Effect(outcome="no_such_refund_pending", took_effect=False, needs_look=True)


async def _refund_failed(conn: Connection, event: GatewayEvent, books: Books) -> Effect:
    failed = event.refund_id is not None and await mark_refund_failed(
        conn,
        show_id=books.show_id,
        payment_id=books.payment_id,
        refund_id=event.refund_id,
        gateway_ref=event.gateway_ref,
    )
    # Money is owed that the gateway could not give back: a person must look.
    return Effect(outcome="refund_failed" if failed else "no_such_refund", took_effect=failed, needs_look=True)


_STRAY = """
INSERT INTO stray_event (gateway, event_id, event_type, session_id, body, needs_look) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING RETURNING true
"""


async def _keep_stray(conn: Connection, event: GatewayEvent) -> Settled:
    """A session that we never knew of: kept for a person to see, who is alarmed where money has moved.

    That one ends is no news: it was opened with an answer that never came, and shown to nobody.
    """
    money = event.event_type not in _NO_MONEY
    new = await conn.fetchval(
        _STRAY, event.gateway, event.event_id, event.event_type, event.session_id, event.body, money
    )
    tell_log = log.error if money else log.info
    tell_log("payment event about no session of ours", event_id=event.event_id, session_id=event.session_id)
    return Settled(status="ignored" if new else "duplicate")
