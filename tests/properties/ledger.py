"""What the tables say of money and seats, summed up: ours, and the fake gateway's own."""

from dataclasses import dataclass
from uuid import UUID

from boxoffice.postgres.pool import Pool


@dataclass(frozen=True)
class Books:
    """Minor units: what came in, what went back, and what is decided and has not gone back yet."""

    paid_in: int
    paid_back: int
    owed_back: int


async def books_of(pool: Pool, show_id: UUID) -> Books:
    paid_in = await pool.fetchval(
        "SELECT coalesce(sum(amount), 0)::bigint FROM payment WHERE show_id = $1 AND status = 'SUCCEEDED'", show_id
    )
    back = await pool.fetchrow(
        """SELECT coalesce(sum(amount) FILTER (WHERE status = 'SUCCEEDED'), 0)::bigint AS paid_back,
                  coalesce(sum(amount) FILTER (WHERE status <> 'SUCCEEDED'), 0)::bigint AS owed_back
             FROM refund WHERE show_id = $1""",
        show_id,
    )
    assert back is not None
    return Books(paid_in, back["paid_back"], back["owed_back"])


async def accounts_of(pool: Pool, show_id: UUID) -> dict[str, int]:
    """What the ledger's accounts stand at; those that are at nought are left out."""
    sides = await pool.fetch(
        """SELECT account, sum(amount)::bigint AS balance
             FROM (SELECT debit AS account, amount FROM ledger_entry WHERE show_id = $1
                   UNION ALL SELECT credit, -amount FROM ledger_entry WHERE show_id = $1) AS side
            GROUP BY account""",
        show_id,
    )
    return {side["account"]: side["balance"] for side in sides if side["balance"]}


async def standings_of(pool: Pool, sessions: list[str]) -> dict[str, str]:
    """Where the gateway says that its sessions stand."""
    found = await pool.fetch("SELECT id, status FROM fake_session WHERE id = ANY($1)", sessions)
    return {session["id"]: session["status"] for session in found}


async def gateway_of(pool: Pool, sessions: list[str]) -> int:
    """What the gateway has given back of these sessions, by its own books, which must agree with each other."""
    by_refund = await pool.fetchval(
        "SELECT coalesce(sum(amount), 0)::bigint FROM fake_refund WHERE session_id = ANY($1)", sessions
    )
    by_session = await pool.fetchval(
        "SELECT coalesce(sum(refunded_amount), 0)::bigint FROM fake_session WHERE id = ANY($1)", sessions
    )
    assert by_refund == by_session
    return by_refund


async def holders_of(pool: Pool, show_id: UUID) -> set[tuple[str, str]]:
    """The sold seats with the booking that each was sold to."""
    sold = await pool.fetch(
        "SELECT id, booking_id FROM show_seat WHERE show_id = $1 AND taken_until = 'infinity'", show_id
    )
    return {(str(seat["id"]), str(seat["booking_id"])) for seat in sold}


async def differences_of(pool: Pool, show_id: UUID) -> list[str]:
    """What reconciliation has found to differ between the gateway and us, and left for a person."""
    found = await pool.fetch("SELECT kind, detail FROM reconciliation_issue WHERE show_id = $1", show_id)
    return [f"{issue['kind']}: {issue['detail']}" for issue in found]
