"""How much of the price comes back, by the time left until the show: pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from boxoffice.money import share


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What comes back if these seats are given back at one moment; amounts in minor units."""

    percentage: int
    original_amount: int
    """What the seats had cost."""
    refund_amount: int
    by_seat: dict[UUID, int]


class RefundPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """All of it until ``full_before`` the show, half until ``half_before``, then nothing."""

    full_before: timedelta = timedelta(hours=24)
    half_before: timedelta = timedelta(hours=2)

    def quote(self, prices: Mapping[UUID, int], starts_at: datetime, now: datetime) -> Quote:
        """What comes back ``now`` of these seats, by id, of a show that starts then."""
        percentage = self.percentage(starts_at, now)
        amounts = self.amounts(list(prices.values()), percentage)
        return Quote(
            percentage=percentage,
            original_amount=sum(prices.values()),
            refund_amount=sum(amounts),
            by_seat=dict(zip(prices, amounts, strict=True)),
        )

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
