"""Bookings and refunds over HTTP: the contract's shapes, whose they are, keys, cancelling, the policy."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import make
import pytest

from boxoffice.bookings.expiry import archive_ended, expire_lapsed
from boxoffice.postgres.pool import Pool


async def refund(client: httpx.AsyncClient, buyer: make.Buyer, booking_id: str, **body: Any) -> httpx.Response:
    return await client.post(f"/api/v1/payments/refund/{booking_id}", json=body, headers=buyer.headers)


async def test_a_booking_is_answered_as_the_contract_says(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    made = await make.booking(client, buyer, show, *show.seats[:2])
    assert made["showId"] == str(show.id)
    assert made["userId"] == str(buyer.id)
    assert (made["status"], made["totalAmount"], made["currency"]) == ("PENDING", 2 * make.PRICE, "INR")
    assert [(seat["row"], seat["number"], seat["price"]) for seat in made["seats"]] == [
        ("A", 1, make.PRICE),
        ("A", 2, make.PRICE),
    ]
    seen = await make.see(client, buyer, made["id"])
    assert seen["payment"] is None
    assert seen["expiresAt"] == made["expiresAt"]
    assert [seat["id"] for seat in seen["seats"]] == [str(seat) for seat in show.seats[:2]]
    assert seen["show"]["movie"]["title"] == "Sholay"
    assert seen["show"]["startTime"].endswith("Z")
    assert {"id", "name"} <= seen["show"]["theatre"].keys()
    assert {"id", "name"} <= seen["show"]["screen"].keys()


async def test_a_booking_takes_the_buyers_own_holds_and_nobody_elses(client: httpx.AsyncClient, pool: Pool) -> None:
    show, one, two = await make.show(pool), await make.guest(client), await make.guest(client)
    await make.hold(client, one, show, *show.seats[:2])
    refused = await make.book(client, two, show, *show.seats[1:3])
    assert (refused.status_code, refused.json()["showSeatIds"]) == (409, [str(show.seats[1])])
    await make.booking(client, one, show, *show.seats[:2])
    again = await make.book(client, one, show, show.seats[0])
    assert (again.status_code, again.json()["showSeatIds"]) == (409, [str(show.seats[0])])


async def test_someone_elses_booking_does_not_exist(client: httpx.AsyncClient, pool: Pool) -> None:
    show, owner, stranger = await make.show(pool), await make.guest(client), await make.guest(client)
    staff = await make.member(client, pool, "staff")
    made = await make.booking(client, owner, show, show.seats[0])
    asks: list[tuple[str, str, dict[str, str] | None]] = [
        ("GET", f"/api/v1/bookings/{made['id']}", None),
        ("PATCH", f"/api/v1/bookings/{made['id']}/cancel", None),
        ("GET", f"/api/v1/payments/status/{made['id']}", None),
        ("POST", f"/api/v1/payments/refund/{made['id']}", {}),
        ("POST", "/api/v1/payments/initiate", {"bookingId": made["id"]}),
    ]
    for method, path, body in asks:
        theirs = await client.request(method, path, json=body, headers=stranger.headers)
        assert (theirs.status_code, theirs.json()["code"]) == (404, "booking_not_found"), path
        nobody = await client.request(method, path, json=body)
        assert nobody.status_code == 401, path
    assert (await client.get(f"/api/v1/bookings/user/{owner.id}", headers=stranger.headers)).status_code == 403
    assert (await client.get(f"/api/v1/bookings/{made['id']}", headers=staff.headers)).status_code == 200
    assert (await make.see(client, owner, made["id"]))["status"] == "PENDING"


async def test_a_booking_whose_time_ran_out_is_expired_before_any_job(client: httpx.AsyncClient, pool: Pool) -> None:
    show, one, two = await make.show(pool), await make.guest(client), await make.guest(client)
    made = await make.booking(client, one, show, show.seats[0])
    await make.lapse(pool, show)
    assert (await make.see(client, one, made["id"]))["status"] == "EXPIRED"
    late = await client.post("/api/v1/payments/initiate", json={"bookingId": made["id"]}, headers=one.headers)
    assert (late.status_code, late.json()["code"]) == (409, "booking_not_payable")
    cancel = await client.patch(f"/api/v1/bookings/{made['id']}/cancel", headers=one.headers)
    assert (cancel.status_code, cancel.json()["code"]) == (409, "booking_not_cancellable")
    await make.booking(client, two, show, show.seats[0])
    assert await expire_lapsed(pool) == 1
    assert await expire_lapsed(pool) == 0
    assert len((await make.see(client, one, made["id"]))["seats"]) == 1


async def test_cancelling_frees_the_seats_and_can_be_repeated(client: httpx.AsyncClient, pool: Pool) -> None:
    show, one, two = await make.show(pool), await make.guest(client), await make.guest(client)
    made = await make.booking(client, one, show, show.seats[0])
    for _ in range(2):
        answer = await client.patch(f"/api/v1/bookings/{made['id']}/cancel", headers=one.headers)
        assert (answer.status_code, answer.json()["status"]) == (200, "CANCELLED")
    theirs = await make.paid_booking(client, two, show, show.seats[0])
    # Cancelling once more must not touch the seat's new owner.
    assert (await client.patch(f"/api/v1/bookings/{made['id']}/cancel", headers=one.headers)).status_code == 200
    assert (await make.see(client, two, theirs["id"]))["status"] == "CONFIRMED"
    sold = await pool.fetchval("SELECT holder_id FROM show_seat WHERE taken_until = 'infinity'")
    assert sold == two.id
    paid = await client.patch(f"/api/v1/bookings/{theirs['id']}/cancel", headers=two.headers)
    assert (paid.status_code, paid.json()["code"]) == (409, "booking_not_cancellable")


async def test_keys_replay_belong_to_their_caller_and_refuse_another_payload(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    show, one, two = await make.show(pool), await make.guest(client), await make.guest(client)
    first = await make.book(client, one, show, show.seats[0], **{"Idempotency-Key": "k1"})
    again = await make.book(client, one, show, show.seats[0], **{"Idempotency-Key": "k1"})
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    in_body = await client.post(
        "/api/v1/bookings",
        json={"showId": str(show.id), "showSeatIds": [str(show.seats[0])], "idempotencyKey": "k1"},
        headers=one.headers,
    )
    assert in_body.json()["id"] == first.json()["id"]
    other = await make.book(client, one, show, show.seats[1], **{"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    as_hold = await make.hold(client, one, show, show.seats[0], **{"Idempotency-Key": "k1"})
    assert as_hold.status_code == 422
    theirs = await make.book(client, two, show, show.seats[2], **{"Idempotency-Key": "k1"})
    assert theirs.status_code == 201
    assert theirs.json()["id"] != first.json()["id"]
    for bad in ("", "x" * 256, "\u00e9".encode("latin-1")):
        refused = await client.post(
            "/api/v1/bookings",
            json={"showId": str(show.id), "showSeatIds": [str(show.seats[3])]},
            headers=one.headers | {"Idempotency-Key": bad},  # type: ignore[dict-item]
        )
        assert refused.status_code == 400, bad


async def test_a_refused_request_leaves_its_key_free(client: httpx.AsyncClient, pool: Pool) -> None:
    show, one, two = await make.show(pool), await make.guest(client), await make.guest(client)
    await make.hold(client, two, show, show.seats[0])
    assert (await make.book(client, one, show, show.seats[0], **{"Idempotency-Key": "k"})).status_code == 409
    await client.delete(f"/api/v1/bookings/holds/{two.id}", headers=two.headers)
    assert (await make.book(client, one, show, show.seats[0], **{"Idempotency-Key": "k"})).status_code == 201


async def test_the_same_key_at_once_over_http(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    answers = await asyncio.gather(
        *(make.book(client, buyer, show, *show.seats[:2], **{"Idempotency-Key": "k"}) for _ in range(10))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


async def test_one_open_session_however_often_it_is_asked_for(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    made = await make.booking(client, buyer, show, show.seats[0])
    sessions = await asyncio.gather(*(make.session(client, buyer, made["id"]) for _ in range(10)))
    assert len({one["sessionId"] for one in sessions}) == 1
    one = sessions[0]
    assert one["sessionId"].startswith("sess_")
    assert one["sessionId"] in one["paymentUrl"]
    assert (one["amount"], one["currency"], one["expiresAt"]) == (make.PRICE, "INR", made["expiresAt"])
    assert await pool.fetchval("SELECT count(*) FROM payment") == 1
    keyed = buyer.headers | {"Idempotency-Key": "pay"}
    for replayed in (None, "true"):
        answer = await client.post("/api/v1/payments/initiate", json={"bookingId": made["id"]}, headers=keyed)
        assert (answer.json(), answer.headers.get("idempotent-replayed")) == (one, replayed)


async def test_the_same_key_at_once_is_one_session_and_one_first_answer(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    made, other = [await make.booking(client, buyer, show, seat) for seat in show.seats[:2]]
    keyed = buyer.headers | {"Idempotency-Key": "pay"}

    async def initiate(booking: dict[str, Any]) -> httpx.Response:
        return await client.post("/api/v1/payments/initiate", json={"bookingId": booking["id"]}, headers=keyed)

    answers = await asyncio.gather(*(initiate(made) for _ in range(10)))

    assert {answer.status_code for answer in answers} == {201}
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert sorted(answer.headers.get("idempotent-replayed", "") for answer in answers) == ["", *["true"] * 9]
    assert (await initiate(other)).status_code == 422


async def test_my_bookings_come_in_pages_newest_first(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    made = [(await make.booking(client, buyer, show, seat))["id"] for seat in show.seats[:5]]
    url, cursor = f"/api/v1/bookings/user/{buyer.id}", None
    seen: list[str] = []
    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(url, params=params, headers=buyer.headers)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == made[::-1]
    for bad in ({"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"cursor": "garbage"}, {"cursor": "AAAA"}):
        assert (await client.get(url, params=bad, headers=buyer.headers)).status_code == 400, bad


@pytest.mark.parametrize(
    ("left", "percentage"),
    [
        (timedelta(hours=24, minutes=1), 100),
        (timedelta(hours=23, minutes=59), 50),
        (timedelta(hours=2, minutes=1), 50),
    ],
)
async def test_a_refund_follows_the_policy_and_frees_the_seats(
    client: httpx.AsyncClient, pool: Pool, left: timedelta, percentage: int
) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    made = await make.paid_booking(client, buyer, show, *show.seats[:2])
    await make.start_in(pool, show, left)
    answer = await refund(client, buyer, made["id"])
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["bookingId"] == made["id"]
    assert (body["originalAmount"], body["refundPercentage"]) == (2 * make.PRICE, percentage)
    assert (body["refundAmount"], body["status"]) == (2 * make.PRICE * percentage // 100, "PENDING")
    seen = await make.see(client, buyer, made["id"])
    assert (seen["status"], seen["payment"]["status"]) == ("REFUNDED", "REFUND_PENDING")
    assert await pool.fetchval("SELECT count(*) FROM show_seat WHERE taken_until > now()") == 0
    queued = await pool.fetchval("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'refunds.send'")
    assert queued == 1


async def test_too_close_to_the_show_nothing_changes(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    made = await make.paid_booking(client, buyer, show, show.seats[0])
    await make.start_in(pool, show, timedelta(hours=1, minutes=59))
    answer = await refund(client, buyer, made["id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "refund_window_closed")
    assert (await make.see(client, buyer, made["id"]))["status"] == "CONFIRMED"


async def test_many_refunds_at_once_are_one(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    made = await make.paid_booking(client, buyer, show, *show.seats[:2])
    answers = await asyncio.gather(*(refund(client, buyer, made["id"]) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert await pool.fetchval("SELECT sum(amount) FROM refund") == 2 * make.PRICE


async def test_the_same_key_at_once_is_one_refund_and_one_answer(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    made = await make.paid_booking(client, buyer, show, show.seats[0])
    keyed = buyer.headers | {"Idempotency-Key": "back"}
    url = f"/api/v1/payments/refund/{made['id']}"
    answers = await asyncio.gather(*(client.post(url, json={}, headers=keyed) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refundId"] for answer in answers}) == 1


async def test_some_seats_are_refunded_and_the_rest_stay_valid(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    made = await make.paid_booking(client, buyer, show, *show.seats[:3])
    part = await refund(client, buyer, made["id"], showSeatIds=[str(show.seats[1])])
    assert (part.status_code, part.json()["refundAmount"]) == (200, make.PRICE)
    seen = await make.see(client, buyer, made["id"])
    assert seen["status"] == "CONFIRMED"
    assert [seat["refunded"] for seat in seen["seats"]] == [False, True, False]
    again = await refund(client, buyer, made["id"], showSeatIds=[str(show.seats[1])])
    assert (again.status_code, again.json()["code"]) == (400, "unknown_seats")
    assert (await refund(client, buyer, made["id"], showSeatIds=[str(show.seats[7])])).status_code == 400
    rest = await refund(client, buyer, made["id"])
    assert rest.json()["refundAmount"] == 2 * make.PRICE
    assert (await make.see(client, buyer, made["id"]))["status"] == "REFUNDED"


async def test_only_a_paid_booking_is_refunded(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    made = await make.booking(client, buyer, show, show.seats[0])
    unpaid = await refund(client, buyer, made["id"])
    assert (unpaid.status_code, unpaid.json()["code"]) == (409, "booking_not_refundable")
    assert (await refund(client, buyer, str(uuid4()))).status_code == 404
    assert (await refund(client, buyer, "nope")).status_code == 400


async def test_bookings_long_over_are_archived_and_stay_readable(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    made = await make.booking(client, buyer, show, *show.seats[:2])
    kept = await make.paid_booking(client, buyer, show, show.seats[2])
    await client.patch(f"/api/v1/bookings/{made['id']}/cancel", headers=buyer.headers)
    before = await make.see(client, buyer, made["id"])
    assert await archive_ended(pool) == 0
    await pool.execute(
        "UPDATE booking SET ended_at = now() - interval '31 days', created_at = created_at - interval '31 days'"
    )
    assert await archive_ended(pool) == 1
    assert await archive_ended(pool) == 0
    assert await pool.fetchval("SELECT count(*) FROM booking_seat") == 1
    after = await make.see(client, buyer, made["id"])
    assert after["seats"] == before["seats"]
    assert len((await make.see(client, buyer, kept["id"]))["seats"]) == 1
