"""Posters over HTTP: those that we draw, for films that bring none of their own."""

import hashlib
from functools import lru_cache
from typing import Final
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from boxoffice.catalog.movies import Movie, find_movie
from boxoffice.catalog.whats_on import Screening
from boxoffice.postgres.pool import connection
from boxoffice.web.office import Office
from boxoffice.web.pages.browser import PageRequest
from boxoffice.web.pages.poster_drawing import DRAWING, Credits, draw_poster

FOR_GOOD: Final = "public, max-age=31536000, immutable"
FOR_AN_HOUR: Final = "public, max-age=3600"
POLICY: Final = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""Opened by itself a picture is a document: nothing in it may run or load."""


@get("/posters/{name:str}")
async def show_poster(
    request: PageRequest, office: NamedDependency[Office], name: FromPath[str], v: FromQuery[str] = ""
) -> Response[bytes]:
    """A film's poster, as ``{movieId}.svg``; kept for good by the address that names its version.

    Raises:
        MovieNotFoundError: there is no such film.
    """
    async with connection(office.pool) as conn:
        film = await find_movie(conn, _movie_id(name))
    drawn = _credits(film)
    version = _version(drawn)
    headers = {
        "Cache-Control": FOR_GOOD if v == version else FOR_AN_HOUR,
        "Content-Security-Policy": POLICY,
        "ETag": f'"{version}"',
    }
    if request.headers.get("if-none-match") == f'"{version}"':
        return Response(b"", status_code=304, headers=headers, media_type="image/svg+xml")
    return Response(draw_poster(drawn).encode(), headers=headers, media_type="image/svg+xml")


ROUTES: Final = [show_poster]


def poster_address(show: Screening) -> str:
    """Where the poster of a show's film is: the film's own, or one that we draw."""
    return show.poster_url or _address(
        show.movie_id, Credits(show.title, tuple(show.genres), show.movie_language, show.release_year)
    )


def film_poster_address(film: Movie) -> str:
    """As `poster_address`, of a film."""
    return film.poster_url or _address(film.id, _credits(film))


def _movie_id(name: str) -> UUID:
    try:
        return UUID(name.removesuffix(".svg"))
    except ValueError:
        # No film has this id.
        return UUID(int=0)


def _credits(film: Movie) -> Credits:
    return Credits(film.title, tuple(film.genres), film.language, film.release_year)


def _address(movie_id: UUID, drawn: Credits) -> str:
    return f"/posters/{movie_id}.svg?v={_version(drawn)}"


@lru_cache(maxsize=1024)
def _version(drawn: Credits) -> str:
    return hashlib.sha256(msgspec.json.encode((DRAWING, drawn))).hexdigest()[:12]
