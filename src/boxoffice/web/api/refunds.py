"""Giving seats back: what would come back now, and agreeing to it."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import Body as BodyOf
from litestar.params import FromPath, QueryParameter
from msgspec import Meta

from boxoffice import idempotency
from boxoffice.accounts import Caller
from boxoffice.audit import Action
from boxoffice.bookings.cancellation import (
    NotRefundableError,
    RefundChangedError,
    RefundDecision,
    RefundWindowClosedError,
    SeatsAdmittedError,
    quote_refund,
    refund_booking,
)
from boxoffice.bookings.reading import BookingNotFoundError, find_booking, locate_booking
from boxoffice.bookings.refund_policy import RefundPolicy
from boxoffice.errors import ForbiddenError, KeyReusedError, MalformedError, UnidentifiedError
from boxoffice.idempotency import Outcome
from boxoffice.postgres.pool import Connection, connection
from boxoffice.seating.refusals import ForeignSeatsError
from boxoffice.settings import Settings
from boxoffice.web.acting import note_of_booking
from boxoffice.web.api.bookings import owner
from boxoffice.web.api.holds import parse_seat_ids
from boxoffice.web.errors import problems
from boxoffice.web.examples import BOOKING_ID, REFUND_ID, SEAT_A2, answers, example
from boxoffice.web.fields import Body
from boxoffice.web.identity import on_behalf_of, signed_in
from boxoffice.web.office import Office
from boxoffice.web.once import IdempotencyKey, answer


class SeatOffer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What would come back of one seat, in minor units."""

    seat_id: UUID
    refund_amount: int


class RefundOffer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What would come back now. All comes back until ``fullUntil``, half until ``halfUntil``, nothing after it."""

    booking_id: UUID
    currency: str
    original_amount: int
    refund_amount: int
    refund_percentage: int
    seats: list[SeatOffer]
    full_until: datetime
    half_until: datetime


_OFFER: Final = RefundOffer(
    booking_id=BOOKING_ID,
    currency="INR",
    original_amount=25_000,
    refund_amount=25_000,
    refund_percentage=100,
    seats=[SeatOffer(seat_id=SEAT_A2, refund_amount=25_000)],
    full_until=datetime(2030, 1, 30, 13, 0, tzinfo=UTC),
    half_until=datetime(2030, 1, 31, 11, 0, tzinfo=UTC),
)


@get(
    "/payments/refund/{booking_id:str}",
    operation_id="quoteRefund",
    summary="What a refund would give back now",
    tags=["payments"],
    guards=[signed_in],
    responses={200: answers(RefundOffer, _OFFER, "What would come back.")}
    | problems(
        MalformedError,
        ForeignSeatsError,
        UnidentifiedError,
        BookingNotFoundError,
        NotRefundableError,
        SeatsAdmittedError,
    ),
)
async def quote(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    booking_id: FromPath[UUID],
    show_seat_ids: Annotated[
        list[str] | None,
        QueryParameter(name="showSeatIds", required=False, max_items=100, description="Repeated, or one with commas."),
    ] = None,
) -> RefundOffer:
    """Of all the seats that the booking still has, or of some. Nothing is decided: agree by `expectedAmount`."""
    seat_ids = None if show_seat_ids is None else parse_seat_ids(show_seat_ids)
    policy = refund_policy(office.settings)
    async with connection(office.pool) as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        booking = await find_booking(conn, booking_id, owner=owner(caller))
        found = await quote_refund(conn, booking.show_id, booking_id, seat_ids=seat_ids, policy=policy)
    starts_at = booking.show.start_time
    return RefundOffer(
        booking_id=booking_id,
        currency=booking.currency,
        original_amount=found.original_amount,
        refund_amount=found.refund_amount,
        refund_percentage=found.percentage,
        seats=[SeatOffer(seat_id=seat_id, refund_amount=amount) for seat_id, amount in found.by_seat.items()],
        full_until=starts_at - policy.full_before,
        half_until=starts_at - policy.half_before,
    )


class RefundRequestBody(Body, frozen=True, kw_only=True):
    """What to refund: all that the booking still has, or some of its seats."""

    user_id: UUID | None = None
    show_seat_ids: Annotated[list[UUID], Meta(min_length=1, max_length=10)] | None = None
    expected_amount: (
        Annotated[int, Meta(ge=0, description="As quoted, in minor units: exactly that, or 409.")] | None
    ) = None


_DECISION: Final = RefundDecision(
    booking_id=BOOKING_ID,
    refund_id=REFUND_ID,
    original_amount=25_000,
    refund_amount=25_000,
    refund_percentage=100,
    status="PENDING",
)


@post(
    "/payments/refund/{booking_id:str}",
    operation_id="refundBooking",
    summary="Refund a booking, or some of its seats",
    tags=["payments"],
    guards=[signed_in],
    status_code=200,
    responses={200: answers(RefundDecision, _DECISION, "What comes back.")}
    | problems(
        MalformedError,
        ForeignSeatsError,
        UnidentifiedError,
        ForbiddenError,
        BookingNotFoundError,
        NotRefundableError,
        RefundWindowClosedError,
        SeatsAdmittedError,
        RefundChangedError,
        KeyReusedError,
    ),
)
async def refund(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    booking_id: FromPath[UUID],
    data: Annotated[
        RefundRequestBody | None, BodyOf(examples=[example(RefundRequestBody(show_seat_ids=[SEAT_A2]))])
    ] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[RefundDecision]:
    """By the policy: in full until 24 h before the show, half until 2 h before, then nothing.

    The seats are free at once. The gateway is asked by a durable job: `status` is `PENDING` until it has answered.
    Somebody who agreed to an amount is not given another: send it as `expectedAmount`.
    """
    asked = data or RefundRequestBody()
    on_behalf_of(caller, asked.user_id)
    outcome = await do_refund(
        office, caller, booking_id, asked.show_seat_ids, idempotency_key, expected=asked.expected_amount
    )
    return answer(outcome, 200)


async def do_refund(
    office: Office,
    caller: Caller,
    booking_id: UUID,
    seat_ids: list[UUID] | None,
    key_header: str | None,
    *,
    expected: int | None = None,
) -> Outcome:
    """What the operation does, for the API and for the pages."""
    policy = refund_policy(office.settings)
    shows: list[UUID] = []

    async def decide(conn: Connection) -> RefundDecision:
        shows.append(await locate_booking(conn, booking_id, owner=owner(caller)))
        decided = await refund_booking(conn, shows[0], booking_id, seat_ids=seat_ids, policy=policy, expected=expected)
        said = msgspec.to_builtins(decided)
        await note_of_booking(conn, office, caller, Action.REFUND, shows[0], booking_id, **said)
        return decided

    said = [booking_id, seat_ids] if expected is None else [booking_id, seat_ids, expected]
    key = idempotency.claim(caller.user_id, key_header, "refund", said)
    outcome = await idempotency.once(office.pool, key, decide)
    office.hot_maps.changed(*shows)
    return outcome


def refund_policy(settings: Settings) -> RefundPolicy:
    """The policy that the settings say."""
    return RefundPolicy(full_before=settings.refund_full_before, half_before=settings.refund_half_before)


ROUTES = [quote, refund]
