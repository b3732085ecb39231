"""A hall as SVG: seats where they stand, rows by their letters, the screen at the top.

Drawn once a screen. What differs from moment to moment (whose seat, at what price, free or not) fills gaps between
ready pieces, so that a page with a thousand seats costs about a millisecond. Tiers differ in shape as well as in
colour, kinds by a sign, so that nothing is told by colour alone.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final, NamedTuple
from uuid import UUID

from boxoffice.catalog.layouts import ScreenLayout

SEAT_WIDTH: Final = 10.0
"""Units of the drawing from one seat to the next; `static/js/seat_map` counts on it."""
ROW_PITCH: Final = 11.0
MARGIN: Final = 24.0
"""Units beside the outermost seats: room for the row letters."""
SCREEN_ABOVE: Final = 30.0
"""Units from the screen to the seat that is nearest to it."""
DRAWN_SEATS_MAX: Final = 100_000
"""Seats of all drawings that are kept, at about a third of a kilobyte each; those least looked at go first."""

# Outlines around the middle of a seat, which is 8 units wide: where they begin, and how they go on.
_SHAPES: Final[Mapping[str, tuple[float, float, str]]] = {
    "REGULAR": (-4, -2, "a2 2 0 0 1 2-2h4a2 2 0 0 1 2 2v4a2 2 0 0 1-2 2h-4a2 2 0 0 1-2-2z"),
    "PREMIUM": (-4.3, 0, "a4.3 4.3 0 1 1 8.6 0a4.3 4.3 0 1 1-8.6 0z"),
    "VIP": (0, -4.9, "l4.3 2.45v4.9l-4.3 2.45l-4.3-2.45v-4.9z"),
}
_SIGNS: Final = frozenset({"wheelchair", "companion"})


class SeatNow(NamedTuple):
    """What a drawing does not know of a seat: whose it is, its price if not its tier's, and its state."""

    id: UUID
    own_price: int | None
    state: str


class ListedSeat(NamedTuple):
    """A seat in a list."""

    id: UUID
    number: int
    kind: str
    state: str


class ListedRow(NamedTuple):
    """Seats of a row that are of one tier and cost the same; ``own_price`` if not what their tier costs."""

    label: str
    tier: str
    own_price: int | None
    seats: list[ListedSeat]


class _Piece(NamedTuple):
    """A seat's markup but for its gaps."""

    opening: str
    """What precedes it, such as the beginning of its row."""
    rest: str


class HallDrawing:
    """One screen, ready to be filled in."""

    def __init__(self, layout: ScreenLayout) -> None:
        seats = [(line.row, seat) for line in layout.layout for seat in line.seats]
        points = [(seat.x * SEAT_WIDTH, seat.y * ROW_PITCH) for _, seat in seats]
        left, right = min(x for x, _ in points) - MARGIN, max(x for x, _ in points) + MARGIN
        nearest, farthest = min(y for _, y in points), max(y for _, y in points)
        top = nearest - SCREEN_ABOVE - 14
        self.seats_total: Final = len(seats)
        self.tiers: Final = [seat.tier for _, seat in seats]
        """Of each seat, in the order of every listing."""
        self.names: Final = [f"{row}{seat.number}" for row, seat in seats]
        """As people call them: F7."""
        self._places: Final = [(row, seat.number, seat.tier, seat.kind) for row, seat in seats]
        self.width: Final = right - left
        self.height: Final = farthest + 12 - top
        self.view_box: Final = " ".join(map(_number, (left, top, self.width, self.height)))
        self.screen: Final = _Screen((left + right) / 2, nearest - SCREEN_ABOVE, self.width)
        self._pieces: Final = _pieces(layout)
        self.letters: Final = "".join(_letters(layout))
        self.signs: Final = "".join(
            f'<use href="#{seat.kind}" x="{_number(x)}" y="{_number(y)}"/>'
            for (_, seat), (x, y) in zip(seats, points, strict=True)
            if seat.kind in _SIGNS
        )

    def seats(self, now: Sequence[SeatNow]) -> str:
        """All seats as markup, a group for each row; ``now`` has them in the order of every listing."""
        parts: list[str] = []
        for (opening, rest), (seat_id, own_price, state) in zip(self._pieces, now, strict=True):
            price = "" if own_price is None else f'" data-price="{own_price}'
            parts += (opening, '<path data-id="', str(seat_id), price, '" data-is="', state, rest)
        return f"{''.join(parts)}</g>"

    def rows(self, now: Sequence[SeatNow]) -> list[ListedRow]:
        """All seats as a list; ``now`` has them in the order of every listing."""
        rows: list[ListedRow] = []
        for (label, number, tier, kind), seat in zip(self._places, now, strict=True):
            if not rows or (rows[-1].label, rows[-1].tier, rows[-1].own_price) != (label, tier, seat.own_price):
                rows.append(ListedRow(label, tier, seat.own_price, []))
            rows[-1].seats.append(ListedSeat(seat.id, number, kind, seat.state))
        return rows


class _Screen:
    """The screen's line and the light that falls from it."""

    def __init__(self, middle: float, y: float, hall_width: float) -> None:
        half = max(min(hall_width * 0.36, 160), 34)
        self.x: Final = _number(middle)
        self.text_y: Final = _number(y + 1)
        bow = half / 12
        line = f"M{_number(middle - half)} {_number(y)}Q{_number(middle)} {_number(y - bow * 2)} "
        self.line: Final = f"{line}{_number(middle + half)} {_number(y)}"
        spread = half * 1.12
        self.light: Final = f"{self.line}L{_number(middle + spread)} {_number(y + 26)}H{_number(middle - spread)}Z"


class HallDrawings:
    """The drawings of this process. The seats of a screen that has shows never change: none goes stale."""

    def __init__(self, *, seats_max: int = DRAWN_SEATS_MAX) -> None:
        self._seats_max = seats_max
        self._kept: OrderedDict[UUID, HallDrawing] = OrderedDict()

    def find(self, screen_id: UUID) -> HallDrawing | None:
        """The drawing of a screen, if it is at hand."""
        found = self._kept.get(screen_id)
        if found is not None:
            self._kept.move_to_end(screen_id)
        return found

    def add(self, layout: ScreenLayout) -> HallDrawing:
        """Draw a screen, and keep that."""
        drawing = self._kept[layout.screen_id] = HallDrawing(layout)
        self._kept.move_to_end(layout.screen_id)
        while len(self._kept) > 1 and sum(kept.seats_total for kept in self._kept.values()) > self._seats_max:
            self._kept.popitem(last=False)
        return drawing


def _pieces(layout: ScreenLayout) -> list[_Piece]:
    pieces: list[_Piece] = []
    for line in layout.layout:
        ending = "</g>" if pieces else ""
        opening = f'{ending}<g data-row="{escape(line.row)}">'
        for seat in line.seats:
            dx, dy, outline = _SHAPES[seat.tier]
            start = f"M{_number(seat.x * SEAT_WIDTH + dx)} {_number(seat.y * ROW_PITCH + dy)}"
            kind = f' data-kind="{seat.kind}"' if seat.kind in _SIGNS else ""
            rest = f'" data-n="{seat.number}" class="{seat.tier.lower()}"{kind} d="{start}{outline}"/>'
            pieces.append(_Piece(opening, rest))
            opening = ""
    return pieces


def _letters(layout: ScreenLayout) -> list[str]:
    """Each row's letter at both of its ends."""
    letters: list[str] = []
    for line in layout.layout:
        first, last = min(line.seats, key=lambda seat: seat.x), max(line.seats, key=lambda seat: seat.x)
        for seat, away in ((first, -SEAT_WIDTH), (last, SEAT_WIDTH)):
            x, y = _number(seat.x * SEAT_WIDTH + away), _number(seat.y * ROW_PITCH)
            letters.append(f'<text x="{x}" y="{y}">{escape(line.row)}</text>')
    return letters


def _number(value: float) -> str:
    """A coordinate, to a tenth of a unit: a hundredth of a seat."""
    return f"{value:.1f}".removesuffix(".0")
