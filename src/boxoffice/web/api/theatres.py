"""Theatres and their screens."""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import Body as BodyOf
from litestar.params import FromPath

from boxoffice import idempotency
from boxoffice.accounts import Caller
from boxoffice.audit import Action
from boxoffice.catalog.paging import BadCursorError, Page, encode
from boxoffice.catalog.theatres import (
    BadLayoutError,
    RowDraft,
    Screen,
    ScreenChanges,
    ScreenDraft,
    ScreenInUseError,
    ScreenNameTakenError,
    ScreenNotFoundError,
    SeatDraft,
    Theatre,
    TheatreChanges,
    TheatreDraft,
    TheatreNotFoundError,
    UnknownTimezoneError,
    add_screen,
    add_theatre,
    change_screen,
    change_theatre,
    find_screen,
    find_theatre,
    list_screens,
    list_theatres,
)
from boxoffice.errors import ForbiddenError, KeyReusedError, MalformedError, TooLargeError, UnidentifiedError
from boxoffice.postgres.pool import Connection, connection, transaction
from boxoffice.web.acting import actor, noted
from boxoffice.web.errors import problems
from boxoffice.web.examples import answers, example
from boxoffice.web.fields import PAGE_LIMIT_DEFAULT, Cursor, Limit
from boxoffice.web.identity import manager_only
from boxoffice.web.office import Office
from boxoffice.web.once import IdempotencyKey, answer

LAYOUT_BYTES_MAX: Final = 4 * 1024 * 1024
"""A stadium's layout, 40,000 seats with their places, is larger than other bodies may be."""

_THEATRE_DRAFT: Final = TheatreDraft(name="Regal", city="Mumbai", timezone="Asia/Kolkata")
_THEATRE: Final = Theatre(
    id=UUID("2c1b7a34-6d0e-4a41-8c39-9f1f0b6c2001"), name="Regal", city="Mumbai", timezone="Asia/Kolkata"
)
_SCREEN_DRAFT: Final = ScreenDraft(
    name="Screen 1",
    rows=[
        RowDraft(row="A", seats=[SeatDraft(number=1), SeatDraft(number=2), SeatDraft(number=3, x=3.5)]),
        RowDraft(
            row="B",
            seats=[
                SeatDraft(number=1, tier="VIP"),
                SeatDraft(number=2, tier="VIP", kind="wheelchair"),
                SeatDraft(number=3, tier="VIP", kind="companion", x=3.5),
            ],
        ),
    ],
)
_SCREEN: Final = Screen(
    id=UUID("5e8d4b90-0b7c-4a55-b1a4-7d3f5c9e3001"), theatre_id=_THEATRE.id, name="Screen 1", total_seats=6
)


@get(
    "/theatres",
    operation_id="listTheatres",
    summary="List theatres",
    tags=["catalogue"],
    responses={
        200: answers(
            Page[Theatre],
            Page(items=[_THEATRE], next_cursor=encode((_THEATRE.name, _THEATRE.id))),
            "A page of theatres.",
        )
    }
    | problems(MalformedError, BadCursorError),
)
async def list_all(
    office: NamedDependency[Office], limit: Limit = PAGE_LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[Theatre]:
    """Theatres by name, a page at a time."""
    async with connection(office.pool) as conn:
        return await list_theatres(conn, limit, cursor)


@get(
    "/theatres/{theatre_id:str}",
    operation_id="findTheatre",
    summary="See a theatre",
    tags=["catalogue"],
    responses={200: answers(Theatre, _THEATRE, "The theatre.")} | problems(MalformedError, TheatreNotFoundError),
)
async def find(office: NamedDependency[Office], theatre_id: FromPath[UUID]) -> Theatre:
    """One theatre."""
    async with connection(office.pool) as conn:
        return await find_theatre(conn, theatre_id)


@post(
    "/theatres",
    operation_id="addTheatre",
    summary="Add a theatre",
    tags=["catalogue"],
    guards=[manager_only],
    status_code=201,
    responses={201: answers(Theatre, _THEATRE, "The theatre.")}
    | problems(MalformedError, UnknownTimezoneError, UnidentifiedError, ForbiddenError, KeyReusedError),
)
async def add(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    data: Annotated[TheatreDraft, BodyOf(examples=[example(_THEATRE_DRAFT)])],
    idempotency_key: IdempotencyKey = None,
) -> Response[Theatre]:
    """Takes the role `manager`. `timezone` is an IANA name: it says which day a show is on."""
    key = idempotency.claim(caller.user_id, idempotency_key, "add theatre", data)
    who = actor(office, caller)

    async def act(conn: Connection) -> Theatre:
        return await noted(conn, who, Action.ADD_THEATRE, add_theatre(conn, data), data)

    return answer(await idempotency.once(office.pool, key, act), 201)


@patch(
    "/theatres/{theatre_id:str}",
    operation_id="changeTheatre",
    summary="Change a theatre",
    tags=["catalogue"],
    guards=[manager_only],
    responses={200: answers(Theatre, _THEATRE, "The theatre as it is now.")}
    | problems(MalformedError, UnknownTimezoneError, UnidentifiedError, ForbiddenError, TheatreNotFoundError),
)
async def change(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    theatre_id: FromPath[UUID],
    data: Annotated[TheatreChanges, BodyOf(examples=[example(TheatreChanges(name="Regal"))])],
) -> Theatre:
    """What is absent stays as it is. Takes the role `manager`."""
    async with transaction(office.pool) as conn:
        changing = change_theatre(conn, theatre_id, data)
        return await noted(conn, actor(office, caller), Action.CHANGE_THEATRE, changing, data)


@get(
    "/theatres/{theatre_id:str}/screens",
    operation_id="listScreens",
    summary="List the screens of a theatre",
    tags=["catalogue"],
    responses={
        200: answers(Page[Screen], Page(items=[_SCREEN], next_cursor=encode((_SCREEN.name,))), "A page of screens.")
    }
    | problems(MalformedError, BadCursorError, TheatreNotFoundError),
)
async def list_its_screens(
    office: NamedDependency[Office],
    theatre_id: FromPath[UUID],
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[Screen]:
    """Screens by name, a page at a time; `GET /seats/screens/{screenId}` has the seats of one."""
    async with connection(office.pool) as conn:
        return await list_screens(conn, theatre_id, limit, cursor)


@get(
    "/theatres/{theatre_id:str}/screens/{screen_id:str}",
    operation_id="findScreen",
    summary="See a screen",
    tags=["catalogue"],
    responses={200: answers(Screen, _SCREEN, "The screen.")} | problems(MalformedError, ScreenNotFoundError),
)
async def find_its_screen(
    office: NamedDependency[Office], theatre_id: FromPath[UUID], screen_id: FromPath[UUID]
) -> Screen:
    """One screen; `GET /seats/screens/{screenId}` has its seats."""
    async with connection(office.pool) as conn:
        return await find_screen(conn, theatre_id, screen_id)


@post(
    "/theatres/{theatre_id:str}/screens",
    operation_id="addScreen",
    summary="Add a screen with its seats",
    tags=["catalogue"],
    guards=[manager_only],
    status_code=201,
    request_max_body_size=LAYOUT_BYTES_MAX,
    responses={201: answers(Screen, _SCREEN, "The screen.")}
    | problems(
        MalformedError,
        BadLayoutError,
        UnidentifiedError,
        ForbiddenError,
        TheatreNotFoundError,
        ScreenNameTakenError,
        TooLargeError,
        KeyReusedError,
    ),
)
async def add_its_screen(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    theatre_id: FromPath[UUID],
    data: Annotated[ScreenDraft, BodyOf(examples=[example(_SCREEN_DRAFT)])],
    idempotency_key: IdempotencyKey = None,
) -> Response[Screen]:
    """Rows are listed A, B, …, Z, AA, …, and seats by number, whatever the order here.

    Seats without `x` (seat widths) and `y` (row pitches) stand on a grid; a jump in `x` is an aisle. Up to
    40,000 seats in up to 4 MiB. Takes the role `manager`.
    """
    key = idempotency.claim(caller.user_id, idempotency_key, "add screen", [theatre_id, data])
    who = actor(office, caller)

    async def act(conn: Connection) -> Screen:
        adding = add_screen(conn, theatre_id, data)
        return await noted(conn, who, Action.ADD_SCREEN, adding, {"theatreId": theatre_id} | _said(data))

    return answer(await idempotency.once(office.pool, key, act), 201)


@patch(
    "/theatres/{theatre_id:str}/screens/{screen_id:str}",
    operation_id="changeScreen",
    summary="Change a screen",
    tags=["catalogue"],
    guards=[manager_only],
    request_max_body_size=LAYOUT_BYTES_MAX,
    responses={200: answers(Screen, _SCREEN, "The screen as it is now.")}
    | problems(
        MalformedError,
        BadLayoutError,
        UnidentifiedError,
        ForbiddenError,
        ScreenNotFoundError,
        ScreenNameTakenError,
        ScreenInUseError,
        TooLargeError,
    ),
)
async def change_its_screen(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    theatre_id: FromPath[UUID],
    screen_id: FromPath[UUID],
    data: Annotated[ScreenChanges, BodyOf(examples=[example(ScreenChanges(name="Screen 1"))])],
) -> Screen:
    """What is absent stays as it is. `rows` replaces all seats, as long as the screen has no shows.

    Takes the role `manager`.
    """
    async with transaction(office.pool) as conn:
        changing = change_screen(conn, theatre_id, screen_id, data)
        return await noted(conn, actor(office, caller), Action.CHANGE_SCREEN, changing, _said(data))


def _said(data: ScreenDraft | ScreenChanges) -> dict[str, Any]:
    """What was asked for, for the audit log; of the seats, how many: they can be tens of thousands."""
    said: dict[str, Any] = {}
    if data.name is not msgspec.UNSET:
        said["name"] = data.name
    if data.rows is not msgspec.UNSET:
        said["seats"] = sum(len(one.seats) for one in data.rows)
    return said


ROUTES = [
    list_all,
    find,
    add,
    change,
    list_its_screens,
    find_its_screen,
    add_its_screen,
    change_its_screen,
]
