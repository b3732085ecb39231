"""What cannot be, is garbage or makes no sense is refused as the client's mistake, and changes nothing."""

from typing import Any

import httpx
import make
import pytest
from catalogue_api import API, MOVIE, THEATRE, draft, get, hall, post

from boxoffice.postgres.pool import Pool


@pytest.fixture
async def manager(client: httpx.AsyncClient, pool: Pool) -> make.Buyer:
    return await make.member(client, pool, "manager")


IMPOSSIBLE: list[tuple[dict[str, Any], str, str | None]] = [
    ({"startTime": "2020-01-01T00:00:00Z"}, "show_in_past", "startTime"),
    ({"startTime": "0001-01-01T00:00:00+23:59"}, "show_in_past", "startTime"),
    ({"startTime": "9999-12-31T23:59:59-23:59"}, "malformed", "startTime"),
    ({"startTime": "2099-01-01T00:00:00"}, "malformed", "data.startTime"),
    ({"startTime": "soon"}, "malformed", "data.startTime"),
    ({"prices": {"REGULAR": 1}}, "missing_price", "prices.VIP"),
    ({"prices": {"REGULAR": 1, "VIP": -1}}, "malformed", None),
    ({"prices": {"REGULAR": 1, "VIP": 100_000_001}}, "malformed", None),
    ({"prices": {"REGULAR": 1.5, "VIP": 1}}, "malformed", None),
    ({"prices": {"REGULAR": 1, "VIP": 1, "GOLD": 1}}, "malformed", None),
    ({"prices": None}, "malformed", None),
    ({"language": "a\x00b"}, "malformed", None),
    ({"currency": "rupees"}, "malformed", None),
    ({"currency": "INR\n"}, "malformed", None),
    ({"format": "2D\n"}, "malformed", None),
    ({"movieId": "x"}, "malformed", None),
]


async def test_a_show_that_cannot_be_is_refused(client: httpx.AsyncClient, manager: make.Buyer) -> None:
    of = await hall(client, manager)
    for changes, code, field in IMPOSSIBLE:
        answer = await client.post(f"{API}/shows", json=draft(of, **changes), headers=manager.headers)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (400, code), (changes, problem)
        if field is not None and not field.startswith("data."):
            assert field in problem["errors"], (changes, problem)
    assert (await get(client, "/shows"))["items"] == []


POSTERS_NOWHERE = [
    "javascript:alert(1)",
    "//posters.example/p.jpg",
    "/\\posters.example/p.jpg",
    "https:///p.jpg",
    "https://[x/p.jpg",
    "https://[::1]/p.jpg",
    "https://x;sandbox/p.jpg",
    "https://ü;sandbox/p.jpg",
    "https://x,y/p.jpg",
    "https://*.example/p.jpg",
    "https://user@posters.example/p.jpg",
    "https://posters.example\\@elsewhere.example/p.jpg",
    "https://posters.example:port/p.jpg",
    "https://ü..example/p.jpg",
    "https://posters.example/p.jpg\n",
]
GARBAGE: list[tuple[str, Any]] = [
    ("/movies", {}),
    ("/movies", []),
    ("/movies", MOVIE | {"title": ""}),
    ("/movies", MOVIE | {"title": "   "}),
    ("/movies", MOVIE | {"title": "a\x00"}),
    ("/movies", MOVIE | {"title": "Sholay\n"}),
    ("/movies", MOVIE | {"language": "Hindi\n"}),
    ("/movies", MOVIE | {"rating": "U\n"}),
    ("/movies", MOVIE | {"genres": ["Drama\n"]}),
    ("/movies", MOVIE | {"synopsis": "a\x00"}),
    ("/movies", MOVIE | {"durationMin": 0}),
    ("/movies", MOVIE | {"durationMin": "long"}),
    ("/movies", MOVIE | {"durationMin": 10**20}),
    ("/movies", MOVIE | {"genres": "Drama"}),
    ("/movies", MOVIE | {"genres": ["a\x00"]}),
    *(("/movies", MOVIE | {"posterUrl": address}) for address in POSTERS_NOWHERE),
    ("/theatres", THEATRE | {"timezone": "Mars/Olympus"}),
    ("/theatres", THEATRE | {"city": None}),
    ("/theatres", THEATRE | {"city": "Mumbai\n"}),
    ("screens", {"name": "x", "rows": []}),
    ("screens", {"name": "x", "rows": [{"row": "A", "seats": []}]}),
    ("screens", {"name": "x", "rows": [{"row": "A" * 9, "seats": [{"number": 1}]}]}),
    ("screens", {"name": "x", "rows": [{"row": "A\n", "seats": [{"number": 1}]}]}),
    ("screens", {"name": "x", "rows": [{"row": "A", "seats": [{"number": 0}]}]}),
    ("screens", {"name": "x", "rows": [{"row": "A", "seats": [{"number": 10_000}]}]}),
    ("screens", {"name": "x", "rows": [{"row": "A", "seats": [{"number": 1, "tier": "GOLD"}]}]}),
    ("screens", {"name": "x", "rows": [{"row": "A", "seats": [{"number": 1, "x": 1e39}]}]}),
    ("screens", {"name": "x", "rows": [{"row": "A", "seats": [{"number": 1}, {"number": 1}]}]}),
    ("screens", {"name": "x", "rows": [{"row": "A", "seats": [{"number": 1}]}] * 2}),
]


async def test_garbage_is_refused_as_garbage(client: httpx.AsyncClient, manager: make.Buyer) -> None:
    theatre = await post(client, manager, "/theatres", THEATRE)
    screens = f"/theatres/{theatre['id']}/screens"
    for path, body in GARBAGE:
        where = screens if path == "screens" else path
        answer = await client.post(f"{API}{where}", json=body, headers=manager.headers)
        assert (answer.status_code, answer.json()["status"]) == (400, 400), (path, body, answer.text)
    assert (await get(client, "/movies"))["items"] == []
    assert (await get(client, "/theatres"))["items"] == [theatre]
    assert (await get(client, screens))["items"] == []


NONSENSE: list[tuple[str, dict[str, Any]]] = [
    ("/movies", {"limit": 0}),
    ("/movies", {"limit": 101}),
    ("/movies", {"limit": "many"}),
    ("/movies", {"cursor": "nonsense"}),
    ("/movies", {"cursor": "x" * 3000}),
    ("/theatres", {"cursor": "WyJhIiwxXQ"}),
    ("/shows", {"cursor": "WyJhIiwxXQ"}),
    (
        "/shows",
        {"cursor": "WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzIzOjU5IiwiMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwIl0"},
    ),
    ("/shows", {"movieId": "x"}),
    ("/shows", {"city": "a\x00"}),
    ("/shows", {"date": "tomorrow"}),
    ("/shows", {"date": "2026-02-30"}),
    ("/shows", {"includePast": "perhaps"}),
]


async def test_a_question_that_makes_no_sense_is_refused(client: httpx.AsyncClient) -> None:
    for path, params in NONSENSE:
        answer = await client.get(f"{API}{path}", params=params)
        assert (answer.status_code, answer.json()["status"]) == (400, 400), (path, params, answer.text)
