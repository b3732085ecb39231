"""One show's seat map in memory: leases go in, ready bytes for any viewer come out; no I/O, no clock of its own.

Each seat's lease lies in flat arrays; what was read from the database and what this process has just
committed both go in by the row's revision, so that neither can undo something newer. A lease that runs out is
free at that moment, whoever says what time it is.

Times are microseconds since 1970 by the database's clock; `advance` says what time it is.
"""

import asyncio
import heapq
from array import array
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from boxoffice.seating.map_text import BOOKED, FREE, HELD, MapText, Packing
from boxoffice.seating.seat_ids import SeatIds
from boxoffice.seating.seat_map import SeatSummary

BLOCK_SEATS_LOG2: Final = 8
"""Seats come in blocks of 256, by position; the database compares blocks to find what changed."""
NEVER: Final = -(1 << 63)
FOREVER: Final = (1 << 63) - 1

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """A time that PostgreSQL told; asyncpg writes its infinities as the last and the first naive datetime."""
    if moment.tzinfo is None:
        return NEVER if moment.year == 1 else FOREVER
    return (moment - _EPOCH) // _MICROSECOND


class HotMap:
    """The seats of one show as of the time that it was last told.

    Args:
        show_id: whose seats these are.
        rows: all seats by position, with the columns of ``show_seat``; ``booked`` says that a booking has the seat.
        now: when they were read.
    """

    def __init__(self, show_id: UUID, rows: Sequence[Mapping[str, Any]], now: int) -> None:
        self.seat_ids: Final = SeatIds([row["id"] for row in rows])
        """By row, then number."""
        self._now = now
        self.prices = array("i", [row["price"] for row in rows])
        self._blocks = array("i", [row["position"] >> BLOCK_SEATS_LOG2 for row in rows])
        self.block_revisions: dict[int, int] = dict.fromkeys(self._blocks, 0)
        """What the database is asked to compare: the sum of its seats' revisions, by block."""
        self.doubtful: set[int] = set()
        """Blocks with a seat that somebody else changed before a change of ours: to be read whatever their sum."""

        self._until = array("q", [NEVER]) * len(rows)
        self._revisions = array("i", [0]) * len(rows)
        self._codes = bytearray(len(rows))
        self._revision_sum = 0
        self._lapsed = 0
        self._held = self._booked = 0
        self._holders: dict[int, UUID] = {}
        self._held_by: dict[UUID, set[int]] = {}
        self._lapses: list[tuple[int, int]] = []
        self._confirmed = -1
        self.packing_apart = asyncio.Lock()
        """For those who compress it in a thread: one at a time, each finding what the one before has done."""
        for i, row in enumerate(rows):
            self._put(i, microseconds(row["taken_until"]), row["holder_id"], row["booked"], row["revision"])
        self._text = MapText(show_id, rows, self._codes)

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def version(self) -> int:
        """As `boxoffice.seating.seat_map` defines it."""
        return 2 * self._revision_sum + self._lapsed

    @property
    def settled(self) -> bool:
        """Whether this very state was once all that the database held.

        It is not between a change of this process and the next look at the database: another process
        may have changed other seats before. Its version then is no point that all processes agree on.
        """
        return self.version == self._confirmed

    @property
    def next_lapse(self) -> int:
        """When a lease runs out at the soonest; `FOREVER` if none does. May be too early, never too late."""
        return self._lapses[0][0] if self._lapses else FOREVER

    @property
    def codes(self) -> bytes:
        """One byte a seat, in the order of `seat_ids`: an index of `STATUSES`."""
        return bytes(self._codes)

    def advance(self, now: int) -> None:
        """It is ``now``, or as late as we have been told before: what has lapsed is free."""
        if now <= self._now:
            return
        self._now = now
        while self._lapses and self._lapses[0][0] <= now:
            until, i = heapq.heappop(self._lapses)
            if self._codes[i] != FREE and self._until[i] == until:
                self._show(i, FREE, None)
                self._lapsed += 1

    def confirm(self, version: int) -> bool:
        """The database's version, as of a read whose rows were patched in; False if this map cannot be right.

        Ours may be ahead, by what this process has committed or by what has lapsed since. It is behind only where
        somebody changed rows by hand and forgot their revision.
        """
        if version == self.version:
            self._confirmed = version
        return version <= self.version

    def patch(self, rows: Iterable[Mapping[str, Any]]) -> bool:
        """Take over the rows that are newer than what is here; False if the layout or a price is another now."""
        for row in rows:
            i = self.seat_ids.place(row["id"])
            if i is None or self.prices[i] != row["price"]:
                return False
            if row["revision"] > self._revisions[i]:
                self._put(i, microseconds(row["taken_until"]), row["holder_id"], row["booked"], row["revision"])
        return True

    def lease(self, seat_id: UUID, until: int, holder: UUID, *, booked: bool, revision: int) -> None:
        """Take over one change of this process, unless a newer one is here."""
        i = self.seat_ids.place(seat_id)
        if i is None or revision <= self._revisions[i]:
            return
        if revision > self._revisions[i] + 1:
            self.doubtful.add(self._blocks[i])
        self._put(i, until, holder, booked, revision)

    def holds_of(self, viewer: UUID | None) -> bool:
        """Whether the viewer has live holds, as far as this map knows."""
        return viewer in self._held_by

    def held_by(self, viewer: UUID) -> AbstractSet[int]:
        """The places, in the order of `seat_ids`, of the viewer's live holds as far as this map knows."""
        return self._held_by.get(viewer, frozenset())

    def body(self, viewer: UUID | None) -> bytes:
        """The map as the viewer sees it (None: as anybody does): a JSON `SeatMap`."""
        shared = self._shared()
        own = self._slots_of(viewer)
        return shared if not own else self._text.with_slots(own, self._summary(len(own)))

    def available(self) -> bytes:
        """The seats that can be taken: a JSON `AvailableSeats`."""
        self._shared()
        return self._text.available(len(self._codes) - self._held - self._booked)

    def packed(self, viewer: UUID | None) -> bytes | None:
        """`body`, compressed (gzip), if it is at hand."""
        return None if self.holds_of(viewer) else self._text.zipped(self.version)

    def packing(self, viewer: UUID | None) -> Packing:
        """What has to be done for `body`, compressed. Nothing here waits for it."""
        self._shared()
        return self._text.packing(self.body(viewer), self._slots_of(viewer))

    def _shared(self) -> bytes:
        return self._text.shared(self.version, self._codes, self._summary(0))

    def _summary(self, own: int) -> SeatSummary:
        total = len(self._codes)
        return SeatSummary(
            total=total,
            available=total - self._held - self._booked,
            held=self._held - own,
            held_by_me=own,
            booked=self._booked,
        )

    def _slots_of(self, viewer: UUID | None) -> list[tuple[int, bytes]]:
        if viewer is None or viewer not in self._held_by:
            return []
        return [(i, _own_slot(self._until[i])) for i in sorted(self._held_by[viewer])]

    def _put(self, i: int, until: int, holder: UUID | None, booked: bool, revision: int) -> None:  # noqa: FBT001  (columns)
        if self._codes[i] == FREE and self._until[i] != NEVER:
            self._lapsed -= 1
        self._until[i] = until
        more = revision - self._revisions[i]
        self._revisions[i] = revision
        self._revision_sum += more
        self.block_revisions[self._blocks[i]] += more
        if until <= self._now:
            self._show(i, FREE, None)
            self._lapsed += until != NEVER
            return
        self._show(i, BOOKED if booked else HELD, None if booked else holder)
        if until != FOREVER:
            if len(self._lapses) > 2 * len(self._codes):  # mostly of leases that were renewed or sold
                self._lapses = [(end, j) for end, j in self._lapses if self._until[j] == end]
                heapq.heapify(self._lapses)
            heapq.heappush(self._lapses, (until, i))

    def _show(self, i: int, code: int, holder: UUID | None) -> None:
        before = self._codes[i]
        self._held += (code == HELD) - (before == HELD)
        self._booked += (code == BOOKED) - (before == BOOKED)
        self._codes[i] = code
        if (former := self._holders.pop(i, None)) is not None:
            own = self._held_by[former]
            own.discard(i)
            if not own:
                del self._held_by[former]
        if holder is not None:
            self._holders[i] = holder
            self._held_by.setdefault(holder, set()).add(i)


def _own_slot(until: int) -> bytes:
    """What stands in a word's place for the viewer's own hold."""
    expires = msgspec.json.encode(_EPOCH + timedelta(microseconds=until))
    return b'held_by_me","holdExpiresAt":' + expires.removesuffix(b'"')
