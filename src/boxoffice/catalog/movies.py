"""Films: what is shown. A film's duration says how long a new show of it takes."""

from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from boxoffice.catalog import Label, Phrase, Prose
from boxoffice.catalog.paging import BEFORE_ALL, Page, decode, page
from boxoffice.errors import MalformedError, UnknownError
from boxoffice.origins import origin_of, with_ascii_host
from boxoffice.postgres.pool import Connection, Row, row

DURATION_MIN_MAX: Final = 24 * 60

Minutes = Annotated[int, Meta(ge=1, le=DURATION_MIN_MAX)]
Genres = Annotated[list[Annotated[Phrase, Meta(min_length=1)]], Meta(max_length=20)]
# `//` and `/\` would be another host, by a name that no page lets in.
Url = Annotated[str, Meta(max_length=2000, pattern=r"\A(https?://|/(?![/\\]))[^\x00-\x20\x7f]*\Z")]
Year = Annotated[int, Meta(ge=1880, le=2200)]


class MovieNotFoundError(UnknownError):
    """There is no such film."""

    code = "movie_not_found"


class MovieDraft(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A film to add."""

    title: Label
    duration_min: Minutes
    language: Annotated[Phrase, Meta(min_length=1)]
    rating: Phrase = ""
    genres: Genres = []
    synopsis: Prose = ""
    poster_url: Url | None = None
    """A path on this site, or an address of another; a host of any language is kept as browsers ask for it."""
    release_year: Year | None = None


class MovieChanges(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What to change of a film; what is absent stays."""

    title: Label | UnsetType = UNSET
    duration_min: Minutes | UnsetType = UNSET
    language: Annotated[Phrase, Meta(min_length=1)] | UnsetType = UNSET
    rating: Phrase | UnsetType = UNSET
    genres: Genres | UnsetType = UNSET
    synopsis: Prose | UnsetType = UNSET
    poster_url: Url | UnsetType | None = UNSET
    release_year: Year | UnsetType | None = UNSET


class Movie(Row, frozen=True, kw_only=True):
    """A film."""

    id: UUID
    title: str
    duration_min: int
    language: str
    rating: str
    """As its board gave it, such as UA 13+."""
    genres: list[str]
    synopsis: str
    poster_url: str | None
    release_year: int | None


_COLUMNS: Final = "id, title, duration_min, language, rating, genres, synopsis, poster_url, release_year"

# A new film.
_ADD = f"""
INSERT INTO movie (title, duration_min, language, rating, genres, synopsis, poster_url, release_year)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING {_COLUMNS}
"""


async def add_movie(conn: Connection, draft: MovieDraft) -> Movie:
    """Add a film.

    Raises:
        MalformedError: its poster is where no page could show it from.
    """
    draft = msgspec.structs.replace(draft, poster_url=_shown_from(draft.poster_url))
    record = await conn.fetchrow(_ADD, *msgspec.structs.astuple(draft))
    return row(Movie, record or {})


# The film as it is, kept from changing until the transaction ends.
_LOCK = f"""
SELECT {_COLUMNS} FROM movie WHERE id = $1 FOR NO KEY UPDATE
"""

# The film as it is to be.
_CHANGE = f"""
UPDATE movie
SET title = $2, duration_min = $3, language = $4, rating = $5, genres = $6, synopsis = $7,
    poster_url = $8, release_year = $9, updated_at = now()
WHERE id = $1 RETURNING {_COLUMNS}
"""


async def change_movie(conn: Connection, movie_id: UUID, changes: MovieChanges) -> Movie:
    """Change a film. Shows that were made already keep their times.

    Raises:
        MalformedError: its poster is where no page could show it from.
        MovieNotFoundError: there is none.
    """
    if changes.poster_url is not UNSET:
        changes = msgspec.structs.replace(changes, poster_url=_shown_from(changes.poster_url))
    record = await conn.fetchrow(_LOCK, movie_id)
    if record is None:
        raise MovieNotFoundError
    wanted = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET}
    changed = msgspec.structs.replace(row(Movie, record), **wanted)
    await conn.execute(_CHANGE, *msgspec.structs.astuple(changed))
    return changed


# One film.
_FIND = f"""
SELECT {_COLUMNS} FROM movie WHERE id = $1
"""


async def find_movie(conn: Connection, movie_id: UUID) -> Movie:
    """The film with this id.

    Raises:
        MovieNotFoundError: there is none.
    """
    record = await conn.fetchrow(_FIND, movie_id)
    if record is None:
        raise MovieNotFoundError
    return row(Movie, record)


# Films by title, from after a given one.
_LIST = f"""
SELECT {_COLUMNS} FROM movie
WHERE (title, id) > ($1, $2)
ORDER BY title, id LIMIT $3
"""


async def list_movies(conn: Connection, limit: int, cursor: str | None = None) -> Page[Movie]:
    """A page of films by title.

    Raises:
        BadCursorError: the cursor is not one of this list.
    """
    title, movie_id = decode(cursor, tuple[str, UUID]) or BEFORE_ALL
    records = await conn.fetch(_LIST, title, movie_id, limit + 1)
    return page([row(Movie, record) for record in records], limit, lambda movie: (movie.title, movie.id))


def _shown_from(poster_url: str | None) -> str | None:
    """Where pages show a poster from: they let its host in by name, which has to be one that browsers understand."""
    if poster_url is None or poster_url.startswith("/"):
        return poster_url
    try:
        shown = with_ascii_host(poster_url)
    except ValueError:
        shown = ""
    if origin_of(shown) is None:
        wanted = (
            "a host's name or IPv4 address, and a port if need be, after https://; else the name in punycode, xn--…"
        )
        raise MalformedError(f"posterUrl: {wanted}", errors={"posterUrl": wanted})
    return shown
