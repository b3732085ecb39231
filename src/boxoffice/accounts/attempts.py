"""How often one may try: failed sign-ins by e-mail and network address, new accounts by network address.

Counted in each process by itself; what must never be exceeded is no business of this module.
"""

import math
import time
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, RateLimiter

from boxoffice.errors import ThrottledError

FAILURES_PER_EMAIL: Final = RateLimitItemPerMinute(5)
FAILURES_PER_ADDRESS: Final = RateLimitItemPerMinute(30)
CREATIONS_PER_ADDRESS: Final = RateLimitItemPerMinute(6000)
"""Generous: a whole cinema's visitors may share one network address."""


class TooManyAttemptsError(ThrottledError):
    """Too many attempts; try again later."""

    code = "too_many_attempts"


class Attempts:
    """Counts attempts, and refuses those that are too many."""

    def __init__(self) -> None:
        storage = MemoryStorage()
        self._failures = MovingWindowRateLimiter(storage)
        self._creations = FixedWindowRateLimiter(storage)

    async def refuse_failing(self, email: str, address: str) -> None:
        """Refuse a sign-in for which too many have failed.

        Raises:
            TooManyAttemptsError: for this e-mail address, or from this network address.
        """
        for limit, whose in (
            (FAILURES_PER_EMAIL, f"email/{email}"),
            (FAILURES_PER_ADDRESS, f"from/{address}"),
        ):
            if not await self._failures.test(limit, whose):
                raise await _too_many(self._failures, limit, whose)

    async def count_failure(self, email: str, address: str) -> None:
        """Count a sign-in that failed."""
        await self._failures.hit(FAILURES_PER_EMAIL, f"email/{email}")
        await self._failures.hit(FAILURES_PER_ADDRESS, f"from/{address}")

    async def count_creation(self, address: str) -> None:
        """Count a new account.

        Raises:
            TooManyAttemptsError: it is one too many from this network address.
        """
        if not await self._creations.hit(CREATIONS_PER_ADDRESS, f"new/{address}"):
            raise await _too_many(self._creations, CREATIONS_PER_ADDRESS, f"new/{address}")


async def _too_many(limiter: RateLimiter, limit: RateLimitItem, whose: str) -> TooManyAttemptsError:
    window = await limiter.get_window_stats(limit, whose)
    return TooManyAttemptsError(retry_after_s=max(1, math.ceil(window.reset_time - time.time())))
