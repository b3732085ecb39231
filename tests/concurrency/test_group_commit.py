"""A batch of claims: what breaks naive batchers, on a real PostgreSQL, with batches that are surely shared."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import make
import pytest

from boxoffice.errors import KeyReusedError
from boxoffice.idempotency import Outcome, claim
from boxoffice.postgres.pool import Pool
from boxoffice.seating.claims import Claims, Lease, SeatsWanted
from boxoffice.seating.group_commit import GroupCommit, OverloadedError
from boxoffice.seating.refusals import OutcomeUnknownError, SeatsTakenError

MINUTES = timedelta(minutes=5)


def wants(show: make.Show, *seats: UUID, who: UUID | None = None) -> SeatsWanted:
    return SeatsWanted(show_id=show.id, user_id=who or uuid4(), seat_ids=list(seats))


async def book(claims: Claims, wanted: SeatsWanted, key: str | None = None) -> Outcome:
    keyed = claim(wanted.user_id, key, "book", wanted)
    return await claims.book(wanted, booking_id=uuid4(), time_to_pay=MINUTES, key=keyed)


def kinds(results: list[Outcome | BaseException]) -> list[str]:
    return ["won" if isinstance(result, Outcome) else type(result).__name__ for result in results]


async def test_first_come_first_served_inside_a_batch(pool: Pool) -> None:
    show, claims = await make.show(pool), Claims(pool)
    results = await asyncio.gather(
        *(book(claims, wants(show, show.seats[0])) for _ in range(30)), return_exceptions=True
    )
    assert kinds(results) == ["won"] + ["SeatsTakenError"] * 29


async def test_a_later_request_gets_the_seat_that_an_earlier_one_could_not_take(pool: Pool) -> None:
    show, claims = await make.show(pool), Claims(pool)
    a, b, c, d = show.seats[:4]
    await book(claims, wants(show, a))
    results = await asyncio.gather(
        book(claims, wants(show, a, b)),  # refused: a is taken, so b stays free
        book(claims, wants(show, b, c)),  # gets both
        book(claims, wants(show, c, d)),  # refused: c went to the one before
        book(claims, wants(show, d)),  # gets d, which the one before could not take
        return_exceptions=True,
    )
    assert kinds(list(results)) == ["SeatsTakenError", "won", "SeatsTakenError", "won"]
    assert isinstance(results[2], SeatsTakenError)
    assert results[2].extra == {"showSeatIds": [c]}


async def test_requests_of_many_shows_share_a_batch(pool: Pool) -> None:
    shows = [await make.show(pool) for _ in range(3)]
    claims = Claims(pool)
    results = await asyncio.gather(
        *(book(claims, wants(show, seat)) for show in shows for seat in show.seats), return_exceptions=True
    )
    assert kinds(results) == ["won"] * 30


async def test_one_buyer_in_a_batch_is_counted_as_if_alone(pool: Pool) -> None:
    show, claims, me = await make.show(pool, rows=3), Claims(pool), uuid4()
    results = await asyncio.gather(
        *(book(claims, wants(show, *show.seats[n : n + 3], who=me)) for n in range(0, 15, 3)),
        return_exceptions=True,
    )
    assert kinds(results) == ["won", "won", "won", "SeatLimitError", "SeatLimitError"]


async def test_one_key_twice_in_a_batch_is_one_booking(pool: Pool) -> None:
    show, claims = await make.show(pool), Claims(pool)
    wanted = wants(show, show.seats[0])
    first, again = await asyncio.gather(book(claims, wanted, "k"), book(claims, wanted, "k"))
    assert (first.replayed, again.replayed) == (False, True)
    assert first.answer == again.answer
    other = wants(show, show.seats[1], who=wanted.user_id)
    with pytest.raises(KeyReusedError):
        await book(claims, other, "k")


async def test_one_key_in_two_processes_at_once_is_one_booking(pool: Pool) -> None:
    for _ in range(10):
        show = await make.show(pool)
        wanted = wants(show, show.seats[0])
        others = [wants(show, seat) for seat in show.seats[1:4]]
        processes = Claims(pool), Claims(pool)
        results = await asyncio.gather(
            *(book(one, wanted, "k") for one in processes),
            *(book(processes[0], other) for other in others),
        )
        assert results[0].answer == results[1].answer
        assert sorted(result.replayed for result in results[:2]) == [False, True]


async def test_a_request_that_breaks_a_constraint_harms_no_other(pool: Pool) -> None:
    show, claims, banned = await make.show(pool), Claims(pool), uuid4()
    await pool.execute(f"ALTER TABLE booking ADD CONSTRAINT not_them CHECK (user_id <> '{banned}')")
    results = await asyncio.gather(
        *(book(claims, wants(show, seat)) for seat in show.seats[:4]),
        book(claims, wants(show, show.seats[4], who=banned)),
        *(book(claims, wants(show, seat)) for seat in show.seats[5:]),
        return_exceptions=True,
    )
    assert kinds(results) == ["won"] * 4 + ["CheckViolationError"] + ["won"] * 5
    assert await pool.fetchval("SELECT count(*) FROM show_seat WHERE holder_id = $1", banned) == 0


async def test_a_server_that_dies_in_mid_statement_is_asked_again_by_key_and_never_guessed(pool: Pool) -> None:
    show, claims = await make.show(pool), Claims(pool)
    async with pool.acquire() as blocker:
        await blocker.execute("BEGIN")
        await blocker.execute("SELECT FROM show_seat WHERE id = $1 FOR UPDATE", show.seats[0])
        asked = asyncio.gather(
            book(claims, wants(show, show.seats[0]), "k"),
            book(claims, wants(show, show.seats[1])),
            return_exceptions=True,
        )
        await until_waiting(pool)
        await pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )
        await asyncio.sleep(0.1)
        await blocker.execute("ROLLBACK")
    keyed, keyless = await asked
    assert isinstance(keyed, Outcome)
    assert isinstance(keyless, OutcomeUnknownError)
    # What was said to be unknown had not happened here; what was answered has.
    sold = await pool.fetch("SELECT id FROM show_seat WHERE taken_until > now()")
    assert [seat["id"] for seat in sold] == [show.seats[0]]
    await book(claims, wants(show, show.seats[1]))


async def until_waiting(pool: Pool) -> None:
    for _ in range(200):
        if await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nobody waits for a lock")


async def test_a_client_that_went_away_while_waiting_is_left_out(pool: Pool) -> None:
    show, claims = await make.show(pool), Claims(pool)
    async with pool.acquire() as blocker:
        await blocker.execute("BEGIN")
        await blocker.execute("SELECT FROM show_seat WHERE id = $1 FOR UPDATE", show.seats[0])
        first = asyncio.create_task(book(claims, wants(show, show.seats[0])))
        await until_waiting(pool)
        gone = asyncio.create_task(book(claims, wants(show, show.seats[1])))
        stays = asyncio.create_task(book(claims, wants(show, show.seats[2])))
        await asyncio.sleep(0)
        gone.cancel()
        await blocker.execute("ROLLBACK")
    assert isinstance(await first, Outcome)
    assert isinstance(await stays, Outcome)
    assert gone.cancelled() or gone.cancelling()
    assert await pool.fetchval("SELECT count(*) FROM booking") == 2


async def test_what_a_claim_made_of_its_seats_is_told(pool: Pool) -> None:
    told: list[tuple[UUID, list[Lease]]] = []
    show = await make.show(pool)
    claims = Claims(pool, lambda show_id, leases: told.append((show_id, list(leases))))
    me = uuid4()
    await claims.hold(wants(show, *show.seats[:2], who=me), length=MINUTES, key=None)
    [(show_id, leases)] = told
    assert show_id == show.id
    assert {lease.seat_id for lease in leases} == set(show.seats[:2])
    rows = await pool.fetch("SELECT id, taken_until, revision FROM show_seat WHERE holder_id = $1", me)
    assert {(lease.seat_id, lease.taken_until, lease.revision) for lease in leases} == {
        (row["id"], row["taken_until"], row["revision"]) for row in rows
    }


class TestTheMechanism:
    async def test_a_lone_request_goes_at_once_and_those_that_come_meanwhile_go_together(self) -> None:
        batches: list[list[int]] = []
        opened = asyncio.Event()

        async def run(batch: Sequence[int]) -> list[int]:
            numbers = list(batch)
            batches.append(numbers)
            await opened.wait()
            return numbers

        group: GroupCommit[int, int] = GroupCommit(run, batch_max=3)
        tasks = [asyncio.create_task(group.submit(0))]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert batches == [[0]]
        tasks += [asyncio.create_task(group.submit(n)) for n in range(1, 6)]
        await asyncio.sleep(0)
        opened.set()
        assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4, 5]
        assert batches == [[0], [1, 2, 3], [4, 5]]

    async def test_past_the_bound_a_request_is_refused_at_once(self) -> None:
        opened = asyncio.Event()

        async def run(batch: Sequence[int]) -> list[int]:
            await opened.wait()
            return list(batch)

        group: GroupCommit[int, int] = GroupCommit(run, waiting_max=2)
        tasks = [asyncio.create_task(group.submit(0))]
        await asyncio.sleep(0.01)
        tasks += [asyncio.create_task(group.submit(n)) for n in (1, 2)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError) as refused:
            await group.submit(3)
        assert refused.value.retry_after_s >= 1
        opened.set()
        assert await asyncio.gather(*tasks) == [0, 1, 2]

    async def test_an_error_of_the_database_that_hits_all_is_told_to_each(self) -> None:
        async def run(batch: Sequence[int]) -> list[int]:
            raise asyncpg.DeadlockDetectedError("dead")

        group: GroupCommit[int, int] = GroupCommit(run)
        results = await asyncio.gather(*(group.submit(n) for n in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [asyncpg.DeadlockDetectedError] * 3
