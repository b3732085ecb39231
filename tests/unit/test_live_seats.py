"""Whoever comes back is told exactly what they missed, or to start over: for any course of a show."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from boxoffice.seating.live import Course, SeatsChanged, StartOver
from boxoffice.seating.map_text import STATUSES
from boxoffice.seating.seat_map import SeatStatus

SEATS = [UUID(int=10 + number) for number in range(3)]

# A course: for each look, how much happened since the last and how the seats stand now.
LOOKS = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.sampled_from([0, 1, 2]), min_size=3, max_size=3)),
    min_size=1,
    max_size=12,
)


def play(looks: list[tuple[int, list[int]]]) -> tuple[Course, dict[int, dict[UUID, SeatStatus]]]:
    """The course of a show after these looks, and how its seats stood at each version."""
    versions: dict[int, dict[UUID, SeatStatus]] = {}
    course = Course()
    version = 0
    for step, codes in looks:
        version += step
        # What is unchanged has its version unchanged: the map's own tests see to that.
        seen = versions.setdefault(version, dict(zip(SEATS, (STATUSES[code] for code in codes), strict=True)))
        now = bytes(STATUSES.index(status) for status in seen.values())
        if len(versions) == 1:
            course.begin(version, SEATS, now, settled=True)
        else:
            course.look(version, now, settled=True)
    return course, versions


@given(LOOKS)
def test_what_was_seen_and_what_was_missed_come_to_what_is(looks: list[tuple[int, list[int]]]) -> None:
    course, versions = play(looks)
    newest = max(versions)

    for version, seats in versions.items():
        seats_then = dict(seats)
        reached = version
        for event in course.missed_since(version):
            assert isinstance(event, SeatsChanged), "each version seen here is remembered"
            assert event.version > reached
            reached = event.version
            seats_then |= {change.id: change.status for change in event.changes}
        assert reached == newest
        assert seats_then == versions[newest]


@given(LOOKS, st.none() | st.integers(-5, 50))
def test_who_saw_what_we_did_not_starts_over(looks: list[tuple[int, list[int]]], last_seen: int | None) -> None:
    course, versions = play(looks)

    if last_seen not in versions:
        assert course.missed_since(last_seen) == [StartOver(version=max(versions))]


def test_a_version_that_other_processes_may_know_as_another_state_is_no_point_to_come_back_to() -> None:
    course = Course()
    course.begin(0, SEATS, bytes([0, 0, 0]), settled=True)
    # This process has just changed a seat: another may have changed another one, and call that version 2.
    own = course.look(2, bytes([1, 0, 0]), settled=False)
    assert own is not None
    assert b"id:" not in own.wire
    assert course.missed_since(2) == [StartOver(version=2, settled=False)]
    both = course.look(4, bytes([1, 2, 0]), settled=True)
    assert both is not None
    assert b"id: 4" in both.wire
    assert course.missed_since(2) == [StartOver(version=4)]
    assert course.missed_since(0) == [own, both]
    assert course.missed_since(4) == []
