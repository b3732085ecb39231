"""The built-in gateway's own books: its sessions and refunds, and what may become of them.

Each change is one conditional statement; the loser of a race gets no row.
"""

import re
import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from boxoffice.payments.gateway import (
    GatewayRefusedError,
    RefundRequest,
    SessionRequest,
    UnknownSessionError,
)
from boxoffice.postgres.pool import Connection, Row, row

LATE_PAYMENT: Final = timedelta(minutes=1)
"""A payment begun in time may end a little late, as with banks: a session closes this long after its time."""
EXPIRED_A_RUN: Final = 500
"""Sessions closed in one transaction."""

_SESSION_ID = re.compile(r"sess_[A-Za-z0-9_-]{20,64}", re.ASCII)


class FakeSession(Row, frozen=True, kw_only=True):
    """One session of the built-in gateway."""

    id: str
    booking_id: UUID
    amount: int
    currency: str
    status: str
    refunded_amount: int
    expires_at: datetime
    return_url: str | None
    lapsed: bool


_SESSION: Final = (
    "id, booking_id, amount, currency, status, refunded_amount, expires_at, return_url, expires_at <= now() AS lapsed"
)


# Opens a session unless the merchant's key has one.
_OPEN = """
INSERT INTO fake_session (id, idempotency_key, booking_id, amount, currency, expires_at, return_url)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (idempotency_key) DO NOTHING RETURNING id
"""

# The session of a merchant's key, if it was opened for the same.
_OPENED_BEFORE = """
SELECT id FROM fake_session WHERE idempotency_key = $1 AND booking_id = $2 AND amount = $3 AND currency = $4
"""


async def open_session(conn: Connection, request: SessionRequest) -> str:
    """The session of this payment, opened unless it has one.

    Raises:
        GatewayRefusedError: it has one, for something else.
    """
    key = str(request.payment_id)
    asked = (request.booking_id, request.amount, request.currency)
    new_id = f"sess_{secrets.token_urlsafe(24)}"
    session_id: str | None = await conn.fetchval(_OPEN, new_id, key, *asked, request.expires_at, request.return_url)
    if session_id is None:
        session_id = await conn.fetchval(_OPENED_BEFORE, key, *asked)
    if session_id is None:
        raise GatewayRefusedError("this payment has a session for something else")
    return session_id


# Records a refund unless the merchant's key has one; waits for another that is recording it.
_ADD_REFUND = """
INSERT INTO fake_refund (idempotency_key, session_id, amount)
SELECT $1, id, $3 FROM fake_session WHERE id = $2
ON CONFLICT (idempotency_key) DO NOTHING RETURNING id
"""

# The refund of a merchant's key, if it was for the same.
_REFUNDED_BEFORE = """
SELECT id, now() - created_at AS age FROM fake_refund WHERE idempotency_key = $1 AND session_id = $2 AND amount = $3
"""

# Takes the amount out of what was paid and not given back yet. The merchant asks only on the ground of a signed
# success, and whoever signs with the secret speaks for this gateway: what they said was paid counts as paid here.
_TAKE_BACK = f"""
UPDATE fake_session SET refunded_amount = refunded_amount + $2, status = 'paid'
WHERE id = $1 AND $2 > 0 AND $2 <= amount - refunded_amount AND currency = $3
  AND status NOT IN ('authorised', 'voided')
RETURNING {_SESSION}
"""


async def refund_session(conn: Connection, request: RefundRequest) -> tuple[UUID, timedelta, FakeSession | None]:
    """The refund of this key and its age, with its session if it was made just now.

    Raises:
        GatewayRefusedError: no such session, not that much to give back, or the key was used for something else.
    """
    asked = (str(request.refund_id), request.session_id, request.amount)
    refund_id: UUID | None = await conn.fetchval(_ADD_REFUND, *asked)
    if refund_id is None:
        before = await conn.fetchrow(_REFUNDED_BEFORE, *asked)
        if before is None:
            raise GatewayRefusedError("no such session, or this refund id was used for something else")
        return before["id"], before["age"], None
    paid = await conn.fetchrow(_TAKE_BACK, request.session_id, request.amount, request.currency)
    if paid is None:
        raise GatewayRefusedError("there is not that much paid to give back")
    return refund_id, timedelta(0), row(FakeSession, paid)


# One session.
_FIND = f"""
SELECT {_SESSION} FROM fake_session WHERE id = $1
"""


async def find_session(conn: Connection, session_id: str) -> FakeSession:
    """One session.

    Raises:
        UnknownSessionError: there is none.
    """
    # Whatever is not of our form was not made by us, and may hold what PostgreSQL's text cannot.
    found = await conn.fetchrow(_FIND, session_id) if _SESSION_ID.fullmatch(session_id) else None
    if found is None:
        raise UnknownSessionError("there is no such payment session")
    return row(FakeSession, found)


# Moves a session from one status to another, once; the loser of a race gets no row.
_MOVE = f"""
UPDATE fake_session SET status = $3, decided_at = now() WHERE id = $1 AND status = $2
RETURNING {_SESSION}
"""


async def move_session(conn: Connection, session_id: str, before: str, after: str) -> FakeSession | None:
    """The session, if this moved it from the status ``before`` to ``after``."""
    if not _SESSION_ID.fullmatch(session_id):
        return None
    moved = await conn.fetchrow(_MOVE, session_id, before, after)
    return row(FakeSession, moved) if moved else None


# Closes open sessions whose time, and some more, is over; processes that do so at once share the work.
_EXPIRE_LAPSED = f"""
UPDATE fake_session SET status = 'expired', decided_at = now()
WHERE id IN (
    SELECT id FROM fake_session WHERE status = 'open' AND expires_at <= now() - $1::interval
    ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING {_SESSION}
"""


async def expire_sessions(conn: Connection) -> list[FakeSession]:
    """The sessions that this closed, since their time is over."""
    return [row(FakeSession, found) for found in await conn.fetch(_EXPIRE_LAPSED, LATE_PAYMENT, EXPIRED_A_RUN)]
