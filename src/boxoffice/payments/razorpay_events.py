"""What Razorpay tells us by webhook: signed over the raw bytes, and parsed strictly.

Events come unordered, more than once and late, which settlement expects. Most of what Razorpay tells is about
nothing that we act on: such an event is genuine, and None.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.payments.gateway import (
    BadSignatureError,
    EventType,
    GatewayEvent,
    MalformedEventError,
)
from boxoffice.payments.webhooks import AMOUNT_MAX, EVENT_BYTES_MAX, usable_id

SIGNATURE_HEADER: Final = "X-Razorpay-Signature"

_Id = Annotated[str, Meta(pattern=r"\A[\x21-\x7e]{1,255}\Z")]
_Amount = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
_Currency = Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")]


class Paid(msgspec.Struct, frozen=True):
    """One payment made through a link."""

    payment_id: _Id
    status: str


class Link(msgspec.Struct, frozen=True):
    """A payment link."""

    id: _Id
    amount: _Amount
    currency: _Currency
    status: str
    short_url: str = ""
    reference_id: str | None = None
    payments: list[Paid] | None = None
    # An empty list stands where there are no notes.
    notes: dict[str, Any] | list[Any] | None = None


class Links(msgspec.Struct, frozen=True):
    """Those that a search has found."""

    payment_links: list[Link]


class Payment(msgspec.Struct, frozen=True):
    """One payment."""

    id: _Id
    amount: _Amount
    currency: _Currency
    status: str
    amount_refunded: _Amount | None = None


class Refund(msgspec.Struct, frozen=True):
    """One refund."""

    id: _Id
    amount: _Amount
    currency: _Currency
    payment_id: _Id
    status: str
    notes: dict[str, Any] | list[Any] | None = None

    def note(self, name: str) -> str:
        """One of the notes that we gave along, where it was we who made it."""
        return _note(self.notes, name)


class Refunds(msgspec.Struct, frozen=True):
    """Those of one payment."""

    items: list[Refund]


class _LinkEntity(msgspec.Struct, frozen=True):
    entity: Link


class _RefundEntity(msgspec.Struct, frozen=True):
    entity: Refund


class _PaymentEntity(msgspec.Struct, frozen=True):
    entity: Payment


class _Dispute(msgspec.Struct, frozen=True):
    id: _Id
    payment_id: _Id
    amount: _Amount
    currency: _Currency


class _DisputeEntity(msgspec.Struct, frozen=True):
    entity: _Dispute


class _Payload(msgspec.Struct, frozen=True):
    payment_link: _LinkEntity | None = None
    payment: _PaymentEntity | None = None
    refund: _RefundEntity | None = None
    dispute: _DisputeEntity | None = None


class _Event(msgspec.Struct, frozen=True):
    event: str
    payload: _Payload


def check_razorpay_signature(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
    """Pass if the body was signed with one of the secrets: two are good while one takes the other's place.

    Raises:
        BadSignatureError: wrong or missing. These signatures have no date.
    """
    wanted = SIGNATURE_HEADER.lower()
    given = next((value for key, value in headers.items() if key.lower() == wanted), "")
    if not given.isascii():
        raise BadSignatureError(f"the {SIGNATURE_HEADER} header is no signature")
    # Every secret is tried, so that the time taken does not tell which one is right.
    good = [
        hmac.compare_digest(hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(), given) for secret in secrets
    ]
    if not any(good):
        raise BadSignatureError("the signature does not fit the body")


def parse_razorpay_event(gateway: str, body: bytes) -> GatewayEvent | None:
    """The event that ``body`` tells; None: it is about nothing that we act on.

    Raises:
        MalformedEventError: it is no event of Razorpay's, or not of the form that its type has.
    """
    if len(body) > EVENT_BYTES_MAX:
        raise MalformedEventError(f"an event has at most {EVENT_BYTES_MAX} bytes")
    try:
        text = body.decode("utf-8")
        event = msgspec.json.decode(text, type=_Event)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedEventError(f"the event cannot be read: {error}") from error
    except RecursionError as error:
        raise MalformedEventError("the event is nested too deeply") from error
    read = _READERS.get(event.event)
    told = read(event.payload) if read else None
    if told is None:
        return None
    # The id that comes in a header is not signed; the bytes are.
    event_id = f"sha256:{hashlib.sha256(body).hexdigest()}"
    return msgspec.structs.replace(told, gateway=gateway, event_id=event_id, body=text)


def _told(event_type: EventType, session_id: str, amount: int, currency: str, **more: Any) -> GatewayEvent:
    blank: dict[str, Any] = {"booking_id": None, "gateway_ref": None, "refund_id": None, **more}
    return GatewayEvent(
        gateway="", event_id="", body="", event_type=event_type, session_id=session_id, amount=amount,
        currency=currency, **blank,
    )  # fmt: skip


def _of_link(event_type: EventType) -> Callable[[_Payload], GatewayEvent | None]:
    def read(payload: _Payload) -> GatewayEvent:
        if payload.payment_link is None:
            raise MalformedEventError("the event has no payment link")
        link = payload.payment_link.entity
        return _told(
            event_type,
            link.id,
            link.amount,
            link.currency,
            booking_id=_uuid(_note(link.notes, "booking_id")),
            gateway_ref=payload.payment.entity.id if payload.payment else None,
        )

    return read


def _of_refund(event_type: EventType) -> Callable[[_Payload], GatewayEvent | None]:
    def read(payload: _Payload) -> GatewayEvent:
        if payload.refund is None:
            raise MalformedEventError("the event has no refund")
        refund = payload.refund.entity
        return _told(
            event_type,
            # One made by hand in the dashboard says only whose money it is.
            usable_id(refund.note("session_id")) or refund.payment_id,
            refund.amount,
            refund.currency,
            gateway_ref=refund.id,
            refund_id=_uuid(refund.note("refund_id")),
        )

    return read


def _of_dispute(payload: _Payload) -> GatewayEvent:
    if payload.dispute is None:
        raise MalformedEventError("the event has no dispute")
    dispute = payload.dispute.entity
    return _told(
        EventType.DISPUTED, dispute.payment_id, dispute.amount, dispute.currency, gateway_ref=dispute.payment_id
    )


_READERS: Final[Mapping[str, Callable[[_Payload], GatewayEvent | None]]] = {
    "payment_link.paid": _of_link(EventType.SUCCESS),
    "payment_link.expired": _of_link(EventType.EXPIRED),
    "payment_link.cancelled": _of_link(EventType.EXPIRED),
    "refund.processed": _of_refund(EventType.REFUNDED),
    "refund.failed": _of_refund(EventType.REFUND_FAILED),
    "payment.dispute.created": _of_dispute,
    "payment.dispute.lost": _of_dispute,
}
"""What we act on. A payment that failed is not among it: the buyer may try again on the same page."""


def _note(notes: dict[str, Any] | list[Any] | None, name: str) -> str:
    """One of the notes that we gave along, where it was we."""
    found = notes.get(name) if isinstance(notes, dict) else None
    return found if isinstance(found, str) else ""


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
