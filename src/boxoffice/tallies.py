"""How often something happened lately, counted by all processes together where they share a Redis.

Each process counts by itself, in a microsecond, and tells Redis only when a hundredth part of a limit has come
together: so a count is never more than one part a process behind, and a limit of a hundred or less is exact. A Redis
that does not answer keeps nobody waiting: processes count on, each for itself, until it is back. What must never be
exceeded is no business of this module.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, cast

import structlog
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage
from limits.aio.storage.redis import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError
from prometheus_client import Counter

WINDOW_S: Final = 60
"""Counts of `Tallies.hit` begin anew with each minute of the clock, which the processes share."""
PARTS: Final = 100
"""Redis is told each hundredth part of a limit."""
COUNTS_MAX: Final = 100_000
"""Who is counted in a minute, at most; past it, all begin anew: some 20 MB."""
REDIS_WAIT_S: Final = 0.1
REDIS_PAUSE_S: Final = 1.0
"""A Redis that did not answer is left alone for so long."""
REDIS_CONNECTIONS: Final = 8

REDIS_FAILURES: Final = Counter("boxoffice_redis_failures_total", "Times that Redis did not answer when it was told")

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Tallies:
    """Counts; shared by all processes that have the same ``redis_url``, else by nobody."""

    def __init__(self, redis_url: str = "", *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._minute = -1.0
        self._counts: dict[str, _Count] = {}
        self._shared = _Shared(redis_url) if redis_url else None
        self._failures = MovingWindowRateLimiter(MemoryStorage())

    async def hit(self, whose: str, limit: int) -> int:
        """Count one more in this minute: 0 if that is within the limit, else the seconds to wait."""
        minute, second = divmod(self._clock(), WINDOW_S)
        if minute != self._minute:
            self._counts.clear()
            self._minute = minute
        count = self._counts.get(whose)
        if count is None:
            if len(self._counts) >= COUNTS_MAX:
                self._counts.clear()
            count = self._counts[whose] = _Count()
        if count.total <= limit:
            count.total += 1
            count.untold += 1
            if self._shared is not None and count.untold * PARTS >= limit:
                await count.tell(self._shared, f"{whose}/{minute:.0f}")
        return 0 if count.total <= limit else math.ceil(WINDOW_S - second)

    async def wait_s(self, limit: RateLimitItem, whose: str) -> int:
        """Seconds until `add` may be called again for a limit that looks back from each moment; 0 if it may be now."""
        if self._shared is not None:
            told = await self._shared.ask(lambda storage: _wait_s(MovingWindowRateLimiter(storage), limit, whose))
            if told is not None:
                return told
        return await _wait_s(self._failures, limit, whose)

    async def add(self, limit: RateLimitItem, whose: str) -> None:
        """Count one more; here too, so that what is known here is known when Redis is away."""
        await self._failures.hit(limit, whose)
        if self._shared is not None:
            await self._shared.ask(lambda storage: MovingWindowRateLimiter(storage).hit(limit, whose))

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._shared is not None:
            await self._shared.close()


class _Count:
    """What is known of one in this minute, and how much of it Redis has not been told."""

    __slots__ = ("total", "untold")

    def __init__(self) -> None:
        self.total = 0
        self.untold = 0

    async def tell(self, shared: "_Shared", key: str) -> None:
        telling, self.untold = self.untold, 0
        known = await shared.ask(lambda storage: storage.incr(key, 2 * WINDOW_S, telling))
        if known is None:
            self.untold += telling
        else:
            # Others of this process may have been counted while we waited.
            self.total = known + self.untold


class _Shared:
    """A Redis, as long as it answers."""

    def __init__(self, url: str) -> None:
        # Imported on use: an installation without Redis starts without its client.
        from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        # The client's own way is to try again for seconds; ours is to go on without.
        self._pool = BlockingConnectionPool.from_url(
            url, max_connections=REDIS_CONNECTIONS, timeout=REDIS_WAIT_S, retry=Retry(NoBackoff(), 0)
        )
        self._storage = RedisStorage(
            "async+redis://",
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix="boxoffice",
            connection_pool=cast("Any", self._pool),
        )
        self._silent = False
        self._again_at = 0.0

    async def ask(self, what: Callable[[RedisStorage], Awaitable[T]]) -> T | None:
        """What Redis says; None if it does not answer at once, or did not a moment ago."""
        now = time.monotonic()
        if self._silent:
            if now < self._again_at:
                return None
            # One asks whether it is back; the others do not wait for that.
            self._again_at = now + REDIS_PAUSE_S
        try:
            async with asyncio.timeout(REDIS_WAIT_S):
                said = await what(self._storage)
        except (StorageError, OSError) as error:
            REDIS_FAILURES.inc()
            self._again_at = time.monotonic() + REDIS_PAUSE_S
            if not self._silent:
                self._silent = True
                log.warning("redis does not answer: each process counts for itself", error=repr(error))
            return None
        if self._silent:
            self._silent = False
            log.info("redis answers again")
        return said

    async def close(self) -> None:
        await self._pool.aclose()


async def _wait_s(limiter: MovingWindowRateLimiter, limit: RateLimitItem, whose: str) -> int:
    if await limiter.test(limit, whose):
        return 0
    window = await limiter.get_window_stats(limit, whose)
    return max(1, math.ceil(window.reset_time - time.time()))
