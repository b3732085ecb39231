"""Making a booking: all the seats, free or held by this buyer, or none."""

from datetime import timedelta
from uuid import uuid4

from boxoffice.audit import Actor
from boxoffice.idempotency import Claim, Outcome
from boxoffice.seating.claims import Claims, SeatsWanted


async def make_booking(
    claims: Claims, wanted: SeatsWanted, *, time_to_pay: timedelta, key: Claim | None, by: Actor | None = None
) -> Outcome:
    """A new PENDING booking of the seats, to be paid within ``time_to_pay``; see `Claims.hold` for the rest."""
    return await claims.book(wanted, booking_id=uuid4(), time_to_pay=time_to_pay, key=key, by=by)
