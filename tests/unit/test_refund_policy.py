"""What comes back of a price: by the time left, in whole minor units, the same in one go or seat by seat."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.bookings.refund_policy import RefundPolicy
from boxoffice.money import PRICE_MAX, share

BEGINS = datetime(2026, 1, 31, 18, 0, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
POLICY = RefundPolicy()
PRICES = st.lists(st.integers(0, PRICE_MAX), max_size=10)
PERCENTAGES = st.integers(0, 100)
SPANS = st.timedeltas(timedelta(days=-30), timedelta(days=365))


@pytest.mark.parametrize(
    ("left", "percentage"),
    [
        (timedelta(days=365), 100),
        (timedelta(hours=24), 100),
        (timedelta(hours=24) - INSTANT, 50),
        (timedelta(hours=2), 50),
        (timedelta(hours=2) - INSTANT, 0),
        (timedelta(0), 0),
        (timedelta(hours=-1), 0),
    ],
)
def test_all_until_a_day_before_half_until_two_hours_before_then_nothing(left: timedelta, percentage: int) -> None:
    assert POLICY.percentage(BEGINS, BEGINS - left) == percentage


@given(SPANS, SPANS)
def test_whoever_asks_later_never_gets_more(one: timedelta, other: timedelta) -> None:
    early, late = max(one, other), min(one, other)

    assert POLICY.percentage(BEGINS, BEGINS - early) >= POLICY.percentage(BEGINS, BEGINS - late)


@given(st.timedeltas(timedelta(0), timedelta(days=365)), st.timedeltas(timedelta(0), timedelta(days=365)))
def test_a_policy_keeps_to_the_hours_that_it_is_given(one: timedelta, other: timedelta) -> None:
    full, half = max(one, other), min(one, other)
    policy = RefundPolicy(full_before=full, half_before=half)

    assert policy.percentage(BEGINS, BEGINS - full) == 100
    assert policy.percentage(BEGINS, BEGINS - half) == (100 if full == half else 50)
    assert policy.percentage(BEGINS, BEGINS - half + INSTANT) == 0


@given(PRICES, PERCENTAGES)
def test_no_more_comes_back_than_was_paid(prices: list[int], percentage: int) -> None:
    amounts = POLICY.amounts(prices, percentage)

    assert len(amounts) == len(prices)
    assert all(0 <= amount <= price for amount, price in zip(amounts, prices, strict=True))
    assert sum(amounts) <= sum(prices)


@given(PRICES)
def test_all_and_nothing_are_exact(prices: list[int]) -> None:
    assert POLICY.amounts(prices, 100) == prices
    assert POLICY.amounts(prices, 0) == [0] * len(prices)


@given(PRICES, PERCENTAGES, st.integers(0, 10))
def test_the_parts_of_a_booking_come_to_what_the_whole_would(prices: list[int], percentage: int, cut: int) -> None:
    parts = POLICY.amounts(prices[:cut], percentage) + POLICY.amounts(prices[cut:], percentage)

    assert sum(parts) == sum(POLICY.amounts(prices, percentage))


@given(st.integers(0, 10 * PRICE_MAX), PERCENTAGES)
def test_a_share_is_the_nearest_minor_unit_and_halves_are_the_customers(amount: int, percentage: int) -> None:
    exact_hundredths = amount * percentage

    assert -50 < 100 * share(amount, percentage) - exact_hundredths <= 50


@given(st.integers(0, PRICE_MAX), st.integers(0, 99))
def test_a_greater_percentage_is_no_smaller_share(amount: int, percentage: int) -> None:
    assert share(amount, percentage) <= share(amount, percentage + 1)


@pytest.mark.parametrize(("amount", "percentage"), [(-1, 50), (100, -1), (100, 101)])
def test_no_share_of_less_than_nothing_or_more_than_all(amount: int, percentage: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        share(amount, percentage)
