"""What the box office asks of a payment gateway, whichever it is.

A gateway is outside: it may be slow, fail, lie, or answer twice. It is never called inside
a transaction, and every call that moves money carries an idempotency key, so that it can
be repeated until there is an answer.
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

    SUCCESS = "payment.success"
    FAILED = "payment.failed"
    EXPIRED = "payment.expired"
    REFUNDED = "refund.succeeded"


class GatewayEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A verified event: the gateway said this. Whether it is true of our books is decided in settlement."""

    gateway: str
    event_id: str
    event_type: EventType
    session_id: str
    booking_id: UUID
    amount: int
    currency: str
    gateway_ref: str | None
    refund_id: UUID | None
    body: str
    """As received, for the record."""


class Gateway(Protocol):
    """One payment gateway."""

    @property
    def name(self) -> str:
        """Its name in settings, in the database and in `payments/webhook/{gateway}`."""
        ...

    @property
    def page_origins(self) -> Sequence[str]:
        """Where its payment pages are, such as `https://pay.example`; pages of ours lead nowhere else."""
        ...

    async def open_session(self, request: SessionRequest) -> Session:
        """Open a session, or give the one that this payment has.

        Raises:
            GatewayDownError: no answer; ask again.
            GatewayRefusedError: it will not, whatever we do.
        """
        ...

    async def refund(self, request: RefundRequest) -> RefundReceipt:
        """Give money back.

        Raises:
            GatewayDownError: no answer; ask again with the same id.
            GatewayRefusedError: it will not, whatever we do.
        """
        ...

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> GatewayEvent:
        """The event in a webhook's raw body.

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
