"""Holds: all or none, five minutes, renewed up to fifteen, free the instant they lapse, ten a buyer."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import make
import msgspec
import pytest

from boxoffice.postgres.pool import Pool
from boxoffice.settings import Settings


async def seat_map(client: httpx.AsyncClient, show: make.Show, who: make.Buyer | None = None) -> dict[str, object]:
    answer = await client.get(f"/api/v1/seats/shows/{show.id}", headers=who.headers if who else {})
    assert answer.status_code == 200, answer.text
    return answer.json()


def left(iso: str) -> float:
    return (datetime.fromisoformat(iso) - datetime.now(UTC)).total_seconds()


async def test_a_hold_is_answered_as_the_contract_says(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    answer = await make.hold(client, buyer, show, *show.seats[:2])
    assert answer.status_code == 201
    body = answer.json()
    assert (body["success"], body["expiresIn"]) == (True, 300)
    assert [one["seatId"] for one in body["holds"]] == [str(seat) for seat in show.seats[:2]]
    assert all(295 < left(one["expiresAt"]) <= 300 for one in body["holds"])
    assert all(one["expiresAt"].endswith("Z") for one in body["holds"])


async def test_a_seat_held_by_another_refuses_all_and_names_it(client: httpx.AsyncClient, pool: Pool) -> None:
    show, one, two = await make.show(pool), await make.guest(client), await make.guest(client)
    await make.hold(client, one, show, show.seats[1])
    answer = await make.hold(client, two, show, *show.seats[:3])
    assert answer.status_code == 409
    problem = answer.json()
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert (problem["code"], problem["status"]) == ("seats_taken", 409)
    assert problem["showSeatIds"] == [str(show.seats[1])]
    assert await pool.fetchval("SELECT count(*) FROM show_seat WHERE holder_id = $1", two.id) == 0


async def test_holding_adds_to_what_is_held(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    await make.hold(client, buyer, show, show.seats[0])
    await make.hold(client, buyer, show, show.seats[1])
    summary = (await seat_map(client, show, buyer))["summary"]
    assert summary == {"total": 10, "available": 8, "held": 0, "heldByMe": 2, "booked": 0}


async def test_a_hold_is_renewed_up_to_fifteen_minutes_from_when_it_was_taken(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    await make.hold(client, buyer, show, show.seats[0])
    leases: list[int] = []
    for minutes_ago in (4, 9, 12, 14):
        await pool.execute(
            "UPDATE show_seat SET held_since = now() - make_interval(mins => $1), taken_until = now() + '1 minute' "
            "WHERE holder_id = $2",
            minutes_ago,
            buyer.id,
        )
        answer = await make.hold(client, buyer, show, show.seats[0])
        leases.append(round(left(answer.json()["holds"][0]["expiresAt"])))
    assert leases == [300, 300, 180, 60]


async def test_a_lapsed_hold_is_free_at_once_with_no_job(client: httpx.AsyncClient, pool: Pool) -> None:
    show, one, two = await make.show(pool), await make.guest(client), await make.guest(client)
    await make.hold(client, one, show, show.seats[0])
    await make.lapse(pool, show)
    assert (await seat_map(client, show))["summary"]["available"] == 10  # type: ignore[index]
    assert (await make.hold(client, two, show, show.seats[0])).status_code == 201
    assert (await make.hold(client, one, show, show.seats[0])).status_code == 409


async def test_a_lapsed_hold_taken_again_is_a_new_hold(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    await make.hold(client, buyer, show, show.seats[0])
    await pool.execute(
        "UPDATE show_seat SET held_since = now() - interval '1 hour', taken_until = now() - interval '1 second' "
        "WHERE holder_id IS NOT NULL"
    )
    answer = await make.hold(client, buyer, show, show.seats[0])
    assert round(left(answer.json()["holds"][0]["expiresAt"])) == 300


async def test_holds_are_given_back(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    await make.hold(client, buyer, show, *show.seats[:4])
    url = f"/api/v1/bookings/holds/{buyer.id}"
    some = f"{show.seats[0]},{show.seats[1]}"
    part = await client.delete(url, params={"showId": str(show.id), "showSeatIds": some}, headers=buyer.headers)
    assert (part.status_code, part.json()) == (200, {"released": 2})
    rest = await client.delete(url, params={"showId": str(show.id)}, headers=buyer.headers)
    assert rest.json() == {"released": 2}
    again = await client.delete(url, headers=buyer.headers)
    assert again.json() == {"released": 0}


async def test_giving_back_leaves_bookings_and_other_people_alone(client: httpx.AsyncClient, pool: Pool) -> None:
    show, one, two = await make.show(pool), await make.guest(client), await make.guest(client)
    await make.booking(client, one, show, show.seats[0])
    await make.hold(client, two, show, show.seats[1])
    answer = await client.delete(f"/api/v1/bookings/holds/{one.id}", headers=one.headers)
    assert answer.json() == {"released": 0}
    forbidden = await client.delete(f"/api/v1/bookings/holds/{two.id}", headers=one.headers)
    assert (forbidden.status_code, forbidden.json()["code"]) == (403, "forbidden")
    assert (await seat_map(client, show))["summary"]["available"] == 8  # type: ignore[index]


async def test_ten_live_seats_a_buyer_a_show(client: httpx.AsyncClient, pool: Pool) -> None:
    show, other = await make.show(pool, rows=3), await make.show(pool)
    buyer = await make.guest(client)
    assert (await make.hold(client, buyer, show, *show.seats[:6])).status_code == 201
    await make.booking(client, buyer, show, *show.seats[6:9])
    too_many = await make.hold(client, buyer, show, *show.seats[9:11])
    assert (too_many.status_code, too_many.json()["code"]) == (409, "seat_limit_reached")
    assert (await make.hold(client, buyer, show, show.seats[9])).status_code == 201
    assert (await make.hold(client, buyer, other, show.seats[0])).status_code == 400
    assert (await make.hold(client, buyer, other, other.seats[0])).status_code == 201


async def test_paid_seats_leave_the_limit(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool, rows=4), await make.guest(client)
    await make.paid_booking(client, buyer, show, *show.seats[:10])
    assert (await make.hold(client, buyer, show, *show.seats[10:20])).status_code == 201


@pytest.mark.parametrize("endpoint", ["/api/v1/bookings/hold-seats", "/api/v1/bookings"])
async def test_bad_requests_are_refused_and_change_nothing(
    client: httpx.AsyncClient, pool: Pool, endpoint: str
) -> None:
    show, other, buyer = await make.show(pool), await make.show(pool), await make.guest(client)
    seat, sid = str(show.seats[0]), str(show.id)
    cases: list[tuple[object, int]] = [
        ({"showId": sid, "showSeatIds": [seat, seat]}, 400),
        ({"showId": sid, "showSeatIds": [seat, str(other.seats[0])]}, 400),
        ({"showId": sid, "showSeatIds": [str(uuid4())]}, 400),
        ({"showId": sid, "showSeatIds": []}, 400),
        ({"showId": sid, "showSeatIds": [str(s) for s in show.seats] + [str(uuid4())]}, 400),
        ({"showId": sid, "showSeatIds": seat}, 400),
        ({"showId": sid, "showSeatIds": [5]}, 400),
        ({"showId": sid, "showSeatIds": ["\x00"]}, 400),
        ({"showId": sid, "showSeatIds": None}, 400),
        ({"showId": sid}, 400),
        ({"showSeatIds": [seat]}, 400),
        ({"showId": "nope", "showSeatIds": [seat]}, 400),
        ({"showId": str(uuid4()), "showSeatIds": [seat]}, 404),
        ([], 400),
        ("text", 400),
        (None, 400),
        ({"showId": sid, "showSeatIds": [seat], "userId": str(uuid4())}, 403),
        ({"showId": sid, "showSeatIds": [seat], "userId": 7}, 400),
    ]
    for body, status in cases:
        answer = await client.post(endpoint, json=body, headers=buyer.headers)
        assert answer.status_code == status, (body, answer.text)
        problem = answer.json()
        assert problem["status"] == status
        assert {"type", "title", "detail", "code"} <= problem.keys()
    for raw in (b"", b"{", b'{"a":' * 5000, b"\xff", b'{"showId": "\\ud800"}'):
        answer = await client.post(endpoint, content=raw, headers=buyer.headers | {"Content-Type": "application/json"})
        assert answer.status_code == 400, (raw[:20], answer.text)
    huge = await client.post(
        endpoint, content=b" " * 70_000, headers=buyer.headers | {"Content-Type": "application/json"}
    )
    assert (huge.status_code, huge.json()["code"]) == (413, "too_large")
    assert await pool.fetchval("SELECT count(*) FROM show_seat WHERE holder_id IS NOT NULL") == 0


@pytest.mark.parametrize("endpoint", ["/api/v1/bookings/hold-seats", "/api/v1/bookings"])
async def test_a_show_that_has_begun_is_409_and_nobody_is_401(
    client: httpx.AsyncClient, pool: Pool, endpoint: str
) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    body = {"showId": str(show.id), "showSeatIds": [str(show.seats[0])]}
    nobody = await client.post(endpoint, json=body)
    assert (nobody.status_code, nobody.json()["code"]) == (401, "not_identified")
    assert nobody.headers["www-authenticate"] == "Bearer"
    await make.begin(pool, show)
    begun = await client.post(endpoint, json=body, headers=buyer.headers)
    assert (begun.status_code, begun.json()["code"]) == (409, "show_begun")


async def test_staff_hold_for_a_customer(client: httpx.AsyncClient, pool: Pool) -> None:
    show, customer = await make.show(pool), await make.guest(client)
    staff = await make.member(client, pool, "staff")
    body = {"showId": str(show.id), "showSeatIds": [str(show.seats[0])], "userId": str(customer.id)}
    assert (await client.post("/api/v1/bookings/hold-seats", json=body, headers=staff.headers)).status_code == 201
    assert (await seat_map(client, show, customer))["summary"]["heldByMe"] == 1  # type: ignore[index]


class TestShortHolds:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return msgspec.structs.replace(settings, seat_hold=timedelta(minutes=0.05))

    async def test_minutes_may_be_fractions(self, client: httpx.AsyncClient, pool: Pool) -> None:
        show, buyer = await make.show(pool), await make.guest(client)
        body = (await make.hold(client, buyer, show, show.seats[0])).json()
        assert body["expiresIn"] == 3
        assert 2 < left(body["holds"][0]["expiresAt"]) <= 3
