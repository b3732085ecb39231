"""The best free seats for a party: in one row, else one behind the other, else in as few groups as can be. Pure.

The measure of a choice is the sum of the squared distances of its seats from the hall's sweet spot (`Hall.sweet`): a
party is as well off as all of its members, and one bad seat counts more than several that are nearly good. What is
told is its root mean square, in seat widths. Among choices of one kind:

1. The one that leaves the fewest seats alone (`boxoffice.seating.orphans`) is taken, whatever its measure.
2. Then the nearest one, then the one further left in the row that is listed first. There is no chance in it.

A party that finds no row is split as little as possible. Two groups in neighbouring rows, of which somebody sits
right behind somebody, come first; there, nobody sits alone in a row if that can be helped. Otherwise it is the fewest
groups, near to each other. That last choice is looked for around the `ANCHORS_MAX` largest groups only, so that a hall
of any size is done in time; the number of groups is the least all the same.

Places for wheelchairs and companions are kept for those who ask for them, and are offered to others when no standard
seat of the tier is left. Who asks (``kind="wheelchair"``) is given one place for a wheelchair, and seats beside it for
everybody else.
"""

import re
from collections.abc import Iterator, Sequence
from math import sqrt
from typing import Final, Literal, NamedTuple

import msgspec

from boxoffice.seating.halls import WHEELCHAIR, Hall
from boxoffice.seating.orphans import alone_beside, left_alone

PARTY_MAX: Final = 10
"""Seats that can be asked for at once."""
GROUPS_CONSIDERED_MAX: Final = 256
"""Free groups among which a scattered party is seated: the largest first, then the best."""
ANCHORS_MAX: Final = 12
"""Groups around which it is tried to seat it."""
STRAIGHT_BEHIND: Final = 750
"""Thousandths of a seat's width: who sits further aside than this is not behind somebody."""

_FREE: Final = re.compile(rb"\x00+")
_MILLI: Final = 1_000


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a party wants: so many seats (1 to `PARTY_MAX`), of one tier or any."""

    count: int
    tier: str | None = None
    kind: Literal["standard", "wheelchair"] = "standard"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The best that there is. Seats by their index in the hall, in order."""

    seats: list[int]
    together: bool
    """All in one row, with nobody and no aisle between."""
    alone: list[int]
    """The seats that this leaves alone."""
    distance: float
    """Root mean square of the seats' distances from the sweet spot, in seat widths."""


class _Group(NamedTuple):
    """Seats side by side: a part of the line."""

    slot: int
    size: int

    @property
    def slots(self) -> range:
        """Those on the line."""
        return range(self.slot, self.slot + self.size)


def best(hall: Hall, taken: bytes, wish: Wish) -> Choice | None:
    """The best free seats; None where there are too few.

    Args:
        hall: where the seats are.
        taken: one byte a seat; 0: it is free.
        wish: what is wanted.
    """
    groups = _Search(hall, taken, wish).groups()
    if not groups:
        return None
    seats = sorted(hall.line[slot] for group in groups for slot in group.slots)
    cost = sum(hall.cost(*group) for group in groups)
    return Choice(
        seats=seats,
        together=len(groups) == 1,
        alone=left_alone(hall, taken, seats),
        distance=round(sqrt(cost / len(seats)) / _MILLI, 3),
    )


class _Search:
    """One search: what is free, and who may sit there."""

    def __init__(self, hall: Hall, taken: bytes, wish: Wish) -> None:
        self._hall = hall
        self._count = wish.count
        self._with_wheelchair = wish.kind == WHEELCHAIR
        self._standard = hall.line_of(taken, standard=True)
        self._line = hall.line_of(taken, tier=wish.tier, standard=not self._with_wheelchair)
        if 0 not in self._line:
            self._line = hall.line_of(taken, tier=wish.tier)
        self._known_parts: dict[tuple[int, int], list[_Part]] = {}
        self._known_least: dict[tuple[int, int], int] = {}
        """Both by where a group begins, and how many of its seats are wanted."""

    def groups(self) -> list[_Group]:
        """Who sits side by side; nobody, where there are too few seats."""
        if self._line.count(0) < self._count:
            return []
        if (row := self._in_one_row(self._count)) is not None:
            return [row]
        if self._with_wheelchair:
            return self._around_a_wheelchair()
        return self._in_two_rows() or self._scattered(self._line, self._count, None)

    def _in_one_row(self, count: int) -> _Group | None:
        together = bytes(count)
        if together not in self._line:
            return None
        least: tuple[int, int] | None = None
        for slot in self._hall.windows(count):
            if not self._line.startswith(together, slot):
                continue
            if self._with_wheelchair and self._hall.wheelchairs(slot, count) != 1:
                continue
            alone = alone_beside(self._standard, slot, count)
            if least is None or alone < least[0]:
                least = (alone, slot)
            if alone == 0:
                break
        return None if least is None else _Group(least[1], count)

    def _in_two_rows(self) -> list[_Group]:
        """Two groups, one behind the other; none, where that cannot be had."""
        found: tuple[tuple[int, int, int], _Group, _Group] | None = None
        for lone, cost, front, back, size in sorted(self._pairs()):
            if found is not None and (lone, 0, cost) > found[0]:
                break  # what follows cannot be nearer
            for one in self._parts(front, size):
                for other in self._parts(back, self._count - size):
                    key = (lone, one.alone + other.alone, one.cost + other.cost)
                    candidate = (key, one.group, other.group)
                    if (found is None or candidate < found) and self._are_behind(one.group, other.group):
                        found = candidate
        return [] if found is None else [*found[1:]]

    def _pairs(self) -> Iterator[tuple[int, int, _Group, _Group, int]]:
        """Free groups behind each other and how many sit in the first; with how many sit alone, and the least cost."""
        rows: dict[int, list[_Group]] = {}
        for group in _free_groups(self._line):
            rows.setdefault(self._hall.row_of[self._hall.line[group.slot]], []).append(group)
        for row, fronts in rows.items():
            for behind in self._hall.behind[row]:
                for front, back in self._overlapping(fronts, rows.get(behind, [])):
                    for size in range(max(1, self._count - back.size), min(front.size, self._count - 1) + 1):
                        rest = self._count - size
                        least = self._least(front, size) + self._least(back, rest)
                        yield (size == 1) + (rest == 1), least, front, back, size

    def _overlapping(self, fronts: list[_Group], backs: list[_Group]) -> Iterator[tuple[_Group, _Group]]:
        """Those of two rows, each from the left, that stand behind each other."""
        first = 0
        for front in fronts:
            while first < len(backs) and self._right(backs[first]) < self._left(front) - STRAIGHT_BEHIND:
                first += 1
            for back in backs[first:]:
                if self._left(back) > self._right(front) + STRAIGHT_BEHIND:
                    break
                yield front, back

    def _are_behind(self, one: _Group, other: _Group) -> bool:
        return self._left(one) - STRAIGHT_BEHIND <= self._right(other) and self._left(
            other
        ) - STRAIGHT_BEHIND <= self._right(one)

    def _around_a_wheelchair(self) -> list[_Group]:
        """As many as can be beside a place for a wheelchair, the others near to them."""
        for count in range(self._count - 1, 0, -1):
            if (beside := self._in_one_row(count)) is not None:
                others = bytearray(self._line)
                for slot, i in enumerate(self._hall.line):
                    if slot in beside.slots or (i < len(self._hall) and self._hall.seats[i].kind == WHEELCHAIR):
                        others[slot] = 1
                rest = self._count - count
                return [beside, *self._scattered(bytes(others), rest, beside)] if others.count(0) >= rest else []
        return []

    def _scattered(self, line: bytes, count: int, anchor: _Group | None) -> list[_Group]:
        """So many seats in the fewest groups, near to the anchor or else to each other; there are that many."""
        groups = sorted(
            _free_groups(line),
            key=lambda group: (-min(group.size, count), self._hall.cost(*group) // group.size, group.slot),
        )[:GROUPS_CONSIDERED_MAX]
        found: list[tuple[tuple[int, int, int, int], list[_Group]]] = []
        for middle in groups[:ANCHORS_MAX] if anchor is None else [anchor]:
            x, y = self._middle(middle)
            near = sorted(groups, key=lambda group: (group != middle, self._distance(group, x, y), group.slot))
            own = near[: anchor is None]
            chosen = own + _fewest(near[len(own) :], count - sum(group.size for group in own))
            seated = [
                min((part.alone, self._distance(part.group, x, y), part.group) for part in self._parts(group, size))
                for group, size in zip(chosen, _even_out([group.size for group in chosen], count), strict=True)
            ]
            parts = [group for *_, group in seated]
            lone = sum(group.size == 1 for group in parts)
            found.append(((len(parts), lone, sum(alone for alone, *_ in seated), self._spread(parts)), parts))
        return min(found)[1]

    def _least(self, group: _Group, count: int) -> int:
        """The cost of the best way to sit in a group."""
        least = self._known_least.get((group.slot, count))
        if least is None:
            least = self._known_least[group.slot, count] = self._hall.least_cost(group.slot, group.size, count)
        return least

    def _parts(self, group: _Group, count: int) -> list["_Part"]:
        """All ways to sit in a group, the best first."""
        parts = self._known_parts.get((group.slot, count))
        if parts is None:
            hall = self._hall
            parts = self._known_parts[group.slot, count] = sorted(
                _Part(hall.cost(slot, count), alone_beside(self._standard, slot, count), _Group(slot, count))
                for slot in range(group.slot, group.slot + group.size - count + 1)
            )
        return parts

    def _left(self, group: _Group) -> int:
        return self._hall.x[self._hall.line[group.slot]]

    def _right(self, group: _Group) -> int:
        return self._hall.x[self._hall.line[group.slot + group.size - 1]]

    def _middle(self, group: _Group) -> tuple[int, int]:
        seats = [self._hall.line[slot] for slot in group.slots]
        return sum(self._hall.x[i] for i in seats) // len(seats), sum(self._hall.y[i] for i in seats) // len(seats)

    def _distance(self, group: _Group, x: int, y: int) -> int:
        return self._hall.distance(self._hall.line[group.slot + group.size // 2], x, y)

    def _spread(self, groups: Sequence[_Group]) -> int:
        """How far apart the seats are: the sum of the squared distances between any two, from their sums."""
        seats = [self._hall.line[slot] for group in groups for slot in group.slots]
        x, y = [self._hall.x[i] for i in seats], [self._hall.y[i] for i in seats]
        return len(seats) * sum(value * value for value in x + y) - sum(x) ** 2 - sum(y) ** 2


class _Part(NamedTuple):
    """Some seats of a group."""

    cost: int
    alone: int
    group: _Group


def _free_groups(line: bytes) -> list[_Group]:
    return [_Group(found.start(), found.end() - found.start()) for found in _FREE.finditer(line)]


def _fewest(groups: list[_Group], count: int) -> list[_Group]:
    """As few groups as can be that have so many seats together; of those that will do, the first."""
    left, chosen = list(groups), list[_Group]()
    while count > 0:
        sizes = sorted((group.size for group in left), reverse=True)
        largest = 0  # of these, together too small, the next one in size is enough
        whole = 0
        while whole + sizes[largest] < count:
            whole += sizes[largest]
            largest += 1
        will_do = next(group for group in left if min(group.size, sizes[largest]) >= count - whole)
        left.remove(will_do)
        chosen.append(will_do)
        count -= will_do.size
    return chosen


def _even_out(sizes: list[int], count: int) -> list[int]:
    """How many of a party sit in each of these groups: the largest give way first, so that nobody is left alone."""
    seated = list(sizes)
    for _ in range(sum(sizes) - count):
        largest = max(range(len(seated)), key=lambda n: (seated[n], n))
        seated[largest] -= 1
    return seated
