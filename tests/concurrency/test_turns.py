"""Connections go to whoever began first, none is lost, and no more are given than there are."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from boxoffice.errors import UnavailableError
from boxoffice.postgres import pool as pools
from boxoffice.postgres.pool import connect_pool, connection
from boxoffice.postgres.turns import Turns, begin

LONG_S = 30.0
Piece = Callable[[], Awaitable[None]]


def start(piece: Piece) -> asyncio.Task[None]:
    """A piece of work of its own, as a request is one."""

    async def work() -> None:
        begin()
        await piece()

    return asyncio.create_task(work())


async def settle() -> None:
    """Let everybody who can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_whoever_began_first_is_not_overtaken_however_often_a_turn_is_taken() -> None:
    turns, order = Turns(1), list[str]()

    def taking(name: str, times: int) -> Piece:
        async def take() -> None:
            for n in range(times):
                await turns.take(LONG_S)
                order.append(f"{name}{n}")
                await asyncio.sleep(0.001)
                turns.give_back()

        return take

    await turns.take(LONG_S)
    works: list[asyncio.Task[None]] = []
    for name, times in [("a", 3), ("b", 1), ("c", 2)]:
        works.append(start(taking(name, times)))
        await settle()
    turns.give_back()
    await asyncio.gather(*works)

    # While the first goes from one turn to the next there is a moment in which its turn is somebody else's.
    assert order == ["a0", "b0", "a1", "c0", "a2", "c1"]


async def test_among_those_who_wait_the_oldest_is_next_whenever_it_asked() -> None:
    turns, order = Turns(1), list[str]()
    asked = asyncio.Event()

    def taking(name: str, after: asyncio.Event | None = None) -> Piece:
        async def take() -> None:
            if after is not None:
                await after.wait()
            await turns.take(LONG_S)
            order.append(name)
            turns.give_back()

        return take

    await turns.take(LONG_S)
    old = start(taking("old", asked))
    await settle()
    new = [start(taking(f"new {n}")) for n in range(3)]
    await settle()
    asked.set()
    await settle()
    turns.give_back()
    await asyncio.gather(old, *new)

    assert order == ["old", "new 0", "new 1", "new 2"]


async def test_who_waits_too_long_is_told_and_leaves_no_gap() -> None:
    turns = Turns(1)
    await turns.take(LONG_S)
    with pytest.raises(TimeoutError):
        await turns.take(0.01)
    turns.give_back()
    await turns.take(0.01)


async def test_a_turn_that_comes_as_its_taker_is_cancelled_goes_to_the_next() -> None:
    turns = Turns(1)
    await turns.take(LONG_S)
    gone = asyncio.create_task(turns.take(LONG_S))
    following = asyncio.create_task(turns.take(LONG_S))
    await settle()
    turns.give_back()
    gone.cancel()
    await asyncio.wait_for(following, LONG_S)
    assert gone.cancelled()


@pytest.mark.parametrize("many", [1, 3])
async def test_in_any_disorder_none_is_lost_and_none_is_given_twice(many: int) -> None:
    turns, rng = Turns(many), random.Random(20261124)
    inside = most = 0

    async def take() -> None:
        nonlocal inside, most
        for _ in range(rng.randint(1, 3)):
            await turns.take(LONG_S)
            inside += 1
            most = max(most, inside)
            try:
                await asyncio.sleep(rng.random() / 1_000)
            finally:
                inside -= 1
                turns.give_back()

    works = [start(take) for _ in range(200)]
    while not all(work.done() for work in works):
        rng.choice(works).cancel()
        await asyncio.sleep(rng.random() / 1_000)
    await asyncio.gather(*works, return_exceptions=True)

    assert most == many
    for _ in range(many):
        await asyncio.wait_for(turns.take(LONG_S), LONG_S)
    with pytest.raises(TimeoutError):
        await turns.take(0.01)


async def test_a_connection_that_cannot_be_had_costs_no_turn(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = await connect_pool(dsn, size=1)
    try:
        monkeypatch.setattr(pools, "ACQUIRE_TIMEOUT_S", 0.05)
        async with connection(pool):
            with pytest.raises(UnavailableError):
                async with connection(pool):
                    raise AssertionError("there is but one")
        taken = await pool.acquire()  # by somebody who did not wait for a turn
        with pytest.raises(UnavailableError):
            async with connection(pool):
                raise AssertionError("there is but one")
        await pool.release(taken)
        for _ in range(3):
            with pytest.raises(asyncpg.DivisionByZeroError):
                async with connection(pool) as conn:
                    await conn.fetchval("SELECT 1 / 0")
        async with connection(pool) as conn:
            conn.terminate()
        async with connection(pool) as conn:
            assert await conn.fetchval("SELECT 1") == 1
    finally:
        await pool.close()
