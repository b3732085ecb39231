"""The usher: knows the halls by heart, looks at the seat map in memory, and says which seats are best.

What the usher says is advice: the map may be a second old, and two who ask at once are told the same. Who gets
a seat is decided by the claim alone (`boxoffice.seating.claims`), and `Usher.hold_best` goes on until one succeeds.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from boxoffice.accounts.recent import Recent
from boxoffice.catalog.layouts import screen_layout
from boxoffice.idempotency import Claim, Outcome, recall
from boxoffice.postgres.pool import Pool, Row, connection
from boxoffice.seating.best import Choice, Wish, best
from boxoffice.seating.claims import Claims, SeatsWanted
from boxoffice.seating.halls import STANDARD, WHEELCHAIR, Hall, Seat
from boxoffice.seating.hot_map import HotMap
from boxoffice.seating.hot_maps import HotMaps
from boxoffice.seating.orphans import is_excused, left_alone
from boxoffice.seating.refusals import NotEnoughSeatsError, OrphanSeatError, SeatsTakenError, ShowNotFoundError
from boxoffice.seating.seat_map import SeatOnMap

HALL_SEATS_MAX: Final = 100_000
"""Seats of all halls in memory together, at about a quarter of a kilobyte each; those not used for longest go first."""
SHOWS_MAX: Final = 10_000
"""Shows of which the screen is remembered."""
APART_SEATS: Final = 4_000
"""In a larger hall a search is made in a thread, so that other requests do not wait for it."""
HOLD_TRIES_MAX: Final = 5
"""How often the best seats are tried when others are faster."""
WARNING_WAIT_S: Final = 0.25
"""How long a claim waits for a map that is not in memory, only to be warned of a seat left alone."""
WARNING_EVERY_S: Final = 0.05
"""Maps are not read more often than this, only for that."""
WARNING_SEATS_MAX: Final = 4_000
"""Nor are the maps of larger shows: keeping them true would cost the database more than the courtesy is worth."""

log = structlog.get_logger(__name__)


class BestSeats(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The best seats for a party, as things stand. Money in minor units."""

    show_id: UUID
    version: int
    """Of the seat map that this was read from."""
    count: int
    together: bool
    """All in one row, side by side."""
    distance: float
    """From where one sits best in that hall, in seat widths (root mean square)."""
    total_price: int
    currency: str
    seats: list[SeatOnMap]
    """By row, then number."""
    leaves_alone: list[UUID] = []
    """Seats that nobody would sit beside any more; there are none where that can be avoided."""
    tier: str | None = None
    kind: str | None = None


class HeldBest(msgspec.Struct, frozen=True, kw_only=True):
    """The best seats, held. ``best`` is None where ``outcome`` is a first answer told again."""

    outcome: Outcome
    best: BestSeats | None


class Showing(Row, frozen=True, kw_only=True):
    """Where a show is, and what it is paid in."""

    screen_id: UUID
    currency: str
    total_seats: int


class Usher:
    """Advises the buyers of this process.

    Args:
        pool: where the halls are.
        hot_maps: what is free in them.
        hall_seats_max: see `HALL_SEATS_MAX`.
    """

    def __init__(self, pool: Pool, hot_maps: HotMaps, *, hall_seats_max: int = HALL_SEATS_MAX) -> None:
        self._pool = pool
        self._hot_maps = hot_maps
        self._hall_seats_max = hall_seats_max
        self._showings: Recent[UUID, Showing] = Recent(SHOWS_MAX)
        self._halls: OrderedDict[UUID, Hall] = OrderedDict()
        self._wanted_now: dict[UUID, Counter[int]] = {}
        """How many holds of this process that are under way are after which seats, by show."""
        self._coming: dict[UUID, asyncio.Task[None]] = {}
        """What is read for a warning."""
        self._next_warning_at = 0.0

    async def best(self, show_id: UUID, wish: Wish) -> BestSeats:
        """The best free seats of a show as of now.

        Raises:
            ShowNotFoundError: there is no such show.
            NotEnoughSeatsError: with ``available``, the number of seats of that tier that are free.
        """
        return (await self._look(show_id, wish))[1]

    async def hold_best(
        self, claims: Claims, show_id: UUID, user_id: UUID, wish: Wish, *, length: timedelta, key: Claim | None
    ) -> HeldBest:
        """Hold the best free seats; where others are faster, the next best, in `HOLD_TRIES_MAX` tries.

        Raises:
            NotEnoughSeatsError: as `best`.
            SeatsTakenError: others were faster each time.
            ShowNotFoundError, ShowBegunError, SeatLimitError, KeyReusedError, OverloadedError, OutcomeUnknownError: as
                `Claims.hold`.
        """
        if key is not None and (first := await self._first_answer(key)) is not None:
            return HeldBest(outcome=Outcome(answer=first, replayed=True), best=None)
        for tries_left in reversed(range(HOLD_TRIES_MAX)):
            choice, found = await self._look(show_id, wish, step_aside=True)
            wanted = SeatsWanted(show_id=show_id, user_id=user_id, seat_ids=[seat.id for seat in found.seats])
            try:
                with self._after(show_id, choice.seats):
                    outcome = await claims.hold(wanted, length=length, key=key)
            except SeatsTakenError:
                if not tries_left:
                    raise
                self._hot_maps.changed(show_id)  # by another process: have it read
            else:
                return HeldBest(outcome=outcome, best=None if outcome.replayed else found)
        raise AssertionError("the last try returns or raises")

    async def left_alone(self, wanted: SeatsWanted, *, refuse: bool, key: Claim | None) -> list[UUID]:
        """The seats that a pick would leave alone, if it is not excused (`boxoffice.seating.orphans`).

        Decided from memory. Where the map is not there yet, a refusal waits for it; a warning, which is a courtesy,
        waits for `WARNING_WAIT_S` at most. A pick that cannot be claimed anyway leaves nothing alone.

        Raises:
            OrphanSeatError: with ``refuse``, where seats that the buyer does not hold already leave one alone; it has
                ``showSeatIds`` of those left alone.
            ShowNotFoundError: with ``refuse``, there is no such show.
        """
        known = self._at_hand(wanted.show_id)
        if known is None:
            known = await (self._fetched(wanted.show_id) if refuse else self._fetched_soon(wanted.show_id))
        if known is None:
            return []
        hall, hot = known
        taken, mine = hot.codes, hot.held_by(wanted.user_id)
        pick = {place for seat_id in wanted.seat_ids if (place := hot.seat_ids.place(seat_id)) is not None}
        if len(pick) < len(wanted.seat_ids) or any(taken[i] and i not in mine for i in pick):
            return []
        judged = pick - mine if refuse else pick
        alone = left_alone(hall, taken, judged)
        if not alone or is_excused(hall, taken, judged):
            return []
        seats = [hot.seat_ids[i] for i in alone]
        if refuse and (key is None or await self._first_answer(key) is None):
            raise OrphanSeatError(showSeatIds=seats)
        return seats

    async def close(self) -> None:
        """End the reads that are under way."""
        tasks = list(self._coming.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _at_hand(self, show_id: UUID) -> tuple[Hall, HotMap] | None:
        showing = self._showings.get(show_id)
        hall = None if showing is None else self._halls.get(showing.screen_id)
        hot = None if hall is None else self._hot_maps.at_hand(show_id)
        return None if hall is None or hot is None else (hall, hot)

    async def _fetched(self, show_id: UUID) -> tuple[Hall, HotMap]:
        hall = await self._hall((await self._showing(show_id)).screen_id)
        return hall, await self._hot_maps.fresh(show_id)

    async def _fetched_soon(self, show_id: UUID) -> tuple[Hall, HotMap] | None:
        """What is there within `WARNING_WAIT_S`; what comes later is there for the next who asks."""
        showing = self._showings.get(show_id)
        if showing is not None and showing.total_seats > WARNING_SEATS_MAX:
            return None
        coming = self._coming.get(show_id)
        if coming is None:
            now = time.monotonic()
            if now < self._next_warning_at:
                return None
            self._next_warning_at = now + WARNING_EVERY_S
            coming = self._coming[show_id] = asyncio.create_task(self._fetch_if_small(show_id))
            coming.add_done_callback(lambda task: self._came(show_id, task))
        await asyncio.wait((coming,), timeout=WARNING_WAIT_S)
        return self._at_hand(show_id)

    async def _fetch_if_small(self, show_id: UUID) -> None:
        if (await self._showing(show_id)).total_seats <= WARNING_SEATS_MAX:
            await self._fetched(show_id)

    def _came(self, show_id: UUID, task: asyncio.Task[None]) -> None:
        del self._coming[show_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("nobody was warned of seats left alone", error=repr(error))  # the claim tells what is wrong

    async def _look(self, show_id: UUID, wish: Wish, *, step_aside: bool = False) -> tuple[Choice, BestSeats]:
        showing = await self._showing(show_id)
        hall, hot = await self._fetched(show_id)
        version, taken = hot.version, hot.codes
        choice = None
        if step_aside and (after := self._wanted_now.get(show_id)):
            # Those who ask at the same moment are shown to different seats, as long as there are enough.
            without = bytearray(taken)
            for i in after:
                without[i] = 1
            choice = await _search(hall, bytes(without), wish)
        if choice is None:
            choice = await _search(hall, taken, wish)
        if choice is None:
            free = hall.line_of(taken, tier=wish.tier, standard=wish.kind != WHEELCHAIR).count(0)
            raise NotEnoughSeatsError(f"{free} seats are free", available=free)
        return choice, _told(show_id, showing, hall, hot, version, wish, choice)

    @contextmanager
    def _after(self, show_id: UUID, seats: list[int]) -> Generator[None]:
        """We are after these seats for as long as this lasts."""
        wanted = self._wanted_now.setdefault(show_id, Counter())
        wanted.update(seats)
        try:
            yield
        finally:
            wanted.subtract(seats)
            for i in seats:
                if not wanted[i]:
                    del wanted[i]
            if not wanted and self._wanted_now.get(show_id) is wanted:
                del self._wanted_now[show_id]

    async def _first_answer(self, key: Claim) -> Any | None:
        async with connection(self._pool) as conn:
            return await recall(conn, key)

    async def _showing(self, show_id: UUID) -> Showing:
        known = self._showings.get(show_id)
        if known is None:
            async with connection(self._pool) as conn:
                record = await conn.fetchrow(_SHOWING, show_id)
            if record is None:
                raise ShowNotFoundError(f"there is no show {show_id}")
            known = Showing(**record)
            self._showings.put(show_id, known)
        return known

    async def _hall(self, screen_id: UUID) -> Hall:
        hall = self._halls.get(screen_id)
        if hall is not None:
            self._halls.move_to_end(screen_id)
            return hall
        async with connection(self._pool) as conn:
            layout = await screen_layout(conn, screen_id)
        seats = [
            Seat(line.row, seat.number, seat.tier, seat.kind, seat.x, seat.y)
            for line in layout.layout
            for seat in line.seats
        ]
        hall = Hall(seats) if len(seats) <= APART_SEATS else await asyncio.to_thread(Hall, seats)
        self._halls[screen_id] = hall
        while len(self._halls) > 1 and sum(map(len, self._halls.values())) > self._hall_seats_max:
            self._halls.popitem(last=False)
        return hall


# Where a show is; neither the screen of a show nor the seats of a screen that has a show ever change.
_SHOWING = """
SELECT screen_id, currency, total_seats FROM show WHERE id = $1
"""


async def _search(hall: Hall, taken: bytes, wish: Wish) -> Choice | None:
    return best(hall, taken, wish) if len(hall) <= APART_SEATS else await asyncio.to_thread(best, hall, taken, wish)


def _told(
    show_id: UUID, showing: Showing, hall: Hall, hot: HotMap, version: int, wish: Wish, choice: Choice
) -> BestSeats:
    return BestSeats(
        show_id=show_id,
        version=version,
        count=wish.count,
        together=choice.together,
        distance=choice.distance,
        total_price=sum(hot.prices[i] for i in choice.seats),
        currency=showing.currency,
        seats=[
            SeatOnMap(
                id=hot.seat_ids[i],
                row=hall.seats[i].row,
                number=hall.seats[i].number,
                price=hot.prices[i],
                tier=hall.seats[i].tier,
                kind=hall.seats[i].kind,
                status="available",
            )
            for i in choice.seats
        ],
        leaves_alone=[hot.seat_ids[i] for i in choice.alone],
        tier=wish.tier,
        kind=None if wish.kind == STANDARD else wish.kind,
    )
