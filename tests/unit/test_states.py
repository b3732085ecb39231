"""What each event does to a booking: paid means seated or refunded, for every state and any time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.bookings.states import (
    EXTENSION,
    EXTENSIONS_MAX,
    AfterSuccess,
    BookingStatus,
    expiry_after_failure,
    on_success,
    status_at,
)

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  (the zone comes with it)
STATUSES = st.sampled_from(BookingStatus)
WAITS = st.timedeltas(timedelta(0), timedelta(minutes=10))

# Every status, with and without seats to take: what the money does.
ON_SUCCESS = {
    (BookingStatus.PENDING, True): AfterSuccess.CONFIRM,
    (BookingStatus.PENDING, False): AfterSuccess.REFUND_TOO_LATE,
    (BookingStatus.EXPIRED, True): AfterSuccess.CONFIRM,
    (BookingStatus.EXPIRED, False): AfterSuccess.REFUND_TOO_LATE,
    (BookingStatus.CANCELLED, True): AfterSuccess.REFUND_CANCELLED,
    (BookingStatus.CANCELLED, False): AfterSuccess.REFUND_CANCELLED,
    (BookingStatus.CONFIRMED, True): AfterSuccess.REFUND_TWICE,
    (BookingStatus.CONFIRMED, False): AfterSuccess.REFUND_TWICE,
    (BookingStatus.REFUNDED, True): AfterSuccess.REFUND_TWICE,
    (BookingStatus.REFUNDED, False): AfterSuccess.REFUND_TWICE,
}


@pytest.mark.parametrize("claimable", [True, False])
@pytest.mark.parametrize("status", BookingStatus)
def test_money_that_comes_in_seats_its_buyer_or_goes_back(status: BookingStatus, *, claimable: bool) -> None:
    assert on_success(status, seats_claimable=claimable) is ON_SUCCESS[status, claimable]


@given(STATUSES)
def test_nobody_is_confirmed_without_seats(status: BookingStatus) -> None:
    assert on_success(status, seats_claimable=False) is not AfterSuccess.CONFIRM


@given(st.sampled_from([BookingStatus.CANCELLED, BookingStatus.CONFIRMED, BookingStatus.REFUNDED]), st.booleans())
def test_money_for_what_was_cancelled_or_paid_always_goes_back(status: BookingStatus, claimable: bool) -> None:  # noqa: FBT001  (Hypothesis gives it)
    assert on_success(status, seats_claimable=claimable) is not AfterSuccess.CONFIRM


@given(STATUSES, TIMES, TIMES)
def test_only_an_unpaid_booking_runs_out_and_to_the_instant(
    status: BookingStatus, expires_at: datetime, now: datetime
) -> None:
    shown = status_at(status, expires_at, now)

    if status is BookingStatus.PENDING and now >= expires_at:
        assert shown is BookingStatus.EXPIRED
    else:
        assert shown is status
    assert status_at(shown, expires_at, now) is shown


@given(STATUSES, TIMES)
def test_the_last_microsecond_still_counts(status: BookingStatus, expires_at: datetime) -> None:
    assert status_at(status, expires_at, expires_at - timedelta(microseconds=1)) is status
    assert status_at(BookingStatus.PENDING, expires_at, expires_at) is BookingStatus.EXPIRED


@given(TIMES, st.lists(WAITS, max_size=8))
def test_failed_payments_extend_the_time_by_five_minutes_and_at_most_twice(
    expires_at: datetime, waits: list[timedelta]
) -> None:
    first, now, extensions = expires_at, expires_at - timedelta(minutes=15), 0
    for wait in waits:
        now += wait
        following = expiry_after_failure(expires_at, extensions, now)
        if following is None:
            assert extensions == EXTENSIONS_MAX or expires_at <= now
            continue
        assert following - expires_at == timedelta(minutes=5)
        expires_at, extensions = following, extensions + 1

    assert extensions <= 2
    assert expires_at - first == extensions * EXTENSION


@given(TIMES, st.integers(0, 5), st.timedeltas(timedelta(0), timedelta(days=1)))
def test_what_has_run_out_is_never_brought_back_by_a_failed_payment(
    expires_at: datetime, extensions: int, late: timedelta
) -> None:
    assert expiry_after_failure(expires_at, extensions, expires_at + late) is None
