"""Buyers buy while things break. Afterwards nothing that was acknowledged is lost, no seat has two, the money adds up.

Each run has a seed, which is printed: FAULTS_SEED=… gives the same choices of buyers and faults again (the moments at
which processes meet are the machine's). A short form is part of the suite; `make faults` runs each fault at length.
"""

import asyncio
import os
import random
from pathlib import Path

import pytest
from breakages import (
    Fault,
    clock_jumps,
    database_frozen,
    database_killed,
    disk_full,
    jobs_killed,
    lines_cut,
    queue_filled,
    web_killed,
)
from crowd import History
from database import FAKETIME
from judge import settle, violations
from scene import Scene, connect, crowd_of, open_scene, put_on_shows, tell, watch

# A connection that was broken on purpose may be left to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
LONG = os.environ.get("FAULTS_LONG") == "1"
ROUNDS = int(os.environ.get("FAULTS_ROUNDS", "1"))
REFUSED_WITHIN_S = 2.0
BACK_WITHIN_S = 5.0
RUNS: dict[str, list[Fault]] = {
    "web": [web_killed] * 4,
    "jobs": [jobs_killed] * 3,
    "database": [database_killed] * 3,
    "frozen": [database_frozen] * 2,
    "lines": [lines_cut] * 4,
    "queue": [queue_filled],
    "clock": [clock_jumps],
    "disk": [disk_full],
    "all": [
        web_killed,
        lines_cut,
        database_killed,
        jobs_killed,
        lines_cut,
        database_frozen,
        web_killed,
        database_killed,
    ],
}


def chosen_seed() -> int:
    return int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(2**32))


async def run(name: str, faults: list[Fault], seed: int, keep: Path, *, disk_mb: int | None = None) -> Scene:
    """One run, judged; its figures are in the scene."""
    async with open_scene(seed, disk_mb=disk_mb) as scene:
        history = History(keep / f"{name}-{seed}.jsonl")
        buyers = crowd_of(scene, await put_on_shows(scene), history, seed)
        looking = asyncio.create_task(watch(scene))
        calm_s = 1.5
        buying = [asyncio.create_task(buyer.live()) for buyer in buyers]
        try:
            for fault in faults:
                await asyncio.sleep(calm_s)
                await fault(scene)
            await asyncio.sleep(calm_s)
        finally:
            for buyer in buyers:
                buyer.stop()
            await asyncio.gather(*buying)
        conn = await connect(scene)
        scene.figures["settled after, s"] = round(await settle(conn, buyers, history), 1)
        found = await violations(conn, history)
        counts = await conn.fetchrow(
            """SELECT (SELECT count(*) FROM booking) AS bookings,
                      (SELECT count(*) FROM booking WHERE status = 'CONFIRMED') AS confirmed,
                      (SELECT count(*) FROM refund) AS refunds,
                      (SELECT count(*) FROM payment_event) AS events"""
        )
        await conn.close()
        looking.cancel()
        for buyer in buyers:
            await buyer.close()
        history.close()
        unknown = sum(line["status"] == 0 or line["status"] >= 500 for line in history.lines)
        scene.figures |= {"operations": len(history.lines), "of unknown outcome or refused 5xx": unknown}
        scene.figures |= dict(counts or {})
        tell(f"\n{name}: FAULTS_SEED={seed} faults={len(faults)} violations={len(found)} {scene.figures}")
        assert found == [], "\n".join(found[:20])
        assert scene.figures["confirmed"] > 0
        return scene


def recovered(scene: Scene) -> None:
    figures = scene.figures
    assert figures.get("PostgreSQL gone: the slowest refusal, s", 0) <= REFUSED_WITHIN_S
    for what in ("PostgreSQL gone", "PostgreSQL frozen"):
        assert figures.get(f"{what}: well again after its return, s", 0) <= BACK_WITHIN_S


@pytest.mark.skipif(LONG, reason="the long form has each fault by itself")
async def test_nothing_is_lost_while_processes_die_and_lines_break(tmp_path: Path) -> None:
    scene = await run("short", [web_killed, lines_cut, jobs_killed, database_killed], chosen_seed(), tmp_path)

    recovered(scene)


@pytest.mark.skipif(not LONG, reason="make faults")
@pytest.mark.parametrize("time_round", range(ROUNDS))
@pytest.mark.parametrize("name", RUNS)
async def test_nothing_is_lost_whatever_breaks(tmp_path: Path, name: str, time_round: int) -> None:
    if name == "clock" and FAKETIME is None:
        pytest.skip("libfaketime is not installed")
    keep = Path(os.environ.get("FAULTS_KEEP") or tmp_path)
    try:
        scene = await run(name, RUNS[name], chosen_seed() + time_round, keep, disk_mb=300 if name == "disk" else None)
    except PermissionError as error:
        pytest.skip(str(error))
    recovered(scene)
