"""Why seats cannot be claimed."""

from boxoffice.errors import ConflictError, MalformedError, UnavailableError, UnknownError


class ShowNotFoundError(UnknownError):
    """There is no such show."""

    code = "show_not_found"


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


class OutcomeUnknownError(UnavailableError):
    """The database went away before it answered: look whether it was done, or repeat with an Idempotency-Key."""

    code = "outcome_unknown"
