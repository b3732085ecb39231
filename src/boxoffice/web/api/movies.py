"""Films."""

from typing import Annotated, Final
from uuid import UUID

from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import Body as BodyOf
from litestar.params import FromPath

from boxoffice import idempotency
from boxoffice.accounts import Caller
from boxoffice.audit import Action
from boxoffice.catalog.movies import (
    Movie,
    MovieChanges,
    MovieDraft,
    MovieNotFoundError,
    add_movie,
    change_movie,
    find_movie,
    list_movies,
)
from boxoffice.catalog.paging import BadCursorError, Page, encode
from boxoffice.errors import ForbiddenError, KeyReusedError, MalformedError, UnidentifiedError
from boxoffice.postgres.pool import Connection, connection, transaction
from boxoffice.web.acting import actor, noted
from boxoffice.web.errors import problems
from boxoffice.web.examples import answers, example
from boxoffice.web.fields import PAGE_LIMIT_DEFAULT, Cursor, Limit
from boxoffice.web.identity import manager_only
from boxoffice.web.office import Office
from boxoffice.web.once import IdempotencyKey, answer

_DRAFT: Final = MovieDraft(
    title="Sholay",
    duration_min=204,
    language="Hindi",
    rating="UA 13+",
    genres=["Action", "Drama"],
    synopsis="Two old friends are hired to catch the man who haunts a village.",
    poster_url="https://example.com/posters/sholay.jpg",
    release_year=1975,
)
_MOVIE: Final = Movie(
    id=UUID("0d9f2f0e-3f0b-4f7e-9a52-52a1d1c0a001"),
    title=_DRAFT.title,
    duration_min=_DRAFT.duration_min,
    language=_DRAFT.language,
    rating=_DRAFT.rating,
    genres=_DRAFT.genres,
    synopsis=_DRAFT.synopsis,
    poster_url=_DRAFT.poster_url,
    release_year=_DRAFT.release_year,
)


@get(
    "/movies",
    operation_id="listMovies",
    summary="List films",
    tags=["catalogue"],
    responses={
        200: answers(
            Page[Movie], Page(items=[_MOVIE], next_cursor=encode((_MOVIE.title, _MOVIE.id))), "A page of films."
        )
    }
    | problems(MalformedError, BadCursorError),
)
async def list_all(
    office: NamedDependency[Office], limit: Limit = PAGE_LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[Movie]:
    """Films by title, a page at a time."""
    async with connection(office.pool) as conn:
        return await list_movies(conn, limit, cursor)


@get(
    "/movies/{movie_id:str}",
    operation_id="findMovie",
    summary="See a film",
    tags=["catalogue"],
    responses={200: answers(Movie, _MOVIE, "The film.")} | problems(MalformedError, MovieNotFoundError),
)
async def find(office: NamedDependency[Office], movie_id: FromPath[UUID]) -> Movie:
    """One film."""
    async with connection(office.pool) as conn:
        return await find_movie(conn, movie_id)


@post(
    "/movies",
    operation_id="addMovie",
    summary="Add a film",
    tags=["catalogue"],
    guards=[manager_only],
    status_code=201,
    responses={201: answers(Movie, _MOVIE, "The film.")}
    | problems(MalformedError, UnidentifiedError, ForbiddenError, KeyReusedError),
)
async def add(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    data: Annotated[MovieDraft, BodyOf(examples=[example(_DRAFT)])],
    idempotency_key: IdempotencyKey = None,
) -> Response[Movie]:
    """Takes the role `manager`."""
    key = idempotency.claim(caller.user_id, idempotency_key, "add movie", data)
    who = actor(office, caller)

    async def act(conn: Connection) -> Movie:
        return await noted(conn, who, Action.ADD_MOVIE, add_movie(conn, data), data)

    return answer(await idempotency.once(office.pool, key, act), 201)


@patch(
    "/movies/{movie_id:str}",
    operation_id="changeMovie",
    summary="Change a film",
    tags=["catalogue"],
    guards=[manager_only],
    responses={200: answers(Movie, _MOVIE, "The film as it is now.")}
    | problems(MalformedError, UnidentifiedError, ForbiddenError, MovieNotFoundError),
)
async def change(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    movie_id: FromPath[UUID],
    data: Annotated[MovieChanges, BodyOf(examples=[example(MovieChanges(rating="U", poster_url=None))])],
) -> Movie:
    """What is absent stays as it is; null empties. Shows that were made keep their times. Role `manager`."""
    async with transaction(office.pool) as conn:
        changing = change_movie(conn, movie_id, data)
        return await noted(conn, actor(office, caller), Action.CHANGE_MOVIE, changing, data)


ROUTES = [list_all, find, add, change]
