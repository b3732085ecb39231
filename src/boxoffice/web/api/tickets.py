"""Tickets, and checking them in at the door."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.datastructures import CacheControlHeader
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import Body as BodyOf
from litestar.params import FromPath, HeaderParameter
from msgspec import Meta

from boxoffice import idempotency
from boxoffice.accounts import Caller
from boxoffice.audit import Act, Action, Kind
from boxoffice.bookings.reading import BookedMovie, BookedShow, BookedTheatre, BookingNotFoundError, Named
from boxoffice.errors import ForbiddenError, KeyReusedError, MalformedError, UnidentifiedError
from boxoffice.languages import Language, choose_language
from boxoffice.postgres.pool import Connection, connection
from boxoffice.tickets.admission import (
    Admission,
    AdmittedSeat,
    ShowOverError,
    TicketForOtherShowError,
    TicketNotFoundError,
    TicketRefundedError,
    check_in,
)
from boxoffice.tickets.codes import BadTicketCodeError, TicketedSeat, TicketKey, TicketKeys
from boxoffice.tickets.issue import NoTicketsError, SeatOnTicket, ShowOnTicket, Ticket, Tickets, tickets_of
from boxoffice.tickets.qr import qr_svg
from boxoffice.web.acting import note
from boxoffice.web.api.bookings import owner
from boxoffice.web.documentation import NEEDS_NOTHING
from boxoffice.web.errors import problems
from boxoffice.web.examples import (
    BOOKING_ID,
    MOVIE_ID,
    SCREEN_ID,
    SEAT_A1,
    SHOW_ID,
    THEATRE_ID,
    answers,
    example,
)
from boxoffice.web.fields import Body
from boxoffice.web.identity import signed_in, staff_only
from boxoffice.web.office import Office
from boxoffice.web.once import IdempotencyKey, answer

CODE_TYPED_MAX: Final = 500
"""Characters of a code as a client may send it, spaces and all."""
_KEYS_KEPT_S: Final = 3600

_EXAMPLE_KEYS: Final = TicketKeys(["the secret key of an example"])
_EXAMPLE_CODE: Final = _EXAMPLE_KEYS.sign(TicketedSeat(show_id=SHOW_ID, booking_id=BOOKING_ID, position=0))
_SHOW: Final = ShowOnTicket(
    id=SHOW_ID,
    movie=BookedMovie(id=MOVIE_ID, title="Sholay"),
    theatre=BookedTheatre(id=THEATRE_ID, name="Regal", city="Mumbai", timezone="Asia/Kolkata"),
    screen=Named(id=SCREEN_ID, name="Screen 1"),
    start_time=datetime(2030, 1, 31, 13, 0, tzinfo=UTC),
    end_time=datetime(2030, 1, 31, 16, 24, tzinfo=UTC),
    language="Hindi",
    format="2D",
)
_TICKETS: Final = Tickets(
    booking_id=BOOKING_ID,
    currency="INR",
    show=_SHOW,
    tickets=[
        Ticket(
            seat=SeatOnTicket(id=SEAT_A1, row="A", number=1, tier="REGULAR", price=25_000),
            code=_EXAMPLE_CODE,
            qr_svg=qr_svg(_EXAMPLE_CODE, "A1"),
            admitted_at=None,
        )
    ],
)
_ADMISSION: Final = Admission(
    status="admitted",
    at=datetime(2030, 1, 31, 12, 45, tzinfo=UTC),
    booking_id=BOOKING_ID,
    seat=AdmittedSeat(id=SEAT_A1, row="A", number=1, tier="REGULAR"),
    show=BookedShow(
        id=_SHOW.id,
        movie=_SHOW.movie,
        theatre=_SHOW.theatre,
        screen=_SHOW.screen,
        start_time=_SHOW.start_time,
    ),
)
PDF_TYPE: Final = "application/pdf"
CALENDAR_TYPE: Final = "text/calendar"


def _file(media_type: str, description: str, begins: str) -> ResponseSpec:
    return ResponseSpec(
        data_container=bytes,
        media_type=media_type,
        generate_examples=False,
        description=description,
        examples=[Example(id="example", value=begins)],
    )


OF_A_PAID_BOOKING: Final = problems(MalformedError, UnidentifiedError, BookingNotFoundError, NoTicketsError)


@get(
    "/bookings/{booking_id:str}/tickets",
    operation_id="tickets",
    summary="The tickets of a booking",
    tags=["tickets"],
    guards=[signed_in],
    responses={200: answers(Tickets, _TICKETS, "One ticket for each seat.")} | OF_A_PAID_BOOKING,
)
async def tickets(
    office: NamedDependency[Office], caller: NamedDependency[Caller], booking_id: FromPath[UUID]
) -> Tickets:
    """One ticket for each seat that the booking has paid for and not given back. Whoever shows its code goes in."""
    async with connection(office.pool) as conn:
        return await tickets_of(conn, office.ticket_keys, booking_id, owner=owner(caller))


AcceptLanguage = Annotated[
    str,
    HeaderParameter(
        name="Accept-Language", required=False, max_length=500, description="`hi` for Hindi, else English."
    ),
]


@get(
    "/bookings/{booking_id:str}/tickets.pdf",
    operation_id="ticketsPdf",
    summary="The tickets of a booking on a sheet to print",
    tags=["tickets"],
    guards=[signed_in],
    media_type=PDF_TYPE,
    responses={200: _file(PDF_TYPE, "One page, right on A4 and on Letter.", "%PDF-1.7 …")} | OF_A_PAID_BOOKING,
)
async def tickets_as_pdf(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    booking_id: FromPath[UUID],
    accept_language: AcceptLanguage = "",
) -> Response[bytes]:
    """A strip with its QR symbol for each seat, on one page whatever their number."""
    async with connection(office.pool) as conn:
        found = await tickets_of(conn, office.ticket_keys, booking_id, owner=owner(caller))
    return await pdf_answer(found, choose_language(None, accept_language))


async def pdf_answer(found: Tickets, language: Language) -> Response[bytes]:
    """The sheet, as API and pages answer with it; drawn in a thread, since that takes 0.1 to 0.2 s."""
    # What draws pages takes 20 MB: processes that are not asked for one do without.
    from boxoffice.tickets.pdf import tickets_pdf  # noqa: PLC0415

    return _download(await asyncio.to_thread(tickets_pdf, found, language), PDF_TYPE, f"tickets-{found.booking_id}.pdf")


@get(
    "/bookings/{booking_id:str}/calendar.ics",
    operation_id="calendarEntry",
    summary="The show of a booking for a calendar",
    tags=["tickets"],
    guards=[signed_in],
    media_type=CALENDAR_TYPE,
    responses={200: _file(CALENDAR_TYPE, "One event.", "BEGIN:VCALENDAR …")} | OF_A_PAID_BOOKING,
)
async def calendar(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    booking_id: FromPath[UUID],
    accept_language: AcceptLanguage = "",
) -> Response[bytes]:
    """An iCalendar file (RFC 5545). Its UID stays the same, so that taking it again replaces the entry."""
    async with connection(office.pool) as conn:
        found = await tickets_of(conn, office.ticket_keys, booking_id, owner=owner(caller))
    return calendar_answer(found, choose_language(None, accept_language), office.settings.base_url)


def calendar_answer(found: Tickets, language: Language, base_url: str) -> Response[bytes]:
    """The calendar's entry, as API and pages answer with it."""
    # As the sheet's.
    from boxoffice.tickets.calendar_entry import calendar_entry  # noqa: PLC0415

    entry = calendar_entry(found, language, base_url=base_url, now=datetime.now(UTC))
    return _download(entry, CALENDAR_TYPE, f"show-{found.booking_id}.ics")


def _download(content: bytes, media_type: str, name: str) -> Response[bytes]:
    # Never kept by a cache that others share: whoever has it goes in.
    headers = {"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": "private, no-store"}
    return Response(content, media_type=media_type, headers=headers)


class TicketKeySet(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[TicketKey]


@get(
    "/tickets/keys",
    operation_id="ticketKeys",
    summary="The public keys of ticket codes",
    tags=["tickets"],
    opt={NEEDS_NOTHING: True},
    cache_control=CacheControlHeader(public=True, max_age=_KEYS_KEPT_S),
    responses={200: answers(TicketKeySet, TicketKeySet(keys=_EXAMPLE_KEYS.published()), "The keys, newest first.")},
)
async def ticket_keys(office: NamedDependency[Office]) -> TicketKeySet:
    """With these a scanner verifies codes offline: the format is in docs/decisions/0015 of the source.

    `kid` is in every code that the key signed. Fetch them again when a code names a key that you do not have.
    """
    return TicketKeySet(keys=office.ticket_keys.published())


class CheckInRequest(Body, frozen=True, kw_only=True):
    """A scanned code. ``showId``: the show that this door is for, so that tickets of others are refused."""

    code: Annotated[str, Meta(min_length=1, max_length=CODE_TYPED_MAX)]
    show_id: UUID | None = None


@post(
    "/tickets/check-in",
    operation_id="checkIn",
    summary="Let in whoever shows this ticket",
    tags=["tickets"],
    guards=[staff_only],
    status_code=200,
    responses={200: answers(Admission, _ADMISSION, "Let in now, or used before and when.")}
    | problems(
        MalformedError,
        BadTicketCodeError,
        UnidentifiedError,
        ForbiddenError,
        TicketNotFoundError,
        TicketRefundedError,
        TicketForOtherShowError,
        ShowOverError,
        KeyReusedError,
    ),
)
async def check_in_ticket(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    data: Annotated[CheckInRequest, BodyOf(examples=[example(CheckInRequest(code=_EXAMPLE_CODE, show_id=SHOW_ID))])],
    idempotency_key: IdempotencyKey = None,
) -> Response[Admission]:
    """A ticket admits once: `admitted`. Shown again it is `already_admitted`, with the time of the first.

    Send an `Idempotency-Key` with each scan, so that an answer lost on the way can be asked for again.
    """
    ticket = office.ticket_keys.verify(data.code)

    async def admit(conn: Connection) -> Admission:
        admission = await check_in(conn, ticket, by=caller.user_id, at_show=data.show_id)
        if admission.status == "admitted":
            details = {"showId": str(ticket.show_id), "seatId": str(admission.seat.id)}
            act = Act(action=Action.CHECK_IN, kind=Kind.BOOKING, subject_id=ticket.booking_id, details=details)
            await note(conn, office, caller, act)
        return admission

    key = idempotency.claim(caller.user_id, idempotency_key, "check-in", data)
    return answer(await idempotency.once(office.pool, key, admit), 200)


ROUTES = [tickets, tickets_as_pdf, calendar, ticket_keys, check_in_ticket]
