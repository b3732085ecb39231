"""Why seats cannot be claimed."""

from boxoffice.catalog.listing import ShowNotFoundError
from boxoffice.errors import ConflictError, MalformedError, UnavailableError

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
