"""The sheet of tickets: one page, right on A4 and on Letter, and a scanner reads every ticket off it."""

import pytest
from paper import KEYS, Sheet, some_tickets

from boxoffice.languages import ENGLISH, HINDI
from boxoffice.tickets.pdf import TICKETS_MAX, tickets_pdf

A4 = (210.0, 297.0)
LETTER = (215.9, 279.4)
UNPRINTABLE_MM = 6.35
"""A quarter of an inch: the widest margin that common printers leave blank."""
LONG = "The Assassination of Jesse James by the Coward Robert Ford, and Another Title after That One"


@pytest.mark.parametrize("count", [1, 2, 5, 6, 9, TICKETS_MAX])
def test_every_ticket_is_read_off_one_page(count: int) -> None:
    tickets = some_tickets(count)
    sheet = Sheet(tickets_pdf(tickets, ENGLISH))

    assert sheet.pages == 1
    scanned = sheet.scanned()
    assert sorted(scanned) == sorted(ticket.code for ticket in tickets.tickets)
    assert {KEYS.verify(code).position for code in scanned} == set(range(1, count + 1))


@pytest.mark.parametrize("count", [1, 5, 6, 10])
@pytest.mark.parametrize("title", ["Up", LONG])
def test_nothing_is_lost_at_the_edges_of_either_paper(count: int, title: str) -> None:
    sheet = Sheet(tickets_pdf(some_tickets(count, title=title), ENGLISH))
    left, top, right, bottom = sheet.printed_mm()

    for width, height in (A4, LETTER):
        assert sheet.size_mm[0] <= width
        assert sheet.size_mm[1] <= height
        # A printer centres a smaller page, or puts it into the corner that it begins with.
        assert min(left, top) >= UNPRINTABLE_MM
        assert right <= width - UNPRINTABLE_MM
        assert bottom <= height - UNPRINTABLE_MM


def test_it_says_what_a_person_needs() -> None:
    text = Sheet(tickets_pdf(some_tickets(2), ENGLISH)).text

    for told in (
        "Sholay",
        "Regal",
        "Mumbai",
        "Screen 1",
        "Saturday 5 December 2026",
        "Row",
        "Seat",
        "H1 and H2",
        "Premium",
    ):
        assert told in text
    # In the theatre's time, with its zone; the show is at 14:00 UTC.
    assert "7:30 pm IST" in text.replace("\u00a0", " ")
    assert "₹901" in text


def test_it_is_written_in_hindi() -> None:
    text = Sheet(tickets_pdf(some_tickets(3, title="दिलवाले दुल्हनिया", row="क"), HINDI)).text

    # A sign of several letters is one letter and fillers to those who read the file.
    letters = "".join(letter for letter in text.replace("\u00a0", " ") if letter.isprintable())
    assert "शनिवार 5 दिसंबर 2026" in letters
    assert "₹1,351.50" in letters
    assert "क1, क2, और क3" in letters


@pytest.mark.parametrize(
    "title",
    [
        "",
        " ",
        "x" * 200,
        "अ" * 200,
        LONG * 2,
        "தமிழ் படம்",
        "🎬",
        "A\u202eB",
        "Tom & <b>Jerry</b>",
        "(\\) %s {nb}",
        "a\u0301",
    ],
)
def test_any_title_is_printed_somehow(title: str) -> None:
    tickets = some_tickets(10, title=title, theatre=title, screen=title, city=title, row="WWWW")
    sheet = Sheet(tickets_pdf(tickets, ENGLISH))

    assert sheet.pages == 1
    assert sorted(sheet.scanned()) == sorted(ticket.code for ticket in tickets.tickets)
    assert sheet.printed_mm()[2] <= A4[0] - UNPRINTABLE_MM
