"""A house that is full: who is refused, with what, and who is served all the same."""

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import httpx
import make
import pytest
from ground import asgi
from litestar import Litestar
from visitor import HTML, addresses

from boxoffice.postgres.pool import Pool
from boxoffice.web.admission import WORK
from boxoffice.web.bodies import LOOK_EVERY_S
from boxoffice.web.hot import HotWeb
from boxoffice.web.lanes import Kind

LATER = 30
PASSED_BY = 6


@asynccontextmanager
async def full_house(app: Litestar, inside: int) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a process in which so many requests are under way, as far as it can tell."""
    transport = asgi(app)
    web = transport.app
    assert isinstance(web, HotWeb)
    stays = [stay for stay in (web.admission.let_in(Kind.FINISHING) for _ in range(inside)) if stay is not None]
    assert len(stays) == inside
    # What those who look may have beyond their bound goes first.
    while (stay := web.admission.let_in(Kind.LOOKING)) is not None:
        stays.append(stay)
    for stay in stays[inside:]:
        stay.end()
    async with httpx.AsyncClient(transport=transport, base_url="http://box-office.test") as client:
        yield client
        for stay in stays[:inside]:
            stay.end()


async def test_a_full_house_refuses_lookers_first_and_those_who_pay_not_at_all(app: Litestar, pool: Pool) -> None:
    show = await make.show(pool)
    async with httpx.AsyncClient(transport=asgi(app), base_url="http://box-office.test") as early:
        guest = await make.guest(early)
        booking = await make.booking(early, guest, show, show.seats[0])
    hold = {"showId": str(show.id), "showSeatIds": [str(show.seats[1])]}

    async with full_house(app, WORK[Kind.LOOKING].least) as client:
        refused(await client.get("/api/v1/shows"))
        held = await client.post("/api/v1/bookings/hold-seats", json=hold, headers=guest.headers)
        assert held.status_code == 201, held.text
    async with full_house(app, WORK[Kind.BOOKING].least) as client:
        refused(await client.post("/api/v1/bookings/hold-seats", json=hold, headers=guest.headers))
        refused(await client.post("/api/v1/bookings", json=hold, headers=guest.headers))
        paying = await client.post(
            "/api/v1/payments/initiate", json={"bookingId": booking["id"]}, headers=guest.headers
        )
        assert paying.status_code == 201, paying.text
        mine = await client.get(f"/api/v1/bookings/{booking['id']}", headers=guest.headers)
        assert mine.status_code == 200
        assert (await client.get("/api/v1/health/ready")).status_code == 200
    async with httpx.AsyncClient(transport=asgi(app), base_url="http://box-office.test") as later:
        assert (await later.get("/api/v1/shows")).status_code == 200
    assert await pool.fetchval("SELECT count(*) FROM booking") == 1


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "overloaded"
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert answer.headers["x-request-id"]


async def test_people_are_told_in_their_languages(app: Litestar) -> None:
    async with full_house(app, WORK[Kind.LOOKING].least) as client:
        page = await client.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 503
    assert page.headers["content-type"].startswith("text/html")
    assert "The house is full for a moment" in page.text
    assert 'lang="hi"' in page.text


async def test_people_come_again_by_a_link_and_by_themselves(app: Litestar) -> None:
    async with full_house(app, WORK[Kind.LOOKING].least) as client:
        page = await client.get("/?q=lunch", headers=HTML)
    for name in ("Try again", "फिर कोशिश करें"):
        assert f'<a href="">{name}</a>' in page.text  # the same address, whatever it is
    assert page.headers["refresh"] == page.headers["retry-after"]
    policy, style = page.headers["content-security-policy"], re.search("<style>(.*)</style>", page.text)
    assert style is not None
    assert policy == f"default-src 'none'; style-src 'sha256-{b64encode(sha256(style[1].encode()).digest()).decode()}'"


@pytest.mark.parametrize("path", addresses("POST"))
async def test_whose_form_was_refused_finds_back_to_it(app: Litestar, path: str) -> None:
    async with full_house(app, WORK[Kind.FINISHING].least) as client:
        page = await client.post(path, headers=HTML)
    assert page.status_code == 503
    # A form is not sent again unasked.
    assert "refresh" not in page.headers
    way = re.search(r'<a href="([^"]+)">Go back</a>', page.text)
    assert way is not None
    async with httpx.AsyncClient(transport=asgi(app), base_url="http://box-office.test") as later:
        assert (await later.get(way[1], headers=HTML)).status_code != 405


@pytest.mark.parametrize("path", ["//evil.example", "/%22%3E%3Cb%3E", "/shows/%22%3E%3Cb%3E/book"])
async def test_no_address_brings_anything_into_the_page(app: Litestar, path: str) -> None:
    async with full_house(app, WORK[Kind.FINISHING].least) as client:
        page = await client.post(f"http://box-office.test{path}", headers=HTML)
    assert page.status_code == 503
    assert "<b>" not in page.text
    assert not [way for way in re.findall('href="([^"]*)"', page.text) if not way.startswith("/") or "//" in way]


async def test_a_seat_map_at_hand_is_shown_however_full_it_is(app: Litestar, pool: Pool) -> None:
    show = await make.show(pool)
    path = f"/api/v1/seats/shows/{show.id}"
    async with httpx.AsyncClient(transport=asgi(app), base_url="http://box-office.test") as early:
        assert (await early.get(path)).status_code == 200
    async with full_house(app, WORK[Kind.FINISHING].least) as client:
        answers = await asyncio.gather(*(client.get(path) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}


async def test_whoever_sends_slowly_takes_nobodys_place(app: Litestar) -> None:
    waited_for, whole = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        waited_for.set()
        await whole.wait()
        yield b"}"

    async with full_house(app, WORK[Kind.FINISHING].least - 1) as client:
        slow = asyncio.create_task(client.post("/api/v1/payments/webhook", content=body()))
        async with asyncio.timeout(30):
            await waited_for.wait()
            refused(await client.get("/api/v1/bookings/7"))
            while (await client.get("/api/v1/bookings/7")).status_code == 503:  # noqa: ASYNC110  (until it counts no more)
                await asyncio.sleep(LOOK_EVERY_S / 10)
        whole.set()
        assert (await slow).json()["code"] == "bad_signature"


async def test_who_has_begun_to_pay_does_not_stand_behind_those_who_came_later(
    app: Litestar, pool: Pool, web_pool: Pool
) -> None:
    """It takes a connection three times; there is but one, and many who want it once."""
    show = await make.show(pool)
    finished: list[str] = []
    async with httpx.AsyncClient(transport=asgi(app), base_url="http://box-office.test") as client:
        guest = await make.guest(client)
        booking = await make.booking(client, guest, show, show.seats[0])
        turns = 0
        while web_pool.turns.free:
            await web_pool.turns.take(1)
            turns += 1

        async def ask(name: str, asking: Coroutine[Any, Any, httpx.Response]) -> None:
            answer = await asking
            assert answer.is_success, answer.text
            finished.append(name)

        pay = client.post("/api/v1/payments/initiate", json={"bookingId": booking["id"]}, headers=guest.headers)
        asked = [asyncio.create_task(ask("pay", pay))]
        await asyncio.sleep(0.05)
        for _ in range(LATER):
            read = client.get(f"/api/v1/bookings/{booking['id']}", headers=guest.headers)
            asked.append(asyncio.create_task(ask("read", read)))
        await asyncio.sleep(0.05)
        web_pool.turns.give_back()
        await asyncio.gather(*asked)
        for _ in range(turns - 1):
            web_pool.turns.give_back()

    # As one goes from one connection to the next, the one that it gave back is somebody else's for once.
    assert finished.index("pay") <= PASSED_BY
