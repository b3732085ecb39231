"""Seats are found by their ids, whichever there are."""

from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from boxoffice.seating.seat_ids import SeatIds


@given(ids=st.lists(st.uuids(), unique=True, max_size=40), others=st.lists(st.uuids(), max_size=10))
def test_each_is_found_at_its_place_and_others_are_not(ids: list[UUID], others: list[UUID]) -> None:
    seats = SeatIds(ids)

    assert list(seats) == ids
    assert [seats.place(id_) for id_ in ids] == list(range(len(ids)))
    assert all(seats.place(other) is None for other in others if other not in ids)


def test_the_same_ids_in_another_order_are_others() -> None:
    ids = [uuid4(), uuid4()]

    assert SeatIds(ids) == SeatIds(list(ids))
    assert SeatIds(ids) != SeatIds(ids[::-1])
