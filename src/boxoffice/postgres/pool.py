"""Connections to PostgreSQL: one pool a process, typed rows, UTC, no statement left running for ever.

A function that takes a `Connection` joins its caller's transaction and never commits; one
that takes a `Pool` owns its transactions. The signature tells the concurrency story.
"""

import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

import asyncpg
import msgspec

from boxoffice.errors import UnavailableError
from boxoffice.postgres.pulse import Pulse
from boxoffice.postgres.turns import Turns

if TYPE_CHECKING:
    # asyncpg ships no types: this is the one place where what it returns gets one.
    class _Connection(Protocol):
        async def execute(self, query: str, *args: object, **kwargs: Any) -> str: ...
        async def executemany(self, command: str, args: Iterable[Sequence[object]]) -> None: ...
        async def fetch(self, query: str, *args: object, **kwargs: Any) -> list[Mapping[str, Any]]: ...
        async def fetchrow(self, query: str, *args: object, **kwargs: Any) -> Mapping[str, Any] | None: ...
        async def fetchval(self, query: str, *args: object, **kwargs: Any) -> Any: ...
        async def set_type_codec(self, typename: str, **kwargs: Any) -> None: ...
        async def add_listener(self, channel: str, callback: Callable[..., Any]) -> None: ...
        async def remove_listener(self, channel: str, callback: Callable[..., Any]) -> None: ...
        async def close(self, **kwargs: Any) -> None: ...
        def terminate(self) -> None: ...
        def is_closed(self) -> bool: ...
        def transaction(self, **kwargs: Any) -> AbstractAsyncContextManager[Any]: ...

    class _Pool(Protocol):
        turns: Turns

        async def execute(self, query: str, *args: object, **kwargs: Any) -> str: ...
        async def fetch(self, query: str, *args: object, **kwargs: Any) -> list[Mapping[str, Any]]: ...
        async def fetchrow(self, query: str, *args: object, **kwargs: Any) -> Mapping[str, Any] | None: ...
        async def fetchval(self, query: str, *args: object, **kwargs: Any) -> Any: ...
        def acquire(self, *, timeout: float | None = None) -> Any: ...
        async def release(self, connection: object) -> None: ...
        async def close(self) -> None: ...
        def terminate(self) -> None: ...

    Connection = _Connection
    Pool = _Pool
else:
    Connection = asyncpg.Connection

    class Pool(asyncpg.Pool):
        """A pool that knows whose turn it is; `connection` waits for it."""

        __slots__ = ("turns",)

        def __init__(self, *where: str, max_size: int, **options: Any) -> None:
            super().__init__(*where, max_size=max_size, **options)
            self.turns = Turns(max_size)


STATEMENT_TIMEOUT_S: Final = 15
"""PostgreSQL cancels a statement that runs or waits for a lock longer than this."""
ACQUIRE_TIMEOUT_S: Final = 10
"""A request that gets no connection within this is answered 503."""
CONNECT_TIMEOUT_S: Final = 5


class Row(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A typed row of a statement, and its shape in JSON. Column names are the fields' names."""


RowT = TypeVar("RowT", bound=Row)


def row(kind: type[RowT], record: Mapping[str, Any]) -> RowT:
    """The record as ``kind``; its columns are exactly the fields of the kind."""
    return kind(**record)


def constraint_of(error: asyncpg.PostgresError) -> str | None:
    """The name of the constraint that a statement would have broken."""
    return getattr(error, "constraint_name", None)


async def connect_pool(dsn: str, *, size: int, plan_once: bool = False, pulse: Pulse | None = None) -> Pool:
    """A pool of up to ``size`` connections to the database at ``dsn``, dropped whenever its ``pulse`` stays away.

    With a ``pulse`` it begins empty: a web process can start while the database is away, and refuse who needs it.
    Without one it has connected.

    With ``plan_once`` a statement is planned once a connection and not for each set of arguments: right for one whose
    plan is the same for all of them and takes longer to make than to run.

    Raises:
        OSError, asyncpg.PostgresError, UnavailableError: the server cannot be reached, refuses, or does not answer.
    """
    made = await cast("Any", Pool)(
        dsn,
        min_size=0 if pulse else min(2, size),
        max_size=size,
        # What `asyncpg.create_pool` would say, which makes no pool but its own.
        max_queries=50_000,
        max_inactive_connection_lifetime=300.0,
        loop=None,
        connection_class=asyncpg.Connection,
        record_class=asyncpg.Record,
        connect=None if pulse is None else pulse.connect,
        init=_initialise,
        reset=_nothing_to_reset,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=STATEMENT_TIMEOUT_S + 5,  # the server's own limit speaks first
        server_settings={
            "application_name": "boxoffice",
            "timezone": "UTC",
            "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
            "idle_in_transaction_session_timeout": "30s",
            # A connection that we dropped while the network swallowed everything is noticed there, too.
            "tcp_keepalives_idle": "30",
            "tcp_keepalives_interval": "10",
            "tcp_keepalives_count": "3",
            # Statements here are short: compiling one costs more than running it.
            "jit": "off",
            "plan_cache_mode": "force_generic_plan" if plan_once else "auto",
        },
    )
    return cast("Pool", made)


@asynccontextmanager
async def connection(pool: Pool) -> AsyncGenerator[Connection]:
    """A connection of the pool, outside any transaction. Of those who wait for one, who began first goes first.

    Raises:
        UnavailableError: every connection stayed busy for `ACQUIRE_TIMEOUT_S`, or the database does not answer.
    """
    try:
        await pool.turns.take(ACQUIRE_TIMEOUT_S)
        try:
            conn = cast("Connection", await pool.acquire(timeout=ACQUIRE_TIMEOUT_S))
        except BaseException:
            pool.turns.give_back()
            raise
    except TimeoutError as error:
        raise UnavailableError("every database connection is busy", retry_after_s=2) from error
    try:
        yield conn
    finally:
        try:
            await pool.release(conn)
        finally:
            pool.turns.give_back()


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncGenerator[Connection]:
    """A connection inside a transaction: committed at the end, rolled back on any error."""
    async with connection(pool) as conn, conn.transaction():
        yield conn


async def _initialise(conn: Connection) -> None:
    await conn.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=msgspec.json.decode, format="text"
    )


async def _nothing_to_reset(_: Connection) -> None:
    """What asyncpg asks of a connection that comes back, beyond rolling back what is open: nothing.

    No statement of ours changes a session (a tidy test sees to it), and asking PostgreSQL each time to reset what
    nobody changed would be a third of all round trips of a purchase.
    """
