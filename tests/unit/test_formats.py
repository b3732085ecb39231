"""Money, times and lengths are written as people of each language write them."""

from datetime import UTC, date, datetime

import pytest

from boxoffice.formats import Formats
from boxoffice.languages import ENGLISH, HINDI, choose_language

IN_ENGLISH = Formats(ENGLISH)
IN_HINDI = Formats(HINDI)
EVENING = datetime(2026, 1, 31, 14, 0, tzinfo=UTC)
NARROW = "\u202f"


def plain(text: str) -> str:
    """With ordinary spaces."""
    return text.replace(NARROW, " ").replace("\xa0", " ")


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (25_000, "INR", "₹250"),
        (125_050, "INR", "₹1,250.50"),
        (12_500_000, "INR", "₹1,25,000"),
        (0, "INR", "₹0"),
        (-25_000, "INR", "-₹250"),
        (1_200, "JPY", "JP¥1,200"),
        (1_250, "KWD", "KWD 1.250"),
        (1_999, "USD", "$19.99"),
    ],
)
def test_money_has_the_decimals_of_its_currency(amount: int, currency: str, written: str) -> None:
    assert plain(IN_ENGLISH.money(amount, currency)).replace("KWD1", "KWD 1") == written


def test_money_in_hindi() -> None:
    assert IN_HINDI.money(12_500_050, "INR") == "₹1,25,000.50"


def test_times_are_those_of_the_theatre() -> None:
    assert plain(IN_ENGLISH.local_time(EVENING, "Asia/Kolkata")) == "7:30 pm"
    assert plain(IN_ENGLISH.local_time(EVENING, "Europe/London")) == "2:00 pm"
    assert plain(IN_ENGLISH.local_date_time(EVENING, "Asia/Kolkata")) == "Saturday 31 January 2026, 7:30 pm IST"
    assert plain(IN_HINDI.local_date_time(EVENING, "Asia/Kolkata")) == "शनिवार 31 जनवरी 2026, 7:30 pm IST"


def test_a_zone_without_a_name_is_told_by_its_distance() -> None:
    assert IN_ENGLISH.zone_name(EVENING, "Asia/Dubai") == "GMT+04:00"


@pytest.mark.parametrize(
    ("zone", "now", "said"),
    [
        ("Asia/Kolkata", datetime(2026, 1, 30, 18, 29, tzinfo=UTC), "Tomorrow"),
        ("Asia/Kolkata", datetime(2026, 1, 30, 18, 31, tzinfo=UTC), "Today"),
        ("Asia/Kolkata", datetime(2026, 1, 29, 12, 0, tzinfo=UTC), "Sat 31 Jan"),
        ("America/Los_Angeles", datetime(2026, 1, 31, 7, 59, tzinfo=UTC), "Tomorrow"),
    ],
)
def test_today_is_by_the_clock_of_the_theatre(zone: str, now: datetime, said: str) -> None:
    assert IN_ENGLISH.local_day(EVENING, zone, now) == said


def test_days_and_lengths_in_both_languages() -> None:
    assert [IN_ENGLISH.duration(minutes) for minutes in (45, 120, 144)] == ["45 min", "2 h", "2 h 24 min"]
    assert [IN_HINDI.duration(minutes) for minutes in (45, 120, 144)] == ["45 मिनट", "2 घंटे", "2 घं 24 मि"]
    assert IN_HINDI.day(date(2026, 2, 1), date(2026, 1, 31)) == "कल"
    assert IN_ENGLISH.items(["A4", "A5", "A6"]) == "A4, A5 and A6"


@pytest.mark.parametrize(
    ("chosen", "accepted", "code"),
    [
        (None, "hi-IN,hi;q=0.9,en;q=0.8", "hi"),
        (None, "en;q=0.5, hi;q=0.9", "hi"),
        (None, "fr, de;q=0.9", "en"),
        (None, "", "en"),
        (None, "hi;q=0", "en"),
        (None, ";;q=,hi;q=x,,", "en"),
        ("en", "hi", "en"),
        ("xx", "hi", "hi"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_first_that_the_browser_asks_for(
    chosen: str | None, accepted: str, code: str
) -> None:
    assert choose_language(chosen, accepted).code == code
