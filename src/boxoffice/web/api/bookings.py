"""Booking, reading bookings, cancelling."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import Body as BodyOf
from litestar.params import FromPath
from msgspec import Meta

from boxoffice import idempotency
from boxoffice.accounts import Caller, Role
from boxoffice.audit import Action
from boxoffice.bookings.cancellation import NotCancellableError, cancel_booking
from boxoffice.bookings.creation import make_booking
from boxoffice.bookings.reading import (
    BookedMovie,
    BookedSeat,
    BookedShow,
    BookedTheatre,
    Booking,
    BookingNotFoundError,
    Named,
    PaymentSummary,
    find_booking,
    list_bookings,
    locate_booking,
)
from boxoffice.bookings.states import BookingStatus
from boxoffice.catalog.paging import BadCursorError, Page, encode
from boxoffice.errors import (
    ForbiddenError,
    MalformedError,
    UnidentifiedError,
)
from boxoffice.idempotency import Outcome
from boxoffice.postgres.pool import connection, transaction
from boxoffice.seating.claims import SeatsWanted
from boxoffice.web.acting import actor_for, note_of_booking
from boxoffice.web.api.holds import CLAIM_PROBLEMS
from boxoffice.web.api.picks import PickWarning, left_alone, remembering, warned
from boxoffice.web.errors import problems
from boxoffice.web.examples import (
    BOOKING_ID,
    MOVIE_ID,
    SCREEN_ID,
    SEAT_A1,
    SEAT_A2,
    SHOW_ID,
    THEATRE_ID,
    USER_ID,
    answers,
    example,
)
from boxoffice.web.fields import PAGE_LIMIT_DEFAULT, PRINTABLE, Body, Cursor, Limit, SeatIds
from boxoffice.web.identity import on_behalf_of, signed_in
from boxoffice.web.office import Office
from boxoffice.web.once import IdempotencyKey, answer, one_key


class BookingRequest(Body, frozen=True, kw_only=True):
    """Seats to book. The idempotency key may come here or in its header."""

    show_id: UUID
    show_seat_ids: SeatIds
    user_id: UUID | None = None
    idempotency_key: (
        Annotated[str, Meta(min_length=1, max_length=idempotency.KEY_LENGTH_MAX, pattern=PRINTABLE)] | None
    ) = None


class NewBookingSeat(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A seat of a new booking, with its price in minor units."""

    id: UUID
    row: str
    number: int
    tier: str
    price: int


class NewBooking(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A booking to be paid before ``expiresAt``."""

    id: UUID
    show_id: UUID
    user_id: UUID
    status: BookingStatus
    total_amount: int
    currency: str
    seats: list[NewBookingSeat]
    expires_at: datetime
    warnings: list[PickWarning] | msgspec.UnsetType = msgspec.UNSET
    """Only where there is one."""


_BOOKING_REQUEST: Final = BookingRequest(
    show_id=SHOW_ID, show_seat_ids=[SEAT_A1, SEAT_A2], idempotency_key="3d1c5a0e-order-of-asha"
)
_NEW_BOOKING: Final = NewBooking(
    id=BOOKING_ID,
    show_id=SHOW_ID,
    user_id=USER_ID,
    status=BookingStatus.PENDING,
    total_amount=50_000,
    currency="INR",
    seats=[
        NewBookingSeat(id=SEAT_A1, row="A", number=1, tier="REGULAR", price=25_000),
        NewBookingSeat(id=SEAT_A2, row="A", number=2, tier="REGULAR", price=25_000),
    ],
    expires_at=datetime(2030, 1, 31, 12, 15, tzinfo=UTC),
)
_BOOKING: Final = Booking(
    id=BOOKING_ID,
    show_id=SHOW_ID,
    user_id=USER_ID,
    status=BookingStatus.CONFIRMED,
    total_amount=_NEW_BOOKING.total_amount,
    currency="INR",
    expires_at=_NEW_BOOKING.expires_at,
    created_at=datetime(2030, 1, 31, 12, 0, tzinfo=UTC),
    seats=[
        BookedSeat(id=seat.id, row=seat.row, number=seat.number, tier=seat.tier, price=seat.price)
        for seat in _NEW_BOOKING.seats
    ],
    payment=PaymentSummary(status="SUCCEEDED", amount=_NEW_BOOKING.total_amount),
    refund_reason=None,
    show=BookedShow(
        id=SHOW_ID,
        movie=BookedMovie(id=MOVIE_ID, title="Sholay"),
        theatre=BookedTheatre(id=THEATRE_ID, name="Regal", city="Mumbai", timezone="Asia/Kolkata"),
        screen=Named(id=SCREEN_ID, name="Screen 1"),
        start_time=datetime(2030, 1, 31, 13, 0, tzinfo=UTC),
    ),
)
_CANCELLED: Final = msgspec.structs.replace(_BOOKING, status=BookingStatus.CANCELLED, payment=None)


@post(
    "/bookings",
    operation_id="book",
    summary="Book seats",
    tags=["bookings"],
    guards=[signed_in],
    status_code=201,
    responses={201: answers(NewBooking, _NEW_BOOKING, "The booking, to be paid in time.")} | CLAIM_PROBLEMS,
)
async def book(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    data: Annotated[BookingRequest, BodyOf(examples=[example(_BOOKING_REQUEST)])],
    idempotency_key: IdempotencyKey = None,
) -> Response[NewBooking]:
    """All of the seats, free or held by the caller, or none. Needs no hold first; is to be paid within 15 minutes.

    About seats left alone as with a hold; seats that the caller holds already are not refused for it.
    """
    return answer(await do_book(office, caller, data, idempotency_key), 201)


async def do_book(office: Office, caller: Caller, data: BookingRequest, key_header: str | None) -> Outcome:
    """What the operation does, whichever way it was reached (`boxoffice.web.hot`)."""
    wanted = SeatsWanted(show_id=data.show_id, user_id=on_behalf_of(caller, data.user_id), seat_ids=data.show_seat_ids)
    key = idempotency.claim(caller.user_id, one_key(key_header, data.idempotency_key), "book", wanted)
    alone = await left_alone(office, caller, wanted, key)
    key = remembering(key, alone)
    by = actor_for(office, caller, wanted.user_id)
    booked = await make_booking(office.claims, wanted, time_to_pay=office.settings.booking_expiry, key=key, by=by)
    return warned(booked, alone)


@get(
    "/bookings/{booking_id:str}",
    operation_id="booking",
    summary="One booking",
    tags=["bookings"],
    guards=[signed_in],
    responses={200: answers(Booking, _BOOKING, "The booking.")}
    | problems(MalformedError, UnidentifiedError, BookingNotFoundError),
)
async def one_booking(
    office: NamedDependency[Office], caller: NamedDependency[Caller], booking_id: FromPath[UUID]
) -> Booking:
    """The booking with its seats, its money and its show; someone else's is unknown (404)."""
    return await do_read(office, caller, booking_id)


async def do_read(office: Office, caller: Caller, booking_id: UUID) -> Booking:
    """What the operation does, whichever way it was reached (`boxoffice.web.hot`)."""
    async with connection(office.pool) as conn:
        return await find_booking(conn, booking_id, owner=owner(caller))


@get(
    "/bookings/user/{user_id:str}",
    operation_id="bookingsOf",
    summary="One person's bookings",
    tags=["bookings"],
    guards=[signed_in],
    responses={
        200: answers(
            Page[Booking],
            Page(items=[_BOOKING], next_cursor=encode((_BOOKING.created_at, _BOOKING.id))),
            "A page of bookings.",
        )
    }
    | problems(MalformedError, BadCursorError, UnidentifiedError, ForbiddenError),
)
async def bookings_of(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    user_id: FromPath[UUID],
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[Booking]:
    """The newest first."""
    whose = on_behalf_of(caller, user_id)
    async with connection(office.pool) as conn:
        return await list_bookings(conn, whose, limit=limit, cursor=cursor)


@patch(
    "/bookings/{booking_id:str}/cancel",
    operation_id="cancelBooking",
    summary="Cancel an unpaid booking",
    tags=["bookings"],
    guards=[signed_in],
    responses={200: answers(Booking, _CANCELLED, "The booking, cancelled now or before.")}
    | problems(MalformedError, UnidentifiedError, BookingNotFoundError, NotCancellableError),
)
async def cancel(
    office: NamedDependency[Office], caller: NamedDependency[Caller], booking_id: FromPath[UUID]
) -> Booking:
    """Frees its seats at once; cancelling again changes nothing. A paid booking is refunded instead."""
    async with transaction(office.pool) as conn:
        show_id = await locate_booking(conn, booking_id, owner=owner(caller))
        if await cancel_booking(conn, show_id, booking_id):
            await note_of_booking(conn, office, caller, Action.CANCEL, show_id, booking_id)
        cancelled = await find_booking(conn, booking_id, owner=None)
    office.hot_maps.changed(show_id)
    return cancelled


def owner(caller: Caller) -> UUID | None:
    """Whose bookings the caller may touch: their own, or (None) with staff anybody's."""
    return None if caller.is_at_least(Role.STAFF) else caller.user_id


ROUTES = [book, one_booking, bookings_of, cancel]
