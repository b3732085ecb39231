"""Tidying after bookings whose time has run out. Their seats have been free since: nothing waits for this."""

from typing import Final

from boxoffice.mail.outbox import Occasion, tell_all
from boxoffice.postgres.pool import Pool, transaction

BATCH_MAX: Final = 500
"""Bookings that one statement handles, so that no lock is held for long."""
ARCHIVE_AFTER_DAYS: Final = 30

# Marks lapsed bookings; one that a payment is settling right now is left to the payment.
_EXPIRE = """
WITH lapsed AS (
    SELECT show_id, id FROM booking
     WHERE status = 'PENDING' AND expires_at <= now()
     ORDER BY expires_at LIMIT $1
       FOR UPDATE SKIP LOCKED
), expired AS (
    UPDATE booking b SET status = 'EXPIRED', ended_at = b.expires_at
      FROM lapsed
     WHERE b.show_id = lapsed.show_id AND b.id = lapsed.id
    RETURNING b.show_id, b.id
)
SELECT show_id, id FROM expired
"""


async def expire_lapsed(pool: Pool) -> int:
    """Mark bookings whose time ran out as EXPIRED, and have their buyers told; how many."""
    done = 0
    while True:
        async with transaction(pool) as conn:
            expired = await conn.fetch(_EXPIRE, BATCH_MAX)
            await tell_all(conn, Occasion.EXPIRED, [(one["show_id"], one["id"]) for one in expired])
        done += len(expired)
        if len(expired) < BATCH_MAX:
            return done


# Folds the seat lines of bookings long over into the booking itself, where its history still shows them.
_ARCHIVE = f"""
WITH old AS (
    SELECT show_id, id FROM booking
     WHERE status IN ('EXPIRED', 'CANCELLED') AND archived_seats IS NULL
       AND ended_at < now() - make_interval(days => {ARCHIVE_AFTER_DAYS})
     ORDER BY ended_at LIMIT $1
       FOR UPDATE SKIP LOCKED
), lines AS (
    DELETE FROM booking_seat l USING old WHERE l.show_id = old.show_id AND l.booking_id = old.id
    RETURNING l.*
), archived AS (
    UPDATE booking b
       SET archived_seats = (
           SELECT coalesce(jsonb_agg(jsonb_build_object(
                      'id', l.seat_id, 'row', l.row_label, 'number', l.number, 'tier', l.tier, 'price', l.price)
                      ORDER BY l.position), '[]')
             FROM lines l WHERE l.show_id = b.show_id AND l.booking_id = b.id)
      FROM old
     WHERE b.show_id = old.show_id AND b.id = old.id
    RETURNING b.id
)
SELECT count(*) FROM archived
"""


async def archive_ended(pool: Pool) -> int:
    """Archive the seat lines of bookings that ended unpaid `ARCHIVE_AFTER_DAYS` ago; how many bookings."""
    done = 0
    while True:
        async with transaction(pool) as conn:
            batch = await conn.fetchval(_ARCHIVE, BATCH_MAX) or 0
        done += batch
        if batch < BATCH_MAX:
            return done
