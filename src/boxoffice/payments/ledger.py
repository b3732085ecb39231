"""Where the money is, added up: the ledger against the payments and refunds that it tells of.

Entries are written by the statements that decide about money, in `bookings.settlement`, `bookings.cancellation`
and `payments.refunds`: a movement and its cause are committed together. Each row moves an amount from one account
to another, so that all accounts together are always nought; what can be wrong is that a row is missing.
"""

from collections import Counter
from collections.abc import AsyncGenerator
from typing import Final
from uuid import UUID

import structlog

from boxoffice.postgres.pool import Connection, Pool, Row, connection, row

SHOWS_AT_ONCE: Final = 200
"""Added up by one statement: each has a limit of time, which all shows that ever were would not keep."""
DISAGREEMENTS_MAX: Final = 1000

log = structlog.get_logger(__name__)


class Account(Row, frozen=True, kw_only=True):
    """What an account stands at, in minor units: what went in less what went out."""

    account: str
    currency: str
    balance: int


class Disagreement(Row, frozen=True, kw_only=True):
    """A show whose ledger does not say what its payments and refunds say; amounts in minor units."""

    show_id: UUID
    currency: str
    held_by_rows: int
    held_by_ledger: int
    owed_by_rows: int
    owed_by_ledger: int


# The last show of the part after this one; none where it is the last part.
_UPTO = """
SELECT id FROM show WHERE id > $1 ORDER BY id OFFSET $2 - 1 LIMIT 1
"""


async def _parts(conn: Connection, shows: int) -> AsyncGenerator[tuple[UUID, UUID]]:
    """All shows in parts of so many: of each the first, which is not in it, and the last."""
    after, end = UUID(int=0), UUID(int=(1 << 128) - 1)
    while after < end:
        upto: UUID = await conn.fetchval(_UPTO, after, shows) or end
        yield after, upto
        after = upto


# Every account, added up over the shows of a part.
_BALANCES = """
SELECT account, currency, sum(amount)::bigint AS balance
  FROM (SELECT debit AS account, currency, amount FROM ledger_entry WHERE show_id > $1 AND show_id <= $2
        UNION ALL
        SELECT credit, currency, -amount FROM ledger_entry WHERE show_id > $1 AND show_id <= $2) AS side
 GROUP BY account, currency
"""


async def balances(conn: Connection, *, shows_at_once: int = SHOWS_AT_ONCE) -> list[Account]:
    """Every account in every currency; those of a currency come to nought together."""
    total: Counter[tuple[str, str]] = Counter()
    async for part in _parts(conn, shows_at_once):
        for found in await conn.fetch(_BALANCES, *part):
            one = row(Account, found)
            total[one.currency, one.account] += one.balance
    return [
        Account(account=account, currency=currency, balance=balance)
        for (currency, account), balance in sorted(total.items())
    ]


# What gateways hold and what we owe for the shows of a part, by the rows and by the ledger, where the two differ; all
# of a show is of one moment.
_DISAGREEMENTS = """
WITH said AS (
    SELECT show_id, currency, amount AS held, 0::bigint AS owed FROM payment
     WHERE status = 'SUCCEEDED' AND show_id > $1 AND show_id <= $2
    UNION ALL
    SELECT show_id, currency, CASE status WHEN 'SUCCEEDED' THEN -amount ELSE 0 END,
           CASE status WHEN 'SUCCEEDED' THEN 0 ELSE amount END FROM refund WHERE show_id > $1 AND show_id <= $2
), by_rows AS (
    SELECT show_id, currency, sum(held)::bigint AS held, sum(owed)::bigint AS owed FROM said GROUP BY show_id, currency
), by_ledger AS (
    SELECT show_id, currency,
           sum(CASE 'gateway' WHEN debit THEN amount WHEN credit THEN -amount ELSE 0 END)::bigint AS held,
           sum(CASE 'owed' WHEN credit THEN amount WHEN debit THEN -amount ELSE 0 END)::bigint AS owed
      FROM ledger_entry WHERE show_id > $1 AND show_id <= $2 GROUP BY show_id, currency
)
SELECT show_id, currency,
       coalesce(r.held, 0) AS held_by_rows, coalesce(l.held, 0) AS held_by_ledger,
       coalesce(r.owed, 0) AS owed_by_rows, coalesce(l.owed, 0) AS owed_by_ledger
  FROM by_rows r FULL JOIN by_ledger l USING (show_id, currency)
 WHERE (coalesce(r.held, 0), coalesce(r.owed, 0)) <> (coalesce(l.held, 0), coalesce(l.owed, 0))
 ORDER BY show_id
"""


async def disagreements(conn: Connection, *, shows_at_once: int = SHOWS_AT_ONCE) -> list[Disagreement]:
    """The shows whose ledger and rows differ, up to `DISAGREEMENTS_MAX`; there should be none."""
    found: list[Disagreement] = []
    async for part in _parts(conn, shows_at_once):
        found += [row(Disagreement, one) for one in await conn.fetch(_DISAGREEMENTS, *part)]
        if len(found) >= DISAGREEMENTS_MAX:
            break
    return found[:DISAGREEMENTS_MAX]


# What is found now takes the place of what was found before.
_KEEP_FOUND = """
WITH found AS (
    SELECT show_id, currency FROM unnest($1::uuid[], $2::text[]) AS one (show_id, currency)
), gone AS (
    DELETE FROM ledger_disagreement WHERE (show_id, currency) NOT IN (SELECT show_id, currency FROM found)
)
INSERT INTO ledger_disagreement (show_id, currency) SELECT show_id, currency FROM found
ON CONFLICT DO NOTHING
"""


async def check_ledger(pool: Pool) -> list[Disagreement]:
    """As `disagreements`; kept, so that they are counted until the ledger is checked again."""
    async with connection(pool) as conn:
        found = await disagreements(conn)
        await conn.execute(_KEEP_FOUND, [one.show_id for one in found], [one.currency for one in found])
    for one in found:
        log.error("the ledger disagrees with payments and refunds", show_id=str(one.show_id), currency=one.currency)
    return found
