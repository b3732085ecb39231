"""What a booking's fate does to its seats: sold, given more time, or given back.

All of these join the transaction that changes the booking. Seats are locked in key order, as
claims do, so that none of them can deadlock with another.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from boxoffice.postgres.pool import Connection

# The seats of a booking's lines, locked; ours: nobody has taken the seat since, whether or not the lease ran out.
_LOCK: Final = """
WITH locked AS MATERIALIZED (
    SELECT s.id, s.booking_id IS NOT DISTINCT FROM $2 AS ours, s.taken_until <= now() AS free
      FROM booking_seat l
      JOIN show_seat s ON s.show_id = l.show_id AND s.id = l.seat_id
     WHERE l.show_id = $1 AND l.booking_id = $2
     ORDER BY s.id
       FOR UPDATE OF s
)"""

# Sells all the seats of a booking, if each is its own still or free; else changes nothing.
_SELL = f"""{_LOCK}, sold AS (
    UPDATE show_seat s
       SET taken_until = 'infinity', holder_id = $3, booking_id = $2, held_since = coalesce(s.held_since, now()),
           revision = s.revision + 1
      FROM locked
     WHERE s.show_id = $1 AND s.id = locked.id AND NOT EXISTS (SELECT FROM locked WHERE NOT (ours OR free))
    RETURNING s.id
)
SELECT count(*) > 0 FROM sold
"""


async def sell_seats(conn: Connection, show_id: UUID, booking_id: UUID, user_id: UUID) -> bool:
    """Make the booking's seats its own for good; False, and nothing changed, if any is someone else's now."""
    return await conn.fetchval(_SELL, show_id, booking_id, user_id)


# Keeps all the seats of a booking for it until then, if each is its own still or free; else changes nothing.
_KEEP = f"""{_LOCK}, kept AS (
    UPDATE show_seat s
       SET taken_until = $4, holder_id = $3, booking_id = $2, held_since = coalesce(s.held_since, now()),
           revision = s.revision + 1
      FROM locked
     WHERE s.show_id = $1 AND s.id = locked.id AND NOT EXISTS (SELECT FROM locked WHERE NOT (ours OR free))
    RETURNING s.id
)
SELECT count(*) > 0 FROM kept
"""


async def keep_seats(conn: Connection, show_id: UUID, booking_id: UUID, user_id: UUID, until: datetime) -> bool:
    """Lease the booking its seats until then; False, and nothing changed, if any is someone else's now."""
    return await conn.fetchval(_KEEP, show_id, booking_id, user_id, until)


# Frees those seats of a booking that are its own still; $3 some of them, or null for all.
_GIVE_BACK = f"""{_LOCK}
UPDATE show_seat s
   SET taken_until = '-infinity', holder_id = NULL, held_since = NULL, booking_id = NULL, revision = s.revision + 1
  FROM locked
 WHERE s.show_id = $1 AND s.id = locked.id AND locked.ours AND ($3::uuid[] IS NULL OR s.id = ANY($3))
"""


async def give_back_seats(
    conn: Connection, show_id: UUID, booking_id: UUID, seat_ids: list[UUID] | None = None
) -> None:
    """Free the booking's seats (or some of them) for everybody."""
    await conn.execute(_GIVE_BACK, show_id, booking_id, seat_ids)
