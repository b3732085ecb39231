"""What the box office asks of a payment gateway, whichever it is.

A gateway is outside: it may be slow, fail, lie, or answer twice. It is never called inside
a transaction, and every call that moves money carries an idempotency key, so that it can
be repeated until there is an answer. One suite (`tests/gateways`) holds every gateway to this page.

    open_session → the buyer authorises → capture | void       a gateway that holds money first
    open_session → the buyer pays                              a gateway that takes it at once
    … → refund, in full or in parts; and at any time: fetch, close
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from boxoffice.errors import ConflictError, MalformedError, UnavailableError, UnidentifiedError, UnknownError


class BadSignatureError(UnidentifiedError):
    """The event's signature is wrong, missing or too old."""

    code = "bad_signature"


class MalformedEventError(MalformedError):
    """The event cannot be understood."""

    code = "malformed_event"


class GatewayDownError(UnavailableError):
    """The payment gateway does not answer."""

    code = "gateway_unavailable"


class GatewayRefusedError(ConflictError):
    """The payment gateway refused."""

    code = "gateway_refused"


class RefundFailedError(GatewayRefusedError):
    """The payment gateway made the refund, and the money did not arrive."""

    code = "refund_failed"

    def __init__(self, detail: str = "", *, gateway_ref: str | None = None) -> None:
        super().__init__(detail)
        self.gateway_ref = gateway_ref
        """The gateway's own name of that refund: nothing will come of it any more."""


class UnknownSessionError(UnknownError):
    """There is no such payment session."""

    code = "session_not_found"


class SessionDecidedError(ConflictError):
    """The payment session was decided before."""

    code = "session_decided"


class SessionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A session to open. Asking again with the same ``payment_id`` gives the same session."""

    payment_id: UUID
    booking_id: UUID
    amount: int
    """Minor units."""
    currency: str
    expires_at: datetime
    return_url: str
    """Where the gateway sends the buyer afterwards, by `return_address`: a page of the box office."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """An open session at the gateway, and the page where it is paid."""

    session_id: str
    payment_url: str


SaidOutcome = Literal["paid", "declined", "cancelled", "expired"]
"""What a gateway's page says of a session when it sends the buyer back. Only a signed event makes it true."""


def return_address(return_url: str, outcome: SaidOutcome) -> str:
    """Where a buyer is sent back to; ``?outcome=`` lets the page find its first words, and decides nothing."""
    return f"{return_url}?outcome={outcome}"


class CaptureRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Money that the buyer has authorised, to be taken. Asking again with the same ``payment_id`` takes it once."""

    payment_id: UUID
    session_id: str
    amount: int
    """Minor units: all that was authorised."""
    currency: str


class SessionState(StrEnum):
    """Where a session stands at the gateway."""

    OPEN = "open"
    """It can be paid still; attempts that failed may have been made."""
    AUTHORISED = "authorised"
    """The money is set aside for us and not ours yet: to be captured or voided."""
    PAID = "paid"
    """The money is ours, but for what was refunded."""
    FAILED = "failed"
    """The buyer was refused for good; no money, and none can come."""
    EXPIRED = "expired"
    """It can no longer be paid: its time ran out, or it was closed."""
    VOIDED = "voided"
    """The money that was set aside was let go."""

    @property
    def final(self) -> bool:
        """Whether nothing can come of it any more but refunds."""
        return self not in {SessionState.OPEN, SessionState.AUTHORISED}


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway says of a session, when asked. Amounts in minor units."""

    session_id: str
    state: SessionState
    amount: int
    currency: str
    refunded_amount: int = 0
    """What has gone back, or is on its way."""
    gateway_ref: str | None = None
    """The gateway's own name of the money, once there is some."""


class RefundRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Money to give back. Asking again with the same ``refund_id`` gives it back once."""

    refund_id: UUID
    session_id: str
    amount: int
    currency: str


class RefundReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway has taken the refund on; ``done``: the money is on its way already."""

    gateway_ref: str
    done: bool


class EventType(StrEnum):
    """What gateways tell us."""

    AUTHORISED = "payment.authorised"
    """The money is set aside for us; it becomes ours when we capture it."""
    SUCCESS = "payment.success"
    FAILED = "payment.failed"
    EXPIRED = "payment.expired"
    VOIDED = "payment.voided"
    """What was set aside was let go: by us, or by the gateway after days."""
    REFUNDED = "refund.succeeded"
    REFUND_FAILED = "refund.failed"
    """The gateway could not give the money back, even where it had said that it did."""
    DISPUTED = "payment.disputed"
    """The buyer's bank takes the money back, or asks why it should not: for a person to see."""


class GatewayEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A verified event: the gateway said this. Whether it is true of our books is decided in settlement."""

    gateway: str
    event_id: str
    event_type: EventType
    session_id: str
    """Empty where the gateway does not say, as in disputes: then ``gateway_ref`` names the money."""
    booking_id: UUID | None
    """None: the gateway does not say. What it says must agree with our books."""
    amount: int
    currency: str
    gateway_ref: str | None
    refund_id: UUID | None
    body: str
    """As received, for the record."""


class Gateway(Protocol):
    """One payment gateway.

    Every method but `verify` asks over a network. `GatewayDownError` always means that the outcome is unknown, or
    that the gateway will not at this moment: ask again, with the same ids, until there is an answer.
    """

    @property
    def name(self) -> str:
        """Its name in settings, in the database and in `payments/webhook/{gateway}`."""
        ...

    @property
    def page_origins(self) -> Sequence[str]:
        """Where its payment pages are, such as `https://pay.example`; pages of ours lead nowhere else."""
        ...

    @property
    def captures_at_once(self) -> bool:
        """Whether a buyer's payment is ours at once. Otherwise it is authorised first, and `capture` takes it."""
        ...

    async def open_session(self, request: SessionRequest) -> Session:
        """Open a session, or give the one that this payment has.

        A session may be payable for longer than was asked for, where the gateway knows no time so short: it is
        closed by `close` when its booking ends.

        Raises:
            GatewayDownError: no answer; ask again.
            GatewayRefusedError: it will not, whatever we do.
        """
        ...

    async def capture(self, request: CaptureRequest) -> Standing:
        """Take what the buyer has authorised; PAID when this returns, and the same when asked again.

        Raises:
            GatewayDownError: no answer; ask again.
            GatewayRefusedError: there is nothing authorised to take: `fetch` tells what there is.
            UnknownSessionError: there is no such session.
        """
        ...

    async def void(self, session_id: str) -> Standing:
        """Let go what the buyer has authorised; VOIDED when this returns, and the same when asked again.

        Raises:
            GatewayDownError: no answer; ask again.
            GatewayRefusedError: it is not authorised, or has been captured: `fetch` tells.
            UnknownSessionError: there is no such session.
        """
        ...

    async def refund(self, request: RefundRequest) -> RefundReceipt:
        """Give money back; asked again, where that refund stands now.

        Raises:
            GatewayDownError: no answer, or not now (too little on our account, another refund under way); ask again
                with the same id.
            RefundFailedError: it was made, and did not arrive.
            GatewayRefusedError: it will not, whatever we do, and this refund is not there.
        """
        ...

    async def fetch(self, session_id: str) -> Standing:
        """What the gateway says of a session now.

        Raises:
            GatewayDownError: no answer; ask again.
            UnknownSessionError: there is no such session.
        """
        ...

    async def close(self, session_id: str) -> Standing:
        """Let nobody pay a session any more; where it stands afterwards.

        One that somebody has paid or authorised meanwhile stays as it is, and the standing says so.

        Raises:
            GatewayDownError: no answer; ask again.
            UnknownSessionError: there is no such session.
        """
        ...

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> GatewayEvent | None:
        """The event in a webhook's raw body; None: it is genuine, and about nothing that we act on.

        Raises:
            BadSignatureError: the signature is wrong, missing or older than the tolerance.
            MalformedEventError: signed, but not an event that we can read.
        """
        ...


class Checkout(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A session as the fake gateway's checkout page shows it."""

    session_id: str
    booking_id: UUID
    amount: int
    currency: str
    status: str
    expires_at: datetime
    return_url: str | None
    """None: a session from before there were return addresses."""


class SimulatedGateway(Protocol):
    """The side of the fake gateway that a buyer (or a developer) sees."""

    async def checkout(self, session_id: str) -> Checkout:
        """The session to show.

        Raises:
            UnknownSessionError: there is none.
        """
        ...

    async def decide(self, session_id: str, decision: EventType) -> Checkout:
        """Pay, decline or expire an open session; the webhook is on its way when this returns.

        Raises:
            UnknownSessionError: there is none.
            SessionDecidedError: it was decided before, otherwise.
        """
        ...
