"""Halls drawn as characters or by dice, and an independent way to say who sits beside whom.

In a drawing a line is a row, from the screen: ``.`` a free seat, ``x`` a taken one, ``w`` and ``c`` free places for a
wheelchair and a companion, ``W`` and ``C`` taken ones, a blank is an aisle.
"""

from itertools import pairwise
from string import ascii_uppercase

from hypothesis import strategies as st

from boxoffice.seating.halls import Hall, Seat

KINDS = {"w": "wheelchair", "c": "companion"}


def drawn(*rows: str, tiers: str = "", shift: float = 0.0) -> tuple[Hall, bytes]:
    """A hall and which of its seats are taken. ``tiers``: P or V for each row that is not REGULAR; ``shift``: how far
    each row stands to the right of the one before.
    """
    seats: list[Seat] = []
    taken = bytearray()
    for depth, row in enumerate(rows):
        tier = {"P": "PREMIUM", "V": "VIP"}.get(tiers[depth : depth + 1], "REGULAR")
        number = 0
        for column, mark in enumerate(row):
            if mark == " ":
                continue
            number += 1
            kind = KINDS.get(mark.lower(), "standard")
            seats.append(Seat(ascii_uppercase[depth], number, tier, kind, column + depth * shift, depth))
            taken.append(mark in "xWC")
    return Hall(seats), bytes(taken)


def names(hall: Hall, seats: list[int]) -> list[str]:
    """The seats as they are called: A1, A2, …"""
    return [f"{hall.seats[i].row}{hall.seats[i].number}" for i in seats]


def rows(marks: str) -> st.SearchStrategy[list[str]]:
    """Some rows of these marks."""
    return st.lists(st.text(marks, min_size=1, max_size=9).filter(str.strip), min_size=1, max_size=4)


ROOMY = rows("....xxwc ")
CROWDED = rows("..xxx ")


@st.composite
def halls(draw: st.DrawFn, of: st.SearchStrategy[list[str]] = ROOMY) -> tuple[Hall, bytes]:
    """Small halls of every shape: aisles, a curve, stepped rows, places for wheelchairs."""
    hall, taken = drawn(*draw(of), tiers=draw(st.text("RPV", max_size=4)), shift=draw(st.sampled_from([0.0, 0.5])))
    curve = draw(st.sampled_from([0.0, 0.04]))
    seats = [seat._replace(y=seat.y + 1 - curve * (seat.x - 4) ** 2 / 4) for seat in hall.seats]
    return Hall(seats), taken


def beside(hall: Hall, i: int, *, standard: bool = False) -> list[int]:
    """Whoever sits beside a seat of a drawn hall, worked out without the hall's line."""
    here = hall.seats[i]
    return [
        j
        for j, there in enumerate(hall.seats)
        if there.row == here.row
        and abs(abs(there.x - here.x) - 1) < 0.01
        and not (standard and there.kind != "standard")
        and not (standard and here.kind != "standard")
    ]


def is_alone(hall: Hall, taken: bytes, i: int) -> bool:
    """Whether a standard seat is free and has no free standard seat beside it."""
    return not taken[i] and hall.seats[i].kind == "standard" and all(taken[j] for j in beside(hall, i, standard=True))


def newly_alone(hall: Hall, taken: bytes, pick: list[int]) -> list[int]:
    """By the words of the rule: alone after the pick, and not alone before it."""
    before, after = bytearray(taken), bytearray(taken)
    for i in pick:
        before[i], after[i] = 0, 1
    return [i for i in range(len(hall)) if is_alone(hall, bytes(after), i) and not is_alone(hall, bytes(before), i)]


def side_by_side(hall: Hall, seats: list[int]) -> list[list[int]]:
    """Some seats as groups of neighbours, each from the left."""
    groups: list[list[int]] = []
    placed = sorted(seats, key=lambda i: (hall.seats[i].row, hall.seats[i].x))
    for i in placed:
        if groups and groups[-1][-1] in beside(hall, i):
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def rows_of(hall: Hall) -> list[list[int]]:
    """The seats of each row, rows and seats in order."""
    labels = sorted({seat.row for seat in hall.seats})
    return [[i for i, seat in enumerate(hall.seats) if seat.row == label] for label in labels]


def is_one_behind_another(hall: Hall, front: list[int], back: list[int]) -> bool:
    """Whether somebody of one group sits behind somebody of the other, or no more than aside."""
    spans = [(hall.seats[group[0]].x, hall.seats[group[-1]].x) for group in (front, back)]
    return max(left for left, _ in spans) - min(right for _, right in spans) <= 0.75


def neighbouring(hall: Hall) -> list[tuple[list[int], list[int]]]:
    """Each row with the one behind it."""
    return list(pairwise(rows_of(hall)))
