"""The front page: what is on in the visitor's city on a day, or wherever the word they look for is in a title."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from boxoffice.catalog.whats_on import Place, Screening, list_places, list_screenings
from boxoffice.postgres.pool import connection
from boxoffice.web.office import Office
from boxoffice.web.pages.browser import PageRequest, browser_of
from boxoffice.web.pages.page import render
from boxoffice.web.pages.posters import poster_address

CHIPS_MAX: Final = 5
"""Shows of a film on the front page; all of them are on the film's own."""
SOUGHT_LENGTH_MAX: Final = 100


class House(msgspec.Struct, frozen=True):
    """A theatre, with its shows of one film on one day."""

    name: str
    shows: list[Screening]


class Day(msgspec.Struct, frozen=True):
    """A day on which a film is shown."""

    day: date
    houses: list[House]


class Billing(msgspec.Struct, frozen=True, kw_only=True):
    """A film on the bill, with its shows by start."""

    film: Screening
    """Any of its shows: what it tells of the film."""
    poster: str
    shows: list[Screening]

    @property
    def days(self) -> list[Day]:
        """As many of them as there is room for, soonest first."""
        return by_day(self.shows[:CHIPS_MAX])

    @property
    def more(self) -> int:
        """Shows that found no room here."""
        return max(0, len(self.shows) - CHIPS_MAX)


@get("/")
async def show_home(
    request: PageRequest,
    office: NamedDependency[Office],
    city: FromQuery[str] = "",
    on: Annotated[str, QueryParameter(name="date")] = "",
    q: FromQuery[str] = "",
) -> Response[str]:
    """The films of a day, soonest first. What makes no sense in the address is left aside: people cut and paste it."""
    sought = " ".join(q.replace("\x00", "").split())[:SOUGHT_LENGTH_MAX]
    day: date | None = None
    bills: list[Billing] = []
    async with connection(office.pool) as conn:
        places = await list_places(conn)
        place = choose_place(places, city, browser_of(request).city)
        if place is not None:
            day = _choose_day(place, on)
            since, until = (place.today, place.today + timedelta(days=7)) if sought else (day, day + timedelta(days=1))
            bills = bill(await list_screenings(conn, place.city, since, until, title=sought))
    return render(
        request,
        "home.html",
        personal=False,
        images=[each.poster for each in bills],
        places=places,
        place=place,
        day=day,
        sought=sought,
        bills=bills,
    )


ROUTES: Final = [show_home]


def choose_place(places: list[Place], *wanted: str | None) -> Place | None:
    """The first of the wanted cities where something is on; else where most is; None where nothing is anywhere."""
    by_name = {place.city.casefold(): place for place in places}
    for city in wanted:
        if city and (found := by_name.get(city.strip().casefold())):
            return found
    return max(places, key=lambda place: place.shows, default=None)


def bill(shows: Iterable[Screening]) -> list[Billing]:
    """The films of these shows, in the order in which they begin."""
    by_film: dict[UUID, list[Screening]] = {}
    for show in shows:
        by_film.setdefault(show.movie_id, []).append(show)
    return [Billing(film=found[0], poster=poster_address(found[0]), shows=found) for found in by_film.values()]


def by_day(shows: list[Screening]) -> list[Day]:
    """Shows by day and, within, by theatre; both in the order in which they begin."""
    days: dict[date, dict[UUID, House]] = {}
    for show in shows:
        houses = days.setdefault(show.day, {})
        houses.setdefault(show.theatre_id, House(show.theatre, [])).shows.append(show)
    return [Day(day, list(houses.values())) for day, houses in days.items()]


def _choose_day(place: Place, wanted: str) -> date:
    """The day of the address if something is on then, else the next one."""
    try:
        day = date.fromisoformat(wanted)
    except ValueError:
        return place.days[0]
    return day if day in place.days else place.days[0]
