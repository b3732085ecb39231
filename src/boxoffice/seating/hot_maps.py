"""The seat maps that people look at, in this process's memory: one database read whatever the number of viewers.

What is shown may be up to `AGE_MAX_S` old, as another process may have changed it meanwhile; what this
process has changed is shown at once, and a lease that runs out is free at its moment, without a read. What is
claimed is decided by the database alone. Where nothing can be read, nothing older than that is shown.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from boxoffice.postgres.pool import Connection, Pool, connection
from boxoffice.seating.claims import Lease
from boxoffice.seating.hot_map import BLOCK_SEATS_LOG2, HotMap, microseconds
from boxoffice.seating.map_text import Packing
from boxoffice.seating.refusals import ShowNotFoundError

CHECK_EVERY_S: Final = 0.5
"""A map that was compared with the database within this time is shown as it is."""
AGE_MAX_S: Final = 1.0
"""An older one is not shown before it has been compared."""
SEATS_MAX: Final = 200_000
"""Seats of all maps in memory together, at about a quarter of a kilobyte each; those least looked at go first."""
BUILD_APART_SEATS: Final = 4_000
"""A larger map is made in a thread, so that other requests do not wait for it."""
PACK_APART_SEATS: Final = 1_000
"""More than this is compressed in a thread; less takes under 2 ms."""

log = structlog.get_logger(__name__)


class HotMaps:
    """All maps in memory.

    Args:
        pool: where the seats are.
        check_every_s: see `CHECK_EVERY_S`.
        seats_max: see `SEATS_MAX`.
    """

    def __init__(self, pool: Pool, *, check_every_s: float = CHECK_EVERY_S, seats_max: int = SEATS_MAX) -> None:
        self._pool = pool
        self._check_every_s = check_every_s
        self._seats_max = seats_max
        self._places: OrderedDict[UUID, _Place] = OrderedDict()
        self._watched: dict[UUID, set[asyncio.Event]] = {}
        self.clock: Final = DatabaseClock()
        self.reads = 0
        """How often the database was asked."""

    async def fresh(self, show_id: UUID, *, patient: bool = False) -> HotMap:
        """The map of a show as of now; ``patient`` waits for the next comparison when one is due.

        What is done with it before the next ``await`` belongs to one moment.

        Raises:
            ShowNotFoundError: there is no such show.
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError, UnavailableError: the database cannot be read.
        """
        place = self._places.get(show_id)
        if place is None:
            place = self._places[show_id] = _Place()
        self._places.move_to_end(show_id)
        called, marked = time.monotonic(), place.marks
        while True:
            if place.hot is not None and place.seen >= marked:
                age = called - place.checked_at
                if age < self._check_every_s:
                    break
                if age < AGE_MAX_S and not patient:
                    self._reading(show_id, place)
                    break
            # Others who wait here wait for the same read, and one who leaves does not take it from them.
            await asyncio.shield(self._reading(show_id, place))
        place.hot.advance(self.clock.now())
        return place.hot

    def at_hand(self, show_id: UUID) -> HotMap | None:
        """What `fresh` would return without waiting; None where it would have to wait."""
        place = self._places.get(show_id)
        if place is None or place.hot is None or place.seen < place.marks:
            return None
        age = time.monotonic() - place.checked_at
        if age >= AGE_MAX_S:
            return None
        if age >= self._check_every_s:
            self._reading(show_id, place)
        self._places.move_to_end(show_id)
        place.hot.advance(self.clock.now())
        return place.hot

    def due_s(self, show_id: UUID) -> float:
        """Seconds until the map is to be compared with the database; not positive: now."""
        place = self._places.get(show_id)
        return 0.0 if place is None else place.checked_at + self._check_every_s - time.monotonic()

    async def packed(self, hot: HotMap, viewer: UUID | None) -> bytes:
        """The map's `HotMap.body` as it is now, compressed (gzip)."""
        if (ready := hot.packed(viewer)) is not None:
            return ready
        packing = hot.packing(viewer)
        if packing.seats_to_do <= PACK_APART_SEATS:
            packing.run()
            packing.keep()
        else:
            await self._pack_apart(hot, packing)
        return packing.zipped

    def leased(self, show_id: UUID, changes: Sequence[Lease]) -> None:
        """Show at once what this process has just committed."""
        place = self._places.get(show_id)
        if place is None:
            return
        if place.reading is not None:
            # That read may have begun before the commit, and may replace the map.
            place.late.extend(changes)
        if place.hot is not None:
            _apply(place.hot, changes)
        self._stir(show_id)

    def changed(self, *show_ids: UUID) -> None:
        """Have the next viewer see what this process has just committed, whatever it was."""
        for show_id in show_ids:
            if (place := self._places.get(show_id)) is not None:
                place.marks += 1
                self._stir(show_id)

    def changed_holds_of(self, user_id: UUID) -> None:
        """The same, for all shows in which this buyer is known to hold seats."""
        for show_id, place in self._places.items():
            if place.hot is None or place.hot.holds_of(user_id):
                self.changed(show_id)

    @contextmanager
    def watching(self, show_id: UUID) -> Generator[asyncio.Event]:
        """An event that is set whenever this process changes the show."""
        stirred = asyncio.Event()
        self._watched.setdefault(show_id, set()).add(stirred)
        try:
            yield stirred
        finally:
            self._watched[show_id].discard(stirred)
            if not self._watched[show_id]:
                del self._watched[show_id]

    @property
    def seats(self) -> int:
        """Seats in memory."""
        return sum(len(place.hot) for place in self._places.values() if place.hot is not None)

    async def close(self) -> None:
        """End the reads that are under way."""
        tasks = [place.reading for place in self._places.values() if place.reading is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _reading(self, show_id: UUID, place: "_Place") -> Awaitable[None]:
        if place.reading is None:
            place.reading = asyncio.create_task(self._read(show_id, place))
            place.reading.add_done_callback(_heard)
        return place.reading

    async def _read(self, show_id: UUID, place: "_Place") -> None:
        try:
            async with connection(self._pool) as conn:
                began, marks = time.monotonic(), place.marks
                if place.hot is None or not await self._compare(conn, show_id, place.hot):
                    place.hot, place.ends_at = await self._load(conn, show_id)
                    _apply(place.hot, place.late)
            place.checked_at, place.seen = began, marks
        except ShowNotFoundError:
            place.hot = None
            raise
        finally:
            place.late.clear()
            place.reading = None
            if place.hot is None and self._places.get(show_id) is place:
                del self._places[show_id]
        self._make_room(show_id)

    async def _compare(self, conn: Connection, show_id: UUID, hot: HotMap) -> bool:
        """Take over what others have changed; False if the map has to be read anew."""
        known, doubtful = dict(hot.block_revisions), set(hot.doubtful)
        asked = time.monotonic()
        rows = await conn.fetch(
            COMPARE, show_id, list(known), [-1 if block in doubtful else sum_ for block, sum_ in known.items()]
        )
        self.reads += 1
        now = self.clock.told(rows[0]["as_of"], asked)
        if rows[0]["version"] is None:
            raise ShowNotFoundError(f"there is no show {show_id}")
        if rows[0]["id"] is not None and not hot.patch(rows):
            return False
        hot.doubtful -= doubtful
        hot.advance(now)
        return hot.confirm(rows[0]["version"])

    async def _load(self, conn: Connection, show_id: UUID) -> tuple[HotMap, int]:
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            asked = time.monotonic()
            show = await conn.fetchrow(SHOW, show_id)
            self.reads += 1
            if show is None:
                raise ShowNotFoundError(f"there is no show {show_id}")
            now = self.clock.told(show["as_of"], asked)
            rows = await conn.fetch(SEATS, show_id)
        if len(rows) > BUILD_APART_SEATS:
            hot = await asyncio.to_thread(HotMap, show_id, rows, now)
        else:
            hot = HotMap(show_id, rows, now)
        hot.confirm(hot.version)
        return hot, microseconds(show["ends_at"])

    async def _pack_apart(self, hot: HotMap, packing: Packing) -> None:
        async with hot.packing_apart:
            packing.take_over()
            if not packing.zipped:
                await asyncio.to_thread(packing.run)
                packing.keep()

    def _make_room(self, newest: UUID) -> None:
        """Let go of maps until the rest fits: of shows that are over first, then of those least looked at."""
        over = self.seats - self._seats_max
        if over <= 0:
            return
        now = self.clock.now()
        order = sorted(self._places, key=lambda show_id: self._places[show_id].ends_at > now)
        for show_id in order:
            place = self._places[show_id]
            if show_id == newest or place.reading is not None or place.hot is None:
                continue
            over -= len(place.hot)
            del self._places[show_id]
            if over <= 0:
                return

    def _stir(self, show_id: UUID) -> None:
        for stirred in self._watched.get(show_id, ()):
            stirred.set()


class DatabaseClock:
    """The database's clock as seen from here: known as well as the quickest answers were quick."""

    def __init__(self) -> None:
        self._least = self._most = 0
        """Bounds of the database's clock less our own, in microseconds; equal and 0 while nothing is known."""

    def told(self, now: datetime, asked: float) -> int:
        """The database said ``now`` some time after we had ``asked`` (monotonic, seconds); the same in microseconds."""
        told = microseconds(now)
        least, most = told - _micro(time.monotonic()), told - _micro(asked)
        # Each answer narrows what is known. One that contradicts it, since clocks drift, is believed just so far.
        if self._least == self._most == 0:
            self._least, self._most = least, most
        self._least, self._most = min(max(least, self._least), most), max(min(most, self._most), least)
        return told

    def now(self) -> int:
        """About what it is there, in microseconds since 1970."""
        return _micro(time.monotonic()) + (self._least + self._most) // 2


class _Place:
    """Where a map stands, or will stand when it has been read."""

    def __init__(self) -> None:
        self.hot: HotMap | None = None
        self.ends_at = 0
        self.checked_at = 0.0
        """When the last comparison began (monotonic, seconds): the map is no older."""
        self.marks = self.seen = 0
        """Changes that only a read shows, and how many of them the last read has seen."""
        self.reading: asyncio.Task[None] | None = None
        self.late: list[Lease] = []
        """What was committed since the read began."""


# The version of a show, and all seats of the blocks that are not as we know them: $2 blocks, $3 the sums of their
# seats' revisions. All as of one instant; the version is null where there is no such show.
COMPARE: Final = f"""
WITH present AS MATERIALIZED (
    SELECT position >> {BLOCK_SEATS_LOG2} AS block, sum(revision) AS revisions,
           count(*) FILTER (WHERE taken_until <= now() AND taken_until > '-infinity') AS lapsed
      FROM show_seat WHERE show_id = $1
     GROUP BY 1
), differing AS (
    SELECT array_agg(block) AS blocks
      FROM present LEFT JOIN unnest($2::integer[], $3::bigint[]) AS known (block, revisions) USING (block)
     WHERE present.revisions IS DISTINCT FROM known.revisions
    HAVING count(*) > 0
)
SELECT now() AS as_of, total.version, seat.*
  FROM (SELECT (sum(revisions) * 2 + sum(lapsed))::bigint AS version FROM present) AS total
  LEFT JOIN (
      SELECT of_block.*
        FROM differing CROSS JOIN LATERAL (  -- so that where no block differs, the seats are not read twice
            SELECT id, price, taken_until, holder_id, booking_id IS NOT NULL AS booked, revision
              FROM show_seat
             WHERE show_id = $1 AND position >> {BLOCK_SEATS_LOG2} = ANY (differing.blocks)
        ) AS of_block
  ) AS seat ON true
"""

# Whether the show is there, and when it is over.
SHOW: Final = """
SELECT now() AS as_of, ends_at FROM show WHERE id = $1
"""

# All that a map is made of.
SEATS: Final = """
SELECT id, position, row_label, number, price, tier, kind, taken_until, holder_id, booking_id IS NOT NULL AS booked,
       revision
  FROM show_seat
 WHERE show_id = $1
 ORDER BY position
"""


def _apply(hot: HotMap, changes: Sequence[Lease]) -> None:
    for change in changes:
        hot.lease(
            change.seat_id,
            microseconds(change.taken_until),
            change.holder_id,
            booked=change.booking_id is not None,
            revision=change.revision,
        )


def _heard(reading: asyncio.Task[None]) -> None:
    """Who waited for the read has its error, too; where nobody did, this is the place for it."""
    if not reading.cancelled() and (error := reading.exception()) is not None:
        log.debug("a seat map was not read", error=repr(error))


def _micro(seconds: float) -> int:
    return int(seconds * 1_000_000)
