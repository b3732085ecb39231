"""One seat, one holder: races on separate, committed connections of a real PostgreSQL."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import make
import pytest

from boxoffice.bookings.creation import make_booking
from boxoffice.errors import BoxOfficeError
from boxoffice.idempotency import Outcome, claim
from boxoffice.postgres.pool import Pool, connect_pool, connection
from boxoffice.seating.claims import Claims, SeatsWanted
from boxoffice.seating.holds import release_holds
from boxoffice.seating.refusals import SeatLimitError, SeatsTakenError

FIVE_MINUTES = timedelta(minutes=5)


class Desk:
    """Where seats are claimed: one process, some, or for each request its own, on one database."""

    def __init__(self, pool: Pool, processes: int | None) -> None:
        self.pool = pool
        self._claims = None if processes is None else itertools.cycle([Claims(pool) for _ in range(processes)])

    async def book(self, wanted: SeatsWanted, key: str | None = None) -> Outcome:
        keyed = claim(wanted.user_id, key, "book", wanted)
        return await make_booking(self._next(), wanted, time_to_pay=FIVE_MINUTES, key=keyed)

    async def hold(self, wanted: SeatsWanted, key: str | None = None) -> Outcome:
        keyed = claim(wanted.user_id, key, "hold", wanted)
        return await self._next().hold(wanted, length=FIVE_MINUTES, key=keyed)

    def _next(self) -> Claims:
        return Claims(self.pool) if self._claims is None else next(self._claims)


@pytest.fixture(params=[1, 3, None], ids=["one process", "three processes", "a process each"])
async def desk(request: pytest.FixtureRequest, dsn: str) -> AsyncIterator[Desk]:
    many = await connect_pool(dsn, size=40)
    yield Desk(many, request.param)
    await many.close()


def wants(show: make.Show, *seats: UUID, who: UUID | None = None) -> SeatsWanted:
    return SeatsWanted(show_id=show.id, user_id=who or uuid4(), seat_ids=list(seats))


def tally(results: Sequence[Outcome | BaseException]) -> Counter[str]:
    return Counter("won" if isinstance(result, Outcome) else type(result).__name__ for result in results)


@pytest.mark.parametrize("act", ["book", "hold"])
async def test_of_many_who_want_one_seat_exactly_one_gets_it(desk: Desk, act: str) -> None:
    for buyers in (2, 10, 50, 500):
        show = await make.show(desk.pool)
        claim_it = desk.book if act == "book" else desk.hold
        results = await asyncio.gather(
            *(claim_it(wants(show, show.seats[0])) for _ in range(buyers)), return_exceptions=True
        )
        assert tally(results) == {"won": 1, "SeatsTakenError": buyers - 1}


async def test_different_seats_all_succeed(desk: Desk, pool: Pool) -> None:
    show = await make.show(pool, rows=20, seats_a_row=20)
    results = await asyncio.gather(*(desk.book(wants(show, seat)) for seat in show.seats), return_exceptions=True)
    assert tally(results) == {"won": 400}


async def test_overlapping_sets_neither_deadlock_nor_share_a_seat(desk: Desk, pool: Pool) -> None:
    show = await make.show(pool, rows=1, seats_a_row=12)
    dice = random.Random(7)
    results = await asyncio.gather(
        *(
            (desk.book if dice.random() < 0.5 else desk.hold)(wants(show, *dice.sample(show.seats, 5)))
            for _ in range(300)
        ),
        return_exceptions=True,
    )
    assert set(tally(results)) <= {"won", "SeatsTakenError"}
    owners = await pool.fetch(
        "SELECT holder_id, count(*) AS seats FROM show_seat WHERE show_id = $1 AND taken_until > now() GROUP BY 1",
        show.id,
    )
    assert tally(results)["won"] == len(owners)
    assert all(owner["seats"] == 5 for owner in owners)


async def test_holding_and_booking_one_seat_at_once_gives_it_to_one(desk: Desk, pool: Pool) -> None:
    for _ in range(20):
        show = await make.show(pool, rows=1, seats_a_row=1)
        results = await asyncio.gather(
            desk.hold(wants(show, show.seats[0])),
            desk.book(wants(show, show.seats[0])),
            return_exceptions=True,
        )
        assert tally(results) == {"won": 1, "SeatsTakenError": 1}


async def test_a_buyer_in_a_hurry_cannot_pass_the_limit(desk: Desk, pool: Pool) -> None:
    show = await make.show(pool, rows=4, seats_a_row=10)
    me = uuid4()
    results = await asyncio.gather(
        *((desk.book if n % 2 else desk.hold)(wants(show, seat, who=me)) for n, seat in enumerate(show.seats)),
        return_exceptions=True,
    )
    assert tally(results) == {"won": 10, "SeatLimitError": 30}
    live = await pool.fetchval(
        "SELECT count(*) FROM show_seat WHERE show_id = $1 AND holder_id = $2 AND taken_until > now()",
        show.id,
        me,
    )
    assert live == 10


async def test_giving_seats_back_makes_room_under_the_limit(desk: Desk, pool: Pool) -> None:
    show = await make.show(pool, rows=3, seats_a_row=10)
    me = uuid4()
    await desk.hold(wants(show, *show.seats[:10], who=me))
    with pytest.raises(SeatLimitError):
        await desk.hold(wants(show, show.seats[10], who=me))
    async with connection(pool) as conn:
        assert await release_holds(conn, me, show_id=show.id, seat_ids=show.seats[:4]) == 4
    await desk.hold(wants(show, *show.seats[10:14], who=me))
    with pytest.raises(SeatLimitError):
        await desk.hold(wants(show, show.seats[20], who=me))


async def test_one_key_at_once_is_one_booking_and_everyone_gets_its_answer(desk: Desk, pool: Pool) -> None:
    show = await make.show(pool)
    wanted = wants(show, *show.seats[:3])
    results = await asyncio.gather(*(desk.book(wanted, key="k") for _ in range(30)))
    assert len({result.answer["id"] for result in results}) == 1
    assert sum(not result.replayed for result in results) == 1
    assert await pool.fetchval("SELECT count(*) FROM booking WHERE show_id = $1", show.id) == 1


async def test_a_lapsed_lease_is_won_by_one_of_many(desk: Desk, pool: Pool) -> None:
    show = await make.show(pool)
    await desk.hold(wants(show, *show.seats[:5]))
    await make.lapse(pool, show)
    results = await asyncio.gather(
        *(desk.book(wants(show, *show.seats[:5])) for _ in range(40)), return_exceptions=True
    )
    assert tally(results) == {"won": 1, "SeatsTakenError": 39}


async def test_claims_and_releases_at_once_never_leave_a_seat_with_two(desk: Desk, pool: Pool) -> None:
    show = await make.show(pool, rows=1, seats_a_row=6)
    people = [uuid4() for _ in range(8)]
    dice = random.Random(11)

    async def restless(me: UUID) -> None:
        for _ in range(15):
            try:
                outcome = await desk.hold(wants(show, *dice.sample(show.seats, 3), who=me))
            except SeatsTakenError:
                continue
            mine = [UUID(one["seatId"]) for one in outcome.answer["holds"]]
            owners = await pool.fetch("SELECT DISTINCT holder_id FROM show_seat WHERE id = ANY($1)", mine)
            assert [owner["holder_id"] for owner in owners] == [me]
            async with connection(pool) as conn:
                await release_holds(conn, me, show_id=show.id, seat_ids=None)

    await asyncio.gather(*(restless(me) for me in people))
    assert await pool.fetchval("SELECT count(*) FROM show_seat WHERE holder_id IS NOT NULL") == 0


async def test_a_refused_claim_changes_nothing(desk: Desk, pool: Pool) -> None:
    show = await make.show(pool)
    await desk.book(wants(show, show.seats[2]))
    before = await pool.fetch("SELECT * FROM show_seat WHERE show_id = $1 ORDER BY id", show.id)
    with pytest.raises(BoxOfficeError) as refused:
        await desk.book(wants(show, *show.seats[:4]))
    assert refused.value.extra == {"showSeatIds": [show.seats[2]]}
    assert await pool.fetch("SELECT * FROM show_seat WHERE show_id = $1 ORDER BY id", show.id) == before
    assert await pool.fetchval("SELECT count(*) FROM booking") == 1
