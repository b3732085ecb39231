"""A watch on how the box office bears it: is it well, can it be read, can somebody book, and how long did that take?"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final
from uuid import UUID

import httpx
from crowd import Buyer
from make import Show

READ: Final = ("/api/v1/health/ready", "/api/v1/shows?limit=1")
"""What says whether it is well, and what cannot be answered without the database."""
BOOKED: Final = "a booking"
PAUSE_S: Final = 0.05
LONG_S: Final = 0.5
"""What takes longer than this is not answered well yet."""


@dataclass
class Glance:
    """One look at the box office: what at, when, how long it took, and whether it did what was asked."""

    what: str
    at: float
    took: float | None = None
    """None: it is under way."""
    well: bool = False

    def over(self, *, well: bool) -> None:
        self.took, self.well = time.monotonic() - self.at, well


@dataclass
class Watch:
    """Every glance of a run."""

    glances: list[Glance] = field(default_factory=list[Glance])

    def begin(self, what: str) -> Glance:
        self.glances.append(Glance(what, time.monotonic()))
        return self.glances[-1]

    def slowest(self, since: float, until: float, *, refusals: bool, what: str | None = None) -> float:
        """The longest that anybody who asked then waited: for a refusal, or for anything."""
        return max(
            (
                time.monotonic() - one.at if one.took is None else one.took
                for one in self.glances
                if since <= one.at < until and not (refusals and one.well) and what in {None, one.what}
            ),
            default=0.0,
        )

    def times_well(self, what: str, since: float, until: float) -> int:
        """How often that was done."""
        return sum(one.well and one.what == what and since <= one.at < until for one in self.glances)

    def times_ill(self, what: str, since: float, until: float) -> int:
        """How often that was asked for and refused."""
        asked = [one for one in self.glances if one.what == what and since <= one.at < until]
        return sum(one.took is not None and not one.well for one in asked)

    async def well_after(self, since: float, within_s: float = 60.0) -> float:
        """Seconds from ``since`` until everything was answered well again, and went on to be for half a second."""
        while time.monotonic() - since < within_s:
            good: list[float] = []
            for one in reversed(self.glances):
                if one.took is None and time.monotonic() - one.at < LONG_S:
                    continue
                if one.took is None or not one.well or one.at < since:
                    break
                good.append(one.at + one.took)
            if len(good) > 1 and max(good) - min(good) >= 0.5:
                return min(good) - since
            await asyncio.sleep(PAUSE_S)
        return within_s

    async def booked_after(self, since: float, within_s: float = 60.0) -> float:
        """Seconds from ``since`` until somebody had booked again."""
        while time.monotonic() - since < within_s:
            ended = [(one.at, one.took) for one in self.glances if one.well and one.what == BOOKED and one.at >= since]
            if done := [at + took for at, took in ended if took is not None]:
                return min(done) - since
            await asyncio.sleep(PAUSE_S)
        return within_s


@asynccontextmanager
async def watching(url: str, bookers: list[Buyer], show: Show) -> AsyncGenerator[Watch]:
    """Look at the box office twenty times a second, from connections of one's own, while inside.

    The ``bookers`` take turns in booking a seat of a ``show`` that has room for all of them.
    """
    watch = Watch()
    await asyncio.gather(*(booker.arrive() for booker in bookers))
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http, asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(_look(watch, http, bookers, show))
        try:
            yield watch
        finally:
            # Glances that are under way end by themselves, while their connections are there.
            looking.cancel()


async def _look(watch: Watch, http: httpx.AsyncClient, bookers: list[Buyer], show: Show) -> None:
    whose_turn, seats = cycle(bookers), cycle(show.seats)
    async with asyncio.TaskGroup() as glances:
        try:
            while True:
                for path in READ:
                    glances.create_task(_read(watch, http, path))
                    await asyncio.sleep(PAUSE_S)
                glances.create_task(_book(watch, next(whose_turn), show.id, next(seats)))
                await asyncio.sleep(PAUSE_S)
        except asyncio.CancelledError:
            return


async def _read(watch: Watch, http: httpx.AsyncClient, path: str) -> None:
    glance = watch.begin(path)
    try:
        glance.over(well=(await http.get(path)).status_code == 200)
    except httpx.HTTPError:
        glance.over(well=False)


async def _book(watch: Watch, booker: Buyer, show: UUID, seat: UUID) -> None:
    glance = watch.begin(BOOKED)
    wanted = {"showId": str(show), "showSeatIds": [str(seat)]}
    said = await booker.ask("book", "POST", "/bookings", wanted, keyed=True)
    glance.over(well=said.status == 201)
