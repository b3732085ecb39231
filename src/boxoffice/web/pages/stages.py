"""What a booking's page is about, by what our books say and what a gateway's page said on the way back: pure.

What a gateway's page says is only a hint for the first words. It never makes a booking paid, failed or over:
that is for the gateway's signed event, and until it has come the page says that it waits.
"""

from enum import StrEnum
from typing import Final, get_args

from boxoffice.bookings.reading import Booking
from boxoffice.bookings.states import BookingStatus
from boxoffice.payments.gateway import SaidOutcome

LIVE: Final = frozenset({"OPENING", "OPEN", "AUTHORISED", "VOIDING"})
"""States of a payment of which an event may still tell."""
_SAID: Final[dict[str, SaidOutcome]] = {said: said for said in get_args(SaidOutcome)}
_DECIDED: Final = frozenset({"paid", "declined", "expired"})


class Stage(StrEnum):
    """What the page shows."""

    TO_PAY = "to-pay"
    """Unpaid, with time left."""
    DECLINED = "declined"
    """The last attempt to pay has failed for certain; there is time for another."""
    WAITING = "waiting"
    """The buyer has decided at the gateway, which has not told us yet."""
    LATE = "late"
    """The time ran out while a payment was under way: seats or money, as soon as the gateway has told us."""
    TICKET = "ticket"
    """Paid and seated."""
    MONEY_BACK = "money-back"
    """Money came that bought no seat, and goes back by itself."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


POLL_S: Final = {Stage.WAITING: 1, Stage.LATE: 2, Stage.TO_PAY: 10, Stage.DECLINED: 10, Stage.EXPIRED: 5}
"""How often a page asks for news, in seconds; where there can be none it does not ask."""


def said_outcome(text: str | None) -> SaidOutcome | None:
    """The ``?outcome=`` of an address; None for whatever no gateway says."""
    return _SAID.get(text or "")


def stage_of(booking: Booking, said: SaidOutcome | None) -> Stage:
    """What the page of a booking shows now."""
    match booking.status:
        case BookingStatus.CONFIRMED:
            return Stage.TICKET
        case BookingStatus.REFUNDED:
            return Stage.REFUNDED
        case BookingStatus.PENDING:
            return _unpaid(booking, said)
        case BookingStatus.EXPIRED | BookingStatus.CANCELLED:
            return _over(booking, said)


def _unpaid(booking: Booking, said: SaidOutcome | None) -> Stage:
    if booking.payment is not None and booking.payment.status == "AUTHORISED":
        # Set aside by the gateway's own word, and being taken: there is nothing to pay any more.
        return Stage.WAITING
    if _may_be_told_of(booking):
        return Stage.WAITING if said in _DECIDED else Stage.TO_PAY
    failed = booking.payment is not None and booking.payment.status == "FAILED"
    return Stage.DECLINED if failed else Stage.TO_PAY


def _over(booking: Booking, said: SaidOutcome | None) -> Stage:
    if booking.refund_reason is not None:
        return Stage.MONEY_BACK
    if booking.status is BookingStatus.CANCELLED:
        return Stage.CANCELLED
    return Stage.LATE if said == "paid" and _may_be_told_of(booking) else Stage.EXPIRED


def poll_s(booking: Booking, stage: Stage) -> int | None:
    """Seconds until the page asks again; None: nothing will come of itself."""
    if stage is Stage.EXPIRED and not _may_be_told_of(booking):
        return None
    return POLL_S.get(stage)


def _may_be_told_of(booking: Booking) -> bool:
    """Whether there is a payment that the gateway has not told the end of."""
    return booking.payment is not None and booking.payment.status in LIVE
