"""Tickets without a database, and what one sees of a sheet: its words, its edges, the symbols that a scanner reads."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pypdfium2
import zxingcpp
from icalendar import Calendar
from PIL import Image, ImageChops

from boxoffice.bookings.reading import BookedMovie, BookedTheatre, Named
from boxoffice.tickets.codes import TicketedSeat, TicketKeys
from boxoffice.tickets.issue import SeatOnTicket, ShowOnTicket, Ticket, Tickets
from boxoffice.tickets.qr import qr_svg

KEYS = TicketKeys(["the secret of these tests"])
PIXELS_A_MM = 4
POINTS_A_MM = 72 / 25.4
SCALE: Any = PIXELS_A_MM / POINTS_A_MM
"""The library takes fractions, and declares whole numbers."""


def some_tickets(
    count: int = 2,
    *,
    title: str = "Sholay",
    theatre: str = "Regal",
    city: str = "Mumbai",
    screen: str = "Screen 1",
    row: str = "H",
) -> Tickets:
    show_id, booking_id = uuid4(), uuid4()
    return Tickets(
        booking_id=booking_id,
        currency="INR",
        show=ShowOnTicket(
            id=show_id,
            movie=BookedMovie(id=uuid4(), title=title),
            theatre=BookedTheatre(id=uuid4(), name=theatre, city=city, timezone="Asia/Kolkata"),
            screen=Named(id=uuid4(), name=screen),
            start_time=datetime(2026, 12, 5, 14, 0, tzinfo=UTC),
            end_time=datetime(2026, 12, 5, 17, 24, tzinfo=UTC),
            language="Hindi",
            format="IMAX",
        ),
        tickets=[_ticket(show_id, booking_id, row, number) for number in range(1, count + 1)],
    )


def _ticket(show_id: UUID, booking_id: UUID, row: str, number: int) -> Ticket:
    code = KEYS.sign(TicketedSeat(show_id=show_id, booking_id=booking_id, position=number))
    seat = SeatOnTicket(id=uuid4(), row=row, number=number, tier="PREMIUM", price=45_050)
    return Ticket(seat=seat, code=code, qr_svg=qr_svg(code, str(number)), admitted_at=None)


def events_of(calendar: bytes) -> list[Any]:
    """The events of an iCalendar file, parsed as a calendar does."""
    return Calendar.from_ical(calendar).walk("VEVENT")


class Sheet:
    """A PDF as a printer sees it."""

    def __init__(self, pdf: bytes) -> None:
        document = pypdfium2.PdfDocument(pdf)
        self.pages = len(document)
        page = document[0]
        width, height = page.get_size()
        self.size_mm = (round(width / POINTS_A_MM, 1), round(height / POINTS_A_MM, 1))
        self.text = page.get_textpage().get_text_bounded()
        self.picture: Image.Image = page.render(scale=SCALE).to_pil().convert("L")
        document.close()

    def scanned(self) -> list[str]:
        """What a scanner reads off it."""
        return [found.text for found in zxingcpp.read_barcodes(self.picture)]

    def printed_mm(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of all that is printed."""
        white = Image.new("L", self.picture.size, 255)
        box = ImageChops.difference(self.picture, white).getbbox()
        assert box is not None
        left, top, right, bottom = (edge / PIXELS_A_MM for edge in box)
        return left, top, right, bottom
