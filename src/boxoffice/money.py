"""Money is a whole number of minor units beside its currency (ISO 4217): 25000 INR is ₹250.00."""

from typing import Final

CURRENCY_DEFAULT: Final = "INR"
PRICE_MAX: Final = 100_000_000
"""The dearest seat, in minor units: well inside PostgreSQL's integer, so that sums never overflow."""


def share(amount: int, percentage: int) -> int:
    """``percentage`` per cent of ``amount``, in minor units, halves rounded up (to the customer's good).

    Raises:
        ValueError: the percentage is not within 0 to 100, or the amount is negative.
    """
    if amount < 0 or not 0 <= percentage <= 100:  # noqa: PLR2004  (per cent)
        raise ValueError(f"no share: {percentage} % of {amount}")
    return (amount * percentage + 50) // 100
