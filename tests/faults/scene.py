"""One run: a database, a line to it, the box office as it is served, a gateway, a crowd, and a watch."""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast
from uuid import UUID

import asyncpg
import make
import psutil
from crowd import Buyer, History
from database import CannotBreakError, Database
from gateway_house import GatewayHouse
from proxy import Proxy
from running import BOXOFFICE, environment, free_port
from watch import Watch

from boxoffice.postgres.pool import Connection, connect_pool

BUYERS: Final = 12
BOOKERS: Final = 10
"""So many that none comes near the limit of seats."""
SHOWS: Final = 2
SEATS_A_SHOW: Final = 60
TIME_TO_PAY_MIN: Final = "0.05"
"""Three seconds: bookings lapse all the time, and what is paid late is late."""
THERE_WITHIN_S: Final = 30.0
MISBEHAVING: Final = {
    "FAKE_GATEWAY_DUPLICATE_RATE": "0.3",
    "FAKE_GATEWAY_FAIL_RATE": "0.1",
    "FAKE_GATEWAY_REORDER": "1",
}
"""The gateway sends twice, late, in any order, and leaves every tenth call without an answer."""


OpensHouse = Callable[[str, random.Random], GatewayHouse]
"""Given the address of the box office, and what decides the gateway's moods."""


@dataclass
class Scene:
    """What a fault can lay hands on, and what is known of how the box office bore it."""

    database: Database
    proxy: Proxy
    server: "subprocess.Popen[bytes]"
    url: str
    rng: random.Random
    log: Path
    house: GatewayHouse | None = None
    watched: Watch | None = None
    figures: dict[str, float] = field(default_factory=dict[str, float])

    def web_workers(self) -> list[psutil.Process]:
        return [child for child in psutil.Process(self.server.pid).children() if not _is_jobs(child)]

    def job_worker(self) -> list[psutil.Process]:
        return [child for child in psutil.Process(self.server.pid).children() if _is_jobs(child)]

    async def kill_one(self, of: Callable[[], list[psutil.Process]]) -> int:
        """SIGKILL one of those, once there is one: it may be about to be replaced. Its id."""
        alive = await self._alive(of)
        chosen = self.rng.choice(alive)
        chosen.kill()
        return chosen.pid

    async def kill_all(self, of: Callable[[], list[psutil.Process]]) -> None:
        """SIGKILL all of those, once there is one."""
        for process in await self._alive(of):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    async def _alive(self, of: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
        """Those that live, at least one.

        Raises:
            TimeoutError: there is none, and nobody replaces those who died.
        """
        async with asyncio.timeout(THERE_WITHIN_S):
            while True:
                with suppress(psutil.NoSuchProcess):
                    if alive := [process for process in of() if process.status() != psutil.STATUS_ZOMBIE]:
                        return alive
                assert self.server.poll() is None, self.log.read_text(encoding="utf-8")[-3_000:]
                await asyncio.sleep(0.05)

    @property
    def watch(self) -> Watch:
        assert self.watched is not None
        return self.watched

    def note(self, what: str, figure: float) -> None:
        """Of what happens several times in a run, the worst."""
        self.figures[what] = round(max(figure, self.figures.get(what, 0)), 2)

    async def note_return(self, what: str, since: float) -> None:
        """How long after ``since`` all was well again, and when somebody had booked."""
        self.note(f"{what}: well again after, s", await self.watch.well_after(since))
        self.note(f"{what}: a booking again after, s", await self.watch.booked_after(since))


def _is_jobs(child: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        return os.getsid(child.pid) == child.pid
    return False


@asynccontextmanager
async def open_scene(
    seed: int, log: Path, *, disk_mb: int | None = None, through: OpensHouse | None = None
) -> AsyncGenerator[Scene]:
    """Everything started, and everything ended; what the box office says is in ``log``.

    ``disk_mb``: the database has a small disk of its own.
    ``through``: payments go through the real adapter to such a house, else to the built-in gateway.

    Raises:
        CannotBreakError: this machine gives no small disk.
    """
    rng = random.Random(seed)
    folder, disk = folder_with_disk(disk_mb)
    database = Database(disk, free_port())
    proxy = Proxy(database.port, rng)
    port = free_port()
    house = through(f"http://127.0.0.1:{port}", rng) if through else None
    server: subprocess.Popen[bytes] | None = None
    try:
        database.make()
        database.start()
        await proxy.open()
        variables = MISBEHAVING
        if house is not None:
            await house.open()
            variables = house.settings
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
                env=environment(folder / "data", **settings, **variables),
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        scene = Scene(database, proxy, server, f"http://127.0.0.1:{port}", rng, log, house)
        await _until_open(scene)
        yield scene
    finally:
        if server is not None:
            # In a thread: what ends needs its line to the database until then, and that one runs in this loop.
            await asyncio.to_thread(_end, server)
        if house is not None:
            await house.end()
        await proxy.close()
        database.stop()
        if disk_mb is not None:
            _unmount(disk)
        shutil.rmtree(folder, ignore_errors=True)


def folder_with_disk(disk_mb: int | None) -> tuple[Path, Path]:
    """A folder that other users can read, and the place in it for the database: a small disk where one is asked for."""
    folder = Path(tempfile.mkdtemp(prefix="boxoffice-faults-"))
    folder.chmod(0o755)
    disk = folder / "disk"
    disk.mkdir()
    if disk_mb is not None:
        command = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", f"size={disk_mb}m", "tmpfs", disk]
        try:
            subprocess.run(command, capture_output=True, check=True)  # noqa: S603  (a fixed command)
        except (OSError, subprocess.CalledProcessError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            why = error.stderr.decode().strip() if isinstance(error, subprocess.CalledProcessError) else error
            raise CannotBreakError(
                f"no disk can be full: a small one (tmpfs, as root) cannot be mounted: {why}"
            ) from error
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


@asynccontextmanager
async def connected(scene: Scene) -> AsyncGenerator[Connection]:
    """A connection of the test's own, past the proxy."""
    conn = cast("Connection", await asyncpg.connect(scene.database.dsn))
    try:
        yield conn
    finally:
        await conn.close()


async def put_on_shows(scene: Scene) -> tuple[dict[UUID, list[UUID]], make.Show]:
    """Those that the crowd fights for, and one with room for all who only look whether they can book."""
    pool = await connect_pool(scene.database.dsn, size=1)
    try:
        made = [await make.show(pool, rows=6, seats_a_row=SEATS_A_SHOW // 6) for _ in range(SHOWS)]
        return {show.id: show.seats for show in made}, await make.show(pool, rows=20, seats_a_row=20)
    finally:
        await pool.close()


@asynccontextmanager
async def crowd_of(
    scene: Scene, shows: dict[UUID, list[UUID]], history: History, seed: int
) -> AsyncGenerator[list[Buyer]]:
    """The buyers, who go home at the end."""
    async with AsyncExitStack() as homes:
        buyers = [
            Buyer(f"b{n}", scene.url, shows, history, random.Random(f"{seed}-{n}"), scene.house) for n in range(BUYERS)
        ]
        for buyer in buyers:
            homes.push_async_callback(buyer.close)
        yield buyers


@asynccontextmanager
async def bookers_of(scene: Scene, roomy: make.Show, history: History) -> AsyncGenerator[list[Buyer]]:
    """Those who book only to see whether one can."""
    async with AsyncExitStack() as homes:
        bookers = [
            Buyer(f"w{n}", scene.url, {roomy.id: roomy.seats}, history, random.Random(n)) for n in range(BOOKERS)
        ]
        for booker in bookers:
            homes.push_async_callback(booker.close)
        yield bookers


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  (the figures of a run)
