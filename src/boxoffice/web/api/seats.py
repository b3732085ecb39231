"""The seat map of a show, what can be taken now, and changes as they happen."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, get
from litestar.datastructures import ResponseHeader, State
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import FromPath, HeaderParameter, QueryParameter

from boxoffice.accounts import Caller
from boxoffice.catalog.layouts import RowLayout, SeatPlace
from boxoffice.catalog.theatres import ScreenLayout, ScreenNotFoundError, screen_layout
from boxoffice.errors import ForbiddenError, MalformedError, UnidentifiedError
from boxoffice.postgres.pool import connection
from boxoffice.seating.group_commit import OverloadedError
from boxoffice.seating.refusals import ShowNotFoundError
from boxoffice.seating.seat_map import (
    AvailableSeats,
    SeatMap,
    SeatOnMap,
    SeatSummary,
    available_of,
)
from boxoffice.web.errors import problems
from boxoffice.web.event_stream import EventStream
from boxoffice.web.examples import SCREEN_ID, SEAT_A1, SEAT_A2, SEAT_B1, SHOW_ID, answers
from boxoffice.web.identity import on_behalf_of
from boxoffice.web.office import Office
from boxoffice.web.ready import Ready
from boxoffice.web.shown import map_of

OptionalUser = Annotated[
    UUID | None, QueryParameter(name="userId", required=False, description="Yours, or anybody's for staff.")
]
IfNoneMatch = Annotated[
    str | None,
    HeaderParameter(name="If-None-Match", required=False, description="The `ETag` of the map that you have."),
]
LastEventId = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", required=False, description="The last `version` that was seen."),
]

_MAP: Final = SeatMap(
    show_id=SHOW_ID,
    version=7,
    seats=[
        SeatOnMap(
            id=SEAT_A1,
            row="A",
            number=1,
            price=25_000,
            tier="REGULAR",
            kind="standard",
            status="held_by_me",
            hold_expires_at=datetime(2030, 1, 31, 12, 5, tzinfo=UTC),
        ),
        SeatOnMap(id=SEAT_A2, row="A", number=2, price=25_000, tier="REGULAR", kind="standard", status="available"),
        SeatOnMap(id=SEAT_B1, row="B", number=1, price=60_000, tier="VIP", kind="wheelchair", status="booked"),
    ],
    summary=SeatSummary(total=3, available=1, held=0, held_by_me=1, booked=1),
)
_LAYOUT: Final = ScreenLayout(
    screen_id=SCREEN_ID,
    total_seats=3,
    rows=["A", "B"],
    layout=[
        RowLayout(
            row="A",
            seats=[
                SeatPlace(number=1, tier="REGULAR", kind="standard", x=0, y=0),
                SeatPlace(number=2, tier="REGULAR", kind="standard", x=1, y=0),
            ],
        ),
        RowLayout(row="B", seats=[SeatPlace(number=1, tier="VIP", kind="wheelchair", x=0.5, y=1)]),
    ],
)
_EVENTS: Final = f"""\
id: 7
event: reset
data: {{"version":7}}

id: 9
event: seats
data: {{"version":9,"changes":[{{"id":"{SEAT_A2}","status":"held"}}]}}

: still here
event: heartbeat
data: {{}}

"""
_ETAG: Final = ResponseHeader(
    name="ETag", documentation_only=True, description="Names this map as this caller sees it; weak."
)
_MAP_SPEC: Final = {
    200: answers(SeatMap, _MAP, "The map."),
    304: ResponseSpec(data_container=None, description="The map is still the one that `If-None-Match` names."),
}


@get(
    "/seats/shows/{show_id:str}",
    operation_id="seatMap",
    summary="The seat map of a show",
    tags=["seats"],
    response_headers=[_ETAG],
    responses=_MAP_SPEC | problems(MalformedError, UnidentifiedError, ForbiddenError, ShowNotFoundError),
)
async def seat_map(
    request: Request[Any, Any, State],
    office: NamedDependency[Office],
    visitor: NamedDependency[Caller | None],
    show_id: FromPath[UUID],
    user_id: OptionalUser = None,
    if_none_match: IfNoneMatch = None,
) -> Ready[SeatMap]:
    """Every seat, by row, then number, as it is now: `available`, `held`, `held_by_me` or `booked`.

    An unpaid booking counts as booked. `held_by_me` and `holdExpiresAt` need the caller's identity. The
    answer has an `ETag`; sent back as `If-None-Match` it brings 304 while nothing has changed.
    """
    return await answer_map(
        office,
        _viewer(visitor, user_id),
        show_id,
        if_none_match=if_none_match,
        accept_encoding=request.headers.get("accept-encoding", ""),
    )


async def answer_map(
    office: Office, viewer: UUID | None, show_id: UUID, *, if_none_match: str | None, accept_encoding: str
) -> Ready[SeatMap]:
    """The map as the viewer sees it, from memory: ready bytes, compressed where that is accepted."""
    hot = await office.hot_maps.fresh(show_id)
    status, headers, body = map_of(hot, viewer, (if_none_match or "").encode("latin-1", "replace"), accept_encoding)
    return Ready(status, headers, await office.hot_maps.packed(hot, viewer) if body is None else body)


@get(
    "/seats/shows/{show_id:str}/available",
    operation_id="availableSeats",
    summary="The seats that can be taken now",
    tags=["seats"],
    responses={200: answers(AvailableSeats, available_of(_MAP), "The free seats.")}
    | problems(MalformedError, ShowNotFoundError),
)
async def available_seats(office: NamedDependency[Office], show_id: FromPath[UUID]) -> Ready[AvailableSeats]:
    """The free seats of a show, by row, then number."""
    hot = await office.hot_maps.fresh(show_id)
    return Ready(200, [(b"content-type", b"application/json")], hot.available())


@get(
    "/seats/screens/{screen_id:str}",
    operation_id="screenLayout",
    summary="The layout of a screen",
    tags=["seats"],
    responses={200: answers(ScreenLayout, _LAYOUT, "The layout.")} | problems(MalformedError, ScreenNotFoundError),
)
async def layout(office: NamedDependency[Office], screen_id: FromPath[UUID]) -> ScreenLayout:
    """Where each seat of a screen stands, good enough to draw."""
    async with connection(office.pool) as conn:
        return await screen_layout(conn, screen_id)


@get(
    "/seats/shows/{show_id:str}/events",
    operation_id="seatEvents",
    summary="Changes of the seat map as they happen",
    tags=["seats"],
    responses={
        200: ResponseSpec(
            data_container=str,
            media_type="text/event-stream",
            generate_examples=False,
            description="Events for as long as the connection lasts.",
            examples=[Example(id="example", value=_EVENTS)],
        )
    }
    | problems(MalformedError, ShowNotFoundError, OverloadedError),
    media_type="text/event-stream",
)
async def seat_events(
    office: NamedDependency[Office], show_id: FromPath[UUID], last_event_id: LastEventId = None
) -> EventStream:
    """Server-Sent Events (WHATWG HTML, section 9.2).

    `seats` events carry `{version, changes: [{id, status}]}`. A `reset` event carries `{version}` and
    means: read the seat map again. Connections without `Last-Event-ID` begin with a `reset`. After 15 s of
    silence a `heartbeat` event says that the connection lives. Who does not read for half a minute is let go, and
    comes back with `Last-Event-ID`. Where as many listen as may, 503 `overloaded`: read the seat map now and then.
    """
    events = office.live_seats.listen(show_id, _version(last_event_id))
    # The first event is awaited here, so that an unknown show is answered 404 and not with an empty stream.
    return EventStream(await anext(events), events, slow_reader_s=office.settings.slow_client_s)


def _version(last_event_id: str | None) -> int | None:
    if last_event_id is None or not last_event_id.isascii() or not last_event_id.isdigit():
        return None
    return int(last_event_id[:20])


def _viewer(visitor: Caller | None, user_id: UUID | None) -> UUID | None:
    if visitor is None:
        if user_id is not None:
            raise UnidentifiedError("userId needs your identity")
        return None
    return on_behalf_of(visitor, user_id)


ROUTES = [seat_map, available_seats, layout, seat_events]
