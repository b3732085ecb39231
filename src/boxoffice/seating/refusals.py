"""Why seats cannot be claimed."""

from uuid import UUID

from boxoffice.catalog.listing import ShowNotFoundError
from boxoffice.errors import BoxOfficeError, ConflictError, KeyReusedError, MalformedError, UnavailableError

__all__ = [
    "ForeignSeatsError",
    "NotEnoughSeatsError",
    "OrphanSeatError",
    "OutcomeUnknownError",
    "RepeatedSeatsError",
    "SeatLimitError",
    "SeatsTakenError",
    "ShowBegunError",
    "ShowNotFoundError",
    "refusal",
]


class ShowBegunError(ConflictError):
    """The show has begun."""

    code = "show_begun"


class ForeignSeatsError(MalformedError):
    """Some seats are not of this show."""

    code = "unknown_seats"


class RepeatedSeatsError(MalformedError):
    """A seat is named twice."""

    code = "repeated_seats"


class SeatsTakenError(ConflictError):
    """Some seats are taken."""

    code = "seats_taken"


class SeatLimitError(ConflictError):
    """A buyer may have 10 unpaid seats a show."""

    code = "seat_limit_reached"


class NotEnoughSeatsError(ConflictError):
    """There are not that many free seats of that kind."""

    code = "not_enough_seats"


class OrphanSeatError(ConflictError):
    """The pick leaves a seat alone: take it too, or move by one."""

    code = "orphan_seat"


class OutcomeUnknownError(UnavailableError):
    """The database went away before it answered: look whether it was done, or repeat with an Idempotency-Key."""

    code = "outcome_unknown"


def refusal(outcome: str, show_id: UUID, in_the_way: list[UUID] | None, limit: int) -> BoxOfficeError:
    """The error for what became of a claim (`boxoffice.seating.claims`), with the seats that were in its way."""
    seats = {} if in_the_way is None else {"showSeatIds": in_the_way}
    refusals: dict[str, BoxOfficeError] = {
        "unknown": OutcomeUnknownError("the database went away before it answered", retry_after_s=2),
        "key_reused": KeyReusedError("this Idempotency-Key was used before, with another request"),
        "unknown_show": ShowNotFoundError(f"there is no show {show_id}"),
        "show_begun": ShowBegunError("seats are sold until the show begins"),
        "foreign_seats": ForeignSeatsError("some seats are not of this show", **seats),
        "limit": SeatLimitError(f"at most {limit} seats held or unpaid a show; pay or release some", limit=limit),
        "taken": SeatsTakenError("someone else was faster", **seats),
    }
    return refusals[outcome]
