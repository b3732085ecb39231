"""Live seat maps: whoever looks at a show is told what changed, within about half a second.

Each process looks at a watched show's rows twice a second, once for all its listeners, and
tells them the difference. Nothing is announced inside a claim, so a crowd of watchers costs the
buyers nothing; a hold that lapses shows at its moment, because the reading compares with the clock.
Versions are those of the seat map, the same in every process: a listener that comes back with the
last one that it saw is told what it missed, or to start over.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

import msgspec
import structlog

from boxoffice.postgres.pool import Pool, connection
from boxoffice.seating.seat_map import SeatStatus, read_seat_map

LOOK_EVERY_S: Final = 0.5
HEARTBEAT_S: Final = 15.0
"""How long a listener hears nothing at most: proxies close what is silent for longer."""
REMEMBERED_MAX: Final = 200
"""Changes of a show that a process keeps for listeners who come back."""
BEHIND_MAX: Final = 100
"""Changes that a slow listener may have waiting; past it, it is told to start over."""

log = structlog.get_logger(__name__)


class SeatChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A seat's new status, as anybody sees it."""

    id: UUID
    status: SeatStatus


class SeatsChanged(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of a show since the version before."""

    version: int
    changes: list[SeatChange]


class StartOver(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The gap cannot be filled: read the seat map again. ``version`` is the one to go on from."""

    version: int


class Quiet(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing happened for a while: the connection is alive."""


LiveEvent = SeatsChanged | StartOver | Quiet


class LiveSeats:
    """All watched shows of this process."""

    def __init__(self, pool: Pool, *, look_every_s: float = LOOK_EVERY_S) -> None:
        self._pool = pool
        self._look_every_s = look_every_s
        self._watched: dict[UUID, _Watched] = {}

    @property
    def shows_watched(self) -> int:
        """How many shows this process looks at."""
        return len(self._watched)

    async def listen(self, show_id: UUID, last_seen: int | None) -> AsyncIterator[LiveEvent]:
        """What happens to the show's seats from ``last_seen`` on (None: from now on), for ever.

        Raises:
            ShowNotFoundError: there is no such show.
        """
        watched = self._watched.get(show_id)
        if watched is None:
            watched = _Watched(self._pool, show_id)
            await watched.look()
            # Another listener may have come while we read.
            watched = self._watched.setdefault(show_id, watched)
        waiting = watched.join(self._look_every_s)
        try:
            for event in watched.missed_since(last_seen):
                yield event
            while True:
                try:
                    yield await asyncio.wait_for(waiting.get(), HEARTBEAT_S)
                except TimeoutError:
                    yield Quiet()
        finally:
            if watched.leave(waiting):
                self._watched.pop(show_id, None)

    async def close(self) -> None:
        """Stop looking."""
        for watched in list(self._watched.values()):
            await watched.stop()
        self._watched.clear()


class _Watched:
    """One show that somebody watches."""

    def __init__(self, pool: Pool, show_id: UUID) -> None:
        self._pool = pool
        self._show_id = show_id
        self._version = 0
        self._statuses: dict[UUID, SeatStatus] = {}
        self._remembered: deque[tuple[int, SeatsChanged]] = deque(maxlen=REMEMBERED_MAX)
        self._listeners: set[asyncio.Queue[LiveEvent]] = set()
        self._looking: asyncio.Task[None] | None = None

    async def look(self) -> SeatsChanged | None:
        """Read the show; what changed since the last look, remembered for those who come back."""
        async with connection(self._pool) as conn:
            seat_map = await read_seat_map(conn, self._show_id, None)
        before, came_from = self._statuses, self._version
        self._statuses = {seat.id: seat.status for seat in seat_map.seats}
        self._version = seat_map.version
        if not before or came_from == self._version:
            return None
        changes = [
            SeatChange(id=seat, status=status) for seat, status in self._statuses.items() if before.get(seat) != status
        ]
        changed = SeatsChanged(version=self._version, changes=changes)
        self._remembered.append((came_from, changed))
        return changed

    def join(self, look_every_s: float) -> asyncio.Queue[LiveEvent]:
        queue: asyncio.Queue[LiveEvent] = asyncio.Queue(BEHIND_MAX)
        self._listeners.add(queue)
        if self._looking is None:
            self._looking = asyncio.create_task(self._keep_looking(look_every_s))
        return queue

    def leave(self, queue: asyncio.Queue[LiveEvent]) -> bool:
        """Forget a listener; True if it was the last."""
        self._listeners.discard(queue)
        if self._listeners:
            return False
        if self._looking is not None:
            self._looking.cancel()
        return True

    async def stop(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def missed_since(self, last_seen: int | None) -> list[LiveEvent]:
        """What a listener that saw ``last_seen`` has missed; a new one is told where it stands."""
        if last_seen == self._version:
            return []
        if last_seen is not None:
            starts = [index for index, (before, _) in enumerate(self._remembered) if before == last_seen]
            if starts:
                return [changed for _, changed in list(self._remembered)[starts[0] :]]
        return [StartOver(version=self._version)]

    async def _keep_looking(self, look_every_s: float) -> None:
        while True:
            await asyncio.sleep(look_every_s)
            try:
                changed = await self.look()
            except Exception as error:  # noqa: BLE001  (the database may be away; the next look may find it back)
                log.warning("cannot look at a show", show_id=str(self._show_id), error=repr(error))
                continue
            if changed is not None:
                self._tell(changed)

    def _tell(self, changed: SeatsChanged) -> None:
        for queue in self._listeners:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(StartOver(version=changed.version))
            else:
                queue.put_nowait(changed)
