"""How long the best seats take: no server, no database, one line a hall with the slowest question of each kind.

The halls are filled by dice that always fall the same way. A question is a party's size; each is asked until its median
is known, and the slowest one of a hall counts.
"""

import random
import time
from statistics import median
from typing import Final

from boxoffice.seating.best import PARTY_MAX, Wish, best
from boxoffice.seating.halls import Hall, Seat
from boxoffice.seating.orphans import is_excused, left_alone

SHAPES: Final = ((25, 40, (10, 30)), (50, 100, (20, 50, 80)), (100, 300, (50, 100, 200, 250)))
"""Rows, seats a row, where aisles are."""
FILLED: Final = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
TIMES: Final = 11
AISLE_WIDTHS: Final = 1.2


def hall_of(rows: int, seats: int, aisles: tuple[int, ...]) -> Hall:
    """Rows of seats, cut by aisles."""
    return Hall(
        [
            Seat(f"{row:03}", n + 1, "REGULAR", "standard", n + AISLE_WIDTHS * sum(n >= aisle for aisle in aisles), row)
            for row in range(rows)
            for n in range(seats)
        ]
    )


def fillings(hall: Hall) -> dict[str, bytes]:
    """One byte a seat: by chance, and the worst that we know of: every run is one seat too short."""
    dice = random.Random(7)  # noqa: S311  (dice, not secrets)
    filled = {f"{share:.0%}": bytes(dice.random() < share for _ in range(len(hall))) for share in FILLED}
    filled["worst"] = bytes(seat.number % PARTY_MAX == 0 for seat in hall.seats)
    return filled


def milliseconds(hall: Hall, taken: bytes, count: int) -> float:
    """The median of some searches."""
    spent: list[float] = []
    for _ in range(TIMES):
        began = time.perf_counter()
        best(hall, taken, Wish(count=count))
        spent.append((time.perf_counter() - began) * 1_000)
    return median(spent)


def orphans_microseconds(hall: Hall, taken: bytes) -> tuple[float, float]:
    """What it takes to judge a pick: of what it leaves alone, and of whether it is excused."""
    free = [i for i, code in enumerate(taken) if not code]
    picks = [[i] for i in random.Random(7).choices(free, k=200)]  # noqa: S311  (the same)
    began = time.perf_counter()
    for pick in picks:
        left_alone(hall, taken, pick)
    judged = time.perf_counter()
    for pick in picks:
        is_excused(hall, taken, pick)
    return (judged - began) * 1e6 / len(picks), (time.perf_counter() - judged) * 1e6 / len(picks)


def main() -> None:
    """Print the table."""
    for shape in SHAPES:
        began = time.perf_counter()
        hall = hall_of(*shape)
        made = (time.perf_counter() - began) * 1_000
        print(f"{len(hall):,} seats; geometry {made:.0f} ms, once a screen")
        for name, taken in fillings(hall).items():
            times = {count: milliseconds(hall, taken, count) for count in range(1, PARTY_MAX + 1)}
            slowest = max(times, key=times.__getitem__)
            print(
                f"  {name:>5} taken: {median(times.values()):6.2f} ms; slowest {times[slowest]:6.2f} ms, for {slowest}"
            )
        alone, excused = orphans_microseconds(hall, fillings(hall)["50%"])
        print(f"  a pick: {alone:.1f} us to see what it leaves alone, {excused:.0f} us more where it is to be excused")


if __name__ == "__main__":
    main()
