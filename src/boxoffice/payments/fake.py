"""The built-in gateway: it stands for somebody else's system, so it behaves like one.

It keeps its own sessions and refunds in its own tables, is idempotent by the merchant's keys,
and tells what happened by signed webhooks (`boxoffice.payments.fake_delivery`). Told to, it is
slow, fails, sends twice, late and out of order (`FakeBehaviour`).
"""

import random
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import httpx
import msgspec
import structlog

from boxoffice.payments.fake_delivery import FakeBehaviour, FakeDelivery
from boxoffice.payments.gateway import (
    Checkout,
    EventType,
    GatewayDownError,
    GatewayEvent,
    GatewayRefusedError,
    RefundReceipt,
    RefundRequest,
    Session,
    SessionDecidedError,
    SessionRequest,
    UnknownSessionError,
)
from boxoffice.payments.webhooks import SIGNATURE_HEADER, EventBody, check_signature, parse_event
from boxoffice.postgres.pool import Connection, Pool, Row, connection, row, transaction

__all__ = ["FakeBehaviour", "FakeGateway"]

LATE_PAYMENT: Final = timedelta(minutes=1)
"""A payment begun in time may end a little late, as with banks: a session closes this long after its time."""
EXPIRED_A_RUN: Final = 500
"""Sessions closed in one transaction."""

STATUSES: Final[Mapping[EventType, str]] = {
    EventType.SUCCESS: "paid",
    EventType.FAILED: "declined",
    EventType.EXPIRED: "expired",
}
"""What a decision makes of an open session."""

_SESSION_ID = re.compile(r"sess_[A-Za-z0-9_-]{20,64}", re.ASCII)
log = structlog.get_logger(__name__)


class FakeGateway:
    """Implements `Gateway` for the box office and `SimulatedGateway` for those who pay."""

    def __init__(
        self,
        pool: Pool,
        http: httpx.AsyncClient,
        *,
        webhook_secret: str,
        webhook_url: str,
        public_base_url: str,
        behaviour: FakeBehaviour | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._pool = pool
        self._secret = webhook_secret
        self._public_base_url = public_base_url
        self._behaviour = behaviour or FakeBehaviour()
        self._rng = rng or random.SystemRandom()
        self._delivery = FakeDelivery(
            pool,
            http,
            secret=webhook_secret,
            url=webhook_url,
            behaviour=self._behaviour,
            rng=self._rng,
        )

    @property
    def name(self) -> str:
        """As in settings and in `payments/webhook/fake`."""
        return "fake"

    @property
    def page_origins(self) -> tuple[str, ...]:
        """None of its own: this service shows its pages."""
        return ()

    async def open_session(self, request: SessionRequest) -> Session:
        """Open a session, or give the one that this payment has; see `Gateway.open_session`."""
        # As real gateways do: else its pages would forward people anywhere, under its good name.
        if not request.return_url.startswith(f"{self._public_base_url}/"):
            raise GatewayRefusedError("buyers are sent back to the merchant's own pages only")
        answer_is_lost = self._disturb()
        async with connection(self._pool) as conn:
            session_id = await _open(conn, request)
        if answer_is_lost:
            raise GatewayDownError("the fake gateway's answer was lost")
        return Session(
            session_id=session_id,
            payment_url=f"{self._public_base_url}/api/v1/payments/fake-checkout/{session_id}",
        )

    async def refund(self, request: RefundRequest) -> RefundReceipt:
        """Give money back, once for each refund id; see `Gateway.refund`.

        A gateway that was told to be slow takes the refund on, and tells by its event when it is done.
        """
        answer_is_lost = self._disturb()
        delivery_id = None
        async with transaction(self._pool) as conn:
            refund_id, session = await _refund(conn, request)
            reference = f"re_{refund_id.hex}"
            if session is not None:
                event = _event(EventType.REFUNDED, session, reference, request)
                delivery_id = await self._delivery.announce(conn, event, at_once=True)
        await self._deliver_at_once(delivery_id)
        if answer_is_lost:
            raise GatewayDownError("the fake gateway's answer was lost")
        return RefundReceipt(gateway_ref=reference, done=self._behaviour.delay_s == 0)

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> GatewayEvent:
        """The event in a webhook's raw body; see `Gateway.verify`."""
        wanted = SIGNATURE_HEADER.lower()
        header = next((value for key, value in headers.items() if key.lower() == wanted), None)
        check_signature(self._secret, header, body, now)
        return parse_event(self.name, body)

    async def checkout(self, session_id: str) -> Checkout:
        """The session to show; one whose time is over counts as expired. See `SimulatedGateway.checkout`."""
        async with connection(self._pool) as conn:
            return _checkout(await _find(conn, session_id))

    async def decide(self, session_id: str, decision: EventType) -> Checkout:
        """Pay, decline or expire an open session; see `SimulatedGateway.decide`.

        The same decision again is fine and tells nobody anew. A payment may come a little after
        the session's time (`LATE_PAYMENT`).
        """
        status = STATUSES[decision]
        async with transaction(self._pool) as conn:
            session = await _decide(conn, session_id, status)
            if session is None:
                return _decided_before(await _find(conn, session_id), status)
            event = _event(decision, session, f"pay_{uuid4().hex}")
            delivery_id = await self._delivery.announce(conn, event, at_once=True)
        await self._deliver_at_once(delivery_id)
        return _checkout(session)

    async def expire_lapsed(self) -> int:
        """Close the sessions that ran out and tell the box office; returns how many."""
        async with transaction(self._pool) as conn:
            lapsed = [row(_Session, found) for found in await conn.fetch(_EXPIRE_LAPSED, LATE_PAYMENT, EXPIRED_A_RUN)]
            for session in lapsed:
                event = _event(EventType.EXPIRED, session, None)
                await self._delivery.announce(conn, event, at_once=False)
        return len(lapsed)

    async def deliver(self, delivery_id: str, attempt: int) -> None:
        """The durable task `webhooks.DELIVER_WEBHOOK`: make one attempt at one delivery."""
        await self._delivery.attempt(UUID(delivery_id), attempt)

    async def _deliver_at_once(self, delivery_id: UUID | None) -> None:
        """Let a buyer who pays see it at once; whatever goes wrong here, a job comes behind."""
        if delivery_id is None:
            return
        try:
            await self._delivery.attempt(delivery_id, 0)
        except Exception:
            # What was decided stands and will be told: nobody who asked for it is to see this fail.
            log.exception("webhook not delivered at once", delivery_id=str(delivery_id))

    def _disturb(self) -> bool:
        """Fail as often as we were told to; returns whether to fail after the work instead of before.

        Raises:
            GatewayDownError: this call gets no answer, and nothing was done.
        """
        if self._rng.random() >= self._behaviour.fail_rate:
            return False
        if self._rng.random() < 0.5:  # noqa: PLR2004  (heads or tails)
            return True
        raise GatewayDownError("the fake gateway does not answer")


class _Session(Row, frozen=True, kw_only=True):
    id: str
    booking_id: UUID
    amount: int
    currency: str
    status: str
    expires_at: datetime
    return_url: str | None
    lapsed: bool


_SESSION: Final = "id, booking_id, amount, currency, status, expires_at, return_url, expires_at <= now() AS lapsed"


def _event(
    event_type: EventType, session: _Session, gateway_ref: str | None, refund: RefundRequest | None = None
) -> EventBody:
    return EventBody(
        event_id=f"evt_{uuid4().hex}",
        event_type=event_type,
        session_id=session.id,
        booking_id=session.booking_id,
        amount=session.amount if refund is None else refund.amount,
        currency=session.currency,
        timestamp=datetime.now(UTC).replace(microsecond=0),
        gateway_ref=gateway_ref,
        refund_id=msgspec.UNSET if refund is None else refund.refund_id,
    )


def _checkout(session: _Session) -> Checkout:
    return Checkout(
        session_id=session.id,
        booking_id=session.booking_id,
        amount=session.amount,
        currency=session.currency,
        status="expired" if session.status == "open" and session.lapsed else session.status,
        expires_at=session.expires_at,
        return_url=session.return_url,
    )


# Opens a session unless the merchant's key has one.
_OPEN = """
INSERT INTO fake_session (id, idempotency_key, booking_id, amount, currency, expires_at, return_url)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (idempotency_key) DO NOTHING RETURNING id
"""

# The session of a merchant's key, if it was opened for the same.
_OPENED_BEFORE = """
SELECT id FROM fake_session WHERE idempotency_key = $1 AND booking_id = $2 AND amount = $3 AND currency = $4
"""


async def _open(conn: Connection, request: SessionRequest) -> str:
    key = str(request.payment_id)
    asked = (request.booking_id, request.amount, request.currency)
    new_id = f"sess_{secrets.token_urlsafe(24)}"
    session_id: str | None = await conn.fetchval(_OPEN, new_id, key, *asked, request.expires_at, request.return_url)
    if session_id is None:
        session_id = await conn.fetchval(_OPENED_BEFORE, key, *asked)
    if session_id is None:
        raise GatewayRefusedError("this payment has a session for something else")
    return session_id


# Records a refund unless the merchant's key has one; waits for another that is recording it.
_ADD_REFUND = """
INSERT INTO fake_refund (idempotency_key, session_id, amount)
SELECT $1, id, $3 FROM fake_session WHERE id = $2
ON CONFLICT (idempotency_key) DO NOTHING RETURNING id
"""

# The refund of a merchant's key, if it was for the same.
_REFUNDED_BEFORE = """
SELECT id FROM fake_refund WHERE idempotency_key = $1 AND session_id = $2 AND amount = $3
"""

# Takes the amount out of what was paid and not given back yet. The merchant asks only on the ground of a signed
# success, and whoever signs with the secret speaks for this gateway: what they said was paid counts as paid here.
_TAKE_BACK = f"""
UPDATE fake_session SET refunded_amount = refunded_amount + $2, status = 'paid'
WHERE id = $1 AND $2 > 0 AND $2 <= amount - refunded_amount AND currency = $3
RETURNING {_SESSION}
"""


async def _refund(conn: Connection, request: RefundRequest) -> tuple[UUID, _Session | None]:
    """The refund of this key, with its session if it was made just now."""
    asked = (str(request.refund_id), request.session_id, request.amount)
    refund_id: UUID | None = await conn.fetchval(_ADD_REFUND, *asked)
    if refund_id is None:
        refund_id = await conn.fetchval(_REFUNDED_BEFORE, *asked)
        if refund_id is None:
            raise GatewayRefusedError("no such session, or this refund id was used for something else")
        return refund_id, None
    paid = await conn.fetchrow(_TAKE_BACK, request.session_id, request.amount, request.currency)
    if paid is None:
        raise GatewayRefusedError("there is not that much paid to give back")
    return refund_id, row(_Session, paid)


# One session.
_FIND = f"""
SELECT {_SESSION} FROM fake_session WHERE id = $1
"""


async def _find(conn: Connection, session_id: str) -> _Session:
    # Whatever is not of our form was not made by us, and may hold what PostgreSQL's text cannot.
    found = await conn.fetchrow(_FIND, session_id) if _SESSION_ID.fullmatch(session_id) else None
    if found is None:
        raise UnknownSessionError("there is no such payment session")
    return row(_Session, found)


# Decides an open session, once; the loser of a race gets no row.
_DECIDE = f"""
UPDATE fake_session SET status = $2, decided_at = now() WHERE id = $1 AND status = 'open'
RETURNING {_SESSION}
"""


async def _decide(conn: Connection, session_id: str, status: str) -> _Session | None:
    if not _SESSION_ID.fullmatch(session_id):
        return None
    decided = await conn.fetchrow(_DECIDE, session_id, status)
    return row(_Session, decided) if decided else None


def _decided_before(session: _Session, status: str) -> Checkout:
    if session.status != status:
        raise SessionDecidedError(f"this session is {session.status} already", sessionStatus=session.status)
    return _checkout(session)


# Closes open sessions whose time, and some more, is over; processes that do so at once share the work.
_EXPIRE_LAPSED = f"""
UPDATE fake_session SET status = 'expired', decided_at = now()
WHERE id IN (
    SELECT id FROM fake_session WHERE status = 'open' AND expires_at <= now() - $1::interval
    ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING {_SESSION}
"""
