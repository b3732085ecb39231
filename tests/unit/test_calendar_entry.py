"""The entry for a calendar: one event at the show's time, parsed back as a calendar does."""

from datetime import UTC, datetime, timedelta

import pytest
from icalendar import Calendar
from paper import events_of, some_tickets

from boxoffice.languages import ENGLISH, HINDI
from boxoffice.tickets.calendar_entry import calendar_entry
from boxoffice.tickets.issue import Tickets

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def written(tickets: Tickets, *, hindi: bool = False) -> bytes:
    return calendar_entry(tickets, HINDI if hindi else ENGLISH, base_url="https://box.example", now=NOW)


def test_it_is_one_event_at_the_time_of_the_show() -> None:
    tickets = some_tickets(2)
    calendar = Calendar.from_ical(written(tickets))
    (event,) = events_of(written(tickets))

    assert calendar["VERSION"] == "2.0"
    assert calendar["PRODID"]
    assert tickets.show.start_time == event.DTSTART
    assert timedelta(hours=3, minutes=24) == event.DTEND - event.DTSTART
    assert event["SUMMARY"] == "Sholay"
    assert event["LOCATION"] == "Regal, Screen 1, Mumbai"
    assert event["DESCRIPTION"] == "Seats: H1, H2"
    assert event["URL"] == f"https://box.example/bookings/{tickets.booking_id}"
    assert event["UID"] == str(tickets.booking_id)
    assert not calendar.walk("VALARM")
    assert b"DTSTART:20261205T140000Z\r\n" in written(tickets)


def test_taken_again_it_is_the_same_event() -> None:
    tickets = some_tickets(1)
    again = calendar_entry(tickets, ENGLISH, base_url="https://box.example", now=NOW + timedelta(days=1))
    (first,), (second,) = events_of(written(tickets)), events_of(again)

    assert first["UID"] == second["UID"]
    assert first.DTSTAMP < second.DTSTAMP


@pytest.mark.parametrize(
    "title",
    [
        "a, b; c\\d",
        "line\r\nATTENDEE:mailto:x@y.example",
        "क" * 200,
        "BEGIN:VEVENT",
        'quote "this"',
        "\n\nEND:VCALENDAR",
    ],
)
def test_no_title_breaks_out_of_its_line(title: str) -> None:
    entry = written(some_tickets(1, title=title), hindi=True)
    (event,) = events_of(entry)

    assert event["SUMMARY"].replace("\r\n", "\n") == title.replace("\r\n", "\n")
    assert "ATTENDEE" not in event
    assert all(len(line) <= 75 for line in entry.split(b"\r\n"))
