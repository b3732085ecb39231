"""What the demo's theatres show, when and at what price. Pure: the same day has the same programme."""

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from boxoffice.demo.films import FILMS, Film
from boxoffice.demo.houses import Hall, House, Tier

OPENING: Final = time(10, 0)
"""The first show begins within an hour of this, by the theatre's own clock."""
LAST_START: Final = timedelta(hours=13)
"""No show begins later than this after the opening: the last ones start by eleven at night."""
GRID_MIN: Final = 5
"""Shows begin on full five minutes."""
PRICES: Final[dict[Tier, int]] = {"REGULAR": 18_000, "PREMIUM": 26_000, "VIP": 42_000}
"""Paise, on a weekday afternoon."""
PRICE_STEP: Final = 1_000
WEEKEND: Final = 1.25
MATINEE: Final = 0.75
LARGE_FORMAT: Final = 1.4
FRIDAY: Final = 4


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A show that is planned."""

    film: Film
    starts_at: datetime
    """In UTC."""
    language: str
    format: str
    prices: dict[Tier, int]
    """Minor units."""


def programme(house: House, hall: Hall, day: date, gap: timedelta) -> list[Slot]:
    """The shows of a hall on a day of the theatre's own calendar, ``gap`` for cleaning between them."""
    chance = Random(f"{house.city}/{house.name}/{hall.name}/{day}")  # noqa: S311  (a demo, no secret)
    opening = datetime.combine(day, OPENING, ZoneInfo(house.timezone)).astimezone(UTC)
    begin = opening + timedelta(minutes=GRID_MIN * chance.randrange(12))
    slots: list[Slot] = []
    for film in chance.sample(FILMS, len(FILMS)):
        if begin > opening + LAST_START:
            break
        slots.append(_slot(house, hall, film, begin, chance))
        free = begin + timedelta(minutes=film.minutes) + gap
        begin = _on_the_grid(free + timedelta(minutes=GRID_MIN * chance.randrange(4)))
    return slots


def _slot(house: House, hall: Hall, film: Film, begin: datetime, chance: Random) -> Slot:
    large = hall.large_format and film.large_format
    understood = [language for language in house.speaks if language in film.also_in]
    return Slot(
        film=film,
        starts_at=begin,
        language=chance.choice([film.language, *understood]),
        format="IMAX" if large else "2D",
        prices=prices(begin.astimezone(ZoneInfo(house.timezone)), large=large),
    )


def prices(begin: datetime, *, large: bool) -> dict[Tier, int]:
    """Prices by tier of a show that begins at ``begin`` (local time): mornings are cheap, weekends dear."""
    factor = LARGE_FORMAT if large else 1.0
    if begin.time() < time(12):
        factor *= MATINEE
    elif begin.weekday() >= FRIDAY:
        factor *= WEEKEND
    return {tier: round(price * factor / PRICE_STEP) * PRICE_STEP for tier, price in PRICES.items()}


def _on_the_grid(moment: datetime) -> datetime:
    """The next full five minutes; local offsets are multiples of them."""
    over = timedelta(minutes=moment.minute % GRID_MIN, seconds=moment.second, microseconds=moment.microsecond)
    return moment if not over else moment - over + timedelta(minutes=GRID_MIN)
