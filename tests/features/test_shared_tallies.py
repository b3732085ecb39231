"""Counts that processes share through a real Redis, which may be killed, frozen and brought back."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from counting import RedisServer
from limits import RateLimitItemPerMinute

from boxoffice.accounts import Accounts, InvalidCredentialsError, TooManyAttemptsError
from boxoffice.accounts.attempts import FAILURES_PER_EMAIL
from boxoffice.postgres.pool import Pool
from boxoffice.tallies import PARTS, REDIS_PAUSE_S, REDIS_WAIT_S, Tallies

MINUTE = 6_000.0


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture
async def two(redis_server: RedisServer) -> AsyncIterator[tuple[Tallies, Tallies]]:
    """As two processes have them: nothing in common but the Redis."""
    # Each in the same minute for as long as the test runs.
    made = [Tallies(redis_server.url, clock=lambda: MINUTE) for _ in range(2)]
    yield made[0], made[1]
    for one in made:
        await one.close()


async def test_two_processes_share_a_small_limit_exactly(two: tuple[Tallies, Tallies]) -> None:
    waits = [await two[n % 2].hit("by/me", 10) for n in range(14)]

    assert waits == [0] * 10 + [60] * 4
    assert [await one.hit("by/another", 10) for one in two] == [0, 0]


async def test_they_share_it_exactly_also_when_all_come_at_once(two: tuple[Tallies, Tallies]) -> None:
    waits = await asyncio.gather(*(two[n % 2].hit("by/me", 25) for n in range(100)))

    assert sorted(waits) == [0] * 25 + [60] * 75


async def test_a_large_limit_is_shared_but_for_one_part_a_process(two: tuple[Tallies, Tallies]) -> None:
    limit = 1_000
    waits = [await two[n % 2].hit("by/me", limit) for n in range(2 * limit)]
    passed = waits.count(0)

    assert limit <= passed <= limit + 2 * limit // PARTS
    assert waits[:limit] == [0] * limit


async def test_a_redis_that_is_killed_stops_nobody_and_counts_again_when_it_is_back(
    two: tuple[Tallies, Tallies], redis_server: RedisServer
) -> None:
    assert [await one.hit("by/me", 4) for one in two] == [0, 0]
    redis_server.kill()
    with structlog.testing.capture_logs() as logged:
        since = time.monotonic()
        # Each for itself: two are known to the second one, and it lets two more pass.
        assert [await two[1].hit("by/me", 4) for _ in range(5)] == [0, 0, 60, 60, 60]
        assert [await two[0].hit(f"by/{n}", 4) for n in range(200)] == [0] * 200
        assert time.monotonic() - since < 5 * REDIS_WAIT_S
    assert [line["log_level"] for line in logged if "redis does not answer" in line["event"]] == ["warning"] * 2

    redis_server.start()
    await asyncio.sleep(REDIS_PAUSE_S + 0.1)
    with structlog.testing.capture_logs() as logged:
        assert [await two[n % 2].hit("by/her", 4) for n in range(6)] == [0, 0, 0, 0, 60, 60]
    assert [line["event"] for line in logged] == ["redis answers again"] * 2


async def test_a_redis_that_is_frozen_is_waited_for_once_a_second_at_most(
    two: tuple[Tallies, Tallies], redis_server: RedisServer
) -> None:
    assert await two[0].hit("by/me", 4) == 0
    redis_server.send(signal.SIGSTOP)
    try:
        since = time.monotonic()
        assert await asyncio.gather(*(two[0].hit(f"by/{n}", 4) for n in range(500))) == [0] * 500
        assert [await two[0].hit("by/me", 4) for _ in range(4)] == [0, 0, 0, 60]
        assert time.monotonic() - since < REDIS_PAUSE_S
    finally:
        redis_server.send(signal.SIGCONT)


async def test_failed_sign_ins_are_counted_for_all_processes(redis_server: RedisServer, pool: Pool) -> None:
    made = [Tallies(redis_server.url) for _ in range(2)]
    doors = [Accounts(pool, "k" * 32, one) for one in made]
    answers: list[str] = []
    for n in range(FAILURES_PER_EMAIL.amount + 2):
        try:
            await doors[n % 2].login("asha@example.com", "wrong horse", address=f"203.0.113.{n}")
        except (InvalidCredentialsError, TooManyAttemptsError) as error:
            answers.append(error.code)
    for one in doors:
        one.close()
    for one in made:
        await one.close()

    assert answers == ["invalid_credentials"] * FAILURES_PER_EMAIL.amount + ["too_many_attempts"] * 2


async def test_failures_that_are_known_here_count_when_redis_is_away(
    two: tuple[Tallies, Tallies], redis_server: RedisServer
) -> None:
    twice = RateLimitItemPerMinute(2)
    for _ in range(2):
        assert await two[0].wait_s(twice, "email/asha") == 0
        await two[0].add(twice, "email/asha")
    assert 55 <= await two[1].wait_s(twice, "email/asha") <= 60
    redis_server.kill()

    assert 55 <= await two[0].wait_s(twice, "email/asha") <= 60
    assert await two[1].wait_s(twice, "email/asha") == 0
