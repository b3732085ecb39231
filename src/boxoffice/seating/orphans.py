"""The orphan rule: a pick should leave no seat alone, since hardly anybody buys a lone seat. Pure.

A seat is *left alone* when it is free and has no free seat beside it: only taken ones, an aisle, the end of
the row, or a place for a wheelchair or a companion, which is kept for somebody else. Those places themselves are
never left alone. What was alone before is nobody's fault.

A pick that leaves a seat alone is *excused* when the show is nearly full: when at least `SOLD_SHARE` of its seats
are taken, or when nobody could sit together in that number, in those tiers, without leaving a seat alone.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from boxoffice.seating.halls import Hall

SOLD_SHARE: Final = Fraction(9, 10)
"""Of a show's seats, held ones included; from there on every seat that is bought is welcome."""


def left_alone(hall: Hall, taken: bytes, pick: Iterable[int]) -> list[int]:
    """The seats that a pick leaves alone and that were not alone before it, in order.

    Args:
        hall: where the seats are.
        taken: one byte a seat; 0: it is free. What it says of the pick itself does not matter.
        pick: the seats picked, by their index in the hall.
    """
    picked = set(pick)
    lonely: set[int] = set()
    for i in picked:
        for beside in hall.beside(i):
            if beside in picked or taken[beside]:
                continue
            if all(other in picked or taken[other] for other in hall.beside(beside)):
                lonely.add(beside)
    return sorted(lonely)


def alone_beside(line: bytes, slot: int, count: int) -> int:
    """How many seats a window leaves alone that were not alone before it.

    Args:
        line: standard seats that are free, as `Hall.line_of` gives it.
        slot: where the window begins on the line.
        count: how many seats it has; all are free.
    """
    end = slot + count
    return (line[slot] == 0 and line[slot - 1] == 0 and line[slot - 2] != 0) + (
        line[end - 1] == 0 and line[end] == 0 and line[end + 1] != 0
    )


def is_excused(hall: Hall, taken: bytes, pick: Iterable[int]) -> bool:
    """Whether the show is too full to blame a pick for the seat that it leaves alone; arguments as `left_alone`."""
    picked = sorted(set(pick))
    free = bytearray(taken)
    for i in picked:
        free[i] = 0
    before = bytes(free)
    if len(before) - before.count(0) >= SOLD_SHARE * len(before):
        return True
    line = hall.line_of(before, standard=True)
    tiers = {hall.seats[i].tier for i in picked}
    return not any(
        can_be_avoided(hall, hall.line_of(before, tier=tier, standard=True), line, len(picked)) for tier in tiers
    )


def can_be_avoided(hall: Hall, wanted: bytes, standard: bytes, count: int) -> bool:
    """Whether so many seats side by side, free on the line ``wanted``, can be had without leaving one alone."""
    together = bytes(count)
    if together not in wanted:
        return False
    return any(
        wanted.startswith(together, slot) and not alone_beside(standard, slot, count) for slot in hall.windows(count)
    )
