"""Web and jobs may do what their statements do, and no more."""

import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from written import is_part, statements

from boxoffice.postgres.grants import GRANTS, SEQUENCES, WEB, WORKER
from boxoffice.postgres.pool import Connection, Pool, connect_pool, connection
from boxoffice.postgres.roles import with_role

# Which process runs which statements, by the beginnings of their names: the longest that fits decides.
ONLY_OWNER = ("accounts.accounts._PUT_ACCOUNT", "bookings.waiting._NAMED", "bookings.waiting._RESOLVE", "demo.")
ONLY_JOBS = (
    "bookings.capture.",
    "bookings.expiry.",
    "bookings.reconciliation.",
    "bookings.waiting.",
    "idempotency._FORGET",
    "mail.outbox._CLAIM",
    "mail.outbox._QUEUED",
    "mail.outbox._RELEASE",
    "mail.outbox._SETTLE",
    "mail.unpaid.",
    "payments.fake_books._EXPIRE_LAPSED",
    "payments.ledger.",
    "payments.refunds._ACCEPT",
    "payments.refunds._FAIL",
    "payments.refunds._SUCCEED",
    "payments.refunds._TAKE_TURN",
    "payments.refunds._UNSENT",
    "postgres.queue._WAITS_TOO_LONG",
    "seating.holds._TIDY",
    "tickets.post.",
)
BOTH = (
    "audit._RECORD",
    "bookings.authorisation.",
    "bookings.automatic_refund.",
    "bookings.reading._SEE",
    "bookings.settlement.",
    "mail.contact._CONTACT",
    "mail.outbox._TELL",
    "payments.fake_books.",
    "payments.fake_delivery.",
    "payments.refunds._MARK",
    "postgres.",
    "seating.leases.",
    "tickets.issue.",
)
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")

# Every table, and every sequence that is not behind an identity column, which needs no leave.
TABLES = """
SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
"""
BARE_SEQUENCES = """
SELECT c.relname::text FROM pg_class c
WHERE c.relkind = 'S' AND c.relnamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i')
"""
# What was really granted to a role: a table, a privilege, and the columns if only some.
GRANTED = """
SELECT table_name::text AS name, privilege_type::text AS may FROM information_schema.role_table_grants
WHERE grantee = $1 AND table_schema = 'public'
"""


def roles_of(name: str) -> set[str]:
    """Whose statement this is."""
    short = name.removeprefix("boxoffice.")
    fits = {
        prefix: roles
        for prefixes, roles in ((ONLY_OWNER, ()), (ONLY_JOBS, (WORKER,)), (BOTH, (WEB, WORKER)))
        for prefix in prefixes
        if short.startswith(prefix)
    }
    return set(fits[max(fits, key=len)]) if fits else {WEB}


def written_for(role: str) -> dict[str, str]:
    written = dict(statements())
    return {name: text for name, text in written.items() if role in roles_of(name) and not is_part(name, written)}


@asynccontextmanager
async def one_of(pool: Pool, written: dict[str, str]) -> AsyncGenerator[tuple[Connection, dict[str, str]]]:
    """A connection where all of these are prepared, and how each is explained."""
    explain: dict[str, str] = {}
    async with connection(pool) as conn:
        for number, (name, text) in enumerate(written.items()):
            await conn.execute(f"PREPARE s{number} AS {text}")
            nulls = ", ".join(["NULL"] * max(map(int, re.findall(r"\$(\d+)", text)), default=0))
            explain[name] = f"EXPLAIN EXECUTE s{number}" + (f" ({nulls})" if nulls else "")
        yield conn, explain


async def denied(conn: Connection, explain: Iterable[str]) -> str | None:
    """The first of these that the present role may not run: PostgreSQL checks that as it begins, also to explain."""
    for one in explain:
        try:
            async with conn.transaction():
                await conn.execute(one)
        except asyncpg.InsufficientPrivilegeError as error:
            return f"{one}: {error}"
    return None


async def test_every_table_has_its_grants_stated(pool: Pool) -> None:
    async with connection(pool) as conn:
        assert {found["relname"] for found in await conn.fetch(TABLES)} == set(GRANTS)
        assert {found["relname"] for found in await conn.fetch(BARE_SEQUENCES)} == set(SEQUENCES)


@pytest.mark.parametrize("role", [WEB, WORKER])
async def test_every_statement_runs_in_the_role_of_its_process(dsn: str, role: str) -> None:
    pool = await connect_pool(with_role(dsn, role), size=1, plan_once=True)
    written = written_for(role)
    assert len(written) > 30
    async with one_of(pool, written) as (conn, explain):
        assert await conn.fetchval("SELECT current_user") == role
        assert {name: said for name, one in explain.items() if (said := await denied(conn, [one]))} == {}
    await pool.close()


@pytest.mark.parametrize("role", [WEB, WORKER])
async def test_every_grant_is_needed_by_a_statement(pool: Pool, role: str) -> None:
    needless: list[str] = []
    async with one_of(pool, written_for(role)) as (conn, explain):
        written = written_for(role)
        for granted in await conn.fetch(GRANTED, role):
            table, may = granted["name"], granted["may"]
            # The queue's are needed by its own code, and the revision by whoever starts.
            if table.startswith("procrastinate_") or table == "alembic_version":
                continue
            mention = [explain[name] for name, text in written.items() if re.search(rf"\b{table}\b", text)]
            trial = conn.transaction()
            async with trial:
                await conn.execute(f"REVOKE {may} ON {table} FROM {role}")
                await conn.execute(f"SET LOCAL ROLE {role}")
                if await denied(conn, mention) is None:
                    needless.append(f"{may} on {table}")
                await conn.execute("RESET ROLE")
                await conn.execute(f"GRANT {may} ON {table} TO {role}")
    assert needless == []


FORBIDDEN = [
    *[
        (role, statement)
        for role in (WEB, WORKER)
        for book, column in (("ledger_entry", "amount"), ("payment_event", "outcome"), ("audit_entry", "action"))
        for statement in (f"UPDATE {book} SET {column} = {column}", f"DELETE FROM {book}", f"TRUNCATE {book}")
    ],
    *[
        (role, statement)
        for role in (WEB, WORKER)
        for statement in (
            "CREATE TABLE mine (id int)",
            "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "DROP TABLE booking",
            "ALTER TABLE booking ADD COLUMN mine int",
            "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
            "SET session_replication_role = replica",
            "CREATE ROLE mine",
            "DELETE FROM booking",
            "DELETE FROM payment",
            "DELETE FROM show_seat",
            "DELETE FROM account",
            "UPDATE account SET role = 'admin'",
            "UPDATE payment_event SET resolved_at = now()",
            "UPDATE refund SET resolved_at = now()",
            "UPDATE stray_event SET resolved_at = now()",
            "INSERT INTO account (role) VALUES ('admin')",
            "UPDATE alembic_version SET version_num = '0000'",
            "SELECT pg_read_file('/etc/passwd')",
            "COPY booking TO PROGRAM 'cat'",
        )
    ],
    (WEB, "SELECT amount FROM ledger_entry"),
    (WEB, "SELECT args FROM procrastinate_jobs"),
    (WEB, "DELETE FROM procrastinate_jobs"),
    (WEB, "SELECT FROM reconciliation_issue"),
    (WEB, "DELETE FROM idempotency_key"),
    (WORKER, "SELECT password_hash FROM account"),
    (WORKER, "SELECT FROM account_session"),
    (WORKER, "INSERT INTO booking SELECT * FROM booking"),
    (WORKER, "SELECT FROM audit_entry"),
]


@pytest.mark.parametrize("role", [WEB, WORKER])
async def test_nothing_else_may_be_done(dsn: str, role: str) -> None:
    pool = await connect_pool(with_role(dsn, role), size=1)
    done: list[str] = []
    async with connection(pool) as conn:
        for whose, statement in FORBIDDEN:
            if whose == role:
                try:
                    async with conn.transaction():
                        await conn.execute(statement)
                    done.append(statement)
                except asyncpg.InsufficientPrivilegeError:
                    pass
        for table in GRANTS:
            assert not await conn.fetchval("SELECT has_table_privilege($1, 'TRUNCATE, REFERENCES, TRIGGER')", table)
    await pool.close()
    assert done == []


@pytest.mark.parametrize("book", ["ledger_entry", "audit_entry"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = NULL", "DELETE FROM {}", "TRUNCATE {}"])
async def test_books_that_are_added_to_are_changed_by_nobody(pool: Pool, book: str, statement: str) -> None:
    column = {"ledger_entry": "currency", "audit_entry": "address"}[book]
    async with connection(pool) as conn:
        # A session that says that it replays what another server has done fires no ordinary trigger.
        for replays in ("origin", "replica"):
            await conn.execute(f"SET session_replication_role = {replays}")
            with pytest.raises(asyncpg.RestrictViolationError):
                await conn.execute(statement.format(book, column))
