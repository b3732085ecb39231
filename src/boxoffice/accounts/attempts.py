"""How often one may try: failed sign-ins by e-mail and network address, new accounts by network address.

What must never be exceeded is no business of this module: counts are those of `boxoffice.tallies`.
"""

from typing import Final

from limits import RateLimitItemPerMinute

from boxoffice.errors import ThrottledError
from boxoffice.tallies import Tallies

FAILURES_PER_EMAIL: Final = RateLimitItemPerMinute(5)
FAILURES_PER_ADDRESS: Final = RateLimitItemPerMinute(30)
CREATIONS_PER_ADDRESS: Final = RateLimitItemPerMinute(6000)
"""Generous: a whole cinema's visitors may share one network address."""


class TooManyAttemptsError(ThrottledError):
    """Too many attempts; try again later."""

    code = "too_many_attempts"


class Attempts:
    """Counts attempts, and refuses those that are too many."""

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies

    async def refuse_failing(self, email: str, address: str) -> None:
        """Refuse a sign-in for which too many have failed.

        Raises:
            TooManyAttemptsError: for this e-mail address, or from this network address.
        """
        for limit, whose in ((FAILURES_PER_EMAIL, f"email/{email}"), (FAILURES_PER_ADDRESS, f"from/{address}")):
            if wait_s := await self._tallies.wait_s(limit, whose):
                raise TooManyAttemptsError(retry_after_s=wait_s)

    async def count_failure(self, email: str, address: str) -> None:
        """Count a sign-in that failed."""
        await self._tallies.add(FAILURES_PER_EMAIL, f"email/{email}")
        await self._tallies.add(FAILURES_PER_ADDRESS, f"from/{address}")

    async def count_creation(self, address: str) -> None:
        """Count a new account.

        Raises:
            TooManyAttemptsError: it is one too many from this network address.
        """
        if wait_s := await self._tallies.hit(f"new/{address}", CREATIONS_PER_ADDRESS.amount):
            raise TooManyAttemptsError(retry_after_s=wait_s)
