"""One run: a database, a line to it, the box office as it is served, a crowd, a watch on how quickly it answers."""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import asyncpg
import httpx
import make
import psutil
from crowd import Buyer, History
from database import Database
from proxy import Proxy
from running import BOXOFFICE, environment, free_port

from boxoffice.postgres.pool import Connection, connect_pool

BUYERS: Final = 12
SHOWS: Final = 2
SEATS_A_SHOW: Final = 60
TIME_TO_PAY_MIN: Final = "0.05"
"""Three seconds: bookings lapse all the time, and what is paid late is late."""
LOOKED_AT: Final = ("/api/v1/health/ready", "/api/v1/shows?limit=1")
"""What says whether it is well, and what cannot be answered without the database."""
MISBEHAVING: Final = {
    "FAKE_GATEWAY_DUPLICATE_RATE": "0.3",
    "FAKE_GATEWAY_FAIL_RATE": "0.1",
    "FAKE_GATEWAY_REORDER": "1",
}
"""The gateway sends twice, late, in any order, and leaves every tenth call without an answer."""


@dataclass
class Glance:
    """One look at the box office: when, how long it took, what it said (0: nothing)."""

    at: float
    took: float
    status: int


@dataclass
class Scene:
    """What a fault can lay hands on, and what is known of how the box office bore it."""

    database: Database
    proxy: Proxy
    server: "subprocess.Popen[bytes]"
    url: str
    rng: random.Random
    log: Path
    glances: list[Glance] = field(default_factory=list[Glance])
    figures: dict[str, float] = field(default_factory=dict[str, float])

    def web_workers(self) -> list[psutil.Process]:
        return [child for child in psutil.Process(self.server.pid).children() if not _is_jobs(child)]

    def job_worker(self) -> list[psutil.Process]:
        return [child for child in psutil.Process(self.server.pid).children() if _is_jobs(child)]

    def kill_one(self, processes: list[psutil.Process]) -> None:
        if processes:
            with suppress(psutil.NoSuchProcess):
                self.rng.choice(processes).kill()

    def slowest_refusal(self, since: float, until: float) -> float:
        """The longest that anybody waited for an answer that is no success, while the database was gone."""
        return max((one.took for one in self.glances if since <= one.at < until and one.status != 200), default=0.0)

    async def back_after(self, since: float, within_s: float = 60.0) -> float:
        """Seconds from ``since`` until the box office answered well again, and went on to for half a second."""
        while time.monotonic() - since < within_s:
            good: list[float] = []
            for one in reversed(self.glances):
                if one.status != 200 or one.at < since:
                    break
                good.append(one.at + one.took)
            if len(good) > 1 and good[0] - good[-1] >= 0.5:
                return round(good[-1] - since, 2)
            await asyncio.sleep(0.05)
        return within_s


def _is_jobs(child: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        return os.getsid(child.pid) == child.pid
    return False


@asynccontextmanager
async def open_scene(seed: int, *, disk_mb: int | None = None, **variables: str) -> AsyncGenerator[Scene]:
    """Everything started, and everything ended. ``disk_mb``: the database has a small disk of its own."""
    rng = random.Random(seed)
    folder, disk = _folder_with_disk(disk_mb)
    database, proxy = Database(disk, free_port()), None
    server: subprocess.Popen[bytes] | None = None
    try:
        database.make()
        database.start()
        proxy = Proxy(database.port, rng)
        await proxy.open()
        port = free_port()
        log = folder / "serve.log"
        settings = {
            "DATABASE_URL": Database.dsn_at(proxy.port),
            "WORKERS": "2",
            "BOOKING_EXPIRY_MINUTES": TIME_TO_PAY_MIN,
            "SEAT_HOLD_MINUTES": TIME_TO_PAY_MIN,
            "LOG_FORMAT": "json",
        }
        with log.open("wb") as said:
            server = subprocess.Popen(  # noqa: ASYNC220, S603  (our own program; nothing else runs yet)
                [*BOXOFFICE, "serve", "--port", str(port)],
                env=environment(folder / "data", **settings, **MISBEHAVING, **variables),
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        scene = Scene(database, proxy, server, f"http://127.0.0.1:{port}", rng, log)
        await _until_open(scene)
        yield scene
    finally:
        if server is not None:
            _end(server)
        if proxy is not None:
            await proxy.close()
        database.stop()
        if disk_mb is not None:
            _unmount(disk)
        shutil.rmtree(folder, ignore_errors=True)


def _folder_with_disk(disk_mb: int | None) -> tuple[Path, Path]:
    """A folder that other users can read, and the place in it for the database: a small disk where one is asked for."""
    folder = Path(tempfile.mkdtemp(prefix="boxoffice-faults-"))
    folder.chmod(0o755)
    disk = folder / "disk"
    disk.mkdir()
    if disk_mb is not None:
        mounted = subprocess.run(  # noqa: S603  (a fixed command)
            [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", f"size={disk_mb}m", "tmpfs", disk],
            capture_output=True,
            check=False,
        )
        if mounted.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            raise PermissionError("no small disk can be mounted here")
    return folder, disk


def _unmount(disk: Path) -> None:
    subprocess.run([shutil.which("umount") or "umount", disk], check=False)  # noqa: S603  (a fixed command)


async def _until_open(scene: Scene) -> None:
    async with asyncio.timeout(90):
        while "The box office is open" not in scene.log.read_text(encoding="utf-8"):
            assert scene.server.poll() is None, scene.log.read_text(encoding="utf-8")
            await asyncio.sleep(0.1)


def _end(server: "subprocess.Popen[bytes]") -> None:
    family = psutil.Process(server.pid).children(recursive=True) if server.poll() is None else []
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()


async def connect(scene: Scene) -> Connection:
    """A connection of the test's own, past the proxy."""
    return cast("Connection", await asyncpg.connect(scene.database.dsn))


async def put_on_shows(scene: Scene) -> dict[Any, list[Any]]:
    pool = await connect_pool(scene.database.dsn, size=1)
    try:
        made = [await make.show(pool, rows=6, seats_a_row=SEATS_A_SHOW // 6) for _ in range(SHOWS)]
    finally:
        await pool.close()
    return {show.id: show.seats for show in made}


def crowd_of(scene: Scene, shows: dict[Any, list[Any]], history: History, seed: int) -> list[Buyer]:
    return [Buyer(f"b{n}", scene.url, shows, history, random.Random(f"{seed}-{n}")) for n in range(BUYERS)]


async def watch(scene: Scene) -> None:
    """Look at the box office twenty times a second, from connections of one's own, until cancelled."""
    async with httpx.AsyncClient(base_url=scene.url, timeout=30, trust_env=False) as http:
        looking: set[asyncio.Task[None]] = set()
        while True:
            for path in LOOKED_AT:
                task = asyncio.create_task(_glance(scene, http, path))
                looking.add(task)
                task.add_done_callback(looking.discard)
                await asyncio.sleep(0.05)


async def _glance(scene: Scene, http: httpx.AsyncClient, path: str) -> None:
    at = time.monotonic()
    try:
        status = (await http.get(path)).status_code
    except httpx.HTTPError:
        status = 0
    scene.glances.append(Glance(at, time.monotonic() - at, status))


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  (the figures of a run)
