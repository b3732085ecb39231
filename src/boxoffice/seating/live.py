"""Live seat maps: whoever looks at a show is told what changed, at once or within a second.

What this process changes and what lapses is told at its moment, what other processes change with the next look
at the database: the map in memory is the one source (`boxoffice.seating.hot_maps`), looked at once for all
listeners. Nothing is announced inside a claim, so a crowd of watchers costs the buyers nothing, and changes that
come in quick succession are told together. Versions are those of the seat map, the same in every process: a
listener that comes back with the last one that it saw is told what it missed, or to start over.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from functools import cached_property
from typing import Final
from uuid import UUID

import msgspec
import structlog

from boxoffice.seating.group_commit import OverloadedError
from boxoffice.seating.hot_map import HotMap
from boxoffice.seating.hot_maps import HotMaps
from boxoffice.seating.map_text import STATUSES
from boxoffice.seating.seat_map import SeatStatus

LOOK_EVERY_S: Final = 0.5
TELL_EVERY_S: Final = 0.2
"""What happens within this time of the last announcement is told together: listeners come in thousands."""
HEARTBEAT_S: Final = 15.0
"""How long a listener hears nothing at most: proxies close what is silent for longer."""
REMEMBERED_MAX: Final = 200
"""Changes of a show that a process keeps for listeners who come back."""
LISTENERS_MAX: Final = 4_096
FULL_S: Final = 30
"""When who is one too many may ask again."""
BEHIND_MAX: Final = 100
"""Changes that a slow listener may have waiting; past it, it is told to start over."""

log = structlog.get_logger(__name__)


class SeatChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A seat's new status, as anybody sees it."""

    id: UUID
    status: SeatStatus


class SeatsChanged(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What became of a show since the version before."""

    version: int
    changes: list[SeatChange]
    settled: bool = True
    """Whether a listener may come back with this version: see `HotMap.settled`."""

    @cached_property
    def wire(self) -> bytes:
        """As a Server-Sent Event, made once for all listeners."""
        return _event("seats", {"version": self.version, "changes": self.changes}, self.version, settled=self.settled)


class StartOver(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The gap cannot be filled: read the seat map again. ``version`` is the one to go on from."""

    version: int
    settled: bool = True

    @cached_property
    def wire(self) -> bytes:
        """As a Server-Sent Event."""
        return _event("reset", {"version": self.version}, self.version, settled=self.settled)


class Quiet(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing happened for a while: the connection is alive."""

    @property
    def wire(self) -> bytes:
        """As a Server-Sent Event. Browsers do not show comments to a page: it would not notice a line gone dead."""
        return b": still here\r\nevent: heartbeat\r\ndata: {}\r\n\r\n"


LiveEvent = SeatsChanged | StartOver | Quiet


class LiveSeats:
    """All watched shows of this process."""

    def __init__(
        self, hot_maps: HotMaps, *, look_every_s: float = LOOK_EVERY_S, listeners_max: int = LISTENERS_MAX
    ) -> None:
        self._hot_maps = hot_maps
        self._look_every_s = look_every_s
        self._listeners_max = listeners_max
        self._listeners = 0
        self._watched: dict[UUID, _Watched] = {}

    @property
    def shows_watched(self) -> int:
        """How many shows this process looks at."""
        return len(self._watched)

    async def listen(self, show_id: UUID, last_seen: int | None) -> AsyncGenerator[LiveEvent]:
        """What happens to the show's seats from ``last_seen`` on (None: from now on), for ever.

        Raises:
            ShowNotFoundError: there is no such show.
            OverloadedError: as many listen already as may.
        """
        if self._listeners >= self._listeners_max:
            raise OverloadedError("too many listen to live seats: read the seat map now and then", retry_after_s=FULL_S)
        self._listeners += 1
        try:
            watched = await self._watch(show_id)
            waiting = watched.join()
            try:
                for event in watched.course.missed_since(last_seen):
                    yield event
                while True:
                    try:
                        yield await asyncio.wait_for(waiting.get(), HEARTBEAT_S)
                    except TimeoutError:
                        yield Quiet()
            finally:
                if watched.leave(waiting):
                    self._watched.pop(show_id, None)
        finally:
            self._listeners -= 1

    async def _watch(self, show_id: UUID) -> "_Watched":
        watched = self._watched.get(show_id)
        if watched is None:
            watched = _Watched(self._hot_maps, show_id, self._look_every_s)
            await watched.look()
            # Another listener may have come while we read.
            watched = self._watched.setdefault(show_id, watched)
        return watched

    async def close(self) -> None:
        """Stop looking."""
        for watched in list(self._watched.values()):
            await watched.stop()
        self._watched.clear()


class Course:
    """What was seen of a show, look by look, and so what somebody has missed who saw it some looks ago."""

    def __init__(self) -> None:
        self._version = -1
        self._settled = False
        self._seat_ids: Iterable[UUID] = ()
        self._codes = b""
        # Each change, with the version that it came from where somebody can come back with that one.
        self._remembered: deque[tuple[int | None, SeatsChanged]] = deque(maxlen=REMEMBERED_MAX)

    def begin(self, version: int, seat_ids: Iterable[UUID], codes: bytes, *, settled: bool) -> StartOver | None:
        """The show at the first look, or with other prices: who followed it until now starts over."""
        changed = self._version not in {-1, version}
        self._version, self._settled = version, settled
        self._seat_ids, self._codes = seat_ids, codes
        if not changed:
            return None
        self._remembered.clear()
        return StartOver(version=version, settled=settled)

    def look(self, version: int, codes: bytes, *, settled: bool) -> SeatsChanged | None:
        """The show as it is now; what changed since the last look, remembered for those who come back."""
        if version == self._version:
            self._settled = self._settled or settled
            return None
        came_from = self._version if self._settled else None
        changes = [
            SeatChange(id=seat, status=STATUSES[now])
            for seat, before, now in zip(self._seat_ids, self._codes, codes, strict=True)
            if before != now
        ]
        changed = SeatsChanged(version=version, changes=changes, settled=settled)
        self._version, self._settled, self._codes = version, settled, codes
        self._remembered.append((came_from, changed))
        return changed

    def missed_since(self, last_seen: int | None) -> list[LiveEvent]:
        """What a listener that saw ``last_seen`` has missed; a new one is told where it stands."""
        if last_seen is not None:
            if last_seen == self._version and self._settled:
                return []
            starts = [index for index, (before, _) in enumerate(self._remembered) if before == last_seen]
            if starts:
                return [changed for _, changed in list(self._remembered)[starts[0] :]]
        return [StartOver(version=self._version, settled=self._settled)]


class _Watched:
    """One show that somebody watches."""

    def __init__(self, hot_maps: HotMaps, show_id: UUID, look_every_s: float) -> None:
        self._hot_maps = hot_maps
        self._show_id = show_id
        self._look_every_s = look_every_s
        self.course = Course()
        self._hot: HotMap | None = None
        self._listeners: set[asyncio.Queue[LiveEvent]] = set()
        self._looking: asyncio.Task[None] | None = None

    async def look(self) -> SeatsChanged | StartOver | None:
        """See how the show is now; what changed since the last look, if anything did."""
        hot = await self._hot_maps.fresh(self._show_id, patient=True)
        before, self._hot = self._hot, hot
        if before is None or (hot is not before and (hot.seat_ids, hot.prices) != (before.seat_ids, before.prices)):
            return self.course.begin(hot.version, hot.seat_ids, hot.codes, settled=hot.settled)
        return self.course.look(hot.version, hot.codes, settled=hot.settled)

    def join(self) -> asyncio.Queue[LiveEvent]:
        queue: asyncio.Queue[LiveEvent] = asyncio.Queue(BEHIND_MAX)
        self._listeners.add(queue)
        if self._looking is None:
            self._looking = asyncio.create_task(self._keep_looking())
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

    async def _keep_looking(self) -> None:
        with self._hot_maps.watching(self._show_id) as stirred:
            while True:
                await _either(stirred, self._pause_s())
                stirred.clear()
                try:
                    changed = await self.look()
                except Exception as error:  # noqa: BLE001  (the database may be away; the next look may find it back)
                    log.warning("cannot look at a show", show_id=str(self._show_id), error=repr(error))
                    await asyncio.sleep(self._look_every_s)
                    continue
                if changed is not None:
                    self._tell(changed)
                    await asyncio.sleep(min(TELL_EVERY_S, self._look_every_s))

    def _pause_s(self) -> float:
        """Until the next look: when the database is to be asked again, or a lease runs out before."""
        if self._hot is None:
            return self._look_every_s
        lapse_s = (self._hot.next_lapse - self._hot_maps.clock.now()) / 1_000_000
        # Looks at what this process has changed do not put off the next look at what others have.
        return max(min(lapse_s, self._hot_maps.due_s(self._show_id), self._look_every_s), 0.001)

    def _tell(self, changed: SeatsChanged | StartOver) -> None:
        for queue in self._listeners:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(StartOver(version=changed.version, settled=changed.settled))
            else:
                queue.put_nowait(changed)


async def _either(stirred: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stirred.wait()
    except TimeoutError:
        pass


def _event(name: str, data: object, version: int, *, settled: bool) -> bytes:
    """An event of the stream (WHATWG HTML, section 9.2.6). Without an id, the listener's last one stays."""
    identity = b"id: %d\r\n" % version if settled else b""
    return b"%bevent: %b\r\ndata: %b\r\n\r\n" % (identity, name.encode(), msgspec.json.encode(data))
