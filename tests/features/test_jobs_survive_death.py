"""Durable work is done at least once, whatever dies meanwhile."""

import asyncio
import signal
import sys
import textwrap
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ground import run_sql
from workers import (
    PACE,
    PATIENCE_S,
    at_work,
    make_jobs,
    queue_is_empty,
    until,
)

from boxoffice.jobs import CONNECTIONS_MAX, Recurring
from boxoffice.payments.gateway import GatewayDownError
from boxoffice.payments.webhooks import DELIVER_WEBHOOK
from boxoffice.postgres.pool import Pool
from boxoffice.postgres.queue import enqueue

QUEUES = 2
"""Each has a worker of the library."""
_LINES_OF_JOBS = """
SELECT state, query LIKE 'LISTEN%' AS listens FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'boxoffice-jobs'
"""
_LINES_OF_JOBS_ENDED = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'boxoffice-jobs'
"""
SELDOM = Recurring(name="seldom", cron="0 0 1 1 *", why="a test of the jobs", run=lambda jobs: jobs.hurry())

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

        async def send_nothing(_: object, __: object) -> None:
            return None

        pool = await connect_pool(dsn, size=2)
        context = JobContext(
            pool=pool,
            gateways={},
            expire_gateway_sessions=nothing,
            deliver_webhook=deliver,
            send_mail=send_nothing,
        )
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

    async with at_work(make_jobs(pool, dsn, deliver=deliver)):
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
        await until(lambda: _listens(pool))
        await pool.execute(_LINES_OF_JOBS_ENDED)
        async with pool.acquire() as conn:
            await enqueue(conn, DELIVER_WEBHOOK, delivery_id="d2", attempt=0)
        async with asyncio.timeout(PATIENCE_S):
            await done.wait()


async def test_a_worker_whose_database_was_gone_for_a_while_starts_anew(
    pool: Pool, dsn: str, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The library's workers then end one by one, and without an error: what goes on must be new ones."""
    done = asyncio.Event()

    async def deliver(_: str, __: int) -> None:
        done.set()

    database = await pool.fetchval("SELECT quote_ident(current_database())")
    # The library minds its listeners only beside a job that recurs, as there are in earnest.
    jobs = make_jobs(pool, dsn, deliver=deliver, recurring=(SELDOM,))
    # The look for the dead would fail with the rest and hide that they ended. So would a look for jobs that is cut off;
    # one that waits for the database would still do a job when it is back, and hide it too.
    jobs.pace = replace(PACE, look_for_dead_s=3600, poll_s=3600)

    async def gave_up() -> bool:
        failed = [record for record in caplog.records if getattr(record, "action", None) == "side_task_failed"]
        return len(failed) == QUEUES

    async def all_are_new() -> bool:
        present = await _workers(pool)
        return len(present) == QUEUES and present.isdisjoint(before)

    async with at_work(jobs):
        await until(lambda: _listens(pool))
        before = await _workers(pool)
        run_sql(server, f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
        await pool.execute(_LINES_OF_JOBS_ENDED)
        await until(gave_up)
        run_sql(server, f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
        await until(all_are_new)
        async with pool.acquire() as conn:
            await enqueue(conn, DELIVER_WEBHOOK, delivery_id="d3", attempt=0)
        async with asyncio.timeout(PATIENCE_S):
            await done.wait()


@pytest.mark.parametrize("becomes", ["todo", "gone"])
async def test_a_job_whose_end_cannot_be_written_down_runs_again(pool: Pool, dsn: str, becomes: str) -> None:
    """Once: the database refuses to take it back after its attempt failed, or to forget it after it was done."""
    event = "BEFORE UPDATE" if becomes == "todo" else "BEFORE DELETE"
    when = "OLD.status = 'doing' AND NEW.status = 'todo'" if becomes == "todo" else "OLD.status = 'doing'"
    await pool.execute(
        f"""CREATE SEQUENCE ends_written;
            CREATE FUNCTION refuse_once() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
            BEGIN
                IF nextval('public.ends_written') = 1 THEN RAISE EXCEPTION 'not now'; END IF;
                RETURN coalesce(NEW, OLD);
            END $$;
            CREATE TRIGGER refuse_once {event} ON procrastinate_jobs FOR EACH ROW WHEN ({when})
            EXECUTE FUNCTION refuse_once()"""
    )
    ran: list[str] = []

    async def deliver(delivery_id: str, _: int) -> None:
        ran.append(delivery_id)
        if becomes == "todo" and len(ran) == 1:
            raise GatewayDownError("no answer")

    async with pool.acquire() as conn:
        await enqueue(conn, DELIVER_WEBHOOK, delivery_id="d4", attempt=0)
    async with at_work(make_jobs(pool, dsn, deliver=deliver)):
        await until(lambda: queue_is_empty(pool))
    assert ran == ["d4", "d4"]


async def test_a_worker_has_as_many_connections_for_its_queues_as_the_readme_allows_for(pool: Pool, dsn: str) -> None:
    jobs = make_jobs(pool, dsn)
    async with at_work(jobs):
        await until(lambda: _listens(pool))
        connector: Any = jobs.app.connector
        async with AsyncExitStack() as stack:
            # All that it may open.
            for _ in range(CONNECTIONS_MAX):
                await stack.enter_async_context(connector.pool.connection())
            states = await pool.fetch(_LINES_OF_JOBS)
    assert len(states) == CONNECTIONS_MAX + QUEUES
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert f" `WORKERS` + {len(states)} connections a machine" in " ".join(readme.split())


async def _workers(pool: Pool) -> set[int]:
    return {row["id"] for row in await pool.fetch("SELECT id FROM procrastinate_workers")}


async def _listens(pool: Pool) -> bool:
    """Whether every queue has its line for what is announced, and nothing is asked just now."""
    states = await pool.fetch(_LINES_OF_JOBS)
    return sum(row["listens"] for row in states) == QUEUES and all(row["state"] == "idle" for row in states)
