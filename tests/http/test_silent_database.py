"""A database that is frozen, or behind a network that swallows everything: nobody waits for it for long.

Whoever needs it is refused within two seconds, and once it answers again, all goes on by itself within five.
"""

import asyncio
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import httpx
import make
import pytest
from ground import asgi
from line import Line, line_to
from running import Running, databases, started

from boxoffice.app import assemble, closing_pool, fake_gateway
from boxoffice.postgres.pool import Pool, connect_pool, connection
from boxoffice.postgres.pulse import Pulse
from boxoffice.settings import Settings
from boxoffice.web.router import create_web

REFUSED_WITHIN_S = 2.0
BACK_WITHIN_S = 5.0
POOL = 3
API = "/api/v1"
READY = f"{API}/health/ready"


class House:
    """A box office at the end of a line, and what it is asked."""

    def __init__(self, line: Line, client: httpx.AsyncClient, pulse: Pulse) -> None:
        self.line = line
        self.client = client
        self.pulse = pulse

    async def timed(self, method: str, path: str, **kwargs: Any) -> tuple[httpx.Response, float]:
        began = time.monotonic()
        answer = await self.client.request(method, f"{API}{path}", **kwargs)
        return answer, time.monotonic() - began

    async def back_after_s(self) -> float:
        began = time.monotonic()
        while (await self.client.get(READY)).status_code != 200:
            assert time.monotonic() - began < BACK_WITHIN_S
            await asyncio.sleep(0.02)
        return time.monotonic() - began


@pytest.fixture
async def house(dsn: str, settings: Settings) -> AsyncIterator[House]:
    async with line_to(dsn) as line, house_at(line, settings) as made:
        yield made


@asynccontextmanager
async def house_at(line: Line, settings: Settings) -> AsyncGenerator[House]:
    async with (
        Pulse(line.dsn) as pulse,
        httpx.AsyncClient() as http,
        closing_pool(await connect_pool(line.dsn, size=POOL, plan_once=True, pulse=pulse)) as pool,
        closing_pool(await connect_pool(line.dsn, size=2, plan_once=True, pulse=pulse)) as claims_pool,
    ):
        office = assemble(settings, pool, fake_gateway(settings, pool, http), claims_pool)
        app = create_web(lambda: nullcontext(office))
        app.state.office = office
        async with httpx.AsyncClient(transport=asgi(app), base_url="http://box-office.test", timeout=30) as client:
            try:
                yield House(line, client, pulse)
            finally:
                line.thaw()
                await office.usher.close()
                await office.hot_maps.close()
                await office.live_seats.close()
                office.accounts.close()


def refused(answer: httpx.Response) -> str:
    """A refusal as it should be; its code."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert int(answer.headers["retry-after"]) >= 1
    code: str = answer.json()["code"]
    return code


async def sessions_of_the_house(pool: Pool) -> int:
    found: int = await pool.fetchval(
        """SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND client_addr IS NOT DISTINCT FROM inet_client_addr()
              AND application_name IN ('boxoffice', 'boxoffice-pulse') AND pid <> pg_backend_pid()"""
    )
    return found


async def all_kinds(house: House, show: make.Show, guest: make.Buyer) -> dict[str, tuple[httpx.Response, float]]:
    """Requests of each kind at once, more than there are connections: some wait in a statement, some for one."""
    hold = {"showId": str(show.id), "showSeatIds": [str(show.seats[0])]}
    book = {"showId": str(show.id), "showSeatIds": [str(show.seats[1])]}
    asked = {
        "hold": house.timed("POST", "/bookings/hold-seats", json=hold, headers=guest.headers),
        "book": house.timed("POST", "/bookings", json=book, headers=guest.headers | {"Idempotency-Key": "k"}),
        "map": house.timed("GET", f"/seats/shows/{show.id}"),
        "layout": house.timed("GET", f"/seats/screens/{show.screen_id}"),
        "events": house.timed("GET", f"/seats/shows/{show.id}/events"),
        "shows": house.timed("GET", "/shows"),
        "mine": house.timed("GET", f"/bookings/user/{guest.id}", headers=guest.headers),
        "best": house.timed("GET", f"/seats/shows/{show.id}/best?count=2"),
        "guest": house.timed("POST", "/auth/guest"),
        "ready": house.timed("GET", "/health/ready"),
    }
    return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))


@pytest.mark.parametrize("how", ["frozen", "cut"])
async def test_whoever_needs_a_silent_database_is_refused_and_all_goes_on_by_itself(
    house: House, pool: Pool, how: str
) -> None:
    show = await make.show(pool)
    guest = await make.guest(house.client)
    house.line.freeze() if how == "frozen" else house.line.cut()

    for answer, seconds in (await all_kinds(house, show, guest)).values():
        refused(answer)
        assert seconds < REFUSED_WITHIN_S
    assert house.pulse.silent
    # Now that it is known, nobody waits at all.
    for answer, seconds in (await all_kinds(house, show, guest)).values():
        refused(answer)
        assert seconds < 0.5
    assert (await house.client.get(f"{API}/health")).status_code == 200

    house.line.thaw()
    assert await house.back_after_s() < BACK_WITHIN_S
    # What was asked under a key is asked again under it: done then or now, it is one booking.
    book = {"showId": str(show.id), "showSeatIds": [str(show.seats[1])]}
    keyed = guest.headers | {"Idempotency-Key": "k"}
    again, _ = await house.timed("POST", "/bookings", json=book, headers=keyed)
    once_more, _ = await house.timed("POST", "/bookings", json=book, headers=keyed)
    assert again.status_code == once_more.status_code == 201, again.text
    assert again.json()["id"] == once_more.json()["id"]
    assert await pool.fetchval("SELECT count(*) FROM booking") == 1


async def test_a_statement_under_way_is_given_up_and_its_outcome_told_as_unknown(house: House, pool: Pool) -> None:
    show = await make.show(pool)
    guest = await make.guest(house.client)
    booking = await make.booking(house.client, guest, show, show.seats[0])
    seat = {"showId": str(show.id), "showSeatIds": [str(show.seats[1])]}
    async with pool.acquire() as blocker, blocker.transaction():
        await blocker.execute("SELECT FROM booking WHERE id = $1 FOR UPDATE", UUID(booking["id"]))
        await blocker.execute("SELECT FROM show_seat WHERE id = $1 FOR UPDATE", show.seats[1])
        cancelling = asyncio.create_task(
            house.timed("PATCH", f"/bookings/{booking['id']}/cancel", headers=guest.headers)
        )
        claiming = asyncio.create_task(house.timed("POST", "/bookings", json=seat, headers=guest.headers))
        await until_two_wait(pool)
        began = time.monotonic()
        house.line.freeze()
        (cancelled, _), (claimed, _) = await cancelling, await claiming
        assert time.monotonic() - began < REFUSED_WITHIN_S
    assert refused(cancelled) == "unavailable"
    assert "Idempotency-Key" in cancelled.json()["detail"]
    assert refused(claimed) == "outcome_unknown"

    house.line.thaw()
    await house.back_after_s()
    # The server has done with those that nobody waits for any more: no session and no lock is left of them.
    for _ in range(100):
        if await sessions_of_the_house(pool) <= POOL + 2 + 1:
            break
        await asyncio.sleep(0.05)
    assert await sessions_of_the_house(pool) <= POOL + 2 + 1
    again, _ = await house.timed("PATCH", f"/bookings/{booking['id']}/cancel", headers=guest.headers)
    assert (again.status_code, again.json()["status"]) == (200, "CANCELLED")


async def until_two_wait(pool: Pool) -> None:
    for _ in range(200):
        if (
            await pool.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            >= 2
        ):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nobody waits")


async def test_a_statement_that_waits_while_the_pulse_is_felt_is_left_alone(dsn: str, pool: Pool) -> None:
    async with (
        Pulse(dsn, every_s=0.05, silent_after_s=0.3) as pulse,
        closing_pool(await connect_pool(dsn, size=1, pulse=pulse)) as ours,
        connection(ours) as conn,
    ):
        assert await conn.fetchval("SELECT pg_sleep(1.5) IS NULL") is False
        assert not pulse.silent


async def test_our_own_lateness_is_no_silence_of_the_database(dsn: str) -> None:
    async with Pulse(dsn, every_s=0.05, silent_after_s=0.3) as pulse, connect_pool_of(dsn, pulse) as ours:
        for _ in range(4):
            await asyncio.sleep(0.06)
            time.sleep(0.6)  # noqa: ASYNC251  (the event loop is kept from its work on purpose)
        async with connection(ours) as conn:
            assert await conn.fetchval("SELECT 1") == 1
        assert not pulse.silent


async def test_the_end_of_its_own_session_is_no_silence_either(dsn: str, pool: Pool) -> None:
    async with Pulse(dsn, every_s=0.05, silent_after_s=0.3) as pulse, connect_pool_of(dsn, pulse) as ours:
        async with connection(ours) as conn:
            mine = await conn.fetchval("SELECT pg_backend_pid()")
            for _ in range(8):
                await pool.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'boxoffice-pulse'"
                )
                await asyncio.sleep(0.1)
            assert await conn.fetchval("SELECT pg_backend_pid()") == mine
        assert not pulse.silent


@asynccontextmanager
async def connect_pool_of(dsn: str, pulse: Pulse) -> AsyncGenerator[Pool]:
    async with closing_pool(await connect_pool(dsn, size=2, pulse=pulse)) as made:
        yield made


async def test_a_stopped_server_keeps_nobody_waiting() -> None:
    with (
        TemporaryDirectory(prefix="boxoffice-test-", ignore_cleanup_errors=True) as folder,
        started(Path(folder) / "data", "serve", WORKERS="2") as running,
    ):
        await stop_and_go_on(running)
        running.stop(signal.SIGTERM)


async def stop_and_go_on(running: Running) -> None:
    async with httpx.AsyncClient(base_url=running.url, timeout=30) as client:
        guest = await make.guest(client)
        [head] = databases(running.data_dir)
        servers = [head, *head.children(recursive=True)]
        for server in servers:
            server.send_signal(signal.SIGSTOP)
        try:
            for _ in range(3):
                began = time.monotonic()
                answers = await asyncio.gather(
                    client.get(READY),
                    client.get(f"{API}/bookings/user/{guest.id}", headers=guest.headers),
                    *(client.get(f"{API}/shows") for _ in range(40)),
                )
                assert time.monotonic() - began < REFUSED_WITHIN_S
                for answer in answers:
                    refused(answer)
        finally:
            for server in servers:
                server.send_signal(signal.SIGCONT)
        began = time.monotonic()
        while (await client.get(f"{API}/shows")).status_code != 200:
            assert time.monotonic() - began < BACK_WITHIN_S
            await asyncio.sleep(0.05)
