"""A film: what it is, and when and where it can be seen in the visitor's city."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from boxoffice.catalog.movies import find_movie
from boxoffice.catalog.whats_on import DAYS_AHEAD, list_places, list_screenings
from boxoffice.postgres.pool import connection
from boxoffice.web.office import Office
from boxoffice.web.pages.browser import PageRequest, browser_of
from boxoffice.web.pages.home import Day, by_day, choose_place
from boxoffice.web.pages.page import render
from boxoffice.web.pages.posters import film_poster_address


@get("/films/{movie_id:uuid}")
async def show_film(
    request: PageRequest, office: NamedDependency[Office], movie_id: FromPath[UUID], city: FromQuery[str] = ""
) -> Response[str]:
    """The film, and its shows of the next days.

    Raises:
        MovieNotFoundError: there is none.
    """
    days: list[Day] = []
    async with connection(office.pool) as conn:
        film = await find_movie(conn, movie_id)
        places = await list_places(conn)
        place = choose_place(places, city, browser_of(request).city)
        if place is not None:
            until = place.today + timedelta(days=DAYS_AHEAD)
            days = by_day(await list_screenings(conn, place.city, place.today, until, movie_id=movie_id))
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
        days=days,
    )


ROUTES: Final = [show_film]
