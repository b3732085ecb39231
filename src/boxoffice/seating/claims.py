"""Claiming seats: one statement takes all that were asked for, or none; one row can have one holder.

Each claim is one statement and its own transaction, so that no round trip happens inside a
lock. It goes like this:

1. Look without locking. A seat that is visibly someone else's refuses the claim at once,
   so that a crowd at one seat costs reads, not writes.
2. Take this buyer's turn (`show_buyer`): two requests of one person meet on this row. The
   turn is given only if nobody took one since we looked (``version``); then the count of the
   buyer's live seats that we looked up is exact, and the limit holds. A lost turn changes
   nothing and the claim is run again.
3. Lock the seats in key order, which no two claims can deadlock in, and look again: the
   lock shows each row as it is now, whatever it was when we looked.
4. If all are claimable, move their leases; for a booking, insert it with its lines.

An idempotency key is inserted in the same statement, so it exists exactly if the change does.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from boxoffice.errors import ConflictError, MalformedError, UnavailableError, UnknownError
from boxoffice.idempotency import Claim, Outcome, recall
from boxoffice.postgres.pool import Connection, Pool, connection, constraint_of

LIVE_SEATS_MAX: Final = 10
"""Seats that one buyer may have held or in unpaid bookings, a show."""
TURNS_MAX: Final = 200
"""How often a claim is run again because the same buyer's other requests went first."""


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


class BusyBuyerError(UnavailableError):
    """Too many requests of one buyer at once."""

    code = "buyer_busy"


class SeatsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants which seats of which show."""

    show_id: UUID
    user_id: UUID
    seat_ids: list[UUID]


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """What the statement reports: an outcome, and its answer or the seats in the way."""

    outcome: str
    in_the_way: list[UUID] | None
    answer: Any


# A time inside an answer, as the API writes times.
def _utc(column: str) -> str:
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


# The part that holding and booking share: $1 show, $2 buyer, $3 seats. A seat is claimable when it is free, or
# held by this buyer and in no booking.
_CLAIMABLE = "(s.taken_until <= now() OR (s.holder_id = $2 AND s.booking_id IS NULL))"
_TAKE_TURN_AND_LOCK = f"""
WITH seen AS (
    SELECT s.id, {_CLAIMABLE} AS claimable
      FROM show_seat s
     WHERE s.show_id = $1 AND s.id = ANY($3::uuid[])
), buyer AS (
    SELECT coalesce(max(b.version), 0) AS version,
           coalesce(array_agg(s.id) FILTER (WHERE s.id <> ALL($3::uuid[]) AND s.holder_id = $2
                                              AND s.taken_until > now() AND s.taken_until < 'infinity'), '{{}}')
               AS other_live_seats
      FROM show_buyer b
      LEFT JOIN show_seat s ON s.show_id = b.show_id AND s.id = ANY(b.seat_ids)
     WHERE b.show_id = $1 AND b.user_id = $2
), looked AS (
    SELECT CASE WHEN sh.id IS NULL THEN 'unknown_show'
                WHEN sh.starts_at <= now() THEN 'show_begun'
                WHEN (SELECT count(*) FROM seen) < cardinality($3::uuid[]) THEN 'foreign_seats'
                WHEN EXISTS (SELECT FROM seen WHERE NOT claimable) THEN 'taken'
                WHEN cardinality(buyer.other_live_seats) + cardinality($3::uuid[]) > {LIVE_SEATS_MAX} THEN 'limit'
                ELSE 'claimable' END AS verdict,
           sh.currency, buyer.version, buyer.other_live_seats
      FROM buyer LEFT JOIN show sh ON sh.id = $1
), turn AS (
    INSERT INTO show_buyer AS b (show_id, user_id, version, seat_ids)
    SELECT $1, $2, version + 1, other_live_seats || $3::uuid[] FROM looked WHERE verdict = 'claimable'
    ON CONFLICT (show_id, user_id) DO UPDATE SET version = excluded.version, seat_ids = excluded.seat_ids
     WHERE b.version = excluded.version - 1
    RETURNING b.version
), locked AS MATERIALIZED (
    SELECT s.id, s.position, s.row_label, s.number, s.tier, s.price, s.taken_until, s.held_since,
           {_CLAIMABLE} AS claimable
      FROM show_seat s
     WHERE s.show_id = $1 AND s.id = ANY($3::uuid[]) AND EXISTS (SELECT FROM turn)
     ORDER BY s.id
       FOR UPDATE OF s
), verdict AS (
    SELECT CASE WHEN looked.verdict <> 'claimable' THEN looked.verdict
                WHEN NOT EXISTS (SELECT FROM turn) THEN 'again'
                WHEN EXISTS (SELECT FROM locked WHERE NOT claimable) THEN 'taken'
                ELSE 'claimed' END AS outcome,
           looked.currency
      FROM looked
)"""

_IN_THE_WAY = """CASE verdict.outcome
        WHEN 'taken' THEN ARRAY(SELECT id FROM seen WHERE NOT claimable
                                UNION SELECT id FROM locked WHERE NOT claimable)
        WHEN 'foreign_seats' THEN ARRAY(SELECT unnest($3::uuid[]) EXCEPT SELECT id FROM seen)
    END AS in_the_way"""

# $4 length of a hold, $5 the longest, $6..$8 idempotency key or nulls. A seat of one's own is renewed, counted from
# when it was first taken; its lease never gets shorter.
_HOLD = f"""{_TAKE_TURN_AND_LOCK}, held AS (
    UPDATE show_seat s
       SET taken_until = CASE WHEN locked.taken_until <= now() THEN now() + $4::interval
                              ELSE greatest(locked.taken_until,
                                            least(now() + $4::interval, locked.held_since + $5::interval)) END,
           held_since = CASE WHEN locked.taken_until <= now() THEN now() ELSE locked.held_since END,
           holder_id = $2, booking_id = NULL, revision = s.revision + 1
      FROM locked, verdict
     WHERE s.show_id = $1 AND s.id = locked.id AND verdict.outcome = 'claimed'
    RETURNING s.id, s.position, s.taken_until
), answer AS (
    SELECT jsonb_build_object('success', true, 'holds',
               jsonb_agg(jsonb_build_object('seatId', held.id, 'expiresAt', {_utc("held.taken_until")})
                         ORDER BY held.position),
               'expiresIn', extract(epoch FROM $4::interval)::float8) AS body
      FROM held HAVING count(*) > 0
), remembered AS (
    INSERT INTO idempotency_key (caller_id, key, fingerprint, answer)
    SELECT $6::uuid, $7::text, $8::bytea, body FROM answer WHERE $7::text IS NOT NULL
)
SELECT verdict.outcome, {_IN_THE_WAY}, (SELECT body FROM answer) AS answer
  FROM verdict
"""


async def hold(pool: Pool, wanted: SeatsWanted, *, length: timedelta, longest: timedelta, key: Claim | None) -> Outcome:
    """Hold all the seats for ``length``, renewing those already held, or none.

    Raises:
        ShowNotFoundError, ShowBegunError: the show cannot be held seats of.
        RepeatedSeatsError, ForeignSeatsError: the request names no set of this show's seats.
        SeatsTakenError: with ``showSeatIds`` of the seats in conflict.
        SeatLimitError: the buyer would have more than `LIVE_SEATS_MAX` live seats.
        KeyReusedError: the key was used with another payload.
    """

    async def attempt(conn: Connection) -> Mapping[str, Any] | None:
        return await conn.fetchrow(
            _HOLD, wanted.show_id, wanted.user_id, wanted.seat_ids, length, longest, *_key_columns(key)
        )

    return await _claim(pool, wanted, key, attempt)


# $4 the booking's id, $5 time to pay, $6..$8 idempotency key or nulls. The booking, its lines and its seats' leases
# appear together.
_BOOK = f"""{_TAKE_TURN_AND_LOCK}, booked AS (
    INSERT INTO booking (show_id, id, user_id, total_amount, currency, expires_at)
    SELECT $1, $4, $2, (SELECT sum(price) FROM locked), verdict.currency, now() + $5::interval
      FROM verdict WHERE verdict.outcome = 'claimed'
    RETURNING id, status, total_amount, currency, expires_at
), leased AS (
    UPDATE show_seat s
       SET taken_until = booked.expires_at, holder_id = $2, booking_id = booked.id,
           held_since = CASE WHEN locked.taken_until <= now() THEN now() ELSE locked.held_since END,
           revision = s.revision + 1
      FROM locked, booked
     WHERE s.show_id = $1 AND s.id = locked.id
), lines AS (
    INSERT INTO booking_seat (show_id, booking_id, seat_id, position, price, number, row_label, tier)
    SELECT $1, booked.id, locked.id, locked.position, locked.price, locked.number, locked.row_label, locked.tier
      FROM locked, booked
), answer AS (
    SELECT jsonb_build_object('id', booked.id, 'showId', $1, 'userId', $2, 'status', booked.status,
               'totalAmount', booked.total_amount, 'currency', booked.currency,
               'expiresAt', {_utc("booked.expires_at")},
               'seats', (SELECT jsonb_agg(jsonb_build_object('id', id, 'row', row_label, 'number', number,
                                                             'tier', tier, 'price', price) ORDER BY position)
                           FROM locked)) AS body
      FROM booked
), remembered AS (
    INSERT INTO idempotency_key (caller_id, key, fingerprint, answer)
    SELECT $6::uuid, $7::text, $8::bytea, body FROM answer WHERE $7::text IS NOT NULL
)
SELECT verdict.outcome, {_IN_THE_WAY}, (SELECT body FROM answer) AS answer
  FROM verdict
"""


async def book(
    pool: Pool, wanted: SeatsWanted, *, booking_id: UUID, time_to_pay: timedelta, key: Claim | None
) -> Outcome:
    """Put all the seats, free or held by this buyer, into one new unpaid booking, or none.

    Raises: as `hold`.
    """

    async def attempt(conn: Connection) -> Mapping[str, Any] | None:
        return await conn.fetchrow(
            _BOOK,
            wanted.show_id,
            wanted.user_id,
            wanted.seat_ids,
            booking_id,
            time_to_pay,
            *_key_columns(key),
        )

    return await _claim(pool, wanted, key, attempt)


async def _claim(
    pool: Pool,
    wanted: SeatsWanted,
    key: Claim | None,
    attempt: Callable[[Connection], Awaitable[Mapping[str, Any] | None]],
) -> Outcome:
    if len(set(wanted.seat_ids)) < len(wanted.seat_ids):
        twice = sorted({seat for seat in wanted.seat_ids if wanted.seat_ids.count(seat) > 1})
        raise RepeatedSeatsError("a seat is named twice", showSeatIds=twice)
    async with connection(pool) as conn:
        if key is not None and (first := await recall(conn, key)) is not None:
            return Outcome(answer=first, replayed=True)
        try:
            claimed = await _run(conn, attempt)
        except asyncpg.UniqueViolationError as error:
            if constraint_of(error) != "idempotency_key_pkey":
                raise
            claimed = None
        if claimed is not None and claimed.outcome == "claimed":
            return Outcome(answer=claimed.answer, replayed=False)
        # The request may have lost to its own twin, which was in flight when we looked for the key.
        if key is not None and (first := await recall(conn, key)) is not None:
            return Outcome(answer=first, replayed=True)
        if claimed is None:
            raise BusyBuyerError("the first request with this Idempotency-Key is still being answered")
        raise _refusal(claimed, wanted)


async def _run(conn: Connection, attempt: Callable[[Connection], Awaitable[Mapping[str, Any] | None]]) -> Claimed:
    for _ in range(TURNS_MAX):
        found = await attempt(conn)
        if found is None:
            break
        claimed = Claimed(**found)
        if claimed.outcome != "again":
            return claimed
    raise BusyBuyerError("your other requests for this show keep going first")


def _refusal(claimed: Claimed, wanted: SeatsWanted) -> Exception:
    match claimed.outcome:
        case "unknown_show":
            return ShowNotFoundError(f"there is no show {wanted.show_id}")
        case "show_begun":
            return ShowBegunError("seats are sold until the show begins")
        case "foreign_seats":
            return ForeignSeatsError("some seats are not of this show", showSeatIds=claimed.in_the_way)
        case "limit":
            return SeatLimitError(
                f"at most {LIVE_SEATS_MAX} seats held or unpaid a show; pay or release some",
                limit=LIVE_SEATS_MAX,
            )
        case _:
            return SeatsTakenError("someone else was faster", showSeatIds=claimed.in_the_way)


def _key_columns(key: Claim | None) -> tuple[UUID | None, str | None, bytes | None]:
    return (None, None, None) if key is None else (key.caller_id, key.key, key.fingerprint)
