"""Amounts as Stripe counts them, which are minor units by ISO 4217 but for a few currencies.

See Stripe's page on currencies: the Icelandic króna and the Ugandan shilling have no minor unit, yet Stripe wants
two decimals; the Malagasy ariary has one on paper, yet Stripe wants none; of three decimals the last must be 0.
"""

from collections.abc import Mapping
from typing import Final

from boxoffice.payments.gateway import GatewayRefusedError

_HUNDREDFOLD: Final = frozenset({"ISK", "UGX"})
_HUNDREDTH: Final = frozenset({"MGA"})
_THREE_DECIMALS: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
_LAST_DIGITS: Final[Mapping[frozenset[str], int]] = {_HUNDREDTH: 100, _THREE_DECIMALS: 10}
"""What an amount must be a multiple of."""


def to_stripe(amount: int, currency: str) -> int:
    """``amount`` in minor units (ISO 4217), as Stripe wants it.

    Raises:
        GatewayRefusedError: Stripe has no such amount.
    """
    code = currency.upper()
    for currencies, multiple in _LAST_DIGITS.items():
        if code in currencies and amount % multiple:
            raise GatewayRefusedError(f"Stripe takes {code} in multiples of {multiple} minor units")
    if code in _HUNDREDFOLD:
        return amount * 100
    return amount // 100 if code in _HUNDREDTH else amount


def from_stripe(amount: int, currency: str) -> int:
    """What Stripe counts, in minor units (ISO 4217)."""
    code = currency.upper()
    if code in _HUNDREDFOLD:
        return amount // 100
    return amount * 100 if code in _HUNDREDTH else amount
