"""Counting in one process: exact within a minute of the clock, anew in the next, and bounded."""

import asyncio

import pytest

from boxoffice import tallies
from boxoffice.tallies import Tallies


class Clock:
    def __init__(self) -> None:
        self.now = 6_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counted(clock: Clock) -> Tallies:
    return Tallies(clock=clock)


@pytest.mark.parametrize("limit", [1, 3, 250])
async def test_as_many_as_the_limit_pass_in_a_minute(counted: Tallies, limit: int) -> None:
    waits = [await counted.hit("by/me", limit) for _ in range(limit + 3)]

    assert waits == [0] * limit + [60] * 3
    assert await counted.hit("by/another", limit) == 0


async def test_the_wait_ends_with_the_minute(counted: Tallies, clock: Clock) -> None:
    clock.now += 59.2
    assert [await counted.hit("by/me", 1) for _ in range(2)] == [0, 1]
    clock.now += 0.7
    assert await counted.hit("by/me", 1) == 1
    clock.now += 0.2
    assert [await counted.hit("by/me", 1) for _ in range(2)] == [0, 60]


async def test_they_are_exact_for_those_who_come_at_once(counted: Tallies) -> None:
    waits = await asyncio.gather(*(counted.hit("by/me", 7) for _ in range(50)))

    assert sorted(waits) == [0] * 7 + [60] * 43


async def test_no_crowd_fills_the_memory(counted: Tallies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "COUNTS_MAX", 100)
    for n in range(1_000):
        await counted.hit(f"reads/{n}", 5)
        assert len(counted._counts) <= 100  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (what it is about)
