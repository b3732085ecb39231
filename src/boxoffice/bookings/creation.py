"""Making a booking: all the seats, free or held by this buyer, or none."""

from datetime import timedelta
from uuid import uuid4

from boxoffice.idempotency import Claim, Outcome
from boxoffice.postgres.pool import Pool
from boxoffice.seating import claims
from boxoffice.seating.claims import SeatsWanted


async def make_booking(pool: Pool, wanted: SeatsWanted, *, time_to_pay: timedelta, key: Claim | None) -> Outcome:
    """A new PENDING booking of the seats, to be paid within ``time_to_pay``; see `claims.hold` for its errors."""
    return await claims.book(pool, wanted, booking_id=uuid4(), time_to_pay=time_to_pay, key=key)
