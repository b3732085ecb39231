"""Who has bought what in the demo: small parties, the middle of the good rows first. Pure and repeatable."""

from random import Random
from typing import Final

from boxoffice.demo.houses import Place

SOLD_MIN: Final = 0.05
SOLD_MAX: Final = 0.70
"""Shares of a hall's seats that are sold, at least and at most."""
GOOD_DEPTH: Final = 0.62
"""Where people like to sit, as a share of the hall's depth."""
PARTY_SIZES: Final = (1, 2, 3, 4, 5, 6)
PARTY_WEIGHTS: Final = (12, 45, 14, 20, 5, 4)
GAP_CHANCE: Final = 0.15
"""How often a party leaves a seat free beside its neighbours."""


def parties(places: list[Place], chance: Random) -> list[list[int]]:
    """Groups of seats bought together, as indices into ``places``; each group sits side by side."""
    rows = _rows(places)
    ordinary = sum(len(row.seats) for row in rows)
    share = chance.triangular(SOLD_MIN, SOLD_MAX, SOLD_MIN + (SOLD_MAX - SOLD_MIN) / 3)
    # What is sold is a share of all seats; places for wheelchairs are kept for those who need them.
    wanted = min(max(1, round(share * len(places))), ordinary)
    sold: list[list[int]] = []
    while wanted > 0:
        size = min(wanted, chance.choices(PARTY_SIZES, PARTY_WEIGHTS)[0])
        roomy = [row for row in rows if row.room() >= size] or [row for row in rows if row.room()]
        if not roomy:
            break
        best = min(roomy, key=lambda row: row.reluctance() + 0.25 * chance.random())
        sold.append(best.sit(size, leave_gap=chance.random() < GAP_CHANCE))
        wanted -= len(sold[-1])
    return sold


class _Row:
    """A row that fills from its middle outwards: ``seats[low:high]`` are taken, or left free between."""

    def __init__(self, seats: list[int], away: float) -> None:
        self.seats = seats
        self.low = self.high = len(seats) // 2
        self._away = away

    def room(self) -> int:
        """The largest party that still finds seats side by side."""
        return max(self.low, len(self.seats) - self.high)

    def reluctance(self) -> float:
        """How little one wants to sit here: far from the good rows, and already full in the middle."""
        return self._away + 0.8 * (self.high - self.low) / len(self.seats)

    def sit(self, size: int, *, leave_gap: bool) -> list[int]:
        """Take up to ``size`` seats on the side with more room."""
        left, right = self.low, len(self.seats) - self.high
        size = min(size, max(left, right))
        gap = int(leave_gap and max(left, right) > size)
        if right >= left:
            taken = self.seats[self.high + gap : self.high + gap + size]
            self.high += gap + size
        else:
            taken = self.seats[self.low - gap - size : self.low - gap]
            self.low -= gap + size
        return taken


def _rows(places: list[Place]) -> list[_Row]:
    seats: dict[str, list[int]] = {}
    for index, place in enumerate(places):
        ordinary = seats.setdefault(place.row, [])
        if place.kind == "standard":
            ordinary.append(index)
    good = GOOD_DEPTH * (len(seats) - 1)
    return [_Row(found, abs(row - good) / len(seats)) for row, found in enumerate(seats.values()) if found]
