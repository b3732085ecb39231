"""Recurring work is done once a time, however many processes there are."""

import asyncio
from typing import Any

from procrastinate.periodic import PeriodicDeferrer
from workers import (
    EVERY_SECOND,
    Owed,
    StubGateway,
    at_work,
    make_jobs,
    owe,
    state,
    until,
)

from boxoffice.jobs import RECURRING, Jobs, Recurring
from boxoffice.payments.gateway import (
    RefundReceipt,
)
from boxoffice.payments.refunds import SEND_REFUND, queue_refund
from boxoffice.postgres.pool import Pool


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


async def test_what_need_not_wait_comes_next_whatever_the_clock_says(pool: Pool) -> None:
    owed = await owe(pool)
    async with pool.acquire() as conn:
        await queue_refund(conn, owed.show_id, owed.refund_id)
    assert await pool.fetchval("SELECT scheduled_at FROM procrastinate_jobs") is None


async def test_a_job_that_waits_longer_than_its_kind_has_to_comes_now(pool: Pool, dsn: str) -> None:
    """What a database clock leaves behind that was half an hour ahead, and is put right."""
    waits = {"12 min": True, "30 min": True, "9 min": False}
    for wait in waits:
        await pool.execute(
            """INSERT INTO procrastinate_jobs (queue_name, task_name, args, scheduled_at)
               VALUES ('default', $1, $2, now() + $3::text::interval)""",
            *(SEND_REFUND, {"wait": wait}, wait),
        )
    assert await make_jobs(pool, dsn).hurry() == 2
    due = await pool.fetch("SELECT args ->> 'wait' AS wait, scheduled_at IS NULL AS due FROM procrastinate_jobs")
    assert {job["wait"]: job["due"] for job in due} == waits
