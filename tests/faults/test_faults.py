"""Buyers buy while things break. Afterwards nothing that was acknowledged is lost, no seat has two, the money adds up.

Each run has a seed, which is printed: FAULTS_SEED=… gives the same choices of buyers and faults again (the moments at
which processes meet are the machine's). A short form is part of the suite; `make faults` runs each fault at length.
A fault that cannot be brought about fails its run, and is passed over only where FAULTS_MAY_SKIP=1 says so.
"""

import asyncio
import os
from contextlib import closing
from pathlib import Path

import pytest
from breakages import (
    SMALL_DISK_MB,
    Fault,
    all_web_killed,
    clock_jumps,
    database_frozen,
    database_killed,
    disk_full,
    everything_killed,
    gateway_down,
    gateway_gone,
    gateway_slow,
    jobs_killed,
    lines_cut,
    must_be_possible,
    out_of_bounds,
    queue_filled,
    web_killed,
)
from crowd import Buyer, History
from database import CannotBreakError
from ground import chosen_seed
from judge import settle, violations
from razorpay_house import RazorpayHouse
from scene import OpensHouse, Scene, bookers_of, connected, crowd_of, open_scene, put_on_shows, tell
from stripe_house import StripeHouse
from watch import watching

LONG = os.environ.get("FAULTS_LONG") == "1"
SEED = chosen_seed("FAULTS_SEED", long=LONG)
MAY_SKIP = os.environ.get("FAULTS_MAY_SKIP") == "1"
ROUNDS = int(os.environ.get("FAULTS_ROUNDS", "1"))
CALM_S = 1.5
RUNS: dict[str, list[Fault]] = {
    "web": [web_killed, web_killed, all_web_killed, all_web_killed, web_killed, web_killed],
    "jobs": [jobs_killed] * 3,
    "database": [database_killed] * 3,
    "frozen": [database_frozen] * 2,
    "everything": [everything_killed] * 2,
    "lines": [lines_cut] * 4,
    "queue": [queue_filled],
    "clock": [clock_jumps],
    "disk": [disk_full],
    "gateway": [gateway_down, gateway_slow, gateway_down],
    "razorpay": [gateway_down, gateway_slow, jobs_killed, gateway_down, lines_cut],
    "gateway-and-all": [gateway_slow, jobs_killed, gateway_down, web_killed, lines_cut, database_killed],
    "all": [
        web_killed,
        lines_cut,
        database_killed,
        jobs_killed,
        lines_cut,
        database_frozen,
        web_killed,
        everything_killed,
        database_killed,
    ],
}


HOUSES: dict[str, OpensHouse] = {
    "gateway": StripeHouse,
    "gateway-and-all": StripeHouse,
    "razorpay": RazorpayHouse,
    "short-razorpay": RazorpayHouse,
}
"""Where payments go in a run; in all others, to the built-in gateway."""


async def run(name: str, faults: list[Fault], seed: int, keep: Path) -> None:
    """One run, judged, with its figures told."""
    must_be_possible(faults)
    disk_mb = SMALL_DISK_MB if disk_full in faults else None
    log = keep / f"{name}-{seed}.log"
    async with open_scene(seed, log, disk_mb=disk_mb, through=HOUSES.get(name)) as scene:
        with closing(History(keep / f"{name}-{seed}.jsonl")) as history:
            shows, roomy = await put_on_shows(scene)
            async with crowd_of(scene, shows, history, seed) as buyers, bookers_of(scene, roomy, history) as bookers:
                async with watching(scene.url, bookers, roomy) as scene.watched:
                    await _break(scene, faults, buyers)
                async with connected(scene) as conn:
                    settled_s = await settle(conn, scene.house, [*buyers, *bookers], history)
                    found = await violations(conn, scene.house, history)
                    counts = await conn.fetchrow(_COUNTS)
        unknown = sum(line["status"] == 0 or line["status"] >= 500 for line in history.lines)
        scene.note("settled after, s", settled_s)
        scene.figures |= {"operations": len(history.lines), "of unknown outcome or refused 5xx": unknown}
        scene.figures |= dict(counts or {})
        tell(f"\n{name}: FAULTS_SEED={seed} faults={len(faults)} violations={len(found)} {scene.figures}")
    assert found == [], "\n".join(found[:20])
    assert scene.figures["confirmed"] > 0
    assert out_of_bounds(scene.figures, faults) == []


async def _break(scene: Scene, faults: list[Fault], buyers: list[Buyer]) -> None:
    """The faults, one after the other, while the buyers buy."""
    async with asyncio.TaskGroup() as buying:
        for buyer in buyers:
            buying.create_task(buyer.live())
        try:
            for fault in faults:
                await asyncio.sleep(CALM_S)
                await fault(scene)
            await asyncio.sleep(CALM_S)
        finally:
            for buyer in buyers:
                buyer.stop()


_COUNTS = """
SELECT (SELECT count(*) FROM booking) AS bookings,
       (SELECT count(*) FROM booking WHERE status = 'CONFIRMED') AS confirmed,
       (SELECT count(*) FROM refund) AS refunds,
       (SELECT count(*) FROM payment_event) AS events
"""


@pytest.mark.skipif(LONG, reason="the long form has each fault by itself")
async def test_nothing_is_lost_while_processes_die_and_lines_break(tmp_path: Path) -> None:
    await run("short", [web_killed, lines_cut, jobs_killed, database_killed], SEED, tmp_path)


@pytest.mark.skipif(LONG, reason="the long form has it at length")
async def test_nothing_is_lost_while_razorpay_is_gone(tmp_path: Path) -> None:
    await run("short-razorpay", [gateway_gone], SEED, tmp_path)


@pytest.mark.skipif(not LONG, reason="make faults")
@pytest.mark.parametrize("time_round", range(ROUNDS))
@pytest.mark.parametrize("name", RUNS)
async def test_nothing_is_lost_whatever_breaks(tmp_path: Path, name: str, time_round: int) -> None:
    keep = Path(os.environ.get("FAULTS_KEEP") or tmp_path)
    try:
        await run(name, RUNS[name], SEED + time_round, keep)
    except CannotBreakError as error:
        if MAY_SKIP:
            pytest.skip(f"{name} WAS NOT CHECKED: {error}")
        pytest.fail(f"{error}. A check that cannot fail is none: FAULTS_MAY_SKIP=1 does without it")
