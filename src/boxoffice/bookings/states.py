"""The states of a booking and what each event does to it: pure, so that a model can check it.

    PENDING → payment succeeded → CONFIRMED
    PENDING → payment failed    → PENDING, time extended
    PENDING → payment expired   → EXPIRED
    PENDING → time ran out      → EXPIRED
    PENDING → user cancels      → CANCELLED
    CONFIRMED → refund          → REFUNDED

and for money that comes when it is no longer awaited, `on_success`: paid means seated or refunded.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

EXTENSION: Final = timedelta(minutes=5)
"""What a failed payment adds to the time to pay."""
EXTENSIONS_MAX: Final = 2
"""How often it does."""


class BookingStatus(StrEnum):
    """Where a booking stands."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    REFUNDED = "REFUNDED"


class AfterSuccess(StrEnum):
    """What money that has come in does."""

    CONFIRM = "confirm"
    """The booking takes its seats, which are its own or still free."""
    REFUND_TOO_LATE = "paid_too_late"
    """Time ran out and a seat is gone: the money goes back."""
    REFUND_CANCELLED = "paid_after_cancel"
    """The buyer had cancelled: the money goes back."""
    REFUND_TWICE = "paid_twice"
    """Another payment has bought the seats: this one goes back."""


def status_at(status: BookingStatus, expires_at: datetime, now: datetime) -> BookingStatus:
    """The status as time has it: an unpaid booking is EXPIRED the instant its time runs out."""
    if status is BookingStatus.PENDING and expires_at <= now:
        return BookingStatus.EXPIRED
    return status


def on_success(status: BookingStatus, *, seats_claimable: bool) -> AfterSuccess:
    """What a successful payment does to a booking in ``status``.

    ``seats_claimable``: every seat of it is still leased to it, or free. While the booking's time runs
    this is always so; afterwards the seats' own rows tell.
    """
    match status:
        case BookingStatus.PENDING | BookingStatus.EXPIRED:
            return AfterSuccess.CONFIRM if seats_claimable else AfterSuccess.REFUND_TOO_LATE
        case BookingStatus.CANCELLED:
            return AfterSuccess.REFUND_CANCELLED
        case BookingStatus.CONFIRMED | BookingStatus.REFUNDED:
            return AfterSuccess.REFUND_TWICE


def expiry_after_failure(expires_at: datetime, extensions: int, now: datetime) -> datetime | None:
    """When a pending booking runs out after a failed payment; None: it gets no more time."""
    if expires_at <= now or extensions >= EXTENSIONS_MAX:
        return None
    return expires_at + EXTENSION
