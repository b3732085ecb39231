"""Seat layouts: which seats a screen has, where they stand, and in which order they are listed."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.errors import MalformedError, UnknownError
from boxoffice.postgres.pool import Connection

SEATS_A_SCREEN_MAX: Final = 40_000
PROBLEMS_TOLD_MAX: Final = 20

Tier = Literal["REGULAR", "PREMIUM", "VIP"]
Kind = Literal["standard", "wheelchair", "companion"]
Place = Annotated[float, Meta(ge=0, le=10_000)]
RowLabel = Annotated[str, Meta(min_length=1, max_length=8, pattern=r"\A[^\x00-\x20\x7f]+\Z")]


class ScreenNotFoundError(UnknownError):
    """There is no such screen."""

    code = "screen_not_found"


class BadLayoutError(MalformedError):
    """The seat layout contradicts itself, or is too large."""

    code = "bad_layout"


class SeatDraft(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A seat of a row. Without ``x`` and ``y`` it stands on a grid."""

    number: Annotated[int, Meta(ge=1, le=9999)]
    tier: Tier = "REGULAR"
    kind: Kind = "standard"
    x: Place | None = None
    """Seat widths from the left-most seat; a gap is an aisle."""
    y: Place | None = None
    """Row pitches from the screen."""


class RowDraft(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A row of seats."""

    row: RowLabel
    seats: Annotated[list[SeatDraft], Meta(min_length=1, max_length=9999)]


Rows = Annotated[list[RowDraft], Meta(min_length=1, max_length=2000)]


class SeatPlace(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A seat of a screen and where it stands."""

    number: int
    tier: str
    kind: str
    x: float
    y: float


class RowLayout(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A row of a screen, by seat number."""

    row: str
    seats: list[SeatPlace]


class ScreenLayout(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All seats of a screen, row by row."""

    screen_id: UUID
    total_seats: int
    rows: list[str]
    layout: list[RowLayout]


Seat = tuple[str, int, str, str, float, float]
"""Row label, number, tier, kind, x, y."""


def in_order(rows: Sequence[RowDraft]) -> list[Seat]:
    """The seats of a layout in the order of every listing: A, B, …, Z, AA, …, then by number.

    Raises:
        BadLayoutError: a row or a number is there twice, or there are too many seats.
    """
    _refuse_contradictions(rows)
    seats: list[Seat] = [
        (
            line.row,
            seat.number,
            seat.tier,
            seat.kind,
            float(index if seat.x is None else seat.x),
            float(depth if seat.y is None else seat.y),
        )
        for depth, line in enumerate(rows)
        for index, seat in enumerate(line.seats)
    ]
    return sorted(seats, key=lambda seat: (len(seat[0]), seat[0], seat[1]))


# All seats of a screen at once; their position is their order here.
_ADD_SEATS = """
INSERT INTO screen_seat (screen_id, position, row_label, number, tier, kind, x, y)
SELECT $1, ordinality - 1, row_label, number, tier, kind, x, y
FROM unnest($2::text[], $3::smallint[], $4::text[], $5::text[], $6::real[], $7::real[])
    WITH ORDINALITY AS seat (row_label, number, tier, kind, x, y, ordinality)
"""


async def add_seats(conn: Connection, screen_id: UUID, seats: Sequence[Seat]) -> None:
    """Give a screen that has none its seats, which are `in_order`."""
    columns: list[Any] = [list(column) for column in zip(*seats, strict=True)]
    await conn.execute(_ADD_SEATS, screen_id, *columns)


# All seats of a screen in the order of every listing.
_LAYOUT = """
SELECT row_label, number, tier, kind, x, y FROM screen_seat WHERE screen_id = $1 ORDER BY position
"""


async def screen_layout(conn: Connection, screen_id: UUID) -> ScreenLayout:
    """All seats of a screen, row by row.

    Raises:
        ScreenNotFoundError: there is none.
    """
    records = await conn.fetch(_LAYOUT, screen_id)
    if not records:  # A screen has seats, by screen_has_seats.
        raise ScreenNotFoundError
    rows: dict[str, list[SeatPlace]] = {}
    for label, number, tier, kind, x, y in (record.values() for record in records):
        rows.setdefault(label, []).append(SeatPlace(number=number, tier=tier, kind=kind, x=x, y=y))
    return ScreenLayout(
        screen_id=screen_id,
        total_seats=len(records),
        rows=list(rows),
        layout=[RowLayout(row=label, seats=seats) for label, seats in rows.items()],
    )


def _refuse_contradictions(rows: Sequence[RowDraft]) -> None:
    if sum(len(line.seats) for line in rows) > SEATS_A_SCREEN_MAX:
        wanted = f"at most {SEATS_A_SCREEN_MAX} seats"
        raise BadLayoutError(f"a screen has {wanted}", errors={"rows": wanted})
    problems: dict[str, str] = {}
    labels: set[str] = set()
    for depth, line in enumerate(rows):
        if line.row in labels:
            problems[f"rows[{depth}].row"] = f"row {line.row} is there twice"
        labels.add(line.row)
        numbers: set[int] = set()
        for index, seat in enumerate(line.seats):
            if seat.number in numbers:
                problems[f"rows[{depth}].seats[{index}].number"] = f"{line.row}{seat.number} is there twice"
            numbers.add(seat.number)
    if problems:
        told = dict(list(problems.items())[:PROBLEMS_TOLD_MAX])
        raise BadLayoutError("; ".join(told.values()), errors=told)
