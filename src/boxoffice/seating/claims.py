"""Claiming seats: one statement takes all that each request asked for, or none; one row can have one holder.

Requests come in batches (`boxoffice.seating.group_commit`): a batch is one statement and its own
transaction, so that no round trip happens inside a lock and many requests share one commit. For
each of its requests it goes like this:

1. Look without locking. A seat that is visibly someone else's refuses the request at once, so that
   a crowd at one seat costs reads, not writes.
2. Give way. A request that wants a seat which an earlier one of the batch may take, or that is of the
   same buyer and show, comes again with the next batch, when it can be seen how that one ended.
3. Take the buyer's turn (`show_buyer`): two requests of one person in two processes meet on this
   row. The turn is given only if nobody took one since we looked (``version``); then the count of the
   buyer's live seats that we looked up is exact, and the limit holds. A lost turn comes again.
4. Lock the seats in key order, which no two claims can deadlock in, and look again: the lock shows
   each row as it is now, whatever it was when we looked.
5. Where all are claimable, move their leases; for a booking, insert it with its lines.

An idempotency key is looked up and inserted in the same statement, so it exists exactly if the
change does, and a request that comes twice is answered from its first.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
import structlog

from boxoffice.audit import Actor
from boxoffice.errors import UnavailableError
from boxoffice.idempotency import Claim, Outcome
from boxoffice.postgres.pool import Pool, connection, constraint_of
from boxoffice.seating.group_commit import GroupCommit
from boxoffice.seating.refusals import RepeatedSeatsError, refusal

log = structlog.get_logger(__name__)

LIVE_SEATS_MAX: Final = 10
"""Seats that one buyer may have held or in unpaid bookings, a show."""
HOLD_LONGEST: Final = timedelta(minutes=15)
"""From when a seat was first taken; renewing does not go past it."""


class SeatsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants which seats of which show."""

    show_id: UUID
    user_id: UUID
    seat_ids: list[UUID]


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What a claim made of a seat; ``booking_id`` is None for a hold."""

    seat_id: UUID
    taken_until: datetime
    holder_id: UUID
    booking_id: UUID | None
    revision: int


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    wanted: SeatsWanted
    booking_id: UUID | None
    """None: a hold."""
    length: timedelta
    key: Claim | None
    by: Actor | None
    """Staff who act for the buyer."""


class _Verdict(msgspec.Struct, frozen=True, kw_only=True):
    outcome: str
    in_the_way: list[UUID] | None
    answer: Any
    seat_ids: list[UUID] | None
    revisions: list[int] | None
    ends: list[datetime] | None


# A time inside an answer, as the API writes times.
def _utc(column: str) -> str:
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


# A seat is claimable when it is free, or held by this buyer and in no booking.
_CLAIMABLE: Final = "s.taken_until <= now() OR (s.holder_id = w.user_id AND s.booking_id IS NULL)"

# The requests in order: $1 show, $2 buyer, $3 booking (null: a hold), $4 length of the lease, $5..$7 idempotency key or
# nulls, $11 what is remembered beside its answer or null; their seats: $8 number of the request, $9 seat. What each
# could have as far as can be seen without a lock.
_LOOK: Final = f"""
WITH request AS MATERIALIZED (
    SELECT r.n::integer AS n, r.show_id, r.user_id, r.booking_id, r.length, r.caller_id, r.key, r.fingerprint,
           r.beside
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::interval[], $5::uuid[], $6::text[], $7::bytea[], $11::text[])
           WITH ORDINALITY AS r (show_id, user_id, booking_id, length, caller_id, key, fingerprint, beside, n)
), wanted AS MATERIALIZED (
    SELECT w.n, request.show_id, request.user_id, w.seat_id
      FROM unnest($8::integer[], $9::uuid[]) AS w (n, seat_id) JOIN request ON request.n = w.n
), seen AS MATERIALIZED (
    SELECT w.n, w.seat_id, s.id IS NOT NULL AS known, {_CLAIMABLE} AS claimable
      FROM wanted w LEFT JOIN show_seat s ON s.show_id = w.show_id AND s.id = w.seat_id
), tally AS (
    SELECT n, count(*) AS seats, bool_and(known) AS known, bool_and(claimable) AS claimable FROM seen GROUP BY n
), looked AS MATERIALIZED (
    SELECT r.n, r.show_id, r.user_id, sh.currency, coalesce(b.version, 0) AS version, others.seat_ids AS others,
           k.answer AS first_answer,
           CASE WHEN k.fingerprint = r.fingerprint THEN 'replayed'
                WHEN k.fingerprint <> r.fingerprint THEN 'key_reused'
                WHEN sh.id IS NULL THEN 'unknown_show'
                WHEN sh.starts_at <= now() THEN 'show_begun'
                WHEN NOT tally.known THEN 'foreign_seats'
                WHEN NOT tally.claimable THEN 'taken'
                WHEN cardinality(others.seat_ids) + tally.seats > {LIVE_SEATS_MAX} THEN 'limit'
                ELSE 'claimable' END AS verdict
      FROM request r
      JOIN tally ON tally.n = r.n
      LEFT JOIN show sh ON sh.id = r.show_id
      LEFT JOIN show_buyer b ON b.show_id = r.show_id AND b.user_id = r.user_id
      LEFT JOIN idempotency_key k ON k.caller_id = r.caller_id AND k.key = r.key
     CROSS JOIN LATERAL (
           SELECT coalesce(array_agg(s.id), '{{}}') AS seat_ids
             FROM show_seat s
            WHERE s.show_id = b.show_id AND s.id = ANY(b.seat_ids) AND s.holder_id = b.user_id
              AND s.taken_until > now() AND s.taken_until < 'infinity'
              AND NOT EXISTS (SELECT FROM wanted w WHERE w.n = r.n AND w.seat_id = s.id)) others
), first AS MATERIALIZED (
    SELECT n
      FROM (SELECT w.n, min(w.n) OVER (PARTITION BY w.show_id, w.seat_id) AS first_for_seat,
                   min(w.n) OVER (PARTITION BY w.show_id, w.user_id) AS first_of_buyer
              FROM wanted w JOIN looked ON looked.n = w.n
             WHERE looked.verdict = 'claimable') contenders
     GROUP BY n HAVING bool_and(n = first_for_seat AND n = first_of_buyer)
)"""

# Every turn is taken before the first seat is locked, and both in the order of their keys: no two batches can deadlock.
_LOCK: Final = f""", turn AS (
    INSERT INTO show_buyer AS b (show_id, user_id, version, seat_ids)
    SELECT looked.show_id, looked.user_id, looked.version + 1,
           looked.others || ARRAY(SELECT w.seat_id FROM wanted w WHERE w.n = looked.n)
      FROM looked JOIN first ON first.n = looked.n
     ORDER BY looked.show_id, looked.user_id
    ON CONFLICT (show_id, user_id) DO UPDATE SET version = excluded.version, seat_ids = excluded.seat_ids
     WHERE b.version = excluded.version - 1
    RETURNING b.show_id, b.user_id
), locked AS MATERIALIZED (
    SELECT w.n, s.show_id, s.id, s.position, s.row_label, s.number, s.tier, s.price, s.taken_until, s.held_since,
           {_CLAIMABLE} AS claimable
      FROM turn
      JOIN wanted w ON w.show_id = turn.show_id AND w.user_id = turn.user_id
      JOIN first ON first.n = w.n
      JOIN show_seat s ON s.show_id = w.show_id AND s.id = w.seat_id
     ORDER BY s.show_id, s.id
       FOR UPDATE OF s
), granted AS MATERIALIZED (
    SELECT request.* FROM request
      JOIN (SELECT n FROM locked GROUP BY n HAVING bool_and(claimable)) whole ON whole.n = request.n
)"""

# What is granted happens: leases move, bookings with their lines and remembered answers appear, all together. $10 is
# how long a hold can be renewed from when it was first taken; a lease never gets shorter.
_GRANT: Final = f""", leased AS (
    UPDATE show_seat s
       SET taken_until = CASE WHEN g.booking_id IS NOT NULL OR locked.taken_until <= now() THEN now() + g.length
                              ELSE greatest(locked.taken_until,
                                            least(now() + g.length, locked.held_since + $10::interval)) END,
           held_since = CASE WHEN locked.taken_until <= now() THEN now() ELSE locked.held_since END,
           holder_id = g.user_id, booking_id = g.booking_id, revision = s.revision + 1
      FROM locked JOIN granted g ON g.n = locked.n
     WHERE s.show_id = locked.show_id AND s.id = locked.id
    RETURNING g.n, s.id, s.position, s.row_label, s.number, s.tier, s.price, s.taken_until, s.revision
), booked AS (
    INSERT INTO booking (show_id, id, user_id, total_amount, currency, expires_at)
    SELECT g.show_id, g.booking_id, g.user_id, (SELECT sum(price) FROM locked WHERE locked.n = g.n), looked.currency,
           now() + g.length
      FROM granted g JOIN looked ON looked.n = g.n
     WHERE g.booking_id IS NOT NULL
    RETURNING id, status, total_amount, currency, expires_at
), lines AS (
    INSERT INTO booking_seat (show_id, booking_id, seat_id, position, price, number, row_label, tier)
    SELECT g.show_id, g.booking_id, l.id, l.position, l.price, l.number, l.row_label, l.tier
      FROM granted g JOIN locked l ON l.n = g.n
     WHERE g.booking_id IS NOT NULL
), holding AS (
    SELECT g.n, jsonb_build_object('success', true, 'expiresIn', extract(epoch FROM g.length)::float8, 'holds', (
               SELECT jsonb_agg(jsonb_build_object('seatId', l.id, 'expiresAt', {_utc("l.taken_until")})
                                ORDER BY l.position)
                 FROM leased l WHERE l.n = g.n)) AS body
      FROM granted g WHERE g.booking_id IS NULL
), booking_made AS (
    SELECT g.n, jsonb_build_object('id', b.id, 'showId', g.show_id, 'userId', g.user_id, 'status', b.status,
               'totalAmount', b.total_amount, 'currency', b.currency, 'expiresAt', {_utc("b.expires_at")},
               'seats', (SELECT jsonb_agg(jsonb_build_object('id', l.id, 'row', l.row_label, 'number', l.number,
                                                             'tier', l.tier, 'price', l.price) ORDER BY l.position)
                           FROM leased l WHERE l.n = g.n)) AS body
      FROM granted g JOIN booked b ON b.id = g.booking_id
), answer AS MATERIALIZED (
    SELECT n, body FROM holding UNION ALL SELECT n, body FROM booking_made
), remembered AS (
    INSERT INTO idempotency_key (caller_id, key, fingerprint, answer)
    SELECT g.caller_id, g.key, g.fingerprint, answer.body || coalesce(g.beside, '{{}}')::jsonb
      FROM granted g JOIN answer ON answer.n = g.n
     WHERE g.key IS NOT NULL
     ORDER BY g.caller_id, g.key
)"""

# What staff take for others is written down for the audit log; $12 who acts, as JSON, or null: a buyer.
_AUDIT: Final = """, audited AS (
    INSERT INTO audit_entry (actor_id, actor_role, actor_email, action, subject_kind, subject_id, details, request_id,
                             address)
    SELECT (by.who ->> 'userId')::uuid, by.who ->> 'role', a.email,
           CASE WHEN g.booking_id IS NULL THEN 'seats.hold' ELSE 'booking.make' END,
           CASE WHEN g.booking_id IS NULL THEN 'account' ELSE 'booking' END, coalesce(g.booking_id, g.user_id),
           jsonb_build_object('userId', g.user_id, 'showId', g.show_id, 'showSeatIds',
                              ARRAY(SELECT w.seat_id FROM wanted w WHERE w.n = g.n)),
           by.who ->> 'requestId', by.who ->> 'address'
      FROM granted g
      JOIN (SELECT n, who::jsonb AS who FROM unnest($12::text[]) WITH ORDINALITY AS u (who, n)) by ON by.n = g.n
      LEFT JOIN account a ON a.id = (by.who ->> 'userId')::uuid
     WHERE by.who IS NOT NULL
)"""

# One row a request, in order.
_ANSWER: Final = """
SELECT CASE WHEN looked.verdict <> 'claimable' THEN looked.verdict
            WHEN answer.n IS NOT NULL THEN 'claimed'
            WHEN EXISTS (SELECT FROM locked WHERE locked.n = looked.n) THEN 'taken'
            ELSE 'again' END AS outcome,
       coalesce(answer.body, looked.first_answer) AS answer,
       CASE WHEN looked.verdict = 'foreign_seats' THEN
                 ARRAY(SELECT seat_id FROM seen WHERE seen.n = looked.n AND NOT known)
            WHEN looked.verdict IN ('taken', 'claimable') AND answer.n IS NULL THEN
                 ARRAY(SELECT seat_id FROM seen WHERE seen.n = looked.n AND NOT claimable
                       UNION SELECT id FROM locked WHERE locked.n = looked.n AND NOT claimable)
       END AS in_the_way,
       leases.seat_ids, leases.revisions, leases.ends
  FROM looked
  LEFT JOIN answer ON answer.n = looked.n
  LEFT JOIN (SELECT n, array_agg(id) AS seat_ids, array_agg(revision) AS revisions, array_agg(taken_until) AS ends
               FROM leased GROUP BY n) leases ON leases.n = looked.n
 ORDER BY looked.n
"""
CLAIM: Final = f"{_LOOK}{_LOCK}{_GRANT}{_ANSWER}"
# The same for a batch with requests of staff for others: no other batch has a part of this to carry.
CLAIM_BY_STAFF: Final = f"{_LOOK}{_LOCK}{_GRANT}{_AUDIT}{_ANSWER}"


class Claims:
    """Claims seats for all requests of this process.

    ``on_leased`` is told what each claim made of its seats, once it is committed.
    """

    def __init__(self, pool: Pool, on_leased: Callable[[UUID, Sequence[Lease]], None] | None = None) -> None:
        self._pool = pool
        self._on_leased = on_leased
        self._group: GroupCommit[_Request, _Verdict] = GroupCommit(self._run, apart=_key_of)

    async def hold(
        self, wanted: SeatsWanted, *, length: timedelta, key: Claim | None, by: Actor | None = None
    ) -> Outcome:
        """Hold all the seats for ``length``, renewing those already held, or none; ``by`` staff for the buyer.

        Raises:
            ShowNotFoundError, ShowBegunError: the show cannot be held seats of.
            RepeatedSeatsError, ForeignSeatsError: the request names no set of this show's seats.
            SeatsTakenError: with ``showSeatIds`` of the seats in conflict.
            SeatLimitError: the buyer would have more than `LIVE_SEATS_MAX` live seats.
            KeyReusedError: the key was used with another payload.
            OverloadedError: too many wait; nothing was done.
            OutcomeUnknownError: the database went away before it answered.
        """
        return await self._claim(_Request(wanted=wanted, booking_id=None, length=length, key=key, by=by))

    async def book(
        self,
        wanted: SeatsWanted,
        *,
        booking_id: UUID,
        time_to_pay: timedelta,
        key: Claim | None,
        by: Actor | None = None,
    ) -> Outcome:
        """Put all the seats, free or held by this buyer, into one new unpaid booking, or none.

        Raises: as `hold`.
        """
        return await self._claim(_Request(wanted=wanted, booking_id=booking_id, length=time_to_pay, key=key, by=by))

    async def _claim(self, request: _Request) -> Outcome:
        named = Counter(request.wanted.seat_ids)
        if len(named) < len(request.wanted.seat_ids):
            twice = sorted(seat for seat, times in named.items() if times > 1)
            raise RepeatedSeatsError("a seat is named twice", showSeatIds=twice)
        verdict = await self._group.submit(request)
        if verdict.outcome not in {"claimed", "replayed"}:
            raise refusal(verdict.outcome, request.wanted.show_id, verdict.in_the_way, LIVE_SEATS_MAX)
        return Outcome(answer=verdict.answer, replayed=verdict.outcome == "replayed")

    async def _run(self, batch: Sequence[_Request]) -> Sequence[_Verdict | None]:
        try:
            verdicts = await self._execute(batch)
        except _CONNECTION_LOST as error:
            log.warning("claims of unknown outcome", requests=len(batch), error=repr(error))
            verdicts = await self._ask_again(batch)
        except asyncpg.UniqueViolationError as error:
            # The same key in another process: alone, the request comes again and finds that one's answer.
            if len(batch) > 1 or constraint_of(error) != "idempotency_key_pkey":
                raise
            return [None]
        for request, verdict in zip(batch, verdicts, strict=True):
            if verdict.outcome == "claimed" and self._on_leased is not None:
                self._on_leased(request.wanted.show_id, _leases(request, verdict))
        return [None if verdict.outcome == "again" else verdict for verdict in verdicts]

    async def _ask_again(self, batch: Sequence[_Request]) -> list[_Verdict]:
        """The database went away in mid-statement: what has a key can be asked again, the rest is not guessed."""
        verdicts = [_UNKNOWN] * len(batch)
        keyed = [n for n, request in enumerate(batch) if request.key is not None]
        if keyed:
            # That it cannot be asked now says nothing about what became of what was asked before.
            with contextlib.suppress(*_CONNECTION_LOST, UnavailableError):
                for n, verdict in zip(keyed, await self._execute([batch[n] for n in keyed]), strict=True):
                    verdicts[n] = verdict
        return verdicts

    async def _execute(self, batch: Sequence[_Request]) -> list[_Verdict]:
        by = [request.by and msgspec.json.encode(request.by).decode() for request in batch]
        async with connection(self._pool) as conn:
            if any(by):
                found = await conn.fetch(CLAIM_BY_STAFF, *_columns(batch), by)
            else:
                found = await conn.fetch(CLAIM, *_columns(batch))
        return [_verdict(record) for record in found]


_CONNECTION_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    OSError,
)
"""The statement was sent, and no answer will come."""


_UNKNOWN: Final = _Verdict(outcome="unknown", in_the_way=None, answer=None, seat_ids=None, revisions=None, ends=None)


def _columns(batch: Sequence[_Request]) -> tuple[list[Any], ...]:
    """The statement's arguments."""
    keys = [request.key for request in batch]
    seats = [(n, seat) for n, request in enumerate(batch, 1) for seat in request.wanted.seat_ids]
    return (
        [request.wanted.show_id for request in batch],
        [request.wanted.user_id for request in batch],
        [request.booking_id for request in batch],
        [request.length for request in batch],
        [key and key.caller_id for key in keys],
        [key and key.key for key in keys],
        [key and key.fingerprint for key in keys],
        [n for n, _ in seats],
        [seat for _, seat in seats],
        HOLD_LONGEST,  # pyright: ignore[reportReturnType]  (no column)
        [key and key.beside for key in keys],
    )


def _verdict(record: Mapping[str, Any]) -> _Verdict:
    return _Verdict(**record)


def _leases(request: _Request, verdict: _Verdict) -> list[Lease]:
    columns = zip(verdict.seat_ids or [], verdict.ends or [], verdict.revisions or [], strict=True)
    return [
        Lease(
            seat_id=seat,
            taken_until=end,
            holder_id=request.wanted.user_id,
            booking_id=request.booking_id,
            revision=revision,
        )
        for seat, end, revision in columns
    ]


def _key_of(request: _Request) -> tuple[UUID, str] | None:
    """Two requests with one key meet in the database only if they do not come in one statement."""
    return None if request.key is None else (request.key.caller_id, request.key.key)
