"""The seat map of a show, what can be taken now, and changes as they happen."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from boxoffice.accounts import Caller
from boxoffice.catalog.theatres import ScreenLayout, ScreenNotFoundError, screen_layout
from boxoffice.errors import ForbiddenError, MalformedError, UnidentifiedError
from boxoffice.postgres.pool import connection
from boxoffice.seating.claims import ShowNotFoundError
from boxoffice.seating.live import LiveEvent, Quiet, SeatsChanged
from boxoffice.seating.seat_map import AvailableSeats, SeatMap, available_of, read_seat_map
from boxoffice.web.errors import problems
from boxoffice.web.identity import on_behalf_of
from boxoffice.web.office import Office

OptionalUser = Annotated[
    UUID | None, QueryParameter(name="userId", required=False, description="Yours, or anybody's for staff.")
]
IfNoneMatch = Annotated[str | None, HeaderParameter(name="If-None-Match", required=False)]
LastEventId = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", required=False, description="The last `version` that was seen."),
]


@get(
    "/seats/shows/{show_id:str}",
    operation_id="seatMap",
    summary="The seat map of a show",
    tags=["seats"],
    responses=problems(MalformedError, UnidentifiedError, ForbiddenError, ShowNotFoundError),
)
async def seat_map(
    office: NamedDependency[Office],
    visitor: NamedDependency[Caller | None],
    show_id: FromPath[UUID],
    user_id: OptionalUser = None,
    if_none_match: IfNoneMatch = None,
) -> Response[SeatMap]:
    """Every seat, by row, then number, as it is now: `available`, `held`, `held_by_me` or `booked`.

    An unpaid booking counts as booked. `held_by_me` and `holdExpiresAt` need the caller's identity. The
    answer has an `ETag`; sent back as `If-None-Match` it brings 304 while nothing has changed.
    """
    viewer = _viewer(visitor, user_id)
    async with connection(office.pool) as conn:
        found = await read_seat_map(conn, show_id, viewer)
    # The map differs by viewer, so its tag does too. A weak one: compression changes the bytes, not the map.
    tag = f'W/"{found.version}-{viewer.hex if viewer else "anyone"}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Authorization, Accept-Encoding"}
    if if_none_match is not None and _matches(if_none_match, tag):
        return Response(None, status_code=304, headers=headers)  # pyright: ignore[reportReturnType]  (no body)
    return Response(found, headers=headers)


@get(
    "/seats/shows/{show_id:str}/available",
    operation_id="availableSeats",
    summary="The seats that can be taken now",
    tags=["seats"],
    responses=problems(MalformedError, ShowNotFoundError),
)
async def available_seats(office: NamedDependency[Office], show_id: FromPath[UUID]) -> AvailableSeats:
    """The free seats of a show, by row, then number."""
    async with connection(office.pool) as conn:
        return available_of(await read_seat_map(conn, show_id, None))


@get(
    "/seats/screens/{screen_id:str}",
    operation_id="screenLayout",
    summary="The layout of a screen",
    tags=["seats"],
    responses=problems(MalformedError, ScreenNotFoundError),
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
    responses=problems(MalformedError, ShowNotFoundError),
    media_type="text/event-stream",
)
async def seat_events(
    office: NamedDependency[Office], show_id: FromPath[UUID], last_event_id: LastEventId = None
) -> ServerSentEvent:
    """Server-Sent Events (WHATWG HTML, section 9.2).

    `seats` events carry `{version, changes: [{id, status}]}`. A `reset` event carries `{version}` and
    means: read the seat map again. Connections without `Last-Event-ID` begin with a `reset`. A comment
    every 15 s keeps the connection open.
    """
    events = office.live_seats.listen(show_id, _version(last_event_id))
    # The first event is awaited here, so that an unknown show is answered 404 and not with an empty stream.
    return ServerSentEvent(_messages(await anext(events), events), retry_duration=2000)


async def _messages(first: LiveEvent, events: AsyncIterator[LiveEvent]) -> AsyncIterator[ServerSentEventMessage]:
    yield wire_form(first)
    async for event in events:
        yield wire_form(event)


def wire_form(event: LiveEvent) -> ServerSentEventMessage:
    """The event as the stream carries it."""
    if isinstance(event, Quiet):
        return ServerSentEventMessage(comment="still here")
    name = "seats" if isinstance(event, SeatsChanged) else "reset"
    return ServerSentEventMessage(
        data=msgspec.json.encode(event).decode(), event=name, id=str(event.version), comment=None
    )


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


def _matches(if_none_match: str, tag: str) -> bool:
    """Weak comparison (RFC 9110, section 13.1.2)."""
    if if_none_match.strip() == "*":
        return True
    opaque = tag.removeprefix("W/")
    return any(one.strip().removeprefix("W/") == opaque for one in if_none_match.split(","))


ROUTES = [seat_map, available_seats, layout, seat_events]
