"""What gateways tell us over HTTP: signed over the raw bytes, and parsed strictly.

Any bytes at all come out as an event, a `BadSignatureError` or a `MalformedEventError`.
"""

import hashlib
import hmac
import re
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.payments.gateway import BadSignatureError, EventType, GatewayEvent, MalformedEventError

SIGNATURE_HEADER: Final = "X-Payment-Signature"
SIGNATURE_TOLERANCE_S: Final = 300
"""A signature is good for this long, and a clock may be ahead by as much."""
SIGNATURE_HEADER_LENGTH_MAX: Final = 1024
"""Characters: room for a dozen secrets in rotation."""
EVENT_BYTES_MAX: Final = 65_536
AMOUNT_MAX: Final = 2**63 - 1
"""Minor units; what PostgreSQL's bigint holds."""
DELIVER_WEBHOOK: Final = "webhooks.deliver"
"""The durable task that delivers an event of a gateway which runs inside this service."""

_TIME = re.compile(r"t=(\d{1,12})", re.ASCII)
_DIGEST = re.compile(r"v1=([0-9a-f]{64})", re.ASCII)

_ID = re.compile(r"[\x21-\x7e]{1,255}")

# `\Z`, since `$` would let a final line break pass.
_Id = Annotated[str, Meta(pattern=r"\A[\x21-\x7e]{1,255}\Z")]
_Currency = Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")]
_Amount = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
_Time = Annotated[datetime, Meta(tz=True)]


class EventBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An event as it travels. Members that we do not know are ignored: gateways may be newer than we."""

    event_id: _Id
    event_type: EventType
    session_id: _Id
    booking_id: UUID
    amount: _Amount
    currency: _Currency
    timestamp: _Time
    gateway_ref: _Id | None = None
    refund_id: UUID | msgspec.UnsetType | None = msgspec.UNSET


def usable_id(text: str) -> str:
    """An id that a gateway hands back from what it was given; empty where nobody can have meant one of ours."""
    return text if _ID.fullmatch(text) else ""


def sign(secret: str, body: bytes, at: int) -> str:
    """The signature header for ``body`` sent at ``at`` (Unix seconds)."""
    return f"t={at},v1={_digest(secret, str(at), body)}"


def check_signature(
    secret: str, header: str | None, body: bytes, now: datetime, *, name: str = SIGNATURE_HEADER
) -> None:
    """Pass if one of the signatures in the header of that ``name`` was made with ``secret`` over exactly these bytes.

    A header may carry several ``v1`` entries, so that a gateway can change its secret without a gap.

    Raises:
        BadSignatureError: wrong, missing, unreadable, or further than the tolerance from ``now``.
    """
    if not header:
        raise BadSignatureError(f"the {name} header is missing")
    if len(header) > SIGNATURE_HEADER_LENGTH_MAX:
        raise BadSignatureError(f"the {name} header is too long")
    entries = [entry.strip() for entry in header.split(",")]
    times = [found[1] for entry in entries if (found := _TIME.fullmatch(entry))]
    digests = [found[1] for entry in entries if (found := _DIGEST.fullmatch(entry))]
    if len(times) != 1 or not digests:
        raise BadSignatureError(f"the {name} header must be: t=<unix seconds>,v1=<hex>")
    if abs(now.timestamp() - int(times[0])) > SIGNATURE_TOLERANCE_S:
        raise BadSignatureError(f"the signature is further than {SIGNATURE_TOLERANCE_S} s from now")
    expected = _digest(secret, times[0], body)
    # Every entry is compared, so that the time taken does not tell which one was right.
    good = [hmac.compare_digest(expected, digest) for digest in digests]
    if not any(good):
        raise BadSignatureError("the signature does not fit the body")


def parse_event(gateway: str, body: bytes) -> GatewayEvent:
    """The event that ``body`` tells, in the built-in format (spec, section 7).

    Raises:
        MalformedEventError: it is not such an event, whatever else it is.
    """
    if len(body) > EVENT_BYTES_MAX:
        raise MalformedEventError(f"an event has at most {EVENT_BYTES_MAX} bytes")
    try:
        # Decoded as a whole first: the parser passes over the bytes of members that it does not know.
        text = body.decode("utf-8")
        event = msgspec.json.decode(text, type=EventBody)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedEventError(f"the event cannot be read: {error}") from error
    except RecursionError as error:
        raise MalformedEventError("the event is nested too deeply") from error
    return GatewayEvent(
        gateway=gateway,
        event_id=event.event_id,
        event_type=event.event_type,
        session_id=event.session_id,
        booking_id=event.booking_id,
        amount=event.amount,
        currency=event.currency,
        gateway_ref=event.gateway_ref,
        refund_id=event.refund_id or None,
        body=text,
    )


def _digest(secret: str, at: str, body: bytes) -> str:
    return hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
