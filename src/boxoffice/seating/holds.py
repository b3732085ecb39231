"""Holds: taken by a claim (`boxoffice.seating.claims`), given back here, free the instant they run out."""

from datetime import datetime
from typing import Final
from uuid import UUID

from boxoffice.postgres.pool import Connection, Pool, Row, row, transaction

TIDY_SEATS_MAX: Final = 5_000
"""Lapsed leases that one statement of the tidy job clears."""


class HeldSeat(Row, frozen=True, kw_only=True):
    """A seat that somebody holds: until when, of ``now`` by the database's clock; ``price`` in minor units."""

    id: UUID
    row_label: str
    number: int
    tier: str
    price: int
    currency: str
    taken_until: datetime
    now: datetime


# The live holds of one buyer in a show, as of now and not as of the last look at the map; never a seat in a booking.
_HELD_BY = """
SELECT s.id, s.row_label, s.number, s.tier, s.price, sh.currency, s.taken_until, now() AS now
  FROM show_buyer b
  JOIN show sh ON sh.id = b.show_id
  JOIN show_seat s ON s.show_id = b.show_id AND s.id = ANY(b.seat_ids)
 WHERE b.show_id = $1 AND b.user_id = $2
   AND s.holder_id = $2 AND s.booking_id IS NULL AND s.taken_until > now()
 ORDER BY s.position
"""


async def held_by(conn: Connection, show_id: UUID, user_id: UUID) -> list[HeldSeat]:
    """What the buyer holds in a show, by row, then number."""
    return [row(HeldSeat, record) for record in await conn.fetch(_HELD_BY, show_id, user_id)]


# Gives back the live holds of one buyer; never a seat in a booking. $2 show or null for all, $3 seats or null for all.
_RELEASE = """
WITH mine AS (
    SELECT s.show_id, s.id
      FROM show_buyer b
      JOIN show_seat s ON s.show_id = b.show_id AND s.id = ANY(b.seat_ids)
     WHERE b.user_id = $1 AND ($2::uuid IS NULL OR b.show_id = $2) AND ($3::uuid[] IS NULL OR s.id = ANY($3))
       AND s.holder_id = $1 AND s.booking_id IS NULL AND s.taken_until > now()
     ORDER BY s.show_id, s.id
       FOR UPDATE OF s
), released AS (
    UPDATE show_seat s
       SET taken_until = '-infinity', holder_id = NULL, held_since = NULL, revision = s.revision + 1
      FROM mine
     WHERE s.show_id = mine.show_id AND s.id = mine.id
    RETURNING s.id
)
SELECT count(*) FROM released
"""


async def release_holds(conn: Connection, user_id: UUID, *, show_id: UUID | None, seat_ids: list[UUID] | None) -> int:
    """Give back the buyer's holds (in a show, of certain seats, or all); how many were given back."""
    return await conn.fetchval(_RELEASE, user_id, show_id, seat_ids) or 0


# Clears the names off lapsed leases of shows that are not over. The seats have been free since: this only tidies.
_TIDY = """
WITH lapsed AS (
    SELECT s.show_id, s.id
      FROM show sh JOIN show_seat s ON s.show_id = sh.id
     WHERE sh.ends_at > now() AND s.taken_until <= now() AND s.taken_until > '-infinity'
     ORDER BY s.show_id, s.id LIMIT $1
       FOR UPDATE OF s SKIP LOCKED
), tidied AS (
    UPDATE show_seat s
       SET taken_until = '-infinity', holder_id = NULL, held_since = NULL, booking_id = NULL,
           revision = s.revision + 1
      FROM lapsed
     WHERE s.show_id = lapsed.show_id AND s.id = lapsed.id
    RETURNING s.id
)
SELECT count(*) FROM tidied
"""


async def tidy_lapsed(pool: Pool) -> int:
    """Clear the names off lapsed leases; how many. Nothing waits for this."""
    tidied = 0
    while True:
        async with transaction(pool) as conn:
            batch = await conn.fetchval(_TIDY, TIDY_SEATS_MAX) or 0
        tidied += batch
        if batch < TIDY_SEATS_MAX:
            return tidied
