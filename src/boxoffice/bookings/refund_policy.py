"""How much of the price comes back, by the time left until the show: pure."""

from datetime import datetime, timedelta

import msgspec

from boxoffice.money import share


class RefundPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """All of it until ``full_before`` the show, half until ``half_before``, then nothing."""

    full_before: timedelta = timedelta(hours=24)
    half_before: timedelta = timedelta(hours=2)

    def percentage(self, starts_at: datetime, now: datetime) -> int:
        """Per cent that comes back of a seat given back ``now``."""
        left = starts_at - now
        if left >= self.full_before:
            return 100
        return 50 if left >= self.half_before else 0

    def amounts(self, prices: list[int], percentage: int) -> list[int]:
        """What comes back for each seat, in minor units.

        Seat by seat, so that the parts of a booking refunded one by one come to what the whole would.
        """
        return [share(price, percentage) for price in prices]
