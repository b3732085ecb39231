"""The orphan rule does what its words say, in halls of every shape."""

import pytest
from drawn_halls import beside, drawn, halls, names, newly_alone
from hypothesis import given, settings
from hypothesis import strategies as st

from boxoffice.seating.best import Wish, best
from boxoffice.seating.halls import Hall
from boxoffice.seating.orphans import is_excused, left_alone

Drawn = tuple[Hall, bytes]


def seat(hall: Hall, name: str) -> int:
    return names(hall, list(range(len(hall)))).index(name)


@given(halls(), st.data())
@settings(max_examples=400)
def test_what_is_left_alone_is_what_the_rule_says(drawing: Drawn, data: st.DataObject) -> None:
    hall, taken = drawing
    pick = data.draw(st.lists(st.integers(0, len(hall) - 1), unique=True, max_size=6))

    assert left_alone(hall, taken, pick) == newly_alone(hall, taken, pick)


@given(halls())
def test_whoever_sits_beside_whom_does_so_both_ways(drawing: Drawn) -> None:
    hall, _ = drawing

    for i in range(len(hall)):
        assert sorted(hall.beside(i)) == beside(hall, i, standard=True)


@given(halls(), st.integers(1, 6))
@settings(max_examples=300)
def test_what_is_advised_is_never_blamed(drawing: Drawn, count: int) -> None:
    hall, taken = drawing
    choice = best(hall, taken, Wish(count=count))

    if choice is not None and choice.alone:
        assert is_excused(hall, taken, choice.seats)


PICKS: list[tuple[str, list[str], list[str], list[str]]] = [
    ("an end of the row", [".....", "....."], ["A2"], ["A1"]),
    ("between the pick and others", ["...x.", "....."], ["A1", "A2"], ["A3"]),
    ("an aisle", ["... ...", "......"], ["A2"], ["A1", "A3"]),
    ("both ends of one stretch", [".....", "....."], ["A2", "A3", "A4"], ["A1", "A5"]),
    ("between two of one pick", ["......", "....."], ["A1", "A3"], ["A2"]),
    ("alone before is nobody's fault", [".x....", "....."], ["A3", "A4"], []),
    ("two are no orphan", [".....", "....."], ["A3", "A4", "A5"], []),
    ("a place for a wheelchair is never one", ["w......", "....."], ["A2", "A3"], []),
    ("nor is it company", ["c......", "....."], ["A3", "A4"], ["A2"]),
]


@pytest.mark.parametrize(("rows", "pick", "expected"), [p[1:] for p in PICKS], ids=[p[0] for p in PICKS])
def test_in_a_drawing(rows: list[str], pick: list[str], expected: list[str]) -> None:
    hall, taken = drawn(*rows)
    chosen = [seat(hall, name) for name in pick]

    assert names(hall, left_alone(hall, taken, chosen)) == expected
    assert not expected or not is_excused(hall, taken, chosen)


def test_a_pick_is_excused_when_nine_tenths_are_taken() -> None:
    full, taken = drawn("." * 5, "x" * 45)
    assert is_excused(full, taken, [1])

    roomier, taken = drawn("." * 6, "x" * 44)
    assert not is_excused(roomier, taken, [1])


def test_a_pick_is_excused_when_nobody_could_do_better() -> None:
    # Two can only sit on three: whoever does leaves one alone. One can still sit elsewhere.
    hall, taken = drawn("...x...", "xxxxxxx")
    assert is_excused(hall, taken, [seat(hall, "A1"), seat(hall, "A2")])
    assert not is_excused(hall, taken, [seat(hall, "A2")])


def test_better_must_be_had_in_the_same_tier() -> None:
    rows = ("......", "...xxx")
    hall, taken = drawn(*rows, tiers="RV")
    pick = [seat(hall, "B1"), seat(hall, "B2")]
    assert is_excused(hall, taken, pick)

    same, taken = drawn(*rows, tiers="RR")
    assert not is_excused(same, taken, pick)
