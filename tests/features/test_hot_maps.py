"""The map in memory is the map in the database: the same bytes, for any viewer, after any course of a show."""

import asyncio
import gzip
import tracemalloc
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import httpx
import make
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boxoffice.errors import BoxOfficeError
from boxoffice.postgres.pool import Pool, connect_pool, connection, transaction
from boxoffice.seating import hot_maps
from boxoffice.seating.claims import Claims, Lease, SeatsWanted
from boxoffice.seating.holds import release_holds, tidy_lapsed
from boxoffice.seating.hot_map import HotMap
from boxoffice.seating.hot_maps import HotMaps
from boxoffice.seating.leases import give_back_seats, keep_seats, sell_seats
from boxoffice.seating.refusals import ShowNotFoundError
from boxoffice.seating.seat_map import SeatMap, available_of, read_seat_map
from boxoffice.web.office import Office
from boxoffice.web.ready import takes_gzip

FIVE_MINUTES = timedelta(minutes=5)
BUYERS = [uuid4() for _ in range(3)]
STRANGER = uuid4()


async def read(pool: Pool, show: make.Show, viewer: UUID | None = None) -> SeatMap:
    async with connection(pool) as conn:
        return await read_seat_map(conn, show.id, viewer)


async def assert_same(pool: Pool, maps: HotMaps, show: make.Show) -> None:
    hot = await maps.fresh(show.id)
    for viewer in (None, STRANGER, *BUYERS):
        expected = msgspec.json.encode(await read(pool, show, viewer))
        assert hot.body(viewer) == expected
        assert gzip.decompress(await maps.packed(hot, viewer)) == expected
    assert hot.available() == msgspec.json.encode(available_of(await read(pool, show)))


class Course:
    """A show on which things happen; ``writer`` is the memory of the process where they do, ``other`` of another."""

    def __init__(self, pool: Pool, show: make.Show) -> None:
        self.pool, self.show = pool, show
        self.writer, self.other = HotMaps(pool), HotMaps(pool)
        self.claims = Claims(pool, on_leased=self.writer.leased)
        self.bookings: list[tuple[UUID, UUID]] = []

    async def take(self, step: tuple[str, int, list[int]]) -> None:
        kind, buyer, places = step
        wanted = SeatsWanted(
            show_id=self.show.id, user_id=BUYERS[buyer], seat_ids=[self.show.seats[place] for place in places]
        )
        try:
            if kind == "hold":
                await self.claims.hold(wanted, length=FIVE_MINUTES, key=None)
            elif kind == "book":
                booking = uuid4()
                await self.claims.book(wanted, booking_id=booking, time_to_pay=FIVE_MINUTES, key=None)
                self.bookings.append((booking, wanted.user_id))
        except BoxOfficeError:
            return
        if kind in {"hold", "book"}:
            return
        await self.change(kind, wanted)
        self.writer.changed(self.show.id)

    async def change(self, kind: str, wanted: SeatsWanted) -> None:
        show_id = self.show.id
        if kind == "release":
            async with connection(self.pool) as conn:
                await release_holds(conn, wanted.user_id, show_id=show_id, seat_ids=wanted.seat_ids)
        elif kind == "lapse":
            await make.lapse(self.pool, self.show)
        elif kind == "lapse by hand":  # the row's revision stays, as if only time had passed
            await self.pool.execute(
                "UPDATE show_seat SET taken_until = now() WHERE show_id = $1 AND taken_until BETWEEN now() AND $2",
                show_id,
                datetime(9000, 1, 1, tzinfo=UTC),
            )
        elif kind == "tidy":
            await tidy_lapsed(self.pool)
        elif self.bookings:
            booking, user = self.bookings[len(wanted.seat_ids) % len(self.bookings)]
            async with transaction(self.pool) as conn:
                if kind == "sell":
                    await sell_seats(conn, show_id, booking, user)
                elif kind == "extend":
                    now = await conn.fetchval("SELECT now()")
                    await keep_seats(conn, show_id, booking, user, now + 2 * FIVE_MINUTES)
                else:
                    await give_back_seats(conn, show_id, booking)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["hold", "hold", "book", "book", "release", "lapse", "lapse by hand", "tidy", "sell", "extend", "give back"]
        ),
        st.integers(0, len(BUYERS) - 1),
        st.lists(st.integers(0, 7), min_size=1, max_size=4, unique=True),
    ),
    max_size=8,
)


@given(steps=STEPS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_the_bytes_are_those_of_the_reference_after_any_course(
    dsn: str, steps: list[tuple[str, int, list[int]]]
) -> None:
    async def play() -> None:
        pool = await connect_pool(dsn, size=4)
        try:
            course = Course(pool, await make.show(pool, rows=2, seats_a_row=4))
            await assert_same(pool, course.other, course.show)
            for step in steps:
                await assert_same(pool, course.writer, course.show)
                await course.take(step)
            await assert_same(pool, course.writer, course.show)
            course.other.changed(course.show.id)
            await assert_same(pool, course.other, course.show)
        finally:
            await pool.close()

    asyncio.run(play())


def lease(show: make.Show, place: int, revision: int, until: timedelta = FIVE_MINUTES) -> Lease:
    return Lease(
        seat_id=show.seats[place],
        taken_until=datetime.now(UTC) + until,
        holder_id=BUYERS[0],
        booking_id=None,
        revision=revision,
    )


async def test_a_lapse_shows_at_its_moment_without_a_read(pool: Pool) -> None:
    show, maps = await make.show(pool), HotMaps(pool, check_every_s=60)
    await maps.fresh(show.id)
    claims = Claims(pool, on_leased=maps.leased)
    wanted = SeatsWanted(show_id=show.id, user_id=BUYERS[0], seat_ids=show.seats[:2])
    await claims.hold(wanted, length=timedelta(seconds=0.5), key=None)
    reads = maps.reads
    held = await maps.fresh(show.id)
    before = held.version
    assert held.codes.count(1) == 2
    await asyncio.sleep(0.55)
    lapsed = await maps.fresh(show.id)
    assert lapsed.codes.count(1) == 0
    assert maps.reads == reads
    assert lapsed.version == before + 2
    assert lapsed.body(BUYERS[0]) == msgspec.json.encode(await read(pool, show))


async def test_many_viewers_cost_one_read(pool: Pool) -> None:
    show, maps = await make.show(pool), HotMaps(pool, check_every_s=0)
    await asyncio.gather(*(maps.fresh(show.id) for _ in range(500)))
    assert maps.reads == 1
    await asyncio.gather(*(maps.fresh(show.id, patient=True) for _ in range(500)))
    assert maps.reads == 2
    maps.changed(show.id)
    await asyncio.gather(*(maps.fresh(show.id) for _ in range(500)))
    assert maps.reads == 3


async def test_who_leaves_does_not_take_the_read_from_the_others(pool: Pool) -> None:
    show, maps = await make.show(pool), HotMaps(pool)
    first, second = asyncio.create_task(maps.fresh(show.id)), asyncio.create_task(maps.fresh(show.id))
    await asyncio.sleep(0)
    first.cancel()
    assert len(await second) == len(show.seats)
    assert maps.reads == 1


async def test_a_read_that_began_before_a_commit_does_not_undo_it(pool: Pool) -> None:
    show, maps = await make.show(pool), HotMaps(pool)
    async with pool.acquire() as other:
        await other.execute("BEGIN")
        await other.execute("LOCK TABLE show_seat IN ACCESS EXCLUSIVE MODE")
        loading = asyncio.create_task(maps.fresh(show.id))
        while maps.reads == 0:  # noqa: ASYNC110  (its snapshot is taken then; the seats it cannot read yet)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        await other.execute(
            """UPDATE show_seat SET taken_until = now() + interval '5 minutes', holder_id = $2, revision = 1
                WHERE id = $1""",
            show.seats[0],
            BUYERS[0],
        )
        maps.leased(show.id, [lease(show, 0, revision=1)])
        await other.execute("COMMIT")
    hot = await loading
    assert list(hot.codes[:2]) == [1, 0]
    assert hot.version == 2
    # Nor does an older row that comes late.
    maps.leased(show.id, [lease(show, 0, revision=0, until=-FIVE_MINUTES)])
    assert list(hot.codes[:2]) == [1, 0]


async def test_what_somebody_else_did_to_a_seat_before_us_is_not_lost(pool: Pool) -> None:
    show, maps = await make.show(pool), HotMaps(pool)
    await maps.fresh(show.id)
    # Another process changes the price of one seat; this one takes the seat before it has looked again.
    await pool.execute("UPDATE show_seat SET price = 1, revision = revision + 1 WHERE id = $1", show.seats[0])
    claims = Claims(pool, on_leased=maps.leased)
    await claims.hold(
        SeatsWanted(show_id=show.id, user_id=BUYERS[0], seat_ids=show.seats[:1]), length=FIVE_MINUTES, key=None
    )
    maps.changed(show.id)
    await assert_same(pool, maps, show)


async def test_maps_that_do_not_fit_leave_and_those_of_shows_that_are_over_go_first(pool: Pool) -> None:
    maps = HotMaps(pool, seats_max=25, check_every_s=60)
    shows = [await make.show(pool), await make.show(pool, starts_in=-timedelta(days=1)), await make.show(pool)]
    for show in shows:
        await maps.fresh(show.id)
    assert (maps.seats, maps.reads) == (20, 3)
    await maps.fresh(shows[0].id)
    await maps.fresh(shows[2].id)
    assert maps.reads == 3  # the one that is over has left, although the first was seen longer ago
    newest = await make.show(pool)
    await maps.fresh(shows[0].id)
    await maps.fresh(newest.id)
    await maps.fresh(shows[0].id)
    assert (maps.seats, maps.reads) == (20, 4)
    await maps.fresh(shows[2].id)
    assert maps.reads == 5


async def test_an_unknown_show_leaves_nothing_behind_and_a_show_that_goes_is_unknown(pool: Pool) -> None:
    show, maps = await make.show(pool), HotMaps(pool)
    with pytest.raises(ShowNotFoundError):
        await maps.fresh(uuid4())
    await maps.fresh(show.id)
    await pool.execute("DELETE FROM show WHERE id = $1", show.id)
    maps.changed(show.id)
    with pytest.raises(ShowNotFoundError):
        await maps.fresh(show.id)
    assert maps.seats == 0


async def test_nothing_older_than_a_second_is_shown_when_the_database_is_gone(
    dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = await make.show(pool)
    mine = await connect_pool(dsn, size=2)
    maps = HotMaps(mine, check_every_s=0.01)
    await maps.fresh(show.id)
    await mine.close()
    await asyncio.sleep(0.02)
    assert len(await maps.fresh(show.id)) == 10  # not a second old
    monkeypatch.setattr(hot_maps, "AGE_MAX_S", 0.01)
    with pytest.raises(asyncpg.InterfaceError):
        await maps.fresh(show.id)


async def test_a_map_in_memory_costs_less_than_a_kilobyte_a_seat(pool: Pool) -> None:
    shows = [await make.show(pool, rows=20, seats_a_row=50) for _ in range(5)]
    maps = HotMaps(pool)
    await maps.fresh((await make.show(pool)).id)
    tracemalloc.start()
    try:
        for show in shows:
            hot = await maps.fresh(show.id)
            hot.body(None)
            await maps.packed(hot, None)
        assert tracemalloc.get_traced_memory()[0] < 5_000 * 1_000
    finally:
        tracemalloc.stop()


async def test_a_large_map_is_compressed_as_it_was_when_asked(pool: Pool) -> None:
    show, maps = await make.show(pool, rows=26, seats_a_row=200), HotMaps(pool, check_every_s=60)
    hot = await maps.fresh(show.id)
    bodies: list[bytes] = []

    async def view(maps: HotMaps, hot: HotMap, viewer: UUID | None) -> bytes:
        bodies.append(hot.body(viewer))
        return await maps.packed(hot, viewer)

    viewing: list[asyncio.Task[bytes]] = []
    for n in range(6):
        viewing.append(asyncio.create_task(view(maps, hot, BUYERS[0] if n % 2 else None)))
        await asyncio.sleep(0.002)
        maps.leased(show.id, [lease(show, 700 * n, revision=1)])
    assert [gzip.decompress(one) for one in await asyncio.gather(*viewing)] == bodies


@pytest.mark.parametrize(
    ("accept_encoding", "takes"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("br, identity", False),
        ("", False),
    ],
)
def test_who_takes_gzip(accept_encoding: str, *, takes: bool) -> None:
    assert takes_gzip(accept_encoding) is takes


async def test_over_http_what_this_process_does_shows_at_once(
    client: httpx.AsyncClient, pool: Pool, office: Office
) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    manager = await make.member(client, pool, "manager")
    url = f"/api/v1/seats/shows/{show.id}"

    async def statuses() -> list[str]:
        body = (await client.get(url, headers=buyer.headers)).json()
        assert msgspec.convert(body, SeatMap) == await read(pool, show, buyer.id)
        return [seat["status"] for seat in body["seats"][:2]]

    assert await statuses() == ["available", "available"]
    await make.hold(client, buyer, show, *show.seats[:2])
    assert await statuses() == ["held_by_me", "held_by_me"]
    await client.delete(f"/api/v1/bookings/holds/{buyer.id}", headers=buyer.headers)
    assert await statuses() == ["available", "available"]
    booked = (await make.book(client, buyer, show, show.seats[0])).json()
    assert await statuses() == ["booked", "available"]
    await client.patch(f"/api/v1/bookings/{booked['id']}/cancel", headers=buyer.headers)
    assert await statuses() == ["available", "available"]
    paid = await make.paid_booking(client, buyer, show, show.seats[1])
    assert await statuses() == ["available", "booked"]
    await client.post(f"/api/v1/payments/refund/{paid['id']}", headers=buyer.headers)
    assert await statuses() == ["available", "available"]
    answer = await client.patch(f"/api/v1/shows/{show.id}", json={"prices": {"REGULAR": 7}}, headers=manager.headers)
    assert answer.status_code == 200, answer.text
    assert await statuses() == ["available", "available"]
    assert (await client.get(url)).json()["seats"][0]["price"] == 7
    assert office.hot_maps.seats == 10


async def test_it_says_when_a_map_is_to_be_compared_again(pool: Pool) -> None:
    show, maps = await make.show(pool), HotMaps(pool, check_every_s=60)
    assert maps.due_s(show.id) <= 0

    await maps.fresh(show.id)

    assert 50 < maps.due_s(show.id) <= 60
