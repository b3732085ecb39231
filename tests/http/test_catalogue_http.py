"""The catalogue over HTTP: who may, and what comes back."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import make
import pytest
from catalogue_api import API, MOVIE, SCREEN, START, THEATRE, draft, get, hall, post, stamp

from boxoffice.postgres.pool import Pool


@pytest.fixture
async def manager(client: httpx.AsyncClient, pool: Pool) -> make.Buyer:
    return await make.member(client, pool, "manager")


async def test_from_a_film_to_a_show(client: httpx.AsyncClient, manager: make.Buyer) -> None:
    of = await hall(client, manager)
    assert of["movie"] == MOVIE | {
        "id": of["movie"]["id"],
        "rating": "",
        "genres": [],
        "synopsis": "",
        "posterUrl": None,
        "releaseYear": None,
    }
    assert of["theatre"] == THEATRE | {"id": of["theatre"]["id"]}
    screen = {"theatreId": of["theatre"]["id"], "name": "Screen 1", "totalSeats": 3}
    assert of["screen"] == screen | {"id": of["screen"]["id"]}

    show = await post(client, manager, "/shows", draft(of))

    assert show == {
        "id": show["id"],
        "movie": {
            "id": of["movie"]["id"],
            "title": "Sholay",
            "durationMin": 204,
            "rating": "",
            "posterUrl": None,
        },
        "theatre": of["theatre"],
        "screen": {"id": of["screen"]["id"], "name": "Screen 1"},
        "startTime": stamp(START),
        "endTime": stamp(START + timedelta(minutes=204)),
        "language": "Hindi",
        "format": "2D",
        "prices": {"REGULAR": 25_000, "VIP": 60_000},
        "currency": "INR",
        "availability": {"total": 3, "available": 3, "held": 0, "booked": 0},
    }
    theatre, hall_id = of["theatre"]["id"], of["screen"]["id"]
    assert await get(client, f"/shows/{show['id']}") == show
    assert await get(client, "/shows", movieId=of["movie"]["id"], city="mumbai") == {
        "items": [show],
        "nextCursor": None,
    }
    assert await get(client, f"/movies/{of['movie']['id']}") == of["movie"]
    assert await get(client, f"/theatres/{theatre}") == of["theatre"]
    assert await get(client, f"/theatres/{theatre}/screens/{hall_id}") == of["screen"]
    assert (await get(client, f"/theatres/{theatre}/screens"))["items"] == [of["screen"]]
    assert (await get(client, f"/seats/screens/{hall_id}"))["rows"] == ["A", "B"]


async def test_changing_what_is_given_and_nothing_else(client: httpx.AsyncClient, manager: make.Buyer) -> None:
    of = await hall(client, manager)
    show = await post(client, manager, "/shows", draft(of))
    theatre = f"/theatres/{of['theatre']['id']}"
    for path, changes in (
        (f"/movies/{of['movie']['id']}", {"rating": "U", "genres": ["Action"], "posterUrl": "https://example.com/a"}),
        (f"/movies/{of['movie']['id']}", {"posterUrl": None}),
        (theatre, {"timezone": "Asia/Dubai"}),
        (f"{theatre}/screens/{of['screen']['id']}", {"name": "Big"}),
        (f"/shows/{show['id']}", {"startTime": stamp(START + timedelta(hours=1)), "format": "3D"}),
    ):
        before = await get(client, path)
        answer = await client.patch(f"{API}{path}", json=changes, headers=manager.headers)
        assert answer.status_code == 200, answer.text
        after = await get(client, path)
        assert answer.json() == after
        assert {name: after[name] for name in changes} == changes
        same = set(before) - set(changes) - {"endTime"}
        assert {name: after[name] for name in same} == {name: before[name] for name in same}

    answer = await client.patch(f"{API}/shows/{show['id']}", json={"prices": {"VIP": 1}}, headers=manager.headers)
    assert answer.json()["prices"] == {"REGULAR": 25_000, "VIP": 1}
    seats = (await get(client, f"/seats/shows/{show['id']}"))["seats"]
    assert [seat["price"] for seat in seats] == [25_000, 25_000, 1]


async def test_a_posters_host_may_be_of_any_language(client: httpx.AsyncClient, manager: make.Buyer) -> None:
    written, asked_for = "https://bücher.example/ü.jpg", "https://xn--bcher-kva.example/ü.jpg"

    movie = await post(client, manager, "/movies", MOVIE | {"posterUrl": written})
    path = f"{API}/movies/{movie['id']}"
    other = await client.patch(path, json={"posterUrl": "/posters/own.jpg"}, headers=manager.headers)
    again = await client.patch(path, json={"posterUrl": written}, headers=manager.headers)
    refused = await client.patch(path, json={"posterUrl": "https://x;sandbox/p.jpg"}, headers=manager.headers)

    assert (movie["posterUrl"], other.json()["posterUrl"]) == (asked_for, "/posters/own.jpg")
    assert again.json()["posterUrl"] == asked_for
    assert refused.status_code == 400
    assert "punycode" in refused.json()["errors"]["posterUrl"]
    assert (await get(client, f"/movies/{movie['id']}"))["posterUrl"] == asked_for


async def test_only_managers_change_the_catalogue(client: httpx.AsyncClient, pool: Pool) -> None:
    guest, staff = await make.guest(client), await make.member(client, pool, "staff")
    some = uuid4()
    for method, path in (
        ("POST", "/movies"),
        ("PATCH", f"/movies/{some}"),
        ("POST", "/theatres"),
        ("PATCH", f"/theatres/{some}"),
        ("POST", f"/theatres/{some}/screens"),
        ("PATCH", f"/theatres/{some}/screens/{some}"),
        ("POST", "/shows"),
        ("PATCH", f"/shows/{some}"),
    ):
        for headers, status in (({}, 401), (guest.headers, 403), (staff.headers, 403)):
            answer = await client.request(method, f"{API}{path}", json={}, headers=headers)
            assert answer.status_code == status, (method, path, answer.text)


async def test_what_is_not_there_is_404(client: httpx.AsyncClient, manager: make.Buyer) -> None:
    of = await hall(client, manager)
    some, other = uuid4(), await post(client, manager, "/theatres", THEATRE | {"name": "Other"})
    for path, code in (
        (f"/movies/{some}", "movie_not_found"),
        (f"/theatres/{some}", "theatre_not_found"),
        (f"/theatres/{some}/screens", "theatre_not_found"),
        (f"/theatres/{of['theatre']['id']}/screens/{some}", "screen_not_found"),
        (f"/theatres/{other['id']}/screens/{of['screen']['id']}", "screen_not_found"),
        (f"/shows/{some}", "show_not_found"),
    ):
        assert (await get(client, path, 404))["code"] == code
        if not path.endswith("/screens"):
            answer = await client.patch(f"{API}{path}", json={}, headers=manager.headers)
            assert (answer.status_code, answer.json()["code"]) == (404, code)
    assert (await post(client, manager, f"/theatres/{some}/screens", SCREEN, 404))["code"] == "theatre_not_found"
    for changes, code in (({"movieId": str(some)}, "movie_not_found"), ({"screenId": str(some)}, "screen_not_found")):
        assert (await post(client, manager, "/shows", draft(of) | changes, 404))["code"] == code


async def test_a_path_that_holds_no_id_is_malformed(client: httpx.AsyncClient) -> None:
    for path in ("/movies/1", "/theatres/x", "/theatres/x/screens", "/shows/%00", f"/theatres/{uuid4()}/screens/x"):
        assert (await get(client, path, 400))["code"] == "malformed"


async def test_shows_that_overlap_posted_at_once(client: httpx.AsyncClient, manager: make.Buyer, pool: Pool) -> None:
    of = await hall(client, manager)

    answers = await asyncio.gather(
        *(
            client.post(f"{API}/shows", json=draft(of, START + timedelta(minutes=n)), headers=manager.headers)
            for n in range(6)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    won = next(answer.json()["id"] for answer in answers if answer.status_code == 201)
    for answer in answers:
        if answer.status_code == 409:
            assert (answer.json()["code"], answer.json()["showId"]) == ("show_overlaps", won)
    assert await pool.fetchval("SELECT count(*) FROM show") == 1


async def test_one_key_is_one_show_also_at_once(client: httpx.AsyncClient, manager: make.Buyer, pool: Pool) -> None:
    of = await hall(client, manager)
    headers = manager.headers | {"Idempotency-Key": "one"}

    answers = await asyncio.gather(*(client.post(f"{API}/shows", json=draft(of), headers=headers) for _ in range(6)))

    assert [answer.status_code for answer in answers] == [201] * 6
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert sorted(answer.headers.get("idempotent-replayed", "") for answer in answers) == ["", *["true"] * 5]
    assert await pool.fetchval("SELECT count(*) FROM show") == 1
    other = await client.post(f"{API}/shows", json=draft(of, format="3D"), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(("path", "body"), [("/movies", MOVIE), ("/theatres", THEATRE)])
async def test_each_post_takes_a_key(
    client: httpx.AsyncClient, manager: make.Buyer, path: str, body: dict[str, Any]
) -> None:
    headers = manager.headers | {"Idempotency-Key": "k"}
    first, second = [await client.post(f"{API}{path}", json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert len((await get(client, path))["items"]) == 1


async def test_a_screens_key_is_for_one_theatre(client: httpx.AsyncClient, manager: make.Buyer) -> None:
    headers = manager.headers | {"Idempotency-Key": "k"}
    one, two = [(await post(client, manager, "/theatres", THEATRE))["id"] for _ in range(2)]
    for theatre, status in ((one, 201), (one, 201), (two, 422)):
        answer = await client.post(f"{API}/theatres/{theatre}/screens", json=SCREEN, headers=headers)
        assert answer.status_code == status


async def test_a_name_is_one_screen_of_a_theatre(client: httpx.AsyncClient, manager: make.Buyer) -> None:
    of = await hall(client, manager)
    path = f"/theatres/{of['theatre']['id']}/screens"
    assert (await post(client, manager, path, SCREEN, 409))["code"] == "screen_name_taken"
    other = await post(client, manager, path, SCREEN | {"name": "Screen 2"})
    answer = await client.patch(f"{API}{path}/{other['id']}", json={"name": "Screen 1"}, headers=manager.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "screen_name_taken")


async def test_seats_on_sale_stay_where_they_are(client: httpx.AsyncClient, manager: make.Buyer) -> None:
    of = await hall(client, manager)
    await post(client, manager, "/shows", draft(of))
    answer = await client.patch(
        f"{API}/theatres/{of['theatre']['id']}/screens/{of['screen']['id']}",
        json={"rows": SCREEN["rows"]},
        headers=manager.headers,
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "screen_in_use")


async def test_a_stadium_fits_and_twice_that_is_too_large(client: httpx.AsyncClient, manager: make.Buyer) -> None:
    theatre = await post(client, manager, "/theatres", THEATRE)
    path = f"/theatres/{theatre['id']}/screens"
    seat = {"tier": "REGULAR", "kind": "standard", "y": 12.5}
    rows = [
        {"row": f"R{r}", "seats": [{"number": n + 1, "x": n + 0.25, **seat} for n in range(400)]} for r in range(100)
    ]
    assert (await post(client, manager, path, {"name": "Stadium", "rows": rows}))["totalSeats"] == 40_000
    too_large = await post(client, manager, path, {"name": "x" * 5_000_000, "rows": []}, 413)
    assert too_large["code"] == "too_large"

    async def without_a_length() -> AsyncGenerator[bytes]:
        for _ in range(5):
            yield b" " * 1_000_000

    headers = manager.headers | {"Content-Type": "application/json"}
    answer = await client.post(f"{API}{path}", content=without_a_length(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert (await post(client, manager, "/movies", MOVIE | {"synopsis": "x" * 70_000}, 413))["code"] == "too_large"


async def test_lists_are_paged(client: httpx.AsyncClient, manager: make.Buyer) -> None:
    of = await hall(client, manager)
    for n in range(1, 5):
        await post(client, manager, "/movies", MOVIE | {"title": f"{n} " + "é" * 150})
        await post(client, manager, "/theatres", THEATRE | {"name": f"{n}"})
        await post(client, manager, f"/theatres/{of['theatre']['id']}/screens", SCREEN | {"name": f"{n}"})
        await post(client, manager, "/shows", draft(of, START + timedelta(hours=4 * n)))
    await post(client, manager, "/shows", draft(of))

    for path in ("/movies", "/theatres", f"/theatres/{of['theatre']['id']}/screens", "/shows"):
        whole = (await get(client, path))["items"]
        assert len(whole) == 5
        seen: list[Any] = []
        params: dict[str, Any] = {"limit": 2}
        for _ in range(3):
            found = await get(client, path, **params)
            seen += found["items"]
            params["cursor"] = found["nextCursor"]
        assert params["cursor"] is None
        assert seen == whole


async def test_availability_moves_with_holds_and_bookings(
    client: httpx.AsyncClient, manager: make.Buyer, pool: Pool
) -> None:
    show = await make.show(pool)
    buyer = await make.guest(client)
    await make.hold(client, buyer, show, show.seats[0], show.seats[1])
    await make.booking(client, buyer, show, show.seats[2])

    assert (await get(client, f"/shows/{show.id}"))["availability"] == {
        "total": 10,
        "available": 7,
        "held": 2,
        "booked": 1,
    }
    moved = await client.patch(f"{API}/shows/{show.id}", json={"startTime": stamp(START)}, headers=manager.headers)
    assert (moved.status_code, moved.json()["code"]) == (409, "show_has_bookings")
    await make.lapse(pool, show)
    assert (await get(client, "/shows", screenId=show.screen_id))["items"][0]["availability"]["available"] == 10
