"""What Stripe tells us by webhook: signed over the raw bytes, and parsed strictly.

Events come unordered, more than once and late, which settlement expects. Most of what Stripe tells is about
nothing that we act on: such an event is genuine, and None.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.payments.gateway import BadSignatureError, EventType, GatewayEvent, MalformedEventError
from boxoffice.payments.stripe_money import from_stripe
from boxoffice.payments.webhooks import AMOUNT_MAX, EVENT_BYTES_MAX, check_signature, usable_id

SIGNATURE_HEADER: Final = "Stripe-Signature"

_Id = Annotated[str, Meta(pattern=r"\A[\x21-\x7e]{1,255}\Z")]
_Amount = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
_Currency = Annotated[str, Meta(pattern=r"\A[a-z]{3}\Z")]


class _Metadata(msgspec.Struct, frozen=True):
    """What we gave along, where it was we; everything in it may be missing or somebody else's."""

    booking_id: str = ""
    session_id: str = ""
    refund_id: str = ""
    through: str = ""


class _Data(msgspec.Struct, frozen=True):
    object: msgspec.Raw


class _Event(msgspec.Struct, frozen=True):
    id: _Id
    type: str
    data: _Data


class _Checkout(msgspec.Struct, frozen=True):
    id: _Id
    amount_total: _Amount
    currency: _Currency
    payment_status: str
    payment_intent: _Id | None = None
    metadata: _Metadata | None = None


class _Intent(msgspec.Struct, frozen=True):
    id: _Id
    amount: _Amount
    currency: _Currency
    amount_received: _Amount | None = None
    """What was taken; Stripe always says so, localstripe never."""
    metadata: _Metadata | None = None


class _Refund(msgspec.Struct, frozen=True):
    id: _Id
    amount: _Amount
    currency: _Currency
    status: str | None = None
    payment_intent: _Id | None = None
    metadata: _Metadata | None = None


class _Dispute(msgspec.Struct, frozen=True):
    id: _Id
    amount: _Amount
    currency: _Currency
    payment_intent: _Id | None = None


def check_stripe_signature(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Pass if the body was signed with one of the secrets: two are good while one takes the other's place.

    Raises:
        BadSignatureError: wrong, missing, unreadable, or further than the tolerance from ``now``.
    """
    wanted = SIGNATURE_HEADER.lower()
    header = next((value for key, value in headers.items() if key.lower() == wanted), None)
    refusals: list[BadSignatureError] = []
    for secret in secrets:
        try:
            check_signature(secret, header, body, now, name=SIGNATURE_HEADER)
        except BadSignatureError as refusal:
            refusals.append(refusal)
    # Every secret is tried, so that the time taken does not tell which one is right.
    if len(refusals) == len(secrets):
        raise refusals[0] if refusals else BadSignatureError("no webhook secret is set up")


def parse_stripe_event(gateway: str, body: bytes) -> GatewayEvent | None:
    """The event that ``body`` tells; None: it is about nothing that we act on.

    Raises:
        MalformedEventError: it is no event of Stripe's, or not of the form that its type has.
    """
    if len(body) > EVENT_BYTES_MAX:
        raise MalformedEventError(f"an event has at most {EVENT_BYTES_MAX} bytes")
    try:
        text = body.decode("utf-8")
        event = msgspec.json.decode(text, type=_Event)
        read = _READERS.get(event.type)
        return read(gateway, event, text) if read else None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedEventError(f"the event cannot be read: {error}") from error
    except RecursionError as error:
        raise MalformedEventError("the event is nested too deeply") from error


def _checkout(gateway: str, event: _Event, text: str) -> GatewayEvent:
    """A session was completed, which sets money aside (or takes it), or has expired."""
    session = msgspec.json.decode(event.data.object, type=_Checkout)
    taken = EventType.SUCCESS if session.payment_status == "paid" else EventType.AUTHORISED
    types = {"completed": taken, "async_payment_succeeded": taken, "async_payment_failed": EventType.FAILED}
    return GatewayEvent(
        gateway=gateway,
        event_id=event.id,
        event_type=types.get(event.type.removeprefix("checkout.session."), EventType.EXPIRED),
        session_id=session.id,
        booking_id=_uuid(session.metadata.booking_id if session.metadata else ""),
        amount=from_stripe(session.amount_total, session.currency),
        currency=session.currency.upper(),
        gateway_ref=session.payment_intent,
        refund_id=None,
        body=text,
    )


_INTENT_TYPES: Final[Mapping[str, EventType]] = {
    "payment_intent.amount_capturable_updated": EventType.AUTHORISED,
    "payment_intent.succeeded": EventType.SUCCESS,
    "payment_intent.canceled": EventType.VOIDED,
}


def _intent(gateway: str, event: _Event, text: str) -> GatewayEvent | None:
    """The money of a bare PaymentIntent. That of a Checkout Session is told by the session's own events."""
    intent = msgspec.json.decode(event.data.object, type=_Intent)
    about = intent.metadata or _Metadata()
    if about.through == "checkout":
        return None
    event_type = _INTENT_TYPES[event.type]
    taken = intent.amount_received if event_type is EventType.SUCCESS else None
    amount = intent.amount if taken is None else taken
    return GatewayEvent(
        gateway=gateway,
        event_id=event.id,
        event_type=event_type,
        session_id=intent.id,
        booking_id=_uuid(about.booking_id),
        amount=from_stripe(amount, intent.currency),
        currency=intent.currency.upper(),
        gateway_ref=intent.id,
        refund_id=None,
        body=text,
    )


_REFUND_TYPES: Final[Mapping[str | None, EventType]] = {
    "succeeded": EventType.REFUNDED,
    "failed": EventType.REFUND_FAILED,
    "canceled": EventType.REFUND_FAILED,
}


def _refund(gateway: str, event: _Event, text: str) -> GatewayEvent | None:
    """A refund has arrived, or failed; while it is under way there is nothing to tell."""
    refund = msgspec.json.decode(event.data.object, type=_Refund)
    event_type = _REFUND_TYPES.get(refund.status)
    if event_type is None:
        return None
    about = refund.metadata or _Metadata()
    return GatewayEvent(
        gateway=gateway,
        event_id=event.id,
        event_type=event_type,
        # One made by hand in the dashboard says only whose money it is.
        session_id=usable_id(about.session_id) or refund.payment_intent or "",
        booking_id=None,
        amount=from_stripe(refund.amount, refund.currency),
        currency=refund.currency.upper(),
        gateway_ref=refund.id,
        refund_id=_uuid(about.refund_id),
        body=text,
    )


def _dispute(gateway: str, event: _Event, text: str) -> GatewayEvent:
    """A buyer's bank takes the money back, or asks why it should not."""
    dispute = msgspec.json.decode(event.data.object, type=_Dispute)
    return GatewayEvent(
        gateway=gateway,
        event_id=event.id,
        event_type=EventType.DISPUTED,
        session_id=dispute.payment_intent or "",
        booking_id=None,
        amount=from_stripe(dispute.amount, dispute.currency),
        currency=dispute.currency.upper(),
        gateway_ref=dispute.payment_intent,
        refund_id=None,
        body=text,
    )


_READERS: Final[Mapping[str, Callable[[str, _Event, str], GatewayEvent | None]]] = {
    "checkout.session.completed": _checkout,
    "checkout.session.async_payment_succeeded": _checkout,
    "checkout.session.async_payment_failed": _checkout,
    "checkout.session.expired": _checkout,
    **dict.fromkeys(_INTENT_TYPES, _intent),
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.refund.updated": _refund,
    "charge.dispute.created": _dispute,
    "charge.dispute.funds_withdrawn": _dispute,
    "charge.dispute.closed": _dispute,
}
"""What we act on. A payment that failed is not among it: the buyer may try again on the same page."""


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
