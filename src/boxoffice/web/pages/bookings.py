"""My bookings: what is ahead, what is over, and giving seats back, with what would come back before one agrees."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID, uuid4

import msgspec
from litestar import Response, get, post
from litestar.datastructures import FormMultiDict
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect
from msgspec import Meta

from boxoffice.accounts import Caller
from boxoffice.bookings.cancellation import (
    NotRefundableError,
    RefundChangedError,
    RefundWindowClosedError,
    SeatsAdmittedError,
    admitted_seats,
    quote_refund,
)
from boxoffice.bookings.reading import Booking, find_booking, list_past, list_upcoming
from boxoffice.bookings.refund_policy import Quote, RefundPolicy
from boxoffice.catalog.paging import Page
from boxoffice.errors import KeyReusedError, MalformedError
from boxoffice.idempotency import KEY_LENGTH_MAX
from boxoffice.postgres.pool import connection
from boxoffice.seating.refusals import ForeignSeatsError
from boxoffice.web.api.bookings import owner
from boxoffice.web.api.refunds import do_refund, refund_policy
from boxoffice.web.fields import PRINTABLE, Cursor, SeatIds
from boxoffice.web.office import Office
from boxoffice.web.pages.browser import PageRequest
from boxoffice.web.pages.checkout import caller_of
from boxoffice.web.pages.page import go, render

BOOKINGS_A_PAGE: Final = 10

View = Literal["upcoming", "past"]


@get("/bookings")
async def show_bookings(
    request: PageRequest,
    office: NamedDependency[Office],
    view: Annotated[View, QueryParameter(name="view", required=False)] = "upcoming",
    cursor: Cursor = None,
) -> Response[str]:
    """The visitor's bookings; nobody has none, and is told how to have some."""
    caller: Caller | None = request.state.caller
    found = Page[Booking](items=[], next_cursor=None)
    if caller is not None:
        lister = list_past if view == "past" else list_upcoming
        async with connection(office.pool) as conn:
            found = await lister(conn, caller.user_id, limit=BOOKINGS_A_PAGE, cursor=cursor)
    return render(
        request, "bookings.html", bookings=found.items, next_cursor=found.next_cursor, view=view, first=cursor is None
    )


@get("/bookings/{booking_id:uuid}/refund")
async def show_refund(
    request: PageRequest,
    office: NamedDependency[Office],
    booking_id: FromPath[UUID],
    seat: Annotated[list[UUID] | None, QueryParameter(name="seat", required=False, max_items=100)] = None,
    chosen: Annotated[str | None, QueryParameter(name="chosen", required=False)] = None,
) -> Response[str] | Redirect:
    """What would come back now, of each seat and of those that are ticked; all, until one has chosen."""
    seats = seat if seat is not None else ([] if chosen else None)
    return await _offer(request, office, booking_id, seats)


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What the visitor agreed to: these seats back, for exactly this much (minor units)."""

    seats: SeatIds
    amount: int
    key: Annotated[str, Meta(min_length=1, max_length=KEY_LENGTH_MAX, pattern=PRINTABLE)]


@post("/bookings/{booking_id:uuid}/refund")
async def refund(
    request: PageRequest, office: NamedDependency[Office], booking_id: FromPath[UUID]
) -> Response[str] | Redirect:
    """Give the seats back for the amount that was shown; where that has changed, show the new one instead."""
    agreed = _agreement(await request.form())
    try:
        await do_refund(office, caller_of(request), booking_id, agreed.seats, agreed.key, expected=agreed.amount)
    except (RefundChangedError, RefundWindowClosedError, KeyReusedError):
        return await _offer(request, office, booking_id, agreed.seats, changed=True)
    except (ForeignSeatsError, SeatsAdmittedError):
        # Given back before, perhaps in another tab, or gone in with: what can still be given back is shown.
        return await _offer(request, office, booking_id, None, changed=True)
    except NotRefundableError:
        return go(f"/bookings/{booking_id}")
    return go(f"/bookings/{booking_id}")


ROUTES: Final[list[Any]] = [show_bookings, show_refund, refund]


def _agreement(form: FormMultiDict) -> Agreement:
    """What a form says.

    Raises:
        MalformedError: it is none of ours.
    """
    try:
        return msgspec.convert(
            {"seats": form.getall("seat", []), "amount": form.get("amount"), "key": form.get("key")},
            Agreement,
            strict=False,
        )
    except msgspec.ValidationError as error:
        raise MalformedError("that form is not whole") from error


async def _offer(
    request: PageRequest, office: Office, booking_id: UUID, seats: list[UUID] | None, *, changed: bool = False
) -> Response[str] | Redirect:
    """The page that says what would come back now; ``changed``: instead of doing what was agreed to."""
    whose = owner(caller_of(request))
    policy = refund_policy(office.settings)
    async with connection(office.pool) as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        booking = await find_booking(conn, booking_id, owner=whose)
        used = await admitted_seats(conn, booking.show_id, booking_id)
        kept = [one for one in booking.seats if not one.refunded]
        free = [one.id for one in kept if one.id not in used]
        try:
            each = await quote_refund(conn, booking.show_id, booking_id, seat_ids=free, policy=policy)
        except NotRefundableError:
            return go(f"/bookings/{booking_id}")
        wanted = free if seats is None else [one for one in seats if one in each.by_seat]
        quote = await quote_refund(conn, booking.show_id, booking_id, seat_ids=wanted, policy=policy)
    return render(
        request,
        "refund.html",
        status=409 if changed else 200,
        booking=booking,
        kept=kept,
        used=used,
        each=each,
        quote=quote,
        steps=_steps(booking, policy, quote),
        changed=changed,
        key=str(uuid4()),
    )


def _steps(booking: Booking, policy: RefundPolicy, quote: Quote) -> list[dict[str, Any]]:
    """The policy of this show: how much comes back until when, and which of it holds now."""
    starts = booking.show.start_time
    steps = [(100, starts - policy.full_before), (50, starts - policy.half_before), (0, None)]
    return [
        {"percentage": percentage, "until": until, "now": percentage == quote.percentage} for percentage, until in steps
    ]
