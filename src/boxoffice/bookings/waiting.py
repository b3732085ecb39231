"""What waits for a person: counted every minute, listed for whoever asks, and off the list when a person says so.

Four kinds of matters: what gateways and books differ in, events that contradict the books, events about money of
sessions that we never opened, and refunds that a gateway refused. Resolving one says that somebody has settled it,
who, and how; it changes nothing about money. A refund that failed stays FAILED. Where the ledger disagrees with the
rows, or a gateway has not done for a day what it has taken on, there is nothing to say: that is counted too, until the
two agree, or the refund ends.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from prometheus_client import Gauge

from boxoffice.audit import Act, Action, Actor, Kind, record
from boxoffice.errors import ConflictError, UnknownError
from boxoffice.postgres.pool import Connection, Pool, Row, connection, row, transaction

TO_LOOK_AT: Final = Gauge(
    "boxoffice_money_to_look_at", "Matters of money that wait for a person", multiprocess_mode="mostrecent"
)


class MatterUnknownError(UnknownError):
    """Nothing of this name waits for a person, or ever did."""

    code = "matter_not_found"


class MatterResolvedError(ConflictError):
    """A person has resolved it before."""

    code = "matter_resolved"


class MatterUnderWayError(ConflictError):
    """It ends when the gateway says so."""

    code = "matter_under_way"


UNDER_WAY_DAYS: Final = 1
"""A refund that is not done after that waits for a person too."""
_STUCK: Final = f"status = 'PENDING' AND created_at <= now() - interval '{UNDER_WAY_DAYS} day'"

# Of what is large only what may wait is read, through an index.
_COUNT = f"""
SELECT (SELECT count(*) FROM reconciliation_issue WHERE resolved_at IS NULL)
     + (SELECT count(*) FROM payment_event WHERE needs_look AND resolved_at IS NULL)
     + (SELECT count(*) FROM stray_event WHERE needs_look AND resolved_at IS NULL)
     + (SELECT count(*) FROM refund WHERE status = 'FAILED' AND resolved_at IS NULL)
     + (SELECT count(*) FROM refund WHERE {_STUCK})
     + (SELECT count(*) FROM ledger_disagreement) AS waiting
"""


async def count_waiting(pool: Pool) -> int:
    """How much waits for a person; told to the metric. Shows whose ledger disagreed when last looked at count too."""
    async with connection(pool) as conn:
        waiting: int = await conn.fetchval(_COUNT)
    TO_LOOK_AT.set(waiting)
    return waiting


class Matter(Row, frozen=True, kw_only=True):
    """Something that a person must settle."""

    id: str
    """By which it is resolved: what it is, and the names that it has in its table."""
    show_id: UUID | None
    payment_id: UUID | None
    """Null, as the show is: of an event about a session that we never opened."""
    detail: str
    since: datetime
    resolved_at: datetime | None


# Whatever ever waited, resolved or not, as people see it. What is added behind decides which.
_MATTERS: Final = f"""
SELECT id, show_id, payment_id, detail, since, resolved_at
  FROM (SELECT 'difference:' || payment_id || ':' || kind AS id, show_id, payment_id, kind || ': ' || detail AS detail,
               first_seen_at AS since, resolved_at
          FROM reconciliation_issue
        UNION ALL
        SELECT 'event:' || gateway || ':' || event_id, show_id, payment_id, event_type || ': ' || outcome,
               received_at, resolved_at
          FROM payment_event WHERE needs_look
        UNION ALL
        SELECT 'stray:' || id, NULL::uuid, NULL::uuid,
               event_type || ' of ' || gateway || ' about the unknown session ' || session_id, received_at, resolved_at
          FROM stray_event WHERE needs_look
        UNION ALL
        SELECT 'refund:' || id, show_id, payment_id, 'refused, of ' || amount || ' ' || currency,
               coalesce(settled_at, created_at), resolved_at
          FROM refund WHERE status = 'FAILED'
        UNION ALL
        SELECT 'refund:' || id, show_id, payment_id,
               'not done for {UNDER_WAY_DAYS} day, of ' || amount || ' ' || currency, created_at, NULL
          FROM refund WHERE {_STUCK}) AS matter
"""
# What waits, the oldest first.
_WAITING = f"""{_MATTERS}
 WHERE resolved_at IS NULL ORDER BY since LIMIT 1000
"""
# One of them, whether it waits or not.
_NAMED = f"""{_MATTERS}
 WHERE id = $1
"""


async def list_waiting(conn: Connection) -> list[Matter]:
    """What waits for a person, up to 1,000, the oldest first."""
    return [row(Matter, found) for found in await conn.fetch(_WAITING)]


# Whichever of the four is named so, if it waits.
_RESOLVE = """
WITH difference AS (
    UPDATE reconciliation_issue SET resolved_at = now()
     WHERE 'difference:' || payment_id || ':' || kind = $1 AND resolved_at IS NULL RETURNING true
), event AS (
    UPDATE payment_event SET resolved_at = now()
     WHERE 'event:' || gateway || ':' || event_id = $1 AND needs_look AND resolved_at IS NULL RETURNING true
), stray AS (
    UPDATE stray_event SET resolved_at = now()
     WHERE 'stray:' || id = $1 AND needs_look AND resolved_at IS NULL RETURNING true
), refused AS (
    UPDATE refund SET resolved_at = now()
     WHERE 'refund:' || id = $1 AND status = 'FAILED' AND resolved_at IS NULL RETURNING true
)
SELECT EXISTS (TABLE difference UNION ALL TABLE event UNION ALL TABLE stray UNION ALL TABLE refused)
"""


async def resolve(pool: Pool, matter_id: str, note: str, by: Actor) -> Matter:
    """A person has settled what waited; ``note`` says how, and is kept with who it was.

    Raises:
        MatterUnknownError: nothing of this name ever waited.
        MatterResolvedError: it waits no longer.
        MatterUnderWayError: nobody's word ends it.
    """
    async with transaction(pool) as conn:
        resolved = await conn.fetchval(_RESOLVE, matter_id)
        found = await conn.fetchrow(_NAMED, matter_id)
        if found is None:
            raise MatterUnknownError(
                f"nothing named {matter_id} waits for a person: `boxoffice reconcile` says what does"
            )
        matter = row(Matter, found)
        if not resolved and matter.resolved_at is None:
            raise MatterUnderWayError(f"{matter_id} is under way: it ends when the gateway says so")
        if not resolved:
            raise MatterResolvedError(f"{matter_id} was resolved before, at {matter.resolved_at:%Y-%m-%d %H:%M:%S} UTC")
        await record(conn, by, _settled(matter, note))
    return matter


def _settled(matter: Matter, note: str) -> Act:
    details = {"matter": matter.id, "detail": matter.detail, "note": note}
    if matter.payment_id is None:
        return Act(
            action=Action.RESOLVE_MATTER,
            kind=Kind.STRAY_EVENT,
            subject_id=UUID(matter.id.removeprefix("stray:")),
            details=details,
        )
    details["showId"] = str(matter.show_id)
    return Act(action=Action.RESOLVE_MATTER, kind=Kind.PAYMENT, subject_id=matter.payment_id, details=details)
