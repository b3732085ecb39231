"""Whoever comes back is told exactly what they missed, or to start over: for any course of a show."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxoffice.seating import live
from boxoffice.seating.live import SeatsChanged, StartOver
from boxoffice.seating.seat_map import SeatMap, SeatOnMap, SeatStatus, SeatSummary

SHOW = UUID(int=1)
SEATS = [UUID(int=10 + number) for number in range(3)]
Watched = live._Watched  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (what it tells is a pure rule of what it saw)

# A course: for each look, how much happened since the last and how the seats stand now.
LOOKS = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.sampled_from(["available", "held", "booked"]), min_size=3, max_size=3)),
    min_size=1,
    max_size=12,
)


def seat_map(version: int, statuses: list[SeatStatus]) -> SeatMap:
    seats = [
        SeatOnMap(id=seat, row="A", number=n, price=1, tier="REGULAR", kind="standard", status=status)
        for n, (seat, status) in enumerate(zip(SEATS, statuses, strict=True))
    ]
    summary = SeatSummary(total=3, available=3, held=0, held_by_me=0, booked=0)
    return SeatMap(show_id=SHOW, version=version, seats=seats, summary=summary)


async def play(looks: list[tuple[int, list[SeatStatus]]]) -> tuple[Any, dict[int, dict[UUID, SeatStatus]]]:
    """A watched show after these looks, and how its seats stood at each version."""
    versions: dict[int, dict[UUID, SeatStatus]] = {}
    watched = Watched(Any, SHOW)  # pyright: ignore[reportArgumentType]  (nothing is read: see below)
    version = 0
    for step, statuses in looks:
        version += step
        # What is unchanged has its version unchanged: the map's own tests see to that.
        seen = versions.setdefault(version, dict(zip(SEATS, statuses, strict=True)))
        now = seat_map(version, list(seen.values()))

        async def read(*_: object, of: SeatMap = now) -> SeatMap:
            return of

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(live, "read_seat_map", read)
            patch.setattr(live, "connection", _no_connection)
            await watched.look()
    return watched, versions


@asynccontextmanager
async def _no_connection(_: object) -> AsyncGenerator[None]:
    yield


@given(LOOKS)
@settings(deadline=None)
def test_what_was_seen_and_what_was_missed_come_to_what_is(looks: list[tuple[int, list[SeatStatus]]]) -> None:
    watched, versions = asyncio.run(play(looks))
    newest = max(versions)

    for version, seats in versions.items():
        seats_then = dict(seats)
        reached = version
        for event in watched.missed_since(version):
            assert isinstance(event, SeatsChanged), "each version seen here is remembered"
            assert event.version > reached
            reached = event.version
            seats_then |= {change.id: change.status for change in event.changes}
        assert reached == newest
        assert seats_then == versions[newest]


@given(LOOKS, st.none() | st.integers(-5, 50))
@settings(deadline=None)
def test_who_saw_what_we_did_not_starts_over(looks: list[tuple[int, list[SeatStatus]]], last_seen: int | None) -> None:
    watched, versions = asyncio.run(play(looks))

    if last_seen not in versions:
        assert watched.missed_since(last_seen) == [StartOver(version=max(versions))]
