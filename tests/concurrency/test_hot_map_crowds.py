"""Several processes and crowds of viewers: each map goes forward only, and all of them come to what is."""

import asyncio
import random
from datetime import timedelta
from uuid import uuid4

import httpx
import make
import msgspec

from boxoffice.errors import BoxOfficeError
from boxoffice.postgres.pool import Pool, connection
from boxoffice.seating.claims import Claims, SeatsWanted
from boxoffice.seating.hot_maps import AGE_MAX_S, HotMaps
from boxoffice.seating.live import LiveSeats, SeatsChanged, StartOver
from boxoffice.seating.seat_map import read_seat_map
from boxoffice.web.office import Office

FIVE_MINUTES = timedelta(minutes=5)


async def truth(pool: Pool, show: make.Show) -> bytes:
    async with connection(pool) as conn:
        return msgspec.json.encode(await read_seat_map(conn, show.id, None))


def wants(show: make.Show, *places: int) -> SeatsWanted:
    return SeatsWanted(show_id=show.id, user_id=uuid4(), seat_ids=[show.seats[place] for place in places])


async def test_a_write_shows_at_once_where_it_was_made_and_within_a_second_elsewhere(pool: Pool) -> None:
    show, mine, theirs = await make.show(pool), HotMaps(pool), HotMaps(pool)
    claims = Claims(pool, on_leased=mine.leased)
    await mine.fresh(show.id)
    await theirs.fresh(show.id)
    await claims.hold(wants(show, 0), length=FIVE_MINUTES, key=None)
    reads = mine.reads
    assert (await mine.fresh(show.id)).body(None) == await truth(pool, show)
    assert mine.reads == reads
    await asyncio.sleep(AGE_MAX_S)
    assert (await theirs.fresh(show.id)).body(None) == await truth(pool, show)


async def test_a_crowd_at_two_processes_leaves_both_with_what_is(pool: Pool) -> None:
    show, dice = await make.show(pool, rows=10, seats_a_row=40), random.Random(7)
    processes = [HotMaps(pool, check_every_s=0.02) for _ in range(2)]
    desks = [Claims(pool, on_leased=maps.leased) for maps in processes]
    over = asyncio.Event()

    async def buy() -> None:
        wanted = wants(show, *dice.sample(range(len(show.seats)), 3))
        desk = dice.choice(desks)
        try:
            if dice.random() < 0.5:
                await desk.book(wanted, booking_id=uuid4(), time_to_pay=FIVE_MINUTES, key=None)
            else:
                await desk.hold(wanted, length=timedelta(seconds=dice.random()), key=None)
        except BoxOfficeError:
            pass

    async def look(maps: HotMaps) -> int:
        seen = looks = 0
        while not over.is_set():
            hot = await maps.fresh(show.id)
            assert hot.version >= seen
            summary = msgspec.json.decode(hot.body(None))["summary"]
            assert summary["available"] == hot.codes.count(0)
            seen, looks = hot.version, looks + 1
            await asyncio.sleep(0.002)
        return looks

    async def crowd() -> None:
        for _ in range(10):
            await asyncio.gather(*(buy() for _ in range(30)))
        over.set()

    looks = asyncio.gather(*(look(maps) for maps in processes for _ in range(3)))
    await crowd()
    assert min(await looks) > 5
    await asyncio.sleep(1.1)  # the last of the short holds has run out
    for maps in processes:
        maps.changed(show.id)
        hot = await maps.fresh(show.id)
        assert hot.settled
        assert hot.body(None) == await truth(pool, show)


async def test_five_hundred_viewers_over_http_cost_a_read_or_two(
    client: httpx.AsyncClient, pool: Pool, office: Office
) -> None:
    show = await make.show(pool, rows=10, seats_a_row=20)
    answers = await asyncio.gather(*(client.get(f"/api/v1/seats/shows/{show.id}") for _ in range(500)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert office.hot_maps.reads <= 10  # one, and one each half second that this took


async def test_listeners_of_the_process_that_wrote_hear_at_once_and_can_go_on_elsewhere(pool: Pool) -> None:
    show, mine, theirs = await make.show(pool), HotMaps(pool), HotMaps(pool)
    # Nothing is looked at in time: what is heard is what this process wrote.
    here, there = LiveSeats(mine, look_every_s=60), LiveSeats(theirs, look_every_s=0.05)
    listening = [here.listen(show.id, None) for _ in range(50)]
    starts = [await anext(events) for events in listening]
    assert set(starts) == {StartOver(version=0)}
    hearing = asyncio.gather(*(anext(events) for events in listening))
    await asyncio.sleep(0.05)
    await Claims(pool, on_leased=mine.leased).hold(wants(show, 3), length=FIVE_MINUTES, key=None)
    heard = await asyncio.wait_for(hearing, 5)
    first = heard[0]
    assert isinstance(first, SeatsChanged)
    assert [(change.id, change.status) for change in first.changes] == [(show.seats[3], "held")]
    assert all(event is first for event in heard), "one event, encoded once"
    assert first.version == 2
    # Its version is no point to come back to: another process may know another state by that name.
    assert b"id:" not in first.wire
    elsewhere = there.listen(show.id, 0)
    assert await anext(elsewhere) == StartOver(version=2), "the other process did not see version 0"
    for events in (*listening, elsewhere):
        await events.aclose()
    assert here.shows_watched == there.shows_watched == 0


async def test_a_lapse_is_told_at_its_moment(pool: Pool) -> None:
    show, maps = await make.show(pool), HotMaps(pool, check_every_s=60)
    await Claims(pool).hold(wants(show, 0, 1), length=timedelta(seconds=0.4), key=None)
    live = LiveSeats(maps, look_every_s=60)
    events = live.listen(show.id, None)
    await anext(events)
    reads = maps.reads
    lapsed = await asyncio.wait_for(anext(events), 5)
    assert isinstance(lapsed, SeatsChanged)
    assert {change.status for change in lapsed.changes} == {"available"}
    assert maps.reads == reads
    await events.aclose()


async def test_a_slow_listener_starts_over_and_misses_nothing(pool: Pool) -> None:
    show, maps = await make.show(pool, rows=10, seats_a_row=20), HotMaps(pool)
    live = LiveSeats(maps, look_every_s=0.001)
    slow = live.listen(show.id, None)
    await anext(slow)
    claims = Claims(pool, on_leased=maps.leased)
    for place in range(150):
        await claims.hold(wants(show, place), length=FIVE_MINUTES, key=None)
        await asyncio.sleep(0.004)
    told = [await anext(slow)]
    while told[-1].version < 300:  # pyright: ignore[reportAttributeAccessIssue]  (no heartbeat comes in so short a time)
        told.append(await asyncio.wait_for(anext(slow), 5))
    assert any(isinstance(event, StartOver) for event in told)
    await slow.aclose()
