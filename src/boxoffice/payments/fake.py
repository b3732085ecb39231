"""The built-in gateway: it stands for somebody else's system, so it behaves like one.

It keeps its own sessions and refunds in its own tables, is idempotent by the merchant's keys,
and tells what happened by signed webhooks (`boxoffice.payments.fake_delivery`). Told to, it is
slow, fails, sends twice, late and out of order (`FakeBehaviour`).
"""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import httpx
import msgspec
import structlog

from boxoffice.payments.fake_books import (
    FakeSession,
    expire_sessions,
    find_session,
    move_session,
    open_session,
    refund_session,
)
from boxoffice.payments.fake_delivery import FakeBehaviour, FakeDelivery
from boxoffice.payments.gateway import (
    CaptureRequest,
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
    SessionState,
    Standing,
)
from boxoffice.payments.webhooks import SIGNATURE_HEADER, EventBody, check_signature, parse_event
from boxoffice.postgres.pool import Pool, connection, transaction

__all__ = ["FakeBehaviour", "FakeGateway"]

STATUSES: Final[Mapping[EventType, str]] = {
    EventType.SUCCESS: "paid",
    EventType.FAILED: "declined",
    EventType.EXPIRED: "expired",
}
"""What a decision makes of an open session, where money is taken at once."""

STATES: Final[Mapping[str, SessionState]] = {
    "open": SessionState.OPEN,
    "authorised": SessionState.AUTHORISED,
    "paid": SessionState.PAID,
    "declined": SessionState.FAILED,
    "expired": SessionState.EXPIRED,
    "voided": SessionState.VOIDED,
}
"""What a status is called by whoever asks."""

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

    @property
    def captures_at_once(self) -> bool:
        """Unless we were told to set money aside first."""
        return not self._behaviour.authorise_first

    @property
    def longest_wait(self) -> timedelta:
        """No event waits longer than this for its next attempt."""
        return self._delivery.longest_wait

    async def open_session(self, request: SessionRequest) -> Session:
        """Open a session, or give the one that this payment has; see `Gateway.open_session`."""
        # As real gateways do: else its pages would forward people anywhere, under its good name.
        if not request.return_url.startswith(f"{self._public_base_url}/"):
            raise GatewayRefusedError("buyers are sent back to the merchant's own pages only")
        answer_is_lost = self._disturb()
        async with connection(self._pool) as conn:
            session_id = await open_session(conn, request)
        if answer_is_lost:
            raise GatewayDownError("the fake gateway's answer was lost")
        return Session(
            session_id=session_id,
            payment_url=f"{self._public_base_url}/api/v1/payments/fake-checkout/{session_id}",
        )

    async def capture(self, request: CaptureRequest) -> Standing:
        """Take what was authorised, all of it, once; see `Gateway.capture`."""
        return await self._end_authorisation(request.session_id, "paid", EventType.SUCCESS, request.amount)

    async def void(self, session_id: str) -> Standing:
        """Let go what was authorised; see `Gateway.void`."""
        return await self._end_authorisation(session_id, "voided", EventType.VOIDED)

    async def fetch(self, session_id: str) -> Standing:
        """Where a session stands; see `Gateway.fetch`."""
        answer_is_lost = self._disturb()
        async with connection(self._pool) as conn:
            session = await find_session(conn, session_id)
        return _answer(_standing(session), lost=answer_is_lost)

    async def close(self, session_id: str) -> Standing:
        """Let nobody pay it any more, and tell so as of any that ran out; see `Gateway.close`."""
        answer_is_lost = self._disturb()
        async with transaction(self._pool) as conn:
            session = await move_session(conn, session_id, "open", "expired")
            if session is None:
                session = await find_session(conn, session_id)
            else:
                await self._delivery.announce(conn, _event(EventType.EXPIRED, session, None), at_once=False)
        return _answer(_standing(session), lost=answer_is_lost)

    async def refund(self, request: RefundRequest) -> RefundReceipt:
        """Give money back, once for each refund id; see `Gateway.refund`.

        A gateway that was told to be slow takes the refund on, and tells by its event when it is done.
        """
        answer_is_lost = self._disturb()
        delivery_id = None
        async with transaction(self._pool) as conn:
            refund_id, age, session = await refund_session(conn, request)
            reference = f"re_{refund_id.hex}"
            if session is not None:
                event = _event(EventType.REFUNDED, session, reference, request)
                delivery_id = await self._delivery.announce(conn, event, at_once=True)
        await self._deliver_at_once(delivery_id)
        if answer_is_lost:
            raise GatewayDownError("the fake gateway's answer was lost")
        return RefundReceipt(gateway_ref=reference, done=age.total_seconds() >= self._behaviour.delay_s)

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> GatewayEvent:
        """The event in a webhook's raw body; see `Gateway.verify`."""
        wanted = SIGNATURE_HEADER.lower()
        header = next((value for key, value in headers.items() if key.lower() == wanted), None)
        check_signature(self._secret, header, body, now)
        return parse_event(self.name, body)

    async def checkout(self, session_id: str) -> Checkout:
        """The session to show; one whose time is over counts as expired. See `SimulatedGateway.checkout`."""
        async with connection(self._pool) as conn:
            return _checkout(await find_session(conn, session_id))

    async def decide(self, session_id: str, decision: EventType) -> Checkout:
        """Pay, decline or expire an open session; see `SimulatedGateway.decide`.

        The same decision again is fine and tells nobody anew. A payment may come a little after
        the session's time (`LATE_PAYMENT`).
        """
        held = decision is EventType.SUCCESS and not self.captures_at_once
        status = "authorised" if held else STATUSES[decision]
        async with transaction(self._pool) as conn:
            session = await move_session(conn, session_id, "open", status)
            if session is None:
                return _decided_before(await find_session(conn, session_id), status)
            event_type = EventType.AUTHORISED if held else decision
            event = _event(event_type, session, _money_of(session))
            delivery_id = await self._delivery.announce(conn, event, at_once=True)
        await self._deliver_at_once(delivery_id)
        return _checkout(session)

    async def expire_lapsed(self) -> int:
        """Close the sessions that ran out and tell the box office; returns how many."""
        async with transaction(self._pool) as conn:
            lapsed = await expire_sessions(conn)
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

    async def _end_authorisation(
        self, session_id: str, status: str, event_type: EventType, amount: int | None = None
    ) -> Standing:
        """Make of what was set aside what ``status`` says, once, and tell; of all of it, where ``amount`` is said."""
        answer_is_lost = self._disturb()
        delivery_id = None
        async with transaction(self._pool) as conn:
            session = await find_session(conn, session_id)
            if amount not in {None, session.amount}:
                raise GatewayRefusedError("only all that was authorised can be captured")
            moved = await move_session(conn, session_id, "authorised", status)
            if moved is not None:
                delivery_id = await self._delivery.announce(
                    conn, _event(event_type, moved, _money_of(moved)), at_once=True
                )
            ended = moved or await find_session(conn, session_id)
        if ended.status != status:
            raise GatewayRefusedError(f"this session is {ended.status}")
        await self._deliver_at_once(delivery_id)
        return _answer(_standing(ended), lost=answer_is_lost)

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


def _event(
    event_type: EventType, session: FakeSession, gateway_ref: str | None, refund: RefundRequest | None = None
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


def _checkout(session: FakeSession) -> Checkout:
    return Checkout(
        session_id=session.id,
        booking_id=session.booking_id,
        amount=session.amount,
        currency=session.currency,
        status="expired" if session.status == "open" and session.lapsed else session.status,
        expires_at=session.expires_at,
        return_url=session.return_url,
    )


def _decided_before(session: FakeSession, status: str) -> Checkout:
    captured_since = status == "authorised" and session.status == "paid"
    if session.status != status and not captured_since:
        raise SessionDecidedError(f"this session is {session.status} already", sessionStatus=session.status)
    return _checkout(session)


def _money_of(session: FakeSession) -> str | None:
    """Our name of the money of a session, while there is some."""
    return f"pay_{session.id.removeprefix('sess_')}" if session.status in {"authorised", "paid", "voided"} else None


def _standing(session: FakeSession) -> Standing:
    return Standing(
        session_id=session.id,
        state=STATES[session.status],
        amount=session.amount,
        currency=session.currency,
        refunded_amount=session.refunded_amount,
        gateway_ref=_money_of(session),
    )


def _answer(standing: Standing, *, lost: bool) -> Standing:
    if lost:
        raise GatewayDownError("the fake gateway's answer was lost")
    return standing
