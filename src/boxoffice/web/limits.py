"""Rate limits, by who calls and by where from: a program that runs wild is told to wait, people never notice.

Counted is what changes something, by identity and by network address, and what reads, by address alone; each in minutes
(`boxoffice.tallies`). Not counted are seat maps at hand, which cost less than the counting would spare; webhooks, which
are signed and come from few addresses; health and metrics; and by address what comes from this machine itself.
"""

from typing import Final

from litestar.types import Scope

from boxoffice.accounts import Caller, Role
from boxoffice.errors import ThrottledError
from boxoffice.settings import Settings
from boxoffice.tallies import Tallies
from boxoffice.web.addresses import LOOPBACK, Proxies

UNLIMITED: Final = "unlimited"
"""The ``opt`` of a handler whose requests are not counted."""
CHANGES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""The methods that may change something, and have bodies."""


class RateLimitedError(ThrottledError):
    """Too many requests; wait a moment."""

    code = "rate_limited"


class Limits:
    """The limits that the settings name; one of 0 is off."""

    def __init__(self, settings: Settings, tallies: Tallies) -> None:
        self._proxies = Proxies(settings.trusted_proxies)
        self._tallies = tallies
        self._customer_changes = settings.customer_changes_per_minute
        self._staff_changes = settings.staff_changes_per_minute
        self._address_changes = settings.address_changes_per_minute
        self._address_reads = settings.address_reads_per_minute

    def address_of(self, scope: Scope) -> str:
        """Where a request comes from (`Proxies.client_of`)."""
        return self._proxies.client_of(scope)

    async def count_address(self, scope: Scope) -> None:
        """Count a request by where it comes from.

        Raises:
            RateLimitedError: it is one too many in this minute.
        """
        changes = scope.get("method") in CHANGES
        limit = self._address_changes if changes else self._address_reads
        if limit and (address := self._proxies.client_of(scope)) != LOOPBACK:
            kind = "changes" if changes else "reads"
            if wait_s := await self._tallies.hit(f"{kind}/{address}", limit):
                raise RateLimitedError(f"more than {limit} {kind} a minute from your network", retry_after_s=wait_s)

    async def count_caller(self, scope: Scope, caller: Caller) -> None:
        """Count a request by who calls, if it is to change something.

        Raises:
            RateLimitedError: it is one too many in this minute.
        """
        limit = self._staff_changes if caller.is_at_least(Role.STAFF) else self._customer_changes
        if (
            limit
            and scope.get("method") in CHANGES
            and (wait_s := await self._tallies.hit(f"by/{caller.user_id.hex}", limit))
        ):
            raise RateLimitedError(f"more than {limit} changes a minute by you", retry_after_s=wait_s)

    async def close(self) -> None:
        """Let go of what counts."""
        await self._tallies.close()
