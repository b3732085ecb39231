"""What a guest has picked and bought goes over to the account that the guest signs in to.

Nobody's seats are let go meanwhile: each lease keeps its time, and changes its holder alone. The turns of both buyers
(`boxoffice.seating.claims`) are taken first, so that a claim which either of them makes at that moment looks again.
"""

from typing import Final
from uuid import UUID

from boxoffice.postgres.pool import Connection
from boxoffice.seating.claims import LIVE_SEATS_MAX

# Takes the turns of both buyers ($1 the guest, $2 the account) in every show in which the guest may have seats.
_TAKE_TURNS: Final = """
INSERT INTO show_buyer AS b (show_id, user_id, version, seat_ids)
SELECT theirs.show_id, buyer.user_id, 1, '{}'
  FROM show_buyer theirs CROSS JOIN unnest(ARRAY[$1, $2]::uuid[]) AS buyer (user_id)
 WHERE theirs.user_id = $1
 ORDER BY theirs.show_id, buyer.user_id
ON CONFLICT (show_id, user_id) DO UPDATE SET version = b.version + 1
"""
# The shows in which both together have more live seats than one buyer may. Exact once the turns are taken.
_TOO_MANY: Final = f"""
SELECT s.show_id
  FROM show_buyer b JOIN show_seat s ON s.show_id = b.show_id AND s.id = ANY(b.seat_ids) AND s.holder_id = b.user_id
 WHERE b.user_id IN ($1, $2) AND s.taken_until > now() AND s.taken_until < 'infinity'
 GROUP BY s.show_id HAVING count(*) > {LIVE_SEATS_MAX}
"""
# Gives the guest's bookings to the account, unpaid ones of the shows $3 excepted.
_BOOKINGS: Final = """
WITH theirs AS (
    SELECT show_id, id FROM booking
     WHERE user_id = $1 AND NOT (status = 'PENDING' AND show_id = ANY($3::uuid[]))
     ORDER BY show_id, id
       FOR UPDATE
)
UPDATE booking b SET user_id = $2 FROM theirs WHERE b.show_id = theirs.show_id AND b.id = theirs.id
RETURNING b.show_id
"""
# Gives the guest's seats to the account: those of the bookings that are the account's now, and what is held, but for
# the shows $3. What the account may have is noted with it, for its next claim to count.
_SEATS: Final = """
WITH theirs AS MATERIALIZED (
    SELECT s.show_id, s.id
      FROM booking b
      JOIN booking_seat l ON l.show_id = b.show_id AND l.booking_id = b.id
      JOIN show_seat s ON s.show_id = l.show_id AND s.id = l.seat_id AND s.booking_id = b.id
     WHERE b.user_id = $2
     UNION
    SELECT s.show_id, s.id
      FROM show_buyer b JOIN show_seat s ON s.show_id = b.show_id AND s.id = ANY(b.seat_ids)
     WHERE b.user_id = $1 AND s.booking_id IS NULL AND s.taken_until > now() AND b.show_id <> ALL($3::uuid[])
), locked AS MATERIALIZED (
    SELECT s.show_id, s.id FROM theirs JOIN show_seat s USING (show_id, id)
     WHERE s.holder_id = $1
     ORDER BY s.show_id, s.id
       FOR UPDATE OF s
), adopted AS (
    UPDATE show_seat s SET holder_id = $2, revision = s.revision + 1
      FROM locked
     WHERE s.show_id = locked.show_id AND s.id = locked.id
    RETURNING s.show_id, s.id
), noted AS (
    UPDATE show_buyer b SET seat_ids = b.seat_ids || more.seat_ids
      FROM (SELECT show_id, array_agg(id) AS seat_ids FROM adopted GROUP BY show_id) more
     WHERE b.show_id = more.show_id AND b.user_id = $2
)
SELECT DISTINCT show_id FROM adopted
"""


async def adopt(conn: Connection, guest_id: UUID, account_id: UUID) -> set[UUID]:
    """Give all that the guest has to the account; the shows in which something changed.

    What the two together may not have (`LIVE_SEATS_MAX` live seats a show) stays with the guest: the holds and unpaid
    bookings of such a show lapse in their time. Done again it changes nothing.
    """
    await conn.execute(_TAKE_TURNS, guest_id, account_id)
    too_many = [found["show_id"] for found in await conn.fetch(_TOO_MANY, guest_id, account_id)]
    bookings = await conn.fetch(_BOOKINGS, guest_id, account_id, too_many)
    seats = await conn.fetch(_SEATS, guest_id, account_id, too_many)
    return {found["show_id"] for found in (*bookings, *seats)}
