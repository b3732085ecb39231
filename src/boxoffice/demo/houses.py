"""The demo's theatres and their halls, drawn by small pure functions.

Positions are good enough to draw: ``x`` in seat widths to the right, ``y`` in row pitches
away from the screen, which stands at the top (y = 0), centred over the seats.
"""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Final, Literal

import msgspec

Tier = Literal["REGULAR", "PREMIUM", "VIP"]
Kind = Literal["standard", "wheelchair", "companion"]

AISLE_WIDTH: Final = 1.2
"""Seat widths between the seats on either side of an aisle, beyond their own distance."""
CROSS_AISLE_DEPTH: Final = 1.0
"""Row pitches that a walk between two blocks of rows adds."""
FIRST_ROW_Y: Final = 2.0
"""Row pitches from the screen to the middle of the first row."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One seat of a hall."""

    row: str
    number: int
    tier: Tier
    kind: Kind
    x: float
    y: float


class Hall(msgspec.Struct, frozen=True, kw_only=True):
    """A screen's shape: how wide each row is, where one walks, how far it curves, what a row costs."""

    name: str
    widths: tuple[int, ...]
    """Seats of each row, from the screen; all even or all odd, so that the rows' seats line up."""
    aisles: tuple[float, ...] = ()
    """Where aisles run, in seats from the middle."""
    cross_aisles: tuple[int, ...] = ()
    """Indices of rows in front of which one can walk through."""
    curve: float = 0.0
    """Row pitches by which a row's ends stand nearer to the screen than its middle."""
    premium_from: int
    """Index of the first PREMIUM row."""
    vip_from: int
    """Index of the first VIP row."""
    wheelchair_row: int
    """Index of the row whose outermost places are for wheelchairs, each with a companion beside it."""
    large_format: bool = False

    @property
    def seats(self) -> int:
        """How many places it has."""
        return sum(self.widths)


class House(msgspec.Struct, frozen=True, kw_only=True):
    """A theatre and its halls."""

    name: str
    city: str
    timezone: str
    speaks: tuple[str, ...]
    """Languages that its city prefers, for films released in several."""
    halls: tuple[Hall, ...]


def places(hall: Hall) -> list[Place]:
    """Every place of a hall, by row and then number."""
    ends = [x for width in hall.widths for x in across(width, hall.aisles)]
    left, half = min(ends), max(ends)
    return [
        Place(
            row=ascii_uppercase[row],
            number=index + 1,
            tier=tier(hall, row),
            kind=kind(hall, row, index),
            # The left-most place of the hall stands at 0.
            x=round(x - left, 2),
            y=round(depth(hall, row) - sag(hall, x, half), 3),
        )
        for row, width in enumerate(hall.widths)
        for index, x in enumerate(across(width, hall.aisles))
    ]


def across(width: int, aisles: Sequence[float]) -> list[float]:
    """Where the seats of a row stand, in seat widths from its middle: aisles push outwards."""
    return [
        column + sum(_push(column, aisle) for aisle in aisles)
        for column in (index - (width - 1) / 2 for index in range(width))
    ]


def depth(hall: Hall, row: int) -> float:
    """How far a row's middle is from the screen; the curve of the first row never reaches the screen."""
    walks = sum(1 for before in hall.cross_aisles if before <= row)
    return FIRST_ROW_Y + hall.curve + row + walks * CROSS_AISLE_DEPTH


def sag(hall: Hall, x: float, half: float) -> float:
    """How much nearer to the screen a seat stands than its row; ``half`` is half the width of the hall."""
    return hall.curve * (x / half) ** 2


def tier(hall: Hall, row: int) -> Tier:
    """What the seats of a row are sold as: dearer towards the back."""
    if row >= hall.vip_from:
        return "VIP"
    return "PREMIUM" if row >= hall.premium_from else "REGULAR"


def kind(hall: Hall, row: int, index: int) -> Kind:
    """Whom a place is for."""
    if row != hall.wheelchair_row:
        return "standard"
    from_the_end = min(index, hall.widths[row] - 1 - index)
    kinds: tuple[Kind, ...] = ("wheelchair", "companion")
    return kinds[from_the_end] if from_the_end < len(kinds) else "standard"


def _push(column: float, aisle: float) -> float:
    """What an aisle adds to a column's place: one in the middle parts the halves, others push their side."""
    if aisle == 0:
        return AISLE_WIDTH / 2 if column > 0 else -AISLE_WIDTH / 2
    if aisle > 0:
        return AISLE_WIDTH if column > aisle else 0.0
    return -AISLE_WIDTH if column < aisle else 0.0


HOUSES: Final = (
    House(
        name="Lantern House",
        city="Mumbai",
        timezone="Asia/Kolkata",
        speaks=("Hindi",),
        halls=(
            Hall(
                name="Screen 1",
                widths=(16,) * 4 + (20,) * 6 + (24,) * 9,
                aisles=(-5, 5),
                cross_aisles=(4, 10),
                curve=2.5,
                premium_from=6,
                vip_from=16,
                wheelchair_row=4,
                large_format=True,
            ),
            Hall(
                name="Screen 2",
                widths=(15,) * 12,
                aisles=(-4, 4),
                premium_from=5,
                vip_from=10,
                wheelchair_row=0,
            ),
            Hall(
                name="Studio",
                widths=(10,) * 6,
                aisles=(0,),
                premium_from=1,
                vip_from=4,
                wheelchair_row=0,
            ),
        ),
    ),
    House(
        name="Marine Lines Picture Palace",
        city="Mumbai",
        timezone="Asia/Kolkata",
        speaks=("Hindi",),
        halls=(
            Hall(
                name="The Hall",
                widths=(20,) * 10 + (24,) * 5,
                aisles=(-5, 5),
                cross_aisles=(10,),
                curve=1.2,
                premium_from=6,
                vip_from=10,
                wheelchair_row=9,
            ),
            Hall(
                name="Terrace",
                widths=(12,) * 8,
                aisles=(0,),
                premium_from=3,
                vip_from=7,
                wheelchair_row=0,
            ),
        ),
    ),
    House(
        name="Cubbon Talkies",
        city="Bengaluru",
        timezone="Asia/Kolkata",
        speaks=("Kannada", "Tamil", "Telugu"),
        halls=(
            Hall(
                name="Audi 1",
                widths=(20,) * 12,
                aisles=(-5, 5),
                cross_aisles=(6,),
                curve=1.5,
                premium_from=5,
                vip_from=10,
                wheelchair_row=5,
            ),
            # Stepped: the walls stand further apart the further back one sits.
            Hall(
                name="Audi 2",
                widths=(10, 10, 12, 12, 14, 14, 14, 16, 16, 16, 16),
                aisles=(-3, 3),
                premium_from=4,
                vip_from=9,
                wheelchair_row=0,
            ),
            Hall(
                name="Audi 3",
                widths=(14,) * 8,
                aisles=(-3,),
                premium_from=3,
                vip_from=7,
                wheelchair_row=0,
            ),
        ),
    ),
    House(
        name="Silk Road Screens",
        city="Bengaluru",
        timezone="Asia/Kolkata",
        speaks=("Tamil", "Telugu", "Kannada"),
        halls=(
            Hall(
                name="Gold",
                widths=(10, 12, 12, 12, 12, 14),
                aisles=(0,),
                curve=0.6,
                premium_from=0,
                vip_from=3,
                wheelchair_row=5,
            ),
            Hall(
                name="Grand",
                widths=(20,) * 14,
                aisles=(-6, 6),
                cross_aisles=(7,),
                curve=1.8,
                premium_from=6,
                vip_from=12,
                wheelchair_row=6,
            ),
        ),
    ),
    House(
        name="Himal Chalchitra",
        city="Kathmandu",
        timezone="Asia/Kathmandu",
        speaks=("Hindi",),
        halls=(
            Hall(
                name="Sagarmatha",
                widths=(12,) * 3 + (16,) * 5 + (20,) * 5,
                aisles=(-4, 4),
                cross_aisles=(3,),
                curve=1.4,
                premium_from=5,
                vip_from=11,
                wheelchair_row=3,
            ),
            Hall(
                name="Annapurna",
                widths=(12,) * 7,
                aisles=(2,),
                premium_from=3,
                vip_from=6,
                wheelchair_row=0,
            ),
        ),
    ),
)
