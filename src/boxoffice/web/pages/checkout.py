"""One address for all of a booking's life: checkout, the wait for the gateway's word, the ticket, and how it ended.

Paying is a form that leads to the gateway's own page. Sent twice, reloaded or from two tabs, it leads to the same
session; what is shown afterwards is what our books say, whatever the gateway's page said on the way back.
"""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter, URLEncodedBody
from litestar.response import Redirect
from msgspec import Meta

from boxoffice.accounts import Caller, Role
from boxoffice.audit import Action
from boxoffice.bookings.cancellation import NotCancellableError, cancel_booking
from boxoffice.bookings.reading import Booking, BookingNotFoundError, locate_booking, see_booking
from boxoffice.errors import MalformedError
from boxoffice.mail.contact import EMAIL_LENGTH_MAX, AddressesUsedUpError, contact_of, set_contact
from boxoffice.payments.gateway import GatewayDownError, GatewayRefusedError
from boxoffice.payments.refunds import Refund, list_refunds
from boxoffice.payments.sessions import NotPayableError
from boxoffice.postgres.pool import Connection, connection, transaction
from boxoffice.tickets.issue import Ticket, tickets_of
from boxoffice.web.acting import note_of_booking
from boxoffice.web.api.bookings import owner
from boxoffice.web.api.payments import session_to_pay
from boxoffice.web.fields import Body
from boxoffice.web.office import Office
from boxoffice.web.pages.browser import PageRequest, browser_of
from boxoffice.web.pages.page import go, render
from boxoffice.web.pages.stages import Stage, poll_s, said_outcome, stage_of

TEMPLATES: Final = {
    Stage.TO_PAY: "checkout.html",
    Stage.DECLINED: "checkout.html",
    Stage.WAITING: "waiting.html",
    Stage.LATE: "waiting.html",
    Stage.TICKET: "ticket.html",
}
"""Any other stage is an end: `booking_over.html`."""

Outcome = Annotated[str | None, QueryParameter(name="outcome", required=False)]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """All that a booking's page tells, read at one moment."""

    booking: Booking
    now: datetime
    refunds: list[Refund]
    tickets: list[Ticket]
    email: str
    """Where the tickets go, as far as that is known; empty: nowhere."""


class ContactForm(Body, frozen=True, kw_only=True):
    """Where to send the tickets, alone or with Pay. Empty: to the account's address, if any; absent: as before."""

    email: Annotated[str, Meta(max_length=EMAIL_LENGTH_MAX)] | None = None


class State(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a page asks for while it waits."""

    stage: Stage
    seconds_left: int


@get("/bookings/{booking_id:uuid}")
async def show_booking(
    request: PageRequest, office: NamedDependency[Office], booking_id: FromPath[UUID], outcome: Outcome = None
) -> Response[str]:
    """The booking's page."""
    return await booking_page(request, office, booking_id, outcome=outcome)


@get("/bookings/{booking_id:uuid}/state")
async def tell_state(
    request: PageRequest, office: NamedDependency[Office], booking_id: FromPath[UUID], outcome: Outcome = None
) -> State:
    """What the page would show now: it asks for itself again when that is another thing."""
    async with connection(office.pool) as conn:
        booking, now = await see_booking(conn, booking_id, owner=_whose(request))
    return State(stage=stage_of(booking, said_outcome(outcome)), seconds_left=_seconds_left(booking, now))


@post("/bookings/{booking_id:uuid}/pay")
async def pay(
    request: PageRequest,
    office: NamedDependency[Office],
    booking_id: FromPath[UUID],
    data: URLEncodedBody[ContactForm],
) -> Redirect | Response[str]:
    """To the gateway's page, as often as it is asked for: a booking has one live session."""
    if data.email is not None and (trouble := await _write_to(request, office, booking_id, data.email)):
        return trouble
    try:
        session = await session_to_pay(office, caller_of(request), booking_id)
    except NotPayableError:
        # Paid, cancelled or lapsed meanwhile: its page says which.
        return go(f"/bookings/{booking_id}")
    except GatewayDownError as error:
        page = await booking_page(request, office, booking_id, status=503, trouble="gateway-down")
        page.headers["Retry-After"] = str(error.retry_after_s)
        return page
    except GatewayRefusedError:
        return await booking_page(request, office, booking_id, status=409, trouble="gateway-refused")
    return go(session.payment_url)


@post("/bookings/{booking_id:uuid}/contact")
async def send_tickets_to(
    request: PageRequest,
    office: NamedDependency[Office],
    booking_id: FromPath[UUID],
    data: URLEncodedBody[ContactForm],
) -> Redirect | Response[str]:
    """Have the tickets mailed to an address that was forgotten, or mistyped, when they were paid for."""
    return await _write_to(request, office, booking_id, data.email or "") or go(f"/bookings/{booking_id}")


@get([f"/bookings/{{booking_id:uuid}}/{form}" for form in ("pay", "contact", "cancel")], sync_to_thread=False)
def lead_back(booking_id: FromPath[UUID]) -> Redirect:
    """Whoever reloads, bookmarks or comes back to the address of a form sees the booking."""
    return go(f"/bookings/{booking_id}")


@post("/bookings/{booking_id:uuid}/cancel")
async def cancel(request: PageRequest, office: NamedDependency[Office], booking_id: FromPath[UUID]) -> Redirect:
    """Give an unpaid booking up; where it is not unpaid any more, its page says what it is."""
    async with transaction(office.pool) as conn:
        show_id = await locate_booking(conn, booking_id, owner=_whose(request))
        try:
            cancelled = await cancel_booking(conn, show_id, booking_id)
        except NotCancellableError:
            return go(f"/bookings/{booking_id}")
        if cancelled:
            await note_of_booking(conn, office, caller_of(request), Action.CANCEL, show_id, booking_id)
    office.hot_maps.changed(show_id)
    return go(f"/bookings/{booking_id}")


ROUTES: Final[list[Any]] = [show_booking, tell_state, pay, send_tickets_to, lead_back, cancel]


async def booking_page(
    request: PageRequest,
    office: Office,
    booking_id: UUID,
    *,
    outcome: str | None = None,
    status: int = 200,
    trouble: str | None = None,
    typed: str | None = None,
) -> Response[str]:
    """The page of a booking of the visitor's, as things stand.

    Raises:
        BookingNotFoundError: there is none, or it is someone else's.
    """
    async with connection(office.pool) as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        seen = await _see(conn, office, booking_id, _whose(request))
    said = said_outcome(outcome)
    stage = stage_of(seen.booking, said)
    return render(
        request,
        TEMPLATES.get(stage, "booking_over.html"),
        status=status,
        booking=seen.booking,
        stage=stage,
        said=said,
        trouble=trouble,
        seconds_left=_seconds_left(seen.booking, seen.now),
        poll_s=poll_s(seen.booking, stage),
        refunds=seen.refunds,
        tickets=seen.tickets,
        email=seen.email if typed is None else typed,
    )


async def _write_to(request: PageRequest, office: Office, booking_id: UUID, email: str) -> Response[str] | None:
    """Keep the address; the page that says why not, if not."""
    caller, language = caller_of(request), browser_of(request).language.code
    try:
        async with transaction(office.pool) as conn:
            show_id = await locate_booking(conn, booking_id, owner=owner(caller))
            address, by_staff = email.strip() or None, caller.is_at_least(Role.STAFF)
            await set_contact(conn, show_id, booking_id, email=address, locale=language, by_staff=by_staff)
            await note_of_booking(conn, office, caller, Action.SET_CONTACT, show_id, booking_id)
    except MalformedError:
        return await booking_page(request, office, booking_id, status=400, trouble="bad-email", typed=email)
    except AddressesUsedUpError:
        return await booking_page(request, office, booking_id, status=409, trouble="emails-used-up")
    return None


async def _see(conn: Connection, office: Office, booking_id: UUID, whose: UUID | None) -> Seen:
    booking, now = await see_booking(conn, booking_id, owner=whose)
    paid = booking.payment is not None
    stage = stage_of(booking, None)
    ticketed, to_pay = stage is Stage.TICKET, stage in {Stage.TO_PAY, Stage.DECLINED}
    contact = await contact_of(conn, booking.show_id, booking_id) if to_pay or ticketed else None
    return Seen(
        booking=booking,
        now=now,
        refunds=await list_refunds(conn, booking.show_id, booking_id) if paid else [],
        tickets=(await tickets_of(conn, office.ticket_keys, booking_id, owner=whose)).tickets if ticketed else [],
        email=(contact and contact.email) or "",
    )


def _seconds_left(booking: Booking, now: datetime) -> int:
    return max(0, int((booking.expires_at - now).total_seconds()))


def caller_of(request: PageRequest) -> Caller:
    """Who looks. Nobody has bookings, and is told no more than a stranger.

    Raises:
        BookingNotFoundError: it is nobody.
    """
    caller: Caller | None = request.state.caller
    if caller is None:
        raise BookingNotFoundError("there is no such booking of yours")
    return caller


def _whose(request: PageRequest) -> UUID | None:
    return owner(caller_of(request))
