"""What a booking's page shows: by our books, with a gateway's word on the way back as a hint and no more."""

from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

import pytest

from boxoffice.bookings.reading import BookedMovie, BookedShow, BookedTheatre, Booking, Named, PaymentSummary
from boxoffice.bookings.states import BookingStatus
from boxoffice.payments.gateway import SaidOutcome
from boxoffice.web.pages.stages import Stage, poll_s, said_outcome, stage_of

ID = UUID(int=1)
NOW = datetime(2030, 1, 31, 13, 0, tzinfo=UTC)
SAID: tuple[SaidOutcome | None, ...] = (None, *get_args(SaidOutcome))
PAYMENTS = (None, "OPENING", "OPEN", "FAILED", "EXPIRED", "SUCCEEDED", "REFUND_PENDING", "REFUNDED")
REASONS = (None, "paid_too_late", "paid_after_cancel", "paid_twice")


def booking(status: BookingStatus, payment: str | None = None, reason: str | None = None) -> Booking:
    return Booking(
        id=ID,
        show_id=ID,
        user_id=ID,
        status=status,
        total_amount=1,
        currency="INR",
        expires_at=NOW,
        created_at=NOW,
        seats=[],
        payment=None if payment is None else PaymentSummary(status=payment, amount=1),
        refund_reason=reason,
        show=BookedShow(
            id=ID,
            movie=BookedMovie(id=ID, title="Sholay"),
            theatre=BookedTheatre(id=ID, name="Regal", city="Mumbai", timezone="Asia/Kolkata"),
            screen=Named(id=ID, name="Screen 1"),
            start_time=NOW,
        ),
    )


@pytest.mark.parametrize(
    ("status", "payment", "said", "stage"),
    [
        ("PENDING", None, None, Stage.TO_PAY),
        ("PENDING", "OPEN", None, Stage.TO_PAY),
        ("PENDING", "OPEN", "cancelled", Stage.TO_PAY),
        ("PENDING", "OPEN", "paid", Stage.WAITING),
        ("PENDING", "OPENING", "paid", Stage.WAITING),
        ("PENDING", "OPEN", "declined", Stage.WAITING),
        ("PENDING", "FAILED", "declined", Stage.DECLINED),
        ("PENDING", "FAILED", None, Stage.DECLINED),
        ("PENDING", "AUTHORISED", None, Stage.WAITING),
        ("PENDING", "AUTHORISED", "cancelled", Stage.WAITING),
        ("PENDING", "VOIDED", None, Stage.TO_PAY),
        ("EXPIRED", "VOIDING", "paid", Stage.LATE),
        ("EXPIRED", "VOIDED", "paid", Stage.EXPIRED),
        ("EXPIRED", None, None, Stage.EXPIRED),
        ("EXPIRED", "OPEN", "paid", Stage.LATE),
        ("EXPIRED", "OPEN", None, Stage.EXPIRED),
        ("EXPIRED", "EXPIRED", "paid", Stage.EXPIRED),
        ("CANCELLED", "OPEN", None, Stage.CANCELLED),
        ("CONFIRMED", "SUCCEEDED", "declined", Stage.TICKET),
        ("REFUNDED", "REFUND_PENDING", None, Stage.REFUNDED),
    ],
)
def test_a_booking_is_shown_as_it_stands(
    status: str, payment: str | None, said: SaidOutcome | None, stage: Stage
) -> None:
    assert stage_of(booking(BookingStatus(status), payment), said) is stage


@pytest.mark.parametrize(("status", "reason"), [("EXPIRED", "paid_too_late"), ("CANCELLED", "paid_after_cancel")])
def test_money_that_bought_no_seat_is_told_whatever_was_said(status: str, reason: str) -> None:
    for payment in ("REFUND_PENDING", "REFUNDED"):
        for said in SAID:
            assert stage_of(booking(BookingStatus(status), payment, reason), said) is Stage.MONEY_BACK


def test_nothing_is_told_as_failed_paid_or_over_on_a_gateways_page_alone() -> None:
    sure = {Stage.DECLINED, Stage.TICKET, Stage.EXPIRED, Stage.CANCELLED, Stage.REFUNDED, Stage.MONEY_BACK}
    for status in BookingStatus:
        for payment in PAYMENTS:
            for reason in REASONS:
                one = booking(status, payment, reason)
                for said in SAID:
                    shown = stage_of(one, said)
                    assert shown not in sure or shown is stage_of(one, None), (status, payment, reason, said)


def test_a_page_asks_for_news_as_long_as_there_may_be_any() -> None:
    for status in BookingStatus:
        for payment in PAYMENTS:
            one = booking(status, payment)
            for said in SAID:
                stage = stage_of(one, said)
                awaits = status is BookingStatus.PENDING or (
                    status is BookingStatus.EXPIRED and payment in {"OPEN", "OPENING"}
                )
                # One that is to be paid asks, too: another tab may pay it.
                assert (poll_s(one, stage) is not None) is awaits, (status, payment)


def test_what_no_gateway_says_is_nothing() -> None:
    assert [said_outcome(text) for text in ("paid", "PAID", "", "<b>", None)] == ["paid", None, None, None, None]
