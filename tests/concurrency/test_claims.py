"""One seat, one holder: races on separate, committed connections of a real PostgreSQL."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import make
import pytest

from boxoffice.bookings.creation import make_booking
from boxoffice.errors import BoxOfficeError
from boxoffice.idempotency import Outcome, claim
from boxoffice.postgres.pool import Pool, connect_pool
from boxoffice.seating.claims import SeatLimitError, SeatsTakenError, SeatsWanted
from boxoffice.seating.holds import hold_seats, release_holds

Act = Callable[[Pool, SeatsWanted], Awaitable[Outcome]]
FIVE_MINUTES = timedelta(minutes=5)


def wants(show: make.Show, *seats: UUID, who: UUID | None = None) -> SeatsWanted:
    return SeatsWanted(show_id=show.id, user_id=who or uuid4(), seat_ids=list(seats))


async def book(pool: Pool, wanted: SeatsWanted, key: str | None = None) -> Outcome:
    return await make_booking(pool, wanted, time_to_pay=FIVE_MINUTES, key=claim(wanted.user_id, key, "book", wanted))


async def hold(pool: Pool, wanted: SeatsWanted, key: str | None = None) -> Outcome:
    return await hold_seats(pool, wanted, length=FIVE_MINUTES, key=claim(wanted.user_id, key, "hold", wanted))


def tally(results: Sequence[Outcome | BaseException]) -> Counter[str]:
    return Counter("won" if isinstance(result, Outcome) else type(result).__name__ for result in results)


@pytest.mark.parametrize("buyers", [2, 10, 50, 500])
@pytest.mark.parametrize("act", [book, hold])
async def test_of_many_who_want_one_seat_exactly_one_gets_it(dsn: str, act: Act, buyers: int) -> None:
    many = await connect_pool(dsn, size=min(buyers, 50))
    try:
        show = await make.show(many)
        results = await asyncio.gather(
            *(act(many, wants(show, show.seats[0])) for _ in range(buyers)), return_exceptions=True
        )
        assert tally(results) == {"won": 1, "SeatsTakenError": buyers - 1}
    finally:
        await many.close()


async def test_different_seats_all_succeed(pool: Pool) -> None:
    show = await make.show(pool, rows=20, seats_a_row=20)
    results = await asyncio.gather(*(book(pool, wants(show, seat)) for seat in show.seats), return_exceptions=True)
    assert tally(results) == {"won": 400}


async def test_overlapping_sets_neither_deadlock_nor_share_a_seat(pool: Pool) -> None:
    show = await make.show(pool, rows=1, seats_a_row=12)
    dice = random.Random(7)
    results = await asyncio.gather(
        *((book if dice.random() < 0.5 else hold)(pool, wants(show, *dice.sample(show.seats, 5))) for _ in range(300)),
        return_exceptions=True,
    )
    assert set(tally(results)) <= {"won", "SeatsTakenError"}
    owners = await pool.fetch(
        "SELECT holder_id, count(*) AS seats FROM show_seat WHERE show_id = $1 AND taken_until > now() GROUP BY 1",
        show.id,
    )
    assert tally(results)["won"] == len(owners)
    assert all(owner["seats"] == 5 for owner in owners)


async def test_holding_and_booking_one_seat_at_once_gives_it_to_one(pool: Pool) -> None:
    for _ in range(20):
        show = await make.show(pool, rows=1, seats_a_row=1)
        results = await asyncio.gather(
            hold(pool, wants(show, show.seats[0])),
            book(pool, wants(show, show.seats[0])),
            return_exceptions=True,
        )
        assert tally(results) == {"won": 1, "SeatsTakenError": 1}


async def test_a_buyer_in_a_hurry_cannot_pass_the_limit(pool: Pool) -> None:
    show = await make.show(pool, rows=4, seats_a_row=10)
    me = uuid4()
    results = await asyncio.gather(
        *((book if n % 2 else hold)(pool, wants(show, seat, who=me)) for n, seat in enumerate(show.seats)),
        return_exceptions=True,
    )
    assert tally(results) == {"won": 10, "SeatLimitError": 30}
    live = await pool.fetchval(
        "SELECT count(*) FROM show_seat WHERE show_id = $1 AND holder_id = $2 AND taken_until > now()",
        show.id,
        me,
    )
    assert live == 10


async def test_giving_seats_back_makes_room_under_the_limit(pool: Pool) -> None:
    show = await make.show(pool, rows=3, seats_a_row=10)
    me = uuid4()
    await hold(pool, wants(show, *show.seats[:10], who=me))
    with pytest.raises(SeatLimitError):
        await hold(pool, wants(show, show.seats[10], who=me))
    assert await release_holds(pool, me, show_id=show.id, seat_ids=show.seats[:4]) == 4
    await hold(pool, wants(show, *show.seats[10:14], who=me))
    with pytest.raises(SeatLimitError):
        await hold(pool, wants(show, show.seats[20], who=me))


async def test_one_key_at_once_is_one_booking_and_everyone_gets_its_answer(pool: Pool) -> None:
    show = await make.show(pool)
    wanted = wants(show, *show.seats[:3])
    results = await asyncio.gather(*(book(pool, wanted, key="k") for _ in range(30)))
    assert len({result.answer["id"] for result in results}) == 1
    assert sum(not result.replayed for result in results) == 1
    assert await pool.fetchval("SELECT count(*) FROM booking WHERE show_id = $1", show.id) == 1


async def test_a_lapsed_lease_is_won_by_one_of_many(pool: Pool) -> None:
    show = await make.show(pool)
    await hold(pool, wants(show, *show.seats[:5]))
    await make.lapse(pool, show)
    results = await asyncio.gather(
        *(book(pool, wants(show, *show.seats[:5])) for _ in range(40)), return_exceptions=True
    )
    assert tally(results) == {"won": 1, "SeatsTakenError": 39}


async def test_claims_and_releases_at_once_never_leave_a_seat_with_two(pool: Pool) -> None:
    show = await make.show(pool, rows=1, seats_a_row=6)
    people = [uuid4() for _ in range(8)]
    dice = random.Random(11)

    async def restless(me: UUID) -> None:
        for _ in range(15):
            try:
                outcome = await hold(pool, wants(show, *dice.sample(show.seats, 3), who=me))
            except SeatsTakenError:
                continue
            mine = [UUID(one["seatId"]) for one in outcome.answer["holds"]]
            owners = await pool.fetch("SELECT DISTINCT holder_id FROM show_seat WHERE id = ANY($1)", mine)
            assert [owner["holder_id"] for owner in owners] == [me]
            await release_holds(pool, me, show_id=show.id, seat_ids=None)

    await asyncio.gather(*(restless(me) for me in people))
    assert await pool.fetchval("SELECT count(*) FROM show_seat WHERE holder_id IS NOT NULL") == 0


async def test_a_refused_claim_changes_nothing(pool: Pool) -> None:
    show = await make.show(pool)
    await book(pool, wants(show, show.seats[2]))
    before = await pool.fetch("SELECT * FROM show_seat WHERE show_id = $1 ORDER BY id", show.id)
    with pytest.raises(BoxOfficeError) as refused:
        await book(pool, wants(show, *show.seats[:4]))
    assert refused.value.extra == {"showSeatIds": [show.seats[2]]}
    assert await pool.fetch("SELECT * FROM show_seat WHERE show_id = $1 ORDER BY id", show.id) == before
    assert await pool.fetchval("SELECT count(*) FROM booking") == 1
