"""Holding seats, and giving them back."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Response, delete, post
from litestar.di import NamedDependency
from litestar.params import Body as BodyOf
from litestar.params import FromPath, QueryParameter

from boxoffice import idempotency
from boxoffice.accounts import Caller
from boxoffice.audit import Act, Action, Kind
from boxoffice.errors import (
    ForbiddenError,
    KeyReusedError,
    MalformedError,
    UnidentifiedError,
)
from boxoffice.idempotency import Outcome
from boxoffice.postgres.pool import transaction
from boxoffice.seating.claims import SeatsWanted
from boxoffice.seating.group_commit import OverloadedError
from boxoffice.seating.holds import release_holds
from boxoffice.seating.refusals import (
    ForeignSeatsError,
    OrphanSeatError,
    OutcomeUnknownError,
    RepeatedSeatsError,
    SeatLimitError,
    SeatsTakenError,
    ShowBegunError,
    ShowNotFoundError,
)
from boxoffice.web.acting import actor_for, note
from boxoffice.web.api.picks import PickWarning, left_alone, remembering, warned
from boxoffice.web.errors import problems
from boxoffice.web.examples import (
    SEAT_A1,
    SEAT_A2,
    SHOW_ID,
    answers,
    example,
)
from boxoffice.web.fields import Body, SeatIds
from boxoffice.web.identity import on_behalf_of, signed_in
from boxoffice.web.office import Office
from boxoffice.web.once import IdempotencyKey, answer

CLAIM_PROBLEMS = problems(
    MalformedError,
    RepeatedSeatsError,
    ForeignSeatsError,
    UnidentifiedError,
    ForbiddenError,
    ShowNotFoundError,
    SeatsTakenError,
    SeatLimitError,
    OrphanSeatError,
    ShowBegunError,
    KeyReusedError,
    OverloadedError,
    OutcomeUnknownError,
)


class HoldRequest(Body, frozen=True, kw_only=True):
    """Seats to hold; ``userId`` is the caller's own, or anybody's for staff."""

    show_id: UUID
    show_seat_ids: SeatIds
    user_id: UUID | None = None


class Hold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A seat held until then."""

    seat_id: UUID
    expires_at: datetime


class Held(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The seats held; ``expiresIn`` in seconds, for a hold taken anew."""

    success: bool
    holds: list[Hold]
    expires_in: float
    warnings: list[PickWarning] | msgspec.UnsetType = msgspec.UNSET
    """Only where there is one."""


_HOLD_REQUEST: Final = HoldRequest(show_id=SHOW_ID, show_seat_ids=[SEAT_A1, SEAT_A2])
_HELD_UNTIL: Final = datetime(2030, 1, 31, 12, 5, tzinfo=UTC)
_HELD: Final = Held(
    success=True,
    holds=[Hold(seat_id=SEAT_A1, expires_at=_HELD_UNTIL), Hold(seat_id=SEAT_A2, expires_at=_HELD_UNTIL)],
    expires_in=300,
)


@post(
    "/bookings/hold-seats",
    operation_id="holdSeats",
    summary="Hold seats for five minutes",
    tags=["bookings"],
    guards=[signed_in],
    status_code=201,
    responses={201: answers(Held, _HELD, "The seats are held.")} | CLAIM_PROBLEMS,
)
async def hold(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    data: Annotated[HoldRequest, BodyOf(examples=[example(_HOLD_REQUEST)])],
    idempotency_key: IdempotencyKey = None,
) -> Response[Held]:
    """All of the seats, or none.

    Adds to what the caller holds; a seat held already is renewed, up to 15 minutes from when it was first taken.
    Where seats would be left alone that hardly anybody buys, the answer has `warnings`, or, by the house's rule, the
    hold is refused with `orphan_seat`.
    """
    return answer(await do_hold(office, caller, data, idempotency_key), 201)


async def do_hold(office: Office, caller: Caller, data: HoldRequest, key_header: str | None) -> Outcome:
    """What the operation does, whichever way it was reached (`boxoffice.web.hot`)."""
    wanted = SeatsWanted(show_id=data.show_id, user_id=on_behalf_of(caller, data.user_id), seat_ids=data.show_seat_ids)
    key = idempotency.claim(caller.user_id, key_header, "hold", wanted)
    alone = await left_alone(office, caller, wanted, key)
    held = await office.claims.hold(
        wanted,
        length=office.settings.seat_hold,
        key=remembering(key, alone),
        by=actor_for(office, caller, wanted.user_id),
    )
    return warned(held, alone)


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """How many holds were given back."""

    released: int


@delete(
    "/bookings/holds/{user_id:str}",
    operation_id="releaseHolds",
    summary="Give held seats back",
    tags=["bookings"],
    guards=[signed_in],
    status_code=200,
    responses={200: answers(Released, Released(released=2), "How many holds were given back.")}
    | problems(MalformedError, UnidentifiedError, ForbiddenError),
)
async def release(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    user_id: FromPath[UUID],
    show_id: Annotated[
        UUID | None, QueryParameter(name="showId", required=False, description="Only holds in this show.")
    ] = None,
    show_seat_ids: Annotated[
        list[str] | None,
        QueryParameter(name="showSeatIds", required=False, max_items=100, description="Repeated, or one with commas."),
    ] = None,
) -> Released:
    """The holds in a show, of certain seats, or all. Seats in a booking stay: cancel it instead."""
    seat_ids = None if show_seat_ids is None else parse_seat_ids(show_seat_ids)
    whose = on_behalf_of(caller, user_id)
    async with transaction(office.pool) as conn:
        released = await release_holds(conn, whose, show_id=show_id, seat_ids=seat_ids)
        if released and whose != caller.user_id:
            details = {"showId": show_id, "showSeatIds": seat_ids, "released": released}
            act = Act(action=Action.RELEASE_SEATS, kind=Kind.ACCOUNT, subject_id=whose, details=details)
            await note(conn, office, caller, act)
    office.hot_maps.changed_holds_of(whose)
    return Released(released=released)


def parse_seat_ids(texts: list[str]) -> list[UUID]:
    """The ids in ``showSeatIds`` of a query: repeated, or one with commas.

    Raises:
        MalformedError: they are no UUIDs.
    """
    try:
        return [UUID(one.strip()) for text in texts for one in text.split(",") if one.strip()]
    except ValueError as error:
        raise MalformedError("showSeatIds: UUIDs, please", errors={"showSeatIds": "not UUIDs"}) from error


ROUTES = [hold, release]
