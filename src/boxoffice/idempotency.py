"""Idempotency keys: the same key and payload give the first answer again, also while both are in flight.

The key is the caller's own. The answer is written in the transaction of the change that it
answers for, so after any crash either both are there or neither. Only changes are
remembered: a request that was refused changed nothing, and its key is still free.

Follows draft-ietf-httpapi-idempotency-key-header-07.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import msgspec

from boxoffice.errors import KeyReusedError
from boxoffice.postgres.pool import Connection, Pool, connection, transaction

KEY_LENGTH_MAX: Final = 255
"""Characters of a key."""
KEPT_DAYS: Final = 7
"""A key is forgotten after this long: by then no client repeats its request."""
FORGOTTEN_AT_ONCE: Final = 5_000


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A caller's key for one operation on one payload."""

    caller_id: UUID
    key: str
    fingerprint: bytes
    beside: str | None = None
    """Further members of the answer to remember (a JSON object): what whoever claims will say beside it."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """An answer (JSON values), and whether it is the first one again."""

    answer: Any
    replayed: bool


def claim(caller_id: UUID, key: str | None, operation: str, payload: object) -> Claim | None:
    """The claim for a request: ``payload`` is all that it says (path, query, body), ``operation`` its name."""
    if key is None:
        return None
    said = msgspec.json.encode([operation, payload], order="sorted")
    return Claim(caller_id=caller_id, key=key, fingerprint=hashlib.sha256(said).digest())


_RECALL = """
SELECT fingerprint, answer FROM idempotency_key WHERE caller_id = $1 AND key = $2
"""


async def recall(conn: Connection, wanted: Claim) -> Any | None:
    """The answer remembered for this claim; None when there is none yet.

    Raises:
        KeyReusedError: the key was used with another payload.
    """
    found = await conn.fetchrow(_RECALL, wanted.caller_id, wanted.key)
    if found is None:
        return None
    if found["fingerprint"] != wanted.fingerprint:
        raise KeyReusedError("this Idempotency-Key was used before, with another request")
    return found["answer"]


# Takes the key for this transaction; waits for another that is taking it, and returns no row if that one commits.
_TAKE = """
INSERT INTO idempotency_key (caller_id, key, fingerprint, answer) VALUES ($1, $2, $3, 'null')
ON CONFLICT DO NOTHING RETURNING true
"""

# Completes a key that this transaction took.
_COMPLETE = """
UPDATE idempotency_key SET answer = $3 WHERE caller_id = $1 AND key = $2
"""


async def once(pool: Pool, wanted: Claim | None, act: Callable[[Connection], Awaitable[object]]) -> Outcome:
    """Run ``act`` in a transaction of its own, once for each claim; its result becomes the answer.

    Raises:
        KeyReusedError: the key was used with another payload.
        Exception: whatever ``act`` raises; nothing is changed or remembered then.
    """
    async with transaction(pool) as conn:
        if wanted is None:
            return Outcome(answer=msgspec.to_builtins(await act(conn)), replayed=False)
        if not await conn.fetchval(_TAKE, wanted.caller_id, wanted.key, wanted.fingerprint):
            return Outcome(answer=await recall(conn, wanted), replayed=True)
        answer = msgspec.to_builtins(await act(conn))
        await conn.execute(_COMPLETE, wanted.caller_id, wanted.key, answer)
        return Outcome(answer=answer, replayed=False)


# Remembers an answer unless the key has one already.
_REMEMBER = """
INSERT INTO idempotency_key (caller_id, key, fingerprint, answer) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING true
"""


async def remember(conn: Connection, wanted: Claim, answer: object) -> Outcome:
    """Keep the answer of an operation that is idempotent by itself; a twin that was quicker has given the first one.

    Raises:
        KeyReusedError: the key was used with another payload meanwhile.
    """
    told = msgspec.to_builtins(answer)
    if await conn.fetchval(_REMEMBER, wanted.caller_id, wanted.key, wanted.fingerprint, told):
        return Outcome(answer=told, replayed=False)
    return Outcome(answer=await recall(conn, wanted), replayed=True)


# Some of the old keys, the oldest first: a statement has a limit of time, and a day may have many.
_FORGET = """
WITH old AS (
    SELECT caller_id, key FROM idempotency_key
     WHERE created_at < now() - make_interval(days => $1) ORDER BY created_at LIMIT $2
), gone AS (
    DELETE FROM idempotency_key k USING old WHERE k.caller_id = old.caller_id AND k.key = old.key RETURNING true
)
SELECT count(*) FROM gone
"""


async def forget_old(pool: Pool, *, at_once: int = FORGOTTEN_AT_ONCE) -> None:
    """Delete the keys older than `KEPT_DAYS`, so many in a transaction."""
    gone = at_once
    while gone == at_once:
        async with connection(pool) as conn:
            gone = await conn.fetchval(_FORGET, KEPT_DAYS, at_once)
