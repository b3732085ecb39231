"""Which letters are to be sent: written down in the transaction that decides them, each once.

`mail_once` sees to it that an occasion is told once, however often it is decided; that tickets are there, once to
each address that the buyer gives in turn. Whoever sends a letter leases it first, and marks it afterwards. Between the
server's word that it has taken a letter and our mark a process may die: then it is sent again, as the same letter, by
its Message-ID. That is the one repetition that there can be, since no mail server shares our transactions.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final
from uuid import UUID

from boxoffice.errors import ConflictError
from boxoffice.postgres.pool import Connection, Row, row

SEND_MAIL: Final = "mail.send"
"""The durable task that sends one letter."""
MAIL_QUEUE: Final = "mail"
"""A queue of its own, so that a slow mail server keeps no refund waiting."""
LEASE_SECONDS: Final = 180
"""Longer than any attempt takes: after it, whoever had the letter is taken for dead."""
GIVEN_UP_AFTER_HOURS: Final = 24


class Occasion(StrEnum):
    """What a letter tells."""

    CONFIRMED = "CONFIRMED"
    REFUNDED = "REFUNDED"
    EXPIRED = "EXPIRED"


class MailLeasedError(ConflictError):
    """Somebody else is sending this letter."""

    code = "mail_leased"


class Letter(Row, frozen=True, kw_only=True):
    """A letter to be sent, leased."""

    id: UUID
    booking_id: UUID
    occasion: str
    refund_id: UUID | None
    overdue: bool
    """Whether it is older than `GIVEN_UP_AFTER_HOURS`, so that this is the last attempt."""
    superseded: bool
    """Whether the same is told in a later letter, to an address given since."""


# Writes letters down, and has them sent, for those bookings that have somebody to write to, once each.
_TELL: Final = f"""
WITH told AS (
    INSERT INTO mail (show_id, booking_id, occasion, refund_id, address_no)
    SELECT b.show_id, b.id, $1, $4, CASE WHEN $1 = 'CONFIRMED' THEN coalesce(c.address_no, 0) ELSE 0 END
      FROM unnest($2::uuid[], $3::uuid[]) AS about (show_id, booking_id)
      JOIN booking b ON b.show_id = about.show_id AND b.id = about.booking_id
      LEFT JOIN booking_contact c ON c.show_id = b.show_id AND c.booking_id = b.id
      LEFT JOIN account a ON a.id = b.user_id
     WHERE coalesce(c.email, a.email) IS NOT NULL
    ON CONFLICT ON CONSTRAINT mail_once DO NOTHING
    RETURNING show_id, id
)
SELECT procrastinate_defer_jobs_v1(array_agg(
           ROW('{MAIL_QUEUE}', '{SEND_MAIL}', 0, NULL, NULL,
               jsonb_build_object('show_id', show_id, 'mail_id', id), NULL)::procrastinate_job_to_defer_v1)) AS jobs
  FROM told HAVING count(*) > 0
"""  # (constants of this module)


async def tell(
    conn: Connection, occasion: Occasion, show_id: UUID, booking_id: UUID, refund_id: UUID | None = None
) -> None:
    """Have the buyer told, once the caller's transaction has committed; nobody, where there is no address."""
    await conn.fetchval(_TELL, occasion, [show_id], [booking_id], refund_id)


async def tell_all(conn: Connection, occasion: Occasion, bookings: Sequence[tuple[UUID, UUID]]) -> None:
    """The same for many bookings, each with its show's id first."""
    if bookings:
        shows, ids = zip(*bookings, strict=True)
        await conn.fetchval(_TELL, occasion, list(shows), list(ids), None)


# Leases a letter that is to be sent, if nobody has it.
_CLAIM: Final = f"""
UPDATE mail SET claimed_until = now() + interval '{LEASE_SECONDS} s', attempts = attempts + 1
 WHERE show_id = $1 AND id = $2 AND status = 'QUEUED' AND claimed_until <= now()
RETURNING id, booking_id, occasion, refund_id,
          created_at < now() - interval '{GIVEN_UP_AFTER_HOURS} hours' AS overdue,
          EXISTS (SELECT FROM mail later
                   WHERE later.show_id = mail.show_id AND later.booking_id = mail.booking_id
                     AND later.occasion = mail.occasion AND later.address_no > mail.address_no) AS superseded
"""
_QUEUED: Final = """
SELECT status = 'QUEUED' FROM mail WHERE show_id = $1 AND id = $2
"""


async def claim_letter(conn: Connection, show_id: UUID, mail_id: UUID) -> Letter | None:
    """The letter, to be sent by the caller alone; None: there is nothing to do any more.

    Raises:
        MailLeasedError: somebody has it; ask again, for they may be dead.
    """
    found = await conn.fetchrow(_CLAIM, show_id, mail_id)
    if found is not None:
        return row(Letter, found)
    if await conn.fetchval(_QUEUED, show_id, mail_id):
        raise MailLeasedError
    return None


# Ends a letter, once.
_SETTLE: Final = """
UPDATE mail SET status = $3, error = $4, settled_at = now(), claimed_until = '-infinity'
 WHERE show_id = $1 AND id = $2 AND status = 'QUEUED'
"""


async def settle_letter(conn: Connection, show_id: UUID, mail_id: UUID, status: str, error: str | None = None) -> None:
    """The letter is SENT, DROPPED (what it says is no longer so) or FAILED."""
    await conn.execute(_SETTLE, show_id, mail_id, status, error)


# Gives a letter that could not be sent back at once.
_RELEASE: Final = """
UPDATE mail SET claimed_until = '-infinity', error = $3 WHERE show_id = $1 AND id = $2 AND status = 'QUEUED'
"""


async def release_letter(conn: Connection, show_id: UUID, mail_id: UUID, error: str) -> None:
    """Nobody has the letter any more: whoever comes next tries again."""
    await conn.execute(_RELEASE, show_id, mail_id, error)
