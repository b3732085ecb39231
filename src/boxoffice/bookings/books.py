"""What an event is held against: the booking and the payment that it is about, both locked."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from boxoffice.bookings.states import BookingStatus
from boxoffice.postgres.pool import Row

LIVE: Final = frozenset({"OPENING", "OPEN"})
"""Payments that wait for the buyer."""
SET_ASIDE: Final = frozenset({"AUTHORISED", "VOIDING"})
"""Payments whose money waits for us, to be taken or let go."""


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What one event did: kept with the event."""

    outcome: str
    took_effect: bool = True
    needs_look: bool = False


class Books(Row, frozen=True, kw_only=True):
    """The booking and the payment that an event is about, both locked, as of ``now``."""

    show_id: UUID
    booking_id: UUID
    booking_status: str
    user_id: UUID
    expires_at: datetime
    extensions: int
    show_over: bool
    payment_id: UUID
    payment_status: str
    amount: int
    currency: str
    now: datetime
    seen: bool

    @property
    def status(self) -> BookingStatus:
        """The booking's, as its row has it."""
        return BookingStatus(self.booking_status)

    @property
    def in_time(self) -> bool:
        """Whether the booking is unpaid and its time runs: then its seats are its own."""
        return self.status is BookingStatus.PENDING and self.expires_at > self.now

    @property
    def may_be_seated(self) -> bool:
        """Whether the booking still waits for money that can seat it, if its seats are there.

        Of money that was set aside the time does not tell: we have lengthened it, to take the money in.
        """
        awaited = self.status in {BookingStatus.PENDING, BookingStatus.EXPIRED}
        in_time = self.in_time and self.payment_status not in SET_ASIDE
        return awaited and (in_time or not self.show_over)
