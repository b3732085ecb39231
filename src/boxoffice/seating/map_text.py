"""The bytes of a seat map: the JSON of `read_seat_map`, byte for byte, as anybody or one viewer sees it.

The layout is encoded once. A change replaces the words of the seats that changed and leaves the
rest of the bytes as they are, and so do a viewer's own holds. A compressed map is made of packs of
seats that are compressed apart, so that a change costs its own pack again and not the whole map.
"""

import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from boxoffice.seating.seat_map import SeatOnMap, SeatStatus, SeatSummary

FREE, HELD, BOOKED = 0, 1, 2
STATUSES: Final[tuple[SeatStatus, ...]] = ("available", "held", "booked")
"""What the codes mean to anybody."""
PACK_SEATS: Final = 128
"""Seats that are compressed together: 4 % larger than the whole at once, for an eighth of the work a change."""
PACK_LEVEL: Final = 6

_WORDS: Final = tuple(status.encode() for status in STATUSES)
_AFTER_WORD: Final = b'"}'
_GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


class MapText:
    """The bytes of a map. What is at hand is one body; the next is that one with some words replaced."""

    def __init__(self, show_id: UUID, rows: Sequence[Mapping[str, Any]], codes: bytearray) -> None:
        self._show_id = msgspec.json.encode(show_id)
        before = [_before_word(row) for row in rows]
        # Where a seat's word stands, if the words of all seats before it were empty.
        self._word_at = array("I")
        at = 0
        for text in before:
            self._word_at.append(at + len(text))
            at += len(text) + len(_AFTER_WORD) + 1
        self._pack_at = array("I", [self._word_at[i] - len(before[i]) for i in range(0, len(rows), PACK_SEATS)])
        self._packed: list[bytes | None] = [None] * len(self._pack_at)
        self._pack_changes = [0] * len(self._pack_at)
        self._version = -1
        self._codes = bytes(codes)
        seats = b",".join([text + _WORDS[code] + _AFTER_WORD for text, code in zip(before, codes, strict=True)])
        self._body, self._start, self._end = seats, 0, len(seats)
        self._available: bytes | None = None
        self._zipped: bytes | None = None

    def shared(self, version: int, codes: bytearray, summary: SeatSummary) -> bytes:
        """The body that anybody sees."""
        if version == self._version:
            return self._body
        changed = list(_differences(self._codes, bytes(codes)))
        seats = self._seats([(i, _WORDS[codes[i]]) for i in changed])
        head = b'{"showId":%b,"version":%d,"seats":[' % (self._show_id, version)
        size = sum(map(len, seats))
        self._body = b"".join([head, *seats, b'],"summary":', msgspec.json.encode(summary), b"}"])
        self._start, self._end = len(head), len(head) + size
        for pack in {i // PACK_SEATS for i in changed}:
            self._packed[pack] = None
            self._pack_changes[pack] += 1
        self._version, self._codes = version, bytes(codes)
        self._available = self._zipped = None
        return self._body

    def with_slots(self, slots: list[tuple[int, bytes]], summary: SeatSummary) -> bytes:
        """The shared body with other words for some seats, and another summary."""
        head = memoryview(self._body)[: self._start]
        return b"".join([head, *self._seats(slots), b'],"summary":', msgspec.json.encode(summary), b"}"])

    def available(self, count: int) -> bytes:
        """The seats that can be taken, of the body at hand."""
        if self._available is None:
            found: list[bytes] = []
            at = self._start
            for i, code in enumerate(self._codes):
                words = at  # where this seat's text begins
                at += self._width(i) + len(_WORDS[code])
                if code == FREE:
                    found.append(self._body[words : at - 1])
            head = b'{"showId":%b,"availableCount":%d,"seats":[' % (self._show_id, count)
            self._available = b"".join([head, b",".join(found), b"]}"])
        return self._available

    def packing(self, body: bytes, slots: list[tuple[int, bytes]]) -> "Packing":
        """What it takes to compress a body that differs from the one at hand by these words."""
        extra = {i: len(slot) - len(_WORDS[self._codes[i]]) for i, slot in slots}
        own = {i // PACK_SEATS for i in extra}
        cuts: list[int] = []
        words = self._start
        for pack, at in enumerate(self._pack_at):
            cuts.append(words + at)
            first, last = pack * PACK_SEATS, (pack + 1) * PACK_SEATS
            words += self._words(first, min(last, len(self._codes)))
            words += sum(more for i, more in extra.items() if first <= i < last)
        end = self._end + sum(extra.values())
        ready = [None if pack in own else packed for pack, packed in enumerate(self._packed)]
        zipped = None if own else self._zipped
        return Packing(self, body, [*cuts, end], ready, own, list(self._pack_changes), zipped)

    def zipped(self, version: int) -> bytes | None:
        """The shared body, compressed, if that was done at this version."""
        return self._zipped if version == self._version else None

    def zipped_of(self, body: bytes) -> bytes | None:
        """The same, if that body is still the one at hand."""
        return self._zipped if body is self._body else None

    def ready_for(self, packing: "Packing") -> list[bytes | None]:
        """The packs that it can use as they are."""
        return [
            None if pack in packing.own or packing.changes[pack] != self._pack_changes[pack] else packed
            for pack, packed in enumerate(self._packed)
        ]

    def keep(self, packing: "Packing") -> None:
        """Remember what was compressed of what is still the same."""
        for pack, made in enumerate(packing.made):
            if pack not in packing.own and packing.changes[pack] == self._pack_changes[pack]:
                self._packed[pack] = made
        if packing.body is self._body:
            self._zipped = packing.zipped

    def _seats(self, slots: list[tuple[int, bytes]]) -> list[bytes | memoryview]:
        """The text of the seats in pieces, with other words for some, which come in order."""
        view = memoryview(self._body)
        pieces: list[bytes | memoryview] = []
        done, counted, words = self._start, 0, self._start
        for i, slot in slots:
            words += self._words(counted, i)
            counted = i
            at = words + self._word_at[i]
            pieces += (view[done:at], slot)
            done = at + len(_WORDS[self._codes[i]])
        pieces.append(view[done : self._end])
        return pieces

    def _words(self, first: int, last: int) -> int:
        """How long the words of those seats are together."""
        held, booked = self._codes.count(HELD, first, last), self._codes.count(BOOKED, first, last)
        free = last - first - held - booked
        return free * len(_WORDS[FREE]) + held * len(_WORDS[HELD]) + booked * len(_WORDS[BOOKED])

    def _width(self, i: int) -> int:
        """The length of a seat's text without its word, with the comma after it."""
        if i == 0:
            return self._word_at[0] + len(_AFTER_WORD) + 1
        return self._word_at[i] - self._word_at[i - 1]


class Packing:
    """A body on its way to being compressed (gzip): what is ready of it, and what is not."""

    def __init__(
        self,
        text: MapText,
        body: bytes,
        cuts: list[int],
        ready: list[bytes | None],
        own: set[int],
        changes: list[int],
        zipped: bytes | None,
    ) -> None:
        self._text, self._cuts, self._ready = text, cuts, ready
        self.body, self.own, self.changes = body, own, changes
        self.made: list[bytes] = []
        self.zipped = zipped or b""
        """The compressed body, once `run` is through."""

    @property
    def seats_to_do(self) -> int:
        """How many seats' text has to be compressed: the work before us."""
        return 0 if self.zipped else PACK_SEATS * self._ready.count(None)

    def take_over(self) -> None:
        """Use what others have compressed since this was begun."""
        self._ready = [mine or theirs for mine, theirs in zip(self._ready, self._text.ready_for(self), strict=True)]
        if (zipped := self._text.zipped_of(self.body)) is not None:
            self.zipped = zipped

    def run(self) -> None:
        """Do the work; may be done in a thread."""
        view = memoryview(self.body)
        self.made = [
            packed if packed is not None else _deflate(view[self._cuts[n] : self._cuts[n + 1]], zlib.Z_FULL_FLUSH)
            for n, packed in enumerate(self._ready)
        ]
        head = _deflate(view[: self._cuts[0]], zlib.Z_FULL_FLUSH)
        tail = _deflate(view[self._cuts[-1] :], zlib.Z_FINISH)
        check = zlib.crc32(self.body).to_bytes(4, "little") + len(self.body).to_bytes(4, "little")
        self.zipped = b"".join([_GZIP_HEADER, head, *self.made, tail, check])

    def keep(self) -> None:
        """Remember it for the next viewer. Not in a thread."""
        self._text.keep(self)


def _deflate(text: memoryview, ending: int) -> bytes:
    packer = zlib.compressobj(PACK_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(text) + packer.flush(ending)


def _differences(before: bytes, now: bytes) -> Iterable[int]:
    """Where the two differ, in order; what is equal is compared in long pieces."""
    step = 256
    for start in range(0, len(before), step):
        if before[start : start + step] != now[start : start + step]:
            for i in range(start, min(start + step, len(before))):
                if before[i] != now[i]:
                    yield i


def _before_word(row: Mapping[str, Any]) -> bytes:
    """A seat's JSON up to its status, encoded by the very struct that the reference uses."""
    seat = SeatOnMap(
        id=row["id"],
        row=row["row_label"],
        number=row["number"],
        price=row["price"],
        tier=row["tier"],
        kind=row["kind"],
        status=STATUSES[FREE],
    )
    return msgspec.json.encode(seat).removesuffix(_WORDS[FREE] + _AFTER_WORD)
