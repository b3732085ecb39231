"""Who asks too often is told to wait, and nobody else: by identity, by network address, behind a proxy or not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import make
import msgspec
import pytest
from ground import asgi
from litestar import Litestar

from boxoffice.postgres.pool import Pool
from boxoffice.settings import Settings
from boxoffice.tallies import Tallies
from boxoffice.web.limits import Limits
from boxoffice.web.office import Office

NEIGHBOUR = "203.0.113.9"
NOWHERE = UUID(int=7)
Client = Callable[..., httpx.AsyncClient]


@pytest.fixture
def limited(app: Litestar, office: Office, settings: Settings) -> Client:
    """Makes the client of a box office with these limits, in a minute that does not end."""

    def open_to(address: str = "127.0.0.1", **limits: Any) -> httpx.AsyncClient:
        chosen = msgspec.structs.replace(settings, **limits)
        app.state.office = replace(office, limits=Limits(chosen, Tallies(clock=lambda: 6_000.0)))
        return httpx.AsyncClient(transport=asgi(app, address), base_url="http://box-office.test")

    return open_to


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 429, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.headers["retry-after"] == "60"
    assert answer.json()["code"] == "rate_limited"


async def test_a_customer_who_changes_too_much_waits_and_no_other_does(limited: Client, office: Office) -> None:
    show = await make.show(office.pool)
    async with limited(customer_changes_per_minute=3) as client:
        guest, other = await make.guest(client), await make.guest(client)
        assert (await make.hold(client, guest, show, show.seats[0])).status_code == 201
        assert (await make.book(client, guest, show, show.seats[0])).status_code == 201
        # What the short way does not take is counted with what it does.
        assert (await client.post("/api/v1/bookings", headers=guest.headers, json={"odd": 1})).status_code == 400
        refused(await make.hold(client, guest, show, show.seats[1]))
        refused(await client.post("/api/v1/bookings", headers=guest.headers, json={"odd": 1}))
        refused(await client.request("DELETE", f"/api/v1/bookings/holds/{guest.id}", headers=guest.headers))

        assert (await client.get(f"/api/v1/bookings/user/{guest.id}", headers=guest.headers)).status_code == 200
        assert (await make.hold(client, other, show, show.seats[1])).status_code == 201


async def test_a_busy_till_does_not_notice(limited: Client, pool: Pool) -> None:
    show = await make.show(pool)
    async with limited(customer_changes_per_minute=2, staff_changes_per_minute=8) as client:
        till = await make.member(client, pool, "staff")
        for seat in show.seats[:8]:
            assert (await make.hold(client, till, show, seat)).status_code == 201
        refused(await make.hold(client, till, show, show.seats[8]))


@pytest.mark.parametrize("path", ["/movies", f"/bookings/{NOWHERE}", f"/seats/shows/{NOWHERE}"])
async def test_reads_are_counted_by_network_address(limited: Client, app: Litestar, path: str) -> None:
    path = f"/api/v1{path}"
    async with limited(NEIGHBOUR, address_reads_per_minute=2) as client:
        guest = await make.guest(client)
        for _ in range(2):
            assert (await client.get(path, headers=guest.headers)).status_code in {200, 404}
        refused(await client.get(path, headers=guest.headers))
        refused(await client.get(path, headers={"Authorization": "Bearer made-up"}))
        refused(await client.get("/"))
        refused(await client.get("/static/icon.svg"))
        assert (await client.post("/api/v1/auth/guest")).status_code == 201
    async with httpx.AsyncClient(transport=asgi(app, "203.0.113.10"), base_url="http://box-office.test") as another:
        assert (await another.get("/api/v1/movies")).status_code == 200


async def test_files_are_counted_with_what_else_is_read(limited: Client) -> None:
    async with limited(NEIGHBOUR, address_reads_per_minute=2) as client:
        assert (await client.get("/static/icon.svg")).status_code == 200
        assert (await client.get("/static/icon.svg/x")).status_code == 404
        refused(await client.get("/api/v1/movies"))


async def test_changes_are_counted_by_network_address(limited: Client, office: Office) -> None:
    show = await make.show(office.pool)
    async with limited(NEIGHBOUR, address_changes_per_minute=3) as client:
        guests = [await make.guest(client) for _ in range(2)]
        assert (await make.hold(client, guests[0], show, show.seats[0])).status_code == 201
        refused(await make.hold(client, guests[1], show, show.seats[1]))
        refused(await client.post("/api/v1/auth/guest"))
        assert (await client.get("/api/v1/movies")).status_code == 200


async def test_a_browser_is_told_by_a_page(limited: Client) -> None:
    async with limited(NEIGHBOUR, address_reads_per_minute=1) as client:
        assert (await client.get("/", headers={"Accept": "text/html"})).status_code == 200
        answer = await client.get("/", headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
        assert "One moment, please" in answer.text


async def test_of_two_visitors_behind_a_trusted_proxy_one_does_not_wait_for_the_other(limited: Client) -> None:
    async with limited("10.0.0.7", trusted_proxies=("10.0.0.7",), address_reads_per_minute=1) as client:
        seen = [
            (await client.get("/api/v1/movies", headers={"X-Forwarded-For": forwarded})).status_code
            for forwarded in ("198.51.100.1", "198.51.100.2", "198.51.100.3, 198.51.100.2", "127.0.0.1, 198.51.100.1")
        ]
    assert seen == [200, 200, 429, 429]


@pytest.mark.parametrize("trusted", [(), ("10.0.0.7",)])
async def test_nobody_gets_round_a_limit_by_a_header_of_their_own(limited: Client, trusted: tuple[str, ...]) -> None:
    async with limited(NEIGHBOUR, trusted_proxies=trusted, address_reads_per_minute=1) as client:
        seen = [
            (await client.get("/api/v1/movies", headers={"X-Forwarded-For": forwarded})).status_code
            for forwarded in ("198.51.100.1", "127.0.0.1", "10.0.0.7")
        ]
    assert seen == [200, 429, 429]


async def test_failed_sign_ins_are_counted_by_the_visitors_address_and_not_by_the_proxys(
    limited: Client, office: Office
) -> None:
    seen: list[str] = []
    async with limited("10.0.0.7", trusted_proxies=("10.0.0.0/8",)) as client:
        original = office.accounts.login

        async def login(*args: Any, address: str) -> Any:
            seen.append(address)
            return await original(*args, address=address)

        for name, value in (("X-Forwarded-For", "127.0.0.1, 198.51.100.4"), ("Forwarded", "for=198.51.100.5")):
            body = {"email": "asha@example.com", "password": "wrong horse"}
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(office.accounts, "login", login)
                await client.post("/api/v1/auth/login", json=body, headers={name: value})
    assert seen == ["198.51.100.4", "10.0.0.7"]


async def test_what_operators_gateways_and_viewers_of_maps_ask_is_not_counted(limited: Client, office: Office) -> None:
    show = await make.show(office.pool)
    async with limited(NEIGHBOUR, address_reads_per_minute=2, address_changes_per_minute=1) as client:
        assert (await client.get(f"/api/v1/seats/shows/{show.id}")).status_code == 200
        assert (await client.get("/api/v1/movies")).status_code == 200
        refused(await client.get("/api/v1/movies"))
        for path in ("/api/v1/health", "/api/v1/health/ready", "/metrics", f"/api/v1/seats/shows/{show.id}"):
            assert (await client.get(path)).status_code == 200
        for path in ("/api/v1/payments/webhook", "/api/v1/payments/webhook/fake"):
            for _ in range(3):
                assert (await client.post(path, json={})).status_code == 401


async def test_limits_of_nought_are_none_and_this_machine_is_not_counted_by_its_address(limited: Client) -> None:
    nought = {"customer_changes_per_minute": 0, "address_changes_per_minute": 0, "address_reads_per_minute": 0}
    async with limited(NEIGHBOUR, **nought) as client:
        for _ in range(3):
            assert (await client.get("/api/v1/movies")).status_code == 200
            assert (await client.post("/api/v1/auth/guest")).status_code == 201
    async with limited(address_changes_per_minute=1, address_reads_per_minute=1) as client:
        for _ in range(3):
            assert (await client.get("/api/v1/movies")).status_code == 200
            assert (await client.post("/api/v1/auth/guest")).status_code == 201
