"""Many ask for the best seats at once, in several processes: each gets others, or is told that there are none."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import make
import pytest

from boxoffice import idempotency
from boxoffice.errors import BoxOfficeError
from boxoffice.postgres.pool import Pool
from boxoffice.seating.best import Wish
from boxoffice.seating.claims import Claims
from boxoffice.seating.hot_maps import HotMaps
from boxoffice.seating.refusals import NotEnoughSeatsError, SeatsTakenError
from boxoffice.seating.usher import HeldBest, Usher

FIVE_MINUTES = timedelta(minutes=5)


class Desk:
    """What one process has."""

    def __init__(self, pool: Pool) -> None:
        maps = HotMaps(pool)
        self.claims = Claims(pool, on_leased=maps.leased)
        self.usher = Usher(pool, maps)

    async def hold(self, show: make.Show, count: int, *, user: UUID | None = None, key: str | None = None) -> HeldBest:
        whose = user or uuid4()
        wish = Wish(count=count)
        claim = idempotency.claim(whose, key, "hold-best", [show.id, wish])
        return await self.usher.hold_best(self.claims, show.id, whose, wish, length=FIVE_MINUTES, key=claim)


def seats_of(held: HeldBest) -> list[str]:
    return [one["seatId"] for one in held.outcome.answer["holds"]]


async def held_in(pool: Pool, show: make.Show) -> int:
    return await pool.fetchval(
        "SELECT count(*) FROM show_seat WHERE show_id = $1 AND taken_until > now() AND booking_id IS NULL", show.id
    )


@pytest.mark.parametrize("processes", [1, 2])
async def test_twenty_at_once_each_get_seats_of_their_own(pool: Pool, processes: int) -> None:
    show = await make.show(pool, rows=10, seats_a_row=12)
    desks = [Desk(pool) for _ in range(processes)]

    held = await asyncio.gather(*(desks[n % processes].hold(show, 2) for n in range(20)), return_exceptions=True)

    got = [one for one in held if isinstance(one, HeldBest)]
    assert all(isinstance(one, HeldBest | SeatsTakenError) for one in held)
    # Those of one process step aside for each other; only another process can be faster, five times at most.
    assert len(got) == 20 if processes == 1 else len(got) >= 10
    given = [seat for one in got for seat in seats_of(one)]
    assert len(set(given)) == len(given) == 2 * len(got) == await held_in(pool, show)
    assert all(one.best is not None and one.best.together for one in got)


async def test_when_they_run_out_the_rest_are_told(pool: Pool) -> None:
    show = await make.show(pool, rows=2, seats_a_row=6)
    desks = [Desk(pool) for _ in range(2)]

    held = await asyncio.gather(*(desks[n % 2].hold(show, 2) for n in range(20)), return_exceptions=True)

    got = [one for one in held if isinstance(one, HeldBest)]
    refused = [one for one in held if isinstance(one, BoxOfficeError)]
    assert len(got) + len(refused) == 20
    assert {type(one) for one in refused} <= {NotEnoughSeatsError, SeatsTakenError}
    given = [seat for one in got for seat in seats_of(one)]
    assert len(set(given)) == len(given) == await held_in(pool, show)
    # Whoever comes now gets the last, if others gave up too soon, and then nobody does.
    left = (12 - len(given)) // 2
    for _ in range(left):
        await desks[0].hold(show, 2)
    with pytest.raises(NotEnoughSeatsError) as told:
        await desks[0].hold(show, 2)
    assert told.value.extra == {"available": 0}


async def test_a_key_brings_the_first_answer_again_and_no_further_seats(pool: Pool) -> None:
    show, desk, user = await make.show(pool), Desk(pool), uuid4()

    first = await desk.hold(show, 2, user=user, key="one")
    again = await desk.hold(show, 2, user=user, key="one")

    assert (first.outcome.replayed, again.outcome.replayed) == (False, True)
    assert (again.outcome.answer, again.best) == (first.outcome.answer, None)
    assert await held_in(pool, show) == 2


async def test_what_another_process_has_taken_since_costs_a_try_and_not_the_seats(pool: Pool) -> None:
    show, here, there = await make.show(pool, rows=3, seats_a_row=7), Desk(pool), Desk(pool)
    seen = await here.usher.best(show.id, Wish(count=2))
    elsewhere = await there.hold(show, 2)
    assert seats_of(elsewhere) == [str(seat.id) for seat in seen.seats]

    held = await here.hold(show, 2)

    assert not set(seats_of(held)) & set(seats_of(elsewhere))
