"""Idempotency keys are forgotten when they are old, in transactions of a bounded size."""

import asyncpg
import pytest

from boxoffice.idempotency import KEPT_DAYS, forget_old
from boxoffice.postgres.pool import Pool

OLD = 7
"""Keys that are older than that they are kept, by as many minutes as their number says."""


@pytest.fixture
async def keys(pool: Pool) -> Pool:
    await pool.execute(
        """INSERT INTO idempotency_key (caller_id, key, fingerprint, answer, created_at)
           SELECT gen_random_uuid(), n::text, '', '{}', now() - make_interval(days => $1, mins => n)
             FROM generate_series(-2, $2) n WHERE n <> 0""",
        *(KEPT_DAYS, OLD),
    )
    return pool


async def left(pool: Pool) -> list[int]:
    return [int(row["key"]) for row in await pool.fetch("SELECT key FROM idempotency_key ORDER BY key::integer")]


@pytest.mark.parametrize("at_once", [1, 3, OLD, OLD + 1])
async def test_old_keys_are_forgotten_however_many_go_at_once(keys: Pool, at_once: int) -> None:
    await forget_old(keys, at_once=at_once)
    assert await left(keys) == [-2, -1]


async def test_what_is_forgotten_stays_so_though_the_next_part_fails(keys: Pool) -> None:
    await keys.execute(
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
           CREATE TRIGGER refuse BEFORE DELETE ON idempotency_key FOR EACH ROW WHEN (OLD.key = '2')
           EXECUTE FUNCTION refuse()"""
    )
    with pytest.raises(asyncpg.RaiseError):
        await forget_old(keys, at_once=3)
    assert await left(keys) == [-2, -1, 1, 2, 3, 4]
