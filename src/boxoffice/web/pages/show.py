"""The page of a show: its hall as it is now, and what is done there: hold, give back, best together, book.

Each act is the API's own; here a form asks for it, and is answered with a page, or with JSON where that is what the
seat map's modules want. Somebody who comes without an identity gets one with the first seat that they hold.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID, uuid4

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect
from markupsafe import Markup

from boxoffice.bookings.reading import unpaid_booking
from boxoffice.catalog.layouts import screen_layout
from boxoffice.catalog.listing import find_show
from boxoffice.errors import BoxOfficeError, ConflictError, MalformedError
from boxoffice.postgres.pool import connection, transaction
from boxoffice.seating.best import Wish
from boxoffice.seating.holds import HeldSeat, held_by, release_holds
from boxoffice.seating.hot_map import HotMap
from boxoffice.seating.refusals import SeatLimitError
from boxoffice.web.api.bookings import BookingRequest, do_book
from boxoffice.web.api.holds import HoldRequest, do_hold
from boxoffice.web.errors import status_of
from boxoffice.web.fields import SEATS_A_REQUEST_MAX
from boxoffice.web.office import Office
from boxoffice.web.pages.browser import PageRequest, become_guest, browser_of
from boxoffice.web.pages.hall_drawing import HallDrawing, HallDrawings, SeatNow
from boxoffice.web.pages.page import formats_of, go, render, wants_page

View = Annotated[Literal["map", "list"], QueryParameter(name="view", description="The hall drawn, or as a list.")]
Answer = Response[Any]

STATES: Final = ("free", "held", "sold")
"""What `boxoffice.seating.map_text.STATUSES` are called on the page."""
MODULES: Final = tuple(
    f"/static/js/{name}.js"
    for name in (
        "seat_map/bar",
        "seat_map/desk",
        "seat_map/hall",
        "seat_map/keyboard",
        "seat_map/live",
        "seat_map/places",
        "seat_map/view",
        "seat_map/voice",
    )
)
"""Named in the page, so that the browser fetches them all at once and not one after the other."""

_COUNT: Final = re.compile(r"[0-9]{1,2}")
_DRAWINGS: Final = HallDrawings()


class NoSeatsChosenError(MalformedError):
    """Choose at least one seat."""

    code = "no_seats_chosen"


class HeldSeatTold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A seat that is held for the visitor, and until when."""

    id: UUID
    expires_at: datetime


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """All that is held for the visitor in a show; ``now`` is the clock that decides, ``total`` readable money."""

    seats: list[HeldSeatTold]
    total: str
    now: datetime | None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the seat map's modules are told when an act is done. ``alone``: seats that the pick leaves single."""

    held: Held
    alone: list[UUID] = []


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """Where to go on with a booking."""

    location: str


@get("/shows/{show_id:str}", include_in_schema=False, media_type=MediaType.HTML)
async def show_page(
    request: PageRequest, office: NamedDependency[Office], show_id: FromPath[UUID], view: View = "map"
) -> Answer:
    """The hall, with the visitor's own seats in it."""
    return await _page(request, office, show_id, as_list=view == "list")


@get("/shows/{show_id:str}/held", include_in_schema=False)
async def held_now(request: PageRequest, office: NamedDependency[Office], show_id: FromPath[UUID]) -> Answer:
    """What is held for the visitor, for a page that has slept."""
    return Response(Told(held=_told(request, await _held(request, office, show_id))))


@post("/shows/{show_id:str}/hold", include_in_schema=False, status_code=200)
async def hold(request: PageRequest, office: NamedDependency[Office], show_id: FromPath[UUID]) -> Answer:
    """Hold seats; those that the visitor holds already are held anew."""
    try:
        wanted = HoldRequest(show_id=show_id, show_seat_ids=await _chosen(request))
        outcome = await do_hold(office, await become_guest(request), wanted, None)
    except BoxOfficeError as error:
        return await _refused(request, office, show_id, error)
    alone = [seat for warning in outcome.answer.get("warnings", []) for seat in warning["seatIds"]]
    return await _done(request, office, show_id, alone)


@post("/shows/{show_id:str}/release", include_in_schema=False, status_code=200)
async def release(request: PageRequest, office: NamedDependency[Office], show_id: FromPath[UUID]) -> Answer:
    """Give seats back; all of them, where none are named."""
    caller = browser_of(request).caller
    if caller is not None:
        seats = await _named(request)
        async with transaction(office.pool) as conn:
            await release_holds(conn, caller.user_id, show_id=show_id, seat_ids=seats or None)
        office.hot_maps.changed(show_id)
    return await _done(request, office, show_id)


@post("/shows/{show_id:str}/best", include_in_schema=False, status_code=200)
async def best(request: PageRequest, office: NamedDependency[Office], show_id: FromPath[UUID]) -> Answer:
    """Hold the best seats together."""
    try:
        wish = Wish(count=await _count(request))
        caller = await become_guest(request)
        await office.usher.hold_best(
            office.claims, show_id, caller.user_id, wish, length=office.settings.seat_hold, key=None
        )
    except BoxOfficeError as error:
        return await _refused(request, office, show_id, error)
    return await _done(request, office, show_id)


@post("/shows/{show_id:str}/book", include_in_schema=False, status_code=200)
async def book(request: PageRequest, office: NamedDependency[Office], show_id: FromPath[UUID]) -> Answer:
    """Book seats, and go on to pay them. Sent twice by one page, it is one booking."""
    try:
        # In one order, whatever the order in which they were chosen: the same seats are the same request.
        seats = sorted(await _chosen(request))
        wanted = BookingRequest(show_id=show_id, show_seat_ids=seats)
        outcome = await do_book(office, await become_guest(request), wanted, await _key(request, seats))
    except BoxOfficeError as error:
        return await _refused(request, office, show_id, error)
    location = f"/bookings/{outcome.answer['id']}"
    return go(location) if wants_page(request) else Response(Booked(location=location))


@get([f"/shows/{{show_id:str}}/{form}" for form in ("hold", "release", "best", "book")], sync_to_thread=False)
def lead_back(show_id: FromPath[UUID]) -> Redirect:
    """Whoever reloads, bookmarks or comes back to the address of a form sees the show."""
    return go(f"/shows/{show_id}?view=list")


ROUTES: Final[list[Any]] = [show_page, held_now, hold, release, best, book, lead_back]


async def _page(
    request: PageRequest,
    office: Office,
    show_id: UUID,
    *,
    as_list: bool,
    refusal: BoxOfficeError | None = None,
) -> Answer:
    caller = browser_of(request).caller
    async with connection(office.pool) as conn:
        show = await find_show(conn, show_id)
        held = [] if caller is None else await held_by(conn, show_id, caller.user_id)
        unpaid = None if caller is None else await unpaid_booking(conn, show_id, caller.user_id)
        drawing = _DRAWINGS.find(show.screen.id) or _DRAWINGS.add(await screen_layout(conn, show.screen.id))
    hot = await office.hot_maps.fresh(show_id)
    prices: dict[str, int] = msgspec.to_builtins(show.prices)
    now = _seats_now(prices, drawing, hot, {seat.id for seat in held})
    refused = _refused_seats(refusal)
    return render(
        request,
        "show.html",
        status=200 if refusal is None else status_of(type(refusal)),
        show=show,
        begun=show.start_time <= datetime.now(UTC),
        as_list=as_list,
        drawing=drawing,
        seats=Markup(drawing.seats(now)),  # noqa: S704  (made of numbers and of words of ours; labels are escaped)
        free=sum(seat.state == "free" for seat in now),
        tiers=[tier for tier in ("REGULAR", "PREMIUM", "VIP") if tier in set(drawing.tiers)],
        prices=prices,
        tier_prices={tier: formats_of(request).money(price, show.currency) for tier, price in prices.items()},
        rows=drawing.rows(now) if as_list else [],
        held=msgspec.to_builtins(_told(request, held)),
        unpaid=unpaid,
        held_names=[f"{seat.row_label}{seat.number}" for seat in held],
        held_until=min((seat.taken_until for seat in held), default=None),
        refusal=None if refusal is None else refusal.code,
        refused=[drawing.names[i] for i, seat in enumerate(now) if seat.id in refused],
        seats_max=SEATS_A_REQUEST_MAX,
        modules=MODULES,
        once=uuid4().hex,
    )


def _seats_now(prices: dict[str, int], drawing: HallDrawing, hot: HotMap, mine: set[UUID]) -> list[SeatNow]:
    return [
        SeatNow(seat, None if price == prices.get(tier) else price, "mine" if seat in mine else STATES[code])
        for seat, price, tier, code in zip(hot.seat_ids, hot.prices, drawing.tiers, hot.codes, strict=True)
    ]


def _refused_seats(refusal: BoxOfficeError | None) -> set[UUID]:
    """The seats that were in the way."""
    found: list[UUID] = [] if refusal is None else refusal.extra.get("showSeatIds", [])
    return set(found)


async def _held(request: PageRequest, office: Office, show_id: UUID) -> list[HeldSeat]:
    caller = browser_of(request).caller
    if caller is None:
        return []
    async with connection(office.pool) as conn:
        return await held_by(conn, show_id, caller.user_id)


def _told(request: PageRequest, held: Sequence[HeldSeat]) -> Held:
    total = formats_of(request).money(sum(seat.price for seat in held), held[0].currency) if held else ""
    return Held(
        seats=[HeldSeatTold(id=seat.id, expires_at=seat.taken_until) for seat in held],
        total=total,
        now=held[0].now if held else None,
    )


async def _done(request: PageRequest, office: Office, show_id: UUID, alone: Sequence[UUID] = ()) -> Answer:
    if wants_page(request):
        return go(f"/shows/{show_id}?view=list")
    return Response(Told(held=_told(request, await _held(request, office, show_id)), alone=list(alone)))


async def _refused(request: PageRequest, office: Office, show_id: UUID, error: BoxOfficeError) -> Answer:
    """What the visitor can do something about is told on the page itself; modules get the problem, as from the API."""
    if wants_page(request) and isinstance(error, ConflictError | MalformedError):
        return await _page(request, office, show_id, as_list=True, refusal=error)
    raise error


async def _chosen(request: PageRequest) -> list[UUID]:
    seats = await _named(request)
    if not seats:
        raise NoSeatsChosenError
    if len(seats) > SEATS_A_REQUEST_MAX:
        raise SeatLimitError(f"at most {SEATS_A_REQUEST_MAX} seats", limit=SEATS_A_REQUEST_MAX)
    return seats


async def _named(request: PageRequest) -> list[UUID]:
    texts = (await request.form()).getall("seat", [])
    try:
        return list(dict.fromkeys(UUID(str(text)) for text in texts))
    except ValueError as error:
        raise MalformedError("seat: UUIDs, please", errors={"seat": "not UUIDs"}) from error


async def _count(request: PageRequest) -> int:
    text = str((await request.form()).get("count", ""))
    if not _COUNT.fullmatch(text) or not 1 <= int(text) <= SEATS_A_REQUEST_MAX:
        wanted = f"a number from 1 to {SEATS_A_REQUEST_MAX}"
        raise MalformedError(f"count: {wanted}", errors={"count": wanted})
    return int(text)


async def _key(request: PageRequest, seats: Sequence[UUID]) -> str | None:
    """Names what one page asks for: asked again, it is the same booking, and other seats are another one."""
    once = str((await request.form()).get("once", ""))
    if not once:
        return None
    said = " ".join([once, *map(str, seats)])
    return f"page-{hashlib.sha256(said.encode()).hexdigest()}"
