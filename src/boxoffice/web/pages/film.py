"""A film: what it is, and when and where it can be seen in the visitor's city."""

from datetime import date, timedelta
from typing import Final
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from boxoffice.catalog.movies import find_movie
from boxoffice.catalog.whats_on import DAYS_AHEAD, Screening, list_places, list_screenings
from boxoffice.postgres.pool import connection
from boxoffice.web.office import Office
from boxoffice.web.pages.browser import PageRequest, browser_of
from boxoffice.web.pages.home import choose_place
from boxoffice.web.pages.page import render
from boxoffice.web.pages.posters import film_poster_address


class House(msgspec.Struct, frozen=True):
    """A theatre, with its shows of one film on one day."""

    name: str
    shows: list[Screening]


class Day(msgspec.Struct, frozen=True):
    """A day on which a film is shown."""

    day: date
    houses: list[House]


@get("/films/{movie_id:uuid}")
async def show_film(
    request: PageRequest, office: NamedDependency[Office], movie_id: FromPath[UUID], city: FromQuery[str] = ""
) -> Response[str]:
    """The film, and its shows of the next days.

    Raises:
        MovieNotFoundError: there is none.
    """
    shows: list[Screening] = []
    async with connection(office.pool) as conn:
        film = await find_movie(conn, movie_id)
        places = await list_places(conn)
        place = choose_place(places, city, browser_of(request).city)
        if place is not None:
            until = place.today + timedelta(days=DAYS_AHEAD)
            shows = await list_screenings(conn, place.city, place.today, until, movie_id=movie_id)
    poster = film_poster_address(film)
    return render(
        request,
        "film.html",
        personal=False,
        images=[poster],
        film=film,
        poster=poster,
        places=places,
        place=place,
        days=by_day(shows),
    )


ROUTES: Final = [show_film]


def by_day(shows: list[Screening]) -> list[Day]:
    """Shows by day and, within, by theatre; both in the order in which they begin."""
    days: dict[date, dict[UUID, House]] = {}
    for show in shows:
        houses = days.setdefault(show.day, {})
        houses.setdefault(show.theatre_id, House(show.theatre, [])).shows.append(show)
    return [Day(day, list(houses.values())) for day, houses in days.items()]
