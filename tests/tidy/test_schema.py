"""The tables of a show can be spread by show: each of their keys begins with `show_id`."""

from boxoffice.postgres.pool import Pool, connection

TABLES_OF_A_SHOW = (
    "show_seat",
    "show_buyer",
    "booking",
    "booking_seat",
    "payment",
    "payment_event",
    "refund",
    "refund_seat",
    "ticket_admission",
    "booking_contact",
    "mail",
    "ledger_entry",
    "reconciliation_issue",
    "ledger_disagreement",
)

# The columns of every primary key, unique key and foreign key, in order; unique indexes are no constraints.
KEYS = """
SELECT c.conname AS name, c.contype::text AS kind,
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, ord)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum ORDER BY k.ord) AS columns
FROM pg_constraint c WHERE c.conrelid = $1::text::regclass AND c.contype IN ('p', 'u', 'f')
UNION ALL
SELECT i.indexrelid::regclass::text, 'unique index',
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, ord)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum ORDER BY k.ord)
FROM pg_index i WHERE i.indrelid = $1::text::regclass AND i.indisunique
"""

# Tables with a column show_id.
WITH_SHOW = """
SELECT c.relname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE a.attname = 'show_id' AND c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
"""


async def test_every_key_of_a_table_of_a_show_begins_with_the_show(pool: Pool) -> None:
    async with connection(pool) as conn:
        keys = {table: await conn.fetch(KEYS, table) for table in TABLES_OF_A_SHOW}

    others = {
        table: [key["name"] for key in found if key["columns"][:1] != ["show_id"]] for table, found in keys.items()
    }
    assert {table: found for table, found in others.items() if found} == {}
    assert [table for table, found in keys.items() if not {"p", "f"} <= {key["kind"] for key in found}] == []


async def test_no_table_of_a_show_is_forgotten_above(pool: Pool) -> None:
    async with connection(pool) as conn:
        found = {record["relname"] for record in await conn.fetch(WITH_SHOW)}

    assert found == set(TABLES_OF_A_SHOW)
