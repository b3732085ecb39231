"""The ids of a show's seats: twenty bytes each, where a dictionary of UUIDs takes two hundred."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from uuid import UUID

_BYTES = 16


class SeatIds:
    """Ids in their order, each of which is found in a dozen steps."""

    def __init__(self, ids: Sequence[UUID]) -> None:
        self._ids = b"".join(id_.bytes for id_ in ids)
        self._by_id = array("I", sorted(range(len(ids)), key=self._at))

    def __len__(self) -> int:
        return len(self._by_id)

    def __getitem__(self, place: int) -> UUID:
        return UUID(bytes=self._at(range(len(self))[place]))

    def __iter__(self) -> Iterator[UUID]:
        return (UUID(bytes=self._at(place)) for place in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SeatIds) and self._ids == other._ids

    __hash__ = None  # pyright: ignore[reportAssignmentType]  (compared, and never a key)

    def place(self, seat_id: UUID) -> int | None:
        """Where the seat stands in the order; None if it is none of these."""
        wanted = seat_id.bytes
        found = bisect_left(self._by_id, wanted, key=self._at)
        if found == len(self) or self._at(self._by_id[found]) != wanted:
            return None
        return self._by_id[found]

    def _at(self, place: int) -> bytes:
        return self._ids[place * _BYTES : (place + 1) * _BYTES]
