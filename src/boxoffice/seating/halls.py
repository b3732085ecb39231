"""A hall as seats are chosen by it: who sits beside whom, which rows follow each other, where one sits best.

Pure, and worked out once a screen.

Seats are named by their index in the order of every listing (by row, then number). All seats stand on one *line*:
bank after bank, each from the left, with a gap before and after it. Whatever stands side by side on the line sits
side by side; so that free seats, runs and windows are found by looking for bytes.

Distances are in thousandths of a seat's width, as whole numbers: two runs of the program never differ by a rounding.
"""

from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import isqrt
from operator import itemgetter, sub
from statistics import median_low
from typing import Final, NamedTuple

AISLE_FROM_WIDTHS: Final = 1.5
"""Neighbours that stand further apart than so many of their seats' widths have an aisle between them."""
AISLE_ALWAYS_FROM: Final = 1.95
"""So have those between whom another seat would find room, however wide theirs are; in seat widths, a little less
than two, since positions are rounded."""
ROW_AISLE_FROM_PITCHES: Final = 1.5
"""The same from row to row: further apart, one walks between them."""
WIDTHS_A_PITCH: Final = 2
"""From row to row it is about twice as far as from seat to seat (1.1 m to 0.55 m)."""
SWEET_DEPTH: Final = (2, 3)
"""How far back one sits best, as a fraction of the way from the first row to the last."""
STANDARD: Final = "standard"
WHEELCHAIR: Final = "wheelchair"

ROWS_NEAR_MAX: Final = 8
"""How many of the rows that follow a row are looked at for those right behind it (several may stand side by side)."""

_MILLI: Final = 1_000
_SAME_DEPTH: Final = 0.25
"""Rows that differ by less than this part of a pitch stand side by side, not behind each other."""


class Seat(NamedTuple):
    """One place of a hall. ``x`` in seat widths from the left, ``y`` in row pitches from the screen."""

    row: str
    number: int
    tier: str
    kind: str
    x: float
    y: float


class Hall:
    """A hall that does not change.

    Args:
        seats: all of them, by row, then number; at least one.
    """

    def __init__(self, seats: Sequence[Seat]) -> None:
        self.seats: Final = tuple(seats)
        self.x: Final = array("q", [round(seat.x * _MILLI) for seat in seats])
        self.y: Final = array("q", [round(seat.y * _MILLI * WIDTHS_A_PITCH) for seat in seats])
        """In the same unit as ``x``, so that the two can be compared."""
        rows = _rows(seats)
        centre = (min(self.x) + max(self.x)) // 2
        depths = [self.y[min(row, key=lambda i: (abs(self.x[i] - centre), i))] for row in rows]
        front, back = min(depths), max(depths)
        self.sweet: Final = (centre, front + (back - front) * SWEET_DEPTH[0] // SWEET_DEPTH[1])
        """Where one sits best: in the middle, two thirds of the way back. A curved row is as deep as in its middle."""
        self.behind: Final = _behind(depths)
        """For each row, those right behind it."""
        self.line: Final = array("i", self._stand_in_line(rows))
        """The index of the seat on each slot of the line; ``len(seats)`` on a gap."""
        self.row_of: Final = array("i", [0]) * len(seats)
        self.slots: Final = array("i", [0]) * len(seats)
        """The slot of each seat on the line."""
        for number, row in enumerate(rows):
            for i in row:
                self.row_of[i] = number
        for slot, i in enumerate(self.line):
            if i < len(seats):
                self.slots[i] = slot
        self._on_line = itemgetter(*self.line)
        self._costs = self._sums([self.distance(i, *self.sweet) for i in range(len(seats))])
        self._wheelchairs = self._sums([int(seat.kind == WHEELCHAIR) for seat in seats])
        self._windows: dict[int, array[int]] = {}
        self._masks: dict[tuple[str | None, bool], int] = {}

    def __len__(self) -> int:
        return len(self.seats)

    def distance(self, i: int, x: int, y: int) -> int:
        """The square of the distance of a seat from a point."""
        return (self.x[i] - x) ** 2 + (self.y[i] - y) ** 2

    def beside(self, i: int) -> list[int]:
        """The standard seats beside a standard seat; other places have none."""
        if self.seats[i].kind != STANDARD:
            return []
        around = (self.line[self.slots[i] - 1], self.line[self.slots[i] + 1])
        return [j for j in around if j < len(self) and self.seats[j].kind == STANDARD]

    def cost(self, slot: int, count: int) -> int:
        """The sum of the squares of the distances of so many seats of the line from where one sits best."""
        return self._costs[slot + count] - self._costs[slot]

    def least_cost(self, slot: int, size: int, count: int) -> int:
        """The least `cost` of so many seats side by side among ``size`` seats of the line."""
        return min(map(sub, self._costs[slot + count : slot + size + 1], self._costs[slot : slot + size + 1 - count]))

    def wheelchairs(self, slot: int, count: int) -> int:
        """How many of so many seats of the line are places for wheelchairs."""
        return self._wheelchairs[slot + count] - self._wheelchairs[slot]

    def windows(self, count: int) -> "array[int]":
        """Where on the line so many seats stand side by side: the best first, then from the left."""
        known = self._windows.get(count)
        if known is None:
            gaps = [0, *accumulate(int(i == len(self)) for i in self.line)]
            starts = [slot for slot in range(len(self.line) - count) if gaps[slot + count] == gaps[slot]]
            known = self._windows[count] = array("i", sorted(starts, key=lambda slot: (self.cost(slot, count), slot)))
        return known

    def line_of(self, taken: bytes, *, tier: str | None = None, standard: bool = False) -> bytes:
        """The line with a 0 on each slot whose seat is free, of the tier and, if so wanted, standard.

        Args:
            taken: one byte a seat; 0: it is free.
            tier: None: any.
            standard: places for wheelchairs and companions do not count as free.
        """
        whole = bytes(self._on_line(taken + b"\1"))
        return (int.from_bytes(whole) | self._mask(tier, standard=standard)).to_bytes(len(whole))

    def _mask(self, tier: str | None, *, standard: bool) -> int:
        mask = self._masks.get((tier, standard))
        if mask is None:
            others = bytes(
                (tier is not None and seat.tier != tier) or (standard and seat.kind != STANDARD) for seat in self.seats
            )
            mask = self._masks[tier, standard] = int.from_bytes(bytes(self._on_line(others + b"\1")))
        return mask

    def _sums(self, values: Sequence[int]) -> "array[int]":
        """Sums of what each seat has, up to before each slot of the line."""
        all_values = [*values, 0]
        return array("q", [0, *accumulate(all_values[i] for i in self.line)])

    def _stand_in_line(self, rows: Sequence[Sequence[int]]) -> list[int]:
        gap = len(self)
        placed = [sorted(row, key=lambda i: (self.x[i], self.y[i], i)) for row in rows]
        reach = {
            tier: min(AISLE_FROM_WIDTHS * width, AISLE_ALWAYS_FROM * _MILLI)
            for tier, width in self._widths(placed).items()
        }
        line = [gap]
        for row in placed:
            for one, other in pairwise(row):
                line.append(one)
                if self._apart(one, other) > max(reach[self.seats[one].tier], reach[self.seats[other].tier]):
                    line.append(gap)
            line += [row[-1], gap]
        return line

    def _widths(self, rows: Sequence[Sequence[int]]) -> dict[str, int]:
        """How wide the seats of each tier are: as far apart as most neighbours are."""
        steps: dict[str, list[int]] = {seat.tier: [] for seat in self.seats}
        for row in rows:
            for one, other in pairwise(row):
                steps[self.seats[one].tier].append(self._apart(one, other))
        return {tier: median_low(found) if found else _MILLI for tier, found in steps.items()}

    def _apart(self, one: int, other: int) -> int:
        return isqrt(self.distance(one, self.x[other], self.y[other]))


def _rows(seats: Sequence[Seat]) -> list[list[int]]:
    rows: dict[str, list[int]] = {}
    for i, seat in enumerate(seats):
        rows.setdefault(seat.row, []).append(i)
    return list(rows.values())


def _behind(depths: Sequence[int]) -> list[list[int]]:
    """For each row the rows that follow it with no walk between, by how deep each is."""
    order = sorted(range(len(depths)), key=lambda row: (depths[row], row))
    aside = _SAME_DEPTH * WIDTHS_A_PITCH * _MILLI
    steps = [step for front, back in pairwise(order) if (step := depths[back] - depths[front]) >= aside]
    reach = ROW_AISLE_FROM_PITCHES * median_low(steps) if steps else 0
    behind: list[list[int]] = [[] for _ in depths]
    for place, front in enumerate(order):
        for back in order[place + 1 : place + 1 + ROWS_NEAR_MAX]:
            if aside <= depths[back] - depths[front] <= reach:
                behind[front].append(back)
    return behind
