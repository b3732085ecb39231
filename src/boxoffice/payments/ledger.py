"""Where the money is, added up: the ledger against the payments and refunds that it tells of.

Entries are written by the statements that decide about money, in `bookings.settlement`, `bookings.cancellation`
and `payments.refunds`: a movement and its cause are committed together. Each row moves an amount from one account
to another, so that all accounts together are always nought; what can be wrong is that a row is missing.
"""

from uuid import UUID

import structlog

from boxoffice.postgres.pool import Connection, Pool, Row, row, transaction

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


# Every account, added up over all shows.
_BALANCES = """
SELECT account, currency, sum(amount)::bigint AS balance
  FROM (SELECT debit AS account, currency, amount FROM ledger_entry
        UNION ALL
        SELECT credit, currency, -amount FROM ledger_entry) AS side
 GROUP BY account, currency ORDER BY currency, account
"""


async def balances(conn: Connection) -> list[Account]:
    """Every account in every currency; those of a currency come to nought together."""
    return [row(Account, found) for found in await conn.fetch(_BALANCES)]


# What gateways hold and what we owe, by the rows and by the ledger, where the two differ; all of one moment.
_DISAGREEMENTS = """
WITH said AS (
    SELECT show_id, currency, amount AS held, 0::bigint AS owed FROM payment WHERE status = 'SUCCEEDED'
    UNION ALL
    SELECT show_id, currency, CASE status WHEN 'SUCCEEDED' THEN -amount ELSE 0 END,
           CASE status WHEN 'SUCCEEDED' THEN 0 ELSE amount END FROM refund
), by_rows AS (
    SELECT show_id, currency, sum(held)::bigint AS held, sum(owed)::bigint AS owed FROM said GROUP BY show_id, currency
), by_ledger AS (
    SELECT show_id, currency,
           sum(CASE 'gateway' WHEN debit THEN amount WHEN credit THEN -amount ELSE 0 END)::bigint AS held,
           sum(CASE 'owed' WHEN credit THEN amount WHEN debit THEN -amount ELSE 0 END)::bigint AS owed
      FROM ledger_entry GROUP BY show_id, currency
)
SELECT show_id, currency,
       coalesce(r.held, 0) AS held_by_rows, coalesce(l.held, 0) AS held_by_ledger,
       coalesce(r.owed, 0) AS owed_by_rows, coalesce(l.owed, 0) AS owed_by_ledger
  FROM by_rows r FULL JOIN by_ledger l USING (show_id, currency)
 WHERE (coalesce(r.held, 0), coalesce(r.owed, 0)) <> (coalesce(l.held, 0), coalesce(l.owed, 0))
 ORDER BY show_id LIMIT 1000
"""


async def disagreements(conn: Connection) -> list[Disagreement]:
    """The shows whose ledger and rows differ, up to 1,000; there should be none."""
    return [row(Disagreement, found) for found in await conn.fetch(_DISAGREEMENTS)]


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
    async with transaction(pool) as conn:
        found = await disagreements(conn)
        await conn.execute(_KEEP_FOUND, [one.show_id for one in found], [one.currency for one in found])
    for one in found:
        log.error("the ledger disagrees with payments and refunds", show_id=str(one.show_id), currency=one.currency)
    return found
