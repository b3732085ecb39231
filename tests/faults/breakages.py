"""The faults, each with what it measures. A fault begins, does its worst, and leaves everything mended behind."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from scene import Scene, connect

Fault = Callable[[Scene], Awaitable[None]]


async def web_killed(scene: Scene) -> None:
    scene.kill_one(scene.web_workers())
    began = time.monotonic()
    await asyncio.sleep(0.3)
    scene.figures["a web process killed: well again after, s"] = await scene.back_after(began)


async def jobs_killed(scene: Scene) -> None:
    before = {process.pid for process in scene.job_worker()}
    scene.kill_one(scene.job_worker())
    began = time.monotonic()
    while not {process.pid for process in scene.job_worker()} - before:  # noqa: ASYNC110  (a process comes, and tells nobody)
        await asyncio.sleep(0.05)
    scene.figures["the job worker killed: another after, s"] = round(time.monotonic() - began, 2)


async def database_killed(scene: Scene) -> None:
    """SIGKILL of every process of the server; crash recovery when it comes back."""
    scene.database.kill()
    gone = time.monotonic()
    await asyncio.sleep(4)
    recovery = await asyncio.to_thread(scene.database.start)
    back = time.monotonic()
    scene.figures["PostgreSQL killed: its own recovery, s"] = round(recovery, 2)
    scene.figures["PostgreSQL gone: the slowest refusal, s"] = round(scene.slowest_refusal(gone, back - recovery), 2)
    scene.figures["PostgreSQL gone: well again after its return, s"] = await scene.back_after(back)


async def database_frozen(scene: Scene) -> None:
    """SIGSTOP for ten seconds: it neither answers nor refuses."""
    scene.database.freeze()
    gone = time.monotonic()
    await asyncio.sleep(10)
    scene.database.thaw()
    back = time.monotonic()
    scene.figures["PostgreSQL frozen: the slowest refusal, s"] = round(scene.slowest_refusal(gone, back), 2)
    scene.figures["PostgreSQL frozen: well again after its return, s"] = await scene.back_after(back)


async def lines_cut(scene: Scene) -> None:
    """Connections to the database reset, some between a commit and its answer; twenty times."""
    before = scene.proxy.cuts
    for _ in range(20):
        scene.proxy.cut_some(scene.rng.uniform(0.1, 0.9))
        await asyncio.sleep(scene.rng.uniform(0.05, 0.4))
    scene.figures["connections cut"] = scene.figures.get("connections cut", 0) + scene.proxy.cuts - before


async def queue_filled(scene: Scene) -> None:
    """Five thousand jobs before ours."""
    conn = await connect(scene)
    await conn.execute(
        """SELECT procrastinate_defer_jobs_v1(array_agg(
               ROW('default', 'webhooks.deliver', 10, NULL, NULL,
                   jsonb_build_object('delivery_id', gen_random_uuid(), 'attempt', 0), now()
               )::procrastinate_job_to_defer_v1))
             FROM generate_series(1, 5000)"""
    )
    began = time.monotonic()
    while await conn.fetchval("SELECT count(*) FROM procrastinate_jobs WHERE priority = 10 AND status = 'todo'"):
        await asyncio.sleep(0.25)
        assert time.monotonic() - began < 180
    scene.figures["5,000 jobs in the way: worked off after, s"] = round(time.monotonic() - began, 1)
    await conn.close()


async def clock_jumps(scene: Scene) -> None:
    """The database's clock half an hour behind, then right, then half an hour ahead, where it stays.

    Putting it back would have jobs wait until the time that they were given: nothing is lost, but no run waits so long.
    """
    for minutes in (-30, 0, 30):
        scene.database.set_clock(minutes)
        await asyncio.sleep(4)


async def disk_full(scene: Scene) -> None:
    """Not a byte left for ten seconds; a server that gave up is started again once there is room."""
    scene.database.fill()
    await asyncio.sleep(10)
    scene.database.empty()
    await asyncio.sleep(1)
    if not scene.database.running():
        await asyncio.to_thread(scene.database.start)
    back = time.monotonic()
    scene.figures["disk full: well again after there was room, s"] = await scene.back_after(back)
