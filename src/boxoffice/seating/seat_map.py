"""The seat map of a show as it is now: one range scan, no join, decided by the database's clock.

Its version grows with every change, is the same in every process, and costs no shared
counter: each row counts its own changes (``revision``), and the version is twice their sum
plus one for each lease that has lapsed. A lapse adds one; taking a lapsed seat again adds two and
takes that one away. Equal versions of one show mean equal maps.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from boxoffice.postgres.pool import Connection, Row
from boxoffice.seating.refusals import ShowNotFoundError

SeatStatus = Literal["available", "held", "held_by_me", "booked"]


class SeatOnMap(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A seat as one viewer sees it. ``price`` in minor units; the expiry of the viewer's own holds only."""

    id: UUID
    row: str
    number: int
    price: int
    tier: str
    kind: str
    status: SeatStatus
    hold_expires_at: datetime | None = None


class SeatSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many seats have each status; the four add up to the total."""

    total: int
    available: int
    held: int
    held_by_me: int
    booked: int


class SeatMap(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All seats of a show, by row, then number."""

    show_id: UUID
    version: int
    seats: list[SeatOnMap]
    summary: SeatSummary


class AvailableSeats(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The seats of a show that can be taken now."""

    show_id: UUID
    available_count: int
    seats: list[SeatOnMap]


class SeatRow(Row, frozen=True, kw_only=True):
    """A seat's row, as the map reads it."""

    id: UUID
    row_label: str
    number: int
    price: int
    tier: str
    kind: str
    taken: bool
    booked: bool
    holder_id: UUID | None
    taken_until: datetime | None
    version: int


# A show's seats in order, each with its part of the version, all as of one instant. A lease's end is read only where
# it can be shown: 'infinity' is no time that a client knows.
_SEATS = """
SELECT id, row_label, number, price, tier, kind,
       taken_until > now() AS taken, taken_until > now() AND booking_id IS NOT NULL AS booked,
       holder_id, CASE WHEN taken_until > now() AND booking_id IS NULL THEN taken_until END AS taken_until,
       revision * 2 + (taken_until <= now() AND taken_until > '-infinity')::integer AS version
  FROM show_seat
 WHERE show_id = $1
 ORDER BY position
"""


async def read_seat_map(conn: Connection, show_id: UUID, viewer: UUID | None) -> SeatMap:
    """The map as ``viewer`` sees it (None: as anybody does).

    Raises:
        ShowNotFoundError: there is no such show.
    """
    rows = [SeatRow(**record) for record in await conn.fetch(_SEATS, show_id)]
    if not rows:  # every show has seats: the schema sees to it
        raise ShowNotFoundError(f"there is no show {show_id}")
    seats = [_seen_by(viewer, row) for row in rows]
    count = {"available": 0, "held": 0, "held_by_me": 0, "booked": 0}
    for seat in seats:
        count[seat.status] += 1
    return SeatMap(
        show_id=show_id,
        version=sum(row.version for row in rows),
        seats=seats,
        summary=SeatSummary(total=len(seats), **count),
    )


def available_of(seat_map: SeatMap) -> AvailableSeats:
    """The seats of a map that can be taken."""
    free = [seat for seat in seat_map.seats if seat.status == "available"]
    return AvailableSeats(show_id=seat_map.show_id, available_count=len(free), seats=free)


def _seen_by(viewer: UUID | None, row: SeatRow) -> SeatOnMap:
    expires: datetime | None = None
    status: SeatStatus
    if not row.taken:
        status = "available"
    elif row.booked:
        status = "booked"
    elif viewer is not None and row.holder_id == viewer:
        status, expires = "held_by_me", row.taken_until
    else:
        status = "held"
    return SeatOnMap(
        id=row.id,
        row=row.row_label,
        number=row.number,
        price=row.price,
        tier=row.tier,
        kind=row.kind,
        status=status,
        hold_expires_at=expires,
    )
