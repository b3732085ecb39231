"""Tickets to take along: the sheet to print and the calendar's entry, in the visitor's language."""

from typing import Any, Final
from uuid import UUID

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from boxoffice.postgres.pool import connection
from boxoffice.tickets.issue import NoTicketsError, Tickets, tickets_of
from boxoffice.web.api.bookings import owner
from boxoffice.web.api.tickets import calendar_answer, pdf_answer
from boxoffice.web.office import Office
from boxoffice.web.pages.browser import PageRequest, browser_of
from boxoffice.web.pages.checkout import caller_of
from boxoffice.web.pages.page import go


@get("/bookings/{booking_id:uuid}/tickets.pdf")
async def print_tickets(
    request: PageRequest, office: NamedDependency[Office], booking_id: FromPath[UUID]
) -> Response[bytes] | Redirect:
    """The sheet; a booking that has no tickets is shown as it is instead."""
    try:
        found = await _tickets(request, office, booking_id)
    except NoTicketsError:
        return go(f"/bookings/{booking_id}")
    return await pdf_answer(found, browser_of(request).language)


@get("/bookings/{booking_id:uuid}/calendar.ics")
async def note_in_calendar(
    request: PageRequest, office: NamedDependency[Office], booking_id: FromPath[UUID]
) -> Response[bytes] | Redirect:
    """The show as an entry of a calendar; a booking that has no tickets is shown as it is instead."""
    try:
        found = await _tickets(request, office, booking_id)
    except NoTicketsError:
        return go(f"/bookings/{booking_id}")
    return calendar_answer(found, browser_of(request).language, office.settings.base_url)


ROUTES: Final[list[Any]] = [print_tickets, note_in_calendar]


async def _tickets(request: PageRequest, office: Office, booking_id: UUID) -> Tickets:
    async with connection(office.pool) as conn:
        return await tickets_of(conn, office.ticket_keys, booking_id, owner=owner(caller_of(request)))
