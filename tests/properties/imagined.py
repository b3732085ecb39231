"""The box office as one imagines it: dictionaries and plain rules, one thing after the other, no clock and no database.

This is the model that `test_box_office.py` holds the real one against. It is meant to be believed by
reading it: a seat is free or somebody's, a booking has a status, a payment has a status, and what a method
returns is what the API must answer. Time does not pass by itself; `lapse_*` says that it has.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

LIVE_SEATS_MAX = 10
EXTENSIONS_MAX = 2
LIVE = {"OPENING", "OPEN"}
SET_ASIDE = {"AUTHORISED", "VOIDING"}

There = Literal["open", "authorised", "paid", "voided", "expired"]
"""Where a session stands at the gateway; the fake one's own words."""
Stage = Literal["far", "near", "close", "running", "over"]
STAGES: tuple[Stage, ...] = ("far", "near", "close", "running", "over")
PERCENTAGE: dict[Stage, int] = {"far": 100, "near": 50, "close": 0, "running": 0, "over": 0}


@dataclass
class Taken:
    """A seat that is not free: who has it, and through which booking (None: it is held)."""

    buyer: str
    booking: str | None = None


@dataclass
class Refund:
    """Money that goes back; ``seats`` of none: the whole payment, which bought nothing."""

    payment: "Payment"
    amount: int
    reason: str
    status: str = "PENDING"
    id: str = ""
    made: bool = False
    """The gateway has really done it, whatever it answered. Its event is of that moment: asked again, it tells none."""


@dataclass
class Payment:
    """One attempt to pay. The gateway's side of it is ``there``: what has really become of the buyer's money."""

    booking: str
    amount: int
    session: str | None = None
    status: str = "OPENING"
    there: There = "open"


@dataclass
class Booking:
    """``in_time`` matters while it is PENDING: after that it reads EXPIRED, whether or not a job wrote so."""

    id: str
    buyer: str
    prices: dict[str, int]
    status: str = "PENDING"
    in_time: bool = True
    extensions: int = 0
    paid_by: Payment | None = None
    refunded: set[str] = field(default_factory=set[str])
    payments: list[Payment] = field(default_factory=list[Payment])
    refunds: list[Refund] = field(default_factory=list[Refund])
    archived: bool = False

    @property
    def reads(self) -> str:
        return "EXPIRED" if self.status == "PENDING" and not self.in_time else self.status

    @property
    def amount(self) -> int:
        return sum(self.prices.values())

    @property
    def live_payment(self) -> Payment | None:
        """What a buyer who asks to pay is shown; money that is set aside already comes before a session."""
        shown = sorted(
            (pay for pay in self.payments if pay.status in LIVE | {"AUTHORISED"}), key=lambda pay: pay.status
        )
        return shown[0] if shown else None


@dataclass
class BoxOffice:
    """One show. ``prices``: its seats; ``taken``: those that are not free."""

    prices: dict[str, int]
    taken: dict[str, Taken] = field(default_factory=dict[str, Taken])
    bookings: dict[str, Booking] = field(default_factory=dict[str, Booking])
    events: set[str] = field(default_factory=set[str])
    stage: Stage = "far"

    # ------------------------------------------------------------ seats ---

    def refusal(self, buyer: str, seats: Iterable[str]) -> tuple[str, set[str]] | None:
        """Why this buyer cannot have these seats, with those in the way; None: they can."""
        wanted = set(seats)
        if self.stage in {"running", "over"}:
            return "show_begun", set()
        in_the_way = {
            seat for seat in wanted if (has := self.taken.get(seat)) and (has.buyer != buyer or has.booking is not None)
        }
        if in_the_way:
            return "seats_taken", in_the_way
        others = [seat for seat, has in self.taken.items() if has.buyer == buyer and self._unpaid(has)]
        if len(set(others) | wanted) > LIVE_SEATS_MAX:
            return "seat_limit_reached", set()
        return None

    def _unpaid(self, has: Taken) -> bool:
        return has.booking is None or self.bookings[has.booking].status == "PENDING"

    def hold(self, buyer: str, seats: Iterable[str]) -> None:
        self.taken |= {seat: Taken(buyer) for seat in seats}

    def release(self, buyer: str, seats: Iterable[str]) -> int:
        mine = [seat for seat in set(seats) if self.taken.get(seat) == Taken(buyer)]
        for seat in mine:
            del self.taken[seat]
        return len(mine)

    def book(self, booking_id: str, buyer: str, seats: Iterable[str]) -> None:
        chosen = {seat: self.prices[seat] for seat in seats}
        self.bookings[booking_id] = Booking(booking_id, buyer, chosen)
        self.taken |= {seat: Taken(buyer, booking_id) for seat in chosen}

    def _free(self, booking: Booking, seats: Iterable[str] | None = None) -> None:
        for seat in booking.prices if seats is None else seats:
            if (has := self.taken.get(seat)) and has.booking == booking.id:
                del self.taken[seat]

    # ------------------------------------------------------------- time ---

    def lapse_holds(self) -> None:
        self.taken = {seat: has for seat, has in self.taken.items() if has.booking is not None}

    def lapse_booking(self, booking: Booking) -> None:
        if booking.status == "PENDING":
            booking.in_time = False
            self._free(booking)

    def expire(self) -> None:
        """The job: what time has said is written down. Nobody can tell the difference."""
        for booking in self.bookings.values():
            booking.status = booking.reads

    # ------------------------------------------------------------ money ---

    def cancel(self, booking: Booking) -> bool:
        if booking.reads == "PENDING":
            booking.status = "CANCELLED"
            self._free(booking)
        return booking.status == "CANCELLED"

    def succeeded(self, payment: Payment) -> bool:
        """Money has come in: seated or refunded. False: it had come in before."""
        if payment.status == "SUCCEEDED":
            return False
        was_set_aside = payment.status in SET_ASIDE
        payment.status = "SUCCEEDED"
        booking = self.bookings[payment.booking]
        too_late = was_set_aside and self.stage == "over"
        match booking.status:
            case "PENDING" | "EXPIRED" if self._can_be_seated(booking) and not too_late:
                booking.status, booking.paid_by = "CONFIRMED", payment
                self.taken |= {seat: Taken(booking.buyer, booking.id) for seat in booking.prices}
                return True
            case "PENDING" | "EXPIRED":
                reason = "paid_too_late"
            case "CANCELLED":
                reason = "paid_after_cancel"
            case _:
                reason = "paid_twice"
        booking.refunds.append(Refund(payment, payment.amount, reason))
        return True

    def _can_be_seated(self, booking: Booking) -> bool:
        if booking.reads == "PENDING":
            return True
        if booking.archived or self.stage == "over":
            return False
        return all(seat not in self.taken for seat in booking.prices)

    def authorised(self, payment: Payment) -> bool:
        """Money is set aside. False: that was known, or is over."""
        if payment.status in SET_ASIDE | {"SUCCEEDED", "VOIDED"}:
            return False
        payment.status = "AUTHORISED" if self._kept(payment) else "VOIDING"
        return True

    def _kept(self, payment: Payment) -> bool:
        """Whether the seats are kept for this money, so that it may be taken; one payment of a booking at a time."""
        booking = self.bookings[payment.booking]
        if any(pay.status == "AUTHORISED" for pay in booking.payments if pay is not payment):
            return False
        if booking.status not in {"PENDING", "EXPIRED"} or not self._can_be_seated(booking) or self.stage == "over":
            return False
        booking.status, booking.in_time = "PENDING", True
        self.taken |= {seat: Taken(booking.buyer, booking.id) for seat in booking.prices}
        return True

    def decide_anew(self, payment: Payment) -> None:
        """Before the gateway is asked: what was to be taken is to be let go if its seats are lost."""
        if payment.status == "AUTHORISED" and not self._kept(payment):
            payment.status = "VOIDING"

    def voided(self, payment: Payment) -> bool:
        """What was set aside is no more; the booking keeps its time, so that the buyer may pay again."""
        if payment.status not in LIVE | SET_ASIDE:
            return False
        payment.status = "VOIDED"
        return True

    def failed(self, payment: Payment) -> bool:
        if payment.status not in LIVE:
            return False
        payment.status = "FAILED"
        booking = self.bookings[payment.booking]
        if booking.reads == "PENDING" and booking.extensions < EXTENSIONS_MAX:
            booking.extensions += 1
        return True

    def expired(self, payment: Payment) -> bool:
        if payment.status not in LIVE:
            return False
        payment.status = "EXPIRED"
        booking = self.bookings[payment.booking]
        if booking.status == "PENDING":
            booking.status = "EXPIRED"
            self._free(booking)
        return True

    def refund(self, booking: Booking, seats: Iterable[str] | None) -> Refund | str:
        """The refund, or why there is none."""
        if booking.status != "CONFIRMED" or booking.paid_by is None:
            return "booking_not_refundable"
        kept = set(booking.prices) - booking.refunded
        wanted = kept if seats is None else set(seats)
        if not wanted <= kept:
            return "unknown_seats"
        percentage = PERCENTAGE[self.stage]
        if percentage == 0:
            return "refund_window_closed"
        # Halves of a paisa go to the customer, seat by seat.
        amount = sum(-(-booking.prices[seat] * percentage // 100) for seat in wanted)
        refund = Refund(booking.paid_by, amount, "requested")
        booking.refunds.append(refund)
        booking.refunded |= wanted
        self._free(booking, wanted)
        if booking.refunded == set(booking.prices):
            booking.status = "REFUNDED"
        return refund
