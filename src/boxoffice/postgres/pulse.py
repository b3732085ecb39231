"""The database's pulse: once it stays away, nobody waits for the database any longer; once it is back, all goes on.

A server that is killed refuses at once. One that is frozen, or behind a network that swallows what it is given, says
nothing, and whoever asks it would wait for as long as the longest statement may take. So a process asks for next to
nothing, again and again, on a connection of its own. Silence means that every connection of the process is dropped,
as if the server had died, which is what all code here is ready for. A statement that takes long or waits for a lock
while the pulse is felt is left alone.
"""

import asyncio
import time
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

import asyncpg
import structlog
from prometheus_client import Counter

from boxoffice.errors import UnavailableError

if TYPE_CHECKING:
    from boxoffice.postgres.pool import Connection

EVERY_S: Final = 0.25
"""The pause between an answer and the next question."""
SILENT_AFTER_S: Final = 1.0
"""Without an answer for so long the database counts as gone: a request is refused well within two seconds."""
TICK_S: Final = 0.05
"""Silence is counted in ticks of our own event loop; see `Pulse._listen`."""
TRY_S: Final = 2.0
"""How long a connection may take to be made and felt; also the longest that its return may stay unnoticed."""
_SESSION: Final = {"application_name": "boxoffice-pulse"}
RETRY_AFTER_S: Final = 2
"""What those who are refused are told."""

SILENCES: Final = Counter("boxoffice_database_silences_total", "Times that the database stopped answering")

log = structlog.get_logger(__name__)


class Pulse:
    """Feels whether a database answers. Use as ``async with Pulse(dsn) as pulse``, and make pools with it.

    Args:
        dsn: where the database is.
        every_s: see `EVERY_S`.
        silent_after_s: see `SILENT_AFTER_S`.
    """

    def __init__(self, dsn: str, *, every_s: float = EVERY_S, silent_after_s: float = SILENT_AFTER_S) -> None:
        self._dsn = dsn
        self._every_s = every_s
        self._silent_after_s = silent_after_s
        self._silent_s = 0.0
        self._silent_since = 0.0
        self._silence: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done while the database is silent."""
        # Those that somebody still has: what a pool lets go of is none of ours.
        self._connections: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Begin to feel it; until the contrary is known, it is there."""
        self._tasks = [asyncio.create_task(self._ask()), asyncio.create_task(self._listen())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def silent(self) -> bool:
        """Whether the database does not answer."""
        return self._silence.done()

    async def connect(self, *args: Any, **kwargs: Any) -> "Connection":
        """`asyncpg.connect`, for pools: refused at once while the database is silent, given up once it falls silent.

        Raises:
            UnavailableError: the database does not answer.
            OSError, asyncpg.PostgresError: as `asyncpg.connect`.
        """
        self._refuse_if_silent()
        connecting = asyncio.create_task(_connect(*args, **kwargs))
        try:
            await asyncio.wait((connecting, self._silence), return_when=asyncio.FIRST_COMPLETED)
            self._refuse_if_silent()
            conn = await connecting
        except BaseException:
            connecting.cancel()
            connecting.add_done_callback(_abandon)
            raise
        self._connections.add(conn)
        return conn

    def _refuse_if_silent(self) -> None:
        if self.silent:
            raise UnavailableError("the database does not answer", retry_after_s=RETRY_AFTER_S)

    async def _ask(self) -> None:
        conn: Connection | None = None
        try:
            while True:
                try:
                    async with asyncio.timeout(TRY_S):
                        if conn is None:
                            conn = await _connect(self._dsn, server_settings=_SESSION)
                        await conn.fetchval(_ANYTHING)
                    self._answered()
                except Exception as error:  # noqa: BLE001  (whatever it is, we ask again)
                    if _is_answer(error):
                        self._answered()
                    else:
                        log.debug("no pulse", error=repr(error))
                    if conn is not None:
                        conn.terminate()
                        conn = None
                await asyncio.sleep(self._every_s)
        finally:
            if conn is not None:
                conn.terminate()

    async def _listen(self) -> None:
        """Count the silence, a tick at a time.

        Each tick lets our event loop take in what has arrived. Time in which it did not (it was busy, or the machine
        was) is no silence of the database's: a tick that comes late counts as one.
        """
        while True:
            await asyncio.sleep(TICK_S)
            self._silent_s += TICK_S
            if self._silent_s >= self._silent_after_s and not self.silent:
                self._fall_silent()

    def _fall_silent(self) -> None:
        log.error("the database does not answer: everybody who waits for it is refused", connections=self._open())
        SILENCES.inc()
        self._silent_since = time.monotonic()
        self._silence.set_result(None)
        # What these were asked may yet be done: each caller knows a broken connection's outcome to be unknown.
        for conn in list(self._connections):
            conn.terminate()
        self._connections.clear()

    def _answered(self) -> None:
        self._silent_s = 0.0
        if self.silent:
            log.warning("the database answers again", after_s=round(time.monotonic() - self._silent_since, 1))
            self._silence = asyncio.get_running_loop().create_future()

    def _open(self) -> int:
        return sum(not conn.is_closed() for conn in self._connections)


# That the server takes a question and answers it.
_ANYTHING: Final = """
SELECT 1
"""


async def _connect(*args: Any, **kwargs: Any) -> "Connection":
    return cast("Connection", await cast("Any", asyncpg).connect(*args, **kwargs))


def _abandon(connecting: "asyncio.Task[Connection]") -> None:
    """Nobody waits for this connection any more: leave none open, and no error untold."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().terminate()


def _is_answer(error: Exception) -> bool:
    """Whether it was the server that spoke: it may be full, or going, but those who ask it are told so."""
    return isinstance(error, asyncpg.PostgresError) and not isinstance(error, asyncpg.PostgresConnectionError)
