"""The best seats are the best: held against every choice that there is, in halls of every shape."""

from collections.abc import Iterator
from itertools import product

import pytest
from drawn_halls import (
    CROWDED,
    beside,
    drawn,
    halls,
    is_one_behind_another,
    names,
    neighbouring,
    newly_alone,
    rows_of,
    side_by_side,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from boxoffice.demo.houses import HOUSES, places
from boxoffice.seating.best import Wish, best
from boxoffice.seating.halls import Hall, Seat

Drawn = tuple[Hall, bytes]
TIERS = st.sampled_from([None, None, "REGULAR", "PREMIUM", "VIP"])


def offered(drawing: Drawn, tier: str | None) -> list[int]:
    """The free seats that somebody who asks for nothing special may have."""
    hall, taken = drawing
    free = [i for i, seat in enumerate(hall.seats) if not taken[i] and tier in {None, seat.tier}]
    return [i for i in free if hall.seats[i].kind == "standard"] or free


def windows(hall: Hall, seats: list[int], count: int) -> Iterator[list[int]]:
    """Every way to sit side by side on these seats."""
    for group in side_by_side(hall, seats):
        for first in range(len(group) - count + 1):
            yield group[first : first + count]


def measure(drawing: Drawn, seats: list[int]) -> tuple[int, int]:
    """How many seats a choice leaves alone, and how far its own are from the sweet spot."""
    hall, taken = drawing
    x, y = hall.sweet
    far = sum((round(hall.seats[i].x * 1000) - x) ** 2 + (round(hall.seats[i].y * 2000) - y) ** 2 for i in seats)
    return len(newly_alone(hall, taken, seats)), far


@given(halls(), st.integers(1, 10), TIERS)
@settings(max_examples=400)
def test_the_best_row_is_the_best_of_all_rows(drawing: Drawn, count: int, tier: str | None) -> None:
    hall, taken = drawing
    seats = offered(drawing, tier)
    choice = best(hall, taken, Wish(count=count, tier=tier))

    if len(seats) < count:
        assert choice is None
        return
    assert choice is not None
    assert len(set(choice.seats)) == count
    assert choice.seats == sorted(choice.seats)
    assert set(choice.seats) <= set(seats)
    assert choice.alone == newly_alone(hall, taken, choice.seats)
    all_windows = list(windows(hall, seats, count))
    assert choice.together == bool(all_windows)
    if all_windows:
        assert measure(drawing, choice.seats) == min(measure(drawing, window) for window in all_windows)
    assert best(hall, taken, Wish(count=count, tier=tier)) == choice


@given(halls(CROWDED), st.integers(2, 10), TIERS)
@settings(max_examples=400)
def test_who_finds_no_row_is_split_no_further_than_needed(drawing: Drawn, count: int, tier: str | None) -> None:
    hall, taken = drawing
    seats = offered(drawing, tier)
    choice = best(hall, taken, Wish(count=count, tier=tier))
    if choice is None or choice.together:
        return
    sizes = sorted((len(group) for group in side_by_side(hall, seats)), reverse=True)

    fewest = next(n for n in range(1, count + 1) if sum(sizes[:n]) >= count)
    assert len(side_by_side(hall, choice.seats)) == fewest


@given(halls(CROWDED), st.integers(2, 8))
@settings(max_examples=600)
def test_one_behind_the_other_is_the_best_of_all_such(drawing: Drawn, count: int) -> None:
    hall, taken = drawing
    seats = offered(drawing, None)
    choice = best(hall, taken, Wish(count=count))
    if choice is None or choice.together:
        return
    blocks = [
        front + back
        for front_row, back_row in neighbouring(hall)
        for size in range(1, count)
        for front, back in product(
            windows(hall, [i for i in seats if i in front_row], size),
            windows(hall, [i for i in seats if i in back_row], count - size),
        )
        if is_one_behind_another(hall, front, back)
    ]

    def worth(block: list[int]) -> tuple[int, int, int]:
        in_rows = [len(set(row) & set(block)) for row in rows_of(hall)]
        return (in_rows.count(1), *measure(drawing, block))

    if blocks:
        assert worth(choice.seats) == min(worth(block) for block in blocks)


@given(halls(), st.integers(1, 6))
@settings(max_examples=400)
def test_who_asks_gets_one_place_for_a_wheelchair_and_company_beside_it(drawing: Drawn, count: int) -> None:
    hall, taken = drawing
    free = [i for i in range(len(hall)) if not taken[i]]
    places_free = [i for i in free if hall.seats[i].kind == "wheelchair"]
    choice = best(hall, taken, Wish(count=count, kind="wheelchair"))

    if not places_free or len(free) - len(places_free) < count - 1:
        assert choice is None
        return
    assert choice is not None
    assert len(set(choice.seats)) == count
    (place,) = [i for i in choice.seats if hall.seats[i].kind == "wheelchair"]
    rows = [
        window for window in windows(hall, free, count) if sum(hall.seats[i].kind == "wheelchair" for i in window) == 1
    ]
    assert choice.together == bool(rows)
    # Whoever comes along sits beside it, if anybody's place there is free.
    company = [i for place in places_free for i in beside(hall, place) if i in free and i not in places_free]
    assert count == 1 or not company or set(beside(hall, place)) & set(choice.seats)


DRAWINGS = [
    ("the middle, two thirds back", [".....", ".....", ".....", "....."], 1, ["C3"]),
    ("an aisle is nobody's neighbour", ["... ..."], 4, ["A2", "A3", "A4", "A5"]),
    ("no seat is left alone, though the middle were better", [".......", ".x...x."], 2, ["A3", "A4"]),
    ("where it cannot be helped, one is", ["x...x"], 2, ["A2", "A3"]),
    ("one behind the other when no row has room", ["x..xx", "xx..x"], 4, ["A2", "A3", "B3", "B4"]),
    (
        "nobody sits alone in a row if that can be helped",
        ["..xxxx", "..xxxx", "xxx.xx", "xx...x"],
        4,
        ["A1", "A2", "B1", "B2"],
    ),
    (
        "the fewest groups, near to each other",
        ["..xxxxxxxxxx..", "xxxxxxxxxxxxxx", "..xxxxxxxxxxxx"],
        4,
        ["A1", "A2", "C1", "C2"],
    ),
    ("places for wheelchairs are kept", ["wc....cw"], 4, ["A3", "A4", "A5", "A6"]),
    ("and are not broken into for one more", ["wc....cw"], 5, None),
    ("but for everybody when nothing else is left", ["wcxxxxcw"], 2, ["A1", "A2"]),
]


@pytest.mark.parametrize(("rows", "count", "expected"), [d[1:] for d in DRAWINGS], ids=[d[0] for d in DRAWINGS])
def test_in_a_drawing(rows: list[str], count: int, expected: list[str] | None) -> None:
    hall, taken = drawn(*rows)
    choice = best(hall, taken, Wish(count=count))

    assert expected == (None if choice is None else names(hall, choice.seats))


def test_numbers_may_run_the_other_way() -> None:
    seats = [Seat("A", number, "REGULAR", "standard", 6 - number, 0) for number in range(1, 7)]
    choice = best(Hall(seats), bytes([0, 0, 1, 0, 0, 0]), Wish(count=3))

    assert choice is not None
    assert (choice.seats, choice.together) == ([3, 4, 5], True)


def test_wide_chairs_have_no_aisle_between_them() -> None:
    wide = [Seat("B", number, "VIP", "standard", number * 1.8, 1) for number in range(4)]
    narrow = [Seat("A", number, "REGULAR", "standard", number, 0) for number in range(8)]
    hall = Hall([*narrow, *wide])

    assert (choice := best(hall, bytes(12), Wish(count=4, tier="VIP"))) is not None
    assert choice.together


def test_a_walk_between_two_rows_parts_them() -> None:
    rows = [Seat(row, n, "REGULAR", "standard", n, y) for row, y in (("A", 0), ("B", 1), ("C", 3)) for n in (1, 2)]

    assert Hall(rows).behind == [[1], [], []]


@pytest.mark.parametrize("shape", [hall for house in HOUSES for hall in house.halls], ids=lambda hall: hall.name)
def test_in_the_halls_of_the_demo_two_sit_together_in_the_middle(shape: object) -> None:
    seats = [
        Seat(place.row, place.number, place.tier, place.kind, place.x, place.y)
        for place in places(shape)  # pyright: ignore[reportArgumentType]
    ]
    hall = Hall(seats)
    choice = best(hall, bytes(len(hall)), Wish(count=2))

    assert choice is not None
    assert choice.together
    assert not choice.alone
    assert choice.distance < 2.5
    with_company = best(hall, bytes(len(hall)), Wish(count=2, kind="wheelchair"))
    assert with_company is not None
    assert sorted(hall.seats[i].kind for i in with_company.seats) == ["companion", "wheelchair"]
    assert with_company.together
