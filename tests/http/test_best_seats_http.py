"""Best available over HTTP: the best together, on the rules of the map, and clear refusals."""

from uuid import uuid4

import httpx
import make

from boxoffice.postgres.pool import Pool


async def best(client: httpx.AsyncClient, show: make.Show, query: str) -> httpx.Response:
    return await client.get(f"/api/v1/seats/shows/{show.id}/best?{query}")


async def test_two_together_in_the_middle_two_thirds_back(client: httpx.AsyncClient, pool: Pool) -> None:
    show = await make.show(pool, rows=7, seats_a_row=10)

    answer = await best(client, show, "count=2")

    assert answer.status_code == 200
    body = answer.json()
    assert [f"{seat['row']}{seat['number']}" for seat in body["seats"]] == ["E5", "E6"]
    on_map = (await client.get(f"/api/v1/seats/shows/{show.id}")).json()
    assert [seat for seat in on_map["seats"] if seat in body["seats"]] == body["seats"]
    assert body | {"seats": 0} == {
        "showId": str(show.id),
        "version": on_map["version"],
        "count": 2,
        "together": True,
        "distance": 0.5,
        "totalPrice": 2 * make.PRICE,
        "currency": "INR",
        "seats": 0,
    }


async def test_what_is_taken_is_not_advised(client: httpx.AsyncClient, pool: Pool) -> None:
    show = await make.show(pool, rows=1, seats_a_row=6)
    await make.hold(client, await make.guest(client), show, show.seats[2], show.seats[3])

    body = (await best(client, show, "count=2")).json()

    assert [seat["number"] for seat in body["seats"]] == [1, 2]


async def test_refusals(client: httpx.AsyncClient, pool: Pool) -> None:
    show = await make.show(pool, rows=1, seats_a_row=3)

    for query in ("", "count=0", "count=11", "count=two", "count=2&tier=GOLD", "count=2&kind=sofa"):
        assert (await best(client, show, query)).status_code == 400, query
    few = await best(client, show, "count=4")
    assert (few.status_code, few.json()["code"], few.json()["available"]) == (409, "not_enough_seats", 3)
    none = await best(client, show, "count=1&tier=VIP")
    assert (none.status_code, none.json()["available"]) == (409, 0)
    unknown = await client.get(f"/api/v1/seats/shows/{uuid4()}/best?count=2")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "show_not_found")
