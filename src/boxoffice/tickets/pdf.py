"""The tickets of a booking on one sheet of paper, for scissors or for folding.

The page is as wide as A4 and as high as Letter, the part that both have in common: it prints in its
true size on either, within the margins of any printer. Ten tickets fit on it.
"""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from fpdf import FPDF
from fpdf.enums import Align

from boxoffice.formats import Formats, formats_in
from boxoffice.languages import Language, texts_in
from boxoffice.tickets.issue import Ticket, Tickets
from boxoffice.tickets.qr import QUIET_ZONE, qr_rows
from boxoffice.tickets.wording import seat_names, tier_name

# All lengths are in millimetres.
PAGE_WIDTH: Final = 210.0
PAGE_HEIGHT: Final = 279.4
MARGIN: Final = 12.0
INNER_WIDTH: Final = PAGE_WIDTH - 2 * MARGIN
TICKETS_MAX: Final = 10
"""As many seats as a booking can have."""
ONE_COLUMN_MAX: Final = 5
"""Up to so many tickets stand one below the other."""
GUTTER: Final = 3.0
TICKET_HEIGHT_MAX: Final = 48.0
FOOT_HEIGHT: Final = 24.5
QR_MARGIN: Final = 3.5
"""Between the symbol's quiet zone and the edges. Of ten tickets each has 0.56 mm a module: any scanner reads it."""
NOTCH_RADIUS: Final = 2.0
CORNER_RADIUS: Final = 3.0
FACT_WIDTHS: Final = (0.34, 0.18, 0.24, 0.24)
"""Of date, time, screen and language, as shares of a line."""
MM_A_POINT: Final = 0.352_778

Colour = tuple[int, int, int]
INK: Final[Colour] = (27, 23, 38)
QUIET: Final[Colour] = (101, 94, 115)
LINE: Final[Colour] = (188, 182, 200)
ACCENT: Final[Colour] = (140, 22, 60)
PAPER: Final[Colour] = (255, 255, 255)
TINT: Final[Colour] = (250, 246, 248)

_FONTS: Final = Path(__file__).parent / "fonts"
_FAMILY: Final = "Mukta"
_Weight = Literal["", "B"]


def tickets_pdf(tickets: Tickets, language: Language) -> bytes:
    """The sheet as PDF, in a language."""
    return _Sheet(tickets, language).draw()


class _Sheet:
    def __init__(self, tickets: Tickets, language: Language) -> None:
        self._pdf = FPDF(unit="mm", format=(PAGE_WIDTH, PAGE_HEIGHT))
        self._tickets = tickets
        self._formats: Formats = formats_in(language)
        self._texts = texts_in(language)
        self._height = TICKET_HEIGHT_MAX
        self._pdf.set_margin(0)
        self._pdf.c_margin = 0
        self._pdf.set_auto_page_break(auto=False)
        self._pdf.add_font(_FAMILY, "", _FONTS / "Mukta-Regular.ttf")
        self._pdf.add_font(_FAMILY, "B", _FONTS / "Mukta-Bold.ttf")
        self._pdf.set_text_shaping(use_shaping_engine=True)
        self._pdf.set_lang(f"{language.code}-{language.region}")
        self._pdf.set_title(tickets.show.movie.title)
        self._pdf.set_creator("Box office")

    def draw(self) -> bytes:
        self._pdf.add_page()
        top = self._head()
        count = len(self._tickets.tickets)
        columns = 2 if self._narrow else 1
        rows = -(-count // columns)
        width = (INNER_WIDTH - (columns - 1) * GUTTER) / columns
        self._height = min(TICKET_HEIGHT_MAX, (PAGE_HEIGHT - FOOT_HEIGHT - top - (rows - 1) * GUTTER) / rows)
        if columns > 1:
            self._height = min(self._height, width * 0.42)
        for index, ticket in enumerate(self._tickets.tickets):
            down, across = divmod(index, columns)
            x, y = MARGIN + across * (width + GUTTER), top + down * (self._height + GUTTER)
            self._ticket(ticket, x, y, width)
        self._foot()
        return bytes(self._pdf.output())

    def _head(self) -> float:
        """The film, and when and where it is; returns where the tickets begin."""
        show = self._tickets.show
        zone = show.theatre.timezone
        where = self._fit(f"{show.theatre.name} · {show.theatre.city}", 10.5, "B", INNER_WIDTH)
        self._write(MARGIN, 17, where, 10.5, colour=ACCENT, weight="B")
        size, lines = self._title_lines(show.movie.title, INNER_WIDTH)
        y = 19.0
        for line in lines:
            y += size * MM_A_POINT * 1.12
            self._write(MARGIN, y, line, size, weight="B")
        facts = [
            (self._texts.gettext("Date"), self._formats.local_date_in_full(show.start_time, zone)),
            (
                self._texts.gettext("Time"),
                f"{self._formats.local_time(show.start_time, zone)} {self._formats.zone_name(show.start_time, zone)}",
            ),
            (self._texts.gettext("Screen"), show.screen.name),
            (self._texts.gettext("Language"), f"{show.language} · {show.format}"),
        ]
        y += 8
        self._facts(facts, MARGIN, y, INNER_WIDTH)
        y += 11
        self._pdf.set_draw_color(*LINE)
        self._pdf.set_line_width(0.2)
        self._pdf.line(MARGIN, y, PAGE_WIDTH - MARGIN, y)
        return y + 5

    def _facts(self, facts: list[tuple[str, str]], x: float, y: float, width: float) -> None:
        left = x
        for (name, value), share in zip(facts, FACT_WIDTHS, strict=True):
            self._write(left, y, name, 8, colour=QUIET)
            self._write(left, y + 5.6, self._fit(value, 12, "B", width * share - 3), 12, weight="B")
            left += width * share

    def _ticket(self, ticket: Ticket, x: float, y: float, width: float) -> None:
        """One strip: what a person reads on the left, what a scanner reads right of the perforation."""
        self._outline(x, y, width)
        height = self._height
        main = width - self._stub
        seat = ticket.seat
        self._qr(ticket.code, x + main + QR_MARGIN, y + 1.5)
        name = f"{seat.row}{seat.number}"
        self._write(x + main, y + height - 2.0, name, 9, weight="B", width=self._stub, align=Align.C)
        if self._narrow:
            self._seat(ticket, x + 4.5, y + height * 0.48, main - 9, 30)
            self._what(ticket, x + 4.5, y + height * 0.66, main - 9, 8.5)
        else:
            self._seat(ticket, x + main - 56, y + height / 2 + 6.5, 52, 42)
            self._what(ticket, x + 6, y + height / 2 - 5.5, main - 68, 15)

    @property
    def _narrow(self) -> bool:
        """Whether tickets stand in two columns."""
        return len(self._tickets.tickets) > ONE_COLUMN_MAX

    @property
    def _stub(self) -> float:
        """The width of a ticket's part right of the perforation."""
        return self._height

    @property
    def _qr_size(self) -> float:
        """The side of a symbol with its quiet zone."""
        return self._height - 2 * QR_MARGIN

    def _seat(self, ticket: Ticket, x: float, y: float, width: float, size: float) -> None:
        """Row and seat, as big as a usher in the dark wants them; their baseline is at ``y``."""
        seat = ticket.seat
        half = width / 2
        for index, (name, value) in enumerate(
            [(self._texts.gettext("Row"), seat.row), (self._texts.gettext("Seat"), str(seat.number))]
        ):
            left = x + index * half
            self._write(left, y - size * MM_A_POINT * 0.78 - 2.6, name, 8, colour=QUIET)
            self._write(left, y, value, self._shrunk(value, size, "B", half - 2), weight="B", colour=ACCENT)

    def _what(self, ticket: Ticket, x: float, y: float, width: float, size: float) -> None:
        """Film, theatre and time, one below the other, the film in ``size`` points."""
        show = self._tickets.show
        zone = show.theatre.timezone
        tier = tier_name(self._texts, ticket.seat.tier)
        when = (
            f"{self._formats.local_date(show.start_time, zone)} · "
            f"{self._formats.local_time(show.start_time, zone)} {self._formats.zone_name(show.start_time, zone)}"
        )
        small = max(7.0, size * 0.68)
        step = small * MM_A_POINT * 1.42
        self._write(x, y, self._fit(show.movie.title, size, "B", width), size, weight="B")
        y += step * 1.15
        self._write(x, y, self._fit(f"{show.theatre.name}, {show.screen.name}", small, "", width), small, colour=QUIET)
        y += step
        self._write(x, y, self._fit(when, small, "", width), small)
        if not self._narrow:
            y += step
            self._write(x, y, self._fit(tier, small, "", width), small, colour=QUIET)

    def _outline(self, x: float, y: float, width: float) -> None:
        """A card with notches at the ends of its perforation."""
        self._pdf.set_draw_color(*LINE)
        self._pdf.set_fill_color(*TINT)
        self._pdf.set_line_width(0.25)
        self._pdf.rect(x, y, width, self._height, style="DF", round_corners=True, corner_radius=CORNER_RADIUS)
        tear = x + width - self._stub
        self._pdf.set_fill_color(*PAPER)
        for edge in (y, y + self._height):
            self._pdf.circle(tear, edge, NOTCH_RADIUS, style="DF")
            # The half outside the card is wiped away again.
            outside = edge - NOTCH_RADIUS - 0.4 if edge == y else edge + 0.13
            self._pdf.rect(tear - NOTCH_RADIUS - 0.4, outside, 2 * NOTCH_RADIUS + 0.8, NOTCH_RADIUS + 0.27, style="F")
        self._pdf.set_dash_pattern(dash=1.1, gap=1.1)
        self._pdf.line(tear, y + NOTCH_RADIUS + 0.8, tear, y + self._height - NOTCH_RADIUS - 0.8)
        self._pdf.set_dash_pattern()

    def _qr(self, code: str, x: float, y: float) -> None:
        """The symbol in its quiet zone, with runs of dark modules as single bars, so that no hairline shows between."""
        rows = qr_rows(code)
        module = self._qr_size / (len(rows) + 2 * QUIET_ZONE)
        self._pdf.set_fill_color(*PAPER)
        self._pdf.rect(x, y, self._qr_size, self._qr_size, style="F", round_corners=True, corner_radius=1.5)
        self._pdf.set_fill_color(0, 0, 0)
        for down, line in enumerate(rows):
            for start, length in _runs(line):
                self._pdf.rect(
                    x + (QUIET_ZONE + start) * module, y + (QUIET_ZONE + down) * module, length * module, module, "F"
                )

    def _foot(self) -> None:
        found = self._tickets
        total = sum(ticket.seat.price for ticket in found.tickets)
        y = PAGE_HEIGHT - 16.5
        self._pdf.set_draw_color(*LINE)
        self._pdf.set_line_width(0.2)
        self._pdf.line(MARGIN, y - 5, PAGE_WIDTH - MARGIN, y - 5)
        advice = self._texts.gettext(
            "Each code lets one person in, once. Keep it to yourself until you are at the door."
        )
        booking = self._texts.gettext("Booking %(id)s") % {"id": found.booking_id}
        seats = self._formats.items(seat_names(found))
        paid = self._texts.gettext("%(seats)s for %(amount)s") % {
            "seats": seats,
            "amount": self._formats.money(total, found.currency),
        }
        self._write(MARGIN, y, self._fit(advice, 9, "", INNER_WIDTH), 9)
        self._write(MARGIN, y + 5, self._fit(f"{booking} · {paid}", 8.5, "", INNER_WIDTH), 8.5, colour=QUIET)

    def _title_lines(self, title: str, width: float) -> tuple[float, list[str]]:
        """The size in points at which a title fits on a line, or on two."""
        for size in (28.0, 24.0, 20.0):
            if self._width(title, size, "B") <= width:
                return size, [title]
        size = 17.0
        letters = max(1, int(len(title) * width / max(self._width(title, size, "B"), 1)))
        lines = textwrap.wrap(title, letters, max_lines=2, placeholder="…")
        return size, [self._fit(line, size, "B", width) for line in lines]

    def _shrunk(self, text: str, size: float, weight: _Weight, width: float) -> float:
        """The size in points, no more than ``size``, at which the text is no wider than ``width``."""
        return min(size, size * width / max(self._width(text, size, weight), 0.1))

    def _fit(self, text: str, size: float, weight: _Weight, width: float) -> str:
        """The text, with its end left out where it would be wider than ``width``."""
        if self._width(text, size, weight) <= width:
            return text
        # The longest beginning that fits lies between these two.
        fits, too_long = 0, len(text)
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if self._width(text[:middle].rstrip() + "…", size, weight) <= width:
                fits = middle
            else:
                too_long = middle
        return text[:fits].rstrip() + "…"

    def _width(self, text: str, size: float, weight: _Weight) -> float:
        self._pdf.set_font(_FAMILY, weight, size)
        return self._pdf.get_string_width(text)

    def _write(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        *,
        weight: _Weight = "",
        colour: Colour = INK,
        width: float | None = None,
        align: Align = Align.L,
    ) -> None:
        """One line of text with its baseline at ``y``."""
        # A narrow space that does not break, which Babel puts before "pm", is in few fonts.
        text = text.replace("\u202f", "\u00a0").strip()
        if not text:
            return
        self._pdf.set_font(_FAMILY, weight, size)
        self._pdf.set_text_color(*colour)
        if align is Align.C and width is not None:
            x += (width - self._pdf.get_string_width(text)) / 2
        # A cell, since only cells are shaped; it puts the baseline at four fifths of its height.
        height = size * MM_A_POINT
        self._pdf.set_xy(x, y - 0.8 * height)
        self._pdf.cell(h=height, text=text)


def _runs(line: list[bool]) -> Iterator[tuple[int, int]]:
    """Where each run of dark modules starts, and how long it is."""
    start = None
    for index, dark in enumerate([*line, False]):
        if dark and start is None:
            start = index
        elif not dark and start is not None:
            yield start, index - start
            start = None
