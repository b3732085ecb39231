"""What a gateway says when it is asked takes the way of what it says by itself: it becomes an event.

Its id is derived from the payment, from what our books knew and from what was said, so that the same answer
takes effect once, however often and by whomever it was asked for.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import msgspec

from boxoffice.payments.gateway import EventType, GatewayEvent, SessionState, Standing

_SAYS: Final[Mapping[SessionState, EventType]] = {
    SessionState.AUTHORISED: EventType.AUTHORISED,
    SessionState.PAID: EventType.SUCCESS,
    SessionState.FAILED: EventType.FAILED,
    SessionState.EXPIRED: EventType.EXPIRED,
    SessionState.VOIDED: EventType.VOIDED,
}


def event_of(
    standing: Standing, *, gateway: str, payment_id: UUID, booking_id: UUID, known: str
) -> GatewayEvent | None:
    """The event that would have told of this; None where the session is still open, and there is nothing to tell.

    ``known``: the payment's status by our books when the gateway was asked.
    """
    event_type = _SAYS.get(standing.state)
    if event_type is None:
        return None
    if known in {"AUTHORISED", "VOIDING"} and event_type in {EventType.FAILED, EventType.EXPIRED}:
        # However the gateway calls it, what was set aside is no more.
        event_type = EventType.VOIDED
    return GatewayEvent(
        gateway=gateway,
        event_id=f"asked:{payment_id}:{known}:{standing.state}",
        event_type=event_type,
        session_id=standing.session_id,
        booking_id=booking_id,
        amount=standing.amount,
        currency=standing.currency,
        gateway_ref=standing.gateway_ref,
        refund_id=None,
        body=msgspec.json.encode(standing).decode(),
    )
