"""Shows."""

from datetime import UTC, date, datetime
from typing import Annotated, Final
from uuid import UUID

from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import Body as BodyOf
from litestar.params import FromPath, Parameter, QueryParameter

from boxoffice import idempotency
from boxoffice.accounts import Caller
from boxoffice.audit import Action
from boxoffice.catalog.listing import ShowMovie, ShowScreen, ShowTheatre
from boxoffice.catalog.movies import MovieNotFoundError
from boxoffice.catalog.paging import BadCursorError, Page, encode
from boxoffice.catalog.shows import (
    Availability,
    MissingPriceError,
    Prices,
    Show,
    ShowChanges,
    ShowDraft,
    ShowFilters,
    ShowHasBookingsError,
    ShowInPastError,
    ShowNotFoundError,
    ShowOverlapError,
    add_show,
    change_show,
    find_show,
    list_shows,
)
from boxoffice.catalog.theatres import ScreenNotFoundError
from boxoffice.errors import ForbiddenError, KeyReusedError, MalformedError, UnidentifiedError
from boxoffice.postgres.pool import Connection, connection, transaction
from boxoffice.web.acting import actor, noted
from boxoffice.web.errors import problems
from boxoffice.web.examples import answers, example
from boxoffice.web.fields import NO_NUL, PAGE_LIMIT_DEFAULT, Cursor, Limit
from boxoffice.web.identity import manager_only
from boxoffice.web.office import Office
from boxoffice.web.once import IdempotencyKey, answer

_SHOW: Final = Show(
    id=UUID("9a6e1d7c-2b54-4e0f-8d3b-1c7e5f2a4001"),
    movie=ShowMovie(
        id=UUID("0d9f2f0e-3f0b-4f7e-9a52-52a1d1c0a001"),
        title="Sholay",
        duration_min=204,
        rating="UA 13+",
        poster_url="https://example.com/posters/sholay.jpg",
    ),
    theatre=ShowTheatre(
        id=UUID("2c1b7a34-6d0e-4a41-8c39-9f1f0b6c2001"), name="Regal", city="Mumbai", timezone="Asia/Kolkata"
    ),
    screen=ShowScreen(id=UUID("5e8d4b90-0b7c-4a55-b1a4-7d3f5c9e3001"), name="Screen 1"),
    start_time=datetime(2030, 1, 31, 13, 0, tzinfo=UTC),
    end_time=datetime(2030, 1, 31, 16, 24, tzinfo=UTC),
    language="Hindi",
    format="2D",
    prices=Prices(regular=25_000, vip=60_000),
    currency="INR",
    availability=Availability(total=6, available=3, held=1, booked=2),
)
_DRAFT: Final = ShowDraft(
    movie_id=_SHOW.movie.id,
    screen_id=_SHOW.screen.id,
    starts_at=_SHOW.start_time,
    prices=_SHOW.prices,
    language="Hindi",
)

MovieId = Annotated[UUID | None, QueryParameter(name="movieId", required=False, description="Only shows of this film.")]
ScreenId = Annotated[
    UUID | None, QueryParameter(name="screenId", required=False, description="Only shows on this screen.")
]
TheatreId = Annotated[
    UUID | None, QueryParameter(name="theatreId", required=False, description="Only shows in this theatre.")
]
City = Annotated[
    str | None,
    Parameter(required=False, max_length=200, pattern=NO_NUL, description="In capitals or not."),
]
Day = Annotated[
    date | None,
    QueryParameter(name="date", required=False, description="YYYY-MM-DD, the day of the start by the theatre's clock."),
]
IncludePast = Annotated[
    bool, QueryParameter(name="includePast", required=False, description="Shows that have begun, too.")
]


@get(
    "/shows",
    operation_id="listShows",
    summary="List shows",
    tags=["catalogue"],
    responses={
        200: answers(
            Page[Show], Page(items=[_SHOW], next_cursor=encode((_SHOW.start_time, _SHOW.id))), "A page of shows."
        )
    }
    | problems(MalformedError, BadCursorError),
)
async def list_all(  # noqa: PLR0913, PLR0917  (each query parameter is an argument)
    office: NamedDependency[Office],
    movie_id: MovieId = None,
    screen_id: ScreenId = None,
    theatre_id: TheatreId = None,
    city: City = None,
    day: Day = None,
    include_past: IncludePast = False,  # noqa: FBT002  (a query parameter has a name)
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[Show]:
    """Shows by start, a page at a time: those that are still to come, or all of a `date`.

    Filters add up. `availability` counts seats as they are now; an unpaid booking counts as booked.
    """
    filters = ShowFilters(
        movie_id=movie_id,
        screen_id=screen_id,
        theatre_id=theatre_id,
        city=city,
        date=day,
        include_past=include_past,
    )
    async with connection(office.pool) as conn:
        return await list_shows(conn, filters, limit, cursor)


@get(
    "/shows/{show_id:str}",
    operation_id="findShow",
    summary="See a show",
    tags=["catalogue"],
    responses={200: answers(Show, _SHOW, "The show.")} | problems(MalformedError, ShowNotFoundError),
)
async def find(office: NamedDependency[Office], show_id: FromPath[UUID]) -> Show:
    """One show; `GET /seats/shows/{showId}` has its seats."""
    async with connection(office.pool) as conn:
        return await find_show(conn, show_id)


@post(
    "/shows",
    operation_id="addShow",
    summary="Make a show",
    tags=["catalogue"],
    guards=[manager_only],
    status_code=201,
    responses={201: answers(Show, _SHOW, "The show, with all its seats free.")}
    | problems(
        MalformedError,
        ShowInPastError,
        MissingPriceError,
        UnidentifiedError,
        ForbiddenError,
        MovieNotFoundError,
        ScreenNotFoundError,
        ShowOverlapError,
        KeyReusedError,
    ),
)
async def add(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    data: Annotated[ShowDraft, BodyOf(examples=[example(_DRAFT)])],
    idempotency_key: IdempotencyKey = None,
) -> Response[Show]:
    """The show and all its seats, priced by tier (minor units). Takes the role `manager`.

    Every tier of the screen needs a price. The screen must be free from the start until the film is over
    and the screen cleaned; where it is not, `showId` names the show that is there.
    """
    key = idempotency.claim(caller.user_id, idempotency_key, "add show", data)
    gap = office.settings.cleanup_gap
    who = actor(office, caller)

    async def act(conn: Connection) -> Show:
        return await noted(conn, who, Action.ADD_SHOW, add_show(conn, data, cleanup_gap=gap), data)

    return answer(await idempotency.once(office.pool, key, act), 201)


@patch(
    "/shows/{show_id:str}",
    operation_id="changeShow",
    summary="Change a show",
    tags=["catalogue"],
    guards=[manager_only],
    responses={200: answers(Show, _SHOW, "The show as it is now.")}
    | problems(
        MalformedError,
        ShowInPastError,
        UnidentifiedError,
        ForbiddenError,
        ShowNotFoundError,
        ShowOverlapError,
        ShowHasBookingsError,
    ),
)
async def change(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    show_id: FromPath[UUID],
    data: Annotated[ShowChanges, BodyOf(examples=[example(ShowChanges(prices=Prices(vip=65_000)))])],
) -> Show:
    """What is absent stays as it is, each price too. Takes the role `manager`.

    New prices are for seats that nobody has booked. A show with bookings, paid or not, keeps its time.
    """
    async with transaction(office.pool) as conn:
        changing = change_show(conn, show_id, data)
        changed = await noted(conn, actor(office, caller), Action.CHANGE_SHOW, changing, data)
    office.hot_maps.changed(show_id)
    return changed


ROUTES = [list_all, find, add, change]
