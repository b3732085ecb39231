"""Every answer of the API says that it is what it is, that nobody keeps it, and that nothing in it runs."""

import re
from typing import Any

import httpx
import make
import msgspec
import pytest
from documented import operations, read_document
from ground import asgi
from litestar import Litestar
from visitor import HTML

from boxoffice.postgres.pool import Pool
from boxoffice.settings import Settings
from boxoffice.web.office import Office

SOME_ID = "6b1f0c52-8d4e-4f3a-9c77-3e2d1a0b5001"
ENDLESS = "/api/v1/seats/shows/{showId}/events"
GETS = [operation.path for operation in operations(read_document()) if operation.method == "get"]
KEPT_OTHERWISE = {"no-cache", "private, no-store", "max-age=3600, public"}


def is_safe(answer: httpx.Response) -> None:
    where = (str(answer.request.url), answer.status_code, answer.headers)
    assert answer.headers["x-content-type-options"] == "nosniff", where
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'", where
    assert answer.headers["referrer-policy"] == "no-referrer", where
    for name in ("x-content-type-options", "content-security-policy", "referrer-policy", "cache-control"):
        assert len(answer.headers.get_list(name)) == 1, where


@pytest.mark.parametrize("path", GETS)
async def test_every_read_is_safe_whatever_it_answers(
    client: httpx.AsyncClient, office: Office, pool: Pool, path: str
) -> None:
    show = await make.show(pool)
    admin = await make.member(client, pool, "admin")
    booking = await make.booking(client, admin, show, show.seats[0])
    ids = {
        "showId": str(show.id),
        "movieId": str(show.movie_id),
        "theatreId": str(show.theatre_id),
        "screenId": str(show.screen_id),
        "bookingId": booking["id"],
        "userId": str(admin.id),
    }
    address = re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], SOME_ID), path)
    if path == ENDLESS:
        address = address.replace(ids["showId"], SOME_ID)
    if path == "/api/v1/seats/shows/{showId}":
        # Not at hand yet: these are the headers of the first to ask.
        assert office.hot_maps.at_hand(show.id) is None
    # The map is asked for once: at the second time it would be at hand.
    for headers in (admin.headers, {})[: 1 if path.endswith("/shows/{showId}") else 2]:
        answer = await client.get(address, headers=headers)
        is_safe(answer)
        keeps = answer.headers["cache-control"]
        assert keeps == "no-store" or (answer.status_code < 400 and keeps in KEPT_OTHERWISE), keeps


async def test_a_map_at_hand_tells_nothing_of_anybody_and_goes_without(
    client: httpx.AsyncClient, office: Office
) -> None:
    show = await make.show(office.pool)
    path = f"/api/v1/seats/shows/{show.id}"
    await client.get(path)
    assert office.hot_maps.at_hand(show.id) is not None
    answer = await client.get(path)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-cache"
    assert set(answer.json()["summary"]) == {"total", "available", "held", "heldByMe", "booked"}


async def test_a_purchase_is_safe_on_the_short_way_and_on_the_other(client: httpx.AsyncClient, office: Office) -> None:
    show = await make.show(office.pool)
    guest = await make.guest(client)
    held = await make.hold(client, guest, show, show.seats[0])
    booked = await make.book(client, guest, show, show.seats[0])
    seen = [
        await client.post("/api/v1/auth/guest"),
        held,
        booked,
        await client.get(f"/api/v1/bookings/{booked.json()['id']}", headers=guest.headers),
        await client.get(f"/api/v1/bookings/{SOME_ID}", headers=guest.headers),
        await make.book(client, await make.guest(client), show, show.seats[0]),
        await client.post("/api/v1/bookings", headers=guest.headers, content=b"{"),
        await client.post("/api/v1/payments/initiate", headers=guest.headers, json={"bookingId": booked.json()["id"]}),
        await client.post("/api/v1/payments/webhook", content=b"{}"),
        await client.post("/api/v1/bookings", content=b"x" * 70_000),
        await client.put("/api/v1/movies"),
        await client.get("/api/v1/nope"),
        await client.get("/metrics"),
    ]
    assert [answer.status_code for answer in seen] == [201, 201, 201, 200, 404, 409, 400, 201, 401, 401, 405, 404, 200]
    for answer in seen:
        is_safe(answer)
        assert answer.headers["cache-control"] == "no-store"


async def test_swagger_has_a_policy_of_its_own_that_lets_no_other_script_in(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/docs")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert re.fullmatch(r"'self' 'sha256-[A-Za-z0-9+/]{43}='", policy["script-src"])
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    is_safe(await client.get("/api/docs/openapi.json"))


@pytest.mark.parametrize(
    "path", ["/api/v1/movies", "/api/v1/bookings/" + SOME_ID, "/", "/nope", "/metrics", "/static/css/base.css"]
)
@pytest.mark.parametrize("public_url", ["https://tickets.example.com", "http://box-office.test"])
async def test_who_came_by_https_comes_by_nothing_else(
    app: Litestar, office: Office, settings: Settings, path: str, public_url: str
) -> None:
    changed: Any = msgspec.structs.replace(settings, public_url=public_url)
    object.__setattr__(office, "settings", changed)
    async with httpx.AsyncClient(transport=asgi(app), base_url=public_url) as client:
        guest = await make.guest(client)
        answer = await client.get(path, headers=guest.headers | HTML)
    expected = ["max-age=31536000"] if public_url.startswith("https") else []
    assert answer.headers.get_list("strict-transport-security") == expected
