"""Durable work is done at least once, whatever dies meanwhile; recurring work once, however many processes."""

import asyncio
import signal
import sys
import textwrap
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from procrastinate.periodic import PeriodicDeferrer

from boxoffice.jobs import EVERY_MINUTE, MONEY_BACKOFF, RECURRING, JobContext, Jobs, Pace, Recurring
from boxoffice.payments.gateway import (
    Gateway,
    GatewayDownError,
    GatewayRefusedError,
    RefundReceipt,
    RefundRequest,
)
from boxoffice.payments.refunds import list_refunds, mark_refunded, queue_refund, send_refund
from boxoffice.payments.webhooks import DELIVER_WEBHOOK
from boxoffice.postgres.pool import Pool
from boxoffice.postgres.queue import enqueue

PACE = Pace(poll_s=0.1, heartbeat_s=0.2, dead_after_s=1.0, shutdown_s=5.0, restart_s=0.1)
EVERY_SECOND = "* * * * * *"
PATIENCE_S = 15


class StubGateway:
    """A gateway whose answers are given in advance; keeps what it was asked."""

    name = "stub"

    def __init__(self, *answers: RefundReceipt | Exception) -> None:
        self.asked: list[RefundRequest] = []
        self._answers = list(answers)

    async def refund(self, request: RefundRequest) -> RefundReceipt:
        self.asked.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    open_session: Any = None
    verify: Any = None


class Owed(msgspec.Struct, frozen=True):
    """A refund that was decided, with what it hangs on."""

    show_id: UUID
    booking_id: UUID
    payment_id: UUID
    refund_id: UUID


async def owe(pool: Pool, *, amount: int = 500, beside: Owed | None = None) -> Owed:
    """A PENDING refund of a paid booking; ``beside``: another one of that payment."""
    if beside is None:
        show_id, booking_id, payment_id = await _pay(pool)
    else:
        show_id, booking_id, payment_id = beside.show_id, beside.booking_id, beside.payment_id
    refund_id: UUID = await pool.fetchval(
        """INSERT INTO refund (show_id, booking_id, payment_id, reason, original_amount, amount, percentage, currency)
           VALUES ($1, $2, $3, 'requested', 1000, $4, 50, 'INR') RETURNING id""",
        *(show_id, booking_id, payment_id, amount),
    )
    return Owed(show_id, booking_id, payment_id, refund_id)


async def _pay(pool: Pool) -> tuple[UUID, UUID, UUID]:
    movie = await pool.fetchval(
        "INSERT INTO movie (title, duration_min, language) VALUES ('Pather Panchali', 125, 'bn') RETURNING id"
    )
    theatre = await pool.fetchval(
        "INSERT INTO theatre (name, city, timezone) VALUES ('Regal', 'Mumbai', 'Asia/Kolkata') RETURNING id"
    )
    screen = await pool.fetchval(
        "INSERT INTO screen (theatre_id, name, total_seats) VALUES ($1, 'One', 1) RETURNING id", theatre
    )
    show: UUID = await pool.fetchval(
        """INSERT INTO show (movie_id, theatre_id, screen_id, starts_at, ends_at, screen_free_at, language, format,
                             currency, price_regular, total_seats)
           VALUES ($1, $2, $3, now(), now() + interval '2 h', now() + interval '3 h', 'bn', '2D', 'INR', 1000, 1)
           RETURNING id""",
        *(movie, theatre, screen),
    )
    booking: UUID = await pool.fetchval(
        """INSERT INTO booking (show_id, user_id, total_amount, currency, expires_at)
           VALUES ($1, $2, 1000, 'INR', now()) RETURNING id""",
        *(show, uuid4()),
    )
    payment: UUID = await pool.fetchval(
        """INSERT INTO payment (show_id, booking_id, gateway, session_id, status, amount, currency, expires_at)
           VALUES ($1, $2, 'stub', 'sess_x', 'SUCCEEDED', 1000, 'INR', now()) RETURNING id""",
        *(show, booking),
    )
    return show, booking, payment


async def state(pool: Pool, owed: Owed) -> tuple[str, str | None]:
    """A refund's status and the gateway's reference."""
    row = await pool.fetchrow(
        "SELECT status, gateway_ref FROM refund WHERE show_id = $1 AND id = $2", owed.show_id, owed.refund_id
    )
    assert row is not None
    return row["status"], row["gateway_ref"]


async def told(pool: Pool, owed: Owed, *, refund_id: UUID | None, amount: int) -> bool:
    """What an event about the payment of ``owed`` settles."""
    async with pool.acquire() as conn:
        return await mark_refunded(
            conn, show_id=owed.show_id, payment_id=owed.payment_id, refund_id=refund_id, amount=amount
        )


async def _nothing() -> int:
    return 0


async def _deliver_nothing(_: str, __: int) -> None:
    return None


def make_jobs(
    pool: Pool,
    dsn: str,
    *,
    gateway: StubGateway | None = None,
    deliver: Callable[[str, int], Awaitable[None]] = _deliver_nothing,
    recurring: tuple[Recurring, ...] = (),
) -> Jobs:
    gateways: dict[str, Gateway] = {} if gateway is None else {"stub": gateway}
    context = JobContext(pool=pool, gateways=gateways, expire_gateway_sessions=_nothing, deliver_webhook=deliver)
    return Jobs(dsn, context, recurring=recurring, pace=PACE)


@asynccontextmanager
async def at_work(*all_jobs: Jobs) -> AsyncGenerator[None]:
    """Workers in this process, while inside."""
    stop = asyncio.Event()
    workers = [asyncio.create_task(jobs.work(stop)) for jobs in all_jobs]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*workers)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110  (what is waited for happens in the database)
            await asyncio.sleep(0.05)


async def queue_is_empty(pool: Pool) -> bool:
    return await pool.fetchval("SELECT count(*) FROM procrastinate_jobs") == 0


# ----------------------------------------------------------------- refunds


async def test_a_refund_is_sent_when_its_decision_is_committed_and_not_otherwise(pool: Pool, dsn: str) -> None:
    kept, dropped = await owe(pool), await owe(pool)
    gateway = StubGateway(RefundReceipt(gateway_ref="re_1", done=True))
    async with pool.acquire() as conn, conn.transaction():
        await queue_refund(conn, kept.show_id, kept.refund_id)
    async with pool.acquire() as conn:
        undone = conn.transaction()
        await undone.start()
        await queue_refund(conn, dropped.show_id, dropped.refund_id)
        await undone.rollback()
    async with at_work(make_jobs(pool, dsn, gateway=gateway)):
        await until(lambda: queue_is_empty(pool))
    assert [asked.refund_id for asked in gateway.asked] == [kept.refund_id]
    assert gateway.asked[0] == RefundRequest(refund_id=kept.refund_id, session_id="sess_x", amount=500, currency="INR")
    assert await state(pool, kept) == ("SUCCEEDED", "re_1")
    assert await state(pool, dropped) == ("PENDING", None)


async def test_a_gateway_that_is_down_is_asked_again_with_the_same_key(pool: Pool, dsn: str) -> None:
    owed = await owe(pool)
    gateway = StubGateway(GatewayDownError(), RefundReceipt(gateway_ref="re_2", done=True))
    async with pool.acquire() as conn:
        await queue_refund(conn, owed.show_id, owed.refund_id)
    async with at_work(make_jobs(pool, dsn, gateway=gateway)):
        await until(lambda: queue_is_empty(pool))
    assert [asked.refund_id for asked in gateway.asked] == [owed.refund_id] * 2
    assert await state(pool, owed) == ("SUCCEEDED", "re_2")


async def test_a_gateway_that_is_not_set_up_counts_as_down(pool: Pool) -> None:
    owed = await owe(pool)
    with pytest.raises(GatewayDownError):
        await send_refund(pool, {}, owed.show_id, owed.refund_id)
    assert await state(pool, owed) == ("PENDING", None)


async def test_a_refused_refund_is_left_for_a_person(pool: Pool) -> None:
    owed = await owe(pool)
    gateway = StubGateway(GatewayRefusedError("the account is closed"))
    await send_refund(pool, {"stub": gateway}, owed.show_id, owed.refund_id)
    assert await state(pool, owed) == ("FAILED", None)
    await send_refund(pool, {"stub": gateway}, owed.show_id, owed.refund_id)
    assert len(gateway.asked) == 1


async def test_a_refund_taken_on_is_settled_by_its_event(pool: Pool) -> None:
    owed = await owe(pool)
    gateway = StubGateway(RefundReceipt(gateway_ref="re_3", done=False))
    await send_refund(pool, {"stub": gateway}, owed.show_id, owed.refund_id)
    assert await state(pool, owed) == ("PENDING", "re_3")
    assert not await told(pool, owed, refund_id=owed.refund_id, amount=501)
    assert not await told(pool, owed, refund_id=uuid4(), amount=500)
    assert not await told(pool, await owe(pool), refund_id=owed.refund_id, amount=500)
    assert await told(pool, owed, refund_id=owed.refund_id, amount=500)
    assert not await told(pool, owed, refund_id=owed.refund_id, amount=500)
    assert await state(pool, owed) == ("SUCCEEDED", "re_3")


async def test_an_event_without_an_id_settles_only_what_it_must_mean(pool: Pool) -> None:
    first = await owe(pool)
    second = await owe(pool, beside=first)
    other = await owe(pool, amount=300, beside=first)
    assert not await told(pool, first, refund_id=None, amount=500)
    assert await told(pool, first, refund_id=None, amount=300)
    assert await told(pool, first, refund_id=second.refund_id, amount=500)
    assert await told(pool, first, refund_id=None, amount=500)
    async with pool.acquire() as conn:
        refunds = await list_refunds(conn, first.show_id, first.booking_id)
    assert [refund.id for refund in refunds] == [first.refund_id, second.refund_id, other.refund_id]
    assert {refund.status for refund in refunds} == {"SUCCEEDED"}


async def test_nothing_is_asked_for_a_refund_of_nothing(pool: Pool) -> None:
    owed = await owe(pool, amount=0)
    gateway = StubGateway()
    await send_refund(pool, {"stub": gateway}, owed.show_id, owed.refund_id)
    assert await state(pool, owed) == ("SUCCEEDED", None)


def test_a_refund_is_tried_for_days() -> None:
    job: Any = SimpleNamespace(attempts=0)
    tried_for = timedelta()
    while (decision := MONEY_BACKOFF.get_retry_decision(exception=GatewayDownError(), job=job)) is not None:
        assert decision.retry_at is not None
        wait = decision.retry_at - datetime.now(UTC)
        assert wait <= timedelta(minutes=10)
        tried_for += wait
        job.attempts += 1
    assert tried_for > timedelta(days=5)


# ---------------------------------------------------------- recurring work


async def test_every_recurring_job_runs(pool: Pool, dsn: str) -> None:
    jobs = make_jobs(pool, dsn)
    async with jobs.app.open_async():
        for recurring in RECURRING:
            await recurring.run(jobs)
            assert recurring.why


async def test_two_processes_queue_each_recurring_job_once(pool: Pool, dsn: str) -> None:
    both = [make_jobs(pool, dsn, recurring=RECURRING) for _ in range(2)]
    async with both[0].app.open_async(), both[1].app.open_async():
        for at in (1_800_000_000, 1_800_000_060):
            await asyncio.gather(*(_defer_all(jobs, at) for jobs in both for _ in range(2)))
    counts = await pool.fetch("SELECT task_name, count(*) FROM procrastinate_jobs GROUP BY task_name")
    assert {row["task_name"]: row["count"] for row in counts} == {job.name: 2 for job in RECURRING}


async def _defer_all(jobs: Jobs, at: int) -> None:
    """What a worker does when the time ``at`` (Unix seconds) has come for every recurring job."""
    registry: Any = jobs.app.periodic_registry
    await PeriodicDeferrer(registry).defer_jobs([(task, at) for task in registry.periodic_tasks.values()])


async def test_two_workers_run_each_recurring_job_once_a_time(pool: Pool, dsn: str) -> None:
    ran: list[str] = []

    async def note(_: Jobs) -> None:
        ran.append("once")

    every_second = Recurring(name="test.tick", cron=EVERY_SECOND, why="the test", run=note)
    both = [make_jobs(pool, dsn, recurring=(every_second,)) for _ in range(2)]
    async with at_work(*both):
        await asyncio.sleep(3.2)
    # Times that came in 3.2 seconds, and the one just before.
    assert 2 <= len(ran) <= 5


async def test_a_recurring_job_that_fails_does_not_stop_the_worker(pool: Pool, dsn: str) -> None:
    async def fail(_: Jobs) -> None:
        raise ArithmeticError

    sick = Recurring(name="test.sick", cron=EVERY_SECOND, why="the test", run=fail)
    owed = await owe(pool)
    gateway = StubGateway(RefundReceipt(gateway_ref="re_4", done=True))
    async with at_work(make_jobs(pool, dsn, gateway=gateway, recurring=(sick,))):
        await asyncio.sleep(1)
        async with pool.acquire() as conn:
            await queue_refund(conn, owed.show_id, owed.refund_id)
        await until(lambda: _is_settled(pool, owed))


async def _is_settled(pool: Pool, owed: Owed) -> bool:
    return (await state(pool, owed))[0] == "SUCCEEDED"


# ------------------------------------------------------------------- death

WORKER = """
    import asyncio
    import sys
    from pathlib import Path

    from boxoffice.jobs import JobContext, Jobs, Pace
    from boxoffice.postgres.pool import connect_pool

    async def main(dsn: str, begun: Path, ended: Path, lasts_s: float) -> None:
        async def deliver(delivery_id: str, attempt: int) -> None:
            begun.touch()
            await asyncio.sleep(lasts_s)
            ended.touch()

        async def nothing() -> int:
            return 0

        pool = await connect_pool(dsn, size=2)
        context = JobContext(pool=pool, gateways={}, expire_gateway_sessions=nothing, deliver_webhook=deliver)
        pace = Pace(poll_s=0.1, heartbeat_s=0.2, dead_after_s=1.0, shutdown_s=10.0)
        await Jobs(dsn, context, recurring=(), pace=pace).work()
        await pool.close()

    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])))
"""


@asynccontextmanager
async def worker_process(folder: Path, dsn: str, lasts_s: float) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A worker in a process of its own, in the middle of a job that takes so long."""
    script = folder / "worker.py"
    script.write_text(textwrap.dedent(WORKER))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(script), dsn, str(folder / "begun"), str(folder / "ended"), str(lasts_s))
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (folder / "begun").exists():  # noqa: ASYNC110  (another process makes it)
                await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_job_of_a_killed_worker_runs_again(pool: Pool, dsn: str, tmp_path: Path) -> None:
    async with pool.acquire() as conn:
        await enqueue(conn, DELIVER_WEBHOOK, delivery_id="d1", attempt=0)
    async with worker_process(tmp_path, dsn, 3600) as process:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert await pool.fetchval("SELECT status::text FROM procrastinate_jobs") == "doing"
    again: list[tuple[str, int]] = []

    async def deliver(delivery_id: str, attempt: int) -> None:
        again.append((delivery_id, attempt))

    (stalled,) = [job for job in RECURRING if job.name == "queue.retry_stalled"]
    assert stalled.cron == EVERY_MINUTE
    soon = Recurring(name=stalled.name, cron=EVERY_SECOND, why=stalled.why, run=stalled.run)
    async with at_work(make_jobs(pool, dsn, deliver=deliver, recurring=(soon,))):
        async with asyncio.timeout(PATIENCE_S):
            while not again:  # noqa: ASYNC110  (the worker's callback appends)
                await asyncio.sleep(0.05)
    assert again == [("d1", 0)]


async def test_a_worker_told_to_stop_ends_its_job_first(pool: Pool, dsn: str, tmp_path: Path) -> None:
    async with pool.acquire() as conn:
        await enqueue(conn, DELIVER_WEBHOOK, delivery_id="d1", attempt=0)
    async with worker_process(tmp_path, dsn, 1) as process:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 0
    assert (tmp_path / "ended").exists()
    assert await queue_is_empty(pool)
    assert await pool.fetchval("SELECT count(*) FROM procrastinate_workers") == 0


async def test_a_worker_that_loses_its_database_starts_anew(pool: Pool, dsn: str) -> None:
    done = asyncio.Event()

    async def deliver(_: str, __: int) -> None:
        done.set()

    async with at_work(make_jobs(pool, dsn, deliver=deliver)):
        await until(lambda: _lives(pool))
        await pool.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'boxoffice-jobs'"""
        )
        async with pool.acquire() as conn:
            await enqueue(conn, DELIVER_WEBHOOK, delivery_id="d2", attempt=0)
        async with asyncio.timeout(PATIENCE_S):
            await done.wait()


async def _lives(pool: Pool) -> bool:
    return await pool.fetchval("SELECT count(*) FROM procrastinate_workers") == 1
