"""The faults, each with what it measures. A fault begins, does its worst, and leaves everything mended behind.

`BOUNDS` says what each must have measured, and the worst that it may be.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import Final

from database import FAKETIME, CannotBreakError
from gateway_house import GatewayHouse
from scene import Scene, connected
from watch import BOOKED

Fault = Callable[[Scene], Awaitable[None]]

JOBS_IN_THE_WAY: Final = 5_000
GATEWAY_SLOW_S: Final = 25.0
"""Longer than the adapters wait."""
CLOCK_JUMP_MIN: Final = 30
SMALL_DISK_MB: Final = 300


async def web_killed(scene: Scene) -> None:
    await scene.kill_one(scene.web_workers)
    began = time.monotonic()
    await asyncio.sleep(0.3)
    await scene.note_return("a web process killed", began)


async def all_web_killed(scene: Scene) -> None:
    """SIGKILL of every web process at one moment, some of which have just taken the place of others."""
    await scene.kill_all(scene.web_workers)
    began = time.monotonic()
    await asyncio.sleep(0.3)
    await scene.note_return("all web processes killed", began)


async def everything_killed(scene: Scene) -> None:
    """SIGKILL of PostgreSQL, and of all that `serve` has started; who takes their place finds no database."""
    await scene.kill_all(scene.web_workers)
    await scene.kill_all(scene.job_worker)
    scene.database.kill()
    gone = time.monotonic()
    await asyncio.sleep(6)
    starting = time.monotonic()
    recovery_s = await asyncio.to_thread(scene.database.start)
    await scene.note_return("everything killed", starting + recovery_s)
    scene.note("everything killed: the slowest refusal, s", scene.watch.slowest(gone, starting, refusals=True))


async def jobs_killed(scene: Scene) -> None:
    killed = await scene.kill_one(scene.job_worker)
    began = time.monotonic()
    while not {process.pid for process in scene.job_worker()} - {killed}:  # noqa: ASYNC110  (a process comes, and tells nobody)
        await asyncio.sleep(0.05)
    scene.note("the job worker killed: another after, s", time.monotonic() - began)
    async with connected(scene) as conn:
        dead = [row["id"] for row in await conn.fetch(_SILENT_SINCE, time.monotonic() - began)]
        while await conn.fetchval(_IN_DEAD_HANDS, dead):  # noqa: ASYNC110  (it happens in the database)
            await asyncio.sleep(0.1)
    scene.note("the job worker killed: what it had in hand free after, s", time.monotonic() - began)


# The workers that have not been heard of for so many seconds.
_SILENT_SINCE = """
SELECT id FROM procrastinate_workers WHERE last_heartbeat < now() - make_interval(secs => $1)
"""
_IN_DEAD_HANDS = """
SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing' AND (worker_id IS NULL OR worker_id = ANY($1::bigint[]))
"""


async def database_killed(scene: Scene) -> None:
    """SIGKILL of every process of the server; crash recovery when it comes back."""
    scene.database.kill()
    gone = time.monotonic()
    await asyncio.sleep(4)
    starting = time.monotonic()
    recovery_s = await asyncio.to_thread(scene.database.start)
    scene.note("PostgreSQL killed: its own recovery, s", recovery_s)
    await scene.note_return("PostgreSQL killed", starting + recovery_s)
    refused_s = scene.watch.slowest(gone, starting, refusals=True)
    scene.note("PostgreSQL killed: the slowest refusal, s", refused_s)


async def database_frozen(scene: Scene) -> None:
    """SIGSTOP for ten seconds: it neither answers nor refuses."""
    scene.database.freeze()
    gone = time.monotonic()
    await asyncio.sleep(10)
    scene.database.thaw()
    back = time.monotonic()
    await scene.note_return("PostgreSQL frozen", back)
    scene.note("PostgreSQL frozen: the slowest refusal, s", scene.watch.slowest(gone, back, refusals=True))


async def lines_cut(scene: Scene) -> None:
    """Connections to the database reset, some between a commit and its answer; twenty times."""
    before = scene.proxy.cuts
    for _ in range(20):
        scene.proxy.cut_some(scene.rng.uniform(0.1, 0.9))
        await asyncio.sleep(scene.rng.uniform(0.05, 0.4))
    ended = time.monotonic()
    scene.figures["connections cut"] = scene.figures.get("connections cut", 0) + scene.proxy.cuts - before
    await scene.note_return("connections cut", ended)


async def queue_filled(scene: Scene) -> None:
    """Thousands of jobs before ours."""
    began = time.monotonic()
    async with connected(scene) as conn:
        await conn.execute(
            """SELECT procrastinate_defer_jobs_v1(array_agg(
                   ROW('default', 'webhooks.deliver', 10, NULL, NULL,
                       jsonb_build_object('delivery_id', gen_random_uuid(), 'attempt', 0), NULL
                   )::procrastinate_job_to_defer_v1))
                 FROM generate_series(1, $1)""",
            JOBS_IN_THE_WAY,
        )
        while await conn.fetchval("SELECT count(*) FROM procrastinate_jobs WHERE priority = 10 AND status = 'todo'"):
            await asyncio.sleep(0.25)
            assert time.monotonic() - began < 180
    ended = time.monotonic()
    scene.note("jobs in the way: worked off after, s", ended - began)
    scene.note(
        "jobs in the way: the slowest booking, s", scene.watch.slowest(began, ended, refusals=False, what=BOOKED)
    )


async def clock_jumps(scene: Scene) -> None:
    """The database's clock goes half an hour back, then right, half an hour ahead, and right again."""
    for minutes in (-CLOCK_JUMP_MIN, 0, CLOCK_JUMP_MIN, 0):
        scene.database.set_clock(minutes)
        began = time.monotonic()
        if minutes:
            off = "the clock put: off by, min"
            scene.figures[off] = min(await _clock_off_min(scene), scene.figures.get(off, inf))
        await asyncio.sleep(4)
        booked = scene.watch.times_well(BOOKED, began, time.monotonic())
        fewest = "the clock put: fewest bookings a second"
        scene.figures[fewest] = min(round(booked / 4, 1), scene.figures.get(fewest, booked))


async def _clock_off_min(scene: Scene) -> float:
    """How far the database's clock is from ours, in minutes."""
    async with connected(scene) as conn:
        theirs: float = await conn.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    return round(abs(theirs - time.time()) / 60, 1)


async def disk_full(scene: Scene) -> None:
    """Not a byte left for ten seconds; a server that gave up is started again once there is room."""
    filled = time.monotonic()
    scene.database.fill()
    await asyncio.sleep(10)
    refused = scene.watch.times_ill(BOOKED, filled, time.monotonic())
    scene.figures["disk full: bookings refused"] = scene.figures.get("disk full: bookings refused", 0) + refused
    scene.database.empty()
    await asyncio.sleep(1)
    if not scene.database.running():
        await asyncio.to_thread(scene.database.start)
    await scene.note_return("disk full", time.monotonic())


async def gateway_down(scene: Scene, for_s: float = 10) -> None:
    """Nobody listens at the gateway for so long, and it tells nothing."""
    house = _house_of(scene)
    began = time.monotonic()
    await house.close()
    await asyncio.sleep(for_s)
    scene.note("gateway down: the slowest booking, s", _slowest_booking(scene, began))
    await house.open()
    scene.note("gateway down: a new session paid after, s", await _paid_anew(house))


async def gateway_gone(scene: Scene) -> None:
    """Down for a moment: what the suite has time for."""
    await gateway_down(scene, for_s=3)


async def gateway_slow(scene: Scene) -> None:
    """For fifteen seconds the gateway takes up to `GATEWAY_SLOW_S` for an answer; the adapters wait for 20."""
    house = _house_of(scene)
    began = time.monotonic()
    house.slow_s = GATEWAY_SLOW_S
    await asyncio.sleep(15)
    scene.note("gateway slow: the slowest booking, s", _slowest_booking(scene, began))
    house.slow_s = 0.0
    scene.note("gateway slow: a new session paid after, s", await _paid_anew(house))


def _house_of(scene: Scene) -> GatewayHouse:
    assert scene.house is not None
    return scene.house


def _slowest_booking(scene: Scene, since: float) -> float:
    return scene.watch.slowest(since, time.monotonic(), refusals=False, what=BOOKED)


async def _paid_anew(house: GatewayHouse, within_s: float = 90.0) -> float:
    """Seconds until the gateway has taken money through a session that it did not have before."""
    began, before = time.monotonic(), house.opened()
    while time.monotonic() - began < within_s:
        if set(house.taken()) - before:
            return time.monotonic() - began
        await asyncio.sleep(0.05)
    return within_s


REFUSED_WITHIN_S: Final = 2.0
BACK_WITHIN_S: Final = 5.0


def _back(what: str, within_s: float = BACK_WITHIN_S) -> dict[str, float]:
    return {f"{what}: well again after, s": within_s, f"{what}: a booking again after, s": within_s}


_DOWN: Final = {"gateway down: the slowest booking, s": 2.0, "gateway down: a new session paid after, s": 30.0}
BOUNDS: Final[Mapping[Fault, Mapping[str, float]]] = {
    web_killed: _back("a web process killed"),
    all_web_killed: _back("all web processes killed"),
    everything_killed: _back("everything killed") | {"everything killed: the slowest refusal, s": REFUSED_WITHIN_S},
    # The pause before a job worker is replaced doubles, up to 4 s. What it had in hand is found after 15 to 18 s.
    jobs_killed: {
        "the job worker killed: another after, s": 8.0,
        "the job worker killed: what it had in hand free after, s": 30.0,
    },
    database_killed: _back("PostgreSQL killed") | {"PostgreSQL killed: the slowest refusal, s": REFUSED_WITHIN_S},
    database_frozen: _back("PostgreSQL frozen") | {"PostgreSQL frozen: the slowest refusal, s": REFUSED_WITHIN_S},
    lines_cut: _back("connections cut"),
    queue_filled: {"jobs in the way: worked off after, s": 120.0, "jobs in the way: the slowest booking, s": 2.0},
    clock_jumps: {},
    disk_full: _back("disk full"),
    gateway_down: _DOWN,
    gateway_gone: _DOWN,
    gateway_slow: {
        "gateway slow: the slowest booking, s": 2.0,
        "gateway slow: a new session paid after, s": 60.0,
    },
}
"""In seconds. A figure that is missing is as bad as one that is too large."""
AT_LEAST: Final[Mapping[Fault, Mapping[str, float]]] = {
    lines_cut: {"connections cut": 10},
    clock_jumps: {"the clock put: fewest bookings a second": 1, "the clock put: off by, min": CLOCK_JUMP_MIN - 1},
    disk_full: {"disk full: bookings refused": 1},
}


def must_be_possible(faults: list[Fault]) -> None:
    """What can be known before a run.

    Raises:
        CannotBreakError: one of the faults would break nothing on this machine.
    """
    if clock_jumps in faults and FAKETIME is None:
        raise CannotBreakError(
            "no clock can be put: libfaketime is not installed (`make faults` installs Debian's package of that name)"
        )


def out_of_bounds(figures: Mapping[str, float], faults: list[Fault]) -> list[str]:
    """What a run with these faults has not measured, or has measured as worse than it may be."""
    wrong: list[str] = []
    for fault in faults:
        for what, most in BOUNDS[fault].items():
            if figures.get(what, inf) > most:
                wrong.append(f"{what}: {figures.get(what)}, and no more than {most} is allowed")
        for what, least in AT_LEAST.get(fault, {}).items():
            if figures.get(what, 0) < least:
                wrong.append(f"{what}: {figures.get(what)}, and no less than {least} is allowed")
    return wrong
